"""Logins at the identity service, with the answers held back or odd; and where credentials come from."""

from __future__ import annotations

import asyncio
import json
import pickle
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import migrate_core as mc
from migrate_core.testing import VirtualClock
from migrate_huawei_sms import HuaweiSmsProvider, HuaweiSmsSettings
from migrate_huawei_sms.simulator import HuaweiSmsSimulator
from misbehaving import Conversation, Server, answer
from support import Caller, example

from .machines import linux

MANY = 50
WRONG = "wrong-password-7391"
WRONG_KEY = "wrong-key-4711"
REFUSED = {"error": {"code": 401, "message": "The username or password is wrong.", "title": "Unauthorized"}}
NEVER = {"error_code": "APIGW.0307", "error_msg": "The token must be updated.", "request_id": "r-307"}


def steps(simulator: HuaweiSmsSimulator) -> list[str]:
    """The requests so far, short: method, the end of the path, status."""
    return [f"{entry.method} {entry.path.rpartition('/')[2]} {entry.status}" for entry in simulator.journal]


def connect(caller: Caller, simulator: HuaweiSmsSimulator, kind: str = "login", **settings: Any) -> Any:
    return caller.connect("huawei_sms", clock=simulator.clock, **{**simulator.settings(kind), **settings})


def texts_of(error: BaseException) -> str:
    """All that a log, a terminal or another process could get of an error, values of local variables included."""
    shown = [str(error), repr(error), *traceback.format_exception(error), repr(pickle.dumps(error))]
    shown += traceback.TracebackException.from_exception(error, capture_locals=True).format()
    return "\n".join(shown)


# One login for all who wait for it.


