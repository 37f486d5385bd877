"""`countdown`: an expression over given numbers that makes the target: Countdown's rules, and those of the game of 24.

Needs columns `nums` (whole numbers, none negative) and `target` (a number). Each number is used exactly once; with
`countdown(subset=true)` at most once, as on television. Allowed are `+ - * /`, brackets and a sign; Unicode's signs,
`x` and LaTeX's `\\times`, `\\div`, `\\cdot` and `\\frac` are read as these. Values are exact fractions.

One expression is judged, so that naming several does not pay: the one in the last of `<answer>...</answer>`,
`\\boxed{...}` and `#### ...`; else on the line of the last "Answer:" or "answer is"; else on the last line. Beside it
may stand words, and `=` the target (on either side).

Refused: another value, a number that was not given (so also `13` made of 1 and 3), one left out or used twice, two
expressions, `=` something that is not the target, and whatever is not in the grammar: powers, factorials, roots,
decimals, names. Nothing is evaluated by Python: a parser of its own reads at most 200 characters.

Verdicts: Pass; Fail with `no expression found`, `unreadable expression`, `several expressions`, `wrong numbers`,
`division by zero` or `wrong value`; Broken with `no numbers or target`.

Known limit: an expression that is right and stands before the last line, unmarked, is not found.

Measured: for 908 puzzles of the published 1,362 of the game of 24 a solver's expression passes, and fails for the next
puzzle of other numbers and for the target 25.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

from homeschool.core.protocols import Context
from homeschool.core.records import Row
from homeschool.core.verdict import Broken, Fail, Pass, Verdict
from homeschool.verify.answers import TAIL, shown

LONGEST = 200
"""Characters of an expression; with DEEPEST it bounds the depth of the parser."""
DEEPEST = 50

_NUMS: dict[str, Any] = {"nums": [1, 4, 6, 8], "target": 24}
GOLD: list[tuple[dict[str, Any], str]] = [
    (_NUMS, "(8 - 4) * 6 * 1"),
    (_NUMS, "8 - 4 = 4 (left: 1 4 6)\n4 * 6 = 24 (left: 1 24)\nAnswer: (8 - 4) * 6 * 1 = 24"),
    (_NUMS, "<think>8*6=48, no</think>\n<answer> 1 × 6 × (8 − 4) </answer>"),  # noqa: RUF001
    (_NUMS, "So we get $\\boxed{\\left(8-4\\right) \\times \\frac{6}{1} = 24}$."),
    (_NUMS, "The answer is 24 = (8 - 4)*6/1."),
    ({"nums": [3, 3, 8, 8], "target": 24}, "8 / (3 - 8 / 3)"),
    ({"nums": [5, 5], "target": 0}, "Using both numbers: `5-5`"),
    ({"nums": [7], "target": 7}, "7"),
    ({"nums": [2, 7], "target": 9}, "2 and 7:\n= 2 + 7"),
]
CORRUPTED: list[tuple[dict[str, Any], str]] = [
    (_NUMS, "(8 - 4) * 6 * 1 + 0"),
    (_NUMS, "(8 - 4) * 6"),
    (_NUMS, "(8 + 4) * 6 * 1"),
    (_NUMS, "48 / (6 - 4) * 1"),
    (_NUMS, "4! * 1 ** (8 - 6)"),
    (_NUMS, "(8 - 4) * 6 ^ 1"),
    (_NUMS, "(8 - 4) * 6 * 1 or 4 * 6 / (8 - 1)"),
    (_NUMS, "(8 - 4) * 6 * 1 = 25"),
    (_NUMS, "(8 - 4) * 6 * 1 = 4 * 6 = 24"),
    (_NUMS, "6 / (8 - 4 - 4) * 1"),
    (_NUMS, "24"),
    (_NUMS, "__import__('os').getpid()"),
    ({"nums": [2, 4, 6, 9], "target": 144}, "(9 - 6 + 4 - 2)²"),
    ({"nums": [1, 3, 11], "target": 24}, "13 + 11"),
    ({"nums": [4, 6], "target": 24}, "0.4 * 6"),
    ({"nums": [4, 6], "target": 24}, "4 * 6.5"),
]

_STATED = re.compile(r"<answer>(.*?)</answer>|\\boxed\{((?:[^{}]|\{[^{}]*\})*)\}|####([^\n]*)", re.DOTALL)
_ANSWER = re.compile(r"\banswer\b[*_]{0,2}\s?(?:is|:|=)[*_:]{0,3}([^\n]*)", re.IGNORECASE)
_FRACTION = re.compile(r"\\[dt]?frac\s?\{([^{}]*)\}\s?\{([^{}]*)\}")
_SIGNS = str.maketrans({"×": "*", "·": "*", "∗": "*", "⋅": "*", "÷": "/", "∕": "/", "−": "-", "–": "-"})  # noqa: RUF001
_LATEX = {r"\times": "*", r"\cdot": "*", r"\div": "/", r"\left": "", r"\right": "", "\\,": " ", "\\ ": " "}
_TIMES = re.compile(r"(?<=[\d)\s])[xX](?=[\s\d(])")
_BOLD = re.compile(r"(?<=\S)\*\*(?=\s|$|[.,;:])|(?:(?<=\s)|^)\*\*(?=\S)")
_TOKEN = re.compile(r"\d+|[-+*/()]")
_RUN = re.compile(r"[-+*/()\d=](?:[-+*/()\d=\s]*[-+*/()\d=])?")
_WORDS = re.compile(r"[A-Za-z\s,.:;'\"`$*]*")
_MARKS = " \t\n`$*_'\"."


@dataclass(frozen=True, slots=True)
class Countdown:
    """`subset`: numbers may be left out."""

    subset: bool = False
    name: str = "countdown@1"

    async def __call__(self, row: Row, answers: Sequence[str], ctx: Context | None = None) -> list[Verdict]:
        puzzle = _puzzle(row.columns)
        if puzzle is None:
            seen = f"nums {row.get('nums')!r:.100}, target {row.get('target')!r:.100}"
            broken = Broken(reason="no numbers or target", evidence=shown(seen), verifier=self.name)
            return [broken for _ in answers]
        return [self._judge(*puzzle, answer) for answer in answers]

    def _judge(self, nums: Counter[int], target: Fraction, answer: str) -> Verdict:
        stated = statement(answer)
        expression, reason = _expression(stated, target)
        if not expression:
            return self._fail(reason, stated)
        tokens = _TOKEN.findall(expression)
        used = Counter(int(token) for token in tokens if token.isdigit())
        if used - nums or (nums - used and not self.subset):
            return self._fail("wrong numbers", f"{expression} uses {sorted(used.elements())}")
        try:
            value = evaluate(tokens)
        except ZeroDivisionError:
            return self._fail("division by zero", expression)
        if value is None:
            return self._fail("unreadable expression", expression)
        if value != target:
            return self._fail("wrong value", f"{expression} is {value}, not {target}")
        return Pass({"correct": 1.0}, evidence=expression, verifier=self.name)

    def _fail(self, reason: str, evidence: str) -> Fail:
        return Fail({"correct": 0.0}, reason, shown(evidence), self.name)


def verifier(*, subset: bool = False) -> Countdown:
    """The verifier `countdown`. With `subset` numbers may be left out."""
    return Countdown(subset)


def statement(answer: str) -> str:
    """The part of an answer that states its result; empty if there is none."""
    text = answer[-TAIL:]
    stated = list(_STATED.finditer(text))
    if stated:
        return next(part for part in stated[-1].groups() if part is not None).strip()
    marked = [match[1].strip() for match in _ANSWER.finditer(text) if match[1].strip(_MARKS)]
    if marked:
        return marked[-1]
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def evaluate(tokens: Sequence[str]) -> Fraction | None:
    """The value of an expression of whole numbers, `+ - * /`, brackets and signs; None if it is not one.

    Raises ZeroDivisionError.
    """
    value, rest = _sum(tokens, 0)
    return value if rest == len(tokens) else None


def _puzzle(columns: Mapping[str, Any]) -> tuple[Counter[int], Fraction] | None:
    nums, target = columns.get("nums"), columns.get("target")
    if not isinstance(nums, (list, tuple)) or not nums or isinstance(target, bool):
        return None
    if not isinstance(target, (int, float)) or target != target or abs(target) == float("inf"):
        return None
    whole = [int(n) for n in cast("list[Any]", nums) if isinstance(n, (int, float)) and n >= 0 and n == n // 1]
    return (Counter(whole), Fraction(target)) if len(whole) == len(cast("list[Any]", nums)) else None


def _expression(stated: str, target: Fraction) -> tuple[str, str]:
    """The one expression in a statement, or an empty text and the reason why there is none."""
    text = _plain(stated.strip(" \t\n*_`"))
    runs = [run for run in _RUN.finditer(text) if any(sign in run[0] for sign in "+-*/")]
    if not runs:
        # A single number is an expression too, where it is all that is said.
        lone = text.strip(_MARKS)
        whole = lone.isascii() and lone.isdigit() and len(lone) <= LONGEST
        return (lone, "") if whole else ("", "no expression found")
    if not _WORDS.fullmatch(_RUN.sub(" ", text)):
        return "", "unreadable expression"
    if len(runs) > 1:
        return "", "several expressions"
    before, run, after = text[: runs[0].start()], runs[0][0], text[runs[0].end() :]
    decimal = before[-1:] in {".", ","} or (after[:1] in {".", ","} and after[1:2].isdigit())
    if decimal or before[-1:].isalnum() or after[:1].isalnum() or len(run) > LONGEST or run.count("(") > DEEPEST:
        return "", "unreadable expression"
    return _without_target(run, target)


def _without_target(run: str, target: Fraction) -> tuple[str, str]:
    """An equation's side that is not the target."""
    left, *right = (side.strip() for side in run.lstrip("= ").split("="))
    if not right or right == [""]:
        return left, ""
    if len(right) > 1:
        return "", "several expressions"
    for side, other in ((right[0], left), (left, right[0])):
        if side.isdigit() and len(side) < 20 and int(side) == target:
            return other, ""
    return "", "wrong value"


