from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from tiny_checkpoint import tiny_llama
from transformers import (
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GraniteConfig,
    GraniteForCausalLM,
)

from homeschool.train import token_loss
from homeschool.train.packing import Batch, Corpus, Example

SMALL: dict[str, Any] = {
    "vocab_size": 98,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,
    "pad_token_id": 0,
}


def gpt2() -> Any:
    return GPT2LMHeadModel(GPT2Config(vocab_size=98, n_embd=32, n_layer=2, n_head=2, n_positions=64))


def granite() -> Any:
    return GraniteForCausalLM(GraniteConfig(**SMALL, logits_scaling=4.0))


def gemma2() -> Any:
    return Gemma2ForCausalLM(Gemma2Config(**SMALL, head_dim=16, final_logit_softcapping=2.0))


def cohere() -> Any:
    return CohereForCausalLM(CohereConfig(**SMALL, logit_scale=0.1))


def peft() -> Any:
    model = get_peft_model(tiny_llama(), LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM"))
    return model


def batch() -> Batch:
    random = np.random.default_rng(0)
    made = [Example(random.integers(3, 90, n), np.arange(n) >= 5) for n in (12, 17, 30, 9)]
    return Corpus(made, packed=True, pad=0).batch([[0, 1, 2], [3]])


def expected(model: Any, data: Batch) -> torch.Tensor:
    """All logits, then plain cross-entropy at the counted places."""
    logits = model(**data.inputs()).logits.flatten(0, 1)[data.places]
    return torch.nn.functional.cross_entropy(logits, data.targets, reduction="sum")


@pytest.mark.parametrize(
    ("make", "plain"),
    [(tiny_llama, True), (gpt2, True), (peft, True), (granite, False), (gemma2, False), (cohere, False)],
)
@pytest.mark.parametrize("chunk", [1 << 24, 98 * 7])
def test_loss_and_gradient_equal_those_of_all_logits(make: Any, plain: bool, chunk: int, monkeypatch: Any) -> None:
    monkeypatch.setattr(token_loss, "CHUNK", chunk)
    torch.manual_seed(1)
    model, data = make().eval(), batch()
    output = token_loss.output_layer(model)
    assert output.plain == plain
    loss, metrics = token_loss.token_losses(model, data, output=output)
    wanted = expected(model, data)
    assert float(loss) == pytest.approx(float(wanted), rel=1e-5)
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    ours, plainly = (torch.autograd.grad(value, trained) for value in (loss, wanted))
    for one, other in zip(ours, plainly, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    with torch.no_grad():
        logits = model(**data.inputs()).logits.flatten(0, 1)[data.places]
    entropy = torch.distributions.Categorical(logits=logits).entropy().sum()
    assert float(metrics["entropy"]) == pytest.approx(float(entropy), rel=1e-4)
    assert float(metrics["mean_token_accuracy"]) == int((logits.argmax(-1) == data.targets).sum())


def test_logits_of_uncounted_places_are_never_made() -> None:
    model, data = tiny_llama(), batch()
    output = token_loss.output_layer(model)
    rows: list[int] = []
    with model.lm_head.register_forward_hook(lambda _, __, out: rows.append(out.numel() // out.shape[-1])):
        token_loss.token_losses(model, data, output=output)
    assert sum(rows) == len(data.targets) + 1
