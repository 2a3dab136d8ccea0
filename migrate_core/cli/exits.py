"""Exit codes: what a script can tell from the way a command ends."""

from __future__ import annotations

from migrate_core.errors import (
    AuthenticationError,
    ConfigurationError,
    InvalidArgumentError,
    MigrateError,
    NotFoundError,
    OutcomeUnknownError,
    PeerAuthenticationRequiredError,
    ProviderNotFoundError,
    TaskTimeoutError,
    UnsupportedOperationError,
    UnsupportedOptionError,
)

__all__ = ["FAILED", "INTERRUPTED", "OK", "PARTLY_FAILED", "USAGE", "exit_code"]

OK, FAILED, USAGE, NOT_FOUND, NO_ACCESS, PARTLY_FAILED, OUTCOME_UNKNOWN, TIMED_OUT = range(8)
INTERRUPTED = 130

_CODES: tuple[tuple[tuple[type[MigrateError], ...], int], ...] = (
    ((InvalidArgumentError, ProviderNotFoundError, UnsupportedOperationError, UnsupportedOptionError), USAGE),
    ((NotFoundError,), NOT_FOUND),
    ((AuthenticationError, PeerAuthenticationRequiredError, ConfigurationError), NO_ACCESS),
    ((OutcomeUnknownError,), OUTCOME_UNKNOWN),
    ((TaskTimeoutError,), TIMED_OUT),
)


def exit_code(error: MigrateError | type[MigrateError]) -> int:
    """Give the exit code for an error, or for a class of errors."""
    kind = error if isinstance(error, type) else type(error)
    return next((code for classes, code in _CODES if issubclass(kind, classes)), FAILED)
