# ruff: noqa: N815  # the names are the vendor's own, as they stand on the wire
"""A stateful stand-in for AWS Application Migration Service, with the machines whose agents replicate into it.

Paths, fields, status codes and errors are those of the vendor's service model; signatures are verified. Where that is
silent, this does what ``docs/vendors/aws-mgn.md`` marks as inferred. It lives in one region, `REGION`.
"""

from __future__ import annotations

import base64
import hmac
import re
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, TypeAlias, TypeVar

import attrs
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from migrate_aws_mgn import models as m
from migrate_aws_mgn.auth import DATE_FORMAT, SERVICE, SigningKey
from migrate_core.documents import encode, flag, integer, many, one, text, texts
from migrate_core.errors import (
    ApiError,
    AuthenticationError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    OperationNotOfferedError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitedError,
    ServerError,
)
from migrate_core.provider import TaskStatus
from migrate_core.testing.openapi import Call, documented
from migrate_core.testing.simulator import Agenda, Refusal, Simulator, control, json_object

__all__ = ["REGION", "AwsMgnSimulator"]

REGION = "us-east-1"

_ACCOUNT = "123456789012"  # invented
_REQUEST_ID = "00000000-0000-4000-8000-000000000000"  # invented
_PAGE, _LARGEST_PAGE = 50, 1000
_SKEW = timedelta(minutes=5)
_PENDING_SHARE = 0.2
_GIB = 2**30
_SIGNATURE = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/\d{8}/([^/]+)/([^/]+)/aws4_request, ?SignedHeaders=([^,]+), ?Signature=(\w+)"
)
_LAUNCHABLE = ("READY_FOR_TEST", "TESTING", "READY_FOR_CUTOVER", "CUTTING_OVER")
_OPEN = ("TESTING", "CUTTING_OVER", "CUTOVER")

_Body: TypeAlias = Mapping[str, Any]
_T = TypeVar("_T", "_Machine", "_Job")


@attrs.frozen(kw_only=True)
class _Field:
    """A member of a request that is not as it should be."""

    name: str | None = text(required=True)
    message: str | None = text(required=True)


@attrs.frozen(kw_only=True)
class _Refused:
    """A refusal; its name comes in the header ``x-amzn-ErrorType``."""

    message: str | None = text(65535, required=True)
    reason: str | None = text()
    fieldList: tuple[_Field, ...] | None = many(_Field)
    resourceId: str | None = text()
    resourceType: str | None = text()


@attrs.frozen(kw_only=True)
class _SourceServerFilters:
    """Which source servers."""

    sourceServerIDs: tuple[str, ...] | None = texts(200, 24)
    isArchived: bool | None = flag()


@attrs.frozen(kw_only=True)
class _SourceServersWanted:
    """Which source servers, and how many of them."""

    filters: _SourceServerFilters | None = one(_SourceServerFilters)
    maxResults: int | None = integer(_LARGEST_PAGE, 1)
    nextToken: str | None = text(2048)


@attrs.frozen(kw_only=True)
class _SourceServers:
    """A page of source servers."""

    items: tuple[m.MgnSourceServer, ...] | None = many(m.MgnSourceServer, required=True)
    nextToken: str | None = text()


@attrs.frozen(kw_only=True)
class _JobFilters:
    """Which jobs."""

    jobIDs: tuple[str, ...] | None = texts(1000, 24)


@attrs.frozen(kw_only=True)
class _JobsWanted:
    """Which jobs, and how many of them."""

    filters: _JobFilters | None = one(_JobFilters)
    maxResults: int | None = integer(_LARGEST_PAGE, 1)
    nextToken: str | None = text(2048)


@attrs.frozen(kw_only=True)
class _Jobs:
    """A page of jobs."""

    items: tuple[m.MgnJob, ...] | None = many(m.MgnJob, required=True)
    nextToken: str | None = text()


@attrs.frozen(kw_only=True)
class _LogWanted:
    """Which lines of which job's log."""

    jobID: str | None = text(24, 24, required=True)
    maxResults: int | None = integer(_LARGEST_PAGE, 1)
    nextToken: str | None = text(2048)


