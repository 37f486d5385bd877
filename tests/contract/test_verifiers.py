"""Every verifier on disk, and every one added later: right on its own examples, unmoved by junk.

A verifier file brings GOLD and CORRUPTED, pairs of (columns, answer); one that compares answers may bring GROUPS in
their place, triples of (columns, answers, statuses). What composes others names in SPEC what its examples are for.
"""

from __future__ import annotations

import asyncio
import importlib
import threading
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeschool.cli.verify import GOLD_COLUMNS
from homeschool.core.protocols import Verifier
from homeschool.core.records import Row
from homeschool.core.verdict import Verdict, verdict_from_dict
from homeschool.verify.load import COMPOSED, is_grouped, list_verifiers, load_verifier

NAMES = [listing["name"] for listing in list_verifiers()]
JUNK = ["", " ", "\n", "\x00", "\ud800", "####", "\\boxed{", "$", "= ", "NaN", "((((", "a" * 100_000, "\\boxed{" * 5000]
SLOW = ("cross_tests", "mutation_score", "tests")
"""These run programs: fewer examples."""

EXCEPTIONS: dict[tuple[str, str], str] = {
    ("judge", "opinion"): "it asks a model: tests/verify/test_judge.py",
    ("rubric", "opinion"): "it asks a model: tests/verify/test_rubric.py",
    ("judge", "junk fails"): "without a model it has no opinion on junk either",
    ("rubric", "junk fails"): "without a model it has no opinion on junk either",
    ("consistency", "junk fails"): "junk in a group is a vote like any other; what has no final answer fails",
    ("refusal", "junk fails"): "it asks for no more than an answer that is not empty and does not refuse",
    ("consistency", "gold column"): "the group is its gold",
    ("refusal", "gold column"): "it reads the answer alone",
}
"""(verifier, promise) -> why it cannot keep it. What it does instead is tested here, or where it says."""


@dataclass(frozen=True, slots=True)
class Group:
    """Answers to one row, and the status that each must be given."""

    columns: dict[str, Any]
    answers: list[str]
    statuses: list[str]


MODELS = {
    "judge": Group({"prompt": "What is the capital of France?"}, ["It is Paris."], ["broken"]),
    "rubric": Group({"prompt": "Capital?", "rubric": ["names a city"]}, ["It is Paris."], ["broken"]),
}
"""Examples for those that need a model, where there is none."""


def module(name: str) -> ModuleType:
    return importlib.import_module(f"homeschool.verify.{name}")


def made(name: str) -> Verifier:
    return load_verifier(getattr(module(name), "SPEC", name))


def examples(name: str) -> list[Group]:
    """All that the verifier's file says of itself, an example that passes (if one can) first."""
    if name in MODELS:
        return [MODELS[name]]
    found = module(name)
    groups = [Group(*group) for group in getattr(found, "GROUPS", ())]
    groups += [Group(columns, [answer], ["pass"]) for columns, answer in getattr(found, "GOLD", ())]
    return groups + [Group(columns, [answer], ["fail"]) for columns, answer in getattr(found, "CORRUPTED", ())]


def judge(name: str, columns: dict[str, Any], *answers: str) -> list[Verdict]:
    return asyncio.run(made(name)(Row.source(columns), answers))


def statuses(verdicts: list[Verdict]) -> list[str]:
    return [verdict.status for verdict in verdicts]


def excepted(name: str, promise: str) -> bool:
    return (name, promise) in EXCEPTIONS


def test_there_are_some() -> None:
    assert {"exact", "math", "tests", "all_of"} <= set(NAMES)


def test_every_exception_is_of_a_verifier_and_has_a_reason() -> None:
    for (name, promise), reason in EXCEPTIONS.items():
        assert name in NAMES, f"{name} is gone: take its lines out"
        assert promise in ("opinion", "junk fails", "gold column")
        assert len(reason) > 10, (name, promise)


@pytest.mark.parametrize("name", NAMES)
def test_names_carry_a_version(name: str) -> None:
    verifier = made(name)
    assert isinstance(verifier, Verifier)
    stem, _, version = verifier.name.partition("@")
    assert stem == name
    assert version


