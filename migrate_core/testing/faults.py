"""What goes wrong, with which request, and when: before it takes effect, or after.

A fault is a value, and a `FaultPlan` says which requests meet it. A simulator carries out its own plan,
``Simulator.faults``, through both of its doors. What only a socket can do is done by a `gate`, which stands in front of
any server and has a plan of its own::

    simulator.faults.add(faults.Answer(503), method="DELETE")

    plan = FaultPlan(seed=7)
    plan.add(faults.Reset(), method="POST", after=True)
    with serve(simulator) as origin, gate(origin, plan) as origin:
        ...
"""

from __future__ import annotations

import functools
import gzip
import random
import ssl
import threading
from collections import deque
from collections.abc import Mapping
from typing import ClassVar, Literal

import attrs

from migrate_core.clock import Clock, SystemClock
from migrate_core.testing.journal import Journal

__all__ = [
    "Answer",
    "Certificate",
    "Delay",
    "EndLogins",
    "Fault",
    "FaultPlan",
    "Meeting",
    "Reset",
    "Silence",
    "Trickle",
    "WrongClock",
    "WrongLength",
    "catalogue",
]


@attrs.frozen
class Fault:
    """Something that can go wrong with a request.

    Attributes:
        after: whether the request takes effect first, unless the plan says otherwise.
        only: the one door that can carry it out; both can where it is empty.
    """

    after: ClassVar[bool] = False
    only: ClassVar[Literal["", "simulator", "gate"]] = ""


def _encoded(body: bytes | str) -> bytes:
    return body.encode() if isinstance(body, str) else body


@attrs.frozen
class Answer(Fault):
    """This answer, and not the right one.

    Attributes:
        status: its HTTP status.
        body: its body; a text is sent as UTF-8.
        headers: its headers, without the length.
    """

    status: int = 200
    body: bytes = attrs.field(default=b"", converter=_encoded, repr=lambda body: f"<{len(body)} bytes>")
    headers: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class Delay(Fault):
    """The right answer, late.

    Before the effect, it is the request that comes late; a gate drops it if its client has left by then. A simulator
    takes the time from its clock: a virtual one moves on, that of the machine stops all requests for as long.

    Attributes:
        seconds: how late.
    """

    seconds: float


@attrs.frozen
class WrongClock(Fault):
    """An answer by a clock that is wrong: its ``Date``, and all that a simulator reads from its clock.

    Attributes:
        seconds: how far the clock is ahead; negative where it is behind.
    """

    after = True

    seconds: float


@attrs.frozen
class EndLogins(Fault):
    """The end of all sessions and tokens: the request finds its own gone; after its effect, the next request does."""

    only = "simulator"


@attrs.frozen
class Trickle(Fault):
    """The right answer, byte by byte.

    Attributes:
        part: which part of it, ``head`` or ``body``.
        pause: seconds between two bytes.
    """

    after = True
    only = "gate"

    part: Literal["head", "body"]
    pause: float = 0.05


@attrs.frozen
class WrongLength(Fault):
    """The right answer with a wrong ``Content-Length``; then the connection is closed.

    Attributes:
        by: how much it is wrong: with 10, the last 10 bytes never come; with -2, two more come than were announced.
    """

    after = True
    only = "gate"

    by: int


@attrs.frozen
class Reset(Fault):
    """No answer: the connection is reset, as by a machine that has forgotten it."""

    only = "gate"


@attrs.frozen
class Silence(Fault):
    """No answer: the connection stays open, and nothing comes, until the client leaves."""

    only = "gate"


@attrs.frozen
class Certificate(Fault):
    """Another certificate. It is met by connections, not by requests, so no method or path can be asked for.

    Attributes:
        context: what the gate shakes hands with.
    """

    only = "gate"

    context: ssl.SSLContext


@attrs.frozen
class Meeting:
    """A request, and the fault that it met.

    Attributes:
        method: its method; empty where a connection met a `Certificate`.
        path: its encoded path.
        fault: what it met; ``None`` if it passed.
        after: whether it was to take effect all the same.
    """

    method: str
    path: str
    fault: Fault | None = None
    after: bool = True


