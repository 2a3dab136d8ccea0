"""Answers that nobody documents: whatever is in them, reading them ends in a source or in an error of ours."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import migrate_core as mc
from migrate_core.documents import MAX32, MAX64, Kind, Wire, decode, encode, faults_of, wire_of
from migrate_huawei_sms.mapping import error_from, source_from
from migrate_huawei_sms.models import (
    DescribedSource,
    ErrorBody,
    SourceDocument,
    document_from_json,
    registration_faults,
)
from migrate_huawei_sms.simulator import HuaweiSmsSimulator
from support import Caller, example

HUGE = 10**400  # JSON has no bounds; a float does

# Whatever machine runs them, and however busy it is.
patient = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])


def described(**changes: Any) -> mc.SourceServer:
    return source_from({"id": "s-1", **changes}, raw={})


# Numbers.


@pytest.mark.parametrize(
    "name", ["add_date", "state_action_time", "memory", "cpu_quantity", "totalsize", "replicatesize"]
)
@pytest.mark.parametrize("value", [HUGE, -HUGE, MAX64, -1, str(10**39), "1e400", math.nan, math.inf, -math.inf, 0.5])
def test_no_number_is_too_odd_to_be_read(name: str, value: Any) -> None:
    source = described(**{name: value}, current_task={"id": "t-1", "migrate_speed": value, "start_date": value})
    assert source.id == "s-1"
    assert source.registered_at is None


@pytest.mark.parametrize(
    ("total", "copied", "percent"),
    [
        (200, 50, 25.0),
        (3, 1, 100 / 3),
        (100, 100, 100.0),
        (100, 150, 100.0),  # data that changed meanwhile is copied again
        (0, 0, None),
        (0, 50, None),
        (None, 50, None),
        (100, None, None),
        (-100, 50, None),
        (100, 0, 0.0),
        (MAX64, MAX64, 100.0),
    ],
)
def test_percent_is_what_was_copied_of_the_total(total: int | None, copied: int | None, percent: float | None) -> None:
    replication = described(current_task={"id": "t-1"}, totalsize=total, replicatesize=copied).replication
    assert replication is not None
    assert replication.percent == (None if percent is None else pytest.approx(percent))
    assert (replication.total_bytes, replication.copied_bytes) == (total, copied)


@pytest.mark.parametrize(("total", "copied"), [(100, -5), (HUGE, 1), (1, HUGE), (HUGE, HUGE)])
def test_percent_is_never_out_of_bounds(total: int, copied: int) -> None:
    replication = described(current_task={"id": "t-1"}, totalsize=total, replicatesize=copied).replication
    assert replication is not None
    assert replication.percent is None or 0.0 <= replication.percent <= 100.0


@pytest.mark.parametrize("speed", [1.7e308, HUGE, -1.0, math.inf])
def test_a_rate_is_never_infinite(speed: float) -> None:
    replication = described(current_task={"id": "t-1", "migrate_speed": speed}).replication
    assert replication is not None
    assert replication.rate_bytes_per_s is None or math.isfinite(replication.rate_bytes_per_s)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
        (10**11 - 1, datetime(5138, 11, 16, 9, 46, 39, tzinfo=UTC)),
        (10**11, datetime(1973, 3, 3, 9, 46, 40, tzinfo=UTC)),
        (1598435783569, datetime(2020, 8, 26, 9, 56, 23, 569000, tzinfo=UTC)),
        (253402300799000, datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (253402300800000, None),
        (MAX64, None),
        (HUGE, None),
        (-HUGE, None),
    ],
    ids=lambda value: f"{value:.6g}" if isinstance(value, int) and abs(value) < HUGE else "",
)
def test_a_time_is_read_as_far_as_the_calendar_goes(value: int, expected: datetime | None) -> None:
    assert described(add_date=value).registered_at == expected


@pytest.mark.parametrize(("value", "size"), [(1, 2**20), (2**27 - 1, 2**47 - 2**20), (2**27, 2**27), (MAX64, MAX64)])
def test_memory_changes_its_unit_at_128_mebi(value: int, size: int) -> None:
    assert described(memory=value).facts.memory_bytes == size


# Words.


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("READY", "NONE"),
        ("RUNNING", "INITIAL"),
        ("SYNCING", "CONTINUOUS"),
        ("MIGRATE_SUCCESS", "NONE"),
        ("SYNC_SUCCESS", "NONE"),
        ("MIGRATE_FAIL", "STALLED"),
        ("SYNC_FAIL", "STALLED"),
        ("ABORTING", "PAUSED"),
        ("ABORT", "PAUSED"),
        ("DELETING", "DISCONNECTED"),
        ("running", "INITIAL"),
        ("SKIPPING", "UNKNOWN"),
        ("", "UNKNOWN"),
        (5, "UNKNOWN"),
    ],
)
def test_each_state_of_a_migration_task_has_its_word(state: Any, expected: str) -> None:
    replication = described(current_task={"id": "t-1", "state": state}).replication
    assert replication is not None
    assert replication.state is mc.ReplicationState[expected]


@pytest.mark.parametrize("task", [{}, {"id": ""}, {"id": None}, {"state": "RUNNING"}, [], "t-1", 5, True])
def test_a_task_without_an_id_is_no_replication(task: Any) -> None:
    assert described(current_task=task).replication is None


@pytest.mark.parametrize(
    ("task", "target"),
    [
        (None, None),
        ({"id": "t-1"}, mc.Target()),
        ({"id": "t-1", "region_id": "r", "target_server": None}, mc.Target(region="r")),
        ({"id": "t-1", "target_server": {"vm_id": "", "name": ""}}, mc.Target()),
        ({"id": "t-1", "target_server": {"vm_id": "vm", "name": "n"}}, mc.Target(id="vm", name="n")),
        ({"id": "t-1", "target_server": "vm"}, mc.Target()),
    ],
)
def test_the_target_is_what_is_known_of_it(task: Any, target: mc.Target | None) -> None:
    assert described(current_task=task).target == target


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"os_type": "Linux"}, {"os_family": mc.OsFamily.LINUX}),
        ({"os_type": "windows"}, {"os_family": mc.OsFamily.WINDOWS}),
        ({"os_type": "FREEBSD"}, {"os_family": mc.OsFamily.UNKNOWN}),
        ({"os_type": ""}, {}),
        ({"firmware": "uefi"}, {"firmware": mc.Firmware.UEFI}),
        ({"firmware": "OTHER"}, {}),
        ({"os_version": ""}, {}),
        ({"hostname": ""}, {}),
        ({"networks": [{"name": None, "ip": "", "mac": ""}]}, {"nics": (mc.Nic(),)}),
        (
            {"networks": [{"name": "e", "ip": "192.0.2.1", "ipv6": "::1", "mac": "m"}]},
            {"nics": (mc.Nic(name="e", mac="m", addresses=("192.0.2.1", "::1")),)},
        ),
        (
            {"disks": [{"size": 5, "used_size": 4}]},
            {"disks": (mc.Disk(name="", size_bytes=5, used_bytes=4, is_boot=False),)},
        ),
        (
            {
                "disks": [
                    {"used_size": 9, "physical_volumes": [{"used_size": 1}, {"used_size": None}, {"used_size": 2}]}
                ]
            },
            {"disks": (mc.Disk(name="", used_bytes=3, is_boot=False),)},
        ),
        ({"disks": [{"os_disk": True}]}, {"disks": (mc.Disk(name="", is_boot=True),)}),
        ({"disks": [{"device_use": "OS"}]}, {"disks": (mc.Disk(name="", is_boot=True),)}),
        (
            {"disks": [{"device_use": "NORMAL", "physical_volumes": [{"device_use": "BOOT"}]}]},
            {"disks": (mc.Disk(name="", is_boot=True),)},
        ),
    ],
)
def test_facts_are_what_is_known_of_a_machine(payload: dict[str, Any], expected: dict[str, Any]) -> None:
    assert described(**payload).facts == mc.SourceFacts(**expected)


@pytest.mark.parametrize(
    ("payload", "name"),
    [({"name": "n", "hostname": "h"}, "n"), ({"name": "", "hostname": "h"}, "h"), ({"name": None}, ""), ({}, "")],
)
def test_a_source_without_a_name_goes_by_its_hostname(payload: dict[str, Any], name: str) -> None:
    assert described(**payload).name == name


@pytest.mark.parametrize(
    ("payload", "state"),
    [
        ({"state": "syncing", "migration_cycle": "cutovering"}, "syncing/cutovering"),
        ({"state": "syncing"}, "syncing"),
        ({"migration_cycle": "checking"}, "checking"),
        ({"state": "", "migration_cycle": None}, ""),
    ],
)
def test_the_vendors_state_is_both_its_words(payload: dict[str, Any], state: str) -> None:
    assert described(**payload).vendor_state == state


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        (
            {"name": "CPU", "result": "OK", "params": [""], "error_params": ""},
            mc.Check(name="CPU", result=mc.CheckResult.OK),
        ),
        ({"result": "warn"}, mc.Check(name="", result=mc.CheckResult.WARN)),
        ({"result": None}, mc.Check(name="")),
        (
            {
                "name": "N",
                "result": "ERROR",
                "error_code": "E",
                "error_or_warn": "w",
                "error_params": "p",
                "params": ["p", "q"],
            },
            mc.Check(name="N", result=mc.CheckResult.ERROR, code="E", message="w, p, q"),
        ),
    ],
)
def test_a_check_is_read_whole(check: dict[str, Any], expected: mc.Check) -> None:
    assert described(checks=[check]).checks == (expected,)


@pytest.mark.parametrize(("connected", "expected"), [(True, True), ("false", False), (None, None), ("gone", None)])
def test_a_connection_is_known_or_not(connected: Any, expected: bool | None) -> None:
    assert described(connected=connected).connected is expected


def test_a_list_item_is_read_as_a_source(caller: Caller, simulator: HuaweiSmsSimulator) -> None:
    item = example("huawei_sms/query-response.json")
    for name in ("disks", "networks", "volume_groups", "firmware", "hostname", "agent_version"):
        del item[name]
    simulator.faults.answer(200, json.dumps({"count": 1, "source_servers": [item]}))
    client = caller.connect("huawei_sms", clock=simulator.clock, **simulator.settings())
    (source,) = caller.list(client.sources.list())
    assert (source.id, source.stage, source.name) == (item["id"], mc.Stage.SEEDING, "sms-win16")
    assert (source.facts.disks, source.facts.firmware) == ((), mc.Firmware.UNKNOWN)
    assert source.raw["current_task"]["name"] == "MigrationTask"


@pytest.mark.parametrize(
    "changes",
    [
        {"add_date": HUGE},
        {"totalsize": HUGE, "replicatesize": 1},
        {"checks": [{"id": HUGE}]},
        {"memory": HUGE},
        {"state": "\ud800"},
        {"disks": [[]] * 1000},
    ],
    ids=["date", "size", "id", "memory", "half a character", "lists"],
)
def test_no_answer_makes_the_client_raise_what_is_not_ours(
    caller: Caller, simulator: HuaweiSmsSimulator, changes: dict[str, Any]
) -> None:
    simulator.faults.answer(200, json.dumps({**example("huawei_sms/query-response.json"), **changes}))
    client = caller.connect("huawei_sms", clock=simulator.clock, **simulator.settings())
    assert caller(client.sources.describe("x")).name == "sms-win16"


# Properties.

NUMBERS = st.integers() | st.floats() | st.sampled_from([HUGE, -HUGE, MAX32, MAX64, MAX64 + 1, -1, 0, 2**27, 1e300])
WORDS = st.text(max_size=6) | st.sampled_from(
    ["3.30GiB", "256", " 7 ", "-1", "1e400", "9" * 5000, "true", "False", "null", "NaN", "READY", "BOOT", "OS", "::1"]
)
SCALARS = st.none() | st.booleans() | NUMBERS | WORDS
JUNK = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=5,
)


def names_of(cls: type) -> dict[str, Wire]:
    """Every name under which a field may come."""
    return {
        name: wire
        for attribute, wire in wire_of(cls).items()
        for name in {attribute, wire.name or attribute, *wire.also}
    }


def anything_like(cls: type) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with the names of a class, at every depth, and with any values."""
    fields = {name: oddly(wire) for name, wire in names_of(cls).items()}
    return st.fixed_dictionaries({}, optional=fields) | st.dictionaries(
        st.sampled_from(sorted(fields)), JUNK, max_size=9
    )


