"""A task: problems, and the verifier that judges answers to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from homeschool.core.protocols import Verifier
from homeschool.core.records import Row


@dataclass(frozen=True, slots=True)
class Task:
    """What `improve` learns from and `evaluate` examines on.

    Each problem is a Row with a `prompt` column (what is asked), whatever its verifier needs (`answer`, `tests`, ...)
    and, where there is more to say, `level` (int, on the ladder), `group` (text, the heading an exam reports it under),
    `max_tokens` (int, the longest answer worth reading), and for a model without a chat template `raw_prompt` (the text
    that it is asked in place of the template) and `stop` (texts that end its answer).
    """

    name: str
    verifier: Verifier
    draw: Callable[[int | None, int, int], list[Row]]
    """`draw(level, n, seed)`: n training problems of a level (None: any), disjoint from the three sets below."""
    exam: tuple[Row, ...]
    """Held out; sat before the first round and after the last, never used for a decision on the way."""
    dev: tuple[Row, ...] = ()
    """Held out; the gate of each round looks at these."""
    recall: tuple[Row, ...] = ()
    """The forgetting set: what the model could do before and must still do."""
    levels: tuple[int, ...] = ()
    """The ladder of difficulty, easiest first; empty if the task has none."""
    template: str = "{prompt}"
    """How a problem becomes a raw prompt for a model without a chat template."""
    headline: str = ""
    """The group whose gain is *the* result; empty: the whole exam."""
