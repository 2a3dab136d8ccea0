"""The report as a browser shows it: after each test, the page has said nothing and asked for nothing."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import attrs
import pytest
from selenium.webdriver import Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select

from fleet.browser import Browser, started
from fleet.example_run import SUBMITTED, results, status_of
from migrate_core.fleet.models import OrderResult, OrderState, RunStatus
from migrate_core.fleet.report import write_report

NOW = SUBMITTED + timedelta(hours=4)
ORDERS = tuple(results(300))
DONE = next(order for order in ORDERS if order.state is OrderState.DONE)
COLUMNS = (
    "Line",
    "Key",
    "Profile",
    "Provider",
    "Operation",
    "About",
    "State",
    "Result or error",
    "Attempts",
    "Started",
    "Ended",
    "Took",
)
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "\"' onmouseover=alert(1) x='",
    "&lt;b&gt; {{rows}} {{data}} \\1 $1",
    "]]></title></style><svg/onload=alert(1)>",
    "\N{RIGHT-TO-LEFT OVERRIDE}gpj.exe\N{LINE SEPARATOR}\x00\x1b[31m\ud800",
    "\N{MATHEMATICAL BOLD CAPITAL A} \N{EM DASH} 第七",
)


class Report:
    """A report in a browser, in the words of whoever reads it."""

    def __init__(self, browser: Browser, file: Path) -> None:
        self.browser, self.file = browser, file

    def show(self, orders: Iterable[OrderResult], status: RunStatus) -> None:
        """Open another report in place of this one."""
        assert self.browser.heard() == [self.file.as_uri()]
        self.file = self.file.with_name("other.html")
        with self.file.open("w", encoding="ascii") as file:
            write_report(status, orders, file, now=NOW)
        self.browser.open(self.file)

    def all(self, selector: str) -> Sequence[WebElement]:
        return self.browser.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> WebElement:
        return self.browser.driver.find_element(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        texts: list[str] = self.browser.run(
            "return [...document.querySelectorAll(arguments[0])].map(element => element.textContent.trim())", selector
        )
        return texts

    def column(self, name: str) -> list[str]:
        return self.texts(f"#rows td:nth-child({COLUMNS.index(name) + 1})")

    def lines(self) -> list[int]:
        return [int(text) for text in self.column("Line")]

    @property
    def count(self) -> str:
        return self.one("#count").text

    def search(self, text: str) -> None:
        """Paste into the field, as typing would take long."""
        self.browser.run("text.value = arguments[0]; text.dispatchEvent(new Event('input'))", text)

    def choose(self, name: str, value: str) -> None:
        Select(self.one(f"#{name}")).select_by_visible_text(value)

    def sort(self, name: str) -> str | None:
        """Press the head of a column, and tell how the page says that it is sorted by it."""
        press = "const head = heads.children[arguments[0]]; head.firstChild.click(); return head.ariaSort"
        direction: str | None = self.browser.run(press, COLUMNS.index(name))
        return direction


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with started() as browser:
        yield browser


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of 300 orders."""
    file = tmp_path_factory.mktemp("report") / "report.html"
    with file.open("w", encoding="ascii") as text:
        write_report(status_of(ORDERS), ORDERS, text, now=NOW)
    return file


@pytest.fixture
def report(browser: Browser, written: Path) -> Iterator[Report]:
    """An open report, which is heard when the test is over."""
    report = Report(browser, written)
    browser.open(written)
    yield report
    assert set(browser.heard()) == {report.file.as_uri()}
    browser.forget()


def lines(wanted: Callable[[OrderResult], object]) -> list[int]:
    return [order.line for order in ORDERS if wanted(order)][:100]


def test_the_figures_are_those_of_the_run(report: Report) -> None:
    status = status_of(ORDERS)
    assert report.one("h1").text == report.browser.driver.title.split(" - ")[0] == "wave-7.yaml"
    done, failed, unknown = (status.count(state) for state in (OrderState.DONE, OrderState.FAILED, OrderState.UNKNOWN))
    assert report.texts(".totals b") == ["300", str(done), str(failed), str(unknown)]
    assert report.texts("#causes tbody td:first-child") == [str(failure.count) for failure in status.failures]
    groups = Counter((order.profile, order.operation.value) for order in ORDERS)
    assert report.texts("#profiles td:nth-child(5)") == [str(groups[group]) for group in sorted(groups)]
    shares = [float(bar.get_attribute("width") or 0) for bar in report.all(".wide rect")]
    assert shares == pytest.approx([count / 3 for count in (done, failed, unknown)], abs=0.001)
    assert report.count == "300 orders"
    assert report.lines() == lines(lambda _: True)


