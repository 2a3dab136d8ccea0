"""When to send a request again, and how long to wait before."""

from __future__ import annotations

import math
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from migrate_core.errors import (
    MigrateError,
    RateLimitedError,
    RequestNotSentError,
    ResponseLostError,
    ServerError,
)
from migrate_core.provider import Request

if TYPE_CHECKING:
    import random

ATTEMPTS = 3
_TOKENS = 500
_COST, _THROTTLED_COST, _EARNED = 14, 5, 1
_BASE, _THROTTLED_BASE, _CAP = 0.05, 1.0, 20.0


def retry_after(value: str | None, now: datetime) -> float | None:
    """Read a ``Retry-After`` header.

    Args:
        value: the header: seconds, with or without a fraction, or an HTTP date.
        now: the time that a date is compared with.

    Returns:
        Seconds, not negative; ``None`` when there is no header or no sense in it.
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            from email.utils import parsedate_to_datetime  # few answers have a date in them

            moment = parsedate_to_datetime(value)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = (moment - now).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None


class Quota:
    """How many second attempts an endpoint is worth, for all calls of a client together.

    Each costs something, and gets it back if it succeeds; a success at once earns a little. So a hiccup is bridged for
    everybody, and a service that is down is soon asked no more than once by each call, which helps it up again.
    """

    def __init__(self) -> None:
        self._tokens = _TOKENS
        self._lock = threading.Lock()

    def spend(self, error: MigrateError) -> int | None:
        """Pay for another attempt after `error`; gives what it cost, ``None`` if there is not enough left."""
        cost = _THROTTLED_COST if isinstance(error, RateLimitedError) else _COST
        with self._lock:
            if self._tokens < cost:
                return None
            self._tokens -= cost
        return cost

    def earn(self, spent: int) -> None:
        """Take note of a success, and of what its last attempt cost."""
        with self._lock:
            self._tokens = min(self._tokens + (spent or _EARNED), _TOKENS)


def may_repeat(error: MigrateError, request: Request) -> bool:
    """Tell whether `request` may be sent again after `error`.

    A request that never left, or that was turned away at the door, did nothing. After a lost answer or a failed
    server nobody knows, and only a repeatable request is sent again.
    """
    if isinstance(error, RequestNotSentError | RateLimitedError):
        return True
    return request.repeatable and isinstance(error, ResponseLostError | ServerError)


def delay_before(attempt: int, error: MigrateError, rng: random.Random) -> float | None:
    """Choose the wait before the next attempt.

    Args:
        attempt: how many attempts were made, from 1.
        error: what the last one ended with.
        rng: where the jitter comes from.

    Returns:
        Seconds; ``None`` to give up.
    """
    if attempt >= ATTEMPTS:
        return None
    hint = getattr(error, "retry_after", None)
    if hint is not None:
        return float(hint)
    base = _THROTTLED_BASE if isinstance(error, RateLimitedError) else _BASE
    return rng.uniform(0, min(base * 2**attempt, _CAP))
