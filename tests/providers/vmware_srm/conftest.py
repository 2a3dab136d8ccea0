"""Two simulated sites."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from migrate_core.testing import VirtualClock, serve
from migrate_vmware_srm.simulator import VmwareSrmSimulator
from support import Caller


@pytest.fixture
def simulator() -> VmwareSrmSimulator:
    return VmwareSrmSimulator(clock=VirtualClock())


@pytest.fixture(params=["in-process", "tcp"])
def door(request: pytest.FixtureRequest, simulator: VmwareSrmSimulator) -> Iterator[None]:
    """Both doors to the simulator; by TCP, `simulator.settings()` names its port."""
    if request.param == "tcp":
        with serve(simulator):
            yield
    else:
        yield


@pytest.fixture
def client(door: None, caller: Caller, simulator: VmwareSrmSimulator) -> Any:
    """A client with the logins of both sites, of either kind, through either door."""
    return caller.connect("vmware_srm", clock=simulator.clock, **simulator.settings())
