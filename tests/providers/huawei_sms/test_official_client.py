"""The vendor's own Python client and the simulator: it is let in, it reads every field as we do, and its errors too.

What the vendor's client reads as we do, the simulator sends as the vendor does, as far as that client knows.
"""

from __future__ import annotations

import itertools
import json
import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdksms import v3

import migrate_core as mc
from migrate_core.documents import Kind, Wire, encode, wire_of
from migrate_core.testing import serve
from migrate_huawei_sms.models import DescribedSource, SourceDocument, document_of
from migrate_huawei_sms.simulator import HuaweiSmsSimulator, example_document
from support import example

from .machines import leaves, linux
from .test_models import NESTED, QUERY, REGISTER, rows_of

# The SDK asks for the time in a way that Python 3.12 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")

INCOMPLETE = pytest.mark.filterwarnings("ignore::migrate_core.IncompleteDocumentWarning")


@pytest.fixture(scope="module")
def served() -> Iterator[HuaweiSmsSimulator]:
    """One simulator behind a socket; it lives in real time, since the SDK signs with the machine's."""
    simulator = HuaweiSmsSimulator()
    with serve(simulator):
        yield simulator


@pytest.fixture
def simulator(served: HuaweiSmsSimulator) -> HuaweiSmsSimulator:
    served.reset()
    served.controls = served.controls_type()
    return served


@pytest.fixture
def sdk_with(simulator: HuaweiSmsSimulator) -> Iterator[Callable[[BasicCredentials], v3.SmsClient]]:
    """Make SDK clients; at the end neither sockets nor threads of theirs are left."""
    made: list[v3.SmsClient] = []

    def build(credentials: BasicCredentials) -> v3.SmsClient:
        builder = v3.SmsClient.new_builder().with_endpoint(simulator.endpoint).with_credentials(credentials)
        made.append(builder.build())
        return made[-1]

    yield build
    for client in made:
        client.close()
        client.get_http_client().executor.shutdown()


def key_of(simulator: HuaweiSmsSimulator) -> BasicCredentials:
    return BasicCredentials(simulator.credentials["access_key"], simulator.credentials["secret_key"])


@pytest.fixture
def sdk(simulator: HuaweiSmsSimulator, sdk_with: Any) -> v3.SmsClient:
    """The SDK's client with the simulator's key."""
    return sdk_with(key_of(simulator))


@pytest.fixture
def ours(simulator: HuaweiSmsSimulator) -> Iterator[mc.Client]:
    """Our client with the same key."""
    with mc.connect("huawei_sms", **simulator.settings("key")) as client:
        yield client


def sdk_object(kind: str, payload: Any) -> Any:
    """Make an object of the SDK of JSON; fields that it does not have are left out."""
    if kind.startswith("list["):
        return [sdk_object(kind[5:-1], item) for item in payload]
    cls = getattr(v3, kind, None)
    if cls is None:
        return payload
    known = {name: field for name, field in cls.attribute_map.items() if field in payload}
    return cls(**{name: sdk_object(cls.openapi_types[name], payload[field]) for name, field in known.items()})


def register(sdk: v3.SmsClient, document: SourceDocument) -> str:
    body = sdk_object("PostSourceServerBody", encode(document))
    answer = sdk.register_server(v3.RegisterServerRequest(body=body))
    assert answer.status_code == 200
    return str(answer.id)


def show(sdk: v3.SmsClient, source_id: str) -> Any:
    return sdk.show_server(v3.ShowServerRequest(source_id=source_id))


def unlock(sdk: v3.SmsClient, task_id: str) -> Any:
    """Send the call that releases of the SDK before 3.1.197 had, through the SDK; its answer is like that of delete."""
    return sdk.do_http_request(
        method="POST",
        resource_path="/v3/tasks/{task_id}/unlock",
        path_params={"task_id": task_id},
        header_params={"Content-Type": "application/json"},
        response_type="DeleteServerResponse",
    )


# The operations.


