from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeschool.core.errors import HomeschoolError, UsageError
from homeschool.core.records import Row
from homeschool.engine.rows import read_table, write_jsonl, write_rows
from homeschool.engine.sources import jsonl
from homeschool.engine.sources.open import open_source

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
objects = st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=9) | st.lists(st.none()), max_size=3)


def columns(name: Path | str) -> list[dict[str, Any]]:
    return [dict(row.columns) for row in open_source(str(name)).rows()]


def write_arrow(path: Path, table: pa.Table, *, stream: bool = True) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    opened = pa.ipc.new_stream if stream else pa.ipc.new_file
    with pa.OSFile(str(path), "wb") as file, opened(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)


def saved(folder: Path, values: list[int], **about: Any) -> None:
    """What `datasets.save_to_disk` writes."""
    names = [f"data-{i:05d}-of-00002.arrow" for i in range(2)]
    write_arrow(folder / names[0], pa.table({"n": values[:2]}))
    write_arrow(folder / names[1], pa.table({"n": values[2:]}))
    write_arrow(folder / "cache-0123456789abcdef.arrow", pa.table({"n": [99]}))
    state = {"_data_files": [{"filename": name} for name in names], "_split": None}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text(json.dumps({"license": "", **about}))


@QUICK
@given(table=st.lists(objects, min_size=1, max_size=6), indent=st.sampled_from([None, 1]), block=st.integers(1, 40))
def test_a_list_of_objects_is_read_whatever_its_layout(
    table: list[dict[str, Any]], indent: int | None, block: int, tmp_path: Path
) -> None:
    path = tmp_path / "t.json"
    path.write_text(json.dumps(table, indent=indent, ensure_ascii=False), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsonl, "_BLOCK", block)
        assert read_table(path) == table


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[{"a": 1}, {"a": 2} {"a": 3}]', r"broken at item 3 \(no , or \] follows\)"),
        ('[{"a": 1}, 7]', "no JSON object at item 2 but 7"),
        ('[{"a": 1}, {"a": ]', r"broken at item 2 \(Expecting value"),
        ('[{"a": 1}', "broken at item 2"),
        ('[{"a": 1}]]', "broken at item 2"),
        ('[{"a": 1},]', "broken at item 2"),
        ('[{"a": 1}, {"b": "\\ud800\udcff"}]', "not UTF-8"),
        ('[{"a": NaN}]', "broken at item 1 .NaN is not JSON"),
        ('[{"a": ' + "[" * 100_000, "broken at item 1 .maximum recursion"),
        ("[]", "is empty"),
        ("[ ", "broken at item 1"),
        ('{"a": 1, \n "b": 2}', "broken at line 1, column 9"),
    ],
)
def test_a_broken_list_is_one_sentence(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError, match=words) as raised:
        read_table(tmp_path / "t.json")
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 300 + len(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("t.jsonl", b'{"a": 1}\n{"a": "' + b"x" * 5000 + b'"}\n', "line 2 of .* is longer than"),
        ("t.jsonl", b" " * 5000, "line 1 of .* is longer than"),
        ("t.jsonl.gz", gzip.compress(b"0" * 5_000_000), "line 1 of .* is longer than"),
        ("t.json", b'[{"a": 1}, {"a": "' + b"x" * 5000 + b'"}]', "item 2 .longer than"),
        ("t.json", b'[{"a": 1}' + b" " * 5000 + b"]", "item 2 .longer than"),
    ],
)
def test_an_enormous_line_or_object_is_refused_before_it_is_held(
    name: str, data: bytes, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonl, "LONGEST", 1000)
    monkeypatch.setattr(jsonl, "_BLOCK", 100)
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UsageError, match=words):
        read_table(tmp_path / name)


