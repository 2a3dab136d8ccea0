"""The vendor's own objects: every field of its pages, with their bounds and values.

Names, types and bounds are those of ``docs/vendors/huawei-sms.md``, section "Objects". What the service may answer is
wider than what it documents, so reading is tolerant; what we send is held to the tables.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from migrate_core.documents import (
    MAX32,
    MAX64,
    decode,
    encode_sound,
    faults_of,
    flag,
    integer,
    many,
    number,
    one,
    text,
    texts,
)
from migrate_core.errors import Fault, InvalidArgumentError, InvalidDocumentError
from migrate_core.models import SourceServer

__all__ = [
    "BtrfsFileSystem",
    "BtrfsSubvolume",
    "CloneServer",
    "DescribedSource",
    "DiskIntargetServer",
    "EnvironmentCheck",
    "ErrorBody",
    "ErrorDetail",
    "InitTargetServer",
    "LogicalVolumes",
    "NetWork",
    "PhysicalVolume",
    "PhysicalVolumes",
    "ServerDisk",
    "SourceDocument",
    "TargetServerById",
    "TaskByServerSource",
    "VolumeGroups",
    "document_from_json",
    "document_of",
    "registration_faults",
    "registration_of",
]

DEVICE_USES = ("NORMAL", "OS", "BOOT", "VOLUME_GROUP", "BTRFS")
STATES = (
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
)
CYCLES = ("cutovering", "cutovered", "checking", "setting", "replicating", "syncing")
PLATFORMS = ("hw", "ali", "aws", "azure", "gcp", "tencent", "vmware", "hyperv", "other")


@attrs.frozen(kw_only=True)
class PhysicalVolume:
    """A partition of a source's disk."""

    device_use: str | None = text(values=DEVICE_USES)
    file_system: str | None = text()
    index: int | None = integer(MAX32)
    mount_point: str | None = text()
    name: str | None = text()
    size: int | None = integer(MAX64)
    used_size: int | None = integer(MAX64)
    inode_size: int | None = integer(MAX32)
    inode_nums: int | None = integer(MAX64)
    uuid: str | None = text()
    size_per_cluster: int | None = integer(MAX32)


@attrs.frozen(kw_only=True)
class ServerDisk:
    """A disk of a source; sizes in bytes. ``used_size`` is the sum of the partitions, not the space in use."""

    name: str | None = text(required=True)
    partition_style: str | None = text(values=("MBR", "GPT"))
    device_use: str | None = text(values=DEVICE_USES, required=True)
    size: int | None = integer(MAX64, required=True)
    used_size: int | None = integer(MAX64, required=True)
    physical_volumes: tuple[PhysicalVolume, ...] | None = many(PhysicalVolume, required=True)
    os_disk: bool | None = flag()
    relation_name: str | None = text()
    inode_size: int | None = integer(MAX32)


@attrs.frozen(kw_only=True)
class LogicalVolumes:
    """A logical volume of a volume group."""

    block_count: int | None = integer(MAX32)
    block_size: int | None = integer(1048576)
    file_system: str | None = text(required=True)
    inode_size: int | None = integer(MAX32, required=True)
    inode_nums: int | None = integer(MAX64)
    device_use: str | None = text(values=DEVICE_USES)
    mount_point: str | None = text(256, required=True)
    name: str | None = text(1024, required=True)
    size: int | None = integer(MAX64, required=True)
    used_size: int | None = integer(MAX64, required=True)
    free_size: int | None = integer(MAX64, required=True)


@attrs.frozen(kw_only=True)
class VolumeGroups:
    """A volume group; ``components`` are its devices, joined with semicolons."""

    components: str | None = text()
    free_size: int | None = integer(MAX64)
    logical_volumes: tuple[LogicalVolumes, ...] | None = many(LogicalVolumes, 255)
    name: str | None = text()
    size: int | None = integer(MAX64)


@attrs.frozen(kw_only=True)
class BtrfsSubvolume:
    """A Btrfs subvolume; ``subvol_mount_path`` is ``None`` for one that is not mounted."""

    uuid: str | None = text(required=True)
    is_snapshot: bool | None = flag(required=True, as_text=True)
    subvol_id: str | None = text(required=True)
    parent_id: str | None = text(required=True)
    subvol_name: str | None = text(required=True)
    subvol_mount_path: str | None = text(required=True, none_text="null")


