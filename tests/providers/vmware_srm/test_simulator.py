"""The simulator by itself, spoken to without the provider: what any other client of this vendor would meet."""

from __future__ import annotations

import base64
import http.client
import json
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import pytest

import migrate_core as mc
from migrate_core.clock import Deadline, SystemClock
from migrate_core.provider import Request, Response
from migrate_core.testing import VirtualClock, serve
from migrate_core.transports import TransportOptions
from migrate_vmware_srm.simulator import VmwareSrmSimulator

BASE = "/api/rest/srm/v2"
EDIT = "VcDr.RemoteSite.com.vmware.vcDr.Edit"
CREDENTIALS = VmwareSrmSimulator().credentials
SPEC = {
    "pair_psc_info": {
        "url": "vc-b.example",
        "port": 443,
        "thumbprint": None,
        "username": "administrator@peer.local",
        "password": CREDENTIALS["peer_password"],
    },
    "pair_vc_guid": "guid-b",
}


def encoded(username: str, password: str) -> str:
    """Encode one of the simulator's logins as Basic authentication has it."""
    return base64.b64encode(f"{CREDENTIALS[username]}:{CREDENTIALS[password]}".encode()).decode()


class Caller:
    """Sends plain requests to a simulator."""

    def __init__(self, simulator: VmwareSrmSimulator) -> None:
        self.simulator = simulator
        self.session = ""
        self._transport = simulator.transport.open(TransportOptions(endpoints={"main": simulator.endpoint}))

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        login: tuple[str, str] | None = None,
        headers: dict[str, str] | None = None,
        **query: Any,
    ) -> Response:
        sent = dict(headers or {})
        if self.session:
            sent["X-DR-Session"] = self.session
        if login:
            sent["Authorization"] = "Basic " + base64.b64encode(":".join(login).encode()).decode()
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        request = Request(
            method=method,
            path=BASE + path,
            query=tuple((name, str(value)) for name, value in query.items()),
            headers=sent,
            body=content,
            repeatable=False,
        )
        return self._transport.send(request, Deadline.after(SystemClock(), None))

    def log_in(self) -> None:
        answer = self("POST", "/session", login=self.local)
        self.session = json.loads(answer.body)["session_id"]

    @property
    def local(self) -> tuple[str, str]:
        known = self.simulator.credentials
        return known["username"], known["password"]

    @property
    def peer(self) -> tuple[str, str]:
        known = self.simulator.credentials
        return known["peer_username"], known["peer_password"]

    def delete(self, pairing_id: str) -> dict[str, Any]:
        assert self("POST", f"/pairings/{pairing_id}/remote-session", login=self.peer).status == 204
        task: dict[str, Any] = self.json("DELETE", f"/pairings/{pairing_id}", status=202)
        return task

    def json(self, method: str, path: str, body: Any = None, *, status: int = 200, **query: Any) -> Any:
        answer = self(method, path, body, **query)
        assert answer.status == status
        assert answer.headers["content-type"] == "application/json"
        return json.loads(answer.body)


@pytest.fixture
def call(simulator: VmwareSrmSimulator) -> Caller:
    caller = Caller(simulator)
    caller.log_in()
    simulator.journal.clear()
    return caller


# Sessions.


def test_a_login_gives_a_session_and_the_session_its_user(call: Caller) -> None:
    assert call.json("GET", "/session") == {"username": "administrator@vsphere.local"}
    assert call("DELETE", "/session").status == 204
    assert call("DELETE", "/session").status == 401
    assert call("GET", "/pairings").status == 401


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic " + base64.b64encode(b"\xff").decode()},
        {"Authorization": "Basic " + base64.b64encode(b"administrator@vsphere.local").decode()},
        {"Authorization": "Basic " + base64.b64encode(b"administrator@vsphere.local:wrong").decode()},
        {"Authorization": f"Basic {encoded('peer_username', 'peer_password')}"},
        {"Authorization": f"Bearer {encoded('username', 'password')}"},
        {"Authorization": "Basic"},
    ],
)
def test_a_wrong_login_is_refused_without_a_body(simulator: VmwareSrmSimulator, headers: dict[str, str]) -> None:
    answer = Caller(simulator)("POST", "/session", headers=headers)
    assert (answer.status, answer.body) == (401, b"")


