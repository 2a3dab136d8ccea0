"""Plug-ins and the rules of the seam: old ones go on working, newer ones and broken ones are told what is wrong."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import pytest

import migrate_core as mc
from core.contract_1 import FrozenProvider
from migrate_core.clock import Deadline
from migrate_core.provider import CONTRACT, BaseProvider, Page, Request, Response, Settings, setting
from migrate_core.testing import VirtualClock
from support import Caller

ENDPOINT = "https://frozen.invalid"
FULL = mc.Capability(mc.Support.FULL)


class Answers:
    """A transport that gives prepared answers, and keeps what was sent."""

    def __init__(self, *answers: tuple[int, Any]) -> None:
        self.answers = list(answers)
        self.sent: list[Request] = []

    def open(self, options: Any) -> Any:
        return self

    def open_async(self, options: Any) -> Any:
        return _Awaited(self)

    def send(self, request: Request, deadline: Deadline) -> Response:
        self.sent.append(request)
        status, body = self.answers.pop(0)
        return Response(status=status, body=json.dumps(body).encode())

    def close(self) -> None:
        """Nothing is open."""


class _Awaited:
    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    async def send(self, request: Request, deadline: Deadline) -> Response:
        return self._answers.send(request, deadline)

    async def close(self) -> None:
        """Nothing is open."""


LOGIN = (200, {"session": "s-1"})
LOGOUT = (204, None)


@pytest.fixture
def frozen(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Make a client of the frozen plug-in from prepared answers; all of them must be used."""
    monkeypatch.setenv("FROZEN_USER", "u")
    monkeypatch.setenv("FROZEN_PASSWORD", "a-password-of-old")
    made: list[tuple[Any, Answers]] = []

    def connect(*answers: tuple[int, Any]) -> tuple[Any, Answers]:
        wire = Answers(LOGIN, *answers, LOGOUT)
        made.append((caller.connect(FrozenProvider, transport=wire, clock=VirtualClock()), wire))
        return made[-1]

    yield connect
    for client, wire in made:
        caller(client.close())
        assert wire.answers == []


def test_a_plug_in_of_contract_1_reads_and_registers(frozen: Any, caller: Caller) -> None:
    client, wire = frozen((200, {"id": "m-7"}), (200, {"memory": 5}), (200, {"memory": 5}), (200, {"memory": 6}))
    assert caller(caller(client.sources.register(mc.SourceSpec(name="web"), force=True)).wait()) == "m-7"
    assert (wire.sent[1].target, json.loads(wire.sent[1].body)) == ("/machines?force=1", {"name": "web"})
    assert wire.sent[1].headers == {"X-Session": "s-1"}
    assert caller(client.sources.describe("a/b")).facts.memory_bytes == 5
    assert wire.sent[2].path == "/machines/a%2Fb"
    assert [source.id for source in caller.list(client.sources.list())] == ["m-1", "m-2"]
    with pytest.raises(mc.InvalidDocumentError):
        caller(client.sources.register(mc.SourceSpec(name="web", details={"colour": "red"})))


def test_a_plug_in_of_contract_1_renews_its_login_and_waits_for_its_tasks(frozen: Any, caller: Caller) -> None:
    client, wire = frozen((401, {}), LOGIN, (202, None), (200, {}), (404, {}))
    task = caller(client.sources.delete("m-1"))
    assert task.token
    seen: list[float | None] = []
    assert caller(task.wait(on_progress=lambda task: seen.append(task.progress))) is None
    assert seen == [50.0, 100.0]
    assert [request.path for request in wire.sent] == [
        "/login",
        "/machines/m-1",
        "/login",
        "/machines/m-1",
        "/tasks/t-1",
        "/tasks/t-1",
    ]


def test_a_plug_in_of_contract_1_has_pairings_tasks_and_checks(frozen: Any, caller: Caller) -> None:
    client, _ = frozen((200, {"memory": 5}), (400, {}))
    assert [pairing.id for pairing in caller.list(client.pairings.list())] == ["p-1"]
    assert caller(client.pairings.describe("p-2")).state is mc.PairingState.PAIRED
    with pytest.raises(mc.TaskFailedError, match=r"broken \(in half\)"):
        caller(caller(client.pairings.delete("p-1")).wait())
    assert [task.id for task in caller.list(client.tasks.list())] == ["t-1"]
    with pytest.raises(mc.UnsupportedOperationError, match="not at night"):
        caller(client.tasks.cancel("t-1"))
    with pytest.raises(mc.UnsupportedOperationError, match="There are no locks"):
        caller(client.targets.unlock("r-1"))
    with pytest.raises(mc.UnsupportedOperationError, match="not implemented"):
        caller(client.pairings.create(mc.PairingSpec(remote_url="b", remote_username="u", remote_password="p")))
    assert {check.name: check.result for check in caller(client.check())}["other site"] is mc.CheckResult.OK
    with pytest.raises(mc.InvalidRequestError, match=r"frozen describe_source: 400 F\.1: refused"):
        caller(client.sources.describe("m-1"))


