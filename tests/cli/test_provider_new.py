"""``migratectl provider new``: what it refuses, what it writes, and that what it writes works, as it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import pytest

import migrate_core as mc
from cli.place import Place
from cli.support import COMMAND, Ended, environment, in_process
from migrate_core.testing import VirtualClock
from support import ROOT, Caller

MACHINE = dict(os.environ)
"""The environment before a test emptied it: pip finds its packages by it."""

FILES = {
    ".github/workflows/test.yml",
    ".gitignore",
    "README.md",
    "docs/vendor.md",
    "pyproject.toml",
    *(f"src/migrate_{{name}}/{file}.py" for file in ("__init__", "auth", "mapping", "models", "provider", "simulator")),
    "src/migrate_{name}/py.typed",
    "tests/test_conformance.py",
    "tests/test_mapping.py",
}
NAMES = ["abc", "north-wind", "s3_x", "a-name-of-20-letters"]


def written(name: str, into: Path) -> Path:
    """Write a provider; gives its folder."""
    ended = in_process("provider", "new", name, "--into", str(into), "-o", "id")
    assert ended.code == 0, ended.err
    return Path(ended.out.rstrip("\n"))


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            "Wind",
            "1st",
            "_wind",
            "north--wind",
            "wind-",
            "n\u00f6rd",
            "north wind",
            "../wind",
            "a/b",
            "wind.py",
            "a\nb",
        ),
        *("class", "lambda", "core", "base", "test", "testlab"),
    ],
)
def test_a_name_that_cannot_be_one_is_refused(name: str, place: Place, tmp_path: Path) -> None:
    into = tmp_path / "into"
    into.mkdir()
    ended = in_process("provider", "new", "--into", str(into), "--", name)
    assert (ended.code, ended.out) == (2, "")
    assert "cannot be the name of a provider" in ended.err
    assert list(into.iterdir()) == []


@pytest.mark.parametrize("name", ["huawei-sms", "vmware_srm"])
def test_the_name_of_an_installed_provider_is_refused(name: str, place: Place, tmp_path: Path) -> None:
    ended = in_process("provider", "new", name, "--into", str(tmp_path))
    assert (ended.code, ended.out) == (2, "")
    assert "installed already" in ended.err


def test_a_folder_that_has_something_in_it_stays_as_it_is(place: Place, tmp_path: Path) -> None:
    there = tmp_path / "migrate-north-wind"
    there.mkdir()
    (there / "pyproject.toml").write_text("mine")
    ended = in_process("provider", "new", "north-wind", "--into", str(tmp_path))
    assert (ended.code, ended.out) == (2, "")
    assert "is there already" in ended.err
    assert {path: (there / path).read_text() for path in files_in(there)} == {"pyproject.toml": "mine"}


def test_a_file_in_its_place_stays_as_it_is(place: Place, tmp_path: Path) -> None:
    (tmp_path / "migrate-wind").write_text("mine")
    assert in_process("provider", "new", "wind", "--into", str(tmp_path)).code == 2
    assert (tmp_path / "migrate-wind").read_text() == "mine"


def test_an_empty_folder_is_filled(place: Place, tmp_path: Path) -> None:
    (tmp_path / "migrate-wind").mkdir()
    assert files_in(written("wind", tmp_path)) == {file.format(name="wind") for file in FILES}


def test_a_place_that_is_none_is_refused(place: Place, tmp_path: Path) -> None:
    ended = in_process("provider", "new", "wind", "--into", str(tmp_path / "nowhere"))
    assert (ended.code, ended.out) == (2, "")
    assert "is no folder" in ended.err


def test_nothing_is_left_when_writing_fails_half_way(place: Place, tmp_path: Path) -> None:
    into = tmp_path / "into"
    into.mkdir()
    small_files_only = ["sh", "-c", 'ulimit -f 8; exec "$@"', "sh"]
    done = subprocess.run(
        [*small_files_only, *COMMAND, "provider", "new", "wind", "--into", str(into)],
        capture_output=True,
        text=True,
        env=environment(PYTHONDONTWRITEBYTECODE="1"),
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(into.iterdir()) == []


def test_it_says_what_was_written_and_what_to_do_next(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = in_process("provider", "new", "north-wind")
    assert ended.code == 0
    files = sorted(file.format(name="north_wind") for file in FILES)
    assert ended.out.splitlines()[-len(files) :] == files
    assert ended.err == "next:\n  cd migrate-north-wind\n  python -m pip install -e '.[test]'\n  pytest\n"


def test_it_is_an_object_in_json(place: Place, tmp_path: Path) -> None:
    printed = json.loads(in_process("provider", "new", "north-wind", "--into", str(tmp_path), "-o", "json").out)
    assert printed == {
        "version": 1,
        "kind": "WrittenProvider",
        "name": "north_wind",
        "distribution": "migrate-north-wind",
        "folder": str(tmp_path / "migrate-north-wind"),
        "files": sorted(file.format(name="north_wind") for file in FILES),
    }


def test_the_forms_of_a_name_stand_where_they_belong(place: Place, tmp_path: Path) -> None:
    folder = written("north_wind", tmp_path)
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert folder.name == project["name"] == "migrate-north-wind"
    assert project["entry-points"] == {
        "migrate_core.providers": {"north_wind": "migrate_north_wind:NorthWindProvider"},
        "migrate_core.simulators": {"north_wind": "migrate_north_wind.simulator:NorthWindSimulator"},
    }
    assert (
        '"""North Wind\'s migration service, REST API v1."""'
        in (folder / "src" / "migrate_north_wind" / "__init__.py").read_text()
    )


