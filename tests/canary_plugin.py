"""A pytest plug-in that plants a secret in every simulator and listens for it wherever a run leaves something.

It looks at

- what our loggers say, at all levels, whatever is shown of it, the first that those of others say, and every warning;
- what each test writes to stdout and stderr, and what the commands say that it runs;
- every `MigrateError` as it is made, and again when a test catches it with `pytest.raises` or it lives on: its text,
  attributes and pickle, the local variables in its traceback, and all the same of the errors that came before it;
- what clients, settings, tasks, requests and the like say of themselves, and the tokens of tasks;
- the command lines of the processes that are started or live, and the variables that we set for them;
- the files in the folders of a test, and those in folders that are deleted meanwhile, but not what it wrote itself.

A test in which a secret was heard fails, and names the place. Of each kind of thing, a test's first ones are looked at.
"""

from __future__ import annotations

import functools
import logging
import os
import re
import sys
import warnings
import weakref
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from _pytest.capture import MultiCapture

from canary import CANARY, TESTS, muted, parts_of, shown, sings

_ROOMS = tuple(f"{Path(TESTS).parent / room}{os.sep}" for room in ("tests", "migrate_core", "providers"))
_SECRETS = f"{_ROOMS[1]}secrets.py"
_OF_OTHERS = ("botocore.auth", "botocore.endpoint")  # of the vendor's own client, with which a test compares ours
_FOR_SECRETS = ("/keyring.json", "/.secrets/srm")  # the stand-in for a keyring; a file of docs/howto/secrets.md
_SOME = 20  # of a kind, in each test; the others are made by the same code
_WRITING = os.O_WRONLY | os.O_RDWR

PLACES = ("logs", "outputs", "errors", "reprs", "processes", "files")


class Listener:
    """Hears the planted secrets.

    Attributes:
        looked: how often it has looked, by the kind of place.
        heard: where a secret was heard, since a test was told.
        errors: the errors that still live.
        kinds: how many things of each kind were looked at, by class or name, in the present test.
        given: the files that tests wrote themselves.
        listens: whether a test is running.
    """

    def __init__(self) -> None:
        self.looked: Counter[str] = Counter()
        self.heard: list[str] = []
        self.errors: weakref.WeakSet[BaseException] = weakref.WeakSet()
        self.kinds: dict[type | str, int] = {}
        self.given: set[str] = set()
        self.listens = False

    def look(self, kind: str, place: str, seen: str | bytes) -> None:
        """Listen at one place."""
        self.looked[kind] += 1
        if sings(seen):
            self.heard.append(muted(place))

    def wants(self, kind: type | str) -> bool:
        """Tell whether to look at one more thing of a kind."""
        seen = self.kinds.get(kind, 0)
        if seen >= _SOME:
            return False
        self.kinds[kind] = seen + 1
        return True

    def told(self) -> str:
        """Tell what was heard since it was asked last."""
        heard, self.heard = dict.fromkeys(self.heard), []
        self.kinds.clear()
        return "\n".join(f"a secret is in {place}" for place in heard)


listener = Listener()


# What is looked at while it happens.


def _after(owner: Any, name: str, look: Callable[..., None], kind: type | None = None) -> None:
    """Look at the arguments and the result of a method after each of its calls; the first ones, if they make a kind."""
    method, kinds = getattr(owner, name), listener.kinds

    @functools.wraps(method)
    def watched(*args: Any, **kwargs: Any) -> Any:
        result = method(*args, **kwargs)
        if kind is None or kinds.get(kind, 0) < _SOME:
            look(result, *args, **kwargs)
        return result

    setattr(owner, name, watched)


_enabled = logging.Logger.isEnabledFor
_log = logging.Logger._log
_call_handlers = logging.Logger.callHandlers


def _heeded(logger: logging.Logger, level: int) -> bool:
    """Let our loggers say all, and those of others, who trace each byte, a part."""
    heeded = level >= logging.DEBUG and (logger.name.startswith("migrate_") or listener.wants(logger.name))
    return heeded or _enabled(logger, level)


def _heed_log(logger: logging.Logger, level: int, text: object, args: Any, **options: Any) -> None:
    """Make a record if anybody wants it, or if it has the secret before the filters saw it; most are neither."""
    listener.looked["logs"] += 1
    failure = options.get("exc_info") or options.get("stack_info")
    if failure or _enabled(logger, level) or _says_it(text, args, options):
        _log(logger, level, text, args, **{**options, "stacklevel": options.get("stacklevel", 1) + 1})


def _says_it(text: object, args: Any, options: Mapping[str, Any]) -> bool:
    try:
        return sings(f"{str(text) % args if args else text} {options}")
    except Exception:  # only a record knows all the ways in which they fit
        return True


