"""The requests to the byte, however they are authenticated, and lists and answers that misbehave."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest

import migrate_core as mc
from migrate_core.documents import encode
from migrate_core.testing import JournalEntry, VirtualClock, serve
from migrate_huawei_sms.models import SourceDocument
from migrate_huawei_sms.simulator import HuaweiSmsSimulator
from support import Caller

from .machines import linux, windows

INCOMPLETE = pytest.mark.filterwarnings("ignore::migrate_core.IncompleteDocumentWarning")
HOSTILE = [
    "../../v3/tasks",
    "a/b",
    "a%2Fb",
    "a?limit=1",
    "a#b",
    "a;b=c",
    "a b+c",
    "a\\b",
    "\u00fc\N{SNOWMAN}",
    "...",
    "https://elsewhere.example/",
    "x" * 255,
]


@pytest.fixture(scope="module")
def served() -> Iterator[HuaweiSmsSimulator]:
    """One simulator behind TCP for all tests of this module: to start one takes longer than a test."""
    simulator = HuaweiSmsSimulator(clock=VirtualClock())
    with serve(simulator):
        yield simulator


@pytest.fixture(params=["in process", "tcp"])
def either(request: pytest.FixtureRequest, served: HuaweiSmsSimulator) -> HuaweiSmsSimulator:
    """A fresh simulator behind either door; its settings lead to it."""
    if request.param == "tcp":
        served.reset()
        return served
    return HuaweiSmsSimulator(clock=VirtualClock())


def connect(caller: Caller, simulator: HuaweiSmsSimulator, kind: str = "token") -> Any:
    return caller.connect("huawei_sms", clock=simulator.clock, trust_env=False, **simulator.settings(kind))


def check_no_body(entry: JournalEntry) -> None:
    assert entry.body == b""
    assert entry.headers.get("content-length", "0") == "0"
    assert "transfer-encoding" not in entry.headers


def check_credentials(simulator: HuaweiSmsSimulator, kind: str) -> None:
    """Each request was accepted with the credentials of its kind, and with nothing else."""
    fetched = {entry.headers.get("x-auth-token") for entry in simulator.journal} - {None}
    for entry in simulator.journal:
        assert entry.status in (200, 201)
        login = entry.path == "/v3/auth/tokens"
        assert ("x-auth-token" in entry.headers) is (kind != "key" and not login)
        assert ("authorization" in entry.headers) is ("x-sdk-date" in entry.headers) is (kind == "key")
        assert "cookie" not in entry.headers
    assert len(fetched) == (0 if kind == "key" else 1)
    assert (simulator.credentials["token"] in fetched) is (kind == "token")


@pytest.mark.parametrize("kind", ["token", "login", "key"])
def test_the_five_operations_are_six_requests_and_nothing_else(
    caller: Caller, either: HuaweiSmsSimulator, kind: str
) -> None:
    client = connect(caller, either, kind)
    source_id = caller(caller(client.sources.register(mc.SourceSpec(name="x", details=linux()))).wait())
    replication_id = either.start_migration(source_id)
    assert caller(client.sources.describe(source_id)).replication.id == replication_id
    assert [source.id for source in caller.list(client.sources.list())] == [source_id]
    assert caller(caller(client.targets.unlock(replication_id)).wait()) is None
    assert caller(caller(client.sources.delete(source_id)).wait()) is None
    assert caller.list(client.sources.list()) == []
    logins = ["POST /v3/auth/tokens"] if kind == "login" else []
    assert [f"{entry.method} {entry.path}" for entry in either.journal] == [
        *logins,
        "POST /v3/sources",
        f"GET /v3/sources/{source_id}",
        "GET /v3/sources",
        f"POST /v3/tasks/{replication_id}/unlock",
        f"DELETE /v3/sources/{source_id}",
        "GET /v3/sources",
    ]
    assert either.journal[0].query == ((("nocatalog", "true"),) if kind == "login" else ())
    page = (("limit", "200"), ("offset", "0"))
    assert [entry.query for entry in either.journal[len(logins) :]] == [(), (), page, (), (), page]
    register, describe, listed, unlock, delete, _ = either.journal[len(logins) :]
    for entry in (describe, listed, unlock, delete):
        check_no_body(entry)
    assert unlock.headers["content-length"] == "0"
    assert [entry.headers.get("content-type") for entry in (register, describe, listed, unlock, delete)] == [
        "application/json",
        None,
        None,
        "application/json",
        None,
    ]
    check_credentials(either, kind)


@INCOMPLETE
def test_a_document_is_these_bytes(caller: Caller, either: HuaweiSmsSimulator) -> None:
    document = SourceDocument(
        name='caf\u00e9 "\u2603"\n',
        os_type="WINDOWS",
        disks=(),
        memory=9223372036854775807,
        io_read_wait=3.4,
        has_tc=False,
        raw_devices="",
    )
    caller(connect(caller, either).sources.register(mc.SourceSpec(name="x", details=document), allow_incomplete=True))
    (sent,) = either.journal
    assert (
        sent.body
        == (
            '{"name":"caf\u00e9 \\"\u2603\\"\\n","os_type":"WINDOWS","memory":9223372036854775807,"disks":[],'
            '"raw_devices":"","io_read_wait":3.4,"has_tc":false}'
        ).encode()
    )


@pytest.mark.parametrize("document", [linux(), windows()], ids=["linux", "windows"])
def test_what_is_sent_is_the_document_and_what_arrived_is_it_too(
    caller: Caller, either: HuaweiSmsSimulator, document: SourceDocument
) -> None:
    task = caller(connect(caller, either, "key").sources.register(mc.SourceSpec(name="x", details=document)))
    (sent,) = either.journal
    assert sent.body == json.dumps(encode(document), ensure_ascii=False, separators=(",", ":")).encode()
    assert sent.headers["content-length"] == str(len(sent.body))
    assert (task.done, task.id, task.progress) == (True, "", 100.0)
    assert either.registered(caller(task.wait())) == document


@pytest.mark.parametrize("source_id", HOSTILE)
def test_a_hostile_id_is_one_segment_and_is_signed_as_it_is_sent(
    caller: Caller, either: HuaweiSmsSimulator, source_id: str
) -> None:
    client = connect(caller, either, "key")
    for call in (client.sources.describe, client.sources.delete, client.targets.unlock):
        with pytest.raises(mc.NotFoundError) as raised:
            caller(call(source_id))
        assert raised.value.code in ("SMS.2216", "SMS.2252")  # so the signature was accepted, and the route found
    assert [entry.method for entry in either.journal] == ["GET", "DELETE", "POST"]
    for entry in either.journal:
        assert [unquote(part) for part in entry.path.split("/")][3] == source_id
        assert entry.path.count("/") == (4 if entry.path.endswith("/unlock") else 3)
        assert entry.query == ()


@pytest.mark.parametrize("length", [256, 1024])
def test_an_id_that_is_longer_than_the_tables_allow_is_refused_before_anything_is_sent(
    caller: Caller, simulator: HuaweiSmsSimulator, length: int
) -> None:
    client = connect(caller, simulator, "login")
    for call in (client.sources.describe, client.sources.delete, client.targets.unlock):
        with pytest.raises(mc.InvalidArgumentError):
            caller(call("x" * length))
    assert simulator.journal == []


@pytest.mark.parametrize("source_id", [None, 5, b"id", ["id"]])
def test_an_id_that_is_no_text_is_refused_before_anything_is_sent(
    caller: Caller, simulator: HuaweiSmsSimulator, source_id: Any
) -> None:
    client = connect(caller, simulator)
    for call in (client.sources.describe, client.sources.delete, client.targets.unlock):
        with pytest.raises(mc.InvalidArgumentError):
            caller(call(source_id))
    assert simulator.journal == []


# Changes are not sent twice.


@pytest.mark.parametrize("status", [400, 403, 409, 500, 502, 503, 504])
def test_a_change_that_failed_is_not_sent_again(caller: Caller, simulator: HuaweiSmsSimulator, status: int) -> None:
    client = connect(caller, simulator)
    spec = mc.SourceSpec(name="x", details=linux())
    simulator.faults.answer(status, times=99)
    for change in (
        lambda: client.sources.register(spec),
        lambda: client.sources.delete("s-1"),
        lambda: client.targets.unlock("t-1"),
    ):
        with pytest.raises(mc.ApiError) as raised:
            caller(change())
        assert raised.value.status == status
    assert [entry.method for entry in simulator.journal] == ["POST", "DELETE", "POST"]


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_question_is_asked_again(caller: Caller, simulator: HuaweiSmsSimulator, status: int) -> None:
    client = connect(caller, simulator)
    (source_id,) = simulator.add_sources(1)
    simulator.faults.answer(status, times=2)
    assert caller(client.sources.describe(source_id)).id == source_id
    simulator.faults.answer(status, times=2)
    assert len(caller.list(client.sources.list())) == 1
    assert [entry.status for entry in simulator.journal] == [status, status, 200, status, status, 200]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirection_is_an_error_and_is_not_followed(caller: Caller, either: HuaweiSmsSimulator, status: int) -> None:
    client = connect(caller, either)
    elsewhere = {"location": f"{either.endpoint}/v3/sources/other"}
    either.faults.answer(status, headers=elsewhere, times=9)
    for call in (client.sources.describe, client.sources.delete, client.targets.unlock):
        with pytest.raises(mc.ApiError) as raised:
            caller(call("x"))
        assert raised.value.status == status
    assert len(either.journal) == 3


# Lists.


def test_a_list_asks_nothing_before_it_is_read_and_no_page_that_is_not_needed(
    simulator: HuaweiSmsSimulator,
) -> None:
    added = simulator.add_sources(450)
    with mc.connect("huawei_sms", clock=simulator.clock, **simulator.settings()) as client:
        sources = client.sources.list()
        assert simulator.journal == []
        assert [next(sources).id for _ in range(200)] == added[:200]
        assert len(simulator.journal) == 1
        assert next(sources).id == added[200]
        assert [dict(entry.query)["offset"] for entry in simulator.journal] == ["0", "200"]
        assert len(list(client.sources.list())) == 450  # a second list is a list of its own


def test_a_list_from_which_others_delete_gives_nothing_twice_and_ends(simulator: HuaweiSmsSimulator) -> None:
    added = simulator.add_sources(450)
    with mc.connect("huawei_sms", clock=simulator.clock, **simulator.settings()) as client:
        seen = []
        for source in client.sources.list():
            seen.append(source.id)
            if len(seen) % 10 == 1:
                client.sources.delete(source.id)
    assert len(seen) == len(set(seen))
    assert set(seen) <= set(added)
    assert seen[:200] == added[:200]


def test_sources_that_shift_back_while_a_list_is_read_are_given_once(simulator: HuaweiSmsSimulator) -> None:
    """A page that begins with what the last one ended with, as when records are put in front."""
    pages = [[*range(200)], [*range(190, 390)], [*range(380, 400)]]
    for page in pages:
        body = {"count": 420, "source_servers": [{"id": f"s-{number}"} for number in page]}
        simulator.faults.answer(200, json.dumps(body))
    with mc.connect("huawei_sms", clock=simulator.clock, **simulator.settings()) as client:
        assert [source.id for source in client.sources.list()] == [f"s-{number}" for number in range(400)]
    assert [dict(entry.query)["offset"] for entry in simulator.journal] == ["0", "200", "400"]


@pytest.mark.parametrize("count", [None, 10**6, "200", True, 0.5, [], -1, "absent"])
def test_a_list_ends_whatever_count_it_is_given(caller: Caller, simulator: HuaweiSmsSimulator, count: Any) -> None:
    page: dict[str, Any] = {"source_servers": [{"id": f"s-{number}"} for number in range(200)], "count": count}
    if count == "absent":
        del page["count"]
    simulator.faults.answer(200, json.dumps(page))
    simulator.faults.answer(200, json.dumps({**page, "source_servers": []}), times=9)
    client = connect(caller, simulator)
    assert len(caller.list(client.sources.list())) == 200
    assert len(simulator.journal) <= 2


@pytest.mark.parametrize(
    ("item", "path"),
    [({}, "id"), ({"id": None}, "id"), ({"id": ""}, "id"), ({"id": []}, "id"), (None, "source_servers")],
)
def test_an_item_of_a_list_that_is_no_source_is_malformed(
    caller: Caller, simulator: HuaweiSmsSimulator, item: Any, path: str
) -> None:
    simulator.faults.answer(200, json.dumps({"count": 2, "source_servers": [{"id": "s-1"}, item]}))
    client = connect(caller, simulator)
    with pytest.raises(mc.MalformedResponseError) as raised:
        caller.list(client.sources.list())
    assert raised.value.path == path


# Answers.


@pytest.mark.parametrize(
    "body", ["", "[]", "null", '"x"', "5", "{", "\ufeff{}", '{"name": "no id"}', '{"id": {}}', "[" * 100000]
)
def test_an_answer_that_describes_no_source_is_malformed(
    caller: Caller, simulator: HuaweiSmsSimulator, body: str
) -> None:
    simulator.faults.answer(200, body)
    client = connect(caller, simulator)
    with pytest.raises(mc.MalformedResponseError):
        caller(client.sources.describe("x"))
    assert len(simulator.journal) == 1


def test_an_answer_that_is_nested_without_end_is_malformed(caller: Caller, simulator: HuaweiSmsSimulator) -> None:
    simulator.faults.answer(200, '{"id": "s", "deep": ' + '{"a": ' * 900 + "1" + "}" * 901)
    with pytest.raises(mc.MalformedResponseError, match="nested deeper than 100 levels"):
        caller(connect(caller, simulator).sources.describe("x"))


@pytest.mark.parametrize("body", ["", "[]", '"id"', "{", '{"ID": "x"}', '{"id": []}'])
def test_a_registration_that_is_answered_without_an_id_is_malformed_and_was_sent_once(
    caller: Caller, simulator: HuaweiSmsSimulator, body: str
) -> None:
    simulator.faults.answer(200, body, after=True)
    client = connect(caller, simulator)
    with pytest.raises(mc.MalformedResponseError):
        caller(client.sources.register(mc.SourceSpec(name="x", details=linux())))
    assert len(simulator.journal) == 1


@pytest.mark.parametrize(
    "body",
    ["<html></html>", "\r\n  <!DOCTYPE html><title>Sign in</title>", "<?xml version='1.0'?><error/>"],
)
@pytest.mark.parametrize("verb", ["delete", "unlock"])
def test_a_page_of_a_proxy_acknowledges_nothing(
    caller: Caller, simulator: HuaweiSmsSimulator, verb: str, body: str
) -> None:
    simulator.faults.answer(200, body)
    client = connect(caller, simulator)
    with pytest.raises(mc.MalformedResponseError, match="web page"):
        caller({"delete": client.sources.delete, "unlock": client.targets.unlock}[verb]("x"))


@pytest.mark.parametrize("kind", ["text/html;charset=UTF-8", "application/json", "text/plain", ""])
@pytest.mark.parametrize("body", ["", "The source server was deleted."])
@pytest.mark.parametrize("verb", ["delete", "unlock"])
def test_what_acknowledges_a_change_is_not_judged_by_its_label(
    simulator: HuaweiSmsSimulator, verb: str, body: str, kind: str
) -> None:
    """A service whose answer is a bare text may label it as its framework does by default."""
    simulator.faults.answer(200, body, headers={"content-type": kind} if kind else {})
    with mc.connect("huawei_sms", clock=simulator.clock, **simulator.settings()) as client:
        task = {"delete": client.sources.delete, "unlock": client.targets.unlock}[verb]("x")
    assert task.status is mc.TaskStatus.SUCCESS
    assert task.info.entity_id == "x"


@pytest.mark.parametrize("status", [201, 202, 204, 206])
def test_a_description_with_another_status_is_malformed(
    caller: Caller, simulator: HuaweiSmsSimulator, status: int
) -> None:
    client = connect(caller, simulator)
    simulator.faults.answer(status, '{"id": "x"}')
    with pytest.raises(mc.MalformedResponseError, match="documented is 200"):
        caller(client.sources.describe("x"))
