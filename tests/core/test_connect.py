"""From a name and settings to a client: what is wrong is said before anything is sent."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import migrate_core as mc
from migrate_core.clock import Deadline
from migrate_core.provider import Request, Response, origin
from migrate_core.testing import VirtualClock
from migrate_core.transports import AsyncTransport, Transport, TransportOptions
from support import Caller

SMS = "https://sms.example"
SRM = {"endpoint": "https://srm.example", "username": "u", "password": "p"}

# Plug-ins.


def in_a_process_with(folder: Path, entry_point: str, module: str, code: str) -> str:
    """Install a distribution of one module, with one entry point, for one process; run `code` there."""
    info = folder / "plug_in-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plug-in\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[migrate_core.providers]\n{entry_point}\n")
    (folder / "plug_in.py").write_text(textwrap.dedent(module))
    script = f"import sys; sys.path.insert(0, {str(folder)!r})\nimport migrate_core as mc\n{textwrap.dedent(code)}"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "XDG_CACHE_HOME": str(folder)},  # where stevedore remembers what it found
    )
    return done.stdout


ATTEMPT = """
    try:
        mc.connect("broken")
    except mc.ProviderLoadError as error:
        print(error, "|", repr(error.__cause__))
"""
HELPLESS = """
    from migrate_core.provider import BaseProvider
    class Provider(BaseProvider):
        name, capabilities = "broken", {}
"""
SILENT = """
    from migrate_core.provider import BaseProvider
    class Provider(BaseProvider):
        name = "broken"
        def endpoints(self): return {"main": "https://broken.example"}
        def error_from(self, response): raise NotImplementedError
