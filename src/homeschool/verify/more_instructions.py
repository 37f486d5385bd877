"""Checkable instructions beyond IFEval's, for `constraints`: counts with bounds, form, JSON, exact beginnings and ends.

| id | arguments | holds if |
|---|---|---|
| `count:characters`, `:words`, `:sentences`, `:lines`, `:paragraphs` | `least`, `most` | so many |
| `count:bullets`, `:numbered`, `:headings`, `:sections` | `least`, `most` | so many; a section has text |
| `count:keyword` | `keyword`, `least`, `most` | the whole word or phrase stands so often |
| `each:paragraph`, `each:sentence`, `each:bullet` | `least`, `most` | each of them has so many words |
| `text:starts`, `text:ends` | `phrase` | these very characters, case included |
| `text:contains`, `text:without` | `phrases` | whole words; case does not count |
| `text:in_order` | `phrases` | all of them, in this order |
| `text:matches`, `text:avoids` | `pattern` | a regular expression matches somewhere, nowhere (1 s at most) |
| `text:one_of` | `options` | the whole answer is one of them, but for case and a final stop |
| `text:ascii`, `text:no_digits`, `text:one_line`, `text:no_markdown` | | |
| `headings:named` | `names` | these Markdown headings, in this order, each with text under it |
| `json:keys` | `keys`, `only` | a JSON object with these keys, each once (`only`: no others) |
| `json:list` | `least`, `most` | a JSON list of so many items |
| `number:range` | `least`, `most` | the answer holds one number, and it lies there |

As everywhere, invisible characters are not there, and what is forbidden is forbidden in look-alikes too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from homeschool.verify.answers import shown
from homeschool.verify.instructions import Instruction, Reader, count, phrase, phrases
from homeschool.verify.json_text import read_json
from homeschool.verify.patterns import PatternTimeoutError, compiled, found
from homeschool.verify.sentences import sentences
from homeschool.verify.words import bullets, headings, lines, numbered, paragraphs, unmasked, without_code, words


def number(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        raise ValueError("a number")
    return Decimal(str(value))


def exact(value: Any) -> str:
    """A text that is compared as it stands."""
    if not isinstance(value, str) or not value:
        raise ValueError("a text with something in it")
    return value


def flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def pattern(value: Any) -> str:
    compiled(exact(value))
    return value


def bounded(seen: int | Decimal, what: str, *, least: Any = None, most: Any = None) -> str:
    """What is wrong with a count that should lie between bounds, both included."""
    if least is not None and seen < least:
        return f"{seen} {what}, want at least {least}"
    return f"{seen} {what}, want at most {most}" if most is not None and seen > most else ""


def _counting(counted: Callable[[str], int], what: str) -> Instruction:
    def check(text: str, *, least: int | None = None, most: int | None = None) -> str:
        return bounded(counted(text), what, least=least, most=most)

    return Instruction(check, {}, {"least": count, "most": count}, one_of=True)


def _each(parts: Callable[[str], Iterable[str]], what: str) -> Instruction:
    def check(text: str, *, least: int | None = None, most: int | None = None) -> str:
        wrong = [bounded(len(words(part)), "words", least=least, most=most) for part in parts(text)]
        if not wrong:
            return f"no {what}"
        return next((f"{what} {place}: {fault}" for place, fault in enumerate(wrong, start=1) if fault), "")

    return Instruction(check, {}, {"least": count, "most": count}, one_of=True)


def _times(text: str, wanted: str) -> int:
    """How often a phrase stands in a text as whole words, whatever its case and white space."""
    spaced = r"\s+".join(map(re.escape, wanted.split()))
    return len(re.findall(rf"(?<!\w){spaced}(?!\w)", text, re.IGNORECASE))


def _keyword(text: str, *, keyword: str, least: int | None = None, most: int | None = None) -> str:
    what = f"times {keyword!r}"
    return bounded(_times(text, keyword), what, least=least) or bounded(
        _times(unmasked(text), keyword), what, most=most
    )


def _starts(text: str, *, phrase: str) -> str:
    return "" if text.strip().startswith(phrase) else f"starts with {shown(text.strip()[: len(phrase)], limit=60)!r}"


def _ends(text: str, *, phrase: str) -> str:
    return "" if text.strip().endswith(phrase) else f"ends with {shown(text.strip()[-len(phrase) :], limit=60)!r}"


def _contains(text: str, *, phrases: list[str]) -> str:
    return next((f"{each!r} is missing" for each in phrases if not _times(text, each)), "")


def _without(text: str, *, phrases: list[str]) -> str:
    both = f"{text}\n{unmasked(text)}"
    return next((f"{each!r} stands in it" for each in phrases if _times(both, each)), "")


def _in_order(text: str, *, phrases: list[str]) -> str:
    low, place = text.casefold(), 0
    for each in phrases:
        place = low.find(each.casefold(), place)
        if place < 0:
            return f"{each!r} is missing, or not in its place"
        place += len(each)
    return ""


def _matches(text: str, *, pattern: str) -> str:
    try:
        return "" if found(pattern, text.strip()) else f"nothing matches {pattern!r}"
    except PatternTimeoutError:
        return f"{pattern!r} took too long"


def _avoids(text: str, *, pattern: str) -> str:
    try:
        hit = found(pattern, text.strip()) or found(pattern, unmasked(text).strip())
    except PatternTimeoutError:
        return f"{pattern!r} took too long"
    return f"{pattern!r} matches" if hit else ""


def _one_of(text: str, *, options: list[str]) -> str:
    said = text.strip().removesuffix(".").casefold()
    return "" if said in {each.removesuffix(".").casefold() for each in options} else f"{shown(said, limit=60)!r}"


def _ascii(text: str) -> str:
    return next((f"{character!r} is not ASCII" for character in text if not character.isascii()), "")


def _no_digits(text: str) -> str:
    return next((f"the digit {character!r}" for character in text if character.isnumeric()), "")


def _one_line(text: str) -> str:
    return bounded(len(text.strip().splitlines()), "lines", most=1)


_MARKUP = re.compile(r"^ {0,3}(?:#{1,6} |```|~~~|[*+-] |\d+[.)] |> )|\*\*[^*\n]+\*\*|`[^`\n]+`|\]\(", re.MULTILINE)


def _no_markdown(text: str) -> str:
    mark = _MARKUP.search(text)
    return f"the markup {mark[0]!r}" if mark else ""


def _named(text: str, *, names: list[str]) -> str:
    seen = [each.casefold() for each in headings(text)]
    wanted = [each.strip("# ").casefold() for each in names]
    if seen != wanted:
        return f"headings {shown(repr(seen), limit=100)}"
    empty = [heading for heading, body in zip(wanted, _sections(text), strict=True) if not body]
    return f"nothing under {empty[0]!r}" if empty else ""


def _sections(text: str) -> list[str]:
    """What stands under each Markdown heading, down to the next one, stripped."""
    bodies: list[list[str]] = []
    for line in without_code(text).split("\n"):
        if headings(line):
            bodies.append([])
        elif bodies:
            bodies[-1].append(line)
    return ["\n".join(body).strip() for body in bodies]


def _bullet_texts(text: str) -> list[str]:
    return [line for line in lines(text) if bullets(line)]


def _json_keys(text: str, *, keys: list[str], only: bool = False) -> str:
    try:
        value = read_json(text)
    except ValueError as error:
        return f"not JSON ({shown(str(error), limit=80)})"
    if not isinstance(value, dict):
        return "not a JSON object"
    missing = [key for key in keys if key not in value]
    extra = [key for key in value if key not in keys] if only else []
    return f"the key {missing[0]!r} is missing" if missing else f"the key {extra[0]!r} is too many" if extra else ""


def _json_list(text: str, *, least: int | None = None, most: int | None = None) -> str:
    try:
        value = read_json(text)
    except ValueError as error:
        return f"not JSON ({shown(str(error), limit=80)})"
    return bounded(len(value), "items", least=least, most=most) if isinstance(value, list) else "not a JSON list"


_NUMBER = re.compile(r"(?<![\w.])[-−]?\d{1,30}(?:,\d{3})*(?:\.\d{1,30})?(?![\w])")  # noqa: RUF001


def _number_range(text: str, *, least: Decimal | None = None, most: Decimal | None = None) -> str:
    numbers = [Decimal(each.replace(",", "").replace("−", "-")) for each in _NUMBER.findall(text)]  # noqa: RUF001
    if len(set(numbers)) != 1:
        return f"{len(set(numbers))} numbers, want 1"
    return bounded(numbers[0], "is the number", least=least, most=most)


def _plain(check: Callable[..., str], **takes: Reader) -> Instruction:
    return Instruction(check, takes, {})


MORE: dict[str, Instruction] = {
    "count:characters": _counting(lambda text: len(text.strip()), "characters"),
    "count:words": _counting(lambda text: len(words(text)), "words"),
    "count:sentences": _counting(lambda text: len(sentences(text)), "sentences"),
    "count:lines": _counting(lambda text: len(lines(text)), "lines"),
    "count:paragraphs": _counting(lambda text: len(paragraphs(text)), "paragraphs"),
    "count:bullets": _counting(bullets, "list items"),
    "count:numbered": _counting(numbered, "numbered items"),
    "count:headings": _counting(lambda text: len(headings(text)), "headings"),
    "count:sections": _counting(lambda text: sum(map(bool, _sections(text))), "sections with something in them"),
    "count:keyword": Instruction(_keyword, {"keyword": phrase}, {"least": count, "most": count}, one_of=True),
    "each:paragraph": _each(paragraphs, "paragraph"),
    "each:sentence": _each(sentences, "sentence"),
    "each:bullet": _each(_bullet_texts, "list item"),
    "text:starts": _plain(_starts, phrase=exact),
    "text:ends": _plain(_ends, phrase=exact),
    "text:contains": _plain(_contains, phrases=phrases),
    "text:without": _plain(_without, phrases=phrases),
    "text:in_order": _plain(_in_order, phrases=phrases),
    "text:matches": _plain(_matches, pattern=pattern),
    "text:avoids": _plain(_avoids, pattern=pattern),
    "text:one_of": _plain(_one_of, options=phrases),
    "text:ascii": _plain(_ascii),
    "text:no_digits": _plain(_no_digits),
    "text:one_line": _plain(_one_line),
    "text:no_markdown": _plain(_no_markdown),
    "headings:named": _plain(_named, names=phrases),
    "json:keys": Instruction(_json_keys, {"keys": phrases}, {"only": flag}),
    "json:list": Instruction(_json_list, {}, {"least": count, "most": count}, one_of=True),
    "number:range": Instruction(_number_range, {}, {"least": number, "most": number}, one_of=True),
}