@pytest.mark.parametrize("name", NAMES)
def test_its_examples_are_judged_as_it_says(name: str) -> None:
    groups, verifier, seen = examples(name), made(name), set[str]()
    for group in groups:
        verdicts = judge(name, group.columns, *group.answers)
        assert statuses(verdicts) == group.statuses, (group, verdicts)
        for verdict in verdicts:
            assert verdict.reason or verdict.status == "pass", (group, verdict)
            # What composes others is not who said it: its verdicts name the parts that did.
            parts = {part.name for part in getattr(verifier, "parts", ())}
            assert set(verdict.verifier.split("+")) <= (parts or {verifier.name}), verdict
            assert verdict.verifier
        seen |= set(group.statuses)
    assert seen == {"broken"} if excepted(name, "opinion") else seen >= {"pass", "fail"}


def test_what_passes_all_parts_names_them_all() -> None:
    verdict = judge("all_of", {"answer": "72"}, "#### 72")[0]
    assert verdict.verifier.split("+") == [load_verifier(part).name for part in ("exact", "math")]


@pytest.mark.parametrize("name", NAMES)
def test_one_verdict_per_answer_in_order(name: str) -> None:
    group = examples(name)[0]
    assert judge(name, group.columns) == []
    if hasattr(module(name), "GROUPS"):  # one answer more makes it another group: all of it twice, turned round
        answers, expected = group.answers[::-1], group.statuses[::-1]
    elif excepted(name, "opinion"):
        answers, expected = ["", group.answers[0]] * 2, ["broken"] * 4
    else:
        answers, expected = ["", group.answers[0]] * 2, ["fail", "pass"] * 2
    assert statuses(judge(name, group.columns, *answers)) == expected


@pytest.mark.parametrize("name", NAMES)
def test_junk_fails_with_a_reason_that_can_be_written(name: str) -> None:
    verdicts = judge(name, examples(name)[0].columns, *JUNK)
    for answer, verdict in zip(JUNK, verdicts, strict=True):
        assert verdict.reason or verdict.status == "pass", (answer[:50], verdict)
        assert len(verdict.evidence) < 1000
        verdict.evidence.encode("utf-8")
        assert verdict_from_dict(verdict.to_dict()) == verdict
    if excepted(name, "junk fails"):
        assert set(statuses(verdicts)) != {"fail"}, "it does fail all of it: take its line out of EXCEPTIONS"
        assert set(statuses(verdicts)[:3]) in ({"fail"}, {"broken"}), "an empty answer never passes"
    else:
        assert set(statuses(verdicts)) == {"fail"}, list(zip([text[:50] for text in JUNK], verdicts, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_a_row_without_gold_is_broken(name: str) -> None:
    group = examples(name)[0]
    found = statuses(judge(name, {"prompt": "?"}, *group.answers))
    expected = group.statuses if excepted(name, "gold column") else ["broken"] * len(group.answers)
    assert found == expected


@pytest.mark.parametrize("name", [name for name in NAMES if name not in SLOW])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answers=st.lists(st.text(alphabet=st.characters(), max_size=60), max_size=4))
def test_no_text_makes_it_raise(name: str, answers: list[str]) -> None:
    never_raises(name, answers)


@pytest.mark.parametrize("name", SLOW)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answers=st.lists(st.text(alphabet=st.characters(), max_size=60), max_size=2))
def test_no_text_makes_it_raise_where_programs_are_run(name: str, answers: list[str]) -> None:
    never_raises(name, answers)


def never_raises(name: str, answers: list[str]) -> None:
    verdicts = judge(name, examples(name)[0].columns, *answers)
    assert len(verdicts) == len(answers)
    known = ("broken",) if excepted(name, "opinion") else ("pass", "fail", "abstain")
    assert set(statuses(verdicts)) <= set(known), verdicts


@pytest.mark.parametrize("name", NAMES)
def test_one_verifier_in_many_threads(name: str) -> None:
    first, last = examples(name)[0], examples(name)[-1]
    verifier, found = made(name), list[list[str]]()

    def work() -> None:
        for group in (first, last):
            found.append(statuses(asyncio.run(verifier(Row.source(group.columns), group.answers))))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(found) == sorted([first.statuses, last.statuses] * 4)


@pytest.mark.parametrize("name", NAMES)
def test_who_compares_answers_says_so(name: str) -> None:
    """`homeschool verify` brings the answers of a group together only for those that say so, before they see any."""
    assert is_grouped(made(name)) == (name in ("consistency", "cross_tests"))
    if name in COMPOSED:
        assert is_grouped(load_verifier(f"{name}(exact, consistency)"))


@pytest.mark.parametrize("name", NAMES)
def test_what_it_holds_answers_against_must_agree_in_a_group(name: str) -> None:
    columns = {column for group in examples(name) for column in group.columns} - {"prompt", "question"}
    assert columns <= set(GOLD_COLUMNS), "name them in cli/verify.py"
