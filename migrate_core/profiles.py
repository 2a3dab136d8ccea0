"""Named connections: a TOML file of profiles, each a provider and its settings.

::

    [dr]
    provider = "vmware_srm"
    endpoint = "https://srm.example"
    username = "administrator@vsphere.local"
    password = { keyring = "migrate-core/dr" }

The file lies in the platform's folder for configuration, or where ``MIGRATE_PROFILES_FILE`` says. A secret in it is a
reference (see `migrate_core.secrets`), and any other setting may be one. A secret that stands there itself is refused,
unless the profile says ``insecure_plaintext = true`` and nobody else may read the file.
"""

from __future__ import annotations

import itertools
import os
import re
import stat
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

from migrate_core.errors import ConfigurationError, InvalidArgumentError
from migrate_core.secrets import check_reference, discreet, resolve

__all__ = [
    "Profile",
    "check_name",
    "fetched",
    "load_profiles",
    "profile_named",
    "profiles_path",
    "remove_profile",
    "save_profile",
]

_FILE = "MIGRATE_PROFILES_FILE"
_PLAINTEXT = "insecure_plaintext"
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@attrs.frozen(kw_only=True)
class Profile:
    """A named connection.

    Attributes:
        name: what it is called.
        provider: name of its provider.
        settings: its settings as they stand in the file: values, and references to secrets.
        insecure_plaintext: whether secrets may stand in the file.
    """

    name: str
    provider: str
    settings: Mapping[str, Any] = attrs.field(factory=dict, repr=lambda settings: f"<{', '.join(settings)}>")
    insecure_plaintext: bool = False


@discreet
def profiles_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Tell where the profiles are, whether or not there are any yet.

    Raises:
        ConfigurationError: the platform's folder is not known, for want of the extra ``cli``.
    """
    if environ.get(_FILE):
        return Path(os.path.expanduser(environ[_FILE]))
    try:
        import platformdirs
    except ImportError:
        raise ConfigurationError(
            f"say in {_FILE} where the profiles are; the platform's own folder is known after "
            "pip install 'migrate-core[cli]'"
        ) from None
    return platformdirs.user_config_path("migrate-core", appauthor=False) / "profiles.toml"


@discreet
def load_profiles(path: Path) -> dict[str, Profile]:
    """Read all profiles of a file; none if there is no file.

    Raises:
        ConfigurationError: it is no such file, others may change it, or others may read secrets in it.
    """
    content, mode = _read(path)
    tables = _parsed(content, path)
    profiles = {name: _profile(name, table, path) for name, table in tables.items()}
    if mode & _OTHERS and any(profile.insecure_plaintext for profile in profiles.values()):
        raise ConfigurationError(f"others may read {path}, in which secrets stand ({_PLAINTEXT}); chmod 600 it")
    return profiles


def _parsed(content: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(content)
    except (ValueError, RecursionError) as error:  # also for a number of too many digits
        # Not its text: it may quote the line.
        place = re.search(r"at (line \d+, column \d+|end of document)", str(error))
        raise ConfigurationError(f"{path} is no TOML: see {place[1] if place else 'its syntax'}") from None


def _read(path: Path) -> tuple[str, int]:
    """Read a file that nobody else may change: a profile can run commands."""
    mode = 0
    try:
        with path.open("rb") as file:
            if os.name == "posix":
                mode = _own(os.fstat(file.fileno()), path)
            return file.read().decode(), mode
    except FileNotFoundError:
        return "", 0
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is no text in UTF-8") from None


def _own(status: os.stat_result, path: Path) -> int:
    """Give the mode of a file that only we and the system's administrator may change."""
    if status.st_mode & _OTHERS_WRITE or status.st_uid not in (0, os.geteuid()):
        raise ConfigurationError(
            f"others may change {path}, and a profile can run commands; make it your own and chmod 600 it"
        )
    return status.st_mode


def _profile(name: str, table: Any, path: Path) -> Profile:
    provider = table.get("provider") if isinstance(table, dict) else None
    if not isinstance(provider, str) or not provider:
        raise ConfigurationError(f"{path}: {name} is no profile: a profile is a table that names its provider")
    plaintext = table.get(_PLAINTEXT, False)
    if not isinstance(plaintext, bool):
        raise ConfigurationError(f"{path}: {name}: {_PLAINTEXT} is neither true nor false")
    settings = {key: value for key, value in table.items() if key not in ("provider", _PLAINTEXT)}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            _explained(f"{path}: {name}: {key}", check_reference, value)
    return Profile(name=name, provider=provider.replace("-", "_"), settings=settings, insecure_plaintext=plaintext)


