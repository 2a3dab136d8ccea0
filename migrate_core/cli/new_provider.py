"""Writing the distribution of a new provider, from the one in ``skeleton/``, whose vendor is called Acme."""

from __future__ import annotations

import keyword
import re
import tempfile
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import migrate_core as mc
from migrate_core.cli.records import WrittenProviderRecord

__all__ = ["write_provider"]

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_PLACEHOLDER = re.compile(r"(?P<distribution>migrate-acme)|(?P<name>acme)|(?P<prefix>Acme(?=[A-Z]))|(?P<title>Acme)")
_TAKEN = ("base", "core")
"""Names that would make a ``BaseProvider`` and a package ``migrate_core``."""


def write_provider(name: str, into: Path) -> WrittenProviderRecord:
    """Write the distribution of a new provider: all of it, or nothing.

    Args:
        name: name of the provider; hyphens become underscores.
        into: where its folder goes.

    Returns:
        What was written.

    Raises:
        InvalidArgumentError: the name cannot be used, or its folder has something in it already.
        OSError: it cannot be written.
    """
    name = name.replace("-", "_")
    _check_name(name)
    forms = _forms(name)
    folder = into / forms["distribution"]
    _check_place(folder)
    written = {_filled(path, forms): _filled(text, forms) for path, text in _skeleton()}
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=into) as workshop:
        draft = Path(workshop, folder.name)
        for path, text in written.items():
            _write(draft / path, text)
        if folder.exists():
            folder.rmdir()  # it is empty, or this fails
        draft.rename(folder)
    return WrittenProviderRecord(name=name, distribution=folder.name, folder=str(folder), files=tuple(written))


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise mc.InvalidArgumentError(
            f"{name!r} cannot be the name of a provider: that is small letters and digits in words that hyphens or "
            "underscores join, such as acme-dr, and begins with a letter"
        )
    if keyword.iskeyword(name) or name in _TAKEN or name.startswith("test"):
        raise mc.InvalidArgumentError(
            f"{name!r} cannot be the name of a provider: Python, pytest or we use it ourselves"
        )
    if name in entry_points(group="migrate_core.providers").names:
        raise mc.InvalidArgumentError(f"a provider {name} is installed already; choose another name")


def _check_place(folder: Path) -> None:
    if not folder.parent.is_dir():
        raise mc.InvalidArgumentError(f"{folder.parent} is no folder")
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise mc.InvalidArgumentError(f"{folder} is there already, and nothing in it was changed")


def _skeleton() -> Iterator[tuple[str, str]]:
    return _texts(files("migrate_core.cli") / "skeleton")


def _texts(folder: Traversable, before: str = "") -> Iterator[tuple[str, str]]:
    """Give path and text of each file in a folder, but for what tools leave behind."""
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_file():
            yield f"{before}{entry.name}", entry.read_text(encoding="utf-8")
        elif "cache" not in entry.name:
            yield from _texts(entry, f"{before}{entry.name}/")


def _forms(name: str) -> Mapping[str, str]:
    """Give the forms of a vendor's name, by the group of `_PLACEHOLDER` that each takes the place of."""
    words = name.split("_")
    capitals = [word.capitalize() for word in words]
    return {
        "distribution": "-".join(["migrate", *words]),
        "name": name,
        "prefix": "".join(capitals),
        "title": " ".join(capitals),
    }


def _filled(text: str, forms: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda found: forms[str(found.lastgroup)], text)


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8", newline="\n")
