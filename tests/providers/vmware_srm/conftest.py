"""Two simulated sites."""

import pytest

from migrate_core.testing import VirtualClock
from migrate_vmware_srm.simulator import VmwareSrmSimulator


@pytest.fixture
def simulator() -> VmwareSrmSimulator:
    return VmwareSrmSimulator(clock=VirtualClock())
