"""``migratectl task``."""

from __future__ import annotations

from migrate_core.cli.options import Connection, Output, Seconds, Sure
from migrate_core.cli.output import show_all
from migrate_core.cli.waiting import TASK, show_task, wait_for

__all__ = ["cancel", "list_", "show_", "wait"]


def show_(token: str, /, *, connection: Connection = Connection(), output: Output = Output()) -> None:
    """Look at a task once.

    For example:

        migratectl task show mct1.eyJwIjoi… --profile dr

    Parameters
    ----------
    token:
        Token of the task, or the vendor's own id of it.
    """
    with connection.open() as client:
        show_task(client.tasks.get(token), output)


def wait(
    token: str,
    /,
    *,
    timeout: Seconds = 3600.0,
    connection: Connection = Connection(),
    output: Output = Output(),
) -> None:
    """Wait for the end of a task, also of one that another process began.

    Ends with 1 if the task failed, and with 7 if the time was over first.

    For example:

        migratectl task wait mct1.eyJwIjoi… --profile dr --timeout 900

    Parameters
    ----------
    token:
        Token of the task, or the vendor's own id of it.
    timeout:
        Seconds to wait; the task goes on when they are over.
    """
    with connection.open() as client:
        task = client.tasks.get(token)
        wait_for(task, connection, timeout)
        show_task(task, output)


def list_(*, connection: Connection = Connection(), output: Output = Output()) -> None:
    """List the tasks that the vendor still knows.

    For example:

        migratectl task list --profile dr -o json --query "[?status!='success']"
    """
    with connection.open() as client:
        show_all(client.tasks.list(), output, identity=lambda task: task.id, columns=TASK)


def cancel(
    token: str, /, *, sure: Sure = Sure(), connection: Connection = Connection(), output: Output = Output()
) -> None:
    """Ask the vendor to end a task; it may still succeed.

    For example:

        migratectl task cancel mct1.eyJwIjoi… --profile dr --yes

    Parameters
    ----------
    token:
        Token of the task, or the vendor's own id of it.
    """
    with connection.open() as client:
        sure.confirm(f"Ask {client.provider} to end task {token}?")
        show_task(client.tasks.cancel(token), output)
