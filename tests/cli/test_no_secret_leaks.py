"""No secret is said, shown in a list of processes, or written down, whatever goes well or wrong."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TypeAlias

import attrs
import pytest

from cli.place import Place
from cli.support import Ended, Terminal, in_pipe, in_process, on_terminal
from file_keyring import FileKeyring
from migrate_core.profiles import profiles_path
from misbehaving import Conversation, Server, answer, answering, nobody

CANARY = "CANARY-0451"
SECURITY_TOKEN = "CANARY-security-token"
_SECRET_HEADERS = ("authorization", "x-auth-token", "x-dr-session", "x-security-token")

_PROFILES = """\
[token-env]
provider = "huawei_sms"
endpoint = "{sms.endpoint}"
token = {{ env = "PLANTED_TOKEN" }}

[login-file]
provider = "huawei_sms"
endpoint = "{sms.endpoint}"
iam_endpoint = "{sms.endpoint}"
domain_name = "{sms.credentials[domain_name]}"
username = "{sms.credentials[username]}"
project_name = "{sms.credentials[project_name]}"
password = {{ file = "{home}/planted-password" }}

[login-keyring]
provider = "huawei_sms"
endpoint = "{sms.endpoint}"
iam_endpoint = "{sms.endpoint}"
domain_name = "{sms.credentials[domain_name]}"
username = "{sms.credentials[username]}"
project_name = "{sms.credentials[project_name]}"
password = {{ keyring = "planted/password" }}

[key-command]
provider = "huawei_sms"
endpoint = "{sms.endpoint}"
access_key = "{sms.credentials[access_key]}"
secret_key = {{ command = ["cat", "{home}/planted-secret-key"] }}
security_token = {{ command = ["cat", "{home}/planted-security-token"] }}

[key-vendor]
provider = "huawei_sms"
endpoint = "{sms.endpoint}"
access_key = {{ vendor = true }}
secret_key = {{ vendor = true }}

[key-plaintext]
provider = "huawei_sms"
insecure_plaintext = true
endpoint = "{sms.endpoint}"
access_key = "{sms.credentials[access_key]}"
secret_key = "{sms.credentials[secret_key]}"

[site-env]
provider = "vmware_srm"
endpoint = "{srm.endpoint}"
username = "{srm.credentials[username]}"
password = {{ env = "PLANTED_PASSWORD" }}
peer_username = "{srm.credentials[peer_username]}"
peer_password = {{ env = "PLANTED_PEER_PASSWORD" }}

[site-file]
provider = "vmware_srm"
endpoint = "{srm.endpoint}"
username = "{srm.credentials[username]}"
password = {{ file = "{home}/planted-password" }}
peer_username = "{srm.credentials[peer_username]}"
peer_password = {{ command = ["cat", "{home}/planted-peer-password"] }}
"""
_SDK_FILE = "[basic]\nak = {access_key}\nsk = {secret_key}\n"

CLOUDS = ("token-env", "login-file", "login-keyring", "key-command", "key-vendor", "key-plaintext")
SITES = ("site-env", "site-file")


@attrs.frozen
class Planted:
    """A place with a secret in every hole.

    Attributes:
        place: the place.
        secrets: all that must never be seen.
        files: the files that the test itself put there, as they were.
    """

    place: Place
    secrets: tuple[str, ...]
    files: Mapping[Path, bytes]

    def connection(self, name: str, origin: str | None = None) -> list[str]:
        """The options that connect with a profile, or with the vendor's own keys alone; perhaps to another origin."""
        noun = {"sdk": ["--provider", "huawei-sms", "--endpoint", self.place.sms.endpoint]}
        return [*noun.get(name, ["--profile", name]), *(["--endpoint", origin] if origin else [])]

    def must_not_be_in(self, text: str) -> None:
        """Fail if a secret stands in a text, or one that was made of it for a request."""
        assert [secret for secret in (*self.secrets, *self.made()) if secret in text] == []

    def made(self) -> list[str]:
        """What was made of the secrets for the requests so far: tokens, sessions, logins and signatures."""
        headers = [entry.headers for simulator in (self.place.sms, self.place.srm) for entry in simulator.journal]
        values = [found[name] for found in headers for name in _SECRET_HEADERS if name in found]
        return [value.split()[-1].removeprefix("Signature=") for value in values]

    def nothing_was_written(self) -> None:
        """Fail if a secret stands in a file that the test did not put there."""
        for path in self.place.home.rglob("*"):
            if path.is_file():
                added = path.read_bytes().replace(self.files.get(path, b""), b"")
                self.must_not_be_in(added.decode("utf-8", "replace"))


