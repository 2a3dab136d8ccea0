"""Between the vendor's objects and the neutral model.

The tables stand in ``docs/vendors/huawei-sms.md``, section "Mapping". The vendor's own objects are imported where they
are used: an answer is read without them, and to make their classes takes a process as long as a hundred calls.
"""

from __future__ import annotations

import functools
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from migrate_core.documents import (
    decode,
    flag_in,
    integer_in,
    number_in,
    object_in,
    objects_in,
    text_in,
    texts_in,
    wire_of,
)
from migrate_core.errors import (
    ApiError,
    AuthenticationError,
    ConflictError,
    Fault,
    InvalidDocumentError,
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
    Firmware,
    Nic,
    OsFamily,
    Replication,
    ReplicationState,
    SourceFacts,
    SourceServer,
    SourceSpec,
    Stage,
    Target,
)
from migrate_core.provider import Response

if TYPE_CHECKING:
    from migrate_huawei_sms.models import NetWork, ServerDisk, SourceDocument

NAME = "huawei_sms"

D = TypeVar("D", "ServerDisk", "NetWork")

_STAGES: Mapping[str, Stage] = {
    "unavailable": Stage.NOT_READY,
    "waiting": Stage.READY,
    "initialize": Stage.SEEDING,
    "replicate": Stage.SEEDING,
    "syncing": Stage.REPLICATING,
    "skipping": Stage.REPLICATING,
    "premigready": Stage.REPLICATING,
    "premiged": Stage.REPLICATING,
    "premigfailed": Stage.REPLICATING,
    "stopping": Stage.PAUSED,
    "stopped": Stage.PAUSED,
    "cloning": Stage.TESTING,
    "testing": Stage.TESTING,
    "premiging": Stage.TESTING,
    "cutovering": Stage.CUTTING_OVER,
    "finished": Stage.CUT_OVER,
    "clearing": Stage.CUT_OVER,
    "clearfailed": Stage.CUT_OVER,
    "cleared": Stage.FINALIZED,
    "deleting": Stage.DELETING,
    "error": Stage.ERROR,
}

_REPLICATION_STATES: Mapping[str, ReplicationState] = {
    "READY": ReplicationState.NONE,
    "RUNNING": ReplicationState.INITIAL,
    "SYNCING": ReplicationState.CONTINUOUS,
    "MIGRATE_SUCCESS": ReplicationState.NONE,
    "SYNC_SUCCESS": ReplicationState.NONE,
    "MIGRATE_FAIL": ReplicationState.STALLED,
    "SYNC_FAIL": ReplicationState.STALLED,
    "ABORTING": ReplicationState.PAUSED,
    "ABORT": ReplicationState.PAUSED,
    "DELETING": ReplicationState.DISCONNECTED,
}

_OS_FAMILIES: Mapping[str, OsFamily] = {"LINUX": OsFamily.LINUX, "WINDOWS": OsFamily.WINDOWS}
_FIRMWARES: Mapping[str, Firmware] = {"BIOS": Firmware.BIOS, "UEFI": Firmware.UEFI}

_CHECK_RESULTS: Mapping[str, CheckResult] = {
    "OK": CheckResult.OK,
    "WARN": CheckResult.WARN,
    "ERROR": CheckResult.ERROR,
}

_SHORT = 255
_BOOT_USES = ("BOOT", "OS")
_MEBIBYTES_BELOW = 2**27
_SECONDS_BELOW = 10**11
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BYTES_PER_MBIT = 125_000


def source_from(payload: Mapping[str, Any], *, raw: Any) -> SourceServer:
    """Read a source from the query's answer or from an item of the list.

    Fleets are described by the thousand, so this reads the fields that it needs and no more; the vendor's own object
    of the same answer is `document_of`.

    Raises:
        MalformedResponseError: it has no id.
    """
    source_id, hostname, state = text_in(payload, "id"), text_in(payload, "hostname"), text_in(payload, "state")
    if not source_id:
        raise MalformedResponseError("the source has no id", path="id")
    task = object_in(payload, "current_task")
    return SourceServer(
        id=source_id,
        provider=NAME,
        name=text_in(payload, "name") or hostname or "",
        stage=_STAGES.get((state or "").lower(), Stage.UNKNOWN),
        vendor_state="/".join(filter(None, (state, text_in(payload, "migration_cycle")))),
        facts=_facts(payload, hostname),
        checks=tuple(map(_check, objects_in(payload, "checks"))),
        replication=_replication(payload, task) if task is not None else None,
        target=_target(task) if task is not None else None,
        connected=flag_in(payload, "connected"),
        registered_at=moment(integer_in(payload, "add_date")),
        raw=raw,
    )


