"""Inputs that are nearly right: those of a corpus, changed at random, as JSON or byte by byte."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["Mutator"]

_LONGEST, _SHORT = 65536, 4096
_MOST_KEPT = 400

_ODD_VALUES: Sequence[Any] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**53 + 1, 2**63, -(2**63) - 1, 10**40, 0.5, -0.0, 1e308, math.inf, math.nan),
    *("", " ", "0", "-1", "1e5", "nan", "inf", "3.30GiB", "-1 B", "null", "true", "..", "/", "é", "\x00", "\ud800"),
    *("2026-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "P1D", "9" * 5000, "x" * 20000),
    *([], {}, [[]], [None], [{}], [""], {"": ""}, {"id": {"id": []}}),
)
_ODD_TEXTS: Sequence[bytes] = (
    *(b"", b"null", b"NaN", b"-Infinity", b"1e999", b"9" * 5000, b'"\\ud800"', b'"\\u0000"', b"\xff", b"\xef\xbb\xbf"),
    *(
        b"[" * 400 + b"]" * 400,
        b'{"a":' * 400 + b"1" + b"}" * 400,
        b"[" * 20000,
        b"<html>",
        b"\x00",
        b"\r\n",
        b"\\",
        b'"',
    ),
    *(b",", b":", b"{", b"}", b"[", b"]", b"=", b"#", b"'", b"-", b".", b"+14:00", b"GMT", b"1970", b" ", b"\t"),
)


class Mutator:
    """Draws inputs.

    Args:
        rng: where chance comes from.
        corpus: good inputs to begin with.
    """

    def __init__(self, rng: random.Random, corpus: Sequence[bytes]) -> None:
        self._rng = rng
        self._corpus = list(corpus)
        self._first = list(reversed(self._corpus))

    def draw(self) -> bytes:
        """Give the next input; the corpus itself comes first, as it is."""
        if self._first:
            return self._first.pop()
        return self.changed(self._rng.choice(self._corpus))

    def changed(self, data: bytes) -> bytes:
        """Change an input."""
        change = self._changed_json if self._rng.random() < 0.6 else self._changed_bytes
        return change(data)[:_LONGEST]

    def keep(self, data: bytes) -> None:
        """Add an input from which something new came, to be changed further."""
        if len(self._corpus) < _MOST_KEPT:
            self._corpus.append(data)

    def _changed_json(self, data: bytes) -> bytes:
        """Change some values of the JSON in an input, which may have a line before it."""
        start = data.find(b"\n") + 1
        try:
            document = {"": json.loads(data[start:])}
            for _ in range(self._rng.choice((1, 1, 2, 4, 8))):
                self._change_value(document)
            return data[:start] + json.dumps(document.get("")).encode()
        except (ValueError, RecursionError):
            return self._changed_bytes(data)

    def _change_value(self, document: dict[str, Any]) -> None:
        holder, key = self._place(document)
        if holder is None:
            return
        match self._rng.randrange(6):
            case 0:
                del holder[key]
            case 1:
                other, there = self._place(document)
                text = json.dumps(other[there])
                holder[key] = json.loads(text) if len(text) < _SHORT else text[:_SHORT]
            case 2 if isinstance(holder, list):
                holder += holder[:2]  # more would make it grow without end: what is new is changed again
            case 2:
                holder[self._rng.choice(("id", "ID", "", "name ", "password"))] = holder.pop(key)
            case 3:
                holder[key] = str(holder[key]) if isinstance(holder[key], int | float) else [holder[key]]
            case _:
                holder[key] = self._rng.choice(_ODD_VALUES)

    def _place(self, value: Any) -> tuple[Any, Any]:
        """Choose a place in a JSON value: what holds it, and the key or index there."""
        holder = key = None
        while isinstance(value, dict | list) and value and (holder is None or self._rng.random() < 0.8):
            holder, key = value, self._rng.choice(list(value) if isinstance(value, dict) else range(len(value)))
            value = holder[key]
        return holder, key

    def _changed_bytes(self, data: bytes) -> bytes:
        rng = self._rng
        for _ in range(rng.choice((1, 1, 2, 4))):
            at = rng.randrange(len(data) + 1)
            end = min(len(data), at + rng.choice((1, 1, 2, 8, 64, 1024)))
            new: Callable[[], bytes] = rng.choice(
                (
                    lambda: bytes([rng.randrange(256)]),
                    lambda: b"",
                    lambda at=at, end=end, data=data: data[at:end] * 2,
                    lambda: rng.choice(_ODD_TEXTS),
                    self._piece,
                )
            )
            data = data[:at] + new() + data[end if rng.random() < 0.5 else at :]
        return data

    def _piece(self) -> bytes:
        other = self._rng.choice(self._corpus)
        at = self._rng.randrange(len(other) + 1)
        return other[at : at + self._rng.choice((1, 4, 16, 64, 256))]
