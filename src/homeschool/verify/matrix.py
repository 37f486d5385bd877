"""Every test's outcome for a program, even where an earlier test ended it: one row of a matrix of programs and tests.

The sandbox stops at the test that ends the program (a crash, a time-out, `sys.exit`) and marks those after it as not
run. A verdict needs no more; a comparison of programs by the tests they pass does. So what was not run is handed in
again, in a new process, until each test has an outcome of its own.

It bounds what that may cost: after `MOST_TIMEOUTS` the tests that are left are stamped as timed out without a try.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from homeschool.core.execution import Case, Execution, Limits, Outcome, Program, Status

Run = Callable[[Program], Awaitable[Execution]]
"""As `Sandbox.run`: never raises for what a program does."""

MOST_TIMEOUTS = 3


async def outcomes(run: Run, source: str, tests: Sequence[str | Case], limits: Limits) -> list[Outcome]:
    """One outcome per test, in order, none of them `not run`.

    A program that ends before its first test gives that end to every test.
    """
    program = Program(source=source, limits=limits)
    found: list[Outcome] = []
    while len(found) < len(tests):
        execution = await run(replace(program, tests=tuple(tests[len(found) :])))
        new = _until_not_run(execution)
        found.extend(new)
        ended = Outcome(_end(execution), execution.message, execution.seconds)
        if not new:
            # Not one test was reached, and none will be.
            return [*found, *[ended] * (len(tests) - len(found))]
        if sum(outcome.status == "timeout" for outcome in found) >= MOST_TIMEOUTS:
            untried = Outcome("timeout", f"not tried after {MOST_TIMEOUTS} time-outs")
            return [*found, *[untried] * (len(tests) - len(found))]
    return found


def _until_not_run(execution: Execution) -> list[Outcome]:
    reached: list[Outcome] = []
    for outcome in execution.tests:
        if outcome.status == "not run":
            break
        reached.append(outcome)
    return reached


def _end(execution: Execution) -> Status:
    """How a program ended that reached none of its tests. To have passed, or not to have run, is no such end."""
    return "broken" if execution.status in ("passed", "not run") else execution.status
