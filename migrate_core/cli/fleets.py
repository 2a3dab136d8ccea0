"""``migratectl fleet``. The database and the engine are loaded only when a journal is opened."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import signal
import sys
import time
from collections.abc import Generator, Iterable
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import attrs
from cyclopts import Parameter, validators

import migrate_core as mc
from migrate_core.cli import fleet_view
from migrate_core.cli.exits import FAILED, INTERRUPTED, OK, OUTCOME_UNKNOWN, PARTLY_FAILED
from migrate_core.cli.options import Output, Query, Sure
from migrate_core.cli.output import Columns, show, show_all
from migrate_core.cli.records import PlannedOrdersRecord, PlanRecord
from migrate_core.cli.terminal import clean, counting, note
from migrate_core.fleet.models import OrderResult, OrderState, RunStatus
from migrate_core.shapes import shape_of

if TYPE_CHECKING:
    from migrate_core.fleet import FleetEngine, Manifest

__all__ = ["apply", "cancel", "plan", "report", "results", "resume", "retry", "status", "worker"]

RunName: TypeAlias = Annotated[str, Parameter(help="Id of the run, an unambiguous beginning of it, or `last`.")]
InFlight: TypeAlias = Annotated[int, Parameter(validator=validators.Number(gte=1))]

_PLAN: Columns = {
    "manifest": lambda plan: plan.manifest,
    "total": lambda plan: plan.total,
}
_PLANNED: Columns = {
    "profile": lambda orders: orders.profile,
    "provider": lambda orders: orders.provider,
    "operation": lambda orders: orders.operation.value,
    "orders": lambda orders: orders.count,
}
_RUNS: Columns = {
    "run": lambda run: run.run,
    "state": lambda run: run.state.value,
    "submitted": lambda run: _moment(run.created_at),
    "orders": lambda run: run.count(),
    "done": lambda run: run.count(OrderState.DONE),
    "failed": lambda run: run.count(OrderState.FAILED),
    "unknown": lambda run: run.count(OrderState.UNKNOWN),
    "left": lambda run: run.left,
}
_RUN: Columns = {
    "run": lambda run: run.run,
    "manifest": lambda run: run.name,
    "state": lambda run: run.state.value,
    "submitted": lambda run: _moment(run.created_at),
    "ended": lambda run: run.ended_at and _moment(run.ended_at),
    "so far": fleet_view.so_far,
}
_TALLIES: Columns = {
    "profile": lambda tally: tally.profile,
    "provider": lambda tally: tally.provider,
    "operation": lambda tally: tally.operation.value,
    "state": lambda tally: tally.state.value,
    "orders": lambda tally: tally.count,
}
_FAILURES: Columns = {
    "orders": lambda failure: failure.count,
    "provider": lambda failure: failure.provider,
    "operation": lambda failure: failure.operation.value,
    "error": lambda failure: failure.error,
    "code": lambda failure: failure.code,
    "message": lambda failure: _in_a_line(failure.message),
    "first line": lambda failure: failure.line,
}
_RESULTS: Columns = {
    "line": lambda result: result.line,
    "state": lambda result: result.state.value,
    "profile": lambda result: result.profile,
    "operation": lambda result: result.operation.value,
    "about": lambda result: result.about,
    "result": lambda result: result.result,
    "error": lambda result: result.error,
    "message": lambda result: result.message and _in_a_line(result.message),
}
_KINDS = 6
"""How many kinds of orders a question tells apart."""
_PASSWORD = re.compile(r"://[^@]*:[^@]*@|[?&](ssl)?password=")
"""What a URL has that says what nobody else may know."""
_FORMULAS = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
"""How a text begins that a spreadsheet takes for a formula."""
_LOOKS = 1.0
"""Seconds between looks at a run that is watched."""


@Parameter(name="*", group="Journal")
@attrs.frozen(kw_only=True)
class Journal:
    """Where runs are kept."""

    journal: str | None = None
    """File that keeps the runs, or URL of a PostgreSQL database, without a password; else MIGRATE_FLEET_JOURNAL, else
    a file in the platform's folder for such."""

    def open(self) -> FleetEngine:
        """Open the journal.

        Raises:
            InvalidArgumentError: it is empty, or has a password.
            ConfigurationError: the extra that it needs is not installed.
        """
        if self.journal == "":
            raise mc.InvalidArgumentError("--journal is empty")
        if self.journal and _PASSWORD.search(self.journal):
            raise mc.InvalidArgumentError(
                "--journal has a password, and a command line is no place for one: put it into PGPASSWORD or "
                "~/.pgpass, or the whole URL into MIGRATE_FLEET_JOURNAL"
            )
        from migrate_core.fleet import open_engine

        return open_engine(self.journal)

    def words(self) -> str:
        """Give the option again, for a command that goes on where this one stopped."""
        return "" if self.journal is None else f" --journal {shlex.quote(self.journal)}"


