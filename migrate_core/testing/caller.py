"""One way to drive both clients."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import migrate_core as mc
from migrate_core.provider import BaseProvider
from migrate_core.secrets import discreet

__all__ = ["Caller"]


class Caller:
    """Drives a client, synchronous or asynchronous, with the same words.

    ``caller(client.sources.describe("s"))`` gives the value that the call returns: on the asynchronous client it runs
    the coroutine, on the synchronous one the call has been made already.

    Args:
        kind: which client.
    """

    def __init__(self, kind: Literal["sync", "async"]) -> None:
        self.kind = kind
        self._runner = asyncio.Runner() if kind == "async" else None
        self._clients: list[Any] = []

    @discreet
    def connect(self, provider: str | type[BaseProvider], **settings: Any) -> Any:
        """Make a client, which lives until `close`."""
        make: Callable[..., Any] = mc.connect_async if self._runner else mc.connect
        client = make(provider, **settings)
        self._clients.append(client)
        return client

    def __call__(self, value: Any) -> Any:
        if self._runner and inspect.isawaitable(value):
            return self._runner.run(_awaited(value))
        return value

    def list(self, iterator: Any) -> list[Any]:
        """Exhaust an iterator of either kind."""
        if self._runner:
            return self._runner.run(_collected(iterator))
        return list(iterator)

    def next(self, iterator: Any) -> Any:
        """Take one item of an iterator of either kind."""
        return self._runner.run(_awaited(anext(iterator))) if self._runner else next(iterator)

    def together(self, calls: Sequence[Callable[[], Any]]) -> Sequence[Any]:
        """Make several calls at the same time, in threads or in the event loop; gives their values."""
        if self._runner:
            return self._runner.run(_gathered(calls))
        with ThreadPoolExecutor(len(calls)) as threads:
            return [future.result() for future in [threads.submit(call) for call in calls]]

    def close(self) -> None:
        """Close all clients."""
        for client in self._clients:
            self(client.close())
        if self._runner:
            self._runner.close()


async def _awaited(value: Any) -> Any:
    return await value


async def _collected(iterator: Any) -> list[Any]:
    return [item async for item in iterator]


async def _gathered(calls: Sequence[Callable[[], Any]]) -> Sequence[Any]:
    return await asyncio.gather(*(call() for call in calls))
