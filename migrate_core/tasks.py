"""Tasks: what every changing call returns, and how one waits for its end."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import attrs

from migrate_core import _poll
from migrate_core._engine import Engine, Lock, Steps, capability_of
from migrate_core.errors import (
    InvalidArgumentError,
    MigrateError,
    TaskCancelledError,
    TaskFailedError,
    TaskNeedsInputError,
    TaskTimeoutError,
)
from migrate_core.operations import Operation, Support
from migrate_core.provider import Page, TaskFailure, TaskInfo, TaskStatus

if TYPE_CHECKING:
    from migrate_core.aio import AsyncClient
    from migrate_core.client import Client

__all__ = ["AsyncTask", "Task"]

T = TypeVar("T")

_PREFIX = "mct1."
_MOST_TOKENS = 20
"""How many tokens an interrupted wait names."""


def token_for(provider: str, info: TaskInfo) -> str:
    """Write down what resumes a task in another process; of a finished one, also how it ended."""
    known: dict[str, Any] = {"p": provider, "i": info.id}
    if info.operation:
        known["o"] = info.operation.value
    if info.entity_id is not None:
        known["e"] = info.entity_id
    if info.status.terminal:
        known["s"] = info.status.value
        if info.result is not None:
            known["r"] = info.result
        if info.error:
            known["f"] = [info.error.message, info.error.details, info.error.code]
    text = json.dumps(known, separators=(",", ":"))
    return _PREFIX + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def started(info: TaskInfo, operation: Operation) -> TaskInfo:
    """Let a task say what it is for, where the plug-in left that to us."""
    return info if info.operation else attrs.evolve(info, operation=operation)


def info_from(provider: str, token: str) -> TaskInfo:
    """Read a token, or take the text as a vendor's own task id.

    Raises:
        InvalidArgumentError: it is a token, but damaged or another provider's.
    """
    if not isinstance(token, str):
        raise InvalidArgumentError(f"a task is named by text, not {type(token).__name__}")
    if not token.startswith(_PREFIX):
        return TaskInfo(id=token)
    text = token.removeprefix(_PREFIX)
    try:
        known = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
        owner = known["p"]
        info = TaskInfo(
            id=_text(known["i"]),
            operation=Operation(known["o"]) if "o" in known else None,
            status=TaskStatus(known.get("s", "unknown")),
            entity_id=_text(known["e"]) if "e" in known else None,
            result=known.get("r"),
            error=TaskFailure(*map(_text, known["f"])) if "f" in known else None,
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InvalidArgumentError("this task token is damaged") from None
    if owner != provider:
        raise InvalidArgumentError(f"this task token belongs to provider {owner!r}, not {provider!r}")
    return info


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


class _TaskView(Generic[T]):
    """What is known of a task, and what waiting for it means; the shells add sending and sleeping."""

    def __init__(self, engine: Engine, info: TaskInfo) -> None:
        self._engine = engine
        self._info = info

    @property
    def info(self) -> TaskInfo:
        """All that was last known of the task."""
        return self._info

    @property
    def id(self) -> str:
        """The vendor's id; ``""`` when the vendor answered at once."""
        return self._info.id

    @property
    def token(self) -> str:
        """Text that resumes the task in another process; it holds no secret."""
        return token_for(self._engine.provider.name, self._info)

    @property
    def status(self) -> TaskStatus:
        """The status as last seen."""
        return self._info.status

    @property
    def progress(self) -> float | None:
        """Percent, as last seen; ``None`` when the vendor does not say."""
        return self._info.progress

    @property
    def done(self) -> bool:
        """Whether the task has ended, in whatever way."""
        return self._info.status.terminal

    @property
    def error(self) -> TaskFailure | None:
        """Why the task failed."""
        return self._info.error

    def __repr__(self) -> str:
        progress = f" {self.progress:g}%" if self.progress is not None else ""
        operation = f" {self._info.operation.value}" if self._info.operation else ""
        return f"<{type(self).__name__}{operation} {self.id!r} {self.status.name}{progress}>"

    def _look(self, last: TaskInfo, timeout: float) -> Steps[TaskInfo]:
        provider = self._engine.provider
        seen = yield from self._engine.call_within(
            min(timeout, provider.settings.timeout), Operation.GET_TASK, provider.get_task, last
        )
        return _poll.merged(seen, last)

    def _refreshed(self) -> Steps[None]:
        if not self.done:
            self._info = yield from self._look(self._info, self._engine.provider.settings.timeout)

    def _cancelled(self) -> Steps[None]:
        provider = self._engine.provider
        self._engine.check(Operation.CANCEL_TASK)
        if not self.done:
            seen = yield from self._engine.call(Operation.CANCEL_TASK, provider.cancel_task, self._info)
            self._info = _poll.merged(seen, self._info)

    def _ended(self, timeout: float | None, on_progress: Callable[[], object]) -> Steps[T]:
        yield from _poll.watch(self._watched(on_progress), clock=self._engine.clock, timeout=timeout)
        return self._result(timeout)

    def _watched(self, on_progress: Callable[[], object]) -> _poll.Watch:
        def on_look(info: TaskInfo) -> None:
            self._info = info
            on_progress()

        return _poll.Watch(self._info, self._look, on_look, clock=self._engine.clock, rng=self._engine.rng)

    def _result(self, timeout: float | None) -> T:
        info = self._info
        what = f"{info.operation.value} task" if info.operation else "task"
        if info.status is TaskStatus.SUCCESS:
            return info.result  # type: ignore[no-any-return]  # the operation fixes T, the wire cannot
        if info.status is TaskStatus.ERROR:
            reason = info.error or TaskFailure("the vendor gives no reason")
            details = f" ({reason.details})" if reason.details else ""
            raise TaskFailedError(f"{what} {info.id} failed: {reason.message}{details}", info, self.token)
        if info.status is TaskStatus.CANCELLED:
            raise TaskCancelledError(f"{what} {info.id} was cancelled", info, self.token)
        if info.needs_input:
            raise TaskNeedsInputError(f"{what} {info.id} waits for a person's input", info, self.token)
        raise TaskTimeoutError(
            f"{what} {info.id} is {info.status.name} after {timeout:g} s of waiting; it goes on, "
            f"resume it with client.tasks.get({self.token!r})",
            info,
            self.token,
        )

    def _observed(self) -> AbstractContextManager[None]:
        return self._engine.observer.wait(self._info)

    @contextmanager
    def _token_noted(self) -> Generator[None]:
        """Whatever interrupts a wait, Ctrl-C or a cancellation, says how to go on with the task."""
        try:
            yield
        except BaseException as error:
            if not self.done:
                error.add_note(f"the task goes on; resume it with client.tasks.get({self.token!r})")
            raise


