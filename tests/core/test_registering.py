"""A machine is registered once, whatever becomes of the answer, by whoever wants it so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from typing import Any, ClassVar

import attrs
import pytest

import migrate_core as mc
from migrate_core.errors import ContractViolationError
from migrate_core.operations import Capability, Operation, Support
from migrate_core.provider import BaseProvider, Flow, Request, Response, Settings, TaskInfo
from migrate_core.testing import FaultPlan, VirtualClock, faults, gate, serve
from migrate_huawei_sms import HuaweiSmsProvider
from migrate_huawei_sms.simulator import HuaweiSmsSimulator
from support import Caller

SENT = {"method": "POST", "path": "/v3/sources"}
LOOK = {"method": "GET", "path": "/v3/sources"}

LOST = {
    "reset": faults.Reset(),
    "cut short": faults.WrongLength(by=5),
    "a failed server": faults.Answer(500),
    "a gateway's time-out": faults.Answer(504, "<html>", {"Content-Type": "text/html"}),
    "a page": faults.Answer(200, "<html>", {"Content-Type": "text/html"}),
    "nothing": faults.Answer(200),
}


@pytest.fixture(scope="module")
def simulator() -> HuaweiSmsSimulator:
    return HuaweiSmsSimulator()


@pytest.fixture(scope="module")
def plan() -> FaultPlan:
    return FaultPlan()


@pytest.fixture(scope="module")
def door(simulator: HuaweiSmsSimulator, plan: FaultPlan) -> Iterator[str]:
    with serve(simulator) as origin, gate(origin, plan) as origin:
        yield origin


@pytest.fixture(params=["httpx", "fast"])
def client(
    request: pytest.FixtureRequest, door: str, simulator: HuaweiSmsSimulator, plan: FaultPlan, caller: Caller
) -> Any:
    simulator.reset()
    plan.clear()
    return reconciling(caller, simulator, door, transport=request.param)


def reconciling(caller: Caller, simulator: HuaweiSmsSimulator, door: str, **settings: Any) -> Any:
    given = {**simulator.settings(), "endpoint": door, "clock": VirtualClock(), "on_ambiguous": "reconcile", **settings}
    return caller.connect("huawei_sms", **given)


def sources(simulator: HuaweiSmsSimulator) -> list[str]:
    """Give the ids of all sources that the vendor has."""
    return list(simulator._sources)


def asked(simulator: HuaweiSmsSimulator) -> str:
    """Tell in letters what the vendor was asked: (l)ooks and (s)ent registrations."""
    letters = {"GET": "l", "POST": "s"}
    return "".join(letters[entry.method] for entry in simulator.journal)


def test_a_new_machine_is_looked_for_first_and_registered(
    client: Any, caller: Caller, simulator: HuaweiSmsSimulator
) -> None:
    task = caller(client.sources.register(simulator.source_spec()))
    assert sources(simulator) == [caller(task.wait())]
    assert asked(simulator) == "ls"


def test_a_machine_that_is_there_is_not_registered_again(
    client: Any, caller: Caller, simulator: HuaweiSmsSimulator
) -> None:
    spec = simulator.source_spec()
    ids = [caller(caller(client.sources.register(spec)).wait()) for _ in range(3)]
    assert len(set(ids)) == 1
    assert sources(simulator) == ids[:1]
    assert asked(simulator) == "lsll"


def test_another_machine_of_the_same_name_is_another_machine(
    client: Any, caller: Caller, simulator: HuaweiSmsSimulator
) -> None:
    spec = simulator.source_spec()
    other = attrs.evolve(spec, details=attrs.evolve(spec.details, ip="192.0.2.77"))
    first, second = (caller(caller(client.sources.register(one)).wait()) for one in (spec, other))
    assert sources(simulator) == [first, second]


@pytest.mark.parametrize("fault", LOST.values(), ids=LOST)
def test_one_whose_answer_is_lost_is_found_and_adopted(
    client: Any, caller: Caller, simulator: HuaweiSmsSimulator, plan: FaultPlan, fault: faults.Fault
) -> None:
    plan.add(fault, **SENT, after=True)
    begun = client._engine.clock.monotonic()
    task = caller(client.sources.register(simulator.source_spec()))
    assert sources(simulator) == [caller(task.wait())]
    assert asked(simulator) == "lsl"
    assert client._engine.clock.monotonic() - begun == HuaweiSmsProvider.settle_seconds


@pytest.mark.parametrize("fault", LOST.values(), ids=LOST)
def test_one_that_never_arrived_is_sent_once_more(
    client: Any, caller: Caller, simulator: HuaweiSmsSimulator, plan: FaultPlan, fault: faults.Fault
) -> None:
    plan.add(fault, **SENT, after=False)
    task = caller(client.sources.register(simulator.source_spec()))
    assert sources(simulator) == [caller(task.wait())]
    assert asked(simulator) == "lls"


@pytest.mark.parametrize(
    ("fault", "error"), [(faults.Reset(), mc.OutcomeUnknownError), (faults.Answer(500), mc.ServerError)], ids=repr
)
def test_one_that_never_arrives_is_given_up_after_a_last_look(
    client: Any,
    caller: Caller,
    simulator: HuaweiSmsSimulator,
    plan: FaultPlan,
    fault: faults.Fault,
    error: type[mc.MigrateError],
) -> None:
    plan.add(fault, **SENT, times=None)
    with pytest.raises(error) as raised:
        caller(client.sources.register(simulator.source_spec()))
    assert (sources(simulator), asked(simulator)) == ([], "lll")
    assert len([request for request in plan.journal if request.fault]) == 2
    assert raised.value.__notes__ == ["looked for 2 s later, it is not there"]


def test_one_that_nobody_answered_in_time_is_looked_for_and_never_sent_again(
    door: str, caller: Caller, simulator: HuaweiSmsSimulator, plan: FaultPlan
) -> None:
    for after, found in ((True, "lsl"), (False, "ll")):
        simulator.reset()
        plan.clear()
        client = reconciling(caller, simulator, door, timeout=1.0)
        plan.add(faults.Silence(), **SENT, after=after)
        with nullcontext() if after else pytest.raises(mc.OutcomeUnknownError, match="no answer came") as raised:
            task = caller(client.sources.register(simulator.source_spec()))
            assert sources(simulator) == [task.info.result]
        assert after or raised.value.__notes__ == ["looked for 0.5 s later, it is not there"]
        assert asked(simulator) == found


def test_without_time_to_settle_it_is_not_sent_again(
    door: str, caller: Caller, simulator: HuaweiSmsSimulator, plan: FaultPlan
) -> None:
    simulator.reset()
    plan.clear()
    client = reconciling(caller, simulator, door, timeout=HuaweiSmsProvider.settle_seconds)
    plan.add(faults.Reset(), **SENT)
    with pytest.raises(mc.OutcomeUnknownError) as raised:
        caller(client.sources.register(simulator.source_spec()))
    assert asked(simulator) == "ll"
    assert raised.value.__notes__ == ["looked for 1 s later, it is not there"]


def test_what_cannot_be_looked_for_again_stays_unknown(
    client: Any, caller: Caller, simulator: HuaweiSmsSimulator, plan: FaultPlan
) -> None:
    plan.add(faults.Reset(), **SENT, after=True)
    plan.add(faults.Answer(403), **LOOK, call=2, times=None)
    with pytest.raises(mc.OutcomeUnknownError, match=r"was sent, no answer came.*; looking for it failed: .*403"):
        caller(client.sources.register(simulator.source_spec()))
    assert len(sources(simulator)) == 1


def test_without_a_first_look_nothing_is_sent(
    client: Any, caller: Caller, simulator: HuaweiSmsSimulator, plan: FaultPlan
) -> None:
    plan.add(faults.Answer(403), **LOOK)
    with pytest.raises(mc.PermissionDeniedError):
        caller(client.sources.register(simulator.source_spec()))
    assert asked(simulator) == ""


def test_several_that_look_alike_are_named_and_not_chosen_from(
    client: Any, door: str, caller: Caller, simulator: HuaweiSmsSimulator
) -> None:
    spec = simulator.source_spec()
    careless = reconciling(caller, simulator, door, on_ambiguous="raise")
    ids = [caller(caller(careless.sources.register(spec)).wait()) for _ in range(2)]
    with pytest.raises(mc.OutcomeUnknownError) as raised:
        caller(client.sources.register(spec))
    assert ", ".join(ids) in str(raised.value)
    assert sources(simulator) == ids


def test_one_among_thousands_is_found(client: Any, caller: Caller, simulator: HuaweiSmsSimulator) -> None:
    spec = simulator.source_spec()
    caller(client.sources.register(spec))
    simulator.add_sources(450)
    source_id = caller(caller(client.sources.register(spec)).wait())
    assert len(sources(simulator)) == 451
    assert sources(simulator)[0] == source_id


def test_a_wrong_document_is_refused_before_anything_is_asked(
    client: Any, caller: Caller, simulator: HuaweiSmsSimulator
) -> None:
    with pytest.raises(mc.InvalidDocumentError):
        caller(client.sources.register(mc.SourceSpec(name="")))
    assert asked(simulator) == ""


def test_a_refusal_is_a_refusal(client: Any, caller: Caller, simulator: HuaweiSmsSimulator, plan: FaultPlan) -> None:
    plan.add(faults.Answer(403), **SENT)
    with pytest.raises(mc.PermissionDeniedError):
        caller(client.sources.register(simulator.source_spec()))
    assert asked(simulator) == "l"


def test_by_default_a_lost_answer_is_an_error_and_nobody_looks(
    door: str, caller: Caller, simulator: HuaweiSmsSimulator, plan: FaultPlan
) -> None:
    simulator.reset()
    plan.clear()
    plan.add(faults.Reset(), **SENT, after=True)
    client = caller.connect("huawei_sms", **{**simulator.settings(), "endpoint": door})
    with pytest.raises(mc.OutcomeUnknownError):
        caller(client.sources.register(simulator.source_spec()))
    assert asked(simulator) == "s"


@pytest.mark.parametrize("value", ["", "Raise", "retry", True])
def test_the_setting_has_two_values(value: Any) -> None:
    with pytest.raises(mc.ConfigurationError, match="on_ambiguous is 'raise' or 'reconcile', not"):
        mc.connect("huawei_sms", endpoint="https://sms.invalid", token="t", on_ambiguous=value)


class Blind(BaseProvider):
    """A plug-in that registers, and cannot look."""

    name = "blind"
    contract = 3
    capabilities: ClassVar = {Operation.REGISTER_SOURCE: Capability(Support.FULL)}

    def endpoints(self) -> Mapping[str, str]:
        return {"main": "https://api.invalid"}

    def error_from(self, response: Response) -> mc.ApiError:
        raise AssertionError

    def register_source(self, spec: mc.SourceSpec) -> Flow[TaskInfo]:
        yield Request(method="POST", path="/x", repeatable=False)
        raise AssertionError


class Confused(Blind):
    """A plug-in that looks, and gives what is no id."""

    def find_registered(self, spec: mc.SourceSpec) -> Flow[str | None]:
        yield from ()
        return ""


@pytest.mark.parametrize(
    ("cls", "error", "text"),
    [
        (Blind, mc.ConfigurationError, "blind cannot look up what was registered"),
        (Confused, ContractViolationError, r"find_registered\(\) returns the id of a source or None, not a str"),
    ],
)
def test_a_plug_in_that_cannot_tell_is_not_asked_to_register(
    caller: Caller, cls: type[Blind], error: type[mc.MigrateError], text: str
) -> None:
    client = caller.connect(cls, on_ambiguous="reconcile")
    with pytest.raises(error, match=text):
        caller(client.sources.register(mc.SourceSpec(name="x")))


def test_a_plug_in_that_looks_says_which_contract_it_needs() -> None:
    class Old(Confused):
        contract = 2

    with pytest.raises(mc.ProviderLoadError, match=r"it has find_registered\(\), which came with contract 3"):
        mc.connect(Old)


def test_settings_take_it_from_anywhere() -> None:
    assert Settings().on_ambiguous == "raise"
    assert Settings(on_ambiguous="reconcile").on_ambiguous == "reconcile"
