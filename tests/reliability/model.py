"""Random scripts against each simulator, beside a small model of what must be true.

A step is one operation with some trouble, or several at the same time, or something that happens at the vendor. What
the vendor has afterwards must be what the model says: a change that succeeded happened once, one that was refused did
not happen, one whose outcome is not known happened once or not at all, and nothing else has changed.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, ClassVar

import attrs
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

import migrate_core as mc
from migrate_core.clock import Deadline
from migrate_core.errors import DeadlineExceededError, RequestNotSentError, ResponseLostError, TransportError
from migrate_core.provider import Request, Response
from migrate_core.testing import Caller, VirtualClock, new_simulator
from migrate_core.testing.faults import Answer, EndLogins, Fault
from migrate_core.transports import AsyncTransport, Transport, TransportOptions

UNKNOWN = (mc.OutcomeUnknownError, mc.ServerError, mc.MalformedResponseError)
"""What a change may end with although it happened."""

_PAGE = {"Content-Type": "text/html"}


@attrs.frozen
class Trouble:
    """What goes wrong with the requests of one step.

    Attributes:
        what: an answer in place of the right one, or how the transport fails.
        after: whether the request takes effect first.
        times: how many requests meet it.
    """

    what: Fault | type[TransportError]
    after: bool = False
    times: int = 1

    @property
    def passes(self) -> bool:
        """Whether a read gets over it."""
        if self.what in (EndLogins(), DeadlineExceededError):
            return self.what == EndLogins() and self.times == 1
        return self.times < 3 and (isinstance(self.what, type) or getattr(self.what, "status", 0) >= 429)


_TURNED_AWAY = (Answer(403), Answer(429), RequestNotSentError)
"""What nobody answers who did it all the same."""

_LOST = (Answer(500), Answer(503), Answer(200, "<html>", _PAGE), Answer(200), EndLogins())
_TIMES = st.sampled_from([1, 1, 2, 9])

TROUBLES = st.one_of(
    st.none(),
    st.builds(Trouble, st.sampled_from(_TURNED_AWAY), st.just(False), _TIMES),
    st.builds(Trouble, st.sampled_from((*_LOST, ResponseLostError, DeadlineExceededError)), st.booleans(), _TIMES),
)


class Line:
    """A transport factory that leads to another one and fails when it is told."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._failures: Iterator[Trouble] = iter(())
        self._fits: Callable[[Request], bool] = lambda _: False

    def open(self, options: TransportOptions) -> Transport:
        return _Line(self, self._inner.open(options))

    def open_async(self, options: TransportOptions) -> AsyncTransport:
        return _AsyncLine(self, self._inner.open_async(options))

    @contextmanager
    def failing(self, trouble: Trouble, fits: Callable[[Request], bool]) -> Iterator[None]:
        """Let requests that fit fail until the end."""
        self._failures, self._fits = itertools.repeat(trouble, trouble.times), fits
        try:
            yield
        finally:
            self._failures = iter(())

    def failure_of(self, request: Request) -> tuple[TransportError | None, bool]:
        """Give how a request fails, if it does, and whether it takes effect first."""
        trouble = next(self._failures, None) if self._fits(request) else None
        if trouble is None or not isinstance(trouble.what, type):
            return None, True
        if trouble.what is DeadlineExceededError:
            return DeadlineExceededError("the time was over", sent=True), trouble.after
        return trouble.what("the model wants it"), trouble.after


class _Line:
    def __init__(self, line: Line, inner: Transport) -> None:
        self._line, self._inner = line, inner

    def send(self, request: Request, deadline: Deadline) -> Response:
        error, arrives = self._line.failure_of(request)
        answer = self._inner.send(request, deadline) if arrives else None
        if error or answer is None:
            raise error or AssertionError
        return answer

    def close(self) -> None:
        self._inner.close()


class _AsyncLine:
    def __init__(self, line: Line, inner: AsyncTransport) -> None:
        self._line, self._inner = line, inner

    async def send(self, request: Request, deadline: Deadline) -> Response:
        error, arrives = self._line.failure_of(request)
        answer = await self._inner.send(request, deadline) if arrives else None
        if error or answer is None:
            raise error or AssertionError
        return answer

    async def close(self) -> None:
        await self._inner.close()


