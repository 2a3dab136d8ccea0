"""A stateful stand-in for Huawei Cloud SMS and the identity service in front of it.

Paths, fields, status codes and error bodies are those of ``docs/vendors/huawei-sms.md``. Where the vendor's pages are
silent, this does what that page marks as inferred: an unknown source is refused with 400 ``SMS.2216``, an unknown task
with 404 ``SMS.2252``, an unreadable document with 400 ``SMS.6201``, listing needs ``sms:server:list``, the names of the
checks for Linux are ours, and a check has a code only where one is published for that reason.
What the tables allow is accepted; what is missing for a migration shows up as failed checks.
"""

from __future__ import annotations

import functools
import hmac
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from importlib import resources
from itertools import islice
from typing import Any, ClassVar

import attrs
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from migrate_core.documents import MAX32, MAX64, anything, decode, encode, faults_of, integer, many, one, text, texts
from migrate_core.errors import (
    ApiError,
    AuthenticationError,
    Fault,
    InvalidRequestError,
    NotFoundError,
    OperationNotOfferedError,
    PermissionDeniedError,
)
from migrate_core.models import OsFamily, SourceFacts, SourceSpec
from migrate_core.testing.openapi import Call, documented
from migrate_core.testing.simulator import Refusal, Simulator, control, json_object, segment
from migrate_huawei_sms.auth import ALGORITHM, DATE_FORMAT, canonical_request, signature_of
from migrate_huawei_sms.models import (
    DescribedSource,
    DiskIntargetServer,
    EnvironmentCheck,
    ErrorBody,
    InitTargetServer,
    NetWork,
    PhysicalVolumes,
    ServerDisk,
    SourceDocument,
    TargetServerById,
    TaskByServerSource,
    document_from_json,
)

__all__ = ["HuaweiSmsSimulator", "example_document"]

_CLOCK_SKEW = timedelta(minutes=15)
_TOKEN_LIFE = timedelta(hours=24)
_MOST_PER_PAGE = 200
_LONGEST = 255
_FIRST_CHECK = 524146

_FILE_SYSTEMS = {
    "LINUX": ("ext2", "ext3", "ext4", "xfs", "btrfs", "vfat", "swap", "lvm2_member"),
    "WINDOWS": ("ntfs",),
}
_LISTED = (
    "id",
    "ip",
    "name",
    "enterprise_project_id",
    "add_date",
    "os_type",
    "os_version",
    "oem_system",
    "state",
    "connected",
    "cpu_quantity",
    "memory",
    "current_task",
    "checks",
    "init_target_server",
    "replicatesize",
    "totalsize",
    "last_visit_time",
    "stage_action_time",
    "state_action_time",
    "migration_cycle",
    "has_tc",
)
_WRITE_ONLY = (
    "ipv6",
    "virtualization_type",
    "linux_block_check",
    "domain_id",
    "has_rsync",
    "paravirtualization",
    "raw_devices",
    "driver_files",
    "system_services",
    "account_rights",
    "boot_loader",
    "system_dir",
    "kernel_version",
    "start_type",
    "io_read_wait",
    "platform",
)


@attrs.frozen(kw_only=True)
class _Domain:
    """The account of a user."""

    name: str | None = text(required=True)


@attrs.frozen(kw_only=True)
class _User:
    """Who logs in."""

    domain: _Domain | None = one(_Domain, required=True)
    name: str | None = text(required=True)
    password: str | None = text(required=True, secret=True)


@attrs.frozen(kw_only=True)
class _Password:
    """A login by password."""

    user: _User | None = one(_User, required=True)


@attrs.frozen(kw_only=True)
class _Identity:
    """How somebody logs in."""

    methods: tuple[str, ...] | None = texts(MAX32, MAX32)
    password: _Password | None = one(_Password, required=True)


@attrs.frozen(kw_only=True)
class _Auth:
    """A login, and what it is for."""

    identity: _Identity | None = one(_Identity, required=True)
    scope: Any = anything()


