"""How cost grows with number: lists of many sources, and waits for many tasks.

Whatever is measured here is the same work in each round, so the least CPU time is taken of each block of it by itself:
on a shared machine, a work of many seconds is never undisturbed as a whole.
"""

from __future__ import annotations

import asyncio
import gc
import http.client
import random
import time
import tracemalloc
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar, TypeAlias

import attrs

import migrate_core as mc
from benchmarks.calls import KEYS
from benchmarks.polling import courses
from benchmarks.server import HOST
from migrate_core.clock import Deadline
from migrate_core.errors import error_class_for
from migrate_core.operations import Capability, Operation, Support
from migrate_core.provider import BaseProvider, Flow, Request, Response, Settings, TaskInfo, TaskStatus, url_path
from migrate_core.testing import VirtualClock

BLOCK = 1000
"""How many sources, or looks, are a block."""

Marks: TypeAlias = list[float]
"""The process's CPU seconds at the beginning, after each block, and at the end."""


@attrs.frozen
class Listing:
    """What a list of `count` sources took.

    Attributes:
        kind: which client read it.
        requests: how many pages it asked for.
        cpu: the least CPU seconds for one source.
        peak: the most bytes that were in use at once.
    """

    kind: str
    count: int
    requests: int
    cpu: float
    peak: int


def listings(port: int, counts: Sequence[int], rounds: int) -> list[Listing]:
    """Read lists from the server to their ends, one source after the other, and keep none."""
    origin = f"http://{HOST}:{port}"
    return [
        listing
        for kind, client in (("sync", _sync(origin)), ("async", _async(origin)))
        for listing in _listings(kind, client, port, counts, rounds)
    ]


def _listings(
    kind: str, client: AbstractContextManager[Callable[[], Marks]], port: int, counts: Sequence[int], rounds: int
) -> Iterator[Listing]:
    requests: dict[int, int] = {}
    with client as read:

        def through(count: int) -> Marks:
            _resize(port, count)
            marks = read()
            requests[count] = _resize(port, 0)
            return marks

        cpu = least_cpu(through, counts, rounds)
        peaks = {count: traced_peak(partial(through, counts[0]), partial(through, count)) for count in counts}
    for count in counts:
        yield Listing(kind, count, requests[count], cpu[count], peaks[count])


@contextmanager
def _sync(origin: str) -> Generator[Callable[[], Marks]]:
    with mc.connect("huawei_sms", endpoint=origin, **KEYS) as client:

        def read() -> Marks:
            marks = [time.process_time()]
            for number, _ in enumerate(client.sources.list(), start=1):
                if number % BLOCK == 0:
                    marks.append(time.process_time())
            return [*marks, time.process_time()]

        yield read


@contextmanager
def _async(origin: str) -> Generator[Callable[[], Marks]]:
    client = mc.connect_async("huawei_sms", endpoint=origin, **KEYS)

    async def read() -> Marks:
        marks, number = [time.process_time()], 0
        async for _ in client.sources.list():
            number += 1
            if number % BLOCK == 0:
                marks.append(time.process_time())
        return [*marks, time.process_time()]

    with asyncio.Runner() as runner:
        yield lambda: runner.run(read())
        runner.run(client.close())


def _resize(port: int, count: int) -> int:
    """Have the server's list made so long; gives how many pages of the last one were asked for."""
    connection = http.client.HTTPConnection(HOST, port)
    connection.request("GET", f"/resize?count={count}")
    requests = int(connection.getresponse().read())
    connection.close()
    return requests


@attrs.frozen
class Wait:
    """What waiting for `count` tasks took.

    Attributes:
        looks: how many requests were made.
        sleeps: how many timers were set.
        at_once: how many of them ran side by side, at most.
        cpu: the least CPU seconds for one task.
    """

    count: int
    looks: int
    sleeps: int
    at_once: int
    cpu: float


