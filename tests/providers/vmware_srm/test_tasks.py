"""Tasks of Site Recovery Manager: their ends, the waiting for them, and how one is taken up again elsewhere."""

from __future__ import annotations

import asyncio
import base64
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import migrate_core as mc
from migrate_core.clock import Deadline
from migrate_core.provider import Request, Response
from migrate_core.tasks import info_from, token_for
from migrate_core.testing import VirtualClock, serve
from migrate_core.transports import Transport, TransportOptions
from migrate_vmware_srm.models import SrmPairingSpec
from migrate_vmware_srm.simulator import VmwareSrmSimulator
from support import Caller

BASE = "/api/rest/srm/v2"


@pytest.fixture
def near(caller: Caller, simulator: VmwareSrmSimulator) -> Any:
    """A client of either kind, in process."""
    return connect(caller, simulator)


def connect(caller: Caller, simulator: VmwareSrmSimulator, **settings: Any) -> Any:
    return caller.connect("vmware_srm", clock=simulator.clock, **{**simulator.settings(), **settings})


def looks(simulator: VmwareSrmSimulator) -> int:
    return sum(entry.method == "GET" and "/tasks/" in entry.path for entry in simulator.journal)


def peer_spec(simulator: VmwareSrmSimulator, password: str | None = None) -> mc.PairingSpec:
    return mc.PairingSpec(
        remote_url="vc-b.example",
        remote_username=simulator.credentials["peer_username"],
        remote_password=password or simulator.credentials["peer_password"],
        details=SrmPairingSpec(pair_vc_guid="guid-b"),
    )


def damaged(token: str) -> str:
    return token[:-3] + ("AAA" if token[-3:] != "AAA" else "BBB")


# How tasks end.


def test_a_task_that_succeeds(client: Any, caller: Caller, simulator: VmwareSrmSimulator) -> None:
    pairing_id = simulator.pair()
    task = caller(client.pairings.delete(pairing_id))
    assert (task.status, task.progress, task.done, task.error) == (mc.TaskStatus.QUEUED, 0.0, False, None)
    assert caller(task.wait()) is None
    assert (task.status, task.progress, task.done, task.error) == (mc.TaskStatus.SUCCESS, 100.0, True, None)
    assert (task.info.operation, task.info.entity_id) == (mc.Operation.DELETE_PAIRING, pairing_id)
    assert not simulator.has_pairing(pairing_id)
    with pytest.raises(mc.NotFoundError):
        caller(client.pairings.describe(pairing_id))


def test_the_result_of_a_task_is_what_the_vendor_gives(
    near: Any, caller: Caller, simulator: VmwareSrmSimulator
) -> None:
    result = caller(caller(near.pairings.create(peer_spec(simulator))).wait())
    assert simulator.has_pairing(result["pairing_id"])
    assert caller(near.pairings.describe(result["pairing_id"])).remote.name == "srm-b.example"


def test_the_times_of_a_task_are_known(near: Any, caller: Caller, simulator: VmwareSrmSimulator) -> None:
    began = simulator.clock.now()
    task = caller(near.pairings.delete(simulator.pair()))
    assert (task.info.queued_at, task.info.started_at, task.info.ended_at) == (began, None, None)
    caller(task.wait())
    assert task.info.queued_at == began
    assert (task.info.started_at - began).total_seconds() == 2.0
    assert (task.info.ended_at - began).total_seconds() == 10.0


def test_a_task_that_fails_says_why(client: Any, caller: Caller, simulator: VmwareSrmSimulator) -> None:
    simulator.controls.fail = "The remote site is down."
    pairing_id = simulator.pair()
    task = caller(client.pairings.delete(pairing_id))
    with pytest.raises(mc.TaskFailedError, match=r"The remote site is down\. \(simulated\)") as caught:
        caller(task.wait())
    error = caught.value
    assert error.info.error == mc.TaskFailure("The remote site is down.", "simulated")
    assert error.info.status is mc.TaskStatus.ERROR
    assert error.info.id == task.id
    assert error.token == task.token
    assert (task.done, task.error) == (True, error.info.error)
    assert simulator.has_pairing(pairing_id)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.info, again.token) == (type(error), str(error), error.info, error.token)


def test_a_refused_login_within_a_pairing_task_is_the_tasks_failure(
    near: Any, caller: Caller, simulator: VmwareSrmSimulator
) -> None:
    task = caller(near.pairings.create(peer_spec(simulator, password="wrong-8113")))
    with pytest.raises(mc.TaskFailedError) as caught:
        caller(task.wait())
    assert "wrong-8113" not in f"{caught.value} {caught.value!r} {task!r} {task.info!r}"


def test_a_task_that_somebody_cancelled(near: Any, caller: Caller, simulator: VmwareSrmSimulator) -> None:
    simulator.controls.cancel = True
    task = caller(near.pairings.delete(simulator.pair()))
    with pytest.raises(mc.TaskCancelledError, match="was cancelled") as caught:
        caller(task.wait())
    assert caught.value.info.status is mc.TaskStatus.CANCELLED
    assert task.done


