"""The provider and the simulator against the vendor's own service model, both ways."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import pytest
from botocore.loaders import create_loader  # type: ignore[import-untyped]
from botocore.model import ServiceModel  # type: ignore[import-untyped]
from botocore.parsers import create_parser  # type: ignore[import-untyped]
from botocore.validate import ParamValidator  # type: ignore[import-untyped]

import migrate_core as mc
from migrate_aws_mgn import models
from migrate_aws_mgn.auth import SigningKey
from migrate_aws_mgn.simulator import REGION, AwsMgnSimulator
from migrate_core.clock import Deadline
from migrate_core.documents import Kind, wire_of
from migrate_core.provider import Request, Response, json_body
from migrate_core.testing import Caller
from migrate_core.transports import TransportOptions

SERVICE = ServiceModel(create_loader().load_service_model("mgn", "service-2"), "mgn")
OPERATIONS = {SERVICE.operation_model(name).http["requestUri"]: name for name in SERVICE.operation_names}
TIMES = "ISO8601DatetimeString"
"""The model asks for a ``Z``; the service itself answers with ``+00:00``, as the simulator does."""

KINDS = {
    "string": Kind.TEXT,
    "integer": Kind.INTEGER,
    "long": Kind.INTEGER,
    "boolean": Kind.FLAG,
    "structure": Kind.ONE,
    "map": Kind.ANYTHING,
    "timestamp": Kind.ANYTHING,
}


# The vendor's objects.


def reachable(cls: type) -> Iterator[type]:
    yield cls
    for wire in wire_of(cls).values():
        if wire.item:
            yield from reachable(wire.item)


DOCUMENTS = sorted(
    {found for root in (models.MgnSourceServer, models.MgnJob, models.JobLog) for found in reachable(root)},
    key=lambda cls: cls.__name__,
)


@pytest.mark.parametrize("cls", DOCUMENTS, ids=lambda cls: cls.__name__)
def test_an_object_has_every_field_of_the_model(cls: type) -> None:
    shape = SERVICE.shape_for(cls.__name__.removeprefix("Mgn"))
    fields = wire_of(cls)
    assert list(fields) == list(shape.members)
    assert [name for name, wire in fields.items() if wire.required] == shape.required_members
    for name, member in shape.members.items():
        wire = fields[name]
        if member.type_name == "list":
            kind = Kind.TEXTS if member.member.type_name == "string" else Kind.MANY
            assert wire.kind is kind, name
            item = member.member.name
        else:
            assert wire.kind is KINDS[member.type_name], name
            item = member.name
        assert wire.values == tuple(member.metadata.get("enum", ())), name
        assert wire.item is None or wire.item.__name__.removeprefix("Mgn") == item, name


def test_every_object_that_the_operations_answer_with_is_there() -> None:
    wanted = set()
    for shape in (SERVICE.shape_for(name) for name in ("SourceServer", "Job", "JobLog")):
        wanted |= {found.name for found in structures(shape)}
    assert {cls.__name__.removeprefix("Mgn") for cls in DOCUMENTS} == wanted
    assert set(models.__all__) == {cls.__name__ for cls in DOCUMENTS} | {"job_of", "source_server_of"}


def structures(shape: Any) -> Iterator[Any]:
    if shape.type_name == "structure":
        yield shape
        for member in shape.members.values():
            yield from structures(member)
    elif shape.type_name == "list":
        yield from structures(shape.member)


def test_every_word_of_the_model_is_in_the_tables() -> None:
    for name, words in (
        ("LifeCycleState", models.LIFE_CYCLE_STATES),
        ("DataReplicationState", models.DATA_REPLICATION_STATES),
        ("DataReplicationInitiationStepName", models.STEPS),
        ("JobLogEvent", models.JOB_LOG_EVENTS),
    ):
        assert tuple(SERVICE.shape_for(name).enum) == words


# Requests and answers.


def strict_faults(value: Any, shape: Any, path: str = "") -> Iterator[str]:
    """Tell where a JSON value differs from a shape of the model: types, words, patterns, bounds, unknown members."""
    kinds = {"string": str, "integer": int, "long": int, "boolean": bool, "map": dict, "structure": dict, "list": list}
    wanted: Any = kinds.get(shape.type_name, (int, float))
    if not isinstance(value, wanted) or (isinstance(value, bool) and shape.type_name != "boolean"):
        yield f"{path} is {value!r}, no {shape.type_name}"
    elif shape.type_name == "structure":
        yield from (f"{path}.{name} is unknown" for name in value if name not in shape.members)
        yield from (f"{path}.{name} is missing" for name in shape.required_members if name not in value)
        for name, item in value.items():
            yield from strict_faults(item, shape.members[name], f"{path}.{name}") if name in shape.members else ()
    elif shape.type_name == "list":
        for index, item in enumerate(value):
            yield from strict_faults(item, shape.member, f"{path}[{index}]")
    elif shape.type_name == "map":
        for name, item in value.items():
            yield from strict_faults(item, shape.value, f"{path}.{name}")
    elif shape.type_name == "string":
        if shape.enum and value not in shape.enum:
            yield f"{path} is {value!r}, none of {shape.enum}"
        if shape.name != TIMES and not re.fullmatch(shape.metadata.get("pattern", r"[\s\S]*"), value):
            yield f"{path} is {value!r}, which does not match"


class Recorder:
    """A transport factory that keeps each request with its answer.

    Attributes:
        kept: the exchanges.
    """

    def __init__(self, simulator: AwsMgnSimulator) -> None:
        self._inner = simulator.transport
        self.kept: list[tuple[Request, Response]] = []

    def open(self, options: TransportOptions) -> Any:
        transport, kept = self._inner.open(options), self.kept

        class Recording:
            def send(self, request: Request, deadline: Deadline) -> Response:
                response = transport.send(request, deadline)
                kept.append((request, response))
                return response

            def close(self) -> None:
                transport.close()

        return Recording()

    def open_async(self, options: TransportOptions) -> Any:
        raise NotImplementedError


def checked(request: Request, response: Response) -> None:
    """Hold an exchange against the model."""
    operation = SERVICE.operation_model(OPERATIONS[request.path])
    body = json.loads(request.body)
    assert (request.method, request.query) == (operation.http["method"], ())
    assert ParamValidator().validate(body, operation.input_shape).generate_report() == ""
    assert list(strict_faults(body, operation.input_shape)) == []
    parsed = create_parser("rest-json").parse(
        {"status_code": response.status, "headers": response.headers, "body": response.body, "context": {}},
        operation.output_shape,
    )
    if response.status < 300:
        assert response.status == operation.http["responseCode"]
        payload = json.loads(response.body) if response.body else {}
        assert list(strict_faults(payload, operation.output_shape)) == []
        assert set(parsed) - {"ResponseMetadata"} == set(payload)
    else:
        refused(parsed, response)


def refused(parsed: Mapping[str, Any], response: Response) -> None:
    """Hold a refusal against the model, where it has one of that name."""
    code = parsed["Error"]["Code"]
    shapes = {shape.error_code: shape for shape in SERVICE.error_shapes}
    assert parsed["ResponseMetadata"]["RequestId"]
    if code in shapes:
        assert response.status == shapes[code].metadata["error"]["httpStatusCode"]
        assert list(strict_faults(json.loads(response.body), shapes[code])) == []


def test_what_we_send_and_what_we_are_answered_is_as_modelled(simulator: AwsMgnSimulator) -> None:
    recorder = Recorder(simulator)
    settings = {**simulator.settings("session"), "transport": recorder}
    with mc.connect("aws_mgn", clock=simulator.clock, **settings) as client:
        simulator.add_sources(201)
        simulator.controls.sync_seconds = 100.0
        syncing = simulator.enroll()
        jobs = [simulator.add_task(end, seconds=10.0) for end in simulator.task_ends]
        client.sources.describe(syncing)
        assert len(list(client.sources.list())) == 205
        for _ in range(3):
            assert len(list(client.tasks.list())) == 3
            for job_id in jobs:
                client.tasks.get(job_id)
            simulator.clock.sleep(5.0)
        client.sources.delete(syncing).wait()
        with pytest.raises(mc.NotFoundError):
            client.sources.describe(syncing)
        simulator.controls.deny = "mgn:DescribeJobs"
        with pytest.raises(mc.PermissionDeniedError):
            list(client.tasks.list())
    for request, response in recorder.kept:
        checked(request, response)
    assert {request.path.strip("/") for request, _ in recorder.kept} == {
        "DescribeSourceServers",
        "DescribeJobs",
        "DescribeJobLogItems",
        "DisconnectFromService",
        "DeleteSourceServer",
    }


def signing_key(simulator: AwsMgnSimulator) -> SigningKey:
    return SigningKey(simulator.credentials["access_key"], simulator.credentials["secret_key"])


def asked(simulator: AwsMgnSimulator, action: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Ask the simulator for an action, signed, whether we use it or not; the exchange is held against the model."""
    plain = Request(method="POST", path=f"/{action}", body=json_body(body), repeatable=True)
    key = signing_key(simulator)
    headers = key.headers(plain, origin=simulator.endpoint, region=REGION, now=simulator.clock.now())
    request = attrs.evolve(plain, headers=headers)
    recorder = Recorder(simulator)
    options = TransportOptions(endpoints={"main": simulator.endpoint})
    response: Response = recorder.open(options).send(request, Deadline.after(simulator.clock, 10.0))
    checked(request, response)
    payload = json.loads(response.body) if response.body else {}
    return {"status": response.status, **payload}


