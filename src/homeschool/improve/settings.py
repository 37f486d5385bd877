"""What a config file may say. Every field has a default but `model` and `task`; an unknown key is an error."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from homeschool.train.settings import TrainConfig


@dataclass(frozen=True, slots=True)
class TaskConfig:
    """Either a task of ours by `name`, or a file of `problems` of yours."""

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
    confidence: float = 0.95


@dataclass(frozen=True, slots=True)
class HealthConfig:
    """When a run stops itself. Each stop is recorded with its reason and leaves a run that can be looked at."""

    broken: float = 0.05
    """Share of Broken verdicts past which the verifier is not to be trusted."""
    identical: float = 0.95
    """Share of unsolved problems whose samples are all the same text: nothing is explored any more."""


@dataclass(frozen=True, slots=True)
class BudgetConfig:
    """Limits. Both end the run at a round's boundary."""

    memory: str | None = None
    hours: float | None = None


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


def normalise(values: dict[str, Any]) -> dict[str, Any]:
    """`task: arithmetic` is short for `task: {name: arithmetic}`."""
    task = values.get("task")
    return {**values, "task": {"name": task}} if isinstance(task, str) else values
