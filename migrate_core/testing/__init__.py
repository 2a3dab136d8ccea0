"""What plug-in authors and users test with: simulators, a virtual clock, faults, two doors to a simulator, and a gate.

Everything here speaks HTTP with the real providers and the real engine. Needs the extra ``simulators``.
"""

from importlib.util import find_spec
from typing import Any

if not (find_spec("starlette") and find_spec("uvicorn")):
    raise ImportError("migrate_core.testing needs an extra: pip install 'migrate-core[simulators]'")

from migrate_core._registry import SIMULATORS, load
from migrate_core.testing import faults
from migrate_core.testing.caller import Caller
from migrate_core.testing.clock import FastClock, VirtualClock
from migrate_core.testing.faults import FaultPlan
from migrate_core.testing.gate import gate
from migrate_core.testing.inprocess import InProcess
from migrate_core.testing.journal import Journal
from migrate_core.testing.scenario import scenario
from migrate_core.testing.server import serve
from migrate_core.testing.simulator import JournalEntry, Refusal, Simulator

__all__ = [
    "Caller",
    "FastClock",
    "FaultPlan",
    "InProcess",
    "Journal",
    "JournalEntry",
    "Refusal",
    "Simulator",
    "VirtualClock",
    "faults",
    "gate",
    "new_simulator",
    "scenario",
    "serve",
]


def new_simulator(name: str, **options: Any) -> Simulator:
    """Make an installed simulator.

    Args:
        name: name of its provider, such as ``huawei_sms``.
        **options: what `Simulator` takes.

    Raises:
        ProviderNotFoundError: no simulator of that name is installed.
        ProviderLoadError: it cannot be loaded.
    """
    made: Simulator = load(SIMULATORS, name)(**options)
    return made
