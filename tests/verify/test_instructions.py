"""Every instruction, followed and broken; the quirks of the published checkers, and where ours are stricter."""

from __future__ import annotations

import json
from typing import Any

import pytest

from homeschool.verify.constraints import INSTRUCTIONS
from homeschool.verify.instructions import IFEVAL
from homeschool.verify.more_instructions import MORE
from homeschool.verify.words import visible

ENGLISH = "the quick brown fox jumps over the lazy dog near the river"
FOLLOWED: list[tuple[str, dict[str, Any], str]] = [
    ("keywords:existence", {"keywords": ["Fox", "c++"]}, "a fox writes C++"),
    ("keywords:frequency", {"keyword": "fox", "frequency": 2, "relation": "at least"}, "Fox and foxes"),
    ("keywords:frequency", {"keyword": "fox", "frequency": 2, "relation": "less than"}, "a fox"),
    ("keywords:forbidden_words", {"forbidden_words": ["can", "c++"]}, "a candle and C"),
    ("keywords:letter_frequency", {"letter": "#", "let_frequency": 2, "let_relation": "at least"}, "#a #b"),
    ("keywords:letter_frequency", {"letter": "A", "let_frequency": 2, "let_relation": "less than"}, "a bee"),
    ("language:response_language", {"language": "it"}, "Questa mattina ha piovuto e siamo rimasti a casa."),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": "less than"}, "Mr. Lee left."),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "***\none\n***\ntwo\n***\n"),
    ("length_constraints:number_words", {"num_words": 3, "relation": "at least"}, "don't go"),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Weekend"},
        'One.\n\n"Weekend, at last.',
    ),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[name] lives in [the town]"),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Hi.\n\nP. S. bye"),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "Hi.\n\np.p.s bye"),
    ("detectable_content:postscript", {"postscript_marker": "NB:"}, "Hi.\n\nnb: bye"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 3}, "* a\n- b\n---\n**c**"),
    ("detectable_format:constrained_response", {}, "Well. My answer is maybe."),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*a* and **b c**"),
    ("detectable_format:multiple_sections", {"section_spliter": "Day", "num_sections": 2}, "Day 1\nx\nDay 2\ny"),
    ("detectable_format:multiple_sections", {"section_spliter": "Day", "num_sections": 2}, "x (Day 1)\ny (Day 2)"),
    ("detectable_format:json_format", {}, '```JSON\n["a"]\n```'),
    ("detectable_format:title", {}, "so: <<A <b> title>>"),
    ("combination:two_responses", {}, "******\nyes\n******\nno"),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Say it."}, " say IT.\nYes."),
    ("startend:end_checker", {"end_phrase": " The End. "}, '"So, the end."'),
    ("startend:quotation", {}, ' "so be it"\n'),
    ("change_case:capital_word_frequency", {"capital_frequency": 4, "capital_relation": "at least"}, "I'M OK. DON'T"),
    ("change_case:english_capital", {}, ENGLISH.upper()),
    ("change_case:english_lowercase", {}, ENGLISH),
    ("punctuation:no_comma", {}, "one; two"),
    ("count:characters", {"least": 3, "most": 3}, " abc "),
    ("count:words", {"most": 2}, "two words"),
    ("count:sentences", {"least": 2}, "One. Two."),
    ("count:lines", {"least": 2, "most": 2}, "a\n\nb"),
    ("count:paragraphs", {"least": 2}, "a\n\nb"),
    ("count:bullets", {"least": 2, "most": 4}, "- a\n- b"),
    ("count:numbered", {"least": 2}, "1. a\n2) b"),
    ("count:headings", {"most": 1}, "# a\ntext"),
    ("count:sections", {"least": 2}, "# a\nx\n# b\ny"),
    ("count:keyword", {"keyword": "red fox", "least": 1, "most": 1}, "The Red\nfox and red foxes"),
    ("each:paragraph", {"most": 2}, "one two\n\nthree"),
    ("each:sentence", {"least": 2, "most": 3}, "I came. You left me."),
    ("each:bullet", {"most": 2}, "Look:\n- one two\n- three"),
    ("text:starts", {"phrase": "Dear "}, "Dear Ann"),
    ("text:ends", {"phrase": "Yours."}, "So.\nYours. "),
    ("text:contains", {"phrases": ["a fox"]}, "It is A  FOX!"),
    ("text:without", {"phrases": ["fox"]}, "foxes"),
    ("text:in_order", {"phrases": ["first", "then"]}, "First this, then that"),
    ("text:matches", {"pattern": r"^\d{4}$"}, " 2024\n"),
    ("text:avoids", {"pattern": r"\d"}, "none"),
    ("text:one_of", {"options": ["yes", "No"]}, "Yes."),
    ("text:ascii", {}, "plain"),
    ("text:no_digits", {}, "ten"),
    ("text:one_line", {}, "one\n"),
    ("text:no_markdown", {}, "Plain: 2 * 3 = 6"),
    ("headings:named", {"names": ["# Aim", "Method"]}, "# aim\nx\n## Method\ny"),
    ("json:keys", {"keys": ["a"], "only": True}, '{"a": null}'),
    ("json:list", {"least": 1, "most": 2}, "[1]"),
    ("number:range", {"least": -3, "most": 1000.5}, "It is 1,000."),
]
BROKEN: list[tuple[str, dict[str, Any], str]] = [
    ("keywords:existence", {"keywords": ["fox", "c.t"]}, "a fox and a cat"),
    ("keywords:frequency", {"keyword": "fox", "frequency": 2, "relation": "at least"}, "a fox"),
    ("keywords:frequency", {"keyword": "fox", "frequency": 2, "relation": "less than"}, "fox fоx"),  # noqa: RUF001
    ("keywords:forbidden_words", {"forbidden_words": ["c++"]}, "I know C++."),
    ("keywords:letter_frequency", {"letter": "a", "let_frequency": 2, "let_relation": "less than"}, "that bаd"),  # noqa: RUF001
    ("language:response_language", {"language": "it"}, "This morning it rained and we stayed at home."),
    ("language:response_language", {"language": "it"}, "1 2 3"),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": "less than"}, "He left. She did."),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "one\n***\n***\ntwo"),
    ("length_constraints:number_words", {"num_words": 3, "relation": "at least"}, "a\u200bb\u200bc d"),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Weekend"},
        "One.\n\nWeekends.",
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 1, "nth_paragraph": 1, "first_word": "so"},
        "\n\nSo.",
    ),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[name] and [ ]"),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "PS bye"),
    ("detectable_content:postscript", {"postscript_marker": "N.B."}, "nabs"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 3}, "* a\n- b"),
    ("detectable_format:constrained_response", {}, "My answer is yes. My answer is no. My answer is maybe."),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*a* and ** ** and ****"),
    ("detectable_format:multiple_sections", {"section_spliter": "Day", "num_sections": 2}, "Day 1 Day 2"),
    ("detectable_format:json_format", {}, '{"a": NaN}'),
    ("detectable_format:json_format", {}, "[" * 100_000),
    ("detectable_format:title", {}, "<< >> <<>>"),
    ("detectable_format:title", {}, "<<two\nlines>>"),
    ("combination:two_responses", {}, "Yes.\n******\nyes"),
    ("combination:two_responses", {}, "yes\n******\n?!"),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Say it."}, "Say it. Say it."),
    ("startend:end_checker", {"end_phrase": "The End."}, "The end. Bye."),
    ("startend:quotation", {}, '""'),
    ("change_case:capital_word_frequency", {"capital_frequency": 2, "capital_relation": "less than"}, "I'M here"),
    ("change_case:english_capital", {}, ENGLISH.upper() + "e"),
    ("change_case:english_lowercase", {}, "heute morgen regnete es und wir blieben zu hause"),
    ("change_case:english_lowercase", {}, "123"),
    ("punctuation:no_comma", {}, "one， two"),  # noqa: RUF001
    ("count:characters", {"least": 3, "most": 3}, "ab \u200b"),
    ("count:words", {"most": 2}, "three words now"),
    ("count:sentences", {"least": 2}, "One"),
    ("count:lines", {"least": 2, "most": 2}, "a\n\n"),
    ("count:paragraphs", {"least": 2}, "a\nb"),
    ("count:bullets", {"least": 2, "most": 4}, "- a"),
    ("count:numbered", {"least": 2}, "1. a\n2."),
    ("count:headings", {"most": 1}, "# a\n# b"),
    ("count:sections", {"least": 2}, "# a\n# b\ny"),
    ("count:keyword", {"keyword": "fox", "most": 1}, "fox fоx"),  # noqa: RUF001
    ("each:paragraph", {"most": 2}, "one\n\none two three"),
    ("each:sentence", {"least": 2}, "I came. So."),
    ("each:bullet", {"most": 2}, "no list at all"),
    ("text:starts", {"phrase": "Dear "}, "dear Ann"),
    ("text:ends", {"phrase": "Yours."}, "Yours"),
    ("text:contains", {"phrases": ["fox"]}, "fоx"),  # noqa: RUF001
    ("text:without", {"phrases": ["fox"]}, "a fоx"),  # noqa: RUF001
    ("text:in_order", {"phrases": ["first", "then"]}, "then first"),
    ("text:matches", {"pattern": r"^\d{4}$"}, "٢٠٢٤"),
    ("text:avoids", {"pattern": r"[a-z]"}, "ａ"),  # noqa: RUF001
    ("text:one_of", {"options": ["yes", "no"]}, "yes or no"),
    ("text:ascii", {}, "naïve"),
    ("text:no_digits", {}, "²"),
    ("text:one_line", {}, "one\ntwo"),
    ("text:no_markdown", {}, "a **bold** one"),
    ("headings:named", {"names": ["Aim", "Method"]}, "# Aim\n# Method\ny"),
    ("headings:named", {"names": ["Aim", "Method"]}, "# Method\nx\n# Aim\ny"),
    ("json:keys", {"keys": ["a"], "only": True}, '{"a": 1, "b": 2}'),
    ("json:keys", {"keys": ["a"]}, '{"a": 1, "a": 2}'),
    ("json:list", {"most": 1}, '{"a": 1}'),
    ("number:range", {"least": 1, "most": 3}, "2 or 3"),
    ("number:range", {"least": 1, "most": 3}, "4"),
]


