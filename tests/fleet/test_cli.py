"""``migratectl fleet``: from a manifest to a report, against simulators, over a journal in a file."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cli.place import Place, both_served, sit_down
from cli.support import CTRL_C, Ended, Terminal, environment, in_process, plain, screen
from cli.support import commands as every_command
from migrate_core.profiles import profiles_path
from migrate_huawei_sms.simulator import HuaweiSmsSimulator
from migrate_vmware_srm.simulator import VmwareSrmSimulator
from misbehaving import Conversation, Server

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
_COMMAND = re.compile(r"^  migratectl (fleet .*)$", re.MULTILINE)


class Desk(Place):
    """Where somebody sits who has runs carried out."""

    @property
    def journal(self) -> Path:
        """The platform's own file for a journal, which nobody has made yet."""
        return self.home / ".local" / "state" / "migrate-core" / "fleet.db"

    def manifest(self, *rows: Mapping[str, Any], name: str = "machines.jsonl") -> str:
        """Write a manifest; gives its path."""
        return self.file(name, "".join(f"{json.dumps(row)}\n" for row in rows))

    def descriptions(self, count: int) -> list[dict[str, str]]:
        """Rows that describe new sources."""
        return [row("describe_source", source_id) for source_id in self.sms.add_sources(count)]

    def add_profile(self, name: str, endpoint: str) -> None:
        """Add a profile of Huawei Cloud SMS that leads somewhere else."""
        lines = [f"[{name}]", 'provider = "huawei_sms"', f'endpoint = "{endpoint}"', 'token = { env = "DR_PASSWORD" }']
        with profiles_path().open("a") as file:
            file.write("\n".join(["", *lines, ""]))

    @property
    def asked(self) -> list[str]:
        """What the simulators were asked for, other than to log somebody in or out."""
        entries = [*self.sms.journal, *self.srm.journal]
        return [entry.path for entry in entries if not entry.path.endswith("session")]


def row(operation: str, subject: str, profile: str = "cloud") -> dict[str, str]:
    return {"profile": profile, "operation": operation, "id": subject}


@pytest.fixture(scope="module")
def _served() -> Iterator[tuple[HuaweiSmsSimulator, VmwareSrmSimulator]]:
    with both_served() as simulators:
        yield simulators


def sat_down(served: tuple[HuaweiSmsSimulator, VmwareSrmSimulator], home: Path, patch: pytest.MonkeyPatch) -> Desk:
    """Give a clean desk."""
    patch.delenv("MIGRATE_FLEET_JOURNAL", raising=False)
    place = sit_down(served, home, patch)
    return Desk(place.home, place.sms, place.srm)


