"""Fixtures for all tests."""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from support import Caller

_TESTS = str(Path(__file__).parent)

# How long examples take says nothing on a machine that others share. CI tries the same ones each time; new ones are
# found by those who work on the code. What has to be tried more often says so, or is in `fuzz`.
settings.register_profile(
    "untimed",
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
)
settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, so that no process is left with it in the end: pages, and tests with a limit."""
    long = {item.path for item in items if item.path.suffix == ".md" or item.get_closest_marker("timeout")}
    items.sort(key=lambda item: item.path not in long)


def pytest_collection_finish() -> None:
    """Have the garbage collector look at what tests leave behind, and not each time at the thousands of tests too."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests say of their size, and what this machine lacks for others; what a vendor lacks is no news."""
    for report in terminalreporter.getreports("passed"):
        for name, size in report.user_properties:
            terminalreporter.write_line(f"{name}: {size}")
    skips = [report.longrepr for report in terminalreporter.getreports("skipped")]
    lacking = Counter(reason.removeprefix("Skipped: ") for path, _, reason in skips if _TESTS in path)
    for reason, count in lacking.items():
        terminalreporter.write_line(f"{count} skipped: {reason}")


@pytest.fixture(scope="session")
def _empty_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, _empty_home: Path) -> None:
    """Keep the settings, profiles and keys of whoever runs the tests out of them."""
    for name in list(os.environ):
        if name.startswith(("MIGRATE_", "HUAWEICLOUD_", "XDG_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(_empty_home))


@pytest.fixture(params=["sync", "async"])
def caller(request: pytest.FixtureRequest) -> Iterator[Caller]:
    """Both clients, one after the other, behind the same words."""
    caller = Caller(request.param)
    yield caller
    caller.close()
