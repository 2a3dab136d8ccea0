"""Which of four places a setting is taken from: the argument, the environment, the profile, the vendor's own place."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import migrate_core as mc
from migrate_core._connect import settings_from
from migrate_core.profiles import Profile
from migrate_core.provider import BaseProvider, Request, Settings, setting
from migrate_core.testing import JournalEntry, VirtualClock
from migrate_huawei_sms.auth import SigningKey
from migrate_huawei_sms.simulator import HuaweiSmsSimulator
from migrate_vmware_srm.simulator import VmwareSrmSimulator
from support import Caller

KINDS = {
    "token": ("token",),
    "login": ("domain_name", "username", "password"),
    "key": ("access_key", "secret_key", "security_token"),
}
KIND_OF = {name: kind for kind, names in KINDS.items() for name in names}
NEEDED = {"token": {"token"}, "login": {"domain_name", "username", "password"}, "key": {"access_key", "secret_key"}}
CREDENTIALS = HuaweiSmsSimulator().credentials
PLAIN = ("endpoint", "project_id", "domain_id")
SDK = {
    "access_key": "HUAWEICLOUD_SDK_AK",
    "secret_key": "HUAWEICLOUD_SDK_SK",
    "security_token": "HUAWEICLOUD_SDK_SECURITY_TOKEN",
    "project_id": "HUAWEICLOUD_SDK_PROJECT_ID",
    "domain_id": "HUAWEICLOUD_SDK_DOMAIN_ID",
}


def given_by(place: str, names: set[str]) -> dict[str, str]:
    """Make values that tell where they are from."""
    values = {name: f"{name.replace('_', '-')}-of-{place}" for name in names}
    return {name: f"https://{place}.example" if name == "endpoint" else value for name, value in values.items()}


def place(name: str) -> st.SearchStrategy[dict[str, str]]:
    """A place that gives some plain settings, and credentials of at most one kind, whole or in part."""
    credentials = st.sampled_from(list(KINDS.values())).flatmap(lambda names: st.sets(st.sampled_from(names)))
    return st.builds(lambda *names: given_by(name, set().union(*names)), credentials, st.sets(st.sampled_from(PLAIN)))


def winners(places: list[dict[str, str]], vendor: dict[str, str]) -> tuple[str | None, dict[str, str]]:
    """Tell which kind of credentials, and which settings, should be used."""
    kinds = [KIND_OF[name] for each in places for name in each if name in KIND_OF]
    if not kinds:
        places, kinds = [*places, vendor], ["key"] if vendor else []
    kind = kinds[0] if kinds else None
    used: dict[str, str] = {}
    for each in reversed(places):
        used |= {name: value for name, value in each.items() if KIND_OF.get(name) in (None, kind)}
    return kind, used


@contextmanager
def surroundings(environ: Mapping[str, str], profile: Mapping[str, str], vendor: Mapping[str, str]) -> Iterator[None]:
    """Make the three places that are not arguments."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder) / "profiles.toml"
        table = {"provider": "huawei_sms", "insecure_plaintext": True, **profile}
        lines = [f"{name} = {json.dumps(value)}" for name, value in table.items()]
        path.write_text("\n".join(["[cloud]", *lines]), encoding="utf-8")
        path.chmod(0o600)
        patch.setenv("MIGRATE_PROFILES_FILE", str(path))
        for name, value in environ.items():
            patch.setenv(f"MIGRATE_{name.upper()}", value)
        for name, value in vendor.items():
            patch.setenv(SDK[name], value)
        yield


def received(caller: Caller, arguments: Mapping[str, str]) -> tuple[JournalEntry, VirtualClock]:
    """Describe a source with a profile; give what the simulator received first."""
    simulator = HuaweiSmsSimulator(clock=VirtualClock())
    client = caller.connect(
        None,  # type: ignore[arg-type]
        profile="cloud",
        clock=simulator.clock,
        transport=simulator.transport,
        iam_endpoint="https://iam.example",
        **arguments,
    )
    with pytest.raises(mc.AuthenticationError):  # none of these credentials is the simulator's
        caller(client.sources.describe("s-1"))
    return simulator.journal[0], simulator.clock