@attrs.frozen(kw_only=True)
class _Log:
    """Lines of a job's log."""

    items: tuple[m.JobLog, ...] | None = many(m.JobLog, required=True)
    nextToken: str | None = text()


@attrs.frozen(kw_only=True)
class _One:
    """Which source server."""

    sourceServerID: str | None = text(19, 19, required=True)


@attrs.frozen(kw_only=True)
class _Several:
    """Which source servers a job is for."""

    sourceServerIDs: tuple[str, ...] | None = texts(200, 24)


@attrs.frozen(kw_only=True)
class _Begun:
    """The job that was begun."""

    job: m.MgnJob | None = one(m.MgnJob, required=True)


@attrs.frozen(kw_only=True)
class _NextState:
    """The state to set."""

    state: str | None = text(values=("READY_FOR_TEST", "READY_FOR_CUTOVER", "CUTOVER"), required=True)


@attrs.frozen(kw_only=True)
class _StateWanted:
    """Which state a source server shall have."""

    sourceServerID: str | None = text(19, 19, required=True)
    lifeCycle: _NextState | None = one(_NextState, required=True)


_GONE: Mapping[int, type] = {404: _Refused, 409: _Refused}
_ON_ONE = Call(body=_One, answers={200: m.MgnSourceServer, **_GONE})
_ON_SEVERAL = Call(body=_Several, answers={202: _Begun, **_GONE})


@attrs.define
class AwsMgnControls:
    """How the simulator behaves."""

    machines: int = control(0, "how many machines have enrolled themselves, at least")
    sync_seconds: float = control(0.0, "how long the first copy of a machine takes after it has enrolled")
    task_seconds: float = control(60.0, "how long a job takes, a fifth of it pending")
    fail: str = control("", "the error with which new jobs fail")
    cancel: bool = control(False, "whether new jobs are cancelled in the end")
    initialized: bool = control(True, "whether the account has ever used the service in this region")
    deny: str = control("", "an action, such as mgn:DeleteSourceServer, to refuse with 403")


@attrs.define
class _Machine:
    """A source server; while `state` is empty, what it is follows from the clock."""

    id: str
    number: int
    enrolled: datetime
    sync_seconds: float
    state: str = ""
    connected: bool = True
    archived: bool = False
    launched: m.LaunchedInstance | None = None
    test: m.LifeCycleLastTest = m.LifeCycleLastTest()
    cutover: m.LifeCycleLastCutover = m.LifeCycleLastCutover()


@attrs.define
class _Job:
    """A job, whose state follows from the clock until it has ended; `instances` are by source server."""

    id: str
    number: int
    type: str
    initiated_by: str
    machines: tuple[_Machine, ...]
    instances: Mapping[str, str]
    begun: datetime
    seconds: float
    end: TaskStatus
    failure: str

    @property
    def ended(self) -> datetime:
        """When it ends, or has ended."""
        return self.begun + timedelta(seconds=self.seconds)


@attrs.frozen
class _Line:
    """A line of a job's log."""

    number: int
    log: m.JobLog

    def told(self) -> dict[str, Any]:
        return encode(self.log)


@attrs.frozen
class _Key:
    secret: str
    expires: datetime | None = None


