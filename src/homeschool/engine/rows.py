"""Rows in Parquet, and the tables that people bring.

A rows file holds the columns at the top, typed as Parquet would have them, so that any tool can read it, and each row's
history as JSON text in `_provenance`. A column that Parquet would change (mixed types, dictionaries with different
keys, empty ones) is JSON text instead; the file's metadata names it, and reading gives back what was written. Equal
rows give equal bytes: no clock times, one compression. Files are written aside and renamed.

`read_table` holds a whole table of any origin; `engine/sources` streams one, and says what is refused.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeschool.core.errors import HomeschoolError, UsageError
from homeschool.core.records import PROVENANCE, Row
from homeschool.engine.files import replacing
from homeschool.engine.sources.arrow import ABSENT, JSON_COLUMNS, SHOWN_VERDICT, plain_type
from homeschool.engine.sources.tables import table_records

if TYPE_CHECKING:
    import pyarrow as pa


def write_rows(path: Path, rows: Iterable[Row], *, show_verdict: bool = False) -> int:
    """Write `rows` and return how many. `show_verdict` adds a column `verdict` {status, scores, reason, evidence}.

    That column shows a row's last verdict (null if it has none), takes the place of any column of that name, and is
    not a column of the rows when they are read back: the verdicts themselves are in the history.
    """
    rows = list(rows)
    verdicts = [row.verdicts[-1].to_dict() if row.verdicts else None for row in rows] if show_verdict else None
    _write(path, [row.to_dict() for row in rows], verdicts=verdicts)
    return len(rows)


def read_rows(path: Path) -> list[Row]:
    """The inverse of `write_rows`. A Parquet file from elsewhere gives source rows."""
    return [Row.from_dict(record) for record in table_records(path)]


def write_jsonl(path: Path, records: Iterable[Mapping[str, Any]]) -> int:
    """One JSON object per line; returns how many."""
    count = 0
    with replacing(path) as aside, aside.open("wb") as file:
        for record in records:
            count += 1
            line = json.dumps(record, ensure_ascii=False)
            # Half a surrogate pair, which a byte-level model can write, has no UTF-8; as an escape it survives.
            file.write(_utf8(line) or json.dumps(record).encode())
            file.write(b"\n")
    return count


def read_table(path: Path) -> list[dict[str, Any]]:
    """The records of a table (JSON lines or a list, also gzipped, Parquet, Arrow), at least one.

    Raises UsageError: no such file, another kind of file, a broken line (with its number and column), a line that is
    not an object, no rows, a column that JSON has no word for.
    """
    records = list(table_records(path))
    if not records:
        raise UsageError(f"{path} is empty", hint="put at least one row in it")
    return records


def _write(path: Path, records: Sequence[Mapping[str, Any]], *, verdicts: Sequence[Any] | None) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = list(dict.fromkeys(name for record in records for name in record if name != PROVENANCE))
    if verdicts is not None and "verdict" in names:
        names.remove("verdict")
    arrays: dict[str, pa.Array] = {}
    encoded = [PROVENANCE]
    for name in names:
        values = [record.get(name) for record in records]
        array = _typed(values)
        if array is None:
            encoded.append(name)
            array = pa.array([_json(name, value) for value in values], pa.string())
        arrays[name] = array
    if verdicts is not None:
        arrays["verdict"] = pa.array(verdicts, _verdict_type())
    arrays[PROVENANCE] = pa.array([_history(record, names) for record in records], pa.string())
    metadata = {JSON_COLUMNS: json.dumps(encoded).encode(), SHOWN_VERDICT: b"1" if verdicts is not None else b""}
    table = pa.table(arrays).replace_schema_metadata(metadata)
    with replacing(path) as aside:
        pq.write_table(table, aside, compression="zstd", compression_level=3)


def _history(record: Mapping[str, Any], names: Sequence[str]) -> str:
    """A row's history as JSON, with the columns that the file has and the row has not: null is a value, not absence."""
    absent = [name for name in names if name not in record]
    history = {**record[PROVENANCE], ABSENT: absent} if absent else record[PROVENANCE]
    # Without verdicts, whose scores are a verifier's, it is all our own: keys are text, values are plain.
    return _json(PROVENANCE, history, check=bool(history["verdicts"]))


def _typed(values: Sequence[Any]) -> pa.Array | None:
    """The values as Arrow types them, or None where that would change them."""
    import pyarrow as pa

    try:
        array = pa.array(values)
    except (pa.ArrowException, UnicodeEncodeError, OverflowError, TypeError, ValueError):
        return None
    kinds = {type(value) for value in values} - {type(None)}
    if len(kinds) <= 1 and kinds <= {str, int, float, bool}:
        return array  # one plain type comes back as it went
    if not plain_type(array.type) or not _regular(array.type):
        return None
    return array if all(map(_same, values, array.to_pylist())) else None


def _regular(kind: pa.DataType) -> bool:
    """Whether a column has this type in every file: dictionaries have other keys in other rows, messages do not."""
    import pyarrow.types as types

    if types.is_struct(kind):
        return {field.name for field in kind} == {"role", "content"} and all(_regular(field.type) for field in kind)
    return _regular(kind.value_type) if types.is_list(kind) else True


def _same(a: Any, b: Any) -> bool:
    """Equal and of one type all the way down; a tuple is a list, as it would be in JSON."""
    if isinstance(a, (list, tuple)):
        return isinstance(b, list) and len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, Mapping):
        return isinstance(b, dict) and a.keys() == b.keys() and all(_same(a[name], b[name]) for name in a)
    if isinstance(a, float) and type(b) is float:
        return a == b or (math.isnan(a) and math.isnan(b))
    return type(a) is type(b) and a == b


def _json(name: str, value: Any, *, check: bool = True) -> str:
    try:
        text = json.dumps(value, default=_mapping)
        if check and not _same(value, json.loads(text)):
            raise TypeError("a dictionary has keys that are not text")
        return text
    except (TypeError, ValueError) as error:
        raise HomeschoolError(
            f"column {name!r} cannot be written ({error})", hint="keep text, numbers, lists and dictionaries in rows"
        ) from error


def check_columns(columns: Mapping[str, Any]) -> None:
    """Raises TypeError, naming the column, for a value that no file of rows can hold."""
    for name, value in columns.items():
        if isinstance(value, (str, int, float, type(None))):
            continue
        try:
            _json(name, value)
        except HomeschoolError as error:
            raise TypeError(error.message) from error


def _mapping(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not a plain value")


def _verdict_type() -> pa.DataType:
    """Scores are a map, since verdicts of one file need not share their names."""
    import pyarrow as pa

    scores = pa.map_(pa.string(), pa.float64())
    text = [(name, pa.string()) for name in ("reason", "evidence", "verifier")]
    return pa.struct([("status", pa.string()), ("scores", scores), *text])


def _utf8(text: str) -> bytes | None:
    try:
        return text.encode()
    except UnicodeEncodeError:
        return None
