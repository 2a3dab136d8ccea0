"""The operations of Huawei Cloud SMS.

Paths, bodies and answers are those of ``docs/vendors/huawei-sms.md``, section "Operations".
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

import attrs

from migrate_core.errors import (
    ApiError,
    AuthenticationError,
    ConfigurationError,
    Fault,
    IncompleteDocumentWarning,
    InvalidArgumentError,
    InvalidDocumentError,
    MalformedResponseError,
    OutcomeUnknownError,
    UnsupportedOptionError,
)
from migrate_core.models import SourceServer, SourceSpec
from migrate_core.operations import Capability, Operation, Support
from migrate_core.provider import (
    BaseProvider,
    Flow,
    Page,
    Request,
    Response,
    Settings,
    TaskInfo,
    json_body,
    origin,
    setting,
    url_path,
)
from migrate_huawei_sms import mapping
from migrate_huawei_sms.auth import FetchedToken, GivenToken, SigningKey, keys_of_the_sdk

REGIONS: Mapping[str, str] = {
    "ap-southeast-3": "https://sms.ap-southeast-3.myhuaweicloud.com",
    "cn-north-4": "https://sms.cn-north-4.myhuaweicloud.com",
    "my-kualalumpur-1": "https://sms.my-kualalumpur-1.myhuaweicloud.com",
    "ru-moscow-1": "https://sms-api.ru-moscow-1.myhuaweicloud.com",
}
"""Where the service is published; one endpoint serves all target regions of its site."""

_SITE = ".myhuaweicloud.com"
_LONGEST_ID = 255
_JSON = {"Content-Type": "application/json"}
_PAGE = 200

_FULL = Capability(Support.FULL)
_NO_PAIRINGS = Capability(Support.UNSUPPORTED, "Huawei Cloud SMS has no pairings: a source has at most one target")
_NO_TASKS = Capability(
    Support.UNSUPPORTED, "Huawei Cloud SMS finishes each change before it answers; its tasks are replications"
)


@attrs.frozen(kw_only=True)
class HuaweiSmsSettings(Settings):
    """Settings of a connection to Huawei Cloud SMS."""

    endpoint: str | None = setting(doc="Origin of the service, such as https://sms.cn-north-4.myhuaweicloud.com.")
    region: str | None = setting(doc=f"In place of an endpoint: {', '.join(REGIONS)}.")
    token: str | None = setting(doc="An IAM token.", secret=True, kind="token")
    iam_endpoint: str | None = setting(doc="Origin of the identity service, if not the region's own.")
    domain_name: str | None = setting(doc="Name of the account, to fetch a token.", kind="login")
    username: str | None = setting(doc="Name of the IAM user, to fetch a token.", kind="login")
    password: str | None = setting(doc="Password of the IAM user.", secret=True, kind="login")
    project_name: str | None = setting(doc="Project to scope the token to, such as cn-north-4.", kind="login")
    access_key: str | None = setting(doc="Access key (AK) to sign with.", kind="key")
    secret_key: str | None = setting(doc="Secret key (SK) to sign with.", secret=True, kind="key")
    security_token: str | None = setting(doc="Security token of temporary keys.", secret=True, kind="key")
    project_id: str | None = setting(doc="Project that a signed call, or a fetched token, is scoped to.")
    domain_id: str | None = setting(doc="Account that a signed call is scoped to.")


class HuaweiSmsProvider(BaseProvider):
    """Huawei Cloud Server Migration Service.

    Registering reports the facts of a machine, as the vendor's agent does. A source that is registered so has no agent
    behind it: it can be described and checked, not migrated.
    """

    name = mapping.NAME
    contract = 3
    settings_type = HuaweiSmsSettings
    settings: HuaweiSmsSettings
    capabilities: ClassVar[Mapping[Operation, Capability]] = {
        Operation.REGISTER_SOURCE: Capability(
            Support.FULL, "Reports the machine's facts, as the agent does.", options=("allow_incomplete",)
        ),
        Operation.DESCRIBE_SOURCE: _FULL,
        Operation.LIST_SOURCES: _FULL,
        Operation.DELETE_SOURCE: Capability(Support.FULL, "Deletes the record; source and target servers stay."),
        Operation.UNLOCK_TARGET: Capability(
            Support.FULL, "Takes the id of the migration task; some regions no longer publish the call."
        ),
        Operation.CREATE_PAIRING: _NO_PAIRINGS,
        Operation.DESCRIBE_PAIRING: _NO_PAIRINGS,
        Operation.LIST_PAIRINGS: _NO_PAIRINGS,
        Operation.DELETE_PAIRING: _NO_PAIRINGS,
        Operation.GET_TASK: _NO_TASKS,
        Operation.LIST_TASKS: _NO_TASKS,
        Operation.CANCEL_TASK: _NO_TASKS,
    }

    def __init__(self, settings: HuaweiSmsSettings) -> None:
        super().__init__(settings)
        self._credentials = _credentials(settings)

    @classmethod
    def vendor_settings(cls, environ: Mapping[str, str]) -> Mapping[str, str]:
        return keys_of_the_sdk(environ)

    def endpoints(self) -> Mapping[str, str]:
        settings = self.settings
        main = origin(_endpoint(settings), verify=settings.verify)
        if not isinstance(self._credentials, FetchedToken):
            return {"main": main}
        return {"main": main, "iam": origin(_iam_endpoint(settings, main), verify=settings.verify)}

    def error_from(self, response: Response) -> ApiError:
        return mapping.error_from(response)

    def has_credentials(self, now: datetime) -> bool:
        return self._credentials.holds(now)

    def can_renew(self) -> bool:
        return self._credentials.renewable

    def refresh_credentials(self) -> Flow[None]:
        credentials = self._credentials
        if isinstance(credentials, FetchedToken):
            try:
                yield from credentials.fetch()
            except AuthenticationError as error:
                who = f"{credentials.username} of account {credentials.domain_name}"
                raise AuthenticationError(
                    f"the identity service refused the login of {who}: {error.message}",
                    provider=self.name,
                    status=error.status,
                    code=error.code,
                    request_id=error.request_id,
                ) from error

    def authenticate(self, request: Request, *, origin: str, now: datetime) -> Mapping[str, str]:
        return self._credentials.headers(request, origin, now)

    def register_source(self, spec: SourceSpec) -> Flow[TaskInfo]:
        if spec.external_id is not None:
            operation = Operation.REGISTER_SOURCE
            raise UnsupportedOptionError(self.name, operation, "external_id", self.capabilities[operation].options)
        from migrate_huawei_sms.models import registration_of  # as `mapping` does

        document = mapping.document_for(spec)
        payload, faults = registration_of(document)
        _check(faults, allow_incomplete=spec.options.get("allow_incomplete") is True)
        response = yield Request(
            method="POST",
            path=url_path("v3", "sources"),
            headers=_JSON,
            body=json_body(payload),
            repeatable=False,
        )
        source_id = response.expect(200).json_object().get("id")
        if not isinstance(source_id, str) or not source_id:
            raise MalformedResponseError("the source was registered, but its id is missing", path="id")
        return TaskInfo.finished(Operation.REGISTER_SOURCE, entity_id=source_id, result=source_id)

    def describe_source(self, source_id: str) -> Flow[SourceServer]:
        response = yield Request(method="GET", path=url_path("v3", "sources", _id(source_id)), repeatable=True)
        return mapping.source_from(response.expect(200).json_object(), raw=self.raw(response))

    def find_registered(self, spec: SourceSpec) -> Flow[str | None]:
        name, ip = mapping.identity_of(mapping.document_for(spec))
        found: list[str] = []
        cursor: str | None = "0"
        while cursor:
            page = yield from self._listed(cursor, ("name", name))
            found += mapping.ids_of(page.items, name, ip)
            cursor = page.next
        if len(found) > 1:
            raise OutcomeUnknownError(f"{len(found)} sources are called {name} at {ip}: {', '.join(found)}")
        return found[0] if found else None

    def list_sources(self, cursor: str | None) -> Flow[Page[SourceServer]]:
        page = yield from self._listed(cursor)
        return Page(tuple(mapping.source_from(item, raw=self.raw(item)) for item in page.items), page.next)

    def _listed(self, cursor: str | None, *filters: tuple[str, str]) -> Flow[Page[Mapping[str, Any]]]:
        """Read a page of the list, as it is."""
        offset = int(cursor or 0)
        response = yield Request(
            method="GET",
            path=url_path("v3", "sources"),
            query=(*filters, ("limit", str(_PAGE)), ("offset", str(offset))),
            repeatable=True,
        )
        payload = response.expect(200).json_object()
        items = payload.get("source_servers")
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise MalformedResponseError("is no list of objects", path="source_servers")
        following, count = offset + len(items), payload.get("count")
        more = bool(items) and (not isinstance(count, int) or following < count)
        return Page(tuple(items), str(following) if more else None)

    def delete_source(self, source_id: str) -> Flow[TaskInfo]:
        response = yield Request(method="DELETE", path=url_path("v3", "sources", _id(source_id)), repeatable=False)
        mapping.acknowledge(response)
        return TaskInfo.finished(Operation.DELETE_SOURCE, entity_id=source_id)

    def unlock_target(self, replication_id: str) -> Flow[TaskInfo]:
        response = yield Request(
            method="POST",
            path=url_path("v3", "tasks", _id(replication_id), "unlock"),
            headers=_JSON,
            repeatable=False,
        )
        mapping.acknowledge(response)
        return TaskInfo.finished(Operation.UNLOCK_TARGET, entity_id=replication_id)


def _id(value: str) -> str:
    """Refuse an id that is longer than any of the vendor's."""
    if isinstance(value, str) and len(value) > _LONGEST_ID:
        raise InvalidArgumentError(f"an id of Huawei Cloud SMS has at most {_LONGEST_ID} characters")
    return value


