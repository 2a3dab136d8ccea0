"""JSON means the same with the libraries of the extra ``fast`` and without them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from extras import without_fast_json
from migrate_core import _json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def both(work: Callable[[], Any]) -> tuple[str, str]:
    """Do something with and without the extra; gives what came of it, comparable even where it is no number."""
    assert _json._fast_decode()
    assert _json._fast_encode()
    there = outcome(work)
    with without_fast_json():
        assert not _json._fast_decode()
        assert not _json._fast_encode()
        return there, outcome(work)


def outcome(work: Callable[[], Any]) -> str:
    try:
        return repr(work())
    except (TypeError, ValueError, RecursionError) as error:
        return type(error).__name__


@given(VALUES)
@example(2**64)
@example({"size": -(10**30)})
@example([math.nan, math.inf])
def test_what_is_read_is_the_same(value: Any) -> None:
    text = json.dumps(value).encode()
    with_it, without = both(lambda: _json.loads(text))
    assert with_it == without == repr(json.loads(text))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xef\xbb\xbf{}",
        b'"\xff"',
        b'"\\ud800"',
        b"1e999",
        b"-0",
        b'{"a": 1, "a": 2}',
        b"\xff\xfe1\x00",
        b"[" * 5000,
    ],
    ids=["nothing", "half", "mark", "no UTF-8", "half a character", "huge", "minus 0", "twice", "UTF-16", "deep"],
)
def test_what_is_odd_is_read_or_refused_alike(text: bytes) -> None:
    with_it, without = both(lambda: _json.loads(text))
    assert with_it == without


@given(VALUES)
@example(math.nan)
@example({"a": math.inf})
@example([1, -math.inf])
@example({"a": None, "b": ":null"})
@example({"a": "\ud800"})
def test_what_is_written_means_the_same_or_is_refused_by_both(value: Any) -> None:
    def there_and_back() -> Any:
        return json.loads(_json.dumps(value))

    with_it, without = both(there_and_back)
    assert with_it == without


@pytest.mark.parametrize(
    "value", [b"x", {1}, object(), 1j, {"a": b"x"}], ids=["bytes", "set", "object", "complex", "in a dict"]
)
def test_what_has_no_form_is_refused_by_both(value: Any) -> None:
    assert set(both(lambda: _json.dumps(value))) == {"TypeError"}