def _heed_record(logger: logging.Logger, record: logging.LogRecord) -> None:
    """Look at a record that passed the logger's filters, and hand it on if anybody wants it."""
    if record.name not in _OF_OTHERS:
        place = f"a record of the logger {record.name}, made in {record.pathname}:{record.lineno}"
        listener.look("logs", place, f"{logging.Formatter().format(record)} {vars(record)}")
    if _enabled(logger, record.levelno):
        _call_handlers(logger, record)


def _heed_warning(_: None, warning: warnings.WarningMessage, *args: Any, **kwargs: Any) -> None:
    listener.look("logs", f"a warning in {warning.filename}:{warning.lineno}", str(warning.message))


def _heed_output(result: Any, *_: Any) -> None:
    for stream, text in zip(("stdout", "stderr"), result, strict=True):
        if text:
            listener.look("outputs", stream, text)


def _heed_error(_: None, error: BaseException, *args: Any, **kwargs: Any) -> None:
    listener.errors.add(error)
    listener.look("errors", f"a new {type(error).__name__}", f"{shown(error)} {error.args} {shown(vars(error))}")


def _look_at_error(error: BaseException) -> None:
    parts: dict[str, str] = {}
    with suppress(Exception):  # what a test puts into an error need not pickle, which comes last
        parts.update(parts_of(error))
    if sings("\n".join(parts.values())):
        for place, seen in parts.items():
            listener.look("errors", place, seen)
    listener.looked["errors"] += 1


def _heed_raised(_: bool, raises: Any, kind: Any, error: BaseException | None, *args: Any) -> None:
    from migrate_core import MigrateError

    if isinstance(error, MigrateError) and listener.wants(type(error)):
        _look_at_error(error)
        listener.errors.discard(error)


def _heed_repr(_: None, it: Any, *args: Any, **kwargs: Any) -> None:
    if listener.wants(type(it)):
        listener.look("reprs", f"what a {type(it).__name__} says of itself", shown(it))


def _heed_client(_: None, client: Any, *args: Any) -> None:
    for it in (client, client._provider, client._provider.settings):
        _heed_repr(None, it)


def _heed_task(_: None, task: Any, *args: Any) -> None:
    if listener.wants(type(task)):
        listener.look("reprs", f"what a {type(task).__name__} says of itself", f"{task!r} {task.token}")


def _heed_ended(_: None, ended: Any, *args: Any) -> None:
    listener.look("outputs", "what a command said", ended.everything)


def _heed_token(token: str, *_: Any) -> None:
    listener.look("reprs", "the token of a task", token)


_EVENTS = frozenset({"subprocess.Popen", "open", "os.rename", "shutil.rmtree"})


def _heed_event(event: str, args: tuple[Any, ...]) -> None:
    """Look at what Python is about to do; it tells of much else, such as each call of `id`, by the million."""
    if event not in _EVENTS:
        return
    if event == "subprocess.Popen":
        _look_at_start(*args)
    elif event == "open" and args[2] & _WRITING and isinstance(args[0], str | bytes | os.PathLike):
        _note_writer(args[0])
    elif event == "os.rename":
        _note_writer(args[1])
    elif event == "shutil.rmtree" and listener.listens:
        _look_at_files(Path(os.fsdecode(args[0])))


def _look_at_start(_: Any, words: Any, __: Any, environment: Mapping[Any, Any] | None) -> None:
    """Look at a process that begins: its words, but for those that get a secret for a user; what we set for it."""
    if _room() != _SECRETS:
        given = [words] if isinstance(words, str | bytes | os.PathLike) else words
        _look_at_process("a process that was started", map(os.fsdecode, given))
    ours = {} if environment is None or _room().startswith(TESTS) else environment
    for name, value in ours.items():
        if os.environ.get(os.fsdecode(name)) != os.fsdecode(value):
            listener.look("processes", f"the variable {os.fsdecode(name)} of a process", os.fsdecode(value))


def _note_writer(path: str | bytes | os.PathLike[str]) -> None:
    """Note whether a test writes a file itself, which may put secrets where it likes, or our code does."""
    note = listener.given.add if _room().startswith(TESTS) else listener.given.discard
    note(os.path.realpath(os.fsdecode(path)))


def _room() -> str:
    """Tell in which file of ours, or of the tests, it happens that Python tells of."""
    frame: FrameType | None = sys._getframe(3)
    while frame and (not frame.f_code.co_filename.startswith(_ROOMS) or frame.f_code.co_filename == __file__):
        frame = frame.f_back
    return frame.f_code.co_filename if frame else ""


def _look_at_process(what: str, words: Iterable[str]) -> None:
    line = " ".join(words)
    listener.look("processes", f"the command line of {what}: {line[:200]}", line)


# What is looked at when a test ends.


