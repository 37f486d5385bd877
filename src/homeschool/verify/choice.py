"""`choice`: the one option that an answer commits to is the right one (multiple choice, and yes or no).

Needs columns `choices` (a list of texts) and `answer` (the label of the right one, or its text). Labels are A, B, C ...
unless column `labels` lists others. Options that are `yes` and `no` may be answered `true` and `false`, and the other
way round.

One span of the answer is judged. It is the first of these that is there:

1. the last of `<answer>...</answer>`, `\\boxed{...}` and `#### ...`;
2. the line of the last "answer is" or "Answer:";
3. the first line and the last line, where one of them is an option and nothing else (if both are, they must agree);
4. the last line; of `yes` and `no` only as the first word of the first or last line ("Yes, since ...").

In that span an option is named by its label (`B`, `(B)`, `b)`, `B. a bank`, `option B`) or by its text. Every option
named there counts, so "A or B", "A, B" and a label beside another option's text fail, as does "not B". In prose a bare
label must be a capital letter; `A` and `I` at the start of a sentence or before a word in lower case are words.

Verdicts: Pass; Fail with `wrong answer`, `no answer found`, `several answers` or `answer is negated`; Broken with
`no choices` or `gold is no choice`. Known limits: an explanation on the same line that names another option fails
("B, because A is false"), and a choice that is only paraphrased is not found.

Measured: for every problem of CommonsenseQA (9,741 and 640), StrategyQA (2,061), AQuA (254), BIG-bench dates (216) and
PubMedQA (610) at hand the gold option passes as label, as text and in a sentence, and no other option does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from homeschool.core.protocols import Context
from homeschool.core.records import Row
from homeschool.core.verdict import Broken, Fail, Pass, Verdict
from homeschool.verify.answers import TAIL, shown

_BANK: dict[str, Any] = {"choices": ["river", "bank", "river bank", "a mint"], "answer": "B"}
_YES: dict[str, Any] = {"choices": ["yes", "no"], "answer": "yes"}
_DATE: dict[str, Any] = {"choices": ["05/01/2021", "05/11/2021"], "answer": "A"}
GOLD: list[tuple[dict[str, Any], str]] = [
    (_BANK, "B"),
    (_BANK, "(b)"),
    (_BANK, "**B. bank**"),
    (_BANK, "B\n\nA river has no money, so C is out as well."),
    (_BANK, "A river has none.\nThe answer is (B)."),
    (_BANK, "Answer: the bank"),
    (_BANK, "So you keep money in a bank."),
    (_BANK, "<answer>option B</answer> or C?"),
    ({"choices": ["river", "bank"], "answer": "bank", "labels": ["1", "2"]}, "\\boxed{2}"),
    (_YES, "Yes, since he had sixteen children."),
    (_YES, "He had sixteen. So the answer is yes."),
    (_YES, "True"),
    (_YES, "Sixteen is more than three.\nYes, there is no doubt."),
    ({"choices": ["yes", "no", "maybe"], "answer": "no"}, "#### No"),
    (_DATE, "Today is 05/01/2021."),
]
CORRUPTED: list[tuple[dict[str, Any], str]] = [
    (_BANK, "C"),
    (_BANK, "The answer is A or B."),
    (_BANK, "A, B"),
    (_BANK, "The answer is B or c."),
    (_BANK, "B, because A is wrong"),
    (_BANK, "The answer is: B is incorrect"),
    (_BANK, "A B C D"),
    (_BANK, "(B) river"),
    (_BANK, "The answer is not B."),
    (_BANK, "a river bank"),
    (_BANK, "B\nNo, wait:\nC"),
    (_BANK, "The answer is E"),
    (_BANK, "I do not know."),
    (_BANK, "B" * 50),
    (_YES, "yes and no"),
    (_YES, "Yes, no"),
    (_YES, "There is no evidence."),
    (_YES, "The answer is no."),
    (_YES, "Yes. On the other hand he had none.\nSo the answer is no."),
    (_DATE, "05/01/20211"),
    (_DATE, ""),
]

_STATED = re.compile(r"<answer>(.*?)</answer>|\\boxed\{((?:[^{}]|\{[^{}]*\})*)\}|####([^\n]*)", re.DOTALL)
_ANSWER = re.compile(r"\banswer\b[*_]{0,2}\s?(?:(?:is|was)\b|[:=])[ :*_]{0,4}([^\n]*)", re.IGNORECASE)
_TEXT = re.compile(r"\\(?:text|textbf|mathrm|mbox)\{([^{}]*)\}")
_NEGATED = re.compile(r"\b(?:not|never|neither|nor|none|cannot|except|wrong|incorrect|\w+n['’]t)\b", re.IGNORECASE)  # noqa: RUF001
_JOINT = re.compile(r"[,.;:!]|\b(?:or|and)\b")
_ARTICLE = re.compile(r"^(?:the|an|a) ")
_SAME = {"true": "yes", "false": "no"}
_MARKS = " \t*_`'\"$.,:;!“”’"  # noqa: RUF001
_A_WORD = r"(?!['’]|\s+(?!(?:or|and|is|but|because|since)\b)[a-z]|\s+\|)"  # noqa: RUF001
"""After `A` and `I`: what makes a word of them."""
_LISTED = r"(?i:(?:\b(?:or|and)\s|[,/&])\s*[(\[]?{0}(?:[)\].,;!?*]|\s*$))"
"""A label in a list, also as a small letter."""
_LONGEST = 2000
"""Characters of a span that are read."""


@dataclass(frozen=True, slots=True)
class Choice:
    name: str = "choice@1"

    async def __call__(self, row: Row, answers: Sequence[str], ctx: Context | None = None) -> list[Verdict]:
        options = _options(row.columns)
        if not options:
            evidence = shown(f"choices {row.get('choices')!r:.100}, labels {row.get('labels')!r:.100}")
            return [Broken(reason="no choices", evidence=evidence, verifier=self.name) for _ in answers]
        gold = _gold(options, row.get("answer"))
        if not gold:
            evidence = shown(f"{row.get('answer')!r:.100} of {', '.join(label for label, _ in options)}")
            return [Broken(reason="gold is no choice", evidence=evidence, verifier=self.name) for _ in answers]
        return [self._judge(options, gold, answer) for answer in answers]

    def _judge(self, options: list[tuple[str, str]], gold: set[int], answer: str) -> Verdict:
        found, reason, span = chosen(options, answer)
        if reason:
            return Fail({"correct": 0.0}, reason, shown(span), self.name)
        names = ", ".join(options[index][0] for index in sorted(found))
        if found & gold:  # options of equal text are one option
            return Pass({"correct": 1.0}, evidence=names, verifier=self.name)
        want = ", ".join(options[index][0] for index in sorted(gold))
        return Fail({"correct": 0.0}, "wrong answer", shown(f"got {names}, want {want}"), self.name)


def verifier() -> Choice:
    """The verifier `choice`."""
    return Choice()


def chosen(options: Sequence[tuple[str, str]], answer: str) -> tuple[set[int], str, str]:
    """(indices, reason, span): the option that `answer` commits to, as indices of (label, text) pairs.

    Several indices stand for options of equal text. With a reason there are none.
    """
    text = answer[-TAIL:]
    stated = [next(part for part in match.groups() if part is not None) for match in _STATED.finditer(text)]
    marked = [match[1] for match in _ANSWER.finditer(text) if match[1].strip(_MARKS)]
    if stated or marked:
        span = (stated or marked)[-1].strip()
        return (*_committed(options, span), span)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return set(), "no answer found", ""
    first, last = _whole(options, lines[0]), _whole(options, lines[-1])
    if first and last and not first & last:
        return set(), "several answers", f"{lines[0]} ... {lines[-1]}"
    if first or last:
        return first or last, "", lines[0] if first else lines[-1]
    if not _says_yes_or_no(options):
        return (*_committed(options, lines[-1]), lines[-1])
    openings = _opening(options, lines[0]) | _opening(options, lines[-1])
    reason = "" if len(openings) == 1 else "several answers" if openings else "no answer found"
    return (openings if not reason else set()), reason, lines[-1]


def _options(columns: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(label, text) of each option; none if the columns are not what they should be."""
    choices, labels = columns.get("choices"), columns.get("labels")
    if not isinstance(choices, (list, tuple)):
        return []
    texts = [str(choice) for choice in cast("list[Any]", choices)]
    if labels is None:
        labels = [chr(ord("A") + index) for index in range(len(texts))] if len(texts) <= 26 else []
    if not isinstance(labels, (list, tuple)) or len(cast("list[Any]", labels)) != len(texts):
        return []
    names = [str(label) for label in cast("list[Any]", labels)]
    return list(zip(names, texts, strict=True)) if len(set(names)) == len(names) else []


