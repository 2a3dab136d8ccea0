"""Waiting for a task: a bar on the terminal, and a way to go on when the wait ends before the task does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import migrate_core as mc
from migrate_core.cli.options import Connection, Output, Waiting
from migrate_core.cli.output import Columns, show
from migrate_core.cli.terminal import note

__all__ = ["TASK", "finish", "show_task", "wait_for"]

TASK: Columns = {
    "id": lambda task: task.id,
    "operation": lambda task: task.info.operation.value if task.info.operation else None,
    "status": lambda task: task.status.value,
    "progress": lambda task: None if task.progress is None else f"{task.progress:g} %",
    "object": lambda task: task.info.entity_id,
    "error": lambda task: task.error.message if task.error else None,
}


def finish(task: mc.Task[Any], connection: Connection, waiting: Waiting, output: Output) -> None:
    """Wait for a change to end, or not, and print its task."""
    if not waiting.wait:
        _show_change(task, output, identity=task.token)
        if output.format == "table" and not task.done:
            note(_go_on(task, connection))
        return
    wait_for(task, connection, waiting.timeout)
    _show_change(task, output)


def _show_change(task: mc.Task[Any], output: Output, identity: str | None = None) -> None:
    """Print the task of a change; if that fails, as a query can, still say which it was."""
    try:
        show_task(task, output, identity)
    except mc.InvalidArgumentError as error:
        error.add_note(f"the change was made all the same; its task is:\n  {task.token}")
        raise


def show_task(task: mc.Task[Any], output: Output, identity: str | None = None) -> None:
    """Print a task; its identity is what it worked on, until it has ended its own."""
    about = task.info.result if isinstance(task.info.result, str) else task.info.entity_id
    if identity is None:
        identity = (about or task.id) if task.done else task.id
    rows: Columns = TASK if task.done else {**TASK, "token": lambda task: task.token}
    known = {heading: cell for heading, cell in rows.items() if cell(task) not in (None, "")}
    show(task, output, identity=identity, rows=known)


def wait_for(task: mc.Task[Any], connection: Connection, timeout: float) -> None:
    """Wait for the end of a task; say how to go on with it if the wait ends first.

    Raises:
        TaskError: it did not end in success, or not in time.
    """
    try:
        with _bar(task) as look:
            task.wait(timeout=timeout, on_progress=look)
    except mc.TaskTimeoutError:
        late = f"not ended after {timeout:g} s: {_told(task)}\n{_go_on(task, connection)}"
        raise mc.TaskTimeoutError(late, task.info, task.token) from None
    except KeyboardInterrupt:
        if not task.done:
            note(f"{_told(task)}\n{_go_on(task, connection)}")
        raise
    except mc.MigrateError as error:
        if not task.done:
            error.add_note(_go_on(task, connection))
        raise


def _told(task: mc.Task[Any]) -> str:
    progress = "" if task.progress is None else f" at {task.progress:g} %"
    return f"{task.info.operation.value if task.info.operation else 'task'} {task.id} is {task.status.value}{progress}"


def _go_on(task: mc.Task[Any], connection: Connection) -> str:
    return f"the task goes on; wait for it again with:\n  migratectl task wait {task.token}{connection.words()}"


@contextmanager
def _bar(task: mc.Task[Any]) -> Iterator[Callable[[mc.Task[Any]], object] | None]:
    """Show how far a task is, if somebody looks."""
    if task.done or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(task.status.value, total=None if task.progress is None else 100.0)

        def look(task: mc.Task[Any]) -> None:
            known = task.progress is not None
            progress.update(
                bar, description=task.status.value, total=100.0 if known else None, completed=task.progress or 0
            )

        yield look
