"""The operations on the wire: method, path, headers, body, on both clients and through both doors."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

import pytest

import migrate_core as mc
from migrate_core.testing import VirtualClock, serve
from migrate_huawei_sms.models import document_from_json
from migrate_huawei_sms.simulator import HuaweiSmsSimulator
from support import Caller, example

INCOMPLETE = pytest.mark.filterwarnings("ignore::migrate_core.IncompleteDocumentWarning")
HOSTILE = ("a/b?c#d%2F", "../sources", "x;y=1", "ä", "a b", "%2e%2e", "s-1\u2028")
IMPOSSIBLE = ("", ".", "..", "a\nb", "a\x00b", "\ud800", "x" * 1025)


def suse() -> mc.SourceSpec:
    return mc.SourceSpec(name="suse", details=document_from_json(example("huawei_sms/register-request.json")))


@INCOMPLETE
def test_register_is_one_post_of_the_document(client: Any, caller: Caller, simulator: HuaweiSmsSimulator) -> None:
    task = caller(client.sources.register(suse(), allow_incomplete=True))
    assert task.done
    assert simulator.registered(caller(task.wait())) == suse().details
    (sent,) = simulator.journal
    assert (sent.method, sent.path, sent.query, sent.status) == ("POST", "/v3/sources", (), 200)
    assert sent.headers["content-type"] == "application/json"
    assert sent.headers["x-auth-token"] == simulator.credentials["token"]
    assert sent.headers["content-length"] == str(len(sent.body))
    assert json.loads(sent.body)["btrfs_list"][0]["subvolumn"][0]["subvol_mount_path"] == "null"
    assert b": " not in sent.body.replace(b'\\": ', b"")


def test_describe_is_one_get(client: Any, caller: Caller, simulator: HuaweiSmsSimulator) -> None:
    (source_id,) = simulator.add_sources(1)
    assert caller(client.sources.describe(source_id)).id == source_id
    (sent,) = simulator.journal
    assert (sent.method, sent.path, sent.query, sent.body) == ("GET", f"/v3/sources/{source_id}", (), b"")
    assert "content-type" not in sent.headers


def test_delete_is_one_request_without_a_body(client: Any, caller: Caller, simulator: HuaweiSmsSimulator) -> None:
    (source_id,) = simulator.add_sources(1)
    task = caller(client.sources.delete(source_id))
    assert (task.done, task.id, caller(task.wait())) == (True, "", None)
    (sent,) = simulator.journal
    assert (sent.method, sent.path, sent.query, sent.body) == ("DELETE", f"/v3/sources/{source_id}", (), b"")
    with pytest.raises(mc.NotFoundError) as raised:
        caller(client.sources.describe(source_id))
    assert (raised.value.code, raised.value.status) == ("SMS.2216", 400)
    assert raised.value.operation is mc.Operation.DESCRIBE_SOURCE


def test_unlock_is_an_empty_post_to_the_migration_task(
    client: Any, caller: Caller, simulator: HuaweiSmsSimulator
) -> None:
    (source_id,) = simulator.add_sources(1)
    replication_id = simulator.start_migration(source_id)
    assert simulator.locked(replication_id)
    caller(caller(client.targets.unlock(replication_id)).wait())
    assert not simulator.locked(replication_id)
    (sent,) = simulator.journal
    assert (sent.method, sent.path, sent.body) == ("POST", f"/v3/tasks/{replication_id}/unlock", b"")
    assert (sent.headers["content-type"], sent.headers["content-length"]) == ("application/json", "0")
    with pytest.raises(mc.NotFoundError):
        caller(client.targets.unlock("no-such-task"))


@pytest.mark.parametrize(("count", "offsets"), [(0, ["0"]), (1, ["0"]), (200, ["0"]), (450, ["0", "200", "400"])])
def test_list_goes_through_the_pages_it_needs(
    client: Any, caller: Caller, simulator: HuaweiSmsSimulator, count: int, offsets: list[str]
) -> None:
    added = simulator.add_sources(count)
    assert [source.id for source in caller.list(client.sources.list())] == added
    assert [dict(sent.query) for sent in simulator.journal] == [{"limit": "200", "offset": at} for at in offsets]


def test_a_list_that_shrinks_while_it_is_read_gives_nothing_twice(simulator: HuaweiSmsSimulator) -> None:
    added = simulator.add_sources(250)
    with mc.connect("huawei_sms", clock=simulator.clock, **simulator.settings()) as client:
        sources = client.sources.list()
        seen = [next(sources).id for _ in range(100)]
        simulator.add_sources(5)
        seen += [source.id for source in sources]
    assert len(seen) == len(set(seen)) == 255
    assert set(added) <= set(seen)


@pytest.mark.parametrize(
    "body", ["{}", "[]", "null", '{"count": 1}', '{"source_servers": {}}', '{"source_servers": [1]}', "<html>", ""]
)
def test_a_list_of_another_shape_is_a_malformed_answer(
    client: Any, caller: Caller, simulator: HuaweiSmsSimulator, body: str
) -> None:
    simulator.faults.answer(200, body)
    with pytest.raises(mc.MalformedResponseError):
        caller.list(client.sources.list())


@pytest.mark.parametrize("body", ["", "{}", '"The source server was deleted."', "The source server was deleted."])
@pytest.mark.parametrize("verb", ["delete", "unlock"])
def test_any_answer_that_is_no_web_page_acknowledges_a_change(
    client: Any, caller: Caller, simulator: HuaweiSmsSimulator, verb: str, body: str
) -> None:
    simulator.faults.answer(200, body)
    call = client.sources.delete if verb == "delete" else client.targets.unlock
    assert caller(call("some-id")).done


@pytest.mark.parametrize("verb", ["describe", "delete", "unlock"])
def test_a_web_page_is_a_malformed_answer(
    client: Any, caller: Caller, simulator: HuaweiSmsSimulator, verb: str
) -> None:
    simulator.faults.answer(200, "<html>Sign in to the proxy</html>", headers={"content-type": "text/html"})
    calls = {"describe": client.sources.describe, "delete": client.sources.delete, "unlock": client.targets.unlock}
    with pytest.raises(mc.MalformedResponseError):
        caller(calls[verb]("some-id"))
    assert len(simulator.journal) == 1


@INCOMPLETE
@pytest.mark.parametrize("body", ["{}", '{"id": null}', '{"id": ""}', '{"id": 5}'])
def test_a_registration_without_an_id_is_a_malformed_answer(
    client: Any, caller: Caller, simulator: HuaweiSmsSimulator, body: str
) -> None:
    simulator.faults.answer(200, body)
    with pytest.raises(mc.MalformedResponseError) as raised:
        caller(client.sources.register(suse(), allow_incomplete=True))
    assert raised.value.path == "id"


@pytest.mark.parametrize("source_id", HOSTILE)
def test_a_hostile_id_stays_one_segment(
    client: Any, caller: Caller, simulator: HuaweiSmsSimulator, source_id: str
) -> None:
    for call in (client.sources.describe, client.sources.delete, client.targets.unlock):
        with pytest.raises(mc.NotFoundError):
            caller(call(source_id))
    for sent, (prefix, suffix) in zip(
        simulator.journal, [("/v3/sources/", ""), ("/v3/sources/", ""), ("/v3/tasks/", "/unlock")], strict=True
    ):
        middle = sent.path.removeprefix(prefix).removesuffix(suffix)
        assert "/" not in middle
        assert unquote(middle) == source_id
        assert sent.query == ()


@pytest.mark.parametrize("kind", ["token", "login", "key"])
@pytest.mark.parametrize("source_id", IMPOSSIBLE, ids=ascii)
def test_an_impossible_id_is_refused_before_anything_is_sent(
    caller: Caller, simulator: HuaweiSmsSimulator, kind: str, source_id: str
) -> None:
    client = caller.connect("huawei_sms", clock=simulator.clock, **simulator.settings(kind))
    for call in (client.sources.describe, client.sources.delete, client.targets.unlock):
        with pytest.raises(mc.InvalidArgumentError):
            caller(call(source_id))
    assert simulator.journal == []


def test_pairings_and_tasks_are_refused_before_anything_is_sent(
    client: Any, caller: Caller, simulator: HuaweiSmsSimulator
) -> None:
    spec = mc.PairingSpec(remote_url="x", remote_username="u", remote_password="p")
    for call in (
        lambda: client.pairings.delete("p"),
        lambda: client.pairings.create(spec),
        lambda: client.pairings.describe("p"),
        lambda: client.pairings.list(),
        lambda: client.tasks.list(),
        lambda: client.tasks.get("t"),
        lambda: client.tasks.cancel("t"),
    ):
        with pytest.raises(mc.UnsupportedOperationError) as raised:
            caller(call())
        assert raised.value.provider == "huawei_sms"
        assert raised.value.supporters in ((), ("vmware_srm",), ("aws_mgn", "vmware_srm"))
    assert simulator.journal == []


def test_a_finished_task_is_resumed_from_its_token_without_a_request(
    client: Any, caller: Caller, simulator: HuaweiSmsSimulator
) -> None:
    (source_id,) = simulator.add_sources(1)
    token = caller(client.sources.delete(source_id)).token
    simulator.journal.clear()
    task = caller(client.tasks.get(token))
    assert (task.status, task.info.operation) == (mc.TaskStatus.SUCCESS, mc.Operation.DELETE_SOURCE)
    assert simulator.journal == []


@INCOMPLETE
def test_the_whole_life_of_a_source_is_signed_and_accepted_over_tcp(caller: Caller) -> None:
    simulator = HuaweiSmsSimulator(clock=VirtualClock())
    with serve(simulator):
        client = caller.connect("huawei_sms", clock=simulator.clock, **simulator.settings("key"))
        source_id = caller(caller(client.sources.register(suse(), allow_incomplete=True)).wait())
        replication_id = simulator.start_migration(source_id)
        assert caller(client.sources.describe(source_id)).replication.id == replication_id
        assert [source.id for source in caller.list(client.sources.list())] == [source_id]
        caller(caller(client.targets.unlock(replication_id)).wait())
        caller(caller(client.sources.delete(source_id)).wait())
        caller(client.close())
    assert [(sent.method, sent.status) for sent in simulator.journal] == [
        ("POST", 200),
        ("GET", 200),
        ("GET", 200),
        ("POST", 200),
        ("DELETE", 200),
    ]
    for sent in simulator.journal:
        assert sent.headers["authorization"].startswith("SDK-HMAC-SHA256 Access=SIMULATEDACCESSKEY00, SignedHeaders=")
        assert "x-auth-token" not in sent.headers
