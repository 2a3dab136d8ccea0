"""A crash reporter writes down the variables of a traceback: none of them holds what was sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import pytest

import migrate_core as mc
from canary import CANARY, parts_of, sings
from migrate_core.provider import Request
from misbehaving import Conversation, Script, Server, nobody
from support import Caller
from transports import silence, transport

SMALL = Request(method="POST", path="/v3/sources", headers={"X-Auth-Token": CANARY}, body=b"{}", repeatable=False)
LARGE = Request(
    method="POST",
    path="/v3/sources",
    headers={"X-Auth-Token": CANARY},
    body=CANARY.encode() * 400_000,
    repeatable=False,
)


@contextmanager
def served(script: Script) -> Iterator[str]:
    with Server(script) as server:
        yield server.origin


def garbage(conversation: Conversation) -> None:
    conversation.request()
    conversation.send(b"220 ready\r\n\r\n")


FAILURES: Mapping[str, tuple[Request, Callable[[], AbstractContextManager[str]]]] = {
    "nobody listens": (SMALL, nobody),
    "the connection breaks while it is sent": (LARGE, partial(served, Conversation.reset)),
    "it is never read": (LARGE, partial(served, lambda conversation: conversation.pause(10.0))),
    "it is never answered": (SMALL, partial(served, silence)),
    "the answer is no HTTP": (SMALL, partial(served, garbage)),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_no_failure_of_a_transport_shows_what_was_sent(failure: str, caller: Caller, library: str) -> None:
    request, there = FAILURES[failure]
    with there() as origin, transport(caller, origin) as send, pytest.raises(mc.TransportError) as raised:
        send(request, 0.2)
    assert [place for place, seen in parts_of(raised.value) if sings(seen)] == []
