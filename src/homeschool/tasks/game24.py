"""The game of 24 (Yao et al. 2023, arXiv:2305.10601): make 24 of four numbers, judged by `countdown`.

Needs a file as published (`24.csv`), or the same as JSON lines: `Puzzles` holds the four numbers, as `1 1 4 6`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from homeschool.tasks.countdown import puzzle
from homeschool.tasks.published import NEXT_QUESTION, Published


def problem(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as a problem's columns. Raises ValueError for a puzzle that is not four whole numbers."""
    nums = str(record["Puzzles"]).split()
    if len(nums) != 4:
        raise ValueError(f"the puzzle {record['Puzzles']!r:.60} is not four numbers")
    return puzzle(nums, 24)


task = Published("game24", (frozenset({"Puzzles"}),), problem, verify="countdown", stop=NEXT_QUESTION)
