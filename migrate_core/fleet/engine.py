"""What carries out a manifest; `open_engine` gives the one there is, over a journal in SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Literal, Protocol, Self

from migrate_core.fleet.manifest import Manifest
from migrate_core.fleet.models import OrderResult, OrderState, RunStatus

__all__ = ["FleetEngine", "Known"]

Known = Literal["refuse", "skip", "again"]
"""What to do with orders whose keys another run of the journal has carried out, or is about to."""


class FleetEngine(Protocol):
    """Keeps runs in a journal, and carries them out; a context manager that closes itself.

    What a method names as a run is its id, or an unambiguous beginning of it.
    """

    def submit(self, manifest: Manifest, *, known: Known = "refuse") -> str:
        """Take a manifest into the journal, whole or not at all. Nothing is sent yet.

        Args:
            manifest: a manifest without faults.
            known: what to do with orders that another run has.

        Returns:
            The id of the new run.

        Raises:
            InvalidArgumentError: the manifest is a run already, has orders that another run has, or was changed
                after it was checked.
            JournalError: the journal cannot be written.
        """
        ...

    def work(
        self, run: str | None = None, *, in_flight: int = 50, on_status: Callable[[RunStatus], object] | None = None
    ) -> None:
        """Carry out a run until nothing is left to do, and meanwhile other runs of the same journal.

        Args:
            run: the run; ``None`` works on all runs until interrupted.
            in_flight: orders of one profile that each worker carries out at the same time; of several workers, the one
                that began last says it for all.
            on_status: called about once a second.

        Raises:
            JournalError: the journal cannot be written, or another process works on it that excludes this one.
            KeyboardInterrupt: after what was sent had its answer; the run can be resumed.
        """
        ...

    def status(self, run: str) -> RunStatus:
        """Tell how far a run is.

        Raises:
            InvalidArgumentError: there is no such run.
        """
        ...

    def runs(self) -> tuple[RunStatus, ...]:
        """Give all runs, the newest first, without their failures."""
        ...

    def cancel(self, run: str) -> int:
        """Send nothing more of a run; what was sent is still watched to its end.

        Returns:
            How many orders will not be sent.
        """
        ...

    def resume(self, run: str, *, failed: bool = False) -> int:
        """Make the orders of a run wait for a worker again: those that were cancelled, or lost their worker.

        Args:
            run: the run.
            failed: take those that failed, or whose outcome is unknown, in place of these.

        Returns:
            How many orders wait for a worker.
        """
        ...

    def results(self, run: str, *, states: Collection[OrderState] = ()) -> Iterator[OrderResult]:
        """Give what became of each order, in the order of the manifest, without holding all of them.

        Args:
            run: the run.
            states: only orders in these; without any, all.
        """
        ...

    def close(self) -> None:
        """Close the journal; safe to call twice."""
        ...

    def __enter__(self) -> Self:
        """Give the engine; it is closed at the end."""
        ...

    def __exit__(self, *_: object) -> None:
        """Close the journal."""
        ...
