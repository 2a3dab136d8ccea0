"""Simulators behind profiles, and manifests for them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest

from migrate_core.documents import encode
from migrate_core.fleet import Manifest, read_manifest
from migrate_core.testing import Simulator, new_simulator, serve
from migrate_huawei_sms.mapping import document_for
from migrate_huawei_sms.simulator import HuaweiSmsSimulator

__all__ = ["Vendors", "machine", "manifest", "vendors"]


@attrs.frozen
class Vendors:
    """Two vendors, and where they are.

    Attributes:
        cloud: Huawei's simulator, profile ``cloud``.
        site: VMware's, profile ``site``.
        profiles: the file with both profiles.
    """

    cloud: Simulator
    site: Simulator
    profiles: Path


@contextmanager
def vendors(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendors]:
    """Serve both, with profiles whose secrets are in the environment."""
    simulators = {"cloud": new_simulator("huawei_sms"), "site": new_simulator("vmware_srm")}
    profiles = folder / "profiles.toml"
    with serve(simulators["cloud"]) as cloud, serve(simulators["site"]) as site:
        text = ""
        for (name, simulator), origin in zip(simulators.items(), (cloud, site), strict=True):
            text += f'[{name}]\nprovider = "{simulator.name}"\nendpoint = "{origin}"\n'
            for setting in simulator.settings().keys() & simulator.credentials.keys():
                variable = f"TEST_{name}_{setting}".upper()
                monkeypatch.setenv(variable, simulator.credentials[setting])
                text += f'{setting} = {{ env = "{variable}" }}\n'
        profiles.write_text(text)
        profiles.chmod(0o600)
        monkeypatch.setenv("MIGRATE_PROFILES_FILE", str(profiles))
        yield Vendors(simulators["cloud"], simulators["site"], profiles)


_MACHINE = encode(document_for(HuaweiSmsSimulator().source_spec()))


def machine(number: int) -> dict[str, Any]:
    """Make the row of a machine to be registered at Huawei's; each number is another one."""
    address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    networks = [{**network, "ip": address} for network in _MACHINE["networks"]]
    document = {**_MACHINE, "name": f"machine-{number}", "ip": address, "networks": networks}
    return {"profile": "cloud", "operation": "register_source", "as": "vendor", "document": document}


def manifest(folder: Path, rows: Iterable[Mapping[str, Any]], name: str = "wave.jsonl") -> Manifest:
    """Write rows as a manifest, and check it."""
    file = folder / name
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return read_manifest(file)
