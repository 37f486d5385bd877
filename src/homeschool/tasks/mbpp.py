"""MBPP (Austin et al. 2021, arXiv:2108.07732): small Python programs from a sentence and tests, judged by `tests`.

Needs a file as published: `mbpp.jsonl` (`text`, `code`, `test_list`, `test_setup_code`) or `sanitized-mbpp.json`
(`prompt`, `code`, `test_list`, `test_imports`), or Parquet with these columns. The prompt is the paper's, with the
tests shown; a base model answers after `[BEGIN]`. Set-up code and imports stand before each test. The challenge tests
are kept in column `challenge_tests` and judge nothing.

The authors' split is kept where the ids allow it: 601-974 to learn from, 511-600 for the gates, 11-510 as the exam;
1-10 are examples for prompts, and neither learnt nor asked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from homeschool.tasks.published import Published

ASK = (
    "You are an expert Python programmer, and here is your task: {text} Your code should pass these tests:\n\n{tests}\n"
)
ENDS = ("[DONE]", "\nYou are an expert", "\nassert ", "\nprint(", "\nif __name__", "\n```")
SPLIT = {"prompt": range(1, 11), "exam": range(11, 511), "dev": range(511, 601), "train": range(601, 975)}


def problem(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as a problem's columns. Raises ValueError for one without tests."""
    text = record["text"] if "text" in record else record["prompt"]
    shown = [_plain(test) for test in record["test_list"]]
    if not shown:
        raise ValueError("it has no tests")
    code, number = _plain(record["code"]), int(record["task_id"])
    before = [*(record.get("test_imports") or ()), record.get("test_setup_code") or ""]
    setup = "\n".join(_plain(part) for part in before if part.strip())
    prompt = ASK.format(text=text.strip(), tests="\n".join(shown))
    return {
        "id": str(number),
        "prompt": prompt,
        "raw_prompt": f"{prompt}[BEGIN]\n",
        "entry_point": entry_point(code, shown),
        "tests": _after(setup, shown),
        "challenge_tests": _after(setup, [_plain(test) for test in record.get("challenge_test_list") or ()]),
        "reference": code,
        "split": next((name for name, ids in SPLIT.items() if number in ids), "prompt"),
    }


def entry_point(code: str, tests: Sequence[str]) -> str:
    """The function or class of `code` that the tests name, the last defined if several; empty if they name none."""
    defined = re.findall(r"^(?:def|class)\s+(\w+)", code, re.MULTILINE)
    return next((name for name in reversed(defined) if re.search(rf"\b{name}\b", "\n".join(tests))), "")


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").strip()


def _after(setup: str, tests: Sequence[str]) -> list[str]:
    return [f"{setup}\n{test}" if setup else test for test in tests]


task = Published(
    "mbpp",
    (frozenset({"text", "code", "test_list", "task_id"}), frozenset({"prompt", "code", "test_list", "task_id"})),
    problem,
    verify="tests",
    template="{prompt}",
    stop=ENDS,
)
