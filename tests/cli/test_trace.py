"""Following a row through run folders that are made by hand, as `improve` and `generate` write them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from generated_run import make_run

from homeschool.cli.main import command
from homeschool.core.errors import UsageError
from homeschool.core.records import Completion, Dropped, Row
from homeschool.core.verdict import Fail, Pass
from homeschool.engine import look
from homeschool.engine.rows import read_rows, write_rows
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


@pytest.fixture
def generated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A generation run with its source beside it."""
    monkeypatch.chdir(tmp_path)
    sources = make_run(tmp_path / "made")
    with Path("problems.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(dict(row.columns)) + "\n" for row in sources)
    return tmp_path / "made"


def test_a_generated_row_is_followed_from_its_source_through_every_call(generated: Path) -> None:
    row = read_rows(generated / "rows" / "00001.parquet")[2]
    [source] = row.provenance.parents
    found = trace(generated, row.id[:12])
    assert found["columns"] == dict(row.columns)
    assert [(step["id"], step["step"], step["file"]) for step in found["lineage"]] == [
        (source, "source", None),
        (row.id, "two_steps", "rows/00001.parquet"),
    ]
    columns = {"prompt": row["prompt"], "level": row["level"], "license": "MIT"}
    assert found["sources"] == [{"id": source, "name": "problems.jsonl", "columns": columns, "why": ""}]
    assert [(answer["key"], answer["row"]) for answer in found["answers"]] == [
        (key, row.id) for key in row.provenance.calls
    ]
    assert found["answers"][0]["text"] == row["completion"]
    assert found["answers"][0]["question"]["prompt"] == [{"role": "user", "content": row["prompt"]}]
    assert found["places"][0]["verdicts"][0] | {"evidence": ""} == row.verdicts[0].to_dict()
    assert found["children"] == []


def test_an_answer_that_was_cut_short_is_told_too(generated: Path) -> None:
    rows = [row for file in look.row_files(generated, "rows") for row in read_rows(file)]
    cut = next(row for row in rows if int(row["prompt"].split()[2]) % 4 == 1)
    assert [answer["finish_reason"] for answer in trace(generated, cut.id)["answers"]] == ["stop", "length"]


def test_a_dropped_row_tells_its_rule_reason_and_traceback(generated: Path) -> None:
    row = read_rows(generated / "dropped" / "00000.parquet")[0]
    found = trace(generated, row.id)
    [place] = found["places"]
    assert (place["kept"], place["rule"], place["reason"]) == (False, "math", "raised ValueError: boo")
    assert place["detail"].startswith("Traceback")
    assert not {"rule", "reason", "detail"} & set(found["columns"])
    code, said = command(["trace", row.id, "--run", str(generated)])
    assert code == 0
    assert "dropped by math: raised ValueError: boo; fail (math@1)\n  Traceback: line 1\n  boo" in said


def test_a_source_row_is_followed_forward(generated: Path) -> None:
    row = read_rows(generated / "rows" / "00000.parquet")[0]
    found = trace(generated, row.provenance.parents[0])
    assert found["columns"]["prompt"] == row["prompt"]
    assert found["children"] == [{"id": row.id, "file": "rows/00000.parquet", "kept": True}]
    assert found["places"] == []


def test_a_joined_row_has_all_its_parents_first(generated: Path) -> None:
    one, two = read_rows(generated / "rows" / "00000.parquet")[:2]
    joined = Row.join([one, two], step="pair", chosen=one["completion"], rejected=two["completion"])
    write_rows(generated / "rows" / "00009.parquet", [joined])
    found = trace(generated, joined.id)
    above = [*one.provenance.parents, one.id, *two.provenance.parents, two.id, joined.id]
    assert [step["id"] for step in found["lineage"]] == above
    assert [source["columns"]["prompt"] for source in found["sources"]] == [one["prompt"], two["prompt"]]
    assert [answer["row"] for answer in found["answers"]] == [one.id, one.id, two.id, two.id]


def test_what_cannot_be_told_is_said(generated: Path) -> None:
    Path("problems.jsonl").unlink()
    for store in generated.glob("answers*"):
        store.unlink()
    row = read_rows(generated / "rows" / "00000.parquet")[0]
    found = trace(generated, row.id)
    assert found["sources"][0]["columns"] is None
    assert found["sources"][0]["why"] == "problems.jsonl does not exist"
    assert [answer["text"] for answer in found["answers"]] == [None, None]
    said = command(["trace", row.id, "--run", str(generated)])[1]
    assert "no store of this run has it" in said
    assert "problems.jsonl does not exist" in said


def test_a_generated_row_in_words_obeys_no_terminal(tmp_path: Path) -> None:
    make_run(tmp_path / "made")
    path = tmp_path / "made" / "rows" / "00000.parquet"
    row = read_rows(path)[0]
    wild = answer("\x1b[2Jgone\nsecond line", "wild")
    with Run.open(tmp_path / "wild", kind="generate", settings={"source": "none"}) as run:
        question = '{"prompt": "tell\\u001b me", "sampling": {}}'
        run.answers.commit([wild], max_tokens=8, questions=[question])
        write_rows(run.path("rows", "00000.parquet"), [row.derive(step="wild", calls=[wild], completion="x")])
    made = read_rows(tmp_path / "wild" / "rows" / "00000.parquet")[0]
    said = command(["trace", made.id, "--run", str(tmp_path / "wild")])[1]
    assert "asked nano\n  tell  me\nanswered (2 tokens, stop)\n   [2Jgone\n  second line" in said
    assert "\x1b" not in said


@pytest.mark.parametrize(("start", "words"), [("zzz", "no row .* ids look like [0-9a-f]{24}"), ("", "no row")])
def test_a_start_that_fits_no_generated_row_is_refused(start: str, words: str, generated: Path) -> None:
    with pytest.raises(UsageError) as raised:
        trace(generated, start)
    assert re.search(words, str(raised.value))


def test_only_histories_are_read_to_find_a_row(generated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = read_rows(generated / "rows" / "00001.parquet")[0]
    read: list[str] = []
    monkeypatch.setattr(
        "homeschool.improve.trace_generated.read_rows", lambda path: read.append(path.name) or read_rows(path)
    )
    trace(generated, row.id)
    assert read == ["00001.parquet"]


def test_report_writes_a_generation_runs_papers_again(generated: Path) -> None:
    code, text = command(["report", str(generated), "--json"])
    assert code == 0
    assert set(json.loads(text)) == {"run", "report", "card"}
    assert "rows from" in (generated / "report.html").read_text(encoding="utf-8")
    assert (generated / "card.md").read_text(encoding="utf-8").startswith("---\nlicense")
