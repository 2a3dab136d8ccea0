"""Drive many vendors' server-migration and disaster-recovery control planes with one script."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from migrate_core._public import *  # noqa: F403  # its __all__ is ours
    from migrate_core._public import __all__ as __all__

logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    """Load what is public when the first of it is used: some who import this package use a small part of it."""
    if name.startswith("_") and name != "__all__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from migrate_core import _public

    if name not in ("__all__", *_public.__all__):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals().update({public: getattr(_public, public) for public in ("__all__", *_public.__all__)})
    return globals()[name]


def __dir__() -> list[str]:
    return [*globals(), *__getattr__("__all__")]
