"""Make rows: run a recipe over a source, keep what it makes, record what it drops and why.

`homeschool generate RECIPE key=value ... --source S --model M --with V`. Kept rows are in `OUT/rows/*.parquet`, dropped
ones, each with its rule and reason, in `OUT/dropped/*.parquet`; `data.jsonl` is the same in TRL's format, beside a
card and a report. Answers are stored before the recipe sees them, so the same command typed again asks only for what is
missing.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeschool.cli.inputs import add_run, folder_of, options, rows_digest
from homeschool.cli.job import Job, open_job, prices_of, roles_of, with_names
from homeschool.core.errors import StoppedError, UsageError

if TYPE_CHECKING:
    from homeschool.engine.board import Board
    from homeschool.engine.generate import Funnel
    from homeschool.engine.outcome import Outcome
    from homeschool.engine.run import Run
    from homeschool.engine.sources.source import Source

STDIN = "source.jsonl"
"""Where a run keeps the rows that came through a pipe."""
TASK_ROWS = 256
REASONS = 10
"""How many reasons for drops are told at the end; the card has them all."""


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", help="`homeschool list recipes` names them; mine.py:recipe is your own")
    parser.add_argument("options", nargs="*", metavar="key=value", help="the recipe's own, as samples=4")
    parser.add_argument(
        "--source", required=True, help="a file or folder of rows, text or code, py:PACKAGE, - or a task"
    )
    parser.add_argument("--rows", type=int, help=f"only this many source rows (default: all, of a task {TASK_ROWS})")
    parser.add_argument("--model", help="nano, a folder, hf:ORG/NAME, vllm:NAME or http://HOST/v1#NAME")
    parser.add_argument(
        "--role", action="append", default=[], metavar="ROLE=MODEL", help="another model, as judge=nano"
    )
    parser.add_argument("--with", dest="verifier", help="a verifier's name, or checks.py:judge (default: the task's)")
    parser.add_argument("--preview", type=int, metavar="K", help="make K rows, show them and what all would cost; stop")
    parser.add_argument("--price", action="append", default=[], metavar="[ROLE=]IN,OUT", help="$ per million tokens")
    parser.add_argument(
        "--concurrency", type=int, default=256, help="most requests at once with one model (default 256)"
    )
    parser.add_argument("--reuse", action="append", default=[], type=Path, metavar="RUN", help="take its answers too")
    parser.add_argument("--shard", metavar="I/N", help="do only the Ith of N parts, beside other processes")
    parser.add_argument("--engine", choices=["local", "ray"], default="local", help="where the work happens")
    parser.add_argument("--drop-unanswered", action="store_true", help="drop rows without an answer, and be done")
    add_run(parser, name="generate-RECIPE-SOURCE-MODEL-SEED")


def run(args: argparse.Namespace) -> dict[str, Any]:
    started = time.monotonic()
    from homeschool.engine.board import Board
    from homeschool.engine.files import replacing
    from homeschool.engine.progress import Progress
    from homeschool.engine.run import Part, Run, probed

    _check(args)
    roles = roles_of(args.model, args.role)
    prices = prices_of(args.price, roles)
    out = folder_of(args, "generate", args.recipe, args.source, next(iter(roles.values())))
    job = Job(args.recipe, with_names(roles), seed=args.seed, concurrency=args.concurrency, logs=out / "logs")
    job.known, job.drop_unanswered = probed(out), args.drop_unanswered
    _ = job.named, job.models  # a wrong name is said before any work
    part, loose = Part.parse(args.shard or "1/1"), ("source", "limit")
    with tempfile.TemporaryDirectory() as aside:
        source = _source(args, job, out, spool=Path(aside) / STDIN)
        settings = _settings(args, job, source)
        with Run.open(out, kind="generate", settings=settings, part=part, loose=loose) as opened:
            if args.source == "-" and not (out / STDIN).exists():
                with replacing(out / STDIN) as kept:
                    shutil.copyfile(Path(aside) / STDIN, kept)
            opened.open_answers(reuse=args.reuse)
            total = min(source.total, args.rows or source.total) if source.total is not None else args.rows
            board = Board(Progress(), "generate", total=args.preview or total, prices=prices)
            if args.preview:
                return asyncio.run(_preview(args, job, source, opened, board, total=total))
            funnel = asyncio.run(_generate(args, job, source, opened, board))
            return _result(args, job, source, opened, board, funnel) | {"seconds": round(time.monotonic() - started, 3)}


async def _generate(args: argparse.Namespace, job: Job, source: Source, run: Run, board: Board) -> Funnel:
    from homeschool.engine.generate import SHARD, generate

    recipe = job.made()
    with board:
        if args.engine == "ray":
            return await _generate_on_ray(args, job, source, run, board)
        async with _ready(job, run, board):
            world = job.world(run.answers, window=SHARD)
            return await generate(recipe, source, world=world, run=run, board=board, limit=args.rows)


async def _generate_on_ray(args: argparse.Namespace, job: Job, source: Source, run: Run, board: Board) -> Funnel:
    """Endpoints are found out about here, once, for all workers; what needs a GPU is opened by the workers alone."""
    from dataclasses import replace
    from functools import partial

    from homeschool.engine.ray import generate_on_ray
    from homeschool.engine.ray_worker import Kit

    remote = {role: name for role, name in job.roles.items() if name.startswith(("http://", "https://"))}
    async with _ready(replace(job, roles=remote), run, board):
        pass
    theirs = replace(job, known=run.record["probed"])
    kit = Kit(partial(open_job, theirs), heavy=len(remote) < len(job.roles), reuse=tuple(args.reuse))
    return await generate_on_ray(job.made(), source, kit=kit, run=run, board=board, limit=args.rows)


async def _preview(
    args: argparse.Namespace, job: Job, source: Source, run: Run, board: Board, *, total: int | None
) -> dict[str, Any]:
    from homeschool.engine.generate import SHARD, preview

    rows = list(islice(source.rows(), args.preview))
    with board:
        async with _ready(job, run, board):
            began = time.monotonic()
            world = job.world(run.answers, window=SHARD)
            outcomes = await preview(job.made(), rows, world=world, board=board)
            seconds = time.monotonic() - began
    return {
        "run": str(run.folder),
        "preview": _shown(outcomes),
        "estimate": _estimate(args, outcomes, board, total, seconds),
    }


@asynccontextmanager
async def _ready(job: Job, run: Run, board: Board) -> AsyncIterator[None]:
    """Models open, what a server can do found out once, and the board told while a model keeps us waiting."""
    from contextlib import AsyncExitStack

    from homeschool.core.protocols import Waiting

    async def watch() -> None:
        while True:
            for model in job.models.values():
                if isinstance(model, Waiting):
                    board.state(model.state(), of=model.card.name)
            board.refresh()
            await asyncio.sleep(0.5)

    async with AsyncExitStack() as stack:
        watching = asyncio.create_task(watch())
        stack.callback(watching.cancel)
        for role, model in job.models.items():
            if not isinstance(model, AbstractAsyncContextManager):
                continue
            await stack.enter_async_context(model)
            run.probed(f"server.{role}", lambda model=model: getattr(model, "known", None))
        yield


def _check(args: argparse.Namespace) -> None:
    """Refuse, before anything is opened, what cannot be."""
    for name, least in (("rows", 1), ("preview", 1), ("concurrency", 1)):
        value = getattr(args, name)
        if value is not None and value < least:
            raise UsageError(f"--{name} {value} is too few", hint=f"give at least {least}")
    if args.engine == "ray":
        if args.shard:
            raise UsageError("--engine ray splits the work by itself", hint="leave --shard away")
        if args.preview:
            raise UsageError("a preview runs here", hint="leave --engine ray away for it")
    for folder in args.reuse:
        if not list(folder.glob("answers*.db")):
            raise UsageError(f"{folder} holds no answers", hint="name the folder of a run: --reuse runs/NAME")


def _source(args: argparse.Namespace, job: Job, out: Path, *, spool: Path) -> Source:
    """The source. The job gets its verifier, and its recipe the options that it does not leave to us."""
    from homeschool.decode.open import REMOTE
    from homeschool.engine.sources.open import open_source
    from homeschool.engine.sources.source import Source
    from homeschool.tasks.load import load_task

    name: str = args.source
    template = "{prompt}"
    if name.isidentifier() and not Path(name).exists():
        task = load_task(name, seed=args.seed)
        drawn = task.draw(None, args.rows or TASK_ROWS, args.seed)
        source = Source(name, rows_digest(drawn), len(drawn), lambda: iter(drawn))
        job.verifier, template = args.verifier or f"task:{name}", task.template
    else:
        kept = out / STDIN
        source = open_source(str(kept) if name == "-" and sys.stdin.isatty() and kept.exists() else name, spool=spool)
        job.verifier = args.verifier
    # A recipe that can speak either way asks a local model as `improve` would ask it, and a server in messages: what
    # the server can do is not known before the run is open.
    asked = job.roles.get("generator", "")
    chat = asked.startswith(REMOTE) or (bool(asked) and "chat" in job.models["generator"].card.capabilities)
    job.options = options(job.named.factory, args.options, {"chat": chat, "template": template})
    job.made()
    return source


def _settings(args: argparse.Namespace, job: Job, source: Source) -> dict[str, Any]:
    """What makes two commands the same run: not how fast, where, or in how many parts."""
    return {
        "recipe": job.recipe,
        "recipe_digest": job.named.digest,
        "options": job.options,
        "source": args.source,
        "rows": source.digest,
        "limit": args.rows,
        "roles": {
            role: {"name": job.roles[role], "fingerprint": model.card.fingerprint} for role, model in job.models.items()
        },
        "with": job.judge.name if job.judge else None,
        "seed": args.seed,
    }


def _result(
    args: argparse.Namespace, job: Job, source: Source, run: Run, board: Board, funnel: Funnel
) -> dict[str, Any]:
    """The papers of the run, and what the command says."""
    from homeschool.engine.papers import write_papers
    from homeschool.improve.report.generation import write_generation_report

    named = job.named
    told = {"name": named.name, "digest": named.digest, "summary": named.summary, "paper": named.paper}
    prices = prices_of(args.price, job.roles)
    no_data = write_papers(run, source, recipe=told, models=job.models, prices=prices, part=funnel)
    report = write_generation_report(run.folder) if no_data is not None else None
    if funnel.unfinished:
        why = ", ".join(f"{count} {reason}" for reason, count in funnel.unfinished.most_common(3))
        raise StoppedError(
            f"{funnel.unfinished.total()} rows got no answer ({why}); all others are done",
            hint="the same command asks for them again; --drop-unanswered drops them and is done",
        )
    calls = sum(usage.calls for usage in funnel.calls.values())
    fresh = sum(tally.calls for tally in board.spent.values())
    return {
        "run": str(run.folder),
        "rows_in": funnel.rows_in,
        "rows": funnel.rows,
        "dropped": dict(sorted(funnel.reasons.items())),
        "calls": fresh,
        "calls_cached": max(0, calls - fresh),
        "calls_per_row": round(calls / funnel.rows, 3) if funnel.rows else None,
        "report": str(report) if report else None,
        "data": str(run.folder / "data.jsonl") if no_data == "" else None,
        "no_data": no_data or "",
    }


def _shown(outcomes: list[Outcome]) -> list[dict[str, Any]]:
    """What became of each row of a preview."""
    return [
        {
            "source": dict(outcome.row.columns),
            "rows": [dict(child.columns) for child in outcome.children],
            "dropped": [f"{drop.rule}: {drop.reason}" for drop in outcome.dropped],
            "unfinished": outcome.unfinished,
        }
        for outcome in outcomes
    ]


def _estimate(
    args: argparse.Namespace, outcomes: list[Outcome], board: Board, total: int | None, seconds: float
) -> dict[str, Any]:
    """What the whole run would take if all rows were like these: rows, calls, tokens, dollars and seconds."""
    from homeschool.engine.board import cost
    from homeschool.engine.tally import Tally

    done = sum(len(outcome.rows) for outcome in outcomes)
    share = total / done if total and done else None
    if share is None:
        return {"source_rows": None}
    spent: dict[str, Tally] = {}
    for outcome in outcomes:
        for role, usage in outcome.usage.items():
            tally = spent.setdefault(role, Tally())
            tally.calls += usage.calls
            tally.prompt_tokens += usage.prompt_tokens
            tally.completion_tokens += usage.completion_tokens
    dollars = cost(spent, prices_of(args.price, roles_of(args.model, args.role)))
    # Rows of the preview ran side by side; of a long run, `concurrency` do. Cached answers make it too low.
    at_once = min(args.concurrency, total or 1) / min(args.concurrency, done)
    return {
        "source_rows": total,
        "rows": round(share * sum(len(outcome.children) for outcome in outcomes)),
        "calls": round(share * sum(tally.calls for tally in spent.values())),
        "prompt_tokens": round(share * sum(tally.prompt_tokens for tally in spent.values())),
        "completion_tokens": round(share * sum(tally.completion_tokens for tally in spent.values())),
        "cost_usd": None if dollars is None else round(share * dollars, 6),
        "seconds": None if sum(t.cached for t in board.spent.values()) else round(share * seconds / at_once, 1),
    }


def say(result: dict[str, Any]) -> str:
    if "preview" in result:
        return _say_preview(result)
    most = sorted(result["dropped"].items(), key=lambda each: -each[1])
    lost = [f"  {count} dropped: {reason}" for reason, count in most[:REASONS]]
    if len(most) > REASONS:
        lost.append(f"  {sum(count for _, count in most[REASONS:])} dropped for {len(most) - REASONS} other reasons")
    paid = f"{result['calls']} answers asked for, {result['calls_cached']} from the store"
    lines = [f"{result['rows']} rows in {result['run']}/rows ({result['seconds']:.1f} s)", *lost, paid]
    if result["no_data"]:
        lines.append(f"no data.jsonl for training: {result['no_data']}")
    return "\n".join([*lines, *(result[name] for name in ("data", "report") if result[name])])


def _say_preview(result: dict[str, Any]) -> str:
    lines: list[str] = []
    for number, each in enumerate(result["preview"], start=1):
        lines += [f"row {number}", *_columns(each["source"])]
        for row in each["rows"]:
            lines += ["  made", *_columns({k: v for k, v in row.items() if each["source"].get(k) != v})]
        lines += [f"  dropped: {reason}" for reason in each["dropped"]]
        lines += [f"  no answer: {each['unfinished']}"] if each["unfinished"] else []
    known = {name.replace("_", " "): value for name, value in result["estimate"].items() if value is not None}
    lines.append("all rows, if they are like these: " + ", ".join(f"{value:,} {name}" for name, value in known.items()))
    return "\n".join([*lines, "the same command without --preview makes them"])


def _columns(columns: dict[str, Any]) -> list[str]:
    """Each on one line, cut to fit."""
    shown = {name: " ".join(str(value).split()) for name, value in columns.items()}
    return [f"    {name}: {text if len(text) <= 200 else text[:200] + '...'}" for name, text in shown.items()]
