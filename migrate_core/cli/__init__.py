"""The command line, ``migratectl``. It uses the library's public names, as any script would."""

from __future__ import annotations

import importlib.util
import sys

__all__ = ["main"]

_NEEDS = ("cyclopts", "rich", "starlette", "uvicorn")


def main() -> None:
    """Run ``migratectl`` and exit with its code."""
    missing = [name for name in _NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        sys.exit(f"migratectl needs {', '.join(missing)}: pip install 'migrate-core[cli,simulators]'")
    from migrate_core.cli.app import run

    sys.exit(run(sys.argv[1:]))
