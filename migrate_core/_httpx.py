"""The default transport. The only module that imports httpx and httpcore.

httpx's own defaults leave doors open that are closed here: redirects, cookies and ``.netrc`` are off, the environment
counts only when it is asked to, answers are capped on the wire and decoded, and no log record carries a header or a
query. Its time limits hold per read; ours hold for the whole exchange, see `_TimedStream`. Its pools are not used;
who gets which connection is settled in `_lanes.py`.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import hashlib
import http.cookiejar
import logging
import math
import os
import re
import socket
import ssl
import threading
import time
import urllib.request
import warnings
import zlib
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

import httpcore
import httpx

from migrate_core._lanes import AsyncLanes, Lanes
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
    """Sends over lanes that threads share."""

    def __init__(self, options: TransportOptions) -> None:
        self._options = options
        self._client = httpx.Client(transport=_OverLanes(), **_client_settings())
        self._urls = {name: _url(origin) for name, origin in options.endpoints.items()}
        self._lanes = {name: _lanes(options, origin) for name, origin in options.endpoints.items()}

    def send(self, request: Request, deadline: Deadline) -> Response:
        """Send one request, as `Transport.send` says."""
        exchange = _Exchange(request, deadline, self._options)
        message = exchange.message(self._client, self._urls[request.endpoint], exchange.trace)
        restore = _until.set(exchange.until)
        try:
            with exchange.failures_named(), self._lanes[request.endpoint].lane(exchange.until) as exchange.lane:
                response = self._client.send(message, stream=True)
                try:
                    for chunk in response.iter_raw():
                        exchange.receive(chunk)
                finally:
                    response.close()
        finally:
            _until.reset(restore)
        return exchange.response(response)

    def close(self) -> None:
        """Close the connections; those in use when their calls are over."""
        for lanes in self._lanes.values():
            lanes.close()


class AsyncHttpxTransport:
    """Sends over lanes of one event loop."""

    def __init__(self, options: TransportOptions) -> None:
        self._options = options
        self._client = httpx.AsyncClient(transport=_OverAsyncLanes(), **_client_settings())
        self._urls = {name: _url(origin) for name, origin in options.endpoints.items()}
        self._lanes = {name: _async_lanes(options, origin) for name, origin in options.endpoints.items()}

    async def send(self, request: Request, deadline: Deadline) -> Response:
        """Send one request, as `Transport.send` says."""
        exchange = _Exchange(request, deadline, self._options)
        message = exchange.message(self._client, self._urls[request.endpoint], exchange.atrace)
        with exchange.failures_named():
            async with asyncio.timeout(exchange.seconds), self._lanes[request.endpoint].lane() as exchange.lane:
                response = await self._client.send(message, stream=True)
                try:
                    async for chunk in response.aiter_raw():
                        exchange.receive(chunk)
                finally:
                    await response.aclose()
        return exchange.response(response)

    async def close(self) -> None:
        """Close the connections; those in use when their calls are over."""
        for lanes in self._lanes.values():
            await lanes.close()


class _Exchange:
    """One request and its answer: what both transports do alike."""

    def __init__(self, request: Request, deadline: Deadline, options: TransportOptions) -> None:
        remaining = deadline.remaining()
        self.seconds = None if remaining == math.inf else remaining
        self.until = time.monotonic() + remaining
        self.lane: Any = None
        self._request = request
        self._options = options
        self._sent = False
        self._body = bytearray()

    def message(self, client: httpx.Client | httpx.AsyncClient, origin: httpx.URL, trace: Any) -> httpx.Request:
        return client.build_request(
            self._request.method,
            # The URL is ours to the last byte: host from the options, target encoded by Request.
            origin.copy_with(raw_path=self._request.target.encode("ascii")),
            # Blanks around a value are no part of it; left there, they fail with the value in the message.
            headers={name: value.strip() for name, value in self._request.headers.items()},
            content=self._request.body or None,
            timeout=None,  # our limits are for the whole exchange
            extensions={"trace": trace, "exchange": self},
        )

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Note what was opened, and when the request leaves."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self.lane.stream = info["return_value"]
        elif event.endswith("send_request_headers.started"):
            self._sent = self._sent or info["request"].method != b"CONNECT"

    async def atrace(self, event: str, info: Mapping[str, Any]) -> None:
        self.trace(event, info)

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


def _lanes(options: TransportOptions, origin: str) -> Lanes[_Lane]:
    pool = httpcore.ConnectionPool(network_backend=_TimedBackend(), **_connection_settings(options, origin))
    return Lanes(lambda: _Lane(pool.create_connection(_origin(origin))), _CONNECTIONS, _IDLE_SECONDS)


def _async_lanes(options: TransportOptions, origin: str) -> AsyncLanes[_AsyncLane]:
    pool = httpcore.AsyncConnectionPool(**_connection_settings(options, origin))
    return AsyncLanes(lambda: _AsyncLane(pool.create_connection(_origin(origin))), _CONNECTIONS, _IDLE_SECONDS)


def _connection_settings(options: TransportOptions, origin: str) -> dict[str, Any]:
    """Settle how connections are made; httpcore's pool is asked for nothing else: it knows all kinds of proxies."""
    return {
        "ssl_context": _tls(options) if origin.startswith("https:") else None,
        "proxy": _proxy(origin) if options.trust_env else None,
    }


