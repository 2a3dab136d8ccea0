"""Credentials: fetched once, renewed when they end, and never tried again when they are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest

import migrate_core as mc
from migrate_core.provider import BaseProvider, Flow, Response
from migrate_core.testing._conformance.answers import NO_ANSWERS, READABLE, odd_forms
from migrate_core.testing._conformance.bench import READS, Bench
from migrate_core.testing._conformance.wire import as_json, nth

_CALLERS = 8
_MOST_LOGINS = 8


class Logins:
    """One login for all."""

    def test_every_kind_of_credentials_lets_in(self, bench: Bench) -> None:
        """Connect with each kind that the simulator knows."""
        operation = bench.among(READS)[0]
        for kind in bench.simulator.kinds:
            bench.do(operation, bench.connect(kind))

    def test_a_login_serves_the_calls_that_follow(self, bench: Bench) -> None:
        """Log in for the first call, if at all, and not for those that follow."""
        for kind in bench.simulator.kinds:
            logins: list[str] = []
            client = bench.connect(kind, provider=_counting(bench.provider, logins))
            for _ in range(3):
                bench.caller(_reading(bench, client)())
            assert len(logins) <= 1, f"{len(logins)} logins for three calls"

    def test_many_callers_log_in_once(self, bench: Bench) -> None:
        """Let many callers come at once, to a new client and to one whose login has ended."""
        for kind in bench.simulator.kinds:
            logins: list[str] = []
            client = bench.connect(kind, provider=_counting(bench.provider, logins))
            for begun in range(1, 3):
                bench.caller.together([_reading(bench, client)] * _CALLERS)
                assert len(logins) <= begun, f"{_CALLERS} callers log in {len(logins) - begun + 1} times"
                bench.simulator.expire_logins()

    def test_a_login_that_ended_is_renewed(self, bench: Bench) -> None:
        """End the login between two calls: the second works."""
        for kind in bench.simulator.kinds:
            client = bench.connect(kind)
            for _ in range(3):
                bench.caller(_reading(bench, client)())
                bench.simulator.expire_logins()

    def test_wrong_credentials_are_refused_and_not_tried_again(self, bench: Bench) -> None:
        """Replace each secret by another one: AuthenticationError, and no second attempt that could lock an account."""
        secrets = {field.name for field in attrs.fields(bench.provider.settings_type) if field.metadata.get("secret")}
        for kind in bench.simulator.kinds:
            most = len(bench.requests(_reading(bench, bench.connect(kind))))
            given = bench.simulator.settings(kind) if kind else bench.simulator.settings()
            refused = 0
            for name in secrets & set(given):
                wrong: Any = {name: f"{given[name][::-1]}-wrong"}
                read = _reading(bench, bench.connect(kind, **wrong))
                with bench.wire.planned() as sent:
                    error = bench.refusal(read)
                assert error is None or type(error) is mc.AuthenticationError, f"a wrong {name} raises {error!r}"
                assert len(sent) <= most, f"a wrong {name} is tried again"
                assert wrong[name] not in f"{error} {error!r}"
                refused += error is not None
            assert refused or not secrets & set(given), "whatever the secret is, the simulator lets in"

    def test_a_connection_can_be_checked(self, bench: Bench) -> None:
        """Try what can be tried without changing anything: all of it works, further logins too."""
        bench.among(READS)
        for kind in bench.simulator.kinds:
            checks = bench.caller(bench.connect(kind).check())
            assert [check for check in checks if check.result is mc.CheckResult.ERROR] == []

    def test_a_login_that_is_answered_oddly_is_no_crash(self, bench: Bench) -> None:
        """Answer logins with bodies that are none, and with fields missing, null or of another type."""
        for kind in bench.simulator.kinds:
            answer = _answer_of_login(bench, kind)
            changed = [] if answer is None else [as_json(one, like=answer) for one in odd_forms(answer)]
            bodies = [] if answer is None else [attrs.evolve(answer, body=body) for body in NO_ANSWERS]
            for odd in (*changed, *bodies):
                read = _reading(bench, bench.connect(kind))
                with bench.wire.planned(nth(0, odd)) as sent:
                    error = bench.refusal(read)
                assert error is None or isinstance(error, READABLE), f"{odd.body[:60]!r}: {error!r}"
                assert len(sent) < _MOST_LOGINS, f"{odd.body[:60]!r} leads to {len(sent)} requests"

    def test_closing_twice_is_fine_and_a_closed_client_says_so(self, bench: Bench) -> None:
        """Log out, without a complaint."""
        client = bench.connect()
        bench.caller(_reading(bench, client)())
        for _ in range(2):
            bench.caller(client.close())
        with pytest.raises(mc.ConfigurationError, match="closed"):
            bench.caller(_reading(bench, client)())


def _answer_of_login(bench: Bench, kind: str) -> Response | None:
    """Give what the first request of a connection is answered with, if that is a login."""
    read = _reading(bench, bench.connect(kind))
    with bench.wire.planned() as sent:
        bench.caller(read())
        first = bench.wire.answers[0]
        cold = len(sent)
    with bench.wire.planned() as sent:
        bench.caller(read())
    return first if len(sent) < cold else None


def _reading(bench: Bench, client: Any) -> Callable[[], Any]:
    """Prepare to read something, if possible what needs nothing to be there."""
    lists = [one for one in bench.among(READS) if one.value.startswith("list_")]
    return bench.call((lists or bench.among(READS))[0], client)


def _counting(provider: type[BaseProvider], logins: list[str]) -> type[BaseProvider]:
    """Give a class that notes each of its logins."""

    class Counting(provider):  # type: ignore[valid-type, misc]  # a class that is a value
        def refresh_credentials(self) -> Flow[None]:
            logins.append("login")
            yield from super().refresh_credentials()

    return Counting
