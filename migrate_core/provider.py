"""The seam: all that a plug-in imports.

A provider is written once and does no I/O. Each operation is a generator, a `Flow`: it yields a `Request`, is sent the
`Response`, and returns a neutral value. An answer with an error status is turned into the provider's own error and
thrown in at the ``yield``, so that a flow can catch what it expects::

    def describe_source(self, source_id: str) -> Flow[SourceServer]:
        response = yield Request(method="GET", path=url_path("v3", "sources", source_id), repeatable=True)
        return source_from_payload(response.json_object())

Authentication, retries, deadlines and polling are the engine's; a flow never sees them.
"""

from __future__ import annotations

import abc
import enum
import re
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, ClassVar, Generic, Literal, TypeAlias, TypeVar
from urllib.parse import quote, urlsplit

import attrs

from migrate_core import _json
from migrate_core.errors import (
    ApiError,
    ConfigurationError,
    InvalidArgumentError,
    MalformedResponseError,
    UnsupportedOperationError,
)
from migrate_core.models import (
    Check,
    Pairing,
    PairingSpec,
    ReadOnlyDict,
    SourceServer,
    SourceSpec,
    Unread,
    raw_field,
    read_when_asked,
)
from migrate_core.operations import Capability, Operation, Support

__all__ = [
    "CONTRACT",
    "BaseProvider",
    "Capability",
    "CredentialsRenewed",
    "Flow",
    "Operation",
    "Page",
    "Request",
    "Response",
    "Settings",
    "Support",
    "TaskFailure",
    "TaskInfo",
    "TaskStatus",
    "json_body",
    "origin",
    "setting",
    "url_path",
]

T = TypeVar("T")
N = TypeVar("N", int, float)

CONTRACT = 3
"""The newest contract of this seam; plug-ins written for this or an older one are driven.

1: the seam as it began. 2: `BaseProvider.load_credentials`. 3: `BaseProvider.find_registered`.
"""

_NO_RAW = ReadOnlyDict()

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ORDINARY_ID = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9_.~-]*")
_PATH = re.compile(r"/(?!/)[^?#\\\s\x00-\x1f\x7f]*")
_LONGEST_ID = 1024
_KIND = re.compile(r"no content type|[a-z]+/[\w.+-]{1,40}(?:; *charset=[\w-]{1,20})?\Z", re.IGNORECASE)


def url_path(*segments: str) -> str:
    """Build a path, each segment percent-encoded whole, so that no id can reach another resource.

    Args:
        segments: the parts between the slashes, as plain text.

    Returns:
        The path, such as ``/v3/sources/a%2Fb``.

    Raises:
        InvalidArgumentError: a segment is empty, ``.``, ``..``, too long, not text, or has control characters.
    """
    return "".join(f"/{_segment(segment)}" for segment in segments)


def _segment(segment: str) -> str:
    if not isinstance(segment, str):
        raise InvalidArgumentError(f"an id is text, not {type(segment).__name__}")
    if _ORDINARY_ID.fullmatch(segment) and len(segment) <= _LONGEST_ID:
        return segment
    if segment in ("", ".", "..") or len(segment) > _LONGEST_ID or _CONTROL.search(segment):
        raise InvalidArgumentError(
            f"{segment[:64]!r} cannot be an id: an id is not empty, '.' or '..', has no control characters "
            f"and at most {_LONGEST_ID} characters"
        )
    try:
        return quote(segment, safe="")
    except UnicodeEncodeError:
        raise InvalidArgumentError(f"{segment[:64]!r} cannot be an id: it is not valid Unicode text") from None


def json_body(value: Any) -> bytes:
    """Encode a request body, once: what is signed is what is sent.

    Raises:
        InvalidArgumentError: JSON has no form for `value`.
    """
    try:
        return _json.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        # Not `from error`: its text may hold a part of the body.
        raise InvalidArgumentError(f"the request cannot be encoded as JSON: {type(error).__name__}") from None