@attrs.frozen
class Try:
    """One operation, and what it may do to what the vendor has.

    Attributes:
        call: does it.
        method: the method of its own request.
        changes: how many more of what there are if it happens; all of it does, or nothing.
        is_true: tells whether what it returned is what there is.
        is_gone: tells whether what it asks for has gone; time passes while it is tried again.
    """

    call: Callable[[Any], Any]
    method: str = "GET"
    changes: Mapping[str, int] = {}
    is_true: Callable[[Any], bool] = lambda _: True
    is_gone: Callable[[], bool] = lambda: False


class Machine(RuleBasedStateMachine):
    """A vendor, two clients of it, and the model of what the vendor has.

    Attributes:
        has: how many there are of each thing.
        expiries: how many times the logins have ended.
    """

    vendor: ClassVar[str]
    credentials: ClassVar[str]
    login: ClassVar[str]
    """The path at which one logs in."""
    resources: ClassVar[Sequence[str]]
    """What is in the paths of all other requests."""
    steps: ClassVar[Counter[str]] = Counter()
    """How many operations were done, by vendor and client."""

    @initialize(kind=st.sampled_from(["sync", "async"]))
    def begin(self, kind: Any) -> None:
        self.clock = VirtualClock()
        self.simulator: Any = new_simulator(self.vendor, clock=self.clock)
        self.line = Line(self.simulator.transport)
        self.caller = Caller(kind)
        self.client = self.connect()
        self.has: Counter[str] = Counter()
        self.expiries = self.hardships = self.named = 0

    def connect(self, **settings: Any) -> Any:
        given = {**self.simulator.settings(self.credentials), "transport": self.line, **settings}
        client = self.caller.connect(self.vendor, clock=self.clock, **given)
        client._engine.rng.seed(0)  # what was random must be so again when a failure is tried again
        return client

    def teardown(self) -> None:
        if hasattr(self, "caller"):
            clients = len(self.caller._clients)
            self.caller.close()
            logins = [entry for entry in self.simulator.journal if (entry.method, entry.path) == ("POST", self.login)]
            assert len(logins) <= clients * (1 + self.expiries), "more logins than ended"

    def new_name(self) -> str:
        """Make a name; one with the vendor's next id in it would depend on which thread was first to get an answer."""
        self.named += 1
        return f"name-{self.named:03}"

    def there(self) -> Counter[str]:
        """Count what the vendor has, by looking into it."""
        raise NotImplementedError

    def settle(self) -> None:
        """Let the model do what the vendor has done meanwhile."""

    # Steps that all vendors have.

    @rule()
    def end_logins(self) -> None:
        self.simulator.expire_logins()
        self.expiries += 1

    def attempt(self, one: Try, trouble: Trouble | None = None, client: Any = None) -> Any:
        """Do one operation with trouble, and compare; gives what it returned, or its error."""
        with self.troubled(one.method, trouble):
            outcome = self.caller(self.doing(one, client or self.client)())
        self.compare([(one, outcome)])
        if isinstance(outcome, mc.NotFoundError) and one.is_gone():
            return outcome
        if trouble is None or (one.method == "GET" and trouble.passes and self.hardships < 10):
            assert not isinstance(outcome, mc.MigrateError), f"{trouble} is no reason to fail: {outcome!r}"
        return outcome

    def together(self, tries: Sequence[Try]) -> Sequence[Any]:
        """Do several operations at the same time; each has to succeed."""
        outcomes = self.caller.together([self.doing(one, self.client) for one in tries])
        self.compare(list(zip(tries, outcomes, strict=True)))
        failed = [one for one in outcomes if isinstance(one, mc.MigrateError)]
        assert not failed, failed
        return outcomes

    def doing(self, one: Try, client: Any) -> Callable[[], Any]:
        """Prepare an operation; what is given back does it, and gives what it returned, or its error."""

        def do() -> Any:
            try:
                result = one.call(client)
                return list(result) if hasattr(result, "__next__") else result
            except mc.MigrateError as error:
                return error

        async def do_async() -> Any:
            try:
                result = one.call(client)
                return [item async for item in result] if hasattr(result, "__anext__") else await result
            except mc.MigrateError as error:
                return error

        return do_async if self.caller.kind == "async" else do

    def compare(self, done: Sequence[tuple[Try, Any]]) -> None:
        """Compare what the vendor has with what there was, and what was done since."""
        self.settle()
        there = self.there()
        for one, outcome in done:
            self.steps[f"{self.vendor}, {self.caller.kind}"] += 1
            assert not isinstance(outcome, mc.ContractViolationError), outcome
            happened = Counter(self.has)
            happened.update(one.changes)
            if isinstance(outcome, UNKNOWN):
                possible = [self.has, happened]
            else:
                possible = [self.has if isinstance(outcome, mc.MigrateError) else happened]
            seen = [world for world in possible if all(world[key] == there[key] for key in one.changes)]
            assert seen, f"after {outcome!r} there is {[(key, there[key]) for key in one.changes]}"
            self.has = seen[0]
        assert +there == +self.has, "something else has changed"
        for one, outcome in done:
            assert isinstance(outcome, mc.MigrateError) or one.is_true(outcome), f"{outcome!r} is not what there is"

    @contextmanager
    def troubled(self, method: str, trouble: Trouble | None) -> Iterator[None]:
        """Let requests of one method meet trouble until the end; logins do not."""
        if trouble is None:
            yield
            return
        self.hardships += trouble.times > 2
        faults, begun = self.simulator.faults, len(self.simulator.faults.journal)
        in_line: Any = nullcontext()
        if isinstance(trouble.what, type):
            in_line = self.line.failing(
                trouble, lambda request: request.method == method and self.is_work(request.path)
            )
        else:
            for path in self.resources:
                faults.add(trouble.what, method=method, path=path, after=trouble.after, times=trouble.times)
        with in_line:
            yield
        self.expiries += sum(isinstance(request.fault, EndLogins) for request in faults.journal[begun:])
        faults.clear()

    def is_work(self, path: str) -> bool:
        return any(resource in path for resource in self.resources)


