"""HumanEval (Chen et al. 2021, arXiv:2107.03374): the body of a Python function, judged by running its tests.

Needs a file as published (`HumanEval.jsonl.gz`): `task_id`, `prompt`, `entry_point`, `canonical_solution`, `test`.

A chat model is asked for the whole function; a base model goes on from the published prompt, until the function is
over. `verify/program.py` makes one program of either. The tests bring the prompt's own imports and helpers, so that a
program that redefines a helper does not bend the test that relies on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from homeschool.tasks.published import Published
from homeschool.verify.program import helpers_of

ENDS = ("\nclass ", "\ndef ", "\n#", "\nif __name__", "\nprint(", "\nassert ", "\n@", "\nimport ", "\nfrom ", "\n```")
"""Where the function is over: the paper's stop sequences and their like."""
ASK = "Complete this Python function. Answer with the whole function in one ```python block.\n\n```python\n{}```"


def problem(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as a problem's columns. Raises ValueError for a prompt that does not define its entry point."""
    prompt, entry = record["prompt"], record["entry_point"]
    if f"def {entry}" not in prompt:
        raise ValueError(f"the prompt does not define its entry point {entry!r}")
    return {
        "id": record["task_id"],
        "prompt": ASK.format(prompt),
        "raw_prompt": prompt,
        "prefix": prompt,
        "entry_point": entry,
        "tests": [checks(helpers_of(prompt, entry), record["test"], entry)],
        "reference": prompt + record.get("canonical_solution", ""),
    }


def checks(helpers: str, test: str, entry: str) -> str:
    """The test as one source: the helpers it may use, its function `check`, and the call."""
    call = f"check({entry})"
    ended = test.rstrip().endswith(call)  # HumanEvalPack's call themselves
    return f"{helpers}\n{test.rstrip()}\n" + ("" if ended else f"\n{call}\n")


task = Published(
    "humaneval",
    (frozenset({"prompt", "entry_point", "test"}),),
    problem,
    verify="tests",
    template="{prompt}",
    stop=ENDS,
)