def test_waiting_again_for_a_task_that_ended_sends_nothing(
    near: Any, caller: Caller, simulator: VmwareSrmSimulator
) -> None:
    task = caller(near.pairings.delete(simulator.pair()))
    caller(task.wait())
    simulator.journal.clear()
    caller(task.wait())
    caller(task.refresh())
    assert simulator.journal == []


def test_a_task_that_is_done_at_once_needs_no_look(near: Any, caller: Caller, simulator: VmwareSrmSimulator) -> None:
    simulator.controls.task_seconds = 0.0
    task = caller(near.pairings.delete(simulator.pair()))
    assert task.done
    caller(task.wait(timeout=0))
    assert looks(simulator) == 0


def test_an_error_without_a_reason_is_still_a_failure(near: Any, caller: Caller, simulator: VmwareSrmSimulator) -> None:
    task = caller(near.pairings.delete(simulator.pair()))
    simulator.faults.answer(200, json.dumps({"id": task.id, "status": "ERROR"}), path="/tasks/")
    with pytest.raises(mc.TaskFailedError, match="no reason"):
        caller(task.wait())


# How long one waits.


def test_giving_up_cancels_nothing_and_the_token_takes_it_up_again(
    client: Any, caller: Caller, simulator: VmwareSrmSimulator
) -> None:
    pairing_id = simulator.pair()
    task = caller(client.pairings.delete(pairing_id))
    with pytest.raises(mc.TaskTimeoutError, match="after 5 s of waiting") as caught:
        caller(task.wait(timeout=5.0))
    error = caught.value
    assert isinstance(error, TimeoutError)
    assert error.token == task.token
    assert error.token in str(error)
    assert error.info.status is mc.TaskStatus.RUNNING
    assert simulator.clock.monotonic() == pytest.approx(5.0)
    assert not task.done
    assert pickle.loads(pickle.dumps(error)).token == task.token

    other = connect(caller, simulator)
    resumed = caller(other.tasks.get(error.token))
    assert (resumed.id, resumed.status) == (task.id, mc.TaskStatus.RUNNING)
    assert resumed.info.operation is mc.Operation.DELETE_PAIRING
    caller(resumed.wait())
    assert not simulator.has_pairing(pairing_id)
    caller(task.wait(timeout=0))
    assert task.status is mc.TaskStatus.SUCCESS


def test_no_time_at_all_is_one_look(near: Any, caller: Caller, simulator: VmwareSrmSimulator) -> None:
    task = caller(near.pairings.delete(simulator.pair()))
    with pytest.raises(mc.TaskTimeoutError, match="after 0 s"):
        caller(task.wait(timeout=0))
    assert looks(simulator) == 1
    assert simulator.clock.monotonic() == 0.0
    simulator.clock.sleep(60)
    caller(task.wait(timeout=0))
    assert task.status is mc.TaskStatus.SUCCESS
    assert looks(simulator) == 2


def test_no_timeout_waits_as_long_as_it_takes(near: Any, caller: Caller, simulator: VmwareSrmSimulator) -> None:
    simulator.controls.task_seconds = 9000.0
    task = caller(near.pairings.delete(simulator.pair()))
    with pytest.raises(mc.TaskTimeoutError, match="after 3600 s"):
        caller(task.wait())
    caller(task.wait(timeout=None))
    assert task.status is mc.TaskStatus.SUCCESS
    assert simulator.clock.monotonic() >= 9000.0


@pytest.mark.parametrize("timeout", [0.5, 3.3, 9.9])
def test_a_wait_ends_on_time(near: Any, caller: Caller, simulator: VmwareSrmSimulator, timeout: float) -> None:
    task = caller(near.pairings.delete(simulator.pair()))
    with pytest.raises(mc.TaskTimeoutError):
        caller(task.wait(timeout=timeout))
    assert simulator.clock.monotonic() == pytest.approx(timeout)


def test_a_task_that_ends_at_the_very_last_moment_is_seen(
    near: Any, caller: Caller, simulator: VmwareSrmSimulator
) -> None:
    task = caller(near.pairings.delete(simulator.pair()))
    caller(task.wait(timeout=10.0))
    assert task.status is mc.TaskStatus.SUCCESS


def test_a_task_just_returned_is_not_looked_at_before_the_first_interval(
    near: Any, caller: Caller, simulator: VmwareSrmSimulator
) -> None:
    simulator.controls.task_seconds = 0.5
    task = caller(near.pairings.delete(simulator.pair()))
    assert looks(simulator) == 0
    times: list[float] = []
    caller(task.wait(on_progress=lambda _: times.append(simulator.clock.monotonic())))
    assert times == [1.0]
    assert looks(simulator) == 1


def test_a_resumed_task_is_looked_at_at_once(near: Any, caller: Caller, simulator: VmwareSrmSimulator) -> None:
    token = caller(near.pairings.delete(simulator.pair())).token
    resumed = caller(near.tasks.get(token))
    assert resumed.status is mc.TaskStatus.QUEUED
    assert looks(simulator) == 1
    assert simulator.clock.monotonic() == 0.0


