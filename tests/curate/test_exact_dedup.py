"""Exact deduplication keeps the first and says of which row the others are copies."""

from __future__ import annotations

from typing import Any

from homeschool.core.records import Dropped, Row
from homeschool.curate.exact_dedup import curator


def rows(*columns: dict[str, Any]) -> list[Row]:
    return [Row.source(each, occurrence=number) for number, each in enumerate(columns)]


def kept(*columns: dict[str, Any], **options: Any) -> list[int]:
    given = rows(*columns)
    out = list(curator(**options)(given))
    return [number for number, (row, item) in enumerate(zip(given, out, strict=True)) if item is row]


def test_the_first_stays() -> None:
    given = rows({"prompt": "p", "completion": "a b"}, {"prompt": "p", "completion": " a\n b "})
    first, second = curator()(given)
    assert first is given[0]
    assert second == Dropped(given[1], f"same as row {given[0].id}", "exact_dedup")


def test_what_counts_as_the_same() -> None:
    assert kept({"prompt": "é"}, {"prompt": "e\u0301"}) == [0]
    assert kept({"prompt": "a"}, {"prompt": "A"}) == [0, 1]
    assert kept({"prompt": "x²"}, {"prompt": "x2"}) == [0, 1]
    assert kept({"prompt": "a", "completion": ""}, {"prompt": "a"}) == [0, 1]
    assert kept({"prompt": "p", "completion": "c", "n": 1}, {"prompt": "p", "completion": "c", "n": 2}) == [0]
    assert kept({"prompt": "ab", "completion": "c"}, {"prompt": "a", "completion": "bc"}) == [0, 1]


def test_other_columns_and_messages() -> None:
    assert kept({"prompt": "p", "completion": "c"}, {"prompt": "p", "completion": "d"}, columns=("prompt",)) == [0]
    message, same = [{"role": "user", "content": "hi  there"}], [{"content": "hi there", "role": "user"}]
    assert kept({"prompt": message}, {"prompt": same}, {"prompt": "hi there"}) == [0, 2]


def test_half_a_surrogate_pair_is_text_too() -> None:
    assert kept({"prompt": "\ud800"}, {"prompt": "\ud800"}, {"prompt": "\ud801"}) == [0, 2]


def test_each_stream_begins_anew() -> None:
    given, curate = rows({"prompt": "p"}), curator()
    assert list(curate(given)) == list(curate(given)) == given
