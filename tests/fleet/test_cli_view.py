"""How far a run is, for people: the view of a terminal and the lines of a pipe, from statuses alone."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from cli.support import Ended, plain
from migrate_core.cli.fleet_view import Lines, line, view
from migrate_core.fleet.models import Failure, OrderState, RunState, RunStatus, Tally
from migrate_core.operations import Operation

DONE, FAILED, UNKNOWN, WAITING = OrderState.DONE, OrderState.FAILED, OrderState.UNKNOWN, OrderState.WAITING


def tally(state: OrderState, count: int, profile: str = "cloud") -> Tally:
    return Tally(profile=profile, provider="huawei_sms", operation=Operation.REGISTER_SOURCE, state=state, count=count)


def failure(count: int, message: str = "no more") -> Failure:
    return Failure(
        provider="huawei_sms",
        operation=Operation.REGISTER_SOURCE,
        error="QuotaExceededError",
        code="SMS.0204",
        message=message,
        count=count,
        line=17,
    )


def run(*tallies: Tally, **more: Any) -> RunStatus:
    state = RunState.RUNNING if any(not one.state.over for one in tallies) else RunState.FINISHED
    values = {"state": state, "created_at": datetime(2026, 11, 21, tzinfo=UTC), **more}
    return RunStatus(run="machines-3f9a12", name="machines.yaml", tallies=tallies, **values)


def page(status: RunStatus, width: int = 100, height: int = 24, *, coloured: bool = False) -> str:
    file = io.StringIO()
    console = Console(
        file=file,
        width=width,
        force_terminal=coloured,
        color_system="truecolor" if coloured else None,
        _environ={},
    )
    console.print(view(status, width, height))
    return file.getvalue()


def bar(text: str) -> str:
    """The longest run of signs of a page."""
    words = [word for line in text.splitlines() for word in line.split() if not set(word) - set("#x?~>.-")]
    return max(words, key=len, default="")


def test_a_bar_is_divided_in_proportion_to_the_states() -> None:
    drawn = bar(page(run(tally(DONE, 500), tally(WAITING, 500)), width=50))
    assert drawn == "#" * 25 + "." * 25


def test_one_failure_among_many_thousands_is_to_be_seen_in_the_bar() -> None:
    drawn = bar(page(run(tally(DONE, 99_990), tally(FAILED, 1), tally(UNKNOWN, 9)), width=50))
    assert drawn == "#" * 48 + "x?"


def test_the_states_have_colours_where_there_are_any() -> None:
    status = run(*(tally(state, 10) for state in OrderState))
    drawn = page(status, coloured=True)
    assert Ended(0, drawn, "").coloured
    assert "━" in drawn
    assert bar(plain(drawn)) == ""
    assert not Ended(0, page(status), "").coloured


@pytest.mark.parametrize(
    ("tallies", "per_second", "told"),
    [
        ((tally(DONE, 999), tally(WAITING, 1)), 0.0, "99 % of 1,000 orders"),
        ((tally(DONE, 1), tally(WAITING, 600)), 20.0, "0 % of 601 orders, 20.0 a second, 30 s left"),
        ((tally(WAITING, 60_000),), 20.0, "0 % of 60,000 orders, 20.0 a second, 50 min left"),
        ((tally(WAITING, 600),), 0.05, "0 % of 600 orders, 3.0 a minute, 3 h left"),
        ((tally(WAITING, 600_000),), 2.0, "0 % of 600,000 orders, 2.0 a second, 3 days left"),
        ((tally(DONE, 7), tally(FAILED, 3)), 0.0, "100 % of 10 orders"),
    ],
)
def test_the_first_line_tells_how_much_is_over_how_fast_and_how_long_it_will_take(
    tallies: tuple[Tally, ...], per_second: float, told: str
) -> None:
    first, *_ = page(run(*tallies, per_second=per_second)).splitlines()
    assert first == f"machines-3f9a12: {told}"


def test_a_cancelled_run_says_so() -> None:
    assert "cancelled" in page(run(tally(OrderState.WATCHING, 1), state=RunState.CANCELLED)).splitlines()[0]


def test_each_profile_has_a_line_with_its_figures() -> None:
    drawn = page(run(tally(DONE, 61_000, "cloud"), tally(FAILED, 12, "cloud"), tally(WAITING, 5, "dr")))
    _, heading, cloud, dr = drawn.splitlines()
    assert heading.split() == ["PROFILE", "DONE", "FAILED", "WATCHING", "SENDING", "WAITING"]
    assert [*cloud.split()[:2], *cloud.split()[3:]] == ["cloud", "(huawei_sms)", "61,000", "12", "0", "0", "0"]
    assert [dr.split()[0], *dr.split()[3:]] == ["dr", "0", "0", "0", "0", "5"]


def test_the_most_frequent_failures_stand_below_and_no_more_than_three() -> None:
    failures = tuple(failure(count, f"cause {count}") for count in (400, 30, 2, 1))
    lines = page(run(tally(FAILED, 433), failures=failures)).splitlines()
    assert lines[-3:] == [f"{count} x QuotaExceededError (first in line 17): cause {count}" for count in (400, 30, 2)]


def test_what_a_vendor_said_steers_no_terminal() -> None:
    drawn = page(run(tally(FAILED, 1), failures=(failure(1, "\x1b[2Jgone\r\n\u202e[red]x"),)))
    assert "[red]x" in drawn
    assert {sign for sign in drawn if not sign.isprintable()} == {"\n"}


def test_profiles_for_which_there_is_no_line_share_one_and_no_order_is_left_out() -> None:
    drawn = page(run(*(tally(DONE, 10, f"account-{number}") for number in range(40))), height=12).splitlines()
    assert drawn[-1].startswith("35 more profiles")
    assert drawn[-1].split()[-5:] == ["350", "0", "0", "0", "0"]
    assert len(drawn) <= 12


counts = st.integers(1, 100_000)
tallies = st.lists(
    st.builds(tally, st.sampled_from(OrderState), counts, st.from_regex(r"[a-z0-9.-]{1,64}", fullmatch=True)),
    max_size=40,
)
runs = st.builds(
    lambda tallies, failures, rate: run(*tallies, failures=tuple(failures), per_second=rate),
    tallies,
    st.lists(st.builds(failure, counts, st.text(max_size=100)), max_size=4),
    st.floats(0, 10_000),
)


@settings(max_examples=50)
@given(runs, st.integers(20, 200), st.integers(5, 60), st.booleans())
def test_any_run_fits_into_any_terminal(status: RunStatus, width: int, height: int, coloured: bool) -> None:
    lines = plain(page(status, width, height, coloured=coloured)).splitlines()
    assert max(map(cell_len, lines)) <= width
    assert width < 90 or len(lines) <= max(height, 6)


@given(runs)
def test_the_line_of_a_pipe_has_every_order_in_it(status: RunStatus) -> None:
    told = line(status)
    assert "\n" not in told
    figures = [int(part.split()[0].replace(",", "")) for part in told.partition("(")[2].rstrip(")").split(", ") if part]
    assert sum(figures) == status.count()


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_lines_are_said_every_ten_seconds_at_most_and_the_last_one_in_any_case() -> None:
    said: list[str] = []
    clock = Clock()
    lines = Lines(said.append, clock)
    for second in range(26):
        clock.now = float(second)
        lines(run(tally(DONE, second), tally(WAITING, 100 - second)))
    assert [text.partition(" (")[2].partition(" ")[0] for text in said] == ["100", "10", "20"]
    lines.end()
    assert said[3:] == [line(run(tally(DONE, 25), tally(WAITING, 75)))]
    lines.end()
    assert len(said) == 4