def test_progress_is_seen_from_the_queue_to_the_end(near: Any, caller: Caller, simulator: VmwareSrmSimulator) -> None:
    task = caller(near.pairings.delete(simulator.pair()))
    seen: list[tuple[mc.TaskStatus, float]] = []
    caller(task.wait(on_progress=lambda task: seen.append((task.status, task.progress))))
    statuses = [status for status, _ in seen]
    running = [progress for status, progress in seen if status is mc.TaskStatus.RUNNING]
    assert list(dict.fromkeys(statuses)) == [mc.TaskStatus.QUEUED, mc.TaskStatus.RUNNING, mc.TaskStatus.SUCCESS]
    assert len(running) >= 3
    assert running == sorted(set(running))
    assert seen[-1] == (mc.TaskStatus.SUCCESS, 100.0)
    assert len(seen) == looks(simulator)


def test_progress_is_given_the_task_itself(near: Any, caller: Caller, simulator: VmwareSrmSimulator) -> None:
    task = caller(near.pairings.delete(simulator.pair()))
    given: list[Any] = []
    caller(task.wait(on_progress=given.append))
    assert all(one is task for one in given)


@pytest.mark.parametrize("seconds", [60.0, 600.0, 3000.0])
def test_a_long_task_is_looked_at_seldom_and_its_end_seen_soon(
    near: Any, caller: Caller, simulator: VmwareSrmSimulator, seconds: float
) -> None:
    simulator.controls.task_seconds = seconds
    task = caller(near.pairings.delete(simulator.pair()))
    caller(task.wait())
    assert looks(simulator) < {60.0: 25, 600.0: 90, 3000.0: 180}[seconds]
    assert simulator.clock.monotonic() - seconds <= 31.0


def test_a_look_is_never_less_than_a_second_nor_more_than_half_a_minute_after_the_last(
    near: Any, caller: Caller, simulator: VmwareSrmSimulator
) -> None:
    simulator.controls.task_seconds = 2000.0
    task = caller(near.pairings.delete(simulator.pair()))
    times = [0.0]
    caller(task.wait(on_progress=lambda _: times.append(simulator.clock.monotonic())))
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert min(gaps) >= 1.0 - 1e-6
    assert max(gaps) <= 30.0 + 1e-6


# What goes wrong while one waits.


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_looks_that_fail_for_a_while_do_not_end_the_wait(
    near: Any, caller: Caller, simulator: VmwareSrmSimulator, status: int
) -> None:
    task = caller(near.pairings.delete(simulator.pair()))
    simulator.faults.answer(status, "<html>busy</html>", method="GET", path="/tasks/", times=7)
    caller(task.wait())
    assert task.status is mc.TaskStatus.SUCCESS
    assert [entry.status for entry in simulator.journal].count(status) == 7


def test_failed_looks_report_no_progress(near: Any, caller: Caller, simulator: VmwareSrmSimulator) -> None:
    task = caller(near.pairings.delete(simulator.pair()))
    simulator.faults.answer(503, method="GET", path="/tasks/", times=3)
    times: list[float] = []
    caller(task.wait(on_progress=lambda _: times.append(simulator.clock.monotonic())))
    assert times[0] > 1.0


def test_the_vendors_wish_to_be_left_alone_is_respected(
    near: Any, caller: Caller, simulator: VmwareSrmSimulator
) -> None:
    """Retry-After beats the pace, also where it is longer than one look may take."""
    task = caller(near.pairings.delete(simulator.pair()))
    simulator.faults.answer(429, method="GET", path="/tasks/", headers={"Retry-After": "120"})
    caller(task.wait())
    assert simulator.clock.monotonic() >= 120.0
    assert looks(simulator) == 2


def test_an_absurd_wish_to_be_left_alone_does_not_hold_the_wait_for_ever(
    near: Any, caller: Caller, simulator: VmwareSrmSimulator
) -> None:
    task = caller(near.pairings.delete(simulator.pair()))
    simulator.faults.answer(503, method="GET", path="/tasks/", headers={"Retry-After": "999999999"})
    caller(task.wait(timeout=None))
    assert simulator.clock.monotonic() <= 3600.0


def test_a_wish_to_be_left_alone_does_not_outlast_the_timeout(
    near: Any, caller: Caller, simulator: VmwareSrmSimulator
) -> None:
    task = caller(near.pairings.delete(simulator.pair()))
    simulator.faults.answer(503, method="GET", path="/tasks/", headers={"Retry-After": "120"}, times=2)
    with pytest.raises(mc.TaskTimeoutError):
        caller(task.wait(timeout=5.0))
    assert simulator.clock.monotonic() == pytest.approx(5.0)


@pytest.mark.parametrize("status", [429, 503])
def test_looks_that_fail_for_more_than_five_minutes_end_the_wait(
    near: Any, caller: Caller, simulator: VmwareSrmSimulator, status: int
) -> None:
    task = caller(near.pairings.delete(simulator.pair()))
    simulator.faults.answer(status, method="GET", path="/tasks/", times=10**6)
    with pytest.raises(mc.ApiError) as caught:
        caller(task.wait(timeout=None))
    assert caught.value.status == status
    assert 300.0 < simulator.clock.monotonic() <= 360.0
    assert any(task.token in note for note in caught.value.__notes__)
    simulator.faults.clear()
    caller(task.wait())
    assert task.status is mc.TaskStatus.SUCCESS


