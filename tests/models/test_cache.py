from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel, Qwen2Config, Qwen2ForCausalLM

from homeschool.models import nano
from homeschool.models.cache import ROUND, RaggedCache
from homeschool.models.local import Checkpoint

QWEN = Qwen2Config(
    vocab_size=99, hidden_size=24, intermediate_size=32, num_hidden_layers=3, num_attention_heads=6,
    num_key_value_heads=2, max_position_embeddings=128, initializer_range=0.3,
)  # fmt: skip
GPT2 = GPT2Config(vocab_size=99, n_embd=24, n_layer=2, n_head=3, n_positions=128, initializer_range=0.3)


@pytest.fixture(params=["llama", "qwen2", "gpt2", "eager"])
def checkpoint(request: pytest.FixtureRequest, folder: Path) -> Checkpoint:
    torch.manual_seed(0)
    if request.param in ("llama", "eager"):
        opened = Checkpoint.open(str(folder), device="cpu", dtype="float64")
        if request.param == "eager":
            opened.module.set_attn_implementation("eager")
        return opened
    module: PreTrainedModel = Qwen2ForCausalLM(QWEN) if request.param == "qwen2" else GPT2LMHeadModel(GPT2)
    return Checkpoint("tiny", module.double(), tokenizer=nano.tokenizer(), fingerprint="")


@torch.inference_mode()
def test_ragged_rows_equal_full_forwards(checkpoint: Checkpoint) -> None:
    """Rows of unlike length are prefilled, expanded, reordered, dropped and grown; each stays its own sequence."""
    generator = torch.Generator().manual_seed(1)
    rows = [torch.randint(3, 99, (length,), generator=generator).tolist() for length in (3, 5, 5, 9)]
    cache = checkpoint.cache(rows=4, length=1)
    for first, group in ((0, rows[:3]), (3, rows[3:])):
        ids = torch.tensor([row + [0] * (max(map(len, group)) - len(row)) for row in group])
        positions = torch.arange(ids.shape[1])[None]
        logits = checkpoint.forward(ids, positions=positions, cache=cache, first_row=first, keep=0)
        for row, got in zip(group, logits, strict=True):
            assert torch.allclose(got[: len(row)], checkpoint.module(torch.tensor([row])).logits[0], atol=1e-5)
    changes = {
        1: ("expand", [0, 0, 1, 2, 3, 3, 3]),
        4: ("keep", [6, 1, 2, 3, 4]),
        7: ("keep", [0, 4, 2]),
        30: ("keep", [1]),
    }
    for step in range(ROUND + 8):
        if step in changes:
            change, index = changes[step]
            getattr(cache, change)(torch.tensor(index))
            rows = [list(rows[place]) for place in index]
        new = torch.randint(3, 99, (len(rows), 1), generator=generator)
        positions = torch.tensor([[len(row)] for row in rows])
        logits = checkpoint.forward(new, positions=positions, cache=cache)
        rows = [[*row, int(token)] for row, token in zip(rows, new, strict=True)]
        for row, got in zip(rows, logits, strict=True):
            want = checkpoint.module(torch.tensor([row])).logits[0, -1]
            assert torch.allclose(got[-1], want, atol=1e-5)  # eager attention takes its softmax in float32
    assert cache.capacity > ROUND


def stored_keys(cache: RaggedCache) -> torch.Tensor:
    layer: Any = cache.layers[0]
    return layer.keys


def layer_states(rows: int, tokens: int, fill: float) -> torch.Tensor:
    return torch.full((rows, 2, tokens, 4), fill)


def test_an_update_copies_only_what_is_new_and_shows_only_what_is_live() -> None:
    cache = RaggedCache(1, rows=3, length=50)
    cache.advance(torch.tensor([[0], [7], [3]]), rows=3)
    keys, values = cache.update(layer_states(3, 1, 1.0), layer_states(3, 1, 2.0), 0)
    assert keys.shape == values.shape == (3, 2, 8, 4)
    storage = stored_keys(cache)
    assert keys.data_ptr() == storage.data_ptr()
    assert storage.shape == (3, 64, 2, 4)
    assert [storage[row].sum(dim=(1, 2)).nonzero().flatten().tolist() for row in range(3)] == [[0], [7], [3]]


def test_keep_moves_only_rows_that_change_place() -> None:
    cache = RaggedCache(1, rows=4, length=4)
    cache.advance(torch.zeros(4, 1, dtype=torch.long), rows=4)
    cache.update(torch.arange(4.0).view(4, 1, 1, 1), torch.zeros(4, 1, 1, 1), 0)
    before = stored_keys(cache)
    cache.keep(torch.tensor([0, 3]))
    after = stored_keys(cache)
    assert after is before
    assert after[:2, 0].flatten().tolist() == [0.0, 3.0]


def test_the_mask_hides_later_slots_of_each_row() -> None:
    cache = RaggedCache(1, rows=2, length=4)
    positions = torch.tensor([[0, 1], [2, 3]])
    cache.advance(positions, rows=2)
    mask = cache.mask(positions, dtype=torch.float32)
    assert mask.shape == (2, 1, 2, 4)
    assert (mask == 0).int().flatten(0, 2).tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]
    assert mask.min() == torch.finfo(torch.float32).min
