"""Simulators with many things: what a request takes does not depend on how many there are, nor does what is kept of it.

A request is measured by itself, on the CPU of its thread, and the least of many alike counts: so it does not matter
what else the machine does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import pytest

import migrate_core as mc
from migrate_core.clock import Deadline
from migrate_core.provider import Request, Response
from migrate_core.testing import Simulator, VirtualClock, new_simulator
from migrate_core.transports import AsyncTransport, Transport, TransportOptions

FEW, MANY = 500, 10_000
MOST = 4.0
"""How many times as much a request may take of `MANY` as of `FEW`; if it looked at all of them, it would be 20."""

ROUNDS = 12
"""How many times each thing is done."""


class Stopwatch:
    """Leads to a simulator, and measures it without its client.

    Attributes:
        seconds: the least CPU seconds that a request took since `clear`.
        last: the latest request.
    """

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self.clear()

    def clear(self) -> None:
        self.seconds = float("inf")

    def open(self, options: TransportOptions) -> Transport:
        self._inside = self._simulator.transport.open(options)
        return self

    def open_async(self, options: TransportOptions) -> AsyncTransport:
        raise NotImplementedError

    def send(self, request: Request, deadline: Deadline) -> Response:
        begun = time.thread_time()
        response = self._inside.send(request, deadline)
        self.seconds = min(self.seconds, time.thread_time() - begun)
        self.last, self._deadline = request, deadline
        return response

    def list(self, path: str, **query: object) -> Response:
        """Ask for a part of a list, with the headers of whoever asked last."""
        wanted = tuple((name, str(value)) for name, value in query.items())
        return self.send(attrs.evolve(self.last, method="GET", path=path, query=wanted, body=b""), self._deadline)

    def close(self) -> None:
        """Nothing is open."""


def sms(simulator: Any, client: mc.Client, watch: Stopwatch, count: int) -> Mapping[str, Callable[[], object]]:
    sources = simulator.add_sources(count)
    for source in sources[: count // 2]:
        simulator.start_migration(source)
    some, spec = iter(sources), simulator.source_spec()
    return {
        "register": lambda: client.sources.register(spec),
        "describe": lambda: client.sources.describe(sources[count // 2]),
        "list": lambda: watch.list("/v3/sources", limit=1, offset=count // 2),
        "look up": lambda: watch.list("/v3/sources", name=f"host-{count // 2}"),
        "delete": lambda: client.sources.delete(next(some)),
    }


def srm(simulator: Any, client: mc.Client, watch: Stopwatch, count: int) -> Mapping[str, Callable[[], object]]:
    pairings = simulator.add_pairings(count)
    tasks = [simulator.add_task() for _ in range(count)]
    some, base = iter(pairings), "/api/rest/srm/v2"
    return {
        "describe": lambda: client.pairings.describe(pairings[count // 2]),
        "create": lambda: client.pairings.create(simulator.pairing_spec()),
        "list": lambda: watch.list(f"{base}/pairings", limit=1, offset=count // 2),
        "tasks": lambda: watch.list(f"{base}/tasks", limit=1, offset=count // 2),
        "task": lambda: client.tasks.get(tasks[count // 2]),
        "delete": lambda: client.pairings.delete(next(some)),
    }


def mgn(simulator: Any, client: mc.Client, watch: Stopwatch, count: int) -> Mapping[str, Callable[[], object]]:
    sources = simulator.add_sources(count)
    tasks, some = [simulator.add_task() for _ in range(count)], iter(sources)
    return {
        "describe": lambda: client.sources.describe(sources[count // 2]),
        "list": lambda: next(client.sources.list()),
        "tasks": lambda: next(client.tasks.list()),
        "task": lambda: client.tasks.get(tasks[count // 2]),
        "delete": lambda: client.sources.delete(next(some)),
    }


def seconds_of_each(
    name: str, begin: Callable[..., Mapping[str, Callable[[], object]]], count: int
) -> dict[str, float]:
    """Do each thing with a simulator that has `count` of everything; gives what its cheapest request took."""
    simulator = new_simulator(name, clock=VirtualClock())
    watch = Stopwatch(simulator)
    taken = {}
    with mc.connect(name, clock=simulator.clock, **{**simulator.settings(), "transport": watch}) as client:
        for what, do in begin(simulator, client, watch, count).items():
            watch.clear()
            for _ in range(ROUNDS):
                do()
            taken[what] = watch.seconds
    return taken


@pytest.mark.parametrize(("name", "begin"), [("huawei_sms", sms), ("vmware_srm", srm), ("aws_mgn", mgn)])
def test_a_request_takes_as_much_of_a_large_simulator_as_of_a_small_one(
    name: str, begin: Callable[..., Mapping[str, Callable[[], object]]]
) -> None:
    few, many = (seconds_of_each(name, begin, count) for count in (FEW, MANY))
    growth = {what: many[what] / few[what] for what in few}
    assert {what for what, times in growth.items() if times > MOST} == set(), growth
