"""Units: found, dropped, and compared only where both are measures."""

from __future__ import annotations

import pytest

from homeschool.verify.units import split_unit, units_differ


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("72 clips", "72"),
        ("72 hair clips in total", "72"),
        ("5.4 \\text{ cents}", "5.4"),
        ("5 \\mathrm{cm}^{2}", "5"),
        ("90^{\\circ}", "90"),
        ("9 (apples)", "9"),
        ("5cm", "5"),
        ("3hours", "3"),
        ("8\\pi square units", "8\\pi"),
        ("\\frac{20000}{\\pi} miles per hour", "\\frac{20000}{\\pi}"),
    ],
)
def test_a_unit_is_taken_from_its_quantity(text: str, body: str) -> None:
    assert split_unit(text)[0].strip() == body


@pytest.mark.parametrize(
    "text",
    ["2t", "2 t", "2 ab", "2 sin x", "\\cot(x)", "f(x)", "x dogs", "2 pi", "42 or so", "5\\text{ or more}", "Evelyn"],
)
def test_what_is_no_unit_stays(text: str) -> None:
    assert split_unit(text) == (text, "")


@pytest.mark.parametrize(
    ("left", "right", "differ"),
    [
        ("5 cm", "5\\text{ m}", True),
        ("5 cm", "5 centimeters", False),
        ("5 cm^2", "5 cm^3", True),
        ("6 am", "6 p.m.", True),
        ("90^\\circ", "90 radians", True),
        ("90^\\circ", "90 degrees", False),
        ("72 clips", "72 cm", False),
        ("5 cm", "5", False),
    ],
)
def test_only_measures_differ(left: str, right: str, differ: bool) -> None:
    assert units_differ(split_unit(left)[1], split_unit(right)[1]) is differ
