"""Errors, by the vendor's code first and by the status second."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest

import migrate_core as mc
from migrate_core.provider import Response
from migrate_huawei_sms.mapping import error_from
from migrate_huawei_sms.simulator import HuaweiSmsSimulator
from support import Caller, example


def answered(status: int, body: Any, **headers: str) -> mc.ApiError:
    content = body if isinstance(body, str) else json.dumps(body)
    return error_from(Response(status=status, headers=headers, body=content.encode()))


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (403, "SMS.9004", mc.PermissionDeniedError),
        (400, "SMS.6526", mc.QuotaExceededError),
        (401, "SMS.2013", mc.ConflictError),
        (400, "SMS.2015", mc.ConflictError),
        (400, "SMS.2216", mc.NotFoundError),
        (404, "SMS.2252", mc.NotFoundError),
        (401, "SMS.2005", mc.InvalidRequestError),
        (400, "SMS.0001", mc.InvalidRequestError),
        (500, "SMS.2007", mc.ServerError),
        (404, "APIGW.0101", mc.OperationNotOfferedError),
        (404, "APIGW.0103", mc.ServerError),
        (400, "APIGW.0201", mc.InvalidRequestError),
        (413, "APIGW.0201", mc.InvalidRequestError),
        (502, "APIGW.0201", mc.ServerError),
        (504, "APIGW.0201", mc.ServerError),
        (401, "APIGW.0301", mc.AuthenticationError),
        (401, "APIGW.0307", mc.AuthenticationError),
        (403, "APIGW.0302", mc.PermissionDeniedError),
        (429, "APIGW.0308", mc.RateLimitedError),
        (405, "APIGW.0501", mc.QuotaExceededError),
        (503, "APIGW.0613", mc.ServerError),
        (404, "", mc.NotFoundError),
        (409, "", mc.ConflictError),
        (429, "", mc.RateLimitedError),
        (401, "", mc.AuthenticationError),
        (418, "", mc.InvalidRequestError),
        (599, "", mc.ServerError),
        (302, "", mc.ApiError),
    ],
)
def test_the_code_decides_and_the_status_where_it_says_nothing(status: int, code: str, expected: type) -> None:
    error = answered(status, {"error_code": code, "error_msg": "why", "request_id": "r-1"})
    assert type(error) is expected
    assert (error.status, error.code, error.message, error.request_id) == (status, code, "why", "r-1")
    assert error.provider == "huawei_sms"


@pytest.mark.parametrize("name", ["error-403", "error-403-register-query"])
def test_the_documented_403_keeps_all_that_it_says(name: str) -> None:
    body = example(f"huawei_sms/{name}.json")
    error = answered(403, body)
    assert isinstance(error, mc.PermissionDeniedError)
    assert (error.code, error.message, error.action) == ("SMS.9004", body["error_msg"], "XXX")
    assert error.details == {
        "encoded_authorization_message": "XXXXXX",
        "error_param": tuple(body["error_param"]),
        "details": tuple(body["details"]),
    }


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"error": {"code": 401, "message": "wrong", "title": "Unauthorized"}}, "401", "wrong"),
        ({"errorCode": "X.1", "errorMsg": "other"}, "X.1", "other"),
        ({"code": "X.2", "message": "third"}, "X.2", "third"),
        ({"error_code": None, "error_msg": None, "details": None, "error_param": None}, "", "without a reason"),
        ({"error_code": ["x"], "details": [1, {"error_code": 5}], "error_param": "one"}, "", "without a reason"),
        ([], "", "without a reason"),
        ("<html>Bad Gateway</html>", "", "without a reason"),
        ("", "", "without a reason"),
    ],
)
def test_every_shape_of_an_error_body_is_read(body: Any, code: str, message: str) -> None:
    error = answered(403, body, **{"x-request-id": "from-the-header"})
    assert error.code == code
    assert message in error.message
    assert error.request_id == "from-the-header"


@pytest.mark.parametrize(
    ("action", "verb"),
    [
        ("sms:server:get", lambda client: client.sources.describe("s")),
        ("sms:server:delete", lambda client: client.sources.delete("s")),
        ("sms:server:unlock", lambda client: client.targets.unlock("t")),
    ],
)
def test_a_denied_action_is_named(
    client: Any, caller: Caller, simulator: HuaweiSmsSimulator, action: str, verb: Any
) -> None:
    simulator.controls.deny = action
    with pytest.raises(mc.PermissionDeniedError) as raised:
        caller(verb(client))
    assert raised.value.action == action
    assert raised.value.operation
    assert action in str(raised.value)
    assert len(simulator.journal) == 1


def test_a_withdrawn_call_is_not_mistaken_for_a_missing_task(
    client: Any, caller: Caller, simulator: HuaweiSmsSimulator
) -> None:
    simulator.controls.unlock_offered = False
    with pytest.raises(mc.OperationNotOfferedError) as raised:
        caller(client.targets.unlock("t-1"))
    assert (raised.value.code, raised.value.operation) == ("APIGW.0101", mc.Operation.UNLOCK_TARGET)


def test_an_error_page_that_cannot_be_decoded_is_still_the_error_of_its_status(
    client: Any, caller: Caller, simulator: HuaweiSmsSimulator
) -> None:
    simulator.faults.answer(503, b"\x0b\x02", headers={"content-encoding": "br"}, times=3)
    with pytest.raises(mc.ServerError):
        caller(client.sources.describe("s"))
    assert [sent.status for sent in simulator.journal] == [503, 503, 503]


def test_an_error_survives_pickling_and_copying() -> None:
    error = answered(429, {"error_code": "APIGW.0308", "error_msg": "slow down", "request_id": "r"})
    error.retry_after, error.operation = 2.5, mc.Operation.LIST_SOURCES
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(twin) is mc.RateLimitedError
        assert twin.__dict__ == error.__dict__
        assert (
            str(twin)
            == str(error)
            == ("huawei_sms list_sources: 429 APIGW.0308: slow down (retry after 2.5 s) (request id r)")
        )
