"""The engine: what becomes of orders, whoever interrupts, cancels or repeats a run; on each kind of journal."""

from __future__ import annotations

import asyncio
import stat
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import migrate_core as mc
from fleet.vendors import Vendors, machine, manifest, vendors
from migrate_core import fleet
from migrate_core.documents import encode
from migrate_core.fleet import OrderState, RunState
from migrate_core.fleet.journal import Claim
from migrate_core.testing.faults import Delay


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendors]:
    with vendors(tmp_path, monkeypatch) as both:
        yield both


def states(status: fleet.RunStatus) -> dict[OrderState, int]:
    """Count the orders of a run by state."""
    found: Counter[OrderState] = Counter()
    for tally in status.tallies:
        found[tally.state] += tally.count
    return dict(found)


def names(world: Vendors) -> Counter[str | None]:
    """Count the sources at the cloud by name."""
    with mc.connect(profile="cloud") as cloud:
        return Counter(source.name for source in cloud.sources.list())


def requests(world: Vendors, method: str) -> int:
    return sum(entry.method == method for entry in world.cloud.journal)


class Stop(Exception):
    """Whoever calls has seen enough."""


def test_each_order_of_a_run_is_carried_out_once_and_its_result_is_kept(
    world: Vendors, journal: str, tmp_path: Path
) -> None:
    wave = manifest(tmp_path, [machine(number) for number in range(1, 41)])
    seen: list[fleet.RunStatus] = []

    status = fleet.run(wave, journal=journal, on_status=seen.append)

    assert (status.state, states(status)) == (RunState.FINISHED, {OrderState.DONE: 40})
    assert names(world) == Counter(f"machine-{number}" for number in range(1, 41))
    assert requests(world, "POST") == 40
    assert seen[-1].left == 0
    with fleet.open_engine(journal) as engine:
        results = list(engine.results(status.run))
    assert [(result.line, result.about) for result in results] == [(n, f"machine-{n}") for n in range(1, 41)]
    with mc.connect(profile="cloud") as cloud:
        assert cloud.sources.describe(results[7].result).name == "machine-8"


