"""What a change leaves behind: a task that knows its purpose, and a word of warning when it is interrupted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

import migrate_core as mc
from migrate_core.clock import Deadline
from migrate_core.errors import ApiError, error_class_for
from migrate_core.operations import Capability, Operation, Support
from migrate_core.provider import BaseProvider, Flow, Request, Response, Settings, TaskInfo
from migrate_core.testing import VirtualClock
from support import Caller


class Forgetful(BaseProvider):
    """A plug-in whose tasks do not say what they are for."""

    name = "forgetful"
    capabilities: ClassVar = {
        Operation.DELETE_SOURCE: Capability(Support.FULL),
        Operation.LIST_SOURCES: Capability(Support.FULL),
    }

    def endpoints(self) -> Mapping[str, str]:
        return {"main": "https://api.example"}

    def error_from(self, response: Response) -> ApiError:
        return error_class_for(response.status)("refused", provider=self.name, status=response.status)

    def delete_source(self, source_id: str) -> Flow[TaskInfo]:
        yield Request(method="DELETE", path="/x", repeatable=False)
        return TaskInfo(id="t-1")

    def list_sources(self, cursor: str | None) -> Flow[Any]:
        yield Request(method="GET", path="/x", repeatable=True)


class Door:
    """A transport that answers 200, or fails as it is told."""

    def __init__(self, failure: BaseException | None = None) -> None:
        self.failure = failure

    def send(self, request: Request, deadline: Deadline) -> Response:
        if self.failure:
            raise self.failure
        return Response(status=200)

    def close(self) -> None:
        pass


class AsyncDoor:
    """The same for an event loop."""

    async def send(self, request: Request, deadline: Deadline) -> Response:
        return Response(status=200)

    async def close(self) -> None:
        pass


def test_a_task_knows_its_purpose_even_if_the_plug_in_does_not_say(caller: Caller) -> None:
    plug_in, clock = Forgetful(Settings()), VirtualClock()
    client: Any = (
        mc.Client(plug_in, Door(), clock) if caller.kind == "sync" else mc.AsyncClient(plug_in, AsyncDoor(), clock)
    )
    task = caller(client.sources.delete("s"))
    assert task.info.operation is Operation.DELETE_SOURCE
    assert repr(task).startswith(f"<{type(task).__name__} delete_source 't-1'")
    caller(client.close())


def test_an_interrupted_change_says_that_it_may_have_happened() -> None:
    client = mc.Client(Forgetful(Settings()), Door(KeyboardInterrupt()), VirtualClock())
    with client, pytest.raises(KeyboardInterrupt) as raised:
        client.sources.delete("s")
    assert ["may have happened" in note for note in raised.value.__notes__] == [True]


def test_an_interrupted_read_has_nothing_to_say() -> None:
    client = mc.Client(Forgetful(Settings()), Door(KeyboardInterrupt()), VirtualClock())
    with client, pytest.raises(KeyboardInterrupt) as raised:
        next(client.sources.list())
    assert not hasattr(raised.value, "__notes__")
