"""The queues: DBOS keeps them, in the journal's database; what waits in them are the names of lots."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, Literal

import sqlalchemy as sa
from dbos import DBOS, DBOSClient, DBOSPortableJSONSerializer, WorkflowStatus

from migrate_core.errors import JournalError
from migrate_core.fleet.journal import FORMAT, Journal

__all__ = ["APPLICATION", "SERIALIZER", "START", "VERSION", "WATCH", "Queues", "queue_of", "watch_of"]

log = logging.getLogger("migrate_core")
logging.getLogger("dbos").addHandler(logging.NullHandler())  # or it would write to stderr by a handler of its own

APPLICATION = "migrate-core"
VERSION = str(FORMAT)
"""What tells DBOS whether it may go on with a workflow; by default it is a hash of the source."""
SERIALIZER = DBOSPortableJSONSerializer()  # the default would be pickle
START = "migrate_core.fleet.start"
WATCH = "migrate_core.fleet.watch"

_WATCHED = "/watch"
_State = Literal["ENQUEUED", "PENDING"]
_POLLING = 0.2
"""Seconds between looks at a queue."""
_AWAY = 1.0
"""Seconds between attempts at a database that is away."""
_MOST_WATCHED = 1000
"""Lots of one profile that one worker watches at a time."""


def queue_of(workflow: str) -> str:
    """Name the queue on which a workflow waits for its lots."""
    return workflow.replace(".", "_")


def watch_of(lot: str) -> str:
    """Name what watches the tasks of a lot."""
    return f"{lot}{_WATCHED}"


class Queues:
    """The queues of a journal, for whoever puts lots into them.

    All that they do raises `JournalError` when the database cannot be used.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        with journal.explained():
            DBOS.migrate(journal.url.render_as_string(hide_password=False))
            self._client = DBOSClient(
                system_database_engine=journal.database,
                serializer=SERIALIZER,
                application_name=APPLICATION,
                retry_connection_errors=False,  # or whoever looks around would wait for minutes
            )

    def close(self) -> None:
        """Close them."""
        self._client.destroy()

    def open_for(self, in_flight: int) -> None:
        """Say how many lots of a profile each worker may have."""
        with self._journal.explained():
            for workflow, most in ((START, in_flight), (WATCH, _MOST_WATCHED)):
                self._client.register_queue(
                    queue_of(workflow), partition_worker_concurrency=most, polling_interval_sec=_POLLING
                )

    def start(self, connection: sa.Connection, lot: str, profile: str) -> None:
        """Have a lot started, if the transaction is committed."""
        self._client.enqueue_in_transaction(connection, _options(START, lot, profile), lot, profile)

    async def watch(self, lot: str, profile: str) -> None:
        """Have the tasks of a lot watched; once, however often that is said. Waits until that can be written."""
        while True:
            try:
                with self._journal.explained():
                    await self._client.enqueue_async(_options(WATCH, watch_of(lot), profile), lot)
            except JournalError as error:  # to raise it would end the lot
                log.info("the tasks of lot %s are not watched yet: %s", lot, error)
                await asyncio.sleep(_AWAY)
            else:
                return

    def lots(self, *states: _State, run: str | None = None) -> list[WorkflowStatus]:
        """Give the lots in some states, of one run or of all."""
        with self._journal.explained():
            return self._client.list_workflows(
                status=list(states),
                name=[START, WATCH],
                workflow_id_prefix=None if run is None else f"{run}/",
                load_input=False,
                load_output=False,
            )

    def carried(self, run: str) -> set[str]:
        """Name the lots of a run that a worker has, or will have."""
        return {lot.workflow_id.removesuffix(_WATCHED) for lot in self.lots("ENQUEUED", "PENDING", run=run)}

    def put_back(self, lots: Iterable[WorkflowStatus]) -> None:
        """Let other workers have the lots of one that has left."""
        for workflow in (START, WATCH):
            if names := [lot.workflow_id for lot in lots if lot.name == workflow]:
                with self._journal.explained():
                    self._client.resume_workflows(names, queue_name=queue_of(workflow))


def _options(workflow: str, identity: str, profile: str) -> Any:
    return {
        "workflow_name": workflow,
        "queue_name": queue_of(workflow),
        "queue_partition_key": profile,
        "workflow_id": identity,
        "app_version": VERSION,
    }
