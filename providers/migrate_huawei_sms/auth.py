"""Credentials: a token that is given, a token that is fetched, or a key pair that signs each request.

The facts are in ``docs/vendors/huawei-sms.md``, section "Authentication".
"""

from __future__ import annotations

import configparser
import functools
import hashlib
import hmac
import os
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import attrs

from migrate_core.errors import ConfigurationError, MalformedResponseError
from migrate_core.provider import Flow, Request, Response, json_body
from migrate_core.secrets import discreet, private_text

_VARIABLES = {
    "access_key": "HUAWEICLOUD_SDK_AK",
    "secret_key": "HUAWEICLOUD_SDK_SK",
    "security_token": "HUAWEICLOUD_SDK_SECURITY_TOKEN",
    "project_id": "HUAWEICLOUD_SDK_PROJECT_ID",
    "domain_id": "HUAWEICLOUD_SDK_DOMAIN_ID",
}
_FILE = "HUAWEICLOUD_SDK_CREDENTIALS_FILE"
_KEYS = {"access_key": "ak", "secret_key": "sk"}

ALGORITHM = "SDK-HMAC-SHA256"
DATE_FORMAT = "%Y%m%dT%H%M%SZ"
UNSIGNED = "UNSIGNED-PAYLOAD"

_ORDINARY_PATH = re.compile(r"[/A-Za-z0-9_.~-]*")

_EARLY = timedelta(minutes=5)
"""A token is renewed this long before it expires: calls that are on their way still find it valid."""


@attrs.frozen
class GivenToken:
    """A token that the caller brought; it cannot be renewed."""

    token: str = attrs.field(repr=False)
    renewable = False

    def holds(self, now: datetime) -> bool:
        """Tell whether they are good at `now`, as far as we can know."""
        return True

    def headers(self, request: Request, origin: str, now: datetime) -> Mapping[str, str]:
        """Give the headers that authenticate `request`."""
        return {"X-Auth-Token": self.token}


@attrs.define
class FetchedToken:
    """A token of the identity service, fetched with a user's name and password.

    Attributes:
        domain_name: the account that the user belongs to.
        project: the project that the token is for, as ``{"name": …}`` or ``{"id": …}``; the account if empty.
    """

    domain_name: str
    username: str
    password: str = attrs.field(repr=False)
    project: Mapping[str, str]
    renewable = True
    _token: str = attrs.field(default="", repr=False, alias="token")
    _expires: datetime | None = attrs.field(default=None, alias="expires")

    def holds(self, now: datetime) -> bool:
        """Tell whether they are good at `now`, as far as we can know."""
        return bool(self._token) and (self._expires is None or now < self._expires - _EARLY)

    def headers(self, request: Request, origin: str, now: datetime) -> Mapping[str, str]:
        """Give the headers that authenticate `request`."""
        return {"X-Auth-Token": self._token}

    def fetch(self) -> Flow[None]:
        """Log in at the identity service."""
        response = yield self._request()
        self._keep(response.expect(201))

    def _request(self) -> Request:
        return Request(
            method="POST",
            path="/v3/auth/tokens",
            query=(("nocatalog", "true"),),
            headers={"Content-Type": "application/json;charset=utf8"},
            body=json_body({"auth": {"identity": self._identity(), "scope": self._scope()}}),
            repeatable=True,
            endpoint="iam",
        )

    def _identity(self) -> dict[str, Any]:
        user = {"name": self.username, "password": self.password, "domain": {"name": self.domain_name}}
        return {"methods": ["password"], "password": {"user": user}}

    def _scope(self) -> dict[str, Any]:
        return {"project": dict(self.project)} if self.project else {"domain": {"name": self.domain_name}}

    def _keep(self, response: Response) -> None:
        token = response.headers.get("x-subject-token", "")
        if not token or not (token.isascii() and token.isprintable()):
            raise MalformedResponseError("the identity service's answer has no usable X-Subject-Token header")
        expires = _expiry(response)
        self._token, self._expires = token, expires