def test_the_sdk_registers_shows_lists_and_deletes_a_source(sdk: v3.SmsClient) -> None:
    source_id = register(sdk, linux(name="web-1"))
    shown = show(sdk, source_id)
    assert (shown.status_code, shown.id, shown.name, shown.state) == (200, source_id, "web-1", "waiting")
    listed = sdk.list_servers(v3.ListServersRequest(limit=10, offset=0))
    assert (listed.count, [item.id for item in listed.source_servers]) == (1, [source_id])
    assert sdk.delete_server(v3.DeleteServerRequest(source_id=source_id)).status_code == 200
    assert sdk.list_servers(v3.ListServersRequest()).count == 0


def test_the_sdk_unlocks_a_target(sdk: v3.SmsClient, simulator: HuaweiSmsSimulator) -> None:
    source_id = register(sdk, linux())
    task_id = simulator.start_migration(source_id)
    assert show(sdk, source_id).current_task.id == task_id
    assert simulator.locked(task_id)
    assert unlock(sdk, task_id).status_code == 200
    assert not simulator.locked(task_id)


def test_the_sdk_pages_and_filters_a_list(sdk: v3.SmsClient, simulator: HuaweiSmsSimulator) -> None:
    added = simulator.add_sources(5)
    named = register(sdk, linux(name="a b&c=d/ü?"))
    page = sdk.list_servers(v3.ListServersRequest(limit=2, offset=3))
    assert (page.count, [item.id for item in page.source_servers]) == (6, added[3:])
    found = sdk.list_servers(v3.ListServersRequest(name="a b&c=d/ü?"))
    assert [item.id for item in found.source_servers] == [named]


@INCOMPLETE
def test_the_sdk_and_our_client_register_the_same_document(
    sdk: v3.SmsClient, ours: mc.Client, simulator: HuaweiSmsSimulator
) -> None:
    document = filled(SourceDocument)
    registered = simulator.registered(register(sdk, document))
    ours.sources.register(mc.SourceSpec(name="", details=document), allow_incomplete=True).wait()
    theirs, our = (json.loads(sent.body) for sent in simulator.journal)
    assert rows_of(REGISTER).keys() <= our.keys()
    assert our.pop("virtualization_type")  # for which the SDK has no field any more
    assert theirs == our
    assert registered == attrs.evolve(document, virtualization_type=None)


# Who may come in. What is signed for another path or query is refused with 401, see the simulator's tests.


@pytest.mark.parametrize("source_id", ["a/b", "a b", "a?b=c#d", "%2F", "ä", "~-_.", "x;y=1"])
def test_the_sdks_signature_of_an_odd_id_is_accepted(sdk: v3.SmsClient, source_id: str) -> None:
    with pytest.raises(ClientRequestException) as raised:
        show(sdk, source_id)
    assert raised.value.error_code == "SMS.2216"


def test_the_sdks_signature_with_a_temporary_key_and_a_project_is_accepted(
    simulator: HuaweiSmsSimulator, sdk_with: Any
) -> None:
    sdk = sdk_with(key_of(simulator).with_project_id("project").with_security_token("temporary"))
    assert sdk.list_servers(v3.ListServersRequest()).count == 0
    sent = simulator.journal[-1].headers
    assert (sent["x-project-id"], sent["x-security-token"]) == ("project", "temporary")
    assert "x-project-id;x-sdk-date;x-security-token" in sent["authorization"]


# Errors, as the SDK's exception tells them.


def refusal(call: Callable[..., Any], *arguments: Any) -> tuple[int, str, str, str]:
    """Give what the SDK reads of an error; its request id is that of the header, and the simulator's are UUIDs."""
    with pytest.raises(ClientRequestException) as raised:
        call(*arguments)
    error = raised.value
    assert str(uuid.UUID(error.request_id)) == error.request_id
    return error.status_code, error.error_code, error.error_msg, error.request_id


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("access_key", "Incorrect IAM authentication information."),
        ("secret_key", "Incorrect IAM authentication information: verify aksk signature fail."),
    ],
)
def test_a_wrong_key_is_the_sdks_401(simulator: HuaweiSmsSimulator, sdk_with: Any, wrong: str, message: str) -> None:
    key = {**simulator.credentials, wrong: "wrong"}
    sdk = sdk_with(BasicCredentials(key["access_key"], key["secret_key"]))
    assert refusal(sdk.list_servers, v3.ListServersRequest())[:3] == (401, "APIGW.0301", message)


