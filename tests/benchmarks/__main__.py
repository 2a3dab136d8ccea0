"""Runs the benchmarks and prints their tables; ``make bench`` puts them into ``docs/benchmarks.md``.

``--smoke`` makes few rounds of little work: it shows that the benchmarks run, and nothing about speed.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

import attrs

from benchmarks import calls, objects, starting
from benchmarks.races import Result, race
from benchmarks.server import served

_OURS, _SDK = "migrate-core", "the vendor's SDK"
_PACKAGES = ("migrate-core", "httpx", "httpcore", "attrs", "huaweicloudsdksms")


@attrs.frozen
class Plan:
    """How much work is done."""

    rounds: int
    calls: int
    fleet: int
    units: int
    held: int


FULL, SMOKE = Plan(7, 500, 2000, 500, 10_000), Plan(1, 5, 60, 5, 20)


def report(plan: Plan) -> Iterator[str]:
    """Run everything; gives the page, line by line."""
    yield from _heading(plan)
    with served() as port:
        with calls.one_by_one(port, plan.calls) as contestants:
            yield from _table("One call after the other", race(contestants, plan.rounds), baseline="httpx")
        for in_flight in (1, 50, 200):
            with calls.many_at_once(port, plan.fleet, in_flight) as contestants:
                title = f"{plan.fleet} calls, {in_flight} in flight"
                yield from _table(title, race(contestants, max(plan.rounds // 2, 1)), baseline="8 threads")
        yield from _starts("One call from a cold process", starting.first_calls(port), plan.rounds)
    with served(delay=0.03) as port, calls.many_at_once(port, plan.fleet, 50) as contestants:
        title = f"{plan.fleet} calls, 50 in flight, the server takes 30 ms"
        yield from _table(title, race(contestants, max(plan.rounds // 3, 1)), baseline="8 threads")
    yield from _starts("Importing", starting.IMPORTS, plan.rounds)
    yield from _table("Reading the query's answer", race(objects.decoding(plan.units), plan.rounds), baseline=_SDK)
    encoding = race(objects.encoding(plan.units), plan.rounds)
    yield from _table("Checking and writing a registration", encoding, baseline=_SDK)
    yield from _memory(plan.held)


def _heading(plan: Plan) -> Iterator[str]:
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES)
    yield "# Benchmarks"
    yield ""
    yield (
        f"Made on {datetime.now(UTC):%Y-%m-%d} by `make bench`, on {platform.machine()} with "
        f"{platform.python_implementation()} {platform.python_version()}; {versions}."
    )
    yield ""
    yield (
        "The contestants take turns in each round, in one process, against a server in another one; the figures are "
        f"medians of {plan.rounds} rounds, or of fewer where a round is long. The machine is shared and noisy, so read "
        "the ratios: how many times the CPU, or the time, of the one that is called 1.00."
    )


def _table(title: str, results: Mapping[str, Result], *, baseline: str) -> Iterator[str]:
    base = next(result for name, result in results.items() if baseline in name)
    yield from ("", f"## {title}", "", "| | CPU each | CPU, ratio | time each | time, ratio | least CPU each |")
    yield "|---|---|---|---|---|---|"
    for name, result in results.items():
        yield (
            f"| {name} | {_us(result.median_cpu)} | {result.median_cpu / base.median_cpu:.2f} "
            f"| {_us(result.median_wall)} | {result.median_wall / base.median_wall:.2f} | {_us(min(result.cpu))} |"
        )


def _starts(title: str, scripts: Mapping[str, str], rounds: int) -> Iterator[str]:
    taken: dict[str, list[float]] = {name: [] for name in scripts}
    contestants: Sequence[tuple[str, Callable[[], float]]] = starting.starts(scripts)
    for number in range(rounds):
        turn = number % len(contestants)
        for name, start in (*contestants[turn:], *contestants[:turn]):
            taken[name].append(start())
    base = statistics.median(taken[_SDK])
    yield from ("", f"## {title}", "", "| | CPU of the process | ratio |", "|---|---|---|")
    for name, seconds in taken.items():
        middle = statistics.median(seconds)
        yield f"| {name} | {middle * 1000:.0f} ms | {middle / base:.2f} |"


def _memory(count: int) -> Iterator[str]:
    sizes = objects.memory(count)
    yield from ("", f"## Holding {count} described sources", "", "| | bytes each | ratio |", "|---|---|---|")
    for name, size in sizes.items():
        yield f"| {name} | {size:.0f} | {size / sizes[_SDK]:.2f} |"


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:.0f} µs"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="run little of everything")
    for line in report(SMOKE if parser.parse_args().smoke else FULL):
        print(line, flush=True)
