import asyncio

from homeschool.core.records import Row
from homeschool.improve.controls import CONTROLS

ROW = Row.source({"prompt": "?"})


def statuses(name: str, answers: list[str]) -> list[str]:
    return [verdict.status for verdict in asyncio.run(CONTROLS[name](ROW, answers))]


def test_unverified_passes_right_and_wrong_alike() -> None:
    assert statuses("unverified", ["= 4", "", "nonsense"]) == ["pass"] * 3


def test_majority_passes_the_answers_that_end_like_most() -> None:
    assert statuses("majority", ["= 3+1\n= 4", "= 4", "= 5", "= 2+2\n= 4\n"]) == ["pass", "pass", "fail", "pass"]


def test_majority_needs_two_voices() -> None:
    assert statuses("majority", ["= 1", "= 2", "= 3"]) == ["fail"] * 3
    assert statuses("majority", []) == []


def test_a_tie_is_decided_by_the_text_and_not_by_the_order() -> None:
    assert statuses("majority", ["= 2", "= 1", "= 1", "= 2"]) == ["fail", "pass", "pass", "fail"]
