"""What is asked of a person: whether they are sure, and a secret that nobody else may see."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from cli.place import Place
from cli.support import CTRL_D, Terminal, in_pipe, in_process, plain
from file_keyring import FileKeyring
from migrate_core.profiles import profiles_path

ASKING: Mapping[str, Callable[[Place], str]] = {
    "source delete": lambda place: place.sms.add_sources(1)[0],
    "target unlock": lambda place: place.sms.start_migration(place.sms.add_sources(1)[0]),
    "pairing delete": lambda place: place.srm.pair(),
    "task cancel": lambda _: "some-task",
    "profile remove": lambda _: "dr",
}
ADD = ("profile", "add", "new", "--provider", "huawei-sms", "--set", "region=cn-north-4", "--ask", "token")


def profile_for(command: str) -> list[str]:
    profiles = {"source": "cloud", "target": "cloud", "pairing": "dr", "task": "dr"}
    noun = command.split()[0]
    return ["--profile", profiles[noun]] if noun in profiles else []


@pytest.fixture(params=ASKING)
def asking(request: pytest.FixtureRequest, place: Place) -> list[str]:
    """The words of a command that asks."""
    command = str(request.param)
    return [*command.split(), ASKING[command](place), *profile_for(command)]


def changes(place: Place) -> list[str]:
    """The requests that changed something, other than logging in and out."""
    entries = [*place.sms.journal, *place.srm.journal]
    return [entry.path for entry in entries if entry.method != "GET" and not entry.path.endswith("session")]


def test_no_on_a_terminal_changes_nothing(asking: list[str], place: Place) -> None:
    before = profiles_path().read_text()
    with Terminal(*asking) as terminal:
        ended = terminal.until("? [y/N] ").type(b"n\n").end()
    assert ended.code == 1
    assert plain(ended.err).endswith("[y/N] migratectl: nothing was done\n")
    assert changes(place) == []
    assert profiles_path().read_text() == before


def test_a_pipe_has_nobody_to_ask_and_is_told_of_yes(asking: list[str], place: Place) -> None:
    before = profiles_path().read_text()
    ended = in_process(*asking, stdin="y\n")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.endswith("There is no terminal to ask on; say --yes\n")
    assert changes(place) == []
    assert profiles_path().read_text() == before


@pytest.mark.parametrize("answer", [b"y\n", b"Yes\n"])
def test_yes_on_a_terminal_goes_ahead(answer: bytes, place: Place) -> None:
    source_id = place.sms.add_sources(1)[0]
    with Terminal("source", "delete", source_id, "--profile", "cloud") as terminal:
        ended = terminal.until("[y/N] ").type(answer).end()
    assert ended.code == 0
    assert f"Delete the record of source {source_id} at huawei_sms?" in ended.err
    assert "?" not in ended.out
    assert changes(place) == [f"/v3/sources/{source_id}"]


@pytest.mark.parametrize("keys", [b"\n", b"what\n", CTRL_D])
def test_anything_but_yes_changes_nothing(keys: bytes, place: Place) -> None:
    source_id = place.sms.add_sources(1)[0]
    with Terminal("source", "delete", source_id, "--profile", "cloud") as terminal:
        ended = terminal.until("[y/N] ").type(keys).end()
    assert ended.code == 1
    assert ended.err.endswith("migratectl: nothing was done\x1b[0m\n")
    assert changes(place) == []


def test_ctrl_c_at_the_question_changes_nothing(place: Place) -> None:
    source_id = place.sms.add_sources(1)[0]
    with Terminal("source", "delete", source_id, "--profile", "cloud") as terminal:
        ended = terminal.until("[y/N] ").interrupt()
    assert ended.code == 130
    assert ended.err.endswith("interrupted\n")
    assert changes(place) == []


def test_a_secret_is_asked_for_without_echo_and_kept_in_the_keyring(place: Place, keyring: FileKeyring) -> None:
    with Terminal(*ADD) as terminal:
        ended = terminal.until("token: ").type(b"CANARY\n").end()
    assert ended.code == 0
    assert "CANARY" not in ended.everything
    assert keyring.entries() == {"migrate-core/new token": "CANARY"}
    assert 'token = {keyring = "migrate-core/new/token"}' in profiles_path().read_text()
    assert "CANARY" not in profiles_path().read_text()
    removed = in_process("profile", "remove", "new", "--yes")
    assert (removed.code, removed.everything) == (0, "")
    assert keyring.entries() == {}


def test_a_secret_is_one_line_of_stdin_in_a_pipe(place: Place, keyring: FileKeyring) -> None:
    words = ("profile", "add", "new", "--provider", "vmware-srm", "--ask", "password", "--ask", "peer-password")
    ended = in_pipe(*words, stdin="first\r\nsecond\n")
    assert ended.code == 0
    assert keyring.entries() == {
        "migrate-core/new password": "first",
        "migrate-core/new peer_password": "second",
    }


@pytest.mark.parametrize("keys", [CTRL_D, b"\n"])
def test_no_answer_at_the_prompt_keeps_nothing(keys: bytes, place: Place, keyring: FileKeyring) -> None:
    before = profiles_path().read_text()
    with Terminal(*ADD) as terminal:
        ended = terminal.until("token: ").type(keys).end()
    assert (ended.code, plain(ended.err)) == (2, "migratectl: no token was given\n")
    assert keyring.entries() == {}
    assert profiles_path().read_text() == before


def test_ctrl_c_at_the_prompt_keeps_nothing(place: Place, keyring: FileKeyring) -> None:
    before = profiles_path().read_text()
    with Terminal(*ADD) as terminal:
        ended = terminal.until("token: ").interrupt()
    assert (ended.code, plain(ended.err)) == (130, "interrupted\n")
    assert keyring.entries() == {}
    assert profiles_path().read_text() == before


def test_a_second_secret_that_is_not_given_keeps_not_even_the_first(place: Place, keyring: FileKeyring) -> None:
    words = ("profile", "add", "new", "--provider", "vmware-srm", "--ask", "password", "--ask", "peer_password")
    ended = in_process(*words, stdin="first\n")
    assert (ended.code, ended.err) == (2, "migratectl: no peer_password was given\n")
    assert keyring.entries() == {}


def test_a_profile_that_cannot_be_saved_leaves_nothing_in_the_keyring(
    place: Place, keyring: FileKeyring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIGRATE_PROFILES_FILE", str(tmp_path / ("x" * 250)))  # too long once it is written
    ended = in_process(*ADD, stdin="CANARY\n")
    assert (ended.code, ended.out) == (4, "")
    assert keyring.entries() == {}


def test_an_impossible_name_is_refused_before_anything_is_asked(place: Place, keyring: FileKeyring) -> None:
    ended = in_process("profile", "add", "no/name", *ADD[3:], stdin="")
    assert (ended.code, ended.out) == (2, "")
    assert "no/name" in ended.err
    assert keyring.entries() == {}


def test_without_a_keyring_that_keeps_a_secret_none_is_kept(place: Place) -> None:
    before = profiles_path().read_text()
    ended = in_process(*ADD, stdin="CANARY\n")
    assert (ended.code, ended.out) == (4, "")
    assert "no keyring that keeps a secret" in ended.err
    assert "CANARY" not in ended.err
    assert profiles_path().read_text() == before


def test_a_profile_that_cannot_be_replaced_keeps_its_secret(
    place: Place, keyring: FileKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert in_process(*ADD, stdin="first\n").code == 0
    monkeypatch.setattr("os.replace", disk_full)
    ended = in_process(*ADD, "--replace", stdin="second\n")
    assert ended.code == 4
    assert list(keyring.entries().values()) == ["first"]


def disk_full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_replaced_profile_leaves_no_secret_behind(place: Place, keyring: FileKeyring) -> None:
    assert in_process(*ADD, stdin="first\n").code == 0
    words = ("profile", "add", "new", "--replace", "--provider", "huawei-sms", "--secret", "token=env:TOKEN")
    assert in_process(*words).code == 0
    assert keyring.entries() == {}


def test_a_question_steers_no_terminal_and_names_what_it_is_about(place: Place) -> None:
    with Terminal("source", "delete", "no\x1b[31much", "--profile", "cloud") as terminal:
        ended = terminal.until("[y/N] ").type(b"n\n").end()
    assert "\x1b[31much" not in ended.everything
