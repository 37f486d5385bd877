"""From a result to the lines of its plots: which shares belong to which line, at which place along the run.

The x axis counts rounds: 0 is the exam before, 1..R the gate's own problems after each round, R + 1 the exam after.
A rolled-back round stays visible, but the line does not run through it: those weights were thrown away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from homeschool.improve.report.words import Result, at

WHOLE = "all problems"
STYLES = ("a", "b", "c", "d")
"""Classes of lines: `a` is the headline's accent, `b` the second colour, and so on."""
SHAPES = {"a": "circle", "b": "square", "c": "triangle", "d": "diamond"}


@dataclass(frozen=True, slots=True)
class Point:
    """A share (0..1) with its interval, at a place along the run."""

    x: float
    value: float
    low: float
    high: float
    exam: bool = False
    rejected: bool = False


@dataclass(frozen=True, slots=True)
class Curve:
    name: str
    style: str
    points: tuple[Point, ...]

    @property
    def kept(self) -> tuple[Point, ...]:
        """What the line runs through."""
        return tuple(point for point in self.points if not point.rejected)

    @property
    def end(self) -> Point:
        return self.kept[-1] if self.kept else self.points[-1]


def rounds_of(result: Result) -> list[Mapping[str, Any]]:
    return list(result.get("rounds") or [])


def last_x(result: Result) -> int:
    return len(rounds_of(result)) + 1


def groups_of(result: Result) -> list[str]:
    """The headings that are not levels, the headline first."""
    names = [name for name in _named(result) if name != WHOLE and not name.startswith("level ")]
    headline = result.get("headline")
    return sorted(names, key=lambda name: name != headline)


def levels_of(result: Result) -> list[str]:
    return sorted((name for name in _named(result) if name.startswith("level ")), key=lambda name: (len(name), name))


def style_of(result: Result, name: str) -> str:
    """A group's own style; a level has that of the group its problems share."""
    groups = main_names(result)
    group = at(result, "base", "groups", name, "group") or at(result, "final", "groups", name, "group") or name
    return STYLES[groups.index(group) % len(STYLES)] if group in groups else STYLES[0]


def main_names(result: Result) -> list[str]:
    """The lines of the main plot: the headline first, and the whole exam where the headline is about that."""
    groups = groups_of(result)[: len(STYLES) - 1]
    return groups if result.get("headline") in groups else [WHOLE, *groups]


def curve(result: Result, name: str) -> Curve:
    """The line of one group, of one level, or of all problems."""
    found = [_point(0, _part(result.get("base"), name), exam=True)]
    for index, record in enumerate(rounds_of(result), start=1):
        rejected = record.get("decision") == "rolled back"
        found.append(_point(index, _part(record.get("dev"), name), rejected=rejected))
    found.append(_point(last_x(result), _part(result.get("final"), name), exam=True))
    return Curve(name, style_of(result, name), tuple(point for point in found if point))


def main_curves(result: Result) -> list[Curve]:
    return [line for name in main_names(result) if (line := curve(result, name)).points]


def controls(result: Result) -> list[Curve]:
    """Each control as a line from the headline's start to its own end, on the headline's problems."""
    name = main_names(result)[0]
    start = _point(0, _part(result.get("base"), name), exam=True)
    lines: list[Curve] = []
    for control in result.get("controls") or []:
        end = _point(last_x(result), _part(control.get("final"), name), exam=True)
        if end:
            lines.append(Curve(control["name"], "control", (start, end) if start else (end,)))
    return lines


def _named(result: Result) -> list[str]:
    """Every heading of the exams, in order of appearance."""
    parts = [at(result, name, "groups") or {} for name in ("base", "final")]
    return list(dict.fromkeys(name for part in parts for name in part))


def _part(exam: Any, name: str) -> Any:
    return at(exam, "groups", name) or (exam if name == WHOLE else None)


def _point(x: float, numbers: Any, *, exam: bool = False, rejected: bool = False) -> Point | None:
    value = at(numbers, "accuracy")
    if value is None:
        return None
    low, high = at(numbers, "ci95") or (value, value)
    return Point(x, value, low, high, exam, rejected)
