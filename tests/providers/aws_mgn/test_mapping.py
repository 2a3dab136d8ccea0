"""Between the vendor's objects and the neutral model, without any wire."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import migrate_core as mc
from migrate_aws_mgn import AwsMgnProvider, AwsMgnSettings, mapping
from migrate_aws_mgn.models import (
    DATA_REPLICATION_STATES,
    LIFE_CYCLE_STATES,
    JobLog,
    JobLogEventData,
    MgnJob,
    MgnSourceServer,
    job_of,
    source_server_of,
)
from migrate_core.documents import encode
from migrate_core.errors import error_class_for
from migrate_core.models import read_only
from migrate_core.provider import Response
from support import example

SOURCE_ID, JOB_ID = "s-0f1e2d3c4b5a69788", "mgnjob-0123456789abcdef0"
WORD = "A-NEW-WORD"


def source(state: Any = None, replication: Any = None, **fields: Any) -> mc.SourceServer:
    """Read a source server of which little is known."""
    payload = {
        "sourceServerID": SOURCE_ID,
        "lifeCycle": {"state": state},
        "dataReplicationInfo": {"dataReplicationState": replication},
        **fields,
    }
    return mapping.source_from(payload, raw=read_only(payload))


def job(*launched: Any, log: tuple[str, ...] = (), **fields: Any) -> mc.TaskInfo:
    """Read a completed job with servers of these statuses."""
    servers = [{"sourceServerID": f"s-{number}", "launchStatus": word} for number, word in enumerate(launched)]
    payload = {"jobID": JOB_ID, "type": "LAUNCH", "status": "COMPLETED", "participatingServers": servers, **fields}
    return mapping.task_from(payload, raw=read_only(payload), log=[JobLog(event=event) for event in log])


# Source servers.


def test_every_part_of_a_source_arrives() -> None:
    payload = example("aws_mgn/source-server.json")
    found = mapping.source_from(payload, raw=read_only(payload))
    checks, bare = found.checks, mc.Check
    assert found == mc.SourceServer(
        id=SOURCE_ID,
        provider="aws_mgn",
        name="shop",
        stage=mc.Stage.REPLICATING,
        vendor_state="READY_FOR_CUTOVER/CONTINUOUS",
        facts=mc.SourceFacts(
            hostname="web-1",
            os_family=mc.OsFamily.LINUX,
            os_name="Linux version 5.15.0-1087-generic (Ubuntu 11.4.0) #98 SMP",
            cpu_count=6,
            memory_bytes=4154916864,
            disks=(
                mc.Disk(name="/dev/sda", size_bytes=8589934592),
                mc.Disk(name="/dev/sdb", size_bytes=25769803776),
            ),
            nics=(mc.Nic(mac="0A-00-00-00-00-2D", addresses=("192.0.2.45", "2001:db8::2d")),),
        ),
        checks=checks,
        replication=mc.Replication(
            id=SOURCE_ID,
            state=mc.ReplicationState.CONTINUOUS,
            total_bytes=32 * 2**30,
            copied_bytes=24 * 2**30,
            percent=75.0,
        ),
        target=mc.Target(id="i-0a1b2c3d4e5f60718", region="eu-central-1"),
        connected=True,
        registered_at=datetime(2026, 3, 1, 8, 0, 0, 686735, tzinfo=UTC),
    )
    assert checks == (
        bare(name="WAIT", result=mc.CheckResult.OK),
        bare(name="CREATE_SECURITY_GROUP", result=mc.CheckResult.OK),
        bare(name="START_DATA_TRANSFER", result=mc.CheckResult.PENDING),
        bare(name="first_boot", result=mc.CheckResult.OK),
        bare(name="reachability", result=mc.CheckResult.ERROR, message="no answer"),
    )


def test_the_vendors_own_objects_hold_all_that_came() -> None:
    payload = example("aws_mgn/source-server.json")
    document = source_server_of(mapping.source_from(payload, raw=read_only(payload)))
    assert isinstance(document, MgnSourceServer)
    assert json.loads(json.dumps(encode(document))) == payload
    payload = example("aws_mgn/job.json")
    job_document = job_of(mapping.task_from(payload, raw=read_only(payload)))
    assert isinstance(job_document, MgnJob)
    assert json.loads(json.dumps(encode(job_document))) == payload


@pytest.mark.parametrize(
    ("state", "replication", "stage"),
    [
        ("DISCOVERED", None, "discovered"),
        ("PENDING_INSTALLATION", None, "discovered"),
        ("NOT_READY", None, "not_ready"),
        ("NOT_READY", "STOPPED", "not_ready"),
        ("NOT_READY", "STALLED", "not_ready"),
        ("NOT_READY", "PENDING_SNAPSHOT_SHIPPING", "not_ready"),
        ("NOT_READY", "INITIATING", "seeding"),
        ("NOT_READY", "INITIAL_SYNC", "seeding"),
        ("NOT_READY", "BACKLOG", "seeding"),
        ("NOT_READY", "CREATING_SNAPSHOT", "seeding"),
        ("NOT_READY", "RESCAN", "seeding"),
        ("NOT_READY", "SHIPPING_SNAPSHOT", "seeding"),
        ("NOT_READY", "PAUSED", "paused"),
        ("READY_FOR_TEST", "CONTINUOUS", "replicating"),
        ("READY_FOR_TEST", "BACKLOG", "replicating"),
        ("READY_FOR_TEST", "STALLED", "replicating"),
        ("READY_FOR_TEST", "PAUSED", "paused"),
        ("READY_FOR_CUTOVER", "CONTINUOUS", "replicating"),
        ("READY_FOR_CUTOVER", "STOPPED", "paused"),
        ("READY_FOR_CUTOVER", "DISCONNECTED", "not_ready"),
        ("STOPPED", "STOPPED", "paused"),
        ("TESTING", "CONTINUOUS", "testing"),
        ("TESTING", "PAUSED", "paused"),
        ("CUTTING_OVER", "CONTINUOUS", "cutting_over"),
        ("CUTOVER", "DISCONNECTED", "finalized"),
        ("DISCONNECTED", "DISCONNECTED", "not_ready"),
    ],
)
def test_the_stage_is_made_of_two_words(state: str, replication: str | None, stage: str) -> None:
    found = source(state, replication)
    assert found.stage is mc.Stage(stage)
    assert found.vendor_state == f"{state}/{replication}" if replication else state


def test_every_pair_of_known_words_has_a_stage() -> None:
    for state, replication in itertools.product(LIFE_CYCLE_STATES, (None, *DATA_REPLICATION_STATES)):
        assert source(state, replication).stage is not mc.Stage.UNKNOWN


@pytest.mark.parametrize("replication", [None, *DATA_REPLICATION_STATES])
def test_an_unknown_state_is_unknown_whatever_is_replicated(replication: str | None) -> None:
    for word in (WORD, "", None, 5, [], {}):
        assert source(word, replication).stage is mc.Stage.UNKNOWN


@pytest.mark.parametrize("state", LIFE_CYCLE_STATES)
def test_an_unknown_replication_is_no_known_stage(state: str) -> None:
    found = source(state, WORD)
    assert found.stage is mc.Stage.UNKNOWN
    assert found.vendor_state == f"{state}/{WORD}"
    assert found.replication == mc.Replication(id=SOURCE_ID)
    assert found.connected is None


def launched_by(job_id: str | None, instance: str | None = "i-1") -> dict[str, Any]:
    return {
        "lifeCycle": {"state": "CUTTING_OVER", "lastCutover": {"initiated": {"jobID": JOB_ID}}},
        "launchedInstance": {"ec2InstanceID": instance, "jobID": job_id},
    }


@pytest.mark.parametrize(
    ("fields", "stage"),
    [
        (launched_by(JOB_ID), "cut_over"),
        (launched_by(JOB_ID, None), "cutting_over"),
        (launched_by("mgnjob-of-a-test"), "cutting_over"),
        (launched_by(None), "cutting_over"),
    ],
)
def test_a_cutover_is_over_when_its_own_instance_is_there(fields: dict[str, Any], stage: str) -> None:
    found = source(dataReplicationInfo={"dataReplicationState": "CONTINUOUS"}, **fields)
    assert found.stage is mc.Stage(stage)


@pytest.mark.parametrize(
    ("state", "word", "wanted", "connected"),
    [
        ("NOT_READY", "INITIATING", "initial", None),
        ("NOT_READY", "INITIAL_SYNC", "initial", True),
        ("NOT_READY", "RESCAN", "initial", True),
        ("NOT_READY", "SHIPPING_SNAPSHOT", "initial", None),
        ("READY_FOR_TEST", "BACKLOG", "continuous", True),
        ("READY_FOR_TEST", "CREATING_SNAPSHOT", "continuous", True),
        ("READY_FOR_TEST", "RESCAN", "continuous", True),
        ("READY_FOR_TEST", "CONTINUOUS", "continuous", True),
        ("READY_FOR_TEST", "SHIPPING_SNAPSHOT", "periodic", None),
        ("READY_FOR_TEST", "PENDING_SNAPSHOT_SHIPPING", "periodic", None),
        ("READY_FOR_TEST", "PAUSED", "paused", None),
        ("READY_FOR_TEST", "STALLED", "stalled", None),
        ("STOPPED", "STOPPED", "none", None),
        ("CUTOVER", "DISCONNECTED", "disconnected", False),
        ("READY_FOR_TEST", None, "unknown", None),
    ],
)
def test_replications(state: str, word: str | None, wanted: str, connected: bool | None) -> None:
    found = source(state, word)
    assert found.replication is not None
    assert found.replication.state is mc.ReplicationState(wanted)
    assert found.connected is connected


def test_a_source_without_a_replication_has_none() -> None:
    assert mapping.source_from({"sourceServerID": SOURCE_ID}, raw={}).replication is None


@pytest.mark.parametrize(
    ("disks", "total", "copied", "percent"),
    [
        ([(100, 25), (300, 75)], 400, 100, 25.0),
        ([(100, 100)], 100, 100, 100.0),
        ([(100, 130)], 100, 130, 100.0),
        ([(0, 100), (0, 50)], 0, 150, None),
        ([(10**400, 1)], 10**400, 1, 0.0),
        ([(1, 10**400)], 1, 10**400, 100.0),
        ([(100, None)], 100, None, None),
        ([(100, 50), (None, 50)], None, 100, None),
        ([(100, -1)], 100, None, None),
        ([(-100, 50)], None, 50, None),
        ([], None, None, None),
        (None, None, None, None),
        ("disks", None, None, None),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_totals(disks: Any, total: int | None, copied: int | None, percent: float | None) -> None:
    if isinstance(disks, list):
        disks = [{"totalStorageBytes": one, "replicatedStorageBytes": other} for one, other in disks]
    found = source("READY_FOR_TEST", dataReplicationInfo={"replicatedDisks": disks}).replication
    assert found is not None
    assert (found.total_bytes, found.copied_bytes, found.percent) == (total, copied, percent)


@pytest.mark.parametrize(
    ("cpus", "count"),
    [([{"cores": 2}, {"cores": 4}], 6), ([{"cores": 2}, {}], None), ([{"cores": -1}], None), ([], None), (7, None)],
)
def test_cores_are_counted(cpus: Any, count: int | None) -> None:
    assert source(sourceProperties={"cpus": cpus, "ramBytes": -5}).facts == mc.SourceFacts(cpu_count=count)


@pytest.mark.parametrize(
    ("text", "family"),
    [
        ("Microsoft Windows Server 2019 Datacenter", mc.OsFamily.WINDOWS),
        ("Linux version 4.4.0-1087-aws (Ubuntu)", mc.OsFamily.LINUX),
        ("Red Hat Enterprise Linux 8.4", mc.OsFamily.LINUX),
        ("SUSE 15", mc.OsFamily.LINUX),
        ("Plan 9", mc.OsFamily.UNKNOWN),
        ("", mc.OsFamily.UNKNOWN),
        (None, mc.OsFamily.UNKNOWN),
    ],
)
def test_operating_systems(text: str | None, family: mc.OsFamily) -> None:
    facts = source(sourceProperties={"os": {"fullString": text}}).facts
    assert (facts.os_family, facts.os_name) == (family, text or None)


@pytest.mark.parametrize(
    ("tags", "hints", "name"),
    [
        ({"Name": "shop"}, {"hostname": "web-1"}, "shop"),
        ({"Name": ""}, {"hostname": "web-1", "fqdn": "web-1.example"}, "web-1"),
        (None, {"fqdn": "web-1.example"}, "web-1.example"),
        ({"Name": 5}, {}, ""),
        ([], None, ""),
    ],
)
def test_the_name_is_what_people_call_it(tags: Any, hints: Any, name: str) -> None:
    assert source(tags=tags, sourceProperties={"identificationHints": hints}).name == name


def test_an_error_of_the_replication_is_a_check() -> None:
    error = {"error": "AGENT_NOT_SEEN", "rawError": "not seen for an hour"}
    found = source(dataReplicationInfo={"dataReplicationState": "STALLED", "dataReplicationError": error})
    assert found.connected is False
    assert found.checks == (
        mc.Check(
            name="data_replication",
            result=mc.CheckResult.ERROR,
            code="AGENT_NOT_SEEN",
            message="not seen for an hour",
        ),
    )


@pytest.mark.parametrize(
    ("word", "result"),
    [
        ("SUCCEEDED", "ok"),
        ("SKIPPED", "ok"),
        ("NOT_STARTED", "pending"),
        ("IN_PROGRESS", "pending"),
        ("FAILED", "error"),
        (WORD, "unknown"),
        (None, "unknown"),
    ],
)
def test_steps(word: str | None, result: str) -> None:
    begun = {"dataReplicationInitiation": {"steps": [{"name": "WAIT", "status": word}]}}
    assert source(dataReplicationInfo=begun).checks == (mc.Check(name="WAIT", result=mc.CheckResult(result)),)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01T08:00:00.686735+00:00", datetime(2026, 3, 1, 8, 0, 0, 686735, tzinfo=UTC)),
        ("2026-03-01T08:00:00Z", datetime(2026, 3, 1, 8, tzinfo=UTC)),
        ("2026-03-01T08:00:00", None),
        ("9999-12-31T23:59:59-23:59", None),
        ("soon", None),
        ("", None),
        (None, None),
        (1772366400, None),
    ],
)
def test_times(text: Any, moment: datetime | None) -> None:
    assert source(lifeCycle={"addedToServiceDateTime": text}).registered_at == moment


@pytest.mark.parametrize("payload", [{}, {"sourceServerID": None}, {"sourceServerID": ""}, {"sourceServerID": {}}])
def test_a_source_without_an_id_is_malformed(payload: dict[str, Any]) -> None:
    with pytest.raises(mc.MalformedResponseError) as raised:
        mapping.source_from(payload, raw={})
    assert raised.value.path == "sourceServerID"


# Jobs.


@pytest.mark.parametrize(
    ("launched", "log", "status"),
    [
        (("LAUNCHED",), (), "success"),
        (("LAUNCHED", "LAUNCHED"), ("JOB_END",), "success"),
        (("LAUNCHED", "FAILED"), (), "error"),
        (("FAILED", "PENDING"), (), "error"),
        (("FAILED",), ("JOB_CANCEL", "JOB_END"), "cancelled"),
        (("PENDING",), ("JOB_CANCEL",), "cancelled"),
        (("LAUNCHED", "PENDING"), (), "unknown"),
        (("LAUNCHED", "IN_PROGRESS"), ("LAUNCH_START",), "unknown"),
        (("LAUNCHED", "PENDING"), ("JOB_END",), "error"),
        (("TERMINATED",), ("JOB_END",), "error"),
        (("LAUNCHED", WORD), ("JOB_END",), "unknown"),
        (("LAUNCHED", None), ("JOB_END",), "unknown"),
        ((), ("JOB_END",), "unknown"),
    ],
)
def test_completed_is_what_became_of_the_servers(launched: tuple[Any, ...], log: tuple[str, ...], status: str) -> None:
    assert job(*launched, log=log).status is mc.TaskStatus(status)


@pytest.mark.parametrize(
    ("kind", "launched", "status"),
    [
        ("TERMINATE", "TERMINATED", "success"),
        ("TERMINATE", "LAUNCHED", "error"),
        ("LAUNCH", "LAUNCHED", "success"),
        (WORD, "LAUNCHED", "unknown"),
        (WORD, "FAILED", "error"),
        (None, None, "unknown"),
        ("", "", "unknown"),
    ],
)
def test_success_depends_on_what_a_job_is_for(kind: Any, launched: Any, status: str) -> None:
    assert job(launched, log=("JOB_END",), type=kind).status is mc.TaskStatus(status)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("PENDING", "queued"),
        ("STARTED", "running"),
        (WORD, "unknown"),
        ("", "unknown"),
        (None, "unknown"),
        (7, "unknown"),
    ],
)
def test_what_goes_on_is_not_judged_by_its_servers(word: Any, status: str) -> None:
    for launched in ("LAUNCHED", "FAILED", WORD):
        info = job(launched, status=word)
        assert (info.status, info.error, info.result) == (mc.TaskStatus(status), None, None)


def test_every_part_of_a_job_arrives() -> None:
    payload = example("aws_mgn/job.json")
    assert mapping.task_from(payload, raw=read_only(payload)) == mc.TaskInfo(
        id=JOB_ID,
        status=mc.TaskStatus.SUCCESS,
        result={SOURCE_ID: "i-0a1b2c3d4e5f60718"},
        entity_id=SOURCE_ID,
        queued_at=datetime(2026, 3, 1, 10, 42, 30, 904212, tzinfo=UTC),
        ended_at=datetime(2026, 3, 1, 10, 59, 3, tzinfo=UTC),
    )


def test_a_failure_names_the_servers_and_tells_the_log() -> None:
    told = JobLogEventData(sourceServerID="s-1", rawError="no such subnet")
    lines = [JobLog(event="JOB_START"), JobLog(event="LAUNCH_FAILED", eventData=told), JobLog(event="JOB_END")]
    payload = {**job("LAUNCHED", "FAILED", "PENDING").raw}
    info = mapping.task_from(payload, raw={}, log=lines)
    assert info.error == mc.TaskFailure(
        "2 of 3 servers were not launched: s-1 FAILED, s-2 PENDING",
        details="s-1: LAUNCH_FAILED: no such subnet",
        code="LAUNCH_FAILED",
    )
    assert job("FAILED").error == mc.TaskFailure("1 of 1 servers were not launched: s-0 FAILED")
    assert info.entity_id is None


@pytest.mark.parametrize("payload", [{}, {"jobID": None}, {"jobID": ""}, {"jobID": []}])
def test_a_job_without_an_id_is_malformed(payload: dict[str, Any]) -> None:
    with pytest.raises(mc.MalformedResponseError) as raised:
        mapping.task_from(payload, raw={})
    assert raised.value.path == "jobID"


# Whatever comes.

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=8,
)


def like(template: Any) -> st.SearchStrategy[Any]:
    """Give values of the same shape, in which any part may be anything."""
    if isinstance(template, dict):
        same = st.fixed_dictionaries({}, optional={name: like(value) for name, value in template.items()})
        return same | json_values
    if isinstance(template, list):
        return st.lists(like(template[0]) if template else json_values, max_size=3) | json_values
    return st.just(template) | st.text(max_size=5) | json_values


@given(like(example("aws_mgn/source-server.json")))
def test_no_source_raises_anything_but_malformed(payload: Any) -> None:
    read(mapping.source_from, payload)
    read(lambda one, raw: mapping.states_from(one), payload)


@given(like(example("aws_mgn/job.json")))
def test_no_job_raises_anything_but_malformed(payload: Any) -> None:
    read(mapping.task_from, payload)
    read(lambda one, raw: mapping.items_from(one), payload)


def read(function: Callable[..., Any], payload: Any) -> None:
    if isinstance(payload, dict):
        try:
            function(payload, raw={})
        except mc.MalformedResponseError:
            return


# Refusals.

MODELLED = [
    ("UninitializedAccountException", 400, mc.OperationNotOfferedError),
    ("AccessDeniedException", 403, mc.PermissionDeniedError),
    ("ResourceNotFoundException", 404, mc.NotFoundError),
    ("ConflictException", 409, mc.ConflictError),
    ("ValidationException", 400, mc.InvalidRequestError),
    ("ThrottlingException", 429, mc.RateLimitedError),
    ("ThrottlingException", 400, mc.RateLimitedError),
    ("ServiceQuotaExceededException", 402, mc.QuotaExceededError),
    ("InternalServerException", 500, mc.ServerError),
    ("UnrecognizedClientException", 403, mc.AuthenticationError),
    ("InvalidSignatureException", 403, mc.AuthenticationError),
    ("SignatureDoesNotMatch", 403, mc.AuthenticationError),
    ("ExpiredTokenException", 403, mc.AuthenticationError),
    ("MissingAuthenticationTokenException", 403, mc.AuthenticationError),
    ("UnknownOperationException", 404, mc.OperationNotOfferedError),
    ("SomethingNewException", 409, mc.ConflictError),
    ("SomethingNewException", 418, mc.InvalidRequestError),
]


def refusal(status: int, body: Any = None, **headers: str) -> mc.ApiError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return mapping.error_from(Response(status=status, headers=named, body=json.dumps(body or {}).encode()))


@pytest.mark.parametrize(("code", "status", "wanted"), MODELLED)
def test_a_refusal_is_classed_by_its_code_wherever_that_stands(
    code: str, status: int, wanted: type[mc.ApiError]
) -> None:
    for error in (
        refusal(status, {"message": "why"}, x_amzn_errortype=code, x_amzn_requestid="r-1"),
        refusal(status, {"message": "why"}, x_amzn_errortype=f"{code}:http://x.example/", x_amzn_requestid="r-1"),
        refusal(status, {"Message": "why", "__type": f"com.example.mgn#{code}"}, x_amzn_requestid="r-1"),
        refusal(status, {"message": "why", "code": code}, x_amzn_requestid="r-1"),
    ):
        assert type(error) is wanted
        assert (error.code, error.status, error.request_id) == (code, status, "r-1")
        assert error.message.startswith("why")


def test_the_header_wins_over_the_codes_in_the_body() -> None:
    error = refusal(409, {"code": "ServerReplicating", "resourceId": "s-1"}, x_amzn_errortype="ConflictException")
    assert (error.code, error.details) == ("ConflictException", {"resourceId": "s-1"})


def test_an_account_that_never_used_the_service_is_told_what_to_do() -> None:
    error = refusal(400, {"message": "Account not initialized"}, x_amzn_errortype="UninitializedAccountException")
    assert "initialize-service" in error.message


def test_a_denial_names_the_action() -> None:
    message = "User: arn:aws:iam::123456789012:user/u is not authorized to perform: mgn:DescribeJobs on resource: *"
    error = refusal(403, {"message": message}, x_amzn_errortype="AccessDeniedException")
    assert isinstance(error, mc.PermissionDeniedError)
    assert error.action == "mgn:DescribeJobs"


@given(st.sampled_from([400, 401, 403, 404, 409, 429, 500, 503]), st.binary(max_size=40) | json_values)
def test_no_refusal_raises(status: int, body: Any) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    error = mapping.error_from(Response(status=status, body=content))
    assert isinstance(error, mc.ApiError)
    assert error.code or type(error) is error_class_for(status)


def test_raw_can_be_left_out() -> None:
    settings = AwsMgnSettings(region="us-east-1", access_key="a", secret_key="s", keep_raw=False)
    raw = AwsMgnProvider(settings).raw(example("aws_mgn/job.json"))
    with pytest.raises(mc.InvalidArgumentError, match="keep_raw"):
        job_of(mc.TaskInfo(id="j", raw=raw))
