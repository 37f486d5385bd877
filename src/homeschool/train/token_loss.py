"""The cross-entropy of the counted tokens, without the logits of any other.

In fine-tuning most positions (prompts, padding) are not counted, and with a vocabulary of 150 k their logits are the
largest tensor of the step. So the input of the model's output layer is caught on its way in, cut down to the counted
places, and only those get logits. What a model does *after* its output layer (scaling, soft caps) stays in its own
hands: if it does nothing, we apply the layer ourselves, in chunks whose logits are computed again on the way back
(Liger and Megatron do the same in kernels); if it does something, its own forward pass makes the logits, in one piece.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint as recompute

from homeschool.core.errors import UsageError
from homeschool.train.packing import Batch

CHUNK = 1 << 24
"""Logits that exist at once: 64 MiB in float32."""


@dataclass(frozen=True)
class OutputLayer:
    """The layer that makes logits, and whether the model returns them untouched."""

    layer: Any
    plain: bool


def output_layer(module: Any) -> OutputLayer:
    """The output layer of a transformers causal LM. Raises UsageError if it has none."""
    layer = module.get_output_embeddings()
    if layer is None:
        raise UsageError(f"{type(module).__name__} has no output layer to train", hint="use a causal language model")
    made: list[tuple[torch.Tensor, int]] = []
    with torch.no_grad(), layer.register_forward_hook(lambda _, __, out: made.append((out, out._version))):
        logits = module(input_ids=torch.zeros(1, 1, dtype=torch.long, device=module.device)).logits
    # The very same tensor, not written to since: then nothing was done to it.
    plain = len(made) == 1 and made[0][0] is logits and logits._version == made[0][1]
    return OutputLayer(layer, plain)


def token_losses(model: Any, batch: Batch, *, output: OutputLayer) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Sums over the N counted tokens: the loss in nats, and `entropy` (nats) and `mean_token_accuracy` of the same."""
    if not output.plain:
        total, entropy, right = _sums(_logits_at(model, batch, layer=output.layer), batch.targets)
        return total, {"entropy": entropy, "mean_token_accuracy": right}
    hidden = _hidden_at(model, batch, layer=output.layer)

    def sums(hidden: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return _sums(output.layer(hidden), targets)

    size = max(1, CHUNK // output.layer.weight.shape[0])
    if len(hidden) <= size:
        total, entropy, right = sums(hidden, batch.targets)
    else:
        chunks = zip(hidden.split(size), batch.targets.split(size), strict=True)
        parts = [recompute(sums, part, targets, use_reentrant=False) for part, targets in chunks]
        total, entropy, right = (torch.stack(part).sum() for part in zip(*parts, strict=True))
    return total, {"entropy": entropy, "mean_token_accuracy": right}


def _sums(logits: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Loss, entropy and right guesses, each summed over logits [N, V] and targets [N]."""
    logprobs = torch.log_softmax(logits.float(), dim=-1)
    total = -logprobs.gather(-1, targets[:, None]).sum()
    with torch.no_grad():
        entropy = torch.special.entr(logprobs.exp()).sum()
        right = (logprobs.argmax(-1) == targets).sum().float()
    return total, entropy, right


def _hidden_at(model: Any, batch: Batch, *, layer: Any) -> torch.Tensor:
    """What goes into the output layer at the counted places: [N, width]."""
    caught: list[torch.Tensor] = []

    def catch(_: Any, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        caught.append(args[0])
        return (args[0][:1, :1],)  # the model must return some logits: one is the cheapest

    with layer.register_forward_pre_hook(catch):
        model(**batch.inputs())
    return caught[0].flatten(0, 1).index_select(0, batch.places)


def _logits_at(model: Any, batch: Batch, *, layer: Any) -> torch.Tensor:
    """The model's own logits at the counted places: [N, V]."""

    def cut(_: Any, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return (args[0].flatten(0, 1).index_select(0, batch.places)[None],)

    with layer.register_forward_pre_hook(cut):
        return model(**batch.inputs()).logits[0]
