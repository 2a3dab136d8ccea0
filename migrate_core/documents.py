"""Vendor documents: the objects of a vendor's API, with the types, bounds and values of its tables.

A plug-in declares each object of its vendor as a frozen attrs class whose fields say what they are on the wire::

    @attrs.frozen(kw_only=True)
    class Disk:
        name: str | None = text(required=True)
        size: int | None = integer(maximum=MAX64)

A field is called on the wire as its attribute is, unless it has a `name` of its own.

Three plain functions then work on every such class. `encode` makes JSON of it, leaving out what is ``None``.
`faults_of` lists all that is wrong with it. `decode` reads JSON: tolerantly, as an answer must be read, so that one odd
field never fails the whole; or, given a list for the faults, strictly, as a user's document must be read, so that
nothing is dropped in silence.

Where only some fields of an answer are wanted, and of thousands of answers, `text_in` and those after it read one field
each, as tolerantly as `decode` and without an object in between.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from typing import Any, TypeAlias, TypeVar

import attrs

from migrate_core.errors import Fault

__all__ = [
    "MAX32",
    "MAX64",
    "Kind",
    "Wire",
    "anything",
    "decode",
    "encode",
    "encode_sound",
    "faults_of",
    "flag",
    "flag_in",
    "integer",
    "integer_in",
    "many",
    "number",
    "number_in",
    "object_in",
    "objects_in",
    "one",
    "text",
    "text_in",
    "texts",
    "texts_in",
    "wire_of",
]

T = TypeVar("T")

MAX32 = 2**31 - 1
MAX64 = 2**63 - 1

_KEY = "migrate_core.wire"


class Kind(enum.Enum):
    """What a field is."""

    TEXT = "text"
    INTEGER = "an integer"
    NUMBER = "a number"
    FLAG = "true or false"
    TEXTS = "a list of texts"
    ONE = "an object"
    MANY = "a list of objects"
    ANYTHING = "any JSON"


@attrs.frozen(kw_only=True)
class Wire:
    """A field on the wire.

    Attributes:
        kind: its type.
        minimum: least value, or least length of a text.
        maximum: greatest value, or greatest length of a text or a list.
        values: the allowed texts; all if empty.
        required: whether the vendor's table calls it mandatory.
        item: the class of the object or objects in it.
        item_maximum: greatest length of each text in a list of texts.
        name: its name on the wire, if that is not the attribute's.
        also: other names under which it is accepted.
        units: whether an integer may come as ``"3.30GiB"``.
        as_text: whether a flag is sent as the text ``"true"`` or ``"false"``.
        none_text: a text that stands for "none".
        nullable: whether "none" is sent as ``null`` instead of being left out.
    """

    kind: Kind
    minimum: float = 0
    maximum: float = math.inf
    values: tuple[str, ...] = ()
    required: bool = False
    item: Any = None
    item_maximum: float = math.inf
    name: str = ""
    also: tuple[str, ...] = ()
    units: bool = False
    as_text: bool = False
    none_text: str | None = None
    nullable: bool = False


def _field(wire: Wire, *, secret: bool = False) -> Any:
    return attrs.field(default=None, repr=not secret, metadata={_KEY: wire})


def text(
    maximum: float = 255,
    minimum: int = 0,
    *,
    values: Sequence[str] = (),
    required: bool = False,
    name: str = "",
    none_text: str | None = None,
    nullable: bool = False,
    secret: bool = False,
) -> Any:
    """Declare a text; `minimum` and `maximum` are lengths in characters."""
    wire = Wire(
        kind=Kind.TEXT,
        minimum=minimum,
        maximum=maximum,
        values=tuple(values),
        required=required,
        name=name,
        none_text=none_text,
        nullable=nullable,
    )
    return _field(wire, secret=secret)


def integer(maximum: int, minimum: int = 0, *, required: bool = False, units: bool = False, name: str = "") -> Any:
    """Declare an integer between `minimum` and `maximum`."""
    wire = Wire(kind=Kind.INTEGER, minimum=minimum, maximum=maximum, required=required, units=units, name=name)
    return _field(wire)


def number(maximum: float, minimum: float = 0.0, *, name: str = "") -> Any:
    """Declare a number between `minimum` and `maximum`."""
    return _field(Wire(kind=Kind.NUMBER, minimum=minimum, maximum=maximum, name=name))


def flag(*, required: bool = False, as_text: bool = False, name: str = "") -> Any:
    """Declare a Boolean."""
    return _field(Wire(kind=Kind.FLAG, required=required, as_text=as_text, name=name))


def texts(maximum: int, item_maximum: int, *, name: str = "") -> Any:
    """Declare a list of at most `maximum` texts of at most `item_maximum` characters."""
    return _field(Wire(kind=Kind.TEXTS, maximum=maximum, item_maximum=item_maximum, name=name))


def one(item: type, *, required: bool = False, name: str = "") -> Any:
    """Declare an object of the class `item`."""
    return _field(Wire(kind=Kind.ONE, item=item, required=required, name=name))


def many(item: type, maximum: int = 65535, *, required: bool = False, name: str = "", also: Sequence[str] = ()) -> Any:
    """Declare a list of at most `maximum` objects of the class `item`."""
    return _field(Wire(kind=Kind.MANY, maximum=maximum, item=item, required=required, name=name, also=tuple(also)))


def anything(*, name: str = "") -> Any:
    """Declare a field that may hold any JSON value."""
    return _field(Wire(kind=Kind.ANYTHING, name=name))


def wire_of(cls: type) -> Mapping[str, Wire]:
    """Give the wire form of each field of a document class, by attribute name."""
    return {field.name: field.metadata[_KEY] for field in attrs.fields(cls) if _KEY in field.metadata}


_Row: TypeAlias = tuple[str, tuple[str, ...], Wire]

_known_rows: dict[type, tuple[_Row, ...]] = {}


def _rows(cls: type) -> tuple[_Row, ...]:
    """What the loops below need of each field: attribute, names on the wire with ours first, wire form."""
    if cls not in _known_rows:
        _known_rows[cls] = tuple((name, (wire.name or name, *wire.also), wire) for name, wire in wire_of(cls).items())
    return _known_rows[cls]


class _Unreadable(Exception):
    """A value is not what its field declares."""


_UNREADABLE = (_Unreadable, ValueError, OverflowError, ArithmeticError)


def decode(cls: type[T], payload: Mapping[str, Any], faults: list[Fault] | None = None, path: str = "") -> T:
    """Read an object from JSON.

    Numbers may come as text, Booleans as ``"true"``, and anything as ``null``; enumerated texts are kept whatever they
    say. What is absent or ``null`` becomes ``None``.

    Args:
        cls: the document class.
        payload: a JSON object.
        faults: takes note of unknown fields and of values that cannot be read. Without it, these are left out.
        path: where `payload` stands, for the faults.

    Returns:
        The object; without `faults` this never fails.
    """
    return _tolerant(cls, payload) if faults is None else _strict(cls, payload, faults, path)


def _strict(cls: type[T], payload: Mapping[str, Any], faults: list[Fault], path: str) -> T:
    values: dict[str, Any] = {}
    for attribute, names, wire in _rows(cls):
        present = [name for name in names if name in payload]
        name = present[0] if present else None
        if len(present) > 1:
            faults.append(Fault(f"{path}{present[1]}", f"is given already, as {name}"))
        value = payload[name] if name is not None else None
        if value is None or value == wire.none_text:
            continue
        try:
            values[attribute] = _read(value, wire, faults, f"{path}{name}")
        except _UNREADABLE:
            faults.append(Fault(f"{path}{name}", f"is not {wire.kind.value}"))
    known = {name for _, names, _ in _rows(cls) for name in names}
    faults.extend(Fault(f"{path}{name}", f"is no field of {cls.__name__}") for name in payload if name not in known)
    return cls(**values)


def _tolerant(cls: type[T], payload: Mapping[str, Any]) -> T:
    """Read an answer. Fleets are described by the thousand, so what is as declared is taken without a further look."""
    known, several = _readers(cls)
    values: dict[str, Any] = {}
    for name, value in payload.items():
        if value is not None and (row := known.get(name)) is not None:
            attribute, plain, read = row
            if type(value) is plain:
                values[attribute] = value
            else:
                try:
                    values[attribute] = read(value)
                except _UNREADABLE:
                    continue
    for attribute, names, read in several:
        value = next((payload[name] for name in names if name in payload), None)
        if value is not None:
            with suppress(*_UNREADABLE):
                values[attribute] = read(value)
    return cls(**values)


_Read: TypeAlias = Callable[[Any], Any]

_known_readers: dict[type, tuple[dict[str, tuple[str, Any, _Read]], list[tuple[str, tuple[str, ...], _Read]]]] = {}


def _readers(cls: type) -> tuple[dict[str, tuple[str, Any, _Read]], list[tuple[str, tuple[str, ...], _Read]]]:
    """What an answer's fields are read with: attribute, the type that needs no reading, how others are read.

    Returns:
        The fields by their name on the wire; and those that have several names, of which the first counts.
    """
    if cls not in _known_readers:
        known, several = {}, []
        for attribute, names, wire in _rows(cls):
            read = _reader(wire)
            if len(names) > 1:
                several.append((attribute, names, read))
            else:
                known[names[0]] = (attribute, None if wire.none_text else _PLAIN.get(wire.kind), read)
        _known_readers[cls] = known, several
    return _known_readers[cls]


_PLAIN: Mapping[Kind, type] = {Kind.TEXT: str, Kind.INTEGER: int, Kind.FLAG: bool}


def _reader(wire: Wire) -> _Read:
    item = wire.item

    def read(value: Any) -> Any:
        return None if value == wire.none_text else _read(value, wire, None, "")

    def read_one(value: Any) -> Any:
        return _tolerant(item, value) if type(value) is dict else read(value)

    def read_many(value: Any) -> Any:
        if type(value) is not list:
            return read(value)
        return tuple([_tolerant(item, one) for one in value if type(one) is dict or isinstance(one, Mapping)])

    def read_texts(value: Any) -> Any:
        plain = type(value) is list and all([type(one) is str for one in value])
        return tuple(value) if plain else read(value)

    return {Kind.ONE: read_one, Kind.MANY: read_many, Kind.TEXTS: read_texts}.get(wire.kind, read)


def text_in(payload: Mapping[str, Any], name: str) -> str | None:
    """Read a text of an answer; ``None`` where there is none."""
    value = payload.get(name)
    return value if type(value) is str else _leniently(value, _TEXT)


def integer_in(payload: Mapping[str, Any], name: str) -> int | None:
    """Read an integer of an answer; ``None`` where there is none."""
    value = payload.get(name)
    return value if type(value) is int else _leniently(value, _INTEGER)


def number_in(payload: Mapping[str, Any], name: str) -> float | None:
    """Read a finite number of an answer; ``None`` where there is none."""
    number: float | None = _leniently(payload.get(name), _NUMBER)
    return number


def flag_in(payload: Mapping[str, Any], name: str) -> bool | None:
    """Read a Boolean of an answer; ``None`` where there is none."""
    value = payload.get(name)
    return value if type(value) is bool else _leniently(value, _FLAG)


def texts_in(payload: Mapping[str, Any], name: str) -> Sequence[str]:
    """Read the texts of a list in an answer; none where there is no list."""
    value = payload.get(name)
    if type(value) is list and all([type(one) is str for one in value]):
        return value
    return _leniently(value, _TEXTS) or ()


def object_in(payload: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """Give an object of an answer; ``None`` where there is none."""
    value = payload.get(name)
    return value if isinstance(value, dict | Mapping) else None


def objects_in(payload: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    """Give the objects of a list in an answer; none where there is no list."""
    value = payload.get(name)
    if not isinstance(value, list | tuple):
        return ()
    return [one for one in value if isinstance(one, dict | Mapping)]


_TEXT, _INTEGER, _NUMBER = Wire(kind=Kind.TEXT), Wire(kind=Kind.INTEGER), Wire(kind=Kind.NUMBER)
_FLAG, _TEXTS = Wire(kind=Kind.FLAG), Wire(kind=Kind.TEXTS)


def _leniently(value: Any, wire: Wire) -> Any:
    if value is None:
        return None
    try:
        return _read(value, wire, None, "")
    except _UNREADABLE:
        return None


def _read(value: Any, wire: Wire, faults: list[Fault] | None, path: str) -> Any:
    strict = faults is not None
    match wire.kind, value:
        case Kind.TEXT, str():
            return value
        case Kind.TEXT, int() | float() if not strict:
            return str(value).lower() if isinstance(value, bool) else str(value)
        case Kind.TEXT, [*items] if not strict and all(isinstance(item, str) for item in items):
            return ", ".join(items)
        case Kind.INTEGER, bool():
            raise _Unreadable
        case Kind.INTEGER, int() | float() | str():
            return _integer(value, wire.units)
        case Kind.NUMBER, bool():
            raise _Unreadable
        case Kind.NUMBER, int() | float() | str():
            return _finite(float(value))
        case Kind.FLAG, bool():
            return value
        case Kind.FLAG, "true" | "false" | "True" | "False":
            return value.lower() == "true"
        case Kind.TEXTS, [*items] if not strict or all(isinstance(item, str) for item in items):
            return tuple(item for item in items if isinstance(item, str))
        case Kind.TEXTS, str() if not strict:
            return (value,)
        case Kind.ONE, {}:
            return decode(wire.item, value, faults, f"{path}.")
        case Kind.MANY, [*items]:
            return tuple(_items(items, wire, faults, path))
        case Kind.ANYTHING, _:
            return value
    raise _Unreadable


def _items(items: list[Any], wire: Wire, faults: list[Fault] | None, path: str) -> Any:
    for index, item in enumerate(items):
        where = f"{path}[{index}]"
        if isinstance(item, Mapping):
            yield decode(wire.item, item, faults, f"{where}.")
        elif faults is not None:
            faults.append(Fault(where, "is not an object"))


_SIZE = re.compile(r"\s*(-?\d{1,40}(?:\.\d{1,40})?)\s*([KMGTP]iB|B)?\s*", re.ASCII)
_POWER = {None: 0, "B": 0, "KiB": 1, "MiB": 2, "GiB": 3, "TiB": 4, "PiB": 5}


def _integer(value: int | float | str, units: bool) -> int:
    """Read an integer; with `units` also a size with a fraction, which is rounded down to whole bytes."""
    if isinstance(value, str):
        match = _SIZE.fullmatch(value)
        if not match or (match[2] and not units):
            raise _Unreadable
        size = Fraction(match[1]) * 1024 ** _POWER[match[2]]
        if size.denominator != 1 and not units:
            raise _Unreadable
        return int(size)
    if value != int(value):
        raise _Unreadable
    return int(value)


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise _Unreadable
    return value


def encode(document: Any) -> dict[str, Any]:
    """Make a JSON object of a document; what is ``None`` is left out."""
    sound = encode_sound(document)
    return _encode_anyhow(document) if sound is None else sound


def _encode_anyhow(document: Any) -> dict[str, Any]:
    payload: dict[str, Any] = {}
    for attribute, names, wire in _rows(type(document)):
        value = getattr(document, attribute)
        if value is not None:
            payload[names[0]] = _written(value, wire)
        elif wire.none_text is not None:
            payload[names[0]] = wire.none_text
        elif wire.nullable:
            payload[names[0]] = None
    return payload


def encode_sound(document: Any) -> dict[str, Any] | None:
    """Make a JSON object of a document that its vendor's tables allow.

    Returns:
        What `encode` gives; ``None`` if the document is not allowed, and `faults_of` says why.
    """
    cls = type(document)
    if cls not in _known_writers:
        from migrate_core._compiled import writer_for  # who only reads does without

        fields = [(attribute, names[0], wire) for attribute, names, wire in _rows(cls)]
        _known_writers[cls] = writer_for(cls, fields, encode_sound, _written_if_sound)
    return _known_writers[cls](document)


_known_writers: dict[type, Callable[[Any], dict[str, Any] | None]] = {}


def _written_if_sound(value: Any, wire: Wire) -> Any:
    return None if _value_faults(value, wire, "") else _written(value, wire)


def _written(value: Any, wire: Wire) -> Any:
    match wire.kind:
        case Kind.ONE:
            return encode(value)
        case Kind.MANY:
            return [encode(item) for item in value]
        case Kind.TEXTS:
            return list(value)
        case Kind.FLAG if wire.as_text:
            return "true" if value else "false"
    return value


def faults_of(document: Any, path: str = "") -> list[Fault]:
    """List what is wrong with a document by its vendor's tables: types, bounds, values, mandatory fields.

    Args:
        document: an object of a document class.
        path: where it stands.

    Returns:
        All faults, in the order of the fields; empty if there are none.
    """
    return [] if encode_sound(document) is not None else _listed_faults(document, path)


def _listed_faults(document: Any, path: str) -> list[Fault]:
    faults: list[Fault] = []
    for attribute, names, wire in _rows(type(document)):
        value = getattr(document, attribute)
        if value is None:
            if wire.required and wire.none_text is None and not wire.nullable:
                faults.append(Fault(f"{path}{names[0]}", "is mandatory"))
        else:
            faults.extend(_value_faults(value, wire, f"{path}{names[0]}"))
    return faults


def _value_faults(value: Any, wire: Wire, where: str) -> list[Fault]:
    match wire.kind:
        case Kind.ANYTHING:
            return []
        case Kind.TEXT if isinstance(value, str):
            if wire.values and value not in wire.values:
                return [Fault(where, f"is {value!r}, allowed are: {', '.join(map(repr, wire.values))}")]
            return _bounds(len(value), wire.minimum, wire.maximum, where, "characters long")
        case Kind.INTEGER if isinstance(value, int) and not isinstance(value, bool):
            return _bounds(value, wire.minimum, wire.maximum, where)
        case Kind.NUMBER if isinstance(value, int | float) and not isinstance(value, bool):
            return _bounds(value, wire.minimum, wire.maximum, where)
        case Kind.FLAG if isinstance(value, bool):
            return []
        case Kind.TEXTS if _is_list(value) and all(isinstance(item, str) for item in value):
            faults = _bounds(len(value), 0, wire.maximum, where, "items long")
            for index, item in enumerate(value):
                faults += _bounds(len(item), 0, wire.item_maximum, f"{where}[{index}]", "characters long")
            return faults
        case Kind.ONE if isinstance(value, wire.item):
            return faults_of(value, f"{where}.")
        case Kind.MANY if _is_list(value):
            faults = _bounds(len(value), 0, wire.maximum, where, "items long")
            for index, item in enumerate(value):
                here = f"{where}[{index}]"
                if isinstance(item, wire.item):
                    faults += faults_of(item, f"{here}.")
                else:
                    faults.append(Fault(here, f"is not a {wire.item.__name__}"))
            return faults
    wanted = f"a {wire.item.__name__}" if wire.kind is Kind.ONE else wire.kind.value
    return [Fault(where, f"is not {wanted} but {type(value).__name__}")]


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _bounds(value: float, least: float, most: float, where: str, unit: str = "") -> list[Fault]:
    if least <= value <= most:
        return []
    limits = f"at least {least:g}" if most == math.inf else f"{least} to {most}"
    return [Fault(where, f"is {value} {unit}".rstrip() + f", allowed is {limits}")]
