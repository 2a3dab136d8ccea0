"""What happens around a flow: retries, deadlines, one login for all who wait, and the end of a client.

A small provider talks through a transport that answers from a script; what is observed is what the transport is given
and what the caller gets. Both clients go through the same tests.
"""

from __future__ import annotations

import asyncio
import itertools
import pickle
import threading
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, ClassVar, TypeAlias

import attrs
import pytest

import migrate_core as mc
from migrate_core.clock import Deadline
from migrate_core.errors import error_class_for
from migrate_core.operations import Capability, Operation, Support
from migrate_core.provider import (
    BaseProvider,
    CredentialsRenewed,
    Flow,
    Page,
    Request,
    Response,
    Settings,
    TaskInfo,
    TaskStatus,
    setting,
    url_path,
)
from migrate_core.testing import VirtualClock
from support import Caller

ORIGIN = "https://tiny.invalid"
PATIENCE = 50.0
"""Real seconds after which a test that waits for another thread fails."""

Outcome: TypeAlias = Response | BaseException


# The transport: a script, and a door to it for each client.


class Script:
    """Answers requests: by `answer`, after the outcomes in `queue` are used up.

    Attributes:
        requests: what was sent.
        left: how many seconds each request had left.
        closed: how often the transport was closed.
    """

    def __init__(self, *queue: Outcome, answer: Callable[[Request], Outcome] | None = None) -> None:
        self.queue = list(queue)
        self.requests: list[Request] = []
        self.left: list[float] = []
        self.closed = 0
        self._answer = answer or (lambda request: ok(request.path.rpartition("/")[2]))

    def play(self, request: Request, deadline: Deadline) -> Response:
        self.requests.append(request)
        self.left.append(deadline.remaining())
        outcome = self.queue.pop(0) if self.queue else self._answer(request)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    @property
    def lines(self) -> list[str]:
        return [f"{request.method} {request.path}" for request in self.requests]


class Door:
    def __init__(self, script: Script) -> None:
        self._script = script

    def send(self, request: Request, deadline: Deadline) -> Response:
        return self._script.play(request, deadline)

    def close(self) -> None:
        self._script.closed += 1


class AsyncDoor:
    """Lets other coroutines run first, as a network does."""

    def __init__(self, script: Script) -> None:
        self._script = script

    async def send(self, request: Request, deadline: Deadline) -> Response:
        await asyncio.sleep(0)
        return self._script.play(request, deadline)

    async def close(self) -> None:
        self._script.closed += 1


class HeldDoor(AsyncDoor):
    """Holds the first request to `path` until it is let go on."""

    def __init__(self, script: Script, path: str) -> None:
        super().__init__(script)
        self._path: str | None = path
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()

    async def send(self, request: Request, deadline: Deadline) -> Response:
        if request.path == self._path:
            self._path = None
            self.reached.set()
            await self.go_on.wait()
        return await super().send(request, deadline)


def ok(text: str = "", status: int = 200) -> Response:
    return Response(status=status, body=text.encode())


def refusal(status: int, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status=status, headers=named, body=b"no")


# The provider.


@attrs.frozen(kw_only=True)
class TinySettings(Settings):
    password: str = setting("opensesame", doc="Password.", secret=True)


class Tiny(BaseProvider):
    """A provider without logins: each operation is one request.

    Attributes:
        told: what its flows noted.
    """

    name = "tiny"
    settings_type = TinySettings
    capabilities: ClassVar[Mapping[Operation, Capability]] = {
        Operation.REGISTER_SOURCE: Capability(Support.FULL, options=("force",)),
        Operation.DESCRIBE_SOURCE: Capability(Support.FULL),
        Operation.LIST_SOURCES: Capability(Support.FULL),
        Operation.DELETE_SOURCE: Capability(Support.FULL),
        Operation.CREATE_PAIRING: Capability(Support.UNSUPPORTED, "there is but one site"),
        Operation.GET_TASK: Capability(Support.FULL),
    }

    def __init__(self, settings: TinySettings | None = None) -> None:
        super().__init__(settings or TinySettings())
        self.told: list[str] = []

    def endpoints(self) -> Mapping[str, str]:
        return {"main": ORIGIN}

    def error_from(self, response: Response) -> mc.ApiError:
        cls = error_class_for(response.status)
        return cls(response.body.decode(), provider=self.name, status=response.status)

    def register_source(self, spec: mc.SourceSpec) -> Flow[TaskInfo]:
        response = yield Request(method="POST", path="/sources", body=spec.name.encode(), repeatable=False)
        return TaskInfo.finished(Operation.REGISTER_SOURCE, result=response.body.decode())

    def describe_source(self, source_id: str) -> Flow[mc.SourceServer]:
        response = yield Request(method="GET", path=url_path("sources", source_id), repeatable=True)
        return mc.SourceServer(id=source_id, provider=self.name, name=response.body.decode())

    def list_sources(self, cursor: str | None) -> Flow[Page[mc.SourceServer]]:
        response = yield Request(method="GET", path="/sources", query=(("at", cursor or "0"),), repeatable=True)
        ids, _, following = response.body.decode().partition("|")
        return Page(tuple(mc.SourceServer(id=one, provider=self.name) for one in ids.split()), following or None)

    def delete_source(self, source_id: str) -> Flow[TaskInfo]:
        yield Request(method="DELETE", path=url_path("sources", source_id), repeatable=False)
        return TaskInfo.finished(Operation.DELETE_SOURCE, entity_id=source_id)

    def get_task(self, last: TaskInfo) -> Flow[TaskInfo]:
        response = yield Request(method="GET", path=url_path("tasks", last.id), repeatable=True)
        return TaskInfo(id=last.id, status=TaskStatus(response.body.decode()))


