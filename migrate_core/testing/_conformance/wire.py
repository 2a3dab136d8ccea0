"""The way from a client to a simulator, where requests are seen and answers can be changed."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

import attrs

from migrate_core.clock import Deadline
from migrate_core.errors import ResponseLostError
from migrate_core.provider import Request, Response
from migrate_core.transports import AsyncTransport, Transport, TransportFactory, TransportOptions

__all__ = ["Planned", "Wire", "always", "as_json", "lost", "nth", "replayed"]

Planned: TypeAlias = Response | Callable[[Response], Response] | None
"""What happens to a request: ``None`` lets it pass, a response answers it here, a function changes its answer."""

Plan: TypeAlias = Callable[[Request], Planned]


_MOST_REQUESTS = 5000
"""What no plan needs; whoever sends more goes in circles."""


def _pass(_: Request) -> None:
    return None


class Wire:
    """A transport factory that leads to another one, and keeps what went through.

    Attributes:
        sent: the requests, with their credentials.
        answers: their answers.
    """

    def __init__(self, inner: TransportFactory) -> None:
        self._inner = inner
        self._plan: Plan = _pass
        self.sent: list[Request] = []
        self.answers: list[Response] = []

    def open(self, options: TransportOptions) -> Transport:
        """Open the transport for threads."""
        return _Tapped(self, self._inner.open(options))

    def open_async(self, options: TransportOptions) -> AsyncTransport:
        """Open the transport for an event loop."""
        return _AsyncTapped(self, self._inner.open_async(options))

    @contextmanager
    def planned(self, plan: Plan = _pass) -> Generator[list[Request]]:
        """Forget what was sent, and let a plan decide until the end; gives what is sent by then."""
        self.sent, self.answers, self._plan = [], [], plan
        try:
            yield self.sent
        finally:
            self._plan = _pass

    def take(self, request: Request) -> Planned:
        """Keep a request, and tell what happens to it."""
        self.sent.append(request)
        if len(self.sent) > _MOST_REQUESTS:
            raise AssertionError(f"{_MOST_REQUESTS} requests, and no end")
        return self._plan(request)

    def give(self, answer: Response, planned: Planned) -> Response:
        """Keep an answer as it is given."""
        given = planned(answer) if callable(planned) else answer
        self.answers.append(given)
        return given


class _Tapped:
    def __init__(self, wire: Wire, inner: Transport) -> None:
        self._wire = wire
        self._inner = inner

    def send(self, request: Request, deadline: Deadline) -> Response:
        planned = self._wire.take(request)
        answer = planned if isinstance(planned, Response) else self._inner.send(request, deadline)
        return self._wire.give(answer, planned)

    def close(self) -> None:
        self._inner.close()


class _AsyncTapped:
    def __init__(self, wire: Wire, inner: AsyncTransport) -> None:
        self._wire = wire
        self._inner = inner

    async def send(self, request: Request, deadline: Deadline) -> Response:
        planned = self._wire.take(request)
        answer = planned if isinstance(planned, Response) else await self._inner.send(request, deadline)
        return self._wire.give(answer, planned)

    async def close(self) -> None:
        await self._inner.close()


def always(planned: Planned) -> Plan:
    """Plan the same for each request."""
    return lambda _: planned


def nth(number: int, planned: Planned) -> Plan:
    """Plan something for one request, by its number from 0 on."""
    numbers = itertools.count()
    return lambda _: planned if next(numbers) == number else None


def lost(_: Response) -> Response:
    """Lose an answer, after its request took effect."""
    raise ResponseLostError("the conformance suite lost this answer")


def replayed(answers: list[Response]) -> Plan:
    """Answer with `answers`, one after the other; what is sent beyond them passes."""
    following: Iterator[Response] = iter(answers)
    return lambda _: next(following, None)


def as_json(value: Any, *, like: Response | None = None) -> Response:
    """Make an answer of a JSON value, with the status and the headers of another."""
    body = json.dumps(value).encode()
    if like is None:
        return Response(status=200, headers={"content-type": "application/json"}, body=body)
    headers: Mapping[str, str] = {name: text for name, text in like.headers.items() if name != "content-length"}
    return attrs.evolve(like, headers=headers, body=body)