def test_a_life_from_enrolling_to_the_end_is_as_modelled(simulator: AwsMgnSimulator, caller: Caller) -> None:
    source_id = simulator.enroll()
    client = caller.connect("aws_mgn", clock=simulator.clock, **simulator.settings())
    one, several = {"sourceServerID": source_id}, {"sourceServerIDs": [source_id]}
    stages = []

    def stage() -> None:
        stages.append(caller(client.sources.describe(source_id)).stage)

    def waited(answer: Mapping[str, Any]) -> None:
        assert answer["status"] == 202
        caller(caller(client.tasks.get(answer["job"]["jobID"])).wait())
        stage()

    def ready_for(state: str) -> None:
        body = {**one, "lifeCycle": {"state": state}}
        assert asked(simulator, "ChangeServerLifeCycleState", body)["lifeCycle"]["state"] == state
        stage()

    stage()
    assert asked(simulator, "StartCutover", several)["status"] == 409
    waited(asked(simulator, "StartTest", several))
    assert asked(simulator, "TerminateTargetInstances", several)["status"] == 409
    with pytest.raises(mc.ConflictError, match="TESTING"):
        caller(client.sources.delete(source_id))
    ready_for("READY_FOR_CUTOVER")
    waited(asked(simulator, "TerminateTargetInstances", several))
    asked(simulator, "StartCutover", several)
    stage()
    assert asked(simulator, "FinalizeCutover", one)["status"] == 409
    simulator.clock.sleep(simulator.controls.task_seconds)
    stage()
    with pytest.raises(mc.ConflictError, match="CUTTING_OVER"):
        caller(client.sources.delete(source_id))
    assert asked(simulator, "MarkAsArchived", one)["status"] == 409
    assert asked(simulator, "FinalizeCutover", one)["dataReplicationInfo"]["dataReplicationState"] == "DISCONNECTED"
    stage()
    assert asked(simulator, "MarkAsArchived", one)["isArchived"] is True
    assert stages == [
        mc.Stage.REPLICATING,
        mc.Stage.TESTING,
        mc.Stage.REPLICATING,
        mc.Stage.REPLICATING,
        mc.Stage.CUTTING_OVER,
        mc.Stage.CUT_OVER,
        mc.Stage.FINALIZED,
    ]
    caller(client.sources.delete(source_id))
    assert asked(simulator, "DeleteSourceServer", one)["status"] == 404


