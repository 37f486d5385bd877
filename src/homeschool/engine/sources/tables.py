"""Tables of rows: one file, the rows of a run, or a dataset's folder as the Hugging Face hub and `datasets` lay it out.

A dataset's folder is either what `save_to_disk` writes (`state.json` beside Arrow files, or one such folder per split
under `dataset_dict.json`) or tables beside a `README.md` card. A split is named after `#`; `train` is meant where none
is. The card's licence, else that of a licence file or of `dataset_info.json`, is the rows' column `license` unless
they have one. A name that a file of the folder mentions only chooses among the files that were found in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, NamedTuple

from homeschool.core.errors import StoppedError, UsageError
from homeschool.core.identity import digest, file_digest
from homeschool.engine.sources import arrow, jsonl, licence, text
from homeschool.engine.sources.files import MIB, Folder, PassedOver, decoded
from homeschool.engine.sources.source import Source, source_of

KINDS = (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".parquet", ".arrow")
_SPLIT = re.compile(r"(?:^|[-._/ ])(train|test|validation|training|testing|valid|val|dev|eval)(?=[-._/ ]|$)")
_SAME = {"training": "train", "testing": "test", "valid": "validation", "val": "validation", "dev": "validation"}
_ABOUT = ("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json")
_HINT = f"name a file that ends in {', '.join(KINDS[:-1])} or {KINDS[-1]}"


def table_records(path: Path) -> Iterator[dict[str, Any]]:
    """The records of one table, streamed. Raises UsageError for what is no table."""
    return _table(path, str(path)).read()


def table_source(name: str, path: Path, *, kind: str = "") -> Source:
    """One file as a source; `kind` is what its name would end in, if it had one."""
    return _source(name, [_table(path, name, kind=kind)], content=[file_digest(path)])


def run_source(name: str, folder: Folder) -> Source:
    """The rows of a run, in order, with their ids and history."""
    return _folder_source(name, folder, run_files(folder))


def run_files(folder: Folder) -> list[str]:
    return [path for path in folder.files if re.fullmatch(r"rows/[^/]+\.parquet", path)]


def dataset_source(name: str, folder: Folder, *, split: str = "") -> Source:
    """One split of a dataset's folder; without a name `train`, or the only one there is."""
    base = ""
    if "dataset_dict.json" in folder.files:
        splits = [path.removesuffix("/state.json") for path in folder.files if re.fullmatch(r"[^/]+/state.json", path)]
        base = f"{_chosen(name, splits, split)}/"
    saved = f"{base}state.json" in folder.files
    files = _saved(name, folder, base) if saved else _of_split(name, folder, split)
    return _folder_source(name, folder, files, licence_=_licence(folder, base))


def data_files(folder: Folder) -> list[str]:
    """The tables of a dataset's folder, without those that describe it."""
    return [path for path in folder.files if path.endswith(KINDS) and PurePosixPath(path).name not in _ABOUT]


def is_saved(folder: Folder) -> bool:
    """Whether `save_to_disk` wrote the folder."""
    arrows = any(path.endswith(".arrow") for path in folder.files)
    return arrows and ("state.json" in folder.files or "dataset_dict.json" in folder.files)


def _saved(name: str, folder: Folder, base: str) -> list[str]:
    """The Arrow files that belong to a saved dataset, in its order; caches may lie beside them."""
    state = _json_in(folder, f"{base}state.json")
    listed = state.get("_data_files") if isinstance(state, dict) else None
    names = [each.get("filename") for each in listed or () if isinstance(each, dict)]
    files = [f"{base}{each}" for each in names]
    missing = [file for file in files if file not in folder.files]
    if missing or not files:
        raise UsageError(
            f"{name}/{base}state.json names no file of its folder" + (f" with {missing[0]!r}" if missing else ""),
            hint="save the dataset again",
        )
    return files


