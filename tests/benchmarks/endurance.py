"""Many calls over one transport: does it crash, leak, or mix up answers?

``python -m benchmarks.endurance [--calls N] [--transport NAME]``, with this repository's ``tests`` on the path. Each
answer repeats what was asked for. In the event loop one call in a hundred is cancelled, at any moment.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from benchmarks.server import HOST, TESTS
from migrate_core._registry import transport_factory
from migrate_core.clock import Deadline, SystemClock
from migrate_core.errors import MigrateError
from migrate_core.provider import Request
from migrate_core.transports import TransportOptions

IN_FLIGHT = 50
THREADS = 8
CANCELLED = 0.01
PATIENCE = 60.0


@attrs.define
class Count:
    """What happened.

    Attributes:
        calls: how many calls were made.
        cancelled: how many of them were cancelled.
        wrong: how many got an answer that is not theirs.
        errors: how many failed.
    """

    calls: int = 0
    cancelled: int = 0
    wrong: int = 0
    errors: int = 0


class _Echo(asyncio.Protocol):
    """Answers with the first line of the request, or with how many connections there were."""

    opened = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        _Echo.opened += 1
        self._transport: Any = transport
        self._unread = b""

    def data_received(self, data: bytes) -> None:
        heads = (self._unread + data).split(b"\r\n\r\n")
        self._unread = heads.pop()
        for head in heads:
            line = head.partition(b"\r\n")[0]
            body = str(_Echo.opened).encode() if line.startswith(b"GET /opened ") else line
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Echo, HOST, 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def _served() -> Generator[TransportOptions]:
    """Run the server in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "benchmarks.endurance", "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout
        try:
            yield TransportOptions(endpoints={"main": f"http://{HOST}:{int(process.stdout.readline())}"})
        finally:
            process.kill()


def _request(number: int) -> tuple[Request, bytes]:
    """Make a request; gives it with its answer."""
    path = f"/v3/sources/{number}"
    return Request(method="GET", path=path, repeatable=True), f"GET {path} HTTP/1.1".encode()


def _deadline() -> Deadline:
    return Deadline.after(SystemClock(), PATIENCE)


def in_a_loop(factory: Any, options: TransportOptions, numbers: Iterator[int], count: Count) -> None:
    """Call in an event loop."""

    async def work(transport: Any) -> None:
        loop = asyncio.get_running_loop()
        for number in numbers:
            request, expected = _request(number)
            call = loop.create_task(transport.send(request, _deadline()))
            if random.random() < CANCELLED:
                loop.call_later(random.random() * 0.01, call.cancel)
            count.calls += 1
            try:
                count.wrong += (await call).body != expected
            except asyncio.CancelledError:
                count.cancelled += 1
            except MigrateError as error:
                count.errors += 1
                print(repr(error), file=sys.stderr)

    async def all_work() -> None:
        transport = factory.open_async(options)
        await asyncio.gather(*(work(transport) for _ in range(IN_FLIGHT)))
        await transport.close()

    asyncio.run(all_work())


def in_threads(factory: Any, options: TransportOptions, numbers: Iterator[int], count: Count) -> None:
    """Call in threads."""
    transport = factory.open(options)

    def work(_: int) -> Count:
        mine = Count()
        for number in numbers:
            request, expected = _request(number)
            mine.calls += 1
            try:
                mine.wrong += transport.send(request, _deadline()).body != expected
            except MigrateError as error:
                mine.errors += 1
                print(repr(error), file=sys.stderr)
        return mine

    with ThreadPoolExecutor(THREADS) as threads:
        for mine in threads.map(work, range(THREADS)):
            count.calls += mine.calls
            count.wrong += mine.wrong
            count.errors += mine.errors
    transport.close()


def endure(name: str, calls: int) -> list[dict[str, Any]]:
    """Make that many calls in each way; gives what happened."""
    ways: dict[str, Callable[..., None]] = {
        f"{IN_FLIGHT} in an event loop": in_a_loop,
        f"{THREADS} threads": in_threads,
    }
    factory: Any = transport_factory(name)
    found = []
    with _served() as options:
        for way, run in ways.items():
            run(factory, options, iter(range(calls // 100)), Count())  # what is made once is made by now
            opened, before, begun, count = _opened(factory, options), _resident(), time.perf_counter(), Count()
            run(factory, options, _shared(calls), count)
            seconds, after = time.perf_counter() - begun, _resident()
            found.append(
                {
                    "transport": name,
                    "way": way,
                    **attrs.asdict(count),
                    "connections": _opened(factory, options) - opened - 1,
                    "seconds": round(seconds, 1),
                    "rss_before_mb": round(before, 1),
                    "rss_after_mb": round(after, 1),
                }
            )
    return found


def _shared(calls: int) -> Iterator[int]:
    """Count for many threads: one `next()` of a C iterator is one step."""
    return itertools.islice(itertools.count(), calls)


def _opened(factory: Any, options: TransportOptions) -> int:
    """Ask the server how many connections there were, over one more."""
    transport = factory.open(options)
    try:
        answer = transport.send(Request(method="GET", path="/opened", repeatable=True), _deadline())
    finally:
        transport.close()
    return int(answer.body)


def _resident() -> float:
    """Tell how many megabytes of memory this process has; 0 where nobody says."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    """Run, and print a line of JSON for each way; fails if any call did."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.endurance", description=__doc__)
    parser.add_argument("--calls", type=int, default=1_000_000, help="how many in each way")
    parser.add_argument("--transport", default="fast", help="name of an installed transport")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(_serve())
    found = endure(given.transport, given.calls)
    for line in found:
        print(json.dumps(line))
    sys.exit(any(line["errors"] or line["wrong"] for line in found))


if __name__ == "__main__":
    main()
