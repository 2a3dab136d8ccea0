"""Durable runs over many sources: a manifest of thousands of operations, each carried out once, whatever dies."""

from __future__ import annotations

from migrate_core.fleet.manifest import Manifest, read_manifest
from migrate_core.fleet.models import Failure, Order, OrderResult, OrderState, RunState, RunStatus, Tally

__all__ = [
    "Failure",
    "Manifest",
    "Order",
    "OrderResult",
    "OrderState",
    "RunState",
    "RunStatus",
    "Tally",
    "read_manifest",
]
