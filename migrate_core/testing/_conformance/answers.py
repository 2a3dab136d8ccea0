"""Answers that are not quite what the vendor documents."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import attrs
import pytest

import migrate_core as mc
from migrate_core.provider import Response
from migrate_core.testing._conformance.bench import CHANGES, READS, Bench
from migrate_core.testing._conformance.values import enums_in, faults_in
from migrate_core.testing._conformance.wire import always, as_json, nth, replayed

_LISTS: Mapping[mc.Operation, mc.Operation] = {
    mc.Operation.LIST_SOURCES: mc.Operation.DESCRIBE_SOURCE,
    mc.Operation.LIST_PAIRINGS: mc.Operation.DESCRIBE_PAIRING,
    mc.Operation.LIST_TASKS: mc.Operation.GET_TASK,
}
"""The lists, and what makes something to be listed."""

_DESCRIBED = (mc.Operation.DESCRIBE_SOURCE, mc.Operation.DESCRIBE_PAIRING, mc.Operation.GET_TASK)
_WORD = "A-WORD-THAT-NOBODY-KNOWS"
_NUMBER = 987_654_321
_CANARY = "canary-in-an-answer"
_ODD: tuple[Any, ...] = ({}, [None], "", -1, 1e300, True)
READABLE = (mc.MalformedResponseError, mc.ApiError, mc.OutcomeUnknownError)
NO_ANSWERS = (b"", b"<html>a proxy's page</html>", b"null", b"[]", b'"text"', b"{}", b"[" * 100_000, b"\xff\xfe")

_GONE: Any = object()


class Answers:
    """Fields that are missing, odd or new; bodies that are none."""

    def test_a_word_that_nobody_knows_is_no_error_and_no_known_state(self, bench: Bench) -> None:
        """Replace each text and number of an answer: what is derived from it becomes UNKNOWN, and stays readable."""
        for before, after, where in _changed(bench, _unheard_of):
            if after is None:
                continue
            known = enums_in(before)
            for path, value in enums_in(after).items():
                unknown = getattr(type(value), "UNKNOWN", value)
                assert value in (known.get(path, unknown), unknown), f"{where} makes {path} {value.name}"
            if isinstance(after, mc.SourceServer) and after.stage is not before.stage:
                told = (_WORD, str(_NUMBER))
                assert any(word in after.vendor_state for word in told), f"{where}: vendor_state says another word"

    def test_a_missing_field_is_no_crash(self, bench: Bench) -> None:
        """Leave out each field of an answer: it is unknown, or the answer is malformed."""
        for _, after, where in _changed(bench, lambda _: [_GONE]):
            assert not list(faults_in(after) if after else ()), f"without {where}"

    def test_a_null_is_no_crash(self, bench: Bench) -> None:
        """Make each field of an answer null: it is unknown, or the answer is malformed."""
        for _, after, where in _changed(bench, lambda _: [None]):
            assert not list(faults_in(after) if after else ()), f"{where} is null"

    def test_a_field_of_another_type_is_no_crash(self, bench: Bench) -> None:
        """Give each field of an answer another type: it is unknown, or the answer is malformed."""
        for _, after, where in _changed(bench, lambda _: _ODD):
            assert not list(_but_sizes(after) if after else ()), f"{where} is of another type"

    def test_a_new_field_changes_nothing(self, bench: Bench) -> None:
        """Add a field to each object of an answer, as a later release of the vendor does."""
        for before, after, where in _changed(bench, lambda old: [{**old, "new": 1}] if isinstance(old, dict) else []):
            assert after == before, f"a new field in {where or 'the answer'} changes what is read"

    def test_a_list_with_odd_fields_is_no_crash_and_drops_nothing(self, bench: Bench) -> None:
        """Change each field of a listed object in turn: it is listed all the same, or the answer is malformed."""
        for operation in bench.among(tuple(_LISTS)):
            bench.subject(_LISTS[operation])
            call = bench.call(operation)
            bench.caller(call())
            with bench.wire.planned():
                count = len(bench.caller(call()))
                answer = bench.wire.answers[0]
            for changed, where in _variants(answer.json(), _any_oddity):
                with bench.wire.planned(nth(0, as_json(changed, like=answer))):
                    found = _described(bench, call)
                if found is None or "." not in where:
                    continue
                assert not [fault for one in found for fault in _but_sizes(_value(one))], f"{where} is odd"
                assert len(found) == count or where.rpartition(".")[2].isdigit(), f"{where} is odd: an item is dropped"

    def test_a_change_with_an_odd_answer_is_no_crash_and_no_success(self, bench: Bench) -> None:
        """Change each field of the answer to a change: what becomes of it is not made up."""
        bench.warm()
        for operation in bench.among(CHANGES):
            call = bench.call(operation)
            with bench.wire.planned():
                before = bench.caller(call())
                answers = bench.wire.answers
            if len(answers) != 1 or not answers[0].body:
                continue
            for changed, where in _variants(answers[0].json(), _any_oddity):
                call = bench.call(operation)
                with bench.wire.planned(nth(0, as_json(changed, like=answers[0]))):
                    task = _described(bench, call)
                if task is None:
                    continue
                assert not list(faults_in(task)), f"{operation.value}: {where} is odd"
                succeeds = task.status is mc.TaskStatus.SUCCESS
                assert before.done or not succeeds, f"{operation.value}: {where} is odd, and the change is done"
                registered = operation is mc.Operation.REGISTER_SOURCE and succeeds
                assert not registered or isinstance(task.result, str), f"{where} is odd, and so is the new id"

    def test_a_body_that_is_none_is_malformed(self, bench: Bench) -> None:
        """Answer reads with pages of proxies, empty bodies and other JSON."""
        for operation in bench.among(READS):
            call = bench.call(operation)
            bench.caller(call())
            for body in NO_ANSWERS:
                with bench.wire.planned(always(Response(status=200, body=body))):
                    error = bench.refusal(call)
                bare = bench.simulator.whole_lists and operation.value.startswith("list_")
                empty = body == b"{}" or (body == b"[]" and bare)
                assert isinstance(error, READABLE) or empty, f"{operation.value} takes {body[:30]!r} for an answer"

    def test_a_change_whose_answer_is_none_says_so(self, bench: Bench) -> None:
        """Answer changes with what cannot be read: they are done, or nobody knows; never a crash."""
        bench.warm()
        for operation in bench.among(CHANGES):
            for body in NO_ANSWERS:
                call = bench.call(operation)
                with bench.wire.planned(always(partial(_garbled, body))):
                    error = bench.refusal(call)
                assert error is None or isinstance(error, READABLE), f"{operation.value} raises {error!r}"

    def test_raw_is_the_answer_and_keeps_no_secret(self, bench: Bench) -> None:
        """Give the vendor's answer as it came: read-only, redacted, and not at all with keep_raw=False."""
        lean = bench.connect(keep_raw=False)
        for operation in bench.among(_DESCRIBED):
            call, lean_call = bench.call(operation), bench.call(operation, lean)
            with bench.wire.planned(always(_leaking)):
                found, without = (_value(bench.caller(one())) for one in (call, lean_call))
            assert found.raw, f"{operation.value} keeps no raw answer"
            assert not without.raw, f"{operation.value} keeps raw with keep_raw=False"
            assert _CANARY not in f"{found!r} {json.dumps(found.raw)}"
            with pytest.raises(TypeError):
                found.raw["new"] = 1


