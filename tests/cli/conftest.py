"""Fixtures for the tests of the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import migrate_core as mc
from cli.place import Place, both_served, sit_down
from file_keyring import VARIABLE, FileKeyring
from migrate_core.testing import VirtualClock
from migrate_huawei_sms.simulator import HuaweiSmsSimulator
from migrate_vmware_srm.simulator import VmwareSrmSimulator
from support import ROOT


@pytest.fixture(scope="session")
def _served() -> Iterator[tuple[HuaweiSmsSimulator, VmwareSrmSimulator]]:
    with both_served() as simulators:
        yield simulators


@pytest.fixture
def place(
    _served: tuple[HuaweiSmsSimulator, VmwareSrmSimulator], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Place:
    """Clean simulators and a clean home."""
    home = tmp_path / "home"
    home.mkdir()
    return sit_down(_served, home, monkeypatch)


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
