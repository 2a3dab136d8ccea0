"""Every error that the library raises, in one tree.

::

    MigrateError
    ├── ConfigurationError
    │   ├── ProviderNotFoundError
    │   └── ProviderLoadError
    ├── ContractViolationError          a plug-in broke a rule of the seam (provider, operation, rule)
    ├── UnsupportedOperationError
    ├── UnsupportedOptionError
    ├── InvalidArgumentError            (also ValueError)
    │   └── InvalidDocumentError        (faults)
    ├── TransportError
    │   ├── RequestNotSentError         it never left: may be sent again
    │   ├── ResponseLostError           it left, the answer did not come
    │   └── DeadlineExceededError       (sent)
    ├── OutcomeUnknownError             a change was sent, its answer never came
    ├── MalformedResponseError          (path)
    ├── JournalError                    the journal of fleet runs cannot be read or written
    ├── ApiError                        (provider, operation, status, code, request_id, details, retry_after)
    │   ├── InvalidRequestError
    │   ├── AuthenticationError
    │   ├── PeerAuthenticationRequiredError
    │   ├── PermissionDeniedError       (action)
    │   ├── NotFoundError
    │   ├── OperationNotOfferedError    the service has no such call here
    │   ├── ConflictError
    │   ├── RateLimitedError
    │   ├── QuotaExceededError
    │   └── ServerError
    └── TaskError                       (info, token)
        ├── TaskFailedError
        ├── TaskCancelledError
        ├── TaskTimeoutError            (also TimeoutError)
        └── TaskNeedsInputError

Read attributes, not messages. All of them pickle, and none carries a secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs

if TYPE_CHECKING:
    from migrate_core.operations import Operation
    from migrate_core.provider import TaskInfo


class Attempt(NamedTuple):
    """One of the attempts of a request that failed in the end.

    Attributes:
        at: seconds since the call began.
        request: provider, method and path.
        failure: what it ended with, in words.
    """

    at: float
    request: str
    failure: str


class MigrateError(Exception):
    """Base of every error of this library.

    Attributes:
        attempts: how often the request was sent, each time with what came of it; the last one is this error. Empty for
            what is no failure of a request.
    """

    attempts: tuple[Attempt, ...] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.args, self.__dict__.copy()))


def _rebuild(cls: type[MigrateError], args: tuple[Any, ...], state: dict[str, Any]) -> MigrateError:
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(state)
    return error


class ConfigurationError(MigrateError):
    """A setting is missing, unknown or impossible."""


class ProviderNotFoundError(ConfigurationError):
    """No provider of that name is installed.

    Attributes:
        name: the name that was asked for.
        known: the names that exist.
    """

    def __init__(self, name: str, known: Sequence[str]) -> None:
        self.name = name
        self.known = tuple(known)
        super().__init__(f"no provider is called {name!r}; installed are: {', '.join(known) or 'none'}")


class ProviderLoadError(ConfigurationError):
    """A provider is installed but cannot be used; the cause says why."""


class ContractViolationError(MigrateError):
    """A plug-in broke a rule of the seam: a fault in its code, for its author.

    Attributes:
        provider: name of the provider.
        operation: what it was to do; ``None`` outside of an operation, as in a login.
        rule: the rule, and how it was broken; the cause has more, where there is one.
    """

    def __init__(self, provider: str, operation: Operation | None, rule: str) -> None:
        self.provider = provider
        self.operation = operation
        self.rule = rule
        where = f"{provider} {operation.value}" if operation else provider
        super().__init__(f"the plug-in {where} breaks a rule of the seam: {rule}")


class UnsupportedOperationError(MigrateError):
    """The provider does not offer this operation; nothing was sent.

    Attributes:
        provider: name of the provider.
        operation: what was asked of it.
        reason: why it is not offered.
        supporters: installed providers that do offer it.
    """

    def __init__(self, provider: str, operation: Operation, reason: str = "", supporters: Sequence[str] = ()) -> None:
        self.provider = provider
        self.operation = operation
        self.reason = reason
        self.supporters = tuple(supporters)
        message = f"{provider} does not offer {operation.value}"
        if reason:
            message += f": {reason}"
        message += f" (offered by: {', '.join(supporters) or 'no installed provider'})"
        super().__init__(message)


class UnsupportedOptionError(MigrateError):
    """An option that this provider's operation does not take; nothing was sent."""

    def __init__(self, provider: str, operation: Operation, option: str, accepted: Sequence[str] = ()) -> None:
        self.provider = provider
        self.operation = operation
        self.option = option
        self.accepted = tuple(accepted)
        super().__init__(
            f"{provider} {operation.value} takes no option {option!r}; it takes: {', '.join(accepted) or 'none'}"
        )


class InvalidArgumentError(MigrateError, ValueError):
    """An argument cannot be used; nothing was sent."""


