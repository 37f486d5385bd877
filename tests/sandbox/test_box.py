"""A box that babbles, hangs up or falls silent is noticed, and never believed. The boxes are false_box.py."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from homeschool.core.errors import RefusedError
from homeschool.core.execution import Limits, Program
from homeschool.sandbox import box, pool
from homeschool.sandbox.box import Box, BoxGoneError

PROGRAM = Program("def f(x):\n    return x", ("assert f(1) == 1", "assert f(2) == 2"), limits=Limits(seconds=0.1))
ONE = replace(PROGRAM, tests=PROGRAM.tests[:1])
PASSED = {"job": 1, "status": "passed", "message": "", "seconds": 0.1}


def frame(value: Any) -> bytes:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return len(data).to_bytes(4, "big") + data


def records(*values: Any) -> str:
    return "\n".join(f"records {frame(value).hex()}" for value in values)


def ended(**more: Any) -> str:
    return f"control {frame({'ended': {'job': 1, 'reason': '', 'code': 0, **more}}).hex()}"


@pytest.fixture
def false(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a box that says so. `enter.py` is not asked."""
    monkeypatch.setattr(box, "SILENCE_SECONDS", 0.3)
    monkeypatch.setattr(box, "INSIDE", tmp_path)
    shutil.copy(Path(__file__).parent / "false_box.py", tmp_path / "enter.py")
    made: list[Box] = []

    def make(says: str) -> Box:
        world = {"isolation": "namespaces", "python": sys.executable, "flags": [], "environment": {"SAYS": says}}
        made.append(Box(world))
        return made[-1]

    yield make
    for each in made:
        each.kill()


def test_a_box_that_speaks_well_is_believed(false: Any) -> None:
    said = records(
        {"test": 0, **PASSED}, {"test": 1, **PASSED}, {"job": 1, "run": {"status": "passed", "seconds": 0.2}}
    )
    execution = false(f"{said}\n{ended()}").run(PROGRAM)
    assert (execution.status, [test.status for test in execution.tests]) == ("passed", ["passed"] * 2)
    assert execution.isolation == "namespaces"


@pytest.mark.parametrize(
    "says",
    [
        "silence",
        "end",
        records({"test": 0, **PASSED}),
        f"{records({'test': 0, **PASSED})}\nend",
        "records ffffffff",
        "records 00000004",
        "control ffffffff00",
        records(b"\xff\xfe"),
        records(b"[" * 20_000),
        records({"test": "first", **PASSED}),
        records({"test": float("inf"), **PASSED}),
        records({"job": 1, "test": 0}),
        records({"test": 0, **PASSED, "seconds": "soon"}),
        records({"test": 0, **PASSED, "status": []}),
        records({"job": 1, "run": 5}),
        f"{records({'job': 1, 'run': {'status': 'passed', 'seconds': []}})}\n{ended()}",
        f"control {frame({'ended': 5}).hex()}",
        ended(job=2),
        f"control {frame({'ended': {'job': 1, 'peak_mb': {}}}).hex()}",
    ],
)
def test_what_is_no_record_is_a_box_that_has_gone(false: Any, says: str) -> None:
    with pytest.raises(BoxGoneError) as caught:
        false(says).run(ONE)
    assert caught.value.began


@pytest.mark.parametrize(
    ("said", "statuses"),
    [
        ([], ["broken", "not run"]),
        ([{"test": 0, **PASSED}], ["passed", "broken"]),
        ([{"test": 9, **PASSED}, {"test": -1, **PASSED}, ["test"], 7, "passed"], ["broken", "not run"]),
        ([{"test": 0, **PASSED, "status": "splendid"}, {"job": 1, "run": {"status": "passed"}}], ["broken", "not run"]),
        ([{"job": 1, "run": {"status": "passed"}}], ["not run", "not run"]),
        ([{"test": 0, **PASSED, "job": 0}, {"test": 1, **PASSED, "job": 2}], ["broken", "not run"]),
        (
            [{"test": 0, **PASSED, "status": "failed"}, {"test": 0, **PASSED}, {"job": 1, "run": PASSED}],
            ["failed", "not run"],
        ),
        ([{"job": 1, "run": {"status": "failed"}}, {"job": 1, "run": {"status": "passed"}}], ["not run", "not run"]),
    ],
    ids=[
        "nothing",
        "half",
        "other tests",
        "a status of its own",
        "no test",
        "other jobs",
        "a second opinion",
        "two ends",
    ],
)
def test_what_is_not_said_has_not_passed(false: Any, said: list[Any], statuses: list[str]) -> None:
    execution = false(f"{records(*said)}\n{ended(code=70)}").run(PROGRAM)
    assert [test.status for test in execution.tests] == statuses
    assert execution.status != "passed"


def test_the_end_of_a_judge_that_had_no_job_leaves_the_job_to_another(false: Any) -> None:
    with pytest.raises(BoxGoneError) as caught:
        false(ended(job=None)).run(ONE)
    assert not caught.value.began


def test_a_long_message_is_cut(false: Any) -> None:
    said = [{"test": 0, **PASSED, "status": "failed", "message": "x" * 5000}, {"job": 1, "run": {"status": "passed"}}]
    execution = false(f"{records(*said)}\n{ended()}").run(PROGRAM)
    assert len(execution.tests[0].message) == len(execution.message) == 1000


@pytest.mark.parametrize("python", ["false", "nothing-of-this-name"])
def test_a_machine_that_cannot_start_one_is_refused(monkeypatch: pytest.MonkeyPatch, python: str) -> None:
    def world_of(kind: str, *, python: str | None) -> dict[str, Any]:
        return {"isolation": kind, "python": command, "flags": [], "environment": {}}

    command = shutil.which(python) or python
    monkeypatch.setattr(pool, "world_of", world_of)
    with pool.Sandbox("namespaces", workers=1) as sandbox, pytest.raises(RefusedError) as caught:
        sandbox.submit(PROGRAM).result(timeout=30)
    assert "no sandbox can be had here (namespaces: " in caught.value.message
    assert "--sandbox none" in caught.value.hint
    assert caught.value.exit_code == 3


def test_without_user_namespaces_it_says_what_the_kernel_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that forbids them answers `unshare` so."""
    inside = tmp_path / "inside"
    shutil.copytree(box.INSIDE, inside)
    kernel = inside / "kernel.py"
    forbids = "\n\ndef unshare(flags):\n    raise PermissionError(1, 'Operation not permitted', 'unshare')\n"
    kernel.write_text(kernel.read_text(encoding="utf-8") + forbids, encoding="utf-8")
    monkeypatch.setattr(box, "INSIDE", inside)
    with pool.Sandbox("namespaces", workers=1) as sandbox, pytest.raises(RefusedError) as caught:
        sandbox.submit(PROGRAM).result(timeout=30)
    assert "Operation not permitted" in caught.value.message


def test_without_bubblewrap_the_kernel_is_asked_and_a_named_one_is_not_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.delenv("HOMESCHOOL_SANDBOX", raising=False)
    assert pool.chosen() == ("namespaces",)
    with pytest.raises(RefusedError, match="bubblewrap is not installed"):
        pool.Sandbox("bubblewrap")
