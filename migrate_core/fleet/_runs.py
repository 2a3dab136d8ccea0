"""The engine that there is: our journal says what is to be done, and DBOS's queues who does it."""

from __future__ import annotations

import math
import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from migrate_core.errors import InvalidArgumentError, JournalError
from migrate_core.fleet.engine import Known
from migrate_core.fleet.journal import Journal
from migrate_core.fleet.manifest import Manifest
from migrate_core.fleet.models import OrderResult, OrderState, RunStatus

if TYPE_CHECKING:
    from migrate_core.fleet._queues import Queues

__all__ = ["DbosEngine"]

_PLACES = 200
"""Lots of a profile that are wanted: some for each order in flight, so that not all of the last ones are long."""
_MOST_IN_LOT = 100
_TICK = 0.2
_NOTING = 2.0
"""Seconds that the queues may take to note the end of a lot."""
_STATUS_SECONDS = 1.0


class DbosEngine:
    """Carries out runs with DBOS; a `FleetEngine`.

    Args:
        journal: path of a file, or URL of a PostgreSQL database.
    """

    def __init__(self, journal: str | os.PathLike[str]) -> None:
        self._journal = Journal(journal)
        self._queues: Queues | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the journal; safe to call twice."""
        if self._queues is not None:
            self._queues.close()
            self._queues = None
        self._journal.close()

    def submit(self, manifest: Manifest, *, known: Known = "refuse") -> str:
        """Take a manifest into the journal, as `FleetEngine.submit` does."""
        queues = self._opened()
        of_profile: Counter[str] = Counter()
        for (profile, _, _), count in manifest.counts.items():
            of_profile[profile] += count
        return self._journal.submit(
            manifest, known, lot_size=lambda profile: _lot_size(of_profile[profile]), enqueue=queues.start
        )

    def work(
        self, run: str | None = None, *, in_flight: int = 50, on_status: Callable[[RunStatus], object] | None = None
    ) -> None:
        """Carry out a run, as `FleetEngine.work` does."""
        if in_flight < 1:
            raise InvalidArgumentError("in_flight is a number of orders above 0")
        from migrate_core.fleet._post import Post
        from migrate_core.fleet._seats import seat_at

        queues = self._opened()
        run = None if run is None else self._journal.named(run)
        seat = seat_at(self._journal)
        with ExitStack() as stack:
            stack.callback(seat.leave)
            post: Post | None = None
            next_status = 0.0
            while True:
                if post is not None:
                    post.look_around()
                elif seat.taken():
                    post = stack.enter_context(Post(self._journal, queues, seat, in_flight))
                try:
                    over = run is not None and not self._journal.left(run)
                    if on_status and (over or time.monotonic() >= next_status):
                        next_status = time.monotonic() + _STATUS_SECONDS
                        for status in self._watched(run):
                            on_status(status)
                    if over:
                        _await_lots(queues, run or "")
                        return
                except JournalError as error:
                    if not error.passing:
                        raise
                time.sleep(_TICK)

    def _watched(self, run: str | None) -> Iterator[RunStatus]:
        if run is not None:
            yield self._journal.status(run)
        else:
            yield from (status for status in self._journal.statuses() if status.left)

    def status(self, run: str) -> RunStatus:
        """Tell how far a run is, as `FleetEngine.status` does."""
        return self._found().status(self._journal.named(run))

    def runs(self) -> tuple[RunStatus, ...]:
        """Give all runs, as `FleetEngine.runs` does."""
        return self._found().statuses()

    def cancel(self, run: str) -> int:
        """Send nothing more of a run, as `FleetEngine.cancel` does."""
        return self._found().cancel(self._journal.named(run))

    def resume(self, run: str, *, failed: bool = False) -> int:
        """Make orders wait for a worker again, as `FleetEngine.resume` does."""
        self._found()
        queues = self._opened()
        run = self._journal.named(run)
        if failed:
            states = [state for state in OrderState if state.regrettable]
        else:
            states = [state for state in OrderState if not state.over or state is OrderState.CANCELLED]
        wanted: Counter[str] = Counter()
        for tally in self._journal.status(run, failures=False).tallies:
            wanted[tally.profile] += tally.count if tally.state in states else 0
        return self._journal.take_up(
            run,
            states,
            carried=queues.carried(run),
            lot_size=lambda profile: _lot_size(wanted[profile]),
            enqueue=queues.start,
        )

    def results(self, run: str, *, states: Collection[OrderState] = ()) -> Iterator[OrderResult]:
        """Give what became of each order, as `FleetEngine.results` does."""
        return self._found().results(self._journal.named(run), states)

    def _found(self) -> Journal:
        """Give the journal, which must be there already."""
        path = self._journal.path
        if path is not None and not path.exists():
            raise InvalidArgumentError(f"there is no journal {path}")
        self._journal.prepare()
        return self._journal

    def _opened(self) -> Queues:
        """Make the journal if there is none, and give its queues."""
        if self._queues is None:
            from migrate_core.fleet._queues import Queues  # takes seconds to load, and who only looks needs it not

            self._journal.prepare()
            self._queues = Queues(self._journal)
        return self._queues


def _await_lots(queues: Queues, run: str) -> None:
    """Let the queues note that lots have ended, too, or the next worker would look at them once more."""
    end = time.monotonic() + _NOTING
    while time.monotonic() < end and queues.lots("PENDING", run=run):
        time.sleep(_TICK / 4)


def _lot_size(orders: int) -> int:
    return max(1, min(_MOST_IN_LOT, math.ceil(orders / _PLACES)))