class LoggedIn(Tiny):
    """The same with a login, which is a token that expires after an hour by the provider's own account.

    Args:
        renewable: whether it can log in again.
        logged_in: whether it has a token to begin with.
    """

    def __init__(self, *, renewable: bool = True, logged_in: bool = True, timeout: float = 30.0) -> None:
        super().__init__(TinySettings(timeout=timeout))
        self._renewable = renewable
        self.token = "first" if logged_in else ""
        self.expires: datetime | None = None

    def has_credentials(self, now: datetime) -> bool:
        return bool(self.token) and (self.expires is None or now < self.expires)

    def can_renew(self) -> bool:
        return self._renewable

    def refresh_credentials(self) -> Flow[None]:
        response = yield Request(method="POST", path="/login", body=b"opensesame", repeatable=True)
        self.token = response.body.decode()

    def authenticate(self, request: Request, *, origin: str, now: datetime) -> Mapping[str, str]:
        return {"Authorization": f"{self.token} for {origin} at {now:%H:%M}"}

    def close_session(self) -> Flow[None]:
        if self.token:
            token, self.token = self.token, ""
            yield Request(method="DELETE", path="/login", headers={"Authorization": token}, repeatable=True)


def token_of(request: Request) -> str:
    return request.headers.get("Authorization", "").partition(" ")[0]


class Site:
    """A service that accepts the tokens which it has given and not forgotten."""

    def __init__(self, *valid: str, refuses_logins: bool = False) -> None:
        self.valid = set(valid)
        self.logins = 0
        self.refuses_logins = refuses_logins

    def __call__(self, request: Request) -> Response:
        if request.path == "/login" and request.method == "POST":
            self.logins += 1
            if self.refuses_logins:
                return refusal(401)
            token = f"token-{self.logins}"
            self.valid = {token}
            return ok(token)
        return ok(request.path.rpartition("/")[2]) if token_of(request) in self.valid else refusal(401)


# What the tests share.


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


Connect: TypeAlias = Callable[..., Any]


@pytest.fixture
def connect(caller: Caller, clock: VirtualClock) -> Connect:
    """Make a client of either kind from a provider and a script."""

    def make(provider: BaseProvider, script: Script) -> Any:
        if caller.kind == "async":
            return mc.AsyncClient(provider, AsyncDoor(script), clock)
        return mc.Client(provider, Door(script), clock)

    return make


def aged(clock: VirtualClock, seconds: float, outcome: Outcome) -> Callable[[Request], Outcome]:
    """Answer with `outcome`, each time after `seconds`."""

    def answer(_: Request) -> Outcome:
        clock.advance(seconds)
        return outcome

    return answer


LOST = mc.ResponseLostError("the line went dead")
NOT_SENT = mc.RequestNotSentError("nobody listens")


# What is sent again, and what is not.


@pytest.mark.parametrize(
    "passing",
    [NOT_SENT, LOST, refusal(500), refusal(503), refusal(429)],
    ids=["not sent", "answer lost", "500", "503", "429"],
)
def test_a_read_survives_two_failures_that_pass(caller: Caller, connect: Connect, passing: Outcome) -> None:
    script = Script(passing, passing)
    assert caller(connect(Tiny(), script).sources.describe("s-1")).name == "s-1"
    assert script.lines == 3 * ["GET /sources/s-1"]


@pytest.mark.parametrize("passing", [NOT_SENT, refusal(429)], ids=["not sent", "429"])
def test_a_change_that_did_nothing_is_sent_again(caller: Caller, connect: Connect, passing: Outcome) -> None:
    script = Script(passing, passing)
    assert caller(connect(Tiny(), script).sources.delete("s-1")).done
    assert script.lines == 3 * ["DELETE /sources/s-1"]


@pytest.mark.parametrize(
    ("failure", "raised"),
    [
        (NOT_SENT, mc.RequestNotSentError),
        (LOST, mc.ResponseLostError),
        (refusal(502), mc.ServerError),
        (refusal(429), mc.RateLimitedError),
    ],
    ids=["not sent", "answer lost", "502", "429"],
)
def test_the_third_failure_is_the_callers(
    caller: Caller, connect: Connect, failure: Outcome, raised: type[mc.MigrateError]
) -> None:
    script = Script(*4 * [failure])
    with pytest.raises(raised):
        caller(connect(Tiny(), script).sources.describe("s-1"))
    assert len(script.requests) == 3


def test_the_last_failure_tells_all_attempts(caller: Caller, connect: Connect, clock: VirtualClock) -> None:
    script = Script(NOT_SENT, refusal(503, retry_after="4"), LOST)
    with pytest.raises(mc.ResponseLostError) as raised:
        caller(connect(Tiny(), script).sources.describe("s-1"))
    attempts = raised.value.attempts
    assert [attempt.failure for attempt in attempts] == [
        "nobody listens",
        "tiny describe_source: 503: no (retry after 4 s)",
        "the line went dead",
    ]
    assert {attempt.request for attempt in attempts} == {"tiny GET /sources/s-1"}
    assert attempts[0].at == 0
    assert attempts[2].at == attempts[1].at + 4 == clock.monotonic()
    assert pickle.loads(pickle.dumps(raised.value)).attempts == attempts


def test_a_change_with_an_unknown_outcome_tells_its_attempts_too(caller: Caller, connect: Connect) -> None:
    script = Script(NOT_SENT, LOST)
    with pytest.raises(mc.OutcomeUnknownError) as raised:
        caller(connect(Tiny(), script).sources.delete("s-1"))
    first, second = raised.value.attempts
    assert first.failure == "nobody listens"
    assert "it may have happened" in second.failure


def test_a_call_that_was_refused_before_it_was_sent_has_no_attempts(caller: Caller, connect: Connect) -> None:
    with pytest.raises(mc.InvalidArgumentError) as raised:
        caller(connect(Tiny(), Script()).sources.describe(""))
    assert raised.value.attempts == ()


# Second attempts are paid for.


def test_where_everything_fails_second_attempts_come_to_an_end(caller: Caller, connect: Connect) -> None:
    script = Script(answer=lambda _: refusal(503))
    client = connect(Tiny(), script)
    for _ in range(50):
        with pytest.raises(mc.ServerError) as raised:
            caller(client.sources.describe("s-1"))
    assert len(script.requests) == 50 + 500 // 14
    assert len(raised.value.attempts) == 1


def test_a_throttled_attempt_costs_less(caller: Caller, connect: Connect) -> None:
    script = Script(answer=lambda _: refusal(429))
    client = connect(Tiny(), script)
    for _ in range(80):
        with pytest.raises(mc.RateLimitedError):
            caller(client.sources.describe("s-1"))
    assert len(script.requests) == 80 + 500 // 5


