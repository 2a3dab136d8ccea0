"""What a hostile server, or whoever sits on the wire, can do to a client: over real sockets, with both transports.

A row for each thing that an HTTP client leaves open by default, and that this library closes.
"""

from __future__ import annotations

import functools
import gzip
import json
import logging
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import pytest

import migrate_core as mc
from extras import without_fast_json
from migrate_core import models
from migrate_core.clock import Deadline
from migrate_core.provider import BaseProvider, Capability, Flow, Operation, Page, Request, Response, Support
from migrate_core.testing import Simulator, VirtualClock, new_simulator, serve
from migrate_core.transports import TransportOptions
from migrate_huawei_sms.simulator import HuaweiSmsSimulator
from misbehaving import HOST, Conversation, Script, Server, answer, answering, over_tls
from support import Caller
from transports import (
    BODY,
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

OK = "HTTP/1.1 200 OK"
CHUNKED = "Transfer-Encoding: chunked"
LIMIT = 10_000
EVIL = "a\r\nX-Evil: 1"

SRM = {"username": "me", "password": "pass-word"}
AWS = {"region": "eu-central-1", "access_key": "AKIDEXAMPLE", "secret_key": "secret-key"}
VENDORS: Mapping[str, Mapping[str, str]] = {"huawei_sms": {"token": TOKEN}, "vmware_srm": SRM, "aws_mgn": AWS}


def connected(caller: Caller, vendor: str | type[BaseProvider], origin: str, **settings: Any) -> Any:
    """Make a client of any vendor; it waits between attempts in no time."""
    given = VENDORS.get(vendor, {}) if isinstance(vendor, str) else {}
    return caller.connect(vendor, endpoint=origin, clock=VirtualClock(), **{**given, **settings})


def vendor_saying(*answers: bytes) -> Script:
    """Make the script of a vendor that lets everybody log in, and then gives `answers`, the last one for ever."""
    left = list(answers)

    def script(conversation: Conversation) -> None:
        while True:
            line = conversation.request().partition(b"\r\n")[0]
            if line.endswith(b"/session HTTP/1.1"):
                conversation.send(answer({"session_id": "the-session"}))
            else:
                conversation.send(left.pop(0) if len(left) > 1 else left[0])

    return script


def verb_of(client: Any, name: str) -> Callable[..., Any]:
    """Give a method of a client, such as ``sources.describe``."""
    resource, _, verb = name.partition(".")
    method: Callable[..., Any] = getattr(getattr(client, resource), verb)
    return method


# Redirects.

MOVED = ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"]


@pytest.mark.parametrize("status", MOVED)
def test_a_redirect_is_an_error_and_the_other_host_hears_nothing(caller: Caller, status: str) -> None:
    with Server(answering(SOURCE)) as other:
        moved = answer("", status, f"Location: {other.origin}/v3/sources/s-1")
        with Server(answering(moved)) as server:
            client = connect(caller, server.origin)
            for verb in (client.sources.describe, client.sources.delete):
                with pytest.raises(mc.ApiError) as caught:
                    caller(verb("s-1"))
                assert caught.value.status == int(status[:3])
            assert len(server.requests) == 2
        assert other.connections == 0


@pytest.mark.parametrize("vendor", ["huawei_sms", "vmware_srm"])
def test_a_login_is_not_redirected(caller: Caller, vendor: str) -> None:
    with Server(answering(SOURCE)) as other:
        with Server(answering(answer("", MOVED[3], f"Location: {other.origin}/login"))) as server:
            login = {"iam_endpoint": server.origin, "domain_name": "us", "token": None}
            client = connected(caller, vendor, server.origin, **SRM, **(login if vendor == "huawei_sms" else {}))
            with pytest.raises(mc.ApiError):
                caller.list((client.sources if vendor == "huawei_sms" else client.pairings).list())
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


# Ids.

PLACES: Mapping[str, Mapping[str, str]] = {
    "huawei_sms": {
        "sources.describe": "GET /v3/sources/{}",
        "sources.delete": "DELETE /v3/sources/{}",
        "targets.unlock": "POST /v3/tasks/{}/unlock",
    },
    "vmware_srm": {
        "pairings.describe": "GET /api/rest/srm/v2/pairings/{}",
        "pairings.delete": "DELETE /api/rest/srm/v2/pairings/{}",
        "tasks.get": "GET /api/rest/srm/v2/tasks/{}",
    },
    "aws_mgn": {"sources.describe": "", "sources.delete": "", "tasks.get": ""},
}
"""Each operation that takes an id, and where the id goes; in the last vendor's paths there are none."""

ODD_IDS = [
    *("../tasks", "..%2ftasks", "%2e%2e", "%2e", "..;", "x?y=1", "x#f", "a/b", "a\\b", "\\", "/", "//", "..\\..", "%"),
    *("%00", "%0d%0aX-Evil: 1", "a b", "a;b=c", "a&b", "a@b", ":", "é", "\u2603", "\u2028", "\u202e", "\x85", "*", "~"),
    *("http://other.example/x", "//other.example", "@other.example", "{}"),
]
NO_IDS = ["", ".", "..", "a\nb", EVIL, "a\0", "\t", "\x1b[2J", "\x7f", "\ud800", "a" * 1025]


@pytest.mark.parametrize("vendor", VENDORS)
def test_an_id_is_one_segment_on_the_wire_or_nothing_is(caller: Caller, vendor: str) -> None:
    with Server(vendor_saying(answer("{}", "404 Not Found"))) as server:
        client = connected(caller, vendor, server.origin)
        for verb, place in PLACES[vendor].items():
            for odd in ODD_IDS:
                with pytest.raises(mc.NotFoundError if place else mc.InvalidArgumentError):
                    caller(verb_of(client, verb)(odd))
        sent = [line for line in server.lines if "/session" not in line]
        wanted = [place.format(quote(odd, safe="")) for place in PLACES[vendor].values() if place for odd in ODD_IDS]
        assert sent == [f"{line} HTTP/1.1" for line in wanted]
        assert all(b"x-evil" not in request.partition(b"\r\n")[2].lower() for request in server.requests)


@pytest.mark.parametrize("vendor", VENDORS)
def test_what_cannot_be_an_id_opens_no_connection(caller: Caller, vendor: str) -> None:
    with Server(vendor_saying(SOURCE)) as server:
        client = connected(caller, vendor, server.origin)
        for verb in PLACES[vendor]:
            for bad in NO_IDS:
                with pytest.raises(mc.InvalidArgumentError):
                    caller(verb_of(client, verb)(bad))
        assert server.connections == 0


def test_ids_that_a_server_gives_are_encoded_too(caller: Caller) -> None:
    task = {"id": "../pairings/p-2?x=1", "status": "RUNNING"}
    gone = answer("{}", "404 Not Found")
    with Server(vendor_saying(answer(task, "202 Accepted"), gone)) as server:
        started = caller(connected(caller, "vmware_srm", server.origin).pairings.delete("p#1"))
        caller(started.wait())
        assert server.lines[-2:] == [
            "GET /api/rest/srm/v2/tasks/..%2Fpairings%2Fp-2%3Fx%3D1 HTTP/1.1",
            "GET /api/rest/srm/v2/pairings/p%231 HTTP/1.1",
        ]


# Links to other hosts.


class Follower(BaseProvider):
    """A vendor whose pages name the next one by a link, which the plug-in follows as it is."""

    name = "follower"
    capabilities: ClassVar[Mapping[Operation, Capability]] = {Operation.LIST_SOURCES: Capability(Support.FULL)}
    query: ClassVar[tuple[tuple[str, str], ...]] = ()
    proof: ClassVar[Mapping[str, str]] = {"Authorization": TOKEN}
    origin = ""

    def endpoints(self) -> Mapping[str, str]:
        """Name the one that the test serves."""
        return {"main": self.origin}

    def error_from(self, response: Response) -> mc.ApiError:
        """Tell nothing apart."""
        return mc.ServerError("no", provider=self.name, status=response.status)

    def authenticate(self, request: Request, *, origin: str, now: datetime) -> Mapping[str, str]:
        """Give what the test says."""
        return self.proof

    def list_sources(self, cursor: str | None) -> Flow[Page[models.SourceServer]]:
        """Ask for the page at the link."""
        response = yield Request(method="GET", path=cursor or "/sources", query=self.query, repeatable=True)
        return Page((), response.json_object()["next"])


def follower(origin: str, **given: Any) -> type[Follower]:
    """Make the plug-in for an origin."""
    return type("Follower", (Follower,), {"origin": origin, **given})


@pytest.mark.parametrize(
    "link", ["{}/sources", "//{}/sources", "/\\{}/sources", "\\\\{}/x", "@{}/x", "?u={}", "{}", ""]
)
def test_a_plug_in_that_follows_a_link_reaches_no_other_host(caller: Caller, link: str) -> None:
    with Server(answering(SOURCE)) as other:
        place = other.origin if link == "{}/sources" else other.origin.removeprefix("http://")
        with Server(answering(answer({"next": link.format(place)}))) as server:
            client = caller.connect(follower(server.origin))
            with pytest.raises(mc.InvalidArgumentError if link else mc.MalformedResponseError):
                caller.list(client.sources.list())
            assert {line.split()[1] for line in server.lines} == {"/sources"}
        assert other.connections == 0


def linking_to(link: str) -> Mapping[str, Any]:
    """Give a page of each vendor's list that links to the next one in whatever way its pages can."""
    links = {"next": {"href": link}, "self": {"href": link}}
    return {
        "huawei_sms": {"count": 2, "source_servers": [{"id": "s-1"}], "next": link, "links": links},
        "vmware_srm": {"list": [{"pairing_id": "p-1"}], "_meta": {"offset": 0, "limit": 1, "links": links}},
        "aws_mgn": {"items": [{"sourceServerID": "s-1"}], "nextToken": link},
    }


@pytest.mark.parametrize("vendor", VENDORS)
def test_links_in_the_answers_of_a_vendor_are_not_followed(caller: Caller, vendor: str) -> None:
    with Server(answering(SOURCE)) as other:
        link = f"{other.origin}/v3/sources"
        first = answer(linking_to(link)[vendor], "200 OK", f"Link: <{link}>; rel=next")
        last = answer({"source_servers": [], "list": [], "items": []})
        with Server(vendor_saying(first, last)) as server:
            client = connected(caller, vendor, server.origin)
            resource = client.pairings if vendor == "vmware_srm" else client.sources
            assert len(caller.list(resource.list())) == 1
            assert len([line for line in server.lines if "/session" not in line]) == 2
        assert other.connections == 0


# What is shown: values, errors, logs.


class Watched:
    """The transport that the test is about, and what went through it, as a user's own transport would see it."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def open(self, options: TransportOptions) -> Any:
        """Open it for threads."""
        return _Watching(factory().open(options), self.seen)

    def open_async(self, options: TransportOptions) -> Any:
        """Open it for an event loop."""
        return _AsyncWatching(factory().open_async(options), self.seen)


class _Watching:
    def __init__(self, inner: Any, seen: list[Any]) -> None:
        self._inner, self._seen = inner, seen
        self.close = inner.close

    def send(self, request: Request, deadline: Deadline) -> Response:
        self._seen.append(request)
        self._seen.append(self._inner.send(request, deadline))
        return self._seen[-1]  # type: ignore[no-any-return]


class _AsyncWatching(_Watching):
    async def send(self, request: Request, deadline: Deadline) -> Response:  # type: ignore[override]
        self._seen.append(request)
        self._seen.append(await self._inner.send(request, deadline))
        return self._seen[-1]  # type: ignore[no-any-return]


LOGGERS = ("", "migrate_core", "httpx", "httpcore", "aiohttp", "asyncio", "urllib3")
SIGN_INS = [
    *(("huawei_sms", kind) for kind in ("token", "login", "key")),
    *(("aws_mgn", kind) for kind in ("key", "session")),
    ("vmware_srm", "both"),
]


@pytest.fixture
def logged(caller: Caller, caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Log all that anybody logs; gives what was."""
    for name in LOGGERS:
        caplog.set_level(logging.DEBUG, logger=name)
    if caller._runner:
        loop = caller._runner.get_loop()
        loop.set_debug(True)
        loop.slow_callback_duration = 0.0  # so that each step is logged
    return lambda: caplog.text + "".join(f"{record.msg} {record.args} {record.__dict__}" for record in caplog.records)


@pytest.mark.parametrize(("vendor", "kind"), SIGN_INS)
def test_nothing_that_is_shown_holds_a_credential(
    caller: Caller, logged: Callable[[], str], library: str, vendor: str, kind: str
) -> None:
    simulator = new_simulator(vendor, clock=VirtualClock())  # so that each request is signed alike
    watched = Watched()
    with serve(simulator):
        settings = simulator.settings(kind)
        client = caller.connect(vendor, clock=simulator.clock, **{**settings, "transport": watched})
        call = client.pairings.list if vendor == "vmware_srm" else client.sources.list
        caller.list(call())
        simulator.faults.answer(403, json.dumps({"message": json.dumps(dict(simulator.journal[-1].headers))}))
        with pytest.raises(mc.ApiError) as caught:
            caller.list(call())
    secrets = secrets_in(simulator, client, settings)
    assert secrets
    values = (client, client._engine.provider.settings, *watched.seen)
    for shown in (logged(), told(caught.value), *map(repr, values)):
        assert not [secret for secret in secrets if secret in shown], shown[:2000]
    assert "migrate_core" in logged()
    assert ("httpcore" in logged()) is (library == "httpx")


def secrets_in(simulator: Simulator, client: Any, settings: Mapping[str, Any]) -> set[str]:
    """Give the credentials that a client has, those that it was given, and what it made of them."""
    fields = {field.name: field for field in type(client._engine.provider.settings).__attrs_attrs__}
    given = {text for name, text in settings.items() if fields[name].metadata["secret"]}
    proofs = ("authorization", "x-auth-token", "x-dr-session", "x-amz-security-token")
    sent = {entry.headers[name] for entry in simulator.journal for name in proofs if name in entry.headers}
    return given | {part for text in sent for part in (text, text.rpartition(" ")[2], text.rpartition("Signature=")[2])}


def test_no_log_record_holds_a_query(caller: Caller, logged: Callable[[], str]) -> None:
    simulator = HuaweiSmsSimulator()
    simulator.add_sources(1)
    with serve(simulator):
        caller.list(caller.connect("huawei_sms", **simulator.settings("login")).sources.list())
    assert {name for entry in simulator.journal for name, _ in entry.query} == {"nocatalog", "limit", "offset"}
    assert not [part for part in ("nocatalog", "limit=", "offset=") if part in logged()]


def test_no_log_record_holds_the_login_of_a_proxy(
    caller: Caller, logged: Callable[[], str], monkeypatch: pytest.MonkeyPatch, trust: Trust, library: str
) -> None:
    with Server(tunnel(trust.server("sms.example"), answering(SOURCE))) as proxy:
        monkeypatch.setenv("https_proxy", proxy.at("me:pass-word@127.0.0.1"))
        caller(connect(caller, "https://sms.example", verify=trust.bundle).sources.describe("s-1"))
    if library == "httpx":
        logging.getLogger("httpcore.socks").debug("setup_socks5_connection.started auth=(b'me', b'pass-word')")
        assert "httpcore.proxy" in logged()
        assert "setup_socks5_connection" in logged()
    for secret in ("pass-word", b64encode(b"me:pass-word").decode(), TOKEN):
        assert secret not in logged()


@pytest.mark.parametrize(
    "head",
    [f"{OK}\r\nX-Subject-Token: opensesame\0", "HTTP/1.1 2OO opensesame", f"{OK}\r\n{CHUNKED}\r\n\r\nopensesame"],
    ids=["header", "status", "chunk"],
)
def test_neither_an_error_nor_a_log_quotes_what_cannot_be_read(
    caller: Caller, logged: Callable[[], str], head: str
) -> None:
    with Server(sending(head)) as server, transport(caller, server.origin) as send:
        with pytest.raises(mc.ResponseLostError) as caught:
            send()
        assert "opensesame" not in told(caught.value) + logged()


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


# How large an answer may be, packed and unpacked.


def zipped(body: bytes | str, encoding: str = "gzip") -> bytes:
    content = body.encode() if isinstance(body, str) else body
    return answer(gzip.compress(content), "200 OK", f"Content-Encoding: {encoding}")


def packed(body: bytes, *encodings: str) -> bytes:
    return answer(body, "200 OK", *(f"Content-Encoding: {encoding}" for encoding in encodings))


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


GZIP = gzip.compress(BODY)
ENCODINGS = {
    "twice": packed(gzip.compress(GZIP), "gzip, gzip"),
    "two headers": packed(gzip.compress(GZIP), "gzip", "gzip"),
    "twice, said once": packed(gzip.compress(GZIP), "gzip"),
    "br": packed(BODY, "br"),
    "zstd": packed(BODY, "zstd"),
    "deflate": packed(zlib.compress(BODY), "deflate"),
    "with identity": packed(GZIP, "gzip, identity"),
    "not compressed": packed(BODY, "gzip"),
    "not said": packed(GZIP),
    "cut short": packed(GZIP[:-9], "gzip"),
    "wrong length": packed(GZIP[:-1] + b"\1", "gzip"),
    "garbage after it": packed(GZIP + b"garbage", "gzip"),
    "another after it": packed(GZIP + gzip.compress(b" "), "gzip"),
}


def test_any_other_encoding_is_malformed(caller: Caller) -> None:
    with Server(answering(*ENCODINGS.values())) as server:
        client = connect(caller, server.origin)
        for what in ENCODINGS:
            with pytest.raises(mc.MalformedResponseError):
                pytest.fail(f"{what}: {caller(client.sources.describe('s-1'))}")
        assert len(server.requests) == len(ENCODINGS)


@functools.cache
def bomb() -> bytes:
    """Give a small answer that unpacks into more than any may have by default."""
    return zipped(bytes(33 * 2**20))


def test_a_small_answer_that_unpacks_into_a_huge_one_is_refused_by_default(caller: Caller) -> None:
    assert len(bomb()) < 2**16
    with Server(answering(bomb())) as server:
        client = connect(caller, server.origin)
        with pytest.raises(mc.MalformedResponseError, match=f"larger than {32 * 2**20} bytes"):
            caller(client.sources.describe("s-1"))


@pytest.mark.parametrize("pack", [answer, zipped], ids=["plain", "gzip"])
def test_an_answer_may_have_the_most_bytes_and_not_one_more(caller: Caller, pack: Callable[[bytes], bytes]) -> None:
    answers = (pack(bytes(LIMIT)), pack(bytes(LIMIT + 1)))
    with Server(answering(*answers)) as server, transport(caller, server.origin, max_body_bytes=LIMIT) as send:
        assert len(send().body) == LIMIT
        with pytest.raises(mc.MalformedResponseError, match=f"larger than {LIMIT} bytes"):
            send()


@pytest.fixture(params=["argument", "text", "environment", "profile"])
def set_to(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Any], Any]:
    """Each place where a setting can stand; gives what `connect` is then to be told."""

    def put(value: int) -> dict[str, Any]:
        if request.param == "environment":
            monkeypatch.setenv("MIGRATE_MAX_BODY_BYTES", str(value))
        elif request.param == "profile":
            (tmp_path / "profiles.toml").write_text(f'[site]\nprovider = "huawei_sms"\nmax_body_bytes = {value}\n')
            monkeypatch.setenv("MIGRATE_PROFILES_FILE", str(tmp_path / "profiles.toml"))
            return {"profile": "site"}
        else:
            return {"max_body_bytes": value if request.param == "argument" else str(value)}
        return {}

    return put


