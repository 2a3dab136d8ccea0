"""``migratectl provider``. Listing loads no plug-in."""

from __future__ import annotations

import inspect
import shlex
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

import attrs

import migrate_core as mc
from migrate_core._registry import SIMULATORS, lacking, names
from migrate_core.cli.exits import FAILED, OK
from migrate_core.cli.new_provider import write_provider
from migrate_core.cli.options import Output
from migrate_core.cli.output import Columns, show, show_all
from migrate_core.cli.records import InstalledProviderRecord, OperationRecord, ProviderRecord, SettingRecord
from migrate_core.cli.terminal import counting, note
from migrate_core.provider import BaseProvider

__all__ = ["check", "list_", "new", "show_"]

_INSTALLED: Columns = {
    "name": lambda provider: provider.name,
    "distribution": lambda provider: provider.distribution,
    "release": lambda provider: provider.release,
    "simulator": lambda provider: provider.simulator,
    "install with": lambda provider: provider.install,
}
_CHECKS: Columns = {
    "check": lambda check: check.name,
    "verdict": lambda check: check.verdict,
    "ways": lambda check: f"{check.ways - check.failed} of {check.ways}" if check.failed else check.ways,
    "reason": lambda check: check.reason,
}
_WRITTEN: Columns = {
    "name": lambda provider: provider.name,
    "distribution": lambda provider: provider.distribution,
    "folder": lambda provider: provider.folder,
}
_FILES: Columns = {"file": lambda file: file}
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
            install=lacking(found),
        )
        for found in entry_points(group="migrate_core.providers")
    }
    providers = [installed[name] for name in sorted(installed)]
    show_all(providers, output, identity=lambda provider: provider.name, columns=_INSTALLED)


def new(name: str, /, *, into: Path = Path("."), output: Output = Output()) -> None:
    """Write a provider for a new vendor: a distribution of its own, to begin with.

    It works as it is, with a simulator, tests and documentation, for a vendor that is invented; nothing that is there
    already is overwritten.

    For example:

        migratectl provider new acme-dr

        migratectl provider new acme-dr --into ~/src -o json

    Parameters
    ----------
    name:
        What to call the provider, such as acme-dr; its folder is migrate-acme-dr then.
    into:
        The folder to put that folder into.
    """
    written = write_provider(name, into)
    parts = {"Files": (written.files, _FILES)}
    show(written, output, identity=written.folder, rows=_WRITTEN, parts=parts)
    note(f"next:\n  cd {shlex.quote(written.folder)}\n  python -m pip install -e '.[test]'\n  pytest")


def check(name: str, /, *, only: str = "", output: Output = Output()) -> int:
    """Run the conformance suite against a provider and its simulator, and say what each check found.

    Every check runs on both clients and through both doors of the simulator. Ends with 0 if none fails, else with 1.

    For example:

        migratectl provider check huawei-sms

        migratectl provider check vmware-srm --only "a task" -o json

    Parameters
    ----------
    name:
        Name of the provider.
    only:
        Run only the checks that have this text in their name.
    """
    provider = mc.provider_class(name)
    for package in ("starlette", "uvicorn", "pytest"):
        if not find_spec(package):
            raise mc.ConfigurationError("the suite needs pytest: pip install 'migrate-core[simulators]' pytest")
    if provider.name not in names(SIMULATORS):
        raise mc.ConfigurationError(f"{provider.name} has no simulator to be checked against (group {SIMULATORS})")
    from migrate_core.cli.verdicts import verdicts

    with counting(f"checking {provider.name}") as on_check:
        checks = verdicts(provider.name, only=only, on_check=on_check)
    show_all(checks, output, identity=lambda check: check.name, columns=_CHECKS)
    if not any(check.failed for check in checks):
        return OK
    note(f"for details: pytest --migrate-provider {provider.name} --pyargs migrate_core.testing.conformance")
    return FAILED


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
