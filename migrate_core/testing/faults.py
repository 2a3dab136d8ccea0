"""Answers that a simulator gives in place of its own."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

__all__ = ["FaultPlan", "PlannedAnswer"]


@attrs.define
class PlannedAnswer:
    """One planned answer and what it is for."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    method: str
    path: str
    after: bool
    times: int


class FaultPlan:
    """A queue of answers to give instead of the right ones."""

    def __init__(self) -> None:
        self._planned: list[PlannedAnswer] = []

    def answer(
        self,
        status: int,
        body: bytes | str = b"",
        *,
        headers: Mapping[str, str] | None = None,
        method: str = "",
        path: str = "",
        after: bool = False,
        times: int = 1,
    ) -> None:
        """Plan an answer.

        Args:
            status: its HTTP status.
            body: its body.
            headers: its headers.
            method: only for requests with this method.
            path: only for requests whose encoded path has this part.
            after: let the request take effect first.
            times: for how many requests.
        """
        content = body.encode() if isinstance(body, str) else body
        self._planned.append(PlannedAnswer(status, content, dict(headers or {}), method, path, after, times))

    def take(self, method: str, path: str) -> PlannedAnswer | None:
        """Take the answer that is planned for a request, if there is one."""
        for planned in self._planned:
            if planned.method in ("", method) and planned.path in path:
                planned.times -= 1
                if planned.times <= 0:
                    self._planned.remove(planned)
                return planned
        return None

    def clear(self) -> None:
        """Forget all planned answers."""
        self._planned.clear()