def _gold(options: Sequence[tuple[str, str]], answer: Any) -> set[int]:
    """The indices of the right option, by its label or else by its text, with those of equal text."""
    name = _spelt(str(answer)) if isinstance(answer, (str, int)) else ""
    by_label = {index for index, (label, _) in enumerate(options) if name and label.casefold() == name}
    found = by_label or {index for index, (_, text) in enumerate(options) if name and _spelt(text) == name}
    return found | _equal(options, found)


def _says_yes_or_no(options: Sequence[tuple[str, str]]) -> bool:
    """Whether the options are words that prose is full of."""
    return bool({"yes", "no"} & {_plain(text) for _, text in options})


def _opening(options: Sequence[tuple[str, str]], line: str) -> set[int]:
    """The option that a line begins with, and those that it lists after it."""
    parts = [_whole(options, part) for part in _JOINT.split(line)]
    return set[int]().union(*parts) if parts[0] else set()


def _spelt(text: str) -> str:
    """A text without its marks, in one case and with single spaces: options that are equal so are one option."""
    return " ".join(_TEXT.sub(r"\1", text).casefold().split()).strip(_MARKS + "()[]")


def _plain(text: str) -> str:
    """The same without its article, and `true` as `yes`: as an answer may put it."""
    text = _ARTICLE.sub("", _spelt(text))
    return _SAME.get(text, text)


