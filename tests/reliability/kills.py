"""Kills scripts that register a machine, and runs them again: ``PYTHONPATH=tests python -m reliability.kills``.

Each script is killed with SIGKILL between its request and the answer: before the vendor did anything, after it did, or
at some moment of its life. The second run has to end with the one source that there is.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import attrs

from migrate_core.documents import encode
from migrate_core.testing import FaultPlan, gate, serve
from migrate_core.testing.faults import Delay
from migrate_huawei_sms.mapping import document_for
from migrate_huawei_sms.simulator import HuaweiSmsSimulator

SCRIPT = """
import json, sys
import migrate_core as mc

document = json.load(sys.stdin)
with mc.connect("huawei_sms", on_ambiguous="reconcile") as cloud:
    print("connected", flush=True)
    task = cloud.sources.register(mc.SourceSpec(name=document["name"], details=document))
    print(task.wait(), flush=True)
"""
MOMENTS = ("before the vendor did anything", "after the vendor did it", "at some moment")

_HELD = 30.0
"""Seconds for which a request or its answer is held up; the script is dead long before."""
_LIFE = 0.3
"""Within how many seconds after it connected a script is killed `at some moment`."""
_PATIENCE = 50.0


@attrs.frozen
class Death:
    """What became of a machine whose script was killed.

    Attributes:
        moment: when it was killed.
        sent: whether the vendor had the registration by then.
        sources: how many sources there are of it in the end.
        agreed: whether the second run names the one that there is.
    """

    moment: str
    sent: bool
    sources: int
    agreed: bool


def deaths(runs: int, seed: int) -> Iterator[Death]:
    """Kill one script after the other."""
    chance = random.Random(seed)
    simulator, plan = HuaweiSmsSimulator(), FaultPlan()
    with serve(simulator) as origin, gate(origin, plan) as door:
        for run in range(runs):
            yield _death(simulator, plan, door, MOMENTS[run % len(MOMENTS)], chance)


def _death(simulator: HuaweiSmsSimulator, plan: FaultPlan, door: str, moment: str, chance: random.Random) -> Death:
    machine = document_for(simulator.source_spec())
    name, document = machine.name or "", json.dumps(encode(machine)).encode()
    environ = {**os.environ, "MIGRATE_ENDPOINT": door, "MIGRATE_TOKEN": simulator.credentials["token"]}
    plan.clear()
    if moment != MOMENTS[2]:
        plan.add(Delay(_HELD), method="POST", after=moment == MOMENTS[1])
    with _running(document, environ) as script:
        assert script.stdout is not None
        script.stdout.readline()
        if moment == MOMENTS[2]:
            _lives(script, chance.uniform(0, _LIFE))
        else:
            _live_until(script, lambda: any(request.fault for request in plan.journal))
            _live_until(script, lambda: moment == MOMENTS[0] or bool(_of(simulator, name)))
        script.kill()
    sent = bool(_of(simulator, name))
    plan.clear()
    with _running(document, environ) as script:
        said, _ = script.communicate(timeout=_PATIENCE)
    found = _of(simulator, name)
    return Death(moment, sent, len(found), said.decode().split()[-1:] == found)


@contextmanager
def _running(document: bytes, environ: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", SCRIPT]
    with subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as script:
        assert script.stdin is not None
        script.stdin.write(document)
        script.stdin.close()
        script.stdin = None
        try:
            yield script
        finally:
            script.kill()


def _lives(script: subprocess.Popen[bytes], seconds: float) -> bool:
    """Let a script live for so long, if it does."""
    with suppress(subprocess.TimeoutExpired):
        script.wait(seconds)
        return False
    return True


def _live_until(script: subprocess.Popen[bytes], holds: Callable[[], bool]) -> None:
    until = time.monotonic() + _PATIENCE
    while not holds():
        if not _lives(script, 0.001) or time.monotonic() > until:
            raise TimeoutError("the script did not come that far")


def _of(simulator: HuaweiSmsSimulator, name: str) -> list[str]:
    """Give the ids of the sources of that name."""
    return [source_id for source_id, source in list(simulator._sources.items()) if source.name == name]


def main() -> int:
    """Run; gives 1 if a machine has not exactly one source in the end."""
    parser = argparse.ArgumentParser(prog="python -m reliability.kills", description=__doc__)
    parser.add_argument("--runs", type=int, default=100, help="how many scripts")
    parser.add_argument("--seed", type=int, default=1, help="where chance begins")
    given = parser.parse_args()
    seen = list(deaths(given.runs, given.seed))
    print("| killed | scripts | the vendor had it | one source, named by the second run |\n|---|---|---|---|")
    for moment in MOMENTS:
        of = [death for death in seen if death.moment == moment]
        counts = Counter((death.sources, death.agreed) for death in of)
        print(f"| {moment} | {len(of)} | {sum(death.sent for death in of)} | {counts[1, True]} |")
    return 0 if all((death.sources, death.agreed) == (1, True) for death in seen) else 1


if __name__ == "__main__":
    sys.exit(main())
