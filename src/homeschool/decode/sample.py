"""Sampling: the plain way to decode, token by token, many answers at once.

A batch is laid out as rows, one per answer. Equal prompts are computed once and shared; equal greedy answers are
drawn once. Then all rows advance together, one token a step, and a row that ends gives its place up at once. Every
draw takes one uniform number of its own (see `noise`), so an answer does not depend on what else is in the batch
beyond rounding in the forward pass.

It refuses schemas and tools (an answer is free text), and prompts that fill the context.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from homeschool.core.errors import HomeschoolError, UsageError
from homeschool.core.records import Completion, ModelCard, Request, Sampling
from homeschool.decode.draw import Draw
from homeschool.models.cache import RaggedCache
from homeschool.models.local import Checkpoint

HEADROOM = 32
"""Answer tokens for which the cache has room at first."""

PADDING = 8
"""Prompts computed together differ in length by at most this much."""

PREFILL_TOKENS = 1 << 13
LOGITS = 1 << 25
"""Most tokens of a forward pass over prompts, and most numbers among its logits."""


@dataclass(slots=True)
class _Row:
    """One answer under way, and the (request, sample) pairs it answers."""

    prompt: tuple[int, ...]
    sampling: Sampling
    seed: int
    sample: int
    limit: int
    """Tokens it may have at most."""
    answers: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    tokens: list[int] = field(default_factory=list[int])
    logprobs: list[float] = field(default_factory=list[float])
    ended: str = ""


class Sampler:
    """A checkpoint that answers by sampling: a BatchModel.

    `rows` and `tokens` bound a batch: how many answers are under way at once, and how many tokens they may fill.
    """

    def __init__(self, checkpoint: Checkpoint, *, rows: int = 512, tokens: int = 1 << 16) -> None:
        self.checkpoint = checkpoint
        self.rows = rows
        self.tokens = tokens

    @property
    def card(self) -> ModelCard:
        return self.checkpoint.card

    def batches(self, requests: Sequence[Request]) -> list[list[int]]:
        """Runs of the list, in order, each within the bounds; a request that exceeds them is alone in its batch."""
        batches: list[list[int]] = []
        rows = tokens = 0
        for index, request in enumerate(requests):
            length = len(self.checkpoint.encode(request.prompt)) + request.sampling.max_tokens
            rows, tokens = rows + request.n, tokens + request.n * length
            if not batches or rows > self.rows or tokens > self.tokens:
                batches.append([])
                rows, tokens = request.n, request.n * length
            batches[-1].append(index)
        return batches

    async def generate(self, request: Request) -> list[Completion]:
        """`request.n` answers, in sample order."""
        return (await self.generate_batch([request]))[0]

    async def generate_batch(self, requests: Sequence[Request]) -> list[list[Completion]]:
        """Answers to each request. Computes without a pause: nothing else happens in the event loop meanwhile."""
        rows = self._rows(requests)
        with self.checkpoint.answering():
            for start in range(0, len(rows), self.rows):
                self._answer(rows[start : start + self.rows])
        card = self.card
        found = {place: row for row in rows for place in row.answers}
        return [
            [self._completion(found[index, sample], request, sample, card) for sample in range(request.n)]
            for index, request in enumerate(requests)
        ]

    async def score(self, prompt: str, continuations: Sequence[str]) -> list[tuple[float, ...]]:
        """Natural log-probability, at temperature 1, of each token of each continuation after `prompt`.

        A continuation is cut into tokens on its own. The prompt is computed once.
        """
        before = self.checkpoint.encode(prompt)
        after = [self.checkpoint.encode_more(text) for text in continuations]
        self._check_length(len(before), longest=max(map(len, after), default=0))
        scores: list[tuple[float, ...]] = []
        with self.checkpoint.answering():
            cache, first = self._prefill([tuple(before)])
            for group in _groups(after, tokens=LOGITS // self._vocabulary):
                scores += self._score_group(group, cache, first[0], start=len(before))
        return scores

    def _rows(self, requests: Sequence[Request]) -> list[_Row]:
        """The answers to draw, those of equal prompts side by side and short prompts first."""
        rows: dict[tuple[object, ...], _Row] = {}
        for index, request in enumerate(requests):
            _check(request)
            prompt = tuple(self.checkpoint.encode(request.prompt))
            self._check_length(len(prompt), longest=1)
            limit = request.sampling.max_tokens
            if self.checkpoint.context:
                limit = min(limit, self.checkpoint.context - len(prompt))
            greedy = request.sampling.temperature == 0
            for sample in range(request.n):
                # Greedy answers to one prompt are one answer, whatever the seed and the sample.
                drawn = (0, 0) if greedy else (request.seed, sample)
                row = _Row(prompt, request.sampling, *drawn, limit)
                rows.setdefault((prompt, request.sampling, drawn), row).answers.append((index, sample))
        return sorted(rows.values(), key=lambda row: (len(row.prompt), row.prompt))

    def _answer(self, rows: list[_Row]) -> None:
        """Draw rows to their ends. `rows` come sorted by prompt."""
        prompts = list(dict.fromkeys(row.prompt for row in rows))
        slot = {prompt: index for index, prompt in enumerate(prompts)}
        index = self._tensor([slot[row.prompt] for row in rows])
        cache, logits = self._prefill(prompts)
        if len(prompts) < len(rows):
            cache.expand(index)
        logits = logits[index]
        positions = self._tensor([len(row.prompt) for row in rows]).unsqueeze(1)
        draw, step = Draw.of(rows, self.checkpoint.device), 0
        while True:
            tokens, logprobs = draw.next(logits, step=step)
            order = self._record(rows, tokens.tolist(), logprobs.tolist())
            if not order:
                return
            if len(order) < len(rows):
                kept = self._tensor(order)
                cache.keep(kept)
                rows = [rows[place] for place in order]
                tokens, positions, draw = tokens[kept], positions[kept], Draw.of(rows, self.checkpoint.device)
            logits = self.checkpoint.forward(tokens.unsqueeze(1), positions=positions, cache=cache)[:, -1]
            positions, step = positions + 1, step + 1

    def _record(self, rows: list[_Row], tokens: list[int], logprobs: list[float]) -> list[int]:
        """Add a token to each row; the places of rows that go on, in the order that moves the fewest."""
        going: list[int] = []
        for place, (row, token, logprob) in enumerate(zip(rows, tokens, logprobs, strict=True)):
            if math.isnan(logprob):
                raise HomeschoolError(
                    f"{self.checkpoint.name!r} computes no probabilities (NaN)", hint="its weights are broken"
                )
            row.tokens.append(token)
            row.logprobs.append(logprob)
            row.ended = self._ended(row)
            if not row.ended:
                going.append(place)
        order = list(range(len(going)))
        last = [place for place in going if place >= len(going)]
        for hole in sorted(set(order) - set(going)):
            order[hole] = last.pop()
        return order

    def _ended(self, row: _Row) -> str:
        """Why the row ends with its latest token; empty if it does not."""
        if row.tokens[-1] in self.checkpoint.end_ids:
            return "stop"
        if row.sampling.stop:
            # A stop string of B bytes lies within the last B tokens; only then is the whole answer looked at.
            window = max(len(stop.encode()) for stop in row.sampling.stop) + 4
            tail = self.checkpoint.decode(row.tokens[-window:])
            if any(stop in tail for stop in row.sampling.stop):
                text = self.checkpoint.decode(row.tokens)
                if any(stop in text for stop in row.sampling.stop):
                    return "stop"
        return "length" if len(row.tokens) >= row.limit else ""

    def _prefill(self, prompts: list[tuple[int, ...]]) -> tuple[RaggedCache, torch.Tensor]:
        """A cache with one row per prompt (sorted by length), and the logits [U, V] that follow each prompt."""
        cache = self.checkpoint.cache(rows=len(prompts), length=len(prompts[-1]) + HEADROOM)
        following: list[torch.Tensor] = []
        most = max(1, LOGITS // (PADDING + 1) // self._vocabulary)
        done = 0
        for group in _groups(prompts, tokens=PREFILL_TOKENS, most=most, padding=PADDING):
            lengths = [len(prompt) for prompt in group]
            ends = sorted({length - 1 for length in lengths})
            positions = self._tensor(list(range(max(lengths)))).unsqueeze(0)
            logits = self.checkpoint.forward(
                self._padded(group), positions=positions, cache=cache, first_row=done, keep=self._tensor(ends)
            )
            last = self._tensor([ends.index(length - 1) for length in lengths])
            following.append(logits[torch.arange(len(group), device=logits.device), last])
            done += len(group)
        return cache, torch.cat(following)

    def _score_group(
        self, group: Sequence[Sequence[int]], cache: RaggedCache, first: torch.Tensor, *, start: int
    ) -> list[tuple[float, ...]]:
        """Scores of continuations, given a cache whose row 0 holds the prompt and the logits [V] that follow it."""
        ids = self._padded(group)
        logits = first.expand(len(group), 1, -1)
        if ids.shape[1] > 1:
            cache.expand(torch.zeros(len(group), dtype=torch.long, device=ids.device))
            positions = torch.arange(start, start + ids.shape[1] - 1, device=ids.device).unsqueeze(0)
            more = self.checkpoint.forward(ids[:, :-1], positions=positions, cache=cache, keep=0)
            logits = torch.cat([logits, more], dim=1)
        if ids.shape[1] == 0:
            return [() for _ in group]
        logprobs = logits.double().log_softmax(-1).gather(-1, ids.unsqueeze(-1)).squeeze(-1).tolist()
        return [tuple(row[: len(tokens)]) for row, tokens in zip(logprobs, group, strict=True)]

    def _completion(self, row: _Row, request: Request, sample: int, card: ModelCard) -> Completion:
        tokens = row.tokens
        text = self.checkpoint.decode(tokens[:-1] if tokens[-1] in self.checkpoint.end_ids else tokens)
        for stop in request.sampling.stop:
            text = text.partition(stop)[0]
        return Completion(
            text=text,
            finish_reason=row.ended,
            token_ids=tuple(tokens),
            logprobs=tuple(row.logprobs),
            prompt_tokens=len(row.prompt),
            key=request.key(sample, card=card),
            model=card.fingerprint,
            sampling=request.sampling.identity(),
            seed=request.seed,
        )

    def _check_length(self, prompt: int, *, longest: int) -> None:
        context = self.checkpoint.context
        if prompt == 0:
            raise UsageError(f"an empty prompt has no tokens for {self.checkpoint.name!r}", hint="give some text")
        if context and prompt + longest > context:
            raise UsageError(
                f"a prompt of {prompt} tokens and an answer of {longest} do not fit the context of {context} tokens",
                hint="shorten the prompt, or use a model with a longer context",
            )

    @property
    def _vocabulary(self) -> int:
        return self.checkpoint.module.config.get_text_config().vocab_size

    def _tensor(self, numbers: Sequence[int] | Sequence[Sequence[int]]) -> torch.Tensor:
        return torch.tensor(numbers, dtype=torch.long, device=self.checkpoint.device)

    def _padded(self, ids: Sequence[Sequence[int]]) -> torch.Tensor:
        """[rows, longest] with zeros on the right; what stands there is computed and never looked at."""
        width = max(map(len, ids))
        return self._tensor([[*row, *[0] * (width - len(row))] for row in ids])


strategy = Sampler


def _check(request: Request) -> None:
    """Raise UsageError, before any work, for what cannot be drawn."""
    sampling = request.sampling
    if request.schema is not None or request.tools:
        asked = "a schema" if request.schema is not None else "tools"
        raise UsageError(f"local sampling cannot hold an answer to {asked}", hint="ask for free text and parse it")
    for name, value, right in (
        ("n", request.n, request.n >= 1),
        ("max_tokens", sampling.max_tokens, sampling.max_tokens >= 1),
        ("temperature", sampling.temperature, 0 <= sampling.temperature < float("inf")),
        ("top_p", sampling.top_p, 0 < sampling.top_p <= 1),
        ("top_k", sampling.top_k, sampling.top_k >= 0),
        ("stop", sampling.stop, all(sampling.stop)),
    ):
        if not right:
            raise UsageError(f"{name}={value!r} cannot be sampled", hint=_RANGES[name])


_RANGES = {
    "n": "at least 1",
    "max_tokens": "at least 1",
    "temperature": "0 is greedy, 1 is the model's own",
    "top_p": "above 0, at most 1",
    "top_k": "0 keeps every token",
    "stop": "stop strings are not empty",
}


def _groups(
    rows: Sequence[Sequence[int]], *, tokens: int, most: int = 1 << 30, padding: int = 1 << 30
) -> list[list[Sequence[int]]]:
    """Consecutive rows: at most `most`, within `tokens` tokens when padded to one length, by at most `padding`."""
    groups: list[list[Sequence[int]]] = []
    longest = shortest = 0
    for row in rows:
        longest, shortest = max(longest, len(row)), min(shortest, len(row))
        count = len(groups[-1]) + 1 if groups else most + 1
        if count > most or count * longest > tokens or longest - shortest > padding:
            groups.append([])
            longest = shortest = len(row)
        groups[-1].append(row)
    return groups
