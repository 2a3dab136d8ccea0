"""Refusals, and what they become."""

from __future__ import annotations

import pickle

import pytest

import migrate_core as mc
from migrate_core.errors import error_class_for
from migrate_core.provider import Response
from migrate_core.testing._conformance.answers import odd_forms
from migrate_core.testing._conformance.bench import READS, Bench
from migrate_core.testing._conformance.wire import always, as_json, nth

_STATUSES = (400, 401, 403, 404, 409, 429, 500, 502, 503, 504)
_FOREIGN = (
    b"",
    b"<html>a proxy's page</html>",
    b"[]",
    b"{}",
    b'{"error": null}',
    b'"text"',
    b"\xff\xfe",
    b"[" * 100_000,
)


class Errors:
    """The vendor's refusals, and those of whoever stands before it."""

    @pytest.mark.parametrize("status", _STATUSES)
    def test_a_refusal_without_a_code_is_classed_by_its_status(self, bench: Bench, status: int) -> None:
        """Make an error of a page that is not the vendor's."""
        instance = bench.client._provider
        for body in _FOREIGN:
            error = instance.error_from(Response(status=status, body=body))
            assert type(error) is error_class_for(status), f"{status} {body[:30]!r} becomes {type(error).__name__}"
            assert (error.status, error.provider) == (status, bench.provider.name)
            assert error.retry_after is None or isinstance(error.retry_after, int | float), "retry_after is in seconds"
            assert error.message, f"{status} {body[:30]!r} gives no message"

    def test_the_vendors_own_refusals_are_classed_by_their_codes(self, bench: Bench) -> None:
        """Make each error of the vendor's own body for it."""
        instance = bench.client._provider
        for wanted, answer in bench.simulator.refusals().items():
            headers = {name.lower(): value for name, value in answer.headers.items()}
            refused = Response(status=answer.status_code, headers=headers, body=bytes(answer.body))
            error = instance.error_from(refused)
            assert type(error) is wanted, f"{answer.status_code} {bytes(answer.body)[:80]!r} becomes {error!r}"
            assert error.message
            for changed in odd_forms(refused):
                odd = instance.error_from(as_json(changed, like=refused))
                assert isinstance(odd.message, str), f"{changed!r} gives {odd.message!r} for a message"
                assert isinstance(odd.code, str), f"{changed!r} gives {odd.code!r} for a code"

    def test_a_refusal_says_who_refused_what(self, bench: Bench) -> None:
        """Name provider, operation and status in each error, and let it be pickled."""
        bench.warm()
        for operation in bench.among(READS):
            call = bench.call(operation)
            with bench.wire.planned(always(Response(status=403))):
                error = bench.refusal(call)
            assert isinstance(error, mc.PermissionDeniedError), f"{operation.value} raises {error!r}"
            assert (error.provider, error.operation, error.status) == (bench.provider.name, operation, 403)
            copied = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own
            assert (type(copied), str(copied)) == (type(error), str(error))

    def test_a_refusal_in_the_middle_of_a_flow_reaches_the_caller(self, bench: Bench) -> None:
        """Refuse each request of each operation in turn: the caller hears of it, and of nothing else."""
        bench.warm()
        for operation in bench.among(tuple(mc.Operation)):
            steps = len(bench.requests(bench.call(operation)))
            for refused in range(steps):
                call = bench.call(operation)
                with bench.wire.planned(nth(refused, Response(status=403))):
                    error = bench.refusal(call)
                assert isinstance(error, mc.ApiError | mc.OutcomeUnknownError), (
                    f"{operation.value}: request {refused + 1} of {steps} is refused, and the call gives {error!r}"
                )

    def test_a_redirection_is_refused(self, bench: Bench) -> None:
        """Answer with another host: nothing goes there."""
        bench.warm()
        for operation in bench.among(READS):
            call = bench.call(operation)
            moved = Response(status=302, headers={"location": "https://foreign.invalid/stolen"})
            with bench.wire.planned(always(moved)) as sent:
                error = bench.refusal(call)
            assert error is not None, f"{operation.value} takes a redirection for an answer"
            assert not [one for one in sent if "stolen" in one.target], f"{operation.value} follows a redirection"
