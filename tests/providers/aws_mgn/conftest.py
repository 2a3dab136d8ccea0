"""A simulated account."""

import os

import pytest

from migrate_aws_mgn.simulator import AwsMgnSimulator
from migrate_core.testing import VirtualClock


@pytest.fixture(autouse=True)
def _no_keys_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the keys, files and roles of whoever runs the tests out of them."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "BOTO_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def simulator() -> AwsMgnSimulator:
    return AwsMgnSimulator(clock=VirtualClock())
