"""Curators by name, in a chain."""

from __future__ import annotations

import pytest

from homeschool.core.errors import UsageError
from homeschool.core.records import Row
from homeschool.curate import exact_dedup, problem_cap
from homeschool.curate.load import list_curators, load_curators, run_curators


def test_a_chain_accounts_for_every_row() -> None:
    pairs = ["aa", "aa", "ab", "ac", "ba"]
    given = [Row.source({"prompt": p, "completion": c}, occurrence=n) for n, (p, c) in enumerate(pairs)]
    kept, dropped = run_curators(given, load_curators("exact_dedup, problem_cap"))
    assert [given.index(row) for row in kept] == [0, 2, 4]
    assert [(given.index(drop.row), drop.rule) for drop in dropped] == [(1, "exact_dedup"), (3, "problem_cap")]


def test_order_matters_and_no_curator_keeps_all() -> None:
    given = [Row.source({"prompt": "a", "completion": c}, occurrence=n) for n, c in enumerate("aab")]
    kept, _ = run_curators(given, [problem_cap.curator(cap=2), exact_dedup.curator()])
    assert kept == given[:1]
    assert run_curators(given, []) == (given, [])


def test_names() -> None:
    papers = {listing["name"]: listing["paper"] for listing in list_curators()}
    assert (papers["exact_dedup"], papers["problem_cap"]) == ("", "Yuan et al. 2023")
    with pytest.raises(UsageError, match="unknown curator 'exact_dedupe': did you mean 'exact_dedup'"):
        load_curators("problem_cap,exact_dedupe")
    with pytest.raises(UsageError, match="no curator is named"):
        load_curators(" , ")
