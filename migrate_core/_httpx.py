"""The default transport. The only module that imports httpx and httpcore.

httpx's client costs more per call than all else that a call does, and of what it adds nothing is wanted here:
redirects, cookies, ``.netrc`` and content decoding are ours or off. So requests go straight to httpcore, the transport
inside httpx. Its time limits hold per read; ours hold for the whole exchange, see `_TimedStream`. Its pools are not
used; who gets which connection is settled in `_lanes.py`.
"""

from __future__ import annotations

import contextvars
import logging
import math
import re
import ssl
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import Any

import httpcore
import httpx

from migrate_core import _exchange, _timed, _tls
from migrate_core._exchange import Exchange
from migrate_core._lanes import AsyncLanes, Lanes
from migrate_core._proxies import proxy_for
from migrate_core.clock import Deadline
from migrate_core.errors import ConfigurationError
from migrate_core.provider import Request, Response
from migrate_core.transports import TransportOptions

_SLICE = 16 * 1024


class HttpxTransports:
    """Opens the default transport."""

    @staticmethod
    def open(options: TransportOptions) -> HttpxTransport:
        """Open it for threads."""
        return HttpxTransport(options)

    @staticmethod
    def open_async(options: TransportOptions) -> AsyncHttpxTransport:
        """Open it for an event loop."""
        return AsyncHttpxTransport(options)


class HttpxTransport:
    """Sends over lanes that threads share."""

    def __init__(self, options: TransportOptions) -> None:
        self._options = options
        self._hosts = {name: _Host(origin) for name, origin in options.endpoints.items()}
        self._lanes = {name: _lanes(options, host) for name, host in self._hosts.items()}

    def send(self, request: Request, deadline: Deadline) -> Response:
        """Send one request, as `Transport.send` says."""
        exchange = _Exchange(request, deadline, self._options)
        restore = _until.set(exchange.until)
        try:
            with exchange, self._lanes[request.endpoint].lane(exchange.until) as lane:
                message = exchange.message(self._hosts[request.endpoint], lane, exchange.trace)
                answer = lane.connection.handle_request(message)
                try:
                    for chunk in answer.iter_stream():
                        exchange.receive(chunk)
                finally:
                    answer.close()
        finally:
            _until.reset(restore)
        return exchange.response(answer.status, answer.headers)

    def close(self) -> None:
        """Close the connections; those in use when their calls are over."""
        for lanes in self._lanes.values():
            lanes.close()


class AsyncHttpxTransport:
    """Sends over lanes of one event loop."""

    def __init__(self, options: TransportOptions) -> None:
        self._options = options
        self._hosts = {name: _Host(origin) for name, origin in options.endpoints.items()}
        self._lanes = {name: _async_lanes(options, host) for name, host in self._hosts.items()}

    async def send(self, request: Request, deadline: Deadline) -> Response:
        """Send one request, as `Transport.send` says."""
        import asyncio  # threads do without it

        exchange = _Exchange(request, deadline, self._options)
        with exchange:
            async with asyncio.timeout(exchange.seconds), self._lanes[request.endpoint].lane() as lane:
                message = exchange.message(self._hosts[request.endpoint], lane, exchange.atrace)
                answer = await lane.connection.handle_async_request(message)
                try:
                    async for chunk in answer.aiter_stream():
                        exchange.receive(chunk)
                finally:
                    await answer.aclose()
        return exchange.response(answer.status, answer.headers)

    async def close(self) -> None:
        """Close the connections; those in use when their calls are over."""
        for lanes in self._lanes.values():
            await lanes.close()


class _Exchange(Exchange):
    never_sent = (
        httpcore.ConnectError,
        httpcore.ConnectTimeout,
        httpcore.ProxyError,
        httpcore.UnsupportedProtocol,
        httpcore.LocalProtocolError,
    )
    failures = (
        *Exchange.failures,  # one of them is TLS that breaks after the handshake, which httpcore passes on in asyncio
        httpcore.NetworkError,
        httpcore.ProtocolError,
        httpcore.ProxyError,
        httpcore.UnsupportedProtocol,
    )
    late = (*Exchange.late, httpcore.TimeoutException)

    def message(self, host: _Host, lane: _Connection, trace: Any) -> httpcore.Request:
        """Make the request for a lane; one that connects first tells how far it came."""
        self._lane = lane
        self.sent = lane.stream is not None
        return httpcore.Request(
            self.request.method,
            # The URL is ours to the last byte: host from the options, target encoded by Request.
            host.url(self.request.target),
            headers=self.headers(host.authority),
            content=self.request.body,
            extensions={} if self.sent else {"trace": trace},
        )

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Note what was opened, and when the request leaves."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._lane.stream = info["return_value"]
        elif event.endswith("send_request_headers.started"):
            self.sent = self.sent or info["request"].method != b"CONNECT"

    async def atrace(self, event: str, info: Mapping[str, Any]) -> None:
        self.trace(event, info)


