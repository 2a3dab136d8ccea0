"""The commands, each imported only when it is run or explained, and what they have in common when they fail."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any, Literal

import cyclopts
from cyclopts import App, Parameter

from migrate_core.cli.exits import FAILED, INTERRUPTED, OK, USAGE, exit_code
from migrate_core.cli.options import Declined
from migrate_core.cli.simulators import demo, simulate
from migrate_core.cli.terminal import note
from migrate_core.errors import MigrateError

__all__ = ["app", "run"]


def _shown(default: Any) -> str | None:
    """Say a default in a help text, unless it says nothing."""
    return None if default in (None, False, ()) else f"{default:g}" if isinstance(default, float) else str(default)


app = App(
    name="migratectl",
    help="Drive server-migration and disaster-recovery control planes of many vendors.",
    help_epilogue="Try `migratectl demo` first: it needs no account.",
    default_parameter=Parameter(show_default=_shown),
    suppress_keyboard_interrupt=False,  # run() says more of it
)

_GROUPS = {
    "source": ("Source servers: the machines to be moved.", ("register", "describe", "list", "delete")),
    "target": ("Target servers: the machines that replications write to.", ("unlock",)),
    "pairing": ("Pairings: the trust between two sites.", ("create", "list", "describe", "delete")),
    "task": ("Tasks: asynchronous operations at the vendor.", ("show", "wait", "list", "cancel")),
    "fleet": (
        "Fleet runs: thousands of operations, each done once.",
        ("plan", "apply", "status", "resume", "cancel", "retry", "results", "worker", "report"),
    ),
    "profile": ("Profiles: named connections.", ("add", "list", "show", "check", "remove")),
    "provider": ("Providers: the plug-ins, one for each vendor.", ("list", "show", "new", "check")),
}

for _noun, (_about, _verbs) in _GROUPS.items():
    _group = App(name=_noun, help=_about, help_epilogue="")
    for _verb in _verbs:
        _function = f"{_verb}_" if _verb in ("list", "show") else _verb
        _group.command(f"migrate_core.cli.{_noun}s:{_function}", name=_verb)
    app.command(_group)
app.command(demo, help_epilogue="")
app.command(simulate, help_epilogue="")


@app.command(help_epilogue="")
def completion(shell: Literal["bash", "zsh", "fish"], /) -> None:
    """Print a script that completes commands and options in a shell.

    For example:

        migratectl completion bash > ~/.local/share/bash-completion/completions/migratectl

        migratectl completion zsh > ~/.zfunc/_cyclopts_migratectl

        migratectl completion fish > ~/.config/fish/completions/migratectl.fish

    Parameters
    ----------
    shell:
        The shell.
    """
    sys.stdout.write(app.generate_completion(prog_name="migratectl", shell=shell))


def run(arguments: Sequence[str]) -> int:
    """Run one command.

    Args:
        arguments: the words after ``migratectl``.

    Returns:
        The exit code.
    """
    arguments = _options_last(arguments)
    if arguments and arguments[0] in _GROUPS:
        app[arguments[0]].resolved_commands()  # else its help would list them without a word on each
    with warnings.catch_warnings():
        warnings.showwarning = _warn
        return _run(arguments)


def _run(arguments: Sequence[str]) -> int:
    try:
        result = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except cyclopts.UnusedCliTokensError:  # not repeated: one may be a secret
        return _failed("there are words that this command does not take; its --help shows what it does", USAGE)
    except cyclopts.CycloptsError as error:
        return _failed(_without_values(str(error), arguments), USAGE)
    except MigrateError as error:
        return _failed("\n".join([str(error), *_notes(error)]), exit_code(error))
    except Declined:
        return _failed("nothing was done", FAILED)
    except BrokenPipeError:
        _drop_what_cannot_be_written()
        return FAILED
    except OSError as error:
        _drop_what_cannot_be_written()
        return _failed(str(error), FAILED)
    except KeyboardInterrupt as error:
        note("\n".join(["interrupted", *_notes(error)]))
        return INTERRUPTED
    return result if isinstance(result, int) else OK


def _drop_what_cannot_be_written() -> None:
    """Empty stdout into nowhere if nobody takes it, or Python tries once more at its end and complains."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _notes(error: BaseException) -> list[str]:
    """Give what was noted on an error, but for hints at Python code."""
    return [text for text in getattr(error, "__notes__", ()) if "resume it with client.tasks.get(" not in text]


def _without_values(text: str, arguments: Sequence[str]) -> str:
    """Leave out what was given to options: it may be a secret."""
    for word in arguments:
        option, equals, _ = word.partition("=")
        if equals and option.startswith("-"):
            text = text.replace(word, f"{option}=…")
    return text


def _failed(text: str, code: int) -> int:
    note(f"migratectl: {text}", style="red")
    return code


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    note(f"migratectl: warning: {message}", style="yellow")


_FLAGS = ("--verbose", "-v", "--yes", "-y", "--wait", "--no-wait")
_TAKE_A_VALUE = ("--profile", "--provider", "--endpoint", "--output", "-o", "--query", "--timeout", "--journal")


def _options_last(arguments: Sequence[str]) -> list[str]:
    """Let the shared options stand before the command, too, as many are used to."""
    words, leading = list(arguments), []
    while words and words[0].partition("=")[0] in (*_FLAGS, *_TAKE_A_VALUE):
        leading.append(words.pop(0))
        if leading[-1] in _TAKE_A_VALUE and words:
            leading.append(words.pop(0))
    end = words.index("--") if "--" in words else len(words)
    return [*words[:end], *leading, *words[end:]]
