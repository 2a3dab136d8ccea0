"""The error tree."""

from __future__ import annotations

import copy
import inspect
import pickle
import re

import pytest

from migrate_core import errors
from migrate_core.operations import Operation
from migrate_core.provider import TaskInfo

CLASSES = {
    name: cls for name, cls in vars(errors).items() if inspect.isclass(cls) and issubclass(cls, errors.MigrateError)
}


def an(cls: type[errors.MigrateError]) -> errors.MigrateError:
    """Make an error of any class, with something in every attribute."""
    if issubclass(cls, errors.ApiError):
        return cls(
            "why",
            provider="p",
            status=400,
            code="C.1",
            request_id="r",
            details={"a": (1,)},
            retry_after=2.0,
            operation=Operation.DELETE_SOURCE,
        )
    if issubclass(cls, errors.TaskError):
        return cls("why", TaskInfo(id="t-1"), "token")
    arguments: dict[type, tuple[object, ...]] = {
        errors.ProviderNotFoundError: ("x", ["a", "b"]),
        errors.UnsupportedOperationError: ("p", Operation.UNLOCK_TARGET, "why", ["q"]),
        errors.ContractViolationError: ("p", Operation.GET_TASK, "why"),
        errors.UnsupportedOptionError: ("p", Operation.REGISTER_SOURCE, "force", ["a"]),
        errors.InvalidDocumentError: ([errors.Fault("a.b", "is missing", waivable=True)],),
    }
    return cls(*arguments.get(cls, ("why",)))


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    assert errors.__doc__
    drawn: dict[str, str] = {}
    path: list[str] = []
    for line in errors.__doc__.splitlines():
        found = re.search(r"\b(\w+Error)\b", line)
        if found and ("──" in line or found[1] == "MigrateError"):
            depth = (found.start() - 4) // 4
            path[depth:] = [found[1]]
            drawn[found[1]] = path[depth - 1] if depth else ""
    real = {
        name: next((base.__name__ for base in cls.__mro__[1:] if base in CLASSES.values()), "")
        for name, cls in CLASSES.items()
    }
    assert drawn == real


@pytest.mark.parametrize("cls", CLASSES.values(), ids=CLASSES)
def test_every_error_pickles_and_copies_whole(cls: type[errors.MigrateError]) -> None:
    error = an(cls)
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(twin) is cls
        assert (twin.args, twin.__dict__, str(twin)) == (error.args, error.__dict__, str(error))


@pytest.mark.parametrize(
    ("error", "attributes"),
    [
        (errors.DeadlineExceededError("why", sent=True), {"sent": True}),
        (errors.MalformedResponseError("why", path="a.b"), {"path": "a.b"}),
        (errors.JournalError("why", passing=True), {"passing": True}),
        (errors.TaskFailedError("why", TaskInfo(id="t-1", raw={"a": 1}), "token"), {"token": "token"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_an_error_was_given_by_name_survives_too(
    error: errors.MigrateError, attributes: dict[str, object]
) -> None:
    error.add_note("the task goes on")
    for twin in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
        assert {name: getattr(twin, name) for name in attributes} == attributes
        assert twin.__notes__ == ["the task goes on"]
        assert str(twin) == str(error)


def test_bad_input_and_time_outs_are_also_what_python_calls_them() -> None:
    assert issubclass(errors.InvalidArgumentError, ValueError)
    assert issubclass(errors.TaskTimeoutError, TimeoutError)


@pytest.mark.parametrize(
    ("status", "cls"),
    [(302, "ApiError"), (400, "InvalidRequestError"), (402, "QuotaExceededError"), (412, "ConflictError"),
     (422, "InvalidRequestError"), (429, "RateLimitedError"), (500, "ServerError"), (503, "ServerError")],
)  # fmt: skip
def test_a_status_has_its_class(status: int, cls: str) -> None:
    assert errors.error_class_for(status) is CLASSES[cls]
