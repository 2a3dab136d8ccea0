"""Vendor documents: reading them tolerantly or strictly, writing them, and listing what is wrong with them."""

from __future__ import annotations

import decimal
import json
import math
from typing import Any

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from migrate_core import documents
from migrate_core.documents import (
    MAX32,
    MAX64,
    Kind,
    anything,
    decode,
    encode,
    encode_sound,
    faults_of,
    flag,
    integer,
    many,
    number,
    one,
    text,
    texts,
    wire_of,
)
from migrate_core.errors import Fault


@attrs.frozen(kw_only=True)
class Part:
    """A part of a machine."""

    name: str | None = text(8, required=True)
    mount: str | None = text(required=True, none_text="null")


@attrs.frozen(kw_only=True)
class Machine:
    """A machine, with a field of each kind."""

    name: str | None = text(8, 2, required=True)
    style: str | None = text(values=("MBR", "GPT"))
    password: str | None = text(secret=True)
    thumb: str | None = text(required=True, nullable=True)
    count: int | None = integer(MAX32, required=True)
    size: int | None = integer(MAX64, units=True)
    share: float | None = number(100.0)
    active: bool | None = flag()
    snapshot: bool | None = flag(as_text=True)
    tags: tuple[str, ...] | None = texts(3, 4)
    boot: Part | None = one(Part)
    parts: tuple[Part, ...] | None = many(Part, 2, name="partz", also=("parts",))
    extra: Any = anything()


FULL = Machine(
    name="web-1",
    style="GPT",
    password="opensesame",
    thumb="ab:cd",
    count=3,
    size=2**40,
    share=12.5,
    active=True,
    snapshot=False,
    tags=("a", "b"),
    boot=Part(name="sda1", mount="/boot"),
    parts=(Part(name="sda1", mount=None), Part(name="sda2", mount="/")),
    extra={"anything": [1, None]},
)
FULL_JSON = {
    "name": "web-1",
    "style": "GPT",
    "password": "opensesame",
    "thumb": "ab:cd",
    "count": 3,
    "size": 2**40,
    "share": 12.5,
    "active": True,
    "snapshot": "false",
    "tags": ["a", "b"],
    "boot": {"name": "sda1", "mount": "/boot"},
    "partz": [{"name": "sda1", "mount": "null"}, {"name": "sda2", "mount": "/"}],
    "extra": {"anything": [1, None]},
}


def read(**payload: Any) -> Machine:
    """Read as an answer is read: tolerantly."""
    return decode(Machine, payload)


def strictly(**payload: Any) -> tuple[Machine, list[Fault]]:
    """Read as a user's document is read; gives the faults too."""
    faults: list[Fault] = []
    return decode(Machine, payload, faults), faults


def complaints(**changes: Any) -> list[str]:
    """Change a faultless machine; gives what is wrong with it then."""
    return [str(fault) for fault in faults_of(attrs.evolve(FULL, **changes))]


# There and back.


def test_a_document_survives_the_way_to_json_and_back() -> None:
    assert encode(FULL) == FULL_JSON
    assert decode(Machine, FULL_JSON) == FULL
    faults: list[Fault] = []
    assert decode(Machine, json.loads(json.dumps(FULL_JSON)), faults) == FULL
    assert faults == []
    assert faults_of(FULL) == []


def test_what_is_none_is_left_out_unless_the_vendor_has_a_word_for_it() -> None:
    assert encode(Machine()) == {"thumb": None}
    assert encode(Part()) == {"mount": "null"}


def test_what_is_empty_is_sent_empty() -> None:
    assert encode(Machine(name="", thumb="", tags=(), parts=(), count=0, active=False)) == {
        "name": "",
        "thumb": "",
        "count": 0,
        "active": False,
        "tags": [],
        "partz": [],
    }


def test_a_secret_stays_out_of_the_repr() -> None:
    assert "opensesame" not in repr(FULL)
    assert "web-1" in repr(FULL)


def test_the_wire_form_of_each_field_can_be_looked_up() -> None:
    kinds = {name: wire.kind for name, wire in wire_of(Machine).items()}
    assert list(kinds) == [field.name for field in attrs.fields(Machine)]
    assert set(kinds.values()) == set(Kind)


