"""What a recipe holds in its hands: `ctx`. Every question is named by where it stands, never by when it is asked.

A place is (unit, branch, branch of that branch, ...): the unit is the row, or group of rows, that the recipe was
given; branches are numbered by `ctx.gather`. Seeds and random numbers come from hash(run seed, round, unit id, branch,
ordinal).

Refused: asking from a task that the recipe started itself (asyncio.gather, create_task, a time-out), because the order
of such questions would be chance.
"""

from __future__ import annotations

import asyncio
import inspect
import random
from collections.abc import Awaitable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from homeschool.core.errors import UsageError, unknown
from homeschool.core.execution import Execution, Program
from homeschool.core.identity import digest, seed_of
from homeschool.core.protocols import Grouped, Pooled, Recipe
from homeschool.core.records import Completion, Dropped, Message, ModelCard, Request, Row, Sampling
from homeschool.core.verdict import Broken, Verdict
from homeschool.engine.pool import PoolView
from homeschool.engine.typed import Schema, Unfit, schema_of

if TYPE_CHECKING:
    from homeschool.engine.local import Crew

Place = tuple[int, ...]

RETRIES = 2
"""How often a model is shown why its typed answer cannot be read, and asked again."""


@dataclass(slots=True)
class Unit:
    """What a recipe is given at once: a row, or a group of rows. `calls` are filled as answers come."""

    rows: tuple[Row, ...]
    id: str
    calls: list[tuple[Place, int, str, list[Completion]]] = field(
        default_factory=list[tuple[Place, int, str, list[Completion]]]
    )
    """(place, ordinal, role, answers)."""


def units_of(recipe: Recipe | Pooled | Grouped, rows: Iterable[Row]) -> Iterator[Unit]:
    """What the recipe is given, one after the other: rows, or groups in the order of their first rows."""
    if not isinstance(recipe, Grouped):
        for row in rows:
            yield Unit((row,), row.id)
        return
    groups: list[list[Row]] = []
    growing: dict[str, list[Row]] = {}
    for row in rows:
        name = "" if recipe.by is None else digest(row.get(recipe.by))
        if len(growing.get(name, ())) in (0, recipe.size):
            growing[name] = []
            groups.append(growing[name])
        growing[name].append(row)
    for group in groups:
        yield Unit(tuple(group), digest("group", [row.id for row in group]))


@dataclass(slots=True)
class Branch:
    """One line of control flow in a recipe: the unit itself, or one branch of a `gather`."""

    unit: Unit
    place: Place
    run: tuple[int, int]
    """Seed and round of the run."""
    task: asyncio.Task[Any] | None = field(default_factory=asyncio.current_task)
    asks: int = 0
    branches: int = 0
    appends: int = 0
    _rng: random.Random | None = None

    def seed(self, *ordinal: int) -> int:
        """Of its random numbers, or of the question `ordinal`. It names the unit's id, so any split gives the same."""
        return seed_of(*self.run, self.unit.id, self.place[1:], *ordinal)

    @property
    def rng(self) -> random.Random:
        """Made when it is first used: most branches draw nothing."""
        if self._rng is None:
            self._rng = random.Random(self.seed())
        return self._rng


HERE: ContextVar[Branch] = ContextVar("homeschool_branch")
"""The branch that the current task is. A branch of a `gather` closes over its parent's `ctx`, so the task must know."""


