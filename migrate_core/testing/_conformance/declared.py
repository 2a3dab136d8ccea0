"""What a provider says of itself."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

import attrs
import pytest

import migrate_core as mc
from migrate_core._contract import broken_rules, overrides
from migrate_core.provider import BaseProvider
from migrate_core.testing._conformance.bench import WITH_ID, Bench, offered
from migrate_core.testing.simulator import Simulator

_SECRET_NAME = re.compile(r"passw|secret|token|private_key|api_key", re.IGNORECASE)


class Declared:
    """The class as it stands, and what it does not offer."""

    def test_the_class_keeps_the_rules_of_the_seam(self, provider: type[BaseProvider], simulator: Simulator) -> None:
        """Forget no class variable, and call the simulator by the provider's name."""
        assert not list(broken_rules(provider))
        assert simulator.name == provider.name, "the simulator and the provider have one name"

    def test_what_is_written_is_declared(self, provider: type[BaseProvider]) -> None:
        """Declare each operation FULL that is written: what works but is not declared is never used."""
        undeclared = [one.value for one in mc.Operation if overrides(provider, one) and not offered(provider, one)]
        assert not undeclared, "these are written, and not declared FULL"

    def test_what_is_not_offered_says_why(self, provider: type[BaseProvider]) -> None:
        """Give each operation that is UNSUPPORTED a note, and each option of the others a name."""
        silent = [
            operation.value
            for operation, capability in provider.capabilities.items()
            if capability.support is mc.Support.UNSUPPORTED and not capability.note
        ]
        assert not silent, "these are UNSUPPORTED without a note"
        for capability in provider.capabilities.values():
            assert all(isinstance(option, str) and option.isidentifier() for option in capability.options)

    def test_what_is_not_offered_raises_and_sends_nothing(self, bench: Bench) -> None:
        """Ask for each operation that is not declared."""
        for operation in mc.Operation:
            if bench.offers(operation):
                continue
            with bench.wire.planned() as sent:
                error = bench.refusal(_without_object(bench, operation))
            assert isinstance(error, mc.UnsupportedOperationError), f"{operation.value} raises {error!r}"
            assert (error.provider, error.operation) == (bench.provider.name, operation)
            assert sent == []

    def test_an_unknown_option_raises_and_sends_nothing(self, bench: Bench) -> None:
        """Refuse an option that is not declared."""
        bench.need(mc.Operation.REGISTER_SOURCE)
        spec = bench.simulator.source_spec()
        with bench.wire.planned() as sent, pytest.raises(mc.UnsupportedOptionError):
            bench.caller(bench.client.sources.register(spec, an_option_of_nobody=True))
        assert sent == []

    def test_everything_public_is_explained(self, provider: type[BaseProvider], simulator: Simulator) -> None:
        """Have a docstring for each module, class and public function, and a text for each setting and control."""
        silent = [setting.name for setting in attrs.fields(provider.settings_type) if not setting.metadata.get("doc")]
        assert not silent, "these settings say not what for"
        silent = [control.name for control in attrs.fields(simulator.controls_type) if not control.metadata.get("doc")]
        assert not silent, "these controls say not what for"
        package = provider.__module__.rpartition(".")[0] or provider.__module__
        modules = {package, provider.__module__, type(simulator).__module__}
        assert not [text for name in sorted(modules) for text in _unexplained(name)], "these have no docstring"

    def test_secret_settings_are_marked(self, provider: type[BaseProvider]) -> None:
        """Mark each setting as secret whose name says that it is."""
        told = [
            setting.name
            for setting in attrs.fields(provider.settings_type)
            if _SECRET_NAME.search(setting.name) and (setting.repr is not False or not setting.metadata.get("secret"))
        ]
        assert not told, "these settings are not marked as secret"


def _without_object(bench: Bench, operation: mc.Operation) -> Any:
    """Prepare an operation that must be refused whatever it is asked for."""
    if operation in WITH_ID:
        return bench.call_with(operation, "an-id")
    if operation is mc.Operation.REGISTER_SOURCE:
        return lambda: bench.client.sources.register(mc.SourceSpec(name="web-1"))
    if operation is mc.Operation.CREATE_PAIRING:
        spec = mc.PairingSpec(remote_url="b.example", remote_username="u", remote_password="p")  # noqa: S106  # invented
        return lambda: bench.client.pairings.create(spec)
    return bench.call(operation)


def _unexplained(module_name: str) -> Iterator[str]:
    module = importlib.import_module(module_name)
    if not inspect.getdoc(module):
        yield module_name
    for name, thing in vars(module).items():
        ours = getattr(thing, "__module__", None) == module_name and not name.startswith("_")
        if ours and inspect.isroutine(thing) and not inspect.getdoc(thing):
            yield f"{module_name}.{name}"
        if ours and inspect.isclass(thing):
            yield from (f"{module_name}.{text}" for text in _unexplained_class(thing))


def _unexplained_class(cls: type) -> Iterator[str]:
    if not cls.__doc__ or cls.__doc__.startswith("Method generated by attrs"):
        yield cls.__qualname__
    for name, member in vars(cls).items():
        if not name.startswith("_") and inspect.isroutine(member) and not inspect.getdoc(getattr(cls, name)):
            yield f"{cls.__qualname__}.{name}"
