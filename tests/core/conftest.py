"""Fixtures for the tests of the transports."""

from __future__ import annotations

import pytest

from transports import Trust


@pytest.fixture(params=["httpx", "fast"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, _plain_environment: None) -> str:
    """The transport, for whoever does not name one."""
    name: str = request.param
    monkeypatch.setenv("MIGRATE_TRANSPORT", name)
    return name


@pytest.fixture(scope="session")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    """An authority that nobody knows."""
    return Trust(tmp_path_factory.mktemp("trust"))