def test_the_most_bytes_are_a_setting_of_every_provider(caller: Caller, set_to: Callable[[int], Any]) -> None:
    whole = answer({"id": "s-1", "name": "x" * 100})
    size = len(whole.partition(b"\r\n\r\n")[2])
    with Server(answering(whole)) as server:
        client = connect(caller, server.origin, **set_to(size))
        assert caller(client.sources.describe("s-1")).id == "s-1"
        client = connect(caller, server.origin, **set_to(size - 1))
        with pytest.raises(mc.MalformedResponseError, match=f"larger than {size - 1} bytes"):
            caller(client.sources.describe("s-1"))


@pytest.mark.parametrize(
    "wrong",
    ["32MiB", "1.5", 1.5, "nan", 0, "0", -1, True, "", b"1", [1], "9" * 5000],
    ids=lambda wrong: repr(wrong)[:9],
)
def test_a_size_that_is_none_is_named_before_any_call(caller: Caller, wrong: Any) -> None:
    with pytest.raises(mc.ConfigurationError, match="max_body_bytes is a whole number of bytes above 0, not") as caught:
        connect(caller, "https://sms.example", max_body_bytes=wrong)
    assert len(str(caught.value)) < 200


def test_a_size_may_be_as_large_as_one_likes(caller: Caller) -> None:
    with Server(answering(zipped(BODY))) as server:
        assert caller(connect(caller, server.origin, max_body_bytes=2**100).sources.describe("s-1")).id == "s-1"


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