def proof(kind: str, used: Mapping[str, str], clock: VirtualClock) -> dict[str, str]:
    """Give the headers that should prove who asks."""
    if kind == "token":
        return {"x-auth-token": used["token"]}
    key = SigningKey(**{name: used.get(name) for name in SDK})
    request = Request(method="GET", path="/v3/sources/s-1", repeatable=True)
    return {name.lower(): value for name, value in key.headers(request, used["endpoint"], clock.now()).items()}


PROOFS = {"x-auth-token", "authorization", "x-sdk-date", "x-security-token", "x-project-id", "x-domain-id"}


@pytest.mark.parametrize("client", ["sync", "async"])
@given(
    places=st.tuples(place("argument"), place("environment"), place("profile")),
    vendor=st.sets(st.sampled_from(["security_token", "project_id", "domain_id"])),
    vendor_has_keys=st.booleans(),
)
def test_each_setting_is_of_the_first_place_that_has_it_and_credentials_are_of_one_kind(
    client: str, places: tuple[dict[str, str], ...], vendor: set[str], vendor_has_keys: bool
) -> None:
    theirs = given_by("vendor", {"access_key", "secret_key", *vendor}) if vendor_has_keys else {}
    kind, used = winners(list(places), theirs)
    arguments, environ, profile = places
    with surroundings(environ, profile, theirs), closing(Caller(client)) as caller:
        if kind is None or not NEEDED[kind] <= used.keys() or "endpoint" not in used:
            with pytest.raises(mc.ConfigurationError):
                received(caller, arguments)
            return
        first, clock = received(caller, arguments)
    if kind == "login":
        identity = json.loads(first.body)["auth"]["identity"]["password"]["user"]
        assert identity == {
            "name": used["username"],
            "password": used["password"],
            "domain": {"name": used["domain_name"]},
        }
    else:
        assert f"https://{first.headers['host']}" == used["endpoint"]
        assert {name: value for name, value in first.headers.items() if name in PROOFS} == proof(kind, used, clock)


# Nothing is fetched in vain.


@pytest.mark.parametrize(
    ("arguments", "environ", "fetches"),
    [
        ({}, {}, True),
        ({"token": CREDENTIALS["token"]}, {}, False),
        ({}, {"MIGRATE_TOKEN": CREDENTIALS["token"]}, False),
        ({name: CREDENTIALS[name] for name in ("access_key", "secret_key")}, {}, False),
        ({"token": None}, {"MIGRATE_TOKEN": ""}, True),
    ],
    ids=["nobody else", "argument", "environment", "another kind", "nobody else really"],
)
def test_a_secret_of_a_profile_is_fetched_only_if_no_higher_place_gives_credentials(
    caller: Caller,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    arguments: dict[str, str],
    environ: dict[str, str],
    fetches: bool,
) -> None:
    trace, path = tmp_path / "trace", tmp_path / "profiles.toml"
    command = ["sh", "-c", f"echo fetched >> {trace}; echo {CREDENTIALS['token']}"]
    path.write_text(f'[cloud]\nprovider = "huawei_sms"\ntoken = {{ command = {json.dumps(command)} }}\n')
    for name, value in {**environ, "MIGRATE_PROFILES_FILE": str(path), "MIGRATE_PROFILE": "cloud"}.items():
        monkeypatch.setenv(name, value)
    simulator = HuaweiSmsSimulator(clock=VirtualClock())
    door = {"endpoint": simulator.endpoint, "transport": simulator.transport, "clock": simulator.clock}
    client = caller.connect("huawei_sms", **door, **arguments)
    assert caller.list(client.sources.list()) == []
    assert (trace.read_text() if trace.exists() else "") == ("fetched\n" if fetches else "")


