"""Mutants of a Python program: the same program with one small bug. What a test suite is worth is how many it kills.

The operators are the usual ones of mutation testing (DeMillo, Lipton and Sayward 1978; for Python, those of mutmut,
Cosmic Ray and MutPy), one change a mutant. Every mutant compiles, and to other bytecode than the program and every
other mutant. That takes out the plainest equivalents only: whether a mutant can be killed at all is undecidable, so no
test suite is sure to reach a share of 1.

Docstrings, annotations, decorators and imports are left alone. The order is that of the program's text, and a given
seed always chooses the same ones. It refuses (SyntaxError) what is no Python.
"""

from __future__ import annotations

import ast
import random
import warnings
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from types import CodeType

from homeschool.verify.mutators import MUTATORS, Spot

_FILE = "<mutant>"


@dataclass(frozen=True, slots=True)
class Mutant:
    """One changed program. `before` and `after` are the changed piece alone, `line` where it stands in the original."""

    source: str
    kind: str
    """`comparison`, `boundary`, `constant`, ...: the names in `mutators.MUTATORS`."""
    line: int
    before: str
    after: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.kind}: {_short(self.before)} -> {_short(self.after)}"


def mutants(source: str, *, seed: int = 0, most: int | None = None) -> list[Mutant]:
    """The mutants of `source`, in the order of its text; at most `most` of them, drawn evenly by `seed`.

    `seed` also chooses which other variable a variable is mistaken for. Raises SyntaxError for what is no Python.
    """
    original = parsed(source)
    # A program may well say `x is 1`; that it does is no news to whoever runs this.
    warnings.filterwarnings("ignore", category=SyntaxWarning, module=_FILE)
    known = {_behaviour(_compiled(original))}
    found: list[Mutant] = []
    for spot in _spots(original):
        for kind, mutator in MUTATORS:
            for after in mutator(spot, random.Random(f"{seed} {kind} {spot.line} {spot.column}")):
                source = _exchanged(original, spot, after)
                behaviour = _behaviour_of(source)
                if behaviour is not None and behaviour not in known:
                    known.add(behaviour)
                    found.append(Mutant(source, kind, spot.line, ast.unparse(spot.node), ast.unparse(after)))
    if most is None or len(found) <= most:
        return found
    chosen = sorted(random.Random(seed).sample(range(len(found)), most))
    return [found[index] for index in chosen]


def parsed(source: str) -> ast.Module:
    """The syntax tree of `source`. Raises SyntaxError for whatever is wrong with it, be it a NUL or too deep a nest."""
    try:
        tree = ast.parse(source)
        _compiled(ast.parse(ast.unparse(tree)))
    except (ValueError, RecursionError, MemoryError) as error:
        raise SyntaxError(f"{type(error).__name__}: {error}") from error
    return tree


def stub(source: str) -> str:
    """`source` with every function's body replaced by `pass`: what no honest test may accept.

    Imports, classes and constants stay; all other statements outside functions go. Raises SyntaxError.
    """
    tree = parsed(source)
    kept = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign)
    tree.body = [node for node in tree.body if isinstance(node, kept)]
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            node.body = [ast.Pass()]
    return ast.unparse(tree)


def _exchanged(tree: ast.Module, spot: Spot, after: ast.AST) -> str:
    """The program with `after` in the place of the spot's node; the tree is left as it was."""
    spot.put(after)
    try:
        return ast.unparse(tree)
    finally:
        spot.put(spot.node)


def _behaviour_of(source: str) -> Hashable | None:
    """What tells one program from another; None for what does not compile."""
    try:
        return _behaviour(_compiled(ast.parse(source)))
    except (SyntaxError, ValueError):
        return None


def _compiled(tree: ast.Module) -> CodeType:
    return compile(tree, _FILE, "exec", dont_inherit=True, optimize=0)


def _behaviour(code: CodeType) -> Hashable:
    """All of a code object that can change what it does: no line numbers, no file name."""
    constants = tuple(
        _behaviour(value) if isinstance(value, CodeType) else (type(value), repr(value)) for value in code.co_consts
    )
    names = (code.co_name, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    shape = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    return (code.co_code, code.co_exceptiontable, constants, names, shape)


def _spots(tree: ast.Module) -> Iterator[Spot]:
    """Every place whose node may be exchanged, in the order of the text."""
    yield from _spots_in(tree, frozenset())


def _spots_in(parent: ast.AST, scope: frozenset[str]) -> Iterator[Spot]:
    if isinstance(parent, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        scope = _local_names(parent)
    for field, value in ast.iter_fields(parent):
        if field in ("annotation", "returns", "decorator_list", "type_comment"):
            continue
        nodes = list(enumerate(value)) if isinstance(value, list) else [(None, value)]
        for index, node in nodes:
            if not isinstance(node, ast.AST) or _untouched(parent, field, index, node):
                continue
            yield Spot(parent, field, index, node, scope)
            yield from _spots_in(node, scope)


def _untouched(parent: ast.AST, field: str, index: int | None, node: ast.AST) -> bool:
    if isinstance(node, (ast.Import, ast.ImportFrom, ast.Global, ast.Nonlocal, ast.expr_context, ast.operator)):
        return True
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return text and field == "body" and index == 0 and isinstance(parent, (*_SCOPES, ast.Module))


def _local_names(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> frozenset[str]:
    """The names a function takes or assigns, those of its inner functions and comprehensions apart."""
    names: set[str] = set()
    arguments = function.args
    for argument in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]:
        if argument is not None and argument.arg not in ("self", "cls"):
            names.add(argument.arg)
    waiting: list[ast.AST] = list(function.body) if isinstance(function.body, list) else []
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        if not isinstance(node, (*_SCOPES, *_COMPREHENSIONS)):
            waiting.extend(ast.iter_child_nodes(node))
    return frozenset(names)


_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:57] + "..."
