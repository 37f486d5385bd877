"""Programs and tests that agree: on trusted programs, in a stand-in for the sandbox."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from plain_sandbox import PlainSandbox

from homeschool.core.protocols import Context
from homeschool.core.records import Row
from homeschool.core.verdict import Verdict
from homeschool.verify.cross_tests import CORRUPTED, GOLD, verifier

ADD, ADD_TOO = "def add(a, b):\n    return a + b", "def add(a, b):\n    return b + a"
SUB, MUL = "def add(a, b):\n    return a - b", "def add(a, b):\n    return a * b"
RIGHT = ["assert add(2, 3) == 5", "assert add(0, 4) == 4", "assert add(-1, 1) == 0"]
EMPTY = ["assert True", "assert add(1, 2) is None", "assert add is not None", "assert add(1, 2) is not None"]


def judge(tests: Any, *answers: str, **options: Any) -> list[Verdict]:
    made = replace(verifier(**options), run=PlainSandbox().run)
    return asyncio.run(made(Row.source({"sampled_tests": tests}), answers))


def statuses(tests: Any, *answers: str, **options: Any) -> list[str]:
    return [verdict.status for verdict in judge(tests, *answers, **options)]


def test_gold_passes_and_corrupted_fails() -> None:
    for columns, answer in GOLD:
        assert statuses(columns["sampled_tests"], answer) == ["pass"], answer
    for columns, answer in CORRUPTED:
        assert statuses(columns["sampled_tests"], answer) == ["fail"], answer


def test_the_largest_consensus_passes_and_the_rest_is_outside() -> None:
    verdicts = judge([*RIGHT, *EMPTY, "assert add(3, 3) == 0"], ADD, SUB, ADD_TOO, "def add(", ADD, MUL)
    assert [verdict.status for verdict in verdicts] == ["pass", "fail", "pass", "fail", "pass", "fail"]
    assert verdicts[1].reason == "outside the consensus" and verdicts[3].reason == "no program"
    assert "scores 9" in verdicts[0].evidence


def test_a_program_sampled_twice_counts_twice() -> None:
    tests = ["assert add(2, 3) == 5", "assert add(2, 3) == -1"]
    assert statuses(tests, ADD, SUB) == ["abstain", "abstain"]
    assert statuses(tests, ADD, SUB, ADD) == ["pass", "fail", "pass"]
    assert statuses(tests, ADD, SUB, SUB) == ["fail", "pass", "pass"]


def test_empty_tests_cannot_make_a_consensus() -> None:
    # All three subtractions pass every empty test; one addition passes one real test.
    crowd = [SUB, SUB + "\n", "def add(a, b):\n    return -(b - a)"]
    verdicts = judge([*EMPTY, "assert add(2, 3) == 5"], ADD, *crowd)
    assert [verdict.status for verdict in verdicts] == ["pass", "fail", "fail", "fail"]
    assert statuses(EMPTY, ADD, *crowd) == ["abstain"] * 4


def test_the_released_code_weighs_programs_by_their_root() -> None:
    # Four programs that agree on one test against one that passes three.
    tests = ["assert add(2, 3) == -1", *RIGHT]
    answers = [SUB, SUB, SUB, SUB, ADD]
    assert statuses(tests, *answers, least=0.2) == ["pass"] * 4 + ["fail"]
    assert statuses(tests, *answers, least=0.2, root=True) == ["fail"] * 4 + ["pass"]


def test_a_crowd_that_passes_few_tests_is_no_consensus() -> None:
    verdicts = judge(["assert add(2, 3) == -1", *RIGHT], SUB, SUB, SUB, SUB, ADD)
    assert [(verdict.status, verdict.reason) for verdict in verdicts] == [("abstain", "too few tests agree")] * 5


def test_no_program_that_passes_a_test_is_no_opinion() -> None:
    (verdict,) = judge(RIGHT, "def add(a, b):\n    raise ValueError")
    assert (verdict.status, verdict.reason) == ("abstain", "no test counts")


@pytest.mark.parametrize("tests", [None, [], "", ["x = 1", 3], "assert add("])
def test_without_tests_the_row_is_broken(tests: Any) -> None:
    assert [(v.status, v.reason) for v in judge(tests, ADD, SUB)] == [("broken", "no tests")] * 2


def test_only_the_first_tests_of_a_sample_are_used() -> None:
    suite = "\n".join(["assert add(2, 3) == -1", *RIGHT])
    assert statuses(suite, ADD, SUB, per_sample=1) == ["fail", "pass"]
    assert statuses(suite, ADD, SUB) == ["pass", "fail"]


def test_a_fault_of_the_sandbox_is_broken_for_its_program_alone() -> None:
    assert statuses(RIGHT, ADD, f"FAULT = 1\n{SUB}", ADD_TOO) == ["pass", "broken", "pass"]


def test_tests_are_asked_for_where_the_row_has_none() -> None:
    asked: list[Any] = []

    async def ask(prompt: Any, **options: Any) -> list[Any]:
        asked.append((prompt, options))
        return [SimpleNamespace(text="```python\n" + "\n".join(RIGHT) + "\n```")]

    made = replace(verifier(samples=3), run=PlainSandbox().run)
    ctx = cast("Context", SimpleNamespace(ask=ask))
    verdicts = asyncio.run(made(Row.source({"prompt": "Add two numbers {well}."}), [ADD, SUB], ctx))
    assert [verdict.status for verdict in verdicts] == ["pass", "fail"]
    ((prompt, options),) = asked
    assert prompt[0]["content"].startswith("Add two numbers {well}.") and options["n"] == 3
    assert options["role"] == "generator"
