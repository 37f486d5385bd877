"""The verifier `tests`: what it reads from a row, what it says of an execution, and what it never runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, get_args

import pytest

from homeschool.core.execution import Case, Execution, Limits, Outcome, Program, Status
from homeschool.core.records import Row
from homeschool.core.verdict import Verdict
from homeschool.sandbox.isolation import VARIABLE
from homeschool.verify import tests as tests_module
from homeschool.verify.tests import LONGEST, REASONS, verifier

DOUBLE = "def double(x):\n    return 2 * x"
TEST = "assert double(2) == 4"


class Fake:
    """A sandbox that says what it is told to, and keeps what it was asked."""

    def __init__(self, answer: Callable[[Program], Execution]) -> None:
        self.answer, self.asked = answer, list[Program]()
        self.python: str | None = "never asked"

    async def run(self, program: Program) -> Execution:
        self.asked.append(program)
        return self.answer(program)


def passes(program: Program) -> Execution:
    return Execution("passed", tests=tuple(Outcome("passed") for _ in program.tests))


def comes_to(status: Status, *tests: Status, message: str = "seen") -> Callable[[Program], Execution]:
    outcomes = tuple(Outcome(test, "" if test == "passed" else message) for test in tests)
    return lambda program: Execution(status, message, outcomes)


@pytest.fixture
def put(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Program], Execution]], Fake]:
    def put(answer: Callable[[Program], Execution]) -> Fake:
        fake = Fake(answer)

        def shared(*, python: str | None = None) -> Fake:
            fake.python = python
            return fake

        monkeypatch.setattr(tests_module, "shared_sandbox", shared)
        return fake

    return put


def judge(columns: dict[str, Any], *answers: str, **options: Any) -> list[Verdict]:
    return asyncio.run(verifier(**options)(Row.source(columns), answers))


# --- what is said of an execution -----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", sorted(REASONS))
def test_what_the_program_did_is_its_fault_and_has_a_reason(put: Any, status: Status) -> None:
    put(comes_to(status, "passed", status, "not run"))
    verdict = judge({"tests": [TEST] * 3}, DOUBLE)[0]
    assert (verdict.status, verdict.reason) == ("fail", REASONS[status])
    assert verdict.evidence == "seen"
    assert dict(verdict.scores) == {"correct": 0.0, "passed": pytest.approx(1 / 3)}


@pytest.mark.parametrize(
    ("execution", "reason"),
    [
        (comes_to("broken", "broken"), "test at fault"),
        (comes_to("failed", "failed", "broken"), "test at fault"),
        (comes_to("broken", message=""), "sandbox"),
        (comes_to("unused", "passed", "unused"), "tests never use the program"),
        (comes_to("not run", "not run"), "sandbox"),
    ],
)
def test_what_was_not_the_programs_fault_is_broken(put: Any, execution: Any, reason: str) -> None:
    put(execution)
    verdict = judge({"tests": [TEST, TEST]}, DOUBLE)[0]
    assert (verdict.status, verdict.reason) == ("broken", reason)
    assert "correct" not in verdict.scores


def test_every_status_has_its_place() -> None:
    assert {*REASONS, "passed", *tests_module._BROKEN} == set(get_args(Status))


# --- what is run ----------------------------------------------------------------------------------------------------


def test_the_same_program_is_run_once_and_judged_as_often_as_it_came(put: Any) -> None:
    fake = put(lambda program: passes(program) if "2 * x" in program.source else comes_to("failed", "failed")(program))
    fenced, wrong = f"Here it is:\n```python\n{DOUBLE}\n```\nIt doubles.", "def double(x):\n    return x"
    verdicts = judge({"tests": TEST}, DOUBLE, wrong, fenced, DOUBLE, wrong)
    assert [verdict.status for verdict in verdicts] == ["pass", "fail", "pass", "pass", "fail"]
    assert len(fake.asked) == 2
    assert all("```" not in program.source and "It doubles" not in program.source for program in fake.asked)


def test_what_is_no_program_or_too_long_is_not_run(put: Any) -> None:
    fake = put(passes)
    verdicts = judge({"tests": TEST}, "", " \n", "x" * (LONGEST + 1), "#" * LONGEST)
    assert [(verdict.status, verdict.reason) for verdict in verdicts] == [
        ("fail", "no program"),
        ("fail", "no program"),
        ("fail", "too long"),
        ("pass", ""),
    ]
    assert len(fake.asked) == 1


def test_options_reach_the_sandbox(put: Any) -> None:
    fake = put(passes)
    columns = {"tests": TEST, "setup": "import math"}
    assert judge(columns, DOUBLE, seconds=1.5, memory_mb=64, processes=4, output_kb=8, python="/opt/python")
    [program] = fake.asked
    assert program.limits == Limits(1.5, 64, 4, 8)
    assert (program.setup, program.tests, fake.python) == ("import math", (TEST,), "/opt/python")


def test_humanevals_check_is_called_with_the_entry_point() -> None:
    check = "def check(candidate):\n    assert candidate(2) == 4\n"
    assert tests_module.tests_of(Row.source({"tests": check, "entry_point": "double"})) == (
        f"{check}\ncheck(double)\n",
    )
    called = f"{check}\ncheck(double)"
    assert tests_module.tests_of(Row.source({"tests": called, "entry_point": "double"})) == (called,)
    for name in (None, "no name", "x); import os; (x"):
        assert tests_module.tests_of(Row.source({"tests": check, "entry_point": name})) == (check,), (
            "nothing but a name is put in"
        )


@pytest.mark.parametrize(
    ("tests", "found"),
    [
        (TEST, (TEST,)),
        ([TEST, "", None, "assert True"], (TEST, "assert True")),
        ([{"input": 3, "output": ["a", "b"]}], (Case("3", "a\nb"),)),
        (None, "no tests"),
        ("", "no tests"),
        ([" "], "tests cannot be read"),
        ([], "no tests"),
        (7, "tests cannot be read"),
        ([TEST, 7], "tests cannot be read"),
        ([{"input": "3"}], "tests cannot be read"),
        ([TEST, {"input": "3", "output": "4"}], "tests of two kinds"),
    ],
)
def test_the_column_tests(tests: Any, found: Any) -> None:
    assert tests_module.tests_of(Row.source({"tests": tests})) == found


def test_a_row_whose_tests_cannot_be_read_runs_nothing(put: Any) -> None:
    fake = put(passes)
    [verdict] = judge({"tests": [7]}, DOUBLE)
    assert (verdict.status, verdict.reason, verdict.evidence) == ("broken", "tests cannot be read", "[7]")
    assert fake.asked == []


def test_no_wall_is_in_the_name_of_whoever_runs_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    from homeschool.verify.load import load_verifier

    names = ("tests", "cross_tests", "mutation_score")
    monkeypatch.setenv(VARIABLE, "none")
    assert [load_verifier(name).name for name in names] == [f"{name}@1+no-sandbox" for name in names]
    assert load_verifier("tests(seconds=2)").name == "tests@1+no-sandbox(seconds=2)"
    assert "no-sandbox" in load_verifier("all_of(math, tests)").name
    assert "no-sandbox" not in load_verifier("math").name
    monkeypatch.setenv(VARIABLE, "namespaces")
    assert [load_verifier(name).name for name in names] == [f"{name}@1" for name in names]


# --- behind the real wall -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "answer", "status", "reason"),
    [
        (
            {"tests": "def check(candidate):\n    assert candidate(2) == 4", "entry_point": "f"},
            "f = lambda x: x * x",
            "pass",
            "",
        ),
        (
            {"tests": "def check(candidate):\n    assert candidate(2) == 4", "entry_point": "f"},
            "f = lambda x: x",
            "fail",
            "wrong answer",
        ),
        ({"tests": "assert f(1) == 1", "prefix": "def f(x):\n", "entry_point": "f"}, "    return x", "pass", ""),
        ({"tests": "assert f(1) ==="}, "def f(x):\n    return x", "broken", "test at fault"),
        ({"tests": "assert 1 == 1"}, "def f(x):\n    return x", "broken", "tests never use the program"),
        ({"tests": "import numpyx\nassert f(1) == 1"}, "def f(x):\n    return x", "broken", "test at fault"),
        ({"tests": "assert f(1) == 1"}, "def f(x):\n    import os\n    os._exit(0)", "fail", "ended itself"),
        ({"tests": "assert f(1) == 1"}, "import sys\nsys.exit(0)", "fail", "ended itself"),
        ({"tests": [{"input": "a b", "output": "b a"}]}, "print(*input().split()[::-1])", "pass", ""),
    ],
)
def test_behind_the_wall(columns: dict[str, Any], answer: str, status: str, reason: str) -> None:
    [verdict] = judge(columns, answer)
    assert (verdict.status, verdict.reason) == (status, reason), verdict
    assert verdict.verifier == "tests@1"
