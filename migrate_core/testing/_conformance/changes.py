"""Answers that are lost: reads are sent again, changes are not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

import migrate_core as mc
from migrate_core.provider import BaseProvider, Request, Response
from migrate_core.testing._conformance.bench import CHANGES, READS, Bench
from migrate_core.testing._conformance.wire import Planned, lost, nth


class Changes:
    """What happens when nobody knows what happened."""

    def test_a_read_whose_answer_is_lost_is_sent_again(self, bench: Bench) -> None:
        """Lose the answer of each request of a read in turn: the caller notices nothing."""
        bench.warm()
        for operation in bench.among(READS):
            call = bench.call(operation)
            steps = len(bench.requests(call))
            assert steps, f"{operation.value} asks nobody"
            for number in range(steps):
                with bench.wire.planned(nth(number, lost)) as sent:
                    error = bench.refusal(call)
                assert error is None, f"{operation.value}: its request is not marked as repeatable ({error})"
                assert len(sent) == steps + 1

    def test_a_change_whose_answer_is_lost_is_sent_once(self, bench: Bench) -> None:
        """Lose the answer of each request of a change in turn: it happened once, or the caller is told to look."""
        bench.warm()
        for operation in bench.among(CHANGES):
            steps = len(bench.requests(bench.call(operation)))
            assert steps, f"{operation.value} asks nobody"
            for number in range(steps):
                before = _count(bench, operation)
                call = bench.call(operation)
                with bench.wire.planned(nth(number, lost)) as sent:
                    error = bench.refusal(call)
                assert error is None or isinstance(error, mc.OutcomeUnknownError), (
                    f"{operation.value}: the answer of request {number + 1} is lost, and the caller hears {error!r}"
                )
                assert error or len(sent) > number + 1, f"{operation.value}: the answer is lost, and nobody looks"
                unique = Counter(
                    (request.method, request.path, request.body) for request in sent if not request.repeatable
                )
                assert max(unique.values(), default=0) <= 1, f"{operation.value}: a change is sent twice"
                assert _count(bench, operation) <= before + 1, f"{operation.value}: the change happens twice"

    def test_a_registration_whose_answer_is_lost_is_found_again(self, bench: Bench) -> None:
        """Lose the answer of a registration under ``on_ambiguous="reconcile"``: the machine is found, and no other."""
        bench.need(mc.Operation.REGISTER_SOURCE)
        if bench.provider.find_registered is BaseProvider.find_registered:
            pytest.skip(f"{bench.provider.name} cannot look up what was registered")
        bench.warm()
        client = bench.connect(on_ambiguous="reconcile")
        spec, other = bench.simulator.source_spec(), bench.simulator.source_spec()
        before = _count(bench, mc.Operation.REGISTER_SOURCE)
        with bench.wire.planned(_first_change(lost)):
            source_id = bench.settled(bench.caller(client.sources.register(spec)))
        assert bench.settled(bench.caller(client.sources.register(spec))) == source_id, "it is not found a second time"
        assert bench.settled(bench.caller(client.sources.register(other))) != source_id, "another machine is found"
        assert _count(bench, mc.Operation.REGISTER_SOURCE) in (0, before + 2), "a machine is registered twice"

    def test_a_change_that_fails_at_the_vendor_is_not_sent_again(self, bench: Bench) -> None:
        """Answer 503 after a change took effect: nobody knows what happened, so it is not sent a second time."""
        bench.warm()
        for operation in bench.among(CHANGES):
            for number in range(len(bench.requests(bench.call(operation)))):
                call = bench.call(operation)
                with bench.wire.planned(nth(number, _failed)) as sent:
                    error = bench.refusal(call)
                changes = Counter((one.method, one.path, one.body) for one in sent if not one.repeatable)
                assert max(changes.values(), default=0) <= 1, f"{operation.value}: a change is sent twice ({error!r})"

    def test_a_change_that_was_turned_away_is_sent_again(self, bench: Bench) -> None:
        """Answer 429 once: nothing was done, so the change is sent again, and happens once."""
        bench.warm()
        for operation in bench.among(CHANGES):
            before, call = _count(bench, operation), bench.call(operation)
            with bench.wire.planned(nth(0, Response(status=429, headers={"retry-after": "1"}))):
                error = bench.refusal(call)
            assert error is None, f"{operation.value} raises {error!r}"
            assert _count(bench, operation) <= before + 1


def _first_change(planned: Planned) -> Callable[[Request], Planned]:
    """Plan something for the first request that must not be repeated."""
    left = iter((planned,))
    return lambda request: None if request.repeatable else next(left, None)


def _failed(_: Response) -> Response:
    return Response(status=503)


def _count(bench: Bench, operation: mc.Operation) -> int:
    """Count what an operation would add to."""
    if operation is mc.Operation.REGISTER_SOURCE and bench.offers(mc.Operation.LIST_SOURCES):
        return len(bench.caller.list(bench.client.sources.list()))
    if operation is mc.Operation.CREATE_PAIRING and bench.offers(mc.Operation.LIST_TASKS):
        return len(bench.caller.list(bench.client.tasks.list()))
    return 0
