"""Expressions: what is read, what is refused, what is equal."""

from __future__ import annotations

import pytest

from homeschool.verify.math_leaf import check, equal
from homeschool.verify.math_text import UnreadableError, ascii_only, one_spelling


def spelled(text: str) -> str:
    return one_spelling(ascii_only(text))


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("3\\sqrt{13}", "\\sqrt{117}"),
        ("\\frac{\\sqrt{3}}{3}", "\\frac{1}{\\sqrt3}"),
        ("2^{2n}", "4^n"),
        ("\\sin 2x", "2\\sin x\\cos x"),
        ("\\sin^2 x+\\cos^2 x + x", "1 + x"),
        ("\\sin^{-1} x", "\\arcsin x"),
        ("\\log_2 3", "\\frac{\\ln 3}{\\ln 2}"),
        ("\\log 1000x", "3 + \\log x"),
        ("e^{i\\pi/3}", "\\frac{1+i\\sqrt{3}}{2}"),
        ("\\binom{n}{2}", "\\frac{n(n-1)}{2}"),
        ("1\\frac{1}{2}\\pi", "3\\pi/2"),
        ("2\\frac{x}{3}", "\\frac{2x}{3}"),
        ("1/2x", "\\frac{x}{2}"),
        ("|x-1|", "|1-x|"),
        ("x_1x_{2}", "x_2 * x_{1}"),
        ("\\sum_{k=1}^{3} k x", "6x"),
        ("2\\cos 60^\\circ x", "2\\cos(\\pi x / 3)"),
        ("\\sqrt[3]{8x}", "2x^{1/3}"),
    ],
)
def test_equal(one: str, two: str) -> None:
    assert equal(spelled(one), spelled(two)) and equal(spelled(two), spelled(one))


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("2(3)x", "5x"),
        ("A", "a"),
        ("x'", "x"),
        ("x_1", "x_2"),
        ("|x|", "x"),
        ("\\sqrt{x^2}", "x"),
        ("f(2x)", "2f(x)"),
        ("x^2", "x^3"),
        ("x+y", "x+z"),
        ("x", "x + y - z"),
        ("10^{40}x", "(10^{40}+1)x"),
        ("\\infty", "-\\infty"),
        ("4343_6", "4343_7"),
        ("\\pi", "3.14159266"),
        ("x = 1", "x = 2"),
        ("x = 1", "0 = 0"),
    ],
)
def test_unequal(one: str, two: str) -> None:
    assert not equal(spelled(one), spelled(two)) and not equal(spelled(two), spelled(one))


REFUSED = r"""
a/bc | x2 | 2 3 | 5- | 1.2.3 | \sqrt{} | \frac{1}{0} | 0/0 + x | \infty + 1 | \frac{d}{dx} x^2 | x \to 2 | 5 \ldots
\foo | () | ^2 | x^ | \log | 3 \mid x | \binom{2} | |x|| | \sqrt[0]{x} | f( | \int N dN
"""


@pytest.mark.parametrize("text", [text for line in REFUSED.strip().splitlines() for text in line.split(" | ")])
def test_refused(text: str) -> None:
    with pytest.raises(UnreadableError):
        check(spelled(text))
