"""What `generate` does, as plain values: so that another process (a Ray worker) can open the same job by itself."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeschool.core.errors import UsageError, unknown

if TYPE_CHECKING:
    from homeschool.core.protocols import Grouped, Model, Pooled, Recipe, Verifier
    from homeschool.engine.answers import AnswerStore
    from homeschool.engine.local import World
    from homeschool.recipes.load import NamedRecipe


KEY = "HOMESCHOOL_API_KEY"
"""The environment variable with the key of every server; with `_JUDGE` at its end, of the judge's alone."""


@dataclass
class Job:
    """One `generate`: everything by name, opened when it is first used and then kept.

    Options and verifier are filled in once the recipe and the models are there to ask.
    """

    recipe: str
    roles: Mapping[str, str]
    """Models by role; `generator` is the one that a recipe asks unless it says otherwise."""
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    verifier: str | None = None
    """Its name; `task:NAME` is the one of a task."""
    seed: int = 0
    concurrency: int = 256
    drop_unanswered: bool = False
    logs: Path | None = None
    """Folder for the words of servers that are started for the job."""
    known: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What the run has found out about servers before, by role."""

    @cached_property
    def named(self) -> NamedRecipe:
        from homeschool.recipes.load import load_recipe

        return load_recipe(self.recipe)

    @cached_property
    def models(self) -> dict[str, Model]:
        """Models by role; two roles with one name share one model. Raises UsageError."""
        from homeschool.decode.open import open_model

        by_name: dict[str, Model] = {}
        for role, name in self.roles.items():
            if name not in by_name:
                log = self.logs / f"{role}.log" if self.logs else None
                known, key = self.known.get(f"server.{role}"), os.environ.get(f"{KEY}_{role.upper()}")
                by_name[name] = open_model(name, concurrency=self.concurrency, log=log, known=known, key=key)
        return {role: by_name[name] for role, name in self.roles.items()}

    @cached_property
    def judge(self) -> Verifier | None:
        if self.verifier is None:
            return None
        if self.verifier.startswith("task:"):
            from homeschool.tasks.load import load_task

            return load_task(self.verifier.removeprefix("task:"), seed=self.seed).verifier
        from homeschool.verify.load import load_verifier

        return load_verifier(self.verifier)

    def made(self) -> Recipe | Pooled | Grouped:
        """The recipe with its options. Raises UsageError if its file makes none."""
        return self.named.make(self.options)

    def world(self, store: AnswerStore | None, *, window: int) -> World:
        """Where the recipe works."""
        from homeschool.engine.local import World
        from homeschool.sandbox.pool import execute

        return World(
            self.models,
            store,
            self.judge,
            seed=self.seed,
            window=window,
            concurrency=self.concurrency,
            execute=execute,
            drop_unanswered=self.drop_unanswered,
        )


def open_job(job: Job, workers: int, name: str) -> tuple[Recipe | Pooled | Grouped, Callable[[AnswerStore], World]]:
    """What worker `name` of `workers` needs of `job` (see `engine.ray.Kit`): they share what may be asked at once."""
    from homeschool.engine.generate import SHARD

    logs = job.logs / name if job.logs else None
    mine = replace(job, concurrency=max(1, job.concurrency // workers), logs=logs)
    return mine.made(), partial(mine.world, window=SHARD)


def roles_of(model: str | None, others: Sequence[str]) -> dict[str, str]:
    """`--model M` and every `--role NAME=MODEL`, as models by role. Raises UsageError."""
    roles = {"generator": model} if model else {}
    for text in others:
        role, equals, name = text.partition("=")
        if not equals or not role.isidentifier() or not name:
            raise UsageError(f"{text!r} is not ROLE=MODEL", hint="write for example `--role judge=nano`")
        if role in roles:
            raise UsageError(f"the role {role} is given twice, as {roles[role]} and {name}", hint="keep one of them")
        roles[role] = name
    if not roles:
        raise UsageError("no model is named", hint="add --model MODEL: nano, a folder, or http://HOST/v1#NAME")
    return roles


def with_names(roles: Mapping[str, str]) -> dict[str, str]:
    """The same, with `#MODEL` added to the address of a server that has one model only: who answers is then on record.

    Asks those servers. Raises UsageError for one that has several.
    """
    return {role: asyncio.run(_with_name(name)) if _nameless(name) else name for role, name in roles.items()}


def _nameless(name: str) -> bool:
    return name.startswith(("http://", "https://")) and "#" not in name


async def _with_name(name: str) -> str:
    from homeschool.models.endpoint import Endpoint

    async with Endpoint.open(name) as endpoint:
        return endpoint.card.name


def prices_of(texts: Sequence[str], roles: Collection[str]) -> dict[str, tuple[float, float]]:
    """Every `--price [ROLE=]IN,OUT` in US dollars per million tokens, by role. Raises UsageError."""
    prices: dict[str, tuple[float, float]] = {}
    for text in texts:
        role, equals, numbers = text.rpartition("=")
        try:
            inward, outward = map(float, numbers.split(","))
        except ValueError:
            inward = outward = -1.0
        if not (0 <= inward < float("inf") and 0 <= outward < float("inf")) or (equals and not role):
            raise UsageError(
                f"{text!r} is no price", hint="write `--price 0.15,0.60` (dollars per million tokens in and out)"
            )
        if (role or "generator") not in roles:
            raise unknown("role", role or "generator", roles)
        prices[role or "generator"] = (inward, outward)
    return prices
