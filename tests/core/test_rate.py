"""The setting ``rate_limit``: how fast the requests of a connection follow each other."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import migrate_core as mc
from migrate_core._rate import Rate
from migrate_core.clock import Deadline
from migrate_core.provider import Request, Response
from migrate_core.testing import VirtualClock
from support import Caller

KEYS = {"endpoint": "http://127.0.0.1:1", "token": "t"}


@attrs.define
class Service:
    """Answers each request with the next of `statuses`, the last one for ever, and notes when."""

    clock: VirtualClock
    statuses: list[int] = attrs.Factory(lambda: [200])
    times: list[float] = attrs.Factory(list)

    def open(self, _: Any) -> Any:
        return self

    def open_async(self, _: Any) -> Any:
        return AsyncService(self)

    def send(self, request: Request, deadline: Deadline) -> Response:
        self.times.append(self.clock.monotonic())
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return Response(status=status, body=b'{"id": "s-1"}')

    def close(self) -> None:
        """Nothing is open."""


@attrs.define
class AsyncService:
    """The same for an event loop."""

    service: Service

    async def send(self, request: Request, deadline: Deadline) -> Response:
        return self.service.send(request, deadline)

    async def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def service(clock: VirtualClock) -> Service:
    return Service(clock)


def connect(caller: Caller, service: Service, **settings: Any) -> Any:
    return caller.connect("huawei_sms", transport=service, clock=service.clock, **KEYS, **settings)


def test_calls_one_by_one_are_spaced_evenly_and_the_first_does_not_wait(caller: Caller, service: Service) -> None:
    client = connect(caller, service, rate_limit=4)
    for _ in range(5):
        caller(client.sources.describe("s-1"))
    assert service.times == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_who_comes_later_than_a_slot_does_not_wait(caller: Caller, service: Service, clock: VirtualClock) -> None:
    client = connect(caller, service, rate_limit=2)
    caller(client.sources.describe("s-1"))
    clock.advance(10.0)
    caller(client.sources.describe("s-1"))
    caller(client.sources.describe("s-1"))
    assert service.times == [0.0, 10.0, 10.5]


def test_without_a_limit_nobody_waits(caller: Caller, service: Service) -> None:
    client = connect(caller, service)
    for _ in range(100):
        caller(client.sources.describe("s-1"))
    assert set(service.times) == {0.0}


def test_calls_side_by_side_get_one_slot_after_another(service: Service) -> None:
    async def describe_all() -> None:
        async with mc.connect_async(
            "huawei_sms", transport=service, clock=service.clock, rate_limit=10, **KEYS
        ) as client:
            await asyncio.gather(*(client.sources.describe("s-1") for _ in range(50)))

    asyncio.run(describe_all())
    assert len(service.times) == 50
    assert all(later - earlier >= 0.1 - 1e-9 for earlier, later in pairwise(sorted(service.times)))


def test_a_request_that_is_sent_again_takes_a_slot_of_its_own(caller: Caller, service: Service) -> None:
    service.statuses = [503, 503, 200]
    client = connect(caller, service, rate_limit=0.5)
    caller(client.sources.describe("s-1"))
    assert service.times == [0.0, 2.0, 4.0]


def test_a_call_whose_slot_comes_too_late_ends_at_once_unsent_and_takes_none(caller: Caller, service: Service) -> None:
    client = connect(caller, service, rate_limit=0.1, timeout=5)
    caller(client.sources.describe("s-1"))
    with pytest.raises(mc.DeadlineExceededError, match="rate_limit") as caught:
        caller(client.sources.delete("s-1"))
    assert not caught.value.sent
    assert service.times == [0.0]
    service.clock.advance(10.0)
    caller(client.sources.delete("s-1"))
    assert service.times == [0.0, 10.0]


@pytest.mark.parametrize("value", [0, -1, "fast", float("inf"), float("nan"), [1]])
def test_a_limit_that_is_none_is_refused(service: Service, value: Any) -> None:
    with pytest.raises(mc.ConfigurationError, match="rate_limit is a number of requests per second above 0"):
        mc.connect("huawei_sms", transport=service, rate_limit=value, **KEYS)


def test_the_environment_may_set_it(caller: Caller, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIGRATE_RATE_LIMIT", "2.5")
    client = connect(caller, service)
    for _ in range(3):
        caller(client.sources.describe("s-1"))
    assert service.times == [0.0, 0.4, 0.8]


def test_threads_never_share_a_slot() -> None:
    rate = Rate(1000.0)
    with ThreadPoolExecutor(8) as threads:
        pauses = list(threads.map(lambda _: rate.pause(0.0, 100.0), range(2000)))
    assert sorted(pause for pause in pauses if pause is not None) == pytest.approx([n / 1000 for n in range(2000)])


@given(
    limit=st.floats(0.1, 1000),
    arrivals=st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10)), max_size=50),
)
def test_no_two_slots_are_closer_than_the_limit_allows(limit: float, arrivals: list[tuple[float, float]]) -> None:
    rate, now, slots = Rate(limit), 0.0, []
    for later, patience in arrivals:
        now += later
        pause = rate.pause(now, patience)
        if pause is not None:
            assert 0 <= pause <= patience
            slots.append(now + pause)
    assert all(after - before >= 1 / limit - 1e-6 for before, after in pairwise(slots))
