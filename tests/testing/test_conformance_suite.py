"""The conformance suite finds what it is meant to find: a sound provider passes, and each fault has its check."""

from __future__ import annotations

import ast
import functools
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from migrate_acme import AcmeProvider
from migrate_acme.simulator import AcmeSimulator

import migrate_core as mc
from migrate_core.provider import BaseProvider
from migrate_core.testing import Simulator, VirtualClock, serve
from migrate_core.testing.conformance import ProviderConformance
from support import ROOT
from testing.broken import VARIANTS, Variant

CHECKS = {name for name in dir(ProviderConformance) if name.startswith("test_")}


class TestSound(ProviderConformance):
    """The provider without a fault, before each of the others."""

    @pytest.fixture
    def simulator(self) -> Simulator:
        return AcmeSimulator(clock=VirtualClock())

    @pytest.fixture
    def provider(self) -> type[BaseProvider]:
        return AcmeProvider


def failing(check: Callable[..., Any]) -> Callable[..., Any]:
    """Want a check to fail, in each of its ways; to be skipped is not to fail."""

    @functools.wraps(check)
    def wanted(*arguments: Any, **fixtures: Any) -> None:
        try:
            check(*arguments, **fixtures)
        except pytest.skip.Exception as skipped:
            raise RuntimeError("the check does not apply to this variant") from skipped

    return pytest.mark.xfail(strict=True, raises=(AssertionError, pytest.fail.Exception, mc.MigrateError))(wanted)


def broken(variant: Variant) -> type[ProviderConformance]:
    """Make the suite for a variant: the check that is meant for it, which must fail."""

    class Broken(ProviderConformance):
        longest_step = 0.05

        @pytest.fixture
        def simulator(self) -> Simulator:
            return variant.simulator(clock=VirtualClock())

        @pytest.fixture
        def provider(self) -> type[BaseProvider]:
            return variant.provider

    for name in CHECKS:
        setattr(Broken, name, failing(getattr(ProviderConformance, name)) if name == variant.name else None)
    if variant.name == "test_a_task_is_taken_up_by_another_process":
        Broken.tcp = served  # the only door that another process has
    return Broken


@pytest.fixture
def served(self: Any, simulator: Simulator) -> Iterator[bool]:
    with serve(simulator):
        yield True


for _variant in VARIANTS:
    _name = f"Test{_variant.fault.title().replace(' ', '').replace(chr(39), '')}"
    globals()[_name] = type(_name, (broken(_variant),), {})


def test_every_variant_names_a_check_that_exists() -> None:
    assert {variant.name for variant in VARIANTS} <= CHECKS
    assert [fault for fault, count in Counter(variant.fault for variant in VARIANTS).items() if count > 1] == []
    assert len(VARIANTS) >= 20


@pytest.mark.parametrize(
    "path", sorted((ROOT / "tests" / "providers").glob("*/test_conformance.py")), ids=lambda path: path.parent.name
)
def test_no_provider_of_ours_overrides_a_check(path: Path) -> None:
    written = {node.name for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.FunctionDef)}
    assert written == {"simulator"}


def test_the_page_has_every_fault_with_the_check_that_finds_it() -> None:
    page = (ROOT / "docs" / "reference" / "conformance.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+?) +\| (.+?) +\|$", page, re.MULTILINE)
    assert [(variant.fault, variant.check) for variant in VARIANTS] == [
        row for row in rows if row in {(variant.fault, variant.check) for variant in VARIANTS}
    ]
