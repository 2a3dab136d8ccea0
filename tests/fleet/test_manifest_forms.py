"""The forms of a manifest: all say the same, and what cannot be read is told by its line, whatever it is."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import migrate_core as mc
from fleet.manifests import FORMS, MACHINE, lines_of, said_by, written
from migrate_core.fleet.manifest import Manifest, read_manifest
from migrate_core.fleet.models import Order
from migrate_core.operations import Operation
from migrate_core.testing import new_simulator

SIMULATORS = {"cloud": new_simulator("huawei_sms"), "dr": new_simulator("vmware_srm")}
CLIENTS = {name: mc.connect(simulator.name, **simulator.settings()) for name, simulator in SIMULATORS.items()}


@pytest.fixture(autouse=True, scope="module")
def _nothing_is_sent() -> Iterator[None]:
    yield
    assert [entry for simulator in SIMULATORS.values() for entry in simulator.journal] == []


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def checked(path: Path) -> Manifest:
    return read_manifest(path, clients=CLIENTS)


def faults_of(path: Path) -> list[str]:
    """Give the faults of a manifest, in words."""
    with pytest.raises(mc.InvalidDocumentError) as raised:
        checked(path)
    return [str(fault) for fault in raised.value.faults]


def faults_in(ending: str, text: str | bytes, folder: Path) -> list[str]:
    path = folder / f"fleet{ending}"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return faults_of(path)


# What is read

words = st.text("aä€😀 '\",;:#&*!|>-{}[]%@`\n\t0.\\", min_size=1, max_size=12).filter(lambda text: text == text.strip())
plain_words = st.text("abcXYZ-_.0123456789äß", min_size=1, max_size=12).filter(lambda text: text.strip("."))
described = st.fixed_dictionaries(
    {"profile": st.just("dr"), "operation": st.sampled_from(["describe_pairing", "delete-pairing"]), "id": plain_words}
)
registered = st.fixed_dictionaries(
    {
        "profile": st.just("cloud"),
        "operation": st.sampled_from(["register_source", "register-source"]),
        "document": st.fixed_dictionaries(
            {
                "name": words,
                "facts": st.fixed_dictionaries(
                    {"hostname": words, "os_name": st.just("UBUNTU22_4_64BIT"), "cpu_count": st.integers(1, 64)},
                    optional={"os_family": st.sampled_from(["linux", "windows"])},
                ),
                "details": st.fixed_dictionaries({"has_rsync": st.booleans(), "agent_version": plain_words}),
            }
        ),
        "options": st.just({"allow_incomplete": True}),
    },
)
rows_of_all_kinds = st.lists(described | registered, min_size=1, max_size=6)


def _keyed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "key": f"k-{number}"} for number, row in enumerate(rows)]


@settings(max_examples=30)
@given(rows=rows_of_all_kinds.map(_keyed))
def test_all_forms_of_a_manifest_give_the_same_orders(rows: list[dict[str, Any]], folder: Path) -> None:
    wanted = [
        {
            "profile": row["profile"],
            "operation": Operation(row["operation"].replace("-", "_")),
            "subject": row.get("id"),
            "document": row.get("document"),
            "vendors_own": False,
            "options": row.get("options", {}),
            "key": row["key"],
        }
        for row in rows
    ]
    for form in FORMS:
        manifest = checked(written(form, rows, folder))
        orders = list(manifest.orders())
        assert [said_by(order) for order in orders] == wanted, form
        assert [order.line in lines for order, lines in zip(orders, lines_of(form, rows), strict=True)], form
        assert manifest.total == sum(manifest.counts.values()) == len(rows)


@pytest.mark.parametrize("form", FORMS)
def test_a_row_has_the_same_key_in_every_form_and_every_release(form: str, tmp_path: Path) -> None:
    row = {"profile": "cloud", "operation": "register_source", "document": MACHINE}
    (order,) = checked(written(form, [row], tmp_path)).orders()
    assert order.key == "255af0d999317e7c78ca0c92bd5df90e"


@settings(max_examples=30)
@given(rows=rows_of_all_kinds.map(_keyed), data=st.data())
def test_a_fault_is_told_with_the_line_of_its_row(
    rows: list[dict[str, Any]], data: st.DataObject, folder: Path
) -> None:
    number = data.draw(st.integers(0, len(rows) - 1))
    wrong = data.draw(st.sampled_from([{"operation": "delete_everything"}, {"speed": "9"}, {"key": "\x01"}]))
    rows[number] = {**rows[number], **wrong}
    for form in FORMS:
        (fault, *more) = faults_of(written(form, rows, folder))
        line = re.match(r"line (\d+)(?:: |$)", fault)
        assert line, fault
        in_header = form == "csv" and "speed" in wrong  # a column
        assert int(line[1]) in (range(1, 2) if in_header else lines_of(form, rows)[number]), (form, fault)
        assert more == []


def test_rows_on_one_line_are_told_apart_by_their_number(tmp_path: Path) -> None:
    row = {"profile": "dr", "operation": "describe_pairing"}
    rows = [{**row, "id": "a"}, {**row, "id": ""}, {**row, "id": "c"}]
    assert faults_in(".json", json.dumps(rows), tmp_path) == ["line 1, row 2: id: is empty"]


def test_yaml_may_mix_lists_and_documents(tmp_path: Path) -> None:
    row = "{profile: dr, operation: describe_pairing, id: "
    text = f"# a fleet\n---\n- {row}a}}\n- {row}b}}\n---\n{row}c}}\n---\n...\n"
    (tmp_path / "fleet.yaml").write_text(text, encoding="utf-8")
    orders = list(checked(tmp_path / "fleet.yaml").orders())
    assert [(order.line, order.subject) for order in orders] == [(3, "a"), (4, "b"), (6, "c")]


# What cannot be read

ROW = "profile: dr, operation: describe_pairing"


@pytest.mark.parametrize(
    ("ending", "text", "faults"),
    [
        (".yaml", "", ["there are no orders in it"]),
        (".yaml", "# nothing\n---\n", ["there are no orders in it"]),
        (".yaml", "- 5\n", ["line 1: is no object with some of the fields profile, operation, id, document, as, opt"]),
        (
            ".yaml",
            f"- {{{ROW}, id: a, id: b}}\n- {{{ROW}, id: &x c}}\n- {{{ROW}, id: *x}}\n- {{{ROW}, id: !local d}}\n- 5\n",
            [
                "line 1: is no YAML: 'id' twice at column",
                "line 3: is no YAML: an alias at column",
                "line 4: is no YAML: a tag at column",
                "line 5: is no object",
            ],
        ),
        (".yaml", f"- {{{ROW}, ? [a] : b}}\n- 5\n", ["line 1: is no YAML: a key that is no text", "line 2: is no o"]),
        (".yaml", f"- {{{ROW}, id: a}}\n- {{{ROW}, id: !!set {{a, b}}}}\n", ["line 2: is no usable YAML: TypeError"]),
        (".yaml", f"- {{{ROW}, id: a}}\n- {{{ROW}, id: b\n- x: [\n", ["line 3: is no YAML: did not find expected"]),
        (".yaml", "!ours\n- 5\n", ["line 1: is no YAML: a tag at column 1"]),
        (".yaml", "- " + "[" * 5000, ["line 1: is no"]),
        (".yaml", f"- {{{ROW}, id: {'9' * 5000}}}", ["line 1: is no usable YAML: ValueError"]),
        (".yaml", f"- {{{ROW}, id: 5}}\n", ["line 1: id: is not a text"]),
        (".json", "", ["line 1: is no JSON: a manifest in JSON is an array"]),
        (".json", "{}", ["line 1: is no JSON: a manifest in JSON is an array"]),
        (".json", "[]", ["there are no orders in it"]),
        (
            ".json",
            "\n[\n5,\n6",
            ["line 3: is no object", "line 4: is no object", "line 4, row 3: is no JSON: Expecting ',' or"],
        ),
        (".json", "[5,]", ["line 1: is no object", "line 1, row 2: is no JSON: Expecting value at character 4"]),
        (".json", "[5 6]", ["line 1: is no object", "line 1, row 2: is no JSON: Expecting ',' or ']'"]),
        (".json", "[5]\n\n[6]", ["line 1: is no object", "line 3: is no JSON: Extra data"]),
        (".json", '[\n{"a":\n[nope]}]', ["line 3: is no JSON: Expecting value at character 10"]),
        (".json", '[{"a": 1, "a": 2},\n5]', ["line 1: is no usable JSON: 'a' stands twice", "line 2: is no object"]),
        (
            ".json",
            '[{"a": NaN},\n{"b": -Infinity}]',
            ["line 1: is no usable JSON: it holds NaN", "line 2: is no usable"],
        ),
        (".json", "[" * 100_000, ["line 1: is no JSON: maximum recursion depth"]),
        (".json", f"[{'9' * 5000}]", ["line 1: is no JSON: Exceeds the limit"]),
        (".json", '["' + "x" * (1 << 21) + '"]', ["line 1: is no JSON: a row is longer than 1048576 characters"]),
        (".json", "[" + " " * 70_000 + "\n5]", ["line 2: is no object"]),
        (".json", "[" + " " * 65_533 + "12345]", ["line 1: is no object"]),  # a piece that is read ends after the 2
        (
            ".jsonl",
            '\n{"a": 1, "a": 2}\n{"a": NaN}\n{"a"}\n[]\n{} {}\n',
            [
                "line 2: is no usable JSON: 'a' stands twice in one object",
                "line 3: is no usable JSON: it holds NaN",
                "line 4: is no JSON: Expecting ':' delimiter at column 5",
                "line 5: is no object",
                "line 6: is no JSON: Extra data at column 4",
            ],
        ),
        (".jsonl", "[" * 100_000, ["line 1: is no usable JSON: maximum recursion depth"]),
        (".jsonl", "x" * (1 << 21), ["line 1: is longer than 1048576 characters"]),
        (".csv", "", ["there are no orders in it"]),
        (".csv", "\n", ["there are no orders in it"]),
        (".csv", "profile,operation,id\n", ["there are no orders in it"]),
        (
            ".csv",
            "profile,operaton,id,,id,document.,key.x,options.a[0].b,document\n",
            [
                "line 1: 'operaton' is no column (did you mean 'operation'?); column 4 has no name; column 'id' stands "
                "twice; 'document.' is no column (did you mean 'document'?); 'key.x' is no column"
            ],
        ),
        (".csv", "profile,id\na\n\na,b,c\n", ["line 2: has 1 cells, and the first line has 2", "line 4: has 3 cells"]),
        (
            ".csv",
            'profile,id\n"a\n\nb",c,d\n,\nd,e"\n"f',
            ["line 2: has 3 cells", "line 6: operation: is mandatory", "line 7: is no CSV: "],
        ),
        (".csv", 'profile,id\na,"' + "x" * 140_000 + '"\n', ["line 2: is no CSV: field larger than field limit"]),
        (
            ".csv",
            "profile,operation,document,document.name\ndr,create_pairing,site.yaml,b\n",
            ["line 2: says twice what document is"],
        ),
        (
            ".csv",
            "profile,operation,document.a,document.a.b\ndr,create_pairing,1,2\n",
            ["line 2: says twice what a is"],
        ),
        (
            ".csv",
            "profile,operation,document.a.b,document.a\ndr,create_pairing,1,2\n",
            ["line 2: says twice what a is"],
        ),
        (
            ".csv",
            "profile,operation,document.a[0],document.a.b\ndr,create_pairing,1,2\n",
            ["line 2: says twice what b is"],
        ),
        (".yaml", b"- 5\n- \xff\n", ["line 2: is no text in UTF-8"]),
        (".json", b"[5,\n\n\xff]", ["line 3: is no text in UTF-8"]),
        (".jsonl", b"\n" * 100_000 + b"\xc3", ["line 100001: is no text in UTF-8"]),
        (".csv", "profile\nMünchen\n".encode("cp1252"), ["line 2: is no text in UTF-8"]),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_cannot_be_read_is_told_by_its_line(
    ending: str, text: str | bytes, faults: list[str], tmp_path: Path
) -> None:
    found = faults_in(ending, text, tmp_path)
    assert len(found) == len(faults), found
    assert [fault[: len(wanted)] for fault, wanted in zip(found, faults, strict=True)] == faults


endings = st.sampled_from([".yaml", ".json", ".jsonl", ".csv"])
GOOD = {ending: form for form, ending in zip(FORMS, [".yaml", ".yml", ".json", ".jsonl", ".csv"], strict=True)}


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, bytes]:
    """Draw a manifest with some of its bytes replaced, or any bytes."""
    ending = draw(endings)
    if draw(st.booleans()):
        return ending, draw(st.binary(max_size=200))
    with tempfile.TemporaryDirectory() as name:
        rows = _keyed([{"profile": "cloud", "operation": "register_source", "document": dict(MACHINE)}] * 2)
        text = written(GOOD[ending], rows, Path(name)).read_bytes()
    at = draw(st.integers(0, len(text)))
    return ending, text[:at] + draw(st.binary(max_size=6)) + text[at + draw(st.integers(0, 20)) :]


@settings(max_examples=150)
@given(manifest=damaged())
def test_any_bytes_are_a_manifest_or_refused_with_our_errors(manifest: tuple[str, bytes], folder: Path) -> None:
    ending, content = manifest
    path = folder / f"any{ending}"
    path.write_bytes(content)
    try:
        orders = list(checked(path).orders())
    except mc.InvalidArgumentError:
        return
    assert all(isinstance(order, Order) for order in orders)


# Spreadsheets


def orders_in(text: str, folder: Path, ending: str = ".csv") -> list[Order]:
    path = folder / f"fleet{ending}"
    path.write_bytes(text.encode())
    return list(checked(path).orders())


@pytest.mark.parametrize("divided_by", [",", ";", "\t"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_spreadsheet_is_read_however_it_was_exported(divided_by: str, line_end: str, tmp_path: Path) -> None:
    cells = [
        ["profile", " operation", "id"],
        ["dr", "describe_pairing ", " p-1 "],
        ["", "", ""],
        [],
        ["dr", "describe_pairing", "2"],
    ]
    text = "\ufeff" + line_end.join(divided_by.join(row) for row in cells)
    assert [(order.line, order.subject) for order in orders_in(text, tmp_path)] == [(2, "p-1"), (5, "2")]


def test_a_row_of_a_spreadsheet_begins_where_its_first_cell_does(tmp_path: Path) -> None:
    text = 'profile,operation,id,key\ndr,describe_pairing,a,"k\n\n1"\ndr,describe_pairing,b,"k\x01"\n'
    assert [fault[:12] for fault in faults_in(".csv", text, tmp_path)] == ["line 2: key:", "line 5: key:"]


def test_cells_are_what_their_fields_declare(tmp_path: Path) -> None:
    cells = {
        "profile": "cloud",
        "operation": "register_source",
        "document.name": "007",
        "document.facts.os_name": "true",
        "document.facts.cpu_count": "2",
        "document.facts.disks[1].name": "/dev/vdb",
        "document.facts.disks[0].name": "/dev/vda",
        "document.facts.disks[0].is_boot": "TRUE",
        "document.facts.disks[0].size_bytes": "1024",
        "document.facts.disks[0].used_bytes": "1",
        "document.facts.disks[1].size_bytes": "4096",
        "document.facts.disks[1].used_bytes": "0",
        "document.facts.nics[0].addresses": "[192.0.2.1]",
        "document.details.has_rsync": "False",
        "document.details.agent_version": "25.2",
        "document.details.volume_groups": "[]",
        "document.details.raw_devices": '""',
        "document.details.networks": "{half",
        "options.allow_incomplete": "true",
    }
    found = faults_in(".csv", _sheet(cells), tmp_path)
    assert found[0] == "line 2: facts.nics[0].addresses: is not a list"
    cells["document.facts.nics[0].addresses"] = '["192.0.2.1"]'
    assert faults_in(".csv", _sheet(cells), tmp_path) == ["line 2: networks: is not a list of objects"]
    del cells["document.details.networks"], cells["document.facts.nics[0].addresses"]
    (order,) = orders_in(_sheet(cells), tmp_path)
    assert order.document == {
        "name": "007",
        "facts": {
            "os_name": "true",
            "cpu_count": 2,
            "disks": [
                {"name": "/dev/vda", "is_boot": True, "size_bytes": 1024, "used_bytes": 1},
                {"name": "/dev/vdb", "size_bytes": 4096, "used_bytes": 0},
            ],
        },
        "details": {"has_rsync": False, "agent_version": "25.2", "volume_groups": [], "raw_devices": ""},
    }
    assert order.options == {"allow_incomplete": True}


def test_a_number_that_is_none_is_a_fault_of_its_field(tmp_path: Path) -> None:
    cells = {
        "profile": "cloud",
        "operation": "register_source",
        "document.name": "a",
        "document.facts.cpu_count": "2e0",
    }
    assert faults_in(".csv", _sheet(cells), tmp_path) == ["line 2: facts.cpu_count: is not an integer"]


def test_a_spreadsheet_says_where_a_secret_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEER_PASSWORD", "the secret")
    cells = {
        "profile": "dr",
        "operation": "create_pairing",
        "document.remote_url": "vc-b.example",
        "document.remote_username": "u",
        "document.remote_password.env": "PEER_PASSWORD",
        "document.details.pair_vc_guid": "7d0a7a4e-0c55-4a6c-9d5e-1f0f5c1b7a11",
    }
    (order,) = orders_in(_sheet(cells), tmp_path)
    assert order.document is not None
    assert order.document["remote_password"] == {"env": "PEER_PASSWORD"}


def _sheet(cells: Mapping[str, str]) -> str:
    def quoted(text: str) -> str:
        return '"' + text.replace('"', '""') + '"'

    return f"{','.join(cells)}\n{','.join(map(quoted, cells.values()))}\n"


# Size

PEAKS = r"""
import json, re, sys
import migrate_core as mc
from migrate_core.fleet.manifest import read_manifest
client = mc.connect("vmware_srm", endpoint="https://srm.invalid", username="u", password="p")
peaks = []
for path in sys.argv[1:]:
    total = read_manifest(path, clients={"dr": client}).total
    peaks.append((total, int(re.search(r"VmHWM:\s*(\d+) kB", open("/proc/self/status").read())[1])))
