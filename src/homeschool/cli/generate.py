"""Make rows: run a recipe over the rows of a file or a task, keep what it makes, record what it drops and why.

`homeschool generate RECIPE key=value ... --source S --model M --with V`. Kept rows are in `OUT/rows/*.parquet`, dropped
ones, each with its rule and reason, in `OUT/dropped/*.parquet`. Answers are stored before the recipe sees them, so the
same command typed again asks only for what is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeschool.cli.inputs import add_run, folder_of, options, rows_digest, rows_in

if TYPE_CHECKING:
    from homeschool.core.protocols import Recipe, Verifier
    from homeschool.core.records import Dropped, Row
    from homeschool.engine.ask import Tally
    from homeschool.engine.local import World
    from homeschool.engine.progress import Progress
    from homeschool.engine.run import Run

SHARD = 1024
"""Source rows behind one output file. The engine's window too, so that a file's batches are its own."""


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", help="`homeschool list recipes` names them")
    parser.add_argument("options", nargs="*", metavar="key=value", help="the recipe's own, as samples=4")
    parser.add_argument("--source", required=True, help="JSONL or Parquet, a run's folder, or a task's name")
    parser.add_argument("--rows", type=int, help="only this many source rows (default: all, of a task 256)")
    parser.add_argument("--model", required=True, help="nano, a folder, or hf:ORG/NAME")
    parser.add_argument("--with", dest="verifier", help="a verifier's name, or checks.py:judge (default: the task's)")
    add_run(parser, name="generate-RECIPE-SOURCE-MODEL-SEED")


def run(args: argparse.Namespace) -> dict[str, Any]:
    started = time.monotonic()
    from homeschool.core.discover import load
    from homeschool.decode.open import open_model
    from homeschool.engine.ask import Tally
    from homeschool.engine.local import World
    from homeschool.engine.progress import Progress
    from homeschool.engine.run import Run

    factory = load("homeschool.recipes", args.recipe, "recipe", kind="recipe")
    rows, verifier, template = _source(args)
    model = open_model(args.model)
    # A recipe that can speak either way asks a model as `improve` would ask it.
    defaults = {"chat": "chat" in model.card.capabilities, "template": template}
    chosen = options(factory, args.options, defaults)
    settings = {
        "recipe": args.recipe,
        "options": chosen,
        "source": args.source,
        "rows": rows_digest(rows),
        "model": {"name": args.model, "fingerprint": model.card.fingerprint},
        "with": verifier.name if verifier else None,
        "seed": args.seed,
    }
    tally, out = Tally(), folder_of(args, "generate", args.recipe, args.source, args.model)
    with Run.open(out, kind="generate", settings=settings) as opened:
        world = World({"generator": model}, opened.answers, verifier, seed=args.seed, window=SHARD)
        kept, dropped = asyncio.run(
            make(factory(**chosen), rows, world=world, run=opened, tally=tally, progress=Progress())
        )
        answers = len(opened.answers)
    return {
        "run": str(out),
        "rows": kept,
        "dropped": dict(sorted(dropped.items())),
        "calls": tally.calls,
        "calls_cached": answers - tally.calls,
        "calls_per_row": round(answers / kept, 3) if kept else None,
        "seconds": round(time.monotonic() - started, 3),
    }


async def make(
    recipe: Recipe, rows: Sequence[Row], *, world: World, run: Run, tally: Tally, progress: Progress
) -> tuple[int, Counter[str]]:
    """Run `recipe` over `rows`, each shard written when it is whole; how many rows were kept, and drops by reason."""
    from homeschool.engine.local import run_recipe
    from homeschool.engine.rows import read_rows, write_rows

    kept, dropped = 0, Counter[str]()
    with progress.stage("generate", total=len(rows)) as stage:
        for number, start in enumerate(range(0, len(rows), SHARD)):
            made = run.path("rows", f"{number:05}.parquet")
            lost = run.path("dropped", f"{number:05}.parquet")
            if made.exists():  # written last, so the shard is whole
                stage.advance(min(SHARD, len(rows) - start))
            else:
                some = rows[start : start + SHARD]
                outcomes = await run_recipe(recipe, some, world=world, tally=tally, stage=stage)
                write_rows(lost, [refused(drop) for outcome in outcomes for drop in outcome.dropped])
                write_rows(made, [row for outcome in outcomes for row in outcome.children])
            kept += len(read_rows(made))
            dropped.update(row["reason"] for row in read_rows(lost))
    return kept, dropped


def refused(drop: Dropped) -> Row:
    """A dropped row as it is written: with the rule and the reason as columns."""
    return replace(drop.row, columns={**drop.row.columns, "rule": drop.rule, "reason": drop.reason})


def say(result: dict[str, Any]) -> str:
    lost = [f"  {count} dropped: {reason}" for reason, count in result["dropped"].items()]
    paid = f"{result['calls']} answers asked for, {result['calls_cached']} from the store"
    return "\n".join([f"{result['rows']} rows in {result['run']}/rows ({result['seconds']:.1f} s)", *lost, paid])


def _source(args: argparse.Namespace) -> tuple[list[Row], Verifier | None, str]:
    """Source rows, the verifier, and how a prompt is put to a model without a chat template."""
    from homeschool.verify.load import load_verifier

    verifier = load_verifier(args.verifier) if args.verifier else None
    if Path(args.source).exists() or "." in args.source:
        return rows_in(Path(args.source))[: args.rows], verifier, "{prompt}"

    from homeschool.tasks.load import load_task

    task = load_task(args.source, seed=args.seed)
    drawn = task.draw(None, args.rows or 256, args.seed)
    return drawn, verifier or task.verifier, task.template
