"""Plans of faults: whom they meet, and what a simulator does of them through both of its doors."""

from __future__ import annotations

import gzip
import http.client
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import attrs
import pytest

import migrate_core as mc
from migrate_core.testing import FaultPlan, Simulator, VirtualClock, faults, new_simulator, serve
from migrate_core.testing.faults import (
    Answer,
    Certificate,
    Delay,
    EndLogins,
    Fault,
    Meeting,
    Reset,
    WrongClock,
    catalogue,
)
from support import Caller

GONE, BUSY = Answer(410), Answer(503)


def meetings(plan: FaultPlan, *requests: str) -> list[Fault | None]:
    """Send requests such as ``GET /a`` past a plan; gives what each met."""
    return [plan.take(*request.split()).fault for request in requests]


# Whom a fault meets.


def test_a_fault_meets_the_next_request_and_no_other() -> None:
    plan = FaultPlan()
    plan.add(GONE)
    assert meetings(plan, "GET /a", "GET /a") == [GONE, None]


@pytest.mark.parametrize(
    ("choice", "met"),
    [
        ({"method": "DELETE"}, [1, 3]),
        ({"path": "/b"}, [2, 3]),
        ({"method": "DELETE", "path": "/b"}, [3]),
        ({"call": 3}, [2, 3, 4]),
        ({"call": 3, "times": 1}, [2]),
        ({"call": 2, "path": "/b"}, [3]),
        ({"times": 2}, [0, 1]),
        ({"probability": 0.0}, []),
        ({"probability": 1.0}, [0, 1, 2, 3, 4]),
    ],
    ids=str,
)
def test_a_fault_meets_whom_the_plan_chooses(choice: dict[str, Any], met: list[int]) -> None:
    plan = FaultPlan()
    plan.add(GONE, **{"times": None, **choice})
    found = meetings(plan, "GET /a", "DELETE /a", "GET /b/1", "DELETE /b/1", "POST /a")
    assert [number for number, fault in enumerate(found) if fault] == met


def test_the_first_that_was_planned_wins_and_the_others_count_the_request_all_the_same() -> None:
    plan = FaultPlan()
    plan.add(GONE, times=2)
    plan.add(BUSY, call=3)
    assert meetings(plan, *4 * ["GET /a"]) == [GONE, GONE, BUSY, None]


def test_the_same_seed_gives_the_same_requests_the_same_faults() -> None:
    def drawn(seed: int, *, besides: bool = False) -> list[bool]:
        plan = FaultPlan(seed=seed)
        plan.add(GONE, probability=0.3, times=None)
        if besides:
            plan.add(BUSY, probability=0.5, times=None)
        return [fault is GONE for fault in meetings(plan, *1000 * ["GET /a"])]

    assert drawn(1) == drawn(1) == drawn(1, besides=True)
    assert drawn(1) != drawn(2)
    assert 250 < sum(drawn(1)) < 350


def test_a_plan_tells_which_request_met_which_fault() -> None:
    plan = FaultPlan()
    plan.add(GONE, path="/b")
    plan.add(BUSY, method="POST", after=True)
    meetings(plan, "GET /a", "GET /b", "POST /c")
    assert plan.journal == [
        Meeting("GET", "/a"),
        Meeting("GET", "/b", GONE, after=False),
        Meeting("POST", "/c", BUSY, after=True),
    ]
    plan.clear()
    assert plan.journal == []
    assert meetings(plan, "GET /b") == [None]


@pytest.mark.parametrize("choice", [{"times": 0}, {"call": 0}, {"probability": 1.1}, {"probability": -0.1}], ids=str)
def test_a_choice_that_makes_no_sense_is_refused(choice: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(choice))):
        FaultPlan().add(GONE, **choice)


