"""The 25 checkable instructions of IFEval (Zhou et al., 2023, arXiv:2311.07911), under the ids of its data set.

Each check is a function of the answer and the instruction's own arguments that returns what is wrong, or nothing. The
verdicts are those of the published checkers, quirks included (`---` is a list item, `don't` is two words), except
where an answer could win without doing what was asked, or arguments were read as regular expressions:

- Text that is not drawn on a screen is taken out first, so zero-width spaces make no words (see `words`).
- What is forbidden is also forbidden in look-alike letters, and commas in any script; a demanded word must be itself.
- An empty placeholder `[ ]`, section, quotation or second response does not count, nor does a prompt that is repeated
  with no answer after it, nor an answer that holds two of the three answers it was to choose from.
- Keywords and phrases are texts, not patterns: `c++` and `P.S.` mean themselves.
- A text with no language (digits only) is in no language; the published checkers let it pass. English is recognised in
  small letters, because detectors err on capitals. The detector is py3langid, theirs langdetect.
- NaN and Infinity are not JSON.

Arguments are checked: the published code draws a missing one at random, here it is an error (`ValueError`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from homeschool.verify.answers import shown
from homeschool.verify.language import code, detected, same_language
from homeschool.verify.sentences import sentences
from homeschool.verify.words import bullets, only_echoes, unmasked, words

Reader = Callable[[Any], Any]
"""Reads one argument; raises ValueError, saying what is wanted."""


_ORDERED = (("least", "most"), ("nth_paragraph", "num_paragraphs"))
"""Arguments of which the first may not be above the second."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """A check and how its arguments are read. The check returns what is wrong, or an empty text.

    `optional` arguments may be left out, but not all of them if `one_of` is set.
    """

    check: Callable[..., str]
    takes: Mapping[str, Reader]
    optional: Mapping[str, Reader]
    one_of: bool = False

    def read(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments as the check takes them. None is as good as absent, as columnar files fill gaps with it.

        Raises ValueError naming the argument that is missing, unknown or of the wrong kind.
        """
        present = {name: value for name, value in given.items() if value is not None}
        known = {**self.takes, **self.optional}
        for name in present:
            if name not in known:
                raise ValueError(f"unknown argument {name!r} (known: {', '.join(known) or 'none'})")
        for name in self.takes:
            if name not in present:
                raise ValueError(f"argument {name!r} is missing")
        if self.one_of and not any(name in present for name in self.optional):
            raise ValueError(f"one of {', '.join(self.optional)} is needed")
        read: dict[str, Any] = {}
        for name, value in present.items():
            try:
                read[name] = known[name](value)
            except ValueError as error:
                raise ValueError(f"argument {name!r} is {shown(repr(value), limit=60)}, not {error}") from None
        for low, high in _ORDERED:
            if low in read and high in read and read[low] > read[high]:
                raise ValueError(f"argument {low!r} {read[low]} is above {high!r} {read[high]}")
        return read


def count(value: Any) -> int:
    """A whole number from 0; 3.0 is one, as columnar files write it."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value % 1 or value < 0:
        raise ValueError("a whole number from 0")
    return int(value)


def positive(value: Any) -> int:
    if count(value) == 0:
        raise ValueError("a whole number from 1")
    return int(value)


def relation(value: Any) -> str:
    if value not in ("less than", "at least"):
        raise ValueError("'less than' or 'at least'")
    return value


def phrase(value: Any) -> str:
    """A text with something in it."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a text with something in it")
    return value.strip()


def phrases(value: Any) -> list[str]:
    """A list of texts."""
    if isinstance(value, str) or not isinstance(value, list | tuple) or not value:
        raise ValueError("a list of texts")
    return [phrase(each) for each in value]


def letter(value: Any) -> str:
    if not isinstance(value, str) or len(value.strip()) != 1:
        raise ValueError("one character")
    return value.strip().lower()


def compared(seen: int, wanted: str, limit: int, what: str) -> str:
    """What is wrong with a count, in IFEval's two relations."""
    holds = seen < limit if wanted == "less than" else seen >= limit
    return "" if holds else f"{seen} {what}, want {wanted} {limit}"


def exactly(seen: int, wanted: int, what: str) -> str:
    return "" if seen == wanted else f"{seen} {what}, want {wanted}"


def _keywords(text: str, *, keywords: list[str]) -> str:
    low = text.lower()
    missing = [word for word in keywords if word.lower() not in low]
    return f"{missing[0]!r} is missing" if missing else ""


