"""Test suites as models write them, cut into tests that stand alone, so that each can be counted by itself.

A test is one statement of the suite that checks something (it holds an `assert`, or calls a helper that does) after all
that stands before it and checks nothing: imports, data, helpers. A function `test_...` that can be called without
arguments, and a `unittest.TestCase`, is a test with all that checks nothing.

It refuses (SyntaxError) what is no Python. It does not see a check that neither asserts nor stands in such a function.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from homeschool.core.execution import Outcome
from homeschool.verify.mutants import parsed

_OWN_FAULT = re.compile(r"the test |the judge ended with code \d")
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def split(suite: str) -> list[str]:
    """The tests of a suite, each able to stand alone, in order, none twice. Raises SyntaxError."""
    body = parsed(suite).body
    defined = {node.name for node in body if isinstance(node, _DEFINITIONS) and _is_test(node)}
    helpers = _checking(body) - defined
    rest = [node for node in body if not _is_test(node) and (_defines(node) or not _checks(node, helpers | defined))]
    before: list[ast.stmt] = []
    tests: list[str] = []
    for node in body:
        if _is_test(node):
            tests.append(_source([*rest, node]))
        elif not _defines(node) and _checks(node, helpers):
            tests.append(_source([*before, node]))
        elif node in rest:
            before.append(node)
    return list(dict.fromkeys(tests))


def at_fault(outcome: Outcome) -> bool:
    """Whether a test is `broken` by its own fault, and not the sandbox's.

    It cannot be read, needs a module that is not there, or ended the process that it ran in (`os._exit(0)`).
    """
    return outcome.status == "broken" and _OWN_FAULT.match(outcome.message) is not None


def last_line(test: str) -> str:
    """The check itself, without what is set up before it: how a test is named in evidence."""
    lines = [line.strip() for line in test.splitlines() if line.strip()]
    tests = [line for line in lines if line.startswith(("def test", "class "))]
    return tests[-1] if tests else (lines[-1] if lines else "")


def _is_test(node: ast.stmt) -> bool:
    if isinstance(node, ast.ClassDef):
        return any(ast.unparse(base).rpartition(".")[2] == "TestCase" for base in node.bases)
    if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test"):
        return False
    arguments = node.args
    wanted = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    return wanted == 0 and all(default is not None for default in arguments.kw_defaults)


def _defines(node: ast.stmt) -> bool:
    return isinstance(node, _DEFINITIONS)


def _checking(body: Sequence[ast.stmt]) -> set[str]:
    """The functions that hold an assert, themselves or through another one of them."""
    functions = [node for node in body if isinstance(node, ast.FunctionDef)]
    found: set[str] = set()
    while True:
        more = {node.name for node in functions if _checks(node, found)} | found
        if more == found:
            return found
        found = more


def _checks(node: ast.AST, checking: set[str]) -> bool:
    """Whether there is an assert in a statement, or a call of one of the functions `checking`."""
    return any(
        isinstance(inner, ast.Assert)
        or (isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) and inner.func.id in checking)
        for inner in ast.walk(node)
    )


def _source(statements: list[ast.stmt]) -> str:
    return ast.unparse(ast.Module(body=statements, type_ignores=[]))
