"""Worked arithmetic where a careless author goes wrong: the task of `reproduce selection`.

The *careless* author types a problem into a pocket calculator: the brackets are dropped, then strictly left to right,
and one line in forty is off by one. A model that has read mostly such authors (as on the web most text is not the best
text) answers like them, although a careful minority is in its samples. Which of two samples is right, only a verifier
can tell: the careless one is in the majority.

Problems are those of `tasks.arithmetic` at levels 2 to 4 on which both authors stay inside the table. Of those where
they come to the same number, most are redrawn (`AGREEING`), since they say nothing about which author is speaking.
"""

from __future__ import annotations

import random

from homeschool.core.identity import seed_of
from homeschool.core.records import Row
from homeschool.core.task import Task
from homeschool.tasks import arithmetic
from homeschool.verify.calculator import Calculator

LEVELS = (2, 3, 4)
SLIP = 1 / 40
"""How often a careless author's line is off by one."""
AGREEING = 0.05
"""Share of the problems with one answer for both authors that is kept."""
EXAM, DEV = 200, 60
"""Problems a level."""


def task(*, seed: int = 0) -> Task:
    """Levels 2 to 4, all of them shown solved in the corpus of the base, mostly by careless authors."""
    del seed
    return Task(
        name="arithmetic_careless",
        verifier=Calculator(),
        draw=draw,
        exam=tuple(row for level in LEVELS for row in _problems(level, EXAM, "exam", seed=0)),
        dev=tuple(row for level in LEVELS for row in _problems(level, DEV, "dev", seed=0)),
        levels=LEVELS,
        headline="shown",
    )


def draw(level: int | None, n: int, seed: int) -> list[Row]:
    """`n` training problems of `level` (None: of all three)."""
    if level is not None:
        return _problems(level, n, "train", seed=seed)
    return [row for at in LEVELS for row in _problems(at, n // len(LEVELS), "train", seed=seed)]


def careless_lines(expression: str, rng: random.Random | None = None) -> list[str] | None:
    """The careless author's lines: no brackets, strictly left to right; with `rng`, slips. None: outside the table."""
    current = expression.replace("(", "").replace(")", "")
    lines: list[str] = []
    while not current.isdigit():
        reduced = arithmetic.reduce_once(current, in_order=True)
        if reduced is None:
            return None
        if rng is not None and rng.random() < SLIP:
            reduced = _slip(reduced, rng)
        lines.append(reduced)
        current = reduced
    return lines


def _slip(line: str, rng: random.Random) -> str:
    """The number just written (the first of the line), off by one."""
    digits = len(line) - len(line.lstrip("0123456789"))
    value = int(line[:digits]) + rng.choice((-1, 1))
    return f"{min(99, max(0, value))}{line[digits:]}"


def _problems(level: int, n: int, part: str, *, seed: int) -> list[Row]:
    rng = random.Random(seed_of("arithmetic careless", part, level, seed))
    found: dict[str, None] = {}
    while len(found) < n:
        expression = arithmetic.problem(rng, level)
        if arithmetic.split(expression) != part or expression in found:
            continue
        careless, careful = careless_lines(expression), arithmetic.reductions(expression)
        if careless is None or careful is None or (careless[-1] == careful[-1] and rng.random() > AGREEING):
            continue
        found[expression] = None
    return [arithmetic.row(expression, group="shown") for expression in found]
