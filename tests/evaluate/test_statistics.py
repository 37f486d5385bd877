"""Published numbers, enumeration and simulation: three ways in which a formula can be caught wrong."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeschool.evaluate.statistics import (
    items_needed,
    mcnemar,
    paired_bootstrap,
    paired_interval,
    pass_at_k,
    power,
    wilson,
)


def table(both: int, lost: int, gained: int, neither: int) -> tuple[list[bool], list[bool]]:
    """Answers before and after with these four counts."""
    before = [True] * (both + lost) + [False] * (gained + neither)
    after = [True] * both + [False] * lost + [True] * gained + [False] * neither
    return before, after


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_is_newcombes_table(successes: int, n: int, low: float, high: float) -> None:
    # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3.
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)


def test_wilson_is_wider_with_more_confidence_and_touches_the_ends() -> None:
    wide, narrow = wilson(5, 20, confidence=0.99), wilson(5, 20, confidence=0.8)
    assert wide[0] < narrow[0] < 0.25 < narrow[1] < wide[1]
    assert wilson(0, 7)[0] == 0.0
    assert wilson(7, 7)[1] == 1.0


@pytest.mark.parametrize(("successes", "n"), [(1, 0), (0, 0), (3, 2), (-1, 4)])
def test_wilson_refuses_what_is_no_proportion(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="not a proportion"):
        wilson(successes, n)


@pytest.mark.parametrize("n", [1, 4, 6])
def test_pass_at_k_is_the_share_of_subsets_with_a_right_answer(n: int) -> None:
    for right, k in itertools.product(range(n + 1), range(1, n + 1)):
        answers = [index < right for index in range(n)]
        subsets = list(itertools.combinations(answers, k))
        assert pass_at_k(n, right, k=k) == pytest.approx(sum(map(any, subsets)) / len(subsets))


def test_pass_at_k_refuses_more_draws_than_samples() -> None:
    with pytest.raises(ValueError, match="pass@5"):
        pass_at_k(4, 1, k=5)


def test_mcnemar_is_the_published_example_and_two_tails_of_a_coin() -> None:
    # Bentur et al. 2009, in Fagerland, Lydersen and Laake 2014: 1 and 7 discordant pairs, exact p = 0.070.
    assert mcnemar(1, 7) == pytest.approx(0.0703125)
    for a, b in itertools.product(range(6), range(6)):
        flips = [sum(coins) for coins in itertools.product((0, 1), repeat=a + b)]
        extreme = sum(abs(2 * heads - (a + b)) >= abs(a - b) for heads in flips)
        assert mcnemar(a, b) == pytest.approx(extreme / len(flips))


def test_paired_interval_is_tangos_published_one() -> None:
    # The same table (1, 1, 7, 12): Tango's interval of before minus after is -0.517 to -0.026.
    interval = paired_interval(*table(1, 1, 7, 12))
    assert interval.difference == pytest.approx(6 / 21)
    assert (interval.low, interval.high) == pytest.approx((0.026, 0.517), abs=5e-4)


def test_paired_interval_is_close_to_the_textbook_one_when_there_is_much_data() -> None:
    # Bland 2000, section 13.9: colds at 12 and at 14 of 1319 children; difference 0.085, 95% CI 0.055 to 0.114.
    interval = paired_interval(*table(212, 144, 256, 707))
    assert (interval.difference, interval.low, interval.high) == pytest.approx((0.0849, 0.0555, 0.1144), abs=5e-4)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_paired_interval_holds_its_difference_and_turns_with_the_pairs(pairs: list[tuple[bool, bool]]) -> None:
    before, after = [a for a, _ in pairs], [b for _, b in pairs]
    there, back = paired_interval(before, after), paired_interval(after, before)
    assert -1 <= there.low <= there.difference <= there.high <= 1
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=1e-6)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 200))
def test_paired_interval_leaves_out_zero_exactly_when_mcnemars_chi_squared_is_significant(
    gained: int, lost: int, same: int
) -> None:
    if gained + lost == 0 or abs((gained - lost) ** 2 / (gained + lost) - 3.8415) < 0.01:
        return
    interval = paired_interval(*table(same, lost, gained, 0))
    significant = (gained - lost) ** 2 / (gained + lost) > 3.8415
    assert (interval.low > 0 or interval.high < 0) == significant


@pytest.mark.parametrize(("gained", "lost"), [(0.3, 0.05), (0.04, 0.01), (0.1, 0.1)])
def test_paired_interval_covers_the_truth_in_about_95_of_100_exams(gained: float, lost: float) -> None:
    rng, covered, exams, n = random.Random(7), 0, 400, 150
    for _ in range(exams):
        kinds = rng.choices(((False, True), (True, False), (True, True)), (gained, lost, 1 - gained - lost), k=n)
        interval = paired_interval([a for a, _ in kinds], [b for _, b in kinds])
        covered += interval.low <= gained - lost <= interval.high
    assert 0.92 < covered / exams < 0.98


def test_bootstrap_agrees_with_the_closed_form_and_with_itself() -> None:
    pytest.importorskip("numpy")
    before, after = table(300, 50, 300, 350)
    drawn, closed = paired_bootstrap(before, after, seed=3), paired_interval(before, after)
    assert drawn.difference == pytest.approx(0.25)
    assert (drawn.low, drawn.high) == pytest.approx((closed.low, closed.high), abs=0.004)
    assert drawn == paired_bootstrap(before, after, seed=3)
    assert drawn != paired_bootstrap(before, after, seed=4)


def test_bootstrap_finds_the_normal_width_of_continuous_scores() -> None:
    pytest.importorskip("numpy")
    rng = random.Random(1)
    before = [rng.random() for _ in range(800)]
    after = [score + rng.gauss(0.1, 0.3) for score in before]
    interval = paired_bootstrap(before, after, seed=0)
    half = 1.96 * 0.3 / math.sqrt(800)
    assert interval.high - interval.low == pytest.approx(2 * half, rel=0.1)


@pytest.mark.parametrize("compare", [paired_interval, lambda a, b: paired_bootstrap(a, b, seed=0)])
def test_unpaired_scores_are_refused(compare: object) -> None:
    with pytest.raises(ValueError, match="not pairs"):
        compare([True], [True, False])  # pyright: ignore[reportCallIssue, reportGeneralTypeIssues]


def test_items_needed_is_connors_formula_and_the_inverse_of_power() -> None:
    # (1.95996 sqrt(0.3) + 0.84162 sqrt(0.3 - 0.01))^2 / 0.01 = 233.1
    assert items_needed(0.3, 0.1) == 234
    for rate, gain, wanted in itertools.product((0.1, 0.3, 0.6), (0.02, 0.08), (0.5, 0.8, 0.95)):
        n = items_needed(rate, gain, power=wanted)
        assert power(rate, gain, n=n) >= wanted > power(rate, gain, n=n - 1)


@pytest.mark.parametrize(("rate", "gain"), [(0.3, 0.1), (0.2, 0.05), (0.5, 0.3)])
def test_an_exam_of_that_size_does_see_the_gain_about_as_often(rate: float, gain: float) -> None:
    n = items_needed(rate, gain)
    assert 0.72 < exact_power(rate, gain, n=n) < 0.84
    assert exact_power(rate, gain, n=n // 2) < 0.6


def exact_power(rate: float, gain: float, *, n: int) -> float:
    """How often the exact test at 0.05 sees the gain, summed over every number of changed and of gained items."""
    share = (rate + gain) / 2 / rate
    seen = 0.0
    for changed in range(n + 1):
        chance = binomial(changed, n, rate)
        if chance > 1e-9:
            limit = max((k for k in range(changed // 2 + 1) if mcnemar(k, changed - k) <= 0.05), default=-1)
            tails = (*range(limit + 1), *range(changed - limit, changed + 1)) if limit >= 0 else ()
            seen += chance * sum(binomial(k, changed, share) for k in tails)
    return seen


def binomial(k: int, n: int, share: float) -> float:
    log = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(log + k * math.log(share) + (n - k) * math.log1p(-share))


@pytest.mark.parametrize(("rate", "gain"), [(0.1, 0.2), (0.1, 0.0), (1.2, 0.5)])
def test_an_impossible_gain_is_refused(rate: float, gain: float) -> None:
    with pytest.raises(ValueError, match="cannot come from"):
        items_needed(rate, gain)
