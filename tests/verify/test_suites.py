"""Cutting a model's test suite into tests that stand alone."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeschool.core.execution import Outcome
from homeschool.verify.suites import at_fault, last_line, split


def test_each_assert_is_a_test_after_what_it_needs() -> None:
    tests = split("import math\nx = 2\nassert f(x) == 4\nassert f(math.pi) > 9\nassert f(x) == 4\n")
    assert tests == ["import math\nx = 2\nassert f(x) == 4", "import math\nx = 2\nassert f(math.pi) > 9"]


def test_a_loop_or_try_that_asserts_is_one_test() -> None:
    suite = "for x in [1, 2]:\n    assert f(x) == x\ntry:\n    f(0)\n    assert False\nexcept ValueError:\n    pass"
    assert [test.split("\n")[0] for test in split(suite)] == ["for x in [1, 2]:", "try:"]


def test_test_functions_stand_alone_whether_called_or_not() -> None:
    suite = (
        "def near(a, b):\n    assert abs(a - b) < 1\ndef test_a():\n    near(f(1), 1)\ndef test_b():\n    assert f(2)\n"
    )
    for text in (suite, suite + "\ntest_a()\nif __name__ == '__main__':\n    test_b()\n"):
        first, second = split(text)
        assert "test_a" in first and "test_b" not in first and "def near" in first
        assert "test_b" in second and "test_a" not in second
        assert last_line(second) == "def test_b():"


def test_a_helper_that_checks_is_called_by_tests() -> None:
    suite = "def check(g):\n    assert g(1) == 1\n\ncheck(f)\nprint(f)\n"
    assert split(suite) == ["def check(g):\n    assert g(1) == 1\ncheck(f)"]


def test_unittest_classes_are_tests() -> None:
    suite = "import unittest\nclass T(unittest.TestCase):\n    def test_x(self):\n        self.assertEqual(f(1), 1)\n"
    (test,) = split(suite)
    assert ast.dump(ast.parse(test)) == ast.dump(ast.parse(suite))


@pytest.mark.parametrize("suite", ["", "x = 1", "f(3)", "def check(g):\n    assert g(1)\n", "class A:\n    pass"])
def test_what_checks_nothing_has_no_tests(suite: str) -> None:
    assert split(suite) == []


def test_whose_fault_a_broken_test_is() -> None:
    assert at_fault(Outcome("broken", "the test needs a module that the sandbox has not: pytest"))
    assert at_fault(Outcome("broken", "the judge ended with code 0"))
    assert not at_fault(Outcome("broken", "the judge ended with code -9"))
    assert not at_fault(Outcome("broken", "a box died"))
    assert not at_fault(Outcome("failed", "the test said so"))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(["x = 1", "assert x", "def test_a():\n    assert x", "check(x)", "for y in z: f(y)"])))
def test_no_suite_makes_it_raise(lines: list[str]) -> None:
    for test in split("\n".join(lines)):
        assert "assert" in test
