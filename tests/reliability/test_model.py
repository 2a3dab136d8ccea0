"""Ten thousand steps of random scripts against both simulators, compared with a model of what must be true."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from reliability.model import Machine, Sms, Srm

STEPS = 5000
"""How many operations there are at least, for each vendor."""


@pytest.mark.parametrize(("machine", "scripts"), [(Sms, 125), (Srm, 200)])
@pytest.mark.timeout(600)
def test_the_vendor_has_what_the_model_says(
    machine: type[Machine], scripts: int, record_property: Callable[[str, object], None]
) -> None:
    machine.steps.clear()
    random = settings(
        max_examples=scripts, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
    )
    while machine.steps.total() < STEPS:  # how long a script is, is random, too
        run_state_machine_as_test(machine, settings=random)
    for name, count in sorted(machine.steps.items()):
        record_property("model", f"{name}, {count} steps")