@Parameter(name="*", group="Work")
@attrs.frozen(kw_only=True)
class Work:
    """How the orders of a run are carried out."""

    in_flight: InFlight = 50
    """Orders of one profile that are carried out at the same time."""
    detach: Annotated[bool, Parameter(negative=())] = False
    """Leave the orders to the workers of the journal, and end at once."""


@Parameter(name="*", group="Output")
@attrs.frozen(kw_only=True)
class Listing:
    """How results are printed."""

    format: Annotated[Literal["table", "csv", "json", "yaml", "jsonl", "id"], Parameter(name=["--output", "-o"])] = (
        "table"
    )
    """How to print: a table for people, CSV for spreadsheets, one JSON or YAML document, a line of JSON for each, or
    just the id that each made, or was about."""
    query: Query = None
    """JMESPath expression; what it picks of the JSON shape is printed instead."""


def plan(file: Path, /, *, output: Output = Output()) -> None:
    """Check a manifest and say what would be done. Nothing is sent, and no journal is opened.

    All that is wrong with it is listed at once, each fault with its line. The manifest is YAML, JSON, JSONL or CSV.

    For example:

        migratectl fleet plan machines.yaml

        migratectl fleet plan machines.csv -o json --query total

    Parameters
    ----------
    file:
        The manifest.
    """
    manifest = _checked(file)
    planned = _planned(manifest)
    show(planned, output, identity=planned.digest, rows=_PLAN, parts={"Orders": (planned.orders, _PLANNED)})


def apply(
    file: Path,
    /,
    *,
    known: Literal["refuse", "skip", "again"] = "refuse",
    sure: Sure = Sure(),
    work: Work = Work(),
    journal: Journal = Journal(),
    output: Output = Output(),
) -> int:
    """Check a manifest, and carry out each of its orders once.

    The orders are in the journal before the first is sent, so nothing is lost or done twice if this machine stops:
    `migratectl fleet resume` goes on. Ctrl-C waits for the answers to what was sent.

    Ends with 0 if all orders are done, with 5 if only some are, with 1 if none is, and with 6 if nothing failed but the
    outcome of some is unknown.

    For example:

        migratectl fleet apply machines.yaml

        migratectl fleet apply machines.yaml --yes -o json --query state

        migratectl fleet apply machines.csv --yes --detach --journal postgresql://fleet@db.example/fleet

    Parameters
    ----------
    file:
        The manifest.
    known:
        What to do with orders that another run has carried out, or is about to: refuse the manifest, skip them, or
        carry them out again.
    """
    manifest = _checked(file)
    sure.confirm(_question(_planned(manifest)))
    with closing(journal.open()) as engine:
        with counting(f"writing {fleet_view.orders(manifest.total)} into the journal"):
            run = engine.submit(manifest, known=known)
        return _finish(engine, run, work, journal, output)


def status(
    run: RunName | None = None,
    /,
    *,
    watch: Annotated[bool, Parameter(negative=())] = False,
    journal: Journal = Journal(),
    output: Output = Output(),
) -> int:
    """Show how far a run is, or list all runs.

    With --watch it shows so until the run is over, whoever works on it, and ends as `migratectl fleet apply` does.

    For example:

        migratectl fleet status

        migratectl fleet status last

        migratectl fleet status machines-3f9a12 --watch

        migratectl fleet status last -o json --query "failures[].message"

    Parameters
    ----------
    watch:
        Show it until it is over.
    """
    with closing(journal.open()) as engine:
        if run is None and not watch:
            show_all(engine.runs(), output, identity=lambda one: one.run, columns=_RUNS)
            return OK
        found = engine.status(run or "last")
        if watch:
            found = _watched(engine, found)
        _show(found, output)
    return _exit_code(found) if watch else OK


