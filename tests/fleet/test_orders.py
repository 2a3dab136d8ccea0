"""What becomes of single orders: held back, watched, found out about; on a journal in a file."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import migrate_core as mc
from fleet.vendors import Vendors, machine, manifest, vendors
from migrate_core import fleet
from migrate_core.fleet import OrderState, RunState
from migrate_core.fleet.journal import Claim, Outcome


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendors]:
    with vendors(tmp_path, monkeypatch) as both:
        yield both


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Any]:
    with fleet.open_engine(tmp_path / "fleet.db") as opened:
        yield opened


class Stop(Exception):
    """Whoever calls has seen enough."""


def deletion(pairing: str) -> dict[str, str]:
    return {"profile": "site", "operation": "delete_pairing", "id": pairing}


def at_the_site() -> set[str]:
    with mc.connect(profile="site") as site:
        return {pairing.id for pairing in site.pairings.list()}


def deletions_begun(world: Vendors) -> int:
    return sum(entry.method == "DELETE" and "/pairings/" in entry.path for entry in world.site.journal)


def test_a_task_that_is_watched_goes_on_when_the_watch_is_interrupted(
    world: Vendors, engine: Any, tmp_path: Path
) -> None:
    world.site.set("task_seconds", "3")
    run = engine.submit(manifest(tmp_path, [deletion(world.site.add_pairings(1)[0])]))

    def stop(status: fleet.RunStatus) -> None:
        if status.count(OrderState.WATCHING):
            raise Stop

    with pytest.raises(Stop):
        engine.work(run, on_status=stop)
    assert engine.status(run).count(OrderState.WATCHING) == 1
    engine.work(run)

    assert engine.status(run).count(OrderState.DONE) == 1
    assert deletions_begun(world) == 1
    assert at_the_site() == set()


def test_a_cancelled_run_still_watches_what_was_sent(world: Vendors, engine: Any, tmp_path: Path) -> None:
    world.site.set("task_seconds", "2")
    run = engine.submit(manifest(tmp_path, [deletion(one) for one in world.site.add_pairings(3)]))

    def cancel(status: fleet.RunStatus) -> None:
        if status.count(OrderState.WATCHING):
            engine.cancel(run)

    engine.work(run, on_status=cancel)

    status = engine.status(run)
    assert status.count(OrderState.DONE) == 3
    assert status.state is RunState.FINISHED  # nothing was left out
    assert at_the_site() == set()


def test_what_the_vendor_fails_to_do_is_named_and_can_be_sent_again(
    world: Vendors, engine: Any, tmp_path: Path
) -> None:
    world.site.set("task_seconds", "0.5")
    world.site.set("fail", "the other site does not answer")
    run = engine.submit(manifest(tmp_path, [deletion(one) for one in world.site.add_pairings(2)]))
    engine.work(run)

    (failure,) = engine.status(run).failures
    assert (failure.error, failure.count) == ("TaskFailedError", 2)
    assert "the other site does not answer" in failure.message
    world.site.set("fail", "")
    assert engine.resume(run, failed=True) == 2
    engine.work(run)

    assert engine.status(run).count(OrderState.DONE) == 2
    assert deletions_begun(world) == 4


def test_a_task_that_could_not_be_watched_is_watched_again_and_not_sent_again(
    world: Vendors, engine: Any, tmp_path: Path
) -> None:
    world.site.set("task_seconds", "0.5")
    run = engine.submit(manifest(tmp_path, [deletion(world.site.add_pairings(1)[0])]))
    world.site.faults.answer(403, method="GET", path="/tasks", times=3)  # the right to look is missing
    engine.work(run)

    (result,) = engine.results(run)
    assert (result.state, result.error) == (OrderState.UNKNOWN, "PermissionDeniedError")
    world.site.faults.clear()
    assert engine.resume(run, failed=True) == 1
    engine.work(run)

    assert engine.status(run).count(OrderState.DONE) == 1
    assert deletions_begun(world) == 1


def test_a_deletion_that_is_under_way_is_waited_for_and_not_asked_for_again(
    world: Vendors, engine: Any, tmp_path: Path
) -> None:
    world.site.set("task_seconds", "1")
    under_way, gone, there = world.site.add_pairings(3)
    with mc.connect(profile="site") as site:
        site.pairings.delete(gone).wait()
        site.pairings.delete(under_way)
    begun = deletions_begun(world)
    run = engine.submit(manifest(tmp_path, [deletion(one) for one in (under_way, gone, there)]))
    engine._journal.write([Claim(run, number) for number in (1, 2, 3)], time.time())  # and their worker died
    engine.work(run)

    assert engine.status(run).count(OrderState.DONE) == 3
    assert deletions_begun(world) == begun + 1
    assert at_the_site() == set()


def test_orders_are_held_back_while_the_vendor_has_too_much_to_do(world: Vendors, engine: Any, tmp_path: Path) -> None:
    world.cloud.faults.answer(429, headers={"Retry-After": "1"}, method="POST", times=12)
    run = engine.submit(manifest(tmp_path, [machine(number) for number in range(1, 4)]))
    waiting: list[int] = []
    engine.work(run, on_status=lambda status: waiting.append(status.count(OrderState.WAITING)))

    assert engine.status(run).count(OrderState.DONE) == 3
    assert max(waiting[1:]) > 0  # and could be cancelled meanwhile
    assert all(result.attempts > 1 for result in engine.results(run))


def test_what_is_held_back_can_be_cancelled(world: Vendors, engine: Any, tmp_path: Path) -> None:
    world.cloud.faults.answer(429, headers={"Retry-After": "2"}, method="POST", times=1000)
    run = engine.submit(manifest(tmp_path, [machine(1)]))
    seen: list[fleet.RunStatus] = []

    def cancel(status: fleet.RunStatus) -> None:
        seen.append(status)
        if len(seen) > 3 and status.count(OrderState.WAITING):
            engine.cancel(run)

    engine.work(run, on_status=cancel)

    (result,) = engine.results(run)
    assert result.state is OrderState.CANCELLED
    assert result.attempts >= 1


def test_nobody_can_look_so_the_outcome_stays_unknown_until_somebody_can(
    world: Vendors, engine: Any, tmp_path: Path
) -> None:
    with mc.connect(profile="cloud") as cloud:
        source = cloud.sources.register(mc.SourceSpec(name="", details=machine(1)["document"])).wait()
    run = engine.submit(manifest(tmp_path, [machine(1)]))
    engine._journal.write([Claim(run, 1)], time.time() - 60)
    world.cloud.faults.answer(403, '{"error_code": "SMS.9004", "error_msg": "no"}', method="GET", times=50)
    engine.work(run)

    (result,) = engine.results(run)
    assert (result.state, result.error) == (OrderState.UNKNOWN, "PermissionDeniedError")
    world.cloud.faults.clear()
    engine.resume(run, failed=True)
    engine.work(run)
    (result,) = engine.results(run)
    assert (result.state, result.result) == (OrderState.DONE, source)


def test_what_cannot_be_looked_for_is_sent_again_only_when_a_person_says_so(
    world: Vendors, engine: Any, tmp_path: Path
) -> None:
    locked = world.cloud.add_replication()
    run = engine.submit(manifest(tmp_path, [{"profile": "cloud", "operation": "unlock_target", "id": locked}]))
    engine._journal.write([Claim(run, 1)], time.time())
    engine.work(run)
    (result,) = engine.results(run)
    assert (result.state, result.error) == (OrderState.UNKNOWN, "OutcomeUnknownError")
    assert not any("unlock" in entry.path for entry in world.cloud.journal)

    engine.resume(run, failed=True)
    engine.work(run)
    assert engine.status(run).count(OrderState.DONE) == 1
    assert sum("unlock" in entry.path for entry in world.cloud.journal) == 1


def test_an_end_that_was_written_twice_is_one_end(world: Vendors, engine: Any, tmp_path: Path) -> None:
    run = engine.submit(manifest(tmp_path, [machine(1)]))
    engine.work(run)
    (first,) = engine.results(run)
    engine._journal.write([Outcome(run, 1, {"state": "done"})], time.time())
    assert list(engine.results(run)) == [first]
    assert engine._journal.write([Claim(run, 1)], time.time()) == set()  # who comes too late gets nothing


def test_the_requests_of_a_profile_keep_to_its_rate_limit(world: Vendors, engine: Any, tmp_path: Path) -> None:
    text = world.profiles.read_text().replace('"huawei_sms"\n', '"huawei_sms"\nrate_limit = 10\n')
    world.profiles.write_text(text)
    run = engine.submit(manifest(tmp_path, [machine(number) for number in range(1, 21)]))
    begun = time.monotonic()
    engine.work(run)

    assert time.monotonic() - begun >= 1.9  # twenty requests, the first at once
    assert len(world.cloud.journal) == 20
    assert engine.status(run).count(OrderState.DONE) == 20
