"""A stateful stand-in for the REST gateway of VMware Site Recovery Manager, with the site at its other end.

Paths, fields, status codes and error bodies are those of ``docs/vendors/vmware-srm.md``. Where the vendor's pages are
silent, this does what that page marks as inferred: a refused login and a session that has expired are answered with
401 and no body, and so is a change of a pairing whose other site wants a login. Sessions last half an hour unused.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice
from typing import Any, ClassVar

import attrs
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from migrate_core.documents import MAX32, anything, decode, encode, faults_of, integer, many, text
from migrate_core.errors import (
    ApiError,
    AuthenticationError,
    Fault,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
)
from migrate_core.models import PairingSpec
from migrate_core.provider import TaskStatus
from migrate_core.testing.openapi import Call, documented
from migrate_core.testing.simulator import Agenda, Refusal, Simulator, control, json_object, segment
from migrate_vmware_srm.auth import SESSION_HEADER
from migrate_vmware_srm.models import ResponseError, ServerInfo, SrmPairing, SrmPairingSpec, SrmTask, SrmTaskError

__all__ = ["VmwareSrmSimulator"]

_BASE = "/api/rest/srm/v2"
_EDIT = "VcDr.RemoteSite.com.vmware.vcDr.Edit"
_PAGE = 100
_QUEUED_SHARE = 0.2


@attrs.frozen(kw_only=True)
class _SessionGiven:
    """The answer to a login."""

    session_id: str | None = text(required=True, secret=True)


@attrs.frozen(kw_only=True)
class _Who:
    """Who is logged in."""

    username: str | None = text(required=True)


@attrs.frozen(kw_only=True)
class _Wanted:
    """Which page of a list."""

    limit: int | None = integer(MAX32)
    offset: int | None = integer(MAX32)


@attrs.frozen(kw_only=True)
class _DescribedPairing(SrmPairing):
    """A pairing by itself."""

    meta: Any = anything(name="_meta")


@attrs.frozen(kw_only=True)
class _DescribedTask(SrmTask):
    """A task by itself."""

    meta: Any = anything(name="_meta")


@attrs.frozen(kw_only=True)
class _Pairings:
    """A page of pairings."""

    items: tuple[SrmPairing, ...] | None = many(SrmPairing, MAX32, required=True, name="list")
    meta: Any = anything(name="_meta")


@attrs.frozen(kw_only=True)
class _Tasks:
    """A page of tasks."""

    items: tuple[SrmTask, ...] | None = many(SrmTask, MAX32, required=True, name="list")
    meta: Any = anything(name="_meta")


@attrs.define
class VmwareSrmControls:
    """How the simulator behaves."""

    task_seconds: float = control(10.0, "how long a task takes, a fifth of it in the queue")
    fail: str = control("", "the message with which new tasks fail")
    cancel: bool = control(False, "whether new tasks end as cancelled")
    require_peer_login: bool = control(True, "whether deleting a pairing needs a login at the other site")
    session_seconds: float = control(1800.0, "how long a session lasts unused")
    deny: str = control("", f"a privilege, such as {_EDIT}, to refuse with 403")
    times_as_text: bool = control(False, "whether times come as text, as in version 1.0")


@attrs.define
class _Session:
    username: str
    used: float
    peers: set[str] = attrs.Factory(set)


@attrs.define
class _Task:
    """A task, whose state follows from the clock until it has ended."""

    id: str
    description_id: str
    pairing: SrmPairing
    queued_ms: int
    seconds: float
    failure: str
    cancelled: bool
    result: Any = None


class VmwareSrmSimulator(Simulator):
    """Site Recovery Manager in memory."""

    name = "vmware_srm"
    controls_type = VmwareSrmControls
    controls: VmwareSrmControls
    task_ends = (TaskStatus.SUCCESS, TaskStatus.ERROR, TaskStatus.CANCELLED)
    security: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "session": {"type": "apiKey", "in": "header", "name": SESSION_HEADER}
    }
    answers: ClassVar[Mapping[int, type | None]] = {401: None}

    _USER, _PASSWORD = "administrator@vsphere.local", "simulated-password"  # invented
    _PEER_USER, _PEER_PASSWORD = "administrator@peer.local", "simulated-peer-password"  # invented

    @property
    def credentials(self) -> Mapping[str, str]:
        return {
            "username": self._USER,
            "password": self._PASSWORD,
            "peer_username": self._PEER_USER,
            "peer_password": self._PEER_PASSWORD,
        }

    def settings(self, kind: str = "both") -> dict[str, Any]:
        """Give the settings that connect to it.

        Args:
            kind: ``both`` for the logins of both sites, ``local`` for the one alone.
        """
        names = {"": 4, "both": 4, "local": 2}[kind]
        return {**self._door(), **dict(list(self.credentials.items())[:names])}

    def reset(self) -> None:
        super().reset()
        self._sessions: dict[str, _Session] = {}
        self._pairings: dict[str, SrmPairing] = {}
        self._tasks: dict[str, _Task] = {}
        self._agenda: Agenda[_Task] = Agenda()
        self._local = (_server("vc-a.example", self.new_id()), _server("srm-a.example", self.new_id()))

    # Controls beyond plain values.

    def pair(self, remote: str = "vc-b.example") -> str:
        """Make a pairing that is ready; gives its id."""
        pairing = self._new_pairing(remote, self.new_id())
        self._pairings[pairing.pairing_id or ""] = pairing
        return pairing.pairing_id or ""

    def expire_sessions(self) -> None:
        """End all sessions, and with them the logins at the other site."""
        self._sessions.clear()

    expire_logins = expire_sessions

    def pairing_spec(self) -> PairingSpec:
        return PairingSpec(
            remote_url=f"vc-{self.new_id()[:8]}.example",
            remote_username=self._PEER_USER,
            remote_password=self._PEER_PASSWORD,
            details=SrmPairingSpec(pair_vc_guid=self.new_id()),
        )

    def add_pairings(self, count: int) -> Sequence[str]:
        return [self.pair(f"vc-{number}.example") for number in range(count)]

    def add_task(self, end: TaskStatus = TaskStatus.SUCCESS, seconds: float = 60.0) -> str:
        failure = "The simulated task fails." if end is TaskStatus.ERROR else ""
        pairing, cancelled = self._pairings[self.pair()], end is TaskStatus.CANCELLED
        return self._start("delete", pairing, failure=failure, seconds=seconds, cancelled=cancelled).id

    def refusals(self) -> Mapping[type[ApiError], Response]:
        return {
            AuthenticationError: Response(status_code=401),
            PermissionDeniedError: self._error(403, f"Permission to perform this operation was denied: {_EDIT}"),
            NotFoundError: Response(status_code=404),
            InvalidRequestError: self._error(400, "The request is invalid: pair_psc_info is missing"),
        }

    def forget_tasks(self) -> None:
        """Finish all tasks that are due, and forget every one, as a restarted server does."""
        self._settle()
        self._tasks.clear()
        self._agenda = Agenda()

    def has_pairing(self, pairing_id: str) -> bool:
        """Tell whether a pairing exists now."""
        self._settle()
        return pairing_id in self._pairings

    # Routes.

    def routes(self) -> Sequence[Route]:
        pairing = f"{_BASE}/pairings/{{pairing_id}}"
        return [
            Route(f"{_BASE}/session", self._log_in, methods=["POST"]),
            Route(f"{_BASE}/session", self._who, methods=["GET"]),
            Route(f"{_BASE}/session", self._log_out, methods=["DELETE"]),
            Route(f"{_BASE}/pairings", self._list_pairings, methods=["GET"]),
            Route(f"{_BASE}/pairings", self._create_pairing, methods=["POST"]),
            Route(pairing, self._get_pairing, methods=["GET"]),
            Route(pairing, self._delete_pairing, methods=["DELETE"]),
            Route(f"{pairing}/remote-session", self._log_in_at_peer, methods=["POST"]),
            Route(f"{pairing}/remote-session", self._who_at_peer, methods=["GET"]),
            Route(f"{_BASE}/tasks", self._list_tasks, methods=["GET"]),
            Route(f"{_BASE}/tasks/{{task_id}}", self._get_task, methods=["GET"]),
        ]

    def unknown_route(self) -> Response:
        return Response(status_code=404)

    @documented(Call(answers={200: _SessionGiven}, security=[{"basic": []}]))
    async def _log_in(self, request: Request) -> Response:
        if _basic(request) != (self._USER, self._PASSWORD):
            return Response(status_code=401)
        token = base64.b64encode(self.new_secret().encode()).decode()
        self._sessions[token] = _Session(self._USER, self.clock.monotonic())
        return JSONResponse({"session_id": token})

    @documented(Call(answers={200: _Who}))
    async def _who(self, request: Request) -> Response:
        return JSONResponse({"username": self._session(request).username})

    @documented(Call(answers={204: None}))
    async def _log_out(self, request: Request) -> Response:
        self._session(request)
        del self._sessions[request.headers[SESSION_HEADER]]
        return Response(status_code=204)

    @documented(Call(query=_Wanted, answers={200: _Pairings, 400: ResponseError}))
    async def _list_pairings(self, request: Request) -> Response:
        self._session(request)
        return self._list(request, self._pairings.values(), encode)

    @documented(Call(body=SrmPairingSpec, answers={202: SrmTask, 400: ResponseError, 403: ResponseError}))
    async def _create_pairing(self, request: Request) -> Response:
        self._session(request)
        self._allow(_EDIT)
        spec = self._read_spec(await request.body())
        peer = spec.pair_psc_info
        good = peer is not None and (peer.username, peer.password) == (self._PEER_USER, self._PEER_PASSWORD)
        pairing = self._new_pairing((peer.url if peer else "") or "", spec.pair_vc_guid or "")
        task = self._start("create", pairing, failure="" if good else "The login at the remote site failed.")
        return JSONResponse(self._task_payload(task), 202)

    @documented(Call(answers={200: _DescribedPairing, 404: None}))
    async def _get_pairing(self, request: Request) -> Response:
        self._session(request)
        return JSONResponse({**encode(self._pairing(request)), "_meta": {"errors": []}})

    @documented(Call(answers={202: SrmTask, 403: ResponseError, 404: None}))
    async def _delete_pairing(self, request: Request) -> Response:
        session = self._session(request)
        self._allow(_EDIT)
        pairing = self._pairing(request)
        if self.controls.require_peer_login and pairing.pairing_id not in session.peers:
            return Response(status_code=401)
        return JSONResponse(self._task_payload(self._start("delete", pairing)), 202)

    @documented(Call(answers={204: None, 404: None}, security=[{"session": [], "basic": []}]))
    async def _log_in_at_peer(self, request: Request) -> Response:
        session = self._session(request)
        pairing = self._pairing(request)
        if _basic(request) != (self._PEER_USER, self._PEER_PASSWORD):
            return Response(status_code=401)
        session.peers.add(pairing.pairing_id or "")
        return Response(status_code=204)

    @documented(Call(answers={200: _Who, 404: None}))
    async def _who_at_peer(self, request: Request) -> Response:
        session = self._session(request)
        if self._pairing(request).pairing_id not in session.peers:
            return Response(status_code=401)
        return JSONResponse({"username": self._PEER_USER})

    @documented(Call(query=_Wanted, answers={200: _Tasks, 400: ResponseError}))
    async def _list_tasks(self, request: Request) -> Response:
        self._session(request)
        return self._list(request, self._tasks.values(), self._task_payload)

    @documented(Call(answers={200: _DescribedTask, 404: None}))
    async def _get_task(self, request: Request) -> Response:
        self._session(request)
        task = self._tasks.get(segment(request, "task_id"))
        if task is None:
            return Response(status_code=404)
        return JSONResponse({**self._task_payload(task), "_meta": {"errors": []}})

    # State.

    def _session(self, request: Request) -> _Session:
        """Find the session of a request, and keep it alive; settle what is due before anything is looked at."""
        self._settle()
        now = self.clock.monotonic()
        session = self._sessions.get(request.headers.get(SESSION_HEADER, ""))
        if session is None or now - session.used > self.controls.session_seconds:
            raise Refusal(Response(status_code=401))
        session.used = now
        return session

    def _allow(self, privilege: str) -> None:
        if self.controls.deny == privilege:
            raise Refusal(self._error(403, f"Permission to perform this operation was denied: {privilege}"))

    def _pairing(self, request: Request) -> SrmPairing:
        pairing = self._pairings.get(segment(request, "pairing_id"))
        if pairing is None:
            raise Refusal(Response(status_code=404))
        return pairing

    def _read_spec(self, body: bytes) -> SrmPairingSpec:
        payload = json_object(body)
        if payload is None:
            raise Refusal(self._error(400, "The request body is no JSON object."))
        faults: list[Fault] = []
        spec = decode(SrmPairingSpec, payload, faults)
        faults += faults_of(spec)
        if faults:
            raise Refusal(self._error(400, f"The request is invalid: {faults[0]}"))
        return spec

    def _new_pairing(self, remote: str, remote_guid: str) -> SrmPairing:
        site = remote.partition(".")[2] or remote
        return SrmPairing(
            pairing_id=self.new_id(),
            local_vc_server=self._local[0],
            remote_vc_server=_server(remote, remote_guid),
            local_srm_server=self._local[1],
            remote_srm_server=_server(f"srm-b.{site}", self.new_id()),
        )

    def _start(
        self,
        verb: str,
        pairing: SrmPairing,
        *,
        failure: str = "",
        seconds: float | None = None,
        cancelled: bool | None = None,
    ) -> _Task:
        task = _Task(
            id=self.new_id(),
            description_id=f"{verb}Pairing",
            pairing=pairing,
            queued_ms=self.now_ms(),
            seconds=self.controls.task_seconds if seconds is None else seconds,
            failure=failure or self.controls.fail,
            cancelled=self.controls.cancel if cancelled is None else cancelled,
        )
        self._tasks[task.id] = task
        self._agenda.add(task.queued_ms + task.seconds * 1000, task)
        self._settle()
        return task

    def _settle(self) -> None:
        """Carry out what the tasks that are due by now were for."""
        for task in self._agenda.due(self.now_ms()):
            pairing_id = task.pairing.pairing_id or ""
            if task.failure or task.cancelled:
                continue
            if task.description_id == "createPairing":
                self._pairings[pairing_id] = task.pairing
                task.result = {"pairing_id": pairing_id}
            elif self._pairings.pop(pairing_id, None) is None:
                task.failure = "The pairing does not exist."

    def _elapsed(self, task: _Task) -> float:
        return (self.now_ms() - task.queued_ms) / 1000

    def _task_payload(self, task: _Task) -> dict[str, Any]:
        status, progress = self._progress(task)
        start = task.queued_ms + int(task.seconds * 1000 * _QUEUED_SHARE)
        ended = status in ("SUCCESS", "ERROR", "CANCELLED")
        return encode(
            SrmTask(
                id=task.id,
                status=status,
                description=f"{'Create' if task.description_id == 'createPairing' else 'Delete'} pairing",
                description_id=task.description_id,
                entity=task.pairing.pairing_id,
                entity_name=task.pairing.remote_vc_server.name if task.pairing.remote_vc_server else None,
                progress=progress,
                queued_time=self._time(task.queued_ms),
                start_time=None if status == "QUEUED" else self._time(start),
                complete_time=self._time(task.queued_ms + int(task.seconds * 1000)) if ended else None,
                result=task.result if status == "SUCCESS" else None,
                error=SrmTaskError(message=task.failure, details="simulated") if status == "ERROR" else None,
            )
        )

    def _progress(self, task: _Task) -> tuple[str, int]:
        done = self._elapsed(task) / task.seconds if task.seconds else 1.0
        if done < _QUEUED_SHARE:
            return "QUEUED", 0
        running = int(100 * (done - _QUEUED_SHARE) / (1 - _QUEUED_SHARE))
        if done < 1:
            return "RUNNING", running
        if task.cancelled:
            return "CANCELLED", running if running < 100 else 99
        return ("ERROR", 99) if task.failure else ("SUCCESS", 100)

    def _time(self, milliseconds: int) -> int | str:
        return str(milliseconds) if self.controls.times_as_text else milliseconds

    def _list(self, request: Request, items: Collection[Any], tell: Callable[[Any], Any]) -> Response:
        limit = self._whole(request, "limit", _PAGE)
        offset = self._whole(request, "offset", 0)
        following = offset + limit
        links = {
            "self": self._link(request, limit, offset),
            "next": self._link(request, limit, following) if following < len(items) else None,
            "previous": self._link(request, limit, max(0, offset - limit)) if offset else None,
        }
        meta = {"total": len(items), "offset": offset, "limit": limit, "links": links, "errors": []}
        return JSONResponse({"list": [tell(item) for item in islice(items, offset, following)], "_meta": meta})

    def _link(self, request: Request, limit: int, offset: int) -> dict[str, str]:
        return {"href": f"{self.endpoint}{request.url.path}?limit={limit}&offset={offset}"}

    def _whole(self, request: Request, name: str, default: int) -> int:
        value = request.query_params.get(name, str(default))
        if not (value.isascii() and value.isdigit() and len(value) < 10):
            raise Refusal(self._error(400, f"{name} is no number: {value}"))
        return int(value)

    def _error(self, status: int, message: str) -> Response:
        code = {400: "BAD_REQUEST", 403: "FORBIDDEN"}[status]
        return JSONResponse({"error_code": code, "message": message, "op_id": self.new_id()}, status)


def _basic(request: Request) -> tuple[str, str] | None:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    try:
        name, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:  # no base64, or no text in it
        return None
    return (name, password) if scheme.lower() == "basic" else None


def _server(name: str, guid: str) -> ServerInfo:
    return ServerInfo(id=guid, url=f"https://{name}:443", name=name, server_status="OK", version="9.0.2")
