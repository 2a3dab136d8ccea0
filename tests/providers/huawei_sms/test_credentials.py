"""What each kind of credentials puts on the wire. `test_logins` has what goes wrong, and many callers at once."""

from __future__ import annotations

import json
import traceback
from typing import Any

import pytest

import migrate_core as mc
from migrate_core.testing import VirtualClock
from migrate_huawei_sms.simulator import HuaweiSmsSimulator
from support import Caller


def logins(simulator: HuaweiSmsSimulator) -> int:
    return sum(sent.path == "/v3/auth/tokens" for sent in simulator.journal)


def connected(caller: Caller, simulator: HuaweiSmsSimulator, kind: str, **changes: Any) -> Any:
    return caller.connect("huawei_sms", clock=simulator.clock, **{**simulator.settings(kind), **changes})


def test_a_token_is_fetched_with_the_users_login_and_used(caller: Caller, simulator: HuaweiSmsSimulator) -> None:
    client = connected(caller, simulator, "login")
    (source_id,) = simulator.add_sources(1)
    caller(client.sources.describe(source_id))
    caller(client.sources.describe(source_id))
    login, first, second = simulator.journal
    assert (login.method, login.path, login.query) == ("POST", "/v3/auth/tokens", (("nocatalog", "true"),))
    assert login.headers["content-type"] == "application/json;charset=utf8"
    assert "x-auth-token" not in login.headers
    password = simulator.credentials["password"]
    user = {"name": "operator", "password": password, "domain": {"name": "simulated-account"}}
    assert json.loads(login.body) == {
        "auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": "ap-southeast-3"}},
        }
    }
    assert first.headers["x-auth-token"] == second.headers["x-auth-token"] != ""


@pytest.mark.parametrize(
    ("changes", "scope"),
    [
        ({"project_id": "p-1"}, {"project": {"id": "p-1"}}),
        ({"project_name": "eu-west-101"}, {"project": {"name": "eu-west-101"}}),
        ({"project_name": None}, {"domain": {"name": "simulated-account"}}),
    ],
)
def test_the_scope_of_a_fetched_token_is_what_the_settings_name(
    caller: Caller, simulator: HuaweiSmsSimulator, changes: dict[str, Any], scope: dict[str, Any]
) -> None:
    caller.list(connected(caller, simulator, "login", **changes).sources.list())
    assert json.loads(simulator.journal[0].body)["auth"]["scope"] == scope


def test_a_token_is_renewed_before_it_expires(caller: Caller, simulator: HuaweiSmsSimulator) -> None:
    client = connected(caller, simulator, "login")
    assert isinstance(simulator.clock, VirtualClock)
    caller.list(client.sources.list())
    simulator.clock.advance(23 * 3600)
    caller.list(client.sources.list())
    assert logins(simulator) == 1
    simulator.clock.advance(3600 - 200)
    caller.list(client.sources.list())
    assert logins(simulator) == 2
    assert all(sent.status in (200, 201) for sent in simulator.journal)


def test_a_token_that_is_refused_is_renewed_once_and_the_request_repeated(
    caller: Caller, simulator: HuaweiSmsSimulator
) -> None:
    client = connected(caller, simulator, "login")
    caller.list(client.sources.list())
    simulator.expire_logins()
    caller.list(client.sources.list())
    assert [sent.status for sent in simulator.journal] == [201, 200, 401, 201, 200]


def test_a_change_that_was_refused_for_its_token_is_sent_again(caller: Caller, simulator: HuaweiSmsSimulator) -> None:
    client = connected(caller, simulator, "login")
    (source_id,) = simulator.add_sources(1)
    caller(client.sources.describe(source_id))
    simulator.expire_logins()
    assert caller(client.sources.delete(source_id)).done
    assert [sent.method for sent in simulator.journal] == ["POST", "GET", "DELETE", "POST", "DELETE"]


@pytest.mark.parametrize("kind", ["token", "key"])
def test_what_cannot_be_renewed_is_not_sent_again(caller: Caller, simulator: HuaweiSmsSimulator, kind: str) -> None:
    wrong = {"token": "wrong-token"} if kind == "token" else {"secret_key": "wrong-secret"}
    client = connected(caller, simulator, kind, **wrong)
    with pytest.raises(mc.AuthenticationError) as raised:
        caller.list(client.sources.list())
    assert raised.value.code == {"token": "APIGW.0307", "key": "APIGW.0301"}[kind]
    assert raised.value.request_id
    assert len(simulator.journal) == 1
    assert "wrong-" not in "".join(traceback.format_exception(raised.value))


def test_a_401_of_the_service_itself_is_no_reason_to_log_in(caller: Caller, simulator: HuaweiSmsSimulator) -> None:
    client = connected(caller, simulator, "login")
    simulator.faults.answer(401, '{"error_code": "SMS.2013", "error_msg": "exists"}', path="/sources")
    with pytest.raises(mc.ConflictError):
        caller.list(client.sources.list())
    assert logins(simulator) == 1


@pytest.mark.parametrize(
    ("scope", "header"),
    [
        ({"project_id": "p"}, {"x-project-id": "p"}),
        ({"domain_id": "d"}, {"x-domain-id": "d"}),
        ({"project_id": "p", "domain_id": "d"}, {"x-project-id": "p"}),
        ({}, {}),
    ],
)
def test_a_signed_call_names_its_scope_and_its_temporary_token(
    caller: Caller, simulator: HuaweiSmsSimulator, scope: dict[str, str], header: dict[str, str]
) -> None:
    client = connected(caller, simulator, "key", security_token="temporary", **scope)
    caller.list(client.sources.list())
    (sent,) = simulator.journal
    assert {name: sent.headers[name] for name in ("x-project-id", "x-domain-id") if name in sent.headers} == header
    assert sent.headers["x-security-token"] == "temporary"
    signed = sent.headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    assert {"host", "x-sdk-date", "x-security-token", *header} <= set(signed)
