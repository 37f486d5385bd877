"""The verbs, run as a person would run them, on inputs of a few lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from homeschool.cli.main import command
from homeschool.engine.rows import read_rows

MODEL = "nano"
PROBLEMS = [{"prompt": f"{a}+{a}", "answer": str(2 * a)} for a in range(1, 5)]
ANSWERS = [
    {"prompt": "6*7", "completion": "The answer is 42", "answer": "42", "note": "kept"},
    {"prompt": "6*7", "completion": "The answer is 41", "answer": "42", "note": "kept"},
    {"prompt": "6*7", "completion": "#### 42"},
]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test stands in a folder of its own, where default run folders go."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: str, records: list[dict[str, Any]]) -> str:
    Path(path).write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def run(*argv: str) -> dict[str, Any]:
    """The JSON of a command that must go well."""
    code, text = command([*argv, "--json"])
    assert code == 0
    assert text.count("\n") == 1
    return json.loads(text)


def refuse(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """The sentence of a command that must exit 2 and start nothing."""
    capsys.readouterr()
    assert command([*argv, "--json"]) == (2, "")
    said = capsys.readouterr().err.splitlines()
    sentences = [line for line in said if line.startswith("homeschool: ")]
    assert len(sentences) == 1
    assert "Traceback" not in "".join(said)
    return sentences[0]


def test_verify_keeps_every_row_in_order_with_its_verdict() -> None:
    file = write("answers.jsonl", ANSWERS)
    found = run("verify", file, "--with", "exact", "--out", "judged")
    seconds = found.pop("seconds")
    assert seconds >= 0
    counts = {"pass": 1, "fail": 1, "abstain": 0, "broken": 1}
    assert found == {"run": "judged", "rows": 3, "verifiers": ["exact@2"], **counts}

    import pyarrow.parquet as pq

    written = pq.read_table("judged/rows/00000.parquet").to_pylist()
    assert [row["verdict"]["status"] for row in written] == ["pass", "fail", "broken"]
    assert [row["completion"] for row in written] == [row["completion"] for row in ANSWERS]
    assert written[0]["note"] == "kept"
    code, said = command(["verify", file, "--with", "exact", "--out", "judged"])
    assert code == 0
    assert "3 rows: 1 pass, 1 fail, 0 abstain, 1 broken" in said


def test_verify_takes_the_verifier_row_by_row_and_from_a_file_of_yours() -> None:
    Path("checks.py").write_text("def judge(answer, row):\n    return answer == 'yes'\n", encoding="utf-8")
    rows = [
        {"completion": "yes", "verifier": "checks.py:judge"},
        {"completion": "no", "verifier": "checks.py:judge"},
        {"completion": "no", "answer": "no"},
    ]
    found = run("verify", write("mixed.jsonl", rows), "--with", "exact")
    assert (found["pass"], found["fail"]) == (2, 1)
    assert found["run"] == "runs/verify-mixed-0"


def test_verify_reads_the_last_message_of_a_conversation() -> None:
    rows = [{"completion": [{"role": "assistant", "content": "#### 42"}], "answer": "42"}]
    assert run("verify", write("chat.jsonl", rows), "--with", "exact")["pass"] == 1


@pytest.mark.parametrize("kind", ["recipes", "verifiers", "curators", "objectives", "strategies", "tasks", "models"])
def test_list_gives_name_summary_and_paper(kind: str) -> None:
    found = run("list", kind)
    assert list(found) == [kind]
    assert found[kind]
    assert all(set(entry) == {"name", "summary", "paper"} for entry in found[kind])
    assert all(entry["name"] in command(["list", kind])[1] for entry in found[kind])


def test_list_without_a_kind_gives_all() -> None:
    names = {entry["name"] for entries in run("list").values() for entry in entries}
    assert {"rejection_sampling", "math", "exact", "sft", "arithmetic", "nano", "sample"} <= names


def test_generate_writes_rows_and_drops_and_asks_nothing_twice() -> None:
    file = write("problems.jsonl", PROBLEMS)
    argv = ["generate", "rejection_sampling", "samples=2", "--source", file, "--model", MODEL, "max_tokens=12"]
    Path("any.py").write_text("def judge(answer, row):\n    return len(answer) % 2 == 0\n", encoding="utf-8")
    argv += ["--with", "any.py:judge", "--out", "made"]
    first = run(*argv)
    assert first["rows"] + sum(first["dropped"].values()) == 8
    assert first["calls"] > 0
    assert (first["calls_cached"], first["run"]) == (0, "made")
    kept = read_rows(Path("made/rows/00000.parquet"))
    lost = read_rows(Path("made/dropped/00000.parquet"))
    assert len(kept) == first["rows"]
    assert all(row["reason"] and row["rule"] for row in lost)
    again = run(*argv)
    assert (again["calls"], again["calls_cached"]) == (0, first["calls"])
    for same in ("rows", "dropped", "calls_per_row"):
        assert again[same] == first[same]
    Path("made/rows/00000.parquet").unlink()  # as if it had been killed before its shard was whole
    replayed = run(*argv)
    assert (replayed["calls"], replayed["rows"]) == (0, first["rows"])
    assert read_rows(Path("made/rows/00000.parquet")) == kept


def test_generate_draws_from_a_task() -> None:
    argv = ["generate", "rejection_sampling", "samples=1", "--source", "arithmetic", "--rows", "3", "--model", MODEL]
    found = run(*argv)
    assert found["rows"] + sum(found["dropped"].values()) == 3


def test_train_then_evaluate_the_checkpoint_then_trace_an_item() -> None:
    data = write("lessons.jsonl", [{"prompt": f"{a}+1", "completion": f"={a + 1}"} for a in range(20)])
    argv = ["train", "sft", "steps=2", "--data", data, "--model", MODEL, "--out", "student", "batch_tokens=256"]
    learnt = run(*argv)
    assert learnt["steps"] == 2
    assert learnt["loss"] > 0
    assert {"tokens_per_second", "peak_memory_mb"} <= set(learnt)
    assert (Path(learnt["checkpoint"]) / "config.json").is_file()
    assert run(*argv)["loss"] == learnt["loss"]

    file = write("problems.jsonl", PROBLEMS)
    found = run("evaluate", file, "--model", learnt["checkpoint"], "--max-tokens", "8", "--out", "exam")
    assert (found["task"], found["n"]) == (file, 4)
    assert 0 <= found["ci95"][0] <= found["accuracy"] <= found["ci95"][1] <= 1
    items = [json.loads(line) for line in Path(found["items"]).read_text(encoding="utf-8").splitlines()]
    assert len(items) == 4

    followed = run("trace", items[0]["id"][:12], "--run", "exam")
    assert followed["row"] == items[0]["id"]
    assert followed["exams"] == [{"exam": "items", "answers": items[0]["answers"], "statuses": items[0]["statuses"]}]


def test_evaluate_samples_and_limits() -> None:
    argv = ["evaluate", "arithmetic", "--model", MODEL, "--limit", "5", "--samples", "4", "--max-tokens", "16"]
    found = run(*argv)
    assert found["n"] == 5
    assert set(found["pass_at"]) >= {"4"}


def test_trace_walks_a_generated_row_back() -> None:
    Path("yes.py").write_text("def judge(answer, row):\n    return True\n", encoding="utf-8")
    file = write("problems.jsonl", PROBLEMS[:1])
    argv = ["generate", "rejection_sampling", "samples=2", "max_tokens=64", "--source", file, "--model", MODEL]
    run(*argv, "--with", "yes.py:judge", "--out", "runs/made")
    files = [*Path("runs/made/rows").glob("*"), *Path("runs/made/dropped").glob("*")]
    row = next(row for path in files for row in read_rows(path))
    found = run("trace", row.id)
    assert found["run"] == "runs/made"
    assert [step["id"] for step in found["lineage"]] == [*row.provenance.parents, row.id]
    assert found["columns"]["prompt"] == row["prompt"]
    code, said = command(["trace", row.id])
    assert code == 0
    assert row.id in said


IMPROVE = f"""
model: {MODEL}
task: {{problems: gsm.jsonl, verify: math, limit: 4}}
rounds: 1
samples: 2
collect: {{problems: 6, max_tokens: 8}}
train: {{steps: 2, batch_tokens: 256}}
"""


def test_improve_gains_nothing_says_so_and_is_reported_and_traced() -> None:
    """A GSM8K-format file on a model that cannot do it: exit 0, or 3 under --require-gain, with the JSON both times."""
    sums = [(a, b) for a in range(8) for b in range(8)]
    write("gsm.jsonl", [{"question": f"What is {a} plus {b}?", "answer": f"Add.\n#### {a + b}"} for a, b in sums])
    Path("config.yaml").write_text(IMPROVE, encoding="utf-8")
    code, text = command(["improve", "config.yaml", "--require-gain", "--json"])
    found = json.loads(text)
    assert (code, found["promoted"]) == (3, False)
    assert found["refused"]
    assert found["run"] == "runs/config-0"
    wanted = "run model task base final gain_points ci95 rounds seconds peak_rss_mb promoted"
    assert set(wanted.split()) <= set(found)
    assert {"accuracy", "n"} <= set(found["base"])

    again = run("improve", "config.yaml")
    assert again == {name: value for name, value in found.items() if name != "refused"}
    code, said = command(["improve", "config.yaml"])
    assert code == 0
    assert "gain +0.0 points" in said
    report = Path(run("report", "runs/config-0")["report"])
    assert "<html" in report.read_text(encoding="utf-8")
    item = json.loads(Path("runs/config-0/exam/base-greedy.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert [exam["exam"] for exam in run("trace", item["id"])["exams"]].count("base-greedy") == 1


GENERATE = ["generate", "rejection_sampling", "--source", "problems.jsonl", "--model", MODEL]

BAD: list[tuple[str, list[str], str]] = [
    ("no such file", ["verify", "nothing.jsonl", "--with", "exact"], "nothing.jsonl does not exist"),
    ("broken line", ["verify", "broken.jsonl", "--with", "exact"], "broken at line 2"),
    ("empty file", ["verify", "empty.jsonl", "--with", "exact"], "empty"),
    ("folder without rows", ["verify", ".", "--with", "exact"], "without rows/*.parquet"),
    ("unknown verifier", ["verify", "answers.jsonl", "--with", "mth"], "did you mean 'math'"),
    ("no verifier", ["verify", "answers.jsonl"], "no verifier is named for row 1"),
    (
        "no completion",
        ["verify", "problems.jsonl", "--with", "exact"],
        "row 1 of problems.jsonl has no column 'completion'",
    ),
    ("no function", ["verify", "answers.jsonl", "--with", "nothing.py:judge"], "nothing.py"),
    ("unknown recipe", ["generate", "rejection", "--source", "problems.jsonl", "--model", "x"], "'rejection_sampling'"),
    ("no model", ["generate", "rejection_sampling", "--source", "problems.jsonl"], "--model"),
    ("no such model", ["evaluate", "problems.jsonl", "--model", "nowhere"], "nowhere"),
    ("key in address", ["evaluate", "problems.jsonl", "--model", "http://me:key@localhost/v1#m"], "HOMESCHOOL_API_KEY"),
    ("server to train", ["train", "sft", "--data", "answers.jsonl", "--model", "http://localhost/v1#m"], "no weights"),
    ("no part", [*GENERATE, "--shard", "3/2"], "'3/2' is no part"),
    ("no price", [*GENERATE, "--price", "cheap"], "'cheap' is no price"),
    ("no role", [*GENERATE, "--role", "judge"], "ROLE=MODEL"),
    ("no answers to reuse", [*GENERATE, "--reuse", "nowhere"], "nowhere holds no answers"),
    ("no preview", [*GENERATE, "--preview", "0"], "--preview 0"),
    ("no recipe file", ["generate", "mine.py:f", "--source", "problems.jsonl", "--model", "nano"], "no file 'mine.py'"),
    ("unknown objective", ["train", "sfd", "--data", "answers.jsonl", "--model", "nano"], "did you mean 'sft'"),
    ("unknown key", ["train", "sft", "epoch=1", "--data", "answers.jsonl", "--model", "nano"], "'train.epochs'"),
    ("wrong type", ["train", "sft", "steps=many", "--data", "answers.jsonl", "--model", "nano"], "a whole number"),
    ("two budgets", ["train", "sft", "steps=1", "epochs=1", "--data", "answers.jsonl", "--model", "nano"], "keep only"),
    ("duplicate ids", ["evaluate", "twice.jsonl", "--model", "nano"], "the id 'a' twice"),
    ("unknown task", ["evaluate", "arithmetik", "--model", "nano"], "did you mean 'arithmetic'"),
    ("wrong number", ["evaluate", "problems.jsonl", "--model", "nano", "--limit", "0"], "--limit is 0"),
    ("not a number", ["evaluate", "problems.jsonl", "--model", "nano", "--limit", "few"], "invalid int value"),
    ("not a run", ["report", "."], "not a run"),
    ("no run at all", ["trace", "abc"], "there is no run"),
    ("unknown kind", ["list", "verifyers"], "invalid choice"),
    ("unknown reproduction", ["reproduce", "selektion"], "did you mean 'selection'"),
    ("no reproduction", ["reproduce"], "name one experiment"),
    ("no config", ["improve", "nothing.yaml"], "no such file: nothing.yaml"),
    ("unknown key in config", ["improve", "typo.yaml"], "'rounds'"),
    ("wrong type in config", ["improve", "fine.yaml", "rounds=many"], "rounds must be a whole number"),
    ("key twice in config", ["improve", "double.yaml"], "'rounds' twice (line 4)"),
    ("bad override", ["improve", "fine.yaml", "rounds"], "not key=value"),
    ("no such problems", ["improve", "fine.yaml", "task.problems=nothing.jsonl"], "nothing.jsonl does not exist"),
]


@pytest.mark.parametrize(("argv", "words"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_input_is_one_sentence_and_exit_2(
    argv: list[str], words: str, capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    write("answers.jsonl", ANSWERS)
    write("problems.jsonl", PROBLEMS)
    write("twice.jsonl", [{"id": "a", **PROBLEMS[0]}, {"id": "a", **PROBLEMS[1]}])
    Path("broken.jsonl").write_text('{"completion": "a"}\n{"completion": \n', encoding="utf-8")
    Path("empty.jsonl").write_text("", encoding="utf-8")
    fine = "model: nano\ntask: {problems: problems.jsonl}\nrounds: 1\n"
    Path("fine.yaml").write_text(fine, encoding="utf-8")
    Path("typo.yaml").write_text(fine.replace("rounds", "round"), encoding="utf-8")
    Path("double.yaml").write_text(fine + "rounds: 2\n", encoding="utf-8")
    assert words in refuse(capsys, *argv)
    assert not list(here.glob("runs/*/rows/*")), "something was started"


def test_a_folder_of_another_run_is_refused_and_the_difference_named(capsys: pytest.CaptureFixture[str]) -> None:
    file = write("answers.jsonl", ANSWERS)
    run("verify", file, "--with", "exact", "--out", "judged")
    assert "judged holds another run: seed was 0 and is 1" in refuse(
        capsys, "verify", file, "--with", "exact", "--out", "judged", "--seed", "1"
    )
    Path("mine").mkdir()
    Path("mine/thesis.txt").write_text("precious", encoding="utf-8")
    assert "not a run and not empty" in refuse(capsys, "verify", file, "--with", "exact", "--out", "mine")


def test_a_verifier_that_raises_is_broken_and_counted() -> None:
    Path("bad.py").write_text("def judge(answer, row):\n    return row['nothing']\n", encoding="utf-8")
    found = run("verify", write("answers.jsonl", ANSWERS), "--with", "bad.py:judge")
    assert found["broken"] == 3
