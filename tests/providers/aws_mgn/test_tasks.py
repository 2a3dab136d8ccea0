"""Jobs as tasks, on both clients and through both doors."""

from __future__ import annotations

import json
from typing import Any

import pytest

import migrate_core as mc
from migrate_aws_mgn.models import job_of
from migrate_aws_mgn.simulator import AwsMgnSimulator
from migrate_core.testing import Caller


def paths(simulator: AwsMgnSimulator) -> list[str]:
    return [entry.path for entry in simulator.journal]


def test_a_job_is_followed_to_its_end(client: Any, caller: Caller, simulator: AwsMgnSimulator) -> None:
    seen: list[mc.TaskStatus] = []
    task = caller(client.tasks.get(simulator.add_task(seconds=100.0)))
    launched = caller(task.wait(on_progress=lambda looked: seen.append(looked.status)))
    assert (task.status, seen[0], seen[-1]) == (mc.TaskStatus.SUCCESS, mc.TaskStatus.QUEUED, mc.TaskStatus.SUCCESS)
    assert mc.TaskStatus.RUNNING in seen
    assert list(launched) == [task.info.entity_id]
    assert launched[task.info.entity_id].startswith("i-")
    assert task.info.ended_at > task.info.queued_at
    assert job_of(task.info).initiatedBy == "START_TEST"
    assert set(paths(simulator)) == {"/DescribeJobs"}


def test_a_job_that_fails_names_its_servers_and_tells_its_log(
    client: Any, caller: Caller, simulator: AwsMgnSimulator
) -> None:
    simulator.controls.fail = "no such subnet"
    task = caller(client.tasks.get(simulator.add_task(mc.TaskStatus.ERROR)))
    with pytest.raises(mc.TaskFailedError, match="1 of 1 servers were not launched") as raised:
        caller(task.wait())
    error, source_id = raised.value.info.error, raised.value.info.entity_id
    assert error == mc.TaskFailure(
        f"1 of 1 servers were not launched: {source_id} FAILED",
        details=f"{source_id}: LAUNCH_FAILED: no such subnet",
        code="LAUNCH_FAILED",
    )
    assert paths(simulator)[-1] == "/DescribeJobLogItems"
    assert raised.value.info.started_at == raised.value.info.queued_at


def test_a_job_that_was_cancelled_is_no_failure_where_its_log_may_be_read(
    client: Any, caller: Caller, simulator: AwsMgnSimulator
) -> None:
    job_id = simulator.add_task(mc.TaskStatus.CANCELLED, seconds=0.0)
    assert caller(client.tasks.get(job_id)).status is mc.TaskStatus.CANCELLED
    (listed,) = caller.list(client.tasks.list())
    assert listed.status is mc.TaskStatus.ERROR, "a list reads no logs"
    simulator.controls.deny = "mgn:DescribeJobLogItems"
    assert caller(client.tasks.get(job_id)).status is mc.TaskStatus.ERROR


def answered(simulator: AwsMgnSimulator, path: str, **body: Any) -> None:
    simulator.faults.answer(200, json.dumps(body), path=path)


def test_a_server_that_lags_behind_its_job_is_waited_for(
    client: Any, caller: Caller, simulator: AwsMgnSimulator
) -> None:
    job_id = simulator.add_task(seconds=0.0)
    servers = [{"sourceServerID": "s-1", "launchStatus": "IN_PROGRESS"}]
    job = {"jobID": job_id, "type": "LAUNCH", "status": "COMPLETED", "participatingServers": servers}
    answered(simulator, "/DescribeJobs", items=[job])
    answered(simulator, "/DescribeJobLogItems", items=[{"event": "JOB_START"}])
    task = caller(client.tasks.get(job_id))
    assert (task.status, task.done) == (mc.TaskStatus.UNKNOWN, False)
    caller(task.wait())
    assert task.status is mc.TaskStatus.SUCCESS


def test_a_long_log_is_read_to_its_end(client: Any, caller: Caller, simulator: AwsMgnSimulator) -> None:
    job_id = simulator.add_task(mc.TaskStatus.CANCELLED, seconds=0.0)
    answered(simulator, "/DescribeJobLogItems", items=[{"event": "JOB_START"}], nextToken="t-2")
    answered(simulator, "/DescribeJobLogItems", items=[{"event": "JOB_CANCEL"}], nextToken="t-2")
    assert caller(client.tasks.get(job_id)).status is mc.TaskStatus.CANCELLED
    bodies = [json.loads(entry.body) for entry in simulator.journal if entry.path == "/DescribeJobLogItems"]
    wanted = {"jobID": job_id, "maxResults": 1000}
    assert bodies == [wanted, {**wanted, "nextToken": "t-2"}], "a token that names its own page ends the log"


def test_jobs_are_listed_the_latest_first(client: Any, caller: Caller, simulator: AwsMgnSimulator) -> None:
    added = [simulator.add_task() for _ in range(250)]
    assert [task.id for task in caller.list(client.tasks.list())] == added[::-1]


def test_a_job_that_is_forgotten_is_not_found(client: Any, caller: Caller, simulator: AwsMgnSimulator) -> None:
    task = caller(client.tasks.get(simulator.add_task()))
    simulator.forget_tasks()
    with pytest.raises(mc.NotFoundError):
        caller(task.wait())
