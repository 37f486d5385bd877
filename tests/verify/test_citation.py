"""`citation` without a judge, and with one behind the loopback server, whose answers are written here by hand."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from courtroom import says, tried
from hypothesis import given
from hypothesis import strategies as st

from homeschool.core.records import Row
from homeschool.core.verdict import Verdict
from homeschool.verify.citation import names_in, sentences_of
from homeschool.verify.load import load_verifier

DOCUMENTS = [
    {"title": "Seals", "text": "Harbour seals eat fish. A grown seal weighs 1,200 hectograms, said Anna Berg."},
    "Whales sing. The song of the humpback lasts 20 minutes.",
    "Seals sleep in the water, upright like bottles.",
]


def judge(answer: str, spec: str = "citation", documents: Any = DOCUMENTS) -> Verdict:
    return asyncio.run(load_verifier(spec)(Row.source({"documents": documents}), [answer]))[0]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("Harbour seals eat fish [1].", ""),
        ("A grown seal weighs 1200 hectograms.[1]", ""),
        ('Whales sing [2]. Seals "sleep in the  Water" [3].', ""),
        ("Whales sing [2]. Seals sleep in the water.", "sentence without a citation"),
        ("Whales sing [4].", "cites no such document"),
        ("Whales sing [0].", "cites no such document"),
        ("A grown seal weighs 1300 hectograms [1].", "number not in the source"),
        ("A grown seal weighs 1,200 hectograms [2].", "number not in the source"),
        ("Harbour seals eat fish, said Anna Lund [1].", "name not in the source"),
        ('Seals "sleep on the beach" [3].', "quotation not in the source"),
        ("Seals write poems about love [1].", "not supported"),
        ("", "no answer found"),
        ("# Seals\n\n...", "no answer found"),
    ],
)
def test_what_can_be_told_without_a_model(answer: str, reason: str) -> None:
    verdict = judge(answer)
    assert (verdict.status, verdict.reason) == ("fail" if reason else "pass", reason)


def test_recall_counts_sentences_and_precision_citations() -> None:
    verdict = judge("Harbour seals eat fish [1, 2]. Whales sing [2]. Seals fly over forests [3].")
    assert dict(verdict.scores) == {"citation_recall": pytest.approx(2 / 3), "citation_precision": 0.5}
    assert verdict.evidence.startswith("1 of 3 sentences")


def test_two_documents_that_are_both_needed_are_both_of_use() -> None:
    documents = ["Otters carry stones.", "Badgers guard tunnels."]
    verdict = judge("Otters carry stones, badgers guard tunnels [1][2].", documents=documents)
    assert (verdict.status, verdict.scores["citation_precision"]) == ("pass", 1.0)


def test_uncited_sentences_may_be_allowed() -> None:
    answer = "Here is what I found. Whales sing [2]."
    assert judge(answer).status == "fail"
    allowed = judge(answer, 'citation(uncited="allow")')
    assert (allowed.status, allowed.scores["citation_recall"]) == ("pass", 1.0)


@pytest.mark.parametrize("documents", [None, [], "one text", [{"title": "no text"}], [1]])
def test_no_documents_are_broken(documents: Any) -> None:
    assert judge("Whales sing [1].", documents=documents).reason == "no documents"


def test_citations_after_the_full_stop_belong_to_the_sentence_before() -> None:
    found = sentences_of("Whales sing. [2] Seals sleep.[3][1] Mr. Berg left [1; 2].")
    assert [each.cited for each in found] == [(2,), (3, 1), (1, 2)]
    assert names_in("Berg met Anna Lund's brother: The tall one.") == ["Anna", "Lund's"]


@given(st.text(alphabet="aZ1. [],;\n\"#'", max_size=60))
def test_any_text_gets_a_verdict(answer: str) -> None:
    verdict = judge(answer)
    assert verdict.status in ("pass", "fail")
    assert all(0 <= score <= 1 for score in verdict.scores.values())


SAME_WORDS = "Fish eat harbour seals [1]."


def test_a_judge_is_asked_sentence_by_sentence_and_sees_only_what_is_cited() -> None:
    assert judge(SAME_WORDS).status == "pass", "the same words: without a judge nobody can tell"
    reply = says("The document says the opposite.\nSupported: no", to="| Fish eat")
    answer = f"{SAME_WORDS} Whales sing [2]."
    [verdict], asked = tried("citation", {"documents": DOCUMENTS}, [answer], [reply, says("Supported: yes")])
    assert (verdict.status, verdict.reason, verdict.scores["citation_recall"]) == ("fail", "not supported", 0.5)
    assert len(asked) == 2
    assert "humpback" not in asked[0] and "[document 1 " in asked[0]


def test_what_is_wrong_by_itself_is_not_asked() -> None:
    [verdict], asked = tried("citation", {"documents": DOCUMENTS}, ["Whales sing [7]."], [says("Supported: yes")])
    assert (verdict.reason, asked) == ("cites no such document", [])


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("Perhaps.", "judge is unreadable"),
        ("Supported: yes, mostly", "judge is unreadable"),
        ({"content": "Supported: yes", "finish_reason": "length"}, "judge was cut off"),
        ({"content": "", "refusal": "no", "finish_reason": "stop"}, "judge refused"),
    ],
)
def test_a_judge_without_a_verdict_is_broken(reply: Any, reason: str) -> None:
    [verdict], _ = tried("citation", {"documents": DOCUMENTS}, ["Whales sing [2]."], [says(reply)])
    assert (verdict.status, verdict.reason) == ("broken", reason)
