"""What each operation is for, done as a user does it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import attrs
import pytest

import migrate_core as mc
from migrate_core.provider import Request
from migrate_core.testing._conformance.bench import READS, WITH_ID, Bench
from migrate_core.testing._conformance.values import faults_in

_HOSTILE = (
    *(
        "../plain",
        "a/b",
        "a\\b",
        "x?y=1",
        "x#f",
        "x;y",
        "x&y=1",
        "%2e%2e",
        "%2F",
        "a b",
        "naïve",
        "\U0001f600",
        "'",
        '"',
    ),
    *("", ".", "..", "\n", "a\r\nX-Injected: 1", "\x00", "x" * 5000, " padded ", "\ud800"),
)
_PLAIN = "Plain-id-0"


class Operations:
    """The happy path of what is declared, and ids that nobody should send."""

    def test_a_source_is_registered_and_is_what_was_given(self, bench: Bench) -> None:
        """Register a machine; the task's result is the id under which it is described."""
        bench.need(mc.Operation.REGISTER_SOURCE, mc.Operation.DESCRIBE_SOURCE)
        spec = bench.simulator.source_spec()
        source_id = bench.settled(bench.caller(bench.client.sources.register(spec)))
        assert isinstance(source_id, str)
        source = bench.caller(bench.client.sources.describe(source_id))
        assert (source.id, source.provider) == (source_id, bench.provider.name)
        assert source.name == spec.name
        _agrees(source.facts, spec.facts)

    def test_a_source_is_described(self, bench: Bench) -> None:
        """Describe a source in neutral words, each of its type: UTC times, whole bytes."""
        bench.need(mc.Operation.DESCRIBE_SOURCE)
        source_id = bench.source()
        source = bench.caller(bench.client.sources.describe(source_id))
        assert (source.id, source.provider) == (source_id, bench.provider.name)
        assert source.stage is not mc.Stage.UNKNOWN, f"{source.vendor_state} is a known state of the simulator"
        assert source.vendor_state
        assert not list(faults_in(source))

    def test_a_source_is_deleted(self, bench: Bench) -> None:
        """Delete a source, wait for the end, and find it gone."""
        bench.need(mc.Operation.DELETE_SOURCE)
        source_id = bench.source()
        bench.settled(bench.caller(bench.client.sources.delete(source_id)))
        if bench.offers(mc.Operation.DESCRIBE_SOURCE):
            with pytest.raises(mc.NotFoundError):
                bench.caller(bench.client.sources.describe(source_id))
        if bench.offers(mc.Operation.LIST_SOURCES):
            assert source_id not in [source.id for source in bench.caller.list(bench.client.sources.list())]

    def test_a_target_is_unlocked(self, bench: Bench) -> None:
        """Unlock the target of a replication."""
        bench.need(mc.Operation.UNLOCK_TARGET)
        task = bench.do(mc.Operation.UNLOCK_TARGET)
        bench.settled(task)
        assert task.status is mc.TaskStatus.SUCCESS

    def test_a_pairing_is_made_and_described(self, bench: Bench) -> None:
        """Make a pairing; it is listed then, and described in neutral words."""
        bench.need(mc.Operation.CREATE_PAIRING, mc.Operation.LIST_PAIRINGS, mc.Operation.DESCRIBE_PAIRING)
        bench.settled(bench.do(mc.Operation.CREATE_PAIRING))
        (listed,) = bench.caller.list(bench.client.pairings.list())
        pairing = bench.caller(bench.client.pairings.describe(listed.id))
        assert pairing == listed
        assert pairing.state is not mc.PairingState.UNKNOWN
        assert not list(faults_in(pairing))

    def test_a_pairing_is_broken(self, bench: Bench) -> None:
        """Delete a pairing, wait for the end, and find it gone."""
        bench.need(mc.Operation.DELETE_PAIRING)
        pairing_id = bench.simulator.add_pairings(1)[0]
        bench.settled(bench.caller(bench.client.pairings.delete(pairing_id)))
        if bench.offers(mc.Operation.DESCRIBE_PAIRING):
            with pytest.raises(mc.NotFoundError):
                bench.caller(bench.client.pairings.describe(pairing_id))

    def test_what_is_listed_is_what_is_described(self, bench: Bench) -> None:
        """Give a list the same values that a description gives, as far as the vendor lists them."""
        for operation, names in (
            (mc.Operation.LIST_SOURCES, ("id", "provider", "name", "stage", "vendor_state")),
            (mc.Operation.LIST_PAIRINGS, ("id", "state", "local", "remote")),
        ):
            resource = "sources" if operation is mc.Operation.LIST_SOURCES else "pairings"
            describe = mc.Operation.DESCRIBE_SOURCE if resource == "sources" else mc.Operation.DESCRIBE_PAIRING
            if not (bench.offers(operation) and bench.offers(describe)):
                continue
            identity = bench.subject(describe)
            listed = {item.id: item for item in bench.caller.list(getattr(bench.client, resource).list())}
            described = bench.caller(bench.call_with(describe, identity)())
            assert not list(faults_in(listed[identity]))
            assert [getattr(listed[identity], name) for name in names] == [getattr(described, name) for name in names]

    def test_what_is_not_there_is_not_found(self, bench: Bench) -> None:
        """Ask for an id that nobody has: NotFoundError, whatever the vendor calls it."""
        for operation in bench.among(tuple(WITH_ID)):
            known = bench.subject(operation)
            strange = known[:-1] + ("9" if known[-1] != "9" else "8")  # ids may be counted from 1
            error = bench.refusal(bench.call_with(operation, strange))
            assert isinstance(error, mc.NotFoundError), f"{operation.value} raises {error!r}"

    def test_no_id_reaches_another_resource(self, bench: Bench) -> None:
        """Ask for ids that are paths, queries and headers: each is refused, or sent whole, in its place."""
        bench.warm()
        for operation in bench.among(tuple(WITH_ID)):
            usual = bench.requests(bench.call_with(operation, _PLAIN))
            assert not bench.requests(bench.call_with(operation, "")), f"{operation.value}: an empty id may mean all"
            for identity in _HOSTILE:
                for request, like in zip(bench.requests(bench.call_with(operation, identity)), usual, strict=False):
                    assert request.method == like.method
                    assert request.path == _put(like.path, identity), f"{identity!r} is sent as {request.path}"
                    assert request.query == _in_place(like.query, identity), f"{identity!r} is sent as {request.query}"
                    assert _body(request) == _in_place(_body(like), identity), f"{identity!r} is not sent whole"
                    assert set(request.headers) == set(like.headers)

    def test_reads_change_nothing(self, bench: Bench) -> None:
        """Read twice and get the same twice."""
        for operation in bench.among(READS):
            call = bench.call(operation)
            first, second = (_plain(bench.caller(call())) for _ in range(2))
            assert first == second, f"{operation.value} gives something else the second time"


