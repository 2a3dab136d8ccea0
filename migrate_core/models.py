"""The neutral model: plain values that mean the same for every vendor.

Sizes are integer bytes and times timezone-aware UTC. ``None`` means that the vendor does not say, ``()`` that there
are none. Enums are open: a vendor's value that no version of ours knows becomes UNKNOWN and stays readable in
``vendor_state``.
"""

from __future__ import annotations

import enum
import functools
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NoReturn, TypeVar

import attrs

from migrate_core import _json
from migrate_core.errors import MalformedResponseError

C = TypeVar("C", bound=type)


class Stage(enum.Enum):
    """Where a source stands on its way to the target."""

    DISCOVERED = "discovered"
    NOT_READY = "not_ready"
    READY = "ready"
    SEEDING = "seeding"
    REPLICATING = "replicating"
    PAUSED = "paused"
    TESTING = "testing"
    CUTTING_OVER = "cutting_over"
    CUT_OVER = "cut_over"
    FINALIZED = "finalized"
    DELETING = "deleting"
    ERROR = "error"
    UNKNOWN = "unknown"


class OsFamily(enum.Enum):
    """Family of an operating system."""

    LINUX = "linux"
    WINDOWS = "windows"
    OTHER = "other"
    UNKNOWN = "unknown"


class Firmware(enum.Enum):
    """How a machine boots."""

    BIOS = "bios"
    UEFI = "uefi"
    UNKNOWN = "unknown"


class CheckResult(enum.Enum):
    """Verdict of one readiness check."""

    OK = "ok"
    WARN = "warn"
    ERROR = "error"
    PENDING = "pending"
    UNKNOWN = "unknown"


class ReplicationState(enum.Enum):
    """What the relation from source to target is doing."""

    NONE = "none"
    INITIAL = "initial"
    CONTINUOUS = "continuous"
    PERIODIC = "periodic"
    PAUSED = "paused"
    STALLED = "stalled"
    DISCONNECTED = "disconnected"
    UNKNOWN = "unknown"


class PairingState(enum.Enum):
    """Health of the trust between two sites."""

    PAIRING = "pairing"
    PAIRED = "paired"
    UNPAIRING = "unpairing"
    DISCONNECTED = "disconnected"
    ERROR = "error"
    UNKNOWN = "unknown"


class ReadOnlyDict(dict[str, Any]):
    """A dict that refuses changes; it prints, compares, pickles and serialises like one."""

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: the payload is what the vendor said."""
        raise TypeError("this payload is read-only; copy it with dict() to change it")

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return (ReadOnlyDict, (dict(self),))


_PRIVATE_KEYS = r"passw|secret|token|credential|private_?key|passphrase"  # compiled when it is used first


def read_only(payload: Any) -> Any:
    """Copy a JSON value so that nobody can change it and no secret is in it.

    Args:
        payload: any JSON value.

    Returns:
        The same value with read-only dicts, tuples for lists, and ``"***"`` for what a key marks as a secret.
    """
    if isinstance(payload, dict | Mapping):  # most are dicts, which are told fast
        return ReadOnlyDict(
            {
                str(key): "***" if value and _is_secret(key) else value if type(value) in _PLAIN else read_only(value)
                for key, value in payload.items()
            }
        )
    if isinstance(payload, list | tuple):
        return tuple([item if type(item) in _PLAIN else read_only(item) for item in payload])
    return payload


_PLAIN = frozenset({str, int, float, bool, type(None)})


@functools.lru_cache(4096)
def _is_secret(key: Any) -> bool:
    """Tell whether a key marks a secret; a vendor's keys are few, and come with every answer."""
    return re.search(_PRIVATE_KEYS, str(key), re.IGNORECASE) is not None


class Unread:
    """A vendor's answer that nobody has asked for yet: most never do, so it is neither parsed nor copied before.

    Args:
        payload: the answer, parsed or as it came.
    """

    __slots__ = ("_payload",)

    def __init__(self, payload: bytes | Mapping[str, Any]) -> None:
        self._payload = payload

    def read(self) -> ReadOnlyDict:
        """Give it read-only, without its secrets.

        Raises:
            MalformedResponseError: it is nested too deeply to be an answer that anybody meant.
        """
        try:
            payload = _json.loads(self._payload) if isinstance(self._payload, bytes) else self._payload
            return ReadOnlyDict(read_only(payload))
        except RecursionError:
            raise MalformedResponseError("the answer is nested too deeply") from None


