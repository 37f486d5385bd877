"""Every curator on disk, and every one added later: streams, keeps the order, accounts for every row."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeschool.core.records import Dropped, Row
from homeschool.curate.load import list_curators, load_curators

NAMES = [listing["name"] for listing in list_curators()]
COLUMNS = st.fixed_dictionaries(
    {},
    optional={
        "prompt": st.sampled_from(["a", "b", "a ", "\ud800", ""]),
        "completion": st.one_of(st.none(), st.integers(0, 2), st.text(max_size=2)),
    },
)


def rows(columns: list[dict[str, object]]) -> list[Row]:
    return [Row.source(each, occurrence=number) for number, each in enumerate(columns)]


def test_there_are_some() -> None:
    assert {"exact_dedup", "problem_cap"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@given(columns=st.lists(COLUMNS, max_size=12))
def test_every_row_comes_out_once_in_order_and_unchanged(name: str, columns: list[dict[str, object]]) -> None:
    given_rows = rows(copy.deepcopy(columns))
    out = list(load_curators(name)[0](given_rows))
    assert [(item.row if isinstance(item, Dropped) else item).id for item in out] == [row.id for row in given_rows]
    assert all(item.reason and item.rule == name for item in out if isinstance(item, Dropped))
    assert [dict(row.columns) for row in given_rows] == columns
    assert out == list(load_curators(name)[0](given_rows))


@pytest.mark.parametrize("name", NAMES)
def test_rows_stream(name: str) -> None:
    taken: list[int] = []

    def endless() -> Iterator[Row]:
        number = 0
        while True:
            taken.append(number)
            yield Row.source({"prompt": "p", "completion": str(number % 2), "number": number})
            number += 1

    out = load_curators(name)[0](endless())
    assert not taken
    for _ in range(3):
        next(out)
    assert len(taken) == 3


@pytest.mark.parametrize("name", NAMES)
def test_nothing_in_nothing_out(name: str) -> None:
    assert list(load_curators(name)[0]([])) == []
