# ruff: noqa: N815  # the names are the vendor's own, as they stand on the wire
"""The vendor's own objects, with the names and types of its service model.

They are listed in ``docs/vendors/aws-mgn.md``, section "Objects". Its ``SourceServer``, ``Job`` and ``Disk`` are called
`MgnSourceServer`, `MgnJob` and `MgnDisk` here, to tell them from the neutral ones. We only ever read them, so the
lengths of texts are left to the service model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from migrate_core.documents import MAX32, MAX64, anything, decode, flag, integer, many, one, text, texts
from migrate_core.errors import InvalidArgumentError
from migrate_core.models import SourceServer
from migrate_core.provider import TaskInfo

__all__ = [
    "CPU",
    "OS",
    "DataReplicationError",
    "DataReplicationInfo",
    "DataReplicationInfoReplicatedDisk",
    "DataReplicationInitiation",
    "DataReplicationInitiationStep",
    "IdentificationHints",
    "JobLog",
    "JobLogEventData",
    "JobPostLaunchActionsLaunchStatus",
    "LastKnownCheck",
    "LaunchedInstance",
    "LifeCycle",
    "LifeCycleLastCutover",
    "LifeCycleLastCutoverFinalized",
    "LifeCycleLastCutoverInitiated",
    "LifeCycleLastCutoverReverted",
    "LifeCycleLastTest",
    "LifeCycleLastTestFinalized",
    "LifeCycleLastTestInitiated",
    "LifeCycleLastTestReverted",
    "MgnDisk",
    "MgnJob",
    "MgnSourceServer",
    "NetworkInterface",
    "ParticipatingServer",
    "PostLaunchActionsStatus",
    "SourceProperties",
    "SourceServerConnectorAction",
    "SsmDocument",
    "job_of",
    "source_server_of",
]

LIFE_CYCLE_STATES = (
    "STOPPED",
    "NOT_READY",
    "READY_FOR_TEST",
    "TESTING",
    "READY_FOR_CUTOVER",
    "CUTTING_OVER",
    "CUTOVER",
    "DISCONNECTED",
    "DISCOVERED",
    "PENDING_INSTALLATION",
)
DATA_REPLICATION_STATES = (
    "STOPPED",
    "INITIATING",
    "INITIAL_SYNC",
    "BACKLOG",
    "CREATING_SNAPSHOT",
    "CONTINUOUS",
    "PAUSED",
    "RESCAN",
    "STALLED",
    "DISCONNECTED",
    "PENDING_SNAPSHOT_SHIPPING",
    "SHIPPING_SNAPSHOT",
)
STEPS = (
    "WAIT",
    "CREATE_SECURITY_GROUP",
    "LAUNCH_REPLICATION_SERVER",
    "BOOT_REPLICATION_SERVER",
    "AUTHENTICATE_WITH_SERVICE",
    "DOWNLOAD_REPLICATION_SOFTWARE",
    "CREATE_STAGING_DISKS",
    "ATTACH_STAGING_DISKS",
    "PAIR_REPLICATION_SERVER_WITH_AGENT",
    "CONNECT_AGENT_TO_REPLICATION_SERVER",
    "START_DATA_TRANSFER",
    "SETUP_FSX_PROXY",
)
STEP_STATUSES = ("NOT_STARTED", "IN_PROGRESS", "SUCCEEDED", "FAILED", "SKIPPED")
REPLICATION_ERRORS = (
    "AGENT_NOT_SEEN",
    "SNAPSHOTS_FAILURE",
    "NOT_CONVERGING",
    "UNSTABLE_NETWORK",
    "FAILED_TO_CREATE_SECURITY_GROUP",
    "FAILED_TO_LAUNCH_REPLICATION_SERVER",
    "FAILED_TO_BOOT_REPLICATION_SERVER",
    "FAILED_TO_AUTHENTICATE_WITH_SERVICE",
    "FAILED_TO_DOWNLOAD_REPLICATION_SOFTWARE",
    "FAILED_TO_CREATE_STAGING_DISKS",
    "FAILED_TO_ATTACH_STAGING_DISKS",
    "FAILED_TO_PAIR_REPLICATION_SERVER_WITH_AGENT",
    "FAILED_TO_CONNECT_AGENT_TO_REPLICATION_SERVER",
    "FAILED_TO_START_DATA_TRANSFER",
    "UNSUPPORTED_VM_CONFIGURATION",
    "LAST_SNAPSHOT_JOB_FAILED",
    "FAILED_TO_SETUP_FSX_PROXY",
    "FAILED_TO_CREATE_FSX_SNAPSHOT",
)
CHECK_STATUSES = ("PASSED", "FAILED", "PENDING")
JOB_STATUSES = ("PENDING", "STARTED", "COMPLETED")
JOB_TYPES = ("LAUNCH", "TERMINATE")
LAUNCH_STATUSES = ("PENDING", "IN_PROGRESS", "LAUNCHED", "FAILED", "TERMINATED")
JOB_LOG_EVENTS = (
    "JOB_START",
    "SERVER_SKIPPED",
    "CLEANUP_START",
    "CLEANUP_END",
    "CLEANUP_FAIL",
    "SNAPSHOT_START",
    "SNAPSHOT_END",
    "SNAPSHOT_FAIL",
    "USING_PREVIOUS_SNAPSHOT",
    "CONVERSION_START",
    "CONVERSION_END",
    "CONVERSION_FAIL",
    "LAUNCH_START",
    "LAUNCH_FAILED",
    "JOB_CANCEL",
    "JOB_END",
)


def _text(*values: str, required: bool = False) -> Any:
    """Declare a text; with `values`, one of those."""
    return text(float("inf"), values=values, required=required)


@attrs.frozen(kw_only=True)
class LastKnownCheck:
    """A check of an instance that was launched; ``checkedAt`` is a time, on the wire a number of epoch seconds."""

    type: str | None = _text("EC2", "FSx")
    name: str | None = _text()
    status: str | None = _text(*CHECK_STATUSES)
    error: str | None = _text()
    checkedAt: Any = anything()


@attrs.frozen(kw_only=True)
class LaunchedInstance:
    """The latest instance that a test or a cutover has launched."""

    ec2InstanceID: str | None = _text()
    jobID: str | None = _text()
    firstBoot: str | None = _text("WAITING", "SUCCEEDED", "UNKNOWN", "STOPPED")
    lastKnownChecks: tuple[LastKnownCheck, ...] | None = many(LastKnownCheck, 10)
    lastKnownFsxChecksStatus: str | None = _text(*CHECK_STATUSES)


@attrs.frozen(kw_only=True)
class DataReplicationInfoReplicatedDisk:
    """How far a disk is replicated. Disconnecting sets ``totalStorageBytes`` to zero."""

    deviceName: str | None = _text()
    totalStorageBytes: int | None = integer(MAX64)
    replicatedStorageBytes: int | None = integer(MAX64)
    rescannedStorageBytes: int | None = integer(MAX64)
    backloggedStorageBytes: int | None = integer(MAX64)


@attrs.frozen(kw_only=True)
class DataReplicationInitiationStep:
    """A step on the way to the first byte."""

    name: str | None = _text(*STEPS)
    status: str | None = _text(*STEP_STATUSES)


@attrs.frozen(kw_only=True)
class DataReplicationInitiation:
    """How the replication was begun."""

    startDateTime: str | None = _text()
    nextAttemptDateTime: str | None = _text()
    steps: tuple[DataReplicationInitiationStep, ...] | None = many(DataReplicationInitiationStep)


@attrs.frozen(kw_only=True)
class DataReplicationError:
    """Why the replication does not get on."""

    error: str | None = _text(*REPLICATION_ERRORS)
    rawError: str | None = _text()


@attrs.frozen(kw_only=True)
class DataReplicationInfo:
    """The replication; durations and times are ISO 8601 texts."""

    lagDuration: str | None = _text()
    etaDateTime: str | None = _text()
    replicatedDisks: tuple[DataReplicationInfoReplicatedDisk, ...] | None = many(DataReplicationInfoReplicatedDisk, 60)
    dataReplicationState: str | None = _text(*DATA_REPLICATION_STATES)
    dataReplicationInitiation: DataReplicationInitiation | None = one(DataReplicationInitiation)
    dataReplicationError: DataReplicationError | None = one(DataReplicationError)
    lastSnapshotDateTime: str | None = _text()
    replicatorId: str | None = _text()
    stagingOutpostArn: str | None = _text()


@attrs.frozen(kw_only=True)
class LifeCycleLastTestInitiated:
    """When the last test began, and its job."""

    apiCallDateTime: str | None = _text()
    jobID: str | None = _text()


@attrs.frozen(kw_only=True)
class LifeCycleLastTestReverted:
    """When the last test was taken back."""

    apiCallDateTime: str | None = _text()


@attrs.frozen(kw_only=True)
class LifeCycleLastTestFinalized:
    """When the last test was accepted."""

    apiCallDateTime: str | None = _text()


@attrs.frozen(kw_only=True)
class LifeCycleLastTest:
    """The last test."""

    initiated: LifeCycleLastTestInitiated | None = one(LifeCycleLastTestInitiated)
    reverted: LifeCycleLastTestReverted | None = one(LifeCycleLastTestReverted)
    finalized: LifeCycleLastTestFinalized | None = one(LifeCycleLastTestFinalized)


@attrs.frozen(kw_only=True)
class LifeCycleLastCutoverInitiated:
    """When the last cutover began, and its job."""

    apiCallDateTime: str | None = _text()
    jobID: str | None = _text()


@attrs.frozen(kw_only=True)
class LifeCycleLastCutoverReverted:
    """When the last cutover was taken back."""

    apiCallDateTime: str | None = _text()


@attrs.frozen(kw_only=True)
class LifeCycleLastCutoverFinalized:
    """When the last cutover was made final."""

    apiCallDateTime: str | None = _text()


@attrs.frozen(kw_only=True)
class LifeCycleLastCutover:
    """The last cutover."""

    initiated: LifeCycleLastCutoverInitiated | None = one(LifeCycleLastCutoverInitiated)
    reverted: LifeCycleLastCutoverReverted | None = one(LifeCycleLastCutoverReverted)
    finalized: LifeCycleLastCutoverFinalized | None = one(LifeCycleLastCutoverFinalized)


@attrs.frozen(kw_only=True)
class LifeCycle:
    """Where a source server stands on its way; durations and times are ISO 8601 texts."""

    addedToServiceDateTime: str | None = _text()
    firstByteDateTime: str | None = _text()
    elapsedReplicationDuration: str | None = _text()
    lastSeenByServiceDateTime: str | None = _text()
    lastTest: LifeCycleLastTest | None = one(LifeCycleLastTest)
    lastCutover: LifeCycleLastCutover | None = one(LifeCycleLastCutover)
    state: str | None = _text(*LIFE_CYCLE_STATES)


@attrs.frozen(kw_only=True)
class IdentificationHints:
    """What tells the machine from others."""

    fqdn: str | None = _text()
    hostname: str | None = _text()
    vmWareUuid: str | None = _text()
    awsInstanceID: str | None = _text()
    vmPath: str | None = _text()


@attrs.frozen(kw_only=True)
class NetworkInterface:
    """A network interface of the machine."""

    macAddress: str | None = _text()
    ips: tuple[str, ...] | None = texts(MAX32, MAX32)
    isPrimary: bool | None = flag()


@attrs.frozen(kw_only=True)
class MgnDisk:
    """A disk of the machine."""

    deviceName: str | None = _text()
    bytes: int | None = integer(MAX64)


@attrs.frozen(kw_only=True)
class CPU:
    """A processor of the machine."""

    cores: int | None = integer(MAX64)
    modelName: str | None = _text()


@attrs.frozen(kw_only=True)
class OS:
    """The operating system of the machine."""

    fullString: str | None = _text()


@attrs.frozen(kw_only=True)
class SourceProperties:
    """The machine as its agent reports it."""

    lastUpdatedDateTime: str | None = _text()
    recommendedInstanceType: str | None = _text()
    identificationHints: IdentificationHints | None = one(IdentificationHints)
    networkInterfaces: tuple[NetworkInterface, ...] | None = many(NetworkInterface, 32)
    disks: tuple[MgnDisk, ...] | None = many(MgnDisk, 1000)
    cpus: tuple[CPU, ...] | None = many(CPU, 256)
    ramBytes: int | None = integer(MAX64)
    os: OS | None = one(OS)


@attrs.frozen(kw_only=True)
class SourceServerConnectorAction:
    """How a connector reaches the machine; the secret is named, not told, and ``raw`` hides even its name."""

    credentialsSecretArn: str | None = _text()
    connectorArn: str | None = _text()


@attrs.frozen(kw_only=True)
class MgnSourceServer:
    """A machine whose agent has enrolled it, or that was discovered; ``tags`` are texts by name."""

    sourceServerID: str | None = _text()
    arn: str | None = _text()
    isArchived: bool | None = flag()
    tags: Any = anything()
    launchedInstance: LaunchedInstance | None = one(LaunchedInstance)
    dataReplicationInfo: DataReplicationInfo | None = one(DataReplicationInfo)
    lifeCycle: LifeCycle | None = one(LifeCycle)
    sourceProperties: SourceProperties | None = one(SourceProperties)
    replicationType: str | None = _text("AGENT_BASED", "SNAPSHOT_SHIPPING")
    vcenterClientID: str | None = _text()
    applicationID: str | None = _text()
    userProvidedID: str | None = _text()
    fqdnForActionFramework: str | None = _text()
    connectorAction: SourceServerConnectorAction | None = one(SourceServerConnectorAction)


@attrs.frozen(kw_only=True)
class SsmDocument:
    """An action to run on a launched instance; the two kinds of parameters are objects by name."""

    actionName: str | None = _text(required=True)
    ssmDocumentName: str | None = _text(required=True)
    timeoutSeconds: int | None = integer(MAX32, 1)
    mustSucceedForCutover: bool | None = flag()
    parameters: Any = anything()
    externalParameters: Any = anything()


@attrs.frozen(kw_only=True)
class JobPostLaunchActionsLaunchStatus:
    """How an action on a launched instance went."""

    ssmDocument: SsmDocument | None = one(SsmDocument)
    ssmDocumentType: str | None = _text("AUTOMATION", "COMMAND")
    executionID: str | None = _text()
    executionStatus: str | None = _text("IN_PROGRESS", "SUCCESS", "FAILED")
    failureReason: str | None = _text()


@attrs.frozen(kw_only=True)
class PostLaunchActionsStatus:
    """How the actions on a launched instance went."""

    ssmAgentDiscoveryDatetime: str | None = _text()
    postLaunchActionsLaunchStatusList: tuple[JobPostLaunchActionsLaunchStatus, ...] | None = many(
        JobPostLaunchActionsLaunchStatus
    )


@attrs.frozen(kw_only=True)
class ParticipatingServer:
    """What a job has done for one source server."""

    sourceServerID: str | None = _text(required=True)
    launchStatus: str | None = _text(*LAUNCH_STATUSES)
    launchedEc2InstanceID: str | None = _text()
    postLaunchActionsStatus: PostLaunchActionsStatus | None = one(PostLaunchActionsStatus)


@attrs.frozen(kw_only=True)
class MgnJob:
    """An asynchronous operation on source servers; that it is completed does not say that it went well."""

    jobID: str | None = _text(required=True)
    arn: str | None = _text()
    type: str | None = _text(*JOB_TYPES)
    initiatedBy: str | None = _text("START_TEST", "START_CUTOVER", "DIAGNOSTIC", "TERMINATE")
    creationDateTime: str | None = _text()
    endDateTime: str | None = _text()
    status: str | None = _text(*JOB_STATUSES)
    participatingServers: tuple[ParticipatingServer, ...] | None = many(ParticipatingServer)
    tags: Any = anything()


@attrs.frozen(kw_only=True)
class JobLogEventData:
    """What a line of a job's log is about."""

    sourceServerID: str | None = _text()
    conversionServerID: str | None = _text()
    targetInstanceID: str | None = _text()
    rawError: str | None = _text()
    attemptCount: int | None = integer(MAX32, 1)
    maxAttemptsCount: int | None = integer(MAX32, 1)


@attrs.frozen(kw_only=True)
class JobLog:
    """A line of a job's log."""

    logDateTime: str | None = _text()
    event: str | None = _text(*JOB_LOG_EVENTS)
    eventData: JobLogEventData | None = one(JobLogEventData)


def source_server_of(source: SourceServer) -> MgnSourceServer:
    """Give the vendor's own object of a source.

    Raises:
        InvalidArgumentError: its ``raw`` was not kept (``keep_raw=False``).
    """
    return decode(MgnSourceServer, _kept(source.raw))


def job_of(info: TaskInfo) -> MgnJob:
    """Give the vendor's own object of a task.

    Raises:
        InvalidArgumentError: its ``raw`` was not kept.
    """
    return decode(MgnJob, _kept(info.raw))


def _kept(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    if not raw:
        raise InvalidArgumentError("there is no raw payload; connect with keep_raw=True")
    return raw