# Reading.


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"name": 17}, {"name": "17"}),
        ({"name": 1.5}, {"name": "1.5"}),
        ({"name": True}, {"name": "true"}),
        ({"name": None}, {"name": None}),
        ({"style": "SOMETHING NEW"}, {"style": "SOMETHING NEW"}),
        ({"count": "17"}, {"count": 17}),
        ({"count": 17.0}, {"count": 17}),
        ({"count": " -3 "}, {"count": -3}),
        ({"count": "17.0"}, {"count": 17}),
        ({"share": "12.5"}, {"share": 12.5}),
        ({"share": 12}, {"share": 12.0}),
        ({"active": "true"}, {"active": True}),
        ({"active": "False"}, {"active": False}),
        ({"snapshot": True}, {"snapshot": True}),
        ({"tags": ["a", 1, None, "b"]}, {"tags": ("a", "b")}),
        ({"tags": "a"}, {"tags": ("a",)}),
        ({"boot": {"name": 1, "new": 2}}, {"boot": Part(name="1")}),
        ({"boot": {"mount": "null"}}, {"boot": Part()}),
        ({"parts": [{"name": "x"}, 7, None]}, {"parts": (Part(name="x"),)}),
        ({"extra": False}, {"extra": False}),
        ({"nobody": "knows me"}, {}),
    ],
)
def test_an_answer_is_read_tolerantly(payload: dict[str, Any], expected: dict[str, Any]) -> None:
    assert read(**payload) == Machine(**expected)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", {"a": 1}),
        ("count", "many"),
        ("count", ""),
        ("count", "1.5"),
        ("count", 1.5),
        ("count", True),
        ("count", "3GiB"),
        ("count", math.nan),
        ("count", math.inf),
        ("count", "1" * 41),
        ("count", "٣"),  # a digit, but not one that JSON knows
        ("count", []),
        ("size", "3.30 GB"),
        ("size", "GiB"),
        ("size", "9" * 5000 + "GiB"),
        ("share", "nan"),
        ("share", math.inf),
        ("share", "9" * 400),
        ("share", 10**400),
        ("share", True),
        ("active", "maybe"),
        ("active", 1),
        ("tags", 5),
        ("tags", {"a": 1}),
        ("boot", "sda"),
        ("boot", [1]),
        ("parts", {"name": "x"}),
        ("parts", "sda"),
    ],
)
def test_what_cannot_be_read_is_left_out_of_an_answer_and_noted_in_a_document(field: str, value: Any) -> None:
    assert read(**{field: value}) == Machine()
    machine, faults = strictly(**{field: value})
    assert machine == Machine()
    assert [fault.path for fault in faults] == [field]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("3.30GiB", int(3.30 * 2**30)),
        ("1 KiB", 1024),
        ("0B", 0),
        ("1.5MiB", 3 * 2**19),
        ("2TiB", 2**41),
        ("1PiB", 2**50),
        ("0.3B", 0),
        ("17", 17),
        (17, 17),
        (2**63 - 1, 2**63 - 1),
        (str(2**63 - 1), 2**63 - 1),
        ("8191.99999999999999PiB", 9223372036854775796),
    ],
)
def test_a_size_may_come_with_its_unit_and_is_rounded_down(size: Any, expected: int) -> None:
    assert read(size=size).size == expected
    machine, faults = strictly(size=size)
    assert (machine.size, faults) == (expected, [])


def test_a_size_does_not_depend_on_the_callers_decimal_settings() -> None:
    with decimal.localcontext() as context:
        context.prec = 6
        assert read(size="8589934592").size == 8589934592
        assert read(size="1.5GiB").size == 3 * 2**29
    with decimal.localcontext() as context:
        context.traps[decimal.Inexact] = True
        assert read(size="3.3333GiB").size == int(3.3333 * 2**30)


@given(st.integers(-(10**40) + 1, 10**40 - 1))
@example(10**39 + 1)
def test_an_integer_in_a_text_is_read_exactly(value: int) -> None:
    assert read(count=str(value)).count == value


@given(st.integers(-(10**40) + 1, 10**40 - 1), st.integers(0, 10**12 - 1))
@example(10**30 - 1, 10**12 - 1)
def test_a_fraction_is_never_taken_for_an_integer(whole: int, fraction: int) -> None:
    shown = f"{whole}.{fraction:012}"
    assert read(count=shown).count == (whole if fraction == 0 else None)


@pytest.mark.parametrize(
    ("payload", "faults"),
    [
        ({"nmae": "web-1"}, ["nmae: is no field of Machine"]),
        ({"name": 17}, ["name: is not text"]),
        ({"count": "many"}, ["count: is not an integer"]),
        ({"share": "half"}, ["share: is not a number"]),
        ({"active": "maybe"}, ["active: is not true or false"]),
        ({"tags": ["a", 1]}, ["tags: is not a list of texts"]),
        ({"tags": "a"}, ["tags: is not a list of texts"]),
        ({"boot": []}, ["boot: is not an object"]),
        ({"boot": {"name": 1}}, ["boot.name: is not text"]),
        ({"boot": {"colour": "red"}}, ["boot.colour: is no field of Part"]),
        ({"parts": {}}, ["parts: is not a list of objects"]),
        ({"partz": [{"name": "x"}, 7]}, ["partz[1]: is not an object"]),
        ({"parts": [{}, {"name": 1, "x": 2}]}, ["parts[1].name: is not text", "parts[1].x: is no field of Part"]),
        ({"partz": [], "parts": []}, ["parts: is given already, as partz"]),
        (
            {"name": 1, "count": "x", "y": 0},
            ["name: is not text", "count: is not an integer", "y: is no field of Mach"],
        ),
    ],
)
def test_a_document_is_read_strictly_and_every_fault_has_its_path(payload: dict[str, Any], faults: list[str]) -> None:
    _, found = strictly(**payload)
    assert len(found) == len(faults)
    assert all(str(fault).startswith(said) for fault, said in zip(found, faults, strict=True))


