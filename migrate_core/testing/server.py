"""The door with a socket: a simulator on a loopback TCP port."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import Any

import uvicorn

from migrate_core.testing.simulator import Simulator

__all__ = ["serve", "serve_here"]

HOST = "127.0.0.1"

_TICK, _MOMENT = 1.0, 0.001


def bind(port: int) -> socket.socket:
    """Take a loopback port; any free one for 0."""
    # Named as TCP, or asyncio leaves Nagle's algorithm on, and each answer waits 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError:
        listener.close()
        raise
    return listener


def _configured(simulator: Simulator) -> uvicorn.Config:
    """Configure a quiet server for `simulator`."""
    return uvicorn.Config(
        simulator.app,
        log_level="warning",
        access_log=False,
        interface="asgi3",
        lifespan="off",
        proxy_headers=False,
        ws="none",
        http="h11",
        server_header=False,
        date_header=False,  # what time it is, the simulator says
        timeout_graceful_shutdown=1,
    )


@contextmanager
def serve(simulator: Simulator, port: int = 0) -> Iterator[str]:
    """Serve a simulator from a thread of its own.

    Args:
        simulator: what to serve; its ``endpoint`` is the origin from then on.
        port: the port; any free one for 0.

    Yields:
        The origin, such as ``http://127.0.0.1:40001``.

    Raises:
        OSError: the port is taken.
    """
    listener = bind(port)
    before = simulator.endpoint
    server = _Server(simulator)
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, name=f"{simulator.name} simulator", daemon=True
    )
    simulator.endpoint = _origin(listener)
    try:
        thread.start()
        server.ready.wait()
        yield simulator.endpoint
    finally:
        simulator.endpoint = before
        server.stop()
        if thread.ident is not None:
            thread.join()
        listener.close()


def serve_here(simulator: Simulator, port: int, ready: Callable[[], None]) -> None:
    """Serve a simulator from the calling thread, which must be the main one, until SIGINT or SIGTERM.

    Args:
        simulator: what to serve.
        port: the port; any free one for 0.
        ready: called once it listens.

    Raises:
        OSError: the port is taken.
    """
    with bind(port) as listener, suppress(KeyboardInterrupt):
        simulator.endpoint = _origin(listener)
        _Server(simulator, ready).run(sockets=[listener])


def _origin(listener: socket.socket) -> str:
    return f"http://{HOST}:{listener.getsockname()[1]}"


class _Server(uvicorn.Server):
    """A server that says when it listens and stops when it is told; uvicorn looks ten times a second, and waits."""

    def __init__(self, simulator: Simulator, announce: Callable[[], None] = lambda: None) -> None:
        super().__init__(_configured(simulator))
        self.ready = threading.Event()
        self._announce = announce
        self._wake: Callable[[], object] = lambda: None

    async def startup(self, *args: Any, **kwargs: Any) -> None:
        try:
            await super().startup(*args, **kwargs)
            self._announce()
        finally:
            self.ready.set()

    async def main_loop(self) -> None:
        woken = asyncio.Event()
        self._wake = partial(asyncio.get_running_loop().call_soon_threadsafe, woken.set)
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), _TICK)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listener in self.servers:
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        with suppress(TimeoutError):
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                while self.server_state.connections:  # noqa: ASYNC110  # uvicorn tells nobody when the last is gone
                    await asyncio.sleep(_MOMENT)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._wake()

    def stop(self) -> None:
        """End the server, from any thread."""
        self.should_exit = True
        self._wake()
