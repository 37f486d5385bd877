"""`all_of` and `first_of`: who is asked what, and whose word counts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from homeschool.core.protocols import Context
from homeschool.core.records import Row
from homeschool.core.verdict import STATUSES, Verdict
from homeschool.verify import all_of, first_of

PASS, FAIL, ABSTAIN, BROKEN = "pass", "fail", "abstain", "broken"


@dataclass
class Scripted:
    """Says of each answer what `says` holds for it, and notes what it was asked."""

    name: str
    says: dict[str, str]
    grouped: bool = False
    asked: list[list[str]] = field(default_factory=list)

    async def __call__(self, row: Row, answers: Sequence[str], ctx: Context | None = None) -> list[Verdict]:
        self.asked.append(list(answers))
        status = [self.says[answer] for answer in answers]
        return [STATUSES[each]({self.name: 1.0}, f"{self.name} says {each}", "", self.name) for each in status]


def judge(verifier: all_of.AllOf | first_of.FirstOf, answers: Sequence[str]) -> list[Verdict]:
    return asyncio.run(verifier(Row.source({}), answers))


def test_what_a_cheap_check_fails_never_reaches_the_dear_one() -> None:
    cheap = Scripted("cheap", {"a": PASS, "b": FAIL, "c": PASS})
    dear = Scripted("dear", {"a": PASS, "c": FAIL})
    verdicts = judge(all_of.verifier(cheap, dear), ["a", "b", "c"])
    assert [verdict.status for verdict in verdicts] == [PASS, FAIL, FAIL]
    assert [verdict.reason for verdict in verdicts[1:]] == ["cheap says fail", "dear says fail"]
    assert dict(verdicts[0].scores) == {"cheap": 1.0, "dear": 1.0}
    assert dear.asked == [["a", "c"]], "and it sees all that is left at once"


def test_a_dear_part_is_not_called_for_nothing() -> None:
    dear = Scripted("dear", {})
    judge(all_of.verifier(Scripted("cheap", {"a": FAIL}), dear), ["a"])
    judge(first_of.verifier(Scripted("exact", {"a": FAIL}), dear), ["a"])
    assert dear.asked == []


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [
        (PASS, PASS, PASS),
        (PASS, FAIL, FAIL),
        (BROKEN, FAIL, FAIL),
        (ABSTAIN, FAIL, FAIL),
        (BROKEN, PASS, BROKEN),
        (ABSTAIN, BROKEN, BROKEN),
        (ABSTAIN, PASS, ABSTAIN),
    ],
)
def test_in_all_of_fail_wins_then_broken_then_abstain(first: str, second: str, wanted: str) -> None:
    made = all_of.verifier(Scripted("one", {"a": first}), Scripted("two", {"a": second}))
    assert judge(made, ["a"])[0].status == wanted


@pytest.mark.parametrize(
    ("first", "second", "wanted", "who"),
    [
        (PASS, FAIL, PASS, "one"),
        (FAIL, PASS, FAIL, "one"),
        (ABSTAIN, PASS, PASS, "two"),
        (ABSTAIN, FAIL, FAIL, "two"),
        (BROKEN, PASS, PASS, "two"),
        (BROKEN, FAIL, FAIL, "two"),
        (BROKEN, ABSTAIN, BROKEN, "one"),
        (ABSTAIN, BROKEN, BROKEN, "two"),
        (ABSTAIN, ABSTAIN, ABSTAIN, "two"),
    ],
)
def test_in_first_of_the_first_opinion_decides(first: str, second: str, wanted: str, who: str) -> None:
    made = first_of.verifier(Scripted("one", {"a": first}), Scripted("two", {"a": second}))
    [verdict] = judge(made, ["a"])
    assert (verdict.status, verdict.verifier) == (wanted, who)
    assert ("one was broken: one says broken" in verdict.evidence) is (first == BROKEN and who == "two")


def test_first_of_asks_the_next_only_about_what_is_open() -> None:
    exact = Scripted("exact", {"a": PASS, "b": ABSTAIN, "c": FAIL, "d": BROKEN})
    dear = Scripted("dear", {"b": PASS, "d": FAIL})
    verdicts = judge(first_of.verifier(exact, dear), ["a", "b", "c", "d"])
    assert [verdict.status for verdict in verdicts] == [PASS, PASS, FAIL, FAIL]
    assert dear.asked == [["b", "d"]]


def test_a_part_with_the_wrong_number_of_verdicts_is_broken() -> None:
    class Short(Scripted):
        async def __call__(self, row: Row, answers: Sequence[str], ctx: Context | None = None) -> list[Verdict]:
            return (await super().__call__(row, answers, ctx))[:1]

    made = all_of.verifier(Short("short", {"a": PASS, "b": PASS}))
    assert [verdict.reason for verdict in judge(made, ["a", "b"])] == ["wrong number of verdicts"] * 2


@pytest.mark.parametrize("composed", [all_of, first_of])
def test_it_is_of_groups_if_a_part_is(composed: object) -> None:
    made = composed.verifier  # pyright: ignore[reportAttributeAccessIssue]
    assert made(Scripted("one", {}), Scripted("two", {}, grouped=True)).grouped
    assert not made(Scripted("one", {})).grouped
