"""Mutants: one small bug each, always new, always Python, always the same ones."""

from __future__ import annotations

import ast
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeschool.verify.mutants import mutants, parsed, stub

PROGRAM = '''\
"""Module text."""
from math import floor

LIMIT: int = 10


@staticmethod
def pick(items: list[int], low: int = 0, *, wide: bool = False) -> "int":
    """Function text."""
    total = 0
    for index in range(low, len(items)):
        if items[index] <= LIMIT and not wide:
            continue
        if total > 99 or wide:
            break
        total += items[index] * 2
    try:
        total = floor(min(total, low) / 2)
    except ZeroDivisionError:
        return -1
    return items[1:total] if wide else ("none" + str(total))
'''


@cache
def changes() -> set[tuple[str, str, str]]:
    return {(mutant.kind, mutant.before, mutant.after) for mutant in mutants(PROGRAM)}


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("boundary", "items[index] <= LIMIT", "items[index] < LIMIT"),
        ("comparison", "items[index] <= LIMIT", "items[index] > LIMIT"),
        ("boundary", "range(low, len(items))", "range(low, len(items) - 1)"),
        ("arithmetic", "items[index] * 2", "items[index] // 2"),
        ("augmented", "total += items[index] * 2", "total -= items[index] * 2"),
        ("augmented", "total += items[index] * 2", "total = items[index] * 2"),
        ("boolean", "total > 99 or wide", "total > 99 and wide"),
        ("boolean", "total > 99 or wide", "wide"),
        ("not", "not wide", "wide"),
        ("sign", "-1", "1"),
        ("condition", "total > 99 or wide", "True"),
        ("condition", "total > 99 or wide", "not (total > 99 or wide)"),
        ("constant", "99", "100"),
        ("constant", "99", "98"),
        ("constant", "'none'", "'nonex'"),
        ("constant", "False", "True"),
        ("return", "-1", "None"),
        ("statement", "total += items[index] * 2", "pass"),
        ("loop", "break", "continue"),
        ("loop", "continue", "break"),
        ("index", "index", "index + 1"),
        ("slice", "1:total", "1:"),
        ("slice", "1:total", "0:total"),
        ("arguments", "min(total, low)", "min(low, total)"),
        ("function", "min", "max"),
        ("exception", "except ZeroDivisionError:\n    return -1", "except ZeroDivisionError:\n    pass"),
    ],
)
def test_every_operator_makes_its_bug(kind: str, before: str, after: str) -> None:
    assert (kind, before, after) in changes()


def test_a_variable_is_mistaken_for_another_of_its_function_only() -> None:
    found = {(before, after) for kind, before, after in changes() if kind == "variable"}
    names = {"items", "low", "wide", "total", "index"}
    assert found and all(before in names and after in names and before != after for before, after in found)


def test_texts_annotations_decorators_and_imports_are_left_alone() -> None:
    for mutant in mutants(PROGRAM):
        for kept in ('"""Module text."""', '"""Function text."""', "LIMIT: int", "items: list[int]", "-> 'int'"):
            assert kept in mutant.source
        assert "@staticmethod\n" in mutant.source and "from math import floor" in mutant.source


def test_each_is_one_new_program_that_compiles_and_remembers_its_line() -> None:
    found = mutants(PROGRAM)
    sources = {mutant.source for mutant in found}
    assert len(sources) == len(found) > 60
    assert ast.unparse(ast.parse(PROGRAM)) not in sources
    lines = PROGRAM.splitlines()
    for mutant in found:
        compile(mutant.source, "mutant", "exec")
        assert mutant.before.split("(")[0].split("\n")[0].split(" ")[0].strip("'-") in lines[mutant.line - 1]


def test_what_compiles_to_the_same_is_no_mutant() -> None:
    assert mutants("x = 1\n'a text that is never read'\n") == mutants("x = 1\n'a text that is never read'")
    # What stands after a return is dead: whatever is changed in it, the compiler drops it.
    assert not any(mutant.before == "99" for mutant in mutants("def f():\n    return 1\n    return 99\n"))
    assert mutants("") == mutants("pass") == []


def test_the_seed_chooses_and_the_order_is_the_texts() -> None:
    every = mutants(PROGRAM, seed=3)
    some = mutants(PROGRAM, seed=3, most=10)
    assert some == mutants(PROGRAM, seed=3, most=10) and len(some) == 10
    assert [mutant for mutant in every if mutant in some] == some
    assert some != mutants(PROGRAM, seed=4, most=10)


@pytest.mark.parametrize("source", ["def f(", "\x00", "(" * 500, "x = " + "-" * 200_000 + "1", "return 1"])
def test_what_is_no_python_is_a_syntax_error(source: str) -> None:
    with pytest.raises(SyntaxError):
        mutants(source)


def test_a_stub_has_the_names_and_no_bodies() -> None:
    gutted = stub(PROGRAM + "\nclass A:\n    size = 3\n    def f(self):\n        return 1\n\nprint(pick([1]))\n")
    space: dict[str, object] = {}
    exec(gutted, space)
    made = space["A"]
    assert isinstance(made, type) and made.size == 3 and made().f() is None and space["LIMIT"] == 10  # pyright: ignore
    assert "print" not in gutted and "floor" in gutted


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet="abxy0129 =+-*<>()[]:,.\n'", max_size=80))
def test_any_text_gives_mutants_or_a_syntax_error(source: str) -> None:
    try:
        original = ast.unparse(parsed(source))
    except SyntaxError:
        return
    for mutant in mutants(source):
        assert mutant.source != original
        compile(mutant.source, "mutant", "exec")
