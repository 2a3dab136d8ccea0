"""What a server was asked for, and no more of it than memory has room for."""

from __future__ import annotations

from typing import TypeVar

__all__ = ["Journal"]

T = TypeVar("T")


class Journal(list[T]):
    """A list that forgets its oldest items, so that a server can be asked for as long as one likes.

    Attributes:
        kept: how many of the latest items it has at least; ``None`` for all.
    """

    kept: int | None = 10_000

    def append(self, item: T) -> None:
        """Add an item."""
        super().append(item)
        if self.kept is not None and len(self) > self.kept * 1.1:  # now and then, for it moves all the others
            del self[: len(self) - self.kept]
