"""The simulator: it answers as the vendor's pages say, and what it finds follows from what it was told."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, timedelta
from typing import Any

import attrs
import pytest

import migrate_core as mc
from migrate_core.clock import Deadline
from migrate_core.documents import encode
from migrate_core.provider import Request, Response
from migrate_core.testing import VirtualClock, new_simulator
from migrate_core.transports import Transport, TransportOptions
from migrate_huawei_sms.auth import ALGORITHM, SigningKey, canonical_request, signature_of
from migrate_huawei_sms.models import PhysicalVolume, ServerDisk, SourceDocument, VolumeGroups
from migrate_huawei_sms.simulator import HuaweiSmsSimulator, example_document
from support import Caller, example

from .machines import linux, suse, windows


class Door:
    """Sends what no client of ours would."""

    def __init__(self, simulator: HuaweiSmsSimulator) -> None:
        self._simulator = simulator
        self._transport: Transport = simulator.transport.open(TransportOptions(endpoints={"main": simulator.endpoint}))
        self.token = {"X-Auth-Token": simulator.credentials["token"]}
        self.key = SigningKey(simulator.credentials["access_key"], simulator.credentials["secret_key"])

    def send(
        self,
        method: str,
        path: str,
        body: Any = b"",
        headers: Mapping[str, str] | None = None,
        query: Sequence[tuple[str, str]] = (),
    ) -> Response:
        """Send a request as it is; without headers, with the token."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = Request(
            method=method,
            path=path,
            body=content,
            headers=self.token if headers is None else headers,
            query=tuple(query),
            repeatable=False,
        )
        return self._transport.send(request, Deadline.after(self._simulator.clock, 1))

    def signed(self, method: str, path: str, body: bytes = b"", **changes: Any) -> dict[str, str]:
        """Give the headers that sign a request."""
        parts: dict[str, Any] = {
            "method": method,
            "host": self._simulator.endpoint.partition("//")[2],
            "path": path,
            "query": (),
            "headers": {},
            "body": body,
            "date": self._simulator.clock.now().astimezone(UTC).strftime("%Y%m%dT%H%M%SZ"),
        }
        return self.key.sign(**{**parts, **changes})

    def register(self, document: SourceDocument) -> str:
        """Register a machine, whatever is wrong with it."""
        source_id: str = self.send("POST", "/v3/sources", encode(document)).json_object()["id"]
        return source_id

    def source(self, source_id: str) -> Mapping[str, Any]:
        return self.send("GET", f"/v3/sources/{source_id}").json_object()

    def checks(self, document: SourceDocument) -> dict[str, Mapping[str, Any]]:
        """Register a machine; give what the simulator finds, by the names of its checks."""
        found = self.source(self.register(document))["checks"]
        assert len({check["id"] for check in found}) == len(found)
        return {check["name"]: check for check in found}


@pytest.fixture
def door(simulator: HuaweiSmsSimulator) -> Door:
    return Door(simulator)


@pytest.fixture
def client(simulator: HuaweiSmsSimulator) -> Iterator[mc.Client]:
    with mc.connect("huawei_sms", clock=simulator.clock, **simulator.settings()) as client:
        yield client


def test_it_is_installed_under_the_name_of_its_provider() -> None:
    assert type(new_simulator("huawei_sms", seed=3)) is HuaweiSmsSimulator


# What it finds follows from what was registered.

LINUX_CHECKS = [
    "OS_VERSION",
    "FIRMWARE",
    "CPU",
    "MEMORY",
    "PARTITION_STYLE",
    "BOOT_DISK",
    "FILE_SYSTEM",
    "FREE_SPACE",
    "RSYNC",
    "BOOT_LOADER",
    "RAW_DEVICES",
    "TC",
    "PARAVIRTUALIZATION",
]
WINDOWS_CHECKS = [
    *LINUX_CHECKS[:8],
    "SYSTEM_ROOT",
    "OEM_SYSTEM",
    "DRIVER_FILE",
    "SERVICE",
    "ACCOUNT_RIGHTS",
]