class Task(_TaskView[T]):
    """One asynchronous operation at the vendor, perhaps finished already.

    Reading `id`, `token`, `status`, `progress`, `done` and `error` costs no request.
    """

    def __init__(self, client: Client, info: TaskInfo) -> None:
        super().__init__(client._engine, info)
        self._client = client

    def refresh(self) -> None:
        """Look at the task once; a finished one is not looked at again.

        Raises:
            NotFoundError: the vendor no longer knows the task.
        """
        self._client._run(self._refreshed())

    def wait(self, timeout: float | None = 3600.0, on_progress: Callable[[Task[T]], object] | None = None) -> T:
        """Wait for the end.

        Args:
            timeout: seconds to wait; ``None`` waits for ever. Giving up cancels nothing.
            on_progress: called with this task after each look.

        Returns:
            The result; of register the source id, else what the vendor gives.

        Raises:
            TaskFailedError: it failed.
            TaskCancelledError: somebody cancelled it.
            TaskTimeoutError: it has not ended by then; it goes on.
            TaskNeedsInputError: it waits for a person.
        """
        with self._observed(), self._token_noted():
            return self._client._run(self._ended(timeout, lambda: on_progress(self) if on_progress else None))

    def cancel(self) -> None:
        """Ask the vendor to end the task; it may still succeed.

        Raises:
            UnsupportedOperationError: the vendor cannot cancel tasks.
        """
        self._client._run(self._cancelled())


