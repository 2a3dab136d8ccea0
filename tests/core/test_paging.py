"""Lists: pages are fetched as they are needed, and a list that changes or goes round does no harm."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

import migrate_core as mc
from benchmarks.growth import traced_peak
from migrate_core._paging import REMEMBERED, Pages
from migrate_core.clock import Deadline
from migrate_core.operations import Capability, Operation, Support
from migrate_core.provider import BaseProvider, Flow, Page, Request, Response, Settings, TaskInfo, TaskStatus
from migrate_core.testing import VirtualClock
from support import Caller


def page(*ids: str, following: str | None = None) -> Page[TaskInfo]:
    return Page(tuple(TaskInfo(id=one) for one in ids), following)


def ids_of(pages: Pages[TaskInfo], one: Page[TaskInfo]) -> list[str]:
    return [item.id for item in pages.fresh(one)]


# Pages by themselves.


def test_pages_follow_one_another_to_the_last() -> None:
    pages: Pages[TaskInfo] = Pages()
    assert (pages.cursor, pages.more) == (None, True)
    assert ids_of(pages, page("a", "b", following="2")) == ["a", "b"]
    assert (pages.cursor, pages.more) == ("2", True)
    assert ids_of(pages, page("c")) == ["c"]
    assert not pages.more


def test_an_empty_page_is_not_the_last_unless_it_says_so() -> None:
    pages: Pages[TaskInfo] = Pages()
    assert ids_of(pages, page(following="2")) == []
    assert pages.more


def test_an_item_that_moved_to_the_next_page_is_given_once() -> None:
    pages: Pages[TaskInfo] = Pages()
    assert ids_of(pages, page("a", "b", "a", following="2")) == ["a", "b"]
    assert ids_of(pages, page("b", "c")) == ["c"]


def test_pages_of_nothing_new_end_a_list_that_would_go_on_for_ever() -> None:
    pages: Pages[TaskInfo] = Pages()
    known = [str(number) for number in range(200)]
    assert ids_of(pages, page(*known, following="first")) == known
    for number in range(2 * REMEMBERED // 200):
        assert ids_of(pages, page(*known, following=str(number))) == []
    with pytest.raises(mc.MalformedResponseError, match="2200 records after one another, and all were given before"):
        ids_of(pages, page(*known, following="last"))


def test_pages_of_nothing_new_do_no_harm_where_something_new_comes_between() -> None:
    pages: Pages[TaskInfo] = Pages()
    known = [str(number) for number in range(REMEMBERED)]
    got = [
        one for number in range(6) for one in ids_of(pages, page(*known, f"new-{number // 2}", following=f"p-{number}"))
    ]
    assert got == [*known, "new-0", "new-1", "new-2"]


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=5), min_size=1, max_size=8))
def test_each_id_is_given_once_in_the_order_of_its_first_sight(listed: list[list[str]]) -> None:
    pages: Pages[TaskInfo] = Pages()
    got = [one for number, ids in enumerate(listed) for one in ids_of(pages, page(*ids, following=str(number)))]
    assert got == list(dict.fromkeys(one for ids in listed for one in ids))


def test_a_page_that_names_itself_as_the_next_is_refused() -> None:
    pages: Pages[TaskInfo] = Pages()
    ids_of(pages, page("a", following="2"))
    with pytest.raises(mc.MalformedResponseError, match="names itself"):
        ids_of(pages, page("b", following="2"))


def test_pages_that_go_round_are_refused() -> None:
    """Else the list would ask for ever, without giving anything."""
    pages: Pages[TaskInfo] = Pages()
    for following in ("2", "3"):
        ids_of(pages, page("a", following=following))
    with pytest.raises(mc.MalformedResponseError):
        ids_of(pages, page("b", following="2"))


def numbered(first: int, last: int, size: int) -> Iterator[Page[TaskInfo]]:
    """Pages of numbers; no two have the same cursor."""
    for start in range(first, last, size):
        yield page(*map(str, range(start, start + size)), following=str(next(CURSORS)))


CURSORS = itertools.count()


@pytest.mark.parametrize("added", [1, 10, 999, REMEMBERED])
@pytest.mark.parametrize("size", [1, 10, 200])
def test_items_that_shift_by_no_more_than_are_remembered_are_given_once(added: int, size: int) -> None:
    """Between two requests, so many were added ahead of all that was read."""
    pages: Pages[TaskInfo] = Pages()
    listed = [*numbered(0, 3000, size), *numbered(3000 - added, 6000 - added, size)]
    got = [int(one) for shown in listed for one in ids_of(pages, shown)]
    assert got == list(range(max(got) + 1))


def test_an_id_is_forgotten_when_twice_as_many_as_are_remembered_came_after_it() -> None:
    pages: Pages[TaskInfo] = Pages()
    for shown in numbered(0, 2 * REMEMBERED + 1, 1):
        ids_of(pages, shown)
    assert ids_of(pages, page("0", "1001")) == ["0"]


@pytest.mark.parametrize("before", [0, 1, 500, 5000])
@pytest.mark.parametrize("circle", [1, 2, 999, REMEMBERED, 2 * REMEMBERED + 1, 5000])
def test_a_list_that_goes_round_ends_however_wide_the_circle_is(before: int, circle: int) -> None:
    pages: Pages[TaskInfo] = Pages()
    cursors = itertools.chain(range(before), itertools.cycle(range(before, before + circle)))
    with pytest.raises(mc.MalformedResponseError, match="never end"):
        gone_through(pages, itertools.islice(map(str, cursors), 4 * (before + circle)))


@pytest.mark.parametrize("before", [0, 1, 500, 5000])
@pytest.mark.parametrize("circle", [1, 2, 999, REMEMBERED])
def test_a_list_that_goes_round_in_a_small_circle_gives_nothing_twice(before: int, circle: int) -> None:
    pages: Pages[TaskInfo] = Pages()
    gone_through(pages, map(str, range(before + circle)))
    with pytest.raises(mc.MalformedResponseError, match="never end"):
        ids_of(pages, page(following=str(before)))


def gone_through(pages: Pages[TaskInfo], cursors: Iterable[str]) -> None:
    for cursor in cursors:
        ids_of(pages, page(following=cursor))


# Lists of a client.


class Shelf:
    """A transport that gives pages of the numbers from 0, and notes which were asked for."""

    def __init__(self, count: int, size: int) -> None:
        self.count = count
        self.size = size
        self.asked: list[int] = []

    def page(self, request: Request) -> Response:
        start = int(dict(request.query)["at"])
        self.asked.append(start)
        end = min(start + self.size, self.count)
        ids = " ".join(map(str, range(start, end)))
        return Response(status=200, body=f"{ids}|{end if end < self.count else ''}".encode())


class Door:
    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def send(self, request: Request, deadline: Deadline) -> Response:
        return self._shelf.page(request)

    def close(self) -> None:
        """Nothing is open."""


class AsyncDoor:
    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def send(self, request: Request, deadline: Deadline) -> Response:
        return self._shelf.page(request)

    async def close(self) -> None:
        """Nothing is open."""


class Library(BaseProvider):
    """Lists sources, pairings and tasks, all alike."""

    name = "library"
    capabilities: ClassVar[Mapping[Operation, Capability]] = {
        Operation.LIST_SOURCES: Capability(Support.FULL),
        Operation.LIST_PAIRINGS: Capability(Support.FULL),
        Operation.LIST_TASKS: Capability(Support.FULL),
    }

    def endpoints(self) -> Mapping[str, str]:
        return {"main": "https://library.invalid"}

    def error_from(self, response: Response) -> mc.ApiError:
        return mc.ApiError("no", provider=self.name, status=response.status)

    def _ids(self, cursor: str | None) -> Flow[tuple[list[str], str | None]]:
        response = yield Request(method="GET", path="/all", query=(("at", cursor or "0"),), repeatable=True)
        ids, _, following = response.body.decode().partition("|")
        return ids.split(), following or None

    def list_sources(self, cursor: str | None) -> Flow[Page[mc.SourceServer]]:
        ids, following = yield from self._ids(cursor)
        return Page(tuple(mc.SourceServer(id=one, provider=self.name) for one in ids), following)

    def list_pairings(self, cursor: str | None) -> Flow[Page[mc.Pairing]]:
        ids, following = yield from self._ids(cursor)
        return Page(tuple(mc.Pairing(id=one) for one in ids), following)

    def list_tasks(self, cursor: str | None) -> Flow[Page[TaskInfo]]:
        ids, following = yield from self._ids(cursor)
        return Page(tuple(TaskInfo(id=one, status=TaskStatus.RUNNING) for one in ids), following)


def client_for(caller: Caller, shelf: Shelf) -> Any:
    provider = Library(Settings())
    if caller.kind == "async":
        return mc.AsyncClient(provider, AsyncDoor(shelf), VirtualClock())
    return mc.Client(provider, Door(shelf), VirtualClock())


async def _next(iterator: AsyncIterator[Any]) -> Any:
    return await anext(iterator)


def next_of(caller: Caller, iterator: Any) -> Any:
    return caller(_next(iterator)) if caller.kind == "async" else next(iterator)


@pytest.mark.parametrize("resource", ["sources", "pairings", "tasks"])
@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250])
def test_a_list_gives_everything(caller: Caller, resource: str, count: int) -> None:
    shelf = Shelf(count, 100)
    listed = caller.list(getattr(client_for(caller, shelf), resource).list())
    assert [item.id for item in listed] == [str(number) for number in range(count)]
    assert shelf.asked == list(range(0, max(count, 1), 100))


def test_a_page_is_fetched_when_it_is_needed_and_not_before(caller: Caller) -> None:
    shelf = Shelf(1000, 10)
    listed = client_for(caller, shelf).sources.list()
    assert shelf.asked == []
    got = [next_of(caller, listed).id for _ in range(11)]
    assert got == [str(number) for number in range(11)]
    assert shelf.asked == [0, 10]


def test_a_list_can_be_begun_again(caller: Caller) -> None:
    client = client_for(caller, Shelf(25, 10))
    assert len(caller.list(client.sources.list())) == len(caller.list(client.sources.list())) == 25


def test_a_longer_list_takes_no_more_memory(caller: Caller) -> None:
    """The ids of 7,000 more sources would be half a megabyte."""

    short, long = (partial(read_through, caller, Shelf(count, 100)) for count in (3000, 10_000))
    assert traced_peak(short, long) <= traced_peak(short, short) + 30_000


def read_through(caller: Caller, shelf: Shelf) -> None:
    """Read a list to its end and keep nothing of it."""
    listed = client_for(caller, shelf).sources.list()
    got = caller(_number_of(listed)) if caller.kind == "async" else sum(1 for _ in listed)
    assert got == shelf.count


async def _number_of(listed: AsyncIterator[Any]) -> int:
    number = 0
    async for _ in listed:
        number += 1
    return number


def test_listed_tasks_are_tasks(caller: Caller) -> None:
    first, *_ = caller.list(client_for(caller, Shelf(3, 10)).tasks.list())
    assert isinstance(first, mc.AsyncTask if caller.kind == "async" else mc.Task)
    assert first.status is TaskStatus.RUNNING


def test_an_operation_that_is_not_offered_is_refused_when_it_is_asked_for(caller: Caller) -> None:
    """Not at the first item, which may be far from the mistake."""
    client = mc.Client(NoLists(Settings()), Door(Shelf(0, 1)), VirtualClock())
    with pytest.raises(mc.UnsupportedOperationError):
        client.sources.list()
    if caller.kind == "async":
        asynchronous = mc.AsyncClient(NoLists(Settings()), AsyncDoor(Shelf(0, 1)), VirtualClock())
        with pytest.raises(mc.UnsupportedOperationError):
            asynchronous.sources.list()


class NoLists(Library):
    capabilities: ClassVar[Mapping[Operation, Capability]] = {}


def test_a_list_is_an_iterator_of_its_kind(caller: Caller) -> None:
    kind = AsyncIterator if caller.kind == "async" else Iterator
    client = client_for(caller, Shelf(3, 10))
    for resource in (client.sources, client.pairings, client.tasks):
        assert isinstance(resource.list(), kind)
