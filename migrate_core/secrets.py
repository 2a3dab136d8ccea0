"""Secrets by reference: a profile says where a secret is, and never what it is.

A reference is a table with one key::

    password = { env = "SRM_PASSWORD" }                  # a variable of the environment
    password = { keyring = "migrate-core/dr" }           # service and user in the platform's keyring
    password = { file = "~/.secrets/srm" }               # a file that nobody else may read
    password = { command = ["pass", "show", "srm"] }     # what a program prints, run without a shell
    secret_key = { vendor = true }                       # from the vendor's own environment or files

No error of this module says more of a secret than where it was looked for.
"""

from __future__ import annotations

import functools
import os
import re
import stat
import traceback
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, ParamSpec, TypeVar

from migrate_core.errors import ConfigurationError

__all__ = ["KINDS", "check_reference", "discreet", "parse_reference", "private_text", "resolve", "store", "told"]

P = ParamSpec("P")
T = TypeVar("T")

_COMMAND_SECONDS = 60.0
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_TRUSTWORTHY = 1
_UNUSABLE = "[\0\ud800-\udfff]"  # compiled when it is used first


def discreet(function: Callable[P, T]) -> Callable[P, T]:
    """Let the errors of a function leave without what it worked on.

    A crash reporter shows the local variables of a traceback, and the errors that came before. Where secrets are
    fetched these hold secrets, so they are cleared; the lines of the traceback stay, and so does a cause.
    """

    @functools.wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            del args, kwargs
            traceback.clear_frames(error.__traceback__)
            error.__context__ = None
            raise

    return guarded


@discreet
def check_reference(reference: Any) -> str:
    """Check the form of a reference.

    Args:
        reference: what stands in a profile.

    Returns:
        Its kind, one of `KINDS`.

    Raises:
        ConfigurationError: it is no reference; the text does not repeat it.
    """
    if not isinstance(reference, Mapping) or len(reference) != 1 or next(iter(reference)) not in KINDS:
        raise ConfigurationError(f'takes a reference, such as {{ env = "NAME" }}; there are: {", ".join(KINDS)}')
    kind, where = next(iter(reference.items()))
    rule, holds = _FORMS[kind]
    if not holds(where):
        raise ConfigurationError(f"{kind} takes {rule}")
    return str(kind)


@discreet
def parse_reference(text: str) -> dict[str, Any]:
    """Read a reference as it is written on a command line.

    Args:
        text: ``env:NAME``, ``keyring:SERVICE/USER``, ``file:PATH``, ``command:PROGRAM ARGUMENTS`` or ``vendor``.

    Returns:
        The reference as a profile holds it.

    Raises:
        ConfigurationError: it is none; the text does not repeat it, since it may be the secret itself.
    """
    kind, _, where = text.partition(":")
    values: Mapping[str, Callable[[], Any]] = {
        "command": lambda: _words(where),
        "vendor": lambda: not where,
    }
    if kind not in KINDS:
        raise ConfigurationError(f"takes a reference, such as env:NAME; there are: {', '.join(KINDS)}")
    reference = {kind: values.get(kind, lambda: where)()}
    check_reference(reference)
    return reference


def _words(text: str) -> list[str]:
    import shlex

    try:
        return shlex.split(text)
    except ValueError:
        return []


def told(reference: Mapping[str, Any]) -> str:
    """Say where a secret is, in a few words; of a command only the program, for its arguments may be secret."""
    kind, where = next(iter(reference.items()))
    if kind == "command":
        return f"command {where[0]}" + (" …" if len(where) > 1 else "")
    return "vendor" if kind == "vendor" else f"{kind} {where}"


@discreet
def resolve(
    reference: Mapping[str, Any], *, environ: Mapping[str, str], vendor: Callable[[], str | None] = lambda: None
) -> str:
    """Fetch a secret.

    Args:
        reference: says where it is.
        environ: the environment.
        vendor: gives it from the vendor's own environment or files.

    Returns:
        The secret, without line ends around it.

    Raises:
        ConfigurationError: it is not there, or may not be used; the text says where it was looked for.
    """
    kind = check_reference(reference)
    where = reference[kind]
    match kind:
        case "env":
            return environ.get(where) or _missing(f"the environment has no variable {where}")
        case "keyring":
            return _from_keyring(where)
        case "file":
            return private_text(os.path.expanduser(where)).strip("\r\n") or _missing(f"{where} is empty")
        case "command":
            return _from_command(where)
    return vendor() or _missing("the vendor's own environment and files do not have it")


