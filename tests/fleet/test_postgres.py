"""The PostgreSQL server that the other tests use."""

from __future__ import annotations

import psycopg
import pytest

from fleet.postgres import Postgres


def test_it_wants_its_password(database: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(database, password="wrong").close()
    psycopg.connect(database).close()


def test_each_database_is_empty(postgres: Postgres, database: str) -> None:
    for url in (database, postgres.new_database()):
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE orders (line int)")


@pytest.mark.parametrize("way", ["stop", "kill"])
def test_when_it_ends_clients_are_cut_off_and_what_was_committed_is_kept(
    postgres: Postgres, database: str, way: str
) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE orders (line int)")
        getattr(postgres, way)()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(database).close()
    postgres.start()
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT * FROM orders").fetchall() == []
