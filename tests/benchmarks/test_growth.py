"""Many cost as many times what one costs: counts and memory, which are the same on every machine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

import migrate_core as mc
from benchmarks.growth import traced_peak, waits
from benchmarks.server import SourceList
from migrate_core.clock import Deadline
from migrate_core.provider import Request, Response
from migrate_core.testing import VirtualClock
from migrate_huawei_sms import HuaweiSmsProvider, HuaweiSmsSettings
from support import Caller


class Door:
    """Leads to a list of sources."""

    def __init__(self, listed: SourceList) -> None:
        self._listed = listed

    def send(self, request: Request, deadline: Deadline) -> Response:
        query = dict(request.query)
        return Response(status=200, body=self._listed.page(int(query["limit"]), int(query["offset"])))

    def close(self) -> None:
        """Nothing is open."""


class AsyncDoor:
    """The same for event loops."""

    def __init__(self, listed: SourceList) -> None:
        self._door = Door(listed)

    async def send(self, request: Request, deadline: Deadline) -> Response:
        return self._door.send(request, deadline)

    async def close(self) -> None:
        """Nothing is open."""


def read(caller: Caller, listed: SourceList) -> int:
    """Read a list to its end and keep nothing of it; gives the number of sources."""
    provider = HuaweiSmsProvider(HuaweiSmsSettings(endpoint="https://sms.invalid", token="growth"))
    if caller.kind == "sync":
        return sum(1 for _ in mc.Client(provider, Door(listed), VirtualClock()).sources.list())
    client: Any = mc.AsyncClient(provider, AsyncDoor(listed), VirtualClock())
    got: int = caller(_number_of(client.sources.list()))
    return got


async def _number_of(sources: AsyncIterator[Any]) -> int:
    number = 0
    async for _ in sources:
        number += 1
    return number


@pytest.mark.parametrize("count", [1_000, 5_000])
def test_a_list_takes_a_request_for_each_page_and_no_other(caller: Caller, count: int) -> None:
    listed = SourceList(count)
    assert read(caller, listed) == count
    assert listed.requests == count / 200


def test_a_longer_list_takes_no_more_memory(caller: Caller) -> None:
    """The ids of 4,000 more sources would be half a megabyte."""
    short, long = (
        partial(read, caller, SourceList(count, {"name": "web", "state": "AVAILABLE"})) for count in (2_000, 6_000)
    )
    assert traced_peak(short, long) <= traced_peak(short, short) + 50_000


def test_waiting_for_more_tasks_takes_as_many_more_looks_and_no_more_timers_at_once() -> None:
    few, many = waits((100, 1_000), rounds=1)
    assert many.looks / many.count == pytest.approx(few.looks / few.count, rel=0.05)
    assert many.sleeps <= many.looks
    assert few.at_once == many.at_once == 1
