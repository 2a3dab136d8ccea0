"""The suite that every provider passes, over the transport of the extra ``fast``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from migrate_core._fast import FastTransports
from migrate_core.testing import VirtualClock, serve
from migrate_core.testing.conformance import ProviderConformance
from migrate_huawei_sms.simulator import HuaweiSmsSimulator


class FastSimulator(HuaweiSmsSimulator):
    """A vendor that is reached by this transport."""

    def settings(self, kind: str = "token") -> dict[str, Any]:
        """Name the transport too."""
        return {**super().settings(kind), "transport": FastTransports}


class TestHuaweiSmsOverFast(ProviderConformance):
    """The suite, through the door that has a socket."""

    @pytest.fixture
    def simulator(self) -> HuaweiSmsSimulator:
        """The vendor, on a `VirtualClock`."""
        return FastSimulator(clock=VirtualClock())

    @pytest.fixture
    def tcp(self, simulator: HuaweiSmsSimulator) -> Iterator[bool]:
        """Serve the vendor."""
        with serve(simulator):
            yield True
