"""``migratectl source``."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from cyclopts import Parameter

import migrate_core as mc
from migrate_core.cli.files import read_document
from migrate_core.cli.options import Connection, DocumentName, Output, Sure, Waiting
from migrate_core.cli.output import Columns, show, show_all
from migrate_core.cli.records import RequestRecord
from migrate_core.cli.waiting import finish
from migrate_core.shapes import read_shape

__all__ = ["delete", "describe", "list_", "register"]

_GIB = 1024**3

_COLUMNS: Columns = {
    "id": lambda source: source.id,
    "name": lambda source: source.name,
    "stage": lambda source: source.stage.value,
    "vendor state": lambda source: source.vendor_state,
    "os": lambda source: source.facts.os_name,
    "replication": lambda source: source.replication and source.replication.id,
}
_ROWS: Columns = {
    "id": lambda source: source.id,
    "name": lambda source: source.name,
    "provider": lambda source: source.provider,
    "stage": lambda source: source.stage.value,
    "vendor state": lambda source: source.vendor_state,
    "connected": lambda source: source.connected,
    "registered": lambda source: source.registered_at and f"{source.registered_at:%Y-%m-%d %H:%M:%S} UTC",
    "hostname": lambda source: source.facts.hostname,
    "os": lambda source: source.facts.os_name,
    "firmware": lambda source: source.facts.firmware.value,
    "cpu": lambda source: source.facts.cpu_count,
    "memory": lambda source: _gib(source.facts.memory_bytes),
    "replication": lambda source: source.replication and source.replication.id,
    "replicated": lambda source: source.replication and _replicated(source.replication),
    "target": lambda source: source.target and (source.target.name or source.target.id),
}
_DISKS: Columns = {
    "name": lambda disk: disk.name,
    "size": lambda disk: _gib(disk.size_bytes),
    "used": lambda disk: _gib(disk.used_bytes),
    "boots": lambda disk: disk.is_boot,
}
_NICS: Columns = {
    "name": lambda nic: nic.name,
    "addresses": lambda nic: nic.addresses,
    "mac": lambda nic: nic.mac,
}
_CHECKS: Columns = {
    "check": lambda check: check.name,
    "result": lambda check: check.result.value,
    "code": lambda check: check.code,
    "message": lambda check: check.message,
}
_REQUEST: Columns = {
    "method": lambda request: request.method,
    "path": lambda request: request.path,
    "body": lambda request: json.dumps(request.body, ensure_ascii=False),
}


def register(
    *,
    file: DocumentName,
    form: Annotated[Literal["neutral", "vendor"], Parameter(name="--as")] = "neutral",
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    allow_incomplete: Annotated[bool, Parameter(negative=())] = False,
    reconcile: Annotated[bool, Parameter(negative=())] = False,
    waiting: Waiting = Waiting(),
    connection: Connection = Connection(),
    output: Output = Output(),
) -> None:
    """Register a machine as a source.

    The document is JSON or YAML. Its neutral form has `name`, `facts`, `details` and `options`; with --as vendor it is
    the vendor's own document. All that is wrong with it is listed at once, and then nothing is sent.

    For example:

        migratectl source register -f web-1.yaml --profile cloud

        migratectl source register -f - --as vendor --dry-run < machine.json

    Parameters
    ----------
    file:
        The document; - reads stdin.
    form:
        Whether it is our neutral document or the vendor's own.
    dry_run:
        Check the document and print what would be sent; nothing is.
    allow_incomplete:
        Send it although it breaks rules that the vendor itself does not enforce; these become warnings.
    reconcile:
        Look first whether the machine is registered, and again when an answer is lost; what is there is not registered
        a second time. So a script that died can simply run again.
    """
    document = read_document(file)
    spec = _vendors(document) if form == "vendor" else read_shape(mc.SourceSpec, document)
    options = {"allow_incomplete": True} if allow_incomplete else {}
    with connection.open(**({"on_ambiguous": "reconcile"} if reconcile else {})) as client:
        if dry_run:
            request = client.sources.preview(spec, **options)
            record = RequestRecord(method=request.method, path=request.target, body=json.loads(request.body or b"null"))
            show(record, output, identity=record.path, rows=_REQUEST)
        else:
            finish(client.sources.register(spec, **options), connection, waiting, output)


def _vendors(document: Any) -> mc.SourceSpec:
    if not isinstance(document, dict):
        raise mc.InvalidArgumentError(f"the vendor's document is an object, not {type(document).__name__}")
    return mc.SourceSpec(name="", details=document)


def describe(source_id: str, /, *, connection: Connection = Connection(), output: Output = Output()) -> None:
    """Describe one source.

    For example:

        migratectl source describe 0b6e2c47-6d1a-4a1e-9f0e-7f3b6c1d2e90 --profile cloud

        migratectl source describe ID --profile cloud -o json --query "checks[?result=='error'].name"

    Parameters
    ----------
    source_id:
        Its id.
    """
    with connection.open() as client:
        source = client.sources.describe(source_id)
    parts = {
        "Disks": (source.facts.disks, _DISKS),
        "Network interfaces": (source.facts.nics, _NICS),
        "Readiness checks": (source.checks, _CHECKS),
    }
    show(source, output, identity=source.id, rows=_ROWS, parts=parts)


def list_(*, connection: Connection = Connection(), output: Output = Output()) -> None:
    """List all sources.

    For example:

        migratectl source list --profile cloud

        migratectl source list --profile cloud -o id
    """
    with connection.open() as client:
        show_all(client.sources.list(), output, identity=lambda source: source.id, columns=_COLUMNS)


def delete(
    source_id: str,
    /,
    *,
    sure: Sure = Sure(),
    waiting: Waiting = Waiting(),
    connection: Connection = Connection(),
    output: Output = Output(),
) -> None:
    """Delete the record of a source; the machine itself stays as it is.

    For example:

        migratectl source delete 0b6e2c47-6d1a-4a1e-9f0e-7f3b6c1d2e90 --profile cloud --yes

    Parameters
    ----------
    source_id:
        Its id.
    """
    with connection.open() as client:
        sure.confirm(f"Delete the record of source {source_id} at {client.provider}?")
        finish(client.sources.delete(source_id), connection, waiting, output)


def _gib(size: int | None) -> str | None:
    return None if size is None else f"{size / _GIB:.1f} GiB"


def _replicated(replication: mc.Replication) -> str:
    percent = "" if replication.percent is None else f", {replication.percent:.0f} %"
    return f"{replication.state.value}{percent}"
