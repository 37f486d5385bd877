"""What a config file may say. Every field has a default but `model` and `task`; an unknown key is an error."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from homeschool.core.errors import UsageError
from homeschool.train.settings import TrainConfig


@dataclass(frozen=True, slots=True)
class TaskConfig:
    """A task of ours by `name`, a file of `problems` of yours, or both: a file in the format of a published set."""

    name: str | None = None
    problems: str | None = None
    verify: str | None = None
    """A verifier's name, or `file.py:function`. By default the one that the columns call for."""
    exam: str | None = None
    """A file of held-out problems; without it a fifth of `problems` is held out."""
    recall: str | None = None
    """A file of problems that the model must not forget; without it the task's own, if it has any."""
    columns: dict[str, str] = field(default_factory=dict[str, str])
    """Other names for columns: `{prompt: question, answer: answer}`."""
    template: str | None = None
    """How a problem becomes a raw prompt, for models without a chat template."""
    limit: int | None = None
    """Examine on this many of the held-out problems only, evenly spaced."""

    def __post_init__(self) -> None:
        if self.name is None and self.problems is None:
            raise UsageError(
                "task names neither a task nor problems",
                hint="write `task: arithmetic`, or `task: {problems: FILE.jsonl, verify: math}`",
            )
        mine = {field.name for field in fields(self) if getattr(self, field.name)} - {"name", "limit"}
        if self.name is not None and self.problems is None and mine:
            raise UsageError(
                f"the task {self.name} has its own {min(mine)}",
                hint=f"leave task.{min(mine)} out, or name a file in its format: task.problems=FILE",
            )
        if self.name is not None and self.columns:
            raise UsageError(f"the format of {self.name} has its own columns", hint="leave task.columns out")
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"task.limit must be at least 1, not {self.limit}", hint="leave task.limit out")


@dataclass(frozen=True, slots=True)
class CollectConfig:
    """How lessons are drawn and chosen."""

    problems: int = 512
    """Problems a round."""
    temperature: float = 1.0
    max_tokens: int = 256
    """Longest answer; a task may allow less by level."""
    cap: int = 2
    """Lessons kept of one problem in one round."""
    pool: int = 4
    """Rounds whose lessons are trained on: this one and the last ones."""
    rationalise: bool = True
    """STaR: show the answer of an unsolved problem as a hint, then drop the hint from the lesson."""
    restart: bool = True
    """STaR: train every round from the base model; false goes on from the last accepted round."""

    def __post_init__(self) -> None:
        for name in ("problems", "max_tokens", "cap", "pool"):
            if getattr(self, name) < 1:
                raise UsageError(f"collect.{name} must be at least 1, not {getattr(self, name)}", hint="leave it out")
        if self.temperature <= 0:
            raise UsageError(
                f"collect.temperature must be above 0, not {self.temperature:g}: all samples would be one answer",
                hint="use collect.temperature=1.0",
            )


@dataclass(frozen=True, slots=True)
class CurriculumConfig:
    """Frontier growth, for tasks with a ladder of levels."""

    start: int = 1
    threshold: float = 0.5
    """Go up when at least this share of the frontier's samples passes."""
    share: float = 0.5
    """Share of a round's problems that is drawn at the frontier; the rest comes evenly from the levels below."""
    top: int = 8


@dataclass(frozen=True, slots=True)
class ExamConfig:
    """What is measured before and after. Examined greedily; `samples` > 0 adds pass@k with that many samples."""

    samples: int = 0
    problems: int = 300
    """Problems of the exam that pass@k looks at, spread evenly over the groups."""

    def __post_init__(self) -> None:
        if self.samples == 1 or self.samples < 0 or self.problems < 1:
            raise UsageError(
                f"exam.samples={self.samples} with exam.problems={self.problems} measures no pass@k",
                hint="use exam.samples=16, or 0 for none",
            )


@dataclass(frozen=True, slots=True)
class HealthConfig:
    """When a run stops itself. Each stop is recorded with its reason and leaves a run that can be looked at."""

    broken: float = 0.05
    """Share of Broken verdicts past which the verifier is not to be trusted."""
    identical: float = 0.95
    """Share of unsolved problems whose samples are all the same text: nothing is explored any more."""
    entropy: float = 1e-4
    """Nats a sampled token, on average, below which nothing is explored any more."""


@dataclass(frozen=True, slots=True)
class BudgetConfig:
    """Limits. Both end the run at a round's boundary, and are recorded as why it stopped."""

    memory: str | None = None
    """The most memory that the process may have held, as `16GiB` or `800MB`."""
    hours: float | None = None

    def __post_init__(self) -> None:
        _ = self.memory_mb

    @property
    def memory_mb(self) -> float | None:
        """`memory` in MB (10**6 bytes)."""
        if self.memory is None:
            return None
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]i?)B", self.memory.strip())
        if match is None:
            raise UsageError(f"budget.memory must be a size, not {self.memory!r}", hint="write it as 16GiB")
        power = "KMGT".index(match[2][0]) + 1
        return float(match[1]) * (1024 if match[2].endswith("i") else 1000) ** power / 1e6


@dataclass(frozen=True, slots=True)
class ImproveConfig:
    """The whole of a run: `homeschool improve CONFIG`."""

    model: str
    task: TaskConfig
    method: Literal["star"] = "star"
    rounds: int = 3
    samples: int = 8
    collect: CollectConfig = field(default_factory=CollectConfig)
    curriculum: CurriculumConfig = field(default_factory=CurriculumConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    exam: ExamConfig = field(default_factory=ExamConfig)
    health: HealthConfig = field(default_factory=HealthConfig)
    budget: BudgetConfig = field(default_factory=BudgetConfig)

    def __post_init__(self) -> None:
        if self.rounds < 1 or self.samples < 1:
            raise UsageError(
                f"rounds={self.rounds} with samples={self.samples} teach nothing", hint="use 1 or more of each"
            )


def normalise(values: dict[str, Any]) -> dict[str, Any]:
    """`task: arithmetic` is short for `task: {name: arithmetic}`, `gsm8k=FILE` for `{name: gsm8k, problems: FILE}`."""
    task = values.get("task")
    if not isinstance(task, str):
        return values
    name, equals, file = task.partition("=")
    return {**values, "task": {"name": name} | ({"problems": file} if equals else {})}
