"""The commands, each imported only when it is run."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import cyclopts
from rich.console import Console

from migrate_core.cli.exits import FAILED, INTERRUPTED, OK, USAGE, exit_code
from migrate_core.errors import MigrateError

__all__ = ["app", "run"]

app = cyclopts.App(
    name="migratectl",
    help="Drive server-migration and disaster-recovery control planes of many vendors.",
    help_epilogue="Try `migratectl demo` first: it needs no account.",
)
app.command("migrate_core.cli.demo:demo", name="demo")
app.command("migrate_core.cli.simulate:simulate", name="simulate")


def run(arguments: Sequence[str]) -> int:
    """Run one command.

    Args:
        arguments: the words after ``migratectl``.

    Returns:
        The exit code.
    """
    errors = Console(stderr=True)
    try:
        result = app(arguments, exit_on_error=False, error_console=errors, result_action="return_value")
    except cyclopts.CycloptsError:
        return USAGE  # cyclopts has said what is wrong
    except MigrateError as error:
        errors.print(f"migratectl: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        return exit_code(error)
    except OSError as error:
        errors.print(f"migratectl: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        return FAILED
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return INTERRUPTED
    return result if isinstance(result, int) else OK
