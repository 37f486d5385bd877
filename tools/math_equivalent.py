"""Other writings of gold answers of MATH, each of the same value. Used by `math_forms`, which runs them.

Each rewriting is a function from the gold text to the texts made of it (none where it does not apply), with one line
that says what it does. They work on the text alone, and share no parser with the verifier that they test.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

Rewriting = Callable[[str], list[str]]

INTEGER = re.compile(r"-?\d+")
FRACTION = re.compile(r"(-?)\\d?frac\{?(\d+)\}?\{?(\d+?)\}?")
MIXED = re.compile(r"(\d+)\s*\\frac\{(\d+)\}\{(\d+)\}")
POLYNOMIAL = re.compile(
    r"(?:[xyabk\d+()^ -]|\\frac\{11\+9a\}\{20\})*[xyabk](?:[xyabk\d+()^ -]|\\frac\{11\+9a\}\{20\})*"
)
COMPLEX = re.compile(r"-?\d+ ?[+-] ?\d*i")
TUPLE = re.compile(r"(?:\\left)?\((?P<inside>.*,.*?)(?:\\right)?\)")
SURD = re.compile(r"(\d*)\s?\\sqrt\{(\d+)\}")
MATRIX = re.compile(r"\\begin\{pmatrix\}(.*)\\end\{pmatrix\}")
INTERVALS = ("(2,\\infty)", "(5,\\infty)", "(-\\sqrt{3}, \\sqrt{3})", "(0,9) \\cup (9,36)")
"""Which pairs are intervals cannot be told from the text: an open one looks like a point."""


@dataclass(frozen=True, slots=True)
class Form:
    """An answer made from `gold` by the rewriting `name`."""

    name: str
    gold: str
    answer: str


# --- what is equal ---------------------------------------------------------------------------------------------------


def value_of(gold: str) -> Fraction | None:
    """The value of a gold answer that is an integer, a decimal, a fraction or a mixed number."""
    bare = re.sub(r"\\\$|,\\!", "", gold)
    if re.fullmatch(r"-?(?:\d+(?:\.\d+)?|\.\d+)", bare):
        return Fraction(bare)
    if found := FRACTION.fullmatch(bare):
        return Fraction(int(found[1] + found[2]), int(found[3]))
    if found := MIXED.fullmatch(bare):
        return int(found[1]) + Fraction(int(found[2]), int(found[3]))
    return None


def terminating(value: Fraction) -> str | None:
    """The decimal that is exactly `value`, or None."""
    for places in range(12):
        if (value * 10**places).denominator == 1:
            return f"{float(value):.{places}f}"
    return None


def replaced(pattern: str, replacement: str) -> Rewriting:
    """The rewriting of every match of `pattern`."""
    return lambda gold: [re.sub(pattern, replacement, gold)] if re.search(pattern, gold) else []


def as_decimal(gold: str) -> list[str]:
    """A fraction whose decimal ends, as that decimal; with a zero more."""
    value = value_of(gold)
    decimal = terminating(value) if value is not None and value.denominator > 1 else None
    return [decimal, f"{decimal}0"] if decimal else []


def as_fraction(gold: str) -> list[str]:
    """A number as a fraction: reduced, not reduced, with a slash, stacked small."""
    value = value_of(gold)
    if value is None:
        return []
    top, below = value.numerator, value.denominator
    sign, size = ("-" if top < 0 else ""), abs(top)
    return [
        f"{top}/{below}",
        f"\\frac{{{top}}}{{{below}}}",
        f"{sign}\\tfrac{{{3 * size}}}{{{3 * below}}}",
        f"{sign}\\cfrac{{{size}}}{{{below}}}",
        f"\\frac{{{-top}}}{{{-below}}}",
    ]


def as_mixed(gold: str) -> list[str]:
    """An improper fraction as a mixed number."""
    value = value_of(gold)
    if value is None or value.denominator == 1 or value < 1:
        return []
    whole, rest = divmod(value, 1)
    slashed = f"{whole} {rest.numerator}/{rest.denominator}"
    return [f"{whole}\\frac{{{rest.numerator}}}{{{rest.denominator}}}", slashed]


def zeros(gold: str) -> list[str]:
    """Zeros after a decimal point, and before it or not."""
    if INTEGER.fullmatch(gold):
        return [f"{gold}.0", f"{gold}.00", f"{gold}."]
    if found := re.fullmatch(r"0?(\.\d+)", gold):
        return [found[1], f"0{found[1]}", f"0{found[1]}0"]
    return []


def thousands(gold: str) -> list[str]:
    """Thousands set apart, or no longer."""
    bare = re.sub(r",\\!|\\\$", "", gold)
    if not INTEGER.fullmatch(bare) or abs(int(bare)) < 1000:
        return []
    commas = f"{int(bare):,}"
    return [bare, commas, commas.replace(",", "{,}"), commas.replace(",", ",\\!"), commas.replace(",", "\\,")]


def scientific(gold: str) -> list[str]:
    """A whole number as a power of ten times a decimal."""
    if not re.fullmatch(r"[1-9]\d{3,}", gold):
        return []
    mantissa = f"{gold[0]}.{gold[1:].rstrip('0') or '0'}"
    return [f"{mantissa} \\times 10^{{{len(gold) - 1}}}", f"{mantissa} \\cdot 10^{len(gold) - 1}"]


def percent(gold: str) -> list[str]:
    """A part of one whose percentage ends, with the sign and in words."""
    value = value_of(gold)
    written = terminating(value * 100) if value is not None and 0 < value < 1 else None
    return [f"{written}\\%", f"{written}%", f"{written} percent"] if written else []


def with_unit(gold: str) -> list[str]:
    """A number with a unit that the gold answer leaves open."""
    if not INTEGER.fullmatch(gold):
        return []
    return [f"{gold}\\text{{ cm}}", f"{gold}\\ \\mathrm{{cm}}^2", f"{gold} apples", f"\\${gold}"]


def degrees(gold: str) -> list[str]:
    """Degrees by sign, by word or not at all."""
    if not (found := re.fullmatch(r"(.*?)(?:\^\\circ|\\text\{ degrees\})", gold)):
        return []
    return [found[1] + end for end in ("", "^{\\circ}", "°", " degrees", "\\text{ degrees}", "\\,^\\circ")]


def currency(gold: str) -> list[str]:
    """An amount of dollars by sign, by word or not at all."""
    bare = gold.removeprefix("\\$")
    return [] if bare == gold else [bare, f"${bare}", f"{bare}\\text{{ dollars}}", f"{bare} dollars"]


def names(gold: str) -> list[str]:
    """A name with and without \\text{}, in bold, in other case; an option without its brackets."""
    if not (found := re.fullmatch(r"\\text\{(.*)\}", gold)):
        return []
    name = found[1]
    same = [name, f"\\textbf{{{name}}}", f"\\mathrm{{{name}}}", f"\\text{{ {name} }}"]
    return [*same, name.strip("()")] if name.startswith("(") else [*same, name.upper(), name.lower()]


def spaces(gold: str) -> list[str]:
    """More white space, thin spaces, and as little as possible."""
    if gold.startswith(("\\text", "\\begin")) or re.search(r"\d \\?[f\d]|\\!", gold):
        return []
    wide = re.sub(r"(?<=[\w})])\s*([,+=])\s*", r" \1 ", gold)
    tight = re.sub(r"(?<![a-z]) | (?![a-z])", "", gold)
    return [text for text in {wide, tight, wide.replace(" ", "\\ "), wide.replace(" ", "\\;")} if text != gold]


def big_brackets(gold: str) -> list[str]:
    """Brackets with and without \\left and \\right, \\bigl and \\bigr."""
    if "(" not in gold or "\\text" in gold:
        return []
    bare = gold.replace("\\left", "").replace("\\right", "")
    return [
        bare.replace("(", f"\\{left}(").replace(")", f"\\{right})")
        for left, right in (("left", "right"), ("bigl", "bigr"), ("Big", "Big"))
    ] + [bare] * (bare != gold)


def roots(gold: str) -> list[str]:
    """Roots as sign, function or power, one digit without braces, and a factor drawn under the root."""
    if not (found := SURD.search(gold)):
        return []
    before, inside = found[1], found[2]
    factor = f"{before}\\cdot " if before else ""
    made = [
        f"{before}√{inside}",
        f"{before}\\sqrt {{{inside}}}",
        f"{factor}{inside}^{{1/2}}",
        f"{before} sqrt({inside})",
    ]
    made += [f"{before}\\sqrt{inside}"] * (len(inside) == 1)
    if before and "\\pm" not in gold:
        made.append(f"\\sqrt{{{int(before) ** 2 * int(inside)}}}")
    return [gold[: found.start()] + text + gold[found.end() :] for text in made]


def products(gold: str) -> list[str]:
    """Products with a sign: 2k, 2*k, 2 \\cdot k, 2 \\times k."""
    if gold.startswith(("\\begin", "\\text")):
        return []
    pattern = r"(?<=\d)\s?(?=[ikxa](?![a-z])|\\pi|\\sqrt)"
    signs = ("*", "\\\\cdot ", " \\\\times ")
    return [re.sub(pattern, sign, gold) for sign in signs] if re.search(pattern, gold) else []


def powers(gold: str) -> list[str]:
    """x^3 as x^{3} and x**3."""
    return [re.sub(r"([xy])\^(\d)", to, gold) for to in (r"\1^{\2}", r"\1**\2")] if re.search(r"[xy]\^\d", gold) else []


def turned_sum(gold: str) -> list[str]:
    """The terms of a sum in reverse."""
    left, equals, right = gold.rpartition("=")
    if re.search(r"[(,]|\\pm|\\frac|\\begin", right):
        return []
    terms = re.findall(r"[+-]?[^+-]+", right.replace(" ", ""))
    made = "".join(term if term[0] in "+-" else f"+{term}" for term in reversed(terms)).removeprefix("+")
    return [f"{left}{equals} {made}".strip()] if len(terms) > 1 else []


def turned_list(gold: str) -> list[str]:
    """The members of a list or set in reverse, in braces, with "and"."""
    members = re.sub(r"^\\\{|\\\}$", "", gold).split(",")
    if len(members) < 2 or (gold[0] in "(\\" and not gold.startswith("\\{")) or "\\!" in gold:
        return []
    turned = [member.strip() for member in reversed(members)]
    listed = ", ".join(turned)
    joined = ", ".join(turned[:-1])
    return [listed, f"\\{{{listed}\\}}", f"{joined} \\text{{ and }} {turned[-1]}", f"{joined} and {turned[-1]}"]


def plus_minus(gold: str) -> list[str]:
    """Both values of a plus-minus sign, one after the other."""
    found = re.fullmatch(r"(\\\{)?([^,]*)\\pm([^,]*)(,.*)?", gold)
    if not found:
        return []
    opening, rest = found[1] or "", found[4] or ""
    plus, minus = (f"{found[2]}{sign}{found[3]}" for sign in "+-")
    return [f"{opening}{plus}, {minus}{rest}", f"{opening}{minus}, {plus}{rest}"]


def by_sympy(gold: str) -> list[str]:
    """A polynomial expanded, factored and collected."""
    import sympy

    left, equals, right = gold.rpartition("=")
    if not POLYNOMIAL.fullmatch(right.strip()):
        return []
    text = re.sub(r"\\frac\{(.*?)\}\{(.*?)\}", r"(\1)/(\2)", right).replace("^", "**")
    text = re.sub(r"(?<=[\da-z)])\s*(?=[a-z(])", "*", text)
    polynomial = sympy.sympify(text)
    made = {sympy.latex(f(polynomial)) for f in (sympy.expand, sympy.factor, sympy.together)}
    return [f"{left}{equals} {form}".strip() for form in sorted(made)]


def coordinates(gold: str) -> list[str]:
    """A point or interval with other spaces, and its halves as decimals."""
    if not (found := TUPLE.fullmatch(gold)):
        return []
    parts = [part.strip() for part in found["inside"].split(",")]
    made = [f"({between.join(parts)})" for between in (", ", ",", ",\\ ", " , ")]
    return made + [text.replace("\\frac{3}{2}", "1.5") for text in made[:1] if "\\frac{3}{2}" in text]


def intervals(gold: str) -> list[str]:
    """An interval with x in it, by inequalities, its parts in reverse."""
    if gold not in INTERVALS:
        return []
    made = [f"x \\in {gold}"]
    if low := re.fullmatch(r"\((\d),\\infty\)", gold):
        made += [f"x > {low[1]}", f"{low[1]} < x", f"{low[1]}<x<\\infty", f"({low[1]}, +\\infty)"]
    if "cup" in gold:
        made += ["(9,36) \\cup (0,9)", "(0, 9)\u222a(9, 36)", "0 < x < 9 \\text{ or } 9 < x < 36"]
    if "sqrt" in gold:
        made += ["-\\sqrt{3} < x < \\sqrt{3}"]
    return made


def matrices(gold: str) -> list[str]:
    """Another environment, other white space, its fractions stacked."""
    if not (found := MATRIX.fullmatch(gold)):
        return []
    inside = found[1]
    stacked = re.sub(r"(\d+)/(\d+)", r"\\frac{\1}{\2}", inside)
    made = [f"\\begin{{{name}}}{inside}\\end{{{name}}}" for name in ("bmatrix", "matrix", "smallmatrix")]
    made += [f"\\begin{{pmatrix}}{text}\\end{{pmatrix}}" for text in (stacked, inside.replace(" ", ""))]
    return [*made, f"\\left( \\begin{{matrix}}{inside}\\end{{matrix}} \\right)", f"M = {gold}"]


def bases(gold: str) -> list[str]:
    """The base of a numeral with braces, its digits in brackets."""
    found = re.fullmatch(r"(\d+)_(\d)", gold)
    return [f"{found[1]}_{{{found[2]}}}", f"({found[1]})_{found[2]}", f"({found[1]})_{{{found[2]}}}"] if found else []


def equations(gold: str) -> list[str]:
    """A value with a name for it; an equation without its left side, or with all on one side."""
    if found := re.fullmatch(r"y = (.*)", gold):
        return [found[1], f"{found[1]} = y", f"y - ({found[1]}) = 0", f"2y = 2({found[1]})"]
    if value_of(gold) is not None or COMPLEX.fullmatch(gold) or SURD.fullmatch(gold):
        return [f"x = {gold}", f"f(3)={gold}", f"\\text{{Area}} = {gold}", f"a+b = {gold}"]
    return []


def trigonometry(gold: str) -> list[str]:
    """The cotangent by other functions, its argument in brackets."""
    given = "\\cot x"
    forms = ["\\cot(x)", "\\cot{x}", "cot x", "\\frac{\\cos x}{\\sin x}", "\\frac{1}{\\tan x}", "\\cos x / \\sin x"]
    return forms if gold == given else []


def signs(gold: str) -> list[str]:
    """Unicode for minus and pi, the sign of a fraction on its numerator, a plus before a number."""
    made = [gold.replace("-", "−")] * ("-" in gold)  # noqa: RUF001
    made += [gold.replace("\\pi", "π"), gold.replace("\\pi", "pi")] * ("\\pi" in gold)
    made += [re.sub(r"^-\\frac\{", r"\\frac{-", gold)] * gold.startswith("-\\frac{")
    return [*made, f"+{gold}"] if re.fullmatch(r"\d+", gold) else made


EQUIVALENT: dict[str, Rewriting] = {
    "same text": lambda gold: [gold],
    "\\dfrac": replaced(r"\\d?frac", r"\\dfrac"),
    "\\tfrac": replaced(r"\\d?frac", r"\\tfrac"),
    "a/b for a stacked fraction": replaced(r"^(-?)\\d?frac\{(\d+|\\sqrt\{3\})\}\{(\d+|\\pi)\}$", r"\1\2/\3"),
    "\\frac12 without braces": replaced(r"\\frac\{(\d)\}\{(\d)\}", r"\\frac\1\2"),
    "fractions": as_fraction,
    "decimals": as_decimal,
    "mixed numbers": as_mixed,
    "zeros of a decimal": zeros,
    "thousands": thousands,
    "scientific": scientific,
    "percent": percent,
    "a unit": with_unit,
    "degrees": degrees,
    "dollars": currency,
    "names": names,
    "spaces": spaces,
    "\\left and \\right": big_brackets,
    "roots": roots,
    "product signs": products,
    "powers": powers,
    "sum in reverse": turned_sum,
    "list in reverse": turned_list,
    "plus-minus": plus_minus,
    "expanded or factored": by_sympy,
    "points": coordinates,
    "intervals": intervals,
    "matrices": matrices,
    "bases": bases,
    "equations": equations,
    "trigonometry": trigonometry,
    "signs": signs,
}
WRAPPED = {
    "#### x": "Let me see.\n#### {}",
    "The answer is $x$.": "So the answer is ${}$.",
    "The final answer is: $\\boxed{x}$": "The final answer is: $\\boxed{{{}}}$. I hope it is correct.",
    "**Answer:** $x$": "**Answer:** ${}$",
    "$x$": "${}$",
    "$$x$$": "It follows that\n$$\n{}\n$$",
    "\\(x\\)": "Thus \\({}\\).",
    "\\[\\boxed{x}\\]": "\\[ \\boxed{{{}}} \\]",
    "\\boxed{\\boxed{x}}": "\\boxed{{\\boxed{{{}}}}}",
    "\\boxed{x.}": "\\boxed{{{}.}}",
    "\\boxed{$x$}": "\\boxed{{${}$}}",
    "= x": "we get\n= {}",
    "\\displaystyle": "\\boxed{{\\displaystyle {}}}",
}


def equivalent_forms(golds: Sequence[str]) -> Iterator[Form]:
    """Every rewriting of every gold answer in a box, then every gold answer in other wrappings."""
    for name, rewriting in EQUIVALENT.items():
        yield from (Form(name, gold, f"\\boxed{{{text}}}") for gold in golds for text in rewriting(gold))
    for name, wrapping in WRAPPED.items():
        yield from (Form(name, gold, wrapping.format(gold)) for gold in golds)
