"""Verify worked arithmetic with a calculator: every line must have the value of the problem.

An answer is a list of lines, each `= ` and an expression, one simplification a line, the last a plain number:

    8-(3+4)+2*5          the problem (column `expression`)
    = 8-7+2*5
    = 8-7+10
    = 1+10
    = 11

The verifier is never shown a solution: it needs a calculator, not a teacher. It reads only digits, `+ - *` and
brackets, so no answer can make it run anything or compute something large.

It refuses a right number reached by a wrong path (`(8-7)*4`, `= 8-7*4`, `= 4`): a model that learns from lucky
paths learns them. It cannot see a slip that keeps the value (`2*2` to `= 2+2`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from homeschool.core.protocols import Context
from homeschool.core.records import Row
from homeschool.core.verdict import Broken, Fail, Pass, Verdict

TOKEN = re.compile(r"\d{1,6}|[-+*()]")
LINE = re.compile(r"= ([0-9+\-*()]{1,100})")


class Calculator:
    name = "calculator@1"

    async def __call__(self, row: Row, answers: Sequence[str], ctx: Context | None = None) -> list[Verdict]:
        expression = row.get("expression")
        value = evaluate(expression) if isinstance(expression, str) else None
        if value is None:
            broken = Broken(reason="expression cannot be read", evidence=repr(expression), verifier=self.name)
            return [broken for _ in answers]
        return [self._judge(value, answer) for answer in answers]

    def _judge(self, value: int, answer: str) -> Verdict:
        lines = answer.strip("\n").split("\n")
        for number, line in enumerate(lines, start=1):
            match = LINE.fullmatch(line)
            written = evaluate(match[1]) if match else None
            if written is None:
                return self._fail("unreadable line", f"line {number}: {line[:100]!r}")
            if written != value:
                return self._fail("wrong line", f"line {number}: {line!r} is {written}, not {value}")
        if not lines[-1][2:].isdigit():
            return self._fail("no final number", repr(lines[-1]))
        return Pass({"correct": 1.0}, evidence=f"{len(lines)} lines of value {value}", verifier=self.name)

    def _fail(self, reason: str, evidence: str) -> Fail:
        return Fail({"correct": 0.0}, reason=reason, evidence=evidence, verifier=self.name)


def verifier(**_: Any) -> Calculator:
    return Calculator()


def evaluate(expression: str) -> int | None:
    """The value of an expression of whole numbers, `+ - *` and brackets; None if it is not one."""
    tokens = TOKEN.findall(expression)
    if len("".join(tokens)) != len(expression):
        return None
    value, rest = _sum(tokens, 0)
    return value if rest == len(tokens) else None


# Recursive descent, one function a precedence. Each returns the value (None: not an expression) and the next index.
# LINE bounds the length at 100 characters, and so the depth of the recursion and the size of any product.


def _sum(tokens: list[str], at: int) -> tuple[int | None, int]:
    value, at = _product(tokens, at)
    while value is not None and at < len(tokens) and tokens[at] in "+-":
        sign = 1 if tokens[at] == "+" else -1
        term, at = _product(tokens, at + 1)
        value = None if term is None else value + sign * term
    return value, at


def _product(tokens: list[str], at: int) -> tuple[int | None, int]:
    value, at = _atom(tokens, at)
    while value is not None and at < len(tokens) and tokens[at] == "*":
        factor, at = _atom(tokens, at + 1)
        value = None if factor is None else value * factor
    return value, at


def _atom(tokens: list[str], at: int) -> tuple[int | None, int]:
    if at >= len(tokens):
        return None, at
    if tokens[at] == "(":
        value, at = _sum(tokens, at + 1)
        closed = at < len(tokens) and tokens[at] == ")"
        return (value, at + 1) if closed else (None, at)
    return (int(tokens[at]), at + 1) if tokens[at].isdigit() else (None, at)


_PROBLEM = {"expression": "8-(3+4)+2*5"}
GOLD = [
    (_PROBLEM, "= 8-7+2*5\n= 8-7+10\n= 1+10\n= 11"),
    (_PROBLEM, "= 11"),
    ({"expression": "7"}, "= 7"),
    ({"expression": "9-3+8"}, "= 6+8\n= 14"),
]
CORRUPTED = [
    (_PROBLEM, "= 8-3+4+2*5\n= 5+4+2*5\n= 9+2*5\n= 11*5\n= 55"),
    (_PROBLEM, "= 8-7+2*5\n= 8-7+10"),
    (_PROBLEM, "= 8-7+2*5\n= 8-7+10\n= 2+10\n= 11"),
    (_PROBLEM, "11"),
    (_PROBLEM, ""),
    (_PROBLEM, "= 11 because I say so"),
    (_PROBLEM, "= __import__('os').getpid()"),
    (_PROBLEM, "= 9**9**9**9"),
    (_PROBLEM, "= " + "(" * 90),
]
