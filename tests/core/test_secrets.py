"""Secrets by reference: each kind, what can be wrong with it, and that no error tells the secret."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import keyring
import keyring.core
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keyring.backend import KeyringBackend
from keyring.backends import chainer, fail, null
from keyring.errors import KeyringLocked, PasswordDeleteError, PasswordSetError

import migrate_core as mc
from canary import CANARY, everything_in
from migrate_core import secrets
from migrate_core.secrets import (
    KINDS,
    check_reference,
    discreet,
    parse_reference,
    private_text,
    resolve,
    store,
    told,
)

KEPT = {"keyring": "migrate-core/dr/password"}


def fetch(reference: Any, **environ: str) -> str:
    return resolve(reference, environ=environ)


def refused(call: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    """Give the text of the error that a call ends with, once it is sure that the error hides the secret."""
    with pytest.raises(mc.ConfigurationError) as raised:
        call(*args, **kwargs)
    assert CANARY not in everything_in(raised.value)
    return str(raised.value)


def shell(script: str) -> dict[str, list[str]]:
    return {"command": ["sh", "-c", script]}


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A file that nobody else may read, and that holds the secret."""
    return written(tmp_path / "secret", CANARY.encode())


def written(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


# The form of a reference.


@pytest.mark.parametrize(
    "reference",
    [
        {"env": "SRM_PASSWORD"},
        {"env": "ProgramFiles(x86)"},
        {"keyring": "migrate-core/dr"},
        {"keyring": "a/service/with/slashes/user"},
        {"file": "~/.secrets/srm"},
        {"command": ["pass", "show", "srm"]},
        {"command": ["pass"]},
        {"vendor": True},
    ],
)
def test_a_reference_of_the_right_form_is_of_its_kind(reference: dict[str, Any]) -> None:
    assert check_reference(reference) == next(iter(reference))
    assert check_reference(reference) in KINDS


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        *((nothing, "takes a reference, such as") for nothing in (None, "", CANARY, 5, True, [CANARY], {}, [])),
        ({"password": CANARY}, "there are: env, keyring, file, command, vendor"),
        ({"env": "A", "file": CANARY}, "takes a reference"),
        *(({"env": value}, "env takes the name of a variable") for value in ("", None, 5, [CANARY], {CANARY: 1})),
        ({"env": f"SRM_PASSWORD={CANARY}"}, "env takes the name of a variable"),
        ({"env": f"{CANARY}\0"}, "env takes the name of a variable"),
        ({"env": f"{CANARY}\udc80"}, "env takes the name of a variable"),
        *(({"keyring": f"{where}"}, "service and user") for where in ("", CANARY, f"/{CANARY}", f"{CANARY}/", "/")),
        ({"keyring": [CANARY, "b"]}, "service and user"),
        *(({"file": value}, "file takes a path") for value in ("", None, 5, Path(CANARY), f"{CANARY}\0", b"x")),
        *(({"command": value}, "a list of words") for value in ([], (), CANARY, [""], ["pass", 5], [CANARY, "\0"])),
        *(({"vendor": value}, "vendor takes true") for value in (False, 1, "true", None, CANARY)),
    ],
    ids=repr,
)
def test_what_is_no_reference_is_refused_and_not_repeated(reference: Any, said: str) -> None:
    assert said in refused(check_reference, reference)
    assert said in refused(fetch, reference)


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("env:SRM_PASSWORD", {"env": "SRM_PASSWORD"}),
        ("keyring:migrate-core/dr", {"keyring": "migrate-core/dr"}),
        ("file:/run/secrets/srm", {"file": "/run/secrets/srm"}),
        ("file:C:\\secrets\\srm", {"file": "C:\\secrets\\srm"}),
        ("command:pass show 'the one'", {"command": ["pass", "show", "the one"]}),
        ("vendor", {"vendor": True}),
    ],
)
def test_a_reference_is_read_from_a_command_line(text: str, reference: dict[str, Any]) -> None:
    assert parse_reference(text) == reference


@pytest.mark.parametrize(
    "text",
    [
        *("", CANARY, f"{CANARY}:", f":{CANARY}", f"Env:{CANARY}", f"password:{CANARY}", f" env:{CANARY}"),
        *("env", "env:", f"env:A={CANARY}", f"keyring:{CANARY}", f"keyring:/{CANARY}", "file", "file:"),
        *(f"command:'{CANARY}", f"command:{CANARY} \\", "command:", "command", "command:''"),
        *(f"vendor:{CANARY}", "vendor:true"),
    ],
)
def test_what_was_really_the_secret_itself_is_refused_and_not_repeated(text: str) -> None:
    refused(parse_reference, text)


