"""Other writings of the gold answers of MATH-500 pass, near misses fail: all that `tools/math_forms.py` makes."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT.parent / "shared" / "data" / "math" / "math500_even.jsonl"


def tool(name: str) -> Any:
    """A module of the folder tools, which is no package."""
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(ROOT / "tools"))


forms_tool, equivalent, near = tool("math_forms"), tool("math_equivalent"), tool("math_near")
needs_data = pytest.mark.skipif(not FILE.is_file(), reason="the shared data is not here")


@needs_data
def test_every_other_writing_passes() -> None:
    forms = forms_tool.distinct(equivalent.equivalent_forms(forms_tool.read_golds(FILE)))
    assert len(forms) > 4_900
    assert set(Counter(form.name for form in forms)) == {*equivalent.EQUIVALENT, *equivalent.WRAPPED}
    assert asyncio.run(forms_tool.misjudged(forms, "pass")) == []


@needs_data
def test_every_near_miss_fails() -> None:
    forms = forms_tool.distinct(near.near_misses(forms_tool.read_golds(FILE)))
    assert len(forms) > 4_400
    assert set(Counter(form.name for form in forms)) == {*near.NEAR}
    assert asyncio.run(forms_tool.misjudged(forms, "fail")) == []


def test_every_rewriting_says_what_it_does() -> None:
    named = [
        function
        for function in (*equivalent.EQUIVALENT.values(), *near.NEAR.values())
        if function.__name__ != "<lambda>"
    ]
    assert all(function.__doc__ for function in named)


def test_a_wrong_verdict_is_found() -> None:
    right, wrong = equivalent.Form("made", "2", "\\boxed{2}"), equivalent.Form("made", "2", "\\boxed{3}")
    assert [form for form, _ in asyncio.run(forms_tool.misjudged([right, wrong], "pass"))] == [wrong]
    assert [form for form, _ in asyncio.run(forms_tool.misjudged([right, wrong], "fail"))] == [right]
