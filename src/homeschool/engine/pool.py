"""The pool: rows that a run keeps for its later rounds (the instructions made so far, say).

Within a round everybody sees the same snapshot, and what is appended waits; between rounds it is merged in the order of
the source rows that appended it, then of branch and call. So concurrency changes nothing, and a round that is run again
after a kill sees what it saw the first time.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from homeschool.core.records import Row

Place = tuple[int, ...]

_WORD = re.compile(r"\w+")


@dataclass(slots=True)
class Snapshot:
    """What the pool holds during one round, and what the round has appended to it so far."""

    rows: list[Row] = field(default_factory=list[Row])
    appended: list[tuple[Place, int, Row]] = field(default_factory=list[tuple[Place, int, Row]])
    _words: dict[str, _Index] = field(default_factory=dict)

    def merge(self) -> list[Row]:
        """End the round: the appended rows join the pool, in order; returns them."""
        self.appended.sort(key=lambda each: each[:2])
        new = [row for _, _, row in self.appended]
        self.rows.extend(new)
        self.appended.clear()
        return new

    def nearest(self, text: str, k: int, *, column: str) -> list[tuple[float, Row]]:
        index = self._words.setdefault(column, _Index())
        index.extend(self.rows, column)
        return [(score, self.rows[place]) for score, place in index.nearest(text, k)]


@dataclass(frozen=True, slots=True)
class PoolView:
    """core.protocols.Pool, as one branch of a recipe sees it."""

    snapshot: Snapshot
    rng: random.Random
    place: Callable[[], tuple[Place, int]]
    """Where the branch stands, and a number that grows with each call."""

    def append(self, row: Row) -> None:
        place, ordinal = self.place()
        self.snapshot.appended.append((place, ordinal, row))

    def sample(self, k: int) -> list[Row]:
        rows = self.snapshot.rows
        return self.rng.sample(rows, min(k, len(rows)))

    def nearest(self, text: str, k: int, *, column: str = "prompt") -> list[tuple[float, Row]]:
        return self.snapshot.nearest(text, k, column=column)

    def __len__(self) -> int:
        return len(self.snapshot.rows)


class _Index:
    """Which rows hold which words, so that only rows that share one are scored."""

    def __init__(self) -> None:
        self._sizes: list[int] = []
        self._places: defaultdict[str, list[int]] = defaultdict(list)

    def extend(self, rows: Sequence[Row], column: str) -> None:
        for place in range(len(self._sizes), len(rows)):
            words = words_of(str(rows[place].get(column, "")))
            self._sizes.append(len(words))
            for word in words:
                self._places[word].append(place)

    def nearest(self, text: str, k: int) -> list[tuple[float, int]]:
        """Jaccard similarity of word sets, best first, equal ones in pool order."""
        words = words_of(text)
        shared = Counter(place for word in words for place in self._places.get(word, ()))
        scored = [(count / (len(words) + self._sizes[place] - count), place) for place, count in shared.items()]
        return sorted(scored, key=lambda each: (-each[0], each[1]))[:k]


def words_of(text: str) -> set[str]:
    """The lower-cased words of a text."""
    return set(_WORD.findall(text.lower()))
