"""Drawing one token for each row from its logits, each row with its own temperature, top-k and top-p.

By inversion: the cumulative distribution, in float64, is searched for one uniform number per row. Filters come in
the usual order: temperature, then the k likeliest tokens, then the fewest that hold `top_p` of what is left. Rows that
are held to a schema draw, filters included, among the tokens that it allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from homeschool.core.records import Sampling
from homeschool.decode import noise
from homeschool.decode.closing import Holding


class Drawn(Protocol):
    """What of a row decides its draws."""

    sampling: Sampling
    seed: int
    sample: int


@dataclass(frozen=True, slots=True)
class Draw:
    """How each of R rows draws. `random` are the rows that are not greedy; the other fields go with those."""

    random: torch.Tensor
    temperature: torch.Tensor
    top_k: torch.Tensor
    top_p: torch.Tensor
    streams: NDArray[np.uint64]
    filtered: bool

    @staticmethod
    def of(rows: Sequence[Drawn], device: torch.device) -> Draw:
        random = [place for place, row in enumerate(rows) if row.sampling.temperature > 0]
        drawn = [rows[place] for place in random]
        sampling = [row.sampling for row in drawn]
        return Draw(
            random=torch.tensor(random, dtype=torch.long, device=device),
            temperature=_column([s.temperature for s in sampling], device),
            top_k=_column([s.top_k or float("inf") for s in sampling], device),
            top_p=_column([s.top_p for s in sampling], device),
            streams=noise.streams([row.seed for row in drawn], [row.sample for row in drawn]),
            filtered=any(s.top_k or s.top_p < 1 for s in sampling),
        )

    def next(
        self, logits: torch.Tensor, *, step: int, holding: Holding | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids [R] and their log-probabilities [R] at temperature 1, from logits [R, V]; `step` counts draws.

        Log-probabilities are the model's own, whatever rows `holding` holds to a schema.
        """
        logits = logits.double()
        allowed = holding.masked(logits) if holding else logits
        tokens = allowed.argmax(-1)
        if len(self.random):
            scaled = allowed if len(self.random) == len(allowed) else allowed[self.random]
            chances = torch.softmax(scaled / self.temperature, -1)
            if self.filtered:
                chances = keep_likely(chances, top_k=self.top_k, top_p=self.top_p)
            uniform = torch.from_numpy(noise.uniforms(self.streams, step)).to(logits.device)
            tokens[self.random] = invert(chances, uniform)
        if holding:
            tokens = holding.settle(tokens)
        logprobs = logits.gather(-1, tokens.unsqueeze(-1)).squeeze(-1) - logits.logsumexp(-1)
        return tokens, logprobs


def invert(chances: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """[R] the token at which the cumulative sum of chances [R, V] (any total) passes `uniform` [R] of the total."""
    cumulative = chances.cumsum(-1)
    target = uniform.unsqueeze(-1) * cumulative[:, -1:]
    # right=True passes over tokens of no chance; NaN chances end at V, and the caller sees NaN log-probabilities.
    return torch.searchsorted(cumulative, target, right=True).squeeze(-1).clamp(max=chances.shape[-1] - 1)


def keep_likely(chances: torch.Tensor, *, top_k: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
    """Chances [R, V] with unlikely tokens at 0; top_k and top_p are [R, 1]. The likeliest token always stays.

    Of equally likely tokens the lower id counts as the likelier.
    """
    ranked, tokens = chances.sort(dim=-1, descending=True, stable=True)
    rank = torch.arange(chances.shape[-1], device=chances.device)
    ranked = ranked.masked_fill(rank >= top_k, 0.0)
    before = ranked.cumsum(-1) - ranked
    ranked = ranked.masked_fill((before >= top_p * ranked.sum(-1, keepdim=True)) & (top_p < 1), 0.0)
    return torch.zeros_like(chances).scatter(-1, tokens, ranked)


def _column(numbers: list[float], device: torch.device) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64, device=device).unsqueeze(-1)