CALLS = {
    "sms:server:register": lambda sdk: register(sdk, linux()),
    "sms:server:get": lambda sdk: show(sdk, "x"),
    "sms:server:list": lambda sdk: sdk.list_servers(v3.ListServersRequest()),
    "sms:server:delete": lambda sdk: sdk.delete_server(v3.DeleteServerRequest(source_id="x")),
    "sms:server:unlock": lambda sdk: unlock(sdk, "x"),
}


@pytest.mark.parametrize("action", CALLS)
def test_a_denied_action_is_the_sdks_403(sdk: v3.SmsClient, simulator: HuaweiSmsSimulator, action: str) -> None:
    simulator.controls.deny = action
    with pytest.raises(ClientRequestException) as raised:
        CALLS[action](sdk)
    error = raised.value
    assert (error.status_code, error.error_code) == (403, "SMS.9004")
    assert f"perform action {action} on" in error.error_msg
    assert uuid.UUID(error.request_id)
    assert error.encoded_auth_msg == "simulated-authorization-message"


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        # 400 and not 404: the vendor's list of codes says so.
        (lambda sdk: show(sdk, "x"), (400, "SMS.2216", "The source server does not exist.")),
        (CALLS["sms:server:delete"], (400, "SMS.2216", "The source server does not exist.")),
        (lambda sdk: unlock(sdk, "x"), (404, "SMS.2252", "The task does not exist.")),
        (
            lambda sdk: sdk.list_tasks(v3.ListTasksRequest()),
            (404, "APIGW.0101", "The API does not exist or has not been published."),
        ),
    ],
    ids=["show", "delete", "unlock", "another call"],
)
def test_what_is_not_there_is_an_exception_of_the_sdk(sdk: v3.SmsClient, call: Any, expected: Any) -> None:
    assert refusal(call, sdk)[:3] == expected


@pytest.mark.parametrize("deny", ["", "sms:server:get"])
def test_both_clients_read_the_same_of_an_error(
    sdk: v3.SmsClient, ours: mc.Client, simulator: HuaweiSmsSimulator, deny: str
) -> None:
    simulator.controls.deny = deny
    theirs = refusal(show, sdk, "x")
    simulator.reset()  # which makes it repeat its ids
    with pytest.raises(mc.ApiError) as raised:
        ours.sources.describe("x")
    error = raised.value
    assert (error.status, error.code, error.message, error.request_id) == theirs


# What is read, field by field.

# Where the SDK reads something else than we do; all other fields have the same names, types and values.
OTHERWISE: dict[str, dict[Any, str]] = {
    # The page calls it a String, and the SDK keeps the text.
    "is_snapshot": {True: "true", False: "false"},
    # The vendor's text for "not mounted", which the SDK keeps.
    "subvol_mount_path": {None: "null"},
}
# Fields whose name on the wire is not the page's. The SDK knows the former only, and drops the latter.
ON_THE_WIRE = {"subvolume": "subvolumn"}


def as_json(value: Any) -> Any:
    """Make JSON of what either client read, by the names on the wire; what is ``None`` is left out."""
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if attrs.has(type(value)):
        named = {
            wire.name or name: as_the_sdk(name, getattr(value, name)) for name, wire in wire_of(type(value)).items()
        }
    elif hasattr(value, "attribute_map"):
        named = {field: getattr(value, name) for name, field in value.attribute_map.items()}
    else:
        return value
    return {name: as_json(item) for name, item in named.items() if item is not None}


def as_the_sdk(name: str, value: Any) -> Any:
    return OTHERWISE[name].get(value, value) if name in OTHERWISE else value


def fields_of(value: Any) -> dict[str, tuple[type, Any]]:
    """Give each plain value that a client read, with its type, by its place."""
    return {path: (type(leaf), leaf) for path, leaf in leaves(as_json(value)).items()}


