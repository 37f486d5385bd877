"""What every recipe on disk promises: the same rows under any concurrency and after any stop, each with its calls.

The models are scripted: they answer with digits, and the judge passes even ones. A recipe that needs an answer it can
use will drop rows here; it must drop the same ones.
"""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path
from typing import Any

import pytest

from homeschool.core.discover import implementations
from homeschool.core.errors import StoppedError
from homeschool.core.records import Completion, Request
from homeschool.engine.board import Board
from homeschool.engine.generate import Funnel, generate
from homeschool.engine.local import World
from homeschool.engine.progress import Progress
from homeschool.engine.run import Run
from homeschool.engine.sources.source import Source
from homeschool.recipes.load import load_recipe

sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))

from scripted import EvenJudge, LiveModel, sources

RECIPES = [listing["name"] for listing in implementations("homeschool.recipes", "recipe")]
ROWS = 24


class Stopping(LiveModel):
    """Ends the run after some requests."""

    async def generate(self, request: Request) -> list[Completion]:
        if len(self.asked) >= 9:
            raise StoppedError("that was all")
        return await super().generate(request)


def work(out: Path, name: str, model: Any, **options: Any) -> Funnel:
    rows = sources(ROWS)
    with Run.open(out, kind="generate", settings={"recipe": name}) as run:
        world = World({"generator": model}, run.answers, EvenJudge(), seed=5, **options)
        source = Source("rows", "digest", ROWS, lambda: iter(rows))
        board = Board(Progress(quiet=True), name)
        return asyncio.run(generate(load_recipe(name).make({}), source, world=world, run=run, board=board))


def files(out: Path) -> dict[str, bytes]:
    kinds = ("rows", "dropped", "pool")
    return {str(path.relative_to(out)): path.read_bytes() for kind in kinds for path in sorted((out / kind).glob("*"))}


def test_there_are_recipes() -> None:
    assert RECIPES


@pytest.mark.parametrize("name", RECIPES)
def test_the_same_rows_under_any_concurrency_and_after_a_stop(name: str, tmp_path: Path) -> None:
    noise = random.Random(2)
    calm = work(tmp_path / "calm", name, LiveModel(), concurrency=1)
    assert calm.rows_in == ROWS
    assert calm.rows + calm.dropped >= ROWS
    assert not [reason for reason in calm.reasons if reason.startswith("recipe: raised")]
    work(tmp_path / "hasty", name, LiveModel(pause=lambda: noise.random() / 300), concurrency=16)
    with pytest.raises(StoppedError):
        work(tmp_path / "stopped", name, Stopping(), concurrency=4)
    rest = LiveModel()
    work(tmp_path / "stopped", name, rest, concurrency=4)
    assert files(tmp_path / "calm") == files(tmp_path / "hasty") == files(tmp_path / "stopped")
    assert len(rest.asked) < calm.calls["generator"].calls, "what was answered before the stop was not asked again"
