"""The workbench: what every stage of a run works with, and the two things all of them do, examine and restore."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeschool.core.errors import StoppedError
from homeschool.core.identity import seed_of
from homeschool.core.protocols import BatchModel
from homeschool.core.records import ModelCard, Row, Sampling
from homeschool.core.task import Task
from homeschool.engine.progress import Progress
from homeschool.engine.run import Run
from homeschool.engine.tally import Tally
from homeschool.evaluate.exam import Exam, read_items, sit, write_items
from homeschool.improve.settings import ImproveConfig
from homeschool.train.checkpoints import read_weights

if TYPE_CHECKING:
    from homeschool.models.local import Checkpoint


@dataclass(frozen=True, slots=True)
class Weights:
    """One state of the model: the folder it can be read from, and its name."""

    folder: Path
    fingerprint: str


@dataclass
class Workbench:
    run: Run
    config: ImproveConfig
    task: Task
    checkpoint: Checkpoint
    model: BatchModel
    base: Weights
    seed: int
    progress: Progress
    tally: Tally = field(default_factory=Tally)
    started: float = field(default_factory=time.monotonic)

    def restore(self, weights: Weights) -> None:
        """Make `weights` the ones that answer and train from here on."""
        if self.checkpoint.fingerprint != weights.fingerprint:
            read_weights(self.checkpoint.module, weights.folder)
            self.checkpoint.fingerprint = weights.fingerprint

    async def examine(self, name: str, problems: Sequence[Row], *, samples: int = 0) -> Exam | None:
        """Put `problems` to the current weights: greedily, or with `samples` draws each. None without problems.

        The items lie in `exam/NAME.jsonl`; an exam that was sat is read back.
        """
        if not problems:
            return None
        path = self.run.path("exam", f"{name}.jsonl")
        if path.exists():
            return read_items(path)
        collect = self.config.collect
        temperature = 1.0 if samples else 0.0
        with self.progress.stage(f"exam {name}", total=len(problems) * max(1, samples), unit="answers") as stage:
            exam = await sit(
                self.model,
                problems,
                self.task.verifier,
                store=self.run.answers,
                sampling=Sampling(temperature=temperature, max_tokens=collect.max_tokens),
                samples=max(1, samples),
                seed=seed_of(self.seed, "exam", name.partition("-")[2]),
                stage=stage,
                tally=self.tally,
            )
        broken, limit = exam.broken, self.config.health.broken
        if broken > limit * len(problems):
            # Not written: once the verifier is mended, the same command sits this exam again.
            first = next(reason for item in exam.items for reason in item.reasons if item.broken)
            raise StoppedError(
                f"the verifier broke on {broken} of {len(problems)} exam problems (more than {limit:.0%}), the first: "
                f"{first[:200]}",
                hint="mend the verifier and run the same command",
            )
        write_items(path, exam)
        return exam

    def clock(self) -> float:
        """Seconds that this run has taken so far, earlier attempts included; kept at every round's end."""
        return self._spent()["seconds"]

    def peak_rss_mb(self) -> float:
        """The most memory that any attempt at this run held, in MB (10**6 bytes)."""
        return self._spent()["peak_rss_mb"]

    def _spent(self) -> dict[str, float]:
        before = self.run.load_json("clock.json") or {"seconds": 0.0, "peak_rss_mb": 0.0}
        now = time.monotonic()
        spent = {
            "seconds": before["seconds"] + now - self.started,
            "peak_rss_mb": max(before["peak_rss_mb"], _peak_rss_mb()),
        }
        self.started = now
        self.run.save_json("clock.json", spent)
        return spent


def rendered(rows: Sequence[Row], *, card: ModelCard, template: str) -> list[Row]:
    """Problems as this model is asked them: messages for a chat model, else column `raw_prompt`, else by the template.

    The rendered prompt is what a lesson is trained on too, so the model learns exactly what it will be asked.
    """
    chat = "chat" in card.capabilities
    return [_asked(row, chat=chat, template=template) for row in rows]


def _asked(row: Row, *, chat: bool, template: str) -> Row:
    if chat:
        # A chat model ends by itself, and what ends a raw answer may stand inside a fence.
        ends = {"stop": []} if row.get("stop") else {}
        return row.derive(step="render", prompt=[{"role": "user", "content": row["prompt"]}], **ends)
    text = row.get("raw_prompt") or template.replace("{prompt}", row["prompt"])
    return row if text == row["prompt"] else row.derive(step="render", prompt=text)


def _peak_rss_mb() -> float:
    """The most memory this process ever held, in MB (10**6 bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6


def evenly(problems: Sequence[Row], n: int | None) -> Sequence[Row]:
    """`n` of the problems (None: all), evenly spaced, so that every level keeps its share."""
    if n is None or len(problems) <= n:
        return problems
    return [problems[len(problems) * k // n] for k in range(n)]


def spread(problems: Sequence[Row], n: int) -> list[Row]:
    """`n` of the problems, evenly over their groups, in order: what pass@k is measured on."""
    groups: dict[Any, list[Row]] = {}
    for row in problems:
        groups.setdefault(row.get("group"), []).append(row)
    each = max(1, n // max(1, len(groups)))
    chosen = {row.id for rows in groups.values() for row in evenly(rows, each)}
    return [row for row in problems if row.id in chosen]
