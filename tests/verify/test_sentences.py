"""Sentences are counted as NLTK's English Punkt model counts them: these numbers were read off it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeschool.verify.sentences import sentences


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("One.", 1),
        ("One. Two! Three?", 3),
        ("No end mark", 1),
        ("Dr. Smith went home. He slept.", 2),
        ("It costs 3.50 dollars. Cheap!", 2),
        ("See e.g. the list. Done.", 3),
        ("He works at Acme Inc. in Ohio.", 1),
        ("He works at Acme Inc. However, he left.", 2),
        ("J. K. Rowling wrote it. It sold.", 2),
        ("1. Apples\n2. Pears\n3. Plums", 4),
        ("1. apples\n2. pears", 1),
        ("Well... maybe. Yes.", 2),
        ("Wait... The end.", 2),
        ('"Stop!" he said. "Why?" she asked.', 4),
        ("(It rained.) We stayed.", 2),
        ("Really?! Yes.", 2),
        ("A line\nanother line\n\nand more", 1),
        ("U.S. troops left. They did.", 2),
        ("He lives in the U.S. He likes it.", 2),
        ("Go to www.a.org. Then stop.", 2),
        ("She said hi.He left.", 1),
        ("At 5 p.m. we ate. Good.", 2),
        ("- one.\n- two.\n- three.", 3),
        ("Mr. and Mrs. Lee came at 7 a.m. sharp.", 1),
        ("A. Yes\nB. No", 3),
        ("He left.” She stayed.", 2),
        ("No. 5 is alive.", 2),
    ],
)
def test_counts_of_the_published_model(text: str, count: int) -> None:
    assert len(sentences(text)) == count


def test_closing_quotes_and_brackets_stay_with_their_sentence() -> None:
    assert sentences('"Stop!" (He did.) Then.') == ['"Stop!"', "(He did.)", "Then."]


@given(st.text(alphabet="ab .?!\"')\n1A”"))
def test_nothing_is_lost_or_made_up(text: str) -> None:
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())


@pytest.mark.parametrize("text", ["a" * 100_000, "." * 100_000, ". " * 30_000, "a.b" * 30_000, '".' * 30_000])
def test_no_text_is_slow(text: str) -> None:
    start = time.process_time()
    assert sentences(text)
    assert time.process_time() - start < 2
