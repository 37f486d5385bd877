"""What a reader sees of an answer: no hidden characters, and look-alikes for what they look like."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeschool.verify.words import (
    bullets,
    headings,
    lines,
    numbered,
    only_echoes,
    paragraphs,
    unmasked,
    visible,
    without_code,
    words,
)


@pytest.mark.parametrize(
    "hidden", ["\u200b", "\u200d", "\ufeff", "\u00ad", "\u202e", "\x00", "\ud800", "\U000e0041", "\ufe0f", "\u3164"]
)
def test_what_is_not_drawn_is_not_there(hidden: str) -> None:
    assert visible(f"a{hidden}b") == "ab"
    assert words(visible(hidden.join("abc"))) == ["abc"]


def test_what_is_drawn_stays() -> None:
    text = "Ünïcödé, 你好 👍\n\tदेखो — “so”"
    assert visible(text) == text


@pytest.mark.parametrize(
    ("masked", "read"),
    [
        ("the niсkname", "the nickname"),  # noqa: RUF001
        ("ｎｉｃｋｎａｍｅ it is", "nickname it is"),  # noqa: RUF001
        ("𝐧𝐢𝐜𝐤𝐧𝐚𝐦𝐞 it is", "nickname it is"),  # noqa: RUF001
        ("one， two", "one, two"),  # noqa: RUF001
        ("one‚ two", "one, two"),  # noqa: RUF001
        ("Это не соль", "Это не соль"),
        ("α and β are angles", "a and β are angles"),  # noqa: RUF001
    ],
)
def test_look_alikes_are_what_they_look_like_in_latin_text(masked: str, read: str) -> None:
    assert unmasked(masked) == read


def test_words_are_counted_as_ifeval_counts_them() -> None:
    assert len(words("don't re-do it_all 3.5 times")) == 8
    assert len(words("मानव अधिकारों की")) == 3


def test_items_and_blocks() -> None:
    text = "# One\n\n* a\n  - b\n**bold** not\n---\n*\n1. x\n2) y\n\n \n## Two ##\n```\n# no heading\n```\n#hashtag"
    assert bullets(text) == 3
    assert numbered(text) == 2
    assert headings(text) == ["One", "Two"]
    assert paragraphs("a\nb\n \nc\n\n\n") == ["a\nb", "c"]
    assert lines("a\n \n b ") == ["a", "b"]
    assert without_code("a\n```python\nb\n```\nc\n~~~\nd") == "a\nc"


@pytest.mark.parametrize(
    ("answer", "echo"),
    [
        ("Name a colour.", True),
        ("name a COLOUR!! \n Name a colour.", True),
        ("Name\u200b a colour.", True),
        ("Name a colour. Blue.", False),
        ("", False),
    ],
)
def test_an_echo_is_the_prompt_and_nothing_else(answer: str, echo: bool) -> None:
    assert only_echoes(answer, "Name a colour.") is echo


def test_no_prompt_is_no_echo() -> None:
    assert not only_echoes("anything", "")


@given(st.text())
def test_reading_twice_changes_nothing(text: str) -> None:
    assert visible(visible(text)) == visible(text)
    visible(text).encode("utf-8")


@pytest.mark.parametrize("text", ["\n" * 100_000, " " * 100_000, "# " * 50_000, "```a\n" * 25_000, "a" * 100_000])
def test_no_text_is_slow(text: str) -> None:
    start = time.process_time()
    for read in (bullets, numbered, headings, paragraphs, lines, words, unmasked):
        read(text)
    assert time.process_time() - start < 2
