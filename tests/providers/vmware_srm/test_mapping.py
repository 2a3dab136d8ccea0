"""Between the vendor's objects and the neutral model, without any wire."""

from __future__ import annotations

import json
import logging
import pickle
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import migrate_core as mc
from migrate_core.documents import MAX32, MAX64, Kind, decode, encode, faults_of, wire_of
from migrate_core.models import read_only
from migrate_core.provider import Response
from migrate_vmware_srm import VmwareSrmProvider, VmwareSrmSettings, mapping
from migrate_vmware_srm.auth import Login
from migrate_vmware_srm.models import (
    CertificateWarning,
    PairPscInfo,
    ResponseError,
    ServerInfo,
    SrmPairing,
    SrmPairingSpec,
    SrmTask,
    SrmTaskError,
    X509Certificate,
    pairing_of,
    task_of,
)
from migrate_vmware_srm.simulator import VmwareSrmSimulator
from support import Caller

SECRET = "peer-password-4417"
MILLISECONDS = 1598435769123
MOMENT = datetime(2020, 8, 26, 9, 56, 9, 123000, tzinfo=UTC)

SEED_EXAMPLE: dict[str, Any] = {
    "complete_time": 0,
    "description": "string",
    "description_id": "string",
    "entity": "string",
    "entity_name": "string",
    "error": {"details": "string", "message": "string"},
    "id": "string",
    "progress": 0,
    "queued_time": 0,
    "result": {},
    "start_time": 0,
    "status": "QUEUED",
}


def task(**fields: Any) -> mc.TaskInfo:
    payload = {"id": "t-1", "status": "RUNNING", **fields}
    return mapping.task_from(payload, raw=read_only(payload))


def pairing(**fields: Any) -> mc.Pairing:
    payload = {"pairing_id": "p-1", **fields}
    return mapping.pairing_from(payload, raw=read_only(payload))


# Tasks.


def test_the_vendors_own_example_of_a_task_is_read_whole() -> None:
    info = mapping.task_from(SEED_EXAMPLE, raw=read_only(SEED_EXAMPLE))
    assert info == mc.TaskInfo(id="string", status=mc.TaskStatus.QUEUED, progress=0.0, result={}, entity_id="string")
    assert info.raw == SEED_EXAMPLE
    assert task_of(info) == SrmTask(**{**SEED_EXAMPLE, "error": SrmTaskError(details="string", message="string")})


def test_every_field_of_the_vendors_task_is_declared() -> None:
    assert set(wire_of(SrmTask)) == set(SEED_EXAMPLE)
    assert set(wire_of(SrmTaskError)) == set(SEED_EXAMPLE["error"])
    assert [name for name, wire in wire_of(SrmTask).items() if wire.required] == ["id", "status"]
    assert wire_of(SrmTask)["status"].values == ("QUEUED", "RUNNING", "SUCCESS", "ERROR", "CANCELLED")


def test_every_field_of_a_task_arrives() -> None:
    payload = {
        "id": "task-7",
        "status": "ERROR",
        "description": "Delete pairing",
        "description_id": "com.vmware.vcDr.deletePairing",
        "entity": "p-1",
        "entity_name": "vc-b.example",
        "progress": 42,
        "queued_time": MILLISECONDS,
        "start_time": MILLISECONDS + 1000,
        "complete_time": MILLISECONDS + 2000,
        "result": None,
        "error": {"message": "It broke.", "details": "The far site is down."},
        "_meta": {"errors": []},
    }
    info = mapping.task_from(payload, raw=read_only(payload))
    assert info == mc.TaskInfo(
        id="task-7",
        status=mc.TaskStatus.ERROR,
        progress=42.0,
        error=mc.TaskFailure("It broke.", "The far site is down."),
        entity_id="p-1",
        queued_at=MOMENT,
        started_at=MOMENT + timedelta(seconds=1),
        ended_at=MOMENT + timedelta(seconds=2),
    )
    document = task_of(info)
    assert (document.description, document.description_id, document.entity_name) == (
        "Delete pairing",
        "com.vmware.vcDr.deletePairing",
        "vc-b.example",
    )
    assert info.raw["_meta"] == {"errors": ()}


