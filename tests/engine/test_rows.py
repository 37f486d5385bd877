from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeschool.core.errors import HomeschoolError, StoppedError, UsageError
from homeschool.core.records import Completion, Row
from homeschool.core.verdict import Fail, Pass
from homeschool.engine import rows as engine_rows
from homeschool.engine.rows import read_rows, read_table, write_jsonl, write_rows

QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=6).filter(lambda name: name != "_provenance")
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=6
)
records = st.dictionaries(names, values, max_size=4)


def exactly(rows: list[Row]) -> str:
    """Rows as text in which 1, 1.0 and True differ, and so do -0.0 and 0.0."""
    return json.dumps([row.to_dict() for row in rows], sort_keys=True)


@QUICK
@given(table=st.lists(records, max_size=6))
def test_rows_come_back_as_they_were(table: list[dict[str, Any]], tmp_path: Path) -> None:
    rows = [Row.source(record, occurrence=i) for i, record in enumerate(table)]
    assert write_rows(tmp_path / "rows.parquet", rows) == len(rows)
    assert exactly(read_rows(tmp_path / "rows.parquet")) == exactly(rows)
    first = (tmp_path / "rows.parquet").read_bytes()
    write_rows(tmp_path / "rows.parquet", read_rows(tmp_path / "rows.parquet"))
    assert (tmp_path / "rows.parquet").read_bytes() == first


@QUICK
@given(column=st.lists(st.dictionaries(st.sampled_from("ab"), st.lists(scalars, max_size=2)), min_size=2, max_size=5))
def test_columns_of_like_shapes_come_back_as_they_were(column: list[Any], tmp_path: Path) -> None:
    rows = [Row.source({"x": value}, occurrence=i) for i, value in enumerate(column)]
    write_rows(tmp_path / "rows.parquet", rows)
    assert exactly(read_rows(tmp_path / "rows.parquet")) == exactly(rows)


def lessons() -> list[Row]:
    source = Row.source({"prompt": [{"role": "user", "content": "2+2?"}], "level": 1, "tags": ("a", "b")})
    call = Completion("4", "stop", key="k1", model="nano", sampling={"temperature": 1.0, "stop": ["\n"]}, seed=3)
    verdict = Pass({"exact": 1.0}, evidence="4", verifier="math@1")
    good = source.derive(step="s", calls=[call], verdicts=[verdict], completion="4")
    bad = source.derive(step="s", calls=[call], verdicts=[Fail({"close": 0.5}, reason="wrong answer")], completion="5")
    return [source, good, bad]


def test_history_is_kept_and_the_columns_are_typed(tmp_path: Path) -> None:
    rows = lessons()
    write_rows(tmp_path / "rows.parquet", rows)
    back = read_rows(tmp_path / "rows.parquet")
    assert [row.provenance for row in back] == [row.provenance for row in rows]
    assert "completion" not in back[0]
    assert back[1]["prompt"] == rows[1]["prompt"]
    schema = pq.read_schema(tmp_path / "rows.parquet")
    assert schema.field("level").type == pa.int64()
    assert schema.field("prompt").type == pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    assert schema.field("_provenance").type == pa.string()


