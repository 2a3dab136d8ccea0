"""Between the vendor's objects and the neutral model.

The tables stand in ``docs/vendors/aws-mgn.md``, section "Mapping".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from migrate_aws_mgn.models import (
    DATA_REPLICATION_STATES,
    DataReplicationInfo,
    JobLog,
    LaunchedInstance,
    LifeCycle,
    MgnJob,
    MgnSourceServer,
    ParticipatingServer,
    SourceProperties,
)
from migrate_core.documents import decode
from migrate_core.errors import (
    ApiError,
    AuthenticationError,
    ConflictError,
    InvalidRequestError,
    MalformedResponseError,
    NotFoundError,
    OperationNotOfferedError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitedError,
    ServerError,
    error_class_for,
)
from migrate_core.models import (
    Check,
    CheckResult,
    Disk,
    Nic,
    OsFamily,
    Replication,
    ReplicationState,
    SourceFacts,
    SourceServer,
    Stage,
    Target,
)
from migrate_core.provider import Response, TaskFailure, TaskInfo, TaskStatus

NAME = "aws_mgn"

# Source servers.

_STAGES = {
    "DISCOVERED": Stage.DISCOVERED,
    "PENDING_INSTALLATION": Stage.DISCOVERED,
    "NOT_READY": Stage.NOT_READY,
    "DISCONNECTED": Stage.NOT_READY,
    "READY_FOR_TEST": Stage.REPLICATING,
    "READY_FOR_CUTOVER": Stage.REPLICATING,
    "STOPPED": Stage.PAUSED,
    "TESTING": Stage.TESTING,
    "CUTTING_OVER": Stage.CUTTING_OVER,
    "CUTOVER": Stage.FINALIZED,
}
_SYNCING = ("INITIATING", "INITIAL_SYNC", "BACKLOG", "CREATING_SNAPSHOT", "RESCAN", "SHIPPING_SNAPSHOT")
_REPLICATIONS = {
    "STOPPED": ReplicationState.NONE,
    "INITIATING": ReplicationState.INITIAL,
    "INITIAL_SYNC": ReplicationState.INITIAL,
    "BACKLOG": ReplicationState.CONTINUOUS,
    "CREATING_SNAPSHOT": ReplicationState.CONTINUOUS,
    "RESCAN": ReplicationState.CONTINUOUS,
    "CONTINUOUS": ReplicationState.CONTINUOUS,
    "PENDING_SNAPSHOT_SHIPPING": ReplicationState.PERIODIC,
    "SHIPPING_SNAPSHOT": ReplicationState.PERIODIC,
    "PAUSED": ReplicationState.PAUSED,
    "STALLED": ReplicationState.STALLED,
    "DISCONNECTED": ReplicationState.DISCONNECTED,
}
_CONNECTED = {
    **dict.fromkeys(("INITIAL_SYNC", "BACKLOG", "CREATING_SNAPSHOT", "RESCAN", "CONTINUOUS"), True),
    "DISCONNECTED": False,
}
_CHECKS = {
    "SUCCEEDED": CheckResult.OK,
    "SKIPPED": CheckResult.OK,
    "NOT_STARTED": CheckResult.PENDING,
    "IN_PROGRESS": CheckResult.PENDING,
    "PASSED": CheckResult.OK,
    "PENDING": CheckResult.PENDING,
    "WAITING": CheckResult.PENDING,
    "FAILED": CheckResult.ERROR,
    "STOPPED": CheckResult.ERROR,
}
_LINUX = re.compile(r"linux|ubuntu|debian|red ?hat|rhel|centos|suse|sles|fedora|rocky|alma|oracle", re.IGNORECASE)


def source_from(payload: Mapping[str, Any], *, raw: Any) -> SourceServer:
    """Read a source server.

    Raises:
        MalformedResponseError: it has no id.
    """
    server = decode(MgnSourceServer, payload)
    if not server.sourceServerID:
        raise MalformedResponseError("the source server has no id", path="sourceServerID")
    life = server.lifeCycle or LifeCycle()
    replication = server.dataReplicationInfo or DataReplicationInfo()
    launched = server.launchedInstance or LaunchedInstance()
    properties = server.sourceProperties or SourceProperties()
    return SourceServer(
        id=server.sourceServerID,
        provider=NAME,
        name=_name(server.tags, properties),
        stage=_stage(life, replication.dataReplicationState, launched),
        vendor_state="/".join(filter(None, (life.state, replication.dataReplicationState))),
        facts=_facts(properties),
        checks=(*_replication_checks(replication), *_launch_checks(launched)),
        replication=_replication(server.sourceServerID, life, replication) if server.dataReplicationInfo else None,
        target=Target(id=launched.ec2InstanceID, region=_region(server.arn)) if launched.ec2InstanceID else None,
        connected=_connected(replication),
        registered_at=moment(life.addedToServiceDateTime),
        raw=raw,
    )


def states_from(payload: Mapping[str, Any]) -> tuple[str, str]:
    """Read the two words of which a source server's state is made: of its life cycle, and of its replication."""
    server = decode(MgnSourceServer, payload)
    life, replication = server.lifeCycle, server.dataReplicationInfo
    return (life and life.state) or "", (replication and replication.dataReplicationState) or ""


