"""What is kept of executions, under which key, and for how long."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from homeschool.core.execution import Case, Execution, Limits, Outcome, Program, Status
from homeschool.sandbox import cache
from homeschool.sandbox.cache import Cache, key_of
from homeschool.sandbox.world import Interpreter

PYTHON = Interpreter("/usr/bin/python3", "3.11", (), ())
PROGRAM = Program("def f(x):\n    return x", ("assert f(1) == 1",))
PASSED = Execution("passed", tests=(Outcome("passed", seconds=0.25),), seconds=0.5, peak_mb=1.5, isolation="namespaces")


def came_to(status: Status, *tests: Status) -> Execution:
    return Execution(status, tests=tuple(Outcome(test) for test in tests), isolation="bubblewrap")


def test_the_key_is_made_of_all_that_decides_what_comes_of_a_program() -> None:
    others = [
        replace(PROGRAM, source="def f(x):\n    return 1"),
        replace(PROGRAM, tests=("assert f(1) == 2",)),
        replace(PROGRAM, tests=("assert f(1) == 1", "assert f(2) == 2")),
        replace(PROGRAM, tests=(Case("1", "1"),)),
        replace(PROGRAM, tests=(Case("1", "2"),)),
        replace(PROGRAM, setup="import math"),
        replace(PROGRAM, stdin="1"),
        Program(argv=("ls",)),
        Program(argv=("ls", "-l")),
        replace(PROGRAM, files={"a": "b"}),
        *(replace(PROGRAM, limits=limits) for limits in (Limits(seconds=1), Limits(memory_mb=64))),
        *(replace(PROGRAM, limits=limits) for limits in (Limits(processes=8), Limits(output_kb=1))),
    ]
    pythons = [replace(PYTHON, path="/opt/python"), replace(PYTHON, version="3.12")]
    keys = [key_of(program, PYTHON) for program in (PROGRAM, *others)] + [key_of(PROGRAM, each) for each in pythons]
    assert len(set(keys)) == len(keys)
    assert key_of(Program(PROGRAM.source, PROGRAM.tests), PYTHON) == keys[0]


def test_another_sandbox_is_another_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = tmp_path / "sandbox" / "inside"
    inside.mkdir(parents=True)
    monkeypatch.setattr(cache, "INSIDE", inside)
    keys: list[str] = []
    for file, text in ((inside / "judge.py", "1"), (inside / "judge.py", "2"), (inside.parent / "pool.py", "1")):
        file.write_text(text, encoding="utf-8")
        cache._version.cache_clear()
        keys.append(key_of(PROGRAM, PYTHON))
    monkeypatch.undo()
    cache._version.cache_clear()
    assert len({*keys, key_of(PROGRAM, PYTHON)}) == 4


@pytest.mark.parametrize(
    "execution", [PASSED, came_to("failed", "failed", "passed"), came_to("exit", "exit", "not run")]
)
def test_what_another_run_would_give_is_kept(execution: Execution) -> None:
    kept = Cache()
    assert kept.get(PROGRAM, PYTHON) is None
    kept.put(PROGRAM, PYTHON, execution)
    assert kept.get(PROGRAM, PYTHON) == execution


@pytest.mark.parametrize(
    "execution",
    [
        came_to("timeout", "timeout"),
        came_to("memory", "memory"),
        came_to("crash", "crash"),
        came_to("output", "output"),
        came_to("broken", "broken"),
        came_to("failed", "failed", "broken"),
        came_to("error", "error", "timeout", "not run"),
        replace(PASSED, isolation="none"),
    ],
)
def test_what_depends_on_the_moment_or_on_us_is_not(execution: Execution, tmp_path: Path) -> None:
    kept = Cache(tmp_path / "cache.db")
    kept.put(PROGRAM, PYTHON, execution)
    assert kept.get(PROGRAM, PYTHON) is None
    assert Cache(tmp_path / "cache.db").get(PROGRAM, PYTHON) is None


def test_the_least_recently_used_goes_first() -> None:
    kept = Cache(most=3)
    programs = [replace(PROGRAM, source=str(number)) for number in range(4)]
    for program in programs[:3]:
        kept.put(program, PYTHON, PASSED)
    assert kept.get(programs[0], PYTHON) is not None
    kept.put(programs[3], PYTHON, PASSED)
    assert [kept.get(program, PYTHON) is not None for program in programs] == [True, False, True, True]


def test_a_file_outlives_the_process_and_what_memory_has_let_go(tmp_path: Path) -> None:
    file = tmp_path / "new folder" / "cache.db"
    first = Cache(file, most=1)
    programs = [replace(PROGRAM, source=str(number)) for number in range(5)]
    for number, program in enumerate(programs):
        first.put(program, PYTHON, replace(PASSED, stdout=f"line {number}\n\ud800"))
    for kept in (first, Cache(file)):
        found = [kept.get(program, PYTHON) for program in programs]
        assert found == [replace(PASSED, stdout=f"line {number}\n\ud800") for number in range(5)]


def test_a_file_that_is_busy_costs_the_entry_and_nothing_else(tmp_path: Path) -> None:
    kept = Cache(tmp_path / "cache.db")
    assert kept._file is not None
    kept._file.execute("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(tmp_path / "cache.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    kept.put(PROGRAM, PYTHON, PASSED)
    other.execute("ROLLBACK")
    assert kept.get(PROGRAM, PYTHON) == PASSED, "memory has it"
    assert Cache(tmp_path / "cache.db").get(PROGRAM, PYTHON) is None


def test_many_threads_share_one(tmp_path: Path) -> None:
    kept, wrong = Cache(tmp_path / "cache.db", most=10), list[str]()

    def work(start: int) -> None:
        for number in range(start, start + 40):
            program, execution = replace(PROGRAM, source=str(number)), replace(PASSED, stdout=str(number))
            kept.put(program, PYTHON, execution)
            if kept.get(program, PYTHON) != execution:
                wrong.append(str(number))

    threads = [threading.Thread(target=work, args=(20 * number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert wrong == []
    assert [kept.get(replace(PROGRAM, source=str(n)), PYTHON) for n in range(100)] == [
        replace(PASSED, stdout=str(n)) for n in range(100)
    ]
