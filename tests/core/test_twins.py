"""The two clients offer the same words."""

from __future__ import annotations

import inspect
import re

import pytest

from migrate_core import aio, client, tasks

TWINS = [
    (client.Client, aio.AsyncClient),
    (client.Sources, aio.AsyncSources),
    (client.Targets, aio.AsyncTargets),
    (client.Pairings, aio.AsyncPairings),
    (client.Tasks, aio.AsyncTasks),
    (tasks.Task, tasks.AsyncTask),
]
IDS = [sync.__name__ for sync, _ in TWINS]


def public(cls: type) -> dict[str, object]:
    return {name: getattr(cls, name) for name in dir(cls) if not name.startswith("_")}


def plain(annotation: object) -> str:
    """Write an annotation as the synchronous twin would."""
    return re.sub(r"\bAsync(?=[A-Z])", "", str(annotation))


@pytest.mark.parametrize(("sync", "asynchronous"), TWINS, ids=IDS)
def test_twins_have_the_same_public_names(sync: type, asynchronous: type) -> None:
    assert set(public(sync)) == set(public(asynchronous))


@pytest.mark.parametrize(("sync", "asynchronous"), TWINS, ids=IDS)
def test_twins_take_and_give_the_same(sync: type, asynchronous: type) -> None:
    for name, ours in public(sync).items():
        theirs = getattr(asynchronous, name)
        if not inspect.isfunction(ours):
            assert not inspect.isfunction(theirs)
            continue
        mine, other = inspect.signature(ours), inspect.signature(theirs)
        assert [(p.name, p.kind, p.default, plain(p.annotation)) for p in mine.parameters.values()] == [
            (p.name, p.kind, p.default, plain(p.annotation)) for p in other.parameters.values()
        ], name
        assert plain(mine.return_annotation) == plain(other.return_annotation), name


@pytest.mark.parametrize(("sync", "asynchronous"), TWINS, ids=IDS)
def test_what_sends_is_a_coroutine_and_what_lists_is_an_iterator(sync: type, asynchronous: type) -> None:
    for name, ours in public(sync).items():
        if inspect.isfunction(ours):
            gives = str(inspect.signature(ours).return_annotation)
            sends = "Iterator[" not in gives and gives != "Request"
            assert inspect.iscoroutinefunction(getattr(asynchronous, name)) is sends, name


@pytest.mark.parametrize(("sync", "asynchronous"), TWINS, ids=IDS)
def test_both_twins_are_documented(sync: type, asynchronous: type) -> None:
    for cls in (sync, asynchronous):
        for name in public(cls):
            assert inspect.getdoc(getattr(cls, name)), f"{cls.__name__}.{name}"
