"""``python -m migrate_core.cli.schema`` prints the JSON Schema of all that ``migratectl`` prints and reads as JSON."""

from __future__ import annotations

import json
from typing import Any

import migrate_core as mc
from migrate_core.cli import records
from migrate_core.fleet.models import OrderResult, RunStatus
from migrate_core.shapes import TaskRecord, schema_of

__all__ = ["PRINTED", "READ", "schema"]

PRINTED = (
    *(mc.SourceServer, mc.Pairing, TaskRecord, mc.Check, RunStatus, OrderResult),
    *(getattr(records, name) for name in records.__all__),
)
READ = (mc.SourceSpec, mc.PairingSpec)


def schema() -> dict[str, Any]:
    """Make the schema."""
    return schema_of(written=PRINTED, read=READ)


if __name__ == "__main__":
    print(json.dumps(schema(), indent=2))