class RecipeContext:
    """core.protocols.Context, for one run of one recipe."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew

    @property
    def rng(self) -> random.Random:
        return HERE.get().rng

    @property
    def pool(self) -> PoolView:
        if self._crew.pool is None:
            raise UsageError(
                "the recipe uses the pool, but its rows do not come in rounds", hint="return Pooled(recipe) from it"
            )
        branch = HERE.get()

        def place() -> tuple[Place, int]:
            branch.appends += 1
            return branch.place, branch.appends

        return PoolView(self._crew.pool, branch.rng, place)

    def card(self, role: str) -> ModelCard | None:
        """Who answers in `role` and what it can do; None if the run has no such model."""
        return self._crew.card(role)

    async def ask(
        self,
        prompt: str | Sequence[Mapping[str, Any]],
        *,
        n: int = 1,
        role: str = "generator",
        schema: type | Mapping[str, Any] | None = None,
        tools: Sequence[Mapping[str, Any]] = (),
        logprobs: bool = False,
        **options: Any,
    ) -> Any:
        """`n` answers of the model in `role`; with `schema`, one value of it, or a Dropped that says why not.

        `options` are the fields of Sampling.
        """
        asked = prompt if isinstance(prompt, str) else tuple(Message.from_dict(message) for message in prompt)
        request = Request(asked, sampling=sampling_of(options), n=n, tools=tuple(tools), logprobs=logprobs)
        if n < 1:
            raise ValueError(f"a question wants at least one answer, not n={n}")
        if schema is None:
            return await self._answers(request, role)
        if n != 1:
            raise ValueError(f"a typed question has one answer, not n={n}: ask in branches of ctx.gather")
        return await self._value(request, role, schema_of(schema))

    async def gather(self, *branches: Awaitable[Any]) -> list[Any]:
        """The results of coroutines that run at once. All end; then the first failure in their order is raised."""
        if not all(inspect.iscoroutine(branch) for branch in branches):
            raise TypeError("ctx.gather takes coroutines that have not been started, so that it can number them")
        parent = HERE.get()
        first, parent.branches = parent.branches, parent.branches + len(branches)
        places = [(*parent.place, number) for number in range(first, parent.branches)]
        return await self._crew.fork(parent.unit, dict(zip(places, branches, strict=True)))

    async def execute(self, program: Program) -> Execution:
        """What comes of a program that is run in the sandbox."""
        execute = self._crew.world.execute
        if execute is None:
            raise UsageError(
                "the recipe runs programs, but this run has no sandbox", hint="run it by a verb that has one"
            )
        return await execute(program)

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

    async def _answers(self, request: Request, role: str) -> list[Completion]:
        """Put one request, seeded by where it stands, to the model in `role`, and note the answers."""
        branch = HERE.get()
        if asyncio.current_task() is not branch.task:
            raise UsageError(
                f"the recipe asks {str(request.prompt)[:40]!r} from a task of its own, where questions have no order",
                hint="use ctx.gather in place of asyncio.gather, create_task and wait_for",
            )
        ordinal, branch.asks = branch.asks, branch.asks + 1
        asked = request.seeded(branch.seed(ordinal))
        answers = await self._crew.answer(self._crew.desk(role), asked, place=(branch.place, ordinal))
        branch.unit.calls.append((branch.place, ordinal, role, answers))
        return answers

    async def _value(self, request: Request, role: str, schema: Schema) -> Any:
        """A value of the schema. A model that can be held to it is; any other is told of it, and of what it missed."""
        kind = "schema:raw" if isinstance(request.prompt, str) else "schema"
        held = kind in self._crew.desk(role).card.capabilities
        prompt = request.prompt if held else _said(request.prompt, schema.instruction())
        calls: list[Completion] = []
        for attempt in range(1 + RETRIES):
            held_to = schema.json if held else None
            [answer] = await self._answers(replace(request, prompt=prompt, schema=held_to), role)
            calls.append(answer)
            if answer.refusal or answer.finish_reason == "content_filter":
                return _dropped("refused", answer.refusal or answer.text, calls)
            if answer.finish_reason == "length":
                return _dropped("truncated", answer.text, calls)
            try:
                return schema.read(answer.text)
            except Unfit as error:
                if attempt == RETRIES:
                    return _dropped(f"unparsable: {error.kind}", f"{error}\n{answer.text}", calls)
                prompt = _said(_answered(prompt, answer.text), schema.complaint(error))
        raise AssertionError("unreachable")


def _dropped(reason: str, detail: str, calls: Sequence[Completion]) -> Dropped:
    return Dropped(HERE.get().unit.rows[0].derive(step="ask", calls=calls), reason, "ask", detail)


def _said(prompt: str | tuple[Message, ...], words: str) -> str | tuple[Message, ...]:
    """The prompt with some words of the user's at its end."""
    if isinstance(prompt, str):
        return f"{prompt}\n\n{words}\n"
    if prompt and prompt[-1].role == "user":
        return (*prompt[:-1], Message("user", f"{prompt[-1].content}\n\n{words}"))
    return (*prompt, Message("user", words))


def _answered(prompt: str | tuple[Message, ...], text: str) -> str | tuple[Message, ...]:
    return prompt + text if isinstance(prompt, str) else (*prompt, Message("assistant", text))


def sampling_of(options: Mapping[str, Any]) -> Sampling:
    """The options of `ctx.ask`. Raises UsageError, naming the nearest, for an unknown one."""
    for name in options:
        if name not in _SAMPLING:
            raise unknown("option of ctx.ask", name, [*_SAMPLING, "n", "role", "schema", "tools", "logprobs"])
    stop = options.get("stop", ())
    return Sampling(**{**options, "stop": (stop,) if isinstance(stop, str) else tuple(stop)})


_SAMPLING = tuple(each.name for each in fields(Sampling))