def test_five_minutes_of_failing_looks_count_from_the_last_good_one(
    near: Any, caller: Caller, simulator: VmwareSrmSimulator
) -> None:
    simulator.controls.task_seconds = 1500.0
    task = caller(near.pairings.delete(simulator.pair()))
    simulator.faults.answer(503, method="GET", path="/tasks/", times=45)

    def on_progress(_: Any) -> None:
        simulator.faults.answer(503, method="GET", path="/tasks/", times=6)

    caller(task.wait(on_progress=on_progress))
    assert task.status is mc.TaskStatus.SUCCESS


def test_a_server_that_is_gone_for_good_ends_the_wait(caller: Caller, simulator: VmwareSrmSimulator) -> None:
    with serve(simulator):
        client = connect(caller, simulator)
        task = caller(client.pairings.delete(simulator.pair()))
    with pytest.raises(mc.TransportError):
        caller(task.wait(timeout=None))
    assert 300.0 < simulator.clock.monotonic() <= 360.0


def test_failing_looks_do_not_outlast_the_timeout(near: Any, caller: Caller, simulator: VmwareSrmSimulator) -> None:
    task = caller(near.pairings.delete(simulator.pair()))
    simulator.faults.answer(503, method="GET", path="/tasks/", times=10**6)
    with pytest.raises(mc.TaskTimeoutError) as caught:
        caller(task.wait(timeout=40.0))
    assert caught.value.token == task.token
    assert simulator.clock.monotonic() <= 42.0


@pytest.mark.parametrize("status", [400, 403])
def test_a_look_that_is_refused_ends_the_wait_with_the_token_noted(
    near: Any, caller: Caller, simulator: VmwareSrmSimulator, status: int
) -> None:
    task = caller(near.pairings.delete(simulator.pair()))
    simulator.faults.answer(status, method="GET", path="/tasks/")
    with pytest.raises(mc.ApiError) as caught:
        caller(task.wait())
    assert caught.value.operation is mc.Operation.GET_TASK
    assert any(task.token in note for note in caught.value.__notes__)


@pytest.mark.parametrize("status", ["PAUSED", "running", "", None, 7, "WAITING_FOR_USER_INPUT"])
def test_a_status_that_nobody_knows_is_not_the_end(
    near: Any, caller: Caller, simulator: VmwareSrmSimulator, status: Any
) -> None:
    task = caller(near.pairings.delete(simulator.pair()))
    simulator.faults.answer(200, json.dumps({"id": task.id, "status": status}), method="GET", path="/tasks/", times=2)
    seen: list[mc.TaskStatus] = []
    caller(task.wait(on_progress=lambda task: seen.append(task.status)))
    assert seen[:2] == 2 * [mc.TaskStatus.UNKNOWN]
    assert seen[-1] is mc.TaskStatus.SUCCESS


def test_progress_100_is_not_the_end(near: Any, caller: Caller, simulator: VmwareSrmSimulator) -> None:
    task = caller(near.pairings.delete(simulator.pair()))
    payload = {"id": task.id, "status": "RUNNING", "progress": 100}
    simulator.faults.answer(200, json.dumps(payload), method="GET", path="/tasks/", times=3)
    caller(task.wait())
    assert task.status is mc.TaskStatus.SUCCESS
    assert looks(simulator) > 3


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"id": null, "status": "SUCCESS"}', "<html></html>"])
def test_a_look_without_a_task_is_a_malformed_answer(
    near: Any, caller: Caller, simulator: VmwareSrmSimulator, body: str
) -> None:
    task = caller(near.pairings.delete(simulator.pair()))
    simulator.faults.answer(200, body, method="GET", path="/tasks/")
    with pytest.raises(mc.MalformedResponseError):
        caller(task.refresh())
    assert not task.done


def test_a_task_nested_beyond_reason_is_a_malformed_answer(
    near: Any, caller: Caller, simulator: VmwareSrmSimulator
) -> None:
    task = caller(near.pairings.delete(simulator.pair()))
    body = f'{{"id": "t", "status": "RUNNING", "result": {"[" * 700}{"]" * 700}}}'
    simulator.faults.answer(200, body, method="GET", path="/tasks/")
    with pytest.raises(mc.MalformedResponseError):
        caller(task.refresh())


# Tasks that the server has forgotten.


@pytest.mark.parametrize("how", ["task", "token"])
def test_a_forgotten_task_whose_pairing_is_gone_has_succeeded(
    near: Any, caller: Caller, simulator: VmwareSrmSimulator, how: str
) -> None:
    pairing_id = simulator.pair()
    task = caller(near.pairings.delete(pairing_id))
    simulator.clock.sleep(20)
    simulator.forget_tasks()
    assert not simulator.has_pairing(pairing_id)
    simulator.journal.clear()
    if how == "token":
        task = caller(near.tasks.get(task.token))
    caller(task.wait())
    assert (task.status, task.progress) == (mc.TaskStatus.SUCCESS, 100.0)
    assert [(entry.method, entry.path, entry.status) for entry in simulator.journal] == [
        ("GET", f"{BASE}/tasks/{task.id}", 404),
        ("GET", f"{BASE}/pairings/{pairing_id}", 404),
    ]


