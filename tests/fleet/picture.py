"""Takes the picture of a report that the documentation shows: ``PYTHONPATH=tests python -m fleet.picture``.

Beside the browser it needs the program pngquant, of Debian's package of that name; with fonts-inter, text looks best.
"""

from __future__ import annotations

import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from fleet.browser import started
from fleet.example_run import SUBMITTED, results, status_of
from migrate_core.fleet.report import write_report
from support import ROOT

PICTURE = ROOT / "docs" / "fleet-report.png"


def take() -> None:
    """Write the report of a run of 1,000 orders, and take its picture."""
    with started() as browser, TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        with page.open("w", encoding="ascii") as file:
            write_report(status_of(results(1_000)), results(1_000), file, now=SUBMITTED + timedelta(hours=4))
        browser.open(page)
        picture = browser.picture(1_400, 1_700)
    with PICTURE.open("wb") as file:
        smaller = shutil.which("pngquant") or "pngquant"
        subprocess.run([smaller, "--speed=1", "--strip", "128", "-"], input=picture, stdout=file, check=True)


if __name__ == "__main__":
    take()
