"""`consistency`: an answer agrees with the majority of its group (self-consistency, arXiv:2203.11171).

The paper samples a problem several times and takes the most frequent final answer, as if it were the gold one. Here an
answer passes if its final answer (`answers.final_answer`: `#### 42`, `\\boxed{42}`, "The answer is 42", ...) is that of
the majority. Plain numbers are compared by value (`0.5` is `1/2`), everything else as text up to white space and case.

Verdicts: Pass and Fail (`not the majority`) if one final answer is more frequent than any other and its share of the
group is at least `least`; Abstain (`no majority`) for all if none is; Abstain (`group too small`) below `group`
answers. An answer without a final answer is always `Fail` (`no answer found`), and counts in the group: silence must
not make a majority of the others. Scores: `correct`, and `share`, the part of the group that gives the same final
answer.

Needs no gold column, but several answers to one row. Known limit: a majority is often wrong together; the paper gains
from it at decoding time (40 samples), learning from it rewards what the model believes already. Not measured here: it
needs a capable model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from homeschool.core.errors import UsageError
from homeschool.core.protocols import Context
from homeschool.core.records import Row
from homeschool.core.verdict import Abstain, Fail, Pass, Verdict
from homeschool.verify.answers import final_answer, number, shown

GROUPS: list[tuple[dict[str, Any], list[str], list[str]]] = [
    ({}, ["#### 42", "The answer is 42.", "\\boxed{41}"], ["pass", "pass", "fail"]),
    ({}, ["0.5", "\\boxed{1/2}", "So it is 2"], ["pass", "pass", "fail"]),
    ({}, ["Answer: Paris", "Answer: paris", "I do not know."], ["pass", "pass", "fail"]),
    ({}, ["#### 1", "#### 2", "#### 3", "#### 4"], ["abstain", "abstain", "abstain", "abstain"]),
    ({}, ["#### 1", "#### 1", "#### 2", "#### 2"], ["abstain", "abstain", "abstain", "abstain"]),
    ({}, ["#### 1", "#### 1"], ["abstain", "abstain"]),
    ({}, ["#### 1", "#### 1", "", "", ""], ["abstain", "abstain", "fail", "fail", "fail"]),
]
"""(columns, the answers of a group, the status of each): its GOLD and CORRUPTED, since one answer alone is no group."""


@dataclass(frozen=True, slots=True)
class Consistency:
    """`least`: the share of the group that a majority needs. `group`: fewer answers are no vote."""

    least: float = 0.5
    group: int = 3
    name: str = "consistency@1"
    grouped: bool = True

    async def __call__(self, row: Row, answers: Sequence[str], ctx: Context | None = None) -> list[Verdict]:
        finals = [final_answer(answer) for answer in answers]
        keys = [None if final is None else same_value(final) for final in finals]
        votes = Counter(key for key in keys if key is not None)
        most = votes.most_common(2)
        alone = len(most) == 1 or (len(most) == 2 and most[0][1] > most[1][1])
        why = ""
        if len(answers) < self.group:
            why = "group too small"
        elif not alone or most[0][1] / len(answers) < self.least:
            why = "no majority"
        winner = most[0][0] if most else None
        verdicts: list[Verdict] = []
        for final, key in zip(finals, keys, strict=True):
            if final is None or key is None:
                verdicts.append(Fail({"correct": 0.0, "share": 0.0}, "no answer found", verifier=self.name))
                continue
            share = votes[key] / len(answers)
            evidence = f"{votes[key]} of {len(answers)} say {shown(final, limit=100)!r}"
            if why:
                verdicts.append(Abstain({"share": share}, why, evidence, self.name))
            elif key == winner:
                verdicts.append(Pass({"correct": 1.0, "share": share}, "", evidence, self.name))
            else:
                verdicts.append(Fail({"correct": 0.0, "share": share}, "not the majority", evidence, self.name))
        return verdicts


def verifier(*, least: float = 0.5, group: int = 3) -> Consistency:
    """The verifier `consistency`. Raises UsageError for a share outside (0, 1] or a group of fewer than two."""
    if not 0 < least <= 1:
        raise UsageError(f"least={least} is no share of a group", hint="write for example `consistency(least=0.5)`")
    if group < 2:
        raise UsageError(f"a group of {group} has no majority", hint="write for example `consistency(group=3)`")
    return Consistency(least, group)


def same_value(final: str) -> Hashable:
    """What two final answers share if they are the same one: a number's value, else the text in one spelling."""
    value = number(final)
    if value is not None:
        return value.value / 100 if value.percent else value.value
    return " ".join(final.split()).casefold()
