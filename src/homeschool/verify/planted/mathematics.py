"""Planted answers to mathematics: a gold value written in another form (right), or changed by a little (wrong).

Golds are made by construction (whole numbers, decimals, fractions, surds, multiples of pi, pairs, intervals, sets,
polynomials), so that every rewriting is equal and every change is not, without asking the parser that is being judged.
Golds of a file are used where they have one of these shapes; for any other one only the very same text is planted.

`planted` is for `math`, where values count; `planted_exact` for `exact`, where spellings do.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

from homeschool.verify.answers import gold_span
from homeschool.verify.planted import Planted

Forms = list[tuple[str, str]]
"""How it was made, and the answer's text."""

_WRAPS = (
    "#### {}",
    "Adding up gives the result.\n#### {}",
    "The answer is {}.",
    "Answer: {}",
    "so that leaves $\\boxed{{{}}}$",
    "\\boxed{{{}}}",
    "The answer is ${}$.",
    "First I get 3, then 17.\n\nThe final answer is $\\boxed{{{}}}$.",
)


def planted(seed: int, n: int, *, golds: Sequence[str] = ()) -> Iterator[Planted]:
    """About `n` right and `n` wrong answers for `math`: of `golds`, or of golds made up.

    A gold gives at most one answer per way of writing it and visit; golds are visited in turn until there are enough.
    """
    rng = random.Random(f"mathematics {seed}")
    right = wrong = 0
    for visit in range(20 * n):
        if right >= n and wrong >= n:
            return
        gold = golds[visit % len(golds)] if golds else _made_up(rng, visit)
        rights, wrongs = forms(gold_span(gold), rng)
        for how, text in rights if right < n else []:
            right += 1
            yield Planted({"answer": gold}, rng.choice(_WRAPS).format(text), True, how)
        for how, text in wrongs if wrong < n else []:
            wrong += 1
            yield Planted({"answer": gold}, rng.choice(_WRAPS).format(text), False, how)


def planted_exact(seed: int, n: int, *, golds: Sequence[str] = ()) -> Iterator[Planted]:
    """About `n` right and `n` wrong answers for `exact`: other white space, case and lead; another spelling."""
    rng = random.Random(f"exact {seed}")
    right = wrong = visit = 0
    while right < n or wrong < n:
        gold = gold_span(golds[visit % len(golds)]) if golds else rng.choice([_made_up(rng, 0), *_NAMES])
        visit += 1
        rights = [("the same", gold), ("other case", gold.swapcase()), ("more space", f"  {gold}\t ")]
        letter = rng.randrange(len(gold) + 1)
        wrongs = [
            ("a sign more", f"{gold[:letter]}7{gold[letter:]}"),
            ("a sign less", gold[1:] or "0"),
            ("twice", f"{gold} {gold}"),
            ("with a unit", f"{gold} apples"),
            ("another number", f"-{gold}"),
        ]
        lead = rng.choice(["", "#### ", "Answer: ", "The answer is ", "I add both.\n\n", "= "])
        for how, text in rights if right < n else []:
            right += 1
            yield Planted({"answer": gold}, lead + text, True, how)
        for how, text in wrongs if wrong < n else []:
            wrong += 1
            yield Planted({"answer": gold}, lead + text, False, how)


def forms(gold: str, rng: random.Random) -> tuple[Forms, Forms]:
    """Other ways to write `gold`, and ways to be wrong about it; of an unknown shape only the same text again."""
    for shape, read in _SHAPES:
        match = shape.fullmatch(gold.strip())
        if match:
            return read(match, rng)
    return [("the same text", gold)], []


def _number(match: re.Match[str], rng: random.Random) -> tuple[Forms, Forms]:
    value = Fraction(match[0].replace(",", "").replace("$", ""))
    return _written(value, rng), _changed(value, rng)


def _fraction(match: re.Match[str], rng: random.Random) -> tuple[Forms, Forms]:
    top, bottom = match.group("top", "bottom")
    if int(bottom) == 0:
        return [("the same text", match[0])], []
    value = Fraction(int(top), int(bottom))
    wrongs = [] if abs(value) == 1 or not value else [("upside down", _ratio(1 / value))]
    return _written(value, rng), [*_changed(value, rng), *wrongs]


