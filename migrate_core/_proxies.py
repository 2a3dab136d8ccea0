"""The proxies that the environment names, by the rules of the standard library."""

from __future__ import annotations

import os
import sys
from urllib.parse import unquote, urlsplit

import attrs

from migrate_core.errors import ConfigurationError
from migrate_core.provider import LOOPBACK

_SCHEMES = ("http", "https", "socks5", "socks5h")


@attrs.frozen
class Proxy:
    """A proxy.

    Attributes:
        url: its address, without the login.
        login: user name and password, if it wants them.
    """

    url: str
    login: tuple[str, str] | None = attrs.field(default=None, repr=False)


def proxy_for(origin: str) -> Proxy | None:
    """Find the environment's proxy for an origin; there is none for this machine.

    Raises:
        ConfigurationError: one is named that cannot be one.
    """
    parts = urlsplit(origin)
    if parts.hostname in LOOPBACK or not _may_be_named():
        return None
    import urllib.request  # takes as long to load as twenty calls take, and few have a proxy

    proxies = urllib.request.getproxies()
    named = proxies.get(parts.scheme) or proxies.get("all")
    if not named or any(map(urllib.request.proxy_bypass, (parts.hostname or "", parts.netloc))):
        return None
    try:
        return _proxy(named if "://" in named else f"http://{named}")
    except ValueError:
        # Not `from error`: the URL may hold a password.
        raise ConfigurationError(f"the environment's proxy for {parts.scheme} has no usable URL") from None


def _may_be_named() -> bool:
    """Tell whether the standard library has a place to look at: the system's settings, or a variable."""
    return sys.platform in ("darwin", "win32") or any(name.lower().endswith("_proxy") for name in os.environ)


def _proxy(url: str) -> Proxy:
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise ValueError
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    address = f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")
    login = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    return Proxy(address, login)
