"""Every fault of the catalogue with every operation of two vendors: before its effect and after it, once and for good.

In process where no socket is needed, and with both transports where one is; with both clients. The table says what a
caller sees. Beside that, each row holds to what is true of all: a change happens once, or the caller is told to look;
errors name the request and no secret; a call ends with its time; and a client that is closed leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from datetime import UTC, datetime
from typing import Any, TypeAlias

import attrs
import pytest

import migrate_core as mc
from migrate_core._engine import capability_of
from migrate_core._registry import provider_class
from migrate_core.errors import (
    ApiError,
    AuthenticationError,
    DeadlineExceededError,
    MalformedResponseError,
    NotFoundError,
    OutcomeUnknownError,
    PeerAuthenticationRequiredError,
    RateLimitedError,
    RequestNotSentError,
    ResponseLostError,
    ServerError,
)
from migrate_core.testing import FaultPlan
from migrate_core.testing.faults import Certificate, Delay, EndLogins, Fault, WrongClock, catalogue
from migrate_huawei_sms import HuaweiSmsProvider
from reliability.matrix import CASES, MOST_BYTES, SECONDS, Case, Driver, Outcome, Place, done, told
from support import Caller
from transports import Trust

Error: TypeAlias = type[mc.MigrateError] | type[None]

NOTHING = type(None)
"""In place of an error, when all is well."""


def _several(error: Error | tuple[Error, ...]) -> tuple[Error, ...]:
    return error if isinstance(error, tuple) else (error,)


@attrs.frozen
class Sees:
    """What a caller sees of a fault that every request meets.

    Attributes:
        errors: the errors that it may be.
        sent: how many times the request was sent by then. More than once means that a fault which only the first one
            meets is overcome.
    """

    errors: tuple[Error, ...] = attrs.field(converter=_several)
    sent: int = 1

    def once(self) -> Sees:
        """Give what it sees of a fault that only the first request meets."""
        return Sees(NOTHING, 2) if self.sent > 1 else self


@attrs.frozen(kw_only=True)
class Row:
    """What callers see of a fault.

    Attributes:
        read: of a request that may be sent twice.
        change: of one that may not.
        blind: of a change of which the vendor says nothing but 200; as of any change by default.
        claims: what the answer says of the change: that it was done, or that it was not. Before or after the effect it
            is a lie, which nobody can see through.
        late: whether a call ends with its time.
    """

    read: Sees
    change: Sees
    blind: Sees | None = None
    claims: bool | None = None
    late: bool = False

    def sees(self, case: Case, *, once: bool) -> Sees:
        """Tell what the caller of an operation sees."""
        seen = self.change if case.happened else self.read
        if case.blind and self.blind:
            seen = self.blind
        return seen.once() if once else seen

    def lies(self, moment: str) -> bool:
        """Tell whether an answer says what is not true."""
        return self.claims is not None and self.claims is (moment == "before")


WELL = Sees(NOTHING)
HARMLESS = Row(read=WELL, change=WELL)
LOST = Row(read=Sees(ResponseLostError, 3), change=Sees(OutcomeUnknownError))
LATE = Row(read=Sees(DeadlineExceededError), change=Sees(OutcomeUnknownError), late=True)
LATE_IF_ANYTHING = attrs.evolve(LATE, blind=Sees((OutcomeUnknownError, NOTHING)))
FAILED = Row(read=Sees(ServerError, 3), change=Sees(ServerError))
TURNED_AWAY = Row(read=Sees(RateLimitedError, 3), change=Sees(RateLimitedError, 3), claims=False)
TURNED_AWAY_FOR_LONG = Row(read=Sees(RateLimitedError), change=Sees(RateLimitedError), claims=False)
NOT_TRUSTED = Row(read=Sees(RequestNotSentError, 3), change=Sees(RequestNotSentError, 3))
LOGGED_OUT = Row(
    read=Sees(AuthenticationError, 2),
    change=Sees((AuthenticationError, PeerAuthenticationRequiredError), 2),
    claims=False,
)
ELSEWHERE = Row(read=Sees(ApiError), change=Sees(ApiError), claims=False)
UNREADABLE = Row(read=Sees(MalformedResponseError), change=Sees(MalformedResponseError))
SAYS_NOTHING = attrs.evolve(UNREADABLE, blind=WELL, claims=True)
CUT_SHORT = attrs.evolve(SAYS_NOTHING, change=Sees((MalformedResponseError, OutcomeUnknownError)))

TABLE = {
    "delay": LATE,
    "silence": LATE,
    "trickled-head": LATE,
    "trickled-body": LATE,
    "trickled-body, after": LATE_IF_ANYTHING,
    "reset": LOST,
    "truncated": LOST,
    "too-long, before": FAILED,
    "too-long, after": CUT_SHORT,
    "too-long, fast async": LOST,
    "429": TURNED_AWAY,
    "429-after-int": TURNED_AWAY,
    "429-after-float": TURNED_AWAY,
    "429-after-date": TURNED_AWAY,
    "429-after-negative": TURNED_AWAY,
    "429-after-garbage": TURNED_AWAY,
    "429-after-huge": TURNED_AWAY_FOR_LONG,
    "500": FAILED,
    "502": FAILED,
    "503": FAILED,
    "504": FAILED,
    "html-502": FAILED,
    "html-200": UNREADABLE,
    "empty-200": SAYS_NOTHING,
    "no-json": SAYS_NOTHING,
    "other-json": SAYS_NOTHING,
    "deep-json": SAYS_NOTHING,
    "huge-json": UNREADABLE,
    "gzip-bomb": UNREADABLE,
    "gzip-in-gzip": UNREADABLE,
    "redirect": ELSEWHERE,
    "end-logins, before": LOGGED_OUT,
    "end-logins, after": HARMLESS,
    "clock-ahead": HARMLESS,
    "clock-behind": HARMLESS,
    "certificate-expired": NOT_TRUSTED,
    "certificate-other": NOT_TRUSTED,
}
"""What callers see of each fault; at one moment only, or in one way only, where the name says so."""

DOUBTFUL = (OutcomeUnknownError, ServerError, MalformedResponseError)
"""What a change may end with that happened."""

ON_THE_WIRE = ("delay", "huge-json", "gzip-bomb", "gzip-in-gzip")
"""What an application can do, but what a client notices only at a socket."""

_NAMES = list(dict.fromkeys(key.partition(",")[0] for key in TABLE))
_NO_CONTEXT: Any = None
_CERTIFICATES = {"expired": _NO_CONTEXT, "other": _NO_CONTEXT}
_CATALOGUE = catalogue(most_bytes=MOST_BYTES, certificates=_CERTIFICATES)


def ways_of(name: str) -> list[str]:
    """Tell how clients come to a fault."""
    socket = _CATALOGUE[name].only == "gate" or name in ON_THE_WIRE
    doors = ("httpx", "fast") if socket else ("in-process",)
    return [f"{door} {kind}" for door in doors for kind in ("sync", "async")]


def moments_of(name: str) -> list[str]:
    """Tell when a fault can come; a wrong clock and a certificate are there all the time."""
    return ["after"] if isinstance(_CATALOGUE[name], Certificate | WrongClock) else ["before", "after"]


OPERATIONS = 11
"""How many operations the two vendors offer together."""

ROWS = [(name, way, moment) for name in _NAMES for way in ways_of(name) for moment in moments_of(name)]


def row_of(name: str, way: str, moment: str) -> Row:
    """Find what is said of a fault; the way counts first."""
    return next(TABLE[key] for key in (f"{name}, {way}", f"{name}, {moment}", name) if key in TABLE)


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    return Trust(tmp_path_factory.mktemp("trust"))


@pytest.fixture(scope="module")
def faults(trust: Trust) -> dict[str, Fault]:
    expired, other = trust.server(not_after=datetime(2021, 1, 1, tzinfo=UTC)), trust.server("other.example")
    return catalogue(most_bytes=MOST_BYTES, certificates={"expired": expired, "other": other})


@pytest.fixture(scope="module")
def places(trust: Trust) -> Iterator[list[Place]]:
    """The vendors; each transport and client has been used once, since what is imported then takes time."""
    with ExitStack() as stack:
        found = [Place(name, trust, stack) for name in CASES]
        for way in ways_of("delay"):
            door, kind = way.split()
            caller = Driver(kind)  # type: ignore[arg-type]
            for place in found:
                done(caller, [(place.cases()[1], place.connect(caller, door, Fault()), place.plan(door, Fault()))])
            caller.close()
        yield found


# Walking through a row.


def planned(place: Place, door: str, fault: Fault, cases: Sequence[Case], *, after: bool, once: bool) -> FaultPlan:
    """Let some cases meet a fault, and no other request."""
    plan, times = place.plan(door, fault), 1 if once else None
    plan.clear()
    if isinstance(fault, Certificate):
        plan.add(fault, times=times)
        return plan
    plan.add(Delay(0.0), path="/remote-session", times=None)  # it is beside a deletion, and looks like a creation
    for case in cases:
        plan.add(fault, method=case.method, path=case.path, after=after, times=times)
    return plan


def warm(caller: Caller, client: Any, case: Case, connections: int) -> None:
    """Log in and open connections, so that a call has all its time for the fault; on a busy machine, try again."""
    for _ in range(9):
        if not any(outcome.error for outcome in done(caller, [(case, client, FaultPlan())] * connections)):
            return


def at_once(
    caller: Caller, places: list[Place], door: str, fault: Fault, *, after: bool, seconds: float
) -> list[Outcome]:
    """Do all operations together, for faults that take all the time that there is."""
    tries = []
    for place in places:
        client, cases = place.connect(caller, door, fault, timeout=seconds), place.cases()
        warm(caller, client, place.cases()[1], len(cases))
        plan = planned(place, door, fault, cases, after=after, once=False)
        tries += [(case, client, plan) for case in cases]
    return done(caller, tries)


def one_by_one(caller: Caller, place: Place, door: str, fault: Fault, *, after: bool, once: bool) -> list[Outcome]:
    """Do one operation after the other; to meet a certificate once takes a new client."""
    outcomes, cases, client = [], place.cases(), place.connect(caller, door, fault)
    for case in cases:
        if isinstance(fault, Certificate) and once:
            client = place.connect(caller, door, fault)
        if isinstance(fault, EndLogins):
            place.plan(door, fault).clear()
            warm(caller, client, cases[1], 1)
        plan = planned(place, door, fault, [case], after=after, once=once)
        outcomes += done(caller, [(case, client, plan)])
    return outcomes


# Judging what came of it.


def seen_wrongly(row: Row, moment: str, outcome: Outcome, *, once: bool, seconds: float) -> Iterator[str]:
    """Tell what is wrong with what the caller sees, and the server."""
    sees, sent = row.sees(outcome.case, once=once), len(outcome.met)
    allowed = (*sees.errors, NotFoundError) if row.lies(moment) else sees.errors  # what is gone cannot be deleted again
    if type(outcome.error) not in allowed or sent != sees.sent:
        names = " or ".join(error.__name__ for error in allowed)
        yield f"wanted {names} after {sees.sent} requests, not {outcome.error!r} after {sent}"
    if row.late and outcome.seconds > seconds + 5.0:
        yield f"it took {outcome.seconds:.2f} s"


def told_wrongly(outcome: Outcome) -> Iterator[str]:
    """Tell what is wrong with the text of an error: it names the request, or the operation, and no secret."""
    case, error = outcome.case, outcome.error
    if error is None:
        return
    text, vendor = told(error), case.place.name
    names = [f"{vendor} {case.method} {case.path}", f"{vendor} {case.operation.value}"]
    if isinstance(error, RequestNotSentError):
        names.append(f"{vendor} POST")  # it may have been the login that was not sent
    if not any(name in text for name in names):
        yield f"the request is not named: {error}"
    yield from ("a secret is told" for secret in case.place.secrets() if secret in text)


def done_wrongly(row: Row, moment: str, outcome: Outcome) -> Iterator[str]:
    """Tell what is wrong with what has happened at the vendor's."""
    case, let_through = outcome.case, sum(meeting.after for meeting in outcome.met)
    if case.happened is None:
        return
    happened = case.happened()
    if happened != min(case.most, let_through):
        yield f"it happened {happened} times, and was let through {let_through} times"
    if row.lies(moment):
        return
    if happened > 1:
        yield f"it happened {happened} times"
    if happened == 1 and outcome.error and not isinstance(outcome.error, DOUBTFUL):
        yield f"it happened, and the caller hears {outcome.error!r}"
    if happened == 0 and not outcome.error:
        yield "it did not happen, and the caller hears nothing of it"


