"""From a source to shards: a recipe over any number of rows, in bounded memory, losing nothing.

Shard k holds what became of the source rows kS to (k+1)S-1, in order:

    rows/00003.parquet      the rows that were made
    dropped/00003.parquet   the rows that were not, each with `rule`, `reason` and `detail`
    pool/00003.parquet      what the round put into the pool, if the recipe works in rounds
    shards/00003.json       how many of each, and what was asked: written last, so the shard is whole

The source streams: a shard that is whole is passed over, every other row runs (again, on stored answers). A recipe
without a pool flows from shard to shard without a pause, and gives the same files under any engine, concurrency and
split in parts. A Pooled or Grouped one works round by round, a shard a round, and is not split.

A shard with a row that got no answer is not written; all the others are. The same command then asks for that row again.
"""

from __future__ import annotations

import gc
import json
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeschool.core.errors import HomeschoolError, StoppedError, UsageError
from homeschool.core.protocols import Grouped, Pooled, Recipe
from homeschool.core.records import Dropped, Row
from homeschool.engine.board import Board
from homeschool.engine.local import World, stream_recipe
from homeschool.engine.outcome import Outcome
from homeschool.engine.pool import Snapshot
from homeschool.engine.rows import read_rows, write_rows
from homeschool.engine.run import Run
from homeschool.engine.tally import Usage

if TYPE_CHECKING:
    from homeschool.engine.sources.source import Source

SHARD = 1024
"""Source rows behind one shard, and the engine's window, so that the batches of a shard are its own."""

BROKEN = 8
"""A recipe that raises on every row of a first shard of so many is broken, and not unlucky."""

AnyRecipe = Recipe | Pooled | Grouped


@dataclass(slots=True)
class Funnel:
    """What went in and what came out: of one shard, or of several."""

    rows_in: int = 0
    rows: int = 0
    dropped: int = 0
    reasons: Counter[str] = field(default_factory=Counter[str])
    """Of the drops, as `rule: reason`."""
    calls: dict[str, Usage] = field(default_factory=dict[str, Usage])
    """By role: what the rows asked, whoever answered."""
    licenses: Counter[str] = field(default_factory=Counter[str])
    """Of the source rows; rows without one are not counted."""
    unfinished: Counter[str] = field(default_factory=Counter[str])
    """Rows without an answer, by why. Such a shard is not written."""
    shards: int = 0
    """How many shards the whole source makes, whoever does them."""

    def add(self, outcome: Outcome) -> None:
        self.rows_in += len(outcome.rows)
        self.rows += len(outcome.children)
        self.dropped += len(outcome.dropped)
        for drop in outcome.dropped:
            self.reasons[f"{drop.rule}: {drop.reason}"] += 1
        for row in outcome.rows:
            if isinstance(row.get("license"), str):
                self.licenses[row["license"]] += 1
        if outcome.unfinished:
            self.unfinished[outcome.unfinished] += len(outcome.rows)
        for role, usage in outcome.usage.items():
            self.calls.setdefault(role, Usage()).add(usage)

    def merge(self, other: Funnel) -> None:
        self.rows_in += other.rows_in
        self.rows += other.rows
        self.dropped += other.dropped
        for mine, theirs in ((self.reasons, other.reasons), (self.licenses, other.licenses)):
            mine.update(theirs)
        self.unfinished.update(other.unfinished)
        for role, usage in other.calls.items():
            self.calls.setdefault(role, Usage()).add(usage)

    def to_dict(self) -> dict[str, Any]:
        return {
            "rows_in": self.rows_in,
            "rows": self.rows,
            "dropped": self.dropped,
            "reasons": dict(sorted(self.reasons.items())),
            "licenses": dict(sorted(self.licenses.items())),
            "calls": {
                role: {
                    "calls": usage.calls,
                    "prompt_tokens": usage.prompt_tokens,
                    "completion_tokens": usage.completion_tokens,
                }
                for role, usage in sorted(self.calls.items())
            },
        }

    @staticmethod
    def from_dict(record: Mapping[str, Any]) -> Funnel:
        calls = {role: Usage(**usage) for role, usage in record["calls"].items()}
        counts = (record["rows_in"], record["rows"], record["dropped"])
        return Funnel(*counts, Counter(record["reasons"]), calls, Counter(record["licenses"]))