# What JSON may hold, with the libraries of the extra ``fast`` and without.


@pytest.fixture(params=["fast json", "plain json"])
def reader(request: pytest.FixtureRequest) -> Iterator[None]:
    """Read with msgspec, and with the standard library."""
    if request.param == "fast json":
        yield
        return
    with without_fast_json():
        yield


def nested(depth: int) -> str:
    """Give a source whose JSON is that deep."""
    return f'{{"id": "s-1", "more": {"[" * (depth - 1)}{"]" * (depth - 1)}}}'


@pytest.mark.usefixtures("reader")
def test_an_answer_may_be_nested_a_hundred_deep_and_no_deeper(caller: Caller) -> None:
    too_deep = [101, 200, 900, 1_000, 5_000, 100_000]
    answers = [nested(100), *map(nested, too_deep), "[" * 100_000, '{"a":' * 20_000]
    with Server(answering(*map(answer, answers))) as server:
        client = connect(caller, server.origin)
        assert caller(client.sources.describe("s-1")).id == "s-1"
        for _ in answers[1:]:
            with pytest.raises(mc.MalformedResponseError, match="the answer is nested deeper than 100 levels"):
                caller(client.sources.describe("s-1"))
        assert len(server.requests) == len(answers)


NO_SOURCES = {
    "html": "<html><body>Please sign in</body></html>",
    "text": "all is well",
    "empty": "",
    "null": "null",
    "string": '"s-1"',
    "array": '[{"id": "s-1"}]',
    "cut short": '{"id": "s-1"',
    "no id": '{"name": "no id"}',
    "no utf-8": b'{"id": "\xff\xfe"}',
    "half a character": b'{"id": "\xed\xa0\x80"}',
    "UTF-16": '{"id": "s-1"}'.encode("utf-16"),
    "UTF-16 without a mark": '{"id": "s-1"}'.encode("utf-16-le"),
    "UTF-32": '{"id": "s-1"}'.encode("utf-32"),
    "a number of 4301 digits": f'{{"id": "s-1", "state": {"9" * 4301}}}',
    "a number of a million digits": f'{{"id": "s-1", "state": -{"9" * 1_000_000}}}',
}
ODD_SOURCES = {
    "a mark": b'\xef\xbb\xbf{"id": "s-1"}',
    "twice": '{"id": "s-0", "id": "s-1"}',
    "NaN": '{"id": "s-1", "state": NaN, "memory": NaN, "add_date": NaN}',
    "infinite": '{"id": "s-1", "memory": -Infinity, "add_date": 1e999, "cpu_quantity": Infinity}',
    "huge": f'{{"id": "s-1", "memory": {"9" * 4300}, "add_date": {"9" * 4300}, "cpu_quantity": {"9" * 4300}}}',
    "half an escape": '{"id": "s-1", "name": "\\ud800"}',
}


