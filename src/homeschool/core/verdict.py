"""What a verifier may say: Pass, Fail, Abstain or Broken, and nothing in between.

A float cannot tell a wrong answer from a broken sandbox, and a bool cannot tell "no opinion" from "no"; rewards
that hid behind either have paid models for answers nobody could parse. So a verdict is a closed sum:

- `Pass`: the answer is right. Only these are learnt from.
- `Fail`: the answer is at fault: wrong, unparsable, timed out, crashed, too large. `reason` says which.
- `Abstain`: no opinion (a weak majority, say).
- `Broken`: the verifier, the sandbox, the gold or the judge is at fault. Reported apart, never averaged in.

`scores` is a reward *vector* by name; turning it into a number is a separate, named function.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from homeschool.core.errors import HomeschoolError


@dataclass(frozen=True, slots=True)
class _Verdict:
    scores: Mapping[str, float] = field(default_factory=dict[str, float])
    reason: str = ""
    """One short phrase, stable enough to count: `wrong answer`, `no answer found`, `timeout`."""
    evidence: str = ""
    """What the verifier saw: the parsed answer, the failing test, the exception."""
    verifier: str = ""
    """Name and version of who said so, as `math@1`."""

    @property
    def status(self) -> str:
        return type(self).__name__.lower()

    def __bool__(self) -> NoReturn:
        raise TypeError("a verdict is not true or false: compare `verdict.status` or use `isinstance(verdict, Pass)`")

    def to_dict(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "scores": dict(self.scores),
            "reason": self.reason,
            "evidence": self.evidence,
            "verifier": self.verifier,
        }


class Pass(_Verdict):
    __slots__ = ()


class Fail(_Verdict):
    __slots__ = ()


class Abstain(_Verdict):
    __slots__ = ()


class Broken(_Verdict):
    __slots__ = ()


Verdict = Pass | Fail | Abstain | Broken
STATUSES: dict[str, type[Pass] | type[Fail] | type[Abstain] | type[Broken]] = {
    "pass": Pass,
    "fail": Fail,
    "abstain": Abstain,
    "broken": Broken,
}


def verdict_from_dict(record: Mapping[str, Any]) -> Verdict:
    """The inverse of `to_dict`. Raises HomeschoolError on an unknown status."""
    status = record.get("status")
    if status not in STATUSES:
        raise HomeschoolError(f"unknown verdict status {status!r}", hint=f"use one of {', '.join(STATUSES)}")
    return STATUSES[status](
        scores=dict(record.get("scores") or {}),
        reason=record.get("reason") or "",
        evidence=record.get("evidence") or "",
        verifier=record.get("verifier") or "",
    )


def all_of(verdicts: Sequence[Verdict]) -> Verdict:
    """One verdict for several checks of one answer: any Fail wins, then Broken, then Abstain, else Pass.

    Scores are merged by name (a later check of the same name wins). Raises ValueError for no verdicts at all.
    """
    if not verdicts:
        raise ValueError("all_of needs at least one verdict")
    scores = {name: value for verdict in verdicts for name, value in verdict.scores.items()}
    for kind in (Fail, Broken, Abstain):
        for verdict in verdicts:
            if isinstance(verdict, kind):
                return kind(scores, verdict.reason, verdict.evidence, verdict.verifier)
    return Pass(scores, verifier="+".join(verdict.verifier for verdict in verdicts if verdict.verifier))
