"""Credentials: keys that are given, or those of the vendor's own chain; both sign each request.

The facts are in ``docs/vendors/aws-mgn.md``, section "Signing".
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import attrs
from botocore.auth import SigV4Auth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import ReadOnlyCredentials, RefreshableCredentials  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError, CredentialRetrievalError  # type: ignore[import-untyped]
from botocore.loaders import create_loader  # type: ignore[import-untyped]
from botocore.session import Session  # type: ignore[import-untyped]

from migrate_core.errors import ConfigurationError
from migrate_core.provider import Request

SERVICE = "mgn"
DATE_FORMAT = "%Y%m%dT%H%M%SZ"

_EARLY_SECONDS = 300.0
"""Keys are renewed this long before they expire: calls that are on their way still find them valid."""


@attrs.frozen
class SigningKey:
    """A key pair that signs requests, with the token that goes with temporary ones."""

    access_key: str
    secret_key: str = attrs.field(repr=False)
    session_token: str | None = attrs.field(default=None, repr=False)
    renewable = False

    def holds(self, now: datetime) -> bool:
        """Tell whether it is good at `now`, as far as we can know."""
        return True

    def headers(self, request: Request, *, origin: str, region: str, now: datetime) -> Mapping[str, str]:
        """Give the headers that sign `request`; all that it has so far are signed."""
        date = now.astimezone(UTC).strftime(DATE_FORMAT)
        added = {"X-Amz-Date": date}
        if self.session_token:
            added["X-Amz-Security-Token"] = self.session_token
        signed = AWSRequest(
            method=request.method,
            url=f"{origin}{request.target}",
            headers={**request.headers, **added},
            data=request.body,
        )
        return {**added, "Authorization": self.authorization(signed, region=region, date=date)}

    def authorization(self, request: AWSRequest, *, region: str, date: str) -> str:
        """Sign a request at `date`; the vendor's own `SigV4Auth.add_auth()` would take the time of its own clock."""
        request.context["timestamp"] = date
        keys = ReadOnlyCredentials(self.access_key, self.secret_key, self.session_token)
        signer = SigV4Auth(keys, SERVICE, region)
        names = signer.signed_headers(signer.headers_to_sign(request))
        signature = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
        return f"AWS4-HMAC-SHA256 Credential={signer.scope(request)}, SignedHeaders={names}, Signature={signature}"


class Chain:
    """The places where the vendor's own tools find their credentials, asked in their order.

    Args:
        profile: the profile of the vendor's files to use, if not the usual one.
    """

    def __init__(self, profile: str | None) -> None:
        self.profile = profile
        self._found: Any = None
        self._key: SigningKey | None = None

    @property
    def renewable(self) -> bool:
        """Whether asking again gives other keys: from a role, a process or a sign-on, not from a file."""
        return isinstance(self._found, RefreshableCredentials)

    def holds(self, now: datetime) -> bool:
        """Tell whether keys were found, and are good for a while after `now`."""
        if self._key is None:
            return False
        if not self.renewable:
            return True
        ahead = (now - datetime.now(UTC)).total_seconds()  # the vendor's library measures with a clock of its own
        return not self._found.refresh_needed(_EARLY_SECONDS + ahead)

    def load(self) -> None:
        """Ask the chain; this reads files, runs programs and talks to services.

        Raises:
            ConfigurationError: it has no keys, or failed.
        """
        reason = "has none"
        try:
            found = Session(profile=self.profile).get_credentials()
            key = found.get_frozen_credentials() if found else None
        except Exception as error:  # processes and services fail in ways that are not the library's own
            key, reason = None, f"failed: {_told(error)}"
        if key is None:
            raise ConfigurationError(
                "aws_mgn lacks credentials: set access_key and secret_key, or MIGRATE_ACCESS_KEY and "
                "MIGRATE_SECRET_KEY in the environment; the vendor's own chain (environment, files, sign-on, process, "
                f"container, instance{f'; profile {self.profile}' if self.profile else ''}) {reason}"
            )
        self._found, self._key = found, SigningKey(key.access_key, key.secret_key, key.token)

    def headers(self, request: Request, *, origin: str, region: str, now: datetime) -> Mapping[str, str]:
        """Give the headers that sign `request`."""
        if self._key is None:
            raise ConfigurationError("no credentials were loaded")
        return self._key.headers(request, origin=origin, region=region, now=now)


def _told(error: Exception) -> str:
    """Say what went wrong, but not what a program has printed: that may be the secret."""
    quotable = isinstance(error, BotoCoreError | ClientError) and not isinstance(error, CredentialRetrievalError)
    return f"{type(error).__name__}: {error}" if quotable else type(error).__name__


def region_of_the_chain(profile: str | None) -> str | None:
    """Find the region that the vendor's own tools would use: in the environment, else in their file.

    Raises:
        ConfigurationError: the file cannot be used, or lacks the profile.
    """
    try:
        return os.environ.get("AWS_REGION") or Session(profile=profile).get_config_variable("region")
    except BotoCoreError as error:
        raise ConfigurationError(f"no region is found where the vendor's tools keep it: {error}") from None


def domain_of(region: str) -> str:
    """Give the domain below which a region's services are, by the vendor's table of partitions."""
    partitions = create_loader().load_data("partitions")["partitions"]
    found = next((one for one in partitions if re.match(one["regionRegex"], region)), partitions[0])
    return str(found["outputs"]["dnsSuffix"])
