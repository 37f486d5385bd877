"""QuixBugs (Lin et al. 2017): mend a Python program that is wrong in one line, judged by `tests`.

Needs JSON lines or Parquet with `name`, `buggy`, `fixed` and `tests` (source of asserts), or with the hub's names
`buggy_program` and `solution`. The prompt is the buggy program with its description; the tests are not shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from homeschool.tasks.published import Published
from homeschool.verify.program import helpers_of

ASK = (
    "This Python program has a bug in one line. Mend it. Answer with the whole program in one ```python block.\n\n"
    "```python\n{}\n```"
)
RAW = "# The program below has a bug in one line.\n{}\n\n\n# The same program without the bug:\n"
ENDS = ('\n"""', "\n# ", "\nprint(", "\nassert ", "\nif __name__", "\n```")


def problem(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as a problem's columns. Raises ValueError for a program that does not define what it is named after."""
    name = record["name"]
    buggy = record["buggy"] if "buggy" in record else record["buggy_program"]
    fixed = record["fixed"] if "fixed" in record else record["solution"]
    if f"def {name}" not in buggy:
        raise ValueError(f"the program does not define {name!r}")
    described = _described(buggy, record.get("docstring") or "")
    return {
        "id": name,
        "prompt": ASK.format(described.strip()),
        "raw_prompt": RAW.format(described.strip()),
        "prefix": helpers_of(buggy, name).strip(),
        "entry_point": name,
        "tests": [record["tests"]],
        "reference": fixed,
        "buggy": buggy,
    }


def _described(program: str, docstring: str) -> str:
    """The program with its description, which some files hold apart."""
    words = docstring.strip().strip("\"'").strip()
    return program if not words or words in program else f'{program.rstrip()}\n\n\n"""\n{words}\n"""\n'


task = Published(
    "quixbugs",
    (frozenset({"name", "buggy", "fixed", "tests"}), frozenset({"name", "buggy_program", "solution", "tests"})),
    problem,
    verify="tests",
    template="{prompt}",
    stop=ENDS,
)
