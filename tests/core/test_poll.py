"""Waiting for a task: how often it is looked at, how soon its end is noticed, and when the wait is given up."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any, ClassVar, TypeAlias

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import migrate_core as mc
from benchmarks.polling import NOMINAL, courses, mean, ours
from migrate_core._poll import JITTER, LONGEST, PATIENCE, SHORTEST, Pace
from migrate_core.clock import Deadline
from migrate_core.errors import error_class_for
from migrate_core.operations import Capability, Operation, Support
from migrate_core.provider import BaseProvider, Flow, Request, Response, Settings, TaskInfo, TaskStatus, url_path
from migrate_core.testing import VirtualClock
from support import Caller

# The pace by itself.


PERCENT = st.none() | st.integers(0, 100) | st.floats(0, 100, allow_subnormal=False)
MOMENTS = st.floats(0, 1e7)


@given(began=MOMENTS, first=PERCENT, looks=st.lists(st.tuples(st.floats(0, 1e6), PERCENT), max_size=20))
def test_a_delay_is_always_between_1_and_30_seconds(
    began: float, first: float | None, looks: list[tuple[float, float | None]]
) -> None:
    pace, now = Pace(began, first), began
    for passed, progress in looks:
        now += passed
        assert SHORTEST <= pace.delay(now, progress) <= LONGEST
    assert (SHORTEST, LONGEST) == (1, 30)


@given(progress=st.floats(), now=MOMENTS)
@example(progress=math.inf, now=1.0)
@example(progress=math.nan, now=1.0)
@example(progress=5e-324, now=2.0)
def test_a_senseless_progress_does_not_break_the_pace(progress: float, now: float) -> None:
    pace = Pace(0.0, 0.0)
    assert SHORTEST <= pace.delay(now, progress) <= LONGEST
    assert SHORTEST <= Pace(0.0, progress).delay(now, 50.0) <= LONGEST


@pytest.mark.parametrize(("now", "progress", "delay"), [(100, 50, 30), (100, 80, 12.5), (100, 90, 50 / 9), (99, 99, 1)])
def test_half_of_the_time_that_the_progress_leaves_passes_before_the_next_look(
    now: float, progress: float, delay: float
) -> None:
    assert Pace(0.0, 0.0).delay(now, progress) == pytest.approx(delay)


def test_the_looks_close_in_on_the_end() -> None:
    pace, now, delays = Pace(0.0, 0.0), 60.0, []
    while now < 118:
        delays.append(pace.delay(now, now / 1.2))
        now += delays[-1]
    assert delays == sorted(delays, reverse=True)
    assert delays[0] == pytest.approx(30)
    assert delays[-1] < 2


def test_without_progress_the_looks_grow_rarer() -> None:
    pace = Pace(0.0, None)
    assert [pace.delay(now, None) for now in (0, 20, 100, 400, 600, 6000)] == [1, 1, 5, 20, 30, 30]


def test_time_in_the_queue_does_not_count_as_work() -> None:
    """An hour in the queue, then half done within 10 s: the end is 10 s away."""
    pace = Pace(0.0, 0.0)
    for now in range(0, 3601, 30):
        pace.delay(now, 0)
    assert pace.delay(3610, 50) == pytest.approx(5, abs=0.1)


def test_a_resumed_task_is_judged_by_what_it_does_from_now_on() -> None:
    """It stands at 90 %, which tells nothing of its speed; 1 % in 10 s does."""
    pace = Pace(0.0, 90.0)
    assert pace.delay(0.0, 90.0) == 1
    assert pace.delay(1.0, 90.1) == 30
    assert pace.delay(10.0, 99.0) == 1


def test_what_is_first_seen_of_a_work_that_was_queued_predicts_no_long_wait() -> None:
    """6 % within a second at most: of that, 100 % may be a quarter of a minute away, or 3 s."""
    pace = Pace(0.0, 0.0)
    for now in (1, 2):
        pace.delay(now, 0, queued=True)
    assert pace.delay(3, 6) == 2
    assert pace.delay(5, 54) == pytest.approx(46 * 3 / 54 / 2)


def test_in_the_queue_the_looks_soon_grow_rare() -> None:
    pace = Pace(0.0, 0.0)
    assert [pace.delay(now, 0, queued=True) for now in (0, 1, 3, 9, 27)] == [1, 2, 6, 18, 30]


@pytest.mark.parametrize("stuck", [99, 100])
def test_a_task_that_is_stuck_before_its_end_is_looked_at_ever_more_seldom(stuck: float) -> None:
    pace = Pace(0.0, 0.0)
    assert pace.delay(100, stuck) == 1
    assert [pace.delay(100 + still, stuck) for still in (20, 60, 300, 600, 6000)] == [1, 3, 15, 30, 30]


def test_an_answer_without_progress_says_nothing_new() -> None:
    pace, other = Pace(0.0, 0.0), Pace(0.0, 0.0)
    for one in (pace, other):
        one.delay(50, 50)
    assert pace.delay(60, None) == other.delay(60, 50)
    assert pace.delay(80, 80) == other.delay(80, 80)


def test_a_work_that_begins_again_is_judged_anew() -> None:
    pace = Pace(0.0, 0.0)
    pace.delay(90, 90)
    pace.delay(100, 0)
    assert pace.delay(110, 20) == 20
    assert pace.delay(130, 60) == pytest.approx(40 * 30 / 60 / 2)


# A task of the vendor's, on a virtual clock.


Progress: TypeAlias = Callable[[float], float | None]


class Vendor:
    """A vendor with one task, which works for so many seconds after its time in the queue.

    Attributes:
        looks: when it was looked at, in virtual seconds since its start.
        next: answers to give in place of the right ones; ``None`` is the right one.
    """

    def __init__(self, clock: VirtualClock, seconds: float, *, queued: float = 0.0, whole: bool = True) -> None:
        self.clock = clock
        self.seconds = seconds
        self.queued = queued
        self.whole = whole
        self.looks: list[float] = []
        self.next: list[Response | mc.MigrateError | None] = []
        self.extra: dict[str, Any] = {}
        self._began = clock.monotonic()

    def state(self) -> dict[str, Any]:
        worked = self.clock.monotonic() - self._began - self.queued
        percent = min(max(worked / self.seconds, 0.0), 1.0) * 100
        status = "queued" if worked < 0 else "running" if worked < self.seconds else "success"
        return {"status": status, "progress": math.floor(percent) if self.whole else percent, **self.extra}

    def answer(self, request: Request) -> Response:
        if request.method == "DELETE":
            return Response(status=202, body=json.dumps(self.state()).encode())
        self.looks.append(self.clock.monotonic() - self._began)
        planned = self.next.pop(0) if self.next else None
        if isinstance(planned, mc.MigrateError):
            raise planned
        return planned or Response(status=200, body=json.dumps(self.state()).encode())


class Door:
    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor

    def send(self, request: Request, deadline: Deadline) -> Response:
        return self._vendor.answer(request)

    def close(self) -> None:
        """Nothing is open."""


class AsyncDoor:
    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor

    async def send(self, request: Request, deadline: Deadline) -> Response:
        return self._vendor.answer(request)

    async def close(self) -> None:
        """Nothing is open."""


class Tasked(BaseProvider):
    """Deletes sources by tasks."""

    name = "tasked"
    capabilities: ClassVar[Mapping[Operation, Capability]] = {
        Operation.DELETE_SOURCE: Capability(Support.FULL),
        Operation.GET_TASK: Capability(Support.FULL),
        Operation.CANCEL_TASK: Capability(Support.FULL),
    }

    def endpoints(self) -> Mapping[str, str]:
        return {"main": "https://tasked.invalid"}

    def error_from(self, response: Response) -> mc.ApiError:
        return error_class_for(response.status)("no", provider=self.name, status=response.status)

    def delete_source(self, source_id: str) -> Flow[TaskInfo]:
        response = yield Request(method="DELETE", path=url_path("sources", source_id), repeatable=False)
        return self._info("t-1", response)

    def get_task(self, last: TaskInfo) -> Flow[TaskInfo]:
        response = yield Request(method="GET", path=url_path("tasks", last.id), repeatable=True)
        return self._info(last.id, response)

    def cancel_task(self, last: TaskInfo) -> Flow[TaskInfo]:
        response = yield Request(method="POST", path=url_path("tasks", last.id, "cancel"), repeatable=False)
        return self._info(last.id, response)

    def _info(self, task_id: str, response: Response) -> TaskInfo:
        said = response.json_object()
        return TaskInfo(
            id=task_id,
            operation=Operation.DELETE_SOURCE,
            status=TaskStatus(said["status"]),
            progress=said["progress"],
            result=said.get("result"),
            error=mc.TaskFailure("it broke", "badly") if said["status"] == "error" else None,
            needs_input=said.get("needs_input", False),
        )


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


def client_for(caller: Caller, vendor: Vendor) -> Any:
    provider = Tasked(Settings())
    client: Any
    if caller.kind == "async":
        client = mc.AsyncClient(provider, AsyncDoor(vendor), vendor.clock)
    else:
        client = mc.Client(provider, Door(vendor), vendor.clock)
    client._engine.rng.seed(7)
    return client


def deletion(caller: Caller, vendor: Vendor) -> Any:
    return caller(client_for(caller, vendor).sources.delete("s-1"))


# How soon the end is noticed, and at what price.


@pytest.mark.parametrize("whole", [True, False], ids=["whole percents", "fractions"])
@pytest.mark.parametrize(("seconds", "most_looks", "latest"), [(60, 14, 2.5), (600, 60, 5.0)])
def test_the_end_is_noticed_soon_with_few_requests(
    caller: Caller, clock: VirtualClock, seconds: float, most_looks: int, latest: float, whole: bool
) -> None:
    for work in (seconds + tenths / 10 for tenths in range(-20, 21)):
        vendor = Vendor(clock, work, whole=whole)
        caller(deletion(caller, vendor).wait())
        assert len(vendor.looks) <= most_looks
        assert 0 <= vendor.looks[-1] - work <= latest


@pytest.mark.parametrize("queue", [0.0, 0.2], ids=["at once", "queued"])
@pytest.mark.parametrize(
    ("nominal", "latest", "most_looks"), [("5 s", 0.6, 6), ("1 min", 0.6, 10), ("10 min", 1.6, 35), ("2 h", 15.0, 300)]
)
def test_ends_are_noticed_as_soon_and_for_as_few_requests_as_is_aimed_at(
    nominal: str, latest: float, most_looks: float, queue: float
) -> None:
    tasks = courses(NOMINAL[nominal], 100, random.Random(1), queue=queue)
    delay, requests = mean(ours, tasks, random.Random(2))
    assert delay <= latest
    assert requests <= most_looks


def test_a_task_without_progress_is_noticed_within_a_twentieth_of_its_time(caller: Caller, clock: VirtualClock) -> None:
    vendor = Vendor(clock, 400)
    vendor.extra = {"progress": None}
    caller(deletion(caller, vendor).wait())
    assert vendor.looks[-1] - 400 <= 20
    assert len(vendor.looks) <= 90


def test_time_in_the_queue_does_not_delay_noticing_the_end(caller: Caller, clock: VirtualClock) -> None:
    vendor = Vendor(clock, 60, queued=300)
    caller(deletion(caller, vendor).wait())
    assert vendor.looks[-1] - 360 <= 2.5


@pytest.mark.parametrize("queued", [2.8, 3.5, 6.0])
def test_a_short_task_is_noticed_soon_after_its_time_in_the_queue(
    caller: Caller, clock: VirtualClock, queued: float
) -> None:
    vendor = Vendor(clock, 4, queued=queued)
    caller(deletion(caller, vendor).wait())
    assert vendor.looks[-1] - (queued + 4) <= 3


def test_a_task_that_is_stuck_at_99_percent_is_not_looked_at_each_second(caller: Caller, clock: VirtualClock) -> None:
    vendor = Vendor(clock, 1e9)
    vendor.extra = {"progress": 99}
    with pytest.raises(mc.TaskTimeoutError):
        caller(deletion(caller, vendor).wait(timeout=3600))
    assert len(vendor.looks) <= 200


def schedule(caller: Caller, seed: int) -> Iterator[float]:
    """The times between the looks at a task."""
    vendor = Vendor(VirtualClock(), 900)
    vendor.extra = {"progress": None}
    client = client_for(caller, vendor)
    client._engine.rng.seed(seed)
    caller(caller(client.sources.delete("s-1")).wait())
    return (later - earlier for earlier, later in pairwise([0.0, *vendor.looks]))


def test_who_begins_to_wait_at_the_same_time_does_not_look_at_the_same_times(caller: Caller) -> None:
    one, same, other = (list(schedule(caller, seed)) for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_jitter_only_shortens_a_delay_and_by_no_more_than_its_share(caller: Caller) -> None:
    now = 0.0
    for delay in schedule(caller, 3):
        pace = max(SHORTEST, min(now / 20, LONGEST))
        assert max(SHORTEST, pace * (1 - JITTER)) - 1e-9 <= delay <= pace + 1e-9
        now += delay


def test_a_task_just_returned_is_not_looked_at_before_the_first_interval(caller: Caller, clock: VirtualClock) -> None:
    vendor = Vendor(clock, 10)
    task = deletion(caller, vendor)
    assert vendor.looks == []
    caller(task.wait())
    assert vendor.looks[0] == SHORTEST


def test_a_resumed_task_is_looked_at_at_once(caller: Caller, clock: VirtualClock) -> None:
    vendor = Vendor(clock, 10)
    client = client_for(caller, vendor)
    token = caller(client.sources.delete("s-1")).token
    resumed = caller(client.tasks.get(token))
    assert vendor.looks == [0]
    assert resumed.info.operation is Operation.DELETE_SOURCE


def test_a_finished_task_costs_no_request(caller: Caller, clock: VirtualClock) -> None:
    vendor = Vendor(clock, 10)
    task = deletion(caller, vendor)
    clock.advance(11)
    caller(task.refresh())
    for call in (task.refresh, task.wait, task.cancel):
        caller(call())
    token = task.token
    assert caller(client_for(caller, vendor).tasks.get(token)).done
    assert len(vendor.looks) == 1


# How a wait ends.


def test_each_look_is_reported_with_what_it_saw(caller: Caller, clock: VirtualClock) -> None:
    vendor = Vendor(clock, 10)
    vendor.extra = {"result": {"id": 7}}
    task = deletion(caller, vendor)
    seen: list[tuple[Any, TaskStatus]] = []
    assert caller(task.wait(on_progress=lambda task: seen.append((task, task.status)))) == {"id": 7}
    assert {given for given, _ in seen} == {task}
    assert [status.name for _, status in seen] == (len(seen) - 1) * ["RUNNING"] + ["SUCCESS"]
    assert len(seen) == len(vendor.looks)


def test_a_task_that_failed_raises_with_the_vendors_reason(caller: Caller, clock: VirtualClock) -> None:
    vendor = Vendor(clock, 10)
    task = deletion(caller, vendor)
    vendor.extra = {"status": "error"}
    with pytest.raises(mc.TaskFailedError, match=r"delete_source task t-1 failed: it broke \(badly\)") as raised:
        caller(task.wait())
    assert raised.value.info.error == mc.TaskFailure("it broke", "badly")
    assert task.done
    with pytest.raises(mc.TaskFailedError):
        caller(task.wait())
    assert len(vendor.looks) == 1


def test_a_task_that_was_cancelled_raises(caller: Caller, clock: VirtualClock) -> None:
    vendor = Vendor(clock, 10)
    task = deletion(caller, vendor)
    vendor.extra = {"status": "cancelled"}
    with pytest.raises(mc.TaskCancelledError):
        caller(task.wait())


def test_a_task_that_waits_for_a_person_raises_instead_of_waiting_for_ever(caller: Caller, clock: VirtualClock) -> None:
    vendor = Vendor(clock, 1e9)
    vendor.extra = {"needs_input": True}
    task = deletion(caller, vendor)
    with pytest.raises(mc.TaskNeedsInputError):
        caller(task.wait(timeout=None))
    assert not task.done


def test_a_status_that_nobody_knows_is_waited_through(caller: Caller, clock: VirtualClock) -> None:
    vendor = Vendor(clock, 10)
    task = deletion(caller, vendor)
    vendor.next = [Response(status=200, body=b'{"status": "unknown", "progress": null}')]
    caller(task.wait())
    assert task.status is TaskStatus.SUCCESS


@pytest.mark.parametrize("timeout", [0.5, 45.0, 3600.0])
def test_a_wait_that_is_over_looks_once_more_and_says_how_to_go_on(
    caller: Caller, clock: VirtualClock, timeout: float
) -> None:
    vendor = Vendor(clock, 1e6)
    task = deletion(caller, vendor)
    with pytest.raises(mc.TaskTimeoutError, match=f"RUNNING after {timeout:g} s") as raised:
        caller(task.wait(timeout=timeout))
    assert clock.monotonic() == pytest.approx(timeout)
    assert vendor.looks[-1] == pytest.approx(timeout)
    assert raised.value.token == task.token
    assert raised.value.info is task.info
    assert not task.done


def test_a_task_that_ends_with_the_time_allowed_is_no_time_out(caller: Caller, clock: VirtualClock) -> None:
    vendor = Vendor(clock, 45)
    caller(deletion(caller, vendor).wait(timeout=45))


def test_a_wait_for_ever_outlasts_the_default(caller: Caller, clock: VirtualClock) -> None:
    vendor = Vendor(clock, 50_000, whole=False)
    caller(deletion(caller, vendor).wait(timeout=None))
    assert clock.monotonic() >= 50_000


# Looks that fail.


FAILURES = [mc.ResponseLostError("lost"), mc.RequestNotSentError("nobody there"), Response(status=503)]


@pytest.mark.parametrize("failure", FAILURES, ids=["lost", "not sent", "503"])
def test_looks_that_fail_for_a_while_do_not_end_the_wait(
    caller: Caller, clock: VirtualClock, failure: Response | mc.MigrateError
) -> None:
    vendor = Vendor(clock, 60)
    task = deletion(caller, vendor)
    vendor.next = 30 * [failure]
    caller(task.wait())
    assert task.status is TaskStatus.SUCCESS


@pytest.mark.parametrize("failure", FAILURES, ids=["lost", "not sent", "503"])
def test_looks_that_fail_for_too_long_end_the_wait_and_say_how_to_go_on(
    caller: Caller, clock: VirtualClock, failure: Response | mc.MigrateError
) -> None:
    vendor = Vendor(clock, 1e6)
    task = deletion(caller, vendor)
    vendor.next = 10_000 * [failure]
    with pytest.raises((mc.TransportError, mc.ServerError)) as raised:
        caller(task.wait(timeout=None))
    assert PATIENCE <= clock.monotonic() <= PATIENCE + 2 * LONGEST
    assert any(task.token in note for note in raised.value.__notes__)
    assert not task.done


def test_looks_that_fail_now_and_then_do_not_end_the_wait(caller: Caller, clock: VirtualClock) -> None:
    """For twice as long as looks may fail in a row, each look that succeeds is followed by one that fails."""
    vendor = Vendor(clock, 2 * PATIENCE)
    vendor.extra = {"progress": None}
    task = deletion(caller, vendor)
    failed_look = 3 * [Response(status=503)]  # with its repetitions
    vendor.next = 200 * [*failed_look, None]
    caller(task.wait())
    assert clock.monotonic() >= 2 * PATIENCE


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_look_that_waiting_does_not_mend_ends_the_wait(caller: Caller, clock: VirtualClock, status: int) -> None:
    vendor = Vendor(clock, 1e6)
    task = deletion(caller, vendor)
    vendor.next = [Response(status=status)]
    with pytest.raises(mc.ApiError) as raised:
        caller(task.wait())
    assert (raised.value.status, raised.value.operation) == (status, Operation.GET_TASK)
    assert len(vendor.looks) == 1


def test_a_vendor_that_asks_to_be_left_alone_is_left_alone(caller: Caller, clock: VirtualClock) -> None:
    vendor = Vendor(clock, 20)
    task = deletion(caller, vendor)
    vendor.next = [Response(status=429, headers={"retry-after": "90"})]
    caller(task.wait())
    assert vendor.looks == [1, 91]


def test_a_good_answer_may_ask_to_be_left_alone_too(caller: Caller, clock: VirtualClock) -> None:
    vendor = Vendor(clock, 20)
    task = deletion(caller, vendor)
    body = json.dumps(vendor.state()).encode()
    vendor.next = [Response(status=200, headers={"retry-after": "40"}, body=body)]
    caller(task.wait())
    assert vendor.looks == [1, 41]


def test_a_vendor_that_asks_to_be_left_alone_for_longer_than_we_wait_is_left_alone(
    caller: Caller, clock: VirtualClock
) -> None:
    vendor = Vendor(clock, 1000)
    task = deletion(caller, vendor)
    vendor.next = [Response(status=429, headers={"retry-after": "90"})]
    with pytest.raises(mc.TaskTimeoutError):
        caller(task.wait(timeout=60))
    assert vendor.looks == [1]
    assert clock.monotonic() == pytest.approx(60)


def test_an_interrupted_wait_says_how_to_go_on(caller: Caller, clock: VirtualClock) -> None:
    def interrupt(_: Any) -> None:
        raise KeyboardInterrupt

    task = deletion(caller, Vendor(clock, 60))
    with pytest.raises(KeyboardInterrupt) as raised:
        caller(task.wait(on_progress=interrupt))
    assert any(task.token in note for note in raised.value.__notes__)
    assert task.progress is not None