def moment(timestamp: int | None) -> datetime | None:
    """Read a timestamp: seconds below 10^11, else milliseconds; 0 is unknown."""
    if not timestamp or timestamp < 0:
        return None
    milliseconds = timestamp * 1000 if timestamp < _SECONDS_BELOW else timestamp
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return None


def memory_bytes(value: int | None) -> int | None:
    """Read ``memory``: no machine has less than 128 MiB or more than 128 TiB, so below 2^27 it is MiB."""
    if not value or value < 0:
        return None
    return value * 2**20 if value < _MEBIBYTES_BELOW else value


def _facts(payload: Mapping[str, Any], hostname: str | None) -> SourceFacts:
    return SourceFacts(
        hostname=hostname or None,
        os_family=_OS_FAMILIES.get((text_in(payload, "os_type") or "").upper(), OsFamily.UNKNOWN),
        os_name=text_in(payload, "os_version") or None,
        firmware=_FIRMWARES.get((text_in(payload, "firmware") or "").upper(), Firmware.UNKNOWN),
        cpu_count=integer_in(payload, "cpu_quantity"),
        memory_bytes=memory_bytes(integer_in(payload, "memory")),
        disks=tuple(map(_disk, objects_in(payload, "disks"))),
        nics=tuple(map(_nic, objects_in(payload, "networks"))),
    )


def _disk(disk: Mapping[str, Any]) -> Disk:
    volumes = objects_in(disk, "physical_volumes")
    uses = {text_in(disk, "device_use"), *(text_in(volume, "device_use") for volume in volumes)}
    used = [size for volume in volumes if (size := _size(volume, "used_size")) is not None]
    return Disk(
        name=text_in(disk, "name") or "",
        size_bytes=_size(disk, "size"),
        used_bytes=sum(used) if used else _size(disk, "used_size"),
        is_boot=bool(flag_in(disk, "os_disk")) or not uses.isdisjoint(_BOOT_USES),
    )


def _size(payload: Mapping[str, Any], name: str) -> int | None:
    """Take a size for what it is worth: there is none below nothing."""
    size = integer_in(payload, name)
    return size if size is not None and size >= 0 else None


def _nic(nic: Mapping[str, Any]) -> Nic:
    addresses = filter(None, (text_in(nic, "ip"), text_in(nic, "ipv6")))
    return Nic(name=text_in(nic, "name") or "", mac=text_in(nic, "mac") or None, addresses=tuple(addresses))


def _check(check: Mapping[str, Any]) -> Check:
    name = check.get("name")
    if type(name) is str and len(name) <= _SHORT and _has_passed_in_silence(check):
        return _passed(name)
    texts = (text_in(check, "error_or_warn"), text_in(check, "error_params"), *texts_in(check, "params"))
    return Check(
        name=text_in(check, "name") or "",
        result=_CHECK_RESULTS.get((text_in(check, "result") or "").upper(), CheckResult.UNKNOWN),
        code=text_in(check, "error_code") or "",
        message=", ".join(dict.fromkeys(filter(None, texts))),
    )


def _has_passed_in_silence(check: Mapping[str, Any]) -> bool:
    return (
        check.get("result") == "OK"
        and check.get("error_code") in _NOTHING
        and check.get("error_or_warn") in _NOTHING
        and check.get("error_params") in _NOTHING
        and check.get("params") in _NOTHING_LISTED
    )


_NOTHING: Sequence[Any] = (None, "")
_NOTHING_LISTED: Sequence[Any] = (None, [], [""])


@functools.lru_cache(256)
def _passed(name: str) -> Check:
    """Make a check that was passed; every machine of a fleet has the same dozen, and shares them."""
    return Check(name=name, result=CheckResult.OK)


def _replication(payload: Mapping[str, Any], task: Mapping[str, Any]) -> Replication | None:
    task_id = text_in(task, "id")
    if not task_id:
        return None
    total, copied = integer_in(payload, "totalsize"), integer_in(payload, "replicatesize")
    return Replication(
        id=task_id,
        state=_REPLICATION_STATES.get((text_in(task, "state") or "").upper(), ReplicationState.UNKNOWN),
        total_bytes=total,
        copied_bytes=copied,
        percent=_percent(copied, total),
        rate_bytes_per_s=_rate(number_in(task, "migrate_speed")),
    )