class Sms(Machine):
    """Huawei Cloud SMS: sources, and targets that are locked."""

    vendor, credentials, login = "huawei_sms", "login", "/v3/auth/tokens"
    resources = ("/v3/sources", "/v3/tasks")

    @initialize()
    def begin_empty(self) -> None:
        self.ids: dict[str, str] = {}
        self.locked: dict[str, str] = {}

    def there(self) -> Counter[str]:
        sources = {source_id: source.name for source_id, source in self.simulator._sources.items()}
        self.ids = {name: source_id for source_id, name in sources.items()}
        locked = [f"lock of {replication}" for replication in self.locked if self.is_locked(replication)]
        return Counter([*sources.values(), *locked])

    def is_locked(self, replication: str) -> bool:
        return replication in self.simulator._migrations and bool(self.simulator.locked(replication))

    def new_machine(self) -> mc.SourceSpec:
        spec: mc.SourceSpec = attrs.evolve(self.simulator.source_spec(), name=self.new_name())
        return spec

    def registering(self, spec: mc.SourceSpec | None = None) -> Try:
        """Make the registration of a machine; it changes nothing if it is there already."""
        given = spec or self.new_machine()
        name = given.name
        return Try(
            lambda client: client.sources.register(given),
            "POST",
            {name: 1 - self.has[name]},
            lambda task: task.done and task.info.result == self.ids[name],
        )

    def describing(self, name: str) -> Try:
        source_id = self.ids[name]
        return Try(
            lambda client: client.sources.describe(source_id),
            is_true=lambda source: (source.id, source.name) == (source_id, name),
        )

    def listing(self) -> Try:
        return Try(
            lambda client: client.sources.list(),
            is_true=lambda sources: {source.name: source.id for source in sources} == self.ids,
        )

    def deleting(self, name: str) -> Try:
        source_id = self.ids[name]
        locks = [lock for lock, owner in self.locked.items() if owner == name and self.has[f"lock of {lock}"]]
        gone = {name: -1, **{f"lock of {lock}": -1 for lock in locks}}
        return Try(lambda client: client.sources.delete(source_id), "DELETE", gone, lambda task: task.done)

    def unlocking(self, replication: str) -> Try:
        changes = {f"lock of {replication}": -1}
        return Try(lambda client: client.targets.unlock(replication), "POST", changes, lambda task: task.done)

    def chosen(self, data: Any) -> str:
        return str(data.draw(st.sampled_from(sorted(self.ids))))

    @rule(trouble=TROUBLES)
    def register(self, trouble: Trouble | None) -> None:
        self.attempt(self.registering(), trouble)

    @rule(troubles=st.lists(TROUBLES, min_size=1, max_size=3))
    def register_until_it_is_there(self, troubles: Sequence[Trouble | None]) -> None:
        spec, careful = self.new_machine(), self.connect(on_ambiguous="reconcile")
        for trouble in (*troubles, None):
            self.attempt(self.registering(spec), trouble, careful)

    @precondition(lambda self: self.ids)
    @rule(trouble=TROUBLES, data=st.data())
    def describe(self, trouble: Trouble | None, data: Any) -> None:
        self.attempt(self.describing(self.chosen(data)), trouble)

    @rule(trouble=TROUBLES)
    def list(self, trouble: Trouble | None) -> None:
        self.attempt(self.listing(), trouble)

    @precondition(lambda self: self.ids)
    @rule(trouble=TROUBLES, data=st.data())
    def delete(self, trouble: Trouble | None, data: Any) -> None:
        self.attempt(self.deleting(self.chosen(data)), _told(trouble))

    @precondition(lambda self: self.ids)
    @rule(data=st.data())
    def start_migration(self, data: Any) -> None:
        name = self.chosen(data)
        if any(self.has[f"lock of {one}"] for one, locked in self.locked.items() if locked == name):
            return  # a new one takes the place of that one, which is nobody's call
        replication = self.simulator.start_migration(self.ids[name])
        self.locked[replication] = name
        self.has[f"lock of {replication}"] = 1

    @precondition(lambda self: any(self.has[f"lock of {one}"] for one in self.locked))
    @rule(trouble=TROUBLES, data=st.data())
    def unlock(self, trouble: Trouble | None, data: Any) -> None:
        locked = [one for one in self.locked if self.has[f"lock of {one}"]]
        self.attempt(self.unlocking(data.draw(st.sampled_from(locked))), _told(trouble))

    @rule(data=st.data(), ended=st.booleans())
    def many_at_once(self, data: Any, ended: bool) -> None:
        if ended:
            self.end_logins()
        names = data.draw(st.lists(st.sampled_from(sorted(self.ids)), unique=True, max_size=4)) if self.ids else []
        verbs = [data.draw(st.sampled_from([self.describing, self.deleting])) for _ in names]
        mine = [verb(name) for verb, name in zip(verbs, names, strict=True)]
        self.together([self.registering(), self.registering(), *mine])


