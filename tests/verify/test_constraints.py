"""`constraints`: all instructions or none; scores, loose readings, what pays nothing, and planted errors."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeschool.core.records import Row
from homeschool.core.verdict import Verdict
from homeschool.verify.constraints import INSTRUCTIONS, readings, verifier
from homeschool.verify.planted.constraints import planted

IFEVAL = Path(__file__).parents[3] / "shared" / "data" / "instruct" / "ifeval_shared.jsonl"


def judge(columns: dict[str, Any], answer: str, *, loose: bool = False) -> Verdict:
    return asyncio.run(verifier(loose=loose)(Row.source(columns), [answer]))[0]


def one(name: str, **kwargs: Any) -> dict[str, Any]:
    return {"constraints": [{"id": name, "kwargs": kwargs}]}


def test_scores_count_what_was_followed_and_the_reason_names_the_first_broken() -> None:
    columns = {
        "instruction_id_list": ["punctuation:no_comma", "startend:quotation", "detectable_format:title"],
        "kwargs": [{}, {}, {}],
    }
    verdict = judge(columns, "<<A title>>, it is")
    assert verdict.status == "fail"
    assert verdict.reason == "not followed: punctuation:no_comma"
    assert verdict.scores == {
        "punctuation:no_comma": 0.0,
        "startend:quotation": 0.0,
        "detectable_format:title": 1.0,
        "share": pytest.approx(1 / 3),
        "correct": 0.0,
    }
    assert judge(columns, '"<<A title>> it is"').scores["correct"] == 1.0


def test_one_id_twice_scores_its_worse() -> None:
    columns = {"constraints": [{"id": "count:keyword", "kwargs": {"keyword": word, "least": 1}} for word in "ab"]}
    assert judge(columns, "a").scores == {"count:keyword": 0.0, "share": 0.5, "correct": 0.0}


def test_columns_may_be_json_text_and_kwargs_none() -> None:
    constraints = [{"id": "punctuation:no_comma", "kwargs": None}, {"id": "text:one_line"}]
    assert judge({"constraints": json.dumps(constraints)}, "so").status == "pass"
    assert judge({"instruction_id_list": '["punctuation:no_comma"]', "kwargs": "[{}]"}, "so, so").status == "fail"


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({}, "neither column"),
        ({"constraints": []}, "empty"),
        ({"constraints": "{"}, "not JSON"),
        ({"constraints": {"id": "punctuation:no_comma"}}, "not a list"),
        ({"constraints": ["punctuation:no_comma"]}, "list of {id, kwargs}"),
        ({"instruction_id_list": ["punctuation:no_comma"], "kwargs": []}, "1 instruction ids but 0 kwargs"),
        ({"instruction_id_list": ["punctuation:no_comma"]}, "not a list"),
        ({"instruction_id_list": ["punctuation:no_comma"], "kwargs": [7]}, "not a mapping"),
        ({"instruction_id_list": [7], "kwargs": [{}]}, "unknown instruction 7"),
        ({"instruction_id_list": [[]], "kwargs": [{}]}, "unknown instruction []"),
        (one("punctuation:no_commas"), "did you mean 'punctuation:no_comma'"),
        (one("count:words", least="many"), "count:words: argument 'least'"),
    ],
)
def test_what_cannot_be_read_is_broken_and_named(columns: dict[str, Any], says: str) -> None:
    verdict = judge(columns, "so")
    assert (verdict.status, verdict.reason) == ("broken", "constraints cannot be read")
    assert says in verdict.evidence


def test_loose_forgives_first_line_last_line_and_asterisks() -> None:
    columns = {**one("startend:quotation"), "prompt": "?"}
    for answer in ('Here it is:\n"so"', '"so"\nI hope it helps.', 'Here:\n"so"\nBye.', '*"so"*', 'Here:\n**"so"**'):
        assert judge(columns, answer).status == "fail"
        assert judge(columns, answer, loose=True).status == "pass"
    assert judge(columns, "a\nso\nb", loose=True).status == "fail"
    assert judge(one("punctuation:no_comma"), ",", loose=True).status == "fail"


def test_loose_readings_are_those_of_the_paper() -> None:
    assert readings("1*\n2\n3") == ["2\n3", "1*\n2", "2", "1\n2\n3", "2\n3", "1\n2", "2"]


# Gaming: what pays with checkers of form, and here does not.


@pytest.mark.parametrize("loose", [False, True])
@pytest.mark.parametrize("answer", ["", " \n\t", "\u200b", "\u3164\u2060", "\u00a0"])
def test_an_empty_answer_follows_nothing(answer: str, loose: bool) -> None:
    verdict = judge(one("punctuation:no_comma"), answer, loose=loose)
    assert (verdict.status, verdict.reason) == ("fail", "empty answer")
    assert verdict.scores == {"correct": 0.0, "share": 0.0}


@pytest.mark.parametrize(
    "answer", ["Use the word fox.", "use the WORD fox", "Use the word fox.\n" * 5, '"Use the word fox."']
)
def test_saying_the_instruction_back_follows_nothing(answer: str) -> None:
    columns = {**one("keywords:existence", keywords=["fox"]), "prompt": "Use the word fox."}
    assert judge(columns, answer).reason == "only repeats the prompt"
    assert judge(columns, f"{answer} A fox sleeps.").status == "pass"


@pytest.mark.parametrize(
    ("name", "kwargs", "answer"),
    [
        ("length_constraints:number_words", {"relation": "at least", "num_words": 3}, "a\u200bb\u200bc"),
        ("length_constraints:number_words", {"relation": "at least", "num_words": 3}, "a \u2060\u200b . , ! b"),
        ("keywords:existence", {"keywords": ["fox"]}, "f\U000e006f\U000e0078"),
        ("keywords:existence", {"keywords": ["fox"]}, "fоx"),  # noqa: RUF001
        ("keywords:forbidden_words", {"forbidden_words": ["fox"]}, "a f\u200dox"),
        ("keywords:forbidden_words", {"forbidden_words": ["fox"]}, "a 𝐟𝐨𝐱"),  # noqa: RUF001
        ("keywords:frequency", {"keyword": "fox", "relation": "less than", "frequency": 1}, "a f\u00adox"),
        ("punctuation:no_comma", {}, "one\u201a two"),
        ("startend:end_checker", {"end_phrase": "Bye."}, "Bye. \U000e0001 so"),
        ("change_case:english_lowercase", {}, "42 × 7"),  # noqa: RUF001
        ("detectable_content:number_placeholders", {"num_placeholders": 3}, "[][ ][\u200b]"),
        ("combination:two_responses", {}, "so\n******\nso\u200b"),
        ("count:paragraphs", {"least": 2}, "one\n\n\u200b\n\n"),
        ("count:sentences", {"least": 2}, "one\u2060.\u200b"),
    ],
)
def test_hidden_and_look_alike_characters_do_not_help(name: str, kwargs: dict[str, Any], answer: str) -> None:
    assert judge(one(name, **kwargs), answer).status == "fail"


def test_a_very_long_answer_is_not_read() -> None:
    assert judge(one("punctuation:no_comma"), "a " * 200_000).reason == "answer too long"


# Planted errors and real data.


def test_no_planted_error_is_accepted_and_no_right_answer_rejected() -> None:
    found, kinds = Counter[tuple[bool, str]](), set[str]()
    for each in planted(11, 2_400):
        found[each.right, judge(each.columns, each.answer).status] += 1
        kinds.add(each.how)
    assert found == {(True, "pass"): 1_200, (False, "fail"): 1_200}
    assert len(kinds) > 70


def test_planting_is_deterministic() -> None:
    assert list(planted(3, 50)) == list(planted(3, 50)) != list(planted(4, 50))
    assert list(planted(3, 20)) == list(planted(3, 50))[:20]


def test_every_row_of_ifeval_is_read() -> None:
    if not IFEVAL.exists():
        pytest.skip(f"{IFEVAL.name} is not here")
    rows = [json.loads(line) for line in IFEVAL.read_text(encoding="utf-8").splitlines()]
    verdicts = [judge(row, "Some answer, and nothing else.") for row in rows]
    assert not [verdict for verdict in verdicts if verdict.status == "broken"]
    assert {name for row in rows for name in row["instruction_id_list"]} <= set(INSTRUCTIONS)
    filled = {name: None for row in rows for kwargs in row["kwargs"] for name in kwargs}
    columnar = [{**row, "kwargs": [{**filled, **kwargs} for kwargs in row["kwargs"]]} for row in rows]
    assert [judge(row, "Some answer, and nothing else.") for row in columnar] == verdicts


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=80))
def test_strict_is_never_kinder_than_loose(answer: str) -> None:
    columns = {
        "instruction_id_list": ["punctuation:no_comma", "detectable_format:title", "startend:quotation"],
        "kwargs": [{}, {}, {}],
    }
    assert judge(columns, answer).scores["share"] <= judge(columns, answer, loose=True).scores["share"]