def test_it_takes_this_release_of_the_core(place: Place, tmp_path: Path) -> None:
    def oldest(requirement: str) -> tuple[int, ...]:
        return tuple(map(int, requirement.partition(">=")[2].split(".")))

    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    theirs = tomllib.loads((written("wind", tmp_path) / "pyproject.toml").read_text())["project"]["dependencies"]
    assert [oldest(one) <= tuple(map(int, ours.split("."))) for one in theirs if "migrate-core" in one] == [True]


@pytest.mark.parametrize("name", NAMES)
def test_all_of_it_compiles_and_nothing_names_the_vendor_it_is_made_from(
    name: str, place: Place, tmp_path: Path
) -> None:
    folder = written(name, tmp_path)
    for path in files_in(folder):
        text = (folder / path).read_text(encoding="utf-8")
        assert "acme" not in f"{path}\n{text}".lower()
        if path.endswith(".py"):
            compile(text, path, "exec", dont_inherit=True)


@pytest.mark.parametrize("name", NAMES)
def test_it_keeps_to_its_own_rules_of_style_however_long_its_name_is(name: str, place: Place, tmp_path: Path) -> None:
    ruff = Path(sys.executable).with_name("ruff")
    if not ruff.exists():
        pytest.skip("ruff is not installed here")
    folder = written(name, tmp_path)
    for words in (["check"], ["format", "--check"]):
        done = subprocess.run([ruff, *words, "--no-cache", "."], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("kind", ["login", "session"])
def test_what_was_written_works_on_both_clients(
    kind: str, caller: Caller, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"wind_{kind}_{caller.kind}"
    monkeypatch.syspath_prepend(written(name, tmp_path) / "src")
    package = import_module(f"migrate_{name}")
    prefix = name.title().replace("_", "")
    simulator = getattr(import_module(f"migrate_{name}.simulator"), f"{prefix}Simulator")(clock=VirtualClock())
    client = caller.connect(getattr(package, f"{prefix}Provider"), clock=simulator.clock, **simulator.settings(kind))

    spec = simulator.source_spec()
    source_id = caller(caller(client.sources.register(spec)).wait())
    source = caller(client.sources.describe(source_id))
    assert (source.provider, source.name, source.stage) == (name, spec.name, mc.Stage.READY)
    assert source.facts == spec.facts
    more = simulator.add_sources(120)
    assert [found.id for found in caller.list(client.sources.list())] == [source_id, *more]
    simulator.expire_logins()
    task = caller(client.sources.delete(source_id))
    assert not task.done
    caller(task.wait())
    with pytest.raises(mc.NotFoundError):
        caller(client.sources.describe(source_id))


def run(words: Sequence[str | Path], folder: Path, variables: dict[str, str]) -> Ended:
    done = subprocess.run(words, cwd=folder, env=variables, capture_output=True, text=True)
    return Ended(done.returncode, done.stdout, done.stderr)


@pytest.mark.timeout(600)
def test_an_author_installs_the_core_writes_a_provider_and_finds_it_green(place: Place, tmp_path: Path) -> None:
    """Begin with an empty environment and the source tree; all else is what the pages say.

    The page, which is run too, has all ways of the suite; here one is run without any package that is not declared.
    """
    programs = tmp_path / "venv" / "bin"
    plain = environment(PATH=f"{programs}{os.pathsep}{os.environ['PATH']}")
    into = [sys.executable, "-m", "pip", "--python", programs / "python"]  # saves a pip of its own
    pip = [*into, "--quiet", "--disable-pip-version-check", "install", "--no-compile"]

    def succeed(words: Sequence[str | Path], folder: Path = tmp_path, variables: dict[str, str] = plain) -> str:
        ended = run(words, folder, variables)
        assert ended.code == 0, ended.everything
        return ended.out

    succeed([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"])
    succeed([*pip, f"{ROOT}[cli,simulators]"], variables=MACHINE)
    folder = tmp_path / succeed([programs / "migratectl", "provider", "new", "north-wind", "-o", "id"]).rstrip("\n")
    assert files_in(folder) == {file.format(name="north_wind") for file in FILES}
    succeed([*pip, "-e", ".[test]"], folder, MACHINE)
    assert "north_wind" in succeed([programs / "migratectl", "provider", "list", "-o", "id"]).splitlines()
    assert "passed" in succeed([programs / "migratectl", "provider", "check", "north-wind", "--only", "secret"])
    assert " passed" in succeed([programs / "pytest", "-p", "no:cacheprovider", "-k", "tcp-sync"], folder)