def test_a_hiccup_costs_nothing(caller: Caller, connect: Connect) -> None:
    answers = itertools.cycle([refusal(503), ok("s-1")])
    client = connect(Tiny(), Script(answer=lambda _: next(answers)))
    for _ in range(100):
        assert caller(client.sources.describe("s-1")).id == "s-1"


def test_successes_earn_second_attempts_again(caller: Caller, connect: Connect) -> None:
    failing = True
    script = Script(answer=lambda _: refusal(503) if failing else ok("s-1"))
    client = connect(Tiny(), script)
    for _ in range(50):
        with pytest.raises(mc.ServerError):
            caller(client.sources.describe("s-1"))
    failing = False
    for _ in range(14):
        caller(client.sources.describe("s-1"))
    failing, script.requests[:] = True, []
    with pytest.raises(mc.ServerError):
        caller(client.sources.describe("s-1"))
    assert len(script.requests) == 2


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422])
def test_a_refusal_is_not_asked_for_twice(caller: Caller, connect: Connect, status: int) -> None:
    script = Script(refusal(status))
    with pytest.raises(mc.ApiError) as raised:
        caller(connect(Tiny(), script).sources.describe("s-1"))
    assert raised.value.status == status
    assert len(script.requests) == 1


@pytest.mark.parametrize("lost", [LOST, mc.DeadlineExceededError("over", sent=True)], ids=["lost", "deadline"])
def test_a_change_whose_answer_was_lost_has_an_unknown_outcome(
    caller: Caller, connect: Connect, lost: mc.MigrateError
) -> None:
    script = Script(lost)
    with pytest.raises(mc.OutcomeUnknownError, match=r"DELETE /sources/s-1.*look before you ask again") as raised:
        caller(connect(Tiny(), script).sources.delete("s-1"))
    assert raised.value.__cause__ is lost
    assert len(script.requests) == 1


def test_a_change_that_had_no_time_to_leave_is_known_not_to_have_happened(caller: Caller, connect: Connect) -> None:
    script = Script(mc.DeadlineExceededError("over", sent=False))
    with pytest.raises(mc.DeadlineExceededError):
        caller(connect(Tiny(), script).sources.delete("s-1"))


def test_a_failed_server_is_not_asked_twice_for_a_change(caller: Caller, connect: Connect) -> None:
    script = Script(refusal(503, retry_after="1"))
    with pytest.raises(mc.ServerError):
        caller(connect(Tiny(), script).sources.delete("s-1"))
    assert len(script.requests) == 1


@pytest.mark.parametrize("status", [300, 301, 302, 304, 307, 308])
def test_a_redirect_is_an_error_and_is_not_followed(caller: Caller, connect: Connect, status: int) -> None:
    script = Script(refusal(status, location="https://elsewhere.invalid/"))
    with pytest.raises(mc.ApiError) as raised:
        caller(connect(Tiny(), script).sources.describe("s-1"))
    assert raised.value.status == status
    assert len(script.requests) == 1


def test_a_repeated_request_is_the_same_request(caller: Caller, connect: Connect) -> None:
    script = Script(NOT_SENT)
    caller(connect(Tiny(), script).sources.register(mc.SourceSpec(name="web-1")))
    assert script.requests[0] == script.requests[1]


# Waiting between attempts, and the time that the whole call is allowed.


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("0", 0.0), ("1.5", 1.5), ("Thu, 01 Jan 2026 00:00:12 GMT", 12.0), ("-5", 0.0)],
)
@pytest.mark.parametrize("status", [429, 503])
def test_the_vendors_wish_to_be_left_alone_is_honoured(
    caller: Caller, connect: Connect, clock: VirtualClock, header: str, seconds: float, status: int
) -> None:
    script = Script(refusal(status, retry_after=header))
    caller(connect(Tiny(), script).sources.describe("s-1"))
    assert clock.monotonic() == seconds
    assert len(script.requests) == 2


@pytest.mark.parametrize("header", ["31", "86400", "1e300", "Fri, 02 Jan 2026 00:00:00 GMT"])
def test_a_wait_beyond_the_deadline_is_not_begun(
    caller: Caller, connect: Connect, clock: VirtualClock, header: str
) -> None:
    script = Script(refusal(429, retry_after=header))
    with pytest.raises(mc.RateLimitedError, match="retry after") as raised:
        caller(connect(Tiny(), script).sources.describe("s-1"))
    assert raised.value.retry_after is not None
    assert raised.value.retry_after >= 31
    assert clock.monotonic() == 0
    assert len(script.requests) == 1


@pytest.mark.parametrize("header", ["soon", "", "nan", "inf", "9" * 400])
def test_a_senseless_wish_counts_as_none(caller: Caller, connect: Connect, clock: VirtualClock, header: str) -> None:
    script = Script(refusal(429, retry_after=header))
    caller(connect(Tiny(), script).sources.describe("s-1"))
    assert 0 <= clock.monotonic() <= 2


def test_the_deadline_counts_all_attempts(caller: Caller, connect: Connect, clock: VirtualClock) -> None:
    script = Script(answer=aged(clock, 20, refusal(503)))
    with pytest.raises(mc.ServerError):
        caller(connect(Tiny(TinySettings(timeout=30)), script).sources.describe("s-1"))
    assert len(script.requests) == 2
    assert script.left[0] == 30
    assert script.left[1] == pytest.approx(10, abs=0.2)


class TwoSteps(Tiny):
    def describe_source(self, source_id: str) -> Flow[mc.SourceServer]:
        yield Request(method="GET", path="/first", repeatable=True)
        return (yield from super().describe_source(source_id))


def test_the_deadline_counts_all_requests_of_a_flow(caller: Caller, connect: Connect, clock: VirtualClock) -> None:
    script = Script(answer=aged(clock, 31, ok()))
    with pytest.raises(mc.DeadlineExceededError) as raised:
        caller(connect(TwoSteps(), script).sources.describe("s-1"))
    assert not raised.value.sent
    assert script.lines == ["GET /first"]


def test_the_deadline_counts_the_login(caller: Caller, connect: Connect, clock: VirtualClock) -> None:
    script = Script(answer=aged(clock, 12, ok("token")))
    caller(connect(LoggedIn(logged_in=False), script).sources.describe("s-1"))
    assert script.lines == ["POST /login", "GET /sources/s-1"]
    assert script.left == [30, 18]


