"""A user's place: an empty home with two profiles, and the simulators that they lead to."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import yaml

import migrate_core as mc
from file_keyring import VARIABLE, FileKeyring
from migrate_core.profiles import profiles_path
from migrate_core.testing import VirtualClock, serve
from migrate_huawei_sms.simulator import HuaweiSmsSimulator
from migrate_vmware_srm.simulator import VmwareSrmSimulator
from support import ROOT

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


@pytest.fixture(scope="session")
def _served() -> Iterator[tuple[HuaweiSmsSimulator, VmwareSrmSimulator]]:
    sms, srm = HuaweiSmsSimulator(), VmwareSrmSimulator()
    with serve(sms), serve(srm):
        yield sms, srm


@pytest.fixture
def place(
    _served: tuple[HuaweiSmsSimulator, VmwareSrmSimulator], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Place:
    """Clean simulators and a clean home."""
    sms, srm = _served
    for simulator in (sms, srm):
        simulator.reset()
        simulator.controls = simulator.controls_type()
    srm.controls.task_seconds = 0.0
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in _COLOUR_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("CLOUD_SECRET_KEY", sms.credentials["secret_key"])
    monkeypatch.setenv("DR_PASSWORD", srm.credentials["password"])
    monkeypatch.setenv("DR_PEER_PASSWORD", srm.credentials["peer_password"])
    path = profiles_path()
    path.parent.mkdir(parents=True)
    path.write_text(_PROFILES.format(sms=sms, srm=srm))
    return Place(home, sms, srm)


@pytest.fixture
def task(place: Place) -> Callable[[float], str]:
    """Begin to break a pairing; gives the token of that task, which takes so many seconds."""

    def begin(seconds: float) -> str:
        place.srm.controls.task_seconds = seconds
        with mc.connect("vmware_srm", **place.srm.settings()) as site:
            return site.pairings.delete(place.srm.pair()).token

    return begin


@pytest.fixture
def clock(place: Place, monkeypatch: pytest.MonkeyPatch) -> VirtualClock:
    """The site's time, which passes as the test says: how long a command takes to begin is not known."""
    clock = VirtualClock()
    monkeypatch.setattr(place.srm, "clock", clock)
    return clock


@pytest.fixture(autouse=True)
def _no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the machine's own keyring out of all this."""
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    monkeypatch.setattr("keyring.core._keyring_backend", None)  # what it chose before


@pytest.fixture
def keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileKeyring:
    """A keyring of the test's own, in this process and in those that it starts."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "keyring.json"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "file_keyring.FileKeyring")
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests"))
    return FileKeyring()
