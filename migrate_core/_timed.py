"""Plain sockets that nothing holds beyond a given end.

Their own time limits hold per operation, and a server that sends one byte a second never trips one. Here each
operation gets what is left of the whole.
"""

from __future__ import annotations

import io
import math
import select
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

_SLICE = 16 * 1024


def left(until: float) -> float | None:
    """Tell how many seconds are left, ``None`` where there is no end.

    Raises:
        TimeoutError: none.
    """
    remaining = until - time.monotonic()
    if remaining <= 0:
        raise TimeoutError("the deadline passed")
    return None if remaining == math.inf else remaining


def shares(host: str, port: int, until: float) -> Iterator[tuple[str, float | None, bool]]:
    """Find the addresses of a host, and give each its share of the time.

    One by one: left to the system's own loop, each silent one would get the whole time.

    Returns:
        Each address, the seconds that it may take, and whether it is the last.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for remaining, (*_, address) in zip(range(len(found), 0, -1), found, strict=True):
        limit = left(until)
        yield str(address[0]), limit / remaining if limit else None, remaining == 1


def connected(host: str, port: int, until: float) -> socket.socket:
    """Connect, address by address."""
    for address, share, last in shares(host, port, until):
        try:
            sock = socket.create_connection((address, port), share)
        except OSError:
            if last:
                raise
        else:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
    raise ConnectionError("the name has no address")


def secured(sock: Any, context: ssl.SSLContext, name: str, until: float) -> Any:
    """Speak TLS over a socket, which it takes over: if it fails, the socket is closed."""
    try:
        sock.settimeout(left(until))
        if isinstance(sock, ssl.SSLSocket):
            return _Inner(sock, context, name)
        return context.wrap_socket(sock, server_hostname=name)
    except BaseException:
        sock.close()
        raise


class Stream(io.RawIOBase):
    """What is read from and written to a socket.

    Attributes:
        until: when each operation is over, by `time.monotonic`.
    """

    def __init__(self, sock: Any, until: float) -> None:
        self.until = until
        self._sock = sock
        self._decrypted = getattr(sock, "pending", int)  # how much; without TLS nothing

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        """Read what has come, or comes first; ``None`` if there is no time at all."""
        if not self.until:
            return None
        self._sock.settimeout(left(self.until))
        received: int = self._sock.recv_into(buffer)
        return received

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        # In slices: each holds the limit anew, and a server that drinks slowly could stretch one big write for ever.
        for start in range(0, len(data), _SLICE):
            self._sock.settimeout(left(self.until))
            self._sock.sendall(data[start : start + _SLICE])

    def silent(self) -> bool:
        """Tell whether it is open and nothing has come."""
        return not self._decrypted() and not readable(self._sock)


def readable(sock: Any) -> bool:
    """Tell whether something has come, be it the end."""
    if sys.platform == "win32":
        return bool(select.select([sock], [], [], 0)[0])
    poll = select.poll()  # select() knows no more than 1024 files
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


class _Inner:
    """A socket of TLS within TLS, as behind a proxy that speaks it: the standard library knows none."""

    def __init__(self, outer: ssl.SSLSocket, context: ssl.SSLContext, name: str) -> None:
        self._outer = outer
        self._received, self._to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._received, self._to_send, server_hostname=name)
        self._do(self._tls.do_handshake)

    def recv_into(self, buffer: Any) -> int:
        try:
            received: int = self._do(lambda: self._tls.read(len(buffer), buffer))
        except ssl.SSLZeroReturnError:
            return 0
        return received

    def sendall(self, data: bytes) -> None:
        self._do(lambda: self._tls.write(data))

    def settimeout(self, seconds: float | None) -> None:
        self._outer.settimeout(seconds)

    def pending(self) -> int:
        return self._tls.pending() + self._received.pending

    def fileno(self) -> int:
        return self._outer.fileno()

    def close(self) -> None:
        self._outer.close()

    def _do(self, step: Callable[[], Any]) -> Any:
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                self._outer.sendall(self._to_send.read())
                if data := self._outer.recv(_SLICE):
                    self._received.write(data)
                else:
                    self._received.write_eof()
            else:
                self._outer.sendall(self._to_send.read())
                return result