class Sound(BaseProvider):
    """A plug-in that keeps the rules, but for what a test changes."""

    name = "sound"
    capabilities: Mapping[mc.Operation, mc.Capability] = {
        mc.Operation.DESCRIBE_SOURCE: FULL,
        mc.Operation.LIST_SOURCES: FULL,
        mc.Operation.DELETE_SOURCE: FULL,
    }

    def endpoints(self) -> Any:
        return {"main": ENDPOINT}

    def error_from(self, response: Response) -> Any:
        return mc.ApiError("refused", provider=self.name, status=response.status)

    def describe_source(self, source_id: str) -> Any:
        yield Request(method="GET", path="/s", repeatable=True)
        return mc.SourceServer(id=source_id, provider=self.name)

    def list_sources(self, cursor: str | None) -> Any:
        return Page(((yield from self.describe_source("s-1")),))

    def delete_source(self, source_id: str) -> Any:
        yield Request(method="DELETE", path="/s", repeatable=False)
        return mc.TaskInfo.finished(mc.Operation.DELETE_SOURCE)


def without(name: str) -> type[BaseProvider]:
    """Give `Sound` without one of its attributes."""
    kept = {key: value for key, value in vars(Sound).items() if key not in (name, "__dict__", "__weakref__")}
    return type("Sound", (BaseProvider,), {key: value for key, value in kept.items() if not key.startswith("_abc")})


def having(**attributes: Any) -> type[BaseProvider]:
    """Give `Sound` with other attributes."""
    return type("Sound", (Sound,), attributes)


@attrs.frozen
class Loose(Settings):
    """Settings, one of which is not declared with setting()."""

    colour: str = "red"


