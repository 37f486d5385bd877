from __future__ import annotations

import io
import json
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeschool.core.errors import HomeschoolError, StoppedError, UsageError
from homeschool.core.records import Row
from homeschool.engine.rows import write_jsonl, write_rows
from homeschool.engine.sources.occurrence import Occurrences
from homeschool.engine.sources.open import open_source
from homeschool.engine.sources.source import Source, source_of

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
DATA = Path(__file__).parents[3] / "shared" / "data"


def source(tmp_path: Path, records: list[dict[str, Any]], name: str = "t.jsonl") -> Source:
    write_jsonl(tmp_path / name, records)
    return open_source(str(tmp_path / name))


def test_rows_stream_again_and_again_with_the_same_ids(tmp_path: Path) -> None:
    found = source(tmp_path, [{"q": "a"}, {"q": "b"}, {"q": "a"}, {"q": "a"}])
    assert (found.name, found.total, dict(found.notes)) == (str(tmp_path / "t.jsonl"), 4, {})
    first, second = list(found.rows()), list(found.rows())
    assert [row.id for row in first] == [row.id for row in second]
    assert [row["q"] for row in first] == ["a", "b", "a", "a"]
    expected = [Row.source({"q": q}, occurrence=k).id for q, k in (("a", 0), ("b", 0), ("a", 1), ("a", 2))]
    assert [row.id for row in first] == expected


@QUICK
@given(values=st.lists(st.sampled_from([1, 1.0, True, "1", None, [1]]), min_size=1, max_size=12))
def test_every_row_has_an_id_of_its_own(values: list[Any], tmp_path: Path) -> None:
    rows = list(source(tmp_path, [{"x": value} for value in values]).rows())
    assert len({row.id for row in rows}) == len(values)
    assert json.dumps([row["x"] for row in rows]) == json.dumps(values)


def test_the_digest_is_of_the_content_and_not_of_the_name(tmp_path: Path) -> None:
    one, other = source(tmp_path, [{"q": 1}], "a.jsonl"), source(tmp_path, [{"q": 1}], "b.jsonl")
    assert one.digest == other.digest
    assert source(tmp_path, [{"q": 2}], "b.jsonl").digest != one.digest


def test_a_run_gives_its_rows_with_their_history(tmp_path: Path) -> None:
    start = Row.source({"q": "2+2?"})
    made = [start.derive(step="ask", answer=str(i)) for i in range(3)]
    write_rows(tmp_path / "rows" / "00000.parquet", made[:2])
    write_rows(tmp_path / "rows" / "00001.parquet", made[2:])
    (tmp_path / "rows" / "00002.parquet.part").write_bytes(b"half a shard")
    found = open_source(str(tmp_path))
    assert list(found.rows()) == made
    assert found.total == 3
    write_rows(tmp_path / "rows" / "00001.parquet", made[:1])
    again = list(open_source(str(tmp_path)).rows())
    assert again[0].id == made[0].id
    assert len({row.id for row in again}) == 3, "a row that is there twice is two rows"


@pytest.mark.parametrize("history", [5, [], {}, {"id": "../../etc"}, {"id": 3}, None])
def test_a_history_that_is_none_is_one_sentence(history: Any, tmp_path: Path) -> None:
    found = source(tmp_path, [{"q": 1}, {"q": 2, "_provenance": history}])
    if history is None:
        assert len(list(found.rows())) == 2
        return
    with pytest.raises(UsageError, match=r"row 2 of .*t.jsonl cannot be used \(its _provenance is not"):
        list(found.rows())


def test_a_forged_history_cannot_take_another_rows_id(tmp_path: Path) -> None:
    second = Row.source({"q": 1}, occurrence=1)
    rows = list(source(tmp_path, [second.to_dict(), {"q": 1}, {"q": 1}, second.to_dict()]).rows())
    assert len({row.id for row in rows}) == 4


def test_an_infinite_number_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"x": 1}\n{"x": 1e999}\n')
    with pytest.raises(UsageError, match=r"row 2 of .*t.jsonl cannot be used \(Out of range"):
        list(open_source(str(tmp_path / "t.jsonl")).rows())