def _whole(options: Sequence[tuple[str, str]], span: str) -> set[int]:
    """The option that `span` is and nothing else: its label, its text, or the two together."""
    bare = _TEXT.sub(r"\1", span).strip(_MARKS)
    for spelling in (_spelt, _plain):
        by_text = {index for index, (_, text) in enumerate(options) if spelling(text) == spelling(bare) != ""}
        if by_text:
            return by_text
    for index, (label, text) in enumerate(options):
        name = re.escape(label)
        head = re.match(rf"(?:option |choice )?[(\[]?{name}(?:[)\]]|\b)[*_]*\s*[).:=-]*", bare, re.IGNORECASE)
        rest = bare[head.end() :].strip(_MARKS) if head else ""
        if head and (not rest or _plain(rest) == _plain(text)):
            return {index}
    return set()


def _committed(options: Sequence[tuple[str, str]], span: str) -> tuple[set[int], str]:
    """The one option that `span` names, or a reason why there is none."""
    span = _TEXT.sub(r"\1", span[:_LONGEST])
    whole = _whole(options, span) or _whole(options, re.split(r"\.(?:\s|$)", span.strip(_MARKS))[0])
    named, rest = _named_by_text(options, span)
    labelled = _named_by_label(options, rest)
    alike = {index for index, (_, text) in enumerate(options) if _plain(text) in {_plain(options[k][1]) for k in whole}}
    if whole and not labelled - whole - _equal(options, whole) and named <= alike:
        return whole, ""
    found = labelled | named
    if not found:
        return set(), "no answer found"
    if _NEGATED.search(rest):
        return set(), "answer is negated"
    if len({_spelt(options[index][1]) for index in found}) > 1:
        return set(), "several answers"
    return found, ""


def _equal(options: Sequence[tuple[str, str]], found: set[int]) -> set[int]:
    texts = {_spelt(options[index][1]) for index in found}
    return {index for index, (_, text) in enumerate(options) if _spelt(text) in texts}


def _named_by_text(options: Sequence[tuple[str, str]], span: str) -> tuple[set[int], str]:
    """The options whose texts stand in `span`, and what is left of it; of texts inside one another the longest."""
    found: set[int] = set()
    spellings = [(spelling, index) for index, (_, text) in enumerate(options) for spelling in _spellings(text)]
    for spelling, index in sorted(spellings, key=lambda pair: -len(pair[0])):
        words = r"\s+".join(map(re.escape, spelling.split()))
        pattern = rf"(?<![\w/.,-]){words}(?![\w/]|[.,-]\w)"
        rest = re.sub(pattern, " | ", span, flags=re.IGNORECASE)
        if rest != span or any(_plain(options[other][1]) == _plain(spelling) for other in found):
            found.add(index)
        span = rest
    return found, span


def _spellings(text: str) -> list[str]:
    """The texts that name an option, besides its label. One letter is not searched for: it would be a label."""
    plain = _plain(text)
    same = [name for name, other in _SAME.items() if other == plain]
    return [spelling for spelling in (plain, *same) if len(spelling) > 1 or spelling.isdigit()]


def _named_by_label(options: Sequence[tuple[str, str]], span: str) -> set[int]:
    found: set[int] = set()
    for index, (label, _) in enumerate(options):
        name = re.escape(label)
        if len(label) == 1 and label.isalpha():
            word = _A_WORD if label in "AI" else ""
            forms = (rf"(?i:[(\[]{name}[)\]]|(?<!\w){name}\))", rf"(?<![\w'’]){name}(?!\w){word}", _LISTED.format(name))  # noqa: RUF001
        else:
            forms = (rf"(?i:(?<!\w){name}(?!\w))",)
        if any(re.search(form, span) for form in forms):
            found.add(index)
    return found
