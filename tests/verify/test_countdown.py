"""Countdown and the game of 24: what is an answer, and what only looks like one."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeschool.core.records import Row
from homeschool.core.verdict import Verdict
from homeschool.verify.countdown import evaluate, statement, verifier

GAME24 = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "math" / "game24_shared.jsonl"
PUZZLE: dict[str, Any] = {"nums": [1, 4, 6, 8], "target": 24}
RIGHT = "(8 - 4) * 6 * 1"


def judge(answer: str, columns: dict[str, Any] = PUZZLE, *, subset: bool = False) -> Verdict:
    return asyncio.run(verifier(subset=subset)(Row.source(columns), [answer]))[0]


def solved(nums: list[int], target: int) -> str | None:
    """An expression of all `nums` that makes `target`, by trying all."""
    terms = [(Fraction(n), str(n)) for n in nums]
    return _search(terms, Fraction(target))


def _search(terms: list[tuple[Fraction, str]], target: Fraction) -> str | None:
    if len(terms) == 1:
        return terms[0][1] if terms[0][0] == target else None
    for i, j in itertools.permutations(range(len(terms)), 2):
        (a, left), (b, right) = terms[i], terms[j]
        rest = [term for k, term in enumerate(terms) if k not in (i, j)]
        made = [(a - b, "-"), *([(a / b, "/")] if b else []), *([(a + b, "+"), (a * b, "*")] if i < j else [])]
        for value, sign in made:
            found = _search([*rest, (value, f"({left} {sign} {right})")], target)
            if found:
                return found
    return None


@pytest.mark.parametrize(
    "answer",
    [
        RIGHT,
        f"{RIGHT} = 24",
        f"24 = {RIGHT}",
        f"= {RIGHT}",
        f"{RIGHT}.",
        f"Answer: {RIGHT}",
        f"**{RIGHT}**",
        f"So **{RIGHT}** it is.",
        f"**Answer:** {RIGHT} = 24",
        f"`{RIGHT}`",
        f"<answer>{RIGHT}</answer> I hope so: 1+1",
        f"<answer>8+4</answer>\nNo:\n<answer>{RIGHT}</answer>",
        f"First 8 - 4 = 4\nthen 4 * 6 = 24\n{RIGHT}",
        f"\\boxed{{{RIGHT}}}",
        f"#### {RIGHT}",
        f"The answer is ${RIGHT}$.",
        "6·(8−4)·1",  # noqa: RUF001
        "(8 - 4) x 6 x 1",
        "(8-4) \\times 6 \\div 1",
        "\\(\\left(8-4\\right)\\cdot\\frac{6}{1}\\)",
        "-(4 - 8) * 6 / 1",
        "((((8 - 4)) * ((6)))) * 1",
        "Using the numbers 1, 4, 6, 8: (8 - 4) * 6 * 1 = 24",
    ],
)
def test_right(answer: str) -> None:
    verdict = judge(answer)
    assert verdict.status == "pass", verdict


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("(8 - 4) * 6", "wrong numbers"),
        (f"{RIGHT} * 1", "wrong numbers"),
        (f"{RIGHT} + 0", "wrong numbers"),
        ("48 / (6 - 4) * 1", "wrong numbers"),
        ("14 + 16 - 6", "wrong numbers"),
        ("24", "wrong numbers"),
        ("08 * 4 - 6 - 1", "wrong value"),
        ("(8 + 4) * 6 * 1", "wrong value"),
        (f"{RIGHT} = 25", "wrong value"),
        (f"{RIGHT} = 24.5", "unreadable expression"),
        (f"{RIGHT} = 4 * 6", "wrong value"),
        (f"{RIGHT} = 4 * 6 = 24", "several expressions"),
        (f"{RIGHT}, or 6 * 4 * (8 - 1)", "several expressions"),
        ("6 / (8 - 4 - 4) * 1", "wrong numbers"),
        ("(8 - 4) * 6 ** 1", "unreadable expression"),
        ("(8 - 4) * 6 ^ 1", "unreadable expression"),
        ("(8 - 4)² + 6 + 1", "unreadable expression"),
        ("(8 - 4)! * 1", "unreadable expression"),
        ("4! + (8 - 6) * 1", "unreadable expression"),
        ("sqrt(8 * 4) * 6 * 1", "unreadable expression"),
        ("8 * 6 // 4 * 1", "unreadable expression"),
        ("8 * 6 % 4 * 1", "unreadable expression"),
        ("(8 - 4)(6) * 1", "unreadable expression"),
        ("(8 - 4 * 6 * 1", "unreadable expression"),
        ("8 - 4) * 6 * 1", "unreadable expression"),
        ("8 4 * 6 * 1", "unreadable expression"),
        ("1e1 * 4 - 8 * 6", "unreadable expression"),
        ("0.4 * 60 * 1", "unreadable expression"),
        ("(" * 60 + RIGHT + ")" * 60, "unreadable expression"),
        ("1 + " * 200 + "1", "unreadable expression"),
        ("9" * 10_000, "no expression found"),
        ("__import__('os').system('true')", "no expression found"),
        ("I cannot.", "no expression found"),
        ("", "no expression found"),
        (f"{RIGHT}\nBut I am not sure.", "no expression found"),
    ],
)
def test_wrong(answer: str, reason: str) -> None:
    verdict = judge(answer)
    assert verdict.status == "fail"
    assert verdict.reason in (reason, "wrong numbers"), verdict


def test_zero_division_is_the_answers_fault() -> None:
    verdict = judge("1 / (4 - 4) * 6", {"nums": [1, 4, 4, 6], "target": 24})
    assert (verdict.status, verdict.reason) == ("fail", "division by zero")


def test_a_subset_may_be_allowed() -> None:
    columns = {"nums": [2, 3, 4, 50], "target": 24}
    assert judge("2 * 3 * 4", columns).reason == "wrong numbers"
    assert judge("2 * 3 * 4", columns, subset=True).status == "pass"
    assert judge("2 * 3 * 2 * 2", columns, subset=True).reason == "wrong numbers"


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"nums": [1, 2]},
        {"nums": [], "target": 1},
        {"nums": [-1, 2], "target": 1},
        {"nums": [1.5], "target": 1},
        {"nums": "12", "target": 3},
        {"nums": [1, None], "target": 1},
        {"nums": [1, 2], "target": "3"},
    ],
)
def test_a_row_at_fault_is_broken(columns: dict[str, Any]) -> None:
    assert judge("1 + 2", columns).status == "broken"


def test_numbers_that_parquet_made_floats() -> None:
    assert judge("1 + 2", {"nums": [1.0, 2.0], "target": 3.0}).status == "pass"


@given(st.text(alphabet="0123456789+-*/()= x.,!^²÷\n", max_size=40))
def test_a_pass_means_that_arithmetic_agrees(answer: str) -> None:
    nums = [1, 2, 3]
    verdict = judge(answer, {"nums": nums, "target": 6})
    if verdict.status == "pass":
        digits = [int(n) for n in "".join(c if c.isdigit() else " " for c in verdict.evidence).split()]
        assert sorted(digits) == nums
        assert eval(verdict.evidence) == pytest.approx(6)


def test_what_is_stated() -> None:
    assert statement("a\nAnswer: 1+2\nAnswer: \n") == "1+2"
    assert statement("<answer>1</answer> \\boxed{2} #### 3\nx") == "3"
    assert evaluate(["1", "/", "3"]) == Fraction(1, 3)
    assert evaluate(["1", "2"]) is None


def test_random_puzzles_of_a_solver_pass_and_their_neighbours_fail() -> None:
    rng = random.Random(0)
    found = 0
    while found < 40:
        nums, target = [rng.randint(1, 30) for _ in range(rng.choice((3, 4)))], rng.randint(10, 60)
        expression = solved(nums, target)
        if expression is None:
            continue
        found += 1
        assert judge(f"So: {expression} = {target}", {"nums": nums, "target": target}).status == "pass", expression
        assert judge(expression, {"nums": nums, "target": target + 1}).reason == "wrong value"
        assert judge(expression, {"nums": [nums[0] + 1, *nums[1:]], "target": target}).reason == "wrong numbers"


@pytest.mark.skipif(not GAME24.is_file(), reason="the shared data is not here")
def test_the_real_game_of_24() -> None:
    with GAME24.open(encoding="utf-8") as file:
        puzzles = [sorted(map(int, json.loads(line)["Puzzles"].split())) for line in file]
    assert len(puzzles) == 908
    for nums, other in zip(puzzles[::4], [*puzzles[4::4], puzzles[0]], strict=True):
        expression = solved(nums, 24)
        assert expression is not None
        assert judge(expression, {"nums": nums, "target": 24}).status == "pass", expression
        assert judge(expression, {"nums": nums, "target": 25}).reason == "wrong value"
        assert nums == other or judge(expression, {"nums": other, "target": 24}).reason == "wrong numbers"
