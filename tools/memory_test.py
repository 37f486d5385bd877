"""Rows without end in memory that has one: 1,000,000 rows through a recipe of one call, and the process's size.

    python tools/memory_test.py --rows 1000000

The source is a JSONL file, the model is in the process and answers at once, the answer store and the shards are on
disk, all as `homeschool generate` does it. Resident memory is read at every tenth of the rows. Prints one line of JSON;
exit 1 if the peak is 600 MB or more, or if what lies between the first tenth and the last grew by more than 10%.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from homeschool.core.protocols import Context
from homeschool.core.records import Completion, ModelCard, Request, Row
from homeschool.engine.board import Board
from homeschool.engine.generate import SHARD, generate
from homeschool.engine.local import World
from homeschool.engine.progress import Progress
from homeschool.engine.run import Run
from homeschool.engine.sources.open import open_source
from homeschool.engine.sources.source import Source

MOST_MB = 600
GROWTH = 1.1


class Echo:
    """A scripted model: it says what it was asked."""

    card = ModelCard("echo", "echo", frozenset({"raw"}))

    async def generate(self, request: Request) -> list[Completion]:
        text = str(request.prompt)
        return [Completion(text, "stop", completion_tokens=len(text), prompt_tokens=len(text))] * request.n

    async def score(self, prompt: str, continuations: Sequence[str]) -> list[tuple[float, ...]]:
        return [() for _ in continuations]


async def echoed(row: Row, ctx: Context) -> Row:
    [answer] = await ctx.ask(row["prompt"], max_tokens=64)
    return row.derive(step="echoed", completion=answer.text)


def resident_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("this system does not tell")


def watched(source: Source, rows: int, sizes: list[float]) -> Iterator[Row]:
    for number, row in enumerate(source.rows(), start=1):
        if number % max(1, rows // 10) == 0:
            sizes.append(resident_mb())
        yield row


def trial(folder: Path, rows: int) -> dict[str, Any]:
    path = folder / "rows.jsonl"
    with path.open("w") as file:
        file.writelines(json.dumps({"prompt": f"This is row {number} of many."}) + "\n" for number in range(rows))
    source = open_source(str(path))
    sizes: list[float] = []
    streamed = Source(source.name, source.digest, source.total, lambda: watched(source, rows, sizes))
    began, worked = time.monotonic(), time.process_time()
    with Run.open(folder / "run", kind="generate", settings={}) as run:
        world = World({"generator": Echo()}, run.answers, window=SHARD)
        with Board(Progress(), "generate", total=rows) as board:
            funnel = asyncio.run(generate(echoed, streamed, world=world, run=run, board=board))
    seconds, cpu = time.monotonic() - began, time.process_time() - worked
    return {
        "rows": funnel.rows,
        "resident_mb": [round(size, 1) for size in sizes],
        "peak_mb": round(max(sizes), 1),
        "growth": round(sizes[-1] / sizes[0], 3),
        "seconds": round(seconds, 1),
        "cpu_us_per_row": round(1e6 * cpu / rows),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = trial(Path(folder), given.rows)
    print(json.dumps(found))
    return 0 if found["peak_mb"] < MOST_MB and found["growth"] <= GROWTH else 1


if __name__ == "__main__":
    sys.exit(main())
