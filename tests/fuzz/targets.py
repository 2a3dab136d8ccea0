"""What is fuzzed: everything that reads what others wrote, each with a corpus to begin with.

A target takes an input and gives what came of it as text. It raises only what no caller should ever see.
"""

from __future__ import annotations

import base64
import functools
import itertools
import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import attrs

import migrate_core as mc
from extras import without_fast_json
from migrate_core import _json
from migrate_core._retry import retry_after
from migrate_core.clock import Deadline
from migrate_core.errors import ContractViolationError
from migrate_core.profiles import Profile, load_profiles, save_profile
from migrate_core.provider import Request, Response
from migrate_core.shapes import read_shape, shape_of
from migrate_core.tasks import info_from, token_for
from migrate_core.testing import InProcess, Simulator, VirtualClock, new_simulator
from migrate_core.transports import Transport, TransportOptions
from migrate_huawei_sms.models import document_from_json
from support import ROOT

__all__ = ["SECRET", "Target", "Violation", "targets"]

SECRET = "a-secret-of-a-profile-5b17"  # invented

_NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
_LISTED = 50
_LOGINS = ("/session", "/auth/tokens")
_HEADERS = ("retry-after", "x-request-id", "x-subject-token", "x-amzn-errortype", "x-amzn-requestid")
_TAMPERED, _ASKED = 20, 200


class Violation(Exception):
    """Something came of an input that is neither a value nor a documented error, or that tells a secret."""


@attrs.frozen
class Target:
    """Something to fuzz.

    Attributes:
        name: what it is called.
        corpus: inputs to begin with.
        run: reads an input; gives what came of it.
        reads_json: whether it has two readings, with and without the libraries of the extra ``fast``.
    """

    name: str
    corpus: tuple[bytes, ...]
    run: Callable[[bytes], str]
    reads_json: bool = False

    def outcome(self, data: bytes) -> str:
        """Give what comes of an input, by both readings where there are two.

        Raises:
            Violation: they differ.
            Exception: whatever else should not be.
        """
        found = self.run(data)
        if self.reads_json:
            with without_fast_json():
                plain = self.run(data)
            if plain != found:
                raise Violation(f"with the extra fast: {found[:500]}; without: {plain[:500]}")
        return found


def targets(folder: Path) -> list[Target]:
    """Give all targets.

    Args:
        folder: where those that read files may write them.
    """
    return [
        *_answers_of_huawei(),
        *_answers_of_srm(),
        *_answers_of_aws(),
        Target("json", tuple(_examples("huawei_sms")), _read_json, reads_json=True),
        Target("retry_after", tuple(_waits()), _read_wait),
        Target("task token", tuple(_tokens()), lambda data: _read_token(data.decode("latin-1"))),
        Target("task token, inside", tuple(map(_inside, _tokens())), lambda data: _read_token(_token_of(data))),
        Target("profiles", _PROFILES, functools.partial(_read_profiles, folder / "read.toml")),
        Target("profiles, changed", _PROFILES, functools.partial(_change_profiles, folder / "changed.toml")),
        Target("document", tuple(_examples("huawei_sms")), _read_document),
        Target("document, previewed", tuple(_specs()), _Previewer()),
    ]


# Outcomes.


