"""The suite that every provider passes."""

from __future__ import annotations

import pytest

from migrate_core.testing import VirtualClock
from migrate_core.testing.conformance import ProviderConformance
from migrate_huawei_sms.simulator import HuaweiSmsSimulator


class TestHuaweiSms(ProviderConformance):
    @pytest.fixture
    def simulator(self) -> HuaweiSmsSimulator:
        return HuaweiSmsSimulator(clock=VirtualClock())
