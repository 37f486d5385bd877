"""`math`: values, not spellings; and no answer can hang it, fill the memory or take a worker with it."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
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
from homeschool.verify.math import compare_here, readable, verifier
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
        ("\\sqrt{2}", ["√2", "sqrt(2)", "2^{1/2}", "1.41421356"], ["1.414", "2", "-\\sqrt{2}"]),
        ("x^2-1", ["(x-1)(x+1)", "x**2 - 1", "(x-1)*(x+1)"], ["x^2+1", "(x-1)^2", "x**3 - 1"]),
        ("(1,2)", ["(1, 2)", "\\left(1,2\\right)"], ["(2,1)", "[1,2]"]),
        ("[0,1)", ["x \\in [0,1)"], ["[0,1]", "(0,1)"]),
        ("1,2", ["2,1", "1 \\text{ and } 2", "x=1 \\text{ or } x=2"], ["1", "2", "1,2,3"]),
        ("x=5", ["5", "x=5"], ["y=5", "x=6"]),
        ("52_8", ["52_8", "52_{8}"], ["52_9", "53_8"]),
        ("\\text{Evelyn}", ["Evelyn", "evelyn."], ["\\text{Carla}", "Evelin"]),
        ("\\text{even}", ["even"], ["neve", "odd"]),
        ("y=-2x", ["-2x", "y = -2x"], ["2x", "y=2x"]),
        ("6+9i", ["9i+6"], ["6-9i", "15"]),
        ("42", ["\\frac{84}{2}", "40+2", "x=42"], ["42 & 43", "42..43", "42~43", "42!", "42 \\\\ 43", "9", "42 43"]),
        ("9", ["3**2", "3^2"], ["9**2", "9**9", "2**3"]),
        ("2^{100}", ["1267650600228229401496703205376"], ["1267650600228229401496703205377"]),
    ],
)
def test_values_not_spellings(gold: str, right: list[str], wrong: list[str]) -> None:
    verdicts = judge(gold, [f"\\boxed{{{answer}}}" for answer in [*right, *wrong]])
    assert [verdict.status for verdict in verdicts] == ["pass"] * len(right) + ["fail"] * len(wrong)


def test_hedging_does_not_pay() -> None:
    verdicts = judge("42", ["The answer is 41 or 42.", "\\boxed{41, 42}", "\\boxed{\\{41, 42\\}}", "41, 42, 43 or 44"])
    assert {verdict.status for verdict in verdicts} == {"fail"}


def test_reasons_are_told_apart() -> None:
    wrong, nothing, junk = judge("42", ["#### 41", "I do not know.", "\\boxed{\\left(}"])
    assert (wrong.reason, wrong.evidence) == ("wrong answer", "got '41', want '42'")
    assert nothing.reason == junk.reason == "no answer found"
    assert judge("\\left(", ["\\boxed{x+1}"])[0].status == "broken"
    assert judge("\\left(", ["\\boxed{x+1}"])[0].reason == "gold cannot be parsed"
    assert judge(None, ["#### 41"])[0].reason == "no gold answer"
    assert judge("42", ["#### " + "1+" * 2000 + "1"])[0].reason == "no answer found"


def test_one_verdict_per_answer_in_order() -> None:
    answers = ["#### 1", "#### 2", "#### 1", "\\boxed{\\frac{4}{2}}"]
    assert [verdict.status for verdict in judge("2", answers)] == ["fail", "pass", "fail", "pass"]
    assert judge("2", []) == []


def test_plain_numbers_need_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checked, "shared_pool", lambda *_: pytest.fail("a worker was asked"))
    verdicts = judge("1,000", ["#### 1000", "The answer is $1,000.00.", "x = 1000", "\\boxed{999}", "1/2"])
    assert [verdict.status for verdict in verdicts] == ["pass", "pass", "pass", "fail", "fail"]


def test_a_bomb_is_a_timeout_and_blocks_neither_the_loop_nor_the_next_answer() -> None:
    judged = verifier(workers=1, seconds=1.0)(Row.source({"answer": "42"}), [BOMB, "\\boxed{\\sqrt{1764}}"])

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
    answers = ["\\boxed{(x+1)^{100000}}", "\\boxed{\\sqrt{1764}}"]
    hungry, fine = judge("42", answers, workers=1, seconds=20, memory_mb=200)
    assert (hungry.status, hungry.reason) == ("fail", "too much memory")
    assert fine.status == "pass"


def test_a_gold_that_hangs_is_broken() -> None:
    verdict = judge("(" * 40 + "x" + ")" * 40, ["\\boxed{x+1}"], workers=1, seconds=1.0)[0]
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
        slow = pool.submit(["42"], readable("9^{9^{9^{9}}}"))
        time.sleep(0.5)
        for pid in pids() - others:
            os.kill(pid, signal.SIGKILL)
        assert pool.submit(["x+3"], "3+x").result() == "equal"
        # It gets a second worker; killed in that one too, it is the answer's fault. A worker that is still starting
        # would be ours, so the one to kill is the one that has computed for longer than any start takes.
        while not slow.done():
            for pid in pids() - others:
                if cpu_seconds(pid) > 2.5:
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


@needs_data
@pytest.mark.parametrize("name", ["gsm8k_train.jsonl.gz", "gsm8k_test_first_half.jsonl"])
def test_every_gsm8k_solution_has_its_own_answer(name: str) -> None:
    rows = load(name)[:600]
    golds = [row["answer"].rpartition("####")[2].strip() for row in rows]

    async def all_statuses(answers: Sequence[str]) -> list[str]:
        verdicts = [await verifier()(Row.source({"answer": g}), [a]) for g, a in zip(golds, answers, strict=True)]
        return [verdict[0].status for verdict in verdicts]

    texts = [row["answer"] for row in rows]
    assert set(asyncio.run(all_statuses(texts))) == {"pass"}
    shifted = asyncio.run(all_statuses([*texts[1:], texts[0]]))
    others = [*golds[1:], golds[0]]
    assert all((status == "pass") == (a == b) for status, a, b in zip(shifted, golds, others, strict=True))


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


@needs_data
def test_math_500_solutions_and_changed_ones() -> None:
    rows = load("math500_even.jsonl")[::3]
    golds = [row["answer"].rpartition("The answer is:")[2].strip() for row in rows]
    solutions = [row["answer"].rpartition("The answer is:")[0] for row in rows]
    turned = str.maketrans("123456789", "234567891")

    async def run() -> list[list[str]]:
        judged = [
            verifier()(Row.source({"answer": gold}), [solution, f"\\boxed{{{gold.translate(turned)}}}"])
            for gold, solution in zip(golds, solutions, strict=True)
        ]
        return [[verdict.status for verdict in verdicts] for verdicts in await asyncio.gather(*judged)]

    for gold, (right, changed) in zip(golds, asyncio.run(run()), strict=True):
        assert right == "pass", gold
        assert changed == ("pass" if gold.translate(turned) == gold else "fail"), gold


def test_what_needs_no_parser() -> None:
    assert compare_here(["Bryan"], "bryan") == "equal"
    assert compare_here(["Bryan"], "5") == "unequal"
    assert compare_here(["x+1"], "1+x") == "unsure"
    assert compare_here(["42"], "nobody knows") == "no answer"
    assert compare_here(["7", "8"], "8.0") == "equal"