def _written(value: Fraction, rng: random.Random) -> Forms:
    """Equal ways to write a number."""
    by = rng.randint(2, 9)
    found = [("as a fraction, not reduced", f"\\frac{{{value.numerator * by}}}{{{value.denominator * by}}}")]
    if value.denominator == 1:
        whole = value.numerator
        found += [
            ("the same number", f"{whole}"),
            ("with a point", f"{whole}.0"),
            ("by thousands", f"{whole:,}"),
            ("with a unit", f"{whole} apples"),
            ("with a currency", f"-${-whole}" if whole < 0 else f"${whole}"),
        ]
    else:
        found += [
            ("as a fraction", f"{value.numerator}/{value.denominator}"),
            ("as a small fraction", f"\\tfrac{{{value.numerator}}}{{{value.denominator}}}"),
        ]
    decimal = _decimal(value)
    if decimal and value.denominator > 1:
        found += [("as a decimal", decimal), ("with a zero more", decimal + "0")]
        percent = _decimal(value * 100)
        if percent:
            found.append(("as a percentage", f"{percent}\\%"))
    return found


def _changed(value: Fraction, rng: random.Random) -> Forms:
    """Numbers that are near and not equal, even where 20% may be 20 or 0.2."""
    digit = Fraction(rng.randint(1, 9)) * 10 ** rng.randint(0, 3)
    near = {
        "one more": value + 1,
        "one less": value - 1,
        "a digit changed": value + digit,
        "half a percent off": value * Fraction(201, 200),
        "twice": value * 2,
        "half": value / 2,
        "ten times": value * 10,
        "a tenth": value / 10,
        "the other sign": -value,
    }
    if value.denominator == 1 and abs(value) > 11:
        text = str(abs(value.numerator))
        near["digits swapped"] = Fraction(text[:-2] + text[-1] + text[-2])
        near["a digit short"] = Fraction(text[:-1])
        near["a digit more"] = Fraction(text + "0")
    kept = {how: other for how, other in near.items() if other not in (value, value * 100, value / 100)}
    return [(how, _decimal(other) or _ratio(other)) for how, other in kept.items()]


def _surd(match: re.Match[str], rng: random.Random) -> tuple[Forms, Forms]:
    a, b = int(match["a"]), int(match["b"])
    by = rng.randint(2, 5)
    rights = [
        ("one root", f"\\sqrt{{{a * a * b}}}"),
        ("with a point", f"{a} \\cdot \\sqrt{{{b}}}"),
        ("root first", f"\\sqrt{{{b}}} \\cdot {a}"),
        ("not reduced", f"\\frac{{{a * by}\\sqrt{{{b}}}}}{{{by}}}"),
    ]
    wrongs = [
        ("factor changed", f"{a + 1}\\sqrt{{{b}}}"),
        ("root changed", f"{a}\\sqrt{{{b + 1}}}"),
        ("without the root", f"{a * b + 1}"),
        ("the other sign", f"-{a}\\sqrt{{{b}}}"),
    ]
    # a times the root of b is b times the root of a only where they are the same.
    return rights, [*wrongs, *([("swapped", f"{b}\\sqrt{{{a}}}")] if a != b else [])]


def _pi(match: re.Match[str], rng: random.Random) -> tuple[Forms, Forms]:
    a, by = int(match["a"]), rng.randint(2, 5)
    rights = [
        ("pi first", f"\\pi \\cdot {a}"),
        ("with a point", f"{a} \\cdot \\pi"),
        ("not reduced", f"\\frac{{{a * by}\\pi}}{{{by}}}"),
    ]
    wrongs = [
        ("factor changed", f"{a + 1}\\pi"),
        ("without pi", f"{a}"),
        ("squared", f"{a}\\pi^2"),
        ("school pi", f"{Fraction(a * 22, 7)}"),
        ("the other sign", f"-{a}\\pi"),
    ]
    return rights, wrongs


def _pair(match: re.Match[str], rng: random.Random) -> tuple[Forms, Forms]:
    a, b, by = int(match["a"]), int(match["b"]), rng.randint(2, 5)
    rights = [
        ("large brackets", f"\\left({a}, {b}\\right)"),
        ("no space", f"({a},{b})"),
        ("not reduced", f"({a}, \\frac{{{b * by}}}{{{by}}})"),
    ]
    wrongs = [
        ("first changed", f"({a + 1}, {b})"),
        ("second changed", f"({a}, {b - 1})"),
        ("one missing", f"{a}"),
        ("one more", f"({a}, {b}, 0)"),
    ]
    return rights, [*wrongs, *([("swapped", f"({b}, {a})")] if a != b else [])]


def _interval(match: re.Match[str], rng: random.Random) -> tuple[Forms, Forms]:
    left, a, b, right = match["left"], int(match["a"]), int(match["b"]), match["right"]
    rights = [("large brackets", f"\\left{left}{a}, {b}\\right{right}"), ("no space", f"{left}{a},{b}{right}")]
    wrongs = [
        ("left end", f"{'(' if left == '[' else '['}{a}, {b}{right}"),
        ("right end", f"{left}{a}, {b}{')' if right == ']' else ']'}"),
        ("bound changed", f"{left}{a}, {b + rng.randint(1, 9)}{right}"),
        ("other bound changed", f"{left}{a - 1}, {b}{right}"),
    ]
    return rights, wrongs