def boots(**changes: Any) -> tuple[ServerDisk, ...]:
    """One disk that boots, with one partition."""
    volume = PhysicalVolume(name="/dev/vda1", file_system="ext4", mount_point="/", size=100, used_size=40)
    disk = ServerDisk(
        name="/dev/vda",
        device_use="BOOT",
        partition_style="GPT",
        size=100,
        used_size=100,
        physical_volumes=(attrs.evolve(volume, **changes),),
    )
    return (disk,)


def with_disk(**changes: Any) -> tuple[ServerDisk, ...]:
    return (attrs.evolve(boots()[0], **changes),)


def test_a_whole_linux_machine_is_ready(door: Door, client: mc.Client) -> None:
    source = client.sources.describe(door.register(linux(disks=boots())))
    assert [check.name for check in source.checks] == LINUX_CHECKS
    assert {check.result for check in source.checks} == {mc.CheckResult.OK}
    assert (source.stage, source.vendor_state) == (mc.Stage.READY, "waiting/checking")


def test_a_whole_windows_machine_is_ready_and_is_checked_for_what_the_vendor_checks(
    door: Door, client: mc.Client
) -> None:
    source = client.sources.describe(door.register(windows()))
    assert [check.name for check in source.checks] == WINDOWS_CHECKS
    assert {check["name"] for check in example("huawei_sms/query-response.json")["checks"]} <= set(WINDOWS_CHECKS)
    assert {check.result for check in source.checks} == {mc.CheckResult.OK}
    assert source.stage is mc.Stage.READY


def test_a_check_that_is_passed_looks_like_the_vendors(door: Door) -> None:
    ours, vendors = door.checks(windows())["CPU"], example("huawei_sms/query-response.json")["checks"][2]
    assert (vendors["name"], vendors["error_code"]) == ("CPU", None)
    assert {**vendors, "id": ours["id"]} == {"error_code": None, "error_or_warn": None, **ours}


@pytest.mark.parametrize(
    ("document", "name", "result", "code", "reason"),
    [
        (linux(os_version=None), "OS_VERSION", "ERROR", None, "the OS version is not known"),
        (linux(firmware=None), "FIRMWARE", "ERROR", None, "the boot mode is not known"),
        (linux(firmware="EFI"), "FIRMWARE", "ERROR", None, "the boot mode is not known"),
        (linux(cpu_quantity=0), "CPU", "ERROR", None, "the number of CPUs is not known"),
        (linux(memory=None), "MEMORY", "ERROR", None, "the memory size is not known"),
        (linux(disks=()), "PARTITION_STYLE", "ERROR", None, "partition style is not known"),
        (linux(disks=()), "BOOT_DISK", "ERROR", "SMS.6531", "no disk boots the machine"),
        (linux(disks=with_disk(partition_style=None)), "PARTITION_STYLE", "ERROR", None, "partition style"),
        (linux(disks=with_disk(device_use="NORMAL")), "BOOT_DISK", "ERROR", "SMS.6531", "no disk boots"),
        (linux(disks=with_disk(device_use="OS")), "BOOT_DISK", "OK", None, None),
        (linux(disks=boots(file_system="zfs")), "FILE_SYSTEM", "ERROR", "SMS.6509", "unsupported file systems: zfs"),
        (linux(disks=boots(file_system="NTFS")), "FILE_SYSTEM", "ERROR", "SMS.6509", "file systems: NTFS"),
        (linux(disks=boots(file_system="XFS")), "FILE_SYSTEM", "OK", None, None),
        (linux(disks=boots(file_system=None)), "FILE_SYSTEM", "OK", None, None),
        (windows(disks=boots(file_system="ext4")), "FILE_SYSTEM", "ERROR", "SMS.6509", "file systems: ext4"),
        (linux(disks=boots(used_size=100)), "FREE_SPACE", "ERROR", "SMS.1351", "no free space on /dev/vda1"),
        (linux(disks=boots(used_size=99)), "FREE_SPACE", "OK", None, None),
        (linux(disks=boots(used_size=100, mount_point="")), "FREE_SPACE", "OK", None, None),
        (linux(has_rsync=False), "RSYNC", "ERROR", "SMS.6517", "rsync is not installed"),
        (linux(has_rsync=None), "RSYNC", "ERROR", "SMS.6517", "not reported"),
        (linux(boot_loader="LILO"), "BOOT_LOADER", "ERROR", "SMS.6564", "the boot loader is not GRUB"),
        (linux(boot_loader=None), "BOOT_LOADER", "ERROR", "SMS.6564", "the boot loader is not GRUB"),
        (linux(raw_devices=None), "RAW_DEVICES", "WARN", None, "the raw devices are not reported"),
        (linux(has_tc=None), "TC", "WARN", None, "it is not reported whether tc is installed"),
        (linux(has_tc=False), "TC", "OK", None, None),
        (linux(paravirtualization=True), "PARAVIRTUALIZATION", "WARN", None, "may not start on the target"),
        (windows(system_dir=None), "SYSTEM_ROOT", "ERROR", None, "the system directory is not known"),
        (windows(oem_system=True), "OEM_SYSTEM", "WARN", None, "OEM editions lose their activation"),
        (windows(driver_files=True), "DRIVER_FILE", "ERROR", "SMS.6511", "driver files are missing"),
        (windows(driver_files=None), "DRIVER_FILE", "ERROR", "SMS.6511", "driver files are missing"),
        (windows(system_services=True), "SERVICE", "ERROR", None, "system services are abnormal"),
        (windows(account_rights=False), "ACCOUNT_RIGHTS", "ERROR", None, "the account lacks rights"),
    ],
    ids=lambda value: value if type(value) is str else "",
)
def test_a_gap_in_a_machine_is_a_check_that_says_so(
    door: Door,
    client: mc.Client,
    document: SourceDocument,
    name: str,
    result: str,
    code: str | None,
    reason: str | None,
) -> None:
    check = door.checks(document)[name]
    assert (check["result"], check.get("error_code")) == (result, code)
    assert (reason or "") in (check.get("error_or_warn") or "")
    (source,) = client.sources.list()
    failed = any(found.result is mc.CheckResult.ERROR for found in source.checks)
    assert source.stage is (mc.Stage.NOT_READY if failed else mc.Stage.READY)
    assert source.vendor_state == ("unavailable/checking" if failed else "waiting/checking")
    assert failed or result != "ERROR"


