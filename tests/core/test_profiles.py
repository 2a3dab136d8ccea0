"""Named connections: what a file of profiles may hold, who may touch it, and how it is changed."""

from __future__ import annotations

import os
import stat
import string
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import migrate_core as mc
from canary import CANARY, everything_in
from migrate_core._connect import chosen, settings_from
from migrate_core.profiles import (
    Profile,
    fetched,
    load_profiles,
    profile_named,
    profiles_path,
    remove_profile,
    save_profile,
)
from migrate_huawei_sms.simulator import HuaweiSmsSimulator
from support import Caller

SRM = '[dr]\nprovider = "vmware_srm"\nendpoint = "https://srm.example"\nusername = "operator"\n'
CLOUD = '[cloud]\nprovider = "huawei_sms"\nendpoint = "https://sms.example"\n'


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the environment says that the profiles are."""
    path = tmp_path / "profiles.toml"
    monkeypatch.setenv("MIGRATE_PROFILES_FILE", str(path))
    return path


def written(path: Path, content: str | bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    return path


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def refused(call: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    """Give the text of the error that a call ends with, once it is sure that the error hides the secret."""
    with pytest.raises(mc.ConfigurationError) as raised:
        call(*args, **kwargs)
    assert CANARY not in everything_in(raised.value)
    return str(raised.value)


# Where the file is.


def test_the_file_is_where_the_environment_says(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert profiles_path() == path
    assert profiles_path({"MIGRATE_PROFILES_FILE": "elsewhere.toml"}) == Path("elsewhere.toml")
    monkeypatch.setenv("HOME", "/home/ann")
    assert profiles_path({"MIGRATE_PROFILES_FILE": "~/dr.toml"}) == Path("/home/ann/dr.toml")
    nobodys = "~nobody-has-this-name/dr.toml"
    assert profiles_path({"MIGRATE_PROFILES_FILE": nobodys}) == Path(nobodys)


@pytest.mark.skipif(sys.platform != "linux", reason="each platform has a folder of its own")
def test_the_file_is_in_the_platforms_folder_otherwise(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert profiles_path({}) == tmp_path / "migrate-core" / "profiles.toml"
    assert profiles_path({"MIGRATE_PROFILES_FILE": ""}) == tmp_path / "migrate-core" / "profiles.toml"


def test_without_the_extra_the_library_says_what_to_do_and_works_with_a_file_that_is_named(path: Path) -> None:
    written(path, f'{SRM}password = "{CANARY}"\ninsecure_plaintext = true\n')
    script = """
import os, sys
sys.modules.update(platformdirs=None, tomlkit=None, keyring=None)
import migrate_core as mc
from migrate_core.profiles import Profile, profiles_path, save_profile, remove_profile
print(mc.connect(profile="dr"))
for attempt in (
    lambda: save_profile(Profile(name="x", provider="vmware_srm"), profiles_path()),
    lambda: remove_profile("dr", profiles_path()),
    lambda: mc.connect(profile=os.environ.pop("MIGRATE_PROFILES_FILE")),
):
    try:
        attempt()
    except mc.ConfigurationError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    connected, *refusals = done.stdout.splitlines()
    assert connected == "<Client vmware_srm>"
    assert refusals == [
        "changing profiles needs pip install 'migrate-core[cli]'",
        "changing profiles needs pip install 'migrate-core[cli]'",
        "say in MIGRATE_PROFILES_FILE where the profiles are; the platform's own folder is known after "
        "pip install 'migrate-core[cli]'",
    ]


def test_an_error_about_the_folder_does_not_show_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "platformdirs", None)
    assert "MIGRATE_PROFILES_FILE" in refused(profiles_path, {"SRM_PASSWORD": CANARY})


# What is in it.


def test_no_file_has_no_profiles(path: Path) -> None:
    assert load_profiles(path) == {}
    assert load_profiles(path.parent / "no" / "such" / "folder") == {}
    assert load_profiles(written(path, "# nothing yet\n")) == {}
    remove_profile("dr", path.with_name("missing.toml"))
    assert not path.with_name("missing.toml").exists()


