"""The endurance run works; how long a transport endures, only a long one says."""

from __future__ import annotations

import pytest

from benchmarks.endurance import IN_FLIGHT, THREADS, endure


@pytest.mark.parametrize("name", ["httpx", "fast"])
def test_some_calls_get_their_answers_over_few_connections(name: str) -> None:
    looped, threaded = endure(name, 1_000)
    for found in (looped, threaded):
        assert (found["calls"], found["wrong"], found["errors"]) == (1_000, 0, 0)
    assert looped["connections"] <= IN_FLIGHT + looped["cancelled"]
    assert threaded["connections"] <= THREADS