def test_the_vendors_own_example_is_found_wanting(door: Door) -> None:
    found = {name: check["result"] for name, check in door.checks(suse()).items() if check["result"] != "OK"}
    assert found == {"RAW_DEVICES": "WARN", "TC": "WARN", "PARAVIRTUALIZATION": "WARN"}


@pytest.mark.parametrize("os_type", ["Linux", "linux"])
def test_the_operating_system_is_known_in_any_case(door: Door, os_type: str) -> None:
    assert list(door.checks(linux(os_type=os_type))) == LINUX_CHECKS


def test_the_recommended_target_follows_the_source(door: Door) -> None:
    machine = linux()
    target = door.source(door.register(machine))["init_target_server"]
    assert [disk["device_use"] for disk in target["disks"]] == ["OS", "NORMAL", "NORMAL"]
    given = encode(machine)
    for recommended, disk in zip(target["disks"], given["disks"], strict=True):
        assert {name: recommended[name] for name in ("name", "size", "used_size")} == {
            name: disk[name] for name in ("name", "size", "used_size")
        }
        for volume, original in zip(recommended["physical_volumes"], disk["physical_volumes"], strict=True):
            assert volume == {name: value for name, value in original.items() if name != "inode_nums"}
    assert target["volume_groups"] == given["volume_groups"]


# What it gives back.

WRITE_ONLY = {
    "virtualization_type": "HVM",
    "linux_block_check": "{}",
    "domain_id": "d",
    "has_rsync": True,
    "paravirtualization": False,
    "raw_devices": "/dev/raw1",
    "driver_files": True,
    "system_services": True,
    "account_rights": True,
    "boot_loader": "GRUB",
    "system_dir": "C:\\",
    "kernel_version": "4.4",
    "start_type": "MANUAL",
    "io_read_wait": 3.4,
    "platform": "hw",
}


