"""`length`: the answer has at least and at most so many words, characters, sentences, lines or paragraphs.

Options `least`, `most` (both ends included) and `unit`, as `length(most=400)`; with neither bound, the row's column
`length` holds them: `{"least": 3, "most": 8, "unit": "words"}`, or None for no bound. A row without one is `Broken`.
`unit` is `words` (default; runs of letters and digits), `characters` (white space at both ends does not count),
`sentences`, `lines` (blank ones do not count) or `paragraphs`. Invisible characters are not there, and an answer of
nothing but punctuation has no words.

An empty answer fails, whatever the bounds. Known limit: seven hundred times `a` is 700 words; compose it with a
verifier of content, as `all_of(math, length(most=400))`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from homeschool.core.errors import UsageError, unknown
from homeschool.core.protocols import Context
from homeschool.core.records import Row
from homeschool.core.verdict import Broken, Fail, Pass, Verdict
from homeschool.verify.answers import shown
from homeschool.verify.sentences import sentences
from homeschool.verify.words import lines, paragraphs, visible, words

UNITS: dict[str, Callable[[str], int]] = {
    "words": lambda text: len(words(text)),
    "characters": lambda text: len(text.strip()),
    "sentences": lambda text: len(sentences(text)),
    "lines": lambda text: len(lines(text)),
    "paragraphs": lambda text: len(paragraphs(text)),
}

_SHORT = {"length": {"least": 3, "most": 8}}
GOLD: list[tuple[dict[str, Any], str]] = [
    (_SHORT, "A short answer."),
    (_SHORT, "One two three four five six seven eight."),
    ({"length": {"most": 2, "unit": "sentences"}}, "Dr. Smith paid 3.50 dollars. He left."),
    ({"length": {"least": 2, "most": 2, "unit": "lines"}}, "one\n\ntwo\n"),
    ({"length": {"most": 5, "unit": "characters"}}, "  five!  "),
    ({"length": {"least": 2, "unit": "paragraphs"}}, "One\ntwo.\n\nThree."),
]
CORRUPTED: list[tuple[dict[str, Any], str]] = [
    (_SHORT, "Too short."),
    (_SHORT, "One two three four five six seven eight nine."),
    (_SHORT, "a\u200bb\u200bc"),
    (_SHORT, "--- ... ---"),
    ({"length": {"most": 2, "unit": "sentences"}}, "He came. He saw. He left."),
    ({"length": {"least": 2, "most": 2, "unit": "lines"}}, "one\n   \n"),
    ({"length": {"most": 5, "unit": "characters"}}, "six..."),
    ({"length": {"most": 5}}, ""),
]


@dataclass(frozen=True, slots=True)
class Length:
    """Bounds for every row; with neither, each row brings its own."""

    least: int | None = None
    most: int | None = None
    unit: str = "words"
    name: str = "length@1"

    async def __call__(self, row: Row, answers: Sequence[str], ctx: Context | None = None) -> list[Verdict]:
        bounds = self if self.least is not None or self.most is not None else _stated(row.get("length"), self.unit)
        if bounds is None:
            evidence = f"column `length` is {shown(repr(row.get('length')), limit=80)}"
            return [Broken(reason="no length", evidence=evidence, verifier=self.name) for _ in answers]
        return [bounds.judge(answer) for answer in answers]

    def judge(self, answer: str) -> Verdict:
        text = visible(answer)
        if not text.strip():
            return self._fail("empty answer", 0)
        size = UNITS[self.unit](text)
        if self.least is not None and size < self.least:
            return self._fail("too short", size)
        if self.most is not None and size > self.most:
            return self._fail("too long", size)
        return Pass({"correct": 1.0, self.unit: float(size)}, verifier=self.name)

    def _fail(self, reason: str, size: int) -> Fail:
        bounds = f"want {self.least or 0} to {'any' if self.most is None else self.most}"
        return Fail({"correct": 0.0, self.unit: float(size)}, reason, f"{size} {self.unit}, {bounds}", self.name)


def verifier(*, least: int | None = None, most: int | None = None, unit: str = "words") -> Length:
    """The verifier `length`. Raises UsageError for an unknown unit and for bounds that nothing meets."""
    if unit not in UNITS:
        raise unknown("unit", unit, UNITS)
    for name, bound in (("least", least), ("most", most)):
        if bound is not None and not _is_count(bound):
            raise UsageError(f"{name}={bound!r} is no count", hint=f"write `{name}=10`, say")
    if least is not None and most is not None and least > most:
        raise UsageError(f"least={least} is above most={most}", hint="exchange them")
    return Length(least, most, unit)


def _stated(given: Any, unit: str) -> Length | None:
    """The bounds in a row's column, or None if it holds none that can be met."""
    if not isinstance(given, Mapping) or not set(given) <= {"least", "most", "unit"}:
        return None
    least, most, unit = given.get("least"), given.get("most"), given.get("unit") or unit
    bounds = [bound for bound in (least, most) if bound is not None]
    if not bounds or not all(map(_is_count, bounds)) or bounds != sorted(bounds) or unit not in UNITS:
        return None
    return Length(least, most, unit)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
