"""A reward is a vector; here are the named functions that make a number of it, and nothing else does.

Of one answer's scores (a mapping of name to number), by `shape("NAME(option=value)")`:

    weighted_sum(weights={"correct": 1, "short": 0.2})    what is bad can be bought with what is good
    log_and(centre=0.5, scale=0.1)                        all must be good: one very bad score cannot be bought
    min                                                   the worst score, and nothing else
    concave(centre=0.5, bend=4)                           what is below the centre costs more than the same above gains
    cvar(alpha=0.25)                                      the mean of the worst quarter of the scores
    constrained(objective="correct", least={"short": 0.9}, multipliers={"short": 2})   an objective under constraints

Of a group's rewards: `centred`, `standardised`, `cvar`. `Dual` raises or lowers the multipliers of `constrained` until
the constraints hold. `rewards` goes from verdicts to numbers: `Pass` and `Fail` have one, `Abstain` and `Broken` have
None, which is not zero: nobody may learn from what nobody judged.

All are pure. A name that a Pass has no score for is an error and not a zero, since a typing mistake in a weight would
otherwise make every reward the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from homeschool.core.errors import UsageError, nearest, unknown
from homeschool.core.verdict import Fail, Pass, Verdict
from homeschool.verify.spec import Spec, checked, parse

Scores = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Shape:
    """A function of one answer's scores, and the names of the scores that it cannot do without."""

    name: str
    function: Callable[[Scores], float]
    needs: tuple[str, ...] = ()

    def __call__(self, scores: Scores) -> float:
        return self.function(scores)


def shape(text: str) -> Shape:
    """The shape that a spec such as `log_and(centre=0.5)` names. Raises UsageError, naming the nearest."""
    spec: Spec = parse(text, kind="shape")
    if spec.name not in _SHAPES:
        raise unknown("shape", spec.name, _SHAPES)
    if spec.parts:
        raise UsageError(f"{spec.name} takes options by name only", hint=f"write `{spec.name}(option=value)`")
    options = checked(spec, _SHAPES[spec.name])
    needed = [*(options.get("weights") or ()), *(options.get("least") or ())]
    needed += [options["objective"]] if "objective" in options else []
    return Shape(text, partial(_SHAPES[spec.name], **options), tuple(needed))


def rewards(verdicts: Sequence[Verdict], shape: Shape) -> list[float | None]:
    """The reward of each answer of a group; None for Abstain and Broken, and where a score is no finite number.

    Scores that a Fail lacks are 0: a check that ended `all_of` early kept the later ones from giving theirs. A verdict
    without any score has `correct`, 1 for Pass and 0 for Fail. Raises UsageError if a Pass lacks one that is needed.
    """
    names = [*shape.needs, *(name for verdict in verdicts for name in verdict.scores)]
    found: list[float | None] = []
    for verdict in verdicts:
        if not isinstance(verdict, (Pass, Fail)):
            found.append(None)
            continue
        scores: Scores = verdict.scores or {"correct": float(isinstance(verdict, Pass))}
        if isinstance(verdict, Fail):
            scores = dict.fromkeys(names, 0.0) | dict(scores)
        finite = all(math.isfinite(value) for value in scores.values())
        found.append(shape(scores) if finite else None)
    return found


def weighted_sum(scores: Scores, *, weights: Mapping[str, float] | None = None) -> float:
    """sum_k w_k s_k over the names in `weights`; over all scores, each with weight 1, if there are none."""
    if weights is None:
        return math.fsum(scores.values())
    return math.fsum(weight * _score(scores, name) for name, weight in weights.items())


def log_and(scores: Scores, *, centre: float = 0.5, scale: float = 0.1) -> float:
    """sum_k log sigmoid((s_k - centre) / scale): a soft AND, at most 0 (arXiv:2402.00742, Wang et al. 2024).

    Far above the centre a score adds nearly nothing however good it is, far below it costs in proportion. So a score
    that is d below the centre costs d/scale, and all the others together can win back at most log 2 each.
    """
    _above_zero("scale", scale)
    return math.fsum(_log_sigmoid((score - centre) / scale) for score in scores.values())


def minimum(scores: Scores) -> float:
    """min_k s_k."""
    return min(_some(scores))


def concave(scores: Scores, *, centre: float = 0.5, bend: float = 4.0) -> float:
    """sum_k (1 - exp(-bend (s_k - centre))) / bend: exponential utility (Pratt 1964), of slope 1 at the centre.

    At equal distance from the centre the bad score costs more than the good one gains, the more so the larger `bend`.
    A single score gains at most 1 / bend, however good it is.
    """
    _above_zero("bend", bend)
    return math.fsum(-math.expm1(-bend * (score - centre)) / bend for score in scores.values())