@pytest.mark.parametrize("named_by", ["profile", "environment", "argument"])
def test_a_secret_of_no_kind_is_fetched_only_if_no_higher_place_gives_it(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, named_by: str
) -> None:
    simulator = VmwareSrmSimulator(clock=VirtualClock())
    settings = simulator.settings()
    password = settings.pop("password")
    trace, path = tmp_path / "trace", tmp_path / "profiles.toml"
    command = ["sh", "-c", f"touch {trace}; echo {password}"]
    path.write_text(f'[dr]\nprovider = "vmware_srm"\npassword = {{ command = {json.dumps(command)} }}\n')
    monkeypatch.setenv("MIGRATE_PROFILES_FILE", str(path))
    if named_by == "environment":
        monkeypatch.setenv("MIGRATE_PASSWORD", password)
    if named_by == "argument":
        settings["password"] = password
    client = caller.connect("vmware_srm", profile="dr", clock=simulator.clock, **settings)
    assert caller.list(client.pairings.list()) == []
    assert trace.exists() == (named_by == "profile")


# The vendor's own place.


@attrs.frozen(kw_only=True)
class AcmeSettings(Settings):
    site: str | None = setting(doc="A setting of no kind.")
    token: str | None = setting(doc="One kind.", secret=True, kind="token")
    user: str | None = setting(doc="Another kind.", kind="login")
    password: str | None = setting(doc="Another kind.", secret=True, kind="login")


class Acme(BaseProvider):
    """A plug-in whose vendor keeps a login somewhere."""

    name = "acme"
    settings_type = AcmeSettings
    capabilities: ClassVar[dict[Any, Any]] = {}
    asked: ClassVar[list[Mapping[str, str]]] = []

    @classmethod
    def vendor_settings(cls, environ: Mapping[str, str]) -> Mapping[str, str]:
        cls.asked.append(environ)
        return {"user": "theirs", "password": "theirs", "site": "theirs"}

    def endpoints(self) -> Mapping[str, str]:
        return {"main": "https://acme.example"}

    def error_from(self, response: Any) -> Any:
        raise NotImplementedError


def acme(given: dict[str, Any], environ: dict[str, str], **profile: Any) -> tuple[dict[str, Any], int]:
    """Collect settings; give what was found, and how often the vendor's place was asked."""
    Acme.asked.clear()
    found = settings_from(Acme, given, environ, Profile(name="p", provider="acme", settings=profile))
    assert all(asked is environ for asked in Acme.asked)
    names = ("site", "token", "user", "password")
    return {name: getattr(found, name) for name in names if getattr(found, name)}, len(Acme.asked)


def test_the_vendors_place_gives_all_credentials_or_none() -> None:
    theirs = {"user": "theirs", "password": "theirs", "site": "theirs"}
    assert acme({}, {}) == (theirs, 1)
    assert acme({"site": "ours"}, {}) == ({**theirs, "site": "ours"}, 1)
    assert acme({"token": None}, {"MIGRATE_TOKEN": ""}) == (theirs, 1)
    assert acme({"user": "ours"}, {}) == ({"user": "ours"}, 0)
    assert acme({}, {"MIGRATE_PASSWORD": "ours"}) == ({"password": "ours"}, 0)
    assert acme({}, {"T": "ours"}, token={"env": "T"}) == ({"token": "ours"}, 0)


def test_the_vendors_place_is_asked_once_for_all_references_to_it() -> None:
    found, asked = acme({}, {}, user={"vendor": True}, password={"vendor": True}, site={"vendor": True})
    assert (found, asked) == ({"user": "theirs", "password": "theirs", "site": "theirs"}, 1)
    assert acme({"token": "ours"}, {}, user={"vendor": True}, password={"vendor": True}) == ({"token": "ours"}, 0)


def test_the_vendors_place_may_not_have_what_a_reference_asks_for() -> None:
    with pytest.raises(
        mc.ConfigurationError, match="profile 'p': token: the vendor's own environment and files do not"
    ):
        acme({}, {}, token={"vendor": True})