@pytest.mark.usefixtures("reader")
def test_a_success_that_is_no_source_is_malformed_and_not_asked_for_again(caller: Caller) -> None:
    answers = [answer(body, "200 OK", "Content-Type: text/html") for body in NO_SOURCES.values()]
    with Server(answering(*answers)) as server:
        client = connect(caller, server.origin)
        for what in NO_SOURCES:
            with pytest.raises(mc.MalformedResponseError):
                pytest.fail(f"{what}: {caller(client.sources.describe('s-1'))}")
        assert len(server.requests) == len(answers)


@pytest.mark.usefixtures("reader")
def test_a_source_with_odd_values_is_read_all_the_same(caller: Caller) -> None:
    with Server(answering(*map(answer, ODD_SOURCES.values()))) as server:
        client = connect(caller, server.origin)
        for what in ODD_SOURCES:
            assert caller(client.sources.describe("s-1")).id == "s-1", what


# The time that a call is allowed, whatever comes in it.


def trickled_headers(conversation: Conversation) -> None:
    conversation.request()
    conversation.trickle(SOURCE)


def trickled_body(conversation: Conversation) -> None:
    conversation.request()
    conversation.send(HEAD.replace(b"Content-Length: ", b"Content-Length: 9") + b"\r\n\r\n")
    conversation.trickle(BODY + bytes(900))


