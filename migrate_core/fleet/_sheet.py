"""A spreadsheet as a manifest: CSV, whose first row names the columns.

A column is a field of a row, or a place in its document or its options: ``document.facts.disks[0].size_bytes``. An
empty cell says nothing.
"""

from __future__ import annotations

import csv
import enum
import functools
import re
import types
import typing
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any, TextIO, TypeAlias

import attrs

from migrate_core._reading import JsonReader
from migrate_core.fleet._row import FIELDS, SPECS, Row, lines_of, meant, operation_named

__all__ = ["sheet_rows"]

_Place: TypeAlias = tuple[str | int, ...]

_COLUMN = re.compile(r"\w+|(?:document|options)(?:\.[^.\[\]]+|\[\d{1,4}\])+")
_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


def sheet_rows(file: TextIO) -> Iterator[Row]:
    """Read the rows of a spreadsheet; cells are divided as its first line is, by commas, semicolons or tabs."""
    lines = lines_of(file)
    first = next(lines, "")
    reader = csv.reader(chain([first], lines), delimiter=max(",;\t", key=first.count), strict=True)
    line = 1
    try:
        names = [name.strip() for name in next(reader, [])]
        if faults := "; ".join(_faults_of(names)):
            yield Row(line, None, faults)
            return
        places = [_place(name) for name in names]
        line = reader.line_num + 1
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield _row(line, places, cells)
            line = reader.line_num + 1
    except csv.Error as error:
        yield Row(line, None, f"is no CSV: {error}")


def _faults_of(names: Sequence[str]) -> Iterator[str]:
    for number, name in enumerate(names, 1):
        if not name:
            yield f"column {number} has no name"
        elif not _COLUMN.fullmatch(name) or _place(name)[0] not in FIELDS:
            yield f"{name!r} is no column{meant(name, FIELDS)}"
        elif name in names[: number - 1]:
            yield f"column {name!r} stands twice"


def _place(name: str) -> _Place:
    return tuple(int(step[1]) if step[1] else step[2] for step in _STEP.finditer(name))


def _row(line: int, places: Sequence[_Place], cells: Sequence[str]) -> Row:
    if len(cells) != len(places):
        return Row(line, None, f"has {len(cells)} cells, and the first line has {len(places)}")
    content: dict[str | int, Any] = {}
    try:
        for place, cell in zip(places, cells, strict=True):
            if cell.strip():
                _put(content, place, cell.strip())
        said = _with_lists(content)
    except _Twice as twice:
        return Row(line, None, f"says twice what {twice} is")
    operation = operation_named(said.get("operation"))
    spec = SPECS.get(operation) if operation and said.get("as") != "vendor" else None
    for name, hint in ("document", spec), ("options", None):
        if isinstance(said.get(name), dict):
            said[name] = _typed(said[name], hint)
    return Row(line, said)


class _Twice(Exception):
    """Two cells say what one place holds."""


def _put(content: dict[str | int, Any], place: _Place, cell: str) -> None:
    for step in place[:-1]:
        content = content.setdefault(step, {})
        if not isinstance(content, dict):
            raise _Twice(step)
    if place[-1] in content:
        raise _Twice(place[-1])
    content[place[-1]] = cell


def _with_lists(value: Any) -> Any:
    """Make lists of what has numbers for names."""
    if not isinstance(value, dict):
        return value
    kinds = {type(name) for name in value}
    if len(kinds) > 1:
        raise _Twice(next(name for name in value if isinstance(name, str)))
    if kinds == {int}:
        return [_with_lists(value[number]) for number in sorted(value)]
    return {name: _with_lists(inner) for name, inner in value.items()}


_BOOLEANS = {"true": True, "false": False}

_hints = functools.cache(typing.get_type_hints)


def _typed(value: Any, hint: Any = None) -> Any:
    """Read texts as what is declared; where nothing is, as a Boolean, or as JSON if they look like more than a number.

    What cannot be read stays a text, and is refused like any other wrong value.
    """
    if isinstance(hint, types.UnionType):
        hint = typing.get_args(hint)[0]  # the other one is None
    if isinstance(value, dict):
        hints = _hints(hint) if hint and attrs.has(hint) else {}
        return {name: _typed(inner, hints.get(name)) for name, inner in value.items()}
    if isinstance(value, list):
        (item, *_) = typing.get_args(hint) or (None,)
        return [_typed(inner, item) for inner in value]
    if isinstance(hint, type) and issubclass(hint, str | enum.Enum):
        return value
    with suppress(ValueError):
        if hint in (int, float):
            return hint(value)
        if value[0] in '[{"':
            return _json(value)
    return _BOOLEANS.get(value.lower(), value)


def _json(cell: str) -> Any:
    reader = JsonReader()
    value = reader.decode(cell)
    return cell if reader.complaint else value