def places(read: dict[str, Any]) -> set[str]:
    """Name the fields that were read, whichever item of a list they are in."""
    return {re.sub(r"\[\d+\]", "", path) for path in read}


def page(table: str = QUERY, above: str = "") -> Iterator[str]:
    """Name every plain field of a page's table and of the tables inside it."""
    tables = {cls.__name__: nested for cls, nested in NESTED.items()}
    for field, (kind, *_) in rows_of(table).items():
        place = above + ON_THE_WIRE.get(field, field)
        inner = tables.get(kind.removesuffix("[]"))
        yield from page(inner, f"{place}.") if inner else [place]


def filled(cls: type, numbers: Iterator[int] | None = None) -> Any:
    """Make an object with a value in every field, each text and number another one, so that none is mistaken."""
    numbers = numbers or itertools.count(1)
    return cls(**{name: value_for(name, wire, numbers) for name, wire in wire_of(cls).items()})


def value_for(name: str, wire: Wire, numbers: Iterator[int]) -> Any:
    match wire.kind:
        case Kind.TEXT:
            return wire.values[0] if wire.values else f"{name} {next(numbers)}"
        case Kind.INTEGER:
            return next(numbers)
        case Kind.NUMBER:
            return next(numbers) + 0.5
        case Kind.FLAG:
            return True
        case Kind.TEXTS:
            return (f"{name} {next(numbers)}", f"{name} {next(numbers)}")
        case Kind.ONE:
            return filled(wire.item, numbers)
        case _:
            return (filled(wire.item, numbers), filled(wire.item, numbers))


def add_migrated(sdk: v3.SmsClient, simulator: HuaweiSmsSimulator) -> str:
    """Add the vendor's own example of a machine, with its migration under way."""
    source_id = register(sdk, example_document())
    simulator.start_migration(source_id)
    return source_id


def add_full(sdk: v3.SmsClient, simulator: HuaweiSmsSimulator) -> str:
    """Add a source with a value in every field, also in those that are registered and never given back."""
    source_id = register(sdk, linux())
    full = filled(DescribedSource)
    simulator.change(source_id, **{name: getattr(full, name) for name in wire_of(DescribedSource) if name != "id"})
    return source_id


def add_documented(sdk: v3.SmsClient, simulator: HuaweiSmsSimulator) -> str:
    """Plan the vendor's own example of an answer, with its nulls, once for each client."""
    answer = example("huawei_sms/query-response.json")
    simulator.faults.answer(200, json.dumps(answer), method="GET", path=answer["id"], times=2)
    return str(answer["id"])


SOURCES = {"migrated": add_migrated, "full": add_full, "documented": add_documented}


@pytest.mark.parametrize("kind", SOURCES)
def test_the_sdk_and_our_client_read_the_same_of_a_source(
    sdk: v3.SmsClient, ours: mc.Client, simulator: HuaweiSmsSimulator, kind: str
) -> None:
    source_id = SOURCES[kind](sdk, simulator)
    theirs, our = show(sdk, source_id), document_of(ours.sources.describe(source_id))
    assert fields_of(theirs) == fields_of(our)


def test_every_field_of_the_query_page_is_read_by_both(
    sdk: v3.SmsClient, ours: mc.Client, simulator: HuaweiSmsSimulator
) -> None:
    source_id = add_full(sdk, simulator)
    theirs, our = show(sdk, source_id), document_of(ours.sources.describe(source_id))
    assert places(fields_of(theirs)) == places(fields_of(our)) == set(page())


def test_the_sdk_and_our_client_read_the_same_of_a_list(
    sdk: v3.SmsClient, ours: mc.Client, simulator: HuaweiSmsSimulator
) -> None:
    for add in (add_migrated, add_full):
        add(sdk, simulator)
    theirs = sdk.list_servers(v3.ListServersRequest()).source_servers
    our = [document_of(source) for source in ours.sources.list()]
    assert [fields_of(item) for item in theirs] == [fields_of(document) for document in our]
    known = v3.SourceServersResponseBody.attribute_map.values()
    assert places(fields_of(theirs[1])) == {place for place in page() if place.partition(".")[0] in known}