class _Raw:
    """The attribute ``raw`` of a model: what is `Unread` is read when somebody looks, pickles, copies or prints it."""

    def __init__(self, slot: Any) -> None:
        self._slot = slot

    def __get__(self, model: Any, owner: type) -> Any:
        if model is None:
            return self
        value = self._slot.__get__(model, owner)
        if type(value) is Unread:
            value = value.read()
            self._slot.__set__(model, value)
        return value

    def __set__(self, model: Any, value: Any) -> None:
        self._slot.__set__(model, value)


def read_when_asked(cls: C) -> C:
    """Let the attribute ``raw`` of a slotted class be read when somebody asks for it."""
    cls.raw = _Raw(cls.raw)  # type: ignore[attr-defined]
    return cls


def raw_field() -> Any:
    """Declare the attribute ``raw``; it is in no repr and in no comparison."""
    return attrs.field(factory=ReadOnlyDict, repr=False, eq=False)


@attrs.frozen(kw_only=True)
class Disk:
    """A disk of a source."""

    name: str
    size_bytes: int | None = None
    used_bytes: int | None = None
    is_boot: bool | None = None


@attrs.frozen(kw_only=True)
class Nic:
    """A network interface of a source; ``mac`` is opaque, since some vendors report a hash."""

    name: str = ""
    mac: str | None = None
    addresses: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Check:
    """One check: of a source's readiness, or of a connection."""

    name: str
    result: CheckResult = CheckResult.UNKNOWN
    code: str = ""
    message: str = ""


@attrs.frozen(kw_only=True)
class SourceFacts:
    """What is known of a machine."""

    hostname: str | None = None
    os_family: OsFamily = OsFamily.UNKNOWN
    os_name: str | None = None
    architecture: str | None = None
    firmware: Firmware = Firmware.UNKNOWN
    cpu_count: int | None = None
    memory_bytes: int | None = None
    disks: tuple[Disk, ...] = ()
    nics: tuple[Nic, ...] = ()


@attrs.frozen(kw_only=True)
class Replication:
    """The durable relation that moves a source's data; its id is what unlock takes."""

    id: str
    state: ReplicationState = ReplicationState.UNKNOWN
    total_bytes: int | None = None
    copied_bytes: int | None = None
    percent: float | None = None
    rate_bytes_per_s: float | None = None
    eta: timedelta | None = None


@attrs.frozen(kw_only=True)
class Target:
    """The machine that a replication writes to."""

    id: str | None = None
    name: str | None = None
    region: str | None = None
    locked: bool | None = None


@read_when_asked
@attrs.frozen(kw_only=True)
class SourceServer:
    """A machine to be moved, as its vendor describes it.

    Attributes:
        vendor_state: the vendor's own word or words for ``stage``.
        raw: the vendor's answer, read-only, secrets redacted; empty with ``keep_raw=False``.
    """

    id: str
    provider: str
    name: str = ""
    stage: Stage = Stage.UNKNOWN
    vendor_state: str = ""
    facts: SourceFacts = SourceFacts()
    checks: tuple[Check, ...] = ()
    replication: Replication | None = None
    target: Target | None = None
    connected: bool | None = None
    registered_at: datetime | None = None
    raw: Mapping[str, Any] = raw_field()


@attrs.frozen(kw_only=True)
class SourceSpec:
    """A machine to be registered.

    Attributes:
        external_id: the machine's id where it runs now.
        details: the vendor's own document, or the JSON object of one; facts fill what it leaves out.
        options: options of the provider's register operation.
    """

    name: str
    facts: SourceFacts = SourceFacts()
    external_id: str | None = None
    details: Any = None
    options: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Site:
    """One end of a pairing."""

    id: str | None = None
    name: str | None = None
    url: str | None = None
    kind: str = ""


@read_when_asked
@attrs.frozen(kw_only=True)
class Pairing:
    """The trust between two sites."""

    id: str
    state: PairingState = PairingState.UNKNOWN
    local: Site = Site()
    remote: Site = Site()
    raw: Mapping[str, Any] = raw_field()


@attrs.frozen(kw_only=True)
class PairingSpec:
    """A pairing to be made, seen from the site that the client is connected to.

    Attributes:
        details: the vendor's own specification, or the JSON object of one; the other attributes fill what it leaves
            out.
    """

    remote_url: str
    remote_username: str
    remote_password: str = attrs.field(repr=False)
    details: Any = None
