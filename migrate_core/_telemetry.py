"""Spans and metrics for OpenTelemetry; imported only by a program that has it set up.

Steps that are observed run within a span: it is the current one until they ask for an effect, which may be performed
anywhere. What is sent is performed within the span again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from functools import partial
from importlib.metadata import version
from types import MappingProxyType, TracebackType
from typing import Any, Self, TypeAlias, TypeVar
from urllib.parse import urlsplit

from opentelemetry import metrics, trace
from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode

from migrate_core._engine import Acquire, Effect, Observer, Retry, Sleep, Steps, Within
from migrate_core.clock import Clock
from migrate_core.errors import ApiError
from migrate_core.operations import Operation
from migrate_core.provider import Request, Response, TaskInfo

T = TypeVar("T")

Attributes: TypeAlias = Mapping[str, str | int | float]
Known: TypeAlias = Mapping[str, str | int | float | None]
"""Attributes, with ``None`` for what nobody knows."""

AtEnd: TypeAlias = Callable[[float, Attributes], None]

_SCOPE = "migrate_core", version("migrate-core")
_PORTS = {"http": 80, "https": 443}
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""Bounds between the durations of calls; OpenTelemetry's own are meant for milliseconds."""


def observer(provider: str, clock: Clock, origins: Mapping[str, str]) -> Observer | None:
    """Make the observer of a client; ``None`` where nobody would see what it notes.

    Args:
        provider: name of the provider.
        clock: what is measured with.
        origins: the provider's endpoints.
    """
    tracers, meters = trace.get_tracer_provider(), metrics.get_meter_provider()
    if _notes_nothing(tracers) and _notes_nothing(meters):
        return None
    return Telemetry(provider, clock, origins, tracers.get_tracer(*_SCOPE), meters.get_meter(*_SCOPE))


def _notes_nothing(provider: object) -> bool:
    """Tell whether it is one of the API's own, which stand there until somebody sets another."""
    return type(provider).__module__.startswith(("opentelemetry.trace", "opentelemetry.metrics"))


class Telemetry(Observer):
    """Makes a span of each call, attempt, login and wait, and counts them.

    Attributes:
        clock: what is measured with.
        tracer: makes the spans.
        login_under_way: the span of the one who logs in, for those who wait for it.
    """

    def __init__(
        self, provider: str, clock: Clock, origins: Mapping[str, str], tracer: trace.Tracer, meter: metrics.Meter
    ) -> None:
        self.clock = clock
        self.tracer = tracer
        self.login_under_way: SpanContext | None = None
        self._provider = provider
        self._servers = {name: _server(name, origin) for name, origin in origins.items()}
        self._durations = _histogram(meter, "migrate.call.duration", "s", "How long calls take.")
        self._attempts = meter.create_counter("migrate.attempts", "{attempt}", "Attempts to send a request.")
        self._retries = meter.create_counter("migrate.retries", "{attempt}", "Those of them that were not the first.")
        self._logins = meter.create_counter("migrate.logins", "{login}", "Logins.")

    def call(self, operation: str, steps: Steps[T]) -> Steps[T]:
        """Observe one call."""
        labels = self.labels(operation)
        with _Span(self, f"{self._provider} {operation}", labels, at_end=self._durations.record) as span:
            result = yield from span.over(steps)
            if isinstance(result, TaskInfo):
                span.note({"migrate.task.status": result.status.value, "migrate.task.progress": result.progress})
            return result

    def attempt(
        self, operation: Operation | None, request: Request, retry: Retry | None, steps: Steps[Response]
    ) -> Steps[Response]:
        """Observe one attempt to send a request."""
        labels = self.labels(operation and operation.value)
        about: dict[str, Any] = {"http.request.method": request.method, "url.path": request.path}
        about |= self._servers[request.endpoint]
        if retry:
            self._retries.add(1, {**labels, "migrate.retry.reason": retry.reason})
            about |= {
                "http.request.resend_count": retry.number - 1,
                "migrate.retry.reason": retry.reason,
                "migrate.retry.waited": retry.waited,
            }
        with _Span(self, request.method, labels, about, kind=SpanKind.CLIENT, at_end=_adds(self._attempts)) as span:
            try:
                response = yield from span.over(steps)
            except ApiError as error:
                span.label({"http.response.status_code": error.status})
                raise
            span.label({"http.response.status_code": response.status})
            span.note({"http.response.body.size": len(response.body)})
            return response

    def login(self, steps: Steps[None]) -> Steps[None]:
        """Observe one login; who waits meanwhile is led to it."""
        with _Span(self, f"{self._provider} log_in", self.labels(), at_end=_adds(self._logins)) as span:
            self.login_under_way = span.itself
            try:
                yield from span.over(steps)
            finally:
                self.login_under_way = None

    def wait(self, *tasks: TaskInfo) -> AbstractContextManager[None]:
        """Observe a wait for those of the tasks that have not ended."""
        waiting = [task for task in tasks if not task.status.terminal]
        return self._waited(waiting) if waiting else super().wait()

    @contextmanager
    def _waited(self, tasks: Sequence[TaskInfo]) -> Iterator[None]:
        about: dict[str, Any] = {"migrate.task.count": len(tasks)}
        if len(tasks) == 1:
            (task,) = tasks
            about |= {"migrate.task.id": task.id, "migrate.operation": task.operation and task.operation.value}
        with _Span(self, f"{self._provider} wait", self.labels(), about) as span, _current(span.context):
            yield

    def labels(self, operation: str | None = None) -> Attributes:
        """Give what everything is counted by."""
        return _without_none({"migrate.provider": self._provider, "migrate.operation": operation})


