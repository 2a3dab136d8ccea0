"""A user's place: an empty home with two profiles, and the simulators that they lead to."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import yaml

from migrate_core.profiles import profiles_path
from migrate_core.testing import serve
from migrate_huawei_sms.simulator import HuaweiSmsSimulator
from migrate_vmware_srm.simulator import VmwareSrmSimulator

_PROFILES = """\
[cloud]
provider = "huawei_sms"
endpoint = "{sms.endpoint}"
access_key = "{sms.credentials[access_key]}"
secret_key = {{ env = "CLOUD_SECRET_KEY" }}

[dr]
provider = "vmware_srm"
endpoint = "{srm.endpoint}"
username = "{srm.credentials[username]}"
password = {{ env = "DR_PASSWORD" }}
peer_username = "{srm.credentials[peer_username]}"
peer_password = {{ env = "DR_PEER_PASSWORD" }}
"""
_COLOUR_VARIABLES = ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS", "LINES", "COLORTERM")


@attrs.frozen
class Place:
    """Where a user of the command line sits.

    Attributes:
        home: the home folder; profile ``cloud`` leads to `sms`, profile ``dr`` to `srm`.
        sms: Huawei Cloud SMS.
        srm: Site Recovery Manager; its tasks end at once, unless a test lets them take time.
    """

    home: Path
    sms: HuaweiSmsSimulator
    srm: VmwareSrmSimulator

    def file(self, name: str, content: Any) -> str:
        """Write a file, bytes and text as they are, anything else as YAML; gives its path."""
        text = content if isinstance(content, bytes | str) else yaml.safe_dump(content)
        path = self.home / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(0o600)
        return str(path)

    def another_home(self) -> str:
        """Copy the home, for a command that runs beside others; gives its path."""
        copy = tempfile.mkdtemp(dir=self.home.parent)
        shutil.copytree(self.home, copy, dirs_exist_ok=True)
        return copy

    def site_b(self) -> str:
        """Write the document that pairs the site with another one; gives its path."""
        document = {
            "remote_url": "vc-b.example",
            "remote_username": self.srm.credentials["peer_username"],
            "remote_password": {"env": "DR_PEER_PASSWORD"},
            "details": {"pair_vc_guid": "7d0a7a4e-0c55-4a6c-9d5e-1f0f5c1b7a11"},
        }
        return self.file("site-b.yaml", document)


@contextmanager
def both_served() -> Generator[tuple[HuaweiSmsSimulator, VmwareSrmSimulator]]:
    """Serve two vendors."""
    sms, srm = HuaweiSmsSimulator(), VmwareSrmSimulator()
    with serve(sms), serve(srm):
        yield sms, srm


def sit_down(served: tuple[HuaweiSmsSimulator, VmwareSrmSimulator], home: Path, patch: pytest.MonkeyPatch) -> Place:
    """Give clean simulators, and an empty folder that becomes the home."""
    sms, srm = served
    for simulator in served:
        simulator.reset()
        simulator.controls = simulator.controls_type()
    srm.controls.task_seconds = 0.0
    patch.setenv("HOME", str(home))
    for name in _COLOUR_VARIABLES:
        patch.delenv(name, raising=False)
    patch.setenv("TERM", "xterm-256color")
    patch.setenv("CLOUD_SECRET_KEY", sms.credentials["secret_key"])
    patch.setenv("DR_PASSWORD", srm.credentials["password"])
    patch.setenv("DR_PEER_PASSWORD", srm.credentials["peer_password"])
    profiles_path().parent.mkdir(parents=True)
    profiles_path().write_text(_PROFILES.format(sms=sms, srm=srm))
    return Place(home, sms, srm)
