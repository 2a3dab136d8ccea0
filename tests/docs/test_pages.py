"""What the pages must be, beyond that their blocks run."""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import migrate_core
from docs_examples import NOT_RUN, matches
from migrate_core.cli.app import app
from migrate_core.cli.exits import exit_code
from support import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^ *(`{3,})(.*)\n((?:.*\n)*?) *\1$", re.MULTILINE)


def blocks(page: Path) -> list[tuple[str, str]]:
    """Give language and content of each block of a page."""
    return [(match[2].strip(), match[3]) for match in FENCE.finditer(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_block_is_of_a_language_that_is_run_or_read(page: Path) -> None:
    languages = {language for language, _ in blocks(page) if not language.startswith("{")}
    assert languages <= {"python", "sh", "text", "toml", "yaml", "json"}


def test_every_block_that_is_not_run_is_still_there() -> None:
    for (page, start), why in NOT_RUN.items():
        assert why
        assert [code for language, code in blocks(ROOT / page) if language == "sh" and code.startswith(start)]


def test_the_reference_has_every_public_name() -> None:
    explained = set()
    for page in (ROOT / "docs" / "reference").glob("*.md"):
        module = ""
        for directive, name in re.findall(r"^\.\. (\w+):: ([\w.]+)", page.read_text(encoding="utf-8"), re.MULTILINE):
            module = name if directive == "currentmodule" else module
            explained |= {name, f"{module}.{name}"}
    for name in migrate_core.__all__:
        thing = getattr(migrate_core, name)
        places = {f"migrate_core.{name}", f"{thing.__module__}.{name}", thing.__module__}
        assert places & explained, f"{name} is on no page of the reference"
    for path in (ROOT / "migrate_core").glob("[a-z]*.py"):
        module = f"migrate_core.{path.stem}"
        names = getattr(import_module(module), "__all__", ["all that is in it"])
        alone = all({f"{module}.{name}", f"migrate_core.{name}"} & explained for name in names)
        assert module in explained or alone, f"{module} is on no page of the reference"


def test_the_exit_codes_are_those_of_the_page() -> None:
    page = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    said = {name: int(row[1]) for row in re.finditer(r"^\| (\d+) \|.*$", page, re.MULTILINE) for name in names(row[0])}
    assert said
    for name, code in said.items():
        cls = getattr(migrate_core, name)
        assert exit_code(cls.__new__(cls)) == code
    for name in migrate_core.__all__:
        cls = getattr(migrate_core, name)
        if isinstance(cls, type) and issubclass(cls, migrate_core.MigrateError) and exit_code(cls.__new__(cls)) != 1:
            assert {base.__name__ for base in cls.__mro__} & set(said), f"{name} is not in the table"


def names(row: str) -> list[str]:
    """Give the errors that a row of a table names."""
    return re.findall(r"`(\w+Error)`", row)


def test_the_first_page_leads_to_every_other() -> None:
    contents = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    for page in PAGES[1:]:
        name = page.relative_to(ROOT / "docs").as_posix()
        assert name == "index.md" or name.startswith("decisions/0") or f"({name})" in contents


@pytest.mark.parametrize(
    ("wanted", "printed", "same"),
    [
        ("a\nb\n", "a  \nb\n", True),
        ("a\n...\nd\n", "a\nb\nc\nd\n", True),
        ("id ...\n", "id 5\n", True),
        ("a.c\n", "abc\n", False),
        ("a\n", "a\nb\n", False),
    ],
)
def test_output_is_compared_with_room_for_what_may_differ(wanted: str, printed: str, same: bool) -> None:
    assert matches(wanted, printed) is same


def commands(group: Any, *words: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.resolved_commands().items():
        if name.startswith("-"):
            continue
        if command.default_command is None:
            yield from commands(command, *words, name)
        else:
            yield " ".join((*words, name)), command


@pytest.mark.parametrize(("name", "command"), list(commands(app)))
def test_every_command_has_an_example_that_it_can_read(name: str, command: Any) -> None:
    explained = inspect.getdoc(command.default_command) or ""
    text = explained.partition("For example:\n")[2].partition("\nParameters\n")[0]
    examples = [" ".join(example.split()) for example in text.split("\n\n") if example.strip()]
    assert examples
    for example in examples:
        program, *arguments = shlex.split(re.split(" [<>|] ", example)[0])
        assert program == "migratectl"
        assert " ".join(arguments).startswith(name)
        app.parse_args(arguments, exit_on_error=False, print_error=False)