class AsyncTask(_TaskView[T]):
    """One asynchronous operation at the vendor, perhaps finished already.

    Reading `id`, `token`, `status`, `progress`, `done` and `error` costs no request.
    """

    def __init__(self, client: AsyncClient, info: TaskInfo) -> None:
        super().__init__(client._engine, info)
        self._client = client

    async def refresh(self) -> None:
        """Look at the task once, as `Task.refresh` does."""
        await self._client._run(self._refreshed())

    async def wait(
        self, timeout: float | None = 3600.0, on_progress: Callable[[AsyncTask[T]], object] | None = None
    ) -> T:
        """Wait for the end, as `Task.wait` does."""
        with self._observed(), self._token_noted():
            return await self._client._run(self._ended(timeout, lambda: on_progress(self) if on_progress else None))

    async def cancel(self) -> None:
        """Ask the vendor to end the task, as `Task.cancel` does."""
        await self._client._run(self._cancelled())


class WaitForAll(Generic[T]):
    """One wait for many tasks of one client; the shells add sending and sleeping, and perhaps several workers.

    Args:
        engine: the client's engine.
        tasks: the tasks.
        timeout: seconds; ``None`` waits for ever.
        on_progress: called with a task after each look at it.
        lock: a lock of the client's own kind.

    Raises:
        InvalidArgumentError: a task belongs to another client.
    """

    def __init__(
        self,
        engine: Engine,
        tasks: Iterable[_TaskView[T]],
        timeout: float | None,
        on_progress: Callable[[Any], object] | None,
        lock: Lock,
    ) -> None:
        self._engine = engine
        self._tasks = tuple(tasks)
        self._timeout = timeout
        stranger = next((task for task in self._tasks if task._engine is not engine), None)
        if stranger is not None:
            raise InvalidArgumentError(f"task {stranger.id} belongs to another client, which can wait for it")
        self._watches = {
            task: task._watched(partial(on_progress, task) if on_progress else _nothing) for task in self._tasks
        }
        offered = capability_of(engine.provider, Operation.LIST_TASKS)
        self._schedule = _poll.Schedule(
            self._watches.values(),
            clock=engine.clock,
            timeout=timeout,
            lock=lock,
            list_page=self._page if offered.support is Support.FULL else None,
        )

    @property
    def workers(self) -> int:
        """How many workers have something to do."""
        waiting = sum(not watch.over for watch in self._watches.values())
        useful = min(_poll.AT_ONCE, math.ceil(self._engine.provider.settings.rate_limit or _poll.AT_ONCE))
        return min(waiting, useful)  # more than may look in a second would only stand in line

    def observed(self) -> AbstractContextManager[None]:
        """Give what the wait happens in, for whoever observes it."""
        return self._engine.observer.wait(*(task.info for task in self._tasks))

    def work(self) -> Steps[None]:
        """Do the work of one worker: look at tasks until none is left or the time is over."""
        return self._schedule.work()

    def results(self) -> tuple[T, ...]:
        """Give the results in the order of the tasks.

        Raises:
            ExceptionGroup: the errors of those that did not succeed.
        """
        results: list[T] = []
        errors: list[MigrateError] = []
        for task in self._tasks:
            try:
                results.append(self._result(task))
            except MigrateError as error:
                errors.append(error)
        if errors:
            raise ExceptionGroup(f"{len(errors)} of {len(self._tasks)} tasks did not end in success", errors)
        return tuple(results)

    def _result(self, task: _TaskView[T]) -> T:
        lost = self._watches[task].error
        if lost is None:
            return task._result(self._timeout)
        with task._token_noted():
            raise lost

    def _page(self, cursor: str | None, timeout: float) -> Steps[Page[TaskInfo]]:
        provider = self._engine.provider
        return self._engine.call_within(
            min(timeout, provider.settings.timeout), Operation.LIST_TASKS, provider.list_tasks, cursor
        )

    @contextmanager
    def tokens_noted(self) -> Generator[None]:
        """Whatever interrupts the wait says how to go on with the tasks that have not ended."""
        try:
            yield
        except BaseException as error:
            tokens = [task.token for task in self._watches if not task.done]
            if tokens:
                named = "".join(f"\n  {token}" for token in tokens[:_MOST_TOKENS])
                more = f"\n  and {len(tokens) - _MOST_TOKENS} more" if len(tokens) > _MOST_TOKENS else ""
                error.add_note(f"{len(tokens)} tasks go on; resume each with client.tasks.get():{named}{more}")
            raise


def _nothing() -> None:
    """Nobody wants to know."""