def test_write_only_fields_are_kept_and_not_given_back(door: Door, simulator: HuaweiSmsSimulator) -> None:
    document = linux(**WRITE_ONLY)
    source_id = door.register(document)
    assert set(WRITE_ONLY) & set(door.source(source_id)) == set()
    listed = door.send("GET", "/v3/sources").json_object()["source_servers"][0]
    assert set(WRITE_ONLY) & set(listed) == set()
    assert simulator.registered(source_id) == document


def test_all_other_fields_are_given_back(door: Door) -> None:
    document = linux(**WRITE_ONLY)
    described = door.source(door.register(document))
    given = {name: value for name, value in encode(document).items() if name not in WRITE_ONLY}
    assert {name: described[name] for name in given} == given


def test_a_described_source_has_the_fields_of_the_vendors_example(door: Door, simulator: HuaweiSmsSimulator) -> None:
    source_id = door.register(windows())
    simulator.start_migration(source_id)
    described = door.source(source_id)
    documented = {name for name, value in example("huawei_sms/query-response.json").items() if value is not None}
    assert documented <= set(described)
    assert described["current_task"].keys() >= {
        name for name, value in example("huawei_sms/query-response.json")["current_task"].items() if value is not None
    }


def test_an_item_of_the_list_has_only_what_the_vendor_lists(door: Door) -> None:
    door.register(linux())
    (listed,) = door.send("GET", "/v3/sources").json_object()["source_servers"]
    assert {"disks", "networks", "volume_groups", "firmware", "hostname", "agent_version"} & set(listed) == set()
    assert {"id", "name", "state", "checks", "migration_cycle"} <= set(listed)


def test_the_registration_answers_with_the_id_alone(door: Door) -> None:
    answer = door.send("POST", "/v3/sources", encode(linux())).json_object()
    assert list(answer) == list(example("huawei_sms/register-response.json")) == ["id"]


@pytest.mark.parametrize(
    ("query", "start", "count"),
    [
        ([], 0, 200),
        ([("limit", "0")], 0, 200),
        ([("limit", "201")], 0, 200),
        ([("limit", "3"), ("offset", "2")], 2, 3),
        ([("offset", "204")], 204, 1),
        ([("offset", "205")], 205, 0),
        ([("limit", "many"), ("offset", "-1")], 0, 200),
    ],
)
def test_the_list_is_cut_as_it_is_asked_for(
    door: Door, simulator: HuaweiSmsSimulator, query: list[tuple[str, str]], start: int, count: int
) -> None:
    added = simulator.add_sources(205)
    answer = door.send("GET", "/v3/sources", query=query).json_object()
    assert [source["id"] for source in answer["source_servers"]] == added[start : start + count]
    assert answer["count"] == 205


@pytest.mark.parametrize("name", ["id", "name"])
def test_the_list_is_filtered_as_it_is_asked_for(door: Door, simulator: HuaweiSmsSimulator, name: str) -> None:
    wanted = {"id": simulator.add_sources(3)[1], "name": "host-1"}
    answer = door.send("GET", "/v3/sources", query=[(name, wanted[name])]).json_object()
    assert (answer["count"], [source["id"] for source in answer["source_servers"]]) == (1, [wanted["id"]])


def test_registering_under_a_known_id_updates_the_source(door: Door, simulator: HuaweiSmsSimulator) -> None:
    source_id = door.register(linux(has_rsync=False))
    added = door.source(source_id)["add_date"]
    assert isinstance(simulator.clock, VirtualClock)
    simulator.clock.advance(60)
    assert door.register(linux(id=source_id, hostname="renamed")) == source_id
    source = door.source(source_id)
    assert (source["hostname"], source["state"], source["add_date"]) == ("renamed", "waiting", added)
    assert source["state_action_time"] == added + 60_000
    assert door.register(linux(id="an id of another life")) != "an id of another life"


