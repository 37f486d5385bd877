"""Supervised fine-tuning: the loss of each answer given its question, on the answer's tokens and the end token only.

A row is `prompt` (text, or messages of role and content) and `completion` (text), or `text` alone, all of which is then
counted. Prompt and completion are tokenised apart: joined text could melt a token across the border, and the model
would learn to answer a prompt whose last token it never meets when it generates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from homeschool.core.errors import UsageError
from homeschool.core.records import Dropped, Message, Row
from homeschool.train.packing import Batch, Example
from homeschool.train.token_loss import output_layer, token_losses

if TYPE_CHECKING:
    import torch


class Sft:
    """Next-token cross-entropy on completions. What TRL's SFTTrainer minimises with `completion_only_loss`."""

    name = "sft"

    def prepare(self, model: Any) -> None:
        """Note the tokenizer and the output layer of a local checkpoint; nothing is attached to it."""
        self._checkpoint = model
        self._output = output_layer(model.module)

    def collate(self, rows: Sequence[Row]) -> list[Example | Dropped]:
        """One example per row, in order. Raises UsageError for a row without the columns."""
        for number, row in enumerate(rows, start=1):
            _check_columns(row, number)
        end = _end_token(self._checkpoint)
        answers = [row["completion"] if "text" not in row else "" for row in rows]
        encoded: list[list[int]] = self._checkpoint.tokenizer(answers, add_special_tokens=False)["input_ids"]
        return [self._example(row, [*answer, *end]) for row, answer in zip(rows, encoded, strict=True)]

    def loss(self, model: Any, batch: Batch) -> tuple[torch.Tensor, Mapping[str, torch.Tensor]]:
        """Nats, summed over the batch's counted tokens; entropy and accuracy, summed likewise."""
        return token_losses(model, batch, output=self._output)

    def _example(self, row: Row, answer: list[int]) -> Example | Dropped:
        whole = "text" in row
        start: list[int] = self._checkpoint.encode(row["text"] if whole else _prompt(row["prompt"]))
        tokens = np.array(list(chain(start, answer)), dtype=np.int64)
        counted = np.ones(len(tokens), dtype=np.bool_)
        counted[: 1 if whole else max(1, len(start))] = False
        if not counted.any():
            return Dropped(row, "no token to learn from", "train")
        return Example(tokens, counted)


objective = Sft


def _check_columns(row: Row, number: int) -> None:
    wanted = ("text",) if "text" in row else ("prompt", "completion")
    for column in wanted:
        if column not in row:
            has = ", ".join(map(str, row.columns)) or "nothing"
            hint = "name the columns prompt and completion, or text"
            raise UsageError(f"training row {number} has no column {column!r} (it has {has})", hint=hint)
    for column in {"text", "completion"} & set(wanted):
        if not isinstance(row[column], str):
            hint = f"write the {column} as a string"
            raise UsageError(f"{column} of training row {number} is {row[column]!r}, not text", hint=hint)


def _prompt(prompt: Any) -> str | tuple[Message, ...]:
    """A prompt column as models take it. Raises UsageError for anything but text or messages."""
    if isinstance(prompt, str):
        return prompt
    try:
        return tuple(
            message if isinstance(message, Message) else Message(message["role"], message["content"])
            for message in prompt
        )
    except (TypeError, KeyError):
        hint = "write text, or a list of {role, content}"
        raise UsageError(f"the prompt {prompt!r} is neither text nor messages", hint=hint) from None


def _end_token(checkpoint: Any) -> list[int]:
    """The token that ends an answer, as a list; empty for a model that knows none (it then learns no end)."""
    ends = list(checkpoint.end_ids)
    eos = checkpoint.tokenizer.eos_token_id
    return [eos] if eos in ends else ends[:1]
