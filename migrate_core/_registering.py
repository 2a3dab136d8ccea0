"""Registering a machine once: even if an answer is lost, even if an earlier run died while it waited for one."""

from __future__ import annotations

import logging

from migrate_core import _contract
from migrate_core._engine import Engine, Sleep, Steps
from migrate_core.clock import Deadline
from migrate_core.errors import (
    ConfigurationError,
    DeadlineExceededError,
    MalformedResponseError,
    MigrateError,
    OutcomeUnknownError,
    ServerError,
)
from migrate_core.models import SourceSpec
from migrate_core.operations import Operation
from migrate_core.provider import BaseProvider, CredentialsRenewed, Flow, Request, TaskInfo

log = logging.getLogger("migrate_core")

_REGISTER = Operation.REGISTER_SOURCE
_DOUBTFUL = (OutcomeUnknownError, ServerError, MalformedResponseError)
"""What a registration may end with although it happened."""

_MOST_SENT = 2
_SHARE = 0.5
"""How much of the time that is left may go into hearing an answer; the rest is for finding out."""


def registered_once(engine: Engine, spec: SourceSpec) -> Steps[TaskInfo]:
    """Register a machine if it is not there, as ``on_ambiguous="reconcile"`` wants it.

    Raises:
        ConfigurationError: the provider cannot look up what was registered.
        OutcomeUnknownError: it was sent, and nobody can tell what became of it.
    """
    provider = engine.provider
    if type(provider).find_registered is BaseProvider.find_registered:
        raise ConfigurationError(f"on_ambiguous='reconcile': {provider.name} cannot look up what was registered")
    return (yield from _Registration(engine, spec).carried_out())


class _Registration:
    """One machine: looked for, registered if it is not there, and looked for again whenever nobody knows.

    Attributes:
        sent: how many times it was sent.
        doubt: what the last time ended with.
        waited: for how many seconds it was left alone since.
    """

    def __init__(self, engine: Engine, spec: SourceSpec) -> None:
        self.engine = engine
        self.spec = spec
        self.sent = 0
        self.doubt: MigrateError | None = None
        self.waited = 0.0

    @property
    def may_send(self) -> bool:
        """Whether it can be sent: at first, or when what was sent would be seen by now if it had arrived."""
        if self.doubt is None:
            return True
        under_way = isinstance(self.doubt.__cause__, DeadlineExceededError)
        settled = self.waited >= self.engine.provider.settle_seconds
        return settled and not under_way and self.sent < _MOST_SENT

    def carried_out(self) -> Steps[TaskInfo]:
        engine = self.engine
        deadline = Deadline.after(engine.clock, engine.provider.settings.timeout)
        while True:
            sent, seconds = self.sent, deadline.remaining() * (_SHARE if self.may_send else 1)
            try:
                return (yield from engine.call_within(seconds, _REGISTER, self._unless_there))
            except MigrateError as error:
                if self.sent == sent and self.doubt is not None and error is not self.doubt:
                    raise OutcomeUnknownError(f"{self.doubt}; looking for it failed: {error}") from error
                if self.sent == sent or not isinstance(error, _DOUBTFUL):
                    raise
                log.info("%s: what became of a registration is not known, looking: %s", engine.provider.name, error)
                self.doubt = error
            self.waited = min(engine.provider.settle_seconds, deadline.remaining() * _SHARE)
            yield Sleep(self.waited, "settle")

    def _unless_there(self) -> Flow[TaskInfo]:
        """Look for the machine, and register it if it is not there."""
        flow = self.engine.provider.register_source(self.spec)
        try:
            request = next(flow)  # which refuses a wrong document before anything is sent
            source_id = yield from self.engine.provider.find_registered(self.spec)
            self.engine.keep(_contract.broken_find(source_id), _REGISTER)
            if source_id is not None:
                log.info("%s: %s was registered before", self.engine.provider.name, source_id)
                return TaskInfo.finished(_REGISTER, entity_id=source_id, result=source_id)
            if self.doubt is not None and not self.may_send:
                self.doubt.add_note(f"looked for {self.waited:.2g} s later, it is not there")
                raise self.doubt
            self.sent += 1
            return (yield from _resumed(flow, request))
        finally:
            flow.close()


def _resumed(flow: Flow[TaskInfo], request: Request) -> Flow[TaskInfo]:
    """Go on with a flow that has given its first request."""
    try:
        while True:
            try:
                response = yield request
            except (MigrateError, CredentialsRenewed) as error:
                request = flow.throw(error)
            else:
                request = flow.send(response)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]  # StopIteration is not generic; a Flow[T] returns T
