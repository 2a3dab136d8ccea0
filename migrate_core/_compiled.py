"""Makes the function that writes documents of one class, as attrs makes a class its ``__init__``: as source text.

A registration has hundreds of fields. A loop that asks each declaration what to do takes longer than all else in a
register call; a function that was made for the class does not ask.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

from migrate_core.documents import Kind, Wire

Writer: TypeAlias = Callable[[Any], dict[str, Any] | None]
"""Gives the JSON object of a document, or ``None`` for one that needs a closer look: it may have faults."""


def writer_for(
    cls: type, fields: Iterable[tuple[str, str, Wire]], write: Writer, write_odd: Callable[[Any, Wire], Any]
) -> Writer:
    """Make a writer.

    Args:
        cls: a document class.
        fields: the attribute, the name on the wire, and the wire form of each field.
        write: writes a document of any class.
        write_odd: writes a value of a kind that has no short form here; ``None`` if it may have faults.
    """
    scope: dict[str, Any] = {"write": write, "write_odd": write_odd}
    lines = ["def write_document(document):", "    payload = {}"]
    for number, (attribute, name, wire) in enumerate(fields):
        scope[f"wire{number}"], scope[f"item{number}"], scope[f"values{number}"] = wire, wire.item, set(wire.values)
        lines += [f"    {line}" for line in _lines(attribute, name, wire, number)]
    source = "\n".join([*lines, "    return payload"])
    exec(compile(source, f"<writer of {cls.__name__}>", "exec"), scope)  # noqa: S102  # all of it stands in this module
    made: Writer = scope["write_document"]
    return made


def _lines(attribute: str, name: str, wire: Wire, number: int) -> Iterator[str]:
    target = f"payload[{name!r}]"
    yield f"value = document.{attribute}"
    yield "if value is None:"
    if wire.none_text is not None:
        yield f"    {target} = {wire.none_text!r}"
    elif wire.nullable:
        yield f"    {target} = None"
    else:
        yield "    return None" if wire.required else "    pass"
    test, written = _short_form(wire, number)
    yield f"elif {test}:"
    yield f"    {target} = {written}"
    yield f"elif (value := write_odd(value, wire{number})) is not None:"
    yield f"    {target} = value"
    yield "else:"
    yield "    return None"


def _short_form(wire: Wire, number: int) -> tuple[str, str]:
    """Give a test which holds of values that are surely without fault, and what is written of them."""
    match wire.kind:
        case Kind.TEXT if wire.values:
            return f"type(value) is str and value in values{number}", "value"
        case Kind.TEXT:
            return f"type(value) is str and {_within('len(value)', wire, least=0)}", "value"
        case Kind.INTEGER:
            return f"type(value) is int and {_within('value', wire)}", "value"
        case Kind.FLAG:
            return "type(value) is bool", '"true" if value else "false"' if wire.as_text else "value"
        case Kind.ONE:
            return f"type(value) is item{number} and (part := write(value)) is not None", "part"
        case Kind.MANY:
            parts = f"[write(one) if type(one) is item{number} else None for one in value]"
            fits = f"type(value) is tuple and {_within('len(value)', wire, least=0)}"
            return f"{fits} and None not in (parts := {parts})", "parts"
    return "False", "value"


def _within(what: str, wire: Wire, least: float = -math.inf) -> str:
    """Write the test of a field's bounds; `least` is what holds of every value of its kind."""
    left = "" if wire.minimum <= least else f"{wire.minimum!r} <= "
    right = "" if wire.maximum == math.inf else f" <= {wire.maximum!r}"
    return f"{left}{what}{right}" if left or right else "True"