def test_a_session_lasts_as_long_as_it_is_used(call: Caller, simulator: VmwareSrmSimulator) -> None:
    for _ in range(4):
        simulator.clock.sleep(simulator.controls.session_seconds - 1)
        assert call("GET", "/pairings").status == 200
    simulator.clock.sleep(simulator.controls.session_seconds + 1)
    answer = call("GET", "/pairings")
    assert (answer.status, answer.body) == (401, b"")


def test_how_long_a_session_lasts_can_be_set(call: Caller, simulator: VmwareSrmSimulator) -> None:
    simulator.set("session_seconds", "5")
    simulator.clock.sleep(5.0)
    assert call("GET", "/session").status == 200
    simulator.clock.sleep(5.1)
    assert call("GET", "/session").status == 401


def test_sessions_are_separate(call: Caller, simulator: VmwareSrmSimulator) -> None:
    pairing_id = simulator.pair()
    other = Caller(simulator)
    other.log_in()
    assert other.session != call.session
    assert call("POST", f"/pairings/{pairing_id}/remote-session", login=call.peer).status == 204
    assert other("GET", f"/pairings/{pairing_id}/remote-session").status == 401
    assert call.json("GET", f"/pairings/{pairing_id}/remote-session") == {"username": "administrator@peer.local"}
    assert other("DELETE", "/session").status == 204
    assert call("GET", "/session").status == 200


def test_sessions_that_are_expired_take_the_other_sites_logins_with_them(
    call: Caller, simulator: VmwareSrmSimulator
) -> None:
    pairing_id = simulator.pair()
    assert call("POST", f"/pairings/{pairing_id}/remote-session", login=call.peer).status == 204
    simulator.expire_sessions()
    assert call("GET", "/session").status == 401
    call.log_in()
    assert call("DELETE", f"/pairings/{pairing_id}").status == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/session"),
        ("DELETE", "/session"),
        ("GET", "/pairings"),
        ("POST", "/pairings"),
        ("GET", "/pairings/p"),
        ("DELETE", "/pairings/p"),
        ("POST", "/pairings/p/remote-session"),
        ("GET", "/pairings/p/remote-session"),
        ("GET", "/tasks"),
        ("GET", "/tasks/t"),
    ],
)
@pytest.mark.parametrize("session", ["", "wrong"])
def test_nothing_is_answered_without_a_session(
    simulator: VmwareSrmSimulator, method: str, path: str, session: str
) -> None:
    caller = Caller(simulator)
    caller.session = session
    answer = caller(method, path, login=caller.peer)
    assert (answer.status, answer.body) == (401, b"")
    assert "content-type" not in answer.headers


# The other site.


def test_a_pairing_is_deleted_after_a_login_at_the_other_site_only(call: Caller, simulator: VmwareSrmSimulator) -> None:
    first, second = simulator.pair(), simulator.pair("vc-c.example")
    answer = call("DELETE", f"/pairings/{first}")
    assert (answer.status, answer.body) == (401, b"")
    assert call("POST", f"/pairings/{first}/remote-session", login=call.local).status == 401
    assert call("POST", f"/pairings/{first}/remote-session").status == 401
    assert call("POST", f"/pairings/{first}/remote-session", login=call.peer).status == 204
    assert call("DELETE", f"/pairings/{second}").status == 401
    assert call("DELETE", f"/pairings/{first}").status == 202


def test_the_login_at_the_other_site_can_be_made_needless(call: Caller, simulator: VmwareSrmSimulator) -> None:
    simulator.set("require_peer_login", "false")
    assert call("DELETE", f"/pairings/{simulator.pair()}").status == 202


# Tasks and their life.

TASK_FIELDS = {
    "id",
    "status",
    "description",
    "description_id",
    "entity",
    "entity_name",
    "progress",
    "queued_time",
}


def test_a_task_is_born_queued_and_bare(call: Caller, simulator: VmwareSrmSimulator) -> None:
    pairing_id = simulator.pair()
    task = call.delete(pairing_id)
    assert set(task) == TASK_FIELDS
    assert (task["status"], task["progress"], task["entity"]) == ("QUEUED", 0, pairing_id)
    assert task["entity_name"] == "vc-b.example"
    assert task["queued_time"] == simulator.now_ms()