class RollCall(VirtualClock):
    """A clock for a client that notes when so many callers have asked for the time.

    The engine asks once a call has begun, before it looks for a login; so when all have asked, all are in.
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self.all_there = threading.Event()
        self._missing = count
        self._counting = threading.Lock()

    def now(self) -> datetime:
        with self._counting:
            self._missing -= 1
            if self._missing == 0:
                self.all_there.set()
        return super().now()


def together(kind: str, settings: dict[str, Any], clock: VirtualClock) -> list[Any]:
    """Describe a source from many callers at once; gives what each got or raised, and that of one who comes later."""

    async def run() -> list[Any]:
        async with mc.connect_async("huawei_sms", clock=clock, **settings) as client:
            calls = (client.sources.describe("s-1") for _ in range(MANY))
            results = await asyncio.gather(*calls, return_exceptions=True)
            return [*results, *await asyncio.gather(client.sources.describe("s-1"), return_exceptions=True)]

    if kind == "async":
        return asyncio.run(run())
    barrier = threading.Barrier(MANY)

    def call(describe: Callable[[str], mc.SourceServer], *, alone: bool = False) -> Any:
        if not alone:
            barrier.wait(20)
        try:
            return describe("s-1")
        except mc.MigrateError as error:
            return error

    with mc.connect("huawei_sms", clock=clock, **settings) as client, ThreadPoolExecutor(MANY) as pool:
        waiting = [pool.submit(call, client.sources.describe) for _ in range(MANY)]
        return [*(one.result(30) for one in waiting), call(client.sources.describe, alone=True)]


def identity_service(held: threading.Event, login: bytes) -> Callable[[Conversation], None]:
    """Answer each login once `held` is set, and everything else at once."""

    def script(conversation: Conversation) -> None:
        while True:
            if b"/v3/auth/tokens" in conversation.request().partition(b"\r\n")[0]:
                assert held.wait(20)
                conversation.send(login)
            else:
                conversation.send(answer({"id": "s-1", "name": "web-1"}))

    return script


def login_settings(server: Server, **changes: Any) -> dict[str, Any]:
    settings = {"domain_name": "account", "username": "operator", "password": WRONG, "trust_env": False}
    return {"endpoint": server.origin, "iam_endpoint": server.origin, **settings, **changes}


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_wrong_password_is_tried_once_for_all_who_wait_and_again_for_one_who_comes_later(kind: str) -> None:
    clock = RollCall(MANY)
    with Server(identity_service(clock.all_there, answer(REFUSED, "401 Unauthorized"))) as server:
        *errors, later = together(kind, login_settings(server), clock)
    assert server.lines == 2 * ["POST /v3/auth/tokens?nocatalog=true HTTP/1.1"]
    assert {type(error) for error in [*errors, later]} == {mc.AuthenticationError}
    assert len({id(error) for error in errors}) == MANY
    for error in (errors[0], errors[-1], later):
        assert (error.status, error.code) == (401, "401")
        assert error.operation is mc.Operation.DESCRIBE_SOURCE
        assert "operator of account account: The username or password is wrong." in str(error)
        assert WRONG not in texts_of(error)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_one_login_serves_all_who_wait_for_it(kind: str) -> None:
    clock = RollCall(MANY)
    login = answer({"token": {"expires_at": "2026-01-02T00:00:00Z"}}, "201 Created", "X-Subject-Token: token-1")
    with Server(identity_service(clock.all_there, login)) as server:
        sources = together(kind, login_settings(server), clock)
    assert {source.id for source in sources} == {"s-1"}
    assert sum("/v3/auth/tokens" in line for line in server.lines) == 1
    assert len(server.lines) == MANY + 2
    described = [request.lower() for request in server.requests if b"/v3/sources" in request]
    assert all(b"\r\nx-auth-token: token-1\r\n" in request for request in described)
    assert not any(WRONG.encode() in request for request in described)


def test_a_refused_login_shows_no_password_anywhere(caller: Caller, simulator: HuaweiSmsSimulator) -> None:
    client = connect(caller, simulator, password=WRONG)
    with pytest.raises(mc.AuthenticationError) as raised:
        caller.list(client.sources.list())
    assert steps(simulator) == ["POST tokens 401"]
    assert WRONG not in texts_of(raised.value)
    assert WRONG not in repr(client)
    assert raised.value.operation is mc.Operation.LIST_SOURCES


def test_a_refused_login_does_not_close_the_door_for_good(caller: Caller, simulator: HuaweiSmsSimulator) -> None:
    client = connect(caller, simulator)
    simulator.faults.answer(401, json.dumps(REFUSED), path="/auth/tokens")
    with pytest.raises(mc.AuthenticationError):
        caller.list(client.sources.list())
    assert caller.list(client.sources.list()) == []
    assert steps(simulator) == ["POST tokens 401", "POST tokens 201", "GET sources 200"]


def test_no_secret_is_in_the_repr_of_the_settings() -> None:
    secrets = {"token": "secret-1", "password": "secret-2", "secret_key": "secret-3", "security_token": "secret-4"}
    assert "secret-" not in repr(HuaweiSmsSettings(endpoint="https://sms.example", username="u", **secrets))


# When a token is renewed.


@pytest.mark.parametrize(("before_the_end", "logins"), [(301, 1), (300, 2), (0, 2), (-1, 2)])
def test_a_token_is_renewed_five_minutes_before_it_expires(
    caller: Caller, simulator: HuaweiSmsSimulator, before_the_end: int, logins: int
) -> None:
    client = connect(caller, simulator)
    caller.list(client.sources.list())
    assert isinstance(simulator.clock, VirtualClock)
    simulator.clock.advance(timedelta(hours=24).total_seconds() - before_the_end)
    caller.list(client.sources.list())
    renewal = ["POST tokens 201"] if logins == 2 else []
    assert steps(simulator) == ["POST tokens 201", "GET sources 200", *renewal, "GET sources 200"]


def test_a_service_that_refuses_each_new_token_is_asked_twice_only(
    caller: Caller, simulator: HuaweiSmsSimulator
) -> None:
    client = connect(caller, simulator)
    simulator.faults.answer(401, json.dumps(NEVER), path="/v3/sources", times=99)
    with pytest.raises(mc.AuthenticationError) as raised:
        caller(client.sources.describe("s-1"))
    assert steps(simulator) == ["POST tokens 201", "GET s-1 401", "POST tokens 201", "GET s-1 401"]
    assert (raised.value.code, raised.value.request_id) == ("APIGW.0307", "r-307")


def test_a_registration_whose_token_was_refused_is_sent_again_and_done_once(
    caller: Caller, simulator: HuaweiSmsSimulator
) -> None:
    client = connect(caller, simulator)
    caller.list(client.sources.list())
    simulator.expire_logins()
    source_id = caller(caller(client.sources.register(mc.SourceSpec(name="x", details=linux()))).wait())
    assert steps(simulator)[2:] == ["POST sources 401", "POST tokens 201", "POST sources 200"]
    refused, sent = simulator.journal[2], simulator.journal[4]
    assert refused.body == sent.body
    assert refused.headers["x-auth-token"] != sent.headers["x-auth-token"]
    assert [source.id for source in caller.list(client.sources.list())] == [source_id]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("SMS.2013", mc.ConflictError),
        ("SMS.2003", mc.InvalidRequestError),
        ("SMS.2005", mc.InvalidRequestError),
        ("SMS.0202", mc.InvalidRequestError),
    ],
)
def test_a_401_with_a_code_of_the_service_renews_nothing(
    caller: Caller, simulator: HuaweiSmsSimulator, code: str, expected: type[mc.ApiError]
) -> None:
    client = connect(caller, simulator)
    simulator.faults.answer(401, json.dumps({"error_code": code, "error_msg": "why"}), path="/v3/sources")
    with pytest.raises(mc.ApiError) as raised:
        caller(client.sources.delete("s-1"))
    assert type(raised.value) is expected
    assert raised.value.code == code
    assert steps(simulator) == ["POST tokens 201", "DELETE s-1 401"]


def test_a_refused_permission_renews_nothing(caller: Caller, simulator: HuaweiSmsSimulator) -> None:
    client = connect(caller, simulator)
    simulator.faults.answer(403, json.dumps(example("huawei_sms/error-403.json")), path="/v3/sources")
    with pytest.raises(mc.PermissionDeniedError):
        caller(client.sources.describe("s-1"))
    assert steps(simulator) == ["POST tokens 201", "GET s-1 403"]


@pytest.mark.parametrize("code", ["APIGW.0307", "APIGW.0301", "APIGW.0303", ""])
def test_a_given_token_that_is_refused_is_sent_once_and_the_error_says_why(
    caller: Caller, simulator: HuaweiSmsSimulator, code: str
) -> None:
    client = connect(caller, simulator, "token")
    body = {"error_code": code, "error_msg": "refused", "request_id": "r-1"}
    simulator.faults.answer(401, json.dumps(body), times=9)
    with pytest.raises(mc.AuthenticationError) as raised:
        caller(client.sources.delete("s-1"))
    error = raised.value
    assert (error.status, error.code, error.message, error.request_id) == (401, code, "refused", "r-1")
    assert error.operation is mc.Operation.DELETE_SOURCE
    assert steps(simulator) == ["DELETE s-1 401"]


# Odd answers to a login.


@pytest.mark.parametrize(
    "body",
    [
        "",
        "no JSON",
        "[]",
        '{"token": null}',
        '{"token": {"expires_at": 5}}',
        '{"token": {"expires_at": "soon"}}',
        '{"token": {"expires_at": null}}',
    ],
)
def test_a_token_whose_end_cannot_be_read_is_used_until_it_is_refused(
    caller: Caller, simulator: HuaweiSmsSimulator, body: str
) -> None:
    client = connect(caller, simulator)
    token = simulator.credentials["token"]
    simulator.faults.answer(201, body, headers={"X-Subject-Token": token}, path="/auth/tokens")
    caller.list(client.sources.list())
    assert isinstance(simulator.clock, VirtualClock)
    simulator.clock.advance(timedelta(days=400).total_seconds())
    caller.list(client.sources.list())
    assert steps(simulator) == ["POST tokens 201", "GET sources 200", "GET sources 200"]
    assert {entry.headers["x-auth-token"] for entry in simulator.journal[1:]} == {token}


@pytest.mark.parametrize(
    "end", ["2026-01-01T12:00:00.000000Z", "2026-01-01T12:00:00", "2026-01-01T13:00:00+01:00", "20260101T120000Z"]
)
def test_the_end_of_a_token_is_read_in_any_iso_form(caller: Caller, simulator: HuaweiSmsSimulator, end: str) -> None:
    client = connect(caller, simulator)
    token = {"X-Subject-Token": simulator.credentials["token"]}
    simulator.faults.answer(201, json.dumps({"token": {"expires_at": end}}), headers=token, path="/auth/tokens")
    assert simulator.clock.now() == datetime(2026, 1, 1, tzinfo=UTC)
    caller.list(client.sources.list())
    assert isinstance(simulator.clock, VirtualClock)
    simulator.clock.advance(timedelta(hours=11, minutes=54).total_seconds())
    caller.list(client.sources.list())
    simulator.clock.advance(timedelta(minutes=1).total_seconds())
    caller.list(client.sources.list())
    assert steps(simulator) == [
        "POST tokens 201",
        "GET sources 200",
        "GET sources 200",
        "POST tokens 201",
        "GET sources 200",
    ]


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (201, {}),
        (201, {"X-Subject-Token": ""}),
        (201, {"X-Subject-Token": "t\u00f6ken"}),
        (200, {"X-Subject-Token": "token"}),
    ],
    ids=["no token", "empty token", "no ASCII", "not created"],
)
def test_a_login_that_is_answered_without_a_usable_token_is_malformed(
    caller: Caller, simulator: HuaweiSmsSimulator, status: int, headers: dict[str, str]
) -> None:
    client = connect(caller, simulator)
    simulator.faults.answer(status, "{}", headers=headers, path="/auth/tokens")
    with pytest.raises(mc.MalformedResponseError):
        caller(client.sources.delete("s-1"))
    assert [entry.path for entry in simulator.journal] == ["/v3/auth/tokens"]


@pytest.mark.parametrize(
    ("status", "expected", "requests"),
    [
        (400, mc.InvalidRequestError, 1),
        (403, mc.PermissionDeniedError, 1),
        (404, mc.NotFoundError, 1),
        (429, mc.RateLimitedError, 3),
        (500, mc.ServerError, 3),
        (503, mc.ServerError, 3),
        (302, mc.ApiError, 1),
    ],
)
def test_a_login_that_fails_otherwise_fails_the_call_and_sends_no_more(
    caller: Caller, simulator: HuaweiSmsSimulator, status: int, expected: type[mc.ApiError], requests: int
) -> None:
    client = connect(caller, simulator, password=WRONG)
    body = json.dumps({"error": {"code": status, "message": "why", "title": "x"}})
    simulator.faults.answer(status, body, path="/auth/tokens", times=99)
    with pytest.raises(mc.ApiError) as raised:
        caller(client.sources.delete("s-1"))
    assert type(raised.value) is expected
    assert (raised.value.status, raised.value.code, raised.value.message) == (status, str(status), "why")
    assert raised.value.operation is mc.Operation.DELETE_SOURCE
    assert steps(simulator) == requests * [f"POST tokens {status}"]
    assert WRONG not in texts_of(raised.value)


def test_a_login_is_tried_again_while_the_identity_service_is_down(
    caller: Caller, simulator: HuaweiSmsSimulator
) -> None:
    client = connect(caller, simulator)
    simulator.faults.answer(503, path="/auth/tokens", times=2)
    assert caller.list(client.sources.list()) == []
    assert steps(simulator) == 2 * ["POST tokens 503"] + ["POST tokens 201", "GET sources 200"]


def test_a_password_with_anything_in_it_arrives_as_it_is(caller: Caller, simulator: HuaweiSmsSimulator) -> None:
    password = 'p"\\ü\N{SNOWMAN}/&%41'
    client = connect(caller, simulator, password=password)
    with pytest.raises(mc.AuthenticationError):
        caller.list(client.sources.list())
    user = json.loads(simulator.journal[0].body)["auth"]["identity"]["password"]["user"]
    assert user == {"name": "operator", "password": password, "domain": {"name": "simulated-account"}}
    assert password not in simulator.journal[0].path
    assert dict(simulator.journal[0].query) == {"nocatalog": "true"}


# Signing.


@pytest.mark.parametrize("wrong", ["access_key", "secret_key"])
def test_a_wrong_key_is_refused_and_not_shown(caller: Caller, simulator: HuaweiSmsSimulator, wrong: str) -> None:
    client = connect(caller, simulator, "key", **{wrong: WRONG_KEY})
    with pytest.raises(mc.AuthenticationError) as raised:
        caller(client.sources.describe("s-1"))
    assert (raised.value.status, raised.value.code) == (401, "APIGW.0301")
    assert steps(simulator) == ["GET s-1 401"]
    if wrong == "secret_key":
        assert WRONG_KEY not in texts_of(raised.value)


@pytest.mark.parametrize("minutes", [-20, 20])
def test_a_clock_that_is_wrong_by_twenty_minutes_is_refused(
    caller: Caller, simulator: HuaweiSmsSimulator, minutes: int
) -> None:
    wrong = VirtualClock(simulator.clock.now() + timedelta(minutes=minutes))
    client = caller.connect("huawei_sms", clock=wrong, **simulator.settings("key"))
    with pytest.raises(mc.AuthenticationError) as raised:
        caller.list(client.sources.list())
    assert raised.value.code == "APIGW.0301"
    assert len(simulator.journal) == 1


def test_each_request_is_signed_with_the_time_it_is_sent_at(caller: Caller, simulator: HuaweiSmsSimulator) -> None:
    client = connect(caller, simulator, "key")
    assert isinstance(simulator.clock, VirtualClock)
    caller.list(client.sources.list())
    simulator.clock.advance(3600)
    caller.list(client.sources.list())
    dates = [entry.headers["x-sdk-date"] for entry in simulator.journal]
    assert dates == ["20260101T000000Z", "20260101T010000Z"]


def test_a_request_that_is_sent_again_is_signed_again(caller: Caller, simulator: HuaweiSmsSimulator) -> None:
    client = connect(caller, simulator, "key")
    simulator.faults.answer(429, headers={"Retry-After": "20"})
    caller.list(client.sources.list())
    first, second = simulator.journal
    assert (first.headers["x-sdk-date"], second.headers["x-sdk-date"]) == ("20260101T000000Z", "20260101T000020Z")
    assert first.headers["authorization"] != second.headers["authorization"]
    assert second.status == 200


def test_a_key_needs_no_login_and_its_secrets_stay_here(caller: Caller, simulator: HuaweiSmsSimulator) -> None:
    client = connect(caller, simulator, "key")
    caller.list(client.sources.list())
    (entry,) = simulator.journal
    assert simulator.credentials["secret_key"] not in str(dict(entry.headers))
    assert "x-auth-token" not in entry.headers
    assert "x-security-token" not in entry.headers


@pytest.mark.parametrize("name", ["token", "access_key", "security_token"])
def test_a_credential_that_no_header_can_carry_is_refused_before_anything_is_sent(
    caller: Caller, simulator: HuaweiSmsSimulator, name: str
) -> None:
    client = connect(caller, simulator, "token" if name == "token" else "key", **{name: "s\u00e9cret-4711"})
    with pytest.raises(mc.InvalidArgumentError) as raised:
        caller.list(client.sources.list())
    assert simulator.journal == []
    assert "cret-4711" not in str(raised.value)


# Where credentials come from.

ALL = {
    "token": "MIGRATE_TOKEN",
    "domain_name": "MIGRATE_DOMAIN_NAME",
    "username": "MIGRATE_USERNAME",
    "password": "MIGRATE_PASSWORD",
    "access_key": "MIGRATE_ACCESS_KEY",
    "secret_key": "MIGRATE_SECRET_KEY",
}
KINDS: dict[str, dict[str, str]] = {
    "token": {"token": "t"},
    "login": {"domain_name": "d", "username": "u", "password": "p"},
    "key": {"access_key": "AK", "secret_key": "SK"},
}


def refused(**settings: Any) -> str:
    """Try to connect; give what is said against it."""
    connectors: list[Callable[..., Any]] = [mc.connect, mc.connect_async]
    said = set()
    for connect_with in connectors:
        with pytest.raises(mc.ConfigurationError) as raised:
            connect_with("huawei_sms", **{"endpoint": "https://sms.example", **settings})
        said.add(str(raised.value))
    (text,) = said
    return text


def test_without_credentials_all_places_are_named_that_were_looked_at() -> None:
    said = refused()
    assert "lacks credentials: token, or a login, or access_key and secret_key" in said
    for variable in ALL.values():
        assert variable in said


@pytest.mark.parametrize(
    ("kind", "missing"),
    [(kind, name) for kind in ("login", "key") for name in KINDS[kind]],
)
def test_half_a_kind_of_credentials_is_refused_with_what_is_missing(kind: str, missing: str) -> None:
    given = {name: value for name, value in KINDS[kind].items() if name != missing}
    said = refused(**given)
    assert f"huawei_sms lacks {missing};" in said
    assert ALL[missing] in said
    assert not any(variable in said for name, variable in ALL.items() if name != missing)


def test_everything_that_is_missing_is_named_at_once() -> None:
    said = refused(username="u")
    assert "lacks domain_name and password;" in said
    assert "MIGRATE_DOMAIN_NAME, MIGRATE_PASSWORD" in said


@pytest.mark.parametrize("kinds", [("token", "login"), ("token", "key"), ("login", "key"), ("token", "login", "key")])
def test_two_kinds_of_credentials_are_refused(kinds: tuple[str, ...]) -> None:
    given = {name: value for kind in kinds for name, value in KINDS[kind].items()}
    assert f"takes one kind of credentials, not {' and '.join(kinds)}:" in refused(**given)


def test_two_halves_are_two_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "not token and key" in refused(token="t", access_key="AK")
    monkeypatch.setenv("MIGRATE_TOKEN", "t")
    monkeypatch.setenv("MIGRATE_SECRET_KEY", "SK")
    assert "not token and key" in refused()


def into(monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"MIGRATE_{name.upper()}", str(value))


def credentials_sent(simulator: HuaweiSmsSimulator) -> str:
    """Tell which kind of credentials the requests had, and check that all were accepted."""
    assert {entry.status for entry in simulator.journal} <= {200, 201}
    entry = simulator.journal[-1]
    if "authorization" in entry.headers:
        return "key"
    return "token" if entry.headers["x-auth-token"] == simulator.credentials["token"] else "login"


@pytest.mark.parametrize("kind", ["token", "login", "key"])
def test_without_arguments_the_environment_is_used(
    monkeypatch: pytest.MonkeyPatch, caller: Caller, simulator: HuaweiSmsSimulator, kind: str
) -> None:
    settings = simulator.settings(kind)
    transport = settings.pop("transport")
    into(monkeypatch, settings)
    client = caller.connect("huawei_sms", clock=simulator.clock, transport=transport)
    caller.list(client.sources.list())
    assert credentials_sent(simulator) == kind


@pytest.mark.parametrize("kind", ["token", "login", "key"])
def test_a_kind_that_is_given_shuts_out_the_other_kinds_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, caller: Caller, simulator: HuaweiSmsSimulator, kind: str
) -> None:
    for other in KINDS:
        into(monkeypatch, {name: f"wrong-{value}" for name, value in KINDS[other].items() if other != kind})
    into(monkeypatch, {"security_token": "temporary"} if kind != "key" else {})
    client = connect(caller, simulator, kind)
    caller.list(client.sources.list())
    assert credentials_sent(simulator) == kind
    assert "x-security-token" not in simulator.journal[-1].headers


def test_a_kind_that_is_begun_by_argument_is_completed_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, caller: Caller, simulator: HuaweiSmsSimulator
) -> None:
    known = simulator.credentials
    into(monkeypatch, {"secret_key": known["secret_key"], "token": "wrong"})
    door = {"endpoint": simulator.endpoint, "transport": simulator.transport}
    client = caller.connect("huawei_sms", clock=simulator.clock, access_key=known["access_key"], **door)
    caller.list(client.sources.list())
    assert credentials_sent(simulator) == "key"


def test_an_argument_wins_over_the_environment(
    monkeypatch: pytest.MonkeyPatch, caller: Caller, simulator: HuaweiSmsSimulator
) -> None:
    into(monkeypatch, {"token": "wrong", "endpoint": "https://wrong.example", "timeout": "0.001"})
    client = connect(caller, simulator, "token", timeout=30)
    caller.list(client.sources.list())
    assert credentials_sent(simulator) == "token"


def test_an_empty_variable_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    into(monkeypatch, {"token": "", "access_key": ""})
    assert "lacks credentials" in refused()


def test_a_setting_that_would_be_ignored_is_refused() -> None:
    assert "security_token" in refused(token="t", security_token="temporary")


# Endpoints.


@pytest.mark.parametrize(
    ("region", "host", "identity"),
    [
        ("ap-southeast-3", "sms.ap-southeast-3.myhuaweicloud.com", "iam.ap-southeast-3.myhuaweicloud.com"),
        ("cn-north-4", "sms.cn-north-4.myhuaweicloud.com", "iam.cn-north-4.myhuaweicloud.com"),
        ("my-kualalumpur-1", "sms.my-kualalumpur-1.myhuaweicloud.com", "iam.my-kualalumpur-1.myhuaweicloud.com"),
        ("ru-moscow-1", "sms-api.ru-moscow-1.myhuaweicloud.com", "iam.ru-moscow-1.myhuaweicloud.com"),
    ],
)
def test_a_known_region_stands_for_its_endpoints(
    caller: Caller, simulator: HuaweiSmsSimulator, region: str, host: str, identity: str
) -> None:
    settings = simulator.settings("login")
    for name in ("endpoint", "iam_endpoint", "project_name"):
        del settings[name]
    client = caller.connect("huawei_sms", clock=simulator.clock, region=region, **settings)
    caller.list(client.sources.list())
    assert [entry.headers["host"] for entry in simulator.journal] == [identity, host]
    assert json.loads(simulator.journal[0].body)["auth"]["scope"] == {"project": {"name": region}}


@pytest.mark.parametrize(
    ("settings", "endpoints"),
    [
        (
            {"endpoint": "sms.cn-north-4.myhuaweicloud.com", "region": "ap-southeast-3"},
            {
                "main": "https://sms.cn-north-4.myhuaweicloud.com",
                "iam": "https://iam.ap-southeast-3.myhuaweicloud.com",
            },
        ),
        (
            {"endpoint": "https://sms.cn-north-4.myhuaweicloud.com:443/"},
            {"main": "https://sms.cn-north-4.myhuaweicloud.com", "iam": "https://iam.myhuaweicloud.com"},
        ),
        (
            {"endpoint": "https://sms.example", "iam_endpoint": "iam.example:8443"},
            {"main": "https://sms.example", "iam": "https://iam.example:8443"},
        ),
    ],
)
def test_an_endpoint_that_is_given_wins(settings: dict[str, str], endpoints: dict[str, str]) -> None:
    assert HuaweiSmsProvider(HuaweiSmsSettings(**settings, **KINDS["login"])).endpoints() == endpoints


@pytest.mark.parametrize(
    "endpoint",
    ["https://sms.example", "https://sms.myhuaweicloud.eu", "https://myhuaweicloud.com.example", "https://127.0.0.1"],
)
@pytest.mark.parametrize("region", [None, "cn-north-4"])
def test_a_password_goes_to_no_site_that_was_not_named(endpoint: str, region: str | None) -> None:
    said = refused(endpoint=endpoint, region=region, **KINDS["login"])
    assert "iam_endpoint" in said
    assert "MIGRATE_IAM_ENDPOINT" in said


def test_only_a_login_needs_the_identity_service() -> None:
    for kind in ("token", "key"):
        settings = HuaweiSmsSettings(endpoint="https://sms.example", iam_endpoint="http://iam.example", **KINDS[kind])
        assert HuaweiSmsProvider(settings).endpoints() == {"main": "https://sms.example"}


def test_an_unknown_region_is_refused_with_those_that_are_known() -> None:
    said = refused(endpoint=None, region="mars-1", token="t")
    assert "'mars-1'" in said
    for region in ("ap-southeast-3", "cn-north-4", "my-kualalumpur-1", "ru-moscow-1"):
        assert region in said


def test_without_an_endpoint_all_places_are_named_that_were_looked_at() -> None:
    said = refused(endpoint=None, token="t")
    for place in ("endpoint", "region", "MIGRATE_ENDPOINT", "MIGRATE_REGION"):
        assert place in said


@pytest.mark.parametrize(
    "settings",
    [
        {"endpoint": "http://sms.example", **KINDS["token"]},
        {"endpoint": "HTTP://192.0.2.1:8080", **KINDS["key"]},
        {"endpoint": "http://127.0.0.1.example", **KINDS["token"]},
        {"iam_endpoint": "http://iam.example", **KINDS["login"]},
    ],
)
def test_plain_http_to_another_machine_is_refused(settings: dict[str, Any]) -> None:
    assert "plain HTTP" in refused(**settings)


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "[::1]:1"])
def test_plain_http_to_this_machine_is_allowed(host: str) -> None:
    with mc.connect("huawei_sms", endpoint=f"http://{host}", token="t", trust_env=False) as client:
        assert client.provider == "huawei_sms"
