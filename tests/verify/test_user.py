"""A person's own verifier: what it may return, and every way in which it can be wrong."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from homeschool.core.errors import UsageError
from homeschool.core.records import Row
from homeschool.core.verdict import Verdict
from homeschool.verify.user import load_user


def judge(folder: Path, body: str, *answers: str, function: str = "judge") -> list[Verdict]:
    (folder / "checks.py").write_text(body, encoding="utf-8")
    loaded = load_user(f"{folder / 'checks.py'}:{function}")
    return asyncio.run(loaded(Row.source({"answer": "42"}), answers))


def test_true_and_false(tmp_path: Path) -> None:
    yes, no = judge(tmp_path, "def judge(answer, row): return answer == row['answer']", "42", "41")
    assert (yes.status, no.status, no.reason) == ("pass", "fail", "wrong answer")
    assert yes.verifier.startswith("checks.py:judge@")


def test_async_and_verdicts(tmp_path: Path) -> None:
    body = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "from homeschool.core.verdict import Abstain\n"
        "@dataclass\nclass Note:\n    text: str\n"
        "async def judge(answer, row): return Abstain({'sure': 0.5}, Note('unsure').text)\n"
    )
    verdict = judge(tmp_path, body, "x")[0]
    assert (verdict.status, verdict.reason, dict(verdict.scores)) == ("abstain", "unsure", {"sure": 0.5})
    assert verdict.verifier.startswith("checks.py:judge@")


@pytest.mark.parametrize("value", ["1.0", "None", "'yes'", "1", "[True]"])
def test_any_other_type_is_broken(tmp_path: Path, value: str) -> None:
    verdict = judge(tmp_path, f"def judge(answer, row): return {value}", "x")[0]
    assert (verdict.status, verdict.reason) == ("broken", "wrong type")
    assert type(eval(value)).__name__ in verdict.evidence


def test_raising_is_broken_and_the_next_answer_is_judged(tmp_path: Path) -> None:
    body = "def judge(answer, row):\n    if answer == 'x': raise ValueError('no x\\nplease')\n    return True"
    broken, fine = judge(tmp_path, body, "x", "y")
    assert (broken.status, broken.reason, broken.evidence) == ("broken", "raised ValueError", "no x please")
    assert fine.status == "pass"


def test_exit_is_broken_too(tmp_path: Path) -> None:
    assert judge(tmp_path, "import sys\ndef judge(answer, row): sys.exit(3)", "x")[0].reason == "raised SystemExit"


def test_the_row_cannot_be_changed(tmp_path: Path) -> None:
    body = "def judge(answer, row):\n    row['answer'] = answer\n    return True"
    (tmp_path / "checks.py").write_text(body, encoding="utf-8")
    row = Row.source({"answer": "42"})
    asyncio.run(load_user(f"{tmp_path / 'checks.py'}:judge")(row, ["x"]))
    assert row["answer"] == "42"


def test_an_edit_is_another_version(tmp_path: Path) -> None:
    file = tmp_path / "checks.py"
    names: list[str] = []
    for body in ("def judge(a, r): return True", "def judge(a, r): return False", "def judge(a, r): return True"):
        file.write_text(body, encoding="utf-8")
        names.append(load_user(f"{file}:judge").name)
    assert names[0] == names[2] != names[1]


def test_siblings_can_be_imported_and_the_path_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "sibling_of_checks.py").write_text("LIMIT = 3", encoding="utf-8")
    before = list(sys.path)
    body = "from sibling_of_checks import LIMIT\ndef judge(answer, row): return len(answer) < LIMIT"
    assert judge(tmp_path, body, "ab")[0].status == "pass"
    assert sys.path == before
    del sys.modules["sibling_of_checks"]


@pytest.mark.parametrize(
    ("body", "function", "parts"),
    [
        ("def judge(a, r): return True", "jugde", ["no function 'jugde'", "did you mean 'judge'?"]),
        ("x = 1", "judge", ["no function 'judge'", "def judge(answer, row)"]),
        ("judge = 5", "judge", ["'judge' in checks.py is int, not a function"]),
        ("def judge(a): return True", "judge", ["judge(a) cannot be called with an answer and a row"]),
        ("import json\nimport no_such_module\n", "judge", ["ModuleNotFoundError", "no_such_module", "line 2"]),
        ("def judge(a, r)\n    return True", "judge", ["SyntaxError", "line 1"]),
        ("\n\n1 / 0", "judge", ["ZeroDivisionError", "line 3"]),
        ("raise SystemExit", "judge", ["SystemExit", "line 1"]),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, body: str, function: str, parts: list[str]) -> None:
    modules: set[Any] = set(sys.modules)
    with pytest.raises(UsageError) as raised:
        judge(tmp_path, body, "x", function=function)
    assert all(part in str(raised.value) for part in parts), str(raised.value)
    assert "\n" not in str(raised.value)
    if "cannot be imported" in str(raised.value):
        assert not {name for name in set(sys.modules) - modules if "checks" in name}


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no file .*gone\.py"):
        load_user(f"{tmp_path / 'gone.py'}:judge")
