"""Fleet runs whose worker is killed at given points, or whose journal is away or full.

The commands ``reliability.fleet_*`` try more of it.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fleet.postgres import Postgres
from fleet.vendors import machine, manifest
from migrate_core import fleet
from migrate_core.clock import SystemClock
from migrate_core.errors import JournalError
from migrate_core.fleet import OrderState
from migrate_core.testing import FaultPlan, gate, serve
from migrate_core.testing.faults import Delay
from migrate_huawei_sms.simulator import HuaweiSmsSimulator
from reliability.fleet_world import WORKER, most_within_a_second, wait_until
from support import ROOT

EACH = 10
"""How many orders are at each point."""

_FOR_EVER = 60.0
"""Seconds for which a gate holds a request: the worker is dead long before."""
_DISK_BYTES = 24 << 20


# Points at which a worker dies.


class Points:
    """Four vendors, the profiles ``a`` to ``d`` of which hold up a worker at four points.

    Orders for ``a`` are not claimed yet, for its secret does not come. ``b`` does not get what is on its way. ``c`` has
    done what it was asked for, and the answer is on its way. The answer of ``d`` has come, and is not written down.

    Attributes:
        simulators: the vendors, by profile.
        answers: how many answers ``d`` has sent.
    """

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.simulators = {name: HuaweiSmsSimulator() for name in "abcd"}
        self.answers = 0
        self.profiles = folder / "profiles.toml"
        self._secret = folder / "secret"
        self._plans = {"b": FaultPlan(), "c": FaultPlan()}
        self._may_answer, self._clock = threading.Event(), SystemClock()
        self._right, self.simulators["d"].app = self.simulators["d"].app, self._serve_d
        self._secret.write_text(self.simulators["a"].credentials["token"])
        with self.profiles.open("w") as profiles:
            for name, simulator in self.simulators.items():
                origin = stack.enter_context(serve(simulator))
                if name in self._plans:
                    self._plans[name].add(Delay(_FOR_EVER), method="POST", after=name == "c", times=None)
                    origin = stack.enter_context(gate(origin, self._plans[name]))
                token = f'command = ["cat", "{self._secret}"]' if name == "a" else 'env = "TEST_TOKEN"'
                profiles.write(f'[{name}]\nprovider = "huawei_sms"\nendpoint = "{origin}"\ntoken = {{ {token} }}\n')

    async def _serve_d(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        async def answer(message: Any) -> None:
            while not self._may_answer.is_set():
                await self._clock.asleep(0.01)
            await send(message)

        await self._right(scope, receive, answer)
        self.answers += 1

    @contextmanager
    def without_secret(self) -> Generator[Callable[[], bool]]:
        """Let whoever asks for the secret of ``a`` wait; gives what tells whether somebody does."""
        token = self._secret.read_text()
        self._secret.unlink()
        os.mkfifo(self._secret)
        with ExitStack() as opened:

            def is_asked_for() -> bool:
                try:
                    end = os.open(self._secret, os.O_WRONLY | os.O_NONBLOCK)
                except OSError:
                    return False
                opened.callback(os.close, end)
                return True

            yield is_asked_for
        self._secret.unlink()
        self._secret.write_text(token)

    def answer(self) -> None:
        """Let ``d`` answer."""
        self._may_answer.set()

    def release(self) -> None:
        """Hold up nothing any more."""
        for plan in self._plans.values():
            plan.clear()

    def names(self, profile: str) -> Counter[str | None]:
        """Count the machines of a vendor by name."""
        return names(self.simulators[profile])


def orders(*profiles: str) -> Iterator[dict[str, Any]]:
    """Make orders for each profile."""
    return ({**machine(number), "profile": profile} for profile in profiles for number in range(EACH))


def states(engine: fleet.FleetEngine, run: str) -> Counter[OrderState]:
    """Count the orders of a run by state."""
    status = engine.status(run)
    return +Counter({state: status.count(state) for state in OrderState})


def another_version(folder: Path) -> Path:
    """Make a copy of the library that is another version, its source changed; gives the folder to import it from."""
    library = folder / "another"
    shutil.copytree(ROOT / "migrate_core", library / "migrate_core", ignore=shutil.ignore_patterns("__pycache__"))
    for file in (library / "migrate_core" / "fleet").glob("*.py"):
        file.write_text(f"{file.read_text()}\n_ANOTHER_VERSION = True\n")
    about = library / "migrate_core-99.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: migrate-core\nVersion: 99.0\n")
    ours = importlib.metadata.distribution("migrate-core")
    (about / "entry_points.txt").write_text(ours.read_text("entry_points.txt") or "")
    return library


@contextmanager
def worker(journal: str, run: str, library: Path, in_flight: int = 50) -> Generator[subprocess.Popen[str]]:
    """Have a worker in a process of its own, which is killed in the end."""
    environ = {**os.environ, "PYTHONPATH": str(library)}
    command = [sys.executable, "-c", WORKER, journal, run, str(in_flight)]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def locked(journal: str) -> Generator[None]:
    """Let nobody else write into the orders of a journal."""
    if "://" in journal:
        with psycopg.connect(journal) as connection:
            connection.execute("LOCK TABLE fleet_orders IN EXCLUSIVE MODE")
            yield
        return
    file = sqlite3.connect(journal, isolation_level=None)
    file.execute("BEGIN IMMEDIATE")
    yield
    file.close()


def test_whatever_its_worker_was_doing_when_it_was_killed_another_version_does_each_order_once(
    journal: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as stack:
        points = Points(tmp_path, stack)
        monkeypatch.setenv("TEST_TOKEN", points.simulators["b"].credentials["token"])
        monkeypatch.setenv("MIGRATE_PROFILES_FILE", str(points.profiles))
        waves = [manifest(tmp_path, orders(*profiles), f"{profiles}.jsonl") for profiles in ("bcd", "a")]
        engine = stack.enter_context(fleet.open_engine(journal))
        first = engine.submit(waves[0])

        with worker(journal, first, another_version(tmp_path)) as doomed, points.without_secret() as secret_is_wanted:
            assert doomed.stdout
            assert doomed.stdout.readline() == "working, migrate-core 99.0\n"
            wait_until(lambda: engine.status(first).count(OrderState.SENDING) == 3 * EACH, doomed)
            second = engine.submit(waves[1])
            wait_until(secret_is_wanted, doomed)
            with locked(journal):
                points.answer()
                wait_until(lambda: points.answers == points.names("c").total() == EACH, doomed)
                doomed.kill()
                doomed.wait()

        assert states(engine, first) == {OrderState.SENDING: 3 * EACH}
        assert states(engine, second) == {OrderState.WAITING: EACH}
        assert {name: points.names(name).total() for name in "abcd"} == {"a": 0, "b": 0, "c": EACH, "d": EACH}

        points.release()
        engine.work(first)
        engine.work(second)

        assert states(engine, first) + states(engine, second) == {OrderState.DONE: 4 * EACH}
        for profile in "abcd":
            assert points.names(profile) == Counter(f"machine-{number}" for number in range(EACH))


# Journals that are away, or full, and limits that are shared.


@contextmanager
def cloud(
    folder: Path, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object] = lambda: None, **settings: object
) -> Generator[HuaweiSmsSimulator]:
    """Have a vendor with the profile ``cloud``, where something happens in the middle: after `EACH` requests."""
    simulator = HuaweiSmsSimulator()
    right, left = simulator.app, iter(range(EACH, -1, -1))

    async def eventful(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await right(scope, receive, send)
        if next(left, -1) == 0:
            act()

    simulator.app = eventful
    monkeypatch.setenv("TEST_TOKEN", simulator.credentials["token"])
    monkeypatch.setenv("MIGRATE_PROFILES_FILE", str(folder / "profiles.toml"))
    with serve(simulator) as origin:
        lines = ["[cloud]", 'provider = "huawei_sms"', 'token = { env = "TEST_TOKEN" }', f'endpoint = "{origin}"']
        lines += [f"{name} = {value}" for name, value in settings.items()]
        (folder / "profiles.toml").write_text("\n".join(lines))
        yield simulator


def machines(count: int) -> Iterator[dict[str, Any]]:
    """Make orders for ``cloud``."""
    return map(machine, range(count))


def description(source_id: str) -> dict[str, Any]:
    """Make an order to describe a source of ``cloud``."""
    return {"profile": "cloud", "operation": "describe_source", "id": source_id}


def names(simulator: HuaweiSmsSimulator) -> Counter[str | None]:
    return Counter(source.name for source in simulator._sources.values())


def test_a_run_goes_on_when_the_database_comes_back(
    postgres: Postgres, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = threading.Timer(0.3, postgres.start)

    def go_away() -> None:
        postgres.stop()
        away.start()

    with cloud(tmp_path, monkeypatch, go_away) as simulator:
        status = fleet.run(manifest(tmp_path, machines(4 * EACH)), journal=database, in_flight=EACH)
    away.join()
    assert status.count(OrderState.DONE) == 4 * EACH
    assert names(simulator) == Counter(f"machine-{number}" for number in range(4 * EACH))


class Disk:
    """A small disk.

    Attributes:
        folder: where it is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self) -> None:
        """Leave no room on it."""
        with pytest.raises(OSError, match="No space left"):
            (self.folder / "ballast").write_bytes(bytes(_DISK_BYTES))

    def clear(self) -> None:
        """Leave room on it again."""
        (self.folder / "ballast").unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A disk that is not full yet."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount, unmount = shutil.which("mount"), shutil.which("umount")
    options = ["-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "tmpfs", str(folder)]
    if mount is None or unmount is None or subprocess.run([mount, *options], capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted: that takes Linux, and root")
    yield Disk(folder)
    subprocess.run([unmount, str(folder)], check=True)


@pytest.mark.parametrize("moment", ["before the worker comes", "before it has a lot", "in the middle"])
def test_on_a_full_disk_a_run_stops_with_an_error_and_goes_on_when_there_is_room(
    moment: str, disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    middle = disk.fill if moment == "in the middle" else lambda: None
    fill_once = iter([disk.fill] if moment == "before it has a lot" else [])
    with (
        cloud(tmp_path, monkeypatch, middle) as simulator,
        fleet.open_engine(disk.folder / "fleet.db") as engine,
    ):
        described = simulator.add_sources(5 * EACH)  # what they are takes room in the journal
        rows = [row for number, source in enumerate(described) for row in (machine(number), description(source))]
        run = engine.submit(manifest(tmp_path, rows))
        if moment == "before the worker comes":
            disk.fill()
        with pytest.raises(JournalError, match="full"):
            engine.work(run, in_flight=EACH, on_status=lambda _: next(fill_once, int)())
        assert 0 < engine.status(run).left <= len(rows)
        assert bool(simulator.journal) == (moment == "in the middle")
        disk.clear()
        engine.work(run)
        assert states(engine, run) == {OrderState.DONE: len(rows)}
    assert names(simulator) == Counter(row["document"]["name"] for row in rows if "document" in row) + Counter(
        f"host-{number}" for number in range(len(described))
    )


def test_on_a_full_disk_nothing_is_submitted(disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with cloud(tmp_path, monkeypatch), fleet.open_engine(disk.folder / "fleet.db") as engine:
        first, second = manifest(tmp_path, [machine(999)], "a.jsonl"), manifest(tmp_path, machines(100), "b.jsonl")
        run = engine.submit(first)
        disk.fill()
        with pytest.raises(JournalError, match="full"):
            engine.submit(second)
        assert [status.run for status in engine.runs()] == [run]


def test_two_workers_share_a_rate_limit(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit, count = 20, 45
    with cloud(tmp_path, monkeypatch, rate_limit=limit) as simulator, fleet.open_engine(database) as engine:
        run = engine.submit(manifest(tmp_path, machines(count)))
        with worker(database, run, ROOT, in_flight=5) as other:
            wait_until(lambda: bool(simulator.journal), other)
            engine.work(run, in_flight=5)
            assert other.wait(60) == 0
    starts = [entry.at.timestamp() for entry in simulator.journal]
    assert len(starts) == count
    assert most_within_a_second(starts) < 1.5 * limit  # with a limit for each, it would be twice
