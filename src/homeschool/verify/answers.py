"""Where the final answer stands in a text. Shared by `exact` and `math`.

Models end their solutions in many ways; a verifier that read them all at once would pay for hedging ("5, or 6, or
7"). So every rule here commits to *one* span of the text, and one that is offered beside another ("either 41 or 42",
"\\boxed{41} or \\boxed{42}", "not 42") keeps its company, so that it is read as the several answers it is. Nothing
here runs a parser that can hang: each rule is a regular expression whose cost is bounded, on at most the last 8000
characters.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from homeschool.verify.numbers import DIGITS, LONGEST, SCALES, number

TAIL = 8_000
"""Characters read from the end of a text: a final answer stands at the end."""

_CALCULATOR = re.compile(r"<<[^<>\n]{0,200}>>")
_HASHES = re.compile(r"####[ \t]*([^\n]*)")
_ANSWER_IS = re.compile(
    r"\banswer\b[*_]{0,2}\s{0,3}(?:is|was|:|=)(?:[ \t]*:)?[*_]{0,2}"
    r"|^[ \t]*A:",
    re.IGNORECASE | re.MULTILINE,
)
_SENTENCE_END = re.compile(r"(?<!\bMrs)(?<!\bMr)(?<!\bDr)(?<!\bp\.m)(?<!\ba\.m)[.!](?=\s+[^a-z\s]|\s*$)")
_DISPLAY = re.compile(r"\$\$.{1,1000}?\$\$|\\\[.{1,1000}?\\\]", re.DOTALL)
_FORMULAS = re.compile(
    r"\$[^$\n]+\$(?:\s{0,3}(?:,|and|or|, and|, or)\s{0,3}\$[^$\n]+\$)*"
    r"|\\\([^\n]{1,1000}?\\\)"
)
_BOX = re.compile(r"\\f?box(?:ed)?\s?\{")
_BRACE = re.compile(r"[{}]")
_OR = r"(?:\\text\{\s*)?\b(?:or|and/or)\b\s*\}?"
_BETWEEN_BOXES = re.compile(rf"[\s$]*(?:[,;]|(?:,\s*)?(?:{_OR}|\\text\{{\s*and\s*\}}|\band\b)|\\q?quad)[\s$]*")
_OR_AFTER = re.compile(rf"[\s$.)]{{0,5}}{_OR}([^\n.;]{{0,60}})")
_BEFORE_OR = re.compile(r"([-\w./\\{}]{0,40}[\w}])[\s$,]{1,5}" + _OR + r"[\s$]{0,5}$")
_DISOWNED = re.compile(
    r"(?:\b(?:not|never|neither|nor|between|either)|n't)(?:\s+\w+){0,2}\s*[$\\(]*$"
    r"|\d[^\s,;]*\s+(?:\w+\s+){0,2}or\s+(?:\w+\s+){0,2}[$\\(]*$"
)
_OR_NUMBER = re.compile(r"\s+(?:\w+\s+){0,2}or\s+(?:\w+\s+){0,2}[$\\(]*\d")
_COMMAND = re.compile(r"\\(?:begin|end|operatorname)\{\w*\}|\\[A-Za-z]+")
_WORD = re.compile(r"[A-Za-z]{4,}|\b(?:it|is|are|was|the|so|we|he|she|of|to)\b", re.IGNORECASE)
_FUNCTIONS = frozenset({"sqrt", "frac", "infinity", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh"})

_ANY_NUMBER = re.compile(
    rf"(?<![\w.])-?[$€£]?(?:{DIGITS})(?:\s?/\s?[0-9]+)?%?(?:\s(?:{'|'.join(SCALES)})\b)?", re.IGNORECASE
)


def gold_answers(columns: Mapping[str, Any]) -> list[str]:
    """The accepted answers in column `answer` as texts; empty if there is none.

    A list holds several accepted answers. A whole float is written without its `.0` (a Parquet column of integers
    with a gap comes back as floats). What is neither text nor a finite number is no answer.
    """
    value = columns.get("answer")
    values = cast("list[Any]", value) if isinstance(value, (list, tuple)) else [value]
    texts = [
        str(int(v)) if isinstance(v, float) and v.is_integer() else str(v)
        for v in values
        if isinstance(v, (str, int)) or (isinstance(v, float) and math.isfinite(v))
    ]
    return [text for text in texts if text.strip()]


def without_echo(answer: str, questions: Sequence[str]) -> str | None:
    """`answer` without a question repeated at its start; None if it is nothing but (eight words or more of) one."""
    text = answer.strip()
    for question in (" ".join(question.split()) for question in questions if question.strip()):
        if len(text) <= 2 * len(question) + TAIL:
            words = " ".join(text.split())
            if words == question or (words in question and words.count(" ") >= 7):
                return None
        text = text.removeprefix(question).strip()
    return text


def after_hashes(text: str) -> str | None:
    """What follows the last `####` up to the end of its line (GSM8K's convention), or None."""
    _, mark, rest = text.rpartition("####")
    return rest.lstrip("#").strip().partition("\n")[0].strip() if mark else None


def shown(text: str, *, limit: int = 200) -> str:
    """`text` as evidence: at most `limit` characters, and nothing that cannot be written as UTF-8."""
    cut = text if len(text) <= limit else text[: limit - 3] + "..."
    return cut.encode("utf-8", "replace").decode("utf-8")


def final_answer(text: str, *, words: bool = False) -> str | None:
    """The one span of `text` that states its result, or None if there is none. In this order:

    1. the last of `#### X` and `\\boxed{X}` (a `####` line of prose is a Markdown heading and does not count);
    2. what follows the last "answer is", "Answer:" or a line's "A:", up to the end of the sentence;
    3. a `####` line after all, if it is the last line;
    4. the display formula at the end; the last line, if it is a formula or begins with `=`; else the last formula or
       number in the text.

    Of prose ("72 clips, because ...") the formula is taken, else what follows the last `=`, else the first number; if
    `words` may be the answer ("June 20") the prose itself is, and so is a text of one short line.
    """
    text = _CALCULATOR.sub("", text[-TAIL:])
    stated = _stated(text)
    if stated is not None:
        return stated
    markers = list(_ANSWER_IS.finditer(text))
    if markers:
        span = _narrow(_sentence(text[markers[-1].end() :]), words=words)
        if span:
            return span
    displays = list(_DISPLAY.finditer(text))
    if displays and not text[displays[-1].end() :].strip():
        return _bare(displays[-1].group())
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return None
    if lines[-1].startswith("####"):
        return lines[-1].lstrip("#").strip() or None
    last = lines[-1].lstrip("=").strip()
    if last and len(last) <= LONGEST and (lines[-1].startswith("=") or not wordy(last) or (words and len(lines) == 1)):
        return _narrow(last, words=words)
    spans = [*_FORMULAS.finditer(text), *_ANY_NUMBER.finditer(text)]
    found = max(spans, key=lambda span: (span.end(), -span.start()), default=None)
    return None if found is None or _hedged(text, found) else _bare(found.group())


def gold_span(text: str) -> str:
    """The answer in a gold text: as in `final_answer` if it holds `####`, `\\boxed` or "answer is", else all of it."""
    text = _CALCULATOR.sub("", text.strip())
    if "####" in text:
        return after_hashes(text) or ""
    stated = _stated(text, gold=True)
    if stated is not None:
        return stated
    markers = list(_ANSWER_IS.finditer(text))
    return _bare(text[markers[-1].end() :].strip() if markers else text)


def wordy(span: str) -> bool:
    """Whether `span` holds a word of four letters or more, or a short one of prose: then it is no formula."""
    return any(word.lower() not in _FUNCTIONS for word in _WORD.findall(_COMMAND.sub(" ", span)))


def _stated(text: str, *, gold: bool = False) -> str | None:
    """The last complete `#### X` or `\\boxed{X}`, whichever stands later."""
    boxed, position = _last_boxed(text, gold=gold)
    for match in reversed(list(_HASHES.finditer(text))):
        if match.start() < position:
            break
        line = match[1].strip("# \t")
        if line and (number(line) is not None or not wordy(line)):
            return _bare(line)
    return boxed


def _last_boxed(text: str, *, gold: bool) -> tuple[str | None, int]:
    """The content of the last `\\boxed{...}` whose braces close, and where it starts (-1 if there is none).

    With those before it that are joined to it by a comma, "and" or "or", and with what is offered beside it, unless
    the text is a gold one, which may say "5/4, or \\boxed{1.25}" and means it.
    """
    boxes = list(_boxes(text))
    if not boxes:
        return None, -1
    start, end, content = boxes[-1]
    after = text[end:]
    if percent := re.match(r"[\s$]{0,3}\\?%", after):
        content, after = content + "\\%", after[percent.end() :]
    for before_start, before_end, before in reversed(boxes[:-1]):
        if before_end > start or not _BETWEEN_BOXES.fullmatch(text[before_end:start]):
            break
        joint = " or " if re.search(_OR, text[before_end:start]) else ", "
        start, content = before_start, content if before == content else before + joint + content
    if not gold and (offered := _OR_AFTER.match(after)):
        content = f"{content} or {offered[1].strip()}"
    if not gold and (offered := _BEFORE_OR.search(text[max(0, start - 60) : start])):
        content = f"{offered[1]} or {content}"
    return content, start


def _boxes(text: str) -> Iterator[tuple[int, int, str]]:
    """Start, end and content of every box that closes, in the order of their starts."""
    starts = list(_BOX.finditer(text))
    closing, opened = dict[int, int](), list[int]()
    for brace in _BRACE.finditer(text) if starts else ():
        if brace[0] == "{":
            opened.append(brace.start())
        elif opened:
            closing[opened.pop()] = brace.start()
    for start in starts:
        if (end := closing.get(start.end() - 1)) is not None:
            yield start.start(), end + 1, text[start.end() : end].strip()


def _sentence(text: str) -> str:
    """The first sentence, line or display formula of `text`."""
    text = text.lstrip(" \t\n*_:")
    display = _DISPLAY.match(text)
    if display:
        return display.group()
    line = text.partition("\n")[0]
    end = _SENTENCE_END.search(line)
    return line[: end.start()] if end else line


def _narrow(span: str, *, words: bool) -> str | None:
    """The formula or number in a span that may be prose; all of the prose where `words` may be the answer."""
    span = span.strip()
    if not wordy(span) or number(span) is not None:
        return _bare(span) or None
    found = _DISPLAY.search(span) or _FORMULAS.search(span)
    if found is None and not words:
        last = span.rpartition("=")[2]
        found = _ANY_NUMBER.search(span, len(span) - len(last)) or _ANY_NUMBER.search(span)
    if found is None or _hedged(span, found):
        return _bare(span) or None
    return _bare(found.group())


def _hedged(text: str, found: re.Match[str]) -> bool:
    """Whether what was found is denied ("not 42") or one of two ("41 or 42")."""
    before = text[max(0, found.start() - 60) : found.start()]
    return bool(_DISOWNED.search(before) or _OR_NUMBER.match(text, found.end()))


def _bare(span: str) -> str:
    """`span` without what only marks it as a formula, bold or quoted ($...$, \\(...\\), **...**) and its final stop."""
    span = span.strip().strip('*_ \t\n`"').removesuffix(".").strip()
    for left, right in (("$$", "$$"), ("\\[", "\\]"), ("\\(", "\\)"), ("$", "$")):
        if span.startswith(left) and span.endswith(right) and len(span) > len(left) + len(right):
            span = span[len(left) : -len(right)].strip()
    return re.sub(r"(?<!\\)\$", "", span) if span.count("$") > 1 else span
