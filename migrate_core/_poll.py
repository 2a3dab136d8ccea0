"""Waiting for a task: when to look again, and when to give up."""

from __future__ import annotations

from collections.abc import Callable

from migrate_core._engine import Sleep, Steps, log
from migrate_core.clock import Clock, Deadline
from migrate_core.errors import RateLimitedError, ServerError, TransportError
from migrate_core.provider import TaskInfo

SHORTEST, LONGEST = 1.0, 30.0
PATIENCE = 300.0
"""Seconds for which looks may fail in a row: a gateway that restarts is back by then."""

_SHORTEST_LOOK = 1.0


class Pace:
    """Chooses when to look next, from what the looks so far have seen.

    Half of the time that the reported progress leaves, so that the looks close in on the end; where there is no
    progress to go by, a twentieth of the time waited so far.

    Args:
        now: when the wait begins, by a monotonic clock.
        progress: percent at that time, if the vendor reports it.
    """

    def __init__(self, now: float, progress: float | None) -> None:
        self._began = now
        self._origin = (now, _sensible(progress))

    def delay(self, now: float, progress: float | None) -> float:
        """Choose how long to wait before the next look.

        Args:
            now: the time, by the same clock.
            progress: percent, as last seen.

        Returns:
            Seconds, between `SHORTEST` and `LONGEST`.
        """
        at, origin = self._origin
        reached = _sensible(progress)
        if not reached:
            self._origin = (now, 0.0)  # still in the queue: the work has not begun
        elif reached > origin and now > at:
            return _between((100 - reached) * (now - at) / (reached - origin) / 2)
        return _between((now - self._began) / 20)


def _sensible(progress: float | None) -> float:
    """Take a report of progress for what it is worth: 0 unless it is a percentage."""
    return progress if progress is not None and 0 < progress <= 100 else 0.0


def _between(seconds: float) -> float:
    return min(max(seconds, SHORTEST), LONGEST)


def watch(
    last: TaskInfo,
    look: Callable[[TaskInfo, float], Steps[TaskInfo]],
    *,
    clock: Clock,
    timeout: float | None,
    on_look: Callable[[TaskInfo], None],
) -> Steps[TaskInfo]:
    """Look at a task until it ends, needs a person, or the time is over.

    Args:
        last: what is known of it.
        look: one look, within so many seconds.
        clock: what the wait is measured with.
        timeout: seconds; ``None`` waits for ever.
        on_look: called with what each look saw.

    Returns:
        What the last look saw; not terminal when the time is over.

    Raises:
        MigrateError: looks failed in a way that waiting does not mend, or for longer than `PATIENCE`.
    """
    deadline = Deadline.after(clock, timeout)
    seen = clock.monotonic()
    pace = Pace(seen, last.progress)
    wanted = 0.0  # how long the vendor asked us to stay away
    while not last.status.terminal and not last.needs_input:
        delay = max(wanted, pace.delay(clock.monotonic(), last.progress))
        yield Sleep(min(delay, deadline.remaining()))
        try:
            last = yield from look(last, max(deadline.remaining(), _SHORTEST_LOOK))
        except (TransportError, RateLimitedError, ServerError) as error:
            if clock.monotonic() - seen > PATIENCE:
                raise
            wanted = min(getattr(error, "retry_after", None) or 0.0, PATIENCE)
            log.info("%s: a look failed, the wait goes on: %s", last.id, error)
        else:
            seen, wanted = clock.monotonic(), 0.0
            on_look(last)
        if deadline.remaining() <= 0:
            break
    return last
