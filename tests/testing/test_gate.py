"""A gate in front of a server: what it does to requests and answers, seen from the sockets at both of its ends."""

from __future__ import annotations

import gc
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

import pytest

import migrate_core as mc
from migrate_core.testing import FaultPlan, VirtualClock, gate, new_simulator, serve
from migrate_core.testing.faults import (
    Answer,
    Certificate,
    Delay,
    Fault,
    Meeting,
    Reset,
    Silence,
    Trickle,
    WrongClock,
    WrongLength,
)
from misbehaving import Conversation, Server, answer, answering, nobody
from support import Caller
from transports import Trust

NOT_PASSED_ON = b"the gate did not pass this request on"
BODY = b'{"id": "s-1"}'
MOMENT = 0.05


@pytest.fixture(scope="module")
def behind() -> Iterator[Server]:
    """A server that answers everything alike."""
    with Server(answering(answer(BODY, "200 Fine", "X-Twice: 1", "X-Twice: 2", "Connection: close"))) as server:
        yield server


@pytest.fixture(scope="module")
def shared(behind: Server) -> Iterator[tuple[str, FaultPlan]]:
    plan = FaultPlan()
    with gate(behind.origin, plan) as origin:
        yield origin, plan


@pytest.fixture
def origin(shared: tuple[str, FaultPlan], behind: Server) -> str:
    behind.requests.clear()
    return shared[0]


@pytest.fixture
def plan(shared: tuple[str, FaultPlan]) -> FaultPlan:
    shared[1].clear()
    return shared[1]


class Visitor:
    """A client without manners of its own: it sends a request, and reads bytes."""

    def __init__(self, origin: str) -> None:
        host, _, port = origin.rpartition("/")[2].partition(":")
        self.stream = socket.create_connection((host, int(port)), timeout=10)

    def ask(self, method: str = "GET", body: bytes = b"") -> None:
        head = f"{method} /v3/a%2Fb?x=1 HTTP/1.1\r\nHost: there\r\nContent-Length: {len(body)}\r\nX-Mine: yes\r\n\r\n"
        self.stream.sendall(head.encode() + body)

    def read(self, most: int = 65536) -> bytes:
        return self.stream.recv(most)

    def read_all(self) -> bytes:
        """Read until the gate hangs up."""
        return b"".join(iter(self.read, b""))

    def hears_nothing(self) -> bool:
        self.stream.settimeout(MOMENT)
        try:
            return self.read() == b"?"
        except TimeoutError:
            return True
        finally:
            self.stream.settimeout(10)


def unanswered(origin: str) -> bool:
    """Tell whether whoever asks there is cut off."""
    visitor = Visitor(origin)
    with visitor.stream, suppress(ConnectionError):
        visitor.ask()
        return visitor.read() == b""
    return True


@pytest.fixture
def visitor(origin: str) -> Iterator[Visitor]:
    visitor = Visitor(origin)
    with visitor.stream:
        yield visitor


def test_a_gate_without_a_plan_changes_nothing(visitor: Visitor, plan: FaultPlan, behind: Server) -> None:
    for body in (b"one", b"", b"three"):  # over one connection
        visitor.ask("POST", body)
        head, _, content = visitor.read().partition(b"\r\n\r\n")
        assert content == BODY
        assert head.lower().split(b"\r\n") == [
            b"http/1.1 200 fine",
            b"x-twice: 1",
            b"x-twice: 2",
            b"content-length: 13",
        ]
        passed = behind.requests.pop().lower()
        assert passed.startswith(b"post /v3/a%2fb?x=1 http/1.1\r\nhost: there\r\n")
        assert b"x-mine: yes\r\n" in passed
        assert passed.endswith(b"\r\n\r\n" + body)
    assert plan.journal == 3 * [Meeting("POST", "/v3/a%2Fb")]


# What only a socket can do.


@pytest.fixture(params=[False, True], ids=["before", "after"])
def after(request: pytest.FixtureRequest) -> bool:
    chosen: bool = request.param
    return chosen


@pytest.fixture
def ask(visitor: Visitor, plan: FaultPlan, behind: Server, after: bool) -> Callable[[Fault], None]:
    """Send a request that meets a fault, and see that it is passed on if its effect comes first, and else is not."""

    def asked(fault: Fault) -> None:
        plan.add(fault, after=after, path="/v3/a%2Fb")
        visitor.ask("POST", b"{}")
        if after:
            behind.wait_until(lambda server: bool(server.requests))

    yield asked
    assert len(behind.requests) == after
    assert [(met.method, met.path, met.after) for met in plan.journal] == [("POST", "/v3/a%2Fb", after)]


def test_a_reset_is_one(visitor: Visitor, ask: Callable[[Fault], None]) -> None:
    ask(Reset())
    with pytest.raises(ConnectionResetError):
        visitor.read()


def test_silence_is_kept_until_the_client_leaves(visitor: Visitor, ask: Callable[[Fault], None]) -> None:
    ask(Silence())
    assert visitor.hears_nothing()
    visitor.stream.shutdown(socket.SHUT_WR)
    assert visitor.read() == b""


@pytest.mark.parametrize("by", [2, -2, -99])
def test_a_length_is_wrong_by_as_much_as_is_said(
    visitor: Visitor, ask: Callable[[Fault], None], after: bool, by: int
) -> None:
    ask(WrongLength(by))
    head, _, body = visitor.read_all().partition(b"\r\n\r\n")
    right = BODY if after else NOT_PASSED_ON
    assert head.startswith(b"HTTP/1.1 200 " if after else b"HTTP/1.1 503 ")
    length = max(0, len(right) + by)
    assert b"content-length: %d" % length in head
    assert body.startswith(right)
    assert len(body) == max(len(right), -by)


