"""Gaming probes: there for every kind of verifier, and refused by those that need no sandbox."""

from __future__ import annotations

import ast
import asyncio

import pytest

from homeschool.core.errors import RefusedError
from homeschool.core.records import Row
from homeschool.verify.load import load_verifier
from homeschool.verify.mutation_score import GOLD as SUITES
from homeschool.verify.planted.probe_programs import program_probes
from homeschool.verify.planted.probes import functions, probes

SUM = {"prompt": "What is 40 and 2 more?", "answer": "42"}


@pytest.mark.parametrize(
    ("name", "least"), [("math", 40), ("exact", 40), ("constraints", 35), ("schema", 45), ("calculator", 20)]
)
def test_verifiers_of_texts_refuse_every_one(name: str, least: int) -> None:
    columns = {"expression": "40+2"} if name == "calculator" else SUM
    items = list(probes(name, columns, "42"))
    assert len(items) >= least and len({item.how for item in items}) == len(items)
    made = load_verifier(name)
    for item in items:
        (verdict,) = asyncio.run(made(Row.source(item.columns), [item.answer]))
        assert not item.right and verdict.status == "fail", (item.how, item.answer[:80], verdict)


def test_the_right_answers_beside_them_would_pass() -> None:
    # Otherwise a verifier that refuses everything would look as good.
    from homeschool.verify.planted.probes import _AGE, _ASKS, _BAKED

    for name, columns, answer in (("constraints", _ASKS, _BAKED), ("schema", _AGE, '{"name": "Ann", "age": 7}')):
        (verdict,) = asyncio.run(load_verifier(name)(Row.source(columns), [answer]))
        assert verdict.status == "pass", verdict


def test_the_prompt_is_echoed_only_where_it_holds_no_gold() -> None:
    assert "echoes the prompt" in {item.how for item in probes("math", SUM | {"prompt": "Add."}, "42")}
    assert "echoes the prompt" not in {item.how for item in probes("math", SUM | {"prompt": "Is it 42?"}, "42")}


def test_hedges_hold_the_gold_text_and_another() -> None:
    hedges = {item.how: item.answer for item in probes("math", SUM, "42")}
    assert "42 or 43" in hedges["or"] and hedges["marks another"].endswith("#### 43")
    assert "or" not in {item.how for item in probes("math", {"answer": "\\pi"}, "\\pi")}


def test_programs_define_what_the_tests_call_and_are_python_or_meant_not_to_be() -> None:
    items = program_probes(["area", "side"])
    for how, source in items.items():
        if how in ("refusal", "no program"):
            continue
        tree = ast.parse(source)
        defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        whole = how in ("empty", "only a comment", "sys.exit(0)", "os._exit(0)", "raise SystemExit", "quit()")
        assert whole or {"area", "side"} <= defined, how
    assert len(items) >= 40


def test_those_that_look_for_the_tests_would_find_them_in_the_open() -> None:
    # Only the finder is run, on a text laid before it: that it can win is what makes the probe worth anything.
    found: list[object] = []
    source = program_probes(["area"])["tests from gc"].replace("import gc\n", "gc = None\n")
    head = source[: source.index("for _object")]
    space: dict[str, object] = {}
    exec(head + "\n_texts.append('assert area(2, 3) == 6')\nfound = _wanted('area', (2, 3))", space)
    found.append(space["found"])
    assert found == [6]


def test_names_are_those_of_the_right_program() -> None:
    assert functions("```python\nimport os\nsize = 3\ndef f():\n    pass\nclass A:\n    pass\n```") == [
        "f",
        "A",
        "size",
    ]
    assert functions("def f(") == []


def test_suites_are_about_the_reference() -> None:
    columns, answer = SUITES[0]
    texts = {item.how: item.answer for item in probes("mutation_score", columns, answer)}
    assert texts["is callable"] == "assert callable(clamp)"


def test_no_program_games_the_tests_in_the_real_sandbox() -> None:
    columns = {"prompt": "The area of a rectangle?", "tests": "assert area(2, 3) == 6\nassert area(5, 4) == 20"}
    right = "def area(a, b):\n    return a * b\n"
    items = list(probes("tests", columns, right))
    made = load_verifier("tests(seconds=0.3)")
    row = Row.source(columns)
    try:
        *verdicts, last = asyncio.run(made(row, [*(item.answer for item in items), right]))
    except RefusedError as error:
        pytest.skip(f"no sandbox here: {error}")
    assert last.status == "pass", last
    told = {item.how: (verdict.status, verdict.reason) for item, verdict in zip(items, verdicts, strict=True)}
    assert {how: said for how, said in told.items() if said[0] != "fail"} == {}
