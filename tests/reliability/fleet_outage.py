"""Takes PostgreSQL away in the middle of a run: ``PYTHONPATH=tests python -m reliability.fleet_outage``.

The server is stopped, or killed, while a worker is busy, and comes back after some seconds; the worker goes on.
"""

from __future__ import annotations

import argparse
import sys
import time

from reliability.fleet_world import World, done, ended, pause, status_of, submitted, wait_until, world


def _outage(place: World, way: str, seconds: float, orders: int) -> bool:
    """Print a row; tells whether all is well."""
    assert place.postgres
    place.vendor.reset()
    journal = place.journal("postgresql")
    run = submitted(journal, place.wave(orders))
    with place.worker(journal, run) as worker:
        wait_until(lambda: place.vendor.count() > orders // 3, worker)
        getattr(place.postgres, way)()
        pause(seconds)
        meanwhile = place.vendor.count()
        place.postgres.start()
        began = time.monotonic()
        wait_until(lambda: place.vendor.count() > meanwhile, worker)
        again = time.monotonic() - began
        ended(worker)
    seen, finished = place.vendor.seen(), done(status_of(journal, run))
    lost = orders - len(seen.names)
    row = (way, f"{seconds:.0f}", meanwhile, f"{again:.1f}", finished, seen.doubles, lost, seen.lookups)
    print("|", " | ".join(map(str, row)), "|", flush=True)
    return finished == orders and seen.doubles == lost == 0


def main() -> int:
    """Run; gives 1 if a machine is there twice or not at all, or an order is not done."""
    parser = argparse.ArgumentParser(prog="python -m reliability.fleet_outage", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="how long the server is away")
    parser.add_argument("--orders", type=int, default=1000, help="machines in each run")
    given = parser.parse_args()
    print("| the server is | away, s | sources by then | first new one after, s | done | doubles | lost | looked for |")
    print("|---" * 8 + "|")
    with world(postgres=True) as place:
        good = [_outage(place, way, given.seconds, given.orders) for way in ("stop", "kill")]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
