"""Durable runs over many sources: a manifest of thousands of operations, each carried out once, whatever dies.

The orders of a manifest go into a journal, a file or a PostgreSQL database, and workers carry them out. A run that was
interrupted goes on where it was; an order whose answer was lost is looked for before it is sent again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

from migrate_core.errors import ConfigurationError
from migrate_core.fleet.engine import FleetEngine, Known
from migrate_core.fleet.manifest import Manifest, read_manifest
from migrate_core.fleet.models import Failure, Order, OrderResult, OrderState, RunState, RunStatus, Tally

__all__ = [
    "Failure",
    "FleetEngine",
    "Known",
    "Manifest",
    "Order",
    "OrderResult",
    "OrderState",
    "RunState",
    "RunStatus",
    "Tally",
    "default_journal",
    "open_engine",
    "read_manifest",
    "run",
    "run_async",
]

_JOURNAL = "MIGRATE_FLEET_JOURNAL"


def default_journal(environ: Mapping[str, str] = os.environ) -> str:
    """Tell where the journal is if nobody says: ``MIGRATE_FLEET_JOURNAL``, or a file in the platform's state folder.

    Raises:
        ConfigurationError: the platform's folder is not known, for want of the extra ``cli``.
    """
    if environ.get(_JOURNAL):
        return environ[_JOURNAL]
    try:
        import platformdirs
    except ImportError:
        raise ConfigurationError(
            f"say in {_JOURNAL} where the journal is; the platform's own folder is known after "
            "pip install 'migrate-core[cli]'"
        ) from None
    return str(platformdirs.user_state_path("migrate-core", appauthor=False) / "fleet.db")


def open_engine(journal: str | os.PathLike[str] | None = None) -> FleetEngine:
    """Open the engine over a journal; close it, or use it as a context manager.

    Args:
        journal: path of a file, or ``postgresql://`` URL of a database; ``None`` for `default_journal`.

    Raises:
        ConfigurationError: it is no journal, or the extra ``fleet`` is not installed.
    """
    if find_spec("dbos") is None:  # which takes seconds to load
        raise ConfigurationError("fleet runs need pip install 'migrate-core[fleet]'")
    from migrate_core.fleet._runs import DbosEngine

    return DbosEngine(default_journal() if journal is None else journal)


def run(
    manifest: str | os.PathLike[str] | Manifest,
    *,
    journal: str | os.PathLike[str] | None = None,
    known: Known = "refuse",
    in_flight: int = 50,
    on_status: Callable[[RunStatus], object] | None = None,
) -> RunStatus:
    """Check a manifest, carry it out, and wait for its end.

    One process carries out one run at a time, in threads and an event loop of the engine. If it is interrupted or dies,
    the run is in the journal, and ``open_engine(journal).work(run)`` goes on with it.

    Args:
        manifest: path of the manifest, or one that was read.
        journal: path of a file, or ``postgresql://`` URL of a database; ``None`` for `default_journal`.
        known: what to do with orders that another run has: ``refuse``, ``skip`` them, or carry them out ``again``.
        in_flight: orders of one profile that are carried out at the same time.
        on_status: called about once a second, in the calling thread.

    Returns:
        How the run ended; orders may have failed.

    Raises:
        InvalidDocumentError: the manifest has faults; nothing was sent.
        InvalidArgumentError: the manifest is a run already, or has orders that another run has.
        JournalError: the journal cannot be written.
    """
    checked = manifest if isinstance(manifest, Manifest) else read_manifest(Path(manifest))
    with open_engine(journal) as engine:
        name = engine.submit(checked, known=known)
        engine.work(name, in_flight=in_flight, on_status=on_status)
        return engine.status(name)


async def run_async(
    manifest: str | os.PathLike[str] | Manifest,
    *,
    journal: str | os.PathLike[str] | None = None,
    known: Known = "refuse",
    in_flight: int = 50,
    on_status: Callable[[RunStatus], object] | None = None,
) -> RunStatus:
    """Carry out a manifest as `run` does, beside an event loop that goes on meanwhile.

    Being cancelled, it waits for the answers to what was sent, and leaves the rest in the journal.
    """
    import asyncio
    import threading

    loop, cancelled = asyncio.get_running_loop(), threading.Event()

    def told(status: RunStatus) -> None:
        if cancelled.is_set():
            raise asyncio.CancelledError
        if on_status is not None:
            loop.call_soon_threadsafe(on_status, status)

    work = asyncio.ensure_future(
        asyncio.to_thread(run, manifest, journal=journal, known=known, in_flight=in_flight, on_status=told)
    )
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        cancelled.set()
        await asyncio.wait([work])
        raise