@attrs.frozen
class Fault:
    """One thing that is wrong with a document.

    Attributes:
        path: where, as in ``disks[0].partition_style``.
        message: what is wrong there.
        waivable: whether ``allow_incomplete`` turns this fault into a warning.
    """

    path: str
    message: str
    waivable: bool = False

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class InvalidDocumentError(InvalidArgumentError):
    """A document breaks its vendor's rules; all faults are listed, nothing was sent."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        lines = "".join(f"\n  {fault}" for fault in self.faults)
        super().__init__(f"the document has {len(self.faults)} fault(s):{lines}")


class TransportError(MigrateError):
    """The network failed before an answer was there."""


class RequestNotSentError(TransportError):
    """The request provably never left this machine: it may be sent again."""


class ResponseLostError(TransportError):
    """The request left, its answer did not arrive whole."""


class DeadlineExceededError(TransportError):
    """The time allowed for the whole call is over.

    Attributes:
        sent: whether the request had left by then.
    """

    def __init__(self, message: str, *, sent: bool = False) -> None:
        self.sent = sent
        super().__init__(message)


class OutcomeUnknownError(MigrateError):
    """A change was sent and its answer never came: it may or may not have happened.

    Look the object up before you ask again; the cause says what was seen.
    """


class IncompleteDocumentWarning(UserWarning):
    """A document breaks rules that ``allow_incomplete`` waives."""


class MalformedResponseError(MigrateError):
    """The answer is not what the vendor documents.

    Attributes:
        path: the place in the answer, such as ``_meta.total``; empty for the answer as a whole.
    """

    def __init__(self, message: str, *, path: str = "") -> None:
        self.path = path
        super().__init__(f"{path}: {message}" if path else message)


class JournalError(MigrateError):
    """The journal of fleet runs cannot be read or written.

    Attributes:
        passing: whether that may be over in a moment, as when a database restarts.
    """

    def __init__(self, text: str, *, passing: bool = False) -> None:
        self.passing = passing
        super().__init__(text)


class ApiError(MigrateError):
    """The vendor answered with an error.

    Attributes:
        message: the vendor's text.
        provider: name of the provider.
        operation: the neutral operation during which it happened, if known.
        status: HTTP status.
        code: the vendor's own code, ``""`` if it gave none.
        request_id: the vendor's id of the request, for a support case.
        details: whatever else the vendor's error body carries, by its own names.
        retry_after: how long the vendor asks us to wait, in seconds.
    """

    def __init__(
        self,
        message: str,
        *,
        provider: str,
        status: int,
        code: str = "",
        request_id: str = "",
        details: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
        operation: Operation | None = None,
    ) -> None:
        self.message = message
        self.provider = provider
        self.operation = operation
        self.status = status
        self.code = code
        self.request_id = request_id
        self.details = dict(details or {})
        self.retry_after = retry_after
        super().__init__(message)

    def __str__(self) -> str:
        where = f"{self.provider} {self.operation.value}" if self.operation else self.provider
        what = f"{self.status} {self.code}".rstrip()
        text = f"{where}: {what}: {self.message}" if self.message else f"{where}: {what}"
        if self.retry_after is not None:
            text += f" (retry after {self.retry_after:g} s)"
        if self.request_id:
            text += f" (request id {self.request_id})"
        return text


class InvalidRequestError(ApiError):
    """The vendor refuses the request as such."""


class AuthenticationError(ApiError):
    """The credentials are wrong or no longer valid; the only class that makes the engine log in again."""


class PeerAuthenticationRequiredError(ApiError):
    """The other site of a pairing wants a login of its own."""


class PermissionDeniedError(ApiError):
    """The credentials are valid but not allowed to do this.

    Attributes:
        action: the permission that is lacking, where the vendor names it.
    """

    action: str = ""


class NotFoundError(ApiError):
    """There is no such object."""


class OperationNotOfferedError(ApiError):
    """The service does not offer this call here (another region or release may); the object may well exist."""


class ConflictError(ApiError):
    """The object's present state forbids it, or it exists already."""


class RateLimitedError(ApiError):
    """Too many requests; nothing was done."""


class QuotaExceededError(ApiError):
    """The account's quota is used up."""


class ServerError(ApiError):
    """The vendor failed."""


class TaskError(MigrateError):
    """A task did not end in success.

    Attributes:
        info: what was last known of the task.
        token: resumes it: ``client.tasks.get(token)``.
    """

    def __init__(self, message: str, info: TaskInfo, token: str) -> None:
        self.info = info
        self.token = token
        super().__init__(message)


class TaskFailedError(TaskError):
    """The task ended with an error; ``info.error`` is the vendor's account of it."""


class TaskCancelledError(TaskError):
    """Somebody cancelled the task."""


class TaskTimeoutError(TaskError, TimeoutError):
    """We stopped waiting; the task goes on at the vendor."""


class TaskNeedsInputError(TaskError):
    """The task waits for a person; waiting for it here would never end."""


_BY_STATUS: Mapping[int, type[ApiError]] = {
    401: AuthenticationError,
    402: QuotaExceededError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    410: NotFoundError,
    412: ConflictError,
    429: RateLimitedError,
}


def error_class_for(status: int) -> type[ApiError]:
    """Pick the error class for an HTTP status, for answers without a vendor code that says more.

    Args:
        status: an HTTP status that is no success.

    Returns:
        The class to raise.
    """
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status >= 500:
        return ServerError
    return InvalidRequestError if status >= 400 else ApiError