@pytest.mark.parametrize(
    ("word", "status", "terminal"),
    [
        ("QUEUED", mc.TaskStatus.QUEUED, False),
        ("RUNNING", mc.TaskStatus.RUNNING, False),
        ("SUCCESS", mc.TaskStatus.SUCCESS, True),
        ("ERROR", mc.TaskStatus.ERROR, True),
        ("CANCELLED", mc.TaskStatus.CANCELLED, True),
        ("PAUSED", mc.TaskStatus.UNKNOWN, False),
        ("success", mc.TaskStatus.UNKNOWN, False),
        ("", mc.TaskStatus.UNKNOWN, False),
        (None, mc.TaskStatus.UNKNOWN, False),
        (3, mc.TaskStatus.UNKNOWN, False),
        ([], mc.TaskStatus.UNKNOWN, False),
    ],
)
def test_statuses(word: Any, status: mc.TaskStatus, terminal: bool) -> None:
    info = task(status=word)
    assert info.status is status
    assert info.status.terminal is terminal
    assert info.raw["status"] == (tuple(word) if isinstance(word, list) else word)


def test_a_task_without_a_status_is_unknown() -> None:
    assert mapping.task_from({"id": "t-1"}, raw={}).status is mc.TaskStatus.UNKNOWN


@pytest.mark.parametrize("field", ["queued_time", "start_time", "complete_time"])
@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (MILLISECONDS, MOMENT),
        (1598435769000, MOMENT.replace(microsecond=0)),
        (1598435769000.0, MOMENT.replace(microsecond=0)),
        ("1598435769000", MOMENT.replace(microsecond=0)),
        ("2020-08-26T09:56:09Z", MOMENT.replace(microsecond=0)),
        ("2020-08-26T09:56:09.123Z", MOMENT),
        ("2020-08-26T09:56:09.123+00:00", MOMENT),
        ("2020-08-26T11:56:09.123+0200", MOMENT),
        ("2020-08-26T09:56:09", MOMENT.replace(microsecond=0)),
        (1, datetime(1970, 1, 1, 0, 0, 0, 1000, tzinfo=UTC)),
        (253402300799000, datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (253402300800000, None),
        (2**63 - 1, None),
        (10**400, None),
        (float("inf"), None),
        (float("nan"), None),
        (0, None),
        (-1, None),
        (-(2**63), None),
        ("0", None),
        ("-5", None),
        ("9" * 5000, None),
        ("", None),
        ("soon", None),
        ("0001-01-01T00:00:00+23:59", None),
        ("9999-12-31T23:59:59-23:59", None),
        (None, None),
        (True, None),
        ([], None),
        ({}, None),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_times(field: str, value: Any, moment: datetime | None) -> None:
    info = task(**{field: value})
    found = {"queued_time": info.queued_at, "start_time": info.started_at, "complete_time": info.ended_at}
    assert found.pop(field) == moment
    assert set(found.values()) == {None}
    if moment:
        assert mapping.moment(value).tzinfo is UTC  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("value", "progress"),
    [
        (0, 0.0),
        (57, 57.0),
        (100, 100.0),
        (101, 100.0),
        (MAX32, 100.0),
        (10**400, 100.0),
        (-1, 0.0),
        ("57", 57.0),
        (57.0, 57.0),
        (57.5, None),
        ("half", None),
        (float("inf"), None),
        (float("nan"), None),
        (None, None),
        (True, None),
        ([], None),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_progress_is_a_percentage_or_unknown(value: Any, progress: float | None) -> None:
    assert task(progress=value).progress == progress


@pytest.mark.parametrize(
    "result", [{"pairing_id": "p-1"}, "DrReplicationGroup:1:guid", ["a", {"b": None}], 0, 1.5, True, False, "", [], {}]
)
def test_a_result_may_be_any_json(result: Any) -> None:
    assert task(status="SUCCESS", result=result).result == result


def test_no_result_is_none() -> None:
    assert task(status="SUCCESS", result=None).result is None
    assert task(status="SUCCESS").result is None


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        ({"message": "m", "details": "d"}, mc.TaskFailure("m", "d")),
        ({"message": "m", "details": None}, mc.TaskFailure("m")),
        ({"message": None, "details": "d"}, mc.TaskFailure("the server gives no reason", "d")),
        ({}, mc.TaskFailure("the server gives no reason")),
        (None, mc.TaskFailure("the server gives no reason")),
        ("it broke", mc.TaskFailure("the server gives no reason")),
        ({"message": 7}, mc.TaskFailure("7")),
    ],
)
def test_errors_of_tasks(error: Any, failure: mc.TaskFailure) -> None:
    assert task(status="ERROR", error=error).error == failure


@pytest.mark.parametrize("status", ["QUEUED", "RUNNING", "SUCCESS", "CANCELLED", "OTHER"])
def test_only_a_failed_task_has_an_error(status: str) -> None:
    assert task(status=status, error={"message": "m", "details": "d"}).error is None


