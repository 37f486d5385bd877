"""Asking a model, each question once: the store first, then the model, and into the store before anyone sees it.

`ask_all` is for requests that are known beforehand (an exam, one batch of lessons); `engine.local` asks for recipes.

- A model with the capability `batch` cuts the *whole* ordered list itself, stored answers or not, so which requests
  share a batch never depends on what an earlier, killed process had finished. A batch is committed whole. So after a
  kill it is either stored whole or asked whole, and the numbers that come out of a batched matrix product are the same.
- Any other model is asked request by request, at most `concurrency` at once; answers that arrive within a moment of
  each other are committed together.

Of a question whose first samples are stored only the others are asked. A greedy request draws nothing, so its samples
and its copies are one question. Not here: retries (the model's job).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, cast

from homeschool.core.errors import HomeschoolError, UnanswerableError
from homeschool.core.identity import canonical
from homeschool.core.protocols import BatchModel, Model
from homeschool.core.records import Completion, ModelCard, Request
from homeschool.engine.answers import AnswerStore
from homeschool.engine.progress import Stage
from homeschool.engine.tally import Tally

Name = tuple[str, int]
"""An answer's key and the `max_tokens` it is wanted with."""

COMMIT_AFTER = 0.002
"""Seconds that an answer waits for others to share its transaction, unless this many are there before."""
COMMIT_AT = 64


@dataclass(frozen=True, slots=True)
class _Question:
    """A request, what names it, and the names of its answers. A greedy request is asked for one sample."""

    request: Request
    name: str
    text: str
    names: tuple[Name, ...]

    @staticmethod
    def of(request: Request, *, card: ModelCard) -> _Question:
        if request.n < 1:
            raise ValueError(f"a request wants at least one answer, not n={request.n}")
        drawn = request if request.sampling.temperature > 0 else replace(request, n=1, first=0)
        text = canonical(drawn.rendered())
        name = drawn.question(card, text=text)
        limit = drawn.sampling.max_tokens
        names = tuple((drawn.key(sample, card=card, question=name), limit) for sample in drawn.samples)
        return _Question(drawn, name, text, names)

    def without(self, stored: dict[Name, Completion]) -> _Question | None:
        """The part that has to be asked: from the first sample that is missing to the last; None if none is."""
        missing = [place for place, name in enumerate(self.names) if name not in stored]
        if not missing:
            return None
        start, end = missing[0], missing[-1] + 1
        if end - start == len(self.names):
            return self
        request = replace(self.request, first=self.request.first + start, n=end - start)
        return replace(self, request=request, names=self.names[start:end])


async def ask_all(
    model: Model,
    requests: Sequence[Request],
    *,
    store: AnswerStore | None,
    tally: Tally | None = None,
    stage: Stage | None = None,
    concurrency: int = 256,
) -> list[list[Completion]]:
    """The answers to `requests`, in order, `request.n` for each; `stage` advances by one per distinct answer.

    Raises HomeschoolError if the model answers with the wrong number of answers or cuts no proper batches, or cannot
    answer one of the requests.
    """

    def heard(answers: int, tokens: int) -> None:
        if stage is not None:
            stage.advance(answers, tokens=tokens)

    async with Desk(model, store=store, tally=tally, concurrency=concurrency, heard=heard) as desk:
        answers = await desk.answer_all(requests)
    for answer in answers:
        if isinstance(answer, UnanswerableError):
            raise answer
    return cast("list[list[Completion]]", answers)


