"""Asking a model, each question once: the store first, then the model, and into the store before anyone sees it.

`ask_all` is for requests that are known beforehand (an exam, one batch of lessons); `engine.local` asks for recipes.

- A model with the capability `batch` cuts the *whole* ordered list itself, stored answers or not, so which requests
  share a batch never depends on what an earlier, killed process had finished. A batch is committed whole. So after a
  kill it is either stored whole or asked whole, and the numbers that come out of a batched matrix product are the same.
- Any other model is asked request by request, at most `concurrency` at once; answers that arrive in one turn of the
  event loop are committed together.

A greedy request draws nothing, so its samples and its copies are one question. Not here: retries (the model's job).
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, cast

from homeschool.core.errors import HomeschoolError
from homeschool.core.protocols import BatchModel, Model
from homeschool.core.records import Completion, ModelCard, Request
from homeschool.engine.answers import AnswerStore
from homeschool.engine.progress import Stage

Name = tuple[str, int]
"""An answer's key and the `max_tokens` it is wanted with."""


@dataclass(slots=True)
class Tally:
    """What asking has cost so far."""

    calls: int = 0
    """Answers that a model gave."""
    cached: int = 0
    """Answers that the store gave."""
    prompt_tokens: int = 0
    """Of questions put to a model; a prompt counts once, however many samples are drawn for it."""
    completion_tokens: int = 0
    """Of answers that a model gave."""
    seconds: float = 0.0
    """Wall time during which at least one question was with a model."""
    _asking: int = 0
    _since: float = 0.0

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Count the block's wall time; overlapping blocks count once."""
        if self._asking == 0:
            self._since = time.perf_counter()
        self._asking += 1
        try:
            yield
        finally:
            self._asking -= 1
            if self._asking == 0:
                self.seconds += time.perf_counter() - self._since


@dataclass(frozen=True, slots=True)
class _Question:
    """A request and the names of its answers. A greedy request is asked for one sample, whatever its `n`."""

    request: Request
    names: tuple[Name, ...]

    @staticmethod
    def of(request: Request, *, card: ModelCard) -> _Question:
        if request.n < 1:
            raise ValueError(f"a request wants at least one answer, not n={request.n}")
        drawn = request if request.sampling.temperature > 0 else replace(request, n=1)
        limit = request.sampling.max_tokens
        return _Question(drawn, tuple((drawn.key(sample, card=card), limit) for sample in range(drawn.n)))


async def ask_all(
    model: Model,
    requests: Sequence[Request],
    *,
    store: AnswerStore | None,
    tally: Tally | None = None,
    stage: Stage | None = None,
    concurrency: int = 32,
) -> list[list[Completion]]:
    """The answers to `requests`, in order, `request.n` for each; `stage` advances by one per distinct answer.

    Raises HomeschoolError if the model answers with the wrong number of answers or cuts no proper batches.
    """

    def heard(answers: int, tokens: int) -> None:
        if stage is not None:
            stage.advance(answers, tokens=tokens)

    async with Desk(model, store=store, tally=tally, concurrency=concurrency, heard=heard) as desk:
        return await desk.answer_all(requests)