class AwsMgnSimulator(Simulator):
    """Application Migration Service in memory."""

    name = "aws_mgn"
    controls_type = AwsMgnControls
    controls: AwsMgnControls
    kinds = ("key", "session")
    task_ends = (TaskStatus.SUCCESS, TaskStatus.ERROR, TaskStatus.CANCELLED)
    security: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "signature": {"type": "apiKey", "in": "header", "name": "Authorization"}
    }
    answers: ClassVar[Mapping[int, type | None]] = {400: _Refused, 403: _Refused}

    _KEY = ("AKIASIMULATED0000001", "simulated-secret-key-of-a-user")  # invented
    _SESSION = ("ASIASIMULATED0000002", "simulated-secret-key-of-a-role", "simulated-session-token")  # invented

    @property
    def credentials(self) -> Mapping[str, str]:
        access, secret = self._KEY
        return {"region": REGION, "access_key": access, "secret_key": secret}

    def settings(self, kind: str = "key") -> dict[str, Any]:
        """Give the settings that connect to it.

        Args:
            kind: ``key`` for the keys of a user, ``session`` for temporary ones with a session token.
        """
        names = ("access_key", "secret_key", "session_token")
        given = {"": self._KEY, "key": self._KEY, "session": self._SESSION}[kind]
        return {**self._door(), "region": REGION, **dict(zip(names, given, strict=False))}

    def reset(self) -> None:
        super().reset()
        self._machines: dict[str, _Machine] = {}
        self._jobs: dict[str, _Job] = {}
        self._agenda: Agenda[_Job] = Agenda()
        self._enrolled = self._begun = 0
        access, secret, token = self._SESSION
        self._keys = {(self._KEY[0], ""): _Key(self._KEY[1]), (access, token): _Key(secret)}

    # Controls beyond plain values.

    def enroll(self) -> str:
        """Install the agent on another machine, which begins to replicate; gives the id of its source server."""
        self._enrolled += 1
        machine = _Machine(self._id("s"), self._enrolled, self.clock.now(), self.controls.sync_seconds)
        self._machines[machine.id] = machine
        return machine.id

    def issue_session(self, seconds: float) -> Mapping[str, Any]:
        """Hand out temporary keys, as a role does.

        Args:
            seconds: how long they hold.

        Returns:
            What a ``credential_process`` prints.
        """
        access, secret, token = f"ASIA{self.new_id()[:16].upper()}", self.new_secret(), self.new_secret()
        expires = self.clock.now() + timedelta(seconds=seconds)
        self._keys[access, token] = _Key(secret, expires)
        told = {"AccessKeyId": access, "SecretAccessKey": secret, "SessionToken": token}
        return {"Version": 1, **told, "Expiration": _text(expires)}

    def add_sources(self, count: int) -> Sequence[str]:
        return [self.enroll() for _ in range(count)]

    def add_task(self, end: TaskStatus = TaskStatus.SUCCESS, seconds: float = 60.0) -> str:
        machine = self._machines[self.enroll()]
        return self._begin("LAUNCH", "START_TEST", [machine], seconds=seconds, end=end).id

    def forget_tasks(self) -> None:
        """Finish all jobs that are due, and forget every one."""
        self._settle()
        self._jobs.clear()
        self._agenda = Agenda()

    def expire_logins(self) -> None:
        """End the temporary keys that were handed out; a user's keys have no end."""
        for who, key in self._keys.items():
            if key.expires:
                self._keys[who] = attrs.evolve(key, expires=self.clock.now())

    def refusals(self) -> Mapping[type[ApiError], Response]:
        return {
            AuthenticationError: _refused(403, "UnrecognizedClientException", "The security token is invalid."),
            PermissionDeniedError: _denied("mgn:DescribeJobs"),
            OperationNotOfferedError: _refused(400, "UninitializedAccountException", "Account not initialized"),
            NotFoundError: _not_found("s-00000000000000000"),
            ConflictError: _conflict("s-00000000000000000", "The source server is replicating."),
            InvalidRequestError: _invalid("sourceServerID", "has not the form of an id"),
            RateLimitedError: _refused(429, "ThrottlingException", "Rate exceeded", retry_after="1"),
            QuotaExceededError: _refused(402, "ServiceQuotaExceededException", "Too many source servers", quotaValue=1),
            ServerError: _refused(500, "InternalServerException", "Internal failure"),
        }

    # Routes.

    def routes(self) -> Sequence[Route]:
        actions: Mapping[str, tuple[Callable[[_Body], Any], Call]] = {
            "DescribeSourceServers": (
                self._describe_source_servers,
                Call(body=_SourceServersWanted, answers={200: _SourceServers}),
            ),
            "DisconnectFromService": (self._disconnect, _ON_ONE),
            "DeleteSourceServer": (self._delete, Call(body=_One, answers={204: None, **_GONE})),
            "DescribeJobs": (self._describe_jobs, Call(body=_JobsWanted, answers={200: _Jobs})),
            "DescribeJobLogItems": (self._describe_job_log_items, Call(body=_LogWanted, answers={200: _Log})),
            "StartTest": (self._start_test, _ON_SEVERAL),
            "StartCutover": (self._start_cutover, _ON_SEVERAL),
            "TerminateTargetInstances": (self._terminate, _ON_SEVERAL),
            "ChangeServerLifeCycleState": (
                self._change_state,
                Call(body=_StateWanted, answers={200: m.MgnSourceServer, **_GONE}),
            ),
            "FinalizeCutover": (self._finalize, _ON_ONE),
            "MarkAsArchived": (self._archive, _ON_ONE),
        }
        return [
            Route(f"/{name}", self._route(name, action, call), methods=["POST"], name=name)
            for name, (action, call) in actions.items()
        ]

    def unknown_route(self) -> Response:
        return _refused(404, "UnknownOperationException", "")

    def _route(self, name: str, action: Callable[[_Body], Any], call: Call) -> Callable[[Request], Awaitable[Response]]:
        """Make a route of an action: for those who sign, and may, after what is due has happened."""
        status = min(call.answers)

        @documented(call)
        async def route(request: Request) -> Response:
            content = await request.body()
            self._let_in(request, content)
            if self.controls.deny == f"mgn:{name}":
                raise Refusal(_denied(f"mgn:{name}"))
            if not self.controls.initialized:
                raise Refusal(_refused(400, "UninitializedAccountException", "Account not initialized"))
            self._settle()
            payload = action(_object(content))
            return Response(status_code=status) if payload is None else JSONResponse(payload, status)

        return route

    def _describe_source_servers(self, body: _Body) -> _Body:
        filters = _filters(body)
        wanted, archived = filters.get("sourceServerIDs"), filters.get("isArchived")
        for identity in wanted or ():
            _formed(identity, "s", "filters.sourceServerIDs")
        found = [machine for machine in _chosen(self._machines, wanted) if archived in (None, machine.archived)]
        return self._page(body, found, self._described)

    def _describe_jobs(self, body: _Body) -> _Body:
        wanted = _filters(body).get("jobIDs")
        for identity in wanted or ():
            _formed(identity, "mgnjob", "filters.jobIDs")
        return self._page(body, _chosen(self._jobs, wanted)[::-1], self._told, newest_first=True)

    def _describe_job_log_items(self, body: _Body) -> _Body:
        job = self._jobs.get(_formed(body.get("jobID"), "mgnjob", "jobID"))
        return self._page(body, [_Line(*line) for line in enumerate(self._log(job), 1)] if job else [], _Line.told)

    def _disconnect(self, body: _Body) -> _Body:
        machine = self._machine(body)
        if not machine.connected:
            raise Refusal(_conflict(machine.id, f"{machine.id} is disconnected already."))
        machine.connected, machine.state = False, "DISCONNECTED"
        return self._described(machine)

    def _delete(self, body: _Body) -> None:
        machine = self._machine(body)
        if machine.connected:
            raise Refusal(_conflict(machine.id, f"{machine.id} is replicating, and cannot be deleted."))
        del self._machines[machine.id]

    def _start_test(self, body: _Body) -> _Body:
        machines = self._several(body, _LAUNCHABLE[:3])
        job = self._begin("LAUNCH", "START_TEST", machines)
        for machine in machines:
            begun = m.LifeCycleLastTestInitiated(apiCallDateTime=_text(job.begun), jobID=job.id)
            machine.state, machine.test = "TESTING", m.LifeCycleLastTest(initiated=begun)
        return {"job": self._told(job)}

    def _start_cutover(self, body: _Body) -> _Body:
        machines = self._several(body, _LAUNCHABLE[2:])
        job = self._begin("LAUNCH", "START_CUTOVER", machines)
        for machine in machines:
            begun = m.LifeCycleLastCutoverInitiated(apiCallDateTime=_text(job.begun), jobID=job.id)
            machine.state, machine.cutover = "CUTTING_OVER", m.LifeCycleLastCutover(initiated=begun)
        return {"job": self._told(job)}

    def _terminate(self, body: _Body) -> _Body:
        machines = self._several(body, [state for state in m.LIFE_CYCLE_STATES if state not in _OPEN])
        for machine in machines:
            if machine.launched is None:
                raise Refusal(_conflict(machine.id, f"{machine.id} has no instance."))
        return {"job": self._told(self._begin("TERMINATE", "TERMINATE", machines))}

    def _change_state(self, body: _Body) -> _Body:
        machine, life = self._machine(body), body.get("lifeCycle")
        wanted = life.get("state") if isinstance(life, dict) else None
        if wanted not in ("READY_FOR_TEST", "READY_FOR_CUTOVER", "CUTOVER"):
            raise Refusal(_invalid("lifeCycle.state", "is none of the states that can be set"))
        if self._state(machine) not in _LAUNCHABLE:
            raise Refusal(_conflict(machine.id, f"{machine.id} cannot be launched from."))
        machine.state = wanted
        return self._described(machine)

    def _finalize(self, body: _Body) -> _Body:
        machine = self._machine(body)
        begun = machine.cutover.initiated
        if (
            machine.state != "CUTTING_OVER"
            or not begun
            or not machine.launched
            or machine.launched.jobID != begun.jobID
        ):
            raise Refusal(_conflict(machine.id, f"{machine.id} has no cutover instance."))
        done = m.LifeCycleLastCutoverFinalized(apiCallDateTime=_text(self.clock.now()))
        machine.cutover = attrs.evolve(machine.cutover, finalized=done)
        machine.connected, machine.state = False, "CUTOVER"
        return self._described(machine)

    def _archive(self, body: _Body) -> _Body:
        machine = self._machine(body)
        if machine.state not in ("DISCONNECTED", "CUTOVER"):
            raise Refusal(_conflict(machine.id, f"{machine.id} is neither disconnected nor cut over."))
        machine.archived = True
        return self._described(machine)

    # Signatures.

    def _let_in(self, request: Request, content: bytes) -> None:
        given = _SIGNATURE.fullmatch(request.headers.get("authorization", ""))
        if not given:
            raise Refusal(_refused(403, "MissingAuthenticationTokenException", "Missing Authentication Token"))
        access, region, service, names, signature = given.groups()
        key = self._keys.get((access, request.headers.get("x-amz-security-token", "")))
        if key is None:
            raise Refusal(self.refusals()[AuthenticationError])
        if key.expires and key.expires <= self.clock.now():
            raise Refusal(
                _refused(403, "ExpiredTokenException", "The security token included in the request is expired")
            )
        date = request.headers.get("x-amz-date", "")
        if (region, service) != (REGION, SERVICE) or not self._is_recent(date):
            raise Refusal(_refused(403, "InvalidSignatureException", "Signature expired, or scoped to somewhere else"))
        signed = AWSRequest(
            method=request.method,
            url=f"{self.endpoint}{request.scope['raw_path'].decode('latin-1')}?{request.url.query}",
            headers={name: request.headers.get(name, "") for name in names.split(";")},
            data=content,
        )
        right = SigningKey(access, key.secret).authorization(signed, region=region, date=date)
        if not hmac.compare_digest(right.rpartition("=")[2].encode(), signature.encode()):
            message = "The request signature we calculated does not match the signature you provided."
            raise Refusal(_refused(403, "InvalidSignatureException", message))

    def _is_recent(self, date: str) -> bool:
        try:
            signed_at = datetime.strptime(date, DATE_FORMAT).replace(tzinfo=UTC)
        except ValueError:
            return False
        return abs(self.clock.now() - signed_at) <= _SKEW

    # State.

    def _id(self, prefix: str) -> str:
        return f"{prefix}-{self._random.getrandbits(68):017x}"

    def _machine(self, body: _Body) -> _Machine:
        machine = self._machines.get(_formed(body.get("sourceServerID"), "s", "sourceServerID"))
        if machine is None:
            raise Refusal(_not_found(body["sourceServerID"]))
        return machine

    def _several(self, body: _Body, states: Iterable[str]) -> list[_Machine]:
        """Find the machines that a job is for, all in one of `states`."""
        wanted = body.get("sourceServerIDs")
        if not isinstance(wanted, list) or not wanted:
            raise Refusal(_invalid("sourceServerIDs", "is no list of ids"))
        machines = [self._machine({"sourceServerID": identity}) for identity in wanted]
        for machine in machines:
            if (state := self._state(machine)) not in states:
                raise Refusal(_conflict(machine.id, f"{machine.id} is {state}."))
        return machines

    def _begin(
        self,
        kind: str,
        initiated_by: str,
        machines: Sequence[_Machine],
        *,
        seconds: float | None = None,
        end: TaskStatus | None = None,
    ) -> _Job:
        controls = self.controls
        usual = TaskStatus.CANCELLED if controls.cancel else TaskStatus.ERROR if controls.fail else TaskStatus.SUCCESS
        self._begun += 1
        job = _Job(
            id=self._id("mgnjob"),
            number=self._begun,
            type=kind,
            initiated_by=initiated_by,
            machines=tuple(machines),
            instances={machine.id: self._instance(machine, kind) for machine in machines},
            begun=self.clock.now(),
            seconds=controls.task_seconds if seconds is None else seconds,
            end=end or usual,
            failure=controls.fail or "The simulated job fails.",
        )
        self._jobs[job.id] = job
        self._agenda.add(job.ended, job)
        self._settle()
        return job

    def _instance(self, machine: _Machine, kind: str) -> str:
        """Name the instance that a job terminates, or will launch."""
        old = machine.launched.ec2InstanceID if machine.launched else None
        return old if old and kind == "TERMINATE" else self._id("i")

    def _settle(self) -> None:
        """Enrol the machines that are due by now, and carry out the jobs."""
        while self._enrolled < self.controls.machines:
            self.enroll()
        for job in self._agenda.due(self.clock.now()):
            for machine in job.machines if job.end is TaskStatus.SUCCESS else ():
                machine.launched = self._launched(job, machine) if job.type == "LAUNCH" else None

    def _launched(self, job: _Job, machine: _Machine) -> m.LaunchedInstance:
        at = int(job.ended.timestamp())
        check = m.LastKnownCheck(type="EC2", name="reachability", status="PASSED", checkedAt=at)
        return m.LaunchedInstance(
            ec2InstanceID=job.instances[machine.id], jobID=job.id, firstBoot="SUCCEEDED", lastKnownChecks=(check,)
        )

    def _share(self, job: _Job) -> float:
        return min(_since(job.begun, self.clock.now()) / job.seconds, 1.0) if job.seconds else 1.0

    # What is told.

    def _page(
        self, body: _Body, found: Sequence[Any], tell: Callable[[Any], Any], *, newest_first: bool = False
    ) -> _Body:
        """Cut a page out of what was found, in the order of its numbers; a token says after which one to go on."""
        size = body.get("maxResults", _PAGE)
        if not isinstance(size, int) or not 1 <= size <= _LARGEST_PAGE:
            raise Refusal(_invalid("maxResults", f"is not between 1 and {_LARGEST_PAGE}"))
        after, sign = _number(body.get("nextToken")), -1 if newest_first else 1
        begin = 0 if after is None else bisect_right(found, after, key=lambda one: sign * one.number)
        chosen = found[begin : begin + size]
        page = {"items": [tell(one) for one in chosen]}
        if begin + size >= len(found):
            return page
        return {**page, "nextToken": base64.urlsafe_b64encode(str(sign * chosen[-1].number).encode()).decode()}

    def _told(self, job: _Job) -> dict[str, Any]:
        share = self._share(job)
        over, pending = share == 1, share < _PENDING_SHARE
        done = "TERMINATED" if job.type == "TERMINATE" else "LAUNCHED"
        launch = (
            (done if job.end is TaskStatus.SUCCESS else "FAILED") if over else "PENDING" if pending else "IN_PROGRESS"
        )
        servers = [
            m.ParticipatingServer(
                sourceServerID=machine.id,
                launchStatus=launch,
                launchedEc2InstanceID=job.instances[machine.id] if launch == done else None,
            )
            for machine in job.machines
        ]
        return encode(
            m.MgnJob(
                jobID=job.id,
                arn=f"arn:aws:mgn:{REGION}:{_ACCOUNT}:job/{job.id}",
                type=job.type,
                initiatedBy=job.initiated_by,
                creationDateTime=_text(job.begun),
                endDateTime=_text(job.ended) if over else None,
                status="COMPLETED" if over else "PENDING" if pending else "STARTED",
                participatingServers=tuple(servers),
                tags={},
            )
        )

    def _log(self, job: _Job) -> list[m.JobLog]:
        """Tell what a job has done so far."""
        begun, ended = _text(job.begun), _text(job.ended)
        share = self._share(job)
        lines = [m.JobLog(logDateTime=begun, event="JOB_START", eventData=m.JobLogEventData())]
        step = "LAUNCH_START" if job.type == "LAUNCH" else "CLEANUP_START"
        failed = "LAUNCH_FAILED" if job.type == "LAUNCH" else "CLEANUP_FAIL"
        for machine in job.machines if share >= _PENDING_SHARE else ():
            about = m.JobLogEventData(sourceServerID=machine.id)
            lines.append(m.JobLog(logDateTime=begun, event=step, eventData=about))
            if share == 1 and job.end is TaskStatus.ERROR:
                told = attrs.evolve(about, rawError=job.failure)
                lines.append(m.JobLog(logDateTime=ended, event=failed, eventData=told))
        if share == 1:
            last = ("JOB_CANCEL", "JOB_END") if job.end is TaskStatus.CANCELLED else ("JOB_END",)
            lines += [m.JobLog(logDateTime=ended, event=event, eventData=m.JobLogEventData()) for event in last]
        return lines

    def _copied(self, machine: _Machine) -> float:
        """Tell what share of a machine is replicated."""
        elapsed = _since(machine.enrolled, self.clock.now())
        return min(elapsed / machine.sync_seconds, 1.0) if machine.sync_seconds else 1.0

    def _state(self, machine: _Machine) -> str:
        return machine.state or ("READY_FOR_TEST" if self._copied(machine) == 1 else "NOT_READY")

    def _described(self, machine: _Machine) -> dict[str, Any]:
        arn = f"arn:aws:mgn:{REGION}:{_ACCOUNT}:source-server/{machine.id}"
        return encode(
            m.MgnSourceServer(
                sourceServerID=machine.id,
                arn=arn,
                isArchived=machine.archived,
                tags={"resourceArn": arn},
                launchedInstance=machine.launched or m.LaunchedInstance(),
                dataReplicationInfo=self._replication(machine),
                lifeCycle=self._life_cycle(machine),
                sourceProperties=_properties(machine),
                replicationType="AGENT_BASED",
            )
        )

    def _replication(self, machine: _Machine) -> m.DataReplicationInfo:
        share = self._copied(machine)
        ready = machine.enrolled + timedelta(seconds=machine.sync_seconds)
        state = ("CONTINUOUS" if share == 1 else "INITIAL_SYNC") if machine.connected else "DISCONNECTED"
        begun = "SUCCEEDED" if machine.connected else "NOT_STARTED"
        steps = tuple(m.DataReplicationInitiationStep(name=name, status=begun) for name in m.STEPS[:11])
        return m.DataReplicationInfo(
            dataReplicationState=state,
            lagDuration="P0D" if state == "CONTINUOUS" else None,
            etaDateTime=_text(ready) if state == "INITIAL_SYNC" else None,
            lastSnapshotDateTime=_text(ready) if share == 1 else None,
            dataReplicationInitiation=m.DataReplicationInitiation(startDateTime=_text(machine.enrolled), steps=steps),
            replicatedDisks=tuple(
                m.DataReplicationInfoReplicatedDisk(
                    deviceName=name,
                    totalStorageBytes=size if machine.connected else 0,
                    replicatedStorageBytes=int(size * share),
                    rescannedStorageBytes=0,
                    backloggedStorageBytes=0,
                )
                for name, size in _disks(machine)
            ),
        )

    def _life_cycle(self, machine: _Machine) -> m.LifeCycle:
        elapsed = _since(machine.enrolled, self.clock.now())
        return m.LifeCycle(
            addedToServiceDateTime=_text(machine.enrolled),
            firstByteDateTime=_text(machine.enrolled),
            elapsedReplicationDuration=f"PT{elapsed:.6f}S",
            lastSeenByServiceDateTime=_text(self.clock.now()),
            lastTest=machine.test,
            lastCutover=machine.cutover,
            state=self._state(machine),
        )


