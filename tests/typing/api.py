"""A script that uses the public names only; it is type-checked, not run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import datetime
from typing import Any, assert_type

import migrate_core as mc
from migrate_huawei_sms.models import DescribedSource, SourceDocument, document_from_json, document_of


def sync(cloud: mc.Client) -> None:
    spec = mc.SourceSpec(name="web-1", details=SourceDocument(boot_loader="GRUB", has_rsync=True))
    task = cloud.sources.register(spec, allow_incomplete=True)
    assert_type(task, mc.Task[str])
    assert_type(task.wait(timeout=None, on_progress=lambda task: print(task.status)), str)
    source = cloud.sources.describe("s-1")
    assert_type(source, mc.SourceServer)
    assert_type(source.registered_at, datetime | None)
    assert_type(source.raw, Mapping[str, Any])
    assert_type(document_of(source), DescribedSource)
    assert_type(cloud.sources.list(), Iterator[mc.SourceServer])
    assert_type(cloud.targets.unlock("r-1"), mc.Task[Any])
    assert_type(cloud.pairings.describe("p-1"), mc.Pairing)
    assert_type(cloud.tasks.get("t-1").error, mc.TaskFailure | None)
    assert_type(cloud.capabilities[mc.Operation.UNLOCK_TARGET].support, mc.Support)
    assert_type(document_from_json({"name": "web-1"}), SourceDocument)


async def asynchronous() -> None:
    async with mc.connect_async("vmware_srm", endpoint="https://srm.example") as site:
        assert_type(site, mc.AsyncClient)
        task = await site.pairings.delete("p-1")
        assert_type(task, mc.AsyncTask[Any])
        await task.wait(timeout=900, on_progress=lambda task: print(task.progress))
        assert_type(site.pairings.list(), AsyncIterator[mc.Pairing])
        assert_type(await site.sources.register(mc.SourceSpec(name="x")), mc.AsyncTask[str])


def errors(error: mc.MigrateError) -> str:
    match error:
        case mc.InvalidDocumentError():
            assert_type(error.faults, tuple[mc.Fault, ...])
        case mc.ApiError():
            assert_type(error.retry_after, float | None)
            return error.code
        case mc.TaskError():
            return error.token
        case _:
            pass
    return str(error)


with mc.connect("huawei_sms", endpoint="https://sms.example", token="t") as client:
    sync(client)
