"""Drives a simulator from its own OpenAPI document, through the ASGI door, and holds every answer to it.

``PYTHONPATH=tests python -m fuzz.conformity --cases 20000 --seed 1`` drives all of them for longer than the tests do.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import attrs
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import Case, GenerationMode, Response
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import migrate_core as mc
from fuzz.mutation import Mutator
from migrate_core.provider import Request
from migrate_core.testing import Simulator, VirtualClock, new_simulator

__all__ = ["NAMES", "Driven", "answered", "drive", "signed"]

NAMES = ("aws_mgn", "huawei_sms", "vmware_srm")

_CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
_ROUND, _REMEMBERED = 10, 3
_SRM = "/api/rest/srm/v2"
_IDS: Mapping[str, Sequence[str]] = {
    **dict.fromkeys(("source_id", "sourceServerID", "sourceServerIDs"), ("source",)),
    **dict.fromkeys(("task_id", "jobID", "jobIDs"), ("replication", "task")),
    "pairing_id": ("pairing",),
}
_BODIES = (b'{"a": "b", "id": 1, "disks": [{"name": "x"}], "\\ud800": 2}', b"{}", b"[]", b'{"name": "\\ud800"}')
_ODD_QUERIES = ("limit=" + "9" * 5000, "offset=-1", "limit=%D9%A3", "limit=", "limit=1&limit=x", "id=%00", "%ff=%ff")
_ODD_LOGINS = ("", "x", "é", "Basic", "Basic é", "Basic !!!!", "Basic eA==", "a" * 9000)


@attrs.define
class Driven:
    """What driving a simulator has shown.

    Attributes:
        answers: how often each operation has answered with each status.
        wrong: what was wrong with answers, each with the first request that got one so.
        unseen: the documented answers that nobody got.
    """

    answers: Counter[tuple[str, int]] = attrs.Factory(Counter)
    wrong: dict[str, str] = attrs.Factory(dict)
    unseen: set[tuple[str, int]] = attrs.Factory(set)


def drive(simulator: Simulator, *, cases: int, number: int) -> Driven:
    """Drive a simulator, whose clock is a virtual one; the same number gives the same requests.

    Args:
        simulator: what to drive.
        cases: how many requests, over all operations.
        number: where chance begins.
    """
    found = schemathesis.openapi.from_dict(simulator.openapi()).get_all_operations()
    operations = [one.ok() for one in found]
    drawn = [case for one in operations for case in _drawn(one, cases // len(operations), number)]
    rng = random.Random(number)
    rng.shuffle(drawn)
    driver = _Driver(simulator, rng)
    with asyncio.Runner() as runner:
        runner.run(driver.try_all(drawn))
    documented = {(one.label, int(status)) for one in operations for status in one.definition.raw["responses"]}
    driver.driven.unseen = documented - set(driver.driven.answers)
    return driver.driven


def _drawn(operation: Any, count: int, number: int) -> list[Case]:
    """Draw cases: three of four as the document wants them, the others as it does not."""
    drawn: list[Case] = []
    takes_something = operation.body or operation.query
    shares = {GenerationMode.POSITIVE: 0.75, GenerationMode.NEGATIVE: 0.25 if takes_something else 0.0}
    for mode, share in shares.items():
        if not share:
            continue

        @seed(number)
        @settings(
            max_examples=max(1, round(count * share)),
            database=None,
            deadline=None,
            derandomize=False,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy(generation_mode=mode))
        def draw(case: Case) -> None:
            drawn.append(case)

        draw()
    return drawn


class _Driver:
    def __init__(self, simulator: Simulator, rng: random.Random) -> None:
        self.driven = Driven()
        self._simulator, self._rng = simulator, rng
        self._known: dict[str, Sequence[str]] = {}
        self._mutator = Mutator(rng, _BODIES)

    async def try_all(self, cases: Sequence[Case]) -> None:
        """Send each case, perhaps damaged, with one login or another, and check the answer."""
        for at, case in enumerate(cases):
            if at % _ROUND == 0:
                self._prepare()
            self._name_known(case)
            if request := self._request(case):
                await self._try(case, request)

    async def _try(self, case: Case, request: requests.PreparedRequest) -> None:
        self._simulator.clock.sleep(self._rng.choice((0, 0, 30)))
        login = self._rng.choice((_LOGINS[self._simulator.name],) * 4 + (_no_login, self._odd_login))
        try:
            request.headers.update(await login(self._simulator, request))
        except mc.InvalidArgumentError:
            return  # what no provider would send cannot be signed
        label = case.operation.label
        try:
            response = await answered(self._simulator, request)
        except Exception as error:
            self._note(f"{label}: {type(error).__name__}: {error}"[:300], request)
            return
        self.driven.answers[label, response.status_code] += 1
        open_to_all = case.operation.definition.raw.get("security") == []
        if login in (_no_login, self._odd_login) and not open_to_all and response.status_code not in (401, 403):
            self._note(f"{label}: {response.status_code} without a login", request)
        for wrong in _wrong(case, response):
            self._note(f"{label}: {wrong}", request)

    def _note(self, what: str, request: requests.PreparedRequest) -> None:
        self.driven.wrong.setdefault(what, f"{request.method} {request.path_url:.300} {request.body!r:.300}")

    def _prepare(self) -> None:
        """Begin a round: something is there to ask for, perhaps something is forbidden, and now and then all is new."""
        simulator, rng = self._simulator, self._rng
        if rng.random() < 0.2:
            simulator.reset()
            self._known.clear()
        for control, values in _CONTROLS[simulator.name].items():
            setattr(simulator.controls, control, rng.choice(values))
        makers: Mapping[str, Callable[[], Sequence[str]]] = {
            "source": lambda: simulator.add_sources(1),
            "pairing": lambda: simulator.add_pairings(1),
            "task": lambda: [simulator.add_task(rng.choice(simulator.task_ends), rng.choice((0.0, 60.0)))],
            "replication": lambda: [simulator.add_replication()],
        }
        for what, make in makers.items():
            with suppress(NotImplementedError):
                self._known[what] = [*self._known.get(what, ())[-_REMEMBERED:], *make()]

    def _name_known(self, case: Case) -> None:
        """Let most cases be about something that there is, and some about what only looks so."""
        wrong = case.meta is not None and case.meta.generation.mode is GenerationMode.NEGATIVE
        places = [case.path_parameters or {}, case.body if isinstance(case.body, dict) and not wrong else {}]
        places += [place["filters"] for place in places if isinstance(place.get("filters"), dict)]
        for place in places:
            for name in set(place) & set(_IDS):
                if self._rng.random() < 0.8:
                    kinds = [kind for kind in _IDS[name] if kind in self._known]
                    identity = self._rng.choice(self._known[kinds[0]])
                    identity = identity if self._rng.random() < 0.9 else f"{identity[:-1]}0"
                    place[name] = [identity] if name.endswith("IDs") else identity

    def _request(self, case: Case) -> requests.PreparedRequest | None:
        """Make the request of a case, now and then with an odd query or body; ``None`` if no client could send it."""
        try:
            request = requests.Request(**case.as_transport_kwargs(base_url=self._simulator.endpoint)).prepare()
        except (ValueError, requests.RequestException):
            return None
        for name in ("authorization", "x-auth-token", "x-dr-session"):
            request.headers.pop(name, None)
        if request.body and self._rng.random() < 0.2:
            request.prepare_body(self._mutator.changed(_content(request)), None)
        if self._rng.random() < 0.1:
            request.url = f"{(request.url or '').partition('?')[0]}?{self._rng.choice(_ODD_QUERIES)}"
        return request

    async def _odd_login(self, simulator: Simulator, request: requests.PreparedRequest) -> Mapping[str, str]:
        """Damage the right login, or say something else in its place."""
        right = await _LOGINS[simulator.name](simulator, request)
        return {
            name: self._rng.choice((*_ODD_LOGINS, value[:-1], f"{value[:-1]}é", value[1:], value.upper()))
            if name.lower() not in _SIGNED
            else value
            for name, value in right.items()
        }


_SIGNED = ("x-amz-date", "x-sdk-date", "host")


def _wrong(case: Case, response: Response) -> Iterator[str]:
    """Say what is wrong with an answer by the document."""
    try:
        case.validate_response(response, checks=_CHECKS)
    except FailureGroup as group:
        yield from (" ".join(str(failure).split())[:300] for failure in group.exceptions)
    declared = case.operation.definition.raw["responses"].get(str(response.status_code), {})
    if response.content and not declared.get("content"):
        yield f"{response.status_code} has a body, documented is none"


def _content(request: requests.PreparedRequest) -> bytes:
    return request.body.encode() if isinstance(request.body, str) else request.body or b""


async def answered(simulator: Simulator, request: requests.PreparedRequest) -> Response:
    """Send a request through the ASGI door."""
    path, _, query = request.path_url.partition("?")
    body = _content(request)
    headers = {**request.headers, "Host": urlsplit(simulator.endpoint).netloc}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "https",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), str(value).encode("latin-1")) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 443),
    }
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await simulator.app(scope, receive, send)
    return Response(
        status_code=sent[0]["status"],
        headers={name.decode(): [value.decode("latin-1")] for name, value in sent[0]["headers"]},
        content=b"".join(message.get("body", b"") for message in sent),
        request=request,
        elapsed=0.0,
        verify=True,
    )


# What each simulator is about, and who may ask it.

_CONTROLS: Mapping[str, Mapping[str, Sequence[Any]]] = {
    "aws_mgn": {
        "deny": ("", "", "mgn:DescribeJobs"),
        "initialized": (True, True, True, False),
        "task_seconds": (0.0, 60.0),
        "sync_seconds": (0.0, 600.0),
    },
    "huawei_sms": {
        "deny": ("", "", *(f"sms:server:{verb}" for verb in ("register", "list", "get", "delete", "unlock"))),
        "start_migration": (False, True),
    },
    "vmware_srm": {
        "deny": ("", "", "VcDr.RemoteSite.com.vmware.vcDr.Edit"),
        "require_peer_login": (True, False),
        "task_seconds": (0.0, 60.0),
        "times_as_text": (False, True),
    },
}


async def _no_login(simulator: Simulator, request: requests.PreparedRequest) -> Mapping[str, str]:
    return {}


async def signed(simulator: Simulator, request: requests.PreparedRequest) -> Mapping[str, str]:
    """Sign a request, or give it its token, as the provider does."""
    provider = mc.provider_class(simulator.name)
    content = _content(request)
    path, _, query = request.path_url.partition("?")
    sent = Request(
        method=request.method or "",
        path=path,
        query=parse_qsl(query, keep_blank_values=True),
        headers={"Content-Type": "application/json"} if content else {},
        body=content,
        repeatable=True,
    )
    request.headers.update(sent.headers)
    made = provider(provider.settings_type(**simulator.settings()))
    return made.authenticate(sent, origin=simulator.endpoint, now=simulator.clock.now())


async def _by_session(simulator: Simulator, request: requests.PreparedRequest) -> Mapping[str, str]:
    """Log in at the site, and at the other one where the request is about a pairing."""
    known = simulator.credentials
    here = _basic(known["username"], known["password"])
    peer = _basic(known["peer_username"], known["peer_password"])
    _, _, rest = request.path_url.partition("/pairings/")
    session = {"x-dr-session": (await _logged_in(simulator, f"{_SRM}/session", here)).json()["session_id"]}
    if rest:
        pairing = rest.partition("?")[0].partition("/")[0]
        await _logged_in(simulator, f"{_SRM}/pairings/{pairing}/remote-session", {**session, **peer})
    return {**session, **(peer if rest else here)}


async def _logged_in(simulator: Simulator, path: str, headers: Mapping[str, str]) -> Response:
    return await answered(simulator, requests.Request("POST", simulator.endpoint + path, headers=headers).prepare())


def _basic(username: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {b64encode(f'{username}:{password}'.encode()).decode()}"}


_LOGINS: Mapping[str, Callable[..., Any]] = {
    "aws_mgn": signed,
    "huawei_sms": signed,
    "vmware_srm": _by_session,
}


def main() -> int:
    """Drive all simulators; gives 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m fuzz.conformity", description=__doc__)
    parser.add_argument("--cases", type=int, default=3000, help="how many requests to each simulator")
    parser.add_argument("--seed", type=int, default=1, help="where chance begins")
    given = parser.parse_args()
    failed = False
    for name in NAMES:
        begun = time.perf_counter()
        driven = drive(new_simulator(name, clock=VirtualClock()), cases=given.cases, number=given.seed)
        print(f"{name}: {driven.answers.total()} requests, seed {given.seed}, {time.perf_counter() - begun:.0f} s")
        for what, request in driven.wrong.items():
            print(f"  {what}\n    {request}")
        for label, status in sorted(driven.unseen):
            print(f"  nobody got {status} of {label}")
        failed |= bool(driven.wrong)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
