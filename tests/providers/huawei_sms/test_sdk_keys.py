"""The keys of the vendor's own SDK: where they are found, when they are used, and that no error tells them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huaweicloudsdkcore.auth.provider import ProfileCredentialProvider

import migrate_core as mc
from canary import CANARY, everything_in
from migrate_huawei_sms.auth import keys_of_the_sdk
from migrate_huawei_sms.simulator import HuaweiSmsSimulator
from support import Caller

AK, SK = "SIMULATEDACCESSKEY00", "simulated-secret-key-000000000000000000"
KEYS = {"access_key": AK, "secret_key": SK}


@pytest.fixture
def path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where the SDK has its file: below a home of this test's own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".huaweicloud").mkdir()
    return tmp_path / ".huaweicloud" / "credentials"


def written(path: Path, content: str | bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    return path


def refused(call: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    """Give the text of the error that a call ends with, once it is sure that the error hides the secret."""
    with pytest.raises(mc.ConfigurationError) as raised:
        call(*args, **kwargs)
    assert CANARY not in everything_in(raised.value)
    return str(raised.value)


def set_keys(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"HUAWEICLOUD_SDK_{name}", value)


def connected(caller: Caller, simulator: HuaweiSmsSimulator, **settings: Any) -> Any:
    """Connect with nothing but the way to the simulator, and list the sources."""
    door = {"endpoint": simulator.endpoint, "transport": simulator.transport, "clock": simulator.clock}
    client = caller.connect("huawei_sms", **door, **settings)
    assert caller.list(client.sources.list()) == []
    return simulator.journal[-1].headers


# Where they are.


def test_a_user_of_the_sdk_types_nothing(
    caller: Caller, simulator: HuaweiSmsSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = simulator.credentials["secret_key"]
    set_keys(monkeypatch, AK=AK, SK=key, SECURITY_TOKEN="temporary", PROJECT_ID="p-1", DOMAIN_ID="d-1")
    sent = connected(caller, simulator)
    assert f"Access={AK}," in sent["authorization"]
    assert (sent["x-security-token"], sent["x-project-id"]) == ("temporary", "p-1")


def test_a_user_with_the_sdks_file_types_nothing(caller: Caller, simulator: HuaweiSmsSimulator, path: Path) -> None:
    written(path, f"[basic]\nak = {AK}\nsk = {simulator.credentials['secret_key']}\nproject_id = p-1\n")
    sent = connected(caller, simulator)
    assert f"Access={AK}," in sent["authorization"]
    assert sent["x-project-id"] == "p-1"


def test_a_profile_may_refer_to_them(
    caller: Caller, simulator: HuaweiSmsSimulator, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = simulator.credentials["secret_key"]
    written(path, f"[basic]\nak = {AK}\nsk = {key}\nsecurity_token = {CANARY}\n")
    table = '[cloud]\nprovider = "huawei_sms"\naccess_key.vendor = true\nsecret_key.vendor = true\n'
    profiles = written(path.with_name("profiles.toml"), table)
    monkeypatch.setenv("MIGRATE_PROFILES_FILE", str(profiles))
    assert f"Access={AK}," in connected(caller, simulator, profile="cloud")["authorization"]
    written(profiles, f"{table}project_id.vendor = true\n")
    assert refused(mc.connect, profile="cloud").startswith("profile 'cloud': project_id: the vendor's own environment")


def test_without_either_there_are_none(path: Path) -> None:
    assert keys_of_the_sdk(os.environ) == {}
    assert "where the vendor's SDK keeps its keys" in refused(mc.connect, "huawei_sms", endpoint="https://sms.example")


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({"AK": "a", "SK": "s"}, {"access_key": "a", "secret_key": "s"}),
        ({"AK": "a", "SK": "s", "DOMAIN_ID": "d"}, {"access_key": "a", "secret_key": "s", "domain_id": "d"}),
        ({"AK": "a", "SK": "s", "SECURITY_TOKEN": ""}, {"access_key": "a", "secret_key": "s"}),
        ({"AK": "a"}, {}),
        ({"SK": "s"}, {}),
        ({"AK": "a", "SK": ""}, {}),
        ({"SECURITY_TOKEN": "t", "PROJECT_ID": "p"}, {}),
    ],
)
def test_the_environment_gives_a_whole_key_pair_or_nothing(
    path: Path, environ: dict[str, str], found: dict[str, str]
) -> None:
    environ = {f"HUAWEICLOUD_SDK_{name}": value for name, value in environ.items()}
    assert keys_of_the_sdk(environ) == found
    written(path, "[basic]\nak = from-file\nsk = from-file\n")
    assert keys_of_the_sdk(environ) == (found or {"access_key": "from-file", "secret_key": "from-file"})


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (f"[basic]\nak = {AK}\nsk = {SK}\n", KEYS),
        (f"[basic]\nAK: {AK}\nSK: {SK}\n", KEYS),
        (f"\ufeff[basic]\r\nak={AK}\r\nsk={SK}\r\n", KEYS),
        (f"[basic]\nak = {AK}\nsk = 100%{SK}$%(ak)s\n", {**KEYS, "secret_key": f"100%{SK}$%(ak)s"}),
        (f"[global]\nak = {AK}\nsk = {SK}\ndomain_id = d-1\n", {**KEYS, "domain_id": "d-1"}),
        (f"[global]\nak = g\nsk = g\n[basic]\nak = {AK}\nsk = {SK}\nproject_id = p\n", {**KEYS, "project_id": "p"}),
        (f"[basic]\nak = half\n[global]\nak = {AK}\nsk = {SK}\n", KEYS),
        (f"[basic]\nak = half\nsk =\n[global]\nak = {AK}\nsk = {SK}\n", KEYS),
        (f"[basic]\nidp_id = x\nid_token_file = y\niam_endpoint = z\nak = {AK}\nsk = {SK}\n", KEYS),
        (f"[basic]\nak = {AK}\n[global]\nsk = {SK}\n", {}),
        (f"[other]\nak = {AK}\nsk = {SK}\n", {}),
        ("", {}),
    ],
)
def test_the_file_gives_a_whole_key_pair_of_one_section_or_nothing(
    path: Path, content: str, found: dict[str, str]
) -> None:
    written(path, content)
    assert keys_of_the_sdk({}) == found


def test_the_file_is_where_the_environment_says(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(path, "[basic]\nak = a\nsk = s\n")
    written(path.parent.parent / "mine", f"[basic]\nak = {AK}\nsk = {SK}\n")
    assert keys_of_the_sdk({"HUAWEICLOUD_SDK_CREDENTIALS_FILE": "~/mine"}) == KEYS
    for nowhere in ("/no/such/file", f"{path}/below", "~nobody-has-this-name/x", "x" * 5000, str(path.parent / "no")):
        assert keys_of_the_sdk({"HUAWEICLOUD_SDK_CREDENTIALS_FILE": nowhere}) == {}


def test_the_sdk_itself_finds_the_same_keys(path: Path) -> None:
    written(path, f"[basic]\nak = {AK}\nsk = {SK}\nsecurity_token = t\nproject_id = p\n[global]\nak = g\nsk = g\n")
    theirs = ProfileCredentialProvider.get_basic().get_credentials()
    assert keys_of_the_sdk({}) == {
        "access_key": theirs.ak,
        "secret_key": theirs.sk,
        "security_token": theirs.security_token,
        "project_id": theirs.project_id,
    }


# What is wrong with them.


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o666])
def test_a_file_that_others_may_touch_is_refused(path: Path, mode: int) -> None:
    written(path, f"[basic]\nak = {AK}\nsk = {CANARY}\n", mode)
    for attempt in (keys_of_the_sdk, lambda _: mc.connect("huawei_sms", region="cn-north-4")):
        assert refused(attempt, {}) == f"others may read {path}; chmod 600 it"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (f"sk = {CANARY}\n", "is no file of the SDK's: MissingSectionHeaderError"),
        (f"[basic]\nak = a\n{CANARY}\n", "is no file of the SDK's: ParsingError"),
        (f"[basic]\nsk = a\nsk = {CANARY}\n", "is no file of the SDK's: DuplicateOptionError"),
        (f"[{CANARY}]\n[{CANARY}]\n", "is no file of the SDK's: DuplicateSectionError"),
        (f'{{"ak": "a", "sk": "{CANARY}"}}', "is no file of the SDK's: MissingSectionHeaderError"),
        (f"[basic]\nsk = {CANARY}".encode() + b"\xff", "does not give text in UTF-8"),
    ],
)
def test_garbage_is_refused_without_being_quoted(
    path: Path, monkeypatch: pytest.MonkeyPatch, content: str | bytes, said: str
) -> None:
    written(path, content)
    set_keys(monkeypatch, SK=CANARY)
    assert refused(keys_of_the_sdk, os.environ) == f"{path} {said}"
    assert refused(mc.connect, "huawei_sms", endpoint="https://sms.example") == f"{path} {said}"


def test_a_folder_in_place_of_the_file_is_refused(path: Path) -> None:
    path.mkdir()
    assert refused(keys_of_the_sdk, {"HUAWEICLOUD_SDK_SK": CANARY}) == f"{path} cannot be read: Is a directory"


def test_a_key_that_no_header_can_carry_is_refused_without_being_quoted(path: Path) -> None:
    written(path, f"[basic]\nak = a\nsk = {CANARY}\n  goes on\n")
    said = refused(mc.connect, "huawei_sms", endpoint="https://sms.example")
    assert said == "secret_key has control characters, or is not valid Unicode text"


# When they are used.


@pytest.mark.parametrize("content", [f"[basic]\nak = a\nsk = {CANARY}\n", CANARY])
@pytest.mark.parametrize("kind", ["token", "key"])
@pytest.mark.parametrize("by", ["argument", "environment"])
def test_the_file_is_not_opened_when_credentials_are_given(
    caller: Caller,
    simulator: HuaweiSmsSimulator,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: str,
    kind: str,
    by: str,
) -> None:
    written(path, content, 0o666)  # opening it would be refused
    settings = {
        name: simulator.credentials[name] for name in ("token", *KEYS) if (name == "token") == (kind == "token")
    }
    if by == "environment":
        for name in list(settings):
            monkeypatch.setenv(f"MIGRATE_{name.upper()}", settings.pop(name))
    sent = connected(caller, simulator, **settings)
    assert ("x-auth-token" in sent) == (kind == "token")
