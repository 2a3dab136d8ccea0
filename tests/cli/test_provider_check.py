"""``migratectl provider check``: the suite's verdict, and plug-ins that cannot be checked, or lack something."""

from __future__ import annotations

import json

import pytest

from cli.place import Place
from cli.support import Ended, Terminal, in_pipe, on_terminal, plain
from support import ROOT

_METADATA = """\
Metadata-Version: 2.1
Name: acme-plug-in
Version: 1.0
Provides-Extra: cloud
Requires-Dist: attrs
Requires-Dist: a-package-of-nobody>=2; extra == 'cloud'
Requires-Dist: attrs; extra == "local"
"""
_ENTRY_POINTS = """\
[migrate_core.providers]
acme = testing.broken:GuessesStates
lonely = lonely:Lonely
cloudy = nowhere:Cloudy [cloud]
local = lonely:Local [local]

[migrate_core.simulators]
acme = migrate_acme.simulator:AcmeSimulator
"""
_LONELY = """
from migrate_acme import AcmeProvider

class Lonely(AcmeProvider):
    name = "lonely"

class Local(AcmeProvider):
    name = "local"
"""
_UNKNOWN_WORD = "a word that nobody knows is no error and no known state"


@pytest.fixture
def acme(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A place with another distribution installed: a faulty plug-in, one without a simulator, one without its extra."""
    (place.home / "site" / "acme_plug_in-1.0.dist-info").mkdir(parents=True)
    place.file("site/acme_plug_in-1.0.dist-info/METADATA", _METADATA)
    place.file("site/acme_plug_in-1.0.dist-info/entry_points.txt", _ENTRY_POINTS)
    place.file("site/lonely.py", _LONELY)
    folders = (place.home / "site", ROOT / "migrate_core" / "cli" / "skeleton" / "src", ROOT / "tests")
    monkeypatch.setenv("PYTHONPATH", ":".join(map(str, folders)))
    return place


def checked(*words: str) -> Ended:
    ended = in_pipe("provider", "check", *words)
    assert "Traceback" not in ended.err
    return ended


def test_a_fault_is_named_with_the_check_that_found_it_and_the_end_is_1(acme: Place) -> None:
    ended = checked("acme", "--only", "a word that")
    assert ended.code == 1
    heading, row = ended.out.splitlines()
    assert heading.split() == ["CHECK", "VERDICT", "WAYS", "REASON"]
    assert row.split("  ")[0] == _UNKNOWN_WORD
    assert "failed" in row
    assert "0 of 4" in row
    assert row.endswith(
        "state makes stage ERROR - assert <Stage.ERROR: 'error'> in (<Stage.READY: 'ready'>, "
        "<Stage.UNKNOWN: 'unknown'>)"
    )
    assert ended.err == "for details: pytest --migrate-provider acme --pyargs migrate_core.testing.conformance\n"


def test_a_machine_reads_the_verdict_as_json(acme: Place) -> None:
    ended = checked("acme", "--only", "ta", "-o", "json")  # in the names of a dozen, of each verdict
    assert ended.code == 1
    found = {check["name"]: check for check in json.loads(ended.out)}
    assert len(found) > 10
    assert {check["kind"] for check in found.values()} == {"Checked"}
    wrong = found[_UNKNOWN_WORD]
    assert (wrong["verdict"], wrong["ways"], wrong["failed"]) == ("failed", 4, 4)
    assert found["a target is unlocked"]["verdict"] == "not applicable"
    assert found["a target is unlocked"]["reason"] == "acme does not offer unlock_target"
    assert {check["verdict"] for check in found.values()} == {"passed", "failed", "not applicable"}


def test_what_passes_ends_with_0_and_says_no_more(acme: Place) -> None:
    ended = checked("acme", "--only", "is registered")
    assert (ended.code, ended.err) == (0, "")
    assert len(ended.out.splitlines()) == 2


def test_settings_of_the_project_and_of_the_user_stay_out_of_it(acme: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    acme.file("pytest.ini", "[pytest]\naddopts = --no-such-option\n")
    monkeypatch.chdir(acme.home)
    monkeypatch.setenv("PYTEST_ADDOPTS", "--no-such-option-either")
    monkeypatch.setenv("MIGRATE_TIMEOUT", "nonsense")
    assert checked("acme", "--only", "is registered").code == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nobody"], 2, "no provider is called 'nobody'"),
        (["acme", "--only", "no such check"], 2, "no check has 'no such check' in its name"),
        (["lonely"], 4, "lonely has no simulator to be checked against"),
        (["cloudy"], 4, "is not installed with all that it needs: pip install 'acme-plug-in[cloud]'"),
    ],
    ids=["unknown", "no check", "no simulator", "no extra"],
)
def test_what_cannot_be_checked_is_told_apart(acme: Place, words: list[str], code: int, said: str) -> None:
    ended = checked(*words)
    assert (ended.code, ended.out) == (code, "")
    assert said in ended.err


def test_a_provider_without_its_extra_is_listed_with_the_command_that_installs_it(acme: Place) -> None:
    listed = {one["name"]: one for one in json.loads(in_pipe("provider", "list", "-o", "json").out)}
    assert listed["cloudy"]["install"] == "pip install 'acme-plug-in[cloud]'"
    assert listed["local"]["install"] is None
    assert listed["acme"]["install"] is None
    row = next(line for line in in_pipe("provider", "list").out.splitlines() if line.startswith("cloudy"))
    assert row.endswith("pip install 'acme-plug-in[cloud]'")
    shown = in_pipe("provider", "show", "cloudy")
    assert (shown.code, shown.out) == (4, "")
    assert "pip install 'acme-plug-in[cloud]'" in shown.err


def test_a_terminal_sees_how_far_it_is(acme: Place) -> None:
    ended = on_terminal("provider", "check", "acme", "--only", "is described")
    assert ended.code == 0
    assert "checking acme" in plain(ended.err)
    assert "checking" not in plain(ended.out)


def test_an_interruption_ends_it_with_130(acme: Place) -> None:
    with Terminal("provider", "check", "vmware-srm") as terminal:
        ended = terminal.until("/2").interrupt()
    assert ended.code == 130
    assert "interrupted" in ended.err
    assert "Traceback" not in ended.err + ended.out
