"""What the tests share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from migrate_core.testing import Caller

__all__ = ["ROOT", "Caller", "example"]

ROOT = Path(__file__).parent.parent


def example(name: str) -> Any:
    """Load a vendor's example body, such as ``huawei_sms/query-response.json``, or test data of that name."""
    provider, _, file = name.partition("/")
    places = (ROOT / "providers" / f"migrate_{provider}" / "examples" / file, ROOT / "tests" / "data" / name)
    return json.loads(next(path for path in places if path.exists()).read_text(encoding="utf-8"))