@discreet
def profile_named(name: str, environ: Mapping[str, str] = os.environ) -> Profile:
    """Find a profile.

    Raises:
        ConfigurationError: there is none of that name, or the file is not usable.
    """
    path = profiles_path(environ)
    profiles = load_profiles(path)
    if name not in profiles:
        raise ConfigurationError(f"{path} has no profile {name!r}; it has: {', '.join(profiles) or 'none'}")
    return profiles[name]


@discreet
def fetched(
    profile: Profile, name: str, *, secret: bool, environ: Mapping[str, str], vendor: Callable[[], str | None]
) -> Any:
    """Give one setting of a profile, fetched from where its reference points.

    Args:
        profile: the profile.
        name: the setting.
        secret: whether it is one that may not stand in the file.
        environ: the environment.
        vendor: gives the setting from the vendor's own environment or files.

    Raises:
        ConfigurationError: it stands in the file and may not, or cannot be fetched.
    """
    value = profile.settings[name]
    where = f"profile {profile.name!r}: {name}"
    if isinstance(value, Mapping):
        return _explained(f"{where}:", resolve, value, environ=environ, vendor=vendor)
    if secret and not profile.insecure_plaintext:
        _explained(f"{where} is a secret and", check_reference, None)
    return value


def _explained(where: str, check: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Let an error say which profile and setting it is about."""
    try:
        return check(*args, **kwargs)
    except ConfigurationError as error:
        raise ConfigurationError(f"{where} {error}") from None


def check_name(name: str) -> None:
    """Refuse a name that no profile can have.

    Raises:
        InvalidArgumentError: it is such a name.
    """
    if not _NAME.fullmatch(name):
        raise InvalidArgumentError(f"{name!r} is no name: letters, digits, '_', '.' and '-', at most 64")


@discreet
def save_profile(profile: Profile, path: Path) -> None:
    """Write a profile into a file that only its owner can read, in place of one of the same name.

    All other profiles, and the comments outside of this one, stay as they are.

    Raises:
        InvalidArgumentError: its name is not usable.
        ConfigurationError: a setting is not usable, or the file is not.
    """
    check_name(profile.name)
    table = {"provider": profile.provider, **profile.settings}
    if profile.insecure_plaintext:
        table[_PLAINTEXT] = True
    _profile(profile.name, table, path)
    _change(path, profile.name, table)


@discreet
def remove_profile(name: str, path: Path) -> None:
    """Take a profile out of a file; nothing happens if it is not in it.

    Raises:
        ConfigurationError: the file is not usable.
    """
    if name in load_profiles(path):
        _change(path, name, None)


def _change(path: Path, name: str, table: Mapping[str, Any] | None) -> None:
    """Write one table anew, or take it out, and make sure that nothing else happens to the file."""
    load_profiles(path)
    content, _ = _read(path)
    wanted = {key: value for key, value in _parsed(content, path).items() if key != name}
    if table is not None:
        wanted[name] = table
    try:
        changed = _edited(content, name, table).encode()
        harmless = tomllib.loads(changed.decode()) == wanted
    except ConfigurationError:
        raise
    except Exception:  # an editor of TOML has errors of its own
        harmless = False
    if not harmless:
        raise ConfigurationError(f"{name} cannot be changed in {path} without harm; edit the file by hand")
    _write(path, changed)


def _edited(content: str, name: str, table: Mapping[str, Any] | None) -> str:
    try:
        import tomlkit
    except ImportError:
        raise ConfigurationError("changing profiles needs pip install 'migrate-core[cli]'") from None
    content = content.rstrip()
    document = tomlkit.parse(f"{content}\n" if content else "")
    places = {place: item for place, (key, item) in enumerate(document.body) if key and key.key == name}
    document.pop(name, None)
    for place, item in places.items():
        document.body[place] = (None, tomlkit.ws(_last_comments(item.as_string())))
    if table is not None:
        document.append(name, _written(table))
    return document.as_string()


def _last_comments(text: str) -> str:
    """Give the comments at the end of a table: they are about the one that follows."""
    lines = text.splitlines(keepends=True)
    comments = itertools.takewhile(lambda line: not line.strip() or line.lstrip().startswith("#"), reversed(lines))
    return "".join(reversed(list(comments)))


def _written(settings: Mapping[str, Any]) -> Any:
    import tomlkit

    table = tomlkit.table()
    for key, value in settings.items():
        reference = isinstance(value, Mapping)
        table[key] = tomlkit.inline_table() if reference else value
        if reference:
            table[key].update(value)
    return table


def _write(path: Path, content: bytes) -> None:
    """Replace a file in one step, so that whoever reads it meanwhile reads the old one or the new one."""
    path = path.resolve()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with open(descriptor, "wb") as file:
                file.write(content)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from None
