"""Lists: empty, of one, of many pages, and changing while they are read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import attrs
import pytest

import migrate_core as mc
from migrate_core.provider import Response
from migrate_core.testing._conformance.bench import Bench
from migrate_core.testing._conformance.wire import always

_MANY = (450, 1200)
_FOREIGN = "https://foreign.invalid/stolen?cursor=1"


class Lists:
    """All that there is, each once."""

    def test_a_list_gives_all_there_is_and_each_once(self, bench: Bench) -> None:
        """List nothing, one, and several pages."""
        for resource, add in _listed(bench):
            assert bench.caller.list(resource.list()) == []
            added = list(add(1))
            assert [item.id for item in bench.caller.list(resource.list())] == added
            for more in _MANY:
                added += add(more)
                with bench.wire.planned() as sent:
                    found = [item.id for item in bench.caller.list(resource.list())]
                assert len(found) == len(set(found)), "a list gives something twice"
                assert set(found) == set(added), f"{len(added)} are there, {len(found)} are listed"
                if len(sent) > 1:
                    break
            else:
                assert bench.simulator.whole_lists, (
                    f"{sum(_MANY)} items are no second page; if the vendor has no pages, the simulator says whole_lists"
                )

    def test_a_list_is_read_as_it_is_needed(self, bench: Bench) -> None:
        """Send one request for the first item, and none before."""
        for resource, add in _listed(bench):
            bench.caller.list(resource.list())  # logs in
            add(_MANY[0])
            with bench.wire.planned() as sent:
                iterator = resource.list()
                assert sent == [], "a list is read before anybody asks for an item"
                bench.caller.next(iterator)
            assert len(sent) == 1, "more than a page is read for the first item"

    def test_two_lists_are_read_side_by_side(self, bench: Bench) -> None:
        """Read a list while another one is being read: neither loses its place."""
        for resource, add in _listed(bench):
            added = set(add(_MANY[0]))
            one, two = resource.list(), resource.list()
            first = {bench.caller.next(one).id for _ in range(_MANY[0] // 2)}
            second = {item.id for item in bench.caller.list(two)}
            first |= {item.id for item in bench.caller.list(one)}
            assert (first, second) == (added, added), "two lists disturb each other"

    def test_a_list_that_grows_while_it_is_read_gives_what_was_there(self, bench: Bench) -> None:
        """Add items while a list is read."""
        for resource, add in _listed(bench):
            added = add(_MANY[0])
            iterator = resource.list()
            found = [bench.caller.next(iterator).id]
            add(3)
            found += [item.id for item in bench.caller.list(iterator)]
            assert len(found) == len(set(found)), "a list gives something twice"
            assert set(added) <= set(found), "what was there is missing"

    def test_a_list_that_shrinks_while_it_is_read_ends(self, bench: Bench) -> None:
        """Delete items while a list is read: it ends, and gives nothing twice."""
        bench.need(mc.Operation.LIST_SOURCES, mc.Operation.DELETE_SOURCE)
        bench.simulator.add_sources(_MANY[0])
        iterator = bench.client.sources.list()
        found = [bench.caller.next(iterator).id]
        for source_id in [*found, *bench.simulator.add_sources(2)]:
            bench.settled(bench.caller(bench.client.sources.delete(source_id)))
        found += [item.id for item in bench.caller.list(iterator)]
        assert len(found) == len(set(found)), "a list gives something twice"

    def test_a_link_to_another_host_is_not_followed(self, bench: Bench) -> None:
        """Put a foreign address into each link and cursor of a page: nothing of it is sent."""
        for resource, add in _listed(bench):
            bench.caller.list(resource.list())  # logs in
            add(_MANY[0])
            with bench.wire.planned(always(_misled)) as sent:
                bench.refusal(partial(_exhausted, bench, resource))
            for request in sent:
                assert "stolen" not in request.path, "the path of a foreign link is asked for"


def _exhausted(bench: Bench, resource: Any) -> Any:
    return bench.caller.list(resource.list())


def _listed(bench: Bench) -> Iterator[tuple[Any, Any]]:
    """Give what can be listed, and what adds to it."""
    client, simulator = bench.client, bench.simulator
    found = [
        (operation, resource, add)
        for operation, resource, add in (
            (mc.Operation.LIST_SOURCES, client.sources, simulator.add_sources),
            (mc.Operation.LIST_PAIRINGS, client.pairings, simulator.add_pairings),
            (mc.Operation.LIST_TASKS, client.tasks, lambda count: [simulator.add_task() for _ in range(count)]),
        )
        if bench.offers(operation)
    ]
    if not found:
        pytest.skip(f"{bench.provider.name} lists nothing")
    for _, resource, add in found:
        simulator.reset()
        yield resource, add


def _misled(answer: Response) -> Response:
    if answer.status >= 300:
        return answer
    return attrs.evolve(answer, body=json.dumps(_with_foreign_links(answer.json())).encode())


def _with_foreign_links(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_foreign_links(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_foreign_links(item) for item in value]
    return _FOREIGN if isinstance(value, str) and ("://" in value or value.startswith("/")) else value