@attrs.frozen(kw_only=True)
class BtrfsFileSystem:
    """A Btrfs file system; ``size`` in bytes, though agents report it as ``"3.30GiB"``."""

    name: str | None = text(required=True)
    label: str | None = text(required=True)
    uuid: str | None = text(required=True)
    device: str | None = text(required=True)
    size: int | None = integer(MAX64, required=True, units=True)
    nodesize: int | None = integer(MAX64, required=True)
    sectorsize: int | None = integer(MAX32, required=True)
    data_profile: str | None = text(required=True)
    system_profile: str | None = text(required=True)
    metadata_profile: str | None = text(required=True)
    global_reserve1: str | None = text(required=True)
    g_vol_used_size: int | None = integer(MAX64, required=True)
    default_subvolid: str | None = text(required=True)
    default_subvol_name: str | None = text(required=True)
    default_subvol_mountpath: str | None = text(required=True)
    subvolume: tuple[BtrfsSubvolume, ...] | None = many(
        BtrfsSubvolume, required=True, name="subvolumn", also=("subvolume",)
    )


@attrs.frozen(kw_only=True)
class NetWork:
    """A network interface; ``mac`` is what the agent sends, which may be a hash."""

    name: str | None = text(required=True)
    ip: str | None = text(required=True)
    ipv6: str | None = text()
    netmask: str | None = text(required=True)
    gateway: str | None = text(required=True)
    mtu: int | None = integer(MAX32)
    mac: str | None = text(required=True)
    id: str | None = text()


@attrs.frozen(kw_only=True)
class SourceDocument:
    """A source server as it is registered.

    ``memory`` is sent in bytes: the vendor's text says MB, its examples are bytes. ``io_read_wait`` is passed on as it
    is: the page says minutes, the vendor's SDK milliseconds.
    """

    id: str | None = text()
    ip: str | None = text()
    ipv6: str | None = text()
    name: str | None = text()
    hostname: str | None = text()
    os_type: str | None = text(values=("LINUX", "WINDOWS"))
    os_version: str | None = text()
    virtualization_type: str | None = text()
    linux_block_check: str | None = text()
    firmware: str | None = text(values=("BIOS", "UEFI"))
    cpu_quantity: int | None = integer(65535)
    memory: int | None = integer(MAX64)
    disks: tuple[ServerDisk, ...] | None = many(ServerDisk)
    btrfs_list: tuple[BtrfsFileSystem, ...] | None = many(BtrfsFileSystem)
    networks: tuple[NetWork, ...] | None = many(NetWork)
    domain_id: str | None = text()
    has_rsync: bool | None = flag()
    paravirtualization: bool | None = flag()
    raw_devices: str | None = text()
    driver_files: bool | None = flag()
    system_services: bool | None = flag()
    account_rights: bool | None = flag()
    boot_loader: str | None = text(values=("GRUB",))
    system_dir: str | None = text()
    volume_groups: tuple[VolumeGroups, ...] | None = many(VolumeGroups)
    agent_version: str | None = text()
    kernel_version: str | None = text()
    migration_cycle: str | None = text(values=CYCLES)
    state: str | None = text(values=STATES)
    oem_system: bool | None = flag()
    start_type: str | None = text(values=("MANUAL", "MGC", ""))
    io_read_wait: float | None = number(10000.0)
    has_tc: bool | None = flag()
    platform: str | None = text(values=PLATFORMS)


@attrs.frozen(kw_only=True)
class PhysicalVolumes:
    """A partition of a recommended target disk; not the same object as `PhysicalVolume`."""

    device_use: str | None = text()
    file_system: str | None = text()
    index: int | None = integer(MAX32)
    mount_point: str | None = text()
    name: str | None = text()
    size: int | None = integer(MAX64)
    inode_size: int | None = integer(MAX64)
    used_size: int | None = integer(MAX64)
    uuid: str | None = text()


