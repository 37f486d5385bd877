"""Following a row through a run folder that is made here by hand, as `improve` writes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from homeschool.cli.main import command
from homeschool.core.errors import UsageError
from homeschool.core.records import Completion, Dropped, Row
from homeschool.core.verdict import Fail, Pass
from homeschool.engine.rows import write_rows
from homeschool.engine.run import Run
from homeschool.evaluate.exam import Exam, Item, write_items
from homeschool.improve.trace import trace

PROBLEM = Row.source({"prompt": "2+3*4", "level": 2, "group": "shown"})


def answer(text: str, key: str) -> Completion:
    return Completion(text, "stop", token_ids=(5, 6), key=key, model="nano")


def child(text: str, key: str) -> Row:
    return PROBLEM.derive(step="star", calls=[answer(text, key)], completion=text)


LESSON = child("=2+12\n=14", "k1").judged(Pass(verifier="calculator@1"))
REFUSED = Dropped(child("=20", "k2").judged(Fail(reason="wrong value")), "fail: wrong value", "star")
ITEM = Item("e1", "shown", 2, "1+1", ("=2",), ("pass",), ("",), (2,))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Round 1 kept LESSON; rounds 1 and 2 trained on it (a pool of 2), round 3 did not."""
    folder = tmp_path / "run"
    with Run.open(folder, kind="improve", settings={"collect": {"pool": 2}}) as opened:
        opened.answers.commit([answer("=2+12\n=14", "k1")], max_tokens=32)
        write_rows(opened.path("rows", "verified-01.parquet"), [LESSON])
        for empty in ("verified-02", "unverified-01"):
            write_rows(opened.path("rows", f"{empty}.parquet"), [])
        lost = Row({**REFUSED.row.columns, "rule": REFUSED.rule, "reason": REFUSED.reason}, REFUSED.row.provenance)
        write_rows(opened.path("dropped", "verified-01.parquet"), [lost])
        for number, decision in enumerate(("accepted", "rolled back", "accepted"), start=1):
            learnt = {"checkpoint": f"checkpoints/verified-0{number}", "steps": 10 * number, "loss": 0.5}
            opened.save_json(f"rounds/verified-0{number}.json", {"train": learnt, "decision": decision})
        other = Item("e2", "shown", 1, "1", ("=2",), ("fail",), ("wrong",), (2,))
        wrong = Item("e3", "shown", 2, "2+2", ("=5",), ("fail",), ("wrong",), (2,))
        write_items(opened.path("exam", "final-greedy.jsonl"), Exam((ITEM, other, wrong)))
    return folder


def test_a_lesson_is_followed_both_ways(run: Path) -> None:
    found = trace(run, LESSON.id[:10])
    assert found["row"] == LESSON.id
    assert found["columns"] == dict(LESSON.columns)
    file = "rows/verified-01.parquet"
    assert found["lineage"] == [
        {"id": PROBLEM.id, "step": "problem", "file": None},
        {"id": LESSON.id, "step": "star", "file": file},
    ]
    assert found["answers"] == [{"key": "k1", "text": "=2+12\n=14", "tokens": 2, "model": "nano"}]
    assert [(place["file"], place["kept"], place["verdicts"][0]["status"]) for place in found["places"]] == [
        (file, True, "pass")
    ]
    assert [(entry["round"], entry["steps"], entry["decision"]) for entry in found["trained"]] == [
        (1, 10, "accepted"),
        (2, 20, "rolled back"),
    ]
    assert found["exams"] == [{"exam": "final-greedy", "level": 2, "n": 2, "accuracy": 0.5}]


def test_a_refused_answer_says_why_and_was_learnt_by_nobody(run: Path) -> None:
    found = trace(run, REFUSED.row.id)
    assert (found["places"][0]["rule"], found["places"][0]["reason"]) == ("star", "fail: wrong value")
    assert found["trained"] == []
    assert found["answers"] == []  # the store of this run has no k2


def test_an_exam_item_is_its_own_sitting(run: Path) -> None:
    found = trace(run, "e1")
    assert found["exams"] == [{"exam": "final-greedy", "answers": ["=2"], "statuses": ["pass"]}]
    assert found["columns"]["prompt"] == "1+1"


def test_in_words(run: Path) -> None:
    code, said = command(["trace", LESSON.id[:10], "--run", str(run)])
    assert code == 0
    for words in ("star", "kept", "pass (calculator@1)", "verified round 2", "level 2: 50.0% (n = 2)"):
        assert words in said
    assert json.loads(command(["trace", "e1", "--run", str(run), "--json"])[1])["row"] == "e1"


@pytest.mark.parametrize(("start", "words"), [("zzz", "no row"), ("", "no row"), ("e", "begins")])
def test_a_start_that_fits_none_or_several_is_refused(run: Path, start: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        trace(run, start)
