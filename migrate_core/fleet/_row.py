"""What the readers of all forms of manifests share."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple, TextIO

from migrate_core.models import PairingSpec, SourceSpec
from migrate_core.operations import Operation

__all__ = ["FIELDS", "LONGEST", "OPERATIONS", "SPECS", "TOO_LONG", "Row", "lines_of", "meant", "operation_named"]

FIELDS = ("profile", "operation", "id", "document", "as", "options", "key")
"""What a row may say."""

SPECS: Mapping[Operation, type[SourceSpec] | type[PairingSpec]] = {
    Operation.REGISTER_SOURCE: SourceSpec,
    Operation.CREATE_PAIRING: PairingSpec,
}
"""The operations that take a document, and what that says."""

OPERATIONS = (
    *SPECS,
    Operation.DESCRIBE_SOURCE,
    Operation.DELETE_SOURCE,
    Operation.UNLOCK_TARGET,
    Operation.DESCRIBE_PAIRING,
    Operation.DELETE_PAIRING,
)
"""What a row may ask for."""

LONGEST = 1 << 20
"""How long a row or a document may be."""
TOO_LONG = f"is longer than {LONGEST} characters"


class Row(NamedTuple):
    """A row, or why there is none.

    Attributes:
        line: where it begins, from 1.
        content: what stands there.
        fault: why it cannot be used.
    """

    line: int
    content: Any
    fault: str = ""


def lines_of(file: TextIO) -> Iterator[str]:
    """Give the lines of a file; of one that is too long, so much that this can be seen."""
    while line := file.readline(LONGEST + 1):
        yield line


def operation_named(name: Any) -> Operation | None:
    """Find an operation that a row may ask for, whether it is written with ``_`` or ``-``."""
    wanted = name.replace("-", "_") if isinstance(name, str) else None
    return next((operation for operation in OPERATIONS if operation.value == wanted), None)


def meant(name: str, known: Collection[str]) -> str:
    """Ask whether somebody meant a name that is known, if one is close."""
    close = difflib.get_close_matches(name.replace("-", "_"), known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
