"""Going through the pages of a list that may change meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from migrate_core.errors import MalformedResponseError
from migrate_core.provider import Page

REMEMBERED = 1000
"""How many ids, and how many cursors, are remembered at least: five of the vendors' largest pages."""


class Listed(Protocol):
    """Whatever can be listed has an id."""

    @property
    def id(self) -> str:
        """What tells it from the others."""
        ...


L = TypeVar("L", bound=Listed)


class _Latest:
    """Remembers the latest `REMEMBERED` texts, and at most twice as many."""

    def __init__(self) -> None:
        self._young: set[str] = set()
        self._old: set[str] = set()

    def takes(self, text: str) -> bool:
        """Take note of `text`; tells whether it is new."""
        if text in self._young or text in self._old:
            return False
        if len(self._young) == REMEMBERED:
            self._young, self._old = set(), self._young
        self._young.add(text)
        return True


class Pages(Generic[L]):
    """Where a list stands: the next cursor, and what was seen of late.

    Records shift between pages when others are deleted or added, so an id that was given is not given again. They
    shift by as many as were added between two requests, so the latest ids will do, and a list of any length takes no
    more memory than a short one.

    Attributes:
        cursor: names the next page.
        more: whether there is a next page.
    """

    def __init__(self) -> None:
        self.cursor: str | None = None
        self.more = True
        self._ids = _Latest()
        self._cursors = _Latest()
        self._milestone: str | None = None
        self._read = 0
        self._stale = 0

    def fresh(self, page: Page[L]) -> Iterator[L]:
        """Give the items of `page` that are new, and move on to the next.

        Raises:
            MalformedResponseError: the next page was read already, or page after page has nothing new: the list would
            never end.
        """
        if page.next is not None and self._was_read(page.next):
            raise MalformedResponseError(
                "the list would never end: a page names itself, or an earlier one, as the next"
            )
        self.cursor, self.more = page.next, page.next is not None
        fresh = [item for item in page.items if self._ids.takes(item.id)]
        self._stale = 0 if fresh else self._stale + len(page.items)
        if self._stale > 2 * REMEMBERED and self.more:  # more than records can shift and still be known
            raise MalformedResponseError(
                f"the list would never end: {self._stale} records after one another, and all were given before"
            )
        yield from fresh

    def _was_read(self, cursor: str) -> bool:
        """Take note of a cursor; tells whether it is one of the latest, or the list goes round in whatever circle.

        The milestone moves on after 1, 2, 4, 8 … pages: some time it stands on the circle and is not moved before the
        list comes by again.
        """
        if cursor == self._milestone:
            return True
        self._read += 1
        if self._read.bit_count() == 1:
            self._milestone = cursor
        return not self._cursors.takes(cursor)
