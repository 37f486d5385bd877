"""Answers that are nearly a gold answer of MATH, and wrong. Used by `math_forms`, which runs them.

Each change is a function from the gold text to the texts made of it (none where it does not apply), with one line that
says what it does. None of them keeps the value: a change that could (the sign of both ends of a symmetric interval,
say) is not made, and one that makes the same number by chance is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from math_equivalent import COMPLEX, INTERVALS, MATRIX, TUPLE, Form, Rewriting, value_of

VARIABLE = re.compile(r"(?<![\\a-zA-Z{])[abkxy](?![a-zA-Z])|(?<=\d)[akx](?![a-z])")
DIGITS = re.compile(r"\d+")


def each(pattern: re.Pattern[str], gold: str, *replacements: str) -> list[str]:
    """`gold` with one match after another replaced."""
    return [
        gold[: match.start()] + match.expand(replacement) + gold[match.end() :]
        for match in pattern.finditer(gold)
        for replacement in replacements
    ]


def off_by_one(gold: str) -> list[str]:
    """Each whole number in it one more, and one less."""
    made: list[str] = []
    for match in DIGITS.finditer(gold):
        for other in (int(match[0]) + 1, int(match[0]) - 1):
            written = str(other).zfill(len(match[0])) if match[0][0] == "0" else str(other)
            if other > 0 or (other == 0 and gold == "1"):
                made.append(gold[: match.start()] + written + gold[match.end() :])
    return made


def digit_changed(gold: str) -> list[str]:
    """Each digit in it another one."""
    made: list[str] = []
    for match in re.finditer(r"\d", gold):
        for step in (2, 5):
            digit = str((int(match[0]) + step) % 10)
            if digit != "0":
                made.append(gold[: match.start()] + digit + gold[match.end() :])
    return made


def digits_turned(gold: str) -> list[str]:
    """Two neighbouring digits exchanged."""
    return [text for text in each(re.compile(r"([1-9])(\d)"), gold, r"\2\1") if text != gold]


def digit_dropped(gold: str) -> list[str]:
    """The last digit of each number of several gone."""
    return [text for text in each(re.compile(r"(?<![\d.])([1-9]\d*)\d(?!\d)"), gold, r"\1") if text != gold]


def digit_doubled(gold: str) -> list[str]:
    """A zero, or the last digit again, at the end of a whole number."""
    return [f"{gold}0", f"{gold}{gold[-1]}"] if re.fullmatch(r"-?[1-9]\d*", gold) else []


def point_moved(gold: str) -> list[str]:
    """A decimal or whole number ten times too large, or too small."""
    bare = gold.lstrip("-")
    if re.fullmatch(r"\d*\.\d+", bare):
        return [gold.replace(".", ".0"), gold.replace(".", "") if bare[0] != "." else gold.replace(".", "0.0")]
    return [f"{gold[:-1]}.{gold[-1]}", f"0.{bare}"] if re.fullmatch(r"-?[1-9]\d+", gold) else []


def sign_flipped(gold: str) -> list[str]:
    """Each sign in it turned, or a minus before what has none."""
    if "\\pm" in gold or "\\text" in gold or gold in INTERVALS or gold == "0":
        return []
    turned = each(re.compile(r"\+"), gold, "-") + each(re.compile(r"-"), gold, "+")
    return turned or ([f"-{gold}"] if gold[0] != "(" and not gold.startswith(("\\left", "\\begin")) else [])


def upside_down(gold: str) -> list[str]:
    """A fraction with numerator and denominator exchanged."""
    found = re.fullmatch(r"(-?)\\d?frac\{?(\d+)\}?\{?(\d+?)\}?", gold)
    return [f"{found[1]}\\frac{{{found[3]}}}{{{found[2]}}}", f"{found[1]}{found[3]}/{found[2]}"] if found else []


def rounded(gold: str) -> list[str]:
    """A fraction or root as a decimal that is too short or wrong at its end."""
    value = value_of(gold)
    if value is not None and value.denominator > 1 and (value * 10**6).denominator > 1:
        exact = float(value)
        return [f"{exact:.2f}", f"{exact:.3f}", f"{exact + 2e-6:.6f}", f"{exact + 3e-8:.8f}"]
    if found := re.fullmatch(r"(\d*)\s?\\sqrt\{(\d+)\}", gold):
        exact = int(found[1] or 1) * int(found[2]) ** 0.5
        return [f"{exact:.2f}", f"{exact:.3f}", f"{exact + 2e-6:.6f}"]
    return []


def end_closed(gold: str) -> list[str]:
    """An open end of an interval closed."""
    if gold not in INTERVALS:
        return []
    return each(re.compile(r"\("), gold, "[") + each(re.compile(r"(?<!\\infty)\)"), gold, "]")


def interval_changed(gold: str) -> list[str]:
    """Another side, another sign of comparison, one part of a union, all numbers, an end only."""
    if low := re.fullmatch(r"\((\d),\\infty\)", gold):
        n = low[1]
        return [f"x \\ge {n}", f"x < {n}", f"(-\\infty, {n})", f"x = {n}", n, "(-\\infty, \\infty)", f"(-{n}, \\infty)"]
    if "cup" in gold:
        return ["(0,9)", "(9,36)", "(0,36)", "(0,9) \\cap (9,36)", "0 < x < 36", "(0,9), (9,36)", "(0,9) \\cup (9,37)"]
    return ["(0, \\sqrt{3})", "(-3, 3)", "x < \\sqrt{3}", "\\sqrt{3}"] if gold in INTERVALS else []


def order_turned(gold: str) -> list[str]:
    """A point with two of its coordinates exchanged."""
    parts = coordinates(gold)
    if len(parts) < 2:
        return []
    turned = [[parts[1], parts[0], *parts[2:]], [*parts[:-2], parts[-1], parts[-2]]]
    return [f"({', '.join(other)})" for other in turned]


def coordinate_lost(gold: str) -> list[str]:
    """A point with one coordinate less or more, or written twice."""
    parts = coordinates(gold)
    if len(parts) < 2:
        return []
    shorter = f"({', '.join(parts[:-1])})" if len(parts) > 2 else parts[0]
    return [shorter, f"({', '.join([*parts, '0'])})", f"({', '.join([parts[0], *parts])})"]


def other_shape(gold: str) -> list[str]:
    """A point as a list, as a set or as a closed interval; a list as a point or interval; a number as a set."""
    if parts := coordinates(gold):
        listed = ", ".join(parts)
        return [listed, f"\\{{{listed}\\}}", f"[{listed}]", f"({listed}]"]
    if members := listed_members(gold):
        listed = ", ".join(members)
        return [f"({listed})", f"[{listed}]", f"({listed}]"]
    if re.fullmatch(r"-?\d+", gold):
        low, high = int(gold) - 1, int(gold) + 1
        return [f"\\{{{gold}\\}}", f"[{low}, {high}]", f"x \\ge {gold}", f"x \\ne {gold}", f"({gold}, {gold})"]
    return []


def member_changed(gold: str) -> list[str]:
    """A list or set with one member another one, missing, more, or twice."""
    members = listed_members(gold)
    if not members:
        return []
    changed = [[*members[:k], "17", *members[k + 1 :]] for k in range(len(members))]
    changed += [members[:k] + members[k + 1 :] for k in range(len(members))]
    changed += [[*members, "17"], [*members, members[0]]]
    return [", ".join(other) for other in changed]


def several(gold: str) -> list[str]:
    """The right answer, and another one beside it."""
    if value_of(gold) is None or "," in gold:
        return []
    pairs = [f"{gold}, 17", f"17 \\text{{ or }} {gold}", f"{gold} \\text{{ and }} 17", f"{gold} \\pm 1", f"\\pm {gold}"]
    return pairs[:3] if gold in ("0", "17") else pairs


def exponent_changed(gold: str) -> list[str]:
    """A power one more or less, or of a number that had none; a square root that is a cube root or none."""
    made = each(re.compile(r"\^3"), gold, "^2", "^4")
    if gold not in ("0", "1", "-1") and re.fullmatch(r"-?\d+", gold):
        made += [f"{gold}^2", f"{gold}^{{{gold}}}"]
    if "\\sqrt" in gold:
        made += [gold.replace("\\sqrt", "\\sqrt[3]"), re.sub(r"\\sqrt\{(\d+)\}", r"(\1)", gold, count=1)]
    return made


def variable_changed(gold: str) -> list[str]:
    """One variable by another letter, in capitals, or gone."""
    if gold.startswith(("\\text", "\\begin")):
        return []
    return [text for to in ("z", "t") for text in each(VARIABLE, gold, to)] + (
        [gold.replace("x", "X")] if "x" in gold and "\\" not in gold else []
    )


def variable_added(gold: str) -> list[str]:
    """A number with a variable, with i or with pi."""
    if value_of(gold) in (None, 0) or "," in gold:
        return []
    return [f"{gold}x", f"{gold}\\pi", f"{gold}i", f"{gold} + x", f"{gold}x^0"]


def constant_lost(gold: str) -> list[str]:
    """Pi, i or a root gone, or rounded."""
    made: list[str] = []
    if "\\pi" in gold:
        times = "" if "{\\pi" in gold else "\\cdot "
        made = [gold.replace("\\pi", f"{times}{to}") for to in ("1", "3.14", "22/7")] + [gold.replace("\\pi", "\\pi^2")]
    return made + ([re.sub(r"i$", "", gold), gold.replace("i", "j")] if COMPLEX.fullmatch(gold) else [])


def base_changed(gold: str) -> list[str]:
    """A numeral of another base, or of none."""
    found = re.fullmatch(r"(\d+)_(\d)", gold)
    if not found:
        return []
    return [f"{found[1]}_{int(found[2]) + 1}", f"{found[1]}_{{10}}", found[1], str(int(found[1], int(found[2]) + 1))]


def name_changed(gold: str) -> list[str]:
    """One letter of a name changed, dropped or doubled; another option; two options."""
    if not (found := re.fullmatch(r"\\text\{(.*)\}", gold)):
        return []
    name = found[1]
    if name == "(B)":
        return ["\\text{(C)}", "A", "(D)", "A, B", "\\text{(B) or (C)}", "E", "AB"]
    letters = range(len(name))
    made = [f"{name[:k]}{chr((ord(name[k].lower()) - 96) % 26 + 97)}{name[k + 1 :]}" for k in letters]
    made += [name[:k] + name[k + 1 :] for k in letters] + [name[:k] + name[k] * 2 + name[k + 1 :] for k in letters]
    return [f"\\text{{{text}}}" for text in [*made, f"not {name}", f"{name} or Max", name[::-1]]]


def unit_changed(gold: str) -> list[str]:
    """Degrees as radians or percent; a number of dollars as another one of cents."""
    bare = gold.removesuffix("^\\circ")
    return [f"{bare}\\text{{ radians}}", f"{bare}\\%", f"{bare}\\pi"] if bare != gold else []


def matrix_changed(gold: str) -> list[str]:
    """A matrix turned over its diagonal, with a row less or more, with rows exchanged."""
    if not (found := MATRIX.fullmatch(gold)):
        return []
    rows = [row.split("&") for row in found[1].split("\\\\")]
    changed = [rows[1:], [*rows, rows[0]], [*rows[:-2], [*rows[-2], *rows[-1]]]]
    changed += [rows[::-1], [*map(list, zip(*rows, strict=True))]] if len(rows[0]) == 1 else []
    written = [" \\\\ ".join("&".join(row) for row in other) for other in changed]
    return [f"\\begin{{pmatrix}}{inside}\\end{{pmatrix}}" for inside in written]


def function_changed(gold: str) -> list[str]:
    """Another function, or another one of the same argument."""
    return ["\\tan x", "\\cot 2x", "\\cos x", "-\\cot x", "\\cot^2 x", "\\frac{\\sin x}{\\cos x}"] * (gold == "\\cot x")


def equation_changed(gold: str) -> list[str]:
    """An equation with its sides' letters exchanged, of another kind, or that says nothing."""
    if not (found := re.fullmatch(r"y = (.*)", gold)):
        return []
    right = found[1]
    return [f"x = {right.replace('x', 'y')}", f"y > {right}", f"y = {right} + 1", "y = y", "0 = 0", f"y^2 = {right}"]


