"""``migratectl demo`` and ``migratectl simulate``."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import migrate_core as mc
from cli.support import COMMAND, environment, in_pipe, in_process
from migrate_core.testing import new_simulator


@contextmanager
def simulated(name: str, *words: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Run ``migratectl simulate``; gives the process and what it said of itself."""
    command = [*COMMAND, "simulate", name, "-o", "json", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())
        finally:
            process.terminate()


def refused(endpoint: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(endpoint.rpartition(":")[2]))) != 0


def test_the_demo_runs_all_operations_and_leaves_nothing_listening() -> None:
    ended = in_pipe("demo", "--task-seconds", "2")
    assert (ended.code, ended.err) == (0, "")
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
        assert said in ended.out
    statuses = re.findall(r"^  (QUEUED|RUNNING|SUCCESS) +(\d+) %", ended.out, re.MULTILINE)
    assert statuses[0][0] == "QUEUED"
    assert "RUNNING" in [status for status, _ in statuses]
    assert statuses[-1] == ("SUCCESS", "100")
    endpoints = re.findall(r"http://127\.0\.0\.1:\d+", ended.out)
    assert len(endpoints) == 2
    assert all(map(refused, endpoints))


def test_interrupting_the_demo_ends_it_with_130_and_without_a_traceback() -> None:
    command = [*COMMAND, "demo", "--task-seconds", "60"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    ) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "QUEUED" in line:
                break  # now it has loaded all that it needs, and waits
        endpoint = re.search(r"http://\S+", said)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=50)
    assert process.returncode == 130
    assert errors == "interrupted\n"
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


@pytest.mark.parametrize("name", ["aws-mgn", "huawei-sms", "vmware-srm"])
def test_what_a_simulator_can_be_asked_is_printed_and_nothing_is_served(name: str) -> None:
    ended = in_process("simulate", name, "--openapi")
    assert (ended.code, ended.err) == (0, "")
    document = json.loads(ended.out)
    assert document["openapi"] == "3.1.0"
    assert document == new_simulator(name.replace("-", "_")).openapi()


def test_an_interrupted_simulator_ends_quietly() -> None:
    with simulated("huawei-sms") as (process, _):
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=50) == 0


def test_a_taken_port_is_an_error_in_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = in_pipe("simulate", "huawei-sms", "--port", str(taken.getsockname()[1]))
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("migratectl: ")
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["simulate", "huawei-sms", "--port", "99999"],
        ["simulate", "huawei-sms", "--port", "-1"],
        ["simulate", "vmware-srm", "--set", "task_seconds=-1"],
        ["simulate", "vmware-srm", "--set", "task_seconds=nan"],
        ["demo", "--task-seconds", "-1"],
    ],
)
def test_an_impossible_port_or_time_is_refused(words: list[str]) -> None:
    ended = in_process(*words)
    assert (ended.code, ended.out) == (2, "")
    assert "Traceback" not in ended.err
