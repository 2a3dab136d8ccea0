"""The documents that commands are given."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import migrate_core as mc
from migrate_core._reading import parse_document

__all__ = ["read_document"]


def read_document(name: str) -> Any:
    """Read a JSON or YAML document.

    Args:
        name: path of the file; ``-`` is stdin.

    Returns:
        What is in it.

    Raises:
        InvalidArgumentError: it cannot be read, or is neither JSON nor YAML; the text says where, and quotes nothing.
    """
    where = "stdin" if name == "-" else name
    try:
        content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise mc.InvalidArgumentError(f"{where} cannot be read: {error.strerror}") from None
    return parse_document(content, where)
