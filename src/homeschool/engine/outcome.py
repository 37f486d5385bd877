"""What became of a row: what its recipe returned, or raised, as rows and drops with their whole history.

The history is made complete here, so that a recipe need not thread it: a child that names no calls gets all of the
unit's, so does one that was derived in steps (what lies in between is not written, so its parents are the unit's rows),
and so does a row that was dropped, whose questions are just what one wants to see. Children that are equal in all are
told apart by their number. A column that no file can hold is the recipe's mistake, and costs its row only.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import homeschool
from homeschool.core.identity import digest
from homeschool.core.records import Completion, Dropped, Row
from homeschool.engine.context import Unit
from homeschool.engine.rows import check_columns
from homeschool.engine.tally import Usage

_OURS = str(Path(homeschool.__file__).parent)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one source row, or of one group of them."""

    rows: tuple[Row, ...]
    children: tuple[Row, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    unfinished: str = ""
    """Why no answer came, in a few words; empty for a row that is done."""
    usage: Mapping[str, Usage] = field(default_factory=dict[str, Usage])
    """By role."""

    @property
    def row(self) -> Row:
        return self.rows[0]


def returned(unit: Unit, result: object) -> Outcome:
    """The outcome of a recipe that returned `result`. Raises TypeError for what cannot be one."""
    items = list(result) if isinstance(result, (list, tuple)) else [] if result is None else [result]
    if not items:
        return refused(unit, "returned nothing", "recipe")
    calls = _calls(unit)
    children: list[Row] = []
    dropped: list[Dropped] = []
    seen: dict[str, int] = {}
    for item in items:
        if isinstance(item, Row):
            check_columns(item.columns)
            child = _with_history(item, unit, calls)
            number = seen[child.id] = seen.get(child.id, 0) + 1
            children.append(child if number == 1 else _twin(child, number))
        elif isinstance(item, Dropped):
            check_columns(item.row.columns)
            dropped.append(replace(item, row=_dropped(item.row, item.rule, unit, calls)))
        else:
            raise TypeError(f"a recipe returns Row, Dropped, a list of them or None, not {type(item).__name__}")
    return Outcome(unit.rows, tuple(children), tuple(dropped), usage=_usage(unit))


def refused(unit: Unit, reason: str, rule: str, detail: str = "") -> Outcome:
    """The outcome of a unit whose every row is dropped for one reason."""
    calls = _calls(unit)
    dropped = tuple(Dropped(_dropped(row, rule, unit, calls), reason, rule, detail) for row in unit.rows)
    return Outcome(unit.rows, dropped=dropped, usage=_usage(unit))


def raised(unit: Unit, error: BaseException) -> Outcome:
    """The outcome of a recipe that raised. Where it did is told by file name and line, the same on every machine."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_OURS)]
    places = [f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}: {frame.line}" for frame in frames]
    kind = type(error).__name__
    return refused(unit, f"raised {kind}", "recipe", "\n".join([*places, f"{kind}: {error}".rstrip(": ")]))


def _with_history(row: Row, unit: Unit, calls: Sequence[Completion]) -> Row:
    sources = tuple(source.id for source in unit.rows)
    p = row.provenance
    if p.parents and not set(p.parents) <= set(sources):
        return replace(row, provenance=replace(p, parents=sources)).called(calls)
    return row if p.calls or not calls else row.called(calls)


def _dropped(row: Row, rule: str, unit: Unit, calls: Sequence[Completion]) -> Row:
    """A dropped row with what was asked for it. A source row of which nothing was asked stays as it is."""
    if row.id not in {source.id for source in unit.rows}:
        return _with_history(row, unit, calls)
    return row.derive(step=rule, calls=calls) if calls else row


def _twin(row: Row, number: int) -> Row:
    return replace(row, provenance=replace(row.provenance, id=digest("twin", row.id, number)))


def _calls(unit: Unit) -> list[Completion]:
    """All answers that the unit got, by where they were asked for."""
    return [answer for _, _, _, answers in sorted(unit.calls, key=lambda call: call[:2]) for answer in answers]


def _usage(unit: Unit) -> dict[str, Usage]:
    used: dict[str, Usage] = {}
    for _, _, role, answers in unit.calls:
        tokens = sum(answer.tokens for answer in answers)
        used.setdefault(role, Usage()).add(Usage(len(answers), answers[0].prompt_tokens, tokens))
    return used
