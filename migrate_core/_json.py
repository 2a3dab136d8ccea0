"""JSON as it is sent and received: by the libraries of the extra ``fast``, where it is installed, else by Python's own.

Both mean the same. msgspec reads, which keeps integers of any size, as Python does and orjson does not; orjson writes,
which refuses what JSON has no form for, as Python does and msgspec does not. What they do not take, and what orjson
would write as ``null`` though it is a number that is none, is left to Python, which then reads, writes or refuses it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

_FAILURES = (TypeError, ValueError, RecursionError)


def loads(text: bytes) -> Any:
    """Parse JSON.

    Raises:
        ValueError: it is none.
        RecursionError: it is nested too deeply.
    """
    if decode := _fast_decode():
        try:
            return decode(text)
        except _FAILURES:
            pass
    return json.loads(text)


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
