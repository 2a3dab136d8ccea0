"""Waiting for many tasks at once: in one schedule, one list in place of many looks, and nobody waits in vain."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from types import FrameType
from typing import Any, ClassVar

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import migrate_core as mc
from migrate_core import _poll
from migrate_core._engine import Acquire, Send, Sleep
from migrate_core._poll import AT_ONCE, LONGEST, PATIENCE, SHORTEST
from migrate_core.clock import Deadline
from migrate_core.errors import error_class_for
from migrate_core.operations import Capability, Operation, Support
from migrate_core.provider import BaseProvider, Flow, Page, Request, Response, Settings, TaskInfo, TaskStatus, url_path
from migrate_core.tasks import WaitForAll
from migrate_core.testing import VirtualClock, new_simulator
from support import Caller

# A vendor with many tasks, on a virtual clock.


@attrs.define
class Job:
    """One of its tasks.

    Attributes:
        seconds: how long it takes.
        end: its last status.
        result: what it gives.
        says: what it says in place of what is so.
        listed: whether the list shows it.
    """

    id: str
    seconds: float
    end: str = "success"
    result: Any = None
    says: Mapping[str, Any] = attrs.field(factory=dict)
    listed: bool = True


class Vendor:
    """The vendor's service.

    Attributes:
        looks: when each task was looked at by itself.
        pages: when a page of the list was read.
        answers: what to answer in place of what is so, asked with each request; ``None`` is the right answer.
        most_at_once: how many requests were on their way at once.
        list_lacks: fields that the list does not have.
    """

    page_size = 100

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.jobs: dict[str, Job] = {}
        self.looks: list[tuple[float, str]] = []
        self.pages: list[float] = []
        self.answers: Callable[[Request], Response | mc.MigrateError | None] = lambda _: None
        self.most_at_once = 0
        self.list_lacks: tuple[str, ...] = ()

    def begin(self, count: int, seconds: float, **kind: Any) -> list[str]:
        """Begin tasks; gives their ids."""
        ids = [f"t-{len(self.jobs) + number}" for number in range(count)]
        self.jobs |= {one: Job(one, seconds, **kind) for one in ids}
        return ids

    def times(self, task_id: str) -> list[float]:
        return [at for at, looked_at in self.looks if looked_at == task_id]

    def state(self, job: Job) -> dict[str, Any]:
        share = min(self.clock.monotonic() / job.seconds, 1.0)
        ended = {"result": job.result} if share == 1 else {}
        status = job.end if share == 1 else "running"
        return {"id": job.id, "status": status, "progress": int(100 * share), **ended, **job.says}

    def answer(self, request: Request) -> Response:
        listing = request.path == "/tasks"
        if listing:
            self.pages.append(self.clock.monotonic())
        else:
            self.looks.append((self.clock.monotonic(), request.path.rpartition("/")[-1]))
        planned = self.answers(request)
        if isinstance(planned, mc.MigrateError):
            raise planned
        if planned is not None:
            return planned
        said = self.page(int(dict(request.query)["from"])) if listing else self.state(self.jobs[self.looks[-1][1]])
        return Response(status=200, body=json.dumps(said).encode())

    def page(self, start: int) -> dict[str, Any]:
        shown = [job for job in self.jobs.values() if job.listed]
        end = start + self.page_size
        items = [self.state(job) for job in shown[start:end]]
        lacking = [{name: value for name, value in item.items() if name not in self.list_lacks} for item in items]
        return {"items": lacking, "next": str(end) if end < len(shown) else None}

    # Its two doors.

    def send(self, request: Request, deadline: Deadline) -> Response:
        return self.answer(request)

    def close(self) -> None:
        """Nothing is open."""


class AsyncDoor:
    """Its door for event loops; a request takes so many turns of the loop."""

    turns = 1

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor
        self._at_once = 0

    async def send(self, request: Request, deadline: Deadline) -> Response:
        self._at_once += 1
        self._vendor.most_at_once = max(self._vendor.most_at_once, self._at_once)
        for _ in range(self.turns):
            await asyncio.sleep(0)
        self._at_once -= 1
        return self._vendor.answer(request)

    async def close(self) -> None:
        """Nothing is open."""


class Tasked(BaseProvider):
    """Has tasks, and no list of them."""

    name = "tasked"
    capabilities: ClassVar[Mapping[Operation, Capability]] = {Operation.GET_TASK: Capability(Support.FULL)}

    def endpoints(self) -> Mapping[str, str]:
        return {"main": "https://tasked.invalid"}

    def error_from(self, response: Response) -> mc.ApiError:
        return error_class_for(response.status)("no", provider=self.name, status=response.status)

    def get_task(self, last: TaskInfo) -> Flow[TaskInfo]:
        response = yield Request(method="GET", path=url_path("tasks", last.id), repeatable=True)
        return _info(response.json_object())


class Listing(Tasked):
    """Has a list of its tasks."""

    name = "listing"
    capabilities: ClassVar[Mapping[Operation, Capability]] = {
        **Tasked.capabilities,
        Operation.LIST_TASKS: Capability(Support.FULL),
    }

    def list_tasks(self, cursor: str | None) -> Flow[Page[TaskInfo]]:
        response = yield Request(method="GET", path="/tasks", query=(("from", cursor or "0"),), repeatable=True)
        said = response.json_object()
        return Page(tuple(map(_info, said["items"])), said["next"])


def _info(said: Mapping[str, Any]) -> TaskInfo:
    return TaskInfo(
        id=said["id"],
        status=TaskStatus(said["status"]),
        progress=said.get("progress"),
        result=said.get("result"),
        error=mc.TaskFailure("it broke") if said["status"] == "error" else None,
        needs_input=said.get("needs_input", False),
    )


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def vendor(clock: VirtualClock) -> Vendor:
    return Vendor(clock)


def client_for(caller: Caller, vendor: Vendor, provider: type[BaseProvider] = Tasked, **settings: Any) -> Any:
    made = provider(Settings(**settings))
    client: Any
    if caller.kind == "async":
        client = mc.AsyncClient(made, AsyncDoor(vendor), vendor.clock)
    else:
        client = mc.Client(made, vendor, vendor.clock)
    client._engine.rng.seed(7)
    return client


def tasks_of(client: Any, ids: list[str]) -> list[Any]:
    """The tasks as a changing call would have returned them: not looked at yet."""
    kind: Any = mc.AsyncTask if isinstance(client, mc.AsyncClient) else mc.Task
    return [kind(client, TaskInfo(id=one, status=TaskStatus.RUNNING, progress=0.0)) for one in ids]


# What is given.


@pytest.mark.parametrize("provider", [Tasked, Listing])
def test_the_results_come_in_the_order_of_the_tasks(
    caller: Caller, vendor: Vendor, provider: type[BaseProvider]
) -> None:
    client = client_for(caller, vendor, provider)
    ids = [one for number in range(30) for one in vendor.begin(1, 100 - 3 * number, result=f"r-{number}")]
    tasks = tasks_of(client, ids)
    assert caller(client.tasks.wait_all(tasks)) == tuple(f"r-{number}" for number in range(30))
    assert all(task.status is TaskStatus.SUCCESS for task in tasks)


def test_no_tasks_and_tasks_that_have_ended_cost_no_request(caller: Caller, vendor: Vendor) -> None:
    client = client_for(caller, vendor)
    kind: Any = mc.AsyncTask if caller.kind == "async" else mc.Task
    ended = kind(client, TaskInfo.finished(Operation.REGISTER_SOURCE, result="s-1"))
    assert caller(client.tasks.wait_all([])) == ()
    assert caller(client.tasks.wait_all(iter([ended, ended]))) == ("s-1", "s-1")
    assert (vendor.looks, vendor.clock.monotonic()) == ([], 0)


def test_a_task_given_twice_is_looked_at_once(caller: Caller, vendor: Vendor) -> None:
    client = client_for(caller, vendor)
    tasks = tasks_of(client, vendor.begin(1, 1, result="r"))
    assert caller(client.tasks.wait_all(2 * tasks)) == ("r", "r")
    assert len(vendor.looks) == 1


def test_each_look_is_told_with_its_task(caller: Caller, vendor: Vendor) -> None:
    client = client_for(caller, vendor)
    tasks = tasks_of(client, vendor.begin(3, 30))
    told: list[tuple[str, TaskStatus]] = []
    caller(client.tasks.wait_all(tasks, on_progress=lambda task: told.append((task.id, task.status))))
    assert Counter(one for one, _ in told) == Counter(one for _, one in vendor.looks)
    assert [status for _, status in told].count(TaskStatus.SUCCESS) == 3


def test_a_task_of_another_client_is_refused_before_anything_is_sent(caller: Caller, vendor: Vendor) -> None:
    client, other = client_for(caller, vendor), client_for(caller, vendor)
    tasks = tasks_of(other, vendor.begin(1, 1))
    with pytest.raises(mc.InvalidArgumentError, match="belongs to another client"):
        caller(client.tasks.wait_all(tasks))
    assert vendor.looks == []


# When each is looked at.


def test_each_task_is_looked_at_as_its_own_pace_says(caller: Caller, vendor: Vendor) -> None:
    client = client_for(caller, vendor)
    durations = (3, 60, 600, 2000)
    ids = [one for seconds in durations for one in vendor.begin(1, seconds)]
    caller(client.tasks.wait_all(tasks_of(client, ids)))
    for one, seconds, most, latest in zip(ids, durations, (4, 13, 45, 100), (1, 1.5, 5, 15), strict=True):
        times = vendor.times(one)
        assert times[0] == SHORTEST
        assert 0 <= times[-1] - seconds <= latest
        assert len(times) <= most
        assert all(later - earlier >= SHORTEST - 1e-9 for earlier, later in pairwise(times))


def test_the_task_that_is_due_first_is_looked_at_first(caller: Caller, vendor: Vendor) -> None:
    client = client_for(caller, vendor)
    ids = vendor.begin(5, 1000) + vendor.begin(5, 50)
    caller(client.tasks.wait_all(tasks_of(client, ids)))
    moments = [at for at, _ in vendor.looks]
    assert moments == sorted(moments)


class OneSleeper(VirtualClock):
    """Sees how many sleep at the same time."""

    def __init__(self) -> None:
        super().__init__()
        self.asleep_now = self.most_asleep = 0

    async def asleep(self, seconds: float) -> None:
        self.asleep_now += 1
        self.most_asleep = max(self.most_asleep, self.asleep_now)
        await super().asleep(seconds)
        self.asleep_now -= 1


def test_under_asyncio_a_few_look_side_by_side_and_one_waits_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AsyncDoor, "turns", 100)
    clock = OneSleeper()
    vendor = Vendor(clock)
    running: list[int] = []

    async def wait() -> None:
        client = client_for(Caller("async"), vendor)
        tasks = tasks_of(client, vendor.begin(1000, 5))
        await client.tasks.wait_all(tasks, on_progress=lambda _: running.append(len(asyncio.all_tasks())))

    asyncio.run(wait())
    assert vendor.most_at_once == AT_ONCE
    assert clock.most_asleep == 1
    assert max(running) <= AT_ONCE + 1


def test_a_look_that_hangs_holds_up_no_other_under_asyncio(vendor: Vendor) -> None:
    released = asyncio.Event()

    class Hanging(AsyncDoor):
        async def send(self, request: Request, deadline: Deadline) -> Response:
            if request.path == "/tasks/t-0":
                await released.wait()
            return await super().send(request, deadline)

    async def wait() -> None:
        client = mc.AsyncClient(Tasked(Settings()), Hanging(vendor), vendor.clock)
        tasks = tasks_of(client, vendor.begin(10, 20))

        def on_progress(_: Any) -> None:
            if all(task.done for task in tasks[1:]):
                released.set()

        await client.tasks.wait_all(tasks, on_progress=on_progress)

    asyncio.run(wait())
    assert released.is_set()


# How tasks and looks fail.


def failures_of(caller: Caller, wait: Callable[[], Any]) -> list[Exception]:
    with pytest.raises(ExceptionGroup) as raised:
        caller(wait())
    return list(raised.value.exceptions)


@pytest.mark.parametrize("provider", [Tasked, Listing])
def test_what_becomes_of_one_task_is_told_when_all_have_ended(
    caller: Caller, vendor: Vendor, provider: type[BaseProvider]
) -> None:
    client = client_for(caller, vendor, provider)
    ids = vendor.begin(20, 300, result="r")
    for number, (end, says) in enumerate([("error", {}), ("cancelled", {}), ("running", {"needs_input": True})]):
        vendor.jobs[ids[number]] = Job(ids[number], 5, end, says=says)
    vendor.jobs[ids[3]].says = {"status": "running"}
    vendor.jobs[ids[4]].listed = False
    vendor.answers = lambda request: Response(status=404) if request.path.endswith("/t-4") else None
    tasks = tasks_of(client, ids)
    errors = failures_of(caller, lambda: client.tasks.wait_all(tasks, timeout=1000))
    assert [type(error) for error in errors] == [
        mc.TaskFailedError,
        mc.TaskCancelledError,
        mc.TaskNeedsInputError,
        mc.TaskTimeoutError,
        mc.NotFoundError,
    ]
    assert [task.status for task in tasks[5:]] == 15 * [TaskStatus.SUCCESS]
    assert tasks[0].error == mc.TaskFailure("it broke")
    assert tasks[4].token in errors[4].__notes__[0]
    assert vendor.clock.monotonic() == pytest.approx(1000)


def test_the_errors_are_those_that_a_wait_for_one_would_raise(caller: Caller, vendor: Vendor) -> None:
    client = client_for(caller, vendor)
    (task,) = tasks_of(client, vendor.begin(1, 5, end="error"))
    try:
        caller(client.tasks.wait_all([task]))
    except* mc.TaskFailedError as failed:
        (error,) = failed.exceptions
        assert isinstance(error, mc.TaskFailedError)
        assert (error.info, error.token) == (task.info, task.token)


def test_looks_at_one_task_that_fail_for_a_while_do_not_end_its_wait_nor_that_of_others(
    caller: Caller, vendor: Vendor
) -> None:
    client = client_for(caller, vendor)
    failing = {"/tasks/t-0": mc.ResponseLostError("lost"), "/tasks/t-1": Response(status=503)}
    vendor.answers = lambda request: failing.get(request.path) if vendor.clock.monotonic() < 200 else None
    tasks = tasks_of(client, vendor.begin(5, 250, result="r"))
    assert caller(client.tasks.wait_all(tasks)) == 5 * ("r",)


def test_looks_at_one_task_that_fail_for_too_long_end_its_wait_only(caller: Caller, vendor: Vendor) -> None:
    client = client_for(caller, vendor)
    failing = {"/tasks/t-0": mc.ResponseLostError("lost"), "/tasks/t-1": Response(status=503)}
    vendor.answers = lambda request: failing.get(request.path)
    tasks = tasks_of(client, vendor.begin(5, 900))
    errors = failures_of(caller, lambda: client.tasks.wait_all(tasks, timeout=None))
    assert [type(error) for error in errors] == [mc.ResponseLostError, mc.ServerError]
    assert all(task.token in error.__notes__[0] for task, error in zip(tasks[:2], errors, strict=True))
    assert all(task.done for task in tasks[2:])
    assert PATIENCE <= vendor.times("t-1")[-1] <= PATIENCE + 2 * LONGEST


@pytest.mark.parametrize("provider", [Tasked, Listing])
@pytest.mark.parametrize("status", [None, 429], ids=["down", "429"])
def test_a_vendor_that_cannot_be_reached_is_asked_seldom_and_not_for_each_task(
    caller: Caller, vendor: Vendor, provider: type[BaseProvider], status: int | None
) -> None:
    """And when that lasts, the wait ends, with the tokens of the first few tasks."""
    client = client_for(caller, vendor, provider)
    vendor.answers = lambda _: Response(status=status) if status else mc.RequestNotSentError("nobody there")
    tasks = tasks_of(client, vendor.begin(1000, 900))
    with pytest.raises((mc.TransportError, mc.RateLimitedError)) as raised:
        caller(client.tasks.wait_all(tasks, timeout=None))
    assert PATIENCE <= vendor.clock.monotonic() <= PATIENCE + 2 * LONGEST
    assert len(vendor.looks) + len(vendor.pages) < 3 * (60 + AT_ONCE)
    (note,) = raised.value.__notes__
    assert note.startswith("1000 tasks go on")
    assert [task.token in note for task in tasks] == 20 * [True] + 980 * [False]
    assert "and 980 more" in note


def test_a_vendor_that_comes_back_finds_the_wait_going_on(caller: Caller, vendor: Vendor) -> None:
    client = client_for(caller, vendor)
    down = mc.RequestNotSentError("nobody there")
    vendor.answers = lambda _: down if 20 < vendor.clock.monotonic() < 250 else None
    tasks = tasks_of(client, vendor.begin(100, 300, result="r"))
    assert caller(client.tasks.wait_all(tasks)) == 100 * ("r",)


def test_a_vendor_that_asks_to_be_left_alone_is_by_all(caller: Caller, vendor: Vendor) -> None:
    client = client_for(caller, vendor)
    refused: list[float] = []

    def answers(_: Request) -> Response | None:
        if refused:
            return None
        refused.append(vendor.clock.monotonic())
        return Response(status=429, headers={"retry-after": "60"})

    vendor.answers = answers
    caller(client.tasks.wait_all(tasks_of(client, vendor.begin(50, 100))))
    assert refused == [1]
    early = [at for at, _ in vendor.looks if 1 < at < 61]
    assert len(early) <= (AT_ONCE if caller.kind == "async" else 0)


def test_a_refused_login_ends_the_wait_and_is_not_tried_for_each_task(caller: Caller, vendor: Vendor) -> None:
    client = client_for(caller, vendor)
    vendor.answers = lambda _: Response(status=401)
    with pytest.raises(mc.AuthenticationError):
        caller(client.tasks.wait_all(tasks_of(client, vendor.begin(200, 100))))
    assert len(vendor.looks) <= AT_ONCE


def test_what_the_caller_raises_ends_the_wait_as_it_is_and_says_how_to_go_on(caller: Caller, vendor: Vendor) -> None:
    client = client_for(caller, vendor)
    tasks = tasks_of(client, vendor.begin(3, 100))
    error = mc.NotFoundError("the caller's own", provider="other", status=404)

    def raise_it(_: Any) -> None:
        raise error

    with pytest.raises(mc.NotFoundError) as raised:
        caller(client.tasks.wait_all(tasks, on_progress=raise_it))
    assert raised.value is error
    assert all(task.token in error.__notes__[0] for task in tasks)


def test_ctrl_c_ends_the_wait_and_says_how_to_go_on(vendor: Vendor) -> None:
    client = client_for(Caller("sync"), vendor)
    tasks = tasks_of(client, [*vendor.begin(1, 1, result="r"), *vendor.begin(2, 100)])

    def interrupt(task: Any) -> None:
        if tasks[0].done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as raised:
        client.tasks.wait_all(tasks, on_progress=interrupt)
    assert [task.token in raised.value.__notes__[0] for task in tasks] == [False, True, True]


def test_a_cancelled_wait_leaves_nothing_running(vendor: Vendor) -> None:
    async def wait() -> int:
        client = client_for(Caller("async"), vendor)
        waiting = asyncio.create_task(client.tasks.wait_all(tasks_of(client, vendor.begin(100, 1e9)), timeout=None))
        for _ in range(50):
            await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return len(asyncio.all_tasks())

    assert asyncio.run(wait()) == 1


# How the time ends.


@pytest.mark.parametrize("provider", [Tasked, Listing])
@pytest.mark.parametrize("timeout", [0, 0.5, 45.0])
def test_when_the_time_is_over_each_task_is_looked_at_once_more(
    caller: Caller, vendor: Vendor, timeout: float, provider: type[BaseProvider]
) -> None:
    client = client_for(caller, vendor, provider)
    tasks = tasks_of(client, vendor.begin(25, 1e6))
    last: dict[str, float] = {}
    wait = client.tasks.wait_all
    errors = failures_of(
        caller, lambda: wait(tasks, timeout, on_progress=lambda task: last.update({task.id: vendor.clock.monotonic()}))
    )
    assert [type(error) for error in errors] == 25 * [mc.TaskTimeoutError]
    assert last == {task.id: pytest.approx(timeout) for task in tasks}
    assert vendor.clock.monotonic() == pytest.approx(timeout)


def test_tasks_that_end_with_the_time_are_no_time_outs(caller: Caller, vendor: Vendor) -> None:
    client = client_for(caller, vendor)
    assert caller(client.tasks.wait_all(tasks_of(client, vendor.begin(5, 45, result=1)), timeout=45)) == 5 * (1,)


def test_the_last_looks_do_not_take_much_longer_than_the_time_allowed(caller: Caller, vendor: Vendor) -> None:
    """The vendor takes a second to answer, and there are 1,000 tasks."""
    client = client_for(caller, vendor)

    def slowly(_: Request) -> None:
        vendor.clock.advance(1)

    vendor.answers = slowly
    errors = failures_of(caller, lambda: client.tasks.wait_all(tasks_of(client, vendor.begin(1000, 1e6)), timeout=60))
    assert len(errors) == 1000
    assert 60 <= vendor.clock.monotonic() <= 95 + AT_ONCE


def test_a_task_that_is_to_be_left_alone_beyond_the_time_is_left_alone(caller: Caller, vendor: Vendor) -> None:
    client = client_for(caller, vendor)
    tasks = tasks_of(client, vendor.begin(2, 1000))
    body = json.dumps(vendor.state(vendor.jobs["t-0"])).encode()
    hinted = Response(status=200, headers={"retry-after": "90"}, body=body)
    vendor.answers = lambda request: hinted if request.path.endswith("/t-0") else None
    assert len(failures_of(caller, lambda: client.tasks.wait_all(tasks, timeout=60))) == 2
    assert vendor.times("t-0") == [1]
    assert vendor.clock.monotonic() == pytest.approx(60)


# Lists in place of looks.


def test_many_that_are_due_at_once_are_looked_at_in_a_list(caller: Caller, vendor: Vendor) -> None:
    client = client_for(caller, vendor, Listing)
    tasks = tasks_of(client, vendor.begin(1000, 600, result="r"))
    told: Counter[str] = Counter()
    caller(client.tasks.wait_all(tasks, on_progress=lambda task: told.update([task.id])))
    lists = len(vendor.pages) / 10
    assert lists <= 60
    assert len(vendor.looks) <= 100
    assert max(told.values()) <= lists + 5
    assert vendor.clock.monotonic() <= 605


def test_a_few_are_looked_at_by_themselves(caller: Caller, vendor: Vendor) -> None:
    client = client_for(caller, vendor, Listing)
    caller(client.tasks.wait_all(tasks_of(client, vendor.begin(9, 60))))
    assert vendor.pages == []


def test_tasks_that_the_list_does_not_show_are_looked_at_by_themselves(caller: Caller, vendor: Vendor) -> None:
    client = client_for(caller, vendor, Listing)
    shown, hidden = vendor.begin(100, 60, result="s"), vendor.begin(10, 60, result="h", listed=False)
    assert caller(client.tasks.wait_all(tasks_of(client, shown + hidden))) == 100 * ("s",) + 10 * ("h",)
    assert all(vendor.times(one) for one in hidden)
    assert sum(len(vendor.times(one)) for one in shown) < 200


@pytest.mark.parametrize("end", ["error", "cancelled", "success"])
def test_an_end_that_the_list_shows_is_looked_at_unless_it_is_a_success_with_its_result(
    caller: Caller, vendor: Vendor, end: str
) -> None:
    """The list knows of no results, and takes every end for a failure."""
    client = client_for(caller, vendor, Listing)
    ids = vendor.begin(50, 30, end=end, result="r")
    vendor.list_lacks = ("result",)
    tasks = tasks_of(client, ids)
    if end == "success":
        assert caller(client.tasks.wait_all(tasks)) == 50 * ("r",)
    else:
        failures_of(caller, lambda: client.tasks.wait_all(tasks))
    assert {task.status for task in tasks} == {TaskStatus(end)}
    assert all(vendor.times(one) for one in ids)


def test_a_success_that_the_list_shows_with_its_result_is_believed(caller: Caller, vendor: Vendor) -> None:
    client = client_for(caller, vendor, Listing)
    tasks = tasks_of(client, vendor.begin(50, 1, result="r"))
    assert caller(client.tasks.wait_all(tasks)) == 50 * ("r",)
    assert (vendor.looks, vendor.pages) == ([], [1])


def test_a_list_without_progress_does_not_hide_what_the_looks_saw(caller: Caller, vendor: Vendor) -> None:
    client = client_for(caller, vendor, Listing)
    vendor.list_lacks = ("progress",)
    caller(client.tasks.wait_all(tasks_of(client, vendor.begin(100, 600, result="r"))))
    assert vendor.clock.monotonic() <= 600 + LONGEST


def test_a_list_full_of_other_tasks_is_soon_not_asked_for_again(caller: Caller, vendor: Vendor) -> None:
    client = client_for(caller, vendor, Listing)
    vendor.begin(5_000, 1e9)
    ours = vendor.begin(200, 600)
    caller(client.tasks.wait_all(tasks_of(client, ours)))
    assert 1 <= len(vendor.pages) <= 20


@pytest.mark.parametrize("answer", [Response(status=403), Response(status=500), Response(status=200, body=b"{}")])
def test_a_list_that_cannot_be_read_is_done_without(caller: Caller, vendor: Vendor, answer: Response) -> None:
    client = client_for(caller, vendor, Listing)
    vendor.answers = lambda request: answer if request.path == "/tasks" else None
    tasks = tasks_of(client, vendor.begin(50, 60, result="r"))
    assert caller(client.tasks.wait_all(tasks)) == 50 * ("r",)
    assert len(vendor.pages) <= 3


def test_lists_that_fail_for_a_while_are_asked_for_again(caller: Caller, vendor: Vendor) -> None:
    client = client_for(caller, vendor, Listing)
    lost = mc.ResponseLostError("lost")
    vendor.answers = lambda request: lost if request.path == "/tasks" and vendor.clock.monotonic() < 30 else None
    tasks = tasks_of(client, vendor.begin(500, 60, result="r"))
    assert caller(client.tasks.wait_all(tasks)) == 500 * ("r",)
    assert len(vendor.looks) <= 50


def test_a_task_that_is_to_be_left_alone_is_not_looked_at_for_what_a_list_shows(caller: Caller, vendor: Vendor) -> None:
    client = client_for(caller, vendor, Listing)
    ids = vendor.begin(50, 20)
    vendor.jobs[ids[0]].listed = False

    def hint(request: Request) -> Response | None:
        if request.path != "/tasks/t-0" or vendor.times("t-0") != vendor.times("t-0")[:1]:
            return None
        vendor.jobs[ids[0]].listed = True
        body = json.dumps(vendor.state(vendor.jobs["t-0"])).encode()
        return Response(status=200, headers={"retry-after": "60"}, body=body)

    vendor.answers = hint
    caller(client.tasks.wait_all(tasks_of(client, ids)))
    first, second = vendor.times("t-0")
    assert second == pytest.approx(first + 60)


# Whatever happens.


JOBS = st.builds(
    Job,
    id=st.just(""),
    seconds=st.floats(0.1, 900),
    end=st.sampled_from(["success", "error", "cancelled", "running"]),
    result=st.none() | st.just("r"),
    says=st.sampled_from([{}, {"progress": None}, {"progress": 0}, {"progress": 99}]),
    listed=st.booleans(),
)
ANSWERS = st.none() | st.none() | st.sampled_from(["lost", "404", "429", "429+20", "500", "503+400"])


def as_planned(plan: Iterator[str | None]) -> Callable[[Request], Response | mc.MigrateError | None]:
    def answer(_: Request) -> Response | mc.MigrateError | None:
        planned = next(plan, None)
        if planned is None:
            return None
        if planned == "lost":
            return mc.ResponseLostError("lost")
        status, _, wanted = planned.partition("+")
        return Response(status=int(status), headers={"retry-after": wanted} if wanted else {})

    return answer


@pytest.mark.parametrize("kind", ["sync", "async"])
@given(
    jobs=st.lists(JOBS, min_size=1, max_size=40),
    plan=st.lists(ANSWERS, max_size=60),
    timeout=st.floats(0, 1500),
    page_size=st.integers(1, 50),
)
def test_a_wait_ends_in_time_and_tells_what_became_of_each_task(
    kind: Any, jobs: list[Job], plan: list[str | None], timeout: float, page_size: int
) -> None:
    caller, vendor = Caller(kind), Vendor(VirtualClock())
    vendor.jobs = {f"t-{number}": attrs.evolve(job, id=f"t-{number}") for number, job in enumerate(jobs)}
    vendor.page_size = page_size
    vendor.answers = as_planned(iter(plan))
    client = client_for(caller, vendor, Listing)
    tasks = tasks_of(client, list(vendor.jobs))
    results: tuple[Any, ...] = ()
    errors: list[Exception] = []
    try:
        results = caller(client.tasks.wait_all(tasks, timeout))
    except ExceptionGroup as group:
        errors = list(group.exceptions)
    except (mc.TransportError, mc.RateLimitedError):
        assert vendor.clock.monotonic() > PATIENCE
        return
    finally:
        caller.close()
    succeeded = [task for task in tasks if task.status is TaskStatus.SUCCESS]
    assert len(succeeded) + len(errors) == len(tasks)
    assert errors or results == tuple(job.result for job in vendor.jobs.values())
    assert all(task.status.value == vendor.jobs[task.id].end for task in tasks if task.done)
    assert all(isinstance(error, mc.TaskError | mc.ApiError | mc.TransportError) for error in errors)
    assert vendor.clock.monotonic() <= timeout + 40
    if vendor.clock.monotonic() < timeout:
        assert not any(isinstance(error, mc.TaskTimeoutError) for error in errors)


# The vendors' simulators.


def test_a_hundred_deletions_at_a_site_are_waited_for_in_few_requests(caller: Caller) -> None:
    simulator = new_simulator("vmware_srm", clock=VirtualClock())
    client = caller.connect("vmware_srm", clock=simulator.clock, **simulator.settings())
    ids = [simulator.add_task(seconds=600.0) for _ in range(100)]
    caller(client.tasks.wait_all(tasks_of(client, ids)))
    requests = Counter("look" if "/tasks/" in entry.path else "other" for entry in simulator.journal)
    assert requests["look"] <= 400
    assert requests["other"] <= 300


def test_a_cancelled_job_is_one_though_the_list_says_otherwise(caller: Caller) -> None:
    """The list of Application Migration Service does not read the jobs' logs, which say so."""
    simulator = new_simulator("aws_mgn", clock=VirtualClock())
    client = caller.connect("aws_mgn", clock=simulator.clock, **simulator.settings())
    ids = [simulator.add_task(TaskStatus.CANCELLED, seconds=60.0) for _ in range(20)]
    errors = failures_of(caller, lambda: client.tasks.wait_all(tasks_of(client, ids)))
    assert [type(error) for error in errors] == 20 * [mc.TaskCancelledError]


