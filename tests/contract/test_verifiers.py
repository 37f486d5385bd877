"""Every verifier on disk, and every one added later: right on its own examples, unmoved by junk."""

from __future__ import annotations

import asyncio
import importlib
import threading
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeschool.core.protocols import Verifier
from homeschool.core.records import Row
from homeschool.core.verdict import Fail, Pass, Verdict, verdict_from_dict
from homeschool.verify.load import list_verifiers, load_verifier

NAMES = [listing["name"] for listing in list_verifiers()]
JUNK = ["", " ", "\n", "\x00", "\ud800", "####", "\\boxed{", "$", "= ", "NaN", "((((", "a" * 100_000, "\\boxed{" * 5000]


def module(name: str) -> ModuleType:
    return importlib.import_module(f"homeschool.verify.{name}")


def judge(name: str, columns: dict[str, Any], *answers: str) -> list[Verdict]:
    return asyncio.run(load_verifier(name)(Row.source(columns), answers))


def test_there_are_some() -> None:
    assert {"exact", "math"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_names_carry_a_version(name: str) -> None:
    made = load_verifier(name)
    assert isinstance(made, Verifier)
    stem, _, version = made.name.partition("@")
    assert stem == name
    assert version


@pytest.mark.parametrize("name", NAMES)
def test_gold_passes_and_corrupted_fails(name: str) -> None:
    gold, corrupted = module(name).GOLD, module(name).CORRUPTED
    assert gold and corrupted
    for columns, answer in gold:
        verdict = judge(name, columns, answer)[0]
        assert isinstance(verdict, Pass), (columns, answer, verdict)
        assert verdict.verifier == load_verifier(name).name
    for columns, answer in corrupted:
        verdict = judge(name, columns, answer)[0]
        assert isinstance(verdict, Fail), (columns, answer, verdict)
        assert verdict.reason, (columns, answer)


@pytest.mark.parametrize("name", NAMES)
def test_one_verdict_per_answer_in_order(name: str) -> None:
    columns, right = module(name).GOLD[0]
    verdicts = judge(name, columns, "", right, "", right)
    assert [verdict.status for verdict in verdicts] == ["fail", "pass", "fail", "pass"]
    assert judge(name, columns) == []


@pytest.mark.parametrize("name", NAMES)
def test_junk_fails_with_a_reason_that_can_be_written(name: str) -> None:
    columns, _ = module(name).GOLD[0]
    for answer, verdict in zip(JUNK, judge(name, columns, *JUNK), strict=True):
        assert isinstance(verdict, Fail), (answer[:50], verdict)
        assert verdict.reason and len(verdict.evidence) < 1000
        verdict.evidence.encode("utf-8")
        assert verdict_from_dict(verdict.to_dict()) == verdict


@pytest.mark.parametrize("name", NAMES)
def test_a_row_without_gold_is_broken(name: str) -> None:
    _, answer = module(name).GOLD[0]
    assert [verdict.status for verdict in judge(name, {"prompt": "?"}, answer)] == ["broken"]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answers=st.lists(st.text(alphabet=st.characters(), max_size=60), max_size=4))
def test_no_text_makes_it_raise(name: str, answers: list[str]) -> None:
    columns, _ = module(name).GOLD[0]
    verdicts = judge(name, columns, *answers)
    assert len(verdicts) == len(answers)
    assert all(verdict.status in ("pass", "fail", "abstain") for verdict in verdicts)


@pytest.mark.parametrize("name", NAMES)
def test_one_verifier_in_many_threads(name: str) -> None:
    (columns, right), (columns2, wrong) = module(name).GOLD[0], module(name).CORRUPTED[0]
    made, found = load_verifier(name), list[str]()

    def work() -> None:
        for columns_, answer in ((columns, right), (columns2, wrong)):
            found.append(asyncio.run(made(Row.source(columns_), [answer]))[0].status)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(found) == ["fail"] * 4 + ["pass"] * 4