def _properties(machine: _Machine) -> m.SourceProperties:
    """Invent a machine: each second one runs Windows."""
    windows = machine.number % 2 == 0
    system = "Microsoft Windows Server 2022 Datacenter" if windows else "Linux version 5.15.0-generic (Ubuntu)"
    host = f"{'app' if windows else 'web'}-{machine.number}"
    number = machine.number % 250 + 1
    return m.SourceProperties(
        lastUpdatedDateTime=_text(machine.enrolled),
        recommendedInstanceType="m5.large",
        identificationHints=m.IdentificationHints(fqdn=f"{host}.example", hostname=host),
        networkInterfaces=(
            m.NetworkInterface(macAddress=f"0A-00-00-00-00-{number:02X}", ips=(f"192.0.2.{number}",), isPrimary=True),
        ),
        disks=tuple(m.MgnDisk(deviceName=name, bytes=size) for name, size in _disks(machine)),
        cpus=(m.CPU(cores=2, modelName="Simulated"), m.CPU(cores=2, modelName="Simulated")),
        ramBytes=8 * _GIB,
        os=m.OS(fullString=system),
    )


def _chosen(things: Mapping[str, _T], wanted: Sequence[str] | None) -> list[_T]:
    """Give all things, or those that are wanted, in their order."""
    if not wanted:
        return list(things.values())
    return sorted((things[one] for one in set(wanted) & things.keys()), key=lambda thing: thing.number)