def test_a_certificate_is_met_by_connections_only() -> None:
    context: Any = object()
    plan = FaultPlan()
    plan.add(Certificate(context), call=2)
    assert meetings(plan, "GET /a", "GET /a") == [None, None]
    plan.clear()
    plan.add(Certificate(context), call=2)
    assert [plan.take_certificate() for _ in range(3)] == [None, context, None]
    assert plan.journal == [Meeting("", "", Certificate(context), after=False)]
    with pytest.raises(ValueError, match="no method"):
        plan.add(Certificate(context), path="/a")


# The catalogue.


def test_the_catalogue_has_every_kind_of_fault_and_each_is_a_value() -> None:
    context: Any = object()
    listed = catalogue(most_bytes=1000, certificates={"expired": context})
    kinds = {getattr(faults, name) for name in faults.__all__}
    kinds = {kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Fault)} - {Fault}
    assert {type(fault) for fault in listed.values()} == kinds
    assert listed["certificate-expired"] == Certificate(context)
    for fault in listed.values():
        assert attrs.evolve(fault) == fault  # type: ignore[misc]  # all of them are of attrs
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            fault.status = 1  # type: ignore[attr-defined]


def test_the_huge_answers_are_one_byte_too_large() -> None:
    listed = catalogue(most_bytes=1000)
    huge, bomb, twice = listed["huge-json"], listed["gzip-bomb"], listed["gzip-in-gzip"]
    assert isinstance(huge, Answer)
    assert isinstance(bomb, Answer)
    assert isinstance(twice, Answer)
    assert (
        len(huge.body) == len(gzip.decompress(bomb.body)) == len(gzip.decompress(gzip.decompress(twice.body))) == 1001
    )
    assert len(twice.body) < 1000


# What a simulator does.


@pytest.fixture(scope="module")
def simulators() -> Iterator[dict[str, Simulator]]:
    """One for each door."""
    inside, outside = (new_simulator("huawei_sms", clock=VirtualClock()) for _ in range(2))
    with serve(outside):
        yield {"in-process": inside, "tcp": outside}


@pytest.fixture(params=["in-process", "tcp"])
def simulator(request: pytest.FixtureRequest, simulators: dict[str, Simulator]) -> Simulator:
    chosen = simulators[request.param]
    chosen.reset()
    return chosen


def connect(caller: Caller, simulator: Simulator, kind: str = "token", **settings: Any) -> Any:
    return caller.connect(simulator.name, clock=VirtualClock(), **{**simulator.settings(kind), **settings})


ANSWERS = {name: fault for name, fault in catalogue(most_bytes=1000).items() if isinstance(fault, Answer)}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_every_answer_of_the_catalogue_stands_in_for_the_right_one(
    caller: Caller, simulator: Simulator, after: bool
) -> None:
    client = connect(caller, simulator, timeout=600)
    for name, fault in ANSWERS.items():
        (source_id,) = simulator.add_sources(1)
        simulator.faults.add(fault, method="DELETE", after=after)
        with suppress(mc.MigrateError):
            caller(client.sources.delete(source_id))
        assert fault in [meeting.fault for meeting in simulator.faults.journal]
        first, *again = [entry.status for entry in simulator.journal if source_id in entry.path]
        assert first == fault.status, name
        left = source_id in [source.id for source in caller.list(client.sources.list())]
        assert left is not (after or 200 in again), name


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_delay_takes_its_time_from_the_simulators_clock(caller: Caller, simulator: Simulator, after: bool) -> None:
    (source_id,) = simulator.add_sources(1)
    begun = simulator.clock.now()
    simulator.faults.add(Delay(5.0), after=after)
    assert caller(connect(caller, simulator).sources.describe(source_id)).id == source_id
    assert (simulator.clock.now() - begun).total_seconds() == 5.0


