"""From a provider's name and some settings to a client."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from typing import Any

import attrs

from migrate_core._registry import PROVIDERS, names, provider_class, transport_factory
from migrate_core.aio import AsyncClient
from migrate_core.client import Client
from migrate_core.clock import Clock, SystemClock
from migrate_core.errors import ConfigurationError
from migrate_core.provider import BaseProvider, Settings
from migrate_core.transports import TransportFactory, TransportOptions

__all__ = ["connect", "connect_async"]

_PREFIX = "MIGRATE_"


def connect(provider: str | None = None, /, *, clock: Clock | None = None, **settings: Any) -> Client:
    """Make a client for threads. Nothing is sent yet.

    Args:
        provider: name of an installed provider, such as ``huawei_sms``; without it, ``MIGRATE_PROVIDER`` of the
            environment.
        clock: the clock to use in place of the machine's.
        **settings: the provider's settings; one that is not given is taken from ``MIGRATE_<SETTING>`` of the
            environment.

    Returns:
        A client; close it, or use it as a context manager.

    Raises:
        ProviderNotFoundError: no such provider is installed.
        ProviderLoadError: it is installed but broken.
        ConfigurationError: a setting is unknown, missing or impossible.
    """
    plugin, factory, options = _prepare(provider, settings)
    return Client(plugin, factory.open(options), clock or SystemClock())


def connect_async(provider: str | None = None, /, *, clock: Clock | None = None, **settings: Any) -> AsyncClient:
    """Make a client for one event loop, as `connect` does. Nothing is sent yet, and nothing is to be awaited."""
    plugin, factory, options = _prepare(provider, settings)
    return AsyncClient(plugin, factory.open_async(options), clock or SystemClock())


def _prepare(name: str | None, given: Mapping[str, Any]) -> tuple[BaseProvider, TransportFactory, TransportOptions]:
    name = name or os.environ.get(f"{_PREFIX}PROVIDER")
    if not name:
        raise ConfigurationError(
            f"name a provider, or set {_PREFIX}PROVIDER; installed are: {', '.join(names(PROVIDERS))}"
        )
    cls = provider_class(name.replace("-", "_"))
    settings = settings_from(cls.settings_type, given, os.environ)
    plugin = cls(settings)
    factory = settings.transport
    if isinstance(factory, str):
        factory = transport_factory(factory)
    options = TransportOptions(
        endpoints=plugin.endpoints(),
        verify=settings.verify,
        thumbprint=settings.thumbprint,
        trust_env=settings.trust_env,
    )
    return plugin, factory, options


def settings_from(settings_type: type[Settings], given: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    """Collect settings: what was given, then the environment.

    Args:
        settings_type: the settings that exist.
        given: what the caller named; ``None`` counts as not named.
        environ: the environment.

    Raises:
        ConfigurationError: the caller named a setting that does not exist, or one has an impossible value.
    """
    fields = attrs.fields_dict(settings_type)
    for name in given:
        if name not in fields:
            raise ConfigurationError(_unknown(name, list(fields)))
    values = {name: value for name, value in given.items() if value is not None}
    kinds = {fields[name].metadata.get("kind") for name in values} - {"", None}
    for name, field in fields.items():
        kind = field.metadata.get("kind")
        variable = _PREFIX + name.upper()
        if name in values or not environ.get(variable) or (kinds and kind and kind not in kinds):
            continue
        values[name] = environ[variable]
    for name, value in values.items():
        if isinstance(value, str) and not _sendable(value):
            raise ConfigurationError(f"{name} has control characters, or is not valid Unicode text")
    return settings_type(**values)


def _sendable(text: str) -> bool:
    return not any(character < " " or character == "\x7f" or "\ud800" <= character <= "\udfff" for character in text)


def _unknown(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return f"there is no setting {name!r}{hint}; the settings are: {', '.join(known)}"
