"""The operations of AWS Application Migration Service.

Paths, bodies and answers are those of ``docs/vendors/aws-mgn.md``, section "Operations".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, NoReturn

import attrs

from migrate_aws_mgn import mapping
from migrate_aws_mgn.auth import Chain, SigningKey, domain_of, region_of_the_chain
from migrate_aws_mgn.models import JobLog
from migrate_core.documents import decode
from migrate_core.errors import (
    ApiError,
    ConfigurationError,
    ConflictError,
    InvalidArgumentError,
    MalformedResponseError,
    NotFoundError,
    PermissionDeniedError,
)
from migrate_core.models import SourceServer
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

_JSON = {"Content-Type": "application/json"}
_PAGE = 200
_LOG_PAGE = 1000
_SOURCE_ID = re.compile(r"s-[0-9a-zA-Z]{1,64}")
_JOB_ID = re.compile(r"mgnjob-[0-9a-zA-Z]{1,64}")

_DISCONNECTED = "DISCONNECTED"
_NEVER_REPLICATED = ("DISCOVERED", "PENDING_INSTALLATION")
_IDLE = ("STOPPED", "NOT_READY", "READY_FOR_TEST", "READY_FOR_CUTOVER", "CUTOVER", _DISCONNECTED)
"""The states of the life cycle in which replication may be stopped for good: nothing is being launched from it."""

_FULL = Capability(Support.FULL)
_NO_PAIRINGS = Capability(
    Support.UNSUPPORTED, "Application Migration Service has no pairings: agents replicate into one account and region"
)


def _region(value: str | None) -> str | None:
    if value is not None and not (isinstance(value, str) and re.fullmatch(r"[a-z0-9-]{1,64}", value)):
        raise ConfigurationError(f"is the code of a region, such as eu-central-1, not {value!r}")
    return value


@attrs.frozen(kw_only=True)
class AwsMgnSettings(Settings):
    """Settings of a connection to AWS Application Migration Service.

    Without keys, credentials come from where the vendor's own tools find theirs.
    """

    region: str | None = setting(
        doc="Code of the region, such as eu-central-1; without it, that of the vendor's own tools.", converter=_region
    )
    endpoint: str | None = setting(doc="Origin of the service, if not the region's own, such as a VPC endpoint.")
    access_key: str | None = setting(doc="Access key id to sign with.", kind="key")
    secret_key: str | None = setting(doc="Secret access key to sign with.", secret=True, kind="key")
    session_token: str | None = setting(doc="Session token of temporary keys.", secret=True, kind="key")
    aws_profile: str | None = setting(doc="Profile of the vendor's own files to take credentials from.", kind="chain")


class AwsMgnProvider(BaseProvider):
    """AWS Application Migration Service (MGN).

    Machines enrol themselves, by their agent. What is launched from them is a job; jobs can be followed here, and are
    begun elsewhere.
    """

    name = mapping.NAME
    contract = 2
    settings_type = AwsMgnSettings
    settings: AwsMgnSettings
    capabilities: ClassVar[Mapping[Operation, Capability]] = {
        Operation.REGISTER_SOURCE: Capability(
            Support.UNSUPPORTED,
            "machines enrol themselves: run the installer of the AWS Replication Agent on the machine, as root or "
            "administrator, with --region and the keys of an IAM identity that may install it",
        ),
        Operation.DESCRIBE_SOURCE: _FULL,
        Operation.LIST_SOURCES: _FULL,
        Operation.DELETE_SOURCE: Capability(
            Support.FULL,
            "Disconnects the machine first: its replication ends, the replicated data is lost and the agent uninstalls "
            "itself; launched instances stay. Refused while a test or a cutover is open.",
        ),
        Operation.UNLOCK_TARGET: Capability(
            Support.UNSUPPORTED,
            "Application Migration Service does not lock instances; to finalize a cutover is something else, and ends "
            "the replication for good",
        ),
        Operation.CREATE_PAIRING: _NO_PAIRINGS,
        Operation.DESCRIBE_PAIRING: _NO_PAIRINGS,
        Operation.LIST_PAIRINGS: _NO_PAIRINGS,
        Operation.DELETE_PAIRING: _NO_PAIRINGS,
        Operation.GET_TASK: Capability(Support.FULL, "A task is a job, which launches or terminates instances."),
        Operation.LIST_TASKS: Capability(
            Support.FULL,
            "Does not read the jobs' logs: a job that was cancelled is listed by what became of its servers.",
        ),
        Operation.CANCEL_TASK: Capability(
            Support.UNSUPPORTED, "Application Migration Service has no call that cancels a job"
        ),
    }

    def __init__(self, settings: AwsMgnSettings) -> None:
        super().__init__(settings)
        self._credentials = _credentials(settings)
        self._region = _region(settings.region or region_of_the_chain(settings.aws_profile)) or _no_region()
        self._main = origin(
            settings.endpoint or f"https://mgn.{self._region}.{domain_of(self._region)}", verify=settings.verify
        )

    def endpoints(self) -> Mapping[str, str]:
        return {"main": self._main}

    def error_from(self, response: Response) -> ApiError:
        return mapping.error_from(response)

    def has_credentials(self, now: datetime) -> bool:
        return self._credentials.holds(now)

    def can_renew(self) -> bool:
        return self._credentials.renewable

    def load_credentials(self) -> None:
        if isinstance(self._credentials, Chain):
            self._credentials.load()

    def authenticate(self, request: Request, *, origin: str, now: datetime) -> Mapping[str, str]:
        return self._credentials.headers(request, origin=origin, region=self._region, now=now)

    def describe_source(self, source_id: str) -> Flow[SourceServer]:
        payload = yield from self._source(source_id)
        return mapping.source_from(payload, raw=self.raw(payload))

    def list_sources(self, cursor: str | None) -> Flow[Page[SourceServer]]:
        items, following = yield from self._page("DescribeSourceServers", cursor)
        return Page(tuple(mapping.source_from(item, raw=self.raw(item)) for item in items), following)

    def delete_source(self, source_id: str) -> Flow[TaskInfo]:
        payload = yield from self._source(source_id)
        state, replication = mapping.states_from(payload)
        body = json_body({"sourceServerID": source_id})
        if replication != _DISCONNECTED and state not in _NEVER_REPLICATED:
            if state not in _IDLE:
                self._refuse(source_id, state)
            yield from self._changed("DisconnectFromService", body, "it is as it was; see to its jobs, then ask again")
        yield from self._changed("DeleteSourceServer", body, "it is disconnected, its record is left; ask again later")
        return TaskInfo.finished(Operation.DELETE_SOURCE, entity_id=source_id)

    def get_task(self, last: TaskInfo) -> Flow[TaskInfo]:
        identity = _checked(last.id, _JOB_ID, "a job, such as mgnjob-0123456789abcdef0")
        payload = yield from self._one("DescribeJobs", "jobID", identity)
        info = mapping.task_from(payload, raw=self.raw(payload))
        if payload.get("status") == "COMPLETED" and info.status is not TaskStatus.SUCCESS:
            info = mapping.task_from(payload, raw=info.raw, log=(yield from self._log(info.id)))
        return info

    def list_tasks(self, cursor: str | None) -> Flow[Page[TaskInfo]]:
        items, following = yield from self._page("DescribeJobs", cursor)
        return Page(tuple(mapping.task_from(item, raw=self.raw(item)) for item in items), following)

    def _source(self, source_id: str) -> Flow[Mapping[str, Any]]:
        identity = _checked(source_id, _SOURCE_ID, "a source server, such as s-0123456789abcdef0")
        return (yield from self._one("DescribeSourceServers", "sourceServerID", identity))

    def _one(self, action: str, name: str, identity: str) -> Flow[Mapping[str, Any]]:
        """Ask for one object by a filter; what is not there is an empty list, and no refusal."""
        response = yield _read(action, {"filters": {f"{name}s": [identity]}})
        items, _ = mapping.items_from(response.expect(200).json_object())
        found = next((item for item in items if item.get(name) == identity), None)
        if found is not None:
            return found
        if items:
            raise MalformedResponseError(f"is not {identity}, which was asked for", path=f"items[0].{name}")
        raise NotFoundError(f"there is no {identity} in {self._region}", provider=self.name, status=response.status)

    def _changed(self, action: str, body: bytes, advice: str) -> Flow[None]:
        """Make a change that the vendor carries out before it answers; a refusal says what is to be done about it."""
        try:
            response = yield Request(method="POST", path=url_path(action), headers=_JSON, body=body, repeatable=False)
        except ConflictError as error:
            raise ConflictError(
                f"{error.message} ({advice})",
                provider=self.name,
                status=error.status,
                code=error.code,
                request_id=error.request_id,
                details=error.details,
            ) from error
        response.expect(200, 204)

    def _page(self, action: str, cursor: str | None) -> Flow[tuple[tuple[Mapping[str, Any], ...], str | None]]:
        body = {"filters": {}, "maxResults": _PAGE, **({"nextToken": cursor} if cursor else {})}
        response = yield _read(action, body)
        return mapping.items_from(response.expect(200).json_object())

    def _log(self, job_id: str) -> Flow[tuple[JobLog, ...]]:
        """Read the log of a job, as far as we may; it only explains what the job itself says."""
        lines: list[JobLog] = []
        cursor: str | None = None
        while True:
            body = {"jobID": job_id, "maxResults": _LOG_PAGE, **({"nextToken": cursor} if cursor else {})}
            try:
                response = yield _read("DescribeJobLogItems", body)
            except PermissionDeniedError:
                return tuple(lines)
            items, following = mapping.items_from(response.expect(200).json_object())
            lines += [decode(JobLog, item) for item in items]
            if following in (None, cursor) or not items:
                return tuple(lines)
            cursor = following

    def _refuse(self, source_id: str, state: str) -> NoReturn:
        raise ConflictError(
            f"{source_id} is {state or 'in no known state'}, and to delete it would end its replication; nothing was "
            "changed: finalize the test or the cutover, or take it back, then ask again",
            provider=self.name,
            status=200,
        )


def _read(action: str, body: Mapping[str, Any]) -> Request:
    return Request(method="POST", path=url_path(action), headers=_JSON, body=json_body(body), repeatable=True)


def _checked(identity: str, form: re.Pattern[str], what: str) -> str:
    """Refuse an id that has not the form of the vendor's; ids go into bodies, where nobody else looks at them."""
    if not isinstance(identity, str) or not form.fullmatch(identity):
        raise InvalidArgumentError(f"{identity!r:.64} is no id of {what}")
    return identity