async def generate(
    recipe: AnyRecipe, source: Source, *, world: World, run: Run, board: Board, limit: int | None = None
) -> Funnel:
    """Run `recipe` over the first `limit` rows of `source` into the folder of `run`; what became of them all.

    Only `run.part` of the shards is done. Rows without an answer are counted in the funnel's `unfinished`. Raises
    UsageError if a recipe that works in rounds is to be split.
    """
    if isinstance(recipe, (Pooled, Grouped)) and run.part.of > 1:
        raise UsageError(
            "the recipe works in rounds, each of which needs the one before", hint="leave --shard away for it"
        )
    total = Funnel()

    def chunks() -> Iterator[list[Row]]:
        for chunk in _chunks(islice(source.rows(), limit), shard_size(recipe)):
            total.shards += 1
            yield chunk

    async with AsyncExitStack() as stack:
        stack.enter_context(few_collections())
        for model in world.roles.values():  # held open from round to round
            if isinstance(model, AbstractAsyncContextManager):
                await stack.enter_async_context(model)
        if isinstance(recipe, (Pooled, Grouped)):
            shards = _rounds(recipe, chunks(), world=world, run=run, board=board)
        else:
            shards = _flow(recipe, chunks(), world=world, run=run, board=board)
        async with aclosing(shards) as stream:
            async for funnel in stream:
                total.merge(funnel)
    return total


