"""``migratectl target``."""

from __future__ import annotations

from migrate_core.cli.options import Connection, Output, Sure, Waiting
from migrate_core.cli.waiting import finish

__all__ = ["unlock"]


def unlock(
    replication_id: str,
    /,
    *,
    sure: Sure = Sure(),
    waiting: Waiting = Waiting(),
    connection: Connection = Connection(),
    output: Output = Output(),
) -> None:
    """Unlock the target server of a replication.

    For example:

        migratectl target unlock 3c9a1f52-8f5e-4d0b-a1c6-5b2f0e7d9a44 --profile cloud --yes

    Parameters
    ----------
    replication_id:
        Id of the replication, as `source describe` shows it.
    """
    with connection.open() as client:
        sure.confirm(f"Unlock the target of replication {replication_id} at {client.provider}?")
        finish(client.targets.unlock(replication_id), connection, waiting, output)