def test_the_first_name_of_a_field_wins_in_an_answer() -> None:
    assert read(parts=[{"name": "old"}], partz=[{"name": "new"}]).parts == (Part(name="new"),)


def test_a_path_says_where_a_document_stands() -> None:
    faults: list[Fault] = []
    decode(Machine, {"boot": {"name": 1}}, faults, "servers[3].")
    assert [fault.path for fault in faults] == ["servers[3].boot.name"]
    assert [fault.path for fault in faults_of(Part(), "servers[3].")] == ["servers[3].name"]


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=6)
NAMES = [field.name for field in attrs.fields(Machine)]
ODD = st.sampled_from(["3.30GiB", "1" * 5000, "NaN", "-0", "1e999", "true", "null", 10**400, -(2**63), 1e308, "\ud800"])


@given(st.dictionaries(st.sampled_from([*NAMES, "partz", "mount"]) | st.text(), JSON | ODD))
def test_no_answer_breaks_the_reading_and_what_was_read_can_be_judged_and_sent(payload: dict[str, Any]) -> None:
    machine = decode(Machine, payload)
    assert machine.count is None or type(machine.count) is int
    assert machine.share is None or math.isfinite(machine.share)
    assert machine.tags is None or all(isinstance(tag, str) for tag in machine.tags)
    faults_of(machine)
    encode(machine)


@given(st.dictionaries(st.sampled_from([*NAMES, "partz", "mount"]) | st.text(), JSON | ODD))
def test_what_is_read_strictly_without_a_fault_loses_nothing(payload: dict[str, Any]) -> None:
    faults: list[Fault] = []
    machine = decode(Machine, payload, faults)
    if not faults:
        said = {"parts" if name == "partz" else name for name, value in payload.items() if value is not None}
        assert said == {name for name in NAMES if getattr(machine, name) is not None}


@given(
    st.builds(
        Machine,
        name=st.none() | st.text(),
        thumb=st.none() | st.text(),
        count=st.none() | st.integers(-MAX64, MAX64),
        share=st.none() | st.floats(allow_nan=False, allow_infinity=False),
        active=st.none() | st.booleans(),
        snapshot=st.none() | st.booleans(),
        tags=st.none() | st.lists(st.text()).map(tuple),
        boot=st.none() | st.builds(Part, name=st.none() | st.text(), mount=st.none() | st.just("/")),
    )
)
def test_whatever_is_sent_is_read_as_the_same(machine: Machine) -> None:
    faults: list[Fault] = []
    assert decode(Machine, encode(machine), faults) == machine
    assert faults == []