def percent_changed(gold: str) -> list[str]:
    """A part of one as a percentage that is too small or too large."""
    value = value_of(gold)
    if value is None or not 0 < value < 1:
        return []
    shown = f"{float(value) * 100:.4g}"
    return [
        f"{shown}",
        f"{shown}0\\%" if "." not in shown else f"{float(shown) * 10:.4g}\\%",
        f"{float(shown) / 10:.4g}\\%",
    ]


def coordinates(gold: str) -> list[str]:
    """The coordinates of a point; empty for an interval and all else."""
    found = TUPLE.fullmatch(gold)
    return [] if found is None or gold in INTERVALS else [part.strip() for part in found["inside"].split(",")]


def listed_members(gold: str) -> list[str]:
    """The members of a list or set; empty for all else."""
    inside = re.sub(r"^\\\{|\\\}$", "", gold)
    members = [member.strip() for member in inside.split(",")]
    return members if len(members) > 1 and "(" not in gold and "\\!" not in gold else []


NEAR: dict[str, Rewriting] = {
    "off by one": off_by_one,
    "a digit changed": digit_changed,
    "digits exchanged": digits_turned,
    "a digit dropped": digit_dropped,
    "a digit more": digit_doubled,
    "the point moved": point_moved,
    "a sign flipped": sign_flipped,
    "upside down": upside_down,
    "rounded too far": rounded,
    "an end closed": end_closed,
    "another interval": interval_changed,
    "order exchanged": order_turned,
    "a coordinate lost or more": coordinate_lost,
    "another shape": other_shape,
    "a member changed, lost or more": member_changed,
    "several answers": several,
    "an exponent changed": exponent_changed,
    "a variable changed": variable_changed,
    "a variable more": variable_added,
    "a constant lost": constant_lost,
    "another base": base_changed,
    "a letter changed": name_changed,
    "another unit": unit_changed,
    "a matrix changed": matrix_changed,
    "another function": function_changed,
    "an equation changed": equation_changed,
    "another percentage": percent_changed,
}


def near_misses(golds: Sequence[str]) -> Iterator[Form]:
    """Every change of every gold answer, in a box; without those that are the same number by chance."""
    for name, change in NEAR.items():
        for gold in golds:
            value = value_of(gold)
            made = dict.fromkeys(change(gold))
            kept = [text for text in made if text != gold and (value is None or value_of(text) != value)]
            yield from (Form(name, gold, f"\\boxed{{{text}}}") for text in kept)
