"""What sends requests: a transport knows hosts, TLS and proxies, and nothing of vendors.

An installed transport is an entry point of the group ``migrate_core.transports``, a `TransportFactory`; any object
that satisfies it can be passed as the setting ``transport``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import attrs

from migrate_core.clock import Deadline
from migrate_core.provider import Request, Response

__all__ = ["AsyncTransport", "Transport", "TransportFactory", "TransportOptions"]


@attrs.frozen(kw_only=True)
class TransportOptions:
    """How a transport reaches a provider's endpoints.

    Attributes:
        endpoints: the origins that requests may go to, by name.
        verify: verify TLS certificates: ``True``, ``False``, or the path of a CA bundle.
        thumbprint: SHA-256 of the one certificate to accept, 64 lower-case hexadecimal digits.
        trust_env: whether the environment's proxy variables count.
        max_body_bytes: the largest answer to accept, on the wire and decoded, in bytes.
    """

    endpoints: Mapping[str, str]
    verify: bool | str = True
    thumbprint: str | None = None
    trust_env: bool = True
    max_body_bytes: int = 32 * 1024 * 1024


class Transport(Protocol):
    """Sends one request at a time per calling thread; shared by threads."""

    def send(self, request: Request, deadline: Deadline) -> Response:
        """Send `request`, whole and as it is, and read the answer, whatever its status.

        Raises:
            RequestNotSentError: it provably never left.
            ResponseLostError: it left, and the answer did not arrive whole.
            DeadlineExceededError: `deadline` passed.
            MalformedResponseError: the answer is too large or cannot be decoded.
        """
        ...

    def close(self) -> None:
        """Close the connections; those in use may end their calls first."""
        ...


class AsyncTransport(Protocol):
    """The same for one event loop."""

    async def send(self, request: Request, deadline: Deadline) -> Response:
        """Send as `Transport.send` does; a cancelled send leaves no connection behind."""
        ...

    async def close(self) -> None:
        """Close the connections; those in use may end their calls first."""
        ...


class TransportFactory(Protocol):
    """Opens both kinds of one transport."""

    def open(self, options: TransportOptions) -> Transport:
        """Open a transport for threads."""
        ...

    def open_async(self, options: TransportOptions) -> AsyncTransport:
        """Open a transport for an event loop."""
        ...
