"""Cancels fleet runs in their middle: ``PYTHONPATH=tests python -m reliability.fleet_cancel``.

Measured is the time from the command, in another process than the worker, to the last request that starts. What was
sent has to be over in the journal, and everything else was never sent.
"""

from __future__ import annotations

import argparse
import random
import sys
import time

from migrate_core import fleet
from migrate_core.fleet import OrderState
from reliability.fleet_world import World, done, ended, status_of, submitted, wait_until, world


def _cancelled(place: World, kind: str, orders: int, chance: random.Random) -> bool:
    """Print a row; tells whether all is well."""
    place.vendor.reset()
    journal, moment = place.journal(kind), chance.randrange(orders // 2)
    run = submitted(journal, place.wave(orders))
    with place.worker(journal, run) as worker, fleet.open_engine(journal) as engine:
        engine.status(run)  # so that the journal is open
        wait_until(lambda: place.vendor.count() > moment, worker)
        begun = time.time()
        engine.cancel(run)
        took = time.time() - begun
        ended(worker)
    seen, status = place.vendor.seen(), status_of(journal, run)
    never, last = status.count(OrderState.CANCELLED), max(0.0, seen.starts[-1] - begun)
    print(f"| {kind} | {orders} | {done(status)} | {never} | {took:.2f} | {last:.2f} |", flush=True)
    return done(status) == len(seen.names) == seen.posts == orders - never and seen.doubles == 0


def main() -> int:
    """Run; gives 1 if something is half done."""
    parser = argparse.ArgumentParser(prog="python -m reliability.fleet_cancel", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="how many on each kind of journal")
    parser.add_argument("--orders", type=int, default=1000, help="machines in each run")
    parser.add_argument("--seed", type=int, default=1, help="where chance begins")
    given = parser.parse_args()
    chance = random.Random(given.seed)
    print(
        "| journal | orders | done | never sent | the command, s | last request after, s |\n|---|---|---|---|---|---|"
    )
    with world(postgres=True) as place:
        kinds = ("sqlite", "postgresql")
        good = [_cancelled(place, kind, given.orders, chance) for kind in kinds for _ in range(given.runs)]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