def test_each_call_has_its_own_deadline(caller: Caller, connect: Connect, clock: VirtualClock) -> None:
    script = Script(answer=aged(clock, 20, ok()))
    client = connect(Tiny(), script)
    caller(client.sources.describe("s-1"))
    caller(client.sources.describe("s-2"))
    assert script.left == [30, 30]


# What is not offered never reaches the wire.


SPEC = mc.SourceSpec(name="web-1")
PAIRING = mc.PairingSpec(remote_url="https://b.example", remote_username="u", remote_password="p")
NOT_OFFERED: dict[Operation, Callable[[Any], Any]] = {
    Operation.UNLOCK_TARGET: lambda client: client.targets.unlock("r-1"),
    Operation.CREATE_PAIRING: lambda client: client.pairings.create(PAIRING),
    Operation.DESCRIBE_PAIRING: lambda client: client.pairings.describe("p-1"),
    Operation.LIST_PAIRINGS: lambda client: client.pairings.list(),
    Operation.DELETE_PAIRING: lambda client: client.pairings.delete("p-1"),
    Operation.LIST_TASKS: lambda client: client.tasks.list(),
    Operation.CANCEL_TASK: lambda client: client.tasks.cancel("t-1"),
}


@pytest.mark.parametrize("operation", NOT_OFFERED, ids=lambda operation: operation.value)
def test_what_the_provider_does_not_declare_is_refused_before_anything_is_sent(
    caller: Caller, connect: Connect, operation: Operation
) -> None:
    script = Script()
    client = connect(LoggedIn(logged_in=False), script)
    with pytest.raises(mc.UnsupportedOperationError, match=f"tiny does not offer {operation.value}") as raised:
        caller(NOT_OFFERED[operation](client))
    assert (raised.value.provider, raised.value.operation) == ("tiny", operation)
    assert set(raised.value.supporters) <= {"aws_mgn", "huawei_sms", "vmware_srm"}
    assert script.requests == []


def test_what_the_vendor_lacks_and_what_the_plug_in_lacks_are_told_apart(caller: Caller, connect: Connect) -> None:
    client = connect(Tiny(), Script())
    with pytest.raises(mc.UnsupportedOperationError) as raised:
        caller(client.pairings.create(PAIRING))
    assert (raised.value.reason, raised.value.supporters) == ("there is but one site", ("vmware_srm",))
    with pytest.raises(mc.UnsupportedOperationError) as raised:
        caller(client.targets.unlock("r-1"))
    assert (raised.value.reason, raised.value.supporters) == ("not implemented", ("huawei_sms",))
    assert client.capabilities[Operation.CREATE_PAIRING].support is Support.UNSUPPORTED
    assert client.capabilities[Operation.UNLOCK_TARGET].support is Support.NOT_IMPLEMENTED


@pytest.mark.parametrize("in_spec", [False, True], ids=["argument", "spec"])
def test_an_option_that_nobody_declared_is_refused_before_anything_is_sent(
    caller: Caller, connect: Connect, in_spec: bool
) -> None:
    script = Script()
    client = connect(Tiny(), script)
    spec = attrs.evolve(SPEC, options={"fast": True}) if in_spec else SPEC
    with pytest.raises(mc.UnsupportedOptionError, match="takes no option 'fast'; it takes: force") as raised:
        caller(client.sources.register(spec, **({} if in_spec else {"fast": True})))
    assert raised.value.option == "fast"
    assert raised.value.accepted == ("force",)
    assert raised.value.operation is Operation.REGISTER_SOURCE
    assert script.requests == []


class TakesOptions(Tiny):
    def register_source(self, spec: mc.SourceSpec) -> Flow[TaskInfo]:
        self.told.append(str(dict(spec.options)))
        return (yield from super().register_source(spec))


def test_an_option_of_the_call_wins_over_that_of_the_spec(caller: Caller, connect: Connect) -> None:
    provider = TakesOptions()
    client = connect(provider, Script())
    spec = attrs.evolve(SPEC, options={"force": False})
    caller(client.sources.register(spec))
    caller(client.sources.register(spec, force=True))
    assert provider.told == ["{'force': False}", "{'force': True}"]
    assert spec.options == {"force": False}


class Forgetful(Tiny):
    """Declares more than it has."""

    capabilities: ClassVar[Mapping[Operation, Capability]] = {
        **Tiny.capabilities,
        Operation.UNLOCK_TARGET: Capability(Support.FULL),
    }


def test_an_operation_that_is_declared_but_not_written_is_refused_too(caller: Caller, connect: Connect) -> None:
    script = Script()
    with pytest.raises(mc.UnsupportedOperationError):
        caller(connect(Forgetful(), script).targets.unlock("r-1"))
    assert script.requests == []


# What a flow sees.


def test_an_error_names_the_operation_in_which_it_happened(caller: Caller, connect: Connect) -> None:
    client = connect(Tiny(), Script(*6 * [refusal(404)]))
    calls: dict[Operation, Callable[[], Any]] = {
        Operation.DESCRIBE_SOURCE: lambda: caller(client.sources.describe("s-1")),
        Operation.DELETE_SOURCE: lambda: caller(client.sources.delete("s-1")),
        Operation.LIST_SOURCES: lambda: caller.list(client.sources.list()),
        Operation.REGISTER_SOURCE: lambda: caller(client.sources.register(SPEC)),
        Operation.GET_TASK: lambda: caller(client.tasks.get("t-1")),
    }
    for operation, call in calls.items():
        with pytest.raises(mc.NotFoundError, match=f"tiny {operation.value}: 404") as raised:
            call()
        assert raised.value.operation is operation
        assert raised.value.provider == "tiny"


class FindsItGone(Tiny):
    """Takes "not found" for done."""

    def delete_source(self, source_id: str) -> Flow[TaskInfo]:
        try:
            yield Request(method="DELETE", path=url_path("sources", source_id), repeatable=False)
        except mc.NotFoundError as error:
            self.told.append(f"{error.status} in {error.operation.value if error.operation else None}")
            yield Request(method="GET", path="/sources", repeatable=True)
        return TaskInfo.finished(Operation.DELETE_SOURCE, entity_id=source_id)


