"""The JSON shape: what is printed holds to the published schema, and what is read is read strictly."""

from __future__ import annotations

import json
import typing
from collections.abc import Mapping
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import hypothesis.strategies as st
import pytest
from hypothesis import given
from jsonschema import Draft202012Validator

import migrate_core as mc
from migrate_core.cli.schema import PRINTED, schema
from migrate_core.models import read_only
from migrate_core.shapes import read_shape, shape_of
from migrate_core.testing import VirtualClock, new_simulator
from support import ROOT, Caller

PUBLISHED = json.loads((ROOT / "docs/reference/schema-v1.json").read_text(encoding="utf-8"))

texts = st.text(max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
raws = st.dictionaries(texts, json_values, max_size=2).map(read_only)
BY_TYPE: dict[Any, st.SearchStrategy[Any]] = {
    Any: json_values,
    str: texts,
    float: st.floats(allow_nan=False, allow_infinity=False),
    datetime: st.datetimes(timezones=st.just(UTC)),
    timedelta: st.timedeltas(min_value=timedelta(0)),
}


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    """Draw values of a type, objects with every attribute given."""
    if hint in BY_TYPE:
        return BY_TYPE[hint]
    inner = typing.get_args(hint)
    if typing.get_origin(hint) is tuple:
        return st.lists(values_of(inner[0]), max_size=2).map(tuple)
    if typing.get_origin(hint) is Mapping:
        return raws
    if inner:
        return st.one_of(*map(values_of, inner))
    if attrs.has(hint):
        return st.builds(hint, **{name: values_of(one) for name, one in typing.get_type_hints(hint).items()})
    return st.from_type(hint)


printed = st.one_of(*map(values_of, PRINTED))
specs = st.builds(
    mc.SourceSpec,
    name=texts,
    facts=values_of(mc.SourceFacts),
    details=st.none() | st.dictionaries(texts, json_values, max_size=2),
    options=st.dictionaries(texts, json_values, max_size=2),
)


def validator(title: str) -> Draft202012Validator:
    (choice,) = [choice for choice in PUBLISHED["anyOf"] if choice["$ref"] == f"#/$defs/{title}"]
    return Draft202012Validator({**choice, "$defs": PUBLISHED["$defs"]})


def without_stated(shape: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in shape.items() if name not in ("version", "kind")}


def test_the_published_schema_is_the_one_that_the_code_makes() -> None:
    assert schema() == PUBLISHED, "make it anew: python -m migrate_core.cli.schema > docs/reference/schema-v1.json"
    Draft202012Validator.check_schema(PUBLISHED)


@given(value=printed)
def test_every_object_holds_to_the_schema_and_is_plain_json(value: Any) -> None:
    shape = shape_of(value)
    assert (shape["version"], shape["kind"]) == (1, type(value).__name__.removesuffix("Record"))
    assert json.loads(json.dumps(shape)) == shape
    validator(shape["kind"]).validate(shape)
    assert set(without_stated(shape)) == {field.name for field in attrs.fields(type(value))}


@pytest.mark.parametrize("cls", PRINTED, ids=lambda cls: cls.__name__)
def test_the_schema_refuses_an_object_that_lacks_something(cls: type) -> None:
    """So that the checks above can fail."""
    kind = cls.__name__.removesuffix("Record")
    assert not validator(kind).is_valid({"version": 1, "kind": kind})
    assert not validator(kind).is_valid({field.name: None for field in attrs.fields(cls)})


def test_a_shape_is_readable_by_other_tools() -> None:
    source = mc.SourceServer(
        id="s-1",
        provider="example",
        stage=mc.Stage.NOT_READY,
        registered_at=datetime(2026, 11, 21, 9, 30, 0, 250000, tzinfo=UTC),
        replication=mc.Replication(id="r-1", eta=timedelta(minutes=2)),
        facts=mc.SourceFacts(disks=(mc.Disk(name="sda", size_bytes=2**40),)),
    )
    shape = shape_of(source)
    assert shape["stage"] == "not_ready"
    assert shape["registered_at"] == "2026-11-21T09:30:00.250000Z"
    assert shape["replication"]["eta"] == 120.0
    assert shape["facts"]["disks"] == [{"name": "sda", "size_bytes": 2**40, "used_bytes": None, "is_boot": None}]
    assert shape["target"] is None


def test_a_task_is_printed_with_the_token_that_resumes_it(caller: Caller) -> None:
    simulator = new_simulator("vmware_srm", clock=VirtualClock())
    client = caller.connect("vmware_srm", clock=simulator.clock, **simulator.settings())
    task = caller(client.pairings.delete(simulator.pair()))
    shape = shape_of(task)
    validator("Task").validate(shape)
    assert (shape["provider"], shape["operation"], shape["status"]) == ("vmware_srm", "delete_pairing", "queued")
    assert caller(client.tasks.get(shape["token"])).id == shape["id"] == task.id


@given(spec=specs)
def test_what_a_person_writes_is_read_as_it_was_meant(spec: mc.SourceSpec) -> None:
    shape = shape_of(spec)
    validator("SourceSpecInput").validate(without_stated(shape))
    assert read_shape(mc.SourceSpec, shape) == spec
    assert read_shape(mc.SourceSpec, without_stated(shape)) == spec


@given(payload=json_values | st.dictionaries(st.sampled_from(["name", "facts", "version", "kind", "x"]), json_values))
def test_whatever_is_read_gives_an_object_or_lists_its_faults(payload: Any) -> None:
    valid = isinstance(payload, dict) and validator("SourceSpecInput").is_valid(payload)
    with nullcontext() if valid else pytest.raises(mc.InvalidDocumentError):
        read_shape(mc.SourceSpec, payload)


def test_all_faults_are_listed_each_with_its_path() -> None:
    document = {
        "version": 2,
        "nam": "web-1",
        "facts": {
            "os_family": "LINUX",
            "cpu_count": "2",
            "memory_bytes": True,
            "disks": [{"size_bytes": 1.5}, 3],
            "nics": {},
        },
        "options": [],
    }
    with pytest.raises(mc.InvalidDocumentError) as raised:
        read_shape(mc.SourceSpec, document)
    assert {fault.path: fault.message for fault in raised.value.faults} == {
        "version": "is 2, and this reads 1",
        "nam": "is no field of SourceSpec",
        "name": "is mandatory",
        "facts.os_family": "is not one of linux, windows, other, unknown",
        "facts.cpu_count": "is not an integer",
        "facts.memory_bytes": "is not an integer",
        "facts.disks[0].name": "is mandatory",
        "facts.disks[0].size_bytes": "is not an integer",
        "facts.disks[1]": "is not an object",
        "facts.nics": "is not a list",
        "options": "is not an object",
    }


@pytest.mark.parametrize("payload", [None, [], "text", 5])
def test_what_is_no_object_is_refused(payload: Any) -> None:
    with pytest.raises(mc.InvalidDocumentError, match="is not an object"):
        read_shape(mc.SourceSpec, payload)


PAIRING = {"remote_url": "vc-b.example", "remote_username": "u"}


def test_a_secret_in_a_document_is_a_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEER", "the secret")
    document = {**PAIRING, "remote_password": {"env": "PEER"}}
    assert read_shape(mc.PairingSpec, document).remote_password == "the secret"
    assert validator("PairingSpecInput").is_valid(document)


@pytest.mark.parametrize("given", ["the secret", {"env": "NOT_SET"}, {"literal": "the secret"}, None])
def test_a_secret_that_stands_in_a_document_is_refused_and_not_repeated(given: Any) -> None:
    document = {**PAIRING, "remote_password": given}
    with pytest.raises(mc.InvalidDocumentError) as raised:
        read_shape(mc.PairingSpec, document)
    (fault,) = raised.value.faults
    assert fault.path == "remote_password"
    assert "the secret" not in str(raised.value)
    assert given == {"env": "NOT_SET"} or not validator("PairingSpecInput").is_valid(document)
