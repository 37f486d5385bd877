"""Multiple choice: an answer must commit to one option."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeschool.core.records import Row
from homeschool.core.verdict import Verdict
from homeschool.tasks.commonsense import task
from homeschool.verify.choice import verifier

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
FILES = (
    ("reasoning/commonsenseqa_dev_shared.jsonl", 640),
    ("reasoning/commonsenseqa_train.jsonl.gz", 9741),
    ("reasoning/strategyqa_train.jsonl.gz", 2061),
    ("reasoning/bigbench_date_shared.jsonl", 216),
    ("reasoning/pubmedqa_labelled_shared.jsonl", 610),
    ("math/aqua_dev.jsonl", 254),
)
FRUIT: dict[str, Any] = {"choices": ["apple", "I", "a red apple", "10", "10.5"], "answer": "C"}
YES: dict[str, Any] = {"choices": ["yes", "no", "maybe"], "answer": "no"}


def judge(answer: str, columns: dict[str, Any] = FRUIT) -> Verdict:
    return asyncio.run(verifier()(Row.source(columns), [answer]))[0]


@pytest.mark.parametrize(
    "answer",
    [
        "C", "c", "(C)", "C)", "C.", "[C]", "**C**", "Option C", "C: a red apple", "(c) red apple",
        "\\boxed{\\text{C}}",
        "The answer is C.", "the final answer is: **(C)**", "Answer: C\n\nBecause it is red.", "#### C",
        "<answer>\nC\n</answer>", "The correct answer is option C because it is red.", "The answer is a red apple.",
        "A is out.\nSo I choose (C).", "It must be a red apple", "C\nAn apple a day is fine.", "A red apple",
    ],
)  # fmt: skip
def test_commits_to_the_right_one(answer: str) -> None:
    verdict = judge(answer)
    assert verdict.status == "pass", verdict


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("A", "wrong answer"),
        ("apple", "wrong answer"),
        ("The answer is 10.", "wrong answer"),
        ("The answer is 10.5.", "wrong answer"),
        ("The answer is C or A.", "several answers"),
        ("The answer is C or a.", "several answers"),
        ("The answer is C/D", "several answers"),
        ("C, D", "several answers"),
        ("A or C", "several answers"),
        ("The answer is A or C", "several answers"),
        ("A, B, C, D, E", "several answers"),
        ("(C) 10", "several answers"),
        ("C\nD", "several answers"),
        ("apple and a red apple", "several answers"),
        ("The answer is not C", "answer is negated"),
        ("The answer isn't a red apple", "answer is negated"),
        ("It cannot be (C)", "answer is negated"),
        ("The answer is C? It is wrong", "answer is negated"),
        ("F", "no answer found"),
        ("CC", "no answer found"),
        ("Chance", "no answer found"),
        ("The answer is 105", "no answer found"),
        ("", "no answer found"),
        ("**", "no answer found"),
        ("I am not sure which of these it is", "no answer found"),
        ("The answer is C\nThe answer is D", "wrong answer"),
    ],
)
def test_all_else_fails(answer: str, reason: str) -> None:
    verdict = judge(answer)
    assert (verdict.status, verdict.reason) == ("fail", reason), verdict


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ("No", "pass"), ("no.", "pass"), ("False", "pass"), ("No, since it has none.", "pass"), ("B", "pass"),
        ("Answer: no", "pass"), ("There was no trial.\nSo the answer is no.", "pass"), ("So no\nNo.", "pass"),
        ("Yes", "fail"), ("yes and no", "fail"), ("Yes or no", "fail"), ("No, maybe", "fail"), ("No\nYes", "fail"),
        ("There is no doubt.", "fail"), ("No: that is hard.\nThe answer is yes.", "fail"), ("Not yes", "fail"),
        ("no yes", "fail"), ("know", "fail"), ("True", "fail"),
    ],
)  # fmt: skip
def test_yes_and_no(answer: str, status: str) -> None:
    assert judge(answer, YES).status == status


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({}, "no choices"),
        ({"choices": [], "answer": "A"}, "no choices"),
        ({"choices": "AB", "answer": "A"}, "no choices"),
        ({"choices": ["x", "y"], "labels": ["1"], "answer": "1"}, "no choices"),
        ({"choices": ["x", "y"], "labels": ["1", "1"], "answer": "1"}, "no choices"),
        ({"choices": ["x", "y"], "answer": "C"}, "gold is no choice"),
        ({"choices": ["x", "y"]}, "gold is no choice"),
        ({"choices": ["x", ""], "answer": ""}, "gold is no choice"),
    ],
)
def test_a_row_at_fault_is_broken(columns: dict[str, Any], reason: str) -> None:
    verdict = judge("A", columns)
    assert (verdict.status, verdict.reason) == ("broken", reason)


def test_options_of_equal_text_are_one() -> None:
    columns = {"choices": ["bank", "river", "Bank"], "answer": "A"}
    assert [judge(answer, columns).status for answer in ("A", "C", "bank", "B")] == ["pass", "pass", "pass", "fail"]


def test_options_that_differ_in_an_article_are_two() -> None:
    columns = {"choices": ["the ground", "park", "ground"], "answer": "C"}
    answers = ("A", "C", "the ground", "Ground", "The answer is ground.", "So the answer is the ground.")
    assert [judge(answer, columns).status for answer in answers] == ["fail", "pass", "fail", "pass", "pass", "fail"]


@given(st.permutations(list("ABCDE")), st.integers(2, 5), st.sampled_from([" or ", ", ", "/", " and ", "\n", " "]))
def test_no_list_of_labels_passes(labels: list[str], n: int, between: str) -> None:
    assert judge(between.join(labels[:n])).status == "fail"


@pytest.mark.parametrize(("file", "size"), FILES)
def test_every_gold_option_passes_and_no_other_does(file: str, size: int) -> None:
    if not (DATA / file).is_file():
        pytest.skip("the shared data is not here")
    problems = task.problems(DATA / file)
    assert len(problems) == size
    made = verifier()

    async def statuses() -> list[tuple[dict[str, Any], str, bool, str]]:
        found: list[tuple[dict[str, Any], str, bool, str]] = []
        for columns in problems[:: max(1, size // 150)]:
            labels = columns.get("labels") or columns["choices"]
            gold = labels.index(columns["answer"])
            right = " ".join(columns["choices"][gold].split()).casefold()
            for index, (label, text) in enumerate(zip(labels, columns["choices"], strict=True)):
                same = " ".join(text.split()).casefold() == right
                answers = [label, f"({label})", f"The answer is {label}.", text, f"So the answer is {text}."]
                verdicts = await made(Row.source(columns), answers)
                for answer, verdict in zip(answers, verdicts, strict=True):
                    found.append((columns, answer, index == gold or same, verdict.status))
        return found

    wrong = [
        (answer, columns["choices"], status)
        for columns, answer, right, status in asyncio.run(statuses())
        if status != ("pass" if right else "fail")
    ]
    assert not wrong, (len(wrong), wrong[:8])
