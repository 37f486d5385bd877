"""What comes of small programs, one kind after the other, in a real sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from homeschool.core.errors import RefusedError, UsageError
from homeschool.core.execution import Case, Execution, Limits, Program, Status
from homeschool.sandbox.pool import Sandbox

ADDS = "def f(x):\n    return x + 1\n"
TEST = ("assert f(1) == 2",)
UNITTEST = """
import unittest

class TestF(unittest.TestCase):
    def test_one(self):
        self.assertEqual(f(1), 3)
"""
BRIEF = Limits(seconds=0.3, memory_mb=256)

TESTED: dict[str, tuple[Program, list[Status], str]] = {
    "passed": (Program(ADDS, TEST), ["passed"], ""),
    "failed": (Program("def f(x):\n    return [x]", ("assert f(1) == [1, 2]",)), ["failed"], "got [1], want [1, 2]"),
    "one of three": (
        Program(ADDS, (*TEST, "assert f(2) == 4", *TEST)),
        ["passed", "failed", "passed"],
        "got 3, want 4",
    ),
    "error in a call": (Program("def f(x):\n    return x / 0", TEST), ["error"], "ZeroDivisionError: division by zero"),
    "error when loaded": (Program(f"{ADDS}y = 1\nz = y / 0", TEST), ["not run"], "division by zero (line 4)"),
    "no such function": (Program("g = 1", TEST), ["error"], "name 'f' is not defined"),
    "broken syntax": (Program("def f(x):\n    return x +", TEST), ["not run"], "SyntaxError: invalid syntax (line 2)"),
    "missing module": (Program("import numpyx\n" + ADDS, TEST), ["not run"], "No module named 'numpyx' (line 1)"),
    "too deep": (Program("def f(x):\n    return f(x)", TEST), ["error"], "RecursionError"),
    "exit when loaded": (Program("import sys\nsys.exit(3)\n" + ADDS, TEST), ["not run"], "while it was loaded (3)"),
    "exit in a call": (Program("import sys\ndef f(x):\n    sys.exit(0)", TEST), ["exit"], "SystemExit(0)"),
    "hard exit when loaded": (Program("import os\nos._exit(0)\n" + ADDS, TEST), ["not run"], "exit code 0"),
    "hard exit in a call": (Program("import os\ndef f(x):\n    os._exit(7)", TEST), ["exit"], "exit code 7"),
    "exit between tests": (
        Program(
            "import os\ndef f(x):\n    return x + 1 if x == 1 else os._exit(0)", (*TEST, "assert f(2) == 3", *TEST)
        ),
        ["passed", "exit", "not run"],
        "exit code 0",
    ),
    "time-out in the program": (Program("def f(x):\n    while True: pass", TEST, limits=BRIEF), ["timeout"], ""),
    "time-out asleep": (Program("import time\ndef f(x):\n    time.sleep(99)", TEST, limits=BRIEF), ["timeout"], ""),
    "time-out in the test": (Program(ADDS, ("f(1)\nwhile True: pass",), limits=BRIEF), ["timeout"], ""),
    "time-out when loaded": (Program("while True: pass\n" + ADDS, TEST, limits=BRIEF), ["not run"], ""),
    "crash": (Program("import ctypes\ndef f(x):\n    ctypes.string_at(0)", TEST), ["crash"], "SIGSEGV"),
    "memory in a call": (
        Program("def f(x):\n    return [0] * (1 << 28)", TEST, limits=BRIEF),
        ["memory"],
        "MemoryError",
    ),
    "memory when loaded": (Program("a = [0] * (1 << 28)\n" + ADDS, TEST, limits=BRIEF), ["not run"], "MemoryError"),
    "output": (Program("def f(x):\n    return 'a' * (5 << 20)", TEST), ["output"], "4194304 are allowed"),
    "unused": (Program(ADDS, ("assert 1 == 1",)), ["unused"], "never looks at the program"),
    "a test that cannot be read": (Program(ADDS, ("assert f(1) ==",)), ["broken"], "the test cannot be read"),
    "a test without its module": (Program(ADDS, ("import numpyx\nassert f(1) == 2",)), ["broken"], "numpyx"),
    "a test that ends its process": (Program(ADDS, ("import os\nf(1)\nos._exit(0)",)), ["broken"], "code 0"),
    "a test that exits well": (Program(ADDS, ("import sys\nassert f(1) == 2\nsys.exit(0)",)), ["passed"], ""),
    "test functions are run": (
        Program(ADDS, ("def test_one():\n    assert f(1) == 2\n\ndef test_two():\n    assert f(2) == 4",)),
        ["failed"],
        "got 3, want 4",
    ),
    "unittest is run": (
        Program(ADDS, (UNITTEST,)),
        ["failed"],
        "2 != 3",
    ),
    "setup's names are the program's and the tests'": (
        Program("def f(x):\n    return x + ONE", ("assert f(1) == 1 + ONE",), setup="ONE = 1"),
        ["passed"],
        "",
    ),
    "files": (
        Program("def f():\n    return open('a/b.txt').read()", ("assert f() == 'text'",), files={"a/b.txt": "text"}),
        ["passed"],
        "",
    ),
    "cases": (
        Program(
            "print(int(input()) ** 2)", (Case("3", "9"), Case("4\n", " 16"), Case("5", "26"), Case("6", "36 \n\n"))
        ),
        ["passed", "failed", "failed", "passed"],
        "printed '16\\n', not ' 16'",
    ),
    "a case that fails after printing": (
        Program("print(9)\nraise KeyError(1)", (Case("", "9"),)),
        ["error"],
        "KeyError",
    ),
    "a case in time": (Program("while True: pass", (Case("", ""),), limits=BRIEF), ["timeout"], ""),
}
WHEN_LOADED: dict[str, Status] = {
    "error when loaded": "error",
    "broken syntax": "error",
    "missing module": "error",
    "exit when loaded": "exit",
    "hard exit when loaded": "exit",
    "time-out when loaded": "timeout",
    "memory when loaded": "memory",
}
"""No test was reached: what the whole execution came to."""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=1, cache=None) as made:
        try:
            made.submit(Program("print(1)")).result(timeout=60)
        except RefusedError as error:
            if "no sandbox can be had" not in error.message:
                raise
            pytest.skip(error.message)
        yield made


def run(sandbox: Sandbox, program: Program) -> Execution:
    return sandbox.submit(program).result(timeout=60)


@pytest.mark.parametrize("name", TESTED)
def test_a_program_with_tests(name: str, sandbox: Sandbox) -> None:
    program, statuses, message = TESTED[name]
    execution = run(sandbox, program)
    assert [test.status for test in execution.tests] == statuses, execution
    first = next((test for test in execution.tests if test.status != "passed"), None)
    assert execution.status == WHEN_LOADED.get(name, first.status if first else "passed"), execution
    assert message in execution.message, execution
    assert message or not execution.message
    assert len(execution.message) <= 1000
    assert all(0 <= test.seconds < 10 for test in execution.tests)


def test_a_script_and_what_it_is_given(sandbox: Sandbox) -> None:
    source = "import sys\nprint(sys.stdin.read().upper())\nprint('seen', file=sys.stderr)"
    execution = run(sandbox, Program(source, stdin="ab\ncä"))
    assert (execution.status, execution.stdout, execution.stderr) == ("passed", "AB\nCÄ\n", "seen\n")
    assert execution.exit_code == 0
    assert execution.peak_mb > 1


def test_a_script_that_raises_has_its_own_lines_in_the_traceback(sandbox: Sandbox) -> None:
    execution = run(sandbox, Program("x = 1\nraise ValueError('bad')"))
    assert (execution.status, execution.message, execution.exit_code) == ("error", "ValueError: bad", 1)
    assert execution.stderr.splitlines()[1] == '  File "program.py", line 2, in <module>'


@pytest.mark.parametrize(
    ("source", "status", "code"),
    [
        ("raise SystemExit(4)", "error", 4),
        ("import sys; sys.exit('no')", "error", 1),
        ("import os; os._exit(0)", "passed", 0),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", "crash", -15),
        ("x = [0] * (1 << 40)", "memory", 1),
    ],
)
def test_how_a_script_ends(source: str, status: str, code: int, sandbox: Sandbox) -> None:
    execution = run(sandbox, Program(source))
    assert (execution.status, execution.exit_code) == (status, code), execution


def test_a_script_that_prints_too_much_is_cut(sandbox: Sandbox) -> None:
    execution = run(sandbox, Program("while True: print('a' * 1000)", limits=Limits(output_kb=10)))
    assert execution.status == "output"
    assert len(execution.stdout) == 10 << 10


def test_a_command(sandbox: Sandbox) -> None:
    files = {"note.txt": "from a file"}
    execution = run(sandbox, Program(argv=("sh", "-c", "cat; cat note.txt; exit 3"), stdin="in ", files=files))
    assert (execution.status, execution.stdout, execution.exit_code) == ("error", "in from a file", 3)
    missing = run(sandbox, Program(argv=("no-such-command",)))
    assert (missing.status, missing.exit_code) == ("error", 127)
    assert "no-such-command: No such file" in missing.message


def test_what_one_program_leaves_the_next_does_not_find(sandbox: Sandbox) -> None:
    leaves = "import os\nopen('left', 'w').write('x')\nos.chdir('/dev/shm')\nos.makedirs('left')\nos.chdir('/tmp')\n"
    leaves += "open('too', 'w').write('x')"
    assert run(sandbox, Program(leaves)).status == "passed"
    looks = "import os\nprint(os.listdir('.'), os.listdir('/tmp'), os.listdir('/dev/shm'))"
    assert run(sandbox, Program(looks)).stdout == "[] [] []\n"
    assert run(sandbox, Program(files={"kept": ""}, source=looks)).stdout == "['kept'] ['kept'] []\n"


def test_what_one_program_changes_in_python_the_next_does_not_see(sandbox: Sandbox) -> None:
    spoils = "import builtins, json\nbuiltins.sorted = None\njson.dumps = None\ndef f(x):\n    return sorted"
    assert run(sandbox, Program(spoils, ("assert f(1) is None",))).status == "passed"
    honest = "import json\ndef f(x):\n    return sorted(json.dumps(x))"
    assert run(sandbox, Program(honest, ("assert f(10) == ['0', '1']",))).status == "passed"


@pytest.mark.parametrize(
    "wrong",
    [
        {"files": {"../out.txt": "x"}},
        {"files": {"a": "1", "a/b": "2"}},
        {"files": {"a\0b": "1"}},
        {"stdin": b"1"},
        {"tests": ("assert 1", Case("1", "1"))},
        {"argv": ("ls",)},
    ],
)
def test_what_cannot_be_run_is_refused_where_it_is_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Program("print(1)", **wrong)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), "1", True])
def test_a_limit_is_a_number_above_0(seconds: Any) -> None:
    with pytest.raises(UsageError, match="seconds"):
        Limits(seconds=seconds)
