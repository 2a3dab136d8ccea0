"""Waiting for tasks: when to look again, and when to give up."""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import attrs

from migrate_core import _retry
from migrate_core._engine import Acquire, Lock, Sleep, Steps, fields, log
from migrate_core._paging import Pages
from migrate_core.clock import Clock, Deadline
from migrate_core.errors import (
    AuthenticationError,
    ConfigurationError,
    MigrateError,
    RateLimitedError,
    ServerError,
    TransportError,
)
from migrate_core.provider import Page, Response, TaskInfo, TaskStatus

if TYPE_CHECKING:
    import random

SHORTEST, LONGEST = 1.0, 30.0
JITTER = 0.05
"""A delay is shortened by up to this share, so that those who began to wait together do not look together."""
PATIENCE = 300.0
"""Seconds for which looks may fail in a row: a gateway that restarts is back by then."""
AT_ONCE = 20
"""How many looks at tasks may be on their way side by side."""

_SHORTEST_LOOK = 1.0
_LAST_LOOKS = 30.0
"""Seconds after the end of a wait in which its last looks may begin: of very many tasks, not all can be looked at."""
_TOGETHER = SHORTEST / 2
"""Tasks that are due within so many seconds are due at once, where a list shows them all."""
_MANY = 10
"""From how many that are due at once a list is tried."""
_SPARE_PAGES = 3
"""How many pages of a list may show nothing that is waited for."""


class Pace:
    """Chooses when to look next, from what the looks so far have seen.

    Half of the time that the reported progress leaves, so that the looks close in on the end; where there is no
    progress to go by, a twentieth of the time waited so far. In the queue nothing can end, and looks grow rare soon.

    Args:
        now: when the wait begins, by a monotonic clock.
        progress: percent at that time, if the vendor reports it.
    """

    def __init__(self, now: float, progress: float | None) -> None:
        self._began = now
        self._moved = now
        self._reached = _sensible(progress)
        self._origin = (now, self._reached)

    def delay(self, now: float, progress: float | None, *, queued: bool = False) -> float:
        """Choose how long to wait before the next look.

        Args:
            now: the time, by the same clock.
            progress: percent, as last seen; ``None`` says nothing new.
            queued: whether the work has not begun.

        Returns:
            Seconds, between `SHORTEST` and `LONGEST`.
        """
        before = self._reached
        if progress is not None and (reached := _sensible(progress)) != before:
            self._reached, self._moved = reached, now
        at, origin = self._origin
        if not self._reached or self._reached < origin:
            self._origin = (now, self._reached)  # the work has not begun, or has begun again
        elif self._reached > origin and self._moved > at:
            # Work that is seen for the first time may have begun at any moment since the look before: its speed is
            # a guess, and by no more than twice that time can it be wrong.
            most = math.inf if before else 2 * (now - at)
            return _between(max(min(self._left(now) / 2, most), (now - self._moved) / 20))
        return _between((now - self._began) * (2 if queued else 1 / 20))

    def _left(self, now: float) -> float:
        """Predict the seconds that are left; below 0 when the end is overdue."""
        at, origin = self._origin
        return (100 - self._reached) * (self._moved - at) / (self._reached - origin) - (now - self._moved)


def _sensible(progress: float | None) -> float:
    """Take a report of progress for what it is worth: 0 unless it is a percentage."""
    return progress if progress is not None and 0 < progress <= 100 else 0.0


def _between(seconds: float) -> float:
    return min(max(seconds, SHORTEST), LONGEST)


class _Patience:
    """How long looks have failed in a row."""

    def __init__(self) -> None:
        self.since: float | None = None

    def spend(self, error: MigrateError, now: float) -> float:
        """Bear with one more failure; gives the seconds for which they have lasted.

        Raises:
            MigrateError: `error`, when they have lasted for longer than `PATIENCE`.
        """
        self.since = now if self.since is None else self.since
        if now - self.since > PATIENCE:
            raise error
        return now - self.since


