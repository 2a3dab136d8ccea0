"""``migratectl``, run as its users run it: a process of its own, in a pipe or on a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import migrate_core as mc

COMMAND = [sys.executable, "-m", "migrate_core.cli"]
ESCAPE = "\x1b["


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def simulated(name: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Run ``migratectl simulate``; gives the process and what it said of itself."""
    command = [*COMMAND, "simulate", name, "-o", "json", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())
        finally:
            process.terminate()


def refused(endpoint: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(endpoint.rpartition(":")[2]))) != 0


def test_the_demo_runs_all_operations_plainly_in_a_pipe_and_leaves_nothing_listening() -> None:
    result = run("demo", "--task-seconds", "2")
    assert (result.returncode, result.stderr) == (0, "")
    assert ESCAPE not in result.stdout
    for said in (
        "breaks 8 of its rules; nothing was sent",
        "Registered all the same",
        "/dev/mapper/vg1-lv1",
        "RAW_DEVICES",
        "target locked: True",
        "unlocked; target locked: False",
        "Deleted; asking again gives NotFoundError",
        "Paired srm-a.example with srm-b.example: PAIRED",
        "Pairings left: 0",
        "huawei_sms: list_sources: 3; list_pairings: not offered",
        "vmware_srm: list_sources: not offered; list_pairings: 1",
    ):
        assert said in result.stdout
    statuses = re.findall(r"^  (QUEUED|RUNNING|SUCCESS) +(\d+) %", result.stdout, re.MULTILINE)
    assert statuses[0][0] == "QUEUED"
    assert "RUNNING" in [status for status, _ in statuses]
    assert statuses[-1] == ("SUCCESS", "100")
    endpoints = re.findall(r"http://127\.0\.0\.1:\d+", result.stdout)
    assert len(endpoints) == 2
    assert all(map(refused, endpoints))


def test_the_demo_is_coloured_on_a_terminal() -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"}
    environment.pop("NO_COLOR", None)
    command = [*COMMAND, "demo", "--task-seconds", "1"]
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, stdin=theirs, env=environment) as process:
        os.close(theirs)
        output = b"".join(_chunks(ours))
    assert process.returncode == 0
    assert ESCAPE.encode() in output


def _chunks(terminal: int) -> Iterator[bytes]:
    try:
        while chunk := os.read(terminal, 4096):
            yield chunk
    except OSError:
        pass  # how a terminal says that its other side is closed
    finally:
        os.close(terminal)


def test_interrupting_the_demo_ends_it_with_130_and_without_a_traceback() -> None:
    with subprocess.Popen(
        [*COMMAND, "demo", "--task-seconds", "60"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        endpoint = re.search(r"http://\S+", next(line for line in process.stdout if "http://" in line))
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert endpoint
    assert refused(endpoint[0])


@pytest.mark.parametrize("kind", [("token",), ("access_key", "secret_key")])
def test_a_served_huawei_simulator_accepts_the_credentials_that_it_prints(kind: tuple[str, ...]) -> None:
    with simulated("huawei-sms") as (_, said):
        credentials = {name: said[name] for name in kind}
        with mc.connect("huawei_sms", endpoint=said["endpoint"], **credentials) as client:
            assert list(client.sources.list()) == []


def test_a_served_srm_simulator_takes_controls_from_the_command_line() -> None:
    with simulated("vmware-srm", "--set", "require_peer_login=false", "--set", "session_seconds=60") as (_, said):
        names = ("endpoint", "username", "password")
        client = mc.connect("vmware_srm", **{name: said[name] for name in names})
        with client, pytest.raises(mc.NotFoundError):
            client.pairings.delete("no-such-pairing")


def test_an_interrupted_simulator_ends_quietly() -> None:
    with simulated("huawei-sms") as (process, _):
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0


def test_a_taken_port_is_an_error_in_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = run("simulate", "huawei-sms", "--port", str(taken.getsockname()[1]))
    assert result.returncode == 1
    assert result.stderr.startswith("migratectl: ")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["simulate", "nobody"], "huawei_sms, vmware_srm"),
        (["simulate", "huawei-sms", "--set", "deny"], "KEY=VALUE"),
        (["simulate", "huawei-sms", "--set", "speed=1"], "unlock_offered"),
        (["simulate", "vmware-srm", "--set", "task_seconds=soon"], "float"),
        (["frobnicate"], "Available commands"),
        (["simulate"], "requires an argument"),
    ],
)
def test_bad_usage_exits_with_2_and_says_what_there_is(arguments: list[str], said: str) -> None:
    result = run(*arguments)
    assert result.returncode == 2
    assert said in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("command", [[], ["demo"], ["simulate"]])
def test_help_is_there_and_each_command_shows_an_example(command: list[str]) -> None:
    result = run(*command, "--help")
    assert result.returncode == 0
    assert "migratectl" in result.stdout
    if command:
        assert f"migratectl {command[0]} " in result.stdout
        assert "For example" in result.stdout
