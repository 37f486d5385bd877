"""What shape an answer has, and that no text makes the reading of it fail in any other way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeschool.verify.math_shape import agree, leaves, read, spelling
from homeschool.verify.math_text import UnreadableError

SIGNS = [
    "\\frac",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    ",",
    "=",
    "<",
    "\\le ",
    "\\cup ",
    "\\pm ",
    "x",
    "12",
    "\\text{",
    "\\{",
    "\\}",
]
SIGNS += [" or ", "\\begin{pmatrix}", "\\end{pmatrix}", "\\\\", "&", ":", "%", "^", "-", "\\approx", "\\in", " and "]


@pytest.mark.parametrize(
    ("span", "kind", "found"),
    [
        ("1,000", "leaf", ["1,000"]),
        ("x = 1,000", "equation", ["x", "1000"]),
        ("(100,200)", "()", ["100", "200"]),
        ("(1,000, 2)", "()", ["1000", "2"]),
        ("(100,200), (1,2)", "list", ["100", "200", "1", "2"]),
        ("[0, 1)", "[)", ["0", "1"]),
        ("\\left[0,1\\right)", "[)", ["0", "1"]),
        ("x \\in (0, 1]", "(]", ["0", "1"]),
        ("0 < x \\le 1", "(]", ["0", "1"]),
        ("1 \\ge x > 0", "(]", ["0", "1"]),
        ("x \\ge 3", "[)", ["3", "\\infty"]),
        ("x < 1 or x > 2", "union", ["-\\infty", "1", "2", "\\infty"]),
        ("x+y < 3", "comparison", ["x+y", "3"]),
        ("\\{1, 2\\}", "set", ["1", "2"]),
        ("\\{x \\mid x > 3\\}", "()", ["3", "\\infty"]),
        ("\\emptyset", "set", []),
        ("1, 2 and 3", "list", ["1", "2", "3"]),
        ("1 \\pm \\sqrt{2}", "list", ["1 + \\sqrt{2}", "1 - \\sqrt{2}"]),
        ("(0,1) \\cup [2,3]", "union", ["0", "1", "2", "3"]),
        ("3:2", "ratio", ["3", "2"]),
        ("\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}", "matrix", ["1", "2", "3", "4"]),
        ("((x+1))", "leaf", ["x+1"]),
        ("\\text{Evelyn}", "name", []),
        ("(B)", "name", []),
        ("B) 6000", "name", []),
    ],
)
def test_shapes(span: str, kind: str, found: list[str]) -> None:
    shape = read(span)
    assert (shape.kind, leaves(shape)) == (kind, found)


@pytest.mark.parametrize(
    "span",
    [
        "",
        "(",
        "1,",
        ",1",
        "x = x",
        "[0, 1",
        "{1",
        "}{",
        "((" * 30,
        "1 \\approx 2",
        "43 \\approx 42",
        "x \\to 2",
        "4\u0662",
    ],
)
def test_what_has_no_shape(span: str) -> None:
    with pytest.raises(UnreadableError):
        read(span) if span != "x \\to 2" else leaves(read("a; ; b"))


def test_agreement_asks_only_of_leaves_that_are_no_numbers() -> None:
    asked: list[tuple[str, str]] = []

    def equal(gold: str, got: str) -> bool:
        asked.append((gold, got))
        return gold == got

    assert agree(read("(3, x+1)"), read("(3.0, x+1)"), equal)
    assert asked == [("x+1", "x+1")]
    assert not agree(read("(3, x+1)"), read("(4, x+1)"), equal)
    assert not agree(read("(3, x+1)"), read("3, x+1"), equal)


def test_names_are_spelled_one_way() -> None:
    assert spelling("\\text{ New  York. }") == "new york"
    assert (spelling("(B)"), spelling("b")) == ("B", "b")


@given(st.one_of(st.text(max_size=80), st.lists(st.sampled_from(SIGNS), max_size=14).map("".join)))
def test_no_text_makes_reading_fail_otherwise(text: str) -> None:
    try:
        shape = read(text)
    except UnreadableError:
        return
    assert agree(shape, shape, str.__eq__) or shape.kind in ("equation", "list", "comparison", "union", "set", "ratio")


@given(st.lists(st.integers(-99, 99), min_size=2, max_size=5, unique=True), st.randoms(use_true_random=False))
def test_lists_agree_in_any_order_and_points_in_none_but_their_own(values: list[int], rng: object) -> None:
    turned = values[::-1]
    joined, other = (", ".join(map(str, order)) for order in (values, turned))
    assert agree(read(joined), read(f"\\{{{other}\\}}"), str.__eq__)
    assert not agree(read(f"({joined})"), read(f"({other})"), str.__eq__)
    assert not agree(read(joined), read(f"{other}, 100"), str.__eq__)
