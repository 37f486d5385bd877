"""Public problems through the exchange: every reference solution passes its tests, and no buggy one does.

Every row of the small sets, and of MBPP each eighth, as 700 programs take a while.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from exchange_pair import tried

DATA = Path(__file__).parents[3] / "shared" / "data" / "code"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the public problem sets are not beside the repository")


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


def wrong(programs: list[tuple[str, str, list[str]]], *, seconds: float = 20.0) -> dict[str, list[BaseException]]:
    """The tests that did not pass, by program."""
    found = {name: [e for e in tried(source, *tests, seconds=seconds) if e] for name, source, tests in programs}
    return {name: errors for name, errors in found.items() if errors}


def test_humaneval() -> None:
    programs = [
        (row["task_id"], row["prompt"] + row["canonical_solution"], [f"{row['test']}\ncheck({row['entry_point']})"])
        for row in rows("humaneval_even.jsonl")
    ]
    assert len(programs) == 82 and wrong(programs) == {}


def test_mbpp() -> None:
    # The set-up uses the classes of the solution.
    programs = [
        (str(row["task_id"]), f"{row['code']}\n{row['test_setup_code']}", row["test_list"] + row["challenge_test_list"])
        for row in rows("mbpp_shared.jsonl")
        if row["task_id"] % 8 == 6 or row["test_setup_code"]
    ]
    assert any("def sum(" in source for _, source, _ in programs)  # named like a built-in
    assert len(programs) > 80 and wrong(programs) == {}


def test_mbpp_sanitized() -> None:
    programs = [
        (str(row["task_id"]), row["code"], ["\n".join([*row["test_imports"], test]) for test in row["test_list"]])
        for row in rows("mbpp_sanitized_shared.jsonl")
        if row["task_id"] % 4 == 0
    ]
    assert len(programs) > 60 and wrong(programs) == {}


def test_quixbugs() -> None:
    programs = rows("quixbugs_shared.jsonl")
    assert len(programs) == 20 and wrong([(row["name"], row["fixed"], [row["tests"]]) for row in programs]) == {}
    buggy = [(row["name"], row["buggy"], [row["tests"]]) for row in programs]
    assert len(wrong(buggy, seconds=0.25)) == 20


def test_humanevalpack() -> None:
    programs = rows("humanevalpack_python_even.jsonl")
    good = [(row["task_id"], row["declaration"] + row["canonical_solution"], [row["test"]]) for row in programs[::4]]
    buggy = [(row["task_id"], row["declaration"] + row["buggy_solution"], [row["test"]]) for row in programs]
    assert wrong(good) == {} and len(wrong(buggy, seconds=0.25)) == len(programs) == 82
