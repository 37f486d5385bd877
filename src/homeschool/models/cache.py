"""A ragged key/value cache for any Hugging Face causal LM: every row of the batch stands at its own position.

Why not transformers' caches: they keep a batch rectangular, so short prompts carry padding to the end, every step
copies the whole cache (`torch.cat`), and an answer that is finished is still computed until the last one is.
Here token number `p` of a row lives in slot `p`. Prompts are padded on the right, the slots of the padding are
overwritten by the answer before anything may look at them, a prompt computed once serves all its samples
(`expand`), and a finished row leaves its place to the last one (`keep`).

It refuses sliding-window layers and recurrent states: `Checkpoint` limits the context to the window, or refuses.
Shapes: R rows, C slots of a row, H key/value heads, D head size, T tokens of one forward, L slots looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers.cache_utils import Cache, CacheLayerMixin

ROUND = 32
"""Slots are added in multiples of this many."""


@dataclass(slots=True)
class Place:
    """Where the forward pass under way writes, shared by all layers."""

    rows: slice
    slots: torch.Tensor
    """[rows * T] index of each new token in the layer's storage seen as [R * C]."""
    length: int
    """L: one past the highest slot in use."""


class RaggedLayer(CacheLayerMixin):
    """Keys and values of one layer, stored [R, C, H, D] so that a token's are one piece of memory."""

    def __init__(self, cache: RaggedCache) -> None:
        super().__init__()
        self.cache = cache

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Room for all rows. Zeros, since a masked slot must still hold a finite number."""
        self.keys = _room(key_states, self.cache.rows, self.cache.capacity)
        self.values = _room(value_states, self.cache.rows, self.cache.capacity)
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write new keys and values [rows, H, T, D]; return views [rows, H, L, D] on all of those rows."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        assert self.keys is not None and self.values is not None
        place = self.cache.place
        return _write(self.keys, key_states, place), _write(self.values, value_states, place)

    def transform(self, change: Any) -> None:
        """Replace the storage of keys and values by `change` of it."""
        if self.is_initialized:
            self.keys, self.values = change(self.keys), change(self.values)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.cache.place.length, 0

    def get_seq_length(self) -> int:
        return self.cache.place.length

    def get_max_length(self) -> int:
        return -1


class RaggedCache(Cache):
    """The cache of `rows` answers under way. `Checkpoint.forward` calls `advance`; a decoder the rest."""

    def __init__(self, layers: int, *, rows: int, length: int) -> None:
        """`length` is how many slots to make room for at first; more are added when needed."""
        super().__init__(layers=[RaggedLayer(self) for _ in range(layers)])
        self.rows = rows
        self.capacity = -(-max(length, 1) // ROUND) * ROUND
        self.place = Place(slice(0, 0), torch.empty(0, dtype=torch.long), 0)

    def advance(self, positions: torch.Tensor, *, first_row: int = 0, rows: int) -> None:
        """Say where the next forward pass writes: token [i, t] of it goes to slot `positions[i, t]` of its row.

        positions: [rows, T] or, if every row stands at the same place, [1, T]. The pass sees slots below
        1 + the highest position only.
        """
        length = int(positions.max()) + 1
        if length > self.capacity:
            self._grow(length)
        starts = torch.arange(first_row, first_row + rows, device=positions.device).unsqueeze(1) * self.capacity
        self.place = Place(slice(first_row, first_row + rows), (starts + positions).flatten(), length)

    def mask(self, positions: torch.Tensor, *, dtype: torch.dtype) -> torch.Tensor:
        """What may look at what, to be added to the scores: [rows or 1, 1, T, L], 0 or the lowest number."""
        slots = torch.arange(self.place.length, device=positions.device)
        hidden = slots > positions[:, None, :, None]
        return torch.zeros(hidden.shape, dtype=dtype, device=positions.device).masked_fill_(
            hidden, torch.finfo(dtype).min
        )

    def expand(self, index: torch.Tensor) -> None:
        """Make row i a copy of what is now row `index[i]`: one computed prompt for all its samples."""
        self.rows = len(index)
        self._transform(lambda storage: storage[index])

    def keep(self, index: torch.Tensor) -> None:
        """Keep the rows `index`, in that order. Only rows that change place are copied."""
        moved = (index != torch.arange(len(index), device=index.device)).nonzero().flatten()
        source, length = index[moved], self.place.length
        self.rows = len(index)

        def move(storage: torch.Tensor) -> torch.Tensor:
            if len(moved):
                storage[moved, :length] = storage[source, :length]
            return storage

        self._transform(move)

    def _grow(self, length: int) -> None:
        """Half as much room again, so that growing costs a constant number of copies per slot."""
        used = self.capacity
        self.capacity = -(-max(length, used * 3 // 2) // ROUND) * ROUND

        def grow(storage: torch.Tensor) -> torch.Tensor:
            room = storage.new_zeros(self.rows, self.capacity, *storage.shape[2:])
            room[:, :used] = storage[: self.rows]
            return room

        self._transform(grow)

    def _transform(self, change: Any) -> None:
        for layer in self.layers:
            layer.transform(change)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


def _room(states: torch.Tensor, rows: int, slots: int) -> torch.Tensor:
    return states.new_zeros(rows, slots, states.shape[1], states.shape[3])


def _write(storage: torch.Tensor, states: torch.Tensor, place: Place) -> torch.Tensor:
    storage.flatten(0, 1).index_copy_(0, place.slots, states.transpose(1, 2).flatten(0, 1))
    return storage[place.rows, : place.length].transpose(1, 2)
