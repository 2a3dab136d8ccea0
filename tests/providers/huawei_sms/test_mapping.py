"""Between the vendor's objects and the neutral model."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import migrate_core as mc
from migrate_core.documents import MAX64, Kind, Wire, decode, encode, faults_of, wire_of
from migrate_huawei_sms.mapping import document_for, memory_bytes, moment, source_from
from migrate_huawei_sms.models import DescribedSource, SourceDocument, document_of
from support import example

QUERY = example("huawei_sms/query-response.json")


def described(**changes: Any) -> mc.SourceServer:
    payload = {**QUERY, **changes}
    return source_from(payload, raw=payload)


def test_the_documented_answer_in_neutral_words() -> None:
    source = described()
    assert source == mc.SourceServer(
        id="xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxx0001",
        provider="huawei_sms",
        name="sms-win16",
        stage=mc.Stage.SEEDING,
        vendor_state="initialize/replicating",
        facts=mc.SourceFacts(
            hostname="sms-win16",
            os_family=mc.OsFamily.WINDOWS,
            os_name="WINDOWS2016_64BIT",
            firmware=mc.Firmware.BIOS,
            cpu_count=1,
            memory_bytes=2146553856,
            disks=(mc.Disk(name="Disk 0", size_bytes=42949672960, used_bytes=23580577792, is_boot=True),),
            nics=(mc.Nic(mac="dac20cd4f6318ca6458673b0046ddcc89e936df292d0806cb868ba63a817853c"),),
        ),
        checks=tuple(mc.Check(name=check["name"], result=mc.CheckResult.OK) for check in QUERY["checks"]),
        replication=mc.Replication(
            id="xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxx0001",
            state=mc.ReplicationState.INITIAL,
            total_bytes=0,
            copied_bytes=0,
        ),
        target=mc.Target(region="region_id"),
        connected=True,
        registered_at=datetime(2020, 8, 26, 9, 56, 9, tzinfo=UTC),
    )
    assert document_of(source).agent_version == "6.1.8"


@pytest.mark.parametrize(
    ("state", "stage"),
    [
        ("unavailable", "NOT_READY"),
        ("waiting", "READY"),
        ("initialize", "SEEDING"),
        ("replicate", "SEEDING"),
        *((state, "REPLICATING") for state in ("syncing", "skipping", "premigready", "premiged", "premigfailed")),
        ("stopping", "PAUSED"),
        ("stopped", "PAUSED"),
        *((state, "TESTING") for state in ("cloning", "testing", "premiging")),
        ("cutovering", "CUTTING_OVER"),
        *((state, "CUT_OVER") for state in ("finished", "clearing", "clearfailed")),
        ("cleared", "FINALIZED"),
        ("deleting", "DELETING"),
        ("error", "ERROR"),
        ("something new", "UNKNOWN"),
        (None, "UNKNOWN"),
        (7, "UNKNOWN"),
    ],
)
def test_each_state_has_its_stage_and_an_unknown_one_stays_readable(state: Any, stage: str) -> None:
    source = described(state=state, migration_cycle=None)
    assert source.stage is mc.Stage[stage]
    assert source.vendor_state == ("" if state is None else str(state))


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("READY", "NONE"),
        ("RUNNING", "INITIAL"),
        ("SYNCING", "CONTINUOUS"),
        ("MIGRATE_SUCCESS", "NONE"),
        ("SYNC_FAIL", "STALLED"),
        ("ABORT", "PAUSED"),
        ("DELETING", "DISCONNECTED"),
        ("NEW", "UNKNOWN"),
        (None, "UNKNOWN"),
    ],
)
def test_the_migration_task_is_the_replication(state: str | None, expected: str) -> None:
    task = {"id": "t-1", "state": state, "migrate_speed": 8, "target_server": {"vm_id": "vm-1", "name": "web"}}
    source = described(current_task=task, replicatesize=25, totalsize=100)
    assert source.replication == mc.Replication(
        id="t-1",
        state=mc.ReplicationState[expected],
        total_bytes=100,
        copied_bytes=25,
        percent=25.0,
        rate_bytes_per_s=1_000_000.0,
    )
    assert source.target == mc.Target(id="vm-1", name="web")


def test_a_source_without_a_migration_has_no_replication_and_no_target() -> None:
    source = described(current_task=None)
    assert (source.replication, source.target) == (None, None)


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (None, None),
        (0, None),
        (-1, None),
        (4096, 4096 * 2**20),
        (2**27 - 1, (2**27 - 1) * 2**20),
        (2**27, 2**27),
        (934752256, 934752256),
        ("2146553856", 2146553856),
    ],
)
def test_memory_is_bytes_or_below_a_limit_mebibytes(value: Any, size: int | None) -> None:
    assert described(memory=value).facts.memory_bytes == size


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (0, None),
        (-5, None),
        (1598435769, datetime(2020, 8, 26, 9, 56, 9, tzinfo=UTC)),
        (1598435769000, datetime(2020, 8, 26, 9, 56, 9, tzinfo=UTC)),
        (MAX64, None),
    ],
)
def test_times_are_utc_whether_in_seconds_or_milliseconds(value: int | None, expected: datetime | None) -> None:
    assert moment(value) == expected


def test_a_failed_check_tells_its_code_and_reason() -> None:
    check = {"name": "RSYNC", "result": "ERROR", "error_code": "SMS.6517", "error_or_warn": "no rsync", "params": ["x"]}
    assert described(checks=[check, {"name": "NEW", "result": "MAYBE"}]).checks == (
        mc.Check(name="RSYNC", result=mc.CheckResult.ERROR, code="SMS.6517", message="no rsync, x"),
        mc.Check(name="NEW", result=mc.CheckResult.UNKNOWN),
    )


def test_facts_fill_what_the_details_leave_out_and_details_win() -> None:
    facts = mc.SourceFacts(
        hostname="facts",
        os_family=mc.OsFamily.LINUX,
        os_name="SUSE12",
        firmware=mc.Firmware.UEFI,
        cpu_count=4,
        memory_bytes=2**30,
        disks=(mc.Disk(name="/dev/vda", size_bytes=10, used_bytes=4, is_boot=True),),
        nics=(mc.Nic(name="eth0", mac="02:00", addresses=("2001:db8::1", "192.0.2.1")),),
    )
    document = document_for(mc.SourceSpec(name="web", facts=facts, details=SourceDocument(hostname="details")))
    assert encode(document) == {
        "name": "web",
        "hostname": "details",
        "os_type": "LINUX",
        "os_version": "SUSE12",
        "firmware": "UEFI",
        "cpu_quantity": 4,
        "memory": 2**30,
        "ip": "192.0.2.1",
        "disks": [
            {
                "name": "/dev/vda",
                "device_use": "BOOT",
                "size": 10,
                "used_size": 4,
                "physical_volumes": [],
                "os_disk": True,
            }
        ],
        "networks": [{"name": "eth0", "ip": "192.0.2.1", "ipv6": "2001:db8::1", "mac": "02:00"}],
    }


def test_raw_is_kept_read_only_and_left_out_when_nobody_wants_it() -> None:
    with pytest.raises(mc.InvalidArgumentError, match="keep_raw"):
        document_of(source_from(QUERY, raw={}))


# Properties.

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
ODD = st.sampled_from(
    ["3.30GiB", "256", "-1", "true", "null", "9" * 5000, "1e400", "", " 7 ", 2**70, math.nan, math.inf]
)
FIELD_NAMES = sorted(
    {name for wire in [DescribedSource] for name in wire_of(wire)}
    | {"subvolumn", "size", "used_size", "name", "physical_volumes", "logical_volumes", "vm_id", "result", "params"}
)
JSON = st.recursive(
    SCALARS | ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELD_NAMES), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(FIELD_NAMES), JSON, max_size=12))
def test_reading_an_answer_never_raises_but_for_a_missing_id(payload: dict[str, Any]) -> None:
    document = decode(DescribedSource, payload)
    if document.id:
        assert source_from(payload, raw={}).id == document.id
    else:
        with pytest.raises(mc.MalformedResponseError):
            source_from(payload, raw={})


def values(wire: Wire) -> st.SearchStrategy[Any]:
    """What the vendor's table allows in a field, as JSON."""
    most = 5 if wire.kind in (Kind.MANY, Kind.TEXTS, Kind.TEXT) else wire.maximum
    match wire.kind:
        case Kind.TEXT:
            plain = st.text(min_size=int(wire.minimum), max_size=int(most))
            return st.sampled_from(wire.values) if wire.values else plain
        case Kind.INTEGER:
            return st.integers(int(wire.minimum), int(most))
        case Kind.NUMBER:
            return st.floats(wire.minimum, wire.maximum)
        case Kind.FLAG:
            return st.sampled_from(["true", "false"]) if wire.as_text else st.booleans()
        case Kind.TEXTS:
            return st.lists(st.text(max_size=5), max_size=int(most))
        case Kind.ONE:
            return payloads(wire.item)
        case _:
            return st.lists(payloads(wire.item), max_size=2)


def payloads(cls: type) -> st.SearchStrategy[dict[str, Any]]:
    """Objects that keep to the vendor's tables."""
    required, optional = {}, {}
    for name, wire in wire_of(cls).items():
        (required if wire.required else optional)[wire.name or name] = values(wire)
    return st.fixed_dictionaries(required, optional=optional)


@given(payloads(DescribedSource))
def test_reading_and_writing_keeps_every_documented_field(payload: dict[str, Any]) -> None:
    document = decode(DescribedSource, payload)
    assert encode(document) == payload
    assert faults_of(document) == []


@given(payloads(SourceDocument))
def test_what_the_tables_allow_survives_the_wire_and_a_strict_reading(payload: dict[str, Any]) -> None:
    faults: list[mc.Fault] = []
    document = decode(SourceDocument, json.loads(json.dumps(payload)), faults)
    assert faults == []
    assert decode(SourceDocument, json.loads(json.dumps(encode(document)))) == document


@given(st.integers(1, 2**60))
def test_memory_in_either_unit_is_a_size_that_machines_have(value: int) -> None:
    size = memory_bytes(value)
    assert size is not None
    assert size >= 2**20


def test_every_neutral_value_is_frozen() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        described().name = "other"  # type: ignore[misc]
