"""The transport of the extra ``fast``: what the default one does, for about half of what it costs.

Threads send over plain sockets, see `_fast_sync.py`; event loops send by aiohttp, see `_fast_async.py`. This module
knows where an endpoint is and how it is reached, for both. Neither half is loaded before it is used: aiohttp takes
longer to load than a hundred calls take.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TypeAlias
from urllib.parse import urlsplit

import attrs

from migrate_core import _tls
from migrate_core._exchange import Exchange
from migrate_core._proxies import Proxy, proxy_for
from migrate_core.errors import ConfigurationError
from migrate_core.transports import AsyncTransport, Transport, TransportOptions

Fields: TypeAlias = Sequence[tuple[bytes, bytes]]

_PORTS = {"http": 80, "https": 443}
_MOST_HEAD = 100 * 1024
"""How long all headers of an answer may be together; as much as the default transport takes."""

_WORD = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_NAME = re.compile(_WORD)
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9]\d\d)(?: ([^\r\n]*))?\r?\n")
_FIELD = re.compile(rb"(" + _WORD.encode() + rb"):[ \t]*([^\0\r\n]*?)[ \t]*\r?\n")
_FOLDED = re.compile(rb"[ \t]+([^\0\r\n]*?)[ \t]*\r?\n")


class FastTransports:
    """Opens this transport."""

    @staticmethod
    def open(options: TransportOptions) -> Transport:
        """Open it for threads."""
        from migrate_core._fast_sync import FastTransport

        return FastTransport(options)

    @staticmethod
    def open_async(options: TransportOptions) -> AsyncTransport:
        """Open it for an event loop."""
        from migrate_core._fast_async import AsyncFastTransport

        return AsyncFastTransport(options)


@attrs.frozen
class Place:
    """Where a connection leads to.

    Attributes:
        host: a name that can be looked up, or an address.
        port: the port.
        tls: the context of TLS, if it is spoken there.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None


class Way:
    """How an endpoint is reached.

    Attributes:
        authority: what the header ``Host`` says.
        there: where the endpoint is.
        near: where to connect: there, or to a proxy.
        tunnel: what to ask the proxy first, empty if nothing.
        origin: scheme, host and port, as a URL begins.
        prefix: what stands before a target, the origin if a proxy reads the request.
        login: headers for a proxy that reads the request.
    """

    def __init__(self, options: TransportOptions, origin: str) -> None:
        self.there = _place(origin, _tls.context_for(options) if origin.startswith("https:") else None)
        self.authority = _authority(self.there, known=origin.partition(":")[0])
        self.origin = f"{'https' if self.there.tls else 'http'}://{self.authority}"
        self.near, self.tunnel = self.there, b""
        self.prefix = ""
        self.login: Sequence[tuple[str, str]] = ()
        if proxy := proxy_for(origin) if options.trust_env else None:
            self._through(proxy)

    def _through(self, proxy: Proxy) -> None:
        if proxy.url.startswith("socks"):
            raise ConfigurationError(
                "the environment names a SOCKS proxy, which this transport cannot use; transport='httpx' can"
            )
        self.near = _place(proxy.url, _tls.for_proxies() if proxy.url.startswith("https:") else None)
        login = _login(proxy)
        if self.there.tls:
            whole = _authority(self.there)
            lines = [f"CONNECT {whole} HTTP/1.1", f"Host: {whole}", *map(": ".join, login), "", ""]
            self.tunnel = "\r\n".join(lines).encode("ascii")
        else:
            self.prefix, self.login = self.origin, login


def ways(options: TransportOptions) -> Mapping[str, Way]:
    """Find the way to each endpoint.

    Raises:
        ConfigurationError: one has a host that cannot be looked up, or a proxy that cannot be used.
    """
    return {name: Way(options, origin) for name, origin in options.endpoints.items()}


class GarbledError(Exception):
    """What came is not HTTP, or what should leave would not be."""


class FastExchange(Exchange):
    """An exchange with an endpoint whose way is known."""

    failures = (*Exchange.failures, GarbledError)

    def all_headers(self, way: Way) -> Sequence[tuple[str, str]]:
        """Give all headers to send on this way.

        Raises:
            GarbledError: one has a name that none can have.
        """
        headers = (*self.headers(way.authority), *way.login)
        for name, _ in headers:
            if not _is_name(name):
                raise GarbledError(f"no header can be called {name[:64]!r}")
        return headers


@lru_cache(1024)
def _is_name(name: str) -> bool:
    return bool(_NAME.fullmatch(name))


def read_head(read_line: Callable[[int], bytes]) -> tuple[bool, int, bytes, Fields]:
    """Read the head of an answer, and refuse what does not look like one.

    Args:
        read_line: gives the next line, or as much of it as it is told to give at most.

    Returns:
        Whether it is of HTTP 1.1, the status, what the server calls it, and the headers.

    Raises:
        ConnectionError: there is none.
        GarbledError: it is no head, or is cut short, or too long.
    """
    line = read_line(_MOST_HEAD)
    if not line:
        raise ConnectionError("the server hung up without an answer")
    status = _STATUS.fullmatch(line)
    if not status:
        raise GarbledError("the answer does not begin as HTTP does")
    return status[1] == b"1", int(status[2]), status[3] or b"", read_fields(read_line)


def read_fields(read_line: Callable[[int], bytes]) -> Fields:
    """Read headers, up to the empty line after them."""
    fields: list[tuple[bytes, bytes]] = []
    room = _MOST_HEAD
    while (line := read_line(room)) not in (b"\r\n", b"\n"):
        room -= len(line)
        if field := _FIELD.fullmatch(line):
            fields.append((field[1], field[2]))
        elif fields and (more := _FOLDED.fullmatch(line)):
            name, value = fields.pop()
            fields.append((name, value + b" " + more[1]))
        else:
            raise GarbledError("the headers of the answer are malformed, too long, or cut short")
    return fields


def let_through(status: int, reason: bytes) -> None:
    """Find out whether a proxy opened the tunnel.

    Raises:
        ConnectionError: it did not.
    """
    if not 200 <= status < 300:
        raise ConnectionError(f"the proxy refuses: {status} {reason.decode('latin-1')}")


def _place(url: str, tls: ssl.SSLContext | None) -> Place:
    parts = urlsplit(url)
    try:
        return Place(_lookable(parts.hostname or ""), parts.port or _PORTS[parts.scheme], tls)
    except ValueError as error:
        raise ConfigurationError(f"{url} has no host name that can be looked up: {error}") from error


def _lookable(host: str) -> str:
    """Give a host name in the letters that name servers know."""
    if re.fullmatch(r"\d+\.\d+\.\d+\.\d+", host):
        return str(ipaddress.IPv4Address(host))
    if host.isascii() and not host.startswith("xn--"):
        return host
    import idna  # which httpx and aiohttp bring

    coded = host if host.isascii() else idna.encode(host).decode("ascii")
    idna.decode(coded)
    return coded


def _authority(place: Place, known: str = "") -> str:
    """Write host and port, the port not if the scheme is known and it is the scheme's."""
    host = f"[{place.host}]" if ":" in place.host else place.host
    return host if place.port == _PORTS.get(known) else f"{host}:{place.port}"


def _login(proxy: Proxy) -> Sequence[tuple[str, str]]:
    if not proxy.login:
        return ()
    return [("Proxy-Authorization", f"Basic {b64encode(':'.join(proxy.login).encode()).decode()}")]