# Growth.


@contextmanager
def lines_counted(file: str) -> Iterator[list[int]]:
    """Count the lines of one file that are run."""
    lines = [0]

    def within(frame: FrameType, event: str, _: Any) -> Any:
        lines[0] += event == "line"
        return within

    def enter(frame: FrameType, event: str, _: Any) -> Any:
        return within if frame.f_code.co_filename == file else None

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        yield lines
    finally:
        sys.settrace(before)


def work(count: int, provider: type[BaseProvider]) -> tuple[int, int, int]:
    """Wait for tasks; gives the effects, the requests, and the lines of the schedule that were run."""
    clock = VirtualClock()
    vendor = Vendor(clock)
    client = client_for(Caller("sync"), vendor, provider)
    ids = [one for number in range(count) for one in vendor.begin(1, 3 + number % 5, result="r")]
    effects = 0
    assert _poll.__file__
    with lines_counted(_poll.__file__) as lines:
        wait: WaitForAll[Any] = WaitForAll(client._engine, tasks_of(client, ids), 3600.0, None, _NoLock())
        steps = wait.work()
        effect = next(steps)
        while True:
            effects += 1
            answer = None
            match effect:
                case Send(request, _):
                    answer = vendor.answer(request)
                case Sleep(seconds):
                    clock.sleep(seconds)
                case Acquire():
                    pass
            try:
                effect = steps.send(answer)
            except StopIteration:
                break
    assert wait.results() == count * ("r",)
    return effects, len(vendor.looks) + len(vendor.pages), lines[0]


class _NoLock:
    def release(self) -> None:
        """There is nobody else."""


@pytest.mark.parametrize("provider", [Tasked, Listing])
@pytest.mark.timeout(600)
def test_ten_times_the_tasks_are_ten_times_the_work(provider: type[BaseProvider]) -> None:
    small, medium, large = (work(count, provider) for count in (10, 100, 1000))
    for few, many in ((small, medium), (medium, large)):
        assert all(more <= 13 * less for less, more in zip(few, many, strict=True))


@pytest.mark.parametrize("rate", [0.5, 4.0, 40.0])
def test_looks_keep_to_the_rate_limit_of_the_connection(
    caller: Caller, vendor: Vendor, clock: VirtualClock, rate: float
) -> None:
    client = client_for(caller, vendor, rate_limit=rate)
    caller(client.tasks.wait_all(tasks_of(client, vendor.begin(30, 50.0))))
    times = [at for at, _ in vendor.looks]
    assert len(times) >= 30
    assert times[-1] - times[0] >= (len(times) - 1) / rate - 1e-6