@pytest.mark.parametrize("entity", ["p-1", None, "", 5])
def test_what_we_know_of_the_entity_wins(entity: Any) -> None:
    payload = {"id": "t-1", "status": "RUNNING", "entity": entity}
    info = mapping.task_from(payload, raw={}, operation=mc.Operation.DELETE_PAIRING, entity_id="known")
    assert (info.operation, info.entity_id) == (mc.Operation.DELETE_PAIRING, "known")
    assert task(entity=entity).entity_id == {"p-1": "p-1", None: None, "": None, 5: "5"}[entity]


@pytest.mark.parametrize("payload", [{}, {"id": None}, {"id": ""}, {"id": []}, {"status": "SUCCESS"}, {"Id": "t-1"}])
def test_a_task_without_an_id_is_malformed_and_says_where(payload: dict[str, Any]) -> None:
    with pytest.raises(mc.MalformedResponseError) as caught:
        mapping.task_from(payload, raw={})
    assert caught.value.path == "id"


# Pairings.


def server(status: Any = "OK", name: str = "srm-a.example", **fields: Any) -> dict[str, Any]:
    return {"id": f"guid-{name}", "url": f"https://{name}:443", "name": name, "server_status": status, **fields}


SIDES = ("local_vc_server", "local_srm_server", "remote_vc_server", "remote_srm_server")


@pytest.mark.parametrize(
    ("statuses", "state"),
    [
        (("OK", "OK", "OK", "OK"), mc.PairingState.PAIRED),
        (("OK", "OK", "WARNING", "OK"), mc.PairingState.PAIRED),
        (("WARNING", "OK", "WARNING", "WARNING"), mc.PairingState.PAIRED),
        (("OK", "OK", "ERROR", "OK"), mc.PairingState.DISCONNECTED),
        (("OK", "OK", "OK", "ERROR"), mc.PairingState.DISCONNECTED),
        (("ERROR", "OK", "OK", "OK"), mc.PairingState.ERROR),
        (("OK", "ERROR", "ERROR", "ERROR"), mc.PairingState.ERROR),
        (("OK", "OK", None, None), mc.PairingState.UNKNOWN),
        (("OK", "OK", "NEW", "WORD"), mc.PairingState.UNKNOWN),
        (("OK", "OK", "OK", None), mc.PairingState.PAIRED),
        ((None, None, None, None), mc.PairingState.UNKNOWN),
    ],
)
def test_the_state_of_a_pairing_comes_from_its_servers(
    statuses: tuple[str | None, ...], state: mc.PairingState
) -> None:
    fields = dict(zip(SIDES, map(server, statuses), strict=True))
    assert pairing(**fields).state is state


@pytest.mark.parametrize("fields", [{}, dict.fromkeys(SIDES), dict.fromkeys(SIDES, "x"), {"remote_srm_server": {}}])
def test_a_pairing_without_servers_is_unknown(fields: dict[str, Any]) -> None:
    found = pairing(**fields)
    assert found.state is mc.PairingState.UNKNOWN
    assert found.remote.name is None


def test_the_sites_are_the_srm_servers() -> None:
    found = pairing(
        local_vc_server=server(name="vc-a.example"),
        local_srm_server=server(name="srm-a.example"),
        remote_vc_server=server(name="vc-b.example"),
        remote_srm_server=server(name="srm-b.example"),
    )
    assert found.id == "p-1"
    assert found.local == mc.Site(
        id="guid-srm-a.example", name="srm-a.example", url="https://srm-a.example:443", kind="srm"
    )
    assert found.remote == mc.Site(
        id="guid-srm-b.example", name="srm-b.example", url="https://srm-b.example:443", kind="srm"
    )


def test_a_vcenter_stands_in_for_a_site_whose_srm_server_is_not_known() -> None:
    found = pairing(remote_vc_server=server(name="vc-b.example"))
    assert found.remote == mc.Site(
        id="guid-vc-b.example", name="vc-b.example", url="https://vc-b.example:443", kind="vcenter"
    )
    assert found.local == mc.Site()


CERTIFICATE = {
    "serial_number": "00:ab",
    "not_before": 1598435769000,
    "not_after": -1,
    "signature": "s",
    "version": 3,
    "issuer_dn": "CN=a",
    "subject_dn": "CN=b",
    "sig_alg_name": "SHA256withRSA",
    "sig_alg_oid": "1.2.840",
    "public_key": "k",
    "public_key_format": "X.509",
    "public_key_algorithm": "RSA",
    "thumbprint": "AA:BB",
    "certificate": "-----BEGIN CERTIFICATE-----",
    "issuer_unique_id": [True, False],
    "subject_unique_id": [True],
    "key_usage": [True, False],
    "issuer_alternative_names": [["x"]],
    "subject_alternative_names": [["y"]],
    "extended_key_usage": ["1.3.6"],
}


