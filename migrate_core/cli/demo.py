"""What ``migratectl demo`` shows: the five operations on both vendors, against simulators on loopback ports."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table

import migrate_core as mc
from migrate_core.testing import serve
from migrate_huawei_sms.models import document_of
from migrate_huawei_sms.simulator import HuaweiSmsSimulator, example_document
from migrate_vmware_srm.models import SrmPairingSpec
from migrate_vmware_srm.simulator import VmwareSrmSimulator

__all__ = ["run_demo"]

_GIB = 1024**3
_PIPE_WIDTH = 100
_COLOURS = {"OK": "green", "WARN": "yellow", "ERROR": "red", "full": "green", "unsupported": "dim"}


def run_demo(task_seconds: float) -> None:
    """Run the main operations of both vendors.

    Args:
        task_seconds: how long the simulated site recovery manager takes for a task.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, _PIPE_WIDTH)
    sms, srm = HuaweiSmsSimulator(), VmwareSrmSimulator(task_seconds=task_seconds)
    with serve(sms), serve(srm):
        with mc.connect("huawei_sms", **sms.settings("key")) as cloud:
            _migrate(console, cloud, sms)
        with mc.connect("vmware_srm", **srm.settings()) as site:
            _pair(console, site, srm)
        _compare(console, sms, srm)


def _migrate(console: Console, cloud: mc.Client, simulator: HuaweiSmsSimulator) -> None:
    _title(console, f"Huawei Cloud SMS, simulated at {simulator.endpoint}")
    spec = mc.SourceSpec(name="host-192-168-136-xxx", details=example_document())
    try:
        cloud.sources.register(spec)
    except mc.InvalidDocumentError as error:
        console.print(f"The vendor's own example breaks {len(error.faults)} of its rules; nothing was sent:")
        for fault in error.faults:
            console.print(f"  {fault}", style="yellow", markup=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mc.IncompleteDocumentWarning)
        source_id = cloud.sources.register(spec, allow_incomplete=True).wait()
    console.print(f"Registered all the same, with allow_incomplete: source {source_id}", style="green")
    _show_source(console, cloud.sources.describe(source_id))

    simulator.start_migration(source_id)
    source = cloud.sources.describe(source_id)
    if source.replication is None:
        raise mc.MigrateError("the simulated migration did not start")
    console.print(f"\nA migration was started in the console: {source.stage.name}, {source.vendor_state}")
    console.print(f"  replication {source.replication.id}, {_gib(source.replication.total_bytes)} to copy")
    console.print(f"  target locked: {simulator.locked(source.replication.id)}")
    cloud.targets.unlock(source.replication.id).wait()
    console.print(f"  unlocked; target locked: {simulator.locked(source.replication.id)}", style="green")

    cloud.sources.delete(source_id).wait()
    try:
        cloud.sources.describe(source_id)
    except mc.NotFoundError as error:
        console.print(f"Deleted; asking again gives {type(error).__name__} {error.code}", style="green")


def _show_source(console: Console, source: mc.SourceServer) -> None:
    facts = source.facts
    console.print(
        f"Described: {source.name}, {facts.os_name}, {facts.cpu_count} CPU, {_gib(facts.memory_bytes)} of memory, "
        f"{source.stage.name} ({source.vendor_state})"
    )
    document = document_of(source)
    disks = [(disk.name, _gib(disk.size_bytes), _gib(disk.used_bytes), _yes(disk.is_boot)) for disk in facts.disks]
    _table(console, "Disks", ("name", "size", "used", "boots"), disks)
    partitions = [
        (volume.name, volume.file_system, volume.mount_point or "-", _gib(volume.size))
        for disk in document.disks or ()
        for volume in disk.physical_volumes or ()
    ]
    logical = [
        (volume.name, volume.file_system, volume.mount_point or "-", _gib(volume.size))
        for group in document.volume_groups or ()
        for volume in group.logical_volumes or ()
    ]
    _table(console, "Volumes", ("name", "file system", "mounted at", "size"), [*partitions, *logical])
    nics = [(nic.name, ", ".join(nic.addresses), nic.mac) for nic in facts.nics]
    _table(console, "Network interfaces", ("name", "addresses", "mac (as the agent reports it)"), nics)
    checks = [(check.name, check.result.name, check.code, check.message) for check in source.checks]
    _table(console, "Readiness checks", ("check", "result", "code", "message"), checks)


