"""The six protocols. Everything a third party can add is one of these; there is no seventh.

Composition is by function: a recipe is an async function, a curator a generator, a verifier a callable object. An
implementation is found by its file name (`homeschool.recipes.NAME`), or by entry point, never through a registry.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload, runtime_checkable

from homeschool.core.execution import Execution, Program
from homeschool.core.records import Completion, Dropped, ModelCard, Request, Row
from homeschool.core.verdict import Verdict

if TYPE_CHECKING:
    import torch

T = TypeVar("T")


@runtime_checkable
class Model(Protocol):
    """Something that answers. An endpoint is one; a local checkpoint becomes one through a strategy.

    A model that holds something open while it answers (connections, a child process) is an async context manager too:
    whoever asks enters it first, several at once if need be, and the last to leave closes it.

    `generate` raises UnanswerableError for a request it can never answer, and UnansweredError when no answer came.
    """

    @property
    def card(self) -> ModelCard: ...

    async def generate(self, request: Request) -> list[Completion]:
        """The answers `request.samples`, in that order."""
        ...

    async def score(self, prompt: str, continuations: Sequence[str]) -> list[tuple[float, ...]]:
        """For each continuation, the log-probability of each of its tokens after `prompt`."""
        ...


@runtime_checkable
class BatchModel(Model, Protocol):
    """A model that is faster on many requests at once (`batch` among its card's capabilities).

    The engine cuts an ordered list with `batches`, so that which request shares a batch with which is a function of
    the list alone, and commits each batch whole. That is what makes a killed run end bit-equal.
    """

    def obstacle(self, request: Request) -> str:
        """Why this request can never be answered (its prompt is longer than the context, say); empty if it can."""
        ...

    def batches(self, requests: Sequence[Request]) -> list[list[int]]:
        """A partition of range(len(requests)): each list is one batch."""
        ...

    async def generate_batch(self, requests: Sequence[Request]) -> list[list[Completion]]:
        """Answers for one batch, as `generate` would give them for each request."""
        ...


@runtime_checkable
class Waiting(Protocol):
    """A model that may keep a run waiting, and says so."""

    def state(self) -> str:
        """What it waits for, as `http://... has not answered for 42 s`; empty if it does not wait."""
        ...


class Context(Protocol):
    """What a recipe or verifier may use of the world. Everything it does through here is recorded and replayed."""

    @property
    def rng(self) -> random.Random:
        """Random numbers that depend only on run seed, round, row and branch."""
        ...

    @property
    def pool(self) -> Pool:
        """What earlier rounds of the run put aside. Only for a recipe that is `Pooled` or `Grouped`."""
        ...

    def card(self, role: str) -> ModelCard | None:
        """Who answers in `role` and what it can do; None if the run has no such model."""
        ...

    @overload
    async def ask(
        self, prompt: str | Sequence[Mapping[str, Any]], *, schema: type[T], role: str = ..., **options: Any
    ) -> T | Dropped: ...

    @overload
    async def ask(
        self, prompt: str | Sequence[Mapping[str, Any]], *, schema: Mapping[str, Any], role: str = ..., **options: Any
    ) -> Any | Dropped: ...

    @overload
    async def ask(
        self, prompt: str | Sequence[Mapping[str, Any]], *, n: int = ..., role: str = ..., **options: Any
    ) -> list[Completion]: ...

    async def ask(self, prompt: str | Sequence[Mapping[str, Any]], **options: Any) -> Any:
        """What the model in role `role` (default `generator`) answers; `options` are the fields of Sampling.

        Without `schema`: `n` completions. With a `schema` (a type, or a JSON Schema): one value of it, or a Dropped
        that says why there is none: truncated, refused, unparsable. A recipe returns that Dropped as it is.
        """
        ...

    async def gather(self, *branches: Awaitable[Any]) -> list[Any]:
        """Run branches at once; each numbers its own asks, so which ends first changes nothing."""
        ...

    async def execute(self, program: Program) -> Execution:
        """What comes of a program that is run in the sandbox. Never raises for what the program does."""
        ...

    async def verify(self, row: Row, answers: Sequence[str]) -> list[Verdict]:
        """The verdicts of the run's verifier, one per answer."""
        ...


class Pool(Protocol):
    """Rows that a run keeps for its later rounds. Within a round it does not change, whatever is appended."""

    def append(self, row: Row) -> None:
        """Put `row` into the pool as the next rounds will see it, in the order of the rows that appended."""
        ...

    def sample(self, k: int) -> list[Row]:
        """At most `k` distinct rows, drawn by the branch's own random numbers."""
        ...

    def nearest(self, text: str, k: int, *, column: str = "prompt") -> list[tuple[float, Row]]:
        """The `k` rows whose `column` shares most words with `text` (Jaccard, 0..1), best first."""
        ...

    def __len__(self) -> int: ...


class Recipe(Protocol):
    """`async def recipe(row, ctx)`: one row in; a row, several rows, a Dropped or nothing out."""

    def __call__(self, row: Row, ctx: Context) -> Awaitable[Row | Dropped | Sequence[Row | Dropped] | None]: ...


class GroupRecipe(Protocol):
    """`async def recipe(rows, ctx)`: several rows in, anything out that a Recipe gives (see `Row.join`)."""

    def __call__(
        self, rows: Sequence[Row], ctx: Context
    ) -> Awaitable[Row | Dropped | Sequence[Row | Dropped] | None]: ...


@dataclass(frozen=True, slots=True)
class Pooled:
    """A recipe that uses `ctx.pool`: it sees its rows in rounds of `round_size`, and the pool grows between rounds."""

    recipe: Recipe
    round_size: int = 256


@dataclass(frozen=True, slots=True)
class Grouped:
    """A recipe of several rows at once: within each round, rows that share the column `by` (None: all), `size` a group.

    Groups stand in the order of their first rows; the last one of a value may be smaller. It may use `ctx.pool` too.
    """

    recipe: GroupRecipe
    size: int
    by: str | None = None
    round_size: int = 256


@runtime_checkable
class Verifier(Protocol):
    """Judges the answers to one row, a group at a time. `name@version` is stamped on its verdicts."""

    @property
    def name(self) -> str: ...

    async def __call__(self, row: Row, answers: Sequence[str], ctx: Context | None = None) -> list[Verdict]: ...


class Curator(Protocol):
    """Streams rows through; a removed row comes out as a Dropped in its place."""

    def __call__(self, rows: Iterable[Row]) -> Iterator[Row | Dropped]: ...


class Objective(Protocol):
    """What is minimised. One training loop serves them all."""

    @property
    def name(self) -> str: ...

    def prepare(self, model: Any) -> None:
        """Attach what the objective needs to the model (heads, a frozen reference)."""
        ...

    def collate(self, rows: Sequence[Row]) -> list[Any]:
        """Rows to encoded examples, in order; the loop packs them into batches."""
        ...

    def loss(self, model: Any, batch: Any) -> tuple[torch.Tensor, Mapping[str, float | torch.Tensor]]:
        """The *sum* of the loss over the batch's counted tokens, and metrics, summed likewise; the loop divides by all
        tokens."""
        ...


class Strategy(Protocol):
    """One way to decode: a local checkpoint in, a Model out."""

    def __call__(self, checkpoint: Any) -> BatchModel: ...
