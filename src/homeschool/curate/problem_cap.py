"""Per-problem cap: at most `cap` rows of one problem, the first ones in order.

Without it easy problems, which nearly every sample solves, crowd out the hard ones (Yuan et al. 2023, rejection
sampling fine-tuning, keeps few distinct solutions of each problem for the same reason).

The first, and not a random choice, because samples of one problem come in sample order and are independent, so the
first `cap` are a fair choice already, and it streams. Memory: one hash of 16 bytes for each problem.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator

from homeschool.core.errors import UsageError
from homeschool.core.identity import canonical
from homeschool.core.protocols import Curator
from homeschool.core.records import Dropped, Row


def curator(column: str = "prompt", *, cap: int = 2) -> Curator:
    """A curator that keeps the first `cap` rows of each value of `column`; rows without the column are one problem."""
    if cap < 1:
        raise UsageError(f"problem_cap needs a cap of at least 1, not {cap}", hint="set cap=2")

    def problem_cap(rows: Iterable[Row]) -> Iterator[Row | Dropped]:
        kept: Counter[bytes] = Counter()
        for row in rows:
            said = canonical(row.get(column)).encode("utf-8", "surrogatepass")
            problem = hashlib.blake2b(said, digest_size=16).digest()
            if kept[problem] >= cap:
                yield Dropped(row, f"more than {cap} of one problem", "problem_cap")
            else:
                kept[problem] += 1
                yield row

    return problem_cap
