"""``migratectl profile``."""

from __future__ import annotations

import getpass
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import attrs
from cyclopts import Parameter

import migrate_core as mc
from migrate_core.cli.exits import OK, PARTLY_FAILED, exit_code
from migrate_core.cli.options import Connection, Output, Sure
from migrate_core.cli.output import Columns, show, show_all
from migrate_core.cli.records import ProfileRecord, ProfileSettingRecord
from migrate_core.cli.terminal import note
from migrate_core.profiles import (
    Profile,
    check_name,
    load_profiles,
    profile_named,
    profiles_path,
    remove_profile,
    save_profile,
)
from migrate_core.provider import BaseProvider
from migrate_core.secrets import parse_reference, resolve, store, told

__all__ = ["add", "check", "list_", "remove", "show_"]

_HIDDEN = "***"
_KEYRING = "migrate-core"

_PROFILES: Columns = {
    "name": lambda profile: profile.name,
    "provider": lambda profile: profile.provider,
    "settings": lambda profile: [setting.name for setting in profile.settings],
}
_ROWS: Columns = {
    "name": lambda profile: profile.name,
    "provider": lambda profile: profile.provider,
}
_SETTINGS: Columns = {
    "setting": lambda setting: setting.name,
    "value": lambda setting: setting.value if setting.reference is None else f"from {setting.reference}",
}
_CHECKS: Columns = {
    "check": lambda check: check.name,
    "result": lambda check: check.result.value,
    "message": lambda check: check.message,
}


def add(
    name: str,
    /,
    *,
    provider: str,
    settings: Annotated[tuple[str, ...], Parameter(name="--set", negative=())] = (),
    secrets: Annotated[tuple[str, ...], Parameter(name="--secret", negative=())] = (),
    ask: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    replace: Annotated[bool, Parameter(negative=())] = False,
    output: Output = Output(),
) -> None:
    """Add a named connection.

    A secret is never given here, only where it is: env:NAME, keyring:SERVICE/USER, file:PATH, "command:PROGRAM
    ARGUMENTS", or vendor for the vendor's own environment and files.

    For example:

        migratectl profile add cloud --provider huawei-sms --set region=ap-southeast-3 --secret access_key=vendor
        --secret secret_key=vendor

        migratectl profile add dr --provider vmware-srm --set endpoint=https://srm.example
        --set username=administrator@vsphere.local --ask password

    Parameters
    ----------
    name:
        What to call it.
    provider:
        Name of the provider.
    settings:
        A setting, as KEY=VALUE; may be repeated. `migratectl provider show` lists the settings.
    secrets:
        Where a secret is, as KEY=REFERENCE; may be repeated.
    ask:
        A secret to ask for, without echo, and to keep in the platform's keyring; may be repeated.
    replace:
        Replace a profile of that name.
    """
    check_name(name)
    cls = mc.provider_class(provider.replace("-", "_"))
    path = profiles_path()
    if name in load_profiles(path) and not replace:
        raise mc.InvalidArgumentError(f"there is a profile {name!r} already; --replace replaces it")
    kept = {key: f"{_KEYRING}/{name}/{key}" for key in _to_ask(ask, cls)}
    _check_names(cls, [*_keys(settings), *_keys(secrets), *kept])
    found = dict(_values(settings, cls))
    found |= {key: _reference(key, where) for key, where in map(_pair, secrets)}
    found |= {key: {"keyring": where} for key, where in kept.items()}
    profile = Profile(name=name, provider=cls.name, settings=found)
    _save(profile, path, {where: _asked(key) for key, where in kept.items()})
    note(f"{path} has it now; try it with: migratectl profile check {name}")
    show(_record(profile), output, identity=name, rows=_ROWS, parts=_parts(profile))


def _pair(assignment: str) -> tuple[str, str]:
    key, equals, value = assignment.partition("=")
    if not equals or not key:
        # Not repeated: it may be a secret.
        raise mc.InvalidArgumentError("--set takes KEY=VALUE and --secret takes KEY=REFERENCE")
    return key.replace("-", "_"), value


def _keys(assignments: Iterable[str]) -> list[str]:
    return [_pair(assignment)[0] for assignment in assignments]


def _check_names(cls: type[BaseProvider], names: Sequence[str]) -> None:
    known = attrs.fields_dict(cls.settings_type)
    for name in names:
        if name not in known:
            raise mc.InvalidArgumentError(f"{cls.name} has no setting {name!r}; its settings are: {', '.join(known)}")
        if names.count(name) > 1:
            raise mc.InvalidArgumentError(f"{name} is given twice")


def _secret_names(cls: type[BaseProvider]) -> set[str]:
    return {field.name for field in attrs.fields(cls.settings_type) if field.metadata.get("secret")}


def _values(assignments: Iterable[str], cls: type[BaseProvider]) -> Iterator[tuple[str, Any]]:
    """Check each setting; what is no text is kept as what it is."""
    for key, value in map(_pair, assignments):
        if key in _secret_names(cls):
            raise mc.InvalidArgumentError(
                f"{key} is a secret, and a command line is no place for one: "
                f"use --secret {key}=REFERENCE or --ask {key}"
            )
        if _without_user(value) != value:
            raise mc.InvalidArgumentError(f"{key} is a URL with a user in it, and a profile is no place for a password")
        try:
            given: dict[str, Any] = {key: value}
            converted = getattr(cls.settings_type(**given), key)
        except mc.ConfigurationError as error:
            raise mc.InvalidArgumentError(str(error)) from None
        yield key, converted if isinstance(converted, bool | int | float) else value


