"""Going through the pages of a list that may change meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from migrate_core.errors import MalformedResponseError
from migrate_core.provider import Page


class Listed(Protocol):
    """Whatever can be listed has an id."""

    @property
    def id(self) -> str:
        """What tells it from the others."""
        ...


L = TypeVar("L", bound=Listed)


class Pages(Generic[L]):
    """Where a list stands: the next cursor, and what was seen.

    Records shift between pages when others are deleted or added, so an id that was given is not given again.

    Attributes:
        cursor: names the next page.
        more: whether there is a next page.
    """

    def __init__(self) -> None:
        self.cursor: str | None = None
        self.more = True
        self._seen: set[str] = set()
        self._visited: set[str] = set()

    def fresh(self, page: Page[L]) -> Iterator[L]:
        """Give the items of `page` that are new, and move on to the next.

        Raises:
            MalformedResponseError: the next page was read already: the list would never end.
        """
        if page.next in self._visited:
            raise MalformedResponseError(
                "the list would never end: a page names itself, or an earlier one, as the next"
            )
        if page.next is not None:
            self._visited.add(page.next)
        self.cursor, self.more = page.next, page.next is not None
        for item in page.items:
            if item.id not in self._seen:
                self._seen.add(item.id)
                yield item