@pytest.mark.parametrize("how", ["task", "token"])
def test_a_forgotten_task_whose_pairing_is_still_there_has_failed(
    near: Any, caller: Caller, simulator: VmwareSrmSimulator, how: str
) -> None:
    pairing_id = simulator.pair()
    task = caller(near.pairings.delete(pairing_id))
    simulator.forget_tasks()
    if how == "token":
        task = caller(near.tasks.get(task.token))
        assert task.status is mc.TaskStatus.ERROR
    with pytest.raises(mc.TaskFailedError, match="still there") as caught:
        caller(task.wait())
    assert caught.value.info.id == task.id
    assert simulator.has_pairing(pairing_id)


def test_a_forgotten_task_is_not_decided_while_the_pairing_cannot_be_seen(
    near: Any, caller: Caller, simulator: VmwareSrmSimulator
) -> None:
    task = caller(near.pairings.delete(simulator.pair()))
    simulator.clock.sleep(20)
    simulator.forget_tasks()
    simulator.faults.answer(503, method="GET", path="/pairings/", times=6)
    caller(task.wait())
    assert task.status is mc.TaskStatus.SUCCESS


def test_a_forgotten_task_of_another_kind_is_not_found(
    near: Any, caller: Caller, simulator: VmwareSrmSimulator
) -> None:
    task = caller(near.pairings.create(peer_spec(simulator)))
    simulator.forget_tasks()
    with pytest.raises(mc.NotFoundError):
        caller(task.wait())


def test_a_vendors_task_id_that_nobody_knows_is_not_found(
    near: Any, caller: Caller, simulator: VmwareSrmSimulator
) -> None:
    task = caller(near.pairings.delete(simulator.pair()))
    simulator.clock.sleep(20)
    simulator.forget_tasks()
    with pytest.raises(mc.NotFoundError) as caught:
        caller(near.tasks.get(task.id))
    assert caught.value.operation is mc.Operation.GET_TASK


# Changes whose outcome nobody knows.

NO_TASK = ["{}", '{"id": ""}', '{"id": null, "status": "QUEUED"}', "", "[]", "null", "<html>proxy</html>", "{"]


@pytest.mark.parametrize("body", NO_TASK)
@pytest.mark.parametrize("verb", ["delete", "create"])
def test_an_accepted_change_without_a_task_has_an_unknown_outcome(
    near: Any, caller: Caller, simulator: VmwareSrmSimulator, verb: str, body: str
) -> None:
    method = {"delete": "DELETE", "create": "POST"}[verb]
    change = getattr(near.pairings, verb)
    argument = simulator.pair() if verb == "delete" else peer_spec(simulator)
    simulator.faults.answer(202, body, method=method, path="/pairings" if verb == "create" else "/pairings/")
    with pytest.raises(mc.OutcomeUnknownError, match="look at the pairing"):
        caller(change(argument))
    assert [entry.status for entry in simulator.journal].count(202) == 1


@pytest.mark.parametrize(("status", "body"), [(200, "{}"), (201, ""), (204, "")])
def test_a_change_answered_with_another_success_is_a_malformed_answer(
    near: Any, caller: Caller, simulator: VmwareSrmSimulator, status: int, body: str
) -> None:
    pairing_id = simulator.pair()
    simulator.faults.answer(status, body, method="DELETE", path="/pairings/")
    with pytest.raises(mc.MalformedResponseError, match="documented is 202"):
        caller(near.pairings.delete(pairing_id))
    assert [entry.method for entry in simulator.journal].count("DELETE") == 1


@pytest.mark.parametrize("verb", ["delete", "create"])
def test_a_change_whose_answer_is_lost_is_sent_once(caller: Caller, simulator: VmwareSrmSimulator, verb: str) -> None:
    client = connect(caller, simulator, transport=LosesAnswers(simulator, {"delete": "DELETE", "create": "POST"}[verb]))
    change = client.pairings.delete if verb == "delete" else client.pairings.create
    argument = simulator.pair() if verb == "delete" else peer_spec(simulator)
    with pytest.raises(mc.OutcomeUnknownError, match="it may have happened") as caught:
        caller(change(argument))
    assert isinstance(caught.value.__cause__, mc.ResponseLostError)
    changes = [entry for entry in simulator.journal if entry.status == 202]
    assert len(changes) == 1


class LosesAnswers:
    """A transport that delivers changes to pairings and loses the answers."""

    def __init__(self, simulator: VmwareSrmSimulator, method: str) -> None:
        self._inner = simulator.transport
        self._method = method

    def open(self, options: TransportOptions) -> Transport:
        return _Lossy(self._inner.open(options), self._method)

    def open_async(self, options: TransportOptions) -> Any:
        return _AsyncLossy(_Lossy(self._inner.open(options), self._method))


