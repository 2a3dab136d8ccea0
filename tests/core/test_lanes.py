"""How calls share connections, and clients what they trust. Things are counted here, not timed."""

from __future__ import annotations

import asyncio
import functools
import gc
import os
import signal
import ssl
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, ParamSpec

import pytest
import trustme

import migrate_core as mc
from migrate_core import _exchange, _tls
from migrate_core._lanes import AsyncLanes, Lanes
from migrate_core._registry import transport_factory
from migrate_core.clock import Deadline, SystemClock
from migrate_core.provider import Request, Response
from migrate_core.transports import TransportOptions
from misbehaving import Conversation, Script, Server, answer, answering, over_tls
from support import Caller

P = ParamSpec("P")

DONE = answer("")
PATIENCE = 50.0


@pytest.fixture(params=["httpx", "fast"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, _plain_environment: None) -> str:
    """The transport, for whoever does not name one."""
    name: str = request.param
    monkeypatch.setenv("MIGRATE_TRANSPORT", name)
    return name


def factory() -> Any:
    """Give the transport that the test is about."""
    return transport_factory(os.environ["MIGRATE_TRANSPORT"])


class Opened:
    """A transport of either kind, driven from an event loop: there, a synchronous call runs in a thread."""

    def __init__(self, kind: str, origin: str) -> None:
        self._synchronous = kind == "sync"
        opens = factory().open if self._synchronous else factory().open_async
        self._transport = opens(TransportOptions(endpoints={"main": origin}))

    def send(self, path: str = "/", seconds: float = 20.0) -> asyncio.Task[Response]:
        """Begin a call."""
        return asyncio.create_task(self._run(self._transport.send, get(path), within(seconds)))

    async def close(self) -> None:
        await self._run(self._transport.close)

    async def in_line(self, number: int) -> None:
        """Wait until `number` calls wait for a connection."""
        until = time.monotonic() + PATIENCE
        while len(self._transport._lanes["main"]._line) != number:
            assert time.monotonic() < until
            await asyncio.sleep(0)

    async def _run(self, function: Any, *given: Any) -> Any:
        return await (asyncio.to_thread(function, *given) if self._synchronous else function(*given))


@asynccontextmanager
async def opened(kind: str, server: Server) -> AsyncIterator[Opened]:
    """Open a transport, and threads enough for all that a test calls at once."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(32))
    transport = Opened(kind, server.origin)
    try:
        yield transport
    finally:
        await transport.close()


def looped(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test in an event loop."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


def get(path: str = "/") -> Request:
    return Request(method="GET", path=path, repeatable=True)


def within(seconds: float) -> Deadline:
    return Deadline.after(SystemClock(), seconds)


async def seen(server: Server, holds: Callable[[Server], bool]) -> None:
    """Wait until something holds of `server`."""
    await asyncio.to_thread(server.wait_until, holds)


def asked(number: int) -> Callable[[Server], bool]:
    return lambda server: len(server.requests) == number


class Gate:
    """A script that answers each request when it is let."""

    def __init__(self) -> None:
        self._passes = threading.Semaphore(0)

    def __call__(self, conversation: Conversation) -> None:
        while True:
            conversation.request()
            assert self._passes.acquire(timeout=PATIENCE)
            conversation.send(DONE)

    def open(self, times: int = 1) -> None:
        """Let that many requests be answered."""
        self._passes.release(times)


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest, library: str) -> str:
    kind: str = request.param
    return kind


@pytest.fixture
def one_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be one connection at most."""
    monkeypatch.setattr(_exchange, "MOST_CONNECTIONS", 1)


# How many connections there are.


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(("kind", "in_flight"), [("sync", 8), ("async", 50)], ids=["8 threads", "50 in a loop"])
@looped
async def test_two_thousand_calls_open_no_more_connections_than_are_in_flight(kind: str, in_flight: int) -> None:
    with Server(answering(DONE)) as server:
        async with opened(kind, server) as transport:
            left = iter(range(2_000))

            async def work() -> None:
                for _ in left:
                    await transport.send()

            await asyncio.gather(*(work() for _ in range(in_flight)))
            assert len(server.requests) == 2_000
            assert server.connections <= in_flight
            assert server.ended == 0
        await seen(server, lambda server: server.left == server.connections)


@looped
async def test_calls_one_by_one_take_the_connection_that_was_used_last(kind: str) -> None:
    used: list[Conversation] = []
    gate = Gate()

    class Noting(Gate):
        def __call__(self, conversation: Conversation) -> None:
            while True:
                conversation.request()
                used.append(conversation)
                assert gate._passes.acquire(timeout=PATIENCE)
                conversation.send(DONE)

    with Server(Noting()) as server:
        async with opened(kind, server) as transport:
            burst = [transport.send() for _ in range(5)]
            await seen(server, asked(5))
            gate.open(5 + 10)
            await asyncio.gather(*burst)
            for _ in range(10):
                await transport.send()
            assert server.connections == 5
            assert len(set(used[:5])) == 5
            assert len(set(used[5:])) == 1


@pytest.mark.usefixtures("library")
def test_a_call_makes_as_many_steps_in_a_crowd_as_alone() -> None:
    """The pool of the HTTP library makes sixteen times as many at two hundred in flight."""

    async def steps(server: Server, in_flight: int) -> float:
        async with opened("async", server) as transport:
            await asyncio.gather(*(transport.send() for _ in range(in_flight)))
            counted = 0

            def count(*_: Any) -> None:
                nonlocal counted
                counted += 1

            sys.setprofile(count)
            for _ in range(400 // in_flight):
                await asyncio.gather(*(transport.send() for _ in range(in_flight)))
            sys.setprofile(None)
            return counted / 400

    with Server(answering(DONE)) as server:
        alone = asyncio.run(steps(server, 1))
        assert asyncio.run(steps(server, 200)) < 1.2 * alone


@pytest.mark.usefixtures("library")
@looped
async def test_a_call_over_an_open_connection_looks_for_no_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """httpcore asks by an import which event loop runs; where there is no such module, it fails anew each time."""
    looked_for = []

    class Looking:
        def find_spec(self, name: str, *_: Any) -> None:
            looked_for.append(name)

    with Server(answering(DONE)) as server:
        async with opened("async", server) as transport:
            await transport.send()
            monkeypatch.setattr(sys, "meta_path", [Looking(), *sys.meta_path])
            await transport.send()
            assert looked_for == []


# Who waits, and for how long.


@pytest.mark.usefixtures("one_lane")
@looped
async def test_calls_that_wait_are_served_in_order(kind: str) -> None:
    gate = Gate()
    with Server(gate) as server:
        async with opened(kind, server) as transport:
            calls = [transport.send("/0")]
            await seen(server, asked(1))
            for number in range(1, 6):
                calls.append(transport.send(f"/{number}"))
                await transport.in_line(number)
            gate.open(6)
            await asyncio.gather(*calls)
            assert [line.split()[1] for line in server.lines] == [f"/{number}" for number in range(6)]
            assert server.connections == 1


@pytest.mark.usefixtures("one_lane")
@looped
async def test_a_call_waits_no_longer_than_it_may_and_was_not_sent(kind: str) -> None:
    gate = Gate()
    with Server(gate) as server:
        async with opened(kind, server) as transport:
            first = transport.send()
            await seen(server, asked(1))
            with pytest.raises(mc.DeadlineExceededError) as caught:
                await transport.send(seconds=0.05)
            assert not caught.value.sent
            await transport.in_line(0)
            gate.open(2)
            await first
            await transport.send()
            assert (server.connections, len(server.requests)) == (1, 2)


@pytest.mark.usefixtures("library", "one_lane")
@looped
async def test_a_cancelled_call_leaves_the_line() -> None:
    gate = Gate()
    with Server(gate) as server:
        async with opened("async", server) as transport:
            first, second, third = (transport.send(path) for path in ("/1", "/2", "/3"))
            await transport.in_line(2)
            second.cancel()
            await transport.in_line(1)
            await seen(server, asked(1))
            gate.open(2)
            await asyncio.gather(first, third)
            assert [line.split()[1] for line in server.lines] == ["/1", "/3"]


@pytest.mark.usefixtures("one_lane")
@looped
async def test_who_waits_may_open_a_connection_in_place_of_a_broken_one(kind: str) -> None:
    def broken(conversation: Conversation) -> None:
        conversation.request()
        gate._passes.acquire(timeout=PATIENCE)
        conversation.reset()

    gate = Gate()
    with Server(broken, answering(DONE)) as server:
        async with opened(kind, server) as transport:
            first = transport.send()
            await seen(server, asked(1))
            second = transport.send()
            await transport.in_line(1)
            gate.open()
            with pytest.raises(mc.ResponseLostError):
                await first
            assert (await second).status == 200
            assert server.connections == 2


class Plank:
    """A lane that leads nowhere."""

    def __init__(self) -> None:
        self.sound = True
        self.closed = False

    def usable(self) -> bool:
        return self.sound and not self.closed

    def close(self) -> None:
        self.closed = True


class AsyncPlank(Plank):
    async def close(self) -> None:  # type: ignore[override]
        self.closed = True
        await asyncio.sleep(0)


@pytest.mark.parametrize("settled", [True, False], ids=["just after it came", "just before it came"])
@looped
async def test_a_lane_for_a_call_that_is_being_cancelled_is_passed_on(settled: bool) -> None:
    lanes = AsyncLanes(AsyncPlank, 1, 30.0)

    async def use() -> AsyncPlank:
        async with lanes.lane() as lane:
            return lane

    async with lanes.lane() as lane:
        cancelled, next_one = (asyncio.create_task(use()) for _ in range(2))
        await asyncio.sleep(0)
        _ = settled or cancelled.cancel()
    cancelled.cancel()  # the lane may be its own by now, but it has not run since
    assert await next_one is lane
    assert cancelled.cancelled()


def test_a_lane_that_comes_when_a_thread_has_just_stopped_waiting_is_passed_on() -> None:
    lanes = Lanes(Plank, 1, 30.0)
    turn: Future[Any] = Future()
    with lanes.lane(0) as lane:
        lanes._ask(turn)
    assert turn.result(0) is lane
    lanes._leave(turn)
    with lanes.lane(0) as again:
        assert again is lane


def test_a_lane_whose_call_failed_is_closed_and_its_place_is_free() -> None:
    lanes = Lanes(Plank, 1, 30.0)
    with pytest.raises(ZeroDivisionError), lanes.lane(0) as lane:
        _ = 1 / 0
    assert lane.closed
    with lanes.lane(0) as other:
        assert other is not lane


def test_a_lane_on_which_the_server_hung_up_is_closed_and_another_free_one_taken() -> None:
    lanes = Lanes(Plank, 3, 30.0)
    with lanes.lane(0) as first, lanes.lane(0) as second, lanes.lane(0) as third:
        pass
    first.sound = second.sound = False  # given back last, so on top
    with lanes.lane(0) as lane, lanes.lane(0), lanes.lane(0):
        assert lane is third
    assert [plank.closed for plank in (first, second, third)] == [True, True, False]


@looped
async def test_all_lanes_are_closed_even_if_closing_the_first_is_cancelled() -> None:
    lanes = AsyncLanes(AsyncPlank, 3, 30.0)
    async with lanes.lane() as first, lanes.lane() as second, lanes.lane() as third:
        pass
    closing = asyncio.create_task(lanes.close())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert first.closed
    assert second.closed
    assert third.closed


# Connections that end.


@looped
async def test_connections_that_the_server_closed_meanwhile_fail_no_call_and_are_closed(kind: str) -> None:
    gate = Gate()

    def once(conversation: Conversation) -> None:
        conversation.request()
        gate._passes.acquire(timeout=PATIENCE)
        conversation.send(DONE)

    with Server(once, once, once, answering(DONE)) as server:
        async with opened(kind, server) as transport:
            burst = [transport.send() for _ in range(3)]
            await seen(server, asked(3))
            gate.open(3)
            await asyncio.gather(*burst)
            await seen(server, lambda server: server.ended == 3)
            assert (await transport.send()).status == 200
            assert (await transport.send()).status == 200
            assert server.connections == 4


@looped
async def test_a_connection_that_nobody_used_for_long_is_closed_when_the_next_call_comes(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_exchange, "IDLE_SECONDS", 0.0)
    with Server(answering(DONE)) as server:
        async with opened(kind, server) as transport:
            for _ in range(3):
                await transport.send()
            await seen(server, lambda server: server.left == 2)
            assert server.connections == 3


@looped
async def test_what_comes_when_nobody_asked_ends_a_connection(kind: str) -> None:
    gate = Gate()

    def talkative(conversation: Conversation) -> None:
        conversation.request()
        conversation.send(DONE)
        gate._passes.acquire(timeout=PATIENCE)
        conversation.send(answer("stale"))
        conversation._server.note(request=b"said more")
        conversation.silence()

    with Server(talkative, answering(answer("asked for"))) as server:
        async with opened(kind, server) as transport:
            await transport.send()
            gate.open()
            await seen(server, asked(2))
            assert (await transport.send()).body == b"asked for"
            await seen(server, lambda server: server.left == 1)


@pytest.mark.usefixtures("one_lane")
@looped
async def test_closing_lets_a_call_end_and_sends_away_those_who_wait(kind: str) -> None:
    gate = Gate()
    with Server(gate) as server:
        async with opened(kind, server) as transport:
            under_way = transport.send()
            await seen(server, asked(1))
            waiting = transport.send()
            await transport.in_line(1)
            await transport.close()
            for call in (waiting, transport.send()):
                with pytest.raises(mc.RequestNotSentError, match="closed"):
                    await call
            gate.open()
            assert (await under_way).status == 200
            await seen(server, lambda server: server.left == server.connections == 1)


@pytest.mark.usefixtures("library")
@looped
async def test_an_exchange_cancelled_in_the_middle_closes_its_connection_and_no_other() -> None:
    gate = Gate()
    with Server(gate) as server:
        async with opened("async", server) as transport:
            calls = [transport.send() for _ in range(3)]
            await seen(server, asked(3))
            calls[1].cancel()
            await seen(server, lambda server: server.connections == 3)
            gate.open(4)
            await asyncio.gather(calls[0], calls[2])
            with pytest.raises(asyncio.CancelledError):
                await calls[1]
            await transport.send()
            assert server.connections == 3


@pytest.mark.usefixtures("library")
@looped
async def test_a_call_that_is_cancelled_at_any_step_leaves_no_connection() -> None:
    with Server(answering(DONE)) as server:
        for steps in 20 * [*range(15)]:
            async with opened("async", server) as transport:
                call = transport.send()
                for _ in range(steps):
                    await asyncio.sleep(0)
                call.cancel()
                with suppress(asyncio.CancelledError):
                    await call
        gc.collect()  # what was lost would be found, and be an error
        await seen(server, lambda server: server.left == server.connections)


def press_ctrl_c() -> None:
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def interrupting_the_handshake(conversation: Conversation) -> None:
    conversation._receive()
    press_ctrl_c()
    conversation.silence()


def interrupting_after_the_request(conversation: Conversation) -> None:
    conversation.request()
    press_ctrl_c()
    conversation.silence()


def interrupting_the_body(conversation: Conversation) -> None:
    conversation.request()
    conversation.send(answer("half", length=99))
    press_ctrl_c()
    conversation.silence()


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    ("script", "scheme"),
    [
        (interrupting_the_handshake, "https"),
        (interrupting_after_the_request, "http"),
        (interrupting_the_body, "http"),
    ],
    ids=["handshake", "no answer", "half an answer"],
)
def test_ctrl_c_closes_the_connection_and_the_client_works_on(script: Script, scheme: str, trust: Trust) -> None:
    after = answering(DONE) if scheme == "http" else over_tls(trust.server, answering(DONE))
    with Server(script, after, scheme=scheme) as server:
        transport = factory().open(TransportOptions(endpoints={"main": server.origin}, verify=trust.bundle))
        with pytest.raises(KeyboardInterrupt):
            transport.send(get(), within(PATIENCE))
        server.wait_until(lambda server: server.left == 1)
        assert transport.send(get(), within(PATIENCE)).status == 200
        transport.close()
        assert server.connections == 2


# What clients trust.


class Trust:
    """An authority that nobody knows, and a server that it vouches for."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.bundle = str(folder / "authority.pem")
        authority.cert_pem.write_to_path(self.bundle)
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(self.server)


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    return Trust(tmp_path)


@contextmanager
def contexts_counted() -> Iterator[list[ssl.SSLContext]]:
    """Give the list of all TLS contexts that are made meanwhile, as if none had been made before."""
    made: list[ssl.SSLContext] = []
    make = ssl.SSLContext.__new__

    def counting(cls: type[ssl.SSLContext], *given: Any, **named: Any) -> ssl.SSLContext:
        made.append(make(cls, *given, **named))
        return made[-1]

    _tls._made.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl.SSLContext, "__new__", counting)
        yield made


def connect(caller: Caller, **settings: Any) -> Any:
    return caller.connect("huawei_sms", endpoint="https://sms.example", token="t", **settings)


@pytest.mark.parametrize("setting", ["verify", "bundle", "thumbprint", "no verify"])
@pytest.mark.filterwarnings("ignore:TLS certificates are not verified")
def test_twenty_clients_share_one_tls_context(caller: Caller, trust: Trust, setting: str) -> None:
    settings: dict[str, dict[str, Any]] = {
        "verify": {},
        "bundle": {"verify": trust.bundle},
        "thumbprint": {"thumbprint": "ab" * 32},
        "no verify": {"verify": False},
    }
    with contexts_counted() as made, ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: connect(caller, **settings[setting]), range(20)))
    assert len(made) == 1


def test_a_proxy_that_speaks_tls_takes_one_context_more(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "https://proxy.example")
    with contexts_counted() as made:
        for _ in range(3):
            connect(caller)
    assert len(made) == 2


def test_each_thumbprint_and_each_bundle_has_a_context_of_its_own(caller: Caller, trust: Trust) -> None:
    copy = Path(trust.bundle).with_name("copy.pem")
    copy.write_bytes(Path(trust.bundle).read_bytes())
    with contexts_counted() as made:
        for _ in range(2):
            connect(caller, verify=trust.bundle)
            connect(caller, verify=str(copy))
            for digit in "abc":
                connect(caller, thumbprint=64 * digit)
    assert len(made) == 5


def test_a_bundle_that_changed_is_read_again(caller: Caller, trust: Trust) -> None:
    with contexts_counted() as made:
        for changed in (0, 0, 1, 1, 2):
            os.utime(trust.bundle, ns=(0, changed))
            connect(caller, verify=trust.bundle)
    assert len(made) == 3


def test_the_environments_authorities_count_when_it_is_trusted(
    caller: Caller, trust: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(over_tls(trust.server, answering(answer({"id": "s-1"}))), scheme="https") as server:
        settings: dict[str, Any] = {"endpoint": server.origin, "token": "t", "timeout": 5.0}
        with pytest.raises(mc.RequestNotSentError):
            caller(caller.connect("huawei_sms", **settings).sources.describe("s-1"))
        monkeypatch.setenv("SSL_CERT_FILE", trust.bundle)
        assert caller(caller.connect("huawei_sms", **settings).sources.describe("s-1")).id == "s-1"
        with pytest.raises(mc.RequestNotSentError):
            caller(caller.connect("huawei_sms", trust_env=False, **settings).sources.describe("s-1"))


def test_clients_of_one_trust_work_side_by_side(caller: Caller, trust: Trust) -> None:
    with Server(over_tls(trust.server, answering(answer({"id": "s-1"}))), scheme="https") as server:
        clients = [
            caller.connect("huawei_sms", endpoint=server.origin, token="t", verify=trust.bundle) for _ in "12345"
        ]
        calls = [functools.partial(client.sources.describe, "s-1") for client in clients]
        assert [source.id for source in caller.together(4 * calls)] == 20 * ["s-1"]
        assert 5 <= server.connections <= 20