def resume(
    run: RunName,
    /,
    *,
    work: Work = Work(),
    journal: Journal = Journal(),
    output: Output = Output(),
) -> int:
    """Go on with a run that was interrupted or cancelled.

    An order that was being sent when the work stopped is looked up before it is sent again. Ends as `migratectl fleet
    apply` does.

    For example:

        migratectl fleet resume last

        migratectl fleet resume machines-3f9a12 --in-flight 10
    """
    with closing(journal.open()) as engine:
        engine.resume(run)
        return _finish(engine, run, work, journal, output)


def cancel(run: RunName, /, *, journal: Journal = Journal(), output: Output = Output()) -> None:
    """Send nothing more of a run. What was sent is still watched to its end.

    It may run on while this is called, here or on other machines. `migratectl fleet resume` takes it up again.

    For example:

        migratectl fleet cancel machines-3f9a12
    """
    with closing(journal.open()) as engine:
        count = engine.cancel(run)
        _show(engine.status(run), output)
    note(f"{fleet_view.orders(count)} will not be sent")


def retry(
    run: RunName,
    /,
    *,
    failed: Annotated[bool, Parameter(negative=())],
    work: Work = Work(),
    journal: Journal = Journal(),
    output: Output = Output(),
) -> int:
    """Try orders of a run once more.

    An order whose outcome is unknown is looked up before it is sent again. Ends as `migratectl fleet apply` does.

    For example:

        migratectl fleet retry last --failed

    Parameters
    ----------
    failed:
        Those that failed, or whose outcome is unknown.
    """
    with closing(journal.open()) as engine:
        engine.resume(run, failed=failed)
        return _finish(engine, run, work, journal, output)


def results(
    run: RunName,
    /,
    *,
    states: Annotated[tuple[OrderState, ...], Parameter(name="--state", negative=())] = (),
    journal: Journal = Journal(),
    output: Listing = Listing(),
) -> None:
    """Print what became of each order, in the order of the manifest.

    CSV, JSON, its lines and ids are printed as they are read, however many there are. In CSV a text that a spreadsheet
    would take for a formula begins with an apostrophe, and a message of several lines is one.

    For example:

        migratectl fleet results last -o csv > results.csv

        migratectl fleet results last --state failed --state unknown

        migratectl fleet results last --state done -o id

    Parameters
    ----------
    states:
        Only orders in this state; may be repeated.
    """
    if output.format == "csv" and output.query is not None:
        raise mc.InvalidArgumentError("--query picks from the JSON shape, and -o csv prints none")
    with closing(journal.open()) as engine:
        found = engine.results(run, states=states)
        if output.format == "csv":
            _print_csv(found)
        else:
            plain = Output(format=output.format, query=output.query)
            show_all(found, plain, identity=_identity, columns=_RESULTS, many=True)


def worker(
    *,
    in_flight: InFlight = 50,
    until_idle: Annotated[bool, Parameter(negative=())] = False,
    journal: Journal = Journal(),
) -> None:
    """Carry out orders of all runs of a journal, with other workers, until it is interrupted.

    Over PostgreSQL any number of workers share the work, and take over from one that died. Ctrl-C or a SIGTERM waits
    for the answers to what was sent; the rest is left to the others.

    For example:

        migratectl fleet worker --journal postgresql://fleet@db.example/fleet

        migratectl fleet worker --until-idle

    Parameters
    ----------
    in_flight:
        Orders of one profile that each worker carries out at the same time; the one that began last says it for all.
    until_idle:
        End when nothing is left to do.
    """
    with closing(journal.open()) as engine:
        if until_idle:
            while runs := [one for one in engine.runs() if one.left]:
                _work(engine, runs[-1].run, in_flight, journal)
            return
        with suppress(KeyboardInterrupt):
            _work(engine, None, in_flight, journal)


def report(run: RunName, /, *, html: Path, journal: Journal = Journal()) -> None:
    """Write a report of a run: one page of HTML that needs neither a server nor a network.

    It shows the progress over time, the failures by cause, and a table of all orders to search in.

    For example:

        migratectl fleet report last --html report.html

    Parameters
    ----------
    html:
        The file to write.
    """
    with closing(journal.open()) as engine:
        found = engine.status(run)
        from migrate_core.fleet.report import write_report

        with html.open("w", encoding="utf-8") as file:
            write_report(found, engine.results(found.run), file, now=datetime.now(UTC))
    note(f"{html} shows run {found.run}")


def _checked(file: Path) -> Manifest:
    from migrate_core.fleet import read_manifest

    with counting(f"checking {clean(file.name)}"):
        return read_manifest(file)


