"""Works with both vendors for long while 5 % of the requests go wrong: ``PYTHONPATH=tests python -m reliability.soak``.

The vendors and the gates in front of them live in a process of their own; what is watched is the process of the
clients: its memory, its file descriptors, its threads and its tasks.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

import attrs

import migrate_core as mc
from migrate_core.documents import encode
from migrate_core.testing import FaultPlan, gate, new_simulator, serve
from migrate_core.testing.faults import catalogue
from migrate_huawei_sms.mapping import document_for

SHARE = 0.05
TRANSPORTS = ("httpx", "fast")
THREADS, COROUTINES = 2, 8
"""How many work with each vendor over each transport."""

_TIMEOUT = 1.0
_KEPT = 10.0
"""After how many seconds a vendor forgets what was made."""
_PAGE = os.sysconf("SC_PAGE_SIZE")

Door: TypeAlias = Mapping[str, Any]
"""What leads to a vendor: settings, the ids of what is there, and a document to register."""


# The vendors.


def host(seed: int) -> None:
    """Serve both vendors behind gates until stdin ends; says on stdout how they are reached."""
    with ExitStack() as stack:
        doors = [_opened(name, seed, stack) for name in ("huawei_sms", "vmware_srm")]
        print(json.dumps([door for door, _ in doors]), flush=True)
        ended = threading.Event()
        threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
        while not ended.wait(_KEPT):
            for _, forget in doors:
                forget()


def _opened(name: str, seed: int, stack: ExitStack) -> tuple[Door, Callable[[], None]]:
    simulator: Any = new_simulator(name, **({"task_seconds": 0.2} if name == "vmware_srm" else {}))
    is_sms = name == "huawei_sms"
    things = simulator.add_sources(20) if is_sms else simulator.add_pairings(20)
    example = encode(document_for(simulator.source_spec())) if is_sms else {}
    plan = FaultPlan(seed=seed)
    faults = catalogue(most_bytes=200_000)
    faults.pop("end-logins")  # which only a simulator can
    for fault in faults.values():
        plan.add(fault, probability=SHARE / len(faults), times=None)
    origin = stack.enter_context(gate(stack.enter_context(serve(simulator)), plan))

    def forget() -> None:
        """Let the vendor have no more than at first: where a deletion went wrong, something is left."""
        simulator.journal.clear()
        plan.journal.clear()
        kept = simulator._sources if is_sms else simulator._pairings
        for thing in kept.keys() - set(things):
            kept.pop(thing, None)
        if not is_sms:
            simulator.forget_tasks()

    settings = {**simulator.settings("login" if is_sms else "both"), "endpoint": origin}
    return {"name": name, "settings": settings, "things": list(things), "example": example}, forget


@contextmanager
def hosted(seed: int) -> Iterator[Sequence[Door]]:
    """Have the vendors served by another process."""
    command = [sys.executable, "-m", "reliability.soak", "--host", "--seed", str(seed)]
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.communicate()


# The clients.


@attrs.frozen
class Sample:
    """What the process of the clients has at one moment."""

    seconds: float
    megabytes: float
    files: int
    threads: int
    tasks: int
    calls: int


@attrs.define
class Work:
    """What is done, and what became of it.

    Attributes:
        until: when it is over, by `time.monotonic`.
        ended: calls by how they ended.
        loop: the event loop of the coroutines.
    """

    until: float
    ended: Counter[str] = attrs.Factory(Counter)
    loop: asyncio.AbstractEventLoop | None = None

    def threads(self, door: Door, transport: str, seed: int) -> Iterator[threading.Thread]:
        """Make the threads that share one client."""
        client = mc.connect(door["name"], **_settings(door, transport))
        left = itertools.count(1)

        def work(chance: random.Random) -> None:
            while time.monotonic() < self.until:
                try:
                    _sync_call(client, door, chance)
                    self.ended["success"] += 1
                except mc.MigrateError as error:
                    self.ended[type(error).__name__] += 1
            if next(left) == THREADS:
                client.close()

        for number in range(THREADS):
            yield threading.Thread(target=work, args=(random.Random(f"{seed}/{transport}/{number}"),))

    async def crowd(self, pairs: Sequence[tuple[Door, str]], seed: int) -> None:
        """Work with many clients in one event loop."""
        self.loop = asyncio.get_running_loop()
        await asyncio.gather(*(self._coroutines(door, transport, seed) for door, transport in pairs))

    async def _coroutines(self, door: Door, transport: str, seed: int) -> None:
        """Work with one client in many coroutines."""

        async def work(chance: random.Random) -> None:
            while time.monotonic() < self.until:
                try:
                    await _async_call(client, door, chance)
                    self.ended["success"] += 1
                except mc.MigrateError as error:
                    self.ended[type(error).__name__] += 1

        async with mc.connect_async(door["name"], **_settings(door, transport)) as client, asyncio.TaskGroup() as group:
            for number in range(COROUTINES):
                group.create_task(work(random.Random(f"{seed}/{transport}/{number}")))


def _settings(door: Door, transport: str) -> dict[str, Any]:
    return {**door["settings"], "transport": transport, "timeout": _TIMEOUT, "max_body_bytes": 200_000}


def _sync_call(client: mc.Client, door: Door, chance: random.Random) -> None:
    thing = chance.choice(door["things"])
    match door["name"], chance.randrange(3):
        case "huawei_sms", 0:
            list(client.sources.list())
        case "huawei_sms", 1:
            client.sources.delete(client.sources.register(_machine(door, chance)).wait())
        case "huawei_sms", _:
            client.sources.describe(thing)
        case _, 0:
            list(client.pairings.list())
        case _, 1:
            pairing = client.pairings.create(_pairing(door, chance)).wait(timeout=5)
            client.pairings.delete(pairing["pairing_id"]).wait(timeout=5)
        case _:
            client.pairings.describe(thing)


async def _async_call(client: mc.AsyncClient, door: Door, chance: random.Random) -> None:
    thing = chance.choice(door["things"])
    match door["name"], chance.randrange(3):
        case "huawei_sms", 0:
            _ = [source async for source in client.sources.list()]
        case "huawei_sms", 1:
            await client.sources.delete(await (await client.sources.register(_machine(door, chance))).wait())
        case "huawei_sms", _:
            await client.sources.describe(thing)
        case _, 0:
            _ = [pairing async for pairing in client.pairings.list()]
        case _, 1:
            pairing = await (await client.pairings.create(_pairing(door, chance))).wait(timeout=5)
            await (await client.pairings.delete(pairing["pairing_id"])).wait(timeout=5)
        case _:
            await client.pairings.describe(thing)


def _machine(door: Door, chance: random.Random) -> mc.SourceSpec:
    return mc.SourceSpec(name="", details={**door["example"], "name": f"soak-{chance.randrange(10**9)}"})


def _pairing(door: Door, chance: random.Random) -> mc.PairingSpec:
    return mc.PairingSpec(
        remote_url=f"vc-{chance.randrange(10**9)}.example",
        remote_username=door["settings"]["peer_username"],
        remote_password=door["settings"]["peer_password"],
        details={"pair_vc_guid": str(chance.randrange(10**9))},
    )


# What is watched.


def soaked(seconds: float, seed: int, every: float) -> tuple[list[Sample], Counter[str]]:
    """Work for so long; gives what the process had meanwhile, and how the calls ended."""
    samples: list[Sample] = []
    with hosted(seed) as doors:
        work = Work(time.monotonic() + seconds)
        pairs = list(itertools.product(doors, TRANSPORTS))
        threads = [thread for door, transport in pairs for thread in work.threads(door, transport, seed)]
        threads.append(threading.Thread(target=asyncio.run, args=(work.crowd(pairs, seed),)))
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            threads[-1].join(every)
            samples.append(_sample(seconds - (work.until - time.monotonic()), work))
        for thread in threads:
            thread.join()
    return [one for one in samples if one.seconds <= seconds], work.ended


def _sample(seconds: float, work: Work) -> Sample:
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE / 2**20
    files, tasks = len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks(work.loop)) if work.loop else 0
    return Sample(seconds, resident, files, threading.active_count(), tasks, work.ended.total())


def growth(samples: Sequence[Sample]) -> Mapping[str, tuple[float, float]]:
    """Compare the second quarter of the time with the last one: the medians of each thing that is watched."""
    quarter = len(samples) // 4
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    names = ("megabytes", "files", "threads", "tasks")
    return {name: tuple(median(getattr(one, name) for one in part) for part in (early, late)) for name in names}


def plot(samples: Sequence[Sample]) -> str:
    """Draw what was watched over time as an SVG, each thing from nothing to its most."""
    lines = []
    for row, name in enumerate(("megabytes", "files", "threads", "tasks")):
        values = [getattr(one, name) for one in samples]
        top, last = max(values), samples[-1].seconds
        points = " ".join(
            f"{90 + 600 * one.seconds / last:.1f},{100 * row + 90 - 70 * value / top:.1f}"
            for one, value in zip(samples, values, strict=True)
        )
        lines += [
            f'<text x="0" y="{100 * row + 60}">{name}</text>',
            f'<text x="695" y="{100 * row + 24}">{top:.0f}</text>',
            f'<path d="M90 {100 * row + 90}H690" stroke="#999"/>',
            f'<polyline points="{points}" fill="none" stroke="#36c" stroke-width="1.5"/>',
        ]
    lines.append(f'<text x="640" y="412">{samples[-1].seconds:.0f} s</text>')
    head = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 740 420" font-family="sans-serif" font-size="13">'
    return "\n".join([head, '<rect width="740" height="420" fill="#fff"/>', *lines, "</svg>", ""])


def main() -> int:
    """Run; gives 1 if memory, files, threads or tasks grew by more than a twentieth."""
    parser = argparse.ArgumentParser(prog="python -m reliability.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="how long")
    parser.add_argument("--seed", type=int, default=1, help="where chance begins")
    parser.add_argument("--plot", type=Path, help="write what was watched to this SVG file")
    parser.add_argument("--host", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.host:
        host(given.seed)
        return 0
    samples, ended = soaked(given.seconds, given.seed, every=given.seconds / 120)
    grown = growth(samples)
    print(f"{ended.total()} calls in {samples[-1].seconds:.0f} s, seed {given.seed}\n")
    print(
        "| ended with | calls |\n|---|---|", *(f"| {name} | {count} |" for name, count in ended.most_common()), sep="\n"
    )
    print("\n| watched | second quarter | last quarter |\n|---|---|---|")
    for name, (early, late) in grown.items():
        print(f"| {name} | {early:.1f} | {late:.1f} |")
    if given.plot:
        given.plot.write_text(plot(samples), encoding="utf-8")
    return int(any(late > early * 1.05 + 1 for early, late in grown.values()))


if __name__ == "__main__":
    sys.exit(main())
