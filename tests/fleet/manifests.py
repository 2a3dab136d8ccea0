"""Manifests of all forms, for tests."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import yaml

from migrate_core.fleet.models import Order

__all__ = ["FORMS", "MACHINE", "lines_of", "said_by", "written"]

MACHINE: Mapping[str, Any] = {
    "name": "web-1",
    "facts": {"hostname": "web-1", "os_family": "linux", "os_name": "UBUNTU22_4_64BIT", "cpu_count": 2},
    "options": {"allow_incomplete": True},
}


def _dumped(value: Any) -> str:
    text: str = yaml.dump(value, Dumper=yaml.CSafeDumper, allow_unicode=True, sort_keys=False)
    return text


def _yaml(rows: Sequence[Any]) -> Iterator[str]:
    for row in rows:
        yield _dumped([row])


def _documents(rows: Sequence[Any]) -> Iterator[str]:
    for row in rows:
        yield f"---\n{_dumped(row)}"


def _json(rows: Sequence[Any]) -> Iterator[str]:
    for number, row in enumerate(rows, 1):
        opening, closing = "[\n" if number == 1 else "", "\n]\n" if number == len(rows) else ",\n"
        yield f"{opening}{json.dumps(row, indent=1, ensure_ascii=False)}{closing}"


def _json_lines(rows: Sequence[Any]) -> Iterator[str]:
    for row in rows:
        yield f"{json.dumps(row)}\n"


def _csv(rows: Sequence[Any]) -> Iterator[str]:
    flat = [dict(_cells(row, "")) for row in rows]
    columns = list(dict.fromkeys(name for cells in flat for name in cells))
    for number, cells in enumerate(flat):
        text = io.StringIO()
        writer = csv.DictWriter(text, columns)
        if not number:
            writer.writeheader()
        writer.writerow(cells)
        yield text.getvalue()


def _cells(value: Any, place: str) -> Iterator[tuple[str, str]]:
    """Give a row as a spreadsheet has it."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _cells(inner, f"{place}.{name}" if place else name)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _cells(inner, f"{place}[{number}]")
    else:
        yield place, json.dumps(value) if isinstance(value, bool) else str(value)


_WRITERS: Mapping[str, tuple[str, Callable[[Sequence[Any]], Iterator[str]]]] = {
    "list": (".yaml", _yaml),
    "documents": (".yml", _documents),
    "json": (".json", _json),
    "jsonl": (".jsonl", _json_lines),
    "csv": (".csv", _csv),
}
FORMS = tuple(_WRITERS)


def written(form: str, rows: Sequence[Any], folder: Path) -> Path:
    """Write rows as a manifest of some form."""
    ending, write = _WRITERS[form]
    path = folder / f"fleet{ending}"
    path.write_text("".join(write(rows)), encoding="utf-8", newline="")
    return path


def lines_of(form: str, rows: Sequence[Any]) -> list[range]:
    """Tell which lines each row has when it is written."""
    _, write = _WRITERS[form]
    line, found = 1, []
    for text in write(rows):
        found.append(range(line, line + text.count("\n")))
        line = found[-1].stop
    return found


def said_by(order: Order) -> dict[str, Any]:
    """Give what an order says, without where it stands."""
    return attrs.asdict(order, filter=lambda field, _: field.name != "line")
