"""The rules of the seam that are enforced: of a plug-in's class once, of what its flows do each time."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from migrate_core.errors import ApiError
from migrate_core.models import Check, Pairing, SourceServer
from migrate_core.operations import Capability, Operation, Support
from migrate_core.provider import CONTRACT, BaseProvider, Page, Request, Settings, TaskFailure, TaskInfo, TaskStatus

_NAME = re.compile(r"[a-z][a-z0-9_]*")

_RESULTS: Mapping[Operation, tuple[type, type | None]] = {
    Operation.REGISTER_SOURCE: (TaskInfo, None),
    Operation.DESCRIBE_SOURCE: (SourceServer, None),
    Operation.LIST_SOURCES: (Page, SourceServer),
    Operation.DELETE_SOURCE: (TaskInfo, None),
    Operation.UNLOCK_TARGET: (TaskInfo, None),
    Operation.CREATE_PAIRING: (TaskInfo, None),
    Operation.DESCRIBE_PAIRING: (Pairing, None),
    Operation.LIST_PAIRINGS: (Page, Pairing),
    Operation.DELETE_PAIRING: (TaskInfo, None),
    Operation.GET_TASK: (TaskInfo, None),
    Operation.LIST_TASKS: (Page, TaskInfo),
    Operation.CANCEL_TASK: (TaskInfo, None),
}
"""What the flow of each operation returns, and of a page, what is on it."""

_CAME_LATER = {"load_credentials": 2, "find_registered": 3}
"""With which contract a method came that was not there at first."""


def broken_rules(cls: Any) -> Iterator[str]:
    """Name the rules that a plug-in's class breaks; nothing of it is called."""
    if not (isinstance(cls, type) and issubclass(cls, BaseProvider)):
        yield "it is no subclass of BaseProvider"
        return
    if not _is_number(cls.contract) or cls.contract < 1:
        yield f"contract is a whole number from 1 on, not {cls.contract!r}"
    elif cls.contract > CONTRACT:
        yield (
            f"it was written for contract {cls.contract} of the seam, and this release of migrate-core knows contracts "
            f"1 to {CONTRACT}; a newer release is needed"
        )
        return  # what else is asked of it, this release cannot know
    if not hasattr(cls, "name"):
        yield "it lacks the class variable name"
    elif not isinstance(cls.name, str) or not _NAME.fullmatch(cls.name):
        yield f"name is in snake_case, not {cls.name!r}"
    if not (isinstance(cls.settings_type, type) and issubclass(cls.settings_type, Settings)):
        yield "settings_type is no subclass of Settings"
    elif not all("secret" in field.metadata for field in attrs.fields(cls.settings_type)):
        yield "settings_type has fields that are not declared with setting()"
    for name, came in _CAME_LATER.items():
        if _is_number(cls.contract) and cls.contract < came and getattr(cls, name) is not getattr(BaseProvider, name):
            yield f"it has {name}(), which came with contract {came}, and says contract {cls.contract}"
    yield from _broken_capabilities(cls)
    for name in sorted(getattr(cls, "__abstractmethods__", ())):
        yield f"it lacks the method {name}()"


def _broken_capabilities(cls: type[BaseProvider]) -> Iterator[str]:
    if not hasattr(cls, "capabilities"):
        yield "it lacks the class variable capabilities"
        return
    declared: Any = cls.capabilities
    if not isinstance(declared, Mapping):
        yield f"capabilities is a mapping, not {_kind(declared)}"
        return
    for operation, capability in declared.items():
        if not (isinstance(operation, Operation) and isinstance(capability, Capability)):
            yield f"capabilities maps an Operation to a Capability, not {operation!r} to {_kind(capability)}"
        elif capability.support is Support.FULL and not overrides(cls, operation):
            yield f"{operation.value} is declared FULL, and {operation.value}() is not written"


def overrides(cls: type[BaseProvider], operation: Operation) -> bool:
    """Tell whether a plug-in has a method of its own for an operation."""
    return getattr(cls, operation.value) is not getattr(BaseProvider, operation.value)


def broken_result(operation: Operation, result: Any) -> str | None:
    """Name the rule that the result of a flow breaks, if it does."""
    wanted, item = _RESULTS[operation]
    if not isinstance(result, wanted):
        return f"the flow returns {wanted.__name__}, not {_kind(result)}"
    if isinstance(result, TaskInfo):
        return _broken_task(result)
    if item and isinstance(result, Page):
        odd = next((one for one in result.items if not isinstance(one, item)), None)
        if not isinstance(result.items, tuple) or odd is not None:
            return f"a page holds a tuple of {item.__name__}, not {_kind(result.items if odd is None else odd)}"
        if result.next is not None and not isinstance(result.next, str):
            return f"the cursor of the next page is a text or None, not {_kind(result.next)}"
    return None


def _broken_task(info: TaskInfo) -> str | None:
    """Name what of a task would fail far from here: in a token, or in a wait."""
    wanted: Mapping[str, type | tuple[type, ...]] = {
        "id": str,
        "operation": (Operation, type(None)),
        "status": TaskStatus,
        "progress": (int, float, type(None)),
        "error": (TaskFailure, type(None)),
        "entity_id": (str, type(None)),
    }
    odd = next((name for name, kind in wanted.items() if not isinstance(getattr(info, name), kind)), None)
    return None if odd is None else f"{odd} of a TaskInfo is not {_kind(getattr(info, odd))}"


def broken_endpoints(result: Any) -> str | None:
    """Name the rule that the result of ``endpoints()`` breaks, if it does."""
    if not isinstance(result, Mapping) or "main" not in result:
        return "endpoints() returns a mapping that has 'main'"
    odd = next((one for one in result.values() if not isinstance(one, str)), None)
    if odd is not None:
        return f"endpoints() gives each origin as a text, not {_kind(odd)}"
    return "an origin of endpoints() holds no credentials" if any("@" in one for one in result.values()) else None


def broken_headers(result: Any) -> str | None:
    """Name the rule that the result of ``authenticate()`` breaks, if it does."""
    if isinstance(result, Mapping) and all([isinstance(text, str) for text in (*result, *result.values())]):
        return None
    return "authenticate() returns headers: a mapping of texts to texts"  # not what it gave: that is a secret


def broken_error(result: Any) -> str | None:
    """Name the rule that the result of ``error_from()`` breaks, if it does."""
    return None if isinstance(result, ApiError) else f"error_from() returns an ApiError, not {_kind(result)}"


def broken_request(request: Any, endpoints: Mapping[str, str]) -> str | None:
    """Name the rule that something yielded by a flow breaks, if it does."""
    if not isinstance(request, Request):
        return f"a flow yields requests, not {_kind(request)}"
    if request.endpoint not in endpoints:
        return f"a request goes to one of the endpoints ({', '.join(endpoints)}), not to {request.endpoint!r}"
    return None


def broken_find(result: Any) -> str | None:
    """Name the rule that the result of ``find_registered()`` breaks, if it does."""
    if result is None or (isinstance(result, str) and result):
        return None
    return f"find_registered() returns the id of a source or None, not {_kind(result)}"


def broken_checks(result: Any) -> str | None:
    """Name the rule that the result of ``check_logins()`` breaks, if it does."""
    if isinstance(result, tuple) and all(isinstance(check, Check) for check in result):
        return None
    return f"check_logins() returns a tuple of Check, not {_kind(result)}"


def broken_flow(flow: Any) -> str | None:
    """Name the rule that a flow breaks by being none, if it does."""
    return None if inspect.isgenerator(flow) else f"a flow is a generator, not {_kind(flow)}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _kind(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