def _agrees(found: Any, given: Any) -> None:
    """Compare what is described with what was registered, as far as both say something."""
    for field in attrs.fields(type(given)):
        wanted, held = getattr(given, field.name), getattr(found, field.name)
        if field.name == "disks" and wanted:
            sizes = [disk.size_bytes for disk in held], [disk.size_bytes for disk in wanted]
            assert sizes[0] == sizes[1], "the disks have other sizes than those that were registered"
        elif isinstance(wanted, int | str) and held is not None:
            assert held == wanted, f"{field.name} is {held!r}, and was registered as {wanted!r}"


def _put(path: str, identity: str) -> str:
    return path.replace(_PLAIN, quote(identity, safe="", errors="surrogatepass"))


def _in_place(value: Any, identity: str) -> Any:
    """Put an id into the place of the plain one, wherever that stands by itself."""
    if isinstance(value, dict):
        return {key: _in_place(item, identity) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_in_place(item, identity) for item in value)
    return identity if value == _PLAIN else value


def _body(request: Request) -> Any:
    try:
        return json.loads(request.body or b"null")
    except ValueError:
        return None


def _plain(found: Any) -> Any:
    """Give what can be compared of a result: of tasks, what is known of them."""
    if isinstance(found, list):
        return [_plain(item) for item in found]
    return found.info if isinstance(found, mc.Task | mc.AsyncTask) else found
