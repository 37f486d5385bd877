"""At most so many rows of one problem: the first ones."""

from __future__ import annotations

import pytest

from homeschool.core.errors import UsageError
from homeschool.core.records import Dropped, Row
from homeschool.curate.problem_cap import curator


def test_the_first_ones_of_each_problem_stay() -> None:
    given = [Row.source({"prompt": p, "n": n}) for n, p in enumerate("abaabbbc")]
    out = list(curator(cap=2)(given))
    assert [n for n, item in enumerate(out) if isinstance(item, Row)] == [0, 1, 2, 4, 7]
    assert out[3] == Dropped(given[3], "more than 2 of one problem", "problem_cap")


def test_another_column() -> None:
    given = [Row.source({"prompt": str(n), "topic": "t"}) for n in range(3)]
    assert sum(isinstance(item, Row) for item in curator("topic", cap=1)(given)) == 1


def test_a_cap_below_one_is_refused() -> None:
    with pytest.raises(UsageError, match="at least 1, not 0"):
        curator(cap=0)
