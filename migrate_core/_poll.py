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


def next_delay(elapsed: float, progress: float | None) -> float:
    """Choose how long to wait before the next look.

    Half of the time that the reported progress leaves, so that the looks close in on the end; without progress a
    twentieth of the time waited so far.

    Args:
        elapsed: seconds since the wait began.
        progress: percent, if the vendor reports it.

    Returns:
        Seconds, between 1 and 30.
    """
    delay = elapsed * (100 - progress) / progress / 2 if progress and 0 < progress <= 100 else elapsed / 20
    return min(max(delay, SHORTEST), LONGEST)


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
    began = seen = clock.monotonic()
    while not last.status.terminal and not last.needs_input:
        delay = next_delay(clock.monotonic() - began, last.progress)
        yield Sleep(min(delay, deadline.remaining()))
        try:
            last = yield from look(last, max(deadline.remaining(), _SHORTEST_LOOK))
        except (TransportError, RateLimitedError, ServerError) as error:
            if clock.monotonic() - seen > PATIENCE:
                raise
            log.info("%s: a look failed, the wait goes on: %s", last.id, error)
        else:
            seen = clock.monotonic()
            on_look(last)
        if deadline.remaining() <= 0:
            break
    return last