@attrs.frozen(kw_only=True)
class _TokenWanted:
    """The request for a token."""

    auth: _Auth | None = one(_Auth, required=True)


@attrs.frozen(kw_only=True)
class _Token:
    """What a token is; the token itself comes in the header ``X-Subject-Token``."""

    expires_at: str | None = text(required=True)
    issued_at: str | None = text(required=True)
    methods: tuple[str, ...] | None = texts(MAX32, MAX32)


@attrs.frozen(kw_only=True)
class _TokenIssued:
    """The answer to a login."""

    token: _Token | None = one(_Token, required=True)


@attrs.frozen(kw_only=True)
class _IdentityFailure:
    """Why the identity service refuses."""

    code: int | None = integer(599, 400, required=True)
    message: str | None = text(required=True)
    title: str | None = text(required=True)


@attrs.frozen(kw_only=True)
class _IdentityError:
    """A refusal of the identity service."""

    error: _IdentityFailure | None = one(_IdentityFailure, required=True)


@attrs.frozen(kw_only=True)
class _Refused(ErrorBody):
    """A refusal: the service's, or the gateway's, which has the request's id in it."""

    error_msg: str | None = text(65535, required=True)
    request_id: str | None = text()


@attrs.frozen(kw_only=True)
class _Registered:
    """The answer to a registration."""

    id: str | None = text(required=True)


@attrs.frozen(kw_only=True)
class _Wanted:
    """Which sources to list."""

    limit: int | None = integer(MAX32)
    offset: int | None = integer(MAX32)
    id: str | None = text()
    ip: str | None = text()
    name: str | None = text()
    state: str | None = text()


@attrs.frozen(kw_only=True)
class _Listed:
    """A page of sources."""

    count: int | None = integer(MAX32, required=True)
    source_servers: tuple[DescribedSource, ...] | None = many(DescribedSource, required=True)


@attrs.frozen(kw_only=True)
class _Nothing:
    """An empty object."""


@attrs.define
class HuaweiSmsControls:
    """How the simulator behaves."""

    deny: str = control("", "an action, such as sms:server:delete, to refuse with 403")
    unlock_offered: bool = control(True, "whether the call to unlock is published")
    agent_connected: bool = control(False, "whether the agents of new sources are connected")
    start_migration: bool = control(False, "whether a migration starts for each new source, its target locked")


@attrs.define
class _Migration:
    source_id: str
    task: TaskByServerSource
    locked: bool = True


