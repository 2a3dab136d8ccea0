"""The JSON shape of the library's objects, version 1: what ``migratectl -o json`` prints and ``register -f`` reads.

Each object says its ``version`` and ``kind``, then its attributes by their names: enums as their values, times as
ISO 8601 in UTC, lengths of time in seconds, sizes in bytes; ``null`` where the vendor does not say. Within a version,
fields and enum values are added and never changed or removed, so a reader passes over what it does not know. What a
person wrote is read strictly instead: nothing in it is dropped in silence, and a secret stands in it as a reference
(see `migrate_core.secrets`).
"""

from __future__ import annotations

import enum
import functools
import math
import os
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import attrs

from migrate_core.errors import ConfigurationError, Fault, InvalidDocumentError
from migrate_core.provider import TaskInfo
from migrate_core.secrets import KINDS, resolve
from migrate_core.tasks import AsyncTask, Task

__all__ = ["VERSION", "TaskRecord", "read_shape", "schema_of", "shape_of"]

VERSION = 1

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class TaskRecord(TaskInfo):
    """A task as it is printed; its kind is ``Task``.

    Attributes:
        provider: name of the provider.
        token: resumes the task in another process.
    """

    provider: str
    token: str


def shape_of(value: Any) -> dict[str, Any]:
    """Give the JSON shape of an object.

    Args:
        value: a task, or an object of an attrs class such as `SourceServer`.

    Returns:
        A new JSON object that says its version and kind.
    """
    if isinstance(value, Task | AsyncTask):
        info = {field.name: getattr(value.info, field.name) for field in attrs.fields(TaskInfo)}
        value = TaskRecord(**info, provider=value._engine.provider.name, token=value.token)
    return {"version": VERSION, "kind": _kind(type(value)), **_written(value)}


def _kind(cls: type) -> str:
    return cls.__name__.removesuffix("Record")


def _written(value: Any) -> Any:
    match value:
        case enum.Enum():
            return value.value
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case timedelta():
            return value.total_seconds()
        case Mapping():
            return {str(key): _written(item) for key, item in value.items()}
        case list() | tuple():
            return [_written(item) for item in value]
        case _ if attrs.has(type(value)):
            return {field.name: _written(getattr(value, field.name)) for field in attrs.fields(type(value))}
    return value


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in attrs.fields(cls)}


def read_shape(cls: type[T], payload: Any) -> T:
    """Read an object that a person wrote.

    Args:
        cls: what it is, such as `SourceSpec`.
        payload: its JSON shape; ``version`` and ``kind`` may be left out.

    Returns:
        The object.

    Raises:
        InvalidDocumentError: it has unknown fields, lacks some, or holds values of wrong types; all faults are listed.
    """
    faults: list[Fault] = []
    if isinstance(payload, Mapping):
        stated = {"version": VERSION, "kind": _kind(cls)}
        for name, wanted in stated.items():
            if payload.get(name, wanted) != wanted or payload.get(name) is True:
                faults.append(Fault(name, f"is {payload[name]!r}, and this reads {wanted!r}"))
        payload = {name: value for name, value in payload.items() if name not in stated}
    value = _read(payload, cls, "", faults)
    if faults:
        raise InvalidDocumentError(faults)
    return typing.cast("T", value)


class _Wrong(Exception):
    """A value is not what its field declares."""


def _read(value: Any, hint: Any, path: str, faults: list[Fault]) -> Any:
    """Read one value; what is wrong with it is noted, and then what is returned does not matter."""
    try:
        return _converted(value, hint, path, faults)
    except _Wrong:
        faults.append(Fault(path, f"is not {_wanted(hint)}"))
        return None


def _converted(value: Any, hint: Any, path: str, faults: list[Fault]) -> Any:
    choices = _choices(hint)
    if value is None and type(None) in choices:
        return None
    hint = choices[0]
    if hint is Any:
        return value
    if attrs.has(hint):
        return _object(value, hint, path, faults)
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise _Wrong
        inner = typing.get_args(hint)[0]
        return tuple(_read(item, inner, f"{path}[{index}]", faults) for index, item in enumerate(value))
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _member(value, hint)
    wanted = {float: (int, float)}.get(hint, typing.get_origin(hint) or hint)
    if not isinstance(value, wanted) or (isinstance(value, bool) and hint is not bool):
        raise _Wrong
    if isinstance(value, float) and not math.isfinite(value):
        raise _Wrong
    return value


def _object(value: Any, cls: Any, path: str, faults: list[Fault]) -> Any:
    if not isinstance(value, Mapping):
        raise _Wrong
    start = f"{path}." if path else ""
    hints = _hints(cls)
    before = len(faults)
    faults.extend(Fault(f"{start}{name}", f"is no field of {_kind(cls)}") for name in value if name not in hints)
    missing = [field.name for field in attrs.fields(cls) if field.default is attrs.NOTHING and field.name not in value]
    faults.extend(Fault(f"{start}{name}", "is mandatory") for name in missing)
    fields = attrs.fields_dict(cls)
    values = {
        name: (_fetched if _is_secret(fields[name]) else _read)(item, hints[name], f"{start}{name}", faults)
        for name, item in value.items()
        if name in hints
    }
    return cls(**values) if len(faults) == before else None


