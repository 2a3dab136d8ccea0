"""What every provider must do: the suite of migrate-core, on both clients and through both doors of the simulator."""

import pytest
from migrate_core.testing import VirtualClock
from migrate_core.testing.conformance import ProviderConformance

from migrate_acme.simulator import AcmeSimulator


class TestConformance(ProviderConformance):
    @pytest.fixture
    def simulator(self) -> AcmeSimulator:
        return AcmeSimulator(clock=VirtualClock())
