"""Planted answers are what they say: right forms are equal and wrong ones are not, by arithmetic of our own."""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeschool.verify.planted.mathematics import forms, planted, planted_exact

PI_LIKE = 3.141592653589793


def value(text: str) -> float:
    """What a planted scalar is worth: LaTeX of fractions, roots and pi, read by Python after plain substitutions."""
    for unit in ("apples", "$", ",", "\\cdot", "\\!"):
        text = text.replace(unit, "*" if unit == "\\cdot" else "")
    percent = text.endswith("\\%")
    text = text.removesuffix("\\%")
    while (new := re.sub(r"\\[dt]?frac\{([^{}]*(?:\{[^{}]*\})?)\}\{(\d+)\}", r"((\1)/\2)", text)) != text:
        text = new
    text = re.sub(r"\\sqrt\{(\d+)\}", r"(\1)**0.5", text).replace("\\pi", f"({PI_LIKE})").replace("^", "**")
    text = re.sub(r"(\d)\s*\(", r"\1*(", text)
    worth = float(eval(text, {"__builtins__": {}}))
    return worth / 100 if percent else worth


@pytest.mark.parametrize(
    "gold", ["72", "-3", "1,234,567", "0.25", "17.3", "\\frac{22}{7}", "3/8", "5\\sqrt{7}", "12\\pi", "\\frac{-1}{3}"]
)
def test_scalars_by_arithmetic(gold: str) -> None:
    want = value(gold)
    for seed in range(20):
        rights, wrongs = forms(gold, random.Random(seed))
        assert len(rights) >= 3 and len(wrongs) >= 4
        for how, text in rights:
            assert math.isclose(value(text), want, rel_tol=1e-12), (gold, how, text)
        for how, text in wrongs:
            assert not math.isclose(value(text), want, rel_tol=1e-9), (gold, how, text)


@settings(max_examples=60, deadline=None)
@given(top=st.integers(-9999, 9999), bottom=st.integers(1, 60), seed=st.integers(0, 99))
def test_no_wrong_number_is_the_right_one_or_its_percentage(top: int, bottom: int, seed: int) -> None:
    want = Fraction(top, bottom)
    rights, wrongs = forms(f"\\frac{{{top}}}{{{bottom}}}", random.Random(seed))
    for _, text in rights:
        assert math.isclose(value(text), want, rel_tol=1e-12, abs_tol=1e-12)
    for how, text in wrongs:
        off = value(text)
        assert all(not math.isclose(off, float(each), rel_tol=1e-9) for each in (want, want * 100, want / 100)), how


@pytest.mark.parametrize(
    ("gold", "wrong"),
    [
        ("(3, 5)", "(5, 3)"),
        ("[2, 9)", "(2, 9)"),
        ("[2, 9)", "[2, 9]"),
        ("\\{1, 2, 3\\}", "\\{2, 3\\}"),
        ("2x^2+3x-4", "2x^2-3x-4"),
    ],
)
def test_shapes_have_their_own_mistakes(gold: str, wrong: str) -> None:
    rights, wrongs = forms(gold, random.Random(0))
    assert wrong in {text for _, text in wrongs} and len(rights) >= 2
    assert not {text for _, text in rights} & {text for _, text in wrongs}
    if gold.startswith("2x"):
        for x in (-2.5, 0.5, 3.0):
            worth = [eval(_python(text), {"x": x}) for _, text in rights]
            assert worth == pytest.approx([2 * x**2 + 3 * x - 4] * len(worth))


def _python(text: str) -> str:
    text = re.sub(r"\\frac\{(.*)\}\{(\d+)\}", r"(\1)/\2", text).replace("^", "**")
    return re.sub(r"(\d)(x)", r"\1*\2", text).replace("x(", "x*(")


def test_equal_members_have_no_swap() -> None:
    assert "swapped" not in dict(forms("(4, 4)", random.Random(0))[1])
    assert "swapped" not in dict(forms("7\\sqrt{7}", random.Random(0))[1])
    assert forms("1/0", random.Random(0)) == ([("the same text", "1/0")], [])


def test_an_unknown_shape_is_planted_as_it_stands() -> None:
    assert forms("x \\equiv 3 \\pmod 7", random.Random(0)) == ([("the same text", "x \\equiv 3 \\pmod 7")], [])
    items = list(planted(0, 5, golds=["\\text{east}"]))
    assert len(items) == 5 and all(item.right and "east" in item.answer for item in items)


def test_the_seed_decides_and_both_kinds_come_in_number() -> None:
    for make in (planted, planted_exact):
        items = list(make(7, 100))
        assert items == list(make(7, 100)) != list(make(8, 100))
        counts = Counter(item.right for item in items)
        assert 100 <= counts[True] <= 112 and 100 <= counts[False] <= 112
        assert all(str(item.columns["answer"]) and item.how for item in items)


def test_golds_of_a_file_are_used() -> None:
    items = list(planted(0, 20, golds=["She has 40 + 2 = 42.\n#### 42"]))
    assert {item.columns["answer"] for item in items} == {"She has 40 + 2 = 42.\n#### 42"}
    assert any("43" in item.answer and not item.right for item in items)