def test_the_filters_leave_what_they_name(report: Report) -> None:
    report.choose("state", "failed")
    assert report.lines() == lines(lambda order: order.state is OrderState.FAILED)
    report.choose("profile", "aws-frankfurt")
    assert report.lines() == lines(lambda order: order.state is OrderState.FAILED and order.provider == "aws_mgn")
    report.choose("operation", "describe_source")
    assert report.lines() == []
    assert report.count == "0 of 300 orders"
    report.one("#clear").click()
    assert report.count == "300 orders"
    assert Select(report.one("#state")).first_selected_option.text == "all"


def test_every_column_is_searched_and_all_words_are_wanted(report: Report) -> None:
    failed = next(order for order in ORDERS if order.error and order.code)
    row = report.lines().index(failed.line)
    for name in COLUMNS:
        report.search(report.column(name)[row].upper())
        assert failed.line in report.lines(), name
        report.search("")
    report.search(f"{failed.about} {failed.code}")
    assert report.lines() == [failed.line]
    report.search(f"{failed.about} nobody")
    assert report.lines() == []


def test_every_column_sorts_both_ways(report: Report) -> None:
    for name in reversed(COLUMNS):
        assert report.sort(name) == "ascending"
        rising = report.column(name)
        assert report.sort(name) == "descending"
        falling = report.column(name)
        assert rising != falling or len(set(rising + falling)) == 1, name
        assert report.texts("#heads [aria-sort]") == [name]
    report.sort("Started")
    report.sort("Attempts")
    assert report.lines() == lines(lambda order: order.attempts == 1), (
        "of equals, the first of the manifest comes first"
    )


def test_names_sort_as_people_count_and_what_has_no_value_comes_last(report: Report) -> None:
    names = ("web-10", "", "web-9", "Web-2")
    orders = [attrs.evolve(order, about=name) for order, name in zip(ORDERS, names, strict=False)]
    report.show(orders, status_of(orders))
    report.sort("About")
    assert report.column("About") == ["Web-2", "web-9", "web-10", ""]
    report.sort("About")
    assert report.column("About") == ["web-10", "web-9", "Web-2", ""]


def test_a_cause_leads_to_its_orders(report: Report) -> None:
    for failure, button in zip(status_of(ORDERS).failures, report.all("#causes button"), strict=True):
        button.click()
        alike = (failure.provider, failure.operation, failure.error, failure.code)
        assert report.lines() == lines(
            lambda order, alike=alike: (order.provider, order.operation, order.error, order.code) == alike
        )
        assert f"{failure.count} of 300 orders ended with {failure.error}" in report.count
        assert report.browser.driver.switch_to.active_element.text == "Orders"


def test_a_total_and_a_profile_lead_to_their_orders(report: Report) -> None:
    report.one(".totals .unknown").click()
    assert report.lines() == lines(lambda order: order.state is OrderState.UNKNOWN)
    report.one("#profiles tbody tr:last-child button").click()
    assert report.lines() == lines(lambda order: order.profile == "srm-dublin")


def test_pages_are_turned_and_end(report: Report) -> None:
    report.one("#previous").click()
    assert report.one("#where").text == "1 to 100"
    for _ in range(4):
        report.one("#next").click()
    assert report.one("#where").text == "201 to 300"
    assert report.lines() == [order.line for order in ORDERS[200:]]
    report.search("done")
    assert report.one("#where").text == "1 to 100"


def test_it_is_used_with_the_keyboard_alone(report: Report) -> None:
    def press(*keys: str) -> WebElement:
        for key in keys:
            report.browser.driver.switch_to.active_element.send_keys(key)
        return report.browser.driver.switch_to.active_element

    assert press(Keys.TAB).text == "Skip to the orders"
    assert press(Keys.ENTER, Keys.TAB).get_attribute("id") == "text"
    press("srm-dublin", Keys.TAB, "failed")
    expected = lines(lambda order: order.profile == "srm-dublin" and order.state is OrderState.FAILED)
    assert report.lines() == expected != []
    assert press(*[Keys.TAB] * 4).text == "Show all orders"
    press(Keys.ENTER, Keys.TAB)
    report.one("#next").send_keys(Keys.ENTER, Keys.ENTER, Keys.ENTER)
    assert report.one("#where").text == "201 to 300"
    assert press().get_attribute("id") == "next", "the focus stays where it is"
    press(Keys.TAB, Keys.TAB, Keys.SPACE)
    assert report.lines() == [order.line for order in reversed(ORDERS)][:100]


