"""The default transport. The only module that imports httpx and httpcore.

httpx's own defaults leave doors open that are closed here: redirects, cookies and ``.netrc`` are off, the environment
counts only when it is asked to, answers are capped on the wire and decoded, and no log record carries a header or a
query. Its time limits hold per read; ours hold for the whole exchange, see `_TimedStream`.
"""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import http.cookiejar
import logging
import math
import re
import socket
import ssl
import time
import urllib.request
import warnings
import zlib
from collections.abc import AsyncIterator, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

import httpcore
import httpx

from migrate_core.clock import Deadline
from migrate_core.errors import (
    ConfigurationError,
    DeadlineExceededError,
    MalformedResponseError,
    RequestNotSentError,
    ResponseLostError,
    TransportError,
)
from migrate_core.provider import LOOPBACK, Request, Response
from migrate_core.transports import TransportOptions

_CONNECTIONS = 100
_IDLE_SECONDS = 30.0
_SLICE = 16 * 1024
_USER_AGENT = f"migrate-core/{version('migrate-core')}"

_NEVER_SENT = (
    httpcore.ConnectError,
    httpcore.ConnectTimeout,
    httpcore.PoolTimeout,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
    httpcore.LocalProtocolError,
)
_FAILURES = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
    OSError,  # TLS that breaks after the handshake, which httpcore passes through in asyncio
    UnicodeError,  # a host that no name server can be asked for
)


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
    """Sends with a pool of connections that threads share."""

    def __init__(self, options: TransportOptions) -> None:
        self._options = options
        self._clients = {
            name: httpx.Client(transport=_Pool(_pool_settings(options, origin)), **_client_settings())
            for name, origin in options.endpoints.items()
        }

    def send(self, request: Request, deadline: Deadline) -> Response:
        """Send one request, as `Transport.send` says."""
        exchange = _Exchange(request, deadline, self._options)
        client = self._clients[request.endpoint]
        restore = _until.set(exchange.until)
        try:
            message = exchange.message(client, exchange.trace)
            with exchange.failures_named():
                response = client.send(message, stream=True)
                try:
                    for chunk in response.iter_raw():
                        exchange.receive(chunk)
                finally:
                    response.close()
            return exchange.response(response)
        finally:
            _until.reset(restore)

    def close(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            client.close()


class AsyncHttpxTransport:
    """Sends with a pool of connections of one event loop."""

    def __init__(self, options: TransportOptions) -> None:
        self._options = options
        self._clients = {
            name: httpx.AsyncClient(transport=_AsyncPool(_pool_settings(options, origin)), **_client_settings())
            for name, origin in options.endpoints.items()
        }

    async def send(self, request: Request, deadline: Deadline) -> Response:
        """Send one request, as `Transport.send` says."""
        exchange = _Exchange(request, deadline, self._options)
        client = self._clients[request.endpoint]
        message = exchange.message(client, exchange.atrace)
        with exchange.failures_named():
            async with asyncio.timeout(exchange.seconds):
                response = await client.send(message, stream=True)
                try:
                    async for chunk in response.aiter_raw():
                        exchange.receive(chunk)
                finally:
                    await response.aclose()
        return exchange.response(response)

    async def close(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            await client.aclose()


class _Exchange:
    """One request and its answer: what both transports do alike."""

    def __init__(self, request: Request, deadline: Deadline, options: TransportOptions) -> None:
        remaining = deadline.remaining()
        self.seconds = None if remaining == math.inf else remaining
        self.until = time.monotonic() + remaining
        self._request = request
        self._options = options
        self._sent = False
        self._stream: Any = None
        self._body = bytearray()

    def message(self, client: httpx.Client | httpx.AsyncClient, trace: Any) -> httpx.Request:
        # The URL is ours to the last byte: host from the options, target encoded by Request.
        url = httpx.URL(self._options.endpoints[self._request.endpoint]).copy_with(
            raw_path=self._request.target.encode("ascii")
        )
        return client.build_request(
            self._request.method,
            url,
            # Blanks around a value are no part of it; left there, they fail with the value in the message.
            headers={name: value.strip() for name, value in self._request.headers.items()},
            content=self._request.body or None,
            timeout=self.seconds,
            extensions={"trace": trace},
        )

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Note when the request leaves; close a connection whose TLS handshake fails or is cut short."""
        if self._abandons(event, info):
            self._stream.close()

    async def atrace(self, event: str, info: Mapping[str, Any]) -> None:
        """Do as `trace` does: httpcore forgets a connection that is cancelled in its handshake."""
        if self._abandons(event, info):
            await self._stream.aclose()

    def _abandons(self, event: str, info: Mapping[str, Any]) -> bool:
        if event.endswith("connect_tcp.complete"):
            self._stream = info["return_value"]
        elif event.endswith("send_request_headers.started"):
            self._sent = self._sent or info["request"].method != b"CONNECT"
        return event.endswith("start_tls.failed") and self._stream is not None

    def receive(self, chunk: bytes) -> None:
        self._body += chunk
        if len(self._body) > self._options.max_body_bytes:
            raise MalformedResponseError(f"the answer is larger than {self._options.max_body_bytes} bytes")

    def response(self, response: httpx.Response) -> Response:
        headers = {name.lower(): value for name, value in response.headers.items()}
        try:
            body = _decoded(bytes(self._body), headers.get("content-encoding", ""), self._options.max_body_bytes)
        except MalformedResponseError:
            if response.status_code < 400:
                raise
            body = b""  # an error says enough by its status
        return Response(status=response.status_code, headers=headers, body=body)

    @contextmanager
    def failures_named(self) -> Generator[None]:
        """Raise the failures of the HTTP library as ours."""
        try:
            yield
        except BaseException as error:
            failure = self._failure(error)
            if failure:
                raise failure from error
            raise

    def _failure(self, error: BaseException) -> TransportError | None:
        """Name a failure of the HTTP library in our words: did the request leave, was the time over?"""
        where, why = self._options.endpoints[self._request.endpoint], str(error) or type(error).__name__
        late = isinstance(error, TimeoutError | httpcore.TimeoutException)
        if late and time.monotonic() >= self.until - 0.001:
            state = "no answer came" if self._sent else "it could not be sent"
            return DeadlineExceededError(f"{where}: the time was over, {state}", sent=self._sent)
        if isinstance(error, _NEVER_SENT) or (isinstance(error, _FAILURES) and not self._sent):
            return RequestNotSentError(f"{where} cannot be reached: {why}")
        if isinstance(error, _FAILURES) or late:
            return ResponseLostError(f"{where}: the answer was lost: {why}")
        return None


def _client_settings() -> dict[str, Any]:
    no_cookies = http.cookiejar.CookieJar(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    return {
        "headers": {"user-agent": _USER_AGENT, "accept": "application/json", "accept-encoding": "gzip"},
        "cookies": no_cookies,
        "follow_redirects": False,
        "trust_env": False,
    }


def _decoded(body: bytes, encoding: str, limit: int) -> bytes:
    """Undo at most one compression, never beyond `limit` bytes: a small answer can hide a huge one."""
    if not body or encoding.strip().lower() in ("", "identity"):
        return body
    if encoding.strip().lower() != "gzip":
        raise MalformedResponseError(f"the answer is encoded as {encoding!r}, which nobody asked for")
    decoder = zlib.decompressobj(wbits=31)
    try:
        decoded = decoder.decompress(body, limit + 1)
    except zlib.error as error:
        raise MalformedResponseError(f"the answer is no valid gzip: {error}") from error
    if len(decoded) > limit:
        raise MalformedResponseError(f"the answer is larger than {limit} bytes")
    if not decoder.eof:
        raise MalformedResponseError("the compressed answer ends too soon")
    return decoded


def _pool_settings(options: TransportOptions, origin: str) -> dict[str, Any]:
    return {
        "ssl_context": _tls(options) if origin.startswith("https:") else None,
        "proxy": _proxy(origin) if options.trust_env else None,
        "max_connections": _CONNECTIONS,
        "max_keepalive_connections": _CONNECTIONS,
        "keepalive_expiry": _IDLE_SECONDS,
    }


def _tls(options: TransportOptions) -> ssl.SSLContext:
    if options.thumbprint:
        return _pinned(options.thumbprint)
    if options.verify is False:
        warnings.warn("TLS certificates are not verified (verify=False)", stacklevel=2)
        return _unverified()
    try:
        if isinstance(options.verify, str):
            return ssl.create_default_context(cafile=options.verify)
        return httpx.create_ssl_context(trust_env=options.trust_env)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"{options.verify!r} cannot be read as a CA bundle: {error}") from error


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _pinned(thumbprint: str) -> ssl.SSLContext:
    """Trust one certificate in place of a chain; it is checked in the handshake, so before anything is sent."""

    def check(certificate: bytes | None) -> None:
        found = hashlib.sha256(certificate or b"").hexdigest()
        if found != thumbprint:
            text = f"the server's certificate has the thumbprint {found}, not the one set"
            raise ssl.SSLCertVerificationError(ssl.SSL_ERROR_SSL, text)

    class PinnedSocket(ssl.SSLSocket):
        def do_handshake(self, block: bool = False) -> None:
            super().do_handshake(block)
            check(self.getpeercert(binary_form=True))

    class PinnedObject(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            check(self.getpeercert(binary_form=True))

    context = _unverified()
    context.sslsocket_class, context.sslobject_class = PinnedSocket, PinnedObject
    return context


def _proxy(origin: str) -> httpcore.Proxy | None:
    """Find the environment's proxy for an origin, by the rules of the standard library; never for this machine."""
    parts = urlsplit(origin)
    if parts.hostname in LOOPBACK:
        return None
    proxies = urllib.request.getproxies()
    url = proxies.get(parts.scheme) or proxies.get("all")
    if not url or any(map(urllib.request.proxy_bypass, (parts.hostname or "", parts.netloc))):
        return None
    try:
        address = httpx.Proxy(url if "://" in url else f"http://{url}")
    except (ValueError, httpx.InvalidURL):
        # Not `from error`: the URL may hold a password.
        raise ConfigurationError(f"the environment's proxy for {parts.scheme} has no usable URL") from None
    if address.url.scheme.startswith("socks") and not find_spec("socksio"):
        raise ConfigurationError("the environment names a SOCKS proxy, which needs: pip install 'httpx[socks]'")
    return httpcore.Proxy(url=str(address.url), auth=address.raw_auth)


_until: contextvars.ContextVar[float] = contextvars.ContextVar("until", default=math.inf)
"""When the exchange of the calling thread is over, by `time.monotonic`."""


def _clipped(timeout: float | None) -> float | None:
    remaining = _until.get() - time.monotonic()
    if remaining <= 0:
        raise httpcore.ReadTimeout("the deadline passed")
    return timeout if remaining == math.inf else min(remaining, timeout or math.inf)


class _TimedStream(httpcore.NetworkStream):
    """A stream that no operation holds beyond the end of the exchange.

    A server that sends one byte a second never trips a limit per read; here each read gets what is left of the whole.
    """

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _clipped(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # In slices: each holds the limit anew, and a server that drinks slowly could stretch one big write for ever.
        for start in range(0, len(buffer), _SLICE):
            self._stream.write(buffer[start : start + _SLICE], _clipped(timeout))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, _clipped(timeout)))

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
        # Address by address: left to the system's own loop, each silent one would get the whole time.
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for left, (*_, address) in zip(range(len(addresses), 0, -1), addresses, strict=True):
            limit = _clipped(timeout)
            share = limit / left if limit else None
            try:
                stream = self._backend.connect_tcp(str(address[0]), port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if left == 1:
                    raise
            else:
                return _TimedStream(stream)
        raise httpcore.ConnectError("the name has no address")


class _Pool(httpx.BaseTransport):
    """httpcore's pool with our time limit, as an httpx transport."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        pool = _ProxiedPool if settings["proxy"] else httpcore.ConnectionPool
        self._pool = pool(network_backend=_TimedBackend(), **settings)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._pool.handle_request(_core_request(request))
        return _Answer(answer.status, headers=answer.headers, stream=_Body(answer))

    def close(self) -> None:
        self._pool.close()


class _Answer(httpx.Response):
    """An answer like any other, even if it redirects: httpx would see where to, and fail where that makes no sense."""

    @property
    def has_redirect_location(self) -> bool:
        return False


class _Body(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._answer.iter_stream())

    def close(self) -> None:
        self._answer.close()


class _AsyncPool(httpx.AsyncBaseTransport):
    """httpcore's pool for an event loop; there, a cancel scope around the exchange is the time limit."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        pool = _AsyncProxiedPool if settings["proxy"] else httpcore.AsyncConnectionPool
        self._pool = pool(**settings)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._pool.handle_async_request(_core_request(request))
        return _Answer(answer.status, headers=answer.headers, stream=_AsyncBody(answer))

    async def aclose(self) -> None:
        await self._pool.aclose()


class _AsyncBody(httpx.AsyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._answer.aiter_stream())

    async def aclose(self) -> None:
        await self._answer.aclose()


class _ProxiedPool(httpcore.ConnectionPool):
    def create_connection(self, origin: httpcore.Origin) -> Any:
        return _ProxiedConnection(super().create_connection(origin))


class _AsyncProxiedPool(httpcore.AsyncConnectionPool):
    def create_connection(self, origin: httpcore.Origin) -> Any:
        return _ProxiedConnection(super().create_connection(origin))


class _ProxiedConnection:
    """A connection that is closed when its request fails.

    httpcore leaves open the one whose TLS handshake fails behind a proxy, and it holds a place in the pool for ever.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def handle_request(self, request: httpcore.Request) -> Any:
        try:
            return self._connection.handle_request(request)
        except httpcore.ConnectionNotAvailable:
            raise
        except BaseException:
            self._connection.close()
            raise

    async def handle_async_request(self, request: httpcore.Request) -> Any:
        try:
            return await self._connection.handle_async_request(request)
        except httpcore.ConnectionNotAvailable:
            raise
        except BaseException:
            await self._connection.aclose()
            raise


def _core_request(request: httpx.Request) -> httpcore.Request:
    url = request.url
    return httpcore.Request(
        request.method,
        httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )


class _Redaction(logging.Filter):
    """Takes queries and header values out of the HTTP library's own log records."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = re.sub(r"(https?://[^\s'\"?]+)\?[^\s'\"]*", r"\1?***", record.getMessage())
        record.msg = re.sub(r"\[\(b'.*\)\]|auth=\(b.*\)", "***", text)
        record.args = ()
        return True


for _name in ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.http2", "httpcore.proxy", "httpcore.socks"):
    logging.getLogger(_name).addFilter(_Redaction())
