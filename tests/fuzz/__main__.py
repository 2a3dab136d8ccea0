"""Fuzzes everything that reads what others wrote: ``PYTHONPATH=tests python -m fuzz --inputs 1000000 --seed 1``.

What fails is written into a folder, as small as it could be made; ``--replay FILE`` tries such a file again.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from fuzz.fuzzing import Report, failure_of, fuzz
from fuzz.targets import Target, targets


def main() -> int:
    """Run; gives 1 if anything failed."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000, help="how many inputs, over all targets")
    parser.add_argument("--seed", type=int, default=1, help="where chance begins")
    parser.add_argument("--target", default="", help="only targets with this in their names")
    parser.add_argument("--failures", type=Path, default=Path("build/fuzz"), help="folder for what fails")
    parser.add_argument("--replay", type=Path, help="try this input again, on the targets of --target")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        chosen = [target for target in targets(Path(folder)) if given.target in target.name]
        if given.replay:
            return _replay(chosen, given.replay.read_bytes())
        return _fuzz(chosen, given.seed, given.inputs, given.failures)


def _fuzz(chosen: Sequence[Target], seed: int, inputs: int, failures: Path) -> int:
    begun = time.perf_counter()
    print("| target | inputs | outcomes | slowest, ms | failures |\n|---|---|---|---|---|")
    reports = []
    for target in chosen:
        report = fuzz(target, seed, -(-inputs // len(chosen)))
        reports.append(report)
        print(_row(report), flush=True)
        for failure in report.failures:
            failures.mkdir(parents=True, exist_ok=True)
            (failures / failure.file).write_bytes(failure.data)
            print(f"{failures / failure.file}: {failure.what}", file=sys.stderr)
    total = sum(report.inputs for report in reports)
    print(f"\n{total} inputs, seed {seed}, {time.perf_counter() - begun:.0f} s")
    return 1 if any(report.failures for report in reports) else 0


def _row(report: Report) -> str:
    slowest = f"{report.slowest * 1000:.0f}"
    cells = (report.target, report.inputs, len(report.outcomes), slowest, len(report.failures))
    return f"| {' | '.join(map(str, cells))} |"


def _replay(chosen: Sequence[Target], data: bytes) -> int:
    found = {target.name: failure_of(target, data) for target in chosen}
    for name, failure in found.items():
        print(f"{name}: {failure or 'fine'}")
    return 1 if any(found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
