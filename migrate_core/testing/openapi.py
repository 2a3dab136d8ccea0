"""An OpenAPI document of a simulator, made of what its code declares: routes, and the objects that go over them."""

from __future__ import annotations

import http
import importlib.metadata
import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
from starlette.routing import Route

from migrate_core.documents import Kind, Wire, wire_of

if TYPE_CHECKING:
    from migrate_core.testing.simulator import Simulator

__all__ = ["Call", "describe", "documented"]

R = TypeVar("R", bound=Callable[..., Any])

_CALL = "__openapi_call__"
_BASIC = {"basic": {"type": "http", "scheme": "basic"}}


@attrs.frozen(kw_only=True)
class Call:
    """What is said of a route.

    Objects are document classes (see `migrate_core.documents`); ``None`` stands for an empty body.

    Attributes:
        answers: the object of each status that only this call has.
        body: the object that it takes.
        query: the class whose fields are its query parameters.
        security: the logins that it takes, in OpenAPI's own words, ``basic`` among them; those of the simulator by
            default, and ``()`` for none.
    """

    answers: Mapping[int, type | None] = attrs.field(factory=dict)
    body: type | None = None
    query: type | None = None
    security: Sequence[Mapping[str, Sequence[str]]] | None = None


def documented(call: Call) -> Callable[[R], R]:
    """Mark the endpoint of a route with what is said of it."""

    def mark(endpoint: R) -> R:
        setattr(endpoint, _CALL, call)
        return endpoint

    return mark


def describe(simulator: Simulator) -> dict[str, Any]:
    """Make the OpenAPI 3.1 document of a simulator, as `Simulator.openapi` gives it."""
    paths: dict[str, dict[str, Any]] = {}
    classes: dict[str, type] = {}
    for route in simulator.routes():
        call = getattr(route.endpoint, _CALL, Call())
        for method in sorted((route.methods or set()) - {"HEAD"}):
            paths.setdefault(route.path, {})[method.lower()] = _operation(simulator, route, call)
        for cls in (call.body, *_answers(simulator, call).values()):
            classes |= {_name(one): one for one in _all_in(cls)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": (inspect.getdoc(type(simulator)) or simulator.name).partition("\n")[0].rstrip("."),
            "version": importlib.metadata.version("migrate-core"),
        },
        "servers": [{"url": simulator.endpoint}],
        "security": [{name: []} for name in simulator.security],
        "paths": paths,
        "components": {
            "securitySchemes": {**_BASIC, **simulator.security},
            "schemas": {name: _object(cls, simulator.open_words) for name, cls in sorted(classes.items())},
        },
    }


def _operation(simulator: Simulator, route: Route, call: Call) -> dict[str, Any]:
    query = wire_of(call.query) if call.query else {}
    operation: dict[str, Any] = {
        "operationId": route.name.lstrip("_"),
        "parameters": [
            *(
                {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
                for name in route.param_convertors
            ),
            *({"name": wire.name or name, "in": "query", "schema": _value(wire)} for name, wire in query.items()),
        ],
        "responses": {
            str(status): {"description": http.HTTPStatus(status).phrase, **_content(cls)}
            for status, cls in sorted(_answers(simulator, call).items())
        }
        or {"default": {"description": "whatever the simulator answers"}},
    }
    if call.body:
        operation["requestBody"] = {"required": True, **_content(call.body)}
    if call.security is not None:
        operation["security"] = [dict(one) for one in call.security]
    return operation


def _answers(simulator: Simulator, call: Call) -> Mapping[int, type | None]:
    return {**(simulator.answers if call.security != () else {}), **call.answers}


def _content(cls: type | None) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": _ref(cls)}}} if cls else {}


def _all_in(cls: type | None) -> Iterator[type]:
    """Give a document class and all that are in it."""
    if cls is not None:
        yield cls
        for wire in wire_of(cls).values():
            yield from _all_in(wire.item)


def _name(cls: type) -> str:
    return cls.__name__.lstrip("_")


def _ref(cls: type) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{_name(cls)}"}


def _object(cls: type, open_words: bool) -> dict[str, Any]:
    """Make the JSON Schema of a document class, which has no other fields than it declares."""
    fields = {wire.name or attribute: wire for attribute, wire in wire_of(cls).items()}
    return {
        "description": (inspect.getdoc(cls) or "").partition("\n")[0],
        "type": "object",
        "properties": {name: _value(_opened(wire) if open_words else wire) for name, wire in fields.items()},
        "required": [name for name, wire in fields.items() if wire.required],
        "additionalProperties": False,
    }


def _opened(wire: Wire) -> Wire:
    return attrs.evolve(wire, values=())


def _value(wire: Wire) -> dict[str, Any]:
    schema = _KINDS[wire.kind](wire)
    return {"anyOf": [schema, {"type": "null"}]} if wire.nullable else schema


def _text(wire: Wire) -> dict[str, Any]:
    if wire.values:
        return {"type": "string", "enum": list(wire.values)}
    return {"type": "string", **_bounds(wire, "minLength", "maxLength")}


def _flag(wire: Wire) -> dict[str, Any]:
    return {"type": "string", "enum": ["true", "false"]} if wire.as_text else {"type": "boolean"}


def _texts(wire: Wire) -> dict[str, Any]:
    longest = {} if wire.item_maximum == math.inf else {"maxLength": wire.item_maximum}
    return {"type": "array", **_bounds(wire, "minItems", "maxItems"), "items": {"type": "string", **longest}}


def _bounds(wire: Wire, least: str, most: str) -> dict[str, Any]:
    """Give the bounds that say something: no text and no list is shorter than nothing."""
    bounds = {} if least != "minimum" and not wire.minimum else {least: wire.minimum}
    return bounds if wire.maximum == math.inf else {**bounds, most: wire.maximum}


_KINDS: Mapping[Kind, Callable[[Wire], dict[str, Any]]] = {
    Kind.TEXT: _text,
    Kind.INTEGER: lambda wire: {"type": "integer", **_bounds(wire, "minimum", "maximum")},
    Kind.NUMBER: lambda wire: {"type": "number", **_bounds(wire, "minimum", "maximum")},
    Kind.FLAG: _flag,
    Kind.TEXTS: _texts,
    Kind.ONE: lambda wire: _ref(wire.item),
    Kind.MANY: lambda wire: {"type": "array", **_bounds(wire, "minItems", "maxItems"), "items": _ref(wire.item)},
    Kind.ANYTHING: lambda wire: {},
}
