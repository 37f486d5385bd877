"""The shape of a final answer: one value, a list, a set, a point or interval, a union, a matrix, an equation.

A span of text is taken apart here as far as commas, brackets and relation signs reach; what is left are leaves, each
one number, name or expression, and whether two expressions are equal is asked of the caller. Most wrong verdicts of a
parser that reads everything at once are about shape: a list for one number, `[0, 1]` for `[0, 1)`, a set for a point.

Agreement is strict. A list and a set are the same thing, in any order; a point (2, 4) is neither, and an interval
agrees only with the same ends. `x > 5` is the interval (5, \\infty), `1 \\pm 2` a list of two. `a = b` stands for b
where a value is wanted, unless a is another number. Units are compared as in `units`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from homeschool.verify.answers import wordy
from homeschool.verify.math_text import (
    AND,
    CLOSING,
    OPENING,
    OR,
    UNION,
    UnreadableError,
    ascii_only,
    encloses,
    one_spelling,
    split,
)
from homeschool.verify.numbers import number, same_number
from homeschool.verify.units import split_unit, units_differ

_TEXT = re.compile(r"\\(?:text|textbf|textit|textrm|textnormal|mathrm|mbox)\s?\{([^{}]*)\}")
_MARKUP = re.compile(r"(?<!\\)\$|\\displaystyle(?![A-Za-z])")
_MATRIX = re.compile(
    r"(?:[A-Za-z]+\s*=\s*)?(?:(?:\\left)?\s*[(\[])?\s*\\begin\{(?P<name>[pb]?matrix|smallmatrix)\}(?P<cells>.*)"
    r"\\end\{(?P=name)\}\s*(?:(?:\\right)?\s*[)\]])?",
    re.DOTALL,
)
_LETTERS = re.compile(r"\(?[A-Za-z][A-Za-z .'-]*\)?")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_OPTION = re.compile(r"\(?([A-J])[).:](?:\s|$)")
_NAME = re.compile(r"(?:[A-Za-z]|\\[a-z]+)(?:_\{?\w+\}?)?'*(?:\([^()]*\))?")
_SUCH_THAT = re.compile(r"[A-Za-z]\s*(?:\\mid(?![A-Za-z])|:|\|)\s*(?=\S)")
_VARIABLE = re.compile(r"[A-Za-z]|\\[a-z]+")
_MIRRORED = str.maketrans("<>≤≥", "><≥≤")
_BRACKETS = ("()", "[]", "(]", "[)")


@dataclass(frozen=True, slots=True)
class Shape:
    """`kind`: leaf, name, list, set, union, matrix, row, equation, comparison, ratio, or a pair of brackets as `[)`.

    `text` is the leaf or name itself, the signs of a comparison, the variable that an interval was written with, or
    the "or" of a list of alternatives.
    """

    kind: str
    text: str = ""
    parts: tuple[Shape, ...] = ()


def read(span: str) -> Shape:
    """The shape of `span`. Raises UnreadableError."""
    span = _MARKUP.sub("", ascii_only(span)).strip().removesuffix(".").strip()
    if number(span) is not None:
        return Shape("leaf", span)
    if matrix := _MATRIX.fullmatch(span):
        return _matrix(matrix["cells"])
    text = _TEXT.fullmatch(span)
    if text and _LETTERS.fullmatch(text[1].strip()) and not re.search(r"\b(?:and|or)\b", text[1]):
        return Shape("name", spelling(text[1]))
    if option := _OPTION.match(span):
        if re.search(r"\b[A-J][).:]|\b(?:and|or|not)\b|,", span[option.end() :]):
            raise UnreadableError(span)
        return Shape("name", option[1])
    return _list(one_spelling(text[1] if text else span))


def leaves(shape: Shape) -> list[str]:
    """The texts of all leaves in `shape`."""
    own = [shape.text] if shape.kind == "leaf" else []
    return own + [text for part in shape.parts for text in leaves(part)]


def spelling(name: str) -> str:
    """A name as it is compared: single spaces, no final stop, no brackets about a letter; case counts in a letter."""
    name = " ".join(_TEXT.sub(r"\1", name).split()).removesuffix(".")
    option = re.fullmatch(r"\(([A-Za-z])\)", name)
    name = option[1] if option else name
    return name if len(name) == 1 else name.casefold()


# --- reading, from the outside in ------------------------------------------------------------------------------------


def _list(text: str) -> Shape:
    if number(text) is not None:
        return Shape("leaf", text)
    pieces, found = split(_ungrouped(text), f",;{AND}{OR}")
    if len(pieces) == 1:
        return _relation(pieces[0])
    shapes = [_relation(piece) for piece in pieces]
    if set(found) == {OR} and all(_is_interval(shape) for shape in shapes):
        return Shape("union", parts=tuple(shapes))
    return Shape("list", "or" if set(found) == {OR} else "", _flat(shapes))


def _ungrouped(text: str) -> str:
    """`text` without the commas between thousands, outside of brackets."""
    kept, depth = "", 0
    for place, character in enumerate(text):
        depth += (character in OPENING) - (character in CLOSING)
        if depth or not _THOUSANDS.match(text, place):
            kept += character
    return kept


def _flat(shapes: Sequence[Shape]) -> tuple[Shape, ...]:
    """`shapes` with each list among them, made by a plus-minus sign, replaced by what it holds."""
    return tuple(part for shape in shapes for part in (shape.parts if shape.kind == "list" else [shape]))


def _relation(text: str) -> Shape:
    sides, signs = split(text, "=<>≤≥≠≈∈")
    if not signs:
        ratio, _ = split(text, ":")
        return Shape("ratio", parts=tuple(_value(side) for side in ratio)) if len(ratio) > 1 else _value(text)
    if signs == ["∈"]:
        return _value(sides[1])
    if set(signs) <= {"=", "≈"}:
        return _equation(sides, signs)
    if set(signs) <= set("<>≤≥") or signs == ["≠"]:
        return _comparison(sides, "".join(signs))
    raise UnreadableError(text)


def _equation(sides: list[str], signs: list[str]) -> Shape:
    if "≈" in signs:
        if signs.index("≈") != len(signs) - 1 or not _rounds(sides[-2], sides[-1]):
            raise UnreadableError("≈".join(sides))
        sides = sides[:-1] if sides[-2] else sides[-1:]
    sides = sides[1:] if not sides[0] else sides  # "= 42"
    if len(sides) == 1:
        return _value(sides[0])
    if len({side.replace(" ", "") for side in sides}) == 1:  # "x = x" says nothing
        raise UnreadableError(sides[0])
    return Shape("equation", parts=tuple(_value(side) for side in sides))


def _rounds(exact: str, rounded: str) -> bool:
    """Whether `rounded` is a number, and none that another number was said to be about."""
    left, right = number(exact), number(rounded)
    return right is not None and (left is None or abs(left.value - right.value) * 10 ** (right.decimals or 0) < 1)


def _comparison(sides: list[str], signs: str) -> Shape:
    """An interval if a variable is compared with one or two values, else the sides as they are, ascending."""
    if set(signs) <= set(">≥"):
        sides, signs = sides[::-1], signs[::-1].translate(_MIRRORED)
    values = tuple(_value(side) for side in sides)
    variables = [place for place, side in enumerate(sides) if _VARIABLE.fullmatch(side) and side != "\\infty"]
    if set(signs) <= set("<≤") and len(variables) == 1 and (len(signs) == 1 or (variables == [1] and len(signs) == 2)):
        name = sides[variables[0]]
        low = values[0] if variables[0] else Shape("leaf", "-\\infty")
        high = values[-1] if variables[0] < len(sides) - 1 else Shape("leaf", "\\infty")
        left = "[" if variables[0] and signs[0] == "≤" else "("
        right = "]" if variables[0] < len(sides) - 1 and signs[-1] == "≤" else ")"
        return Shape(left + right, name, (low, high))
    return Shape("comparison", signs, values)


def _is_interval(shape: Shape) -> bool:
    return shape.kind in _BRACKETS and len(shape.parts) == 2


def _value(text: str) -> Shape:
    """A union, something in brackets, a pair made by a plus-minus sign, or a leaf."""
    if text in ("\\emptyset", "\\varnothing"):
        return Shape("set")
    sides, _ = split(text, UNION)
    if len(sides) > 1:
        return Shape("union", parts=tuple(_value(side) for side in sides))
    if text and text[0] in OPENING and text[-1] in CLOSING and encloses(text):
        return _bracketed(text[0] + text[-1], text[1:-1].strip())
    if "±" in text or "∓" in text:
        upper, lower = text.replace("±", "+").replace("∓", "-"), text.replace("±", "-").replace("∓", "+")
        return Shape("list", parts=(_value(upper), _value(lower)))
    return _leaf(text)


def _bracketed(pair: str, inside: str) -> Shape:
    if pair == "⦃⦄" and (condition := _SUCH_THAT.match(inside)):
        return _list(inside[condition.end() :])
    if pair == "⦃⦄" or (pair == "{}" and len(split(inside, ",;")[0]) > 1):
        pieces, _ = split(_ungrouped(inside) if ", " in inside else inside, f",;{AND}")
        return Shape("set", parts=_flat([_value(piece) for piece in pieces]) if inside else ())
    # (100,200) is a point, (1,000, 2) another one.
    pieces, _ = split(_ungrouped(inside) if ", " in inside else inside, ",;")
    if len(pieces) > 1 and pair in _BRACKETS:
        return Shape(pair, parts=tuple(_value(piece) for piece in pieces))
    if pair == "()" and re.fullmatch(r"[A-Z]", inside):
        return Shape("name", inside)
    if len(pieces) == 1 and pair in ("()", "{}"):
        return _value(inside)
    raise UnreadableError(inside)


def _matrix(inside: str) -> Shape:
    rows = [row for row in re.split(r"\\\\(?:\[[^\]]*\])?", inside) if row.strip()]
    cells = [[_value(one_spelling(cell)) for cell in row.split("&")] for row in rows]
    if not cells or len({len(row) for row in cells}) != 1:
        raise UnreadableError(inside)
    return Shape("matrix", parts=tuple(Shape("row", parts=tuple(row)) for row in cells))


def _leaf(text: str) -> Shape:
    if number(text) is not None:
        return Shape("leaf", text)
    bare, _ = split_unit(text)
    if wordy(bare) or re.fullmatch(r"[A-Za-z]{3,}|[Nn][oO]", bare):
        return Shape("name", spelling(text))
    if not bare or re.search(r"[,;:=&@#∈≈≠<>≤≥⦃⦄]", bare):
        raise UnreadableError(text)
    return Shape("leaf", text)


# --- agreement -------------------------------------------------------------------------------------------------------


def agree(gold: Shape, got: Shape, equal: Callable[[str, str], bool]) -> bool:
    """Whether `got` says what `gold` says. `equal(gold, got)` is asked of leaves that are not both numbers.

    An equation is handed to `equal` as the text "left = right".
    """
    if got.text == "or" and got.kind == "list" and gold.kind not in ("list", "set"):
        return all(agree(gold, part, equal) for part in got.parts)  # "5/4, or 1.25"
    if "equation" in (gold.kind, got.kind):
        return _equations_agree(gold, got, equal)
    if "name" in (gold.kind, got.kind):
        return gold.text == got.text != "" and {gold.kind, got.kind} <= {"name", "leaf"}
    if gold.kind in ("list", "set"):
        if got.kind == "leaf" and len(gold.parts) == 1:
            return agree(gold.parts[0], got, equal)
        return got.kind in ("list", "set") and _in_any_order(gold.parts, got.parts, equal)
    if gold.kind != got.kind or (gold.kind == "comparison" and gold.text != got.text):
        return False
    if gold.kind == "leaf":
        return _leaves_agree(gold.text, got.text, equal)
    if gold.kind == "union":
        return _in_any_order(gold.parts, got.parts, equal)
    if gold.text and got.text and gold.text != got.text:
        return False
    return len(gold.parts) == len(got.parts) and all(
        agree(a, b, equal) for a, b in zip(gold.parts, got.parts, strict=True)
    )


def _leaves_agree(gold: str, got: str, equal: Callable[[str, str], bool]) -> bool:
    wanted, given = number(gold), number(got)
    (gold, unit), (got, other) = split_unit(gold), split_unit(got)
    if units_differ(unit, other):
        return False
    if given is not None and given.percent and unit:
        return False
    if wanted is not None:
        # Where a number is wanted, one that still has to be worked out is no answer.
        return given is not None and same_number(wanted, given)
    return equal(gold, got)


def _equations_agree(gold: Shape, got: Shape, equal: Callable[[str, str], bool]) -> bool:
    if gold.kind != "equation":
        return _sides_agree(got) and agree(gold, got.parts[-1], equal)
    name = gold.parts[0]
    if got.kind != "equation":
        named = name.kind in ("name", "()") or _NAME.fullmatch(name.text) is not None
        return named and len(gold.parts) == 2 and agree(gold.parts[1], got, equal)
    if name == got.parts[0]:
        return _sides_agree(got) and agree(gold.parts[-1], got.parts[-1], equal)
    both = [*gold.parts, *got.parts]
    if len(both) != 4 or any(part.kind not in ("leaf", "name") for part in both):
        return False
    return equal(*(" = ".join(split_unit(part.text)[0] for part in shape.parts) for shape in (gold, got)))


def _sides_agree(equation: Shape) -> bool:
    """Whether no two sides are different numbers, as in 43 = 42."""
    numbers = [found for side in equation.parts if (found := number(side.text)) is not None]
    return all(same_number(numbers[-1], found) for found in numbers)


def _in_any_order(golds: Sequence[Shape], given: Sequence[Shape], equal: Callable[[str, str], bool]) -> bool:
    """Whether each of `golds` agrees with one of `given`, one to one. Named values (x = 1, y = 2) stay with names."""
    if len(golds) != len(given):
        return False
    names = {gold.parts[0] for gold in golds if gold.kind == "equation"}
    if len(names) > 1 and all(got.kind != "equation" for got in given):
        return all(agree(gold, got, equal) for gold, got in zip(golds, given, strict=True))
    left = list(given)
    for gold in golds:
        place = next((place for place, got in enumerate(left) if agree(gold, got, equal)), None)
        if place is None:
            return False
        del left[place]
    return True
