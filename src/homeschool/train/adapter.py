"""LoRA (Hu et al. 2021) through peft: a low-rank update beside every linear layer, merged into the weights at the end.

Every linear layer but the output layer is adapted (QLoRA found that this, and not the rank, decides the quality). The
update is scaled by alpha / rank with alpha = 2 * rank, the usual choice, and has no dropout. Merging is checked: the
logits must stay what they were.
"""

from __future__ import annotations

from typing import Any

import torch
from peft import LoraConfig, get_peft_model

from homeschool.core.errors import StoppedError

TOLERANCE = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""Largest change of a logit that merging may make, as a share of the largest logit: the rounding of the weights."""


def attach(module: Any, rank: int) -> Any:
    """`module` with an adapter that changes nothing yet and alone is trainable. Draws from torch's generator."""
    settings = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")
    return get_peft_model(module, settings)


def merge(adapted: Any, probe: torch.Tensor) -> Any:
    """The module with the update added to its weights, in place. `probe` [1, T] are tokens to check it on.

    Raises StoppedError if the merged model's logits are not the adapted model's.
    """
    with torch.no_grad():
        before = adapted(input_ids=probe, use_cache=False).logits.float()
        merged = adapted.merge_and_unload()
        change = float((merged(input_ids=probe, use_cache=False).logits.float() - before).abs().max())
    allowed = TOLERANCE[merged.dtype] * max(1.0, float(before.abs().max()))
    if not change <= allowed:
        hint = "the adapter itself is kept beside it; train with lora left out, or with a lower rank and rate"
        raise StoppedError(f"merging the adapter changed a logit by {change:.2g} (allowed {allowed:.2g})", hint=hint)
    for parameter in merged.parameters():
        parameter.requires_grad_(True)
    return merged
