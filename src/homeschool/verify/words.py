"""What a reader sees of an answer, and its words, paragraphs and list items. Shared by the verifiers of form.

A rule like "at least 300 words" is worth nothing if zero-width spaces make words, and "do not write `nickname`" if a
Cyrillic letter hides the word. So every rule looks at `visible` text (nothing that is not drawn on a screen), and the
rules that forbid look at `unmasked` text too, in which letters stand for what they look like. The rules that demand
never do: a look-alike is not the word that was asked for.

Not seen through: text that only a Markdown or HTML renderer hides (comments, link definitions), and look-alikes outside
the Cyrillic and Greek alphabets and Unicode's own compatibility forms.
"""

from __future__ import annotations

import re
from unicodedata import category, normalize

_WORD = re.compile(r"\w+")
_MARKS = re.compile(f"[{''.join(mark for mark in map(chr, range(0x300, 0x1100)) if category(mark)[0] == 'M')}]")
"""Combining marks of the scripts in which words have them: accents, Hebrew and Arabic points, Indic and Thai vowels."""

_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Control and format characters, variation selectors, fillers, tags and halves of surrogate pairs."""

_CYRILLIC = "АВЕЅІЈКМНОРСТХҮаеіјорсухѕԁԛԝһвкмнт"
_CYRILLIC_LATIN = "ABESIJKMHOPCTXYaeijopcyxsdqwhbkmht"
_GREEK = "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧανορυικτχ"
_GREEK_LATIN = "ABEZHIKMNOPTYXavopuiktx"
_LOOKS_LIKE = str.maketrans(_CYRILLIC + _GREEK, _CYRILLIC_LATIN + _GREEK_LATIN)
_COMMAS = str.maketrans(dict.fromkeys("\u060c\u3001\uff64\u055d\u07f8\u1363\u1802\u1808\u201a\ua4fe\ua60d\ua6f5", ","))

_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+(.*)$", re.MULTILINE)
_NUMBERED = re.compile(r"^[ \t]*\d{1,9}[.)][ \t]+\S", re.MULTILINE)


def visible(text: str) -> str:
    """`text` without what is not drawn: zero-width and format characters, controls, tags, variation selectors."""
    return text if text.isascii() and text.isprintable() else _INVISIBLE.sub("", text)


def unmasked(text: str) -> str:
    """Visible text with each letter and comma as what it looks like: compatibility forms, Cyrillic and Greek letters.

    A word is changed only if all of it then reads as Latin, and only in a text that is mostly Latin: Russian stays.
    """
    text = visible(text)
    if text.isascii():
        return text
    text = normalize("NFKC", text).translate(_COMMAS)
    latin = sum(letter.isascii() for letter in text if letter.isalpha())
    if 2 * latin < sum(letter.isalpha() for letter in text):
        return text
    return _WORD.sub(lambda word: _as_latin(word[0]), text)


def _as_latin(word: str) -> str:
    read = word.translate(_LOOKS_LIKE)
    return read if read.isascii() else word


def words(text: str) -> list[str]:
    """Runs of letters, digits and `_`, which is what IFEval counts: `don't` is two.

    Vowel signs of Indic scripts belong to their word (Python's `\\w` does not match them).
    """
    return _WORD.findall(text if text.isascii() else _MARKS.sub("", text))


def paragraphs(text: str) -> list[str]:
    """Blocks of text between blank lines, none of them empty."""
    return [block.strip() for block in re.split(r"\n[ \t]*\n", text) if block.strip()]


def lines(text: str) -> list[str]:
    """Lines that are not blank, stripped."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def bullets(text: str) -> int:
    """Lines that begin with `-`, or with one `*` and something after it, as IFEval counts them (`---` is one)."""
    starts = [line[:2] for line in lines(text)]
    return sum(start[0] == "-" or (start[0] == "*" and start[1:] not in ("", "*")) for start in starts)


def numbered(text: str) -> int:
    """Lines that begin with `1.` or `1)` and something after it."""
    return len(_NUMBERED.findall(text))


def headings(text: str) -> list[str]:
    """The texts of Markdown headings (`# Like this`), in order; those in code fences are none."""
    return [found for line in _HEADING.findall(without_code(text)) if (found := line.strip(" \t#"))]


def without_code(text: str) -> str:
    """`text` without fenced code blocks (an unclosed one goes to the end)."""
    kept: list[str] = []
    fence = ""
    for line in text.split("\n"):
        mark = line.strip()[:3]
        if fence:
            fence = "" if line.strip() == fence else fence
        elif mark in ("```", "~~~"):
            fence = mark
        else:
            kept.append(line)
    return "\n".join(kept)


def only_echoes(answer: str, prompt: str) -> bool:
    """Whether `answer` is the prompt, once or often, and no word beside it. Case and white space do not count."""
    asked, said = (" ".join(words(visible(text).casefold())) for text in (prompt, answer))
    return bool(asked) and asked in said and not said.replace(asked, "").strip()
