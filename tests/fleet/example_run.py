"""A run as it could have been: three vendors, a slow hour, some failures; the same one each time."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import attrs

from migrate_core import Operation
from migrate_core.fleet.models import Failure, OrderResult, OrderState, RunState, RunStatus, Tally

SUBMITTED = datetime(2026, 11, 20, 21, 4, 10, tzinfo=UTC)
_STAYS = timedelta(hours=2, minutes=50)
_WORDS = ("web", "db", "app", "cache", "mail", "file", "build", "report")


@attrs.frozen
class _Kind:
    """Orders of a profile: their share of the run, how long one takes, and how they fail."""

    profile: str
    provider: str
    operation: Operation
    share: float
    seconds: float
    failures: Sequence[tuple[float, OrderState, str, str | None, str]] = ()


_KINDS = (
    _Kind(
        "huawei-singapore",
        "huawei_sms",
        Operation.REGISTER_SOURCE,
        0.45,
        4.0,
        (
            (0.030, OrderState.FAILED, "QuotaExceededError", "SMS.6526", "the quota of source servers is used up"),
            (
                0.010,
                OrderState.FAILED,
                "PermissionDeniedError",
                "SMS.9004",
                "no permission for sms:server:registerServer",
            ),
            (0.010, OrderState.FAILED, "PermissionDeniedError", "SMS.2002", "the source belongs to another project"),
            (0.008, OrderState.UNKNOWN, "OutcomeUnknownError", None, "POST /v3/sources was sent, and never answered"),
        ),
    ),
    _Kind(
        "huawei-singapore",
        "huawei_sms",
        Operation.UNLOCK_TARGET,
        0.12,
        2.0,
        ((0.025, OrderState.FAILED, "NotFoundError", "SMS.2252", "the source has no task"),),
    ),
    _Kind(
        "aws-frankfurt",
        "aws_mgn",
        Operation.DELETE_SOURCE,
        0.25,
        6.0,
        (
            (0.060, OrderState.FAILED, "ConflictError", "ConflictException", "the source server still replicates"),
            (0.012, OrderState.FAILED, "RateLimitedError", "ThrottlingException", "Rate exceeded"),
        ),
    ),
    _Kind("aws-frankfurt", "aws_mgn", Operation.DESCRIBE_SOURCE, 0.12, 0.4),
    _Kind(
        "srm-dublin",
        "vmware_srm",
        Operation.DELETE_PAIRING,
        0.06,
        410.0,
        ((0.070, OrderState.FAILED, "TaskFailedError", None, "the remote site did not answer for 300 seconds"),),
    ),
)


def results(count: int) -> Iterator[OrderResult]:
    """Give what became of so many orders, one at a time."""
    chance = random.Random(11)
    kinds = chance.choices(_KINDS, [kind.share for kind in _KINDS], k=count)
    for line, kind in enumerate(kinds, 2):
        share = line / (count + 2)
        started = SUBMITTED + _STAYS * (share if share < 0.4 else 0.4 + (share - 0.4) * 0.35 if share < 0.7 else share)
        ended = started + timedelta(seconds=kind.seconds * chance.uniform(0.6, 1.9))
        name = f"{chance.choice(_WORDS)}-{line}"
        made = f"{chance.getrandbits(64):016x}"
        order = OrderResult(
            line=line,
            key=f"wave-7/{name}",
            profile=kind.profile,
            provider=kind.provider,
            operation=kind.operation,
            about=name if kind.operation is Operation.REGISTER_SOURCE else f"s-{made}",
            state=OrderState.DONE,
            result=made if kind.operation is Operation.REGISTER_SOURCE else None,
            attempts=1 + (chance.random() < 0.04),
            started_at=started,
            ended_at=ended,
        )
        draw = chance.random()
        for probability, state, error, code, message in kind.failures:
            if 0 <= draw < probability:
                order = attrs.evolve(
                    order, state=state, result=None, error=error, code=code, message=f"{name}: {message}"
                )
            draw -= probability
        yield order


def status_of(orders: Iterable[OrderResult], *, name: str = "wave-7.yaml") -> RunStatus:
    """Count orders, as the journal does."""
    tallies: Counter[tuple[str, str, Operation, OrderState]] = Counter()
    causes: dict[tuple[str, Operation, str, str | None], Failure] = {}
    ended_at = SUBMITTED
    for order in orders:
        tallies[order.profile, order.provider, order.operation, order.state] += 1
        ended_at = max(ended_at, order.ended_at or ended_at)
        if order.state.regrettable:
            cause = order.provider, order.operation, order.error or "", order.code
            first = causes.get(cause) or Failure(
                provider=order.provider,
                operation=order.operation,
                error=order.error or "",
                code=order.code,
                message=order.message or "",
                count=0,
                line=order.line,
            )
            causes[cause] = attrs.evolve(first, count=first.count + 1)
    left = any(not state.over for *_, state in tallies)
    return RunStatus(
        run="r-20261120-k4v9",
        name=name,
        state=RunState.RUNNING if left else RunState.FINISHED,
        created_at=SUBMITTED,
        ended_at=None if left else ended_at,
        tallies=tuple(
            Tally(profile=profile, provider=provider, operation=operation, state=state, count=count)
            for (profile, provider, operation, state), count in tallies.items()
        ),
        failures=tuple(sorted(causes.values(), key=lambda cause: -cause.count)),
    )
