"""A simulated Huawei Cloud account."""

import pytest

from migrate_core.testing import VirtualClock
from migrate_huawei_sms.simulator import HuaweiSmsSimulator


@pytest.fixture
def simulator() -> HuaweiSmsSimulator:
    return HuaweiSmsSimulator(clock=VirtualClock())
