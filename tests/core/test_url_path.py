"""Ids in paths, and requests that cannot be made to say more than they should."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import migrate_core as mc
from migrate_core.provider import Request, Response, json_body, url_path

ODD_IDS = ["../tasks", "x?y=1", "x#f", "a/b", "a\\b", "%2e%2e", "%", "a b", "ä", "😀", "...", ".a", "a;b", "a:b@c", "*"]


def segments(path: str) -> list[str]:
    return path.split("/")[1:]


# Ids.


@given(st.text())
def test_an_id_is_one_segment_whole_or_refused(source_id: str) -> None:
    try:
        path = url_path("v3", "sources", source_id, "unlock")
    except mc.InvalidArgumentError:
        assert refusable(source_id)
        return
    assert not refusable(source_id)
    assert path.isascii()
    assert len(segments(path)) == 4
    assert [unquote(segment) for segment in segments(path)] == ["v3", "sources", source_id, "unlock"]
    assert urlsplit(f"https://sms.example{path}").path == path
    assert Request(method="GET", path=path, repeatable=True).target == path


def refusable(text: str) -> bool:
    control = any(character < " " or character == "\x7f" for character in text)
    surrogate = any("\ud800" <= character <= "\udfff" for character in text)
    return text in ("", ".", "..") or control or surrogate or len(text) > 1024


@pytest.mark.parametrize("source_id", ODD_IDS)
def test_an_odd_id_reaches_no_other_resource(source_id: str) -> None:
    path = url_path("sources", source_id)
    assert path.startswith("/sources/")
    assert not set(path.removeprefix("/sources/")) & set("/?#\\ ")
    assert unquote(path) == f"/sources/{source_id}"


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1), min_size=2, max_size=2, unique=True)
)
def test_two_ids_never_share_a_path(ids: list[str]) -> None:
    one, other = (f"id-{text}" for text in ids)
    assert url_path(one) != url_path(other)


@pytest.mark.parametrize(
    "source_id",
    ["", ".", "..", "a\nb", "a\r\nHost: evil", "\x00", "\x7f", "\t", "x" * 1025, "\ud800", "a\udfffb"],
)
def test_what_cannot_be_an_id_is_refused(source_id: str) -> None:
    with pytest.raises(mc.InvalidArgumentError, match="cannot be an id"):
        url_path("sources", source_id)


@pytest.mark.parametrize("source_id", [None, 7, b"s-1", ["s-1"], True])
def test_what_is_no_text_is_no_id(source_id: object) -> None:
    with pytest.raises(mc.InvalidArgumentError, match=f"an id is text, not {type(source_id).__name__}"):
        url_path("sources", source_id)  # type: ignore[arg-type]


def test_the_longest_id_is_let_through() -> None:
    assert url_path("x" * 1024) == "/" + "x" * 1024


def test_a_refusal_shows_no_more_of_an_id_than_helps() -> None:
    with pytest.raises(mc.InvalidArgumentError) as raised:
        url_path("x" * 100_000)
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize("source_id", ["", "..", "a\nb", "\ud800"])
def test_a_client_refuses_such_an_id_too(source_id: str) -> None:
    with (
        mc.connect("huawei_sms", endpoint="https://sms.example", token="t") as client,
        pytest.raises(mc.InvalidArgumentError),
    ):
        client.sources.describe(source_id)


# Requests.


def request(path: str = "/v3", **given: object) -> Request:
    return Request(method="GET", path=path, repeatable=True, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "path",
    [
        *("", "v3", "//evil.example/v3", "https://evil.example/v3", "/v3?x=1", "/v3#f", "/v3 /x", "/v3\r\nHost: x"),
        *("/v3/../x", "/v3/..", "/./v3", "/..", "/v3\\x", "/v3\t", "/v3\x7f", "/v3\u2028"),
    ],
)
def test_what_is_no_plain_path_is_refused(path: str) -> None:
    with pytest.raises(mc.InvalidArgumentError, match=r"build it with url_path\(\)"):
        request(path)


@pytest.mark.parametrize("path", ["/v3/é", "/v3/\ud800", "/v3/😀"])
def test_a_path_that_was_not_encoded_is_refused(path: str) -> None:
    with pytest.raises(mc.InvalidArgumentError, match=r"build it with url_path\(\)"):
        request(path)


@pytest.mark.parametrize("path", ["/", "/v3", "/v3/", "/v3/a%2Fb", "/v3/...", "/v3/.a", "/a:b", "/a;b=c,d"])
def test_a_plain_path_is_taken_as_it_is(path: str) -> None:
    assert request(path).target == path


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "b\r\nX-Evil: 1"},
        {"X-A": "b\n"},
        {"X-A": "b\x00"},
        {"X-A\r\nX-Evil": "1"},
        {"X-A": "b\x7f"},
        {"X-A": "ä"},
        {"X-Ä": "a"},
        {"X-A": "\ud800"},
    ],
)
def test_a_header_cannot_bring_another_one_along(headers: dict[str, str]) -> None:
    with pytest.raises(mc.InvalidArgumentError, match="header") as raised:
        request(headers=headers)
    assert "Evil: 1" not in str(raised.value)


def test_a_refused_header_does_not_show_its_value() -> None:
    with pytest.raises(mc.InvalidArgumentError) as raised:
        request(headers={"Authorization": "opensesame\n"})
    assert "opensesame" not in f"{raised.value} {raised.value!r}"
    assert "Authorization" in str(raised.value)


@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")))))
def test_a_query_is_encoded_whole_and_keeps_its_order(pairs: list[tuple[str, str]]) -> None:
    target = request("/v3", query=pairs).target
    path, _, query = target.partition("?")
    assert path == "/v3"
    assert not set(query) & set("/?# \r\n")
    read = [tuple(map(unquote, pair.split("="))) for pair in query.split("&")] if query else []
    assert read == pairs


def test_no_query_leaves_no_question_mark() -> None:
    assert request("/v3").target == "/v3"
    assert request("/v3", query=[("a", "b c"), ("a", "&=")]).target == "/v3?a=b%20c&a=%26%3D"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}, b"x", {"a": "\ud800"}])
def test_a_body_that_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(mc.InvalidArgumentError, match="cannot be encoded as JSON"):
        json_body(value)


def test_a_body_is_compact_utf_8() -> None:
    assert json_body({"a": ["ä", 1, None]}) == '{"a":["ä",1,null]}'.encode()


# What is shown of them.


def test_the_repr_of_a_request_shows_neither_header_values_nor_its_body() -> None:
    shown = repr(
        request("/v3", headers={"Authorization": "opensesame", "X-Id": "opensesame"}, body=b'{"p":"opensesame"}')
    )
    assert "opensesame" not in shown
    assert "<Authorization, X-Id>" in shown
    assert "<18 bytes>" in shown


def test_the_repr_of_a_response_shows_neither_header_values_nor_its_body() -> None:
    shown = repr(Response(status=200, headers={"set-cookie": "opensesame"}, body=b"opensesame"))
    assert "opensesame" not in shown
    assert "<set-cookie>" in shown
    assert "<10 bytes>" in shown


# Responses.


@pytest.mark.parametrize("body", [b"", b"<html>opensesame</html>", b"{", b"\xff\xfe", b"1" * 5000])
def test_what_is_no_json_is_a_malformed_answer_that_is_not_quoted(body: bytes) -> None:
    answer = Response(status=200, headers={"content-type": "text/html"}, body=body)
    with pytest.raises(mc.MalformedResponseError, match=f"text/html, {len(body)} bytes") as raised:
        answer.json()
    assert "opensesame" not in str(raised.value)


@pytest.mark.parametrize(("body", "kind"), [(b"[]", "list"), (b"null", "NoneType"), (b'"x"', "str"), (b"1", "int")])
def test_json_that_is_no_object_is_told_from_one(body: bytes, kind: str) -> None:
    with pytest.raises(mc.MalformedResponseError, match=f"a JSON {kind}, not an object"):
        Response(status=200, body=body).json_object()
    assert Response(status=200, body=b'{"a": 1}').json_object() == {"a": 1}


def test_an_answer_has_the_status_that_was_documented_or_is_malformed() -> None:
    answer = Response(status=204)
    assert answer.expect(200, 204) is answer
    with pytest.raises(mc.MalformedResponseError, match="has status 204, documented is 200 or 202"):
        answer.expect(200, 202)


def test_headers_are_added_and_nothing_else_changes() -> None:
    request = Request(
        method="POST",
        path=url_path("a"),
        query=[("b", "c")],
        headers={"Accept": "d", "Mine": "e"},
        body=b"f",
        repeatable=False,
        endpoint="iam",
        renew="restart",
        secrets=("g",),
    )
    longer = request.with_headers({"Accept": "h", "Other": "i"})
    assert longer == attrs.evolve(request, headers={"Accept": "h", "Mine": "e", "Other": "i"})
    assert request.headers == {"Accept": "d", "Mine": "e"}
    plain = Request(method="GET", path=url_path("a"), repeatable=True)
    assert all(getattr(request, name) != getattr(plain, name) for name in attrs.fields_dict(Request) if name != "path")
