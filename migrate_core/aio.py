"""The client for one event loop, and its resources: those of `client`, with async and await.

Each method means what its twin in `client` means and takes its docstring from there. asyncio is imported where it is
used: it takes longer than all of this package, and many who import this package make no event loop.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from typing import Any, ParamSpec, Self, TypeVar

import migrate_core.client as sync
from migrate_core._check import checks
from migrate_core._engine import Acquire, Effect, Engine, Send, Sleep, Steps, Within, Work
from migrate_core._paging import Listed, Pages
from migrate_core._rate import Rate
from migrate_core.clock import Clock, Deadline
from migrate_core.errors import ConfigurationError, DeadlineExceededError
from migrate_core.models import Check, Pairing, PairingSpec, SourceServer, SourceSpec
from migrate_core.operations import Operation
from migrate_core.provider import BaseProvider, Flow, Page, Request, TaskInfo
from migrate_core.tasks import AsyncTask, WaitForAll, info_from, started
from migrate_core.transports import AsyncTransport

__all__ = ["AsyncClient", "AsyncPairings", "AsyncSources", "AsyncTargets", "AsyncTasks"]

P = ParamSpec("P")
T = TypeVar("T")
L = TypeVar("L", bound=Listed)
C = TypeVar("C", bound=type)


def _twin_of(twin: type) -> Callable[[C], C]:
    """Give a class the docstrings of its synchronous twin, where it has none of its own."""

    def adopt(cls: C) -> C:
        for name, member in vars(cls).items():
            if callable(member) and not member.__doc__ and hasattr(twin, name):
                member.__doc__ = getattr(twin, name).__doc__
        return cls

    return adopt


@_twin_of(sync.Client)
class AsyncClient(sync.BaseClient):
    """A connection to one vendor's control plane; it belongs to one event loop.

    `migrate_core.connect_async` makes one. Use it with ``async with``, or await `close`.

    Attributes:
        sources: source servers.
        targets: target servers.
        pairings: site pairings.
        tasks: asynchronous operations at the vendor.
    """

    def __init__(
        self, provider: BaseProvider, transport: AsyncTransport, clock: Clock, rate: Rate | None = None
    ) -> None:
        import asyncio

        super().__init__(provider, Engine(provider, clock, asyncio.Lock(), rate))
        self._transport = transport
        self.sources = AsyncSources(self)
        self.targets = AsyncTargets(self)
        self.pairings = AsyncPairings(self)
        self.tasks = AsyncTasks(self)

    async def check(self) -> tuple[Check, ...]:
        return await self._run(self._engine.observer.call("check", checks(self._engine)))

    async def close(self) -> None:
        if not self._closed:
            try:
                await self._run(self._engine.log_out())
            finally:
                self._closed = True
                await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _run(self, steps: Steps[T]) -> T:
        """Perform the effects that `steps` asks for."""
        if self._closed:
            raise ConfigurationError("this client is closed")
        try:
            effect = next(steps)
            while True:
                try:
                    answer = await self._perform(effect)
                except BaseException as error:
                    effect = steps.throw(error)
                else:
                    effect = steps.send(answer)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]  # StopIteration is not generic; Steps[T] returns T

    async def _perform(self, effect: Effect) -> Any:
        match effect:
            case Send(request, deadline):
                return await self._transport.send(request, deadline)
            case Sleep(seconds):
                return await self._engine.clock.asleep(seconds)
            case Acquire(lock, deadline):
                return await _acquire(lock, deadline)
            case Work(function, deadline):
                return await _work(function, deadline)
            case Within(scope, inner):
                with scope():
                    return await self._perform(inner)

    async def _call(self, operation: Operation, verb: Callable[P, Flow[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._run(self._engine.call(operation, verb, *args, **kwargs))

    async def _change(
        self, operation: Operation, verb: Callable[P, Flow[TaskInfo]], /, *args: P.args, **kwargs: P.kwargs
    ) -> AsyncTask[Any]:
        return AsyncTask(self, started(await self._call(operation, verb, *args, **kwargs), operation))

    def _list(self, operation: Operation, verb: Callable[[str | None], Flow[Page[L]]]) -> AsyncIterator[L]:
        self._engine.check(operation)

        async def items() -> AsyncIterator[L]:
            pages: Pages[L] = Pages()
            while pages.more:
                for item in pages.fresh(await self._call(operation, verb, pages.cursor)):
                    yield item

        return items()


async def _acquire(lock: Any, deadline: Deadline) -> None:
    import asyncio

    seconds = deadline.remaining()
    try:
        async with asyncio.timeout(None if seconds == math.inf else seconds):
            await lock.acquire()
    except TimeoutError:
        raise DeadlineExceededError("the time was over while another caller was logging in") from None


async def _work(function: Callable[[], None], deadline: Deadline) -> None:
    import asyncio

    seconds = deadline.remaining()
    try:
        async with asyncio.timeout(None if seconds == math.inf else seconds):
            await asyncio.to_thread(function)
    except TimeoutError:
        raise DeadlineExceededError("the time was over while credentials were being loaded") from None


class _Resource:
    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._provider = client._provider


@_twin_of(sync.Sources)
class AsyncSources(_Resource):
    """Source servers: the machines to be moved."""

    async def register(self, spec: SourceSpec, **options: Any) -> AsyncTask[str]:
        spec = self._client._with_options(spec, options)
        info = await self._client._run(self._client._registered(spec))
        return AsyncTask(self._client, started(info, Operation.REGISTER_SOURCE))

    def preview(self, spec: SourceSpec, **options: Any) -> Request:
        return self._client._preview(self._client._with_options(spec, options))

    async def describe(self, source_id: str) -> SourceServer:
        return await self._client._call(Operation.DESCRIBE_SOURCE, self._provider.describe_source, source_id)

    def list(self) -> AsyncIterator[SourceServer]:
        return self._client._list(Operation.LIST_SOURCES, self._provider.list_sources)

    async def delete(self, source_id: str) -> AsyncTask[Any]:
        return await self._client._change(Operation.DELETE_SOURCE, self._provider.delete_source, source_id)


@_twin_of(sync.Targets)
class AsyncTargets(_Resource):
    """Target servers: the machines that replications write to."""

    async def unlock(self, replication_id: str) -> AsyncTask[Any]:
        return await self._client._change(Operation.UNLOCK_TARGET, self._provider.unlock_target, replication_id)


@_twin_of(sync.Pairings)
class AsyncPairings(_Resource):
    """Pairings: the trust between two sites."""

    async def create(self, spec: PairingSpec) -> AsyncTask[Any]:
        return await self._client._change(Operation.CREATE_PAIRING, self._provider.create_pairing, spec)

    async def describe(self, pairing_id: str) -> Pairing:
        return await self._client._call(Operation.DESCRIBE_PAIRING, self._provider.describe_pairing, pairing_id)

    def list(self) -> AsyncIterator[Pairing]:
        return self._client._list(Operation.LIST_PAIRINGS, self._provider.list_pairings)

    async def delete(self, pairing_id: str) -> AsyncTask[Any]:
        return await self._client._change(Operation.DELETE_PAIRING, self._provider.delete_pairing, pairing_id)


@_twin_of(sync.Tasks)
class AsyncTasks(_Resource):
    """Tasks: asynchronous operations at the vendor."""

    async def get(self, token: str) -> AsyncTask[Any]:
        task: AsyncTask[Any] = AsyncTask(self._client, info_from(self._client.provider, token))
        await task.refresh()
        return task

    def list(self) -> AsyncIterator[AsyncTask[Any]]:
        infos = self._client._list(Operation.LIST_TASKS, self._provider.list_tasks)

        async def tasks() -> AsyncIterator[AsyncTask[Any]]:
            async for info in infos:
                yield AsyncTask(self._client, info)

        return tasks()

    async def cancel(self, token: str) -> AsyncTask[Any]:
        task: AsyncTask[Any] = AsyncTask(self._client, info_from(self._client.provider, token))
        await task.cancel()
        return task

    async def wait_all(
        self,
        tasks: Iterable[AsyncTask[T]],
        timeout: float | None = 3600.0,
        on_progress: Callable[[AsyncTask[T]], object] | None = None,
    ) -> tuple[T, ...]:
        import asyncio

        wait = WaitForAll(self._client._engine, tasks, timeout, on_progress, asyncio.Lock())
        with wait.observed(), wait.tokens_noted():
            await _side_by_side([self._client._run(wait.work()) for _ in range(wait.workers)])
        return wait.results()


async def _side_by_side(workers: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run all to their ends; what one raises ends the others."""
    import asyncio

    running = [asyncio.create_task(worker) for worker in workers]
    try:
        await asyncio.gather(*running)
    finally:
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)
