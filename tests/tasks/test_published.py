"""Problem sets as they were published: read in every form they come in, and refused where they are something else."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from homeschool.core.errors import UsageError
from homeschool.core.records import ModelCard, Row
from homeschool.core.task import Task
from homeschool.evaluate.exam import sit
from homeschool.improve.settings import ImproveConfig, TaskConfig, normalise
from homeschool.improve.workbench import rendered
from homeschool.tasks import commonsense, countdown, game24, gsm8k, humaneval, humanevalfix, ifeval, math500, mbpp
from homeschool.tasks import quixbugs as quixbugs_
from homeschool.tasks.load import load_exam, load_problems, load_task
from homeschool.tasks.published import Published, fitting, records_in
from homeschool.verify.load import load_verifier
from homeschool.verify.program import program_of

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"

RECORDS: dict[str, dict[str, Any]] = {
    "gsm8k": {"question": "How many?", "answer": "48/2 = <<48/2=24>>24\n#### 1,024"},
    "math500": {
        "problem": "Sum?", "solution": "It is $\\boxed{\\frac{1}{2}}$.", "answer": "\\frac{1}{2}",
        "subject": "Algebra", "level": 2, "unique_id": "test/algebra/1.json",
    },
    "humaneval": {
        "task_id": "HumanEval/0", "entry_point": "f", "canonical_solution": "    return half(x)\n",
        "prompt": 'import math\n\n\ndef half(x):\n    return x / 2\n\n\ndef f(x):\n    """ Half of x. """\n',
        "test": "\n\nMETADATA = {}\n\n\ndef check(candidate):\n    assert candidate(2) == half(2)\n",
    },
    "humanevalfix": {
        "task_id": "Python/0", "entry_point": "f", "declaration": "import math\n\n\ndef f(x):\n", "prompt": "?",
        "buggy_solution": "    return x\n", "canonical_solution": "    return x / 2\n",
        "test": "def check(f):\n    assert f(2) == 1\n\ncheck(f)",
    },
    "mbpp": {
        "task_id": 601, "text": "Write a function to add.",
        "code": "def help():\r\n\tpass\r\ndef add(a, b):\r\n\treturn a+b",
        "test_list": ["assert add(1, 2) == 3", "assert add(2, 2) == 4"], "test_setup_code": "x = 1\r\n",
        "challenge_test_list": ["assert add(0, 0) == 0"],
    },
    "quixbugs": {
        "name": "twice", "buggy": 'import math\n\ndef twice(x):\n    return x + 2\n\n\n"""\nDoubles.\n"""\n',
        "fixed": "import math\n\ndef twice(x):\n    return x + x\n",
        "tests": "assert twice(1) == 2\nassert twice(3) == 6",
        "docstring": '"""\nDoubles.\n"""',
    },
    "ifeval": {
        "key": 1000, "prompt": "Write.", "instruction_id_list": ["punctuation:no_comma"],
        "kwargs": [{"num_words": None, "relation": None}],
    },
    "countdown": {"nums": [19, 36, 55], "target": 72},
    "game24": {"Rank": "1", "Puzzles": "1 1 4 6", "Solved rate": "99.20%"},
    "commonsense": {
        "id": "a", "answerKey": "B",
        "question": {"stem": "Where?", "choices": [{"label": "A", "text": "sea"}, {"label": "B", "text": "bank"}]},
    },
}  # fmt: skip
FORMATS: dict[str, Published] = {
    "gsm8k": gsm8k.task, "math500": math500.task, "humaneval": humaneval.task, "humanevalfix": humanevalfix.task,
    "mbpp": mbpp.task, "quixbugs": quixbugs_.task, "ifeval": ifeval.task, "countdown": countdown.task,
    "game24": game24.task, "commonsense": commonsense.task,
}  # fmt: skip
RIGHT: dict[str, str] = {
    "gsm8k": "So it is\n#### 1024",
    "math500": "\\boxed{0.5}",
    "ifeval": "I write without any.",
    "countdown": "Answer: 36 + 55 - 19",
    "game24": "4 * 6 * 1 * 1",
    "commonsense": "(B)",
}
FILES = {
    "gsm8k": ("math/gsm8k_test_first_half.jsonl", 660),
    "math500": ("math/math500_even.jsonl", 250),
    "humaneval": ("code/humaneval_even.jsonl", 82),
    "humanevalfix": ("code/humanevalpack_python_even.jsonl", 82),
    "mbpp": ("code/mbpp_shared.jsonl", 724),
    "quixbugs": ("code/quixbugs_shared.jsonl", 20),
    "ifeval": ("instruct/ifeval_shared.jsonl", 260),
    "game24": ("math/game24_shared.jsonl", 908),
    "commonsense": ("reasoning/commonsenseqa_dev_shared.jsonl", 640),
}


def write(folder: Path, records: list[dict[str, Any]], name: str = "set.jsonl") -> Path:
    path = folder / name
    lines = "".join(json.dumps(record) + "\n" for record in records)
    path.write_bytes(gzip.compress(lines.encode()) if name.endswith(".gz") else lines.encode())
    return path


def many(name: str, n: int) -> list[dict[str, Any]]:
    """`n` different problems of a format, those of MBPP with its ids from 1 on."""
    vary: dict[str, Callable[[int], dict[str, Any]]] = {
        "gsm8k": lambda i: {"question": f"How many {i}?"},
        "mbpp": lambda i: {"task_id": i + 1, "text": f"Write {i}."},
        "countdown": lambda i: {"target": i},
        "humaneval": lambda i: (
            {"prompt": RECORDS["humaneval"]["prompt"].replace("Half", f"{i}: Half")} | {"task_id": i}
        ),
    }
    return [{**RECORDS[name], **vary[name](i)} for i in range(n)]


def status(task: Task, row: Row, answer: str) -> str:
    return asyncio.run(task.verifier(row, [answer]))[0].status


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_found_by_its_name_and_tells_its_own_records(name: str, tmp_path: Path) -> None:
    task = FORMATS[name]
    assert task.name == name
    assert fitting(RECORDS[name])[0] == name
    exam = load_exam(f"{name}={write(tmp_path, [RECORDS[name]])}")
    assert len(exam.exam) == 1
    assert exam.verifier.name.partition("@")[0] == task.verify
    assert exam.exam[0]["prompt"].strip()


@pytest.mark.parametrize("name", RIGHT)
def test_answers_are_judged(name: str, tmp_path: Path) -> None:
    task = FORMATS[name].examined(write(tmp_path, [RECORDS[name]]))
    assert status(task, task.exam[0], RIGHT[name]) == "pass"
    assert status(task, task.exam[0], "") == "fail"
    assert status(task, task.exam[0], "I, for one, do not know.") == "fail"


def test_gsm8k() -> None:
    assert gsm8k.problem(RECORDS["gsm8k"]) == {
        "prompt": "How many?", "answer": "1,024", "reference": RECORDS["gsm8k"]["answer"],
    }  # fmt: skip
    with pytest.raises(ValueError, match="does not end in ####"):
        gsm8k.problem({"question": "?", "answer": "5"})


def test_math_in_its_three_forms() -> None:
    published = math500.problem(RECORDS["math500"])
    assert (published["answer"], published["group"], published["level"]) == ("\\frac{1}{2}", "Algebra", 2)
    older = {"problem": "Sum?", "solution": "It is $\\boxed{\\frac{1}{2}}$.", "level": "Level ?", "type": "Algebra"}
    assert math500.problem(older)["answer"] == "\\frac{1}{2}"
    assert math500.problem(older)["level"] == 5
    answered = {"question": "Sum?", "answer": "It is $\\boxed{3}$.The answer is: 3"}
    assert math500.problem(answered) == {"prompt": "Sum?", "answer": "3", "reference": answered["answer"]}
    with pytest.raises(ValueError, match=r"no .*boxed"):
        math500.problem({"problem": "?", "solution": "I do not know."})


def test_humaneval_carries_its_helpers_into_the_tests() -> None:
    columns = humaneval.problem(RECORDS["humaneval"])
    (test,) = columns["tests"]
    compile(test, "test", "exec")
    assert "def half(x):" in test and test.rstrip().endswith("check(f)")
    assert "def f(" not in test
    assert columns["raw_prompt"] == columns["prefix"] == RECORDS["humaneval"]["prompt"]
    assert columns["raw_prompt"] in columns["prompt"]
    for answer in ("    return half(x)\n\n\ndef g(", "```python\ndef f(x):\n    return half(x)\n```"):
        assert "return half(x)" in program_of(answer, columns)
        compile(program_of(answer, columns), "program", "exec")


def test_humanevalfix_shows_the_tests_and_calls_them_once() -> None:
    columns = humanevalfix.problem(RECORDS["humanevalfix"])
    assert columns["tests"][0].count("check(f)") == 2  # the definition and one call
    assert columns["buggy"].endswith("return x\n") and columns["reference"].endswith("return x / 2\n")
    assert columns["raw_prompt"].endswith("# Fix bugs in f.\nimport math\n\n\ndef f(x):\n")
    assert program_of("    return x / 2\n", columns) == columns["reference"]


def test_mbpp_in_both_forms() -> None:
    full = mbpp.problem(RECORDS["mbpp"])
    assert full["entry_point"] == "add"
    assert full["tests"] == ["x = 1\nassert add(1, 2) == 3", "x = 1\nassert add(2, 2) == 4"]
    assert full["challenge_tests"] == ["x = 1\nassert add(0, 0) == 0"]
    assert "\r" not in full["reference"]
    assert full["prompt"].endswith("\n\nassert add(1, 2) == 3\nassert add(2, 2) == 4\n")
    assert full["raw_prompt"] == full["prompt"] + "[BEGIN]\n"
    sanitized = {**RECORDS["mbpp"], "prompt": "Add.", "test_imports": ["import math"]}
    for name in ("text", "test_setup_code", "challenge_test_list"):
        sanitized.pop(name)
    assert mbpp.problem(sanitized)["tests"][0] == "import math\nassert add(1, 2) == 3"
    parts = [mbpp.problem({**RECORDS["mbpp"], "task_id": n})["split"] for n in (1, 10, 11, 510, 511, 600, 601, 974)]
    assert parts == ["prompt", "prompt", "exam", "exam", "dev", "dev", "train", "train"]
    with pytest.raises(ValueError, match="no tests"):
        mbpp.problem({**RECORDS["mbpp"], "test_list": []})


def test_mbpp_keeps_its_authors_split_where_it_can(tmp_path: Path) -> None:
    whole = load_task("mbpp", problems=str(write(tmp_path, many("mbpp", 974))))
    assert (len(whole.exam), len(whole.dev), len({row.id for row in whole.draw(None, 374, 0)})) == (500, 90, 374)
    assert {row["split"] for row in whole.draw(None, 400, 1)} == {"train"}
    assert len(load_exam(f"mbpp={tmp_path / 'set.jsonl'}").exam) == 500
    tests_only = write(tmp_path, many("mbpp", 100)[10:], "test.jsonl")
    assert len(load_task("mbpp", problems=str(tests_only)).exam) == 20
    assert len(load_exam(f"mbpp={tests_only}").exam) == 90
    learnt = write(tmp_path, many("mbpp", 974)[510:], "rest.jsonl")
    assert len(load_task("mbpp", problems=str(learnt), exam=str(tests_only)).exam) == 90


def test_quixbugs_in_both_forms() -> None:
    columns = quixbugs_.problem(RECORDS["quixbugs"])
    assert columns["prefix"] == "import math"
    assert columns["prompt"].count("Doubles.") == 1
    hub = {"name": "twice", "buggy_program": "def twice(x):\n    return x + 2\n", "solution": "def twice(x): ...\n",
           "tests": "assert twice(1) == 2", "docstring": '"""\nDoubles.\n"""'}  # fmt: skip
    columns = quixbugs_.problem(hub)
    assert columns["prompt"].count("Doubles.") == 1
    assert program_of("```python\ndef twice(x):\n    return x + x\n```", columns).strip().startswith("def twice")


def test_ifeval_drops_what_is_null() -> None:
    assert ifeval.problem(RECORDS["ifeval"])["constraints"] == [{"id": "punctuation:no_comma", "kwargs": {}}]
    with pytest.raises(ValueError, match="1 instructions and arguments for 2"):
        ifeval.problem({**RECORDS["ifeval"], "kwargs": [{}, {}]})


def test_puzzles(tmp_path: Path) -> None:
    assert countdown.problem({"numbers": [1, 2], "target": 3.0})["nums"] == [1, 2]
    with pytest.raises(ValueError, match="not four numbers"):
        game24.problem({"Puzzles": "1 2 3"})
    csv = tmp_path / "24.csv"
    csv.write_text("\ufeffRank,Puzzles,AMT (s)\n1,1 1 4 6,4.4\n2,1 1 11 11,4.41\n", encoding="utf-8")
    task = load_exam(f"game24={csv}")
    assert [row["nums"] for row in task.exam] == [[1, 1, 4, 6], [1, 1, 11, 11]]
    assert status(task, task.exam[1], "(1 + 1) * (11 + 11 / 11)") == "fail"
    subset = load_exam(f"game24={csv}", verify="countdown(subset=true)")
    assert status(subset, subset.exam[0], "4 * 6") == "pass"


def test_each_multiple_choice_set() -> None:
    hub = {"id": "a", "question": "Where?", "choices": {"label": ["A", "B"], "text": ["sea", "bank"]}, "answerKey": "B"}
    assert commonsense.problem(hub) == commonsense.problem(RECORDS["commonsense"])
    aqua = commonsense.problem({"question": "V?", "options": ["A)32400", "B) 6 km"], "correct": "B", "rationale": "r"})
    assert (aqua["choices"], aqua["labels"]) == (["32400", "6 km"], ["A", "B"])
    assert (aqua["answer"], aqua["reference"]) == ("B", "r")
    strategy = commonsense.problem({"qid": "q", "question": "Is it?", "answer": False, "facts": []})
    assert (strategy["choices"], strategy["answer"]) == (["yes", "no"], "no")
    scores = {f"05/0{i}/2021": int(i == 1) for i in range(1, 7)}
    days = [commonsense.problem({"input": f"Day {i}?", "target_scores": scores}) for i in range(30)]
    assert all(day["choices"][day["labels"].index(day["answer"])] == "05/01/2021" for day in days)
    assert len({day["answer"] for day in days}) >= 4  # the right one is first in the file
    pub = {"question": "Do they?", "contexts": ["They may."], "final_decision": "maybe", "pmid": 7}
    capitals = {"id": "7", "QUESTION": "Do they?", "CONTEXTS": ["They may."], "final_decision": "maybe"}
    assert commonsense.problem(pub) == commonsense.problem(capitals)
    with pytest.raises(ValueError, match="none of A, B"):
        commonsense.problem({**hub, "answerKey": "C"})
    with pytest.raises(ValueError, match="2 options are right"):
        commonsense.problem({"input": "?", "target_scores": {"a": 1, "b": 1}})


def test_files_in_every_form(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    records = many("countdown", 3)
    by_id = {"p1": records[0], "p2": records[1], "p3": records[2]}
    (tmp_path / "list.json").write_text(json.dumps(records, indent=1), encoding="utf-8")
    (tmp_path / "examples.json").write_text(json.dumps({"name": "x", "examples": records}, indent=1), encoding="utf-8")
    (tmp_path / "by_id.json").write_text(json.dumps(by_id), encoding="utf-8")
    (tmp_path / "by_id.json.gz").write_bytes(gzip.compress(json.dumps(by_id).encode()))
    (tmp_path / "one.json").write_text(json.dumps(records[0], indent=1), encoding="utf-8")
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"Puzzles,Rank\n1 2 3 4,1\n"))
    write(tmp_path, records, "lines.json")
    write(tmp_path, records, "lines.jsonl.gz")
    pq.write_table(pa.Table.from_pylist(records), tmp_path / "table.parquet")
    objects = ("list.json", "examples.json", "by_id.json", "by_id.json.gz")
    for name in (*objects, "lines.json", "lines.jsonl.gz", "table.parquet"):
        assert [row["target"] for row in load_exam(f"countdown={tmp_path / name}").exam] == [0, 1, 2], name
    assert len(list(records_in(tmp_path / "one.json"))) == 1
    assert len(game24.task.problems(tmp_path / "t.csv.gz")) == 1


@pytest.mark.parametrize(
    ("task", "records", "words"),
    [
        ("gsm8k", [{"q": "x"}], ["row 1", "not in the format of gsm8k: it has q", "columns answer, question"]),
        ("gsm8k", [RECORDS["gsm8k"], {"question": "?"}], ["row 2", "it has question"]),
        ("gsm8k", [RECORDS["gsm8k"], {"question": "?", "answer": "5"}], ["row 2", "does not end in ####"]),
        ("gsm8k", [{"question": "?", "answer": 5}], ["row 1", "AttributeError"]),
        ("gsm8k", [RECORDS["humaneval"]], ["it looks like humaneval's", "write humaneval for gsm8k"]),
        ("humaneval", [RECORDS["mbpp"]], ["it looks like mbpp's"]),
        ("mbpp", [RECORDS["humanevalfix"]], ["it looks like humanevalfix's"]),
        ("ifeval", [RECORDS["quixbugs"]], ["it looks like quixbugs's"]),
        ("countdown", [RECORDS["game24"]], ["it looks like game24's"]),
        ("humaneval", [{**RECORDS["humaneval"], "entry_point": "g"}], ["does not define its entry point 'g'"]),
        ("gsm8k", [{"question": " ", "answer": "#### 5"}], ["prompt in row 1", "is empty"]),
        ("gsm8c", [RECORDS["gsm8k"]], ["unknown task 'gsm8c'", "did you mean 'gsm8k'"]),
        ("arithmetic", [RECORDS["gsm8k"]], ["the task arithmetic has its own problems"]),
    ],
)
def test_refused(tmp_path: Path, task: str, records: list[dict[str, Any]], words: list[str]) -> None:
    for made in (load_exam, load_task):
        with pytest.raises(UsageError) as raised:
            made(f"{task}={write(tmp_path, records)}")
        assert all(word in str(raised.value) for word in words), str(raised.value)
        assert raised.value.hint


def test_without_a_file_or_with_a_broken_one(tmp_path: Path) -> None:
    for made in (load_exam, load_task):
        with pytest.raises(UsageError, match=r"gsm8k needs a file of its problems.*gsm8k=FILE"):
            made("gsm8k")
        with pytest.raises(UsageError, match=r"gone\.jsonl does not exist"):
            made("gsm8k=gone.jsonl")
    with pytest.raises(UsageError, match="has its own columns"):
        load_exam(f"gsm8k={write(tmp_path, [RECORDS['gsm8k']])}", columns={"prompt": "question"})
    for name, content in {"a.csv": b"Puzzles\n", "b.csv": b"\xff\xfe\x00", "c.csv.gz": b"\x1f\x8b\x00"}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UsageError, match=r"has no rows|cannot be read"):
            load_exam(f"game24={tmp_path / name}")


def test_a_plain_file_that_is_a_published_one_says_so(tmp_path: Path) -> None:
    path = write(tmp_path, [RECORDS["humaneval"]] * 30)
    with pytest.raises(UsageError, match=r"it looks like humaneval's format: write humaneval="):
        load_problems(str(path))


def test_a_plain_file_is_all_exam_in_its_order(tmp_path: Path) -> None:
    records = [{"prompt": f"{i} + 1", "answer": i + 1} for i in range(3)]
    assert [row["answer"] for row in load_exam(str(write(tmp_path, records))).exam] == [1, 2, 3]
    renamed = write(tmp_path, [{"q": "x", "a": "y"}], "renamed.jsonl")
    assert load_exam(str(renamed), columns={"prompt": "q", "answer": "a"}, verify="exact").exam[0]["answer"] == "y"


def test_learning_from_one_file_and_examined_on_another(tmp_path: Path) -> None:
    problems, exam = write(tmp_path, many("gsm8k", 60)), write(tmp_path, many("gsm8k", 70)[60:], "exam.jsonl")
    task = load_task(f"gsm8k={problems}", exam=str(exam), verify="exact", template="Q: {prompt}\nA:")
    assert (len(task.exam), len(task.dev), task.verifier.name[:6]) == (10, 6, "exact@")
    assert task.template == "Q: {prompt}\nA:"
    with pytest.raises(UsageError, match=r"10 of the problems in .* are also in"):
        load_task(f"gsm8k={write(tmp_path, many('gsm8k', 70), 'all.jsonl')}", exam=str(exam))


def test_in_a_config() -> None:
    assert normalise({"task": "gsm8k=a.jsonl"})["task"] == {"name": "gsm8k", "problems": "a.jsonl"}
    assert normalise({"task": "arithmetic"})["task"] == {"name": "arithmetic"}
    config = ImproveConfig("nano", TaskConfig(name="gsm8k", problems="a.jsonl", exam="b.jsonl", verify="exact"))
    assert config.task.exam == "b.jsonl"
    with pytest.raises(UsageError, match=r"has its own exam: .*task\.problems=FILE"):
        TaskConfig(name="gsm8k", exam="b.jsonl")
    with pytest.raises(UsageError, match="gsm8k has its own columns"):
        TaskConfig(name="gsm8k", problems="a.jsonl", columns={"prompt": "q"})
    with pytest.raises(UsageError, match="neither a task nor problems"):
        TaskConfig()


def test_how_each_kind_of_model_is_asked(tmp_path: Path) -> None:
    task = humaneval.task.examined(write(tmp_path, many("humaneval", 2)))
    chat = rendered(task.exam, card=ModelCard("m", "f", frozenset({"chat"})), template=task.template)
    raw = rendered(task.exam, card=ModelCard("m", "f"), template=task.template)
    assert chat[0]["prompt"] == [{"role": "user", "content": task.exam[0]["prompt"]}]
    assert not chat[0]["stop"]
    assert raw[0]["prompt"] == task.exam[0]["raw_prompt"]
    assert "\ndef " in raw[0]["stop"]
    plain = gsm8k.task.examined(write(tmp_path, many("gsm8k", 2)))
    assert rendered(plain.exam, card=ModelCard("m", "f"), template=plain.template)[0]["prompt"] == (
        "Question: How many 0?\nAnswer:"
    )
    assert rendered([Row.source({"prompt": "x"})], card=ModelCard("m", "f", frozenset({"chat"})), template="{prompt}")[
        0
    ].columns.keys() == {"prompt"}


def test_an_exam_stops_where_a_problem_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from homeschool.core.records import Completion, Sampling
    from homeschool.evaluate import exam as exams

    asked: list[Any] = []

    async def ask_all(model: object, requests: Any, **_: Any) -> list[list[Completion]]:
        asked.extend(requests)
        return [[Completion("#### 1024", "stop")] for _ in requests]

    monkeypatch.setattr(exams, "ask_all", ask_all)
    task = gsm8k.task.examined(write(tmp_path, many("gsm8k", 1)))
    rows = [*task.exam, Row.source({"prompt": "x", "answer": "1024"})]
    sampling = Sampling(temperature=0.0, stop=("END",))
    sitting = sit(None, rows, task.verifier, store=None, sampling=sampling)  # pyright: ignore[reportArgumentType]
    assert asyncio.run(sitting).accuracy == 1.0
    assert [request.sampling.stop for request in asked] == [("\nQuestion:",), ("END",)]


@pytest.mark.filterwarnings("ignore:invalid escape sequence")
@pytest.mark.parametrize("name", FILES)
def test_the_real_files(name: str) -> None:
    file, size = FILES[name]
    if not (DATA / file).is_file():
        pytest.skip("the shared data is not here")
    task = FORMATS[name].examined(DATA / file)
    assert len(FORMATS[name].problems(DATA / file)) == size
    assert len(task.exam) == (250 if name == "mbpp" else size)
    if name in ("gsm8k", "math500"):
        for row in task.exam[::4]:
            assert status(task, row, row["reference"]) == "pass", row["reference"]
            assert status(task, row, f"The answer is ${row['answer']}$") == "pass", row["answer"]
    for row in task.exam:
        for source in row.get("tests") or ():
            compile(source, "test", "exec")
        if row.get("entry_point"):
            assert program_of(f"```python\n{row['reference']}\n```", row).strip().endswith(row["reference"].strip())


def test_a_format_brings_a_verifier_that_there_is() -> None:
    assert {load_verifier(task.verify).name.partition("@")[0] for task in FORMATS.values()} == {
        "math", "tests", "constraints", "countdown", "choice",
    }  # fmt: skip
