"""A rate limit that holds for all workers of a journal together."""

from __future__ import annotations

import logging
from collections import deque

from migrate_core._rate import Rate
from migrate_core.errors import JournalError
from migrate_core.fleet.journal import Journal

__all__ = ["LATE", "SharedRate"]

LATE = 0.04
"""Seconds after which a slot is too old to be used."""

log = logging.getLogger("migrate_core")

_SLACK = 1.2
"""How much farther apart slots are than the limit demands: what is held up for 0.16 s makes no second too full."""
_AHEAD = 0.25
"""Seconds' worth of slots that are taken from the journal at a time."""


class SharedRate(Rate):
    """Spaces the requests of a profile by slots that the journal hands out to all workers."""

    def __init__(self, limit: float, profile: str, journal: Journal) -> None:
        super().__init__(limit)
        self._profile = profile
        self._journal = journal
        self._count = max(1, int(limit * _AHEAD))
        self._step = _SLACK / limit
        self._slots: deque[float] = deque()

    def pause(self, now: float, most: float) -> float | None:
        """Take the next slot, as `Rate.pause` does; there is none while the journal is away."""
        with self._lock:
            while self._slots and self._slots[0] < now - LATE:
                self._slots.popleft()
            if not self._slots:
                try:
                    wait = self._journal.slots(self._profile, self._count * self._step)
                except JournalError as error:
                    log.info("no request is sent while the journal is away: %s", error)
                    return None
                self._slots.extend(now + wait + number * self._step for number in range(self._count))
            if self._slots[0] - now > most:
                return None
            return max(0.0, self._slots.popleft() - now)
