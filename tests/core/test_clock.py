"""Clocks and deadlines."""

from __future__ import annotations

import asyncio
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest

from migrate_core.clock import Clock, Deadline, SystemClock
from migrate_core.testing import VirtualClock

PATIENCE = 50.0


def test_a_virtual_clock_moves_only_when_told() -> None:
    clock = VirtualClock()
    before = clock.now(), clock.monotonic()
    assert (clock.now(), clock.monotonic()) == before
    clock.advance(90)
    assert clock.now() - before[0] == timedelta(seconds=90)
    assert clock.monotonic() - before[1] == 90
    clock.sleep(0.5)
    assert clock.monotonic() - before[1] == 90.5


def test_a_virtual_clock_starts_where_it_is_told_in_whatever_zone() -> None:
    start = datetime(2030, 5, 6, 7, tzinfo=timezone(timedelta(hours=2)))
    assert VirtualClock(start).now() == start
    assert VirtualClock().now().utcoffset() == timedelta(0)


def test_coroutines_that_sleep_side_by_side_take_the_longest_sleep() -> None:
    async def run(clock: VirtualClock) -> None:
        await asyncio.gather(*(clock.asleep(seconds) for seconds in (1, 7, 3)))

    clock = VirtualClock()
    asyncio.run(run(clock))
    assert clock.monotonic() == 7


def test_a_hundred_coroutines_that_sleep_in_turns_take_no_longer_than_one() -> None:
    async def nap(clock: VirtualClock) -> None:
        for _ in range(5):
            await clock.asleep(2)

    async def run(clock: VirtualClock) -> None:
        await asyncio.gather(*(nap(clock) for _ in range(100)))

    clock = VirtualClock()
    asyncio.run(run(clock))
    assert clock.monotonic() == 10


def test_one_coroutine_sleeps_one_sleep_after_the_other() -> None:
    async def run(clock: VirtualClock) -> None:
        for seconds in (1, 7, 3):
            await clock.asleep(seconds)

    clock = VirtualClock()
    asyncio.run(run(clock))
    assert clock.monotonic() == 11


def test_others_run_while_a_coroutine_sleeps() -> None:
    order: list[str] = []

    async def sleeper(clock: VirtualClock) -> None:
        await clock.asleep(5)
        order.append("slept")

    async def other() -> None:
        order.append("ran")

    async def run() -> None:
        await asyncio.gather(sleeper(VirtualClock()), other())

    asyncio.run(run())
    assert order == ["ran", "slept"]


def test_a_virtual_clock_never_runs_backwards_whoever_moves_it() -> None:
    clock = VirtualClock()
    barrier = threading.Barrier(8)

    def run(_: int) -> bool:
        barrier.wait(PATIENCE)
        seen = [0.0]
        for _ in range(200):
            clock.sleep(1)
            seen.append(clock.monotonic())
        return seen == sorted(seen)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(run, range(8), timeout=3 * PATIENCE))
    assert 200 <= clock.monotonic() <= 8 * 200


def test_the_machines_clock_tells_utc_and_does_not_run_backwards() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    assert clock.now().tzinfo is UTC
    clock.sleep(0)
    asyncio.run(clock.asleep(0))
    assert clock.monotonic() >= before


def test_a_deadline_counts_down_to_zero_and_stays_there() -> None:
    clock = VirtualClock()
    deadline = Deadline.after(clock, 10)
    left = []
    for _ in range(4):
        left.append(deadline.remaining())
        clock.advance(4)
    assert left == [10, 6, 2, 0]


def test_no_deadline_never_passes() -> None:
    clock = VirtualClock()
    deadline = Deadline.after(clock, None)
    clock.advance(1e12)
    assert deadline.remaining() == math.inf


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_deadline_in_the_past_has_passed(seconds: float) -> None:
    assert Deadline.after(VirtualClock(), seconds).remaining() == 0


def test_both_clocks_are_clocks() -> None:
    clocks: list[Clock] = [SystemClock(), VirtualClock()]
    assert all(clock.now().tzinfo for clock in clocks)
