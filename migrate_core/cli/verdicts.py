"""Running the conformance suite for its verdict on each check. It needs pytest, which is imported only here."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import attrs
import pytest

from migrate_core.cli.records import CheckedRecord
from migrate_core.errors import InvalidArgumentError

__all__ = ["verdicts"]

_SUITE = "migrate_core.testing.conformance"
_LONGEST_REASON = 300


@attrs.define
class _Tally:
    """What became of one check, in all the ways in which it ran."""

    ways: int = 0
    failures: list[str] = attrs.Factory(list)
    skips: list[str] = attrs.Factory(list)

    def record(self, name: str) -> CheckedRecord:
        verdict = "failed" if self.failures else "passed" if self.ways > len(self.skips) else "not applicable"
        reason = next(iter([*self.failures, *(self.skips if verdict == "not applicable" else [])]), "")
        return CheckedRecord(
            name=name.removeprefix("test_").replace("_", " "),
            verdict=verdict,
            ways=self.ways,
            failed=len(self.failures),
            reason=reason,
        )


class _Recorder:
    """A plug-in of pytest that keeps what becomes of each check."""

    def __init__(self, only: str, on_check: Callable[[int, int], object]) -> None:
        self.tallies: dict[str, _Tally] = {}
        self._only = only
        self._on_check = on_check
        self._done = self._total = 0
        self._session: pytest.Session | None = None

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self._session = session

    def stop(self) -> None:
        """End after the check that is running, so that it closes what it opened."""
        if self._session is None:
            raise KeyboardInterrupt
        self._session.shouldstop = "interrupted"

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if self._only in _name(item.nodeid)]
        self._total = len(items)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        tally = self.tallies.setdefault(_name(report.nodeid), _Tally())
        if report.when == "setup":
            tally.ways += 1
        if report.failed:
            tally.failures.append(_reason(report))
        elif report.skipped:
            tally.skips.append(_reason(report))
        if report.when == "teardown":
            self._done += 1
            self._on_check(self._done, self._total)


def verdicts(
    provider: str, *, only: str = "", on_check: Callable[[int, int], object] = lambda *_: None
) -> Sequence[CheckedRecord]:
    """Run the suite.

    Args:
        provider: name of an installed provider that has a simulator.
        only: run the checks whose name has this text.
        on_check: called after each with the number done and their total.

    Returns:
        What became of each check.

    Raises:
        InvalidArgumentError: no check has `only` in its name.
        KeyboardInterrupt: the suite was interrupted.
    """
    recorder = _Recorder("_".join(only.split()), on_check)
    with _alone() as folder, _interrupting(recorder.stop):
        options = ["-c", str(folder / "pytest.ini"), "--rootdir", str(folder), "--import-mode", "importlib"]
        # The last two may blame a check for what an earlier one left.
        without = ("terminal", "cacheprovider", "unraisableexception", "threadexception")
        plain = ["--noconftest", "-p", "migrate_core._pytest", *(f"-pno:{name}" for name in without)]
        strict = ["-W", "error", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
        suite = ["--migrate-provider", provider, "--pyargs", _SUITE]
        code = pytest.main([*options, *plain, *strict, *suite], plugins=[recorder])
    if code == pytest.ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    if not recorder.tallies:
        raise InvalidArgumentError(f"no check has {only!r} in its name")
    return [tally.record(name) for name, tally in recorder.tallies.items()]


@contextmanager
def _alone() -> Generator[Path]:
    """Keep what else pytest would read out of the suite: the project's settings, and other plug-ins."""
    kept = dict(os.environ)
    os.environ.pop("PYTEST_ADDOPTS", None)
    os.environ.pop("PYTEST_PLUGINS", None)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    with tempfile.TemporaryDirectory(prefix="migratectl-") as name, _quiet():
        folder = Path(name)
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        try:
            yield folder
        finally:
            os.environ.clear()
            os.environ.update(kept)


@contextmanager
def _interrupting(stop: Callable[[], object]) -> Iterator[None]:
    """Let the first Ctrl-C ask for an orderly end, and a second one end at once."""

    def ask(_signal: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, kept)
        stop()

    kept = signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, kept)


@contextmanager
def _quiet() -> Iterator[None]:
    """Let nothing of pytest, or of a plug-in that prints, get between the data on stdout."""
    out, sys.stdout = sys.stdout, sys.stderr
    try:
        yield
    finally:
        sys.stdout = out


def _name(nodeid: str) -> str:
    return nodeid.rpartition("::")[2].partition("[")[0]


def _reason(report: pytest.TestReport) -> str:
    """Say in a line why a check failed, or did not apply."""
    told: Any = report.longrepr
    if isinstance(told, tuple):
        return str(told[2]).removeprefix("Skipped: ")
    crash = getattr(told, "reprcrash", None)
    lines = (crash.message if crash else str(told)).split("\n")
    text = " - ".join(line.strip() for line in lines[:2] if line.strip())
    return text.removeprefix("AssertionError: ").removeprefix("Failed: ")[:_LONGEST_REASON]
