"""A clock that only moves when somebody sleeps or says so."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta

__all__ = ["VirtualClock"]

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
