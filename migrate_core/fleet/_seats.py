"""Who works on a journal: each worker holds a lock that its death lets go, so that others can tell.

In PostgreSQL that is a lock of a session: any number of workers, each with a name of its own. A file of SQLite has room
for one worker at a time, which locks a file beside it.
"""

from __future__ import annotations

import hashlib
import os
import socket
import uuid
from contextlib import suppress
from typing import IO, Protocol

import sqlalchemy as sa

from migrate_core.errors import JournalError
from migrate_core.fleet.journal import Journal

__all__ = ["Seat", "seat_at"]


class Seat(Protocol):
    """A worker's right to work.

    Attributes:
        name: what the engine calls the worker.
    """

    name: str

    def taken(self) -> bool:
        """Take the seat if it is free, or see that it is still ours; tell whether it is."""
        ...

    def is_dead(self, name: str) -> bool:
        """Tell whether nobody sits where another worker sat."""
        ...

    def leave(self) -> None:
        """Let the seat go."""
        ...


def seat_at(journal: Journal) -> Seat:
    """Give the kind of seat that a journal has; it is not taken yet."""
    return _FileSeat(f"{journal.path}.lock") if journal.path is not None else _SessionSeat(journal)


class _FileSeat:
    """The only seat at a file."""

    name = "worker"  # whoever has it goes on with what its predecessor left

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def taken(self) -> bool:
        if self._file is not None:
            return True
        try:
            file = os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600), "r+")
        except OSError as error:
            raise JournalError(f"{self._path} cannot be opened: {error.strerror}") from None
        try:
            _lock(file)
        except OSError:
            file.close()
            return False
        self._file = file
        return True

    def is_dead(self, name: str) -> bool:
        return False  # there is no other

    def leave(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _lock(file: IO[str]) -> None:
    try:
        import fcntl
    except ImportError:  # on Windows
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


class _SessionSeat:
    """A seat of one's own, for as long as a session with the database lasts."""

    def __init__(self, journal: Journal) -> None:
        self.name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._engine = sa.create_engine(journal.url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
        self._journal = journal
        self._session: sa.Connection | None = None

    def taken(self) -> bool:
        try:
            if self._session is None:
                session = self._engine.connect()
                if not _locked(session, self.name):
                    session.close()
                    return False
                self._session = session
            self._session.execute(sa.text("SELECT 1"))
        except sa.exc.SQLAlchemyError:
            self.leave()
            return False
        return True

    def is_dead(self, name: str) -> bool:
        if self._session is None or name == self.name:
            return False
        with self._journal.explained():
            free = _locked(self._session, name)
            if free:
                self._session.execute(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": _key(name)})
        return free

    def leave(self) -> None:
        if self._session is not None:
            with suppress(sa.exc.SQLAlchemyError):
                self._session.execute(sa.text("SELECT pg_advisory_unlock_all()"))  # at once, not when it is noticed
            with suppress(sa.exc.SQLAlchemyError):
                self._session.invalidate()
                self._session.close()
            self._session = None


def _locked(session: sa.Connection, name: str) -> bool:
    return bool(session.scalar(sa.text("SELECT pg_try_advisory_lock(:key)"), {"key": _key(name)}))


def _key(name: str) -> int:
    """Give the number that PostgreSQL knows a lock by."""
    return int.from_bytes(hashlib.sha256(f"migrate-core {name}".encode()).digest()[:8], "big", signed=True)
