"""The transports, and what both clients make of them, against servers that misbehave on real sockets."""

from __future__ import annotations

import asyncio
import gc
import gzip
import hashlib
import logging
import os
import socket
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

import migrate_core as mc
from migrate_core import _tls
from migrate_core._registry import transport_factory
from migrate_core.clock import Deadline, SystemClock
from migrate_core.provider import Request, Response
from migrate_core.testing import VirtualClock, serve
from migrate_core.transports import TransportOptions
from migrate_huawei_sms.simulator import HuaweiSmsSimulator
from misbehaving import HOST, Conversation, Script, Server, answer, answering, crowd, nobody, over_tls
from support import Caller

TOKEN = "the-token"
SOURCE = answer({"id": "s-1"})
HEAD, _, BODY = SOURCE.partition(b"\r\n\r\n")

GET = Request(method="GET", path="/v3/sources/s-1", repeatable=True)
LIMIT = 10_000


@pytest.fixture(params=["httpx", "fast"], autouse=True)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, _plain_environment: None) -> str:
    """The transport, for whoever does not name one."""
    name: str = request.param
    monkeypatch.setenv("MIGRATE_TRANSPORT", name)
    return name


def factory() -> Any:
    """Give the transport that the test is about."""
    return transport_factory(os.environ["MIGRATE_TRANSPORT"])


def connect(caller: Caller, origin: str, **settings: Any) -> Any:
    """Make a client of `origin`; unless a test measures time, it waits between attempts in no time."""
    clock = SystemClock() if "timeout" in settings else VirtualClock()
    return caller.connect("huawei_sms", endpoint=origin, token=TOKEN, clock=clock, **settings)


@contextmanager
def transport(caller: Caller, origin: str, **options: Any) -> Iterator[Callable[..., Response]]:
    """Open the transport of the caller's kind; gives a function that sends."""
    opens = factory().open_async if caller.kind == "async" else factory().open
    opened = opens(TransportOptions(endpoints={"main": origin}, **options))

    def send(request: Request = GET, seconds: float = 10.0) -> Response:
        answer: Response = caller(opened.send(request, Deadline.after(SystemClock(), seconds)))
        return answer

    try:
        yield send
    finally:
        caller(opened.close())


@contextmanager
def in_time() -> Iterator[None]:
    """What happens inside is over soon after the 0.5 s that it is allowed."""
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < 1.1


def wait_until(caller: Caller, server: Server, holds: Callable[[Server], bool]) -> None:
    """Wait for something to hold of `server`; the caller's event loop, if it has one, runs on."""
    if caller.kind == "async":
        caller(asyncio.to_thread(server.wait_until, holds))
    else:
        server.wait_until(holds)


def name(monkeypatch: pytest.MonkeyPatch, host: str, *addresses: str) -> None:
    """Let `host` have `addresses`, in this order, for whoever asks the system."""
    ask = socket.getaddrinfo

    def answer(asked: Any, port: Any, *given: Any, **named: Any) -> list[Any]:
        if asked not in (host, host.encode()):
            return ask(asked, port, *given, **named)
        return [found for address in addresses for found in ask(address, port, type=socket.SOCK_STREAM)]

    monkeypatch.setattr(socket, "getaddrinfo", answer)


def all_left(server: Server) -> bool:
    """Tell whether the client has closed all of its connections."""
    return server.left == server.connections


# The time that a call is allowed.


def silence(conversation: Conversation) -> None:
    conversation.silence()


def silence_after_the_request(conversation: Conversation) -> None:
    conversation.request()
    conversation.silence()


def trickled_headers(conversation: Conversation) -> None:
    conversation.request()
    conversation.trickle(SOURCE)


def trickled_body(conversation: Conversation) -> None:
    conversation.request()
    conversation.send(HEAD.replace(b"Content-Length: ", b"Content-Length: 9") + b"\r\n\r\n")
    conversation.trickle(BODY + bytes(900))


def endless_interim_answers(conversation: Conversation) -> None:
    conversation.request()
    while not conversation.pause(0.01):
        conversation.send(b"HTTP/1.1 102 Processing\r\n\r\n")


SLOW = [silence, trickled_headers, trickled_body, endless_interim_answers]


@pytest.mark.parametrize("script", SLOW, ids=lambda script: script.__name__)
def test_a_read_ends_with_its_time_and_leaves_no_connection(caller: Caller, script: Script) -> None:
    with Server(script) as server:
        client = connect(caller, server.origin, timeout=0.5)
        with in_time(), pytest.raises(mc.DeadlineExceededError) as caught:
            caller(client.sources.describe("s-1"))
        assert caught.value.sent
        assert server.connections == 1
        wait_until(caller, server, all_left)


@pytest.mark.parametrize("script", [silence, trickled_body], ids=lambda script: script.__name__)
def test_a_change_that_was_sent_has_an_unknown_outcome_when_its_time_ends(caller: Caller, script: Script) -> None:
    with Server(script) as server:
        client = connect(caller, server.origin, timeout=0.5)
        with in_time(), pytest.raises(mc.OutcomeUnknownError) as caught:
            caller(client.sources.delete("s-1"))
        assert isinstance(caught.value.__cause__, mc.DeadlineExceededError)
        assert server.connections == 1
        wait_until(caller, server, all_left)


def test_the_time_holds_under_tls_too(caller: Caller, trust: Trust) -> None:
    with Server(over_tls(trust.server(), trickled_headers), scheme="https") as server:
        client = connect(caller, server.origin, timeout=0.5, verify=trust.bundle)
        with in_time(), pytest.raises(mc.DeadlineExceededError):
            caller(client.sources.describe("s-1"))
        wait_until(caller, server, all_left)


def test_a_handshake_that_is_never_answered_ends_with_the_time_and_nothing_was_sent(caller: Caller) -> None:
    with Server(silence, scheme="https") as server:
        client = connect(caller, server.origin, timeout=0.5)
        with in_time(), pytest.raises(mc.DeadlineExceededError) as caught:
            caller(client.sources.delete("s-1"))
        assert not caught.value.sent
        wait_until(caller, server, all_left)


