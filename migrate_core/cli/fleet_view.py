"""How far fleet runs are, for people: a view that changes in place on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import attrs
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from migrate_core.cli.terminal import clean, note
from migrate_core.fleet.models import Failure, OrderState, RunState, RunStatus

__all__ = ["Lines", "give_back", "line", "orders", "shown", "so_far", "view"]

_LOOKS: Mapping[OrderState, tuple[str, str]] = {
    OrderState.DONE: ("green", "#"),
    OrderState.FAILED: ("red", "x"),
    OrderState.UNKNOWN: ("magenta", "?"),
    OrderState.WATCHING: ("cyan", "~"),
    OrderState.SENDING: ("blue", ">"),
    OrderState.WAITING: ("bright_black", "."),
    OrderState.CANCELLED: ("yellow", "-"),
}
"""The states as they follow each other in a bar: the colour of each, and its sign where there are no colours."""

_ALWAYS = {OrderState.DONE, OrderState.FAILED, OrderState.WATCHING, OrderState.SENDING, OrderState.WAITING}
"""States that have a column even while no order is in them, so that columns do not come and go."""

_WIDE = 90
_AROUND = 6
"""Lines of a view that are not for profiles."""
_FAILURES = 3
_ONE_LINE: Mapping[str, Any] = {"no_wrap": True, "overflow": "ellipsis"}
_PAUSE = 10.0
_STALE = 5.0
"""Seconds after which a run that nothing was told of is no longer shown: it is over."""


@attrs.frozen
class _Share:
    """The part that a profile has in a run."""

    name: str
    counts: Mapping[OrderState, int]


def view(status: RunStatus, width: int, height: int) -> RenderableType:
    """Show how far a run is: a bar for each profile, and the most frequent failures.

    Args:
        status: the run.
        width: columns of the terminal.
        height: its lines; profiles for which there are too few share one bar.

    Returns:
        What rich prints.
    """
    wide = width >= _WIDE
    shares = _few(_shares(status), (height - _AROUND) // (1 if wide else 3))
    return Group(
        Text(f"{status.run}: {_progress(status)}", style="bold"),
        _table(shares) if wide else _stack(shares),
        *(Text(_told(failure), style="red", **_ONE_LINE) for failure in status.failures[:_FAILURES]),
    )


def _shares(status: RunStatus) -> list[_Share]:
    counts: dict[str, dict[OrderState, int]] = {}
    for tally in status.tallies:
        of_profile = counts.setdefault(f"{tally.profile} ({tally.provider})", {})
        of_profile[tally.state] = of_profile.get(tally.state, 0) + tally.count
    return [_Share(name, counts[name]) for name in sorted(counts)]


def _few(shares: Sequence[_Share], most: int) -> Sequence[_Share]:
    shown = max(0, most - 1)
    if len(shares) <= shown + 1:
        return shares
    others = shares[shown:]
    counts = {state: sum(share.counts.get(state, 0) for share in others) for state in OrderState}
    return [*shares[:shown], _Share(f"{len(others)} more profiles" if shown else "all profiles", counts)]


def _table(shares: Sequence[_Share]) -> Table:
    states = [state for state in _LOOKS if state in _ALWAYS or any(share.counts.get(state) for share in shares)]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="", expand=True)
    table.add_column("PROFILE", **_ONE_LINE)
    table.add_column(ratio=1)
    for state in states:
        table.add_column(Text(state.value.upper(), style=_LOOKS[state][0]), justify="right", no_wrap=True)
    for share in shares:
        table.add_row(share.name, _Bar(share.counts), *(f"{share.counts.get(state, 0):,}" for state in states))
    return table


def _stack(shares: Sequence[_Share]) -> Group:
    lines: list[RenderableType] = []
    for share in shares:
        figures = [
            Text(f"{share.counts[state]:,} {state.value}", style=colour)
            for state, (colour, _) in _LOOKS.items()
            if share.counts.get(state)
        ]
        lines += [Text(share.name, **_ONE_LINE), _Bar(share.counts), Text(", ").join(figures)]
    return Group(*lines)


@attrs.frozen
class _Bar:
    """A bar as wide as its place, divided in proportion to counts."""

    counts: Mapping[OrderState, int]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        coloured = console.color_system and not console.no_color and not options.ascii_only
        present = {state: self.counts[state] for state in _LOOKS if self.counts.get(state)}
        bar = Text(no_wrap=True)
        for state, cells in zip(present, _shared_out(list(present.values()), options.max_width), strict=True):
            colour, sign = _LOOKS[state]
            bar.append(("━" if coloured else sign) * cells, style=colour)
        yield bar

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(len(_LOOKS), options.max_width)


def _shared_out(counts: Sequence[int], width: int) -> list[int]:
    """Give each count its part of a width; the least of them is to be seen, at the cost of the largest."""
    cells = [max(1, count * width // sum(counts)) for count in counts]
    if cells:
        cells[cells.index(max(cells))] += width - sum(cells)
    return cells


def _told(failure: Failure) -> str:
    message = " ".join(failure.message.split())
    return clean(f"{failure.count:,} x {failure.error} (first in line {failure.line}): {message}")


def line(status: RunStatus) -> str:
    """Say which run it is and how far, in a line."""
    return f"{status.run}: {so_far(status)}"


def so_far(status: RunStatus) -> str:
    """Say how far a run is."""
    counts = {state: status.count(state) for state in _LOOKS}
    return f"{_progress(status)} ({', '.join(f'{count:,} {state.value}' for state, count in counts.items() if count)})"


def _progress(status: RunStatus) -> str:
    total = status.count()
    parts = [f"{100 * (total - status.left) // max(1, total)} % of {orders(total)}"]
    if status.state is RunState.CANCELLED:
        parts.append("cancelled")
    if status.left and status.per_second:
        parts.append(_rate(status.per_second))
    if status.left and status.seconds_left is not None:
        parts.append(f"{_duration(status.seconds_left)} left")
    return ", ".join(parts)


def orders(count: int) -> str:
    """Say how many orders there are."""
    return f"{count:,} order{'' if count == 1 else 's'}"


def _rate(per_second: float) -> str:
    return f"{per_second:.1f} a second" if per_second >= 1.0 else f"{per_second * 60:.1f} a minute"


def _duration(seconds: float) -> str:
    minutes, hours, days = seconds / 60, seconds / 3600, seconds / 86400
    if minutes < 2:
        return f"{seconds:.0f} s"
    if hours < 2:
        return f"{minutes:.0f} min"
    return f"{hours:.0f} h" if days < 2 else f"{days:.0f} days"


class Lines:
    """Says how far runs are where nothing can change in place: at once, then not often, and in the end.

    Args:
        say: takes a line.
        monotonic: gives a time in seconds.
    """

    def __init__(self, say: Callable[[str], object] = note, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._monotonic = monotonic
        self._next = monotonic()
        self._unsaid: dict[str, str] = {}

    def __call__(self, status: RunStatus) -> None:
        """Take note of a run; say so if nothing was said for a while."""
        self._unsaid[status.run] = line(status)
        if self._monotonic() >= self._next:
            self.end()

    def end(self) -> None:
        """Say what was not said yet."""
        for run in list(self._unsaid):
            self._say(self._unsaid.pop(run))
        self._next = self._monotonic() + _PAUSE


def give_back() -> None:
    """Give the terminal back as it was, for a process that ends within `shown`."""
    if sys.stderr.isatty():
        Console(file=sys.__stderr__).show_cursor()


@contextmanager
def shown() -> Generator[Callable[[RunStatus], object]]:
    """Show on stderr how far runs are; gives what is told of them."""
    console = Console(stderr=True)
    if not sys.stderr.isatty() or console.is_dumb_terminal:
        lines = Lines()
        try:
            yield lines
        finally:
            lines.end()
        return
    views: dict[str, tuple[float, RunStatus]] = {}
    with Live(console=console, transient=True, auto_refresh=False, redirect_stdout=False) as live:

        def look(status: RunStatus) -> None:
            now = time.monotonic()
            views[status.run] = now, status
            recent = [one for at, one in views.values() if at > now - _STALE]
            live.update(Group(*(view(one, *console.size) for one in recent)), refresh=True)

        yield look