def test_a_table_that_changes_while_it_is_read_stops_the_run(tmp_path: Path) -> None:
    found = source(tmp_path, [{"q": 1}])
    write_jsonl(tmp_path / "t.jsonl", [{"q": 1}, {"q": 2}])
    with pytest.raises(StoppedError, match="changed while it was read"):
        list(found.rows())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gone.jsonl", "gone.jsonl does not exist: name a .jsonl"),
        ("gone#train", "gone#train does not exist"),
        ("t.csv", "rows cannot be read from t.csv"),
        ("t.jsonl#train", "t.jsonl has no splits: name it without #train"),
        ("empty.jsonl", "empty.jsonl has no rows"),
        ("folder", r"folder has no rows \(passed over: 1 not text\)"),
        ("", "the source has no name"),
        ("git:folder", "folder is not a git repository"),
        ("git:gone", "gone is not a folder"),
        ("text:", "nothing is not a folder"),
        ("py:no-such-package-here", "there is no package 'no-such-package-here' here"),
        ("py:", "there is no package ''"),
        ("pipe.jsonl", "pipe.jsonl is not a file"),
        ("\0", "does not exist"),
    ],
)
def test_what_is_no_source_is_one_sentence(
    name: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text("a,b\n")
    Path("t.jsonl").write_text('{"a": 1}\n')
    Path("empty.jsonl").write_text("\n")
    os.mkfifo("pipe.jsonl")
    Path("folder").mkdir()
    Path("folder/picture.png").write_bytes(b"\x89PNG")
    with pytest.raises(UsageError, match=words) as raised:
        open_source(name)
    assert raised.value.hint
    assert "\n" not in str(raised.value)


class Piped:
    """Standard input as a pipe gives it."""

    def __init__(self, data: bytes) -> None:
        self.buffer = io.BytesIO(data)

    def isatty(self) -> bool:
        return False


@pytest.mark.parametrize("kind", ["jsonl", "list", "gzip", "parquet"])
def test_standard_input_is_kept_and_read_again(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = [{"q": "a"}, {"q": "b"}]
    write_jsonl(tmp_path / "t.jsonl", records)
    data = (tmp_path / "t.jsonl").read_bytes()
    if kind == "gzip":
        import gzip

        data = gzip.compress(data)
    if kind == "list":
        data = json.dumps(records).encode()
    if kind == "parquet":
        write_rows(tmp_path / "t.parquet", [Row.source(record) for record in records])
        data = (tmp_path / "t.parquet").read_bytes()
    monkeypatch.setattr(sys, "stdin", Piped(data))
    found = open_source("-", spool=tmp_path / "run" / "input")
    assert [dict(row.columns) for row in found.rows()] == records
    assert [row.id for row in found.rows()] == [Row.source(record).id for record in records]
    assert found.name == "standard input"
    assert (tmp_path / "run" / "input").read_bytes() == data


def test_standard_input_that_is_empty_or_has_no_place_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Piped(b""))
    with pytest.raises(UsageError, match="standard input has no rows"):
        open_source("-", spool=tmp_path / "input")
    with pytest.raises(UsageError, match="nowhere to keep it"):
        open_source("-")


def test_counting_ids_takes_no_memory() -> None:
    def ids(count: int) -> Iterator[str]:
        return (f"{i * 0x9E3779B97F4A7C15 % 2**64:016x}{i:08x}" for i in range(count))

    with Occurrences() as seen:
        assert not any(map(seen.add, ids(50_000)))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert sum(map(bool, map(seen.add, ids(300_000)))) == 50_000
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert [seen.add("0f" * 12), seen.add("0f" * 12), seen.add("f0" * 12), seen.add("0f" * 12)] == [0, 1, 0, 2]
    assert grown < 24 * 1024, "KiB; the cache is 8 MiB"


def test_a_stream_without_end_is_read_as_it_comes() -> None:
    def endless() -> Iterator[dict[str, Any]]:
        number = 0
        while True:
            yield {"n": number}
            number += 1

    found = source_of("endless", endless, content="c", total=None, notes={})
    rows = found.rows()
    assert [next(rows)["n"] for _ in range(3)] == [0, 1, 2]


@QUICK
@given(data=st.binary(max_size=200), kind=st.sampled_from(["jsonl", "json", "jsonl.gz", "parquet", "arrow"]))
def test_noise_under_any_name_is_rows_or_one_sentence(data: bytes, kind: str, tmp_path: Path) -> None:
    (tmp_path / f"noise.{kind}").write_bytes(data)
    try:
        rows = list(open_source(str(tmp_path / f"noise.{kind}")).rows())
    except HomeschoolError as error:
        assert "\n" not in str(error)
        assert "noise" in error.message
    else:
        assert rows


@pytest.mark.skipif(not DATA.exists(), reason="the shared data is not here")
def test_real_tables_are_read_whole() -> None:
    found = open_source(str(DATA / "math" / "gsm8k_train.jsonl.gz"))
    rows = list(found.rows())
    assert len(rows) == found.total == 7473
    assert set(rows[0].columns) == {"question", "answer"}
    assert len({row.id for row in rows}) == 7473
