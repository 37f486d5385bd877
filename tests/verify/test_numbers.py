"""What plain number a text is, and when two agree."""

from __future__ import annotations

from fractions import Fraction

import pytest

from homeschool.verify.numbers import number, same_number


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
        ("\\tfrac12", Fraction(1, 2)),
        ("\\frac{-3}{-4}", Fraction(3, 4)),
        ("1{,}000", 1000),
        ("6.02 \\times 10^{5}", 602_000),
        ("0.1\\overline{6}", Fraction(1, 6)),
        ("Rs. 50", 50),
        ("9 (apples)", 9),
        ("**72**", 72),
        ("−3", -3),  # noqa: RUF001
    ],
)
def test_plain_numbers(span: str, value: Fraction | int) -> None:
    found = number(span)
    assert found is not None and found.value == value


@pytest.mark.parametrize(
    "span",
    [
        "",
        "x",
        "5x",
        "5i",
        "5 pi",
        "9**2",
        "1,2",
        "1,00",
        "5/0",
        "4 2",
        "2 or 3",
        "12:30",
        "1" * 201,
        "\u0664\u0662",
        "\uff14\uff12",
        "2^3",
        "6*7",
        "\\sqrt{4}",
        "2 sin x",
    ],
)
def test_what_is_no_plain_number(span: str) -> None:
    assert number(span) is None


@pytest.mark.parametrize(
    ("want", "got", "same"),
    [
        ("1/3", "0.333333", True),
        ("1/3", "0.33", False),
        ("1/3", "0.33333333", True),
        ("1/3", "0.33333334", False),
        ("2/3", "0.66666666", True),
        ("0.12345678", "0.12345679", False),
        ("0.333333", "1/3", True),
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
