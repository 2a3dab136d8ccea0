"""What every transport does alike: what is sent, how much time and room the answer has, what a failure is called."""

from __future__ import annotations

import math
import re
import sys
import time
import traceback
import zlib
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from types import TracebackType
from typing import ClassVar, Self

from migrate_core.clock import Deadline
from migrate_core.errors import (
    DeadlineExceededError,
    MalformedResponseError,
    RequestNotSentError,
    ResponseLostError,
    TransportError,
)
from migrate_core.provider import Request, Response
from migrate_core.transports import TransportOptions

MOST_CONNECTIONS = 100
"""How many connections there may be to one endpoint."""

IDLE_SECONDS = 30.0
"""How long one is kept that nobody uses."""

_OURS = (
    ("Accept", "application/json"),
    ("Accept-Encoding", "gzip"),
    ("User-Agent", f"migrate-core/{version('migrate-core')}"),
)
_WITH_BODY = ("POST", "PUT", "PATCH")
_QUOTED = re.compile(r"""b(['"]).*\1""", re.DOTALL)


class Exchange:
    """One request and its answer; as a context, it gives the failures inside it our names.

    Args:
        request: what is sent.
        deadline: when it is over.
        options: what the transport was opened with.

    Attributes:
        never_sent: failures after which the request provably never left.
        failures: failures that mean so if they come before it left.
        late: failures that may mean that the time is over.
        sent: whether it may have left.
        seconds: how many there were at first, ``None`` without an end.
        until: when it is over, by `time.monotonic`.
    """

    never_sent: ClassVar[tuple[type[BaseException], ...]] = ()
    failures: ClassVar[tuple[type[BaseException], ...]] = (OSError, UnicodeError)  # a name that cannot be asked for
    late: ClassVar[tuple[type[BaseException], ...]] = (TimeoutError,)

    def __init__(self, request: Request, deadline: Deadline, options: TransportOptions) -> None:
        remaining = deadline.remaining()
        self.request = request
        self.sent = False
        self.seconds = None if remaining == math.inf else remaining
        self.until = time.monotonic() + remaining
        self._options = options
        self._chunks: list[bytes] = []
        self._size = 0

    def headers(self, host: str) -> Sequence[tuple[str, str]]:
        """Give all headers to send: the request's, and of ours those that it does not have."""
        # Blanks around a value are no part of it; left there, they fail with the value in the message.
        given = [(name, value.strip()) for name, value in self.request.headers.items()]
        names = {name.lower() for name, _ in given}
        ours = [pair for pair in (("Host", host), *_OURS) if pair[0].lower() not in names]
        if self.request.body or self.request.method in _WITH_BODY:
            ours.append(("Content-Length", str(len(self.request.body))))
        return [*ours, *given]

    def receive(self, chunk: bytes) -> None:
        """Take a piece of the answer's body, as it came over the wire."""
        self._chunks.append(chunk)
        self._size += len(chunk)
        if self._size > self._options.max_body_bytes:
            raise MalformedResponseError(f"the answer is larger than {self._options.max_body_bytes} bytes")

    def response(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> Response:
        """Make the response of all that came."""
        named: dict[str, str] = {}
        for raw_name, raw_value in headers:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            named[name] = f"{named[name]}, {value}" if name in named else value
        if "transfer-encoding" in named and "content-length" in named:
            raise ResponseLostError(f"{self._where}: the answer was lost: its headers say twice where it ends")
        try:
            body = _decoded(b"".join(self._chunks), named.get("content-encoding", ""), self._options.max_body_bytes)
        except MalformedResponseError:
            if status < 400:
                raise
            body = b""  # an error says enough by its status
        return Response(status=status, headers=named, body=body)

    def __enter__(self) -> Self:
        self._before = sys.exception()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        failure = error and self._failure(error)
        if failure:
            self._forget()
            raise failure from (None if _QUOTED.search(str(error)) else error)

    def _forget(self) -> None:
        """Clear the variables of the frames below: they hold what was sent, and a crash reporter writes them down."""
        error = sys.exception()
        while error is not None and error is not self._before:  # what the caller was handling is the caller's
            traceback.clear_frames(error.__traceback__)
            error = error.__cause__ or error.__context__

    @property
    def _where(self) -> str:
        return self._options.endpoints[self.request.endpoint]

    def _failure(self, error: BaseException) -> TransportError | None:
        """Name a failure in our words: did the request leave, was the time over?"""
        # A library quotes the bytes that it cannot read, and a credential may be among them.
        where, why = self._where, _QUOTED.sub("***", str(error)) or type(error).__name__
        late = isinstance(error, self.late)
        if late and time.monotonic() >= self.until - 0.001:
            state = "no answer came" if self.sent else "it could not be sent"
            return DeadlineExceededError(f"{where}: the time was over, {state}", sent=self.sent)
        if isinstance(error, self.never_sent) or (isinstance(error, self.failures) and not self.sent):
            return RequestNotSentError(f"{where} cannot be reached: {why}")
        if late or isinstance(error, self.failures):
            return ResponseLostError(f"{where}: the answer was lost: {why}")
        return None


def _decoded(body: bytes, encoding: str, limit: int) -> bytes:
    """Undo at most one compression, never beyond `limit` bytes: a small answer can hide a huge one."""
    if not body or encoding.strip().lower() in ("", "identity"):
        return body
    if encoding.strip().lower() != "gzip":
        raise MalformedResponseError(f"the answer is encoded as {encoding!r}, which nobody asked for")
    decoder = zlib.decompressobj(wbits=31)
    try:
        decoded = decoder.decompress(body, min(limit + 1, sys.maxsize))
    except zlib.error as error:
        raise MalformedResponseError(f"the answer is no valid gzip: {error}") from error
    if len(decoded) > limit:
        raise MalformedResponseError(f"the answer is larger than {limit} bytes")
    if not decoder.eof:
        raise MalformedResponseError("the compressed answer ends too soon")
    if decoder.unused_data:
        raise MalformedResponseError("more follows the compressed answer")
    return decoded