def _look_at_all(item: pytest.Item) -> None:
    for error in list(listener.errors):
        if listener.wants(type(error)):
            _look_at_error(error)
    listener.errors.clear()
    if listener.looked["processes"]:
        for children in Path("/proc/self/task").glob("*/children"):
            for child in _content(children).split():
                line = _content(Path("/proc", child.decode(), "cmdline")).decode(errors="replace")
                _look_at_process("a living process", line.split("\0"))
    for value in getattr(item, "funcargs", {}).values():
        if isinstance(value, Path) and value.is_dir():
            _look_at_files(value)


def _look_at_files(folder: Path) -> None:
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            content = b"" if path.is_symlink() else _content(path)
            if not _may_hold_a_secret(path, content):
                listener.look("files", f"the file {path}", content)


def _content(path: Path) -> bytes:
    """Read a file, unless it is none, or is gone."""
    try:
        return path.read_bytes() if path.is_file() else b""
    except OSError:
        return b""


def _may_hold_a_secret(path: Path, content: bytes) -> bool:
    """Tell whether a file is there for that: a test wrote it itself, it is known, or it is a profile that says so."""
    written_by_a_test = os.path.realpath(path) in listener.given
    return written_by_a_test or str(path).endswith(_FOR_SECRETS) or b"insecure_plaintext = true" in content


# What is planted.


def _plant(simulator: type) -> None:
    """Plant into the invented secrets of a simulator."""
    for name, value in list(vars(simulator).items()):
        if re.search("TOKEN|KEY|PASSWORD|SESSION", name):
            setattr(simulator, name, tuple(map(_planted, value)) if isinstance(value, tuple) else _planted(value))


def _planted(text: str) -> str:
    return re.sub("^simulated-", f"simulated-{CANARY}-", text)


# The hooks of pytest.


def pytest_configure(config: pytest.Config) -> None:
    """Plant, and begin to listen."""
    from migrate_core import MigrateError, PairingSpec, tasks
    from migrate_core.client import BaseClient
    from migrate_core.profiles import Profile
    from migrate_core.provider import Request, Response, TaskInfo
    from migrate_core.testing.simulator import JournalEntry, Simulator

    for simulator in Simulator.__subclasses__():  # a conftest may have been there before
        _plant(simulator)
    Simulator.__init_subclass__ = classmethod(_plant)  # type: ignore[assignment]
    handed_out = functools.wraps(Simulator.new_secret)(lambda simulator: f"{CANARY}-{simulator.new_id()}")
    Simulator.new_secret = handed_out  # type: ignore[method-assign]
    logging.Logger.isEnabledFor = _heeded  # type: ignore[method-assign]
    logging.Logger._log = _heed_log  # type: ignore[method-assign]
    logging.Logger.callHandlers = _heed_record  # type: ignore[method-assign]
    sys.addaudithook(_heed_event)
    MigrateError.__init__ = lambda error, *args: super(MigrateError, error).__init__(*args)  # type: ignore[misc]
    _after(MigrateError, "__init__", _heed_error)
    _after(warnings.WarningMessage, "__init__", _heed_warning)
    _after(MultiCapture, "readouterr", lambda result, _: _heed_output(result))
    _after(type(pytest.raises(MigrateError)), "__exit__", _heed_raised)
    _after(BaseClient, "__init__", _heed_client)
    _after(tasks._TaskView, "__init__", _heed_task)
    _after(tasks, "token_for", _heed_token)
    for kind in (TaskInfo, Request, Response, PairingSpec, Profile, JournalEntry):
        _after(kind, "__init__", _heed_repr, kind)


def pytest_collection_finish() -> None:
    """Listen to the commands too, if there are tests of any."""
    if support := sys.modules.get("cli.support"):
        _after(support.Ended, "__init__", _heed_ended)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup() -> Generator[None]:
    """Fail a test that says a secret before it begins."""
    return (yield from _listening())


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Fail a test that says a secret, or leaves one behind."""
    return (yield from _listening(lambda: _look_at_all(item)))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown() -> Generator[None]:
    """Fail a test that says a secret after its end."""
    return (yield from _listening())


def _listening(look: Callable[[], None] = lambda: None) -> Generator[None]:
    listener.listens = True
    try:
        return (yield)
    finally:
        look()
        listener.listens = False
        if told := listener.told():
            pytest.fail(told, pytrace=False)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Give the process that began the run the figures of this one."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["listener"] = dict(listener.looked)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take the figures of a process of xdist."""
    listener.looked.update(getattr(node, "workeroutput", {}).get("listener", {}))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Tell how often it has looked, so that a listener that is deaf shows."""
    figures = ", ".join(f"{listener.looked[kind]} {kind}" for kind in PLACES)
    terminalreporter.write_line(f"listened for secrets in {figures}")
