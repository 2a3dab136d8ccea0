"""What workers of one journal share: its seats, the slots of a rate limit, and transactions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import migrate_core as mc
from fleet.postgres import Postgres
from fleet.vendors import Vendors, machine, manifest, vendors
from migrate_core import fleet
from migrate_core._rate import Rate
from migrate_core.fleet._carrying import Clients, Worker
from migrate_core.fleet._post import Post
from migrate_core.fleet._rates import SharedRate
from migrate_core.fleet._seats import seat_at
from migrate_core.fleet._writes import Writer
from migrate_core.fleet.journal import Claim, Entry, Journal, Outcome
from migrate_core.fleet.models import Order, OrderState


@pytest.fixture
def shared(database: str) -> Iterator[Journal]:
    opened = Journal(database)
    opened.prepare()
    yield opened
    opened.close()


def test_a_file_has_one_seat_which_is_free_when_its_worker_leaves(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "fleet.db")
    first, second = seat_at(journal), seat_at(journal)

    assert first.taken()
    assert first.taken()  # it is still ours
    assert not second.taken()
    assert first.name == second.name  # so that the second goes on with what the first left
    assert (tmp_path / "fleet.db.lock").stat().st_mode & 0o777 == 0o600

    first.leave()
    assert second.taken()
    second.leave()


def test_in_a_database_each_worker_has_a_seat_and_others_see_who_is_dead(shared: Journal) -> None:
    first, second = seat_at(shared), seat_at(shared)

    assert first.taken()
    assert second.taken()
    assert first.name != second.name
    assert not first.is_dead(second.name)
    assert not first.is_dead(first.name)

    second.leave()
    assert first.is_dead(second.name)
    assert first.is_dead(second.name)  # to look does not take the seat
    assert second.taken()
    assert not first.is_dead(second.name)
    first.leave()
    second.leave()


def test_a_worker_whose_session_was_ended_has_its_seat_again_when_it_looks(shared: Journal, postgres: Postgres) -> None:
    first, second = seat_at(shared), seat_at(shared)
    assert first.taken()
    assert second.taken()

    postgres.stop()
    try:
        assert not first.taken()
    finally:
        postgres.start()

    assert first.taken()
    assert first.is_dead(second.name)  # for the moment: which is why one look does not make anybody dead
    assert not second.taken()  # its session is gone, as it sees now
    assert second.taken()
    assert not first.is_dead(second.name)
    first.leave()
    second.leave()


def test_slots_of_two_workers_never_fill_a_second(shared: Journal) -> None:
    limit = 20.0
    workers = [SharedRate(limit, "cloud", shared), SharedRate(limit, "cloud", shared)]

    def slot(worker: SharedRate) -> float:
        now = time.monotonic()
        return now + (worker.pause(now, 60.0) or 0.0)

    slots = sorted(slot(worker) for _ in range(60) for worker in workers)  # all ask at once, and wait

    assert max(sum(start <= slot < start + 1 for slot in slots) for start in slots) <= limit
    assert slots[-1] - slots[0] == pytest.approx(119 / limit * 1.2, rel=0.1)  # and hardly less is used than allowed


def test_profiles_do_not_share_their_slots(shared: Journal) -> None:
    one, other = SharedRate(0.1, "one", shared), SharedRate(0.1, "other", shared)

    assert one.pause(0.0, 60.0) == pytest.approx(0.0, abs=0.05)
    assert other.pause(0.0, 60.0) == pytest.approx(0.0, abs=0.05)
    assert one.pause(0.0, 5.0) is None  # the next one comes too late, and is left
    assert one.pause(0.0, 60.0) == pytest.approx(12.0, abs=0.1)


def test_a_slot_that_was_missed_is_not_used(shared: Journal) -> None:
    rate = SharedRate(40.0, "cloud", shared)
    assert rate.pause(0.0, 60.0) is not None

    held_up = 10.0  # the other slots that were taken with the first are long over
    first, second = rate.pause(held_up, 60.0), rate.pause(held_up, 60.0)

    assert first is not None
    assert second is not None
    assert second - first == pytest.approx(1.2 / 40.0, abs=0.001)


def test_no_request_is_sent_while_the_slots_are_away(shared: Journal) -> None:
    rate = SharedRate(10.0, "cloud", shared)
    with shared.database.begin() as connection:
        connection.execute(sa.text("DROP TABLE fleet_paces"))

    assert rate.pause(0.0, 60.0) is None


def test_a_worker_that_stands_still_while_it_tries_the_journal_holds_up_no_other(
    database: str, shared: Journal
) -> None:
    other = Journal(f"{database}?options=-c%20lock_timeout%3D2s")
    tried: list[str] = []

    def try_too(_: object, __: object, statement: str, *___: object) -> None:
        if statement.startswith("DELETE"):
            other.touch()
            tried.append(statement)

    sa.event.listen(shared.database, "before_cursor_execute", try_too)
    shared.touch()
    other.close()

    assert len(tried) == 1
    with shared.database.begin() as connection:
        assert connection.execute(sa.text("SELECT * FROM fleet_paces")).all() == []


def _entry(number: int) -> Entry:
    order = Order(line=number, profile="p", operation=mc.Operation.DELETE_SOURCE, subject="s", key=str(number))
    return Entry(run="r", number=number, state=OrderState.WAITING, token=None, started_at=None, order=order)


class Slow(Journal):
    """A journal that takes its time, and remembers what came together."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.batches: list[int] = []
        self.failures: list[Exception] = []

    def write(self, notes: object, at: float) -> set[Claim]:
        assert isinstance(notes, tuple)
        if self.failures:
            with self.explained():
                raise self.failures.pop(0)
        self.batches.append(len(notes))
        return {note for note in notes if isinstance(note, Claim) and note.number % 2}