def _attempt(work: Callable[[], Any], secrets: Iterable[str] = (SECRET,)) -> str:
    """Do something; gives its value, or the documented error, in which no secret may be."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _told(work())
    except ContractViolationError:
        raise  # of a plug-in that raises what it must not
    except mc.MigrateError as error:
        _check_discretion(error, tuple(secrets))
        return f"{type(error).__name__}: {error}"


def _told(value: Any) -> str:
    """Tell a value as its users see it: its raw answer too, and its shape, which must be JSON."""
    if isinstance(value, list):
        return f"[{', '.join(map(_told, value))}]"
    if isinstance(value, mc.Task):
        value = value.info
    if attrs.has(type(value)) and hasattr(value, "raw"):
        json.dumps(shape_of(value))
        return f"{value!r} {value.raw!r}"
    return repr(value)


def _check_discretion(error: BaseException | None, secrets: tuple[str, ...]) -> None:
    """Look for secrets in what an error and those before it say, and in the attributes of ours."""
    while error is not None:
        seen = f"{error} {vars(error) if isinstance(error, mc.MigrateError) else ''}"
        for secret in secrets:
            if secret in seen:
                raise Violation(f"{type(error).__name__} tells the secret {secret}")
        error = error.__cause__


# Answers of vendors, as their clients read them.


class Tampering:
    """A transport to a simulator that gives other answers in its place.

    It does so 20 times for each, so that a list whose pages claim that there are more comes to an end.

    Args:
        simulator: who else answers.
        of_logins: whether it is the logins that are answered otherwise, and not all the rest.

    Attributes:
        answers: what the simulator said.
    """

    def __init__(self, simulator: Simulator, *, of_logins: bool = False) -> None:
        self._inside = InProcess(simulator.app)
        self._of_logins = of_logins
        self._transport: Transport
        self._answer: Response | None = None
        self._asked = 0
        self.answers: list[Response] = []

    def open(self, options: TransportOptions) -> Tampering:
        self._transport = self._inside.open(options)
        return self

    def open_async(self, options: TransportOptions) -> Any:
        raise NotImplementedError

    def give(self, answer: Response) -> None:
        """Answer so from now on."""
        self._answer, self._asked = answer, 0

    def send(self, request: Request, deadline: Deadline) -> Response:
        self._asked += 1
        if self._asked > _ASKED:
            raise Violation("one call asks again and again")
        if self._answer and self._asked <= _TAMPERED and request.path.endswith(_LOGINS) is self._of_logins:
            return self._answer
        answer = self._transport.send(request, deadline)
        if not self._answer:
            self.answers.append(answer)
        return answer

    def close(self) -> None:
        """Nothing is open."""


class _Answered:
    """A call to a vendor whose answer is the input."""

    def __init__(self, tampering: Tampering, secrets: tuple[str, ...], call: Callable[[], Any]) -> None:
        self._tampering, self._secrets, self._call = tampering, secrets, call

    def __call__(self, data: bytes) -> str:
        self._tampering.give(_response(data))
        return _attempt(self._call, self._secrets)


def _response(data: bytes) -> Response:
    """Read an answer: a line with its status and headers, and its body."""
    head, _, body = data.partition(b"\n")
    status, *lines = "".join(filter(str.isprintable, head.decode("latin-1"))).split("|")
    named = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    known = status.isascii() and status.isdigit() and 200 <= int(status[:3]) <= 599
    return Response(status=int(status[:3]) if known else 200, headers=_read(named), body=body)


def _read(headers: Mapping[str, str]) -> dict[str, str]:
    """Keep the headers that somebody reads."""
    return {name: headers[name] for name in _HEADERS if name in headers}


def _input(response: Any) -> bytes:
    """Write an answer down, as `_response` reads it."""
    status = response.status if isinstance(response, Response) else response.status_code
    lines = "".join(f"|{name}: {value}" for name, value in response.headers.items() if name != "content-length")
    return f"{status}{lines}".encode("latin-1", "replace") + b"\n" + response.body


def _examples(provider: str) -> Iterator[bytes]:
    for path in sorted((ROOT / "providers" / f"migrate_{provider}" / "examples").glob("*.json")):
        yield path.read_bytes()


def _answered(
    simulator: Simulator,
    calls: Mapping[str, Callable[[Any], Any]],
    listed: Callable[[Any], bytes],
) -> Iterator[Target]:
    """Make a target of each call, with what the simulator and the vendor's examples say as the corpus of all."""
    tampering = Tampering(simulator)
    settings = {**simulator.settings(), "transport": tampering}
    client = mc.connect(simulator.name, clock=simulator.clock, **settings)
    for call in calls.values():
        _attempt(functools.partial(call, client))
    secrets = _secrets(settings)
    refusals = [_input(response) for response in simulator.refusals().values()]
    echoes = [_echo(secret) for secret in secrets]
    corpus = [
        *map(_input, tampering.answers),
        *(b"200\n" + text for text in _examples(simulator.name)),
        *(b"202\n" + text for text in _examples(simulator.name)),
        *refusals,
        *echoes,
        *(b"200\n" + listed(json.loads(text)) for text in _examples(simulator.name)),
        b"429|retry-after: 5\n{}",
        b"503|retry-after: " + format_datetime(_NOW, usegmt=True).encode() + b"\n",
        b"204\n",
    ]
    for name, call in calls.items():
        run = _Answered(tampering, secrets, functools.partial(call, client))
        yield Target(f"{simulator.name}: {name}", tuple(dict.fromkeys(corpus)), run, reads_json=True)


def _secrets(settings: Mapping[str, Any]) -> tuple[str, ...]:
    names = ("token", "password", "peer_password", "secret_key", "session_token")
    return tuple(settings[name] for name in names if name in settings)


def _echo(secret: str) -> bytes:
    """Make a refusal that quotes a secret wherever a refusal has text."""
    body = {
        **dict.fromkeys(("error_code", "error_msg", "message", "op_id", "request_id", "__type"), secret),
        "error_param": [secret],
        "details": [{"error_code": secret, "error_msg": secret}],
        "resourceId": {secret: [secret]},
    }
    return f"400|x-request-id: {secret}|x-amzn-requestid: {secret}\n".encode() + json.dumps(body).encode()


