"""What a source is: a name, a digest of its content, and rows that can be streamed again and again.

Rows of a source have ids of their own: a row that is there again, word for word, counts its occurrence, and the count
is kept on disk, so that memory stays flat however many rows there are. A table that Homeschool wrote keeps each row's
id and history. A record that cannot be named (an infinite number, a history that is none) is refused in one sentence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import NoneType
from typing import Any

from homeschool.core.errors import UsageError
from homeschool.core.identity import digest
from homeschool.core.records import PROVENANCE, Row
from homeschool.engine.sources.occurrence import Occurrences

_ID = re.compile(r"[0-9a-f]{24}")
_NO_HISTORY = f"its {PROVENANCE} is not a row's history"
KINDS = (
    "a .jsonl, .json, .parquet or .arrow file, a run's folder, a dataset's folder, a folder of text or Markdown, "
    "a git repository, py:PACKAGE or -"
)


@dataclass(frozen=True)
class Source:
    """Rows from outside, as `open_source` finds them."""

    name: str
    """As the user gave it."""
    digest: str
    """24 hex digits of the content; a run goes on only with the content it began with."""
    total: int | None
    """Number of rows, or None where only reading tells."""
    rows: Callable[[], Iterator[Row]]
    """Each call streams all rows anew, in one order, with the same ids. Raises UsageError for a broken place."""
    notes: Mapping[str, int] = field(default_factory=dict[str, int])
    """What was passed over, by reason: `{"symlink": 2, "not UTF-8": 1}`. Complete when the source is open."""


def source_of(
    name: str,
    records: Callable[[], Iterable[Mapping[str, Any]]],
    *,
    content: str,
    total: int | None,
    notes: Mapping[str, int],
) -> Source:
    """A source whose rows are made of `records`, which is called for every pass. Raises UsageError if it is empty."""
    if total == 0:
        raise _empty(name, notes)
    return Source(name, content, total, lambda: _rows(name, records(), notes), notes)


def _rows(name: str, records: Iterable[Mapping[str, Any]], notes: Mapping[str, int]) -> Iterator[Row]:
    number = 0
    with Occurrences() as seen:
        for number, record in enumerate(records, start=1):
            try:
                row = _row(record)
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
                raise UsageError(
                    f"row {number} of {name} cannot be used ({_why(error)})",
                    hint="keep text, finite numbers, lists and objects in rows",
                ) from error
            while earlier := seen.add(row.id):
                row = _again(row, earlier)
            yield row
    if not number:
        raise _empty(name, notes)


def _row(record: Mapping[str, Any]) -> Row:
    if PROVENANCE not in record:
        return Row.source(record)
    if not isinstance(record[PROVENANCE], (Mapping, NoneType)):
        raise ValueError(_NO_HISTORY)
    row = Row.from_dict(record)
    p = row.provenance
    texts = (p.id, p.step, p.model, *p.parents, *p.calls)
    if not all(isinstance(text, str) for text in texts) or not _ID.fullmatch(p.id) or type(p.seed) is not int:
        raise ValueError(_NO_HISTORY)
    return row


def _again(row: Row, earlier: int) -> Row:
    """The row as the one that comes after `earlier` equal ones."""
    if row.provenance.step == "source":
        return Row.source(row.columns, occurrence=earlier)
    name = digest("again", row.id, earlier)
    return replace(row, provenance=replace(row.provenance, id=name))


def _why(error: Exception) -> str:
    if isinstance(error, (KeyError, AttributeError)):
        return _NO_HISTORY
    return str(error).partition("\n")[0][:200]


def _empty(name: str, notes: Mapping[str, int]) -> UsageError:
    passed = ", ".join(f"{count} {reason}" for reason, count in sorted(notes.items()))
    return UsageError(f"{name} has no rows" + (f" (passed over: {passed})" if passed else ""), hint=f"name {KINDS}")