@contextmanager
def few_collections() -> Iterator[None]:
    """Look for cyclic garbage seldom, and not among what is there already, until the block ends.

    A run makes many short-lived objects and few cycles. Looking through all that is under way after every 700 new ones,
    as Python does by itself, took a fifth of a run's CPU time or more.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


async def preview(recipe: AnyRecipe, rows: Sequence[Row], *, world: World, board: Board) -> list[Outcome]:
    """What becomes of `rows`, with nothing written but the answers, which the run itself then need not ask for."""
    outcomes: list[Outcome] = []
    if any("batch" in model.card.capabilities for model in world.roles.values()):
        world = replace(world, store=None)  # stored, these answers would change which requests share a batch later
    stream = stream_recipe(recipe, rows, world=world, tallies=board.spent, ended=_told(board), pool=Snapshot())
    async with aclosing(stream) as stream:
        async for outcome in stream:
            outcomes.append(outcome)
    return outcomes


def shard_size(recipe: AnyRecipe) -> int:
    """Source rows behind one shard."""
    return recipe.round_size if isinstance(recipe, (Pooled, Grouped)) else SHARD


def read_funnel(run: Run, number: int) -> Funnel | None:
    """What became of shard `number`; None if it is not whole. Raises HomeschoolError if its record is damaged."""
    path = _marker(run, number)
    if not all((run.folder / kind / f"{number:05}.parquet").exists() for kind in ("rows", "dropped")):
        return None  # somebody has removed a file: it is made again
    try:
        return Funnel.from_dict(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise HomeschoolError(
            f"{path} is damaged ({error})", hint="remove it: the same command makes that shard again, without asking"
        ) from error


def write_shard(run: Run, number: int, outcomes: Sequence[Outcome]) -> Funnel:
    """Write a shard, its marker last; nothing is written if a row of it is unfinished."""
    funnel = Funnel()
    for outcome in outcomes:
        funnel.add(outcome)
    if not funnel.unfinished:
        lost = [refused(drop) for outcome in outcomes for drop in outcome.dropped]
        write_rows(run.path("dropped", f"{number:05}.parquet"), lost)
        made = [child for outcome in outcomes for child in outcome.children]
        write_rows(run.path("rows", f"{number:05}.parquet"), made)
        run.save_json(f"shards/{number:05}.json", funnel.to_dict())
    return funnel


def refused(drop: Dropped) -> Row:
    """A dropped row as it is written: with rule, reason and detail as columns (`row_reason`, if it had one itself)."""
    told = {"rule": drop.rule, "reason": drop.reason, "detail": drop.detail}
    kept = {f"row_{name}": drop.row[name] for name in told if name in drop.row}
    return replace(drop.row, columns={**drop.row.columns, **kept, **told})


async def _flow(
    recipe: Recipe, chunks: Iterator[list[Row]], *, world: World, run: Run, board: Board
) -> AsyncGenerator[Funnel]:
    """One stream over all shards that are not whole; each is written when its last outcome is there."""
    works: deque[tuple[int, int]] = deque()  # (shard, source rows), in the order in which they went in
    earlier: deque[Funnel] = deque()
    untried = True  # no shard has been made yet, now or before

    def rows() -> Iterator[Row]:
        nonlocal untried
        for number, chunk in enumerate(chunks):
            if not run.part.has(number):
                continue
            known = read_funnel(run, number)
            if known is not None and known.rows_in > len(chunk):
                raise UsageError(
                    f"shard {number} of {run.folder} holds {known.rows_in} source rows, and {len(chunk)} are asked for",
                    hint="give at least as many --rows as before, or choose another --out",
                )
            if known is not None and known.rows_in == len(chunk):
                untried = False
                earlier.append(known)
                _recall(board, known)
                continue
            works.append((number, len(chunk)))
            yield from chunk

    outcomes: list[Outcome] = []
    stream = stream_recipe(recipe, rows(), world=world, tallies=board.spent, ended=_told(board))
    async with aclosing(stream) as stream:
        async for outcome in stream:
            outcomes.append(outcome)
            number, expected = works[0]
            if len(outcomes) == expected:
                works.popleft()
                if untried:
                    _stop_if_broken(outcomes)
                untried = False
                yield write_shard(run, number, outcomes)
                outcomes = []
            while earlier:
                yield earlier.popleft()
    while earlier:
        yield earlier.popleft()


async def _rounds(
    recipe: Pooled | Grouped, chunks: Iterator[list[Row]], *, world: World, run: Run, board: Board
) -> AsyncGenerator[Funnel]:
    """One round after the other. A round that is whole gives its part of the pool back."""
    pool = Snapshot()
    for number, chunk in enumerate(chunks):
        kept = run.path("pool", f"{number:05}.parquet")
        known = read_funnel(run, number) if kept.exists() else None
        if known is not None and known.rows_in == len(chunk):
            pool.rows.extend(read_rows(kept))
            _recall(board, known)
            yield known
            continue
        outcomes: list[Outcome] = []
        stream = stream_recipe(recipe, chunk, world=world, tallies=board.spent, ended=_told(board), pool=pool)
        async with aclosing(stream) as stream:
            async for outcome in stream:
                outcomes.append(outcome)
        unfinished = Counter(outcome.unfinished for outcome in outcomes if outcome.unfinished)
        if unfinished:
            raise StoppedError(
                f"{unfinished.total()} rows of round {number} got no answer ({unfinished.most_common(1)[0][0]}), and "
                "later rounds build on them",
                hint="the same command asks for them again, and for nothing else",
            )
        if number == 0:
            _stop_if_broken(outcomes)
        write_rows(kept, pool.merge())
        yield write_shard(run, number, outcomes)


def _stop_if_broken(outcomes: Sequence[Outcome]) -> None:
    """A recipe that raised on every row of its first shard has a mistake in it: the rest would pay for nothing."""
    reasons = {drop.reason for outcome in outcomes for drop in outcome.dropped if drop.rule == "recipe"}
    raised = all(
        outcome.dropped and all(drop.reason.startswith("raised ") for drop in outcome.dropped) for outcome in outcomes
    )
    if len(outcomes) >= BROKEN and raised and not any(outcome.children for outcome in outcomes):
        detail = "; ".join(outcomes[0].dropped[0].detail.splitlines()[-2:])
        raise StoppedError(
            f"the recipe {' and '.join(sorted(reasons))} on every one of {len(outcomes)} rows ({detail})",
            hint="mend it; what was answered is kept, and --reuse gives it to the next run",
        )


def _chunks(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    rows = iter(rows)
    while chunk := list(islice(rows, size)):
        yield chunk


def _marker(run: Run, number: int) -> Path:
    return run.folder / "shards" / f"{number:05}.json"


def _told(board: Board) -> Callable[[Outcome], None]:
    def ended(outcome: Outcome) -> None:
        reasons = Counter(f"{drop.rule}: {drop.reason}" for drop in outcome.dropped) if outcome.dropped else None
        waiting = len(outcome.rows) if outcome.unfinished else 0
        board.count(len(outcome.rows), len(outcome.children), dropped=reasons, unfinished=waiting)

    return ended


def _recall(board: Board, known: Funnel) -> None:
    """Count a shard of an earlier process."""
    board.count(known.rows_in, known.rows, dropped=known.reasons, earlier=True)
