"""The journal: what is to be done, what was begun, and how it ended; tables in SQLite or PostgreSQL.

The line of an order is written before it is sent and after its answer came, so whoever reads it knows which of three
things holds: nothing was sent, nobody knows, or it ended so. The engine's own tables lie beside these in the same
database, and name nothing but lots of orders.
"""

from __future__ import annotations

import json
import os
import re
import time
import traceback
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import attrs
import sqlalchemy as sa

from migrate_core.errors import ConfigurationError, InvalidArgumentError, JournalError
from migrate_core.fleet.manifest import Manifest
from migrate_core.fleet.models import Failure, Order, OrderResult, OrderState, RunState, RunStatus, Tally
from migrate_core.operations import Operation

__all__ = ["FORMAT", "Claim", "Entry", "Journal", "Outcome", "place_of"]

T = TypeVar("T")

FORMAT = 1
"""Version of these tables. A run goes on after an upgrade of the library as long as this stays."""

_ROWS = 1000
"""Orders that are written or read at a time."""
_CONNECT_SECONDS = 5
_RECENT = 30.0
"""Seconds over which the rate of a run is told."""
_OPEN = tuple(state.value for state in OrderState if not state.over)
_LOOKS = (Operation.DESCRIBE_SOURCE.value, Operation.DESCRIBE_PAIRING.value)
_MAY_COME_AGAIN = (OrderState.FAILED.value, OrderState.CANCELLED.value)
"""States of an order of another run that leave it to be done."""