@attrs.frozen(kw_only=True)
class DiskIntargetServer:
    """A disk recommended for the target."""

    name: str | None = text()
    size: int | None = integer(MAX64)
    device_use: str | None = text(values=("BOOT", "OS", "NORMAL"))
    used_size: int | None = integer(MAX64)
    physical_volumes: tuple[PhysicalVolumes, ...] | None = many(PhysicalVolumes)


@attrs.frozen(kw_only=True)
class InitTargetServer:
    """The recommended target."""

    disks: tuple[DiskIntargetServer, ...] | None = many(DiskIntargetServer)
    volume_groups: tuple[VolumeGroups, ...] | None = many(VolumeGroups)


@attrs.frozen(kw_only=True)
class TargetServerById:
    """The target server of a migration task; both fields are ``""`` until there is one."""

    vm_id: str | None = text()
    name: str | None = text()


@attrs.frozen(kw_only=True)
class CloneServer:
    """The clone of a target server."""

    vm_id: str | None = text()
    name: str | None = text()
    clone_error: str | None = text()
    clone_state: str | None = text()
    error_msg: str | None = text(1024)


@attrs.frozen(kw_only=True)
class TaskByServerSource:
    """The migration task of a source: a replication in neutral words. Speeds in Mbit/s."""

    id: str | None = text()
    name: str | None = text()
    type: str | None = text()
    state: str | None = text()
    start_date: int | None = integer(MAX64)
    speed_limit: int | None = integer(10000)
    migrate_speed: float | None = number(10000.0)
    start_target_server: bool | None = flag()
    vm_template_id: str | None = text()
    region_id: str | None = text()
    project_name: str | None = text()
    project_id: str | None = text()
    target_server: TargetServerById | None = one(TargetServerById)
    log_collect_status: str | None = text()
    exist_server: bool | None = flag()
    use_public_ip: bool | None = flag()
    clone_server: CloneServer | None = one(CloneServer)


@attrs.frozen(kw_only=True)
class EnvironmentCheck:
    """One check of a source's fitness for migration."""

    id: int | None = integer(MAX64)
    params: tuple[str, ...] | None = texts(65535, 255)
    name: str | None = text()
    result: str | None = text(values=("OK", "WARN", "ERROR"))
    error_code: str | None = text()
    error_or_warn: str | None = text()
    error_params: str | None = text()


@attrs.frozen(kw_only=True)
class DescribedSource(SourceDocument):
    """A source server as it is described: what was registered, as far as the service gives it back, and its state.

    Times are epoch milliseconds, sizes bytes.
    """

    enterprise_project_id: str | None = text(minimum=1)
    add_date: int | None = integer(MAX64)
    state: str | None = text(values=(*STATES, "testing"))
    connected: bool | None = flag()
    init_target_server: InitTargetServer | None = one(InitTargetServer)
    current_task: TaskByServerSource | None = one(TaskByServerSource)
    checks: tuple[EnvironmentCheck, ...] | None = many(EnvironmentCheck)
    state_action_time: int | None = integer(MAX64)
    replicatesize: int | None = integer(MAX64)
    totalsize: int | None = integer(MAX64)
    last_visit_time: int | None = integer(MAX64)
    stage_action_time: int | None = integer(MAX64)


@attrs.frozen(kw_only=True)
class ErrorDetail:
    """One entry of an error's details."""

    error_code: str | None = text(65535)
    error_msg: str | None = text(65535)


@attrs.frozen(kw_only=True)
class ErrorBody:
    """An error answer of the service."""

    error_code: str | None = text()
    error_msg: str | None = text()
    encoded_authorization_message: str | None = text(65535)
    error_param: tuple[str, ...] | None = texts(20, 65535)
    details: tuple[ErrorDetail, ...] | None = many(ErrorDetail, 20)


def document_from_json(payload: Mapping[str, Any]) -> SourceDocument:
    """Load the vendor's own JSON of a source server.

    Its known quirks are repaired: numbers as text, sizes like ``"3.30GiB"``, both spellings of ``subvolumn``.

    Args:
        payload: a body as the vendor documents it for registering.

    Returns:
        The document; whether it may be registered is checked when it is.

    Raises:
        InvalidDocumentError: a field does not exist or cannot be read; all such faults are listed.
    """
    if not isinstance(payload, Mapping):
        raise InvalidDocumentError([Fault("", f"the document is no JSON object but {type(payload).__name__}")])
    faults: list[Fault] = []
    document = decode(SourceDocument, payload, faults)
    if faults:
        raise InvalidDocumentError(faults)
    return document


