"""Every verb that exists, and what a provider says of each."""

from __future__ import annotations

import enum

import attrs


class Operation(enum.Enum):
    """A verb of the neutral interface; its value is the name of the seam method."""

    REGISTER_SOURCE = "register_source"
    DESCRIBE_SOURCE = "describe_source"
    LIST_SOURCES = "list_sources"
    DELETE_SOURCE = "delete_source"
    UNLOCK_TARGET = "unlock_target"
    CREATE_PAIRING = "create_pairing"
    DESCRIBE_PAIRING = "describe_pairing"
    LIST_PAIRINGS = "list_pairings"
    DELETE_PAIRING = "delete_pairing"
    GET_TASK = "get_task"
    LIST_TASKS = "list_tasks"
    CANCEL_TASK = "cancel_task"


class Support(enum.Enum):
    """How far a provider offers an operation."""

    FULL = "full"
    UNSUPPORTED = "unsupported"
    """The vendor has no such thing."""
    NOT_IMPLEMENTED = "not_implemented"
    """The vendor has it, the plug-in does not offer it yet."""


@attrs.frozen
class Capability:
    """What a provider declares of one operation.

    Attributes:
        support: how far it is offered.
        note: a sentence for people: the limits, or why it is not offered.
        options: the names of the options that the operation takes.
    """

    support: Support
    note: str = ""
    options: tuple[str, ...] = ()