def test_a_flow_can_catch_an_error_and_go_on(caller: Caller, connect: Connect) -> None:
    provider, script = FindsItGone(), Script(refusal(404))
    assert caller(connect(provider, script).sources.delete("s-1")).done
    assert provider.told == ["404 in delete_source"]
    assert script.lines == ["DELETE /sources/s-1", "GET /sources"]


class NeverSatisfied(Tiny):
    """Turns what it meets into an error of its own."""

    def describe_source(self, source_id: str) -> Flow[mc.SourceServer]:
        try:
            yield Request(method="GET", path="/first", repeatable=True)
        except mc.MigrateError as error:
            raise mc.ConflictError("busy", provider=self.name, status=409) from error
        return mc.SourceServer(id=source_id, provider=self.name)


def test_an_error_that_a_flow_raises_reaches_the_caller_with_its_operation(caller: Caller, connect: Connect) -> None:
    with pytest.raises(mc.ConflictError) as raised:
        caller(connect(NeverSatisfied(), Script(refusal(404))).sources.describe("s-1"))
    assert raised.value.operation is Operation.DESCRIBE_SOURCE
    assert isinstance(raised.value.__cause__, mc.NotFoundError)


class Tidy(Tiny):
    """Notes when its flow is closed."""

    def describe_source(self, source_id: str) -> Flow[mc.SourceServer]:
        try:
            return (yield from super().describe_source(source_id))
        finally:
            self.told.append("closed")