def _expiry(response: Response) -> datetime | None:
    """Read when the token expires; a token whose end cannot be read is used until it is refused."""
    try:
        moment = datetime.fromisoformat(response.json()["token"]["expires_at"])
    except (MalformedResponseError, KeyError, TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@attrs.frozen
class SigningKey:
    """A key pair that signs each request; it needs no login.

    Attributes:
        security_token: goes with temporary keys.
        project_id: scope of the call; wins over ``domain_id``.
        domain_id: scope of the call.
    """

    access_key: str
    secret_key: str = attrs.field(repr=False)
    security_token: str | None = attrs.field(default=None, repr=False)
    project_id: str | None = None
    domain_id: str | None = None
    renewable = False

    def holds(self, now: datetime) -> bool:
        """Tell whether they are good at `now`, as far as we can know."""
        return True

    def headers(self, request: Request, origin: str, now: datetime) -> Mapping[str, str]:
        """Give the headers that authenticate `request`."""
        return self.sign(
            method=request.method,
            host=urlsplit(origin).netloc,
            path=request.path,
            query=request.query,
            headers=request.headers,
            body=request.body,
            date=_stamp(int(now.timestamp())),
        )

    def sign(
        self,
        *,
        method: str,
        host: str,
        path: str,
        query: Sequence[tuple[str, str]],
        headers: Mapping[str, str],
        body: bytes,
        date: str,
    ) -> dict[str, str]:
        """Give the headers that sign a request.

        Args:
            method: HTTP method.
            host: host, with the port unless it is the scheme's own.
            path: encoded path.
            query: decoded names and values.
            headers: the request's other headers; all are signed but those with an underscore in their name.
            body: the bytes to be sent.
            date: the time to sign with, as ``YYYYMMDDTHHMMSSZ``.

        Returns:
            The headers to add; without ``Host``, which the transport sends.
        """
        added = {"X-Sdk-Date": date}
        if self.project_id:
            added["X-Project-Id"] = self.project_id
        elif self.domain_id:
            added["X-Domain-Id"] = self.domain_id
        if self.security_token:
            added["X-Security-Token"] = self.security_token
        if body and _leaves_body_unsigned(headers):
            added["X-Sdk-Content-Sha256"] = UNSIGNED
        signed = signable({**headers, **added, "Host": host})
        request = canonical_request(method, path, query, signed, body)
        signature = signature_of(self.secret_key, date, request)
        added["Authorization"] = (
            f"{ALGORITHM} Access={self.access_key}, SignedHeaders={';'.join(signed)}, Signature={signature}"
        )
        return added


@functools.lru_cache(16)
def _stamp(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime(DATE_FORMAT)


def signable(headers: Mapping[str, str]) -> dict[str, str]:
    """Pick and order the headers that are signed."""
    return {name.lower(): headers[name].strip() for name in sorted(headers, key=str.lower) if "_" not in name}


def canonical_request(
    method: str, path: str, query: Sequence[tuple[str, str]], signed: Mapping[str, str], body: bytes
) -> str:
    """Write a request in the one form that both sides sign."""
    payload = signed.get("x-sdk-content-sha256") or hashlib.sha256(body).hexdigest()
    lines = [method.upper(), _canonical_path(path), _canonical_query(query)]
    lines += [f"{name}:{value}" for name, value in signed.items()]
    return "\n".join([*lines, "", ";".join(signed), payload])


def signature_of(secret_key: str, date: str, request: str) -> str:
    """Sign a canonical request."""
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = f"{ALGORITHM}\n{date}\n{digest}"
    return hmac.digest(secret_key.encode(), text.encode(), "sha256").hex()


def _canonical_path(path: str) -> str:
    if not _ORDINARY_PATH.fullmatch(path):
        # Decoded before it is split: an encoded slash turns into a plain one, here and in the vendor's own signer.
        path = "/".join(quote(segment, safe="~") for segment in unquote(path).split("/"))
    return path if path.endswith("/") else f"{path}/"


def _canonical_query(query: Sequence[tuple[str, str]]) -> str:
    # Sorted before it is encoded, which matters beyond ASCII.
    return "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in sorted(query))


def _leaves_body_unsigned(headers: Mapping[str, str]) -> bool:
    kind = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
    return bool(kind) and not kind.startswith(("application/json", "application/bson"))


@discreet
def keys_of_the_sdk(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Find the key pair that the vendor's own SDK would sign with: in the environment, else in its file.

    Raises:
        ConfigurationError: the file is there, but not usable, or others can read it.
    """
    found = {name: environ[variable] for name, variable in _VARIABLES.items() if environ.get(variable)}
    if _KEYS.keys() <= found.keys():
        return found
    path = os.path.expanduser(environ.get(_FILE) or "~/.huaweicloud/credentials")
    return _keys_in(Path(path)) if os.path.exists(path) else {}


def _keys_in(path: Path) -> Mapping[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(private_text(path))
    except configparser.Error as error:
        # Not its text, which quotes the line.
        raise ConfigurationError(f"{path} is no file of the SDK's: {type(error).__name__}") from None
    sections: Mapping[str, Mapping[str, str]] = dict(parser)
    for section in ("basic", "global"):
        given = sections.get(section, {})
        found = {name: given[_KEYS.get(name, name)] for name in _VARIABLES if given.get(_KEYS.get(name, name))}
        if _KEYS.keys() <= found.keys():
            return found
    return {}
