"""``migratectl simulate``."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from cyclopts import Parameter

from migrate_core.errors import ConfigurationError, InvalidArgumentError
from migrate_core.testing import Simulator, new_simulator
from migrate_core.testing.server import serve_here

__all__ = ["simulate"]


def simulate(
    name: str,
    /,
    *,
    port: int = 0,
    settings: Annotated[tuple[str, ...], Parameter(name="--set", negative=())] = (),
    output: Annotated[Literal["text", "json"], Parameter(name=["--output", "-o"])] = "text",
) -> None:
    """Serve a vendor's simulator on 127.0.0.1 until it is interrupted.

    It accepts the credentials that it prints, and any client of that vendor can be pointed at it.

    For example:

        migratectl simulate huawei-sms --port 8080

        migratectl simulate vmware-srm --set task_seconds=3 -o json

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
    """
    simulator = new_simulator(name)
    for assignment in settings:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise InvalidArgumentError(f"--set takes KEY=VALUE, not {assignment!r}")
        try:
            simulator.set(key, value)
        except ConfigurationError as error:
            raise InvalidArgumentError(str(error)) from None
    serve_here(simulator, port, lambda: print(_greeting(simulator, output), flush=True))


def _greeting(simulator: Simulator, output: str) -> str:
    known = {"provider": simulator.name, "endpoint": simulator.endpoint, **simulator.credentials}
    if output == "json":
        return json.dumps(known)
    lines = [f"{key:>16}  {value}" for key, value in known.items()]
    return "\n".join([*lines, "", "Listening; Ctrl-C ends it. The credentials are invented and open nothing else."])