def test_a_person_reads_the_last_verdict_and_a_program_does_not_see_that_column(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.parquet", lessons(), show_verdict=True)
    shown = pq.read_table(tmp_path / "rows.parquet").column("verdict").to_pylist()
    assert shown[0] is None
    assert (shown[1]["status"], dict(shown[1]["scores"])) == ("pass", {"exact": 1.0})
    assert (shown[2]["status"], shown[2]["reason"], dict(shown[2]["scores"])) == (
        "fail",
        "wrong answer",
        {"close": 0.5},
    )
    assert exactly(read_rows(tmp_path / "rows.parquet")) == exactly(lessons())


def test_equal_rows_are_equal_bytes(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.parquet", lessons(), show_verdict=True)
    write_rows(tmp_path / "b.parquet", lessons(), show_verdict=True)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_mixed_types_and_lone_surrogates_survive_as_json(tmp_path: Path) -> None:
    columns = [{"x": 1, "t": "a\ud800"}, {"x": "one", "t": "b"}, {"x": [1.0, {"y": None}], "t": None}, {"x": {}}]
    rows = [Row.source(record) for record in columns]
    write_rows(tmp_path / "rows.parquet", rows)
    assert exactly(read_rows(tmp_path / "rows.parquet")) == exactly(rows)
    assert pq.read_schema(tmp_path / "rows.parquet").field("x").type == pa.string()


@pytest.mark.parametrize(
    "column", [[1, 2.0], [[1], [2.0]], [True, 1], [{"a": 1}, {"a": 1, "b": None}], [2**63, 1], [{}, {}], [[], [None]]]
)
def test_nothing_is_rounded_filled_in_or_renamed(column: list[Any], tmp_path: Path) -> None:
    rows = [Row.source({"x": value}, occurrence=i) for i, value in enumerate(column)]
    write_rows(tmp_path / "rows.parquet", rows)
    assert exactly(read_rows(tmp_path / "rows.parquet")) == exactly(rows)


def test_a_reader_of_the_old_file_keeps_it_whole(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "t.jsonl", [{"old": True}] * 3)
    with (tmp_path / "t.jsonl").open() as reader:
        write_jsonl(tmp_path / "t.jsonl", [{"new": True}])
        assert reader.read() == '{"old": true}\n' * 3


@pytest.mark.parametrize("value", [{1, 2}, object(), b"bytes", {1: "a"}, math])
def test_what_has_no_plain_form_is_refused_and_nothing_is_left_behind(value: Any, tmp_path: Path) -> None:
    [row] = [Row({"odd": value}, lessons()[0].provenance)]
    with pytest.raises(HomeschoolError, match="column 'odd' cannot be written"):
        write_rows(tmp_path / "rows.parquet", [row])
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_rows(tmp_path / "rows.parquet", lessons())
    before = (tmp_path / "rows.parquet").read_bytes()

    def full(*args: object, **options: object) -> None:
        Path(str(args[1])).write_bytes(b"half a file")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(StoppedError, match="disk is full"):
        write_rows(tmp_path / "rows.parquet", lessons() * 2)
    assert (tmp_path / "rows.parquet").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["rows.parquet"]


@QUICK
@given(table=st.lists(records, min_size=1, max_size=5), packed=st.booleans())
def test_jsonl_comes_back_as_it_was(table: list[dict[str, Any]], packed: bool, tmp_path: Path) -> None:
    path = tmp_path / "table.jsonl"
    assert write_jsonl(path, table) == len(table)
    if packed:
        path = tmp_path / "table.jsonl.gz"
        path.write_bytes(gzip.compress((tmp_path / "table.jsonl").read_bytes()))
    assert read_table(path) == table


def test_jsonl_keeps_what_utf8_cannot(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "t.jsonl", [{"text": "é\u2028\n\x85"}, {"text": "\ud800"}])
    assert read_table(tmp_path / "t.jsonl") == [{"text": "é\u2028\n\x85"}, {"text": "\ud800"}]


@QUICK
@given(data=st.binary(max_size=60) | st.text(st.sampled_from('{}[]":,a1 \n\\'), max_size=40).map(str.encode))
def test_whatever_is_in_a_jsonl_file_gives_objects_or_one_sentence(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "fuzz.jsonl"
    path.write_bytes(data)
    try:
        records = read_table(path)
    except UsageError as error:
        assert "\n" not in str(error)
        assert "fuzz.jsonl" in error.message
        assert error.hint
    else:
        assert records
        assert all(isinstance(record, dict) for record in records)


@QUICK
@given(data=st.binary(max_size=60), name=st.sampled_from(["fuzz.parquet", "fuzz.jsonl.gz"]))
def test_noise_is_no_parquet_and_no_gzip(data: bytes, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UsageError, match="fuzz"):
        read_table(tmp_path / name)


GOOD = b'{"prompt": "2+2?", "answer": "4"}\n'


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        (
            "t.jsonl",
            GOOD * 2 + b'{"prompt": "2+2?" "answer": "4"}\n' + GOOD,
            r"broken at line 3, column 19 \(Expecting",
        ),
        ("t.jsonl", GOOD + b"\n\n" + b'{"prompt": "2', "broken at line 4, column 12"),
        ("t.jsonl", GOOD + b'{"prompt": "\xff"}\n', "broken at line 2, byte 13"),
        ("t.jsonl", GOOD + b'{"x": NaN}\n', "broken at line 2 .NaN is not JSON"),
        ("t.jsonl", b'{"x": ' + b"9" * 5000 + b"}\n", "broken at line 1 .Exceeds the limit"),
        ("t.jsonl", b"[" * 100_000, "broken at line 1"),
        ("t.jsonl", GOOD + b"[1, 2]\n", r"no JSON object at line 2 but \[1, 2\]"),
        ("t.jsonl", GOOD + b"7\n", "no JSON object at line 2 but 7"),
        ("t.jsonl", b"", "is empty"),
        ("t.jsonl", b"\n \n", "is empty"),
        ("t.csv", b"a,b\n", "rows cannot be read from"),
        ("t.jsonl.gz", gzip.compress(GOOD * 100, mtime=0)[:-20], "cannot be read"),
        ("t.jsonl.gz", GOOD, "cannot be read"),
        ("t.parquet", GOOD, "is not a Parquet file"),
    ],
)
def test_a_bad_file_is_one_sentence(name: str, data: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UsageError, match=words) as raised:
        read_table(tmp_path / name)
    assert raised.value.exit_code == 2
    assert len(str(raised.value).splitlines()) == 1
    assert len(str(raised.value)) < 300 + len(str(tmp_path))


def test_no_such_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gone.jsonl does not exist"):
        read_table(tmp_path / "gone.jsonl")
    with pytest.raises(UsageError, match="is not a file"):
        read_table(tmp_path)


def test_windows_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_bytes(b"\xef\xbb\xbf" + GOOD.replace(b"\n", b"\r\n") * 2)
    assert read_table(tmp_path / "t.jsonl") == [{"prompt": "2+2?", "answer": "4"}] * 2


def test_parquet_from_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "theirs.parquet"
    table = pa.table({"prompt": ["a", "b"], "n": pa.array([1, None], pa.int32())})
    pq.write_table(table, path)
    assert read_table(path) == [{"prompt": "a", "n": 1}, {"prompt": "b", "n": None}]
    assert [row.provenance.step for row in read_rows(path)] == ["source", "source"]
    pq.write_table(table.append_column("when", pa.array([0, 1], pa.timestamp("s"))), path)
    with pytest.raises(UsageError, match=r"column 'when' of .* is timestamp\[ms\]"):
        read_table(path)
    pq.write_table(table.slice(0, 0), path)
    with pytest.raises(UsageError, match="is empty"):
        read_table(path)
    assert read_rows(path) == []


def test_reading_imports_pyarrow_only_when_it_must() -> None:
    assert not hasattr(engine_rows, "pq")