def test_a_migration_locks_its_target_until_it_is_unlocked(
    client: mc.Client, door: Door, simulator: HuaweiSmsSimulator
) -> None:
    source_id = door.register(linux(disks=boots()))
    replication_id = simulator.start_migration(source_id)
    source = client.sources.describe(source_id)
    assert source.replication is not None
    assert (source.replication.id, source.replication.state) == (replication_id, mc.ReplicationState.INITIAL)
    assert source.replication.total_bytes == 40
    assert source.target is not None
    assert (source.target.name, source.target.region) == (source.name, "ap-southeast-3")
    assert (source.stage, source.vendor_state) == (mc.Stage.SEEDING, "initialize/replicating")
    assert simulator.locked(replication_id)
    client.targets.unlock(replication_id).wait()
    assert not simulator.locked(replication_id)
    client.sources.delete(source_id).wait()
    with pytest.raises(mc.NotFoundError):
        client.targets.unlock(replication_id)


def test_the_times_are_those_of_its_clock(client: mc.Client, door: Door, simulator: HuaweiSmsSimulator) -> None:
    assert isinstance(simulator.clock, VirtualClock)
    simulator.clock.advance(90)
    source = client.sources.describe(door.register(linux()))
    assert source.registered_at == simulator.clock.now()


# Who may come in.


def test_without_credentials_nobody_comes_in(door: Door) -> None:
    for method, path in (
        ("GET", "/v3/sources"),
        ("POST", "/v3/sources"),
        ("GET", "/v3/sources/x"),
        ("DELETE", "/v3/sources/x"),
        ("POST", "/v3/tasks/x/unlock"),
    ):
        answer = door.send(method, path, headers={})
        assert (answer.status, answer.json_object()["error_code"]) == (401, "APIGW.0301")
        assert set(answer.json_object()) == {"error_code", "error_msg", "request_id"}


@pytest.mark.parametrize("authorization", ["Basic b3A6cHc=", "SDK-HMAC-SHA256", "SDK-HMAC-SHA256 x", "Bearer", ""])
def test_another_kind_of_authorization_is_refused(door: Door, authorization: str) -> None:
    answer = door.send("GET", "/v3/sources", headers={"Authorization": authorization})
    assert (answer.status, answer.json_object()["error_code"]) == (401, "APIGW.0301")


def test_a_token_that_was_never_given_is_refused(door: Door) -> None:
    answer = door.send("GET", "/v3/sources", headers={"X-Auth-Token": "simulated-iam-token2"})
    assert (answer.status, answer.json_object()["error_code"]) == (401, "APIGW.0307")


def test_a_token_that_was_fetched_is_good_for_a_day(door: Door, simulator: HuaweiSmsSimulator) -> None:
    known = simulator.credentials
    user = {"name": known["username"], "password": known["password"], "domain": {"name": known["domain_name"]}}
    login = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}}
    answer = door.send("POST", "/v3/auth/tokens", login, headers={})
    assert answer.status == 201
    token = {"X-Auth-Token": answer.headers["x-subject-token"]}
    assert door.send("GET", "/v3/sources", headers=token).status == 200
    assert isinstance(simulator.clock, VirtualClock)
    simulator.clock.advance(timedelta(hours=24).total_seconds() - 1)
    assert door.send("GET", "/v3/sources", headers=token).status == 200
    simulator.clock.advance(1)
    answer = door.send("GET", "/v3/sources", headers=token)
    assert (answer.status, answer.json_object()["error_code"]) == (401, "APIGW.0307")


@pytest.mark.parametrize("wrong", ["username", "password", "domain_name"])
def test_a_wrong_login_gets_no_token(door: Door, simulator: HuaweiSmsSimulator, wrong: str) -> None:
    known = {**simulator.credentials, wrong: "wrong"}
    user = {"name": known["username"], "password": known["password"], "domain": {"name": known["domain_name"]}}
    login = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}}
    answer = door.send("POST", "/v3/auth/tokens", login, headers={})
    assert answer.status == 401
    assert "x-subject-token" not in answer.headers
    assert set(answer.json_object()["error"]) == {"code", "message", "title"}


@pytest.mark.parametrize("login", [b"", b"{", [], {}, {"auth": None}, {"auth": {"identity": {"password": []}}}])
def test_a_login_of_another_shape_is_refused_as_the_identity_service_does(door: Door, login: Any) -> None:
    answer = door.send("POST", "/v3/auth/tokens", login, headers={})
    assert answer.status == 400
    assert set(answer.json_object()["error"]) == {"code", "message", "title"}