def document_of(source: SourceServer) -> DescribedSource:
    """Give the vendor's own object of a described source.

    Args:
        source: what ``sources.describe()`` returned.

    Raises:
        InvalidArgumentError: its ``raw`` was not kept (``keep_raw=False``).
    """
    if not source.raw:
        raise InvalidArgumentError("the source has no raw payload; connect with keep_raw=True")
    return decode(DescribedSource, source.raw)


def registration_of(document: SourceDocument) -> tuple[Mapping[str, Any], list[Fault]]:
    """Write a document as it is registered, and list all that keeps it from being registered.

    Wrong types, bounds, values and missing mandatory fields are faults for good. Rules that stand in the vendor's text
    only are waivable: the service takes the document, and its environment check fails later.

    Returns:
        The JSON object, empty if a fault is for good; and the faults.
    """
    payload = encode_sound(document)
    return payload or {}, [*(faults_of(document) if payload is None else ()), *_rules(document)]


def registration_faults(document: SourceDocument) -> list[Fault]:
    """List all that keeps a document from being registered, as `registration_of` does."""
    return registration_of(document)[1]


_TO_REGISTER = ("name", "hostname", "os_type", "os_version", "networks", "agent_version")
_FOR_LINUX = (
    "btrfs_list",
    "volume_groups",
    "has_rsync",
    "paravirtualization",
    "raw_devices",
    "boot_loader",
    "has_tc",
)
_FOR_WINDOWS = ("driver_files", "system_services", "account_rights", "system_dir")


def _rules(document: SourceDocument) -> Iterator[Fault]:
    def missing(names: tuple[str, ...], why: str) -> Iterator[Fault]:
        for name in names:
            if getattr(document, name) is None:
                yield Fault(name, f"is needed {why}", waivable=True)

    yield from missing(_TO_REGISTER, "to register")
    if document.ip is None and document.ipv6 is None:
        yield Fault("ip", "is needed to register (or ipv6)", waivable=True)
    if document.os_type == "LINUX":
        yield from missing(_FOR_LINUX, "for Linux")
    if document.os_type == "WINDOWS":
        yield from missing(_FOR_WINDOWS, "for Windows")
    yield from _address("ip", document.ip, 4)
    yield from _address("ipv6", document.ipv6, 6)
    for index, disk in _listed(document.disks, ServerDisk):
        if disk.partition_style is None:
            yield Fault(f"disks[{index}].partition_style", "is needed to register", waivable=True)
    for index, nic in _listed(document.networks, NetWork):
        here = f"networks[{index}]"
        if document.os_type == "LINUX" and nic.mtu is None:
            yield Fault(f"{here}.mtu", "is needed for Linux", waivable=True)
        yield from _address(f"{here}.ip", nic.ip, 4)
        yield from _address(f"{here}.ipv6", nic.ipv6, 6)
        yield from _address(f"{here}.gateway", nic.gateway, 4)
        yield from _address(f"{here}.netmask", nic.netmask, 4)


def _listed(items: Any, cls: type[Any]) -> list[tuple[int, Any]]:
    """What is of the right type, with its place; the rest is a fault of another list."""
    known = items if isinstance(items, list | tuple) else ()
    return [(index, item) for index, item in enumerate(known) if isinstance(item, cls)]


def _address(path: str, value: Any, version: int) -> Iterator[Fault]:
    if isinstance(value, str) and value and (len(value) > _LONGEST_ADDRESS or not _is_address(value, version)):
        yield Fault(path, f"{value!r} is no IPv{version} address", waivable=True)


@functools.lru_cache(1024)
def _is_address(text: str, version: int) -> bool:
    """Tell whether a text is an address; the masks and gateways of a fleet are few."""
    try:
        _ADDRESSES[version](text)
    except ValueError:
        return False
    return True


_LONGEST_ADDRESS = 64
_ADDRESSES = {4: ipaddress.IPv4Address, 6: ipaddress.IPv6Address}