class _Host:
    """Where an endpoint is, in the forms in which requests name it."""

    def __init__(self, origin: str) -> None:
        try:
            url = httpx.URL(origin)
            url.host.isascii()  # it is decoded when somebody asks for it, and that can fail
        except (httpx.InvalidURL, UnicodeError) as error:
            raise ConfigurationError(f"{origin} has no host name that can be looked up: {error}") from error
        self.origin, self.authority = origin, url.netloc.decode("ascii")
        self._scheme, self._host, self._port = url.raw_scheme, url.raw_host, url.port

    def url(self, target: str) -> httpcore.URL:
        """Give the URL of a target."""
        return httpcore.URL(scheme=self._scheme, host=self._host, port=self._port, target=target.encode("ascii"))


def _lanes(options: TransportOptions, host: _Host) -> Lanes[_Lane]:
    pool = httpcore.ConnectionPool(network_backend=_TimedBackend(), **_connection_settings(options, host.origin))
    there = host.url("/").origin
    return Lanes(lambda: _Lane(pool.create_connection(there)), _exchange.MOST_CONNECTIONS, _exchange.IDLE_SECONDS)


def _async_lanes(options: TransportOptions, host: _Host) -> AsyncLanes[_AsyncLane]:
    pool = httpcore.AsyncConnectionPool(**_connection_settings(options, host.origin))
    there = host.url("/").origin
    return AsyncLanes(
        lambda: _AsyncLane(pool.create_connection(there)), _exchange.MOST_CONNECTIONS, _exchange.IDLE_SECONDS
    )


def _connection_settings(options: TransportOptions, origin: str) -> dict[str, Any]:
    """Settle how connections are made; httpcore's pool is asked for nothing else: it knows all kinds of proxies."""
    return {
        "ssl_context": _tls.context_for(options) if origin.startswith("https:") else None,
        "proxy": _proxy(origin) if options.trust_env else None,
    }


def _proxy(origin: str) -> httpcore.Proxy | None:
    proxy = proxy_for(origin)
    if proxy is None:
        return None
    if proxy.url.startswith("socks") and not find_spec("socksio"):
        raise ConfigurationError("the environment names a SOCKS proxy, which needs: pip install 'httpx[socks]'")
    tls = _tls.for_proxies() if proxy.url.startswith("https:") else None
    return httpcore.Proxy(url=proxy.url, auth=proxy.login, ssl_context=tls)


_until: contextvars.ContextVar[float] = contextvars.ContextVar("until", default=math.inf)
"""When the exchange of the calling thread is over, by `time.monotonic`."""


def _left() -> float | None:
    """Tell how many seconds are left of the exchange of the calling thread."""
    return _timed.left(_until.get())


class _TimedStream(httpcore.NetworkStream):
    """A stream that no operation holds beyond the end of the exchange.

    A server that sends one byte a second never trips a limit per read; here each read gets what is left of the whole.
    """

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # In slices: each holds the limit anew, and a server that drinks slowly could stretch one big write for ever.
        for start in range(0, len(buffer), _SLICE):
            self._stream.write(buffer[start : start + _SLICE], _left())

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, _left()))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def close(self) -> None:
        self._stream.close()


class _TimedBackend(httpcore.NetworkBackend):
    """Opens such streams."""

    def __init__(self) -> None:
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        for address, share, last in _timed.shares(host, port, _until.get()):
            try:
                stream = self._backend.connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if last:
                    raise
            else:
                return _TimedStream(stream)
        raise httpcore.ConnectError("the name has no address")


class _Connection:
    """One connection of httpcore, and the stream that it goes over: httpcore forgets the one of a failed handshake."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.stream: Any = None

    def usable(self) -> bool:
        return bool(self.connection.is_available() and not self.connection.has_expired() and not self._leftover())

    def _leftover(self) -> bool:
        """Tell whether more came with the answer than belongs to it: it would be the answer to the next request."""
        inner = self.connection
        while hasattr(inner, "_connection"):
            inner = inner._connection
        return bool(inner._h11_state.trailing_data[0])


class _Lane(_Connection):
    def close(self) -> None:
        if self.stream:
            self.stream.close()


class _AsyncLane(_Connection):
    async def close(self) -> None:
        if self.stream:
            await self.stream.aclose()


class _Redaction(logging.Filter):
    """Takes queries, header values and what cannot be read out of the HTTP library's own log records."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = re.sub(r"(https?://[^\s'\"?]+)\?[^\s'\"]*", r"\1?***", record.getMessage())
        record.msg = re.sub(r"\[\(b'.*\)\]|auth=\(b.*\)|bytearray\(b.*\)", "***", text)
        record.args = ()
        return True


for _name in ("httpcore.connection", "httpcore.http11", "httpcore.http2", "httpcore.proxy", "httpcore.socks"):
    logging.getLogger(_name).addFilter(_Redaction())
