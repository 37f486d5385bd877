"""Examples of different lengths to rectangles of tokens with little padding, and without contamination.

Several examples share a row. Each starts again at position 0, and from positions that restart transformers builds the
mask that keeps them apart (block-diagonal and causal, sliding windows included), so the loss and the gradient of a
packed batch are those of its examples one at a time. Models where that does not hold (recurrent ones, or those that
take no positions) get one example per row: `packs_exactly` asks the model itself instead of trusting a list of names.

Best-fit decreasing (Johnson 1974) over windows of shuffled examples fills at least 95% where lengths are mixed. The
plan of a run depends on lengths, config and seed only, so a resumed run sees the same batches.
"""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from homeschool.core.identity import seed_of
from homeschool.train.settings import USUAL_EPOCHS, TrainConfig

WINDOW = 4096
"""Examples that are packed together: enough for a good fit, few enough that neighbours in time stay random."""
ROUND, SHORTEST = 32, 64
"""Row lengths are a multiple of ROUND (kernels like it) and at least SHORTEST (short rows fill badly)."""


@dataclass(frozen=True)
class Example:
    """One encoded row. `counted[t]` says that predicting token t is part of the loss; token 0 is never predicted."""

    tokens: NDArray[np.int64]
    counted: NDArray[np.bool_]


@dataclass(frozen=True)
class Batch:
    """R rows of T tokens; N tokens are counted. Row r, column t is place r*T + t."""

    tokens: torch.Tensor
    """[R, T]"""
    positions: torch.Tensor | None
    """[R, T], starting again at 0 with each example; None if every row is one example."""
    places: torch.Tensor
    """[N] where each counted token is predicted: the place before it."""
    targets: torch.Tensor
    """[N] the counted tokens"""

    def inputs(self) -> dict[str, Any]:
        """The keyword arguments of a transformers forward pass. Padding follows the text, so causality hides it."""
        inputs: dict[str, Any] = {"input_ids": self.tokens, "use_cache": False}
        return inputs if self.positions is None else {**inputs, "position_ids": self.positions}


@dataclass(frozen=True)
class Step:
    """The rows of one optimiser step, each a list of example numbers. `epoch` is how far the data has been read."""

    epoch: float
    rows: list[list[int]]


class Corpus:
    """All examples of a run in three flat arrays, so that a batch is cut with a few vector operations."""

    def __init__(self, examples: Sequence[Example], *, packed: bool, pad: int) -> None:
        self.lengths = np.array([len(example.tokens) for example in examples], dtype=np.int64)
        self.counts = np.array([int(example.counted[1:].sum()) for example in examples], dtype=np.int64)
        self.row_length = max(SHORTEST, math.ceil(self.lengths.max() / ROUND) * ROUND)
        self.packed = packed
        self._pad = pad
        self._starts = np.concatenate([[0], np.cumsum(self.lengths)[:-1]])
        self._tokens = np.concatenate([example.tokens for example in examples])
        self._counted = np.concatenate([example.counted for example in examples])
        self._counted[self._starts] = False

    def batch(self, rows: Sequence[Sequence[int]], *, device: torch.device | str = "cpu") -> Batch:
        """The rectangle of these rows: [R, T], T the run's row length (without packing: the longest row here)."""
        chosen = np.concatenate([np.asarray(row, dtype=np.int64) for row in rows])
        lengths = self.lengths[chosen]
        row_of = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
        used = np.bincount(row_of, weights=lengths, minlength=len(rows)).astype(np.int64)
        width = self.row_length if self.packed else int(used.max())
        begins = np.cumsum(lengths) - lengths
        row_begins = np.cumsum(used) - used
        # For every token of every chosen example: its position in the example, its place in the rectangle, its source.
        position = np.arange(lengths.sum()) - np.repeat(begins, lengths)
        place = np.repeat(row_of * width + begins - row_begins[row_of], lengths) + position
        source = np.repeat(self._starts[chosen], lengths) + position

        tokens = np.full(len(rows) * width, self._pad, dtype=np.int64)
        tokens[place] = self._tokens[source]
        # Padding counts from 0 as well: to the model it is one more example, which nothing looks at.
        positions = (np.arange(width) - used[:, None]).reshape(-1)
        positions[place] = position
        counted = place[self._counted[source]]

        def tensor(values: NDArray[np.int64]) -> torch.Tensor:
            return torch.from_numpy(values).to(device, non_blocking=True)

        shape = (len(rows), width)
        return Batch(
            tokens=tensor(tokens).view(shape),
            positions=tensor(positions).view(shape) if self.packed else None,
            places=tensor(counted - 1),
            targets=tensor(tokens[counted]),
        )