@pytest.fixture
def planted(place: Place, keyring: FileKeyring, monkeypatch: pytest.MonkeyPatch) -> Iterator[Planted]:
    """Plant a secret in every hole; look for them in all files at the end."""
    sms, srm = place.sms.credentials, place.srm.credentials
    assert sms["password"] == srm["password"]
    for variable, secret in {
        "PLANTED_TOKEN": sms["token"],
        "PLANTED_PASSWORD": srm["password"],
        "PLANTED_PEER_PASSWORD": srm["peer_password"],
        "DR_PEER_PASSWORD": srm["peer_password"],
    }.items():
        monkeypatch.setenv(variable, secret)
    keyring.set_password("planted", "password", sms["password"])
    for name, secret in {
        "planted-password": srm["password"],
        "planted-peer-password": srm["peer_password"],
        "planted-secret-key": sms["secret_key"],
        "planted-security-token": SECURITY_TOKEN,
    }.items():
        place.file(name, secret)
    (place.home / ".huaweicloud").mkdir()
    place.file(".huaweicloud/credentials", _SDK_FILE.format(**sms))
    profiles_path().write_text(_PROFILES.format(sms=place.sms, srm=place.srm, home=place.home))
    profiles_path().chmod(0o600)
    secrets = [sms["token"], sms["secret_key"], sms["password"], srm["peer_password"], SECURITY_TOKEN, CANARY]
    files = {path: path.read_bytes() for path in place.home.rglob("*") if path.is_file()}
    it = Planted(place, (*secrets, *(base64.b64encode(secret.encode()).decode() for secret in secrets)), files)
    yield it
    it.nothing_was_written()


HOST = {"name": "web-1", "options": {"allow_incomplete": True}}
Words: TypeAlias = Callable[[Place], Sequence[str]]

CLOUD_COMMANDS: Mapping[str, Words] = {
    "list": lambda _: ["source", "list", "-o", "json"],
    "describe": lambda place: ["source", "describe", place.sms.add_sources(1)[0]],
    "delete": lambda place: ["source", "delete", place.sms.add_sources(1)[0], "--yes"],
    "unlock": lambda place: ["target", "unlock", place.sms.start_migration(place.sms.add_sources(1)[0]), "--yes"],
    "register": lambda place: ["source", "register", "-f", place.file("host.yaml", HOST)],
    "dry run": lambda place: ["source", "register", "-f", place.file("host.yaml", HOST), "--dry-run"],
    "unsupported": lambda _: ["pairing", "list"],
}
SITE_COMMANDS: Mapping[str, Words] = {
    "list": lambda place: ["pairing", "list", "-o", place.srm.pair() and "json"],
    "describe": lambda place: ["pairing", "describe", place.srm.pair(), "-o", "yaml"],
    "create": lambda place: ["pairing", "create", "-f", place.site_b(), "-o", "json"],
    "delete": lambda place: ["pairing", "delete", place.srm.pair(), "--yes"],
    "no wait": lambda place: ["pairing", "delete", place.srm.pair(), "--yes", "--no-wait"],
    "tasks": lambda _: ["task", "list", "-o", "json"],
    "cancel": lambda _: ["task", "cancel", "some-task", "--yes"],
    "show": lambda _: ["task", "show", "some-task"],
    "unsupported": lambda _: ["source", "list"],
}


