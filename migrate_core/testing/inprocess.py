"""The door without a socket: a transport that calls an ASGI application directly."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any
from urllib.parse import urlsplit

from migrate_core.clock import Deadline
from migrate_core.errors import DeadlineExceededError
from migrate_core.provider import Request, Response
from migrate_core.transports import AsyncTransport, Transport, TransportOptions

__all__ = ["ASGIApp", "InProcess"]

ASGIApp = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


class InProcess:
    """A transport factory for an ASGI application, such as a simulator.

    Args:
        app: the application. For the synchronous client it must not wait for anything, as simulators do not.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def open(self, options: TransportOptions) -> Transport:
        """Open the transport for threads."""
        return _Transport(self._app, options)

    def open_async(self, options: TransportOptions) -> AsyncTransport:
        """Open the transport for an event loop."""
        return _AsyncTransport(self._app, options)


class _Transport:
    def __init__(self, app: ASGIApp, options: TransportOptions) -> None:
        self._app = app
        self._options = options

    def send(self, request: Request, deadline: Deadline) -> Response:
        return _in_time(_finish(_exchange(self._app, request, self._options.endpoints[request.endpoint])), deadline)

    def close(self) -> None:
        """Nothing is open."""


class _AsyncTransport:
    def __init__(self, app: ASGIApp, options: TransportOptions) -> None:
        self._app = app
        self._options = options

    async def send(self, request: Request, deadline: Deadline) -> Response:
        return _in_time(await _exchange(self._app, request, self._options.endpoints[request.endpoint]), deadline)

    async def close(self) -> None:
        """Nothing is open."""


def _in_time(answer: Response, deadline: Deadline) -> Response:
    """Give an answer that came in time, by the clock that the deadline is measured with."""
    if deadline.remaining() <= 0:
        raise DeadlineExceededError("the time was over, no answer came", sent=True)
    return answer


def _finish(coroutine: Coroutine[Any, Any, Response]) -> Response:
    """Run a coroutine that never waits, without an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]  # StopIteration is not generic
    coroutine.close()
    raise RuntimeError("the application waits for something; serve it over TCP, or use the asynchronous client")


async def _exchange(app: ASGIApp, request: Request, origin: str) -> Response:
    parts = urlsplit(origin)
    path, _, query = request.target.partition("?")
    headers = {"host": parts.netloc, "content-length": str(len(request.body)), **request.headers}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": parts.scheme,
        "path": path,
        "raw_path": path.encode("ascii"),
        "query_string": query.encode("ascii"),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": (parts.hostname, parts.port),
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": request.body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start = next(message for message in sent if message["type"] == "http.response.start")
    return Response(
        status=start["status"],
        headers={name.decode("latin-1").lower(): value.decode("latin-1") for name, value in start["headers"]},
        body=b"".join(message.get("body", b"") for message in sent if message["type"] == "http.response.body"),
    )