def _name(tags: Any, properties: SourceProperties) -> str:
    """Choose what people call the machine: its tag, or what it calls itself."""
    tag = tags.get("Name") if isinstance(tags, Mapping) else None
    hints = properties.identificationHints
    named = (hints.hostname or hints.fqdn or "") if hints else ""
    return tag if isinstance(tag, str) and tag else named


def _stage(life: LifeCycle, replication: str | None, launched: LaunchedInstance) -> Stage:
    stage = _STAGES.get(life.state or "", Stage.UNKNOWN)
    if stage is Stage.UNKNOWN or replication not in (None, *DATA_REPLICATION_STATES):
        return Stage.UNKNOWN
    if replication == "PAUSED":
        return Stage.PAUSED
    if life.state == "NOT_READY" and replication in _SYNCING:
        return Stage.SEEDING
    if stage is Stage.REPLICATING and replication == "STOPPED":
        return Stage.PAUSED
    if stage is Stage.REPLICATING and replication == "DISCONNECTED":
        return Stage.NOT_READY
    return Stage.CUT_OVER if stage is Stage.CUTTING_OVER and _is_cut_over(life, launched) else stage


def _is_cut_over(life: LifeCycle, launched: LaunchedInstance) -> bool:
    """Tell whether the instance that was launched is that of the cutover, and not of an earlier test."""
    initiated = life.lastCutover.initiated if life.lastCutover else None
    return bool(launched.ec2InstanceID and initiated and initiated.jobID and initiated.jobID == launched.jobID)


def _facts(properties: SourceProperties) -> SourceFacts:
    hints = properties.identificationHints
    system = properties.os.fullString if properties.os else None
    return SourceFacts(
        hostname=(hints.hostname or hints.fqdn or None) if hints else None,
        os_family=_os_family(system or ""),
        os_name=system or None,
        cpu_count=_total(cpu.cores for cpu in properties.cpus or ()),
        memory_bytes=_size(properties.ramBytes),
        disks=tuple(Disk(name=disk.deviceName or "", size_bytes=_size(disk.bytes)) for disk in properties.disks or ()),
        nics=tuple(
            Nic(mac=nic.macAddress, addresses=tuple(nic.ips or ())) for nic in properties.networkInterfaces or ()
        ),
    )


def _os_family(system: str) -> OsFamily:
    if "windows" in system.lower():
        return OsFamily.WINDOWS
    return OsFamily.LINUX if _LINUX.search(system) else OsFamily.UNKNOWN


def _replication(identity: str, life: LifeCycle, info: DataReplicationInfo) -> Replication:
    """Read the replication, which has no id of its own."""
    state = _REPLICATIONS.get(info.dataReplicationState or "", ReplicationState.UNKNOWN)
    if life.state == "NOT_READY" and info.dataReplicationState in _SYNCING:
        state = ReplicationState.INITIAL
    total = _total(disk.totalStorageBytes for disk in info.replicatedDisks or ())
    copied = _total(disk.replicatedStorageBytes for disk in info.replicatedDisks or ())
    percent = 100 * (min(copied, total) / total) if total and copied is not None else None
    return Replication(id=identity, state=state, total_bytes=total, copied_bytes=copied, percent=percent)


