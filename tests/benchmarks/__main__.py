"""Runs the benchmarks and prints their page; ``make bench`` puts it into ``docs/benchmarks.md``.

``--smoke`` makes few rounds of little work: it shows that the benchmarks run, and nothing about speed.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import attrs

from benchmarks import calls, growth, objects, polling, starting
from benchmarks.races import Result, race
from benchmarks.server import SourceList, served

T = TypeVar("T")

_OURS, _BARE, _SDK, _FAST = "migrate-core", "httpx", "the vendor's SDK", "fast"
_RAW = "raw content"
_PACKAGES = ("migrate-core", "httpx", "httpcore", "attrs", "aiohttp", "msgspec", "orjson", "huaweicloudsdksms")


@attrs.frozen(kw_only=True)
class Plan:
    """How much work is done.

    Attributes:
        rounds: of most races.
        short: how many times as many of the shortest.
        calls: in a round, one after the other.
        fleet: calls in a round, many at once.
        units: answers and documents in a round.
        held: how many answers are held.
        polled: how many tasks are looked at in each way.
        sources: how long the lists are.
        tasks: how many are waited for.
    """

    rounds: int
    short: int
    calls: int
    fleet: int
    units: int
    held: int
    polled: int
    sources: Sequence[int]
    tasks: Sequence[int]


FULL = Plan(
    rounds=9,
    short=5,
    calls=100,
    fleet=2000,
    units=500,
    held=10_000,
    polled=polling.TASKS,
    sources=(1_000, 10_000, 100_000),
    tasks=(100, 1_000, 10_000),
)
SMOKE = Plan(rounds=1, short=1, calls=5, fleet=60, units=5, held=20, polled=2, sources=(200, 400), tasks=(5, 10))


@attrs.frozen
class Goal:
    """What is aimed at, and what came of it; ``None`` was not measured."""

    what: str
    target: str
    measured: str
    is_met: bool

    @property
    def state(self) -> str:
        """One word for it."""
        return "met" if self.is_met else "open"

    def __str__(self) -> str:
        return f"{self.what}: target {self.target}; here {self.measured}: **{self.state}**"


@attrs.frozen
class Section:
    """A table with its goals."""

    title: str
    lines: Sequence[str]
    goals: Sequence[Goal] = ()


def _at_most(what: str, ratio: float | None, limit: float) -> Goal:
    return Goal(what, f"at most {limit:g} x", _times(ratio), ratio is not None and ratio <= limit)


def _at_least(what: str, ratio: float | None, limit: float) -> Goal:
    return Goal(what, f"at least {limit:g} x", _times(ratio), ratio is not None and ratio >= limit)


def _times(ratio: float | None) -> str:
    return "not measured" if ratio is None else f"{ratio:.2f} x"


def page(plan: Plan, command: str) -> Iterator[str]:
    """Run everything; gives the page, line by line."""
    sections = []
    for section in _sections(plan):
        print(section.title, *(f"- {goal}" for goal in section.goals), sep="\n", file=sys.stderr, flush=True)
        sections.append(section)
    yield from _heading(plan, command)
    yield from ("", "## Targets", "", "| what | target | measured | |", "|---|---|---|---|")
    for goal in (goal for section in sections for goal in section.goals):
        yield f"| {goal.what} | {goal.target} | {goal.measured} | {goal.state} |"
    for section in sections:
        yield from ("", f"## {section.title}", "", *section.lines)
        if section.goals:
            yield ""
        for goal in section.goals:
            yield f"- {goal}"


def _heading(plan: Plan, command: str) -> Iterator[str]:
    versions = ", ".join(f"{name} {version}" for name in _PACKAGES if (version := _version(name)))
    yield "# Benchmarks"
    yield ""
    yield (
        f"Made on {datetime.now(UTC):%Y-%m-%d} by `{command}`, which `make bench` runs, on {_machine()} with "
        f"{platform.python_implementation()} {platform.python_version()}; {versions}."
    )
    yield ""
    yield (
        "The contestants take turns in each round, in one process, against a server in another one; the figures are "
        f"medians of {plan.rounds} rounds or so, and the ratios those of medians, to the one that is called 1.00. The "
        "machine is shared and noisy: what others do on it adds to a figure, so the least of all rounds stands beside."
    )
    if not calls.has_fast():
        yield ""
        yield "The transport `fast` is not installed here: its rows are missing, and its targets are open."


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _machine() -> str:
    described = Path("/proc/cpuinfo")
    lines = described.read_text(encoding="utf-8").splitlines() if described.exists() else []
    models = {line.partition(":")[2].strip() for line in lines if line.startswith("model name")}
    return f"{os.cpu_count()} cores ({', '.join(sorted(models)) or 'unknown model'}, {platform.machine()})"


def _sections(plan: Plan) -> Iterator[Section]:
    with served() as port:
        yield _one_by_one(port, plan)
        yield from _at_once(port, plan)
        yield _cold_calls(port, plan)
    with served(delay=0.03) as port:
        yield _with_delay(port, plan)
    yield _imports(plan)
    yield _decoding(plan)
    yield _encoding(plan)
    yield _memory(plan)
    yield from _polling(plan)
    with served() as port:
        yield _listing(port, plan)
    yield _waiting(plan)


# Calls.


def _one_by_one(port: int, plan: Plan) -> Section:
    with calls.one_by_one(port, plan.calls) as contestants:
        results = race(contestants, plan.rounds * plan.short)
    goals = (
        _at_most("a call, its CPU beside `httpx.Client.get().json()`", _cpu(results, _OURS, _BARE), 1.0),
        _at_least("calls per second beside the SDK's", _faster(results, _OURS), 2.6),
        _at_least("calls per second with transport=fast beside the SDK's", _faster(results, _FAST), 4.5),
    )
    return Section("One call after the other", _table(results, _BARE), goals)


def _at_once(port: int, plan: Plan) -> Iterator[Section]:
    cpu: dict[int, float] = {}
    for in_flight in (1, 50, 200):
        with calls.many_at_once(port, plan.fleet, in_flight) as contestants:
            results = race(contestants, max(plan.rounds // 2, 1))
        cpu[in_flight] = results[_OURS].median_cpu
        goals: tuple[Goal, ...] = ()
        if in_flight == 50:
            goals = _fleet_goals(results, "50 in flight", 1.6, 4.5)
        elif in_flight == 200:
            grown = cpu[200] / cpu[1]
            goals = (_at_most("a call with 200 in flight, its CPU beside that with 1 in flight", grown, 1.2),)
        yield Section(f"{plan.fleet} calls, {in_flight} in flight", _table(results, _SDK), goals)


def _with_delay(port: int, plan: Plan) -> Section:
    with calls.many_at_once(port, plan.fleet, 50) as contestants:
        results = race(contestants, max(plan.rounds // 2, 1))
    goals = _fleet_goals(results, "50 in flight, 30 ms", 2.5, 5.0)
    return Section(f"{plan.fleet} calls, 50 in flight, the server takes 30 ms", _table(results, _SDK), goals)


def _fleet_goals(results: Mapping[str, Result], how: str, ours: float, fast: float) -> tuple[Goal, ...]:
    what = f"calls per second, {how}, beside the SDK's in 8 threads"
    return (
        _at_least(what, _faster(results, _OURS), ours),
        _at_least(what.replace(",", ", with transport=fast,", 1), _faster(results, _FAST), fast),
    )


def _cpu(results: Mapping[str, Result], one: str, other: str) -> float | None:
    """Compare the CPU of two; ``None`` where one of them is missing."""
    first, second = _of(results, one), _of(results, other)
    return first.median_cpu / second.median_cpu if first and second else None


def _faster(results: Mapping[str, Result], one: str) -> float | None:
    """Tell how many times faster than the SDK one is, by the wall clock."""
    first, second = _of(results, one), _of(results, _SDK)
    return second.median_wall / first.median_wall if first and second else None


def _of(found: Mapping[str, T], *names: str) -> T | None:
    """Give what is called so, or else the first with that in its name."""
    for name in names:
        if name in found:
            return found[name]
        for longer, one in found.items():
            if name in longer:
                return one
    return None


def _table(results: Mapping[str, Result], baseline: str) -> Sequence[str]:
    base = _of(results, baseline)
    assert base
    rows = [
        f"| {name} | {_us(result.median_cpu)} | {result.median_cpu / base.median_cpu:.2f} "
        f"| {_us(result.median_wall)} | {result.median_wall / base.median_wall:.2f} "
        f"| {_us(result.least_cpu)} | {_us(result.least_wall)} |"
        for name, result in results.items()
    ]
    head = "| | CPU each | CPU, ratio | time each | time, ratio | least CPU | least time |"
    return [head, "|---|---|---|---|---|---|---|", *rows]


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:.0f} µs"


# Processes that start.


def _cold_calls(port: int, plan: Plan) -> Section:
    taken = _starts(starting.first_calls(port), plan.rounds)
    middle = _medians(taken)
    goals = (
        _at_most("a first call from a cold process, its CPU beside the SDK's", _share(middle, _OURS), 1.0),
        _at_most("the same with transport=fast", _share(middle, _FAST), 0.75),
    )
    return Section("One call from a cold process", _start_table(taken), goals)


def _imports(plan: Plan) -> Section:
    taken = _starts(starting.IMPORTS, plan.rounds)
    middle = _medians(taken)
    net = {name: seconds - middle[starting.PYTHON] for name, seconds in middle.items()}
    what = "importing every public name, its CPU beside the SDK's import, both without Python's own start"
    goal = _at_most(what, _share(net, _OURS), 0.3)
    return Section("Importing", _start_table(taken), [goal])


def _starts(scripts: Mapping[str, str], rounds: int) -> dict[str, list[float]]:
    """Give the CPU seconds that a process with each script took in each round."""
    taken: dict[str, list[float]] = {name: [] for name in scripts}
    contestants: Sequence[tuple[str, Callable[[], float]]] = starting.starts(scripts)
    for number in range(rounds):
        turn = number % len(contestants)
        for name, start in (*contestants[turn:], *contestants[:turn]):
            taken[name].append(start())
    return taken


def _share(found: Mapping[str, float], one: str, *others: str) -> float | None:
    first, second = _of(found, one), _of(found, *others, _SDK)
    return first / second if first is not None and second else None


def _start_table(taken: Mapping[str, Sequence[float]]) -> Sequence[str]:
    base = statistics.median(_of(taken, _SDK) or ())
    rows = [
        f"| {name} | {statistics.median(seconds) * 1000:.0f} ms | {statistics.median(seconds) / base:.2f} "
        f"| {min(seconds) * 1000:.0f} ms |"
        for name, seconds in taken.items()
    ]
    return ["| | CPU of the process | ratio | least |", "|---|---|---|---|", *rows]


def _medians(taken: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


# Objects.


def _decoding(plan: Plan) -> Section:
    results = race(objects.decoding(plan.units), plan.rounds)
    goals = (
        _at_least("reading an answer, times faster than the SDK", _cpu(results, _SDK, _OURS), 3.5),
        _at_least("reading an answer with the extra `fast`", _cpu(results, _SDK, _FAST), 4.5),
    )
    return Section("Reading the query's answer", _table(results, _SDK), goals)


def _encoding(plan: Plan) -> Section:
    results = race(objects.encoding(plan.units), plan.rounds)
    goals = (
        _at_least("checking and writing a registration, times faster than the SDK", _cpu(results, _SDK, _OURS), 1.5),
        _at_least("checking and writing a registration with the extra `fast`", _cpu(results, _SDK, _FAST), 4.0),
    )
    return Section("Checking and writing a registration", _table(results, _SDK), goals)


def _memory(plan: Plan) -> Section:
    sizes = objects.memory(plan.held)
    base = _of(sizes, _RAW, _SDK)
    assert base
    rows = [f"| {name} | {size:.0f} | {size / base:.2f} |" for name, size in sizes.items()]
    lean = _share(sizes, "keep_raw=False", _RAW)
    goals = (
        _at_most(
            "a source that is held, beside the SDK's object with its raw content", _share(sizes, _OURS, _RAW), 0.7
        ),
        _at_most("the same with keep_raw=False", lean, 0.45),
    )
    return Section(
        f"Holding {plan.held} described sources", ["| | bytes each | ratio |", "|---|---|---|", *rows], goals
    )


# Waiting.

_NOTICED = {"5 s": (0.6, 6), "1 min": (0.6, 10), "10 min": (1.6, 35), "2 h": (15, 300)}
"""How late the end of a task may be noticed in the mean, in seconds, and after how many requests."""


def _polling(plan: Plan) -> Iterator[Section]:
    for title, kind in polling.KINDS.items():
        found = polling.measured(plan.polled, **kind)
        goals = [
            Goal(
                f"a task of {nominal}: mean delay until its end is noticed, for so many requests",
                f"at most {delay:g} s, {requests}",
                f"{ours[0]:.2f} s, {ours[1]:.1f}",
                ours[0] <= delay and ours[1] <= requests,
            )
            for (nominal, (delay, requests)), ours in zip(_NOTICED.items(), found[polling.OURS], strict=True)
        ]
        yield Section(f"Noticing the end: {title}", list(polling.table(found)), goals if not kind else ())


# Growth.


def _listing(port: int, plan: Plan) -> Section:
    listings = growth.listings(port, plan.sources, plan.rounds // 2 + 1)
    lines = ["| | sources | requests | least CPU each | ratio | peak of memory |", "|---|---|---|---|---|---|"]
    goals: list[Goal] = []
    for few, *more in _by_kind(listings):
        lines += [
            f"| {_OURS}, {one.kind} | {one.count:,} | {one.requests} | {_us(one.cpu)} | {one.cpu / few.cpu:.2f} "
            f"| {one.peak / 1e6:.2f} MB |"
            for one in (few, *more)
        ]
        goals += _listing_goals(few, more)
    return Section("Reading a list from end to end", lines, goals)


def _by_kind(listings: Iterable[growth.Listing]) -> Iterable[Sequence[growth.Listing]]:
    kinds: dict[str, list[growth.Listing]] = {}
    for one in listings:
        kinds.setdefault(one.kind, []).append(one)
    return kinds.values()


def _listing_goals(few: growth.Listing, more: Sequence[growth.Listing]) -> Iterator[Goal]:
    most = more[-1]
    answer = len(SourceList(1000).page(few.count // few.requests, 0)) / 1e6
    what = f"a list of {most.count:,} sources beside one of {few.count:,} ({few.kind})"
    linear = all(one.requests * few.count == few.requests * one.count for one in more)
    counts = ", ".join(str(one.requests) for one in (few, *more))
    yield Goal(f"{what}: requests", f"one for {few.count // few.requests} sources", counts, linear)
    yield _at_most(f"{what}: CPU for one source", most.cpu / few.cpu, 1.1)
    grown = (most.peak - few.peak) / 1e6
    yield Goal(f"{what}: memory", f"at most {answer:.2f} MB more, one page", f"{grown:+.2f} MB", grown <= answer)


def _waiting(plan: Plan) -> Section:
    few, *more = waits = growth.waits(plan.tasks, plan.rounds)
    lines = [
        "| | tasks | requests | for one task | timers in all | at once | least CPU for one task | ratio |",
        "|---|---|---|---|---|---|---|---|",
        *(
            f"| {_OURS} | {one.count:,} | {one.looks} | {one.looks / one.count:.2f} | {one.sleeps} | {one.at_once} "
            f"| {_us(one.cpu)} | {one.cpu / few.cpu:.2f} |"
            for one in waits
        ),
    ]
    most = more[-1]
    what = f"a wait for {most.count:,} tasks beside one for {few.count:,}"
    at_once = max(one.at_once for one in waits)
    goals = (
        _at_most(f"{what}: requests for one task", most.looks / most.count * few.count / few.looks, 1.1),
        _at_most(f"{what}: CPU for one task", most.cpu / few.cpu, 1.1),
        Goal(f"{what}: timers at once", "1", str(at_once), at_once == 1),
    )
    return Section("Waiting for many tasks of a minute", lines, goals)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="run little of everything")
    is_smoke = parser.parse_args().smoke
    command = "PYTHONPATH=tests python -m benchmarks" + (" --smoke" if is_smoke else "")
    for line in page(SMOKE if is_smoke else FULL, command):
        print(line, flush=True)


if __name__ == "__main__":
    main()