def test_a_flow_is_closed_when_its_call_is_interrupted(caller: Caller, connect: Connect) -> None:
    provider = Tidy()
    client = connect(provider, Script(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        caller(client.sources.describe("s-1"))
    assert provider.told == ["closed"]


def test_a_flow_is_closed_when_its_call_is_cancelled(clock: VirtualClock) -> None:
    provider = Tidy()

    async def run() -> None:
        door = HeldDoor(Script(), "/sources/s-1")
        client = mc.AsyncClient(provider, door, clock)
        call = asyncio.create_task(client.sources.describe("s-1"))
        await door.reached.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert provider.told == ["closed"]
        assert (await client.sources.describe("s-2")).name == "s-2"

    asyncio.run(run())


def test_a_fault_of_the_transport_that_is_no_error_of_ours_goes_through_as_it_is(
    caller: Caller, connect: Connect
) -> None:
    provider = Tidy()
    with pytest.raises(ZeroDivisionError):
        caller(connect(provider, Script(ZeroDivisionError())).sources.describe("s-1"))
    assert provider.told == ["closed"]


# Logins: when, how often, and whose.


def test_a_request_is_signed_with_its_origin_and_the_clocks_time(
    caller: Caller, connect: Connect, clock: VirtualClock
) -> None:
    clock.advance(3600 + 23 * 60)
    script = Script()
    caller(connect(LoggedIn(), script).sources.describe("s-1"))
    assert script.requests[0].headers == {"Authorization": f"first for {ORIGIN} at 01:23"}


def test_each_attempt_is_signed_anew(caller: Caller, connect: Connect, clock: VirtualClock) -> None:
    script = Script(refusal(503, retry_after="20"))
    clock.advance(50)
    caller(connect(LoggedIn(), script).sources.describe("s-1"))
    assert [request.headers["Authorization"][-5:] for request in script.requests] == ["00:00", "00:01"]


def test_the_login_itself_carries_no_credentials(caller: Caller, connect: Connect) -> None:
    script = Script(answer=Site())
    caller(connect(LoggedIn(logged_in=False), script).sources.describe("s-1"))
    assert script.lines == ["POST /login", "GET /sources/s-1"]
    assert [token_of(request) for request in script.requests] == ["", "token-1"]


def test_a_login_is_renewed_before_it_expires(caller: Caller, connect: Connect, clock: VirtualClock) -> None:
    provider = LoggedIn()
    provider.expires = clock.now() + timedelta(hours=1)
    script = Script(answer=Site("first"))
    client = connect(provider, script)
    caller(client.sources.describe("s-1"))
    clock.advance(3600)
    caller(client.sources.describe("s-2"))
    assert script.lines == ["GET /sources/s-1", "POST /login", "GET /sources/s-2"]


def test_a_refused_login_is_renewed_and_the_request_repeated(caller: Caller, connect: Connect) -> None:
    script = Script(answer=Site())
    assert caller(connect(LoggedIn(), script).sources.delete("s-1")).done
    assert script.lines == ["DELETE /sources/s-1", "POST /login", "DELETE /sources/s-1"]
    assert [token_of(request) for request in script.requests] == ["first", "", "token-1"]


def test_a_login_is_renewed_at_most_once_in_a_call(caller: Caller, connect: Connect) -> None:
    site = Site()
    script = Script(answer=lambda request: site(request) if request.path == "/login" else refusal(401))
    with pytest.raises(mc.AuthenticationError):
        caller(connect(LoggedIn(), script).sources.describe("s-1"))
    assert script.lines == ["GET /sources/s-1", "POST /login", "GET /sources/s-1"]


class ManyRequests(LoggedIn):
    """Asks three times, whatever it is told."""

    def describe_source(self, source_id: str) -> Flow[mc.SourceServer]:
        for step in ("one", "two", "three"):
            with suppress(mc.AuthenticationError):
                yield Request(method="GET", path=f"/{step}", repeatable=True)
                self.told.append(step)
        return mc.SourceServer(id=source_id, provider=self.name)


def test_a_flow_of_many_requests_is_given_one_new_login(caller: Caller, connect: Connect) -> None:
    site = Site()
    script = Script(answer=lambda request: site(request) if request.path == "/login" else refusal(401))
    caller(connect(ManyRequests(), script).sources.describe("s-1"))
    assert script.lines == ["GET /one", "POST /login", "GET /one", "GET /two", "GET /three"]


def test_a_login_that_cannot_be_renewed_is_not_tried_again(caller: Caller, connect: Connect) -> None:
    script = Script(refusal(401))
    with pytest.raises(mc.AuthenticationError) as raised:
        caller(connect(LoggedIn(renewable=False), script).sources.describe("s-1"))
    assert raised.value.operation is Operation.DESCRIBE_SOURCE
    assert script.lines == ["GET /sources/s-1"]


def test_a_403_makes_nobody_log_in(caller: Caller, connect: Connect) -> None:
    script = Script(refusal(403))
    with pytest.raises(mc.PermissionDeniedError):
        caller(connect(LoggedIn(), script).sources.describe("s-1"))
    assert script.lines == ["GET /sources/s-1"]


class NeverRenews(LoggedIn):
    def delete_source(self, source_id: str) -> Flow[TaskInfo]:
        yield Request(method="DELETE", path=url_path("sources", source_id), repeatable=False, renew="never")
        return TaskInfo.finished(Operation.DELETE_SOURCE)


def test_a_request_that_is_never_renewed_gets_its_refusal_at_once(caller: Caller, connect: Connect) -> None:
    script = Script(answer=Site())
    with pytest.raises(mc.AuthenticationError):
        caller(connect(NeverRenews(), script).sources.delete("s-1"))
    assert script.lines == ["DELETE /sources/s-1"]


class Restarts(LoggedIn):
    """Its second request counts only under the login of its first."""

    def delete_source(self, source_id: str) -> Flow[TaskInfo]:
        try:
            yield from self._both(source_id)
        except CredentialsRenewed:
            self.told.append("restarted")
            yield from self._both(source_id)
        return TaskInfo.finished(Operation.DELETE_SOURCE)

    def _both(self, source_id: str) -> Flow[None]:
        yield Request(method="POST", path="/peer", repeatable=True, renew="never")
        yield Request(method="DELETE", path=url_path("sources", source_id), repeatable=False, renew="restart")


def test_a_flow_that_asked_for_it_begins_again_after_a_new_login(caller: Caller, connect: Connect) -> None:
    provider = Restarts()
    script = Script(ok(), refusal(401), answer=Site())
    assert caller(connect(provider, script).sources.delete("s-1")).done
    assert provider.told == ["restarted"]
    assert script.lines == [
        "POST /peer",
        "DELETE /sources/s-1",
        "POST /login",
        "POST /peer",
        "DELETE /sources/s-1",
    ]
    assert [token_of(request) for request in script.requests] == ["first", "first", "", "token-1", "token-1"]


class Overtaken(Restarts):
    """While it signs the deletion, another thread gets a new login."""

    def __init__(self) -> None:
        super().__init__()
        self.overtake: list[Callable[[], object]] = []

    def authenticate(self, request: Request, *, origin: str, now: datetime) -> Mapping[str, str]:
        if request.method == "DELETE" and self.overtake:
            self.overtake.pop()()
        return super().authenticate(request, origin=origin, now=now)


def test_a_flow_begins_again_if_somebody_logs_in_while_its_request_is_signed(clock: VirtualClock) -> None:
    """Only threads can: for the synchronous client alone."""
    provider, script = Overtaken(), Script(ok(), refusal(401), answer=Site())
    client = mc.Client(provider, Door(script), clock)
    provider.overtake.append(lambda: client.sources.describe("s-2"))
    assert client.sources.delete("s-1").done
    assert provider.told == ["restarted"]
    assert script.lines == [
        "POST /peer",
        "GET /sources/s-2",
        "POST /login",
        "GET /sources/s-2",
        "POST /peer",
        "DELETE /sources/s-1",
    ]
    assert {token_of(request) for request in script.requests[-2:]} == {"token-1"}


def test_a_login_that_fails_ends_the_call_and_is_not_thrown_into_the_flow(caller: Caller, connect: Connect) -> None:
    provider = ManyRequests(logged_in=False)
    script = Script(answer=Site(refuses_logins=True))
    with pytest.raises(mc.AuthenticationError) as raised:
        caller(connect(provider, script).sources.describe("s-1"))
    assert raised.value.operation is Operation.DESCRIBE_SOURCE
    assert script.lines == ["POST /login"]
    assert provider.told == []


class ExplainsRefusals(LoggedIn):
    """Says whose login was refused."""

    def refresh_credentials(self) -> Flow[None]:
        try:
            yield from super().refresh_credentials()
        except mc.AuthenticationError as error:
            raise mc.AuthenticationError("no entry for tiny", provider=self.name, status=error.status) from error


def test_a_refused_login_keeps_the_cause_that_the_plug_in_gave_it(caller: Caller, connect: Connect) -> None:
    script = Script(answer=Site(refuses_logins=True))
    with pytest.raises(mc.AuthenticationError, match="no entry for tiny") as raised:
        caller(connect(ExplainsRefusals(logged_in=False), script).sources.describe("s-1"))
    assert isinstance(raised.value.__cause__, mc.AuthenticationError)


@pytest.mark.parametrize("cls", [LoggedIn, ExplainsRefusals])
def test_a_refused_login_shows_nothing_of_the_engines_workings(
    caller: Caller, connect: Connect, cls: type[LoggedIn]
) -> None:
    script = Script(answer=Site(refuses_logins=True))
    with pytest.raises(mc.AuthenticationError) as raised:
        caller(connect(cls(logged_in=False), script).sources.describe("s-1"))
    shown = "".join(traceback.format_exception(raised.value))
    assert "During handling of the above exception" not in shown


def test_a_login_is_sent_again_like_any_repeatable_request(caller: Caller, connect: Connect) -> None:
    script = Script(NOT_SENT, refusal(503), answer=Site())
    caller(connect(LoggedIn(logged_in=False), script).sources.describe("s-1"))
    assert script.lines == 3 * ["POST /login"] + ["GET /sources/s-1"]


# One login for all who wait.


MANY = 24


class RollCall(LoggedIn):
    """Knows how many callers have asked whether there is a login."""

    def __init__(self, count: int = MANY, **given: Any) -> None:
        super().__init__(**given)
        self.all_there = threading.Event()
        self._missing = count
        self._lock = threading.Lock()

    def has_credentials(self, now: datetime) -> bool:
        found = super().has_credentials(now)
        with self._lock:
            self._missing -= 1
            if self._missing <= 0:
                self.all_there.set()
        return found


def in_threads(count: int, call: Callable[[int], Any]) -> list[Any]:
    """Call from many threads that start at one moment; gives what each returned or raised."""
    barrier = threading.Barrier(count)

    def run(number: int) -> Any:
        barrier.wait(PATIENCE)
        try:
            return call(number)
        except mc.MigrateError as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count), timeout=3 * PATIENCE))