def _replication_checks(info: DataReplicationInfo) -> Iterator[Check]:
    begun = info.dataReplicationInitiation
    for step in (begun.steps if begun else None) or ():
        yield Check(name=step.name or "", result=_check(step.status))
    error = info.dataReplicationError
    if error and (error.error or error.rawError):
        yield Check(
            name="data_replication",
            result=CheckResult.ERROR,
            code=error.error or "",
            message=error.rawError or error.error or "",
        )


def _launch_checks(launched: LaunchedInstance) -> Iterator[Check]:
    if launched.firstBoot:
        yield Check(name="first_boot", result=_check(launched.firstBoot))
    for check in launched.lastKnownChecks or ():
        yield Check(name=check.name or "", result=_check(check.status), message=check.error or "")


def _check(word: str | None) -> CheckResult:
    return _CHECKS.get(word or "", CheckResult.UNKNOWN)


def _connected(info: DataReplicationInfo) -> bool | None:
    if info.dataReplicationError and info.dataReplicationError.error == "AGENT_NOT_SEEN":
        return False
    return _CONNECTED.get(info.dataReplicationState or "")


def _region(arn: str | None) -> str | None:
    """Read the region out of an ARN: an instance is launched where its source server is kept."""
    parts = (arn or "").split(":")
    return parts[3] or None if len(parts) > 3 else None


def _size(value: int | None) -> int | None:
    return value if value is not None and value >= 0 else None


def _total(values: Iterable[int | None]) -> int | None:
    """Add sizes up; a sum of some of them would be a wrong number, so one that is missing leaves no sum."""
    sizes = [_size(value) for value in values]
    known = [size for size in sizes if size is not None]
    return sum(known) if sizes and len(known) == len(sizes) else None


# Jobs.

_STATUSES = {"PENDING": TaskStatus.QUEUED, "STARTED": TaskStatus.RUNNING}
_ACHIEVED = {"LAUNCH": "LAUNCHED", "TERMINATE": "TERMINATED"}
_UNDECIDED = ("PENDING", "IN_PROGRESS")
_FAILED = "FAILED"


def task_from(payload: Mapping[str, Any], *, raw: Any, log: Sequence[JobLog] = ()) -> TaskInfo:
    """Read a job.

    Args:
        payload: the vendor's Job.
        raw: what the value keeps of it.
        log: the job's log, where somebody has looked.

    Raises:
        MalformedResponseError: it has no id.
    """
    job = decode(MgnJob, payload)
    if not job.jobID:
        raise MalformedResponseError("the job has no id", path="jobID")
    servers = job.participatingServers or ()
    status = _outcome(job, log) if job.status == "COMPLETED" else _STATUSES.get(job.status or "", TaskStatus.UNKNOWN)
    return TaskInfo(
        id=job.jobID,
        status=status,
        result=_launched(servers) if status is TaskStatus.SUCCESS else None,
        error=_failure(job, log) if status is TaskStatus.ERROR else None,
        entity_id=(servers[0].sourceServerID or None) if len(servers) == 1 else None,
        queued_at=moment(job.creationDateTime),
        started_at=moment(next((line.logDateTime for line in log if line.event == "JOB_START"), None)),
        ended_at=moment(job.endDateTime),
        raw=raw,
    )


def _outcome(job: MgnJob, log: Sequence[JobLog]) -> TaskStatus:
    """Tell what a completed job came to, by what became of its servers; the word itself says nothing of that."""
    achieved = _ACHIEVED.get(job.type or "", "")
    found = {server.launchStatus for server in job.participatingServers or ()}
    events = {line.event for line in log}
    if achieved and found == {achieved}:
        return TaskStatus.SUCCESS
    if "JOB_CANCEL" in events:
        return TaskStatus.CANCELLED
    if _FAILED in found:
        return TaskStatus.ERROR
    # Servers lag behind their job, or were left out. Only when the log has its last line will nothing more come.
    decided = bool(found) and found <= {*_ACHIEVED.values(), *_UNDECIDED} and "JOB_END" in events
    return TaskStatus.ERROR if decided and achieved else TaskStatus.UNKNOWN


def _launched(servers: Iterable[ParticipatingServer]) -> Mapping[str, str]:
    """Name the instances that a job has launched or terminated, by their source servers."""
    return {
        server.sourceServerID: server.launchedEc2InstanceID
        for server in servers
        if server.sourceServerID and server.launchedEc2InstanceID
    }