def test_a_profile_is_a_provider_its_settings_and_references(path: Path) -> None:
    written(path, f'{SRM}timeout = 5\nverify = false\npassword = {{ env = "P" }}\n{CLOUD}token.vendor = true\n')
    profiles = load_profiles(path)
    assert list(profiles) == ["dr", "cloud"]
    assert profiles["dr"] == Profile(
        name="dr",
        provider="vmware_srm",
        settings={
            "endpoint": "https://srm.example",
            "username": "operator",
            "timeout": 5,
            "verify": False,
            "password": {"env": "P"},
        },
    )
    assert profiles["cloud"].settings["token"] == {"vendor": True}


def test_a_provider_is_found_by_the_name_that_a_shell_user_types(path: Path) -> None:
    assert load_profiles(written(path, SRM.replace("vmware_srm", "vmware-srm")))["dr"].provider == "vmware_srm"


@pytest.mark.parametrize("name", ["dr", "site b", "ü.de", "", "a.b", '"', "[x]"])
def test_a_profile_may_have_any_name_that_the_file_can_hold(path: Path, name: str) -> None:
    quoted = name.replace('"', '\\"')
    written(path, SRM.replace("[dr]", f'["{quoted}"]'))
    assert profile_named(name).name == name


def test_the_repr_of_a_profile_shows_no_values() -> None:
    settings = {"username": CANARY, "password": CANARY, "token": {"command": ["echo", CANARY]}}
    shown = repr(Profile(name="dr", provider="vmware_srm", settings=settings))
    assert CANARY not in shown
    assert "<username, password, token>" in shown


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (f'password = "{CANARY}"\n', "password is no profile: a profile is a table that names its provider"),
        (f'[dr]\npassword = "{CANARY}"\n', "dr is no profile"),
        (f'[dr]\nprovider = 5\npassword = "{CANARY}"\n', "dr is no profile"),
        (f'[dr]\nprovider = ""\npassword = "{CANARY}"\n', "dr is no profile"),
        (f'[dr]\nprovider = {{ env = "{CANARY}" }}\n', "dr is no profile"),
        (f'[[dr]]\nprovider = "vmware_srm"\npassword = "{CANARY}"\n', "dr is no profile"),
        (f'{SRM}password = "{CANARY}"\ninsecure_plaintext = "yes"\n', "dr: insecure_plaintext is neither true nor"),
        (f'{SRM}password = "{CANARY}"\ninsecure_plaintext = 1\n', "dr: insecure_plaintext is neither true nor false"),
        (f'{SRM}password = {{ value = "{CANARY}" }}\n', "dr: password takes a reference, such as"),
        (f'{SRM}password = {{ env = "A={CANARY}" }}\n', "dr: password env takes the name of a variable"),
        (f'{SRM}[dr.password]\nenv = "A"\nfile = "{CANARY}"\n', "dr: password takes a reference"),
        (f'{SRM}password = "{CANARY}\n', "no TOML: see line 5, column "),
        (f"{SRM}password = {CANARY}\n", "no TOML: see line 5, column "),
        (f'{SRM}password = "a"\npassword = "{CANARY}"\n', "no TOML: see line 6, column "),
        (f'{SRM}password = """{CANARY}', "no TOML: see end of document"),
        (f'{SRM}password = "{CANARY}"\ntimeout = {"9" * 5000}\n', "no TOML: see its syntax"),
        (f'{SRM}password = "{CANARY}"\nx = {"[" * 100_000}\n', "no TOML: see its syntax"),
        (f'{SRM}password = "{CANARY}'.encode() + b'\xff"\n', "is no text in UTF-8"),
        (f'{SRM}password = "{CANARY}"\n'.encode("utf-16"), "is no text in UTF-8"),
    ],
)
def test_what_is_no_file_of_profiles_is_refused_without_being_quoted(
    path: Path, content: str | bytes, said: str
) -> None:
    written(path, content)
    for attempt in (
        lambda: load_profiles(path),
        lambda: profile_named("dr"),
        lambda: mc.connect(profile="dr"),
        lambda: save_profile(Profile(name="x", provider="vmware_srm"), path),
        lambda: remove_profile("dr", path),
    ):
        text = refused(attempt)
        assert said in text
        assert str(path) in text


@pytest.mark.parametrize("how", ["folder", "below a file", "link to itself"])
def test_a_file_that_cannot_be_read_is_named_with_the_reason(path: Path, how: str) -> None:
    if how == "folder":
        path.mkdir()
    elif how == "link to itself":
        path.symlink_to(path)
    else:
        path = written(path, SRM) / "profiles.toml"
    assert refused(load_profiles, path).startswith(f"{path} cannot be read: ")


