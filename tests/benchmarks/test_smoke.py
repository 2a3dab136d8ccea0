"""The benchmarks run; how fast anything is, no test says."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from support import ROOT


@pytest.mark.timeout(120)
def test_the_benchmarks_run_and_every_table_has_every_contestant() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--smoke"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
    )
    assert done.returncode == 0, done.stderr
    tables = done.stdout.split("\n## ")[1:]
    assert len(tables) == 10
    for table in tables:
        assert "\n| migrate-core" in table, table
        assert " 1.00 |" in table, table