def after_the_roll_call(provider: RollCall, site: Site) -> Callable[[Request], Outcome]:
    """Answer logins only when all callers are waiting for one."""

    def answer(request: Request) -> Outcome:
        if request.path == "/login":
            assert provider.all_there.wait(PATIENCE)
        return site(request)

    return answer


def called_by_all(kind: str, provider: RollCall, site: Site, clock: VirtualClock) -> tuple[list[Any], Script]:
    """Describe `MANY` sources side by side; gives what each caller got, and what was sent."""
    if kind == "threads":
        script = Script(answer=after_the_roll_call(provider, site))
        client = mc.Client(provider, Door(script), clock)
        return in_threads(MANY, lambda number: client.sources.describe(f"s-{number}").name), script
    script = Script(answer=site)

    async def run() -> list[Any]:
        client = mc.AsyncClient(provider, AsyncDoor(script), clock)
        calls = (client.sources.describe(f"s-{number}") for number in range(MANY))
        answers = await asyncio.gather(*calls, return_exceptions=True)
        return [answer.name if isinstance(answer, mc.SourceServer) else answer for answer in answers]

    return asyncio.run(run()), script


@pytest.mark.parametrize("kind", ["threads", "coroutines"])
def test_many_callers_share_one_login(kind: str, clock: VirtualClock) -> None:
    site = Site()
    got, script = called_by_all(kind, RollCall(logged_in=False), site, clock)
    assert got == [f"s-{number}" for number in range(MANY)]
    assert site.logins == 1
    assert len(script.requests) == 1 + MANY


@pytest.mark.parametrize("kind", ["threads", "coroutines"])
def test_many_callers_share_one_new_login_after_the_old_one_died(kind: str, clock: VirtualClock) -> None:
    site = Site()
    got, script = called_by_all(kind, RollCall(), site, clock)
    assert got == [f"s-{number}" for number in range(MANY)]
    assert site.logins == 1
    assert len(script.requests) <= 1 + 2 * MANY


@pytest.mark.parametrize("kind", ["threads", "coroutines"])
def test_a_refused_login_is_shared_by_all_who_waited_and_not_tried_by_them(kind: str, clock: VirtualClock) -> None:
    site = Site(refuses_logins=True)
    got, script = called_by_all(kind, RollCall(logged_in=False), site, clock)
    assert [type(error) for error in got] == MANY * [mc.AuthenticationError]
    assert len({id(error) for error in got}) == MANY
    assert {error.operation for error in got} == {Operation.DESCRIBE_SOURCE}
    assert script.lines == ["POST /login"]


def test_a_call_that_begins_after_a_refused_login_may_try_again(caller: Caller, connect: Connect) -> None:
    site = Site(refuses_logins=True)
    script = Script(answer=site)
    client = connect(LoggedIn(logged_in=False), script)
    with pytest.raises(mc.AuthenticationError):
        caller(client.sources.describe("s-1"))
    site.refuses_logins = False
    assert caller(client.sources.describe("s-1")).name == "s-1"
    assert site.logins == 2


def test_a_shared_refusal_names_each_callers_own_operation(clock: VirtualClock) -> None:
    script = Script(answer=Site(refuses_logins=True))

    async def run() -> list[Any]:
        client = mc.AsyncClient(LoggedIn(logged_in=False), AsyncDoor(script), clock)
        calls = (client.sources.describe("s-1"), client.sources.delete("s-2"), client.tasks.get("t-3"))
        return list(await asyncio.gather(*calls, return_exceptions=True))

    operations = [error.operation for error in asyncio.run(run())]
    assert len(script.requests) == 1
    assert operations == [Operation.DESCRIBE_SOURCE, Operation.DELETE_SOURCE, Operation.GET_TASK]


def test_a_caller_that_is_cancelled_while_it_logs_in_hands_over(clock: VirtualClock) -> None:
    async def run() -> None:
        site = Site()
        script = Script(answer=site)
        door = HeldDoor(script, "/login")
        client = mc.AsyncClient(LoggedIn(logged_in=False), door, clock)
        first = asyncio.create_task(client.sources.describe("s-1"))
        await door.reached.wait()
        second = asyncio.create_task(client.sources.describe("s-2"))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert (await asyncio.wait_for(second, PATIENCE)).name == "s-2"
        assert script.lines == ["POST /login", "GET /sources/s-2"]

    asyncio.run(run())


def test_a_caller_that_is_cancelled_while_it_waits_holds_nobody_up(clock: VirtualClock) -> None:
    async def run() -> None:
        script = Script(answer=Site())
        door = HeldDoor(script, "/login")
        client = mc.AsyncClient(LoggedIn(logged_in=False), door, clock)
        first = asyncio.create_task(client.sources.describe("s-1"))
        await door.reached.wait()
        waiting = asyncio.create_task(client.sources.describe("s-2"))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        door.go_on.set()
        assert (await first).name == "s-1"
        assert (await client.sources.describe("s-3")).name == "s-3"

    asyncio.run(run())


class ComesLate(LoggedIn):
    """The call for which `late` is set finds its time over as soon as it has looked for a login."""

    late = False

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(logged_in=False)
        self._clock = clock

    def has_credentials(self, now: datetime) -> bool:
        if self.late:
            self._clock.advance(31)
        return super().has_credentials(now)


def test_waiting_for_another_coroutines_login_counts_against_ones_own_deadline(clock: VirtualClock) -> None:
    async def run() -> None:
        provider = ComesLate(clock)
        door = HeldDoor(Script(answer=Site()), "/login")
        client = mc.AsyncClient(provider, door, clock)
        first = asyncio.create_task(client.sources.describe("s-1"))
        await door.reached.wait()
        provider.late = True
        with pytest.raises(mc.DeadlineExceededError, match="another caller was logging in") as raised:
            await client.sources.delete("s-2")
        assert not raised.value.sent
        first.cancel()

    asyncio.run(run())


