"""`math`: the final answer has the value of the gold answer.

Which span of an answer is judged: see `answers.final_answer` (`#### 42`, `\\boxed{42}`, "The answer is 42", else the
last formula or number). It is taken apart by `math_shape` (lists, sets, intervals, points, unions, matrices,
equations); plain numbers and names are compared here, as exact fractions and as texts; expressions go to sympy and
math-verify in a worker process that can be killed, so an answer can neither hang nor fill the memory, and calls may
come from any thread, event loop and process.

Needs column `answer`: text (`72`, `1,000`, `$5`, `\\frac{1}{2}`, or a whole solution that ends in `#### 72` or holds
`\\boxed{72}`), a number, or a list of accepted ones. Columns `prompt` and `question` are read only to know an echo.

Lenient on purpose: 20% is 0.2 and also 20 ("what percent"); units are compared only where both sides name a measure
(5 cm is not 5 m, 72 clips is 72); "a = b" is read as b; a decimal agrees with what it rounds to six digits; fractions
need not be reduced nor polynomials expanded. Refused on purpose: an expression still to be worked out where the gold
answer is a plain number (6*7, 2^3 and \\sqrt{4} are questions, not answers), several answers for one, {42} for 42, a
point or interval for a list, [0,1) for (0,1), x = x, digits and letters that are not ASCII, ambiguous writing (a/bc).

Verdicts: Pass; Fail with `wrong answer`, `several answers`, `not a plain number`, `no answer found`, `echo of the
question`, `timeout`, `too much memory` or `crashed the checker`; Broken with `no gold answer`, `gold cannot be parsed`
or `math worker did not start`.

Measured (`tools/math_forms.py`, tests/verify/test_math.py). GSM8K: all 2640 solutions by OpenAI's models get the
verdict of their published label (1008 right), so no label had to be called wrong. MATH-500 (the 250 even rows, 180
different answers): all 4954 other writings by 45 documented rewritings pass, all 4429 near misses of 27 kinds fail, and
of all 32400 pairs of answers the 188 that are equal pass. All gold answers of GSM8K (7473 train, 660 test), ASDiv,
SVAMP, MAWPS and AQuA pass against themselves and fail against two others of their set, unless equal. Of GSM8K solutions
without their `####` line 97% pass: the last number of a text is not always its answer. No GSM8K answer and 14% of the
MATH-500 gold answers need a worker; one costs 2 ms there, 0.1 ms here.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from homeschool.core.protocols import Context
from homeschool.core.records import Row
from homeschool.core.verdict import Broken, Fail, Pass, Verdict
from homeschool.verify.answers import final_answer, gold_answers, gold_span, shown, without_echo
from homeschool.verify.math_pool import shared_pool
from homeschool.verify.math_shape import Shape, agree, leaves, read
from homeschool.verify.math_text import UnreadableError
from homeschool.verify.numbers import number

LONGEST = 1000
"""A final answer of more characters is not read: it is no answer a person would accept, and parsing it is slow."""

GOLD: list[tuple[dict[str, Any], str]] = [
    ({"answer": "48/2 = <<48/2=24>>24\n#### 72"}, "She sold 48+24 = <<48+24=72>>72 clips.\n#### 72"),
    ({"answer": "1,000"}, "The answer is 1000."),
    ({"answer": "$5"}, "So it costs \\$5.00"),
    ({"answer": 0.5}, "\\boxed{\\frac{1}{2}}"),
    ({"answer": "\\frac{1}{3}"}, "The answer is $\\frac{2}{6}$."),
    ({"answer": "20%"}, "Answer: 0.2"),
    ({"answer": "90^\\circ"}, "\\boxed{90\\text{ degrees}}"),
    ({"answer": "(3, \\frac{\\pi}{2})"}, "so we get $\\boxed{\\left(3, \\frac{\\pi}{2}\\right)}$."),
    ({"answer": "3\\sqrt{13}"}, "The length is $\\sqrt{117}$"),
    ({"answer": "(5, \\infty)"}, "\\boxed{x > 5}"),
    ({"answer": "(0,9) \\cup (9,36)"}, "\\boxed{(9,36)\\cup(0,9)}"),
    ({"answer": "1 \\pm \\sqrt{2}"}, "\\boxed{1-\\sqrt2, 1+\\sqrt2}"),
    ({"answer": "y = 2x + 3"}, "\\boxed{y=3+2*x}"),
    ({"answer": "(a+5)(b+2)"}, "\\boxed{ab+2a+5b+10}"),
    ({"answer": "\\begin{pmatrix} 1/5 \\\\ 2 \\end{pmatrix}"}, "\\boxed{\\begin{bmatrix}0.2\\\\2\\end{bmatrix}}"),
    ({"answer": "4343_6"}, "\\boxed{4343_{6}}"),
    ({"answer": "\\text{Evelyn}"}, "The answer is Evelyn."),
    ({"answer": "\\text{(B)}"}, "The answer is (B)."),
    ({"answer": "-2,1"}, "\\boxed{1, -2}"),
    ({"answer": "-2,1"}, "So $x = \\boxed{1}$ or $\\boxed{-2}$."),
    ({"answer": ["7", "seven"]}, "The answer is 7"),
]
CORRUPTED: list[tuple[dict[str, Any], str]] = [
    ({"answer": "48/2 = <<48/2=24>>24\n#### 72"}, "48+24 = <<48+24=72>>72 clips.\n#### 24"),
    ({"answer": "1,000"}, "The answer is 1."),
    ({"answer": "0.0000672"}, "The answer is 0.0000671"),
    ({"answer": "9"}, "The answer is 9**2"),
    ({"answer": "42"}, "\\boxed{6*7}"),
    ({"answer": "2"}, "\\boxed{2x}"),
    ({"answer": "\\frac{1}{3}"}, "The answer is $\\frac{1}{4}$."),
    ({"answer": "\\frac{1}{3}"}, "The answer is 0.33."),
    ({"answer": "5 cm"}, "\\boxed{5\\text{ km}}"),
    ({"answer": "42"}, "The answer is 41 or 42 or 43."),
    ({"answer": "42"}, "The answer is either 42 or 43."),
    ({"answer": "42"}, "\\boxed{41, 42}"),
    ({"answer": "42"}, "\\boxed{42} or \\boxed{43}"),
    ({"answer": "42"}, "\\boxed{x \\ge 42}"),
    ({"answer": "42"}, "\\boxed{\\{42\\}}"),
    ({"answer": "42"}, "\\boxed{43 = 42}"),
    ({"answer": "(1, 2)"}, "\\boxed{(2, 1)}"),
    ({"answer": "(1, 2)"}, "\\boxed{1, 2}"),
    ({"answer": "[0, 1)"}, "\\boxed{[0, 1]}"),
    ({"answer": "(5, \\infty)"}, "\\boxed{x \\ge 5}"),
    ({"answer": "8\\pi"}, "\\boxed{25.13}"),
    ({"answer": "4343_6"}, "\\boxed{4343_7}"),
    ({"answer": "x + 1"}, "\\boxed{x + 1 = x + 1}"),
    ({"answer": "\\text{even}"}, "The answer is odd."),
    ({"answer": "\\text{(B)}"}, "\\boxed{A, B}"),
    (
        {"answer": "42", "prompt": "What comes after 41 if I count on up to 42?"},
        "What comes after 41 if I count on up to 42?",
    ),
    ({"answer": "42"}, ""),
    ({"answer": "42"}, "I do not know."),
]

_FAILS = {
    "unequal": "wrong answer",
    "several": "several answers",
    "not a number": "not a plain number",
    "no answer": "no answer found",
    "echo": "echo of the question",
    "timeout": "timeout",
    "memory": "too much memory",
    "crashed": "crashed the checker",
}


@dataclass(frozen=True, slots=True)
class Math:
    """`workers` processes, `seconds` of wall-clock time for each answer, `memory_mb` of address space each."""

    workers: int = 2
    seconds: float = 5.0
    memory_mb: int = 1024
    name: str = "math@2"

    async def __call__(self, row: Row, answers: Sequence[str], ctx: Context | None = None) -> list[Verdict]:
        golds = [gold_span(gold) for gold in gold_answers(row.columns)]
        questions = [text for text in (row.get("prompt"), row.get("question")) if isinstance(text, str)]
        said = [without_echo(answer, questions) for answer in answers]
        words = all(number(gold) is None for gold in golds)
        spans = [None if text is None else final_answer(text, words=words) for text in said]
        # Samples of one problem mostly agree: each different span is judged once.
        different = list(dict.fromkeys(spans))
        verdicts = await asyncio.gather(*(self._judge(golds, span) for span in different))
        judged = dict(zip(different, verdicts, strict=True))
        echo = self._fail("echo", golds, "")
        return [
            echo if text is None and judged[span].status == "fail" else judged[span]
            for text, span in zip(said, spans, strict=True)
        ]

    async def _judge(self, golds: list[str], span: str | None) -> Verdict:
        if not any(golds):
            return Broken(reason="no gold answer", evidence="column `answer` is missing or empty", verifier=self.name)
        readable = span if span is not None and len(span) <= LONGEST else ""
        word = compare_here(golds, readable)
        if word == "unsure":
            pool = shared_pool(os.getpid(), self.workers, self.seconds, self.memory_mb)
            word = await asyncio.wrap_future(pool.submit([g for g in golds if len(g) <= LONGEST], readable))
        if word == "equal":
            return Pass({"correct": 1.0}, verifier=self.name)
        if word == "no worker":
            return Broken(reason="math worker did not start", evidence="is math-verify installed?", verifier=self.name)
        if "gold" in word:
            evidence = f"{shown(' or '.join(golds))!r} ({word})"
            return Broken(reason="gold cannot be parsed", evidence=evidence, verifier=self.name)
        return self._fail(word, golds, span or "")

    def _fail(self, word: str, golds: list[str], span: str) -> Fail:
        evidence = f"got {shown(span)!r}, want {shown(' or '.join(golds))!r}" if span else ""
        return Fail({"correct": 0.0}, _FAILS[word], evidence, self.name)


def verifier(*, workers: int = 2, seconds: float = 5.0, memory_mb: int = 1024) -> Math:
    """The verifier `math`. Verifiers of equal settings share their worker processes."""
    return Math(workers, seconds, memory_mb)


def compare_here(golds: Sequence[str], span: str) -> str:
    """One word on `span` (see `_FAILS`; and `no gold`) where it can be said without sympy, else `unsure`.

    It can where every gold answer is a number or a name, or a shape of numbers and names.
    """
    wanted = [shape for gold in golds if len(gold) <= LONGEST and (shape := _shape(gold)) is not None]
    if not wanted:
        return "no gold"
    plain = all(number(leaf) is not None for shape in wanted for leaf in leaves(shape))
    if not plain or any(shape.kind == "equation" for shape in wanted):
        return "unsure"
    given = _shape(span)
    if given is None:
        return "no answer"
    if any(agree(gold, given, _never) for gold in wanted):
        return "equal"
    if all(gold.kind == "leaf" for gold in wanted):
        if given.kind == "name":
            return "no answer"
        if given.kind in ("list", "set"):
            return "several"
        if number(_last(given).text) is None:
            return "not a number"
    return "unequal"


def _shape(span: str) -> Shape | None:
    try:
        return read(span)
    except UnreadableError:
        return None


def _never(gold: str, got: str) -> bool:
    """Gold leaves are numbers, so that no two expressions are ever compared here."""
    raise AssertionError((gold, got))


def _last(shape: Shape) -> Shape:
    return shape.parts[-1] if shape.kind == "equation" else shape
