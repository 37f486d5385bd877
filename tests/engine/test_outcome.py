"""What became of a row, with its whole history, whatever the recipe did or left undone."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest
from scripted import LiveModel, sources

from homeschool.core.protocols import Context, Recipe
from homeschool.core.records import Dropped, Row
from homeschool.engine.local import World, run_recipe
from homeschool.engine.outcome import Outcome


def outcomes(recipe: Recipe, count: int = 3) -> list[Outcome]:
    return asyncio.run(run_recipe(recipe, sources(count), world=World({"generator": LiveModel()}, None)))


async def stepwise(row: Row, ctx: Context) -> Row:
    first = await ctx.ask("one")
    draft = row.derive(step="draft", calls=first, draft=first[0].text)
    second = await ctx.ask("two")
    return draft.derive(step="final", calls=second, text=second[0].text)


def test_a_row_derived_in_steps_goes_back_to_its_source_with_every_call() -> None:
    for outcome in outcomes(stepwise):
        [child] = outcome.children
        assert child.provenance.parents == (outcome.row.id,)
        assert (child.provenance.step, len(child.provenance.calls)) == ("final", 2)
        assert {"draft", "text"} <= set(child.columns)


async def dropping(row: Row, ctx: Context) -> Dropped:
    await ctx.ask("one")
    await ctx.ask("two")
    return Dropped(row, "not good", "taste")


async def forgetting(row: Row, ctx: Context) -> None:
    await ctx.ask("one")


@pytest.mark.parametrize(("recipe", "calls"), [(dropping, 2), (forgetting, 1)])
def test_a_dropped_row_remembers_what_was_asked(recipe: Any, calls: int) -> None:
    for outcome in outcomes(recipe):
        [drop] = outcome.dropped
        assert drop.row.provenance.parents == (outcome.row.id,)
        assert len(drop.row.provenance.calls) == calls


async def exits(row: Row, ctx: Context) -> None:
    sys.exit(3)


async def exits_in_a_branch(row: Row, ctx: Context) -> None:
    async def leave() -> None:
        sys.exit(3)

    await ctx.gather(leave())


async def cancels(row: Row, ctx: Context) -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("recipe", "reason"),
    [
        (exits, "raised SystemExit"),
        (exits_in_a_branch, "raised RuntimeError"),
        (cancels, "raised CancelledError"),
    ],
)
def test_nothing_a_recipe_does_ends_the_run(recipe: Any, reason: str) -> None:
    assert [drop.reason for outcome in outcomes(recipe) for drop in outcome.dropped] == [reason] * 3


async def unwritable(row: Row, ctx: Context) -> Row:
    return row.derive(step="x", good={"a": [1, None]}, bad=({1, 2} if row["level"] == 1 else {1: 2}))


def test_a_column_no_file_can_hold_costs_its_row_and_is_named() -> None:
    for outcome in outcomes(unwritable):
        [drop] = outcome.dropped
        assert drop.reason == "raised TypeError"
        assert "column 'bad'" in drop.detail


async def twins(row: Row, ctx: Context) -> list[Row]:
    return [row.derive(step="twin", text="same") for _ in range(3)]


def test_equal_children_have_ids_of_their_own_and_the_same_ones_again() -> None:
    first, second = ([child.id for o in outcomes(twins) for child in o.children] for _ in range(2))
    assert len(set(first)) == len(first) == 9
    assert first == second