def test_every_field_of_a_pairing_is_in_the_vendors_own_object() -> None:
    one = server(
        version="9.0.2",
        build_number="123",
        certificates=[CERTIFICATE],
        certificate_warnings=[{"server_guid": "g", "server_url": "u", "certificate": CERTIFICATE}],
    )
    payload = {"pairing_id": "p-1", **{side: one for side in SIDES}}
    document = pairing_of(mapping.pairing_from(payload, raw=read_only(payload)))
    assert json.loads(json.dumps(encode(document))) == payload
    assert isinstance(document, SrmPairing)
    certificate = document.local_vc_server.certificates[0]  # type: ignore[union-attr, index]
    assert certificate.thumbprint == "AA:BB"
    assert set(wire_of(X509Certificate)) == set(CERTIFICATE)


def test_a_serial_number_of_version_1_is_read_too() -> None:
    assert decode(X509Certificate, {"serial_number": 12345678901234567890}).serial_number == "12345678901234567890"


@pytest.mark.parametrize("payload", [{}, {"pairing_id": None}, {"pairing_id": ""}, {"id": "p-1"}, {"pairing_id": {}}])
def test_a_pairing_without_an_id_is_malformed_and_says_where(payload: dict[str, Any]) -> None:
    with pytest.raises(mc.MalformedResponseError) as caught:
        mapping.pairing_from(payload, raw={})
    assert caught.value.path == "pairing_id"


# Pages.


@pytest.mark.parametrize(
    ("payload", "offset", "following"),
    [
        ({"list": [], "_meta": {"total": 0}}, 0, None),
        ({"list": [{}], "_meta": {"total": 1}}, 0, None),
        ({"list": [{}], "_meta": {"total": 2}}, 0, 1),
        ({"list": [{}, {}], "_meta": {"total": 250}}, 100, 102),
        ({"list": [{}], "_meta": {"total": 101}}, 100, None),
        ({"list": [], "_meta": {"total": 5}}, 0, None),
        ({"list": [{}]}, 0, None),
        ({"list": [{}], "_meta": None}, 0, None),
    ],
)
def test_pages(payload: dict[str, Any], offset: int, following: int | None) -> None:
    page, found = mapping.page_from(payload, offset)
    assert (list(page.items), found) == (payload["list"], following)


@pytest.mark.parametrize(
    "meta",
    [
        {"total": "250", "links": {"next": {"href": "https://srm.example/x"}}},
        {"total": None, "links": {"next": {"href": "https://srm.example/x"}}},
        {"links": {"next": {"href": "https://srm.example/x"}}},
    ],
)
def test_a_page_whose_total_cannot_be_read_is_not_silently_the_last(meta: dict[str, Any]) -> None:
    """The server says that there is more: half a list must not look like a whole one."""
    try:
        _, following = mapping.page_from({"list": [{}] * 100, "_meta": meta}, 0)
    except mc.MalformedResponseError:
        return
    assert following == 100


@pytest.mark.parametrize("payload", [{}, {"list": None}, {"list": {}}, {"list": [1]}, {"list": "x"}, {"list": [None]}])
def test_a_page_without_a_list_of_objects_is_malformed(payload: dict[str, Any]) -> None:
    with pytest.raises(mc.MalformedResponseError) as caught:
        mapping.page_from(payload, 0)
    assert caught.value.path == "list"


# Specifications.


def spec(url: str = "vc-b.example", details: Any = None) -> mc.PairingSpec:
    return mc.PairingSpec(
        remote_url=url, remote_username="administrator@peer.local", remote_password=SECRET, details=details
    )


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("vc-b.example", "vc-b.example", 443),
        ("vc-b.example:7444", "vc-b.example", 7444),
        ("https://vc-b.example", "vc-b.example", 443),
        ("https://vc-b.example/", "vc-b.example", 443),
        ("https://vc-b.example:8443/ui", "vc-b.example", 8443),
        ("192.0.2.7", "192.0.2.7", 443),
        ("[2001:db8::7]:8443", "2001:db8::7", 8443),
    ],
)
def test_the_url_gives_host_and_port(url: str, host: str, port: int) -> None:
    peer = mapping.spec_for(spec(url, SrmPairingSpec(pair_vc_guid="guid"))).pair_psc_info
    assert peer == PairPscInfo(url=host, port=port, username="administrator@peer.local", password=SECRET)


