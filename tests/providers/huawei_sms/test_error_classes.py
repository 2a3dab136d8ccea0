"""Errors on their way: through the client, from one process to another, and each class of the tree."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

import migrate_core as mc
from migrate_core import errors
from migrate_core.errors import Fault, IncompleteDocumentWarning, MigrateError
from migrate_huawei_sms.simulator import HuaweiSmsSimulator
from support import Caller, example

from .machines import linux

Call = Callable[[Any], Any]

CALLS: dict[mc.Operation, Call] = {
    mc.Operation.REGISTER_SOURCE: lambda client: client.sources.register(mc.SourceSpec(name="x", details=linux())),
    mc.Operation.DESCRIBE_SOURCE: lambda client: client.sources.describe("s-1"),
    mc.Operation.LIST_SOURCES: lambda client: client.sources.list(),
    mc.Operation.DELETE_SOURCE: lambda client: client.sources.delete("s-1"),
    mc.Operation.UNLOCK_TARGET: lambda client: client.targets.unlock("t-1"),
}
ACTIONS = {
    mc.Operation.REGISTER_SOURCE: "sms:server:register",
    mc.Operation.DESCRIBE_SOURCE: "sms:server:get",
    mc.Operation.LIST_SOURCES: "sms:server:list",
    mc.Operation.DELETE_SOURCE: "sms:server:delete",
    mc.Operation.UNLOCK_TARGET: "sms:server:unlock",
}


def connect(caller: Caller, simulator: HuaweiSmsSimulator) -> Any:
    return caller.connect("huawei_sms", clock=simulator.clock, **simulator.settings())


def failure(caller: Caller, client: Any, operation: mc.Operation) -> mc.ApiError:
    """The error with which an operation ends."""
    finish: Call = caller.list if operation is mc.Operation.LIST_SOURCES else caller
    with pytest.raises(mc.ApiError) as raised:
        finish(CALLS[operation](client))
    return raised.value


# Through the client.


@pytest.mark.parametrize("operation", CALLS, ids=lambda operation: operation.value)
@pytest.mark.parametrize("name", ["error-403", "error-403-register-query"])
def test_the_documented_403_arrives_whole_from_each_operation(
    caller: Caller, simulator: HuaweiSmsSimulator, operation: mc.Operation, name: str
) -> None:
    body = example(f"huawei_sms/{name}.json")
    simulator.faults.answer(403, json.dumps(body), headers={"X-Request-Id": "r-403"})
    error = failure(caller, connect(caller, simulator), operation)
    assert type(error) is mc.PermissionDeniedError
    assert (error.provider, error.operation, error.status) == ("huawei_sms", operation, 403)
    assert (error.code, error.message, error.request_id) == ("SMS.9004", body["error_msg"], "r-403")
    assert error.action == "XXX"
    assert error.details == {
        "encoded_authorization_message": "XXXXXX",
        "error_param": ("You do not have permission to perform action XXX on resource XXX.",),
        "details": (
            {
                "error_code": "SMS.9004",
                "error_msg": "You do not have permission to perform action XXX on resource XXX.",
            },
        ),
    }
    assert error.retry_after is None
    assert str(error) == f"huawei_sms {operation.value}: 403 SMS.9004: {body['error_msg']} (request id r-403)"
    assert len(simulator.journal) == 1


@pytest.mark.parametrize("operation", CALLS, ids=lambda operation: operation.value)
def test_an_action_that_is_denied_is_named_and_nothing_is_done(
    caller: Caller, simulator: HuaweiSmsSimulator, operation: mc.Operation
) -> None:
    (source_id,) = simulator.add_sources(1)
    simulator.controls.deny = ACTIONS[operation]
    error = failure(caller, connect(caller, simulator), operation)
    assert isinstance(error, mc.PermissionDeniedError)
    assert (error.action, error.operation) == (ACTIONS[operation], operation)
    assert len(simulator.journal) == 1
    simulator.controls.deny = ""
    assert [source.id for source in caller.list(connect(caller, simulator).sources.list())] == [source_id]


@pytest.mark.parametrize(
    ("body", "action"),
    [
        ({"error_code": "SMS.9004", "error_msg": "no", "error_param": ["perform action a:b:c on resource d"]}, "a:b:c"),
        ({"error_code": "SMS.9004", "error_msg": "You may not perform action a:b:c"}, "a:b:c"),
        ({"error_code": "SMS.9004", "error_msg": "no"}, ""),
        ({"error_code": "APIGW.0302", "error_msg": "Incorrect IAM permission.", "request_id": "r"}, ""),
        ("Forbidden", ""),
    ],
)
def test_an_action_is_read_where_it_is_named(
    caller: Caller, simulator: HuaweiSmsSimulator, body: Any, action: str
) -> None:
    simulator.faults.answer(403, body if isinstance(body, str) else json.dumps(body))
    error = failure(caller, connect(caller, simulator), mc.Operation.DESCRIBE_SOURCE)
    assert isinstance(error, mc.PermissionDeniedError)
    assert error.action == action


# status, code: class. A code that says something decides; the status decides where it says nothing.
TABLE: list[tuple[int, str, type[mc.ApiError]]] = [
    *((403, f"APIGW.0{number}", mc.PermissionDeniedError) for number in (302, 304, 306, 310, 401, 402, 404, 801, 802)),
    *((401, f"APIGW.0{number}", mc.AuthenticationError) for number in (301, 303, 305, 307, 311)),
    *((400, f"APIGW.0{number}", mc.ServerError) for number in (104, 105, 106)),
    *((500, f"APIGW.0{number}", mc.ServerError) for number in (601, 605, 606, 608, 609, 611, 612, 705)),
    *((405, f"APIGW.0{number}", mc.QuotaExceededError) for number in (501, 502)),
    (404, "APIGW.0103", mc.ServerError),
    (502, "APIGW.0610", mc.ServerError),
    (503, "APIGW.0613", mc.ServerError),
    (400, "APIGW.0602", mc.InvalidRequestError),
    (400, "APIGW.0607", mc.InvalidRequestError),
    (414, "APIGW.0201", mc.InvalidRequestError),
    (494, "APIGW.0201", mc.InvalidRequestError),
    (400, "SMS.6526", mc.QuotaExceededError),
    (403, "SMS.2002", mc.PermissionDeniedError),
    (403, "SMS.2248", mc.PermissionDeniedError),
    (404, "SMS.2252", mc.NotFoundError),
    (400, "SMS.2216", mc.NotFoundError),
    (401, "SMS.2004", mc.InvalidRequestError),
    (401, "SMS.2006", mc.InvalidRequestError),
    (400, "SMS.0410", mc.InvalidRequestError),
    (500, "SMS.6301", mc.ServerError),
    (404, "SMS.9999", mc.NotFoundError),
    (410, "", mc.NotFoundError),
    (412, "", mc.ConflictError),
    (402, "", mc.QuotaExceededError),
]


@pytest.mark.parametrize(("status", "code", "expected"), TABLE, ids=str)
def test_an_error_has_the_class_of_its_code(
    caller: Caller, simulator: HuaweiSmsSimulator, status: int, code: str, expected: type[mc.ApiError]
) -> None:
    body = {"error_code": code, "error_msg": "why", "request_id": "r-1"}
    simulator.faults.answer(status, json.dumps(body))
    error = failure(caller, connect(caller, simulator), mc.Operation.UNLOCK_TARGET)
    assert type(error) is expected
    assert (error.status, error.code, error.message, error.request_id) == (status, code, "why", "r-1")
    assert error.details == {}
    assert error.operation is mc.Operation.UNLOCK_TARGET


def test_a_call_that_a_region_does_not_offer_is_not_an_object_that_is_missing(
    caller: Caller, simulator: HuaweiSmsSimulator
) -> None:
    replication_id = simulator.start_migration(simulator.add_sources(1)[0])
    simulator.controls.unlock_offered = False
    client = connect(caller, simulator)
    with pytest.raises(mc.OperationNotOfferedError) as raised:
        caller(client.targets.unlock(replication_id))
    assert not isinstance(raised.value, mc.NotFoundError)
    assert (raised.value.status, raised.value.code) == (404, "APIGW.0101")
    assert raised.value.request_id
    assert simulator.locked(replication_id)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("7", 7.0),
        ("2.5", 2.5),
        ("0", 0.0),
        ("-3", 0.0),
        ("Thu, 01 Jan 2026 00:00:09 GMT", 9.0),
        ("Wed, 31 Dec 2025 23:59:59 GMT", 0.0),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("", None),
    ],
)
def test_the_wait_that_the_service_asks_for_is_kept(
    caller: Caller, simulator: HuaweiSmsSimulator, header: str, expected: float | None
) -> None:
    assert simulator.clock.now() == datetime(2026, 1, 1, tzinfo=UTC)
    simulator.faults.answer(503, headers={"Retry-After": header})
    error = failure(caller, connect(caller, simulator), mc.Operation.DELETE_SOURCE)
    assert type(error) is mc.ServerError
    assert error.retry_after == expected
    assert ("retry after" in str(error)) is (expected is not None)
    assert len(simulator.journal) == 1


@pytest.mark.parametrize("operation", CALLS, ids=lambda operation: operation.value)
def test_what_is_throttled_is_sent_again_after_the_wait_and_then_given_up(
    caller: Caller, simulator: HuaweiSmsSimulator, operation: mc.Operation
) -> None:
    body = {"error_code": "APIGW.0308", "error_msg": "over ratelimit, limit:200, time:1 second", "request_id": "r"}
    simulator.faults.answer(429, json.dumps(body), headers={"Retry-After": "4"}, times=99)
    error = failure(caller, connect(caller, simulator), operation)
    assert type(error) is mc.RateLimitedError
    assert (error.code, error.retry_after, error.operation) == ("APIGW.0308", 4.0, operation)
    assert len(simulator.journal) == 3
    assert simulator.clock.monotonic() == 8.0


def test_a_wait_that_is_longer_than_the_call_may_take_is_not_waited(
    caller: Caller, simulator: HuaweiSmsSimulator
) -> None:
    simulator.faults.answer(429, headers={"Retry-After": "3600"}, times=99)
    error = failure(caller, connect(caller, simulator), mc.Operation.DESCRIBE_SOURCE)
    assert error.retry_after == 3600.0
    assert len(simulator.journal) == 1
    assert simulator.clock.monotonic() == 0.0


@pytest.mark.parametrize(
    ("body", "code", "message", "request_id"),
    [
        ({"error": {"code": 403, "message": "You are not authorized", "title": "Forbidden"}}, "403", "You are", "h-1"),
        ({"error": {"code": "IAM.0011", "message": "m"}, "request_id": "b-1"}, "IAM.0011", "m", "h-1"),
        ({"error_code": "SMS.9004", "error_msg": "m", "request_id": "b-1"}, "SMS.9004", "m", "b-1"),
        ({"errorCode": "A.1", "errorMsg": "m"}, "A.1", "m", "h-1"),
        ({"code": "A.2", "message": "m"}, "A.2", "m", "h-1"),
        ({"error_code": "SMS.9004", "code": "A.2", "error_msg": "m", "message": "n"}, "SMS.9004", "m", "h-1"),
        ({"error": "denied"}, "", "answered 403 without a reason", "h-1"),
        ({"error_msg": "m", "context": {"a": 1}}, "", "m", "h-1"),
        ({"message": "m", "context": {"message": "n"}}, "", "m", "h-1"),
        ({"context": {}, "error": {"code": "A.3", "message": "m"}}, "A.3", "m", "h-1"),
        ({"fault": {"error_code": "A.4", "error_msg": "m"}}, "A.4", "m", "h-1"),
        ({"error_code": {}, "error_msg": []}, "", "answered 403 without a reason", "h-1"),
        ("", "", "answered 403 without a reason", "h-1"),
        ("null", "", "answered 403 without a reason", "h-1"),
        ("<html>403 Forbidden</html>", "", "answered 403 without a reason", "h-1"),
        ("[" * 100000, "", "answered 403 without a reason", "h-1"),
        (b"\xff\xfe", "", "answered 403 without a reason", "h-1"),
    ],
    ids=str,
)
def test_every_shape_of_an_error_is_read(
    simulator: HuaweiSmsSimulator, body: Any, code: str, message: str, request_id: str
) -> None:
    content = body if isinstance(body, str | bytes) else json.dumps(body)
    simulator.faults.answer(403, content, headers={"X-Request-Id": "h-1"})
    with (
        mc.connect("huawei_sms", clock=simulator.clock, **simulator.settings()) as client,
        pytest.raises(mc.PermissionDeniedError) as raised,
    ):
        client.sources.describe("x")
    assert (raised.value.code, raised.value.request_id) == (code, request_id)
    assert message in raised.value.message


@pytest.mark.parametrize(
    ("body", "details"),
    [
        ({"error_param": None, "details": None, "encoded_authorization_message": None}, {}),
        ({"error_param": [], "details": [], "encoded_authorization_message": ""}, {}),
        ({"error_param": "one"}, {"error_param": ("one",)}),
        ({"error_param": ["a", None, 5, "b"]}, {"error_param": ("a", "b")}),
        ({"error_param": {"a": 1}, "details": {"error_code": "x"}}, {}),
        (
            {"details": [{"error_code": "A", "error_msg": "m", "more": 1}, "x", {}]},
            {"details": ({"error_code": "A", "error_msg": "m"}, {"error_code": None, "error_msg": None})},
        ),
        ({"encoded_authorization_message": "x" * 65535}, {"encoded_authorization_message": "x" * 65535}),
    ],
    ids=["null", "empty", "one text", "odd items", "objects", "details", "long"],
)
def test_odd_details_are_kept_as_far_as_they_can_be_read(
    simulator: HuaweiSmsSimulator, body: dict[str, Any], details: dict[str, Any]
) -> None:
    simulator.faults.answer(400, json.dumps({"error_code": "SMS.0007", "error_msg": "m", **body}))
    with (
        mc.connect("huawei_sms", clock=simulator.clock, **simulator.settings()) as client,
        pytest.raises(mc.InvalidRequestError) as raised,
    ):
        client.sources.describe("x")
    assert raised.value.details == details


# From one process to another.


def classes() -> set[type[MigrateError]]:
    found = (member for _, member in inspect.getmembers(errors, inspect.isclass))
    return {member for member in found if issubclass(member, MigrateError)}


API: dict[str, Any] = {
    "provider": "huawei_sms",
    "operation": mc.Operation.UNLOCK_TARGET,
    "status": 418,
    "code": "SMS.0001",
    "request_id": "r-1",
    "details": {"error_param": ("a", "b"), "details": ({"error_code": "x", "error_msg": None},)},
    "retry_after": 2.5,
}
TASK_INFO = mc.TaskInfo(
    id="t-1",
    operation=mc.Operation.DELETE_SOURCE,
    status=mc.TaskStatus.ERROR,
    progress=50.0,
    error=mc.TaskFailure("broken", "details", "E.1"),
    ended_at=datetime(2026, 1, 1, tzinfo=UTC),
)


def instances() -> list[MigrateError]:
    """One error of each class, with all it can hold."""
    denied = mc.PermissionDeniedError("denied", **API)
    denied.action = "sms:server:get"
    return [
        MigrateError("m"),
        mc.ConfigurationError("m"),
        mc.ProviderNotFoundError("nobody", ["huawei_sms"]),
        mc.ProviderLoadError("m"),
        mc.ContractViolationError("huawei_sms", mc.Operation.GET_TASK, "a flow yields requests, not a str"),
        mc.UnsupportedOperationError("huawei_sms", mc.Operation.DELETE_PAIRING, "no pairings", ["vmware_srm"]),
        mc.UnsupportedOptionError("huawei_sms", mc.Operation.REGISTER_SOURCE, "force", ["allow_incomplete"]),
        mc.InvalidArgumentError("m"),
        mc.InvalidDocumentError([Fault("name", "is mandatory"), Fault("ip", "is needed", waivable=True)]),
        mc.TransportError("m"),
        mc.RequestNotSentError("m"),
        mc.ResponseLostError("m"),
        mc.DeadlineExceededError("m", sent=True),
        mc.OutcomeUnknownError("m"),
        mc.MalformedResponseError("m", path="id"),
        mc.JournalError("m", passing=True),
        denied,
        *(
            cls("m", **API)
            for cls in sorted(classes(), key=lambda cls: cls.__name__)
            if issubclass(cls, mc.ApiError) and cls is not mc.PermissionDeniedError
        ),
        mc.TaskError("m", TASK_INFO, "mct1.x"),
        mc.TaskFailedError("m", TASK_INFO, "mct1.x"),
        mc.TaskCancelledError("m", TASK_INFO, "mct1.x"),
        mc.TaskTimeoutError("m", TASK_INFO, "mct1.x"),
        mc.TaskNeedsInputError("m", TASK_INFO, "mct1.x"),
    ]


def test_there_is_an_instance_of_each_class_of_the_tree() -> None:
    assert {type(error) for error in instances()} == classes()


@pytest.mark.parametrize("way", ["pickle", "copy", "deepcopy", *(f"protocol {number}" for number in range(5))])
@pytest.mark.parametrize("error", instances(), ids=lambda error: type(error).__name__)
def test_an_error_survives_with_all_it_holds(error: MigrateError, way: str) -> None:
    error.add_note("seen from afar")
    match way.split():
        case ["copy"]:
            twin = copy.copy(error)
        case ["deepcopy"]:
            twin = copy.deepcopy(error)
        case [*_, protocol]:
            number = pickle.HIGHEST_PROTOCOL if way == "pickle" else int(protocol)
            twin = pickle.loads(pickle.dumps(error, number))
    assert twin is not error
    assert type(twin) is type(error)
    assert twin.args == error.args
    assert twin.__dict__ == error.__dict__
    assert (str(twin), repr(twin)) == (str(error), repr(error))
    for base in (ValueError, TimeoutError):
        assert isinstance(twin, base) is isinstance(error, base)


def test_an_error_that_the_client_raised_survives_too(caller: Caller, simulator: HuaweiSmsSimulator) -> None:
    simulator.faults.answer(403, json.dumps(example("huawei_sms/error-403.json")))
    error = failure(caller, connect(caller, simulator), mc.Operation.DELETE_SOURCE)
    twin = pickle.loads(pickle.dumps(error))
    assert twin.__dict__ == error.__dict__
    assert (twin.action, twin.operation, str(twin)) == ("XXX", mc.Operation.DELETE_SOURCE, str(error))


def test_a_copy_of_an_error_is_its_own() -> None:
    error = mc.ApiError("m", provider="p", status=400)
    twin = copy.copy(error)
    twin.operation = mc.Operation.LIST_SOURCES
    assert error.operation is None


def test_the_warning_pickles() -> None:
    warning = IncompleteDocumentWarning("the document is incomplete: ip: is needed")
    assert pickle.loads(pickle.dumps(warning)).args == warning.args
