"""A server on a loopback port that does what a script says, however wrong that is."""

from __future__ import annotations

import json
import os
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Self, TypeAlias

import pytest

HOST = "127.0.0.1"
_PATIENCE = 50.0


class Conversation:
    """One connection, as a script sees it; all that it does raises `OSError` once the client has left."""

    def __init__(self, server: Server, stream: socket.socket) -> None:
        self._server = server
        self._stream: Any = stream
        self._unread = b""
        stream.settimeout(_PATIENCE)

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Shake hands, as the server; once more within TLS, as a server behind a proxy that speaks it."""
        if isinstance(self._stream, ssl.SSLSocket):
            self._stream = _Inner(self._stream, context)
            return
        self._stream = context.wrap_socket(self._stream, server_side=True, do_handshake_on_connect=False)
        self._stream.do_handshake()

    def request(self) -> bytes:
        """Read one request, head and body."""
        while b"\r\n\r\n" not in self._unread:
            self._receive()
        head, _, rest = self._unread.partition(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        missing = sum(int(line.partition(b":")[2]) for line in lengths) - len(rest)
        while missing > 0:
            missing -= self._receive()
        end = len(self._unread) + missing
        whole, self._unread = self._unread[:end], self._unread[end:]
        self._server.note(request=whole)
        return whole

    def send(self, data: bytes) -> None:
        """Send all of `data` at once."""
        self._stream.sendall(data)

    def pause(self, seconds: float) -> bool:
        """Let time pass; tells whether the server stops."""
        return self._server.stopping.wait(seconds)

    def trickle(self, data: bytes) -> None:
        """Send a byte every 0.1 s."""
        for byte in data:
            self.send(bytes([byte]))
            self.pause(0.1)

    def sip(self, size: int) -> None:
        """Take `size` bytes every 0.05 s, for as long as the client sends."""
        while not self.pause(0.05):
            left = size
            while left > 0:
                left -= self._receive(left)

    def silence(self) -> None:
        """Say nothing until the client leaves."""
        while True:
            self._receive()

    def reset(self) -> None:
        """Hang up as a machine does that has forgotten the connection."""
        self._stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._stream.close()

    def garble(self, data: bytes) -> None:
        """Send `data` below TLS, where no plain text belongs."""
        os.write(self._stream.fileno(), data)

    def interrupt(self) -> None:
        """End whatever the script waits for."""
        with suppress(OSError):
            self._stream.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def _receive(self, most: int = 65536) -> int:
        data = self._stream.recv(most)
        if not data:
            raise ConnectionAbortedError
        self._server.note(received=data)
        self._unread += data
        return len(data)


class _Inner:
    """A server's end of TLS within TLS."""

    def __init__(self, outer: ssl.SSLSocket, context: ssl.SSLContext) -> None:
        self._outer = outer
        self._received, self._to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._received, self._to_send, server_side=True)
        self._do(self._tls.do_handshake)

    def recv(self, most: int) -> bytes:
        data: bytes = self._do(lambda: self._tls.read(most))
        return data

    def sendall(self, data: bytes) -> None:
        self._do(lambda: self._tls.write(data))

    def shutdown(self, how: int) -> None:
        self._outer.shutdown(how)

    def close(self) -> None:
        self._outer.close()

    def _do(self, step: Callable[[], Any]) -> Any:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self._flush()
                data = self._outer.recv(65536)
                if not data:
                    raise ConnectionAbortedError from None
                self._received.write(data)
            finally:
                self._flush()

    def _flush(self) -> None:
        if data := self._to_send.read():
            self._outer.sendall(data)


Script: TypeAlias = Callable[[Conversation], None]


