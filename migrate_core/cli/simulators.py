"""``migratectl demo`` and ``migratectl simulate``. The simulators are loaded only when one is run."""

from __future__ import annotations

import json
import math
import time
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter, validators

import migrate_core as mc

if TYPE_CHECKING:
    from migrate_core.testing import Simulator

__all__ = ["demo", "simulate"]

_LONG = 3600.0


def _is_a_time(_: Any, seconds: float) -> None:
    if not 0 <= seconds < math.inf:
        raise ValueError("It is a number of seconds, 0 or more.")


def _is_a_share(_: Any, share: float) -> None:
    if not 0 <= share <= 1:
        raise ValueError("It is a share, between 0 and 1.")


def _is_a_speed(_: Any, speed: float) -> None:
    if not 0 < speed < math.inf:
        raise ValueError("It is a number above 0.")


def demo(*, task_seconds: Annotated[float, Parameter(validator=_is_a_time)] = 6.0) -> None:
    """Run the main operations of both vendors against simulators on this machine.

    Nothing leaves the machine, and no account is needed.

    For example:

        migratectl demo

        migratectl demo --task-seconds 2

    Parameters
    ----------
    task_seconds:
        How long the simulated site recovery manager takes for a task.
    """
    _need_simulators()
    from migrate_core.cli.demo import run_demo

    run_demo(task_seconds)


def simulate(
    name: str,
    /,
    *,
    port: Annotated[int, Parameter(validator=validators.Number(gte=0, lte=65535))] = 0,
    settings: Annotated[tuple[str, ...], Parameter(name="--set", negative=())] = (),
    output: Annotated[Literal["text", "json"], Parameter(name=["--output", "-o"])] = "text",
    throttle: Annotated[int, Parameter(validator=validators.Number(gte=0))] = 0,
    faults: Annotated[float, Parameter(validator=_is_a_share)] = 0.0,
    speed: Annotated[float, Parameter(validator=_is_a_speed)] = 1.0,
    seed: int = 0,
    openapi: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Serve a vendor's simulator on 127.0.0.1 until it is interrupted.

    It accepts the credentials that it prints, and any client of that vendor can be pointed at it. On request, it has a
    bad day.

    For example:

        migratectl simulate huawei-sms --port 8080

        migratectl simulate vmware-srm --set task_seconds=3 -o json

        migratectl simulate vmware-srm --throttle 20 --faults 0.05 --speed 600 --set task_seconds=7200

        migratectl simulate aws-mgn --openapi > aws-mgn.json

    Parameters
    ----------
    name:
        Name of the simulator, such as huawei-sms or vmware-srm.
    port:
        Port to listen on; any free one by default.
    settings:
        A control of the simulator, as KEY=VALUE; may be repeated.
    output:
        What to print once it listens: lines for people, or one JSON object with `endpoint` and the credentials.
    throttle:
        Answer requests with 429 when there are more than so many within a second; 0 answers all.
    faults:
        The share of requests that meet a fault: a 503, an answer that is lost after the effect, or a slow one.
    speed:
        How many seconds pass for the simulator in one second: at 600, its tasks and sessions take hours in less than a
        minute. It then refuses requests that were signed at another time.
    seed:
        Where chance begins.
    openapi:
        Print what it can be asked, as an OpenAPI 3.1 document in JSON, and serve nothing.
    """
    _need_simulators()
    from migrate_core.testing import FastClock, new_simulator, scenario
    from migrate_core.testing.server import serve_here

    simulator = new_simulator(name, clock=None if speed == 1 else FastClock(speed))
    if openapi:
        print(json.dumps(simulator.openapi(), indent=2))
        return
    for assignment in settings:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise mc.InvalidArgumentError(f"--set takes KEY=VALUE, not {assignment!r}")
        try:
            simulator.set(key, value)
        except mc.ConfigurationError as error:
            raise mc.InvalidArgumentError(str(error)) from None
    if throttle or faults:
        with scenario(simulator, throttle=throttle, faults=faults, seed=seed, port=port), suppress(KeyboardInterrupt):
            print(_greeting(simulator, output), flush=True)
            while True:
                time.sleep(_LONG)
        return
    serve_here(simulator, port, lambda: print(_greeting(simulator, output), flush=True))


def _need_simulators() -> None:
    if not (find_spec("starlette") and find_spec("uvicorn")):
        raise mc.ConfigurationError("the simulators need an extra: pip install 'migrate-core[simulators]'")


def _greeting(simulator: Simulator, output: str) -> str:
    known = {"provider": simulator.name, "endpoint": simulator.endpoint, **simulator.credentials}
    if output == "json":
        return json.dumps(known)
    lines = [f"{key:>16}  {value}" for key, value in known.items()]
    return "\n".join([*lines, "", "Listening; Ctrl-C ends it. The credentials are invented and open nothing else."])
