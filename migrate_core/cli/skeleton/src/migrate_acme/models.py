"""The vendor's own objects, with the names and types of its pages.

They are listed in ``docs/vendor.md``, section "Objects".
"""

from __future__ import annotations

import attrs
from migrate_core.documents import flag, integer, many, number, one, text

__all__ = ["DiskSpec", "Job", "Login", "Machine", "MachineSpec", "Problem"]

OS_FAMILIES = ("linux", "windows", "other")


@attrs.frozen(kw_only=True)
class Login:
    """What a login answers."""

    session: str | None = text(required=True, secret=True)
    expires_at: str | None = text()


@attrs.frozen(kw_only=True)
class DiskSpec:
    """A disk of a machine."""

    name: str | None = text(64, 1, required=True)
    size_gib: int | None = integer(65536, 1, required=True)
    boot: bool | None = flag()


@attrs.frozen(kw_only=True)
class MachineSpec:
    """A machine as it is registered."""

    name: str | None = text(64, 1, required=True)
    external_id: str | None = text(64)
    hostname: str | None = text()
    os_family: str | None = text(values=OS_FAMILIES, required=True)
    os_name: str | None = text()
    cpus: int | None = integer(1024, 1)
    memory_mib: int | None = integer(2**25, 1)
    disks: tuple[DiskSpec, ...] | None = many(DiskSpec, 64)


@attrs.frozen(kw_only=True)
class Machine:
    """A machine as it is described: what was registered, and what became of it."""

    id: str | None = text(required=True)
    state: str | None = text(required=True)
    registered_at: str | None = text()
    spec: MachineSpec | None = one(MachineSpec)


@attrs.frozen(kw_only=True)
class Problem:
    """What went wrong: the body of a refusal, and the reason of a failed job."""

    code: str | None = text()
    message: str | None = text()
    request_id: str | None = text()


@attrs.frozen(kw_only=True)
class Job:
    """An asynchronous operation; times are ISO 8601 in the vendor's own time zone."""

    id: str | None = text(required=True)
    kind: str | None = text()
    state: str | None = text(required=True)
    percent: float | None = number(100)
    machine_id: str | None = text()
    queued_at: str | None = text()
    started_at: str | None = text()
    ended_at: str | None = text()
    problem: Problem | None = one(Problem)
