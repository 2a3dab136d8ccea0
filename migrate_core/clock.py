"""Time, as something that is passed in: the engine, the poll loop and the simulators ask no other clock."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from typing import Protocol

import attrs


class Clock(Protocol):
    """What the library needs of a clock."""

    def now(self) -> datetime:
        """Tell the wall-clock time, timezone-aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Tell seconds that never run backwards; deadlines are measured with it."""
        ...

    def sleep(self, seconds: float) -> None:
        """Block for `seconds`."""
        ...

    async def asleep(self, seconds: float) -> None:
        """Suspend the calling coroutine for `seconds`."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Tell the wall-clock time in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Tell seconds that never run backwards."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Block for `seconds`."""
        time.sleep(seconds)

    async def asleep(self, seconds: float) -> None:
        """Suspend the calling coroutine for `seconds`."""
        import asyncio  # who makes no event loop need not wait for it

        await asyncio.sleep(seconds)


@attrs.frozen
class Deadline:
    """A moment after which a call is over, retries and waiting for a login included."""

    clock: Clock = attrs.field(repr=False)
    at: float

    @classmethod
    def after(cls, clock: Clock, seconds: float | None) -> Deadline:
        """Set a deadline.

        Args:
            clock: the clock that it is measured with.
            seconds: from now; ``None`` for never.
        """
        return cls(clock, math.inf if seconds is None else clock.monotonic() + seconds)

    def remaining(self) -> float:
        """Tell the seconds that are left: 0 when it has passed, infinity when there is none."""
        return max(0.0, self.at - self.clock.monotonic())
