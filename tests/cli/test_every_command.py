"""Every command, as a script runs it and as a person does: in a pipe, and on a terminal, which is a narrow one."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import attrs
import pytest

import migrate_core as mc
from cli.place import Place
from cli.support import (
    COMMAND,
    ESCAPE,
    Ended,
    Terminal,
    commands,
    environment,
    in_process,
    on_terminal,
    plain,
    screen,
)
from migrate_core import fleet
from support import ROOT

Words: TypeAlias = Callable[[Place], Sequence[str]]

_EXAMPLE = ROOT / "providers" / "migrate_huawei_sms" / "examples" / "register-request.json"
_NARROW = 30


@attrs.frozen
class Use:
    """A use of a command.

    Attributes:
        words: what follows the command; it prepares what they are about.
        data: said on stdout.
        message: said on stderr; nothing is, if it is empty.
        code: the exit code.
        coloured: whether it has colours on a terminal.
        serves: whether it runs until it is interrupted.
    """

    words: Words
    data: str
    message: str = ""
    code: int = 0
    coloured: bool = True
    serves: bool = False


def source(place: Place) -> str:
    return place.sms.add_sources(1)[0]


def token(place: Place) -> str:
    with mc.connect("vmware_srm", **place.srm.settings()) as site:
        return site.pairings.delete(place.srm.pair()).token


def manifest(place: Place) -> str:
    """Write a manifest of one order that no other has; gives its path."""
    order = {"profile": "cloud", "operation": "describe_source", "id": source(place)}
    return place.file(f"{order['id']}.json", json.dumps([order]))


def submitted(place: Place, *, over: bool = False) -> list[str]:
    """Submit a run to a journal of its own, and perhaps cancel it; gives the words that lead to it."""
    journal = f"{place.another_home()}/fleet.db"
    with fleet.open_engine(journal) as engine:
        run = engine.submit(fleet.read_manifest(manifest(place)))
        if over:
            engine.cancel(run)
    return [run, "--journal", journal]


USES: Mapping[str, Use] = {
    "completion": Use(lambda _: ["bash"], "migratectl", coloured=False),
    "demo": Use(lambda _: ["--task-seconds", "0"], "Pairings left: 0"),
    "fleet apply": Use(lambda place: [manifest(place), "--yes", "--detach"], "running", "workers carry it out"),
    "fleet cancel": Use(submitted, "cancelled", "1 order will not be sent"),
    "fleet plan": Use(lambda place: [manifest(place)], "describe_source"),
    "fleet report": Use(
        lambda place: [*submitted(place), "--html", f"{place.another_home()}/report.html"],
        "",
        "shows run",
        coloured=False,
    ),
    "fleet results": Use(submitted, "describe_source"),
    "fleet resume": Use(lambda place: [*submitted(place), "--detach"], "running", "workers carry it out"),
    "fleet retry": Use(lambda place: [*submitted(place), "--failed", "--detach"], "running", "workers carry it out"),
    "fleet status": Use(submitted, "describe_source"),
    "fleet worker": Use(lambda place: ["--until-idle", *submitted(place, over=True)[1:]], "", coloured=False),
    "pairing create": Use(lambda place: ["-f", place.site_b(), "--profile", "dr"], "create_pairing"),
    "pairing delete": Use(lambda place: [place.srm.pair(), "--profile", "dr", "--yes"], "delete_pairing"),
    "pairing describe": Use(lambda place: [place.srm.pair(), "--profile", "dr"], "srm-b.example"),
    "pairing list": Use(lambda place: [place.srm.pair() and "--profile", "dr"], "srm-b.example"),
    "profile add": Use(
        lambda _: ["new", "--provider", "huawei-sms", "--set", "region=cn-north-4", "--secret", "token=env:TOKEN"],
        "from env TOKEN",
        "migratectl profile check new",
    ),
    "profile check": Use(lambda _: ["dr"], "list_pairings"),
    "profile list": Use(lambda _: [], "vmware_srm"),
    "profile remove": Use(lambda _: ["dr", "--yes"], "", coloured=False),
    "profile show": Use(lambda _: ["dr"], "from env DR_PASSWORD"),
    "provider check": Use(lambda _: ["vmware-srm", "--only", "is written"], "what is written is declared"),
    "provider list": Use(lambda _: [], "vmware_srm"),
    "provider new": Use(
        lambda place: ["north-wind", "--into", place.another_home()], "migrate_north_wind", "pip install -e '.[test]'"
    ),
    "provider show": Use(lambda _: ["huawei-sms"], "allow_incomplete"),
    "simulate": Use(lambda _: ["vmware-srm"], "Listening", coloured=False, serves=True),
    "source delete": Use(lambda place: [source(place), "--profile", "cloud", "--yes"], "delete_source"),
    "source describe": Use(lambda place: [source(place), "--profile", "cloud"], "host-0"),
    "source list": Use(lambda place: [source(place) and "--profile", "cloud"], "host-0"),
    "source register": Use(
        lambda _: ["-f", str(_EXAMPLE), "--as", "vendor", "--allow-incomplete", "--profile", "cloud"],
        "register_source",
        "warning: the document is incomplete: hostname: is needed to register",
    ),
    "target unlock": Use(
        lambda place: [place.sms.start_migration(source(place)), "--profile", "cloud", "--yes"], "unlock_target"
    ),
    "task cancel": Use(
        lambda place: [token(place), "--profile", "dr", "--yes"],
        "",
        "does not offer cancel_task",
        code=2,
    ),
    "task list": Use(lambda place: [token(place) and "--profile", "dr"], "success"),
    "task show": Use(lambda place: [token(place), "--profile", "dr"], "delete_pairing"),
    "task wait": Use(lambda place: [token(place), "--profile", "dr"], "delete_pairing"),
}


@pytest.fixture(params=USES)
def command(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_table_has_every_command() -> None:
    assert set(USES) == {" ".join(words) for words in commands()}


def test_it_is_plain_in_a_pipe_and_coloured_and_whole_on_a_narrow_terminal(command: str, place: Place) -> None:
    use = USES[command]
    with ThreadPoolExecutor() as pool:
        running = pool.submit(driven, command, place)
        pipe, terminal = piped(command, place), running.result()
    for ended in (pipe, terminal):
        assert ended.code == use.code, ended.everything
        assert bool(plain(ended.out)) is bool(use.data), ended.out
        assert bool(screen(ended.err)) is bool(use.message), ended.err
        assert readable(use.data, plain(ended.out)), ended.out
        assert readable(use.message, plain(ended.err)), ended.err
    assert ESCAPE not in pipe.everything
    assert (ESCAPE in terminal.everything) is use.coloured


@pytest.mark.parametrize("command", ["fleet status", "pairing delete", "profile check", "source list"])
def test_no_color_is_heeded_on_a_terminal(command: str, place: Place) -> None:
    ended = driven(command, place, NO_COLOR="1")
    assert ended.code == 0, ended.everything
    assert not ended.coloured


def piped(command: str, place: Place) -> Ended:
    """Run it without a terminal; on one, it has shown what it does as a process."""
    words = [*command.split(), *USES[command].words(place)]
    if not USES[command].serves:
        return in_process(*words)
    with subprocess.Popen(
        [*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    ) as process:
        assert process.stdout
        greeting = "".join(until("Listening", process.stdout))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
        return Ended(process.returncode, greeting + out, err)


def until(text: str, lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        yield line
        if text in line:
            return


def driven(command: str, place: Place, **variables: str) -> Ended:
    words = [*command.split(), *USES[command].words(place)]
    with Terminal(*words, columns=_NARROW, HOME=place.another_home(), **variables) as terminal:
        if USES[command].serves:
            return terminal.until("Listening").interrupt()
        return terminal.end()


def readable(text: str, page: str) -> bool:
    """Tell whether a text stands on a page, in one line or folded into a column, whatever stands beside it."""
    if text in page:
        return True
    wanted, lines = text.replace(" ", ""), page.split("\n")
    lefts = {column for line in lines for column, sign in enumerate(line) if sign == wanted[0]}
    bands = [(left, right) for left in lefts for right in (*range(left + 1, _NARROW + 1), None)]
    return any(wanted in column_of(lines, left, right) for left, right in bands)


def column_of(lines: Sequence[str], left: int, right: int | None) -> str:
    return "".join(line[left:right] for line in lines).replace(" ", "")


def test_a_narrow_terminal_loses_and_cuts_no_id(place: Place) -> None:
    source_id, pairing_id, task_token = source(place), place.srm.pair(), token(place)
    replication_id = place.sms.start_migration(source_id)
    task_id = in_process("task", "list", "--profile", "dr", "-o", "id").out.strip()
    for words, ids in {
        ("source", "list", "--profile", "cloud"): (source_id, replication_id),
        ("source", "describe", source_id, "--profile", "cloud"): (source_id, replication_id),
        ("pairing", "list", "--profile", "dr"): (pairing_id,),
        ("pairing", "describe", pairing_id, "--profile", "dr"): (pairing_id,),
        ("task", "list", "--profile", "dr"): (task_id,),
        ("task", "show", task_token, "--profile", "dr"): (task_id,),
    }.items():
        page = plain(on_terminal(*words, columns=_NARROW).out)
        assert [one for one in ids if not readable(one, page)] == [], page


_PRINT_NO_OBJECTS = {
    *("completion", "demo", "simulate", "profile remove", "task cancel"),
    *("fleet report", "fleet worker"),
}


@pytest.mark.parametrize("command", sorted(USES.keys() - _PRINT_NO_OBJECTS))
def test_every_object_says_its_version_and_kind_in_json(command: str, place: Place) -> None:
    printed = json.loads(in_process(*command.split(), *USES[command].words(place), "-o", "json").out)
    objects = printed if isinstance(printed, list) else [printed]
    assert objects
    assert all(one["version"] == 1 and one["kind"] for one in objects)
