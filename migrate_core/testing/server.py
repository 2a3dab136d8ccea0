"""The door with a socket: a simulator on a loopback TCP port."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from migrate_core.testing.simulator import Simulator

__all__ = ["bind", "configured", "serve"]

HOST = "127.0.0.1"


def bind(port: int = 0) -> socket.socket:
    """Take a loopback port; any free one for 0."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError:
        listener.close()
        raise
    return listener


def configured(simulator: Simulator) -> uvicorn.Config:
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
    server = _Server(configured(simulator))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name=f"{simulator.name} simulator")
    thread.start()
    server.ready.wait()
    simulator.endpoint = f"http://{HOST}:{listener.getsockname()[1]}"
    try:
        yield simulator.endpoint
    finally:
        simulator.endpoint = before
        server.should_exit = True
        thread.join()
        listener.close()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, *args: Any, **kwargs: Any) -> None:
        try:
            await super().startup(*args, **kwargs)
        finally:
            self.ready.set()
