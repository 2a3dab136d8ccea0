"""The engine: DBOS keeps the queues, and hands lots of orders to workers; again, when a worker died."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, suppress
from typing import Any, Self

import sqlalchemy as sa
from dbos import DBOS, DBOSClient, DBOSPortableJSONSerializer, WorkflowStatus

from migrate_core._rate import Rate
from migrate_core.errors import ConfigurationError, IncompleteDocumentWarning, InvalidArgumentError, JournalError
from migrate_core.fleet._carrying import Clients, Worker
from migrate_core.fleet._rates import SharedRate
from migrate_core.fleet._seats import Seat, seat_at
from migrate_core.fleet.engine import Known
from migrate_core.fleet.journal import FORMAT, Journal, said
from migrate_core.fleet.manifest import Manifest
from migrate_core.fleet.models import OrderResult, OrderState, RunStatus

__all__ = ["DbosEngine"]

log = logging.getLogger("migrate_core")
logging.getLogger("dbos").addHandler(logging.NullHandler())  # or it would write to stderr by a handler of its own

_NAME = "migrate-core"
_START = "migrate_core.fleet.start"
_WATCH = "migrate_core.fleet.watch"
_QUEUES = {_START: "migrate_core_start", _WATCH: "migrate_core_watch"}
_SERIALIZER = DBOSPortableJSONSerializer()  # the default would be pickle
_POLLING = 0.2
"""Seconds between looks at a queue."""
_SETTLING = 3 * _POLLING
"""Seconds after which a worker that stops has all the lots that it has room for, and the engine starts no other."""
_MOST_WATCHED = 1000
"""Lots of one profile that one worker watches at a time."""
_PLACES = 200
"""Lots of a profile that are wanted: some for each order in flight, so that not all of the last ones are long."""
_MOST_IN_LOT = 100
_TICK = 0.2
_NOTING = 2.0
"""Seconds that the engine may take to note the end of a lot."""
_STATUS_SECONDS = 1.0
_SEAT_SECONDS = 2.0
"""How often a worker looks whether others are dead."""
_LOOKS_AT_DEAD = 4
"""Looks in a row that find a worker dead before its work is taken: it may have lost its session for a moment."""
_GRACE = 45.0
"""Seconds to wait for answers when a worker is interrupted: more than a call is allowed to take by default."""


class DbosEngine:
    """Carries out runs with DBOS; a `FleetEngine`.

    Args:
        journal: path of a file, or URL of a PostgreSQL database.
    """

    def __init__(self, journal: str | os.PathLike[str]) -> None:
        self._journal = Journal(journal)
        self._client: DBOSClient | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the journal; safe to call twice."""
        if self._client is not None:
            self._client.destroy()
            self._client = None
        self._journal.close()

    def submit(self, manifest: Manifest, *, known: Known = "refuse") -> str:
        """Take a manifest into the journal, as `FleetEngine.submit` does."""
        client = self._opened()
        of_profile: Counter[str] = Counter()
        for (profile, _, _), count in manifest.counts.items():
            of_profile[profile] += count
        return self._journal.submit(
            manifest, known, lot_size=lambda profile: _lot_size(of_profile[profile]), enqueue=_enqueue(client)
        )

    def work(
        self, run: str | None = None, *, in_flight: int = 50, on_status: Callable[[RunStatus], object] | None = None
    ) -> None:
        """Carry out a run, as `FleetEngine.work` does."""
        if in_flight < 1:
            raise InvalidArgumentError("in_flight is a number of orders above 0")
        client = self._opened()
        run = None if run is None else self._journal.named(run)
        seat = seat_at(self._journal)
        with ExitStack() as stack:
            stack.callback(seat.leave)
            post: _Post | None = None
            next_status = 0.0
            while True:
                if post is not None:
                    post.look_around()
                elif seat.taken():
                    post = stack.enter_context(_Post(self._journal, client, seat, in_flight))
                try:
                    over = run is not None and not self._journal.left(run)
                    if on_status and (over or time.monotonic() >= next_status):
                        next_status = time.monotonic() + _STATUS_SECONDS
                        for status in self._watched(run):
                            on_status(status)
                    if over:
                        self._await_lots(client, run or "")
                        return
                except JournalError as error:
                    if not error.passing:
                        raise
                time.sleep(_TICK)

    @staticmethod
    def _await_lots(client: DBOSClient, run: str) -> None:
        """Let the engine note that lots have ended, too, or the next worker would look at them once more."""
        end = time.monotonic() + _NOTING
        while time.monotonic() < end and client.list_workflows(
            status="PENDING", workflow_id_prefix=f"{run}/", limit=1, load_input=False, load_output=False
        ):
            time.sleep(_TICK / 4)

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
        client = self._opened()
        run = self._journal.named(run)
        status = self._journal.status(run)
        if failed:
            states = [state for state in OrderState if state.regrettable]
        else:
            states = [state for state in OrderState if not state.over or state is OrderState.CANCELLED]
        lots = client.list_workflows(
            status=["PENDING", "ENQUEUED", "DELAYED"], workflow_id_prefix=f"{run}/", load_input=False, load_output=False
        )
        return self._journal.take_up(
            run,
            states,
            carried={lot.workflow_id.removesuffix("/watch") for lot in lots},
            lot_size=lambda profile: _lot_size(
                sum(tally.count for tally in status.tallies if tally.profile == profile and tally.state in states)
            ),
            enqueue=_enqueue(client),
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

    def _opened(self) -> DBOSClient:
        """Make the journal if there is none, and give what submits to it."""
        if self._client is None:
            self._journal.prepare()
            try:
                DBOS.migrate(self._journal.url.render_as_string(hide_password=False))
                client = DBOSClient(
                    system_database_engine=self._journal.database, serializer=_SERIALIZER, application_name=_NAME
                )
            except sa.exc.SQLAlchemyError as error:
                raise JournalError(f"journal {self._journal}: {said(error)}") from None
            self._client = client
        return self._client


def _lot_size(orders: int) -> int:
    return max(1, min(_MOST_IN_LOT, math.ceil(orders / _PLACES)))


def _options(workflow: str, identity: str, profile: str) -> Any:
    return {
        "workflow_name": workflow,
        "queue_name": _QUEUES[workflow],
        "queue_partition_key": profile,
        "workflow_id": identity,
        "app_version": str(FORMAT),
    }


def _enqueue(client: DBOSClient) -> Callable[[sa.Connection, str, str], object]:
    def enqueue(connection: sa.Connection, lot: str, profile: str) -> object:
        return client.enqueue_in_transaction(connection, _options(_START, lot, profile), lot, profile)

    return enqueue


class _Post:
    """A worker at its post: DBOS runs in this process, and gives it lots.

    There is one in a process, as there is one DBOS.
    """

    _held = threading.Lock()
    current: _Post

    def __init__(self, journal: Journal, client: DBOSClient, seat: Seat, in_flight: int) -> None:
        self.client = client
        self.worker = Worker(journal, Clients(self._rate_of))
        self._journal = journal
        self._seat = seat
        self._in_flight = in_flight
        self._next_look = 0.0
        self._dead: Counter[str] = Counter()
        self._warnings = warnings.catch_warnings()

    def _rate_of(self, profile: str, limit: float | None) -> Rate:
        alone = limit is None or self._journal.path is not None
        return Rate(limit) if alone else SharedRate(limit or math.inf, profile, self._journal)

    def __enter__(self) -> Self:
        if not self._held.acquire(blocking=False):
            raise ConfigurationError("this process carries out a run already, and can do one at a time")
        _Post.current = self
        self._warnings.__enter__()
        warnings.simplefilter("ignore", IncompleteDocumentWarning)  # whoever allows it, allows it a thousand times
        most = {_START: self._in_flight, _WATCH: _MOST_WATCHED}
        try:
            for workflow, queue in _QUEUES.items():
                self.client.register_queue(
                    queue, partition_worker_concurrency=most[workflow], polling_interval_sec=_POLLING
                )
            DBOS(
                config={
                    "name": _NAME,
                    "system_database_url": self._journal.url.render_as_string(hide_password=False),
                    "system_database_engine": self._journal.database if self._journal.path else None,
                    "application_version": str(FORMAT),
                    "executor_id": self._seat.name,
                    "serializer": _SERIALIZER,
                    "notification_listener_polling_interval_sec": _TICK,  # which also delays the end of it
                    "log_level": "ERROR",  # it warns of each lot that is left for later
                }
            )
            DBOS.launch()
        except BaseException:
            self._end()
            raise
        return self

    def _end(self) -> None:
        DBOS.destroy()
        self._warnings.__exit__(None, None, None)
        self._held.release()

    def __exit__(self, *_: object) -> None:
        """Wait for the answers to what was sent; a second interruption leaves at once."""
        try:
            self.worker.stop()
            end = time.monotonic() + _GRACE
            while self.worker.under_way and time.monotonic() < end:
                time.sleep(_TICK / 4)
            self.worker.close()
            if self._lots("ENQUEUED", "PENDING"):
                time.sleep(_SETTLING)
        finally:
            self._end()
        with suppress(Exception):  # or they are found when this worker's seat is seen empty
            self._put_back([lot for lot in self._lots("PENDING") if lot.executor_id == self._seat.name])

    def look_around(self) -> None:
        """See whether this worker can go on, and whether others cannot.

        Raises:
            MigrateError: it cannot go on.
        """
        if self.worker.error is not None and not self.worker.under_way:
            raise self.worker.error
        if time.monotonic() < self._next_look or self._journal.path is not None:
            return
        self._next_look = time.monotonic() + _SEAT_SECONDS
        with suppress(sa.exc.SQLAlchemyError, JournalError):  # the journal is away: nobody can be seen
            if self._seat.taken():
                self._take_over()

    def _take_over(self) -> None:
        """Put the lots of dead workers back into their queues."""
        lots: dict[str, list[WorkflowStatus]] = defaultdict(list)
        for lot in self._lots("PENDING"):
            lots[lot.executor_id or ""].append(lot)
        self._dead = Counter({name: self._dead[name] + 1 for name in lots if self._seat.is_dead(name)})
        for name, looks in self._dead.items():
            if looks >= _LOOKS_AT_DEAD:
                log.warning("worker %s is dead, its %d lots are taken over", name, len(lots[name]))
                self._put_back(lots[name])

    def _lots(self, *states: str) -> list[WorkflowStatus]:
        return self.client.list_workflows(
            status=list(states), name=list(_QUEUES), load_input=False, load_output=False
        )

    def _put_back(self, lots: Iterable[WorkflowStatus]) -> None:
        for queue in _QUEUES.values():
            if mine := [lot.workflow_id for lot in lots if lot.queue_name == queue]:
                self.client.resume_workflows(mine, queue_name=queue)


@DBOS.workflow(name=_START, max_recovery_attempts=None)
async def _start(lot: str, profile: str) -> None:
    post = _Post.current
    if await post.worker.start(lot):
        await post.client.enqueue_async(_options(_WATCH, f"{lot}/watch", profile), lot)


@DBOS.workflow(name=_WATCH, max_recovery_attempts=None)
async def _watch(lot: str) -> None:
    await _Post.current.worker.watch(lot)