class Watch:
    """One task that is waited for: what is known of it, and when to look at it again.

    Args:
        info: what is known of it.
        look: one look, within so many seconds.
        on_look: called with what each look saw.
        clock: what the wait is measured with.
        rng: where the jitter comes from.

    Attributes:
        due: when to look next, by the monotonic clock.
        left_alone: until when the vendor asked to be left alone.
        error: why it is looked at no more, if not for its end.
    """

    def __init__(
        self,
        info: TaskInfo,
        look: Callable[[TaskInfo, float], Steps[TaskInfo]],
        on_look: Callable[[TaskInfo], None],
        *,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self.info = info
        self.error: MigrateError | None = None
        self.entry = 0
        self._look = look
        self._on_look = on_look
        self._clock = clock
        self._rng = rng
        self._patience = _Patience()
        self._pace = Pace(clock.monotonic(), info.progress)
        self.left_alone = -math.inf
        self._plan(0.0)

    @property
    def over(self) -> bool:
        """Whether there is nothing to wait for: it has ended, needs a person, or cannot be looked at."""
        return _ends(self.info) or self.error is not None

    def look(self, deadline: Deadline) -> Steps[MigrateError | None]:
        """Look at it once.

        Returns:
            Why the look failed, where the wait goes on all the same.

        Raises:
            MigrateError: looks failed in a way that waiting does not mend, or for longer than `PATIENCE`.
        """
        steps = self._look(self.info, max(deadline.remaining(), _SHORTEST_LOOK))
        try:
            info, wanted = yield from _heard(steps, self._clock)
        except (TransportError, RateLimitedError, ServerError) as error:
            self._patience.spend(error, self._clock.monotonic())
            self._plan(_wanted_by(error))
            about = fields(error, operation="get_task")
            log.info("%s: a look failed, the wait goes on: %s", self.info.id, error, extra=about)
            return error
        self.saw(info, wanted)
        return None

    def saw(self, info: TaskInfo, wanted: float = 0.0) -> None:
        """Take note of what a look saw.

        Args:
            info: what is known of the task now.
            wanted: for how many seconds the vendor asks to be left alone.
        """
        self.info = info
        self._patience.since = None
        self._plan(wanted)

    def tell(self) -> None:
        """Say what the last look saw."""
        self._on_look(self.info)

    def _plan(self, wanted: float) -> None:
        now = self._clock.monotonic()
        queued = self.info.status is TaskStatus.QUEUED and self._patience.since is None  # as far as is known
        delay = self._pace.delay(now, self.info.progress, queued=queued)
        self.left_alone = max(self.left_alone, now + min(wanted, PATIENCE))
        self.due = max(self.left_alone, now + max(SHORTEST, delay * self._rng.uniform(1 - JITTER, 1)))


def merged(seen: TaskInfo, last: TaskInfo) -> TaskInfo:
    """Keep what the vendor does not repeat: what the task is for."""
    return attrs.evolve(seen, operation=last.operation or seen.operation, entity_id=last.entity_id or seen.entity_id)


def _ends(info: TaskInfo) -> bool:
    return info.status.terminal or info.needs_input


def _wanted_by(error: MigrateError) -> float:
    return getattr(error, "retry_after", None) or 0.0


def _heard(look: Steps[TaskInfo], clock: Clock) -> Steps[tuple[TaskInfo, float]]:
    """Carry out a look, and hear for how many seconds the vendor's last answer asks to be left alone."""
    wanted: float | None = None
    try:
        effect = next(look)
        while True:
            try:
                answer = yield effect
            except BaseException as error:
                effect = look.throw(error)
            else:
                if isinstance(answer, Response):
                    wanted = _retry.retry_after(answer.headers.get("retry-after"), clock.now())
                effect = look.send(answer)
    except StopIteration as stop:
        return stop.value, wanted or 0.0


def watch(one: Watch, *, clock: Clock, timeout: float | None) -> Steps[None]:
    """Look at a task until it ends, needs a person, or the time is over.

    Args:
        one: the task.
        clock: what the wait is measured with.
        timeout: seconds; ``None`` waits for ever.

    Raises:
        MigrateError: looks failed in a way that waiting does not mend, or for longer than `PATIENCE`.
    """
    deadline = Deadline.after(clock, timeout)
    while not one.over:
        yield Sleep(min(max(one.due - clock.monotonic(), 0.0), deadline.remaining()))
        if one.left_alone > deadline.at:
            return
        if (yield from one.look(deadline)) is None:
            one.tell()
        if deadline.remaining() <= 0:
            return


class Schedule:
    """One schedule for many tasks: the next look is at the one that is due first.

    Workers share it, each of which looks at one task at a time; a single one will do. Only one of them waits by the
    clock, the others wait for it, so that ten thousand tasks need one timer. Where the vendor has a list, tasks that
    are due at once are looked at together.

    Args:
        watches: the tasks.
        clock: what the wait is measured with.
        timeout: seconds; ``None`` waits for ever.
        lock: whose holder chooses the next look, of the client's own kind.
        list_page: asks for a page of the vendor's list of tasks, within so many seconds; ``None`` without a list.
    """

    def __init__(
        self,
        watches: Iterable[Watch],
        *,
        clock: Clock,
        timeout: float | None,
        lock: Lock,
        list_page: Callable[[str | None, float], Steps[Page[TaskInfo]]] | None,
    ) -> None:
        self._clock = clock
        self._deadline = Deadline.after(clock, timeout)
        self._lock = lock
        self._list_page = list_page
        self._many: float = _MANY
        self._looking = 0
        self._patience = _Patience()
        self._held_until = -math.inf
        self._entries = itertools.count(1)
        self._later: list[tuple[float, int, Watch]] = []  # a heap; entries that a later one replaced are skipped
        self._soon: deque[Watch] = deque()  # taken from it when they are due, or nearly
        self._alone: deque[Watch] = deque()  # due, and not to be looked at in a list
        self._by_id: dict[str, list[Watch]] = {}
        for one in watches:
            self._put(one)
            self._by_id.setdefault(one.info.id, []).append(one)

    def work(self) -> Steps[None]:
        """Look at one task after another, each when it is due, until none is left or the time is over.

        Raises:
            AuthenticationError: the login was refused; it would be for all the others.
            TransportError: no look at any task got through, for longer than `PATIENCE`.
            RateLimitedError: the vendor turned all looks away, for longer than that.
        """
        while (one := (yield from self._next())) is not None:
            if one.left_alone <= self._deadline.at:
                yield from self._look_at(one)

    def _next(self) -> Steps[Watch | None]:
        """Wait until a task is due, and take it."""
        yield Acquire(self._lock, Deadline(self._clock, math.inf))
        try:
            while self._has_more():
                if (pause := self._pause()) > 0:
                    yield Sleep(pause)
                elif self._list_page and not self._alone and len(self._soon) >= self._many:
                    yield from self._look_at_list(self._list_page)
                else:
                    return self._take()
            return None
        finally:
            self._lock.release()

    def _has_more(self) -> bool:
        """Tell whether there is anything left to look at, and time for it; what others look at right now is theirs."""
        self._collect()
        return not self._is_late() and bool(self._alone or self._soon or self._later)

    def _is_late(self) -> bool:
        now = self._clock.monotonic()
        return now > self._deadline.at + _LAST_LOOKS or self._deadline.at <= now < self._held_until

    def _collect(self) -> None:
        """Take what is due, or nearly, from those that are due later."""
        horizon = self._clock.monotonic() + _TOGETHER
        while self._later:
            due, entry, one = self._later[0]
            is_replaced = entry != one.entry
            if due > horizon and not is_replaced:
                return
            heapq.heappop(self._later)
            if not is_replaced:
                self._soon.append(one)

    def _pause(self) -> float:
        """Tell the seconds until the next look, or until others, who are looking right now, may have changed that."""
        if self._looking and self._patience.since is not None:
            return SHORTEST  # one look will do to see whether the vendor is back
        due = -math.inf if self._alone else self._soon[0].due if self._soon else self._later[0][0]
        pause = min(max(due, self._held_until), self._deadline.at) - self._clock.monotonic()
        return min(pause, SHORTEST) if self._looking else pause

    def _take(self) -> Watch:
        one = (self._alone or self._soon).popleft()
        one.entry = 0
        return one

    def _confirm(self, one: Watch) -> None:
        """Have a task looked at by itself, at once."""
        one.entry = 0
        self._alone.append(one)

    def _put(self, one: Watch) -> None:
        """Leave a task until it is due."""
        one.entry = 0
        if not one.over:
            one.entry = next(self._entries)
            one.due = min(one.due, self._deadline.at)
            heapq.heappush(self._later, (one.due, one.entry, one))

    def _put_back(self, one: Watch) -> None:
        """Leave a task that was looked at until it is due again, if there is time for it."""
        one.entry = 0
        if self._deadline.remaining() > 0:
            self._put(one)

    def _look_at(self, one: Watch) -> Steps[None]:
        """Look at one task; only what holds for all the others, too, is raised."""
        failure: MigrateError | None = None
        self._looking += 1
        try:
            failure = yield from one.look(self._deadline)
        except (AuthenticationError, ConfigurationError):
            raise
        except MigrateError as error:
            failure = one.error = error
        finally:
            self._looking -= 1
        self._heed(failure)
        if not failure:
            one.tell()
        self._put_back(one)

    def _heed(self, failure: MigrateError | None) -> None:
        """Leave the vendor alone as long as it asks, or cannot be reached, whatever task was looked at."""
        now = self._clock.monotonic()
        wanted = 0.0
        if isinstance(failure, TransportError | RateLimitedError):
            wanted = _between(self._patience.spend(failure, now) / 20)
        else:
            self._patience.since = None
        if failure:
            wanted = max(wanted, min(_wanted_by(failure), PATIENCE))
            self._held_until = max(self._held_until, now + wanted)

    def _look_at_list(self, list_page: Callable[[str | None, float], Steps[Page[TaskInfo]]]) -> Steps[None]:
        """Look at all that are due, as long as the list shows more of them than it has pages."""
        due, self._soon = self._soon, deque()
        missing = dict.fromkeys(due)
        pages: Pages[TaskInfo] = Pages()
        read = 0
        while missing and pages.more and read < len(due) - len(missing) + _SPARE_PAGES and not self._is_late():
            try:
                page = yield from list_page(pages.cursor, max(self._deadline.remaining(), _SHORTEST_LOOK))
                shown = tuple(pages.fresh(page))
            except (AuthenticationError, ConfigurationError):
                raise
            except (TransportError, RateLimitedError) as error:
                self._soon.extend(missing)
                self._heed(error)
                return
            except MigrateError as error:
                about = fields(error, operation="list_tasks")
                log.info("the list of tasks cannot be read, each is looked at by itself: %s", error, extra=about)
                self._many = math.inf
                break
            self._heed(None)
            read += 1
            for info in shown:
                self._show(info, missing)
        if 2 * read > len(due) - len(missing):
            self._many *= 2  # it saved too little
        for one in missing:
            if one.due <= self._clock.monotonic():
                self._confirm(one)
            else:
                self._put(one)

    def _show(self, info: TaskInfo, missing: dict[Watch, None]) -> None:
        """Take note of what a list shows of a task.

        A list may know less than a look, so an end is looked at again, unless it is a success with its result.
        """
        for one in self._by_id.get(info.id, ()):
            if not one.entry or one.left_alone > self._clock.monotonic():
                continue  # it has ended, or somebody looks at it right now, or nobody may
            missing.pop(one, None)
            if _ends(info) and not (info.status is TaskStatus.SUCCESS and info.result is not None):
                self._confirm(one)
            else:
                one.saw(merged(info, one.info))
                one.tell()
                self._put_back(one)
