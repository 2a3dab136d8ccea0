"""Mappings and flows by themselves: no client, no simulator, no network."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import migrate_core as mc
import pytest
from migrate_core.provider import Response, json_body

from migrate_acme import AcmeProvider, AcmeSettings, mapping

MACHINE: dict[str, Any] = {
    "id": "m-1",
    "state": "copying",
    "registered_at": "2026-01-01T02:00:00+02:00",
    "spec": {"name": "web-1", "os_family": "linux", "memory_mib": 4096, "disks": [{"name": "sda", "size_gib": 40}]},
}


def test_a_machine_is_read_in_neutral_words() -> None:
    source = mapping.source_from(MACHINE, raw={})
    assert (source.id, source.name, source.stage) == ("m-1", "web-1", mc.Stage.SEEDING)
    assert source.facts.memory_bytes == 4 * 2**30
    assert [disk.size_bytes for disk in source.facts.disks] == [40 * 2**30]
    assert source.registered_at == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_state_that_nobody_knows_stays_readable() -> None:
    source = mapping.source_from({**MACHINE, "state": "levitating"}, raw={})
    assert (source.stage, source.vendor_state) == (mc.Stage.UNKNOWN, "levitating")


def test_what_is_moved_must_fit() -> None:
    facts = mc.SourceFacts(os_family=mc.OsFamily.LINUX, disks=(mc.Disk(name="sda", size_bytes=40 * 2**30 + 1),))
    machine = mapping.machine_for(mc.SourceSpec(name="web-1", facts=facts))
    assert [disk.size_gib for disk in machine.disks or ()] == [41]


def test_all_faults_of_a_document_are_told_at_once() -> None:
    with pytest.raises(mc.InvalidDocumentError) as raised:
        mapping.machine_for(mc.SourceSpec(name="web-1", details={"cpus": 0, "wheels": 4}))
    assert [fault.path for fault in raised.value.faults] == ["wheels", "os_family", "cpus"]


def test_an_id_is_sent_whole_and_the_answer_is_read() -> None:
    flow = AcmeProvider(AcmeSettings(session="given")).describe_source("a/b")
    request = next(flow)
    assert (request.method, request.path) == ("GET", "/v1/machines/a%2Fb")
    with pytest.raises(StopIteration) as stopped:
        flow.send(Response(status=200, body=json_body(MACHINE)))
    assert stopped.value.value.id == "m-1"