def _url(origin: str) -> httpx.URL:
    try:
        url = httpx.URL(origin)
        url.host.isascii()  # it is decoded when somebody asks for it, and that can fail
    except (httpx.InvalidURL, UnicodeError) as error:
        raise ConfigurationError(f"{origin} has no host name that can be looked up: {error}") from error
    return url


def _origin(origin: str) -> httpcore.Origin:
    url = _url(origin)
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=b"/").origin


def _tls(options: TransportOptions) -> ssl.SSLContext:
    """Give the context for whom these options trust, one for all clients of the process.

    A file of authorities that has changed makes another one.
    """
    if options.thumbprint:
        return _shared(_pinned, options.thumbprint)
    if options.verify is False:
        warnings.warn("TLS certificates are not verified (verify=False)", stacklevel=2)
        return _shared(_unverified)
    named = [options.verify] if isinstance(options.verify, str) else map(os.environ.get, _AUTHORITIES)
    try:
        return _shared(_verified, options.verify, options.trust_env, *map(_identity, filter(None, named)))
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"{options.verify!r} cannot be read as a CA bundle: {error}") from error


_AUTHORITIES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_making = threading.Lock()


def _shared(make: Callable[..., ssl.SSLContext], *given: Any) -> ssl.SSLContext:
    with _making:  # which the cache alone does not do: two threads would make two
        return _made(make, *given)


@functools.lru_cache
def _made(make: Callable[..., ssl.SSLContext], *given: Any) -> ssl.SSLContext:
    """Make a context that threads can share: httpcore sets its protocols anew for each connection."""
    context = make(*given)
    context.set_alpn_protocols(["http/1.1"])
    context.set_alpn_protocols = lambda alpn_protocols: None  # type: ignore[method-assign]
    return context


class _Socket(ssl.SSLSocket):
    """Closes itself when Ctrl-C ends its handshake: by then nobody else has it."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


def _verified(authorities: bool | str, trust_env: bool, *_: Any) -> ssl.SSLContext:
    if isinstance(authorities, str):
        context = ssl.create_default_context(cafile=authorities)
    else:
        context = httpx.create_ssl_context(trust_env=trust_env)
    context.sslsocket_class = _Socket
    return context


def _identity(path: str) -> Any:
    """Give what changes when the file of that name does."""
    try:
        found = os.stat(path)
    except OSError:
        return path  # whoever reads it says what is wrong
    return path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.sslsocket_class = _Socket
    return context


def _pinned(thumbprint: str) -> ssl.SSLContext:
    """Trust one certificate in place of a chain; it is checked in the handshake, so before anything is sent."""

    def check(certificate: bytes | None) -> None:
        found = hashlib.sha256(certificate or b"").hexdigest()
        if found != thumbprint:
            text = f"the server's certificate has the thumbprint {found}, not the one set"
            raise ssl.SSLCertVerificationError(ssl.SSL_ERROR_SSL, text)

    class PinnedSocket(_Socket):
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
    tls = _shared(httpcore.default_ssl_context) if address.url.scheme == "https" else None
    return httpcore.Proxy(url=str(address.url), auth=address.raw_auth, ssl_context=tls)


_until: contextvars.ContextVar[float] = contextvars.ContextVar("until", default=math.inf)
"""When the exchange of the calling thread is over, by `time.monotonic`."""


def _left() -> float | None:
    """Tell how many seconds are left of the exchange."""
    remaining = _until.get() - time.monotonic()
    if remaining <= 0:
        raise httpcore.ReadTimeout("the deadline passed")
    return None if remaining == math.inf else remaining


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
        # Address by address: left to the system's own loop, each silent one would get the whole time.
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for left, (*_, address) in zip(range(len(addresses), 0, -1), addresses, strict=True):
            limit = _left()
            share = limit / left if limit else None
            try:
                stream = self._backend.connect_tcp(str(address[0]), port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if left == 1:
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
        return bool(self.connection.is_available() and not self.connection.has_expired())


class _Lane(_Connection):
    def close(self) -> None:
        if self.stream:
            self.stream.close()


class _AsyncLane(_Connection):
    async def close(self) -> None:
        if self.stream:
            await self.stream.aclose()


class _OverLanes(httpx.BaseTransport):
    """Sends each request over the lane of its exchange, as an httpx transport."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = request.extensions["exchange"].lane.connection.handle_request(_core_request(request))
        return _Answer(answer.status, headers=answer.headers, stream=_Body(answer))


class _OverAsyncLanes(httpx.AsyncBaseTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await request.extensions["exchange"].lane.connection.handle_async_request(_core_request(request))
        return _Answer(answer.status, headers=answer.headers, stream=_AsyncBody(answer))


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


class _AsyncBody(httpx.AsyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._answer.aiter_stream())

    async def aclose(self) -> None:
        await self._answer.aclose()


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
