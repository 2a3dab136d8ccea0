"""What the tests of the transports share: ways to send, and authorities and proxies of their own."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import ssl
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from migrate_core._registry import transport_factory
from migrate_core.clock import Deadline, SystemClock
from migrate_core.provider import Request, Response
from migrate_core.testing import VirtualClock
from migrate_core.transports import TransportOptions
from misbehaving import HOST, Conversation, Script, Server, answer, answering, over_tls
from support import Caller

TOKEN = "the-token"
SOURCE = answer({"id": "s-1"})
HEAD, _, BODY = SOURCE.partition(b"\r\n\r\n")

GET = Request(method="GET", path="/v3/sources/s-1", repeatable=True)
SECONDS = 0.3
"""How long a call may take that is to end with its time."""


def factory() -> Any:
    """Give the transport that the test is about."""
    return transport_factory(os.environ["MIGRATE_TRANSPORT"])


def connect(caller: Caller, origin: str, **settings: Any) -> Any:
    """Make a client of `origin`; unless a test measures time, it waits between attempts in no time."""
    clock = SystemClock() if "timeout" in settings else VirtualClock()
    return caller.connect("huawei_sms", endpoint=origin, token=TOKEN, clock=clock, **settings)


@contextmanager
def transport(caller: Caller, origin: str, **options: Any) -> Iterator[Callable[..., Response]]:
    """Open the transport of the caller's kind; gives a function that sends."""
    opens = factory().open_async if caller.kind == "async" else factory().open
    opened = opens(TransportOptions(endpoints={"main": origin}, **options))

    def send(request: Request = GET, seconds: float = 10.0) -> Response:
        answer: Response = caller(opened.send(request, Deadline.after(SystemClock(), seconds)))
        return answer

    try:
        yield send
    finally:
        caller(opened.close())


@contextmanager
def in_time() -> Iterator[None]:
    """What happens inside is over after the `SECONDS` that it is allowed, and what a busy machine takes.

    What they do not end takes longer than that, or ends with another error.
    """
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < SECONDS + 4.0


def wait_until(caller: Caller, server: Server, holds: Callable[[Server], bool]) -> None:
    """Wait for something to hold of `server`; the caller's event loop, if it has one, runs on."""
    if caller.kind == "async":
        caller(asyncio.to_thread(server.wait_until, holds))
    else:
        server.wait_until(holds)


def all_left(server: Server) -> bool:
    """Tell whether the client has closed all of its connections."""
    return server.left == server.connections


def resolve(monkeypatch: pytest.MonkeyPatch, host: str, *addresses: str) -> None:
    """Let `host` have `addresses`, in this order, for whoever asks the system."""
    ask = socket.getaddrinfo

    def answer(asked: Any, port: Any, *given: Any, **named: Any) -> list[Any]:
        if asked not in (host, host.encode()):
            return ask(asked, port, *given, **named)
        return [found for address in addresses for found in ask(address, port, type=socket.SOCK_STREAM)]

    monkeypatch.setattr(socket, "getaddrinfo", answer)


def told(error: BaseException) -> str:
    """Give all that somebody may read who sees an error: its text, its repr, and those of its causes."""
    return "".join((*traceback.format_exception(error), repr(error), repr(error.__cause__)))


def silence(conversation: Conversation) -> None:
    """Say nothing, not even to the first byte."""
    conversation.silence()


def sending(*lines: str, body: bytes = b"ok") -> Script:
    """Make a script that answers with just these lines."""

    def script(conversation: Conversation) -> None:
        conversation.request()
        conversation.send("\r\n".join((*lines, "", "")).encode("latin-1") + body)

    return script


def named(name: str, script: Script) -> Script:
    """Give a script a name, for the name of a test."""
    script.__name__ = name
    return script


def tunnel(context: ssl.SSLContext, script: Script) -> Script:
    """Make the script of a proxy that plays the server behind itself."""

    def proxied(conversation: Conversation) -> None:
        conversation.request()
        conversation.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        over_tls(context, script)(conversation)

    return proxied


class Trust:
    """An authority that nobody knows, and the certificates that it signs."""

    def __init__(self, folder: Path) -> None:
        self._authority = trustme.CA()
        self.bundle = str(folder / "authority.pem")
        self._authority.cert_pem.write_to_path(self.bundle)
        self._good = self._authority.issue_cert(HOST)

    def server(self, name: str = HOST, not_after: datetime | None = None) -> ssl.SSLContext:
        """Make the context of a server that shows a certificate for `name`."""
        begun = datetime(2020, 1, 1, tzinfo=UTC)
        good = name == HOST and not_after is None
        shown = self._good if good else self._authority.issue_cert(name, not_before=begun, not_after=not_after)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        shown.configure_cert(context)
        return context

    @property
    def thumbprint(self) -> str:
        """The fingerprint of the certificate for the loopback host, as a browser shows it."""
        encoded = ssl.PEM_cert_to_DER_cert(self._good.cert_chain_pems[0].bytes().decode())
        return hashlib.sha256(encoded).digest().hex(":").upper()


def secure(trust: Trust, script: Script | None = None, **given: Any) -> Server:
    """Make a server that speaks TLS."""
    return Server(over_tls(trust.server(**given), script or answering(SOURCE)), scheme="https")
