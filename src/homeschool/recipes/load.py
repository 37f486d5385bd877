"""Recipes by name: a file of this folder (`rejection_sampling`), one's own (`mine.py:recipe`), or an entry point."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homeschool.core.discover import implementations, load
from homeschool.core.errors import UsageError
from homeschool.core.identity import digest, file_digest
from homeschool.core.own import function_in
from homeschool.core.protocols import Grouped, Pooled, Recipe

_PACKAGE = "homeschool.recipes"


@dataclass(frozen=True, slots=True)
class NamedRecipe:
    """A recipe that is still to be given its options, and what is said of it in a run's papers."""

    name: str
    factory: Callable[..., Recipe | Pooled | Grouped]
    digest: str
    """Of its file, and so of its prompts."""
    summary: str
    paper: str

    def make(self, options: Mapping[str, Any]) -> Recipe | Pooled | Grouped:
        """The recipe with its options. Raises UsageError if the factory makes none."""
        made = self.factory(**options)
        inner = made.recipe if isinstance(made, (Pooled, Grouped)) else made
        call = getattr(inner, "__call__", None)  # noqa: B004 (an object with an async __call__ is a recipe too)
        if not inspect.iscoroutinefunction(inner) and not inspect.iscoroutinefunction(call):
            raise UsageError(
                f"{self.name} makes {type(made).__name__}, which is no recipe",
                hint="write `async def recipe(row, ctx):`, or return such a function",
            )
        return made


def load_recipe(name: str) -> NamedRecipe:
    """The recipe called `name`. Raises UsageError, naming the nearest, if there is none.

    In a person's file, `file.py:function` is either the recipe itself (`async def f(row, ctx)`) or a function of its
    options that returns one.
    """
    if ":" not in name:
        factory = load(_PACKAGE, name, "recipe", kind="recipe")
        told = {each["name"]: each for each in implementations(_PACKAGE, "recipe")}[name]
        return NamedRecipe(name, factory, _digest(factory), told["summary"], told["paper"])
    function, path = function_in(name, kind="recipe", sketch="async def recipe(row, ctx):")
    if not inspect.iscoroutinefunction(function) and list(inspect.signature(function).parameters)[1:2] == ["ctx"]:
        raise UsageError(f"{name} asks models, so it must be async", hint="write `async def` where it says `def`")
    summary = (inspect.getdoc(function) or "").partition("\n")[0]
    factory = (lambda: function) if inspect.iscoroutinefunction(function) else function
    return NamedRecipe(f"{path.name}:{name.rpartition(':')[2]}", factory, file_digest(path), summary, "")


def _digest(factory: Callable[..., Any]) -> str:
    file = inspect.getsourcefile(factory)
    return file_digest(Path(file)) if file else digest("recipe", factory.__module__, factory.__qualname__)
