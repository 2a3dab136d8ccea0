"""The conformance suite: what every provider must do, as tests that a plug-in inherits.

With no line of code, for a provider that is installed with its simulator::

    pytest --migrate-provider acme --pyargs migrate_core.testing.conformance

Or in the plug-in's own tests, where a fixture says what is tested::

    class TestAcme(ProviderConformance):
        @pytest.fixture
        def simulator(self) -> Simulator:
            return AcmeSimulator(clock=VirtualClock())

The suite goes by what the provider declares. What is declared must work; what works must be declared; what is neither
must raise, and send nothing. Each check runs on both clients and through both doors of the simulator, but for those
that only look at the class. No check is overridden: one that does not fit is a fault of the suite, or of the plug-in.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from migrate_core._registry import provider_class
from migrate_core.errors import ConfigurationError
from migrate_core.provider import BaseProvider
from migrate_core.testing import new_simulator, serve
from migrate_core.testing._conformance.answers import Answers
from migrate_core.testing._conformance.bench import Bench
from migrate_core.testing._conformance.changes import Changes
from migrate_core.testing._conformance.declared import Declared
from migrate_core.testing._conformance.errors import Errors
from migrate_core.testing._conformance.flows import Flows
from migrate_core.testing._conformance.lists import Lists
from migrate_core.testing._conformance.logins import Logins
from migrate_core.testing._conformance.operations import Operations
from migrate_core.testing._conformance.secrets import Secrets
from migrate_core.testing._conformance.tasks import Tasks
from migrate_core.testing.caller import Caller
from migrate_core.testing.clock import VirtualClock
from migrate_core.testing.simulator import Simulator

__all__ = ["ProviderConformance"]


class ProviderConformance(Flows, Secrets, Lists, Tasks, Changes, Logins, Errors, Answers, Operations, Declared):
    """The checks that a provider inherits; override the fixture `simulator`, or say ``--migrate-provider``."""

    @pytest.fixture(autouse=True)
    def _plain_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Keep the settings and proxies of whoever runs the suite out of it."""
        for name in list(os.environ):
            if name.startswith("MIGRATE_") or name.lower().endswith("_proxy"):
                monkeypatch.delenv(name)

    @pytest.fixture
    def simulator(self, request: pytest.FixtureRequest) -> Simulator:
        """The vendor that is tested against, on a `VirtualClock`."""
        name = request.config.getoption("--migrate-provider", None)
        if not name:
            pytest.fail("override the fixture simulator, or say which provider: --migrate-provider NAME", pytrace=False)
        try:
            return new_simulator(name, clock=VirtualClock())
        except ConfigurationError as error:
            pytest.fail(str(error), pytrace=False)

    @pytest.fixture
    def provider(self, simulator: Simulator) -> type[BaseProvider]:
        """The class that is tested: the installed provider of the simulator's name."""
        return provider_class(simulator.name)

    @pytest.fixture(params=["in-process", "tcp"])
    def tcp(self, request: pytest.FixtureRequest, simulator: Simulator) -> Iterator[bool]:
        """Both doors to the simulator; whether it is the one with a socket."""
        if request.param == "tcp":
            with serve(simulator):
                yield True
        else:
            yield False

    @pytest.fixture(params=["sync", "async"])
    def caller(self, request: pytest.FixtureRequest) -> Iterator[Caller]:
        """Both clients."""
        caller = Caller(request.param)
        yield caller
        caller.close()

    @pytest.fixture
    def bench(self, provider: type[BaseProvider], simulator: Simulator, tcp: bool, caller: Caller) -> Bench:
        """What the checks work with."""
        assert isinstance(simulator.clock, VirtualClock), "the suite waits for hours: give the simulator a VirtualClock"
        return Bench(provider, simulator, caller)


class TestProvider(ProviderConformance):
    """The suite for the provider that ``--migrate-provider`` names."""