_tables = sa.MetaData()
_format = sa.Table("fleet_format", _tables, sa.Column("format", sa.Integer, nullable=False))
_runs = sa.Table(
    "fleet_runs",
    _tables,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("digest", sa.String, nullable=False, index=True),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("cancelled", sa.Boolean, nullable=False, default=False),
    sa.Column("lots", sa.Integer, nullable=False, default=0),
)
_orders = sa.Table(
    "fleet_orders",
    _tables,
    sa.Column("run", sa.ForeignKey("fleet_runs.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("line", sa.Integer, nullable=False),
    sa.Column("key", sa.String, nullable=False, index=True),
    sa.Column("profile", sa.String, nullable=False),
    sa.Column("provider", sa.String, nullable=False),
    sa.Column("operation", sa.String, nullable=False),
    sa.Column("about", sa.String, nullable=False),
    sa.Column("lot", sa.String, nullable=False, index=True),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("token", sa.Text),
    sa.Column("result", sa.Text),
    sa.Column("error", sa.String),
    sa.Column("code", sa.String),
    sa.Column("message", sa.Text),
    sa.Column("started_at", sa.Double),
    sa.Column("ended_at", sa.Double),
)
# Beside the orders, which are read often and whole.
_documents = sa.Table(
    "fleet_documents",
    _tables,
    sa.Column("run", sa.String, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("order", sa.Text, nullable=False),
)


_paces = sa.Table(
    "fleet_paces",
    _tables,
    sa.Column("profile", sa.String, primary_key=True),
    sa.Column("next", sa.Double, nullable=False),
)
_TAKE_SLOTS = sa.text("""
    INSERT INTO fleet_paces AS pace (profile, next)
    VALUES (:profile, extract(epoch FROM clock_timestamp()) + :length)
    ON CONFLICT (profile) DO UPDATE
    SET next = greatest(pace.next, extract(epoch FROM clock_timestamp())) + :length
    RETURNING next - :length - extract(epoch FROM clock_timestamp())
""")


@attrs.frozen(kw_only=True)
class Entry:
    """An order in the journal.

    Attributes:
        run: id of its run.
        number: its place in the manifest, from 1.
        state: where it is.
        token: the token of the task that carries it out.
        started_at: when it was first about to be sent, in seconds since 1970.
        order: the order.
    """

    run: str
    number: int
    state: OrderState
    token: str | None
    started_at: float | None
    order: Order


@attrs.frozen
class Claim:
    """Says that an order is about to be sent; only one that waits can be claimed."""

    run: str
    number: int


@attrs.frozen(eq=False)
class Outcome:
    """Says what became of an order.

    Attributes:
        values: columns and what to write into them; ``state`` among them.
    """

    run: str
    number: int
    values: Mapping[str, Any]


def place_of(journal: str | os.PathLike[str]) -> sa.URL:
    """Give the URL of a journal: of a file, or of a PostgreSQL database.

    Raises:
        ConfigurationError: it is a URL of another database.
    """
    text = os.fspath(journal)
    if "://" not in text:
        return sa.URL.create("sqlite", database=str(Path(text).expanduser().absolute()))
    try:
        url = sa.make_url(text)
    except sa.exc.ArgumentError:
        raise ConfigurationError("the journal is no URL; it is a file, or postgresql://user@host/database") from None
    if url.get_backend_name() == "sqlite" and url.database:
        return place_of(url.database)
    if url.get_backend_name() not in ("postgresql", "postgres"):
        raise ConfigurationError("a journal is a file, for SQLite, or a postgresql:// URL")
    return url.set(drivername="postgresql+psycopg")


def _passing(error: sa.exc.SQLAlchemyError) -> bool:
    """Tell whether a database may work again in a moment: it is locked, it restarts, or it cannot be reached."""
    if not isinstance(error, sa.exc.DBAPIError):
        return isinstance(error, sa.exc.TimeoutError)
    if error.connection_invalidated or "database is locked" in str(error.orig):
        return True
    sqlstate = getattr(error.orig, "sqlstate", "")
    away = isinstance(error.orig, Exception) and type(error.orig).__module__.startswith("psycopg")
    return away and (sqlstate is None or sqlstate[:2] in ("08", "40", "57"))


class Journal:
    """A journal that is open; threads may share it.

    Args:
        journal: path of a file, or URL of a PostgreSQL database.

    Attributes:
        url: where it is.
        path: its file; ``None`` in PostgreSQL.
        database: the database, for the engine that has its tables there, too.
    """

    def __init__(self, journal: str | os.PathLike[str]) -> None:
        self.url = place_of(journal)
        self.path = Path(self.url.database or "") if self.url.get_backend_name() == "sqlite" else None
        if self.path is not None:
            self.database = sa.create_engine(self.url)
            sa.event.listen(self.database, "connect", _set_up_sqlite)
        else:
            self.database = sa.create_engine(
                self.url, pool_pre_ping=True, connect_args={"connect_timeout": _CONNECT_SECONDS}
            )

    def __repr__(self) -> str:
        return f"<Journal {self}>"

    def __str__(self) -> str:
        return str(self.path) if self.path is not None else self.url.render_as_string(hide_password=True)

    @contextmanager
    def _writing(self) -> Generator[sa.Connection]:
        with self.explained(), self.database.begin() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Generator[sa.Connection]:
        with self.explained(), self.database.connect() as connection:
            yield connection

    @contextmanager
    def explained(self) -> Generator[None]:
        """Let the errors of the database leave as `JournalError`, without statements and what was to be written."""
        try:
            yield
        except sa.exc.SQLAlchemyError as error:
            failure = JournalError(f"journal {self}: {_said(error)}", passing=_passing(error))
            _forget(error)
            raise failure from None

    def prepare(self) -> None:
        """Make the tables if there are none.

        Raises:
            JournalError: it cannot be opened, or was written by a later version of this library.
        """
        if self.path is not None:
            _make_private(self.path)
        with self._writing() as connection:
            self._alone(connection)
            _tables.create_all(connection)
            found = connection.scalar(sa.select(_format.c.format))
            if found is None:
                connection.execute(_format.insert().values(format=FORMAT))
            elif found != FORMAT:
                raise JournalError(f"journal {self} has format {found}, and this version of migrate-core has {FORMAT}")

    def close(self) -> None:
        """Close all connections; safe to call twice."""
        self.database.dispose()

    def _alone(self, connection: sa.Connection) -> None:
        """Let one process at a time submit, from its first question on."""
        lock = "SELECT pg_advisory_xact_lock(7210131)" if self.path is None else "BEGIN IMMEDIATE"
        connection.execute(sa.text(lock))

    # Submitting

    def submit(
        self,
        manifest: Manifest,
        known: str,
        *,
        lot_size: Callable[[str], int],
        enqueue: Callable[[sa.Connection, str, str], object],
    ) -> str:
        """Write a run with all its orders, divided into lots, in one transaction.

        Args:
            manifest: the manifest.
            known: ``refuse``, ``skip`` or ``again``: what to do with orders that another run has.
            lot_size: gives how many orders of a profile make a lot.
            enqueue: takes a connection, the name of a lot and its profile.

        Returns:
            The id of the run.
        """
        with self._writing() as connection:
            self._alone(connection)
            run = self._new_run(connection, manifest)
            lots = _Lots(run, lot_size)
            skipped: dict[str, int] = defaultdict(int)
            for rows in _chunks(_rows(run, manifest), _ROWS):
                others = {} if known == "again" else self._known(connection, (order.key for _, order, _ in rows), run)
                for other in (others[order.key] for _, order, _ in rows if order.key in others):
                    skipped[other] += 1
                fresh = [row for row in rows if row[1].key not in others]
                if skipped and known == "refuse":
                    continue  # only counted
                _insert(connection, run, fresh, lots)
            if skipped and (known == "refuse" or not lots.made):
                raise InvalidArgumentError(_told_known(manifest, skipped, known))
            for lot, profile in lots.made:
                enqueue(connection, lot, profile)
            connection.execute(_runs.update().where(_runs.c.id == run).values(lots=len(lots.made)))
        return run

    def _new_run(self, connection: sa.Connection, manifest: Manifest) -> str:
        same = sa.select(_runs.c.id).where(_runs.c.digest == manifest.digest).order_by(_runs.c.created_at.desc())
        for earlier in connection.scalars(same).all():
            left = self._status(connection, earlier, failures=False).left
            if left:
                raise InvalidArgumentError(
                    f"{manifest.name} is run {earlier} already, and {left} of its orders are not over; resume that"
                )
        stem = re.sub(r"[^a-z0-9]+", "-", Path(manifest.name).stem.lower()).strip("-")[:24] or "run"
        run = base = f"{stem}-{manifest.digest[:6]}"
        count = 1
        while connection.scalar(sa.select(_runs.c.id).where(_runs.c.id == run)):
            count += 1
            run = f"{base}-{count}"
        values = {"id": run, "name": manifest.name, "digest": manifest.digest, "created_at": time.time()}
        connection.execute(_runs.insert().values(**values, cancelled=False, lots=0))
        return run

    def _known(self, connection: sa.Connection, keys: Iterable[str], run: str) -> dict[str, str]:
        """Find orders of other runs that were carried out, or will be: their keys and runs.

        What only looks may be done as often as one likes.
        """
        query = sa.select(_orders.c.key, _orders.c.run).where(
            _orders.c.key.in_(list(keys)),
            _orders.c.run != run,
            _orders.c.state.not_in(_MAY_COME_AGAIN),
            _orders.c.operation.not_in(_LOOKS),
        )
        return {row.key: row.run for row in connection.execute(query)}

    # What a worker does

    def entries(self, lot: str, *states: OrderState, most: int | None = None) -> list[Entry]:
        """Give the orders of a lot that are in some states, or the first of them."""
        query = (
            sa.select(_orders, _documents.c.order)
            .join(_documents, sa.and_(_documents.c.run == _orders.c.run, _documents.c.number == _orders.c.number))
            .where(_orders.c.lot == lot, _orders.c.state.in_([state.value for state in states]))
            .order_by(_orders.c.number)
            .limit(most)
        )
        with self._reading() as connection:
            return [_entry(row) for row in connection.execute(query)]

    def write(self, notes: Sequence[Claim | Outcome], at: float) -> set[Claim]:
        """Write what happened, all in one transaction.

        Args:
            notes: claims and outcomes.
            at: the time, in seconds since 1970.

        Returns:
            The claims that were granted. One that is not belongs to an order that was cancelled.

        Raises:
            JournalError: nothing was written, as far as anybody knows.
        """
        claims: dict[str, list[int]] = defaultdict(list)
        outcomes: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
        for note in notes:
            if isinstance(note, Claim):
                claims[note.run].append(note.number)
            else:
                values = {"of_run": note.run, "of_number": note.number, **note.values}
                outcomes[tuple(sorted(values))].append(values)
        with self._writing() as connection:
            granted = {
                Claim(run, number)
                for run, numbers in claims.items()
                for number in _claimed(connection, run, numbers, at)
            }
            for rows in outcomes.values():
                connection.execute(_changed(_orders, rows[0]), rows)
        return granted

    def slots(self, profile: str, length: float) -> float:
        """Reserve a length of time for the requests of a profile; in PostgreSQL, where several workers share it.

        Args:
            profile: name of the profile.
            length: seconds.

        Returns:
            Seconds until it begins, by the clock of the database.

        Raises:
            JournalError: the database is away.
        """
        with self._writing() as connection:
            wait = connection.scalar(_TAKE_SLOTS, {"profile": profile, "length": length})
        return max(0.0, float(wait))

    def touch(self) -> None:
        """Write something and take it back, to see whether there is room.

        Raises:
            JournalError: it cannot be written.
        """
        name = f"/{uuid.uuid4()}"  # no profile, and no other worker's: one that stands still would hold up all
        with self._writing() as connection:  # what stays as it is, SQLite would not write
            connection.execute(_paces.insert().values(profile=name, next=0.0))
            connection.execute(_paces.delete().where(_paces.c.profile == name))

    # What everybody asks

    def named(self, run: str) -> str:
        """Find a run by its id, by an unambiguous beginning of it, or by ``last``.

        Raises:
            InvalidArgumentError: there is none, or several are meant.
        """
        query = sa.select(_runs.c.id).order_by(_runs.c.created_at)
        with self._reading() as connection:
            known: Sequence[str] = connection.scalars(query).all()
        if run == "last" and known:
            return known[-1]
        found = [run] if run in known else [one for one in known if run and one.startswith(run)]
        if len(found) > 1:
            raise InvalidArgumentError(f"{run!r} may be each of the runs {', '.join(found)}")
        if not found:
            raise InvalidArgumentError(f"journal {self} has no run {run!r}; it has: {', '.join(known) or 'none'}")
        return found[0]

    def status(self, run: str, *, failures: bool = True) -> RunStatus:
        """Count what became of the orders of a run so far."""
        with self._reading() as connection:
            return self._status(connection, run, failures=failures)

    def statuses(self) -> tuple[RunStatus, ...]:
        """Count what became of the orders of all runs, the newest first; without failures."""
        with self._reading() as connection:
            names = connection.scalars(sa.select(_runs.c.id).order_by(_runs.c.created_at.desc())).all()
            return tuple(self._status(connection, run, failures=False) for run in names)

    def _status(self, connection: sa.Connection, run: str, *, failures: bool) -> RunStatus:
        found = connection.execute(sa.select(_runs).where(_runs.c.id == run)).one()
        kinds = _orders.c.profile, _orders.c.provider, _orders.c.operation, _orders.c.state
        counted = sa.select(*kinds, sa.func.count(), sa.func.max(_orders.c.ended_at))
        rows = connection.execute(counted.where(_orders.c.run == run).group_by(*kinds).order_by(*kinds)).all()
        tallies = tuple(
            Tally(profile=profile, provider=provider, operation=Operation(what), state=OrderState(state), count=count)
            for profile, provider, what, state, count, _ in rows
        )
        over = all(tally.state.over for tally in tallies)
        left_out = any(tally.state is OrderState.CANCELLED for tally in tallies)
        ended = RunState.CANCELLED if found.cancelled and (left_out or not over) else RunState.FINISHED
        state = ended if over or found.cancelled else RunState.RUNNING
        ends = [end for *_, end in rows if end is not None]
        return RunStatus(
            run=run,
            name=found.name,
            state=state,
            created_at=_moment(found.created_at),
            ended_at=_moment(max(ends, default=found.created_at)) if over else None,
            tallies=tallies,
            failures=self._failures(connection, run) if failures else (),
            per_second=0.0 if over else self._rate(connection, run, found.created_at),
        )

    def _rate(self, connection: sa.Connection, run: str, created_at: float) -> float:
        now = time.time()
        begun = sa.select(sa.func.min(_orders.c.started_at)).where(_orders.c.run == run)
        since = max(now - _RECENT, connection.scalar(begun) or created_at)
        ended = sa.select(sa.func.count()).where(_orders.c.run == run, _orders.c.ended_at >= since)
        return float(connection.scalar(ended) or 0) / max(now - since, 1.0)

    def _failures(self, connection: sa.Connection, run: str) -> tuple[Failure, ...]:
        cause = _orders.c.provider, _orders.c.operation, _orders.c.error, _orders.c.code
        grouped = (
            sa.select(*cause, sa.func.count().label("how_many"), sa.func.min(_orders.c.number).label("first"))
            .where(_orders.c.run == run, _orders.c.error.is_not(None))
            .group_by(*cause)
            .subquery()
        )
        first = sa.and_(_orders.c.run == run, _orders.c.number == grouped.c.first)
        query = sa.select(grouped, _orders.c.message, _orders.c.line).join(_orders, first)
        ordered = query.order_by(grouped.c.how_many.desc(), grouped.c.first)
        return tuple(
            Failure(
                provider=row.provider,
                operation=Operation(row.operation),
                error=row.error,
                code=row.code,
                message=row.message or "",
                count=row.how_many,
                line=row.line,
            )
            for row in connection.execute(ordered)
        )

    def left(self, run: str) -> bool:
        """Tell whether something is left to do."""
        query = sa.select(_orders.c.number).where(_orders.c.run == run, _orders.c.state.in_(_OPEN)).limit(1)
        with self._reading() as connection:
            return connection.execute(query).first() is not None

    def results(self, run: str, states: Collection[OrderState]) -> Iterator[OrderResult]:
        """Give what became of each order, in the order of the manifest, some at a time."""
        number = 0
        wanted = [state.value for state in states or OrderState]
        while True:
            query = (
                sa.select(_orders)
                .where(_orders.c.run == run, _orders.c.number > number, _orders.c.state.in_(wanted))
                .order_by(_orders.c.number)
                .limit(_ROWS)
            )
            with self._reading() as connection:
                rows = connection.execute(query).all()
            yield from map(_result, rows)
            if len(rows) < _ROWS:
                return
            number = rows[-1].number

    # Cancelling, and taking up again

    def cancel(self, run: str) -> int:
        """Let nothing more of a run be sent; give how many orders that concerns."""
        waiting = sa.and_(_orders.c.run == run, _orders.c.state == OrderState.WAITING.value)
        with self._writing() as connection:
            connection.execute(_runs.update().where(_runs.c.id == run).values(cancelled=True))
            values = {"state": OrderState.CANCELLED.value, "ended_at": time.time()}
            return connection.execute(_orders.update().where(waiting).values(**values)).rowcount

    def take_up(
        self,
        run: str,
        states: Collection[OrderState],
        *,
        carried: Collection[str],
        lot_size: Callable[[str], int],
        enqueue: Callable[[sa.Connection, str, str], object],
    ) -> int:
        """Put orders of a run into new lots.

        Args:
            run: the run.
            states: what is taken up: those that are over begin anew, the others go on where they are.
            carried: lots that a worker has, or will have; what is not over and in one of these is left alone.
            lot_size: gives how many orders of a profile make a lot.
            enqueue: takes a connection, the name of a lot and its profile.

        Returns:
            How many orders are in new lots.
        """
        with self._writing() as connection:
            self._alone(connection)
            lots = _Lots(run, lot_size, connection.scalar(sa.select(_runs.c.lots).where(_runs.c.id == run)) or 0)
            wanted = _orders.c.run == run, _orders.c.state.in_([state.value for state in states])
            rows = connection.execute(sa.select(_orders).where(*wanted).order_by(_orders.c.number)).all()
            count = 0
            for some in _chunks(iter(rows), _ROWS):
                changes = self._taken_up(connection, run, some, carried, lots)
                count += len(changes)
                if changes:
                    connection.execute(_changed(_orders, changes[0]), changes)
            for lot, profile in lots.made:
                enqueue(connection, lot, profile)
            connection.execute(_runs.update().where(_runs.c.id == run).values(cancelled=False, lots=lots.count))
        return count

    def _taken_up(
        self, connection: sa.Connection, run: str, rows: Sequence[Any], carried: Collection[str], lots: _Lots
    ) -> list[dict[str, Any]]:
        """Give the changes that put orders into new lots; of those that were over, only what no other run does."""
        others = self._known(connection, (row.key for row in rows if OrderState(row.state).over), run)
        changes = []
        for row in rows:
            over = OrderState(row.state).over
            if (row.key not in others) if over else (row.lot not in carried):
                values = _again(row) if over else {name: getattr(row, name) for name in _AGAIN}
                changes.append({"of_run": run, "of_number": row.number, "lot": lots.of(row.profile), **values})
        return changes


def _changed(table: sa.Table, values: Mapping[str, Any]) -> sa.Update:
    """Give the statement that writes some columns of one order."""
    columns: dict[str, Any] = {name: sa.bindparam(name) for name in values if not name.startswith("of_")}
    one: Any = table.c.run == sa.bindparam("of_run"), table.c.number == sa.bindparam("of_number")
    return table.update().where(*one).values(**columns)


_AGAIN = ("state", "token", "result", "error", "code", "message", "ended_at")
_CAN_BE_LOOKED_FOR = (Operation.REGISTER_SOURCE, Operation.DELETE_SOURCE, Operation.DELETE_PAIRING)


def _again(row: Any) -> dict[str, Any]:
    """Give what the journal says of an order that was over and is taken up again."""
    state, token = OrderState.WAITING, None
    if OrderState(row.state) is OrderState.UNKNOWN:
        if row.token is not None:
            state, token = OrderState.WATCHING, row.token
        elif Operation(row.operation) in _CAN_BE_LOOKED_FOR:
            state = OrderState.SENDING  # as if its worker had died
    return {**dict.fromkeys(_AGAIN), "state": state.value, "token": token}


class _Lots:
    """Divides orders into lots, each of one profile.

    Attributes:
        made: the lots and their profiles.
        count: how many lots the run has had.
    """

    def __init__(self, run: str, size: Callable[[str], int], count: int = 0) -> None:
        self.made: list[tuple[str, str]] = []
        self.count = count
        self._run = run
        self._size = size
        self._filling: dict[str, tuple[str, int]] = {}

    def of(self, profile: str) -> str:
        """Give the lot for the next order of a profile."""
        lot, room = self._filling.get(profile, ("", 0))
        if not room:
            self.count += 1
            lot, room = f"{self._run}/{self.count}", self._size(profile)
            self.made.append((lot, profile))
        self._filling[profile] = lot, room - 1
        return lot


def _rows(run: str, manifest: Manifest) -> Iterator[tuple[int, Order, str]]:
    provider_of = {profile: provider for profile, provider, _ in manifest.counts}
    for number, order in enumerate(manifest.orders(), 1):
        yield number, order, provider_of[order.profile]


def _insert(connection: sa.Connection, run: str, rows: Sequence[tuple[int, Order, str]], lots: _Lots) -> None:
    if not rows:
        return
    waiting = {"state": OrderState.WAITING.value, "attempts": 0}
    connection.execute(
        _orders.insert(),
        [
            {
                "run": run,
                "number": number,
                "line": order.line,
                "key": order.key,
                "profile": order.profile,
                "provider": provider,
                "operation": order.operation.value,
                "about": order.about,
                "lot": lots.of(order.profile),
                **waiting,
            }
            for number, order, provider in rows
        ],
    )
    connection.execute(
        _documents.insert(), [{"run": run, "number": number, "order": _written(order)} for number, order, _ in rows]
    )


def _written(order: Order) -> str:
    """Write down what the other columns do not say."""
    rest = {
        "subject": order.subject,
        "document": order.document,
        "vendors_own": order.vendors_own,
        "options": dict(order.options),
    }
    return json.dumps({name: value for name, value in rest.items() if value}, separators=(",", ":"))


def _entry(row: Any) -> Entry:
    order = Order(
        line=row.line,
        profile=row.profile,
        operation=Operation(row.operation),
        key=row.key,
        **json.loads(row.order),
    )
    return Entry(
        run=row.run,
        number=row.number,
        state=OrderState(row.state),
        token=row.token,
        started_at=row.started_at,
        order=order,
    )


def _result(row: Any) -> OrderResult:
    return OrderResult(
        line=row.line,
        key=row.key,
        profile=row.profile,
        provider=row.provider,
        operation=Operation(row.operation),
        about=row.about,
        state=OrderState(row.state),
        result=None if row.result is None else json.loads(row.result),
        error=row.error,
        code=row.code,
        message=row.message,
        attempts=row.attempts,
        started_at=None if row.started_at is None else _moment(row.started_at),
        ended_at=None if row.ended_at is None else _moment(row.ended_at),
    )


def _claimed(connection: sa.Connection, run: str, numbers: Sequence[int], at: float) -> Sequence[int]:
    statement = (
        _orders.update()
        .where(_orders.c.run == run, _orders.c.number.in_(numbers), _orders.c.state == OrderState.WAITING.value)
        .values(
            state=OrderState.SENDING.value,
            attempts=_orders.c.attempts + 1,
            started_at=sa.func.coalesce(_orders.c.started_at, at),
        )
        .returning(_orders.c.number)
    )
    return connection.scalars(statement).all()


def _told_known(manifest: Manifest, skipped: Mapping[str, int], known: str) -> str:
    runs = ", ".join(f"{run} ({count})" for run, count in skipped.items())
    count = sum(skipped.values())
    if known == "skip":
        return f"all {count} orders of {manifest.name} are in other runs: {runs}"
    return (
        f"{count} of the {manifest.total} orders of {manifest.name} are in other runs: {runs}; "
        "'skip' leaves them out, 'again' carries them out once more"
    )


def _chunks(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while chunk := list(islice(items, size)):
        yield chunk


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _make_private(path: Path) -> None:
    """Make the file so that nobody else may read it; those that SQLite puts beside it get its mode."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        if os.name == "posix":
            path.chmod(0o600)
    except OSError as error:
        raise JournalError(f"journal {path} cannot be opened: {error.strerror}") from None


def _set_up_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = "IMMEDIATE"  # a writer waits at its beginning, where waiting is possible
    for pragma in ("busy_timeout=30000", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _forget(error: sa.exc.SQLAlchemyError) -> None:
    """Clear what the driver's error holds: its connection knows the password, and stays with whoever keeps ours."""
    traceback.clear_frames(error.__traceback__)
    for one in (error.__cause__, error.__context__):
        if one is not None:
            traceback.clear_frames(one.__traceback__)
    error.__cause__ = error.__context__ = None
    if isinstance(error, sa.exc.StatementError):
        error.orig = None


def _said(error: sa.exc.SQLAlchemyError) -> str:
    """Say what a database complains of, without the statement."""
    orig = getattr(error, "orig", None)
    text = str(orig if orig is not None else error)
    return text.partition("\n")[0]