def test_what_comes_while_a_transaction_runs_makes_the_next_one(tmp_path: Path) -> None:
    journal = Slow(tmp_path / "fleet.db")
    writer = Writer(journal)

    async def main() -> list[bool]:
        claims = [asyncio.create_task(writer.claim(_entry(number))) for number in range(100)]
        await writer.end(_entry(1), state="done")
        return await asyncio.gather(*claims)

    granted = asyncio.run(main())

    assert granted == [bool(number % 2) for number in range(100)]
    assert sum(journal.batches) == 101
    assert len(journal.batches) <= 3


def _away() -> sa.exc.OperationalError:
    return sa.exc.OperationalError("UPDATE", {}, Exception("database is locked"))


def _full() -> sa.exc.OperationalError:
    return sa.exc.OperationalError("UPDATE", {"document": "what is in it"}, Exception("database or disk is full"))


def test_a_journal_that_is_away_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    journal = Slow(tmp_path / "fleet.db")
    journal.failures = [_away(), _away()]
    writer = Writer(journal)

    assert asyncio.run(writer.claim(_entry(1)))
    assert writer.error is None


def test_a_journal_that_cannot_be_written_ends_all_that_wait_for_it(tmp_path: Path) -> None:
    journal = Slow(tmp_path / "fleet.db")
    journal.failures = [_full()]
    writer = Writer(journal)

    async def main() -> list[bool | BaseException]:
        claims = [asyncio.create_task(writer.claim(_entry(number))) for number in range(10)]
        return await asyncio.gather(*claims, return_exceptions=True)

    ends = asyncio.run(main())

    assert {type(end) for end in ends} == {mc.JournalError}
    assert "disk is full" in str(writer.error)
    assert "what is in it" not in str(writer.error)
    assert journal.batches == []


def test_an_outcome_is_written_for_the_order_that_it_belongs_to(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "fleet.db")
    journal.prepare()

    assert journal.write([Outcome("r", 1, {"state": "done"}), Claim("r", 2)], 0.0) == set()  # there is no such run
    journal.close()


def test_of_those_who_claim_an_order_in_one_transaction_one_gets_it(tmp_path: Path) -> None:
    writer = Writer(Slow(tmp_path / "fleet.db"))

    async def main() -> list[bool]:
        return await asyncio.gather(*(writer.claim(_entry(1)) for _ in range(3)))

    assert sorted(asyncio.run(main())) == [False, False, True]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Vendors, Any, str]]:
    """Two vendors, and an engine on a file with a run of machines to be registered."""
    with vendors(tmp_path, monkeypatch) as both, fleet.open_engine(tmp_path / "fleet.db") as engine:
        yield both, engine, engine.submit(manifest(tmp_path, [machine(number) for number in range(5)]))


def _lots(engine: Any) -> list[Any]:
    found: list[Any] = engine._queues.lots("ENQUEUED", "PENDING")
    return found


@pytest.mark.parametrize("was_sent", [False, True])
def test_a_lot_that_is_handed_over_twice_is_carried_out_once(was_sent: bool, run: tuple[Vendors, Any, str]) -> None:
    world, engine, name = run
    if was_sent:  # as far as the journal knows; it never arrived
        engine._journal.write([Claim(name, number) for number in range(1, 6)], time.time() - 60)
    worker = Worker(engine._journal, Clients(lambda _, limit: Rate(limit)))

    async def main() -> None:
        lots = [lot.workflow_id for lot in _lots(engine)]
        await asyncio.gather(*(worker.start(lot) for lot in (*lots, *lots)))
        await worker._clients.close()

    asyncio.run(main())

    assert engine.status(name).count(OrderState.DONE) == 5
    assert sum(entry.method == "POST" for entry in world.cloud.journal) == 5
    assert worker.present == set()


def test_a_lot_that_was_put_back_is_whose_it_is_now_and_has_as_long_to_begin_as_any_other(
    run: tuple[Vendors, Any, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker is slow to begin with what it was given: its lots are put back, and given to it again."""
    _, engine, _ = run
    monkeypatch.setattr("migrate_core.fleet._post._LOOK_SECONDS", 0.0)
    seat = seat_at(engine._journal)
    post = Post(engine._journal, engine._queues, seat, 50)
    lot = _lots(engine)[0].workflow_id

    def give_to(name: str) -> None:
        given = "UPDATE workflow_status SET status = 'PENDING', executor_id = :name"
        with engine._journal.database.begin() as connection:
            connection.execute(sa.text(given), {"name": name})

    def looks_until_put_back() -> int:
        give_to(seat.name)
        for count in range(1, 20):
            post.look_around()
            if {lot.status for lot in _lots(engine)} == {"ENQUEUED"}:
                return count
        raise AssertionError

    assert seat.taken()
    first, second = looks_until_put_back(), looks_until_put_back()
    assert first == second > 1

    assert not asyncio.run(post.still_has(lot))  # it waits for somebody
    give_to("another worker")
    assert not asyncio.run(post.still_has(lot))
    give_to(seat.name)
    assert asyncio.run(post.still_has(lot))
    seat.leave()
