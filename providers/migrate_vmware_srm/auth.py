"""The two logins: a session at the gateway, and within it one at the other site.

The facts are in ``docs/vendors/vmware-srm.md``, section "Session".
"""

from __future__ import annotations

import base64
from collections.abc import Mapping

import attrs

SESSION_HEADER = "x-dr-session"


@attrs.frozen
class Login:
    """A user's name and password, sent as HTTP Basic."""

    username: str
    password: str = attrs.field(repr=False)

    def headers(self) -> Mapping[str, str]:
        """Give the header that carries the login."""
        return {"Authorization": f"Basic {base64.b64encode(self._pair()).decode()}"}

    def _pair(self) -> bytes:
        return f"{self.username}:{self.password}".encode()


def session_headers(session: str | None) -> Mapping[str, str]:
    """Give the header that names a session."""
    return {SESSION_HEADER: session} if session else {}