def test_gzipped_lists_and_lines_are_counted_or_not(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl.gz").write_bytes(gzip.compress(b'\n{"a": 1}\n \n{"a": 2}'))
    (tmp_path / "t.json.gz").write_bytes(gzip.compress(b'\xef\xbb\xbf [{"a": 1}, {"a": 2}]'))
    lines, listed = open_source(str(tmp_path / "t.jsonl.gz")), open_source(str(tmp_path / "t.json.gz"))
    assert (lines.total, listed.total) == (2, None)
    assert [row.id for row in lines.rows()] == [row.id for row in listed.rows()]


@pytest.mark.parametrize("stream", [True, False])
def test_arrow_files_of_both_kinds(stream: bool, tmp_path: Path) -> None:
    table = pa.table({"n": [1, 2, 3], "d": pa.array(["a", "b", "a"]).dictionary_encode(), "l": [[1.5], [], None]})
    write_arrow(tmp_path / "t.arrow", table, stream=stream)
    assert columns(tmp_path / "t.arrow") == table.to_pylist()
    assert open_source(str(tmp_path / "t.arrow")).total == 3


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (pa.table({"image": [b"\xff"]}), "column 'image' of .*t.{6,8} is binary, which JSON has no word for"),
        (pa.table([[1], [2]], names=["a", "a"]), "has two columns 'a'"),
        (pa.table({"x": [float("nan")]}), "row 1 of .* cannot be used"),
        (pa.table({"x": pa.array([b"\xff\xfe"]).cast(pa.string(), safe=False)}), "UTF"),
        (
            pa.table({"_provenance": ["{"]}).replace_schema_metadata({"homeschool.json_columns": '["_provenance"]'}),
            "t.",
        ),
        (pa.table({"a": ["{"]}).replace_schema_metadata({"homeschool.json_columns": '["b"]'}), "is not a"),
        (pa.table({"a": ["{"]}).replace_schema_metadata({"homeschool.json_columns": "[[[["}), "is not a"),
    ],
)
@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_a_table_of_strange_columns_is_one_sentence(table: pa.Table, words: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"t.{kind}"
    if kind == "parquet":
        pq.write_table(table, path)
    else:
        write_arrow(path, table)
    with pytest.raises(UsageError, match=words) as raised:
        columns(path)
    assert "\n" not in str(raised.value)


@QUICK
@given(
    kind=st.sampled_from(["parquet", "arrow"]), places=st.lists(st.integers(0, 10**6), max_size=4), cut=st.booleans()
)
def test_a_damaged_table_is_rows_or_one_sentence(kind: str, places: list[int], cut: bool, tmp_path: Path) -> None:
    path = tmp_path / f"t.{kind}"
    if kind == "parquet":
        write_rows(path, [Row.source({"a": i, "t": "é" * i, "m": [{"role": "user"}]}) for i in range(5)])
    else:
        write_arrow(path, pa.table({"a": [1, 2, 3], "s": ["a", "b", None]}))
    data = bytearray(path.read_bytes())
    for place in places:
        data[place % len(data)] ^= 1 + place % 255
    path.write_bytes(data[: len(data) // 2] if cut else data)
    try:
        assert columns(path)
    except HomeschoolError as error:
        assert "\n" not in str(error)


def test_a_parquet_file_is_read_in_pieces(tmp_path: Path) -> None:
    table = pa.table({"n": range(5000), "text": ["x" * 100] * 5000})
    pq.write_table(table, tmp_path / "t.parquet")
    rows = open_source(str(tmp_path / "t.parquet")).rows()
    assert [next(rows)["n"] for _ in range(3)] == [0, 1, 2]
    assert sum(1 for _ in rows) == 4997


def test_what_datasets_saved_is_read_in_its_order_without_its_caches(tmp_path: Path) -> None:
    saved(tmp_path / "d", [1, 2, 3], license="Apache-2.0")
    assert columns(tmp_path / "d") == [{"n": n, "license": "Apache-2.0"} for n in (1, 2, 3)]
    assert open_source(str(tmp_path / "d")).total == 3


def test_a_split_is_chosen_by_name(tmp_path: Path) -> None:
    saved(tmp_path / "train", [1, 2, 3])
    saved(tmp_path / "test", [4, 5, 6])
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "test", "../../secret"]}')
    assert [row["n"] for row in columns(tmp_path)] == [1, 2, 3]
    assert [row["n"] for row in columns(f"{tmp_path}#test")] == [4, 5, 6]
    assert open_source(f"{tmp_path}#test").digest != open_source(str(tmp_path)).digest
    with pytest.raises(UsageError, match=r"no split 'dev': name one after #: test, train"):
        open_source(f"{tmp_path}#dev")


@pytest.mark.parametrize("named", ["../outside.arrow", "/etc/passwd", "link.arrow", 7, None, "gone.arrow"])
def test_a_saved_dataset_opens_nothing_that_it_merely_names(named: Any, tmp_path: Path) -> None:
    saved(tmp_path / "d", [1, 2, 3])
    write_arrow(tmp_path / "outside.arrow", pa.table({"secret": [1]}))
    (tmp_path / "d" / "link.arrow").symlink_to(tmp_path / "outside.arrow")
    (tmp_path / "d" / "state.json").write_text(json.dumps({"_data_files": [{"filename": named}]}))
    with pytest.raises(UsageError, match=r"state.json names no file of its folder"):
        open_source(str(tmp_path / "d"))


CARD = "---\nlicense: cc-by-4.0\nconfigs: [{data_files: /etc/passwd}]\n---\n# A dataset\n"


def test_a_hub_folder_has_its_cards_licence_and_its_splits(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(CARD)
    (tmp_path / ".gitattributes").write_text("*")
    (tmp_path / "data").mkdir()
    for i in range(2):
        pq.write_table(pa.table({"n": [i]}), tmp_path / f"data/train-0000{i}-of-00002.parquet")
    pq.write_table(pa.table({"n": [7], "license": ["MIT"]}), tmp_path / "data/validation-00000-of-00001.parquet")
    assert columns(tmp_path) == [{"n": 0, "license": "CC-BY-4.0"}, {"n": 1, "license": "CC-BY-4.0"}]
    assert columns(f"{tmp_path}#dev") == columns(f"{tmp_path}#validation") == [{"n": 7, "license": "MIT"}]
    before = open_source(str(tmp_path)).digest
    (tmp_path / "README.md").write_text(CARD.replace("cc-by", "cc-by-sa"))
    assert open_source(str(tmp_path)).digest != before, "the licence is part of the rows"


def test_two_tables_of_one_split_in_two_folders_are_not_mixed(tmp_path: Path) -> None:
    for name in ("main", "socratic"):
        (tmp_path / name).mkdir()
        write_jsonl(tmp_path / name / "train.jsonl", [{"config": name}])
    with pytest.raises(UsageError, match=r"has tables in main, socratic: name one: .*/main"):
        open_source(str(tmp_path))
    assert columns(tmp_path / "socratic") == [{"config": "socratic"}]


def test_tables_and_texts_in_one_folder_are_ambiguous(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "rows.jsonl", [{"a": 1}])
    (tmp_path / "README.md").write_text("Some rows.")
    assert columns(tmp_path) == [{"a": 1}]
    (tmp_path / "notes.txt").write_text("Some notes.")
    with pytest.raises(UsageError, match="holds both 1 tables and 2 texts"):
        open_source(str(tmp_path))
    assert [row["path"] for row in columns(f"text:{tmp_path}")] == ["README.md", "notes.txt"]


def test_a_path_with_a_hash_is_a_path(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "c#.jsonl", [{"a": 1}])
    assert columns(tmp_path / "c#.jsonl") == [{"a": 1}]
