"""What a fleet run is made of: orders, their states, and what became of them."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from migrate_core.models import PairingSpec, SourceSpec
from migrate_core.operations import Operation
from migrate_core.shapes import read_shape

__all__ = ["Failure", "Order", "OrderResult", "OrderState", "RunState", "RunStatus", "Tally"]


class OrderState(enum.Enum):
    """Where an order is."""

    WAITING = "waiting"
    """Nothing was sent."""
    SENDING = "sending"
    """It is about to be sent, or was sent; the journal does not know yet."""
    WATCHING = "watching"
    """The vendor carries it out, and is asked from time to time."""
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """It was sent, and nobody can tell what became of it."""
    CANCELLED = "cancelled"
    """The run was cancelled before it was sent."""

    @property
    def over(self) -> bool:
        """Whether nothing more happens to it by itself."""
        return self not in (OrderState.WAITING, OrderState.SENDING, OrderState.WATCHING)

    @property
    def regrettable(self) -> bool:
        """Whether a person should look at it, and may try it again."""
        return self in (OrderState.FAILED, OrderState.UNKNOWN)


class RunState(enum.Enum):
    """Where a run is."""

    RUNNING = "running"
    """Something is left to do, whether or not anybody does it at the moment."""
    CANCELLED = "cancelled"
    """Nothing more is sent; what was sent is watched to its end."""
    FINISHED = "finished"


@attrs.frozen(kw_only=True)
class Order:
    """One line of a manifest: an operation to be carried out once.

    Attributes:
        line: where it begins in the manifest, from 1.
        profile: name of the profile that says where.
        operation: what to do.
        subject: the id that the operation is about; ``None`` for one that makes something.
        document: what to make: JSON of a `SourceSpec` or a `PairingSpec`, with references where they have secrets;
            for a source perhaps the vendor's own document, as `vendors_own` says.
        vendors_own: whether `document` is in the vendor's own form.
        options: options of the operation.
        key: what tells it from all other orders of a journal.
    """

    line: int
    profile: str
    operation: Operation
    subject: str | None = None
    document: Mapping[str, Any] | None = None
    vendors_own: bool = False
    options: Mapping[str, Any] = attrs.field(factory=dict)
    key: str

    def source(self) -> SourceSpec:
        """Give what is to be registered.

        Raises:
            InvalidDocumentError: the document is none of a source.
        """
        if self.vendors_own:
            return SourceSpec(name="", details=self.document)
        return read_shape(SourceSpec, self.document)

    def pairing(self) -> PairingSpec:
        """Give the pairing to be made, with the secrets that the document refers to.

        Raises:
            InvalidDocumentError: the document is none of a pairing.
            ConfigurationError: a secret cannot be fetched.
        """
        return read_shape(PairingSpec, self.document)

    @property
    def about(self) -> str:
        """The id of what it is about, or the name of what is to be made; for people."""
        if self.subject is not None:
            return self.subject
        document = self.document or {}
        return str(document.get("name") or document.get("remote_url") or self.key)


@attrs.frozen(kw_only=True)
class OrderResult:
    """What became of an order, so far.

    Attributes:
        line: where it begins in the manifest.
        key: its key.
        profile: name of its profile.
        provider: name of the profile's provider.
        operation: what was to be done.
        about: an id, or the name of what was to be made.
        state: where it is.
        result: JSON of what the operation gave: the id of what was made, or what was described.
        error: class of the error that it ended with, such as ``NotFoundError``.
        code: the vendor's own code of that error.
        message: its text.
        attempts: how many times it was begun.
        started_at: when it was about to be sent for the first time, in UTC.
        ended_at: when it was over, in UTC.
    """

    line: int
    key: str
    profile: str
    provider: str
    operation: Operation
    about: str
    state: OrderState
    result: Any = None
    error: str | None = None
    code: str | None = None
    message: str | None = None
    attempts: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None


@attrs.frozen(kw_only=True)
class Tally:
    """How many orders of one kind are in one state."""

    profile: str
    provider: str
    operation: Operation
    state: OrderState
    count: int


@attrs.frozen(kw_only=True)
class Failure:
    """Orders that ended for the same cause.

    Attributes:
        provider: name of the provider.
        operation: what was to be done.
        error: class of the error.
        code: the vendor's code.
        message: the text of one of them.
        count: how many there are.
        line: where the first of them stands in the manifest.
    """

    provider: str
    operation: Operation
    error: str
    code: str | None
    message: str
    count: int
    line: int


@attrs.frozen(kw_only=True)
class RunStatus:
    """A run as the journal knows it.

    Attributes:
        run: its id.
        name: name of the manifest's file.
        state: where it is.
        created_at: when it was submitted, in UTC.
        ended_at: when its last order was over, in UTC; ``None`` while something is left to do.
        tallies: its orders, counted by profile, operation and state.
        failures: those that failed, or whose outcome is unknown, by cause; the most frequent first.
        per_second: orders that were over in each of the last seconds, on average.
    """

    run: str
    name: str
    state: RunState
    created_at: datetime
    ended_at: datetime | None = None
    tallies: tuple[Tally, ...] = ()
    failures: tuple[Failure, ...] = ()
    per_second: float = 0.0

    def count(self, *states: OrderState) -> int:
        """Count the orders in some states; without any, all orders."""
        return sum(tally.count for tally in self.tallies if not states or tally.state in states)

    @property
    def left(self) -> int:
        """How many orders are not over."""
        return sum(tally.count for tally in self.tallies if not tally.state.over)

    @property
    def seconds_left(self) -> float | None:
        """How long it will take at the present rate; ``None`` if that cannot be told."""
        return self.left / self.per_second if self.per_second else None
