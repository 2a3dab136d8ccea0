"""A stateful stand-in for Acme's migration service.

Paths, fields, status codes and error bodies are those of ``docs/vendor.md``; where that is silent, what the provider
relies on is marked there as inferred, and this does the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

import attrs
from migrate_core.documents import decode, encode, faults_of
from migrate_core.errors import (
    ApiError,
    AuthenticationError,
    ConflictError,
    Fault,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitedError,
    ServerError,
)
from migrate_core.models import Disk, OsFamily, SourceFacts, SourceSpec
from migrate_core.provider import TaskStatus
from migrate_core.testing.simulator import Refusal, Simulator, control, segment
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from migrate_acme.auth import SESSION_HEADER
from migrate_acme.models import DiskSpec, Job, Login, Machine, MachineSpec, Problem

__all__ = ["AcmeSimulator"]

T = TypeVar("T")

_PAGE = 100
_ZONE = timezone(timedelta(hours=2))
_QUEUED_SHARE = 0.2
_ENDS = {TaskStatus.SUCCESS: "done", TaskStatus.ERROR: "failed", TaskStatus.CANCELLED: "cancelled"}


@attrs.define
class AcmeControls:
    """How the simulator behaves."""

    job_seconds: float = control(10.0, "how long a job takes, a fifth of it in the queue")
    fail: str = control("", "the message with which new jobs fail")
    session_seconds: float = control(1800.0, "how long a session lasts")


@attrs.define
class _Job:
    """A job, whose state follows from the clock; it is settled when what it was for is done."""

    id: str
    machine_id: str
    queued_at: datetime
    seconds: float
    end: TaskStatus
    message: str = ""
    settled: bool = False


class AcmeSimulator(Simulator):
    """Acme's migration service in memory."""

    name = "acme"
    controls_type = AcmeControls
    controls: AcmeControls
    kinds = ("login", "session")
    task_ends = tuple(_ENDS)

    _USER, _PASSWORD = "operator", "simulated-password"  # invented
    _SESSION = "simulated-session"  # invented; never ends

    @property
    def credentials(self) -> Mapping[str, str]:
        return {"username": self._USER, "password": self._PASSWORD, "session": self._SESSION}

    def settings(self, kind: str = "login") -> dict[str, Any]:
        """Give the settings that connect to it.

        Args:
            kind: ``login`` for user and password, ``session`` for a session that is there.
        """
        names = {"session": ("session",)}.get(kind, ("username", "password"))
        return {**self._door(), **{name: self.credentials[name] for name in names}}

    def reset(self) -> None:
        super().reset()
        self._sessions: dict[str, datetime] = {}
        self._machines: dict[str, Machine] = {}
        self._jobs: dict[str, _Job] = {}
        self._named = 0

    # What the conformance suite asks for.

    def source_spec(self) -> SourceSpec:
        name = self._new_name()
        facts = SourceFacts(
            hostname=f"{name}.example",
            os_family=OsFamily.LINUX,
            os_name="Debian 12",
            cpu_count=2,
            memory_bytes=4 * 2**30,
            disks=(Disk(name="sda", size_bytes=40 * 2**30, is_boot=True),),
        )
        return SourceSpec(name=name, external_id=f"vm-{name}", facts=facts)

    def add_sources(self, count: int) -> list[str]:
        return [self._add(_small(self._new_name())) for _ in range(count)]

    def add_task(self, end: TaskStatus = TaskStatus.SUCCESS, seconds: float = 60.0) -> str:
        return self._start(self.add_sources(1)[0], seconds, end, "simulated").id

    def forget_tasks(self) -> None:
        self._settle()
        self._jobs.clear()

    def expire_logins(self) -> None:
        self._sessions.clear()

    def refusals(self) -> Mapping[type[ApiError], Response]:
        return {
            InvalidRequestError: self._problem(400, "bad_request", "The request cannot be read."),
            AuthenticationError: self._problem(401, "session_ended", "The session has ended."),
            PermissionDeniedError: self._problem(403, "forbidden", "The user may not do this."),
            QuotaExceededError: self._problem(403, "too_many_machines", "The account is full."),
            NotFoundError: self._problem(404, "not_found", "There is no such object."),
            ConflictError: self._problem(400, "name_taken", "There is a machine of that name."),
            RateLimitedError: self._problem(429, "slow_down", "Too many requests."),
            ServerError: self._problem(500, "internal", "The service failed."),
        }

    # Routes.

    def routes(self) -> Sequence[Route]:
        return [
            Route("/v1/sessions", self._log_in, methods=["POST"]),
            Route("/v1/sessions/mine", self._log_out, methods=["DELETE"]),
            Route("/v1/machines", self._register, methods=["POST"]),
            Route("/v1/machines", self._list_machines, methods=["GET"]),
            Route("/v1/machines/{machine_id}", self._describe, methods=["GET"]),
            Route("/v1/machines/{machine_id}", self._delete, methods=["DELETE"]),
            Route("/v1/jobs", self._list_jobs, methods=["GET"]),
            Route("/v1/jobs/{job_id}", self._get_job, methods=["GET"]),
            Route("/v1/jobs/{job_id}/cancel", self._cancel, methods=["POST"]),
        ]

    def unknown_route(self) -> Response:
        return self._problem(404, "no_such_call", "There is no such call.")

    async def _log_in(self, request: Request) -> Response:
        given = await self._body(request)
        if (given.get("username"), given.get("password")) != (self._USER, self._PASSWORD):
            return self._problem(401, "login_refused", "User or password is wrong.")
        token, expires = self.new_secret(), self.clock.now() + timedelta(seconds=self.controls.session_seconds)
        self._sessions[token] = expires
        return JSONResponse(encode(Login(session=token, expires_at=_time(expires))), 201)

    async def _log_out(self, request: Request) -> Response:
        self._check(request)
        self._sessions.pop(request.headers[SESSION_HEADER], None)
        return Response(status_code=204)

    async def _register(self, request: Request) -> Response:
        self._check(request)
        faults: list[Fault] = []
        spec = decode(MachineSpec, await self._body(request), faults)
        faults += faults_of(spec)
        if faults:
            return self._problem(400, "bad_request", f"The machine is invalid: {faults[0]}")
        if any(machine.spec and machine.spec.name == spec.name for machine in self._machines.values()):
            return self._problem(400, "name_taken", "There is a machine of that name.")
        return JSONResponse({"id": self._add(spec)}, 201)

    async def _list_machines(self, request: Request) -> Response:
        self._check(request)
        return self._page(request, list(self._machines.values()), self._machine_payload)

    async def _describe(self, request: Request) -> Response:
        self._check(request)
        return JSONResponse(self._machine_payload(self._machine(request)))

    async def _delete(self, request: Request) -> Response:
        self._check(request)
        machine = self._machine(request)
        if self._is_going(machine):
            return self._problem(409, "busy", "The machine is being deleted.")
        end = TaskStatus.ERROR if self.controls.fail else TaskStatus.SUCCESS
        job = self._start(machine.id or "", self.controls.job_seconds, end, self.controls.fail)
        return JSONResponse(self._job_payload(job), 202)

    async def _list_jobs(self, request: Request) -> Response:
        self._check(request)
        return self._page(request, list(self._jobs.values()), self._job_payload)

    async def _get_job(self, request: Request) -> Response:
        self._check(request)
        return JSONResponse(self._job_payload(self._job(request)))

    async def _cancel(self, request: Request) -> Response:
        self._check(request)
        job = self._job(request)
        if self._is_over(job):
            return self._problem(409, "job_ended", "The job has ended.")
        job.seconds, job.end = self._elapsed(job), TaskStatus.CANCELLED
        return JSONResponse(self._job_payload(job), 202)

    # State.

    def _check(self, request: Request) -> None:
        """Refuse a request without a session; settle what is due before anything is looked at."""
        self._settle()
        token = request.headers.get(SESSION_HEADER, "")
        if token != self._SESSION and not self.clock.now() < self._sessions.get(token, self.clock.now()):
            raise Refusal(self._problem(401, "session_ended", "The session has ended."))

    def _machine(self, request: Request) -> Machine:
        machine = self._machines.get(segment(request, "machine_id"))
        if machine is None:
            raise Refusal(self._problem(404, "not_found", "There is no such machine."))
        return machine

    def _job(self, request: Request) -> _Job:
        job = self._jobs.get(segment(request, "job_id"))
        if job is None:
            raise Refusal(self._problem(404, "not_found", "There is no such job."))
        return job

    async def _body(self, request: Request) -> Mapping[str, Any]:
        try:
            payload = json.loads(await request.body())
        except (ValueError, RecursionError):
            payload = None
        if not isinstance(payload, dict):
            raise Refusal(self._problem(400, "bad_request", "The body is no JSON object."))
        return payload

    def _new_name(self) -> str:
        self._named += 1
        return f"host-{self._named}"

    def _add(self, spec: MachineSpec) -> str:
        machine = Machine(id=self.new_id(), state="ready", registered_at=_time(self.clock.now()), spec=spec)
        self._machines[machine.id or ""] = machine
        return machine.id or ""

    def _start(self, machine_id: str, seconds: float, end: TaskStatus, message: str) -> _Job:
        job = _Job(self.new_id(), machine_id, self.clock.now(), seconds, end, message)
        self._jobs[job.id] = job
        return job

    def _settle(self) -> None:
        """Carry out what the jobs that are over by now were for."""
        for job in self._jobs.values():
            if not job.settled and self._is_over(job):
                job.settled = True
                if job.end is TaskStatus.SUCCESS:
                    self._machines.pop(job.machine_id, None)

    def _elapsed(self, job: _Job) -> float:
        return (self.clock.now() - job.queued_at).total_seconds()

    def _is_over(self, job: _Job) -> bool:
        return self._elapsed(job) >= job.seconds

    def _is_going(self, machine: Machine) -> bool:
        return any(job.machine_id == machine.id and not job.settled for job in self._jobs.values())

    def _machine_payload(self, machine: Machine) -> dict[str, Any]:
        return encode(attrs.evolve(machine, state="deleting") if self._is_going(machine) else machine)

    def _job_payload(self, job: _Job) -> dict[str, Any]:
        state, percent = self._progress(job)
        begin, end = (job.queued_at + timedelta(seconds=job.seconds * share) for share in (_QUEUED_SHARE, 1))
        return encode(
            Job(
                id=job.id,
                kind="delete_machine",
                state=state,
                percent=percent,
                machine_id=job.machine_id,
                queued_at=_time(job.queued_at),
                started_at=None if state == "queued" else _time(begin),
                ended_at=_time(end) if self._is_over(job) else None,
                problem=Problem(code="simulated", message=job.message) if state == "failed" else None,
            )
        )

    def _progress(self, job: _Job) -> tuple[str, float | None]:
        if self._is_over(job):
            return _ENDS[job.end], 100.0 if job.end is TaskStatus.SUCCESS else None
        share = self._elapsed(job) / job.seconds
        if share < _QUEUED_SHARE:
            return "queued", 0.0
        return "running", 100 * (share - _QUEUED_SHARE) / (1 - _QUEUED_SHARE)

    def _page(self, request: Request, items: list[T], payload: Callable[[T], dict[str, Any]]) -> Response:
        """Give a page; its cursor says where the next one begins, in a form that clients need not know."""
        try:
            limit = max(1, min(int(request.query_params.get("limit", _PAGE)), _PAGE))
            start = max(0, int(request.query_params.get("cursor", "0"), 16))
        except ValueError:
            return self._problem(400, "bad_request", "limit or cursor is wrong.")
        end = start + limit
        page = [payload(item) for item in items[start:end]]
        return JSONResponse({"items": page, "next": f"{end:x}" if end < len(items) else None})

    def _problem(self, status: int, code: str, message: str) -> Response:
        return JSONResponse(encode(Problem(code=code, message=message, request_id=self.new_id())), status)


def _small(name: str) -> MachineSpec:
    disk = DiskSpec(name="sda", size_gib=8, boot=True)
    return MachineSpec(name=name, os_family="linux", cpus=1, memory_mib=1024, disks=(disk,))


def _time(moment: datetime) -> str:
    """Write a time as the vendor does, in a time zone of its own."""
    return moment.astimezone(_ZONE).isoformat()