def test_a_task_lives_by_the_clock(call: Caller, simulator: VmwareSrmSimulator) -> None:
    task = call.delete(simulator.pair())
    born = task["queued_time"]
    seen = []
    for _ in range(12):
        now = call.json("GET", f"/tasks/{task['id']}")
        seen.append((now["status"], now["progress"]))
        simulator.clock.sleep(1.0)
    assert seen == [
        ("QUEUED", 0),
        ("QUEUED", 0),
        ("RUNNING", 0),
        ("RUNNING", 12),
        ("RUNNING", 25),
        ("RUNNING", 37),
        ("RUNNING", 50),
        ("RUNNING", 62),
        ("RUNNING", 75),
        ("RUNNING", 87),
        ("SUCCESS", 100),
        ("SUCCESS", 100),
    ]
    assert set(now) == TASK_FIELDS | {"start_time", "complete_time", "_meta"}
    assert (now["start_time"] - born, now["complete_time"] - born) == (2000, 10000)
    assert now["_meta"] == {"errors": []}


def test_a_pairing_is_there_until_its_deletion_is_done(call: Caller, simulator: VmwareSrmSimulator) -> None:
    pairing_id = simulator.pair()
    call.delete(pairing_id)
    simulator.clock.sleep(9.9)
    assert simulator.has_pairing(pairing_id)
    assert call("GET", f"/pairings/{pairing_id}").status == 200
    simulator.clock.sleep(0.1)
    assert not simulator.has_pairing(pairing_id)
    answer = call("GET", f"/pairings/{pairing_id}")
    assert (answer.status, answer.body) == (404, b"")


def test_a_pairing_is_there_once_its_creation_is_done(call: Caller, simulator: VmwareSrmSimulator) -> None:
    task = call.json("POST", "/pairings", SPEC, status=202)
    assert call.json("GET", "/pairings")["list"] == []
    simulator.clock.sleep(10)
    (pairing,) = call.json("GET", "/pairings")["list"]
    done = call.json("GET", f"/tasks/{task['id']}")
    assert done["result"] == {"pairing_id": pairing["pairing_id"]}
    assert (pairing["remote_vc_server"]["id"], pairing["remote_vc_server"]["name"]) == ("guid-b", "vc-b.example")
    assert call.json("GET", f"/pairings/{pairing['pairing_id']}") == {**pairing, "_meta": {"errors": []}}


def test_a_pairing_has_four_servers_and_no_status(call: Caller, simulator: VmwareSrmSimulator) -> None:
    pairing_id = simulator.pair("vc-north.example")
    pairing = call.json("GET", f"/pairings/{pairing_id}")
    servers = ["local_vc_server", "remote_vc_server", "local_srm_server", "remote_srm_server"]
    assert set(pairing) == {"pairing_id", "_meta", *servers}
    for name in servers:
        assert set(pairing[name]) == {"id", "url", "name", "server_status", "version"}
        assert pairing[name]["server_status"] == "OK"
    assert len({pairing[name]["id"] for name in servers}) == 4


@pytest.mark.parametrize(
    ("control", "value", "status", "progress"),
    [("fail", "It broke.", "ERROR", 99), ("cancel", "true", "CANCELLED", 99)],
)
def test_tasks_can_end_badly(
    call: Caller, simulator: VmwareSrmSimulator, control: str, value: str, status: str, progress: int
) -> None:
    pairing_id = simulator.pair()
    simulator.set(control, value)
    task = call.delete(pairing_id)
    simulator.clock.sleep(10)
    ended = call.json("GET", f"/tasks/{task['id']}")
    assert (ended["status"], ended["progress"]) == (status, progress)
    assert ended.get("error") == ({"message": "It broke.", "details": "simulated"} if control == "fail" else None)
    assert "complete_time" in ended
    assert "result" not in ended
    assert simulator.has_pairing(pairing_id)


