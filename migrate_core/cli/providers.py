"""``migratectl provider``. Listing loads no plug-in."""

from __future__ import annotations

import inspect
from importlib.metadata import entry_points

import attrs

import migrate_core as mc
from migrate_core.cli.options import Output
from migrate_core.cli.output import Columns, show, show_all
from migrate_core.cli.records import InstalledProviderRecord, OperationRecord, ProviderRecord, SettingRecord
from migrate_core.provider import BaseProvider

__all__ = ["list_", "show_"]

_INSTALLED: Columns = {
    "name": lambda provider: provider.name,
    "distribution": lambda provider: provider.distribution,
    "release": lambda provider: provider.release,
    "simulator": lambda provider: provider.simulator,
}
_ROWS: Columns = {
    "name": lambda provider: provider.name,
    "description": lambda provider: provider.description,
    "contract": lambda provider: provider.contract,
}
_OPERATIONS: Columns = {
    "operation": lambda operation: operation.name,
    "support": lambda operation: operation.support.value,
    "options": lambda operation: operation.options,
    "note": lambda operation: operation.note,
}
_SETTINGS: Columns = {
    "setting": lambda setting: setting.name,
    "default": lambda setting: setting.default,
    "secret": lambda setting: setting.secret,
    "what for": lambda setting: setting.doc,
}


def list_(*, output: Output = Output()) -> None:
    """List the installed providers.

    For example:

        migratectl provider list
    """
    simulators = {found.name for found in entry_points(group="migrate_core.simulators")}
    installed = {
        found.name: InstalledProviderRecord(
            name=found.name,
            distribution=found.dist.name if found.dist else "",
            release=found.dist.version if found.dist else "",
            simulator=found.name in simulators,
        )
        for found in entry_points(group="migrate_core.providers")
    }
    providers = [installed[name] for name in sorted(installed)]
    show_all(providers, output, identity=lambda provider: provider.name, columns=_INSTALLED)


def show_(name: str, /, *, output: Output = Output()) -> None:
    """Show what a provider supports, and its settings.

    For example:

        migratectl provider show huawei-sms

        migratectl provider show vmware-srm -o json --query "operations[?support=='full'].name"

    Parameters
    ----------
    name:
        Name of the provider.
    """
    provider = _declared(mc.provider_class(name.replace("-", "_")))
    parts = {"Operations": (provider.operations, _OPERATIONS), "Settings": (provider.settings, _SETTINGS)}
    show(provider, output, identity=provider.name, rows=_ROWS, parts=parts)


def _declared(cls: type[BaseProvider]) -> ProviderRecord:
    silent = mc.Capability(mc.Support.NOT_IMPLEMENTED)
    said = {operation: cls.capabilities.get(operation, silent) for operation in mc.Operation}
    return ProviderRecord(
        name=cls.name,
        description=(inspect.getdoc(cls) or "").partition("\n")[0],
        contract=cls.contract,
        operations=tuple(
            OperationRecord(name=operation.value, support=one.support, note=one.note, options=one.options)
            for operation, one in said.items()
        ),
        settings=tuple(
            SettingRecord(
                name=field.name,
                doc=field.metadata.get("doc", ""),
                secret=field.metadata.get("secret", False),
                default=field.default if isinstance(field.default, str | int | float) else None,
                variable=f"MIGRATE_{field.name.upper()}",
            )
            for field in attrs.fields(cls.settings_type)
        ),
    )
