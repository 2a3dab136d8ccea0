"""Finding and loading plug-ins by name, with stevedore.

Names are listed without importing anything. A plug-in that is installed but broken is another error than one that is
not there.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from migrate_core._contract import broken_rules
from migrate_core.errors import ConfigurationError, MigrateError, ProviderLoadError, ProviderNotFoundError
from migrate_core.operations import Operation, Support
from migrate_core.provider import BaseProvider
from migrate_core.transports import TransportFactory

if TYPE_CHECKING:  # importing stevedore, or the standard library's metadata, takes longer than all the rest here
    from importlib.metadata import EntryPoint

PROVIDERS = "migrate_core.providers"
SIMULATORS = "migrate_core.simulators"
TRANSPORTS = "migrate_core.transports"


def names(group: str) -> list[str]:
    """List the names of an entry-point group; imports none of them."""
    return sorted(_entry_points(group))


def _entry_points(group: str) -> Mapping[str, EntryPoint]:
    """Find what is installed, by name, in stevedore's cache: reading all metadata anew takes ten times as long."""
    from stevedore import NamedExtensionManager

    return {found.name: found for found in NamedExtensionManager(group, names=[]).list_entry_points()}


def lacking(found: EntryPoint) -> str | None:
    """Give the command that installs what a plug-in lacks: the packages of the extra that its entry point names.

    Args:
        found: an entry point, such as ``acme = "acme:Acme [cloud]"``.

    Returns:
        The command, ``None`` where nothing is lacking. Nothing is imported to find out.
    """
    if not found.extras or not found.dist:
        return None
    wanted = [line.partition(";") for line in found.dist.requires or ()]
    packages = [
        re.split(r"[^A-Za-z0-9._-]", requirement.strip(), maxsplit=1)[0]
        for requirement, _, marker in wanted
        if (extra := re.search(r"""extra\s*==\s*['"]([^'"]+)""", marker)) and extra[1] in found.extras
    ]
    if all(_is_there(package) for package in packages):
        return None
    return f"pip install '{found.dist.name}[{','.join(found.extras)}]'"


def _lacking(group: str, name: str) -> str | None:
    from importlib.metadata import entry_points  # these know their distributions, those of the cache do not

    return next(filter(None, map(lacking, entry_points(group=group, name=name))), None)


def _is_there(package: str) -> bool:
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True


def load(group: str, name: str) -> Any:
    """Load one entry point.

    Raises:
        ProviderNotFoundError: there is none of that name.
        ProviderLoadError: it is there, but its import fails, and the cause is the plug-in's own error; or it lacks
            the packages of its extra.
    """
    from stevedore import DriverManager
    from stevedore.exception import MultipleMatches, NoMatches

    name, found = name.replace("-", "_"), _entry_points(group)
    if name not in found:
        raise ProviderNotFoundError(name, sorted(found))
    if found[name].extras and (command := _lacking(group, name)):
        raise ProviderLoadError(f"{group} {name!r} is not installed with all that it needs: {command}")
    try:
        return DriverManager(group, name, on_missing_entrypoints_callback=None).driver
    except (NoMatches, MultipleMatches) as error:
        raise ProviderLoadError(f"{group} {name!r}: {error}") from error
    except Exception as error:
        raise ProviderLoadError(
            f"{group} {name!r} is installed but cannot be loaded: {type(error).__name__}: {error}"
        ) from error


@functools.cache
def provider_class(name: str) -> type[BaseProvider]:
    """Load a provider, for what it declares: ``settings_type`` and ``capabilities``.

    Args:
        name: name of an installed provider, such as ``huawei_sms``.

    Returns:
        Its class. `connect` makes a client of it.

    Raises:
        ProviderNotFoundError: there is none of that name.
        ProviderLoadError: its import fails, or it is no provider that this release can drive.
    """
    cls = usable(load(PROVIDERS, name), name)
    if cls.name != name.replace("-", "_"):
        raise ProviderLoadError(f"provider {name!r} breaks a rule of the seam: it calls itself {cls.name!r}")
    return cls


def usable(cls: Any, name: str = "") -> type[BaseProvider]:
    """Give the class of a plug-in back if it keeps the rules of the seam.

    Raises:
        ProviderLoadError: it breaks some; all are named.
    """
    if rules := list(broken_rules(cls)):
        what = name or getattr(cls, "__qualname__", type(cls).__name__)
        raise ProviderLoadError(f"provider {what!r} breaks a rule of the seam: {'; '.join(rules)}")
    return cls  # type: ignore[no-any-return]  # it is a class of providers: the first of the rules


def transport_factory(name: str) -> TransportFactory:
    """Load a transport by name."""
    try:
        factory: TransportFactory = load(TRANSPORTS, name)
    except ProviderNotFoundError as error:
        known = ", ".join(error.known)
        raise ConfigurationError(f"no transport is called {name!r}; installed are: {known}") from None
    return factory


def supporters(operation: Operation) -> list[str]:
    """Name the installed providers that offer `operation`; broken ones are passed over."""
    found = []
    for name in names(PROVIDERS):
        try:
            capability = provider_class(name).capabilities.get(operation)
        except MigrateError:
            continue
        if capability and capability.support is Support.FULL:
            found.append(name)
    return found
