"""`math`: values, not spellings; and no answer can hang it, fill the memory or take a worker with it."""

from __future__ import annotations

import asyncio
import gzip
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from homeschool.core.records import Row
from homeschool.core.verdict import Verdict
from homeschool.verify import math as checked
from homeschool.verify.answers import gold_span
from homeschool.verify.math import compare_here, verifier
from homeschool.verify.math_pool import Pool

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "math"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared data is not here")
BOMB = "\\boxed{9^{9^{9^{9}}}}"


def judge(gold: Any, answers: Sequence[str], **options: Any) -> list[Verdict]:
    return asyncio.run(verifier(**options)(Row.source({"answer": gold}), answers))


def load(name: str) -> list[dict[str, Any]]:
    data = (DATA / name).read_bytes()
    return [json.loads(line) for line in (gzip.decompress(data) if name.endswith(".gz") else data).splitlines()]


def pids() -> set[int]:
    """The worker processes of this one."""
    found: set[int] = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            words = (status.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if parent == os.getpid() and b"math_worker" in words:
            found.add(int(status.parent.name))
    return found


@pytest.mark.parametrize(
    ("gold", "right", "wrong"),
    [
        ("\\sqrt{2}", ["√2", "sqrt(2)", "2^{1/2}", "1.41421356"], ["1.414", "1.41421357", "2", "-\\sqrt{2}"]),
        ("x^2-1", ["(x-1)(x+1)", "x**2 - 1", "(x-1)*(x+1)"], ["x^2+1", "(x-1)^2", "x**3 - 1", "x^2-1=0", "y^2-1"]),
        ("(1,2)", ["(1, 2)", "\\left(1,2\\right)", "(x,y)=(1,2)"], ["(2,1)", "[1,2]", "1,2", "\\{1,2\\}", "(1,2,3)"]),
        ("[0,1)", ["x \\in [0,1)", "0 \\le x < 1"], ["[0,1]", "(0,1)", "0 < x < 1", "[0,1"]),
        ("(5,\\infty)", ["x > 5", "5<x", "(5, +\\infty)"], ["x \\ge 5", "x < 5", "[5,\\infty)", "(5,-\\infty)", "5"]),
        ("(0,9) \\cup (9,36)", ["(9,36)\\cup(0,9)"], ["(0,36)", "(0,9)", "(0,9), (9,36)", "(0,9) \\cup [9,36)"]),
        (
            "1,2",
            ["2,1", "1 \\text{ and } 2", "x=1 \\text{ or } x=2", "\\{2,1\\}"],
            ["1", "1,2,3", "1,1,2", "(1,2)", "[1,2]"],
        ),
        ("x=1, y=2", ["y=2, x=1", "1, 2"], ["x=2, y=1", "2, 1"]),
        ("1 \\pm \\sqrt{2}", ["1-\\sqrt2, 1+\\sqrt2"], ["1+\\sqrt2", "1 \\pm \\sqrt{3}"]),
        ("x=5", ["5", "x=5"], ["y=5", "x=6", "5=5", "x=5 \\text{ or } x=6"]),
        ("x^2+y^2=1", ["1=y^2+x^2", "2x^2+2y^2-2=0"], ["x^2+y^2=2", "x^2-y^2=1", "0=0", "1", "y^2=1"]),
        ("52_8", ["52_8", "52_{8}", "(52)_8"], ["52_9", "53_8", "52", "42"]),
        ("\\text{Evelyn}", ["Evelyn", "evelyn."], ["\\text{Carla}", "Evelin", "not Evelyn", "Evelyn or Carla"]),
        ("\\text{(B)}", ["B", "(B)", "\\textbf{B}", "B) 6000"], ["C", "b", "A, B", "AB", "B) or C)"]),
        ("yes", ["Yes."], ["sey", "no"]),
        ("\\text{even}", ["even"], ["neve", "odd"]),
        ("y=-2x", ["-2x", "y = -2x", "y+2x=0"], ["2x", "y=2x", "x=-2y", "y=y"]),
        ("6+9i", ["9i+6"], ["6-9i", "15", "6+9j", "(6,9)"]),
        ("2t", ["t \\cdot 2"], ["2", "2 \\text{ t}", "2T"]),
        ("2(3+x)", ["6+2x"], ["2 3+x", "5+x"]),
        ("|x|", ["\\left|x\\right|"], ["x", "-x"]),
        ("5 cm", ["5", "5\\text{ cm}", "5 centimeters", "5cm"], ["5 m", "5 cm^2", "500 mm"]),
        ("6 pm", ["6 p.m.", "6"], ["6 am"]),
        ("50\\%", ["0.5", "50", "\\frac12"], ["5000\\%", "0.5\\%", "5"]),
        ("\\frac{1}{3}", ["0.333333", "0.\\overline{3}", "33.\\overline{3}\\%"], ["0.33", "0.3333334", "3/1", "1/3x"]),
        (
            "42",
            ["\\frac{84}{2}", "x=42", "42.0", "4.2 \\times 10^1"],
            ["42 & 43", "42..43", "42~43", "42!", "9", "42 43"],
        ),
        ("42", ["6 \\cdot 7 = 42", "42 \\approx 42.0"], ["43 = 42", "43 \\approx 42", "42 = 43", "42 \\approx 43.5"]),
        ("2^{100}", ["1267650600228229401496703205376"], ["1267650600228229401496703205377", "2^{101}"]),
        (
            "\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}",
            ["\\begin{bmatrix}1\\\\2\\end{bmatrix}"],
            ["(1,2)", "1,2", "\\text{1 2}"],
        ),
    ],
)
def test_values_not_spellings(gold: str, right: list[str], wrong: list[str]) -> None:
    verdicts = judge(gold, [f"\\boxed{{{answer}}}" for answer in [*right, *wrong]])
    said = {answer: verdict.status for answer, verdict in zip([*right, *wrong], verdicts, strict=True)}
    assert said == dict.fromkeys(right, "pass") | dict.fromkeys(wrong, "fail")


@pytest.mark.parametrize(
    "answer",
    [
        "The answer is 41 or 42.",
        "The answer is either 42 or 43.",
        "It is 41 or 42",
        "#### 42 or 43",
        "#### 42 #### 43",
        "41, 42, 43 or 44",
        "\\boxed{41, 42}",
        "\\boxed{\\{41, 42\\}}",
        "\\boxed{41} or \\boxed{42}",
        "\\boxed{42}, $\\boxed{43}$",
        "\\boxed{42} or 43",
        "43 or $\\boxed{42}$",
        "\\boxed{\\boxed{42}, \\boxed{43}}",
        "\\boxed{42 \\pm 1}",
        "\\boxed{\\pm 42}",
        "\\boxed{[41, 43]}",
        "\\boxed{(-\\infty, \\infty)}",
        "\\boxed{\\{42\\}}",
        "\\boxed{42, 42}",
        "\\boxed{x \\ge 42}",
        "\\boxed{x \\ne 41}",
        "\\boxed{x = x}",
        "\\boxed{\\text{any}}",
        "\\boxed{\\text{42, or so}}",
        "\\boxed{}",
        "\\boxed{\\boxed{}}",
        "\\boxed{nan}",
        "\\boxed{\\infty}",
        "\\boxed{\\frac{0}{0}}",
        "\\boxed{42x^0}",
        "\\boxed{42 + 0x}",
        "\\boxed{answer}",
        "The answer is not 42.",
        "The answer is between 40 and 42.",
        "٤٢",
        "The answer is ４２.",  # noqa: RUF001
        "",
        "42" * 500_000,
        "\\boxed{" * 5_000,
    ],
)
def test_gaming_does_not_pay(answer: str) -> None:
    assert judge("42", [answer])[0].status == "fail"


@pytest.mark.parametrize(
    "answer", ["6*7", "6 \\cdot 7", "\\sqrt{1764}", "40+2", "42^1", "7!/5!", "x^0 + 41", "9^{9^{9^9}}"]
)
def test_a_number_that_still_has_to_be_worked_out_is_no_answer(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checked, "shared_pool", lambda *_: pytest.fail("a worker was asked"))
    verdict = judge("42", [f"\\boxed{{{answer}}}"])[0]
    assert (verdict.status, verdict.reason) == ("fail", "not a plain number")


def test_the_last_word_counts_and_alternatives_that_agree_are_one_answer() -> None:
    answers = [
        "\\boxed{41}\nNo: \\boxed{42}",
        "#### 41\n#### 42",
        "\\boxed{42}, or \\boxed{42.0}",
        "84/2 or \\boxed{42}",
    ]
    assert {verdict.status for verdict in judge("42", answers)} == {"pass"}
    assert [v.status for v in judge("-2, 1", ["\\boxed{-2} and \\boxed{1}", "\\boxed{1}"])] == ["pass", "fail"]


def test_an_echo_of_the_question_is_no_answer() -> None:
    question = "A robe takes 2 bolts of blue fiber and half that much white fiber. How many bolts does it take with 3?"
    row = Row.source({"prompt": question, "answer": "3"})
    answers = [question, f"{question}\n3", "A robe takes 2 bolts of blue fiber and half that much white fiber."]
    verdicts = asyncio.run(verifier()(row, answers))
    assert [verdict.status for verdict in verdicts] == ["fail", "pass", "fail"]
    assert verdicts[0].reason == verdicts[2].reason == "echo of the question"


def test_reasons_are_told_apart() -> None:
    wrong, nothing, junk, two = judge("42", ["#### 41", "I do not know.", "\\boxed{\\left(}", "\\boxed{41, 42}"])
    assert (wrong.reason, wrong.evidence) == ("wrong answer", "got '41', want '42'")
    assert nothing.reason == junk.reason == "no answer found"
    assert two.reason == "several answers"
    assert judge("42", ["#### " + "1+" * 2000 + "1"])[0].reason == "no answer found"


@pytest.mark.parametrize(
    "gold", ["\\left(", "\\frac{1}{0}", "????", "x = x", "5 +* 3", "2 3", "[1, 2", "a/bc", "#### "]
)
def test_a_gold_that_cannot_be_parsed_is_broken_whatever_was_answered(gold: str) -> None:
    verdicts = judge(gold, [gold, f"\\boxed{{{gold}}}", "\\boxed{x+1}", "42", ""])
    assert {verdict.status for verdict in verdicts} == {"broken"}


@pytest.mark.parametrize("gold", [None, "", " ", [], {"value": 42}])
def test_no_gold_is_broken(gold: Any) -> None:
    assert [(v.status, v.reason) for v in judge(gold, ["#### 41", "nan", ""])] == [("broken", "no gold answer")] * 3


def test_one_verdict_per_answer_in_order() -> None:
    answers = ["#### 1", "#### 2", "#### 1", "\\boxed{\\frac{4}{2}}"]
    assert [verdict.status for verdict in judge("2", answers)] == ["fail", "pass", "fail", "pass"]
    assert judge("2", []) == []


def test_plain_numbers_need_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checked, "shared_pool", lambda *_: pytest.fail("a worker was asked"))
    verdicts = judge("1,000", ["#### 1000", "The answer is $1,000.00.", "x = 1000", "\\boxed{999}", "1/2"])
    assert [verdict.status for verdict in verdicts] == ["pass", "pass", "pass", "fail", "fail"]


