"""No secret in a repr, a log, an error, a pickle, a token, or an address."""

from __future__ import annotations

import base64
import logging
import pickle
import re
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import attrs
import pytest

import migrate_core as mc
from migrate_core.provider import Request, Response
from migrate_core.testing._conformance.bench import Bench

_SECRET_HEADER = re.compile("auth|token|session|cookie|secret|key", re.IGNORECASE)
_SHORTEST = 6


class Secrets:
    """What nobody but the vendor may see."""

    def test_no_secret_is_in_what_a_user_sees(
        self, bench: Bench, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Do everything with the log open, and look for each secret in all that came of it, or was printed."""
        caplog.set_level(logging.DEBUG)
        seen: list[str] = []
        sent: list[Request] = []
        for kind in bench.simulator.kinds:
            client = bench.connect(kind)
            seen += _forms(client, client._provider, client._provider.settings)
            for operation in bench.among(tuple(mc.Operation)):
                call = bench.call(operation, client)
                with bench.wire.planned() as requests:
                    seen += _forms(bench.caller(call()))
                sent += requests
        secrets = _secrets(bench, sent)
        seen += [*(request.target for request in sent), caplog.text, *capsys.readouterr()]
        assert _found(secrets, seen) == []

    def test_no_secret_is_in_an_error(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        """Have the vendor refuse everything, quoting what it was sent."""
        caplog.set_level(logging.DEBUG)
        seen: list[str] = []
        for operation in bench.among(tuple(mc.Operation)):
            for status in (400, 401, 403, 500):
                call = bench.call(operation)
                with bench.wire.planned(partial(_quoted, status)) as sent:
                    seen += _forms(bench.refusal(call))
                assert _found(_secrets(bench, sent), [*seen, caplog.text]) == []

    def test_nothing_secret_is_in_an_address(self, bench: Bench) -> None:
        """Refuse to put credentials into a path or a query, which every proxy writes down."""
        for kind in bench.simulator.kinds:
            client = bench.connect(kind)
            for operation in bench.among(tuple(mc.Operation)):
                sent = bench.requests(bench.call(operation, client))
                assert _found(_secrets(bench, sent), [request.target for request in sent]) == []


def _quoted(status: int, request: Request) -> Response:
    """Refuse a request by repeating it."""
    return Response(status=status, body=f"{dict(request.headers)} {request.body.decode()}".encode())


def _secrets(bench: Bench, sent: Iterable[Request]) -> set[str]:
    """Collect the secret settings, of all kinds, and what they became in the headers."""
    names = {field.name for field in attrs.fields(bench.provider.settings_type) if field.metadata.get("secret")}
    known = {value for name, value in bench.simulator.credentials.items() if name in names}
    for request in sent:
        for name, value in request.headers.items():
            if _SECRET_HEADER.search(name) and not name.lower().endswith("date"):
                known |= {value, value.rpartition(" ")[2], value.rpartition("=")[2]}
    return {secret for secret in known if len(secret) >= _SHORTEST}


def _found(secrets: Iterable[str], seen: Iterable[str]) -> list[str]:
    """Tell where secrets stand, without repeating them."""
    texts = list(seen)
    return [
        f"...{text[max(0, at - 60) : at]}***" for secret in secrets for text in texts for at in _places(secret, text)
    ]


def _places(secret: str, text: str) -> Iterator[int]:
    at = text.find(secret)
    if at >= 0:
        yield at


def _forms(*things: Any) -> Iterator[str]:
    """Give the texts that a thing becomes when it is printed, raised, pickled or written down."""
    for thing in things:
        yield f"{thing!r} {thing}"
        if isinstance(thing, mc.MigrateError):
            yield str(vars(thing))
        if isinstance(thing, mc.Task | mc.AsyncTask):
            yield from _forms(thing.info, thing.token)
            yield base64.urlsafe_b64decode(thing.token.partition(".")[2] + "===").decode("latin-1")
        if isinstance(thing, list):
            yield from _forms(*thing)
        elif isinstance(thing, mc.MigrateError) or (attrs.has(type(thing)) and hasattr(thing, "raw")):
            yield pickle.dumps(thing, protocol=0).decode("latin-1")
