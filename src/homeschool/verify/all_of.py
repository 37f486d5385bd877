"""`all_of`: several checks of one answer, cheap ones first; the answer must pass them all.

`all_of(length(most=400), math, judge(votes=3))` runs its parts in the order given. An answer that one part fails is
failed there, and no later part sees it: what a dear part (a sandbox, a judge) is asked is only what the cheap ones
left. A part gets all the answers that are left at once, so a part that compares answers (`consistency`,
`judge(pairs=true)`) compares those. `Abstain` and `Broken` do not end it, because a later Fail is still a Fail: any
Fail wins, then Broken, then Abstain, else Pass. Scores are merged by name, a later part's over an earlier one's.

Refused: no parts at all. Known limit: an answer that fails early has no scores of the parts it never reached.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from homeschool.core.errors import UsageError
from homeschool.core.protocols import Context, Verifier
from homeschool.core.records import Row
from homeschool.core.verdict import Broken, Fail, Verdict
from homeschool.core.verdict import all_of as joined

SPEC = "all_of(exact, math)"
"""What GOLD and CORRUPTED below are for: the bare name has no parts."""
GOLD: list[tuple[dict[str, Any], str]] = [
    ({"answer": "72"}, "48 + 24 = 72\n#### 72"),
    ({"answer": 72}, "The answer is 72"),
    ({"answer": ["7", "seven"]}, "Answer: 7"),
]
CORRUPTED: list[tuple[dict[str, Any], str]] = [
    ({"answer": "72"}, "#### 27"),
    ({"answer": "72"}, "48 + 24 = 72\n#### 72.0"),
    ({"answer": "72"}, ""),
]


@dataclass(frozen=True, slots=True)
class AllOf:
    parts: tuple[Verifier, ...]

    @property
    def name(self) -> str:
        return f"all_of@1({', '.join(part.name for part in self.parts)})"

    @property
    def grouped(self) -> bool:
        return any(getattr(part, "grouped", False) for part in self.parts)

    async def __call__(self, row: Row, answers: Sequence[str], ctx: Context | None = None) -> list[Verdict]:
        said: list[list[Verdict]] = [[] for _ in answers]
        for part in self.parts:
            left = [place for place, verdicts in enumerate(said) if not (verdicts and isinstance(verdicts[-1], Fail))]
            for place, verdict in zip(
                left, await verdicts_of(part, row, [answers[at] for at in left], ctx), strict=True
            ):
                said[place].append(verdict)
        return [joined(verdicts) for verdicts in said]


def verifier(*parts: Verifier) -> AllOf:
    """The verifier `all_of` of `parts`, in this order. Raises UsageError for none."""
    if not parts:
        raise UsageError("all_of needs verifiers", hint="write for example `all_of(length(most=400), math)`")
    return AllOf(parts)


async def verdicts_of(part: Verifier, row: Row, answers: Sequence[str], ctx: Context | None) -> list[Verdict]:
    """One verdict of `part` per answer, in order; it is not called for none. Another number of verdicts is Broken."""
    verdicts = list(await part(row, answers, ctx)) if answers else []
    if len(verdicts) == len(answers):
        return verdicts
    counted = f"{len(verdicts)} verdicts for {len(answers)} answers"
    return [Broken(reason="wrong number of verdicts", evidence=counted, verifier=part.name) for _ in answers]
