"""How fast requests may follow each other."""

from __future__ import annotations

import threading


class Rate:
    """Spaces requests evenly: threads and coroutines that come at the same time get one slot after another.

    Args:
        limit: requests per second; ``None`` for as many as come.
    """

    def __init__(self, limit: float | None) -> None:
        self.limit = limit
        self._next = 0.0
        self._lock = threading.Lock()

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
