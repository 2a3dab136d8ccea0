"""The suite that every provider passes."""

from __future__ import annotations

import pytest

from migrate_core.testing import VirtualClock
from migrate_core.testing.conformance import ProviderConformance
from migrate_vmware_srm.simulator import VmwareSrmSimulator


class TestVmwareSrm(ProviderConformance):
    @pytest.fixture
    def simulator(self) -> VmwareSrmSimulator:
        return VmwareSrmSimulator(clock=VirtualClock())