def _set(match: re.Match[str], rng: random.Random) -> tuple[Forms, Forms]:
    members = sorted({int(member) for member in match["members"].split(",")})
    other = members[::-1]
    rights = [("other order", _braced(other)), ("no space", _braced(members).replace(" ", ""))]
    wrongs = [
        ("one missing", _braced(members[1:])),
        ("one more", _braced([*members, members[-1] + 1])),
        ("one changed", _braced([*members[:-1], members[-1] + rng.randint(1, 9)])),
    ]
    return rights, wrongs if len(members) > 2 else wrongs[1:]


def _polynomial(match: re.Match[str], rng: random.Random) -> tuple[Forms, Forms]:
    a, b, c = (int(match[name].replace(" ", "")) for name in "abc")
    by = rng.randint(2, 4)
    rights = [
        ("other order", f"{c}{b:+}x{a:+}x^2"),
        ("by parts", f"x({a}x{b:+}){c:+}"),
        ("not reduced", f"\\frac{{{a * by}x^2{b * by:+}x{c * by:+}}}{{{by}}}"),
    ]
    wrongs = [
        ("sign changed", f"{a}x^2{-b:+}x{c:+}"),
        ("coefficient changed", f"{a + 1}x^2{b:+}x{c:+}"),
        ("constant changed", f"{a}x^2{b:+}x{c + 1:+}"),
        ("power changed", f"{a}x^3{b:+}x{c:+}"),
    ]
    return rights, wrongs


def _made_up(rng: random.Random, kind: int) -> str:
    a, b, c = rng.randint(2, 97), rng.randint(2, 30), rng.randint(2, 9)
    made = (
        f"{rng.randint(-99, 99_999)}",
        f"{rng.randint(1000, 9_999_999):,}",
        f"{rng.randint(1, 99)}.{rng.randint(1, 99)}",
        f"\\frac{{{a}}}{{{b}}}",
        f"{c}\\sqrt{{{rng.choice([2, 3, 5, 6, 7, 10, 11, 13])}}}",
        f"{b}\\pi",
        f"({a}, {rng.randint(-9, 40)})",
        f"{rng.choice('[(')}{-c}, {b}{rng.choice('])')}".replace("(", "[", 1),
        f"\\{{{', '.join(map(str, sorted(rng.sample(range(-20, 50), 3))))}\\}}",
        f"{c}x^2{rng.choice([-1, 1]) * b:+}x{rng.choice([-1, 1]) * a:+}",
    )
    return made[kind % len(made)]


def _decimal(value: Fraction) -> str:
    """`value` as an exact decimal; empty if it has no end within six places."""
    scaled = value * 10**6
    if scaled.denominator != 1:
        return ""
    text = f"{abs(scaled.numerator):07}"
    digits = f"{text[:-6]}.{text[-6:]}".rstrip("0").rstrip(".")
    return f"-{digits}" if value < 0 else digits


def _ratio(value: Fraction) -> str:
    return f"{value.numerator}/{value.denominator}"


def _braced(members: Sequence[int]) -> str:
    return f"\\{{{', '.join(map(str, members))}\\}}"


_INT = r"-?\d+"
_SHAPES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], random.Random], tuple[Forms, Forms]]], ...] = (
    (re.compile(r"-?\$?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"), _number),
    (re.compile(rf"\\[dt]?frac\{{(?P<top>{_INT})\}}\{{(?P<bottom>\d+)\}}"), _fraction),
    (re.compile(rf"(?P<top>{_INT})/(?P<bottom>\d+)"), _fraction),
    (re.compile(r"(?P<a>[2-9]|\d\d)\\sqrt\{(?P<b>[2-9]|\d\d)\}"), _surd),
    (re.compile(r"(?P<a>\d+)\\pi"), _pi),
    (re.compile(rf"\((?P<a>{_INT}), ?(?P<b>{_INT})\)"), _pair),
    (re.compile(rf"(?P<left>\[)(?P<a>{_INT}), ?(?P<b>{_INT})(?P<right>[\])])"), _interval),
    (re.compile(rf"(?P<left>\()(?P<a>{_INT}), ?(?P<b>{_INT})(?P<right>\])"), _interval),
    (re.compile(rf"\\\{{(?P<members>{_INT}(?:, ?{_INT})+)\\\}}"), _set),
    (re.compile(r"(?P<a>[2-9]|\d\d)x\^2(?P<b> ?[-+] ?[1-9]\d*)x(?P<c> ?[-+] ?[1-9]\d*)"), _polynomial),
)
_NAMES = ("New York", "yes", "Evelyn", "(C)", "no solution", "the second one", "Monday", "H2O")