def both(planted: Planted, *words: str) -> Iterator[Ended]:
    """Run a command plain and with -v."""
    for more in ((), ("-v",)):
        ended = in_process(*words, *more)
        planted.must_not_be_in(ended.everything)
        assert "Traceback" not in ended.err
        yield ended


@pytest.mark.parametrize("link", [*CLOUDS, "sdk", *SITES])
def test_no_command_that_works_says_a_secret(link: str, planted: Planted) -> None:
    commands = SITE_COMMANDS if link in SITES else CLOUD_COMMANDS
    for name, words in commands.items():
        for more in ((), ("-v",)):
            ended = in_process(*words(planted.place), *planted.connection(link), *more)
            planted.must_not_be_in(ended.everything)
            assert ended.code == {"unsupported": 2, "cancel": 2, "show": 3}.get(name, 0), ended.err
            assert not more or ended.err


def test_the_search_finds_each_secret_and_what_was_made_of_it(planted: Planted) -> None:
    in_process("source", "list", *planted.connection("login-file"))
    in_process("pairing", "list", *planted.connection("site-env"))
    in_process("source", "list", *planted.connection("key-command"))
    assert len(set(planted.made())) >= 5
    for secret in (*planted.secrets, *planted.made()):
        with pytest.raises(AssertionError):
            planted.must_not_be_in(f"this is {secret}!")


