"""Lanes: the connections to one endpoint, each used by one call at a time.

A call takes the free lane that was used last, which is the one most surely alive. If none is free it opens one, and if
there are as many as there may be it stands in line. Each of these steps costs the same however many calls are under
way, which cannot be said of the HTTP library's own pool: it looks at every connection for every call that waits.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from concurrent.futures import Future
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar

from migrate_core.errors import RequestNotSentError

if TYPE_CHECKING:  # threads do without it
    import asyncio


class Lane(Protocol):
    """One connection, for threads."""

    def usable(self) -> bool:
        """Tell whether it is open and nothing of an earlier call is left on it."""
        ...

    def close(self) -> None:
        """Close it, whatever its state."""
        ...


class AsyncLane(Protocol):
    """One connection, for an event loop."""

    def usable(self) -> bool:
        """Tell whether it is open and nothing of an earlier call is left on it."""
        ...

    async def close(self) -> None:
        """Close it, whatever its state; it is closed even if this is cancelled."""
        ...


L = TypeVar("L", bound=Lane | AsyncLane)
SyncL = TypeVar("SyncL", bound=Lane)
AsyncL = TypeVar("AsyncL", bound=AsyncLane)
_Turn: TypeAlias = "Future[Any] | asyncio.Future[Any]"  # settled with a lane, or with None: the right to open one


class _Lanes(Generic[L]):
    """Who gets which lane. Nothing here waits or closes: the lock is held for a moment only.

    What is to be closed is handed out, for the caller to close.
    """

    def __init__(self, opened: Callable[[], L], most: int, idle_seconds: float) -> None:
        self._opened = opened
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._unopened = most
        self._free: deque[tuple[float, L]] = deque()  # with the time since when; the one used last is the last one
        self._line: OrderedDict[_Turn, None] = OrderedDict()  # nobody stands here while a lane is free or unopened
        self._closed = False

    def _seize(self) -> tuple[L | None, Sequence[L]]:
        """Take the free lane that was used last, if there is one."""
        with self._lock:
            worn = self._worn()
            return (self._free.pop()[1] if self._free else None), worn

    def _ask(self, turn: _Turn) -> Sequence[L]:
        """Settle `turn`, or let it stand in line."""
        with self._lock:
            if self._closed:
                raise RequestNotSentError("the client is closed")
            worn = self._worn()
            if self._free:
                turn.set_result(self._free.pop()[1])
            elif self._unopened:
                self._unopened -= 1
                turn.set_result(None)
            else:
                self._line[turn] = None
        return worn

    def _leave(self, turn: _Turn) -> Sequence[L]:
        """Leave the line; what came at the last moment is passed on."""
        with self._lock:
            self._line.pop(turn, None)
            settled = turn.done() and not turn.cancelled() and turn.exception() is None
        return self._pass_on(turn.result(), whole=True) if settled else ()

    def _pass_on(self, lane: L | None, *, whole: bool) -> Sequence[L]:
        """Give a lane to the first in line, or keep it; if it was not left `whole`, only the right to open another."""
        with self._lock:
            good = lane if lane and whole and not self._closed else None
            if turn := self._first():
                good = good if good and good.usable() else None
                turn.set_result(good)
            elif good:
                self._free.append((time.monotonic(), good))
            else:
                self._unopened += 1
        return [lane] if lane and not good else ()

    def _shut(self) -> Sequence[L]:
        """Send the line away; a lane in use is closed when its call is over."""
        with self._lock:
            self._closed = True
            free = [lane for _, lane in self._free]
            self._free.clear()
            self._unopened += len(free)
            while turn := self._first():
                turn.set_exception(RequestNotSentError("the client was closed before a connection was free"))
        return free

    def _first(self) -> _Turn | None:
        """Take the first out of the line; in asyncio it may be cancelled already, and about to leave."""
        while self._line:
            turn, _ = self._line.popitem(last=False)
            if not turn.done():
                return turn
        return None

    def _worn(self) -> Sequence[L]:
        """Take out the lanes that were free for too long, and the last ones as far as the server has hung up."""
        worn = []
        while self._free and self._free[0][0] <= time.monotonic() - self._idle_seconds:
            worn.append(self._free.popleft()[1])
        while self._free and not self._free[-1][1].usable():
            worn.append(self._free.pop()[1])
        self._unopened += len(worn)
        return worn


class Lanes(_Lanes[SyncL]):
    """The lanes of one endpoint, shared by threads.

    Args:
        opened: makes a lane; it connects when it is used first.
        most: how many there may be at the same time.
        idle_seconds: how long one is kept that nobody uses.
    """

    @contextmanager
    def lane(self, until: float) -> Generator[SyncL]:
        """Give a lane to one call; unless the call ends well, the lane is closed after it.

        Args:
            until: when to stop waiting for it, by `time.monotonic`.

        Raises:
            TimeoutError: none was free in time.
            RequestNotSentError: the lanes are closed.
        """
        lane, worn = self._seize()
        whole = True
        try:
            _close(worn)
            lane = lane or self._wait(until)
            whole = False
            yield lane
            whole = True
        finally:
            if lane:
                _close(self._pass_on(lane, whole=whole))

    def _wait(self, until: float) -> SyncL:
        """Stand in line for a lane, or for the right to open one."""
        turn: Future[Any] = Future()
        try:
            _close(self._ask(turn))
            limit = min(max(0.0, until - time.monotonic()), threading.TIMEOUT_MAX)
            lane: SyncL = turn.result(limit) or self._opened()
        except BaseException:
            _close(self._leave(turn))
            raise
        return lane

    def close(self) -> None:
        """Close the free lanes now, the others when their calls are over."""
        _close(self._shut())


class AsyncLanes(_Lanes[AsyncL]):
    """The same for one event loop."""

    @asynccontextmanager
    async def lane(self) -> AsyncGenerator[AsyncL]:
        """Give a lane to one call, as `Lanes.lane` does; a cancel scope around it is the time limit."""
        lane, worn = self._seize()
        whole = True
        try:
            await _aclose(worn)
            lane = lane or await self._wait()
            whole = False
            yield lane
            whole = True
        finally:
            if lane:
                await _aclose(self._pass_on(lane, whole=whole))

    async def _wait(self) -> AsyncL:
        """Stand in line for a lane, or for the right to open one."""
        import asyncio

        turn: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        try:
            await _aclose(self._ask(turn))
            lane: AsyncL = await turn or self._opened()
        except BaseException:
            await _aclose(self._leave(turn))
            raise
        return lane

    async def close(self) -> None:
        """Close the free lanes now, the others when their calls are over."""
        await _aclose(self._shut())


def _close(lanes: Sequence[Lane]) -> None:
    if lanes:
        with ExitStack() as stack:  # which goes on to the next one, whatever closing one of them raises
            for lane in lanes:
                stack.callback(lane.close)


async def _aclose(lanes: Sequence[AsyncLane]) -> None:
    if lanes:
        async with AsyncExitStack() as stack:
            for lane in lanes:
                stack.push_async_callback(lane.close)
