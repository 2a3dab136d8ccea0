"""What is told of a call: its spans, its metrics and the fields of its log records."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import attrs
import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.trace import SpanKind, StatusCode

import migrate_core as mc
from canary import CANARY, sings
from migrate_core._engine import Observer
from migrate_core.clock import Deadline
from migrate_core.provider import Request, Response
from migrate_core.testing import Simulator, VirtualClock, faults, new_simulator, serve
from support import Caller

PATIENCE = 50.0
"""Real seconds after which a test that waits for another thread fails."""


class Seen(SpanProcessor):
    """What OpenTelemetry was told.

    Attributes:
        spans: those that have ended, in that order.
        begun: set when a span has begun whose name is waited for.
    """

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []
        self.reader = InMemoryMetricReader()
        self._awaited: dict[str, threading.Event] = {}

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.begun(span.name).set()

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)

    def begun(self, name: str) -> threading.Event:
        return self._awaited.setdefault(name, threading.Event())

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        (span,) = self.named(name)
        return span

    def parts_of(self, parent: ReadableSpan) -> list[ReadableSpan]:
        """Give the children of a span, in the order of their beginnings."""
        ours = [span for span in self.spans if span.parent and span.parent.span_id == parent.context.span_id]
        return sorted(ours, key=lambda span: span.start_time or 0)

    def tree(self, parent: ReadableSpan) -> dict[str, Any]:
        """Give the names of all that is in a span."""
        return {f"{part.name} {seconds(part):g}": self.tree(part) for part in self.parts_of(parent)}

    def counted(self, name: str) -> list[tuple[dict[str, Any], Any]]:
        """Give the labels of a metric, and its count for each: of a histogram also the sum."""
        data = cast(Any, self.reader.get_metrics_data())
        found = [
            metric
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
        ]
        return [
            (dict(point.attributes), point.value if hasattr(point, "value") else (point.count, point.sum))
            for metric in found
            for point in metric.data.data_points
        ]


def seconds(span: ReadableSpan) -> float:
    return ((span.end_time or 0) - (span.start_time or 0)) / 1e9


def about(span: ReadableSpan, *names: str) -> tuple[Any, ...]:
    return tuple((span.attributes or {}).get(name) for name in names)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """OpenTelemetry, set up. A program does that once and for all, which a test must not."""
    seen = Seen()
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(seen)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", tracers)
    meters = MeterProvider([seen.reader], shutdown_on_exit=False)
    monkeypatch.setattr("opentelemetry.metrics._internal._METER_PROVIDER", meters)
    return seen


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture(scope="module")
def _served() -> Iterator[Simulator]:
    simulator = new_simulator("huawei_sms", clock=VirtualClock())
    with serve(simulator):
        yield simulator


@pytest.fixture
def served(_served: Simulator, clock: VirtualClock) -> Simulator:
    """A simulator on a loopback port, as new, and on the clock of the test."""
    _served.clock = clock
    _served.reset()
    return _served


@attrs.define
class Service:
    """A transport for either client that asks `answer` what to answer; an answer may take a coroutine."""

    answer: Callable[[Request], Any]
    is_async: bool = False

    def open(self, _: Any) -> Any:
        return self

    def open_async(self, _: Any) -> Any:
        return attrs.evolve(self, is_async=True)

    def send(self, request: Request, deadline: Deadline) -> Any:
        return self._send(request) if self.is_async else self.answer(request)

    async def _send(self, request: Request) -> Response:
        answer = self.answer(request)
        return await answer if asyncio.iscoroutine(answer) else answer

    def close(self) -> Any:
        return asyncio.sleep(0) if self.is_async else None


SOURCE = Response(status=200, body=b'{"id": "s-1"}')
HERE = {"endpoint": "http://127.0.0.1:1", "token": "t"}
LOGIN = {
    "endpoint": "http://127.0.0.1:1",
    "iam_endpoint": "http://127.0.0.1:1",
    "domain_name": "d",
    "username": "u",
    "password": "p-secret",
    "project_name": "p",
}


# Spans.


def test_a_trace_tells_why_a_call_took_forty_seconds(
    caller: Caller, library: str, served: Simulator, seen: Seen
) -> None:
    (source_id,) = served.add_sources(1)
    served.faults.add(faults.Delay(4.0), method="POST")  # the login is slow
    served.faults.answer(429, method="GET", headers={"Retry-After": "15"})
    served.faults.add(faults.Delay(15.0), method="GET", call=2)
    client = caller.connect("huawei_sms", **served.settings("login"), clock=served.clock, rate_limit=0.1, timeout=60)
    caller(client.sources.describe(source_id))

    call = seen.one("huawei_sms describe_source")
    assert seen.tree(call) == {
        "huawei_sms log_in 4": {"POST 4": {}},
        "wait rate_limit 6": {},
        "GET 0": {},
        "wait retry_after 15": {},
        "GET 15": {},
    }
    assert seconds(call) == pytest.approx(40.0)
    assert sum(map(seconds, seen.parts_of(call))) == pytest.approx(seconds(call))
    assert call.start_time == served.clock.now().timestamp() * 1e9 - 40e9


def test_spans_say_what_was_asked_where_and_how_it_ended(
    caller: Caller, library: str, served: Simulator, seen: Seen
) -> None:
    (source_id,) = served.add_sources(1)
    served.faults.answer(503)
    client = caller.connect("huawei_sms", **served.settings(), clock=served.clock)
    caller(client.sources.describe(source_id))

    call = seen.one("huawei_sms describe_source")
    assert call.attributes == {
        "migrate.provider": "huawei_sms",
        "migrate.operation": "describe_source",
        "migrate.outcome": "success",
    }
    assert call.kind is SpanKind.INTERNAL
    failed, last = seen.named("GET")
    assert (failed.kind, failed.status.status_code) == (SpanKind.CLIENT, StatusCode.ERROR)
    assert last.status.status_code is StatusCode.UNSET
    common = {
        "migrate.provider": "huawei_sms",
        "migrate.operation": "describe_source",
        "migrate.endpoint": "main",
        "http.request.method": "GET",
        "url.path": f"/v3/sources/{source_id}",
        "server.address": "127.0.0.1",
        "server.port": int(served.endpoint.rpartition(":")[2]),
    }
    assert failed.attributes == {
        **common,
        "http.response.status_code": 503,
        "migrate.outcome": "error",
        "error.type": "ServerError",
    }
    (pause,) = seen.named("wait backoff")
    (size,) = about(last, "http.response.body.size")
    assert size > 100
    assert last.attributes == {
        **common,
        "http.request.resend_count": 1,
        "migrate.retry.reason": "ServerError",
        "migrate.retry.waited": pytest.approx(seconds(pause), abs=1e-6),
        "http.response.status_code": 200,
        "http.response.body.size": size,
        "migrate.outcome": "success",
    }


def test_a_failed_call_says_which_error_and_not_its_words(caller: Caller, served: Simulator, seen: Seen) -> None:
    client = caller.connect("huawei_sms", **served.settings(), clock=served.clock)
    with pytest.raises(mc.NotFoundError) as caught:
        caller(client.sources.describe("nobody"))
    for span in seen.spans:
        assert about(span, "migrate.outcome", "error.type") == ("error", "NotFoundError")
        assert about(span, "migrate.error.code", "migrate.request_id") == (caught.value.code, caught.value.request_id)
        assert span.status.status_code is StatusCode.ERROR
        assert caught.value.message not in span.to_json()
    assert len(seen.spans) == 2
    assert caught.value.request_id


def test_the_program_s_own_span_is_the_parent_and_ours_is_the_current_one_while_it_is_sent(
    caller: Caller, clock: VirtualClock, seen: Seen
) -> None:
    current: list[Any] = []

    def answer(_: Request) -> Response:
        current.append(trace.get_current_span())
        return SOURCE

    client = caller.connect("huawei_sms", transport=Service(answer), clock=clock, **HERE)
    tracer = trace.get_tracer("the program")

    async def call() -> Any:
        return await client.sources.describe("s-1")

    with tracer.start_as_current_span("script") as script:
        caller(call() if caller.kind == "async" else client.sources.describe("s-1"))
        assert trace.get_current_span() is script
    assert [span.name for span in current] == ["GET"]
    assert seen.tree(seen.one("script")) == {"huawei_sms describe_source 0": {"GET 0": {}}}


def test_calls_side_by_side_keep_their_own_parents(caller: Caller, seen: Seen) -> None:
    """Each is held until all have been sent."""
    names = [f"s-{number}" for number in range(4)]
    in_threads, in_the_loop = threading.Barrier(len(names)), asyncio.Barrier(len(names))

    def answer(_: Request) -> Any:
        if caller.kind == "async":
            return when_all_are_there()
        in_threads.wait(PATIENCE)
        return SOURCE

    async def when_all_are_there() -> Response:
        await in_the_loop.wait()
        return SOURCE

    client = caller.connect("huawei_sms", transport=Service(answer), **HERE)
    tracer = trace.get_tracer("the program")

    def one(name: str) -> Callable[[], Any]:
        def call() -> Any:
            with tracer.start_as_current_span(name):
                return client.sources.describe(name)

        async def acall() -> Any:
            with tracer.start_as_current_span(name):
                return await client.sources.describe(name)

        return acall if caller.kind == "async" else call

    caller.together([one(name) for name in names])
    for name in names:
        (ours,) = seen.parts_of(seen.one(name))
        (attempt,) = seen.parts_of(ours)
        assert about(attempt, "url.path") == (f"/v3/sources/{name}",)


def test_who_waits_for_a_login_is_led_to_the_one_who_logs_in(caller: Caller, seen: Seen) -> None:
    """The login is held until the other waits."""
    waits = seen.begun("wait login")
    token = Response(
        status=201, headers={"x-subject-token": "t"}, body=b'{"token": {"expires_at": "2099-01-01T00:00:00Z"}}'
    )

    def answer(request: Request) -> Any:
        if request.method == "GET":
            return SOURCE
        if caller.kind == "async":
            return when_it_waits()
        assert waits.wait(PATIENCE)
        return token

    async def when_it_waits() -> Response:
        assert await asyncio.to_thread(waits.wait, PATIENCE)
        return token

    client = caller.connect("huawei_sms", transport=Service(answer), **LOGIN)
    caller.together([lambda: client.sources.describe("s-1"), lambda: client.sources.describe("s-2")])
    login, wait = seen.one("huawei_sms log_in"), seen.one("wait login")
    assert [link.context.span_id for link in wait.links] == [login.context.span_id]
    assert wait.parent
    assert login.parent
    assert wait.parent.span_id != login.parent.span_id
    assert about(wait, "migrate.wait.reason", "migrate.outcome") == ("login", "success")
    assert seen.counted("migrate.logins") == [({"migrate.provider": "huawei_sms", "migrate.outcome": "success"}, 1)]


def test_who_need_not_wait_for_a_login_has_no_span_of_it(caller: Caller, served: Simulator, seen: Seen) -> None:
    client = caller.connect("huawei_sms", **served.settings("login"), clock=served.clock)
    caller.list(client.sources.list())
    assert seen.named("huawei_sms log_in")
    assert not seen.named("wait login")


def test_a_wait_has_a_part_for_each_look_at_the_task(caller: Caller, clock: VirtualClock, seen: Seen) -> None:
    simulator = new_simulator("vmware_srm", clock=clock, task_seconds=5.0)
    (pairing_id,) = simulator.add_pairings(1)
    client = caller.connect("vmware_srm", **simulator.settings(), clock=clock)
    begun = clock.monotonic()
    task = caller(client.pairings.delete(pairing_id))
    seen.spans.clear()
    caller(task.wait())

    wait = seen.one("vmware_srm wait")
    assert about(wait, "migrate.task.count", "migrate.task.id", "migrate.operation") == (1, task.id, "delete_pairing")
    looks = seen.parts_of(wait)
    assert {look.name for look in looks} == {"vmware_srm get_task"}
    assert len(looks) > 2
    assert seconds(wait) == pytest.approx(clock.monotonic() - begun)
    (last,) = about(looks[-1], "migrate.task.status")
    assert last == "success"
    assert all(about(look, "migrate.task.progress")[0] is not None for look in looks)
    caller(task.wait())
    assert seen.one("vmware_srm wait") is wait


def test_a_wait_for_many_is_one_span(caller: Caller, clock: VirtualClock, seen: Seen) -> None:
    simulator = new_simulator("vmware_srm", clock=clock)
    client = caller.connect("vmware_srm", **simulator.settings(), clock=clock)
    tasks = [caller(client.pairings.delete(pairing_id)) for pairing_id in simulator.add_pairings(3)]
    seen.spans.clear()
    caller(client.tasks.wait_all(tasks))
    wait = seen.one("vmware_srm wait")
    assert about(wait, "migrate.task.count", "migrate.task.id") == (3, None)
    looks = [span for span in seen.spans if span.name == "vmware_srm get_task"]
    assert len(looks) >= 3
    assert looks == sorted(seen.parts_of(wait), key=looks.index)


def test_what_makes_several_calls_is_the_parent_of_them(caller: Caller, clock: VirtualClock, seen: Seen) -> None:
    simulator = new_simulator("huawei_sms", clock=clock)
    client = caller.connect("huawei_sms", **simulator.settings(), clock=clock, on_ambiguous="reconcile")
    caller(client.sources.register(simulator.source_spec()))
    caller(client.check())
    (register,) = seen.parts_of(seen.one("huawei_sms reconcile"))
    assert [part.name for part in seen.parts_of(register)] == ["GET", "POST"]
    parts = [part.name for part in seen.parts_of(seen.one("huawei_sms check"))]
    assert parts == ["huawei_sms list_sources", "huawei_sms check_logins"]


@pytest.mark.parametrize(
    ("provider", "spans"), [("vmware_srm", {"DELETE", "vmware_srm log_out"}), ("huawei_sms", set())]
)
def test_the_end_of_a_client_has_a_span_where_it_logs_out(
    provider: str, spans: set[str], caller: Caller, clock: VirtualClock, seen: Seen
) -> None:
    simulator = new_simulator(provider, clock=clock)
    client = caller.connect(provider, **simulator.settings(), clock=clock)
    caller(client.check())
    seen.spans.clear()
    caller(client.close())
    assert {span.name for span in seen.spans} == spans


def test_a_call_that_is_cancelled_ends_all_its_spans_as_interrupted(seen: Seen) -> None:
    sent = asyncio.Event()

    async def never() -> Response:
        sent.set()
        await asyncio.Event().wait()
        return SOURCE

    async def give_up() -> None:
        async with mc.connect_async("huawei_sms", transport=Service(lambda _: never()), **HERE) as client:
            call = asyncio.create_task(client.sources.describe("s-1"))
            await sent.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

    asyncio.run(give_up())
    spans = (seen.one("GET"), seen.one("huawei_sms describe_source"))
    assert [about(span, "migrate.outcome", "error.type") for span in spans] == [("interrupted", "CancelledError")] * 2


def test_a_call_that_is_closed_in_another_context_ends_its_spans_and_leaves_that_context_as_it_was(
    seen: Seen, caplog: pytest.LogCaptureFixture
) -> None:
    async def never() -> Response:
        await asyncio.Event().wait()
        return SOURCE

    async def abandon() -> None:
        client = mc.connect_async("huawei_sms", transport=Service(lambda _: never()), **HERE)
        call = client.sources.describe("s-1")
        contextvars.copy_context().run(call.send, None)  # as far as the transport
        with trace.get_tracer("the program").start_as_current_span("elsewhere") as elsewhere:
            call.close()
            assert trace.get_current_span() is elsewhere
        await client.close()

    asyncio.run(abandon())
    spans = (seen.one("GET"), seen.one("huawei_sms describe_source"))
    assert [about(span, "migrate.outcome") for span in spans] == [("interrupted",)] * 2
    assert not [record for record in caplog.records if record.name.startswith("opentelemetry")]


# Metrics.


def test_calls_attempts_and_retries_are_counted(caller: Caller, served: Simulator, seen: Seen) -> None:
    (source_id,) = served.add_sources(1)
    served.faults.answer(429, headers={"Retry-After": "5"})
    client = caller.connect("huawei_sms", **served.settings(), clock=served.clock)
    for _ in range(3):
        caller(client.sources.describe(source_id))
    with pytest.raises(mc.NotFoundError):
        caller(client.sources.describe("nobody"))

    common = {"migrate.provider": "huawei_sms", "migrate.operation": "describe_source"}
    good, bad = {"migrate.outcome": "success"}, {"migrate.outcome": "error"}
    not_found = {**bad, "error.type": "NotFoundError"}
    assert seen.counted("migrate.call.duration") == [
        ({**common, **good}, (3, 5.0)),
        ({**common, **not_found}, (1, 0.0)),
    ]
    status = "http.response.status_code"
    assert seen.counted("migrate.attempts") == [
        ({**common, **bad, "error.type": "RateLimitedError", status: 429}, 1),
        ({**common, **good, status: 200}, 3),
        ({**common, **not_found, status: 400}, 1),
    ]
    assert seen.counted("migrate.retries") == [({**common, "migrate.retry.reason": "RateLimitedError"}, 1)]


def test_metrics_need_no_traces(
    caller: Caller, clock: VirtualClock, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    client = caller.connect("huawei_sms", transport=Service(lambda _: SOURCE), clock=clock, **HERE)
    caller(client.sources.describe("s-1"))
    assert [count for _, (count, _) in seen.counted("migrate.call.duration")] == [1]
    assert seen.spans == []


# Logs.


def test_a_log_record_has_its_parts_as_fields(
    caller: Caller, served: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "migrate_core")
    (source_id,) = served.add_sources(1)
    served.faults.add(faults.Delay(2.0), call=2)
    served.faults.answer(429, '{"error_msg": "slower", "request_id": "r-1"}', headers={"Retry-After": "5"})
    client = caller.connect("huawei_sms", **served.settings(), clock=served.clock)
    caller(client.sources.describe(source_id))
    names = ("provider", "operation", "attempt", "status", "request_id", "seconds")
    records = [record for record in caplog.records if record.name == "migrate_core"]
    common = ("huawei_sms", "describe_source")
    assert [tuple(getattr(record, name, None) for name in names) for record in records] == [
        (*common, 1, 429, "r-1", 0.0),
        (*common, 1, 429, "r-1", None),
        (*common, 2, 200, None, 2.0),
    ]
    assert {record.funcName for record in records} == {"_attempt", "_send"}


# Secrets.


@pytest.mark.parametrize(
    ("provider", "kind"), [("huawei_sms", "token"), ("huawei_sms", "login"), ("vmware_srm", ""), ("aws_mgn", "")]
)
def test_no_secret_and_no_query_is_told(
    provider: str, kind: str, caller: Caller, clock: VirtualClock, seen: Seen, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    simulator = new_simulator(provider, clock=clock)
    simulator.new_secret = lambda: f"{CANARY}-{simulator.new_id()}"  # type: ignore[method-assign]  # as is meant
    settings = simulator.settings(kind)
    secrets = [settings[name] for name in ("token", "password", "secret_key", "peer_password") if name in settings]
    client = caller.connect(provider, **settings, clock=clock)

    def list_all() -> None:
        caller.list(client.pairings.list() if provider == "vmware_srm" else client.sources.list())

    list_all()
    echo = json.dumps({name: secrets[0] for name in ("request_id", "opID", "error_code", "error_msg", "message")})
    headers = {f"x-{name}": secrets[0] for name in ("request-id", "amzn-requestid", "amzn-errortype")}
    simulator.faults.answer(403, echo, headers=headers, times=9)
    with pytest.raises(mc.ApiError):
        list_all()

    spans = [span.to_json() for span in seen.spans]
    counted = cast(Any, seen.reader.get_metrics_data()).to_json()
    records = [str(vars(record)) for record in caplog.records]
    assert len(spans) >= 4
    assert len(records) >= 2
    assert any(entry.query for entry in simulator.journal) is (provider != "aws_mgn")
    for text in (*spans, counted, *records):
        assert not sings(text)
        assert not any(secret in text for secret in secrets)
    assert "?" not in "".join(spans) + counted


# Those who do not use it.


def test_an_observer_that_looks_at_nothing_gives_back_what_it_is_given() -> None:
    observer, steps = Observer(), cast(Any, object())
    assert observer.call("describe_source", steps) is steps
    assert observer.attempt(None, Request(method="GET", path="/", repeatable=True), None, steps) is steps
    assert observer.login(steps) is steps
    assert observer.wait() is observer.wait()


def test_nothing_is_observed_nor_loaded_unless_the_program_has_set_it_up() -> None:
    code = """
import sys
import migrate_core as mc
from migrate_core._engine import Observer
from migrate_core.testing import new_simulator

def observer_of_a_new_client():
    simulator = new_simulator("huawei_sms")
    with mc.connect("huawei_sms", **simulator.settings()) as client:
        list(client.sources.list())
        return type(client._engine.observer)

assert observer_of_a_new_client() is Observer
assert not [name for name in sys.modules if name.startswith(("opentelemetry", "migrate_core._telemetry"))]
from opentelemetry import trace  # as some library may
assert observer_of_a_new_client() is Observer
assert "opentelemetry.sdk" not in sys.modules
trace.set_tracer_provider(trace.NoOpTracerProvider())
assert observer_of_a_new_client() is Observer
"""
    subprocess.run([sys.executable, "-c", code], check=True)
