"""When a request is sent again, and after how long."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

import migrate_core as mc
from migrate_core._retry import ATTEMPTS, delay_before, may_repeat, retry_after
from migrate_core.provider import Request

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("5", 5.0),
        ("0.5", 0.5),
        (" 7 ", 7.0),
        ("-3", 0.0),
        ("1e9", 1e9),
        ("1e999", None),
        ("nan", None),
        ("-inf", None),
        ("soon", None),
        ("", None),
        ("Thu, 01 Jan 2026 00:01:00 GMT", 60.0),
        ("Wed, 31 Dec 2025 00:00:00 GMT", 0.0),
        ("Thu, 01 Jan 2026 00:01:00 -0000", 60.0),
    ],
)
def test_retry_after_is_read_in_all_its_shapes(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, NOW) == seconds


@given(st.text())
def test_no_text_breaks_the_reading_of_retry_after(value: str) -> None:
    seconds = retry_after(value, NOW)
    assert seconds is None or seconds >= 0


@given(st.from_regex(r"(Mon, )?[0-9]{1,3} (Jan|Feb|Foo) [0-9]{1,6} [0-9]{2}:[0-9]{2}:[0-9]{2} (GMT|[+-][0-9]{4,12})"))
def test_no_date_breaks_the_reading_of_retry_after(value: str) -> None:
    seconds = retry_after(value, NOW)
    assert seconds is None or 0 <= seconds < float("inf")


def api(cls: type[mc.ApiError], status: int) -> mc.ApiError:
    return cls("x", provider="p", status=status)


@pytest.mark.parametrize(
    ("error", "repeatable", "other"),
    [
        (mc.RequestNotSentError("x"), True, True),
        (api(mc.RateLimitedError, 429), True, True),
        (mc.ResponseLostError("x"), True, False),
        (api(mc.ServerError, 503), True, False),
        (mc.DeadlineExceededError("x"), False, False),
        (mc.MalformedResponseError("x"), False, False),
        (api(mc.NotFoundError, 404), False, False),
        (api(mc.AuthenticationError, 401), False, False),
    ],
)
def test_a_change_is_repeated_only_when_it_did_nothing(error: mc.MigrateError, repeatable: bool, other: bool) -> None:
    for flag, expected in ((True, repeatable), (False, other)):
        assert may_repeat(error, Request(method="POST", path="/x", repeatable=flag)) is expected


@given(st.integers(1, ATTEMPTS - 1), st.booleans(), st.integers(0, 2**32))
def test_the_wait_has_jitter_within_its_bounds(attempt: int, throttled: bool, seed: int) -> None:
    error = api(mc.RateLimitedError, 429) if throttled else mc.ResponseLostError("x")
    delay = delay_before(attempt, error, random.Random(seed))
    assert delay is not None
    assert 0 <= delay <= (1.0 if throttled else 0.05) * 2**attempt


def test_the_vendors_wish_beats_the_jitter_and_the_last_attempt_is_the_last() -> None:
    error = api(mc.RateLimitedError, 429)
    error.retry_after = 4.0
    assert delay_before(1, error, random.Random()) == 4.0
    assert delay_before(ATTEMPTS, error, random.Random()) is None
