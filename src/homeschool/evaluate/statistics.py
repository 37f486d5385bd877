"""Intervals, tests and power for exams: how sure we may be of an accuracy, and of a change in it.

Everything here is exact or a named, published approximation, in the standard library alone (the bootstrap borrows
numpy's random numbers), so that a number in a report can be recomputed by hand. Two sittings of one exam are always
compared *item by item*: the same problems were sat twice, and a test that forgets it needs several times as many of
them to see the same gain.

It refuses (ValueError) what has no meaning: more successes than trials, unequal lengths, a gain larger than the
share of items that changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from homeschool.core.errors import need

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Interval:
    """A difference (after minus before, in the units of what was compared) and its interval."""

    difference: float
    low: float
    high: float


def wilson(successes: int, n: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """The score interval of a proportion (Wilson 1927), in 0..1.

    Raises ValueError unless 0 <= successes <= n and n > 0.
    """
    if not 0 <= successes <= n or n == 0:
        raise ValueError(f"{successes} of {n} is not a proportion")
    z = _two_sided(confidence)
    share = successes / n
    centre = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # At 0 and n the limits are exactly 0 and 1; rounding must not say otherwise.
    low = 0.0 if successes == 0 else (centre - half) / scale
    high = 1.0 if successes == n else (centre + half) / scale
    return low, high


def pass_at_k(n: int, c: int, *, k: int) -> float:
    """The chance that `k` of `n` samples, `c` of them right, hold a right one: 1 - C(n-c, k) / C(n, k), in 0..1.

    The unbiased estimator of Chen et al. 2021 (arXiv 2107.03374, equation 1). Raises ValueError unless
    0 <= c <= n and 1 <= k <= n.
    """
    if not (0 <= c <= n and 1 <= k <= n):
        raise ValueError(f"pass@{k} cannot be read off {c} right of {n} samples")
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)


def mcnemar(only_a: int, only_b: int) -> float:
    """The exact two-sided p-value of McNemar's test: `only_a` items right in A alone, `only_b` in B alone.

    Under no change each such item is a fair coin. Items right in both, or in neither, say nothing.
    """
    if only_a < 0 or only_b < 0:
        raise ValueError(f"{only_a} and {only_b} are not two counts")
    n, fewer = only_a + only_b, min(only_a, only_b)
    tail, ways = 0, 1
    for k in range(fewer + 1):
        tail += ways
        ways = ways * (n - k) // (k + 1)
    return min(1.0, 2 * tail / 2**n)


def paired_interval(before: Sequence[bool], after: Sequence[bool], *, confidence: float = 0.95) -> Interval:
    """The score interval of a difference of paired proportions (Tango 1998, Statistics in Medicine 17:891), in -1..1.

    It holds every difference that the score test does not refuse, so it leaves out 0 exactly when McNemar's
    chi-squared is significant, and it stays sound near 0% and 100%, where the textbook interval has no width.
    """
    n = _paired(before, after)
    gained = sum(1 for old, new in zip(before, after, strict=True) if new and not old)
    lost = sum(1 for old, new in zip(before, after, strict=True) if old and not new)
    z = _two_sided(confidence)
    difference = (gained - lost) / n
    low = _crossing(lambda delta: _tango(gained, lost, n=n, delta=delta) <= z, low=-1.0, high=difference)
    high = _crossing(lambda delta: _tango(gained, lost, n=n, delta=delta) < -z, low=difference, high=1.0)
    return Interval(difference, low, high)


def paired_bootstrap(
    before: Sequence[float], after: Sequence[float], *, seed: int, resamples: int = 10_000, confidence: float = 0.95
) -> Interval:
    """The percentile interval of the mean difference when whole items are drawn again (Efron 1979).

    For scores that are not 0 or 1, such as pass@k; for those that are, `paired_interval` needs no draws.
    """
    n = _paired(before, after)
    need("numpy", extra="local", for_="a bootstrap interval")
    import numpy

    differences = [new - old for old, new in zip(before, after, strict=True)]
    # Items with the same difference are alike, so drawing how often each *value* comes up is the same draw, and cheap.
    values, counts = numpy.unique(numpy.asarray(differences, dtype=float), return_counts=True)
    drawn = numpy.random.default_rng(seed).multinomial(n, counts / n, size=resamples)
    edge = (1 - confidence) / 2
    low, high = numpy.quantile(drawn @ values / n, [edge, 1 - edge])
    return Interval(math.fsum(differences) / n, float(low), float(high))


def power(discordant_rate: float, gain: float, *, n: int, alpha: float = 0.05) -> float:
    """The chance that McNemar's test on `n` items sees a true `gain`, `discordant_rate` of the items having changed.

    Both in 0..1. The normal approximation of Connor 1987 (Biometrics 43:207); the exact test does a little worse.
    """
    _check_gain(discordant_rate, gain)
    spread = math.sqrt(discordant_rate - gain * gain)
    excess = abs(gain) * math.sqrt(n) - _two_sided(1 - alpha) * math.sqrt(discordant_rate)
    return _NORMAL.cdf(excess / spread) if spread else float(excess > 0)


def items_needed(discordant_rate: float, gain: float, *, power: float = 0.8, alpha: float = 0.05) -> int:
    """How many items an exam needs to see a true `gain` (0..1) with this power: the inverse of `power`."""
    _check_gain(discordant_rate, gain)
    seen = _two_sided(1 - alpha) * math.sqrt(discordant_rate)
    missed = _NORMAL.inv_cdf(power) * math.sqrt(discordant_rate - gain * gain)
    return math.ceil(((seen + missed) / gain) ** 2)


def _two_sided(confidence: float) -> float:
    """1.96 for 0.95."""
    return _NORMAL.inv_cdf((1 + confidence) / 2)


def _paired(before: Sequence[object], after: Sequence[object]) -> int:
    if len(before) != len(after) or not before:
        raise ValueError(f"{len(before)} scores before and {len(after)} after are not pairs")
    return len(before)


def _check_gain(discordant_rate: float, gain: float) -> None:
    if not 0 < abs(gain) <= discordant_rate <= 1:
        raise ValueError(f"a gain of {gain:g} cannot come from changes on {discordant_rate:g} of the items")


def _tango(gained: int, lost: int, *, n: int, delta: float) -> float:
    """Tango's score statistic for the hypothesis that the true difference is `delta`; falls as `delta` grows."""
    # The likeliest share of lost items, given delta, solves a x^2 + b x + c = 0.
    a = 2.0 * n
    b = (2 * n - gained + lost) * delta - gained - lost
    c = -lost * delta * (1 - delta)
    share_lost = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
    variance = n * (2 * share_lost + delta * (1 - delta))
    distance = gained - lost - n * delta
    if variance <= 1e-12:
        return math.copysign(math.inf, distance) if abs(distance) > 1e-9 else 0.0
    return distance / math.sqrt(variance)


def _crossing(above: Callable[[float], bool], *, low: float, high: float) -> float:
    """Where `above` turns from False to True between `low` and `high`, to 1e-12; the nearer end if it never does."""
    for _ in range(42):
        middle = (low + high) / 2
        if above(middle):
            high = middle
        else:
            low = middle
    return (low + high) / 2
