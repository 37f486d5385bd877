"""`exact` compares one text, and says which."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from homeschool.core.records import Row
from homeschool.verify.exact import final_text, verifier


def judge(text: str, /, **columns: Any) -> tuple[str, str]:
    verdict = asyncio.run(verifier()(Row.source(columns), [text]))[0]
    return verdict.status, verdict.reason


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("a\n#### 5\nb", "5"),
        ("a\n= 5", "5"),
        ("Answer: 5", "5"),
        ("The final answer is: Paris", "Paris"),
        ("the answer is yes \n\n", "yes"),
        ("answers vary", "answers vary"),
        ("", ""),
    ],
)
def test_what_is_compared(answer: str, text: str) -> None:
    assert final_text(answer) == text


def test_spelling_counts_but_space_and_case_do_not() -> None:
    assert judge("New   YORK", answer="new york") == ("pass", "")
    assert judge("5.", answer="5") == ("fail", "wrong answer")
    assert judge("", answer="5") == ("fail", "no answer found")
    assert judge("72", answer="48 + 24\n#### 72") == ("pass", "")
    assert judge("no", answer=["yes", "NO"]) == ("pass", "")


@pytest.mark.parametrize("columns", [{}, {"answer": None}, {"answer": ""}, {"answer": []}])
def test_a_row_without_gold_is_broken(columns: dict[str, Any]) -> None:
    assert judge("5", **columns) == ("broken", "no gold answer")


def test_evidence_says_what_was_compared() -> None:
    verdict = asyncio.run(verifier()(Row.source({"answer": "72"}), ["#### 27"]))[0]
    assert verdict.evidence == "got '27', want '72'"
    assert verdict.verifier == "exact@2"
