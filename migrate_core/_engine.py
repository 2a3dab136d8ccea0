"""What happens around a flow: authentication, retries, deadlines, one login for all who wait.

Written once, as generators that yield effects. A client only performs them: it sends, sleeps and waits for the lock;
all that is decided is decided here, for both clients alike.
"""

from __future__ import annotations

import copy
import json
import logging
import re
import sys
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple, ParamSpec, Protocol, TypeAlias, TypeVar
from urllib.parse import quote

import attrs

from migrate_core import _contract, _retry
from migrate_core._rate import Rate
from migrate_core.clock import Clock, Deadline
from migrate_core.errors import (
    ApiError,
    Attempt,
    AuthenticationError,
    ContractViolationError,
    DeadlineExceededError,
    MalformedResponseError,
    MigrateError,
    OutcomeUnknownError,
    ResponseLostError,
    UnsupportedOperationError,
    UnsupportedOptionError,
)
from migrate_core.models import Check
from migrate_core.operations import Capability, Operation, Support
from migrate_core.provider import BaseProvider, CredentialsRenewed, Flow, Request, Response, TaskInfo
from migrate_core.secrets import discreet

log = logging.getLogger("migrate_core")

P = ParamSpec("P")
T = TypeVar("T")

_LOGOUT_SECONDS = 2.0
_MOST_RESTARTS = 3
_PRIVATE_HEADERS = "auth|token|session|cookie|secret|key"  # compiled when it is used first
_SHORTEST_SECRET = 4
"""Shorter ones are left where they stand: they are parts of ordinary words."""


class Send(NamedTuple):
    """Effect: send the request, answer with its response."""

    request: Request
    deadline: Deadline


class Sleep(NamedTuple):
    """Effect: let time pass; an observer is told why."""

    seconds: float
    why: str = ""


class Acquire(NamedTuple):
    """Effect: take the lock, or raise `DeadlineExceededError`. Releasing it is a plain call."""

    lock: Lock
    deadline: Deadline
    why: str = ""


class Work(NamedTuple):
    """Effect: run code that blocks, where it holds up nobody else."""

    function: Callable[[], None]
    deadline: Deadline


class Within(NamedTuple):
    """Effect: perform another one in a scope that is entered for it."""

    scope: Callable[[], AbstractContextManager[None]]
    effect: Effect


Effect: TypeAlias = Send | Sleep | Acquire | Work | Within
Steps: TypeAlias = Generator[Effect, Any, T]


class Lock(Protocol):
    """What `threading.Lock` and `asyncio.Lock` have in common."""

    def release(self) -> None:
        """Let the next one in."""
        ...

    def locked(self) -> bool:
        """Tell whether somebody holds it."""
        ...


class Retry(NamedTuple):
    """Which attempt of a request comes next, after what failure, and how long it had to wait."""

    number: int
    reason: str
    waited: float


class Observer:
    """Is shown the steps of all that takes time, and gives them back to be taken; this one looks at none of them."""

    def call(self, operation: str, steps: Steps[T]) -> Steps[T]:
        """Observe one call."""
        return steps

    def attempt(
        self, operation: Operation | None, request: Request, retry: Retry | None, steps: Steps[Response]
    ) -> Steps[Response]:
        """Observe one attempt to send a request; `retry` says why, if it is not the first."""
        return steps

    def login(self, steps: Steps[None]) -> Steps[None]:
        """Observe one login, by the caller who holds the lock."""
        return steps

    def wait(self, *tasks: TaskInfo) -> AbstractContextManager[None]:
        """Observe a wait; the looks at the tasks are calls within."""
        return _UNOBSERVED


_UNOBSERVED = nullcontext()


def _observer(provider: str, clock: Clock, origins: Mapping[str, str]) -> Observer:
    """Give the observer of a client: one that looks at nothing, unless the program has OpenTelemetry set up."""
    if "opentelemetry.trace" not in sys.modules:
        return Observer()
    from migrate_core._telemetry import observer

    return observer(provider, clock, origins) or Observer()


