"""Answers and documents without a network: reading, writing, and what ten thousand of them weigh."""

from __future__ import annotations

import gc
import json
import tracemalloc
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, TypeAlias

import requests
from huaweicloudsdksms import v3

from benchmarks.server import EXAMPLE
from extras import without_fast_json
from migrate_core.documents import encode
from migrate_core.provider import Response, json_body
from migrate_huawei_sms import HuaweiSmsProvider, HuaweiSmsSettings
from migrate_huawei_sms.simulator import HuaweiSmsSimulator

BODY = json_body(json.loads(EXAMPLE.read_bytes()))
"""As it comes over the wire; the vendor's page has it with blanks and line ends."""

_SMS = {"endpoint": "https://sms.example", "token": "benchmark"}


Decode: TypeAlias = Callable[[bytes], Any]


def _described(keep_raw: bool = True) -> Decode:
    provider = HuaweiSmsProvider(HuaweiSmsSettings(**_SMS, keep_raw=keep_raw))

    def decoded(body: bytes) -> Any:
        flow = provider.describe_source("s-1")
        next(flow)
        try:
            flow.send(Response(status=200, headers={"content-type": "application/json"}, body=body))
        except StopIteration as stop:
            return stop.value

    return decoded


def _sdk_described() -> Decode:
    client = v3.SmsClient()

    def decoded(body: bytes) -> Any:
        answer = requests.Response()
        answer.status_code, answer.encoding, answer._content = 200, "utf-8", body
        return client.sync_response_handler(answer, "ShowServerResponse", None, None)

    return decoded


def _decoders() -> dict[str, Decode]:
    return {
        "migrate-core": _described(),
        "migrate-core, keep_raw=False": _described(keep_raw=False),
        "migrate-core[fast]": _described(),
        "json.loads": json.loads,
        "the vendor's SDK": _sdk_described(),
    }


def decoding(units: int) -> Sequence[tuple[str, Callable[[], int]]]:
    """Give the contestants that make objects of the query's answer."""
    return [(name, _times(units, partial(decode, BODY), name)) for name, decode in _decoders().items()]


def encoding(units: int) -> Sequence[tuple[str, Callable[[], int]]]:
    """Give the contestants that check a machine and make the body of its registration; the SDK checks nothing."""
    provider = HuaweiSmsProvider(HuaweiSmsSettings(**_SMS))
    spec = HuaweiSmsSimulator().source_spec()
    payload = encode(spec.details)
    client = v3.SmsClient()
    document = client._deserialize(payload, v3.PostSourceServerBody)
    works: dict[str, Callable[[], Any]] = {
        "migrate-core": lambda: next(provider.register_source(spec)),
        "migrate-core[fast]": lambda: next(provider.register_source(spec)),
        "json.dumps": lambda: json.dumps(payload),
        "the vendor's SDK": lambda: client._parse_body(document),
    }
    return [(name, _times(units, work, name)) for name, work in works.items()]


def _times(units: int, work: Callable[[], Any], name: str) -> Callable[[], int]:
    def repeated() -> int:
        with nullcontext() if "[fast]" in name else without_fast_json():
            for _ in range(units):
                work()
        return units

    return repeated


def memory(count: int) -> dict[str, float]:
    """Tell how many bytes a described source takes, of `count` that are held, each of an answer of its own."""
    return {name: _held(count, decode) for name, decode in _decoders().items() if "[fast]" not in name}


def _held(count: int, decode: Decode) -> float:
    decode(BODY)
    gc.collect()
    tracemalloc.start()
    held = [decode(bytes(bytearray(BODY))) for _ in range(count)]
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size / len(held)