@given(kind=st.sampled_from([*KINDS, "other"]), colon=st.sampled_from([":", ""]), where=st.text())
def test_a_text_is_a_reference_or_is_not_repeated(kind: str, colon: str, where: str) -> None:
    found, shown = kind, ""
    try:
        found = check_reference(parse_reference(f"{kind}{colon}{where}{CANARY}"))
    except mc.ConfigurationError as error:
        shown = everything_in(error)
    assert found == kind
    assert CANARY not in shown


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ({"env": "SRM_PASSWORD"}, "env SRM_PASSWORD"),
        ({"keyring": "migrate-core/dr"}, "keyring migrate-core/dr"),
        ({"file": "~/srm"}, "file ~/srm"),
        ({"command": ["pass"]}, "command pass"),
        ({"command": ["curl", "-u", CANARY]}, "command curl …"),
        ({"vendor": True}, "vendor"),
    ],
)
def test_where_a_secret_is_is_told_without_a_commands_arguments(reference: dict[str, Any], said: str) -> None:
    assert told(reference) == said


# Environment and vendor.


def test_a_variable_gives_the_secret() -> None:
    assert fetch({"env": "SRM_PASSWORD"}, SRM_PASSWORD=" a secret ") == " a secret "


@pytest.mark.parametrize("environ", [{}, {"SRM_PASSWORD": ""}], ids=["missing", "empty"])
def test_a_variable_that_gives_nothing_is_named(environ: dict[str, str]) -> None:
    said = refused(fetch, {"env": "SRM_PASSWORD"}, OTHER=CANARY, **environ)
    assert said == "the environment has no variable SRM_PASSWORD"


def test_the_vendors_own_place_gives_the_secret_and_is_asked_for_nothing_else() -> None:
    assert resolve({"vendor": True}, environ={}, vendor=lambda: "theirs") == "theirs"
    assert resolve({"env": "A"}, environ={"A": "ours"}, vendor=lambda: pytest.fail("was asked")) == "ours"


@pytest.mark.parametrize("nothing", [None, ""])
def test_a_vendors_own_place_that_gives_nothing_is_named(nothing: str | None) -> None:
    assert "the vendor's own" in refused(resolve, {"vendor": True}, environ={"A": CANARY}, vendor=lambda: nothing)
    assert "the vendor's own" in refused(fetch, {"vendor": True})


# Files.


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (b"opensesame", "opensesame"),
        (b"opensesame\n", "opensesame"),
        (b"opensesame\r\n\r\n", "opensesame"),
        (b" open sesame\t\n", " open sesame\t"),
        ("\N{KEY}ключ".encode(), "\N{KEY}ключ"),
        ("\N{REPLACEMENT CHARACTER}".encode(), "\N{REPLACEMENT CHARACTER}"),
        (b"\xef\xbb\xbfopensesame\r\n", "opensesame"),
    ],
)
def test_a_file_gives_the_secret_without_the_line_ends_around_it(tmp_path: Path, content: bytes, secret: str) -> None:
    assert fetch({"file": str(written(tmp_path / "secret", content))}) == secret


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_file_may_be_its_owners_in_any_way(private: Path, mode: int) -> None:
    private.chmod(mode)
    assert private_text(private) == CANARY


@pytest.mark.parametrize("mode", [0o640, 0o620, 0o610, 0o604, 0o602, 0o601, 0o644, 0o777])
def test_a_file_that_others_may_touch_is_refused(private: Path, mode: int) -> None:
    private.chmod(mode)
    assert refused(fetch, {"file": str(private)}) == f"others may read {private}; chmod 600 it"


def test_a_link_is_as_good_as_the_file_that_it_leads_to(tmp_path: Path, private: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(private)
    assert fetch({"file": str(link)}) == CANARY
    private.chmod(0o644)
    assert "others may read" in refused(fetch, {"file": str(link)})


def test_a_path_may_begin_at_home(monkeypatch: pytest.MonkeyPatch, private: Path) -> None:
    monkeypatch.setenv("HOME", str(private.parent))
    assert fetch({"file": "~/secret"}) == CANARY


def unreadable(folder: Path, how: str) -> Path:
    path = folder / how
    match how:
        case "folder":
            path.mkdir()
        case "below a file":
            return written(path, CANARY.encode()) / "secret"
        case "dangling link":
            path.symlink_to(folder / "nowhere")
        case "link to itself":
            path.symlink_to(path)
        case "long name":
            return folder / ("x" * 4096)
        case "home of nobody":
            return Path("~nobody-has-this-name/secret")
    return path


@pytest.mark.parametrize(
    "how", ["missing", "folder", "below a file", "dangling link", "link to itself", "long name", "home of nobody"]
)
def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path, how: str) -> None:
    path = unreadable(tmp_path, how)
    assert refused(fetch, {"file": str(path)}).startswith(f"{path} cannot be read: ")


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may read everything")
def test_a_file_that_we_may_not_read_is_named_with_the_reason(private: Path) -> None:
    private.chmod(0)
    assert refused(fetch, {"file": str(private)}) == f"{private} cannot be read: Permission denied"


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n\n", b"\xef\xbb\xbf\n"])
def test_an_empty_file_gives_no_secret(tmp_path: Path, content: bytes) -> None:
    path = written(tmp_path / "secret", content)
    assert refused(fetch, {"file": str(path)}) == f"{path} is empty"