def _some(listed: Iterable[Any]) -> list[Any]:
    return list(itertools.islice(listed, _LISTED))


def _answers_of_huawei() -> Iterator[Target]:
    simulator = new_simulator("huawei_sms", clock=VirtualClock())
    source_id, *_ = simulator.add_sources(3)
    replication_id = simulator.start_migration(source_id)  # type: ignore[attr-defined]
    spec = simulator.source_spec()
    calls: Mapping[str, Callable[[Any], Any]] = {
        "describe": lambda client: client.sources.describe(source_id),
        "list": lambda client: _some(client.sources.list()),
        "register": lambda client: client.sources.register(spec),
        "unlock": lambda client: client.targets.unlock(replication_id),
        "delete": lambda client: client.sources.delete(source_id),
    }
    yield from _answered(simulator, calls, lambda one: json.dumps({"count": 2, "source_servers": [one]}).encode())
    yield _login("huawei_sms", "login", lambda client: client.sources.list())


def _answers_of_srm() -> Iterator[Target]:
    simulator = new_simulator("vmware_srm", clock=VirtualClock())
    pairing_id, _ = simulator.add_pairings(2)
    task_id, spec = simulator.add_task(), simulator.pairing_spec()
    calls: Mapping[str, Callable[[Any], Any]] = {
        "describe": lambda client: client.pairings.describe(pairing_id),
        "list": lambda client: _some(client.pairings.list()),
        "create": lambda client: client.pairings.create(spec),
        "task": lambda client: client.tasks.get(task_id),
        "tasks": lambda client: _some(client.tasks.list()),
        "delete": lambda client: client.pairings.delete(pairing_id),
    }
    yield from _answered(simulator, calls, lambda one: json.dumps({"list": [one], "_meta": {"total": 2}}).encode())
    yield _login("vmware_srm", "both", lambda client: client.pairings.list())


def _answers_of_aws() -> Iterator[Target]:
    simulator = new_simulator("aws_mgn", clock=VirtualClock())
    source_id, _ = simulator.add_sources(2)
    task_id = simulator.add_task(mc.TaskStatus.ERROR, seconds=0)
    calls: Mapping[str, Callable[[Any], Any]] = {
        "describe": lambda client: client.sources.describe(source_id),
        "list": lambda client: _some(client.sources.list()),
        "task": lambda client: client.tasks.get(task_id),
        "tasks": lambda client: _some(client.tasks.list()),
        "delete": lambda client: client.sources.delete(source_id),
    }

    def listed(one: Any) -> bytes:
        named = {**one, "sourceServerID": source_id} if "sourceServerID" in one else {**one, "jobID": task_id}
        return json.dumps({"items": [named], "nextToken": "t"}).encode()

    yield from _answered(simulator, calls, listed)


def _login(provider: str, kind: str, call: Callable[[Any], Any]) -> Target:
    """Make a target of a login's answer; each input meets a client of its own."""
    simulator = new_simulator(provider, clock=VirtualClock())
    tampering = Tampering(simulator, of_logins=True)
    settings = {**simulator.settings(kind), "transport": tampering}

    def log_in() -> Any:
        simulator.reset()  # or its next ids tell one outcome from the other
        return _some(call(mc.connect(provider, clock=simulator.clock, **settings)))

    _attempt(log_in)
    refusals = [_input(response) for response in simulator.refusals().values()]
    corpus = [_input(tampering.answers[0]), *refusals, *map(_echo, _secrets(settings))]
    return Target(
        f"{provider}: login", tuple(corpus), _Answered(tampering, _secrets(settings), log_in), reads_json=True
    )


# JSON itself.


def _read_json(data: bytes) -> str:
    try:
        return repr(_json.loads(data))
    except (mc.MalformedResponseError, ValueError, RecursionError) as error:  # as its docstring says
        return type(error).__name__ if isinstance(error, mc.MigrateError | RecursionError) else "no JSON"


# Waits.


def _waits() -> Iterator[bytes]:
    yield from (b"0", b"5", b"1.5", b"-1", b"1e3", b"nan", b"inf", b"9" * 400, b" 7 ", b"")
    yield format_datetime(_NOW, usegmt=True).encode()
    yield from (b"Sat, 21 Nov 2026 09:30:00 -0330", b"Saturday, 21-Nov-26 09:30:00 GMT", b"Sat Nov 21 09:30:00 2026")


def _read_wait(data: bytes) -> str:
    seconds = retry_after(data.decode("latin-1"), _NOW)
    if seconds is not None and not 0 <= seconds < float("inf"):
        raise Violation(f"one cannot wait for {seconds} seconds")
    return repr(seconds)


