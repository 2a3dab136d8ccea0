"""The benchmarks run; how fast anything is, no test says."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from support import ROOT


@pytest.mark.timeout(600)
def test_the_benchmarks_run_and_every_table_has_every_contestant() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--smoke"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
    )
    assert done.returncode == 0, done.stderr
    targets, *tables = done.stdout.split("\n## ")[1:]
    rows = targets.splitlines()[4:]
    assert len(rows) >= 25
    assert all(row.endswith(("| met |", "| open |")) for row in rows), rows
    assert len(tables) == 15
    for table in tables:
        assert "\n| migrate-core" in table, table
        assert " 1.00 |" in table or table.startswith("Noticing the end"), table
