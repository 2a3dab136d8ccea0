"""The two logins: who logs in when, how often, and what is said when a login is refused."""

from __future__ import annotations

import asyncio
import base64
import logging
import pickle
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

import migrate_core as mc
from migrate_core.testing import InProcess, VirtualClock, serve
from migrate_core.transports import TransportOptions
from migrate_vmware_srm import VmwareSrmProvider, VmwareSrmSettings
from migrate_vmware_srm.simulator import VmwareSrmSimulator
from support import Caller

BASE = "/api/rest/srm/v2"
MANY = 100
WRONG = "wrong-password-7391"


def steps(simulator: VmwareSrmSimulator) -> list[str]:
    """The requests so far, short: method, the end of the path, status."""
    return [f"{entry.method} {entry.path.rpartition('/')[2]} {entry.status}" for entry in simulator.journal]


def logins(simulator: VmwareSrmSimulator) -> int:
    return sum((entry.method, entry.path) == ("POST", f"{BASE}/session") for entry in simulator.journal)


def connect(caller: Caller, simulator: VmwareSrmSimulator, kind: str = "both", **settings: Any) -> Any:
    return caller.connect("vmware_srm", clock=simulator.clock, **{**simulator.settings(kind), **settings})


def texts_of(error: BaseException) -> str:
    """All that a log or a terminal could show of an error, values of local variables included."""
    shown = [str(error), repr(error), *traceback.format_exception(error)]
    shown += traceback.TracebackException.from_exception(error, capture_locals=True).format()
    return "\n".join(shown)


def secrets_in(text: str, *passwords: str) -> list[str]:
    """Passwords that stand in `text`, in plain or as Basic sends them."""
    found = [password for password in passwords if password in text]
    for user in ("administrator@vsphere.local", "administrator@peer.local"):
        encoded = (base64.b64encode(f"{user}:{password}".encode()).decode() for password in passwords)
        found += [one for one in encoded if one in text]
    return found


def together(count: int, call: Callable[[], Any]) -> list[Any]:
    """Run `call` in many threads that start at the same moment; gives what each returned or raised."""
    barrier = threading.Barrier(count)

    def run() -> Any:
        barrier.wait(20)
        try:
            return call()
        except mc.MigrateError as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return [future.result(30) for future in [pool.submit(run) for _ in range(count)]]


