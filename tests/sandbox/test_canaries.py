"""The proof at start: each canary that gets through is refused, be the wall told to let it or be there none."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from homeschool.core.errors import RefusedError
from homeschool.core.execution import Execution, Program
from homeschool.sandbox.canaries import CANARIES, LIMITS, Planted, planted, prove

Run = Callable[[Program], Execution]


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def which(program: Program) -> str:
    return next(name for name, source in CANARIES.items() if source == program.source)


def holding(program: Program) -> Execution:
    """A wall that holds, as far as the canaries can see."""
    return Execution("passed", stdout="[]\n", isolation="bubblewrap")


def letting(name: str, harm: Callable[[dict[str, Any]], Execution | None]) -> Run:
    """A wall that holds for all but one canary."""

    def run(program: Program) -> Execution:
        through = harm(json.loads(program.stdin)) if which(program) == name else None
        return through or holding(program)

    return run


def says(text: str) -> Callable[[dict[str, Any]], Execution]:
    return lambda told: Execution("passed", stdout=json.dumps([text]))


def reads(told: dict[str, Any], *, place: int = 0) -> Execution:
    return Execution("passed", stdout=Path(told["secrets"][place]).read_text() + "\n[]\n")


def complains(told: dict[str, Any]) -> Execution:
    return Execution("error", stderr=f"Traceback: {Path(told['secrets'][0]).read_text()}")


def connects(told: dict[str, Any]) -> None:
    socket.create_connection(("127.0.0.1", told["port"])).close()


def connects_abstract(told: dict[str, Any]) -> None:
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect("\0" + told["abstract"])


def changes(told: dict[str, Any]) -> None:
    Path(told["secrets"][-1]).write_text("changed")


def makes(told: dict[str, Any]) -> None:
    Path(told["secrets"][-1] + ".new").write_text("new")


def removes(told: dict[str, Any]) -> None:
    Path(told["secrets"][0]).unlink()


def kills(told: dict[str, Any]) -> None:
    os.kill(told["victim"], signal.SIGKILL)
    time.sleep(0.05)


@pytest.mark.parametrize(
    ("name", "harm", "words"),
    [
        ("network", connects, "reached a listener outside"),
        ("network", connects_abstract, "reached a listener outside"),
        ("network", says("connected to 10.0.0.1"), "connected to 10.0.0.1"),
        ("secret", reads, "read a secret file"),
        ("secret", lambda told: reads(told, place=1), "read a secret file"),
        ("secret", complains, "read a secret file"),
        ("writing", changes, "changed a file outside"),
        ("writing", makes, "made or removed a file outside"),
        ("writing", removes, "made or removed a file outside"),
        ("system calls", says("was allowed to unshare"), "was allowed to unshare"),
        ("killing", kills, "killed a process outside"),
        ("fork bomb", says("had 32 processes where 16 are allowed"), "had 32 processes"),
        ("memory bomb", says("had 512 MB"), "had 512 MB"),
    ],
)
def test_each_canary_that_gets_through_is_refused(
    name: str, harm: Callable[[dict[str, Any]], Execution | None], words: str
) -> None:
    with pytest.raises(RefusedError, match=words) as caught:
        prove(letting(name, harm))
    assert caught.value.exit_code == 3
    assert repr(name) in caught.value.message
    assert "--sandbox none" in caught.value.hint


@pytest.mark.parametrize("name", CANARIES)
@pytest.mark.parametrize(
    "ended",
    [
        Execution("broken", "the sandbox did not start"),
        Execution("error", stderr="ImportError: no module named json"),
        Execution("timeout"),
        Execution("exit"),
        Execution("passed", stdout=""),
        Execution("passed", stdout="nonsense"),
        Execution("passed", stdout='{"a": 1}'),
    ],
    ids=lambda ended: f"{ended.status} {ended.stdout}",
)
def test_a_canary_that_proves_nothing_is_refused(name: str, ended: Execution) -> None:
    with pytest.raises(RefusedError, match="the sandbox"):
        prove(letting(name, lambda told: ended))


@pytest.mark.parametrize(("name", "status"), [("memory bomb", "memory"), ("fork bomb", "memory")])
def test_a_bomb_may_be_stopped(name: str, status: Any) -> None:
    prove(letting(name, lambda told: Execution(status)))


def test_a_wall_that_holds_is_believed_and_everything_planted_is_taken_away(home: Path) -> None:
    seen: list[dict[str, Any]] = []

    def run(program: Program) -> Execution:
        seen.append(json.loads(program.stdin))
        assert program.limits == LIMITS
        assert all(Path(path).read_text() not in program.stdin for path in seen[-1]["secrets"])
        return holding(program)

    prove(run)
    assert len(seen) == len(CANARIES)
    assert any(path.startswith(f"{home}{os.sep}") for path in seen[0]["secrets"])
    assert [path for path in seen[0]["secrets"] if Path(path).parent.exists()] == []
    assert list(home.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(seen[0]["victim"], 0)
    with pytest.raises(ConnectionRefusedError):
        connects(seen[0])


def test_a_home_that_cannot_be_written_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/proc")
    with planted() as targets:
        assert len(targets.secrets) == 1


# --- the canaries themselves, where nothing holds them: harmless ones, for the others would do what they try ------


def unconfined(program: Program) -> Execution:
    """The canaries that do no harm, as plain processes."""
    if which(program) in ("fork bomb", "memory bomb", "system calls"):
        return holding(program)
    done = subprocess.run(
        [sys.executable, "-S", "-c", program.source],
        input=program.stdin,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return Execution("passed" if done.returncode == 0 else "error", stdout=done.stdout, stderr=done.stderr)


@pytest.mark.parametrize(
    ("name", "words"),
    [("network", "reached"), ("secret", "read a secret"), ("writing", "outside"), ("killing", "killed")],
)
def test_without_a_wall_the_canary_gets_through(name: str, words: str) -> None:
    """Each alone: the others are told that the wall holds."""

    def run(program: Program) -> Execution:
        return unconfined(program) if which(program) == name else holding(program)

    with pytest.raises(RefusedError, match=words):
        prove(run)


def test_without_a_wall_nothing_is_believed() -> None:
    with pytest.raises(RefusedError):
        prove(unconfined)


def test_the_killer_spares_what_is_not_ours() -> None:
    """Where it can kill the victim it does nothing more: this process would be gone."""
    with planted() as targets:
        program = Program(source=CANARIES["killing"], stdin=targets.told(), limits=LIMITS)
        assert unconfined(program).stdout == "[]\n"
        assert targets.victim.wait(timeout=5) == -signal.SIGKILL
        assert targets.harmed() == "killed a process outside"


def test_each_harm_is_seen_from_outside() -> None:
    with planted() as targets:
        assert isinstance(targets, Planted)
        assert targets.harmed() == ""


@pytest.mark.parametrize("name", CANARIES)
def test_canaries_compile_and_say_what_they_got(name: str) -> None:
    compile(CANARIES[name], name, "exec")
    assert "print(" in CANARIES[name]