def _pair(console: Console, site: mc.Client, simulator: VmwareSrmSimulator) -> None:
    _title(console, f"VMware Site Recovery Manager, simulated at {simulator.endpoint}")
    simulator.controls.task_seconds, seconds = 1.0, simulator.controls.task_seconds
    spec = mc.PairingSpec(
        remote_url="vc-b.example",
        remote_username=simulator.credentials["peer_username"],
        remote_password=simulator.credentials["peer_password"],
        details=SrmPairingSpec(pair_vc_guid="7d0a7a4e-0c55-4a6c-9d5e-1f0f5c1b7a11"),
    )
    site.pairings.create(spec).wait()
    pairing = next(site.pairings.list())
    console.print(f"Paired {pairing.local.name} with {pairing.remote.name}: {pairing.state.name}", style="green")

    simulator.controls.task_seconds = seconds
    task = site.pairings.delete(pairing.id)
    console.print(f"Deleting the pairing is a task of the vendor's: {task.id}")
    _show_progress(console, task)
    task.wait(on_progress=lambda task: _show_progress(console, task))
    console.print(f"Pairings left: {len(list(site.pairings.list()))}", style="green")


def _show_progress(console: Console, task: mc.Task[object]) -> None:
    bar = "#" * int((task.progress or 0) / 5)
    colour = "green" if task.status is mc.TaskStatus.SUCCESS else "cyan"
    console.print(f"  {task.status.name:<8} {task.progress or 0:3.0f} %  {bar}", style=colour)


def _inventory(client: mc.Client) -> Iterable[str]:
    """The neutral function: it knows no vendor, only what each declares."""
    for operation, items in (
        (mc.Operation.LIST_SOURCES, client.sources),
        (mc.Operation.LIST_PAIRINGS, client.pairings),
    ):
        if client.capabilities[operation].support is mc.Support.FULL:
            yield f"{operation.value}: {len(list(items.list()))}"
        else:
            yield f"{operation.value}: not offered"


def _compare(console: Console, sms: HuaweiSmsSimulator, srm: VmwareSrmSimulator) -> None:
    _title(console, "One function over both vendors")
    sms.add_sources(3)
    srm.pair()
    with mc.connect("huawei_sms", **sms.settings("login")) as cloud, mc.connect("vmware_srm", **srm.settings()) as site:
        clients = (cloud, site)
        for client in clients:
            console.print(f"{client.provider}: {'; '.join(_inventory(client))}")
        rows = [
            (operation.value, *(client.capabilities[operation].support.value for client in clients))
            for operation in mc.Operation
        ]
        _table(console, "What each supports", ("operation", *(client.provider for client in clients)), rows)
        try:
            site.targets.unlock("some-replication")
        except mc.UnsupportedOperationError as error:
            console.print(f"Asking for what is not there sends nothing: {error}", markup=False)


def _title(console: Console, text: str) -> None:
    console.print()
    console.rule(f"[bold]{text}", align="left")


def _table(console: Console, title: str, columns: tuple[str, ...], rows: Iterable[tuple[str | None, ...]]) -> None:
    table = Table(*columns, title=title, title_justify="left", title_style="bold", box=box.ASCII2)
    for row in rows:
        table.add_row(*(_cell(text or "") for text in row))
    console.print(table)


def _cell(text: str) -> str:
    text = text.replace("[", r"\[")
    return f"[{_COLOURS[text]}]{text}[/]" if text in _COLOURS else text


def _gib(size: int | None) -> str:
    return "unknown" if size is None else f"{size / _GIB:.1f} GiB"


def _yes(value: bool | None) -> str:
    return "yes" if value else "no"