def walked(places: list[Place], fault: Fault, row: Row, way: str, moment: str, seconds: float) -> list[str]:
    """Walk through a row; tells what is wrong, and in which cell of it."""
    door, kind = way.split()
    after = moment == "after"
    for place in places:
        place.reset()
    caller = Driver(kind)  # type: ignore[arg-type]
    if row.late:
        outcomes = [(False, one) for one in at_once(caller, places, door, fault, after=after, seconds=seconds)]
    else:
        outcomes = [
            (once, outcome)
            for place in places
            for once in (True, False)
            for outcome in one_by_one(caller, place, door, fault, after=after, once=once)
        ]
    wrong = caller.left_behind()
    for once, outcome in outcomes:
        which = f"{outcome.case.operation.value}, {'once' if once else 'for good'}"
        seen = seen_wrongly(row, moment, outcome, once=once, seconds=seconds)
        faulty = (*seen, *told_wrongly(outcome), *done_wrongly(row, moment, outcome))
        wrong += [f"{which}: {why}" for why in faulty]
    caller.close()
    assert len(outcomes) == OPERATIONS * (1 if row.late else 2)
    return wrong


@pytest.mark.parametrize(("name", "way", "moment"), ROWS)
def test_every_operation_meets_it(
    places: list[Place], faults: dict[str, Fault], name: str, way: str, moment: str
) -> None:
    row = row_of(name, way, moment)
    wrong = walked(places, faults[name], row, way, moment, SECONDS)
    if wrong and row.late:  # with so little time, perhaps because the machine was busy
        wrong = walked(places, faults[name], row, way, moment, 3 * SECONDS)
    assert not wrong, "\n".join(wrong)


