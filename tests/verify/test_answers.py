"""Where the final answer stands, and what plain number it is."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeschool.verify.answers import final_answer, gold_answers, gold_span, shown, without_echo
from homeschool.verify.numbers import number


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("48+24 = <<48+24=72>>72 clips\n#### 72", "72"),
        ("#### 1\n\nagain\n#### 2", "2"),
        ("so $\\boxed{\\frac{1}{2}}$ is it.", "\\frac{1}{2}"),
        ("\\boxed{1} no, \\boxed{2}", "2"),
        ("\\boxed{1} and \\boxed{2", "1"),
        ("#### Step 1: compute\n\\boxed{5}", "5"),
        ("\\boxed{5}\n\n#### Checking the result", "5"),
        ("\\boxed{5}\n#### 6", "6"),
        ("#### Evelyn", "Evelyn"),
        ("The answer is 7 because 10 - 3 is that.", "7"),
        ("**Answer:** 72 clips in total", "72"),
        ("Answer:\n\n$$\n\\frac{3}{4}\n$$", "\\frac{3}{4}"),
        ("The answer is $x = 5$, since $y = 3$.", "x = 5"),
        ("The answer is 3 packs of cookies = 36 cookies.", "36 cookies"),
        ("The answer is Evelyn. I am sure.", "Evelyn"),
        ("9 * 2 = 18 dollars\nA: 18", "18"),
        ("She sold 48 and then 24, so 72 in total", "72"),
        ("Thus the length is $3\\sqrt{13}$.", "3\\sqrt{13}"),
        ("2 + 3\n= 5", "5"),
        ("= Purple", "Purple"),
        ("so 1,234.50 dollars", "1,234.50"),
        ("I do not know.", None),
        ("", None),
        ("####", None),
    ],
)
def test_final_answer(text: str, span: str | None) -> None:
    found = final_answer(text)
    assert found == span or (found is not None and span is not None and number(found) == number(span) is not None)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("\\boxed{-2} and \\boxed{1}", "-2, 1"),
        ("\\boxed{1}, $\\boxed{2}$ or \\boxed{3}", "1, 2 or 3"),
        ("a = \\boxed{1} and b = \\boxed{2}", "2"),
        ("\\boxed{42} or 43.", "42 or 43"),
        ("43, or $\\boxed{42}$", "43 or 42"),
        ("\\boxed{50}\\%", "50\\%"),
        ("\\fbox{5} then \\boxed {6}", "6"),
        ("The answer is 42 or 43.", "42 or 43"),
        ("The answer is either 42 or 43.", "either 42 or 43"),
        ("The answer is not 42.", "not 42"),
        ("It is between 40 and 42", None),
        ("Is it 41 or 42", None),
        ("Hence\n$$\n\\frac{1}{2}\n$$", "\\frac{1}{2}"),
        ("The answer is Mrs. Hilt.", "Mrs. Hilt"),
    ],
)
def test_what_is_offered_beside_an_answer_stays_with_it(text: str, span: str | None) -> None:
    assert final_answer(text) == span


def test_words_are_kept_where_words_may_be_the_answer() -> None:
    assert final_answer("The answer is June 20.") == "20"
    assert final_answer("The answer is June 20.", words=True) == final_answer("June 20", words=True) == "June 20"
    assert final_answer("The answer is $x+1$ units.", words=True) == "x+1"


def test_an_echo_is_taken_away() -> None:
    question = "What is six times seven, if you count it all on your fingers?"
    assert (
        without_echo(question, [question]) is without_echo("What is six times seven, if you count", [question]) is None
    )
    assert without_echo(f"{question} 42", [question]) == "42"
    assert without_echo("six times seven", [question]) == "six times seven"
    assert without_echo(" 42 ", []) == "42"


def test_gold_answers_are_read_as_written() -> None:
    assert gold_answers({"answer": 51.0}) == ["51"]
    assert gold_answers({"answer": ["7", 7, 0.5]}) == ["7", "7", "0.5"]
    assert gold_answers({"answer": [float("nan"), float("inf"), {}, True]}) == ["True"]
    assert gold_answers({"answer": None}) == gold_answers({"answer": " "}) == gold_answers({}) == []
    assert gold_span("She sold 48/2 = <<48/2=24>>24\n#### 1,080") == "1,080"
    assert gold_span("so $x = 5/4$, or $\\boxed{1.25}$") == "1.25"
    assert gold_span("so it is $\\boxed{\\text{even}}$.") == "\\text{even}"
    assert gold_span("(1, 2) \\cup (3, 4)") == "(1, 2) \\cup (3, 4)"


@given(st.text(alphabet=st.characters(), max_size=300))
def test_reading_never_raises(text: str) -> None:
    span = final_answer(text)
    assert span is None or isinstance(span, str)
    number(text)
    gold_span(text)
    assert len(shown(text)) <= 200
    shown(text).encode("utf-8")


@given(st.fractions(), st.sampled_from(["#### {}", "\\boxed{{{}}}", "The answer is {}.", "so\n= {}"]))
def test_every_fraction_is_found_in_every_convention(value: Fraction, convention: str) -> None:
    span = final_answer(convention.format(value))
    assert span is not None
    found = number(span)
    assert found is not None and found.value == value
