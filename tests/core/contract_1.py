"""A plug-in written for contract 1 of the seam. FROZEN: it stands for those in the wild, and must go on working.

It uses what contract 1 had, and each in the way it was documented then. A change of the seam that breaks it is a change
that breaks others; the next contract gets a plug-in of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import attrs

from migrate_core.documents import decode, encode, faults_of, integer, text
from migrate_core.errors import (
    ApiError,
    AuthenticationError,
    InvalidDocumentError,
    NotFoundError,
    UnsupportedOperationError,
    error_class_for,
)
from migrate_core.models import Check, CheckResult, Pairing, PairingState, Site, SourceFacts, SourceServer, Stage
from migrate_core.operations import Capability, Operation, Support
from migrate_core.provider import (
    BaseProvider,
    CredentialsRenewed,
    Page,
    Request,
    Settings,
    TaskFailure,
    TaskInfo,
    TaskStatus,
    json_body,
    origin,
    setting,
    url_path,
)


@attrs.frozen(kw_only=True)
class Machine:
    name: str | None = text(63, required=True)
    memory: int | None = integer(2**40)


@attrs.frozen(kw_only=True)
class FrozenSettings(Settings):
    endpoint: str = setting("https://frozen.invalid", doc="Origin of the service.")
    user: str | None = setting(doc="Name of the user.", kind="login")
    password: str | None = setting(doc="Password of the user.", secret=True, kind="login")


class FrozenProvider(BaseProvider):
    """A vendor of the first day."""

    name = "frozen"
    contract = 1
    settings_type = FrozenSettings
    capabilities: ClassVar[Mapping[Operation, Capability]] = {
        **{
            operation: Capability(Support.FULL)
            for operation in Operation
            if operation not in (Operation.UNLOCK_TARGET, Operation.CREATE_PAIRING)
        },
        Operation.REGISTER_SOURCE: Capability(Support.FULL, "Keeps the record.", options=("force",)),
        Operation.UNLOCK_TARGET: Capability(Support.UNSUPPORTED, "There are no locks"),
    }

    def __init__(self, settings):
        super().__init__(settings)
        self.session = None

    @classmethod
    def vendor_settings(cls, environ):
        return {name: environ[f"FROZEN_{name.upper()}"] for name in ("user", "password")}

    def endpoints(self):
        return {"main": origin(self.settings.endpoint, verify=self.settings.verify)}

    def error_from(self, response):
        cls = AuthenticationError if response.status == 401 else error_class_for(response.status)
        error: ApiError = cls("refused", provider=self.name, status=response.status, code="F.1", details={"a": 1})
        return error

    def has_credentials(self, now):
        return self.session is not None

    def can_renew(self):
        return True

    def refresh_credentials(self):
        login = {"user": self.settings.user, "password": self.settings.password}
        response = yield Request(
            method="POST",
            path=url_path("login"),
            body=json_body(login),
            repeatable=True,
            secrets=(self.settings.password,),
        )
        self.session = response.expect(200).json_object()["session"]

    def authenticate(self, request, *, origin, now):
        assert request.target.startswith("/")
        assert origin == "https://frozen.invalid"
        assert now.tzinfo
        return {"X-Session": self.session}

    def check_logins(self):
        yield from ()
        return (Check(name="other site", result=CheckResult.OK, code="", message="works"),)

    def close_session(self):
        yield Request(method="DELETE", path=url_path("login"), headers={"X-Session": self.session}, repeatable=True)

    def register_source(self, spec):
        document = decode(Machine, spec.details or {}, faults := [])
        document = attrs.evolve(document, name=document.name or spec.name)
        faults += faults_of(document)
        if faults:
            raise InvalidDocumentError(faults)
        body = json_body(encode(document))
        query = (("force", "1"),) if spec.options.get("force") else ()
        response = yield Request(method="POST", path=url_path("machines"), query=query, body=body, repeatable=False)
        source_id = response.json()["id"]
        return TaskInfo.finished(Operation.REGISTER_SOURCE, entity_id=source_id, result=source_id)

    def describe_source(self, source_id):
        response = yield Request(method="GET", path=url_path("machines", source_id), repeatable=True)
        payload = response.expect(200).json_object()
        facts = SourceFacts(memory_bytes=payload["memory"])
        return SourceServer(
            id=source_id, provider=self.name, name="m", stage=Stage.READY, facts=facts, raw=self.raw(payload)
        )

    def list_sources(self, cursor):
        source = yield from self.describe_source(cursor or "m-1")
        return Page((source,), "m-2" if cursor is None else None)

    def delete_source(self, source_id):
        while True:
            try:
                yield Request(method="DELETE", path=url_path("machines", source_id), repeatable=False, renew="restart")
            except CredentialsRenewed:
                continue
            return TaskInfo(id="t-1", status=TaskStatus.QUEUED, progress=0.0, entity_id=source_id)

    def describe_pairing(self, pairing_id):
        yield from ()
        return Pairing(id=pairing_id, state=PairingState.PAIRED, local=Site(name="a"), remote=Site(name="b"))

    def list_pairings(self, cursor):
        return Page(((yield from self.describe_pairing("p-1")),))

    def delete_pairing(self, pairing_id):
        yield from ()
        failure = TaskFailure("broken", details="in half", code="F.2")
        return TaskInfo(id="t-2", status=TaskStatus.ERROR, error=failure)

    def get_task(self, last):
        try:
            yield Request(method="GET", path=url_path("tasks", last.id), repeatable=True, renew="never")
        except NotFoundError:
            return attrs.evolve(last, status=TaskStatus.SUCCESS, progress=100.0)
        return TaskInfo(id=last.id, status=TaskStatus.RUNNING, progress=50.0)

    def list_tasks(self, cursor):
        yield from ()
        return Page((TaskInfo(id="t-1", status=TaskStatus.RUNNING),))

    def cancel_task(self, last):
        yield from ()
        raise UnsupportedOperationError(self.name, Operation.CANCEL_TASK, "not at night")