def fault(name: str, kwargs: dict[str, Any], text: str) -> str:
    return INSTRUCTIONS[name].check(visible(text), **INSTRUCTIONS[name].read(kwargs))


@pytest.mark.parametrize(
    ("name", "kwargs", "text"), FOLLOWED, ids=[f"{each[0]}-{n}" for n, each in enumerate(FOLLOWED)]
)
def test_followed(name: str, kwargs: dict[str, Any], text: str) -> None:
    assert fault(name, kwargs, text) == ""


@pytest.mark.parametrize(("name", "kwargs", "text"), BROKEN, ids=[f"{each[0]}-{n}" for n, each in enumerate(BROKEN)])
def test_broken(name: str, kwargs: dict[str, Any], text: str) -> None:
    assert fault(name, kwargs, text) != ""


def test_all_of_ifeval_is_there_and_every_instruction_is_tested_both_ways() -> None:
    assert len(IFEVAL) == 25
    assert not set(IFEVAL) & set(MORE)
    assert {each[0] for each in FOLLOWED} == {each[0] for each in BROKEN} == set(INSTRUCTIONS)


@pytest.mark.parametrize(
    ("name", "kwargs", "says"),
    [
        ("length_constraints:number_words", {"num_words": 3}, "'relation' is missing"),
        ("length_constraints:number_words", {"num_words": "3", "relation": "at least"}, "a whole number"),
        ("length_constraints:number_words", {"num_words": -1, "relation": "at least"}, "a whole number"),
        ("length_constraints:number_words", {"num_words": True, "relation": "at least"}, "a whole number"),
        ("length_constraints:number_words", {"num_words": 3, "relation": "at most"}, "'less than' or 'at least'"),
        ("length_constraints:number_words", {"num_words": float("inf"), "relation": "at least"}, "a whole number"),
        ("punctuation:no_comma", {"num": 3}, "unknown argument 'num'"),
        ("keywords:existence", {"keywords": "fox"}, "a list of texts"),
        ("keywords:existence", {"keywords": []}, "a list of texts"),
        ("keywords:letter_frequency", {"letter": "ab", "let_frequency": 1, "let_relation": "at least"}, "one char"),
        ("language:response_language", {"language": "xx"}, "ISO 639-1"),
        (
            "length_constraints:nth_paragraph_first_word",
            {"num_paragraphs": 1, "nth_paragraph": 2, "first_word": "a"},
            "2 is above 'num_paragraphs' 1",
        ),
        ("count:words", {}, "one of least, most"),
        ("count:words", {"least": 3, "most": 2}, "3 is above 'most' 2"),
        ("text:matches", {"pattern": "("}, "no regular expression"),
        ("json:keys", {"keys": ["a"], "only": "yes"}, "true or false"),
    ],
)
def test_wrong_arguments_are_named(name: str, kwargs: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        INSTRUCTIONS[name].read(kwargs)


def test_none_is_absent_and_whole_doubles_are_whole() -> None:
    given = {"num_words": 3.0, "relation": "at least", "keywords": None}
    assert INSTRUCTIONS["length_constraints:number_words"].read(given) == {"num_words": 3, "relation": "at least"}


@pytest.mark.parametrize("text", ["[" * 20_000, "<" * 20_000, "*" * 20_000, " " * 20_000, "a" * 20_000, '"' * 20_000])
def test_no_text_raises(text: str) -> None:
    for name, kwargs, _ in FOLLOWED:
        assert isinstance(fault(name, kwargs, text), str)


def test_arguments_of_the_public_set_are_read_from_json() -> None:
    kwargs = json.loads('{"num_paragraphs": 4, "nth_paragraph": 1, "first_word": "weekend"}')
    assert INSTRUCTIONS["length_constraints:nth_paragraph_first_word"].read(kwargs) == kwargs
