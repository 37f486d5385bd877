"""What a training run is told: the objective, the budget, the learning rate and what may be spent on memory.

A budget is exactly one of `epochs`, `tokens` or `steps`: two would have to be reconciled, and whichever way that went
would surprise somebody, so two are refused. Sizes are counted in tokens, never in rows, because rows differ in length.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from homeschool.core.errors import UsageError

FULL_LR, LORA_LR = 1e-5, 2e-4
"""The field's usual rates for full fine-tuning (Tulu 3, OLMo 2: 5e-6 to 2e-5) and for LoRA (QLoRA: 1e-4 to 2e-4)."""
USUAL_EPOCHS = 3.0


@dataclass(frozen=True)
class Schedule:
    """How the learning rate moves. It rises over `warmup_steps`, holds, and falls over the last `decay` of the run."""

    kind: Literal["constant", "linear", "cosine"] = "linear"
    """The shape of the fall; `constant` never falls."""
    warmup_steps: int = 20
    """Never more than half of the run."""
    decay: float = 1.0
    """Fraction of the run, at its end, over which the rate falls towards 0."""

    def factor(self, step: int, *, total: int) -> float:
        """What the rate is multiplied by at `step` (from 0) of `total`; in (0, 1]."""
        warmup = min(self.warmup_steps, total // 2)
        rise = min(1.0, (step + 1) / warmup) if warmup else 1.0
        start = max(total * (1 - self.decay), warmup)
        if self.kind == "constant" or step < start:
            return rise
        gone = (step - start) / (total - start)
        return rise * (1 - gone if self.kind == "linear" else (1 + math.cos(math.pi * gone)) / 2)


@dataclass(frozen=True)
class AdamW:
    """The optimiser (Loshchilov and Hutter 2019), with the betas that language models are usually trained with."""

    betas: tuple[float, ...] = (0.9, 0.95)
    weight_decay: float = 0.0
    clip: float = 1.0
    """Largest 2-norm of the whole gradient; a larger one is scaled down to it."""


@dataclass(frozen=True)
class Memory:
    """What is traded for memory. Neither changes the result beyond rounding."""

    micro_tokens: int | None = None
    """Tokens in one forward pass, padding included; a step adds up as many passes as it needs. None: 2048 on a CPU,
    else 8192; halved, and the step taken again, when the accelerator's memory runs out."""
    gradient_checkpointing: bool = False
    """Keep only each layer's input and compute the rest again on the way back: about 30% slower, far smaller."""


@dataclass(frozen=True)
class TrainConfig:
    """One training run. At most one of `epochs`, `tokens` and `steps`; none means 3 epochs."""

    objective: str = "sft"
    lora: int | None = None
    """Rank of the LoRA adapter; None trains every weight."""
    lr: float | None = None
    """Peak learning rate; None: 1e-5, or 2e-4 with LoRA."""
    epochs: float | None = None
    tokens: int | None = None
    """Tokens of examples to process, prompts included, padding not; the step that reaches it is the last."""
    steps: int | None = None
    batch_tokens: int = 16_384
    """Tokens in one optimiser step, padding included (packing keeps that to a few percent)."""
    max_length: int | None = None
    """Longer examples are dropped, with a reason; None: what the model can read."""
    checkpoint_every: int = 100
    """Steps between two states to resume from."""
    schedule: Schedule = field(default_factory=Schedule)
    adamw: AdamW = field(default_factory=AdamW)
    memory: Memory = field(default_factory=Memory)

    def __post_init__(self) -> None:
        given = [name for name in ("epochs", "tokens", "steps") if getattr(self, name) is not None]
        if len(given) > 1:
            raise UsageError(f"two training budgets are given, {' and '.join(given)}", hint=f"keep only {given[0]}")
        positive = (*given, "batch_tokens", "checkpoint_every", "max_length", "lora", "lr")
        for name in positive:
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise UsageError(f"train.{name} must be above 0, not {value}", hint=f"leave train.{name} out")
        if len(self.adamw.betas) != 2:
            raise UsageError(f"train.adamw.betas must be two numbers, not {self.adamw.betas}", hint="[0.9, 0.95]")
        if not 0 <= self.schedule.decay <= 1:
            raise UsageError(f"train.schedule.decay must be in 0..1, not {self.schedule.decay}", hint="try 0.3")

    @property
    def peak_lr(self) -> float:
        return self.lr if self.lr is not None else FULL_LR if self.lora is None else LORA_LR
