"""Bad days: requests above a rate, chance that strikes, and clocks that run fast."""

from __future__ import annotations

import math
import signal
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import migrate_core as mc
from cli.test_simulators import simulated
from migrate_core.testing import FastClock, FaultPlan, Journal, VirtualClock, new_simulator, scenario
from migrate_core.testing.faults import Answer, Delay, Reset
from migrate_core.testing.simulator import Agenda
from support import Caller

BUSY = Answer(429, headers={"Retry-After": "1"})


# What is above a rate.


def test_no_more_than_so_many_pass_within_any_second() -> None:
    clock = VirtualClock()
    plan = FaultPlan(clock=clock)
    plan.add(BUSY, above=3, times=None)
    passed = []
    for _ in range(50):
        clock.advance(0.125)
        if plan.take("GET", "/").fault is None:
            passed.append(clock.monotonic())
    assert len(passed) == 20  # six times three, and then there was time for two more
    assert max(sum(at <= one < at + 1 for one in passed) for at in passed) == 3


def test_only_those_that_fit_are_counted_and_those_that_were_too_many_are_not() -> None:
    clock = VirtualClock()
    plan = FaultPlan(clock=clock)
    plan.add(BUSY, method="POST", above=1, times=None)
    assert [plan.take(method, "/").fault for method in ("GET", "POST", "GET", "POST")] == [None, None, None, BUSY]
    clock.advance(1)
    assert plan.take("POST", "/").fault is None


def test_a_simulator_counts_by_its_own_clock(caller: Caller) -> None:
    simulator = new_simulator("huawei_sms", clock=VirtualClock())
    (source_id,) = simulator.add_sources(1)
    simulator.faults.add(BUSY, above=2, times=None)
    client = caller.connect(simulator.name, clock=simulator.clock, **simulator.settings())
    for _ in range(6):
        assert caller(client.sources.describe(source_id)).id == source_id
    arrivals = [(entry.at - simulator.journal[0].at).total_seconds() for entry in simulator.journal]
    assert [entry.status for entry in simulator.journal] == [200, 200, 429, 200, 200, 429, 200, 200]
    assert arrivals == pytest.approx([0, 0, 0, 1, 1, 1, 2, 2], abs=0.9)
    assert arrivals == sorted(arrivals)


# Scenarios.


def test_on_a_bad_day_requests_meet_every_kind_of_trouble_and_their_order_repeats(caller: Caller) -> None:
    simulator = new_simulator("huawei_sms")
    specs = [simulator.source_spec() for _ in range(12)]
    journals = []
    for _ in range(2):
        simulator.reset()
        with scenario(simulator, faults=0.4, slow=0.01, seed=2) as plan:
            settings = {**simulator.settings(), "on_ambiguous": "reconcile"}
            client = caller.connect(simulator.name, clock=VirtualClock(), **settings)
            for spec in specs:
                register(caller, client, spec)
        journals.append(list(plan.journal))
        assert sorted(source.name for source in simulator._sources.values()) == sorted(spec.name for spec in specs)
    assert {type(meeting.fault) for meeting in plan.journal} == {type(None), Answer, Reset, Delay}
    assert journals[0] == journals[1]


def register(caller: Caller, client: Any, spec: mc.SourceSpec) -> None:
    """Register a machine, as often as it takes."""
    for _ in range(9):
        with suppress(mc.MigrateError):
            return caller(caller(client.sources.register(spec)).wait())
    raise AssertionError("nothing ever goes well")


def test_outside_a_scenario_a_simulator_is_reached_without_a_gate() -> None:
    simulator = new_simulator("vmware_srm")
    before = simulator.endpoint
    with scenario(simulator):
        assert simulator.settings()["endpoint"].startswith("http://127.0.0.1:")
    assert simulator.endpoint == before


@pytest.mark.parametrize("numbers", [{"faults": 1.1}, {"faults": 3}, {"faults": -0.1}, {"throttle": -1}])
def test_numbers_that_make_no_sense_are_refused(numbers: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"), scenario(new_simulator("huawei_sms"), **numbers):
        pass


def test_the_command_line_serves_a_bad_day_with_tasks_of_hours() -> None:
    words = ["--throttle", "4", "--speed", "36000", "--set", "task_seconds=7200", "--set", "session_seconds=9e9"]
    with simulated("vmware-srm", *words) as (process, said):
        names = ("endpoint", "username", "password", "peer_username", "peer_password")
        with mc.connect("vmware_srm", clock=VirtualClock(), **{name: said[name] for name in names}) as client:
            task = client.pairings.create(new_simulator("vmware_srm").pairing_spec())
            refused = 0
            while not task.done:
                try:
                    task.refresh()
                except mc.RateLimitedError:
                    refused += 1
        assert task.info.ended_at - task.info.queued_at == timedelta(hours=2)
        assert refused
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0


# Clocks and journals.


def test_a_fast_clock_tells_the_machines_time_and_then_runs_ahead(caller: Caller) -> None:
    clock = FastClock(3600)
    now, began = datetime.now(UTC), clock.now()
    assert abs(began - now) < timedelta(hours=1)
    before = clock.monotonic()
    caller(clock.asleep(60)) if caller.kind == "async" else clock.sleep(60)
    assert clock.monotonic() - before >= 60
    assert clock.now() - began >= timedelta(seconds=60)


@pytest.mark.parametrize("speed", [0.0, -1.0, math.inf, math.nan])
def test_a_clock_that_does_not_run_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="cannot run"):
        FastClock(speed)


def test_a_journal_forgets_the_oldest_and_keeps_as_many_as_it_says() -> None:
    journal: Journal[int] = Journal()
    journal.kept = 20
    for number in range(1000):
        journal.append(number)
        assert min(number + 1, 20) <= len(journal) <= 22
        assert journal[-1] == number
    assert journal == list(range(1000 - len(journal), 1000))
    journal.kept = None
    journal.extend(range(100))
    journal.append(0)
    assert len(journal) > 100


def test_what_is_due_happens_in_its_order_and_once() -> None:
    agenda: Agenda[str] = Agenda()
    for at, what in ((3, "third"), (1, "first"), (1, "second"), (9, "never")):
        agenda.add(at, what)
    assert list(agenda.due(0)) == []
    assert list(agenda.due(1)) == ["first", "second"]
    assert list(agenda.due(5)) == ["third"]
    assert list(agenda.due(5)) == []