def _disks(machine: _Machine) -> Sequence[tuple[str, int]]:
    names = ("c:0", "d:0") if machine.number % 2 == 0 else ("/dev/sda", "/dev/sdb")
    return tuple(zip(names, (40 * _GIB, 200 * _GIB), strict=True))


def _since(begun: datetime, now: datetime) -> float:
    return (now - begun).total_seconds()


def _text(moment: datetime) -> str:
    """Write a time as the service does: with an offset, where its own model would have a ``Z``."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _object(content: bytes) -> _Body:
    body = json_object(content or b"{}")
    if body is None:
        raise Refusal(_refused(400, "ValidationException", "The request is no JSON object.", reason="cannotParse"))
    return body


def _filters(body: _Body) -> _Body:
    filters = {} if body.get("filters") is None else body["filters"]
    if not isinstance(filters, dict):
        raise Refusal(_invalid("filters", "is no object"))
    for name in ("sourceServerIDs", "jobIDs"):
        if not isinstance(filters.get(name) or [], list):
            raise Refusal(_invalid(f"filters.{name}", "is no list of ids"))
    return filters


def _formed(identity: Any, prefix: str, field: str) -> str:
    if not isinstance(identity, str) or not re.fullmatch(f"{prefix}-[0-9a-zA-Z]{{17}}", identity):
        raise Refusal(_invalid(field, "has not the form of an id"))
    return identity


def _number(token: Any) -> int | None:
    try:
        return None if token is None else int(base64.urlsafe_b64decode(token))
    except (TypeError, ValueError):
        raise Refusal(_invalid("nextToken", "is none of ours")) from None


def _refused(status: int, code: str, message: str, *, retry_after: str = "", **more: Any) -> Response:
    headers = {"x-amzn-ErrorType": code, "x-amzn-RequestId": _REQUEST_ID}
    if retry_after:
        headers["Retry-After"] = retry_after
    return JSONResponse({"message": message, **more}, status, headers=headers)


def _denied(action: str) -> Response:
    who = f"arn:aws:iam::{_ACCOUNT}:user/simulated"
    return _refused(403, "AccessDeniedException", f"User: {who} is not authorized to perform: {action}")


def _not_found(identity: str) -> Response:
    message = f"{identity} does not exist."
    return _refused(404, "ResourceNotFoundException", message, resourceId=identity, resourceType="SourceServer")


def _conflict(identity: str, message: str) -> Response:
    return _refused(409, "ConflictException", message, resourceId=identity, resourceType="SourceServer")


def _invalid(field: str, message: str) -> Response:
    fields = [{"name": field, "message": message}]
    return _refused(400, "ValidationException", f"{field} {message}", reason="fieldValidationFailed", fieldList=fields)