def test_a_proxy_that_never_answers_ends_with_the_time_and_nothing_was_sent(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(silence_after_the_request) as proxy:
        monkeypatch.setenv("https_proxy", proxy.origin)
        client = connect(caller, "https://sms.example", timeout=0.5)
        with in_time(), pytest.raises(mc.DeadlineExceededError) as caught:
            caller(client.sources.delete("s-1"))
        assert not caught.value.sent
        wait_until(caller, proxy, all_left)


def test_a_server_that_drinks_slowly_does_not_stretch_the_time(caller: Caller) -> None:
    upload = Request(method="POST", path="/v3/sources", body=bytes(32 * 2**20), repeatable=False)
    with (
        Server(lambda conversation: conversation.sip(2**18)) as server,
        transport(caller, server.origin) as send,
        in_time(),
        pytest.raises(mc.DeadlineExceededError) as caught,
    ):
        send(upload, seconds=0.5)
    assert caught.value.sent


def test_the_addresses_of_a_host_share_its_time(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    name(monkeypatch, "many.example", HOST, HOST, HOST)
    with crowd() as port, transport(caller, f"http://many.example:{port}") as send:
        with in_time(), pytest.raises(mc.DeadlineExceededError) as caught:
            send(seconds=0.5)
        assert not caught.value.sent


def test_a_silent_address_takes_no_more_than_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """In asyncio the addresses are tried side by side."""
    name(monkeypatch, "many.example", HOST, "::1")
    with crowd() as port:
        opened = factory().open(TransportOptions(endpoints={"main": f"http://many.example:{port}"}))
        with in_time(), pytest.raises(mc.RequestNotSentError):  # the second one refused in time
            opened.send(GET, Deadline.after(SystemClock(), 0.5))
        opened.close()


def test_an_address_that_works_is_found_behind_one_that_does_not(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    name(monkeypatch, "many.example", "::1", HOST)
    with Server(answering(SOURCE)) as server, transport(caller, server.at("many.example")) as send:
        assert send().status == 200


# Requests that do not arrive, answers that do not arrive.


@pytest.mark.parametrize("verb", ["describe", "delete"])
def test_a_dead_host_means_not_sent_for_reads_and_changes_alike(caller: Caller, verb: str) -> None:
    with nobody() as origin:
        client = connect(caller, origin, timeout=0.5)
        with in_time(), pytest.raises(mc.RequestNotSentError):
            caller(getattr(client.sources, verb)("s-1"))


@pytest.mark.parametrize("host", ["a..b.example", f"{'x' * 64}.example"])
def test_a_host_that_has_no_address_means_not_sent(caller: Caller, host: str) -> None:
    client = connect(caller, f"https://{host}")
    with pytest.raises(mc.RequestNotSentError):
        caller(client.sources.delete("s-1"))


@pytest.mark.parametrize("host", ["xn--.example", "\N{SNOWMAN}.example", f"{70 * 'ü'}.example"], ids=ascii)
def test_a_host_that_can_have_no_address_is_named_before_any_call(caller: Caller, host: str) -> None:
    with pytest.raises(mc.ConfigurationError, match="host name"):
        connect(caller, f"https://{host}")


def reset_before_the_answer(conversation: Conversation) -> None:
    conversation.request()
    conversation.reset()


def no_answer(conversation: Conversation) -> None:
    conversation.request()


def half_the_headers(conversation: Conversation) -> None:
    conversation.request()
    conversation.send(HEAD[:-4])


def no_http(conversation: Conversation) -> None:
    conversation.request()
    conversation.send(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")


def two_lengths(conversation: Conversation) -> None:
    conversation.request()
    conversation.send(answer({"id": "s-1"}, "200 OK", "Content-Length: 99"))


def body_cut_short(conversation: Conversation) -> None:
    conversation.request()
    conversation.send(answer({"id": "s-1"}, length=99))


def body_reset(conversation: Conversation) -> None:
    conversation.request()
    conversation.send(answer({"id": "s-1"}, length=99))
    conversation.reset()


def chunks_cut_short(conversation: Conversation) -> None:
    conversation.request()
    conversation.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nd\r\n" + BODY + b"\r\n")


def sending(*lines: str, body: bytes = b"ok") -> Script:
    """Make a script that answers with just these lines."""

    def script(conversation: Conversation) -> None:
        conversation.request()
        conversation.send("\r\n".join((*lines, "", "")).encode("latin-1") + body)

    return script


def named(name: str, script: Script) -> Script:
    script.__name__ = name
    return script


OK = "HTTP/1.1 200 OK"
CHUNKED = "Transfer-Encoding: chunked"

UNCLEAR = [
    named("a_line_without_a_colon", sending(OK, "X bad", "Content-Length: 2")),
    named("a_blank_before_a_colon", sending(OK, "X : 1", "Content-Length: 2")),
    named("a_zero_byte", sending(OK, "X: a\0b", "Content-Length: 2")),
    named("a_length_with_a_sign", sending(OK, "Content-Length: +2")),
    named("a_length_with_a_gap", sending(OK, "Content-Length: 1_0", body=bytes(10))),
    named("a_length_that_is_none", sending(OK, "Content-Length: -1")),
    named("no_length_at_all", sending(OK, "Content-Length:")),
    named("another_coding", sending(OK, "Transfer-Encoding: gzip")),
    named("two_codings", sending(OK, "Transfer-Encoding: gzip, chunked", body=b"2\r\nok\r\n0\r\n\r\n")),
    named("a_chunk_of_a_negative_size", sending(OK, CHUNKED, body=b"-2\r\nok\r\n0\r\n\r\n")),
    named("a_chunk_of_no_size", sending(OK, CHUNKED, body=b"\r\nok\r\n0\r\n\r\n")),
    named("a_chunk_that_is_too_long", sending(OK, CHUNKED, body=b"2\r\nokay\r\n0\r\n\r\n")),
    named("no_status", sending("HTTP/1.1 20x OK", "Content-Length: 2")),
    named("no_such_status", sending("HTTP/1.1 099 OK", "Content-Length: 2")),
    named("another_protocol", sending("HTTP/1.1 101 Switching Protocols", "Upgrade: x", "Connection: upgrade")),
]


LOST = [
    reset_before_the_answer,
    no_answer,
    half_the_headers,
    no_http,
    two_lengths,
    body_cut_short,
    body_reset,
    chunks_cut_short,
    *UNCLEAR,
]


@pytest.mark.parametrize("script", LOST, ids=lambda script: script.__name__)
def test_a_read_whose_answer_is_lost_is_sent_three_times(caller: Caller, script: Script) -> None:
    with Server(script) as server:
        client = connect(caller, server.origin)
        with pytest.raises(mc.ResponseLostError):
            caller(client.sources.describe("s-1"))
        assert server.lines == 3 * ["GET /v3/sources/s-1 HTTP/1.1"]


@pytest.mark.parametrize("script", LOST, ids=lambda script: script.__name__)
def test_a_change_whose_answer_is_lost_is_sent_once_and_its_outcome_is_unknown(caller: Caller, script: Script) -> None:
    with Server(script) as server:
        client = connect(caller, server.origin)
        with pytest.raises(mc.OutcomeUnknownError) as caught:
            caller(client.sources.delete("s-1"))
        assert isinstance(caught.value.__cause__, mc.ResponseLostError)
        assert server.lines == ["DELETE /v3/sources/s-1 HTTP/1.1"]


SOUND = [
    named("an_interim_answer_first", sending("HTTP/1.1 103 Early Hints", "Link: x", "", OK, "Content-Length: 2")),
    named("no_reason", sending("HTTP/1.1 200", "Content-Length: 2")),
    named("bare_line_feeds", sending(f"{OK}\nX: 1\nContent-Length: 2")),
    named("a_folded_header", sending(OK, "X: 1", "  2", "Content-Length: 2")),
    named("an_empty_header", sending(OK, "X:", "Content-Length: 2")),
    named("no_ascii", sending(OK, "X: \xfc", "Content-Length: 2")),
    named("many_headers", sending(OK, *(f"X-{number}: 1" for number in range(200)), "Content-Length: 2")),
    named("a_long_header", sending(OK, f"X: {90_000 * 'x'}", "Content-Length: 2")),
    named("until_it_closes", sending(OK)),
    named("an_older_version", sending("HTTP/1.0 200 OK")),
    named("chunks", sending(OK, CHUNKED, body=b"1;a=b\r\no\r\n01\r\nk\r\n0\r\nX: 1\r\n\r\n")),
    named("chunks_in_capitals", sending(OK, "transfer-encoding: CHUNKED", body=b"2\r\nok\r\n0\r\n\r\n")),
]


@pytest.mark.parametrize("script", SOUND, ids=lambda script: script.__name__)
def test_an_answer_in_another_form_is_read(caller: Caller, script: Script) -> None:
    with Server(script) as server, transport(caller, server.origin) as send:
        assert send().body == b"ok"


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST", "PUT"])
@pytest.mark.parametrize("body", [b"", b'{"a": 1}', bytes(200_000)], ids=len)
def test_a_request_is_sent_as_it_is(caller: Caller, method: str, body: bytes) -> None:
    request = Request(
        method=method,
        path="/a%2Fb;c/%C3%BC",
        query=(("a b", "c/d+"), ("x", "")),
        headers={"X-One": " 1 ", "accept": "text/plain"},
        body=body,
        repeatable=False,
    )
    with Server(answering(SOURCE)) as server, transport(caller, server.origin) as send:
        send(request)
    head, _, sent = server.requests[0].partition(b"\r\n\r\n")
    line, *headers = head.decode().split("\r\n")
    assert line == f"{method} /a%2Fb;c/%C3%BC?a%20b=c%2Fd%2B&x= HTTP/1.1"
    own = [name for name in headers if not name.startswith("User-Agent: migrate-core/")]
    length = [f"Content-Length: {len(body)}"] if body or method in ("POST", "PUT") else []
    assert sorted(own) == sorted(
        ["Accept-Encoding: gzip", f"Host: {HOST}:{server.port}", "X-One: 1", "accept: text/plain", *length]
    )
    assert len(headers) == len(own) + 1
    assert sent == body


@pytest.mark.parametrize("wrong", ["X One", "X:One", "", "X\tOne"])
def test_a_header_that_has_no_possible_name_is_not_sent(caller: Caller, wrong: str) -> None:
    with Server(answering(SOURCE)) as server, transport(caller, server.origin) as send:
        with suppress(mc.InvalidArgumentError), pytest.raises(mc.RequestNotSentError):
            send(Request(method="GET", path="/", headers={wrong: "1"}, repeatable=True))
        assert server.requests == []


def test_a_read_recovers_from_a_lost_answer(caller: Caller) -> None:
    with Server(body_cut_short, reset_before_the_answer, answering(SOURCE)) as server:
        client = connect(caller, server.origin)
        assert caller(client.sources.describe("s-1")).id == "s-1"
        assert len(server.requests) == 3


def test_a_connection_that_the_server_closed_meanwhile_does_not_harm_a_change(caller: Caller) -> None:
    def once(conversation: Conversation) -> None:
        conversation.request()
        conversation.send(SOURCE)

    with Server(once, answering(answer(""))) as server:
        client = connect(caller, server.origin)
        caller(client.sources.describe("s-1"))
        wait_until(caller, server, lambda server: server.ended == 1)
        caller(client.sources.delete("s-1"))
        assert server.connections == len(server.requests) == 2


# Answers that make no sense.


def nested(depth: int) -> str:
    return f'{{"id": "s-1", "more": {"[" * depth}{"]" * depth}}}'


def zipped(body: bytes | str, encoding: str = "gzip") -> bytes:
    content = body.encode() if isinstance(body, str) else body
    return answer(gzip.compress(content), "200 OK", f"Content-Encoding: {encoding}")


@pytest.mark.parametrize(
    "body",
    [
        "<html><body>Please sign in</body></html>",
        "all is well",
        "",
        "null",
        '"s-1"',
        '[{"id": "s-1"}]',
        '{"id": "s-1"',
        '{"name": "no id"}',
        b'{"id": "\xff\xfe"}',
        nested(100_000),
        "[" * 100_000,
    ],
    ids=["html", "text", "empty", "null", "string", "array", "cut short", "no id", "no utf-8", "deep", "deep and open"],
)
def test_a_success_that_is_no_source_is_malformed_and_not_asked_for_again(caller: Caller, body: str | bytes) -> None:
    with Server(answering(answer(body, "200 OK", "Content-Type: text/html"))) as server:
        client = connect(caller, server.origin)
        with pytest.raises(mc.MalformedResponseError):
            caller(client.sources.describe("s-1"))
        assert len(server.requests) == 1


@pytest.mark.parametrize("depth", [10, 200, 400, 600, 800, 1_000, 5_000])
def test_nesting_is_read_or_refused_and_never_an_error_of_the_interpreter(caller: Caller, depth: int) -> None:
    with Server(answering(answer(nested(depth)))) as server:
        client = connect(caller, server.origin)
        with nullcontext() if depth < 100 else suppress(mc.MalformedResponseError):
            assert caller(client.sources.describe("s-1")).id == "s-1"


def test_one_gzip_is_undone(caller: Caller) -> None:
    with Server(answering(zipped(BODY), zipped(BODY, "GZIP"))) as server:
        client = connect(caller, server.origin)
        assert caller(client.sources.describe("s-1")).id == "s-1"
        assert caller(client.sources.describe("s-1")).id == "s-1"
        assert b"accept-encoding: gzip\r\n" in server.requests[0].lower()


def test_a_compressed_answer_without_a_body_is_empty(caller: Caller) -> None:
    nothing = b"HTTP/1.1 204 No Content\r\nContent-Encoding: gzip\r\n\r\n"
    with Server(answering(nothing)) as server, transport(caller, server.origin) as send:
        assert send() == Response(status=204, headers={"content-encoding": "gzip"}, body=b"")


@pytest.mark.parametrize(
    "wrong",
    [
        answer(gzip.compress(gzip.compress(BODY)), "200 OK", "Content-Encoding: gzip, gzip"),
        answer(gzip.compress(gzip.compress(BODY)), "200 OK", "Content-Encoding: gzip", "Content-Encoding: gzip"),
        zipped(BODY, "br"),
        zipped(BODY, "deflate"),
        zipped(BODY, "gzip, identity"),
        answer(BODY, "200 OK", "Content-Encoding: gzip"),
        answer(gzip.compress(BODY)[:-9], "200 OK", "Content-Encoding: gzip"),
        answer(gzip.compress(BODY)[:-1] + b"\1", "200 OK", "Content-Encoding: gzip"),
    ],
    ids=["twice", "two headers", "br", "deflate", "with identity", "not compressed", "cut short", "wrong length"],
)
def test_any_other_encoding_is_malformed(caller: Caller, wrong: bytes) -> None:
    with Server(answering(wrong)) as server:
        client = connect(caller, server.origin)
        with pytest.raises(mc.MalformedResponseError):
            caller(client.sources.describe("s-1"))
        assert len(server.requests) == 1


def test_a_small_answer_that_unpacks_into_a_huge_one_is_refused_by_default(caller: Caller) -> None:
    bomb = zipped(bytes(40 * 2**20))
    assert len(bomb) < 2**16
    with Server(answering(bomb)) as server:
        client = connect(caller, server.origin)
        with pytest.raises(mc.MalformedResponseError, match="larger than"):
            caller(client.sources.describe("s-1"))


@pytest.mark.parametrize("pack", [answer, zipped], ids=["plain", "gzip"])
def test_an_answer_may_have_the_most_bytes_and_not_one_more(caller: Caller, pack: Callable[[bytes], bytes]) -> None:
    answers = (pack(bytes(LIMIT)), pack(bytes(LIMIT + 1)))
    with Server(answering(*answers)) as server, transport(caller, server.origin, max_body_bytes=LIMIT) as send:
        assert len(send().body) == LIMIT
        with pytest.raises(mc.MalformedResponseError, match=f"larger than {LIMIT} bytes"):
            send()


def test_an_answer_that_never_ends_is_hung_up_on(caller: Caller) -> None:
    def endless(conversation: Conversation) -> None:
        conversation.request()
        conversation.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            conversation.send(b"1000\r\n" + bytes(0x1000) + b"\r\n")

    with Server(endless) as server, transport(caller, server.origin, max_body_bytes=LIMIT) as send:
        with pytest.raises(mc.MalformedResponseError, match="larger than"):
            send()
        wait_until(caller, server, all_left)


def test_headers_that_never_end_are_hung_up_on(caller: Caller) -> None:
    def endless(conversation: Conversation) -> None:
        conversation.request()
        conversation.send(b"HTTP/1.1 200 OK\r\n")
        while True:
            conversation.send(b"X-More: " + b"x" * 4096 + b"\r\n")

    with Server(endless) as server, transport(caller, server.origin) as send:
        with pytest.raises(mc.ResponseLostError):
            send()
        wait_until(caller, server, all_left)


# Redirects, cookies, proxies: nothing goes to where nobody sent it.


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect"])
@pytest.mark.parametrize("verb", ["describe", "delete"])
def test_a_redirect_is_an_error_and_the_other_host_hears_nothing(caller: Caller, status: str, verb: str) -> None:
    with Server(answering(SOURCE)) as other:
        moved = answer("", status, f"Location: {other.origin}/v3/sources/s-1")
        with Server(answering(moved)) as server:
            client = connect(caller, server.origin)
            with pytest.raises(mc.ApiError) as caught:
                caller(getattr(client.sources, verb)("s-1"))
            assert caught.value.status == int(status[:3])
            assert len(server.requests) == 1
        assert other.connections == 0


@pytest.mark.parametrize(
    "place",
    ["http://a b:x/", "https:///", f"/{'a' * 66_000}", "//[::1", "/\xff", ""],
    ids=["no port", "no host", "too long", "no address", "no ascii", "empty"],
)
def test_a_redirect_to_nowhere_is_the_same_error(caller: Caller, place: str) -> None:
    with Server(answering(answer("", "302 Found", f"Location: {place}"))) as server:
        client = connect(caller, server.origin)
        with pytest.raises(mc.ApiError) as caught:
            caller(client.sources.delete("s-1"))
        assert caught.value.status == 302


def test_a_cookie_is_never_sent_back(caller: Caller) -> None:
    with Server(answering(answer({"id": "s-1"}, "200 OK", "Set-Cookie: session=abc; Path=/"))) as server:
        client = connect(caller, server.origin)
        caller(client.sources.describe("s-1"))
        caller(client.sources.describe("s-1"))
        assert len(server.requests) == 2
        assert not any(b"cookie" in request.lower() for request in server.requests)


def test_netrc_is_not_read(caller: Caller, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text(f"machine {HOST} login me password of-another-service\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with Server(answering(SOURCE)) as server:
        caller(connect(caller, server.origin).sources.describe("s-1"))
        assert b"authorization" not in server.requests[0].lower()


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_a_proxy_of_the_environment_is_used(caller: Caller, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    with Server(answering(SOURCE)) as proxy:
        monkeypatch.setenv(variable, proxy.at("me:pass%40word@127.0.0.1"))
        client = connect(caller, "http://sms.example", verify=False, trust_env=True)
        caller(client.sources.describe("s-1"))
        assert proxy.lines == ["GET http://sms.example/v3/sources/s-1 HTTP/1.1"]
        login = b64encode(b"me:pass@word").lower()
        assert b"proxy-authorization: basic " + login + b"\r\n" in proxy.requests[0].lower()


def test_a_proxy_may_be_named_without_a_scheme(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(answering(SOURCE)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.origin.removeprefix("http://"))
        caller(connect(caller, "http://sms.example", verify=False).sources.describe("s-1"))
        assert len(proxy.requests) == 1


@pytest.mark.parametrize("exempt", ["sms.example", "sms.example:{port}", "example", "other, sms.example", "*"])
def test_no_proxy_is_obeyed(caller: Caller, monkeypatch: pytest.MonkeyPatch, exempt: str) -> None:
    name(monkeypatch, "sms.example", HOST)
    with Server(answering(SOURCE)) as proxy, Server(answering(SOURCE)) as server:
        monkeypatch.setenv("http_proxy", proxy.origin)
        monkeypatch.setenv("no_proxy", exempt.format(port=server.port))
        caller(connect(caller, server.at("sms.example"), verify=False).sources.describe("s-1"))
        assert (proxy.connections, server.connections) == (0, 1)


def test_this_machine_is_reached_without_a_proxy(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(answering(SOURCE)) as proxy, Server(answering(SOURCE)) as server:
        monkeypatch.setenv("http_proxy", proxy.origin)
        caller(connect(caller, server.origin).sources.describe("s-1"))
        assert (proxy.connections, server.connections) == (0, 1)


def test_without_trust_in_the_environment_its_proxies_are_ignored(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    name(monkeypatch, "sms.example", HOST)
    with Server(answering(SOURCE)) as proxy, Server(answering(SOURCE)) as server:
        monkeypatch.setenv("http_proxy", proxy.origin)
        monkeypatch.setenv("all_proxy", proxy.origin)
        client = connect(caller, server.at("sms.example"), verify=False, trust_env=False)
        caller(client.sources.describe("s-1"))
        assert (proxy.connections, server.connections) == (0, 1)


@pytest.mark.parametrize("url", ["ftp://me:secret@proxy.example", "http://me:secret@proxy.example:port"])
def test_a_proxy_that_cannot_be_used_is_named_before_any_call_and_without_its_password(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("http_proxy", url)
    with pytest.raises(mc.ConfigurationError, match="proxy") as caught:
        connect(caller, "http://sms.example", verify=False)
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__


def tunnel(context: ssl.SSLContext, script: Script) -> Script:
    """Make the script of a proxy that plays the server behind itself."""

    def proxied(conversation: Conversation) -> None:
        conversation.request()
        conversation.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        over_tls(context, script)(conversation)

    return proxied


def test_a_proxy_sees_no_credentials_of_an_https_service(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, trust: Trust
) -> None:
    with Server(tunnel(trust.server("sms.example"), answering(SOURCE))) as proxy:
        monkeypatch.setenv("https_proxy", proxy.origin)
        client = connect(caller, "https://sms.example", verify=trust.bundle)
        caller(client.sources.describe("s-1"))
        assert proxy.lines == ["CONNECT sms.example:443 HTTP/1.1", "GET /v3/sources/s-1 HTTP/1.1"]
        assert TOKEN.encode() not in proxy.requests[0]
        assert TOKEN.encode() in proxy.requests[1]


@pytest.fixture
def known(trust: Trust, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the system know the authority."""
    monkeypatch.setenv("SSL_CERT_FILE", trust.bundle)
    _tls._made.cache_clear()
    yield
    _tls._made.cache_clear()


@pytest.mark.usefixtures("known")
def test_a_proxy_may_speak_tls(caller: Caller, monkeypatch: pytest.MonkeyPatch, trust: Trust) -> None:
    with secure(trust) as proxy:
        monkeypatch.setenv("http_proxy", proxy.at("me:pass-word@127.0.0.1"))
        caller(connect(caller, "http://sms.example", verify=False).sources.describe("s-1"))
        assert proxy.lines == ["GET http://sms.example/v3/sources/s-1 HTTP/1.1"]
        assert b64encode(b"me:pass-word") in proxy.requests[0]


@pytest.mark.usefixtures("known")
def test_a_proxy_that_speaks_tls_leads_to_services_that_do(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, trust: Trust
) -> None:
    service = "127.0.0.2"
    behind = tunnel(trust.server(service), answering(SOURCE, answer({"id": "s-1", "name": "x" * 100_000})))
    with secure(trust, behind) as proxy:
        monkeypatch.setenv("https_proxy", proxy.at("me:pass-word@127.0.0.1"))
        client = connect(caller, f"https://{service}", verify=trust.bundle)
        assert caller(client.sources.describe("s-1")).id == "s-1"
        assert len(caller(client.sources.describe("s-1")).name) == 100_000
        connecting, *others = proxy.requests
        assert proxy.lines == [f"CONNECT {service}:443 HTTP/1.1", *2 * ["GET /v3/sources/s-1 HTTP/1.1"]]
        assert b64encode(b"me:pass-word") in connecting
        assert TOKEN.encode() not in connecting
        assert b64encode(b"me:pass-word") not in b"".join(others)
        assert proxy.connections == 1
        caller(client.close())
        wait_until(caller, proxy, all_left)


def test_a_proxy_that_nobody_vouches_for_learns_nothing(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, trust: Trust
) -> None:
    with secure(trust) as proxy:
        monkeypatch.setenv("https_proxy", proxy.at("me:pass-word@127.0.0.1"))
        client = connect(caller, "https://sms.example", thumbprint=trust.thumbprint)
        with pytest.raises(mc.RequestNotSentError, match="CERTIFICATE_VERIFY_FAILED"):
            caller(client.sources.delete("s-1"))
        wait_until(caller, proxy, all_left)
        assert proxy.received == b""


def test_a_thumbprint_holds_through_a_proxy(caller: Caller, monkeypatch: pytest.MonkeyPatch, trust: Trust) -> None:
    with Server(tunnel(trust.server("sms.example"), answering(SOURCE))) as proxy:
        monkeypatch.setenv("https_proxy", proxy.origin)
        client = connect(caller, "https://sms.example", thumbprint="0" * 64)
        with pytest.raises(mc.RequestNotSentError, match="thumbprint"):
            caller(client.sources.delete("s-1"))
        assert not any(TOKEN.encode() in request for request in proxy.requests)


@pytest.mark.parametrize("status", ["403 Forbidden", "407 Proxy Authentication Required", "502 Bad Gateway"])
def test_a_proxy_that_refuses_means_not_sent(caller: Caller, monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    with Server(answering(answer("no", status))) as proxy:
        monkeypatch.setenv("https_proxy", proxy.origin)
        with pytest.raises(mc.RequestNotSentError, match=status[:3]):
            caller(connect(caller, "https://sms.example").sources.delete("s-1"))


def test_a_service_that_was_down_behind_a_proxy_is_reached_again(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, trust: Trust
) -> None:
    is_up = threading.Event()
    up = tunnel(trust.server("sms.example"), answering(SOURCE))

    def proxied(conversation: Conversation) -> None:
        if is_up.is_set():
            up(conversation)
        else:
            conversation.request()
            conversation.send(b"HTTP/1.1 200 Connection established\r\n\r\n")

    with Server(proxied) as proxy:
        monkeypatch.setenv("https_proxy", proxy.origin)
        client = connect(caller, "https://sms.example", verify=trust.bundle)
        for _ in range(40):
            with pytest.raises(mc.RequestNotSentError):
                caller(client.sources.delete("s-1"))
        is_up.set()
        assert caller(client.sources.describe("s-1")).id == "s-1"


@pytest.mark.parametrize("kind", ["token", "login", "key"])
def test_no_credential_is_in_a_url(caller: Caller, kind: str) -> None:
    simulator = HuaweiSmsSimulator()
    [source_id] = simulator.add_sources(1)
    with serve(simulator):
        client = caller.connect("huawei_sms", **simulator.settings(kind))
        caller(client.sources.describe(source_id))
        caller.list(client.sources.list())
    secrets = {value for name, value in simulator.credentials.items() if name not in ("iam_endpoint", "project_name")}
    secrets |= {entry.headers["x-auth-token"] for entry in simulator.journal if "x-auth-token" in entry.headers}
    said = [f"{entry.path} {entry.query}" for entry in simulator.journal]
    assert len(said) >= 2
    assert not [secret for secret in secrets if any(secret in line for line in said)]


def test_blanks_around_a_credential_are_not_sent_and_not_shown(caller: Caller) -> None:
    with Server(answering(SOURCE)) as server:
        client = caller.connect("huawei_sms", endpoint=server.origin, token=f" {TOKEN} ")
        assert caller(client.sources.describe("s-1")).id == "s-1"
        assert b"x-auth-token: the-token\r\n" in server.requests[0].lower()


# TLS.


class Trust:
    """An authority that nobody knows, and the certificates that it signs."""

    def __init__(self, folder: Path) -> None:
        self._authority = trustme.CA()
        self.bundle = str(folder / "authority.pem")
        self._authority.cert_pem.write_to_path(self.bundle)
        self._good = self._authority.issue_cert(HOST)

    def server(self, name: str = HOST, not_after: datetime | None = None) -> ssl.SSLContext:
        """Make the context of a server that shows a certificate for `name`."""
        begun = datetime(2020, 1, 1, tzinfo=UTC)
        good = name == HOST and not_after is None
        shown = self._good if good else self._authority.issue_cert(name, not_before=begun, not_after=not_after)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        shown.configure_cert(context)
        return context

    @property
    def thumbprint(self) -> str:
        """The fingerprint of the certificate for the loopback host, as a browser shows it."""
        encoded = ssl.PEM_cert_to_DER_cert(self._good.cert_chain_pems[0].bytes().decode())
        return hashlib.sha256(encoded).digest().hex(":").upper()


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    return Trust(tmp_path_factory.mktemp("trust"))


def secure(trust: Trust, script: Script | None = None, **given: Any) -> Server:
    """Make a server that speaks TLS."""
    return Server(over_tls(trust.server(**given), script or answering(SOURCE)), scheme="https")


def refused(caller: Caller, server: Server, **settings: Any) -> pytest.ExceptionInfo[mc.RequestNotSentError]:
    """Check that a change is not sent to `server`, not one byte of it, and that no connection is left open."""
    client = connect(caller, server.origin, **settings)
    with pytest.raises(mc.RequestNotSentError) as caught:
        caller(client.sources.delete("s-1"))
    wait_until(caller, server, all_left)
    assert server.connections > 0
    assert server.received == b""
    return caught


def test_an_unknown_authority_is_refused_by_default(caller: Caller, trust: Trust) -> None:
    with secure(trust) as server:
        assert "CERTIFICATE_VERIFY_FAILED" in str(refused(caller, server).value)


def test_an_authority_of_ones_own_is_accepted(caller: Caller, trust: Trust) -> None:
    with secure(trust) as server:
        client = connect(caller, server.origin, verify=trust.bundle)
        assert caller(client.sources.describe("s-1")).id == "s-1"


def test_a_certificate_for_another_host_is_refused(caller: Caller, trust: Trust) -> None:
    with secure(trust, name="other.example") as server:
        assert "certificate is not valid for" in str(refused(caller, server, verify=trust.bundle).value)


def test_an_expired_certificate_is_refused(caller: Caller, trust: Trust) -> None:
    with secure(trust, not_after=datetime(2021, 1, 1, tzinfo=UTC)) as server:
        assert "expired" in str(refused(caller, server, verify=trust.bundle).value)


def test_a_server_without_tls_is_refused(caller: Caller) -> None:
    def plain(conversation: Conversation) -> None:
        conversation.send(SOURCE)
        conversation.silence()

    with Server(plain, scheme="https") as server:
        client = connect(caller, server.origin)
        with pytest.raises(mc.RequestNotSentError):
            caller(client.sources.delete("s-1"))
        wait_until(caller, server, all_left)
        assert TOKEN.encode() not in server.received


def test_the_certificate_with_the_right_thumbprint_is_accepted_without_its_authority(
    caller: Caller, trust: Trust
) -> None:
    with secure(trust) as server:
        client = connect(caller, server.origin, thumbprint=trust.thumbprint)
        assert caller(client.sources.describe("s-1")).id == "s-1"


def test_a_certificate_with_another_thumbprint_is_refused_even_if_its_authority_is_known(
    caller: Caller, trust: Trust
) -> None:
    with secure(trust) as server:
        caught = refused(caller, server, thumbprint="0" * 64, verify=trust.bundle)
        assert trust.thumbprint.replace(":", "").lower() in str(caught.value)


def test_verification_can_be_switched_off_with_a_warning(caller: Caller, trust: Trust) -> None:
    with secure(trust, name="other.example") as server:
        with pytest.warns(UserWarning, match="not verified"):
            client = connect(caller, server.origin, verify=False)
        assert caller(client.sources.describe("s-1")).id == "s-1"


def test_a_ca_bundle_that_cannot_be_read_is_named(caller: Caller, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    for name in ("missing.pem", "empty.pem"):
        with pytest.raises(mc.ConfigurationError, match=name):
            connect(caller, "https://127.0.0.1", verify=str(tmp_path / name))


def test_tls_that_breaks_after_the_handshake_is_a_lost_answer(caller: Caller, trust: Trust) -> None:
    def garbled(conversation: Conversation) -> None:
        conversation.request()
        conversation.garble(b"this is no TLS record")

    with secure(trust, garbled) as server:
        client = connect(caller, server.origin, verify=trust.bundle)
        with pytest.raises(mc.ResponseLostError):
            caller(client.sources.describe("s-1"))
        assert len(server.requests) == 3
        with pytest.raises(mc.OutcomeUnknownError):
            caller(client.sources.delete("s-1"))
        assert len(server.requests) == 4


def test_a_server_that_wants_a_certificate_of_ours_gives_an_error_of_ours(caller: Caller, trust: Trust) -> None:
    context = trust.server()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(trust.bundle)
    with Server(over_tls(context, answering(SOURCE)), scheme="https") as server:
        client = connect(caller, server.origin, verify=trust.bundle)
        with pytest.raises(mc.TransportError):
            caller(client.sources.describe("s-1"))
        assert server.received == b""


# Ids.


def test_an_id_is_one_segment_whatever_it_holds(caller: Caller) -> None:
    with Server(answering(SOURCE, answer(""))) as server:
        client = connect(caller, server.origin)
        caller(client.sources.describe("a/b?c#d%2F"))
        caller(client.sources.delete("a/b?c#d%2F"))
        caller(client.targets.unlock("a/b?c#d%2F"))
        caller(client.sources.delete("../ü ;,:@&=+$~"))
        assert server.lines == [
            "GET /v3/sources/a%2Fb%3Fc%23d%252F HTTP/1.1",
            "DELETE /v3/sources/a%2Fb%3Fc%23d%252F HTTP/1.1",
            "POST /v3/tasks/a%2Fb%3Fc%23d%252F/unlock HTTP/1.1",
            "DELETE /v3/sources/..%2F%C3%BC%20%3B%2C%3A%40%26%3D%2B%24~ HTTP/1.1",
        ]


@pytest.mark.parametrize(
    "bad", ["", ".", "..", "a\nb", "a\r\nHost: b", "a\0", "\x7f", "\ud800", "a" * 1025], ids=lambda bad: ascii(bad[:12])
)
def test_what_cannot_be_an_id_is_refused_before_any_connection(caller: Caller, bad: str) -> None:
    with Server(answering(SOURCE)) as server:
        client = connect(caller, server.origin)
        for verb in (client.sources.describe, client.sources.delete, client.targets.unlock):
            with pytest.raises(mc.InvalidArgumentError):
                caller(verb(bad))
        assert server.connections == 0


# What is left behind: in logs, in connections, in threads.


def test_no_log_record_holds_a_credential_or_a_query(
    caller: Caller, caplog: pytest.LogCaptureFixture, library: str
) -> None:
    simulator = HuaweiSmsSimulator()
    [source_id] = simulator.add_sources(1)
    caplog.set_level(logging.DEBUG)
    with serve(simulator):
        client = caller.connect("huawei_sms", **simulator.settings("login"))
        caller(client.sources.describe(source_id))
        caller.list(client.sources.list())
    session = simulator.journal[-1].headers["x-auth-token"]
    login = simulator.settings("login")
    said = "\n".join(record.getMessage() for record in caplog.records) + caplog.text
    logged = {record.name.partition(".")[0] for record in caplog.records}
    assert logged >= {"migrate_core", *(["httpcore"] if library == "httpx" else [])}
    assert not [secret for secret in (session, login["password"], login["username"]) if secret in said]
    assert [entry.query for entry in simulator.journal if entry.query]
    assert not [part for part in ("nocatalog", "limit=", "offset=") if part in said]


def test_no_log_record_holds_the_login_of_a_proxy(
    caller: Caller, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, trust: Trust, library: str
) -> None:
    caplog.set_level(logging.DEBUG)
    with Server(tunnel(trust.server("sms.example"), answering(SOURCE))) as proxy:
        monkeypatch.setenv("https_proxy", proxy.at("me:pass-word@127.0.0.1"))
        caller(connect(caller, "https://sms.example", verify=trust.bundle).sources.describe("s-1"))
    if library == "httpx":
        logging.getLogger("httpcore.socks").debug("setup_socks5_connection.started auth=(b'me', b'pass-word')")
        assert "httpcore.proxy" in {record.name for record in caplog.records}
        assert "setup_socks5_connection" in caplog.text
    for secret in ("pass-word", b64encode(b"me:pass-word").decode(), TOKEN):
        assert secret not in caplog.text


@pytest.mark.parametrize("script", LOST, ids=lambda script: script.__name__)
def test_no_error_holds_a_credential(caller: Caller, script: Script) -> None:
    with Server(script) as server:
        with pytest.raises(mc.OutcomeUnknownError) as caught:
            caller(connect(caller, server.origin).sources.delete("s-1"))
        error: BaseException | None = caught.value
        while error:
            assert TOKEN not in f"{error} {error!r} {error.args}"
            error = error.__cause__


def test_one_connection_serves_many_calls_and_closing_leaves_nothing(caller: Caller) -> None:
    with Server(answering(SOURCE)) as server:
        threads = set(threading.enumerate())
        client = connect(caller, server.origin)
        for _ in range(20):
            caller(client.sources.describe("s-1"))
        assert (server.connections, len(server.requests)) == (1, 20)
        assert {thread for thread in threading.enumerate() if not thread.name.startswith("misbehaving")} <= threads
        caller(client.close())
        wait_until(caller, server, all_left)
        gc.collect()


@pytest.mark.parametrize(
    "more", [answer("stale"), answer("stale", length=9), b"junk"], ids=["an answer", "half an answer", "junk"]
)
def test_what_comes_with_an_answer_is_nobodys_answer(caller: Caller, more: bytes) -> None:
    def generous(conversation: Conversation) -> None:
        conversation.request()
        conversation.send(answer("first") + more)
        conversation.silence()

    with Server(generous, answering(answer("second"))) as server, transport(caller, server.origin) as send:
        try:
            assert send().body == b"first"
        except mc.ResponseLostError:
            assert more == b"junk"  # which can be a part of the answer, and a broken one is none
        assert send().body == b"second"
        assert server.connections == 2


def test_one_tls_connection_serves_many_calls_and_closing_leaves_nothing(caller: Caller, trust: Trust) -> None:
    with secure(trust) as server:
        threads = set(threading.enumerate())
        client = connect(caller, server.origin, thumbprint=trust.thumbprint)
        for _ in range(20):
            caller(client.sources.describe("s-1"))
        assert (server.connections, len(server.requests)) == (1, 20)
        assert {thread for thread in threading.enumerate() if not thread.name.startswith("misbehaving")} <= threads
        caller(client.close())
        wait_until(caller, server, all_left)
        gc.collect()


def half_a_body(conversation: Conversation) -> None:
    conversation.request()
    conversation.send(answer({"id": "s-1"}, length=99))
    conversation.silence()


@pytest.mark.parametrize("script", [silence, half_a_body], ids=lambda script: script.__name__)
def test_a_cancelled_call_closes_its_connection_and_the_client_works_on(script: Script) -> None:
    with Server(script, answering(SOURCE)) as server:
        asyncio.run(cancelled_once(server))


def test_a_call_cancelled_in_its_handshake_closes_its_connection(trust: Trust) -> None:
    with Server(silence, over_tls(trust.server(), answering(SOURCE)), scheme="https") as server:
        asyncio.run(cancelled_once(server, verify=trust.bundle))


async def cancelled_once(server: Server, **settings: Any) -> None:
    """Cancel a call once the server has heard of it; then call again."""
    async with mc.connect_async("huawei_sms", endpoint=server.origin, token=TOKEN, **settings) as client:
        call = asyncio.create_task(client.sources.describe("s-1"))
        await asyncio.to_thread(server.wait_until, lambda server: bool(server.received))
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.to_thread(server.wait_until, lambda server: server.left == 1)
        assert (await client.sources.describe("s-1")).id == "s-1"
    await asyncio.to_thread(server.wait_until, all_left)
    assert server.connections == 2
