"""JSON as it is sent and received: by the libraries of the extra ``fast``, where it is installed, else by Python's own.

Both mean the same. msgspec reads, which keeps integers of any size, as Python does and orjson does not; orjson writes,
which refuses what JSON has no form for, as Python does and msgspec does not. What they do not take, and what orjson
would write as ``null`` though it is a number that is none, is left to Python, which then reads, writes or refuses it.

What is read is UTF-8, with or without a byte order mark, and nested no deeper than `MOST_DEPTH`. Both readers have a
limit of their own, but that depends on how deep the caller stands, and a program that raises Python's limit takes it
away: then a few kilobytes of brackets end the process.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from itertools import accumulate
from typing import Any

from migrate_core.errors import MalformedResponseError

MOST_DEPTH = 100
"""How deep objects and arrays may be nested; ten times as deep as any answer that a vendor documents."""

_FAILURES = (TypeError, ValueError, RecursionError)

_NEITHER_BRACKET_NOR_QUOTE = bytes(set(range(256)) - set(b'[]{}"'))
_STEPS = bytes(1 if byte in b"[{" else 255 if byte in b"]}" else 0 for byte in range(256))
"""What each byte adds to the depth; 255 is -1, read with its sign."""


def loads(text: bytes) -> Any:
    """Parse JSON.

    Raises:
        MalformedResponseError: it is nested deeper than `MOST_DEPTH`.
        ValueError: it is none.
        RecursionError: the caller has left no room to read it.
    """
    if _openings(text) > MOST_DEPTH and _depth(text) > MOST_DEPTH:
        raise MalformedResponseError(f"the answer is nested deeper than {MOST_DEPTH} levels")
    if decode := _fast_decode():
        try:
            return decode(text)
        except _FAILURES:
            pass
    return json.loads(text.decode("utf-8-sig"))


def _openings(text: bytes) -> int:
    """Count the brackets that open, wherever they stand; in a small answer there are few, and that settles it."""
    return len(text) - len(text.replace(b"[", b"").replace(b"{", b""))  # in a quarter of the time that count() takes


def _depth(text: bytes) -> int:
    """Tell how deep brackets are nested, without reading what is between them; those in strings do not count."""
    unescaped = text.replace(rb"\\", b"").replace(rb"\"", b"")
    marks = unescaped.translate(None, _NEITHER_BRACKET_NOR_QUOTE).replace(b'""', b"")
    outside_strings = b"".join(marks.split(b'"')[::2])
    return max(accumulate(memoryview(outside_strings.translate(_STEPS)).cast("b")), default=0)


def dumps(value: Any) -> bytes:
    """Write a value that JSON has a form for.

    Raises:
        TypeError: it has none for `value`.
        ValueError: `value` holds a number that is none, or half a character.
        RecursionError: it is nested too deeply.
    """
    if encode := _fast_encode():
        try:
            text = encode(value)
        except _FAILURES:
            text = b"null"
        if not _may_hide_a_number(text):
            return text
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _may_hide_a_number(text: bytes) -> bool:
    return text == b"null" or b":null" in text or b",null" in text or b"[null" in text


@functools.cache
def _fast_decode() -> Callable[[bytes], Any] | None:
    try:
        import msgspec.json
    except ImportError:
        return None
    return msgspec.json.decode


@functools.cache
def _fast_encode() -> Callable[[Any], bytes] | None:
    try:
        import orjson
    except ImportError:
        return None
    strict = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS
    return functools.partial(orjson.dumps, option=strict)
