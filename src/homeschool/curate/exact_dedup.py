"""Exact deduplication: of rows that say the same, the first stays.

Two rows say the same if the named columns hold the same text up to white space (Unicode NFC, runs of white space as one
space); other values must be equal. A column that a row lacks counts as empty. Case and symbols count: `A` and `a`, or
x² and x2, are different mathematics.

Memory: one hash of 16 bytes and one row id for each kept row; rows stream through.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

from homeschool.core.identity import canonical
from homeschool.core.protocols import Curator
from homeschool.core.records import Dropped, Row


def curator(columns: Sequence[str] = ("prompt", "completion")) -> Curator:
    """A curator that drops each row whose `columns` say what an earlier row's said."""

    def exact_dedup(rows: Iterable[Row]) -> Iterator[Row | Dropped]:
        first: dict[bytes, str] = {}
        for row in rows:
            said = canonical([_normalised(row.get(column)) for column in columns])
            key = hashlib.blake2b(said.encode("utf-8", "surrogatepass"), digest_size=16).digest()
            if key in first:
                yield Dropped(row, f"same as row {first[key]}", "exact_dedup")
            else:
                first[key] = row.id
                yield row

    return exact_dedup


def _normalised(value: Any) -> Any:
    """`value` with every text in it normalised: a prompt may be a list of messages."""
    if isinstance(value, str):
        return " ".join(unicodedata.normalize("NFC", value).split())
    if isinstance(value, (list, tuple)):
        return [_normalised(item) for item in cast("Sequence[Any]", value)]
    if isinstance(value, dict):
        return {str(key): _normalised(item) for key, item in cast("dict[Any, Any]", value).items()}
    return value
