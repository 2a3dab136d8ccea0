"""What a value of the neutral model must be, by its annotations: UTC times, whole bytes, open enums."""

from __future__ import annotations

import collections.abc
import enum
import functools
import types
import typing
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import attrs

__all__ = ["enums_in", "faults_in"]

_LEAST_BYTES = 2**20
"""A disk, or a memory, of less is one that was not counted in bytes."""


def faults_in(value: Any, path: str = "") -> Iterator[str]:
    """Tell what is wrong with a value of the neutral model, and where.

    Args:
        value: a value of one of the library's frozen classes.
        path: where it stands.
    """
    kind: Any = type(value)
    hints = _hints(kind)
    for field in attrs.fields(kind):
        held = getattr(value, field.name)
        where = f"{path}.{field.name}" if path else field.name
        yield from _faults(held, hints[field.name], where)
        if not isinstance(held, int | float):
            continue
        if field.name.endswith("_bytes") and held < 0:
            yield f"{where} is {held}: a size is not negative"
        if field.name in ("percent", "progress") and not 0 <= held <= 100:
            yield f"{where} is {held}: a percentage is between 0 and 100"
        if field.name in ("memory_bytes", "size_bytes") and 0 < held < _LEAST_BYTES:
            yield f"{where} is {held}: that is no number of bytes"


@functools.cache
def _hints(cls: Any) -> Mapping[str, Any]:
    return typing.get_type_hints(cls)


def _faults(value: Any, wanted: Any, where: str) -> Iterator[str]:
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if wanted is Any:
        return
    if origin in (types.UnionType, typing.Union):
        fitting = next((one for one in arguments if _fits(value, one)), None)
        if fitting is None:
            yield _told(value, wanted, where)
        else:
            yield from _faults(value, fitting, where)
    elif origin is tuple and isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _faults(item, arguments[0], f"{where}[{index}]")
    elif not _fits(value, wanted):
        yield _told(value, wanted, where)
    elif isinstance(value, datetime) and value.utcoffset() != timedelta(0):
        yield f"{where} is {value!r}: a time is in UTC, and says so"
    elif attrs.has(type(value)):
        yield from faults_in(value, where)


def _fits(value: Any, wanted: Any) -> bool:
    plain = typing.get_origin(wanted) or wanted
    if plain is types.NoneType:
        return value is None
    if plain in (int, float):
        return isinstance(value, (int, plain)) and not isinstance(value, bool)
    if plain is collections.abc.Mapping:
        return isinstance(value, Mapping)
    return isinstance(plain, type) and isinstance(value, plain)


def _told(value: Any, wanted: Any, where: str) -> str:
    name = getattr(wanted, "__name__", None) or str(wanted)
    return f"{where} is {value!r}, which is no {name}"


def enums_in(value: Any, path: str = "") -> dict[str, enum.Enum]:
    """Find the enums in a value of the neutral model, by where they stand."""
    if isinstance(value, enum.Enum):
        return {path: value}
    found: dict[str, enum.Enum] = {}
    if isinstance(value, tuple):
        for index, item in enumerate(value):
            found |= enums_in(item, f"{path}[{index}]")
    elif attrs.has(type(value)):
        for field in attrs.fields(type(value)):
            found |= enums_in(getattr(value, field.name), f"{path}.{field.name}".lstrip("."))
    return found