def test_the_vendors_environment_is_as_silent_as_its_file(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    sms = planted.place.sms.credentials
    (planted.place.home / ".huaweicloud" / "credentials").unlink()
    monkeypatch.setenv("HUAWEICLOUD_SDK_AK", sms["access_key"])
    monkeypatch.setenv("HUAWEICLOUD_SDK_SK", sms["secret_key"])
    monkeypatch.setenv("HUAWEICLOUD_SDK_SECURITY_TOKEN", SECURITY_TOKEN)
    for link in ("sdk", "key-vendor"):
        for ended in both(planted, "source", "list", *planted.connection(link)):
            assert ended.code == 0


@pytest.mark.parametrize("name", [*CLOUDS, *SITES])
def test_no_profile_command_says_a_secret(name: str, planted: Planted) -> None:
    for form in ("table", "json", "yaml", "jsonl", "id"):
        for words in (("list",), ("show", name), ("check", name), ("check", name, "-v")):
            ended = in_process("profile", *words, "-o", form)
            planted.must_not_be_in(ended.everything)
            assert ended.code == 0, ended.err


def cut_off(conversation: Conversation) -> None:
    conversation.request()


def cut_short(conversation: Conversation) -> None:
    conversation.request()
    conversation.send(answer("<htm", length=5))


@contextmanager
def served(*scripts: Callable[[Conversation], None]) -> Iterator[str]:
    with Server(*scripts) as server:
        yield server.origin


ORIGINS: Mapping[str, Callable[[], AbstractContextManager[str | None]]] = {
    "refused connection": nobody,
    "lost answer": lambda: served(cut_off),
    "cut answer": lambda: served(cut_short),
    "malformed answer": lambda: served(answering(answer(b"<html>"))),
    "malformed login": lambda: served(answering(answer(b"<html>", "201 Created", "X-Subject-Token: \xfc"))),
    "redirect": lambda: served(answering(answer(b"", "302 Found", "Location: http://127.0.0.1:9/"))),
    "no HTTP at all": lambda: served(lambda conversation: conversation.send(b"220 ready\r\n")),
    "failing server": lambda: served(answering(answer({}, "500 No"))),
    "impossible": lambda: nullcontext("https://user:CANARY-0451@127.0.0.1:9"),
    "impossible, too": lambda: nullcontext("https://127.0.0.1:9/?CANARY-0451"),
}


@pytest.mark.parametrize("failure", ORIGINS)
@pytest.mark.parametrize("link", ["token-env", "login-file", "key-command", "site-env"])
def test_no_failure_says_a_secret(link: str, failure: str, planted: Planted) -> None:
    words = ("pairing", "list") if link in SITES else ("source", "delete", "some-id", "--yes")
    with ORIGINS[failure]() as origin:
        for ended in both(planted, *words, *planted.connection(link, origin)):
            assert ended.code
            assert ended.err


@pytest.mark.parametrize("status", [401, 403, 404])
@pytest.mark.parametrize("link", [*CLOUDS, *SITES])
def test_no_refusal_says_a_secret(link: str, status: int, planted: Planted) -> None:
    simulator = planted.place.srm if link in SITES else planted.place.sms
    noun = "pairing" if link in SITES else "source"
    body = json.dumps({"error_code": "X.1", "error_msg": "refused", "message": "refused"})
    simulator.faults.answer(status, body, path=f"{noun}s", times=100)
    for ended in both(planted, noun, "list", *planted.connection(link)):
        assert ended.code


@pytest.mark.parametrize("link", [*CLOUDS, *SITES])
def test_no_refusal_that_quotes_the_secrets_says_one(link: str, planted: Planted) -> None:
    simulator = planted.place.srm if link in SITES else planted.place.sms
    noun = "pairing" if link in SITES else "source"
    names = {"token": ["token"], "login": ["password"], "key": ["secret_key"], "site": ["password", "peer_password"]}
    quoted = " ".join(simulator.credentials[name] for name in names[link.partition("-")[0]])
    body = json.dumps({"error_code": "X.1", "error_msg": f"refused: {quoted}", "message": f"refused: {quoted}"})
    simulator.faults.answer(400, body, path=f"{noun}s", times=100)
    for ended in both(planted, noun, "list", *planted.connection(link)):
        assert ended.code == 1
        assert link in SITES or "refused: ***" in ended.err


@pytest.mark.parametrize("variable", ["PLANTED_TOKEN", "PLANTED_PASSWORD", "PLANTED_PEER_PASSWORD"])
@pytest.mark.parametrize("secret", [f"wrong-{CANARY}", f"{CANARY}\x1b", f"{CANARY}\n{CANARY}", f"{CANARY}-ü-€"])
def test_no_wrong_or_unusable_secret_is_said(
    variable: str, secret: str, planted: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, secret)
    words = ["source", "list", "--profile", "token-env"]
    if variable != "PLANTED_TOKEN":
        words = ["pairing", "delete", planted.place.srm.pair(), "--yes", "--profile", "site-env"]
    assert {ended.code for ended in both(planted, *words)} <= {2, 4}


MISTAKES = (
    "--password=CANARY-0451 source list",
    "--password CANARY-0451 source list",
    "source list --password=CANARY-0451",
    "source list --password CANARY-0451",
    "source --password=CANARY-0451 list",
    "source list --profile site-env CANARY-0451",
    "--set password=CANARY-0451 profile add new --provider huawei-sms",
    "profile add new --provider huawei-sms --password=CANARY-0451",
    "profile add new --provider huawei-sms --password CANARY-0451",
    "profile add new --provider huawei-sms password=CANARY-0451",
    "profile add new --provider huawei-sms --set password=CANARY-0451",
    "profile add new --provider huawei-sms --set=password=CANARY-0451",
    "profile add new --provider huawei-sms --set CANARY-0451",
    "profile add new --provider huawei-sms --set =CANARY-0451",
    "profile add new --provider huawei-sms --set passwort=CANARY-0451",
    "profile add new --provider huawei-sms --set password=CANARY-0451 --set nope=1",
    "profile add new --provider huawei-sms --set endpoint=https://user:CANARY-0451@host",
    "profile add new --provider huawei-sms --set thumbprint=CANARY-0451",
    "profile add new --provider huawei-sms --secret password=CANARY-0451",
    "profile add new --provider huawei-sms --secret password=plain:CANARY-0451",
    "profile add new --provider huawei-sms --secret password=vendor:CANARY-0451",
    "profile add new --provider huawei-sms --secret password=keyring:CANARY-0451",
    "profile add new --provider huawei-sms --secret password=command:'CANARY-0451",
    "profile add new --provider huawei-sms --secret CANARY-0451",
    "profile add new --provider huawei-sms --ask password=CANARY-0451",
    "profile add new --provider huawei-sms --set region=cn-north-4 --set region=CANARY-0451",
    "source list --provider vmware-srm --endpoint https://user:CANARY-0451@host",
)


@pytest.mark.parametrize("line", MISTAKES)
def test_a_secret_that_was_typed_is_not_repeated_and_not_kept(line: str, planted: Planted) -> None:
    before = profiles_path().read_bytes()
    ended = in_process(*line.split(" "))
    planted.must_not_be_in(ended.everything)
    assert ended.code in (2, 4)
    assert ended.err
    assert profiles_path().read_bytes() == before


def test_a_command_that_fails_after_printing_says_no_secret(planted: Planted) -> None:
    reference = f"password=command:cat {planted.place.home}/planted-password {CANARY}"
    added = in_process("profile", "add", "new", "--provider", "huawei-sms", "--secret", reference)
    planted.must_not_be_in(added.everything)
    assert added.code == 0
    shell = f"secret_key=command:sh -c 'cat {planted.place.home}/planted-secret-key; exit 3'"
    options = ("--set", f"endpoint={planted.place.sms.endpoint}", "--set", "access_key=AK", "--replace")
    assert in_process("profile", "add", "new", "--provider", "huawei-sms", *options, "--secret", shell).code == 0
    for ended in both(planted, "source", "list", "--profile", "new"):
        assert (ended.code, ended.out) == (4, "")
        assert "the command sh ended with 3" in ended.err
    shown = in_process("profile", "show", "new", "-o", "json")
    assert "exit 3" not in shown.out


@pytest.mark.parametrize(
    "document",
    [
        f"remote_password: {CANARY}\n",
        f"remote_password: [{CANARY}]\n",
        f"remote_password: {{literal: {CANARY}}}\n",
        f"remote_password: {{env: NOT_SET, literal: {CANARY}}}\n",
        f'remote_password: "{CANARY}\n',
        f"remote_password: {CANARY}: x\n",
        f"remote_password: *{CANARY}\n",
        f"remote_password: !{CANARY} x\n",
        f"remote_password: !{CANARY}!x\n",
        f"remote_password: %{CANARY}\n",
        f'{{"remote_password": {CANARY}}}',
        f'{{"remote_password": "{CANARY}}}',
        f'{{"remote_password": "{CANARY}", "remote_password": 1}}',
        f'{{"remote_password": "{CANARY}", "remote_url": NaN}}',
        f'{{"remote_password": {{"env": "{CANARY}"}}}}',
        f'["{CANARY}"]',
        f'"{CANARY}"',
        CANARY,
    ],
)
def test_no_bad_document_is_quoted(document: str, planted: Planted) -> None:
    for more in ((), ("-v",)):
        ended = in_process("pairing", "create", "-f", "-", "--profile", "site-env", *more, stdin=document)
        if '"env"' not in document:  # the name of a variable is said
            planted.must_not_be_in(ended.everything)
        assert (ended.code, ended.out) == (2, "")
    assert planted.place.srm.journal == []


@pytest.mark.parametrize(
    "content",
    [
        f'[bad]\nprovider = "vmware_srm"\nusername = "u"\npassword = "{CANARY}"\n',
        f'[bad]\nprovider = "vmware_srm"\nusername = "u"\npassword = ["{CANARY}"]\n',
        f'[bad]\nprovider = "vmware_srm"\nusername = "u"\npassword = {{ literal = "{CANARY}" }}\n',
        f'[bad]\nprovider = "vmware_srm"\nusername = "u"\npassword = {{ env = "X", file = "{CANARY}" }}\n',
        f'[bad]\nprovider = "vmware_srm"\nusername = "u"\npassword = {{ command = "{CANARY}" }}\n',
        f'[bad]\nprovider = "vmware_srm"\nusername = "u"\npassword = "{CANARY}\n',
        f'[bad]\nprovider = "vmware_srm"\nusername = "u"\npassword = {CANARY}\n',
        f'[bad]\nprovider = "vmware_srm"\nusername = "u"\ninsecure_plaintext = "{CANARY}"\n',
        f'[bad]\nprovider = "vmware_srm"\npasswort = "{CANARY}"\n',
        f'[bad]\nprovider = "gone"\npassword = "{CANARY}"\n',
        f'[bad]\nprovider = "vmware_srm"\nendpoint = "https://u:{CANARY}@host"\nusername="u"\npassword={{env="PATH"}}\n',
        f'bad = "{CANARY}"\n',
    ],
)
def test_no_bad_profile_is_quoted(content: str, planted: Planted) -> None:
    profiles_path().write_text(content)
    for words in (("profile", "list"), ("profile", "show", "bad"), ("profile", "show", "bad", "-o", "json")):
        planted.must_not_be_in(in_process(*words).everything)
    for words in (("pairing", "list", "--profile", "bad"), ("profile", "check", "bad")):
        assert [ended.code for ended in both(planted, *words) if ended.code not in (2, 4)] == []
    profiles_path().unlink()


@pytest.mark.parametrize(
    "content", [f"{CANARY}\n", f"[basic]\n{CANARY}\n", f"[basic]\nak = x\nsk = {CANARY}\nsk = 1\n"]
)
def test_no_bad_file_of_the_vendors_is_quoted(content: str, planted: Planted) -> None:
    path = planted.place.file(".huaweicloud/credentials", content)
    for ended in both(planted, "source", "list", *planted.connection("sdk")):
        assert ended.code == 4
    Path(path).unlink()


@pytest.mark.parametrize("link", ["key-vendor", "site-file"])
@pytest.mark.parametrize("run", [in_pipe, on_terminal])
def test_neither_a_pipe_nor_a_terminal_gets_a_secret(run: Callable[..., Ended], link: str, planted: Planted) -> None:
    words = ("pairing", "delete", planted.place.srm.pair(), "--yes") if link in SITES else ("source", "list")
    ended = run(*words, *planted.connection(link), "-v")
    assert ended.code == 0
    planted.must_not_be_in(ended.everything)


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="there is no /proc")
@pytest.mark.parametrize("link", SITES)
def test_no_list_of_processes_has_a_secret_nor_has_what_ctrl_c_leaves(link: str, planted: Planted) -> None:
    planted.place.srm.controls.task_seconds = 3600.0
    words = ("pairing", "delete", planted.place.srm.pair(), "--yes", *planted.connection(link), "-v")
    with Terminal(*words) as terminal:
        terminal.until("queued")
        listed = Path(f"/proc/{terminal.pid}/cmdline").read_bytes().decode().replace("\0", " ")
        ended = terminal.interrupt()
    assert "migrate_core.cli pairing delete" in listed
    planted.must_not_be_in(listed)
    assert ended.code == 130
    assert "task wait" in ended.err
    planted.must_not_be_in(ended.everything)


def test_what_is_typed_at_the_prompt_is_kept_by_the_keyring_alone(planted: Planted, keyring: FileKeyring) -> None:
    words = ("profile", "add", "new", "--provider", "huawei-sms", "--ask", "password", "--ask", "secret_key")
    with Terminal(*words) as terminal:
        terminal.until("password: ").type(f"{CANARY}-1\n".encode())
        terminal.until("secret_key: ").type(f"{CANARY}-2\n".encode())
        ended = terminal.end()
    assert ended.code == 0
    planted.must_not_be_in(ended.everything)
    planted.must_not_be_in(profiles_path().read_text().partition("[new]")[2])
    assert {f"{CANARY}-1", f"{CANARY}-2"} <= set(keyring.entries().values())