def test_details_win_over_the_neutral_fields() -> None:
    details = SrmPairingSpec(
        pair_psc_info=PairPscInfo(url="other.example", port=9443, thumbprint="AA", username="u", password="p"),
        pair_vc_guid="guid",
        pair_srm_url="srm-b.example",
        pair_srm_thumbprint="BB",
    )
    assert mapping.spec_for(spec("vc-b.example:1", details)) == details


def test_details_may_be_partial() -> None:
    details = SrmPairingSpec(pair_psc_info=PairPscInfo(thumbprint="AA"), pair_vc_guid="guid")
    assert mapping.spec_for(spec("vc-b.example:444", details)).pair_psc_info == PairPscInfo(
        url="vc-b.example", port=444, thumbprint="AA", username="administrator@peer.local", password=SECRET
    )


def test_details_may_be_the_json_of_a_specification() -> None:
    details = SrmPairingSpec(pair_psc_info=PairPscInfo(thumbprint="AA"), pair_vc_guid="guid")
    given = {"pair_psc_info": {"thumbprint": "AA"}, "pair_vc_guid": "guid"}
    assert mapping.spec_for(spec("vc-b.example:444", given)) == mapping.spec_for(spec("vc-b.example:444", details))


def faults(wrong: mc.PairingSpec) -> dict[str, str]:
    with pytest.raises(mc.InvalidDocumentError) as caught:
        mapping.spec_for(wrong)
    assert SECRET not in f"{caught.value} {caught.value!r}"
    assert isinstance(caught.value, ValueError)
    return {fault.path: fault.message for fault in caught.value.faults}


def test_all_faults_are_listed_at_once() -> None:
    details = SrmPairingSpec(
        pair_psc_info=PairPscInfo(port=70000, thumbprint=7),  # type: ignore[arg-type]
        pair_srm_url="srm-b.example",
    )
    empty = mc.PairingSpec(remote_url="", remote_username="", remote_password="", details=details)
    assert list(faults(empty)) == [
        "pair_psc_info.url",
        "pair_psc_info.port",
        "pair_psc_info.thumbprint",
        "pair_psc_info.username",
        "pair_psc_info.password",
        "pair_vc_guid",
        "pair_srm_url",
    ]


def test_without_details_the_vcenters_guid_is_missing() -> None:
    assert faults(spec()) == {"pair_vc_guid": "is mandatory"}


@pytest.mark.parametrize(
    ("given", "where"),
    [
        (SrmPairingSpec(pair_vc_guid="g", pair_srm_url="srm-b.example"), "pair_srm_url"),
        (SrmPairingSpec(pair_vc_guid="g", pair_srm_thumbprint="AA"), "pair_srm_url"),
        (SrmPairingSpec(pair_vc_guid=5), "pair_vc_guid"),  # type: ignore[arg-type]
        (SrmPairingSpec(pair_vc_guid="g", pair_psc_info=PairPscInfo(port=0)), "pair_psc_info.port"),
        (SrmPairingSpec(pair_vc_guid="g", pair_psc_info=PairPscInfo(port=-1)), "pair_psc_info.port"),
        (SrmPairingSpec(pair_vc_guid="g", pair_psc_info=PairPscInfo(port=65536)), "pair_psc_info.port"),
        (
            SrmPairingSpec(pair_vc_guid="g", pair_psc_info=PairPscInfo(port="443")),  # type: ignore[arg-type]
            "pair_psc_info.port",
        ),
        (
            SrmPairingSpec(pair_vc_guid="g", pair_psc_info=PairPscInfo(password=12345)),  # type: ignore[arg-type]
            "pair_psc_info.password",
        ),
        (
            SrmPairingSpec(pair_vc_guid="g", pair_psc_info={"url": "x"}),  # type: ignore[arg-type]
            "pair_psc_info",
        ),
        ({"pair_vc_guid": "g", "speed": 1}, "speed"),
        ({"pair_vc_guid": 5}, "pair_vc_guid"),
        ("details", "details"),
    ],
)
def test_a_wrong_detail_is_named(given: Any, where: str) -> None:
    assert list(faults(spec(details=given))) == [where]


@pytest.mark.parametrize("url", ["vc-b.example:99999", "vc-b.example:port", "https://", "[::1", "https://:443"])
def test_a_url_without_host_or_with_an_impossible_port_is_a_fault(url: str) -> None:
    assert list(faults(spec(url, SrmPairingSpec(pair_vc_guid="g")))) == ["pair_psc_info.url"]


@pytest.mark.parametrize("wrong", [None, 5, b"vc-b.example"])
def test_a_url_that_is_no_text_is_a_fault(wrong: Any) -> None:
    assert list(faults(spec(wrong, SrmPairingSpec(pair_vc_guid="g")))) == ["pair_psc_info.url"]


