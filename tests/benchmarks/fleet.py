"""What durability costs: fleet runs beside a bare loop that makes the same calls with the same client.

``PYTHONPATH=tests python -m benchmarks.fleet`` prints tables in Markdown. Each contestant registers the machines of one
manifest, with so many calls under way, in a process of its own; the vendor is a server that answers after some
milliseconds and does nothing else. They take turns in each round, and the figures are medians.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import attrs
import psycopg

import migrate_core as mc
from benchmarks.server import HOST, TESTS
from fleet.postgres import Postgres, served
from fleet.vendors import machine
from migrate_core import fleet

BARE, SQLITE, POSTGRESQL = CONTESTANTS = ("a bare loop", "a run on SQLite", "a run on PostgreSQL")

_HERE = "benchmarks.fleet"
_MIB = 2**20


# The vendor.


class _Registrar(asyncio.Protocol):
    """Answers each registration with another id, some time after its body has come."""

    count = 0

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._unread += data
        while (end := self._end()) <= len(self._unread):
            self._unread = self._unread[end:]
            _Registrar.count += 1
            body = b'{"id":"00000000-0000-4000-8000-%012d"}' % _Registrar.count
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
            asyncio.get_running_loop().call_later(self._delay, self._answer, head + body)

    def _end(self) -> float:
        """Tell where the first request ends."""
        head, found, _ = self._unread.partition(b"\r\n\r\n")
        if not found:
            return float("inf")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        return len(head) + 4 + sum(int(line.partition(b":")[2]) for line in lengths)

    def _answer(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)


async def _serve(delay: float) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: _Registrar(delay), HOST, 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def _vendor(delay: float) -> Iterator[int]:
    with _started("--serve", "--delay", str(delay)) as process:
        assert process.stdout
        yield int(process.stdout.readline())


@contextmanager
def _started(*words: str) -> Iterator[subprocess.Popen[str]]:
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", _HERE, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as process:
        try:
            yield process
        finally:
            process.kill()


# The contestants.


@attrs.frozen
class Figures:
    """What a contestant took.

    Attributes:
        check: seconds for checking the manifest.
        submit: seconds for taking it into the journal.
        work: seconds for carrying it out.
        cpu: CPU seconds of its process for all of that.
        peak: the most memory of its process, in bytes.
    """

    check: float
    submit: float
    work: float
    cpu: float
    peak: int


def _carried_out(file: Path, journal: str | None, in_flight: int) -> Figures:
    moments = [time.perf_counter()]
    manifest = fleet.read_manifest(file)
    moments.append(time.perf_counter())
    if journal is None:
        moments.append(moments[-1])
        asyncio.run(_bare(manifest, in_flight))
        moments.append(time.perf_counter())
    else:
        with fleet.open_engine(journal) as engine:
            run = engine.submit(manifest)
            moments.append(time.perf_counter())
            engine.work(run, in_flight=in_flight)
            moments.append(time.perf_counter())
            assert engine.status(run).count(fleet.OrderState.DONE) == manifest.total
    check, submit, work = (later - earlier for earlier, later in pairwise(moments))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Figures(check, submit, work, time.process_time(), peak)


async def _bare(manifest: fleet.Manifest, in_flight: int) -> None:
    orders = manifest.orders()

    async def work(client: mc.AsyncClient) -> None:
        for order in orders:
            await (await client.sources.register(order.source(), **order.options)).wait()

    async with mc.connect_async(profile="cloud") as client:
        await asyncio.gather(*(work(client) for _ in range(in_flight)))


# Where the time goes.


OWNERS = {
    "DBOS, with its part of the database": ("/dbos/",),
    "our journal, with its part of the database": ("/fleet/journal.py", "/fleet/_writes.py", "/fleet/_seats.py"),
    "the rest of the fleet's code": ("/migrate_core/fleet/",),
    "the client and HTTP": ("/migrate_core/", "/providers/", "/httpx/", "/httpcore/", "/h11/", "/aiohttp/", "/anyio/"),
    "the event loop": ("/asyncio/",),
}


class Sampler:
    """Looks at all threads now and then, and charges the CPU time that each used meanwhile to the code it is in."""

    def __init__(self, every: float = 0.005) -> None:
        self.seconds: Counter[str] = Counter()
        self._every = every
        self._before: dict[int, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Sampler:
        sys.setswitchinterval(self._every / 50)  # or it would look only when a thread begins to wait
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._ended.wait(self._every):
            frames = sys._current_frames()
            for thread in set(threading.enumerate()) - {self._thread}:
                with suppress(OSError):  # it has ended
                    self._charge(thread.native_id or 0, frames.get(thread.ident or 0))

    def _charge(self, thread: int, frame: FrameType | None) -> None:
        used = int(Path(f"/proc/self/task/{thread}/schedstat").read_text().split()[0]) / 1e9
        self.seconds[_owner(frame)] += used - self._before.get(thread, used)
        self._before[thread] = used


def _owner(frame: FrameType | None) -> str:
    """Tell whose the innermost code is that is anybody's."""
    while frame:
        for owner, parts in OWNERS.items():
            if any(part in frame.f_code.co_filename for part in parts):
                return owner
        frame = frame.f_back
    return "others"


# The race.


@attrs.frozen
class Round:
    """What a contestant took in one round.

    Attributes:
        figures: what its process says.
        server: CPU seconds of the PostgreSQL server.
        database: bytes that the journal has in the end.
    """

    figures: Figures
    server: float
    database: int


