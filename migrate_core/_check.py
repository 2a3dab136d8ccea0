"""Trying a connection: what can be read over it, and whether its further logins hold. Nothing is changed."""

from __future__ import annotations

from migrate_core._engine import Engine, Steps, capability_of
from migrate_core.errors import AuthenticationError, MigrateError
from migrate_core.models import Check, CheckResult
from migrate_core.operations import Operation, Support

_READS = (Operation.LIST_SOURCES, Operation.LIST_PAIRINGS, Operation.LIST_TASKS)


def checks(engine: Engine) -> Steps[tuple[Check, ...]]:
    """Try what a connection is good for; end at a refused login, since more of them lock accounts."""
    found: list[Check] = []
    for operation in _READS:
        if capability_of(engine.provider, operation).support is not Support.FULL:
            continue
        try:
            yield from engine.call(operation, getattr(engine.provider, operation.value), None)
        except MigrateError as error:
            found.append(_failed(operation.value, error))
            if isinstance(error, AuthenticationError):
                return tuple(found)
        else:
            found.append(Check(name=operation.value, result=CheckResult.OK, message="works"))
    try:
        found += yield from engine.check_logins()
    except MigrateError as error:
        found.append(_failed("logins", error))
    return tuple(found)


def _failed(name: str, error: MigrateError) -> Check:
    return Check(name=name, result=CheckResult.ERROR, code=type(error).__name__, message=str(error))
