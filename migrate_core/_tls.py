"""Whom a connection trusts. One TLS context for each way to trust serves the whole process: making one is slow."""

from __future__ import annotations

import functools
import hashlib
import os
import ssl
import threading
import warnings
from collections.abc import Callable
from typing import Any

from migrate_core.errors import ConfigurationError
from migrate_core.transports import TransportOptions

_FILE, _FOLDER = "SSL_CERT_FILE", "SSL_CERT_DIR"

_making = threading.Lock()


def context_for(options: TransportOptions) -> ssl.SSLContext:
    """Give the context for whom these options trust.

    A file of authorities that has changed makes another one.

    Raises:
        ConfigurationError: the authorities cannot be read.
    """
    if options.thumbprint:
        return shared(_pinned, options.thumbprint)
    if options.verify is False:
        warnings.warn("TLS certificates are not verified (verify=False)", stacklevel=2)
        return shared(_unverified)
    named = [options.verify] if isinstance(options.verify, str) else map(os.environ.get, (_FILE, _FOLDER))
    try:
        return shared(_verified, options.verify, options.trust_env, *map(_identity, filter(None, named)))
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"{options.verify!r} cannot be read as a CA bundle: {error}") from error


def for_proxies() -> ssl.SSLContext:
    """Give the context for proxies that speak TLS: what endpoints are set to trust says nothing of them."""
    return shared(_known)


def shared(make: Callable[..., ssl.SSLContext], *given: Any) -> ssl.SSLContext:
    """Give the one context of the process that is made in this way."""
    with _making:  # which the cache alone does not do: two threads would make two
        return _made(make, *given)


@functools.lru_cache
def _made(make: Callable[..., ssl.SSLContext], *given: Any) -> ssl.SSLContext:
    """Make a context that threads can share: the HTTP libraries would set its protocols anew for each connection."""
    context = make(*given)
    context.set_alpn_protocols(["http/1.1"])
    context.set_alpn_protocols = lambda alpn_protocols: None  # type: ignore[method-assign]  # on purpose, see above
    return context


class _Socket(ssl.SSLSocket):
    """Closes itself when Ctrl-C ends its handshake: by then nobody else has it."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


def _verified(authorities: bool | str, trust_env: bool, *_: Any) -> ssl.SSLContext:
    file, folder = _authorities(authorities, trust_env)
    context = ssl.create_default_context(cafile=file, capath=folder)
    context.sslsocket_class = _Socket
    return context


def _known() -> ssl.SSLContext:
    import certifi

    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    context.sslsocket_class = _Socket
    return context


def _authorities(named: bool | str, trust_env: bool) -> tuple[str | None, str | None]:
    """Tell whose authorities count: a bundle that is named, else the environment's, else the one of the browsers.

    Returns:
        A file, or a folder.
    """
    import certifi  # httpx brings it

    if isinstance(named, str):
        return named, None
    if trust_env and os.environ.get(_FILE):
        return os.environ[_FILE], None
    if trust_env and os.environ.get(_FOLDER):
        return None, os.environ[_FOLDER]
    return certifi.where(), None


def _identity(path: str) -> Any:
    """Give what changes when the file of that name does."""
    try:
        found = os.stat(path)
    except OSError:
        return path  # whoever reads it says what is wrong
    return path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.sslsocket_class = _Socket
    return context


def _pinned(thumbprint: str) -> ssl.SSLContext:
    """Trust one certificate in place of a chain; it is checked in the handshake, so before anything is sent."""

    def check(certificate: bytes | None) -> None:
        found = hashlib.sha256(certificate or b"").hexdigest()
        if found != thumbprint:
            text = f"the server's certificate has the thumbprint {found}, not the one set"
            raise ssl.SSLCertVerificationError(ssl.SSL_ERROR_SSL, text)

    class PinnedSocket(_Socket):
        def do_handshake(self, block: bool = False) -> None:
            super().do_handshake(block)
            check(self.getpeercert(binary_form=True))

    class PinnedObject(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            check(self.getpeercert(binary_form=True))

    context = _unverified()
    context.sslsocket_class, context.sslobject_class = PinnedSocket, PinnedObject
    return context
