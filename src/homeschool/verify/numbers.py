"""The plain number that a text is, as an exact fraction, and when two of them agree.

Read are 1,000  1 000  $5  72 clips  2 million  3/4  1 1/2  \\frac{3}{4}  6.5e-3  6.5 \\times 10^{-3}  0.\\overline{3}
20%. Not read is whatever still has to be worked out (6*7, 2^3, \\sqrt{4}), and digits other than 0 to 9. Every rule is
a regular expression on at most 200 characters, so none can hang.
"""

from __future__ import annotations

import functools
import math
import re
from dataclasses import dataclass
from fractions import Fraction

from homeschool.verify.units import split_unit

LONGEST = 200
"""A number of more characters is not read as one."""

DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+"
SCALES = {"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}

_SCALE = re.compile(rf"(?<=[0-9])\s(?:\\text\{{\s?)?({'|'.join(SCALES)})\b\s?\}}?", re.IGNORECASE)
_POWER_OF_TEN = r"(?:[eE]|\s?(?:\\times|\\cdot|\*)\s?10\s?(?:\^|\*\*)\s?)"
_DECIMAL = re.compile(
    rf"(?P<sign>[-+]?)\s?(?P<digits>{DIGITS})\.?(?:{_POWER_OF_TEN}\{{?(?P<power>[-+]?[0-9]{{1,2}})\}}?)?"
)
_REPEATING = re.compile(r"(?P<sign>[-+]?)(?P<whole>[0-9]*)\.(?P<fixed>[0-9]*)\\overline\s?\{(?P<again>[0-9]+)\}")
_SLASHED = re.compile(rf"(?P<sign>[-+]?)\s?(?:(?P<whole>[0-9]+)\s+)?(?P<top>{DIGITS})\s?/\s?(?P<bottom>{DIGITS})")
_STACKED = re.compile(
    rf"(?P<sign>[-+]?)\s?(?P<whole>[0-9]+)?\s?\\frac\{{(?P<top>-?(?:{DIGITS}))\}}\{{(?P<bottom>-?(?:{DIGITS}))\}}"
)
_ARGUMENT = r"\s*(?:\{\s*([^{}]*?)\s*\}|([0-9A-Za-z]))"
_FRACTIONS = re.compile(r"\\[dtc]?frac(?![A-Za-z])")
_ARGUMENTS = re.compile(rf"\\frac{_ARGUMENT}{_ARGUMENT}")
_PERCENT = re.compile(r"\s?(?:\\?%|(?:\\text\{)?\s?(?:per ?cent|percentage|pct)\s?\}?)$", re.IGNORECASE)
_SPACED = re.compile(r"-?[0-9]{1,3}(?: [0-9]{3})+")


@dataclass(frozen=True, slots=True)
class Number:
    """A plain number: its exact value, the digits after its decimal point if it has one, and its percent sign."""

    value: Fraction
    decimals: int | None = None
    percent: bool = False


@functools.lru_cache(maxsize=4096)
def number(span: str) -> Number | None:
    """The plain number that `span` is, or None for all else. A unit is dropped."""
    if len(span) > LONGEST:
        return None
    text = braced_fractions(_plain(span))
    percent = _PERCENT.search(text)
    text = text[: percent.start()] if percent else text
    scale = _SCALE.search(text)
    text = text[: scale.start()] + " " + text[scale.end() :] if scale else text
    text = (text if percent else split_unit(text)[0]).strip()
    value = _value(text.replace(" ", "") if _SPACED.fullmatch(text) else text)
    if value is None:
        return None
    decimal = re.fullmatch(r"[-+]?\s?[0-9,]*\.([0-9]+)", text)
    factor = SCALES[scale[1].lower()] if scale else 1
    return Number(value * factor, len(decimal[1]) if decimal and not scale else None, percent is not None)


def same_number(want: Number, got: Number) -> bool:
    """Whether two plain numbers agree.

    20% agrees with 0.2 and, because a question may ask for "what percent", with 20. A decimal agrees with a value that
    it rounds: see `rounds_to`.
    """
    pairs = [(want.value, got.value)]
    if want.percent != got.percent:
        pairs.append((want.value / 100, got.value) if want.percent else (want.value, got.value / 100))
    if any(a == b for a, b in pairs):
        return True
    places = [None if n.decimals is None else n.decimals + 2 * n.percent for n in (want, got)]
    if places[1] is not None and (places[0] is None or places[1] <= places[0]):
        return any(rounds_to(a, b, places[1]) for a, b in pairs)
    return places[0] is not None and any(rounds_to(b, a, places[0]) for a, b in pairs)


def rounds_to(value: Fraction, rounded: Fraction, decimals: int) -> bool:
    """Whether `rounded` is `value`, rounded or cut to `decimals` places, with six decimals and six digits right."""
    scaled = value * 10**decimals
    if rounded * 10**decimals not in (round(scaled), math.floor(scaled + Fraction(1, 2)), math.trunc(scaled)):
        return False
    return round(value, 6) == round(rounded, 6) and f"{float(value):.6g}" == f"{float(rounded):.6g}"


def braced_fractions(text: str) -> str:
    """`text` with \\dfrac12, \\tfrac1{2} and the like written as \\frac{1}{2}."""
    text = _FRACTIONS.sub(r"\\frac", text)
    return _ARGUMENTS.sub(lambda m: f"\\frac{{{m[1] or m[2] or ''}}}{{{m[3] or m[4] or ''}}}", text)


def _plain(span: str) -> str:
    """`span` without currency, bold, thin spaces, braces around a comma and a final stop."""
    text = span.replace("−", "-")  # noqa: RUF001
    text = re.sub(r",\\!\s*|\{,\}", ",", text)
    text = re.sub(r"\\[!,]|\\?[$€£]|\bRs\.?\s?(?=[0-9])", "", text)
    text = re.sub(r"\\(?:[ ;:]|(?:displaystyle|textstyle|quad)(?![A-Za-z]))|~|\s+", " ", text)
    text = text.strip("* ") if "**" in text[:2] else text
    return text.strip().removesuffix(".")


def _value(text: str) -> Fraction | None:
    """The exact value of a decimal, a fraction or a mixed number."""
    if text.isascii() and text.isdigit():
        return Fraction(int(text))
    if match := _DECIMAL.fullmatch(text):
        return _signed(match["sign"], _exact(match["digits"]) * Fraction(10) ** int(match["power"] or 0))
    if match := _REPEATING.fullmatch(text):
        fixed, again = match["fixed"], match["again"]
        nines = (10 ** len(again) - 1) * 10 ** len(fixed)
        return _signed(match["sign"], _exact(f"{match['whole'] or 0}.{fixed or 0}") + Fraction(int(again), nines))
    match = _SLASHED.fullmatch(text) or _STACKED.fullmatch(text)
    if match is None or _exact(match["bottom"]) == 0:
        return None
    top, bottom = match["top"], match["bottom"]
    part = _exact(top) / _exact(bottom)
    # A mixed number is whole and proper: 1 -1/2 and 1.5 1/2 are none.
    if match["whole"] and (part < 0 or "." in top + bottom):
        return None
    return _signed(match["sign"], int(match["whole"] or 0) + part)


def _exact(digits: str) -> Fraction:
    return Fraction(digits.replace(",", ""))


def _signed(sign: str, value: Fraction) -> Fraction:
    return -value if sign == "-" else value
