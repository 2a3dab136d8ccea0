"""A bad day at a vendor's: too many requests are turned away, some meet a fault, and hours pass in seconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from migrate_core.testing.faults import Answer, Delay, FaultPlan, Reset
from migrate_core.testing.gate import gate
from migrate_core.testing.server import serve
from migrate_core.testing.simulator import Simulator

__all__ = ["scenario"]


@contextmanager
def scenario(
    simulator: Simulator,
    *,
    throttle: int = 0,
    faults: float = 0.0,
    slow: float = 1.0,
    seed: int = 0,
    port: int = 0,
) -> Iterator[FaultPlan]:
    """Serve a simulator that has a bad day, with a `gate` in front of it.

    The simulator's ``endpoint``, and so its ``settings()``, lead through the gate. How long its tasks take, its
    controls say; with a `FastClock` they take hours, and nobody waits for so long.

    Args:
        simulator: what to serve.
        throttle: how many requests pass within any second; those above are answered with 429, and ``Retry-After: 1``.
            All pass for 0.
        faults: the share of requests that meet a fault: a third of them is answered with 503 and has no effect, a third
            takes effect and the answer is lost, a third is answered late.
        slow: how many seconds late.
        seed: where chance begins.
        port: the port; any free one for 0.

    Yields:
        The plan of the gate, whose journal tells what requests met.

    Raises:
        OSError: the port is taken.
        ValueError: a number makes no sense.
    """
    if not 0 <= faults <= 1:
        raise ValueError(f"a share must be between 0 and 1, not {faults}")
    plan = FaultPlan(seed=seed)
    if throttle:
        plan.add(Answer(429, headers={"Retry-After": "1"}), above=throttle, times=None)
    for others, (fault, after) in enumerate(((Answer(503), False), (Reset(), True), (Delay(slow), True))):
        probability = faults / (3 - others * faults)  # a third of the share, among those that met none of the others
        plan.add(fault, after=after, probability=probability, times=None)
    with serve(simulator) as origin, gate(origin, plan, port=port) as simulator.endpoint:
        yield plan
