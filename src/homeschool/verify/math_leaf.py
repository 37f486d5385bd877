"""One expression, from LaTeX to sympy, and whether two are equal. Used in the worker process only.

Why not math-verify's own parser for everything: it stops without a word where its grammar ends, reads `2(3)` and
`2 3` as 5 and `A` as `a`, and drops `\\ldots`, primes and letters that could be units. So this reader takes a small,
closed grammar and refuses the rest; a formula with sums, products, integrals or limits, which it does not know, is
given to math-verify. Ambiguous writing is refused as well: a/bc, x2, 2 3.

Two expressions are equal if they have the same variables and the same value, to 80 digits, at fixed points on both
sides of zero: that decides where `simplify` gives up, and takes no longer for huge polynomials. Where nothing can be
evaluated math-verify has the last word.
"""

from __future__ import annotations

import functools
import re
from fractions import Fraction
from typing import Any

from homeschool.verify.math_text import UnreadableError
from homeschool.verify.numbers import number, rounds_to

DIGITS, SAME = 100, 80
"""Digits that expressions are evaluated to, and how many of them must be the same."""

_TOKEN = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+|\\(?:[A-Za-z]+|%)|\S)")
_FUNCTIONS = {
    **{name: name for name in ["sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "exp"]},
    **{"arcsin": "asin", "arccos": "acos", "arctan": "atan", "ln": "log", "log": "log"},
}
_INVERSE = {"sin": "asin", "cos": "acos", "tan": "atan"}
_GREEK = re.compile(
    "alpha|beta|gamma|delta|(?:var)?epsilon|zeta|eta|theta|iota|kappa|lambda|mu|nu|xi|rho|sigma|tau|(?:var)?phi|chi|psi"
    "|omega|Gamma|Delta|Theta|Lambda|Xi|Pi|Sigma|Phi|Psi|Omega|ell"
)
_STYLES = frozenset(["vec", "mathbf", "mathbb", "overline", "hat", "bar", "mathcal"])
_LIBRARY = re.compile(r"\\(?:int|sum|prod|lim)(?![A-Za-z])")
_IN_BASE = re.compile(r"\(?([0-9A-Fa-f]*[0-9][0-9A-Fa-f]*)\)?_(?:\{(\d{1,2})\}|(\d))")
# Both sides of zero, inside and outside of -1..1, no two with a simple relation.
_POINTS = [Fraction(p) for p in ("17/13", "-23/29", "5/19", "-41/11", "83/31", "-7/37", "61/43", "101/7")]


def equal(gold: str, got: str) -> bool:
    """Whether two leaves, or two equations "left = right", are equal. Raises UnreadableError (see `check`)."""
    if " = " in gold and " = " in got:
        return _same_equation(*(expression(side) for side in (*gold.split(" = "), *got.split(" = "))))
    based = [_IN_BASE.fullmatch(text) for text in (gold, got)]
    if any(based):
        # 4343_6 is a numeral: neither 4343 nor its value is asked for.
        digits = [match and (match[1].lstrip("0").upper(), match[2] or match[3]) for match in based]
        return digits[0] == digits[1]
    decimal = number(got)
    if decimal is not None and decimal.decimals is not None:
        value = _real(expression(gold))
        return value is not None and rounds_to(value, decimal.value, decimal.decimals)
    return same_value(expression(gold), expression(got))


def check(leaf: str) -> None:
    """Raises UnreadableError if `leaf` is no expression."""
    if not _IN_BASE.fullmatch(leaf) and number(leaf) is None:
        expression(leaf)


@functools.lru_cache(maxsize=1024)
def expression(text: str) -> Any:
    """The sympy expression that `text` is. Raises UnreadableError."""
    import sympy

    try:
        found = _by_math_verify(text) if _LIBRARY.search(text) else _Reader(text).whole()
    except (RecursionError, ZeroDivisionError) as error:
        raise UnreadableError(text) from error
    infinite = re.fullmatch(r"[+-]?\s*\\infty\s*", text) is not None
    if not infinite and found.has(sympy.nan, sympy.zoo, sympy.oo, -sympy.oo):
        raise UnreadableError(text)
    return found


def same_value(one: Any, two: Any) -> bool:
    """Whether two sympy expressions are equal wherever both can be evaluated."""
    if one == two:
        return True
    if one.free_symbols != two.free_symbols or (one.is_Rational and two.is_Rational):
        return False
    pairs = _at_points(one, two)
    if not pairs:
        from math_verify import verify

        return bool(verify([one], [two], timeout_seconds=None))
    return all(_close(a, b) for a, b in pairs)


def _same_equation(left: Any, right: Any, other_left: Any, other_right: Any) -> bool:
    """Whether left - right is the other difference times a number other than zero."""
    one, two = left - right, other_left - other_right
    if one.free_symbols != two.free_symbols or not one.free_symbols:
        return False
    pairs = _at_points(one, two)
    if len(pairs) < 3 or any(_close(value, 0) for pair in pairs for value in pair):
        return False
    ratio = pairs[0][0] / pairs[0][1]
    return all(_close(a, ratio * b) for a, b in pairs)


def _close(a: Any, b: Any) -> bool:
    """Whether two numbers are the same: exactly if they are fractions."""
    difference = a - b
    return bool(difference == 0 if difference.is_Rational else abs(difference) <= 10**-SAME * max(1, abs(a)))


def _at_points(one: Any, two: Any) -> list[tuple[Any, Any]]:
    """The values of both expressions at the points where both have one."""
    import sympy

    symbols = sorted(one.free_symbols, key=str)
    found: list[tuple[Any, Any]] = []
    for first in range(len(_POINTS) if symbols else 1):
        # A stride of its own for each variable, so that no two always move together.
        chosen = [_POINTS[(first * (2 * k + 1) + k) % len(_POINTS)] + k for k in range(len(symbols))]
        point = {s: sympy.Rational(v.numerator, v.denominator) for s, v in zip(symbols, chosen, strict=True)}
        a, b = (_evaluated(e.subs(point)) for e in (one, two))
        if all(part.is_Rational or (part.is_Float and part.is_finite) for v in (a, b) for part in v.as_real_imag()):
            found.append((a, b))
    return found


def _evaluated(value: Any) -> Any:
    return value if value.is_Rational else value.evalf(DIGITS)


def _real(value: Any) -> Fraction | None:
    """The value of an expression as a fraction of 100 digits, or None if it is no real number."""
    if value.free_symbols or value.has("oo"):
        return None
    evaluated = value.evalf(DIGITS)
    if not evaluated.is_Float and not evaluated.is_Rational:
        return None
    return Fraction(str(evaluated)) if evaluated.is_Float else Fraction(int(evaluated.p), int(evaluated.q))


def _by_math_verify(text: str) -> Any:
    from math_verify import LatexExtractionConfig, parse
    from sympy import Expr, Symbol

    options: dict[str, Any] = {"fallback_mode": "no_fallback", "parsing_timeout": None}
    # In brackets, so that its parser must come to the end of the text.
    found = parse(f"$({text})$", extraction_config=[LatexExtractionConfig()], **options)
    # It reads capitals as small letters.
    if not found or not isinstance(found[0], Expr) or re.search("[A-Z]", text):
        raise UnreadableError(text)
    value = found[0].doit()
    return value.xreplace({symbol: Symbol(str(symbol)) for symbol in value.free_symbols})


class _Reader:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _TOKEN.findall(text)
        self.place = 0
        self.degrees = False  # whether a degree sign counts: only in the argument of a function

    def whole(self) -> Any:
        value = self.sum()
        if self.place < len(self.tokens):
            raise UnreadableError(self.text)
        return value

    # --- tokens

    @property
    def next(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def take(self, *wanted: str) -> str:
        """The next token if it is one of `wanted`, else nothing."""
        if self.next and self.next in wanted:
            self.place += 1
            return self.tokens[self.place - 1]
        return ""

    def expect(self, token: str) -> None:
        if not self.take(token):
            raise UnreadableError(self.text)

    # --- rules, from the loosest binding to the tightest

    def sum(self) -> Any:
        value = self.signed(self.product)
        while sign := self.take("+", "-"):
            term = self.product()
            value = value + term if sign == "+" else value - term
        return value

    def signed(self, rule: Any) -> Any:
        sign = self.take("+", "-")
        return -rule() if sign == "-" else rule()

    def product(self) -> Any:
        value, numeric = self.factor(), self.was_number()
        bound = False  # whether a slash came last, whose denominator would have to end here
        while True:
            if self.take("*"):
                value, numeric, bound = value * self.signed(self.factor), False, False
            elif self.take("/"):
                below = self.signed(self.factor)
                value, bound = self.quotient(value, below), not (numeric and self.was_number())
            elif self.starts_factor():
                if bound:
                    raise UnreadableError(self.text)
                value, numeric = value * self.factor(), False
            else:
                return value

    def starts_factor(self) -> bool:
        """Whether a factor follows without a sign. No number does: x2 and 2 3 are not products anyone writes."""
        token = self.next
        if token in ("(", "{") or token.isalpha():
            return True
        return token.startswith("\\") and token not in ("\\rfloor", "\\rceil", "\\%")

    def was_number(self) -> bool:
        return bool(re.match(r"[\d.]", self.tokens[self.place - 1]))

    def factor(self) -> Any:
        import sympy

        start = self.place
        value = self.atom()
        if self.place - start == 1 and re.fullmatch(r"\d+", self.tokens[start]):
            value = self.mixed(value)
        while True:
            if self.next == "^" and self.after() in ("\\circ", "{\\circ"):
                value = self.degree(value)
            elif self.take("^"):
                value = value ** self.exponent()
            elif self.take("!"):
                value = sympy.factorial(value)
            elif self.take("%") or self.take("\\%"):
                value = value / 100
            else:
                return value

    def mixed(self, whole: Any) -> Any:
        """137 \\frac{1}{2} is a sum, 2\\frac{x}{3} a product."""
        following = self.tokens[self.place : self.place + 7]
        if re.fullmatch(r"\\frac \{ \d+ \} \{ \d+ \}", " ".join(following)):
            return whole + self.atom()
        return whole

    def after(self) -> str:
        following = self.tokens[self.place + 1 : self.place + 3]
        return "".join(following) if following[:1] == ["{"] else "".join(following[:1])

    def degree(self, value: Any) -> Any:
        import sympy

        self.place += 1
        braced = self.take("{")
        self.expect("\\circ")
        if braced:
            self.expect("}")
        return value * sympy.pi / 180 if self.degrees else value

    def exponent(self) -> Any:
        return self.group() if self.next == "{" else self.signed(self.atom)

    def group(self) -> Any:
        """{...}, (...) or one atom."""
        if self.take("{"):
            value = self.sum()
            self.expect("}")
            return value
        return self.atom()

    def quotient(self, above: Any, below: Any) -> Any:
        if below == 0:
            raise UnreadableError(self.text)
        return above / below

    def atom(self) -> Any:
        import sympy

        token = self.next
        self.place += 1
        if re.match(r"[\d.]", token):
            return sympy.Rational(token)
        if token in ("(", "{", "|"):
            value = self.sum()
            self.expect({"(": ")", "{": "}", "|": "|"}[token])
            return sympy.Abs(value) if token == "|" else value
        if token.isalpha():
            return self.letter(token)
        if token.startswith("\\"):
            return self.command(token[1:])
        raise UnreadableError(self.text)

    def letter(self, token: str) -> Any:
        import sympy

        if token in "ei" and self.next != "_":
            return sympy.E if token == "e" else sympy.I
        name = token + self.subscript() + "".join(iter(lambda: self.take("'"), ""))
        if token in "fgh" and self.next in ("(", "^"):
            name += self.raw()  # f(x + 1) is no product
        return sympy.Symbol(name)

    def subscript(self) -> str:
        if not self.take("_"):
            return ""
        if self.next == "{":
            return "_" + self.raw()
        self.place += 1
        return "_{" + self.tokens[self.place - 1] + "}"

    def raw(self) -> str:
        """The text up to the end of the brackets that follow, or of a power and these."""
        start, depth = self.place, 0
        while self.place < len(self.tokens):
            depth += {"(": 1, "{": 1, ")": -1, "}": -1}.get(self.next, 0)
            self.place += 1
            if depth == 0 and self.tokens[self.place - 1] in (")", "}") and self.next != "(":
                return "".join(self.tokens[start : self.place])
        raise UnreadableError(self.text)

    def command(self, name: str) -> Any:
        import sympy

        if name in _FUNCTIONS:
            return self.function(name)
        if _GREEK.fullmatch(name):
            return sympy.Symbol("\\" + name + self.subscript())
        if name in _STYLES and self.next == "{":
            return sympy.Symbol("\\" + name + self.raw() + self.subscript())
        if name in ("pi", "infty"):
            return sympy.pi if name == "pi" else sympy.oo
        if name == "frac" and not "".join(self.tokens[self.place :]).startswith("{d}{d"):  # no derivatives
            return self.quotient(self.group(), self.group())
        if name == "sqrt":
            degree = self.root_degree()
            return self.group() ** (1 / sympy.Integer(degree))
        if name in ("binom", "dbinom", "tbinom"):
            return sympy.binomial(self.group(), self.group())
        if name in ("lfloor", "lceil"):
            value = self.sum()
            self.expect("\\r" + name[1:])
            return sympy.floor(value) if name == "lfloor" else sympy.ceiling(value)
        raise UnreadableError(self.text)

    def root_degree(self) -> int:
        if not self.take("["):
            return 2
        degree = self.next
        self.place += 1
        self.expect("]")
        if not re.fullmatch(r"[2-9]|[1-9]\d", degree):
            raise UnreadableError(self.text)
        return int(degree)

    def function(self, name: str) -> Any:
        import sympy

        power, base = None, sympy.Integer(10) if name == "log" else None
        if name == "log" and self.take("_"):
            base = self.group()
        if self.take("^"):
            power = self.exponent()
        if power == -1 and name in _INVERSE:
            name, power = "arc" + name, None
        outside, self.degrees = self.degrees, True
        value = self.argument()
        self.degrees = outside
        made = getattr(sympy, _FUNCTIONS[name])(value, *([base] if base is not None else []))
        return made if power is None else made**power

    def argument(self) -> Any:
        """(...) or {...}, or factors up to the next sign or function: the 2x of \\sin 2x \\cos x."""
        if self.next in ("(", "{"):
            return self.atom()
        value = self.factor()
        while self.starts_factor() and self.next.removeprefix("\\") not in _FUNCTIONS and self.next != "(":
            value = value * self.factor()
        return value
