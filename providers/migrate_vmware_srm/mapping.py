"""Between the vendor's objects and the neutral model.

The tables stand in ``docs/vendors/vmware-srm.md``, section "Mapping".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import attrs

from migrate_core.documents import decode, faults_of
from migrate_core.errors import ApiError, Fault, InvalidDocumentError, MalformedResponseError, error_class_for
from migrate_core.models import Pairing, PairingSpec, PairingState, Site
from migrate_core.operations import Operation
from migrate_core.provider import Page, Response, TaskFailure, TaskInfo, TaskStatus
from migrate_vmware_srm.models import (
    PairPscInfo,
    ResponseError,
    ServerInfo,
    SrmPairing,
    SrmPairingSpec,
    SrmTask,
)

NAME = "vmware_srm"

_STATUSES = {
    "QUEUED": TaskStatus.QUEUED,
    "RUNNING": TaskStatus.RUNNING,
    "SUCCESS": TaskStatus.SUCCESS,
    "ERROR": TaskStatus.ERROR,
    "CANCELLED": TaskStatus.CANCELLED,
}


def task_from(
    payload: Mapping[str, Any],
    *,
    raw: Any,
    operation: Operation | None = None,
    entity_id: str | None = None,
) -> TaskInfo:
    """Read a task.

    Args:
        payload: the vendor's Task.
        raw: what the value keeps of it.
        operation: what the task is for, where we know it.
        entity_id: what it works on, where we know it better than the vendor tells.

    Raises:
        MalformedResponseError: it has no id.
    """
    task = decode(SrmTask, payload)
    if not task.id:
        raise MalformedResponseError("the task has no id", path="id")
    status = _STATUSES.get(task.status or "", TaskStatus.UNKNOWN)
    return TaskInfo(
        id=task.id,
        operation=operation,
        status=status,
        progress=None if task.progress is None else float(min(max(task.progress, 0), 100)),
        result=task.result,
        error=_failure(task) if status is TaskStatus.ERROR else None,
        entity_id=entity_id or task.entity or None,
        queued_at=moment(task.queued_time),
        started_at=moment(task.start_time),
        ended_at=moment(task.complete_time),
        raw=raw,
    )


def _failure(task: SrmTask) -> TaskFailure:
    if task.error is None:
        return TaskFailure("the server gives no reason")
    return TaskFailure(task.error.message or "the server gives no reason", task.error.details or "")


def moment(value: Any) -> datetime | None:
    """Read a time: epoch milliseconds, as a number or as text, or the ISO 8601 text of version 1.0."""
    if isinstance(value, str):
        try:
            value = int(value)
        except ValueError:
            return _iso(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        return None
    try:
        return datetime.fromtimestamp(value / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _iso(text: str) -> datetime | None:
    try:
        parsed = datetime.fromisoformat(text)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def pairing_from(payload: Mapping[str, Any], *, raw: Any) -> Pairing:
    """Read a pairing.

    Raises:
        MalformedResponseError: it has no id.
    """
    pairing = decode(SrmPairing, payload)
    if not pairing.pairing_id:
        raise MalformedResponseError("the pairing has no id", path="pairing_id")
    return Pairing(
        id=pairing.pairing_id,
        state=_state(pairing),
        local=_site(pairing.local_srm_server, pairing.local_vc_server),
        remote=_site(pairing.remote_srm_server, pairing.remote_vc_server),
        raw=raw,
    )


def _state(pairing: SrmPairing) -> PairingState:
    """Derive the health of a pairing, which has no status of its own, from that of its four servers."""
    local = _statuses(pairing.local_vc_server, pairing.local_srm_server)
    remote = _statuses(pairing.remote_vc_server, pairing.remote_srm_server)
    if "ERROR" in local:
        return PairingState.ERROR
    if "ERROR" in remote:
        return PairingState.DISCONNECTED
    return PairingState.PAIRED if remote & {"OK", "WARNING"} else PairingState.UNKNOWN


def _statuses(*servers: ServerInfo | None) -> set[str | None]:
    return {server.server_status for server in servers if server}


def _site(srm: ServerInfo | None, vcenter: ServerInfo | None) -> Site:
    """Take the SRM server as the site, the vCenter where that is all there is."""
    kind, server = ("vcenter", vcenter) if srm is None and vcenter else ("srm", srm)
    if server is None:
        return Site()
    return Site(id=server.id, name=server.name, url=server.url, kind=kind)


def page_from(payload: Mapping[str, Any], offset: int) -> tuple[Page[Mapping[str, Any]], int | None]:
    """Read the envelope of a list; links in it are never followed.

    Returns:
        The items, and the offset of the next page, ``None`` on the last.

    Raises:
        MalformedResponseError: it has no list of objects.
    """
    items = payload.get("list")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise MalformedResponseError("is no list of objects", path="list")
    following = offset + len(items)
    return Page(tuple(items)), following if items and _more(payload.get("_meta"), following) else None


def _more(meta: Any, following: int) -> bool:
    """Tell whether items follow: by the total, or where that cannot be read, by the link to a next page."""
    if not isinstance(meta, dict):
        return False
    total = meta.get("total")
    if isinstance(total, str) and total.isascii() and total.isdigit():
        total = int(total[:20])
    if isinstance(total, int) and not isinstance(total, bool):
        return following < total
    links = meta.get("links")
    following_page = links.get("next") if isinstance(links, dict) else None
    return bool(following_page.get("href") if isinstance(following_page, dict) else following_page)


def spec_for(spec: PairingSpec) -> SrmPairingSpec:
    """Make the vendor's specification: the caller's details, completed from the neutral ones.

    Raises:
        InvalidDocumentError: something is missing or wrong; all faults are listed.
    """
    details = spec.details if spec.details is not None else SrmPairingSpec()
    faults: list[Fault] = []
    if isinstance(details, Mapping):
        details = decode(SrmPairingSpec, details, faults)
    if not isinstance(details, SrmPairingSpec):
        wanted = "an SrmPairingSpec or its JSON object"
        raise InvalidDocumentError([Fault("details", f"is {type(details).__name__}, not {wanted}")])
    given = details.pair_psc_info if details.pair_psc_info is not None else PairPscInfo()
    if isinstance(given, PairPscInfo):
        details = attrs.evolve(details, pair_psc_info=_peer(spec, given))
    faults += faults_of(details)
    if (details.pair_srm_url is None) != (details.pair_srm_thumbprint is None):
        faults.append(Fault("pair_srm_url", "goes with pair_srm_thumbprint: set both or neither"))
    if faults:
        raise InvalidDocumentError(faults)
    return details


def _peer(spec: PairingSpec, details: PairPscInfo) -> PairPscInfo:
    host, port = _host_and_port(spec.remote_url)
    return PairPscInfo(
        url=host if details.url is None else details.url,
        port=port if details.port is None else details.port,
        thumbprint=details.thumbprint,
        username=details.username or spec.remote_username or None,
        password=details.password or spec.remote_password or None,
    )


def _host_and_port(url: str) -> tuple[str | None, int]:
    try:
        parts = urlsplit(url if "://" in url else f"//{url}")
        return parts.hostname, parts.port or 443
    except (ValueError, TypeError):
        return None, 443


def error_from(response: Response) -> ApiError:
    """Make an error of an answer, by its status: the vendor publishes no codes."""
    try:
        body = response.json()
    except MalformedResponseError:
        body = {}
    error = decode(ResponseError, body) if isinstance(body, dict) else ResponseError()
    return error_class_for(response.status)(
        error.message or _REASONS.get(response.status, f"answered {response.status} without a reason"),
        provider=NAME,
        status=response.status,
        code=error.error_code or "",
        request_id=error.op_id or "",
    )


_REASONS = {
    401: "not authenticated (the server gives no reason)",
    404: "there is no such object (the server gives no reason)",
}
