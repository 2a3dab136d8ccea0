"""A vendor, or a proxy before it, may quote the request in its refusal: no error of ours repeats a secret of it."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

import migrate_core as mc
from migrate_core.testing import Simulator, VirtualClock, new_simulator
from support import Caller

PEER = 'canary "peer" pässword'


def refused(caller: Caller, simulator: Simulator, client: Any, call: Any, echo: str) -> str:
    """Let the vendor refuse a call and quote `echo`; gives all that is to be seen of the error."""
    body = {"error_code": "X.1", "error_msg": f"refused: {echo}", "error_param": [echo], "message": echo}
    simulator.faults.answer(400, json.dumps(body), headers={"X-Request-Id": echo.encode("ascii", "replace").decode()})
    with pytest.raises(mc.ApiError) as raised:
        caller(call())
    error = raised.value
    return f"{error} {error!r} {error.details} {error.request_id} {error.message}"


@pytest.mark.parametrize("kind", ["token", "key", "login"])
def test_no_credentials_of_huawei_cloud_come_back(kind: str, caller: Caller, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    simulator = new_simulator("huawei_sms", clock=VirtualClock())
    settings = simulator.settings(kind)
    client = caller.connect("huawei_sms", clock=simulator.clock, **settings)
    caller.list(client.sources.list())
    sent = simulator.journal[-1].headers
    secrets = [settings[name] for name in ("token", "secret_key", "password") if name in settings]
    secrets += [sent["x-auth-token"]] if "x-auth-token" in sent else []
    assert secrets
    for secret in secrets:
        seen = refused(caller, simulator, client, lambda: client.sources.describe("s-1"), secret)
        assert "refused: ***" in seen
        assert secret not in seen + caplog.text


def test_no_session_and_no_password_of_site_recovery_manager_come_back(caller: Caller) -> None:
    simulator = new_simulator("vmware_srm", clock=VirtualClock())
    client = caller.connect("vmware_srm", clock=simulator.clock, **simulator.settings())
    caller.list(client.pairings.list())
    session = simulator.journal[-1].headers["x-dr-session"]
    for secret in (session, simulator.credentials["password"], simulator.credentials["peer_password"]):
        assert secret not in refused(caller, simulator, client, lambda: client.pairings.describe("p-1"), secret)


@pytest.mark.parametrize(
    "form",
    [PEER, json.dumps(PEER)[1:-1], json.dumps(PEER, ensure_ascii=False)[1:-1]],
    ids=["as it is", "as JSON has it", "as our JSON has it"],
)
def test_the_password_of_a_new_pairing_does_not_come_back(form: str, caller: Caller) -> None:
    simulator = new_simulator("vmware_srm", clock=VirtualClock())
    client = caller.connect("vmware_srm", clock=simulator.clock, **simulator.settings())
    details = {"pair_vc_guid": "g"}
    spec = mc.PairingSpec(remote_url="b.example", remote_username="u", remote_password=PEER, details=details)
    caller.list(client.pairings.list())
    assert "canary" not in refused(caller, simulator, client, lambda: client.pairings.create(spec), form)


def test_a_short_secret_does_not_garble_what_is_said(caller: Caller) -> None:
    simulator = new_simulator("huawei_sms", clock=VirtualClock())
    client = caller.connect(
        "huawei_sms",
        clock=simulator.clock,
        endpoint=simulator.endpoint,
        token="e",
        transport=simulator.settings()["transport"],
    )
    assert "refused: the reason" in refused(
        caller, simulator, client, lambda: client.sources.describe("s-1"), "the reason"
    )
