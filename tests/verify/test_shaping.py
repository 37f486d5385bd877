"""Every shape, tested for what its docstring claims."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeschool.core.errors import UsageError
from homeschool.core.verdict import Abstain, Broken, Fail, Pass
from homeschool.verify.shaping import (
    Dual,
    centred,
    concave,
    constrained,
    cvar,
    log_and,
    rewards,
    shape,
    standardised,
    weighted_sum,
    worst_mean,
)

UNIT = st.floats(0, 1)
SCORES = st.dictionaries(st.sampled_from("abcdef"), UNIT, min_size=1)
NUMBERS = st.lists(st.floats(-100, 100), min_size=1, max_size=20)
ALL = [
    "weighted_sum",
    "weighted_sum(weights={'a': 2})",
    "log_and",
    "log_and(centre=0.2, scale=0.5)",
    "min",
    "concave",
    "concave(centre=0, bend=1)",
    "cvar(alpha=0.3)",
    "constrained(objective='a', least={'a': 0.5}, multipliers={'a': 3})",
]


@pytest.mark.parametrize("text", ALL)
@settings(max_examples=30)
@given(scores=SCORES, more=UNIT)
def test_no_score_can_be_lost_by_getting_better(text: str, scores: dict[str, float], more: float) -> None:
    scores = {"a": 0.5, **scores}
    for name in scores:
        better = {**scores, name: min(1.0, scores[name] + more)}
        assert shape(text)(better) >= shape(text)(scores) - 1e-9


@given(SCORES, st.floats(0.1, 10))
def test_a_weighted_sum_is_linear(scores: dict[str, float], factor: float) -> None:
    weights = {name: index - 1.5 for index, name in enumerate(scores)}
    scaled = {name: factor * score for name, score in scores.items()}
    expected = factor * weighted_sum(scores, weights=weights)
    assert weighted_sum(scaled, weights=weights) == pytest.approx(expected, abs=1e-9)
    assert weighted_sum(scores) == pytest.approx(sum(scores.values()))


def test_a_weighted_sum_lets_the_good_buy_the_bad_and_log_and_does_not() -> None:
    bought = {"right": 0.0, **{f"style {n}": 1.0 for n in range(9)}}
    honest = {"right": 0.7, **{f"style {n}": 0.6 for n in range(9)}}
    assert weighted_sum(bought) > weighted_sum(honest)
    assert log_and(bought) < log_and(honest)
    assert shape("min")(bought) < shape("min")(honest)


@given(st.integers(1, 6), st.floats(0.05, 0.3))
def test_log_and_is_at_most_zero_and_one_very_bad_score_cannot_be_bought(others: int, scale: float) -> None:
    centre, good = 0.5, {f"k{n}": 1e6 for n in range(others)}
    assert -1e-9 <= -log_and(good, centre=centre, scale=scale) < 1e-9, "it comes near 0 and never above"
    at_centre = log_and(dict.fromkeys([*good, "bad"], centre), centre=centre, scale=scale)
    depth = centre - scale * math.log(2) * (others + 2)  # the others can win back log 2 each, and no more
    assert log_and({**good, "bad": depth}, centre=centre, scale=scale) < at_centre


def test_log_and_survives_extremes() -> None:
    assert log_and({"a": -1e9}, scale=0.1) == pytest.approx(-1e10)
    assert log_and({"a": 1e9}, scale=0.1) == 0.0


@given(UNIT, st.floats(0.001, 0.5), st.floats(0.1, 10))
def test_concave_punishes_bad_more_than_it_rewards_good(centre: float, step: float, bend: float) -> None:
    up, down = (concave({"a": centre + d}, centre=centre, bend=bend) for d in (step, -step))
    assert down < 0 < up < 1 / bend
    assert -down > up
    halfway = concave({"a": centre + step / 2}, centre=centre, bend=bend)
    assert halfway >= up / 2, "a chord lies below a concave function"


def test_concave_has_slope_one_at_its_centre() -> None:
    assert concave({"a": 0.5 + 1e-6}, bend=4) / 1e-6 == pytest.approx(1, abs=1e-4)


@given(SCORES)
def test_min_is_the_worst(scores: dict[str, float]) -> None:
    assert shape("min")(scores) == min(scores.values())


@given(NUMBERS, st.integers(1, 20))
def test_cvar_is_the_mean_of_the_worst_share(values: list[float], worst: int) -> None:
    worst = min(worst, len(values))
    expected = sum(sorted(values)[:worst]) / worst
    assert cvar(values, alpha=worst / len(values)) == pytest.approx(expected, abs=1e-6)
    shares = [cvar(values, alpha=alpha) for alpha in (0.01, 0.2, 0.5, 0.77, 1.0)]
    assert all(a <= b + 1e-6 for a, b in pairwise(shares)), "the larger the share, the milder"


def test_cvar_takes_a_part_of_the_value_at_the_edge() -> None:
    values = [float(n) for n in range(10)]
    assert cvar(values, alpha=0.25) == pytest.approx((0 + 1 + 0.5 * 2) / 2.5)
    assert worst_mean({"a": 0.2, "b": 0.8}, alpha=1) == pytest.approx(0.5)


def test_dual_ascent_reaches_the_constraint() -> None:
    """Toy: an answer of length x in [0, 1] is right with probability x, and short by 1 - x; short must be 0.7.

    The best point of the Lagrangian is at an end (it is linear), so the learner moves a little along its slope, and the
    mean of what it does must come to x = 0.3, where the constraint is just met.
    """
    dual, x, seen = Dual({"short": 0.7}, rate=0.05), 0.9, []
    for _ in range(4000):
        reward = dual.shape("right")
        slope = (reward({"right": x + 0.01, "short": 0.99 - x}) - reward({"right": x, "short": 1 - x})) / 0.01
        x = min(1.0, max(0.0, x + 0.02 * slope))
        dual = dual.updated({"short": 1 - x})
        seen.append(x)
    assert sum(seen[2000:]) / 2000 == pytest.approx(0.3, abs=0.02)
    assert dual.multipliers["short"] == pytest.approx(1.0, abs=0.6), "at the optimum it is the slope of right"


def test_dual_multipliers_are_projected() -> None:
    dual = Dual({"short": 0.7}, rate=1.0, most=2.0)
    assert dual.shape("right")({"right": 0.4, "short": 0.0}) == 0.4, "at first nothing but the objective counts"
    assert dual.updated({"short": 1.0}).multipliers == {"short": 0.0}, "a constraint that holds weighs nothing"
    for _ in range(10):
        dual = dual.updated({"short": 0.0})
    assert dual.multipliers == {"short": 2.0}
    with pytest.raises(UsageError, match="short"):
        dual.updated({"shrot": 0.0})


def test_constrained_is_the_lagrangian() -> None:
    scores = {"correct": 1.0, "short": 0.5}
    assert constrained(scores, least={"short": 0.9}, multipliers={"short": 2}) == pytest.approx(1 - 2 * 0.4)


@given(st.lists(st.none() | st.floats(-50, 50), max_size=12))
def test_centred_and_standardised(values: list[float | None]) -> None:
    for moved in (centred(values), standardised(values)):
        known = [value for value in moved if value is not None]
        assert [value is None for value in moved] == [value is None for value in values]
        assert sum(known) == pytest.approx(0, abs=1e-6)
    spread = sum(value * value for value in standardised(values) if value is not None)
    known = [value for value in values if value is not None]
    assert spread == pytest.approx(len(known)) or spread == 0.0
    assert standardised([3.0, None, 3.0]) == [0.0, None, 0.0]
    assert standardised([0.1 + 0.2, 0.3]) == [0.0, 0.0], "rounding is no opinion"


def test_nobody_is_paid_for_what_nobody_judged() -> None:
    verdicts = [Pass({"judge": 0.9}), Fail({"judge": 0.1}), Abstain({"judge": 0.5}), Broken({"judge": 1.0}), Fail()]
    assert rewards(verdicts, shape("min")) == [0.9, 0.1, None, None, 0.0]
    assert rewards([Pass({"judge": math.nan}), Fail({"a": math.inf})], shape("weighted_sum")) == [None, None]
    assert rewards([Pass(), Fail()], shape("weighted_sum")) == [1.0, 0.0]


def test_a_failed_answer_has_zero_where_it_was_not_looked_at_and_a_passed_one_must_have_all() -> None:
    weighted = shape("weighted_sum(weights={'correct': 1, 'short': 0.5})")
    assert rewards([Fail({"correct": 0.0}), Pass({"correct": 1.0, "short": 1.0})], weighted) == [0.0, 1.5]
    with pytest.raises(UsageError, match="no verifier gives a score 'short'"):
        rewards([Pass({"correct": 1.0, "shorts": 1.0})], weighted)
    group = [Fail({"correct": 0.0}), Pass({"correct": 1.0, "judge": 0.8})]
    assert rewards(group, shape("log_and"))[0] == pytest.approx(2 * log_and({"correct": 0.0})), "not better for less"


@pytest.mark.parametrize("text", ["log_and(centre=0.4, scale=0.2)", "cvar(alpha=0.5)", "min", "concave(bend=2)"])
def test_a_spec_names_a_shape_with_its_options(text: str) -> None:
    scores = {"a": 0.2, "b": 0.9}
    direct = {
        "log_and": log_and(scores, centre=0.4, scale=0.2),
        "cvar": worst_mean(scores, alpha=0.5),
        "min": 0.2,
        "concave": concave(scores, bend=2),
    }
    assert shape(text)(scores) == direct[text.partition("(")[0]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("log_adn", "unknown shape 'log_adn': did you mean 'log_and'"),
        ("log_and(center=1)", "unknown option 'center' of log_and: did you mean 'centre'"),
        ("log_and(centre='x')", "must be a number"),
        ("min(0.5)", "options are given by name"),
        ("min(log_and)", "by name only"),
    ],
)
def test_what_is_no_shape_is_one_sentence(text: str, words: str) -> None:
    with pytest.raises(UsageError) as raised:
        shape(text)
    assert words in str(raised.value)


@pytest.mark.parametrize("text", ["log_and(scale=0)", "concave(bend=-1)", "cvar(alpha=0)", "cvar(alpha=1.5)"])
def test_options_out_of_range_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        shape(text)({"a": random.Random(0).random()})
