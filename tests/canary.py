"""A secret that sings when it gets out: what an error shows to a log, a crash reporter or another process."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Iterator
from pathlib import Path

CANARY = "canary-4f1d9c"

_TESTS = str(Path(__file__).parent)


def everything_in(error: BaseException) -> str:
    """Give all that can be seen of an error: itself, what came before it, and the local variables of our frames."""
    frames = _frames(traceback.TracebackException.from_exception(error, capture_locals=True))
    return "\n".join([*_errors(error), *frames, repr(pickle.dumps(error))])


def _errors(error: BaseException | None) -> Iterator[str]:
    if error is not None:
        yield f"{error} {[getattr(error, name, None) for name in dir(error)]}"
        yield from _errors(error.__cause__)
        yield from _errors(error.__context__)


def _frames(shown: traceback.TracebackException | None) -> Iterator[str]:
    """Give the local variables of all frames but the tests' own, which know the secret."""
    if shown is not None:
        for frame in shown.stack:
            if not frame.filename.startswith(_TESTS):
                yield f"{frame.filename}:{frame.name} {frame.locals}"
        yield from _frames(shown.__cause__)
        yield from _frames(shown.__context__)