def test_the_specification_on_the_wire_has_every_documented_field() -> None:
    assert set(wire_of(SrmPairingSpec)) == {"pair_psc_info", "pair_vc_guid", "pair_srm_url", "pair_srm_thumbprint"}
    assert set(wire_of(PairPscInfo)) == {"url", "port", "thumbprint", "username", "password"}
    required = {name for cls in (SrmPairingSpec, PairPscInfo) for name, wire in wire_of(cls).items() if wire.required}
    assert required == {"pair_psc_info", "pair_vc_guid", "url", "port", "thumbprint", "username", "password"}


# Errors.


BODY = json.dumps({"error_code": "VcDr.Fault", "message": "It was refused.", "op_id": "op-17"})


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, mc.InvalidRequestError),
        (401, mc.AuthenticationError),
        (403, mc.PermissionDeniedError),
        (404, mc.NotFoundError),
        (405, mc.InvalidRequestError),
        (409, mc.ConflictError),
        (429, mc.RateLimitedError),
        (500, mc.ServerError),
        (502, mc.ServerError),
        (503, mc.ServerError),
        (504, mc.ServerError),
        (302, mc.ApiError),
    ],
)
@pytest.mark.parametrize(
    ("body", "message", "code", "request_id"),
    [
        (BODY, "It was refused.", "VcDr.Fault", "op-17"),
        ("", None, "", ""),
        ("<html>a proxy's page</html>", None, "", ""),
        ("[]", None, "", ""),
        ("null", None, "", ""),
        ('"text"', None, "", ""),
        ('{"message": null, "error_code": null, "op_id": null}', None, "", ""),
        ('{"message": {}, "error_code": [1]}', None, "", ""),
        ('{"message": 5, "error_code": 7}', "5", "7", ""),
        ("\udcff", None, "", ""),
        ("[" * 100000, None, "", ""),
    ],
    ids=["body", "none", "html", "list", "null", "text", "nulls", "odd", "numbers", "no-utf-8", "deep"],
)
def test_an_error_answer_becomes_an_error_by_its_status(
    status: int, kind: type[mc.ApiError], body: str, message: str | None, code: str, request_id: str
) -> None:
    error = mapping.error_from(Response(status=status, body=body.encode(errors="surrogateescape")))
    assert type(error) is kind
    assert (error.provider, error.status, error.code, error.request_id) == ("vmware_srm", status, code, request_id)
    assert error.message == message if message else error.message
    assert str(status) in str(error)
    if request_id:
        assert f"request id {request_id}" in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (kind, str(error))


@pytest.mark.parametrize("status", [401, 404])
def test_an_error_without_a_body_says_that_the_server_gives_no_reason(status: int) -> None:
    assert "the server gives no reason" in mapping.error_from(Response(status=status)).message


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, mc.InvalidRequestError),
        (403, mc.PermissionDeniedError),
        (404, mc.NotFoundError),
        (500, mc.ServerError),
        (503, mc.ServerError),
        (429, mc.RateLimitedError),
    ],
)
def test_an_error_over_the_wire_names_the_operation(
    caller: Caller, simulator: VmwareSrmSimulator, status: int, kind: type[mc.ApiError]
) -> None:
    client = caller.connect("vmware_srm", clock=simulator.clock, **simulator.settings())
    simulator.faults.answer(status, BODY, method="GET", path="/pairings/", headers={"Retry-After": "3"}, times=3)
    with pytest.raises(mc.ApiError) as caught:
        caller(client.pairings.describe("p-1"))
    error = caught.value
    assert type(error) is kind
    assert (error.operation, error.retry_after) == (mc.Operation.DESCRIBE_PAIRING, 3.0)
    assert str(error) == (
        f"vmware_srm describe_pairing: {status} VcDr.Fault: It was refused. (retry after 3 s) (request id op-17)"
    )


# Secrets.


def test_no_password_is_in_any_repr() -> None:
    details = SrmPairingSpec(pair_psc_info=PairPscInfo(password=SECRET), pair_vc_guid="guid")
    settings = VmwareSrmSettings(
        endpoint="https://srm.example", username="u", password=SECRET, peer_username="v", peer_password=SECRET
    )
    provider = VmwareSrmProvider(settings)
    flow = provider.create_pairing(spec(details=details))
    request = next(flow)
    assert SECRET.encode() in request.body
    login = next(provider.refresh_credentials())
    with mc.connect("vmware_srm", **attrs.asdict(settings)) as client:
        for shown in (
            spec(),
            spec(details=details),
            details,
            mapping.spec_for(spec(details=details)),
            settings,
            provider,
            Login("u", SECRET),
            request,
            login,
            client,
            client.pairings,
        ):
            assert SECRET not in f"{shown!r} {shown}"
    assert login.headers["Authorization"].split()[1] not in repr(login)


