"""A test suite is worth the mutants it kills: on trusted programs, in a stand-in for the sandbox."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from plain_sandbox import PlainSandbox

from homeschool.core.errors import UsageError
from homeschool.core.records import Row
from homeschool.core.verdict import Verdict
from homeschool.verify.mutants import mutants
from homeschool.verify.mutation_score import CORRUPTED, GOLD, verifier

CLAMP: dict[str, Any] = GOLD[0][0]
FULL = GOLD[0][1]


def judge(columns: dict[str, Any], *answers: str, **options: Any) -> list[Verdict]:
    made = replace(verifier(**options), run=PlainSandbox().run)
    return asyncio.run(made(Row.source(columns), answers))


def test_gold_passes_and_corrupted_fails() -> None:
    for columns, answer in GOLD:
        assert judge(columns, answer)[0].status == "pass", answer
    for columns, answer in CORRUPTED:
        verdict = judge(columns, answer)[0]
        assert verdict.status == "fail" and verdict.reason, answer


@pytest.mark.parametrize(
    ("suite", "reason"),
    [
        ("assert clamp(", "tests cannot be read"),
        ("clamp(1, 2, 3)", "no tests"),
        ("import nowhere_to_be_found\nassert clamp(5, 0, 9) == 5", "tests cannot be run"),
        ("assert 1 + 1 == 2", "checks nothing"),
        ("assert clamp(5, 0, 9) == 4", "rejects the reference"),
        ("assert clamp", "passes a stub"),
        ("assert clamp(5, 0, 9) is not None", "kills too few mutants"),
    ],
)
def test_every_way_to_fail_has_its_reason(suite: str, reason: str) -> None:
    (verdict,) = judge(CLAMP, suite)
    assert (verdict.status, verdict.reason) == ("fail", reason)
    assert verdict.scores["correct"] == 0.0 and verdict.evidence


def test_the_score_is_the_share_of_mutants_that_die() -> None:
    weak, strong = judge(CLAMP, "assert clamp(5, 0, 9) == 5", FULL)
    assert 0 < weak.scores["mutation_score"] < strong.scores["mutation_score"] <= 1
    every = len(mutants(CLAMP["reference"], most=50))
    killed = round(strong.scores["mutation_score"] * every)
    assert strong.evidence.startswith(f"killed {killed} of {every} mutants")
    assert "lives: line" in weak.evidence


def test_least_and_most_are_the_callers() -> None:
    suite = "assert clamp(5, 0, 9) == 5"
    share = judge(CLAMP, suite)[0].scores["mutation_score"]
    assert judge(CLAMP, suite, least=share)[0].status == "pass"
    assert judge(CLAMP, suite, least=min(1.0, share + 0.01))[0].status == "fail"
    assert " of 5 mutants" in judge(CLAMP, FULL, most=5)[0].evidence
    for least, most in ((0.0, 50), (1.5, 50), (0.5, 0)):
        with pytest.raises(UsageError):
            verifier(least=least, most=most)


def test_tests_that_check_nothing_are_counted_beside_those_that_do() -> None:
    (verdict,) = judge(CLAMP, FULL + "\nassert True\nassert clamp is clamp")
    assert verdict.status == "pass" and "2 tests check nothing" in verdict.evidence


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"prompt": "?"}, "no reference"),
        ({"reference": "def f("}, "reference cannot be run"),
        ({"reference": "1 / 0"}, "reference cannot be run"),
        ({"reference": "pass"}, "reference has no mutants"),
        ({"reference": "FAULT = 1\ndef f(x):\n    return x + 1"}, "sandbox"),
    ],
)
def test_a_fault_that_is_not_the_suites_is_broken(columns: dict[str, Any], reason: str) -> None:
    verdicts = judge(columns, "assert f(1) == 2", "assert f(0) == 1")
    assert [(verdict.status, verdict.reason) for verdict in verdicts] == [("broken", reason)] * 2


def test_a_sandbox_that_breaks_on_a_mutant_breaks_the_verdict() -> None:
    # One mutant of this program turns the text into FAULTx: the stand-in breaks on it.
    reference = "def f(x):\n    return x if x != 'FAUL' else 'T'\n"
    sandbox = PlainSandbox()

    async def run(program: Any) -> Any:
        faulty = "FAULx" in program.source
        return await sandbox.run(replace(program, source="FAULT") if faulty else program)

    made = replace(verifier(), run=run)
    (verdict,) = asyncio.run(made(Row.source({"reference": reference}), ["assert f('FAUL') == 'T'\nassert f(1) == 1"]))
    assert (verdict.status, verdict.reason) == ("broken", "sandbox")
