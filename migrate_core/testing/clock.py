"""Clocks for tests: one that only moves when somebody sleeps or says so, and one that runs fast."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from datetime import UTC, datetime, timedelta

__all__ = ["FastClock", "VirtualClock"]

_START = datetime(2026, 1, 1, tzinfo=UTC)


class VirtualClock:
    """Satisfies `Clock` without waiting: a sleep moves the time on and returns.

    Sleepers that run side by side sleep side by side: the time moves to the latest of their ends, not to the sum.

    Args:
        start: the wall-clock time to begin with, timezone-aware.
    """

    def __init__(self, start: datetime = _START) -> None:
        self._start = start
        self._elapsed = 0.0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Tell the virtual wall-clock time."""
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Tell the virtual seconds since the start."""
        return self._elapsed

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self._reach(self._elapsed + seconds)

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass for the calling thread."""
        self._reach(self._elapsed + seconds)

    async def asleep(self, seconds: float) -> None:
        """Let `seconds` pass for the calling coroutine; others run first."""
        end = self._elapsed + seconds
        await asyncio.sleep(0)
        self._reach(end)

    def _reach(self, moment: float) -> None:
        with self._lock:
            self._elapsed = max(self._elapsed, moment)


class FastClock:
    """Satisfies `Clock` with time that runs fast: for 600, an hour takes six seconds.

    A simulator's, when its client lives in another process and keeps to the machine's time.

    Args:
        speed: how many of its seconds pass in one of the machine's.

    Raises:
        ValueError: it would stand still, or worse.
    """

    def __init__(self, speed: float) -> None:
        if not 0 < speed < math.inf:
            raise ValueError(f"a clock cannot run {speed} times as fast")
        self._speed = speed
        self._start, self._begun = datetime.now(UTC), time.monotonic()

    def now(self) -> datetime:
        """Tell its wall-clock time, which was the machine's when it began."""
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """Tell its seconds since it began."""
        return (time.monotonic() - self._begun) * self._speed

    def sleep(self, seconds: float) -> None:
        """Block for `seconds` of its own."""
        time.sleep(seconds / self._speed)

    async def asleep(self, seconds: float) -> None:
        """Suspend the calling coroutine for `seconds` of its own."""
        await asyncio.sleep(seconds / self._speed)
