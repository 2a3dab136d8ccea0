"""The listener of `canary_plugin` hears a secret wherever one gets out, and this very run is listened to."""

from __future__ import annotations

import base64
import json
import logging
import os
import subprocess
import sys
from urllib.parse import quote

import attrs
import pytest

import migrate_core as mc
from canary import CANARY, sings
from canary_plugin import PLACES, listener
from migrate_aws_mgn.simulator import AwsMgnSimulator
from migrate_core.testing import new_simulator
from support import ROOT

pytestmark = pytest.mark.timeout(600)  # the first test waits for two more processes, however busy the machine is

_SUITE = '''\
import contextlib, json, logging, os, shutil, subprocess, sys, tempfile, time, warnings
from pathlib import Path
import pytest
import migrate_core as mc
from canary import CANARY
from migrate_core import provider, tasks
from migrate_core.testing import new_simulator

def leaving(filename):
    """Make a function of ours with a secret in a variable."""
    names = {}
    code = "def call(secret, error):\\n    raise error"
    exec(compile(code, str(Path(mc.__file__).with_name(filename)), "exec"), names)
    return names["call"]

def raised(error):
    with pytest.raises(mc.MigrateError):
        raise error

def caused(error, cause):
    error.__cause__ = cause
    return error

def noted(error):
    error.add_note(CANARY)
    return error

def hidden():
    """Make an error that says nothing, and pickles all."""
    info = provider.TaskInfo(id="t", raw={"name": CANARY})
    return mc.TaskFailedError("no", info, "token")

def test_log(): logging.getLogger("any.library").debug("sent %s", CANARY)
def test_log_of_ours(): logging.getLogger("migrate_core.any").info(CANARY)
def test_log_of_an_error():
    try:
        raise KeyError(CANARY)
    except KeyError:
        logging.getLogger("any.library").debug("failed", exc_info=True)
def test_log_extra(): logging.getLogger("any.library").info("sent", extra={"what": CANARY})
def test_warning():
    with pytest.warns(UserWarning):
        warnings.warn(CANARY)
def test_stdout(): print(CANARY)
def test_stderr(): os.write(2, CANARY.encode())
def test_output_that_a_test_takes(capsys):
    print(CANARY)
    assert capsys.readouterr().out
def test_error(): raised(mc.MigrateError(CANARY))
def test_error_that_is_caught():
    with contextlib.suppress(mc.MigrateError):
        raise mc.ConfigurationError(CANARY)
def test_error_attribute(): raised(mc.MalformedResponseError("no", path=CANARY))
def test_error_note(): raised(noted(mc.MigrateError("no")))
def test_error_cause(): raised(caused(mc.MigrateError("no"), OSError(CANARY)))
def test_error_context():
    with pytest.raises(mc.MigrateError):
        try:
            raise KeyError(CANARY)
        except KeyError:
            raise mc.MigrateError("no") from None
def test_error_pickle(): raised(hidden())
def test_error_variable():
    with pytest.raises(mc.MigrateError):
        leaving("_engine.py")(CANARY, mc.MigrateError("no"))
kept = []
def test_error_that_lives():
    try:
        leaving("_engine.py")(CANARY, mc.MigrateError("no"))
    except mc.MigrateError as error:
        kept.append(error)
def test_client():
    with mc.connect("huawei_sms", endpoint="https://sms.invalid", token="t", domain_id=CANARY):
        pass
def test_request(): provider.Request(method="GET", path=f"/{CANARY}", repeatable=True)
def test_token(): tasks.token_for("p", provider.TaskInfo(id="t", entity_id=CANARY))
def test_words(): subprocess.run([sys.executable, "-c", "", CANARY], check=True)
def test_variable(): subprocess.run([sys.executable, "-c", ""], env={**os.environ, "X": CANARY}, check=True)
@pytest.fixture
def living(tmp_path):
    command = ["bash", "-c", 'read secret; exec -a "$secret" sleep 60']
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        process.stdin.write(f"{CANARY}\\n".encode())
        process.stdin.flush()
        while CANARY.encode() not in Path(f"/proc/{process.pid}/cmdline").read_bytes():
            time.sleep(0.01)
        yield
        process.kill()
def test_living(living): pass
def test_file(tmp_path): (tmp_path / "file").write_text(CANARY)
def test_file_that_is_deleted():
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "file").write_bytes(b"\\xff" + CANARY.encode())
@pytest.fixture
def early(): print(CANARY)
def test_before_it_begins(early): pass
@pytest.fixture
def late():
    yield
    print(CANARY)
def test_after_its_end(late): pass
def test_simulator_that_a_conftest_knew(): print(new_simulator("huawei_sms").credentials["token"])
def test_silence(tmp_path):
    logging.getLogger("any.library").debug("sent %s", "nothing")
    print("nothing")
    raised(mc.MigrateError("no"))
    provider.Request(method="GET", path="/", headers={"X-Auth-Token": CANARY}, repeatable=True)
    subprocess.run(["true"], check=True)
    (tmp_path / "file").write_text("nothing")
'''

_REPORTER = """\
import json, os
from migrate_huawei_sms.simulator import HuaweiSmsSimulator
def pytest_runtest_logreport(report):
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        with open("told", "a") as file:
            print(json.dumps([report.nodeid.rpartition("::test_")[2], report.longreprtext]), file=file)
"""

