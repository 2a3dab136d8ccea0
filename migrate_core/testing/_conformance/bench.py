"""What the checks work with: a provider, its simulator, and a client of either kind through either door."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import pytest

import migrate_core as mc
from migrate_core._engine import capability_of
from migrate_core._registry import transport_factory
from migrate_core.provider import BaseProvider, Request
from migrate_core.testing._conformance.wire import Wire
from migrate_core.testing.caller import Caller
from migrate_core.testing.simulator import Simulator

__all__ = ["CHANGES", "PATIENCE", "READS", "WITH_ID", "Bench", "offered"]

PATIENCE = 4 * 3600.0
"""Seconds, on a virtual clock, after which a wait has failed."""

READS = (
    mc.Operation.DESCRIBE_SOURCE,
    mc.Operation.LIST_SOURCES,
    mc.Operation.DESCRIBE_PAIRING,
    mc.Operation.LIST_PAIRINGS,
    mc.Operation.GET_TASK,
    mc.Operation.LIST_TASKS,
)
CHANGES = tuple(operation for operation in mc.Operation if operation not in READS)
WITH_ID: Mapping[mc.Operation, tuple[str, str]] = {
    mc.Operation.DESCRIBE_SOURCE: ("sources", "describe"),
    mc.Operation.DELETE_SOURCE: ("sources", "delete"),
    mc.Operation.UNLOCK_TARGET: ("targets", "unlock"),
    mc.Operation.DESCRIBE_PAIRING: ("pairings", "describe"),
    mc.Operation.DELETE_PAIRING: ("pairings", "delete"),
    mc.Operation.GET_TASK: ("tasks", "get"),
    mc.Operation.CANCEL_TASK: ("tasks", "cancel"),
}
"""Where the client has the operations that take an id."""

_LISTS: Mapping[mc.Operation, str] = {
    mc.Operation.LIST_SOURCES: "sources",
    mc.Operation.LIST_PAIRINGS: "pairings",
    mc.Operation.LIST_TASKS: "tasks",
}


def offered(provider: type[BaseProvider], operation: mc.Operation) -> bool:
    """Tell whether a provider declares an operation."""
    return capability_of(provider, operation).support is mc.Support.FULL


class Bench:
    """One provider on the bench.

    Attributes:
        provider: the class under test.
        simulator: its vendor.
        caller: drives the client.
        wire: what lies between them.
        client: a client that is let in.
    """

    def __init__(self, provider: type[BaseProvider], simulator: Simulator, caller: Caller) -> None:
        self.provider = provider
        self.simulator = simulator
        self.caller = caller
        inner = simulator.settings().get("transport") or transport_factory("httpx")
        self.wire = Wire(inner)
        self.client = self.connect()

    def connect(self, kind: str = "", *, provider: type[BaseProvider] | None = None, **settings: Any) -> Any:
        """Make another client, with credentials of a kind, or with settings that differ."""
        given = {**(self.simulator.settings(kind) if kind else self.simulator.settings()), **settings}
        return self.caller.connect(
            provider or self.provider, clock=self.simulator.clock, **{**given, "transport": self.wire}
        )

    def offers(self, operation: mc.Operation) -> bool:
        """Tell whether the provider declares an operation."""
        return offered(self.provider, operation)

    def need(self, *operations: mc.Operation) -> None:
        """Skip the check where the provider does not declare one of `operations`."""
        for operation in operations:
            if not self.offers(operation):
                pytest.skip(f"{self.provider.name} does not offer {operation.value}")

    def among(self, operations: tuple[mc.Operation, ...]) -> list[mc.Operation]:
        """Give those of `operations` that the provider declares; skip the check where there are none."""
        found = [operation for operation in operations if self.offers(operation)]
        if not found:
            pytest.skip(f"{self.provider.name} offers no such operation")
        return found

    def warm(self) -> None:
        """Log in, so that what is sent from now on is the operation alone."""
        self.do(self.among((*READS, *CHANGES))[0])

    def source(self) -> str:
        """Make a source to work on; gives its id."""
        if self.offers(mc.Operation.REGISTER_SOURCE):
            return str(self.caller(self.do(mc.Operation.REGISTER_SOURCE).wait()))
        return self.simulator.add_sources(1)[0]

    def subject(self, operation: mc.Operation) -> str:
        """Make what an operation works on; gives its id."""
        if operation in (mc.Operation.DESCRIBE_SOURCE, mc.Operation.DELETE_SOURCE):
            return self.source()
        if operation in (mc.Operation.DESCRIBE_PAIRING, mc.Operation.DELETE_PAIRING):
            return self.simulator.add_pairings(1)[0]
        return (
            self.simulator.add_replication() if operation is mc.Operation.UNLOCK_TARGET else self.simulator.add_task()
        )

    def call(self, operation: mc.Operation, client: Any = None) -> Callable[[], Any]:
        """Prepare an operation as a user would use it; what is given back does it, each time on the same object."""
        client = client or self.client
        if operation in WITH_ID:
            return self.call_with(operation, self.subject(operation), client)
        if operation is mc.Operation.REGISTER_SOURCE:
            spec = self.simulator.source_spec()
            return lambda: client.sources.register(spec)
        if operation is mc.Operation.CREATE_PAIRING:
            pairing = self.simulator.pairing_spec()
            return lambda: client.pairings.create(pairing)
        return lambda: self._listed(getattr(client, _LISTS[operation]).list())

    def call_with(self, operation: mc.Operation, identity: str, client: Any = None) -> Callable[[], Any]:
        """Prepare an operation on the object with that id."""
        resource, verb = WITH_ID[operation]
        return lambda: getattr(getattr(client or self.client, resource), verb)(identity)

    def do(self, operation: mc.Operation, client: Any = None) -> Any:
        """Carry out an operation on an object of its own."""
        return self.caller(self.call(operation, client)())

    def settled(self, result: Any) -> Any:
        """Wait for the end of a task, if it is one; gives what it resulted in."""
        return self.caller(result.wait(timeout=PATIENCE)) if isinstance(result, mc.Task | mc.AsyncTask) else result

    def over(self, result: Any) -> None:
        """Wait for the end of a task, if it is one, in whatever way it ends."""
        with suppress(mc.TaskCancelledError):
            self.settled(result)

    def requests(self, call: Callable[[], Any]) -> list[Request]:
        """Make a call that may fail; gives the requests that it sent."""
        with self.wire.planned() as sent:
            self.refusal(call)
        return sent

    def refusal(self, call: Callable[[], Any]) -> mc.MigrateError | None:
        """Make a call; gives the error that it raises, which must be one that a user can expect."""
        try:
            self.caller(call())
        except mc.ContractViolationError as error:
            pytest.fail(f"{error}; the cause: {error.__cause__!r}")
        except mc.MigrateError as error:
            return error
        return None

    def _listed(self, iterator: Any) -> Any:
        """Exhaust a list, in a form that fits `Caller.together`."""
        if self.caller.kind == "sync":
            return list(iterator)

        async def collected() -> list[Any]:
            return [item async for item in iterator]

        return collected()
