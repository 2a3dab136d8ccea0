"""What the tests share: one way to drive both clients."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import migrate_core as mc

ROOT = Path(__file__).parent.parent


def example(name: str) -> Any:
    """Load a vendor's example body, such as ``huawei_sms/query-response.json``, or test data of that name."""
    provider, _, file = name.partition("/")
    places = (ROOT / "providers" / f"migrate_{provider}" / "examples" / file, ROOT / "tests" / "data" / name)
    return json.loads(next(path for path in places if path.exists()).read_text(encoding="utf-8"))


class Caller:
    """Drives a client, synchronous or asynchronous, with the same words.

    ``caller(client.sources.describe("s"))`` gives the value that the call returns: on the asynchronous client it runs
    the coroutine, on the synchronous one the call has been made already.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._runner = asyncio.Runner() if kind == "async" else None
        self._clients: list[Any] = []

    def connect(self, provider: str, **settings: Any) -> Any:
        """Make a client; it is closed at the end of the test."""
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
