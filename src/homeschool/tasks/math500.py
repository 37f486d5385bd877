"""MATH-500 (Hendrycks et al. 2021, arXiv:2103.03874): competition mathematics, judged by `math`.

The 500 are those that Lightman et al. (2023) chose from MATH, which is read too. Needs a file as published: `problem`,
`solution` and `answer` (MATH-500; `subject` becomes the exam's headings, `level` the ladder), `problem`, `solution`,
`level` and `type` without `answer` (MATH), or `question` with a worked solution in `answer`. The answer of a solution
is what follows "The answer is:", else its last `\\boxed{}`. The solution is column `reference`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from homeschool.tasks.published import Published
from homeschool.verify.answers import gold_span

HARDEST = 5
TEMPLATE = "Problem: {prompt}\nSolution:"


def problem(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as a problem's columns. Raises ValueError for a solution that states no answer."""
    if "problem" not in record:
        prompt, reference, answer = record["question"], record["answer"], None
    else:
        prompt, reference, answer = record["problem"], record.get("solution", ""), record.get("answer")
    answer = _answer_in(reference) if answer is None else str(answer)
    columns = {"prompt": prompt, "answer": answer, "reference": reference or f"\\boxed{{{answer}}}"}
    group, level = record.get("subject") or record.get("type"), re.search(r"\d+", str(record.get("level", "")))
    columns |= {"group": group} if group else {}
    if "level" in record:
        columns["level"] = int(level[0]) if level else HARDEST  # MATH has a few of `Level ?`
    return columns | ({"id": record["unique_id"]} if record.get("unique_id") else {})


def _answer_in(solution: str) -> str:
    if "answer is" not in solution.lower() and "\\boxed" not in solution and "\\fbox" not in solution:
        raise ValueError(f"the solution {solution!r:.60} has no \\boxed{{}} and no `The answer is`")
    _, mark, last = solution.rpartition("The answer is:")
    return last.strip() if mark and last.strip() else gold_span(solution)


task = Published(
    "math500",
    (frozenset({"problem", "answer"}), frozenset({"problem", "solution"}), frozenset({"question", "answer"})),
    problem,
    verify="math",
    template=TEMPLATE,
    stop=("\nProblem:",),
)