def best_fit(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Pack items of `lengths` into bins of `capacity`: longest first, each into the fullest bin that takes it."""
    bins: list[list[int]] = []
    with_space: list[list[int]] = [[] for _ in range(capacity + 1)]
    # Bit s is set while some bin has exactly s free places, so the best fit is the lowest set bit from `length` up.
    spaces = 0
    for item in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        length = lengths[item]
        fitting = spaces >> length
        if fitting:
            space = length + (fitting & -fitting).bit_length() - 1
            chosen = with_space[space].pop()
            if not with_space[space]:
                spaces ^= 1 << space
        else:
            space, chosen = capacity, len(bins)
            bins.append([])
        bins[chosen].append(item)
        with_space[space - length].append(chosen)
        spaces |= 1 << (space - length)
    return bins


def plan(corpus: Corpus, config: TrainConfig, *, seed: int) -> list[Step]:
    """Every optimiser step of the run, in order. A step never crosses from one epoch into the next."""
    epochs = USUAL_EPOCHS if config.epochs is config.tokens is config.steps is None else config.epochs
    steps: list[Step] = []
    tokens = 0
    for epoch in itertools.count():
        for step in _epoch(corpus, config.batch_tokens, seed=seed, epoch=epoch):
            steps.append(step)
            tokens += sum(int(corpus.lengths[row].sum()) for row in step.rows)
            spent = (epochs is not None and step.epoch >= epochs) or tokens >= (config.tokens or math.inf)
            if spent or len(steps) >= (config.steps or math.inf):
                return steps
    raise AssertionError("an epoch has at least one step, so every budget is spent")


def _epoch(corpus: Corpus, batch_tokens: int, *, seed: int, epoch: int) -> Iterator[Step]:
    random = np.random.default_rng(seed_of("order", seed, epoch))
    order = random.permutation(len(corpus.lengths))
    rows: list[list[int]] = []
    for start in range(0, len(order), WINDOW):
        window = order[start : start + WINDOW]
        if corpus.packed:
            bins = best_fit(corpus.lengths[window].tolist(), corpus.row_length)
            packed = [window[items].tolist() for items in bins]
        else:
            packed = [[item] for item in window.tolist()]
        rows.extend(packed[index] for index in random.permutation(len(packed)))
    # Equal steps rather than full ones and a small last one, whose gradient would be noise.
    count = math.ceil(len(rows) * corpus.row_length / max(batch_tokens, corpus.row_length))
    cuts = np.linspace(0, len(rows), count + 1).round().astype(int).tolist()
    for number, (start, end) in enumerate(itertools.pairwise(cuts), start=1):
        yield Step(epoch + number / count, rows[start:end])


def packs_exactly(model: Any, examples: Sequence[Example]) -> bool:
    """Whether two examples in one row give this model the logits that each gives alone (three small forward passes)."""
    if len(examples) < 2 or "position_ids" not in inspect.signature(model.forward).parameters:
        return False
    pair = [torch.from_numpy(example.tokens[:32]).to(model.device) for example in examples[:2]]
    positions = torch.cat([torch.arange(len(tokens), device=model.device) for tokens in pair])
    with torch.no_grad():
        together = model(input_ids=torch.cat(pair)[None], position_ids=positions[None], use_cache=False).logits[0]
        alone = torch.cat([model(input_ids=tokens[None], use_cache=False).logits[0] for tokens in pair])
    # Rounding differs with the shape; a leak is larger than rounding by far.
    tolerance = 50 * torch.finfo(alone.dtype).eps * float(alone.abs().max())
    return bool((together - alone).abs().max() <= tolerance)
