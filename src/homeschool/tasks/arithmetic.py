"""Worked arithmetic on a ladder: the task of the quickstart.

A problem is an expression over single digits; its level is its number of operators. An answer rewrites it one
reduction a line until a number is left, and a calculator checks every line. People can read it, problems never run
out, and the ladder has no top.

Every value on the way lies in 0..99 and every single reduction in a bounded table (`_table`), so that one step is
learnable by a very small model and what is hard is keeping a long line in order: level 5 needs five right lines.

Training, exam, dev and recall problems are told apart by a hash of the expression, so they are disjoint by
construction, from the corpus of `nano` too, however many are drawn.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable

from homeschool.core.identity import seed_of
from homeschool.core.records import Row
from homeschool.core.task import Task
from homeschool.verify.calculator import Calculator

SHOWN = (1, 2, 3)
"""Levels whose worked solutions are in the corpus of `nano`."""
NEVER_SHOWN = (4, 5)
"""The first two levels that it never saw solved: the headline of the quickstart."""
TOP = 8

EXAM = {1: 30, 2: 120, 3: 260, 4: 300, 5: 300, 6: 100}
DEV = {3: 64, 4: 100, 5: 100, 6: 64}
RECALL = {1: 12, 2: 60, 3: 120}

_MULTIPLY = re.compile(r"(\d+)(\*)(\d+)")
_ANY = re.compile(r"(\d+)([-+*])(\d+)")


def task(*, seed: int = 0) -> Task:
    """The ladder. The exam is the same for every seed, so that runs can be compared item by item."""
    del seed
    return Task(
        name="arithmetic",
        verifier=Calculator(),
        draw=draw,
        exam=_set("exam", EXAM),
        dev=_set("dev", DEV),
        recall=_set("recall", RECALL),
        levels=tuple(range(1, TOP + 1)),
        headline="never shown",
    )


def draw(level: int | None, n: int, seed: int) -> list[Row]:
    """`n` distinct training problems of `level` (None: any shown level)."""
    rng = random.Random(seed_of("arithmetic", level, seed))
    return _distinct(lambda: _grow(rng, level or rng.choice(SHOWN)), "train", n)


def problem(rng: random.Random, level: int) -> str:
    """A random expression with `level` operators whose every reduction is in the table."""
    while True:
        expression = _grow(rng, level)
        if reductions(expression) is not None:
            return expression


def reductions(expression: str) -> list[str] | None:
    """The careful author's lines after the problem, the last one a number; None if a step is outside the table."""
    lines: list[str] = []
    while not expression.isdigit():
        reduced = reduce_once(expression)
        if reduced is None:
            return None
        expression = reduced
        lines.append(expression)
    return lines


def reduce_once(expression: str, *, in_order: bool = False) -> str | None:
    """One reduction: the innermost bracket first, in it the leftmost product, else the leftmost sum.

    `in_order` takes the leftmost operation whatever it is. None if the step is outside the table.
    """
    close = expression.find(")")
    start = expression.rfind("(", 0, close) + 1 if close >= 0 else 0
    end = close if close >= 0 else len(expression)
    product = None if in_order else _MULTIPLY.search(expression, start, end)
    match = product or _ANY.search(expression, start, end)
    assert match is not None, expression
    value = _table(int(match[1]), match[2], int(match[3]))
    if value is None:
        return None
    low, high = match.span()
    if close >= 0 and (low, high) == (start, end):
        low, high = low - 1, high + 1  # the bracket holds nothing else: it goes with its last operation
    return f"{expression[:low]}{value}{expression[high:]}"


def answer_limit(level: int) -> int:
    """Tokens of the longest right answer at `level`, with room to spare: runaway samples cost more than all else."""
    return sum(2 * k + 7 for k in range(level)) + 4 * level + 8


def split(expression: str) -> str:
    """Half of all expressions are for training, a quarter for exams, an eighth each for dev and recall."""
    bucket = hashlib.sha256(expression.encode()).digest()[0] % 8
    return ("exam", "exam", "dev", "recall")[bucket] if bucket < 4 else "train"


def heading(level: int) -> str:
    """The heading a level is reported under."""
    if level in SHOWN:
        return "shown"
    return "never shown" if level in NEVER_SHOWN else "further"


def row(expression: str, *, group: str = "") -> Row:
    """The problem as a row."""
    level = sum(sign in "+-*" for sign in expression)
    return Row.source(
        {
            "prompt": f"Q: {expression}\n",
            "expression": expression,
            "level": level,
            "group": group or heading(level),
            "max_tokens": answer_limit(level),
        }
    )


def _set(name: str, sizes: dict[int, int]) -> tuple[Row, ...]:
    rows: list[Row] = []
    for level, n in sizes.items():
        rng = random.Random(seed_of("arithmetic", name, level))
        rows += _distinct(lambda rng=rng, level=level: _grow(rng, level), name, n)
    return tuple(rows)


def _distinct(make: Callable[[], str], part: str, n: int) -> list[Row]:
    """`n` distinct problems of one part of the split (fewer where a level has no more, as level 1)."""
    found: dict[str, None] = {}
    tries = 0
    while len(found) < n and tries < 1000 * (n + 1):
        tries += 1
        expression = make()
        if split(expression) == part and expression not in found and reductions(expression) is not None:
            found[expression] = None
    return [row(expression) for expression in found]


def _table(a: int, sign: str, b: int) -> int | None:
    """One step of the bounded table: sums with a small addend, differences of a small number, small products."""
    if sign == "+":
        return a + b if min(a, b) <= 10 and a + b <= 99 else None
    if sign == "-":
        return a - b if b <= 10 and a >= b else None
    return a * b if a <= 10 and b <= 10 and a * b <= 99 else None


def _grow(rng: random.Random, operators: int) -> str:
    """A random expression; leaves are mostly 2..9, since factors of 0 and 1 let wrong paths come out right."""
    if operators == 0:
        return str(rng.randint(0, 9) if rng.random() < 0.1 else rng.randint(2, 9))
    left = rng.randint(0, operators - 1)
    sides = [_grow(rng, left), _grow(rng, operators - 1 - left)]
    for index, inner in enumerate((left, operators - 1 - left)):
        if inner > 0 and rng.random() < 0.35:
            sides[index] = f"({sides[index]})"
    return f"{sides[0]}{rng.choice('+-*')}{sides[1]}"
