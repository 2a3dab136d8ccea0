"""The client for threads, and its resources. `aio` holds the same for an event loop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ParamSpec, Self, TypeVar

import attrs

from migrate_core._check import checks
from migrate_core._engine import Acquire, Effect, Engine, Send, Sleep, Steps, Within, Work, capability_of
from migrate_core._paging import Listed, Pages
from migrate_core.clock import Clock, Deadline
from migrate_core.errors import ConfigurationError, DeadlineExceededError
from migrate_core.models import Check, Pairing, PairingSpec, SourceServer, SourceSpec
from migrate_core.operations import Capability, Operation
from migrate_core.provider import BaseProvider, Flow, Page, Request, TaskInfo
from migrate_core.tasks import Task, WaitForAll, info_from, started
from migrate_core.transports import Transport

__all__ = ["Client", "Pairings", "Sources", "Targets", "Tasks"]

P = ParamSpec("P")
T = TypeVar("T")
L = TypeVar("L", bound=Listed)


class BaseClient:
    """What both clients are: a provider, and an engine that runs its flows."""

    def __init__(self, provider: BaseProvider, engine: Engine) -> None:
        self._provider = provider
        self._engine = engine
        self._closed = False

    @property
    def provider(self) -> str:
        """Name of the provider."""
        return self._provider.name

    @property
    def capabilities(self) -> Mapping[Operation, Capability]:
        """What the provider offers, for every operation; costs no request."""
        return {operation: capability_of(self._provider, operation) for operation in Operation}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.provider}>"

    def _with_options(self, spec: SourceSpec, options: Mapping[str, Any]) -> SourceSpec:
        spec = attrs.evolve(spec, options={**spec.options, **options})
        self._engine.check(Operation.REGISTER_SOURCE, spec.options)
        return spec

    def _registered(self, spec: SourceSpec) -> Steps[TaskInfo]:
        if self._provider.settings.on_ambiguous == "raise":
            return self._engine.call(Operation.REGISTER_SOURCE, self._provider.register_source, spec)
        from migrate_core._registering import registered_once

        return self._engine.observer.call("reconcile", registered_once(self._engine, spec))

    def _preview(self, spec: SourceSpec) -> Request:
        return self._engine.preview(Operation.REGISTER_SOURCE, self._provider.register_source, spec)


class Client(BaseClient):
    """A connection to one vendor's control plane; threads may share it.

    `migrate_core.connect` makes one. Use it as a context manager, or call `close`.

    Attributes:
        sources: source servers.
        targets: target servers.
        pairings: site pairings.
        tasks: asynchronous operations at the vendor.
    """

    def __init__(self, provider: BaseProvider, transport: Transport, clock: Clock) -> None:
        super().__init__(provider, Engine(provider, clock, threading.Lock()))
        self._transport = transport
        self.sources = Sources(self)
        self.targets = Targets(self)
        self.pairings = Pairings(self)
        self.tasks = Tasks(self)

    def check(self) -> tuple[Check, ...]:
        """Log in, and try what can be tried without changing anything.

        Returns:
            A check for each list that the provider offers, and for each further login. What failed is an ERROR whose
            code is the name of the error's class; nothing is raised for it.
        """
        return self._run(self._engine.observer.call("check", checks(self._engine)))

    def close(self) -> None:
        """Log out and close all connections; takes at most about 2 s and raises nothing."""
        if not self._closed:
            try:
                self._run(self._engine.log_out())
            finally:
                self._closed = True
                self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, steps: Steps[T]) -> T:
        """Perform the effects that `steps` asks for."""
        if self._closed:
            raise ConfigurationError("this client is closed")
        try:
            effect = next(steps)
            while True:
                try:
                    answer = self._perform(effect)
                except BaseException as error:
                    effect = steps.throw(error)
                else:
                    effect = steps.send(answer)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]  # StopIteration is not generic; Steps[T] returns T

    def _perform(self, effect: Effect) -> Any:
        match effect:
            case Send(request, deadline):
                return self._transport.send(request, deadline)
            case Sleep(seconds):
                return self._engine.clock.sleep(seconds)
            case Acquire(lock, deadline):
                return _acquire(lock, deadline)
            case Work(function):
                return function()
            case Within(scope, inner):
                with scope():
                    return self._perform(inner)

    def _call(self, operation: Operation, verb: Callable[P, Flow[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._run(self._engine.call(operation, verb, *args, **kwargs))

    def _change(
        self, operation: Operation, verb: Callable[P, Flow[TaskInfo]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Task[Any]:
        return Task(self, started(self._call(operation, verb, *args, **kwargs), operation))

    def _list(self, operation: Operation, verb: Callable[[str | None], Flow[Page[L]]]) -> Iterator[L]:
        self._engine.check(operation)

        def items() -> Iterator[L]:
            pages: Pages[L] = Pages()
            while pages.more:
                yield from pages.fresh(self._call(operation, verb, pages.cursor))

        return items()


def _acquire(lock: Any, deadline: Deadline) -> None:
    seconds = min(deadline.remaining(), threading.TIMEOUT_MAX)
    if not lock.acquire(timeout=seconds):
        raise DeadlineExceededError("the time was over while another caller was logging in")


class _Resource:
    def __init__(self, client: Client) -> None:
        self._client = client
        self._provider = client._provider


class Sources(_Resource):
    """Source servers: the machines to be moved."""

    def register(self, spec: SourceSpec, **options: Any) -> Task[str]:
        """Register a machine as a source.

        Args:
            spec: the machine.
            options: options of the provider's register operation; they win over ``spec.options``.

        With the setting ``on_ambiguous="reconcile"``, the machine is looked up first, and again when an answer is lost;
        one that is there is adopted and not registered a second time.

        Returns:
            A task whose result is the source's id.

        Raises:
            ConfigurationError: ``on_ambiguous="reconcile"``, and the provider cannot look a machine up.
            InvalidDocumentError: the document breaks the vendor's rules; all faults are listed, nothing was sent.
            UnsupportedOperationError: the provider does not register machines.
            UnsupportedOptionError: it takes no such option.
            OutcomeUnknownError: it was sent, the answer was lost, and what became of it is not to be found out; or
                several sources look like the machine.
        """
        spec = self._client._with_options(spec, options)
        info = self._client._run(self._client._registered(spec))
        return Task(self._client, started(info, Operation.REGISTER_SOURCE))

    def preview(self, spec: SourceSpec, **options: Any) -> Request:
        """Check a machine as `register` does, and give the request that would be sent; nothing is.

        Args:
            spec: the machine.
            options: options of the provider's register operation; they win over ``spec.options``.

        Returns:
            The request, without credentials.

        Raises:
            InvalidDocumentError: the document breaks the vendor's rules; all faults are listed.
            UnsupportedOperationError: the provider does not register machines.
            UnsupportedOptionError: it takes no such option.
        """
        return self._client._preview(self._client._with_options(spec, options))

    def describe(self, source_id: str) -> SourceServer:
        """Describe one source.

        Raises:
            NotFoundError: there is no such source.
        """
        return self._client._call(Operation.DESCRIBE_SOURCE, self._provider.describe_source, source_id)

    def list(self) -> Iterator[SourceServer]:
        """Iterate over all sources; pages are fetched as they are needed."""
        return self._client._list(Operation.LIST_SOURCES, self._provider.list_sources)

    def delete(self, source_id: str) -> Task[Any]:
        """Delete the record of a source.

        Raises:
            NotFoundError: there is no such source.
            OutcomeUnknownError: it was sent, and the answer was lost.
        """
        return self._client._change(Operation.DELETE_SOURCE, self._provider.delete_source, source_id)


class Targets(_Resource):
    """Target servers: the machines that replications write to."""

    def unlock(self, replication_id: str) -> Task[Any]:
        """Unlock the target server of a replication.

        Args:
            replication_id: `Replication.id`; at Huawei Cloud that is the id of the migration task.

        Raises:
            NotFoundError: there is no such replication.
            OperationNotOfferedError: the service has withdrawn the call in this region.
            OutcomeUnknownError: it was sent, and the answer was lost.
        """
        return self._client._change(Operation.UNLOCK_TARGET, self._provider.unlock_target, replication_id)


class Pairings(_Resource):
    """Pairings: the trust between two sites."""

    def create(self, spec: PairingSpec) -> Task[Any]:
        """Pair the site with another one.

        Raises:
            InvalidDocumentError: the specification is not usable; nothing was sent.
            OutcomeUnknownError: it was sent, and the answer was lost.
        """
        return self._client._change(Operation.CREATE_PAIRING, self._provider.create_pairing, spec)

    def describe(self, pairing_id: str) -> Pairing:
        """Describe one pairing.

        Raises:
            NotFoundError: there is no such pairing.
        """
        return self._client._call(Operation.DESCRIBE_PAIRING, self._provider.describe_pairing, pairing_id)

    def list(self) -> Iterator[Pairing]:
        """Iterate over all pairings; pages are fetched as they are needed."""
        return self._client._list(Operation.LIST_PAIRINGS, self._provider.list_pairings)

    def delete(self, pairing_id: str) -> Task[Any]:
        """Break a pairing.

        Raises:
            NotFoundError: there is no such pairing.
            PeerAuthenticationRequiredError: the other site wants a login, and none is set.
            OutcomeUnknownError: it was sent, and the answer was lost.
        """
        return self._client._change(Operation.DELETE_PAIRING, self._provider.delete_pairing, pairing_id)


class Tasks(_Resource):
    """Tasks: asynchronous operations at the vendor."""

    def get(self, token: str) -> Task[Any]:
        """Resume a task, in another process if need be.

        Args:
            token: `Task.token`, or the vendor's own id of the task.

        Returns:
            The task, just looked at; that of a finished task's token needs no request.

        Raises:
            InvalidArgumentError: the token is damaged or another provider's.
            NotFoundError: the vendor does not know the task.
        """
        task: Task[Any] = Task(self._client, info_from(self._client.provider, token))
        task.refresh()
        return task

    def list(self) -> Iterator[Task[Any]]:
        """Iterate over the tasks that the vendor still lists."""
        infos = self._client._list(Operation.LIST_TASKS, self._provider.list_tasks)
        return (Task(self._client, info) for info in infos)

    def cancel(self, token: str) -> Task[Any]:
        """Ask the vendor to end a task.

        Args:
            token: `Task.token`, or the vendor's own id of the task.

        Raises:
            UnsupportedOperationError: the vendor cannot cancel tasks.
        """
        task: Task[Any] = Task(self._client, info_from(self._client.provider, token))
        task.cancel()
        return task

    def wait_all(
        self,
        tasks: Iterable[Task[T]],
        timeout: float | None = 3600.0,
        on_progress: Callable[[Task[T]], object] | None = None,
    ) -> tuple[T, ...]:
        """Wait for the ends of many tasks, with one schedule for all.

        Each is looked at as often as `Task.wait` would, the one that is due first before the others: one at a time,
        and under asyncio up to 20 side by side. Where the vendor lists tasks and many are due at once, a list is read
        in place of looking at each. What becomes of one task does not end the wait for the others.

        Args:
            tasks: tasks of this client; those that have ended cost no request.
            timeout: seconds to wait for all of them; ``None`` waits for ever. Giving up cancels nothing. When the time
                is over, each that has not ended is looked at once more, as far as that takes no more than 30 s.
            on_progress: called with a task after each look at it.

        Returns:
            The results, in the order of the tasks.

        Raises:
            ExceptionGroup: some did not succeed; it holds for each of them what `Task.wait` would have raised, and
                comes when there is nothing left to wait for. The tasks themselves say how each ended.
            AuthenticationError: the login was refused, for whichever task.
            TransportError: for minutes, the vendor could not be reached.
            RateLimitedError: for minutes, the vendor turned every look away.
        """
        wait = WaitForAll(self._client._engine, tasks, timeout, on_progress, threading.Lock())
        with wait.observed(), wait.tokens_noted():
            self._client._run(wait.work())
        return wait.results()