class RollCall(VirtualClock):
    """A clock for clients that notes who asks for the time.

    The engine asks once a call has begun, before it looks for a login; so when all have asked, all are in.
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self.all_there = threading.Event()
        self._missing = count
        self._seen: set[int] = set()

    def now(self) -> datetime:
        self._seen.add(threading.get_ident())
        if len(self._seen) >= self._missing:
            self.all_there.set()
        return super().now()


class HeldLogins(VmwareSrmSimulator):
    """Answers logins only when it is let; to be served, since it waits."""

    def __init__(self, let: threading.Event, **given: Any) -> None:
        super().__init__(**given)
        answer = self.app

        async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
            if scope["method"] == "POST" and scope["path"] == f"{BASE}/session":
                assert await asyncio.to_thread(let.wait, 20)
            await answer(scope, receive, send)

        self.app = app


class HangingLogin:
    """A door in which the first login hangs until it is let go on."""

    def __init__(self, simulator: VmwareSrmSimulator) -> None:
        self._simulator = simulator
        self._first = True
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if self._first and scope["path"] == f"{BASE}/session":
            self._first = False
            self.reached.set()
            await self.go_on.wait()
        await self._simulator.app(scope, receive, send)


# One login for all.


def test_a_hundred_threads_share_one_login(simulator: VmwareSrmSimulator) -> None:
    pairing_id = simulator.pair()
    with serve(simulator), mc.connect("vmware_srm", clock=VirtualClock(), **simulator.settings()) as client:
        pairings = together(MANY, lambda: client.pairings.describe(pairing_id))
        assert {pairing.id for pairing in pairings} == {pairing_id}
        assert steps(simulator) == ["POST session 200"] + MANY * [f"GET {pairing_id} 200"]


def test_a_hundred_coroutines_share_one_login(simulator: VmwareSrmSimulator) -> None:
    pairing_id = simulator.pair()

    async def run() -> None:
        async with mc.connect_async("vmware_srm", clock=simulator.clock, **simulator.settings()) as client:
            pairings = await asyncio.gather(*(client.pairings.describe(pairing_id) for _ in range(MANY)))
            assert {pairing.id for pairing in pairings} == {pairing_id}
            assert steps(simulator) == ["POST session 200"] + MANY * [f"GET {pairing_id} 200"]

    with serve(simulator):
        asyncio.run(run())


def test_a_hundred_threads_share_one_new_login(simulator: VmwareSrmSimulator) -> None:
    pairing_id = simulator.pair()
    with serve(simulator), mc.connect("vmware_srm", clock=VirtualClock(), **simulator.settings()) as client:
        client.pairings.describe(pairing_id)
        simulator.expire_sessions()
        pairings = together(MANY, lambda: client.pairings.describe(pairing_id))
        assert {pairing.id for pairing in pairings} == {pairing_id}
        assert logins(simulator) == 2


def test_a_hundred_coroutines_share_one_new_login(simulator: VmwareSrmSimulator) -> None:
    pairing_id = simulator.pair()

    async def run() -> None:
        async with mc.connect_async("vmware_srm", clock=simulator.clock, **simulator.settings()) as client:
            await client.pairings.describe(pairing_id)
            simulator.expire_sessions()
            await asyncio.gather(*(client.pairings.describe(pairing_id) for _ in range(MANY)))
            assert logins(simulator) == 2

    with serve(simulator):
        asyncio.run(run())


class SlowToAnswer(VmwareSrmProvider):
    """A provider that one thread hesitates in, after it found no login and before the engine hears of it."""

    def __init__(self, settings: VmwareSrmSettings) -> None:
        super().__init__(settings)
        self.hesitates = threading.Event()
        self.go_on = threading.Event()

    def has_credentials(self, now: datetime) -> bool:
        found = super().has_credentials(now)
        if threading.current_thread().name == "hesitant":
            self.hesitates.set()
            assert self.go_on.wait(20)
        return found


def test_a_thread_that_found_no_login_uses_the_one_made_meanwhile(simulator: VmwareSrmSimulator) -> None:
    pairing_id = simulator.pair()
    provider = SlowToAnswer(VmwareSrmSettings(**simulator.settings()))
    transport = simulator.transport.open(TransportOptions(endpoints=provider.endpoints()))
    with mc.Client(provider, transport, simulator.clock) as client:
        late = threading.Thread(target=client.pairings.describe, args=(pairing_id,), name="hesitant")
        late.start()
        assert provider.hesitates.wait(20)
        client.pairings.describe(pairing_id)
        provider.go_on.set()
        late.join(20)
        assert steps(simulator) == ["POST session 200", f"GET {pairing_id} 200", f"GET {pairing_id} 200"]


# Sessions that expire.


def test_a_session_that_expired_is_renewed_once(client: Any, caller: Caller, simulator: VmwareSrmSimulator) -> None:
    pairing_id = simulator.pair()
    caller(client.pairings.describe(pairing_id))
    first = simulator.journal[-1].headers["x-dr-session"]
    simulator.expire_sessions()
    caller(client.pairings.describe(pairing_id))
    assert steps(simulator)[2:] == [f"GET {pairing_id} 401", "POST session 200", f"GET {pairing_id} 200"]
    assert simulator.journal[2].headers["x-dr-session"] == first
    assert "x-dr-session" not in simulator.journal[3].headers
    assert simulator.journal[4].headers["x-dr-session"] != first


def test_a_session_that_stood_idle_is_renewed(caller: Caller, simulator: VmwareSrmSimulator) -> None:
    client = connect(caller, simulator)
    pairing_id = simulator.pair()
    caller(client.pairings.describe(pairing_id))
    simulator.clock.sleep(simulator.controls.session_seconds + 1)
    caller(client.pairings.describe(pairing_id))
    assert logins(simulator) == 2


def test_a_server_that_refuses_each_new_session_is_asked_twice_only(
    caller: Caller, simulator: VmwareSrmSimulator
) -> None:
    client = connect(caller, simulator)
    simulator.faults.answer(401, method="GET", path="/pairings/", times=99)
    with pytest.raises(mc.AuthenticationError):
        caller(client.pairings.describe("p-1"))
    assert steps(simulator) == ["POST session 200", "GET p-1 401", "POST session 200", "GET p-1 401"]


def test_a_session_that_expires_while_waiting_is_renewed_and_the_wait_goes_on(
    client: Any, caller: Caller, simulator: VmwareSrmSimulator
) -> None:
    task = caller(client.pairings.delete(simulator.pair()))
    expired: list[Any] = []

    def on_progress(task: Any) -> None:
        if not expired:
            expired.append(task.status)
            simulator.expire_sessions()

    simulator.journal.clear()
    caller(task.wait(on_progress=on_progress))
    assert task.status is mc.TaskStatus.SUCCESS
    assert logins(simulator) == 1
    assert steps(simulator)[:4] == [
        f"GET {task.id} 200",
        f"GET {task.id} 401",
        "POST session 200",
        f"GET {task.id} 200",
    ]


def test_sessions_that_expire_after_each_look_do_not_end_the_wait(
    caller: Caller, simulator: VmwareSrmSimulator
) -> None:
    client = connect(caller, simulator)
    task = caller(client.pairings.delete(simulator.pair()))
    caller(task.wait(on_progress=lambda _: simulator.expire_sessions()))
    assert task.status is mc.TaskStatus.SUCCESS


class ExpiresAfterPeerLogin(VmwareSrmSimulator):
    """Ends the session as soon as the first login at the other site is through."""

    async def _log_in_at_peer(self, request: Request) -> Response:
        response = await super()._log_in_at_peer(request)
        if sum(entry.path.endswith("/remote-session") for entry in self.journal) == 0:
            self.expire_sessions()
        return response


def test_a_session_that_expires_before_the_deletion_is_renewed_with_both_logins(caller: Caller) -> None:
    simulator = ExpiresAfterPeerLogin(clock=VirtualClock())
    client = connect(caller, simulator)
    pairing_id = simulator.pair()
    task = caller(client.pairings.delete(pairing_id))
    assert steps(simulator) == [
        "POST session 200",
        "POST remote-session 204",
        f"DELETE {pairing_id} 401",
        "POST session 200",
        "POST remote-session 204",
        f"DELETE {pairing_id} 202",
    ]
    sessions = [entry.headers.get("x-dr-session") for entry in simulator.journal]
    assert sessions[1] == sessions[2] != sessions[4] == sessions[5]
    caller(task.wait())
    assert not simulator.has_pairing(pairing_id)


def test_a_401_to_the_deletion_means_both_logins_again(caller: Caller, simulator: VmwareSrmSimulator) -> None:
    client = connect(caller, simulator)
    simulator.faults.answer(401, method="DELETE", path="/pairings/")
    pairing_id = simulator.pair()
    caller(client.pairings.delete(pairing_id))
    assert steps(simulator) == [
        "POST session 200",
        "POST remote-session 204",
        f"DELETE {pairing_id} 401",
        "POST session 200",
        "POST remote-session 204",
        f"DELETE {pairing_id} 202",
    ]


def test_a_session_that_expired_before_the_login_at_the_other_site_is_renewed(
    client: Any, caller: Caller, simulator: VmwareSrmSimulator
) -> None:
    pairing_id = simulator.pair()
    caller(client.pairings.describe(pairing_id))
    simulator.expire_sessions()
    simulator.journal.clear()
    caller(client.pairings.delete(pairing_id))
    assert steps(simulator) == [
        "POST remote-session 401",
        f"GET {pairing_id} 401",
        "POST session 200",
        "POST remote-session 204",
        f"DELETE {pairing_id} 202",
    ]


def test_without_a_login_at_the_other_site_an_expired_session_costs_one_login(
    caller: Caller, simulator: VmwareSrmSimulator
) -> None:
    simulator.controls.require_peer_login = False
    client = connect(caller, simulator, "local")
    pairing_id = simulator.pair()
    caller(client.pairings.describe(pairing_id))
    simulator.expire_sessions()
    simulator.journal.clear()
    caller(client.pairings.delete(pairing_id))
    assert steps(simulator) == [f"DELETE {pairing_id} 401", "POST session 200", f"DELETE {pairing_id} 202"]


# Sessions that expire while several callers delete.


class HeldAnswer:
    """A door that holds back the first answer to a login at the other site until it is let go on."""

    def __init__(self, simulator: VmwareSrmSimulator) -> None:
        self._simulator = simulator
        self.answered = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        await self._simulator.app(scope, receive, send)
        if scope["path"].endswith("/remote-session") and not self.answered.is_set():
            self.answered.set()
            await self.go_on.wait()


@pytest.mark.parametrize("expires", ["before the login at the other site", "after the login at the other site"])
def test_a_login_that_another_caller_renewed_meanwhile_is_not_taken_for_a_refusal(
    simulator: VmwareSrmSimulator, expires: str
) -> None:
    pairing_id, other = simulator.pair(), simulator.pair()
    held = HeldAnswer(simulator)

    async def run() -> None:
        settings = {**simulator.settings(), "transport": InProcess(held)}
        async with mc.connect_async("vmware_srm", clock=simulator.clock, **settings) as client:
            await client.pairings.describe(other)
            if expires.startswith("before"):
                simulator.expire_sessions()
            deletion = asyncio.create_task(client.pairings.delete(pairing_id))
            await held.answered.wait()
            if expires.startswith("after"):
                simulator.expire_sessions()
            await client.pairings.describe(other)
            held.go_on.set()
            await (await deletion).wait()
            assert not simulator.has_pairing(pairing_id)
            assert logins(simulator) == 2

    asyncio.run(run())


class ExpiresAtPeerLogin(VmwareSrmSimulator):
    """Ends all sessions once, after so many logins at the other site."""

    def __init__(self, after: int, **given: Any) -> None:
        super().__init__(**given)
        self._left = after

    async def _log_in_at_peer(self, request: Request) -> Response:
        response = await super()._log_in_at_peer(request)
        self._left -= 1
        if self._left == 0:
            self.expire_sessions()
        return response


@pytest.mark.parametrize("after", [1, 5, 15, 30])
def test_deletions_side_by_side_survive_a_session_that_expires(after: int) -> None:
    simulator = ExpiresAtPeerLogin(after, clock=VirtualClock())
    pairing_ids = [simulator.pair() for _ in range(30)]

    async def run() -> None:
        async with mc.connect_async("vmware_srm", clock=VirtualClock(), **simulator.settings()) as client:
            deletions = (client.pairings.delete(pairing_id) for pairing_id in pairing_ids)
            outcomes = await asyncio.gather(*deletions, return_exceptions=True)
            assert [outcome for outcome in outcomes if isinstance(outcome, BaseException)] == []
        assert [entry.status for entry in simulator.journal].count(202) == len(pairing_ids)

    with serve(simulator):
        asyncio.run(run())


# A wrong password.


def test_a_wrong_password_is_tried_once_for_a_hundred_threads() -> None:
    clock = RollCall(MANY)
    simulator = HeldLogins(clock.all_there, clock=VirtualClock())
    with serve(simulator):
        settings = {**simulator.settings("local"), "password": WRONG}
        with mc.connect("vmware_srm", clock=clock, **settings) as client:
            outcomes = together(MANY, lambda: client.pairings.describe("p-1"))
            assert {type(outcome) for outcome in outcomes} == {mc.AuthenticationError}
            assert len({id(outcome) for outcome in outcomes}) == MANY
            assert steps(simulator) == ["POST session 401"]
            with pytest.raises(mc.AuthenticationError):
                client.pairings.describe("p-1")
            assert steps(simulator) == ["POST session 401", "POST session 401"]


def test_a_wrong_password_is_tried_once_for_a_hundred_coroutines(simulator: VmwareSrmSimulator) -> None:
    async def run() -> None:
        settings = {**simulator.settings("local"), "password": WRONG}
        async with mc.connect_async("vmware_srm", clock=simulator.clock, **settings) as client:
            calls = (client.pairings.describe("p-1") for _ in range(MANY))
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert {type(outcome) for outcome in outcomes} == {mc.AuthenticationError}
            assert len({id(outcome) for outcome in outcomes}) == MANY
            assert steps(simulator) == ["POST session 401"]
            with pytest.raises(mc.AuthenticationError):
                await client.pairings.describe("p-1")
            assert steps(simulator) == ["POST session 401", "POST session 401"]

    with serve(simulator):
        asyncio.run(run())


def test_a_password_that_was_changed_is_tried_once_for_a_hundred_coroutines(simulator: VmwareSrmSimulator) -> None:
    pairing_id = simulator.pair()

    async def run() -> None:
        async with mc.connect_async("vmware_srm", clock=simulator.clock, **simulator.settings()) as client:
            await client.pairings.describe(pairing_id)
            simulator.expire_sessions()
            simulator.faults.answer(401, method="POST", path="/session", times=99)
            calls = (client.pairings.describe(pairing_id) for _ in range(MANY))
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert {type(outcome) for outcome in outcomes} == {mc.AuthenticationError}
            assert logins(simulator) == 2

    with serve(simulator):
        asyncio.run(run())


def test_after_a_refused_login_a_later_call_tries_again(caller: Caller, simulator: VmwareSrmSimulator) -> None:
    client = connect(caller, simulator)
    pairing_id = simulator.pair()
    simulator.faults.answer(401, method="POST", path="/session")
    with pytest.raises(mc.AuthenticationError):
        caller(client.pairings.describe(pairing_id))
    assert caller(client.pairings.describe(pairing_id)).id == pairing_id
    assert steps(simulator) == ["POST session 401", "POST session 200", f"GET {pairing_id} 200"]


def test_a_refused_login_names_the_user_and_what_was_asked(caller: Caller, simulator: VmwareSrmSimulator) -> None:
    client = connect(caller, simulator)
    simulator.faults.answer(401, method="POST", path="/session")
    with pytest.raises(mc.AuthenticationError) as caught:
        caller(client.pairings.describe("p-1"))
    error = caught.value
    assert (error.provider, error.status, error.operation) == ("vmware_srm", 401, mc.Operation.DESCRIBE_PAIRING)
    assert "Site Recovery Manager refused the login of administrator@vsphere.local" in str(error)


@pytest.mark.parametrize("door_kind", ["in-process", "tcp"])
def test_no_password_shows_when_a_login_is_refused(
    caller: Caller, simulator: VmwareSrmSimulator, door_kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with _door(simulator, door_kind):
        client = connect(caller, simulator, "local", password=WRONG)
        with pytest.raises(mc.AuthenticationError) as caught:
            caller(client.pairings.describe("p-1"))
    shown = texts_of(caught.value) + texts_of(pickle.loads(pickle.dumps(caught.value))) + caplog.text
    assert secrets_in(shown, WRONG) == []


@pytest.mark.parametrize("door_kind", ["in-process", "tcp"])
def test_no_password_shows_when_the_login_at_the_other_site_is_refused(
    caller: Caller, simulator: VmwareSrmSimulator, door_kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with _door(simulator, door_kind):
        client = connect(caller, simulator, peer_password=WRONG)
        with pytest.raises(mc.AuthenticationError) as caught:
            caller(client.pairings.delete(simulator.pair()))
    shown = texts_of(caught.value) + texts_of(pickle.loads(pickle.dumps(caught.value))) + caplog.text
    session = simulator.journal[-1].headers["x-dr-session"]
    assert secrets_in(shown, WRONG, simulator.credentials["password"], session) == []


def _door(simulator: VmwareSrmSimulator, kind: str) -> AbstractContextManager[Any]:
    return serve(simulator) if kind == "tcp" else nullcontext()


def test_no_secret_is_logged_in_a_good_run(
    client: Any, caller: Caller, simulator: VmwareSrmSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    task = caller(client.pairings.delete(simulator.pair()))
    simulator.faults.answer(503, method="GET", path="/tasks/", times=2)
    caller(task.wait(on_progress=lambda _: None))
    caller(client.close())
    known = simulator.credentials
    sessions = {entry.headers["x-dr-session"] for entry in simulator.journal if "x-dr-session" in entry.headers}
    assert len(sessions) == 1
    assert caplog.records
    assert secrets_in(caplog.text, known["password"], known["peer_password"], *sessions) == []


# The other site.


def test_a_wrong_password_for_the_other_site_is_sent_once_per_call(
    caller: Caller, door: None, simulator: VmwareSrmSimulator
) -> None:
    client = connect(caller, simulator, peer_password=WRONG)
    pairing_id = simulator.pair()
    for calls in (1, 2):
        with pytest.raises(mc.AuthenticationError, match="the other site refused the login") as caught:
            caller(client.pairings.delete(pairing_id))
        assert type(caught.value) is mc.AuthenticationError
        assert "administrator@peer.local" in str(caught.value)
        assert caught.value.operation is mc.Operation.DELETE_PAIRING
        assert steps(simulator) == ["POST session 200"] + calls * ["POST remote-session 401", f"GET {pairing_id} 200"]
    assert simulator.has_pairing(pairing_id)


def test_a_wrong_password_for_the_other_site_is_sent_once_though_the_session_had_expired(
    caller: Caller, simulator: VmwareSrmSimulator
) -> None:
    """The gateway refuses a dead session before it asks the other site, so that one does not count there."""
    client = connect(caller, simulator, peer_password=WRONG)
    pairing_id = simulator.pair()
    caller(client.pairings.describe(pairing_id))
    simulator.expire_sessions()
    simulator.journal.clear()
    with pytest.raises(mc.AuthenticationError, match="the other site refused the login"):
        caller(client.pairings.delete(pairing_id))
    assert steps(simulator) == [
        "POST remote-session 401",
        f"GET {pairing_id} 401",
        "POST session 200",
        "POST remote-session 401",
        f"GET {pairing_id} 200",
    ]


def test_a_missing_login_at_the_other_site_names_the_settings(
    caller: Caller, door: None, simulator: VmwareSrmSimulator
) -> None:
    client = connect(caller, simulator, "local")
    pairing_id = simulator.pair()
    with pytest.raises(mc.PeerAuthenticationRequiredError, match="peer_username and peer_password") as caught:
        caller(client.pairings.delete(pairing_id))
    assert not isinstance(caught.value, mc.AuthenticationError)
    assert (caught.value.status, caught.value.operation) == (401, mc.Operation.DELETE_PAIRING)
    assert steps(simulator) == [
        "POST session 200",
        f"DELETE {pairing_id} 401",
        "POST session 200",
        f"DELETE {pairing_id} 401",
    ]
    assert simulator.has_pairing(pairing_id)
    assert caller(client.pairings.describe(pairing_id)).id == pairing_id


def test_a_login_at_the_other_site_that_does_not_help_is_said_so(caller: Caller, simulator: VmwareSrmSimulator) -> None:
    client = connect(caller, simulator)
    simulator.faults.answer(401, method="DELETE", path="/pairings/", times=2)
    with pytest.raises(mc.PeerAuthenticationRequiredError, match="did not help"):
        caller(client.pairings.delete(simulator.pair()))
    assert [entry.method for entry in simulator.journal].count("DELETE") == 2


def test_where_the_other_site_wants_no_login_none_is_needed(caller: Caller, simulator: VmwareSrmSimulator) -> None:
    simulator.controls.require_peer_login = False
    client = connect(caller, simulator, "local")
    pairing_id = simulator.pair()
    task = caller(client.pairings.delete(pairing_id))
    assert steps(simulator) == ["POST session 200", f"DELETE {pairing_id} 202"]
    caller(task.wait())
    assert not simulator.has_pairing(pairing_id)


@pytest.mark.parametrize("missing", ["peer_username", "peer_password"])
@pytest.mark.parametrize("value", [None, ""])
def test_half_a_login_for_the_other_site_is_refused(
    simulator: VmwareSrmSimulator, missing: str, value: str | None
) -> None:
    settings = {**simulator.settings(), missing: value}
    with pytest.raises(mc.ConfigurationError, match=f"lacks {missing};.*MIGRATE_{missing.upper()}") as caught:
        mc.connect("vmware_srm", **settings)
    assert secrets_in(str(caught.value), *simulator.credentials.values()) == []
    assert simulator.journal == []


def test_both_logins_may_come_from_the_environment(
    caller: Caller, simulator: VmwareSrmSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in simulator.credentials.items():
        monkeypatch.setenv(f"MIGRATE_{name.upper()}", value)
    client = caller.connect("vmware_srm", endpoint=simulator.endpoint, transport=simulator.transport)
    caller(client.pairings.delete(simulator.pair()))
    assert steps(simulator)[1] == "POST remote-session 204"


@pytest.mark.parametrize("kind", ["both", "local"])
def test_a_password_changed_in_the_middle_of_a_deletion_is_an_authentication_error(
    caller: Caller, simulator: VmwareSrmSimulator, kind: str
) -> None:
    client = connect(caller, simulator, kind)
    pairing_id = simulator.pair()
    caller(client.pairings.describe(pairing_id))
    simulator.expire_sessions()
    simulator.faults.answer(401, method="POST", path="/session", times=99)
    simulator.journal.clear()
    with pytest.raises(mc.AuthenticationError, match="Site Recovery Manager refused the login") as caught:
        caller(client.pairings.delete(pairing_id))
    assert type(caught.value) is mc.AuthenticationError
    first = ["POST remote-session 401", f"GET {pairing_id} 401"] if kind == "both" else [f"DELETE {pairing_id} 401"]
    assert steps(simulator) == [*first, "POST session 401"]
    assert simulator.has_pairing(pairing_id)


def test_a_password_changed_between_the_two_logins_is_an_authentication_error(caller: Caller) -> None:
    simulator = ExpiresAfterPeerLogin(clock=VirtualClock())
    client = connect(caller, simulator)
    pairing_id = simulator.pair()
    caller(client.pairings.describe(pairing_id))
    simulator.faults.answer(401, method="POST", path="/session", times=99)
    with pytest.raises(mc.AuthenticationError) as caught:
        caller(client.pairings.delete(pairing_id))
    assert type(caught.value) is mc.AuthenticationError
    assert steps(simulator)[2:] == ["POST remote-session 204", f"DELETE {pairing_id} 401", "POST session 401"]


# Waiting for somebody else's login.


@pytest.fixture
def hanging(simulator: VmwareSrmSimulator) -> HangingLogin:
    return HangingLogin(simulator)


def test_waiting_for_anothers_login_counts_against_ones_own_deadline(
    simulator: VmwareSrmSimulator, hanging: HangingLogin
) -> None:
    pairing_id = simulator.pair()

    async def run() -> None:
        settings = {**simulator.settings(), "transport": InProcess(hanging), "timeout": 0.05}
        async with mc.connect_async("vmware_srm", clock=simulator.clock, **settings) as client:
            holder = asyncio.create_task(client.pairings.describe(pairing_id))
            await hanging.reached.wait()
            calls = (client.pairings.describe(pairing_id) for _ in range(3))
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert {type(outcome) for outcome in outcomes} == {mc.DeadlineExceededError}
            assert [outcome.sent for outcome in outcomes] == 3 * [False]  # type: ignore[union-attr]
            assert simulator.journal == []
            hanging.go_on.set()
            assert (await holder).id == pairing_id
            assert (await client.pairings.describe(pairing_id)).id == pairing_id
            assert logins(simulator) == 1

    asyncio.run(run())


def test_a_thread_waiting_for_anothers_login_gives_up_at_its_own_deadline(simulator: VmwareSrmSimulator) -> None:
    pairing_id = simulator.pair()
    reached, go_on = threading.Event(), threading.Event()

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["path"] == f"{BASE}/session" and not reached.is_set():
            reached.set()
            assert go_on.wait(20)
        await simulator.app(scope, receive, send)

    settings = {**simulator.settings(), "transport": InProcess(app), "timeout": 0.05}
    with mc.connect("vmware_srm", clock=simulator.clock, **settings) as client, ThreadPoolExecutor(1) as pool:
        holder = pool.submit(client.pairings.describe, pairing_id)
        assert reached.wait(20)
        with pytest.raises(mc.DeadlineExceededError, match="another caller was logging in"):
            client.pairings.describe(pairing_id)
        assert simulator.journal == []
        go_on.set()
        assert holder.result(20).id == pairing_id


def test_a_cancelled_login_hands_over_to_the_next_in_line(simulator: VmwareSrmSimulator, hanging: HangingLogin) -> None:
    pairing_id = simulator.pair()

    async def run() -> None:
        settings = {**simulator.settings(), "transport": InProcess(hanging)}
        async with mc.connect_async("vmware_srm", clock=simulator.clock, **settings) as client:
            holder = asyncio.create_task(client.pairings.describe(pairing_id))
            await hanging.reached.wait()
            others = [asyncio.create_task(client.pairings.describe(pairing_id)) for _ in range(3)]
            await asyncio.sleep(0)
            others[0].cancel()
            holder.cancel()
            first, *rest = await asyncio.gather(*others, return_exceptions=True)
            assert isinstance(first, asyncio.CancelledError)
            assert [pairing.id for pairing in rest] == 2 * [pairing_id]  # type: ignore[union-attr]
            with pytest.raises(asyncio.CancelledError):
                await holder
            assert steps(simulator) == ["POST session 200"] + 2 * [f"GET {pairing_id} 200"]

    asyncio.run(run())


def test_a_cancelled_login_over_tcp_hands_over_to_the_next_in_line() -> None:
    let = threading.Event()
    simulator = HeldLogins(let, clock=VirtualClock())
    pairing_id = simulator.pair()

    async def run() -> None:
        async with mc.connect_async("vmware_srm", clock=VirtualClock(), **simulator.settings()) as client:
            holder = asyncio.create_task(client.pairings.describe(pairing_id))
            other = asyncio.create_task(client.pairings.describe(pairing_id))
            await asyncio.sleep(0)
            holder.cancel()
            with pytest.raises(asyncio.CancelledError):
                await holder
            let.set()
            assert (await other).id == pairing_id

    with serve(simulator):
        asyncio.run(run())


def test_a_call_that_outlived_a_refusal_uses_the_login_made_since(simulator: VmwareSrmSimulator) -> None:
    pairing_id = simulator.pair()
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["path"].endswith(pairing_id) and not reached.is_set():
            reached.set()
            await go_on.wait()
        await simulator.app(scope, receive, send)

    async def run() -> None:
        settings = {**simulator.settings(), "transport": InProcess(app)}
        async with mc.connect_async("vmware_srm", clock=simulator.clock, **settings) as client:
            slow = asyncio.create_task(client.pairings.describe(pairing_id))
            await reached.wait()
            simulator.expire_sessions()
            simulator.faults.answer(401, method="POST", path="/session")
            with pytest.raises(mc.AuthenticationError):
                await client.pairings.describe(pairing_id)
            await client.pairings.describe(pairing_id)
            go_on.set()
            assert (await slow).id == pairing_id
            assert logins(simulator) == 3

    asyncio.run(run())


def test_a_login_interrupted_by_ctrl_c_leaves_the_way_free(simulator: VmwareSrmSimulator) -> None:
    pairing_id = simulator.pair()
    interrupts = [KeyboardInterrupt()]

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if interrupts:
            raise interrupts.pop()
        await simulator.app(scope, receive, send)

    settings = {**simulator.settings(), "transport": InProcess(app)}
    with mc.connect("vmware_srm", clock=simulator.clock, **settings) as client:
        with pytest.raises(KeyboardInterrupt):
            client.pairings.describe(pairing_id)
        assert client.pairings.describe(pairing_id).id == pairing_id


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_login_that_fails_for_a_passing_reason_is_tried_again(
    caller: Caller, simulator: VmwareSrmSimulator, status: int
) -> None:
    client = connect(caller, simulator)
    pairing_id = simulator.pair()
    simulator.faults.answer(status, method="POST", path="/session", times=2)
    assert caller(client.pairings.describe(pairing_id)).id == pairing_id
    assert steps(simulator)[:3] == 2 * [f"POST session {status}"] + ["POST session 200"]
