"""Printing data, on stdout, in the format that was asked for."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from textwrap import indent
from typing import Any, TypeAlias

import migrate_core as mc
from migrate_core.cli.options import Output
from migrate_core.cli.terminal import clean, steers
from migrate_core.shapes import shape_of

__all__ = ["Columns", "show", "show_all"]

Columns: TypeAlias = Mapping[str, Callable[[Any], Any]]
"""Headings, and what stands under each for an object."""

_COLOURS = {
    **dict.fromkeys(("ok", "success", "ready", "paired", "full", "replicating", "passed", "done"), "green"),
    **dict.fromkeys(("warn", "queued", "running", "pending", "not_ready", "paused", "stalled", "watching"), "yellow"),
    **dict.fromkeys(("error", "cancelled", "disconnected", "failed"), "red"),
    **dict.fromkeys(("unsupported", "not_implemented", "unknown", "not applicable"), "dim"),
}
_PIPE = 100_000
"""Columns of a line that no terminal breaks."""


def show(value: Any, output: Output, *, identity: str, rows: Columns, parts: Mapping[str, Any] | None = None) -> None:
    """Print one object.

    Args:
        value: the object.
        output: how.
        identity: what ``-o id`` prints.
        rows: the lines of its table.
        parts: tables that follow, by title: each the objects in it and their columns.
    """
    if output.query is not None:
        _picked(_query(output.query)(shape_of(value)), output)
    elif output.format == "table":
        _grid([(heading, cell(value)) for heading, cell in rows.items()])
        for title, (items, columns) in (parts or {}).items():
            if items:
                _table(items, columns, title)
    elif output.format == "id":
        _line(clean(identity))
    else:
        _print(shape_of(value), output.format)


def show_all(
    values: Iterable[Any], output: Output, *, identity: Callable[[Any], str], columns: Columns, many: bool = False
) -> None:
    """Print a list; what goes one to a line goes as it comes.

    Args:
        values: the objects.
        output: how.
        identity: what ``-o id`` prints of each.
        columns: the columns of the table.
        many: whether they may be too many to hold, so that JSON goes as it comes, too.
    """
    if output.query is not None:
        pick = _query(output.query)
        _picked(pick([shape_of(value) for value in values]), output)
    elif output.format == "table":
        _table(list(values), columns)
    elif output.format == "id":
        for value in values:
            _line(clean(identity(value)))
    elif output.format == "jsonl":
        for value in values:
            _print(shape_of(value), "jsonl")
    elif output.format == "json" and many:
        _print_array(values)
    else:
        _print([shape_of(value) for value in values], output.format)


def _query(text: str) -> Callable[[Any], Any]:
    import jmespath

    expression = jmespath.compile(text)

    def pick(shape: Any) -> Any:
        try:
            return expression.search(shape)
        except (ValueError, TypeError) as error:  # of JMESPath, or of the values that it compares
            raise mc.InvalidArgumentError(f"--query {text!r}: {_first_line(error)}") from None

    return pick


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(": ")


def _picked(found: Any, output: Output) -> None:
    """Print what a query found: of any form."""
    if output.format in ("json", "yaml"):
        _print(found, output.format)
        return
    items = found if isinstance(found, list) else [] if found is None else [found]
    if output.format == "jsonl":
        for item in items:
            _print(item, "jsonl")
    elif output.format == "table" and items and all(isinstance(item, dict) for item in items):
        names = list(dict.fromkeys(name for item in items for name in item))
        _table(items, {name: _getter(name) for name in names})
    else:
        for item in items:
            _line(_told(item))


def _getter(name: str) -> Callable[[Any], Any]:
    return lambda item: item.get(name)


def _print(value: Any, form: str) -> None:
    _line(_text(value, form))


def _print_array(values: Iterable[Any]) -> None:
    start = "["
    for value in values:
        sys.stdout.write(f"{start}\n{indent(_text(shape_of(value), 'json'), '  ')}")
        start = ","
    _line("[]" if start == "[" else "\n]")


def _text(value: Any, form: str) -> str:
    text = _dumped(value, form, ascii_only=False)
    return _dumped(value, form, ascii_only=True) if steers(text) else text


def _dumped(value: Any, form: str, *, ascii_only: bool) -> str:
    if form == "yaml":
        import yaml

        return yaml.safe_dump(value, sort_keys=False, allow_unicode=not ascii_only).rstrip("\n").removesuffix("\n...")
    style: dict[str, Any] = {"separators": (",", ":")} if form == "jsonl" else {"indent": 2}
    return json.dumps(value, ensure_ascii=ascii_only, **style)


def _line(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _told(value: Any) -> str:
    """Say a value in a cell."""
    match value:
        case None | "" | [] | ():
            return "-"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}"
        case dict():
            return json.dumps(value, ensure_ascii=False)
        case list() | tuple():
            return ", ".join(map(_told, value))
    return clean(str(value))


def _render(*parts: Any) -> None:
    """Print parts of a table, as wide as the terminal; in a pipe each row is one line."""
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _PIPE
    with console.capture() as capture:
        for part in parts:
            console.print(part)
    for line in capture.get().splitlines():
        _line(line.rstrip())


def _cell(value: Any) -> Any:
    from rich.text import Text

    text = _told(value)
    return Text(text, style=_COLOURS.get(text, ""), overflow="fold")


def _table(items: Sequence[Any], columns: Columns, title: str = "") -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in columns:
        table.add_column(heading.upper(), overflow="fold")
    for item in items:
        table.add_row(*(_cell(cell(item)) for cell in columns.values()))
    _render(*(["", Text(title, style="bold")] if title else []), table)


def _grid(rows: Sequence[tuple[str, Any]]) -> None:
    from rich.table import Table

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for heading, value in rows:
        grid.add_row(heading, _cell(value))
    _render(grid)
