"""What is printed, in each format: one object, a list, nothing at all, a query's pick, and a vendor's worst."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import yaml

import migrate_core as mc
import migrate_core.cli.app as app_module
from cli.place import Place
from cli.support import COMMAND, ESCAPE, environment, in_pipe, in_process, on_terminal

FORMATS = ("table", "json", "yaml", "jsonl", "id")
_NOBODY_LISTENS = f"{ESCAPE}]0;owned\x07{ESCAPE}[31mred\x9b2J\r\u202eoverwritten\x00"


def json_lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


READERS: dict[str, Callable[[str], Any]] = {"json": json.loads, "yaml": yaml.safe_load, "jsonl": json_lines}


@pytest.fixture
def sources(place: Place) -> list[str]:
    return place.sms.add_sources(2)


@pytest.mark.parametrize("form", READERS)
def test_one_object_is_the_same_in_every_format_that_a_program_reads(
    form: str, place: Place, sources: list[str]
) -> None:
    ended = in_process("source", "describe", sources[0], "--profile", "cloud", "-o", form)
    assert (ended.code, ended.err) == (0, "")
    read = READERS[form](ended.out)
    found = read[0] if form == "jsonl" else read
    assert (found["version"], found["kind"], found["id"], found["name"]) == (1, "SourceServer", sources[0], "host-0")


@pytest.mark.parametrize("form", READERS)
def test_a_list_is_the_same_in_every_format_that_a_program_reads(form: str, place: Place, sources: list[str]) -> None:
    ended = in_process("source", "list", "--profile", "cloud", "-o", form)
    assert (ended.code, ended.err) == (0, "")
    assert [(found["kind"], found["id"]) for found in READERS[form](ended.out)] == [
        ("SourceServer", source_id) for source_id in sources
    ]


def test_ids_stand_alone_one_to_a_line(place: Place, sources: list[str]) -> None:
    assert in_process("source", "list", "--profile", "cloud", "-o", "id").out.splitlines() == sources
    assert in_process("source", "describe", sources[0], "--profile", "cloud", "-o", "id").out == f"{sources[0]}\n"


def test_a_table_has_a_heading_and_a_line_for_each(place: Place, sources: list[str]) -> None:
    heading, *lines = in_process("source", "list", "--profile", "cloud").out.splitlines()
    assert heading.split()[:3] == ["ID", "NAME", "STAGE"]
    assert [line.split()[:2] for line in lines] == [[sources[0], "host-0"], [sources[1], "host-1"]]


def test_the_table_of_one_object_shows_its_parts(place: Place, sources: list[str]) -> None:
    page = in_process("source", "describe", sources[0], "--profile", "cloud").out
    assert page.splitlines()[0].split() == ["id", sources[0]]
    assert "\nReadiness checks\nCHECK" in page
    assert "\nDisks\n" not in page


@pytest.mark.parametrize(("form", "said"), [("json", "[]\n"), ("yaml", "[]\n"), ("jsonl", ""), ("id", "")])
@pytest.mark.parametrize("words", [("source", "--profile", "cloud"), ("pairing", "--profile", "dr"), ("profile",)])
def test_an_empty_list_is_empty_in_each_format(form: str, said: str, words: tuple[str, ...], place: Place) -> None:
    noun, *options = words
    if noun == "profile":
        in_process("profile", "remove", "cloud", "--yes")
        in_process("profile", "remove", "dr", "--yes")
    ended = in_process(noun, "list", *options, "-o", form)
    assert (ended.code, ended.out, ended.err) == (0, said, "")


def test_an_empty_list_is_just_the_heading_in_a_table(place: Place) -> None:
    ended = in_process("task", "list", "--profile", "dr")
    assert ended.out.split() == ["ID", "OPERATION", "STATUS", "PROGRESS", "OBJECT", "ERROR"]


@pytest.mark.parametrize(
    ("query", "form", "said"),
    [
        ("[].name", "table", "host-0\nhost-1\n"),
        ("[].name", "id", "host-0\nhost-1\n"),
        ("[].name", "jsonl", '"host-0"\n"host-1"\n'),
        ("[].name", "json", '[\n  "host-0",\n  "host-1"\n]\n'),
        ("[].name", "yaml", "- host-0\n- host-1\n"),
        ("[?name=='host-1'] | [0].stage", "table", "not_ready\n"),
        ("[].{name: name, up: connected}", "table", "NAME    UP\nhost-0  no\nhost-1  no\n"),
        ("length(@)", "table", "2\n"),
        ("[].nothing", "json", "[]\n"),
        ("[].nothing", "table", ""),
        ("nothing", "json", "null\n"),
        ("nothing", "yaml", "null\n"),
        ("nothing", "jsonl", ""),
        ("nothing", "table", ""),
        ("nothing", "id", ""),
        ("[0].facts.disks", "table", ""),
        ("[0].[name, connected]", "table", "host-0\nno\n"),
        (
            "[0].{a: [name, provider], b: {c: name}}",
            "table",
            'A                   B\nhost-0, huawei_sms  {"c": "host-0"}\n',
        ),
    ],
)
def test_a_query_picks_and_the_format_says_how_it_is_printed(
    query: str, form: str, said: str, place: Place, sources: list[str]
) -> None:
    ended = in_process("source", "list", "--profile", "cloud", "--query", query, "-o", form)
    assert (ended.code, ended.out, ended.err) == (0, said, "")


def test_a_query_also_picks_from_one_object(place: Place, sources: list[str]) -> None:
    query = "checks[?result=='ok'].name | [1]"
    assert in_process("source", "describe", sources[0], "--profile", "cloud", "--query", query).out == "FREE_SPACE\n"


@pytest.mark.parametrize("query", ["[", "", "[?", "foo(@)bar"])
def test_a_query_that_is_none_is_refused_before_anything_is_changed(
    query: str, place: Place, sources: list[str]
) -> None:
    ended = in_process("source", "delete", sources[0], "--profile", "cloud", "--yes", "--query", query)
    assert (ended.code, ended.out) == (2, "")
    assert "--query" in ended.err
    assert place.sms.journal == []


@pytest.mark.parametrize("query", ["length(`1`)", "sort_by(@, &connected)", "[0].name > `0`"])
def test_a_query_that_cannot_be_answered_is_bad_usage(query: str, place: Place, sources: list[str]) -> None:
    ended = in_process("source", "list", "--profile", "cloud", "--query", query)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("migratectl: --query ")
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("words", [("list",), ("describe", "ID"), ("list", "--query", "[].name")], ids=" ".join)
def test_a_vendors_text_does_not_steer_the_terminal(
    form: str, words: tuple[str, ...], place: Place, sources: list[str]
) -> None:
    place.sms.change(sources[0], name=_NOBODY_LISTENS)
    words = tuple(sources[0] if word == "ID" else word for word in words)
    ended = in_process("source", *words, "--profile", "cloud", "-o", form)
    assert ended.code == 0
    assert ended.out
    assert {sign for sign in ended.out if not sign.isprintable()} <= {"\n"}


@pytest.mark.parametrize("form", READERS)
def test_a_vendors_text_is_read_as_it_was_said(form: str, place: Place, sources: list[str]) -> None:
    place.sms.change(sources[0], name=_NOBODY_LISTENS)
    ended = in_process("source", "list", "--profile", "cloud", "-o", form)
    assert READERS[form](ended.out)[0]["name"] == _NOBODY_LISTENS


def test_a_vendors_error_does_not_steer_the_terminal(place: Place) -> None:
    body = json.dumps({"error_code": "SMS.1", "error_msg": _NOBODY_LISTENS})
    place.sms.faults.answer(400, body)
    ended = in_process("source", "list", "--profile", "cloud")
    assert ended.code == 1
    assert "overwritten" in ended.err
    assert {sign for sign in ended.err if not sign.isprintable()} <= {"\n"}


def test_a_vendors_text_is_no_markup(place: Place, sources: list[str]) -> None:
    place.sms.change(sources[0], name="[red]host[/red] :smile: [/]")
    assert "[red]host[/red] :smile: [/]" in in_process("source", "list", "--profile", "cloud").out


def test_a_reader_that_has_enough_ends_a_list_quietly(place: Place) -> None:
    place.sms.add_sources(400)
    command = [*COMMAND, "source", "list", "--profile", "cloud", "-o", "jsonl"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    ) as process:
        assert process.stdout
        assert process.stderr
        assert json.loads(process.stdout.readline())["name"] == "host-0"
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


def test_a_list_is_printed_as_its_pages_come(place: Place) -> None:
    first = {"count": 400, "source_servers": [{"id": "one", "name": "one"}]}
    place.sms.faults.answer(200, json.dumps(first))
    place.sms.faults.answer(400, json.dumps({"error_code": "SMS.1", "error_msg": "no more"}))
    ended = in_process("source", "list", "--profile", "cloud", "-o", "id")
    assert ended.code == 1
    assert ended.out == "one\n"
    assert "no more" in ended.err


def test_text_that_the_locale_lacks_is_spelled_out(place: Place, sources: list[str]) -> None:
    place.sms.change(sources[0], name="büro-主机")
    ended = in_pipe("source", "list", "--profile", "cloud", PYTHONIOENCODING="ascii")
    assert ended.code == 0
    assert r"b\xfcro-\u4e3b\u673a" in ended.out


@pytest.mark.parametrize("variables", [{"TERM": "dumb"}, {"NO_COLOR": "1"}])
def test_a_terminal_that_cannot_or_will_not_have_colours_gets_none(variables: dict[str, str], place: Place) -> None:
    ended = on_terminal("profile", "check", "dr", **variables)
    assert ended.code == 0
    assert not ended.coloured


def test_an_error_is_red_on_a_terminal_only(place: Place) -> None:
    assert on_terminal("profile", "show", "nobody").coloured
    assert not in_pipe("profile", "show", "nobody").coloured


@pytest.mark.parametrize(
    ("words", "closed", "code"),
    [
        ("provider list", ">&-", 0),
        ("provider list -o json", ">&-", 0),
        ("frobnicate", "2>&-", 2),
        ("source register -f - --profile cloud", "<&-", 2),
        ("source delete some-id --profile cloud", "<&-", 2),
        ("profile add new --provider huawei-sms --ask token", "<&-", 2),
        ("provider list", ">/dev/full", 1),
    ],
)
def test_a_closed_or_full_stream_is_no_reason_for_a_traceback(words: str, closed: str, code: int, place: Place) -> None:
    line = f'exec "$@" {closed}'
    command = [sys.executable, "-m", "migrate_core.cli", *words.split()]
    done = subprocess.run(
        ["sh", "-c", line, "sh", *command],  # noqa: S607  # whichever shell there is
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr


def test_a_query_that_calls_what_does_not_exist_is_refused_before_anything_is_changed(place: Place) -> None:
    delete = ("pairing", "delete", place.srm.pair(), "--profile", "dr", "--yes", "--query")
    for query in ("nofun(id)", "[?nofun(id)]", "{a: nofun(@)}"):
        ended = in_process(*delete, query)
        assert (ended.code, ended.out) == (2, "")
        assert "nofun()" in ended.err
    assert place.srm.journal == []


def test_a_query_that_fails_after_a_change_does_not_lose_its_task(place: Place) -> None:
    delete = ("pairing", "delete", place.srm.pair(), "--profile", "dr", "--yes", "--no-wait", "--query", "sum(id)")
    ended = in_process(*delete)
    assert (ended.code, ended.out) == (2, "")
    token = ended.err.split()[-1]
    assert in_process("task", "show", token, "--profile", "dr", "-o", "id").code == 0


def test_a_picked_text_is_one_line_of_yaml(place: Place) -> None:
    ended = in_process("profile", "show", "dr", "-o", "yaml", "--query", "name")
    assert (ended.code, ended.out) == (0, "dr\n")


def test_shared_options_may_lead_a_command_whose_id_follows_two_hyphens(place: Place) -> None:
    ended = in_process("--profile", "dr", "pairing", "describe", "--", "-x")
    assert ended.code == 3, ended.err


@pytest.mark.parametrize("option", ["profile", "provider", "endpoint"])
def test_an_empty_option_is_refused_and_nothing_takes_its_place(
    option: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIGRATE_PROFILE", "dr")
    ended = in_process("pairing", "list", f"--{option}", "")
    assert (ended.code, ended.err) == (2, f"migratectl: --{option} is empty\n")
    assert place.srm.journal == []


def test_the_way_to_go_on_is_told_whatever_the_profile_is_called() -> None:
    error = mc.ServerError("down", provider="example", status=500)
    error.add_note("the task goes on; resume it with client.tasks.get('mct1.x')")
    error.add_note("the task goes on; wait for it again with:\n  migratectl task wait mct1.x --profile client.prod")
    assert app_module._notes(error) == error.__notes__[1:]