class _Lossy:
    def __init__(self, inner: Transport, method: str) -> None:
        self._inner = inner
        self._method = method

    def send(self, request: Request, deadline: Deadline) -> Response:
        response = self._inner.send(request, deadline)
        if request.method == self._method and response.status == 202:
            raise mc.ResponseLostError("the connection broke")
        return response

    def close(self) -> None:
        self._inner.close()


class _AsyncLossy:
    def __init__(self, inner: _Lossy) -> None:
        self._inner = inner

    async def send(self, request: Request, deadline: Deadline) -> Response:
        return self._inner.send(request, deadline)

    async def close(self) -> None:
        self._inner.close()


# Tokens.


def test_the_token_of_a_finished_task_needs_no_request(
    near: Any, caller: Caller, simulator: VmwareSrmSimulator
) -> None:
    task = caller(near.pairings.create(peer_spec(simulator)))
    result = caller(task.wait())
    simulator.journal.clear()
    resumed = caller(connect(caller, simulator).tasks.get(task.token))
    assert (resumed.id, resumed.status, resumed.done) == (task.id, mc.TaskStatus.SUCCESS, True)
    assert caller(resumed.wait()) == result
    assert resumed.token == task.token
    assert simulator.journal == []


def test_the_token_of_a_failed_task_keeps_the_reason(near: Any, caller: Caller, simulator: VmwareSrmSimulator) -> None:
    simulator.controls.fail = "disk on fire"
    task = caller(near.pairings.delete(simulator.pair()))
    with pytest.raises(mc.TaskFailedError):
        caller(task.wait())
    simulator.journal.clear()
    resumed = caller(connect(caller, simulator).tasks.get(task.token))
    assert resumed.error == mc.TaskFailure("disk on fire", "simulated")
    with pytest.raises(mc.TaskFailedError, match="disk on fire"):
        caller(resumed.wait())
    assert simulator.journal == []


def test_the_token_of_a_cancelled_task_says_so(near: Any, caller: Caller, simulator: VmwareSrmSimulator) -> None:
    simulator.controls.cancel = True
    task = caller(near.pairings.delete(simulator.pair()))
    with pytest.raises(mc.TaskCancelledError) as caught:
        caller(task.wait())
    simulator.journal.clear()
    with pytest.raises(mc.TaskCancelledError):
        caller(caller(near.tasks.get(caught.value.token)).wait())
    assert simulator.journal == []


@pytest.mark.parametrize("finished", [False, True])
def test_a_damaged_token_is_refused_before_anything_is_sent(
    near: Any, caller: Caller, simulator: VmwareSrmSimulator, finished: bool
) -> None:
    simulator.controls.task_seconds = 0.0 if finished else 10.0
    token = caller(near.pairings.delete(simulator.pair())).token
    simulator.journal.clear()
    for bad in (token[:-1], token[:20], damaged(token), token + "!", token + "ä", "mct1.", "mct1.W10", "mct1.IiI"):
        with pytest.raises(mc.InvalidArgumentError, match="damaged"):
            caller(near.tasks.get(bad))
    assert simulator.journal == []


def test_the_token_of_another_provider_is_refused_by_name(
    near: Any, caller: Caller, simulator: VmwareSrmSimulator
) -> None:
    token = token_for("huawei_sms", mc.TaskInfo(id="t-1"))
    with pytest.raises(mc.InvalidArgumentError, match="belongs to provider 'huawei_sms', not 'vmware_srm'"):
        caller(near.tasks.get(token))
    assert simulator.journal == []


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_no_text_after_the_prefix_breaks_the_reader(text: str) -> None:
    with suppress(mc.InvalidArgumentError):
        info_from("vmware_srm", f"mct1.{text}")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(
    id=st.text(min_size=1),
    operation=st.none() | st.sampled_from(mc.Operation),
    status=st.sampled_from(mc.TaskStatus),
    result=json_values,
    entity=st.none() | st.text(),
    failure=st.none() | st.builds(mc.TaskFailure, st.text(), st.text(), st.text()),
)
def test_a_token_holds_all_that_resumes_a_task(
    id: str,
    operation: mc.Operation | None,
    status: mc.TaskStatus,
    result: Any,
    entity: str | None,
    failure: mc.TaskFailure | None,
) -> None:
    info = mc.TaskInfo(
        id=id, operation=operation, status=status, result=result, entity_id=entity, error=failure, progress=5.0
    )
    again = info_from("vmware_srm", token_for("vmware_srm", info))
    assert (again.id, again.operation, again.entity_id) == (id, operation, entity)
    if status.terminal:
        assert (again.status, again.result, again.error) == (status, result, failure)
    else:
        assert (again.status, again.result, again.error) == (mc.TaskStatus.UNKNOWN, None, None)


def test_a_token_holds_no_credentials(near: Any, caller: Caller, simulator: VmwareSrmSimulator) -> None:
    task = caller(near.pairings.delete(simulator.pair()))
    encoded = task.token.removeprefix("mct1.")
    text = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    assert json.loads(text) == {
        "p": "vmware_srm",
        "i": task.id,
        "o": "delete_pairing",
        "e": task.info.entity_id,
    }


