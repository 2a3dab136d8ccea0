"""Each simulator answers as its OpenAPI document says, whatever it is asked; ``fuzz.conformity`` asks for longer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
from jsonschema import Draft202012Validator

from fuzz.conformity import NAMES, drive
from migrate_core.documents import wire_of
from migrate_core.testing import VirtualClock, new_simulator
from migrate_huawei_sms.models import ServerDisk
from migrate_huawei_sms.simulator import HuaweiSmsSimulator


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", NAMES)
def test_every_answer_is_one_that_the_document_has(name: str) -> None:
    driven = drive(new_simulator(name, clock=VirtualClock()), cases=130, number=1)
    assert driven.wrong == {}
    operations = {label for label, _ in driven.answers}
    succeeded = {label for label, status in driven.answers if status < 300}
    assert len(succeeded) > len(operations) / 3, "hardly any request got through, so hardly anything was looked at"


class _Undocumented(HuaweiSmsSimulator):
    answers: ClassVar[Mapping[int, type | None]] = {}


class _Bodiless(HuaweiSmsSimulator):
    answers: ClassVar[Mapping[int, type | None]] = {401: None, 403: None}


class _Unlocked(HuaweiSmsSimulator):
    async def _authorize(self, request: Any, action: str) -> None:
        """Let everybody in."""


class _Broken(HuaweiSmsSimulator):
    def _source(self, source_id: str) -> Any:
        raise KeyError(source_id)


@pytest.mark.parametrize(
    ("simulator", "said"),
    [
        (_Undocumented, "Undocumented status code"),
        (_Bodiless, "401 has a body, documented is none"),
        (_Unlocked, "200 without a login"),
        (_Broken, "KeyError"),
    ],
    ids=["a status", "a body", "no authentication", "a crash"],
)
def test_what_the_document_does_not_say_is_found(simulator: type[HuaweiSmsSimulator], said: str) -> None:
    driven = drive(simulator(clock=VirtualClock()), cases=60, number=1)
    assert any(said in wrong for wrong in driven.wrong), driven.wrong


def test_the_same_number_gives_the_same_requests() -> None:
    first, second = (drive(new_simulator("vmware_srm", clock=VirtualClock()), cases=40, number=7) for _ in range(2))
    assert first.answers == second.answers


@pytest.mark.parametrize("name", NAMES)
def test_the_document_has_every_route_and_valid_schemas(name: str) -> None:
    simulator = new_simulator(name)
    document = simulator.openapi()
    described = {(path, method.upper()) for path, calls in document["paths"].items() for method in calls}
    assert described == {(route.path, method) for route in simulator.routes() for method in route.methods - {"HEAD"}}
    assert all(
        "2" in {status[0] for status in call["responses"]}
        for path in document["paths"].values()
        for call in path.values()
    )
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_bounds_and_mandatory_fields_are_those_of_the_declarations() -> None:
    schema = new_simulator("huawei_sms").openapi()["components"]["schemas"]["ServerDisk"]
    wires = wire_of(ServerDisk)
    assert set(schema["properties"]) == set(wires)
    assert schema["required"] == [name for name, wire in wires.items() if wire.required]
    assert schema["properties"]["size"] == {"type": "integer", "minimum": 0, "maximum": wires["size"].maximum}
    assert schema["properties"]["name"] == {"type": "string", "maxLength": 255}


def test_only_the_words_of_a_field_are_allowed_where_the_simulator_has_no_others() -> None:
    schema = new_simulator("vmware_srm").openapi()["components"]["schemas"]["SrmTask"]
    assert schema["properties"]["status"]["enum"] == ["QUEUED", "RUNNING", "SUCCESS", "ERROR", "CANCELLED"]