# Tokens of tasks.


def _tokens() -> Iterator[bytes]:
    failure = mc.TaskFailure("it failed", "details", "X.1")
    for info in (
        mc.TaskInfo(id="task-1"),
        mc.TaskInfo(id="task-1", operation=mc.Operation.DELETE_PAIRING, entity_id="p-1"),
        mc.TaskInfo.finished(mc.Operation.REGISTER_SOURCE, entity_id="s-1", result="s-1"),
        mc.TaskInfo(id="t", status=mc.TaskStatus.SUCCESS, result={"pairing_id": "p", "more": [1, None]}),
        mc.TaskInfo(id="t", status=mc.TaskStatus.ERROR, error=failure),
    ):
        yield token_for("vmware_srm", info).encode()


def _inside(token: bytes) -> bytes:
    text = token.partition(b".")[2]
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))


def _token_of(data: bytes) -> str:
    return "mct1." + base64.urlsafe_b64encode(data).decode().rstrip("=")


def _read_token(token: str) -> str:
    def read() -> mc.TaskInfo:
        info = info_from("vmware_srm", token)
        written = token_for("vmware_srm", info)
        if token_for("vmware_srm", info_from("vmware_srm", written)) != written:
            raise Violation("what was read from a token cannot be written into one, and read again")
        return info

    return _attempt(read)


# Files of profiles.

_PROFILES = (
    b'[dr]\nprovider = "vmware_srm"\nendpoint = "https://srm.example"\nusername = "u"\n'
    b'password = { keyring = "migrate-core/dr" }\n\n# the other site\n[cloud]\nprovider = "huawei-sms"\n'
    b'token = { env = "TOKEN" }\ntimeout = 5.5\nverify = false\n',
    f'[a]\nprovider = "huawei_sms"\ninsecure_plaintext = true\ntoken = "{SECRET}"\n'.encode(),
    f'[a]\nprovider = "huawei_sms"\npassword = "{SECRET}"\nsecret_key = {{ literal = "{SECRET}" }}\n'.encode(),
    b'[a]\nprovider = "x"\nsecret = { command = ["true"] }\nother = { file = "~/x" }\nmore = { vendor = true }\n',
    b"",
)


def _read_profiles(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    path.chmod(0o600)
    return _attempt(lambda: load_profiles(path))


def _change_profiles(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    path.chmod(0o600)
    added = Profile(name="a", provider="huawei_sms", settings={"token": {"env": "TOKEN"}})

    def change() -> Mapping[str, Profile]:
        before = load_profiles(path)
        save_profile(added, path)
        after = load_profiles(path)
        if repr(after.pop("a")) != repr(added) or repr(_but("a", before)) != repr(after):
            raise Violation("saving a profile has changed another one")
        return after

    return _attempt(change)


def _but(name: str, profiles: Mapping[str, Profile]) -> dict[str, Profile]:
    return {key: profile for key, profile in profiles.items() if key != name}


# Documents to register.


def _read_document(data: bytes) -> str:
    def read() -> Any:
        try:
            return document_from_json(json.loads(data))
        except (ValueError, RecursionError) as error:
            if isinstance(error, mc.MigrateError):
                raise
            return "no JSON"

    return _attempt(read)


def _specs() -> Iterator[bytes]:
    facts = {
        "hostname": "web-1",
        "os_family": "linux",
        "firmware": "uefi",
        "cpu_count": 4,
        "memory_bytes": 2**33,
        "disks": [{"name": "/dev/sda", "size_bytes": 2**40, "used_bytes": None, "is_boot": True}],
        "nics": [{"name": "eth0", "mac": None, "addresses": ["192.0.2.1", "2001:db8::1"]}],
    }
    document = json.loads(next(text for text in _examples("huawei_sms") if b"has_rsync" in text))
    for details in (None, document, {"boot_loader": "GRUB", "disks": [{"name": "/dev/sda"}]}):
        for allow in (True, False):
            spec = {"name": "web-1", "facts": facts, "details": details, "options": {"allow_incomplete": allow}}
            yield json.dumps(spec).encode()


class _Previewer:
    """Reads a specification as ``register -f`` does, and asks what would be sent."""

    def __init__(self) -> None:
        simulator = new_simulator("huawei_sms", clock=VirtualClock())
        self._client = mc.connect("huawei_sms", clock=simulator.clock, **simulator.settings())

    def __call__(self, data: bytes) -> str:
        def preview() -> Any:
            try:
                payload = json.loads(data)
            except (ValueError, RecursionError):
                return "no JSON"
            request = self._client.sources.preview(read_shape(mc.SourceSpec, payload))
            return json.loads(request.body)

        return _attempt(preview)
