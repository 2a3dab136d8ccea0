"""From a name and settings to a client: what is wrong is said before anything is sent."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import migrate_core as mc
from migrate_core.provider import origin


def in_a_process_with(folder: Path, entry_point: str, module: str, code: str) -> str:
    """Install a distribution of one module, with one entry point, for one process; run `code` there."""
    info = folder / "plug_in-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plug-in\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[migrate_core.providers]\nbroken = {entry_point}\n")
    (folder / "plug_in.py").write_text(textwrap.dedent(module))
    script = f"import sys; sys.path.insert(0, {str(folder)!r})\nimport migrate_core as mc\n{textwrap.dedent(code)}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603
    return done.stdout


ATTEMPT = """
    try:
        mc.connect("broken")
    except mc.ProviderLoadError as error:
        print(error, "|", repr(error.__cause__))
"""


@pytest.mark.parametrize(
    ("entry_point", "module", "said"),
    [
        ("plug_in:Provider", "import a_module_that_is_not_there", "ModuleNotFoundError: No module named 'a_module_tha"),
        ("plug_in:Provider", "raise RuntimeError('half installed')", "RuntimeError: half installed"),
        ("plug_in:Missing", "Provider = 1", "AttributeError"),
        ("plug_in:Provider", "Provider = dict", "no subclass of BaseProvider"),
        (
            "plug_in:Provider",
            """
            from migrate_core.provider import BaseProvider
            class Provider(BaseProvider):
                name, contract, capabilities = "broken", 99, {}
            """,
            "contract 99, this is contract 1",
        ),
    ],
)
def test_a_broken_plug_in_is_another_error_than_a_missing_one(
    tmp_path: Path, entry_point: str, module: str, said: str
) -> None:
    assert said in in_a_process_with(tmp_path, entry_point, module, ATTEMPT)


def test_a_broken_plug_in_does_not_hide_who_supports_an_operation(tmp_path: Path) -> None:
    code = """
    site = mc.connect("vmware_srm", endpoint="https://srm.example", username="u", password="p")
    try:
        site.targets.unlock("x")
    except mc.UnsupportedOperationError as error:
        print(error.supporters)
    """
    assert "('huawei_sms',)" in in_a_process_with(tmp_path, "plug_in:Provider", "raise ImportError", code)


def test_an_unknown_provider_names_those_that_exist() -> None:
    with pytest.raises(mc.ProviderNotFoundError, match="huawei_sms, vmware_srm") as raised:
        mc.connect("nobody")
    assert raised.value.known == ("huawei_sms", "vmware_srm")
    with pytest.raises(mc.ConfigurationError, match="MIGRATE_PROVIDER"):
        mc.connect()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"endpoit": "https://x"}, "did you mean 'endpoint'"),
        ({"timeout": "soon"}, "timeout is a number of seconds"),
        ({"timeout": 0}, "timeout is a number of seconds"),
        ({"timeout": float("inf")}, "timeout is a number of seconds"),
        ({"trust_env": "perhaps"}, "neither true nor false"),
        ({"verify": "no/such/bundle.pem"}, "cannot be read as a CA bundle"),
        ({"thumbprint": "12:34"}, "64 hexadecimal digits"),
        ({"transport": "carrier-pigeon"}, "installed are: httpx"),
    ],
)
def test_an_impossible_setting_is_named(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(mc.ConfigurationError, match=said):
        mc.connect("huawei_sms", **{"endpoint": "https://sms.example", "token": "t", **settings})


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("https://sms.example", "https://sms.example"),
        ("https://sms.example:443/", "https://sms.example"),
        ("sms.example:8443", "https://sms.example:8443"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("http://localhost:8080", "http://localhost:8080"),
    ],
)
def test_an_endpoint_becomes_an_origin(endpoint: str, expected: str) -> None:
    assert origin(endpoint) == expected


@pytest.mark.parametrize(
    "endpoint",
    [
        *("", "https://", "ftp://sms.example", "https://sms.example/v3", "https://sms.example?x=1", "https://a b"),
        *("https://sms.example#x", "https://user@sms.example", "http://sms.example", "https://x:port", "https://x\n.y"),
    ],
)
def test_what_is_no_origin_or_would_travel_unprotected_is_refused(endpoint: str) -> None:
    with pytest.raises(mc.ConfigurationError):
        origin(endpoint)


def test_plain_http_to_another_machine_must_be_meant() -> None:
    assert origin("http://sms.example", verify=False) == "http://sms.example"


def test_a_closed_client_says_so_and_closes_twice() -> None:
    client = mc.connect("huawei_sms", endpoint="https://sms.example", token="t")
    client.close()
    client.close()
    with pytest.raises(mc.ConfigurationError, match="closed"):
        client.sources.describe("s")


def test_capabilities_answer_for_every_operation_before_any_request() -> None:
    with mc.connect("huawei_sms", endpoint="https://sms.example", token="t") as client:
        assert set(client.capabilities) == set(mc.Operation)
        assert client.capabilities[mc.Operation.REGISTER_SOURCE].options == ("allow_incomplete",)
        assert repr(client) == "<Client huawei_sms>"
