"""Flows do no I/O: they neither wait nor ask anybody but by what they yield."""

from __future__ import annotations

import functools
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import pytest

import migrate_core as mc
from migrate_core._contract import overrides
from migrate_core.provider import BaseProvider, Flow, Response, TaskInfo
from migrate_core.testing._conformance.bench import WITH_ID, Bench

_IO = ("open", "socket.connect", "socket.getaddrinfo", "socket.sendto", "subprocess.Popen", "os.system", "time.sleep")
_CODE = (".py", ".pyc", ".so", ".pyd")
_QUESTIONS = ("refresh_credentials", "check_logins", "close_session")
_PLAIN = ("has_credentials", "can_renew", "authenticate", "error_from")


class Flows:
    """What happens between two requests.

    Attributes:
        longest_step: seconds that a flow may take from one request to the next.
    """

    longest_step: ClassVar[float] = 1.0

    def test_a_flow_neither_blocks_nor_does_io(self, bench: Bench) -> None:
        """Watch each step of each flow: it takes less than a second, and opens no file, socket or process."""
        first, second = _watched_all(bench), _watched_all(bench)
        assert first.steps, "no flow was seen"
        assert not first.io, "a flow does I/O; load_credentials() is the place for it"
        longest = {name: min(seconds, second.steps[name]) for name, seconds in first.steps.items()}  # machines stall
        slow = {name: f"{seconds:.2f} s" for name, seconds in longest.items() if seconds > self.longest_step}
        assert not slow, f"a step of a flow takes longer than {self.longest_step:g} s"

    def test_a_flow_holds_nothing_between_calls(self, bench: Bench) -> None:
        """Let two flows of an operation take turns, step by step: neither sees anything of the other."""
        bench.warm()
        for operation in bench.among(tuple(WITH_ID)):
            recorded = [_recorded(bench, operation) for _ in range(2)]
            alone = [_taking_turns([one])[0] for one in recorded]
            assert _taking_turns(recorded) == alone, f"{operation.value}: two flows disturb each other"


def _recorded(bench: Bench, operation: mc.Operation) -> tuple[Callable[[], Flow[Any]], list[Response]]:
    """Carry out an operation; gives what makes its flow again, and the answers that it had."""
    identity = bench.subject(operation)
    with bench.wire.planned():
        bench.caller(bench.call_with(operation, identity)())
        answers = bench.wire.answers
    about = TaskInfo(id=identity) if operation in (mc.Operation.GET_TASK, mc.Operation.CANCEL_TASK) else identity
    return functools.partial(getattr(bench.client._provider, operation.value), about), answers


def _taking_turns(recorded: Sequence[tuple[Callable[[], Flow[Any]], list[Response]]]) -> list[Any]:
    """Run flows side by side, a step at a time, on answers that they had before; gives their results."""
    flows = [(number, begin(), iter((None, *answers))) for number, (begin, answers) in enumerate(recorded)]
    results: list[Any] = [None] * len(flows)
    while flows:
        for entry in list(flows):
            number, flow, answers = entry
            try:
                flow.send(next(answers, None))  # type: ignore[arg-type]  # the first step takes None
            except StopIteration as stop:
                results[number] = stop.value
                flows.remove(entry)
            except mc.MigrateError as error:
                pytest.fail(f"a flow that takes turns with another one raises {error!r}")
    return results


def _watched_all(bench: Bench) -> _Watch:
    """Watch every flow of a provider once."""
    watch = _Watch()
    provider = watch.over(bench.provider)
    for kind in bench.simulator.kinds:
        client = bench.connect(kind, provider=provider)
        for operation in bench.among(tuple(mc.Operation)):
            bench.over(bench.do(operation, client))
    return watch


class _Watch:
    """Watches flows of a provider.

    Attributes:
        steps: the longest step of each flow, in seconds.
        io: what they did that only transports do.
    """

    _active = threading.local()
    _installed = False

    def __init__(self) -> None:
        self.steps: dict[str, float] = {}
        self.io: set[str] = set()
        if not _Watch._installed:
            sys.addaudithook(_Watch._heard)
            _Watch._installed = True

    @staticmethod
    def _heard(event: str, arguments: Any) -> None:
        told: Callable[[str], None] | None = getattr(_Watch._active, "told", None)
        if told and event in _IO and not (event == "open" and str(arguments[0]).endswith(_CODE)):
            told(f"{event}({arguments[0]!r})" if arguments else event)

    def over(self, provider: type[BaseProvider]) -> type[BaseProvider]:
        """Give a class whose flows are watched."""
        names = [operation.value for operation in mc.Operation if overrides(provider, operation)]
        watched = {name: self._watched(getattr(provider, name)) for name in (*names, *_QUESTIONS, *_PLAIN)}
        return type(provider.__name__, (provider,), watched)

    def _watched(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def flow(*arguments: Any) -> Generator[Any, Any, Any]:
            with self._step(method.__name__):
                inner = method(*arguments)
            resume, value = inner.send, None
            while True:
                try:
                    with self._step(method.__name__):
                        request = resume(value)
                except StopIteration as stop:
                    return stop.value
                try:
                    resume, value = inner.send, (yield request)
                except Exception as error:
                    resume, value = inner.throw, error

        @functools.wraps(method)
        def plain(*arguments: Any, **more: Any) -> Any:
            with self._step(method.__name__):
                return method(*arguments, **more)

        return plain if method.__name__ in _PLAIN else flow

    @contextmanager
    def _step(self, name: str) -> Generator[None]:
        begun = time.perf_counter()
        _Watch._active.told = lambda what: self.io.add(f"{name}: {what}")
        try:
            yield
        finally:
            _Watch._active.told = None
            self.steps[name] = max(self.steps.get(name, 0.0), time.perf_counter() - begun)
