"""What driving the simulators has found, each as the smallest request that shows it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
import requests

from fuzz.conformity import answered, signed
from migrate_core.testing import Simulator, VirtualClock, new_simulator
from migrate_huawei_sms.auth import ALGORITHM, DATE_FORMAT


def ask(
    simulator: Simulator, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
) -> tuple[int, Any]:
    """Ask a simulator; gives the status, and the body read as JSON."""
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    request = requests.Request(method, simulator.endpoint + path, data=content).prepare()
    request.headers.update(headers or {})
    response = asyncio.run(answered(simulator, request))
    return response.status_code, json.loads(response.content or b"null")


@pytest.fixture
def huawei() -> Simulator:
    return new_simulator("huawei_sms", clock=VirtualClock())


@pytest.fixture
def site() -> Simulator:
    return new_simulator("vmware_srm", clock=VirtualClock())


@pytest.fixture
def aws() -> Simulator:
    return new_simulator("aws_mgn", clock=VirtualClock())


def token(simulator: Simulator) -> Mapping[str, str]:
    return {"X-Auth-Token": simulator.credentials["token"]}


def test_a_signature_that_is_no_ascii_is_refused_by_huawei_cloud(huawei: Simulator) -> None:
    access = huawei.credentials["access_key"]
    headers = {
        "Authorization": f"{ALGORITHM} Access={access}, SignedHeaders=x-sdk-date, Signature=é",
        "X-Sdk-Date": huawei.clock.now().strftime(DATE_FORMAT),
    }
    assert ask(huawei, "GET", "/v3/sources", headers=headers)[0] == 401


def test_a_signature_that_is_no_ascii_is_refused_by_aws(aws: Simulator) -> None:
    request = requests.Request("POST", f"{aws.endpoint}/DescribeJobs", data=b"{}").prepare()
    request.headers.update(asyncio.run(signed(aws, request)))
    request.headers["Authorization"] = f"{request.headers['Authorization'][:-1]}é"
    assert asyncio.run(answered(aws, request)).status_code == 403


def test_a_login_that_is_no_base64_is_refused(site: Simulator) -> None:
    headers = {"Authorization": "Basic é"}
    assert ask(site, "POST", "/api/rest/srm/v2/session", headers=headers) == (401, None)


def test_a_limit_of_thousands_of_digits_is_none(huawei: Simulator) -> None:
    huawei.add_sources(1)
    status, page = ask(huawei, "GET", f"/v3/sources?limit={'9' * 5000}", headers=token(huawei))
    assert (status, len(page["source_servers"])) == (200, 1)


HALF = b'{"name": "\\ud800"}'


def test_half_a_character_is_refused_and_not_kept(huawei: Simulator, site: Simulator) -> None:
    assert ask(huawei, "POST", "/v3/sources", HALF, token(huawei))[0] == 400
    session = {"x-dr-session": session_of(site)}
    assert ask(site, "POST", "/api/rest/srm/v2/pairings", HALF, session)[0] == 400


def session_of(site: Simulator) -> str:
    basic = requests.auth._basic_auth_str(site.credentials["username"], site.credentials["password"])
    _, session = ask(site, "POST", "/api/rest/srm/v2/session", headers={"Authorization": basic})
    identity: str = session["session_id"]
    return identity


@pytest.mark.parametrize(
    "document",
    [{"name": "x" * 256}, {"cpu_quantity": 65536}, {"memory": -1}, {"networks": [{"name": "eth0"}]}],
    ids=["a long name", "many processors", "a negative size", "what lacks something"],
)
def test_what_the_tables_do_not_allow_is_not_registered(document: Any, huawei: Simulator) -> None:
    status, refusal = ask(huawei, "POST", "/v3/sources", document, token(huawei))
    assert (status, refusal["error_code"]) == (400, "SMS.6201")


def test_a_check_says_no_more_than_fits_its_field(huawei: Simulator) -> None:
    volumes = [{"file_system": f"{number:04}-strange"} for number in range(100)]
    disk = {"name": "a", "device_use": "OS", "size": 1, "used_size": 1, "physical_volumes": volumes}
    status, made = ask(huawei, "POST", "/v3/sources", {"name": "a", "disks": [disk]}, token(huawei))
    assert status == 200
    _, source = ask(huawei, "GET", f"/v3/sources/{made['id']}", headers=token(huawei))
    assert max(len(check.get("error_or_warn", "")) for check in source["checks"]) == 255


def test_the_sum_of_huge_sizes_fits_its_field(huawei: Simulator) -> None:
    huawei.controls.start_migration = True
    volume = {"used_size": 2**63 - 1}
    disk = {"name": "a", "device_use": "OS", "size": 1, "used_size": 1, "physical_volumes": [volume, volume]}
    _, made = ask(huawei, "POST", "/v3/sources", {"name": "a", "disks": [disk]}, token(huawei))
    _, source = ask(huawei, "GET", f"/v3/sources/{made['id']}", headers=token(huawei))
    assert source["totalsize"] == 2**63 - 1


@pytest.mark.parametrize(("action", "name"), [("DescribeSourceServers", "sourceServerIDs"), ("DescribeJobs", "jobIDs")])
def test_a_filter_that_is_no_list_is_refused(action: str, name: str, aws: Simulator) -> None:
    request = requests.Request("POST", f"{aws.endpoint}/{action}", data=f'{{"filters": {{"{name}": 5}}}}').prepare()
    request.headers.update(asyncio.run(signed(aws, request)))
    response = asyncio.run(answered(aws, request))
    assert (response.status_code, response.json()["reason"]) == (400, "fieldValidationFailed")