def constrained(
    scores: Scores,
    *,
    objective: str = "correct",
    least: Mapping[str, float] | None = None,
    multipliers: Mapping[str, float] | None = None,
) -> float:
    """s_objective + sum_k m_k (s_k - least_k): the Lagrangian of "maximise s_objective while the mean of each s_k is
    at least least_k" (arXiv:1805.11074, Tessler et al. 2018). `Dual` finds the multipliers m_k; without one it is 0.
    """
    known = multipliers or {}
    terms = (known.get(name, 0.0) * (_score(scores, name) - bound) for name, bound in (least or {}).items())
    return _score(scores, objective) + math.fsum(terms)


def worst_mean(scores: Scores, *, alpha: float = 0.25) -> float:
    """`cvar` over one answer's scores: between their minimum (alpha near 0) and their mean (alpha 1)."""
    return cvar(_some(scores), alpha=alpha)


@dataclass(frozen=True, slots=True)
class Dual:
    """Multipliers of `constrained`, moved by dual ascent; one for each name in `least`, 0 at first."""

    least: Mapping[str, float]
    rate: float = 0.1
    most: float = 100.0
    """No multiplier exceeds it: a constraint that nobody can meet must not drown the objective for ever."""
    multipliers: Mapping[str, float] = field(default_factory=dict[str, float])

    def shape(self, objective: str) -> Shape:
        """`constrained` with the present multipliers."""
        options = {"objective": objective, "least": self.least, "multipliers": self.multipliers}
        return Shape(f"constrained(objective={objective!r})", partial(constrained, **options), (objective, *self.least))

    def updated(self, means: Scores) -> Dual:
        """After a step in which the constrained scores had these means: m_k <- clip(m_k + rate (least_k - mean_k)).

        Projected on [0, most]: a constraint that holds with room to spare comes to weigh nothing.
        """
        moved = {
            name: min(self.most, max(0.0, self.multipliers.get(name, 0.0) + self.rate * (bound - _score(means, name))))
            for name, bound in self.least.items()
        }
        return replace(self, multipliers=moved)


def cvar(values: Sequence[float], *, alpha: float = 0.25) -> float:
    """The mean of the worst `alpha` share of `values` (conditional value at risk, Rockafellar and Uryasev 2000).

    The share is exact: of 10 values and alpha = 0.25 it is the two worst and half of the third.
    """
    if not 0 < alpha <= 1:
        raise UsageError(f"alpha={alpha} is no share of a group", hint="write for example alpha=0.25")
    if not values:
        raise UsageError("cvar of no values", hint="give it at least one")
    left = count = alpha * len(values)
    total = 0.0
    for value in sorted(values):
        taken = min(1.0, left)
        total += taken * value
        left -= taken
        if left <= 0:
            break
    return total / count


def centred(values: Sequence[float | None]) -> list[float | None]:
    """Each less the mean of the group; None stays None and counts nowhere. (REINFORCE's baseline, Williams 1992.)"""
    known = [value for value in values if value is not None]
    mean = math.fsum(known) / len(known) if known else 0.0
    return [None if value is None else value - mean for value in values]


def standardised(values: Sequence[float | None], *, least_spread: float = 1e-6) -> list[float | None]:
    """Each less the mean, in standard deviations of the group (GRPO's advantage, arXiv:2402.03300).

    All 0 where the deviation is below `least_spread`: a group that agrees teaches nothing, and rounding must not.
    """
    moved = centred(values)
    known = [value for value in moved if value is not None]
    spread = math.sqrt(math.fsum(value * value for value in known) / len(known)) if known else 0.0
    if spread < least_spread:
        return [None if value is None else 0.0 for value in moved]
    return [None if value is None else value / spread for value in moved]


_SHAPES: dict[str, Callable[..., float]] = {
    "weighted_sum": weighted_sum,
    "log_and": log_and,
    "min": minimum,
    "concave": concave,
    "constrained": constrained,
    "cvar": worst_mean,
}


def _score(scores: Scores, name: str) -> float:
    if name not in scores:
        raise UsageError(
            f"no verifier gives a score {name!r}", hint=nearest(name, scores) if scores else "it gives none"
        )
    return scores[name]


def _some(scores: Scores) -> list[float]:
    if not scores:
        raise UsageError("there are no scores to shape", hint="use a verifier that gives scores")
    return list(scores.values())


def _log_sigmoid(x: float) -> float:
    """log(1 / (1 + exp(-x))), without overflow on either side."""
    return -math.log1p(math.exp(-x)) if x >= 0 else x - math.log1p(math.exp(x))


def _above_zero(name: str, value: float) -> None:
    if not value > 0:
        raise UsageError(f"{name}={value} is not above 0", hint=f"write for example {name}=0.1")