# Who may touch it.


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666, 0o622])
def test_a_file_that_others_may_change_is_refused(path: Path, mode: int) -> None:
    written(path, SRM, mode)
    assert refused(load_profiles, path).startswith(f"others may change {path}, and a profile can run commands")
    refused(remove_profile, "dr", path)
    assert path.read_text(encoding="utf-8") == SRM


def test_a_file_of_another_user_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner may change it, whatever its mode; but the administrator's will do."""
    written(path, SRM)
    if os.geteuid() == 0:
        os.chown(path, 4321, -1)
        assert "others may change" in refused(load_profiles, path)
        os.chown(path, 0, -1)
        monkeypatch.setattr(os, "geteuid", lambda: 4321)
        assert "dr" in load_profiles(path)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 4321)
        assert "others may change" in refused(load_profiles, path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_file_that_others_may_read_will_do_unless_secrets_stand_in_it(path: Path, mode: int) -> None:
    written(path, f'{SRM}password = {{ env = "P" }}\n', mode)
    assert list(load_profiles(path)) == ["dr"]
    written(path, f'{SRM}password = "{CANARY}"\ninsecure_plaintext = true\n{CLOUD}', mode)
    for name in ("dr", "cloud"):
        said = refused(mc.connect, profile=name)
        assert said == f"others may read {path}, in which secrets stand (insecure_plaintext); chmod 600 it"


# Connecting with one.


def test_a_profile_is_named_by_argument_or_environment(
    caller: Caller, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(path, f'{SRM}password = {{ env = "P" }}\n{CLOUD}token = {{ env = "T" }}\n')
    monkeypatch.setenv("P", "opensesame")
    monkeypatch.setenv("T", "opensesame")
    assert caller.connect(None, profile="dr").provider == "vmware_srm"  # type: ignore[arg-type]
    monkeypatch.setenv("MIGRATE_PROFILE", "dr")
    assert caller.connect(None).provider == "vmware_srm"  # type: ignore[arg-type]
    monkeypatch.setenv("MIGRATE_PROVIDER", "vmware_srm")
    assert caller.connect(None, profile="cloud").provider == "huawei_sms"  # type: ignore[arg-type]


def test_a_profile_that_is_not_there_names_those_that_are(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(mc.connect, profile="dr") == f"{path} has no profile 'dr'; it has: none"
    written(path, SRM + CLOUD)
    assert refused(mc.connect, profile="prod") == f"{path} has no profile 'prod'; it has: dr, cloud"
    monkeypatch.setenv("MIGRATE_PROFILE", "prod")
    assert refused(mc.connect, "vmware_srm") == f"{path} has no profile 'prod'; it has: dr, cloud"


def test_a_profile_is_for_one_provider(path: Path) -> None:
    written(path, f'{SRM}password = {{ env = "P" }}\n')
    said = refused(mc.connect, "huawei-sms", profile="dr", token=CANARY)
    assert said == "profile 'dr' is for vmware_srm, not for huawei_sms"
    assert mc.connect("vmware-srm", profile="dr", password=CANARY).provider == "vmware_srm"


def test_a_profile_for_a_provider_that_is_not_installed_names_those_that_are(path: Path) -> None:
    written(path, SRM.replace("vmware_srm", "acme_dr"))
    with pytest.raises(mc.ProviderNotFoundError, match="acme_dr"):
        mc.connect(profile="dr")


def test_an_unknown_setting_names_the_profile_and_suggests_another(path: Path) -> None:
    written(path, f'{SRM}pasword = "{CANARY}"\n')
    said = refused(mc.connect, profile="dr")
    assert said.startswith("profile 'dr': there is no setting 'pasword' (did you mean 'password'?); the settings are:")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("username = 1234", "username is a text, not int"),
        ("endpoint = ['a']", "endpoint is a text, not list"),
        ("timeout = 'soon'", "timeout is a number of seconds above 0"),
        ("timeout = 1979-05-27", "timeout is a number of seconds above 0"),
        ("verify = 1.5", "verify is 1.5, which is neither true nor false"),
        ("thumbprint = true", "thumbprint is a text, not bool"),
    ],
)
def test_a_setting_of_the_wrong_type_is_named(path: Path, setting: str, said: str) -> None:
    written(path, f'[dr]\nprovider = "vmware_srm"\npassword = "{CANARY}"\ninsecure_plaintext = true\n{setting}\n')
    assert said in refused(mc.connect, profile="dr")


@pytest.mark.parametrize("literal", [f'"{CANARY}"', f'["{CANARY}"]', '""', "12345", "true"])
def test_a_secret_that_stands_in_the_file_is_refused(path: Path, literal: str) -> None:
    written(path, f"{SRM}password = {literal}\n")
    said = refused(mc.connect, profile="dr")
    assert said.startswith("profile 'dr': password is a secret and takes a reference, such as { env =")
    profile, environ = profile_named("dr"), {"OTHER": CANARY}
    assert refused(fetched, profile, "password", secret=True, environ=environ, vendor=lambda: CANARY) == said


@pytest.mark.parametrize("literal", [f'["{CANARY}"]', f'["{CANARY}\\n"]', f'"{CANARY}\\n"'])
def test_a_secret_that_stands_in_the_file_and_is_impossible_is_not_quoted(path: Path, literal: str) -> None:
    written(path, f"{SRM}password = {literal}\ninsecure_plaintext = true\n")
    assert refused(mc.connect, profile="dr").startswith("password ")


def test_a_secret_may_stand_in_a_file_that_says_so_and_is_private(caller: Caller, path: Path) -> None:
    simulator = HuaweiSmsSimulator()
    written(path, f'{CLOUD}token = "{simulator.credentials["token"]}"\ninsecure_plaintext = true\n')
    client = caller.connect(None, profile="cloud", transport=simulator.transport)  # type: ignore[arg-type]
    assert caller.list(client.sources.list()) == []
    assert simulator.journal[0].headers["x-auth-token"] == simulator.credentials["token"]


def test_any_setting_may_be_a_reference(path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SRM_HOST", "https://from-env.example")
    name = written(tmp_path / "user", "operator\n")
    profile = Profile(
        name="dr",
        provider="vmware_srm",
        settings={
            "endpoint": {"env": "SRM_HOST"},
            "username": {"file": str(name)},
            "timeout": {"command": ["echo", "7"]},
        },
    )
    values = [fetched(profile, key, secret=False, environ=os.environ, vendor=lambda: None) for key in profile.settings]
    assert values == ["https://from-env.example", "operator", "7"]


def test_a_reference_that_fails_names_profile_and_setting(path: Path) -> None:
    written(path, f'{SRM}password = {{ command = ["sh", "-c", "echo {CANARY}; exit 1"] }}\n')
    assert refused(mc.connect, profile="dr") == "profile 'dr': password: the command sh ended with 1"
    written(path, f'{SRM}password = {{ vendor = true }}\npeer_password = "{CANARY}"\n')
    assert refused(mc.connect, profile="dr").startswith("profile 'dr': password: the vendor's own environment")


@pytest.mark.parametrize(
    "settings",
    [
        {"token": CANARY, "timeout": 0},
        {"token": CANARY, "tocken": 1},
        {"token": f"{CANARY}\n"},
        {"token": CANARY, "access_key": CANARY},
        {"secret_key": CANARY},
        {"token": CANARY, "endpoint": f"https://user:{CANARY}@sms.example"},
        {"token": CANARY, "transport": "carrier-pigeon"},
        {"token": CANARY, "verify": "no/such/bundle.pem"},
        {"token": [CANARY]},
    ],
)
def test_no_error_of_connecting_tells_what_was_given(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    monkeypatch.setenv("MIGRATE_PASSWORD", CANARY)
    refused(caller.connect, "huawei_sms", **{"endpoint": "https://sms.example", **settings})
    refused(caller.connect, None, **settings)


def test_nor_do_the_errors_of_its_parts(path: Path) -> None:
    written(path, SRM)
    environ = {"MIGRATE_PASSWORD": CANARY, "MIGRATE_PROFILES_FILE": str(path)}
    assert "is for vmware_srm" in refused(chosen, "huawei_sms", "dr", environ)
    assert "name a provider or a profile" in refused(chosen, None, None, environ)
    cls, profile = chosen(None, "dr", environ)
    assert "no setting 'tocken'" in refused(settings_from, cls, {"tocken": CANARY}, environ, profile)
    assert "timeout is a number" in refused(settings_from, cls, {"password": CANARY, "timeout": 0}, environ, profile)


# Changing it.

names = st.text(string.ascii_letters + string.digits + "_.-", min_size=1, max_size=64).filter(
    lambda name: name[0] not in "_.-"
)
texts = st.text(st.characters(exclude_categories=["Cs"]))
words = texts.filter(lambda text: text and "\0" not in text)
references = st.one_of(
    st.fixed_dictionaries({"env": words.filter(lambda text: "=" not in text)}),
    st.fixed_dictionaries({"file": words}),
    st.fixed_dictionaries({"keyring": st.builds("{}/{}".format, words, words.filter(lambda text: "/" not in text))}),
    st.fixed_dictionaries({"command": st.lists(words, min_size=1, max_size=3)}),
    st.just({"vendor": True}),
)
values = st.one_of(
    texts, st.booleans(), st.integers(), st.floats(allow_nan=False), st.lists(texts, max_size=2), references
)
keys = texts.filter(lambda key: key not in ("provider", "insecure_plaintext"))
settings_of = st.dictionaries(keys, values, max_size=4)
profiles_of = st.dictionaries(
    names,
    st.builds(
        dict,
        provider=st.sampled_from(["vmware_srm", "huawei_sms", "acme"]),
        settings=settings_of,
        insecure_plaintext=st.booleans(),
    ),
    max_size=4,
)


def made(name: str, values: Mapping[str, Any]) -> Profile:
    return Profile(name=name, **values)


@given(first=profiles_of, second=profiles_of, removed=st.sets(names, max_size=2))
def test_what_is_saved_is_loaded_again(first: dict[str, Any], second: dict[str, Any], removed: set[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "profiles.toml"
        expected: dict[str, Profile] = {}
        for name, values in [*first.items(), *second.items()]:
            expected[name] = made(name, values)
            save_profile(expected[name], path)
            assert load_profiles(path) == expected
        for name in [*removed, *first]:
            expected.pop(name, None)
            remove_profile(name, path)
            assert load_profiles(path) == expected


@given(there=profiles_of, saved=profiles_of, removed=st.sets(st.integers(0, 3)))
def test_comments_and_all_other_profiles_stay(there: dict[str, Any], saved: dict[str, Any], removed: set[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "profiles.toml"
        comments = ["# About this file.", *(f"# About {name}." for name in there), "# The end."]
        sections = [f'[{name!r}]\nprovider = "acme"\n' for name in there]
        pieces = (f"{comment}\n\n{section}" for comment, section in zip(comments, [*sections, ""], strict=False))
        written(path, "\n".join([*pieces, comments[-1]]))
        expected = {name: made(name, {"provider": "acme"}) for name in there}
        for name, values in saved.items():
            expected[name] = made(name, values)
            save_profile(expected[name], path)
        for name in [name for place, name in enumerate([*there, *saved]) if place in removed]:
            expected.pop(name, None)
            remove_profile(name, path)
        assert load_profiles(path) == expected
        lines = path.read_text(encoding="utf-8").splitlines()
        assert [line for line in lines if line in comments] == comments


COMMENTED = """\
# Our sites.

[dr]  # the second one
provider = "vmware_srm"
# username = "somebody"

# The cloud.
[cloud]
provider = "huawei_sms"  # theirs
"""


def test_a_comment_between_two_profiles_stays_with_the_second(path: Path) -> None:
    written(path, COMMENTED)
    remove_profile("dr", path)
    rest = '# username = "somebody"\n\n# The cloud.\n[cloud]\nprovider = "huawei_sms"  # theirs\n'
    assert path.read_text(encoding="utf-8") == f"# Our sites.\n\n{rest}"
    save_profile(Profile(name="dr", provider="vmware_srm", settings={"password": {"env": "P"}}), path)
    added = '\n[dr]\nprovider = "vmware_srm"\npassword = {env = "P"}\n'
    assert path.read_text(encoding="utf-8") == f"# Our sites.\n\n{rest}{added}"


def test_a_file_does_not_grow_when_a_profile_is_saved_again(path: Path) -> None:
    profile = Profile(name="dr", provider="vmware_srm", settings={"timeout": 5})
    written(path, COMMENTED)
    save_profile(profile, path)
    once = path.read_bytes()
    for _ in range(3):
        save_profile(profile, path)
    assert path.read_bytes() == once


@pytest.mark.parametrize(
    "content",
    [
        'dr = { provider = "acme" }\ncloud = { provider = "acme" }',
        'dr.provider = "acme"\ndr.token.env = "T"\ncloud.provider = "acme"',
        '[dr]\nprovider = "acme"\n[cloud]\nprovider = "acme"\n[dr.token]\nenv = "T"\n# end',
        '[dr.token]\nenv = "T"\n[cloud]\nprovider = "acme"\n[dr]\nprovider = "acme"',
        '["dr"]\nprovider = "acme"\n["cloud"]\nprovider = "acme"',
        '[dr]\r\nprovider = "acme"\r\n# about\r\n[cloud]\r\nprovider = "acme"\r\n',
        '[dr]\nprovider = "acme"\nendpoint = """\n# 1\n# 2"""\n[cloud]\nprovider = "acme"\ntoken = { env = "T" } # end',
    ],
)
def test_a_profile_is_changed_however_it_was_written(path: Path, content: str) -> None:
    cloud = load_profiles(written(path, content))["cloud"]
    profile = Profile(name="dr", provider="vmware_srm", settings={"endpoint": "[x]", "password": {"env": "P"}})
    save_profile(profile, path)
    assert load_profiles(path) == {"dr": profile, "cloud": cloud}
    remove_profile("dr", path)
    assert load_profiles(path) == {"cloud": cloud}
    assert (b"\r\n" in path.read_bytes()) == ("\r\n" in content)


def test_the_file_and_its_new_folder_are_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "migrate-core" / "profiles.toml"
    previous = os.umask(0)
    try:
        save_profile(Profile(name="dr", provider="vmware_srm"), path)
    finally:
        os.umask(previous)
    assert (mode_of(path), mode_of(path.parent)) == (0o600, 0o700)
    path.chmod(0o644)
    save_profile(Profile(name="dr", provider="vmware_srm"), path)
    assert mode_of(path) == 0o600


def test_a_link_to_the_file_stays_one(path: Path) -> None:
    there = path.with_name("elsewhere.toml")
    path.symlink_to(there)
    save_profile(Profile(name="dr", provider="vmware_srm"), path)
    assert path.is_symlink()
    assert list(load_profiles(there)) == ["dr"]


def test_writing_that_fails_leaves_the_old_file_and_nothing_else(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device", CANARY)

    written(path, f'{SRM}password = "{CANARY}"\ninsecure_plaintext = true\n')
    before = path.read_bytes()
    monkeypatch.setattr(os, "replace", full)
    profile = Profile(name="x", provider="vmware_srm", settings={"password": CANARY}, insecure_plaintext=True)
    for change in (lambda: save_profile(profile, path), lambda: remove_profile("dr", path)):
        assert refused(change) == f"{path} cannot be written: No space left on device"
        assert path.read_bytes() == before
        assert list(path.parent.iterdir()) == [path]


def test_where_no_file_can_be_made_is_an_error_of_ours(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 250)  # the name that it is first written under is too long
    said = refused(save_profile, Profile(name="dr", provider="vmware_srm", settings={"password": CANARY}), path)
    assert said == f"{path} cannot be written: File name too long"


@pytest.mark.parametrize("name", ["", "a b", "-x", ".x", "ü", "a/b", "a\n", "x" * 65, '"', "[x]"])
def test_a_name_that_a_shell_or_a_path_would_trip_over_is_not_saved(path: Path, name: str) -> None:
    with pytest.raises(mc.InvalidArgumentError) as raised:
        save_profile(Profile(name=name, provider="vmware_srm", settings={"password": CANARY}), path)
    assert str(raised.value) == f"{name!r} is no name: letters, digits, '_', '.' and '-', at most 64"
    assert not path.exists()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"password": {"value": CANARY}}, "dr: password takes a reference"),
        ({"password": {"command": CANARY}}, "dr: password command takes a list of words"),
        ({"password": CANARY, "username": None}, "dr cannot be changed in"),
        ({"password": f"{CANARY}\udcff"}, "dr cannot be changed in"),
        ({"password": (CANARY, object())}, "dr cannot be changed in"),
    ],
)
def test_what_could_not_be_loaded_is_not_saved(path: Path, settings: dict[str, Any], said: str) -> None:
    written(path, SRM)
    assert said in refused(save_profile, Profile(name="dr", provider="vmware_srm", settings=settings), path)
    assert path.read_text(encoding="utf-8") == SRM
    assert list(path.parent.iterdir()) == [path]