BODY = json.dumps({"name": "signed", "hostname": "signed"}).encode()


def test_what_is_signed_as_it_is_sent_comes_in(door: Door) -> None:
    assert door.send("POST", "/v3/sources", BODY, door.signed("POST", "/v3/sources", BODY)).status == 200


@pytest.mark.parametrize(
    "tampered",
    [
        {"body": BODY.replace(b"signed", b"forged")},
        {"body": b""},
        {"method": "GET"},
        {"query": [("id", "x")]},
        {"headers": {"X-Sdk-Date": "20260101T000001Z"}},
        {"headers": {"X-Project-Id": "another"}},
        {"headers": {"X-Security-Token": "another"}},
        {"headers": {"host": "elsewhere.example"}},
    ],
    ids=["body", "no body", "method", "query", "date", "project", "security token", "host"],
)
def test_what_was_changed_after_it_was_signed_is_refused(
    door: Door, simulator: HuaweiSmsSimulator, tampered: dict[str, Any]
) -> None:
    known = simulator.credentials
    door.key = SigningKey(known["access_key"], known["secret_key"], "token", "project")
    headers = {**door.signed("POST", "/v3/sources", BODY), **tampered.pop("headers", {})}
    request = {"method": "POST", "path": "/v3/sources", "body": BODY, "headers": headers, **tampered}
    answer = door.send(**request)
    assert (answer.status, answer.json_object()["error_code"]) == (401, "APIGW.0301")
    assert door.send("GET", "/v3/sources").json_object()["count"] == 0


def test_a_signature_for_another_source_is_refused(door: Door, simulator: HuaweiSmsSimulator) -> None:
    one, other = simulator.add_sources(2)
    headers = door.signed("DELETE", f"/v3/sources/{one}")
    assert door.send("DELETE", f"/v3/sources/{other}", headers=headers).status == 401
    assert door.send("DELETE", f"/v3/sources/{one}", headers=headers).status == 200


@pytest.mark.parametrize(("seconds", "status"), [(-901, 401), (-900, 200), (900, 200), (901, 401)])
def test_a_signature_is_good_for_a_quarter_of_an_hour(
    door: Door, simulator: HuaweiSmsSimulator, seconds: int, status: int
) -> None:
    date = (simulator.clock.now() + timedelta(seconds=seconds)).strftime("%Y%m%dT%H%M%SZ")
    answer = door.send("GET", "/v3/sources", headers=door.signed("GET", "/v3/sources", date=date))
    assert answer.status == status


@pytest.mark.parametrize("date", ["yesterday", "", "2026-01-01T00:00:00Z", "20260101T000000"])
def test_a_date_that_is_no_date_is_refused(door: Door, date: str) -> None:
    headers = door.signed("GET", "/v3/sources", date=date)
    assert door.send("GET", "/v3/sources", headers=headers).status == 401


@pytest.mark.parametrize(("names", "status"), [(["host", "x-sdk-date"], 200), (["x-sdk-date"], 200), (["host"], 401)])
def test_the_date_at_least_must_be_signed(
    door: Door, simulator: HuaweiSmsSimulator, names: list[str], status: int
) -> None:
    sent = {"host": simulator.endpoint.partition("//")[2], "x-sdk-date": "20260101T000000Z"}
    signed = {name: sent[name] for name in names}
    signature = signature_of(
        simulator.credentials["secret_key"],
        sent["x-sdk-date"],
        canonical_request("GET", "/v3/sources", (), signed, b""),
    )
    access = simulator.credentials["access_key"]
    authorization = f"{ALGORITHM} Access={access}, SignedHeaders={';'.join(signed)}, Signature={signature}"
    answer = door.send("GET", "/v3/sources", headers={**sent, "Authorization": authorization})
    assert answer.status == status


