"""What the sandbox promises, kept in this very process: for the trusted programs of tests, which neither loop nor exit
the hard way. Tests share the program's names here; nothing else may be learnt from it about isolation.
"""

from __future__ import annotations

import ast
import contextlib
import io
from dataclasses import dataclass, field
from typing import Any

from homeschool.core.execution import Case, Execution, Outcome, Program


@dataclass
class PlainSandbox:
    """`run` counts what it was asked; a program that says FAULT is the sandbox's own fault."""

    asked: list[Program] = field(default_factory=list[Program])

    async def run(self, program: Program) -> Execution:
        self.asked.append(program)
        if "FAULT" in program.source:
            found = tuple(Outcome("broken", "a box died") for _ in program.tests)
            return Execution("broken", "a box died", found)
        space: dict[str, Any] = {"__name__": "program"}
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            loaded = _try(program.source, space)
        if not program.tests:
            return Execution(loaded.status, loaded.message, stdout=printed.getvalue())
        outcomes: list[Outcome] = []
        for test in program.tests:
            ended = loaded if loaded.status != "passed" else self._test(test, space)
            outcomes.append(ended)
            if ended.status in ("exit", "timeout", "crash") or loaded.status != "passed":
                break
        outcomes += [Outcome("not run")] * (len(program.tests) - len(outcomes))
        first = next((outcome for outcome in outcomes if outcome.status != "passed"), outcomes[0])
        return Execution(first.status, first.message, tuple(outcomes))

    def _test(self, test: str | Case, space: dict[str, Any]) -> Outcome:
        assert isinstance(test, str)
        try:
            names = {node.id for node in ast.walk(ast.parse(test)) if isinstance(node, ast.Name)}
        except SyntaxError as error:
            return Outcome("broken", f"the test cannot be read: {error}")
        own = dict(space)
        ended = _try(test, own)
        for name, value in own.items():
            if ended.status == "passed" and name.startswith("test") and callable(value) and name not in space:
                names |= set(value.__code__.co_names)
                ended = _try(f"{name}()", own)
        if ended.status == "passed" and not names & (set(space) - {"__name__", "__builtins__"}):
            return Outcome("unused", "the test never looks at the program")
        return ended


def _try(source: str, space: dict[str, Any]) -> Outcome:
    try:
        exec(source, space)
    except AssertionError as error:
        return Outcome("failed", str(error))
    except SystemExit:
        return Outcome("exit")
    except TimeoutError:
        return Outcome("timeout")
    except ModuleNotFoundError as error:
        return Outcome("broken", f"the test needs a module that the sandbox has not: {error.name}")
    except Exception as error:
        return Outcome("error", f"{type(error).__name__}: {error}")
    return Outcome("passed")