def oddly(wire: Wire) -> st.SearchStrategy[Any]:
    match wire.kind:
        case Kind.ONE:
            return anything_like(wire.item) | JUNK
        case Kind.MANY:
            return st.lists(anything_like(wire.item) | JUNK, max_size=2) | JUNK
        case Kind.TEXTS:
            return st.lists(JUNK, max_size=3) | JUNK
    return SCALARS | JUNK


ODD_SOURCES = anything_like(DescribedSource)


@patient
@given(ODD_SOURCES)
def test_whatever_an_answer_holds_it_is_read(payload: dict[str, Any]) -> None:
    document = decode(DescribedSource, payload)
    if document.id:
        source = source_from(payload, raw={})
        assert source.id == document.id
        assert isinstance(source.stage, mc.Stage)
        assert isinstance(repr(source), str)
    else:
        with pytest.raises(mc.MalformedResponseError, match="id: the source has no id"):
            source_from(payload, raw={})


@patient
@given(ODD_SOURCES)
def test_what_was_read_is_typed_or_absent(payload: dict[str, Any]) -> None:
    """Only bounds and values may be off; no field holds what it does not declare."""
    for fault in faults_of(decode(DescribedSource, payload)):
        assert any(part in fault.message for part in ("allowed is", "allowed are", "is mandatory")), str(fault)