@pytest.mark.parametrize(
    ("action", "method", "path"),
    [
        ("sms:server:register", "POST", "/v3/sources"),
        ("sms:server:list", "GET", "/v3/sources"),
        ("sms:server:get", "GET", "/v3/sources/x"),
        ("sms:server:delete", "DELETE", "/v3/sources/x"),
        ("sms:server:unlock", "POST", "/v3/tasks/x/unlock"),
    ],
)
def test_a_denied_action_is_refused_with_the_documented_body_and_no_other_is(
    door: Door, simulator: HuaweiSmsSimulator, action: str, method: str, path: str
) -> None:
    simulator.controls.deny = action
    answer = door.send(method, path, {})
    assert answer.status == 403
    documented = example("huawei_sms/error-403.json")
    reason = f"You do not have permission to perform action {action} on resource *."
    assert answer.json_object() == {
        **documented,
        "error_msg": f"The current account does not have the permission to execute policy. {reason}",
        "encoded_authorization_message": "simulated-authorization-message",
        "error_param": [reason],
        "details": [{"error_code": "SMS.9004", "error_msg": reason}],
    }
    simulator.controls.deny = "sms:server:other"
    assert door.send(method, path, {}).status != 403


# What it does not know.


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/v3"),
        ("GET", "/v3/nothing"),
        ("GET", "/v2/sources"),
        ("GET", "/v3/sources/a/b"),
        ("POST", "/v3/tasks/x"),
        ("GET", "/V3/SOURCES"),
        # "wrong method or path", says the vendor's table of gateway errors
        ("PUT", "/v3/sources"),
        ("POST", "/v3/sources/x"),
        ("GET", "/v3/tasks/x/unlock"),
        ("GET", "/v3/sources/"),
    ],
)
def test_a_call_that_is_not_published_is_answered_as_the_gateway_does(door: Door, method: str, path: str) -> None:
    answer = door.send(method, path)
    assert (answer.status, answer.json_object()["error_code"]) == (404, "APIGW.0101")
    assert answer.json_object()["request_id"]


def test_a_call_that_is_withdrawn_looks_unpublished(door: Door, simulator: HuaweiSmsSimulator) -> None:
    (source_id,) = simulator.add_sources(1)
    replication_id = simulator.start_migration(source_id)
    simulator.controls.unlock_offered = False
    answer = door.send("POST", f"/v3/tasks/{replication_id}/unlock")
    assert (answer.status, answer.json_object()["error_code"]) == (404, "APIGW.0101")
    assert simulator.locked(replication_id)


def test_unknown_sources_and_tasks_are_told_apart_from_unknown_calls(door: Door) -> None:
    source, task = door.send("GET", "/v3/sources/x"), door.send("POST", "/v3/tasks/x/unlock")
    assert (source.status, source.json_object()["error_code"]) == (400, "SMS.2216")
    assert (task.status, task.json_object()["error_code"]) == (404, "SMS.2252")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"[" * 20000, {"surprise": 1}, {"cpu_quantity": "four"}])
def test_a_registration_that_cannot_be_read_is_refused(door: Door, body: Any) -> None:
    answer = door.send("POST", "/v3/sources", body)
    assert (answer.status, answer.json_object()["error_code"]) == (400, "SMS.6201")
    assert door.send("GET", "/v3/sources").json_object()["count"] == 0


# Controls.


def test_controls_are_set_from_text(simulator: HuaweiSmsSimulator) -> None:
    for name, value in [
        ("deny", "sms:server:get"),
        ("unlock_offered", "no"),
        ("agent_connected", "TRUE"),
        ("start_migration", "1"),
    ]:
        simulator.set(name, value)
    controls = simulator.controls
    assert controls.deny == "sms:server:get"
    assert (controls.unlock_offered, controls.agent_connected, controls.start_migration) == (False, True, True)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("denny", "x", "huawei_sms has no control 'denny'; it has: deny, unlock_offered, agent_connected"),
        ("", "x", "no control ''"),
        ("reset", "true", "no control 'reset'"),
        ("unlock_offered", "maybe", "control unlock_offered takes a bool, not 'maybe'"),
        ("start_migration", "", "control start_migration takes a bool, not ''"),
    ],
)
def test_a_control_that_does_not_exist_or_does_not_fit_is_refused(
    simulator: HuaweiSmsSimulator, name: str, value: str, said: str
) -> None:
    before = attrs.asdict(simulator.controls)
    with pytest.raises(mc.ConfigurationError) as raised:
        simulator.set(name, value)
    assert said in str(raised.value)
    assert attrs.asdict(simulator.controls) == before


