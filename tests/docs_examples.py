"""A pytest plug-in that runs the blocks of the README and of ``docs/``.

A page is run from top to bottom in a folder of its own, which is its home and has ``docs/examples``, with a plain
environment:

- ``python`` blocks share their names; ``sh`` blocks are run by one shell. A ``sh`` block ends with 0, or with what a
  comment at its end says: ``# exits with 3``.
- A ``text`` block right after a ``sh`` block is what that printed, with ``...`` for whatever may stand there.
- A block whose first line is a comment with the name of a file, such as ``# web-1.yaml`` or ``# src/acme/auth.py``, is
  that file from then on, below the folder where the shell stands. It is neither run nor compared.
- Another ``toml`` block holds profiles, which are there from then on. ``yaml`` and ``json`` are read.
- ``<!-- simulator: vmware_srm task_seconds=2 pair() SRM_PASSWORD=password -->`` serves a simulator on a loopback port.
  From then on the page talks to it, whatever endpoint it names: ``MIGRATE_ENDPOINT`` wins over a profile. A name in
  small letters is a control of the simulator, what has brackets is called, and one in capitals is a variable that is
  set to one of its credentials.
- ``<!-- lend: .venv -->`` gives the virtual environment that the page has made there the packages of the one that runs
  the tests, so that ``pip install`` finds all it needs and asks nobody.
- ``<!-- typed: password -->`` gives such credentials to the next ``sh`` block, a line for each, as if they were typed.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from sybil import Document, Example, Region, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser
from sybil.parsers.markdown.lexers import DirectiveInHTMLCommentLexer

from file_keyring import VARIABLE as KEYRING_FILE
from migrate_core.profiles import load_profiles, profiles_path, save_profile
from migrate_core.testing import Simulator, new_simulator, serve

ROOT = Path(__file__).parent.parent

NOT_RUN = {
    ("README.md", "make demo"): "done by .ci/run as it stands, in an environment that it makes",
    ("docs/howto/write-a-provider.md", "pytest -q    # all is green"): "tests/cli/test_provider_new.py does it",
    ("docs/howto/srm-site.md", "openssl s_client"): "asks a real appliance for its certificate",
}
"""The ``sh`` blocks that are not run, by page and beginning, and why."""

_FILE = re.compile(r"# ((?:[\w.-]+/)*[\w-]+\.\w+)\n")
_LENT = {"migratectl": "migrate_core.cli", "pytest": "pytest"}
"""The commands of a virtual environment, and the modules that they run."""

_KEPT = ("PATH", "LANG", "PYTEST_CURRENT_TEST", "PYTEST_VERSION")
_PAGE = "the page that is run"


class Page:
    """Where the blocks of one page run, and what they leave there."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.folder = self._temporary_folder()
        self._notes = self._temporary_folder()
        self._patch = self._stack.enter_context(pytest.MonkeyPatch.context())
        self._patch.chdir(self.folder)
        shutil.copytree(ROOT / "docs" / "examples", self.folder / "docs" / "examples")
        for name in set(os.environ).difference(_KEPT):
            self._patch.delenv(name)
        self._shell: subprocess.Popen[str] | None = None
        self._simulator: Simulator | None = None
        self._typed = ""
        self.printed = ""
        self.set("HOME", str(self.folder))
        self.set("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        self.set("PYTHONPATH", str(ROOT / "tests"))
        self.set("PYTHON_KEYRING_BACKEND", "file_keyring.FileKeyring")
        self.set(KEYRING_FILE, str(self._notes / "keyring.json"))
        self._patch.setattr("keyring.core._keyring_backend", None)  # chosen once in a process, so chosen anew

    def _temporary_folder(self) -> Path:
        return Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="migrate-core-docs-")))

    def close(self) -> None:
        """End what was begun, and forget what was written."""
        self._stack.close()

    def set(self, name: str, value: str) -> None:
        """Set a variable of the environment for all blocks that follow."""
        self._patch.setenv(name, value)
        if self._shell:
            self._send(self._shell, f"export {name}={shlex.quote(value)}")

    def simulate(self, name: str, words: Iterable[str]) -> None:
        """Serve a simulator, and lead the page's connections to it."""
        simulator = self._simulator = new_simulator(name)
        self.set("MIGRATE_ENDPOINT", self._stack.enter_context(serve(simulator)))
        for word in words:
            key, _, value = word.partition("=")
            if call := re.fullmatch(r"(\w+)\((.*)\)", word):
                getattr(simulator, call[1])(*json.loads(f"[{call[2]}]"))
            elif key.isupper():
                self.set(key, simulator.credentials[value])
            else:
                simulator.set(key, value)

    def write(self, name: str, content: str) -> None:
        """Write a file below the folder where the shell stands."""
        here = self._send(self._shell, "pwd", answer=True).rstrip("\n") if self._shell else ""
        file = self.folder / here / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")

    def lend(self, name: str) -> None:
        """Give a virtual environment the packages of the one that runs the tests, and their commands."""
        place = self.folder / name
        (site,) = place.glob("lib/python*/site-packages")
        packages = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
        lines = [f"import site; site.addsitedir({path!r})\n" for path in packages]
        (site / "lent.pth").write_text("".join(lines), encoding="utf-8")
        for command, module in _LENT.items():
            run = f"import runpy; runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
            (place / "bin" / command).write_text(f"#!{place}/bin/python\n{run}\n", encoding="utf-8")
            (place / "bin" / command).chmod(0o755)
        self.set("PIP_NO_INDEX", "1")
        self.set("PIP_NO_BUILD_ISOLATION", "0")  # which says, by an old quirk of pip's, that there is none

    def type(self, names: Iterable[str]) -> None:
        """Let the next block read credentials of the simulator."""
        assert self._simulator is not None, "there is no simulator yet"
        self._typed = "".join(f"{self._simulator.credentials[name]}\n" for name in names)

    def run(self, script: str, wanted: int) -> int:
        """Run commands in the page's shell and note what they print; gives the exit code.

        A command that fails ends the shell, unless it is wanted to.
        """
        block, typed, output = (self._notes / name for name in ("block", "typed", "output"))
        block.write_text(script, encoding="utf-8")
        typed.write_text(self._typed, encoding="utf-8")
        self._typed = ""
        output.unlink(missing_ok=True)
        shell = self._shell = self._shell or self._stack.enter_context(_shell())
        command = f". {block} <{typed} >{output} 2>&1"
        code = self._send(
            shell, f"set +e; {command}; echo $?; set -e" if wanted else f"{command}; echo $?", answer=True
        )
        assert output.exists(), "an earlier block has ended the shell of this page"
        self.printed = output.read_text(encoding="utf-8")
        for port in re.findall(r"^migratectl simulate .*--port (\d+).*&$", script, re.MULTILINE):
            _wait_for(int(port))
        return int(code) if code else _end(shell)

    def _send(self, shell: subprocess.Popen[str], line: str, *, answer: bool = False) -> str:
        assert shell.stdin is not None
        assert shell.stdout is not None
        with suppress(BrokenPipeError):  # an earlier block has ended it
            shell.stdin.write(f"{line}\n")
            shell.stdin.flush()
        return shell.stdout.readline() if answer else ""


