"""The vendor's own SDK, pointed at the simulator: it finds there what it expects, and reads what we read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import ClientError  # type: ignore[import-untyped]

import migrate_core as mc
from migrate_aws_mgn.models import job_of, source_server_of
from migrate_aws_mgn.simulator import REGION, AwsMgnSimulator
from migrate_core.documents import encode
from migrate_core.provider import TaskStatus
from migrate_core.testing import serve


@pytest.fixture
def simulator() -> Iterator[AwsMgnSimulator]:
    """A simulated account in the time of the machine, by which the SDK signs."""
    simulator = AwsMgnSimulator()
    with serve(simulator):
        yield simulator


@pytest.fixture
def sdk(simulator: AwsMgnSimulator) -> Iterator[Any]:
    client = sdk_client(simulator)
    yield client
    client.close()


@pytest.fixture
def ours(simulator: AwsMgnSimulator) -> Iterator[Any]:
    with mc.connect("aws_mgn", **simulator.settings()) as client:
        yield client


def sdk_client(simulator: AwsMgnSimulator, kind: str = "key", **keys: str) -> Any:
    given = {**simulator.settings(kind), **keys}
    return boto3.Session().client(
        "mgn",
        region_name=given.get("region", REGION),
        endpoint_url=given["endpoint"],
        aws_access_key_id=given["access_key"],
        aws_secret_access_key=given["secret_key"],
        aws_session_token=given.get("session_token"),
        config=Config(retries={"total_max_attempts": 1}),
    )


def as_json(value: Any) -> Any:
    """Write what the SDK has read as the wire has it: its times as epoch seconds."""
    return json.loads(json.dumps(value, default=lambda moment: int(moment.timestamp())))


def code_of(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    response = error.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def test_the_sdk_reads_the_same_sources_as_we_do_field_by_field(
    simulator: AwsMgnSimulator, sdk: Any, ours: Any
) -> None:
    tested, _ = simulator.add_sources(2)
    simulator.controls.task_seconds = 0.0
    simulator.controls.sync_seconds = 1e6
    syncing = simulator.enroll()
    sdk.start_test(sourceServerIDs=[tested])
    theirs = {item["sourceServerID"]: item for item in sdk.describe_source_servers(filters={})["items"]}
    assert isinstance(theirs[tested]["launchedInstance"]["lastKnownChecks"][0]["checkedAt"], datetime)
    found = {source.id: source for source in ours.sources.list()}
    assert list(found) == list(theirs)
    for source_id, item in theirs.items():
        document = encode(source_server_of(found[source_id]))
        for moving in ("lastSeenByServiceDateTime", "elapsedReplicationDuration"):
            document["lifeCycle"].pop(moving)
            item["lifeCycle"].pop(moving)
        if source_id == syncing:
            for one in (document, item):
                for disk in one["dataReplicationInfo"]["replicatedDisks"]:
                    disk.pop("replicatedStorageBytes")
        assert document == as_json(item)
        assert found[source_id].facts.memory_bytes == item["sourceProperties"]["ramBytes"]
        assert (
            found[source_id].target is None or found[source_id].target.id == item["launchedInstance"]["ec2InstanceID"]
        )


def test_the_sdk_reads_the_same_jobs_as_we_do_field_by_field(simulator: AwsMgnSimulator, sdk: Any, ours: Any) -> None:
    ends = (TaskStatus.SUCCESS, TaskStatus.ERROR, TaskStatus.CANCELLED)
    added = [simulator.add_task(end, seconds=0.0) for end in ends] + [simulator.add_task(seconds=1e6)]
    theirs = sdk.describe_jobs(filters={})["items"]
    found = list(ours.tasks.list())
    assert [item["jobID"] for item in theirs] == [task.id for task in found] == added[::-1]
    for item, task in zip(theirs, found, strict=True):
        assert encode(job_of(task.info)) == as_json(item)
    (one,) = sdk.describe_jobs(filters={"jobIDs": [added[1]]})["items"]
    assert encode(job_of(ours.tasks.get(added[1]).info)) == as_json(one)
    events = [line["event"] for line in sdk.describe_job_log_items(jobID=added[1])["items"]]
    assert events == ["JOB_START", "LAUNCH_START", "LAUNCH_FAILED", "JOB_END"]


def test_the_sdk_goes_through_the_pages(simulator: AwsMgnSimulator, sdk: Any) -> None:
    added = simulator.add_sources(120)
    pages = list(sdk.get_paginator("describe_source_servers").paginate(filters={}))
    assert len(pages) == 3
    assert [item["sourceServerID"] for page in pages for item in page["items"]] == added
    jobs = [simulator.add_task(seconds=0.0) for _ in range(60)]
    pages = list(sdk.get_paginator("describe_jobs").paginate())
    assert [item["jobID"] for page in pages for item in page["items"]] == jobs[::-1]
    assert list(sdk.get_paginator("describe_job_log_items").paginate(jobID=jobs[0]))


def test_the_sdk_disconnects_and_deletes(simulator: AwsMgnSimulator, sdk: Any, ours: Any) -> None:
    (source_id,) = simulator.add_sources(1)
    with pytest.raises(ClientError, match="replicating") as raised:
        sdk.delete_source_server(sourceServerID=source_id)
    assert code_of(raised) == ("ConflictException", 409)
    answer = sdk.disconnect_from_service(sourceServerID=source_id)
    assert answer["dataReplicationInfo"]["dataReplicationState"] == "DISCONNECTED"
    assert ours.sources.describe(source_id).replication.state is mc.ReplicationState.DISCONNECTED
    assert sdk.delete_source_server(sourceServerID=source_id)["ResponseMetadata"]["HTTPStatusCode"] == 204
    with pytest.raises(sdk.exceptions.ResourceNotFoundException):
        sdk.delete_source_server(sourceServerID=source_id)
    assert sdk.describe_source_servers(filters={"sourceServerIDs": [source_id]})["items"] == []


def test_the_sdk_knows_the_refusals_as_its_own(simulator: AwsMgnSimulator, sdk: Any, ours: Any) -> None:
    simulator.controls.initialized = False
    with pytest.raises(sdk.exceptions.UninitializedAccountException):
        sdk.describe_jobs()
    simulator.controls.initialized, simulator.controls.deny = True, "mgn:DescribeJobs"
    with pytest.raises(sdk.exceptions.AccessDeniedException, match="mgn:DescribeJobs"):
        sdk.describe_jobs()
    with pytest.raises(sdk.exceptions.ValidationException):
        sdk.describe_source_servers(filters={"sourceServerIDs": [f"s-{'!' * 17}"]})
    for wanted, answer in simulator.refusals().items():
        theirs, our = [], []
        for client, errors in ((lambda: sdk.describe_source_servers(), theirs), (lambda: ours.sources.list(), our)):
            simulator.faults.answer(answer.status_code, bytes(answer.body), headers=dict(answer.headers), times=9)
            with pytest.raises((ClientError, wanted)) as raised:
                list(client())
            errors.append(raised.value)
            simulator.faults.clear()
        assert theirs[0].response["Error"]["Code"] == our[0].code
        assert theirs[0].response["ResponseMetadata"]["HTTPStatusCode"] == our[0].status
        assert theirs[0].response["ResponseMetadata"]["RequestId"] == our[0].request_id


@pytest.mark.parametrize(
    ("kind", "keys", "code"),
    [
        ("key", {}, ""),
        ("session", {}, ""),
        ("key", {"secret_key": "wrong"}, "InvalidSignatureException"),
        ("key", {"access_key": "AKIAWRONG"}, "UnrecognizedClientException"),
        ("session", {"session_token": "wrong"}, "UnrecognizedClientException"),
        ("key", {"region": "eu-west-1"}, "InvalidSignatureException"),
    ],
)
def test_the_sdk_is_let_in_by_its_signature_alone(
    simulator: AwsMgnSimulator, kind: str, keys: dict[str, str], code: str
) -> None:
    client = sdk_client(simulator, kind, **keys)
    if code:
        with pytest.raises(ClientError) as raised:
            client.describe_jobs()
        assert code_of(raised) == (code, 403)
    else:
        assert client.describe_jobs()["items"] == []
    client.close()