def test_a_login_that_the_remote_site_refuses_fails_the_task(call: Caller, simulator: VmwareSrmSimulator) -> None:
    spec = {**SPEC, "pair_psc_info": {**SPEC["pair_psc_info"], "password": "wrong-2231"}}  # type: ignore[dict-item]
    task = call.json("POST", "/pairings", spec, status=202)
    simulator.clock.sleep(10)
    ended = call.json("GET", f"/tasks/{task['id']}")
    assert ended["status"] == "ERROR"
    assert "wrong-2231" not in json.dumps(ended)
    assert call.json("GET", "/pairings")["list"] == []


def test_the_second_of_two_deletions_fails_as_a_task(call: Caller, simulator: VmwareSrmSimulator) -> None:
    pairing_id = simulator.pair()
    call.delete(pairing_id)
    second = call.delete(pairing_id)
    simulator.clock.sleep(10)
    ended = call.json("GET", f"/tasks/{second['id']}")
    assert (ended["status"], ended["error"]["message"]) == ("ERROR", "The pairing does not exist.")


def test_a_task_of_no_time_is_done_at_once(call: Caller, simulator: VmwareSrmSimulator) -> None:
    simulator.set("task_seconds", "0")
    assert call.delete(simulator.pair())["status"] == "SUCCESS"


def test_forgotten_tasks_were_carried_out_if_they_were_due(call: Caller, simulator: VmwareSrmSimulator) -> None:
    due, early = simulator.pair(), simulator.pair()
    first = call.delete(due)
    simulator.clock.sleep(10)
    second = call.delete(early)
    simulator.forget_tasks()
    for task in (first, second):
        answer = call("GET", f"/tasks/{task['id']}")
        assert (answer.status, answer.body) == (404, b"")
    assert (simulator.has_pairing(due), simulator.has_pairing(early)) == (False, True)
    assert call.json("GET", "/tasks")["list"] == []


def test_times_can_come_as_text(call: Caller, simulator: VmwareSrmSimulator) -> None:
    simulator.set("times_as_text", "yes")
    task = call.delete(simulator.pair())
    simulator.clock.sleep(10)
    ended = call.json("GET", f"/tasks/{task['id']}")
    assert ended["queued_time"] == task["queued_time"] == str(int(simulator.clock.now().timestamp() - 10) * 1000)
    assert {type(ended[name]) for name in ("queued_time", "start_time", "complete_time")} == {str}


# Refusals.


@pytest.mark.parametrize(("method", "body"), [("POST", SPEC), ("DELETE", None)])
def test_a_denied_privilege_is_a_403_with_the_documented_body(
    call: Caller, simulator: VmwareSrmSimulator, method: str, body: Any
) -> None:
    pairing_id = simulator.pair()
    simulator.set("deny", EDIT)
    error = call.json(method, "/pairings" if body else f"/pairings/{pairing_id}", body, status=403)
    assert set(error) == {"error_code", "message", "op_id"}
    assert EDIT in error["message"]
    assert call.json("GET", f"/pairings/{pairing_id}")["pairing_id"] == pairing_id
    simulator.set("deny", "Something.Else")
    assert call("POST", "/pairings", SPEC).status == 202


@pytest.mark.parametrize(
    "path", ["/pairings/none", "/pairings/none/remote-session", "/tasks/none", "/nothing", "/pairings/a/b/c", ""]
)
def test_what_is_not_there_is_a_404_without_a_body(call: Caller, path: str) -> None:
    answer = call("GET", path)
    assert (answer.status, answer.body) == (404, b"")
    assert "content-type" not in answer.headers


def test_an_id_may_hold_anything_when_it_is_encoded(call: Caller, simulator: VmwareSrmSimulator) -> None:
    assert call("GET", f"/pairings/{simulator.pair()}%2Fremote-session").status == 404
    assert call("GET", "/pairings/..%2Ftasks").status == 404
    assert simulator.journal[-1].path == f"{BASE}/pairings/..%2Ftasks"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 100_000,
        {},
        {**SPEC, "pair_vc_guid": None},
        {**SPEC, "pair_psc_info": None},
        {**SPEC, "pair_psc_info": {}},
        {**SPEC, "pair_psc_info": {**SPEC["pair_psc_info"], "port": 0}},  # type: ignore[dict-item]
        {**SPEC, "pair_psc_info": {**SPEC["pair_psc_info"], "port": "x"}},  # type: ignore[dict-item]
        {**SPEC, "surplus": 1},
    ],
    ids=lambda body: str(body)[:30],
)
def test_a_wrong_specification_is_a_400_with_the_documented_body(call: Caller, body: Any) -> None:
    error = call.json("POST", "/pairings", body, status=400)
    assert set(error) == {"error_code", "message", "op_id"}
    assert CREDENTIALS["peer_password"] not in json.dumps(error)
    assert call.json("GET", "/tasks")["list"] == []