def test_every_operation_is_carried_out_and_tasks_of_the_vendor_are_watched(
    world: Vendors, journal: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.site.set("task_seconds", "0.5")
    monkeypatch.setenv("OTHER_SITE", world.site.pairing_spec().remote_password)
    source, other = world.cloud.add_sources(2)
    replication = world.cloud.add_replication()
    pairing, other_pairing = world.site.add_pairings(2)
    wave = manifest(
        tmp_path,
        [
            machine(1),
            {"profile": "cloud", "operation": "describe_source", "id": source},
            {"profile": "cloud", "operation": "delete_source", "id": other},
            {"profile": "cloud", "operation": "unlock_target", "id": replication},
            {"profile": "site", "operation": "create_pairing", "document": pairing_to_be(world)},
            {"profile": "site", "operation": "describe_pairing", "id": pairing},
            {"profile": "site", "operation": "delete_pairing", "id": other_pairing},
        ],
    )

    with fleet.open_engine(journal) as engine:
        run = engine.submit(wave)
        engine.work(run)
        results = {result.operation.value: result for result in engine.results(run)}

    assert {name: result.state for name, result in results.items()} == dict.fromkeys(results, OrderState.DONE)
    assert results["describe_source"].result["id"] == source
    assert results["describe_pairing"].result["kind"] == "Pairing"
    with mc.connect(profile="site") as site:
        left = {found.id for found in site.pairings.list()}
    assert pairing in left
    assert other_pairing not in left
    assert len(left) == 2  # and the new one


def pairing_to_be(world: Vendors) -> dict[str, Any]:
    """Give the document of a pairing, whose password is in the variable ``OTHER_SITE``."""
    spec = world.site.pairing_spec()
    said = {"remote_url": spec.remote_url, "remote_username": spec.remote_username}
    return {**said, "remote_password": {"env": "OTHER_SITE"}, "details": encode(spec.details)}


def test_a_failure_is_named_with_its_cause_and_can_be_tried_again(world: Vendors, journal: str, tmp_path: Path) -> None:
    world.cloud.faults.answer(400, '{"error_code": "SMS.0001", "error_msg": "no"}', method="POST", times=2)
    wave = manifest(tmp_path, [machine(number) for number in range(1, 6)])

    with fleet.open_engine(journal) as engine:
        run = engine.submit(wave)
        engine.work(run)
        status = engine.status(run)

        assert states(status) == {OrderState.DONE: 3, OrderState.FAILED: 2}
        (failure,) = status.failures
        assert (failure.error, failure.code, failure.count) == ("InvalidRequestError", "SMS.0001", 2)
        failed = list(engine.results(run, states=[OrderState.FAILED]))
        assert [result.error for result in failed] == ["InvalidRequestError"] * 2

        assert engine.resume(run) == 0  # nothing was cancelled, nothing is left
        assert engine.resume(run, failed=True) == 2
        engine.work(run)

        assert states(engine.status(run)) == {OrderState.DONE: 5}
    assert names(world) == Counter(f"machine-{number}" for number in range(1, 6))


def test_a_registration_whose_answer_is_lost_is_looked_for_and_adopted(
    world: Vendors, journal: str, tmp_path: Path
) -> None:
    world.cloud.faults.answer(502, "<html>", method="POST", after=True, times=3)
    wave = manifest(tmp_path, [machine(number) for number in range(1, 9)])

    status = fleet.run(wave, journal=journal)

    assert states(status) == {OrderState.DONE: 8}
    assert set(names(world).values()) == {1}
    assert requests(world, "POST") == 8


def test_an_interrupted_run_goes_on_where_it_was(world: Vendors, journal: str, tmp_path: Path) -> None:
    world.cloud.faults.add(Delay(0.3), times=None)
    wave = manifest(tmp_path, [machine(number) for number in range(1, 41)])

    def stop(status: fleet.RunStatus) -> None:
        if status.count(OrderState.DONE):
            raise Stop

    with fleet.open_engine(journal) as engine:
        run = engine.submit(wave)
        with pytest.raises(Stop):
            engine.work(run, in_flight=4, on_status=stop)
        left = states(engine.status(run))
    assert set(left) == {OrderState.DONE, OrderState.WAITING}  # nothing is half done
    assert requests(world, "POST") == left[OrderState.DONE]

    world.cloud.faults.clear()
    with fleet.open_engine(journal) as engine:
        engine.resume(run)
        engine.work(run)
        assert states(engine.status(run)) == {OrderState.DONE: 40}
    assert set(names(world).values()) == {1}


def test_an_order_whose_worker_died_is_looked_for_before_it_is_sent(
    world: Vendors, journal: str, tmp_path: Path
) -> None:
    sent, not_sent = machine(1), machine(2)
    gone, still_there = world.cloud.add_sources(2)
    locked = world.cloud.add_replication()
    rows = [sent, not_sent]
    rows += [{"profile": "cloud", "operation": "delete_source", "id": one} for one in (gone, still_there)]
    rows += [{"profile": "cloud", "operation": "unlock_target", "id": locked}]
    with mc.connect(profile="cloud") as cloud:
        adopted = cloud.sources.register(mc.SourceSpec(name="", details=sent["document"])).wait()
        cloud.sources.delete(gone).wait()
    posts = requests(world, "POST")

    with fleet.open_engine(journal) as engine:
        run = engine.submit(manifest(tmp_path, rows))
        engine._journal.write([Claim(run, number) for number in range(1, 6)], 0.0)
        assert engine.status(run).count(OrderState.SENDING) == 5
        engine.work(run)
        results = list(engine.results(run))

    assert [result.state for result in results] == [OrderState.DONE] * 4 + [OrderState.UNKNOWN]
    assert results[0].result == adopted
    assert "died" in (results[4].message or "")
    assert requests(world, "POST") == posts + 1
    assert names(world)["machine-1"] == names(world)["machine-2"] == 1


def test_a_cancelled_run_sends_nothing_more_and_can_be_resumed(world: Vendors, journal: str, tmp_path: Path) -> None:
    world.cloud.faults.add(Delay(0.3), times=None)
    wave = manifest(tmp_path, [machine(number) for number in range(1, 41)])
    with fleet.open_engine(journal) as engine:
        run = engine.submit(wave)

        def cancel(status: fleet.RunStatus) -> None:
            if status.count(OrderState.DONE) and status.state is RunState.RUNNING:
                engine.cancel(run)

        engine.work(run, in_flight=4, on_status=cancel)
        status = engine.status(run)

        assert status.state is RunState.CANCELLED
        assert set(states(status)) == {OrderState.DONE, OrderState.CANCELLED}
        assert requests(world, "POST") == status.count(OrderState.DONE)
        world.cloud.faults.clear()
        assert engine.resume(run) == status.count(OrderState.CANCELLED)
        engine.work(run)
        assert states(engine.status(run)) == {OrderState.DONE: 40}
    assert set(names(world).values()) == {1}


def test_a_refused_login_is_not_tried_for_each_order(
    world: Vendors, journal: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wave = manifest(tmp_path, [machine(number) for number in range(1, 41)])
    right = world.cloud.credentials["token"]
    monkeypatch.setenv("TEST_CLOUD_TOKEN", "of yesterday")

    with fleet.open_engine(journal) as engine:
        run = engine.submit(wave)
        engine.work(run, in_flight=8)
        (failure,) = engine.status(run).failures
        assert (failure.error, failure.count) == ("AuthenticationError", 40)
        assert len(world.cloud.journal) <= 16  # those that were under way

        monkeypatch.setenv("TEST_CLOUD_TOKEN", right)
        assert engine.resume(run, failed=True) == 40
        engine.work(run)
        assert states(engine.status(run)) == {OrderState.DONE: 40}


def test_a_worker_that_lacks_a_profile_stops_and_leaves_its_orders(
    world: Vendors, journal: str, tmp_path: Path
) -> None:
    wave = manifest(tmp_path, [machine(number) for number in range(1, 6)])
    profiles = world.profiles.read_text()
    with fleet.open_engine(journal) as engine:
        run = engine.submit(wave)
        world.profiles.write_text(profiles.replace("[cloud]", "[elsewhere]"))
        with pytest.raises(mc.ConfigurationError, match="'cloud'"):
            engine.work(run)
        assert states(engine.status(run)) == {OrderState.WAITING: 5}

        world.profiles.write_text(profiles)
        engine.work(run)
        assert states(engine.status(run)) == {OrderState.DONE: 5}


def test_one_manifest_is_one_run_and_an_edited_one_repeats_nothing_by_itself(
    world: Vendors, journal: str, tmp_path: Path
) -> None:
    rows = [machine(number) for number in range(1, 6)]
    with fleet.open_engine(journal) as engine:
        first = engine.submit(manifest(tmp_path, rows))
        with pytest.raises(mc.InvalidArgumentError, match=f"is run {first} already, and 5 of its orders"):
            engine.submit(manifest(tmp_path, rows))
        edited = manifest(tmp_path, [*rows, machine(6)])
        with pytest.raises(mc.InvalidArgumentError, match=rf"5 of the 6 orders of wave.jsonl .* {first} \(5\)"):
            engine.submit(edited)
        second = engine.submit(edited, known="skip")
        assert engine.status(second).count() == 1
        with pytest.raises(mc.InvalidArgumentError, match="all 6 orders"):
            engine.submit(manifest(tmp_path, [machine(6), *rows], "copy.jsonl"), known="skip")
        engine.work(first)
        engine.work(second)
        third = engine.submit(manifest(tmp_path, rows, "again.jsonl"), known="again")
        assert engine.status(third).count() == 5
        assert {status.run for status in engine.runs()} == {first, second, third}
        engine.cancel(third)
    assert set(names(world).values()) == {1}
    assert len(names(world)) == 6


def test_what_only_looks_may_be_done_again_and_again(world: Vendors, journal: str, tmp_path: Path) -> None:
    rows = [{"profile": "cloud", "operation": "describe_source", "id": one} for one in world.cloud.add_sources(3)]
    runs = [fleet.run(manifest(tmp_path, rows), journal=journal) for _ in range(2)]
    assert [states(status) for status in runs] == [{OrderState.DONE: 3}] * 2
    assert runs[0].run != runs[1].run


def test_two_who_submit_one_manifest_at_the_same_time_make_one_run(
    world: Vendors, journal: str, tmp_path: Path
) -> None:
    wave = manifest(tmp_path, [machine(number) for number in range(1, 21)])
    fleet.open_engine(journal).close()
    begin = threading.Barrier(4)

    def submit(_: int) -> str:
        with fleet.open_engine(journal) as engine:
            engine._opened()
            begin.wait()
            try:
                engine.submit(wave)
            except mc.InvalidArgumentError as error:
                return str(error)
        return "submitted"

    with ThreadPoolExecutor(4) as threads:
        told = sorted(threads.map(submit, range(4)))
    assert told[0] == "submitted"
    assert all("already, and 20 of its orders" in text for text in told[1:])


def test_a_manifest_that_changes_after_it_was_checked_is_not_submitted(
    world: Vendors, journal: str, tmp_path: Path
) -> None:
    wave = manifest(tmp_path, [machine(1), machine(2)])
    manifest(tmp_path, [machine(1), machine(3)])
    with fleet.open_engine(journal) as engine:
        with pytest.raises(mc.InvalidArgumentError, match="was changed after it was checked"):
            engine.submit(wave)
        assert engine.runs() == ()


def test_what_was_cancelled_here_and_done_elsewhere_is_not_resumed(
    world: Vendors, journal: str, tmp_path: Path
) -> None:
    rows = [machine(1), machine(2)]
    with fleet.open_engine(journal) as engine:
        first = engine.submit(manifest(tmp_path, rows))
        engine.cancel(first)
        second = engine.submit(manifest(tmp_path, rows[:1], "other.jsonl"))
        engine.work(second)
        assert engine.resume(first) == 1
        engine.work(first)
        assert states(engine.status(first)) == {OrderState.CANCELLED: 1, OrderState.DONE: 1}
    assert set(names(world).values()) == {1}


def test_a_run_is_named_by_its_beginning_or_as_the_last(world: Vendors, journal: str, tmp_path: Path) -> None:
    with fleet.open_engine(journal) as engine:
        first = engine.submit(manifest(tmp_path, [machine(1)], "a.jsonl"))
        second = engine.submit(manifest(tmp_path, [machine(2)], "b.jsonl"))
        assert engine.status("a-").run == first
        assert engine.status("last").run == second
        with pytest.raises(mc.InvalidArgumentError, match=f"has no run 'c'; it has: {first}, {second}"):
            engine.status("c")


def test_the_journal_holds_no_secret_and_nobody_else_may_read_it(
    world: Vendors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHER_SITE", world.site.pairing_spec().remote_password)
    row = {"profile": "site", "operation": "create_pairing", "document": pairing_to_be(world)}
    world.site.set("task_seconds", "0.5")
    wave = manifest(tmp_path, [machine(1), row])
    file = tmp_path / "state" / "fleet.db"

    def look(status: fleet.RunStatus) -> None:
        for part in file.parent.iterdir():
            assert stat.S_IMODE(part.stat().st_mode) == 0o600

    fleet.run(wave, journal=file, on_status=look)

    credentials = [*world.cloud.credentials.items(), *world.site.credentials.items()]
    secrets = [secret for name, secret in credentials if name in ("token", "password", "peer_password", "secret_key")]
    content = b"".join(part.read_bytes() for part in file.parent.iterdir())
    assert b"machine-1" in content
    assert len(secrets) == 5
    assert [secret for secret in secrets if secret.encode() in content] == []


def test_a_journal_of_a_later_format_is_left_alone(journal: str) -> None:
    with fleet.open_engine(journal) as engine:
        engine._opened()
        with engine._journal.database.begin() as connection:
            connection.exec_driver_sql("UPDATE fleet_format SET format = 99")
        with pytest.raises(mc.JournalError, match="has format 99"):
            engine.runs()


def test_only_one_run_at_a_time_is_carried_out_in_a_process(world: Vendors, tmp_path: Path) -> None:
    with fleet.open_engine(tmp_path / "a.db") as one, fleet.open_engine(tmp_path / "b.db") as other:
        first = one.submit(manifest(tmp_path, [machine(1)], "a.jsonl"))
        second = other.submit(manifest(tmp_path, [machine(2)], "b.jsonl"))

        def work(_: fleet.RunStatus) -> None:
            with pytest.raises(mc.ConfigurationError, match="one at a time"):
                other.work(second)

        one.work(first, on_status=work)
        other.work(second)


def test_a_run_goes_on_beside_an_event_loop(world: Vendors, tmp_path: Path) -> None:
    wave = manifest(tmp_path, [machine(number) for number in range(1, 6)])
    seen: list[fleet.RunStatus] = []

    async def main() -> fleet.RunStatus:
        return await fleet.run_async(wave, journal=tmp_path / "fleet.db", on_status=seen.append)

    assert states(asyncio.run(main())) == {OrderState.DONE: 5}
    assert seen


def test_a_cancelled_coroutine_leaves_the_rest_in_the_journal(world: Vendors, tmp_path: Path) -> None:
    world.cloud.faults.add(Delay(0.3), times=None)
    wave = manifest(tmp_path, [machine(number) for number in range(1, 41)])
    file = tmp_path / "fleet.db"

    async def main() -> None:
        work = asyncio.current_task()
        assert work is not None

        def stop(status: fleet.RunStatus) -> None:
            if status.count(OrderState.DONE):
                work.cancel()

        await fleet.run_async(wave, journal=file, in_flight=4, on_status=stop)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    with fleet.open_engine(file) as engine:
        left = states(engine.status("last"))
    assert set(left) == {OrderState.DONE, OrderState.WAITING}