def _told(trouble: Trouble | None) -> Trouble | None:
    """Let nobody answer with an empty 200 in the vendor's place: it is all that the vendor says of a deletion."""
    return None if trouble and trouble.what == Answer(200) else trouble


@attrs.define
class _Task:
    """What the model knows of a task: what it is for, when it is due, and how it ends."""

    verb: str
    remote: str
    due: float
    end: mc.TaskStatus
    settled: bool = False


class Srm(Machine):
    """Site Recovery Manager: pairings, and tasks that make and end them when their time has come."""

    vendor, credentials, login = "vmware_srm", "both", "/api/rest/srm/v2/session"
    resources = ("/pairings", "/tasks")

    @initialize()
    def begin_empty(self) -> None:
        self.tasks: dict[str, _Task] = {}
        self.ids: dict[str, str] = {}
        self.end = mc.TaskStatus.SUCCESS

    def there(self) -> Counter[str]:
        self.ids = {one.remote_vc_server.name: one.pairing_id for one in self.simulator._pairings.values()}
        tasks = [f"{one.description_id} {one.pairing.remote_vc_server.name}" for one in self.simulator._tasks.values()]
        return Counter([*(f"pairing {remote}" for remote in self.ids), *tasks])

    def settle(self) -> None:
        self.simulator._settle()
        for task_id, one in self.simulator._tasks.items():
            known = _Task(
                one.description_id, one.pairing.remote_vc_server.name, one.queued_ms / 1000 + one.seconds, self.end
            )
            self.tasks.setdefault(task_id, known)
        for task in self.tasks.values():
            if not task.settled and task.due <= self.simulator.now_ms() / 1000:
                task.settled = True
                self.carry_out(task)

    def carry_out(self, task: _Task) -> None:
        pairing = f"pairing {task.remote}"
        if task.end is not mc.TaskStatus.SUCCESS:
            return
        if task.verb == "deletePairing" and not self.has[pairing]:
            task.end = mc.TaskStatus.ERROR
        self.has[pairing] = int(task.verb == "createPairing")

    def creating(self) -> Try:
        spec = attrs.evolve(self.simulator.pairing_spec(), remote_url=f"{self.new_name()}.example")
        return Try(
            lambda client: client.pairings.create(spec),
            "POST",
            {f"createPairing {spec.remote_url}": 1},
            lambda task: self.tasks[task.id].remote == spec.remote_url,
        )

    def describing(self, remote: str) -> Try:
        pairing_id = self.ids[remote]
        return Try(
            lambda client: client.pairings.describe(pairing_id),
            is_true=lambda pairing: pairing.id == pairing_id,
            is_gone=lambda: remote not in self.ids,
        )

    def deleting(self, remote: str) -> Try:
        pairing_id = self.ids[remote]
        return Try(
            lambda client: client.pairings.delete(pairing_id),
            "DELETE",
            {f"deletePairing {remote}": 1},
            lambda task: self.tasks[task.id].remote == remote,
        )

    def listing(self) -> Try:
        return Try(
            lambda client: client.pairings.list(),
            is_true=lambda pairings: {one.id for one in pairings} == set(self.ids.values()),
        )

    def listing_tasks(self) -> Try:
        return Try(
            lambda client: client.tasks.list(), is_true=lambda tasks: {one.id for one in tasks} == self.tasks.keys()
        )

    def chosen(self, data: Any) -> str:
        return str(data.draw(st.sampled_from(sorted(self.ids))))

    @rule(end=st.sampled_from([mc.TaskStatus.SUCCESS] * 3 + [mc.TaskStatus.ERROR, mc.TaskStatus.CANCELLED]))
    def let_tasks_end(self, end: mc.TaskStatus) -> None:
        self.end = end
        self.simulator.controls.fail = "The model wants it." if end is mc.TaskStatus.ERROR else ""
        self.simulator.controls.cancel = end is mc.TaskStatus.CANCELLED

    @rule(seconds=st.sampled_from([1, 5, 20, 2000]))
    def let_time_pass(self, seconds: int) -> None:
        self.clock.advance(seconds)
        self.expiries += seconds > self.simulator.controls.session_seconds
        self.compare([])

    @rule()
    def forget_tasks(self) -> None:
        self.simulator.forget_tasks()
        self.settle()
        for task in self.tasks.values():
            del self.has[f"{task.verb} {task.remote}"]
        self.tasks.clear()
        self.compare([])

    @rule(trouble=TROUBLES)
    def create(self, trouble: Trouble | None) -> None:
        self.attempt(self.creating(), trouble)

    @precondition(lambda self: self.ids)
    @rule(trouble=TROUBLES, data=st.data())
    def describe(self, trouble: Trouble | None, data: Any) -> None:
        self.attempt(self.describing(self.chosen(data)), trouble)

    @precondition(lambda self: self.ids)
    @rule(trouble=TROUBLES, data=st.data())
    def delete(self, trouble: Trouble | None, data: Any) -> None:
        self.attempt(self.deleting(self.chosen(data)), trouble)

    @rule(trouble=TROUBLES, tasks=st.booleans())
    def list(self, trouble: Trouble | None, tasks: bool) -> None:
        self.attempt(self.listing_tasks() if tasks else self.listing(), trouble)

    @precondition(lambda self: self.tasks)
    @rule(trouble=TROUBLES, data=st.data())
    def wait(self, trouble: Trouble | None, data: Any) -> None:
        known = sorted(self.tasks, key=lambda one: (self.tasks[one].verb, self.tasks[one].remote, self.tasks[one].due))
        task_id = data.draw(st.sampled_from(known))

        async def wait_async() -> None:
            await (await self.client.tasks.get(task_id)).wait()

        waiting = Try(lambda client: wait_async() if self.caller.kind == "async" else client.tasks.get(task_id).wait())
        with self.troubled("GET", trouble):
            outcome = self.caller(self.doing(waiting, self.client)())
        self.compare([(waiting, outcome)])
        if trouble is None or (trouble.passes and self.hardships < 10):
            wanted = {mc.TaskStatus.ERROR: mc.TaskFailedError, mc.TaskStatus.CANCELLED: mc.TaskCancelledError}
            assert isinstance(outcome, wanted.get(self.tasks[task_id].end, object)), outcome
            assert self.tasks[task_id].settled

    @rule(data=st.data(), ended=st.booleans())
    def many_at_once(self, data: Any, ended: bool) -> None:
        if ended:
            self.end_logins()
        remotes = data.draw(st.lists(st.sampled_from(sorted(self.ids)), unique=True, max_size=4)) if self.ids else []
        verbs = [data.draw(st.sampled_from([self.describing, self.deleting])) for _ in remotes]
        mine = [verb(remote) for verb, remote in zip(verbs, remotes, strict=True)]
        self.together([self.creating(), self.creating(), *mine])