"""


@pytest.mark.parametrize(
    ("entry_point", "module", "said"),
    [
        (
            "broken = plug_in:Provider",
            "import a_module_that_is_not_there",
            "ModuleNotFoundError: No module named 'a_module_that_is_not_there' | ModuleNotFoundError(",
        ),
        (
            "broken = plug_in:Provider",
            "raise RuntimeError('half installed')",
            "RuntimeError: half installed | RuntimeError('half installed')",
        ),
        ("broken = plug_in:Missing", "Provider = 1", "AttributeError"),
        (
            "broken = plug_in:Provider",
            "Provider = dict",
            "'broken' breaks a rule of the seam: it is no subclass of BaseProvider",
        ),
        (
            "broken = plug_in:provider",
            "def provider(settings): ...",
            "'broken' breaks a rule of the seam: it is no subclass of BaseProvider",
        ),
        (
            "broken = plug_in:Provider",
            """
            from migrate_core.provider import BaseProvider
            class Provider(BaseProvider):
                name, contract, capabilities = "broken", 99, {}
            """,
            "it was written for contract 99 of the seam, and this release of migrate-core knows contracts 1 to 3",
        ),
        ("broken = plug_in:Provider", HELPLESS, "endpoints"),
        ("broken = plug_in:Provider", SILENT, "capabilities"),
    ],
    ids=["import", "crash", "no such name", "class", "function", "contract", "abstract", "no capabilities"],
)
def test_a_broken_plug_in_is_another_error_than_a_missing_one(
    tmp_path: Path, entry_point: str, module: str, said: str
) -> None:
    assert said in in_a_process_with(tmp_path, entry_point, module, ATTEMPT)


@pytest.mark.parametrize("module", ["raise ImportError", HELPLESS, SILENT], ids=["import", "abstract", "silent"])
def test_a_broken_plug_in_does_not_hide_who_supports_an_operation(tmp_path: Path, module: str) -> None:
    code = f"""
    site = mc.connect("vmware_srm", **{SRM!r})
    try:
        site.targets.unlock("x")
    except mc.UnsupportedOperationError as error:
        print(error.supporters)
    """
    assert "('huawei_sms',)" in in_a_process_with(tmp_path, "broken = plug_in:Provider", module, code)


def test_a_broken_plug_in_is_listed_and_is_in_nobodys_way(tmp_path: Path) -> None:
    code = f"""
    try:
        mc.connect("nobody")
    except mc.ProviderNotFoundError as error:
        print(error.known)
    print(mc.connect("vmware_srm", **{SRM!r}))
    """
    said = in_a_process_with(tmp_path, "broken = plug_in:Provider", "raise ImportError", code)
    assert said.splitlines() == ["('aws_mgn', 'broken', 'huawei_sms', 'vmware_srm')", "<Client vmware_srm>"]


def test_two_plug_ins_of_one_name_are_not_guessed_between(tmp_path: Path) -> None:
    code = ATTEMPT.replace("broken", "huawei_sms")
    said = in_a_process_with(tmp_path, "huawei_sms = plug_in:Provider", SILENT, code)
    assert "multiple implementations" in said


def test_an_outsiders_plug_in_is_found_like_a_built_in_one(tmp_path: Path) -> None:
    module = SILENT.replace('name = "broken"', 'name, capabilities = "acme_dr", {}')
    said = in_a_process_with(tmp_path, "acme_dr = plug_in:Provider", module, 'print(mc.connect("acme-dr"))')
    assert said.strip() == "<Client acme_dr>"


def test_an_unknown_provider_names_those_that_exist() -> None:
    with pytest.raises(mc.ProviderNotFoundError, match="aws_mgn, huawei_sms, vmware_srm") as raised:
        mc.connect("nobody")
    assert raised.value.name == "nobody"
    assert raised.value.known == ("aws_mgn", "huawei_sms", "vmware_srm")
    with pytest.raises(mc.ConfigurationError, match="MIGRATE_PROVIDER"):
        mc.connect()


@pytest.mark.parametrize("name", ["huawei_sms", "huawei-sms"])
def test_a_provider_is_found_by_the_name_that_a_shell_user_types(caller: Caller, name: str) -> None:
    assert caller.connect(name, endpoint=SMS, token="t").provider == "huawei_sms"


# Settings.


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"endpoit": "https://x"}, "did you mean 'endpoint'"),
        ({"quux": 1}, "there is no setting 'quux'; the settings are: verify, thumbprint, timeout"),
        ({"timeout": "soon"}, "timeout is a number of seconds"),
        ({"timeout": 0}, "timeout is a number of seconds"),
        ({"timeout": -1}, "timeout is a number of seconds"),
        ({"timeout": "nan"}, "timeout is a number of seconds"),
        ({"timeout": float("inf")}, "timeout is a number of seconds"),
        ({"trust_env": "perhaps"}, "neither true nor false"),
        ({"keep_raw": 2}, "neither true nor false"),
        ({"verify": "no/such/bundle.pem"}, "cannot be read as a CA bundle"),
        ({"verify": 1.5}, "neither true nor false"),
        ({"thumbprint": "12:34"}, "64 hexadecimal digits"),
        ({"transport": "carrier-pigeon"}, "no transport is called 'carrier-pigeon'; installed are: fast, httpx"),
        ({"token": "two\nlines"}, "token has control characters"),
    ],
)
def test_an_impossible_setting_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(mc.ConfigurationError, match=said):
        mc.connect("huawei_sms", **{"endpoint": SMS, "token": "t", **settings})


@pytest.mark.parametrize("setting", ["timeout", "trust_env", "keep_raw"])
def test_an_impossible_setting_is_named(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    """It may stand in an environment that its reader did not write."""
    monkeypatch.setenv(f"MIGRATE_{setting.upper()}", "perhaps")
    with pytest.raises(mc.ConfigurationError, match=setting):
        mc.connect("huawei_sms", endpoint=SMS, token="t")


@pytest.mark.parametrize("setting", ["endpoint", "username", "thumbprint", "base_path", "transport"])
def test_a_setting_of_the_wrong_type_is_named(setting: str) -> None:
    """As from a profile: ``username = 1234`` is a number in TOML."""
    with pytest.raises(mc.ConfigurationError, match=setting):
        mc.connect("vmware_srm", **{**SRM, setting: 1234})  # type: ignore[arg-type]  # mypy cannot see the names


class Recorder:
    """A transport factory that remembers its options and what it was to send."""

    def __init__(self) -> None:
        self.options: list[TransportOptions] = []
        self.requests: list[Request] = []

    def open(self, options: TransportOptions) -> Transport:
        self.options.append(options)
        return _Open(self)

    def open_async(self, options: TransportOptions) -> AsyncTransport:
        self.options.append(options)
        return _AsyncOpen(self)


class _Open:
    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def send(self, request: Request, deadline: Deadline) -> Response:
        self._recorder.requests.append(request)
        return Response(status=200, body=b'{"id": "s-1"}')

    def close(self) -> None:
        """Nothing is open."""


class _AsyncOpen:
    def __init__(self, recorder: Recorder) -> None:
        self._door = _Open(recorder)

    async def send(self, request: Request, deadline: Deadline) -> Response:
        return self._door.send(request, deadline)

    async def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def headers_sent(caller: Caller, recorder: Recorder, **settings: Any) -> dict[str, str]:
    """Describe a source with these settings; gives the headers that prove who asks."""
    client = caller.connect("huawei_sms", transport=recorder, clock=VirtualClock(), **settings)
    caller(client.sources.describe("s-1"))
    return dict(recorder.requests[-1].headers)


def test_a_setting_that_nobody_names_is_taken_from_the_environment(
    caller: Caller, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "PROVIDER": "huawei-sms",
        "ENDPOINT": "https://from-env.example:8443",
        "TOKEN": "from-env",
        "VERIFY": "no",
        "TRUST_ENV": "0",
        "THUMBPRINT": "AB" * 32,
    }.items():
        monkeypatch.setenv(f"MIGRATE_{name}", value)
    client = caller.connect(None, transport=recorder)  # type: ignore[arg-type]  # as if no provider was named
    caller(client.sources.describe("s-1"))
    (options,) = recorder.options
    assert client.provider == "huawei_sms"
    assert options.endpoints == {"main": "https://from-env.example:8443"}
    assert (options.verify, options.trust_env, options.thumbprint) == (False, False, "ab" * 32)
    assert recorder.requests[0].headers["X-Auth-Token"] == "from-env"


def test_what_is_named_wins_over_the_environment(
    caller: Caller, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIGRATE_PROVIDER", "vmware_srm")
    monkeypatch.setenv("MIGRATE_ENDPOINT", "https://from-env.example")
    monkeypatch.setenv("MIGRATE_TOKEN", "from-env")
    monkeypatch.setenv("MIGRATE_VERIFY", "no")
    assert headers_sent(caller, recorder, endpoint=SMS, token="named", verify=True)["X-Auth-Token"] == "named"
    assert recorder.options[0].endpoints == {"main": SMS}
    assert recorder.options[0].verify is True


def test_none_and_an_empty_variable_count_as_not_named(
    caller: Caller, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIGRATE_TOKEN", "from-env")
    monkeypatch.setenv("MIGRATE_TIMEOUT", "")
    assert headers_sent(caller, recorder, endpoint=SMS, token=None)["X-Auth-Token"] == "from-env"


def test_the_environments_credentials_of_another_kind_are_left_alone(
    caller: Caller, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIGRATE_TOKEN", "from-env")
    monkeypatch.setenv("MIGRATE_SECURITY_TOKEN", "goes-with-the-keys")
    monkeypatch.setenv("MIGRATE_PROJECT_ID", "goes-with-all")
    signed = headers_sent(caller, recorder, endpoint=SMS, access_key="ak", secret_key="sk")
    assert "X-Auth-Token" not in signed
    assert signed["Authorization"].startswith("SDK-HMAC-SHA256 Access=ak")
    assert signed["X-Security-Token"] == "goes-with-the-keys"
    assert signed["X-Project-Id"] == "goes-with-all"


def test_half_of_the_credentials_may_come_from_the_environment(
    caller: Caller, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIGRATE_SECRET_KEY", "sk")
    assert "Access=ak" in headers_sent(caller, recorder, endpoint=SMS, access_key="ak")["Authorization"]


def test_two_kinds_of_credentials_are_not_chosen_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIGRATE_TOKEN", "opensesame")
    monkeypatch.setenv("MIGRATE_ACCESS_KEY", "ak")
    with pytest.raises(mc.ConfigurationError, match="one kind of credentials, not token and key") as raised:
        mc.connect("huawei_sms", endpoint=SMS)
    assert "opensesame" not in str(raised.value)


def test_what_is_missing_is_named_with_the_places_that_were_looked_at() -> None:
    with pytest.raises(mc.ConfigurationError, match=r"lacks username and password.*MIGRATE_USERNAME, MIGRATE_PASSWORD"):
        mc.connect("vmware_srm", endpoint=SRM["endpoint"])
    with pytest.raises(mc.ConfigurationError, match=r"lacks secret_key.*MIGRATE_SECRET_KEY"):
        mc.connect("huawei_sms", endpoint=SMS, access_key="ak")
    with pytest.raises(mc.ConfigurationError, match="MIGRATE_ENDPOINT and MIGRATE_REGION"):
        mc.connect("huawei_sms", token="t")


def test_connecting_sends_nothing(caller: Caller, recorder: Recorder) -> None:
    caller.connect("vmware_srm", transport=recorder, **SRM)
    assert len(recorder.options) == 1
    assert recorder.requests == []


# Endpoints.


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("https://sms.example", "https://sms.example"),
        ("https://sms.example:443/", "https://sms.example"),
        ("https://sms.example:80", "https://sms.example:80"),
        ("HTTPS://SMS.Example", "https://sms.example"),
        ("sms.example", "https://sms.example"),
        ("sms.example:8443", "https://sms.example:8443"),
        ("10.0.0.7", "https://10.0.0.7"),
        ("[2001:db8::1]", "https://[2001:db8::1]"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
    ],
)
def test_an_endpoint_becomes_an_origin(endpoint: str, expected: str) -> None:
    assert origin(endpoint) == expected
    assert origin(expected) == expected


@pytest.mark.parametrize(
    "endpoint",
    [
        *("", "https://", "ftp://sms.example", "https://sms.example/v3", "https://sms.example?x=1", "https://a b"),
        *("https://sms.example#x", "https://user@sms.example", "http://sms.example", "https://x:port", "https://x\n.y"),
        *("https://user:opensesame@sms.example", "https://@sms.example", "https://x:99999", "https://[::1", "/v3"),
        *("https://sms.example\\@evil.example", "https://[fe80::1%25eth0]", "http://127.0.0.1.evil.example", "://x"),
        *("http://127.0.0.1@evil.example", "http://localhost:80@evil.example", "file:///etc/passwd", "https://x%2ey"),
    ],
)
def test_what_is_no_origin_or_would_travel_unprotected_is_refused(endpoint: str) -> None:
    with pytest.raises(mc.ConfigurationError) as raised:
        origin(endpoint)
    assert "opensesame" not in str(raised.value)


def test_plain_http_to_another_machine_must_be_meant() -> None:
    assert origin("http://sms.example", verify=False) == "http://sms.example"
    for verify in (True, "bundle.pem"):
        with pytest.raises(mc.ConfigurationError, match="over plain HTTP"):
            origin("http://sms.example", verify=verify)


# The client that one gets.


def test_a_closed_client_says_so_and_closes_twice() -> None:
    client = mc.connect("huawei_sms", endpoint=SMS, token="t")
    client.close()
    client.close()
    with pytest.raises(mc.ConfigurationError, match="closed"):
        client.sources.describe("s")


def test_capabilities_answer_for_every_operation_before_any_request() -> None:
    with mc.connect("huawei_sms", endpoint=SMS, token="t") as client:
        assert set(client.capabilities) == set(mc.Operation)
        assert client.capabilities[mc.Operation.REGISTER_SOURCE].options == ("allow_incomplete",)
        assert repr(client) == "<Client huawei_sms>"
