"""Reading what a person wrote, JSON or YAML: strictly, so that nothing is dropped or guessed, and quoting nothing."""

from __future__ import annotations

import json
from typing import Any

from migrate_core.errors import InvalidArgumentError

__all__ = ["JsonReader", "parse_document"]


def parse_document(content: bytes, where: str) -> Any:
    """Read a JSON or YAML document.

    Args:
        content: what is in its file.
        where: name of the file; its ending says whether it is surely YAML.

    Returns:
        What is in it.

    Raises:
        InvalidArgumentError: it is neither JSON nor YAML; the text says where, and quotes nothing.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidArgumentError(f"{where} is no text in UTF-8") from None
    may_be_json = text.lstrip()[:1] in ("{", "[") and not where.endswith((".yaml", ".yml"))
    return _json(text, where) if may_be_json else _yaml(text, where)


class JsonReader(json.JSONDecoder):
    """Reads JSON, and notes what is to be refused although it can be read.

    Attributes:
        complaint: what is to be refused in the value that was read last, if anything is.
    """

    def __init__(self) -> None:
        super().__init__(object_pairs_hook=self._unique, parse_constant=self._refused)
        self.complaint = ""

    def raw_decode(self, s: str, idx: int = 0) -> tuple[Any, int]:
        """Read the value that begins at a place; give it, and where it ends."""
        self.complaint = ""
        return super().raw_decode(s, idx)

    def _unique(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            self.complaint = self.complaint or f"{twice!r} stands twice in one object"
        return found

    def _refused(self, constant: str) -> None:
        self.complaint = self.complaint or f"it holds {constant}"


def _json(text: str, where: str) -> Any:
    reader = JsonReader()
    try:
        value = reader.decode(text)
    except json.JSONDecodeError as error:
        raise InvalidArgumentError(
            f"{where} is no JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from None
    except (ValueError, RecursionError) as error:
        raise InvalidArgumentError(f"{where} is no usable JSON: {error}") from None
    if reader.complaint:
        raise InvalidArgumentError(f"{where} is no usable JSON: {reader.complaint}")
    return value


def _yaml(text: str, where: str) -> Any:
    from migrate_core._yaml import UNREADABLE, YamlReader, told

    try:
        return YamlReader(text).document()
    except UNREADABLE as error:
        why, line, column = told(error)
        raise InvalidArgumentError(
            f"{where} is {why}" + (f" at line {line}, column {column}" if line else "")
        ) from None
