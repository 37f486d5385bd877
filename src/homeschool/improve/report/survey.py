"""What a report looks up in the rows of a generation run: samples, examples of drops, lengths, copies.

A run may hold millions of rows, so everything is either counted over one column at a time or taken from a few places
spread evenly over the run, the same ones every time. What was looked at is said with every number.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from homeschool.core.records import Row
from homeschool.engine.look import column_types, count_rows, read_columns, row_files, stored_answers
from homeschool.engine.rows import read_rows

ASKED = ("prompt",)
ANSWERED = ("completion", "messages", "chosen", "text", "completions")
"""Columns that hold what was made, the first that a row has."""
MOST_COUNTED = 2_000_000
"""Rows whose lengths and copies are counted: one number for each is kept in memory."""
MOST_ANSWERS = 400
"""Rows, kept and dropped each, whose answers are looked up in the store."""
EXAMPLES = 3
MOST_BARS = 40


@dataclass(slots=True)
class Lengths:
    """Over the rows of a run, in characters."""

    rows: int = 0
    asked: Counter[int] = field(default_factory=Counter[int])
    answered: Counter[int] = field(default_factory=Counter[int])
    copies: int = 0
    """Rows whose prompt and answer are, letter for letter, those of a row before."""


@dataclass(slots=True)
class Answers:
    """Over the answers behind rows that were looked at."""

    rows: int = 0
    tokens: Counter[int] = field(default_factory=Counter[int])
    endings: Counter[str] = field(default_factory=Counter[str])

    @property
    def number(self) -> int:
        return sum(self.endings.values())


def spread_rows(run: Path, folder: str, number: int) -> list[Row]:
    """`number` rows (or all) at even distances, the first row of the run among them. Reads only their files."""
    files = [(file, count_rows(file)) for file in row_files(run, folder)]
    total = sum(size for _, size in files)
    wanted = sorted({place * total // number for place in range(number)}) if total > number else list(range(total))
    found: list[Row] = []
    start = 0
    for file, size in files:
        here = [place - start for place in wanted if start <= place < start + size]
        rows = read_rows(file) if here else []
        found += [rows[place] for place in here]
        start += size
    return found


def dropped_examples(run: Path, reasons: Sequence[str]) -> dict[str, list[Row]]:
    """For each reason, written `rule: reason`, the first rows that were dropped for it."""
    found: dict[str, list[Row]] = {reason: [] for reason in reasons}
    for file in row_files(run, "dropped"):
        if all(len(rows) >= EXAMPLES for rows in found.values()):
            break
        wanted: dict[int, str] = {}
        taken = Counter({reason: len(rows) for reason, rows in found.items()})
        for index, record in enumerate(read_columns(file, ("rule", "reason"))):
            reason = f"{record.get('rule')}: {record.get('reason')}"
            if reason in found and taken[reason] < EXAMPLES:
                taken[reason] += 1
                wanted[index] = reason
        rows = read_rows(file) if wanted else []
        for index, reason in wanted.items():
            found[reason].append(rows[index])
    return found


def lengths(run: Path) -> Lengths:
    """How long prompts and answers are, and how many rows are copies, over the first MOST_COUNTED rows."""
    counted = Lengths()
    seen: set[int] = set()
    for file in row_files(run, "rows"):
        types = column_types(file)
        for record in read_columns(file, [name for name in (*ASKED, *ANSWERED) if name in types]):
            if counted.rows >= MOST_COUNTED:
                return counted
            counted.rows += 1
            asked, answered = record.get("prompt"), answer_of(record)
            for value, sizes in ((asked, counted.asked), (answered, counted.answered)):
                if value is not None:
                    sizes[len(words_of(value))] += 1
            plain = isinstance(asked, str | None) and isinstance(answered, str | None)
            name = hash((asked, answered) if plain else json.dumps([asked, answered], sort_keys=True))
            counted.copies += name in seen
            seen.add(name)
    return counted


def answers(run: Path) -> Answers:
    """How long the answers behind some rows are in tokens, and how they ended."""
    counted = Answers()
    rows = [row for folder in ("rows", "dropped") for row in spread_rows(run, folder, MOST_ANSWERS)]
    stored = stored_answers(run, list(dict.fromkeys(key for row in rows for key in row.provenance.calls)))
    counted.rows = sum(any(key in stored for key in row.provenance.calls) for row in rows)
    for completion, _ in stored.values():
        counted.endings[completion.finish_reason or "not told"] += 1
        if completion.tokens:
            counted.tokens[completion.tokens] += 1
    return counted


def answer_of(columns: Mapping[str, Any]) -> Any:
    """The value of the first column in which a row holds what was made."""
    return next((columns[name] for name in ANSWERED if columns.get(name) is not None), None)


def words_of(value: Any) -> str:
    """A value as a person reads it: text as it is, messages one after the other, anything else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(each, Mapping) and "role" in each for each in value):
        return "\n".join(f"{each['role']}: {words_of(each.get('content') or '')}" for each in value)
    return json.dumps(value, ensure_ascii=False)


def histogram(counts: Mapping[int, int], *, bars: int = 12) -> list[tuple[str, int]]:
    """Counts in about `bars` bins of one round width, named by where they begin; the last takes the rest.

    The last bin begins where 99% are passed, so that one very long answer does not flatten the others.
    """
    total = sum(counts.values())
    if not total:
        return []
    low = high = min(counts)
    reached = 0
    for value in sorted(counts):
        high, reached = value, reached + counts[value]
        if reached >= 0.99 * total:
            break
    step = next(size for size in _widths() if size * bars > high - low)
    first, last = low // step, high // step
    binned = [0] * (last - first + 1)
    for value, number in counts.items():
        binned[min(value // step, last) - first] += number
    return [(f"{(first + index) * step:,}", number) for index, number in enumerate(binned)]


def _widths() -> Iterator[int]:
    """1, 2, 5, 10, 20, 50, ..."""
    size = 1
    while True:
        yield from (size, 2 * size, 5 * size)
        size *= 10


Number = Callable[[Mapping[str, Any]], float]
"""A number of a shard, from its record."""


def by_shard(shards: Sequence[Mapping[str, Any]], value: Number, per: Number) -> list[tuple[str, float | None]]:
    """The ratio of two sums, `value` to `per`, along the run; neighbours share a bar where shards are many."""
    together = -(-len(shards) // MOST_BARS) or 1
    shown: list[tuple[str, float | None]] = []
    for at in range(0, len(shards), together):
        group = shards[at : at + together]
        below = sum(map(per, group))
        shown.append((str(int(group[0]["shard"])), sum(map(value, group)) / below if below else None))
    return shown