def waits(counts: Sequence[int], rounds: int, seconds: float = 60.0) -> list[Wait]:
    """Wait for tasks that take about so many seconds, under asyncio and on a virtual clock."""
    vendors: dict[int, _Vendor] = {}

    def wait(count: int) -> Marks:
        vendors[count] = vendor = _Vendor(seconds)
        asyncio.run(_waited(vendor, count))
        return [*vendor.marks, time.process_time()]

    cpu = least_cpu(wait, counts, rounds)
    found = [(count, vendors[count], vendors[count].clock) for count in counts]
    return [Wait(count, vendor.looks, clock.sleeps, clock.most_at_once, cpu[count]) for count, vendor, clock in found]


async def _waited(vendor: _Vendor, count: int) -> None:
    client = mc.AsyncClient(_Tasked(Settings()), vendor, vendor.clock)
    client._engine.rng.seed(1)
    infos = (TaskInfo(id=str(number), status=TaskStatus.RUNNING, progress=0.0) for number in range(count))
    await client.tasks.wait_all([mc.AsyncTask[None](client, info) for info in infos])


class _CountingClock(VirtualClock):
    """Sees how often somebody sleeps, and how many at the same time."""

    def __init__(self) -> None:
        super().__init__()
        self.sleeps = self.most_at_once = self._asleep = 0

    async def asleep(self, seconds: float) -> None:
        self.sleeps += 1
        self._asleep += 1
        self.most_at_once = max(self.most_at_once, self._asleep)
        await super().asleep(seconds)
        self._asleep -= 1


class _Vendor:
    """A vendor whose tasks go a hundred different ways, and the transport that leads to it."""

    def __init__(self, seconds: float) -> None:
        self.clock = _CountingClock()
        self.looks = 0
        self.marks = [time.process_time()]
        self._courses = list(courses(seconds, 100, random.Random(1)))

    async def send(self, request: Request, deadline: Deadline) -> Response:
        self.looks += 1
        if self.looks % BLOCK == 0:
            self.marks.append(time.process_time())
        await asyncio.sleep(0)
        course = self._courses[int(request.path.rpartition("/")[2]) % len(self._courses)]
        info = course.at(self.clock.monotonic())
        return Response(status=200, body=f"{info.status.value} {info.progress}".encode())

    async def close(self) -> None:
        """Nothing is open."""


class _Tasked(BaseProvider):
    """Has tasks, and no list of them."""

    name = "tasked"
    capabilities: ClassVar[Mapping[Operation, Capability]] = {Operation.GET_TASK: Capability(Support.FULL)}

    def endpoints(self) -> Mapping[str, str]:
        return {"main": "https://tasked.invalid"}

    def error_from(self, response: Response) -> mc.ApiError:
        return error_class_for(response.status)("no", provider=self.name, status=response.status)

    def get_task(self, last: TaskInfo) -> Flow[TaskInfo]:
        response = yield Request(method="GET", path=url_path("tasks", last.id), repeatable=True)
        status, progress = response.body.decode().split()
        return TaskInfo(id=last.id, status=TaskStatus(status), progress=float(progress))


def least_cpu(work: Callable[[int], Marks], counts: Sequence[int], rounds: int) -> dict[int, float]:
    """Give the least CPU seconds that one of so many took: the sum of the least of each block.

    What is short is done several times in a round, so that it has no better chance of a quiet moment, nor a worse one.
    """
    spent: dict[int, list[list[float]]] = {count: [] for count in counts}
    times = {count: max(max(counts) // (10 * count), 1) for count in counts}
    for _ in range(rounds):
        for count in counts:
            gc.collect()
            series = [work(count) for _ in range(times[count])]
            spent[count].append([later - earlier for marks in series for earlier, later in pairwise(marks)])
    return {count: sum(map(min, zip(*blocks, strict=True))) / (count * times[count]) for count, blocks in spent.items()}


def traced_peak(warm_up: Callable[[], Any], work: Callable[[], Any]) -> int:
    """Give the most bytes of Python's memory that `work` had in use at once, with those that `warm_up` has left."""
    gc.collect()
    tracemalloc.start()
    try:
        warm_up()
        tracemalloc.reset_peak()
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