def _failure(job: MgnJob, log: Sequence[JobLog]) -> TaskFailure:
    """Say which servers a job has failed, and what its log says of it."""
    servers = job.participatingServers or ()
    achieved = _ACHIEVED.get(job.type or "", "")
    missed = [server for server in servers if server.launchStatus != achieved]
    named = ", ".join(f"{server.sourceServerID} {server.launchStatus}" for server in missed)
    errors = [line for line in log if line.event and (line.event.endswith(("_FAIL", "_FAILED")) or _error_in(line))]
    return TaskFailure(
        f"{len(missed)} of {len(servers)} servers were not {achieved.lower() or 'done'}: {named}",
        details="\n".join(filter(None, map(_error_in, errors))),
        code=(errors[0].event or "") if errors else "",
    )


def _error_in(line: JobLog) -> str:
    if not line.eventData or not line.eventData.rawError:
        return ""
    return f"{line.eventData.sourceServerID or 'job'}: {line.event}: {line.eventData.rawError}"


def items_from(payload: Mapping[str, Any]) -> tuple[tuple[Mapping[str, Any], ...], str | None]:
    """Read a page of a list.

    Returns:
        The items, and the token of the next page, ``None`` on the last.

    Raises:
        MalformedResponseError: it has no list of objects.
    """
    items, following = payload.get("items"), payload.get("nextToken")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise MalformedResponseError("is no list of objects", path="items")
    return tuple(items), following if isinstance(following, str) and following else None


def moment(text: str | None) -> datetime | None:
    """Read a time in ISO 8601; one without a zone says nothing."""
    try:
        parsed = datetime.fromisoformat(text or "")
        return parsed.astimezone(UTC) if parsed.tzinfo else None
    except (ValueError, OverflowError):
        return None


# Refusals.

_CODES: Mapping[str, type[ApiError]] = {
    "UninitializedAccountException": OperationNotOfferedError,
    "UnknownOperationException": OperationNotOfferedError,
    "AccessDeniedException": PermissionDeniedError,
    "ResourceNotFoundException": NotFoundError,
    "ConflictException": ConflictError,
    "ValidationException": InvalidRequestError,
    "ThrottlingException": RateLimitedError,
    "TooManyRequestsException": RateLimitedError,
    "ServiceQuotaExceededException": QuotaExceededError,
    "InternalServerException": ServerError,
    "ServiceUnavailableException": ServerError,
    **dict.fromkeys(
        (
            "ExpiredTokenException",
            "IncompleteSignatureException",
            "InvalidClientTokenIdException",
            "InvalidSignatureException",
            "MissingAuthenticationTokenException",
            "SignatureDoesNotMatch",
            "UnrecognizedClientException",
        ),
        AuthenticationError,
    ),
}
_HINTS = {
    "UninitializedAccountException": "the account has never used the service in this region; initialize it once, in "
    "the console or with `aws mgn initialize-service`",
}
_ACTION = re.compile(r"not authorized to perform: ([\w-]+:\w+)")


def error_from(response: Response) -> ApiError:
    """Make an error of an answer: by the vendor's code, by the status where there is no code."""
    try:
        body = response.json()
    except MalformedResponseError:
        body = {}
    body = body if isinstance(body, dict) else {}
    code = _code(response.headers.get("x-amzn-errortype") or body.get("__type") or body.get("code"))
    message = next((body[name] for name in ("message", "Message") if isinstance(body.get(name), str)), "")
    message = message or f"answered {response.status} without a reason"
    failure = _CODES.get(code, error_class_for(response.status))(
        f"{message}; {_HINTS[code]}" if code in _HINTS else message,
        provider=NAME,
        status=response.status,
        code=code,
        request_id=response.headers.get("x-amzn-requestid", ""),
        details={name: value for name, value in body.items() if name not in ("__type", "code", "message", "Message")},
    )
    if isinstance(failure, PermissionDeniedError):
        found = _ACTION.search(message)
        failure.action = found[1] if found else ""
    return failure


def _code(text: Any) -> str:
    """Take the name of an exception out of what may stand around it: a namespace before, an address behind."""
    return text.partition(":")[0].rpartition("#")[2] if isinstance(text, str) else ""