_TOLD = {
    "log": "a record of the logger any.library",
    "log_of_ours": "a record of the logger migrate_core.any",
    "log_of_an_error": "a record of the logger any.library",
    "log_extra": "a record of the logger any.library",
    "warning": "a warning in ",
    "stdout": "stdout",
    "stderr": "stderr",
    "output_that_a_test_takes": "stdout",
    "error": "a new MigrateError",
    "error_that_is_caught": "a new ConfigurationError",
    "error_attribute": "the attributes of MalformedResponseError",
    "error_note": "the attributes of MigrateError",
    "error_cause": "what OSError says",
    "error_context": "what KeyError says",
    "error_pickle": "the pickle of TaskFailedError",
    "error_variable": "secret in ",
    "error_that_lives": "secret in ",
    "client": "what a HuaweiSmsSettings says of itself",
    "request": "what a Request says of itself",
    "token": "the token of a task",
    "words": "the command line of a process that was started",
    "variable": "the variable X of a process",
    "living": "the command line of a living process",
    "file": "the file ",
    "file_that_is_deleted": "the file ",
    "before_it_begins": "stdout",
    "after_its_end": "stdout",
    "simulator_that_a_conftest_knew": "stdout",
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Run a small suite that lets the secret out in each place, under xdist; give what its tests were told."""
    folder = tmp_path_factory.mktemp("suite")
    (folder / "test_leaks.py").write_text(_SUITE)
    (folder / "conftest.py").write_text(_REPORTER)
    listening = ("-p", "canary_plugin", "-p", "xdist", "-p", "no:cacheprovider", "-n", "1", "-q", "--show-capture=no")
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT / "tests"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *listening, "--rootdir", str(folder), "."],
        cwd=folder,
        env={**plain, **alone},
        capture_output=True,
        text=True,
        check=False,
    )
    figures = done.stdout.partition("listened for secrets in ")[2].partition("\n")[0]
    reports = [json.loads(line) for line in (folder / "told").read_text().splitlines()]
    return {"figures": figures, "everything": done.stdout + done.stderr, **dict(reports)}


@pytest.mark.parametrize("place", _TOLD)
def test_a_secret_is_heard_where_it_gets_out_and_the_place_is_named(place: str, told: dict[str, str]) -> None:
    assert f"a secret is in {_TOLD[place]}" in told[place]


def test_nothing_else_is_called_a_secret_and_the_secret_is_not_repeated(told: dict[str, str]) -> None:
    assert set(told) - {"figures", "everything"} == set(_TOLD)
    assert not sings(told["everything"])


def test_a_run_tells_how_often_it_looked_at_each_kind_of_place(told: dict[str, str]) -> None:
    looked = {kind: int(number) for number, kind in (figure.split() for figure in told["figures"].split(", "))}
    assert set(looked) == set(PLACES)
    assert min(looked.values()) > 0


FORMS = {
    "as it is": CANARY,
    "in a text": f"token={CANARY}!",
    "percent-encoded": quote(f"a b/{CANARY}", safe=""),
    "as JSON": json.dumps({"pässword": f'"{CANARY}\n'}),
    "in hexadecimal digits": f"user:{CANARY}".encode().hex(),
    "in large ones": CANARY.encode().hex().upper(),
    "in base64": base64.b64encode(CANARY.encode()).decode(),
    "after one more byte": base64.b64encode(f":{CANARY}:".encode()).decode(),
    "after two": base64.b64encode(f"u:{CANARY}".encode()).decode(),
    "in base64 for addresses": base64.urlsafe_b64encode(f"???>>>{CANARY}???".encode()).decode(),
    "in base64 in base64": base64.b64encode(b"x" + base64.b64encode(f"user:{CANARY}".encode())).decode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_a_secret_is_heard(form: str) -> None:
    assert sings(FORMS[form])
    assert sings(b"\xff" + FORMS[form].encode() + b"\x00")


def test_other_words_are_not_heard() -> None:
    words = f"canary {CANARY[:-1]} {CANARY[1:]} {base64.b64encode(CANARY[1:].encode()).decode()}"
    assert not sings(words)
    assert not sings(words.encode())


def test_this_very_run_is_listened_to(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.pluginmanager.has_plugin("canary_plugin")
    logging.getLogger("any.library").debug(CANARY)
    assert listener.told().startswith("a secret is in a record of the logger any.library")


@pytest.mark.parametrize("provider", ["aws_mgn", "huawei_sms", "vmware_srm"])
def test_every_secret_that_a_simulator_accepts_is_planted(provider: str) -> None:
    simulator = new_simulator(provider)
    for kind in simulator.kinds:
        given = simulator.settings(kind)
        with mc.connect(provider, **given) as client:
            fields = attrs.fields(type(client._provider.settings))
        secrets = [field.name for field in fields if field.metadata.get("secret") and field.name in given]
        assert secrets
        assert [name for name in secrets if not sings(given[name])] == []


@pytest.mark.parametrize(
    ("provider", "kind", "header"),
    [
        ("huawei_sms", "login", "x-auth-token"),
        ("vmware_srm", "both", "x-dr-session"),
    ],
)
def test_every_secret_that_a_login_hands_out_is_planted(provider: str, kind: str, header: str) -> None:
    simulator = new_simulator(provider)
    with mc.connect(provider, **simulator.settings(kind)) as client:
        client.check()
        assert sings(simulator.journal[-1].headers[header])


def test_so_are_the_keys_of_a_role() -> None:
    issued = AwsMgnSimulator().issue_session(3600.0)
    assert sings(issued["SecretAccessKey"])
    assert sings(issued["SessionToken"])