class Server:
    """Runs a script for each connection, in a thread of its own; a context manager that leaves nothing behind.

    Args:
        *scripts: what to do with the first connection, the second and so on, the last for all that follow; a
            connection is closed when its script returns.
        scheme: of the origin; ``https`` is for scripts that speak TLS, or should.

    Attributes:
        origin: where it listens.
        port: the port of it.
        connections: how many connections were opened.
        left: how many of them the client closed.
        ended: how many of them are over.
        requests: the requests that scripts have read, head and body.
        received: every byte that came, decrypted.
        stopping: set when the server stops.
    """

    def __init__(self, *scripts: Script, scheme: str = "http") -> None:
        self._scripts = scripts
        self._listener = socket.create_server((HOST, 0))
        self._scheme = scheme
        self.port: int = self._listener.getsockname()[1]
        self.origin = self.at(HOST)
        self.connections = self.left = self.ended = 0
        self.requests: list[bytes] = []
        self.received = b""
        self.stopping = threading.Event()
        self._changed = threading.Condition()
        self._conversations: list[Conversation] = []
        self._threads = [threading.Thread(target=self._listen, name="misbehaving server")]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        socket.create_connection(self._listener.getsockname()).close()  # nothing else wakes a thread that accepts
        self._threads[0].join()
        for conversation in self._conversations:
            conversation.interrupt()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def at(self, host: str) -> str:
        """Give the origin with another name for its host."""
        return f"{self._scheme}://{host}:{self.port}"

    @property
    def lines(self) -> list[str]:
        """The first line of each request."""
        return [request.partition(b"\r\n")[0].decode("latin-1") for request in self.requests]

    def wait_until(self, holds: Callable[[Self], bool]) -> None:
        """Wait until something holds of this server.

        Raises:
            TimeoutError: it still does not.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: holds(self), _PATIENCE - 2):
                raise TimeoutError(f"{self.connections} connections, left {self.left}, {len(self.requests)} requests")

    def note(
        self, *, connections: int = 0, left: int = 0, ended: int = 0, request: bytes = b"", received: bytes = b""
    ) -> None:
        """Count and keep what happened."""
        with self._changed:
            self.connections += connections
            self.left += left
            self.ended += ended
            self.requests += [request] if request else []
            self.received += received
            self._changed.notify_all()

    def _listen(self) -> None:
        while True:
            stream, _ = self._listener.accept()
            if self.stopping.is_set():
                stream.close()
                return
            script = self._scripts[min(self.connections, len(self._scripts) - 1)]
            self.note(connections=1)
            conversation = Conversation(self, stream)
            self._conversations.append(conversation)
            self._threads.append(threading.Thread(target=self._run, args=(script, conversation), name="misbehaving"))
            self._threads[-1].start()

    def _run(self, script: Script, conversation: Conversation) -> None:
        left = 0
        try:
            script(conversation)
        except TimeoutError:
            pass  # the client is neither heard of nor gone; the test will say so
        except OSError:
            left = 1
        finally:
            conversation.close()
            self.note(left=left, ended=1)


def answer(body: Any, status: str = "200 OK", *headers: str, length: int | None = None) -> bytes:
    """Make an answer.

    Args:
        body: bytes and text as they are, anything else as JSON.
        status: the end of the status line.
        *headers: further header lines.
        length: the length to claim, if not the true one.
    """
    text = body if isinstance(body, bytes | str) else json.dumps(body)
    content = text.encode() if isinstance(text, str) else text
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(content) if length is None else length}", *headers)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def answering(*answers: bytes) -> Script:
    """Make a script that gives `answers` one by one, and the last of them to all later requests."""

    def script(conversation: Conversation) -> None:
        remaining = list(answers)
        while True:
            conversation.request()
            conversation.send(remaining.pop(0) if len(remaining) > 1 else remaining[0])

    return script


def over_tls(context: ssl.SSLContext, script: Script) -> Script:
    """Make a script that shakes hands first."""

    def secured(conversation: Conversation) -> None:
        conversation.start_tls(context)
        script(conversation)

    return secured


@contextmanager
def nobody() -> Iterator[str]:
    """Give an origin that refuses connections."""
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        yield f"http://{HOST}:{taken.getsockname()[1]}"


@contextmanager
def crowd() -> Iterator[int]:
    """Give a port that neither lets in nor refuses: its queue is full. Skips the test where queues never are."""
    with socket.socket() as listener, ExitStack() as queue:
        listener.bind((HOST, 0))
        listener.listen(0)
        for _ in range(16):
            visitor = queue.enter_context(socket.socket())
            visitor.setblocking(False)
            visitor.connect_ex(listener.getsockname())
            if not select.select([], [visitor], [], 0.05)[1]:
                yield listener.getsockname()[1]
                return
        pytest.skip("the queue of connections never fills here")
