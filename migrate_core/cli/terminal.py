"""Saying what is not data, on stderr, and keeping a terminal safe from what others wrote."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

__all__ = ["LogHandler", "clean", "counting", "note", "steers"]

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def clean(text: str) -> str:
    """Take out what would steer a terminal: a vendor's text is not ours."""
    return _UNSAFE.sub("\ufffd", text)


def steers(text: str) -> bool:
    """Tell whether a text of several lines would steer a terminal."""
    return bool(_UNSAFE.search(text.replace("\n", "")))


def note(text: str, style: str = "") -> None:
    """Say something on stderr; lines stay lines."""
    from rich.console import Console

    lines = "\n".join(map(clean, text.split("\n")))
    console = Console(stderr=True)
    with console.capture() as capture:
        console.print(lines, style=style or None, markup=False, highlight=False, soft_wrap=True)
    sys.stderr.write(capture.get())  # and not by the console, which would write over a progress bar


@contextmanager
def counting(what: str) -> Generator[Callable[[int, int], object]]:
    """Show how many of something are done, if somebody looks; gives what is told the number and the total."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = TextColumn("{task.description}"), BarColumn(bar_width=None), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(bar, completed=done, total=total)


class LogHandler(logging.Handler):
    """Says log records as `note` does, above a progress bar if there is one."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))

    def emit(self, record: logging.LogRecord) -> None:
        """Say one record."""
        note(self.format(record), style="dim")
