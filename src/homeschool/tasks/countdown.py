"""Countdown: make a target from given numbers, each used exactly once, judged by `countdown`.

Needs JSON lines or Parquet with `nums` (or `numbers`) and `target`, as the data set of TinyZero. For the television
game's rule, by which numbers may be left out, add `verify: countdown(subset=true)`; the prompt then asks for more than
is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from homeschool.tasks.published import NEXT_QUESTION, Published

ASK = (
    "Use each of the numbers {nums} exactly once, with + - * / and brackets, to make {target}. End with a line that "
    "says `Answer:` and the expression."
)


def problem(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as a problem's columns. Raises ValueError for numbers that are not whole."""
    return puzzle(record["nums"] if "nums" in record else record["numbers"], record["target"])


def puzzle(nums: Sequence[Any], target: Any) -> dict[str, Any]:
    """The columns of the puzzle that makes `target` of `nums`."""
    whole = [int(n) for n in nums]
    if not whole or any(n < 0 for n in whole):
        raise ValueError(f"the numbers {list(nums)!r:.60} are not whole numbers")
    return {
        "prompt": ASK.format(nums=", ".join(map(str, whole)), target=int(target)),
        "nums": whole,
        "target": int(target),
    }


task = Published(
    "countdown",
    (frozenset({"nums", "target"}), frozenset({"numbers", "target"})),
    problem,
    verify="countdown",
    stop=NEXT_QUESTION,
)
