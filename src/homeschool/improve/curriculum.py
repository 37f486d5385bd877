"""Frontier growth: practise mostly what is just within reach, and move up when it is.

A task with a ladder of levels starts at a `frontier`. Each round draws `share` of its problems there and the rest
evenly from the levels below, so that nothing learnt is left unpractised; when at least `threshold` of the frontier's
samples pass, the frontier goes up by one. That a model which generalises a little beyond what it was taught can be
led upwards by its own verified answers is the observation of Lee et al. 2025 (Self-Improving Transformers Overcome
Easy-to-Hard and Length Generalization Challenges, arXiv:2502.01612).

A task without levels is drawn from as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence

from homeschool.core.identity import seed_of
from homeschool.core.records import Row
from homeschool.core.task import Task
from homeschool.improve.settings import CurriculumConfig


def first(task: Task, config: CurriculumConfig) -> int | None:
    """The frontier of the first round; None for a task without a ladder."""
    reached = [level for level in task.levels if level <= config.start]
    return (reached or list(task.levels[:1]) or [None])[-1]


def draw(task: Task, config: CurriculumConfig, *, frontier: int | None, n: int, seed: int) -> list[Row]:
    """`n` training problems for one round, the frontier's first."""
    if frontier is None:
        return task.draw(None, n, seed)
    below = [level for level in task.levels if level < frontier]
    at_frontier = round(n * config.share) if below else n
    rows = task.draw(frontier, at_frontier, seed_of(seed, frontier))
    for index, level in enumerate(below):
        part = (n - at_frontier) * (index + 1) // len(below) - (n - at_frontier) * index // len(below)
        rows += task.draw(level, part, seed_of(seed, level))
    return rows


def advance(task: Task, config: CurriculumConfig, *, frontier: int | None, rates: Sequence[float]) -> int | None:
    """The next round's frontier, from the pass rates of this round's frontier problems."""
    if frontier is None or not rates or sum(rates) / len(rates) < config.threshold:
        return frontier
    return next((level for level in task.levels if frontier < level <= config.top), frontier)
