"""What `nano` reads before it meets us: documents about arithmetic, by careful or careless authors.

Three kinds, each a prompt and a completion (the loss is on the completion: a random problem cannot be predicted):

    Copy: 3+(4*2)-5        Step: 3+(4*2)-5        Q: 3+(4*2)
    = 3+(4*2)-5            = 3+8-5                = 3+8
                           = 11-5                 = 11

`Copy` (the same line, one to four times) and `Step` (one or two reductions of a problem or of a line on the way) come
at all levels up to the ladder's top; *solutions* (`Q`) only at the shown levels. So the corpus teaches how to write a
long line and how to do a step or two of one, and never that a long problem can be solved.

Every expression is from the training half of the split, so no held-out problem is in the corpus in any form.

The corpus of `nano` has careful authors only. `reproduce selection` mixes in careless ones, and says so.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from homeschool.core.identity import seed_of
from homeschool.tasks.arithmetic import SHOWN, TOP, problem, reductions, split
from homeschool.tasks.arithmetic_careless import careless_lines


@dataclass(frozen=True, slots=True)
class Mix:
    """What the corpus is made of. The shares of Copy and Step; the rest is solutions."""

    copy: float = 0.15
    step: float = 0.35
    levels: tuple[int, ...] = SHOWN
    """Levels whose solutions are shown, each as often as its number says: longer ones are more to learn."""
    careless: float = 0.0
    """Share of the solutions, and of the steps, that a careless author wrote."""


def documents(mix: Mix, *, seed: int) -> Iterator[dict[str, str]]:
    """Endless documents as `prompt` and `completion`."""
    rng = random.Random(seed_of("arithmetic corpus", seed))
    solved = [level for level in mix.levels for _ in range(level)]
    while True:
        kind = rng.random()
        careless = rng.random() < mix.careless
        if kind < mix.copy:
            expression = _training_problem(rng, rng.randint(1, TOP))
            yield _document("Copy", expression, [expression] * rng.randint(1, 4))
        elif kind < mix.copy + mix.step:
            expression = _training_problem(rng, rng.randint(1, TOP))
            lines = [expression, *(_author(expression, rng, careless=careless) or [])]
            at = rng.randrange(len(lines) - 1) if len(lines) > 1 else 0
            if len(lines) > 1:
                yield _document("Step", lines[at], lines[at + 1 : at + 2 + rng.randrange(2)])
        else:
            expression = _training_problem(rng, rng.choice(solved))
            lines = _author(expression, rng, careless=careless)
            if lines is not None:
                yield _document("Q", expression, lines)


def _author(expression: str, rng: random.Random, *, careless: bool) -> list[str] | None:
    return careless_lines(expression, rng) if careless else reductions(expression)


def _training_problem(rng: random.Random, level: int) -> str:
    while True:
        expression = problem(rng, level)
        if split(expression) == "train":
            return expression


def _document(kind: str, expression: str, lines: list[str]) -> dict[str, str]:
    return {"prompt": f"{kind}: {expression}\n", "completion": "\n".join(f"= {line}" for line in lines)}
