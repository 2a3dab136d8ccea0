"""What some have installed, and others have not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from migrate_core import _json


@contextmanager
def without_fast_json() -> Iterator[None]:
    """Let the libraries for JSON of the extra ``fast`` be missing."""
    hidden = ("msgspec", "msgspec.json", "orjson")
    kept = {name: sys.modules.get(name) for name in hidden}
    _forget()
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None there is a failed import
    try:
        yield
    finally:
        for name, module in kept.items():
            sys.modules.pop(name)
            if module:
                sys.modules[name] = module
        _forget()


def _forget() -> None:
    _json._fast_decode.cache_clear()
    _json._fast_encode.cache_clear()