def _check(faults: Sequence[Fault], *, allow_incomplete: bool) -> None:
    """Refuse a faulty document; with `allow_incomplete`, only warn of what the service itself would take."""
    if allow_incomplete and all(fault.waivable for fault in faults):
        for fault in faults:
            warnings.warn(f"the document is incomplete: {fault}", IncompleteDocumentWarning, stacklevel=2)
    elif faults:
        raise InvalidDocumentError(faults)


def _endpoint(settings: HuaweiSmsSettings) -> str:
    if settings.endpoint:
        return settings.endpoint
    if not settings.region:
        raise ConfigurationError(
            "huawei_sms needs an endpoint or a region; looked for the settings endpoint and region, for "
            "MIGRATE_ENDPOINT and MIGRATE_REGION in the environment, and in the profile if there is one"
        )
    if settings.region not in REGIONS:
        raise ConfigurationError(
            f"no endpoint is known for region {settings.region!r}; known are {', '.join(REGIONS)}; "
            "set the endpoint itself"
        )
    return REGIONS[settings.region]


def _iam_endpoint(settings: HuaweiSmsSettings, main: str) -> str:
    """Tell where to log in: a user's password goes to no site that was not named."""
    if settings.iam_endpoint:
        return settings.iam_endpoint
    if not main.endswith(_SITE):
        raise ConfigurationError(
            f"no identity service is known for {main}; set iam_endpoint, or MIGRATE_IAM_ENDPOINT in the environment"
        )
    return f"https://iam.{settings.region}{_SITE}" if settings.region else f"https://iam{_SITE}"


