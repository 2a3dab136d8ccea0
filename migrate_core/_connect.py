"""From a provider's name, a profile and some settings to a client."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from migrate_core._rate import Rate
from migrate_core._registry import PROVIDERS, names, provider_class, transport_factory, usable
from migrate_core.aio import AsyncClient
from migrate_core.client import Client
from migrate_core.clock import Clock, SystemClock
from migrate_core.errors import ConfigurationError, ContractViolationError, MigrateError
from migrate_core.provider import BaseProvider, Settings
from migrate_core.secrets import discreet
from migrate_core.transports import TransportFactory, TransportOptions

if TYPE_CHECKING:
    from migrate_core.profiles import Profile

__all__ = ["connect", "connect_async"]

T = TypeVar("T")

_PREFIX = "MIGRATE_"


@discreet
def connect(
    provider: str | type[BaseProvider] | None = None,
    /,
    *,
    profile: str | None = None,
    clock: Clock | None = None,
    **settings: Any,
) -> Client:
    """Make a client for threads. Nothing is sent yet.

    A setting is taken from the first of these that has it: the argument, ``MIGRATE_<SETTING>`` of the environment, the
    profile, the vendor's own environment and files. Credentials are of one kind: once one of these gives some, those
    of another kind are not looked for any further.

    Args:
        provider: name of an installed provider, such as ``huawei_sms``, or a provider's class; without it, the
            profile's, or ``MIGRATE_PROVIDER`` of the environment.
        profile: name of a profile; without it, ``MIGRATE_PROFILE`` of the environment. Both may be absent.
        clock: the clock to use in place of the machine's.
        **settings: the provider's settings.

    Returns:
        A client; close it, or use it as a context manager.

    Raises:
        ProviderNotFoundError: no such provider is installed.
        ProviderLoadError: it is installed but broken.
        ConfigurationError: a setting is unknown, missing or impossible, or a secret cannot be fetched.
    """
    plugin, factory, options = _prepare(provider, profile, settings)
    return Client(plugin, factory.open(options), clock or SystemClock())


@discreet
def connect_async(
    provider: str | type[BaseProvider] | None = None,
    /,
    *,
    profile: str | None = None,
    clock: Clock | None = None,
    **settings: Any,
) -> AsyncClient:
    """Make a client for one event loop, as `connect` does. Nothing is sent yet, and nothing is to be awaited."""
    plugin, factory, options = _prepare(provider, profile, settings)
    return AsyncClient(plugin, factory.open_async(options), clock or SystemClock())


@discreet
def connect_paced(
    profile: str, rate_of: Callable[[float | None], Rate], clock: Clock | None = None, **settings: Any
) -> AsyncClient:
    """Make a client for one event loop whose requests are spaced by something that others share.

    Args:
        profile: name of a profile.
        rate_of: takes the setting ``rate_limit`` and gives what spaces the requests.
        clock: the clock to use in place of the machine's.
        **settings: the provider's settings.
    """
    plugin, factory, options = _prepare(None, profile, settings)
    rate = rate_of(plugin.settings.rate_limit)
    return AsyncClient(plugin, factory.open_async(options), clock or SystemClock(), rate)


def _prepare(
    name: str | type[BaseProvider] | None, profile_name: str | None, given: Mapping[str, Any]
) -> tuple[BaseProvider, TransportFactory, TransportOptions]:
    cls, profile = chosen(name, profile_name, os.environ)
    settings = settings_from(cls, given, os.environ, profile)
    plugin = _kept(cls, "the constructor", lambda: cls(settings))
    endpoints = _kept(cls, "endpoints()", plugin.endpoints)
    factory = settings.transport
    if isinstance(factory, str):
        factory = transport_factory(factory)
    options = TransportOptions(
        endpoints=endpoints,
        verify=settings.verify,
        thumbprint=settings.thumbprint,
        trust_env=settings.trust_env,
        max_body_bytes=settings.max_body_bytes,
    )
    return plugin, factory, options


def _kept(cls: type[BaseProvider], what: str, ask: Callable[[], T]) -> T:
    """Ask a plug-in for something, and let it raise nothing but our errors."""
    try:
        return ask()
    except MigrateError:
        raise
    except Exception as error:
        raise ContractViolationError(
            cls.name, None, f"{what} raises errors of MigrateError only, not {type(error).__name__}"
        ) from error


@discreet
def chosen(
    provider: str | type[BaseProvider] | None, profile_name: str | None, environ: Mapping[str, str]
) -> tuple[type[BaseProvider], Profile | None]:
    """Find the provider, and the profile if one is named.

    Raises:
        ConfigurationError: neither argument nor environment names a provider, or two that differ.
    """
    profile_name = profile_name or environ.get(f"{_PREFIX}PROFILE")
    profile = _profile(profile_name, environ) if profile_name else None
    cls = usable(provider) if isinstance(provider, type) else None
    name = cls.name if cls else provider.replace("-", "_") if isinstance(provider, str) else None
    if profile and name not in (None, profile.provider):
        raise ConfigurationError(f"profile {profile.name!r} is for {profile.provider}, not for {name}")
    name = name or (profile.provider if profile else None) or environ.get(f"{_PREFIX}PROVIDER")
    if not name:
        raise ConfigurationError(
            f"name a provider or a profile, or set {_PREFIX}PROVIDER or {_PREFIX}PROFILE; installed providers are: "
            f"{', '.join(names(PROVIDERS))}"
        )
    return cls or provider_class(name.replace("-", "_")), profile


def _profile(name: str, environ: Mapping[str, str]) -> Profile:
    from migrate_core.profiles import profile_named  # many connections have none

    return profile_named(name, environ)


@discreet
def settings_from(
    cls: type[BaseProvider], given: Mapping[str, Any], environ: Mapping[str, str], profile: Profile | None = None
) -> Settings:
    """Collect settings: what was given, then the environment, then the profile, then the vendor's own places.

    Args:
        cls: the provider, which says what settings exist.
        given: what the caller named; ``None`` counts as not named.
        environ: the environment.
        profile: a profile for that provider.

    Raises:
        ConfigurationError: a setting that somebody named does not exist, or has an impossible value.
    """
    fields = attrs.fields_dict(cls.settings_type)
    _refuse_unknown(given, fields)
    if profile:
        _refuse_unknown(profile.settings, fields, f"profile {profile.name!r}: ")
    kinds_of = {name: field.metadata.get("kind") for name, field in fields.items()}
    values: dict[str, Any] = {}
    kinds: set[str | None] = set()

    def take(names: Iterable[str], value_of: Callable[[str], Any]) -> None:
        """Add what no earlier place gave, and no credentials of another kind than an earlier place's."""
        wanted = [name for name in names if name not in values and (not kinds or kinds_of[name] in {*kinds, "", None})]
        values.update({name: value_of(name) for name in wanted})
        kinds.update({kinds_of[name] for name in wanted} - {"", None})

    def from_profile(profile: Profile, name: str) -> Any:
        from migrate_core.profiles import fetched

        secret = fields[name].metadata.get("secret", False)
        return fetched(profile, name, secret=secret, environ=environ, vendor=lambda: vendor().get(name))

    vendor = functools.cache(lambda: _kept(cls, "vendor_settings()", lambda: cls.vendor_settings(environ)))
    take([name for name, value in given.items() if value is not None], given.__getitem__)
    take([name for name in fields if environ.get(_variable(name))], lambda name: environ[_variable(name)])
    if profile:
        take(profile.settings, functools.partial(from_profile, profile))
    if any(kinds_of.values()) and not kinds:
        take(vendor(), lambda name: vendor()[name])
    for name, value in values.items():
        if isinstance(value, str) and not _sendable(value):
            raise ConfigurationError(f"{name} has control characters, or is not valid Unicode text")
    return _made(cls, values)


def _made(cls: type[BaseProvider], values: Mapping[str, Any]) -> Settings:
    """Make the settings; what a plug-in's own converter raises may quote what it was given, so it is not repeated."""
    try:
        return cls.settings_type(**values)
    except MigrateError:
        raise
    except Exception as error:
        kind = type(error).__name__
    raise ContractViolationError(cls.name, None, f"a converter of a setting raises ConfigurationError only, not {kind}")


def _variable(name: str) -> str:
    return f"{_PREFIX}{name.upper()}"


def _sendable(text: str) -> bool:
    return not any(character < " " or character == "\x7f" or "\ud800" <= character <= "\udfff" for character in text)


def _refuse_unknown(names: Iterable[str], known: Collection[str], where: str = "") -> None:
    for name in names:
        if name not in known:
            import difflib

            close = difflib.get_close_matches(name, known, n=1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise ConfigurationError(f"{where}there is no setting {name!r}{hint}; the settings are: {', '.join(known)}")