@attrs.define(kw_only=True)
class _Planned:
    """A fault, and which requests meet it."""

    fault: Fault
    method: str
    path: str
    call: int = attrs.field(validator=attrs.validators.ge(1))
    probability: float = attrs.field(validator=[attrs.validators.ge(0), attrs.validators.le(1)])
    after: bool
    times: float = attrs.field(validator=attrs.validators.ge(1))
    above: int = attrs.field(validator=attrs.validators.ge(0))
    random: random.Random
    fitting: int = 0
    met: int = 0
    passed: deque[float] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.passed = deque(maxlen=self.above)

    def wants(self, method: str, path: str, now: float) -> bool:
        """Tell whether a request is meant. Each that fits is counted and drawn for, so that runs repeat."""
        if self.method not in ("", method) or self.path not in path:
            return False
        self.fitting += 1
        drawn = self.random.random() < self.probability
        return drawn and self.fitting >= self.call and self.met < self.times and self._is_one_too_many(now)

    def _is_one_too_many(self, now: float) -> bool:
        """Tell whether as many as may pass have passed within a second; if not, one more has."""
        if len(self.passed) == self.above and (not self.passed or now - self.passed[0] < 1):
            return True
        self.passed.append(now)
        return False


class FaultPlan:
    """Which requests meet which faults; the first that was planned wins.

    Args:
        seed: where chance begins: with the same seed, the same requests meet the same faults.
        door: who carries it out.
        clock: what a second is measured with; the machine's clock by default.

    Attributes:
        journal: the requests so far, with what they met: a `Journal`, which may forget the oldest.
    """

    def __init__(
        self, *, seed: int = 0, door: Literal["simulator", "gate"] = "gate", clock: Clock | None = None
    ) -> None:
        self._seed = seed
        self._door = door
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Forget all that was planned, and all requests."""
        self._planned: list[_Planned] = []
        self.journal: Journal[Meeting] = Journal()

    def add(
        self,
        fault: Fault,
        *,
        method: str = "",
        path: str = "",
        call: int = 1,
        probability: float = 1.0,
        after: bool | None = None,
        times: int | None = 1,
        above: int = 0,
    ) -> None:
        """Plan a fault.

        Args:
            fault: what goes wrong.
            method: only for requests with this method.
            path: only for requests whose encoded path has this part.
            call: the first request that can meet it, counted from 1 among those that fit.
            probability: how likely each of them does.
            after: let the request take effect first; by default as it lies in the fault. Before it, the request goes no
                further, and where a fault is about the right answer, that is a 503.
            times: how many requests meet it; all, for ``None``.
            above: how many such requests pass it by within any second; only those that are too many can meet it.

        Raises:
            ValueError: the door that carries out this plan cannot do that; or a number makes no sense.
        """
        if fault.only not in ("", self._door):
            raise ValueError(f"{fault} is not for this plan: {_WHERE[fault.only]}")
        if isinstance(fault, Certificate) and (method or path or after):
            raise ValueError("a certificate is shown before there is a request: it takes no method, path or after")
        self._planned.append(
            _Planned(
                fault=fault,
                method=method,
                path=path,
                call=call,
                probability=probability,
                after=fault.after if after is None else after,
                times=float("inf") if times is None else times,
                above=above,
                random=random.Random(f"{self._seed}/{len(self._planned)}"),  # noqa: S311  # chance that repeats
            )
        )

    def answer(
        self,
        status: int,
        body: bytes | str = b"",
        *,
        headers: Mapping[str, str] | None = None,
        method: str = "",
        path: str = "",
        after: bool = False,
        times: int = 1,
    ) -> None:
        """Plan an answer.

        Args:
            status: its HTTP status.
            body: its body.
            headers: its headers.
            method: only for requests with this method.
            path: only for requests whose encoded path has this part.
            after: let the request take effect first.
            times: for how many requests.
        """
        self.add(Answer(status, body, dict(headers or {})), method=method, path=path, after=after, times=times)

    def take(self, method: str, path: str) -> Meeting:
        """Take note of a request, and tell what it meets; for whoever carries out the plan."""
        with self._lock:
            planned = self._chosen(method, path)
            meeting = Meeting(method, path, planned.fault, planned.after) if planned else Meeting(method, path)
            self.journal.append(meeting)
        return meeting

    def take_certificate(self) -> ssl.SSLContext | None:
        """Tell which certificate a connection meets, if any; for whoever carries out the plan."""
        with self._lock:
            planned = self._chosen("", "", connection=True)
            if planned is None or not isinstance(planned.fault, Certificate):
                return None
            self.journal.append(Meeting("", "", planned.fault, planned.after))
        return planned.fault.context

    def _chosen(self, method: str, path: str, *, connection: bool = False) -> _Planned | None:
        """Choose what a request meets, or a connection, among what is planned for its like."""
        alike = [planned for planned in self._planned if isinstance(planned.fault, Certificate) is connection]
        now = self._clock.monotonic()
        wanting = [planned for planned in alike if planned.wants(method, path, now)]
        if not wanting:
            return None
        wanting[0].met += 1
        return wanting[0]


_WHERE = {
    "gate": "it needs a socket; put a gate in front of the server, gate(origin, plan), and plan it there",
    "simulator": "a gate knows no logins; plan it for the simulator, as simulator.faults.add(...)",
}

_MOST_BYTES = 32 * 2**20
_JSON = {"Content-Type": "application/json"}
_PAGE = "<!doctype html><title>Sign in</title><p>This network needs a login."


def catalogue(
    *, most_bytes: int = _MOST_BYTES, certificates: Mapping[str, ssl.SSLContext] | None = None
) -> dict[str, Fault]:
    """Give an example of every fault by name, to parametrise tests with.

    Args:
        most_bytes: the largest answer that the client accepts; the huge ones are one byte larger.
        certificates: what servers show that nobody should trust, by name: an expired one, one for another host.
    """
    return {
        "delay": Delay(1.0),
        "trickled-head": Trickle("head"),
        "trickled-body": Trickle("body", 0.5),
        "429": Answer(429),
        **{f"429-after-{name}": Answer(429, headers={"Retry-After": value}) for name, value in _RETRY_AFTER.items()},
        **{str(status): Answer(status) for status in (500, 502, 503, 504)},
        "html-200": Answer(200, _PAGE, {"Content-Type": "text/html"}),
        "html-502": Answer(502, _PAGE, {"Content-Type": "text/html"}),
        "empty-200": Answer(200),
        "truncated": WrongLength(10),
        "too-long": WrongLength(-2),
        "no-json": Answer(200, "{'status': OK}", _JSON),
        "other-json": Answer(200, '["what nobody asked for"]', _JSON),
        "deep-json": Answer(200, '{"a":' * 100_000 + "1" + "}" * 100_000, _JSON),
        "huge-json": Answer(200, b'"' + b"x" * (most_bytes - 1) + b'"', _JSON),
        "gzip-bomb": Answer(200, _bomb(most_bytes + 1), {**_JSON, "Content-Encoding": "gzip"}),
        "gzip-in-gzip": Answer(200, gzip.compress(_bomb(most_bytes + 1)), {**_JSON, "Content-Encoding": "gzip, gzip"}),
        "redirect": Answer(307, headers={"Location": "https://elsewhere.invalid/"}),
        "reset": Reset(),
        "silence": Silence(),
        "end-logins": EndLogins(),
        "clock-ahead": WrongClock(7200),
        "clock-behind": WrongClock(-7200),
        **{f"certificate-{name}": Certificate(context) for name, context in (certificates or {}).items()},
    }


_RETRY_AFTER = {
    "int": "2",
    "float": "0.5",
    "date": "Thu, 01 Jan 2026 00:00:05 GMT",  # five seconds after a `VirtualClock` begins
    "negative": "-5",
    "huge": "999999999",
    "garbage": "soon",
}


@functools.cache
def _bomb(size: int) -> bytes:
    return gzip.compress(bytes(size), 1, mtime=0)
