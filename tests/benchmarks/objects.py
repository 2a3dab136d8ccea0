"""Answers and documents without a network: reading, writing, and what ten thousand of them weigh."""

from __future__ import annotations

import gc
import json
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

from huaweicloudsdkcore.utils.http_utils import sanitize_for_serialization
from huaweicloudsdksms import v3

from benchmarks.server import EXAMPLE
from migrate_core.documents import encode
from migrate_core.provider import Response, json_body
from migrate_huawei_sms import HuaweiSmsProvider, HuaweiSmsSettings
from migrate_huawei_sms.simulator import HuaweiSmsSimulator

BODY = EXAMPLE.read_bytes()
_SMS = {"endpoint": "https://sms.example", "token": "benchmark"}


def _flow(keep_raw: bool = True) -> Callable[[], Any]:
    provider = HuaweiSmsProvider(HuaweiSmsSettings(**_SMS, keep_raw=keep_raw))
    answer = Response(status=200, headers={"content-type": "application/json"}, body=BODY)

    def decoded() -> Any:
        flow = provider.describe_source("s-1")
        next(flow)
        try:
            flow.send(answer)
        except StopIteration as stop:
            return stop.value

    return decoded


def _sdk_decoded() -> Callable[[], Any]:
    client = v3.SmsClient()
    return lambda: client._deserialize(json.loads(BODY), v3.ShowServerResponse)


def decoding(units: int) -> Sequence[tuple[str, Callable[[], int]]]:
    """Give the contestants that make objects of the query's answer."""
    return [(name, _times(units, work)) for name, work in _decoders().items()]


def _decoders() -> dict[str, Callable[[], Any]]:
    return {
        "migrate-core": _flow(),
        "migrate-core, keep_raw=False": _flow(keep_raw=False),
        "json.loads": lambda: json.loads(BODY),
        "the vendor's SDK": _sdk_decoded(),
    }


def encoding(units: int) -> Sequence[tuple[str, Callable[[], int]]]:
    """Give the contestants that check a machine and make the body of its registration."""
    provider = HuaweiSmsProvider(HuaweiSmsSettings(**_SMS))
    spec = HuaweiSmsSimulator().source_spec()
    payload = encode(spec.details)
    document = v3.SmsClient()._deserialize(payload, v3.PostSourceServerBody)
    return [
        ("migrate-core", _times(units, lambda: next(provider.register_source(spec)))),
        ("json.dumps", _times(units, lambda: json_body(payload))),
        ("the vendor's SDK", _times(units, lambda: json.dumps(sanitize_for_serialization(document)))),
    ]


def _times(units: int, work: Callable[[], Any]) -> Callable[[], int]:
    def repeated() -> int:
        for _ in range(units):
            work()
        return units

    return repeated


def memory(count: int) -> dict[str, float]:
    """Tell how many bytes a described source takes, of `count` that are held."""
    return {name: _held(count, decode) for name, decode in _decoders().items()}


def _held(count: int, decode: Callable[[], Any]) -> float:
    decode()
    gc.collect()
    tracemalloc.start()
    held = [decode() for _ in range(count)]
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size / len(held)
