"""Documents that a person wrote: from a file or stdin, JSON or YAML, ours or the vendor's, good or bad."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from cli.place import Place
from cli.support import in_process
from support import example

HOST = {
    "name": "web-1",
    "facts": {
        "hostname": "web-1",
        "os_family": "linux",
        "os_name": "UBUNTU_20_4_64BIT",
        "firmware": "bios",
        "cpu_count": 2,
        "memory_bytes": 4 * 1024**3,
    },
    "options": {"allow_incomplete": True},
}
VENDORS = example("huawei_sms/register-request.json")
REGISTER = ("source", "register", "--profile", "cloud", "-o", "id")


def registered(place: Place, source_id: str) -> str | None:
    return place.sms.registered(source_id.strip()).name


@pytest.mark.parametrize("name", ["host.json", "host.yaml", "host.yml", "host"])
@pytest.mark.parametrize("form", ["json", "yaml"])
def test_a_neutral_document_is_registered_from_a_file(name: str, form: str, place: Place) -> None:
    if (name, form) == ("host.json", "yaml"):
        name = "host.json.yaml"
    ended = in_process(*REGISTER, "-f", place.file(name, json.dumps(HOST, indent=1) if form == "json" else HOST))
    assert ended.code == 0, ended.err
    assert registered(place, ended.out) == "web-1"


@pytest.mark.parametrize("document", [json.dumps(HOST), "name: web-1\noptions: {allow_incomplete: true}\n"])
def test_a_neutral_document_is_registered_from_stdin(document: str, place: Place) -> None:
    ended = in_process(*REGISTER, "-f", "-", stdin=document)
    assert ended.code == 0, ended.err
    assert registered(place, ended.out) == "web-1"


def test_a_vendors_document_is_registered_as_it_is(place: Place) -> None:
    ended = in_process(*REGISTER, "--as", "vendor", "--allow-incomplete", "--file=-", stdin=json.dumps(VENDORS))
    assert ended.code == 0
    assert ended.err.count("warning: the document is incomplete") == 8
    assert json.loads(place.sms.journal[-1].body)["name"] == VENDORS["name"]


def test_an_incomplete_document_is_refused_with_all_its_faults_and_nothing_is_sent(place: Place) -> None:
    ended = in_process(*REGISTER, "--as", "vendor", "-f", "-", stdin=json.dumps(VENDORS))
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("migratectl: the document has 8 fault(s):\n  hostname: is needed to register\n")
    assert place.sms.journal == []


@pytest.mark.parametrize("form", ["table", "json", "yaml", "jsonl", "id"])
def test_a_dry_run_prints_what_would_be_sent_and_sends_nothing(form: str, place: Place) -> None:
    ended = in_process(*REGISTER[:4], "-f", place.file("host.yaml", HOST), "--dry-run", "-o", form)
    assert ended.code == 0
    assert "/v3/sources" in ended.out
    assert form == "id" or "web-1" in ended.out
    assert place.sms.credentials["secret_key"] not in ended.everything
    assert place.sms.journal == []


def test_a_dry_run_of_a_login_does_not_even_log_in(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in place.sms.settings("login").items():
        monkeypatch.setenv(f"MIGRATE_{name.upper()}", value)
    words = ("source", "register", "--provider", "huawei-sms", "-f", place.file("host.yaml", HOST), "--dry-run")
    assert in_process(*words).code == 0
    assert place.sms.journal == []


def test_a_dry_run_refuses_what_registering_refuses(place: Place) -> None:
    ended = in_process(*REGISTER, "--as", "vendor", "--dry-run", "-f", "-", stdin=json.dumps(VENDORS))
    assert (ended.code, ended.out) == (2, "")
    assert place.sms.journal == []


CIRCLE = "name: web\ndetails: &me {inner: *me}\n"
BOMB = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}]\n" for a, b in itertools.pairwise("abcdefghijklmno")
)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ('{"name": "a", "name": "b"}', "no usable JSON: 'name' stands twice in one object"),
        ('{"facts": {"a": 1, "a": 1}}', "'a' stands twice"),
        ('{"name": NaN}', "no usable JSON: it holds NaN"),
        ('{"name": -Infinity}', "it holds -Infinity"),
        ('{"name": "a",}', "no JSON: "),
        ('{"name": "a"} x', "no JSON: Extra data at line 1, column 15"),
        ("[" * 100_000, "no usable JSON"),
        ('{"name": ' + "9" * 5000 + "}", "no usable JSON"),
        ("name: a\nname: b\n", "no YAML: 'name' twice at line 2, column 1"),
        (CIRCLE, "no YAML: an alias at line 2, column 22"),
        (BOMB, "no YAML: an alias at line 2"),
        ("name: !!set {a, b}\n", "no usable YAML"),
        ("name: .nan\nfacts: {cpu_count: .inf}\n", "name: is not a text"),
        ("name: a\n  b: c\n", "no YAML: "),
        ("name: !!python/object:os.system [true]\n", "no YAML: a tag at line 1, column 7"),
        ("? [a, b]\n: c\n", "a key that is no text"),
        ("name: a\n--- \nname: b\n", "no YAML: "),
        ("{[", "no "),
        ("", "is not an object"),
        ("[]", "is not an object"),
        ("just text", "is not an object"),
        ("2026-11-01\n", "is not an object"),
        ("name: 2026-11-01\n", "hostname: is needed to register"),
        ("1: one\nname: a\n", "1: is no field"),
        ("name: [1]\nfatcs: {}\n", "fatcs: is no field of SourceSpec"),
        ('{"version": 2, "name": "a"}', "version: is 2, and this reads 1"),
        (b"\xff\xfe\x00", "stdin is no text in UTF-8"),
        (b"\xef\xbb\xbf{}", "name: is mandatory"),
    ],
    ids=lambda value: str(value[:20]),
)
def test_a_bad_document_is_bad_usage_and_nothing_is_sent(document: str | bytes, said: str, place: Place) -> None:
    ended = in_process(*REGISTER, "-f", "-", stdin=document)
    assert (ended.code, ended.out) == (2, ""), ended
    assert said in ended.err
    assert "Traceback" not in ended.err
    assert place.sms.journal == []


@pytest.mark.parametrize("document", ["[]", '"text"', "null", "7"])
def test_a_vendors_document_that_is_no_object_is_bad_usage(document: str, place: Place) -> None:
    ended = in_process(*REGISTER, "--as", "vendor", "-f", "-", stdin=document)
    assert ended.code == 2
    assert ended.err.startswith("migratectl: the vendor's document is an object, not ")


@pytest.mark.parametrize("document", [{"options": {"speed": 1}, "name": "a"}, {"name": "a", "details": {"nope": 1}}])
def test_what_the_provider_does_not_take_is_bad_usage(document: dict[str, Any], place: Place) -> None:
    ended = in_process(*REGISTER, "-f", place.file("host.yaml", document))
    assert (ended.code, ended.out) == (2, "")
    assert place.sms.journal == []


def test_a_missing_file_a_folder_and_a_closed_one_are_bad_usage(place: Place) -> None:
    for name in (place.home / "nothing", place.home):
        ended = in_process(*REGISTER, "-f", str(name))
        assert (ended.code, ended.out) == (2, "")
        assert ended.err.startswith(f"migratectl: {name} cannot be read: ")


def test_a_pairing_document_must_be_whole(place: Place) -> None:
    ended = in_process("pairing", "create", "--profile", "dr", "-f", "-", stdin="remote_url: vc-b.example\n")
    assert (ended.code, ended.out) == (2, "")
    assert place.srm.journal == []
