"""What the trials of fleet runs are made of: a vendor, workers that can be killed, and journals.

The vendor is a process of its own, ``python -m reliability.fleet_world``. It answers after some milliseconds, so that
a kill meets calls that are under way.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import attrs

from fleet.postgres import Postgres, served
from fleet.vendors import machine, manifest
from migrate_core import fleet
from migrate_core.clock import SystemClock
from migrate_core.fleet import Manifest, OrderState, RunStatus
from migrate_core.testing import serve
from migrate_huawei_sms.simulator import HuaweiSmsSimulator

WORKER = """
import importlib.metadata, sys
from migrate_core import fleet

journal, run, in_flight = sys.argv[1:]
with fleet.open_engine(journal) as engine:
    print("working, migrate-core", importlib.metadata.version("migrate-core"), flush=True)
    engine.work(run, in_flight=int(in_flight))
"""

PATIENCE = 120.0


# The vendor.


def host(delay: float) -> None:
    """Be the vendor until stdin ends; each line of it is a question, and answered with a line of JSON."""
    simulator = HuaweiSmsSimulator()
    simulator.journal.kept = None
    right, clock, chance = simulator.app, SystemClock(), random.Random(1)

    async def late(scope: dict[str, Any], receive: Any, send: Any) -> None:
        async def answer(message: Any) -> None:
            if message["type"] == "http.response.start":
                await clock.asleep(chance.uniform(0, delay))
            await send(message)

        await clock.asleep(chance.uniform(0, delay))
        await right(scope, receive, answer)

    simulator.app = late
    questions: Mapping[str, Callable[[], Any]] = {
        "count": lambda: len(simulator._sources),
        "reset": simulator.reset,
        "seen": lambda: {
            "names": [source.name for source in simulator._sources.values()],
            "requests": [
                (entry.at.timestamp(), entry.method, bool(entry.query), entry.status) for entry in simulator.journal
            ],
        },
    }
    with serve(simulator) as origin:
        print(json.dumps({"endpoint": origin, "token": simulator.credentials["token"]}), flush=True)
        for line in sys.stdin:
            print(json.dumps(questions[line.strip()]()), flush=True)


@attrs.frozen
class Seen:
    """What a vendor has seen.

    Attributes:
        names: how many sources there are of each name.
        starts: when each request came, in seconds since 1970.
        posts: how many of them were to register something.
        lookups: how many of them looked for a name.
    """

    names: Counter[str]
    starts: Sequence[float]
    posts: int
    lookups: int

    @property
    def doubles(self) -> int:
        """How many sources are there that there should not be."""
        return self.names.total() - len(self.names)


def most_within_a_second(starts: Sequence[float]) -> int:
    """Give the largest number of requests that came within any one second."""
    most, first = 0, 0
    for number, at in enumerate(starts):
        while at - starts[first] >= 1:
            first += 1
        most = max(most, number - first + 1)
    return most


class Vendor:
    """A vendor in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.door: Mapping[str, str] = self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout
        return json.loads(self._process.stdout.readline())

    def _ask(self, question: str) -> Any:
        assert self._process.stdin
        self._process.stdin.write(f"{question}\n")
        self._process.stdin.flush()
        return self._answer()

    def count(self) -> int:
        """Count its sources."""
        count: int = self._ask("count")
        return count

    def reset(self) -> None:
        """Let it forget everything."""
        self._ask("reset")

    def seen(self) -> Seen:
        """Tell what it has seen."""
        seen = self._ask("seen")
        requests = sorted(seen["requests"])
        return Seen(
            names=Counter(seen["names"]),
            starts=[at for at, *_ in requests],
            posts=sum(method == "POST" for _, method, *_ in requests),
            lookups=sum(method == "GET" and filtered for _, method, filtered, _ in requests),
        )


# The world.


