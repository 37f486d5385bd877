"""Tests that say what they saw: `assert f(3) == 4` fails with `f(3) == 4: got 5`, not with nothing.

A comparison in an `assert` keeps both its sides, each evaluated once, as always. And tests that only define
(`def test_x()`, `unittest.TestCase`) are run, so that a suite that is never called cannot pass.
"""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import CodeType
from typing import Any

_LEFT, _RIGHT, _SHOW = "_left_", "_right_", "_seen_"


@dataclass(frozen=True)
class Test:
    """The source of a test, as code, or why it cannot be."""

    source: str
    code: CodeType | None
    error: str = ""
    plain: bool = True
    subject: str = ""
    """The one name it uses, if that is a built-in's: then it may be the program's function that is meant."""

    @staticmethod
    @functools.lru_cache(maxsize=64)
    def read(source: str) -> Test:
        """Samples of one problem come one after the other, and have the same tests."""
        try:
            tree = ast.parse(source, "test.py")
            nodes = list(ast.walk(tree))
            plain, subject = is_plain(nodes), _subject(nodes)
            _keep_sides(nodes)
            return Test(source, compile(tree, "test.py", "exec", dont_inherit=True), plain=plain, subject=subject)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            return Test(source, None, f"{type(error).__name__}: {error}"[:500])


# fmt: off
PLAIN = (
    ast.Module, ast.Expr, ast.Assert, ast.Assign, ast.AugAssign, ast.FunctionDef, ast.arguments, ast.arg, ast.Return,
    ast.For, ast.If, ast.IfExp, ast.Pass, ast.Break, ast.Continue, ast.Call, ast.keyword, ast.Name, ast.Constant,
    ast.Tuple, ast.List, ast.Dict, ast.Set, ast.Starred, ast.Subscript, ast.Slice, ast.Compare, ast.BoolOp, ast.BinOp,
    ast.UnaryOp, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.comprehension, ast.expr_context,
    ast.boolop, ast.operator, ast.unaryop, ast.cmpop, ast.JoinedStr, ast.FormattedValue,
)
# fmt: on
HARMLESS = frozenset(
    [
        "abs",
        "all",
        "any",
        "bool",
        "dict",
        "divmod",
        "enumerate",
        "float",
        "frozenset",
        "int",
        "isinstance",
        "len",
        "list",
        "max",
        "min",
        "pow",
        "print",
        "range",
        "repr",
        "reversed",
        "round",
        "set",
        "sorted",
        "str",
        "sum",
        "tuple",
        "zip",
        "ArithmeticError",
        "AssertionError",
        "Exception",
        "IndexError",
        "KeyError",
        "TypeError",
        "ValueError",
        "ZeroDivisionError",
    ]
)
_BUILTINS = frozenset(vars(builtins))


def is_plain(nodes: Iterable[ast.AST]) -> bool:
    """Whether a test can do nothing but compute and compare: no attributes, imports or classes, no built-in function
    but a few. After such a test the judge is as it was before.
    """
    for node in nodes:
        if isinstance(node, ast.Name):
            if node.id.startswith("_") or (node.id in _BUILTINS and not _harmless(node)):
                return False
        elif not isinstance(node, PLAIN) or (isinstance(node, ast.FunctionDef) and node.decorator_list):
            return False
    return True


def _harmless(name: ast.Name) -> bool:
    return name.id in HARMLESS and isinstance(name.ctx, ast.Load)


def _subject(nodes: Iterable[ast.AST]) -> str:
    """`sum` of `assert sum([1, 2]) == 3`. A test that names anything else means the real built-ins by their names."""
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, (ast.alias, ast.arg, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            return ""
    return names.pop() if len(names) == 1 and names <= _BUILTINS else ""


def _keep_sides(nodes: Iterable[ast.AST]) -> None:
    """`assert a == b` becomes `assert (left := a) == (right := b), ("_seen_", left, right)`, in place."""
    nodes = list(nodes)
    # In a class body a walrus would become an attribute.
    bodies = {id(each) for node in nodes if isinstance(node, ast.ClassDef) for each in node.body}
    for node in nodes:
        if not isinstance(node, ast.Assert) or node.msg is not None or id(node) in bodies:
            continue
        test = node.test
        if isinstance(test, ast.Compare) and len(test.ops) == 1 and not _binds(test):
            place = {"lineno": node.lineno, "col_offset": 0, "end_lineno": node.end_lineno, "end_col_offset": 0}
            test.left = ast.NamedExpr(ast.Name(_LEFT, ast.Store(), **place), test.left, **place)
            test.comparators = [ast.NamedExpr(ast.Name(_RIGHT, ast.Store(), **place), test.comparators[0], **place)]
            seen: list[ast.expr] = [ast.Constant(_SHOW, **place)]
            seen += [ast.Name(name, ast.Load(), **place) for name in (_LEFT, _RIGHT)]
            node.msg = ast.Tuple(seen, ast.Load(), **place)


def _binds(test: ast.expr) -> bool:
    """Whether it has a walrus, await or yield of its own, which are left as they stand."""
    return any(isinstance(node, (ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)) for node in ast.walk(test))


def shown(error: BaseException, source: str) -> str:
    """One line on what a test raised: the line of the test, and what was seen there."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "test.py"]
    place = source.splitlines()[lines[-1] - 1].strip()[:300] if lines and lines[-1] else ""
    arguments = error.args[0] if isinstance(error, AssertionError) and error.args else None
    if isinstance(arguments, tuple) and len(arguments) == 3 and arguments[0] == _SHOW:
        return f"{place}: got {_short(arguments[1])}, want {_short(arguments[2])}"
    if isinstance(error, AssertionError):
        said = _text(error)
        return f"{place}: {said}" if said else place
    text = _text(error)
    kind = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return f"{place}: {kind}" if place else kind


def _short(value: Any) -> str:
    try:
        return f"{value!r:.200}"
    except BaseException:  # a value of the program's may raise when it is shown
        return f"a {type(value).__name__} that cannot be shown"


def _text(error: BaseException) -> str:
    try:
        return str(error)[:300]
    except BaseException:
        return ""


def run_defined(names: Mapping[str, Any]) -> None:
    """Call what a test file defines and does not call itself: functions `test_*` and unittest's cases."""
    for name, value in list(names.items()):
        if name.startswith("test") and inspect.isfunction(value) and not _wants(value):
            value()
    if "unittest" in names or any(_is_case(value) for value in names.values()):
        import unittest

        for value in list(names.values()):
            if _is_case(value) and value is not unittest.TestCase:
                _run_case(unittest, value)


def _wants(function: Any) -> bool:
    """Whether it cannot be called without arguments."""
    empty, kinds = inspect.Parameter.empty, (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return any(p.default is empty and p.kind not in kinds for p in inspect.signature(function).parameters.values())


def _is_case(value: Any) -> bool:
    return isinstance(value, type) and any(base.__name__ == "TestCase" for base in value.__mro__[1:])


def _run_case(unittest: Any, case: Any) -> None:
    """Run one unittest class; its first failure is raised."""

    class First(unittest.TestResult):
        def addError(self, test: Any, err: Any) -> None:
            self.stop()
            self.found = err[1]

        addFailure = addError

    result = First()
    result.found = None
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    if result.found is not None:
        raise result.found
