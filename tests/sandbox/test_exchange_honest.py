"""What an honest program gives its test: values, objects, exceptions, callbacks, changes in place, names."""

from __future__ import annotations

import pytest
from exchange_pair import blocks, exchange, source, tried

PROGRAM = source("honest_program.txt")

TESTS = blocks("honest_tests.txt")


@pytest.mark.parametrize("test", TESTS.values(), ids=TESTS.keys())
def test_an_honest_program_passes(test: str) -> None:
    assert tried(PROGRAM, test) == [None]


def test_one_program_serves_many_tests() -> None:
    assert tried(PROGRAM, "count()", "assert counter == 1", "assert counter == 2", "assert f([2, 1]) == [1, 2]")[
        :2
    ] == [None, None]


@pytest.mark.parametrize(
    ("source", "test"),
    [
        ("def sum(a, b): return a * b", "assert sum(2, 5) == 10"),
        ("def max(a): return 7", "assert max([1]) == 7"),
        (
            "def max(a): return 7",
            "import solution\ndef check(candidate):\n  assert candidate([1]) == 7\ncheck(solution.max)",
        ),
    ],
)
def test_a_program_may_be_named_like_a_builtin(source: str, test: str) -> None:
    assert tried(source, test) == [None]


@pytest.mark.parametrize(
    "test", ["assert True", "x = 1\nassert x == 1", "import math\nassert math.pi > 3", "assert sum([1]) == 1"]
)
def test_a_test_that_never_looks_is_not_passed(test: str) -> None:
    (error,) = tried("def f(x): return 1\nimport math", test)
    assert isinstance(error, LookupError)


def test_a_name_that_is_nowhere_is_a_name_error() -> None:
    (error,) = tried(PROGRAM, "nowhere(1)")
    assert isinstance(error, NameError)


def test_what_the_program_raised_is_told_from_what_the_test_raised() -> None:
    theirs, ours = tried(PROGRAM, "fail(3)", "f; raise ValueError")
    assert theirs and ours and exchange.is_remote_error(theirs) and not exchange.is_remote_error(ours)