def test_controls_can_be_given_at_the_start() -> None:
    simulator = HuaweiSmsSimulator(clock=VirtualClock(), agent_connected=True, start_migration=True)
    door = Door(simulator)
    source = door.source(door.register(linux()))
    assert source["connected"] is True
    assert source["state"] == "initialize"
    assert simulator.locked(source["current_task"]["id"])
    with pytest.raises(TypeError):
        HuaweiSmsSimulator(unknown=True)


# Beginning again.


def life(simulator: HuaweiSmsSimulator) -> list[str]:
    """Everything that a simulator makes up by itself, in one life."""
    door = Door(simulator)
    source_id = door.register(linux())
    simulator.start_migration(source_id)
    made = [json.dumps(door.source(source_id), sort_keys=True), *simulator.add_sources(3)]
    return [*made, door.send("GET", "/v3/nothing").body.decode()]


def test_the_same_seed_makes_the_same_ids() -> None:
    clock = VirtualClock()
    first, again, other = (HuaweiSmsSimulator(clock=clock, seed=seed) for seed in (7, 7, 8))
    assert life(first) == life(again) != life(other)
    source_id = life(HuaweiSmsSimulator(clock=clock))[1]
    assert str(uuid.UUID(source_id)) == source_id


def test_a_reset_forgets_everything_but_the_controls() -> None:
    simulator = HuaweiSmsSimulator(clock=VirtualClock(), deny="sms:server:other")
    before = life(simulator)
    with mc.connect("huawei_sms", clock=simulator.clock, **simulator.settings("login")) as client:
        assert len(list(client.sources.list())) == 4
        simulator.faults.answer(500, times=9)
        simulator.reset()
        assert simulator.journal == []
        assert simulator.controls.deny == "sms:server:other"
        assert list(client.sources.list()) == []  # a new login, since the token is forgotten too
    assert [entry.status for entry in simulator.journal] == [401, 201, 200]
    simulator.reset()
    assert life(simulator) == before


def test_the_journal_keeps_requests_as_they_were_on_the_wire(simulator: HuaweiSmsSimulator) -> None:
    door = Door(simulator)
    door.send("GET", "/v3/sources/a%2Fb%3F", query=[("x", "1 &"), ("x", "ü"), ("empty", "")])
    (entry,) = simulator.journal
    assert (entry.method, entry.path, entry.status) == ("GET", "/v3/sources/a%2Fb%3F", 400)
    assert entry.query == (("x", "1 &"), ("x", "ü"), ("empty", ""))
    assert simulator.credentials["token"] not in repr(entry)


def test_a_planned_answer_comes_before_or_after_the_effect(door: Door, simulator: HuaweiSmsSimulator) -> None:
    one, other = simulator.add_sources(2)
    simulator.faults.answer(503, method="DELETE", path=one)
    simulator.faults.answer(503, method="DELETE", path=other, after=True)
    assert door.send("DELETE", f"/v3/sources/{one}").status == 503
    assert door.send("DELETE", f"/v3/sources/{other}").status == 503
    assert [source["id"] for source in door.send("GET", "/v3/sources").json_object()["source_servers"]] == [one]


@pytest.mark.filterwarnings("ignore::migrate_core.IncompleteDocumentWarning")
def test_each_kind_of_its_settings_connects(caller: Caller, simulator: HuaweiSmsSimulator) -> None:
    for kind in ("", "token", "login", "key"):
        client = caller.connect("huawei_sms", clock=simulator.clock, **simulator.settings(kind))
        spec = mc.SourceSpec(name="x", details=example_document())
        assert caller(client.sources.register(spec, allow_incomplete=True)).done
    assert len(simulator.journal) == 5


def test_what_other_clients_may_send_is_accepted_within_the_tables(door: Door) -> None:
    document = SourceDocument(state="waiting", volume_groups=(VolumeGroups(),), name="x" * 255)
    described = door.source(door.register(document))
    assert described["volume_groups"] == [{}]
    assert described["state"] == "unavailable"
