"""The neutral model: plain, frozen values, and payloads that nobody can change and that hold no secret."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
import re
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import migrate_core as mc
from migrate_core import models
from migrate_core.models import ReadOnlyDict, Unread, read_only
from migrate_core.provider import Page, Request, Response, Settings, TaskFailure, TaskInfo
from migrate_core.shapes import shape_of
from migrate_huawei_sms import HuaweiSmsSettings
from migrate_vmware_srm import VmwareSrmSettings

MODELS = [value for value in vars(models).values() if inspect.isclass(value) and attrs.has(value)]
SETTINGS = [Settings, HuaweiSmsSettings, VmwareSrmSettings]
SECRET = "opensesame-7391"


def example(cls: type) -> Any:
    """Make a value of a class with nothing but what it must have."""
    needed = {field.name: "/x" for field in attrs.fields(cls) if field.default is attrs.NOTHING}
    return cls(**needed)


# Values.


@pytest.mark.parametrize("cls", [*MODELS, TaskInfo, *SETTINGS, Request, Response], ids=lambda cls: cls.__name__)
def test_a_value_cannot_be_changed_and_is_made_with_names(cls: type) -> None:
    value = example(cls)
    for field in attrs.fields(cls):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(value, field.name, None)
        assert field.kw_only
    with pytest.raises(AttributeError):
        value.something_else = 1


def test_the_model_is_all_there() -> None:
    assert {cls.__name__ for cls in MODELS} == {
        *("SourceServer", "SourceSpec", "SourceFacts", "Disk", "Nic", "Check", "Replication", "Target", "Site"),
        *("Pairing", "PairingSpec"),
    }


@pytest.mark.parametrize(
    ("cls", "needed"),
    [
        (mc.SourceServer, {"id", "provider"}),
        (mc.SourceSpec, {"name"}),
        (mc.SourceFacts, set()),
        (mc.Disk, {"name"}),
        (mc.Nic, set()),
        (mc.Check, {"name"}),
        (mc.Replication, {"id"}),
        (mc.Target, set()),
        (mc.Site, set()),
        (mc.Pairing, {"id"}),
        (mc.PairingSpec, {"remote_url", "remote_username", "remote_password"}),
        (mc.TaskInfo, {"id"}),
    ],
)
def test_everything_but_what_names_a_thing_has_a_default(cls: type, needed: set[str]) -> None:
    assert {field.name for field in attrs.fields(cls) if field.default is attrs.NOTHING} == needed


@pytest.mark.parametrize("cls", MODELS, ids=lambda cls: cls.__name__)
def test_what_the_vendor_does_not_say_is_none_unknown_or_empty(cls: type) -> None:
    for field in attrs.fields(cls):
        if field.default is attrs.NOTHING:
            continue
        value = getattr(example(cls), field.name)
        empty = value in (None, "", (), {}) or getattr(value, "name", "") == "UNKNOWN"
        assert empty or value == type(value)(), field.name


@pytest.mark.parametrize("cls", MODELS, ids=lambda cls: cls.__name__)
def test_a_value_equals_its_copies(cls: type) -> None:
    value = example(cls)
    for twin in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
        assert twin == value
        assert type(twin) is cls


def test_what_a_vendor_said_counts_neither_for_equality_nor_in_a_repr() -> None:
    for make in (
        lambda raw: mc.SourceServer(id="s", provider="p", raw=raw),
        lambda raw: mc.Pairing(id="p", raw=raw),
        lambda raw: mc.TaskInfo(id="t", raw=raw),
    ):
        one, other = make(read_only({"a": "said-so"})), make(read_only({}))
        assert one == other
        assert hash(one) == hash(other)
        assert "said-so" not in repr(one)


WITH_RAW: dict[str, Callable[[Any], Any]] = {
    "SourceServer": lambda raw: mc.SourceServer(id="s", provider="p", raw=raw),
    "Pairing": lambda raw: mc.Pairing(id="p", raw=raw),
    "TaskInfo": lambda raw: mc.TaskInfo(id="t", raw=raw),
}


class Watched(dict[str, Any]):
    """An answer that counts how often it is read."""

    reads = 0

    def items(self) -> Any:
        self.reads += 1
        return super().items()


@pytest.mark.parametrize("make", WITH_RAW.values(), ids=WITH_RAW)
def test_an_answer_is_read_when_somebody_asks_for_it_and_once(make: Callable[[Any], Any]) -> None:
    answer = Watched(a=1, password="hush")
    model = make(Unread(answer))
    assert (repr(model), hash(model)) == (repr(make({})), hash(make({})))
    assert model == make({})
    assert answer.reads == 0
    assert model.raw is model.raw
    assert model.raw == {"a": 1, "password": "***"}
    assert type(model.raw) is ReadOnlyDict
    assert answer.reads == 1


@pytest.mark.parametrize("make", WITH_RAW.values(), ids=WITH_RAW)
@pytest.mark.parametrize(
    "answer", [{"a": [1], "token": "hush"}, b'{"a": [1], "token": "hush"}'], ids=["parsed", "bytes"]
)
def test_no_way_to_pass_a_model_on_gives_its_unread_secrets_away(make: Callable[[Any], Any], answer: Any) -> None:
    said = {"a": (1,), "token": "***"}
    pickled = pickle.dumps(make(Unread(answer)))
    assert b"hush" not in pickled
    assert pickle.loads(pickled).raw == said
    for pass_on in (copy.copy, copy.deepcopy, attrs.evolve):
        assert pass_on(make(Unread(answer))).raw == said
    assert attrs.asdict(make(Unread(answer)))["raw"] == said
    assert shape_of(mc.SourceServer(id="s", provider="p", raw=Unread(answer)))["raw"] == {"a": [1], "token": "***"}
    assert "hush" not in repr(Unread(answer))


def test_two_specs_do_not_share_their_options() -> None:
    assert mc.SourceSpec(name="a").options is not mc.SourceSpec(name="b").options


@pytest.mark.parametrize(
    "cls",
    [mc.Stage, mc.OsFamily, mc.Firmware, mc.CheckResult, mc.ReplicationState, mc.PairingState, mc.TaskStatus],
)
def test_every_enum_is_open(cls: Any) -> None:
    assert cls.UNKNOWN.value == "unknown"
    assert all(member.value == member.name.lower() for member in cls)


def test_three_statuses_are_the_end_of_a_task() -> None:
    assert [status.name for status in mc.TaskStatus if status.terminal] == ["SUCCESS", "ERROR", "CANCELLED"]


def test_a_task_that_was_finished_at_once_says_so() -> None:
    info = TaskInfo.finished(mc.Operation.REGISTER_SOURCE, entity_id="s-1", result="s-1")
    assert (info.id, info.status, info.progress) == ("", mc.TaskStatus.SUCCESS, 100)
    assert (info.operation, info.entity_id, info.result) == (mc.Operation.REGISTER_SOURCE, "s-1", "s-1")


def test_small_values_of_the_seam_are_frozen_too() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Page(()).next = "2"  # type: ignore[misc]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        TaskFailure("x").message = "y"  # type: ignore[misc]


# Payloads.


MUTATIONS: dict[str, Callable[[Any], Any]] = {
    "set": lambda payload: payload.__setitem__("a", 2),
    "add": lambda payload: payload.__setitem__("z", 2),
    "delete": lambda payload: payload.__delitem__("a"),
    "merge": lambda payload: payload.__ior__({"z": 1}),
    "clear": lambda payload: payload.clear(),
    "pop": lambda payload: payload.pop("a"),
    "pop missing": lambda payload: payload.pop("z", None),
    "popitem": lambda payload: payload.popitem(),
    "setdefault": lambda payload: payload.setdefault("z", 1),
    "setdefault of what is there": lambda payload: payload.setdefault("a", 1),
    "update": lambda payload: payload.update(z=1),
    "update with nothing": lambda payload: payload.update(),
}


@pytest.mark.parametrize("mutation", MUTATIONS.values(), ids=MUTATIONS)
def test_a_payload_refuses_every_change_at_every_depth(mutation: Callable[[Any], Any]) -> None:
    payload = read_only({"a": 1, "deep": {"a": 1}, "list": [{"a": 1}]})
    for part in (payload, payload["deep"], payload["list"][0]):
        before = dict(part)
        with pytest.raises(TypeError, match="read-only"):
            mutation(part)
        assert part == before


def test_no_way_to_change_a_dict_is_forgotten() -> None:
    """Whatever a dict offers beyond reading is refused, in later versions of Python too."""
    reading = {"copy", "fromkeys", "get", "items", "keys", "values"}
    changing = {name for name in vars(dict) if not name.startswith("_")} - reading
    refused = {name for name in vars(ReadOnlyDict) if not name.startswith("_")}
    assert changing == refused
    assert {"__setitem__", "__delitem__", "__ior__"} <= vars(ReadOnlyDict).keys()


def test_a_payload_is_a_copy() -> None:
    said: dict[str, Any] = {"a": [1], "b": {"c": 2}}
    payload = read_only(said)
    said["a"].append(2)
    said["b"]["c"] = 3
    assert payload == {"a": (1,), "b": {"c": 2}}


def test_a_payload_pickles_copies_and_serialises_like_a_dict() -> None:
    payload = read_only({"a": [1, {"b": None}], "c": {"d": "e"}})
    assert json.loads(json.dumps(payload)) == {"a": [1, {"b": None}], "c": {"d": "e"}}
    assert repr(payload) == repr({"a": (1, {"b": None}), "c": {"d": "e"}})
    for twin in (copy.copy(payload), copy.deepcopy(payload), pickle.loads(pickle.dumps(payload))):
        assert twin == payload
        assert type(twin) is type(twin["c"]) is ReadOnlyDict
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(payload, protocol)) == payload


def test_a_payload_can_be_copied_to_be_changed() -> None:
    changed = dict(read_only({"a": 1})) | {"b": 2}
    changed["a"] = 3
    assert changed == {"a": 3, "b": 2}


@pytest.mark.parametrize(
    "key",
    [
        *("password", "Password", "PASSWD", "adminPass_passwd", "secret", "client_secret", "secret_key", "token"),
        *("access_token", "X-Auth-Token", "credentials", "private_key", "privateKey", "passphrase"),
    ],
)
@pytest.mark.parametrize("value", [SECRET, [SECRET], {"a": SECRET}, 7391])
def test_what_a_key_marks_as_secret_is_taken_out(key: str, value: Any) -> None:
    payload = read_only({key: value, "list": [{"deep": {key: value}}], "plain": "stays"})
    assert "7391" not in json.dumps(payload)
    assert payload[key] == payload["list"][0]["deep"][key] == "***"
    assert payload["plain"] == "stays"


@pytest.mark.parametrize("value", [None, "", [], {}])
def test_that_there_is_no_secret_stays_visible(value: Any) -> None:
    assert read_only({"password": value})["password"] in (None, "", (), {})


KEYS = st.text(max_size=5) | st.sampled_from(["password", "api_token", "Secret"])
PAYLOADS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.just(SECRET),
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner),
    max_leaves=15,
)


@given(st.dictionaries(KEYS, PAYLOADS))
def test_an_answer_means_the_same_parsed_and_as_it_came(payload: dict[str, Any]) -> None:
    assert Unread(json.dumps(payload).encode()).read() == Unread(payload).read() == read_only(payload)


@given(PAYLOADS)
def test_no_payload_keeps_a_secret_at_any_depth(payload: Any) -> None:
    def under_a_secret_key(value: Any) -> Any:
        if isinstance(value, dict):
            for key, inner in value.items():
                if re.search("password|token|secret", key, re.IGNORECASE):
                    yield inner
                else:
                    yield from under_a_secret_key(inner)
        elif isinstance(value, tuple):
            for inner in value:
                yield from under_a_secret_key(inner)

    assert all(value in (None, False, 0, "", (), {}, "***") for value in under_a_secret_key(read_only(payload)))


@given(PAYLOADS)
def test_reading_a_payload_twice_is_reading_it_once(payload: Any) -> None:
    once = read_only(payload)
    assert read_only(once) == once


# Secrets in what we make ourselves.


def test_a_pairings_password_stays_out_of_its_repr() -> None:
    spec = mc.PairingSpec(remote_url="https://b.example", remote_username="root", remote_password=SECRET)
    assert SECRET not in f"{spec} {spec!r}"
    assert "root" in repr(spec)


@pytest.mark.parametrize("cls", SETTINGS, ids=lambda cls: cls.__name__)
def test_no_secret_setting_is_in_a_repr(cls: type[Settings]) -> None:
    secrets = [field.name for field in attrs.fields(cls) if field.metadata["secret"]]
    given: dict[str, Any] = dict.fromkeys(secrets, SECRET)
    settings = cls(**given)
    assert all(getattr(settings, name) == SECRET for name in secrets)
    assert SECRET not in f"{settings} {settings!r}"


@pytest.mark.parametrize("cls", SETTINGS, ids=lambda cls: cls.__name__)
def test_each_setting_says_what_it_is_for_and_the_secret_ones_are_marked(cls: type[Settings]) -> None:
    for field in attrs.fields(cls):
        assert field.metadata["doc"].endswith("."), field.name
        assert field.metadata["secret"] == bool(re.search("password|token|secret", field.name)), field.name
        assert field.repr is not field.metadata["secret"]


@pytest.mark.parametrize("cls", SETTINGS, ids=lambda cls: cls.__name__)
def test_what_comes_from_the_environment_as_text_becomes_what_the_setting_is(cls: type[Settings]) -> None:
    settings = cls(timeout="12.5", verify="no", trust_env="0", keep_raw="False", thumbprint="AB:" * 31 + "AB")  # type: ignore[arg-type]
    assert (settings.timeout, settings.verify, settings.trust_env, settings.keep_raw) == (12.5, False, False, False)
    assert settings.thumbprint == "ab" * 32
    assert cls(verify="/etc/ca.pem").verify == "/etc/ca.pem"
    assert cls(verify="TRUE").verify is True
