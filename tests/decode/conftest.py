"""Tiny random models with nano's characters: float64, so that rounding never changes a drawn token."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from homeschool.decode.sample import Sampler
from homeschool.models import nano
from homeschool.models.local import Checkpoint

sys.path.insert(0, str(Path(__file__).parent))  # for `schemas`

ENDS = [2, 40, 50, 60]
"""Several end tokens, so that a random model ends some answers early."""


def checkpoint(module: PreTrainedModel, *, dtype: torch.dtype = torch.float64) -> Checkpoint:
    module.generation_config.eos_token_id = ENDS
    typed: Any = module
    return Checkpoint("tiny", typed.to(dtype), tokenizer=nano.tokenizer(), fingerprint="f0")


@pytest.fixture(scope="session")
def llama() -> Checkpoint:
    """Grouped-query attention, 96 positions, wide initial weights so that its distributions are uneven."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=99, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=96, initializer_range=0.3, eos_token_id=2, bos_token_id=1,
        pad_token_id=0,
    )  # fmt: skip
    return checkpoint(LlamaForCausalLM(config))


@pytest.fixture(scope="session")
def gpt2() -> Checkpoint:
    """Learned positions, one fused projection: an architecture unlike Llama."""
    torch.manual_seed(1)
    config = GPT2Config(
        vocab_size=99, n_embd=32, n_layer=2, n_head=4, n_positions=96, initializer_range=0.3, eos_token_id=2,
        bos_token_id=1,
    )  # fmt: skip
    return checkpoint(GPT2LMHeadModel(config))


@pytest.fixture
def sampler(llama: Checkpoint) -> Sampler:
    return Sampler(llama)
