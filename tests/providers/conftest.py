"""What the tests of all providers share; the provider's own ``conftest`` has its simulator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from migrate_core.testing import Simulator, serve
from support import Caller


@pytest.fixture(params=["in-process", "tcp"])
def door(request: pytest.FixtureRequest, simulator: Simulator) -> Iterator[None]:
    """Both doors to the simulator; by TCP, `simulator.settings()` names its port."""
    if request.param == "tcp":
        with serve(simulator):
            yield
    else:
        yield


@pytest.fixture
def client(door: None, caller: Caller, simulator: Simulator) -> Any:
    """A client that is let in, of either kind, through either door."""
    return caller.connect(simulator.name, clock=simulator.clock, **simulator.settings())
