"""Run an answer's program against the row's tests, in a sandbox. For code, this is the verifier to trust.

From the row it takes `tests`: Python source that is run after the program (`assert f(2) == 4`), or a list of such
sources, or a list of `{"input": ..., "output": ...}` for programs that read and print. A test source that defines
`check(candidate)` (HumanEval's form) is called with the function that column `entry_point` names; functions `test_*`
and unittest's cases that are only defined are run. `setup` (optional) is source that runs before the program.

The program in the answer is found as `verify/program.py` says (Markdown fences, continuations of column `prefix`).

The tests never share a process with the program. They run beside it, call its functions through a channel that carries
plain data, and compare with a real `==`: an object that claims to equal everything, a patched `assert`, `sys.exit(0)`,
a search of the memory for the expected values come to nothing (see docs/sandbox.md).

Pass: every test passed. Fail: `wrong answer` (an assertion, or other output than wanted), `error` (an exception, with
its name), `ended itself`, `timeout`, `crash`, `too much memory`, `too much output`, `no program`. Broken: a test that
cannot be read, that never looks at the program, or that needs a module the sandbox has not; and whatever is the
sandbox's fault. `passed` among the scores is the share of tests that passed, as far as they were run.

Known limits: a test cannot patch what the program imported (`mock.patch("builtins.input")`), and an object of the
program's own class that is compared with plain data is never equal to it.
"""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from homeschool.core.execution import Case, Execution, Limits, Program
from homeschool.core.protocols import Context
from homeschool.core.records import Row
from homeschool.core.verdict import Broken, Fail, Pass, Verdict
from homeschool.sandbox.isolation import marked
from homeschool.sandbox.pool import shared_sandbox
from homeschool.verify.answers import shown
from homeschool.verify.program import program_of

LONGEST = 200_000
"""Characters of a program; no answer to a problem is longer."""

REASONS = {
    "failed": "wrong answer",
    "error": "error",
    "exit": "ended itself",
    "timeout": "timeout",
    "crash": "crash",
    "memory": "too much memory",
    "output": "too much output",
}
_BROKEN = {"broken": "sandbox", "unused": "tests never use the program", "not run": "sandbox"}


@dataclass(frozen=True, slots=True)
class Tests:
    limits: Limits = field(default_factory=Limits)
    python: str | None = None
    name: str = "tests@1"

    async def __call__(self, row: Row, answers: Sequence[str], ctx: Context | None = None) -> list[Verdict]:
        tests = tests_of(row)
        if isinstance(tests, str):
            return [Broken(reason=tests, evidence=shown(repr(row.get("tests"))), verifier=self.name) for _ in answers]
        sources = [program_of(answer[:LONGEST], row) if len(answer) <= LONGEST else None for answer in answers]
        setup = row.get("setup")
        # Samples of one problem are often the same program: each different one is run once.
        different = list(dict.fromkeys(source for source in sources if source is not None and source.strip()))
        programs = [
            Program(source, tests, setup if isinstance(setup, str) else "", limits=self.limits) for source in different
        ]
        sandbox = shared_sandbox(python=self.python)
        executions = await asyncio.gather(*(sandbox.run(program) for program in programs))
        said = {source: self._verdict(execution) for source, execution in zip(different, executions, strict=True)}
        return [said[source] if source in said else self._none(source) for source in sources]

    def _none(self, source: str | None) -> Fail:
        reason = "no program" if source is not None else "too long"
        return Fail({"correct": 0.0, "passed": 0.0}, reason, verifier=self.name)

    def _verdict(self, execution: Execution) -> Verdict:
        tests = execution.tests
        share = sum(test.status == "passed" for test in tests) / len(tests) if tests else 0.0
        status, message = execution.status, execution.message
        if status == "passed":
            return Pass({"correct": 1.0, "passed": share}, evidence=f"{len(tests)} tests", verifier=self.name)
        # A test that is at fault is at fault, even if the program failed another before it.
        for test in tests:
            if test.status in ("broken", "unused"):
                status, message = test.status, test.message
                break
        evidence = shown(message, limit=500)
        if status in _BROKEN:
            reason = "test at fault" if status == "broken" and tests and message else _BROKEN[status]
            return Broken({"passed": share}, reason, evidence, self.name)
        return Fail({"correct": 0.0, "passed": share}, REASONS[status], evidence, self.name)


