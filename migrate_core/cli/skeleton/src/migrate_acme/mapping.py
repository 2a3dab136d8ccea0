"""Between the vendor's objects and the neutral model.

The tables stand in ``docs/vendor.md``, section "Mapping".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import attrs
from migrate_core.documents import decode, faults_of
from migrate_core.errors import (
    ApiError,
    AuthenticationError,
    ConflictError,
    Fault,
    InvalidDocumentError,
    MalformedResponseError,
    QuotaExceededError,
    error_class_for,
)
from migrate_core.models import Disk, OsFamily, SourceFacts, SourceServer, SourceSpec, Stage
from migrate_core.operations import Operation
from migrate_core.provider import Response, TaskFailure, TaskInfo, TaskStatus

from migrate_acme.auth import Session
from migrate_acme.models import (
    OS_FAMILIES,
    DiskSpec,
    Job,
    Login,
    Machine,
    MachineSpec,
    Problem,
)

NAME = "acme"

_STAGES: Mapping[str, Stage] = {
    "new": Stage.DISCOVERED,
    "ready": Stage.READY,
    "copying": Stage.SEEDING,
    "in_sync": Stage.REPLICATING,
    "moved": Stage.CUT_OVER,
    "deleting": Stage.DELETING,
    "failed": Stage.ERROR,
}
_STATUSES: Mapping[str, TaskStatus] = {
    "queued": TaskStatus.QUEUED,
    "running": TaskStatus.RUNNING,
    "done": TaskStatus.SUCCESS,
    "failed": TaskStatus.ERROR,
    "cancelled": TaskStatus.CANCELLED,
}
_OPERATIONS: Mapping[str, Operation] = {"delete_machine": Operation.DELETE_SOURCE}
_CODES: Mapping[str, type[ApiError]] = {
    "session_ended": AuthenticationError,
    "name_taken": ConflictError,
    "too_many_machines": QuotaExceededError,
}

_MIB, _GIB = 2**20, 2**30


def session_from(payload: Mapping[str, Any]) -> Session:
    """Read what a login answers.

    Raises:
        MalformedResponseError: it has no session that a header can carry.
    """
    login = decode(Login, payload)
    if not login.session or not (login.session.isascii() and login.session.isprintable()):
        raise MalformedResponseError("the login's answer has no usable session", path="session")
    return Session(login.session, moment(login.expires_at))


def id_from(payload: Mapping[str, Any]) -> str:
    """Read the id of something new.

    Raises:
        MalformedResponseError: it is missing.
    """
    found = payload.get("id")
    if not isinstance(found, str) or not found:
        raise MalformedResponseError("it was made, but its id is missing", path="id")
    return found


def source_from(payload: Mapping[str, Any], *, raw: Any) -> SourceServer:
    """Read a machine.

    Args:
        payload: the vendor's Machine.
        raw: what the value keeps of it.

    Raises:
        MalformedResponseError: it has no id.
    """
    machine = decode(Machine, payload)
    if not machine.id:
        raise MalformedResponseError("the machine has no id", path="id")
    spec = machine.spec or MachineSpec()
    return SourceServer(
        id=machine.id,
        provider=NAME,
        name=spec.name or "",
        stage=_STAGES.get(machine.state or "", Stage.UNKNOWN),
        vendor_state=machine.state or "",
        facts=_facts(spec),
        registered_at=moment(machine.registered_at),
        raw=raw,
    )


def _facts(spec: MachineSpec) -> SourceFacts:
    return SourceFacts(
        hostname=spec.hostname,
        os_family=OsFamily(spec.os_family) if spec.os_family in OS_FAMILIES else OsFamily.UNKNOWN,
        os_name=spec.os_name,
        cpu_count=spec.cpus,
        memory_bytes=_bytes(spec.memory_mib, _MIB),
        disks=tuple(
            Disk(name=disk.name or "", size_bytes=_bytes(disk.size_gib, _GIB), is_boot=disk.boot)
            for disk in spec.disks or ()
        ),
    )


def machine_for(spec: SourceSpec) -> MachineSpec:
    """Make the vendor's document: the caller's details, completed from the facts.

    Raises:
        InvalidDocumentError: something is missing or wrong; all faults are listed.
    """
    details = spec.details if spec.details is not None else MachineSpec()
    faults: list[Fault] = []
    if isinstance(details, Mapping):
        details = decode(MachineSpec, details, faults)
    if not isinstance(details, MachineSpec):
        wanted = "a MachineSpec or its JSON object"
        raise InvalidDocumentError([Fault("details", f"is {type(details).__name__}, not {wanted}")])
    given = {name: value for name, value in attrs.asdict(details, recurse=False).items() if value is not None}
    machine = attrs.evolve(_known(spec), **given)
    faults += faults_of(machine)
    if faults:
        raise InvalidDocumentError(faults)
    return machine


def _known(spec: SourceSpec) -> MachineSpec:
    facts = spec.facts
    return MachineSpec(
        name=spec.name,
        external_id=spec.external_id,
        hostname=facts.hostname,
        os_family=None if facts.os_family is OsFamily.UNKNOWN else facts.os_family.value,
        os_name=facts.os_name,
        cpus=facts.cpu_count,
        memory_mib=_units(facts.memory_bytes, _MIB),
        disks=tuple(
            DiskSpec(name=disk.name, size_gib=_units(disk.size_bytes, _GIB), boot=disk.is_boot) for disk in facts.disks
        ),
    )


def task_from(payload: Mapping[str, Any], *, raw: Any) -> TaskInfo:
    """Read a job.

    Raises:
        MalformedResponseError: it has no id.
    """
    job = decode(Job, payload)
    if not job.id:
        raise MalformedResponseError("the job has no id", path="id")
    status = _STATUSES.get(job.state or "", TaskStatus.UNKNOWN)
    return TaskInfo(
        id=job.id,
        operation=_OPERATIONS.get(job.kind or ""),
        status=status,
        progress=None if job.percent is None else min(max(job.percent, 0.0), 100.0),
        error=_failure(job.problem or Problem()) if status is TaskStatus.ERROR else None,
        entity_id=job.machine_id,
        queued_at=moment(job.queued_at),
        started_at=moment(job.started_at),
        ended_at=moment(job.ended_at),
        raw=raw,
    )


def _failure(problem: Problem) -> TaskFailure:
    return TaskFailure(problem.message or "the service gives no reason", code=problem.code or "")


def items_from(payload: Mapping[str, Any]) -> tuple[tuple[Mapping[str, Any], ...], str | None]:
    """Read the envelope of a list.

    Returns:
        The items, and the cursor of the next page, ``None`` on the last.

    Raises:
        MalformedResponseError: it has no list of objects.
    """
    items, cursor = payload.get("items"), payload.get("next")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise MalformedResponseError("is no list of objects", path="items")
    return tuple(items), cursor if isinstance(cursor, str) and cursor else None


def error_from(response: Response) -> ApiError:
    """Make an error of an answer: by the vendor's code, by the status where the code says nothing."""
    try:
        body = response.json()
    except MalformedResponseError:
        body = None  # of a proxy, say
    problem = decode(Problem, body) if isinstance(body, dict) else Problem()
    cls = _CODES.get(problem.code or "") or error_class_for(response.status)
    return cls(
        problem.message or f"answered {response.status} without a reason",
        provider=NAME,
        status=response.status,
        code=problem.code or "",
        request_id=problem.request_id or "",
    )


def moment(text: str | None) -> datetime | None:
    """Read a time, as UTC; one without a time zone is not guessed at."""
    try:
        parsed = datetime.fromisoformat(text or "")
        return parsed.astimezone(UTC) if parsed.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _bytes(count: int | None, unit: int) -> int | None:
    return None if count is None or count < 0 else count * unit


def _units(size: int | None, unit: int) -> int | None:
    """Give a size in the vendor's units, rounded up: what is moved must fit."""
    return None if size is None else -(-size // unit)