def _is_secret(field: attrs.Attribute[Any]) -> bool:
    return field.repr is False and field.name != "raw"


def _fetched(reference: Any, _: Any, path: str, faults: list[Fault]) -> str | None:
    try:
        return resolve(reference, environ=os.environ)
    except ConfigurationError as error:
        faults.append(Fault(path, str(error)))
        return None


def _member(value: Any, cls: type[enum.Enum]) -> enum.Enum:
    for member in cls:
        if value == member.value:
            return member
    raise _Wrong


def _choices(hint: Any) -> tuple[Any, ...]:
    """Give the types of a union with ``None`` last, and of anything else the type itself."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return tuple(sorted(typing.get_args(hint), key=lambda choice: choice is type(None)))
    return (hint,)


_WORDS = {str: "a text", int: "an integer", float: "a number", bool: "true or false"}


def _wanted(hint: Any) -> str:
    hint = _choices(hint)[0]
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return f"one of {', '.join(member.value for member in hint)}"
    if typing.get_origin(hint) is tuple:
        return "a list"
    return _WORDS.get(hint, "an object")


def schema_of(written: Sequence[type], read: Sequence[type]) -> dict[str, Any]:
    """Make a JSON Schema (draft 2020-12) of shapes.

    Args:
        written: classes whose shapes are printed; more fields may come, so more are allowed.
        read: classes whose shapes are read; these are closed, and ``Input`` is added to their names.

    Returns:
        The schema, of an object of any of these kinds.
    """
    definitions: dict[str, Any] = {}
    for cls in written:
        definitions |= dict(_definitions(cls, closed=False))
    for cls in read:
        definitions |= dict(_definitions(cls, closed=True))
    printed = [{**_ref(cls, False), "properties": _stated(cls), "required": list(_stated(cls))} for cls in written]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"migrate-core objects, version {VERSION}",
        "anyOf": sorted([*printed, *(_ref(cls, True) for cls in read)], key=lambda choice: str(choice["$ref"])),
        "$defs": dict(sorted(definitions.items())),
    }


def _stated(cls: type) -> dict[str, Any]:
    return {"version": {"const": VERSION}, "kind": {"const": _kind(cls)}}


def _ref(cls: type, closed: bool) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{_title(cls, closed)}"}


def _definitions(cls: type, *, closed: bool, inside: bool = False) -> Iterator[tuple[str, Any]]:
    """Give the definition of a class and of all that are in it."""
    hints, fields = _hints(cls), attrs.fields_dict(cls)
    for hint in hints.values():
        for inner in _classes(hint):
            yield from _definitions(inner, closed=closed, inside=True)
    properties = {
        name: _REFERENCE if closed and _is_secret(fields[name]) else _schema(hint, closed)
        for name, hint in hints.items()
    }
    lines = (cls.__doc__ or "").strip().splitlines() or [""]
    mandatory = [name for name, field in fields.items() if not closed or field.default is attrs.NOTHING]
    definition: dict[str, Any] = {
        "description": lines[0],
        "type": "object",
        "properties": properties if inside or not closed else {**_stated(cls), **properties},
        "required": mandatory,
    }
    if closed:
        definition["additionalProperties"] = False
    yield _title(cls, closed), definition


def _title(cls: type, closed: bool) -> str:
    return f"{_kind(cls)}Input" if closed else _kind(cls)


def _classes(hint: Any) -> Iterator[type]:
    for choice in _choices(hint):
        if typing.get_origin(choice) is tuple:
            yield from _classes(typing.get_args(choice)[0])
        elif attrs.has(choice):
            yield choice


_REFERENCE = {
    "description": 'where the secret is, such as {"env": "NAME"}',
    "type": "object",
    "minProperties": 1,
    "maxProperties": 1,
    "propertyNames": {"enum": list(KINDS)},
}
_TYPES: Mapping[Any, Mapping[str, Any]] = {
    Any: {},
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    datetime: {"type": "string", "format": "date-time"},
    timedelta: {"type": "number", "description": "seconds"},
}


def _schema(hint: Any, closed: bool) -> dict[str, Any]:
    choices = _choices(hint)
    if len(choices) > 1:
        return {"anyOf": [_schema(choice, closed) for choice in choices]}
    if attrs.has(hint):
        return _ref(hint, closed)
    if typing.get_origin(hint) is tuple:
        return {"type": "array", "items": _schema(typing.get_args(hint)[0], closed)}
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return {"enum": [member.value for member in hint]}
    return dict(_TYPES.get(hint, {"type": "object"}))
