"""Scripted models for the engine's tests. Run as a script, it is the process that the kill tests kill.

The batch model's log-probabilities depend on the whole batch, as the last bits of a real one's do. So a batch that was
put together in another way shows in the rows.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from homeschool.core.identity import digest, seed_of
from homeschool.core.protocols import Context
from homeschool.core.records import Completion, Dropped, ModelCard, Request, Row
from homeschool.core.verdict import Fail, Pass, Verdict
from homeschool.engine.answers import AnswerStore
from homeschool.engine.local import World, run_recipe
from homeschool.engine.rows import write_rows


def reply(request: Request, sample: int, *, card: ModelCard, batch: str = "") -> Completion:
    seed = seed_of(request.key(sample, card=card))
    tokens = tuple(seed // 10**i % 10 for i in range(1 + seed % 9))
    cut = tokens[: request.sampling.max_tokens]
    return Completion(
        text="".join(map(str, cut)),
        finish_reason="stop" if cut == tokens else "length",
        token_ids=cut,
        logprobs=tuple(-(seed_of(batch, seed, i) % 1000) / 7 for i in range(len(cut))),
        prompt_tokens=len(str(request.prompt)),
    )


class LiveModel:
    """Answers one request at a time, after a pause of its own."""

    def __init__(self, *, pause: Callable[[], float] = lambda: 0.0) -> None:
        self.card = ModelCard("live", "live-weights", frozenset({"raw"}))
        self.asked: list[Request] = []
        self.most = 0
        self._now = 0
        self._pause = pause

    async def generate(self, request: Request) -> list[Completion]:
        self.asked.append(request)
        self._now += 1
        self.most = max(self.most, self._now)
        await asyncio.sleep(self._pause())
        self._now -= 1
        return [reply(request, sample, card=self.card) for sample in request.samples]

    async def score(self, prompt: str, continuations: Sequence[str]) -> list[tuple[float, ...]]:
        raise NotImplementedError


class BatchedModel:
    """Answers in batches of `size`, cut in order."""

    def __init__(self, *, size: int = 4, pause: float = 0.0) -> None:
        self.card = ModelCard("batched", "batched-weights", frozenset({"raw", "batch"}))
        self.size = size
        self.cuts: list[int] = []
        self.composed: list[list[str]] = []
        self._pause = pause

    async def generate(self, request: Request) -> list[Completion]:
        return (await self.generate_batch([request]))[0]

    async def score(self, prompt: str, continuations: Sequence[str]) -> list[tuple[float, ...]]:
        raise NotImplementedError

    def obstacle(self, request: Request) -> str:
        return "a prompt beyond the context" if "too long" in str(request.prompt) else ""

    def batches(self, requests: Sequence[Request]) -> list[list[int]]:
        self.cuts.append(len(requests))
        return [list(range(start, len(requests)))[: self.size] for start in range(0, len(requests), self.size)]

    async def generate_batch(self, requests: Sequence[Request]) -> list[list[Completion]]:
        batch = [request.key(0, card=self.card) for request in requests]
        self.composed.append(batch)
        await asyncio.sleep(self._pause)
        return [
            [reply(request, sample, card=self.card, batch=digest(batch)) for sample in request.samples]
            for request in requests
        ]


class EvenJudge:
    """Passes a text whose first digit is even, after a pause that differs from call to call."""

    name = "even@1"

    def __init__(self, *, pause: Callable[[], float] = lambda: 0.0) -> None:
        self._pause = pause

    async def __call__(self, row: Row, answers: Sequence[str], ctx: Context | None = None) -> list[Verdict]:
        await asyncio.sleep(self._pause())
        return [Pass() if answer and int(answer[0]) % 2 == 0 else Fail(reason="odd") for answer in answers]


def sources(count: int) -> list[Row]:
    return [Row.source({"prompt": f"problem {number}", "level": number % 3}) for number in range(count)]


async def two_steps(row: Row, ctx: Context) -> list[Row | Dropped]:
    """Draft, judge, and from every draft two rewritings in branches: all that a recipe may do."""
    drafts = await ctx.ask(row["prompt"], n=3)
    verdicts = await ctx.verify(row, [draft.text for draft in drafts])

    async def rewrite(draft: Completion) -> Row:
        style = ctx.rng.choice(["short", "long", "plain"])
        if ctx.rng.random() < 0.5:
            await ctx.ask(f"think about {draft.text}")
        [second] = await ctx.ask(f"{style}: {draft.text}")
        return row.derive(step="rewrite", calls=[draft, second], text=second.text, logprobs=list(second.logprobs or ()))

    good = [draft for draft, verdict in zip(drafts, verdicts, strict=True) if isinstance(verdict, Pass)]
    bad = [draft for draft, verdict in zip(drafts, verdicts, strict=True) if isinstance(verdict, Fail)]
    rows = await ctx.gather(*(rewrite(draft) for draft in good))
    return [*rows, *(Dropped(row.derive(step="draft", calls=[draft]), "odd", "two_steps") for draft in bad)]


async def _child(out: Path) -> None:
    noise = random.Random()
    model = BatchedModel(pause=0.003)
    judge = EvenJudge(pause=lambda: noise.random() / 500)
    with AnswerStore(out / "answers.db") as store:
        print("begun", flush=True)
        world = World({"generator": model}, store, verifier=judge, window=16)
        outcomes = await run_recipe(two_steps, sources(60), world=world)
    write_rows(out / "rows.parquet", [child for outcome in outcomes for child in outcome.children])


if __name__ == "__main__":
    asyncio.run(_child(Path(sys.argv[1])))
