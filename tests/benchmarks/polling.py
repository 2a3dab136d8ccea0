"""How soon the end of a task is noticed, and for how many requests, beside the ways in which others look.

All of it happens on a virtual clock. ``python tests/benchmarks/polling.py`` prints the tables; a test holds a smaller
one to the targets.
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import attrs

from migrate_core import _poll
from migrate_core._engine import Sleep, Steps
from migrate_core.provider import TaskInfo, TaskStatus
from migrate_core.testing import VirtualClock

NOMINAL = {"5 s": 5.0, "1 min": 60.0, "10 min": 600.0, "2 h": 7200.0}
TASKS = 400
KINDS: Mapping[str, Mapping[str, Any]] = {
    "tasks that begin at once": {},
    "a fifth of the time in a queue": {"queue": 0.2},
    "a fifth of the time in a queue that says nothing but 0 %": {"queue": 0.2, "tells": False},
}
OURS = "migrate-core: progress-aware, 1 to 30 s"


@attrs.frozen
class Course:
    """How one task goes: after its time in the queue, it is done to the share ``(t / T) ** bend``.

    Attributes:
        seconds: from its start to its end.
        queued: seconds in the queue, with which it begins.
        bend: how far its progress is from even.
        tells: whether it says that it is in the queue.
    """

    seconds: float
    queued: float
    bend: float
    tells: bool = True

    def at(self, moment: float) -> TaskInfo:
        """What the vendor says of it, in whole percents."""
        worked = (moment - self.queued) / (self.seconds - self.queued)
        percent = math.floor(100 * min(max(worked, 0.0), 1.0) ** self.bend)
        status = TaskStatus.QUEUED if worked < 0 and self.tells else TaskStatus.RUNNING
        return TaskInfo(id="t", status=TaskStatus.SUCCESS if worked >= 1 else status, progress=percent)


@attrs.frozen
class Noticed:
    """How late an end was noticed, and after how many requests."""

    delay: float
    requests: int


Policy: TypeAlias = Callable[[Course, random.Random], Noticed]


def ours(course: Course, rng: random.Random) -> Noticed:
    """Wait for a task as the clients do."""
    clock = VirtualClock()
    looks: list[float] = []

    def look(_: TaskInfo, __: float) -> Steps[TaskInfo]:
        looks.append(clock.monotonic())
        return course.at(looks[-1])
        yield  # a generator that asks for nothing

    one = _poll.Watch(course.at(0.0), look, lambda _: None, clock=clock, rng=rng)
    for effect in _poll.watch(one, clock=clock, timeout=None):
        assert isinstance(effect, Sleep)
        clock.sleep(effect.seconds)
    return Noticed(looks[-1] - course.seconds, len(looks))


def fixed(interval: float) -> Policy:
    """Look in even steps."""
    return lambda course, rng: _stepping(course, lambda _: interval)


def exponential(first: float, longest: float) -> Policy:
    """Look in steps that double, each of random length up to that."""
    return lambda course, rng: _stepping(
        course, lambda step: rng.uniform(0, min(first * 2.0 ** min(step, 60), longest))
    )


def _stepping(course: Course, delay: Callable[[int], float]) -> Noticed:
    now, requests = 0.0, 0
    while now < course.seconds:
        now += delay(requests)
        requests += 1
    return Noticed(now - course.seconds, requests)


POLICIES: dict[str, Policy] = {
    OURS: ours,
    "fixed 5 s": fixed(5.0),
    "fixed 30 s": fixed(30.0),
    "exponential 1 to 20 s, full jitter": exponential(1.0, 20.0),
}


def courses(
    nominal: float, count: int, rng: random.Random, *, queue: float = 0.0, tells: bool = True
) -> Iterator[Course]:
    """Make tasks that take about as long as is said, a share of it in the queue."""
    for _ in range(count):
        seconds = nominal * rng.uniform(0.7, 1.3)
        yield Course(seconds, seconds * queue, rng.uniform(0.75, 1.3), tells)


def mean(policy: Policy, tasks: Iterable[Course], rng: random.Random) -> tuple[float, float]:
    """Give the mean delay in seconds, and the mean number of requests."""
    noticed = [policy(course, rng) for course in tasks]
    return sum(one.delay for one in noticed) / len(noticed), sum(one.requests for one in noticed) / len(noticed)


def measured(count: int = TASKS, **kind: Any) -> dict[str, Sequence[tuple[float, float]]]:
    """Give the means of each policy for each of the nominal times."""
    return {
        name: [
            mean(policy, courses(nominal, count, random.Random(1), **kind), random.Random(2))
            for nominal in NOMINAL.values()
        ]
        for name, policy in POLICIES.items()
    }


def table(found: Mapping[str, Iterable[tuple[float, float]]]) -> Iterator[str]:
    """Make one table of means: delay in seconds / requests."""
    yield "| mean delay / mean number of requests | " + " | ".join(NOMINAL) + " |"
    yield "| --- |" + " ---: |" * len(NOMINAL)
    for name, means in found.items():
        yield f"| {name} | " + " | ".join(f"{delay:.2f} s / {requests:.1f}" for delay, requests in means) + " |"


def main() -> None:
    """Print the tables."""
    for title, kind in KINDS.items():
        sys.stdout.writelines(f"{line}\n" for line in (title, "", *table(measured(**kind)), ""))


if __name__ == "__main__":
    main()
