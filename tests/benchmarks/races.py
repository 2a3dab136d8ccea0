"""Contestants side by side: in every round each has its turn, and the order changes from round to round."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence

import attrs

__all__ = ["Result", "race"]


@attrs.define
class Result:
    """What a contestant needed for one unit of work, in seconds, in each round."""

    name: str
    wall: list[float] = attrs.Factory(list)
    cpu: list[float] = attrs.Factory(list)

    @property
    def median_wall(self) -> float:
        """The median of the wall times."""
        return statistics.median(self.wall)

    @property
    def median_cpu(self) -> float:
        """The median of the CPU times."""
        return statistics.median(self.cpu)

    @property
    def least_wall(self) -> float:
        """The least of the wall times."""
        return min(self.wall)

    @property
    def least_cpu(self) -> float:
        """The least of the CPU times."""
        return min(self.cpu)


def race(contestants: Sequence[tuple[str, Callable[[], int]]], rounds: int) -> dict[str, Result]:
    """Let contestants work in turns.

    Args:
        contestants: names, and what does some work and tells how many units it was.
        rounds: how many rounds count; one more goes before them, to warm up.

    Returns:
        Their results, by name.
    """
    results = {name: Result(name) for name, _ in contestants}
    for number in range(rounds + 1):
        turn = number % len(contestants)
        for name, work in (*contestants[turn:], *contestants[:turn]):
            gc.collect()
            wall, cpu = time.perf_counter(), time.process_time()
            units = work()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            if number:
                results[name].wall.append(wall / units)
                results[name].cpu.append(cpu / units)
    return results
