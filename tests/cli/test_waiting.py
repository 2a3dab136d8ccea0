"""Waiting for a task: the bar, and every way in which a wait ends before the task does."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Callable

import pytest

from cli.place import Place
from cli.support import Ended, Terminal, in_pipe, in_process, plain, screen
from migrate_core.testing import VirtualClock
from misbehaving import Conversation, Server

TASK_WAIT = re.compile(r"^  migratectl (task wait mct1\.\S+.*)$", re.MULTILINE)


def going_on(ended: Ended) -> list[str]:
    """The words of the command that a wait which ended early says to go on with."""
    said = TASK_WAIT.search(plain(ended.err))
    assert said, ended.err
    return shlex.split(said[1])


def never_answering(conversation: Conversation) -> None:
    conversation.request()
    conversation.silence()


def test_a_bar_turns_on_a_terminals_stderr_and_is_gone_in_the_end(
    clock: VirtualClock, task: Callable[[float], str]
) -> None:
    with Terminal("task", "wait", task(10.0), "--profile", "dr") as terminal:
        terminal.until("queued")
        clock.advance(5.0)
        terminal.until("running")
        clock.advance(5.0)
        ended = terminal.end()
    assert ended.code == 0
    assert "%" in ended.err
    assert "running" in ended.err
    assert screen(ended.err) == ""
    assert "success" in ended.out
    assert "running" not in ended.out


def test_a_pipe_gets_no_bar(task: Callable[[float], str]) -> None:
    ended = in_pipe("task", "wait", task(0.8), "--profile", "dr")
    assert (ended.code, ended.err) == (0, "")
    assert "success" in ended.out


def test_what_is_sent_is_said_above_the_bar(clock: VirtualClock, task: Callable[[float], str]) -> None:
    token = task(10.0)
    clock.advance(5.0)
    with Terminal("task", "wait", token, "--profile", "dr", "-v") as terminal:
        terminal.until("running")
        clock.advance(5.0)
        ended = terminal.end()
    assert ended.code == 0
    assert "running" in ended.err
    lines = screen(ended.err).splitlines()
    assert [line for line in lines if not re.fullmatch(r"\d\d:\d\d:\d\d vmware_srm [A-Z]+ \S+: 20\d, .* s", line)] == []
    first, *looks, last = [line.split()[2] for line in lines]
    assert (first, set(looks), last) == ("POST", {"GET"}, "DELETE")
    assert len(looks) >= 2


def test_ctrl_c_ends_the_wait_and_says_how_to_go_on(place: Place, clock: VirtualClock) -> None:
    place.srm.controls.task_seconds = 1.0
    pairing_id = place.srm.pair()
    with Terminal("pairing", "delete", pairing_id, "--profile", "dr", "--yes") as terminal:
        ended = terminal.until("queued").interrupt()
    assert ended.code == 130
    said = screen(ended.err)
    assert "queued" in said.splitlines()[0]
    assert "the task goes on" in said
    assert said.endswith("interrupted")
    assert "client." not in said
    clock.advance(1.0)
    resumed = in_process(*going_on(ended))
    assert resumed.code == 0
    assert not place.srm.has_pairing(pairing_id)


def test_ctrl_c_before_the_first_request_sends_nothing(place: Place) -> None:
    document = place.home / "document"
    os.mkfifo(document)
    with Terminal("source", "register", "-f", str(document), "--profile", "cloud") as terminal:
        writer = os.open(document, os.O_WRONLY)  # waits for the reader
        os.write(writer, bytes(2**17))  # waits until it reads: no pipe holds as much
        ended = terminal.interrupt()
        os.close(writer)
    assert (ended.code, plain(ended.err)) == (130, "interrupted\n")
    assert place.sms.journal == []


def test_ctrl_c_while_a_change_is_on_its_way_says_that_it_may_have_happened(place: Place) -> None:
    with Server(never_answering) as server:
        words = ("source", "delete", "some-id", "--profile", "cloud", "--endpoint", server.origin, "--yes")
        with Terminal(*words) as terminal:
            server.wait_until(lambda server: len(server.requests) > 0)
            ended = terminal.interrupt()
    assert ended.code == 130
    assert "it may have happened" in ended.err
    assert "Traceback" not in ended.err


def test_ctrl_c_while_a_list_is_on_its_way_says_no_more_than_that(place: Place) -> None:
    with (
        Server(never_answering) as server,
        Terminal("source", "list", "--profile", "cloud", "--endpoint", server.origin) as terminal,
    ):
        server.wait_until(lambda server: len(server.requests) > 0)
        ended = terminal.interrupt()
    assert (ended.code, plain(ended.err)) == (130, "interrupted\n")


def test_the_time_to_wait_being_over_ends_with_7_and_says_how_to_go_on(place: Place) -> None:
    place.srm.controls.task_seconds = 3600.0
    ended = in_process("pairing", "delete", place.srm.pair(), "--profile", "dr", "--yes", "--timeout", "0.1")
    assert (ended.code, ended.out) == (7, "")
    assert "not ended after 0.1 s" in ended.err
    place.srm.controls.task_seconds = 0.0
    assert going_on(ended)[3:] == ["--profile", "dr"]


def test_the_command_that_goes_on_connects_as_this_one_did(place: Place) -> None:
    place.srm.controls.task_seconds = 3600.0
    words = ("--provider", "vmware-srm", "--endpoint", place.srm.endpoint, "--profile", "dr")
    ended = in_process("pairing", "delete", place.srm.pair(), *words, "--yes", "--timeout", "0.1")
    resumed = in_process(*going_on(ended), "--timeout", "0.1")
    assert (ended.code, resumed.code) == (7, 7)
    assert going_on(resumed) == going_on(ended)


@pytest.mark.parametrize("timeout", ["0", "-1", "nan", "soon"])
def test_an_impossible_time_to_wait_is_refused_before_anything_is_changed(timeout: str, place: Place) -> None:
    ended = in_process("pairing", "delete", place.srm.pair(), "--profile", "dr", "--yes", "--timeout", timeout)
    assert (ended.code, ended.out) == (2, "")
    assert "--timeout" in ended.err
    assert place.srm.journal == []


def test_not_waiting_prints_the_token_that_waits_later(place: Place) -> None:
    place.srm.controls.task_seconds = 3600.0
    delete = ("pairing", "delete", place.srm.pair(), "--profile", "dr", "--yes", "--no-wait")
    page, identity, record = (in_process(*delete, "-o", form) for form in ("table", "id", "json"))
    assert {ended.code for ended in (page, identity, record)} == {0}
    assert re.search(r"^token +mct1\.", page.out, re.MULTILINE)
    assert going_on(page)
    assert (identity.err, record.err) == ("", "")
    assert identity.out.startswith("mct1.")
    assert json.loads(record.out)["token"].startswith("mct1.")
    shown = in_process("task", "show", identity.out.strip(), "--profile", "dr", "-o", "json")
    assert json.loads(shown.out)["operation"] == "delete_pairing"


def test_the_id_of_a_change_that_has_ended_is_that_of_its_object(place: Place) -> None:
    created = in_process("pairing", "create", "-f", place.site_b(), "--profile", "dr", "-o", "id")
    assert place.srm.has_pairing(created.out.strip())


@pytest.mark.parametrize(("control", "said"), [("fail", "disk full"), ("cancel", "cancelled")])
def test_a_task_that_does_not_succeed_ends_with_1(control: str, said: str, place: Place) -> None:
    setattr(place.srm.controls, control, said if control == "fail" else True)
    ended = in_process("pairing", "delete", place.srm.pair(), "--profile", "dr", "--yes")
    assert (ended.code, ended.out) == (1, "")
    assert said in ended.err
    assert "task wait" not in ended.err


def test_a_task_that_the_vendor_forgot_is_not_found(place: Place) -> None:
    ended = in_process("task", "wait", "no-such-task", "--profile", "dr")
    assert (ended.code, ended.out) == (3, "")


@pytest.mark.parametrize("token", ["mct1.", "mct1.AAAA", "mct1.ey!"])
def test_a_damaged_token_is_bad_usage(token: str, place: Place) -> None:
    ended = in_process("task", "show", token, "--profile", "dr")
    assert (ended.code, ended.err) == (2, "migratectl: this task token is damaged\n")
    assert place.srm.journal == []


def test_a_server_that_is_down_for_a_look_does_not_end_the_wait(place: Place, task: Callable[[float], str]) -> None:
    token = task(0.5)
    place.srm.faults.answer(200, answer_running(token), path="/tasks/")
    place.srm.faults.answer(503, path="/tasks/", times=3)
    ended = in_process("task", "wait", token, "--profile", "dr", "-v")
    assert ended.code == 0
    assert "a look failed, the wait goes on" in ended.err


def answer_running(token: str) -> str:
    return json.dumps({"id": "task-1", "status": "RUNNING", "progress": 50})
