"""GSM8K (Cobbe et al. 2021, arXiv:2110.14168): school mathematics, judged by `math`.

Needs a file as published (`train.jsonl`, `test.jsonl`, or Parquet): `question`, and `answer`, a worked solution that
ends in `#### 72`. What follows the last `####` is column `answer`; the whole is column `reference`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from homeschool.tasks.published import NEXT_QUESTION, Published


def problem(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as a problem's columns. Raises ValueError for an answer without `####`."""
    _, mark, answer = record["answer"].rpartition("####")
    if not mark or not answer.strip():
        raise ValueError(f"the answer {record['answer']!r:.60} does not end in #### and a number")
    return {"prompt": record["question"], "answer": answer.strip(), "reference": record["answer"]}


task = Published("gsm8k", (frozenset({"question", "answer"}),), problem, verify="math", stop=NEXT_QUESTION)
