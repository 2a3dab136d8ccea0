"""The report of a run: one page of HTML that needs nothing beside it, not even a network."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from html import escape
from importlib.resources import files
from typing import Any, TextIO
from xml.etree.ElementTree import Element, tostring

from migrate_core.fleet.models import Failure, OrderResult, OrderState, RunState, RunStatus

__all__ = ["write_report"]

_LONGEST = 500
"""Characters of a result or a message that the page shows; `migratectl fleet results` has the rest."""

_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_JSON = json.JSONEncoder(separators=(",", ":"))
_ORDER = (*filter(lambda state: state.over, OrderState), *(state for state in reversed(OrderState) if not state.over))
"""States as they are shown: what is over first, and then what is nearest to it."""


def write_report(status: RunStatus, results: Iterable[OrderResult], file: TextIO, *, now: datetime) -> None:
    """Write the report of a run as one page of HTML.

    The page loads nothing, and what others named or answered is text in it, never markup. It is written in ASCII, so
    the encoding of the file does not matter. Results are written as they come and not kept.

    Args:
        status: the run.
        results: what became of its orders, in the order of the manifest.
        file: where to write.
        now: when the report is made; timezone-aware.
    """
    above, below = files("migrate_core.fleet").joinpath("report.html").read_text(encoding="utf-8").split("{{data}}")
    parts = {**_summary(status, now), "policy": _policy(above + below)}
    file.write(re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], above))
    for piece in _data(status, results, now):
        file.write(piece)
    file.write(below)


def _policy(page: str) -> str:
    """Allow the page its own style and script, and nothing else: no request, no frame, no text that becomes markup."""

    def digest(tag: str) -> str:
        inside = page.split(f"<{tag}>")[1].split(f"</{tag}>")[0]
        return base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()

    return (
        f"default-src 'none'; style-src 'sha256-{digest('style')}'; script-src 'sha256-{digest('script')}'; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


# The data of the table and of the curve.


def _data(status: RunStatus, results: Iterable[OrderResult], now: datetime) -> Iterator[str]:
    """Give JSON piece by piece; what many orders have in common stands in it once."""
    kinds: dict[tuple[str, ...], int] = {}
    ends: dict[tuple[str, ...], int] = {}
    yield '{"rows":['
    for count, result in enumerate(results):
        kind = (result.profile, result.provider, result.operation.value)
        end = (result.state.value, result.error or "", result.code or "")
        row = (
            result.line,
            _seen(result.key),
            kinds.setdefault(kind, len(kinds)),
            _seen(result.about),
            ends.setdefault(end, len(ends)),
            _outcome(result),
            result.attempts,
            _milliseconds(result.started_at, status.created_at),
            _milliseconds(result.ended_at, status.created_at),
        )
        yield (",\n" if count else "\n") + _json(row)
    rest = {
        "kinds": [list(map(_seen, kind)) for kind in kinds],
        "ends": [list(map(_seen, end)) for end in ends],
        "causes": [_cause(failure) for failure in status.failures],
        "created": _milliseconds(status.created_at, datetime.fromtimestamp(0, UTC)),
        "until": _milliseconds(status.ended_at or now, status.created_at),
    }
    yield "],\n" + _json(rest).removeprefix("{")


def _outcome(result: OrderResult) -> str:
    given = result.message if result.message is not None else result.result
    return _cut("" if given is None else given if isinstance(given, str) else _JSON.encode(given))


def _cause(failure: Failure) -> Sequence[str]:
    """Tell what the orders of a failure have in common, as the rows have it."""
    return _seen(failure.provider), failure.operation.value, _seen(failure.error), _seen(failure.code or "")


def _milliseconds(moment: datetime | None, since: datetime) -> int | None:
    return None if moment is None else round((moment - since) / timedelta(milliseconds=1))


def _json(value: Any) -> str:
    """Give JSON in ASCII that cannot end the element in which it stands, nor begin another."""
    return _JSON.encode(value).replace("<", "\\u003c")


# The summary, which needs no script.


def _summary(status: RunStatus, now: datetime) -> Mapping[str, str]:
    return {
        "name": _text(status.name),
        "run": _text(status.run),
        "verdict": _verdict(status),
        "facts": _html(_facts(status, now)),
        "bar": _html([_bar({state: status.count(state) for state in OrderState})]),
        "totals": _html(_totals(status)),
        "tallies": _html(_tallies(status)),
        "failures": _html(map(_failure, status.failures)),
        "calm": "" if status.failures else "hidden",
    }


def _verdict(status: RunStatus) -> str:
    bad, left = status.count(OrderState.FAILED, OrderState.UNKNOWN), status.left
    look = f"{_orders(bad)} need{'s' if bad == 1 else ''} a look." if bad else "Nothing has failed."
    match status.state:
        case RunState.RUNNING:
            return f"Running: {_orders(left)} left. {look}"
        case RunState.CANCELLED:
            watched = f"; {_orders(left)} {'is' if left == 1 else 'are'} watched to the end" if left else ""
            return f"Cancelled: nothing more is sent{watched}. {look}"
        case RunState.FINISHED:
            return f"Finished. {look}"


def _facts(status: RunStatus, now: datetime) -> Iterator[Element]:
    until = status.ended_at or now
    seconds = (until - status.created_at).total_seconds()
    over = status.count() - status.left
    yield _fact("Submitted", _time(status.created_at))
    yield _fact("Ended" if status.ended_at else "As of", _time(until))
    yield _fact("Took", _tag("span", _span(seconds)))
    if over and seconds > 0:
        yield _fact("Rate", _tag("span", f"{over / seconds * 60:,.1f} a minute"))
    if status.seconds_left and status.state is RunState.RUNNING:
        yield _fact("Time left", _tag("span", f"about {_span(status.seconds_left)}"))


def _fact(name: str, value: Element) -> Element:
    return _tag("div", _tag("dt", name), _tag("dd", value))


def _totals(status: RunStatus) -> Iterator[Element]:
    total = status.count()
    yield _tag("li", _tag("b", f"{total:,}"), _tag("span", "order" if total == 1 else "orders"))
    for state in _ORDER:
        count = status.count(state)
        if count or state in (OrderState.DONE, OrderState.FAILED):
            word = _tag("span", state.value, class_=f"state {state.value}")
            share = _tag("small", f"{count / total:.1%}" if total else "")
            yield _tag("li", _tag("b", f"{count:,}"), word, share, data_state=state.value)


def _tallies(status: RunStatus) -> Iterator[Element]:
    """Give a row for each profile and operation: a bar, and how many of its orders are in which state."""
    groups: dict[tuple[str, str, str], dict[OrderState, int]] = {}
    for tally in status.tallies:
        groups.setdefault((tally.profile, tally.provider, tally.operation.value), {})[tally.state] = tally.count
    for names, counts in sorted(groups.items()):
        profile, provider, operation = map(_seen, names)
        ended = [counts.get(state, 0) for state in _ORDER if state.over]
        total = sum(counts.values())
        yield _tag(
            "tr",
            _tag("th", profile, scope="row"),
            _tag("td", provider),
            _tag("td", operation),
            _tag("td", _bar(counts), class_="stretch"),
            *map(_figure, (total, *ended, total - sum(ended))),
            data_profile=profile,
            data_operation=operation,
        )


def _failure(failure: Failure) -> Element:
    return _tag(
        "tr",
        _figure(failure.count),
        _tag("th", _seen(failure.error) or "none", scope="row"),
        _tag("td", _seen(failure.code or "")),
        _tag("td", _seen(failure.provider)),
        _tag("td", failure.operation.value),
        _tag("td", _cut(failure.message), class_="prose"),
        _figure(failure.line),
    )


def _bar(counts: Mapping[OrderState, int]) -> Element:
    """Draw how many orders are in which state; the figures beside it say the same."""
    bar = _tag("svg", class_="bar", viewBox="0 0 100 1", preserveAspectRatio="none", aria_hidden="true")
    total, begin = sum(counts.values()), 0.0
    for state in _ORDER:
        if counts.get(state):
            width = 100 * counts[state] / total
            bar.append(_tag("rect", class_=state.value, x=f"{begin:.3f}", width=f"{width:.3f}", height="1"))
            begin += width
    return bar


def _figure(number: int) -> Element:
    return _tag("td", f"{number:,}", class_="figure" if number else "figure nil")


def _time(moment: datetime) -> Element:
    utc = moment.astimezone(UTC)
    return _tag("time", f"{utc:%Y-%m-%d %H:%M:%S} UTC", datetime=utc.isoformat(timespec="seconds"))


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _orders(count: int) -> str:
    return "1 order" if count == 1 else f"{count:,} orders"


# Text and markup: markup is made of elements, so that no text can become any.


def _seen(text: str) -> str:
    """Show what would not be seen, or would reorder what is."""
    return _UNSEEN.sub(lambda found: " " if found[0] in "\t\r\n" else f"\\u{ord(found[0]):04x}", text)


def _cut(text: str) -> str:
    return _seen(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}\u2026")


def _tag(name: str, /, *inside: str | Element, **attributes: str) -> Element:
    """Make an element of its text, the elements in it, and attributes such as ``class_`` or ``data_state``."""
    tag = Element(name, {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()})
    for part in inside:
        if isinstance(part, str):
            tag.text = part
        else:
            tag.append(part)
    return tag


def _html(elements: Iterable[Element]) -> str:
    return "\n".join(tostring(element, "us-ascii", method="html").decode() for element in elements)


def _text(text: str) -> str:
    return escape(_seen(text)).encode("ascii", "xmlcharrefreplace").decode()
