"""A gate in front of a server: a loopback TCP port that passes requests on, and does to them what a plan says."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from email.utils import formatdate
from http.client import responses
from typing import Any, Self, TypeAlias
from urllib.parse import urlsplit

import attrs
import h11

from migrate_core.testing.faults import (
    Answer,
    Delay,
    FaultPlan,
    Reset,
    Silence,
    Trickle,
    WrongClock,
    WrongLength,
)
from migrate_core.testing.server import HOST, bind

__all__ = ["gate"]

_PIECE = 65536
_HOP = (b"connection", b"keep-alive", b"transfer-encoding")
"""Headers that are about one connection, and not passed on."""

_Headers: TypeAlias = list[tuple[bytes, bytes]]


@contextmanager
def gate(
    origin: str, plan: FaultPlan | None = None, *, tls: ssl.SSLContext | None = None, port: int = 0
) -> Iterator[str]:
    """Stand in front of a server that speaks HTTP/1.1, from a thread of its own.

    Args:
        origin: where the server is.
        plan: what goes wrong; nothing by default.
        tls: what to shake hands with, where the plan has no `Certificate`; without it, the gate speaks plain HTTP.
        port: its port; any free one for 0.

    Yields:
        The origin of the gate, such as ``http://127.0.0.1:40002``.

    Raises:
        OSError: the port is taken.
        ValueError: in the end, if there was a fault that this gate could not carry out.
    """
    door = _Gate(origin, plan or FaultPlan(), tls)
    with bind(port) as listener:
        address = f"{'https' if tls else 'http'}://{HOST}:{listener.getsockname()[1]}"
        thread = threading.Thread(target=asyncio.run, args=(door.run(listener),), name="gate", daemon=True)
        thread.start()
        door.ready.wait()
        try:
            yield address
        finally:
            door.stop()
            thread.join()
    if door.failure:
        raise door.failure


def _with(headers: Iterable[tuple[bytes, bytes]], **replaced: str) -> _Headers:
    """Give headers without those of one connection, and with some replaced."""
    ours = {name.replace("_", "-").encode(): value.encode() for name, value in replaced.items()}
    return [*((name, value) for name, value in headers if name not in (*_HOP, *ours)), *ours.items()]


@attrs.frozen
class _Reply:
    """An answer, whole."""

    status: int
    reason: bytes
    headers: _Headers
    body: bytes

    @classmethod
    def of(cls, fault: Answer) -> Self:
        headers = [(name.lower().encode(), value.encode()) for name, value in fault.headers.items()]
        reason = responses.get(fault.status, "").encode()
        return cls(fault.status, reason, _with(headers, content_length=str(len(fault.body))), fault.body)

    def head(self) -> h11.Response:
        return h11.Response(status_code=self.status, reason=self.reason, headers=self.headers)

    def framed(self, length: int) -> _Reply:
        """Give the same with another length to announce."""
        return attrs.evolve(self, headers=_with(self.headers, content_length=str(length)))

    def dated(self, seconds: float) -> _Reply:
        """Give the same from a server whose clock is wrong."""
        return attrs.evolve(self, headers=_with(self.headers, date=formatdate(time.time() + seconds, usegmt=True)))


_NOT_PASSED_ON = _Reply.of(Answer(503, "the gate did not pass this request on", {"Content-Type": "text/plain"}))


class _Gone(Exception):
    """The other end has left."""


class _Peer:
    """One end of a connection, its messages read by h11."""

    def __init__(
        self, role: type[h11.CLIENT] | type[h11.SERVER], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._http = h11.Connection(role)
        self._reader = reader
        self._writer = writer

    async def message(self) -> tuple[Any, bytes]:
        """Read the next request or final answer, and its body.

        Raises:
            _Gone: there is no more.
        """
        start, body = None, b""
        while not isinstance(event := await self._event(), h11.EndOfMessage):
            if isinstance(event, h11.ConnectionClosed):
                raise _Gone
            if isinstance(event, h11.Data):
                body += event.data
            elif not isinstance(event, h11.InformationalResponse):
                start = event
        return start, body

    async def _event(self) -> Any:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._reader.read(_PIECE))
        return event

    async def send(self, start: h11.Request | h11.Response, body: bytes) -> None:
        """Send a whole message."""
        await self.send_raw(self.head(start) + self.rest(body))

    def head(self, start: h11.Request | h11.Response) -> bytes:
        """Give the bytes that a message begins with."""
        return self._http.send(start) or b""

    def rest(self, body: bytes) -> bytes:
        """Give the bytes that end a message."""
        return b"".join(self._http.send(event) or b"" for event in (h11.Data(body), h11.EndOfMessage()))

    async def send_raw(self, data: bytes, pause: float = 0.0) -> None:
        """Send `data`, all at once, or byte by byte with a pause after each."""
        for piece in (data[at : at + 1] for at in range(len(data))) if pause else (data,):
            self._writer.write(piece)
            await self._writer.drain()
            if pause:
                await self.wait(pause)

    async def wait(self, seconds: float | None = None) -> None:
        """Let time pass, with ``None`` for ever.

        Raises:
            _Gone: the other end has left by then.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while await self._reader.read(_PIECE):
                    pass
                raise _Gone

    def again(self) -> bool:
        """Get ready for another message; tells whether there can be one."""
        try:
            self._http.start_next_cycle()
        except h11.LocalProtocolError:
            return False
        return True

    def reset(self) -> None:
        """Hang up as a machine does that knows nothing of this connection."""
        stream = self._writer.get_extra_info("socket")
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


