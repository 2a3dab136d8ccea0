"""Running ``migratectl`` as its users do: in a pipe, on a terminal, or, where neither matters, in this process."""

from __future__ import annotations

import fcntl
import io
import logging
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import warnings
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from typing import Self
from unittest import mock

import attrs
from cyclopts import App

import migrate_core as mc
from migrate_core.cli.app import app, run

COMMAND = (sys.executable, "-W", "error::ResourceWarning", "-W", "error::DeprecationWarning", "-m", "migrate_core.cli")
CTRL_C, CTRL_D = b"\x03", b"\x04"
ESCAPE = "\x1b"
_COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-8]|9[0-7])(?:;\d+)*m")
_STEERING = re.compile(r"\x1b\[\??[\d;]*[A-Za-z]")
_PATIENCE, _QUIET = 100.0, 3.0

# Takes the terminal at its stdin as the one that Ctrl-C and /dev/tty belong to, as a login does, and runs the rest.
_LAUNCHER = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"


@attrs.frozen
class Ended:
    """A command that has ended: its exit code, and all that it said."""

    code: int
    out: str
    err: str

    @property
    def everything(self) -> str:
        """Both streams."""
        return self.out + self.err

    @property
    def coloured(self) -> bool:
        """Whether anything had a colour."""
        return bool(_COLOUR.search(self.everything))


def in_process(*words: str, stdin: str | bytes = "") -> Ended:
    """Run a command in this process: the quickest way, where neither a terminal nor a process is the point."""
    log = logging.getLogger("migrate_core")
    handlers, level = list(log.handlers), log.level
    out, err, given = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for _ in range(3))
    given.buffer.write(stdin if isinstance(stdin, bytes) else stdin.encode())
    given.seek(0)
    with warnings.catch_warnings(), redirect_stdout(out), redirect_stderr(err), mock.patch("sys.stdin", given):
        warnings.simplefilter("always", mc.IncompleteDocumentWarning)  # the command prints it; the others stay errors
        try:
            code = run(words)
        finally:
            log.handlers[:] = handlers
            log.setLevel(level)
    return Ended(code, _written(out), _written(err))


def _written(stream: io.TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()


def in_pipe(*words: str, stdin: str = "", **variables: str) -> Ended:
    """Run a command as a script does: all three streams are pipes."""
    done = subprocess.run(
        [*COMMAND, *words],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
        env=environment(**variables),
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def environment(**variables: str) -> dict[str, str]:
    """Give the environment as Python knows it: readline, once loaded, sets COLUMNS behind its back."""
    return {**os.environ, **variables}


class Terminal:
    """A command on a terminal, with a second one for its stderr, so that a test can tell what went where.

    Args:
        *words: the words after ``migratectl``.
        columns: how wide the terminals are.
        **variables: what to add to the environment.

    Attributes:
        pid: the id of its process.
    """

    def __init__(self, *words: str, columns: int = 120, **variables: str) -> None:
        (self._keys, out), (self._messages, err) = _terminal(columns), _terminal(columns)
        launch = [sys.executable, "-I", "-S", "-c", _LAUNCHER, *COMMAND, *words]
        self._process = subprocess.Popen(
            launch, stdin=out, stdout=out, stderr=err, start_new_session=True, env=environment(**variables)
        )
        os.close(out)
        os.close(err)
        self.pid = self._process.pid
        self._said = {self._keys: b"", self._messages: b""}
        self._open = set(self._said)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for terminal in self._said:
            os.close(terminal)

    @property
    def out(self) -> str:
        """What the terminal of stdin and stdout has got so far, with what was typed."""
        return self._said[self._keys].decode("utf-8", "replace").replace("\r\n", "\n")

    @property
    def err(self) -> str:
        """What the terminal of stderr has got so far."""
        return self._said[self._messages].decode("utf-8", "replace").replace("\r\n", "\n")

    def until(self, text: str) -> Self:
        """Wait until the command has said something.

        Raises:
            EOFError: it has ended without.
        """
        while text not in self.out + self.err:
            if not self._open:
                raise EOFError(f"it never said {text!r}, but {self.out + self.err!r}")
            self._listen()
        return self

    def type(self, keys: bytes) -> Self:
        """Press keys."""
        os.write(self._keys, keys)
        return self

    def interrupt(self) -> Ended:
        """Press Ctrl-C, once more if it came just before a read, where Python misses it; wait for the end."""
        while self._open:
            self.type(CTRL_C)
            while self._open and self._hears(_QUIET):
                pass
        return self.end()

    def end(self) -> Ended:
        """Wait for the end."""
        while self._open:
            self._listen()
        return Ended(self._process.wait(_PATIENCE), self.out, self.err)

    def _listen(self) -> None:
        if not self._hears(_PATIENCE):
            raise TimeoutError(f"it says no more than {self.out + self.err!r}")

    def _hears(self, seconds: float) -> bool:
        ready, _, _ = select.select(self._open, [], [], seconds)
        for terminal in ready:
            try:
                said = os.read(terminal, 65536)
            except OSError:  # how a terminal says that nobody is left at its other side
                said = b""
            self._said[terminal] += said
            if not said:
                self._open.remove(terminal)
        return bool(ready)


def _terminal(columns: int) -> tuple[int, int]:
    """Make a terminal; gives our side of it and the command's."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    return ours, theirs


def on_terminal(*words: str, columns: int = 120, **variables: str) -> Ended:
    """Run a command on a terminal to its end."""
    with Terminal(*words, columns=columns, **variables) as terminal:
        return terminal.end()


def plain(text: str) -> str:
    """Leave out colours."""
    return _STEERING.sub("", text)


def screen(text: str) -> str:
    """Tell what is left to see of a text, once the terminal has done what its escapes ask for."""
    lines, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[\??[\d;]*[A-Za-z]|.", text, re.DOTALL):
        if part == "\n":
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        elif part == "\r":
            column = 0
        elif part.startswith(ESCAPE):
            if part.endswith("A"):
                row = max(0, row - int(part[2:-1] or 1))
            elif part == "\x1b[2K":
                lines[row] = ""
        else:
            lines[row] = lines[row][:column].ljust(column) + part + lines[row][column + 1 :]
            column += 1
    return "\n".join(line.rstrip() for line in lines).strip("\n")


def commands(group: App = app, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Name every command that there is, as the words that call it."""
    for word in group:
        if not word.startswith("-"):
            inner = list(commands(group[word], (*before, word)))
            yield from inner or [(*before, word)]
