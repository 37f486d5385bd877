"""TRL's formats, decided by keys; nothing that TRL would take for something else; the same bytes every time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeschool.core.errors import HomeschoolError
from homeschool.core.records import Row
from homeschool.engine.export import RESERVED, write_trl
from homeschool.engine.rows import write_rows

ASKED = [{"role": "user", "content": "What is 2 + 2?"}]
SAID = [{"role": "assistant", "content": "4"}]
MORE = st.dictionaries(st.text(max_size=5), st.none() | st.integers(0, 9) | st.text())


def written(folder: Path, *shards: list[dict[str, Any]]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    for number, shard in enumerate(shards):
        write_rows(folder / "rows" / f"{number:05}.parquet", [Row.source(columns) for columns in shard])
    told = write_trl(folder)
    return told, [json.loads(line) for line in Path(told["path"]).read_bytes().splitlines()]


@pytest.mark.parametrize(
    ("columns", "format_", "chat", "line"),
    [
        ({"messages": ASKED + SAID}, "messages", True, {"messages": ASKED + SAID}),
        ({"prompt": "2+2", "completion": "4"}, "prompt_completion", False, {"prompt": "2+2", "completion": "4"}),
        ({"prompt": ASKED, "completion": "4"}, "prompt_completion", True, {"prompt": ASKED, "completion": SAID}),
        (
            {"prompt": "What is 2 + 2?", "completion": SAID},
            "prompt_completion",
            True,
            {"prompt": ASKED, "completion": SAID},
        ),
        (
            {"prompt": ASKED, "chosen": "4", "rejected": "5"},
            "preference",
            True,
            {"prompt": ASKED, "chosen": SAID, "rejected": [{"role": "assistant", "content": "5"}]},
        ),
        ({"chosen": "2+2=4", "rejected": "2+2=5"}, "preference", False, {"chosen": "2+2=4", "rejected": "2+2=5"}),
        (
            {"prompt": "a", "completion": "b", "label": False},
            "unpaired",
            False,
            {"prompt": "a", "completion": "b", "label": False},
        ),
        (
            {"prompt": "a", "completion": "b", "label": 3},
            "prompt_completion",
            False,
            {"prompt": "a", "completion": "b"},
        ),
        (
            {"prompt": "a", "completions": ["b", "c"], "labels": [True, False]},
            "stepwise",
            False,
            {"prompt": "a", "completions": ["b", "c"], "labels": [True, False]},
        ),
        ({"text": "a"}, "text", False, {"text": "a"}),
        ({"prompt": "a", "text": "the page it came from"}, "prompt", False, {"prompt": "a"}),
    ],
)
def test_a_format_is_known_by_its_columns(
    columns: dict[str, Any], format_: str, chat: bool, line: dict[str, Any], tmp_path: Path
) -> None:
    told, lines = written(tmp_path, [columns])
    assert (told["format"], told["chat"], told["rows"]) == (format_, chat, 1)
    assert lines == [{**line, "id": Row.source(columns).id}]


def test_other_columns_follow_the_id_and_none_can_be_misread(tmp_path: Path) -> None:
    misread = {"text": "a page", "label": "x", "id": "mine"}
    columns = {"level": 2, **misread, "prompt": "a", "completion": "b", "tags": ["t"]}
    told, [line] = written(tmp_path, [columns])
    assert list(line) == ["prompt", "completion", "id", "level", "tags"] == told["columns"]
    assert line["id"] == Row.source(columns).id
    assert told["left_out"] == ["text", "label", "id"]


def test_every_line_has_the_same_keys_and_types(tmp_path: Path) -> None:
    told, lines = written(
        tmp_path,
        [{"prompt": "a", "completion": "b", "n": 1, "meta": {"x": 1}, "odd": 1}, {"prompt": "c", "completion": "d"}],
        [{"prompt": "e", "completion": "f", "n": 2, "meta": {"y": "z"}, "odd": "one", "late": True}],
    )
    assert [list(line) for line in lines] == [["prompt", "completion", "id", "n", "late"]] * 3
    assert [line["n"] for line in lines] == [1, None, 2]
    assert told["left_out"] == ["meta", "odd"], "their type changes from row to row: `datasets` could not load them"


@pytest.mark.parametrize(
    ("shards", "words"),
    [
        ([[{"prompt": "a", "completion": "b"}], [{"text": "c"}]], "completion of text and row .* is text of text"),
        ([[{"prompt": "a", "completion": "b"}, {"prompt": "a"}]], "of text and row .* is prompt of text"),
        ([[{"prompt": "a"}], [{"prompt": ASKED}]], "of text and row .* is prompt of messages"),
        ([[{"question": "a", "answer": "b"}]], "none of the columns of a TRL dataset but answer, question"),
        ([[{"prompt": 7}]], "the column 'prompt' of row .* is 7"),
        ([[{"prompt": "a", "completion": ["b", "c"]}]], "the column 'completion'"),
        ([[{"prompt": "a", "completions": ["b"], "labels": [True, True]}]], "1 completions and 2 labels"),
    ],
)
def test_rows_that_make_no_dataset_are_refused_and_named(
    shards: list[list[dict[str, Any]]], words: str, tmp_path: Path
) -> None:
    with pytest.raises(HomeschoolError, match=words) as raised:
        written(tmp_path, *shards)
    first, last = (Row.source(rows[place]).id for rows, place in ((shards[0], 0), (shards[-1], -1)))
    assert last in str(raised.value)
    assert first in str(raised.value)
    assert "\n" not in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == ["rows"], "nothing half-written is left"


def test_a_run_without_rows_gives_an_empty_file(tmp_path: Path) -> None:
    assert written(tmp_path, []) == (
        {
            "path": str(tmp_path / "data.jsonl"),
            "format": None,
            "chat": False,
            "rows": 0,
            "columns": [],
            "left_out": [],
        },
        [],
    )


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(st.tuples(st.text(), st.text(), MORE), max_size=6))
def test_any_text_comes_back_and_equal_rows_give_equal_bytes(
    rows: list[tuple[str, str, dict[str, Any]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    records = [
        {name: value for name, value in more.items() if name not in RESERVED} | {"prompt": prompt, "completion": said}
        for prompt, said, more in rows
    ]
    folders = [tmp_path_factory.mktemp("run") for _ in range(2)]
    (_, lines), _ = (written(folder, records) for folder in folders)
    assert [(line["prompt"], line["completion"]) for line in lines] == [(prompt, said) for prompt, said, _ in rows]
    one, two = ((folder / "data.jsonl").read_bytes() for folder in folders)
    assert one == two