@patient
@given(ODD_SOURCES)
def test_reading_again_what_was_read_changes_nothing(payload: dict[str, Any]) -> None:
    document = decode(DescribedSource, payload)
    assert decode(DescribedSource, encode(document)) == document


@patient
@given(ODD_SOURCES)
def test_loading_a_document_succeeds_or_names_its_faults(payload: dict[str, Any]) -> None:
    faults: list[mc.Fault] = []
    document = decode(SourceDocument, payload, faults)
    assert all(fault.path and fault.message and not fault.waivable for fault in faults)
    if faults:
        with pytest.raises(mc.InvalidDocumentError) as raised:
            document_from_json(payload)
        assert raised.value.faults == tuple(faults)
    else:
        assert document_from_json(payload) == document == document_from_json(encode(document))
    assert isinstance(registration_faults(document), list)


@patient
@given(anything_like(ErrorBody) | JUNK, st.sampled_from([400, 401, 403, 404, 429, 500, 302]))
def test_whatever_an_error_holds_it_is_an_error_of_ours(body: Any, status: int) -> None:
    for whole in (body, {"error": body}):
        error = error_from(mc.provider.Response(status=status, body=json.dumps(whole).encode()))
        assert isinstance(error, mc.ApiError)
        assert error.status == status
        assert error.message
        assert isinstance(error.code, str)
        assert isinstance(str(error), str)


