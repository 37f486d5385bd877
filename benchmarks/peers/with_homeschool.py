"""Our own lap: a recipe of two asks through `engine.generate`, its answer store on, as `homeschool generate` runs it.

In the same folder again it is the same run again: what is finished is passed over. With `--forget-rows` only the
answers are left of the earlier lap, so that every recipe runs again and is answered from the store.
"""

from __future__ import annotations

import asyncio
import shutil
import sys

import lap as race

from homeschool.core.protocols import Context
from homeschool.core.records import Row
from homeschool.engine.board import Board
from homeschool.engine.generate import SHARD, generate
from homeschool.engine.local import World
from homeschool.engine.progress import Progress
from homeschool.engine.run import Run
from homeschool.engine.sources.source import source_of
from homeschool.models.endpoint import Endpoint


async def two_calls(row: Row, ctx: Context) -> Row:
    question = await said(ctx, race.FIRST.format(topic=row["topic"]))
    answer = await said(ctx, race.SECOND.format(question=question))
    return row.derive(step="two_calls", question=question, answer=answer)


async def said(ctx: Context, prompt: str) -> str:
    message = {"role": "user", "content": prompt}
    (answer,) = await ctx.ask([message], n=1, temperature=race.TEMPERATURE, max_tokens=race.MAX_TOKENS)
    return answer.text


async def run(lap: race.Lap) -> None:
    source = source_of("topics", lap.source, content=str(lap.topics[-1]), total=len(lap.topics), notes={})
    with Run.open(lap.out, kind="race", settings={"seed": 0}) as opened:
        known = opened.record["probed"].get("server")
        model = Endpoint.open(f"{lap.url}#{race.MODEL}", limit=lap.concurrency, known=known)
        world = World({"generator": model}, opened.answers, window=SHARD, concurrency=lap.concurrency)
        with Board(Progress(), "race", total=source.total, prices={}) as board:
            async with model:
                opened.probed("server", lambda: model.known)
                lap.rows = (await generate(two_calls, source, world=world, run=opened, board=board)).rows


if __name__ == "__main__":
    forgets = "--forget-rows" in sys.argv
    if forgets:
        sys.argv.remove("--forget-rows")
    asked = race.read_lap()
    if forgets:
        for folder in ("rows", "dropped", "shards"):
            shutil.rmtree(asked.out / folder)
    with asked.clock():
        asyncio.run(run(asked))
