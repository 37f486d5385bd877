"""Signs that a run has stopped learning, and the sentence that says so.

A run that looks fine while nothing happens is worse than one that stops: groups whose answers are all right or all
wrong carry no signal, a model that gives one answer however often it is asked explores nothing, and a verifier that
breaks judges nobody.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from homeschool.core.records import Dropped, Row
from homeschool.improve.settings import HealthConfig


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer and what became of it. `surprise` is minus its log-probability, in nats, over `tokens` tokens."""

    text: str
    status: str
    reason: str
    evidence: str
    surprise: float | None
    tokens: int

    @staticmethod
    def of(row: Row, dropped: Dropped | None) -> Sample:
        """Read from a row of `recipes.rejection_sampling`, or from one that was dropped."""
        verdict = row.verdicts[-1] if row.verdicts else None
        status = verdict.status if verdict is not None else "fail"
        reason = (verdict.reason if verdict is not None else "") or (dropped.reason if dropped else "")
        evidence = verdict.evidence if verdict is not None else ""
        return Sample(row.get("completion", ""), status, reason, evidence, row.get("surprise"), row.get("tokens", 0))


@dataclass(frozen=True, slots=True)
class Group:
    """All samples of one problem in one round."""

    level: int | None
    samples: tuple[Sample, ...]

    @property
    def rate(self) -> float:
        """Share of the samples that passed."""
        return sum(sample.status == "pass" for sample in self.samples) / max(1, len(self.samples))


@dataclass(frozen=True, slots=True)
class Vitals:
    """What one round says about the health of the run."""

    asked: int
    passed: int
    broken: int
    failed: dict[str, int]
    """Reasons of the verdicts that were not Pass, counted."""
    uniform: float
    """Share of groups that are all right or all wrong: they hold no contrast."""
    identical: float
    """Among groups not all right, the share whose samples are all one text."""
    tokens: int
    """Tokens of all samples together."""
    entropy: float | None
    """Mean surprise of the sampled tokens, in nats; None if the model tells no log-probabilities."""


def vitals(groups: Sequence[Group]) -> Vitals:
    samples = [sample for group in groups for sample in group.samples]
    statuses = Counter(sample.status for sample in samples)
    unsolved = [group for group in groups if group.rate < 1]
    told = [sample for sample in samples if sample.surprise is not None]
    tokens = sum(sample.tokens for sample in told)
    return Vitals(
        asked=len(samples),
        passed=statuses["pass"],
        broken=statuses["broken"],
        failed=dict(Counter(s.reason or s.status for s in samples if s.status != "pass").most_common()),
        uniform=sum(group.rate in (0.0, 1.0) for group in groups) / max(1, len(groups)),
        identical=sum(len({s.text for s in group.samples}) == 1 for group in unsolved) / max(1, len(unsolved)),
        tokens=sum(sample.tokens for sample in samples),
        entropy=math.fsum(sample.surprise or 0.0 for sample in told) / tokens if tokens else None,
    )


def untrustworthy(seen: Vitals, config: HealthConfig) -> str | None:
    """Why the verifier cannot be trusted, or None."""
    if seen.asked and seen.broken / seen.asked > config.broken:
        return f"the verifier broke on {seen.broken} of {seen.asked} answers (more than {config.broken:.0%})"
    return None


def stop(seen: Vitals, groups: Sequence[Group], config: HealthConfig, *, at_top: bool) -> str | None:
    """Why another round would teach nothing, or None. `at_top`: there are no harder problems to go on to."""
    if seen.passed == 0:
        return f"none of {seen.asked} samples passed, so there is nothing to learn from"
    if seen.entropy is not None and seen.entropy < config.entropy:
        return (
            f"the entropy of the samples fell to {seen.entropy:.2g} nats a token (below {config.entropy:g}): "
            "the model is sure of everything and explores nothing any more"
        )
    samples = max((len(group.samples) for group in groups), default=0)
    unsolved = sum(group.rate < 1 for group in groups)
    if unsolved == 0 and at_top:
        return f"all {seen.asked} samples passed, so there is nothing left to learn from this task"
    if samples > 1 and unsolved >= 10 and seen.identical > config.identical:
        return (
            f"the samples of {seen.identical:.0%} of the {unsolved} unsolved problems are {samples} copies of one "
            "text: the model explores nothing any more"
        )
    if samples > 1 and len(groups) >= 10 and seen.uniform == 1 and seen.passed < seen.asked:
        return f"each of {len(groups)} problems is solved by all {samples} samples or by none: no contrast is left"
    return None
