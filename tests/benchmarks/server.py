"""A server that is not the bottleneck: it makes up its answers in no time, in a process of its own.

``python -m benchmarks.server [DELAY]`` prints its port; DELAY is in seconds. Every request gets the same source, and
those of the list a page: that is as long as ``GET /resize?count=N`` says.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
TESTS = Path(__file__).parent.parent
EXAMPLE = TESTS.parent / "providers" / "migrate_huawei_sms" / "examples" / "query-response.json"

_NOT_LISTED = ("disks", "networks", "volume_groups", "firmware", "hostname", "agent_version")
"""What a described source has, and an item of the vendor's list has not."""
_PAGE = re.compile(rb"GET /v3/sources\?limit=(\d+)&offset=(\d+) ")
_RESIZE = re.compile(rb"GET /resize\?count=(\d+) ")


class SourceList:
    """A list of sources, page by page; they differ in their ids.

    Args:
        count: how many there are.
        item: what else is said of each; in place of that, what the vendor's list says of its example.

    Attributes:
        count: how many there are.
        requests: how many pages were asked for since the list was resized.
    """

    def __init__(self, count: int = 0, item: Mapping[str, Any] | None = None) -> None:
        self.count = count
        self.requests = 0
        if item is None:
            example = json.loads(EXAMPLE.read_bytes())
            item = {name: value for name, value in example.items() if name not in _NOT_LISTED}
        self._before, self._after = json.dumps({**item, "id": "#"}, separators=(",", ":")).split("#")

    def resize(self, count: int) -> int:
        """Make it another list; gives how many pages of the last one were asked for."""
        requests, self.count, self.requests = self.requests, count, 0
        return requests

    def page(self, limit: int, offset: int) -> bytes:
        """Make the body of a page."""
        self.requests += 1
        ids = [f"00000000-0000-4000-8000-{number:012}" for number in range(offset, min(offset + limit, self.count))]
        between = f"{self._after},{self._before}"
        items = f"{self._before}{between.join(ids)}{self._after}" if ids else ""
        return f'{{"count":{self.count},"source_servers":[{items}]}}'.encode()


class _Service:
    """Answers to the heads of requests."""

    def __init__(self) -> None:
        self._source = _answer(EXAMPLE.read_bytes())
        self._sources = SourceList()

    def answer(self, head: bytes) -> bytes:
        if page := _PAGE.match(head):
            return _answer(self._sources.page(int(page[1]), int(page[2])))
        if resize := _RESIZE.match(head):
            return _answer(str(self._sources.resize(int(resize[1]))).encode())
        return self._source


def _answer(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class _Connection(asyncio.Protocol):
    """Answers as soon as the end of a request's head is there; requests of benchmarks have no body."""

    def __init__(self, service: _Service, delay: float) -> None:
        self._service = service
        self._delay = delay
        self._unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        heads = (self._unread + data).split(b"\r\n\r\n")
        self._unread = heads.pop()
        for head in heads:
            answer = self._service.answer(head)
            if self._delay:
                asyncio.get_running_loop().call_later(self._delay, self._transport.write, answer)
            else:
                self._transport.write(answer)


async def serve(delay: float) -> None:
    """Serve until the end, and print the port first."""
    service = _Service()
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(service, delay), HOST, 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def served(delay: float = 0.0) -> Generator[int]:
    """Run the server in a process of its own, on a core of its own if there are two; gives its port."""
    cores = sorted(os.sched_getaffinity(0))
    command = [sys.executable, "-m", "benchmarks.server", str(delay)]
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout
        port = int(process.stdout.readline())
        if len(cores) > 1:
            os.sched_setaffinity(process.pid, {cores[-1]})
            os.sched_setaffinity(0, set(cores[:-1]))
        try:
            yield port
        finally:
            os.sched_setaffinity(0, set(cores))
            process.kill()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]) if len(sys.argv) > 1 else 0.0))
