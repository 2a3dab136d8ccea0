"""The transport of the extra ``fast`` for event loops: aiohttp, over lanes in place of its pool.

aiohttp's own pool would close connections in use, take them in turn, and not notice what an answer leaves on one; and
its client sends some requests again by itself. So each lane has a client of its own, with one connection, which it is
given once per exchange.
"""

from __future__ import annotations

import asyncio
import functools
import io
import socket
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, TypeVar, cast

import aiohttp
from aiohappyeyeballs import AddrInfoType, start_connection
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from migrate_core import _exchange
from migrate_core._fast import FastExchange, GarbledError, Place, Way, let_through, read_head, ways
from migrate_core._lanes import AsyncLanes
from migrate_core._timed import readable
from migrate_core.clock import Deadline
from migrate_core.provider import Request, Response
from migrate_core.transports import TransportOptions

_NEXT_ADDRESS = 0.25  # seconds; RFC 8305
_HANDSHAKE = 24 * 3600.0  # ours is the time limit
_MOST_HEADER = 100 * 1024  # bytes; all together are no longer than a body may be
_MOST_HEADERS = 256
_NO_HEADERS: CIMultiDictProxy[str] = CIMultiDictProxy(CIMultiDict())
_GUESSED = ("Content-Type",)  # what aiohttp would add to a body; for the rest, `Exchange.headers` leaves no gap

P = TypeVar("P", bound=asyncio.Protocol)


class AsyncFastTransport:
    """Sends over lanes of one event loop."""

    def __init__(self, options: TransportOptions) -> None:
        self._options = options
        self._ways = ways(options)
        self._lanes = {name: _lanes(way) for name, way in self._ways.items()}

    async def send(self, request: Request, deadline: Deadline) -> Response:
        """Send one request, as `Transport.send` says."""
        exchange = _Exchange(request, deadline, self._options)
        way = self._ways[request.endpoint]
        with exchange:
            async with asyncio.timeout(exchange.seconds), self._lanes[request.endpoint].lane() as lane:
                exchange.write(way)
                await lane.connect()
                exchange.sent = True
                answer = await lane.session.request(
                    request.method,
                    URL(way.origin + request.target, encoded=True),
                    headers=exchange.fields,
                    data=io.BytesIO(request.body) if request.body else None,
                    skip_auto_headers=_GUESSED if "Content-Length" in exchange.fields else None,
                    allow_redirects=False,
                )
                try:
                    if answer.status < 200 or answer.headers.get("Transfer-Encoding", "chunked").lower() != "chunked":
                        raise GarbledError("the server does not say in plain HTTP where its answer ends")
                    while chunk := await answer.content.readany():
                        exchange.receive(chunk)
                except BaseException:
                    answer.close()
                    raise
        return exchange.response(answer.status, answer.raw_headers)

    async def close(self) -> None:
        """Close the connections; those in use when their calls are over."""
        for lanes in self._lanes.values():
            await lanes.close()


class _Exchange(FastExchange):
    """An exchange that keeps what is sent to itself: a variable would be in the traceback of a failure."""

    failures = (*FastExchange.failures, aiohttp.ClientError)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, aiohttp.ClientResponseError | aiohttp.ClientPayloadError):
            error = GarbledError("it is not HTTP, or is cut short")  # the text of theirs repeats parts of the answer
        super().__exit__(kind, error, trace)

    def write(self, way: Way) -> None:
        """Write the headers."""
        self.fields = CIMultiDict(self.all_headers(way))


def _lanes(way: Way) -> AsyncLanes[_Lane]:
    return AsyncLanes(lambda: _Lane(way), _exchange.MOST_CONNECTIONS, _exchange.IDLE_SECONDS)


class _Lane:
    """One connection, and the client that sends over it."""

    session: aiohttp.ClientSession

    def __init__(self, way: Way) -> None:
        self._way = way
        self._connection: _Connection | None = None

    async def connect(self) -> None:
        """Be ready for an exchange."""
        if not self._connection:
            self._connection = _Connection(_Connector(), *await _dialled(self._way))
            self.session = aiohttp.ClientSession(
                connector=self._connection.connector,
                proxy=self._way.prefix or None,  # a URL is all that it takes to send whole URLs
                request_class=_Request,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                auto_decompress=False,
                max_line_size=_MOST_HEADER,
                max_field_size=_MOST_HEADER,
                max_headers=_MOST_HEADERS,
            )
        self._connection.connector.ready = self._connection

    def usable(self) -> bool:
        return self._connection is not None and self._connection.usable()

    async def close(self) -> None:
        if self._connection:
            self._connection.close()
            await self.session.close()


