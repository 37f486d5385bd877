"""What asking costs: counted as it happens (Tally), and by what the rows asked, whoever answered (Usage)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol


class Spent(Protocol):
    """Anything that counts what asking costs."""

    calls: int
    prompt_tokens: int
    completion_tokens: int


@dataclass(slots=True)
class Tally:
    """What asking has cost so far."""

    calls: int = 0
    """Answers that a model gave."""
    cached: int = 0
    """Answers that the store gave."""
    prompt_tokens: int = 0
    """Of questions put to a model; a prompt counts once, however many samples are drawn for it."""
    completion_tokens: int = 0
    """Of answers that a model gave."""
    seconds: float = 0.0
    """Wall time during which at least one question was with a model."""
    _asking: int = 0
    _since: float = 0.0

    def begin(self) -> None:
        """A question goes to a model: wall time counts until the last of those under way has its `end`."""
        if self._asking == 0:
            self._since = time.perf_counter()
        self._asking += 1

    def end(self) -> None:
        self._asking -= 1
        if self._asking == 0:
            self.seconds += time.perf_counter() - self._since


@dataclass(slots=True)
class Usage:
    """What one role was asked for a row: the same whether the store or the model answered."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def add(self, other: Usage) -> None:
        self.calls += other.calls
        self.prompt_tokens += other.prompt_tokens
        self.completion_tokens += other.completion_tokens