def _credentials(settings: AwsMgnSettings) -> SigningKey | Chain:
    """Pick the keys that the settings hold, else the vendor's own chain.

    Raises:
        ConfigurationError: they hold half a key pair, or keys beside a profile.
    """
    given = [name for name in ("access_key", "secret_key", "session_token") if getattr(settings, name)]
    if given and settings.aws_profile:
        raise ConfigurationError(f"aws_mgn takes one kind of credentials, not {' and '.join(given)} and aws_profile")
    if not given:
        return Chain(settings.aws_profile)
    missing = [name for name in ("access_key", "secret_key") if not getattr(settings, name)]
    if missing:
        raise ConfigurationError(
            f"aws_mgn lacks {' and '.join(missing)}, which goes with {' and '.join(given)}; looked for the settings of "
            f"that name, in the environment for {', '.join(f'MIGRATE_{name.upper()}' for name in missing)}, and in the "
            "profile if there is one"
        )
    return SigningKey(settings.access_key or "", settings.secret_key or "", settings.session_token)


def _no_region() -> NoReturn:
    raise ConfigurationError(
        "aws_mgn needs a region; looked for the setting region, for MIGRATE_REGION, AWS_REGION and AWS_DEFAULT_REGION "
        "in the environment, in the profile if there is one, and in the vendor's own configuration file"
    )
