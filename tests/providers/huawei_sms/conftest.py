"""A simulated Huawei Cloud account."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from migrate_core.testing import VirtualClock, serve
from migrate_huawei_sms.simulator import HuaweiSmsSimulator
from support import Caller


@pytest.fixture
def simulator() -> HuaweiSmsSimulator:
    return HuaweiSmsSimulator(clock=VirtualClock())


@pytest.fixture(params=["in-process", "tcp"])
def door(request: pytest.FixtureRequest, simulator: HuaweiSmsSimulator) -> Iterator[None]:
    """Both doors to the simulator; by TCP, `simulator.settings()` names its port."""
    if request.param == "tcp":
        with serve(simulator):
            yield
    else:
        yield


@pytest.fixture
def client(caller: Caller, door: None, simulator: HuaweiSmsSimulator) -> Any:
    """A client with a given token, of either kind, through either door."""
    return caller.connect("huawei_sms", clock=simulator.clock, **simulator.settings())
