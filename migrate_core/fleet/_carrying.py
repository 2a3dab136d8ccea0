"""Carrying out orders: each is claimed in the journal, sent, and its end written down.

Between the claim and the end the process may die, or the answer may be lost. No such order is simply sent again:

- What was to be registered is looked for, and adopted if it is there: ``on_ambiguous="reconcile"``.
- What was to be deleted is looked for, and what is gone counts as deleted; a deletion that the vendor is still busy
  with is waited for. It is sent again if what it was about is still there.
- What was to be unlocked, and a pairing that was to be made, cannot be looked for by what is known: the outcome is
  unknown.
- What is only described is described again.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import migrate_core as mc
from migrate_core._connect import connect_paced
from migrate_core._rate import Rate
from migrate_core.fleet._rates import LATE
from migrate_core.fleet._writes import Writer
from migrate_core.fleet.journal import Entry, Journal
from migrate_core.fleet.models import Order, OrderState
from migrate_core.operations import Operation
from migrate_core.provider import BaseProvider
from migrate_core.shapes import shape_of

__all__ = ["Clients", "Worker"]

log = logging.getLogger("migrate_core")

T = TypeVar("T")

_PATIENCE = 900.0
"""Seconds for which orders are held back while their vendor cannot be reached, or has too much to do."""
_PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
_CLAIMING = 0.05
"""Seconds that an order has to be claimed in, before its slot comes."""
_JOURNAL_AWAY = 1.0
"""Seconds until the next question for a slot, if the journal could not be asked."""
_REFUSALS = (
    mc.InvalidRequestError,
    mc.InvalidArgumentError,
    mc.ConflictError,
    mc.QuotaExceededError,
    mc.TaskFailedError,
    mc.TaskCancelledError,
)
"""What a vendor, or our own check, says of an order itself, and not of a look at what became of it."""
_CLOSING = 5.0
"""Seconds that logging out may take."""
_AT_HAND = 10
"""Orders of a lot that are read at a time: their documents would fill the memory, lot by lot."""
_UNFINISHED = (OrderState.WAITING, OrderState.SENDING)


_slot: ContextVar[float | None] = ContextVar("slot", default=None)
"""When the next request of this lot may be sent, if its order has waited for that already; by the monotonic clock."""


class _Paid(Rate):
    """Sends the first request of an order in the slot that the order has waited for, and spaces all others."""

    def __init__(self, rate: Rate) -> None:
        super().__init__(rate.limit)
        self.rate = rate

    def pause(self, now: float, most: float) -> float | None:
        """Take the slot that was waited for, or the next one."""
        slot = _slot.get()
        _slot.set(None)
        if slot is not None and now <= slot + LATE:
            return max(0.0, slot - now)
        return self.rate.pause(now, most)


class Clients:
    """The clients of a worker, made when they are needed; all belong to one event loop.

    Args:
        rate_of: takes a profile and its setting ``rate_limit``, and gives what spaces its requests.
    """

    def __init__(self, rate_of: Callable[[str, float | None], Rate]) -> None:
        self._rate_of = rate_of
        self._rates: dict[str, _Paid] = {}
        self._lines: dict[str, asyncio.Lock] = {}
        self._clients: dict[tuple[str, str], mc.AsyncClient] = {}

    def get(self, profile: str, on_ambiguous: str = "raise") -> mc.AsyncClient:
        """Give a client of a profile; those that differ in what to do with a lost answer share its rate limit.

        Raises:
            ConfigurationError: it cannot be made here.
        """
        if (profile, on_ambiguous) not in self._clients:

            def shared(limit: float | None) -> Rate:
                return self._rates.setdefault(profile, _Paid(self._rate_of(profile, limit)))

            self._clients[profile, on_ambiguous] = connect_paced(profile, shared, on_ambiguous=on_ambiguous)
        return self._clients[profile, on_ambiguous]

    async def turn(self, profile: str, wait: Callable[[float], Awaitable[None]]) -> None:
        """Stand in line until a request of a profile may be sent soon: the next one of this lot.

        Orders wait here, and not in their calls: nothing is claimed yet, and no call runs out of time.

        Args:
            profile: name of the profile.
            wait: waits for some seconds.
        """
        rate = self._rates[profile].rate
        if rate.limit is None:
            return
        async with self._lines.setdefault(profile, asyncio.Lock()):
            while (pause := rate.pause(now := time.monotonic(), math.inf)) is None:
                await wait(_JOURNAL_AWAY)
            await wait(pause - _CLAIMING)
        _slot.set(now + pause)

    async def close(self) -> None:
        """Log out everywhere."""
        clients, self._clients = list(self._clients.values()), {}
        await asyncio.gather(*(client.close() for client in clients), return_exceptions=True)


class _Left(Exception):
    """Nothing more is sent; what was not is left for whoever works next."""


class Worker:
    """Carries out lots of orders, for as long as it is not told to stop.

    Attributes:
        error: why it cannot go on.
        under_way: how many orders are being sent.
        present: names of the lots that it has; when it stops, it keeps them all.
    """

    def __init__(self, journal: Journal, clients: Clients) -> None:
        self.under_way = 0
        self.present: set[str] = set()
        self._error: mc.MigrateError | None = None
        self._stopping = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._journal = journal
        self._clients = clients
        self._writer = Writer(journal)
        self._refused: dict[str, mc.AuthenticationError] = {}
        self._hands: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def error(self) -> mc.MigrateError | None:
        """Why it cannot go on; ``None`` while it can."""
        return self._error or self._writer.error

    def stop(self) -> None:
        """Begin no order any more; any thread may say so."""
        self._writer.ended = True
        if self._loop is None:
            self._stopping.set()
        else:
            self._loop.call_soon_threadsafe(self._stopping.set)

    def close(self) -> None:
        """Log out everywhere; for the thread that made the worker."""
        if self._loop is not None:
            with suppress(TimeoutError):
                asyncio.run_coroutine_threadsafe(self._clients.close(), self._loop).result(_CLOSING)

    async def start(self, lot: str) -> bool:
        """Carry out the orders of a lot, one after another.

        Returns:
            Whether the vendor is still busy with some of them.
        """
        return await self._having(lot, lambda: self._start(lot))

    async def _start(self, lot: str) -> bool:
        some = functools.partial(self._journal.entries, lot, *_UNFINISHED, most=_AT_HAND)
        while entries := await asyncio.to_thread(some):
            for entry in entries:
                await self._carry_out(entry)
        self._go_on()
        return bool(await asyncio.to_thread(self._journal.entries, lot, OrderState.WATCHING))

    async def watch(self, lot: str, name: str) -> None:
        """Wait for the tasks of a lot.

        Args:
            lot: the lot.
            name: what the queues call it now.
        """
        await self._having(name, lambda: self._watch(lot))

    async def _watch(self, lot: str) -> None:
        entries = await asyncio.to_thread(self._journal.entries, lot, OrderState.WATCHING)
        if entries:
            client = self._client(entries[0].order.profile)  # a lot is of one profile
            await _Watch(client, self._writer, entries).ended()

    async def _having(self, name: str, work: Callable[[], Awaitable[T]]) -> T:
        """Have a lot, and work on it; anew, if the journal was away.

        A lot that is handed over twice, as one can be that was thought to be lost, is worked on twice, but not at the
        same time: both would look for what was sent, not find it, and send it.
        """
        async with self._hands.setdefault(name, asyncio.Lock()):
            return await self._keeping(name, work)

    async def _keeping(self, name: str, work: Callable[[], Awaitable[T]]) -> T:
        """Work on a lot; one that cannot be finished never ends: so it is found when somebody works again."""
        self._loop = asyncio.get_running_loop()
        self.present.add(name)
        try:
            with suppress(_Left):
                while True:
                    try:
                        return await work()
                    except mc.JournalError as error:
                        if not error.passing:
                            self._error = self._error or error
                    await self._pause(_JOURNAL_AWAY)
            await asyncio.Event().wait()
            raise AssertionError
        finally:
            self.present.discard(name)

    def _go_on(self) -> None:
        if self._stopping.is_set() or self.error:
            raise _Left

    async def _pause(self, seconds: float) -> None:
        """Wait, but not for longer than until the worker stops."""
        if seconds > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._stopping.wait()
        self._go_on()

    def _client(self, profile: str, on_ambiguous: str = "raise") -> mc.AsyncClient:
        try:
            return self._clients.get(profile, on_ambiguous)
        except mc.MigrateError as error:
            self._error = self._error or error
            raise _Left from None

    async def _carry_out(self, entry: Entry) -> None:
        """Send an order, later again while it provably did not arrive: a vendor may be away for a while."""
        profile = entry.order.profile
        begun, count = time.monotonic(), 0
        while True:
            self._go_on()
            self._client(profile)
            await self._clients.turn(profile, self._pause)
            self.under_way += 1
            try:
                held_back = await self._tried(entry, last=time.monotonic() - begun > _PATIENCE)
            finally:
                self.under_way -= 1
            if held_back is None:
                return
            await self._pause(max(_PAUSES[min(count, len(_PAUSES) - 1)], held_back))
            count += 1

    async def _tried(self, entry: Entry, *, last: bool) -> float | None:
        """Try an order, and write down what became of it.

        Returns:
            ``None`` if it is over, or goes on at the vendor; else it was not sent, and the seconds that the vendor
            wants to be left alone.
        """
        if entry.state is OrderState.WAITING and not await self._writer.claim(entry):
            return None  # it was cancelled
        try:
            values = await _answered(await self._sent(entry))
        except (mc.RequestNotSentError, mc.RateLimitedError, mc.DeadlineExceededError) as error:
            if not (last or getattr(error, "sent", False)):
                log.info("%s is held back: %s", entry.order.about, error)
                await self._writer.end(entry, state=entry.state.value)
                return getattr(error, "retry_after", None) or 0.0
            values = _failure(error, entry)
        except mc.MigrateError as error:
            if isinstance(error, mc.AuthenticationError):
                self._refused.setdefault(entry.order.profile, error)
            values = _failure(error, entry)
        await self._writer.end(entry, **values)
        return None

    async def _sent(self, entry: Entry) -> mc.AsyncTask[Any] | dict[str, Any]:
        """Send an order; of one that was sent before, find out what became of it first."""
        order = entry.order
        client = self._client(order.profile)
        if order.profile in self._refused:  # many attempts would lock the account
            raise self._refused[order.profile]
        if order.operation is Operation.DESCRIBE_SOURCE:
            return shape_of(await client.sources.describe(order.subject or ""))
        if order.operation is Operation.DESCRIBE_PAIRING:
            return shape_of(await client.pairings.describe(order.subject or ""))
        if entry.state is OrderState.SENDING:
            error = mc.OutcomeUnknownError(f"{order.operation.value}: its worker died before the answer came")
            return await self._found_out(entry, client, error)
        try:
            return await _asked_for(order, client)
        except mc.OutcomeUnknownError as error:
            return await self._found_out(entry, client, error)
        except (mc.ServerError, mc.MalformedResponseError) as error:
            if order.operation is not Operation.REGISTER_SOURCE:
                raise
            return await self._found_out(entry, client, error)

    async def _found_out(
        self, entry: Entry, client: mc.AsyncClient, doubt: mc.MigrateError
    ) -> mc.AsyncTask[Any] | dict[str, Any]:
        """Find out what became of an order, and send it again if it did not happen.

        Raises:
            MigrateError: `doubt`, when nobody can tell.
        """
        order = entry.order
        log.info("%s: what became of %s is not known, looking: %s", order.about, order.operation.value, doubt)
        match order.operation:
            case Operation.REGISTER_SOURCE if _can_be_found(client):
                await self._settled(entry, client)
                return await _asked_for(order, self._client(order.profile, "reconcile"))
            case Operation.DELETE_SOURCE if _offers(client, Operation.DESCRIBE_SOURCE):
                await self._settled(entry, client)
                if not await _there(client.sources.describe, order.subject):
                    return {}
                return await _asked_for(order, client)
            case Operation.DELETE_PAIRING if _offers(client, Operation.DESCRIBE_PAIRING):
                await self._settled(entry, client)
                await _left_alone(client, order.subject)
                if not await _there(client.pairings.describe, order.subject):
                    return {}
                return await _asked_for(order, client)
        raise doubt

    async def _settled(self, entry: Entry, client: mc.AsyncClient) -> None:
        """Wait until all who look see what happened."""
        settle = mc.provider_class(client.provider).settle_seconds
        if entry.state is OrderState.SENDING and entry.started_at is not None:
            settle = min(settle, max(0.0, entry.started_at + settle - time.time()))
        await asyncio.sleep(settle)


async def _asked_for(order: Order, client: mc.AsyncClient) -> mc.AsyncTask[Any]:
    """Ask the vendor for what an order wants to be changed."""
    subject = order.subject or ""
    match order.operation:
        case Operation.REGISTER_SOURCE:
            return await client.sources.register(order.source(), **order.options)
        case Operation.DELETE_SOURCE:
            return await client.sources.delete(subject)
        case Operation.UNLOCK_TARGET:
            return await client.targets.unlock(subject)
        case Operation.CREATE_PAIRING:
            return await client.pairings.create(order.pairing())
        case Operation.DELETE_PAIRING:
            return await client.pairings.delete(subject)
    raise mc.InvalidArgumentError(f"a fleet does not carry out {order.operation.value}")


async def _there(describe: Callable[[str], Awaitable[object]], subject: str | None) -> bool:
    try:
        await describe(subject or "")
    except mc.NotFoundError:
        return False
    return True


async def _left_alone(client: mc.AsyncClient, subject: str | None) -> None:
    """Wait until no task of the vendor is busy with something."""
    if not _offers(client, Operation.LIST_TASKS):
        return
    async for task in client.tasks.list():
        if not task.done and task.info.entity_id == subject:
            with suppress(mc.TaskError):
                await task.wait(timeout=None)


def _can_be_found(client: mc.AsyncClient) -> bool:
    return mc.provider_class(client.provider).find_registered is not BaseProvider.find_registered


def _offers(client: mc.AsyncClient, operation: Operation) -> bool:
    return client.capabilities[operation].support is mc.Support.FULL


def _failure(error: mc.MigrateError, entry: Entry) -> dict[str, Any]:
    """Give what the journal says of an order that ended with an error.

    Of one whose worker died, only the vendor's answer to the order itself tells what became of it.
    """
    doubtful = entry.state is OrderState.SENDING and not isinstance(error, _REFUSALS)
    unknown = doubtful or isinstance(error, mc.OutcomeUnknownError)
    return {
        "state": (OrderState.UNKNOWN if unknown else OrderState.FAILED).value,
        "ended_at": time.time(),
        "error": type(error).__name__,
        "code": getattr(error, "code", None) or None,
        "message": "\n".join([str(error), *getattr(error, "__notes__", ())]),
    }


async def _answered(answer: mc.AsyncTask[Any] | dict[str, Any]) -> dict[str, Any]:
    """Give what the journal says of an order that was answered: it is over, or goes on at the vendor.

    Raises:
        TaskError: it is over, and was no success.
    """
    if isinstance(answer, dict):
        return _success(answer or None)
    if not answer.done:
        return {"state": OrderState.WATCHING.value, "token": answer.token}
    return _success(await answer.wait())


def _success(result: Any) -> dict[str, Any]:
    said = None if result is None else json.dumps(result, separators=(",", ":"), default=str)
    return {"state": OrderState.DONE.value, "ended_at": time.time(), "result": said}


class _Watch:
    """Waits for the tasks of some orders, and writes down how each ended as soon as that is seen."""

    def __init__(self, client: mc.AsyncClient, writer: Writer, entries: Sequence[Entry]) -> None:
        self._client = client
        self._writer = writer
        self._entries = {entry.token or "": entry for entry in entries}
        self._tasks: dict[mc.AsyncTask[Any], Entry] = {}
        self._writing: list[asyncio.Task[None]] = []

    async def ended(self) -> None:
        """Wait for all; what cannot be watched any more has an unknown outcome."""
        for token, entry in self._entries.items():
            try:
                task = await self._client.tasks.get(token)
            except mc.MigrateError as error:
                await self._lose(entry, error)
            else:
                self._tasks[task] = entry
                self._note(task)
        with suppress(ExceptionGroup, mc.MigrateError):  # each is asked below what became of it
            await self._client.tasks.wait_all(self._tasks, timeout=None, on_progress=self._note)
        await asyncio.gather(*self._writing)
        for task, entry in self._tasks.items():
            await self._conclude(task, entry)

    def _note(self, task: mc.AsyncTask[Any]) -> None:
        if task.done and task in self._tasks:
            self._writing.append(asyncio.create_task(self._conclude(task, self._tasks.pop(task))))

    async def _conclude(self, task: mc.AsyncTask[Any], entry: Entry) -> None:
        try:
            result = await task.wait(timeout=None)
        except (mc.TaskFailedError, mc.TaskCancelledError) as error:
            await self._writer.end(entry, **_failure(error, entry))
        except mc.MigrateError as error:
            await self._lose(entry, error)
        else:
            await self._writer.end(entry, **_success(result))

    async def _lose(self, entry: Entry, error: mc.MigrateError) -> None:
        """Stop watching a task that goes on, for all anybody knows; its token stays in the journal."""
        values = {**_failure(error, entry), "state": OrderState.UNKNOWN.value}
        await self._writer.end(entry, **values)
