"""What a hostile program is to the tests: a program, the statuses it may come to, and what must not be seen of it.

Whatever a program here would do to a machine without a wall is bounded (forks, bytes, seconds), so that a hole in the
wall costs a failed test and not the machine. None of them is ever run outside a sandbox.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from homeschool.core.execution import Case, Execution, Limits, Program

LIMITS = Limits(seconds=0.3, memory_mb=256, processes=32, output_kb=64)
"""Short, for there are many of them: 1.6 seconds by the clock."""
QUICK = replace(LIMITS, seconds=0.1)
"""For those that are to run out of time."""

PRELUDE = """
import json, os, signal, socket, sys, threading, time
with open("told.json") as _file:
    told = json.load(_file)
def attempt(what, act):
    try:
        print("GOT", what, repr(act())[:200], flush=True)
    except Exception:
        pass
"""
"""Before each script: what the test planted (paths, ports, process ids, system calls), and a word on what was got."""

RAW = """
import ctypes
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
def call(name, *arguments):
    number = told["calls"].get(name)
    if number is None:
        raise OSError(38, "this machine has no such call")
    longs = [a if isinstance(a, (bytes, ctypes.Array)) else ctypes.c_long(a) for a in arguments]
    result = _libc.syscall(ctypes.c_long(number), *longs)
    if result == -1:
        raise OSError(ctypes.get_errno(), name)
    return result
"""
"""System calls by number, for scripts."""

ADD = ("assert add(2, 3) == 5", "assert add(10, -4) == 6", "assert [add(1, 1), add(2, 2)] == [2, 4]")
"""The tests that forgers face unless it says otherwise."""


WRONG = "\ndef add(a, b): return 0\n"
"""After whatever is done to be believed."""
ENDED = "exit crash error failed timeout output memory"
"""Any end will do but a pass; `broken` would blame the sandbox for it."""
REFUSED = "failed error crash"


@dataclass(frozen=True, slots=True)
class Attack:
    """`ends`: the statuses it may come to. `finishes`: it must print TRIED, or else it has proved nothing."""

    name: str
    program: Program
    ends: frozenset[str]
    finishes: bool = False
    check: Callable[[Execution], object] | None = None
    """Raises AssertionError for what should not be."""


def script(name: str, source: str, ends: str = "passed", *, raw: bool = False, limits: Limits | None = None) -> Attack:
    """Tries and gets nothing. One that may end otherwise than well need not come to its end."""
    setup = PRELUDE + (RAW if raw else "")
    finishes = ends == "passed"
    text = f"{source}\nprint('TRIED', flush=True)\n" if finishes else source
    program = Program(source=text, setup=setup, limits=limits or within(ends))
    return Attack(name, program, frozenset(ends.split()), finishes)


def forger(
    name: str,
    source: str,
    ends: str = "failed",
    *,
    tests: tuple[str | Case, ...] = ADD,
    limits: Limits | None = None,
) -> Attack:
    """A program that cannot do what its tests ask, and wants to be believed: no test may pass."""
    program = Program(source=source, tests=tests, limits=limits or within(ends))
    return Attack(name, program, frozenset(ends.split()), check=none_passed)


def within(ends: str) -> Limits:
    return QUICK if ends == "timeout" else LIMITS


def none_passed(execution: Execution) -> None:
    believed = [number for number, test in enumerate(execution.tests) if test.status == "passed"]
    assert not believed, f"tests {believed} were passed by a program that cannot do it: {execution}"