class Race:
    """The manifest, the vendor and the databases of a race."""

    def __init__(self, orders: int, in_flight: int, folder: Path, postgres: Postgres) -> None:
        self.file = folder / "wave.jsonl"
        self._in_flight = in_flight
        self._folder = folder
        self._postgres = postgres
        self._journals = 0
        with self.file.open("w", encoding="utf-8") as manifest:
            manifest.writelines(f"{json.dumps(machine(number))}\n" for number in range(orders))

    def round(self, contestant: str) -> Round:
        """Let a contestant work."""
        journal, before = self._journal(contestant), self._server_cpu()
        figures = Figures(**self.tell("--journal", journal))
        return Round(figures, self._server_cpu() - before, self._size(contestant, journal))

    def tell(self, *words: str) -> Any:
        """Run a contestant; gives what it says."""
        with _started("--work", str(self.file), "--in-flight", str(self._in_flight), *words) as process:
            said, _ = process.communicate()
        return json.loads(said)

    def _journal(self, contestant: str) -> str:
        self._journals += 1
        if contestant == POSTGRESQL:
            return self._postgres.new_database()
        return str(self._folder / f"{self._journals}.db") if contestant == SQLITE else ""

    def _size(self, contestant: str, journal: str) -> int:
        if contestant == POSTGRESQL:
            with psycopg.connect(journal) as connection:
                (size,) = connection.execute("SELECT pg_database_size(current_database())").fetchone() or (0,)
            return int(size)
        return sum(file.stat().st_size for file in self._folder.glob(f"{Path(journal).name}*")) if journal else 0

    def _server_cpu(self) -> float:
        """Give the CPU seconds of the server and of all that it has started, by now."""
        return sum(_cpu_of(process) for process in [self._postgres.pid, *_children(self._postgres.pid)])


def _children(parent: int) -> Sequence[int]:
    return [int(child) for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def _cpu_of(process: int) -> float:
    """Give the CPU seconds of a process and of its children that have ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def table(rounds: Mapping[str, Sequence[Round]], orders: int) -> Iterator[str]:
    """Give the figures of all rounds, as Markdown."""

    def median(of: Sequence[float]) -> float:
        return statistics.median(of)

    yield "| | operations/s | check, s | submit, s | CPU, ms each | its database, ms each | peak, MiB | journal, MiB |"
    yield "|---" * 8 + "|"
    for name, of in rounds.items():
        cells = [
            f"{orders / median([one.figures.work for one in of]):.0f}",
            f"{median([one.figures.check for one in of]):.1f}",
            f"{median([one.figures.submit for one in of]):.1f}",
            f"{median([one.figures.cpu for one in of]) / orders * 1000:.2f}",
            f"{median([one.server for one in of]) / orders * 1000:.2f}",
            f"{median([one.figures.peak for one in of]) / _MIB:.0f}",
            f"{median([one.database for one in of]) / _MIB:.0f}",
        ]
        yield f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """Run, and print the tables."""
    parser = argparse.ArgumentParser(prog=f"python -m {_HERE}", description=__doc__)
    parser.add_argument("--orders", type=int, default=10_000, help="machines to register")
    parser.add_argument("--in-flight", type=int, default=50, help="calls that are under way at a time")
    parser.add_argument("--rounds", type=int, default=5, help="how many rounds count")
    parser.add_argument("--delay", type=float, default=0.02, help="seconds after which the vendor answers")
    for hidden in ("--serve", "--sample"):
        parser.add_argument(hidden, action="store_true", help=argparse.SUPPRESS)
    for hidden in ("--work", "--journal"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(_serve(given.delay))
    elif given.work:
        with Sampler() if given.sample else ExitStack() as sampler:
            figures = _carried_out(Path(given.work), given.journal or None, given.in_flight)
        print(json.dumps(sampler.seconds if isinstance(sampler, Sampler) else attrs.asdict(figures)))
    else:
        _race(given.orders, given.in_flight, given.rounds, given.delay)


def _race(orders: int, in_flight: int, count: int, delay: float) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = stack.enter_context(_vendor(delay))
        postgres = stack.enter_context(served())
        profile = [
            "[cloud]",
            'provider = "huawei_sms"',
            f'endpoint = "http://{HOST}:{port}"',
            'token = { env = "TOKEN" }',
        ]
        (folder / "profiles.toml").write_text("\n".join(profile))
        os.environ |= {**postgres.environ, "TOKEN": "t", "MIGRATE_PROFILES_FILE": str(folder / "profiles.toml")}
        race = Race(orders, in_flight, folder, postgres)
        rounds: dict[str, list[Round]] = {name: [] for name in CONTESTANTS}
        for number in range(count):
            turn = number % len(CONTESTANTS)
            for name in (*CONTESTANTS[turn:], *CONTESTANTS[:turn]):
                rounds[name].append(race.round(name))
                print(name, rounds[name][-1], file=sys.stderr, flush=True)
        print(*table(rounds, orders), sep="\n")
        print("\n| where the CPU time of a process goes, ms each |", " | ".join(CONTESTANTS), "|\n|---|---|---|---|")
        shares = [race.tell("--sample", "--journal", race._journal(name)) for name in CONTESTANTS]
        for owner in (*OWNERS, "others"):
            cells = " | ".join(f"{share.get(owner, 0.0) / orders * 1000:.2f}" for share in shares)
            print(f"| {owner} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