def test_an_answer_that_comes_too_late_is_no_answer(caller: Caller) -> None:
    simulator = new_simulator("huawei_sms", clock=VirtualClock())
    client = caller.connect("huawei_sms", **simulator.settings(), clock=simulator.clock, timeout=5)
    (source_id,) = simulator.add_sources(1)
    simulator.faults.add(faults.Delay(60), times=2)
    with pytest.raises(mc.DeadlineExceededError):
        caller(client.sources.describe(source_id))
    with pytest.raises(mc.OutcomeUnknownError):
        caller(client.sources.delete(source_id))


def test_logins_end_in_the_middle_and_the_client_goes_on(caller: Caller, simulator: Simulator) -> None:
    client = connect(caller, simulator, "login")
    simulator.faults.add(EndLogins(), path="/v3/sources", call=2)
    simulator.faults.add(EndLogins(), path="/v3/sources", call=4, after=True)
    for _ in range(4):
        caller.list(client.sources.list())
    asked = [(entry.method, entry.status) for entry in simulator.journal]
    login, listed, refused = ("POST", 201), ("GET", 200), ("GET", 401)
    assert asked == [login, listed, refused, login, listed, listed, refused, login, listed]


def test_a_session_that_ends_in_the_middle_of_a_wait_is_renewed(caller: Caller) -> None:
    simulator = new_simulator("vmware_srm", clock=VirtualClock())
    task_id = simulator.add_task()
    simulator.faults.add(EndLogins(), path="/tasks/", call=3)
    client = caller.connect(simulator.name, clock=simulator.clock, **simulator.settings())
    caller(caller(client.tasks.get(task_id)).wait())
    looks = [entry.status for entry in simulator.journal if task_id in entry.path]
    assert looks[:4] == [200, 200, 401, 200]


def test_a_wrong_clock_gives_every_answer_its_time(caller: Caller, simulator: Simulator) -> None:
    """A signature from the right time is refused, and a source registered then is dated so."""
    clock, client = simulator.clock, connect(caller, simulator, "key")
    simulator.faults.add(WrongClock(7200), method="DELETE")
    with pytest.raises(mc.AuthenticationError):
        caller(client.sources.delete("s-1"))
    simulator.faults.add(WrongClock(600), method="POST")
    task = caller(client.sources.register(simulator.source_spec()))
    registered = caller(client.sources.describe(caller(task.wait()))).registered_at
    assert registered - clock.now() == timedelta(seconds=600)
    assert simulator.clock is clock


def test_a_wrong_clock_shows_in_the_date_of_an_answer(simulators: dict[str, Simulator]) -> None:
    simulator = simulators["tcp"]
    for seconds in (7200, -7200):
        simulator.faults.add(WrongClock(seconds))
        connection = http.client.HTTPConnection(simulator.endpoint.removeprefix("http://"), timeout=10)
        connection.request("GET", "/v3/sources")
        dates = connection.getresponse().headers.get_all("Date") or []
        connection.close()
        assert [parsedate_to_datetime(date) for date in dates] == [simulator.clock.now() + timedelta(seconds=seconds)]


# What it cannot do.


@pytest.mark.parametrize("name", [name for name, fault in catalogue(most_bytes=9).items() if fault.only == "gate"])
def test_a_fault_of_the_socket_cannot_be_planned_for_a_simulator(name: str) -> None:
    with pytest.raises(ValueError, match=r"put a gate in front"):
        new_simulator("huawei_sms").faults.add(catalogue(most_bytes=9)[name])


def test_what_only_a_simulator_can_do_cannot_be_planned_for_a_gate() -> None:
    with pytest.raises(ValueError, match="plan it for the simulator"):
        FaultPlan().add(EndLogins())


def test_a_plan_with_a_fault_of_the_socket_is_not_ignored_without_one(caller: Caller) -> None:
    simulator = new_simulator("huawei_sms", clock=VirtualClock())
    simulator.faults = FaultPlan()
    simulator.faults.add(Reset())
    with pytest.raises(ValueError, match=r"cannot carry out Reset\(\): put a gate in front"):
        caller.list(connect(caller, simulator).sources.list())
