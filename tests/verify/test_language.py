"""`language`: right on long texts, silent on short ones, and not fooled by a fence or a foreign paragraph."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from homeschool.core.errors import UsageError
from homeschool.core.records import Row
from homeschool.core.verdict import Verdict
from homeschool.verify.language import code, detected, verifier

UDHR = Path(__file__).parents[3] / "shared" / "data" / "tokenizer" / "udhr_multilingual_shared.jsonl"
CODES = {
    "eng": "en",
    "fra": "fr",
    "deu_1901": "de",
    "spa": "es",
    "rus": "ru",
    "jpn": "ja",
    "arb": "ar",
    "hin": "hi",
    "kor": "ko",
    "vie": "vi",
    "tur": "tr",
    "cmn_hans": "zh",
}
ENGLISH = "The rain beat against the window all night long, and nobody in the house could sleep."
GERMAN = "Der Regen schlug die ganze Nacht gegen das Fenster, und niemand im Haus konnte schlafen."


def judge(answer: str, language: Any, /, **options: Any) -> Verdict:
    return asyncio.run(verifier(**options)(Row.source({"language": language}), [answer]))[0]


@pytest.mark.parametrize(
    ("answer", "language", "says"),
    [
        (ENGLISH, "en-GB", "pass"),
        (ENGLISH.upper(), "en", "pass"),
        (f"{GERMAN}\n```\n{ENGLISH}\n```\nhttps://example.org/the-rain-and-the-window", "de", "pass"),
        (f"```\n{ENGLISH}\n```", "de", "wrong language"),
        (f"{GERMAN} {GERMAN}\n\n{ENGLISH}", "de", "another language in it"),
        (f"{GERMAN}\n\nThe end.", "de", "pass"),
        (GERMAN, "en", "wrong language"),
        ("Ja.", "de", "too short to tell"),
        ("Ja.", "ru", "wrong script"),
        ("Да.", "de", "wrong script"),
        ("Да.", "ru", "too short to tell"),
        ("こんにちは、世界", "ja", "pass"),
        ("42", "de", "no words"),
        ("...", "de", "empty answer"),
        ("\u200b\u3164", "de", "empty answer"),
        ("Det er en fin dag, og vi går en tur i skogen.", "nn", "pass"),
    ],
)
def test_verdicts(answer: str, language: str, says: str) -> None:
    verdict = judge(answer, language)
    assert (verdict.reason or verdict.status) == says


@pytest.mark.parametrize("language", [None, "", "xx", "english", 7, "zxx"])
def test_an_unknown_language_is_broken(language: Any) -> None:
    assert judge(ENGLISH, language).status == "broken"


def test_the_option_is_for_all_rows_and_checked_at_once() -> None:
    assert judge(GERMAN, None, language="de").status == "pass"
    assert judge(f"{GERMAN} {GERMAN}\n\n{ENGLISH}", "de", whole=False).status == "pass"
    with pytest.raises(UsageError, match="language='dd'"):
        verifier(language="dd")


def test_look_alikes_do_not_make_another_language() -> None:
    masked = "Thе rаin bеаt аgаinst thе windоw аll night lоng."  # noqa: RUF001
    assert judge(masked, "ru").status == "fail"


def test_case_does_not_count() -> None:
    assert detected(GERMAN.upper()) == detected(GERMAN) == code("DE")
    assert detected("1 2 3") is None


def test_twelve_languages() -> None:
    if not UDHR.exists():
        pytest.skip(f"{UDHR.name} is not here")
    rows = [json.loads(line) for line in UDHR.read_text(encoding="utf-8").splitlines()]
    rng, found = random.Random(0), Counter[tuple[bool, str]]()
    for row in rows:
        text = " ".join(row["text"].split())
        for _ in range(4):
            start = rng.randrange(len(text) - 150)
            for language in CODES.values():
                right = language == CODES[row["lang"]]
                found[right, judge(text[start : start + 150], language).status] += 1
    assert found == {(True, "pass"): 4 * 12, (False, "fail"): 4 * 12 * 11}