def _reference(key: str, where: str) -> dict[str, Any]:
    try:
        return parse_reference(where)
    except mc.ConfigurationError as error:
        raise mc.InvalidArgumentError(f"--secret {key} {error}") from None


def _to_ask(names: Iterable[str], cls: type[BaseProvider]) -> list[str]:
    keys = [name.replace("-", "_") for name in names]
    if any("=" in key for key in keys):
        # Not repeated: what follows is a secret.
        raise mc.InvalidArgumentError("--ask takes the name of a secret alone, and asks for the secret")
    for key in keys:
        if key in attrs.fields_dict(cls.settings_type) and key not in _secret_names(cls):
            raise mc.InvalidArgumentError(f"--ask is for secrets, and {key} is none; use --set")
    return keys


def _save(profile: Profile, path: Path, secrets: Mapping[str, str]) -> None:
    """Save a profile, and its secrets in the keyring; neither without the other."""
    old = load_profiles(path).get(profile.name)
    kept = _in_keyring(old)
    before = {where: _known(where) for where in secrets if where in kept}
    try:
        for where, secret in secrets.items():
            store(where, secret)
        save_profile(profile, path)
    except mc.ConfigurationError:
        for where in secrets:
            with suppress(mc.ConfigurationError):  # then the first error is the one to tell
                store(where, before.get(where))
        raise
    for where in kept - _in_keyring(profile):
        store(where, None)


def _known(where: str) -> str | None:
    with suppress(mc.ConfigurationError):
        return resolve({"keyring": where}, environ={})
    return None


def _in_keyring(profile: Profile | None) -> set[str]:
    """Name what `--ask` put into the keyring for a profile."""
    settings = profile.settings if profile else {}
    ours = {key: f"{_KEYRING}/{profile.name}/{key}" for key in settings} if profile else {}
    return {where for key, where in ours.items() if settings[key] == {"keyring": where}}


def _asked(key: str) -> str:
    """Ask for a secret; in a pipe, take a line of stdin."""
    try:
        given = getpass.getpass(f"{key}: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    except EOFError:
        given = ""
    if not given:
        raise mc.InvalidArgumentError(f"no {key} was given")
    return given


def list_(*, output: Output = Output()) -> None:
    """List the profiles.

    For example:

        migratectl profile list
    """
    profiles = [_record(profile) for profile in load_profiles(profiles_path()).values()]
    show_all(profiles, output, identity=lambda profile: profile.name, columns=_PROFILES)


def show_(name: str, /, *, output: Output = Output()) -> None:
    """Show a profile: its settings, and where its secrets are.

    For example:

        migratectl profile show dr

    Parameters
    ----------
    name:
        Its name.
    """
    profile = profile_named(name)
    show(_record(profile), output, identity=name, rows=_ROWS, parts=_parts(profile))


def _parts(profile: Profile) -> Mapping[str, Any]:
    return {"Settings": (_record(profile).settings, _SETTINGS)}


def _record(profile: Profile) -> ProfileRecord:
    try:
        fields = attrs.fields_dict(mc.provider_class(profile.provider).settings_type)
    except mc.ConfigurationError:
        fields = {}  # then nobody knows what is secret
    return ProfileRecord(
        name=profile.name,
        provider=profile.provider,
        settings=tuple(_setting(name, value, fields) for name, value in profile.settings.items()),
    )


def _setting(name: str, value: Any, fields: Mapping[str, attrs.Attribute[Any]]) -> ProfileSettingRecord:
    secret = name not in fields or bool(fields[name].metadata.get("secret"))
    if isinstance(value, Mapping):
        return ProfileSettingRecord(name=name, reference=told(value), secret=secret)
    return ProfileSettingRecord(name=name, value=_HIDDEN if secret else _without_user(value), secret=secret)


def _without_user(value: Any) -> Any:
    """Hide a password that somebody put into a URL, where we refuse it later."""
    return re.sub(r"//[^/@]*@", f"//{_HIDDEN}@", value) if isinstance(value, str) else value


def check(
    name: str,
    /,
    *,
    verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], negative=())] = False,
    output: Output = Output(),
) -> int:
    """Connect with a profile, log in, and say what works. Nothing is changed.

    Ends with 0 if all works, and with 5 if only a part does.

    For example:

        migratectl profile check dr

    Parameters
    ----------
    name:
        Its name.
    verbose:
        Say on stderr what is sent and what comes back; never what is secret.
    """
    profile_named(name)
    with Connection(profile=name, verbose=verbose).open() as client:
        checks = client.check()
    show_all(checks, output, identity=lambda check: check.name, columns=_CHECKS)
    failed = [check.code for check in checks if check.result is mc.CheckResult.ERROR]
    if not failed:
        return OK
    if any(check.result is mc.CheckResult.OK for check in checks):
        return PARTLY_FAILED
    return exit_code(getattr(mc, failed[0], mc.MigrateError))  # a plug-in may have errors of its own


def remove(name: str, /, *, sure: Sure = Sure()) -> None:
    """Remove a profile, and what `profile add --ask` put into the keyring for it.

    For example:

        migratectl profile remove dr --yes

    Parameters
    ----------
    name:
        Its name.
    """
    profile = profile_named(name)
    sure.confirm(f"Remove profile {name}?")
    remove_profile(name, profiles_path())
    for where in _in_keyring(profile):
        store(where, None)