@pytest.mark.parametrize("content", [CANARY.encode() + b"\xff", CANARY.encode("utf-16")])
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    path = written(tmp_path / "secret", content)
    assert refused(fetch, {"file": str(path)}) == f"{path} does not give text in UTF-8"
    assert refused(private_text, path) == f"{path} does not give text in UTF-8"


# Commands.


@pytest.mark.parametrize("end", ["", "\\n", "\\r\\n", "\\n\\n"])
def test_a_command_gives_what_it_prints_without_the_line_ends_around_it(end: str) -> None:
    assert fetch({"command": ["printf", f" open sesame {end}"]}) == " open sesame "


def test_a_command_runs_without_a_shell() -> None:
    assert fetch({"command": ["echo", "$HOME; *", "`id`"]}) == "$HOME; * `id`"


def test_a_command_does_not_read_what_is_meant_for_us(private: Path) -> None:
    ours = os.dup(0)
    try:
        with private.open("rb") as file:
            os.dup2(file.fileno(), 0)
        assert fetch(shell("cat; echo done")) == "done"
    finally:
        os.dup2(ours, 0)
        os.close(ours)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (f"echo {CANARY}; exit 3", "the command sh ended with 3"),
        (f"echo {CANARY}; kill -9 $$", "the command sh ended with -9"),
        ("true", "the command sh printed nothing"),
        ("echo; echo", "the command sh printed nothing"),
        (f"printf '{CANARY}\\377'", "the command sh does not give text in UTF-8"),
    ],
)
def test_a_command_that_fails_is_named_without_its_output(
    script: str, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(mc.ConfigurationError) as raised:
        fetch(shell(script))
    assert str(raised.value) == said
    assert CANARY not in everything_in(raised.value)
    assert capfd.readouterr() == ("", "")


def test_a_command_that_hangs_is_ended_and_what_it_printed_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_COMMAND_SECONDS", 0.1)
    assert refused(fetch, shell(f"echo {CANARY}; exec sleep 600")) == "the command sh took longer than 0.1 s"


def test_a_command_that_cannot_be_run_is_named_with_the_reason(tmp_path: Path) -> None:
    missing, plain = tmp_path / "missing", written(tmp_path / "plain", b"", 0o600)
    for path, reason in ((missing, "No such file or directory"), (plain, "Permission denied")):
        said = refused(fetch, {"command": [str(path), CANARY]})
        assert said == f"the command {path} cannot be run: {reason}"


# The keyring.


class Vault(KeyringBackend):
    """A keyring in memory."""

    priority: ClassVar[float] = 5
    _classes: ClassVar[set[type]] = set()  # a register of its own: no search for the platform's keyring finds it

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.entries.pop((service, username), None) is None:
            raise PasswordDeleteError("not found")


class Weak(Vault):
    priority = 0.9


class Alt(Vault):
    """A keyring in the clear, with a priority that it does not deserve."""

    __module__ = "keyrings.alt.file"


class Disguised(Alt):
    """One whose own name does not tell where it comes from."""


class Namesake(Vault):
    __module__ = "keyrings.alternative"


class Broken(Vault):
    """One whose every error tells the secret."""

    def get_password(self, service: str, username: str) -> str | None:
        raise KeyringLocked(CANARY)

    def set_password(self, service: str, username: str, password: str) -> None:
        raise PasswordSetError(password)


class Stuck(Vault):
    def delete_password(self, service: str, username: str) -> None:
        raise PasswordDeleteError(self.entries[service, username])


def chain(*links: KeyringBackend) -> KeyringBackend:
    """Make a chainer of these; the real one goes by the backends that are installed."""

    class Chain(chainer.ChainerBackend):
        priority: ClassVar[float] = 10
        backends: ClassVar[list[KeyringBackend]] = list(links)
        _classes: ClassVar[set[type]] = set()

    return Chain()


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[KeyringBackend], None]:
    """Sets the keyring, for one test; the machine's own is neither looked for nor touched."""
    monkeypatch.setattr(keyring.core, "_keyring_backend", None)
    return keyring.set_keyring


def test_a_keyring_keeps_a_secret_gives_it_and_forgets_it(use: Callable[[KeyringBackend], None]) -> None:
    vault = Vault()
    use(vault)
    store(KEPT["keyring"], "opensesame")
    assert vault.entries == {("migrate-core/dr", "password"): "opensesame"}
    assert fetch(KEPT) == "opensesame"
    store(KEPT["keyring"], None)
    assert vault.entries == {}
    store(KEPT["keyring"], None)  # as a profile that is not there may be removed


