"""`length`: both ends included, in five units, and an empty answer is never long enough."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from homeschool.core.errors import UsageError
from homeschool.core.records import Row
from homeschool.core.verdict import Verdict
from homeschool.verify.length import verifier


def judge(answer: str, columns: dict[str, Any] | None = None, /, **options: Any) -> Verdict:
    return asyncio.run(verifier(**options)(Row.source(columns or {}), [answer]))[0]


@pytest.mark.parametrize(
    ("unit", "answer", "size"),
    [
        ("words", "It's 3.5 kg, isn't it", 8),
        ("characters", "  é 👍\n", 3),
        ("sentences", "Dr. Lee left. Why? No idea", 3),
        ("lines", "a\n\n \nb\r\nc", 3),
        ("paragraphs", "a\nb\n\n\n\nc", 2),
    ],
)
def test_units(unit: str, answer: str, size: int) -> None:
    assert judge(answer, least=size, most=size, unit=unit).scores == {"correct": 1.0, unit: float(size)}
    assert judge(answer, least=size + 1, unit=unit).reason == "too short"
    assert judge(answer, most=size - 1, unit=unit).reason == "too long"


def test_options_come_before_the_column() -> None:
    columns = {"length": {"most": 1}}
    assert judge("two words", columns).reason == "too long"
    assert judge("two words", columns, most=2).status == "pass"
    assert judge("two words", {"length": {"most": 2, "least": None, "unit": None}}).status == "pass"


@pytest.mark.parametrize(
    "length",
    [None, {}, 3, {"least": -1}, {"least": 3, "most": 2}, {"most": "9"}, {"max": 9}, {"most": 9, "unit": "bytes"}],
)
def test_a_row_without_bounds_is_broken(length: Any) -> None:
    assert judge("so", {"length": length}).status == "broken"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"unit": "word", "most": 3}, "did you mean 'words'"),
        ({"least": 4, "most": 3}, "least=4 is above most=3"),
        ({"most": -1}, "most=-1"),
        ({"most": "9"}, "no count"),
    ],
)
def test_wrong_options_are_errors(options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        verifier(**options)


@pytest.mark.parametrize("answer", ["", " \n", "\u200b\u2060", "\u3164"])
def test_an_empty_answer_fails_whatever_the_bounds(answer: str) -> None:
    assert judge(answer, most=10).reason == "empty answer"


@pytest.mark.parametrize("answer", ["a\u200bb\u200bc", "a \u200b \u200b b", "- . , !", "one\u2060two\u00adthree"])
def test_hidden_characters_and_punctuation_make_no_words(answer: str) -> None:
    assert judge(answer, least=3).reason == "too short"