async def together(work: Iterable[Awaitable[Any]]) -> list[Any]:
    """Results in order. On the first failure, or if cancelled, the others are cancelled, and none is left behind."""
    tasks = [asyncio.ensure_future(item) for item in work]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Slots:
    """At most so many holders at once, first come, first served. (asyncio.Semaphore looks through all who wait.)"""

    def __init__(self, number: int) -> None:
        self._free = number
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __aenter__(self) -> None:
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # its turn came in the same moment: it goes to the next
                self._release()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._release()

    def _release(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


class Desk:
    """Where the answers of one model come from. Use as an async context manager: it holds the model open meanwhile.

    `heard(answers, tokens)` is told of every group of answers as it comes, stored ones included.
    """

    def __init__(
        self,
        model: Model,
        *,
        store: AnswerStore | None,
        tally: Tally | None = None,
        concurrency: int = 256,
        heard: Callable[[int, int], None] | None = None,
    ) -> None:
        self.model = model
        self.tally = tally if tally is not None else Tally()
        self._store = store
        self._heard = heard
        self._concurrency = concurrency
        self._slots = Slots(concurrency)
        self._asking: dict[tuple[Name, ...], asyncio.Future[dict[Name, Completion]]] = {}
        self._uncommitted: list[tuple[_Question, dict[Name, Completion], asyncio.Future[None]]] = []
        self._commit_timer: asyncio.TimerHandle | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Desk:
        if isinstance(self.model, AbstractAsyncContextManager):
            await self._stack.enter_async_context(self.model)
        self.card = self.model.card
        self.batched = "batch" in self.card.capabilities
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._commit_group()  # what has arrived is paid for
        await self._stack.aclose()

    async def answer_all(self, requests: Sequence[Request]) -> list[list[Completion] | UnanswerableError]:
        """Answers to requests known beforehand, in order. A question that stands in the list twice is asked once."""
        wanted = [_Question.of(request, card=self.card) for request in requests]
        unique: dict[Name, _Question] = {}
        for question in wanted:
            first = question.names[0]
            if first not in unique or len(question.names) > len(unique[first].names):
                unique[first] = question  # of two that differ in `n` only, the larger answers both
        obstacles: dict[str, UnanswerableError] = {}
        if self.batched:
            model = cast("BatchModel", self.model)
            for question in unique.values():
                if why := model.obstacle(question.request):
                    obstacles[question.name] = UnanswerableError(why, hint="shorten it, or choose another model")
        askable = [question for question in unique.values() if question.name not in obstacles]
        ask = self._ask_batches if self.batched else self._ask_each
        by_name = {name: answer for group in await ask(askable) for name, answer in group.items()}
        return [
            obstacles[question.name]
            if question.name in obstacles
            else _spread([by_name[name] for name in question.names], request.n)
            for question, request in zip(wanted, requests, strict=True)
        ]

    async def answer(self, request: Request) -> list[Completion]:
        """The answers of a model without batches to one request. The same question in flight is shared."""
        question = _Question.of(request, card=self.card)
        answers: dict[Name, Completion] | None = None
        while answers is None:
            other = self._asking.get(question.names)
            if other is None:
                answers = await self._ask_one(question)
            else:
                await asyncio.wait([other])
                answers = None if other.cancelled() else other.result()  # cancelled: its asker failed or gave up
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
        missing = [part for question in batch if (part := question.without(stored)) is not None]
        fresh: dict[Name, Completion] = {}
        if missing:
            self.tally.begin()
            try:
                replies = await model.generate_batch([question.request for question in missing])
            finally:
                self.tally.end()
            if len(replies) != len(missing):
                raise self._miscounted(len(replies), f"a batch of {len(missing)} requests")
            for question, reply in zip(missing, replies, strict=True):
                fresh.update(self._stamped(question, reply))
            self._commit([(question, fresh) for question in missing])
        return self._done(missing, stored, fresh)

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
        part = question.without(stored)
        if part is None:
            return self._done([], stored, {})
        mine = self._asking[question.names] = asyncio.get_running_loop().create_future()
        try:
            async with self._slots:  # until it is stored: what a kill can cost is what holds a slot
                fresh = self._stamped(part, await self._replied(part.request))
                await self._commit_soon(part, fresh)
            answers = self._done([part], stored, fresh)
            mine.set_result(answers)
            return answers
        finally:
            del self._asking[question.names]
            mine.cancel()

    async def _replied(self, request: Request) -> Sequence[Completion]:
        self.tally.begin()
        try:
            return await self.model.generate(request)
        except HomeschoolError:
            raise
        except Exception as error:  # In a recipe it would look like the recipe's own mistake and cost the row.
            raise HomeschoolError(
                f"{self.card.name} failed with {type(error).__name__}: {error}",
                hint="nothing that was answered is lost: the same command goes on from here",
            ) from error
        finally:
            self.tally.end()

    def _lookup(self, questions: Sequence[_Question]) -> dict[Name, Completion]:
        if self._store is None:
            return {}
        keys: defaultdict[int, list[str]] = defaultdict(list)
        for question in questions:
            for key, limit in question.names:
                keys[limit].append(key)
        found: dict[Name, Completion] = {}
        for limit, some in keys.items():
            for key, answer in self._store.lookup(some, max_tokens=limit).items():
                found[key, limit] = answer
        return found

    def _stamped(self, question: _Question, reply: Sequence[Completion]) -> dict[Name, Completion]:
        """The model's answers under their names. What names an answer is set here, once, for every model."""
        request = question.request
        if len(reply) != request.n:
            raise self._miscounted(len(reply), f"a request for {request.n}")
        sampling = request.sampling.identity()
        seed = request.seed if request.sampling.temperature > 0 else 0
        model = self.card.name
        return {
            name: answer.named(name[0], model=model, sampling=sampling, seed=seed)
            for name, answer in zip(question.names, reply, strict=True)
        }

    def _commit(self, group: Sequence[tuple[_Question, dict[Name, Completion]]]) -> None:
        """One transaction for the answers to several questions."""
        if self._store is None:
            return
        named = [(question.text, name, answers[name]) for question, answers in group for name in question.names]
        self._store.commit(
            [answer for _, _, answer in named],
            max_tokens=[limit for _, (_, limit), _ in named],
            questions=[text for text, _, _ in named],
        )

    async def _commit_soon(self, question: _Question, fresh: dict[Name, Completion]) -> None:
        """Group commit: what arrives within a moment shares one transaction."""
        if self._store is None:
            return
        loop = asyncio.get_running_loop()
        committed: asyncio.Future[None] = loop.create_future()
        self._uncommitted.append((question, fresh, committed))
        if len(self._uncommitted) >= COMMIT_AT:
            self._commit_group()
        elif self._commit_timer is None:
            self._commit_timer = loop.call_later(COMMIT_AFTER, self._commit_group)
        await committed

    def _commit_group(self) -> None:
        group, self._uncommitted = self._uncommitted, []
        if self._commit_timer is not None:
            self._commit_timer.cancel()
            self._commit_timer = None
        failure: HomeschoolError | None = None
        try:
            if group:
                self._commit([(question, fresh) for question, fresh, _ in group])
        except HomeschoolError as error:
            failure = error
        for _, _, committed in group:
            if committed.done():  # its asker has given up
                continue
            if failure is None:
                committed.set_result(None)
            else:
                committed.set_exception(failure)

    def _done(
        self, asked: Sequence[_Question], stored: dict[Name, Completion], fresh: dict[Name, Completion]
    ) -> dict[Name, Completion]:
        """Count, tell, and join: where both have an answer, the stored one is what others have seen."""
        answers = fresh | stored if stored else fresh
        tally = self.tally
        tally.calls += len(fresh)
        tally.cached += len(answers) - len(fresh)
        for answer in fresh.values():
            tally.completion_tokens += answer.tokens
        for question in asked:
            tally.prompt_tokens += fresh[question.names[0]].prompt_tokens
        if self._heard is not None:
            self._heard(len(answers), sum(answer.tokens for answer in answers.values()))
        return answers

    def _miscounted(self, got: int, wanted: str) -> HomeschoolError:
        return HomeschoolError(
            f"{self.card.name} gave {got} answers to {wanted}", hint="a model must give one answer per sample, in order"
        )


def _spread(answers: list[Completion], n: int) -> list[Completion]:
    """`n` answers: a greedy question has one, which every sample shares."""
    return answers[:n] if len(answers) >= n else answers * n
