"""The command line, ``migratectl``. It uses the library's public names, as any script would."""

from __future__ import annotations

import importlib.util
import io
import os
import sys

__all__ = ["main"]

_NEEDS = ("cyclopts", "rich", "platformdirs", "tomlkit", "keyring", "jmespath", "yaml")


def main() -> None:
    """Run ``migratectl`` and exit with its code."""
    missing = [name for name in _NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        sys.exit(f"migratectl needs {', '.join(missing)}: pip install 'migrate-core[cli]'")
    from migrate_core.cli.app import run

    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # it was closed, as by >&-
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115  # until the process ends
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # what a vendor says may have no form in this encoding
    sys.exit(run(sys.argv[1:]))