def allowed(wire: Wire) -> st.SearchStrategy[Any]:
    """What the vendor's table allows in a field, as a value of a document."""
    match wire.kind:
        case Kind.TEXT:
            short = st.text(min_size=int(wire.minimum), max_size=int(min(wire.maximum, 8)))
            longest = st.sampled_from(["x" * int(min(wire.maximum, 1024))])
            return st.sampled_from(wire.values) if wire.values else short | longest
        case Kind.INTEGER:
            return st.integers(int(wire.minimum), int(wire.maximum))
        case Kind.NUMBER:
            return st.floats(wire.minimum, wire.maximum) | st.integers(int(wire.minimum), int(wire.maximum))
        case Kind.FLAG:
            return st.booleans()
        case Kind.TEXTS:
            return st.lists(st.text(max_size=5), max_size=3).map(tuple)
        case Kind.ONE:
            return documents(wire.item)
    return st.lists(documents(wire.item), max_size=2).map(tuple)


def documents(cls: type) -> st.SearchStrategy[Any]:
    """Documents that keep to the vendor's tables."""
    fields = {
        name: allowed(wire) if wire.required and wire.none_text is None else st.none() | allowed(wire)
        for name, wire in wire_of(cls).items()
    }
    return st.builds(cls, **fields)


def likely(cls: type) -> st.SearchStrategy[Any]:
    """Documents that keep to the vendor's tables, or nearly."""
    broken = st.sampled_from(sorted(wire_of(cls)))
    return documents(cls) | st.builds(
        lambda document, name, value: type(document)(**{**plain(document), name: value}), documents(cls), broken, JUNK
    )


def plain(document: Any) -> dict[str, Any]:
    return {name: getattr(document, name) for name in wire_of(type(document))}


@patient
@given(documents(SourceDocument))
def test_what_keeps_to_the_tables_has_no_fault_and_arrives_as_it_was(document: SourceDocument) -> None:
    assert faults_of(document) == []
    faults: list[mc.Fault] = []
    arrived = decode(SourceDocument, json.loads(json.dumps(encode(document))), faults)
    assert faults == []
    assert arrived == document


@patient
@given(documents(DescribedSource))
def test_every_documented_field_of_an_answer_is_kept(document: DescribedSource) -> None:
    payload = json.loads(json.dumps(encode(document)))
    read = decode(DescribedSource, payload)
    assert read == document
    assert encode(read) == payload
    assert faults_of(read) == []
    assert set(payload) >= {name for name, value in plain(document).items() if value is not None}


@patient
@given(likely(SourceDocument))
def test_whatever_is_accepted_arrives_as_it_was(document: SourceDocument) -> None:
    if faults_of(document):
        return
    faults: list[mc.Fault] = []
    arrived = decode(SourceDocument, json.loads(json.dumps(encode(document))), faults)
    assert faults == []
    assert encode(arrived) == encode(document)
    assert registration_faults(arrived) == registration_faults(document)
