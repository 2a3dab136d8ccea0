"""What all simulators share: routing, journal, faults, seeded ids, controls."""

from __future__ import annotations

import abc
import heapq
import itertools
import json
import math
import random
import threading
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import Any, ClassVar, Generic, TypeVar
from urllib.parse import unquote

import attrs
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from migrate_core.clock import Clock, SystemClock
from migrate_core.errors import ApiError, ConfigurationError
from migrate_core.models import PairingSpec, SourceSpec
from migrate_core.provider import TaskStatus
from migrate_core.testing.faults import Answer, Delay, EndLogins, FaultPlan, Meeting, WrongClock
from migrate_core.testing.inprocess import ASGIApp, InProcess
from migrate_core.testing.journal import Journal

__all__ = ["Agenda", "JournalEntry", "Refusal", "Simulator", "control", "json_object", "segment"]

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class JournalEntry:
    """One request as the simulator received it, and the status that it answered.

    Attributes:
        path: the path as it was on the wire, still encoded.
        query: decoded names and values, in order.
        headers: headers with lower-case names.
        at: when it came, by the simulator's clock.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    status: int
    at: datetime


class Refusal(Exception):
    """Raised by a route to answer at once.

    Args:
        response: the answer.
    """

    def __init__(self, response: Response) -> None:
        self.response = response
        super().__init__(response.status_code)


def segment(request: Request, name: str) -> str:
    """Give an id from the path, decoded; routes match the encoded path, so it may hold slashes."""
    return unquote(request.path_params[name])


def json_object(content: bytes) -> dict[str, Any] | None:
    """Read a body; ``None`` if it is no JSON object, or has half a character in it, which no answer could repeat."""
    try:
        payload = json.loads(content)
        json.dumps(payload, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return payload if isinstance(payload, dict) else None


class Agenda(Generic[T]):
    """What will happen, and when; what is not due yet costs nothing when it is asked."""

    def __init__(self) -> None:
        self._entries: list[tuple[Any, int, T]] = []
        self._added = itertools.count()

    def add(self, at: Any, what: T) -> None:
        """Let something happen at a time, which is told in the same way for all."""
        heapq.heappush(self._entries, (at, next(self._added), what))

    def due(self, now: Any) -> Iterator[T]:
        """Take what is due, one by one, the earliest first."""
        while self._entries and self._entries[0][0] <= now:
            yield heapq.heappop(self._entries)[2]


def control(default: Any, doc: str) -> Any:
    """Declare a control in a simulator's controls; the type of `default` is the type of its values."""
    return attrs.field(default=default, metadata={"doc": doc})


