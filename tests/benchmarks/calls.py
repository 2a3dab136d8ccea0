"""Describing a source, again and again: the contestants, alone and many at once."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, TypeAlias

import httpx
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdksms import v3

import migrate_core as mc
from benchmarks.server import HOST
from extras import without_fast_json
from migrate_core import _registry
from migrate_core.errors import MigrateError

KEYS = {"access_key": "BENCHMARKACCESSKEY00", "secret_key": "benchmark-secret-key-000000000000000000"}
SOURCE = "9f1e3d4a-0000-4000-8000-000000000000"
PATH = f"/v3/sources/{SOURCE}"

FAST = "migrate-core, transport=fast"

Contestant: TypeAlias = tuple[str, Callable[[], int]]


def has_fast() -> bool:
    """Tell whether the transport ``fast`` is installed, with all that it needs."""
    if "fast" not in _registry.names(_registry.TRANSPORTS):
        return False
    try:
        _registry.transport_factory("fast")
    except MigrateError:
        return False
    return True


@contextmanager
def one_by_one(port: int, calls: int) -> Generator[Sequence[Contestant]]:
    """Give the contestants that describe one source after the other."""
    origin = f"http://{HOST}:{port}"
    with (
        mc.connect("huawei_sms", endpoint=origin, **KEYS) as ours,
        httpx.Client(trust_env=False) as bare,
        socket.create_connection((HOST, port)) as raw,
        _sdk(origin) as sdk,
        ExitStack() as others,
    ):
        fast: list[Contestant] = []
        if has_fast():
            quick = others.enter_context(mc.connect("huawei_sms", endpoint=origin, transport="fast", **KEYS))
            fast = [(FAST, lambda: _repeated(calls, lambda: quick.sources.describe(SOURCE)))]
        yield [
            ("migrate-core", _without_extra(lambda: _repeated(calls, lambda: ours.sources.describe(SOURCE)))),
            *fast,
            ("httpx", lambda: _repeated(calls, lambda: bare.get(origin + PATH).json())),
            ("the vendor's SDK", lambda: _repeated(calls, lambda: sdk(SOURCE))),
            ("a raw socket", lambda: _repeated(calls, lambda: _over(raw))),
        ]


def _without_extra(work: Callable[[], int]) -> Callable[[], int]:
    """Let the default do without the extra's libraries for JSON, too."""

    def working() -> int:
        with without_fast_json():
            return work()

    return working


def _repeated(calls: int, call: Callable[[], Any]) -> int:
    for _ in range(calls):
        call()
    return calls


def _over(raw: socket.socket) -> Any:
    """Exchange one request by hand: the least that Python can do."""
    raw.sendall(f"GET {PATH} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
    data = raw.recv(65536)
    while b"\r\n\r\n" not in data:
        data += raw.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += raw.recv(65536)
    return json.loads(body)


@contextmanager
def many_at_once(port: int, calls: int, in_flight: int, threads: int = 8) -> Generator[Sequence[Contestant]]:
    """Give the contestants that have many calls in flight, each in the way that is natural to it.

    Args:
        port: where the server listens.
        calls: how many calls each makes in a turn.
        in_flight: how many at a time in asyncio.
        threads: how many threads those have that know no asyncio.
    """
    origin = f"http://{HOST}:{port}"
    runner = asyncio.Runner()
    transports = {"migrate-core": "httpx"} | ({FAST: "fast"} if has_fast() else {})
    ours = {
        name: mc.connect_async("huawei_sms", endpoint=origin, transport=transport, **KEYS)
        for name, transport in transports.items()
    }
    limits = httpx.Limits(max_connections=in_flight, max_keepalive_connections=in_flight)
    bare = httpx.AsyncClient(trust_env=False, limits=limits, timeout=60.0)

    async def described(client: mc.AsyncClient) -> None:
        await client.sources.describe(SOURCE)

    def describing(client: mc.AsyncClient) -> int:
        return runner.run(_crowded(lambda: described(client), calls, in_flight))

    async def fetched() -> None:
        (await bare.get(origin + PATH)).json()

    with _sdk(origin) as sdk, ThreadPoolExecutor(threads) as pool:
        yield [
            *(
                (name, partial(describing, client) if name == FAST else _without_extra(partial(describing, client)))
                for name, client in ours.items()
            ),
            ("httpx", lambda: runner.run(_crowded(fetched, calls, in_flight))),
            (f"the vendor's SDK, {threads} threads", lambda: len(list(pool.map(lambda _: sdk(SOURCE), range(calls))))),
        ]
    for client in ours.values():
        runner.run(client.close())
    runner.run(bare.aclose())
    runner.close()


async def _crowded(call: Callable[[], Any], calls: int, in_flight: int) -> int:
    """Make `calls` calls, `in_flight` of them at a time."""
    numbers = iter(range(calls))

    async def worker() -> None:
        for _ in numbers:
            await call()

    async with asyncio.TaskGroup() as workers:
        for _ in range(in_flight):
            workers.create_task(worker())
    return calls


@contextmanager
def _sdk(origin: str) -> Generator[Callable[[str], Any]]:
    """Give the describing call of the vendor's SDK."""
    credentials = BasicCredentials(KEYS["access_key"], KEYS["secret_key"], "benchmark")
    client = v3.SmsClient.new_builder().with_endpoint(origin).with_credentials(credentials).build()
    try:
        yield lambda source_id: client.show_server(v3.ShowServerRequest(source_id=source_id))
    finally:
        client.close()
        client.get_http_client().executor.shutdown()
