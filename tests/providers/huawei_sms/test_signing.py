"""Signatures, against vectors made with the vendor's own signer."""

from __future__ import annotations

from typing import Any

import pytest

from migrate_huawei_sms.auth import SigningKey, canonical_request, signable
from support import example

VECTORS = example("huawei_sms/signing-vectors.json")["vectors"]


def _key(vector: dict[str, Any]) -> SigningKey:
    credential = vector["credential"]
    return SigningKey(
        credential["ak"],
        credential["sk"],
        credential["security_token"],
        credential["project_id"],
        credential["domain_id"],
    )


def test_there_are_23_vectors() -> None:
    assert len(VECTORS) == 23


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_signs_as_the_vendor_does(vector: dict[str, Any]) -> None:
    request, expected = vector["request"], vector["expected"]
    query = [tuple(pair) for pair in request["query_pairs"]]
    body = (request["body"] or "").encode()
    added = _key(vector).sign(
        method=request["method"],
        host=request["host"],
        path=request["path"],
        query=query,
        headers=request["headers"],
        body=body,
        date=vector["x_sdk_date"],
    )
    sent = {**{name: value.strip() for name, value in request["headers"].items()}, **added, "Host": request["host"]}
    assert sent == expected["sent_headers"]
    unsigned = {name: value for name, value in sent.items() if name != "Authorization"}
    canonical = canonical_request(request["method"], request["path"], query, signable(unsigned), body)
    assert canonical == expected["canonical_request"]


def test_no_secret_is_in_a_repr() -> None:
    key = SigningKey("AK", "the-secret-key", "the-security-token")
    assert "the-secret" not in repr(key)
    assert "the-security" not in repr(key)
