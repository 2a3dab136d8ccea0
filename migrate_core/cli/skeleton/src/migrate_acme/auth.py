"""The session: what a login hands out, and what every request carries.

The facts are in ``docs/vendor.md``, section "Session".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import attrs

SESSION_HEADER = "x-session"

_EARLY = timedelta(seconds=30)
"""A session is renewed this long before it expires: calls that are on their way still find it valid."""


@attrs.frozen
class Session:
    """A session; one that the caller brought does not say when it ends."""

    token: str = attrs.field(repr=False)
    expires_at: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """Tell whether it is good at `now`, as far as we can know."""
        return self.expires_at is None or now < self.expires_at - _EARLY

    def headers(self) -> Mapping[str, str]:
        """Give the header that names it."""
        return {SESSION_HEADER: self.token}
