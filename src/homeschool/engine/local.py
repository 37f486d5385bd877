"""Runs a recipe over rows in one process: plain asyncio, and the same rows whatever happens in between.

A recipe is ordinary async code. What it does through its context is named by where it stands (run seed, round, row id,
branch, ordinal), never by when it happens, so a killed run that is started again asks the same questions and gets the
stored answers.

Models that answer in batches are asked in *lock-step*. Within a window of rows everything runs until nothing can run
any more without an answer; then the waiting requests are ordered by (row, branch, ordinal), the model cuts them into
batches, they are answered and delivered, and everything runs on. So which requests share a batch is a function of the
rows alone, however long a verifier takes. Other models answer at once, without barriers.

A recipe that raises is a Dropped row with its traceback. A HomeschoolError (full disk, no such role) ends the run.
Refused: asking from a task that the recipe started itself (asyncio.gather, create_task, a time-out): the order of such
questions would be chance. `ctx.gather` numbers its branches.
"""

from __future__ import annotations

import asyncio
import inspect
import random
import traceback
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from contextvars import ContextVar
from dataclasses import dataclass, field, fields
from itertools import islice
from typing import Any, NoReturn

from homeschool.core.errors import HomeschoolError, UsageError, unknown
from homeschool.core.identity import seed_of
from homeschool.core.protocols import Model, Recipe, Verifier
from homeschool.core.records import Completion, Dropped, Message, Request, Row, Sampling
from homeschool.core.verdict import Broken, Verdict
from homeschool.engine.answers import AnswerStore
from homeschool.engine.ask import Desk, Tally, together
from homeschool.engine.progress import Stage


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
    concurrency: int = 32
    """Requests with one model at once, for models without batches."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one source row."""

    row: Row
    children: tuple[Row, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    traceback: str = ""
    """Of a recipe that raised."""


async def run_recipe(
    recipe: Recipe, rows: Iterable[Row], *, world: World, tally: Tally | None = None, stage: Stage | None = None
) -> list[Outcome]:
    """One Outcome per row, in the order of `rows`; `stage` advances by one per row.

    A HomeschoolError ends the run, whether a model, the store, the verifier or the recipe raised it.
    """

    def heard(answers: int, tokens: int) -> None:
        if stage is not None:
            stage.advance(0, answers=answers, tokens=tokens)

    async with AsyncExitStack() as stack:
        desks: dict[int, Desk] = {}  # one model in two roles is one desk, so that they share its batches
        for model in world.roles.values():
            if id(model) not in desks:
                desk = Desk(model, store=world.store, tally=tally, concurrency=world.concurrency, heard=heard)
                desks[id(model)] = await stack.enter_async_context(desk)
        by_role = {role: desks[id(model)] for role, model in world.roles.items()}
        return await _Crew(recipe, world, desks=by_role, stage=stage).run(rows)


@dataclass(slots=True)
class _Branch:
    """One line of control flow in a recipe: the row itself, or one branch of a `gather`."""

    row: Row
    place: tuple[int, ...]
    """Index of the row, then the number of every branch on the way here."""
    rng: random.Random
    task: asyncio.Task[Any] | None = field(default_factory=asyncio.current_task)
    asks: int = 0
    branches: int = 0


@dataclass(slots=True)
class _Pending:
    """A request that waits for the next barrier."""

    place: tuple[tuple[int, ...], int]
    desk: Desk
    request: Request
    answer: asyncio.Future[list[Completion]] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


_HERE: ContextVar[_Branch] = ContextVar("homeschool_branch")
"""The branch that the current task is. A branch of a `gather` closes over its parent's `ctx`, so the task must know."""


class _Context:
    """core.protocols.Context, for one recipe."""

    def __init__(self, crew: _Crew) -> None:
        self._crew = crew

    @property
    def rng(self) -> random.Random:
        return _HERE.get().rng

    async def ask(
        self,
        prompt: str | Sequence[Mapping[str, str]],
        *,
        n: int = 1,
        role: str = "generator",
        schema: Mapping[str, Any] | None = None,
        tools: Sequence[Mapping[str, Any]] = (),
        **options: Any,
    ) -> list[Completion]:
        """`n` answers of the model in `role`; `options` are the fields of Sampling."""
        branch, world = _HERE.get(), self._crew.world
        if asyncio.current_task() is not branch.task:
            raise UsageError(
                f"the recipe asks {str(prompt)[:40]!r} from a task of its own, where questions have no order",
                hint="use ctx.gather in place of asyncio.gather, create_task and wait_for",
            )
        if n < 1:
            raise ValueError(f"a question wants at least one answer, not n={n}")
        ordinal, branch.asks = branch.asks, branch.asks + 1
        request = Request(
            prompt=prompt if isinstance(prompt, str) else tuple(Message(m["role"], m["content"]) for m in prompt),
            sampling=_sampling(options),
            seed=seed_of(world.seed, world.round, branch.row.id, branch.place[1:], ordinal),
            n=n,
            schema=schema,
            tools=tuple(tools),
        )
        return await self._crew.answer(_Pending((branch.place, ordinal), self._crew.desk(role), request))

    async def gather(self, *branches: Awaitable[Any]) -> list[Any]:
        """The results of coroutines that run at once. All end; then the first failure in their order is raised."""
        if not all(inspect.iscoroutine(branch) for branch in branches):
            raise TypeError("ctx.gather takes coroutines that have not been started, so that it can number them")
        parent = _HERE.get()
        first, parent.branches = parent.branches, parent.branches + len(branches)
        places = [(*parent.place, number) for number in range(first, parent.branches)]
        return await self._crew.fork(parent.row, dict(zip(places, branches, strict=True)))

    async def verify(self, row: Row, answers: Sequence[str]) -> list[Verdict]:
        """One verdict per answer. A verifier that gives another number of them is Broken, for every answer."""
        verifier = self._crew.world.verifier
        if verifier is None:
            raise UsageError("the recipe verifies answers, but the run has no verifier", hint="add --with VERIFIER")
        verdicts = list(await verifier(row, answers, self))
        if len(verdicts) == len(answers):
            return verdicts
        counted = f"{len(verdicts)} verdicts for {len(answers)} answers"
        return [Broken(reason="wrong number of verdicts", evidence=counted, verifier=verifier.name) for _ in answers]


class _Crew:
    """The tasks of one run, and the count of those that can still move.

    `_running` counts branches that are not waiting for a barrier or for branches of their own. Awaiting a verifier, or
    a model without batches, is running. At zero nothing can happen any more but an answer: that is the barrier.
    """

    def __init__(self, recipe: Recipe, world: World, *, desks: Mapping[str, Desk], stage: Stage | None) -> None:
        self.world = world
        self._recipe = recipe
        self._desks = desks
        self._stage = stage
        self._context = _Context(self)
        self._pending: list[_Pending] = []
        self._running = 0
        self._still = asyncio.Event()

    async def run(self, rows: Iterable[Row]) -> list[Outcome]:
        numbered = iter(enumerate(rows))
        if not any(desk.batched for desk in self._desks.values()):
            return await self._flow(numbered)
        outcomes: list[Outcome] = []
        while window := list(islice(numbered, self.world.window)):
            outcomes += await self._lock_step(window)
        return outcomes

    def desk(self, role: str) -> Desk:
        if role in self._desks:
            return self._desks[role]
        if not self._desks or role == "generator":
            raise UsageError(f"the recipe asks the {role}, but the run has no such model", hint="add --model MODEL")
        raise UsageError(f"the recipe asks a {role}, but no model has that role", hint=f"add --role {role}=MODEL")

    async def answer(self, pending: _Pending) -> list[Completion]:
        """The answers to one request: at once, or at the next barrier."""
        if not pending.desk.batched:
            return await pending.desk.answer(pending.request)
        self._pending.append(pending)
        self._stop()
        try:
            return await pending.answer
        except asyncio.CancelledError:
            if pending.answer.cancelled():  # no delivery will count it as running again
                self._running += 1
            raise

    async def fork(self, row: Row, branches: Mapping[tuple[int, ...], Awaitable[Any]]) -> list[Any]:
        """Run branches, named by their places. The parent lends its count to them; the last to end gives it back."""
        if not branches:
            return []
        self._running += len(branches) - 1
        left = len(branches)

        async def run(place: tuple[int, ...], work: Awaitable[Any]) -> Any:
            self._stand(row, place)
            return await work

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
            await asyncio.wait(tasks)
            raise
        return [task.result() for task in tasks]

    def _stand(self, row: Row, place: tuple[int, ...]) -> None:
        """The current task is the branch at `place`. Seeds name the row's id, so that any split gives the same rows."""
        world = self.world
        _HERE.set(_Branch(row, place, random.Random(seed_of(world.seed, world.round, row.id, place[1:]))))

    def _stop(self) -> None:
        self._running -= 1
        if self._running == 0:
            self._still.set()

    async def _flow(self, numbered: Iterable[tuple[int, Row]]) -> list[Outcome]:
        """No barriers: at most a window of rows at once, each as soon as there is room."""
        outcomes: dict[int, Outcome] = {}
        source = iter(numbered)

        async def work() -> None:
            for index, row in source:
                outcomes[index] = await self._outcome(index, row)

        await together(work() for _ in range(self.world.window))
        return [outcomes[index] for index in sorted(outcomes)]

    async def _lock_step(self, window: Sequence[tuple[int, Row]]) -> list[Outcome]:
        self._running = len(window)
        self._still.clear()

        async def work(index: int, row: Row) -> Outcome:
            try:
                return await self._outcome(index, row)
            finally:
                self._stop()

        barriers = asyncio.create_task(self._barriers())
        rows = asyncio.create_task(together(work(index, row) for index, row in window))
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
                    if not pending.answer.done():
                        self._running += 1  # before it wakes, or another's standstill would look like everybody's
                        pending.answer.set_result(answer)

    async def _outcome(self, index: int, row: Row) -> Outcome:
        self._stand(row, (index,))
        try:
            children, dropped = _result(row, await self._recipe(row, self._context))
            outcome = Outcome(row, children, dropped)
        except HomeschoolError:
            raise
        except Exception as error:  # The one boundary: what a recipe failed to foresee costs one row and is on record.
            reason = f"raised {type(error).__name__}: {error}".rstrip(": ")
            outcome = Outcome(row, dropped=(Dropped(row, reason, "recipe"),), traceback=traceback.format_exc())
        if self._stage is not None:
            self._stage.advance(1, accepted=len(outcome.children))
        return outcome


def _result(row: Row, result: object) -> tuple[tuple[Row, ...], tuple[Dropped, ...]]:
    """What a recipe returned, sorted into children and drops."""
    items = list(result) if isinstance(result, (list, tuple)) else [] if result is None else [result]
    for item in items:
        if not isinstance(item, (Row, Dropped)):
            raise TypeError(f"a recipe returns Row, Dropped, a list of them or None, not {type(item).__name__}")
    dropped = tuple(item for item in items if isinstance(item, Dropped))
    if not items:
        dropped = (Dropped(row, "returned nothing", "recipe"),)
    return tuple(item for item in items if isinstance(item, Row)), dropped


def _sampling(options: Mapping[str, Any]) -> Sampling:
    known = [field.name for field in fields(Sampling)]
    for name in options:
        if name not in known:
            raise unknown("option of ctx.ask", name, [*known, "n", "role", "schema", "tools"])
    stop = options.get("stop", ())
    return Sampling(**{**options, "stop": (stop,) if isinstance(stop, str) else tuple(stop)})
