"""The loop: draw an input, see what comes of it, keep what is new, stop at what must not be."""

from __future__ import annotations

import hashlib
import random
import re
import signal
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import attrs

from fuzz.mutation import Mutator
from fuzz.targets import Target, Violation

__all__ = ["Failure", "Report", "failure_of", "fuzz"]

SECONDS = 2.0
"""How much processor time an input may take; a hundred times the slowest good one."""

_SMALLER_SECONDS = 10.0
_MOST_FAILURES = 20
_VARYING = re.compile(r"'[^']*'|\"[^\"]*\"|[0-9.]+|[^\x20-\x7e]")


@attrs.frozen
class Failure:
    """An input that made something happen that must not.

    Attributes:
        what: the exception and where it was raised, which tells one failure from another.
        data: the input, as small as it could be made.
    """

    target: str
    what: str
    data: bytes

    @property
    def file(self) -> str:
        """A name for the file with the input."""
        return f"{re.sub('[^a-z_]+', '-', self.target)}-{hashlib.sha256(self.data).hexdigest()[:8]}"


@attrs.define
class Report:
    """What a run over one target has found."""

    target: str
    inputs: int = 0
    slowest: float = 0.0
    outcomes: Counter[str] = attrs.Factory(Counter)
    failures: list[Failure] = attrs.Factory(list)


class _TooSlow(BaseException):
    """An input takes too long; not caught by anybody who catches errors."""


def fuzz(target: Target, seed: int, inputs: int) -> Report:
    """Try inputs on a target.

    Args:
        target: what to try.
        seed: where chance begins; the same seed gives the same inputs.
        inputs: how many.
    """
    mutator = Mutator(random.Random(f"{seed} {target.name}"), target.corpus)
    report = Report(target.name)
    known: set[str] = set()
    while report.inputs < inputs and len(report.failures) < _MOST_FAILURES:
        data = mutator.draw()
        report.inputs += 1
        before = time.process_time()
        try:
            kind = _kind(_outcome(target, data))
        except Exception as error:
            kind = "failure"
            if (what := _what(error)) not in known:
                known.add(what)
                report.failures.append(Failure(target.name, what, _smaller(target, data, what)))
        report.slowest = max(report.slowest, time.process_time() - before)
        report.outcomes[kind] += 1
        if report.outcomes[kind] == 1:
            mutator.keep(data)
    return report


def failure_of(target: Target, data: bytes) -> str | None:
    """Tell what goes wrong with an input; ``None`` if nothing does."""
    try:
        _outcome(target, data)
    except Exception as error:
        return _what(error)
    return None


def _outcome(target: Target, data: bytes) -> str:
    try:
        with _time_limit():
            return target.outcome(data)
    except _TooSlow:
        raise TimeoutError(f"more than {SECONDS:g} s") from None


@contextmanager
def _time_limit() -> Iterator[None]:
    """End what takes too much processor time; other work on the machine does not count."""
    signal.signal(signal.SIGPROF, _stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _stop(_: int, __: FrameType | None) -> NoReturn:
    raise _TooSlow


def _kind(outcome: str) -> str:
    """Reduce an outcome to what tells it from others: not the texts and numbers in it."""
    return _VARYING.sub("_", outcome)[:2000]


def _what(error: BaseException) -> str:
    """Name a failure by its first cause and the last line of ours that that came through."""
    while error.__cause__:
        error = error.__cause__
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "migrate_" in frame.filename]
    where = f" at {frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else ""
    said = f": {_VARYING.sub('_', str(error))[:300]}" if isinstance(error, Violation) else ""
    return f"{type(error).__name__}{where}{said}"


def _smaller(target: Target, data: bytes, what: str) -> bytes:
    """Leave out whatever the failure does not need, in ever smaller pieces, for a while."""
    size, until = len(data) // 2, time.monotonic() + _SMALLER_SECONDS
    while size and time.monotonic() < until:
        for start in range(0, len(data), size):
            less = data[:start] + data[start + size :]
            if failure_of(target, less) == what:
                data = less
                break
        else:
            size //= 2
    return data
