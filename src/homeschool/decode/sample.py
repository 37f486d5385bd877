"""Sampling: the plain way to decode, token by token, many answers at once.

A batch is laid out as rows, one per answer. Equal prompts are computed once and shared; equal greedy answers are
drawn once. Then all rows advance together, one token a step, and a row that ends gives its place up at once. Every
draw takes one uniform number of its own (see `noise`), so an answer does not depend on what else is in the batch
beyond rounding in the forward pass.

An answer to a request with a schema is JSON of that schema, always: it draws among the tokens that the schema allows,
its brackets are closed before its tokens run out (see `closing`), and it ends, by `stop`, when it is whole; stop
strings have no part in it. Which free answers share the batch changes nothing for either.

It refuses tools, prompts that are empty or fill the context, and schemas that cannot be held or need more tokens than
there are: `obstacle` says so beforehand, and drawing raises UnanswerableError.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import torch

from homeschool.core.errors import HomeschoolError, UnanswerableError, UsageError, need
from homeschool.core.records import Completion, Message, ModelCard, Request, Sampling
from homeschool.decode.closing import Form, Holding
from homeschool.decode.draw import Draw
from homeschool.models.cache import RaggedCache
from homeschool.models.local import Checkpoint

if TYPE_CHECKING:
    from homeschool.decode.grammar import Grammar, Vocabulary

HEADROOM = 32
"""Answer tokens for which the cache has room at first."""

PADDING = 8
"""Prompts computed together differ in length by at most this much."""

PREFILL_TOKENS = 1 << 13
LOGITS = 1 << 25
"""Most tokens of a forward pass over prompts, and most numbers among its logits."""

REMEMBERED = 1 << 11
"""Prompts whose tokens are kept: `obstacle`, `batches` and `generate_batch` ask for them in turn."""

GRAMMARS = 256
"""Schemas that are kept compiled."""


@dataclass(slots=True)
class _Row:
    """One answer under way, and the (request, sample) pairs it answers."""

    prompt: tuple[int, ...]
    sampling: Sampling
    seed: int
    sample: int
    limit: int
    """Tokens it may have at most."""
    form: Form | None = None
    """What holds it to a schema."""
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
        self._encode = lru_cache(maxsize=REMEMBERED)(self._tokens_of)
        self._grammars = lru_cache(maxsize=GRAMMARS)(self._compile)
        self._vocabulary_bytes: Vocabulary | None = None

    @property
    def card(self) -> ModelCard:
        card = self.checkpoint.card
        return replace(card, capabilities=card.capabilities | {"schema", "schema:raw"})

    def obstacle(self, request: Request) -> str:
        """Why `request` can never be answered; empty if it can. Raises UsageError for what nobody could sample."""
        try:
            self._admit(request)
        except UnanswerableError as error:
            return error.message
        return ""

    def batches(self, requests: Sequence[Request]) -> list[list[int]]:
        """Runs of the list, in order, each within the bounds; a request that exceeds them is alone in its batch."""
        batches: list[list[int]] = []
        rows = tokens = 0
        for index, request in enumerate(requests):
            length = len(self._encode(_plain(request.prompt))) + request.sampling.max_tokens
            rows, tokens = rows + request.n, tokens + request.n * length
            if not batches or rows > self.rows or tokens > self.tokens:
                batches.append([])
                rows, tokens = request.n, request.n * length
            batches[-1].append(index)
        return batches

    async def generate(self, request: Request) -> list[Completion]:
        """The answers `request.samples`, in that order."""
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
            [self._completion(found[index, sample], request, sample, card) for sample in request.samples]
            for index, request in enumerate(requests)
        ]

    async def score(self, prompt: str, continuations: Sequence[str]) -> list[tuple[float, ...]]:
        """Natural log-probability, at temperature 1, of each token of each continuation after `prompt`.

        A continuation is cut into tokens on its own. The prompt is computed once.
        """
        before = self.checkpoint.encode(prompt)
        after = [self.checkpoint.encode_more(text) for text in continuations]
        if wrong := self._too_long(len(before), longest=max(map(len, after), default=0)):
            raise UsageError(wrong, hint=_SHORTEN)
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
            prompt, limit, grammar = self._admit(request)
            greedy = request.sampling.temperature == 0
            for sample in request.samples:
                # Greedy answers to one prompt are one answer, whatever the seed and the sample.
                drawn = (0, 0) if greedy else (request.seed, sample)
                name = (prompt, request.sampling, drawn, grammar)
                if name not in rows:
                    rows[name] = _Row(prompt, request.sampling, *drawn, limit, grammar.form() if grammar else None)
                rows[name].answers.append((index, sample))
        return sorted(rows.values(), key=lambda row: (len(row.prompt), row.prompt))

    def _admit(self, request: Request) -> tuple[tuple[int, ...], int, Grammar | None]:
        """The prompt's tokens, how many an answer may have, and what holds it. Raises UnanswerableError, UsageError."""
        _check(request)
        prompt, limit = self._encode(_plain(request.prompt)), request.sampling.max_tokens
        if wrong := self._too_long(len(prompt), longest=1):
            raise UnanswerableError(wrong, hint=_SHORTEN)
        context = self.checkpoint.context
        room = min(limit, context - len(prompt)) if context else limit
        if request.schema is None:
            return prompt, room, None
        # Compact, but not sorted: the order of properties is the order in which they are written.
        grammar = self._grammars(json.dumps(request.schema, default=dict))
        if isinstance(grammar, str):
            raise UnanswerableError(grammar, hint="simplify the schema, and check the rest of the answer afterwards")
        if grammar.shortest > room:
            has = f"max_tokens is {limit}" if limit == room else f"the prompt leaves {room} of the context"
            raise UnanswerableError(
                f"the schema needs at least {grammar.shortest} tokens and {has}", hint="allow more, or ask for less"
            )
        return prompt, room, grammar

    def _compile(self, schema: str) -> Grammar | str:
        """The grammar of a schema, or why there is none; either way found out once."""
        need("llguidance", extra="local", for_="an answer held to a schema")
        from homeschool.decode.grammar import Grammar, Vocabulary

        try:
            self._vocabulary_bytes = self._vocabulary_bytes or Vocabulary(self.checkpoint)
            return Grammar(json.loads(schema), self._vocabulary_bytes)
        except UnanswerableError as error:
            return error.message

    def _tokens_of(self, prompt: str | tuple[Message, ...]) -> tuple[int, ...]:
        return tuple(self.checkpoint.encode(prompt))

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
        device, step = self.checkpoint.device, 0
        draw, holding = Draw.of(rows, device), Holding.of(rows, device)
        while True:
            tokens, logprobs = draw.next(logits, step=step, holding=holding)
            order = self._record(rows, tokens.tolist(), logprobs.tolist())
            if not order:
                return
            if len(order) < len(rows):
                kept = self._tensor(order)
                cache.keep(kept)
                rows = [rows[place] for place in order]
                tokens, positions = tokens[kept], positions[kept]
                draw, holding = Draw.of(rows, device), Holding.of(rows, device)
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
        full = len(row.tokens) >= row.limit
        if row.form:
            return "" if not (full or row.form.over) else "stop" if row.form.complete else "length"
        if row.sampling.stop:
            # A stop string of B bytes lies within the last B tokens; only then is the whole answer looked at.
            window = max(len(stop.encode()) for stop in row.sampling.stop) + 4
            tail = self.checkpoint.decode(row.tokens[-window:])
            if any(stop in tail for stop in row.sampling.stop):
                text = self.checkpoint.decode(row.tokens)
                if any(stop in text for stop in row.sampling.stop):
                    return "stop"
        return "length" if full else ""

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
        for stop in () if row.form else request.sampling.stop:
            text = text.partition(stop)[0]
        return Completion(
            text=text,
            finish_reason=row.ended,
            token_ids=tuple(tokens),
            logprobs=tuple(row.logprobs),
            prompt_tokens=len(row.prompt),
            completion_tokens=len(tokens),
            key=request.key(sample, card=card),
            model=card.fingerprint,
            sampling=request.sampling.identity(),
            seed=request.seed,
        )

    def _too_long(self, prompt: int, *, longest: int) -> str:
        """What is wrong with a prompt of so many tokens before an answer of `longest`; empty if nothing is."""
        context = self.checkpoint.context
        if prompt == 0:
            return f"an empty prompt has no tokens for {self.checkpoint.name!r}"
        if context and prompt + longest > context:
            return f"a prompt of {prompt} tokens and an answer of {longest} do not fit the context of {context} tokens"
        return ""

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
    """Raise, before any work, UnanswerableError for tools and UsageError for what cannot be drawn."""
    sampling = request.sampling
    called = not isinstance(request.prompt, str) and any(m.tool_calls or m.tool_call_id for m in request.prompt)
    if request.tools or called:
        raise UnanswerableError("local sampling cannot call tools", hint="ask for JSON by a schema instead")
    for name, value, right in (
        ("n", request.n, request.n >= 1),
        ("first", request.first, request.first >= 0),
        ("max_tokens", sampling.max_tokens, sampling.max_tokens >= 1),
        ("temperature", sampling.temperature, 0 <= sampling.temperature < float("inf")),
        ("top_p", sampling.top_p, 0 < sampling.top_p <= 1),
        ("top_k", sampling.top_k, sampling.top_k >= 0),
        ("stop", sampling.stop, all(sampling.stop)),
    ):
        if not right:
            raise UsageError(f"{name}={value!r} cannot be sampled", hint=_RANGES[name])


_SHORTEN = "give some text that fits, or use a model with a longer context"

_RANGES = {
    "n": "at least 1",
    "first": "at least 0",
    "max_tokens": "at least 1",
    "temperature": "0 is greedy, 1 is the model's own",
    "top_p": "above 0, at most 1",
    "top_k": "0 keeps every token",
    "stop": "stop strings are not empty",
}


def _plain(prompt: str | tuple[Message, ...]) -> str | tuple[Message, ...]:
    """The prompt as what it is remembered by: messages without their tool calls, which have no hash and no place."""
    if isinstance(prompt, str):
        return prompt
    return tuple(Message(message.role, message.content) for message in prompt)


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
