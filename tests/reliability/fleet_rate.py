"""Two workers share a rate limit: ``PYTHONPATH=tests python -m reliability.fleet_rate``.

What counts is when the requests came to the vendor, who has no limit of its own.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack

from reliability.fleet_world import done, ended, most_within_a_second, status_of, submitted, world


def main() -> int:
    """Run; gives 1 if there were more requests in a second than there may be."""
    parser = argparse.ArgumentParser(prog="python -m reliability.fleet_rate", description=__doc__)
    parser.add_argument("--limits", type=int, nargs="+", default=[10, 50, 100], help="requests a second")
    parser.add_argument("--seconds", type=int, default=20, help="how long each is tried")
    parser.add_argument("--workers", type=int, default=2, help="how many share a limit")
    given = parser.parse_args()
    print("| limit, 1/s | workers | orders done | requests | seconds | most in any second |\n|---" + 5 * "|---" + "|")
    good = True
    for limit in given.limits:
        with world(postgres=True, rate_limit=limit) as place, ExitStack() as stack:
            wave, journal = place.wave(limit * given.seconds), place.journal("postgresql")
            run = submitted(journal, wave)
            for worker in [stack.enter_context(place.worker(journal, run)) for _ in range(given.workers)]:
                ended(worker)
            seen, orders = place.vendor.seen(), done(status_of(journal, run))
            most, seconds = most_within_a_second(seen.starts), seen.starts[-1] - seen.starts[0]
            print(f"| {limit} | {given.workers} | {orders} | {len(seen.starts)} | {seconds:.1f} | {most} |", flush=True)
            good = good and most <= limit and orders == wave.total
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
