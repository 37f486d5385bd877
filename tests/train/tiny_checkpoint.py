"""A checkpoint small enough for tests: a random Llama over characters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from homeschool.core.records import Message, Row

PAD, BOS, EOS, FIRST = 0, 1, 2, 3


class CharTokenizer:
    pad_token_id, bos_token_id, eos_token_id = PAD, BOS, EOS

    def __call__(self, texts: Sequence[str], *, add_special_tokens: bool) -> dict[str, list[list[int]]]:
        start = [BOS] if add_special_tokens else []
        return {"input_ids": [[*start, *(FIRST + ord(letter) - 32 for letter in text)] for text in texts]}


class FakeCheckpoint:
    """What training needs of `homeschool.models.local.Checkpoint`."""

    def __init__(self, *, module: Any = None, seed: int = 0) -> None:
        self.module = module or tiny_llama(seed)
        self.tokenizer = CharTokenizer()
        self.fingerprint = "parent"
        self.device = torch.device("cpu")
        self.context = 64
        self.end_ids: tuple[int, ...] = (EOS,)

    def encode(self, prompt: str | tuple[Message, ...]) -> list[int]:
        if not isinstance(prompt, str):
            prompt = "".join(f"{message.role}:{message.content} " for message in prompt)
        return self.tokenizer([prompt], add_special_tokens=True)["input_ids"][0]

    def save(self, folder: Path) -> None:
        self.module.save_pretrained(folder)


def tiny_llama(seed: int = 0) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=98,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=64,
        tie_word_embeddings=True,
        initializer_range=0.2,
    )
    return LlamaForCausalLM(config)


def sums(count: int = 24) -> list[Row]:
    """Rows of `prompt` and `completion` of mixed lengths."""
    rows: list[Row] = []
    for n in range(count):
        value = n + n * n % 7 + n % 5
        rows.append(
            Row.source({"prompt": f"{n}+{n * n % 7}" + "+1" * (n % 5), "completion": f"={value}" * (1 + n % 3)})
        )
    return rows


def weights(checkpoint: FakeCheckpoint) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in checkpoint.module.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Bit for bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
