"""Writing into the journal from many coroutines, which share transactions."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from typing import Any

from migrate_core.errors import JournalError
from migrate_core.fleet.journal import Claim, Entry, Journal, Outcome

log = logging.getLogger("migrate_core")

_PAUSES = (0.1, 0.5, 1.0, 2.0)
"""Seconds between attempts at a database that is away; the last one repeats."""


class Writer:
    """Writes what coroutines of one event loop have to say: what comes while a transaction runs makes the next one.

    Attributes:
        error: why the journal cannot be written any more; nothing is sent from then on.
    """

    def __init__(self, journal: Journal) -> None:
        self.error: JournalError | None = None
        self.ended = False
        self._journal = journal
        self._waiting: list[tuple[Claim | Outcome, asyncio.Future[bool]]] = []
        self._flushing: asyncio.Task[None] | None = None

    async def claim(self, entry: Entry) -> bool:
        """Write that an order is about to be sent.

        Returns:
            Whether it may be; if not, it was cancelled.

        Raises:
            JournalError: it could not be written.
        """
        return await self._write(Claim(entry.run, entry.number))

    async def end(self, entry: Entry, **values: Any) -> None:
        """Write what became of an order.

        Raises:
            JournalError: it could not be written.
        """
        await self._write(Outcome(entry.run, entry.number, values))

    async def _write(self, note: Claim | Outcome) -> bool:
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((note, future))
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        return await future

    async def _flush(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                notes, futures = zip(*batch, strict=True)
                try:
                    granted = await asyncio.to_thread(self._written, notes)
                except BaseException as error:
                    _told(futures, error)
                    if not isinstance(error, Exception):
                        raise
                else:
                    for note, future in batch:
                        if not future.done():
                            future.set_result(note in granted)
                            granted.discard(note)  # only one of those who claim the same order gets it
        finally:
            self._flushing = None

    def _written(self, notes: Sequence[Claim | Outcome]) -> set[Claim]:
        """Write into a database that may be away for a while."""
        count = 0
        while self.error is None:
            try:
                return self._journal.write(notes, time.time())
            except JournalError as error:
                if not error.passing or self.ended:
                    self.error = error
                    raise
                if count == 0:
                    log.warning("%s; waiting for it", error)
                time.sleep(_PAUSES[min(count, len(_PAUSES) - 1)])
                count += 1
        raise self.error


def _told(futures: Iterable[asyncio.Future[bool]], error: BaseException) -> None:
    for future in futures:
        if isinstance(error, asyncio.CancelledError):
            future.cancel()
        elif not future.done():
            future.set_exception(error)
