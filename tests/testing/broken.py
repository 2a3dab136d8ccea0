"""A small provider, and variants of it that have one fault each, with the check of the suite that is meant for it.

The small provider is the one that ``migratectl provider new`` writes.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import attrs
from migrate_acme import AcmeProvider, AcmeSettings, mapping
from migrate_acme.models import Machine
from migrate_acme.simulator import AcmeSimulator
from starlette.responses import JSONResponse

import migrate_core as mc
from migrate_core.documents import decode
from migrate_core.errors import MalformedResponseError, error_class_for
from migrate_core.models import ReadOnlyDict
from migrate_core.provider import Page, Request, Settings, setting, url_path

log = logging.getLogger("migrate_acme")

FULL = mc.Capability(mc.Support.FULL)


@attrs.frozen(kw_only=True)
class Variant:
    """A provider with a fault.

    Attributes:
        fault: what is wrong with it.
        check: the check that must find it.
        provider: the class.
        simulator: its vendor.
    """

    fault: str
    check: str
    provider: type[AcmeProvider] = AcmeProvider
    simulator: type[AcmeSimulator] = AcmeSimulator

    @property
    def name(self) -> str:
        """The name of the check, as pytest knows it."""
        return f"test_{self.check.replace(' ', '_')}"


def declaring(**changes: mc.Capability | None) -> Mapping[mc.Operation, mc.Capability]:
    """Change what the provider declares."""
    declared = dict(AcmeProvider.capabilities)
    for name, capability in changes.items():
        declared.pop(mc.Operation[name], None)
        if capability:
            declared[mc.Operation[name]] = capability
    return declared


class FindsNothing(AcmeProvider):
    def find_registered(self, spec):
        yield from self.list_sources(None)


class FindsAnything(AcmeProvider):
    def find_registered(self, spec):
        page = yield from self.list_sources(None)
        return page.items[0].id if page.items else None


class CancelsNothing(AcmeProvider):
    def cancel_task(self, last):
        return (yield from self.get_task(last))


class TooModest(AcmeProvider):
    capabilities = declaring(LIST_TASKS=None)


class Speechless(AcmeProvider):
    capabilities = declaring(UNLOCK_TARGET=mc.Capability(mc.Support.UNSUPPORTED))


class TakesAnyOption(AcmeProvider):
    capabilities = declaring(REGISTER_SOURCE=mc.Capability(mc.Support.FULL, options=("an_option_of_nobody",)))


class PastesIds(AcmeProvider):
    def describe_source(self, source_id):
        response = yield Request(method="GET", path=f"/v1/machines/{source_id}", repeatable=True)
        payload = response.expect(200).json_object()
        return mapping.source_from(payload, raw=self.raw(payload))


class ChangesSources(AcmeProvider):
    """A provider that reads sources in another way."""

    def change(self, source, payload):
        raise NotImplementedError

    def describe_source(self, source_id):
        response = yield Request(method="GET", path=url_path("v1", "machines", source_id), repeatable=True)
        payload = response.expect(200).json_object()
        return self.change(mapping.source_from(payload, raw=self.raw(payload)), payload)


class GuessesStates(ChangesSources):
    def change(self, source, payload):
        return attrs.evolve(source, stage=mc.Stage.ERROR) if source.stage is mc.Stage.UNKNOWN else source


class HidesStates(ChangesSources):
    def change(self, source, payload):
        return attrs.evolve(source, vendor_state=source.stage.name.lower())


class ClosedEnums(ChangesSources):
    def change(self, source, payload):
        return attrs.evolve(source, stage=mapping._STAGES[payload["state"]])


class NeedsEveryField(ChangesSources):
    def change(self, source, payload):
        return attrs.evolve(source, name=payload["spec"]["name"]) if payload["spec"] else source


class NeedsEveryList(ChangesSources):
    def change(self, source, payload):
        disks = payload["spec"].get("disks", ()) if payload.get("spec") else ()
        return attrs.evolve(source, facts=attrs.evolve(source.facts, disks=source.facts.disks[: len(disks)]))


class TakesWhatComes(ChangesSources):
    def change(self, source, payload):
        return attrs.evolve(source, name=(payload.get("spec") or {}).get("name") if "spec" in payload else "")


class RefusesNews(ChangesSources):
    def change(self, source, payload):
        decode(Machine, payload, faults := [])
        if faults:
            raise MalformedResponseError(str(faults[0]))
        return source


class LocalTimes(ChangesSources):
    def change(self, source, payload):
        return attrs.evolve(source, registered_at=source.registered_at and source.registered_at.replace(tzinfo=None))


class Mebibytes(ChangesSources):
    def change(self, source, payload):
        size = source.facts.memory_bytes
        return attrs.evolve(source, facts=attrs.evolve(source.facts, memory_bytes=size and size // 2**20))


class DecimalBytes(ChangesSources):
    def change(self, source, payload):
        size = source.facts.memory_bytes
        return attrs.evolve(source, facts=attrs.evolve(source.facts, memory_bytes=size and size // 2**20 * 10**6))


class LeaksRaw(ChangesSources):
    def change(self, source, payload):
        return attrs.evolve(source, raw=ReadOnlyDict(payload))


class AnswersAPlainValue(AcmeProvider):
    def describe_source(self, source_id):
        source = yield from super().describe_source(source_id)
        return {"id": source.id}


class OneErrorForAll(AcmeProvider):
    def error_from(self, response):
        return mc.ApiError("refused", provider=self.name, status=response.status)


class DeafToCodes(AcmeProvider):
    def error_from(self, response):
        return error_class_for(response.status)("refused", provider=self.name, status=response.status)


class QuotesHeaders(AcmeProvider):
    def error_from(self, response):
        error = super().error_from(response)
        error.details = {"sent": dict(self._session.headers()) if self._session else {}}
        return error


class LogsInAlways(AcmeProvider):
    def has_credentials(self, now):
        return self.settings.session is not None


class NeverRenews(AcmeProvider):
    def can_renew(self):
        return False


class LogsInByItself(AcmeProvider):
    def list_sources(self, cursor):
        yield from self.refresh_credentials()
        return (yield from super().list_sources(cursor))


class Stubborn(AcmeProvider):
    def refresh_credentials(self):
        for attempt in range(3):
            try:
                return (yield from super().refresh_credentials())
            except mc.AuthenticationError:
                if attempt == 2:
                    raise


class RegistersTwice(AcmeProvider):
    def register_source(self, spec):
        flow = super().register_source(attrs.evolve(spec, name=f"{spec.name}-{time.monotonic_ns()}"))
        request = attrs.evolve(next(flow), repeatable=True)
        while True:
            try:
                response = yield request
            except mc.MigrateError as error:
                request = flow.throw(error)
            else:
                try:
                    request = flow.send(response)
                except StopIteration as stop:
                    return stop.value


class NamesMachinesTwice(AcmeSimulator):
    """The vendor takes two machines of one name."""

    async def _register(self, request):
        answer = await super()._register(request)
        if answer.status_code == 400:
            payload = json.loads(await request.body())
            spec = decode(type(next(iter(self._machines.values())).spec), payload)
            return JSONResponse({"id": self._add(spec)}, 201)
        return answer


class RegistersCarelessly(AcmeProvider):
    def register_source(self, spec):
        flow = super().register_source(spec)
        response = yield attrs.evolve(next(flow), repeatable=True)
        try:
            flow.send(response)
        except StopIteration as stop:
            return stop.value
        raise AssertionError


class ReadsOnce(AcmeProvider):
    def list_sources(self, cursor):
        response = yield Request(method="GET", path=url_path("v1", "machines"), repeatable=False)
        items, following = mapping.items_from(response.expect(200).json_object())
        return Page(tuple(mapping.source_from(item, raw={}) for item in items), following)


class ChangesTasks(AcmeProvider):
    """A provider that reads tasks in another way."""

    def change(self, task):
        raise NotImplementedError

    def get_task(self, last):
        return self.change((yield from super().get_task(last)))


class FailureIsSuccess(ChangesTasks):
    def change(self, task):
        ended = task.status is mc.TaskStatus.ERROR
        return attrs.evolve(task, status=mc.TaskStatus.SUCCESS) if ended else task


class FailsInSilence(ChangesTasks):
    def change(self, task):
        return attrs.evolve(task, error=None)


class CancelledIsFailure(ChangesTasks):
    def change(self, task):
        ended = task.status is mc.TaskStatus.CANCELLED
        return attrs.evolve(task, status=mc.TaskStatus.ERROR) if ended else task


class NeverLooksAgain(AcmeProvider):
    def get_task(self, last):
        try:
            return (yield from super().get_task(last))
        except mc.NotFoundError:
            return attrs.evolve(last, status=mc.TaskStatus.RUNNING)


class RemembersTasks(AcmeProvider):
    known: set[str] = set()  # noqa: RUF012  # the fault: it is gone with the process

    def get_task(self, last):
        task = yield from super().get_task(last)
        if last.status is mc.TaskStatus.UNKNOWN and last.operation is None and not last.id.startswith("mct"):
            self.known.add(last.id)
        return task if last.id in self.known else attrs.evolve(task, status=mc.TaskStatus.UNKNOWN)


class FirstPageOnly(AcmeProvider):
    def list_sources(self, cursor):
        page = yield from super().list_sources(cursor)
        return Page(page.items)


class AllPagesAtOnce(AcmeProvider):
    def list_sources(self, cursor):
        items = []
        while True:
            page = yield from super().list_sources(cursor)
            items += page.items
            cursor = page.next
            if cursor is None:
                return Page(tuple(items))


class LinksPages(AcmeSimulator):
    """The vendor gives the address of the next page."""

    def _page(self, request, items, payload):
        answer = json.loads(super()._page(request, items, payload).body)
        following = answer["next"]
        link = following and f"{self.endpoint}{request.url.path}?cursor={following}"
        return JSONResponse({**answer, "link": link})


class FollowsLinks(AcmeProvider):
    def list_sources(self, cursor):
        link = urlsplit(cursor or "/v1/machines")
        query = tuple(pair.split("=", 1) for pair in link.query.split("&") if pair)
        response = yield Request(method="GET", path=link.path, query=query, repeatable=True)
        payload = response.expect(200).json_object()
        items, _ = mapping.items_from(payload)
        return Page(tuple(mapping.source_from(item, raw={}) for item in items), payload.get("link"))


class FollowsRedirections(AcmeProvider):
    def error_from(self, response):
        error = super().error_from(response)
        error.details = {"location": response.headers.get("location", "")}
        return error

    def describe_source(self, source_id):
        try:
            return (yield from super().describe_source(source_id))
        except mc.ApiError as error:
            if error.status != 302:
                raise
            yield Request(method="GET", path=urlsplit(error.details["location"]).path, repeatable=True)
            raise


@attrs.frozen(kw_only=True)
class OpenSettings(AcmeSettings):
    """Settings whose password is in every repr."""

    password: str | None = setting(doc="Password of that user.", kind="login")


class ShowsItsPassword(AcmeProvider):
    settings_type = OpenSettings


class LogsEverything(AcmeProvider):
    def refresh_credentials(self):
        log.debug("logging in as %s with %s", self.settings.username, self.settings.password)
        yield from super().refresh_credentials()


class SecretInAddress(AcmeProvider):
    def list_sources(self, cursor):
        query = (("session", self._session.token),)
        response = yield Request(method="GET", path=url_path("v1", "machines"), query=query, repeatable=True)
        items, following = mapping.items_from(response.expect(200).json_object())
        return Page(tuple(mapping.source_from(item, raw={}) for item in items), following)


class Sleepy(AcmeProvider):
    def list_sources(self, cursor):
        time.sleep(0.1)  # what a library does that waits for its own answer; the limit is lowered for this variant
        return (yield from super().list_sources(cursor))


class ReadsFiles(AcmeProvider):
    def list_sources(self, cursor):
        Path(__file__).with_suffix(".txt").exists() or open(__file__ + "x", "a").close()
        Path(__file__ + "x").unlink(missing_ok=True)
        return (yield from super().list_sources(cursor))


class HoldsTheCall(AcmeProvider):
    def describe_source(self, source_id):
        self._asked = source_id
        response = yield Request(method="GET", path=url_path("v1", "machines", source_id), repeatable=True)
        if self._asked != source_id:
            raise MalformedResponseError("somebody else asked in between")
        payload = response.expect(200).json_object()
        return mapping.source_from(payload, raw=self.raw(payload))


@attrs.frozen(kw_only=True)
class SilentSettings(AcmeSettings):
    """Settings, one of which says not what for."""

    colour: str | None = setting(doc="")


class Unexplained(AcmeProvider):
    settings_type: type[Settings] = SilentSettings


class BadlyRead(AcmeProvider):
    def describe_source(self, source_id):
        response = yield Request(method="GET", path=url_path("v1", "machines", source_id), repeatable=True)
        payload = json.loads(response.body)
        return mapping.source_from(payload, raw=self.raw(payload))


class ListsLikeARecord(AcmeProvider):
    def list_sources(self, cursor):
        page = yield from super().list_sources(cursor)
        for source in page.items:
            assert mapping._STAGES[source.vendor_state]
        return page


class DropsWhatItCannotRead(AcmeProvider):
    def list_sources(self, cursor):
        page = yield from super().list_sources(cursor)
        return Page(tuple(source for source in page.items if source.stage is not mc.Stage.UNKNOWN), page.next)


class SuccessIsTheDefault(AcmeProvider):
    def delete_source(self, source_id):
        task = yield from super().delete_source(source_id)
        unknown = task.status is mc.TaskStatus.UNKNOWN
        return attrs.evolve(task, status=mc.TaskStatus.SUCCESS) if unknown else task


class TrustsLogins(AcmeProvider):
    def refresh_credentials(self):
        body = json.dumps({"username": self.settings.username, "password": self.settings.password}).encode()
        path, headers = url_path("v1", "sessions"), {"Content-Type": "application/json"}
        response = yield Request(method="POST", path=path, headers=headers, body=body, repeatable=True)
        self._session = mapping.Session(response.json()["session"])


class TriesOnceMore(AcmeProvider):
    def delete_source(self, source_id):
        try:
            return (yield from super().delete_source(source_id))
        except mc.ServerError:
            return (yield from super().delete_source(source_id))


class OptimisticDelete(AcmeProvider):
    def delete_source(self, source_id):
        try:
            return (yield from super().delete_source(source_id))
        except mc.OutcomeUnknownError:
            return mc.TaskInfo.finished(mc.Operation.DELETE_SOURCE, entity_id=source_id)


class TrimsIds(AcmeProvider):
    def describe_source(self, source_id):
        return (yield from super().describe_source(source_id.strip()))


class Printing(AcmeProvider):
    def refresh_credentials(self):
        print(f"logging in with {self.settings.password}")  # noqa: T201  # the fault
        yield from super().refresh_credentials()


class OneCursor(AcmeProvider):
    def list_sources(self, cursor):
        self._cursor = cursor if cursor is None else self._cursor
        page = yield from super().list_sources(self._cursor)
        self._cursor = page.next
        return page


class CannotBeChecked(AcmeProvider):
    def check_logins(self):
        yield from ()
        raise mc.AuthenticationError("no", provider=self.name, status=401)


VARIANTS = (
    Variant(
        fault="a list that fails on a new state",
        check="a list with odd fields is no crash and drops nothing",
        provider=ListsLikeARecord,
    ),
    Variant(
        fault="a list that drops what it cannot read",
        check="a list with odd fields is no crash and drops nothing",
        provider=DropsWhatItCannotRead,
    ),
    Variant(
        fault="success where nothing is known",
        check="a change with an odd answer is no crash and no success",
        provider=SuccessIsTheDefault,
    ),
    Variant(
        fault="a login's answer taken as it comes",
        check="a login that is answered oddly is no crash",
        provider=TrustsLogins,
    ),
    Variant(
        fault="a second deletion after a failure",
        check="a change that fails at the vendor is not sent again",
        provider=TriesOnceMore,
    ),
    Variant(
        fault="a lost deletion is a success",
        check="a change whose answer is lost is sent once",
        provider=OptimisticDelete,
    ),
    Variant(
        fault="a registered machine is not found",
        check="a registration whose answer is lost is found again",
        provider=FindsNothing,
        simulator=NamesMachinesTwice,
    ),
    Variant(
        fault="any machine is taken for the registered one",
        check="a registration whose answer is lost is found again",
        provider=FindsAnything,
    ),
    Variant(fault="ids without their blanks", check="no id reaches another resource", provider=TrimsIds),
    Variant(fault="a password on the screen", check="no secret is in what a user sees", provider=Printing),
    Variant(fault="one cursor for all lists", check="two lists are read side by side", provider=OneCursor),
    Variant(fault="a login that cannot be checked", check="a connection can be checked", provider=CannotBeChecked),
    Variant(fault="declared but not working", check="a task can be cancelled", provider=CancelsNothing),
    Variant(fault="working but not declared", check="what is written is declared", provider=TooModest),
    Variant(fault="unsupported without a reason", check="what is not offered says why", provider=Speechless),
    Variant(
        fault="an option that is declared and dropped",
        check="an unknown option raises and sends nothing",
        provider=TakesAnyOption,
    ),
    Variant(fault="ids pasted into paths", check="no id reaches another resource", provider=PastesIds),
    Variant(
        fault="an unknown state becomes a known one",
        check="a word that nobody knows is no error and no known state",
        provider=GuessesStates,
    ),
    Variant(
        fault="an unknown state is not told",
        check="a word that nobody knows is no error and no known state",
        provider=HidesStates,
    ),
    Variant(
        fault="an unknown state is a KeyError",
        check="a word that nobody knows is no error and no known state",
        provider=ClosedEnums,
    ),
    Variant(fault="a missing field is a KeyError", check="a missing field is no crash", provider=NeedsEveryField),
    Variant(fault="a null is a TypeError", check="a null is no crash", provider=NeedsEveryList),
    Variant(fault="a number is taken for a name", check="a field of another type is no crash", provider=TakesWhatComes),
    Variant(fault="a new field is an error", check="a new field changes nothing", provider=RefusesNews),
    Variant(fault="a proxy's page is a ValueError", check="a body that is none is malformed", provider=BadlyRead),
    Variant(fault="times without a zone", check="a source is described", provider=LocalTimes),
    Variant(fault="sizes in mebibytes", check="a source is described", provider=Mebibytes),
    Variant(
        fault="sizes in decimal units",
        check="a source is registered and is what was given",
        provider=DecimalBytes,
    ),
    Variant(fault="a flow returns another type", check="a source is described", provider=AnswersAPlainValue),
    Variant(
        fault="every refusal is the same error",
        check="a refusal without a code is classed by its status",
        provider=OneErrorForAll,
    ),
    Variant(
        fault="the vendor's codes are not read",
        check="the vendors own refusals are classed by their codes",
        provider=DeafToCodes,
    ),
    Variant(fault="a login for every call", check="a login serves the calls that follow", provider=LogsInAlways),
    Variant(fault="a login for every caller", check="many callers log in once", provider=LogsInByItself),
    Variant(fault="a login that is never renewed", check="a login that ended is renewed", provider=NeverRenews),
    Variant(
        fault="a refused login is tried again",
        check="wrong credentials are refused and not tried again",
        provider=Stubborn,
    ),
    Variant(
        fault="a registration marked as repeatable",
        check="a change whose answer is lost is sent once",
        provider=RegistersCarelessly,
        simulator=NamesMachinesTwice,
    ),
    Variant(
        fault="a read not marked as repeatable",
        check="a read whose answer is lost is sent again",
        provider=ReadsOnce,
    ),
    Variant(fault="a failed task is a success", check="a task that fails says why", provider=FailureIsSuccess),
    Variant(fault="a failed task gives no reason", check="a task that fails says why", provider=FailsInSilence),
    Variant(
        fault="a cancelled task is a failure",
        check="a task that is cancelled is no failure",
        provider=CancelledIsFailure,
    ),
    Variant(
        fault="a lost task runs for ever",
        check="a task that the vendor forgot ends the wait",
        provider=NeverLooksAgain,
    ),
    Variant(
        fault="a task known to one process only",
        check="a task is taken up by another process",
        provider=RemembersTasks,
    ),
    Variant(fault="only the first page", check="a list gives all there is and each once", provider=FirstPageOnly),
    Variant(fault="all pages for the first item", check="a list is read as it is needed", provider=AllPagesAtOnce),
    Variant(
        fault="links of the answer are followed",
        check="a link to another host is not followed",
        provider=FollowsLinks,
        simulator=LinksPages,
    ),
    Variant(fault="redirections are followed", check="a redirection is refused", provider=FollowsRedirections),
    Variant(fault="a secret not marked as one", check="secret settings are marked", provider=ShowsItsPassword),
    Variant(fault="a password in the log", check="no secret is in what a user sees", provider=LogsEverything),
    Variant(fault="a session in an error", check="no secret is in an error", provider=QuotesHeaders),
    Variant(fault="a session in an address", check="nothing secret is in an address", provider=SecretInAddress),
    Variant(fault="raw with its secrets", check="raw is the answer and keeps no secret", provider=LeaksRaw),
    Variant(fault="a flow that blocks", check="a flow neither blocks nor does io", provider=Sleepy),
    Variant(fault="a flow that opens files", check="a flow neither blocks nor does io", provider=ReadsFiles),
    Variant(fault="two flows share a variable", check="a flow holds nothing between calls", provider=HoldsTheCall),
    Variant(fault="a setting without a text", check="everything public is explained", provider=Unexplained),
)
