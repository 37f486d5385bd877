"""Programs through the command line: `homeschool verify FILE --with tests`, `--sandbox KIND`, and the refusals."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest

from homeschool.cli.main import command
from homeschool.core.errors import RefusedError
from homeschool.engine.rows import read_rows
from homeschool.sandbox import pool
from homeschool.sandbox.isolation import VARIABLE

ROWS: list[dict[str, Any]] = [
    {"completion": "```python\ndef f(x):\n    return 2 * x\n```", "tests": "assert f(2) == 4"},
    {"completion": "def f(x):\n    return x", "tests": ["assert f(0) == 0", "assert f(2) == 4"]},
    {"completion": "print(int(input()) + 1)", "tests": [{"input": "1", "output": "2"}]},
    {"completion": "def f(x):\n    return x", "tests": "assert f(1"},
]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, "auto")  # `--sandbox` sets it, and it is put back


@pytest.fixture
def another(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process has not had a sandbox yet."""
    monkeypatch.setattr(pool, "_shared", functools.cache(pool._shared.__wrapped__))


def write(rows: list[dict[str, Any]]) -> str:
    Path("answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return "answers.jsonl"


def verdicts(out: str) -> list[Any]:
    return [row.verdicts[-1] for path in sorted(Path(out, "rows").glob("*")) for row in read_rows(path)]


def test_a_file_of_programs_end_to_end() -> None:
    code, text = command(["verify", write(ROWS), "--with", "tests", "--out", "run", "--json"])
    assert code == 0 and text.count("\n") == 1
    found = json.loads(text)
    assert {"run", "rows", "pass", "fail", "abstain", "broken", "seconds"} <= set(found)
    assert [found[name] for name in ("rows", "pass", "fail", "abstain", "broken")] == [4, 2, 1, 0, 1]
    said = verdicts("run")
    assert [verdict.status for verdict in said] == ["pass", "fail", "pass", "broken"]
    assert said[1].reason == "wrong answer"
    assert "got 2, want 4" in said[1].evidence
    assert dict(said[1].scores) == {"correct": 0.0, "passed": 0.5}
    assert {verdict.verifier for verdict in said} == {"tests@1"}


def test_a_file_may_mix_verifiers() -> None:
    rows = [
        {**ROWS[0], "answer": None, "verifier": "tests"},
        {"completion": "#### 72", "answer": "72", "verifier": "math"},
        {**ROWS[1], "verifier": "all_of(length(most=400), tests)"},
        {"completion": "no", "answer": "yes"},
    ]
    code, text = command(["verify", write(rows), "--with", "exact", "--out", "run", "--json"])
    assert code == 0
    assert [json.loads(text)[name] for name in ("pass", "fail", "broken")] == [2, 2, 0]
    said = [(verdict.status, verdict.verifier.partition("@")[0]) for verdict in verdicts("run")]
    assert said == [("pass", "tests"), ("pass", "math"), ("fail", "tests"), ("fail", "exact")]


def test_without_a_wall_everything_says_so(another: None, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["verify", write(ROWS[:1]), "--with", "tests", "--out", "run", "--sandbox", "none", "--json"]
    code, text = command(argv)
    assert code == 0 and json.loads(text)["pass"] == 1
    warned = [line for line in capsys.readouterr().err.splitlines() if "no sandbox" in line]
    assert len(warned) == 1 and warned[0].startswith("homeschool: ")
    assert [verdict.verifier for verdict in verdicts("run")] == ["tests@1+no-sandbox"]
    assert "tests@1+no-sandbox" in Path("run/run.json").read_text(encoding="utf-8")


def test_what_was_judged_without_a_wall_is_not_gone_on_with_behind_one(
    another: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = ["verify", write(ROWS[:1]), "--with", "tests", "--out", "run", "--json"]
    assert command([*argv, "--sandbox", "none"])[0] == 0
    monkeypatch.setenv(VARIABLE, "auto")
    assert command(argv)[0] == 2
    assert "holds another run: with" in capsys.readouterr().err


def test_an_unknown_kind_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["verify", write(ROWS), "--with", "tests", "--sandbox", "bubblewarp"]) == (2, "")
    said = capsys.readouterr().err
    assert "unknown sandbox 'bubblewarp'" in said and "bubblewrap" in said
    assert not Path("runs").exists()


def test_a_canary_that_gets_through_is_refused_and_nothing_is_judged(
    another: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def prove(run: Any) -> None:
        raise RefusedError("the sandbox does not hold: the canary 'network' connected", hint="no program was run")

    monkeypatch.setattr(pool, "prove", prove)
    code, text = command(["verify", write(ROWS), "--with", "tests", "--out", "run", "--json"])
    assert code == 3
    assert json.loads(text)["refused"] == "the sandbox does not hold: the canary 'network' connected"
    assert "the canary 'network' connected" in capsys.readouterr().err
    assert verdicts("run") == []


def test_where_no_wall_can_be_had_it_is_refused_and_says_what_to_install(
    another: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = pool.world_of
    monkeypatch.setattr(pool, "world_of", lambda kind, *, python: {**real(kind, python=python), "python": "/bin/false"})
    code, text = command(["verify", write(ROWS), "--with", "tests", "--out", "run", "--json"])
    assert code == 3
    assert "no sandbox can be had here" in json.loads(text)["refused"]
    said = capsys.readouterr().err
    assert "apt install bubblewrap" in said and "--sandbox none" in said
    assert verdicts("run") == []


def test_a_verifier_that_runs_nothing_needs_no_wall(another: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "world_of", lambda kind, *, python: pytest.fail("nobody asked for a sandbox"))
    rows = [{"completion": "#### 72", "answer": "72"}]
    assert json.loads(command(["verify", write(rows), "--with", "math", "--json"])[1])["pass"] == 1