# Judging.


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": None}, ["name: is mandatory"]),
        ({"count": None}, ["count: is mandatory"]),
        ({"thumb": None}, []),
        ({"name": "x"}, ["name: is 1 characters long, allowed is 2 to 8"]),
        ({"name": "x" * 9}, ["name: is 9 characters long, allowed is 2 to 8"]),
        ({"name": 5}, ["name: is not text but int"]),
        ({"style": "gpt"}, ["style: is 'gpt', allowed are: 'MBR', 'GPT'"]),
        ({"count": -1}, [f"count: is -1, allowed is 0 to {MAX32}"]),
        ({"count": MAX32}, []),
        ({"count": MAX32 + 1}, [f"count: is {MAX32 + 1}, allowed is 0 to {MAX32}"]),
        ({"count": "3"}, ["count: is not an integer but str"]),
        ({"count": True}, ["count: is not an integer but bool"]),
        ({"count": 3.0}, ["count: is not an integer but float"]),
        ({"share": 100.5}, ["share: is 100.5, allowed is 0.0 to 100.0"]),
        ({"share": 3}, []),
        ({"share": math.nan}, ["share: is nan, allowed is 0.0 to 100.0"]),
        ({"share": True}, ["share: is not a number but bool"]),
        ({"active": "true"}, ["active: is not true or false but str"]),
        ({"active": 1}, ["active: is not true or false but int"]),
        ({"tags": ["a", "b"]}, []),
        ({"tags": ("a", "b", "c", "d")}, ["tags: is 4 items long, allowed is 0 to 3"]),
        ({"tags": ("a", "abcde")}, ["tags[1]: is 5 characters long, allowed is 0 to 4"]),
        ({"tags": "abc"}, ["tags: is not a list of texts but str"]),
        ({"tags": (1,)}, ["tags: is not a list of texts but tuple"]),
        ({"boot": {"name": "sda1"}}, ["boot: is not a Part but dict"]),
        ({"boot": Part(mount="/")}, ["boot.name: is mandatory"]),
        ({"boot": Part(name="sda1")}, []),
        ({"parts": [Part(name="a")]}, []),
        ({"parts": 3 * (Part(name="a"),)}, ["partz: is 3 items long, allowed is 0 to 2"]),
        ({"parts": (Part(name="a"), "b")}, ["partz[1]: is not a Part"]),
        ({"parts": (Part(name="a"), Part())}, ["partz[1].name: is mandatory"]),
        ({"parts": Part(name="a")}, ["partz: is not a list of objects but Part"]),
        ({"extra": object()}, []),
        ({"name": "x", "count": -1}, ["name: is 1 char", "count: is -1"]),
    ],
)
def test_everything_that_the_vendors_table_forbids_is_listed(changes: dict[str, Any], said: list[str]) -> None:
    found = complaints(**changes)
    assert len(found) == len(said)
    assert all(fault.startswith(start) for fault, start in zip(found, said, strict=True))


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, JSON | ODD)))
def test_no_document_breaks_the_judging(values: dict[str, Any]) -> None:
    for fault in faults_of(Machine(**values)):
        assert fault.path
        assert not fault.waivable


PARTS = st.builds(Part, name=st.none() | st.text(max_size=9), mount=st.sampled_from([None, "/", 5]))


@given(
    machine=st.builds(
        Machine,
        name=st.text("ab", max_size=9) | st.just(b"ab"),
        style=st.sampled_from([None, "MBR", "GPT", "APM"]),
        thumb=st.none() | st.text(),
        count=st.integers(-2, MAX32 + 2) | st.booleans(),
        size=st.none() | st.integers(MAX64 - 2, MAX64 + 2) | st.floats(),
        share=st.none() | st.floats() | st.integers(-1, 101),
        active=st.sampled_from([None, True, False, 1]),
        snapshot=st.sampled_from([None, True, False, "true"]),
        tags=st.none() | st.lists(st.text(max_size=5), max_size=4) | st.just(("a", 1)),
        boot=st.none() | PARTS | st.just({}),
        parts=st.none() | st.lists(PARTS | st.just("part"), max_size=3).map(tuple) | st.lists(PARTS, max_size=3),
        extra=st.none() | JSON,
    )
)
def test_what_is_written_in_one_go_is_without_fault_and_as_it_would_be_field_by_field(machine: Machine) -> None:
    faults, payload = documents._listed_faults(machine, ""), encode_sound(machine)
    assert (payload is None) is bool(faults)
    assert faults_of(machine) == faults
    if not faults:
        assert payload == documents._encode_anyhow(machine) == encode(machine)


def test_a_document_of_a_subclass_is_written_with_its_own_fields() -> None:
    @attrs.frozen(kw_only=True)
    class Special(Part):
        """A part with one field more."""

        colour: str | None = text()

    machine = Machine(name="ab", count=1, boot=Special(name="a", colour="red"), parts=(Special(name="b", colour=5),))  # type: ignore[arg-type]
    assert [str(fault) for fault in faults_of(machine)] == ["partz[0].colour: is not text but int"]
    sound = attrs.evolve(machine, parts=())
    assert encode_sound(sound) == encode(sound)
    assert encode(sound)["boot"] == {"name": "a", "mount": "null", "colour": "red"}


def test_a_fault_never_shows_a_secret() -> None:
    @attrs.frozen(kw_only=True)
    class Login:
        """A password with bounds."""

        password: str | None = text(8, secret=True)

    (fault,) = faults_of(Login(password="opensesame-7391"))
    assert "opensesame" not in str(fault)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (integer(9, name="X"), 1),
        (number(9, name="X"), 1.5),
        (flag(name="X"), True),
        (texts(9, 9, name="X"), ("a",)),
        (one(Part, name="X"), Part()),
        (many(Part, name="X"), (Part(),)),
        (anything(name="X"), 1),
    ],
)
def test_every_kind_of_field_may_have_a_name_of_its_own(field: Any, value: Any) -> None:
    cls = attrs.make_class("Named", {"field": field}, frozen=True)
    assert list(encode(cls(value))) == ["X"]