class LoginGate:
    """One login at a time, shared by all callers.

    Attributes:
        lock: who holds it logs in.
        logins: how many logins succeeded; tells whether one's own credentials are still the latest.
        refusals: how many were refused; tells whether one was refused since a call began.
        refusal: the latest refusal.
        under_way: whether somebody logs in, and the credentials are the next ones already for all that anybody knows.
    """

    def __init__(self, lock: Lock) -> None:
        self.lock = lock
        self.under_way = False
        self.logins = 0
        self.refusals = 0
        self.refusal: AuthenticationError | None = None


class _Call:
    """One neutral call, from its first request to its last.

    Attributes:
        logins: under which login the flow's latest request went; requests that restart belong to the same.
    """

    def __init__(self, operation: Operation | None, begun: float, deadline: Deadline, refusals_before: int) -> None:
        self.operation = operation
        self.begun = begun
        self.deadline = deadline
        self.refusals_before = refusals_before
        self.renewed = False
        self.logins: int | None = None
        self.restarts = 0


class _LoginFailed(Exception):
    """Ends a call: there is no login, and no flow can help it."""

    def __init__(self, error: MigrateError) -> None:
        self.error = error
        super().__init__(error)


class Engine:
    """Runs a provider's flows.

    Args:
        provider: whose flows they are.
        clock: what time it is.
        lock: the lock that guards logins, of the client's own kind.
        rate: what spaces the requests; without it, the setting ``rate_limit``.
    """

    def __init__(self, provider: BaseProvider, clock: Clock, lock: Lock, rate: Rate | None = None) -> None:
        self.provider = provider
        self.clock = clock
        self._gate = LoginGate(lock)
        self._rate = rate or Rate(provider.settings.rate_limit)
        self._origins = provider.endpoints()
        self.keep(_contract.broken_endpoints(self._origins))
        self._quotas = {name: _retry.Quota() for name in self._origins}
        self.observer = _observer(provider.name, clock, self._origins)
        import random  # which many have imported by now, and `import migrate_core` need not

        self.rng = random.Random()  # noqa: S311  # jitter is no secret

    def check(self, operation: Operation, options: Iterable[str] = ()) -> None:
        """Refuse what the provider does not declare, before anything is sent.

        Raises:
            UnsupportedOperationError: the operation is not offered.
            UnsupportedOptionError: it does not take one of `options`.
        """
        capability = capability_of(self.provider, operation)
        if capability.support is not Support.FULL:
            from migrate_core._registry import supporters

            reason = capability.note or capability.support.value.replace("_", " ")
            raise UnsupportedOperationError(self.provider.name, operation, reason, supporters(operation))
        for option in options:
            if option not in capability.options:
                raise UnsupportedOptionError(self.provider.name, operation, option, capability.options)

    def preview(self, operation: Operation, verb: Callable[[T], Flow[Any]], about: T) -> Request:
        """Give the first request of an operation; nothing is sent."""
        flow = self._asked(operation, verb, about)
        self.keep(_contract.broken_flow(flow), operation)
        try:
            return self._step(operation, next, flow)
        except StopIteration:
            raise MigrateError(f"{self.provider.name} {operation.value} sends nothing") from None
        finally:
            flow.close()

    def call(
        self,
        operation: Operation,
        verb: Callable[P, Flow[T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Steps[T]:
        """Carry out one operation within the time that a call is allowed."""
        return self.call_within(self.provider.settings.timeout, operation, verb, *args, **kwargs)

    def call_within(
        self,
        timeout: float,
        operation: Operation,
        verb: Callable[P, Flow[T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Steps[T]:
        """Carry out one operation within `timeout` seconds."""
        self.check(operation)
        flow = self._asked(operation, verb, *args, **kwargs)
        steps = self._carried_out(flow, self._begin(operation, timeout))
        return (yield from self.observer.call(operation.value, steps))

    def check_logins(self) -> Steps[tuple[Check, ...]]:
        """Have the provider try the logins that no list needs."""
        flow = self._asked(None, self.provider.check_logins)
        steps = self._carried_out(flow, self._begin(None, self.provider.settings.timeout))
        return (yield from self.observer.call("check_logins", steps))

    def _carried_out(self, flow: Flow[T], call: _Call) -> Steps[T]:
        operation = call.operation
        try:
            result = yield from self._drive(flow, call, self._authenticated)
        except _LoginFailed as failed:
            _name(failed.error, operation)
            raise failed.error from failed.error.__cause__
        except ApiError as error:
            _name(error, operation)
            raise
        broken = _contract.broken_result(operation, result) if operation else _contract.broken_checks(result)
        self.keep(broken, operation)
        return result

    def log_out(self) -> Steps[None]:
        """End the session, quickly, and without a complaint: there is nothing left that the caller could do."""
        if type(self.provider).close_session is BaseProvider.close_session:
            return  # there is none, and nothing to observe
        try:
            steps = self._drive(self.provider.close_session(), self._begin(None, _LOGOUT_SECONDS), self._send)
            yield from self.observer.call("log_out", steps)
        except Exception as error:
            log.debug("%s: log-out failed: %s", self.provider.name, error, extra={"provider": self.provider.name})

    def _begin(self, operation: Operation | None, timeout: float) -> _Call:
        return _Call(operation, self.clock.monotonic(), Deadline.after(self.clock, timeout), self._gate.refusals)

    def _drive(self, flow: Flow[T], call: _Call, exchange: Callable[[Request, _Call], Steps[Response]]) -> Steps[T]:
        """Run a flow, giving it a response, or an error, for each request."""
        self.keep(_contract.broken_flow(flow), call.operation)
        try:
            request = self._step(call.operation, next, flow)
            while True:
                try:
                    response = yield from exchange(request, call)
                except (MigrateError, CredentialsRenewed) as error:
                    request = self._step(call.operation, flow.throw, error)
                else:
                    request = self._answered(flow, request, response, call)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]  # StopIteration is not generic; a Flow[T] returns T
        finally:
            flow.close()

    def _answered(self, flow: Flow[T], request: Request, response: Response, call: _Call) -> Request:
        """Give a flow the response to its request; if it cannot be read, the error says to which."""
        try:
            return self._step(call.operation, flow.send, response)
        except MalformedResponseError as error:
            error.add_note(f"it was the answer to {self._what(request)}")
            raise

    def _step(self, operation: Operation | None, resume: Callable[[T], Request], value: T) -> Request:
        """Let a flow go on to its next request."""
        try:
            request = self._asked(operation, resume, value)
        except CredentialsRenewed:
            rule = "a flow whose requests say renew='restart' catches CredentialsRenewed"
            raise ContractViolationError(self.provider.name, operation, rule) from None
        self.keep(_contract.broken_request(request, self._origins), operation)
        return request

    def _asked(self, operation: Operation | None, ask: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Ask the plug-in for something, and let it raise nothing but our errors."""
        try:
            return ask(*args, **kwargs)
        except (MigrateError, CredentialsRenewed, StopIteration, Warning):  # who makes errors of warnings means it
            raise
        except Exception as error:
            rule = f"a plug-in raises errors of MigrateError only, not {type(error).__name__}"
            raise ContractViolationError(self.provider.name, operation, rule) from error

    def keep(self, broken: str | None, operation: Operation | None = None) -> None:
        """Refuse what breaks a rule of the seam.

        Raises:
            ContractViolationError: `broken` names one.
        """
        if broken:
            raise ContractViolationError(self.provider.name, operation, broken)

    def _authenticated(self, request: Request, call: _Call) -> Steps[Response]:
        """Exchange one request with credentials, renewed at most once in a call."""
        logins = self._gate.logins  # read first: a login that ends right now must not be done twice
        if not self._asked(call.operation, self.provider.has_credentials, self.clock.now()):
            logins = yield from self._renew(call, logins)
        if request.renew == "restart" and call.logins not in (None, logins):
            self._restart(call)  # another caller logged in since this flow's last request
        call.logins = logins
        try:
            return (yield from self._send(request, call, credentials=True))
        except AuthenticationError:
            if request.renew == "never" or call.renewed or not self._asked(call.operation, self.provider.can_renew):
                raise
        call.renewed = True
        call.logins = yield from self._renew(call, logins)
        if request.renew == "restart":
            self._restart(call)
        return (yield from self._send(request, call, credentials=True))

    def _same_login(self, call: _Call) -> Steps[None]:
        """See, after a request was signed, that no other thread has got new credentials meanwhile, or is about to."""
        gate = self._gate
        if gate.under_way:
            yield Acquire(gate.lock, call.deadline, "login")
            gate.lock.release()
        elif gate.logins == call.logins:
            return
        self._restart(call)

    def _restart(self, call: _Call) -> None:
        """Have the flow begin again under the new login, unless logins change faster than it can follow."""
        if call.restarts < _MOST_RESTARTS:
            call.restarts += 1
            call.logins = None
            raise CredentialsRenewed

    def _renew(self, call: _Call, logins_seen: int) -> Steps[int]:
        """Log in, unless somebody else did or was refused while we waited; gives the number of logins by then."""
        try:
            return (yield from self._log_in(call, logins_seen))
        except MigrateError as error:
            raise _LoginFailed(error) from None

    def _log_in(self, call: _Call, logins_seen: int) -> Steps[int]:
        gate = self._gate
        yield Acquire(gate.lock, call.deadline, "login")
        try:
            if gate.logins > logins_seen:
                return gate.logins
            if gate.refusal is not None and gate.refusals > call.refusals_before:
                refusal = copy.copy(gate.refusal)
                refusal.operation = call.operation
                raise refusal
            gate.under_way = True
            try:
                yield from self.observer.login(self._new_credentials(call))
            except AuthenticationError as error:
                gate.refusals += 1
                gate.refusal = copy.copy(error)
                raise
            gate.logins += 1
            return gate.logins
        finally:
            gate.under_way = False
            gate.lock.release()

    def _new_credentials(self, call: _Call) -> Steps[None]:
        if type(self.provider).load_credentials is not BaseProvider.load_credentials:
            load = discreet(self.provider.load_credentials)
            yield Work(lambda: self._asked(call.operation, load), call.deadline)
        yield from self._drive(self._asked(call.operation, self.provider.refresh_credentials), call, self._send)

    def _send(self, request: Request, call: _Call, *, credentials: bool = False) -> Steps[Response]:
        """Send a request, again where that is safe and helps."""
        failed: list[Attempt] = []
        retry: Retry | None = None
        quota, spent = self._quotas[request.endpoint], 0
        while True:
            at = self.clock.monotonic() - call.begun
            try:
                if pause := self._pause(request, call):
                    yield Sleep(pause, "rate_limit")
                steps = self._attempt(request, call, len(failed) + 1, credentials)
                response = yield from self.observer.attempt(call.operation, request, retry, steps)
            except MigrateError as error:
                failed.append(Attempt(at, self._what(request), str(error)))
                error.attempts = tuple(failed)
                delay = _retry.delay_before(len(failed), error, self.rng) if _retry.may_repeat(error, request) else None
                if delay is None or delay >= call.deadline.remaining():
                    raise
                number, cost = len(failed), quota.spend(error)
                if cost is None:
                    said = "not sent again, since too much of late has failed there"
                    self._note(call, request, error, said, attempt=number)
                    raise
                spent = cost
                said = "attempt %d failed, next in %.2f s: %s"
                self._note(call, request, error, said, number, delay, error, attempt=number)
                retry = Retry(number + 1, type(error).__name__, delay)
                why = "backoff" if getattr(error, "retry_after", None) is None else "retry_after"
            else:
                quota.earn(spent)
                return response
            yield Sleep(delay, why)

    def _pause(self, request: Request, call: _Call) -> float:
        """Tell the seconds until the request may be sent."""
        if call.deadline.remaining() <= 0:
            raise DeadlineExceededError(f"{self._what(request)}: no time left to send it")
        pause = self._rate.pause(self.clock.monotonic(), call.deadline.remaining())
        if pause is None:
            raise DeadlineExceededError(f"{self._what(request)}: the rate_limit leaves no time to send it")
        return pause

    def _attempt(self, request: Request, call: _Call, number: int, credentials: bool) -> Steps[Response]:
        signed = request
        if credentials:
            signed = self._signed(request, call.operation)
            if request.renew == "restart":
                yield from self._same_login(call)
        begun = self.clock.monotonic()
        try:
            response: Response = yield Send(signed, call.deadline)
        except (ResponseLostError, DeadlineExceededError) as error:
            if request.repeatable or not getattr(error, "sent", True):
                raise
            raise OutcomeUnknownError(
                f"{self._what(request)}: it was sent, no answer came, it may have happened; "
                f"look before you ask again ({error})"
            ) from error
        except BaseException as error:  # Ctrl-C, or a cancelled coroutine
            if not request.repeatable:
                error.add_note(f"{self._what(request)}: interrupted, it may have happened; look before you ask again")
            raise
        took = self.clock.monotonic() - begun
        failure = self._failure(response, signed, call) if response.status >= 300 else None
        if log.isEnabledFor(logging.DEBUG):
            said = "%d, %d bytes in %.2f s", response.status, len(response.body), took
            self._note(call, request, failure or response, *said, attempt=number, seconds=took)
        if failure:
            raise failure
        return response

    def _failure(self, response: Response, request: Request, call: _Call) -> ApiError:
        """Let the plug-in name what a refusal means."""
        failure = self._asked(call.operation, self.provider.error_from, self._discreet(response, request))
        self.keep(_contract.broken_error(failure), call.operation)
        failure.operation = call.operation
        if failure.retry_after is None:
            failure.retry_after = _retry.retry_after(response.headers.get("retry-after"), self.clock.now())
        return failure

    def _note(
        self, call: _Call, request: Request, end: Response | MigrateError, text: str, *said: object, **more: object
    ) -> None:
        """Log how an attempt ended."""
        operation = call.operation and call.operation.value
        about = fields(end, provider=self.provider.name, operation=operation, **more)
        log.debug(f"%s: {text}", self._what(request), *said, extra=about, stacklevel=2)

    def _discreet(self, response: Response, request: Request) -> Response:
        """Take out of a refusal what the vendor repeats of our secrets: its text goes into errors and logs."""
        settings = self.provider.settings
        known = [
            *(getattr(settings, field.name) for field in attrs.fields(type(settings)) if field.metadata.get("secret")),
            *(value for name, value in request.headers.items() if re.search(_PRIVATE_HEADERS, name, re.IGNORECASE)),
            *request.secrets,
        ]
        secrets = {str(part) for secret in known if secret for part in (secret, str(secret).rpartition(" ")[2])}
        quoted = {form for secret in secrets for form in _quoted(secret)}
        forms = sorted({form for text in quoted for form in _quoted(text)}, key=len)

        def hidden(text: str) -> str:
            for form in reversed(forms):  # the longest first: one may be a part of another
                text = text.replace(form, "***") if len(form) >= _SHORTEST_SECRET else text
            return text

        return attrs.evolve(
            response,
            headers={name: hidden(value) for name, value in response.headers.items()},
            body=hidden(response.body.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape"),
        )

    def _signed(self, request: Request, operation: Operation | None) -> Request:
        where, now = self._origins[request.endpoint], self.clock.now()
        headers = self._asked(operation, self.provider.authenticate, request, origin=where, now=now)
        self.keep(_contract.broken_headers(headers), operation)
        return request.with_headers(headers)

    def _what(self, request: Request) -> str:
        return f"{self.provider.name} {request.method} {request.path}"


def _quoted(text: str) -> tuple[str, ...]:
    """Give the forms in which a text may be quoted; a request that is quoted in an answer is JSON in JSON."""
    import html  # refusals are few

    as_json = json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]
    return text, *as_json, html.escape(text), quote(text, safe="")


def fields(end: Response | MigrateError, **known: object) -> dict[str, object]:
    """Give a log record what is known of a request as fields, which some formatters print: how it ended, and more."""
    return {name: getattr(end, name, None) for name in ("provider", "status", "request_id")} | known


def _name(error: MigrateError, operation: Operation | None) -> None:
    """Let an error say during which operation it happened."""
    if isinstance(error, ApiError):
        error.operation = error.operation or operation


def capability_of(provider: BaseProvider | type[BaseProvider], operation: Operation) -> Capability:
    """Tell what a provider declares of an operation; silence means NOT_IMPLEMENTED."""
    return provider.capabilities.get(operation, Capability(Support.NOT_IMPLEMENTED))
