"""The operations of Acme's migration service.

Paths, bodies and answers are those of ``docs/vendor.md``, section "Operations".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

import attrs
from migrate_core.documents import encode
from migrate_core.errors import (
    ApiError,
    AuthenticationError,
    ConfigurationError,
    MalformedResponseError,
    NotFoundError,
    OutcomeUnknownError,
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
    TaskStatus,
    json_body,
    origin,
    setting,
    url_path,
)

from migrate_acme import mapping
from migrate_acme.auth import Session

_JSON = {"Content-Type": "application/json"}
_PAGE = 100

_FULL = Capability(Support.FULL)
_NO_PAIRINGS = Capability(Support.UNSUPPORTED, "Acme has no pairings: one service holds all machines")


@attrs.frozen(kw_only=True)
class AcmeSettings(Settings):
    """Settings of a connection to Acme."""

    endpoint: str | None = setting(doc="Origin of the service, such as https://migration.example.")
    username: str | None = setting(doc="User to log in as.", kind="login")
    password: str | None = setting(doc="Password of that user.", secret=True, kind="login")
    session: str | None = setting(doc="In place of a login: a session that is there.", secret=True, kind="session")


class AcmeProvider(BaseProvider):
    """Acme's migration service.

    Registering reports the facts of a machine; copying it is started in the vendor's console.
    """

    name = mapping.NAME
    contract = 3  # which brought find_registered()
    settings_type = AcmeSettings
    settings: AcmeSettings
    capabilities: ClassVar[Mapping[Operation, Capability]] = {
        Operation.REGISTER_SOURCE: Capability(Support.FULL, "Reports the machine's facts."),
        Operation.DESCRIBE_SOURCE: _FULL,
        Operation.LIST_SOURCES: _FULL,
        Operation.DELETE_SOURCE: Capability(Support.FULL, "Deletes the record; the machine itself stays."),
        Operation.UNLOCK_TARGET: Capability(Support.UNSUPPORTED, "Acme does not lock target servers"),
        Operation.CREATE_PAIRING: _NO_PAIRINGS,
        Operation.DESCRIBE_PAIRING: _NO_PAIRINGS,
        Operation.LIST_PAIRINGS: _NO_PAIRINGS,
        Operation.DELETE_PAIRING: _NO_PAIRINGS,
        Operation.GET_TASK: _FULL,
        Operation.LIST_TASKS: _FULL,
        Operation.CANCEL_TASK: _FULL,
    }

    def __init__(self, settings: AcmeSettings) -> None:
        super().__init__(settings)
        _check_credentials(settings)
        self._session = Session(settings.session) if settings.session else None

    def endpoints(self) -> Mapping[str, str]:
        if not self.settings.endpoint:
            raise ConfigurationError(
                f"{self.name} needs an endpoint; looked for the setting endpoint, for MIGRATE_ENDPOINT in the "
                "environment, and in the profile if there is one"
            )
        return {"main": origin(self.settings.endpoint, verify=self.settings.verify)}

    def error_from(self, response: Response) -> ApiError:
        return mapping.error_from(response)

    def has_credentials(self, now: datetime) -> bool:
        return self._session is not None and self._session.holds(now)

    def can_renew(self) -> bool:
        return self.settings.session is None

    def refresh_credentials(self) -> Flow[None]:
        try:
            response = yield Request(
                method="POST",
                path=url_path("v1", "sessions"),
                headers=_JSON,
                body=json_body({"username": self.settings.username, "password": self.settings.password}),
                repeatable=True,
            )
        except AuthenticationError as error:
            raise AuthenticationError(
                f"the login of {self.settings.username} was refused: {error.message}",
                provider=self.name,
                status=error.status,
                code=error.code,
                request_id=error.request_id,
            ) from error
        self._session = mapping.session_from(response.expect(201).json_object())

    def authenticate(self, request: Request, *, origin: str, now: datetime) -> Mapping[str, str]:
        return self._session.headers() if self._session else {}

    def close_session(self) -> Flow[None]:
        if self._session and self.can_renew():  # one that the caller brought is the caller's to end
            log_out = Request(
                method="DELETE",
                path=url_path("v1", "sessions", "mine"),
                headers=self._session.headers(),
                repeatable=True,
            )
            self._session = None
            yield log_out

    def register_source(self, spec: SourceSpec) -> Flow[TaskInfo]:
        document = mapping.machine_for(spec)
        response = yield Request(
            method="POST",
            path=url_path("v1", "machines"),
            headers=_JSON,
            body=json_body(encode(document)),
            repeatable=False,
        )
        source_id = mapping.id_from(response.expect(201).json_object())
        return TaskInfo.finished(Operation.REGISTER_SOURCE, entity_id=source_id, result=source_id)

    def find_registered(self, spec: SourceSpec) -> Flow[str | None]:
        name, cursor = mapping.machine_for(spec).name, None
        while True:
            page = yield from self.list_sources(cursor)
            source = next((source for source in page.items if source.name == name), None)
            if source or page.next is None:
                return source.id if source else None
            cursor = page.next

    def describe_source(self, source_id: str) -> Flow[SourceServer]:
        response = yield Request(method="GET", path=url_path("v1", "machines", source_id), repeatable=True)
        payload = response.expect(200).json_object()
        return mapping.source_from(payload, raw=self.raw(payload))

    def list_sources(self, cursor: str | None) -> Flow[Page[SourceServer]]:
        items, following = yield from self._page("machines", cursor)
        return Page(tuple(mapping.source_from(item, raw=self.raw(item)) for item in items), following)

    def delete_source(self, source_id: str) -> Flow[TaskInfo]:
        response = yield Request(method="DELETE", path=url_path("v1", "machines", source_id), repeatable=False)
        try:
            return self._task(response.expect(202))
        except MalformedResponseError as error:
            raise OutcomeUnknownError(
                "the deletion was accepted, but the answer names no job; look at the machine before you ask again"
            ) from error

    def get_task(self, last: TaskInfo) -> Flow[TaskInfo]:
        try:
            response = yield Request(method="GET", path=url_path("v1", "jobs", last.id), repeatable=True)
        except NotFoundError:
            if (yield from self._has_deleted(last)):
                return attrs.evolve(last, status=TaskStatus.SUCCESS, progress=100.0)
            raise
        return self._task(response.expect(200))

    def list_tasks(self, cursor: str | None) -> Flow[Page[TaskInfo]]:
        items, following = yield from self._page("jobs", cursor)
        return Page(tuple(mapping.task_from(item, raw=self.raw(item)) for item in items), following)

    def cancel_task(self, last: TaskInfo) -> Flow[TaskInfo]:
        response = yield Request(method="POST", path=url_path("v1", "jobs", last.id, "cancel"), repeatable=False)
        return self._task(response.expect(202))

    def _task(self, response: Response) -> TaskInfo:
        payload = response.json_object()
        return mapping.task_from(payload, raw=self.raw(payload))

    def _page(self, name: str, cursor: str | None) -> Flow[tuple[tuple[Mapping[str, Any], ...], str | None]]:
        query = (("limit", str(_PAGE)), *([("cursor", cursor)] if cursor else []))
        response = yield Request(method="GET", path=url_path("v1", name), query=query, repeatable=True)
        return mapping.items_from(response.expect(200).json_object())

    def _has_deleted(self, last: TaskInfo) -> Flow[bool]:
        """Tell of a job that the service has forgotten whether the machine that it was to delete is gone."""
        if last.operation is not Operation.DELETE_SOURCE or last.entity_id is None:
            return False
        try:
            yield from self.describe_source(last.entity_id)
        except NotFoundError:
            return True
        return False


def _check_credentials(settings: AcmeSettings) -> None:
    """Refuse settings that hold no credentials, or two kinds of them."""
    login = [name for name in ("username", "password") if getattr(settings, name)]
    if settings.session and login:
        raise ConfigurationError(f"session and {login[0]} do not go together: one kind of credentials is enough")
    if not settings.session and len(login) < 2:
        raise ConfigurationError(
            f"{mapping.NAME} needs username and password, or session; looked for the settings of that name, for "
            "MIGRATE_USERNAME, MIGRATE_PASSWORD and MIGRATE_SESSION in the environment, and in the profile if there "
            "is one"
        )
