"""The vendor's own objects: each field of its pages, with types, bounds and rules."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import attrs
import pytest

import migrate_core as mc
from migrate_core.documents import MAX32, MAX64, Kind, Wire, decode, encode, faults_of, wire_of
from migrate_huawei_sms import models
from migrate_huawei_sms.models import (
    BtrfsFileSystem,
    BtrfsSubvolume,
    CloneServer,
    DescribedSource,
    DiskIntargetServer,
    EnvironmentCheck,
    ErrorBody,
    ErrorDetail,
    InitTargetServer,
    LogicalVolumes,
    NetWork,
    PhysicalVolume,
    PhysicalVolumes,
    ServerDisk,
    SourceDocument,
    TargetServerById,
    TaskByServerSource,
    VolumeGroups,
    document_from_json,
    document_of,
    registration_faults,
)
from migrate_huawei_sms.simulator import HuaweiSmsSimulator, example_document
from support import Caller, example

from .machines import leaves, linux, nic, suse, windows

# Every table of the vendor's pages, copied by hand: field, type, bounds (of the value, or of the length of a text or a
# list), "mandatory" where the page says so without a condition. A page that gives no bounds has "-".

REGISTER = """
    id                  String                      0-255
    ip                  String                      0-255
    name                String                      0-255
    hostname            String                      0-255
    os_type             String                      0-255
    os_version          String                      0-255
    virtualization_type String                      0-255
    linux_block_check   String                      0-255
    firmware            String                      0-255
    cpu_quantity        Integer                     0-65535
    memory              Long                        0-9223372036854775807
    disks               ServerDisk[]                0-65535
    btrfs_list          BtrfsFileSystem[]           0-65535
    networks            NetWork[]                   0-65535
    domain_id           String                      0-255
    has_rsync           Boolean                     -
    paravirtualization  Boolean                     -
    raw_devices         String                      0-255
    driver_files        Boolean                     -
    system_services     Boolean                     -
    account_rights      Boolean                     -
    boot_loader         String                      -
    system_dir          String                      0-255
    volume_groups       VolumeGroups[]              0-65535
    agent_version       String                      0-255
    kernel_version      String                      0-255
    migration_cycle     String                      -
    state               String                      0-255
    oem_system          Boolean                     -
    start_type          String                      -
    io_read_wait        Double                      0.0-10000.0
    has_tc              Boolean                     -
    platform            String                      -
"""
QUERY = """
    id                    String                    0-255
    ip                    String                    0-255
    name                  String                    0-255
    hostname              String                    0-255
    enterprise_project_id String                    1-255
    add_date              Long                      0-9223372036854775807
    os_type               String                    0-255
    os_version            String                    0-255
    oem_system            Boolean                   -
    state                 String                    -
    connected             Boolean                   -
    firmware              String                    -
    init_target_server    InitTargetServer          -
    cpu_quantity          Integer                   0-65535
    memory                Long                      0-9223372036854775807
    current_task          TaskByServerSource        -
    disks                 ServerDisk[]              0-65535
    volume_groups         VolumeGroups[]            0-65535
    btrfs_list            BtrfsFileSystem[]         0-65535
    networks              NetWork[]                 0-65535
    checks                EnvironmentCheck[]        0-65535
    migration_cycle       String                    0-255
    state_action_time     Long                      0-9223372036854775807
    replicatesize         Long                      0-9223372036854775807
    totalsize             Long                      0-9223372036854775807
    last_visit_time       Long                      0-9223372036854775807
    stage_action_time     Long                      0-9223372036854775807
    agent_version         String                    0-255
    has_tc                Boolean                   -
