"""A person's problem file: what is understood, how it is split, and every way in which it is refused."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from homeschool.core.errors import UsageError
from homeschool.tasks.problems import from_file as task

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "math"


def write(folder: Path, records: list[dict[str, Any]], name: str = "mine.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def sums(n: int, **more: Any) -> list[dict[str, Any]]:
    return [{"prompt": f"{i} + 1", "answer": i + 1, **more} for i in range(n)]


def prompts(rows: Any) -> set[str]:
    return {row["prompt"] for row in rows}


def test_a_split_is_disjoint_complete_and_the_same_in_any_order(tmp_path: Path) -> None:
    records = [*sums(100), *sums(5), {"prompt": " 7 +  1", "answer": "8"}]
    made = task(write(tmp_path, records))
    assert (made.name, len(prompts(made.exam) - {" 7 +  1"}), len(prompts(made.dev) - {" 7 +  1"})) == ("mine", 20, 10)
    training = made.draw(None, 76, 0)
    seen = [{" ".join(p.split()) for p in prompts(rows)} for rows in (training, made.dev, made.exam)]
    assert not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])
    assert len(seen[0] | seen[1] | seen[2]) == 100
    turned = task(write(tmp_path, records[::-1], "turned.jsonl"))
    assert prompts(turned.exam) == prompts(made.exam)
    assert prompts(turned.dev) == prompts(made.dev)


def test_sizes(tmp_path: Path) -> None:
    assert len(task(write(tmp_path, sums(3000))).exam) == 500
    assert len(task(write(tmp_path, sums(3000))).dev) == 200
    assert len(task(write(tmp_path, sums(3000)), exam_size=7).exam) == 7
    exam = write(tmp_path, [{"prompt": "9 + 9", "answer": 18}], "exam.jsonl")
    made = task(write(tmp_path, sums(40)), exam=exam)
    assert (len(made.exam), len(made.dev), len(prompts(made.draw(None, 36, 0)))) == (1, 4, 36)


def test_drawing(tmp_path: Path) -> None:
    made = task(write(tmp_path, sums(60)))
    size = len(prompts(made.draw(None, 60, 0)))
    one, two, again = made.draw(None, 3 * size, 1), made.draw(None, 3 * size, 2), made.draw(None, 3 * size, 1)
    assert [row.id for row in one] == [row.id for row in again] != [row.id for row in two]
    assert len({row.id for row in one}) == 3 * size
    for turn in range(3):
        assert len(prompts(one[turn * size : (turn + 1) * size])) == size
    assert made.draw(None, 5, 1) == one[:5]
    assert made.draw(None, 0, 1) == []


def test_a_ladder(tmp_path: Path) -> None:
    records = [{**record, "level": 3 - i % 3, "group": f"g{i % 3}"} for i, record in enumerate(sums(90))]
    made = task(write(tmp_path, records))
    assert made.levels == (1, 2, 3)
    assert {row["level"] for row in made.draw(2, 40, 0)} == {2}
    assert made.exam[0]["group"].startswith("g")
    with pytest.raises(UsageError, match=r"level 9: levels in the file: 1, 2, 3"):
        made.draw(9, 1, 0)


def test_gsm8k_is_understood(tmp_path: Path) -> None:
    text = "She sold 48/2 = <<48/2=24>>24.\n#### 1,072"
    made = task(write(tmp_path, [{"question": f"Q{i}", "answer": text} for i in range(40)]))
    row = made.exam[0]
    assert dict(row.columns) == {"prompt": row["prompt"], "answer": "1,072", "solution": text}
    assert made.template == "Question: {prompt}\nAnswer:"
    assert asyncio.run(made.verifier(row, ["#### 1072", "#### 72"]))[0].status == "pass"


def test_other_names_and_further_columns(tmp_path: Path) -> None:
    records = [{"q": f"Q{i}", "a": "#### x", "hardness": 1.0, "note": [1]} for i in range(40)]
    made = task(write(tmp_path, records), columns={"prompt": "q", "answer": "a", "level": "hardness"}, verify="exact")
    assert dict(made.exam[0].columns) | {"prompt": ""} == {
        "prompt": "", "answer": "x", "solution": "#### x", "level": 1, "note": [1],
    }  # fmt: skip
    assert made.levels == (1,)
    assert made.verifier.name.startswith("exact@")


def test_a_persons_own_verifier_needs_no_answer(tmp_path: Path) -> None:
    (tmp_path / "checks.py").write_text("def judge(answer, row): return row['want'] in answer", encoding="utf-8")
    records = [{"prompt": f"Say {i}", "want": str(i)} for i in range(40)]
    made = task(write(tmp_path, records), verify=f"{tmp_path / 'checks.py'}:judge")
    row = made.exam[0]
    assert [v.status for v in asyncio.run(made.verifier(row, [f"well, {row['want']}", "no"]))] == ["pass", "fail"]


def test_parquet_rows_of_ours(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    records = [{**record, "level": None if i == 3 else 1} for i, record in enumerate(sums(40))]
    pq.write_table(pa.Table.from_pylist(records), tmp_path / "p.parquet")
    with pytest.raises(UsageError, match=r"level in row 4 of .*p\.parquet is None"):
        task(tmp_path / "p.parquet")
    pq.write_table(pa.Table.from_pylist(sums(40)), tmp_path / "p.parquet")
    assert len(task(tmp_path / "p.parquet").exam) == 20


def test_recall_is_a_file_of_its_own(tmp_path: Path) -> None:
    recall = write(tmp_path, [{"prompt": "Capital of France?", "answer": "Paris"}], "recall.jsonl")
    assert prompts(task(write(tmp_path, sums(40)), recall=recall).recall) == {"Capital of France?"}
    assert task(write(tmp_path, sums(40))).recall == ()


@pytest.mark.parametrize(
    ("records", "options", "words"),
    [
        ([*sums(30), {"prompt": "x"}], {}, ["row 31", "no column 'answer' but prompt"]),
        ([{"promt": "x", "answer": "1"}], {}, ["row 1", "but promt, answer", "did you mean 'promt'?"]),
        (sums(30), {"columns": {"prompt": "question"}}, ["row 1", "no column 'question' but prompt, answer"]),
        ([*sums(30), {"prompt": 5, "answer": 1}], {}, ["prompt in row 31", "5, not text"]),
        ([*sums(30), {"prompt": " ", "answer": 1}], {}, ["prompt in row 31", "is empty"]),
        ([*sums(30), {"prompt": "x", "answer": None}], {}, ["answer in row 31", "None"]),
        ([*sums(30), {"prompt": "x", "answer": True}], {}, ["answer in row 31", "True"]),
        ([*sums(30), {"prompt": "x", "answer": {"a": 1}}], {}, ["answer in row 31", "not text or a number"]),
        ([*sums(30), {"prompt": "x", "answer": []}], {}, ["answer in row 31", "[]"]),
        ([*sums(30, level=1), {"prompt": "x", "answer": 1, "level": "hard"}], {}, ["level in row 31", "'hard'"]),
        (
            [*({**record, "id": i} for i, record in enumerate(sums(30))), {"prompt": "x", "answer": 1, "id": "7"}],
            {},
            ["id '7' twice", "rows 8 and 31"],
        ),
        ([{"prompt": "x", "tests": "assert True"}] * 30, {}, ["1 different problems, too few to hold out 20"]),
        ([{"prompt": "x", "answer": 1, "raw_prompt": 3}], {}, ["`raw_prompt` in row 1", "3, not text"]),
        (
            [{"prompt": "x", "answer": 1, "stop": "x"}, {"prompt": "x", "answer": 1, "stop": [""]}],
            {},
            ["`stop` in row 2"],
        ),
        ([{"question": "x", "answerKey": "A", "id": 1}], {}, ["no column 'prompt'", "write commonsense="]),
        (sums(20), {}, ["20 different problems, too few to hold out 20", "task.exam=FILE"]),
        (sums(30), {"verify": "maths"}, ["unknown verifier 'maths'", "did you mean 'math'"]),
        (sums(30), {"template": "Q:"}, ["template 'Q:'", "{prompt}"]),
        ([], {}, ["empty"]),
    ],
)
def test_refused(tmp_path: Path, records: list[dict[str, Any]], options: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(UsageError) as raised:
        task(write(tmp_path, records), **options)
    assert all(word in str(raised.value) for word in words), str(raised.value)
    assert raised.value.hint


def test_an_exam_that_is_trained_on_is_refused(tmp_path: Path) -> None:
    exam = write(tmp_path, [{"prompt": "3  +  1", "answer": 4}, {"prompt": "5 + 1", "answer": 6}], "exam.jsonl")
    with pytest.raises(UsageError, match=r"2 of the problems in .*exam\.jsonl are also in .*mine\.jsonl"):
        task(write(tmp_path, sums(40)), exam=exam)
    with pytest.raises(UsageError, match="cannot be the recall"):
        task(write(tmp_path, sums(40)), recall=exam)


def test_broken_and_missing_files(tmp_path: Path) -> None:
    (tmp_path / "broken.jsonl").write_text('{"prompt": "x", "answer": 1}\n{"prompt": \n', encoding="utf-8")
    with pytest.raises(UsageError, match="line 2"):
        task(tmp_path / "broken.jsonl")
    with pytest.raises(UsageError, match=r"gone\.jsonl does not exist"):
        task(tmp_path / "gone.jsonl")


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared data is not here")
def test_the_real_gsm8k() -> None:
    made = task(DATA / "gsm8k_train.jsonl.gz", exam=DATA / "gsm8k_test_first_half.jsonl")
    assert (made.name, len(made.exam), len(made.dev)) == ("gsm8k_train", 660, 200)
    rows = made.draw(None, 50, 3)
    verdicts = [asyncio.run(made.verifier(row, [row["solution"]]))[0].status for row in rows]
    assert verdicts == ["pass"] * 50
