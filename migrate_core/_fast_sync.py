"""The transport of the extra ``fast`` for threads: plain sockets, one request and one answer at a time.

`http.client` is not used. It takes headers that are cut short for whole and an interim answer for the answer, believes
the first of two lengths, passes over all that follows a malformed line, and loses what is left over on a connection.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

from migrate_core import _exchange, _timed
from migrate_core._fast import FastExchange, GarbledError, Way, let_through, read_fields, read_head, ways
from migrate_core._lanes import Lanes
from migrate_core.clock import Deadline
from migrate_core.provider import Request, Response
from migrate_core.transports import TransportOptions

_PIECE = 64 * 1024
_LINE = 16 * 1024
_LENGTH = re.compile(rb"\d{1,18}")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")


class FastTransport:
    """Sends over lanes that threads share."""

    def __init__(self, options: TransportOptions) -> None:
        self._options = options
        self._ways = ways(options)
        self._lanes = {name: _lanes(way) for name, way in self._ways.items()}

    def send(self, request: Request, deadline: Deadline) -> Response:
        """Send one request, as `Transport.send` says."""
        exchange = _Exchange(request, deadline, self._options)
        way = self._ways[request.endpoint]
        with exchange, self._lanes[request.endpoint].lane(exchange.until) as lane:
            exchange.write(way)
            lane.connect(exchange.until)
            exchange.sent = True
            lane.stream.send(exchange.message)
            answer = _Answer(lane.reader, bare=request.method == "HEAD")
            for piece in answer.body():
                exchange.receive(piece)
            lane.whole = answer.stays_open
        return exchange.response(answer.status, answer.fields)

    def close(self) -> None:
        """Close the connections; those in use when their calls are over."""
        for lanes in self._lanes.values():
            lanes.close()


class _Exchange(FastExchange):
    """An exchange that keeps what is sent to itself: a variable would be in the traceback of a failure."""

    def write(self, way: Way) -> None:
        """Write the request."""
        first = f"{self.request.method} {way.prefix}{self.request.target} HTTP/1.1"
        lines = [first, *map(": ".join, self.all_headers(way)), "", ""]
        self.message = "\r\n".join(lines).encode("ascii") + self.request.body


def _lanes(way: Way) -> Lanes[_Lane]:
    return Lanes(lambda: _Lane(way), _exchange.MOST_CONNECTIONS, _exchange.IDLE_SECONDS)


class _Lane:
    """One connection.

    Attributes:
        stream: what it goes over.
        reader: reads from it.
        whole: whether the last answer was read to its end and the connection stays open.
    """

    stream: _timed.Stream
    reader: io.BufferedReader

    def __init__(self, way: Way) -> None:
        self._way = way
        self._sock: Any = None
        self.whole = False

    def connect(self, until: float) -> None:
        """Be ready for an exchange that is over then."""
        self.whole = False
        if self._sock:
            self.stream.until = until
            return
        near, there = self._way.near, self._way.there
        self._sock = _timed.connected(near.host, near.port, until)
        if near.tls:
            self._sock = _timed.secured(self._sock, near.tls, near.host, until)
        if self._way.tunnel and there.tls:
            self._ask(self._way.tunnel, until)
            self._sock = _timed.secured(self._sock, there.tls, there.host, until)
        self.stream = _timed.Stream(self._sock, until)
        self.reader = io.BufferedReader(self.stream)

    def _ask(self, tunnel: bytes, until: float) -> None:
        stream = _timed.Stream(self._sock, until)
        stream.send(tunnel)
        _, status, reason, _ = read_head(io.BufferedReader(stream).readline)
        let_through(status, reason)

    def usable(self) -> bool:
        return self.whole and self.stream.silent() and not self._leftover()

    def close(self) -> None:
        if self._sock:
            self._sock.close()

    def _leftover(self) -> bool:
        """Tell whether more came with the answer than belongs to it."""
        self.stream.until = 0.0  # what was read already is given, and no more is read
        return bool(self.reader.peek())


class _Answer:
    """An answer that is being read.

    Attributes:
        status: its status.
        fields: its headers.
        stays_open: whether another one can follow on the connection.
    """

    def __init__(self, reader: io.BufferedReader, *, bare: bool) -> None:
        self._reader = reader
        modern, self.status, _, self.fields = read_head(reader.readline)
        while self.status < 200 and self.status != 101:
            modern, self.status, _, self.fields = read_head(reader.readline)
        codings, lengths, connection = map(self._values, (b"transfer-encoding", b"content-length", b"connection"))
        clear = codings in ([], [b"chunked"]) and len(set(lengths)) < 2 and all(map(_LENGTH.fullmatch, lengths))
        if self.status == 101 or not clear:
            raise GarbledError("the server does not say in plain HTTP where its answer ends")
        self._chunked = bool(codings)
        self._length = int(lengths[0]) if lengths and not codings else None
        if bare or self.status in (204, 304):
            self._chunked, self._length = False, 0
        self.stays_open = modern and b"close" not in connection and (self._chunked or self._length is not None)

    def _values(self, wanted: bytes) -> list[bytes]:
        """Give the values of a header, those of a list one by one."""
        found = [value for name, value in self.fields if name.lower() == wanted]
        return [value.strip(b" \t").lower() for line in found for value in line.split(b",")]

    def body(self) -> Iterator[bytes]:
        """Read the body, as it comes."""
        if self._chunked:
            yield from self._chunks()
        elif self._length is not None:
            yield from self._exactly(self._length)
        else:
            while piece := self._reader.read1(_PIECE):
                yield piece

    def _chunks(self) -> Iterator[bytes]:
        while size := self._chunk_size():
            yield from self._exactly(size)
            if self._reader.readline(2) not in (b"\r\n", b"\n"):
                raise GarbledError("a chunk of the answer is longer than it says")
        read_fields(self._reader.readline)  # which nobody asked for

    def _chunk_size(self) -> int:
        size = _CHUNK.fullmatch(self._reader.readline(_LINE))
        if not size:
            raise GarbledError("a chunk of the answer does not say how long it is")
        return int(size[1], 16)

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size:
            piece = self._reader.read1(min(size, _PIECE))
            if not piece:
                raise ConnectionError("the server hung up in the middle of its answer")
            size -= len(piece)
            yield piece
