"""A verifier of one's own: sentences that keep to rules. No right answer exists, but any answer can be checked.

A row asks with its columns `words` (how many words) and `must` (a word that has to be there). `judge` may return True
or False; a verdict with a reason costs one line more, and the report then says why lessons were refused.
"""

from __future__ import annotations

import re
from typing import Any

from homeschool.core.verdict import Fail, Pass, Verdict


def judge(answer: str, row: dict[str, Any]) -> Verdict:
    """Pass if `answer` is one sentence of `row["words"]` words that holds `row["must"]`."""
    words = re.findall(r"[A-Za-z']+", answer)
    if len(words) != row["words"]:
        return Fail({"correct": 0.0}, "wrong length", f"{len(words)} words, not {row['words']}")
    if row["must"].casefold() not in (word.casefold() for word in words):
        return Fail({"correct": 0.0}, "word missing", f"no {row['must']!r} in {answer!r}")
    if not answer.rstrip().endswith((".", "!", "?")):
        return Fail({"correct": 0.0}, "not a sentence", f"ends with {answer[-1:]!r}")
    return Pass({"correct": 1.0})
