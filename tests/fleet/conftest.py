"""Fixtures for the tests of fleet runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.postgres import NEEDED, Postgres, programs, served


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server; whoever stops it starts it again."""
    if programs() is None:
        pytest.fail(NEEDED) if "CI" in os.environ else pytest.skip(NEEDED)
    with served() as server:
        yield server


@pytest.fixture
def database(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an empty database, whose password is in the environment."""
    for name, value in postgres.environ.items():
        monkeypatch.setenv(name, value)
    return postgres.new_database()


@pytest.fixture(params=["sqlite", "postgresql"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty journal of each kind."""
    if request.param == "sqlite":
        return str(tmp_path / "fleet.db")
    url: str = request.getfixturevalue("database")
    return url
