"""`homeschool verify` with judges and groups, as a user would type it.

The judge is tests/openai_server.py; its answers are transcripts written here by hand.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from openai_server import fetch_stats, served

from homeschool.cli.main import command
from homeschool.engine.rows import read_rows

JUDGED = [
    {"match": "| It is Paris", "reply": "Right.\nScore: 5"},
    {"match": "| It is Rome", "reply": "Wrong.\nScore: 1"},
    {"match": "Score: N", "reply": "Who knows?"},
]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("HOMESCHOOL_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    Path("judged.json").write_text(json.dumps(JUDGED), encoding="utf-8")


def write(path: str, records: list[dict[str, Any]]) -> str:
    Path(path).write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def run(*argv: str) -> dict[str, Any]:
    code, text = command(["verify", *argv, "--json"])
    assert code == 0
    return json.loads(text)


def refuse(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    capsys.readouterr()
    assert command(["verify", *argv, "--json"])[0] == 2
    return capsys.readouterr().err.splitlines()[-1]


def made(out: str) -> list[Any]:
    return [row for path in sorted(Path(out, "rows").glob("*")) for row in read_rows(path)]


def test_a_judge_is_asked_once_and_its_answers_outlive_the_shard() -> None:
    rows = [{"prompt": f"Capital {n}?", "completion": f"It is {('Paris', 'Rome', 'Mars')[n % 3]}"} for n in range(9)]
    rows.append({"prompt": "Capital?", "completion": "x", "answer": "x", "verifier": "exact"})
    file = write("answers.jsonl", rows)
    with served("--transcript", "judged.json") as url:
        argv = [file, "--with", "judge", "--role", f"judge={url}#stand-in", "--out", "run"]
        found = run(*argv)
        assert set(found) == {"run", "rows", "verifiers", "pass", "fail", "abstain", "broken", "seconds"}
        assert (found["rows"], found["pass"], found["fail"], found["broken"]) == (10, 4, 3, 3)
        before = made("run")
        asked = fetch_stats(url)["requests"]
        Path("run/rows/00000.parquet").unlink()  # as if it had been killed before the shard was whole
        assert run(*argv)["pass"] == 4
        assert made("run") == before
        assert fetch_stats(url)["requests"] == asked, "neither answers nor probes are asked again"
    sources = [row.columns for row in before]
    assert [{**columns} for columns in sources] == [{**row} for row in rows], "every row, in order, as it was"
    assert {row.verdicts[-1].verifier for row in before} == {"judge@1", "exact@2"}
    assert [row.provenance.parents for row in before] == [()] * 10, "judging does not rename a row"


def test_exact_before_judge() -> None:
    rows = [
        {"prompt": "Capital?", "completion": "It is Rome", "answer": "It is Rome"},
        {"prompt": "Capital?", "completion": "It is Paris"},
    ]
    with served("--transcript", "judged.json") as url:
        argv = ["--with", "first_of(exact, judge)", "--role", f"judge={url}#stand-in"]
        assert run(write("answers.jsonl", rows), *argv)["pass"] == 2
        assert fetch_stats(url)["answered"] > 0
    verdicts = [row.verdicts[-1] for row in made("runs/verify-answers-0")]
    assert [verdict.verifier for verdict in verdicts] == ["exact@2", "judge@1"]
    assert "exact@2 was broken: no gold answer" in verdicts[1].evidence


def test_without_the_role_every_verdict_says_what_to_type() -> None:
    found = run(write("answers.jsonl", [{"prompt": "?", "completion": "a"}]), "--with", "judge", "--out", "run")
    assert found["broken"] == 1
    assert "--role judge=MODEL" in made("run")[0].verdicts[-1].evidence


GROUP = ["#### 1", "#### 1", "#### 2"]


def test_a_group_is_judged_at_once_wherever_its_rows_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("homeschool.engine.verdicts.SHARD", 4)
    rows = [{"prompt": f"p{n}", "completion": text, "sample": s} for s, text in enumerate(GROUP) for n in range(5)]
    rows.insert(7, {"completion": "y", "answer": "y", "verifier": "exact"})
    found = run(write("answers.jsonl", rows), "--with", "consistency", "--out", "run")
    assert (found["rows"], found["pass"], found["fail"]) == (16, 11, 5)
    kept = made("run")
    assert [dict(row.columns) for row in kept] == rows
    assert [row.verdicts[-1].status for row in kept if row.get("sample") == 2] == ["fail"] * 5
    assert len(list(Path("run/rows").glob("*"))) == 4
    for shard in ("00001", "00003"):
        Path(f"run/rows/{shard}.parquet").unlink()
    assert run(write("answers.jsonl", rows), "--with", "consistency", "--out", "run")["pass"] == 11
    assert made("run") == kept


def test_group_names_another_column_and_only_verifiers_of_groups_use_it(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"task": "t", "completion": text, "answer": str(n)} for n, text in enumerate(GROUP)]
    file = write("answers.jsonl", rows)
    assert run(file, "--with", "exact", "--out", "alone")["rows"] == 3
    assert "has no column 'prompt'" in refuse(capsys, file, "--with", "consistency", "--out", "a")
    said = refuse(capsys, file, "--with", "consistency", "--group", "task", "--out", "b")
    assert "row 2" in said and "one group with row 1" in said and "answer" in said
    same = write("same.jsonl", [{**row, "answer": "1"} for row in rows])
    assert run(same, "--with", "all_of(exact, consistency(group=2))", "--group", "task", "--out", "c")["pass"] == 2


def test_an_edited_file_is_another_run(capsys: pytest.CaptureFixture[str]) -> None:
    run(write("answers.jsonl", [{"completion": "a", "answer": "a"}]), "--with", "exact", "--out", "run")
    write("answers.jsonl", [{"completion": "b", "answer": "a"}])
    assert "holds another run: rows" in refuse(capsys, "answers.jsonl", "--with", "exact", "--out", "run")


def test_options_of_a_verifier_are_part_of_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    file = write("answers.jsonl", [{"prompt": "p", "completion": text} for text in GROUP])
    run(file, "--with", "consistency", "--out", "run")
    assert "another run" in refuse(capsys, file, "--with", "consistency(least=0.9)", "--out", "run")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--with", "exact"], "no file is named"),
        (["answers.jsonl", "--with", "judge(vote=3)"], "did you mean 'votes'"),
        (["answers.jsonl", "--with", "judge", "--role", "judge"], "is not ROLE=MODEL"),
        (["answers.jsonl", "--with", "exact", "--concurrency", "0"], "too few"),
    ],
)
def test_wrong_usage(argv: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    write("answers.jsonl", [{"completion": "a", "answer": "a"}])
    assert words in refuse(capsys, *argv)


def test_a_killed_run_asks_only_for_what_is_missing() -> None:
    count = 300
    write("answers.jsonl", [{"prompt": f"Capital {n}?", "completion": "It is Paris"} for n in range(count)])
    with served("--transcript", "judged.json", "--latency", "0.1") as url:
        argv = ["answers.jsonl", "--with", "judge", "--role", f"judge={url}#stand-in", "--out", "run"]
        words = [sys.executable, "-m", "homeschool", "verify", *argv, "--concurrency", "8"]
        child = subprocess.Popen(words, stderr=subprocess.DEVNULL, env={**os.environ})
        while fetch_stats(url)["answered"] < 60:
            time.sleep(0.02)
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert not list(Path("run").glob("rows/*"))
        assert run(*argv)["pass"] == count
        assert fetch_stats(url)["answered_again"] <= 8 + 1, "what was under way, and nothing else"
