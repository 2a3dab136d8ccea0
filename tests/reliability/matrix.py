"""What the fault matrix is made of: vendors with gates in front, their operations, and what became of each."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, Literal

import attrs

import migrate_core as mc
from migrate_core.testing import Caller, FaultPlan, VirtualClock, gate, new_simulator, serve
from migrate_core.testing.faults import Certificate, Fault, Meeting
from transports import Trust

MOST_BYTES = 200_000
"""The largest answer that the clients accept, so that the huge ones are small."""

SECONDS = 0.3
"""How long a call may take that is to end with its time."""

PRIVATE = ("authorization", "x-auth-token", "x-dr-session")
"""The headers with secrets."""


@attrs.frozen
class Case:
    """One operation on an object of its own.

    Attributes:
        place: where it is done.
        operation: what it is.
        method: the method of the request that meets the fault.
        path: the path of it.
        call: does it.
        happened: counts how many times its change took effect; ``None`` if it changes nothing.
        blind: whether the vendor says nothing of the change but 200.
        most: the most that `happened` can count.
    """

    place: Place
    operation: mc.Operation
    method: str
    path: str
    call: Callable[[Any], Any]
    happened: Callable[[], int] | None = None
    blind: bool = False
    most: int = 9

    def is_of(self, meeting: Meeting) -> bool:
        """Tell whether a request was this one, or a connection that was to carry it."""
        return (meeting.method, meeting.path) in ((self.method, self.path), ("", ""))


def sms_cases(place: Place) -> list[Case]:
    """Make the operations of Huawei Cloud SMS."""
    simulator = place.simulator
    (described, deleted), locked = simulator.add_sources(2), simulator.add_replication()
    spec, path = simulator.source_spec(), "/v3/sources"

    def registered() -> int:
        return [source.name for source in simulator._sources.values()].count(spec.name)

    def gone() -> int:
        return deleted not in simulator._sources

    def unlocked() -> int:
        return not simulator.locked(locked)

    do, at, unlock = mc.Operation, f"{path}/{{}}".format, f"/v3/tasks/{locked}/unlock"
    return [
        Case(place, do.REGISTER_SOURCE, "POST", path, lambda client: client.sources.register(spec), registered),
        Case(place, do.DESCRIBE_SOURCE, "GET", at(described), lambda client: client.sources.describe(described)),
        Case(place, do.LIST_SOURCES, "GET", path, lambda client: client.sources.list()),
        Case(
            place, do.DELETE_SOURCE, "DELETE", at(deleted), lambda client: client.sources.delete(deleted), gone, True, 1
        ),
        Case(place, do.UNLOCK_TARGET, "POST", unlock, lambda client: client.targets.unlock(locked), unlocked, True, 1),
    ]


def srm_cases(place: Place) -> list[Case]:
    """Make the operations of Site Recovery Manager, whose changes are tasks: each counts."""
    simulator = place.simulator
    described, deleted = simulator.add_pairings(2)
    spec, task, base = simulator.pairing_spec(), simulator.add_task(), "/api/rest/srm/v2"

    def created() -> int:
        return [task.pairing.remote_vc_server.name for task in simulator._tasks.values()].count(spec.remote_url)

    def begun() -> int:
        return [task.pairing.pairing_id for task in simulator._tasks.values()].count(deleted)

    do, path, at = mc.Operation, f"{base}/pairings", f"{base}/pairings/{{}}".format
    return [
        Case(place, do.CREATE_PAIRING, "POST", path, lambda client: client.pairings.create(spec), created),
        Case(place, do.DESCRIBE_PAIRING, "GET", at(described), lambda client: client.pairings.describe(described)),
        Case(place, do.LIST_PAIRINGS, "GET", path, lambda client: client.pairings.list()),
        Case(place, do.DELETE_PAIRING, "DELETE", at(deleted), lambda client: client.pairings.delete(deleted), begun),
        Case(place, do.GET_TASK, "GET", f"{base}/tasks/{task}", lambda client: client.tasks.get(task)),
        Case(place, do.LIST_TASKS, "GET", f"{base}/tasks", lambda client: client.tasks.list()),
    ]


CASES: dict[str, Callable[[Place], list[Case]]] = {"huawei_sms": sms_cases, "vmware_srm": srm_cases}
KINDS = {"huawei_sms": "login", "vmware_srm": "both"}


@attrs.frozen
class Outcome:
    """What became of a case.

    Attributes:
        error: what the caller saw, unless all was well.
        seconds: how long it took.
        journal: all requests of that time; some come after the caller has left.
    """

    case: Case
    error: BaseException | None
    seconds: float
    journal: Sequence[Meeting]

    @property
    def met(self) -> list[Meeting]:
        """Its requests, and the connections that met a certificate."""
        return [meeting for meeting in self.journal if self.case.is_of(meeting)]


class Place:
    """One vendor: served, with a gate in front, and another that speaks TLS.

    Attributes:
        name: the vendor's provider.
        simulator: the vendor.
    """

    def __init__(self, name: str, trust: Trust, stack: ExitStack) -> None:
        self.name = name
        self.simulator: Any = new_simulator(name, clock=VirtualClock())
        self._inside = self.simulator.transport
        self._plan, self._secure_plan = FaultPlan(), FaultPlan()
        served = stack.enter_context(serve(self.simulator))
        self._origin = stack.enter_context(gate(served, self._plan))
        self._secure_origin = stack.enter_context(gate(served, self._secure_plan, tls=trust.server()))
        self._bundle = trust.bundle

    def reset(self) -> None:
        """Forget everything."""
        self.simulator.reset()
        self._plan.clear()
        self._secure_plan.clear()

    def cases(self) -> list[Case]:
        """Make all operations, each on an object that is new."""
        return CASES[self.name](self)

    def plan(self, door: str, fault: Fault) -> FaultPlan:
        """Give the plan of a door."""
        if door == "in-process":
            plan: FaultPlan = self.simulator.faults
            return plan
        return self._secure_plan if isinstance(fault, Certificate) else self._plan

    def connect(self, caller: Caller, door: str, fault: Fault, **settings: Any) -> Any:
        """Make a client that goes through a door."""
        origin = self._secure_origin if isinstance(fault, Certificate) else self._origin
        through = {} if door == "in-process" else {"endpoint": origin, "verify": self._bundle}
        given = {**self._settings(door), **through, "max_body_bytes": MOST_BYTES, **settings}
        return caller.connect(given.pop("provider", self.name), clock=VirtualClock(), **given)

    def _settings(self, door: str) -> dict[str, Any]:
        return {
            **self.simulator.settings(KINDS[self.name]),
            "transport": self._inside if door == "in-process" else door,
        }

    def secrets(self) -> set[str]:
        """Give what no error may tell: all credentials, and all tokens and sessions that were handed out."""
        known = self.simulator.credentials
        sent = {entry.headers.get(name, "") for entry in self.simulator.journal for name in PRIVATE}
        return {known[name] for name in known if "password" in name or name in ("token", "secret_key")} | sent - {""}


def done(caller: Caller, tries: Sequence[tuple[Case, Any, FaultPlan]]) -> list[Outcome]:
    """Do cases at the same time, each with a client, and the plan that was made for it."""
    attempts = [_attempt(caller, case, client) for case, client, _ in tries]
    seen = caller.together(attempts) if len(attempts) > 1 else [caller(attempts[0]())]
    return [
        Outcome(case, error, seconds, plan.journal)
        for (case, _, plan), (error, seconds) in zip(tries, seen, strict=True)
    ]


def _attempt(caller: Caller, case: Case, client: Any) -> Callable[[], Any]:
    """Prepare a case; what is given back does it, and gives its error and its seconds."""

    def attempt() -> tuple[BaseException | None, float]:
        begun = time.monotonic()
        try:
            result = case.call(client)
            list(result) if hasattr(result, "__next__") else result
        except Exception as error:
            return error, time.monotonic() - begun
        return None, time.monotonic() - begun

    async def attempt_async() -> tuple[BaseException | None, float]:
        begun = time.monotonic()
        try:
            result = case.call(client)
            [_ async for _ in result] if hasattr(result, "__anext__") else await result
        except Exception as error:
            return error, time.monotonic() - begun
        return None, time.monotonic() - begun

    return attempt_async if caller.kind == "async" else attempt


def told(error: BaseException) -> str:
    """Give all that somebody may read of an error."""
    return "".join((*traceback.format_exception(error, limit=0), repr(error), repr(getattr(error, "attempts", ()))))


class Driver(Caller):
    """Drives clients, and sees what they leave behind."""

    def __init__(self, kind: Literal["sync", "async"]) -> None:
        super().__init__(kind)
        self.tasks()  # begins the event loop, which has files of its own
        self._before = _counted()

    def tasks(self) -> int:
        """Count the tasks of the event loop, if there is one, beside the one that counts."""
        return self(_count_tasks()) if self.kind == "async" else 0

    def left_behind(self) -> list[str]:
        """Close the clients; tell what is left once the other ends of their connections have noticed."""
        while self._clients:
            self(self._clients.pop().close())
        moment, until = threading.Event(), time.monotonic() + 20.0
        while (left := self._more()) and time.monotonic() < until:
            moment.wait(0.001)
        tasks = self.tasks()
        return [f"{left} threads and files, and {tasks} tasks, are left"] if left or tasks else []

    def _more(self) -> int:
        return sum(max(0, now - before) for now, before in zip(_counted(), self._before, strict=True))


def _counted() -> tuple[int, int]:
    return threading.active_count(), len(os.listdir("/proc/self/fd"))


async def _count_tasks() -> int:
    return len(asyncio.all_tasks()) - 1