def trickled_chunks(conversation: Conversation) -> None:
    conversation.request()
    conversation.send(f"{OK}\r\n{CHUNKED}\r\n\r\n".encode())
    while not conversation.pause(0.1):
        conversation.send(b"1\r\n \r\n")


def endless_interim_answers(conversation: Conversation) -> None:
    conversation.request()
    while not conversation.pause(0.01):
        conversation.send(b"HTTP/1.1 102 Processing\r\n\r\n")


def endless_extensions(conversation: Conversation) -> None:
    conversation.request()
    conversation.send(f"{OK}\r\n{CHUNKED}\r\n\r\n".encode())
    while True:
        conversation.send(b"1;" + b"x" * 8000 + b"\r\n \r\n")


SLOW = [silence, trickled_headers, trickled_body, trickled_chunks, endless_interim_answers, endless_extensions]


def ended_late(caller: Caller, script: Script, verb: str, seconds: float = SECONDS) -> mc.MigrateError:
    """Call a vendor that comes to no end; gives the error.

    On a machine too busy to send the request in the time, once more with more of it.
    """
    with Server(script) as server:
        client = connect(caller, server.origin, timeout=seconds)
        with in_time(), pytest.raises(mc.MigrateError) as caught:
            caller(verb_of(client, verb)("s-1"))
        error = caught.value
        if isinstance(error, mc.DeadlineExceededError) and not error.sent and seconds == SECONDS:
            return ended_late(caller, script, verb, 10 * SECONDS)
        assert server.connections == 1
        wait_until(caller, server, all_left)
    return error