class HuaweiSmsSimulator(Simulator):
    """Huawei Cloud SMS in memory.

    It accepts a given token, tokens that its identity service hands out for the user's login, and signed requests.
    """

    name = "huawei_sms"
    controls_type = HuaweiSmsControls
    controls: HuaweiSmsControls
    kinds = ("token", "login", "key")
    security: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"},
        "signature": {"type": "apiKey", "in": "header", "name": "Authorization"},
    }
    answers: ClassVar[Mapping[int, type | None]] = {401: _Refused, 403: _Refused}
    open_words = True

    _TOKEN = "simulated-iam-token"  # noqa: S105  # invented, accepted by this simulator only
    _ACCESS_KEY, _SECRET_KEY = "SIMULATEDACCESSKEY00", "simulated-secret-key-000000000000000000"
    _DOMAIN, _USER, _PASSWORD = "simulated-account", "operator", "simulated-password"
    _PROJECT = "ap-southeast-3"

    @property
    def credentials(self) -> Mapping[str, str]:
        return {
            "token": self._TOKEN,
            "iam_endpoint": self.endpoint,
            "domain_name": self._DOMAIN,
            "username": self._USER,
            "password": self._PASSWORD,
            "project_name": self._PROJECT,
            "access_key": self._ACCESS_KEY,
            "secret_key": self._SECRET_KEY,
        }

    def settings(self, kind: str = "token") -> dict[str, Any]:
        """Give the settings that connect to it.

        Args:
            kind: ``token``, ``login`` or ``key``.
        """
        names = {
            "": ("token",),
            "token": ("token",),
            "login": ("iam_endpoint", "domain_name", "username", "password", "project_name"),
            "key": ("access_key", "secret_key"),
        }[kind]
        return {**self._door(), **{name: self.credentials[name] for name in names}}

    def reset(self) -> None:
        super().reset()
        self._sources: dict[str, DescribedSource] = {}
        self._registered: dict[str, SourceDocument] = {}
        self._called: dict[str, dict[str, None]] = {}  # ids of sources that have, or had, a name
        self._migrations: dict[str, _Migration] = {}
        self._migrations_of: dict[str, list[str]] = {}
        self._tokens: dict[str, datetime] = {}
        self._checks: dict[EnvironmentCheck, EnvironmentCheck] = {}

    # Controls beyond plain values.

    def start_migration(self, source_id: str) -> str:
        """Do what an operator does in the console: set a target and start the migration.

        The target server is created and locked. It is started whatever the checks say.

        Args:
            source_id: a registered source.

        Returns:
            The id of the migration task, which is the neutral replication's.
        """
        source = self._sources[source_id]
        now = self.now_ms()
        task = TaskByServerSource(
            id=self.new_id(),
            name="MigrationTask",
            type="MIGRATE_FILE" if source.os_type == "LINUX" else "MIGRATE_BLOCK",
            state="RUNNING",
            start_date=now,
            speed_limit=0,
            migrate_speed=0.0,
            start_target_server=True,
            vm_template_id=self.new_id(),
            region_id=self._PROJECT,
            project_name=self._PROJECT,
            project_id=self.new_id().replace("-", ""),
            target_server=TargetServerById(vm_id=self.new_id(), name=source.name),
            log_collect_status="INIT",
            exist_server=False,
            use_public_ip=True,
        )
        self._migrations[task.id or ""] = _Migration(source_id, task)
        self._migrations_of.setdefault(source_id, []).append(task.id or "")
        self._sources[source_id] = attrs.evolve(
            source,
            state="initialize",
            migration_cycle="replicating",
            current_task=task,
            replicatesize=0,
            totalsize=min(
                MAX64,
                sum(volume.used_size or 0 for disk in source.disks or () for volume in disk.physical_volumes or ()),
            ),
            state_action_time=now,
            stage_action_time=now,
        )
        return task.id or ""

    def change(self, source_id: str, **fields: Any) -> None:
        """Let a source look otherwise, for states that the simulator does not come to by itself.

        Args:
            source_id: a registered source.
            **fields: the fields of its `DescribedSource` to replace.

        Raises:
            TypeError: there is no such field.
        """
        self._keep(attrs.evolve(self._sources[source_id], **fields))

    def locked(self, replication_id: str) -> bool:
        """Tell whether the target server of a replication is locked."""
        return self._migrations[replication_id].locked

    def source_spec(self) -> SourceSpec:
        name = f"web-{self.new_id()[:8]}"
        facts = SourceFacts(hostname=name, os_family=OsFamily.LINUX, cpu_count=4, memory_bytes=8 * 2**30)
        network = NetWork(
            name="eth0", ip="192.168.136.10", netmask="255.255.255.0", gateway="192.168.136.1", mtu=1500, mac="0" * 64
        )
        details = attrs.evolve(
            example_document(),
            **dict.fromkeys(("name", "hostname", "os_type", "cpu_quantity", "memory")),
            ip="192.168.136.10",
            paravirtualization=False,
            raw_devices="",
            has_tc=True,
            networks=(network,),
        )
        return SourceSpec(name=name, facts=facts, details=details)

    def add_replication(self) -> str:
        return self.start_migration(self.add_sources(1)[0])

    def refusals(self) -> Mapping[type[ApiError], Response]:
        return {
            AuthenticationError: self._gateway_error(401, "APIGW.0301", "Incorrect IAM authentication information."),
            PermissionDeniedError: self._denied("sms:server:list"),
            NotFoundError: self._service_error(400, "SMS.2216", "The source server does not exist."),
            InvalidRequestError: self._service_error(400, "SMS.6201", "The request is invalid."),
            OperationNotOfferedError: self.unknown_route(),
        }

    def add_sources(self, count: int) -> list[str]:
        """Register `count` small machines; gives their ids."""
        return [
            self._add(SourceDocument(name=f"host-{number}", hostname=f"host-{number}", os_type="LINUX"))
            for number in range(count)
        ]

    def registered(self, source_id: str) -> SourceDocument:
        """Give what was registered, write-only fields included."""
        return self._registered[source_id]

    def expire_logins(self) -> None:
        """Make every token that was handed out invalid."""
        self._tokens.clear()

    # Routes.

    def routes(self) -> Sequence[Route]:
        return [
            Route("/v3/auth/tokens", self._fetch_token, methods=["POST"]),
            Route("/v3/sources", self._register, methods=["POST"]),
            Route("/v3/sources", self._list, methods=["GET"]),
            Route("/v3/sources/{source_id}", self._describe, methods=["GET"]),
            Route("/v3/sources/{source_id}", self._delete, methods=["DELETE"]),
            Route("/v3/tasks/{task_id}/unlock", self._unlock, methods=["POST"]),
        ]

    def unknown_route(self) -> Response:
        return self._gateway_error(404, "APIGW.0101", "The API does not exist or has not been published.")

    @documented(
        Call(body=_TokenWanted, answers={201: _TokenIssued, 400: _IdentityError, 401: _IdentityError}, security=())
    )
    async def _fetch_token(self, request: Request) -> Response:
        try:
            user = json.loads(await request.body())["auth"]["identity"]["password"]["user"]
            given = (user["domain"]["name"], user["name"], user["password"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return _identity_error(400, "Bad Request", "The request body is invalid.")
        if given != (self._DOMAIN, self._USER, self._PASSWORD):
            return _identity_error(401, "Unauthorized", "The username or password is wrong.")
        token = self.new_secret()
        self._tokens[token] = self.clock.now() + _TOKEN_LIFE
        issued, expires = (
            moment.strftime("%Y-%m-%dT%H:%M:%S.%f000Z") for moment in (self.clock.now(), self._tokens[token])
        )
        body = {"token": {"expires_at": expires, "issued_at": issued, "methods": ["password"]}}
        return JSONResponse(body, 201, headers={"X-Subject-Token": token})

    @documented(Call(body=SourceDocument, answers={200: _Registered, 400: _Refused}))
    async def _register(self, request: Request) -> Response:
        await self._authorize(request, "sms:server:register")
        payload = await self._json_object(request)
        faults: list[Fault] = []
        document = decode(SourceDocument, payload, faults)
        # Agents report words that are in no table; those become failed checks.
        faults += [fault for fault in faults_of(document) if "allowed are:" not in fault.message]
        if faults:
            return self._service_error(400, "SMS.6201", f"The request is invalid: {faults[0]}")
        source_id = self._add(document)
        if self.controls.start_migration:
            self.start_migration(source_id)
        return JSONResponse({"id": source_id})

    async def _json_object(self, request: Request) -> dict[str, Any]:
        payload = json_object(await request.body())
        if payload is None:
            raise Refusal(self._service_error(400, "SMS.6201", "The request body is no JSON object."))
        return payload

    @documented(Call(query=_Wanted, answers={200: _Listed}))
    async def _list(self, request: Request) -> Response:
        await self._authorize(request, "sms:server:list")
        query = request.query_params
        limit = min(_whole(query.get("limit"), _MOST_PER_PAGE) or _MOST_PER_PAGE, _MOST_PER_PAGE)
        offset = _whole(query.get("offset"), 0)
        matching = self._matching({name: query[name] for name in ("id", "ip", "name", "state") if query.get(name)})
        page = [_without(encode(source), keep=_LISTED) for source in islice(matching, offset, offset + limit)]
        return JSONResponse({"count": len(matching), "source_servers": page})

    @documented(Call(answers={200: DescribedSource, 400: _Refused}))
    async def _describe(self, request: Request) -> Response:
        await self._authorize(request, "sms:server:get")
        payload = encode(self._source(segment(request, "source_id")))
        for name in _WRITE_ONLY:
            payload.pop(name, None)
        return JSONResponse(payload)

    @documented(Call(answers={200: None, 400: _Refused}))
    async def _delete(self, request: Request) -> Response:
        await self._authorize(request, "sms:server:delete")
        source = self._source(segment(request, "source_id"))
        for kept in (self._sources, self._registered, self._called[source.name or ""]):
            kept.pop(source.id or "", None)
        for task_id in self._migrations_of.pop(source.id or "", ()):
            del self._migrations[task_id]
        return Response(status_code=200)

    @documented(Call(answers={200: _Nothing, 404: _Refused}))
    async def _unlock(self, request: Request) -> Response:
        if not self.controls.unlock_offered:
            return self.unknown_route()
        await self._authorize(request, "sms:server:unlock")
        migration = self._migrations.get(segment(request, "task_id"))
        if migration is None:
            return self._service_error(404, "SMS.2252", "The task does not exist.")
        migration.locked = False
        return JSONResponse({})

    # State.

    def _source(self, source_id: str) -> DescribedSource:
        if source_id not in self._sources:
            raise Refusal(self._service_error(400, "SMS.2216", "The source server does not exist."))
        return self._sources[source_id]

    def _matching(self, wanted: Mapping[str, str]) -> Collection[DescribedSource]:
        """Find the sources that have some values; an id or a name leads to them at once."""
        if not wanted:
            return self._sources.values()
        ids: Iterable[str] = self._sources
        if "id" in wanted:
            ids = (wanted["id"],)
        elif "name" in wanted:
            ids = self._called.get(wanted["name"], ())
        found = [self._sources[source_id] for source_id in ids if source_id in self._sources]
        return [source for source in found if all(getattr(source, name) == wanted[name] for name in wanted)]

    def _keep(self, source: DescribedSource) -> None:
        """Keep a source as it is now."""
        self._sources[source.id or ""] = source
        self._called.setdefault(source.name or "", {})[source.id or ""] = None

    def _add(self, document: SourceDocument) -> str:
        """Keep a new source, or update the one whose id the document names; check its fitness."""
        known = document.id if document.id in self._sources else None
        source_id = known or self.new_id()
        now = self.now_ms()
        checks = tuple(map(self._numbered, _checks(document)))
        failed = any(check.result == "ERROR" for check in checks)
        given = {name: getattr(document, name) for name in attrs.fields_dict(SourceDocument)}
        self._registered[source_id] = document
        described = DescribedSource(
            **{
                **given,
                "id": source_id,
                "name": document.name or document.hostname,
                "btrfs_list": document.btrfs_list or (),
                "volume_groups": document.volume_groups or (),
                "networks": document.networks or (),
                "disks": document.disks or (),
                "state": "unavailable" if failed else "waiting",
                "migration_cycle": "checking",
                "enterprise_project_id": "0",
                "add_date": self._sources[known].add_date if known else now,
                "connected": self.controls.agent_connected,
                "checks": checks,
                "init_target_server": _recommended(document),
                "state_action_time": now,
                "stage_action_time": now,
                "last_visit_time": now,
                "replicatesize": 0,
                "totalsize": 0,
            }
        )
        self._keep(described)
        return source_id

    def _numbered(self, check: EnvironmentCheck) -> EnvironmentCheck:
        """Give a check its number; those that say the same share one, so that many sources need little room."""
        if check not in self._checks:
            self._checks[check] = attrs.evolve(check, id=_FIRST_CHECK + len(self._checks))
        return self._checks[check]

    # Authentication.

    async def _authorize(self, request: Request, action: str) -> None:
        """Let a request pass that is authenticated and allowed `action`.

        Raises:
            Refusal: it is not.
        """
        if "x-auth-token" in request.headers:
            self._check_token(request.headers["x-auth-token"])
        else:
            self._check_signature(request, await request.body())
        if self.controls.deny == action:
            raise Refusal(self._denied(action))

    def _check_token(self, token: str) -> None:
        expires = self._tokens.get(token)
        if token != self._TOKEN and (expires is None or expires <= self.clock.now()):
            raise Refusal(self._gateway_error(401, "APIGW.0307", "The token must be updated."))

    def _check_signature(self, request: Request, body: bytes) -> None:
        given = _authorization(request.headers.get("authorization", ""))
        date = request.headers.get("x-sdk-date", "")
        if given.get("Access") != self._ACCESS_KEY or not self._timely(date):
            raise Refusal(self._gateway_error(401, "APIGW.0301", "Incorrect IAM authentication information."))
        signed = {name: request.headers.get(name, "").strip() for name in given.get("SignedHeaders", "").split(";")}
        expected = signature_of(
            self._SECRET_KEY,
            date,
            canonical_request(request.method, request.url.path, request.query_params.multi_items(), signed, body),
        )
        if "x-sdk-date" not in signed or not hmac.compare_digest(
            expected.encode(), given.get("Signature", "").encode()
        ):
            raise Refusal(
                self._gateway_error(
                    401, "APIGW.0301", "Incorrect IAM authentication information: verify aksk signature fail."
                )
            )

    def _timely(self, date: str) -> bool:
        try:
            sent = datetime.strptime(date, DATE_FORMAT).replace(tzinfo=UTC)
        except ValueError:
            return False
        return abs(self.clock.now() - sent) <= _CLOCK_SKEW

    # Refusals. Each has an id in its header, where the vendor's own client looks for it.

    def _gateway_error(self, status: int, code: str, message: str) -> Response:
        request_id = self.new_id()
        body = {"error_code": code, "error_msg": message, "request_id": request_id}
        return JSONResponse(body, status, headers={"X-Request-Id": request_id})

    def _service_error(self, status: int, code: str, message: str, **more: Any) -> Response:
        body = {"error_code": code, "error_msg": message, **more}
        return JSONResponse(body, status, headers={"X-Request-Id": self.new_id()})

    def _denied(self, action: str) -> Response:
        reason = f"You do not have permission to perform action {action} on resource *."
        return self._service_error(
            403,
            "SMS.9004",
            f"The current account does not have the permission to execute policy. {reason}",
            encoded_authorization_message="simulated-authorization-message",
            error_param=[reason],
            details=[{"error_code": "SMS.9004", "error_msg": reason}],
        )


@functools.cache
def example_document() -> SourceDocument:
    """Load the vendor's own example of a machine to register: a SUSE host with LVM and Btrfs."""
    text = resources.files("migrate_huawei_sms").joinpath("examples", "register-request.json").read_text("utf-8")
    return document_from_json(json.loads(text))


def _authorization(header: str) -> dict[str, str]:
    algorithm, _, rest = header.partition(" ")
    if algorithm != ALGORITHM:
        return {}
    pairs = (part.strip().partition("=") for part in rest.split(","))
    return {name: value for name, _, value in pairs}


def _whole(value: str | None, default: int) -> int:
    return int(value) if value and value.isascii() and value.isdigit() and len(value) < 10 else default


def _without(payload: dict[str, Any], *, keep: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in payload.items() if name in keep}


def _identity_error(status: int, title: str, message: str) -> Response:
    return JSONResponse({"error": {"code": status, "message": message, "title": title}}, status)


def _recommended(document: SourceDocument) -> InitTargetServer:
    """Recommend a target like the source: the same disks, the booting one as system disk."""
    return InitTargetServer(
        disks=tuple(
            DiskIntargetServer(
                name=disk.name,
                size=disk.size,
                used_size=disk.used_size,
                device_use="OS" if disk.device_use in ("BOOT", "OS") else "NORMAL",
                physical_volumes=tuple(
                    PhysicalVolumes(**{name: getattr(volume, name) for name in attrs.fields_dict(PhysicalVolumes)})
                    for volume in disk.physical_volumes or ()
                ),
            )
            for disk in document.disks or ()
        ),
        volume_groups=document.volume_groups or (),
    )


def _checks(document: SourceDocument) -> Iterator[EnvironmentCheck]:
    """Check a machine's fitness by what was registered of it."""
    disks, os_type = document.disks or (), (document.os_type or "").upper()
    yield _verdict("OS_VERSION", bool(document.os_version), "", "the OS version is not known")
    yield _verdict("FIRMWARE", document.firmware in ("BIOS", "UEFI"), "", "the boot mode is not known")
    yield _verdict("CPU", bool(document.cpu_quantity), "", "the number of CPUs is not known")
    yield _verdict("MEMORY", bool(document.memory), "", "the memory size is not known")
    yield _verdict(
        "PARTITION_STYLE",
        bool(disks) and all(disk.partition_style in ("MBR", "GPT") for disk in disks),
        "",
        "a disk's partition style is not known",
    )
    yield _verdict(
        "BOOT_DISK", any(disk.device_use in ("BOOT", "OS") for disk in disks), "SMS.6531", "no disk boots the machine"
    )
    strange = sorted(_strange_file_systems(os_type, disks))
    yield _verdict("FILE_SYSTEM", not strange, "SMS.6509", f"unsupported file systems: {', '.join(strange)}")
    full = sorted(_full_volumes(disks))
    yield _verdict("FREE_SPACE", not full, "SMS.1351", f"no free space on {', '.join(full)}")
    yield from _linux_checks(document) if os_type == "LINUX" else _windows_checks(document)


def _linux_checks(document: SourceDocument) -> Iterator[EnvironmentCheck]:
    yield _verdict("RSYNC", bool(document.has_rsync), "SMS.6517", "rsync is not installed, or not reported")
    yield _verdict("BOOT_LOADER", document.boot_loader == "GRUB", "SMS.6564", "the boot loader is not GRUB")
    yield _verdict("RAW_DEVICES", document.raw_devices is not None, "", "the raw devices are not reported", "WARN")
    yield _verdict("TC", document.has_tc is not None, "", "it is not reported whether tc is installed", "WARN")
    yield _verdict(
        "PARAVIRTUALIZATION",
        document.paravirtualization is False,
        "",
        "paravirtualized machines may not start on the target",
        "WARN",
    )


def _windows_checks(document: SourceDocument) -> Iterator[EnvironmentCheck]:
    yield _verdict("SYSTEM_ROOT", bool(document.system_dir), "", "the system directory is not known")
    yield _verdict("OEM_SYSTEM", not document.oem_system, "", "OEM editions lose their activation", "WARN")
    yield _verdict("DRIVER_FILE", document.driver_files is False, "SMS.6511", "driver files are missing")
    yield _verdict("SERVICE", document.system_services is False, "", "system services are abnormal")
    yield _verdict("ACCOUNT_RIGHTS", document.account_rights is True, "", "the account lacks rights")


def _strange_file_systems(os_type: str, disks: Sequence[ServerDisk]) -> set[str]:
    known = _FILE_SYSTEMS.get(os_type, ())
    volumes = [volume for disk in disks for volume in disk.physical_volumes or ()]
    return {volume.file_system for volume in volumes if volume.file_system and volume.file_system.lower() not in known}


def _full_volumes(disks: Sequence[ServerDisk]) -> set[str]:
    """Name the mounted partitions that are full; swap and parts of volume groups always are."""
    volumes = [volume for disk in disks for volume in disk.physical_volumes or ()]
    return {
        volume.name or volume.mount_point
        for volume in volumes
        if volume.mount_point and volume.size and volume.used_size is not None and volume.used_size >= volume.size
    }


def _verdict(name: str, good: bool, code: str, reason: str, otherwise: str = "ERROR") -> EnvironmentCheck:
    if good:
        return EnvironmentCheck(name=name, result="OK", params=("",), error_params="")
    return EnvironmentCheck(
        name=name,
        result=otherwise,
        params=("",),
        error_code=code or None,
        error_or_warn=reason[:_LONGEST],
        error_params="",
    )
