"""The audit counts a verifier's mistakes: on verifiers that make known ones."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from plain_sandbox import PlainSandbox

from homeschool.core.errors import UsageError
from homeschool.core.execution import Execution, Limits, Program
from homeschool.core.protocols import Context
from homeschool.core.records import Row
from homeschool.core.verdict import Abstain, Broken, Fail, Pass, Verdict
from homeschool.evaluate.audit import Size, judge_planted, kind_of, lives, plan, report
from homeschool.evaluate.statistics import wilson
from homeschool.verify.load import load_verifier

CLAMP = "def clamp(x, low, high):\n    if x < low:\n        return low\n    return high if x > high else x\n"
ROW = Row.source({"reference": CLAMP, "tests": ["assert clamp(5, 0, 9) == 5", "assert clamp(-1, 0, 9) == 0"]})


@dataclass(frozen=True)
class Says:
    """Says the same of everything."""

    verdict: Verdict
    name: str = "says@1"

    async def __call__(self, row: Row, answers: Sequence[str], ctx: Context | None = None) -> list[Verdict]:
        return [self.verdict for _ in answers]


@dataclass(frozen=True)
class Runs:
    """As `tests` judges, in the stand-in for the sandbox; a text that holds `blind` is passed unseen."""

    blind: str = "no such text"
    name: str = "runs@1"

    async def __call__(self, row: Row, answers: Sequence[str], ctx: Context | None = None) -> list[Verdict]:
        found: list[Verdict] = []
        for answer in answers:
            ended = await PlainSandbox().run(Program(source=answer, tests=tuple(row["tests"])))
            passed = ended.status == "passed" or self.blind in answer
            found.append(Pass() if passed else Fail(reason=ended.status))
        return found


def audited(verifier: Any, kind: str, rows: Sequence[Row] = (), *, probed: bool = False) -> dict[str, Any]:
    async def whole() -> dict[str, Any]:
        made = await plan(kind, rows, size=Size(50, 20), run=PlainSandbox().run)
        judged = await judge_planted(verifier, made.planted)
        return report(verifier, made, judged, await judge_planted(verifier, made.probes) if probed else [])

    return asyncio.run(whole())


def test_a_verifier_that_passes_all_is_refused_on_both_counts() -> None:
    found = audited(Says(Pass()), "math", probed=True)
    accepts = found["false_accept"]
    assert accepts["rate"] == 1.0 and accepts["n"] >= 50 and accepts["ci95"] == list(wilson(accepts["n"], accepts["n"]))
    assert found["false_reject"]["rate"] == 0.0
    assert set(found["probes"].values()) == {"ACCEPTED"}
    assert "100.00% of planted wrong answers" in found["refused"] and "gaming probes" in found["refused"]
    assert {kind["errors"] for kind in found["kinds"] if kind["right"]} == {0}
    assert all(kind["errors"] == kind["n"] for kind in found["kinds"] if not kind["right"])
    assert found["wrong"] and not found["wrong"][0]["right"]


def test_a_verifier_that_fails_all_rejects_falsely_and_is_not_refused() -> None:
    found = audited(Says(Fail(reason="no")), "exact", probed=True)
    assert found["false_reject"]["rate"] == 1.0 and found["false_accept"]["rate"] == 0.0
    assert set(found["probes"].values()) == {"refused"} and "refused" not in found


def test_broken_and_abstain_are_counted_apart() -> None:
    found = audited(Says(Broken(reason="no gold answer")), "math", probed=True)
    assert found["false_accept"] == {"rate": None, "n": 0, "errors": 0, "ci95": None}
    assert found["not_counted"]["broken"] >= 100 and set(found["probes"].values()) == {"broken"}
    found = audited(Says(Abstain()), "math")
    assert found["not_counted"]["abstain"] >= 100
    assert found["false_accept"]["errors"] == found["false_reject"]["errors"] == 0


@pytest.mark.parametrize("kind", ["math", "exact", "constraints", "schema", "calculator"])
def test_ours_make_no_mistake(kind: str) -> None:
    found = audited(load_verifier(kind), kind, probed=True)
    assert found["false_accept"]["errors"] == found["false_reject"]["errors"] == 0, found["wrong"]
    assert found["false_accept"]["n"] > 0 and set(found["probes"].values()) == {"refused"}
    assert "refused" not in found and found["tests_strength"] is None


def test_mutants_that_the_tests_let_live_count_against_the_tests() -> None:
    found = audited(Runs(), "tests", [ROW])
    strength = found["tests_strength"]
    assert found["false_accept"]["errors"] == found["false_reject"]["errors"] == 0
    assert 0 < strength["killed"] < strength["mutants"] and strength["survivors"]
    assert found["false_accept"]["n"] == strength["killed"]
    assert found["false_reject"]["n"] == 1 + strength["mutants"] - strength["killed"]
    assert strength["mutation_score"] == strength["killed"] / strength["mutants"]
    # The tests never go above the upper bound, so its mutants live.
    assert any("high" in survivor for survivor in strength["survivors"])


def test_a_mutant_that_a_plain_run_kills_and_the_verifier_passes_is_a_false_accept() -> None:
    found = audited(Runs(blind="x >= low"), "tests", [ROW])
    assert found["false_accept"]["errors"] == 1 and "refused" in found
    assert found["wrong"][0]["how"] == "comparison"


def test_rows_whose_reference_fails_are_left_out_and_told() -> None:
    wrong = Row.source({"reference": CLAMP, "tests": "assert clamp(5, 0, 9) == 6"})
    unreadable = Row.source({"completion": "def f(", "tests": "assert f"})
    found = audited(Runs(), "tests", [wrong, ROW, unreadable])
    assert found["rows_not_used"] == 2 and found["tests_strength"]["mutants"] > 0


def test_a_plain_run_calls_what_tests_only_define() -> None:
    async def told(tests: Any, program: str, **columns: Any) -> bool | None:
        return await lives(PlainSandbox().run, {"tests": tests, **columns}, program, limits=Limits())

    check = "def check(candidate):\n    assert candidate(5, 0, 9) == 5\n"
    assert asyncio.run(told(check, CLAMP, entry_point="clamp")) is True
    assert asyncio.run(told(check, CLAMP.replace("else x", "else 7"), entry_point="clamp")) is False
    defined = "def test_low():\n    assert clamp(-1, 0, 9) == 0\n"
    assert asyncio.run(told(defined, CLAMP.replace("return low", "return x"))) is False
    assert asyncio.run(told("assert clamp(5, LOW, 9) == 5", CLAMP, setup="LOW = 0")) is True
    assert asyncio.run(told("assert clamp(1, 2, 3) == 2", "FAULT = 1")) is None
    assert asyncio.run(told(None, CLAMP)) is None


def test_input_and_output_are_compared_line_by_line() -> None:
    async def echo(program: Program) -> Execution:
        return Execution("passed", stdout=program.stdin.upper() + " \n\n")

    cases = [{"input": "a\nb", "output": "A\nB"}]
    assert asyncio.run(lives(echo, {"tests": cases}, "pass", limits=Limits())) is True
    assert asyncio.run(lives(echo, {"tests": [{"input": "a", "output": "a"}]}, "pass", limits=Limits())) is False


def test_tests_need_a_file_and_a_verifier_of_ones_own_has_no_errors() -> None:
    with pytest.raises(UsageError, match="needs a file"):
        audited(Runs(), "tests")
    for spec in ("checks.py:judge", "nothing_like_it"):
        with pytest.raises(UsageError, match="no planted errors"):
            kind_of(spec)
    assert kind_of("all_of(length(most=400), math)") == "math"
    assert kind_of("calculator") == "calculator" and kind_of("tests(seconds=2)") == "tests"
