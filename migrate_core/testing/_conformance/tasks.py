"""The life of a task: at once, long, failed, cancelled, lost, and taken up by another process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

import migrate_core as mc
from migrate_core.testing._conformance.bench import CHANGES, PATIENCE, Bench
from migrate_core.testing._conformance.values import faults_in

_LONG = 7200.0


class Tasks:
    """What a user sees of the vendor's asynchronous operations."""

    def test_every_change_gives_a_task_that_can_be_waited_for(self, bench: Bench) -> None:
        """Wait for each change the same way, however the vendor does it; its token resumes it."""
        for operation in bench.among(CHANGES):
            if operation is mc.Operation.CANCEL_TASK:
                continue
            task = bench.do(operation)
            assert not list(faults_in(task.info))
            assert task.info.operation is operation
            assert task.id or task.done, f"{operation.value}: a task that goes on has an id"
            looks = task.done or bench.offers(mc.Operation.GET_TASK)
            again = bench.caller(bench.client.tasks.get(task.token)) if looks else None
            bench.settled(task)
            assert task.status is mc.TaskStatus.SUCCESS
            assert again is None or (again.id, again.info.operation) == (task.id, operation)

    def test_a_task_that_is_over_at_once(self, bench: Bench) -> None:
        """Look at a task that has ended already."""
        bench.need(mc.Operation.GET_TASK)
        task = bench.caller(bench.client.tasks.get(bench.simulator.add_task(seconds=0.0)))
        assert (task.done, task.status, task.error) == (True, mc.TaskStatus.SUCCESS, None)
        with bench.wire.planned() as sent:
            bench.settled(task)
        assert sent == [], "a task that is over needs no further look"

    def test_a_long_task_is_waited_for(self, bench: Bench) -> None:
        """Wait for hours: the progress never goes back, and giving up cancels nothing."""
        bench.need(mc.Operation.GET_TASK)
        task = bench.caller(bench.client.tasks.get(bench.simulator.add_task(seconds=_LONG)))
        assert not task.done
        assert not list(faults_in(task.info))
        with pytest.raises(mc.TaskTimeoutError) as raised:
            bench.caller(task.wait(timeout=60.0))
        seen: list[Any] = []
        resumed = bench.caller(bench.client.tasks.get(raised.value.token))
        bench.caller(resumed.wait(timeout=PATIENCE, on_progress=lambda task: seen.append(task.info)))
        assert resumed.status is mc.TaskStatus.SUCCESS
        assert [fault for info in seen for fault in faults_in(info)] == []
        reported = [info.progress for info in seen if info.progress is not None]
        assert reported == sorted(reported), "the progress goes back"
        assert max(reported, default=100.0) > 1, "the progress is a share, and not in percent"
        assert all(info.status in (mc.TaskStatus.QUEUED, mc.TaskStatus.RUNNING) for info in seen[:-1])
        _in_order(resumed.info)

    def test_a_task_that_fails_says_why(self, bench: Bench) -> None:
        """Raise TaskFailedError with the vendor's reason."""
        bench.need(mc.Operation.GET_TASK)
        if mc.TaskStatus.ERROR not in bench.simulator.task_ends:
            pytest.skip("no task of this vendor fails")
        task = bench.caller(bench.client.tasks.get(bench.simulator.add_task(mc.TaskStatus.ERROR)))
        with pytest.raises(mc.TaskFailedError) as raised:
            bench.settled(task)
        assert raised.value.info.error is not None
        assert raised.value.info.error.message, "a failed task gives no reason"

    def test_a_task_that_is_cancelled_is_no_failure(self, bench: Bench) -> None:
        """Raise TaskCancelledError."""
        bench.need(mc.Operation.GET_TASK)
        if mc.TaskStatus.CANCELLED not in bench.simulator.task_ends:
            pytest.skip("no task of this vendor is cancelled")
        task = bench.caller(bench.client.tasks.get(bench.simulator.add_task(mc.TaskStatus.CANCELLED)))
        with pytest.raises(mc.TaskCancelledError):
            bench.settled(task)

    def test_a_task_can_be_cancelled(self, bench: Bench) -> None:
        """Ask for the end of a task, and see it come."""
        bench.need(mc.Operation.CANCEL_TASK, mc.Operation.GET_TASK)
        task = bench.caller(bench.client.tasks.cancel(bench.simulator.add_task(seconds=_LONG)))
        assert task.done or task.info.cancel_requested
        seen = bench.caller(bench.client.tasks.get(task.id))
        with pytest.raises(mc.TaskCancelledError):
            bench.caller(seen.wait(timeout=600.0))

    def test_a_task_that_the_vendor_forgot_ends_the_wait(self, bench: Bench) -> None:
        """Lose a task: the wait ends with NotFoundError, not never."""
        bench.need(mc.Operation.GET_TASK)
        task = bench.caller(bench.client.tasks.get(bench.simulator.add_task(seconds=_LONG)))
        bench.simulator.forget_tasks()
        with pytest.raises(mc.NotFoundError):
            bench.caller(task.wait(timeout=PATIENCE))

    def test_a_change_whose_task_the_vendor_forgot_is_decided_or_not_found(self, bench: Bench) -> None:
        """Lose the task of each change: it is decided by what it was for, or not found."""
        bench.need(mc.Operation.GET_TASK)
        for operation in bench.among(CHANGES):
            if operation is mc.Operation.CANCEL_TASK:
                continue
            task = bench.do(operation)
            if not task.done:
                bench.simulator.forget_tasks()
            try:
                bench.caller(task.wait(timeout=PATIENCE))
            except (mc.NotFoundError, mc.TaskFailedError):
                continue

    def test_a_task_is_taken_up_by_another_process(self, bench: Bench, tcp: bool) -> None:
        """Resume a task from its token where nothing but the token and the settings is known."""
        bench.need(mc.Operation.GET_TASK)
        if not tcp:
            pytest.skip("another process has no other door")
        if "<locals>" in bench.provider.__qualname__:
            pytest.skip("another process cannot import a class that a function makes")
        task = bench.caller(bench.client.tasks.get(bench.simulator.add_task(seconds=_LONG)))
        assert _elsewhere(bench, task.token) in (["queued"], ["running"])
        bench.simulator.clock.sleep(_LONG + 1)
        assert _elsewhere(bench, task.token) == ["success"]


def _in_order(info: mc.TaskInfo) -> None:
    """Compare the times of a task that is over."""
    times = [moment for moment in (info.queued_at, info.started_at, info.ended_at) if moment]
    assert times == sorted(times), "a task starts before it is queued, or ends before it starts"


_SCRIPT = """
import datetime, importlib, json, operator, sys
import migrate_core as mc
from migrate_core.testing import VirtualClock

given = json.load(sys.stdin)
provider = operator.attrgetter(given["class"])(importlib.import_module(given["module"]))
clock = VirtualClock(datetime.datetime.fromisoformat(given["now"]))
with mc.connect(provider, clock=clock, **given["settings"]) as client:
    print(client.tasks.get(given["token"]).status.value)
"""


def _elsewhere(bench: Bench, token: str) -> list[str]:
    """Look at a task from a process of its own; gives what that prints."""
    given = {
        "module": bench.provider.__module__,
        "class": bench.provider.__qualname__,
        "settings": bench.simulator.settings(),
        "now": bench.simulator.clock.now().isoformat(),
        "token": token,
    }
    done = subprocess.run(  # noqa: S603  # this Python, and our own script
        [sys.executable, "-c", _SCRIPT],
        input=json.dumps(given, default=str),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()
