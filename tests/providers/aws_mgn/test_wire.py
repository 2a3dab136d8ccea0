"""What goes over the wire: paths, bodies, flags, and what is refused before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import migrate_core as mc
from migrate_aws_mgn import AwsMgnProvider, AwsMgnSettings
from migrate_aws_mgn.simulator import AwsMgnSimulator
from migrate_core.provider import Request, Response, TaskInfo
from migrate_core.testing import Caller

KEYS: Any = {"access_key": "AKIAEXAMPLE", "secret_key": "secret-of-the-tests"}
SOURCE_ID, JOB_ID = "s-0f1e2d3c4b5a69788", "mgnjob-0123456789abcdef0"
BAD_IDS: list[Any] = ["", ".", "web-1", "s-", "s-a/b", "s-a\n", "s-ü", f"s-{'a' * 65}", "\ud800", None, 5, b"s-1", []]


def provider(**settings: Any) -> AwsMgnProvider:
    return AwsMgnProvider(AwsMgnSettings(**{"region": "eu-central-1", **KEYS, **settings}))


def told(request: Request) -> tuple[str, str, Any, bool]:
    return request.method, request.path, json.loads(request.body), request.repeatable


def wire(simulator: AwsMgnSimulator) -> list[tuple[str, Any, int]]:
    return [(entry.path, json.loads(entry.body), entry.status) for entry in simulator.journal]


def server(state: str, replication: str) -> Response:
    item = {
        "sourceServerID": SOURCE_ID,
        "lifeCycle": {"state": state},
        "dataReplicationInfo": {"dataReplicationState": replication},
    }
    return Response(status=200, body=json.dumps({"items": [item]}).encode())


# Requests.


def test_the_requests_of_the_reads() -> None:
    describe = {"filters": {"sourceServerIDs": [SOURCE_ID]}}
    page = {"filters": {}, "maxResults": 200}
    flows = [
        (provider().describe_source(SOURCE_ID), "/DescribeSourceServers", describe),
        (provider().list_sources(None), "/DescribeSourceServers", page),
        (provider().list_sources("t-1"), "/DescribeSourceServers", {**page, "nextToken": "t-1"}),
        (provider().get_task(TaskInfo(id=JOB_ID)), "/DescribeJobs", {"filters": {"jobIDs": [JOB_ID]}}),
        (provider().list_tasks(None), "/DescribeJobs", page),
        (provider().list_tasks("t-1"), "/DescribeJobs", {**page, "nextToken": "t-1"}),
    ]
    for flow, path, body in flows:
        request = next(flow)
        assert told(request) == ("POST", path, body, True)
        assert (request.headers, request.query) == ({"Content-Type": "application/json"}, ())


@pytest.mark.parametrize("state", ["NOT_READY", "STOPPED", "READY_FOR_TEST", "READY_FOR_CUTOVER"])
def test_what_replicates_is_disconnected_before_it_is_deleted(state: str) -> None:
    flow = provider().delete_source(SOURCE_ID)
    assert told(next(flow))[1] == "/DescribeSourceServers"
    body = {"sourceServerID": SOURCE_ID}
    assert told(flow.send(server(state, "CONTINUOUS"))) == ("POST", "/DisconnectFromService", body, False)
    assert told(flow.send(Response(status=200, body=b"{}"))) == ("POST", "/DeleteSourceServer", body, False)
    with pytest.raises(StopIteration) as stop:
        flow.send(Response(status=204))
    assert stop.value.value == TaskInfo.finished(mc.Operation.DELETE_SOURCE, entity_id=SOURCE_ID)


@pytest.mark.parametrize(
    ("state", "replication"),
    [
        ("DISCONNECTED", "DISCONNECTED"),
        ("CUTOVER", "DISCONNECTED"),
        ("TESTING", "DISCONNECTED"),
        ("DISCOVERED", "STOPPED"),
        ("PENDING_INSTALLATION", ""),
    ],
)
def test_what_does_not_replicate_is_deleted_at_once(state: str, replication: str) -> None:
    flow = provider().delete_source(SOURCE_ID)
    next(flow)
    assert flow.send(server(state, replication)).path == "/DeleteSourceServer"


@pytest.mark.parametrize("state", ["TESTING", "CUTTING_OVER", "A-NEW-WORD", ""])
def test_what_is_launched_from_is_not_deleted(state: str) -> None:
    flow = provider().delete_source(SOURCE_ID)
    next(flow)
    with pytest.raises(mc.ConflictError, match=rf"{state or 'no known state'}.*nothing was changed.*take it back"):
        flow.send(server(state, "CONTINUOUS"))


def test_another_source_than_the_one_asked_for_is_never_deleted() -> None:
    flow = provider().delete_source("s-00000000000000000")
    next(flow)
    with pytest.raises(mc.MalformedResponseError, match="was asked for"):
        flow.send(server("DISCONNECTED", "DISCONNECTED"))


@pytest.mark.parametrize("bad", BAD_IDS, ids=lambda value: ascii(value)[:20])
def test_a_bad_id_is_refused_before_anything_is_sent(bad: Any) -> None:
    for flow in (
        provider().describe_source(bad),
        provider().delete_source(bad),
        provider().get_task(TaskInfo(id=bad)),
    ):
        with pytest.raises(mc.InvalidArgumentError, match="is no id of"):
            next(flow)


# At the simulator.


def test_a_source_is_described_listed_and_deleted(client: Any, caller: Caller, simulator: AwsMgnSimulator) -> None:
    first, second = simulator.add_sources(2)
    found = caller(client.sources.describe(first))
    assert (found.name, found.stage, found.vendor_state) == ("web-1", mc.Stage.REPLICATING, "READY_FOR_TEST/CONTINUOUS")
    assert found.facts.os_family is mc.OsFamily.LINUX
    assert found.replication.percent == 100.0
    assert [source.id for source in caller.list(client.sources.list())] == [first, second]
    simulator.journal.clear()
    caller(caller(client.sources.delete(first)).wait())
    assert [(path, status) for path, _, status in wire(simulator)] == [
        ("/DescribeSourceServers", 200),
        ("/DisconnectFromService", 200),
        ("/DeleteSourceServer", 204),
    ]
    assert [source.id for source in caller.list(client.sources.list())] == [second]


def test_what_is_not_there_is_an_empty_list_and_not_found(
    client: Any, caller: Caller, simulator: AwsMgnSimulator
) -> None:
    for call in (client.sources.describe, client.sources.delete):
        with pytest.raises(mc.NotFoundError, match=f"there is no {SOURCE_ID} in us-east-1") as raised:
            caller(call(SOURCE_ID))
        assert (raised.value.status, raised.value.code) == (200, "")
    with pytest.raises(mc.NotFoundError):
        caller(client.tasks.get(JOB_ID))
    assert {status for _, _, status in wire(simulator)} == {200}


def test_a_list_goes_on_where_its_token_says(client: Any, caller: Caller, simulator: AwsMgnSimulator) -> None:
    added = simulator.add_sources(401)
    assert [source.id for source in caller.list(client.sources.list())] == added
    tokens = [body.get("nextToken") for _, body, _ in wire(simulator)]
    assert len(tokens) == 3
    assert tokens[0] is None
    assert len(set(tokens)) == 3


def test_a_machine_enrols_itself_and_becomes_ready(client: Any, caller: Caller, simulator: AwsMgnSimulator) -> None:
    simulator.controls.sync_seconds = 1000.0
    source_id = simulator.enroll()
    seen = []
    for _ in range(3):
        found = caller(client.sources.describe(source_id))
        seen.append((found.stage, found.replication.state, found.replication.percent))
        simulator.clock.sleep(500.0)
    assert seen == [
        (mc.Stage.SEEDING, mc.ReplicationState.INITIAL, 0.0),
        (mc.Stage.SEEDING, mc.ReplicationState.INITIAL, 50.0),
        (mc.Stage.REPLICATING, mc.ReplicationState.CONTINUOUS, 100.0),
    ]


def test_machines_enrol_at_a_word_of_the_command_line(client: Any, caller: Caller, simulator: AwsMgnSimulator) -> None:
    simulator.set("machines", "3")
    assert [source.name for source in caller.list(client.sources.list())] == ["web-1", "app-2", "web-3"]


def test_a_conflict_says_what_to_do(client: Any, caller: Caller, simulator: AwsMgnSimulator) -> None:
    (source_id,) = simulator.add_sources(1)
    conflict = simulator.refusals()[mc.ConflictError]
    for path, advice in (("/DisconnectFromService", "it is as it was"), ("/DeleteSourceServer", "it is disconnected")):
        simulator.faults.answer(409, bytes(conflict.body), headers=dict(conflict.headers), path=path)
        with pytest.raises(mc.ConflictError, match=advice) as raised:
            caller(client.sources.delete(source_id))
        assert (raised.value.code, raised.value.status) == ("ConflictException", 409)
        assert raised.value.details["resourceType"] == "SourceServer"
    assert caller(client.sources.describe(source_id)).replication.state is mc.ReplicationState.DISCONNECTED
    caller(client.sources.delete(source_id))


def test_a_lost_answer_to_a_change_is_an_unknown_outcome(
    client: Any, caller: Caller, simulator: AwsMgnSimulator
) -> None:
    (source_id,) = simulator.add_sources(1)
    simulator.faults.answer(503, path="/DeleteSourceServer", after=True)
    with pytest.raises(mc.ServerError):
        caller(client.sources.delete(source_id))
    assert [path for path, _, _ in wire(simulator)].count("/DeleteSourceServer") == 1


def test_denials_and_accounts_that_are_not_initialized(client: Any, caller: Caller, simulator: AwsMgnSimulator) -> None:
    (source_id,) = simulator.add_sources(1)
    simulator.controls.deny = "mgn:DisconnectFromService"
    with pytest.raises(mc.PermissionDeniedError) as raised:
        caller(client.sources.delete(source_id))
    assert raised.value.action == "mgn:DisconnectFromService"
    simulator.controls.initialized = False
    with pytest.raises(mc.OperationNotOfferedError, match="initialize"):
        caller(client.sources.describe(source_id))


def test_what_the_vendor_lacks_sends_nothing(client: Any, caller: Caller, simulator: AwsMgnSimulator) -> None:
    for call, reason in (
        (lambda: client.sources.register(mc.SourceSpec(name="web-1")), "AWS Replication Agent"),
        (lambda: client.targets.unlock(SOURCE_ID), "does not lock"),
        (lambda: client.pairings.list(), "no pairings"),
        (lambda: client.tasks.cancel(JOB_ID), "no call that cancels"),
    ):
        with pytest.raises(mc.UnsupportedOperationError, match=reason):
            caller(call())
    assert simulator.journal == []


# Settings.


@pytest.mark.parametrize(
    ("region", "origin"),
    [
        ("eu-central-1", "https://mgn.eu-central-1.amazonaws.com"),
        ("us-gov-west-1", "https://mgn.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", "https://mgn.cn-north-1.amazonaws.com.cn"),
        ("mars-north-1", "https://mgn.mars-north-1.amazonaws.com"),
    ],
)
def test_a_region_has_an_endpoint(region: str, origin: str) -> None:
    assert provider(region=region).endpoints() == {"main": origin}


def test_an_endpoint_takes_the_place_of_the_regions_own() -> None:
    found = provider(endpoint="https://vpce-1.mgn.eu-central-1.vpce.amazonaws.com")
    assert found.endpoints() == {"main": "https://vpce-1.mgn.eu-central-1.vpce.amazonaws.com"}


@pytest.mark.parametrize("region", ["evil.example/", "eu central 1", "EU-CENTRAL-1", "a@b", "", "x" * 65])
def test_a_region_that_is_none_is_refused(region: str) -> None:
    with pytest.raises(mc.ConfigurationError, match="region"):
        provider(region=region)


@pytest.mark.parametrize("name", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_region_comes_from_the_vendors_environment(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "eu-west-3")
    assert provider(region=None).endpoints() == {"main": "https://mgn.eu-west-3.amazonaws.com"}
    assert provider(region="eu-west-1").endpoints() == {"main": "https://mgn.eu-west-1.amazonaws.com"}


def test_the_region_comes_from_the_vendors_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text("[default]\nregion = eu-west-2\n[profile dr]\nregion = eu-north-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    assert provider(region=None).endpoints() == {"main": "https://mgn.eu-west-2.amazonaws.com"}
    of_profile = {"region": None, "access_key": None, "secret_key": None, "aws_profile": "dr"}
    assert provider(**of_profile).endpoints() == {"main": "https://mgn.eu-north-1.amazonaws.com"}
    with pytest.raises(mc.ConfigurationError, match="nobody"):
        provider(**{**of_profile, "aws_profile": "nobody"})


def test_no_region_at_all_says_where_it_was_looked_for() -> None:
    with pytest.raises(mc.ConfigurationError, match=r"region.*MIGRATE_REGION.*AWS_DEFAULT_REGION"):
        provider(region=None)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"secret_key": None}, "lacks secret_key"),
        ({"access_key": None}, "lacks access_key"),
        ({"access_key": None, "secret_key": None, "session_token": "t"}, "lacks access_key and secret_key"),
        ({"aws_profile": "dr"}, "one kind of credentials"),
    ],
)
def test_credentials_are_of_one_kind_and_whole(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(mc.ConfigurationError, match=said):
        provider(**settings)


def test_a_named_profile_keeps_keys_of_the_environment_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIGRATE_ACCESS_KEY", "AKIAOTHER")
    monkeypatch.setenv("MIGRATE_SECRET_KEY", "secret-of-others")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    with pytest.raises(mc.ConfigurationError, match="nobody"):
        mc.connect("aws_mgn", region="eu-west-1", aws_profile="nobody").sources.describe(SOURCE_ID)
