"""The options that many commands share."""

from __future__ import annotations

import logging
import shlex
import sys
from typing import Annotated, Any, Literal, TypeAlias

import attrs
from cyclopts import Parameter

import migrate_core as mc
from migrate_core.cli.terminal import LogHandler, clean

__all__ = ["Connection", "DocumentName", "Output", "Query", "Seconds", "Sure", "Waiting"]


def _above_zero(_: Any, seconds: float) -> None:
    if not seconds > 0:
        raise ValueError("It is a number of seconds above 0.")


def _is_query(_: Any, text: str | None) -> None:
    """Refuse a bad query before anything is sent: what a change gave could not be printed any more."""
    import jmespath
    from jmespath.exceptions import JMESPathError
    from jmespath.functions import Functions

    try:
        called = _functions(jmespath.compile("@" if text is None else text).parsed)
    except JMESPathError as error:
        first, _, _ = str(error).partition("\n")
        raise ValueError(f"It is no JMESPath: {first.rstrip(': ')}") from None
    for name in called:
        if name not in Functions.FUNCTION_TABLE:
            raise ValueError(f"It calls {name}(), which JMESPath does not have.")


def _functions(node: Any) -> list[str]:
    """Name the functions that a parsed query calls."""
    if not isinstance(node, dict):
        return []
    inner = [name for child in node.get("children", ()) for name in _functions(child)]
    return [node["value"], *inner] if node.get("type") == "function_expression" else inner


# With a leading hyphen, for - is stdin.
DocumentName: TypeAlias = Annotated[str, Parameter(name=["--file", "-f"], allow_leading_hyphen=True)]
Query: TypeAlias = Annotated[str | None, Parameter(validator=_is_query)]
Seconds: TypeAlias = Annotated[float, Parameter(validator=_above_zero)]


@Parameter(name="*", group="Connection")
@attrs.frozen(kw_only=True)
class Connection:
    """Where a command connects to."""

    profile: str | None = None
    """Profile to use; else MIGRATE_PROFILE of the environment. `migratectl profile add` makes one."""
    provider: str | None = None
    """Provider to use without a profile, such as huawei-sms; else MIGRATE_PROVIDER."""
    endpoint: str | None = None
    """Origin to connect to, in place of the profile's; else MIGRATE_ENDPOINT."""
    verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], negative=())] = False
    """Say on stderr what is sent and what comes back; never what is secret."""

    def open(self, **settings: Any) -> mc.Client:
        """Make a client.

        Args:
            settings: what the command itself asks for.

        Raises:
            InvalidArgumentError: an option is empty, as by a variable that is not set; nothing takes its place.
        """
        for name in ("profile", "provider", "endpoint"):
            if getattr(self, name) == "":
                raise mc.InvalidArgumentError(f"--{name} is empty")
        if self.verbose:
            log = logging.getLogger("migrate_core")
            log.addHandler(LogHandler())
            log.setLevel(logging.DEBUG)
        if self.endpoint is not None:
            settings["endpoint"] = self.endpoint
        return mc.connect(self.provider, profile=self.profile, **settings)

    def words(self) -> str:
        """Give the options again, for a command that goes on where this one stopped."""
        given = {"--profile": self.profile, "--provider": self.provider, "--endpoint": self.endpoint}
        return "".join(f" {name} {shlex.quote(value)}" for name, value in given.items() if value is not None)


@Parameter(name="*", group="Output")
@attrs.frozen(kw_only=True)
class Output:
    """How a command prints what it found."""

    format: Annotated[Literal["table", "json", "yaml", "jsonl", "id"], Parameter(name=["--output", "-o"])] = "table"
    """How to print: a table for people, one JSON or YAML document, a line of JSON or just the id for each object."""
    query: Query = None
    """JMESPath expression; what it picks of the JSON shape is printed instead."""


@Parameter(name="*", group="Waiting")
@attrs.frozen(kw_only=True)
class Waiting:
    """Whether and how long a command waits for the vendor."""

    wait: Annotated[bool, Parameter(name="--wait", negative="--no-wait", show_default=False)] = True
    """Wait for the end of the change; with --no-wait, print its token and leave."""
    timeout: Seconds = 3600.0
    """Seconds to wait; the task goes on when they are over."""


@Parameter(name="*", group="Confirmation")
@attrs.frozen(kw_only=True)
class Sure:
    """Whether the caller has said yes already."""

    yes: Annotated[bool, Parameter(name=["--yes", "-y"], negative=())] = False
    """Do not ask; needed where no terminal can be asked."""

    def confirm(self, question: str) -> None:
        """Ask, unless the answer is given already.

        Raises:
            InvalidArgumentError: nobody can be asked.
            Declined: the answer was no.
        """
        if self.yes:
            return
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise mc.InvalidArgumentError(f"{question} There is no terminal to ask on; say --yes")
        sys.stderr.write(f"{clean(question)} [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise Declined


class Declined(Exception):
    """The caller said no; nothing was done."""