# Lists.


@pytest.mark.parametrize("resource", ["pairings", "tasks"])
def test_lists_come_in_pages(call: Caller, simulator: VmwareSrmSimulator, resource: str) -> None:
    name = {"pairings": "pairing_id", "tasks": "id"}[resource]
    if resource == "pairings":
        ids = [simulator.pair() for _ in range(120)]
    else:
        ids = [call.json("POST", "/pairings", SPEC, status=202)["id"] for _ in range(120)]
    first = call.json("GET", f"/{resource}")
    assert [item[name] for item in first["list"]] == ids[:100]
    assert (first["_meta"]["total"], first["_meta"]["offset"], first["_meta"]["limit"]) == (120, 0, 100)
    second = call.json("GET", f"/{resource}", limit=100, offset=100)
    assert [item[name] for item in second["list"]] == ids[100:]
    middle = call.json("GET", f"/{resource}", limit=7, offset=30)
    assert [item[name] for item in middle["list"]] == ids[30:37]
    assert (middle["_meta"]["total"], middle["_meta"]["offset"], middle["_meta"]["limit"]) == (120, 30, 7)
    assert middle["_meta"]["errors"] == []
    beyond = call.json("GET", f"/{resource}", limit=7, offset=500)
    assert (beyond["list"], beyond["_meta"]["total"]) == ([], 120)


def test_the_links_of_a_page_can_be_followed_as_they_are(call: Caller, simulator: VmwareSrmSimulator) -> None:
    """Clients use ``next.href`` as a whole URL; on the last page it is there, and null."""
    ids = [simulator.pair() for _ in range(5)]
    found: list[str] = []
    query: dict[str, Any] | None = {"limit": "2", "offset": "0"}
    while query:
        page = call.json("GET", "/pairings", **query)
        found += [item["pairing_id"] for item in page["list"]]
        links = page["_meta"]["links"]
        assert links["self"]["href"].startswith(f"{simulator.endpoint}{BASE}/pairings?")
        query = None
        if links["next"] is not None:
            parts = urlsplit(links["next"]["href"])
            assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{simulator.endpoint}{BASE}/pairings"
            query = dict(pair.split("=") for pair in parts.query.split("&"))
    assert found == ids


def test_a_page_links_to_itself_the_next_and_the_previous(call: Caller, simulator: VmwareSrmSimulator) -> None:
    for _ in range(3):
        simulator.pair()
    links = call.json("GET", "/pairings", limit=1, offset=1)["_meta"]["links"]
    assert set(links) == {"self", "next", "previous"}


@pytest.mark.parametrize("name", ["limit", "offset"])
@pytest.mark.parametrize("value", ["-1", "x", "", "1.5", "٣", "9" * 5000], ids=lambda value: value[:5])
def test_a_wrong_page_is_a_400(call: Caller, name: str, value: str) -> None:
    assert set(call.json("GET", "/pairings", status=400, **{name: value})) == {"error_code", "message", "op_id"}


# Controls, journal, faults, reset.


def test_controls_are_set_from_text_by_their_types(simulator: VmwareSrmSimulator) -> None:
    for name, text, value in (
        ("task_seconds", "2.5", 2.5),
        ("fail", "no", "no"),
        ("cancel", "true", True),
        ("require_peer_login", "No", False),
        ("session_seconds", "60", 60.0),
        ("deny", EDIT, EDIT),
        ("times_as_text", "1", True),
    ):
        simulator.set(name, text)
        assert getattr(simulator.controls, name) == value


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("task_seconds", "soon", "takes a float, not 'soon'"),
        ("cancel", "maybe", "takes a bool, not 'maybe'"),
        ("nothing", "1", "has no control 'nothing'; it has: task_seconds, fail"),
    ],
)
def test_a_wrong_control_is_refused(simulator: VmwareSrmSimulator, name: str, value: str, message: str) -> None:
    with pytest.raises(mc.ConfigurationError, match=message):
        simulator.set(name, value)


