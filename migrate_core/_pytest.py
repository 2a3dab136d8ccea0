"""The plug-in of pytest, loaded in every run of a user's tests: it adds one option, and imports nothing of ours."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("migrate_core.testing.conformance", "migrate_core.testing._conformance")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names the provider to be tested."""
    parser.getgroup("migrate-core").addoption(
        "--migrate-provider",
        metavar="NAME",
        help="Provider for the conformance suite: pytest --migrate-provider NAME --pyargs "
        "migrate_core.testing.conformance",
    )