print(json.dumps(peaks))
"""
ROWS = {
    ".yaml": ("", "- {profile: dr, operation: describe_pairing, id: 'ID'}\n", ""),
    ".json": ("[5", ',{"profile": "dr", "operation": "describe_pairing", "id": "ID"}', "]"),
    ".jsonl": ("", '{"profile": "dr", "operation": "describe_pairing", "id": "ID"}\n', ""),
    ".csv": ("profile,operation,id\n", "dr,describe_pairing,ID\n", ""),
}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read where Linux tells it")
def test_six_times_the_rows_take_no_more_memory_than_their_keys(folder: Path) -> None:
    """Rows of 1 KB: the file is never held, and of a row no more than its line and 16 bytes."""
    paths = [
        _big(folder / f"{count}{ending}", count, *rows) for count in (2_000, 12_000) for ending, rows in ROWS.items()
    ]
    done = subprocess.run([sys.executable, "-c", PEAKS, *paths], capture_output=True, text=True, check=True)
    counts, peaks = zip(*json.loads(done.stdout), strict=True)
    assert counts == (*[2_000] * 4, *[12_000] * 4)
    grown = (peaks[-1] - peaks[3]) / 1024
    assert grown < 5, f"{grown} MiB more for 10,000 rows of 1 KB"


def _big(path: Path, count: int, before: str, row: str, after: str) -> str:
    rows = (row.replace("ID", f"{number:0>900}") for number in range(count))
    path.write_text("".join([before, *rows, after]).replace("[5,", "["), encoding="utf-8")
    return str(path)
