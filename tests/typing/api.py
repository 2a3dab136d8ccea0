"""A script and a plug-in that use the public names only; they are type-checked, not run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar, assert_type

import attrs

import migrate_core as mc
from migrate_core.clock import Clock, Deadline, SystemClock
from migrate_core.provider import BaseProvider, Flow, Page, Request, Response, Settings, origin, setting, url_path
from migrate_core.testing import InProcess, Simulator, VirtualClock, new_simulator
from migrate_core.transports import AsyncTransport, Transport, TransportFactory, TransportOptions
from migrate_huawei_sms import HuaweiSmsProvider, HuaweiSmsSettings
from migrate_huawei_sms.models import DescribedSource, SourceDocument, document_from_json, document_of
from migrate_vmware_srm.models import PairPscInfo, SrmPairing, SrmPairingSpec, SrmTask, pairing_of, task_of

# A script with threads.


def sync(cloud: mc.Client) -> None:
    spec = mc.SourceSpec(name="web-1", details=SourceDocument(boot_loader="GRUB", has_rsync=True))
    task = cloud.sources.register(spec, allow_incomplete=True)
    assert_type(task, mc.Task[str])
    assert_type(task.wait(timeout=None, on_progress=lambda task: print(task.status)), str)
    assert_type(cloud.tasks.wait_all([task]), tuple[str, ...])
    assert_type(cloud.sources.list(), Iterator[mc.SourceServer])
    assert_type(cloud.sources.delete("s-1"), mc.Task[Any])
    assert_type(cloud.targets.unlock("r-1"), mc.Task[Any])
    assert_type(cloud.capabilities, Mapping[mc.Operation, mc.Capability])
    assert_type(cloud.capabilities[mc.Operation.UNLOCK_TARGET].support, mc.Support)
    assert_type(cloud.provider, str)
    assert_type(document_from_json({"name": "web-1"}), SourceDocument)


def source(cloud: mc.Client) -> None:
    source = cloud.sources.describe("s-1")
    assert_type(source, mc.SourceServer)
    assert_type(source.stage, mc.Stage)
    assert_type(source.registered_at, datetime | None)
    assert_type(source.checks, tuple[mc.Check, ...])
    assert_type(source.facts.disks, tuple[mc.Disk, ...])
    assert_type(source.facts.disks[0].size_bytes, int | None)
    assert_type(source.raw, Mapping[str, Any])
    assert_type(document_of(source), DescribedSource)
    if source.replication:
        assert_type(source.replication.id, str)
        assert_type(source.replication.eta, timedelta | None)
        cloud.targets.unlock(source.replication.id)


def pairing(site: mc.Client) -> None:
    details = SrmPairingSpec(pair_psc_info=PairPscInfo(url="https://b.example", port=443))
    spec = mc.PairingSpec(remote_url="https://b.example", remote_username="u", remote_password="p", details=details)
    assert_type(site.pairings.create(spec), mc.Task[Any])
    assert_type(site.pairings.list(), Iterator[mc.Pairing])
    pairing = site.pairings.describe("p-1")
    assert_type(pairing, mc.Pairing)
    assert_type(pairing.state, mc.PairingState)
    assert_type(pairing.remote.url, str | None)
    assert_type(pairing_of(pairing), SrmPairing)


def task(site: mc.Client) -> None:
    task = site.pairings.delete("p-1")
    assert_type(task.refresh(), None)
    assert_type(task.cancel(), None)
    assert_type((task.id, task.token), tuple[str, str])
    assert_type(task.status, mc.TaskStatus)
    assert_type(task.progress, float | None)
    assert_type(task.done, bool)
    assert_type(task.error, mc.TaskFailure | None)
    assert_type(task.info, mc.TaskInfo)
    assert_type(task_of(task.info), SrmTask)
    assert_type(site.tasks.get(task.token), mc.Task[Any])
    assert_type(site.tasks.cancel(task.token), mc.Task[Any])
    assert_type(site.tasks.list(), Iterator[mc.Task[Any]])


# The same with an event loop.


async def asynchronous() -> None:
    async with mc.connect_async("vmware_srm", endpoint="https://srm.example") as site:
        assert_type(site, mc.AsyncClient)
        task = await site.pairings.delete("p-1")
        assert_type(task, mc.AsyncTask[Any])
        await task.wait(timeout=900, on_progress=lambda task: print(task.progress))
        assert_type(await task.refresh(), None)
        assert_type(await task.cancel(), None)
        assert_type(task.status, mc.TaskStatus)
        assert_type(site.pairings.list(), AsyncIterator[mc.Pairing])
        assert_type(await site.pairings.describe("p-1"), mc.Pairing)
        assert_type(site.sources.list(), AsyncIterator[mc.SourceServer])
        assert_type(await site.sources.describe("s-1"), mc.SourceServer)
        registered = await site.sources.register(mc.SourceSpec(name="x"))
        assert_type(registered, mc.AsyncTask[str])
        assert_type(await registered.wait(), str)
        assert_type(await site.tasks.wait_all([registered]), tuple[str, ...])
        assert_type(await site.sources.delete("s-1"), mc.AsyncTask[Any])
        assert_type(await site.targets.unlock("r-1"), mc.AsyncTask[Any])
        assert_type(await site.tasks.get("t-1"), mc.AsyncTask[Any])
        assert_type(await site.tasks.cancel("t-1"), mc.AsyncTask[Any])
        assert_type(site.tasks.list(), AsyncIterator[mc.AsyncTask[Any]])
        async for one in site.pairings.list():
            assert_type(one, mc.Pairing)


# Errors.


def errors(error: mc.MigrateError) -> str:
    match error:
        case mc.InvalidDocumentError():
            assert_type(error.faults, tuple[mc.Fault, ...])
            assert_type(error.faults[0].waivable, bool)
        case mc.PermissionDeniedError():
            assert_type(error.action, str)
        case mc.ApiError():
            assert_type(error.retry_after, float | None)
            assert_type(error.operation, mc.Operation | None)
            assert_type(error.details, dict[str, Any])
            return error.code
        case mc.TaskError():
            assert_type(error.info, mc.TaskInfo)
            return error.token
        case mc.UnsupportedOperationError():
            assert_type(error.supporters, tuple[str, ...])
        case mc.DeadlineExceededError():
            assert_type(error.sent, bool)
        case _:
            pass
    return str(error)


# A plug-in.


@attrs.frozen(kw_only=True)
class ExampleSettings(Settings):
    """The plug-in's settings."""

    endpoint: str = setting("https://api.example", doc="Origin of the service.")
    token: str = setting("", doc="API token.", secret=True)


