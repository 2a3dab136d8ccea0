"""Help: it is there for every command, shows how to use it, and costs next to nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import entry_points

import pytest

from cli.place import Place
from cli.support import commands, environment, in_process, plain

COMMANDS = list(commands())
GROUPS = sorted({words[:-1] for words in COMMANDS})
CHEAP = [
    *([*words, "--help"] for words in [*GROUPS, *COMMANDS]),
    ["--version"],
    ["provider", "list"],
    *(["completion", shell] for shell in ("bash", "zsh", "fish")),
]
HEAVY = {"httpx", "httpcore", "starlette", "uvicorn", "stevedore", "keyring", "migrate_core.cli.demo"}

# Runs commands one after the other, and says of each what is loaded by then.
_SPY = """
import contextlib, io, json, sys
from migrate_core.cli.app import run

for words in json.load(sys.stdin):
    with contextlib.redirect_stdout(io.StringIO()):
        code = run(words)
    print(json.dumps([words, code, list(sys.modules)]))
"""


def test_help_provider_list_and_completion_load_no_http_library_no_server_and_no_plug_in(place: Place) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SPY],
        input=json.dumps(CHEAP),
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
    )
    plug_ins = {
        found.value.partition(":")[0].partition(".")[0] for found in entry_points(group="migrate_core.providers")
    }
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert [words for words, _, _ in reports] == CHEAP
    assert [words for words, code, _ in reports if code] == []
    assert len(plug_ins) == 3
    assert [(words, heavy) for words, _, loaded in reports if (heavy := {*loaded} & (HEAVY | plug_ins))] == []


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_help_of_every_command_has_an_example_of_it(words: tuple[str, ...], place: Place) -> None:
    ended = in_process(*words, "--help")
    assert (ended.code, ended.err) == (0, "")
    lines = [line.strip() for line in plain(ended.out).splitlines()]
    assert "For example:" in lines
    examples = lines[lines.index("For example:") + 1 :]
    assert any(line.startswith(f"migratectl {' '.join(words)}") for line in examples)


@pytest.mark.parametrize("words", GROUPS, ids=lambda words: " ".join(words) or "migratectl")
def test_the_help_of_every_group_says_a_word_on_each_of_its_commands(words: tuple[str, ...], place: Place) -> None:
    page = in_process(*words, "--help").out
    inner = {line[len(words)] for line in COMMANDS if line[: len(words)] == words}
    entries = [line.strip("│ ").split(maxsplit=1) for line in page.splitlines() if line.startswith("│ ")]
    assert {entry[0] for entry in entries if len(entry) == 2} >= inner


def test_no_words_at_all_give_the_help(place: Place) -> None:
    assert in_process() == in_process("--help")


def test_the_version_is_that_of_the_distribution(place: Place) -> None:
    from importlib.metadata import version

    assert in_process("--version").out == f"{version('migrate-core')}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["frobnicate"], 'Unknown command "frobnicate". Available commands: source'),
        (["source", "frobnicate"], "Available commands: register, describe, list, delete"),
        (["source", "list", "--nope"], "Unknown option: --nope"),
        (["source", "list", "--profile"], "--profile requires an argument"),
        (["source", "describe"], "SOURCE_ID requires an argument"),
        (["source", "list", "extra"], "words that this command does not take"),
        (["source", "list", "-o", "xml"], '"table", "json", "yaml", "jsonl", "id"'),
        (["simulate", "nobody"], "aws_mgn, huawei_sms, vmware_srm"),
        (["simulate", "huawei-sms", "--set", "deny"], "KEY=VALUE"),
        (["simulate", "huawei-sms", "--set", "speed=1"], "unlock_offered"),
        (["simulate", "vmware-srm", "--set", "task_seconds=soon"], "float"),
        (["simulate"], "requires an argument"),
        (["completion", "tcsh"], '"bash", "zsh", "fish"'),
        (["provider", "show", "nobody"], "installed are: aws_mgn, huawei_sms, vmware_srm"),
    ],
    ids=" ".join,
)
def test_bad_usage_ends_with_2_and_says_what_there_is(words: list[str], said: str, place: Place) -> None:
    ended = in_process(*words)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("migratectl: ")
    assert said in ended.err
