"""Nothing that others wrote makes us fail otherwise than documented; ``python -m fuzz`` tries more of it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import attrs
import pytest

from fuzz import __main__ as command
from fuzz.fuzzing import failure_of, fuzz
from fuzz.targets import SECRET, Target, targets
from support import ROOT


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the command, in a process of its own: the errors that it makes are none of the tests'."""
    return subprocess.run(
        [sys.executable, "-m", "fuzz", *words], capture_output=True, text=True, check=False, cwd=ROOT / "tests"
    )


@pytest.mark.timeout(600)
def test_what_others_wrote_gives_a_value_or_a_documented_error(tmp_path: Path) -> None:
    done = run("--inputs", "2600", "--seed", "1", "--failures", str(tmp_path))
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    _, _, *rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line.startswith("|")]
    assert len(rows) == 26
    for target, inputs, outcomes, _, failures in rows:
        assert (inputs, failures) == ("100", "0")
        assert int(outcomes) > 1, f"{target} gives the same for all that it reads"


@pytest.fixture(scope="module")
def all_targets(tmp_path_factory: pytest.TempPathFactory) -> list[Target]:
    return targets(tmp_path_factory.mktemp("fuzz"))


def raising(data: bytes) -> str:
    return str(1 / (data.count(b"0") - 1))


def endless(_: bytes) -> str:
    while True:
        time.monotonic()


def of_two_minds(_: bytes) -> str:
    from migrate_core import _json

    return str(_json._fast_decode() is None)


@pytest.mark.parametrize(
    ("run", "what"),
    [(raising, "ZeroDivisionError"), (endless, "TimeoutError"), (of_two_minds, "Violation: with the extra fast")],
    ids=["an exception", "no end", "two readings"],
)
def test_what_must_not_be_is_found(run: object, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fuzz.fuzzing.SECONDS", 0.05)
    target = Target("x", (b"a0b",), run, reads_json=True)  # type: ignore[arg-type]
    (failure,) = fuzz(target, seed=1, inputs=1).failures
    assert failure.what.startswith(what)


def test_what_fails_is_made_as_small_as_it_can_be() -> None:
    target = Target("x", (b"some text, a 0 and more",), raising)
    (failure,) = fuzz(target, seed=1, inputs=1).failures
    assert failure.data == b"0"


def test_a_secret_in_an_error_is_found(all_targets: list[Target]) -> None:
    (profiles,) = [target for target in all_targets if target.name == "profiles"]
    said = failure_of(profiles, f'["{SECRET}"]\n'.encode())  # a name, and names are repeated
    assert said
    assert said.startswith("Violation: ConfigurationError tells the secret")


def test_the_same_seed_gives_the_same_inputs(all_targets: list[Target]) -> None:
    (documents,) = [target for target in all_targets if target.name == "document"]
    tried: list[list[bytes]] = []
    for _ in range(2):
        inputs: list[bytes] = []
        noting = attrs.evolve(documents, run=lambda data, inputs=inputs: inputs.append(data) or "")
        fuzz(noting, seed=5, inputs=50)
        tried.append(inputs)
    assert tried[0] == tried[1]
    assert len(set(tried[0])) > 40


def test_a_file_is_tried_again(tmp_path: Path) -> None:
    file = tmp_path / "wait"
    file.write_bytes(b"5")
    assert run("--target", "retry_after", "--replay", str(file)).stdout == "retry_after: fine\n"


def test_what_fails_is_written_down_and_ends_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "targets", lambda _: [Target("x", (b"a0b",), raising)])
    monkeypatch.setattr(sys, "argv", ["fuzz", "--inputs", "3", "--failures", str(tmp_path)])
    assert command.main() == 1
    (file,) = tmp_path.iterdir()
    assert file.read_bytes() == b"0"
    assert file.name in capsys.readouterr().err