@contextmanager
def _shell() -> Iterator[subprocess.Popen[str]]:
    """Start a shell, and end it with all that it has started."""
    shell = subprocess.Popen(
        [shutil.which("bash") or "sh", "-euo", "pipefail"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield shell
    finally:
        _end(shell)
        for pipe in (shell.stdin, shell.stdout):
            with suppress(BrokenPipeError):
                pipe.close()  # type: ignore[union-attr]  # both are pipes


def _end(shell: subprocess.Popen[str]) -> int:
    """End a shell; gives its exit code."""
    if shell.returncode is None:  # not waited for yet, so its group is still its own
        os.killpg(shell.pid, signal.SIGTERM)
    return shell.wait()


def _wait_for(port: int) -> None:
    """Wait until something listens."""
    for _ in range(1000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        threading.Event().wait(0.01)


def _run_shell(example: Example) -> str | None:
    if why_not(Path(example.path), example.parsed):
        return None
    page: Page = example.namespace[_PAGE]
    said = re.search(r"# exits with (\d+)\s*$", example.parsed)
    wanted = int(said[1]) if said else 0
    code = page.run(example.parsed, wanted)
    return None if code == wanted else f"exits with {code}, not with {wanted}, and prints:\n{page.printed}"


def why_not(path: Path, code: str) -> str | None:
    """Tell why a shell block is not run."""
    page = path.relative_to(ROOT).as_posix()
    return next((why for (where, start), why in NOT_RUN.items() if where == page and code.startswith(start)), None)


def _compare_output(example: Example) -> str | None:
    before = [region for _, region in example.document.regions if region.end <= example.start]
    if not before or before[-1].evaluator is not _run_shell or why_not(Path(example.path), before[-1].parsed):
        return None
    page: Page = example.namespace[_PAGE]
    return None if matches(example.parsed, page.printed) else f"the block before prints instead:\n{page.printed}"


def matches(wanted: str, printed: str) -> bool:
    """Tell whether a text is what was wanted: ``...`` stands for anything, blanks at the ends of lines do not count."""
    pattern = ".*".join(map(re.escape, _trimmed(wanted).split("...")))
    return re.fullmatch(pattern, _trimmed(printed), re.DOTALL) is not None


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip("\n").split("\n"))


def _add_profiles(example: Example) -> None:
    page: Page = example.namespace[_PAGE]
    file = page.folder / "block.toml"
    file.touch(mode=0o600)
    file.write_text(example.parsed, encoding="utf-8")
    for profile in load_profiles(file).values():
        save_profile(profile, profiles_path(os.environ))
    file.unlink()


def _read_yaml(example: Example) -> None:
    list(yaml.safe_load_all(example.parsed))


def _read_json(example: Example) -> None:
    json.loads(example.parsed)


def _simulate(example: Example) -> None:
    name, *words = example.parsed.split()
    example.namespace[_PAGE].simulate(name, words)


def _type(example: Example) -> None:
    example.namespace[_PAGE].type(example.parsed.split())


def _lend(example: Example) -> None:
    example.namespace[_PAGE].lend(example.parsed.strip())


def _file_or(evaluator: Callable[[Example], str | None]) -> Callable[[Example], str | None]:
    """Make an evaluator that writes a block which names a file, and leaves the others to `evaluator`."""

    def evaluate(example: Example) -> str | None:
        if name := _FILE.match(example.parsed):
            example.namespace[_PAGE].write(name[1], example.parsed)
            return None
        return evaluator(example)

    return evaluate


def _comments(name: str, evaluator: Callable[[Example], None]) -> Callable[[Document], Iterator[Region]]:
    """Make a parser of comments ``<!-- name: words -->``."""
    lexer = DirectiveInHTMLCommentLexer(name, arguments=".+?")

    def parse(document: Document) -> Iterator[Region]:
        for region in lexer(document):
            yield Region(region.start, region.end, region.lexemes["arguments"], evaluator)

    return parse


def _open(namespace: dict[str, Any]) -> None:
    namespace[_PAGE] = Page()


def _close(namespace: dict[str, Any]) -> None:
    namespace[_PAGE].close()


pytest_collect_file = Sybil(
    parsers=[
        CodeBlockParser("python", _file_or(PythonEvaluator())),
        CodeBlockParser("sh", _run_shell),
        CodeBlockParser("text", _file_or(_compare_output)),
        CodeBlockParser("toml", _file_or(_add_profiles)),
        CodeBlockParser("yaml", _file_or(_read_yaml)),
        CodeBlockParser("json", _read_json),
        _comments("lend", _lend),
        _comments("simulator", _simulate),
        _comments("typed", _type),
    ],
    path=str(ROOT),
    patterns=["README.md", "docs/**/*.md", "docs/*.md"],
    setup=_open,
    teardown=_close,
).pytest()
