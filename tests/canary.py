"""A secret that sings when it gets out, in whatever form it does, and what an error shows to those who look at it.

The tests use it where they need a secret, and `canary_plugin`, which listens for it in every run, plants it in all that
the simulators accept or hand out.
"""

from __future__ import annotations

import base64
import pickle
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CANARY = "canary4f1d9c"  # letters and digits: so it stays what it is in JSON, in HTML and percent-encoded

TESTS = str(Path(__file__).parent)
_USERS = (TESTS, *(str(Path(TESTS).parent / page) for page in ("docs", "README.md")))


def _in_base64(secret: bytes) -> Iterator[bytes]:
    """Give what base64 makes of a secret that stands in the middle of something, wherever that begins."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + secret)
        yield encoded[(before * 8 + 5) // 6 : (before + len(secret)) * 8 // 6]


def _forms(secret: bytes) -> Iterator[bytes]:
    """Give a secret as it is, in hexadecimal digits, in base64, and in base64 twice, as in a token that holds one."""
    yield from (secret, secret.hex().encode(), secret.hex().upper().encode())
    for once in _in_base64(secret):
        yield once
        yield from _in_base64(once)


_FORMS = tuple(_forms(CANARY.encode()))
_FORMS_OF_TEXT = tuple(form.decode() for form in _FORMS)


def sings(seen: str | bytes) -> bool:
    """Tell whether the canary can be heard."""
    forms: tuple[Any, ...] = _FORMS if isinstance(seen, bytes) else _FORMS_OF_TEXT
    for form in forms:  # noqa: SIM110 - any() takes three times as long, and this is asked for each line of a log
        if form in seen:
            return True
    return False


def muted(text: str) -> str:
    """Say a text without the canary."""
    for form in _FORMS_OF_TEXT:
        text = text.replace(form, "***")
    return text


def everything_in(error: BaseException) -> str:
    """Give all that can be seen of an error: itself, what came before it, and the local variables of our frames."""
    return "\n".join(text for _, text in parts_of(error))


def parts_of(error: BaseException) -> Iterator[tuple[str, str]]:
    """Give all that can be seen of an error, each part with the name of its place."""
    for one in _chain(error):
        name = type(one).__name__
        yield f"what {name} says", f"{shown(one)} {shown(one.args)}"
        yield f"the attributes of {name}", shown(vars(one))
        for frame, line in traceback.walk_tb(one.__traceback__):
            code = frame.f_code
            if not code.co_filename.startswith(_USERS):  # who uses us knows the secret
                for variable, value in frame.f_locals.items():
                    yield f"{variable} in {code.co_filename}:{line} {code.co_name}, below {name}", shown(value)
    yield f"the pickle of {type(error).__name__}", repr(pickle.dumps(error))


def _chain(error: BaseException) -> list[BaseException]:
    """Give an error and all that came before it."""
    chain: list[BaseException] = [error]
    for one in chain:
        chain += [before for before in (one.__cause__, one.__context__) if before and before not in chain]
    return chain


def shown(value: Any) -> str:
    """Give what a value says of itself, unless that fails."""
    try:
        return f"{value!r} {value}" if isinstance(value, BaseException) else repr(value)
    except Exception as error:
        return f"what cannot be shown: {type(error).__name__}"