def _missing(text: str) -> NoReturn:
    raise ConfigurationError(text)


@discreet
def private_text(path: str | os.PathLike[str]) -> str:
    """Read a file that nobody else may read.

    Raises:
        ConfigurationError: it cannot be read, or others can read it.
    """
    try:
        with open(path, "rb") as file:
            if os.name == "posix" and os.fstat(file.fileno()).st_mode & _OTHERS:
                raise ConfigurationError(f"others may read {path}; chmod 600 it")
            content = file.read()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {_reason(error)}") from None
    return _decoded(content, str(path))


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _decoded(content: bytes, origin: str) -> str:
    try:
        return content.decode("utf-8-sig")  # some editors begin a file with a mark that nobody sees
    except UnicodeDecodeError:
        raise ConfigurationError(f"{origin} does not give text in UTF-8") from None


def _from_command(words: list[str]) -> str:
    import subprocess  # few secrets come from a program

    origin = f"the command {words[0]}"
    try:
        done = subprocess.run(  # noqa: S603  # the user's own words, without a shell
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=_COMMAND_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise ConfigurationError(f"{origin} took longer than {_COMMAND_SECONDS:g} s") from None
    except OSError as error:
        raise ConfigurationError(f"{origin} cannot be run: {_reason(error)}") from None
    if done.returncode:
        raise ConfigurationError(f"{origin} ended with {done.returncode}")
    return _decoded(done.stdout, origin).strip("\r\n") or _missing(f"{origin} printed nothing")


def _from_keyring(where: str) -> str:
    service, _, user = where.rpartition("/")
    found = _with_keyring(lambda keyring: keyring.get_password(service, user))
    return str(found) if found else _missing(f"the keyring has no entry {service!r} for {user!r}")


@discreet
def store(where: str, secret: str | None) -> None:
    """Keep a secret in the platform's keyring, or forget it.

    Args:
        where: service and user, as in a reference.
        secret: what to keep; ``None`` forgets what is there, if anything is.

    Raises:
        ConfigurationError: there is no keyring that keeps a secret, or it refused.
    """
    check_reference({"keyring": where})
    service, _, user = where.rpartition("/")

    def change(keyring: Any) -> None:
        if secret is not None:
            keyring.set_password(service, user, secret)
        elif keyring.get_password(service, user) is not None:
            keyring.delete_password(service, user)

    _with_keyring(change)


def _with_keyring(use: Callable[[Any], Any]) -> Any:
    try:
        return use(_keyring())
    except ConfigurationError:
        raise
    except Exception as error:  # each backend has errors of its own, and their texts may say anything
        raise ConfigurationError(f"the keyring failed: {type(error).__name__}") from None


def _keyring() -> Any:
    """Pick the platform's keyring, but none that keeps secrets in the clear, as those of `keyrings.alt` do."""
    try:
        import keyring
        from keyring.backends.chainer import ChainerBackend
    except ImportError:
        raise ConfigurationError("a keyring needs pip install 'migrate-core[cli]'") from None
    chosen = keyring.get_keyring()
    for backend in chosen.backends if isinstance(chosen, ChainerBackend) else (chosen,):
        if backend.priority >= _TRUSTWORTHY and not _keeps_in_the_clear(type(backend)):
            return backend
    kind = type(chosen)
    raise ConfigurationError(f"{kind.__module__}.{kind.__qualname__} is no keyring that keeps a secret")


def _keeps_in_the_clear(kind: type) -> bool:
    return any(f"{base.__module__}.".startswith("keyrings.alt.") for base in kind.__mro__)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value) and not re.search(_UNUSABLE, value)


_FORMS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "env": ("the name of a variable", lambda value: _is_text(value) and "=" not in value),
    "keyring": (
        'service and user, such as "migrate-core/dr"',
        lambda value: _is_text(value) and all(value.rpartition("/")[::2]),
    ),
    "file": ("a path", _is_text),
    "command": (
        'a list of words, such as ["pass", "show", "dr"]',
        lambda value: isinstance(value, list) and bool(value) and all(map(_is_text, value)),
    ),
    "vendor": ("true", lambda value: value is True),
}
KINDS = tuple(_FORMS)
"""The kinds of reference."""