class Simulator(abc.ABC):
    """A stateful stand-in for a vendor's service.

    Args:
        clock: the time it lives in; the machine's by default.
        seed: where its ids come from, so that runs repeat.
        **controls: values of its controls.

    Attributes:
        app: the ASGI application.
        endpoint: the origin at which it is reached; that of its TCP door while it is served.
        clock: the time it lives in.
        faults: what goes wrong, and for which requests.
        journal: the requests so far: a `Journal`, which may forget the oldest.
        controls: how it behaves; each can be changed at any time.
        kinds: the kinds of credentials that `settings` knows.
        task_ends: how the vendor's tasks can end.
        whole_lists: whether the vendor's lists come whole and bare, without pages.
        security: how one logs in, as the security schemes of OpenAPI, each of which suffices.
        answers: the object of each status that all calls have for which one logs in.
        open_words: whether it takes, and so tells, words that are not among a field's allowed ones.
    """

    name: ClassVar[str]
    controls_type: ClassVar[type]
    kinds: ClassVar[tuple[str, ...]] = ("",)
    task_ends: ClassVar[tuple[TaskStatus, ...]] = (TaskStatus.SUCCESS, TaskStatus.ERROR)
    whole_lists: ClassVar[bool] = False
    security: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    answers: ClassVar[Mapping[int, type | None]] = {}
    open_words: ClassVar[bool] = False

    def __init__(self, *, clock: Clock | None = None, seed: int = 0, **controls: Any) -> None:
        self.clock: Clock = clock or SystemClock()
        self.endpoint = f"https://{self.name.replace('_', '-')}.invalid"
        self.faults = FaultPlan(door="simulator", clock=self.clock)
        self.journal: Journal[JournalEntry] = Journal()
        self.controls: Any = self.controls_type(**controls)
        self._seed = seed
        handlers = {Refusal: _answer, 404: self._no_route, 405: self._no_route}
        self._routed = Starlette(routes=self.routes(), exception_handlers=handlers)
        self._routed.router.redirect_slashes = False
        self._lock = threading.RLock()
        self.app: ASGIApp = self._serve
        self.reset()

    @property
    @abc.abstractmethod
    def credentials(self) -> Mapping[str, str]:
        """All credentials that it accepts, named as the provider's settings."""

    @abc.abstractmethod
    def settings(self, kind: str = "") -> dict[str, Any]:
        """Give the settings that connect to it: ``connect(simulator.name, **simulator.settings())``.

        Args:
            kind: the kind of credentials, where there are several.
        """

    @abc.abstractmethod
    def routes(self) -> Sequence[Route]:
        """Name its routes."""

    @abc.abstractmethod
    def unknown_route(self) -> Response:
        """Answer a request that no route takes."""

    def openapi(self) -> dict[str, Any]:
        """Describe its routes as an OpenAPI 3.1 document.

        Its paths are those of `routes`; bodies, answers and logins are what each endpoint is `documented` with, their
        bounds and allowed words those of the document classes.
        """
        from migrate_core.testing.openapi import describe  # few ask

        return describe(self)

    def reset(self) -> None:
        """Forget everything but the controls: state, journal, faults, and the course of its ids."""
        self._random = random.Random(self._seed)  # noqa: S311  # ids that repeat, not secrets
        self.journal.clear()
        self.faults.clear()

    def set(self, name: str, value: str) -> None:
        """Set a control from text, as the command line does.

        Raises:
            ConfigurationError: there is no such control, or the value is not of its type.
        """
        fields = attrs.fields_dict(self.controls_type)
        if name not in fields:
            raise ConfigurationError(f"{self.name} has no control {name!r}; it has: {', '.join(fields)}")
        try:
            setattr(self.controls, name, _READERS[type(fields[name].default)](value))
        except (ValueError, KeyError):
            kind = type(fields[name].default).__name__
            raise ConfigurationError(f"control {name} takes a {kind}, not {value!r}") from None

    def new_id(self) -> str:
        """Make an id."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def new_secret(self) -> str:
        """Make a secret to hand out, such as a token or a session.

        Override it to give all of them a mark, and look for that in what must not hold a secret.
        """
        return self.new_id()

    def now_ms(self) -> int:
        """Tell the time in epoch milliseconds."""
        return int(self.clock.now().timestamp() * 1000)

    # What the conformance suite asks for: each where the provider offers the operations that need it.

    def source_spec(self) -> SourceSpec:
        """Describe a machine that can be registered; another one each time."""
        raise self._lacks("source_spec()")

    def add_sources(self, count: int) -> Sequence[str]:
        """Make `count` sources that can be described and deleted; gives their ids."""
        raise self._lacks("add_sources()")

    def add_replication(self) -> str:
        """Make a replication whose target is locked; gives its id."""
        raise self._lacks("add_replication()")

    def pairing_spec(self) -> PairingSpec:
        """Describe a pairing that can be made; with another site each time."""
        raise self._lacks("pairing_spec()")

    def add_pairings(self, count: int) -> Sequence[str]:
        """Make `count` pairings that can be described and deleted; gives their ids."""
        raise self._lacks("add_pairings()")

    def add_task(self, end: TaskStatus = TaskStatus.SUCCESS, seconds: float = 60.0) -> str:
        """Begin a task, as if somebody else had asked for it; gives its id.

        Args:
            end: how it ends, one of `task_ends`.
            seconds: how long it takes.
        """
        raise self._lacks("add_task()")

    def forget_tasks(self) -> None:
        """Forget all tasks, as a vendor does that restarted, or after a while."""
        raise self._lacks("forget_tasks()")

    def expire_logins(self) -> None:
        """End all sessions and tokens that were handed out; nothing where there are none."""
        return

    def refusals(self) -> Mapping[type[ApiError], Response]:
        """Give the vendor's own refusals, by the error that each must become."""
        return {}

    def _lacks(self, what: str) -> NotImplementedError:
        return NotImplementedError(f"the simulator of {self.name} lacks {what}")

    @property
    def transport(self) -> InProcess:
        """The door without a socket, as a value for the setting ``transport``."""
        return InProcess(self.app)

    def _door(self) -> dict[str, Any]:
        """The settings that lead to it: by TCP while it is served, else in process."""
        if self.endpoint.startswith("http:"):
            return {"endpoint": self.endpoint}
        return {"endpoint": self.endpoint, "transport": self.transport}

    async def _no_route(self, request: Request, error: Exception) -> Response:
        return self.unknown_route()

    async def _serve(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer one request: note it, perhaps as planned, and route it by its encoded path."""
        path, at = scope["raw_path"].decode("latin-1"), self.clock.now()
        scope = {**scope, "path": path, "root_path": ""}
        request = Request(scope, receive)
        try:
            body = await request.body()
        except ClientDisconnect:
            return  # half a request has no effect
        answer: list[MutableMapping[str, Any]] = []

        async def replay() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def keep(message: MutableMapping[str, Any]) -> None:
            answer.append(message)

        async def route() -> None:
            await self._routed(scope, replay, keep)

        async def instead(response: Response) -> None:
            answer.clear()
            await response(scope, replay, keep)

        with self._lock:  # several threads may come through the door without a socket; nothing in here waits
            await self._meet(self.faults.take(request.method, path), route, instead, answer)
            self.journal.append(
                JournalEntry(
                    method=request.method,
                    path=path,
                    query=tuple(request.query_params.multi_items()),
                    headers=dict(request.headers),
                    body=body,
                    status=next(message["status"] for message in answer if "status" in message),
                    at=at,
                )
            )
        for message in answer:
            await send(message)

    async def _meet(
        self,
        met: Meeting,
        route: Callable[[], Awaitable[None]],
        instead: Callable[[Response], Awaitable[None]],
        answer: list[MutableMapping[str, Any]],
    ) -> None:
        """Answer a request, rightly or as it is planned."""
        match met.fault:
            case None:
                await route()
            case Answer(status, body, headers):
                if met.after:
                    await route()
                await instead(Response(body, status, headers=headers))
            case Delay(seconds):
                await _beside(route, partial(self.clock.sleep, seconds), after=met.after)
            case EndLogins():
                await _beside(route, self.expire_logins, after=met.after)
            case WrongClock(seconds):
                with self._clock_off_by(seconds):
                    await route()
                    answer[0]["headers"].append((b"date", format_datetime(self.clock.now(), usegmt=True).encode()))
            case fault:
                raise ValueError(f"a simulator cannot carry out {fault}: put a gate in front of it, gate(origin, plan)")

    @contextmanager
    def _clock_off_by(self, seconds: float) -> Iterator[None]:
        right, self.clock = self.clock, _WrongTime(self.clock, seconds)
        try:
            yield
        finally:
            self.clock = right


async def _beside(route: Callable[[], Awaitable[None]], act: Callable[[], None], *, after: bool) -> None:
    """Do something before a request is routed, or after."""
    if not after:
        act()
    await route()
    if after:
        act()


@attrs.frozen
class _WrongTime:
    """A clock that runs as another does, and is off by some seconds."""

    right: Clock
    seconds: float

    def now(self) -> datetime:
        return self.right.now().astimezone(UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.right.monotonic()

    def sleep(self, seconds: float) -> None:
        self.right.sleep(seconds)

    async def asleep(self, seconds: float) -> None:
        await self.right.asleep(seconds)


def _flag(value: str) -> bool:
    return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[value.lower()]


def _amount(text: str) -> float:
    amount = float(text)
    if not 0 <= amount < math.inf:
        raise ValueError
    return amount


_READERS: Mapping[type, Any] = {bool: _flag, int: int, float: _amount, str: str}


async def _answer(_: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)  # noqa: S101  # registered for this class only
    return refusal.response
