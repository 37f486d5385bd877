from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from homeschool.models import nano


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache folder of the test's own."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    yield folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny Llama with nano's tokenizer, in Hugging Face form."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=99, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, initializer_range=0.3, eos_token_id=2, bos_token_id=1,
        pad_token_id=0,
    )  # fmt: skip
    place = tmp_path / "tiny"
    LlamaForCausalLM(config).save_pretrained(place)
    nano.tokenizer().save_pretrained(place)
    return place
