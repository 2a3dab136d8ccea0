"""The transports, and what both clients make of them, against servers that misbehave on real sockets.

What a server does on purpose is in ``test_hostile_wire``.
"""

from __future__ import annotations

import asyncio
import gc
import ssl
import threading
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import migrate_core as mc
from migrate_core import _tls
from migrate_core.clock import Deadline, SystemClock
from migrate_core.provider import Request
from migrate_core.transports import TransportOptions
from misbehaving import HOST, Conversation, Script, Server, answer, answering, crowd, nobody, over_tls
from support import Caller
from transports import (
    BODY,
    GET,
    HEAD,
    SECONDS,
    SOURCE,
    TOKEN,
    Trust,
    all_left,
    connect,
    factory,
    in_time,
    named,
    resolve,
    secure,
    sending,
    silence,
    told,
    transport,
    tunnel,
    wait_until,
)

pytestmark = pytest.mark.usefixtures("library")


# The time that a call is allowed.


def silence_after_the_request(conversation: Conversation) -> None:
    conversation.request()
    conversation.silence()


def test_a_handshake_that_is_never_answered_ends_with_the_time_and_nothing_was_sent(caller: Caller) -> None:
    with Server(silence, scheme="https") as server:
        client = connect(caller, server.origin, timeout=SECONDS)
        with in_time(), pytest.raises(mc.DeadlineExceededError) as caught:
            caller(client.sources.delete("s-1"))
        assert not caught.value.sent
        wait_until(caller, server, all_left)


def test_a_proxy_that_never_answers_ends_with_the_time_and_nothing_was_sent(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(silence_after_the_request) as proxy:
        monkeypatch.setenv("https_proxy", proxy.origin)
        client = connect(caller, "https://sms.example", timeout=SECONDS)
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
        send(upload, seconds=SECONDS)
    assert caught.value.sent


def test_the_addresses_of_a_host_share_its_time(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, "many.example", *24 * [HOST])
    with crowd() as port, transport(caller, f"http://many.example:{port}") as send:
        with in_time(), pytest.raises(mc.DeadlineExceededError) as caught:
            send(seconds=SECONDS)
        assert not caught.value.sent


def test_a_silent_address_takes_no_more_than_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """In asyncio the addresses are tried side by side."""
    resolve(monkeypatch, "many.example", HOST, "::1")
    with crowd() as port:
        opened = factory().open(TransportOptions(endpoints={"main": f"http://many.example:{port}"}))
        with in_time(), pytest.raises(mc.RequestNotSentError):  # the second one refused in time
            opened.send(GET, Deadline.after(SystemClock(), SECONDS))
        opened.close()


def test_an_address_that_works_is_found_behind_one_that_does_not(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve(monkeypatch, "many.example", "::1", HOST)
    with Server(answering(SOURCE)) as server, transport(caller, server.at("many.example")) as send:
        assert send().status == 200


# Requests that do not arrive, answers that do not arrive.


@pytest.mark.parametrize("verb", ["describe", "delete"])
def test_a_dead_host_means_not_sent_for_reads_and_changes_alike(caller: Caller, verb: str) -> None:
    with nobody() as origin:
        client = connect(caller, origin, timeout=20.0)  # more than three attempts take
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
        assert TOKEN not in told(caught.value)
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


# Proxies.


def test_a_proxy_may_be_named_without_a_scheme(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(answering(SOURCE)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.origin.removeprefix("http://"))
        caller(connect(caller, "http://sms.example", verify=False).sources.describe("s-1"))
        assert len(proxy.requests) == 1


@pytest.mark.parametrize("exempt", ["sms.example", "sms.example:{port}", "example", "other, sms.example", "*"])
def test_no_proxy_is_obeyed(caller: Caller, monkeypatch: pytest.MonkeyPatch, exempt: str) -> None:
    resolve(monkeypatch, "sms.example", HOST)
    with Server(answering(SOURCE)) as proxy, Server(answering(SOURCE)) as server:
        monkeypatch.setenv("http_proxy", proxy.origin)
        monkeypatch.setenv("no_proxy", exempt.format(port=server.port))
        caller(connect(caller, server.at("sms.example"), verify=False).sources.describe("s-1"))
        assert (proxy.connections, server.connections) == (0, 1)


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


def test_blanks_around_a_credential_are_not_sent_and_not_shown(caller: Caller) -> None:
    with Server(answering(SOURCE)) as server:
        client = caller.connect("huawei_sms", endpoint=server.origin, token=f" {TOKEN} ")
        assert caller(client.sources.describe("s-1")).id == "s-1"
        assert b"x-auth-token: the-token\r\n" in server.requests[0].lower()


# TLS.


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


# What is left behind: in connections, in threads.


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
