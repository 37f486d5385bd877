"""Look into a run's folder without reading all of it: some columns of a file, where an id stands, single answers.

A run of a million rows is megabytes of ids and gigabytes of text, so who wants one row, or one number over all rows,
reads only the columns that say it. Nothing here changes a folder.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homeschool.core.errors import HomeschoolError
from homeschool.core.records import PROVENANCE, Completion
from homeschool.engine.answers import AnswerStore
from homeschool.engine.run import answer_files
from homeschool.engine.sources.arrow import JSON_COLUMNS

MIXED = "mixed"
"""The type of a column whose values Parquet has no one type for."""


def row_files(run: Path, folder: str) -> list[Path]:
    """The files in `rows` or `dropped` of a run, in the order of their shards."""
    return sorted((run / folder).glob("*.parquet"))


def count_rows(path: Path) -> int:
    """How many rows a file has, from its footer."""
    import pyarrow.parquet as pq

    return pq.read_metadata(path).num_rows


def column_types(path: Path) -> dict[str, str]:
    """Each column and its type in Arrow's words, from the file's footer; MIXED for what is kept as JSON."""
    import pyarrow.parquet as pq

    schema = _whole(path, pq.read_schema)
    mixed = json.loads((schema.metadata or {}).get(JSON_COLUMNS, b"[]"))
    types = {field.name: MIXED if field.name in mixed else str(field.type) for field in schema}
    types.pop(PROVENANCE, None)
    return types


def read_columns(path: Path, names: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of a file with those of `names` that the file has, and no others; a missing value is None."""
    import pyarrow.parquet as pq

    schema = _whole(path, pq.read_schema)
    mixed = json.loads((schema.metadata or {}).get(JSON_COLUMNS, b"[]"))
    wanted = [name for name in names if name in schema.names]
    if not wanted:
        return [{} for _ in range(count_rows(path))]
    records: list[dict[str, Any]] = _whole(path, lambda file: pq.ParquetFile(file).read(wanted).to_pylist())
    for name in set(mixed).intersection(wanted):
        for record in records:
            record[name] = json.loads(record[name])
    return records


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a row stands: row `index` of `file`, and its history."""

    file: Path
    index: int
    history: dict[str, Any]


def mentions(run: Path, starts: Sequence[str]) -> Iterator[Spot]:
    """Every row, kept or dropped, of which the id or a parent begins with one of `starts`. Reads histories only."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    pattern = f'"({"|".join(map(re.escape, starts))})'
    for file in (*row_files(run, "rows"), *row_files(run, "dropped")):
        histories = _whole(file, lambda path: pq.ParquetFile(path).read([PROVENANCE]).column(PROVENANCE))
        hits = pc.indices_nonzero(pc.match_substring_regex(histories, pattern))  # pyright: ignore[reportAttributeAccessIssue]
        for index in hits.to_pylist():
            history = json.loads(histories[index].as_py())
            if any(name.startswith(tuple(starts)) for name in (history["id"], *history["parents"])):
                yield Spot(file, index, history)


def stored_answers(run: Path, keys: Sequence[str]) -> dict[str, tuple[Completion, dict[str, Any] | None]]:
    """Each answer that a store of the run has, with what was asked (None where that is not on record).

    Of several answers to one question, cut at different lengths, the longest.
    """
    found: dict[str, tuple[Completion, dict[str, Any] | None]] = {}
    for path in answer_files(run):
        limits = _limits(path, [key for key in keys if key not in found])
        if not limits:
            continue
        with AnswerStore(path) as store:
            for key, limit in limits.items():
                for completion in store.lookup([key], max_tokens=limit).values():
                    found[key] = (completion, store.question_of(key))
    return found


def _limits(path: Path, keys: Sequence[str]) -> dict[str, int]:
    """For each of `keys` that the store has, the largest limit it was asked with."""
    found: dict[str, int] = {}
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        for key in keys:
            try:
                limit = connection.execute("SELECT MAX(max_tokens) FROM answers WHERE key = ?", [key]).fetchone()[0]
            except sqlite3.DatabaseError as error:
                raise HomeschoolError(f"{path} is not an answer store ({error})", hint="move the file away") from error
            if limit is not None:
                found[key] = limit
    return found


def _whole(path: Path, read: Any) -> Any:
    """What `read(path)` gives; a file that is not whole is an error in one sentence."""
    import pyarrow as pa

    try:
        return read(path)
    except (OSError, pa.ArrowException) as error:
        raise HomeschoolError(
            f"{path} cannot be read ({error})", hint="move it away and type the run's command again"
        ) from error