@attrs.frozen
class World:
    """A vendor, a folder, a profile for the vendor, and what its workers need to know.

    Attributes:
        vendor: the vendor, which the profile ``cloud`` leads to.
        folder: a folder of its own.
        environ: the environment of a worker.
        postgres: a server; ``None`` unless it was asked for.
    """

    vendor: Vendor
    folder: Path
    environ: dict[str, str]
    postgres: Postgres | None

    def journal(self, kind: str) -> str:
        """Give an empty journal, ``sqlite`` or ``postgresql``."""
        if kind == "sqlite":
            return str(Path(tempfile.mkdtemp(dir=self.folder)) / "fleet.db")
        assert self.postgres
        return self.postgres.new_database()

    def wave(self, orders: int) -> Manifest:
        """Give a manifest of machines to be registered."""
        return manifest(self.folder, map(machine, range(1, orders + 1)))

    @contextmanager
    def worker(self, journal: str, run: str, in_flight: int = 50) -> Iterator[subprocess.Popen[str]]:
        """Have a worker in a process of its own, which is killed in the end."""
        command = [sys.executable, "-c", WORKER, journal, run, str(in_flight)]
        with subprocess.Popen(command, env=self.environ, stdout=subprocess.PIPE, text=True) as process:
            try:
                yield process
            finally:
                process.kill()


@contextmanager
def world(*, delay: float = 0.01, postgres: bool = False, **settings: Any) -> Iterator[World]:
    """Make a world, and let this process know its profile, too.

    Args:
        delay: the most seconds by which a request is late at the vendor's, and its answer on the way back.
        postgres: whether to have a PostgreSQL server.
        **settings: further settings of the profile.
    """
    before = dict(os.environ)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="migrate-core-fleet-")))
        server = stack.enter_context(served()) if postgres else None
        vendor = stack.enter_context(_vendor(delay))
        lines = ["[cloud]", 'provider = "huawei_sms"', 'token = { env = "TRIAL_TOKEN" }']
        lines += [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
        (folder / "profiles.toml").write_text("\n".join([*lines, f'endpoint = "{vendor.door["endpoint"]}"', ""]))
        os.environ |= {
            **(server.environ if server else {}),
            "MIGRATE_PROFILES_FILE": str(folder / "profiles.toml"),
            "TRIAL_TOKEN": vendor.door["token"],
        }
        try:
            yield World(vendor, folder, dict(os.environ), server)
        finally:
            os.environ.clear()
            os.environ.update(before)


@contextmanager
def _vendor(delay: float) -> Iterator[Vendor]:
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    environ = {**os.environ, "PYTHONPATH": path}
    command = [sys.executable, "-m", "reliability.fleet_world", "--delay", str(delay)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ) as process:
        try:
            yield Vendor(process)
        finally:
            process.kill()


def submitted(journal: str, wave: Manifest) -> str:
    """Take a manifest into a journal; gives the run."""
    with fleet.open_engine(journal) as engine:
        return engine.submit(wave)


def status_of(journal: str, run: str) -> RunStatus:
    """Tell how far a run is."""
    with fleet.open_engine(journal) as engine:
        return engine.status(run)


def wait_until(holds: Callable[[], bool], *workers: subprocess.Popen[str]) -> None:
    """Wait until something holds, while the workers live.

    Raises:
        TimeoutError: it does not come to that.
    """
    until = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > until or any(worker.poll() is not None for worker in workers):
            raise TimeoutError("it did not come that far")
        pause(0.002)


def pause(seconds: float) -> None:
    """Let time pass for processes that no clock of ours reaches."""
    threading.Event().wait(seconds)


def ended(worker: subprocess.Popen[str]) -> None:
    """Wait for a worker that has nothing left to do.

    Raises:
        RuntimeError: it ended badly.
    """
    if worker.wait(PATIENCE):
        raise RuntimeError(f"a worker ended with {worker.returncode}")


def done(status: RunStatus) -> int:
    """Count the orders of a run that were done."""
    return status.count(OrderState.DONE)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--delay", type=float, default=0.01)
    host(parser.parse_args().delay)