@pytest.mark.parametrize("part", ["head", "body"])
def test_a_part_of_the_answer_trickles(
    visitor: Visitor, ask: Callable[[Fault], None], after: bool, part: Literal["head", "body"]
) -> None:
    ask(Trickle(part, 0.001))
    right, pieces = BODY if after else NOT_PASSED_ON, [visitor.read()]
    while not b"".join(pieces).endswith(b"\r\n\r\n" + right):
        pieces.append(visitor.read())
    if part == "head":
        assert len(pieces) > 20
        assert pieces[-1].endswith(right)
    else:
        assert b"".join(pieces).index(b"\r\n\r\n") < len(pieces[0])
        assert len(pieces) > 8


# What an application can do, too.


def test_an_answer_stands_in_for_the_right_one(visitor: Visitor, ask: Callable[[Fault], None]) -> None:
    ask(Answer(410, "gone", {"X-Why": "planned"}))
    assert visitor.read() == b"HTTP/1.1 410 Gone\r\nx-why: planned\r\ncontent-length: 4\r\n\r\ngone"


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_delay_comes_before_the_effect_or_after(
    visitor: Visitor, plan: FaultPlan, behind: Server, after: bool
) -> None:
    plan.add(Delay(3 * MOMENT), after=after)
    visitor.ask()
    if after:
        behind.wait_until(lambda server: bool(server.requests))
    else:
        assert visitor.hears_nothing()
        assert behind.requests == []
    assert visitor.read().endswith(BODY)
    assert len(behind.requests) == 1


def test_a_delayed_request_whose_client_has_left_is_dropped(visitor: Visitor, plan: FaultPlan, behind: Server) -> None:
    plan.add(Delay(60.0))
    visitor.ask()
    visitor.stream.shutdown(socket.SHUT_WR)
    assert visitor.read() == b""
    assert behind.requests == []


def test_a_wrong_clock_shows_in_the_date(visitor: Visitor, plan: FaultPlan) -> None:
    plan.add(WrongClock(-7200))
    visitor.ask()
    (date,) = [line for line in visitor.read().decode().split("\r\n") if line.startswith("date: ")]
    assert abs((datetime.now(UTC) - parsedate_to_datetime(date[6:])).total_seconds() - 7200) < 60


def test_a_fault_that_no_gate_knows_is_not_ignored(behind: Server) -> None:
    plan = FaultPlan()
    plan.add(Fault())
    with pytest.raises(ValueError, match="cannot carry out"), gate(behind.origin, plan) as origin:
        assert unanswered(origin)


# TLS.


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    return Trust(tmp_path_factory.mktemp("trust"))


EXPIRED = datetime(2021, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("transport", ["httpx", "fast"])
def test_certificates_are_bad_for_as_long_as_is_planned(caller: Caller, trust: Trust, transport: str) -> None:
    simulator, plan = new_simulator("huawei_sms", clock=VirtualClock()), FaultPlan()
    (source_id,) = simulator.add_sources(1)
    plan.add(Certificate(trust.server(not_after=EXPIRED)), times=3)
    plan.add(Certificate(trust.server("other.example")), call=4, times=3)
    with serve(simulator) as origin, gate(origin, plan, tls=trust.server()) as origin:
        settings = {**simulator.settings(), "endpoint": origin, "verify": trust.bundle, "transport": transport}
        client = caller.connect("huawei_sms", clock=VirtualClock(), **settings)
        for why in ("expired", "not valid for"):
            with pytest.raises(mc.RequestNotSentError, match=why):
                caller(client.sources.delete(source_id))
        assert [met.method for met in plan.journal] == 6 * [""]
        assert simulator.journal == []
        caller(client.sources.delete(source_id))
        assert plan.journal[6:] == [Meeting("DELETE", f"/v3/sources/{source_id}")]


def test_a_certificate_for_a_gate_without_tls_is_not_ignored(behind: Server, trust: Trust) -> None:
    plan = FaultPlan()
    plan.add(Certificate(trust.server(not_after=EXPIRED)))
    with pytest.raises(ValueError, match="give it tls="), gate(behind.origin, plan) as origin:
        assert unanswered(origin)


# What is left of it.


def test_a_gate_leaves_neither_threads_nor_sockets_even_to_those_who_stay(behind: Server) -> None:
    plan = FaultPlan()
    plan.add(Silence(), times=None)
    before = threading.active_count(), len(os.listdir("/proc/self/fd"))
    with ExitStack() as visitors:
        with gate(behind.origin, plan) as origin:
            for _ in range(3):
                visitor = Visitor(origin)
                visitors.enter_context(visitor.stream)
                visitor.ask()
                assert visitor.hears_nothing()
        assert (visitor.read(), len(plan.journal)) == (b"", 3)
    assert (threading.active_count(), len(os.listdir("/proc/self/fd"))) == before


def test_a_server_that_is_gone_ends_the_connection(behind: Server) -> None:
    with nobody() as nowhere, gate(nowhere) as origin:
        assert unanswered(origin)


def test_a_request_goes_on_when_its_client_has_left_and_asyncio_misses_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def silence(conversation: Conversation) -> None:
        conversation.request()
        conversation.silence()

    answered = answering(answer(BODY, "200 Fine", "Connection: close"))
    with Server(silence, answered) as server, gate(server.origin) as origin:
        first, second = Visitor(origin), Visitor(origin)
        with first.stream:
            first.ask()
            server.wait_until(lambda server: len(server.requests) == 1)
        with second.stream:  # by its answer the gate knows that the first has left
            second.ask()
            assert BODY in second.read()
        gc.collect()
    assert caplog.text == ""
