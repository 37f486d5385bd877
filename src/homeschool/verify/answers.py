"""Where the final answer stands in a text, and the number it is, if it is a plain one. Shared by `exact` and `math`.

Models end their solutions in many ways; a verifier that read them all at once would pay for hedging ("5, or 6, or
7"). So every rule here commits to *one* span of the text. Nothing here runs a parser that can hang: each rule is a
regular expression whose cost is bounded, on at most the last 8000 characters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

TAIL = 8_000
"""Characters read from the end of a text: a final answer stands at the end."""

_CALCULATOR = re.compile(r"<<[^<>\n]{0,200}>>")
_HASHES = re.compile(r"####[ \t]*([^\n]*)")
_ANSWER_IS = re.compile(
    r"\banswer\b[*_]{0,2}\s{0,3}(?:is|was|:|=)(?:[ \t]*:)?[*_]{0,2}"
    r"|^[ \t]*A:",
    re.IGNORECASE | re.MULTILINE,
)
_SENTENCE_END = re.compile(r"[.!](?=\s|$)")
_DISPLAY = re.compile(r"\$\$.{1,1000}?\$\$|\\\[.{1,1000}?\\\]", re.DOTALL)
_FORMULAS = re.compile(
    r"\$[^$\n]+\$(?:\s{0,3}(?:,|and|or|, and|, or)\s{0,3}\$[^$\n]+\$)*"
    r"|\\\([^\n]{1,1000}?\\\)"
)
_COMMAND = re.compile(r"\\(?:begin|end|operatorname)\{\w*\}|\\[A-Za-z]+")
_WORD = re.compile(r"[A-Za-z]{4,}|\b(?:it|is|are|was|the|so|we|he|she|of|to)\b", re.IGNORECASE)
_FUNCTIONS = frozenset({"sqrt", "frac", "infinity", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh"})

_DIGITS = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+"
_SCALES = {"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_SCALE = re.compile(rf"\s({'|'.join(_SCALES)})\b", re.IGNORECASE)
_ANY_NUMBER = re.compile(rf"(?<![\w.])-?[$€£]?(?:{_DIGITS})(?:\s?/\s?\d+)?%?(?:\s(?:{'|'.join(_SCALES)})\b)?")
_DECIMAL = re.compile(rf"(?P<sign>[-+]?)\s?(?P<digits>{_DIGITS})\.?(?:[eE](?P<power>[-+]?\d{{1,2}}))?")
_RATIO = re.compile(
    r"(?P<sign>[-+]?)\s?(?:(?P<whole>\d+)\s+)?(?P<top>\d+)\s?/\s?(?P<bottom>\d+)"
    r"|(?P<sign2>[-+]?)\s?(?P<whole2>\d+)?\s?\\[dt]?frac\s?\{(?P<top2>-?\d+)\}\s?\{(?P<bottom2>\d+)\}"
)
_PERCENT = re.compile(r"\s?(?:\\?%|per ?cent|pct)$", re.IGNORECASE)
_UNIT = re.compile(
    r"(?<=[\d.}])\s{0,3}"
    r"(?:\\text\{[^{}\d]*\}|\([^()\d]*[A-Za-z][^()\d]*\)|\s(?!(?:pi|and|or)\b)[A-Za-z][A-Za-z' -]+\.?)$"
)
_SPACED = re.compile(r"-?\d{1,3}(?: \d{3})+")
_LONGEST_NUMBER = 200


@dataclass(frozen=True, slots=True)
class Number:
    """A plain number: its exact value, whether it was written with a decimal point, and with a percent sign."""

    value: Fraction
    rounded: bool = False
    percent: bool = False


def gold_answers(columns: Mapping[str, Any]) -> list[str]:
    """The accepted answers in column `answer` as texts; empty if there is none.

    A list holds several accepted answers. A whole float is written without its `.0` (a Parquet column of integers
    with a gap comes back as floats).
    """
    value = columns.get("answer")
    values = cast("list[Any]", value) if isinstance(value, (list, tuple)) else [value]
    texts = [str(int(v)) if isinstance(v, float) and v.is_integer() else str(v) for v in values if v is not None]
    return [text for text in texts if text.strip()]


def after_hashes(text: str) -> str | None:
    """What follows the last `####` up to the end of its line (GSM8K's convention), or None."""
    _, mark, rest = text.rpartition("####")
    return rest.lstrip("#").strip().partition("\n")[0].strip() if mark else None


def shown(text: str, *, limit: int = 200) -> str:
    """`text` as evidence: at most `limit` characters, and nothing that cannot be written as UTF-8."""
    cut = text if len(text) <= limit else text[: limit - 3] + "..."
    return cut.encode("utf-8", "replace").decode("utf-8")


def final_answer(text: str) -> str | None:
    """The one span of `text` that states its result, or None if there is none. In this order:

    1. the last of `#### X` and `\\boxed{X}` (a `####` line of prose is a Markdown heading and does not count);
    2. what follows the last "answer is", "Answer:" or a line's "A:", up to the end of the sentence;
    3. a `####` line after all, if it is the last line;
    4. the last line, if it is a formula or begins with `=`; else the last formula or number in the text.

    Of prose ("72 clips, because ...") the formula is taken, else what follows the last `=`, else the first number.
    """
    text = _CALCULATOR.sub("", text[-TAIL:])
    stated = _stated(text)
    if stated is not None:
        return stated
    markers = list(_ANSWER_IS.finditer(text))
    if markers:
        span = _narrow(_sentence(text[markers[-1].end() :]))
        if span:
            return span
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return None
    if lines[-1].startswith("####"):
        return lines[-1].lstrip("#").strip() or None
    last = lines[-1].lstrip("=").strip()
    if last and len(last) <= _LONGEST_NUMBER and (lines[-1].startswith("=") or not wordy(last)):
        return _narrow(last)
    spans = [*_FORMULAS.finditer(text), *_ANY_NUMBER.finditer(text)]
    return _bare(max(spans, key=lambda span: (span.end(), -span.start())).group()) if spans else None


def gold_span(text: str) -> str:
    """The answer in a gold text: as in `final_answer` if it holds `####`, `\\boxed` or "answer is", else all of it."""
    text = _CALCULATOR.sub("", text.strip())
    if "####" in text:
        return after_hashes(text) or ""
    stated = _stated(text)
    if stated is not None:
        return stated
    markers = list(_ANSWER_IS.finditer(text))
    return _bare(text[markers[-1].end() :].strip() if markers else text)


def wordy(span: str) -> bool:
    """Whether `span` holds a word of four letters or more, or a short one of prose: then it is no formula."""
    return any(word.lower() not in _FUNCTIONS for word in _WORD.findall(_COMMAND.sub(" ", span)))


def number(span: str) -> Number | None:
    """The plain number that `span` is, or None for all else.

    Read are 1,000  1 000  $5  72 clips  2 million  3/4  1 1/2  \\frac{3}{4}  6.5e-3  20%. A unit of at least two
    letters is dropped, not compared.
    """
    if len(span) > _LONGEST_NUMBER:
        return None
    text = _plain(span)
    percent = _PERCENT.search(text)
    text = text[: percent.start()] if percent else text
    scale = _SCALE.search(text)
    text = text[: scale.start()] + text[scale.end() :] if scale else text
    text = text if percent else _UNIT.sub("", text).strip()
    value = _value(text.replace(" ", "") if _SPACED.fullmatch(text) else text)
    if value is None:
        return None
    factor = _SCALES[scale[1].lower()] if scale else 1
    return Number(value * factor, "." in text, percent is not None)


def same_number(want: Number, got: Number) -> bool:
    """Whether two plain numbers agree.

    20% agrees with 0.2 and, because a question may ask for "what percent", with 20. Two numbers of which one was
    written with a decimal point agree if they are the same to six decimals *and* to six significant digits.
    """
    pairs = [(want.value, got.value)]
    if want.percent != got.percent:
        pairs.append((want.value / 100, got.value) if want.percent else (want.value, got.value / 100))
    if any(a == b for a, b in pairs):
        return True
    if not (want.rounded or got.rounded):
        return False
    return any(round(a, 6) == round(b, 6) and f"{float(a):.6g}" == f"{float(b):.6g}" for a, b in pairs)


def _plain(span: str) -> str:
    """`span` without currency, degrees, bold, thin spaces and a final stop."""
    text = span.replace("−", "-")  # noqa: RUF001
    text = re.sub(r",\\!\s*", ",", text)
    text = re.sub(r"\^\{?\\circ\}?|\\[!,]|\\?[$€£]", "", text)
    text = text.strip("* ") if "**" in text else text
    return text.strip().removesuffix(".")


def _value(text: str) -> Fraction | None:
    """The exact value of a decimal, a fraction or a mixed number."""
    if match := _DECIMAL.fullmatch(text):
        value = Fraction(match["digits"].replace(",", "")) * Fraction(10) ** int(match["power"] or 0)
        return -value if match["sign"] == "-" else value
    match = _RATIO.fullmatch(text)
    if match is None:
        return None
    sign, whole, top, bottom = match.group("sign", "whole", "top", "bottom")
    if bottom is None:
        sign, whole, top, bottom = match.group("sign2", "whole2", "top2", "bottom2")
    if int(bottom) == 0:
        return None
    value = int(whole or 0) + Fraction(int(top), int(bottom))
    return -value if sign == "-" else value


def _stated(text: str) -> str | None:
    """The last complete `#### X` or `\\boxed{X}`, whichever stands later."""
    boxed, position = _last_boxed(text)
    for match in reversed(list(_HASHES.finditer(text))):
        if match.start() < position:
            break
        line = match[1].strip("# \t")
        if line and (number(line) is not None or not wordy(line)):
            return _bare(line)
    return boxed


def _last_boxed(text: str) -> tuple[str | None, int]:
    """The content of the last `\\boxed{...}` whose braces close, and where it starts (-1 if there is none)."""
    start = len(text)
    while (start := max(text.rfind("\\boxed{", 0, start), text.rfind("\\fbox{", 0, start))) >= 0:
        opening = text.index("{", start)
        depth = 0
        for place in range(opening, min(len(text), opening + 1200)):
            depth += {"{": 1, "}": -1}.get(text[place], 0)
            if depth == 0:
                return text[opening + 1 : place].strip(), start
    return None, -1


def _sentence(text: str) -> str:
    """The first sentence, line or display formula of `text`."""
    text = text.lstrip(" \t\n*_:")
    display = _DISPLAY.match(text)
    if display:
        return display.group()
    line = text.partition("\n")[0]
    end = _SENTENCE_END.search(line)
    return line[: end.start()] if end else line


def _narrow(span: str) -> str | None:
    """The formula or number in a span that may be prose."""
    span = span.strip()
    if not wordy(span) or number(span) is not None:
        return _bare(span) or None
    formula = _DISPLAY.search(span) or _FORMULAS.search(span)
    if formula:
        return _bare(formula.group())
    _, _, after = span.rpartition("=")
    found = _ANY_NUMBER.search(after) or _ANY_NUMBER.search(span)
    return found.group() if found else _bare(span) or None


def _bare(span: str) -> str:
    """`span` without what only marks it as a formula, bold or quoted ($...$, \\(...\\), **...**) and its final stop."""
    span = span.strip().strip('*_ \t\n`"').removesuffix(".").strip()
    for left, right in (("$$", "$$"), ("\\[", "\\]"), ("\\(", "\\)"), ("$", "$")):
        if span.startswith(left) and span.endswith(right) and len(span) > len(left) + len(right):
            span = span[len(left) : -len(right)].strip()
    return re.sub(r"(?<!\\)\$", "", span) if span.count("$") > 1 else span
