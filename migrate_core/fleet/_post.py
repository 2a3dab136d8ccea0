"""A worker at its post: DBOS runs in this process, and gives it lots."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import suppress
from typing import Self

from dbos import DBOS, WorkflowStatus

from migrate_core._rate import Rate
from migrate_core.errors import ConfigurationError, IncompleteDocumentWarning, JournalError
from migrate_core.fleet._carrying import Clients, Worker
from migrate_core.fleet._queues import APPLICATION, SERIALIZER, START, VERSION, WATCH, Queues, watch_of
from migrate_core.fleet._rates import SharedRate
from migrate_core.fleet._seats import Seat
from migrate_core.fleet.journal import Journal

__all__ = ["Post"]

log = logging.getLogger("migrate_core")

_TICK = 0.05
_LISTENING = 0.2
"""Seconds between looks of DBOS at messages, of which there are none; it ends no sooner than it looks."""
_SETTLING = 5.0
"""Seconds after which a worker that stops should have all the lots that it has room for."""
_LOOK_SECONDS = 2.0
"""How often a worker looks whether lots are left."""
_LOOKS_AT_LEFT = 4
"""Looks in a row that find a lot left before it is taken: its worker may have lost its session for a moment."""
_GRACE = 45.0
"""Seconds to wait for answers when a worker is interrupted: more than a call is allowed to take by default."""


class Post:
    """A worker at its post, as a context manager. There is one in a process, as there is one DBOS.

    Args:
        journal: the journal.
        queues: its queues.
        seat: the seat that the worker has taken.
        in_flight: orders of one profile that it carries out at the same time.

    Attributes:
        current: the one in this process.
        queues: its queues.
        worker: the worker.
    """

    _held = threading.Lock()
    current: Post

    def __init__(self, journal: Journal, queues: Queues, seat: Seat, in_flight: int) -> None:
        self.queues = queues
        self.worker = Worker(journal, Clients(self._rate_of))
        self._journal = journal
        self._seat = seat
        self._in_flight = in_flight
        self._next_look = 0.0
        self._left: Counter[str] = Counter()
        self._returned: set[str] = set()
        self._warnings = warnings.catch_warnings()

    def _rate_of(self, profile: str, limit: float | None) -> Rate:
        if limit is None or self._journal.path is not None:  # where there is no other worker
            return Rate(limit)
        return SharedRate(limit, profile, self._journal)

    def __enter__(self) -> Self:
        if not self._held.acquire(blocking=False):
            raise ConfigurationError("this process carries out a run already, and can do one at a time")
        Post.current = self
        self._warnings.__enter__()
        warnings.simplefilter("ignore", IncompleteDocumentWarning)  # whoever allows it, allows it a thousand times
        warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"dbos\.")  # of a lot that came too late
        try:
            self.queues.open_for(self._in_flight)
            DBOS(
                config={
                    "name": APPLICATION,
                    "system_database_url": self._journal.url.render_as_string(hide_password=False),
                    "system_database_engine": self._journal.database if self._journal.path else None,
                    "application_version": VERSION,
                    "executor_id": self._seat.name,
                    "serializer": SERIALIZER,
                    "notification_listener_polling_interval_sec": _LISTENING,
                    "log_level": "CRITICAL",  # what an operator needs to know, we say
                }
            )
            with self._journal.explained():
                DBOS.launch()
        except BaseException:
            self._end()
            raise
        return self

    def _end(self) -> None:
        DBOS.destroy()
        self._warnings.__exit__(None, None, None)
        self._held.release()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait for the answers to what was sent; a second interruption leaves at once."""
        may_get_lots = kind is None or not issubclass(kind, JournalError)  # it takes a journal to hand them over
        try:
            self.worker.stop()
            end = time.monotonic() + _GRACE
            while self.worker.under_way and time.monotonic() < end:
                time.sleep(_TICK)
            self.worker.close()
            end = time.monotonic() + _SETTLING
            while may_get_lots and not self._has_all() and time.monotonic() < end:
                time.sleep(_TICK)
        finally:
            self._end()
        with suppress(JournalError):  # then they are found when this worker's seat is seen empty
            self.queues.put_back([lot for lot in self.queues.lots("PENDING") if lot.executor_id == self._seat.name])

    def look_around(self) -> None:
        """See whether this worker can go on, and whether others cannot.

        Raises:
            MigrateError: it cannot go on.
        """
        if self.worker.error is not None and not self.worker.under_way:
            raise self.worker.error
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + _LOOK_SECONDS
            try:
                self._journal.touch()  # DBOS would try for ever to hand over a lot that it cannot note
                if self._seat.taken():
                    self._take_over(self.queues.lots("PENDING"))
            except JournalError as error:
                if not error.passing:
                    raise

    def _take_over(self, pending: Iterable[WorkflowStatus]) -> None:
        """Put lots that nobody carries out back into their queues.

        They are a dead worker's, or got lost on their way to us: DBOS notes who has a lot before it hands it over.
        """
        lots: dict[str, list[WorkflowStatus]] = defaultdict(list)
        for lot in pending:
            lots[lot.executor_id or ""].append(lot)
        dead = {name for name in lots if self._seat.is_dead(name)}
        left = [
            lot
            for name, of_name in lots.items()
            for lot in of_name
            if name in dead or (name == self._seat.name and lot.workflow_id not in self.worker.present)
        ]
        self._left = Counter({lot.workflow_id: self._left[lot.workflow_id] + 1 for lot in left})
        lost = [lot for lot in left if self._left[lot.workflow_id] >= _LOOKS_AT_LEFT]
        if lost:
            log.warning("%d lots that nobody carries out are taken over", len(lost))
            self._returned.update(lot.workflow_id for lot in lost)
            self.queues.put_back(lost)
            for lot in lost:
                del self._left[lot.workflow_id]  # whoever gets it has as long to begin with it

    async def still_has(self, lot: str) -> bool:
        """Tell whether a lot is this worker's to begin with; one that was put back may be another's by now."""
        if lot not in self._returned:
            return True
        with suppress(JournalError):
            pending = await asyncio.to_thread(self.queues.lots, "PENDING")
            return any((one.workflow_id, one.executor_id) == (lot, self._seat.name) for one in pending)
        return False

    def _has_all(self) -> bool:
        """Tell whether the engine will not give this worker any more lots: it must not be in the midst of that."""
        with suppress(JournalError):  # the journal is away: nothing can be given
            mine = [lot for lot in self.queues.lots("PENDING") if lot.executor_id == self._seat.name]
            names = {lot.workflow_id for lot in mine}
            room = {lot.queue_partition_key for lot in self.queues.lots("ENQUEUED") if lot.name == START}
            has = Counter(lot.queue_partition_key for lot in mine if lot.name == START)
            return names == self.worker.present and all(has[profile] >= self._in_flight for profile in room)
        return True


@DBOS.workflow(name=START, max_recovery_attempts=None)
async def _start(lot: str, profile: str) -> None:
    post = Post.current
    if not await post.still_has(lot):
        await asyncio.Event().wait()  # to end would be to say that the lot has ended
    if await post.worker.start(lot):
        await post.queues.watch(lot, profile)


@DBOS.workflow(name=WATCH, max_recovery_attempts=None)
async def _watch(lot: str) -> None:
    await Post.current.worker.watch(lot, watch_of(lot))
