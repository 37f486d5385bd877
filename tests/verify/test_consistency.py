"""`consistency`: the majority of a group, and when there is none."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeschool.core.errors import UsageError
from homeschool.core.records import Row
from homeschool.core.verdict import Verdict
from homeschool.verify.consistency import GROUPS
from homeschool.verify.load import load_verifier


def judge(answers: list[str], spec: str = "consistency", columns: dict[str, Any] | None = None) -> list[Verdict]:
    return asyncio.run(load_verifier(spec)(Row.source(columns or {}), answers))


@pytest.mark.parametrize(("columns", "answers", "wanted"), GROUPS)
def test_groups(columns: dict[str, Any], answers: list[str], wanted: list[str]) -> None:
    verdicts = judge(answers, columns=columns)
    assert [verdict.status for verdict in verdicts] == wanted
    assert all(verdict.reason or verdict.status == "pass" for verdict in verdicts)


def test_the_share_that_is_needed() -> None:
    answers = ["#### 1", "#### 1", "#### 1", "#### 2", "#### 3"]
    assert judge(answers, "consistency(least=0.6)")[0].status == "pass"
    assert {verdict.reason for verdict in judge(answers, "consistency(least=0.7)")} == {"no majority"}
    assert [verdict.scores["share"] for verdict in judge(answers)] == [0.6, 0.6, 0.6, 0.2, 0.2]


def test_silence_makes_no_majority_of_the_others() -> None:
    verdicts = judge(["#### 1", "#### 1", "", "I do not know.", "Who can tell?"])
    assert [verdict.status for verdict in verdicts] == ["abstain"] * 2 + ["fail"] * 3


@settings(max_examples=50)
@given(st.lists(st.integers(0, 3), max_size=8), st.randoms())
def test_the_order_of_a_group_changes_nothing(values: list[int], rng: Any) -> None:
    answers = [f"so\n#### {value}" for value in values]
    said = {answer: verdict.status for answer, verdict in zip(answers, judge(answers), strict=True)}
    rng.shuffle(answers)
    assert {answer: verdict.status for answer, verdict in zip(answers, judge(answers), strict=True)} == said
    assert len({answer for answer, status in said.items() if status == "pass"}) <= 1


@pytest.mark.parametrize("spec", ["consistency(least=0)", "consistency(least=1.1)", "consistency(group=1)"])
def test_options_that_make_no_sense_are_refused(spec: str) -> None:
    with pytest.raises(UsageError):
        load_verifier(spec)
