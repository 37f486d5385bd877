"""Every test gets an outcome, whatever the tests before it did to the program."""

from __future__ import annotations

import asyncio

from plain_sandbox import PlainSandbox

from homeschool.core.execution import Execution, Limits, Outcome, Program
from homeschool.verify.matrix import MOST_TIMEOUTS, outcomes


def statuses(source: str, tests: list[str]) -> tuple[list[str], int]:
    box = PlainSandbox()
    found = asyncio.run(outcomes(box.run, source, tests, Limits()))
    return [outcome.status for outcome in found], len(box.asked)


def test_tests_after_an_exit_are_run_again() -> None:
    source = "def f(x):\n    if x == 0:\n        raise SystemExit\n    return x"
    tests = ["assert f(1) == 1", "f(0)", "assert f(2) == 3", "f(0)", "assert f(4) == 4", "assert True"]
    assert statuses(source, tests) == (["passed", "exit", "failed", "exit", "passed", "unused"], 3)


def test_a_program_that_does_not_load_ends_every_test_alike() -> None:
    assert statuses("1 / 0", ["assert f(1)"] * 3)[0] == ["error"] * 3
    assert statuses("raise SystemExit", ["assert f(1)"] * 3)[0] == ["exit"] * 3


def test_no_tests_are_no_work() -> None:
    assert statuses("x = 1", []) == ([], 0)


def test_a_program_that_always_times_out_is_not_tried_for_ever() -> None:
    slow = "def f(x):\n    raise TimeoutError"
    tests = [f"assert f({n}) == {n}" for n in range(20)]
    assert statuses(slow, tests) == (["timeout"] * 20, MOST_TIMEOUTS)


def test_an_execution_without_outcomes_gives_its_own_end() -> None:
    async def memory(program: Program) -> Execution:
        return Execution("memory", "1 GiB", tuple(Outcome("not run") for _ in program.tests))

    async def nothing(program: Program) -> Execution:
        return Execution("passed")

    for run, status in ((memory, "memory"), (nothing, "broken")):
        found = asyncio.run(outcomes(run, "x = 1", ["assert x", "assert x == 1"], Limits()))
        assert [outcome.status for outcome in found] == [status] * 2
