"""Fixtures for the tests of fleet runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.postgres import NEEDED, Postgres, programs, served
from migrate_core.fleet._queues import Queues
from migrate_core.fleet.journal import Journal


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
    postgres.allow(monkeypatch)
    return postgres.new_database()


@pytest.fixture(scope="session")
def _journal_in_postgres(postgres: Postgres) -> str:
    """The name of a database with an empty journal; to make all its tables takes as long as a test."""
    url = postgres.new_database()
    with pytest.MonkeyPatch.context() as patch:
        postgres.allow(patch)
        journal = Journal(url)
        journal.prepare()
        Queues(journal).close()
        journal.close()
    return url.rpartition("/")[2]


@pytest.fixture(params=["sqlite", "postgresql"])
def journal(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty journal of each kind."""
    if request.param == "sqlite":
        return str(tmp_path / "fleet.db")
    server: Postgres = request.getfixturevalue("postgres")
    server.allow(monkeypatch)
    return server.new_database(like=request.getfixturevalue("_journal_in_postgres"))
