"""Write the rows of a run as one JSONL file in TRL's dataset format.

TRL reads the kind of a dataset off its keys, so a line holds the keys of one kind only: `messages`; `chosen` and
`rejected` (with or without `prompt`); `prompt`, `completions` and `labels` (step by step); `prompt`, `completion` and a
`label` that is true or false; `prompt` and `completion`; `prompt`; or `text`. The first of these that a row has is its
kind. After them come the row's `id` and its other columns, but none that TRL would take for another kind and none
without one type throughout the run, which `datasets` could not load. What is left out is named, and stays in Parquet.

A prompt of messages makes an answer that is text a message of the assistant, and the other way round, since TRL wants
both alike. Refused: rows of two kinds, rows of none, and values that are neither text nor messages. Equal rows give
equal bytes, and at most one file of rows is in memory.

Format: https://huggingface.co/docs/trl/dataset_formats
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from homeschool.core.errors import HomeschoolError
from homeschool.core.records import PROVENANCE
from homeschool.engine.look import MIXED, column_types, row_files
from homeschool.engine.rows import write_jsonl
from homeschool.engine.sources.tables import table_records

FILE = "data.jsonl"

_DIALOGUE = ("messages", "prompt", "completion", "chosen", "rejected")
"""Keys whose value is a text or a list of messages."""
RESERVED = frozenset(
    {
        *_DIALOGUE,
        "text",
        "label",
        "completions",
        "labels",
        "conversations",
        "input_ids",
        "attention_mask",
        "completion_mask",
        "assistant_masks",
        "position_ids",
        "seq_lengths",
    }
)
"""Keys that TRL acts on, whatever they mean to us."""


def write_trl(run_folder: Path) -> dict[str, Any]:
    """Write `data.jsonl` beside the rows of a run; keys `path, format, chat, rows, columns, left_out`.

    `format` is `messages`, `preference`, `stepwise`, `unpaired`, `prompt_completion`, `prompt` or `text`, None for a
    run without rows; `chat` tells whether it is made of messages. Raises HomeschoolError for rows that make no dataset.
    """
    files = row_files(run_folder, "rows")
    export = _Export(*_columns(files))
    path = run_folder / FILE
    rows = write_jsonl(path, (record for file in files for record in export.records(file)))
    shown = export.shown
    return {
        "path": str(path),
        "format": shown.format if shown else None,
        "chat": shown.chat if shown else False,
        "rows": rows,
        "columns": [*shown.keys, "id", *export.others] if shown else [],
        "left_out": [name for name in export.left_out if not shown or name not in shown.keys],
    }


@dataclass(frozen=True, slots=True)
class _Shown:
    """The kind of a row and its keys, in TRL's order."""

    format: str
    keys: tuple[str, ...]
    chat: bool

    @property
    def words(self) -> str:
        return f"{' + '.join(self.keys)} of {'messages' if self.chat else 'text'}"


@dataclass(slots=True)
class _Export:
    others: list[str]
    """Columns of no meaning to TRL, in the order in which the files have them."""
    left_out: list[str]
    shown: _Shown | None = None
    first: str = field(default="")
    """Id of the first row, which all others must be like."""

    def records(self, file: Path) -> Iterator[dict[str, Any]]:
        for record in table_records(file):
            row_id = record[PROVENANCE]["id"]
            columns = _alike(record)
            shown = _kind(row_id, columns)
            if self.shown is None:
                self.shown, self.first = shown, row_id
            elif shown != self.shown:
                raise HomeschoolError(
                    f"row {self.first} is {self.shown.words} and row {row_id} is {shown.words}",
                    hint="a dataset has one format: let the recipe make rows of one kind",
                )
            line = {key: columns[key] for key in shown.keys}
            yield line | {"id": row_id} | {name: record.get(name) for name in self.others}


def _columns(files: list[Path]) -> tuple[list[str], list[str]]:
    """The columns that go along as they are, and those that do not."""
    types: dict[str, set[str]] = {}
    for file in files:
        for name, kind in column_types(file).items():
            types.setdefault(name, set()).add(kind)
    others = [name for name, kinds in types.items() if _plain(kinds) and name not in RESERVED and name != "id"]
    return others, [name for name in types if name not in others]


def _plain(kinds: set[str]) -> bool:
    return MIXED not in kinds and len(kinds - {"null"}) <= 1


def _kind(row_id: str, columns: dict[str, Any]) -> _Shown:
    """The first format that the row has all keys of."""
    has = {name for name, value in columns.items() if value is not None and name != PROVENANCE}
    for format_, keys in (
        ("messages", ("messages",)),
        ("preference", ("prompt", "chosen", "rejected")),
        ("preference", ("chosen", "rejected")),
        ("stepwise", ("prompt", "completions", "labels")),
        ("unpaired", ("prompt", "completion", "label")),
        ("prompt_completion", ("prompt", "completion")),
        ("prompt", ("prompt",)),
        ("text", ("text",)),
    ):
        if has.issuperset(keys) and not (format_ == "unpaired" and not isinstance(columns["label"], bool)):
            for key in keys:
                _check(row_id, key, columns[key])
            if format_ == "stepwise" and len(columns["completions"]) != len(columns["labels"]):
                counted = f"{len(columns['completions'])} completions and {len(columns['labels'])} labels"
                raise HomeschoolError(f"row {row_id} has {counted}", hint="every step has one label")
            return _Shown(format_, keys, _is_chat(columns[keys[0]]))
    raise HomeschoolError(
        f"row {row_id} has none of the columns of a TRL dataset but {', '.join(sorted(has)) or 'none'}",
        hint="let the recipe name them prompt and completion, messages, chosen and rejected, or text",
    )


def _alike(record: dict[str, Any]) -> dict[str, Any]:
    """The columns of a row with prompt and answers of one kind: all text, or all messages."""
    columns = dict(record)
    asked = "prompt" in columns and _is_chat(columns["prompt"])
    answers = [name for name in ("completion", "chosen", "rejected") if columns.get(name) is not None]
    if asked or any(_is_chat(columns[name]) for name in answers):
        for name in answers:
            columns[name] = _message("assistant", columns[name])
        if columns.get("prompt") is not None:
            columns["prompt"] = _message("user", columns["prompt"])
    return columns


def _message(role: str, value: Any) -> Any:
    return [{"role": role, "content": value}] if isinstance(value, str) else value


def _is_chat(value: Any) -> bool:
    return isinstance(value, list)


def _check(row_id: str, key: str, value: Any) -> None:
    """Refuse what TRL would choke on, or worse, misread."""
    expected, fits = _EXPECTED.get(key, _EXPECTED["prompt"])
    if not fits(value):
        raise HomeschoolError(f"the column {key!r} of row {row_id} is {_excerpt(value)}", hint=f"it must be {expected}")


def _are_messages(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(each, dict) and isinstance(each.get("role"), str) and "content" in each for each in value)
    )


def _list_of(kind: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(isinstance(each, kind) for each in value)


_EXPECTED: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "messages": ("a list of messages {role, content}", _are_messages),
    "text": ("text", lambda value: isinstance(value, str)),
    "label": ("true or false", lambda value: isinstance(value, bool)),
    "completions": ("a list of texts, one for each step", _list_of(str)),
    "labels": ("a list of true and false, one for each step", _list_of(bool)),
    "prompt": (
        "text or a list of messages {role, content}",
        lambda value: isinstance(value, str) or _are_messages(value),
    ),
}


def _excerpt(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:60]}..."