def test_what_others_wrote_is_shown_and_never_becomes_markup(report: Report) -> None:
    orders = [
        attrs.evolve(
            ORDERS[0],
            line=line,
            key=text,
            profile=text,
            provider=text,
            about=text,
            state=OrderState.FAILED,
            error=text,
            code=text,
            message=text,
        )
        for line, text in enumerate(HOSTILE, 1)
    ]
    orders += [attrs.evolve(DONE, line=9, result={text: [text] for text in HOSTILE})]
    name = "".join(HOSTILE)
    report.show(orders, attrs.evolve(status_of(orders, name=name), run=name))
    seen = [report.browser.run("return arguments[0]", text) for text in HOSTILE[:6]]
    hidden = r"\u202egpj.exe\u2028\u0000\u001b[31m\ud800"
    shown = [*(re.sub(r"\s+", " ", text) for text in seen), hidden, HOSTILE[7]]
    for name in ("Key", "Profile", "Provider", "About"):
        assert report.column(name)[:8] == shown, name
    assert report.column("Result or error")[:8] == [" ".join([text] * 3) for text in shown]
    assert report.column("Result or error")[8].startswith(
        json.dumps({HOSTILE[0]: [HOSTILE[0]]})[:-1].replace(": ", ":")
    )
    assert report.texts("h1") == ["".join(shown)]
    assert report.texts("#causes tbody th") == shown
    assert sorted(report.texts("#profiles tbody th")) == sorted([*shown, DONE.profile])
    assert report.browser.run("return document.querySelectorAll('script, style, img, svg').length") == 2 + 1 + 2 + 9
    for text, button in zip(shown, report.all("#causes button"), strict=True):
        button.click()
        assert report.column("About") == [text]


def test_the_page_lets_no_text_become_markup_and_the_browser_hears_what_pages_say_and_ask_for(report: Report) -> None:
    assert report.browser.heard() == [report.file.as_uri()]
    made = """
        const tried = make => { try { make(); return "made"; } catch (error) { return error.name; } };
        new Image().src = "picture.png";
        const style = document.createElement("style");
        style.textContent = "body { color: red }";
        return [
            tried(() => document.body.append(style)),
            tried(() => { document.body.innerHTML = "<b>no</b>"; }),
            tried(() => { console.warn("Hear me"); }),
            getComputedStyle(document.body).color,
        ];
    """
    *made, colour = report.browser.run(made)
    assert made == ["made", "TypeError", "made"]
    assert colour != "rgb(255, 0, 0)"
    said = "\n".join(report.browser.heard())
    assert all(word in said for word in ("Hear me", "picture.png", "img-src", "style-src", "TrustedHTML"))
    report.browser.open(report.file)  # which is heard in the end


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_both_colour_schemes(report: Report, scheme: str) -> None:
    report.browser.prefer(scheme)
    backgrounds = {}
    for selector in (
        "h1",
        ".verdict",
        ".totals small",
        "#causes button",
        "#moment",
        "#rows td",
        ".code",
        "#text",
        ".press",
    ):
        text, background = report.browser.run(COLOURS, selector)
        assert contrast(text, background) >= 4.5, (selector, text, background)
        backgrounds[selector] = background
    assert (luminance(backgrounds["h1"]) > 0.5) == (scheme == "light")


COLOURS = """
    let element = document.querySelector(arguments[0]);
    const colour = getComputedStyle(element).color, clear = "rgba(0, 0, 0, 0)";
    while (getComputedStyle(element).backgroundColor === clear) element = element.parentElement;
    return [colour, getComputedStyle(element).backgroundColor];
"""