def _percent(copied: int | None, total: int | None) -> float | None:
    if copied is None or copied < 0 or total is None or total <= 0:
        return None
    return 100.0 if copied >= total else 100.0 * (copied / total)


def _rate(megabits_per_second: float | None) -> float | None:
    if megabits_per_second is None or megabits_per_second < 0:
        return None
    rate = megabits_per_second * _BYTES_PER_MBIT
    return rate if math.isfinite(rate) else None


def _target(task: Mapping[str, Any]) -> Target:
    server = object_in(task, "target_server") or {}
    return Target(
        id=text_in(server, "vm_id") or None,
        name=text_in(server, "name") or None,
        region=text_in(task, "region_id") or None,
    )


def document_for(spec: SourceSpec) -> SourceDocument:
    """Make the document to register: the caller's details, completed from the neutral facts.

    Raises:
        InvalidDocumentError: the details are no `SourceDocument`, and no JSON of one.
    """
    from migrate_huawei_sms.models import SourceDocument, document_from_json

    details = spec.details if spec.details is not None else SourceDocument()
    if isinstance(details, Mapping):
        details = document_from_json(details)
    if type(details) is not SourceDocument:
        wanted = "a SourceDocument or its JSON object"
        raise InvalidDocumentError([Fault("details", f"is {type(details).__name__}, not {wanted}")])
    known = _known_of(spec)
    changes = {name: value for name, value in known.items() if value is not None and getattr(details, name) is None}
    for name in ("disks", "networks"):
        if name not in changes and known[name]:
            changes[name] = _matched(getattr(details, name), known[name])
    return attrs.evolve(details, **changes) if changes else details


def identity_of(document: SourceDocument) -> tuple[str, str | None]:
    """Give the name and the address by which a registered machine is found again.

    Raises:
        InvalidDocumentError: it has no name.
    """
    if not document.name:
        raise InvalidDocumentError([Fault("name", "is needed, since the machine is looked up by it")])
    return document.name, document.ip


def ids_of(items: Iterable[Mapping[str, Any]], name: str, ip: str | None) -> list[str]:
    """Give the ids of those items of the list that have a name and, if it is known, an address."""
    alike = (item for item in items if text_in(item, "name") == name and ip in (None, text_in(item, "ip")))
    return [source_id for item in alike if (source_id := text_in(item, "id"))]


def _matched(given: Any, known: Sequence[Any]) -> Any:
    """Complete each disk or interface with what is known of the one of that name, if there is one such pair."""
    if not isinstance(given, list | tuple):
        return given  # what else a caller put there is a fault, found later
    cls = type(known[0])
    counts = Counter(item.name for item in chain(given, known) if _is_named(item, cls))
    by_name = {item.name: item for item in known if counts[item.name] == 2}
    return tuple(
        _filled(item, by_name[item.name]) if _is_named(item, cls) and item.name in by_name else item for item in given
    )


def _filled(given: D, known: D) -> D:
    """Complete a disk or an interface with another one's values."""
    missing = {name: getattr(known, name) for name in wire_of(type(given)) if getattr(given, name) is None}
    return attrs.evolve(given, **missing)


def _is_named(item: Any, cls: Any) -> bool:
    return type(item) is cls and isinstance(item.name, str) and bool(item.name)


def _known_of(spec: SourceSpec) -> dict[str, Any]:
    """Give what the neutral words tell of a document, by its attributes."""
    facts = spec.facts
    addresses = [address for nic in facts.nics for address in nic.addresses]
    ip = _first_address(addresses, 4)
    return {
        "name": spec.name or None,
        "hostname": facts.hostname,
        "os_type": {OsFamily.LINUX: "LINUX", OsFamily.WINDOWS: "WINDOWS"}.get(facts.os_family),
        "os_version": facts.os_name,
        "firmware": {Firmware.BIOS: "BIOS", Firmware.UEFI: "UEFI"}.get(facts.firmware),
        "cpu_quantity": facts.cpu_count,
        "memory": facts.memory_bytes,
        "disks": tuple(map(_server_disk, facts.disks)) or None,
        "networks": tuple(map(_network, facts.nics)) or None,
        "ip": ip,
        "ipv6": None if ip else _first_address(addresses, 6),
    }


def _first_address(addresses: Iterable[str], version: int) -> str | None:
    return next((address for address in addresses if (":" in address) is (version == 6)), None)


def _server_disk(disk: Disk) -> ServerDisk:
    from migrate_huawei_sms.models import ServerDisk

    return ServerDisk(
        name=disk.name,
        device_use="BOOT" if disk.is_boot else "NORMAL",
        size=disk.size_bytes,
        used_size=disk.used_bytes,
        physical_volumes=(),
        os_disk=disk.is_boot,
    )