class ExampleProvider(BaseProvider):
    """The plug-in."""

    name = "example"
    settings_type = ExampleSettings
    settings: ExampleSettings
    capabilities: ClassVar[Mapping[mc.Operation, mc.Capability]] = {
        mc.Operation.DESCRIBE_SOURCE: mc.Capability(mc.Support.FULL)
    }

    def endpoints(self) -> Mapping[str, str]:
        return {"main": origin(self.settings.endpoint, verify=self.settings.verify)}

    def error_from(self, response: Response) -> mc.ApiError:
        return mc.NotFoundError("gone", provider=self.name, status=response.status)

    def refresh_credentials(self) -> Flow[None]:
        response = yield Request(method="POST", path="/login", repeatable=True, renew="never")
        assert_type(response, Response)

    def authenticate(self, request: Request, *, origin: str, now: datetime) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.settings.token}"}

    def describe_source(self, source_id: str) -> Flow[mc.SourceServer]:
        response = yield Request(method="GET", path=url_path("servers", source_id), repeatable=True)
        payload = response.expect(200).json_object()
        assert_type(payload, Mapping[str, Any])
        return mc.SourceServer(id=payload["id"], provider=self.name, raw=self.raw(payload))

    def list_sources(self, cursor: str | None) -> Flow[Page[mc.SourceServer]]:
        first = yield from self.describe_source("first")
        assert_type(first, mc.SourceServer)
        return Page((first,))

    def delete_source(self, source_id: str) -> Flow[mc.TaskInfo]:
        yield Request(method="DELETE", path=url_path("servers", source_id), repeatable=False)
        return mc.TaskInfo.finished(mc.Operation.DELETE_SOURCE, entity_id=source_id)


# Transports, clocks and simulators.


class Echo:
    """A transport of one's own; nothing is inherited."""

    def send(self, request: Request, deadline: Deadline) -> Response:
        assert_type(deadline.remaining(), float)
        return Response(status=200, body=request.body)

    def close(self) -> None:
        """Nothing is open."""


class AsyncEcho:
    """The same for an event loop."""

    async def send(self, request: Request, deadline: Deadline) -> Response:
        return Response(status=200, body=request.body)

    async def close(self) -> None:
        """Nothing is open."""


class Echoes:
    """Opens both."""

    def open(self, options: TransportOptions) -> Echo:
        return Echo()

    def open_async(self, options: TransportOptions) -> AsyncEcho:
        return AsyncEcho()


def fits() -> None:
    factories: list[TransportFactory] = [Echoes()]
    doors: tuple[Transport, AsyncTransport] = (Echo(), AsyncEcho())
    clocks: list[Clock] = [SystemClock(), VirtualClock()]
    simulator = new_simulator("huawei_sms", clock=VirtualClock())
    assert_type(simulator, Simulator)
    assert_type(simulator.transport, InProcess)
    factories.append(simulator.transport)
    provider = HuaweiSmsProvider(HuaweiSmsSettings(endpoint="https://sms.example", token="t"))
    assert_type(mc.Client(provider, doors[0], clocks[0]), mc.Client)
    assert_type(mc.AsyncClient(ExampleProvider(ExampleSettings(token="t")), doors[1], clocks[1]), mc.AsyncClient)
    mc.connect("huawei_sms", transport=factories[0], clock=clocks[1])


with mc.connect("huawei_sms", endpoint="https://sms.example", token="t") as client:
    assert_type(client, mc.Client)
    sync(client)