def _planned(manifest: Manifest) -> PlanRecord:
    return PlanRecord(
        manifest=manifest.name,
        digest=manifest.digest,
        total=manifest.total,
        orders=tuple(
            PlannedOrdersRecord(profile=profile, provider=provider, operation=operation, count=count)
            for (profile, provider, operation), count in manifest.counts.items()
        ),
    )


def _question(planned: PlanRecord) -> str:
    kinds = [f"{orders.count:,} {orders.operation.value} at {orders.profile}" for orders in planned.orders]
    if len(kinds) > _KINDS:
        kinds[_KINDS - 1 :] = [f"{len(kinds) - _KINDS + 1} kinds more"]
    return f"Carry out {fleet_view.orders(planned.total)} ({', '.join(kinds)})?"


def _finish(engine: FleetEngine, run: str, work: Work, journal: Journal, output: Output) -> int:
    """Carry out a run, or leave it to others, and print how far it is."""
    run = engine.status(run).run
    if not work.detach:
        _work(engine, run, work.in_flight, journal)
    found = engine.status(run)
    _show(found, output)
    if work.detach:
        _next("workers carry it out; start one, or watch them:", "worker", f"status {run} --watch", journal=journal)
        return OK
    if found.count(OrderState.FAILED, OrderState.UNKNOWN):
        failed = f"results {run} --state failed --state unknown", f"retry {run} --failed"
        _next("look at what failed, or try it again:", *failed, journal=journal)
    return _exit_code(found)


def _next(told: str, *commands: str, journal: Journal) -> None:
    note("\n".join([told, *(_command(words, journal) for words in commands)]))


def _command(words: str, journal: Journal) -> str:
    return f"  migratectl fleet {words}{journal.words()}"


def _show(found: RunStatus, output: Output) -> None:
    parts = {"Orders": (found.tallies, _TALLIES), "Failures": (found.failures, _FAILURES)}
    show(found, output, identity=found.run, rows=_RUN, parts=parts)


def _exit_code(found: RunStatus) -> int:
    """Tell by the exit code what became of a run."""
    done, total = found.count(OrderState.DONE), found.count()
    if done + found.count(OrderState.UNKNOWN) == total:
        return OK if done == total else OUTCOME_UNKNOWN
    return PARTLY_FAILED if done else FAILED


def _watched(engine: FleetEngine, found: RunStatus) -> RunStatus:
    with fleet_view.shown() as look:
        while found.left:
            look(found)
            time.sleep(_LOOKS)
            found = engine.status(found.run)
    return found


def _work(engine: FleetEngine, run: str | None, in_flight: int, journal: Journal) -> None:
    """Carry out orders; if that ends too early, say how to go on."""
    go_on = f"what is left waits; go on with:\n{_command(f'resume {run}' if run else 'worker', journal)}"
    try:
        with _interrupted_twice(go_on), fleet_view.shown() as look:
            if run is None:
                note("working on all runs; Ctrl-C ends it")
            engine.work(run, in_flight=in_flight, on_status=look)
    except (KeyboardInterrupt, mc.MigrateError) as error:
        error.add_note(go_on)
        raise


@contextmanager
def _interrupted_twice(go_on: str) -> Generator[None]:
    """Let the first interruption wait for the answers to what was sent, and the second end the process at once."""
    count = 0

    def leave() -> None:
        fleet_view.give_back()
        note(f"interrupted\n{go_on}")
        os._exit(INTERRUPTED)  # threads that wait for answers would hold it back

    def interrupt(*_: object) -> None:
        nonlocal count
        count += 1
        # Beside this thread, which may be in the midst of a line.
        if count > 1:
            Thread(target=leave).start()
            return
        Thread(target=note, args=("waiting for the answers to what was sent; Ctrl-C once more ends at once",)).start()
        raise KeyboardInterrupt

    kept = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def _identity(result: OrderResult) -> str:
    return result.result if isinstance(result.result, str) else result.about


def _print_csv(found: Iterable[OrderResult]) -> None:
    names = [field.name for field in attrs.fields(OrderResult)]
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(names)
    for result in found:
        shape = shape_of(result)
        table.writerow([_cell(shape[name]) for name in names])


def _cell(value: Any) -> str:
    """Give a text for a cell: what a vendor said is no formula there, and stays in its line."""
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return clean(_in_a_line(f"'{text}" if text.startswith(_FORMULAS) else text))


def _in_a_line(text: str) -> str:
    return text.replace("\n", " ")


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