class _Request(aiohttp.ClientRequest):
    GET_METHODS = {*aiohttp.ClientRequest.GET_METHODS, "DELETE"}  # noqa: RUF012  # what has no length without a body

    @property
    def request_info(self) -> aiohttp.RequestInfo:
        """Tell what errors and answers hold of it, which is shown: no headers."""
        return aiohttp.RequestInfo(self.url, self.method, _NO_HEADERS, self.url)


class _Connector(aiohttp.BaseConnector):
    """Gives a client the connection of its lane.

    Attributes:
        ready: the connection, until it is given.
    """

    def __init__(self) -> None:
        super().__init__(limit=1, keepalive_timeout=None)
        self.ready: _Connection | None = None

    async def connect(self, req: Any, traces: Any, timeout: Any) -> _Connection:
        """Give the connection, once per exchange."""
        # aiohttp comes back for another if a connection that was open has ended, and sends what is idempotent again.
        # A removal is, and yet the second one gives another answer: whether to repeat is not to be settled here.
        if not self.ready:
            raise aiohttp.ClientConnectionError("the server hung up without an answer")
        connection, self.ready = self.ready, None
        connection.handler.idle = False
        return connection


class _Protocol(ResponseHandler):
    """Notices what comes when nothing was asked for."""

    idle = False

    def data_received(self, data: bytes) -> None:
        if self.idle and data:  # there is none when reading goes on after a pause
            self.force_close()
        else:
            super().data_received(data)


class _Connection(Connection):
    """A connection that outlives the exchanges over it."""

    def __init__(self, connector: _Connector, transport: asyncio.Transport, handler: _Protocol) -> None:
        super().__init__(connector, cast(Any, None), handler, asyncio.get_running_loop())
        self.connector = connector
        self.handler = handler
        self._socket = transport.get_extra_info("socket")

    def usable(self) -> bool:
        """Tell whether the last answer was read whole, nothing came after it and the server has not hung up."""
        handler = self.handler
        if not handler.idle or handler.should_close or not handler.is_connected():
            return False
        return not readable(self._socket)

    def release(self) -> None:
        """Take it back."""
        self.handler.idle = True

    def close(self) -> None:
        """Close it, without a farewell of TLS, for which a server could let us wait."""
        self.handler.abort()

    def __del__(self, *_: Any) -> None:
        """Say nothing: its lane closes it."""


async def _dialled(way: Way) -> tuple[asyncio.Transport, _Protocol]:
    """Connect to where an endpoint is."""
    make = functools.partial(_Protocol, asyncio.get_running_loop())
    if not way.tunnel:
        return await _opened(way.near, make)
    transport, proxy = await _opened(way.near, functools.partial(_Asking, way.tunnel))
    try:
        await proxy.over
        let_through(*read_head(io.BytesIO(proxy.received).readline)[1:3])
        protocol, there = make(), way.there
        secured = await asyncio.get_running_loop().start_tls(
            transport, protocol, cast(Any, there.tls), server_hostname=there.host, ssl_handshake_timeout=_HANDSHAKE
        )
        if not secured:
            raise ConnectionError("the server hung up in the handshake")
    except BaseException:
        transport.abort()
        raise
    protocol.connection_made(secured)
    return secured, protocol


async def _opened(place: Place, make: Callable[[], P]) -> tuple[asyncio.Transport, P]:
    # Not by asyncio's own race of addresses: if it is cancelled when one has just won, the socket of that one is lost.
    sock = await start_connection(await _addresses(place), happy_eyeballs_delay=_NEXT_ADDRESS)
    return await asyncio.get_running_loop().create_connection(
        make,
        sock=sock,
        ssl=place.tls,
        server_hostname=place.host if place.tls else None,
        ssl_handshake_timeout=_HANDSHAKE if place.tls else None,
    )


async def _addresses(place: Place) -> Sequence[AddrInfoType]:
    try:
        return socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:  # it is a name, and looking one up takes time
        return await asyncio.get_running_loop().getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)


class _Asking(asyncio.Protocol):
    """Asks a proxy for a tunnel.

    Attributes:
        over: settled when it has answered, or hung up.
        received: what it said.
    """

    def __init__(self, request: bytes) -> None:
        self._request = request
        self.received = b""
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        self.received += data
        if b"\r\n\r\n" in self.received or len(self.received) > _MOST_HEADER:
            self._end()

    def connection_lost(self, _: Exception | None) -> None:
        self._end()

    def _end(self) -> None:
        if not self.over.done():
            self.over.set_result(None)