class _Span:
    """A span, from now until it is left, and what is counted of it.

    Args:
        telemetry: of which client.
        name: its name.
        labels: what it is counted by; its outcome joins them.
        about: what else is known of it.
        kind: its kind.
        context: what it is a part of; what is current, unless another is named.
        links: other spans that it has to do with.
        at_end: takes its seconds and its labels.

    Attributes:
        context: where it is the current span.
        itself: what others may link to.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        name: str,
        labels: Attributes,
        about: Known = MappingProxyType({}),
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        context: Context | None = None,
        links: Sequence[Link] = (),
        at_end: AtEnd = lambda seconds, labels: None,
    ) -> None:
        clock = telemetry.clock
        self._telemetry = telemetry
        self._labels = dict(labels)
        self._at_end = at_end
        self._begun, self._at = clock.monotonic(), _nanoseconds(clock.now())
        attributes = {**self._labels, **_without_none(about)}
        self._span = telemetry.tracer.start_span(name, context, kind, attributes, links, self._at)
        self.context = trace.set_span_in_context(self._span, context)
        self.itself = self._span.get_span_context()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        seconds = self._telemetry.clock.monotonic() - self._begun
        self.label({"migrate.outcome": _outcome(error), "error.type": kind.__name__ if kind else None})
        if isinstance(error, ApiError):
            self.note({"migrate.error.code": error.code or None, "migrate.request_id": error.request_id or None})
        if error:
            self._span.set_status(StatusCode.ERROR)
        self._span.end(self._at + round(seconds * 1e9))
        self._at_end(seconds, self._labels)

    def note(self, about: Known) -> None:
        """Say more of it."""
        self._span.set_attributes(_without_none(about))

    def label(self, labels: Known) -> None:
        """Say more of it, by which it is counted, too."""
        self._labels.update(_without_none(labels))
        self.note(labels)

    def over(self, steps: Steps[T]) -> Steps[T]:
        """Go through steps of which this is the span."""
        try:
            effect = self._go_on(steps.send, None)
            while True:
                try:
                    answer = yield from self._performed(effect)
                except BaseException as error:
                    effect = self._go_on(steps.throw, error)
                else:
                    effect = self._go_on(steps.send, answer)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]  # StopIteration is not generic; Steps[T] returns T

    def _go_on(self, resume: Callable[[Any], Effect], value: Any) -> Effect:
        token = attach(self.context)
        try:
            return resume(value)
        finally:
            detach(token)

    def _performed(self, effect: Effect) -> Steps[Any]:
        """Have an effect performed within the span, or within another that is nearer to it."""
        if isinstance(effect, Within):
            return (yield effect)
        with self._wait_for(effect):
            return (yield Within(partial(_current, self.context), effect))

    def _wait_for(self, effect: Effect) -> AbstractContextManager[Any]:
        """Make a span of an effect that is there to wait."""
        match effect:
            case Sleep(_, why) if why:
                return self._wait(why)
            case Acquire(lock, _, why) if why and lock.locked():
                login = self._telemetry.login_under_way
                return self._wait(why, [Link(login)] if login else ())
        return nullcontext()

    def _wait(self, why: str, links: Sequence[Link] = ()) -> _Span:
        about = {"migrate.wait.reason": why}
        return _Span(self._telemetry, f"wait {why}", self._telemetry.labels(), about, context=self.context, links=links)


@contextmanager
def _current(context: Context) -> Iterator[None]:
    token = attach(context)
    try:
        yield
    finally:
        if get_current() is context:  # a coroutine that nobody awaits is closed anywhere
            detach(token)


def _histogram(meter: metrics.Meter, *about: str) -> metrics.Histogram:
    try:
        return meter.create_histogram(*about, explicit_bucket_boundaries_advisory=_SECONDS)
    except TypeError:  # an API before 1.30, which somebody else has installed
        return meter.create_histogram(*about)


def _adds(counter: metrics.Counter) -> AtEnd:
    return lambda seconds, labels: counter.add(1, labels)


def _server(name: str, origin: str) -> Known:
    """Tell where requests to an endpoint go."""
    parts = urlsplit(origin)
    port = parts.port or _PORTS.get(parts.scheme)
    return {"migrate.endpoint": name, "server.address": parts.hostname, "server.port": port}


def _without_none(known: Known) -> Attributes:
    return {name: value for name, value in known.items() if value is not None}


def _outcome(error: BaseException | None) -> str:
    if error is None:
        return "success"
    return "error" if isinstance(error, Exception) else "interrupted"  # Ctrl-C, or a cancelled coroutine


def _nanoseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1e6) * 1000
