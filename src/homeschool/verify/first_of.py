"""`first_of`: the first verifier that has an opinion decides; cheap before dear, exact before judge.

`first_of(exact, judge(votes=3))` asks its parts in the order given, each only about the answers that no earlier one
decided. `Pass` and `Fail` decide. A later part never overrules a `Fail`: a judge over an exact check would be the wrong
way round.

After `Abstain` the next part is asked, and after `Broken` too. `Broken` says that a part cannot judge this row (no gold
answer, no sandbox), and a part that can is what stands behind it: a file in which only some rows have gold answers is
judged by `first_of(math, judge)`. It is not hidden: the deciding verdict tells of it in its evidence, and where nobody
decides the verdict is the first `Broken`, else the last `Abstain`.

Refused: no parts at all. Scores are those of the part that decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from homeschool.core.errors import UsageError
from homeschool.core.protocols import Context, Verifier
from homeschool.core.records import Row
from homeschool.core.verdict import Broken, Fail, Pass, Verdict
from homeschool.verify.all_of import verdicts_of
from homeschool.verify.answers import shown

SPEC = "first_of(exact, math)"
"""What GOLD and CORRUPTED below are for: the bare name has no parts."""
GOLD: list[tuple[dict[str, Any], str]] = [
    ({"answer": "72"}, "48 + 24 = 72\n#### 72"),
    ({"answer": ["yes", "true"]}, "TRUE"),
]
CORRUPTED: list[tuple[dict[str, Any], str]] = [
    ({"answer": "72"}, "#### 27"),
    ({"answer": "72"}, "48 + 24 = 72\n#### 72.0"),
    ({"answer": "72"}, ""),
]


@dataclass(frozen=True, slots=True)
class FirstOf:
    parts: tuple[Verifier, ...]

    @property
    def name(self) -> str:
        return f"first_of@1({', '.join(part.name for part in self.parts)})"

    @property
    def grouped(self) -> bool:
        return any(getattr(part, "grouped", False) for part in self.parts)

    async def __call__(self, row: Row, answers: Sequence[str], ctx: Context | None = None) -> list[Verdict]:
        said: list[list[Verdict]] = [[] for _ in answers]
        for part in self.parts:
            left = [place for place, verdicts in enumerate(said) if not (verdicts and _decides(verdicts[-1]))]
            found = await verdicts_of(part, row, [answers[place] for place in left], ctx)
            for place, verdict in zip(left, found, strict=True):
                said[place].append(verdict)
        return [_chosen(verdicts) for verdicts in said]


def verifier(*parts: Verifier) -> FirstOf:
    """The verifier `first_of` of `parts`, in this order. Raises UsageError for none."""
    if not parts:
        raise UsageError("first_of needs verifiers", hint="write for example `first_of(exact, judge)`")
    return FirstOf(parts)


def _decides(verdict: Verdict) -> bool:
    return isinstance(verdict, (Pass, Fail))


def _chosen(verdicts: Sequence[Verdict]) -> Verdict:
    broken = next((verdict for verdict in verdicts if isinstance(verdict, Broken)), None)
    last = verdicts[-1]
    if not _decides(last):
        return last if broken is None else broken
    if broken is None:
        return last
    told = f"{last.evidence}; {broken.verifier} was broken: {broken.reason}".removeprefix("; ")
    return replace(last, evidence=shown(told, limit=600))