def _keyword_frequency(text: str, *, keyword: str, frequency: int, relation: str) -> str:
    # A word that may stand only so often is counted in look-alikes too.
    read = unmasked(text) if relation == "less than" else text
    return compared(read.lower().count(keyword.lower()), relation, frequency, f"times {keyword!r}")


def _forbidden_words(text: str, *, forbidden_words: list[str]) -> str:
    for word in forbidden_words:
        whole = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE)
        if whole.search(text) or whole.search(unmasked(text)):
            return f"{word!r} stands in it"
    return ""


def _letter_frequency(text: str, *, letter: str, let_frequency: int, let_relation: str) -> str:
    read = unmasked(text) if let_relation == "less than" else text
    return compared(read.lower().count(letter), let_relation, let_frequency, f"times {letter!r}")


def _language(text: str, *, language: str) -> str:
    found = detected(text)
    return "" if same_language(found, language) else f"in {found or 'no language'}, want {language}"


def _sentences(text: str, *, num_sentences: int, relation: str) -> str:
    return compared(len(sentences(text)), relation, num_sentences, "sentences")


def _words(text: str, *, num_words: int, relation: str) -> str:
    return compared(len(words(text)), relation, num_words, "words")


def _paragraphs(text: str, *, num_paragraphs: int) -> str:
    blocks = [block.strip() for block in re.split(r"\s?\*\*\*\s?", text)]
    if any(not block for block in blocks[1:-1]):
        return "an empty paragraph"
    return exactly(sum(map(bool, blocks)), num_paragraphs, "paragraphs between ***")


def _nth_paragraph(text: str, *, num_paragraphs: int, nth_paragraph: int, first_word: str) -> str:
    blocks = text.split("\n\n")
    filled = sum(bool(block.strip()) for block in blocks)
    if filled != num_paragraphs:
        return exactly(filled, num_paragraphs, "paragraphs")
    block = blocks[nth_paragraph - 1].strip() if nth_paragraph <= filled else ""
    first = re.split(r"[.,?!'\"]", block.split()[0].lstrip("'").lstrip('"'))[0] if block else ""
    return "" if first.lower() == first_word.lower() else f"paragraph {nth_paragraph} begins with {shown(first)!r}"


def _placeholders(text: str, *, num_placeholders: int) -> str:
    filled = [inside for inside in re.findall(r"\[([^\[\]\n]*)\]", text) if inside.strip()]
    return compared(len(filled), "at least", num_placeholders, "placeholders")


def _postscript(text: str, *, postscript_marker: str) -> str:
    pattern = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}.get(postscript_marker)
    pattern = pattern or re.escape(postscript_marker.lower())
    return "" if re.search(pattern, text.lower()) else f"no {postscript_marker}"


def _bullets(text: str, *, num_bullets: int) -> str:
    return exactly(bullets(text), num_bullets, "list items")


CHOICES = ("My answer is yes.", "My answer is no.", "My answer is maybe.")


def _constrained_response(text: str) -> str:
    given = sum(choice in text for choice in CHOICES)
    return exactly(given, 1, "of the answers to choose from")


def _highlights(text: str, *, num_highlights: int) -> str:
    single = re.findall(r"\*([^\n*]*)\*", text)
    double = re.findall(r"\*\*([^\n*]*)\*\*", text)
    return compared(sum(bool(each.strip()) for each in single + double), "at least", num_highlights, "highlights")


def _sections(text: str, *, section_spliter: str, num_sections: int) -> str:
    pieces = re.split(rf"{re.escape(section_spliter)}\s?\d+", text)
    filled = sum(bool(re.search(r"\w", piece)) for piece in pieces)
    return compared(min(len(pieces) - 1, filled), "at least", num_sections, "sections with something in them")