class Prompt(HuaweiSmsProvider):
    """A vendor that shows at once what was registered."""

    settle_seconds = 0.01


def leaves_doubt(name: str, way: str, moment: str) -> bool:
    """Tell whether nobody knows what became of a registration; of those that end with their time, one is enough."""
    row = row_of(name, way, moment)
    return not set(row.change.errors).isdisjoint(DOUBTFUL) and (not row.late or name == "silence")


@pytest.mark.parametrize(("name", "way", "moment"), [row for row in ROWS if leaves_doubt(*row)])
def test_a_registration_that_is_reconciled_leaves_one_source(
    places: list[Place], faults: dict[str, Fault], name: str, way: str, moment: str
) -> None:
    place, fault, late = places[0], faults[name], row_of(name, way, moment).late
    place.reset()
    door, kind = way.split()
    caller = Driver(kind)  # type: ignore[arg-type]
    timeout = 3 * SECONDS if late else 30.0  # half of it goes into waiting for the answer that does not come
    client = place.connect(caller, door, fault, provider=Prompt, on_ambiguous="reconcile", timeout=timeout)
    warm(caller, client, place.cases()[1], 1)
    registration, spec = place.cases()[0], place.simulator.source_spec()
    plan = planned(place, door, fault, [registration], after=moment == "after", once=True)
    on_its_way = late and moment == "before"  # perhaps; so it is not sent again
    registered = []
    with pytest.raises(OutcomeUnknownError) if on_its_way else nullcontext():
        registered = [caller(caller(client.sources.register(spec)).wait())]
    caller.close()
    assert fault in [meeting.fault for meeting in plan.journal]
    sources = place.simulator._sources.items()
    assert [source_id for source_id, source in sources if source.name == spec.name] == registered
    assert len(registered) == (0 if on_its_way else 1)


def test_the_matrix_is_as_large_as_it_is_said_to_be(record_property: Callable[[str, object], None]) -> None:
    assert set(_NAMES) == set(_CATALOGUE)
    cells = sum(OPERATIONS * (1 if row_of(*row).late else 2) for row in ROWS)
    record_property("fault matrix", f"{cells} cells in {len(ROWS)} rows")
    assert cells >= 3000


def test_every_operation_that_is_offered_is_in_it(places: list[Place]) -> None:
    for place in places:
        name = place.simulator.name
        offered = {one for one in mc.Operation if capability_of(provider_class(name), one).support is mc.Support.FULL}
        assert {case.operation for case in place.cases()} == offered
