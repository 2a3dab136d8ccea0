"""Kills workers of fleet runs and lets others go on: ``PYTHONPATH=tests python -m reliability.fleet_kills``.

Each run registers machines at one vendor. At some moment, when so many of them are registered as chance will have it,
a worker is killed with SIGKILL. In the end the vendor has to have each machine once.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack

import attrs

from migrate_core.fleet import Manifest
from reliability.fleet_world import World, done, ended, pause, status_of, submitted, wait_until, world

WAYS = ("SQLite", "PostgreSQL", "PostgreSQL, two workers")

_PAUSE = 0.02
"""Seconds within which a worker dies after so many machines were registered."""


@attrs.frozen
class Death:
    """What became of a run whose worker was killed.

    Attributes:
        way: the journal and the workers.
        at: how many machines the vendor had by then.
        sources: how many it had in the end.
        doubles: how many of them were too many.
        lost: how many machines it had not.
        done: how many orders are done, as the journal has it.
        reconciled: how many machines were looked for, since nobody knew whether they are there.
        seconds: how long it took, from the kill to the end.
    """

    way: str
    at: int
    sources: int
    doubles: int
    lost: int
    done: int
    reconciled: int
    seconds: float

    @property
    def good(self) -> bool:
        """Whether each machine is there once, and the journal knows."""
        return self.doubles == self.lost == 0 and self.done == self.sources


def deaths(way: str, runs: int, orders: int, seed: int) -> Iterator[Death]:
    """Kill a worker of each of some runs."""
    chance = random.Random(f"{seed}/{way}")
    with world(postgres=way != WAYS[0]) as place:
        wave = place.wave(orders)
        for _ in range(runs):
            place.vendor.reset()
            yield _death(place, way, wave, chance)


def _death(place: World, way: str, wave: Manifest, chance: random.Random) -> Death:
    journal = place.journal("sqlite" if way == WAYS[0] else "postgresql")
    run = submitted(journal, wave)
    moment = chance.randrange(wave.total)
    with ExitStack() as stack:
        doomed = stack.enter_context(place.worker(journal, run))
        others = [stack.enter_context(place.worker(journal, run))] if way == WAYS[2] else []
        wait_until(lambda: place.vendor.count() > moment, doomed, *others)
        pause(chance.uniform(0, _PAUSE))
        doomed.kill()
        begun, at = time.monotonic(), place.vendor.count()
        doomed.wait()
        others = others or [stack.enter_context(place.worker(journal, run))]
        for other in others:
            ended(other)
        seconds = time.monotonic() - begun
    seen, status = place.vendor.seen(), status_of(journal, run)
    return Death(
        way=way,
        at=at,
        sources=seen.names.total(),
        doubles=seen.doubles,
        lost=wave.total - len(seen.names),
        done=done(status),
        reconciled=seen.lookups,
        seconds=seconds,
    )


def main() -> int:
    """Run; gives 1 if a machine is there twice or not at all."""
    parser = argparse.ArgumentParser(prog="python -m reliability.fleet_kills", description=__doc__)
    parser.add_argument("--runs", type=int, default=10, help="how many of each kind")
    parser.add_argument("--orders", type=int, default=1000, help="machines in each run")
    parser.add_argument("--seed", type=int, default=1, help="where chance begins")
    parser.add_argument("--way", choices=WAYS, action="append", help="only this kind; may be repeated")
    given = parser.parse_args()
    print("| journal | killed at | sources | doubles | lost | done | looked for | seconds |\n|---|" + 7 * "---|")
    good = True
    for way in given.way or WAYS:
        for death in deaths(way, given.runs, given.orders, given.seed):
            print("|", " | ".join(map(str, attrs.astuple(death)[:-1])), f"| {death.seconds:.1f} |", flush=True)
            good = good and death.good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
