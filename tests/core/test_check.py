"""Trying a connection: what is said of each thing, and that nothing is changed."""

from __future__ import annotations

import json
from typing import Any

import pytest

import migrate_core as mc
from migrate_core.provider import CredentialsRenewed, Response
from migrate_core.testing import Simulator, VirtualClock, new_simulator
from migrate_vmware_srm import VmwareSrmProvider
from migrate_vmware_srm.provider import VmwareSrmSettings
from support import Caller

OK, ERROR = mc.CheckResult.OK, mc.CheckResult.ERROR


def checked(caller: Caller, simulator: Simulator, **settings: Any) -> dict[str, mc.Check]:
    client = caller.connect(simulator.name, clock=simulator.clock, **{**simulator.settings(), **settings})
    return {check.name: check for check in caller(client.check())}


def srm(**controls: Any) -> Any:
    return new_simulator("vmware_srm", clock=VirtualClock(), **controls)


def methods(simulator: Simulator) -> set[str]:
    return {entry.method for entry in simulator.journal if not entry.path.endswith("session")}


def test_all_that_a_provider_lists_is_tried(caller: Caller) -> None:
    simulator = new_simulator("huawei_sms", clock=VirtualClock())
    checks = checked(caller, simulator)
    assert {name: check.result for name, check in checks.items()} == {"list_sources": OK}
    assert methods(simulator) <= {"GET"}


def test_the_login_at_the_other_site_is_tried_on_a_pairing(caller: Caller) -> None:
    simulator = srm()
    pairing_id = simulator.pair()
    checks = checked(caller, simulator)
    assert {name: check.result for name, check in checks.items()} == {
        "list_pairings": OK,
        "list_tasks": OK,
        "peer_login": OK,
    }
    assert methods(simulator) == {"GET"}
    assert simulator.has_pairing(pairing_id)


def test_a_refused_login_at_the_other_site_is_an_error_of_its_own(caller: Caller) -> None:
    simulator = srm()
    simulator.pair()
    checks = checked(caller, simulator, peer_password="wrong")
    assert (checks["list_tasks"].result, checks["peer_login"].result) == (OK, ERROR)
    assert checks["peer_login"].code == "AuthenticationError"
    assert "wrong" not in checks["peer_login"].message


def test_a_login_that_nothing_can_be_tried_on_is_unknown(caller: Caller) -> None:
    assert checked(caller, srm())["peer_login"].result is mc.CheckResult.UNKNOWN


def test_a_login_at_the_other_site_that_is_not_set_is_a_warning(caller: Caller) -> None:
    check = checked(caller, srm(), peer_username=None, peer_password=None)["peer_login"]
    assert check.result is mc.CheckResult.WARN
    assert "peer_password" in check.message


def test_a_refused_login_is_said_once_and_not_tried_again(caller: Caller) -> None:
    simulator = srm()
    checks = checked(caller, simulator, password="wrong")
    assert {name: (check.result, check.code) for name, check in checks.items()} == {
        "list_pairings": (ERROR, "AuthenticationError")
    }
    assert [entry.path.rpartition("/")[2] for entry in simulator.journal] == ["session"]


def test_what_is_not_allowed_is_said_besides_what_is(caller: Caller) -> None:
    simulator = new_simulator("huawei_sms", clock=VirtualClock(), deny="sms:server:list")
    (check,) = checked(caller, simulator).values()
    assert (check.result, check.code) == (ERROR, "PermissionDeniedError")


def test_a_silent_vendor_is_an_error_and_no_exception(caller: Caller) -> None:
    client = caller.connect("huawei_sms", endpoint="http://127.0.0.1:1", token="t", timeout=2)
    (check,) = caller(client.check())
    assert (check.result, check.code) == (ERROR, "RequestNotSentError")


def test_a_session_that_ends_while_the_other_login_is_tried_is_not_that_logins_fault() -> None:
    simulator = srm()
    simulator.pair()
    flow = VmwareSrmProvider(VmwareSrmSettings(**simulator.settings())).check_logins()
    listed = Response(status=200, body=json.dumps({"list": [{"pairing_id": "p-1"}], "_meta": {}}).encode())
    refused = mc.AuthenticationError("", provider="vmware_srm", status=401)
    assert next(flow).target.startswith("/api/rest/srm/v2/pairings?")
    assert flow.send(listed).path.endswith("/pairings/p-1/remote-session")
    assert flow.throw(refused).renew == "restart"
    assert flow.throw(CredentialsRenewed()).target.startswith("/api/rest/srm/v2/pairings?")
    assert flow.send(listed).path.endswith("/remote-session")
    with pytest.raises(StopIteration) as stopped:
        flow.send(Response(status=204))
    assert [check.result for check in stopped.value.value] == [OK]
