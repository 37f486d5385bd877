from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_checkpoint import FakeCheckpoint, sums, tiny_llama
from transformers import MistralConfig, MistralForCausalLM

from homeschool.train.packing import Corpus, Example, best_fit, packs_exactly, plan
from homeschool.train.settings import TrainConfig
from homeschool.train.sft import Sft


def examples(lengths: list[int]) -> list[Example]:
    random = np.random.default_rng(0)
    return [Example(random.integers(3, 90, n), np.arange(n) >= n // 2) for n in lengths]


@given(st.lists(st.integers(1, 40), max_size=80))
def test_best_fit_places_every_item_once_and_overfills_no_bin(lengths: list[int]) -> None:
    bins = best_fit(lengths, 40)
    assert sorted(item for items in bins for item in items) == list(range(len(lengths)))
    used = [sum(lengths[item] for item in items) for items in bins]
    assert all(0 < total <= 40 for total in used)
    assert len(bins) <= 1.7 * sum(lengths) / 40 + 1


def test_character_level_lengths_fill_the_rows() -> None:
    lengths = np.random.default_rng(1).integers(15, 111, 1500).tolist()
    corpus = Corpus(examples(lengths), packed=True, pad=0)
    steps = plan(corpus, TrainConfig(epochs=1.0, batch_tokens=2048), seed=0)
    rows = [row for step in steps for row in step.rows]
    assert sum(lengths) / (len(rows) * corpus.row_length) >= 0.95
    assert max(len(step.rows) for step in steps) * corpus.row_length <= 2048


@settings(max_examples=40)
@given(st.lists(st.integers(2, 60), min_size=1, max_size=12), st.booleans())
def test_a_batch_holds_its_examples_exactly(lengths: list[int], packed: bool) -> None:
    made = examples(lengths)
    corpus = Corpus(made, packed=packed, pad=0)
    rows = best_fit(lengths, corpus.row_length) if packed else [[number] for number in range(len(made))]
    batch = corpus.batch(rows)
    found: list[int] = []
    for line, row in enumerate(rows):
        column = 0
        for number in row:
            length = lengths[number]
            assert batch.tokens[line, column : column + length].tolist() == made[number].tokens.tolist()
            if batch.positions is not None:
                assert batch.positions[line, column : column + length].tolist() == list(range(length))
            start = max(1, length // 2)
            found += [line * batch.tokens.shape[1] + column + place - 1 for place in range(start, length)]
            column += length
        assert not batch.tokens[line, column:].any()
    assert batch.places.tolist() == found
    assert batch.targets.tolist() == [int(batch.tokens.flatten()[place + 1]) for place in found]
    assert len(found) == corpus.counts.sum()


def test_the_plan_depends_on_seed_and_epoch_only() -> None:
    corpus = Corpus(examples([5, 20, 33, 12] * 30), packed=True, pad=0)
    config = TrainConfig(epochs=2.0, batch_tokens=256)
    first, again, other = (plan(corpus, config, seed=seed) for seed in (0, 0, 1))
    assert first == again != other
    half = len(first) // 2
    assert first[half - 1].epoch == 1 and first[-1].epoch == 2
    for epoch in (first[:half], first[half:]):
        assert sorted(n for step in epoch for row in step.rows for n in row) == list(range(120))
    assert [step.rows for step in first[:half]] != [step.rows for step in first[half:]]


@pytest.mark.parametrize("packed", [True, False])
def test_packed_loss_and_gradient_are_those_of_one_example_at_a_time(packed: bool) -> None:
    checkpoint = FakeCheckpoint()
    objective = Sft()
    objective.prepare(checkpoint)
    made = [example for example in objective.collate(sums()) if isinstance(example, Example)]

    def total(rows: list[list[list[int]]]) -> tuple[float, torch.Tensor]:
        checkpoint.module.zero_grad()
        corpus = Corpus(made, packed=packed, pad=0)
        losses = [objective.loss(checkpoint.module, corpus.batch(part))[0] for part in rows]
        torch.stack(losses).sum().backward()
        gradient = torch.cat(
            [weight.grad.flatten() for weight in checkpoint.module.parameters() if weight.grad is not None]
        )
        return sum(map(float, losses)), gradient

    lengths = [len(example.tokens) for example in made]
    together = best_fit(lengths, 64) if packed else [[number] for number in range(len(made))]
    assert max(map(len, together)) > 1 or not packed
    loss, gradient = total([together])
    loss_alone, gradient_alone = total([[[number]] for number in range(len(made))])
    assert loss == pytest.approx(loss_alone, rel=1e-5)
    torch.testing.assert_close(gradient, gradient_alone, atol=1e-5 * float(gradient.abs().max()), rtol=1e-5)


def test_models_that_leak_are_not_packed() -> None:
    class Leaky(torch.nn.Module):
        """Adds up what it has read, as a recurrent model does."""

        device = torch.device("cpu")

        def forward(self, input_ids: torch.Tensor, position_ids: torch.Tensor | None = None, **_: object) -> object:
            logits = input_ids.float().cumsum(-1)[..., None].expand(-1, -1, 5)
            return type("Output", (), {"logits": logits})

    made = examples([12, 9])
    assert packs_exactly(tiny_llama(), made)
    assert not packs_exactly(Leaky(), made)
    assert not packs_exactly(tiny_llama(), made[:1])


def test_sliding_windows_stay_exact() -> None:
    config = MistralConfig(
        vocab_size=98, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, sliding_window=4, max_position_embeddings=64, initializer_range=0.2,
    )  # fmt: skip
    assert packs_exactly(MistralForCausalLM(config).eval(), examples([20, 25]))
