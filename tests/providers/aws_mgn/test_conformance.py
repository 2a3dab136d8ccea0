"""The suite that every provider passes."""

from __future__ import annotations

import pytest

from migrate_aws_mgn.simulator import AwsMgnSimulator
from migrate_core.testing import VirtualClock
from migrate_core.testing.conformance import ProviderConformance


class TestAwsMgn(ProviderConformance):
    @pytest.fixture
    def simulator(self) -> AwsMgnSimulator:
        return AwsMgnSimulator(clock=VirtualClock())
