"""Judges the rows of a source: verdicts as a recipe, so that what a judge answers is stored, counted and resumed.

What is judged at once is a *unit*: one row, or all rows of one group for a verifier that compares answers. A unit is
put to the verifier with a `ctx`, as a recipe is; a killed run is typed again and asks no stored question twice. Rows
are written in their order, SHARD in a file, each as soon as all of its verdicts are there:

    rows/00003.parquet      the rows, each with its verdict last in its history and in column `verdict`

The source streams. In memory are the rows of one shard, and those of earlier ones that wait for the rest of a group: a
file whose groups are neighbours takes no more memory when it is longer. A verifier that raises costs its unit a Broken;
a unit that got no answer leaves its shards unwritten, and the same command asks again for what is missing there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

from homeschool.core.identity import digest
from homeschool.core.protocols import Context, Recipe, Verifier
from homeschool.core.records import Provenance, Row
from homeschool.core.verdict import Broken, Verdict
from homeschool.engine.local import World, stream_recipe
from homeschool.engine.outcome import Outcome
from homeschool.engine.progress import Stage
from homeschool.engine.rows import read_rows, write_rows
from homeschool.engine.run import Run

SHARD = 4096
"""Rows in one output file, and the engine's window, so that the batches of a shard are its own."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Who judges what, decided before anything is asked."""

    verifier: Callable[[Row], Verifier]
    group: Callable[[Row], str]
    """The name of the group that a row is judged with; empty if it is judged alone."""
    sizes: Mapping[str, int]
    """How many rows each group has in the whole source."""


@dataclass(frozen=True, slots=True)
class _Unit:
    """Rows that are judged at once, each with its place in the source."""

    verifier: Verifier
    members: tuple[tuple[int, Row], ...]

    def row(self, number: int) -> Row:
        """What the engine is given in its place. Its id, and so every seed, is a function of the rows alone."""
        name = digest("verify", [row.id for _, row in self.members])
        return Row(MappingProxyType({"unit": number}), Provenance(name))


@dataclass(slots=True)
class _Shards:
    """Shards under way: their rows and verdicts, until they are whole and written."""

    run: Run
    statuses: Counter[str] = field(default_factory=Counter[str])
    unfinished: Counter[str] = field(default_factory=Counter[str])
    _rows: dict[int, list[tuple[int, Row]]] = field(default_factory=dict[int, list[tuple[int, Row]]])
    _verdicts: dict[int, Verdict] = field(default_factory=dict[int, Verdict])
    _lost: set[int] = field(default_factory=set[int])
    """Shards with a row that got no answer: another process will write them."""
    _written: set[int] = field(default_factory=set[int])

    def begin(self, number: int, rows: list[tuple[int, Row]]) -> None:
        """A shard's rows have come in. One that an earlier process has written is only counted."""
        path = self._path(number)
        if path.exists():
            self._written.add(number)
            self.statuses.update(row.verdicts[-1].status for row in read_rows(path))
        elif number not in self._lost:
            self._rows[number] = rows

    def wants(self, unit: _Unit) -> bool:
        """Whether a row of the unit is in a shard that is not written yet."""
        return any(place // SHARD not in self._written for place, _ in unit.members)

    def give(self, unit: _Unit, outcome: Outcome) -> Sequence[Verdict]:
        """Take the verdicts on a unit, or note that it has none."""
        if outcome.unfinished:
            self.unfinished[outcome.unfinished] += len(unit.members)
            for place, _ in unit.members:
                self._lost.add(place // SHARD)
                self._rows.pop(place // SHARD, None)
            return []
        verdicts = _verdicts_in(outcome, unit)
        for (place, _), verdict in zip(unit.members, verdicts, strict=True):
            self._verdicts[place] = verdict
        return verdicts

    def write(self) -> None:
        """Write the shards that are whole."""
        for number, rows in list(self._rows.items()):
            if all(place in self._verdicts for place, _ in rows):
                judged = [row.judged(self._verdicts.pop(place)) for place, row in rows]
                write_rows(self._path(number), judged, show_verdict=True)
                self._written.add(number)
                self.statuses.update(row.verdicts[-1].status for row in judged)
                del self._rows[number]

    def _path(self, number: int) -> Path:
        return self.run.path("rows", f"{number:05}.parquet")


async def judge_rows(
    rows: Iterable[Row], *, plan: Plan, world: World, run: Run, stage: Stage
) -> tuple[Counter[str], Counter[str]]:
    """Judge `rows` into the folder of `run`: how many have each status, and how many got no answer, by why.

    `stage` advances by one per row and counts statuses, answers and tokens.
    """
    shards = _Shards(run)
    growing: dict[str, list[tuple[int, Row]]] = {}

    def heard(answers: int, tokens: int) -> None:
        stage.advance(0, answers=answers, tokens=tokens)

    async with AsyncExitStack() as stack:
        for model in world.roles.values():  # held open from shard to shard
            if isinstance(model, AbstractAsyncContextManager):
                await stack.enter_async_context(model)
        for number, chunk in enumerate(_chunks(rows)):
            shards.begin(number, chunk)
            units = [unit for unit in _complete(chunk, growing, plan) if shards.wants(unit)]
            sources = (unit.row(at) for at, unit in enumerate(units))
            stream = stream_recipe(_judging(units), sources, world=world, heard=heard)
            async with aclosing(stream) as stream:
                async for outcome in stream:
                    verdicts = shards.give(units[outcome.row["unit"]], outcome)
                    stage.advance(len(verdicts), **Counter(verdict.status for verdict in verdicts))
            shards.write()
    return shards.statuses, shards.unfinished


def answer_in(row: Row) -> str:
    """The text of `completion`: as it stands, or the last message of a conversation."""
    completion = row["completion"]
    return completion if isinstance(completion, str) else completion[-1]["content"]


def _judging(units: Sequence[_Unit]) -> Recipe:
    async def judge(row: Row, ctx: Context) -> Row:
        unit = units[row["unit"]]
        answers = [answer_in(member) for _, member in unit.members]
        verdicts = await unit.verifier(unit.members[0][1], answers, ctx)
        return row.derive(step="verify", verdicts=verdicts)

    return judge


def _complete(chunk: Sequence[tuple[int, Row]], growing: dict[str, list[tuple[int, Row]]], plan: Plan) -> list[_Unit]:
    """The units whose last row is in this chunk, in the order of those rows; the others go on growing."""
    units: list[_Unit] = []
    for place, row in chunk:
        name = plan.group(row)
        members = growing.setdefault(name, []) if name else []
        members.append((place, row))
        if name and len(members) < plan.sizes[name]:
            continue
        growing.pop(name, None)
        units.append(_Unit(plan.verifier(row), tuple(members)))
    return units


def _verdicts_in(outcome: Outcome, unit: _Unit) -> Sequence[Verdict]:
    """One verdict per row; what is none is Broken."""
    if outcome.children and len(verdicts := outcome.children[0].verdicts) == len(unit.members):
        return verdicts
    reason, detail = "wrong number of verdicts", f"for {len(unit.members)} answers"
    if outcome.dropped:
        reason, detail = outcome.dropped[0].reason, outcome.dropped[0].detail
    evidence = detail[-200:].encode("utf-8", "replace").decode("utf-8")
    return [Broken(reason=reason, evidence=evidence, verifier=unit.verifier.name) for _ in unit.members]


def _chunks(rows: Iterable[Row]) -> Iterator[list[tuple[int, Row]]]:
    numbered: Iterator[tuple[int, Any]] = iter(enumerate(rows))
    while chunk := list(islice(numbered, SHARD)):
        yield chunk