async def together(work: Iterable[Awaitable[Any]]) -> list[Any]:
    """Results in order. On the first failure, or if cancelled, the others are cancelled, and none is left behind."""
    tasks = [asyncio.ensure_future(item) for item in work]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Desk:
    """Where the answers of one model come from. Use as an async context manager: leaving it ends what is in flight.

    `heard(answers, tokens)` is told of every group of answers as it comes, stored ones included.
    """

    def __init__(
        self,
        model: Model,
        *,
        store: AnswerStore | None,
        tally: Tally | None = None,
        concurrency: int = 32,
        heard: Callable[[int, int], None] | None = None,
    ) -> None:
        self.model = model
        self.card = model.card
        self.batched = "batch" in self.card.capabilities
        self.tally = tally if tally is not None else Tally()
        self._store = store
        self._heard = heard or (lambda answers, tokens: None)
        self._concurrency = concurrency
        self._slots = asyncio.Semaphore(concurrency)
        self._flying: dict[tuple[Name, ...], asyncio.Task[dict[Name, Completion]]] = {}
        self._uncommitted: dict[Name, Completion] = {}
        self._committing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Desk:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        flying = list(self._flying.values())
        for task in flying:
            task.cancel()
        # What has arrived is paid for: it is committed, not cancelled.
        ending = [*flying, self._committing] if self._committing else flying
        await asyncio.gather(*ending, return_exceptions=True)

    async def answer_all(self, requests: Sequence[Request]) -> list[list[Completion]]:
        """Answers to requests known beforehand, in order. A question that stands in the list twice is asked once."""
        wanted = [_Question.of(request, card=self.card) for request in requests]
        unique: dict[Name, _Question] = {}
        for question in wanted:
            first = question.names[0]
            if first not in unique or len(question.names) > len(unique[first].names):
                unique[first] = question  # of two that differ in `n` only, the larger answers both
        ask = self._ask_batches if self.batched else self._ask_each
        answers = await ask(list(unique.values()))
        by_name = {name: answer for group in answers for name, answer in group.items()}
        return [
            _spread([by_name[name] for name in question.names], request.n)
            for question, request in zip(wanted, requests, strict=True)
        ]

    async def answer(self, request: Request) -> list[Completion]:
        """The answers of a model without batches to one request. The same question in flight is shared."""
        question = _Question.of(request, card=self.card)
        task = self._flying.get(question.names)
        if task is None:
            task = asyncio.create_task(self._ask_one(question))
            self._flying[question.names] = task
            task.add_done_callback(lambda _: self._flying.pop(question.names, None))
        await asyncio.wait([task])  # and not `await task`: one asker who gives up must not take it from the others
        error = task.exception()
        if error is not None and not isinstance(error, HomeschoolError):
            # In a recipe this would look like the recipe's own mistake and cost the row; a model's fault never does.
            raise HomeschoolError(
                f"{self.card.name} failed with {type(error).__name__}: {error}",
                hint="nothing that was answered is lost: the same command goes on from here",
            ) from error
        answers = task.result()
        return _spread([answers[name] for name in question.names], request.n)

    async def _ask_batches(self, questions: list[_Question]) -> list[dict[Name, Completion]]:
        model = cast("BatchModel", self.model)
        batches = model.batches([question.request for question in questions]) if questions else []
        if sorted(index for batch in batches for index in batch) != list(range(len(questions))):
            raise HomeschoolError(
                f"{self.card.name} cut {len(questions)} requests into batches that are no partition of them",
                hint="its `batches` must put every index into exactly one list",
            )
        answers: list[dict[Name, Completion]] = []
        for batch in batches:
            answers.append(await self._ask_batch(model, [questions[index] for index in batch]))
            await asyncio.sleep(0)  # a model that computes never yields; this is where Ctrl-C can end a run
        return answers

    async def _ask_batch(self, model: BatchModel, batch: list[_Question]) -> dict[Name, Completion]:
        stored = self._lookup(batch)
        missing = [question for question in batch if not stored.keys() >= set(question.names)]
        fresh: dict[Name, Completion] = {}
        if missing:
            with self.tally.timed():
                replies = await model.generate_batch([question.request for question in missing])
            if len(replies) != len(missing):
                raise self._miscounted(len(replies), f"a batch of {len(missing)} requests")
            for question, reply in zip(missing, replies, strict=True):
                fresh.update(self._stamped(question, reply))
            self._commit(fresh)
        return self._done(batch, stored, fresh)

    async def _ask_each(self, questions: list[_Question]) -> list[dict[Name, Completion]]:
        """Some workers over one queue, so that a long list does not mean as many tasks."""
        answers: list[dict[Name, Completion]] = [{} for _ in questions]
        queue = iter(enumerate(questions))

        async def work() -> None:
            for index, question in queue:
                answers[index] = await self._ask_one(question)

        await together(work() for _ in range(min(self._concurrency, len(questions))))
        return answers

    async def _ask_one(self, question: _Question) -> dict[Name, Completion]:
        stored = self._lookup([question])
        fresh: dict[Name, Completion] = {}
        if not stored.keys() >= set(question.names):
            async with self._slots:
                with self.tally.timed():
                    reply = await self.model.generate(question.request)
            fresh = self._stamped(question, reply)
            await self._commit_soon(fresh)
        return self._done([question], stored, fresh)

    def _lookup(self, questions: Sequence[_Question]) -> dict[Name, Completion]:
        if self._store is None:
            return {}
        keys: defaultdict[int, list[str]] = defaultdict(list)
        for key, limit in (name for question in questions for name in question.names):
            keys[limit].append(key)
        return {
            (key, limit): answer
            for limit, some in keys.items()
            for key, answer in self._store.lookup(some, max_tokens=limit).items()
        }

    def _stamped(self, question: _Question, reply: Sequence[Completion]) -> dict[Name, Completion]:
        """The model's answers under their names. What names an answer is set here, once, for every model."""
        request = question.request
        if len(reply) != request.n:
            raise self._miscounted(len(reply), f"a request for {request.n}")
        sampling = request.sampling.identity()
        seed = request.seed if request.sampling.temperature > 0 else 0
        return {
            name: replace(answer, key=name[0], model=self.card.name, sampling=sampling, seed=seed)
            for name, answer in zip(question.names, reply, strict=True)
        }

    def _commit(self, fresh: dict[Name, Completion]) -> None:
        if self._store is not None:
            self._store.commit(list(fresh.values()), max_tokens=[limit for _, limit in fresh])

    async def _commit_soon(self, fresh: dict[Name, Completion]) -> None:
        """Group commit: everything that arrives in this turn of the event loop shares one transaction."""
        if self._store is None:
            return
        self._uncommitted.update(fresh)
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_group())
        await asyncio.shield(self._committing)

    async def _commit_group(self) -> None:
        # A new task runs in the next turn: whatever else arrives in this one is in the group by then.
        group, self._uncommitted, self._committing = self._uncommitted, {}, None
        self._commit(group)

    def _done(
        self, asked: Sequence[_Question], stored: dict[Name, Completion], fresh: dict[Name, Completion]
    ) -> dict[Name, Completion]:
        """Count, tell, and join: where both have an answer, the stored one is what others have seen."""
        answers = fresh | stored
        self.tally.calls += len(fresh)
        self.tally.cached += sum(name not in fresh for name in stored)
        self.tally.completion_tokens += sum(len(answer.token_ids) for answer in fresh.values())
        self.tally.prompt_tokens += sum(
            fresh[question.names[0]].prompt_tokens for question in asked if question.names[0] in fresh
        )
        self._heard(len(answers), sum(len(answer.token_ids) for answer in answers.values()))
        return answers

    def _miscounted(self, got: int, wanted: str) -> HomeschoolError:
        return HomeschoolError(
            f"{self.card.name} gave {got} answers to {wanted}", hint="a model must give one answer per sample, in order"
        )


def _spread(answers: list[Completion], n: int) -> list[Completion]:
    """`n` answers: a greedy question has one, which every sample shares."""
    return answers[:n] if len(answers) >= n else answers * n
