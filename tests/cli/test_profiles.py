"""``migratectl profile``: what is kept of a connection, where, and what is not."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest

from cli.place import Place
from cli.support import in_process
from migrate_core.profiles import profiles_path

ADD = ("profile", "add", "new", "--provider", "huawei-sms")


def kept(name: str) -> dict[str, Any] | None:
    return tomllib.loads(profiles_path().read_text()).get(name)


def test_a_profile_keeps_settings_as_what_they_are_and_secrets_as_references(place: Place) -> None:
    ended = in_process(
        *ADD,
        *("--set", "region=cn-north-4", "--set", "timeout=20", "--set", "verify=false", "--set", "project-name=a=b"),
        *("--secret", "token=command:pass show 'my token'", "--secret", "password=file:~/secret"),
        *("--secret", "secret-key=vendor", "--secret", "security_token=keyring:service/user"),
    )
    assert ended.code == 0
    assert ended.err.endswith("try it with: migratectl profile check new\n")
    assert kept("new") == {
        "provider": "huawei_sms",
        "region": "cn-north-4",
        "timeout": 20.0,
        "verify": False,
        "project_name": "a=b",
        "token": {"command": ["pass", "show", "my token"]},
        "password": {"file": "~/secret"},
        "secret_key": {"vendor": True},
        "security_token": {"keyring": "service/user"},
    }
    assert profiles_path().stat().st_mode & 0o777 == 0o600


def test_the_first_profile_makes_the_file(place: Place) -> None:
    profiles_path().unlink()
    profiles_path().parent.rmdir()
    assert in_process(*ADD, "-o", "id").out == "new\n"
    assert in_process("profile", "list", "-o", "id").out == "new\n"


def test_the_other_profiles_and_their_comments_stay(place: Place) -> None:
    before = "# mine\n" + profiles_path().read_text()
    profiles_path().write_text(before)
    assert in_process(*ADD).code == 0
    assert profiles_path().read_text().startswith(before)
    assert in_process("profile", "remove", "new", "--yes").code == 0
    assert profiles_path().read_text().strip() == before.strip()


def test_a_profile_is_replaced_only_when_that_is_said(place: Place) -> None:
    words = ("profile", "add", "cloud", "--provider", "huawei-sms", "--set", "region=cn-north-4")
    refused = in_process(*words)
    assert (refused.code, refused.err) == (2, "migratectl: there is a profile 'cloud' already; --replace replaces it\n")
    assert in_process(*words, "--replace").code == 0
    assert kept("cloud") == {"provider": "huawei_sms", "region": "cn-north-4"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set", "regoin=x"], "has no setting 'regoin'; its settings are: "),
        (["--set", "region"], "--set takes KEY=VALUE"),
        (["--set", "timeout=soon"], "timeout"),
        (["--set", "thumbprint=x"], "thumbprint"),
        (["--set", "token=x"], "token is a secret, and a command line is no place for one"),
        (["--set", "endpoint=https://user:pass@host"], "a profile is no place for a password"),
        (["--set", "region=a", "--set", "region=b"], "region is given twice"),
        (["--secret", "secret-key=vendor", "--ask", "secret_key"], "secret_key is given twice"),
        (["--secret", "token=x"], "--secret token takes a reference"),
        (["--secret", "token=env:"], "env takes the name of a variable"),
        (["--secret", "token=command:"], "command takes a list of words"),
        (["--secret", "token=keyring:one"], "keyring takes service and user"),
        (["--secret", "token"], "--secret takes KEY=REFERENCE"),
        (["--ask", "region"], "--ask is for secrets, and region is none"),
        (["--ask", "tokn"], "has no setting 'tokn'"),
        (["--ask", "password=x"], "--ask takes the name of a secret alone"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_a_profile_cannot_keep_is_refused_and_nothing_is_kept(words: list[str], said: str, place: Place) -> None:
    before = profiles_path().read_text()
    ended = in_process(*ADD, *words, stdin="secret\n")
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert profiles_path().read_text() == before


def test_a_profile_is_shown_with_where_its_secrets_are(place: Place) -> None:
    shown = json.loads(in_process("profile", "show", "dr", "-o", "json").out)
    settings = {setting["name"]: setting for setting in shown["settings"]}
    assert settings["password"] == {
        "name": "password",
        "value": None,
        "reference": "env DR_PASSWORD",
        "secret": True,
    }
    assert settings["endpoint"]["value"] == place.srm.endpoint
    assert "peer_password  from env DR_PEER_PASSWORD" in in_process("profile", "show", "dr").out


def test_a_profile_of_a_provider_that_is_not_installed_is_shown_and_removed(place: Place) -> None:
    with profiles_path().open("a") as file:
        file.write('\n[old]\nprovider = "gone"\nregion = "somewhere"\nkey = "may be secret"\n')
    shown = in_process("profile", "show", "old")
    assert shown.code == 0
    assert "may be secret" not in shown.out
    assert in_process("profile", "list", "-o", "id").out == "cloud\ndr\nold\n"
    assert in_process("profile", "remove", "old", "--yes").code == 0
    assert kept("old") is None


@pytest.mark.parametrize(
    "words",
    [("list",), ("show", "dr"), ("check", "dr"), ("remove", "dr", "--yes"), ADD[1:]],
    ids=lambda words: words[0],
)
@pytest.mark.parametrize("content", ["[dr", "dr = 1\n", "[dr]\nx = 1\n", '[dr]\nprovider = "x"\na = {}\n'])
def test_a_file_that_is_no_profiles_file_is_said_to_be_none(content: str, words: tuple[str, ...], place: Place) -> None:
    profiles_path().write_text(content)
    ended = in_process("profile", *words)
    assert (ended.code, ended.out) == (4, "")
    assert ended.err.startswith(f"migratectl: {profiles_path()}")
    assert profiles_path().read_text() == content


def test_the_profile_and_the_file_may_come_from_the_environment(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = place.file("elsewhere.toml", profiles_path().read_text().replace("[dr]", "[site]"))
    monkeypatch.setenv("MIGRATE_PROFILES_FILE", elsewhere)
    monkeypatch.setenv("MIGRATE_PROFILE", "site")
    assert in_process("pairing", "list").code == 0
    assert in_process("profile", "list", "-o", "id").out == "cloud\nsite\n"


@pytest.mark.parametrize(
    "words",
    [
        ("--profile", "cloud", "source", "list", "-o", "id"),
        ("--profile=cloud", "-o", "id", "source", "list"),
        ("-v", "--profile", "cloud", "--output=id", "source", "list"),
        ("--endpoint", "{endpoint}", "--profile", "cloud", "source", "list", "-o", "id"),
    ],
    ids=" ".join,
)
def test_shared_options_may_stand_before_the_command(words: tuple[str, ...], place: Place) -> None:
    source_id = place.sms.add_sources(1)[0]
    ended = in_process(*(word.format(endpoint=place.sms.endpoint) for word in words))
    assert (ended.code, ended.out) == (0, f"{source_id}\n")
    assert bool(ended.err) is ("-v" in words)


def test_verbose_says_what_is_sent_and_what_comes_back(place: Place) -> None:
    ended = in_process("pairing", "list", "--profile", "dr", "-v")
    sent = [line.split(maxsplit=1)[1] for line in ended.err.splitlines()]
    assert [line.partition(",")[0] for line in sent] == [
        "vmware_srm POST /api/rest/srm/v2/session: 200",
        "vmware_srm GET /api/rest/srm/v2/pairings: 200",
        "vmware_srm DELETE /api/rest/srm/v2/session: 204",
    ]
