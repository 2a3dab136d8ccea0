"""The operations of VMware Site Recovery Manager.

Paths, bodies and answers are those of ``docs/vendors/vmware-srm.md``, section "Operations".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, NoReturn

import attrs

from migrate_core.documents import encode
from migrate_core.errors import (
    ApiError,
    AuthenticationError,
    ConfigurationError,
    InvalidRequestError,
    MalformedResponseError,
    NotFoundError,
    OutcomeUnknownError,
    PeerAuthenticationRequiredError,
    PermissionDeniedError,
)
from migrate_core.models import Check, CheckResult, Pairing, PairingSpec
from migrate_core.operations import Capability, Operation, Support
from migrate_core.provider import (
    BaseProvider,
    CredentialsRenewed,
    Flow,
    Page,
    Request,
    Response,
    Settings,
    TaskFailure,
    TaskInfo,
    TaskStatus,
    json_body,
    origin,
    setting,
    url_path,
)
from migrate_vmware_srm import mapping
from migrate_vmware_srm.auth import Login, session_headers

_JSON = {"Content-Type": "application/json"}
_PAGE = 100

_FULL = Capability(Support.FULL)
_GROUPS = Capability(
    Support.NOT_IMPLEMENTED, "Site Recovery Manager protects virtual machines through protection groups"
)


def _base_path(value: str) -> str:
    path = f"/{value.strip('/')}".rstrip("/") if isinstance(value, str) else "?"
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)*", path) or "/." in path:
        raise ConfigurationError(f"is a plain path such as /api/rest/srm/v2, not {value!r}")
    return path


@attrs.frozen(kw_only=True)
class VmwareSrmSettings(Settings):
    """Settings of a connection to Site Recovery Manager."""

    endpoint: str | None = setting(doc="Origin of the appliance, such as https://srm.example.")
    base_path: str = setting("/api/rest/srm/v2", doc="Where the API lives on it.", converter=_base_path)
    username: str | None = setting(doc="vCenter SSO user, such as administrator@vsphere.local.")
    password: str | None = setting(doc="Password of that user.", secret=True)
    peer_username: str | None = setting(doc="vCenter SSO user at the other site.")
    peer_password: str | None = setting(doc="Password of the user at the other site.", secret=True)


class VmwareSrmProvider(BaseProvider):
    """VMware Site Recovery Manager, later called Live Site Recovery.

    One connection serves both sites of a pairing; what changes a pairing needs a login at the other site too.
    """

    name = mapping.NAME
    settings_type = VmwareSrmSettings
    settings: VmwareSrmSettings
    capabilities: ClassVar[Mapping[Operation, Capability]] = {
        Operation.REGISTER_SOURCE: _GROUPS,
        Operation.DESCRIBE_SOURCE: _GROUPS,
        Operation.LIST_SOURCES: _GROUPS,
        Operation.DELETE_SOURCE: _GROUPS,
        Operation.UNLOCK_TARGET: Capability(Support.UNSUPPORTED, "Site Recovery Manager does not lock target servers"),
        Operation.CREATE_PAIRING: _FULL,
        Operation.DESCRIBE_PAIRING: _FULL,
        Operation.LIST_PAIRINGS: _FULL,
        Operation.DELETE_PAIRING: Capability(
            Support.FULL, "Logs in at the other site first when peer_username and peer_password are set."
        ),
        Operation.GET_TASK: _FULL,
        Operation.LIST_TASKS: _FULL,
        Operation.CANCEL_TASK: Capability(
            Support.UNSUPPORTED, "Site Recovery Manager cancels recovery plans, not tasks"
        ),
    }

    def __init__(self, settings: VmwareSrmSettings) -> None:
        super().__init__(settings)
        self._login, self._peer = _logins(settings)
        self._session: str | None = None

    def endpoints(self) -> Mapping[str, str]:
        if not self.settings.endpoint:
            raise ConfigurationError(
                "vmware_srm needs an endpoint; looked for the setting endpoint, for MIGRATE_ENDPOINT in the "
                "environment, and in the profile if there is one"
            )
        return {"main": origin(self.settings.endpoint, verify=self.settings.verify)}

    def error_from(self, response: Response) -> ApiError:
        return mapping.error_from(response)

    def has_credentials(self, now: datetime) -> bool:
        return self._session is not None

    def can_renew(self) -> bool:
        return True

    def refresh_credentials(self) -> Flow[None]:
        try:
            response = yield Request(
                method="POST", path=self._path("session"), headers=self._login.headers(), repeatable=True
            )
        except (AuthenticationError, InvalidRequestError, PermissionDeniedError) as error:
            # The request is nothing but the login, so whatever is wrong with it is the login.
            self._refused("Site Recovery Manager", self._login, error)
        session = response.expect(200).json_object().get("session_id")
        if not isinstance(session, str) or not session or not (session.isascii() and session.isprintable()):
            raise MalformedResponseError("the login's answer has no usable session", path="session_id")
        self._session = session

    def authenticate(self, request: Request, *, origin: str, now: datetime) -> Mapping[str, str]:
        return session_headers(self._session)

    def check_logins(self) -> Flow[tuple[Check, ...]]:
        while True:
            try:
                return ((yield from self._peer_check()),)
            except CredentialsRenewed:
                continue  # the session ended in between, and was no fault of the other login

    def close_session(self) -> Flow[None]:
        if self._session is not None:
            log_out = Request(
                method="DELETE", path=self._path("session"), headers=session_headers(self._session), repeatable=True
            )
            self._session = None
            yield log_out

    def create_pairing(self, spec: PairingSpec) -> Flow[TaskInfo]:
        document = mapping.spec_for(spec)
        response = yield Request(
            method="POST",
            path=self._path("pairings"),
            headers=_JSON,
            body=json_body(encode(document)),
            repeatable=False,
            secrets=(document.pair_psc_info.password or "",) if document.pair_psc_info else (),
        )
        return self._started(response, Operation.CREATE_PAIRING)

    def describe_pairing(self, pairing_id: str) -> Flow[Pairing]:
        response = yield Request(method="GET", path=self._path("pairings", pairing_id), repeatable=True)
        payload = response.expect(200).json_object()
        return mapping.pairing_from(payload, raw=self.raw(payload))

    def list_pairings(self, cursor: str | None) -> Flow[Page[Pairing]]:
        items, following = yield from self._page("pairings", cursor)
        return Page(tuple(mapping.pairing_from(item, raw=self.raw(item)) for item in items), following)

    def delete_pairing(self, pairing_id: str) -> Flow[TaskInfo]:
        while True:
            try:
                response = yield from self._delete(pairing_id)
            except CredentialsRenewed:
                continue  # the login at the other site belonged to the session that is gone
            return self._started(response, Operation.DELETE_PAIRING, entity_id=pairing_id)

    def get_task(self, last: TaskInfo) -> Flow[TaskInfo]:
        try:
            response = yield Request(method="GET", path=self._path("tasks", last.id), repeatable=True)
        except NotFoundError:
            if last.operation is not Operation.DELETE_PAIRING or last.entity_id is None:
                raise
            return (yield from self._vanished(last, last.entity_id))
        payload = response.expect(200).json_object()
        return mapping.task_from(payload, raw=self.raw(payload))

    def list_tasks(self, cursor: str | None) -> Flow[Page[TaskInfo]]:
        items, following = yield from self._page("tasks", cursor)
        return Page(tuple(mapping.task_from(item, raw=self.raw(item)) for item in items), following)

    def _path(self, *segments: str) -> str:
        return self.settings.base_path + url_path(*segments)

    def _page(self, name: str, cursor: str | None) -> Flow[tuple[tuple[Mapping[str, Any], ...], str | None]]:
        offset = int(cursor or 0)
        response = yield Request(
            method="GET",
            path=self._path(name),
            query=(("limit", str(_PAGE)), ("offset", str(offset))),
            repeatable=True,
        )
        page, following = mapping.page_from(response.expect(200).json_object(), offset)
        return page.items, None if following is None else str(following)

    def _started(self, response: Response, operation: Operation, *, entity_id: str | None = None) -> TaskInfo:
        """Read the task that a change answers with; without its id nobody can tell how the change ends."""
        response.expect(202)
        try:
            payload = response.json_object()
            return mapping.task_from(payload, raw=self.raw(payload), operation=operation, entity_id=entity_id)
        except MalformedResponseError as error:
            raise OutcomeUnknownError(
                f"{self.name} {operation.value}: it was accepted, but the answer names no task; "
                "look at the pairing before you ask again"
            ) from error

    def _delete(self, pairing_id: str) -> Flow[Response]:
        path = self._path("pairings", pairing_id)
        if self._peer:
            yield from self._log_in_at_peer(pairing_id, self._peer)
        try:
            return (yield Request(method="DELETE", path=path, repeatable=False, renew="restart"))
        except AuthenticationError as error:
            # Refused with a session that is surely new, so it is the other site that wants a login.
            self._peer_required(error)

    def _peer_check(self) -> Flow[Check]:
        check = Check(name="peer_login")
        if self._peer is None:
            message = "peer_username and peer_password are not set: pairings can be read, not broken"
            return attrs.evolve(check, result=CheckResult.WARN, message=message)
        pairings = yield from self.list_pairings(None)
        if not pairings.items:
            return attrs.evolve(check, message="there is no pairing to try it on")
        try:
            yield from self._log_in_at_peer(pairings.items[0].id, self._peer)
        except AuthenticationError as error:
            code = type(error).__name__
            return attrs.evolve(check, result=CheckResult.ERROR, code=code, message=error.message)
        return attrs.evolve(check, result=CheckResult.OK, message="works")

    def _log_in_at_peer(self, pairing_id: str, peer: Login) -> Flow[None]:
        """Log in at the other site, with a password that is sent once: repeated refusals lock accounts."""
        try:
            response = yield Request(
                method="POST",
                path=self._path("pairings", pairing_id, "remote-session"),
                headers=peer.headers(),
                repeatable=True,
                renew="never",
            )
        except AuthenticationError as error:
            # Either site may have refused. If it was this one, its session is gone, and this request starts all over.
            yield Request(method="GET", path=self._path("pairings", pairing_id), repeatable=True, renew="restart")
            self._refused("the other site", peer, error)
        response.expect(200, 204)

    def _vanished(self, last: TaskInfo, pairing_id: str) -> Flow[TaskInfo]:
        """Decide a task that the server has forgotten by what it was to do."""
        try:
            yield from self.describe_pairing(pairing_id)
        except NotFoundError:
            return attrs.evolve(last, status=TaskStatus.SUCCESS, progress=100.0)
        failure = TaskFailure("the server no longer knows the task, and the pairing is still there")
        return attrs.evolve(last, status=TaskStatus.ERROR, error=failure)

    def _refused(self, where: str, login: Login, error: ApiError) -> NoReturn:
        raise AuthenticationError(
            f"{where} refused the login of {login.username}",
            provider=self.name,
            status=error.status,
            code=error.code,
            request_id=error.request_id,
        ) from error

    def _peer_required(self, error: AuthenticationError) -> NoReturn:
        hint = "its login did not help" if self._peer else "set peer_username and peer_password"
        raise PeerAuthenticationRequiredError(
            f"the other site of the pairing wants a login: {hint}",
            provider=self.name,
            status=error.status,
            code=error.code,
            request_id=error.request_id,
        ) from error


def _logins(settings: VmwareSrmSettings) -> tuple[Login, Login | None]:
    missing = [name for name in ("username", "password") if not getattr(settings, name)]
    if settings.peer_username or settings.peer_password:
        missing += [name for name in ("peer_username", "peer_password") if not getattr(settings, name)]
    if missing:
        variables = ", ".join(f"MIGRATE_{name.upper()}" for name in missing)
        raise ConfigurationError(
            f"vmware_srm lacks {' and '.join(missing)}; looked for the settings of that name, in the "
            f"environment for {variables}, and in the profile if there is one"
        )
    for name in ("username", "peer_username"):
        if ":" in (getattr(settings, name) or ""):
            raise ConfigurationError(f"{name} has a colon, which HTTP Basic cannot carry")
    peer = None
    if settings.peer_username and settings.peer_password:
        peer = Login(settings.peer_username, settings.peer_password)
    return Login(settings.username or "", settings.password or ""), peer
