"""What is registered: the caller's document, completed from the neutral facts."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

import migrate_core as mc
from migrate_core.documents import encode
from migrate_huawei_sms.mapping import document_for
from migrate_huawei_sms.models import DescribedSource, NetWork, ServerDisk, SourceDocument
from migrate_huawei_sms.simulator import HuaweiSmsSimulator
from support import Caller

from .machines import MAC, linux, nic

FACTS = mc.SourceFacts(
    hostname="web-1.example",
    os_family=mc.OsFamily.LINUX,
    os_name="SUSE12_64BIT_SP2",
    architecture="x86_64",
    firmware=mc.Firmware.UEFI,
    cpu_count=8,
    memory_bytes=2**34,
    disks=(
        mc.Disk(name="/dev/vda", size_bytes=2**35, used_bytes=2**33, is_boot=True),
        mc.Disk(name="/dev/vdb", size_bytes=2**40, used_bytes=0, is_boot=False),
    ),
    nics=(
        mc.Nic(name="eth0", mac="02:00:00:00:00:01", addresses=("2001:db8::1", "192.0.2.1", "192.0.2.2")),
        mc.Nic(name="eth1", mac="02:00:00:00:00:02", addresses=("198.51.100.1",)),
    ),
)
FROM_FACTS: dict[str, Any] = {
    "name": "web-1",
    "hostname": "web-1.example",
    "os_type": "LINUX",
    "os_version": "SUSE12_64BIT_SP2",
    "firmware": "UEFI",
    "cpu_quantity": 8,
    "memory": 2**34,
    "ip": "192.0.2.1",
    "disks": (
        ServerDisk(
            name="/dev/vda",
            device_use="BOOT",
            size=2**35,
            used_size=2**33,
            physical_volumes=(),
            os_disk=True,
        ),
        ServerDisk(
            name="/dev/vdb",
            device_use="NORMAL",
            size=2**40,
            used_size=0,
            physical_volumes=(),
            os_disk=False,
        ),
    ),
    "networks": (
        NetWork(name="eth0", ip="192.0.2.1", ipv6="2001:db8::1", mac="02:00:00:00:00:01"),
        NetWork(name="eth1", ip="198.51.100.1", mac="02:00:00:00:00:02"),
    ),
}


def spec(details: Any = None, **changes: Any) -> mc.SourceSpec:
    return attrs.evolve(mc.SourceSpec(name="web-1", facts=FACTS, details=details), **changes)


def connect(caller: Caller, simulator: HuaweiSmsSimulator) -> Any:
    return caller.connect("huawei_sms", clock=simulator.clock, **simulator.settings("login"))


def test_facts_alone_make_a_document() -> None:
    assert document_for(spec()) == SourceDocument(**FROM_FACTS)
    assert document_for(spec(SourceDocument())) == SourceDocument(**FROM_FACTS)


def test_without_facts_the_details_are_the_document_but_for_the_name() -> None:
    assert document_for(mc.SourceSpec(name="x", details=linux())) == linux()
    assert document_for(mc.SourceSpec(name="x", details=linux(name=None))) == linux(name="x")
    assert document_for(mc.SourceSpec(name="x")) == SourceDocument(name="x")
    assert document_for(mc.SourceSpec(name="")) == SourceDocument()


@pytest.mark.parametrize("field", FROM_FACTS)
def test_details_win_over_facts_field_by_field(field: str) -> None:
    others: dict[str, Any] = {"cpu_quantity": 1, "memory": 2**30, "disks": (), "networks": (nic(name="eth9"),)}
    theirs = others.get(field, "of the details")
    document = document_for(spec(SourceDocument(**{field: theirs})))
    assert document == SourceDocument(**{**FROM_FACTS, field: theirs})


def test_facts_fill_what_the_details_leave_out_of_the_disk_or_interface_of_the_same_name() -> None:
    details = SourceDocument(
        disks=(
            ServerDisk(name="/dev/vdb", partition_style="GPT", used_size=7),
            ServerDisk(name="/dev/vdc", size=1),
        ),
        networks=(NetWork(name="eth1", netmask="255.255.255.0", gateway="198.51.100.254", mac="of the details"),),
    )
    first, second = FROM_FACTS["disks"], FROM_FACTS["networks"]
    document = document_for(spec(details))
    assert document.disks == (
        attrs.evolve(first[1], partition_style="GPT", used_size=7),
        ServerDisk(name="/dev/vdc", size=1),
    )
    assert document.networks == (
        attrs.evolve(second[1], netmask="255.255.255.0", gateway="198.51.100.254", mac="of the details"),
    )


def test_interfaces_without_a_name_are_not_mixed_up() -> None:
    facts = mc.SourceFacts(nics=(mc.Nic(addresses=("192.0.2.1",)), mc.Nic(addresses=("192.0.2.2",))))
    details = SourceDocument(
        networks=(NetWork(name="", gateway="192.0.2.254"), NetWork(name="", gateway="192.0.2.253"))
    )
    networks = document_for(mc.SourceSpec(name="x", facts=facts, details=details)).networks or ()
    assert [network.ip for network in networks] in ([None, None], ["192.0.2.1", "192.0.2.2"])


@pytest.mark.parametrize("name", [["eth0"], {}, 5, None])
def test_a_name_of_another_type_is_a_fault_like_any_other(
    caller: Caller, simulator: HuaweiSmsSimulator, name: Any
) -> None:
    with pytest.raises(mc.InvalidDocumentError) as raised:
        caller(connect(caller, simulator).sources.register(spec(linux(networks=(nic(name=name),)))))
    assert [fault.path for fault in raised.value.faults] == ["networks[0].name"]


@pytest.mark.parametrize(
    "empty", [{"name": ""}, {"hostname": ""}, {"cpu_quantity": 0}, {"memory": 0}, {"networks": ()}]
)
def test_what_the_details_leave_empty_is_not_left_out(empty: dict[str, Any]) -> None:
    document = document_for(spec(SourceDocument(**empty)))
    assert {name: getattr(document, name) for name in empty} == empty


def test_what_facts_cannot_say_stays_as_the_details_say() -> None:
    details = SourceDocument(has_rsync=True, boot_loader="GRUB", platform="vmware", io_read_wait=1.5)
    assert document_for(spec(details)) == attrs.evolve(details, **FROM_FACTS)
    assert details == SourceDocument(has_rsync=True, boot_loader="GRUB", platform="vmware", io_read_wait=1.5)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"os_family": mc.OsFamily.WINDOWS}, {"os_type": "WINDOWS"}),
        ({"os_family": mc.OsFamily.OTHER}, {}),
        ({"os_family": mc.OsFamily.UNKNOWN}, {}),
        ({"firmware": mc.Firmware.BIOS}, {"firmware": "BIOS"}),
        ({"firmware": mc.Firmware.UNKNOWN}, {}),
        ({"architecture": "x86_64"}, {}),  # the vendor has no field for it
        ({"cpu_count": 0}, {"cpu_quantity": 0}),
        ({"nics": (mc.Nic(name="lo"),)}, {"networks": (NetWork(name="lo"),)}),
        (
            {"nics": (mc.Nic(addresses=("fe80::1",)), mc.Nic(addresses=("192.0.2.9",)))},
            {
                "ip": "192.0.2.9",
                "networks": (NetWork(name="", ipv6="fe80::1"), NetWork(name="", ip="192.0.2.9")),
            },
        ),
        (
            {"nics": (mc.Nic(addresses=("fe80::1", "fe80::2")),)},
            {"ipv6": "fe80::1", "networks": (NetWork(name="", ipv6="fe80::1"),)},
        ),
        (
            {"disks": (mc.Disk(name="sda"),)},
            {"disks": (ServerDisk(name="sda", device_use="NORMAL", physical_volumes=()),)},
        ),
    ],
)
def test_each_fact_has_its_field(facts: dict[str, Any], expected: dict[str, Any]) -> None:
    document = document_for(mc.SourceSpec(name="x", facts=mc.SourceFacts(**facts)))
    assert document == SourceDocument(name="x", **expected)


def test_partial_details_and_facts_make_a_whole_that_is_sent(caller: Caller, simulator: HuaweiSmsSimulator) -> None:
    details = attrs.evolve(
        linux(),
        **dict.fromkeys(("name", "hostname", "os_type", "os_version", "firmware", "cpu_quantity", "memory", "ip")),
        disks=tuple(attrs.evolve(disk, partition_style="GPT") for disk in FROM_FACTS["disks"]),
        networks=(nic(),),
    )
    task = caller(connect(caller, simulator).sources.register(spec(details)))
    sent = json.loads(simulator.journal[-1].body)
    wanted = {**FROM_FACTS, "disks": details.disks, "networks": (nic(ipv6="2001:db8::1"),)}
    assert sent == encode(attrs.evolve(details, **wanted))
    assert sent["hostname"] == "web-1.example"
    assert sent["networks"][0]["mac"] == MAC
    assert simulator.registered(caller(task.wait())) == attrs.evolve(details, **wanted)


def test_the_sum_is_checked_and_all_its_faults_are_listed_before_anything_is_sent(
    caller: Caller, simulator: HuaweiSmsSimulator
) -> None:
    facts = attrs.evolve(FACTS, cpu_count=65536, disks=(mc.Disk(name="/dev/vda", size_bytes=-1),))
    with pytest.raises(mc.InvalidDocumentError) as raised:
        caller(connect(caller, simulator).sources.register(spec(SourceDocument(boot_loader="LILO"), facts=facts)))
    found = {fault.path: fault.waivable for fault in raised.value.faults}
    assert {path for path, waivable in found.items() if not waivable} == {
        "cpu_quantity",
        "disks[0].size",
        "disks[0].used_size",
        "networks[0].netmask",
        "networks[0].gateway",
        "networks[1].netmask",
        "networks[1].gateway",
        "boot_loader",
    }
    assert {path for path, waivable in found.items() if waivable} == {
        "agent_version",
        "btrfs_list",
        "volume_groups",
        "has_rsync",
        "paravirtualization",
        "raw_devices",
        "has_tc",
        "disks[0].partition_style",
        "networks[0].mtu",
        "networks[1].mtu",
    }
    assert simulator.journal == []


@pytest.mark.parametrize(
    "details",
    ["web-1", SourceDocument, DescribedSource(id="s-1"), nic(), [linux()]],
    ids=["text", "class", "described", "another object", "list"],
)
def test_details_of_another_type_are_refused_with_what_is_wanted(
    caller: Caller, simulator: HuaweiSmsSimulator, details: Any
) -> None:
    with pytest.raises(mc.InvalidDocumentError) as raised:
        caller(connect(caller, simulator).sources.register(spec(details), allow_incomplete=True))
    (fault,) = raised.value.faults
    assert (fault.path, fault.waivable) == ("details", False)
    assert type(details).__name__ in fault.message
    assert "SourceDocument" in fault.message
    assert simulator.journal == []


def test_details_may_be_the_json_of_a_document(caller: Caller, simulator: HuaweiSmsSimulator) -> None:
    client = connect(caller, simulator)
    assert client.sources.preview(spec(encode(linux()))) == client.sources.preview(spec(linux()))
    with pytest.raises(mc.InvalidDocumentError) as raised:
        client.sources.preview(spec({"ip": "192.0.2.1", "speed": 1, "cpu_quantity": "two"}))
    assert {fault.path for fault in raised.value.faults} == {"speed", "cpu_quantity"}


def test_a_preview_is_what_would_be_sent_and_sends_nothing(caller: Caller, simulator: HuaweiSmsSimulator) -> None:
    client = connect(caller, simulator)
    preview = client.sources.preview(spec(linux()))
    assert (preview.method, preview.target) == ("POST", "/v3/sources")
    assert simulator.journal == []
    with pytest.raises(mc.UnsupportedOptionError):
        client.sources.preview(spec(linux()), speed=1)
    caller(client.sources.register(spec(linux())))
    received = simulator.journal[-1]
    assert preview.body == received.body


def test_an_id_from_elsewhere_is_refused_and_not_dropped(caller: Caller, simulator: HuaweiSmsSimulator) -> None:
    with pytest.raises(mc.UnsupportedOptionError) as raised:
        caller(connect(caller, simulator).sources.register(spec(linux(), external_id="i-0123")))
    assert (raised.value.option, raised.value.provider) == ("external_id", "huawei_sms")
    assert raised.value.operation is mc.Operation.REGISTER_SOURCE
    assert simulator.journal == []


def test_a_refused_option_is_refused_with_those_that_exist(caller: Caller, simulator: HuaweiSmsSimulator) -> None:
    with pytest.raises(mc.UnsupportedOptionError) as raised:
        caller(connect(caller, simulator).sources.register(spec(linux(), external_id="i-0123")))
    assert "allow_incomplete" in str(raised.value)


@pytest.mark.parametrize("value", ["false", "no", 0, None])
def test_what_does_not_say_true_allows_nothing(caller: Caller, simulator: HuaweiSmsSimulator, value: Any) -> None:
    with pytest.raises((mc.InvalidDocumentError, mc.InvalidArgumentError)):
        caller(
            connect(caller, simulator).sources.register(
                spec(linux(hostname=None), facts=mc.SourceFacts()), allow_incomplete=value
            )
        )
    assert simulator.journal == []