def test_a_task_of_the_synchronous_client_goes_on_in_the_asynchronous_one(simulator: VmwareSrmSimulator) -> None:
    pairing_id = simulator.pair()
    with mc.connect("vmware_srm", clock=simulator.clock, **simulator.settings()) as client:
        token = client.pairings.delete(pairing_id).token

    async def run() -> None:
        async with mc.connect_async("vmware_srm", clock=simulator.clock, **simulator.settings()) as client:
            task = await client.tasks.get(token)
            assert not task.done
            await task.wait()

    asyncio.run(run())
    assert not simulator.has_pairing(pairing_id)


ELSEWHERE = """
import json, sys
import migrate_core as mc

given = json.load(sys.stdin)
with mc.connect("vmware_srm", **given["settings"]) as client:
    task = client.tasks.get(given["token"])
    print(json.dumps([task.id, task.status.name, task.wait()]))
"""


def test_a_task_goes_on_in_another_process(simulator: VmwareSrmSimulator) -> None:
    pairing_id = simulator.pair()
    with serve(simulator), mc.connect("vmware_srm", clock=simulator.clock, **simulator.settings()) as client:
        task = client.pairings.delete(pairing_id)
        simulator.clock.sleep(20)
        given = json.dumps({"settings": simulator.settings(), "token": task.token})
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", ELSEWHERE], input=given, capture_output=True, text=True, timeout=50
        )
    assert done.stderr == ""
    assert json.loads(done.stdout) == [task.id, "SUCCESS", None]
    assert [entry.path for entry in simulator.journal].count(f"{BASE}/session") == 4


# Interruptions.


def test_ctrl_c_says_how_to_go_on(near: Any, caller: Caller, simulator: VmwareSrmSimulator) -> None:
    task = caller(near.pairings.delete(simulator.pair()))

    def interrupt(_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        caller(task.wait(on_progress=interrupt))
    (note,) = caught.value.__notes__
    assert f"client.tasks.get({task.token!r})" in note
    caller(caller(near.tasks.get(task.token)).wait())


def test_an_error_in_on_progress_comes_out_as_it_is(near: Any, caller: Caller, simulator: VmwareSrmSimulator) -> None:
    task = caller(near.pairings.delete(simulator.pair()))

    def fail(_: Any) -> None:
        raise mc.ServerError("mine", provider="mine", status=500)

    with pytest.raises(mc.ServerError, match="mine"):
        caller(task.wait(on_progress=fail))
    assert looks(simulator) == 1


def test_ctrl_c_after_the_end_notes_nothing(near: Any, caller: Caller, simulator: VmwareSrmSimulator) -> None:
    task = caller(near.pairings.delete(simulator.pair()))

    def interrupt(task: Any) -> None:
        if task.done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        caller(task.wait(on_progress=interrupt))
    assert not hasattr(caught.value, "__notes__")


def test_a_cancelled_wait_says_how_to_go_on_and_cancels_nothing(simulator: VmwareSrmSimulator) -> None:
    pairing_id = simulator.pair()

    async def run() -> None:
        async with mc.connect_async("vmware_srm", clock=simulator.clock, **simulator.settings()) as client:
            task = await client.pairings.delete(pairing_id)
            waiting = asyncio.create_task(task.wait(on_progress=lambda _: waiting.cancel()))
            with pytest.raises(asyncio.CancelledError) as caught:
                await waiting
            (note,) = caught.value.__notes__
            assert f"client.tasks.get({task.token!r})" in note
            await (await client.tasks.get(task.token)).wait()

    asyncio.run(run())
    assert not simulator.has_pairing(pairing_id)


def test_many_waits_go_on_side_by_side(simulator: VmwareSrmSimulator) -> None:
    async def run() -> None:
        async with mc.connect_async("vmware_srm", clock=simulator.clock, **simulator.settings()) as client:
            tasks = [await client.pairings.delete(simulator.pair()) for _ in range(20)]
            await asyncio.gather(*(task.wait() for task in tasks))
            assert {task.status for task in tasks} == {mc.TaskStatus.SUCCESS}

    asyncio.run(run())
    assert simulator.clock.monotonic() < 15.0


# What is not offered.


def test_a_task_cannot_be_cancelled(near: Any, caller: Caller, simulator: VmwareSrmSimulator) -> None:
    task = caller(near.pairings.delete(simulator.pair()))
    simulator.journal.clear()
    for cancel in (task.cancel, lambda: near.tasks.cancel(task.token), lambda: near.tasks.cancel("t-1")):
        with pytest.raises(mc.UnsupportedOperationError) as caught:
            caller(cancel())
        assert (caught.value.provider, caught.value.operation) == ("vmware_srm", mc.Operation.CANCEL_TASK)
        assert caught.value.supporters == ()
        assert "recovery plans, not tasks" in str(caught.value)
    assert simulator.journal == []
    caller(task.wait())
    with pytest.raises(mc.UnsupportedOperationError):
        caller(task.cancel())


def test_capabilities_are_known_before_any_request(near: Any, simulator: VmwareSrmSimulator) -> None:
    supports = {operation: capability.support for operation, capability in near.capabilities.items()}
    full = {
        mc.Operation.CREATE_PAIRING,
        mc.Operation.DESCRIBE_PAIRING,
        mc.Operation.LIST_PAIRINGS,
        mc.Operation.DELETE_PAIRING,
        mc.Operation.GET_TASK,
        mc.Operation.LIST_TASKS,
    }
    unsupported = {mc.Operation.UNLOCK_TARGET, mc.Operation.CANCEL_TASK}
    assert set(supports) == set(mc.Operation)
    for operation, support in supports.items():
        if operation in full:
            assert support is mc.Support.FULL
        elif operation in unsupported:
            assert support is mc.Support.UNSUPPORTED
        else:
            assert support is mc.Support.NOT_IMPLEMENTED
        if support is not mc.Support.FULL:
            assert near.capabilities[operation].note
    assert simulator.journal == []


UNOFFERED: list[tuple[mc.Operation, Callable[[Any], Any]]] = [
    (mc.Operation.REGISTER_SOURCE, lambda client: client.sources.register(mc.SourceSpec(name="web-1"))),
    (
        mc.Operation.REGISTER_SOURCE,
        lambda client: client.sources.register(mc.SourceSpec(name="web-1"), allow_incomplete=True),
    ),
    (mc.Operation.DESCRIBE_SOURCE, lambda client: client.sources.describe("s-1")),
    (mc.Operation.LIST_SOURCES, lambda client: client.sources.list()),
    (mc.Operation.DELETE_SOURCE, lambda client: client.sources.delete("s-1")),
    (mc.Operation.UNLOCK_TARGET, lambda client: client.targets.unlock("r-1")),
]


@pytest.mark.parametrize(("operation", "call"), UNOFFERED)
def test_sources_and_targets_name_who_offers_them_and_send_nothing(
    near: Any, caller: Caller, simulator: VmwareSrmSimulator, operation: mc.Operation, call: Callable[[Any], Any]
) -> None:
    with pytest.raises(mc.UnsupportedOperationError) as caught:
        caller(call(near))
    error = caught.value
    assert (error.provider, error.operation) == ("vmware_srm", operation)
    assert "huawei_sms" in error.supporters
    assert "vmware_srm" not in error.supporters
    assert error.reason
    assert error.reason in str(error)
    assert "huawei_sms" in str(error)
    assert simulator.journal == []
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.supporters) == (str(error), error.supporters)