@pytest.mark.parametrize(
    ("action", "body", "status"),
    [
        ("DisconnectFromService", {"sourceServerID": "s-0123456789abcdef0"}, 404),
        ("DescribeSourceServers", {"maxResults": 1000}, 200),
        ("DescribeSourceServers", {"filters": {"isArchived": True}}, 200),
        ("DescribeJobLogItems", {"jobID": "mgnjob-0123456789abcdef0"}, 200),
    ],
)
def test_single_answers_are_as_modelled(
    simulator: AwsMgnSimulator, action: str, body: Mapping[str, Any], status: int
) -> None:
    assert asked(simulator, action, body)["status"] == status


@pytest.mark.parametrize("wanted", list(AwsMgnSimulator().refusals()), ids=lambda wanted: wanted.__name__)
def test_refusals_are_as_modelled(simulator: AwsMgnSimulator, wanted: type[mc.ApiError]) -> None:
    answer = simulator.refusals()[wanted]
    headers = {name.lower(): value for name, value in answer.headers.items()}
    given = {"status_code": answer.status_code, "headers": headers, "body": bytes(answer.body), "context": {}}
    parsed = create_parser("rest-json").parse(given, SERVICE.operation_model("DescribeJobs").output_shape)
    refused(parsed, Response(status=answer.status_code, headers=headers, body=bytes(answer.body)))
    assert parsed["Error"]["Code"] == headers["x-amzn-errortype"]


def test_every_error_of_the_model_has_a_refusal(simulator: AwsMgnSimulator) -> None:
    codes = {answer.headers["x-amzn-errortype"] for answer in simulator.refusals().values()}
    assert {shape.error_code for shape in SERVICE.error_shapes} <= codes


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("DescribeSourceServers", {"filters": {"sourceServerIDs": ["web-1"]}}),
        ("DescribeSourceServers", {"filters": []}),
        ("DescribeSourceServers", {"maxResults": 0}),
        ("DescribeSourceServers", {"nextToken": "%"}),
        ("DescribeJobs", {"filters": {"jobIDs": ["s-0123456789abcdef0"]}}),
        ("DescribeJobLogItems", {}),
        ("DeleteSourceServer", {"sourceServerID": None}),
        ("StartTest", {"sourceServerIDs": []}),
        ("ChangeServerLifeCycleState", {"sourceServerID": "s-0123456789abcdef0", "lifeCycle": {}}),
    ],
)
def test_what_the_model_refuses_the_simulator_refuses(
    simulator: AwsMgnSimulator, action: str, body: Mapping[str, Any]
) -> None:
    plain = Request(method="POST", path=f"/{action}", body=json_body(body), repeatable=True)
    key = signing_key(simulator)
    headers = key.headers(plain, origin=simulator.endpoint, region=REGION, now=simulator.clock.now())
    transport = simulator.transport.open(TransportOptions(endpoints={"main": simulator.endpoint}))
    answer = transport.send(attrs.evolve(plain, headers=headers), Deadline.after(simulator.clock, 10.0))
    assert (answer.status, answer.headers["x-amzn-errortype"]) in (
        (400, "ValidationException"),
        (404, "ResourceNotFoundException"),
    )
