"""`math`: the final answer has the value of the gold answer.

Which span of an answer is judged: see `answers.final_answer` (`#### 42`, `\\boxed{42}`, "The answer is 42", else the
last formula or number). Plain numbers are compared here, as exact fractions. Everything else (LaTeX, sets, intervals,
matrices, equations) goes to math-verify in a worker process that can be killed, so an answer can neither hang nor fill
the memory, and calls may come from any thread and any event loop.

Needs column `answer`: text (`72`, `1,000`, `$5`, `\\frac{1}{2}`, or a whole solution that ends in `#### 72` or holds
`\\boxed{72}`), a number, or a list of accepted ones. Known leniencies, on purpose: units are not compared; 20% is 0.2
and also 20; math-verify takes (1,2) for the set {1,2} and reads "a = b" as b.

Verdicts: Pass; Fail with `wrong answer`, `no answer found`, `timeout`, `too much memory` or `crashed the checker`;
Broken with `no gold answer`, `gold cannot be parsed` or `math worker did not start`.

Measured: every gold solution of GSM8K (7473 train, 660 test) and MATH-500 (250, most by equal text) passes against its
own answer and fails against its neighbour's, unless the two are equal; all of 2640 solutions by OpenAI's models to
GSM8K problems get the verdict of their published label. None of the GSM8K pairs and 2 in 5 of the mismatched MATH pairs
need a worker; an answer costs about 6 ms there and 0.01 ms here. Of GSM8K solutions without their `####` line 97% pass:
the last number of a text is not always its answer.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from homeschool.core.protocols import Context
from homeschool.core.records import Row
from homeschool.core.verdict import Broken, Fail, Pass, Verdict
from homeschool.verify.answers import final_answer, gold_answers, gold_span, number, same_number, shown, wordy
from homeschool.verify.math_pool import shared_pool

LONGEST = 1000
"""A final answer of more characters is not read: it is no answer a person would accept, and parsing it is slow."""

GOLD: list[tuple[dict[str, Any], str]] = [
    ({"answer": "48/2 = <<48/2=24>>24\n#### 72"}, "She sold 48+24 = <<48+24=72>>72 clips.\n#### 72"),
    ({"answer": "1,000"}, "The answer is 1000."),
    ({"answer": "$5"}, "So it costs \\$5.00"),
    ({"answer": 0.5}, "\\boxed{\\frac{1}{2}}"),
    ({"answer": "\\frac{1}{3}"}, "The answer is $\\frac{2}{6}$."),
    ({"answer": "20%"}, "Answer: 0.2"),
    ({"answer": "(3, \\frac{\\pi}{2})"}, "so we get $\\boxed{\\left(3, \\frac{\\pi}{2}\\right)}$."),
    ({"answer": "3\\sqrt{13}"}, "The length is $\\sqrt{117}$"),
    ({"answer": "\\text{Evelyn}"}, "The answer is Evelyn."),
    ({"answer": "-2,1"}, "\\boxed{1, -2}"),
    ({"answer": ["7", "seven"]}, "The answer is 7"),
]
CORRUPTED: list[tuple[dict[str, Any], str]] = [
    ({"answer": "48/2 = <<48/2=24>>24\n#### 72"}, "48+24 = <<48+24=72>>72 clips.\n#### 24"),
    ({"answer": "1,000"}, "The answer is 1."),
    ({"answer": "0.0000672"}, "The answer is 0.0000671"),
    ({"answer": "9"}, "The answer is 9**2"),
    ({"answer": "\\frac{1}{3}"}, "The answer is $\\frac{1}{4}$."),
    ({"answer": "42"}, "The answer is 41 or 42 or 43."),
    ({"answer": "42"}, "\\boxed{41, 42}"),
    ({"answer": "(1, 2)"}, "\\boxed{(2, 1)}"),
    ({"answer": "[0, 1)"}, "\\boxed{[0, 1]}"),
    ({"answer": "\\text{even}"}, "The answer is odd."),
    ({"answer": "42"}, ""),
    ({"answer": "42"}, "I do not know."),
]

_FAILS = {
    "unequal": "wrong answer",
    "no answer": "no answer found",
    "timeout": "timeout",
    "memory": "too much memory",
    "crashed": "crashed the checker",
}
_SYMBOLS = str.maketrans(
    {
        "−": "-",  # noqa: RUF001
        "×": "\\times ",  # noqa: RUF001
        "·": "\\cdot ",
        "÷": "/",
        "π": "\\pi ",
        "∞": "\\infty ",
        "°": "^\\circ ",
        "²": "^2",
        "³": "^3",
        "≤": "\\le ",
        "≥": "\\ge ",
        "±": "\\pm ",
        "~": " ",
    }
)
_BRACES = str.maketrans("", "", "{}() ")
_SPACE_COMMAND = re.compile(r"\\(?:hspace\*?\{[^{}]*\}|qquad|quad|[ ;:])")
_ROOT = re.compile(r"(?:√|(?<![\\A-Za-z])sqrt)\s?(?:\(([^()]*)\)|(\d+|[A-Za-z]))")
_POWER = re.compile(r"(?:\*\*)\s?(?:\(([^()]*)\)|(-?[\w.]+))")
_JOINED = re.compile(r"\s+(?:and|or)\s+|\s*\\text\{\s*(?:and|or)\s*\}\s*")
_IN_BASE = re.compile(r"\(?(\w+)\)?_\{?(\d+)\}?")
_TEXT = re.compile(r"\\(?:text|textbf|mathrm|mbox)\{([^{}]*)\}")
# The parser stops without a word where its grammar ends, and would take `42 & 43` for 42.
_UNREADABLE = re.compile(r"[`&\"@#?]|\.\.|\\\\(?!\[)")


@dataclass(frozen=True, slots=True)
class Math:
    """`workers` processes, `seconds` of wall-clock time for each answer, `memory_mb` of address space each."""

    workers: int = 2
    seconds: float = 5.0
    memory_mb: int = 1024
    name: str = "math@1"

    async def __call__(self, row: Row, answers: Sequence[str], ctx: Context | None = None) -> list[Verdict]:
        golds = [gold_span(gold) for gold in gold_answers(row.columns)]
        spans = [final_answer(answer) for answer in answers]
        # Samples of one problem mostly agree: each different span is judged once.
        different = list(dict.fromkeys(spans))
        verdicts = await asyncio.gather(*(self._judge(golds, span) for span in different))
        judged = dict(zip(different, verdicts, strict=True))
        return [judged[span] for span in spans]

    async def _judge(self, golds: list[str], span: str | None) -> Verdict:
        if not golds:
            return Broken(reason="no gold answer", evidence="column `answer` is missing or empty", verifier=self.name)
        if span is None or len(span) > LONGEST:
            return self._fail("no answer", golds, span or "")
        word = compare_here(golds, span)
        if word == "unsure":
            parsable = [readable(gold) for gold in golds if len(gold) <= LONGEST]
            pool = shared_pool(os.getpid(), self.workers, self.seconds, self.memory_mb)
            word = await asyncio.wrap_future(pool.submit([g for g in parsable if g], readable(span)))
        if word == "equal":
            return Pass({"correct": 1.0}, verifier=self.name)
        if word == "no worker":
            return Broken(reason="math worker did not start", evidence="is math-verify installed?", verifier=self.name)
        if "gold" in word:
            evidence = f"{shown(' or '.join(golds))!r} ({word})"
            return Broken(reason="gold cannot be parsed", evidence=evidence, verifier=self.name)
        return self._fail(word, golds, span)

    def _fail(self, word: str, golds: list[str], span: str) -> Fail:
        evidence = f"got {shown(span)!r}, want {shown(' or '.join(golds))!r}" if span else ""
        return Fail({"correct": 0.0}, _FAILS[word], evidence, self.name)


def verifier(*, workers: int = 2, seconds: float = 5.0, memory_mb: int = 1024) -> Math:
    """The verifier `math`. Verifiers of equal settings share their worker processes."""
    return Math(workers, seconds, memory_mb)


def compare_here(golds: Sequence[str], span: str) -> str:
    """equal, unequal or no answer where that can be told without a parser, else unsure.

    The same text is equal; two plain numbers are compared by value; names are compared as texts.
    """
    if any(_name(gold) == _name(span) for gold in golds):
        return "equal"
    got = number(span) or number(span.rpartition("=")[2])
    wanted = [number(gold) for gold in golds]
    if got is not None and any(want is not None and same_number(want, got) for want in wanted):
        return "equal"
    if all(_is_name(gold) for gold in golds) or (got is not None and None not in wanted):
        return "unequal"
    if _IN_BASE.fullmatch(span) and all(_IN_BASE.fullmatch(gold) for gold in golds):
        # math-verify drops the subscript, and would take 52_9 for 52_8.
        base = span.translate(_BRACES)
        return "equal" if base in [gold.translate(_BRACES) for gold in golds] else "unequal"
    return "no answer" if wordy(_TEXT.sub("", span)) else "unsure"


def readable(span: str) -> str:
    """`span` as LaTeX that math-verify reads to its end; empty if it would not."""
    span = _ROOT.sub(lambda m: f"\\sqrt{{{m[1] or m[2]}}}", span)
    span = _POWER.sub(lambda m: f"^{{{m[1] or m[2]}}}", span).replace("*", "\\cdot ")
    span = span.translate(_SYMBOLS).encode("ascii", "replace").decode("ascii")
    span = _JOINED.sub(", ", _SPACE_COMMAND.sub(" ", span)).strip()
    inside = re.sub(r"\\begin\{(\w+)\}.*?\\end\{\1\}", "", span, flags=re.DOTALL)
    return "" if _UNREADABLE.search(inside) else span


def _name(span: str) -> str:
    """A name in the spelling that is compared: no \\text{}, white space, case or final stop."""
    bare = _TEXT.fullmatch(span.strip())
    return " ".join((bare[1] if bare else span).split()).casefold().removesuffix(".")


def _is_name(span: str) -> bool:
    name = _name(span)
    return wordy(name) and not re.search(r"[\d\\]", name)
