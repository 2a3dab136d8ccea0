"""Machines for the tests: documents that can be registered as they are."""

from __future__ import annotations

from typing import Any

import attrs

from migrate_core.documents import decode
from migrate_huawei_sms.models import NetWork, SourceDocument, document_from_json
from support import example

MAC = "1a9660eb8a3ffcf4df6d7865b52eb54f7b0cd194029e0eadd8e2c7f1267d80c0"


def nic(**changes: Any) -> NetWork:
    """A network interface with all that is needed for Linux."""
    whole = NetWork(
        name="eth0", ip="192.168.136.10", netmask="255.255.255.0", gateway="192.168.136.1", mtu=1500, mac=MAC
    )
    return attrs.evolve(whole, **changes)


def suse(**changes: Any) -> SourceDocument:
    """The vendor's own example of a machine to register, which breaks some of the vendor's rules."""
    return attrs.evolve(document_from_json(example("huawei_sms/register-request.json")), **changes)


def linux(**changes: Any) -> SourceDocument:
    """The same machine without a fault."""
    whole = suse(
        hostname="suse-1",
        ip="192.168.136.10",
        paravirtualization=False,
        raw_devices="",
        has_tc=True,
        networks=(nic(),),
    )
    return attrs.evolve(whole, **changes)


def windows(**changes: Any) -> SourceDocument:
    """The machine of the vendor's example of a query, as it may have been registered, without a fault."""
    whole = attrs.evolve(
        decode(SourceDocument, example("huawei_sms/query-response.json")),
        id=None,
        state=None,
        migration_cycle=None,
        networks=(nic(mtu=None),),
        driver_files=False,
        system_services=False,
        account_rights=True,
        system_dir="C:\\Windows",
    )
    return attrs.evolve(whole, **changes)


def leaves(value: Any, path: str = "") -> dict[str, Any]:
    """Flatten JSON: each value that is neither an object nor a list, by its path; empty ones stand for themselves."""
    match value:
        case {} if value:
            parts = [leaves(item, f"{path}.{name}" if path else name) for name, item in value.items()]
        case [*items] if items:
            parts = [leaves(item, f"{path}[{index}]") for index, item in enumerate(items)]
        case _:
            return {path: value}
    return {where: leaf for part in parts for where, leaf in part.items()}