class _Gate:
    """What runs in the thread.

    Attributes:
        ready: set once it lets clients in.
        failure: what it should have done, and could not.
    """

    def __init__(self, origin: str, plan: FaultPlan, tls: ssl.SSLContext | None) -> None:
        parts = urlsplit(origin)
        self._host, self._secure = parts.hostname or "", parts.scheme == "https"
        self._port = parts.port or (443 if self._secure else 80)
        self._plan = plan
        self._tls = tls
        self._connections: set[object] = set()
        self.ready = threading.Event()
        self.failure: Exception | None = None

    async def run(self, listener: socket.socket) -> None:
        """Let clients in until `stop`; those that are there by then are cut off."""
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connected, sock=listener)
        self.ready.set()
        await self._stopped.wait()
        server.close()

    def stop(self) -> None:
        """End it, from any thread."""
        self._loop.call_soon_threadsafe(self._stopped.set)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._connections.add(task)  # asyncio forgets it when the client leaves, even if it waits for the server
        try:
            if context := self._shown():
                await writer.start_tls(context)
            client = _Peer(h11.SERVER, reader, writer)
            while await self._serve(client):
                pass
            writer.close()
            await writer.wait_closed()
        except (OSError, _Gone, h11.RemoteProtocolError, asyncio.CancelledError):  # cancelled in the end, see `run`
            pass
        except Exception as error:
            self.failure = error
        finally:
            writer.transport.abort()
            self._connections.discard(task)

    def _shown(self) -> ssl.SSLContext | None:
        other = self._plan.take_certificate()
        if other and not self._tls:
            raise ValueError("a certificate is planned for a gate that speaks plain HTTP: give it tls=")
        return other or self._tls

    async def _serve(self, client: _Peer) -> bool:
        """Answer one request, well or as planned; tells whether the connection can take another."""
        request, body = await client.message()
        met = self._plan.take(request.method.decode(), request.target.partition(b"?")[0].decode("latin-1"))
        fault, after = met.fault, met.after
        if isinstance(fault, Delay) and not after:
            await client.wait(fault.seconds)
        passed_on = after or isinstance(fault, Delay | WrongClock)
        reply = await self._asked(request, body) if passed_on else _NOT_PASSED_ON
        match fault:
            case Reset():
                client.reset()
                return False
            case Silence():
                await client.wait()
            case WrongLength(by):
                claimed = max(0, len(reply.body) + by)
                await client.send_raw(client.head(reply.framed(claimed).head()) + reply.body.ljust(-by))
                return False
            case Trickle(part, pause):
                head, rest = client.head(reply.head()), client.rest(reply.body)
                await client.send_raw(head, pause if part == "head" else 0.0)
                await client.send_raw(rest, pause if part == "body" else 0.0)
                return client.again()
            case Answer():
                reply = _Reply.of(fault)
            case WrongClock(seconds):
                reply = reply.dated(seconds)
            case Delay(seconds) if after:
                await client.wait(seconds)
            case Delay() | None:
                pass
            case _:
                raise ValueError(f"a gate cannot carry out {fault}")
        await client.send(reply.head(), reply.body)
        return client.again()

    async def _asked(self, request: h11.Request, body: bytes) -> _Reply:
        """Pass a request on, over a connection of its own; gives the answer."""
        reader, writer = await asyncio.open_connection(self._host, self._port, ssl=self._secure or None)
        try:
            server = _Peer(h11.CLIENT, reader, writer)
            headers = _with(request.headers, connection="close")
            await server.send(h11.Request(method=request.method, target=request.target, headers=headers), body)
            answer, content = await server.message()
        finally:
            writer.close()
        length = {"content_length": str(len(content))} if content else {}
        return _Reply(answer.status_code, answer.reason, _with(answer.headers, **length), content)