"""
NESTED: dict[type, str] = {
    ServerDisk: """
        name             String                     0-255                   mandatory
        partition_style  String                     -
        device_use       String                     -                       mandatory
        size             Long                       0-9223372036854775807   mandatory
        used_size        Long                       0-9223372036854775807   mandatory
        physical_volumes PhysicalVolume[]           0-65535                 mandatory
        os_disk          Boolean                    -
        relation_name    String                     0-255
        inode_size       Integer                    0-2147483647
    """,
    PhysicalVolume: """
        device_use       String                     0-255
        file_system      String                     0-255
        index            Integer                    0-2147483647
        mount_point      String                     0-255
        name             String                     0-255
        size             Long                       0-9223372036854775807
        used_size        Long                       0-9223372036854775807
        inode_size       Integer                    0-2147483647
        inode_nums       Long                       0-9223372036854775807
        uuid             String                     0-255
        size_per_cluster Integer                    0-2147483647
    """,
    BtrfsFileSystem: """
        name                     String             0-255                   mandatory
        label                    String             0-255                   mandatory
        uuid                     String             0-255                   mandatory
        device                   String             0-255                   mandatory
        size                     Long               0-9223372036854775807   mandatory
        nodesize                 Long               0-9223372036854775807   mandatory
        sectorsize               Integer            0-2147483647            mandatory
        data_profile             String             0-255                   mandatory
        system_profile           String             0-255                   mandatory
        metadata_profile         String             0-255                   mandatory
        global_reserve1          String             0-255                   mandatory
        g_vol_used_size          Long               0-9223372036854775807   mandatory
        default_subvolid         String             0-255                   mandatory
        default_subvol_name      String             0-255                   mandatory
        default_subvol_mountpath String             0-255                   mandatory
        subvolume                BtrfsSubvolume[]   0-65535                 mandatory
    """,
    BtrfsSubvolume: """
        uuid              String                    0-255                   mandatory
        is_snapshot       String                    0-255                   mandatory
        subvol_id         String                    0-255                   mandatory
        parent_id         String                    0-255                   mandatory
        subvol_name       String                    0-255                   mandatory
        subvol_mount_path String                    0-255                   mandatory
    """,
    NetWork: """
        name    String                              0-255                   mandatory
        ip      String                              0-255                   mandatory
        ipv6    String                              0-255
        netmask String                              0-255                   mandatory
        gateway String                              0-255                   mandatory
        mtu     Integer                             0-2147483647
        mac     String                              0-255                   mandatory
        id      String                              0-255
    """,
    VolumeGroups: """
        components      String                      0-255
        free_size       Long                        0-9223372036854775807
        logical_volumes LogicalVolumes[]            0-255
        name            String                      0-255
        size            Long                        0-9223372036854775807
    """,
    LogicalVolumes: """
        block_count Integer                         0-2147483647
        block_size  Long                            0-1048576
        file_system String                          0-255                   mandatory
        inode_size  Integer                         0-2147483647            mandatory
        inode_nums  Long                            0-9223372036854775807
        device_use  String                          0-255
        mount_point String                          0-256                   mandatory
        name        String                          0-1024                  mandatory
        size        Long                            0-9223372036854775807   mandatory
        used_size   Long                            0-9223372036854775807   mandatory
        free_size   Long                            0-9223372036854775807   mandatory
    """,
    InitTargetServer: """
        disks         DiskIntargetServer[]          0-65535
        volume_groups VolumeGroups[]                0-65535
    """,
    DiskIntargetServer: """
        name             String                     0-255
        size             Long                       0-9223372036854775807
        device_use       String                     0-255
        used_size        Long                       0-9223372036854775807
        physical_volumes PhysicalVolumes[]          0-65535
    """,
    PhysicalVolumes: """
        device_use  String                          0-255
        file_system String                          0-255
        index       Integer                         0-2147483647
        mount_point String                          0-255
        name        String                          0-255
        size        Long                            0-9223372036854775807
        inode_size  Long                            0-9223372036854775807
        used_size   Long                            0-9223372036854775807
        uuid        String                          0-255
    """,
    TaskByServerSource: """
        id                  String                  0-255
        name                String                  0-255
        type                String                  0-255
        state               String                  0-255
        start_date          Long                    0-9223372036854775807
        speed_limit         Integer                 0-10000
        migrate_speed       Double                  0-10000
        start_target_server Boolean                 -
        vm_template_id      String                  0-255
        region_id           String                  0-255
        project_name        String                  0-255
        project_id          String                  0-255
        target_server       TargetServerById        -
        log_collect_status  String                  0-255
        exist_server        Boolean                 -
        use_public_ip       Boolean                 -
        clone_server        CloneServer             -
    """,
    TargetServerById: """
        vm_id String                                0-255
        name  String                                0-255
    """,
    CloneServer: """
        vm_id       String                          0-255
        name        String                          0-255
        clone_error String                          0-255
        clone_state String                          0-255
        error_msg   String                          0-1024
    """,
    EnvironmentCheck: """
        id            Long                          0-9223372036854775807
        params        strings(0-255)                0-65535
        name          String                        0-255
        result        String                        0-255
        error_code    String                        0-255
        error_or_warn String                        0-255
        error_params  String                        0-255
    """,
    ErrorBody: """
        error_code                    String        0-255
        error_msg                     String        0-255
        encoded_authorization_message String        0-65535
        error_param                   strings(0-65535) 0-20
        details                       ErrorDetail[] 0-20
    """,
    ErrorDetail: """
        error_code String                           0-65535
        error_msg  String                           0-65535
    """,
}
PAGES = [(SourceDocument, REGISTER), (DescribedSource, QUERY), *NESTED.items()]

VALUES = {
    (SourceDocument, "firmware"): {"BIOS", "UEFI"},
    (SourceDocument, "migration_cycle"): {
        "cutovering",
        "cutovered",
        "checking",
        "setting",
        "replicating",
        "syncing",
    },
    (SourceDocument, "state"): {
        "unavailable",
        "waiting",
        "initialize",
        "replicate",
        "syncing",
        "stopping",
        "stopped",
        "deleting",
        "error",
        "cloning",
        "cutovering",
        "finished",
    },
    (DescribedSource, "state"): {
        "unavailable",
        "waiting",
        "initialize",
        "replicate",
        "syncing",
        "stopping",
        "stopped",
        "deleting",
        "error",
        "cloning",
        "testing",
        "cutovering",  # on the page for registering only
        "finished",
    },
    (SourceDocument, "start_type"): {"MANUAL", "MGC", ""},
    (SourceDocument, "platform"): {
        "hw",
        "ali",
        "aws",
        "azure",
        "gcp",
        "tencent",
        "vmware",
        "hyperv",
        "other",
    },
    (ServerDisk, "partition_style"): {"MBR", "GPT"},
    (DiskIntargetServer, "device_use"): {"BOOT", "OS", "NORMAL"},
    (EnvironmentCheck, "result"): {"OK", "WARN", "ERROR"},
    # The pages leave these lists empty, or their own examples break them; docs/vendors has the values.
    (SourceDocument, "os_type"): {"LINUX", "WINDOWS"},
    (SourceDocument, "boot_loader"): {"GRUB"},
    (ServerDisk, "device_use"): {"NORMAL", "OS", "BOOT", "VOLUME_GROUP", "BTRFS"},
    (PhysicalVolume, "device_use"): {"NORMAL", "OS", "BOOT", "VOLUME_GROUP", "BTRFS"},
    (LogicalVolumes, "device_use"): {"NORMAL", "OS", "BOOT", "VOLUME_GROUP", "BTRFS"},
}


def rows_of(page: str) -> dict[str, tuple[str, str, bool]]:
    """Read a table of ours: type, bounds and whether it is mandatory, by field."""
    rows = [line.split() for line in page.strip().splitlines()]
    return {row[0]: (row[1], row[2], row[3:] == ["mandatory"]) for row in rows}


def names_of(cls: type) -> set[str]:
    return set(wire_of(cls))


def type_of(wire: Wire) -> set[str]:
    """How the pages may call the type of a field."""
    most = "" if math.isinf(wire.item_maximum) else f"{wire.item_maximum}"
    return {
        Kind.TEXT: {"String"},
        Kind.INTEGER: {"Integer", "Long"} if wire.maximum <= MAX32 else {"Long"},
        Kind.NUMBER: {"Double"},
        Kind.FLAG: {"String"} if wire.as_text else {"Boolean"},
        Kind.TEXTS: {f"strings(0-{most})"},
        Kind.ONE: {getattr(wire.item, "__name__", "")},
        Kind.MANY: {f"{getattr(wire.item, '__name__', '')}[]"},
    }[wire.kind]


@pytest.mark.parametrize(
    ("cls", "expected"),
    [
        (SourceDocument, {*rows_of(REGISTER), "ipv6"}),  # ipv6: newer editions
        (DescribedSource, {*rows_of(REGISTER), *rows_of(QUERY), "ipv6"}),
        *((cls, set(rows_of(page))) for cls, page in NESTED.items()),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_an_object_has_the_fields_of_its_table_and_no_others(cls: type, expected: set[str]) -> None:
    assert names_of(cls) == expected


def test_every_object_of_the_module_is_held_against_its_table() -> None:
    classes = {value for value in vars(models).values() if isinstance(value, type) and attrs.has(value)}
    assert {cls for cls in classes if cls.__module__ == models.__name__} == {cls for cls, _ in PAGES}


@pytest.mark.parametrize(
    ("cls", "field", "row"),
    [(cls, field, row) for cls, page in PAGES for field, row in rows_of(page).items()],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "__name__", ""),
)
def test_a_field_has_the_type_and_the_bounds_of_its_table(cls: type, field: str, row: tuple[str, str, bool]) -> None:
    wire = wire_of(cls)[field]
    kind, bounds, mandatory = row
    assert kind in type_of(wire)
    assert wire.required is mandatory
    if bounds != "-" and not wire.as_text:
        least, _, most = bounds.partition("-")
        assert (wire.minimum, wire.maximum) == (float(least), float(most) if "." in most else int(most))


@pytest.mark.parametrize(("cls", "field"), VALUES, ids=lambda value: getattr(value, "__name__", value))
def test_a_field_takes_the_listed_values(cls: type, field: str) -> None:
    assert set(wire_of(cls)[field].values) == VALUES[cls, field]


def test_no_other_field_is_held_to_a_list() -> None:
    listed = {(cls, name) for cls, _ in PAGES for name, wire in wire_of(cls).items() if wire.values}
    inherited = {(DescribedSource, name) for cls, name in VALUES if cls is SourceDocument}
    assert listed == {*VALUES, *inherited}


def test_the_subvolumes_go_by_the_name_that_the_service_reads_and_are_read_under_both() -> None:
    wire = wire_of(BtrfsFileSystem)["subvolume"]
    assert (wire.name, wire.also) == ("subvolumn", ("subvolume",))
    volume = {"subvol_name": "@"}
    for name in ("subvolumn", "subvolume"):
        assert decode(BtrfsFileSystem, {name: [volume]}).subvolume == (BtrfsSubvolume(subvol_name="@"),)
    both = decode(BtrfsFileSystem, {"subvolume": [], "subvolumn": [volume]})
    assert both.subvolume == (BtrfsSubvolume(subvol_name="@"),)
    assert list(encode(both)) == ["subvolumn"]


# The vendor's examples.

REPAIRED = {
    "btrfs_list[0].size": ("3.30GiB", 3543348019),
    "btrfs_list[0].nodesize": ("16384", 16384),
    "btrfs_list[0].sectorsize": ("4096", 4096),
    "btrfs_list[0].g_vol_used_size": ("3894038528", 3894038528),
    "volume_groups[0].logical_volumes[0].inode_size": ("256", 256),
}


@pytest.mark.filterwarnings("ignore::migrate_core.IncompleteDocumentWarning")
def test_the_example_is_registered_as_it_stands_but_for_what_its_own_tables_forbid(
    caller: Caller, simulator: HuaweiSmsSimulator
) -> None:
    client = caller.connect("huawei_sms", clock=simulator.clock, **simulator.settings())
    original = example("huawei_sms/register-request.json")
    spec = mc.SourceSpec(name="ignored", details=document_from_json(original))
    caller(client.sources.register(spec, allow_incomplete=True))
    (sent,) = simulator.journal
    before, after = leaves(original), leaves(json.loads(sent.body))
    changed = {
        path: (before.get(path), after.get(path)) for path in {*before, *after} if before.get(path) != after.get(path)
    }
    assert changed == REPAIRED
    assert {path: type(value) for path, value in after.items() if path not in REPAIRED} == {
        path: type(value) for path, value in before.items() if path not in REPAIRED
    }


def test_what_is_sent_of_the_example_is_the_same_document_again() -> None:
    sent = json.loads(json.dumps(encode(suse())))
    assert document_from_json(sent) == suse() == example_document()
    assert encode(document_from_json(sent)) == sent


def attribute(document: Any, path: str) -> Any:
    """Follow a JSON path through the attributes of a document."""
    for name, index in re.findall(r"(\w+)((?:\[\d+\])*)", path):
        document = getattr(document, "subvolume" if name == "subvolumn" else name)
        for place in re.findall(r"\d+", index):
            document = document[int(place)]
    return document


def test_each_value_of_the_query_example_is_read_with_its_type() -> None:
    payload = example("huawei_sms/query-response.json")
    document = decode(DescribedSource, payload)
    read = leaves(payload)
    assert len(read) > 150
    for path, value in read.items():
        found = attribute(document, path)
        assert found == (tuple(value) if isinstance(value, list) else value), path
        assert type(found) is (tuple if isinstance(value, list) else type(value)), path


def test_what_the_query_example_does_not_have_is_none() -> None:
    document = decode(DescribedSource, example("huawei_sms/query-response.json"))
    assert document.btrfs_list is None
    assert document.has_tc is None
    assert document.enterprise_project_id is None
    assert document.current_task is not None
    assert document.current_task.clone_server is None
    assert document.current_task.start_date is None
    assert document.volume_groups == ()


def test_the_query_example_is_read_without_a_fault() -> None:
    faults: list[mc.Fault] = []
    document = decode(DescribedSource, example("huawei_sms/query-response.json"), faults)
    assert faults == []
    # The answer has nulls where the table for registering wants a value.
    assert {fault.path for fault in faults_of(document)} == {
        f"networks[0].{name}" for name in ("name", "ip", "netmask", "gateway")
    }


def test_a_described_source_gives_the_vendors_own_object(caller: Caller, simulator: HuaweiSmsSimulator) -> None:
    client = caller.connect("huawei_sms", clock=simulator.clock, **simulator.settings())
    source_id = caller(caller(client.sources.register(mc.SourceSpec(name="x", details=windows()))).wait())
    document = document_of(caller(client.sources.describe(source_id)))
    assert document.id == source_id
    given = {name: getattr(document, name) for name in ("hostname", "os_version", "disks", "networks", "firmware")}
    assert given == {name: getattr(windows(), name) for name in given}


def test_every_value_of_the_query_example_survives_in_raw(caller: Caller, simulator: HuaweiSmsSimulator) -> None:
    client = caller.connect("huawei_sms", clock=simulator.clock, **simulator.settings())
    payload = example("huawei_sms/query-response.json")
    simulator.faults.answer(200, json.dumps(payload))
    source = caller(client.sources.describe("x"))
    assert leaves(source.raw) == {
        path: () if value == [] else value  # lists are kept as tuples
        for path, value in leaves(payload).items()
    }
    assert document_of(source) == decode(DescribedSource, payload)


def test_without_the_raw_answer_there_is_no_vendors_object(caller: Caller, simulator: HuaweiSmsSimulator) -> None:
    client = caller.connect("huawei_sms", clock=simulator.clock, keep_raw=False, **simulator.settings())
    (source_id,) = simulator.add_sources(1)
    source = caller(client.sources.describe(source_id))
    assert source.raw == {}
    with pytest.raises(mc.InvalidArgumentError, match="keep_raw"):
        document_of(source)


# What the tables allow.


def test_whole_machines_have_no_fault() -> None:
    assert registration_faults(linux()) == []
    assert registration_faults(windows()) == []


def disk(**changes: Any) -> tuple[ServerDisk, ...]:
    return (attrs.evolve(linux().disks[0], **changes),)  # type: ignore[index]


def volume(**changes: Any) -> tuple[ServerDisk, ...]:
    return disk(physical_volumes=(PhysicalVolume(**changes),))


def logical(**changes: Any) -> tuple[VolumeGroups, ...]:
    whole = linux().volume_groups[0].logical_volumes[0]  # type: ignore[index]
    return (VolumeGroups(logical_volumes=(attrs.evolve(whole, **changes),)),)


def btrfs(**changes: Any) -> tuple[BtrfsFileSystem, ...]:
    return (attrs.evolve(linux().btrfs_list[0], **changes),)  # type: ignore[index]


def subvolume(**changes: Any) -> tuple[BtrfsFileSystem, ...]:
    whole = btrfs()[0].subvolume[0]  # type: ignore[index]
    return btrfs(subvolume=(attrs.evolve(whole, **changes),))


LOGICAL = "volume_groups[0].logical_volumes[0]"
VOLUME = "disks[0].physical_volumes[0]"
SUBVOLUME = "btrfs_list[0].subvolumn[0]"

AT_THE_BOUNDS = [
    {"id": ""},
    {"name": "x" * 255},
    {"name": "\N{GRINNING FACE}" * 255},  # characters, not bytes
    {"cpu_quantity": 0},
    {"cpu_quantity": 65535},
    {"memory": MAX64},
    {"io_read_wait": 0.0},
    {"io_read_wait": 0},
    {"io_read_wait": 10000},
    {"start_type": ""},
    {"raw_devices": ""},
    {"disks": ()},
    {"disks": disk(physical_volumes=())},
    {"disks": volume()},
    {"disks": volume(index=MAX32, inode_nums=MAX64)},
    {"disks": list(disk(relation_name=None, inode_size=MAX32))},
    {"volume_groups": logical(block_size=1048576, mount_point="x" * 256, name="x" * 1024)},
    {"volume_groups": (VolumeGroups(logical_volumes=logical()[0].logical_volumes * 255),)},  # type: ignore[operator]
    {"btrfs_list": btrfs(subvolume=())},
    {"btrfs_list": subvolume(subvol_mount_path=None)},
    {"btrfs_list": subvolume(is_snapshot=True)},
    {"networks": (nic(mac=""),)},
]
OUT_OF_BOUNDS = [
    ({"id": "x" * 256}, "id", "is 256 characters long, allowed is 0 to 255"),
    ({"linux_block_check": "x" * 256}, "linux_block_check", "256 characters"),
    ({"cpu_quantity": -1}, "cpu_quantity", "is -1, allowed is 0 to 65535"),
    ({"cpu_quantity": 65536}, "cpu_quantity", "is 65536"),
    ({"memory": MAX64 + 1}, "memory", "9223372036854775807"),
    ({"io_read_wait": 10000.1}, "io_read_wait", "is 10000.1, allowed is 0.0 to 10000.0"),
    ({"io_read_wait": math.nan}, "io_read_wait", "is nan"),
    ({"io_read_wait": math.inf}, "io_read_wait", "is inf"),
    ({"disks": disk(size=-1)}, "disks[0].size", "is -1"),
    ({"disks": volume(inode_size=MAX32 + 1)}, f"{VOLUME}.inode_size", "2147483648"),
    ({"disks": volume(size_per_cluster=MAX32 + 1)}, f"{VOLUME}.size_per_cluster", "2147483648"),
    ({"volume_groups": logical(block_size=1048577)}, f"{LOGICAL}.block_size", "1048577"),
    ({"volume_groups": logical(mount_point="x" * 257)}, f"{LOGICAL}.mount_point", "257"),
    ({"volume_groups": logical(name="x" * 1025)}, f"{LOGICAL}.name", "1025"),
    (
        {"volume_groups": (VolumeGroups(logical_volumes=logical()[0].logical_volumes * 256),)},  # type: ignore[operator]
        "volume_groups[0].logical_volumes",
        "is 256 items long, allowed is 0 to 255",
    ),
    ({"btrfs_list": btrfs(sectorsize=MAX32 + 1)}, "btrfs_list[0].sectorsize", "2147483648"),
    ({"btrfs_list": subvolume(subvol_name="x" * 256)}, f"{SUBVOLUME}.subvol_name", "256"),
    ({"networks": (nic(), nic(mtu=-1))}, "networks[1].mtu", "is -1"),
]
OTHER_VALUES = [
    ({"os_type": "linux"}, "os_type", "'LINUX', 'WINDOWS'"),
    ({"firmware": "EFI"}, "firmware", "'BIOS', 'UEFI'"),
    ({"boot_loader": "GRUB2"}, "boot_loader", "'GRUB'"),
    ({"state": "testing"}, "state", "'waiting'"),
    ({"migration_cycle": "init"}, "migration_cycle", "'checking'"),
    ({"start_type": "AUTO"}, "start_type", "'MANUAL', 'MGC', ''"),
    ({"platform": "oracle"}, "platform", "'hyperv'"),
    ({"disks": disk(partition_style="RAW")}, "disks[0].partition_style", "'MBR', 'GPT'"),
    ({"disks": disk(device_use="DATA")}, "disks[0].device_use", "'NORMAL'"),
    ({"disks": volume(device_use="DATA")}, f"{VOLUME}.device_use", "'BTRFS'"),
    ({"volume_groups": logical(device_use="DATA")}, f"{LOGICAL}.device_use", "'VOLUME_GROUP'"),
]
OTHER_TYPES = [
    ({"name": 5}, "name", "is not text but int"),
    ({"name": b"x"}, "name", "is not text but bytes"),
    ({"cpu_quantity": "4"}, "cpu_quantity", "is not an integer but str"),
    ({"cpu_quantity": 4.0}, "cpu_quantity", "is not an integer but float"),
    ({"cpu_quantity": True}, "cpu_quantity", "is not an integer but bool"),
    ({"io_read_wait": "3.4"}, "io_read_wait", "is not a number but str"),
    ({"io_read_wait": False}, "io_read_wait", "is not a number but bool"),
    ({"has_rsync": "true"}, "has_rsync", "is not true or false but str"),
    ({"has_rsync": 1}, "has_rsync", "is not true or false but int"),
    ({"disks": linux().disks[0]}, "disks", "is not a list of objects but ServerDisk"),  # type: ignore[index]
    ({"disks": "none"}, "disks", "is not a list of objects but str"),
    ({"disks": ({"name": "/dev/vda"},)}, "disks[0]", "is not a ServerDisk"),
    ({"disks": (None,)}, "disks[0]", "is not a ServerDisk"),
    ({"disks": disk(physical_volumes=(*disk(),))}, "disks[0].physical_volumes[0]", "is not a PhysicalVolume"),
    ({"btrfs_list": subvolume(is_snapshot="false")}, f"{SUBVOLUME}.is_snapshot", "is not true or false but str"),
]
MISSING = [
    *(({"disks": disk(**{name: None})}, f"disks[0].{name}") for name in ("name", "device_use", "size", "used_size")),
    ({"disks": disk(physical_volumes=None)}, "disks[0].physical_volumes"),
    *(
        ({"volume_groups": logical(**{name: None})}, f"{LOGICAL}.{name}")
        for name, row in rows_of(NESTED[LogicalVolumes]).items()
        if row[2]
    ),
    *(
        ({"btrfs_list": btrfs(**{name: None})}, f"btrfs_list[0].{'subvolumn' if name == 'subvolume' else name}")
        for name in rows_of(NESTED[BtrfsFileSystem])
    ),
    *(
        ({"btrfs_list": subvolume(**{name: None})}, f"{SUBVOLUME}.{name}")
        for name in rows_of(NESTED[BtrfsSubvolume])
        if name != "subvol_mount_path"  # none is sent as the text "null"
    ),
    *(({"networks": (nic(**{name: None}),)}, f"networks[0].{name}") for name in ("name", "ip", "netmask", "gateway")),
    ({"networks": (nic(mac=None),)}, "networks[0].mac"),
]
FAULTY: list[tuple[dict[str, Any], str, str]] = [
    *OUT_OF_BOUNDS,
    *OTHER_VALUES,
    *OTHER_TYPES,
    *((changes, path, "is mandatory") for changes, path in MISSING),
]


@pytest.mark.parametrize("changes", AT_THE_BOUNDS, ids=lambda changes: next(iter(changes)))
def test_what_lies_at_the_bounds_is_allowed(changes: dict[str, Any]) -> None:
    assert registration_faults(linux(**changes)) == []


@pytest.mark.parametrize(("changes", "path", "text"), FAULTY, ids=lambda value: value if type(value) is str else "")
def test_what_breaks_a_table_is_named_with_its_path(changes: dict[str, Any], path: str, text: str) -> None:
    document = linux(**changes)
    (fault,) = [fault for fault in registration_faults(document) if not fault.waivable]
    assert fault.path == path
    assert text in fault.message
    assert str(fault) == f"{path}: {fault.message}"


def test_all_that_breaks_a_table_is_listed_at_once() -> None:
    document = linux(
        name=5,
        firmware="EFI",
        cpu_quantity=65536,
        disks=(*disk(size=None, partition_style="RAW"), {}),
        networks=(nic(mtu="1500"),),
        boot_loader="LILO",
        io_read_wait=-1.0,
    )
    assert [fault.path for fault in registration_faults(document)] == [
        "name",
        "firmware",
        "cpu_quantity",
        "disks[0].partition_style",
        "disks[0].size",
        "disks[1]",
        "networks[0].mtu",
        "boot_loader",
        "io_read_wait",
    ]


@pytest.mark.parametrize("allow_incomplete", [True, False])
@pytest.mark.parametrize(
    "changes",
    [FAULTY[0][0], OTHER_VALUES[0][0], OTHER_TYPES[0][0], MISSING[0][0]],
    ids=["bound", "value", "type", "mandatory"],
)
def test_what_breaks_a_table_is_never_sent(
    caller: Caller, simulator: HuaweiSmsSimulator, changes: dict[str, Any], allow_incomplete: bool
) -> None:
    client = caller.connect("huawei_sms", clock=simulator.clock, **simulator.settings("login"))
    spec = mc.SourceSpec(name="x", details=linux(**changes, hostname=None))
    with pytest.raises(mc.InvalidDocumentError) as raised:
        caller(client.sources.register(spec, allow_incomplete=allow_incomplete))
    assert [fault.waivable for fault in raised.value.faults] == [False, True]
    assert simulator.journal == []


def test_lilo_is_refused_in_plain_words(caller: Caller, simulator: HuaweiSmsSimulator) -> None:
    client = caller.connect("huawei_sms", clock=simulator.clock, **simulator.settings())
    spec = mc.SourceSpec(name="x", details=linux(boot_loader="LILO"))
    with pytest.raises(mc.InvalidDocumentError) as raised:
        caller(client.sources.register(spec, allow_incomplete=True))
    assert str(raised.value) == ("the document has 1 fault(s):\n  boot_loader: is 'LILO', allowed are: 'GRUB'")
    assert simulator.journal == []


# What only the text of the pages asks for.

NEEDED = [
    (linux, "name", "is needed to register"),
    (linux, "hostname", "is needed to register"),
    (linux, "os_version", "is needed to register"),
    (linux, "networks", "is needed to register"),
    (linux, "agent_version", "is needed to register"),
    (linux, "ip", "is needed to register (or ipv6)"),
    (linux, "btrfs_list", "is needed for Linux"),
    (linux, "volume_groups", "is needed for Linux"),
    (linux, "has_rsync", "is needed for Linux"),
    (linux, "paravirtualization", "is needed for Linux"),
    (linux, "raw_devices", "is needed for Linux"),
    (linux, "boot_loader", "is needed for Linux"),
    (linux, "has_tc", "is needed for Linux"),
    (windows, "driver_files", "is needed for Windows"),
    (windows, "system_services", "is needed for Windows"),
    (windows, "account_rights", "is needed for Windows"),
    (windows, "system_dir", "is needed for Windows"),
    (windows, "name", "is needed to register"),
    (windows, "ip", "is needed to register (or ipv6)"),
]
INCOMPLETE = [
    *((machine(**{field: None}), field, text) for machine, field, text in NEEDED),
    (linux(disks=disk() + disk(partition_style=None)), "disks[1].partition_style", "is needed to register"),
    (linux(networks=(nic(), nic(mtu=None))), "networks[1].mtu", "is needed for Linux"),
    (linux(ip="192.168.136.xxx"), "ip", "'192.168.136.xxx' is no IPv4 address"),
    (linux(ip="fe80::1"), "ip", "'fe80::1' is no IPv4 address"),
    (linux(ip="192.168.136.10/24"), "ip", "is no IPv4 address"),
    (linux(ipv6="192.168.136.10"), "ipv6", "'192.168.136.10' is no IPv6 address"),
    (linux(networks=(nic(ip="eth0"),)), "networks[0].ip", "is no IPv4 address"),
    (linux(networks=(nic(ipv6="::g"),)), "networks[0].ipv6", "is no IPv6 address"),
    (linux(networks=(nic(gateway="gateway"),)), "networks[0].gateway", "is no IPv4 address"),
    (linux(networks=(nic(netmask="netmask"),)), "networks[0].netmask", "is no IPv4 address"),
]


@pytest.mark.parametrize(
    ("document", "path", "text"), INCOMPLETE, ids=lambda value: value if type(value) is str else ""
)
def test_what_breaks_a_rule_of_the_text_is_a_fault_that_can_be_waived(
    document: SourceDocument, path: str, text: str
) -> None:
    (fault,) = registration_faults(document)
    assert (fault.path, fault.waivable) == (path, True)
    assert text in fault.message


@pytest.mark.parametrize(
    "document",
    [
        linux(ip=None, ipv6="fe80::1"),
        linux(ip=""),
        linux(btrfs_list=(), volume_groups=(), raw_devices=""),
        windows(has_rsync=None, boot_loader=None, btrfs_list=None),
        linux(networks=(nic(gateway=""),)),
    ],
    ids=["only IPv6", "no address yet", "none of it", "a Linux rule for Windows", "no gateway"],
)
def test_what_breaks_no_rule_is_no_fault(document: SourceDocument) -> None:
    assert registration_faults(document) == []


def test_without_an_operating_system_no_rule_of_either_is_applied() -> None:
    document = windows(os_type=None, driver_files=None, system_dir=None)
    assert [str(fault) for fault in registration_faults(document)] == ["os_type: is needed to register"]


def test_rules_name_items_by_their_own_place() -> None:
    document = linux(disks=({}, *disk(partition_style=None)), networks=({}, nic(mtu=None)))
    assert {fault.path for fault in registration_faults(document) if fault.waivable} == {
        "disks[1].partition_style",
        "networks[1].mtu",
    }


def test_an_empty_document_breaks_every_rule_to_register() -> None:
    faults = registration_faults(SourceDocument())
    assert {fault.path for fault in faults} == {
        "name",
        "hostname",
        "ip",
        "os_type",
        "os_version",
        "networks",
        "agent_version",
    }
    assert all(fault.waivable for fault in faults)


EXAMPLES_FAULTS = [
    "hostname: is needed to register",
    "raw_devices: is needed for Linux",
    "has_tc: is needed for Linux",
    "ip: '192.168.136.xxx' is no IPv4 address",
    "networks[0].mtu: is needed for Linux",
    "networks[0].ip: '192.168.136.xxx' is no IPv4 address",
    "networks[0].gateway: 'gateway' is no IPv4 address",
    "networks[0].netmask: 'netmask' is no IPv4 address",
]


def test_the_vendors_example_is_refused_with_all_its_faults(caller: Caller, simulator: HuaweiSmsSimulator) -> None:
    client = caller.connect("huawei_sms", clock=simulator.clock, **simulator.settings("login"))
    with pytest.raises(mc.InvalidDocumentError) as raised:
        caller(client.sources.register(mc.SourceSpec(name="x", details=suse())))
    assert [str(fault) for fault in raised.value.faults] == EXAMPLES_FAULTS
    for line in EXAMPLES_FAULTS:
        assert f"\n  {line}" in str(raised.value)
    assert simulator.journal == []


@pytest.mark.parametrize("through", ["argument", "options of the specification"])
def test_the_vendors_example_is_sent_when_that_is_allowed_with_a_warning_for_each_fault(
    caller: Caller, simulator: HuaweiSmsSimulator, through: str
) -> None:
    client = caller.connect("huawei_sms", clock=simulator.clock, **simulator.settings())
    allowed = {"allow_incomplete": True}
    spec = mc.SourceSpec(name="x", details=suse(), options=allowed if through != "argument" else {})
    with pytest.warns(mc.IncompleteDocumentWarning) as warned:
        caller(client.sources.register(spec, **(allowed if through == "argument" else {})))
    assert [str(warning.message) for warning in warned] == [
        f"the document is incomplete: {fault}" for fault in EXAMPLES_FAULTS
    ]
    (sent,) = simulator.journal
    assert json.loads(sent.body) == encode(suse())


def test_an_argument_wins_over_the_options_of_the_specification(caller: Caller, simulator: HuaweiSmsSimulator) -> None:
    client = caller.connect("huawei_sms", clock=simulator.clock, **simulator.settings())
    spec = mc.SourceSpec(name="x", details=suse(), options={"allow_incomplete": True})
    with pytest.raises(mc.InvalidDocumentError):
        caller(client.sources.register(spec, allow_incomplete=False))
    assert simulator.journal == []


def test_a_whole_machine_is_sent_without_a_warning(caller: Caller, simulator: HuaweiSmsSimulator) -> None:
    client = caller.connect("huawei_sms", clock=simulator.clock, **simulator.settings())
    for document in (linux(), windows()):
        caller(client.sources.register(mc.SourceSpec(name="x", details=document), allow_incomplete=True))
    assert [json.loads(sent.body) for sent in simulator.journal] == [encode(linux()), encode(windows())]


def test_an_unknown_option_is_refused(caller: Caller, simulator: HuaweiSmsSimulator) -> None:
    client = caller.connect("huawei_sms", clock=simulator.clock, **simulator.settings())
    with pytest.raises(mc.UnsupportedOptionError) as raised:
        caller(client.sources.register(mc.SourceSpec(name="x", details=linux()), force=True))
    assert (raised.value.option, raised.value.accepted) == ("force", ("allow_incomplete",))
    assert simulator.journal == []


# Loading the vendor's JSON.


def test_unknown_fields_and_unreadable_values_are_listed_at_once() -> None:
    payload = {
        "name": 5,
        "hostname": None,
        "cpu_quantity": "four",
        "memory": "2GiB",
        "io_read_wait": "fast",
        "has_rsync": "yes",
        "paravirtualization": 0,
        "disks": {"name": "/dev/vda"},
        "volume_groups": [{"logical_volumes": [{"inode_size": 0.5, "unit": 1}]}],
        "btrfs_list": [{"size": "3.30GB", "subvolumn": [{"is_snapshot": 2}]}],
        "networks": [{"mtu": True}, "eth0"],
        "current_task": {},
        "surprise": 1,
    }
    with pytest.raises(mc.InvalidDocumentError) as raised:
        document_from_json(payload)
    assert [(fault.path, fault.message, fault.waivable) for fault in raised.value.faults] == [
        ("name", "is not text", False),
        ("cpu_quantity", "is not an integer", False),
        ("memory", "is not an integer", False),
        ("disks", "is not a list of objects", False),
        ("btrfs_list[0].size", "is not an integer", False),
        ("btrfs_list[0].subvolumn[0].is_snapshot", "is not true or false", False),
        ("networks[0].mtu", "is not an integer", False),
        ("networks[1]", "is not an object", False),
        ("has_rsync", "is not true or false", False),
        ("paravirtualization", "is not true or false", False),
        ("volume_groups[0].logical_volumes[0].inode_size", "is not an integer", False),
        ("volume_groups[0].logical_volumes[0].unit", "is no field of LogicalVolumes", False),
        ("io_read_wait", "is not a number", False),
        ("current_task", "is no field of SourceDocument", False),
        ("surprise", "is no field of SourceDocument", False),
    ]


def test_a_field_given_under_both_its_names_is_not_dropped_in_silence() -> None:
    payload = {"btrfs_list": [{"subvolumn": [], "subvolume": [{"subvol_name": "@"}]}]}
    with pytest.raises(mc.InvalidDocumentError):
        document_from_json(payload)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("3.30GiB", 3543348019),
        ("0", 0),
        ("16384", 16384),
        (" 1 KiB ", 1024),
        ("1.5MiB", 1572864),
        ("1TiB", 2**40),
        ("2PiB", 2**51),
        ("7B", 7),
        (7.0, 7),
        (str(MAX64), MAX64),
    ],
)
def test_a_btrfs_size_is_read_with_its_unit(text: Any, size: int) -> None:
    (found,) = document_from_json({"btrfs_list": [{"size": text}]}).btrfs_list or ()
    assert found.size == size


@pytest.mark.parametrize("text", ["3.30GB", "GiB", "", "1e3", "0x10", "१२", "3.30 GiB 1", "nan", "inf"])
def test_a_size_that_cannot_be_read_is_a_fault_to_send_and_none_to_receive(text: str) -> None:
    payload = {"btrfs_list": [{"size": text}]}
    with pytest.raises(mc.InvalidDocumentError):
        document_from_json(payload)
    (found,) = decode(DescribedSource, payload).btrfs_list or ()
    assert found.size is None


def test_the_quirks_of_the_service_are_read_as_what_they_mean() -> None:
    document = decode(
        DescribedSource,
        {
            "id": 7,
            "cpu_quantity": "4",
            "memory": 2147483648.0,
            "has_tc": "True",
            "connected": "false",
            "oem_system": "maybe",
            "io_read_wait": "3.4",
            "disks": [{"name": "a"}, None, "b"],
            "checks": [{"params": "one"}, {"params": ["x", None, 5]}],
            "state": "a state of the future",
            "current_task": [],
            "init_target_server": {"disks": [{"device_use": "ELSE"}]},
            "surprise": {},
        },
    )
    assert (document.id, document.cpu_quantity, document.memory) == ("7", 4, 2147483648)
    assert (document.has_tc, document.connected, document.oem_system) == (True, False, None)
    assert document.io_read_wait == 3.4
    assert document.disks == (ServerDisk(name="a"),)
    assert document.checks == (EnvironmentCheck(params=("one",)), EnvironmentCheck(params=("x",)))
    assert document.state == "a state of the future"
    assert document.current_task is None
    assert document.init_target_server == InitTargetServer(disks=(DiskIntargetServer(device_use="ELSE"),))


@pytest.mark.parametrize("payload", [[], ["id"], "id", None, 5])
def test_json_that_is_no_object_is_refused_as_a_document(payload: Any) -> None:
    with pytest.raises(mc.InvalidDocumentError):
        document_from_json(payload)