@pytest.mark.parametrize(
    ("cls", "rule"),
    [
        (without("name"), "it lacks the class variable name"),
        (without("capabilities"), "it lacks the class variable capabilities"),
        (without("endpoints"), "it lacks the method endpoints()"),
        (without("error_from"), "it lacks the method error_from()"),
        (without("describe_source"), "describe_source is declared FULL, and describe_source() is not written"),
        (having(name="Sound Inc."), "name is in snake_case, not 'Sound Inc.'"),
        (having(name=7), "name is in snake_case, not 7"),
        (having(contract=CONTRACT + 1), f"it was written for contract {CONTRACT + 1} of the seam"),
        (having(contract=CONTRACT + 1, name=7), "a newer release is needed"),
        (
            having(load_credentials=lambda _: None),
            "it has load_credentials(), which came with contract 2, and says contract 1",
        ),
        (having(contract=0), "contract is a whole number from 1 on, not 0"),
        (having(contract="1"), "contract is a whole number from 1 on, not '1'"),
        (having(settings_type=dict), "settings_type is no subclass of Settings"),
        (having(settings_type=Loose), "settings_type has fields that are not declared with setting()"),
        (having(capabilities=[FULL]), "capabilities is a mapping, not a list"),
        (having(capabilities={"describe_source": FULL}), "not 'describe_source' to a Capability"),
        (having(capabilities={mc.Operation.GET_TASK: True}), "to a bool"),
        (dict, "it is no subclass of BaseProvider"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_class_that_breaks_a_rule_is_not_used_and_the_rule_is_named(
    cls: type[BaseProvider], rule: str, caller: Caller
) -> None:
    with pytest.raises(mc.ProviderLoadError, match=r"provider '\w+' breaks a rule of the seam: ") as raised:
        caller.connect(cls)
    assert rule in str(raised.value)


def test_all_broken_rules_of_a_class_are_named_at_once(caller: Caller) -> None:
    with pytest.raises(mc.ProviderLoadError) as raised:
        caller.connect(having(name=7, settings_type=dict, capabilities=None))
    assert str(raised.value).count(";") == 2


def crashes(*_: Any, **__: Any) -> Any:
    raise KeyError("id")


def crashing_flow(*_: Any) -> Any:
    yield Request(method="GET", path="/s", repeatable=True)
    raise KeyError("id")


def giving(result: Any, *yielded: Any) -> Any:
    def flow(*_: Any) -> Any:
        yield from yielded
        return result

    return flow


def restarting(*_: Any) -> Any:
    yield Request(method="GET", path="/s", repeatable=True, renew="restart")


DESCRIBE, LIST, DELETE = mc.Operation.DESCRIBE_SOURCE, mc.Operation.LIST_SOURCES, mc.Operation.DELETE_SOURCE


@pytest.mark.parametrize(
    ("cls", "operation", "rule"),
    [
        (having(describe_source=giving(None)), DESCRIBE, "the flow returns SourceServer, not None"),
        (having(delete_source=giving(True)), DELETE, "the flow returns TaskInfo, not a bool"),
        (having(delete_source=giving(mc.TaskInfo(id=7))), DELETE, "id of a TaskInfo is not a int"),
        (having(delete_source=giving(mc.TaskInfo(id="t", status="done"))), DELETE, "status of a TaskInfo is not a str"),
        (having(list_sources=giving([])), LIST, "the flow returns Page, not a list"),
        (having(list_sources=giving(Page(("s-1",)))), LIST, "a page holds a tuple of SourceServer, not a str"),
        (having(list_sources=giving(Page([]))), LIST, "a page holds a tuple of SourceServer, not a list"),
        (having(list_sources=giving(Page((), 7))), LIST, "the cursor of the next page is a text or None, not a int"),
        (having(describe_source=giving(None, "GET /s")), DESCRIBE, "a flow yields requests, not a str"),
        (having(describe_source=giving(None, None)), DESCRIBE, "a flow yields requests, not None"),
        (
            having(describe_source=giving(None, Request(method="GET", path="/s", repeatable=True, endpoint="iam"))),
            DESCRIBE,
            "a request goes to one of the endpoints (main), not to 'iam'",
        ),
        (having(describe_source=lambda *_: 7), DESCRIBE, "a flow is a generator, not a int"),
        (having(describe_source=crashes), DESCRIBE, "errors of MigrateError only, not KeyError"),
        (having(describe_source=crashing_flow), DESCRIBE, "errors of MigrateError only, not KeyError"),
        (having(authenticate=crashes), DESCRIBE, "errors of MigrateError only, not KeyError"),
        (having(authenticate=lambda *_, **__: None), DESCRIBE, "authenticate() returns headers"),
        (having(authenticate=lambda *_, **__: {"X": 1}), DESCRIBE, "authenticate() returns headers"),
        (having(has_credentials=crashes), DESCRIBE, "errors of MigrateError only, not KeyError"),
        (having(contract=2, has_credentials=lambda *_: False, load_credentials=crashes), DESCRIBE, "not KeyError"),
        (having(has_credentials=lambda *_: False, refresh_credentials=crashing_flow), DESCRIBE, "not KeyError"),
        (having(has_credentials=lambda *_: False, refresh_credentials=lambda *_: 1), DESCRIBE, "is a generator"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_plug_in_that_breaks_a_rule_is_named_with_the_operation_and_the_rule(
    cls: type[BaseProvider], operation: mc.Operation, rule: str, caller: Caller
) -> None:
    client = caller.connect(cls, transport=Answers((200, {}), (200, {})), clock=VirtualClock())
    with pytest.raises(mc.ContractViolationError) as raised:
        {
            DESCRIBE: lambda: caller(client.sources.describe("s-1")),
            LIST: lambda: caller.list(client.sources.list()),
            DELETE: lambda: caller(client.sources.delete("s-1")),
        }[operation]()
    assert (raised.value.provider, raised.value.operation) == ("sound", operation)
    assert rule in raised.value.rule
    assert str(raised.value) == f"the plug-in sound {operation.value} breaks a rule of the seam: {raised.value.rule}"


@pytest.mark.parametrize(
    ("error_from", "rule"),
    [
        (crashes, "errors of MigrateError only, not KeyError"),
        (lambda *_: None, "error_from() returns an ApiError, not None"),
        (lambda *_: ValueError("refused"), "error_from() returns an ApiError, not a ValueError"),
    ],
)
def test_a_refusal_that_the_plug_in_cannot_read_is_its_fault(error_from: Any, rule: str, caller: Caller) -> None:
    cls = having(error_from=error_from)
    client = caller.connect(cls, transport=Answers((400, {})), clock=VirtualClock())
    with pytest.raises(mc.ContractViolationError) as raised:
        caller(client.sources.describe("s-1"))
    assert raised.value.rule.endswith(rule)


@pytest.mark.parametrize("endpoints", [{}, None, ["main"], {"main": 7}, {"main": "https://u:p@frozen.invalid"}])
def test_endpoints_that_are_none_are_refused_before_anything_is_sent(endpoints: Any, caller: Caller) -> None:
    with pytest.raises(mc.ContractViolationError, match=r"the plug-in sound breaks a rule .*endpoints\(\)"):
        caller.connect(having(endpoints=lambda _: endpoints), transport=Answers())


def unlucky(_: Any) -> Any:
    raise KeyError("a-secret-value")


@attrs.frozen(kw_only=True)
class Unlucky(Settings):
    """Settings with a converter that quotes what it was given."""

    password: Any = setting(doc="A password.", secret=True, converter=unlucky)


def test_a_converter_that_crashes_is_named_without_what_it_was_given(caller: Caller) -> None:
    with pytest.raises(mc.ContractViolationError, match="raises ConfigurationError only, not KeyError") as raised:
        caller.connect(having(settings_type=Unlucky), password="a-secret-value")
    assert "a-secret-value" not in f"{raised.value!r} {raised.value.__cause__!r} {raised.value.__context__!r}"


@pytest.mark.parametrize("name", ["__init__", "endpoints"])
def test_a_crash_while_connecting_is_the_plug_ins(name: str, caller: Caller) -> None:
    with pytest.raises(mc.ContractViolationError, match="errors of MigrateError only, not KeyError") as raised:
        caller.connect(having(**{name: crashes}), transport=Answers())
    assert raised.value.operation is None


def test_a_flow_that_asks_to_be_restarted_must_know_how(caller: Caller) -> None:
    cls = having(
        describe_source=restarting,
        can_renew=lambda _: True,
        error_from=lambda _, response: mc.AuthenticationError("no", provider="sound", status=response.status),
    )
    client = caller.connect(cls, transport=Answers((401, {})), clock=VirtualClock())
    with pytest.raises(mc.ContractViolationError, match="catches CredentialsRenewed"):
        caller(client.sources.describe("s-1"))


@pytest.mark.parametrize("register", [crashes, giving(None, "POST /s"), lambda *_: 7])
def test_a_preview_that_breaks_a_rule_is_the_plug_ins_fault(register: Any, caller: Caller) -> None:
    cls = having(capabilities={mc.Operation.REGISTER_SOURCE: FULL}, register_source=register)
    client = caller.connect(cls, transport=Answers())
    with pytest.raises(mc.ContractViolationError) as raised:
        client.sources.preview(mc.SourceSpec(name="web-1"))
    assert raised.value.operation is mc.Operation.REGISTER_SOURCE


def test_checks_that_are_none_are_the_plug_ins_fault(caller: Caller) -> None:
    client = caller.connect(having(check_logins=giving(["ok"])), transport=Answers((200, {})), clock=VirtualClock())
    check = caller(client.check())[-1]
    assert (check.result, check.code) == (mc.CheckResult.ERROR, "ContractViolationError")
    assert check.message.endswith("check_logins() returns a tuple of Check, not a list")


class Loading(Sound):
    """A plug-in whose credentials come from code that blocks."""

    contract = 2
    loaded = 0

    def has_credentials(self, now: Any) -> bool:
        return self.loaded > 0

    def load_credentials(self) -> None:
        type(self).loaded += 1


def test_credentials_that_block_are_loaded_once_and_before_anything_is_sent(caller: Caller) -> None:
    cls = type("Loading", (Loading,), {})
    wire = Answers((200, {}), (200, {}))
    client = caller.connect(cls, transport=wire, clock=VirtualClock())
    assert (cls.loaded, wire.sent) == (0, [])
    for _ in range(2):
        caller(client.sources.describe("s-1"))
    assert (cls.loaded, len(wire.sent)) == (1, 2)


def test_credentials_are_loaded_beside_the_event_loop_and_not_in_it(caller: Caller) -> None:
    threads = []
    cls = type("Loading", (Loading,), {})
    cls.load_credentials = lambda self: (threads.append(threading.current_thread()), Loading.load_credentials(self))
    client = caller.connect(cls, transport=Answers((200, {})), clock=VirtualClock())
    caller(client.sources.describe("s-1"))
    assert (threads == [threading.main_thread()]) == (caller.kind == "sync")