def test_a_bomb_is_a_timeout_and_blocks_neither_the_loop_nor_the_next_answer() -> None:
    judged = verifier(workers=1, seconds=1.0)(Row.source({"answer": "x+1"}), [BOMB, "\\boxed{1+x}"])

    async def ticks() -> tuple[list[Verdict], int]:
        task, count = asyncio.ensure_future(judged), 0
        while not task.done():
            await asyncio.sleep(0.01)
            count += 1
        return task.result(), count

    (bomb, fine), count = asyncio.run(ticks())
    assert (bomb.status, bomb.reason) == ("fail", "timeout")
    assert fine.status == "pass"
    assert count > 20


def test_a_memory_bomb_is_a_fail() -> None:
    answers = ["\\boxed{x + 2^{299999999}}", "\\boxed{1+x}"]
    hungry, fine = judge("x+1", answers, workers=1, seconds=20, memory_mb=200)
    assert (hungry.status, hungry.reason) == ("fail", "too much memory")
    assert fine.status == "pass"


def test_a_gold_that_hangs_is_broken() -> None:
    verdict = judge("x + 9^{9^{9^9}}", ["\\boxed{x+1}"], workers=1, seconds=1.0)[0]
    assert verdict.status == "broken"
    assert "gold timeout" in verdict.evidence


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_workers_killed_from_outside_cost_no_verdict() -> None:
    pool = Pool(workers=2, seconds=60.0, memory_mb=1024)
    others = pids()
    try:
        assert pool.submit(["x+1"], "1+x").result() == "equal"
        idle = pids() - others
        assert len(idle) == 1
        os.kill(idle.pop(), signal.SIGKILL)
        assert pool.submit(["x+2"], "2+x").result() == "equal"
        slow = pool.submit(["x"], "9^{9^{9^{9}}}")
        time.sleep(0.5)
        for pid in pids() - others:
            os.kill(pid, signal.SIGKILL)
        assert pool.submit(["x+3"], "3+x").result() == "equal"
        # It gets a second worker; killed in that one too, it is the answer's fault. A worker that is still starting
        # would be ours, so the one to kill is the one that has computed for longer than any start takes.
        while not slow.done():
            for pid in pids() - others:
                if cpu_seconds(pid) > 1.5:
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
        assert slow.result() == "crashed"
    finally:
        pool.close()
    assert not pids() - others


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used; 0 if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    code = (
        "import asyncio, os\n"
        "from homeschool.core.records import Row\nfrom homeschool.verify.math import verifier\n"
        "row = Row.source({'answer': 'x+1'})\n"
        "print(asyncio.run(verifier()(row, ['\\\\boxed{1+x}']))[0].status, flush=True)\n"
        "import pathlib\n"
        "print(*[p.parent.name for p in pathlib.Path('/proc').glob('[0-9]*/stat')"
        " if p.read_text().rpartition(')')[2].split()[1] == str(os.getpid())], flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(checked.__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, cwd=tmp_path)
    status, workers = done.stdout.splitlines()
    assert (done.returncode, status) == (-9, "pass")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and any(Path(f"/proc/{pid}").exists() for pid in workers.split()):
        time.sleep(0.05)
    assert workers and not any(Path(f"/proc/{pid}").exists() for pid in workers.split())


def test_eight_threads_with_loops_of_their_own() -> None:
    found: dict[int, list[str]] = {}

    def work(number: int) -> None:
        for _ in range(2):  # and more than one loop a thread
            answers = [f"\\boxed{{x+{number}}}", f"\\boxed{{{number}+x}}", "\\boxed{x-1}"]
            found[number] = [verdict.status for verdict in judge(f"x+{number}", answers)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert found == {number: ["pass", "pass", "fail"] for number in range(8)}


def in_a_fork(number: int) -> list[str]:
    return [verdict.status for verdict in judge(f"x+{number}", [f"\\boxed{{{number}+x}}", "\\boxed{x-1}"])]


def test_forks_of_a_process_that_has_workers() -> None:
    assert in_a_fork(7) == ["pass", "fail"]
    with multiprocessing.get_context("fork").Pool(3) as forks:
        assert forks.map(in_a_fork, range(6)) == [["pass", "fail"]] * 6
    assert in_a_fork(8) == ["pass", "fail"]


def golds_of(name: str) -> list[str]:
    """The gold answers of a public set, as it writes them."""
    rows = load(name)
    if name.startswith(("gsm8k", "math500")):
        return [row["answer"] for row in rows]
    if name.startswith("aqua"):
        return [row["correct"] for row in rows]
    return [str(row["Answer"]) for row in rows]


def key(gold: str) -> float | str:
    """What tells two gold answers of one set apart, found without the code under test."""
    final = gold.rpartition("####")[2].rpartition("The answer is:")[2].strip()
    found = re.fullmatch(r"\$?(-?[\d,]*\.?\d+)(?:\s*\([^()]*\))?", final)
    return float(found[1].replace(",", "")) if found else final.casefold()


@needs_data
@pytest.mark.parametrize(
    "name",
    [
        "math500_even.jsonl",
        "gsm8k_train.jsonl.gz",
        "gsm8k_test_first_half.jsonl",
        "gsm8k_test_socratic_first_half.jsonl",
        "asdiv_shared.jsonl",
        "svamp_shared.jsonl",
        "mawps_shared.jsonl",
        "aqua_dev.jsonl",
    ],
)
def test_every_gold_of_the_public_sets_is_itself_and_no_other(name: str) -> None:
    golds = golds_of(name)
    finals = [gold_span(gold) for gold in golds]

    async def run() -> list[tuple[str, str, str]]:
        wrong: list[tuple[str, str, str]] = []
        for place, gold in enumerate(golds):
            others = [(place + step) % len(golds) for step in (1, 7)]
            # Of the same number with two units no claim is made: 12 (days), 12 (points), 5 (feet), 5 (dollars).
            others = [k for k in others if key(golds[k]) != key(gold) or "(" not in gold or golds[k] == gold]
            answers = [gold if "\n" in gold else f"The answer is {gold}.", *(f"\\boxed{{{finals[k]}}}" for k in others)]
            verdicts = await verifier()(Row.source({"answer": gold}), answers)
            right = [True, *(key(golds[k]) == key(gold) for k in others)]
            wrong += [
                (gold[-80:], answer[-80:], verdict.status)
                for verdict, answer, same in zip(verdicts, answers, right, strict=True)
                if (verdict.status == "pass") != same
            ]
        return wrong

    assert asyncio.run(run()) == []


@needs_data
def test_agrees_with_the_labels_of_real_model_solutions() -> None:
    rows = load("gsm8k_model_solutions_first_half.jsonl")
    models = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")

    async def run() -> int:
        wrong = 0
        for row in rows:
            solutions = [row[model]["solution"] for model in models]
            verdicts = await verifier()(Row.source({"answer": row["ground_truth"]}), solutions)
            labels = [row[model]["is_correct"] for model in models]
            wrong += sum((v.status == "pass") != label for v, label in zip(verdicts, labels, strict=True))
        return wrong

    assert asyncio.run(run()) == 0


def test_what_needs_no_parser() -> None:
    assert compare_here(["Bryan"], "bryan") == "equal"
    assert compare_here(["Bryan"], "5") == "unequal"
    assert compare_here(["x+1"], "1+x") == "unsure"
    assert compare_here(["42"], "nobody knows") == "no answer"
    assert compare_here(["7", "8"], "8.0") == "equal"
