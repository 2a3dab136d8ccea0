"""What a script can tell from the way a command ends: each exit code, from a case that really ends so."""

from __future__ import annotations

import json

import pytest

from cli.place import Place
from cli.support import Terminal, in_pipe, in_process
from misbehaving import Conversation, Server, answer, answering, nobody

SOURCES = ("source", "list", "--profile", "cloud")


def cut_off(conversation: Conversation) -> None:
    """Read a request, and hang up."""
    conversation.request()


def test_0_when_all_went_well(place: Place) -> None:
    assert in_pipe(*SOURCES).code == 0


@pytest.mark.parametrize("status", [400, 403, 409, 500])
def test_1_when_the_vendor_refuses_or_fails(status: int, place: Place) -> None:
    body = json.dumps({"error_code": "SMS.0001", "error_msg": "The vendor's words."})
    place.sms.faults.answer(status, body, times=3)
    ended = in_process(*SOURCES)
    assert (ended.code, ended.out) == (1, "")
    assert "The vendor's words." in ended.err


def test_1_when_nobody_listens(place: Place) -> None:
    with nobody() as origin:
        ended = in_process(*SOURCES, "--endpoint", origin)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize("body", [b"<html>no</html>", b"{", b"[]", b'{"count": "x"}', b"\xff"])
def test_1_when_the_answer_makes_no_sense(body: bytes, place: Place) -> None:
    with Server(answering(answer(body))) as server:
        ended = in_process(*SOURCES, "--endpoint", server.origin)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("migratectl: ")
    assert "Traceback" not in ended.err


def test_1_when_the_answer_to_a_question_is_lost(place: Place) -> None:
    with Server(cut_off) as server:
        assert in_process(*SOURCES, "--endpoint", server.origin).code == 1


@pytest.mark.parametrize(
    "words",
    [
        ("source", "list"),  # of a provider that has none
        ("target", "unlock", "some-id", "--yes"),
        ("pairing", "describe", ".."),
        ("pairing", "describe", ""),
        ("task", "show", "mct1.nonsense"),
    ],
)
def test_2_when_it_cannot_be_asked_for(words: tuple[str, ...], place: Place) -> None:
    ended = in_process(*words, "--profile", "dr")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("migratectl: ")
    assert place.srm.journal == []


@pytest.mark.parametrize(
    "words",
    [
        ("source", "describe", "some-id", "--profile", "cloud"),
        ("source", "delete", "some-id", "--profile", "cloud", "--yes"),
        ("target", "unlock", "some-id", "--profile", "cloud", "--yes"),
        ("pairing", "describe", "some-id", "--profile", "dr"),
        ("pairing", "delete", "some-id", "--profile", "dr", "--yes"),
        ("task", "show", "some-id", "--profile", "dr"),
        ("task", "wait", "some-id", "--profile", "dr"),
    ],
    ids=" ".join,
)
def test_3_when_there_is_no_such_thing(words: tuple[str, ...], place: Place) -> None:
    ended = in_process(*words)
    assert (ended.code, ended.out) == (3, "")
    assert ended.err.startswith("migratectl: ")


def test_4_when_the_credentials_are_wrong(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUD_SECRET_KEY", "wrong")
    monkeypatch.setenv("DR_PASSWORD", "wrong")
    assert in_process(*SOURCES).code == 4
    assert in_process("pairing", "list", "--profile", "dr").code == 4


def test_4_when_the_other_site_wants_a_login(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DR_PEER_PASSWORD", "wrong")
    ended = in_process("pairing", "delete", place.srm.pair(), "--profile", "dr", "--yes")
    assert (ended.code, ended.out) == (4, "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("source", "list"), "name a provider or a profile"),
        (("source", "list", "--profile", "nobody"), "has no profile 'nobody'; it has: cloud, dr"),
        (("source", "list", "--provider", "huawei-sms"), "lacks credentials"),
        (("source", "list", "--provider", "huawei-sms", "--profile", "dr"), "is for vmware_srm, not for huawei_sms"),
        (("source", "list", "--profile", "cloud", "--endpoint", "ftp://x"), "an endpoint is "),
        (("profile", "show", "nobody"), "has no profile 'nobody'"),
        (("profile", "check", "nobody"), "has no profile 'nobody'"),
        (("profile", "remove", "nobody", "--yes"), "has no profile 'nobody'"),
    ],
)
def test_4_when_the_configuration_is_not_usable(words: tuple[str, ...], said: str, place: Place) -> None:
    ended = in_process(*words)
    assert (ended.code, ended.out) == (4, "")
    assert said in ended.err


def test_5_when_only_a_part_works(place: Place) -> None:
    place.srm.faults.answer(403, json.dumps({"error_code": "FORBIDDEN", "message": "no"}), path="/tasks")
    ended = in_pipe("profile", "check", "dr", "-o", "jsonl")
    assert ended.code == 5
    results = {found["name"]: found["result"] for found in map(json.loads, ended.out.splitlines())}
    assert (results["list_pairings"], results["list_tasks"]) == ("ok", "error")


def test_a_check_in_which_nothing_works_ends_as_its_error_does(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DR_PASSWORD", "wrong")
    ended = in_process("profile", "check", "dr")
    assert ended.code == 4
    assert len([entry for entry in place.srm.journal if entry.status == 401]) == 1
    place.sms.controls.deny = "sms:server:list"
    assert in_process("profile", "check", "cloud").code == 1


@pytest.mark.parametrize(
    "words",
    [
        ("source", "delete", "some-id", "--profile", "cloud", "--yes"),
        ("target", "unlock", "some-id", "--profile", "cloud", "--yes"),
        ("source", "register", "-f", "-", "--profile", "cloud"),
    ],
    ids=" ".join,
)
def test_6_when_a_change_was_sent_and_its_answer_is_lost(words: tuple[str, ...], place: Place) -> None:
    document = json.dumps({"name": "web-1", "options": {"allow_incomplete": True}})
    with Server(cut_off) as server:
        ended = in_process(*words, "--endpoint", server.origin, stdin=document)
    assert (ended.code, ended.out) == (6, "")
    assert "it may have happened; look before you ask again" in ended.err
    changes = [line for line in server.lines if not line.startswith("GET ")]
    assert len(changes) == 1


def test_7_when_the_time_to_wait_is_over(place: Place) -> None:
    place.srm.controls.task_seconds = 3600.0
    ended = in_pipe("pairing", "delete", place.srm.pair(), "--profile", "dr", "--yes", "--timeout", "0.1")
    assert ended.code == 7


def test_130_when_it_is_interrupted(place: Place) -> None:
    place.srm.controls.task_seconds = 3600.0
    with Terminal("pairing", "delete", place.srm.pair(), "--profile", "dr", "--yes") as terminal:
        assert terminal.until("queued").interrupt().code == 130
