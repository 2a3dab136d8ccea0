"""A server that is not the bottleneck: it answers every request with the same source, in a process of its own.

``python -m benchmarks.server [DELAY]`` prints its port; DELAY is in seconds.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

HOST = "127.0.0.1"
TESTS = Path(__file__).parent.parent
EXAMPLE = TESTS.parent / "providers" / "migrate_huawei_sms" / "examples" / "query-response.json"


class _Answers(asyncio.Protocol):
    """Answers as soon as the end of a request's head is there; requests of benchmarks have no body."""

    def __init__(self, answer: bytes, delay: float) -> None:
        self._answer = answer
        self._delay = delay
        self._unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        heads = (self._unread + data).split(b"\r\n\r\n")
        self._unread = heads.pop()
        for _ in heads:
            if self._delay:
                asyncio.get_running_loop().call_later(self._delay, self._transport.write, self._answer)
            else:
                self._transport.write(self._answer)


async def serve(delay: float) -> None:
    """Serve until the end, and print the port first."""
    body = EXAMPLE.read_bytes()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    server = await asyncio.get_running_loop().create_server(lambda: _Answers(head + body, delay), HOST, 0, backlog=512)
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
    asyncio.run(serve(float(sys.argv[1])))
