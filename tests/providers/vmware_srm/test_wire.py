"""What goes over the wire, to the letter: methods, raw paths, headers and bodies; both clients, both doors."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest

import migrate_core as mc
from migrate_core.testing import InProcess, JournalEntry, VirtualClock, serve
from migrate_vmware_srm.models import PairPscInfo, SrmPairingSpec
from migrate_vmware_srm.simulator import VmwareSrmSimulator
from support import Caller

BASE = "/api/rest/srm/v2"
GUID = "5f6a1c1e-3f0e-4d53-9f7d-7a8a0c6f0b11"


def wire(simulator: VmwareSrmSimulator) -> list[tuple[str, str]]:
    return [(entry.method, entry.path) for entry in simulator.journal]


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def check_credentials(simulator: VmwareSrmSimulator) -> None:
    """Basic where somebody logs in, the session everywhere else, never both but for the login at the other site."""
    known = simulator.credentials
    session = None
    for entry in simulator.journal:
        sent = entry.headers.get("authorization")
        if (entry.method, entry.path) == ("POST", f"{BASE}/session"):
            assert sent == basic(known["username"], known["password"])
            assert "x-dr-session" not in entry.headers
            continue
        session = session or entry.headers["x-dr-session"]
        assert entry.headers["x-dr-session"] == session
        if entry.path.endswith("/remote-session") and entry.method == "POST":
            assert sent == basic(known["peer_username"], known["peer_password"])
        else:
            assert sent is None


def check_no_body(entry: JournalEntry) -> None:
    assert entry.body == b""
    assert entry.headers.get("content-length", "0") == "0"
    assert "transfer-encoding" not in entry.headers
    assert "content-type" not in entry.headers


def peer_spec(simulator: VmwareSrmSimulator, **details: Any) -> mc.PairingSpec:
    return mc.PairingSpec(
        remote_url="https://vc-b.example",
        remote_username=simulator.credentials["peer_username"],
        remote_password=simulator.credentials["peer_password"],
        details=SrmPairingSpec(pair_vc_guid=GUID, **details),
    )


# One operation after the other.


def test_connecting_sends_nothing(caller: Caller, simulator: VmwareSrmSimulator) -> None:
    client = caller.connect("vmware_srm", clock=simulator.clock, **simulator.settings())
    assert repr(client).endswith("Client vmware_srm>")
    assert client.capabilities
    assert simulator.journal == []


def test_describe_pairing_is_a_login_and_one_get(client: Any, caller: Caller, simulator: VmwareSrmSimulator) -> None:
    pairing_id = simulator.pair()
    pairing = caller(client.pairings.describe(pairing_id))
    assert pairing.id == pairing_id
    assert wire(simulator) == [("POST", f"{BASE}/session"), ("GET", f"{BASE}/pairings/{pairing_id}")]
    assert simulator.journal[1].query == ()
    for entry in simulator.journal:
        check_no_body(entry)
    check_credentials(simulator)


def test_the_login_is_used_again(caller: Caller, simulator: VmwareSrmSimulator) -> None:
    client = caller.connect("vmware_srm", clock=simulator.clock, **simulator.settings())
    pairing_id = simulator.pair()
    for _ in range(3):
        caller(client.pairings.describe(pairing_id))
    assert wire(simulator) == [("POST", f"{BASE}/session")] + 3 * [("GET", f"{BASE}/pairings/{pairing_id}")]
    check_credentials(simulator)


def test_create_pairing_posts_the_documented_specification(
    client: Any, caller: Caller, simulator: VmwareSrmSimulator
) -> None:
    task = caller(client.pairings.create(peer_spec(simulator)))
    assert task.status is mc.TaskStatus.QUEUED
    assert wire(simulator) == [("POST", f"{BASE}/session"), ("POST", f"{BASE}/pairings")]
    entry = simulator.journal[1]
    assert entry.status == 202
    assert entry.query == ()
    assert entry.headers["content-type"] == "application/json"
    assert entry.headers["content-length"] == str(len(entry.body))
    assert json.loads(entry.body) == {
        "pair_psc_info": {
            "url": "vc-b.example",
            "port": 443,
            "thumbprint": None,
            "username": simulator.credentials["peer_username"],
            "password": simulator.credentials["peer_password"],
        },
        "pair_vc_guid": GUID,
    }
    check_credentials(simulator)


def test_create_pairing_sends_every_field_of_the_details(
    client: Any, caller: Caller, simulator: VmwareSrmSimulator
) -> None:
    details = SrmPairingSpec(
        pair_psc_info=PairPscInfo(
            url="psc-b.example", port=7444, thumbprint="AA:BB", username="ü@b.local", password='p"\\\u2603'
        ),
        pair_vc_guid=GUID,
        pair_srm_url="srm-b.example",
        pair_srm_thumbprint="CC:DD",
    )
    spec = mc.PairingSpec(remote_url="ignored.example", remote_username="i", remote_password="i", details=details)
    caller(client.pairings.create(spec))
    assert json.loads(simulator.journal[-1].body) == {
        "pair_psc_info": {
            "url": "psc-b.example",
            "port": 7444,
            "thumbprint": "AA:BB",
            "username": "ü@b.local",
            "password": 'p"\\\u2603',
        },
        "pair_vc_guid": GUID,
        "pair_srm_url": "srm-b.example",
        "pair_srm_thumbprint": "CC:DD",
    }


def test_delete_pairing_logs_in_at_the_other_site_first(
    client: Any, caller: Caller, simulator: VmwareSrmSimulator
) -> None:
    pairing_id = simulator.pair()
    task = caller(client.pairings.delete(pairing_id))
    assert wire(simulator) == [
        ("POST", f"{BASE}/session"),
        ("POST", f"{BASE}/pairings/{pairing_id}/remote-session"),
        ("DELETE", f"{BASE}/pairings/{pairing_id}"),
    ]
    assert [entry.status for entry in simulator.journal] == [200, 204, 202]
    assert simulator.journal[2].query == ()
    for entry in simulator.journal:
        check_no_body(entry)
    check_credentials(simulator)
    assert task.status is mc.TaskStatus.QUEUED
    assert task.id
    assert not task.done


def test_get_task_asks_for_the_vendors_id(client: Any, caller: Caller, simulator: VmwareSrmSimulator) -> None:
    task_id = caller(client.pairings.delete(simulator.pair())).id
    simulator.journal.clear()
    assert caller(client.tasks.get(task_id)).id == task_id
    assert wire(simulator) == [("GET", f"{BASE}/tasks/{task_id}")]
    assert simulator.journal[0].query == ()
    check_no_body(simulator.journal[0])


def test_list_pairings_asks_for_page_after_page(client: Any, caller: Caller, simulator: VmwareSrmSimulator) -> None:
    ids = [simulator.pair(f"vc-{number}.example") for number in range(250)]
    assert [pairing.id for pairing in caller.list(client.pairings.list())] == ids
    assert wire(simulator) == [("POST", f"{BASE}/session")] + 3 * [("GET", f"{BASE}/pairings")]
    assert [entry.query for entry in simulator.journal[1:]] == [
        (("limit", "100"), ("offset", offset)) for offset in ("0", "100", "200")
    ]
    check_credentials(simulator)


def test_list_tasks_asks_for_page_after_page(client: Any, caller: Caller, simulator: VmwareSrmSimulator) -> None:
    with mc.connect("vmware_srm", **{**simulator.settings(), "transport": simulator.transport}) as maker:
        task_ids = [maker.pairings.create(peer_spec(simulator)).id for _ in range(250)]
    simulator.journal.clear()
    assert [task.id for task in caller.list(client.tasks.list())] == task_ids
    assert wire(simulator) == [("POST", f"{BASE}/session")] + 3 * [("GET", f"{BASE}/tasks")]
    assert [entry.query for entry in simulator.journal[1:]] == [
        (("limit", "100"), ("offset", offset)) for offset in ("0", "100", "200")
    ]
    check_credentials(simulator)


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 200])
def test_no_page_is_asked_for_in_vain(caller: Caller, simulator: VmwareSrmSimulator, count: int) -> None:
    client = caller.connect("vmware_srm", clock=simulator.clock, **simulator.settings())
    ids = [simulator.pair() for _ in range(count)]
    assert [pairing.id for pairing in caller.list(client.pairings.list())] == ids
    assert len(simulator.journal) == 1 + max(1, -(-count // 100))


def test_pages_smaller_than_asked_for_lose_nothing(caller: Caller, simulator: VmwareSrmSimulator) -> None:
    client = caller.connect("vmware_srm", clock=simulator.clock, **simulator.settings())
    for offset in range(3):
        page = {"list": [{"pairing_id": f"p-{offset}"}], "_meta": {"total": 3, "offset": offset, "limit": 1}}
        simulator.faults.answer(200, json.dumps(page), method="GET", path="/pairings")
    assert [pairing.id for pairing in caller.list(client.pairings.list())] == ["p-0", "p-1", "p-2"]
    assert [dict(entry.query)["offset"] for entry in simulator.journal[1:]] == ["0", "1", "2"]


def test_a_list_is_fetched_as_it_is_needed(simulator: VmwareSrmSimulator) -> None:
    for _ in range(250):
        simulator.pair()
    with mc.connect("vmware_srm", clock=simulator.clock, **simulator.settings()) as client:
        pairings = client.pairings.list()
        assert simulator.journal == []
        next(pairings)
        assert len(simulator.journal) == 2


@pytest.mark.parametrize("resource", ["pairings", "tasks"])
def test_a_next_link_to_another_host_is_never_followed(
    client: Any, caller: Caller, simulator: VmwareSrmSimulator, resource: str
) -> None:
    thief = VmwareSrmSimulator(clock=VirtualClock())
    item = {"pairings": "pairing_id", "tasks": "id"}[resource]
    with serve(thief) as elsewhere:
        for offset in range(2):
            links = {"next": {"href": f"{elsewhere}{BASE}/{resource}?limit=1&offset=1"}}
            page = {
                "list": [{item: f"x-{offset}", "status": "RUNNING"}],
                "_meta": {"total": 2, "offset": offset, "limit": 1, "links": links},
            }
            simulator.faults.answer(200, json.dumps(page), method="GET", path=f"/{resource}")
        assert [one.id for one in caller.list(getattr(client, resource).list())] == ["x-0", "x-1"]
        assert thief.journal == []
    assert wire(simulator)[1:] == 2 * [("GET", f"{BASE}/{resource}")]
    assert dict(simulator.journal[-1].query)["offset"] == "1"


# Leaving.


def test_close_logs_out(client: Any, caller: Caller, simulator: VmwareSrmSimulator) -> None:
    caller(client.pairings.describe(simulator.pair()))
    session = simulator.journal[-1].headers["x-dr-session"]
    simulator.journal.clear()
    caller(client.close())
    caller(client.close())
    assert wire(simulator) == [("DELETE", f"{BASE}/session")]
    (entry,) = simulator.journal
    assert entry.status == 204
    assert entry.headers["x-dr-session"] == session
    assert "authorization" not in entry.headers
    check_no_body(entry)


def test_close_without_a_login_sends_nothing(caller: Caller, simulator: VmwareSrmSimulator) -> None:
    client = caller.connect("vmware_srm", clock=simulator.clock, **simulator.settings())
    caller(client.close())
    assert simulator.journal == []


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 429, 500, 503])
def test_close_does_not_raise_when_the_log_out_is_refused(
    caller: Caller, simulator: VmwareSrmSimulator, status: int
) -> None:
    client = caller.connect("vmware_srm", clock=simulator.clock, **simulator.settings())
    caller(client.pairings.describe(simulator.pair()))
    simulator.faults.answer(status, "<html>no</html>", method="DELETE", path="/session", times=99)
    before = simulator.clock.monotonic()
    caller(client.close())
    assert simulator.journal[-1].status == status
    assert simulator.clock.monotonic() - before <= 2.0
    with pytest.raises(mc.ConfigurationError, match="closed"):
        caller(client.pairings.describe("p-1"))


def test_close_does_not_raise_when_the_session_has_expired(caller: Caller, simulator: VmwareSrmSimulator) -> None:
    client = caller.connect("vmware_srm", clock=simulator.clock, **simulator.settings())
    caller(client.pairings.describe(simulator.pair()))
    simulator.expire_sessions()
    caller(client.close())
    assert (simulator.journal[-1].method, simulator.journal[-1].status) == ("DELETE", 401)


def test_close_does_not_raise_when_the_server_is_gone(caller: Caller, simulator: VmwareSrmSimulator) -> None:
    with serve(simulator):
        client = caller.connect("vmware_srm", clock=simulator.clock, **simulator.settings())
        caller(client.pairings.describe(simulator.pair()))
    caller(client.close())


def test_leaving_the_with_block_logs_out(simulator: VmwareSrmSimulator) -> None:
    with mc.connect("vmware_srm", clock=simulator.clock, **simulator.settings()) as client:
        client.pairings.describe(simulator.pair())
    assert wire(simulator)[-1] == ("DELETE", f"{BASE}/session")


# Another base path.


def moved_to(base: str, simulator: VmwareSrmSimulator, seen: list[str]) -> InProcess:
    """A door to a simulator that lives under another base path."""

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        path = scope["raw_path"].decode()
        seen.append(path)
        assert path.startswith(f"{base}/")
        await simulator.app({**scope, "raw_path": (BASE + path.removeprefix(base)).encode()}, receive, send)

    return InProcess(app)


@pytest.mark.parametrize("given", ["/dr-rest-api/srm/v2", "dr-rest-api/srm/v2/", "/dr-rest-api/srm/v2//"])
def test_base_path_goes_before_every_path(caller: Caller, simulator: VmwareSrmSimulator, given: str) -> None:
    base = "/dr-rest-api/srm/v2"
    seen: list[str] = []
    settings = {**simulator.settings(), "transport": moved_to(base, simulator, seen), "base_path": given}
    client = caller.connect("vmware_srm", clock=simulator.clock, **settings)
    pairing_id = simulator.pair()
    task = caller(client.pairings.delete(pairing_id))
    caller(task.refresh())
    caller.list(client.tasks.list())
    caller(client.close())
    assert seen == [
        f"{base}/session",
        f"{base}/pairings/{pairing_id}/remote-session",
        f"{base}/pairings/{pairing_id}",
        f"{base}/tasks/{task.id}",
        f"{base}/tasks",
        f"{base}/session",
    ]


@pytest.mark.parametrize("value", ["", "/"])
def test_an_api_at_the_root_has_no_base_path(caller: Caller, simulator: VmwareSrmSimulator, value: str) -> None:
    seen: list[str] = []
    settings = {**simulator.settings(), "transport": moved_to("", simulator, seen), "base_path": value}
    caller(caller.connect("vmware_srm", clock=simulator.clock, **settings).pairings.describe(simulator.pair()))
    assert seen[0] == "/session"


def test_base_path_comes_from_the_environment(
    caller: Caller, simulator: VmwareSrmSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIGRATE_BASE_PATH", "/elsewhere")
    seen: list[str] = []
    settings = {**simulator.settings(), "transport": moved_to("/elsewhere", simulator, seen)}
    client = caller.connect("vmware_srm", clock=simulator.clock, **settings)
    caller(client.pairings.describe(simulator.pair()))
    assert seen[0] == "/elsewhere/session"


@pytest.mark.parametrize(
    "value",
    [
        "/api//v2",
        "/..",
        "/api/../v2",
        "/./v2",
        "/.hidden",
        "/api v2",
        "/api?x=1",
        "/api#x",
        "/api%2Fv2",
        "/api\\v2",
        "/api\n/v2",
        "/api/v2\n",
        "/äpi",
        "https://srm.example/api",
        "//srm.example/api@x",
        "/api\x00",
        5,
    ],
)
def test_an_impossible_base_path_is_refused(simulator: VmwareSrmSimulator, value: Any) -> None:
    with pytest.raises(mc.ConfigurationError, match="base_path"):
        mc.connect("vmware_srm", **{**simulator.settings(), "base_path": value})
    assert simulator.journal == []


# Ids.

HOSTILE = [
    "a/b",
    "../tasks",
    "..%2ftasks",
    "%2e%2e",
    "a?limit=1",
    "a#fragment",
    "a;b=c",
    "a&b",
    "a b",
    "a+b",
    "ü-\u2603",
    "a\\b",
    "https://evil.invalid/x",
    "//evil.invalid",
    "VirtualMachine:vm-29:5f6a1c1e",
    "{pairing_id}",
    "...",
    "x" * 1024,
    "'\"<>",
]


def test_a_hostile_id_stays_one_segment(client: Any, caller: Caller, simulator: VmwareSrmSimulator) -> None:
    caller(client.pairings.describe(simulator.pair()))
    for hostile in HOSTILE:
        encoded = quote(hostile, safe="")
        simulator.journal.clear()
        for send in (client.pairings.describe, client.pairings.delete, client.tasks.get):
            with pytest.raises(mc.NotFoundError):
                caller(send(hostile))
        assert wire(simulator) == [
            ("GET", f"{BASE}/pairings/{encoded}"),
            ("POST", f"{BASE}/pairings/{encoded}/remote-session"),
            ("GET", f"{BASE}/tasks/{encoded}"),
        ]
        assert all(entry.query == () for entry in simulator.journal)


def test_a_hostile_id_reaches_the_object_of_that_id(caller: Caller, simulator: VmwareSrmSimulator) -> None:
    client = caller.connect("vmware_srm", clock=simulator.clock, **simulator.settings())
    simulator.faults.answer(200, '{"pairing_id": "a/b?c"}', method="GET", path="/pairings/a%2Fb%3Fc")
    assert caller(client.pairings.describe("a/b?c")).id == "a/b?c"


BAD_IDS: list[Any] = ["", ".", "..", "a\nb", "a\r\nx-evil: 1", "\x00", "\x7f", "x" * 1025, "\ud800", None, 5, b"p"]


@pytest.mark.parametrize("verb", ["pairings.describe", "pairings.delete", "tasks.get"])
@pytest.mark.parametrize("bad", BAD_IDS, ids=lambda value: ascii(value)[:20])
def test_a_bad_id_is_refused_before_anything_is_sent(
    caller: Caller, simulator: VmwareSrmSimulator, verb: str, bad: Any
) -> None:
    client = caller.connect("vmware_srm", clock=simulator.clock, **simulator.settings())
    resource, method = verb.split(".")
    with pytest.raises(mc.InvalidArgumentError):
        caller(getattr(getattr(client, resource), method)(bad))
    assert simulator.journal == []


# Repeating.


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_change_is_not_sent_again_after_a_server_error(
    caller: Caller, simulator: VmwareSrmSimulator, status: int
) -> None:
    client = caller.connect("vmware_srm", clock=simulator.clock, **simulator.settings())
    simulator.faults.answer(status, method="DELETE", path="/pairings/")
    simulator.faults.answer(status, method="POST", path="/pairings")
    with pytest.raises(mc.ServerError):
        caller(client.pairings.create(peer_spec(simulator)))
    with pytest.raises(mc.ServerError):
        caller(client.pairings.delete(simulator.pair()))
    assert [entry.method for entry in simulator.journal] == ["POST", "POST", "POST", "DELETE"]


def test_a_change_that_was_turned_away_is_sent_again(caller: Caller, simulator: VmwareSrmSimulator) -> None:
    client = caller.connect("vmware_srm", clock=simulator.clock, **simulator.settings())
    simulator.faults.answer(429, method="DELETE", path="/pairings/", headers={"Retry-After": "7"})
    caller(client.pairings.delete(simulator.pair()))
    assert [entry.status for entry in simulator.journal] == [200, 204, 429, 202]
    assert simulator.clock.monotonic() == 7.0


def test_a_read_is_sent_again_after_a_server_error(caller: Caller, simulator: VmwareSrmSimulator) -> None:
    client = caller.connect("vmware_srm", clock=simulator.clock, **simulator.settings())
    simulator.faults.answer(503, "<html>restarting</html>", method="GET", times=2)
    caller(client.pairings.describe(simulator.pair()))
    assert [entry.status for entry in simulator.journal] == [200, 503, 503, 200]


# Settings.


@pytest.mark.parametrize("name", ["username", "password"])
def test_half_a_login_is_refused(simulator: VmwareSrmSimulator, name: str) -> None:
    with pytest.raises(mc.ConfigurationError, match=f"lacks {name};.*MIGRATE_{name.upper()}"):
        mc.connect("vmware_srm", **{**simulator.settings("local"), name: None})
    assert simulator.journal == []


def test_no_login_at_all_names_both_settings(simulator: VmwareSrmSimulator) -> None:
    with pytest.raises(mc.ConfigurationError, match="lacks username and password"):
        mc.connect("vmware_srm", endpoint="https://srm.example")


def test_no_endpoint_is_refused_naming_the_setting(simulator: VmwareSrmSimulator) -> None:
    with pytest.raises(mc.ConfigurationError, match=r"endpoint.*MIGRATE_ENDPOINT"):
        mc.connect("vmware_srm", username="u", password="p")


@pytest.mark.parametrize("name", ["username", "peer_username"])
def test_a_user_name_with_a_colon_is_refused_at_once(simulator: VmwareSrmSimulator, name: str) -> None:
    with pytest.raises(mc.ConfigurationError, match=f"^{name} has a colon"):
        mc.connect("vmware_srm", **{**simulator.settings(), name: "a:b"})
    assert simulator.journal == []


def test_a_password_may_hold_colons_and_any_letter(caller: Caller, door: None, simulator: VmwareSrmSimulator) -> None:
    password = "pä:ss\u2603:word "
    settings = {**simulator.settings("local"), "password": password}
    client = caller.connect("vmware_srm", clock=simulator.clock, **settings)
    with pytest.raises(mc.AuthenticationError):
        caller(client.pairings.describe("p-1"))
    assert simulator.journal[0].headers["authorization"] == basic(simulator.credentials["username"], password)


def test_a_password_that_is_no_text_for_the_wire_is_refused_as_ours(
    caller: Caller, simulator: VmwareSrmSimulator
) -> None:
    """As when the environment holds bytes that are no UTF-8."""
    settings = {**simulator.settings("local"), "password": "p\udce4ss"}
    with pytest.raises(mc.MigrateError) as caught:
        caller(caller.connect("vmware_srm", clock=simulator.clock, **settings).pairings.describe("p-1"))
    assert "\udce4" not in str(caught.value)
    assert simulator.journal == []


def test_a_specification_that_is_no_text_for_the_wire_is_refused_as_ours(
    caller: Caller, simulator: VmwareSrmSimulator
) -> None:
    client = caller.connect("vmware_srm", clock=simulator.clock, **simulator.settings())
    spec = mc.PairingSpec(
        remote_url="vc-b.example",
        remote_username="u",
        remote_password="p\ud800",
        details=SrmPairingSpec(pair_vc_guid=GUID),
    )
    with pytest.raises(mc.InvalidArgumentError):
        caller(client.pairings.create(spec))
    assert simulator.journal == []


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "[]",
        "null",
        "{}",
        '{"session_id": ""}',
        '{"session_id": null}',
        '{"session_id": 5}',
        '{"session_id": {}}',
        '{"session_id": "tok\\nen"}',
        '{"session_id": "tok\u2603en"}',
        "<html>proxy</html>",
    ],
)
def test_a_login_without_a_usable_session_is_a_malformed_answer(
    caller: Caller, simulator: VmwareSrmSimulator, answer: str
) -> None:
    client = caller.connect("vmware_srm", clock=simulator.clock, **simulator.settings())
    simulator.faults.answer(200, answer, method="POST", path="/session")
    with pytest.raises(mc.MalformedResponseError):
        caller(client.pairings.describe("p-1"))
    assert wire(simulator) == [("POST", f"{BASE}/session")]
