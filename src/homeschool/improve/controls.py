"""The arms a verified run is compared with, at its own compute and on its own problems.

A control is the same loop with another verifier, nothing else: the problems of each round, the samples per problem,
the lessons per problem and the training tokens are the verified arm's. What it learns from is what differs:

- `unverified`: every finished answer, right or wrong. What self-training does without a verifier.
- `majority`: the answers that agree with the most common final answer of their group, if at least two do
  (self-consistency, Wang et al. 2022, arXiv:2203.11171, as a teacher: "LLMs can self-improve", arXiv:2210.11610).

Controls get no hints, since a hint is the right answer, and pass no gate: a model that gets worse goes on getting
worse, as it would without a verifier.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from homeschool.core.protocols import Context, Verifier
from homeschool.core.records import Row
from homeschool.core.verdict import Fail, Pass, Verdict
from homeschool.verify.answers import final_answer


class Unverified:
    name = "unverified@1"

    async def __call__(self, row: Row, answers: Sequence[str], ctx: Context | None = None) -> list[Verdict]:
        return [Pass(verifier=self.name) for _ in answers]


class Majority:
    name = "majority@1"

    async def __call__(self, row: Row, answers: Sequence[str], ctx: Context | None = None) -> list[Verdict]:
        finals = [_final(answer) for answer in answers]
        votes = Counter(finals)
        if not votes:
            return []
        most = max(votes.values())
        winner = min(final for final, count in votes.items() if count == most)  # a tie is decided by the text
        evidence = f"{most} of {len(finals)} say {winner!r}"
        if most < 2:
            return [Fail(reason="no majority", evidence=evidence, verifier=self.name) for _ in answers]
        return [
            Pass(evidence=evidence, verifier=self.name)
            if final == winner
            else Fail(reason="minority", evidence=evidence, verifier=self.name)
            for final in finals
        ]


CONTROLS: dict[str, Verifier] = {"unverified": Unverified(), "majority": Majority()}


def _final(answer: str) -> str:
    """What a group votes on: the answer's final result, else its last line."""
    found = final_answer(answer)
    if found is not None:
        return found
    lines = [line.strip() for line in answer.splitlines() if line.strip()]
    return lines[-1] if lines else ""
