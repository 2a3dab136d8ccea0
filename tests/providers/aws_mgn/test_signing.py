"""Signatures, and where the keys for them come from."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import Credentials  # type: ignore[import-untyped]

import migrate_core as mc
from migrate_aws_mgn import AwsMgnProvider, AwsMgnSettings
from migrate_aws_mgn.auth import Chain, SigningKey
from migrate_aws_mgn.simulator import REGION, AwsMgnSimulator
from migrate_core.provider import Request, json_body, url_path
from migrate_core.testing import Caller

ORIGIN = "https://mgn.eu-central-1.amazonaws.com"
DATE = "%Y%m%dT%H%M%SZ"
MOMENT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)

REQUESTS = [
    Request(method="POST", path="/DescribeJobs", body=b"", repeatable=True),
    Request(
        method="POST",
        path="/DescribeSourceServers",
        headers={"Content-Type": "application/json"},
        body=json_body({"filters": {"sourceServerIDs": ["s-1"]}, "nextToken": "ü/+="}),
        repeatable=True,
    ),
    Request(
        method="GET",
        path=url_path("tags", "arn:aws:mgn:eu-central-1:1:source-server/s 1~ü"),
        query=(("b", "2"), ("a", "x/y z+~"), ("a", "")),
        headers={"X-Odd": "  two   spaces "},
        repeatable=True,
    ),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request.path[:20])
@pytest.mark.parametrize("token", [None, "a-session-token/+="])
@pytest.mark.parametrize("origin", [ORIGIN, "http://127.0.0.1:40001"])
def test_a_signature_is_the_one_that_the_vendors_library_makes_at_that_time(
    request_: Request, token: str | None, origin: str
) -> None:
    key = SigningKey("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token)
    theirs = AWSRequest(
        method=request_.method, url=f"{origin}{request_.target}", headers=dict(request_.headers), data=request_.body
    )
    SigV4Auth(Credentials(key.access_key, key.secret_key, token), "mgn", "eu-central-1").add_auth(theirs)
    now = datetime.strptime(theirs.headers["X-Amz-Date"], DATE).replace(tzinfo=UTC)
    ours = key.headers(request_, origin=origin, region="eu-central-1", now=now)
    assert dict(ours) == {name: theirs.headers[name] for name in theirs.headers if name not in request_.headers}


def test_the_signature_is_of_our_time_and_of_what_is_sent() -> None:
    provider = AwsMgnProvider(AwsMgnSettings(region="eu-central-1", access_key="AKID", secret_key="s3cret"))
    first, second = (
        provider.authenticate(REQUESTS[1], origin=ORIGIN, now=MOMENT + timedelta(hours=hours)) for hours in (0, 24)
    )
    assert (first["X-Amz-Date"], second["X-Amz-Date"]) == ("20260301T123000Z", "20260302T123000Z")
    scope = "Credential=AKID/20260301/eu-central-1/mgn/aws4_request"
    assert first["Authorization"].startswith(
        f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=content-type;host;x-amz-date, Signature="
    )
    other = provider.authenticate(REQUESTS[0], origin=ORIGIN, now=MOMENT)
    assert len({headers["Authorization"] for headers in (first, second, other)}) == 3


def test_nothing_of_a_key_is_printed() -> None:
    assert "hidden" not in repr(SigningKey("AKID", "hidden-secret", "hidden-token"))


# At the simulator.


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("key", {"secret_key": "wrong-secret-key"}),
        ("key", {"access_key": "AKIAWRONG"}),
        ("key", {"session_token": "wrong-token"}),
        ("session", {"session_token": "wrong-token"}),
        ("session", {"session_token": None}),
        ("key", {"region": "eu-west-1"}),
    ],
)
def test_a_wrong_key_is_refused_once(
    caller: Caller, simulator: AwsMgnSimulator, kind: str, settings: dict[str, Any]
) -> None:
    client = caller.connect("aws_mgn", clock=simulator.clock, **{**simulator.settings(kind), **settings})
    with pytest.raises(mc.AuthenticationError):
        caller.list(client.sources.list())
    assert [entry.status for entry in simulator.journal] == [403]


def test_a_clock_that_is_wrong_is_refused(caller: Caller, simulator: AwsMgnSimulator) -> None:
    for seconds, codes in ((299, []), (301, ["InvalidSignatureException"])):
        ahead = type(simulator.clock)(start=simulator.clock.now() + timedelta(seconds=seconds))  # type: ignore[call-arg]
        client = caller.connect("aws_mgn", clock=ahead, **simulator.settings())
        found = []
        try:
            caller.list(client.sources.list())
        except mc.AuthenticationError as error:
            found = [error.code]
        assert found == codes


def test_a_session_that_expired_says_so(caller: Caller, simulator: AwsMgnSimulator) -> None:
    issued = simulator.issue_session(60.0)
    keys = {
        "access_key": issued["AccessKeyId"],
        "secret_key": issued["SecretAccessKey"],
        "session_token": issued["SessionToken"],
    }
    client = caller.connect("aws_mgn", clock=simulator.clock, **{**simulator.settings(), **keys})
    assert caller.list(client.sources.list()) == []
    simulator.clock.sleep(61.0)
    with pytest.raises(mc.AuthenticationError) as raised:
        caller.list(client.sources.list())
    assert raised.value.code == "ExpiredTokenException"


def test_an_unsigned_request_is_refused(caller: Caller, simulator: AwsMgnSimulator) -> None:
    class Unsigned(AwsMgnProvider):
        def authenticate(self, request: Any, *, origin: str, now: datetime) -> dict[str, str]:
            return {}

    client = caller.connect(Unsigned, clock=simulator.clock, **simulator.settings())
    with pytest.raises(mc.AuthenticationError, match="Missing Authentication Token"):
        caller.list(client.sources.list())


# The vendor's own chain.


def chained(simulator: AwsMgnSimulator, **settings: Any) -> dict[str, Any]:
    """Give settings without keys: those of the chain are left."""
    without = {name: value for name, value in simulator.settings().items() if not name.endswith("_key")}
    return {**without, **settings}


def keys_in(file: Path, keys: Any, section: str = "default") -> None:
    file.write_text(
        f"[{section}]\naws_access_key_id = {keys['access_key']}\naws_secret_access_key = {keys['secret_key']}\n"
    )


def test_keys_come_from_the_vendors_environment(
    caller: Caller, simulator: AwsMgnSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = simulator.settings("session")
    for name, variable in (
        ("access_key", "AWS_ACCESS_KEY_ID"),
        ("secret_key", "AWS_SECRET_ACCESS_KEY"),
        ("session_token", "AWS_SESSION_TOKEN"),
    ):
        monkeypatch.setenv(variable, given[name])
    client = caller.connect("aws_mgn", clock=simulator.clock, **chained(simulator))
    assert caller.list(client.sources.list()) == []


@pytest.mark.parametrize("profile", ["default", "dr"])
def test_keys_come_from_the_vendors_file(
    caller: Caller, simulator: AwsMgnSimulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, profile: str
) -> None:
    keys_in(tmp_path / "credentials", simulator.credentials, profile)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    named = {"aws_profile": profile} if profile != "default" else {}
    client = caller.connect("aws_mgn", clock=simulator.clock, **chained(simulator, **named))
    assert caller.list(client.sources.list()) == []


def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """Let the vendor's configuration name a program that prints keys."""
    (tmp_path / "config").write_text(f"[default]\ncredential_process = {command}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))


def test_keys_of_a_process_are_renewed_before_they_expire(
    caller: Caller, simulator: AwsMgnSimulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    printed = tmp_path / "printed.json"
    process(tmp_path, monkeypatch, f"cat {printed}")
    simulator.clock.sleep((datetime.now(UTC) - simulator.clock.now()).total_seconds())  # the library has its own clock
    client = caller.connect("aws_mgn", clock=simulator.clock, **chained(simulator))
    tokens = []
    for _ in range(2):
        printed.write_text(json.dumps(simulator.issue_session(7200.0)))
        for seconds in (3600.0, 3299.0, 2.0):
            assert caller.list(client.sources.list()) == []
            tokens.append(simulator.journal[-1].headers["x-amz-security-token"])
            simulator.clock.sleep(seconds)
    assert tokens[0] == tokens[1] == tokens[2]
    assert tokens[3] == tokens[4] == tokens[5] != tokens[0]
    assert {entry.status for entry in simulator.journal} == {200}


def test_keys_that_are_refused_are_fetched_anew(
    caller: Caller, simulator: AwsMgnSimulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    printed = tmp_path / "printed.json"
    process(tmp_path, monkeypatch, f"cat {printed}")
    simulator.clock.sleep((datetime.now(UTC) - simulator.clock.now()).total_seconds())
    printed.write_text(json.dumps(simulator.issue_session(7200.0)))
    client = caller.connect("aws_mgn", clock=simulator.clock, **chained(simulator))
    caller.list(client.sources.list())
    simulator.expire_logins()
    printed.write_text(json.dumps(simulator.issue_session(7200.0)))
    assert caller.list(client.sources.list()) == []
    assert [entry.status for entry in simulator.journal] == [200, 403, 200]


def test_many_callers_ask_the_chain_once(
    caller: Caller, simulator: AwsMgnSimulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = tmp_path / "print.sh"
    count, printed = tmp_path / "count", tmp_path / "printed.json"
    printed.write_text(json.dumps({**simulator.issue_session(7200.0), "Expiration": None}))
    script.write_text(f"#!/bin/sh\necho >> {count}\ncat {printed}\n")
    process(tmp_path, monkeypatch, f"sh {script}")
    (source_id,) = simulator.add_sources(1)
    client = caller.connect("aws_mgn", clock=simulator.clock, **chained(simulator))
    caller.together([lambda: client.sources.describe(source_id)] * 6)
    assert count.read_text() == "\n"


@pytest.mark.parametrize(
    "command",
    ["false", "echo canary-4417", "sh -c 'echo canary-4417 >&2; exit 3'", 'echo {"Version": 7, "x": "canary-4417"}'],
)
def test_a_process_that_fails_is_a_configuration_error_and_is_not_quoted(
    caller: Caller, simulator: AwsMgnSimulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str
) -> None:
    process(tmp_path, monkeypatch, command)
    client = caller.connect("aws_mgn", clock=simulator.clock, **chained(simulator))
    with pytest.raises(mc.ConfigurationError, match=r"chain.*failed") as raised:
        caller.list(client.sources.list())
    assert "canary" not in f"{raised.value} {raised.value.__cause__!r} {raised.value.__context__!r}"
    assert simulator.journal == []


def test_no_credentials_at_all_says_where_they_were_looked_for(caller: Caller, simulator: AwsMgnSimulator) -> None:
    client = caller.connect("aws_mgn", clock=simulator.clock, **chained(simulator))
    with pytest.raises(mc.ConfigurationError, match=r"access_key.*MIGRATE_SECRET_KEY.*chain.*has none"):
        caller.list(client.sources.list())


def test_a_chain_that_was_not_asked_signs_nothing() -> None:
    with pytest.raises(mc.ConfigurationError, match="loaded"):
        Chain(None).headers(REQUESTS[0], origin=ORIGIN, region=REGION, now=MOMENT)


def test_listing_providers_does_not_import_the_vendors_library() -> None:
    code = (
        "import sys; from migrate_core.cli import main\n"
        "sys.argv = ['migratectl', 'provider', 'list']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "sys.exit('botocore' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, "aws_mgn" in done.stdout) == (0, True), done.stderr
