"""What is special about the transport of the extra ``fast``; what it shares is in ``test_transport`` and others."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import migrate_core as mc
from migrate_core._fast import FastTransports, Way
from migrate_core.clock import Deadline, SystemClock
from migrate_core.provider import Request, Response
from migrate_core.testing import VirtualClock
from migrate_core.transports import TransportOptions
from misbehaving import Conversation, Server, answer, answering
from support import Caller

DONE = answer("")


@contextmanager
def transport(caller: Caller, server: Server) -> Iterator[Callable[..., Response]]:
    """Open the transport of the caller's kind; gives a function that sends."""
    opens: Any = FastTransports.open_async if caller.kind == "async" else FastTransports.open
    opened = opens(TransportOptions(endpoints={"main": server.origin}))

    def send(method: str = "GET", body: bytes = b"") -> Response:
        request = Request(method=method, path="/v3/sources/s-1", body=body, repeatable=False)
        answer: Response = caller(opened.send(request, Deadline.after(SystemClock(), 5.0)))
        return answer

    try:
        yield send
    finally:
        caller(opened.close())


def hanging_up_on_the_second(conversation: Conversation) -> None:
    conversation.request()
    conversation.send(DONE)
    conversation.request()


def resetting_on_the_second(conversation: Conversation) -> None:
    hanging_up_on_the_second(conversation)
    conversation.reset()


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "PUT", "POST"])
@pytest.mark.parametrize(
    "script", [hanging_up_on_the_second, resetting_on_the_second], ids=lambda script: script.__name__
)
def test_what_was_sent_over_a_kept_connection_is_not_sent_again(caller: Caller, method: str, script: Any) -> None:
    """aiohttp would, but for POST."""
    with Server(script, answering(DONE)) as server, transport(caller, server) as send:
        send()
        with pytest.raises(mc.ResponseLostError):
            send(method)
        assert [line.split()[0] for line in server.lines] == ["GET", method]
        assert server.connections == 1


def test_a_removal_over_a_kept_connection_that_ends_has_an_unknown_outcome(caller: Caller) -> None:
    with Server(hanging_up_on_the_second, answering(DONE)) as server:
        client = caller.connect("huawei_sms", endpoint=server.origin, token="t", transport="fast", clock=VirtualClock())
        caller(client.sources.delete("s-1"))
        with pytest.raises(mc.OutcomeUnknownError):
            caller(client.sources.delete("s-1"))
        assert len(server.requests) == 2


@pytest.mark.parametrize("caller", ["async"], indirect=True)
def test_a_request_that_was_answered_before_it_was_read_leaves_no_connection(caller: Caller) -> None:
    """In threads it is written first."""

    def hasty(conversation: Conversation) -> None:
        conversation._receive(1)
        conversation.send(answer("no", "413 Content Too Large"))
        conversation.sip(2**16)

    with Server(hasty, answering(DONE)) as server, transport(caller, server) as send:
        assert send("POST", bytes(32 * 2**20)).status == 413
        assert send().status == 200
        assert server.connections == 2


@pytest.mark.parametrize("variable", ["http_proxy", "all_proxy"])
@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_a_socks_proxy_is_left_to_the_default_transport(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, variable: str, scheme: str
) -> None:
    monkeypatch.setenv(variable, f"{scheme}://me:secret@proxy.example")
    given: dict[str, Any] = {"endpoint": "http://sms.example", "verify": False, "token": "t", "transport": "fast"}
    with pytest.raises(mc.ConfigurationError, match=r"SOCKS.*transport='httpx'") as caught:
        caller.connect("huawei_sms", **given)
    assert "secret" not in str(caught.value)
    caller.connect("huawei_sms", trust_env=False, **given)


def test_an_address_of_the_newer_kind_is_written_in_brackets() -> None:
    way = Way(TransportOptions(endpoints={}), "http://[::1]:8080")
    assert (way.authority, way.near.host, way.near.port) == ("[::1]:8080", "::1", 8080)
    assert Way(TransportOptions(endpoints={}, verify=False), "http://sms.example").authority == "sms.example"


@pytest.mark.parametrize(
    ("code", "proxy", "loaded"),
    [
        ("open(options)", "", set()),
        ("open(options)", "http://proxy.example", {"urllib.request"}),
        ("open_async(options)", "", {"aiohttp", "urllib.request"}),
    ],
)
@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="the system's settings may name a proxy")
def test_only_what_is_used_is_loaded(code: str, proxy: str, loaded: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    if proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy)
    lines = [
        "import sys",
        "from migrate_core._fast import FastTransports",
        "from migrate_core.transports import TransportOptions",
        "options = TransportOptions(endpoints={'main': 'http://sms.example'}, verify=False)",
        f"FastTransports.{code}",
        "print(*{'aiohttp', 'httpx', 'httpcore', 'urllib.request'} & set(sys.modules))",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == loaded