def _unheard_of(old: Any) -> Sequence[Any]:
    """Give what no release of the vendor has said so far, in place of a text or a whole number."""
    if isinstance(old, str):
        return (_WORD,)
    return (_NUMBER,) if isinstance(old, int) and not isinstance(old, bool) else ()


def _any_oddity(old: Any) -> Sequence[Any]:
    """Give all that may stand in the place of a value."""
    return (*_unheard_of(old), _GONE, None, *_ODD)


def odd_forms(answer: Response) -> Iterator[Any]:
    """Give the JSON of an answer again and again, each time with one value that is odd."""
    try:
        value = answer.json()
    except mc.MalformedResponseError:
        return
    for changed, _ in _variants(value, _any_oddity):
        yield changed


def _garbled(body: bytes, answer: Response) -> Response:
    return attrs.evolve(answer, body=body) if answer.status < 300 else answer


def _leaking(answer: Response) -> Response:
    return as_json(_with_secrets(answer.json()), like=answer) if answer.status < 300 and answer.body else answer


def _but_sizes(value: Any) -> Iterator[str]:
    """Tell the faults of a value that was made from odd numbers: small sizes are as they were given."""
    return (fault for fault in faults_in(value) if "no number of bytes" not in fault)


def _value(found: Any) -> Any:
    """Give what a description is: of a task, what is known of it."""
    return found.info if isinstance(found, mc.Task | mc.AsyncTask) else found


def _changed(bench: Bench, others: Callable[[Any], Any]) -> Iterator[tuple[Any, Any, str]]:
    """Describe each kind of object again and again, each time with one value of an answer replaced.

    Args:
        bench: where.
        others: gives what a value is replaced by.

    Yields:
        What was described before and after, ``None`` for a malformed answer, and the place of the change.
    """
    for operation in bench.among(_DESCRIBED):
        call = bench.call(operation)
        bench.caller(call())
        with bench.wire.planned():
            before = _value(bench.caller(call()))
            answers = bench.wire.answers
        for number, answer in enumerate(answers):
            for changed, where in _variants(answer.json(), others):
                given = [*answers[:number], as_json(changed, like=answer), *answers[number + 1 :]]
                with bench.wire.planned(replayed(given)):
                    after = _described(bench, call)
                yield before, after, where


def _described(bench: Bench, call: Callable[[], Any]) -> Any:
    found: list[Any] = []

    def keep() -> Any:
        found.append(bench.caller(call()))

    error = bench.refusal(keep)
    assert error is None or isinstance(error, READABLE), f"a changed answer raises {error!r}"
    return _value(found[0]) if found else None


def _variants(value: Any, others: Callable[[Any], Any]) -> Iterator[tuple[Any, str]]:
    """Give copies of a JSON value, each with one place replaced."""
    for path in _places(value):
        old = _at(value, path)
        for new in others(old):
            if path or new is not _GONE:
                yield _replaced(value, path, new), _told(path)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give the places in a JSON value; of a list, its first item stands for all."""
    yield path
    items: Any = ()
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value[:1])
    for key, item in items:
        yield from _places(item, (*path, key))


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def _replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    key, *rest = path
    changed = dict(value) if isinstance(value, Mapping) else list(value)  # only what lies on the path is copied
    if not rest and new is _GONE:
        del changed[key]
    else:
        changed[key] = _replaced(value[key], tuple(rest), new)
    return changed


def _told(path: tuple[Any, ...]) -> str:
    return ".".join(map(str, path))


def _with_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {**{key: _with_secrets(item) for key, item in value.items()}, "password": _CANARY, "authToken": _CANARY}
    return [_with_secrets(item) for item in value] if isinstance(value, list) else value