def _plain(text: str) -> str:
    """`text` with its signs as `+ - * /`."""
    text = text.translate(_SIGNS)
    for latex, sign in _LATEX.items():
        text = text.replace(latex, sign)
    text = re.sub(r"\\[()\[\]]", " ", text) if "\\" in text else text
    text = _BOLD.sub(" ", _TIMES.sub("*", _FRACTION.sub(r"((\1)/(\2))", text)))
    return text.replace("**", "^")


# Recursive descent, one function a precedence. Each returns the value (None: not an expression) and the next index.


def _sum(tokens: Sequence[str], at: int) -> tuple[Fraction | None, int]:
    value, at = _product(tokens, at)
    while value is not None and at < len(tokens) and tokens[at] in "+-":
        sign = 1 if tokens[at] == "+" else -1
        term, at = _product(tokens, at + 1)
        value = None if term is None else value + sign * term
    return value, at


def _product(tokens: Sequence[str], at: int) -> tuple[Fraction | None, int]:
    value, at = _signed(tokens, at)
    while value is not None and at < len(tokens) and tokens[at] in "*/":
        sign = tokens[at]
        factor, at = _signed(tokens, at + 1)
        value = None if factor is None else value * factor if sign == "*" else value / factor
    return value, at


def _signed(tokens: Sequence[str], at: int) -> tuple[Fraction | None, int]:
    sign = 1
    if at < len(tokens) and tokens[at] in "+-":
        sign, at = (1 if tokens[at] == "+" else -1), at + 1
    value, at = _atom(tokens, at)
    return (None if value is None else sign * value), at


def _atom(tokens: Sequence[str], at: int) -> tuple[Fraction | None, int]:
    if at >= len(tokens):
        return None, at
    if tokens[at] == "(":
        value, at = _sum(tokens, at + 1)
        closed = at < len(tokens) and tokens[at] == ")"
        return (value, at + 1) if closed else (None, at)
    return (Fraction(tokens[at]), at + 1) if tokens[at].isdigit() else (None, at)
