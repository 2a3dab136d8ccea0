"""``migratectl completion``: scripts that the shells take, and that know every command."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from cli.place import Place
from cli.support import commands, in_process

SHELLS = ("bash", "zsh", "fish")
_COMPLETE = """
source /dev/stdin <<< "$SCRIPT"
complete -p migratectl
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_migratectl migratectl "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def script(shell: str) -> str:
    ended = in_process("completion", shell)
    assert (ended.code, ended.err) == (0, "")
    return ended.out


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ([""], {"source", "pairing", "demo", "completion"}),
        (["so"], {"source"}),
        (["source", ""], {"register", "describe", "list", "delete"}),
        (["source", "de"], {"describe", "delete"}),
        (["source", "list", "--p"], {"--profile", "--provider"}),
        (["source", "list", "-o", ""], {"table", "json", "yaml", "jsonl", "id"}),
        (["source", "register", "--as", "v"], {"vendor"}),
        (["completion", ""], set(SHELLS)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bash_loads_the_script_and_completes_with_it(words: list[str], offered: set[str], place: Place) -> None:
    done = subprocess.run(
        ["bash", "--norc", "-c", _COMPLETE, "bash", "migratectl", *words],  # noqa: S607  # whichever bash there is
        env={"SCRIPT": script("bash"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    registered, *completions = done.stdout.splitlines()
    assert (registered, done.stderr) == ("complete -F _migratectl migratectl", "")
    assert {completion.strip() for completion in completions} >= offered
    assert all(completion.startswith(words[-1]) for completion in completions)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_takes_its_script(shell: str, place: Place) -> None:
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run([shell, "-n"], input=script(shell), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("shell", "sign"), [("bash", "complete -F"), ("zsh", "#compdef migratectl"), ("fish", "-c mig")]
)
def test_a_script_knows_every_command_and_shared_option(shell: str, sign: str, place: Place) -> None:
    text = script(shell)
    assert sign in text
    words = {word for command in commands() for word in command}
    assert {word for word in words if word not in text} == set()
    options = ("profile", "provider", "endpoint", "output", "query", "yes", "no-wait", "timeout", "allow-incomplete")
    assert [option for option in options if option not in text] == []


def test_the_help_puts_the_script_for_zsh_into_a_file_of_its_functions_name(place: Place) -> None:
    """Otherwise zsh loads the file and completes nothing."""
    page = in_process("completion", "--help").out
    file = re.search(r"completion zsh > ~/\.zfunc/(\S+)", page)
    assert file
    assert f"\n{file[1]}() {{\n" in script("zsh")