def luminance(colour: str) -> float:
    """Tell the relative luminance of a colour, as the guidelines for accessible content define it."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted(map(luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_times_are_shown_in_utc_or_where_the_reader_is(report: Report) -> None:
    report.browser.tell("Emulation.setTimezoneOverride", timezoneId="Europe/Berlin")
    report.browser.open(report.file)
    first = ORDERS[0].started_at
    assert first is not None
    assert report.texts("time")[0] == "2026-11-20 21:04:10 UTC"
    assert report.column("Started")[0] == f"{first:%H:%M:%S}"
    report.choose("zone", "Europe/Berlin")
    assert report.texts("time")[0] == "2026-11-20 22:04:10 local time"
    assert report.column("Started")[0] == f"{first + timedelta(hours=1):%m-%d %H:%M:%S}", "the day changes meanwhile"
    assert {"11-20 22:15", "22:30", "11-21 00:00", "00:15"} <= set(report.texts("#curve text"))
    report.search("11-20 22:0")
    assert ORDERS[0].line in report.lines()


def test_the_curve_tells_how_many_were_over_at_each_moment(report: Report) -> None:
    ends = sorted(order.ended_at for order in ORDERS if order.ended_at)
    words = report.one("#curve").get_attribute("aria-label") or ""
    assert words.startswith("Orders that are over: 300 of 300, half of these at 2")
    assert words.endswith(f"the last at {ends[-1]:%H:%M:%S} UTC.")
    said = [
        report.browser.run(
            """
            const {left, width} = curve.getBoundingClientRect(), inner = width - edge.left - edge.right;
            const clientX = left + edge.left + inner * arguments[0];
            curve.dispatchEvent(new PointerEvent("pointermove", {clientX}));
            return document.getElementById("moment").textContent;
            """,
            share,
        )
        for share in (0, 0.5, 1)
    ]
    assert said[0].endswith(": 300 left")
    half = SUBMITTED + (ends[-1] - SUBMITTED) / 2
    assert said[1].startswith(f"{half:%H:%M:%S} UTC: ")
    over = sum(int(count) for count in re.findall(r"(\d+) (?:done|failed|unknown)", said[1]))
    assert over == sum(end <= half for end in ends)
    status = status_of(ORDERS)
    assert f": {status.count(OrderState.DONE)} done, " in said[2]
    assert "left" not in said[2]
    report.choose("state", "unknown")
    unknown = status.count(OrderState.UNKNOWN)
    words = report.one("#curve").get_attribute("aria-label") or ""
    assert words.startswith(f"Orders that are over: {unknown} of {unknown}, ")


def test_a_run_that_goes_on_shows_what_is_left(report: Report) -> None:
    orders = [
        order
        if n % 3
        else attrs.evolve(order, state=OrderState.WATCHING, result=None, error=None, code=None, ended_at=None)
        for n, order in enumerate(ORDERS)
    ]
    report.show(orders, status_of(orders))
    assert report.texts(".totals .watching") == ["watching"]
    assert report.one("#moment").text.endswith(", 100 left")
    report.choose("state", "watching")
    assert report.count == "100 of 300 orders"
    assert set(report.column("Took")) == {""}
    assert (report.one("#curve").get_attribute("aria-label") or "") == "Orders that are over: 0 of 100."


def test_without_scripts_the_summary_is_there_and_says_where_the_list_is(report: Report) -> None:
    report.browser.tell("Emulation.setScriptExecutionDisabled", value=True)
    report.browser.open(report.file)
    assert report.one("noscript").text.startswith("Orders\nThe summary above is complete.")
    assert report.one("h1").text == "wave-7.yaml"
    assert report.one("#causes").text.count("\n") == len(status_of(ORDERS).failures) + 1
    assert not report.one("#list").is_displayed()
    assert not report.one("#progress").is_displayed()


def test_it_is_printed_with_more_rows_and_heads_on_each_page(report: Report) -> None:
    printed = report.browser.run("""
        dispatchEvent(new Event("beforeprint"));
        const printed = document.querySelectorAll("#rows tr").length;
        dispatchEvent(new Event("afterprint"));
        return printed;
    """)
    assert printed == 300
    assert len(report.lines()) == 100
    report.browser.tell("Emulation.setEmulatedMedia", media="print")
    assert report.browser.run("return getComputedStyle(document.querySelector('thead button')).display") == "contents"
    assert not report.one(".tools").is_displayed()


def test_a_hundred_thousand_orders_are_searched_sorted_and_turned_over(report: Report) -> None:
    orders = list(results(100_000))
    report.show(orders, status_of(orders))
    assert report.count == "100,000 orders"
    assert len(report.lines()) == 100
    report.search(orders[77_777].key)
    assert report.lines() == [orders[77_777].line]
    report.search("")
    report.choose("state", "unknown")
    assert report.count == f"{sum(order.state is OrderState.UNKNOWN for order in orders)} of 100,000 orders"
    report.one("#clear").click()
    for name in ("About", "Took", "Line"):
        assert report.sort(name) == "ascending"
    report.sort("Line")
    report.one("#next").click()
    assert report.lines() == [order.line for order in orders[-101:-201:-1]]
