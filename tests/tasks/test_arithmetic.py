import asyncio
import itertools
import random

import pytest

from homeschool.tasks import arithmetic, arithmetic_careless
from homeschool.tasks.arithmetic_corpus import Mix, documents
from homeschool.verify.calculator import Calculator, evaluate


def test_the_careful_author_reduces_one_operation_a_line_and_keeps_the_value() -> None:
    lines = arithmetic.reductions("8-(3+4)+2*5")
    assert lines == ["8-7+2*5", "8-7+10", "1+10", "11"]
    rng = random.Random(0)
    for level in range(1, 9):
        expression = arithmetic.problem(rng, level)
        lines = arithmetic.reductions(expression)
        assert lines is not None and len(lines) == level
        assert {evaluate(line) for line in lines} == {eval(expression)}


def test_a_step_outside_the_table_is_no_problem() -> None:
    assert arithmetic.reductions("3-9") is None
    assert arithmetic.reductions("9*9*9") is None
    assert arithmetic.reductions("45+46") is None


def test_held_out_problems_are_disjoint_from_training_ones_and_from_the_corpus() -> None:
    task = arithmetic.task()
    sets = {name: {row["expression"] for row in getattr(task, name)} for name in ("exam", "dev", "recall")}
    drawn = {row["expression"] for level in range(1, 7) for seed in range(3) for row in task.draw(level, 50, seed)}
    corpus = {
        document["prompt"].split(": ")[1].strip()
        for document in itertools.islice(documents(Mix(), seed=0), 3000)
        if document["prompt"].startswith(("Q", "Copy"))
    }
    for left, right in itertools.combinations([*sets.values(), drawn | corpus], 2):
        assert not left & right
    assert len(drawn) > 500 and len(corpus) > 1000


def test_the_exam_has_enough_problems_of_the_levels_that_matter() -> None:
    levels = [row["level"] for row in arithmetic.task().exam]
    assert sum(level in arithmetic.NEVER_SHOWN for level in levels) >= 500
    assert sum(level in arithmetic.SHOWN for level in levels) >= 300


def test_the_same_seed_draws_the_same_problems_and_another_draws_others() -> None:
    def ids(seed: int) -> list[str]:
        return [row.id for row in arithmetic.draw(4, 40, seed)]

    assert ids(1) == ids(1)
    assert len(set(ids(1)) & set(ids(2))) < 5


def test_the_corpus_shows_no_solution_beyond_the_shown_levels_and_no_error() -> None:
    judge = Calculator()
    kinds: dict[str, int] = {}
    for document in itertools.islice(documents(Mix(), seed=1), 2000):
        kind, expression = document["prompt"].strip().split(": ")
        kinds[kind] = kinds.get(kind, 0) + 1
        lines = [line[2:] for line in document["completion"].split("\n")]
        assert {evaluate(line) for line in lines} == {evaluate(expression)}
        if kind == "Q":
            row = arithmetic.row(expression)
            assert row["level"] in arithmetic.SHOWN
            (verdict,) = asyncio.run(judge(row, [document["completion"]]))
            assert verdict.status == "pass"
        elif kind == "Step":
            assert len(lines) <= 2
    assert min(kinds[kind] for kind in ("Q", "Copy", "Step")) > 100


def test_answer_limits_leave_room_for_every_right_answer() -> None:
    for level in range(1, 9):
        for row in arithmetic.draw(level, 60, 5):
            lines = arithmetic.reductions(row["expression"])
            assert lines is not None
            assert len("\n".join(f"= {line}" for line in lines)) + 1 <= row["max_tokens"]


@pytest.mark.parametrize(
    ("expression", "lines"),
    [("8-(3+4)*2", ["5+4*2", "9*2", "18"]), ("2+3*4", ["5*4", "20"])],
)
def test_the_careless_author_drops_brackets_and_goes_left_to_right(expression: str, lines: list[str]) -> None:
    assert arithmetic_careless.careless_lines(expression) == lines


def test_careless_problems_mostly_tell_the_two_authors_apart() -> None:
    rows = arithmetic_careless.draw(3, 60, 0)
    differing = 0
    for row in rows:
        careless, careful = (
            arithmetic_careless.careless_lines(row["expression"]),
            arithmetic.reductions(row["expression"]),
        )
        assert careless is not None and careful is not None
        differing += careless[-1] != careful[-1]
    assert differing >= 45
