from collections import Counter

from homeschool.improve import curriculum
from homeschool.improve.settings import CurriculumConfig
from homeschool.tasks import arithmetic

LADDER = CurriculumConfig(start=4, threshold=0.5, share=0.6, top=6)


def test_a_round_is_drawn_mostly_at_the_frontier_and_evenly_below() -> None:
    rows = curriculum.draw(arithmetic.task(), LADDER, frontier=4, n=100, seed=3)
    levels = Counter(row["level"] for row in rows)
    assert levels[4] == 60
    assert sum(levels.values()) == 100
    assert max(levels[level] for level in (1, 2, 3)) - min(levels[level] for level in (1, 2, 3)) <= 1


def test_the_frontier_goes_up_when_enough_passes_and_stays_below_the_top() -> None:
    task = arithmetic.task()
    assert curriculum.advance(task, LADDER, frontier=4, rates=[0.5, 0.5]) == 5
    assert curriculum.advance(task, LADDER, frontier=4, rates=[0.4, 0.5]) == 4
    assert curriculum.advance(task, LADDER, frontier=6, rates=[1.0]) == 6
    assert curriculum.advance(task, LADDER, frontier=None, rates=[1.0]) is None


def test_at_the_foot_of_the_ladder_everything_is_frontier() -> None:
    rows = curriculum.draw(arithmetic.task(), LADDER, frontier=1, n=10, seed=0)
    assert {row["level"] for row in rows} == {1}
