"""Runs a recipe over rows in one process: plain asyncio, and the same rows whatever happens in between.

A recipe is ordinary async code. What it does through its context (`engine.context`) is named by where it stands, never
by when it happens, so a killed run that is started again asks the same questions and gets the stored answers.

Models that answer in batches are asked in *lock-step*. Within a window of rows everything runs until nothing can run
any more without an answer; then the waiting requests are ordered by (row, branch, ordinal), the model cuts them into
batches, they are answered and delivered, and everything runs on. So which requests share a batch is a function of the
rows alone, however long a verifier takes. Other models answer at once, without barriers.

Rows stream: `stream_recipe` takes them as it needs them and gives outcomes in their order, a bounded number ahead.

A recipe that raises costs its row, which is Dropped with what it raised and where; so is one whose model can never
answer. A row whose answer did not come is *unfinished*: neither kept nor dropped, and asked again next time. Any other
HomeschoolError (full disk, no such role) ends the run.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NoReturn

from homeschool.core.errors import HomeschoolError, UnanswerableError, UnansweredError, UsageError
from homeschool.core.execution import Execution, Program
from homeschool.core.protocols import Grouped, Model, Pooled, Recipe, Verifier
from homeschool.core.records import Completion, ModelCard, Request, Row
from homeschool.engine.answers import AnswerStore
from homeschool.engine.ask import Desk, together
from homeschool.engine.context import HERE, Branch, Place, RecipeContext, Unit, units_of
from homeschool.engine.outcome import Outcome, raised, refused, returned
from homeschool.engine.pool import Snapshot
from homeschool.engine.progress import Stage
from homeschool.engine.tally import Tally

AHEAD = 8
"""How many windows may be done before the oldest row is: one slow row must not stop the others, nor fill the memory."""


@dataclass(frozen=True, slots=True)
class World:
    """All that a recipe can reach, and where the run stands."""

    roles: Mapping[str, Model]
    """Models by role; `generator` is the one a recipe asks unless it says otherwise."""
    store: AnswerStore | None
    verifier: Verifier | None = None
    seed: int = 0
    round: int = 0
    window: int = 1024
    """Rows in the works at once. With a batch model it decides who may share a batch, so it belongs to the run."""
    concurrency: int = 256
    """Requests with one model at once, for models without batches."""
    execute: Callable[[Program], Awaitable[Execution]] | None = None
    """The sandbox, if recipes may run programs."""
    drop_unanswered: bool = False
    """Whether a row whose answer did not come is dropped, for once and all, and not left for another time."""


async def run_recipe(
    recipe: Recipe | Pooled | Grouped,
    rows: Iterable[Row],
    *,
    world: World,
    tally: Tally | None = None,
    stage: Stage | None = None,
) -> list[Outcome]:
    """One Outcome per row, in the order of `rows`; `stage` advances by one per row.

    A HomeschoolError ends the run, whether a model, the store, the verifier or the recipe raised it. Raises
    UnansweredError if any row stayed without an answer.
    """
    outcomes: list[Outcome] = []
    tallies = dict.fromkeys(world.roles, tally) if tally is not None else None

    def heard(answers: int, tokens: int) -> None:
        if stage is not None:
            stage.advance(0, answers=answers, tokens=tokens)

    def ended(outcome: Outcome) -> None:
        if stage is not None:
            stage.advance(len(outcome.rows), accepted=len(outcome.children))

    stream = stream_recipe(recipe, rows, world=world, tallies=tallies, heard=heard, ended=ended)
    async with aclosing(stream) as stream:
        async for outcome in stream:
            outcomes.append(outcome)
    unfinished = [outcome.unfinished for outcome in outcomes if outcome.unfinished]
    if unfinished:
        raise UnansweredError(
            f"{len(unfinished)} of {len(outcomes)} rows got no answer ({unfinished[0]})",
            hint="the same command asks for them again, and for nothing else",
            kind=unfinished[0],
        )
    return outcomes


async def stream_recipe(
    recipe: Recipe | Pooled | Grouped,
    rows: Iterable[Row],
    *,
    world: World,
    tallies: dict[str, Tally] | None = None,
    heard: Callable[[int, int], None] | None = None,
    ended: Callable[[Outcome], None] | None = None,
    pool: Snapshot | None = None,
) -> AsyncGenerator[Outcome]:
    """Outcomes in the order of `rows` (of their groups' first rows); `rows` is read as needed.

    `tallies` counts what each role costs (a batch model in several counts under the first). `heard` is told of
    answers and their tokens as they come, `ended` of every outcome at once, in whatever order. `pool` is what a Pooled
    or Grouped recipe sees, and `rows` are then those of one round. Close it (aclosing) if you leave early.
    """
    spent = tallies if tallies is not None else {}
    async with AsyncExitStack() as stack:
        desks: dict[str, Desk] = {}
        for role, model in world.roles.items():
            tally = spent.setdefault(role, Tally())
            desk = Desk(model, store=world.store, tally=tally, concurrency=world.concurrency, heard=heard)
            await stack.enter_async_context(desk)
            # A batch model in two roles is one desk, so that they share its batches.
            known = [other for other in desks.values() if other.model is model and other.batched]
            desks[role] = known[0] if known else desk
        crew = Crew(recipe, world, desks=desks, ended=ended, pool=pool)
        outcomes = await stack.enter_async_context(aclosing(crew.run(rows)))
        async for outcome in outcomes:
            yield outcome


@dataclass(slots=True)
class Pending:
    """A request that waits for the next barrier, and where it was asked."""

    place: tuple[Place, int]
    desk: Desk
    request: Request
    answer: asyncio.Future[list[Completion]] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Crew:
    """The tasks of one run, and the count of those that can still move.

    `_running` counts branches that are not waiting for a barrier or for branches of their own. Awaiting a verifier, or
    a model without batches, is running. At zero nothing can happen any more but an answer: that is the barrier.
    """

    def __init__(
        self,
        recipe: Recipe | Pooled | Grouped,
        world: World,
        *,
        desks: Mapping[str, Desk],
        ended: Callable[[Outcome], None] | None,
        pool: Snapshot | None,
    ) -> None:
        self.world = world
        self.pool = pool if isinstance(recipe, (Pooled, Grouped)) else None
        self._recipe = recipe
        self._desks = desks
        self._ended = ended
        self._context = RecipeContext(self)
        self._pending: list[Pending] = []
        self._running = 0
        self._still = asyncio.Event()

    async def run(self, rows: Iterable[Row]) -> AsyncGenerator[Outcome]:
        numbered = enumerate(units_of(self._recipe, rows))
        if not any(desk.batched for desk in self._desks.values()):
            async with aclosing(self._flow(numbered)) as flow:
                async for outcome in flow:
                    yield outcome
            return
        while window := list(islice(numbered, self.world.window)):
            for outcome in await self._lock_step(window):
                yield outcome

    def card(self, role: str) -> ModelCard | None:
        return self._desks[role].card if role in self._desks else None

    def desk(self, role: str) -> Desk:
        if role in self._desks:
            return self._desks[role]
        if not self._desks or role == "generator":
            raise UsageError(f"the recipe asks the {role}, but the run has no such model", hint="add --model MODEL")
        raise UsageError(f"the recipe asks a {role}, but no model has that role", hint=f"add --role {role}=MODEL")

    async def answer(self, desk: Desk, request: Request, *, place: tuple[Place, int]) -> list[Completion]:
        """The answers to one request, asked at `place`: at once, or at the next barrier."""
        if not desk.batched:
            return await desk.answer(request)
        pending = Pending(place, desk, request)
        self._pending.append(pending)
        self._stop()
        try:
            return await pending.answer
        except asyncio.CancelledError:
            if pending.answer.cancelled():  # no delivery will count it as running again
                self._running += 1
            raise

    async def fork(self, unit: Unit, branches: Mapping[Place, Awaitable[Any]]) -> list[Any]:
        """Run branches, named by their places. The parent lends its count to them; the last to end gives it back."""
        if not branches:
            return []
        self._running += len(branches) - 1
        left = len(branches)

        async def run(place: Place, work: Awaitable[Any]) -> Any:
            self._stand(unit, place)
            try:
                return await work
            except SystemExit as error:  # in a task of its own it would end the process
                raise RuntimeError(f"sys.exit({error.code!r})") from error

        def ended(_: asyncio.Task[Any]) -> None:
            nonlocal left
            left -= 1
            if left:
                self._stop()

        tasks = [asyncio.create_task(run(place, work)) for place, work in branches.items()]
        for task in tasks:
            task.add_done_callback(ended)
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise
        failures = [error for task in tasks if (error := task.exception())]
        if failures:
            raise failures[0]
        return [task.result() for task in tasks]

    def _stand(self, unit: Unit, place: Place) -> None:
        """The current task is the branch at `place`."""
        HERE.set(Branch(unit, place, (self.world.seed, self.world.round)))

    def _stop(self) -> None:
        self._running -= 1
        if self._running == 0:
            self._still.set()

    async def _flow(self, numbered: Iterator[tuple[int, Unit]]) -> AsyncGenerator[Outcome]:
        """No barriers: a window of units at once, each as soon as there is room, given out in order."""
        done: dict[int, Outcome] = {}
        given = 0
        changed, room = asyncio.Event(), asyncio.Event()
        # Twice what may be asked keeps the models busy while verifiers work; more would only lie in memory.
        at_once = min(self.world.window, 2 * self.world.concurrency)

        async def work() -> None:
            for index, unit in numbered:
                while index >= given + AHEAD * self.world.window:
                    room.clear()
                    await room.wait()
                done[index] = await self._outcome(index, unit)
                if index == given:
                    changed.set()

        async def all_work() -> None:
            try:
                await together(work() for _ in range(at_once))
            finally:
                changed.set()

        workers = asyncio.create_task(all_work())
        try:
            while True:
                while given in done:
                    yield done.pop(given)
                    given += 1
                    room.set()
                if workers.done():
                    workers.result()
                    return
                changed.clear()
                await changed.wait()
        finally:
            workers.cancel()
            await asyncio.gather(workers, return_exceptions=True)

    async def _lock_step(self, window: Sequence[tuple[int, Unit]]) -> list[Outcome]:
        self._running = len(window)
        self._still.clear()

        async def work(index: int, unit: Unit) -> Outcome:
            try:
                return await self._outcome(index, unit)
            finally:
                self._stop()

        barriers = asyncio.create_task(self._barriers())
        rows = asyncio.create_task(together(work(index, unit) for index, unit in window))
        try:
            await asyncio.wait([rows, barriers], return_when=asyncio.FIRST_COMPLETED)
            return barriers.result() if barriers.done() else rows.result()
        finally:
            rows.cancel()
            barriers.cancel()
            await asyncio.gather(rows, barriers, return_exceptions=True)

    async def _barriers(self) -> NoReturn:
        """Whenever all stand still, answer what is pending. Ends only by failing, or when the rows are done."""
        while True:
            await self._still.wait()
            self._still.clear()
            if self._running:  # a question was taken back in the meantime, so not all stand still
                continue
            waiting = [pending for pending in self._pending if not pending.answer.done()]
            self._pending = []
            waiting.sort(key=lambda pending: pending.place)
            for desk in dict.fromkeys(pending.desk for pending in waiting):
                asked = [pending for pending in waiting if pending.desk is desk]
                answers = await desk.answer_all([pending.request for pending in asked])
                for pending, answer in zip(asked, answers, strict=True):
                    if pending.answer.done():
                        continue
                    self._running += 1  # before it wakes, or another's standstill would look like everybody's
                    if isinstance(answer, UnanswerableError):
                        pending.answer.set_exception(answer)
                    else:
                        pending.answer.set_result(answer)

    async def _outcome(self, index: int, unit: Unit) -> Outcome:
        self._stand(unit, (index,))
        try:
            outcome = returned(unit, await self._call(unit))
        except UnanswerableError as error:
            outcome = refused(unit, "unanswerable", "model", str(error))
        except UnansweredError as error:
            why = error.kind or "no answer"
            dropped = self.world.drop_unanswered
            outcome = refused(unit, why, "model", str(error)) if dropped else Outcome(unit.rows, unfinished=why)
        except HomeschoolError:
            raise
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            outcome = raised(unit, error)  # nobody cancelled it: the recipe said so itself
        except (Exception, SystemExit) as error:  # The one boundary: what a recipe failed to foresee costs one row.
            outcome = raised(unit, error)
        if self._ended is not None:
            self._ended(outcome)
        return outcome

    def _call(self, unit: Unit) -> Awaitable[object]:
        if isinstance(self._recipe, Grouped):
            return self._recipe.recipe(unit.rows, self._context)
        recipe = self._recipe.recipe if isinstance(self._recipe, Pooled) else self._recipe
        return recipe(unit.rows[0], self._context)
