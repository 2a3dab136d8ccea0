"""JSON means the same with the libraries of the extra ``fast`` and without them."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from extras import without_fast_json
from migrate_core import _json
from migrate_core.errors import MalformedResponseError

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
    except (TypeError, ValueError, RecursionError, MalformedResponseError) as error:
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
    ("text", "read"),
    [
        (b"", "JSONDecodeError"),
        (b"{", "JSONDecodeError"),
        (b"\xef\xbb\xbf{}", "{}"),
        (b'"\xff"', "UnicodeDecodeError"),
        (b'"\xed\xa0\x80"', "UnicodeDecodeError"),
        (b'"\\ud800"', "'\\ud800'"),
        (b"[1e999, -1e999]", "[inf, -inf]"),
        (b"[NaN, Infinity, -Infinity]", "[nan, inf, -inf]"),
        (b"-0", "0"),
        (b"9" * 4300, "9" * 4300),
        (b"9" * 4301, "ValueError"),
        (b"-" + b"9" * 1_000_000, "ValueError"),
        (b'{"a": 1, "a": 2}', "{'a': 2}"),
        (b"\xff\xfe1\x00", "UnicodeDecodeError"),
        ('{"a": 1}'.encode("utf-16-le"), "JSONDecodeError"),
        ('{"a": 1}'.encode("utf-32"), "UnicodeDecodeError"),
    ],
    ids=[
        *("nothing", "half", "mark", "no UTF-8", "half a character", "half an escape", "huge", "none", "minus 0"),
        *("4300 digits", "4301 digits", "a million digits", "twice", "UTF-16", "UTF-16 without a mark", "UTF-32"),
    ],
)
def test_what_is_odd_is_read_or_refused_alike(text: bytes, read: str) -> None:
    assert both(lambda: _json.loads(text)) == (read, read)


def depth_of(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth_of, inner), default=0)


TRICKS = st.text(st.sampled_from('[]{}"\\\n,:a\u2603'))
TRICKY = st.recursive(TRICKS, lambda inner: st.lists(inner) | st.dictionaries(TRICKS, inner), max_leaves=20)


@settings(max_examples=50)
@given(st.lists(TRICKY), st.integers(85, 105), st.booleans(), st.booleans())
def test_a_value_is_read_up_to_a_depth_whatever_its_texts_hold(
    beside: list[Any], around: int, objects: bool, escaped: bool
) -> None:
    value: Any = beside
    for number in range(around):
        value = {"]" * (number % 3): value, '"}': number} if objects else ["\\", value, '"']
    text = json.dumps(value, ensure_ascii=escaped).encode()
    if depth_of(value) <= _json.MOST_DEPTH:
        assert set(both(lambda: _json.loads(text))) == {repr(value)}
    else:
        assert set(both(lambda: _json.loads(text))) == {"MalformedResponseError"}


@pytest.mark.parametrize("text", ["[", '{"a":', '["]",', '[{"\\\\": "}", "\\"": [', "[]," * 10 + "["], ids=ascii)
def test_an_answer_that_is_nothing_but_deep_is_refused_as_that(text: str) -> None:
    assert set(both(lambda: _json.loads(text.encode() * 100_000))) == {"MalformedResponseError"}


def test_brackets_in_a_text_are_not_deep() -> None:
    text = json.dumps({"a": "[" * 100_000, "b": '"' + "{" * 200}).encode()
    assert set(both(lambda: _json.loads(text))) == {repr(json.loads(text))}


@pytest.mark.parametrize("missing", ["", "msgspec"])
def test_brackets_do_not_end_a_process_that_has_no_limit_of_its_own(missing: str) -> None:
    lines = [
        "import sys",
        f"sys.modules.update({{'{missing or 'nothing'}': None}})",
        "from migrate_core import MalformedResponseError, _json",
        "sys.setrecursionlimit(10**9)",
        "try: _json.loads(b'[' * 10**6)",
        "except MalformedResponseError as error: print(error)",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert done.stdout == f"the answer is nested deeper than {_json.MOST_DEPTH} levels\n"


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
