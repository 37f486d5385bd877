"""Size gates: what grows past them is two things. An exception is a named line here, with its reason."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))

FILE_LINES = 400
FUNCTION_LINES = 80
PARAMETERS = 8
DEPTH = 2
CONFIG_FIELDS = 12

EXCEPTIONS: dict[str, str] = {}
"""`folder/file.py` or `folder/file.py:name` -> why it may be larger."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def place(path: Path, name: str = "") -> str:
    inside = path.relative_to(ROOT / "src" / "homeschool").as_posix()
    return f"{inside}:{name}" if name else inside


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in SOURCES:
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def parameters(function: Function) -> int:
    """Named parameters, without `self` and `cls`."""
    names = [arg.arg for arg in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


def is_config(path: Path, node: ast.ClassDef) -> bool:
    """A dataclass a person fills in: all those of a `settings.py`, and any called Config or Settings."""
    named = path.stem == "settings" or node.name.endswith(("Config", "Settings"))
    return named and any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)


def bases_of(node: ast.ClassDef) -> list[str]:
    """Base names, generics stripped and the last part of a dotted one."""
    return [ast.unparse(base).split("[")[0].rsplit(".", 1)[-1] for base in node.bases]


def depth(name: str, bases: dict[str, list[str]], seen: tuple[str, ...] = ()) -> int:
    """Classes of ours above and including `name`; a base from outside counts nothing."""
    if name not in bases or name in seen:
        return 0
    return 1 + max((depth(base, bases, (*seen, name)) for base in bases[name]), default=0)


def check(found: dict[str, int], limit: int) -> None:
    over = {where: size for where, size in found.items() if size > limit and where not in EXCEPTIONS}
    assert not over, f"over {limit}: {over}"


def test_files_are_short() -> None:
    assert SOURCES
    check({place(path): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}, FILE_LINES)


def test_functions_are_short() -> None:
    found: dict[str, int] = {}
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, Function):
                where = place(path, node.name)
                found[where] = max(found.get(where, 0), (node.end_lineno or 0) - node.lineno + 1)
    check(found, FUNCTION_LINES)


def test_functions_take_few_parameters() -> None:
    found: dict[str, int] = {}
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, Function):
                where = place(path, node.name)
                found[where] = max(found.get(where, 0), parameters(node))
    check(found, PARAMETERS)


def test_inheritance_is_flat() -> None:
    classes = [
        (place(path, n.name), n) for path, tree in trees() for n in ast.walk(tree) if isinstance(n, ast.ClassDef)
    ]
    bases = {node.name: bases_of(node) for _, node in classes}
    check({where: depth(node.name, bases) for where, node in classes}, DEPTH)


def test_configs_have_few_fields() -> None:
    found = {
        place(path, node.name): sum(isinstance(item, ast.AnnAssign) for item in node.body)
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and is_config(path, node)
    }
    check(found, CONFIG_FIELDS)


def test_every_exception_is_needed_and_has_a_reason() -> None:
    places = {place(path) for path in SOURCES}
    for where, reason in EXCEPTIONS.items():
        assert where.split(":")[0] in places, f"{where} is gone: take its line out"
        assert len(reason) > 10, f"{where} needs a reason"


@pytest.mark.parametrize(
    ("source", "expected"),
    [("def f(self, a, /, b, *, c, **d): ...", 3), ("async def f(): ...", 0)],
)
def test_the_gate_counts_parameters(source: str, expected: int) -> None:
    function = ast.parse(source).body[0]
    assert isinstance(function, Function)
    assert parameters(function) == expected


def test_the_gate_counts_depth() -> None:
    assert depth("C", {"A": ["Exception"], "B": ["A"], "C": ["B"]}) == 3
