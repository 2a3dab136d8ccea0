"""What a manifest is checked for before anything of it is carried out, and what its orders are."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import migrate_core as mc
from fleet.manifests import FORMS, MACHINE, written
from migrate_core.fleet.manifest import Manifest, read_manifest
from migrate_core.fleet.models import Order
from migrate_core.operations import Operation
from migrate_core.testing import Simulator, new_simulator
from support import example

GUID = "7d0a7a4e-0c55-4a6c-9d5e-1f0f5c1b7a11"
SITE: Mapping[str, Any] = {
    "remote_url": "vc-b.example",
    "remote_username": "u",
    "remote_password": {"env": "PEER_PASSWORD"},
    "details": {"pair_vc_guid": GUID},
}
ALLOWED = {"allow_incomplete": True}
PROFILES = """\
[cloud]
provider = "huawei-sms"
endpoint = "https://sms.invalid"
access_key = "AK"
secret_key = { env = "CLOUD_SECRET_KEY" }

[dr]
provider = "vmware-srm"
endpoint = "https://srm.invalid"
username = "u"
password = { env = "DR_PASSWORD" }

[locked]
provider = "vmware-srm"
endpoint = "https://srm.invalid"
username = "u"
password = { env = "NOT_SET" }

[gone]
provider = "nobody"
"""


@pytest.fixture(autouse=True)
def _profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "profiles.toml"
    path.write_text(PROFILES, encoding="utf-8")
    path.chmod(0o600)
    secrets = {"CLOUD_SECRET_KEY": "SK", "DR_PASSWORD": "PW", "PEER_PASSWORD": "the secret"}
    for name, value in {"MIGRATE_PROFILES_FILE": str(path), **secrets}.items():
        monkeypatch.setenv(name, value)


def registering(**fields: Any) -> dict[str, Any]:
    return {"profile": "cloud", "operation": "register_source", "document": MACHINE, **fields}


def deleting(**fields: Any) -> dict[str, Any]:
    return {"profile": "dr", "operation": "delete_pairing", "id": "p-1", **fields}


def pairing(**document: Any) -> dict[str, Any]:
    return {"profile": "dr", "operation": "create_pairing", "document": {**SITE, **document}}


def read(folder: Path, *rows: Any) -> Manifest:
    return read_manifest(written("jsonl", rows, folder))


def orders_of(folder: Path, *rows: Any) -> list[Order]:
    return list(read(folder, *rows).orders())


def faults_of(folder: Path, *rows: Any) -> list[str]:
    with pytest.raises(mc.InvalidDocumentError) as raised:
        read(folder, *rows)
    assert pickle.loads(pickle.dumps(raised.value)).faults == raised.value.faults
    return [str(fault) for fault in raised.value.faults]


# A manifest without faults


def test_a_manifest_knows_what_it_asks_for(tmp_path: Path) -> None:
    manifest = read(tmp_path, registering(), deleting(), deleting(id="p-2"), pairing())
    assert (manifest.name, manifest.path, manifest.total) == ("fleet.jsonl", tmp_path / "fleet.jsonl", 4)
    assert manifest.counts == {
        ("cloud", "huawei_sms", Operation.REGISTER_SOURCE): 1,
        ("dr", "vmware_srm", Operation.DELETE_PAIRING): 2,
        ("dr", "vmware_srm", Operation.CREATE_PAIRING): 1,
    }


@pytest.fixture
def simulators() -> Mapping[str, Simulator]:
    return {"cloud": new_simulator("huawei_sms"), "dr": new_simulator("vmware_srm")}


def test_checking_sends_nothing_not_even_a_login(simulators: Mapping[str, Simulator], tmp_path: Path) -> None:
    clients = {name: mc.connect(simulator.name, **simulator.settings()) for name, simulator in simulators.items()}
    rows = [
        registering(),
        {"profile": "cloud", "operation": "describe_source", "id": "s-1"},
        {"profile": "cloud", "operation": "delete_source", "id": "s-1"},
        {"profile": "cloud", "operation": "unlock_target", "id": "r-1"},
        {"profile": "dr", "operation": "describe_pairing", "id": "p-1"},
        deleting(),
        pairing(),
    ]
    manifest = read_manifest(written("list", rows, tmp_path), clients=clients)
    assert len(list(manifest.orders())) == len(rows)
    assert [entry for simulator in simulators.values() for entry in simulator.journal] == []
    assert list(clients["dr"].pairings.list()) == []  # those that were lent are still open
    assert simulators["dr"].journal != []


def test_what_may_be_incomplete_is_checked_without_a_warning(tmp_path: Path) -> None:
    assert len(orders_of(tmp_path, registering())) == 1  # in a suite that makes errors of warnings


def test_an_order_is_what_its_row_says(tmp_path: Path) -> None:
    vendors = example("huawei_sms/register-request.json")
    first, second = orders_of(
        tmp_path,
        registering(key="mine", id=None, options=ALLOWED),
        registering(document=vendors, **{"as": "vendor"}, options=ALLOWED),
    )
    assert (first.line, first.profile, first.operation) == (1, "cloud", Operation.REGISTER_SOURCE)
    assert (first.subject, first.document, first.vendors_own) == (None, MACHINE, False)
    assert (first.options, first.key, first.about) == (ALLOWED, "mine", "web-1")
    assert first.source().facts.hostname == "web-1"
    assert (second.vendors_own, second.source().details, second.about) == (True, vendors, vendors["name"])


def test_a_document_may_be_in_a_file_beside_the_manifest(tmp_path: Path) -> None:
    (tmp_path / "machines").mkdir()
    (tmp_path / "machines" / "web-1.yaml").write_text(json.dumps(MACHINE), encoding="utf-8")
    (tmp_path / "site.json").write_text(json.dumps(SITE), encoding="utf-8")
    named = registering(document="machines/web-1.yaml"), {**pairing(), "document": "site.json"}
    inline = registering(), pairing()
    assert [order.document for order in orders_of(tmp_path, *named)] == [MACHINE, SITE]
    assert [order.key for order in orders_of(tmp_path, *named)] == [order.key for order in orders_of(tmp_path, *inline)]


# Keys


def test_a_key_depends_on_all_that_an_order_says_and_on_nothing_else(tmp_path: Path) -> None:
    other = {**MACHINE, "name": "web-2"}
    rows = [
        registering(),
        registering(document=other),
        registering(options={"allow_incomplete": True}),
        registering(document=example("huawei_sms/register-request.json"), **{"as": "vendor"}, options=ALLOWED),
        deleting(),
        deleting(id="p-2"),
        {**deleting(), "operation": "describe_pairing"},
    ]
    keys = [order.key for order in orders_of(tmp_path, *rows)]
    assert len(set(keys)) == len(rows)
    assert all(len(key) == 32 for key in keys)
    turned = [dict(reversed(row.items())) for row in reversed(rows)]
    assert [order.key for order in orders_of(tmp_path, *turned)] == keys[::-1]


def test_two_rows_that_say_the_same_need_keys(tmp_path: Path) -> None:
    same = {**deleting(), "operation": "delete-pairing"}
    assert faults_of(tmp_path, deleting(id="x"), deleting(), same, deleting()) == [
        "line 3: says the same as line 2; give each a key if both are meant",
        "line 4: says the same as line 2; give each a key if both are meant",
    ]
    assert len(orders_of(tmp_path, deleting(key="a"), deleting(key="b"), deleting())) == 3


def test_one_key_for_two_orders_is_a_fault(tmp_path: Path) -> None:
    assert faults_of(tmp_path, deleting(key="a"), deleting(id="p-2", key="a")) == ["line 2: key: line 1 has the same"]


# Faults of single rows

KNOWN = "there are: register_source, create_pairing, describe_source, delete_source, unlock_target, describe_pairing, "


@pytest.mark.parametrize(
    ("row", "faults"),
    [
        ({}, ["profile: is mandatory", f"operation: is mandatory; {KNOWN}delete_pairing"]),
        ([], ["is no object with some of the fields profile, operation, id, document, as, options, key"]),
        (
            deleting(operation="delete_pairings"),
            ["operation: is none that a manifest takes (did you mean 'delete_pair"],
        ),
        (deleting(operation="list_sources"), ["operation: is none that a manifest takes"]),
        (deleting(operation=5), ["operation: is not a text", "operation: is none that a manifest takes; there are"]),
        (deleting(ID="p"), ["ID: is no field of a row"]),
        (deleting(opts={}), ["opts: is no field of a row (did you mean 'options'?)"]),
        (deleting(id=None), ["id: is mandatory for delete_pairing"]),
        (deleting(id=7), ["id: is not a text"]),
        (deleting(id=""), ["id: is empty"]),
        (deleting(profile=""), ["profile: is empty"]),
        (deleting(document=dict(SITE)), ["document: is of no use for delete_pairing, which takes id"]),
        (deleting(**{"as": "vendor"}), ["as: is of no use for delete_pairing, which takes id"]),
        (deleting(options=[]), ["options: is not an object"]),
        (deleting(key="x" * 129), ["key: has more than 128 characters"]),
        (deleting(key="a\nb"), ["key: has more than 128 characters, or some that cannot be printed"]),
        (deleting(key="\ud800"), ["key: has more than 128 characters, or some that cannot be printed"]),
        (registering(id="s-1"), ["id: is of no use for register_source, which takes document"]),
        (registering(document=None), ["document: is mandatory for register_source"]),
        (registering(document=[]), ["document: is neither an object nor the name of a file with one"]),
        (registering(document=5), ["document: is neither an object nor the name of a file with one"]),
        (registering(document="nowhere.yaml"), ["document: there is no file '"]),
        (registering(document="nul\0"), ["document: there is no file '"]),
        (registering(document="x" * 5000), ["document: "]),
        (registering(document="profiles.toml"), ["document: profiles.toml is no "]),
        (registering(**{"as": "theirs"}), ["as: is not one of neutral, vendor"]),
        ({**pairing(), "as": "vendor"}, ["as: is not one of neutral"]),
        (deleting(id=".."), ["id: '..' cannot be an id"]),
        (deleting(id="a\0"), ["has the character NUL in it"]),
        (deleting(id="a\ud800"), ["has a number that is none, or half a character"]),
        (registering(document={**MACHINE, "name": "a\0b"}), ["has the character NUL in it"]),
        (
            registering(document={**MACHINE, "details": {"a\ud800": 1}}),
            ["has a number that is none, or half a charact"],
        ),
        (
            {**deleting(id="x" * 300), "profile": "cloud", "operation": "delete_source"},
            ["id: an id of Huawei Cloud SMS"],
        ),
        ({**deleting(), "profile": "cloud"}, ["operation: huawei_sms does not offer delete_pairing: "]),
        (deleting(options={"fast": True}), ["options: vmware_srm delete_pairing takes no option 'fast'"]),
        (registering(options={"fast": True}), ["options: huawei_sms register_source takes no option 'fast'"]),
        (registering(document={"nam": "a"}), ["nam: is no field of SourceSpec", "name: is mandatory"]),
        (
            registering(document={**MACHINE, "facts": {"disks": [{"name": "a", "size_bytes": "1"}]}}),
            ["facts.disks[0].size_bytes: is not an integer"],
        ),
        (registering(document={"name": "a", "details": {"nope": 1}}), ["nope: is no field of SourceDocument"]),
        (registering(document={"nope": 1}, **{"as": "vendor"}), ["nope: is no field of SourceDocument"]),
        (
            registering(document={**MACHINE, "external_id": "e"}),
            ["options: huawei_sms register_source takes no option"],
        ),
        (pairing(details={"pair_vc_guid": GUID, "port": 1}), ["port: is no field of SrmPairingSpec"]),
        (pairing(details={}), ["pair_vc_guid: is mandatory"]),
        (pairing(remote_password={"env": "NOT_SET"}), ["remote_password: the environment has no variable NOT_SET"]),
    ],
    ids=lambda value: json.dumps(value)[:60],
)
def test_a_wrong_row_is_told_by_its_line_with_all_that_is_wrong(row: Any, faults: list[str], tmp_path: Path) -> None:
    found = faults_of(tmp_path, deleting(id="first"), row)
    assert len(found) == len(faults), found
    assert [text[: len("line 2: ") + len(wanted)] for text, wanted in zip(found, faults, strict=True)] == [
        f"line 2: {wanted}" for wanted in faults
    ]


def test_a_value_that_json_cannot_write_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_text("{profile: cloud, operation: register-source, document: {name: a, details: {x: .nan}}}", "utf-8")
    with pytest.raises(mc.InvalidDocumentError, match="line 1: has a number that is none"):
        read_manifest(path)


def test_a_text_with_a_backslash_before_zeros_is_no_nul(tmp_path: Path) -> None:
    machine = {**MACHINE, "name": "a\\u0000"}
    (order,) = orders_of(tmp_path, registering(document=machine))
    assert order.document == machine


@pytest.mark.parametrize(
    ("depth", "said"),
    [
        (90, "line 1: disks"),
        (120, "line 1: is nested deeper than 100 levels"),
        (900, "line 1: "),
        (2_000, "line 1: is no"),
    ],
)
def test_what_is_nested_deeply_is_refused_and_nothing_worse(depth: int, said: str, tmp_path: Path) -> None:
    text = json.dumps(registering(document={**MACHINE, "details": {"disks": "HERE"}}))
    for ending in (".jsonl", ".json", ".yaml"):
        path = tmp_path / f"deep{ending}"
        nested = text.replace('"HERE"', "[" * depth + "]" * depth)
        path.write_text(f"[{nested}]" if ending == ".json" else nested, encoding="utf-8")
        with pytest.raises(mc.InvalidDocumentError, match=said):
            read_manifest(path)


def test_the_faults_of_all_rows_are_told_and_of_very_many_how_many_more_there_are(tmp_path: Path) -> None:
    found = faults_of(tmp_path, *[deleting(id="", key=str(number)) for number in range(500)])
    assert found[:2] == ["line 1: id: is empty", "line 2: id: is empty"]
    assert found[299:] == ["line 300: id: is empty", "and 200 more"]


# Profiles


def test_a_profile_that_cannot_be_used_is_told_once_with_its_first_line(tmp_path: Path) -> None:
    rows = [
        deleting(),
        *({**deleting(id=f"{name}-{n}"), "profile": name} for n in "ab" for name in ("locked", "gone", "no")),
    ]
    found = faults_of(tmp_path, *rows, {**deleting(id=""), "profile": "locked"})
    assert found[0] == "line 2: profile: profile 'locked': password: the environment has no variable NOT_SET"
    assert found[1] == "line 3: profile: no provider is called 'nobody'; installed are: aws_mgn, huawei_sms, vmware_srm"
    assert found[2].endswith("profiles.toml has no profile 'no'; it has: cloud, dr, locked, gone")
    assert found[3:] == ["line 8: id: is empty"]


# Secrets

SECRET = "hunter2-and-more"


@pytest.mark.parametrize(
    ("row", "path"),
    [
        (pairing(remote_password=SECRET), "remote_password"),
        (
            pairing(details={"pair_vc_guid": GUID, "pair_psc_info": {"password": SECRET}}),
            "details.pair_psc_info.password",
        ),
        (pairing(details={"credentials": [SECRET]}), "details.credentials[0]"),
        (pairing(details={"credentials": [{"name": "n", "secret": SECRET}]}), "details.credentials[0].secret"),
        (registering(document={"name": "a", "details": {"apiToken": SECRET}}), "details.apiToken"),
        (registering(document={"name": "a", "private_key": SECRET}, **{"as": "vendor"}), "private_key"),
        (registering(options={"token": SECRET}), "options.token"),
    ],
    ids=lambda value: str(value)[-50:],
)
def test_a_secret_that_stands_in_a_manifest_is_a_fault_that_does_not_repeat_it(
    row: Any, path: str, tmp_path: Path
) -> None:
    found = faults_of(tmp_path, row, {**row, "speed": 9})
    where = f"{path}: is a secret; a manifest only says where one is, such as {{env: NAME}}"
    assert found == [f"line 1: {where}", "line 2: speed: is no field of a row", f"line 2: {where}"]
    assert SECRET not in str(found)


def test_a_refused_secret_is_in_no_variable_that_a_crash_reporter_writes_down(tmp_path: Path) -> None:
    path = written("jsonl", [pairing(remote_password=SECRET)], tmp_path)
    with pytest.raises(mc.InvalidDocumentError) as raised:
        read_manifest(path)
    frames = [entry.frame.f_locals for entry in raised.traceback[1:]]
    assert len(frames) > 2
    assert SECRET not in repr(frames)


@pytest.mark.parametrize("value", [{"literal": SECRET}, {"env": "A", "x": SECRET}, [[SECRET]], 123456789, True])
def test_what_is_no_reference_is_refused_without_repeating_it(value: Any, tmp_path: Path) -> None:
    found = faults_of(tmp_path, pairing(remote_password=value))
    assert found[0].startswith("line 1: remote_password")
    assert SECRET not in str(found)
    assert "123456789" not in str(found)


def test_a_manifest_runs_no_command(tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    found = faults_of(tmp_path, pairing(remote_password={"command": ["touch", str(proof)]}))
    assert found == ["line 1: remote_password: is to be fetched by a command, and a manifest runs none"]
    assert not proof.exists()


def test_an_order_keeps_the_reference_and_not_the_secret(tmp_path: Path) -> None:
    (order,) = orders_of(tmp_path, pairing())
    assert order.document == SITE
    assert "the secret" not in repr(order)
    assert order.pairing().remote_password == "the secret"


# The file


def test_a_manifest_that_was_changed_is_noticed_at_its_end_at_the_latest(tmp_path: Path) -> None:
    manifest = read(tmp_path, deleting(), deleting(id="p-2"))
    for text in (deleting(), deleting(id="p-3")), (deleting(), deleting(id="")), (deleting(),):
        written("jsonl", text, tmp_path)
        with pytest.raises(mc.InvalidArgumentError, match=r"fleet\.jsonl was changed after it was checked"):
            list(manifest.orders())
    written("jsonl", (deleting(), deleting(id="p-2")), tmp_path)
    assert len(list(manifest.orders())) == 2


def test_a_changed_document_is_a_changed_manifest(tmp_path: Path) -> None:
    document = tmp_path / "machine.json"
    document.write_text(json.dumps(MACHINE), encoding="utf-8")
    row = registering(document="machine.json", key="one")
    manifest = read(tmp_path, row)
    document.write_text(json.dumps({**MACHINE, "name": "web-2"}), encoding="utf-8")
    assert read(tmp_path, row).digest != manifest.digest
    for _ in range(2):
        with pytest.raises(mc.InvalidArgumentError, match="was changed after it was checked"):
            list(manifest.orders())
        document.unlink(missing_ok=True)


@pytest.mark.parametrize("form", FORMS)
def test_the_digest_is_that_of_the_whole_file(form: str, tmp_path: Path) -> None:
    rows = [deleting(id=f"p-{number}") for number in range(3_000)]
    path = written(form, rows, tmp_path)
    content = path.read_bytes() + b"\n" * 200_000
    path.write_bytes(content)
    assert read_manifest(path).digest == hashlib.sha256(content).hexdigest()


def test_what_is_no_file_of_a_manifest_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.json").mkdir()
    for name in ("pipe.csv", "folder.json", "nothing.yaml"):
        with pytest.raises(mc.InvalidArgumentError, match=f"there is no file '.*{name}'"):
            read_manifest(tmp_path / name)
    with pytest.raises(mc.InvalidArgumentError, match=r"endings of manifests are \.yaml, \.yml, \.json, \.jsonl, "):
        read_manifest(tmp_path / "fleet.xlsx")


def test_only_a_manifest_in_yaml_loads_the_library_that_reads_it(tmp_path: Path) -> None:
    code = """
import sys
from migrate_core.fleet.manifest import read_manifest
read_manifest(sys.argv[1])
print(*sys.modules)
"""
    path = str(written("jsonl", [deleting()], tmp_path))
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert "migrate_core.fleet.manifest" in done.stdout.split()
    assert {"yaml", "dbos", "sqlalchemy"}.isdisjoint(done.stdout.split())
