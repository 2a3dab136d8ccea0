"""The command line with somebody else's plug-in: what neither of ours can do, and what ours never do wrong."""

from __future__ import annotations

import json

import pytest

from cli.place import Place
from cli.support import Ended, in_pipe
from migrate_core.profiles import profiles_path

_METADATA = "Metadata-Version: 2.1\nName: acme-plug-in\nVersion: 1.0\n"
_ENTRY_POINTS = "[migrate_core.providers]\nacme = acme:Acme\nbroken = acme_broken:Broken\n"
_ACME = '''
"""A vendor whose tasks can be cancelled, and wait for a person."""

from migrate_core.errors import ApiError, MigrateError
from migrate_core.operations import Capability, Operation, Support
from migrate_core.provider import BaseProvider, TaskInfo, TaskStatus


class OutOfPaperError(MigrateError):
    """An error of the plug-in's own."""


class Acme(BaseProvider):
    """Acme's forms."""

    name = "acme"
    capabilities = {
        **{operation: Capability(Support.UNSUPPORTED, "Acme has no such form") for operation in Operation},
        Operation.GET_TASK: Capability(Support.FULL),
        Operation.CANCEL_TASK: Capability(Support.FULL),
        Operation.LIST_TASKS: Capability(Support.FULL),
    }

    def endpoints(self):
        return {"main": "https://acme.invalid"}

    def error_from(self, response):
        return ApiError("refused")

    def get_task(self, last):
        yield from ()
        return TaskInfo(id=last.id, status=TaskStatus.RUNNING, needs_input=True)

    def cancel_task(self, last):
        yield from ()
        return TaskInfo(id=last.id, status=TaskStatus.CANCELLED, cancel_requested=True)

    def list_tasks(self, cursor):
        yield from ()
        raise OutOfPaperError("out of paper")
'''


@pytest.fixture
def acme(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A place with another distribution installed, that has a plug-in and a broken one."""
    (place.home / "site" / "acme_plug_in-1.0.dist-info").mkdir(parents=True)
    place.file("site/acme_plug_in-1.0.dist-info/METADATA", _METADATA)
    place.file("site/acme_plug_in-1.0.dist-info/entry_points.txt", _ENTRY_POINTS)
    place.file("site/acme.py", _ACME)
    place.file("site/acme_broken.py", "import acme_missing\n")
    monkeypatch.setenv("PYTHONPATH", str(place.home / "site"))
    with profiles_path().open("a") as file:
        file.write('\n[acme]\nprovider = "acme"\n')
    return place


def run(*words: str) -> Ended:
    ended = in_pipe(*words)
    assert "Traceback" not in ended.err
    return ended


def test_it_is_listed_although_it_may_be_broken(acme: Place) -> None:
    assert run("provider", "list", "-o", "id").out.split() == ["acme", "aws_mgn", "broken", "huawei_sms", "vmware_srm"]
    shown = run("provider", "show", "broken")
    assert (shown.code, shown.out) == (4, "")
    assert "acme_missing" in shown.err


def test_it_is_shown_by_what_it_declares(acme: Place) -> None:
    shown = json.loads(run("provider", "show", "acme", "-o", "json").out)
    assert shown["description"] == "Acme's forms."
    full = [operation["name"] for operation in shown["operations"] if operation["support"] == "full"]
    assert full == ["get_task", "list_tasks", "cancel_task"]


def test_a_cancelled_task_is_printed_as_it_is_by_then(acme: Place) -> None:
    ended = run("task", "cancel", "form-7", "--profile", "acme", "--yes", "-o", "json")
    assert (ended.code, ended.err) == (0, "")
    task = json.loads(ended.out)
    assert (task["id"], task["status"], task["cancel_requested"]) == ("form-7", "cancelled", True)


def test_a_task_that_waits_for_a_person_ends_the_wait_with_1_and_a_way_to_go_on(acme: Place) -> None:
    ended = run("task", "wait", "form-7", "--profile", "acme")
    assert (ended.code, ended.out) == (1, "")
    assert "\n  migratectl task wait mct1." in ended.err
    assert ended.err.endswith(" --profile acme\n")


def test_an_error_of_its_own_ends_a_check_with_1(acme: Place) -> None:
    ended = run("profile", "check", "acme", "-o", "json")
    assert ended.code == 1
    assert [check["message"] for check in json.loads(ended.out)] == ["out of paper"]