@pytest.mark.parametrize("nothing", [None, ""])
def test_an_entry_that_is_missing_or_empty_is_named(use: Callable[[KeyringBackend], None], nothing: str | None) -> None:
    vault = Vault()
    use(vault)
    vault.entries["migrate-core/dr", "another"] = CANARY
    if nothing is not None:
        vault.entries["migrate-core/dr", "password"] = nothing
    assert refused(fetch, KEPT) == "the keyring has no entry 'migrate-core/dr' for 'password'"


@pytest.mark.parametrize(
    "keyring_of",
    [fail.Keyring, null.Keyring, Weak, Alt, Disguised, lambda: chain(Alt(), Disguised(), Weak()), chain],
    ids=["fail", "null", "weak", "alt", "disguised", "chain of these", "empty chain"],
)
def test_a_keyring_that_does_not_keep_a_secret_is_refused_before_it_sees_one(
    use: Callable[[KeyringBackend], None], keyring_of: Callable[[], KeyringBackend]
) -> None:
    backend = keyring_of()
    use(backend)
    name = f"{type(backend).__module__}.{type(backend).__qualname__}"
    said = f"{name} is no keyring that keeps a secret"
    assert refused(store, KEPT["keyring"], CANARY) == said
    assert refused(store, KEPT["keyring"], None) == said
    assert refused(fetch, KEPT) == said
    for each in (backend, *getattr(backend, "backends", ())):
        assert getattr(each, "entries", {}) == {}


def test_of_a_chain_the_trustworthy_keyring_is_used(use: Callable[[KeyringBackend], None]) -> None:
    alt, good = Alt(), Vault()
    use(chain(alt, good))
    store(KEPT["keyring"], "opensesame")
    alt.entries["migrate-core/dr", "password"] = "from the one in the clear"
    assert good.entries == {("migrate-core/dr", "password"): "opensesame"}
    assert fetch(KEPT) == "opensesame"


def test_a_keyring_is_not_judged_by_half_of_its_name(use: Callable[[KeyringBackend], None]) -> None:
    use(Namesake())
    store(KEPT["keyring"], "opensesame")
    assert fetch(KEPT) == "opensesame"


def test_the_errors_of_a_keyring_are_named_and_not_quoted(use: Callable[[KeyringBackend], None]) -> None:
    use(Broken())
    assert refused(fetch, KEPT) == "the keyring failed: KeyringLocked"
    assert refused(store, KEPT["keyring"], CANARY) == "the keyring failed: PasswordSetError"
    stuck = Stuck()
    use(stuck)
    store(KEPT["keyring"], CANARY)
    assert refused(store, KEPT["keyring"], None) == "the keyring failed: PasswordDeleteError"


def test_a_keyring_that_cannot_even_be_chosen_is_an_error_of_ours(
    use: Callable[[KeyringBackend], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "no_such_module.Keyring")
    assert refused(fetch, KEPT) == "the keyring failed: ModuleNotFoundError"


@pytest.mark.parametrize("where", ["", CANARY, f"/{CANARY}", f"{CANARY}/"])
def test_a_secret_is_not_kept_where_no_reference_finds_it(use: Callable[[KeyringBackend], None], where: str) -> None:
    vault = Vault()
    use(vault)
    assert "service and user" in refused(store, where, CANARY)
    assert vault.entries == {}


def test_without_the_extra_a_keyring_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert "pip install 'migrate-core[cli]'" in refused(fetch, KEPT)
    assert "pip install 'migrate-core[cli]'" in refused(store, KEPT["keyring"], CANARY)


# Discretion.


def test_an_error_keeps_the_lines_it_came_through_and_its_cause_but_no_secret() -> None:
    def inner(secret: str) -> None:
        try:
            raise ValueError(secret)
        except ValueError:
            raise mc.ConfigurationError("did not work") from subprocess.SubprocessError("because")

    @discreet
    def outer(secret: str) -> None:
        inner(secret)

    with pytest.raises(mc.ConfigurationError) as raised:
        outer(CANARY)
    error = raised.value
    assert [frame.name for frame in traceback.extract_tb(error.__traceback__)][-2:] == ["outer", "inner"]
    assert str(error.__cause__) == "because"
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert CANARY not in "".join(shown.format())


def test_an_error_that_nobody_expected_does_not_show_a_secret_either() -> None:
    @discreet
    def faulty(secret: str) -> int:
        return 1 // len([]) if secret else 0

    with pytest.raises(ZeroDivisionError) as raised:
        faulty(CANARY)
    shown = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
    assert CANARY not in "".join(shown.format())