@pytest.fixture
def desk(
    _served: tuple[HuaweiSmsSimulator, VmwareSrmSimulator], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Desk:
    return sat_down(_served, tmp_path, monkeypatch)


def fleet(*words: str) -> Ended:
    return in_process("fleet", *words)


def told(ended: Ended) -> dict[str, Any]:
    """Read the run that a command has printed."""
    found: dict[str, Any] = json.loads(ended.out)
    return found


def commands(ended: Ended) -> list[list[str]]:
    """The commands that a command says to go on with."""
    return [shlex.split(line) for line in _COMMAND.findall(plain(ended.err))]


def test_a_plan_counts_by_profile_provider_and_operation_sends_nothing_and_opens_no_journal(desk: Desk) -> None:
    manifest = desk.manifest(*desk.descriptions(3), row("delete_pairing", desk.srm.pair(), "dr"))
    page = fleet("plan", manifest)
    assert (page.code, page.err) == (0, "")
    assert re.search(r"^cloud +huawei_sms +describe_source +3$", page.out, re.MULTILINE)
    assert re.search(r"^dr +vmware_srm +delete_pairing +1$", page.out, re.MULTILINE)
    assert told(fleet("plan", manifest, "-o", "json"))["total"] == 4
    assert desk.asked == []
    assert not desk.journal.exists()


def test_a_plan_lists_all_faults_with_their_lines(desk: Desk) -> None:
    ended = fleet("plan", desk.manifest(row("describe_source", ".."), row("fly", "x"), row("delete_source", "s-1")))
    assert (ended.code, ended.out) == (2, "")
    assert [line.strip().partition(":")[0] for line in ended.err.splitlines()[1:]] == ["line 1", "line 2"]


def test_an_application_carries_out_each_order_once_and_prints_the_run(desk: Desk) -> None:
    pairing = desk.srm.pair()
    manifest = desk.manifest(*desk.descriptions(20), row("delete_pairing", pairing, "dr"))
    ended = fleet("apply", manifest, "--yes", "-o", "json")
    assert ended.code == 0, ended.err
    run = told(ended)
    assert (run["kind"], run["name"], run["state"]) == ("RunStatus", "machines.jsonl", "finished")
    assert {tally["operation"]: tally["count"] for tally in run["tallies"]} == {
        "describe_source": 20,
        "delete_pairing": 1,
    }
    assert [line for line in ended.err.splitlines() if "100 %" in line] == [
        f"{run['run']}: 100 % of 21 orders (21 done)"
    ]
    assert len(desk.sms.journal) == 20
    assert not desk.srm.has_pairing(pairing)
    assert desk.journal.stat().st_mode & 0o777 == 0o600


def test_no_on_a_terminal_sends_nothing_and_opens_no_journal(desk: Desk) -> None:
    with Terminal("fleet", "apply", desk.manifest(*desk.descriptions(1))) as terminal:
        ended = terminal.until("[y/N] ").type(b"n\n").end()
    assert ended.code == 1
    assert desk.asked == []
    assert not desk.journal.exists()


def test_yes_on_a_terminal_turns_a_view_on_stderr_that_is_gone_in_the_end(desk: Desk) -> None:
    manifest = desk.manifest(*desk.descriptions(3), row("delete_pairing", desk.srm.pair(), "dr"))
    with Terminal("fleet", "apply", manifest, columns=100) as terminal:
        terminal.until("Carry out 4 orders (3 describe_source at cloud, 1 delete_pairing at dr)? [y/N] ")
        ended = terminal.type(b"y\n").end()
    assert ended.code == 0
    assert re.search(r"machines-\w+: \d+ % of 4 orders", plain(ended.err))
    assert re.search(r"dr \(vmware_srm\) +━", plain(ended.err))
    assert ended.coloured
    assert screen(ended.err) == ""
    assert re.search(r"^dr +vmware_srm +delete_pairing +done +1$", plain(ended.out), re.MULTILINE)


def test_a_pipe_has_nobody_to_ask_and_is_told_of_yes(desk: Desk) -> None:
    ended = in_process("fleet", "apply", desk.manifest(*desk.descriptions(1)), stdin="y\n")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.endswith("There is no terminal to ask on; say --yes\n")
    assert not desk.journal.exists()


def test_failures_end_with_5_and_the_commands_that_are_told_show_and_mend_them(desk: Desk) -> None:
    gone = "00000000-0000-4000-8000-000000000000"
    ended = fleet("apply", desk.manifest(*desk.descriptions(3), row("describe_source", gone)), "--yes")
    assert ended.code == 5
    assert re.search(r"^1 +huawei_sms +describe_source +NotFoundError ", ended.out, re.MULTILINE)
    results, retry = commands(ended)
    listed = in_process(*results, "-o", "jsonl")
    assert [json.loads(line)["about"] for line in listed.out.splitlines()] == [gone]
    assert in_process(*retry).code == 5
    desk.sms.change(desk.sms.add_sources(1)[0], id=gone)
    mended = in_process(*retry, "-o", "json")
    assert (mended.code, told(mended)["failures"]) == (0, [])


def cut_off(conversation: Conversation) -> None:
    conversation.request()


def test_a_run_of_which_nobody_can_tell_what_became_of_an_order_ends_with_6(desk: Desk) -> None:
    with Server(cut_off) as server:
        desk.add_profile("lost", server.origin)
        manifest = desk.manifest(*desk.descriptions(1), row("unlock_target", "replication-1", "lost"))
        ended = fleet("apply", manifest, "--yes", "-o", "json")
    assert ended.code == 6
    assert {tally["state"] for tally in told(ended)["tallies"]} == {"done", "unknown"}


def test_a_detached_run_waits_for_a_worker_which_ends_when_nothing_is_left(desk: Desk) -> None:
    ended = fleet("apply", desk.manifest(*desk.descriptions(3)), "--yes", "--detach")
    assert ended.code == 0
    assert desk.asked == []
    worker, watch = commands(ended)
    assert in_process(*worker, "--until-idle").code == 0
    assert len(desk.asked) == 3
    watched = in_process(*watch, "-o", "json")
    assert (watched.code, told(watched)["state"]) == (0, "finished")
    assert in_process(*worker, "--until-idle").everything == ""


def test_what_another_run_has_is_refused_skipped_or_taken_again(desk: Desk) -> None:
    rows = [{"profile": "cloud", "operation": "delete_source", "id": f"source-{number}"} for number in range(2)]
    assert fleet("apply", desk.manifest(rows[0]), "--yes", "--detach").code == 0
    both = ("apply", desk.manifest(*rows, name="both.jsonl"), "--yes", "--detach")
    refused = fleet(*both)
    assert (refused.code, refused.out) == (2, "")
    skipping = fleet(*both, "--known", "skip", "-o", "json", "--query", "tallies[].count")
    assert json.loads(skipping.out) == [1]
    assert fleet("cancel", "last").code == 0
    again = fleet(*both, "--known", "again", "-o", "json", "--query", "tallies[].count")
    assert json.loads(again.out) == [2]


@pytest.fixture
def submitted(desk: Desk) -> str:
    """A run of three orders of which nothing was sent; gives its id."""
    return fleet("apply", desk.manifest(*desk.descriptions(3)), "--yes", "--detach", "-o", "id").out.strip()


def test_the_runs_are_listed_and_one_is_found_by_its_id_its_beginning_or_as_the_last(
    desk: Desk, submitted: str
) -> None:
    other = fleet("apply", desk.manifest(*desk.descriptions(1), name="x.jsonl"), "--yes", "--detach", "-o", "id")
    runs = fleet("status", "-o", "id")
    assert runs.out.split() == [other.out.strip(), submitted]
    for name, found in {submitted: submitted, submitted[:4]: submitted, "last": other.out.strip()}.items():
        assert fleet("status", name, "-o", "id").out == f"{found}\n"
    assert re.search(rf"^{submitted} +running .* 3 +0 +0 +0 +3$", fleet("status").out, re.MULTILINE)


@pytest.mark.parametrize("command", ["status", "resume", "cancel", "retry --failed", "results", "report --html x"])
def test_a_run_that_is_not_there_is_bad_usage(command: str, desk: Desk, submitted: str) -> None:
    word, *options = command.split()
    ended = fleet(word, "nobody", *options)
    assert (ended.code, ended.out) == (2, "")
    assert f"no run 'nobody'; it has: {submitted}" in ended.err


def test_without_a_journal_there_is_no_run_and_none_is_made(desk: Desk) -> None:
    for words in (["status"], ["status", "last"], ["resume", "last"], ["results", "last"]):
        ended = fleet(*words)
        assert (ended.code, ended.out) == (2, "")
        assert str(desk.journal) in ended.err
    assert not desk.journal.exists()


def test_a_cancelled_run_sends_nothing_until_it_is_resumed(desk: Desk, submitted: str) -> None:
    cancelled = fleet("cancel", submitted, "-o", "json")
    assert (cancelled.code, cancelled.err) == (0, "3 orders will not be sent\n")
    assert told(cancelled)["state"] == "cancelled"
    assert fleet("worker", "--until-idle").code == 0
    assert desk.asked == []
    assert fleet("status", submitted, "--watch").code == 1
    resumed = fleet("resume", submitted, "-o", "json")
    assert (resumed.code, told(resumed)["state"]) == (0, "finished")
    assert len(desk.asked) == 3


def test_retry_wants_to_be_told_what(desk: Desk, submitted: str) -> None:
    ended = fleet("retry", submitted)
    assert (ended.code, ended.out) == (2, "")
    assert "--failed" in ended.err


HOSTILE = '=HYPERLINK("http://127.0.0.1","x"),\n\x1b[2Jgone'


@pytest.fixture(scope="module")
def hostile(
    _served: tuple[HuaweiSmsSimulator, VmwareSrmSimulator], tmp_path_factory: pytest.TempPathFactory
) -> list[str]:
    """Words that lead to a run of which one order worked; the vendor and the id of the other are hostile."""
    with pytest.MonkeyPatch.context() as patch:
        desk = sat_down(_served, tmp_path_factory.mktemp("hostile"), patch)
        body = json.dumps({"error_code": "SMS.1", "error_msg": HOSTILE})
        desk.sms.faults.answer(400, body, path="/v3/sources/%3D1")
        manifest = desk.manifest(row("describe_source", "=1+1"), *desk.descriptions(1))
        assert fleet("apply", manifest, "--yes").code == 5
        return ["last", "--journal", str(desk.journal)]


def test_results_in_csv_are_a_line_each_and_no_formula(hostile: list[str]) -> None:
    ended = fleet("results", *hostile, "-o", "csv")
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert len(lines) == 3
    failed, done = csv.DictReader(lines)
    assert (failed["line"], failed["about"], failed["state"], failed["code"]) == ("1", "'=1+1", "failed", "SMS.1")
    assert (done["line"], done["state"], done["error"]) == ("2", "done", "")
    assert json.loads(done["result"])["name"] == "host-0"
    assert [cell for found in (failed, done) for cell in found.values() if cell.startswith(tuple("=+-@"))] == []
    assert {sign for sign in ended.out if not sign.isprintable()} == {"\n"}


def test_results_in_json_are_as_the_vendor_said_them(hostile: list[str]) -> None:
    printed = fleet("results", *hostile, "-o", "json").out
    failed, done = json.loads(printed)
    assert printed == f"{json.dumps([failed, done], indent=2)}\n"
    assert (failed["kind"], failed["about"]) == ("OrderResult", "=1+1")
    assert HOSTILE in failed["message"]
    assert done["result"]["kind"] == "SourceServer"


def test_results_are_picked_by_state_and_by_query(hostile: list[str]) -> None:
    assert fleet("results", *hostile, "--state", "failed", "-o", "id").out == "=1+1\n"
    assert fleet("results", *hostile, "--state", "failed", "--state", "done", "--query", "[].line").out == "1\n2\n"
    assert fleet("results", *hostile, "--state", "unknown", "-o", "json").out == "[]\n"
    refused = fleet("results", *hostile, "-o", "csv", "--query", "[].line")
    assert (refused.code, refused.out) == (2, "")


def test_the_table_of_results_has_a_line_for_each(hostile: list[str]) -> None:
    heading, *lines = fleet("results", *hostile).out.splitlines()
    assert heading.split()[:3] == ["LINE", "STATE", "PROFILE"]
    assert [line.split()[:2] for line in lines] == [["1", "failed"], ["2", "done"]]


def test_a_report_is_a_page_of_the_run(hostile: list[str], tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    ended = fleet("report", *hostile, "--html", str(page))
    assert (ended.code, ended.out) == (0, "")
    assert ended.err == f"{page} shows run {fleet('status', *hostile, '-o', 'id').out}"
    assert "=1+1" in page.read_text()
    assert fleet("report", *hostile, "--html", str(page / "no-folder")).code == 1


PASSWORDS = (
    "postgresql://fleet:CANARY-0451@127.0.0.1/fleet",
    "postgresql://fleet:CANARY-0451@[::1]:5432/fleet",
    "postgresql://fleet@127.0.0.1/fleet?password=CANARY-0451",
    "postgresql://fleet@127.0.0.1/fleet?sslmode=require&sslpassword=CANARY-0451",
    "postgresql+psycopg://fleet:CANARY/0451@127.0.0.1/fleet",
)


@pytest.mark.parametrize("url", PASSWORDS)
@pytest.mark.parametrize("form", ["--journal {}", "--journal={}"])
def test_a_password_on_the_command_line_is_refused_and_not_repeated(url: str, form: str, desk: Desk) -> None:
    for command in ("status", "worker", "cancel last"):
        ended = fleet(*command.split(), *form.format(url).split())
        assert (ended.code, ended.out) == (2, "")
        assert "PGPASSWORD" in ended.err
        assert "0451" not in ended.err


@pytest.mark.parametrize("url", ["postgresql://fleet@127.0.0.1:9/fleet", "postgresql://127.0.0.1:9/fleet?user=fleet"])
def test_a_url_without_a_password_is_no_mistake(url: str, desk: Desk) -> None:
    ended = fleet("status", "--journal", url)
    assert (ended.code, "PGPASSWORD" in ended.err) == (1, False)


def test_a_password_in_the_environment_is_taken_and_not_repeated(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIGRATE_FLEET_JOURNAL", "postgresql://fleet:CANARY-0451@127.0.0.1:9/fleet")
    ended = fleet("status")
    assert (ended.code, ended.out) == (1, "")
    assert "PGPASSWORD" not in ended.err
    assert "CANARY" not in ended.err


def test_an_empty_journal_is_refused_and_nothing_takes_its_place(desk: Desk) -> None:
    ended = fleet("status", "--journal", "")
    assert (ended.code, ended.err) == (2, "migratectl: --journal is empty\n")


def test_the_journal_that_was_named_is_named_again(desk: Desk) -> None:
    journal = str(desk.home / "my runs.db")
    ended = fleet("apply", desk.manifest(*desk.descriptions(1)), "--yes", "--detach", "--journal", journal)
    worker, watch = commands(ended)
    assert worker[-2:] == watch[-2:] == ["--journal", journal]
    assert not desk.journal.exists()


def test_without_the_extra_the_command_that_installs_it_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dbos", None)
    monkeypatch.delitem(sys.modules, "migrate_core.fleet._runs", raising=False)
    ended = fleet("status")
    assert (ended.code, ended.out) == (4, "")
    assert "pip install 'migrate-core[fleet]'" in ended.err


def test_help_loads_neither_the_engine_nor_a_database_nor_a_parser(desk: Desk) -> None:
    words = ["", *(" ".join(command[1:]) for command in every_command() if command[0] == "fleet")]
    assert len(words) == 10
    script = """
import contextlib, io, json, sys
from migrate_core.cli.app import run
with contextlib.redirect_stdout(io.StringIO()):
    for command in json.load(sys.stdin):
        assert run(["fleet", *command.split(), "--help"]) == 0
print(*sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], input=json.dumps(words), capture_output=True, text=True, env=environment()
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "migrate_core" in loaded, done.stderr
    assert loaded.isdisjoint({"dbos", "sqlalchemy", "psycopg", "yaml"})


def test_a_terminal_that_cannot_change_in_place_gets_lines(desk: Desk, submitted: str) -> None:
    with Terminal("fleet", "status", "last", "--watch", TERM="dumb") as terminal:
        ended = terminal.until("(3 waiting)").type(CTRL_C).end()
    assert (ended.code, ended.err) == (130, f"{submitted}: 0 % of 3 orders (3 waiting)\ninterrupted\n")


def test_somebody_else_may_watch(desk: Desk, submitted: str) -> None:
    with Terminal("fleet", "status", "last", "--watch", "-o", "json") as terminal:
        terminal.until("0 % of 3 orders")
        assert fleet("worker", "--until-idle").code == 0
        ended = terminal.end()
    assert ended.code == 0
    assert told(ended)["state"] == "finished"


def test_ctrl_c_ends_the_work_and_says_how_to_go_on(desk: Desk) -> None:
    desk.srm.controls.task_seconds = 3600.0
    manifest = desk.manifest(row("delete_pairing", desk.srm.pair(), "dr"))
    with Terminal("fleet", "apply", manifest, "--yes") as terminal:
        ended = terminal.until("1        0        0").type(CTRL_C).end()
    assert ended.code == 130
    said = screen(ended.err)
    assert "waiting for the answers to what was sent" in said
    (resume,) = commands(Ended(ended.code, "", said))
    desk.srm.reset()
    resumed = in_process(*resume)
    assert resumed.code == 0, resumed.everything


def never_answering(conversation: Conversation) -> None:
    conversation.request()
    conversation.silence()


def test_a_second_ctrl_c_does_not_wait_for_answers(desk: Desk) -> None:
    with Server(never_answering) as server:
        desk.add_profile("silent", server.origin)
        manifest = desk.manifest(*(row("describe_source", f"s-{number}", "silent") for number in range(3)))
        with Terminal("fleet", "apply", manifest, "--yes", "--in-flight", "2") as terminal:
            terminal.until("0        2        1").type(CTRL_C).until("waiting for the answers")
            ended = terminal.type(CTRL_C).end()
        states = fleet("status", "last", "-o", "json", "--query", "tallies[].state").out
    assert ended.code == 130
    assert json.loads(states) == ["sending", "waiting"]
    assert "Traceback" not in ended.err
    assert ended.err.rindex(SHOW_CURSOR) > ended.err.rindex(HIDE_CURSOR)
    assert [words[:2] for words in commands(Ended(0, "", screen(ended.err)))] == [["fleet", "resume"]]


def test_a_worker_that_a_service_manager_stops_ends_well(desk: Desk) -> None:
    with Terminal("fleet", "worker", "--journal", str(desk.home / "new.db")) as terminal:
        terminal.until("working on all runs")
        os.kill(terminal.pid, signal.SIGTERM)
        ended = terminal.end()
    assert ended.code == 0
    assert "waiting for the answers to what was sent; Ctrl-C once more ends at once" in ended.err
    assert "Traceback" not in ended.err