# Listing and getting.


def test_tasks_are_listed_as_tasks(client: Any, caller: Caller, simulator: VmwareSrmSimulator) -> None:
    pairing_id = simulator.pair()
    deletion = caller(client.pairings.delete(pairing_id))
    creation = caller(client.pairings.create(peer_spec(simulator)))
    listed = caller.list(client.tasks.list())
    assert [task.id for task in listed] == [deletion.id, creation.id]
    assert [task.status for task in listed] == 2 * [mc.TaskStatus.QUEUED]
    assert listed[0].info.entity_id == pairing_id
    assert type(listed[0]) is type(deletion)
    caller(listed[0].wait())
    assert not simulator.has_pairing(pairing_id)


def test_a_task_is_got_by_the_vendors_id(near: Any, caller: Caller, simulator: VmwareSrmSimulator) -> None:
    pairing_id = simulator.pair()
    started = caller(near.pairings.delete(pairing_id))
    task = caller(near.tasks.get(started.id))
    assert (task.id, task.status, task.info.operation) == (started.id, mc.TaskStatus.QUEUED, None)
    assert task.info.entity_id == pairing_id
    caller(task.wait())
    assert task.status is mc.TaskStatus.SUCCESS


def test_deleting_twice_says_that_it_is_gone(near: Any, caller: Caller, simulator: VmwareSrmSimulator) -> None:
    pairing_id = simulator.pair()
    caller(caller(near.pairings.delete(pairing_id)).wait())
    with pytest.raises(mc.NotFoundError) as caught:
        caller(near.pairings.delete(pairing_id))
    assert caught.value.operation is mc.Operation.DELETE_PAIRING


def test_a_task_shows_itself_in_one_line(near: Any, caller: Caller, simulator: VmwareSrmSimulator) -> None:
    task = caller(near.pairings.delete(simulator.pair()))
    name = type(task).__name__
    assert repr(task) == f"<{name} delete_pairing {task.id!r} QUEUED 0%>"


def test_reading_a_task_costs_no_request(near: Any, caller: Caller, simulator: VmwareSrmSimulator) -> None:
    task = caller(near.pairings.delete(simulator.pair()))
    simulator.journal.clear()
    assert [task.id, task.token, task.status, task.progress, task.done, task.error, task.info, repr(task)]
    assert simulator.journal == []
    caller(task.refresh())
    assert len(simulator.journal) == 1


def test_the_times_may_come_as_text(caller: Caller) -> None:
    simulator = VmwareSrmSimulator(clock=VirtualClock(), times_as_text=True)
    client = connect(caller, simulator)
    task = caller(client.pairings.delete(simulator.pair()))
    assert task.info.queued_at == simulator.clock.now()