def verifier(
    *,
    seconds: float = 10.0,
    memory_mb: int = 1024,
    processes: int = 64,
    output_kb: int = 4096,
    python: str | None = None,
) -> Tests:
    """The verifier `tests`.

    `seconds` of processor time a test, `memory_mb` in all; `python`: an interpreter whose packages programs may use.
    Without a sandbox, at a person's word, that stands in its name and so on each of its verdicts.
    """
    return Tests(Limits(seconds, memory_mb, processes, output_kb), python, marked("tests@1"))


def tests_of(row: Row) -> tuple[str | Case, ...] | str:
    """The row's tests; or, as a text, what is wrong with them."""
    value: Any = row.get("tests")
    several = list(value) if isinstance(value, (list, tuple)) else [value]
    tests: list[str | Case] = []
    for test in several:
        if isinstance(test, str) and test.strip():
            tests.append(_called(test, row.get("entry_point")))
        elif isinstance(test, dict) and {"input", "output"} <= set(test):
            tests.append(Case(_text(test["input"]), _text(test["output"])))
        elif test is not None and test != "":
            return "tests cannot be read"
    if not tests:
        return "no tests"
    if len({type(test) for test in tests}) > 1:
        return "tests of two kinds"
    return tuple(tests)


def _called(test: str, entry_point: Any) -> str:
    """HumanEval's form: a `check` that is only defined is called with the program's function."""
    if isinstance(entry_point, str) and entry_point.isidentifier() and "def check(" in test and "\ncheck(" not in test:
        # A function called like a built-in one must be asked for by its module: `sum` is Python's own in a test.
        own = f"__import__('solution').{entry_point}" if hasattr(builtins, entry_point) else entry_point
        return f"{test}\ncheck({own})\n"
    return test


def _text(value: Any) -> str:
    """Input and output as a program sees them; some data sets hold lists of lines."""
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value)


GOLD = [
    ({"tests": "assert double(2) == 4"}, "def double(x):\n    return 2 * x"),
    ({"tests": ["assert double(2) == 4", "assert double('a') == 'aa'"]}, "```python\ndouble = lambda x: x * 2\n```"),
    (
        {"tests": "def check(candidate):\n    assert candidate([2, 1]) == [1, 2]", "entry_point": "ordered"},
        "ordered = sorted",
    ),
    ({"tests": [{"input": "3\n", "output": "9\n"}, {"input": "4", "output": "16"}]}, "print(int(input()) ** 2)"),
    (
        {"tests": "def test_sort():\n    data = [3, 1]\n    sort(data)\n    assert data == [1, 3]"},
        "def sort(x):\n    x.sort()",
    ),
]
CORRUPTED = [
    # What a program calls by the name of a built-in must not judge it.
    (
        {"tests": "from solution import f\nassert abs(f(2) - 4) < 1e-6"},
        "def f(x):\n    return 99\ndef abs(x):\n    return 0",
    ),
    ({"tests": "total = total([1, 3])\nassert abs(total - 4) < 1e-6"}, "total = len\ndef abs(x):\n    return 0"),
    ({"tests": "import solution\nassert all([solution.f(2) == 4])"}, "f = int\ndef all(x):\n    return True"),
    ({"tests": "assert double(2) == 4"}, "def double(x):\n    return x + x + x"),
    ({"tests": "assert double(2) == 4"}, "def double(x):\n    return x +"),
    ({"tests": "assert double(2) == 4"}, "def halve(x):\n    return x / 2"),
    ({"tests": "assert double(2) == 4"}, "import sys\nsys.exit(0)"),
    ({"tests": "assert double(2) == 4"}, "import os\ndef double(x):\n    os._exit(0)"),
    (
        {"tests": "assert double(2) == 4"},
        "class Equal:\n    def __eq__(self, other):\n        return True\ndef double(x):\n    return Equal()",
    ),
    ({"tests": [{"input": "3", "output": "9"}]}, "print(8)"),
    ({"tests": [{"input": "3", "output": "9"}]}, "print(9)\nraise SystemExit(1)"),
]
