"""What only the command line prints; the rest of what it prints are the library's own objects."""

from __future__ import annotations

from typing import Any

import attrs

import migrate_core as mc

__all__ = [
    "CheckedRecord",
    "InstalledProviderRecord",
    "OperationRecord",
    "PlanRecord",
    "PlannedOrdersRecord",
    "ProfileRecord",
    "ProfileSettingRecord",
    "ProviderRecord",
    "RequestRecord",
    "SettingRecord",
    "WrittenProviderRecord",
]


@attrs.frozen(kw_only=True)
class RequestRecord:
    """A request that would be sent; it stays away with --dry-run."""

    method: str
    path: str
    body: Any


@attrs.frozen(kw_only=True)
class CheckedRecord:
    """The conformance suite's verdict on a provider, by one check: passed, failed or not applicable."""

    name: str
    verdict: str
    ways: int
    failed: int
    reason: str


@attrs.frozen(kw_only=True)
class InstalledProviderRecord:
    """A provider that is installed; ``install`` is the command for what it lacks."""

    name: str
    distribution: str
    release: str
    simulator: bool
    install: str | None = None


@attrs.frozen(kw_only=True)
class OperationRecord:
    """What a provider declares of one operation."""

    name: str
    support: mc.Support
    note: str
    options: tuple[str, ...]


@attrs.frozen(kw_only=True)
class SettingRecord:
    """A setting that a provider has."""

    name: str
    doc: str
    secret: bool
    default: Any
    variable: str


@attrs.frozen(kw_only=True)
class ProviderRecord:
    """What a provider declares."""

    name: str
    description: str
    contract: int
    operations: tuple[OperationRecord, ...]
    settings: tuple[SettingRecord, ...]


@attrs.frozen(kw_only=True)
class ProfileSettingRecord:
    """A setting of a profile; of a secret, where it is and never what it is."""

    name: str
    value: Any = None
    reference: str | None = None
    secret: bool = False


@attrs.frozen(kw_only=True)
class ProfileRecord:
    """A named connection."""

    name: str
    provider: str
    settings: tuple[ProfileSettingRecord, ...]


@attrs.frozen(kw_only=True)
class WrittenProviderRecord:
    """The distribution of a provider that was just written."""

    name: str
    distribution: str
    folder: str
    files: tuple[str, ...]


@attrs.frozen(kw_only=True)
class PlannedOrdersRecord:
    """How many orders of one kind a manifest has."""

    profile: str
    provider: str
    operation: mc.Operation
    count: int


@attrs.frozen(kw_only=True)
class PlanRecord:
    """What a manifest would do; the digest is the SHA-256 of its bytes."""

    manifest: str
    digest: str
    total: int
    orders: tuple[PlannedOrdersRecord, ...]
