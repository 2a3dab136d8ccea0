"""The vendor's own objects, with the names and types of its pages.

They are listed in ``docs/vendors/vmware-srm.md``, section "Objects". Its ``Pairing`` and ``PairingSpec`` are called
`SrmPairing` and `SrmPairingSpec` here, to tell them from the neutral ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from migrate_core.documents import MAX32, MAX64, anything, decode, integer, many, one, text, texts
from migrate_core.errors import InvalidArgumentError
from migrate_core.models import Pairing
from migrate_core.provider import TaskInfo

__all__ = [
    "CertificateWarning",
    "PairPscInfo",
    "ResponseError",
    "ServerInfo",
    "SrmPairing",
    "SrmPairingSpec",
    "SrmTask",
    "SrmTaskError",
    "X509Certificate",
    "pairing_of",
    "task_of",
]

TASK_STATUSES = ("QUEUED", "RUNNING", "SUCCESS", "ERROR", "CANCELLED")
SERVER_STATUSES = ("OK", "WARNING", "ERROR")

_ANY_LENGTH = float("inf")
_MIN64 = -(2**63)


def _text(*, required: bool = False, values: tuple[str, ...] = (), nullable: bool = False) -> Any:
    """Declare a text; the vendor's pages give no lengths."""
    return text(_ANY_LENGTH, required=required, values=values, nullable=nullable)


@attrs.frozen(kw_only=True)
class SrmTaskError:
    """Why a task failed."""

    message: str | None = _text()
    details: str | None = _text()


@attrs.frozen(kw_only=True)
class SrmTask:
    """An asynchronous operation.

    Times are epoch milliseconds; version 1.0 of the API gave them as text, so they are kept as they come.
    """

    id: str | None = _text(required=True)
    status: str | None = _text(required=True, values=TASK_STATUSES)
    description: str | None = _text()
    description_id: str | None = _text()
    entity: str | None = _text()
    entity_name: str | None = _text()
    progress: int | None = integer(MAX32, -MAX32)
    queued_time: int | str | None = anything()
    start_time: int | str | None = anything()
    complete_time: int | str | None = anything()
    result: Any = anything()
    error: SrmTaskError | None = one(SrmTaskError)


@attrs.frozen(kw_only=True)
class ResponseError:
    """The body of an error answer; 401 and 404 have none."""

    error_code: str | None = _text()
    message: str | None = _text()
    op_id: str | None = _text()


@attrs.frozen(kw_only=True)
class X509Certificate:
    """A certificate; times are epoch milliseconds."""

    serial_number: str | None = _text()
    not_before: int | None = integer(MAX64, _MIN64)
    not_after: int | None = integer(MAX64, _MIN64)
    signature: str | None = _text()
    version: int | None = integer(MAX64, _MIN64)
    issuer_dn: str | None = _text()
    subject_dn: str | None = _text()
    sig_alg_name: str | None = _text()
    sig_alg_oid: str | None = _text()
    public_key: str | None = _text()
    public_key_format: str | None = _text()
    public_key_algorithm: str | None = _text()
    thumbprint: str | None = _text()
    certificate: str | None = _text()
    issuer_unique_id: Any = anything()
    subject_unique_id: Any = anything()
    key_usage: Any = anything()
    issuer_alternative_names: Any = anything()
    subject_alternative_names: Any = anything()
    extended_key_usage: tuple[str, ...] | None = texts(MAX32, MAX32)


@attrs.frozen(kw_only=True)
class CertificateWarning:
    """A certificate that a server does not trust."""

    server_guid: str | None = _text()
    server_url: str | None = _text()
    certificate: X509Certificate | None = one(X509Certificate)


@attrs.frozen(kw_only=True)
class ServerInfo:
    """A vCenter or SRM server of a pairing."""

    id: str | None = _text()
    url: str | None = _text()
    name: str | None = _text()
    server_status: str | None = _text(values=SERVER_STATUSES)
    version: str | None = _text()
    build_number: str | None = _text()
    certificates: tuple[X509Certificate, ...] | None = many(X509Certificate, MAX32)
    certificate_warnings: tuple[CertificateWarning, ...] | None = many(CertificateWarning, MAX32)


@attrs.frozen(kw_only=True)
class SrmPairing:
    """The trust between two sites. Without a login at the other site, the remote servers may be incomplete."""

    pairing_id: str | None = _text()
    local_vc_server: ServerInfo | None = one(ServerInfo)
    remote_vc_server: ServerInfo | None = one(ServerInfo)
    local_srm_server: ServerInfo | None = one(ServerInfo)
    remote_srm_server: ServerInfo | None = one(ServerInfo)


@attrs.frozen(kw_only=True)
class PairPscInfo:
    """The remote vCenter and the login there."""

    url: str | None = _text(required=True)
    port: int | None = integer(65535, 1, required=True)
    thumbprint: str | None = _text(required=True, nullable=True)
    username: str | None = _text(required=True)
    password: str | None = text(_ANY_LENGTH, required=True, secret=True)


@attrs.frozen(kw_only=True)
class SrmPairingSpec:
    """A pairing to be made. ``pair_srm_url`` and ``pair_srm_thumbprint`` go together, or are both left out."""

    pair_psc_info: PairPscInfo | None = one(PairPscInfo, required=True)
    pair_vc_guid: str | None = _text(required=True)
    pair_srm_url: str | None = _text()
    pair_srm_thumbprint: str | None = _text()


def task_of(info: TaskInfo) -> SrmTask:
    """Give the vendor's own object of a task.

    Raises:
        InvalidArgumentError: its ``raw`` was not kept.
    """
    return decode(SrmTask, _kept(info.raw))


def pairing_of(pairing: Pairing) -> SrmPairing:
    """Give the vendor's own object of a pairing.

    Raises:
        InvalidArgumentError: its ``raw`` was not kept (``keep_raw=False``).
    """
    return decode(SrmPairing, _kept(pairing.raw))


def _kept(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    if not raw:
        raise InvalidArgumentError("there is no raw payload; connect with keep_raw=True")
    return raw