def _pairs(query: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(query)


def _plain_path(_: Any, __: Any, path: str) -> None:
    plain = path.isascii() and _PATH.fullmatch(path)
    if not plain or ("/." in path and not {".", ".."}.isdisjoint(path.split("/"))):
        raise InvalidArgumentError(f"{path[:64]!r} is no plain absolute path; build it with url_path()")


def _plain_headers(_: Any, __: Any, headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        text = name + value
        if not text.isascii() or _CONTROL.search(text):
            raise InvalidArgumentError(f"header {name[:64]!r} would carry characters that no header may")


@attrs.frozen(kw_only=True)
class Request:
    """An HTTP request, without host and credentials, which the engine adds.

    Attributes:
        method: upper-case HTTP method.
        path: encoded absolute path; build it with `url_path`.
        query: decoded names and values, in the order to be sent.
        headers: headers of this request; their values stay out of the repr.
        body: what is sent, already encoded.
        repeatable: whether sending it twice gives the vendor's same result; only then is it sent again after an
            answer was lost.
        endpoint: which of the provider's endpoints it goes to.
        renew: what happens when the vendor refuses the credentials. ``repeat``: log in, send it once more.
            ``restart``: log in, then throw `CredentialsRenewed` into the flow. ``never``: throw the error.
        secrets: texts in the body that no error may repeat, even if the vendor's answer does. The secret settings
            and the headers are taken care of.
    """

    method: str
    path: str = attrs.field(validator=_plain_path)
    query: tuple[tuple[str, str], ...] = attrs.field(default=(), converter=_pairs)
    headers: Mapping[str, str] = attrs.field(
        factory=dict, validator=_plain_headers, repr=lambda headers: f"<{', '.join(headers)}>"
    )
    body: bytes = attrs.field(default=b"", repr=lambda body: f"<{len(body)} bytes>")
    repeatable: bool
    endpoint: str = "main"
    renew: Literal["repeat", "restart", "never"] = "repeat"
    secrets: tuple[str, ...] = attrs.field(default=(), repr=False)

    def with_headers(self, headers: Mapping[str, str]) -> Request:
        """Give the same request with more headers; those given win over its own of the same name."""
        return Request(  # and not attrs.evolve(), which takes twice as long: this happens in each call
            method=self.method,
            path=self.path,
            query=self.query,
            headers={**self.headers, **headers},
            body=self.body,
            repeatable=self.repeatable,
            endpoint=self.endpoint,
            renew=self.renew,
            secrets=self.secrets,
        )

    @property
    def target(self) -> str:
        """The path and the encoded query, as they stand in the request line."""
        if not self.query:
            return self.path
        pairs = (f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in self.query)
        return f"{self.path}?{'&'.join(pairs)}"


@attrs.frozen(kw_only=True)
class Response:
    """An HTTP answer.

    Attributes:
        status: HTTP status.
        headers: headers with lower-case names.
        body: the decoded body.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=lambda headers: f"<{', '.join(headers)}>")
    body: bytes = attrs.field(default=b"", repr=lambda body: f"<{len(body)} bytes>")

    def expect(self, *statuses: int) -> Response:
        """Return the answer itself if it has one of `statuses`.

        Raises:
            MalformedResponseError: it has another one.
        """
        if self.status not in statuses:
            wanted = " or ".join(map(str, statuses))
            raise MalformedResponseError(f"the answer has status {self.status}, documented is {wanted}")
        return self

    def json(self) -> Any:
        """Decode the body.

        Raises:
            MalformedResponseError: it is no JSON, as when a proxy answers with a page of its own, or is nested deeper
                than 100 levels.
        """
        with suppress(ValueError, RecursionError):  # which is no cause, since it keeps the answer
            return _json.loads(self.body)
        given = self.headers.get("content-type", "no content type")
        kind = given if _KIND.match(given) else "odd content type"
        raise MalformedResponseError(f"the answer ({self.status}, {kind}, {len(self.body)} bytes) is no readable JSON")

    def json_object(self) -> Mapping[str, Any]:
        """Decode the body, which must be a JSON object.

        Raises:
            MalformedResponseError: it is no JSON object.
        """
        value = self.json()
        if not isinstance(value, dict):
            raise MalformedResponseError(f"the answer is a JSON {type(value).__name__}, not an object")
        return value


Flow: TypeAlias = Generator[Request, Response, T]


class CredentialsRenewed(Exception):
    """Thrown into a flow at a request with ``renew="restart"``: there is a new login, begin again."""


@attrs.frozen
class Page(Generic[T]):
    """One page of a list.

    Attributes:
        items: what is on it.
        next: the cursor of the next page, ``None`` on the last.
    """

    items: tuple[T, ...]
    next: str | None = None


class TaskStatus(enum.Enum):
    """Status of a task; UNKNOWN is a vendor's word that no version of ours knows, and is not terminal."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCESS = "success"
    ERROR = "error"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"

    @property
    def terminal(self) -> bool:
        """Whether nothing comes after it."""
        return self in (TaskStatus.SUCCESS, TaskStatus.ERROR, TaskStatus.CANCELLED)


@attrs.frozen
class TaskFailure:
    """Why a task failed, in the vendor's words."""

    message: str
    details: str = ""
    code: str = ""


@read_when_asked
@attrs.frozen(kw_only=True)
class TaskInfo:
    """What is known of one asynchronous operation at the vendor.

    Attributes:
        id: the vendor's id; ``""`` when the vendor answered at once and made no task.
        operation: the neutral operation that it carries out, if known.
        progress: percent, 0 to 100.
        result: the result of a successful task: for register the source id, else what the vendor gives.
        entity_id: id of the object that the task works on.
        needs_input: whether it waits for a person.
        cancel_requested: whether somebody asked for its end.
    """

    id: str
    operation: Operation | None = None
    status: TaskStatus = TaskStatus.UNKNOWN
    progress: float | None = None
    result: Any = None
    error: TaskFailure | None = None
    entity_id: str | None = None
    queued_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    needs_input: bool = False
    cancel_requested: bool = False
    raw: Mapping[str, Any] = raw_field()

    @classmethod
    def finished(cls, operation: Operation, *, entity_id: str | None = None, result: Any = None) -> TaskInfo:
        """Describe a change that was done when the vendor answered."""
        return cls(
            id="",
            operation=operation,
            status=TaskStatus.SUCCESS,
            progress=100.0,
            entity_id=entity_id,
            result=result,
        )


def setting(default: Any = None, *, doc: str, secret: bool = False, kind: str = "", converter: Any = None) -> Any:
    """Declare one setting of a provider.

    Args:
        default: its value when nobody gives one.
        doc: what it is for, in one sentence.
        secret: keeps it out of every repr.
        kind: the kind of credential that it belongs to. When a caller names settings of one kind, those of the
            other kinds are not taken from the environment.
        converter: makes a value of it; must take text, since the environment has nothing else. Its
            `ConfigurationError` says what is wrong, without the setting's name. Without one, the setting is a text.
    """
    metadata = {"doc": doc, "secret": secret, "kind": kind}
    convert = converter or _text

    def named(value: Any, field: Any) -> Any:
        try:
            return convert(value)
        except ConfigurationError as error:
            raise ConfigurationError(f"{field.name} {error}") from None

    return attrs.field(
        default=default, repr=not secret, converter=attrs.Converter(named, takes_field=True), metadata=metadata
    )


def _text(value: Any) -> Any:
    if value is not None and not isinstance(value, str):
        raise ConfigurationError(f"is a text, not {type(value).__name__}")
    return value


_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def _flag(value: bool | str) -> bool:
    if isinstance(value, bool):
        return value
    try:
        return _BOOLEANS[value.lower()]
    except (KeyError, AttributeError):
        raise ConfigurationError(f"is {value!r}, which is neither true nor false") from None


def _flag_or_path(value: bool | str) -> bool | str:
    return _BOOLEANS.get(value.lower(), value) if isinstance(value, str) else _flag(value)


def _seconds(value: float | str) -> float:
    return _above_nothing(value, float, "a number of seconds")


def _rate(value: float | str | None) -> float | None:
    return None if value is None else _above_nothing(value, float, "a number of requests per second")


def _byte_count(value: int | str) -> int:
    return _above_nothing(value, _whole, "a whole number of bytes")


def _whole(value: Any) -> int:
    if not isinstance(value, int | str) or isinstance(value, bool):
        raise TypeError
    return int(value)


def _above_nothing(value: Any, read: Callable[[Any], N], what: str) -> N:
    """Read a finite number above 0."""
    with suppress(TypeError, ValueError):
        if 0 < (number := read(value)) < float("inf"):
            return number
    raise ConfigurationError(f"is {what} above 0, not {value!r:.64}")


def _raise_or_reconcile(value: str) -> str:
    if value not in ("raise", "reconcile"):
        raise ConfigurationError(f"is 'raise' or 'reconcile', not {value!r}")
    return value


def _fingerprint(value: str | None) -> str | None:
    if not value:
        return None
    digits = _text(value).replace(":", "").replace(" ", "").lower().removeprefix("sha256")
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise ConfigurationError("is a SHA-256 fingerprint: 64 hexadecimal digits, colons allowed")
    return str(digits)


def _transport(value: Any) -> Any:
    if not isinstance(value, str) and not (hasattr(value, "open") and hasattr(value, "open_async")):
        raise ConfigurationError(f"is a name or a transport factory, not {type(value).__name__}")
    return value


@attrs.frozen(kw_only=True)
class Settings:
    """Settings that every provider has; a provider's own class inherits from it."""

    verify: bool | str = setting(
        True, doc="Verify TLS certificates: true, false, or the path of a CA bundle.", converter=_flag_or_path
    )
    thumbprint: str | None = setting(
        doc="SHA-256 fingerprint of the server's certificate, accepted in place of a CA.", converter=_fingerprint
    )
    timeout: float = setting(30.0, doc="Seconds allowed for one call, retries included.", converter=_seconds)
    transport: Any = setting(
        "httpx", doc="Name of an installed transport, or a transport factory.", converter=_transport
    )
    trust_env: bool = setting(True, doc="Honour the proxy variables of the environment.", converter=_flag)
    rate_limit: float | None = setting(
        doc="Requests per second at most, evenly spaced; without it, as many as are asked for.", converter=_rate
    )
    keep_raw: bool = setting(True, doc="Keep the vendor's answer in `raw`.", converter=_flag)
    on_ambiguous: Literal["raise", "reconcile"] = setting(
        "raise",
        doc="What to do when nobody knows whether a registration happened: raise, or reconcile by looking for it.",
        converter=_raise_or_reconcile,
    )
    max_body_bytes: int = setting(
        32 * 1024 * 1024,
        doc="Bytes that an answer may have at most, both as it comes and unpacked; a larger one is refused.",
        converter=_byte_count,
    )


LOOPBACK = ("127.0.0.1", "localhost", "::1")


def origin(endpoint: str, *, verify: bool | str = True) -> str:
    """Check an endpoint setting.

    Args:
        endpoint: scheme, host and perhaps a port; without a scheme, ``https`` is meant.
        verify: the setting of that name; plain HTTP to another machine needs ``False``.

    Returns:
        The origin, without a slash at its end and without the scheme's default port.

    Raises:
        ConfigurationError: it is no origin, or it would send credentials unprotected over a network.
    """
    if "://" not in endpoint:
        endpoint = f"https://{endpoint}"
    try:
        parts = urlsplit(endpoint)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    unusable = not host or _CONTROL.search(endpoint) or re.search(r"[\s\\%]", host)
    if unusable or parts.scheme not in ("https", "http") or parts.path not in ("", "/"):
        raise ConfigurationError("an endpoint is scheme, host and perhaps a port, such as https://host:8443")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigurationError("an endpoint holds no user, password, query or fragment")
    if parts.scheme == "http" and host not in LOOPBACK and verify is not False:
        raise ConfigurationError(
            f"{host} would receive credentials over plain HTTP; use https, or verify=False if you mean it"
        )
    name = f"[{host}]" if host and ":" in host else host
    default = {"https": 443, "http": 80}[parts.scheme]
    return f"{parts.scheme}://{name}" + (f":{port}" if port not in (None, default) else "")


class BaseProvider(abc.ABC):
    """What a plug-in inherits from.

    A plug-in declares the class variables, implements the two abstract methods, and overrides the operations that it
    declares FULL. Every operation has a default that raises, so that a new operation never breaks an old plug-in.

    Attributes:
        name: name of the provider, in snake_case; its entry point has the same.
        contract: the contract of this seam that the plug-in needs: the lowest that has all it uses. Within a major
            release the seam only grows, by things that have a default, and each growth has a number (`CONTRACT`); so an
            old plug-in is driven by every later release, and one that needs a newer seam is refused when it is loaded.
        settings_type: its settings.
        capabilities: what it says of each operation; one that is missing is NOT_IMPLEMENTED.
        settle_seconds: how long after a change it can be seen by all who look; for `find_registered`.
        settings: the settings of this connection.
    """

    name: ClassVar[str]
    contract: ClassVar[int] = 1
    settings_type: ClassVar[type[Settings]] = Settings
    capabilities: ClassVar[Mapping[Operation, Capability]]
    settle_seconds: ClassVar[float] = 2.0

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    @classmethod
    def vendor_settings(cls, environ: Mapping[str, str]) -> Mapping[str, str]:
        """Find settings where the vendor's own tools keep them, so that their users need no others.

        Asked while connecting, and never inside a flow, when no place of ours has credentials or when a profile refers
        to it; so it may read files.

        Args:
            environ: the environment.

        Returns:
            Settings by name; a complete set of credentials, or none.

        Raises:
            ConfigurationError: a file of the vendor's is there, but not usable.
        """
        return {}

    @abc.abstractmethod
    def endpoints(self) -> Mapping[str, str]:
        """Name the only origins that a request may go to.

        Returns:
            Origins by name, as `origin` gives them; ``main`` must be among them.
        """

    @abc.abstractmethod
    def error_from(self, response: Response) -> ApiError:
        """Make an error of an answer with an error status: by the vendor's code first, by the status second.

        Return an `AuthenticationError` only where a new login helps.
        """

    def has_credentials(self, now: datetime) -> bool:
        """Tell whether there is a login that holds at `now`; asked before each call."""
        return True

    def can_renew(self) -> bool:
        """Tell whether `refresh_credentials` can help: not with a given token or a signing key."""
        return False

    def load_credentials(self) -> None:  # noqa: B027  # most have nothing to load
        """Get credentials where only code that blocks can: from files, a process, the vendor's own library.

        Not a flow, and the only method that may do I/O on a connection. The engine calls it before
        `refresh_credentials`, once for all callers that wait; under asyncio in a worker thread. A plug-in that needs
        it says ``contract = 2``.

        Raises:
            ConfigurationError: there are none.
        """

    def refresh_credentials(self) -> Flow[None]:
        """Log in and remember the login; the engine runs it once for all callers that wait for it."""
        yield from ()

    def authenticate(self, request: Request, *, origin: str, now: datetime) -> Mapping[str, str]:
        """Give the headers, a token or a signature, that prove who sends `request`.

        Args:
            request: the request as it will be sent.
            origin: where it goes.
            now: the time to sign with, in UTC.
        """
        return {}

    def check_logins(self) -> Flow[tuple[Check, ...]]:
        """Try the logins that no list needs, such as one at another site; change nothing.

        Returns:
            A check for each; none where the first login is all there is.
        """
        yield from ()
        return ()

    def close_session(self) -> Flow[None]:
        """Log out; the engine allows 2 s for it and hides its errors."""
        yield from ()

    def raw(self, payload: Any) -> Any:
        """Give an answer as a model's ``raw``, where it is read-only, redacted, and empty with ``keep_raw=False``.

        Args:
            payload: the whole answer, as a `Response`, which takes the least memory; or the object in it that the model
                is of, parsed.

        Returns:
            What to pass as ``raw``; it is read when somebody asks the model for it.
        """
        if not self.settings.keep_raw:
            return _NO_RAW
        return Unread(payload.body if isinstance(payload, Response) else payload)

    def register_source(self, spec: SourceSpec) -> Flow[TaskInfo]:
        """Register a machine; the task's result is the new source's id."""
        raise UnsupportedOperationError(self.name, Operation.REGISTER_SOURCE)

    def find_registered(self, spec: SourceSpec) -> Flow[str | None]:
        """Look for a machine as `register_source` would have registered it; change nothing.

        The engine asks where ``on_ambiguous`` is ``"reconcile"``: before it registers the machine, and
        `settle_seconds` after an answer to that was lost. A plug-in that can tell says ``contract = 3``.

        Returns:
            The source's id; ``None`` if it is not there.

        Raises:
            OutcomeUnknownError: several look like it.
        """
        raise UnsupportedOperationError(self.name, Operation.REGISTER_SOURCE)

    def describe_source(self, source_id: str) -> Flow[SourceServer]:
        """Describe one source."""
        raise UnsupportedOperationError(self.name, Operation.DESCRIBE_SOURCE)

    def list_sources(self, cursor: str | None) -> Flow[Page[SourceServer]]:
        """Give the page of sources that `cursor` names, the first for ``None``."""
        raise UnsupportedOperationError(self.name, Operation.LIST_SOURCES)

    def delete_source(self, source_id: str) -> Flow[TaskInfo]:
        """Delete the record of a source."""
        raise UnsupportedOperationError(self.name, Operation.DELETE_SOURCE)

    def unlock_target(self, replication_id: str) -> Flow[TaskInfo]:
        """Unlock the target server of a replication."""
        raise UnsupportedOperationError(self.name, Operation.UNLOCK_TARGET)

    def create_pairing(self, spec: PairingSpec) -> Flow[TaskInfo]:
        """Pair with another site."""
        raise UnsupportedOperationError(self.name, Operation.CREATE_PAIRING)

    def describe_pairing(self, pairing_id: str) -> Flow[Pairing]:
        """Describe one pairing."""
        raise UnsupportedOperationError(self.name, Operation.DESCRIBE_PAIRING)

    def list_pairings(self, cursor: str | None) -> Flow[Page[Pairing]]:
        """Give the page of pairings that `cursor` names, the first for ``None``."""
        raise UnsupportedOperationError(self.name, Operation.LIST_PAIRINGS)

    def delete_pairing(self, pairing_id: str) -> Flow[TaskInfo]:
        """Break a pairing."""
        raise UnsupportedOperationError(self.name, Operation.DELETE_PAIRING)

    def get_task(self, last: TaskInfo) -> Flow[TaskInfo]:
        """Look at a task again.

        Args:
            last: what was known of it; of a task that is resumed by its vendor id alone, only the id.
        """
        raise UnsupportedOperationError(self.name, Operation.GET_TASK)

    def list_tasks(self, cursor: str | None) -> Flow[Page[TaskInfo]]:
        """Give the page of tasks that `cursor` names, the first for ``None``."""
        raise UnsupportedOperationError(self.name, Operation.LIST_TASKS)

    def cancel_task(self, last: TaskInfo) -> Flow[TaskInfo]:
        """Ask the vendor to end a task."""
        raise UnsupportedOperationError(self.name, Operation.CANCEL_TASK)
