"""What is written of a run."""

from __future__ import annotations

import io
import json
import weakref
from collections.abc import Iterable, Iterator
from datetime import timedelta, timezone
from html.parser import HTMLParser
from typing import Any

import attrs
import pytest

from fleet.example_run import SUBMITTED, results, status_of
from migrate_core.fleet.models import OrderResult, OrderState, RunState, RunStatus
from migrate_core.fleet.report import write_report

NOW = SUBMITTED + timedelta(hours=1)


class Page(HTMLParser):
    """A page as it is written: its data, its text, and what it leads to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tag = ""
        self.texts: dict[str, str] = {}
        self.links: list[str | None] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tag = f"{tag} {dict(attributes).get('id') or dict(attributes).get('class') or ''}".strip()
        self.links += [value for name, value in attributes if name in ("action", "data", "href", "src", "srcset")]

    def handle_data(self, data: str) -> None:
        self.texts[self.tag] = self.texts.get(self.tag, "") + data

    @property
    def data(self) -> Any:
        return json.loads(self.texts["script data"])


def written(status: RunStatus, orders: Iterable[OrderResult]) -> str:
    file = io.StringIO()
    write_report(status, orders, file, now=NOW)
    return file.getvalue()


def test_the_page_is_ascii_and_leads_only_to_itself() -> None:
    text = written(status_of(results(50), name="Welle sieben \N{EM DASH} 第七.yaml"), results(50))
    assert text.isascii()
    assert Page(text).links == ["#orders"]
    assert not any(word in text for word in ("url(", "@import", "http:", "https:", "import("))


def test_results_are_written_as_they_come_and_not_kept() -> None:
    living: weakref.WeakSet[OrderResult] = weakref.WeakSet()

    def watched() -> Iterator[OrderResult]:
        for order in results(1_000):
            living.add(order)
            assert len(living) <= 3, "results are kept"
            yield order

    assert len(Page(written(status_of(results(1_000)), watched())).data["rows"]) == 1_000


def test_a_long_result_is_shortened_and_a_structured_one_is_shown_as_json() -> None:
    order = next(results(1))
    orders = [
        attrs.evolve(order, result={"id": "s-1", "name": "x" * 1_000}),
        attrs.evolve(order, state=OrderState.FAILED, error="ServerError", message="y" * 1_000),
    ]
    given, failed = (row[5] for row in Page(written(status_of(orders), orders)).data["rows"])
    assert given.startswith('{"id":"s-1","name":"xxx')
    assert failed.startswith("yyy")
    assert len(given) == len(failed) == 500
    assert given.endswith("…")
    assert failed.endswith("…")


def test_times_of_other_zones_are_shown_in_utc() -> None:
    far = SUBMITTED.astimezone(timezone(timedelta(hours=9)))
    page = Page(written(attrs.evolve(status_of(results(5)), created_at=far), results(5)))
    assert page.texts["time"].startswith("2026-11-20 21:04:10 UTC")
    assert page.data["created"] == SUBMITTED.timestamp() * 1_000


@pytest.mark.parametrize(
    ("state", "change", "verdict"),
    [
        (RunState.RUNNING, {"state": OrderState.WATCHING}, "Running: 2 orders left. Nothing has failed."),
        (RunState.RUNNING, {"state": OrderState.FAILED, "error": "X"}, "Running: 0 orders left. 2 orders need a look."),
        (RunState.CANCELLED, {"state": OrderState.CANCELLED}, "Cancelled: nothing more is sent. Nothing has failed."),
        (
            RunState.CANCELLED,
            {"state": OrderState.SENDING},
            "Cancelled: nothing more is sent; 2 orders are watched to the end. Nothing has failed.",
        ),
        (RunState.FINISHED, {}, "Finished. Nothing has failed."),
        (RunState.FINISHED, {"state": OrderState.UNKNOWN, "error": "X"}, "Finished. 2 orders need a look."),
    ],
)
def test_the_verdict_says_where_the_run_is(state: RunState, change: Any, verdict: str) -> None:
    orders = [attrs.evolve(order, **change) for order in results(2)]
    assert Page(written(attrs.evolve(status_of(orders), state=state), orders)).texts["p verdict"].strip() == verdict


def test_a_run_that_goes_on_says_as_of_when_and_how_long_it_will_take() -> None:
    orders = [attrs.evolve(order, state=OrderState.WAITING, started_at=None, ended_at=None) for order in results(600)]
    text = written(attrs.evolve(status_of(orders), per_second=0.5), orders)
    assert '<dt>As of</dt><dd><time datetime="2026-11-20T22:04:10+00:00">2026-11-20 22:04:10 UTC</time>' in text
    assert "<dt>Took</dt><dd><span>1 h 0 min</span>" in text
    assert "<dt>Time left</dt><dd><span>about 20 min 0 s</span>" in text


def test_a_run_without_orders_has_a_report() -> None:
    page = Page(written(status_of([]), []))
    assert page.data["rows"] == []
    assert page.texts["p verdict"].strip() == "Finished. Nothing has failed."