def _of_split(name: str, folder: Folder, split: str) -> list[str]:
    """The files whose name, or whose folder's, says that they are of a split; one that says nothing is of `train`."""
    by_split: dict[str, list[str]] = {}
    for path in data_files(folder):
        words = _SPLIT.findall(path.lower().removesuffix(".gz"))
        word = str(words[-1]) if words else "train"
        by_split.setdefault(_SAME.get(word, word), []).append(path)
    files = by_split[_chosen(name, list(by_split), split)]
    folders = sorted({str(PurePosixPath(path).parent) for path in files})
    if len(folders) > 1:
        raise UsageError(f"{name} has tables in {', '.join(folders[:5])}", hint=f"name one: {name}/{folders[0]}")
    return files


def _chosen(name: str, splits: Sequence[str], split: str) -> str:
    if not split and len(splits) == 1:
        return splits[0]
    wanted = _SAME.get(split, split) or "train"
    for each in (split, wanted):
        if each in splits:
            return each
    raise UsageError(
        f"{name} has no split {split or wanted!r}", hint=f"name one after #: {', '.join(sorted(splits)[:10])}"
    )


def _licence(folder: Folder, base: str) -> str:
    """The licence that a dataset's card declares, else its licence files, else what `datasets` noted."""
    if card := text.card_licence(text.card_of(folder)):
        return card
    paths = [path for path in folder.files if licence.NAMES.fullmatch(path)]
    if paths:
        return licence.agreed(licence.of_text(_text_in(folder, path)) for path in paths)
    about = _json_in(folder, f"{base}dataset_info.json")
    return licence.declared(about.get("license")) if isinstance(about, dict) else ""


def _json_in(folder: Folder, path: str) -> Any:
    try:
        return json.loads(_text_in(folder, path) or "null")
    except (ValueError, RecursionError):
        return None


def _text_in(folder: Folder, path: str) -> str:
    try:
        return decoded(folder.read(path, most=MIB))
    except PassedOver:
        return ""


class _Table(NamedTuple):
    path: Path
    read: Callable[[], Iterator[dict[str, Any]]]
    rows: Callable[[], int | None]
    """How many, where that is known without reading."""


def _table(path: Path, name: str, *, kind: str = "") -> _Table:
    if not path.is_file():
        what = "is not a file" if path.exists() else "does not exist"
        raise UsageError(f"{name} {what}", hint=_HINT)
    kind = kind or next((kind for kind in KINDS if path.name.endswith(kind)), "")
    if not kind:
        raise UsageError(f"rows cannot be read from {name}", hint=_HINT)
    if kind == ".parquet":
        return _Table(path, partial(arrow.parquet_records, path, name), partial(arrow.count_parquet, path, name))
    if kind == ".arrow":
        return _Table(path, partial(arrow.arrow_records, path, name), partial(arrow.count_arrow, path, name))
    return _Table(path, partial(jsonl.json_records, path, name), partial(jsonl.count_records, path, name))


def _folder_source(name: str, folder: Folder, files: Sequence[str], *, licence_: str = "") -> Source:
    tables = [_table(folder.root / path, f"{name}/{path}") for path in files]
    content = [licence_, *([path, file_digest(folder.root / path)] for path in files)]
    return _source(name, tables, content=content, licence_=licence_, notes=folder.notes)


def _source(
    name: str,
    tables: Sequence[_Table],
    *,
    content: Sequence[Any],
    licence_: str = "",
    notes: Mapping[str, int] = MappingProxyType({}),
) -> Source:
    stamps = [_stamp(table.path) for table in tables]
    counts = [table.rows() for table in tables]
    known = [count for count in counts if count is not None]

    def records() -> Iterator[Mapping[str, Any]]:
        for table, stamp in zip(tables, stamps, strict=True):
            if _stamp(table.path) != stamp:
                raise StoppedError(
                    f"{table.path} changed while it was read", hint="leave it alone and type the command again"
                )
            for record in table.read():
                yield {**record, "license": licence_} if licence_ and "license" not in record else record

    total = sum(known) if len(known) == len(counts) else None
    return source_of(name, records, content=digest("tables", content), total=total, notes=notes)


def _stamp(path: Path) -> tuple[int, int] | None:
    """What changes when a file does; None if it is gone."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