@pytest.mark.parametrize("script", SLOW, ids=lambda script: script.__name__)
def test_a_read_ends_with_its_time_and_leaves_no_connection(caller: Caller, script: Script) -> None:
    error = ended_late(caller, script, "sources.describe")
    assert isinstance(error, mc.DeadlineExceededError)
    assert error.sent


@pytest.mark.parametrize("script", [silence, trickled_body], ids=lambda script: script.__name__)
def test_a_change_that_was_sent_has_an_unknown_outcome_when_its_time_ends(caller: Caller, script: Script) -> None:
    error = ended_late(caller, script, "sources.delete")
    assert isinstance(error, mc.OutcomeUnknownError)
    assert isinstance(error.__cause__, mc.DeadlineExceededError)


def test_the_time_holds_under_tls_too(caller: Caller, trust: Trust) -> None:
    with Server(over_tls(trust.server(), trickled_headers), scheme="https") as server:
        client = connect(caller, server.origin, timeout=SECONDS, verify=trust.bundle)
        with in_time(), pytest.raises(mc.DeadlineExceededError):
            caller(client.sources.describe("s-1"))
        wait_until(caller, server, all_left)


# Cookies, and passwords that were meant for others.


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


# Proxies.


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_a_proxy_of_the_environment_is_used(caller: Caller, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    with Server(answering(SOURCE)) as proxy:
        monkeypatch.setenv(variable, proxy.at("me:pass%40word@127.0.0.1"))
        client = connect(caller, "http://sms.example", verify=False, trust_env=True)
        caller(client.sources.describe("s-1"))
        assert proxy.lines == ["GET http://sms.example/v3/sources/s-1 HTTP/1.1"]
        login = b64encode(b"me:pass@word").lower()
        assert b"proxy-authorization: basic " + login + b"\r\n" in proxy.requests[0].lower()


def test_this_machine_is_reached_without_a_proxy(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(answering(SOURCE)) as proxy, Server(answering(SOURCE)) as server:
        monkeypatch.setenv("http_proxy", proxy.origin)
        caller(connect(caller, server.origin).sources.describe("s-1"))
        assert (proxy.connections, server.connections) == (0, 1)


def test_without_trust_in_the_environment_its_proxies_are_ignored(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve(monkeypatch, "sms.example", HOST)
    with Server(answering(SOURCE)) as proxy, Server(answering(SOURCE)) as server:
        monkeypatch.setenv("http_proxy", proxy.origin)
        monkeypatch.setenv("all_proxy", proxy.origin)
        client = connect(caller, server.at("sms.example"), verify=False, trust_env=False)
        caller(client.sources.describe("s-1"))
        assert (proxy.connections, server.connections) == (0, 1)


@pytest.mark.parametrize("url", ["ftp://me:opensesame@proxy.example", "http://me:opensesame@proxy.example:port"])
def test_a_proxy_that_cannot_be_used_is_named_before_any_call_and_without_its_password(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("http_proxy", url)
    with pytest.raises(mc.ConfigurationError, match="proxy") as caught:
        connect(caller, "http://sms.example", verify=False)
    assert "opensesame" not in told(caught.value)


# TLS.


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


# Headers and queries that would say more than they should.


@pytest.mark.parametrize("bad", [EVIL, "a\n", "a\0b", "\x7f"], ids=ascii)
def test_no_setting_brings_a_header_along(caller: Caller, bad: str) -> None:
    with Server(answering(SOURCE)) as server:
        for vendor, given in VENDORS.items():
            for name in given:
                with pytest.raises(mc.ConfigurationError, match=name) as caught:
                    connected(caller, vendor, server.origin, **{name: bad})
                assert "Evil" not in told(caught.value)
        assert server.connections == 0


@pytest.mark.parametrize("session", [EVIL, "a\nb", "a\0b", "\u2603", "\x85"], ids=ascii)
def test_a_session_that_a_server_gives_brings_no_header_along(caller: Caller, session: str) -> None:
    with Server(answering(answer({"session_id": session}))) as server:
        client = connected(caller, "vmware_srm", server.origin)
        with pytest.raises(mc.MalformedResponseError, match="no usable session"):
            caller(client.pairings.describe("p-1"))
        assert len(server.requests) == 1


@pytest.mark.parametrize("token", ["\xe9", "a\x85b", "a\xa0b", "a\tb"], ids=ascii)
def test_a_token_that_a_server_gives_is_sent_back_whole_or_not_at_all(caller: Caller, token: str) -> None:
    handed_out = answer({"token": {}}, "201 Created").replace(
        b"\r\n", f"\r\nX-Subject-Token: {token}\r\n".encode("latin-1"), 1
    )
    with Server(answering(handed_out)) as server:
        login = {"iam_endpoint": server.origin, "domain_name": "us", "token": None, **SRM}
        client = connected(caller, "huawei_sms", server.origin, **login)
        with pytest.raises(mc.MalformedResponseError, match="no usable X-Subject-Token"):
            caller(client.sources.describe("s-1"))
        assert len(server.requests) == 1


def test_a_folded_token_is_one_line_when_it_is_sent_back(caller: Caller) -> None:
    handed_out = answer({"token": {}}, "201 Created", "X-Subject-Token: one", " X-Evil: 1")
    with Server(answering(handed_out), answering(SOURCE)) as server:
        login = {"iam_endpoint": server.origin, "domain_name": "us", "token": None, **SRM}
        caller(connected(caller, "huawei_sms", server.origin, **login).sources.describe("s-1"))
        assert b"\r\nx-auth-token: one x-evil: 1\r\n" in server.requests[1].lower()


@pytest.mark.parametrize("proof", [{"Authorization": EVIL}, {"X-A\r\nX-Evil": "1"}, {"X-A": "a\0"}, {"X-\xc4": "1"}])
def test_a_plug_in_cannot_prove_itself_with_a_header_too_many(caller: Caller, proof: Mapping[str, str]) -> None:
    with Server(answering(answer({"next": None}))) as server:
        client = caller.connect(follower(server.origin, proof=proof))
        with pytest.raises(mc.InvalidArgumentError, match="characters that no header may") as caught:
            caller.list(client.sources.list())
        assert "Evil: 1" not in told(caught.value)
        assert server.connections == 0


@pytest.mark.parametrize("wrong", ["X One", "X:One", "", "X\tOne"])
def test_a_header_that_has_no_possible_name_is_not_sent(caller: Caller, wrong: str) -> None:
    with Server(answering(SOURCE)) as server, transport(caller, server.origin) as send:
        with suppress(mc.InvalidArgumentError), pytest.raises(mc.RequestNotSentError):
            send(Request(method="GET", path="/", headers={wrong: "1"}, repeatable=True))
        assert server.requests == []


def test_a_query_stays_in_its_line(caller: Caller) -> None:
    query = (("a", f"b HTTP/1.1\r\nX-Evil: 1\r\n\r\n{EVIL}"), ("&c#", "\0\x7f?=&\u2603"))
    with Server(answering(answer({"next": None}))) as server:
        assert caller.list(caller.connect(follower(server.origin, query=query)).sources.list()) == []
        [request] = server.requests
        assert server.lines == [
            "GET /sources?a=b%20HTTP%2F1.1%0D%0AX-Evil%3A%201%0D%0A%0D%0Aa%0D%0AX-Evil%3A%201"
            "&%26c%23=%00%7F%3F%3D%26%E2%98%83 HTTP/1.1"
        ]
        assert b"x-evil:" not in request.lower()


# Answers of the wrong form: headers without end, two ends, two answers.


def endlessly(begin: str, more: bytes) -> Script:
    """Make a script that answers and never stops."""

    def script(conversation: Conversation) -> None:
        conversation.request()
        conversation.send(begin.encode())
        while True:
            conversation.send(more)

    return script


ENDLESS = [
    named("headers", endlessly(f"{OK}\r\n", b"X-More: " + b"x" * 4096 + b"\r\n")),
    named("one_header", endlessly(f"{OK}\r\nX-More: ", bytes([120]) * 65536)),
    named("one_name", endlessly(f"{OK}\r\n", bytes([120]) * 65536)),
    named("status", endlessly(OK, bytes([120]) * 65536)),
    named("trailers", endlessly(f"{OK}\r\n{CHUNKED}\r\n\r\n2\r\nok\r\n0\r\n", b"X-More: " + b"x" * 4096 + b"\r\n")),
]


@pytest.mark.parametrize("script", ENDLESS, ids=lambda script: script.__name__)
def test_what_never_ends_is_hung_up_on(caller: Caller, script: Script) -> None:
    with Server(script) as server, transport(caller, server.origin) as send:
        with pytest.raises(mc.ResponseLostError):
            send()
        wait_until(caller, server, all_left)


def test_an_extension_that_never_ends_is_hung_up_on(caller: Caller, library: str) -> None:
    """The parser of aiohttp keeps nothing of it, so there it ends with the time."""
    kept = caller.kind == "sync" or library == "httpx"
    endless = endlessly(f"{OK}\r\n{CHUNKED}\r\n\r\n2;", bytes([120]) * 65536)
    with Server(endless) as server, transport(caller, server.origin) as send:
        with in_time(), pytest.raises(mc.ResponseLostError if kept else mc.DeadlineExceededError):
            send(seconds=10 * SECONDS if kept else SECONDS)
        wait_until(caller, server, all_left)


BOMBS = [
    named("a_header_of_a_MiB", sending(OK, f"X: {2**20 * 'x'}", "Content-Length: 2")),
    named("a_name_of_a_MiB", sending(OK, f"{2**20 * 'x'}: 1", "Content-Length: 2")),
    named("a_reason_of_a_MiB", sending(OK + 2**20 * "x", "Content-Length: 2")),
    named(
        "headers_of_a_MiB", sending(OK, *(f"X-{number}: {1000 * 'x'}" for number in range(1000)), "Content-Length: 2")
    ),
    named("a_length_beyond_all", sending(OK, f"Content-Length: {30 * '9'}")),
]


@pytest.mark.parametrize("script", BOMBS, ids=lambda script: script.__name__)
def test_a_head_of_a_megabyte_is_no_answer(caller: Caller, script: Script) -> None:
    with Server(script) as server, transport(caller, server.origin) as send:
        with pytest.raises(mc.ResponseLostError) as caught:
            send()
        assert len(str(caught.value)) < 300


def test_thousands_of_headers_are_read_or_refused_and_the_next_call_works(caller: Caller) -> None:
    many, second = answer("first", "200 OK", *(f"X-{number % 9}: 1" for number in range(5000))), answer("second")
    with Server(answering(many, second), answering(second)) as server, transport(caller, server.origin) as send:
        with suppress(mc.ResponseLostError):
            assert len(send().headers) == 10
        assert send().body == b"second"


@pytest.mark.parametrize("lines", [("Content-Length: 14", CHUNKED), (CHUNKED, "Content-Length: 2")], ids=ascii)
def test_an_answer_that_says_twice_where_it_ends_is_none(caller: Caller, lines: tuple[str, str]) -> None:
    both = "\r\n".join((OK, *lines, "", "4", "okay", "0", "", "")).encode()
    second = answer("second")
    with Server(answering(both, second), answering(second)) as server, transport(caller, server.origin) as send:
        with pytest.raises(mc.ResponseLostError):
            send()
        assert send().body == b"second"


def test_interim_answers_are_passed_over_however_many(caller: Caller) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: <http://other.example>\r\nSet-Cookie: a=b\r\n\r\n" * 1000
    with (
        Server(answering(hints + answer("first"), answer("second"))) as server,
        transport(caller, server.origin) as send,
    ):
        assert send() == Response(status=200, headers={"content-length": "5"}, body=b"first")
        assert send().body == b"second"


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


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_the_body_of_an_answer_that_has_none_is_nobodys_answer(caller: Caller, status: str) -> None:
    def generous(conversation: Conversation) -> None:
        conversation.request()
        conversation.send(answer(answer("stale"), status))
        conversation.silence()

    with Server(generous, answering(answer("second"))) as server, transport(caller, server.origin) as send:
        with suppress(mc.ResponseLostError):
            assert send().body == b""
        assert send().body == b"second"