def test_controls_are_given_at_the_start_too() -> None:
    simulator = VmwareSrmSimulator(task_seconds=3.0, fail="no")
    assert (simulator.controls.task_seconds, simulator.controls.fail) == (3.0, "no")


def test_its_credentials_are_named_as_the_settings(simulator: VmwareSrmSimulator) -> None:
    assert set(simulator.credentials) == {"username", "password", "peer_username", "peer_password"}
    door = {"endpoint", "transport"}
    assert set(simulator.settings()) == set(simulator.settings("both")) == door | set(simulator.credentials)
    assert set(simulator.settings("local")) == door | {"username", "password"}


def test_reset_forgets_all_but_the_controls_and_repeats_its_ids() -> None:
    simulator = VmwareSrmSimulator(clock=VirtualClock(), seed=7, task_seconds=5.0)
    call = Caller(simulator)

    def live() -> list[str]:
        call.session = ""
        call.log_in()
        pairing_id = simulator.pair()
        return [call.session, pairing_id, call.delete(pairing_id)["id"]]

    first = live()
    simulator.faults.answer(500, times=99)
    simulator.reset()
    assert simulator.journal == []
    assert call("GET", "/session").status == 401
    assert not simulator.has_pairing(first[1])
    simulator.reset()
    assert live() == first
    assert simulator.controls.task_seconds == 5.0
    assert VmwareSrmSimulator(seed=8).pair() != VmwareSrmSimulator(seed=7).pair()


def test_the_journal_has_what_was_received(call: Caller, simulator: VmwareSrmSimulator) -> None:
    call("GET", "/pairings", limit="5", offset="10")
    call("POST", "/pairings", SPEC)
    listed, created = simulator.journal
    assert (listed.method, listed.path, listed.status) == ("GET", f"{BASE}/pairings", 200)
    assert listed.query == (("limit", "5"), ("offset", "10"))
    assert listed.headers["x-dr-session"] == call.session
    assert json.loads(created.body) == SPEC
    assert CREDENTIALS["peer_password"] not in repr(created)
    assert call.session not in repr(created)


def test_planned_answers_come_before_or_after_the_effect(call: Caller, simulator: VmwareSrmSimulator) -> None:
    simulator.faults.answer(500, "lost", method="POST", path="/pairings")
    simulator.faults.answer(502, "late", method="POST", path="/pairings", after=True, headers={"x-y": "z"})
    assert call("POST", "/pairings", SPEC).body == b"lost"
    assert call.json("GET", "/tasks")["list"] == []
    answer = call("POST", "/pairings", SPEC)
    assert (answer.status, answer.body, answer.headers["x-y"]) == (502, b"late", "z")
    assert len(call.json("GET", "/tasks")["list"]) == 1
    assert call("POST", "/pairings", SPEC).status == 202
    assert [entry.status for entry in simulator.journal if entry.method == "POST"] == [500, 502, 202]


def test_it_tells_the_time_of_its_clock(simulator: VmwareSrmSimulator) -> None:
    assert datetime.fromtimestamp(simulator.now_ms() / 1000, tz=simulator.clock.now().tzinfo) == simulator.clock.now()


def test_any_http_client_can_speak_to_it(simulator: VmwareSrmSimulator) -> None:
    pairing_id = simulator.pair()
    before = simulator.endpoint
    with serve(simulator) as endpoint:
        assert simulator.settings()["endpoint"] == endpoint
        connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=20)
        login = f"basic {encoded('username', 'password')}"
        connection.request("POST", f"{BASE}/session", headers={"authorization": login})
        session = json.loads(connection.getresponse().read())["session_id"]
        connection.request("GET", f"{BASE}/pairings/{pairing_id}", headers={"x-dr-session": session})
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["pairing_id"]) == (200, pairing_id)
        connection.request("GET", f"{BASE}/nothing")
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (404, b"")
        connection.close()
    assert simulator.endpoint == before