def test_no_password_is_in_an_error_of_creating_a_pairing(
    caller: Caller, simulator: VmwareSrmSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = caller.connect("vmware_srm", clock=simulator.clock, **simulator.settings())
    simulator.faults.answer(400, BODY, method="POST", path="/pairings")
    with pytest.raises(mc.InvalidRequestError) as caught:
        caller(client.pairings.create(spec(details=SrmPairingSpec(pair_vc_guid="guid"))))
    assert SECRET in simulator.journal[-1].body.decode()
    assert SECRET not in f"{caught.value} {caught.value!r} {caplog.text} {simulator.journal[-1]!r}"


def test_raw_is_read_only_and_redacted(caller: Caller, simulator: VmwareSrmSimulator) -> None:
    client = caller.connect("vmware_srm", clock=simulator.clock, **simulator.settings())
    payload = {
        "pairing_id": "p-1",
        "local_srm_server": {"certificates": [{"public_key": "k", "thumbprint": "AA"}]},
        "session_token": "t0ken",
        "nested": [{"peerPassword": SECRET, "private_key": "pem", "secret": None}],
    }
    simulator.faults.answer(200, json.dumps(payload), method="GET", path="/pairings/")
    raw = caller(client.pairings.describe("p-1")).raw
    assert raw["session_token"] == "***"
    assert raw["nested"] == ({"peerPassword": "***", "private_key": "***", "secret": None},)
    assert raw["local_srm_server"] == {"certificates": ({"public_key": "k", "thumbprint": "AA"},)}
    check_read_only(raw)
    check_read_only(raw["nested"][0])
    assert json.loads(json.dumps(raw))["pairing_id"] == "p-1"
    assert pickle.loads(pickle.dumps(raw)) == raw


def check_read_only(raw: Any) -> None:
    before = dict(raw)
    changes: list[Callable[[], Any]] = [
        lambda: raw.__setitem__("x", 1),
        lambda: raw.__delitem__(next(iter(raw))),
        lambda: raw.update(x=1),
        lambda: raw.pop(next(iter(raw))),
        lambda: raw.popitem(),
        lambda: raw.setdefault("x", 1),
        lambda: raw.clear(),
        lambda: raw.__ior__({"x": 1}),
    ]
    for change in changes:
        with pytest.raises(TypeError, match="read-only"):
            change()
    assert raw == before


def test_raw_of_a_task_is_read_only_and_redacted(caller: Caller, simulator: VmwareSrmSimulator) -> None:
    client = caller.connect("vmware_srm", clock=simulator.clock, **simulator.settings())
    payload = {"id": "t-1", "status": "SUCCESS", "result": {"password": SECRET, "groups": ["g"]}}
    simulator.faults.answer(200, json.dumps(payload), method="GET", path="/tasks/")
    info = caller(client.tasks.get("t-1")).info
    check_read_only(info.raw)
    assert info.raw["result"] == {"password": "***", "groups": ("g",)}
    assert "raw" not in repr(info)


def test_raw_is_not_kept_unless_wanted(caller: Caller, simulator: VmwareSrmSimulator) -> None:
    client = caller.connect("vmware_srm", clock=simulator.clock, keep_raw=False, **simulator.settings())
    found = caller(client.pairings.describe(simulator.pair()))
    (listed,) = caller.list(client.pairings.list())
    started = caller(client.pairings.delete(found.id))
    assert (found.raw, listed.raw, started.info.raw) == ({}, {}, {})
    assert found.remote.name == "srm-b.example"
    for own in (lambda: pairing_of(found), lambda: task_of(started.info)):
        with pytest.raises(mc.InvalidArgumentError, match="keep_raw"):
            own()


# Whatever a server says.

any_json: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(10**400) | st.just(MAX64),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
numbers_as_text = st.integers().map(str) | st.datetimes().map(datetime.isoformat) | st.just("1598435769000")
any_id = st.text(min_size=1, max_size=5)


def objects_of(cls: type) -> st.SearchStrategy[dict[str, Any]]:
    """JSON objects with the fields of `cls`, holding whatever: what is declared, or anything else."""
    fields: dict[str, st.SearchStrategy[Any]] = {}
    for name, wire in wire_of(cls).items():
        declared = _declared(wire) | numbers_as_text
        fields[name] = declared | any_json
    return st.fixed_dictionaries({}, optional={**fields, "_meta": any_json, "surplus": any_json})


def documents_of(cls: type) -> st.SearchStrategy[dict[str, Any]]:
    """JSON objects as the vendor documents `cls`."""
    return st.fixed_dictionaries(
        {}, optional={name: _declared(wire, strict=True) for name, wire in wire_of(cls).items()}
    )


def _declared(wire: Any, *, strict: bool = False) -> st.SearchStrategy[Any]:
    inner = documents_of if strict else objects_of
    match wire.kind:
        case Kind.TEXT:
            return st.sampled_from(wire.values) if wire.values else st.text()
        case Kind.INTEGER:
            return st.integers(int(wire.minimum), int(wire.maximum))
        case Kind.TEXTS:
            return st.lists(st.text(), max_size=3)
        case Kind.ONE:
            return inner(wire.item)
        case Kind.MANY:
            return st.lists(inner(wire.item), max_size=2)
    return any_json.filter(lambda value: value is not None and value == value)  # not NaN


def unless_malformed(read: Callable[[], Any], path: str) -> Any:
    """Give what `read` gives; ``None`` if it refuses, which it may for want of what stands at `path` only."""
    try:
        return read()
    except mc.MalformedResponseError as error:
        where = error.path
    assert where == path
    return None


@given(objects_of(SrmTask) | st.dictionaries(st.text(), any_json))
def test_reading_a_task_never_fails_but_for_its_id(payload: dict[str, Any]) -> None:
    info = unless_malformed(lambda: mapping.task_from(payload, raw=read_only(payload)), "id")
    if info is None:
        return
    assert info.id
    assert info.progress is None or 0 <= info.progress <= 100
    for moment in (info.queued_at, info.started_at, info.ended_at):
        assert moment is None or moment.utcoffset() == timedelta(0)
    assert (info.error is not None) is (info.status is mc.TaskStatus.ERROR)
    assert repr(info)


@given(objects_of(SrmPairing) | st.dictionaries(st.text(), any_json))
def test_reading_a_pairing_never_fails_but_for_its_id(payload: dict[str, Any]) -> None:
    found = unless_malformed(lambda: mapping.pairing_from(payload, raw=read_only(payload)), "pairing_id")
    assert found is None or (found.id and repr(found))


@given(st.dictionaries(st.sampled_from(["list", "_meta", "x"]), any_json), st.integers(0, 10**6))
def test_reading_a_page_never_fails_but_for_its_list(payload: dict[str, Any], offset: int) -> None:
    read = unless_malformed(lambda: mapping.page_from(payload, offset), "list")
    assert read is None or read[1] is None or read[1] > offset


@given(st.integers(300, 599), st.binary() | any_json.map(lambda value: json.dumps(value).encode()))
def test_reading_an_error_never_fails(status: int, body: bytes) -> None:
    error = mapping.error_from(Response(status=status, body=body))
    assert error.status == status
    assert str(error)


@given(objects_of(ResponseError), st.integers(400, 599))
def test_reading_a_documented_error_never_fails(body: dict[str, Any], status: int) -> None:
    assert str(mapping.error_from(Response(status=status, body=json.dumps(body).encode())))


@pytest.mark.parametrize(
    "cls",
    [SrmTask, SrmTaskError, SrmPairing, ServerInfo, X509Certificate, CertificateWarning, ResponseError, SrmPairingSpec],
)
def test_documented_fields_survive_reading_and_writing(cls: type) -> None:
    @given(documents_of(cls))
    def check(payload: dict[str, Any]) -> None:
        document: Any = decode(cls, payload)
        assert _without_nullable(encode(document), payload) == payload
        assert decode(cls, encode(document)) == document

    check()


def _without_nullable(written: Any, payload: Mapping[str, Any]) -> Any:
    """Leave out the ``"thumbprint": null`` that is sent where there is none."""
    peer = written.get("pair_psc_info")
    if peer and peer["thumbprint"] is None and "thumbprint" not in payload["pair_psc_info"]:
        return {**written, "pair_psc_info": {name: value for name, value in peer.items() if value is not None}}
    return written


@given(documents_of(PairPscInfo))
def test_a_thumbprint_is_always_sent(payload: dict[str, Any]) -> None:
    assert encode(decode(PairPscInfo, payload)) == {"thumbprint": None, **payload}


def test_faults_of_an_empty_specification() -> None:
    assert [fault.path for fault in faults_of(SrmPairingSpec())] == ["pair_psc_info", "pair_vc_guid"]


def test_unknown_words_of_a_server_are_kept() -> None:
    assert decode(ServerInfo, {"server_status": "PURPLE"}).server_status == "PURPLE"
