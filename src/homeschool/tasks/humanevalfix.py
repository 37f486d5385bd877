"""HumanEvalFix of HumanEvalPack (Muennighoff et al. 2023, arXiv:2308.07124): mend a function, judged by its tests.

Needs a file as published (`humanevalpack.jsonl`, Python): `declaration`, `buggy_solution`, `canonical_solution`,
`entry_point`, `test`. As in the paper's main setting the tests are shown beside the broken function, and the text that
describes the function is not. A base model goes on after the declaration.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from homeschool.tasks.humaneval import ENDS, checks
from homeschool.tasks.published import Published
from homeschool.verify.program import helpers_of

ASK = (
    "The Python function `{entry}` has a bug: its tests fail. Mend it. Answer with the whole function in one ```python "
    "block.\n\n```python\n{code}\n```\n\nIts tests:\n\n```python\n{test}\n```"
)


def problem(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as a problem's columns. Raises ValueError for a declaration without its entry point."""
    declaration, entry, test = record["declaration"], record["entry_point"], record["test"].strip()
    if f"def {entry}" not in declaration:
        raise ValueError(f"the declaration does not define its entry point {entry!r}")
    buggy = (declaration + record["buggy_solution"]).strip()
    return {
        "id": record["task_id"],
        "prompt": ASK.format(entry=entry, code=buggy, test=test),
        "raw_prompt": f"{buggy}\n\n\n{test}\n\n\n# Fix bugs in {entry}.\n{declaration}",
        "prefix": declaration,
        "entry_point": entry,
        "tests": [checks(helpers_of(declaration, entry), test, entry)],
        "reference": declaration + record["canonical_solution"],
        "buggy": declaration + record["buggy_solution"],
    }


task = Published(
    "humanevalfix",
    (frozenset({"declaration", "buggy_solution", "entry_point", "test"}),),
    problem,
    verify="tests",
    template="{prompt}",
    stop=ENDS,
)