def _json(text: str) -> str:
    text = text.strip()
    for fence in ("```json", "```Json", "```JSON", "```"):
        text = text.removeprefix(fence)
    try:
        json.loads(text.removesuffix("```").strip(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        return f"not JSON ({shown(str(error), limit=80)})"
    return ""


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _title(text: str) -> str:
    for line in text.split("\n"):
        start, end = line.find("<<"), line.rfind(">>")
        if 0 <= start < end and line[start + 2 : end].strip("<> \t\r"):
            return ""
    return "no <<title>>"


def _two_responses(text: str) -> str:
    pieces = text.split("******")
    if any(not piece.strip() for piece in pieces[1:-1]):
        return "an empty response"
    said = [" ".join(words(piece)).casefold() for piece in pieces if piece.strip()]
    if len(said) != 2:
        return exactly(len(said), 2, "responses between ******")
    if not all(said):
        return "an empty response"
    return "the two responses are the same" if said[0] == said[1] else ""


def _repeat_prompt(text: str, *, prompt_to_repeat: str) -> str:
    if not text.strip().lower().startswith(prompt_to_repeat.lower()):
        return "does not begin with the request"
    return "nothing after the request" if only_echoes(text, prompt_to_repeat) else ""


def _end(text: str, *, end_phrase: str) -> str:
    return "" if text.strip().strip('"').lower().endswith(end_phrase.lower()) else f"ends with {shown(text[-60:])!r}"


_SPLIT = re.compile(r"\.{3}|--|``|''|[:,](?!\d)|[\s;@#$%&?!\[\](){}<>\"“”„‘’«»]")  # noqa: RUF001
_CLITIC = re.compile(r"(?<=[^' ])(?:'[SMD]|'LL|'RE|'VE|N'T)$")
_PAIRS = frozenset({"CANNOT", "GIMME", "GONNA", "GOTTA", "LEMME", "WANNA"})


def _capital_words(text: str, *, capital_frequency: int, capital_relation: str) -> str:
    # As NLTK's word tokenizer counts them: I'M and CANNOT are two each, WELL-KNOWN is one.
    tokens = [token.rstrip("'.") for token in _SPLIT.split(text)]
    found = sum(1 + bool(_CLITIC.search(token)) + (token in _PAIRS) for token in tokens if token.isupper())
    found += sum(token[: clitic.start()].isupper() for token in tokens if (clitic := _LOW_CLITIC.search(token)))
    return compared(found, capital_relation, capital_frequency, "words in capitals")


_LOW_CLITIC = re.compile(r"(?<=[^' ])(?:'[smd]|'ll|'re|'ve|n't)$")


def _english_capital(text: str) -> str:
    return _english(text) if text.isupper() else "not all in capitals"


def _english_lowercase(text: str) -> str:
    return _english(text) if text.islower() else "not all in small letters"


def _english(text: str) -> str:
    found = detected(text)
    return "" if found == "en" else f"in {found or 'no language'}, want en"


def _no_comma(text: str) -> str:
    return "a comma" if "," in unmasked(text) else ""


def _quotation(text: str) -> str:
    text = text.strip()
    quoted = len(text) > 1 and text[0] == text[-1] == '"'
    if not quoted:
        return "not between double quotation marks"
    return "" if re.search(r"\w", text) else "nothing between the quotation marks"


def _takes(check: Callable[..., str], **takes: Reader) -> Instruction:
    return Instruction(check, takes, {})


IFEVAL: dict[str, Instruction] = {
    "keywords:existence": _takes(_keywords, keywords=phrases),
    "keywords:frequency": _takes(_keyword_frequency, keyword=phrase, frequency=count, relation=relation),
    "keywords:forbidden_words": _takes(_forbidden_words, forbidden_words=phrases),
    "keywords:letter_frequency": _takes(_letter_frequency, letter=letter, let_frequency=count, let_relation=relation),
    "language:response_language": _takes(_language, language=code),
    "length_constraints:number_sentences": _takes(_sentences, num_sentences=count, relation=relation),
    "length_constraints:number_paragraphs": _takes(_paragraphs, num_paragraphs=count),
    "length_constraints:number_words": _takes(_words, num_words=count, relation=relation),
    "length_constraints:nth_paragraph_first_word": _takes(
        _nth_paragraph, num_paragraphs=positive, nth_paragraph=positive, first_word=phrase
    ),
    "detectable_content:number_placeholders": _takes(_placeholders, num_placeholders=count),
    "detectable_content:postscript": _takes(_postscript, postscript_marker=phrase),
    "detectable_format:number_bullet_lists": _takes(_bullets, num_bullets=count),
    "detectable_format:constrained_response": _takes(_constrained_response),
    "detectable_format:number_highlighted_sections": _takes(_highlights, num_highlights=count),
    "detectable_format:multiple_sections": _takes(_sections, section_spliter=phrase, num_sections=count),
    "detectable_format:json_format": _takes(_json),
    "detectable_format:title": _takes(_title),
    "combination:two_responses": _takes(_two_responses),
    "combination:repeat_prompt": _takes(_repeat_prompt, prompt_to_repeat=phrase),
    "startend:end_checker": _takes(_end, end_phrase=phrase),
    "startend:quotation": _takes(_quotation),
    "change_case:capital_word_frequency": _takes(_capital_words, capital_frequency=count, capital_relation=relation),
    "change_case:english_capital": _takes(_english_capital),
    "change_case:english_lowercase": _takes(_english_lowercase),
    "punctuation:no_comma": _takes(_no_comma),
}