_KINDS: Mapping[str, tuple[str, ...]] = {
    "token": ("token",),
    "login": ("domain_name", "username", "password"),
    "key": ("access_key", "secret_key"),
}


def _credentials(settings: HuaweiSmsSettings) -> GivenToken | FetchedToken | SigningKey:
    """Pick the one kind of credentials that the settings hold.

    Raises:
        ConfigurationError: they hold none, more than one, or half of one.
    """
    begun = {
        kind: [name for name in names if not getattr(settings, name)]
        for kind, names in _KINDS.items()
        if any(getattr(settings, name) for name in names)
    }
    if len(begun) > 1:
        raise ConfigurationError(
            f"huawei_sms takes one kind of credentials, not {' and '.join(begun)}: token; or domain_name, username "
            "and password; or access_key and secret_key"
        )
    missing = next(iter(begun.values()), ["token"])
    if missing:
        wanted = " and ".join(missing) if begun else "credentials: token, or a login, or access_key and secret_key"
        names = missing if begun else [name for group in _KINDS.values() for name in group]
        raise ConfigurationError(
            f"huawei_sms lacks {wanted}; looked for the settings of that name, in the environment for "
            + ", ".join(f"MIGRATE_{name.upper()}" for name in names)
            + ", in the profile if there is one, and where the vendor's SDK keeps its keys"
        )
    _refuse_idle(settings, next(iter(begun)))
    if settings.token:
        return GivenToken(settings.token)
    if settings.username and settings.password and settings.domain_name:
        return FetchedToken(settings.domain_name, settings.username, settings.password, _project(settings))
    return SigningKey(
        settings.access_key or "",
        settings.secret_key or "",
        settings.security_token,
        settings.project_id,
        settings.domain_id,
    )


def _refuse_idle(settings: HuaweiSmsSettings, kind: str) -> None:
    """Refuse a setting that belongs to another kind of credentials: nobody sets one to have it ignored."""
    for field in attrs.fields(HuaweiSmsSettings):
        other = field.metadata["kind"]
        if other not in ("", kind) and getattr(settings, field.name):
            raise ConfigurationError(f"{field.name} goes with {' and '.join(_KINDS[other])}, which are not set")


def _project(settings: HuaweiSmsSettings) -> Mapping[str, str]:
    if settings.project_id:
        return {"id": settings.project_id}
    name = settings.project_name or settings.region
    return {"name": name} if name else {}