def test_waiting_for_another_threads_login_counts_against_ones_own_deadline(clock: VirtualClock) -> None:
    provider = ComesLate(clock)
    reached, go_on = threading.Event(), threading.Event()
    site = Site()

    def answer(request: Request) -> Outcome:
        if request.path == "/login":
            reached.set()
            assert go_on.wait(PATIENCE)
        return site(request)

    client = mc.Client(provider, Door(Script(answer=answer)), clock)

    def first() -> None:
        with suppress(mc.DeadlineExceededError):
            client.sources.describe("s-1")

    thread = threading.Thread(target=first)
    thread.start()
    try:
        assert reached.wait(PATIENCE)
        provider.late = True
        with pytest.raises(mc.DeadlineExceededError, match="another caller was logging in") as raised:
            client.sources.delete("s-2")
        assert not raised.value.sent
    finally:
        go_on.set()
        thread.join(PATIENCE)


# The end of a client.


@pytest.fixture
def closable(connect: Connect) -> tuple[Any, LoggedIn, Script]:
    provider, script = LoggedIn(), Script()
    return connect(provider, script), provider, script


def test_closing_logs_out_with_little_time_and_closes_the_transport(
    caller: Caller, closable: tuple[Any, LoggedIn, Script]
) -> None:
    client, _, script = closable
    caller(client.close())
    assert script.lines == ["DELETE /login"]
    assert token_of(script.requests[0]) == "first"
    assert 0 < script.left[0] <= 2
    assert script.closed == 1


def test_closing_twice_is_closing_once(caller: Caller, closable: tuple[Any, LoggedIn, Script]) -> None:
    client, _, script = closable
    caller(client.close())
    caller(client.close())
    assert script.lines == ["DELETE /login"]
    assert script.closed == 1


@pytest.mark.parametrize(
    "outcome",
    [LOST, NOT_SENT, mc.DeadlineExceededError("over"), mc.MalformedResponseError("garbled"), refusal(401)],
    ids=lambda outcome: type(outcome).__name__,
)
def test_closing_raises_nothing_whatever_the_log_out_meets(
    caller: Caller, closable: tuple[Any, LoggedIn, Script], outcome: Outcome
) -> None:
    client, _, script = closable
    script.queue[:] = 9 * [outcome]
    caller(client.close())
    assert script.closed == 1


def test_a_log_out_that_hangs_is_given_up_after_two_seconds(
    caller: Caller, connect: Connect, clock: VirtualClock
) -> None:
    script = Script(answer=aged(clock, 1.5, refusal(503)))
    caller(connect(LoggedIn(), script).close())
    assert len(script.requests) <= 2
    assert script.closed == 1


def test_a_log_out_waits_for_nobody_who_asks_to_be_left_alone(
    caller: Caller, connect: Connect, clock: VirtualClock
) -> None:
    script = Script(answer=lambda _: refusal(429, retry_after="20"))
    caller(connect(LoggedIn(), script).close())
    assert clock.monotonic() < 2


class TripsOnItsWayOut(LoggedIn):
    """Its log-out is broken: not the vendor fails, the plug-in does."""

    def close_session(self) -> Flow[None]:
        yield Request(method="DELETE", path="/login", repeatable=True)
        raise KeyError("session")


def test_closing_raises_nothing_even_if_the_plug_in_is_broken(caller: Caller, connect: Connect) -> None:
    script = Script()
    caller(connect(TripsOnItsWayOut(), script).close())
    assert script.closed == 1


class Interrupted(Exception):
    """What the body of a with statement ended with."""


def test_a_context_manager_closes_and_lets_the_error_of_its_body_through(clock: VirtualClock) -> None:
    script = Script(refusal(500))
    with pytest.raises(Interrupted), mc.Client(LoggedIn(), Door(script), clock):
        raise Interrupted
    assert script.closed == 1

    async def run() -> None:
        async with mc.AsyncClient(LoggedIn(), AsyncDoor(script), clock):
            raise Interrupted

    with pytest.raises(Interrupted):
        asyncio.run(run())
    assert script.closed == 2


def test_a_closed_client_refuses_every_call_and_sends_nothing(
    caller: Caller, closable: tuple[Any, LoggedIn, Script]
) -> None:
    client, _, script = closable
    script.queue[:] = [ok("running")]
    task = caller(client.tasks.get("t-1"))
    listed = client.sources.list()
    caller(client.close())
    sent = len(script.requests)
    for call in (
        lambda: caller(client.sources.describe("s-1")),
        lambda: caller(client.sources.delete("s-1")),
        lambda: caller(client.sources.register(SPEC)),
        lambda: caller(client.tasks.get("t-1")),
        lambda: caller(task.refresh()),
        lambda: caller(task.wait()),
        lambda: caller.list(listed),
    ):
        with pytest.raises(mc.ConfigurationError, match="closed"):
            call()
    assert len(script.requests) == sent


# Sharing.


def test_a_client_that_threads_share_gives_each_its_own_answer(clock: VirtualClock) -> None:
    site = Site("first")
    client = mc.Client(LoggedIn(), Door(Script(answer=site)), clock)

    def describe(number: int) -> list[str]:
        wanted = [f"s-{number}-{turn}" for turn in range(50)]
        got = []
        for turn, source_id in enumerate(wanted):
            if (number, turn) == (0, 5):
                site.valid.clear()  # the login dies under everybody's feet
            got.append(client.sources.describe(source_id))
        return [source.name for source in got if source.name == source.id]

    for number, names in enumerate(in_threads(16, describe)):
        assert names == [f"s-{number}-{turn}" for turn in range(50)]


def test_a_client_that_coroutines_share_gives_each_its_own_answer(clock: VirtualClock) -> None:
    async def run() -> list[mc.SourceServer]:
        client = mc.AsyncClient(LoggedIn(), AsyncDoor(Script(answer=Site())), clock)
        return await asyncio.gather(*(client.sources.describe(f"s-{number}") for number in range(200)))

    assert [source.name for source in asyncio.run(run())] == [f"s-{number}" for number in range(200)]


def test_no_error_text_carries_the_password_or_the_token(caller: Caller, connect: Connect) -> None:
    for outcome in (LOST, NOT_SENT, refusal(401), refusal(404), refusal(500)):
        script = Script(*9 * [outcome])
        with pytest.raises(mc.MigrateError) as raised:
            caller(connect(LoggedIn(), script).sources.delete("s-1"))
        shown = f"{raised.value} {raised.value!r} {raised.value.__cause__}"
        assert "opensesame" not in shown
        assert "first" not in shown
