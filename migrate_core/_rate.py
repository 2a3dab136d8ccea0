"""How fast requests may follow each other."""

from __future__ import annotations

import threading

import attrs


@attrs.define(eq=False, repr=False)
class Rate:
    """Spaces requests evenly: threads and coroutines that come at the same time get one slot after another.

    Attributes:
        limit: requests per second; ``None`` for as many as come.
    """

    limit: float | None
    _next: float = attrs.field(default=0.0, alias="next")
    _lock: threading.Lock = attrs.field(factory=threading.Lock, alias="lock")

    def pause(self, now: float, most: float) -> float | None:
        """Take the next slot.

        Args:
            now: the time, by a monotonic clock.
            most: seconds that the caller can wait.

        Returns:
            Seconds until the slot; ``None`` if it comes too late, and then it is not taken.
        """
        if self.limit is None:
            return 0.0
        with self._lock:
            slot = max(self._next, now)
            if slot - now > most:
                return None
            self._next = slot + 1 / self.limit
        return slot - now
