"""Where the final answer stands, and what plain number it is."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeschool.verify.answers import final_answer, gold_answers, gold_span, shown
from homeschool.verify.numbers import number, same_number


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
    ("span", "value"),
    [
        ("1,000", 1000),
        ("118 000", 118_000),
        ("$5", 5),
        ("\\$18.90", Fraction("18.9")),
        ("72 clips", 72),
        ("14  (seats)", 14),
        ("5.4 \\text{ cents}", Fraction("5.4")),
        ("3/4", Fraction(3, 4)),
        ("1 1/2", Fraction(3, 2)),
        ("-\\frac{3}{4}", Fraction(-3, 4)),
        ("1\\frac{4}{5}", Fraction(9, 5)),
        ("11,\\! 111", 11_111),
        ("90^\\circ", 90),
        ("6.5e-3", Fraction("0.0065")),
        ("2 million", 2_000_000),
        ("72.", 72),
        ("**72**", 72),
        ("−3", -3),  # noqa: RUF001
    ],
)
def test_plain_numbers(span: str, value: Fraction | int) -> None:
    found = number(span)
    assert found is not None and found.value == value


@pytest.mark.parametrize(
    "span", ["", "x", "5x", "5i", "5 pi", "9**2", "1,2", "1,00", "5/0", "4 2", "2 or 3", "12:30", "1" * 201]
)
def test_what_is_no_plain_number(span: str) -> None:
    assert number(span) is None


@pytest.mark.parametrize(
    ("want", "got", "same"),
    [
        ("1/3", "0.333333", True),
        ("1/3", "0.33", False),
        ("0.0000672", "0.0000671", False),
        ("1234567.89", "1234567.88", False),
        ("20%", "0.2", True),
        ("20", "20%", True),
        ("0.2", "20%", True),
        ("20%", "2000", False),
        ("72", "72.0", True),
        ("10" * 90, "10" * 90 + ".5", False),
    ],
)
def test_same_number(want: str, got: str, same: bool) -> None:
    left, right = number(want), number(got)
    assert left is not None and right is not None
    assert same_number(left, right) is same


def test_gold_answers_are_read_as_written() -> None:
    assert gold_answers({"answer": 51.0}) == ["51"]
    assert gold_answers({"answer": ["7", 7, 0.5]}) == ["7", "7", "0.5"]
    assert gold_answers({"answer": None}) == gold_answers({"answer": " "}) == gold_answers({}) == []
    assert gold_span("She sold 48/2 = <<48/2=24>>24\n#### 1,080") == "1,080"
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
