"""Parquet and Arrow files, read as a stream of records: a batch of rows is held at a time, never a file.

A file that Homeschool wrote gives back what was written: its metadata names the columns that are JSON text, and each
row's history says which columns the row has not. A file of any other origin is checked before it is believed: a type
that JSON has no word for, two columns of one name, or damage anywhere is one sentence.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeschool.core.errors import UsageError
from homeschool.core.records import PROVENANCE

if TYPE_CHECKING:
    import pyarrow as pa

JSON_COLUMNS = b"homeschool.json_columns"
"""Metadata: the columns that are JSON text, as a JSON list."""
SHOWN_VERDICT = b"homeschool.shown_verdict"
"""Metadata: whether there is a column `verdict` that is only for people."""
ABSENT = "absent"
"""In a row's history: the columns of the file that the row has not."""
_BATCH = 512
_BUFFER = 2**20


def parquet_records(path: Path, name: str) -> Iterator[dict[str, Any]]:
    """The records of a Parquet file. `name` is the file's name in errors."""
    import pyarrow.parquet as pq

    with _sound(name, "Parquet"), pq.ParquetFile(path, buffer_size=_BUFFER) as file:
        yield from _records(file.iter_batches(_BATCH), file.schema_arrow, name)


def count_parquet(path: Path, name: str) -> int:
    """How many rows a Parquet file says it has."""
    import pyarrow.parquet as pq

    with _sound(name, "Parquet"), pq.ParquetFile(path) as file:
        return file.metadata.num_rows


def arrow_records(path: Path, name: str) -> Iterator[dict[str, Any]]:
    """The records of an Arrow file of either kind, stream (as `datasets` writes) or file."""
    with _sound(name, "Arrow"), _arrow(path) as (batches, schema):
        pieces = (batch.slice(start, _BATCH) for batch in batches for start in range(0, batch.num_rows, _BATCH))
        yield from _records(pieces, schema, name)


def count_arrow(path: Path, name: str) -> int:
    """How many rows an Arrow file has."""
    with _sound(name, "Arrow"), _arrow(path) as (batches, _):
        return sum(batch.num_rows for batch in batches)


def plain_type(kind: pa.DataType) -> bool:
    """Whether JSON has a word for every value of the type."""
    import pyarrow.types as types

    if types.is_dictionary(kind):
        return plain_type(kind.value_type)
    if types.is_struct(kind):
        return all(plain_type(field.type) for field in kind)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return plain_type(kind.value_type)
    text = types.is_string(kind) or types.is_large_string(kind)
    return text or types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind) or types.is_null(kind)


def _records(batches: Iterable[pa.RecordBatch], schema: pa.Schema, name: str) -> Iterator[dict[str, Any]]:
    metadata = schema.metadata or {}
    hidden = ["verdict"] if metadata.get(SHOWN_VERDICT) and "verdict" in schema.names else []
    columns = [field for field in schema if field.name not in hidden]
    _check(columns, name)
    encoded = json.loads(metadata.get(JSON_COLUMNS, b"[]"))
    for batch in batches:
        batch = batch.drop_columns(hidden)
        batch.validate(full=True)
        for record in batch.to_pylist():
            for column in encoded:
                record[column] = json.loads(record[column])
            for column in (record.get(PROVENANCE) or {}).pop(ABSENT, ()) if PROVENANCE in encoded else ():
                del record[column]
            yield record


def _check(columns: Iterable[pa.Field], name: str) -> None:
    met = set[str]()
    for column in columns:
        if not plain_type(column.type):
            raise UsageError(
                f"column {column.name!r} of {name} is {column.type}, which JSON has no word for",
                hint="write it as text or as a number",
            )
        if column.name in met:
            raise UsageError(f"{name} has two columns {column.name!r}", hint="rename one of them")
        met.add(column.name)


@contextmanager
def _arrow(path: Path) -> Iterator[tuple[Iterable[pa.RecordBatch], pa.Schema]]:
    import pyarrow as pa

    with pa.OSFile(str(path)) as file:
        if file.read(6) == b"ARROW1":
            reader = pa.ipc.open_file(file)
            yield (reader.get_batch(index) for index in range(reader.num_record_batches)), reader.schema
        else:
            file.seek(0)
            stream = pa.ipc.open_stream(file)
            yield stream, stream.schema


@contextmanager
def _sound(name: str, kind: str) -> Iterator[None]:
    """Turns whatever Arrow says of a damaged file, or a history that is none, into one sentence."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        why = " ".join(str(error).split())[:200]
        raise UsageError(f"{name} is not a {kind} file ({why})", hint="check that the file is whole") from error