def _network(nic: Nic) -> NetWork:
    from migrate_huawei_sms.models import NetWork

    return NetWork(
        name=nic.name,
        ip=_first_address(nic.addresses, 4),
        ipv6=_first_address(nic.addresses, 6),
        mac=nic.mac,
    )


def acknowledge(response: Response) -> None:
    """Accept the answer to a change: the pages promise a text, show ``{}``, and older ones have nothing.

    Raises:
        MalformedResponseError: it is a web page, so it came from a proxy and not from the service.
    """
    response.expect(200)
    if response.body.lstrip().startswith(b"<"):
        raise MalformedResponseError("the answer is a web page, not the service's")


_CODES: Mapping[str, type[ApiError]] = {
    "SMS.9004": PermissionDeniedError,
    "SMS.6526": QuotaExceededError,
    "SMS.2013": ConflictError,
    "SMS.2015": ConflictError,
    "SMS.2216": NotFoundError,
    "SMS.2252": NotFoundError,
    "SMS.2002": PermissionDeniedError,
    "SMS.2248": PermissionDeniedError,
    "APIGW.0101": OperationNotOfferedError,
    "APIGW.0103": ServerError,
    "APIGW.0104": ServerError,
    "APIGW.0105": ServerError,
    "APIGW.0106": ServerError,
    "APIGW.0301": AuthenticationError,
    "APIGW.0303": AuthenticationError,
    "APIGW.0305": AuthenticationError,
    "APIGW.0307": AuthenticationError,
    "APIGW.0311": AuthenticationError,
    "APIGW.0302": PermissionDeniedError,
    "APIGW.0304": PermissionDeniedError,
    "APIGW.0306": PermissionDeniedError,
    "APIGW.0308": RateLimitedError,
    "APIGW.0310": PermissionDeniedError,
    "APIGW.0401": PermissionDeniedError,
    "APIGW.0402": PermissionDeniedError,
    "APIGW.0404": PermissionDeniedError,
    "APIGW.0501": QuotaExceededError,
    "APIGW.0502": QuotaExceededError,
    "APIGW.0801": PermissionDeniedError,
    "APIGW.0802": PermissionDeniedError,
}

_CODE_NAMES = ("error_code", "errorCode", "code")
_MESSAGE_NAMES = ("error_msg", "errorMsg", "message")
_ACTION = re.compile(r"perform action (\S+)")


def error_from(response: Response) -> ApiError:
    """Make an error of an answer: by the vendor's code, by the status where the code says nothing."""
    from migrate_huawei_sms.models import ErrorBody

    body = _error_object(response)
    code = _first(body, *_CODE_NAMES)
    message = _first(body, *_MESSAGE_NAMES) or f"answered {response.status} without a reason"
    error = decode(ErrorBody, body)
    details = {
        "encoded_authorization_message": error.encoded_authorization_message,
        "error_param": error.error_param,
        "details": tuple(
            {"error_code": detail.error_code, "error_msg": detail.error_msg} for detail in error.details or ()
        ),
    }
    failure = _class_for(code, response.status)(
        message,
        provider=NAME,
        status=response.status,
        code=code,
        request_id=_first(body, "request_id") or response.headers.get("x-request-id", ""),
        details={name: value for name, value in details.items() if value},
    )
    if isinstance(failure, PermissionDeniedError):
        found = _ACTION.search(" ".join([*(error.error_param or ()), message]))
        failure.action = found[1] if found else ""
    return failure


def _class_for(code: str, status: int) -> type[ApiError]:
    if code in _CODES:
        return _CODES[code]
    if status == 401 and code.startswith("SMS."):
        # The service answers 401 for things that no login mends.
        return InvalidRequestError
    return error_class_for(status)


def _error_object(response: Response) -> Mapping[str, Any]:
    """Find the object that describes the error: the gateway's, the service's or the identity service's."""
    try:
        body = response.json()
    except MalformedResponseError:
        return {}
    if not isinstance(body, dict):
        return {}
    places = [place for place in (body, body.get("error"), *body.values()) if isinstance(place, dict)]
    return next((place for place in places if _first(place, *_CODE_NAMES, *_MESSAGE_NAMES)), body)


def _first(body: Mapping[str, Any], *names: str) -> str:
    for name in names:
        value = body.get(name)
        if isinstance(value, str | int) and value != "":
            return str(value)
    return ""
