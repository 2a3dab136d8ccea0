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

__all__ = ["FAILED", "INTERRUPTED", "OK", "USAGE", "exit_code"]

OK, FAILED, USAGE, NOT_FOUND, NO_ACCESS, OUTCOME_UNKNOWN, TIMED_OUT, INTERRUPTED = 0, 1, 2, 3, 4, 6, 7, 130

_CODES: tuple[tuple[tuple[type[MigrateError], ...], int], ...] = (
    ((InvalidArgumentError, ProviderNotFoundError, UnsupportedOperationError, UnsupportedOptionError), USAGE),
    ((NotFoundError,), NOT_FOUND),
    ((AuthenticationError, PeerAuthenticationRequiredError, ConfigurationError), NO_ACCESS),
    ((OutcomeUnknownError,), OUTCOME_UNKNOWN),
    ((TaskTimeoutError,), TIMED_OUT),
)


def exit_code(error: MigrateError) -> int:
    """Give the exit code for an error."""
    return next((code for classes, code in _CODES if isinstance(error, classes)), FAILED)
