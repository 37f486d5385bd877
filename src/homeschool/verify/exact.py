"""`exact`: the final answer is the same text as the gold answer, up to white space and case.

What is compared: the text after the last `####` (to the end of its line) if there is one, else the last non-empty
line, without one leading `=`, `Answer:` or `The answer is`. Both sides are then stripped, runs of white space become
one space, and letters are case-folded. Nothing else is forgiven: `1,000` is not `1000`, `5.` is not `5`. Use `math`
where values and not spellings count.

Needs column `answer`: text, a number, or a list of accepted ones. A row without one, or with nothing after its
`####`, is `Broken`, never `Fail`.

Measured: all 8133 GSM8K gold solutions pass against their own answer and fail against their neighbour's, unless the
two are the same text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from homeschool.core.protocols import Context
from homeschool.core.records import Row
from homeschool.core.verdict import Broken, Fail, Pass, Verdict
from homeschool.verify.answers import after_hashes, gold_answers, shown

_LEAD = re.compile(r"(?:=|(?:the )?(?:final )?answer(?: is)?\s?:|the answer is)\s*", re.IGNORECASE)

GOLD: list[tuple[dict[str, Any], str]] = [
    ({"answer": "72"}, "48 + 24 = 72\n#### 72"),
    ({"answer": 72}, "= 72"),
    ({"answer": 72.0}, "The answer is 72"),
    ({"answer": "New York"}, "It is the largest city.\nAnswer:  new   york \n\n"),
    ({"answer": ["yes", "true"]}, "TRUE"),
    ({"answer": "(x+1)(x-1)"}, "x^2-1\n= (x+1)(x-1)"),
]
CORRUPTED: list[tuple[dict[str, Any], str]] = [
    ({"answer": "72"}, "48 + 24 = 72\n#### 27"),
    ({"answer": "72"}, "72 is wrong\n= 720"),
    ({"answer": "1000"}, "1,000"),
    ({"answer": ["yes", "true"]}, "no"),
    ({"answer": "72"}, "72 or 73"),
    ({"answer": "72"}, "#### 72\nno, rather\n#### 73"),
    ({"answer": "Paris"}, "Paris, Texas"),
    ({"answer": "72"}, ""),
    ({"answer": "72"}, "####"),
]


@dataclass(frozen=True, slots=True)
class Exact:
    name: str = "exact@2"

    async def __call__(self, row: Row, answers: Sequence[str], ctx: Context | None = None) -> list[Verdict]:
        golds = [text for gold in gold_answers(row.columns) if (text := gold_text(gold))]
        return [self._judge(golds, answer) for answer in answers]

    def _judge(self, golds: list[str], answer: str) -> Verdict:
        if not golds:
            return Broken(reason="no gold answer", evidence="column `answer` is missing or empty", verifier=self.name)
        got = final_text(answer)
        if not got:
            return Fail({"correct": 0.0}, "no answer found", verifier=self.name)
        if normalised(got) in {normalised(gold) for gold in golds}:
            return Pass({"correct": 1.0}, verifier=self.name)
        evidence = f"got {shown(got)!r}, want {shown(' or '.join(golds))!r}"
        return Fail({"correct": 0.0}, "wrong answer", evidence, self.name)


def verifier() -> Exact:
    """The verifier `exact`."""
    return Exact()


def final_text(answer: str) -> str:
    """The part of an answer that is compared; empty if there is none."""
    marked = after_hashes(answer)
    if marked is not None:
        return marked
    line = next((line for line in reversed(answer.splitlines()) if line.strip()), "").strip()
    lead = _LEAD.match(line)
    return line[lead.end() :].strip() if lead else line


def gold_text(gold: str) -> str:
    """The answer in a gold text, which may be a whole GSM8K solution."""
    marked = after_hashes(gold)
    return gold if marked is None else marked


def normalised(text: str) -> str:
    """`text` stripped, with single spaces, case-folded."""
    return " ".join(text.split()).casefold()
