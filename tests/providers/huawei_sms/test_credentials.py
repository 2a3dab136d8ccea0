"""Given tokens, fetched tokens, signed requests; when they are renewed and when not."""

from __future__ import annotations

import asyncio
import json
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import migrate_core as mc
from migrate_core.testing import VirtualClock, serve
from migrate_huawei_sms.simulator import HuaweiSmsSimulator
from support import Caller

MANY = 50


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
    user = {"name": "operator", "password": "simulated-password", "domain": {"name": "simulated-account"}}
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
    simulator.expire_tokens()
    caller.list(client.sources.list())
    assert [sent.status for sent in simulator.journal] == [201, 200, 401, 201, 200]


def test_a_change_that_was_refused_for_its_token_is_sent_again(caller: Caller, simulator: HuaweiSmsSimulator) -> None:
    client = connected(caller, simulator, "login")
    (source_id,) = simulator.add_sources(1)
    caller(client.sources.describe(source_id))
    simulator.expire_tokens()
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


def test_a_signature_of_another_time_is_refused(caller: Caller, simulator: HuaweiSmsSimulator) -> None:
    slow = VirtualClock()
    simulator.clock = VirtualClock()
    simulator.clock.advance(20 * 60)
    client = caller.connect("huawei_sms", clock=slow, **simulator.settings("key"))
    with pytest.raises(mc.AuthenticationError):
        caller.list(client.sources.list())


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


def refused_by_all(simulator: HuaweiSmsSimulator, kind: str) -> list[BaseException]:
    """Describe from many callers at once, with a wrong password; gives what each got."""
    settings = {**simulator.settings("login"), "password": "wrong-password"}
    if kind == "async":

        async def main() -> list[BaseException]:
            async with mc.connect_async("huawei_sms", **settings) as client:
                calls = (client.sources.describe("s") for _ in range(MANY))
                return await asyncio.gather(*calls, return_exceptions=True)  # type: ignore[return-value]

        return asyncio.run(main())

    barrier = threading.Barrier(MANY)
    with mc.connect("huawei_sms", **settings) as client, ThreadPoolExecutor(MANY) as pool:

        def call() -> BaseException:
            barrier.wait()
            with pytest.raises(mc.MigrateError) as raised:
                client.sources.describe("s")
            return raised.value

        return [future.result() for future in [pool.submit(call) for _ in range(MANY)]]


def test_a_refused_password_is_tried_once_for_all_tasks_that_wait() -> None:
    simulator = HuaweiSmsSimulator()
    with serve(simulator):
        errors = refused_by_all(simulator, "async")
    assert logins(simulator) == len(simulator.journal) == 1
    _all_refused(errors)


def test_a_refused_password_is_not_tried_by_each_thread() -> None:
    """A thread may arrive after the refusal, and then tries for itself; most arrive before."""
    simulator = HuaweiSmsSimulator()
    with serve(simulator):
        errors = refused_by_all(simulator, "sync")
    assert logins(simulator) == len(simulator.journal)
    assert logins(simulator) < MANY / 2
    _all_refused(errors)


def _all_refused(errors: list[BaseException]) -> None:
    assert len(errors) == MANY
    assert {type(error) for error in errors} == {mc.AuthenticationError}
    assert "operator of account simulated-account" in str(errors[0])
    assert not any("wrong-password" in "".join(traceback.format_exception(error)) for error in errors)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_one_login_serves_all_callers(kind: str) -> None:
    simulator = HuaweiSmsSimulator()
    (source_id,) = simulator.add_sources(1)
    with serve(simulator):
        settings = simulator.settings("login")
        if kind == "async":

            async def main() -> None:
                async with mc.connect_async("huawei_sms", **settings) as client:
                    await asyncio.gather(*(client.sources.describe(source_id) for _ in range(MANY)))

            asyncio.run(main())
        else:
            with mc.connect("huawei_sms", **settings) as client, ThreadPoolExecutor(MANY) as pool:
                list(pool.map(lambda _: client.sources.describe(source_id), range(MANY)))
    assert logins(simulator) == 1
    assert len(simulator.journal) == MANY + 1


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "MIGRATE_TOKEN"),
        ({"access_key": "AK"}, "secret_key; looked for .* MIGRATE_SECRET_KEY"),
        ({"username": "u", "password": "p"}, "domain_name"),
        ({"token": "t", "access_key": "AK", "secret_key": "SK"}, "one kind of credentials, not token and key"),
        ({"token": "t\n"}, "token has control characters"),
    ],
)
def test_wrong_or_missing_credentials_are_named_with_where_they_were_looked_for(
    settings: dict[str, str], said: str
) -> None:
    with pytest.raises(mc.ConfigurationError, match=said):
        mc.connect("huawei_sms", endpoint="https://sms.example", **settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "MIGRATE_ENDPOINT"),
        ({"region": "mars-1"}, "ap-southeast-3"),
        ({"endpoint": "http://sms.example"}, "plain HTTP"),
        ({"endpoint": "https://sms.example/v3"}, "scheme, host"),
        ({"endpoint": "https://user:pw@sms.example"}, "no user"),
    ],
)
def test_an_impossible_endpoint_is_refused(settings: dict[str, str], said: str) -> None:
    with pytest.raises(mc.ConfigurationError, match=said) as raised:
        mc.connect("huawei_sms", token="t", **settings)
    assert "pw" not in str(raised.value)


def test_settings_come_from_the_environment_and_a_named_kind_shuts_out_the_others(
    monkeypatch: pytest.MonkeyPatch, simulator: HuaweiSmsSimulator
) -> None:
    monkeypatch.setenv("MIGRATE_PROVIDER", "huawei-sms")
    monkeypatch.setenv("MIGRATE_REGION", "cn-north-4")
    monkeypatch.setenv("MIGRATE_TOKEN", simulator.credentials["token"])
    with mc.connect(clock=simulator.clock, transport=simulator.transport) as client:
        assert list(client.sources.list()) == []
    key = {name: simulator.credentials[name] for name in ("access_key", "secret_key")}
    with mc.connect(clock=simulator.clock, transport=simulator.transport, **key) as client:
        assert list(client.sources.list()) == []
    by_token, by_key = simulator.journal
    assert "x-auth-token" in by_token.headers
    assert "authorization" in by_key.headers
    assert by_key.headers["host"] == "sms.cn-north-4.myhuaweicloud.com"
