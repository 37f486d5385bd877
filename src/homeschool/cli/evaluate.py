"""Examine a model: held-out problems, a verifier, accuracy with its interval, and every item on record.

`homeschool evaluate TASK --model M`, where TASK is a task's name, a file of problems (all of which are the exam), or
both, as `humaneval=HumanEval.jsonl.gz`: a file in the format in which that set was published.
Greedy unless `--samples` asks for pass@k. Problems that the verifier could not judge are counted apart as `broken`.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from homeschool.cli.inputs import add_run, folder_of, rows_digest
from homeschool.cli.job import with_names
from homeschool.cli.settings import apply
from homeschool.core.errors import UsageError

if TYPE_CHECKING:
    from homeschool.core.protocols import Verifier
    from homeschool.core.records import Row


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", help="a task (`homeschool list tasks`), a file of problems, or gsm8k=FILE")
    parser.add_argument("--model", required=True, help="nano, a folder, or hf:ORG/NAME")
    parser.add_argument("--with", dest="verifier", help="a verifier's name, or checks.py:judge (for a file)")
    parser.add_argument(
        "--columns", nargs="+", default=[], metavar="OURS=THEIRS", help="as prompt=question answer=gold"
    )
    parser.add_argument("--limit", type=int, help="only this many of the problems")
    parser.add_argument("--samples", type=int, default=1, help="answers a problem, drawn at temperature 1; 1 is greedy")
    parser.add_argument("--max-tokens", type=int, default=256, help="longest answer (default 256)")
    add_run(parser, name="evaluate-TASK-MODEL-SEED")


def run(args: argparse.Namespace) -> dict[str, Any]:
    started = time.monotonic()
    for name in ("limit", "samples", "max_tokens"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name.replace('_', '-')} is {value}", hint="give 1 or more")
    problems, verifier, template = _task(args)

    from homeschool.core.records import Sampling
    from homeschool.decode.open import REMOTE, open_model
    from homeschool.engine.progress import Progress
    from homeschool.engine.run import Run, probed
    from homeschool.evaluate.exam import sit, write_items
    from homeschool.improve.workbench import evenly, rendered

    out = folder_of(args, "evaluate", *args.task.split("=", 1), args.model)
    name = with_names({"model": args.model})["model"]
    model = open_model(name, known=probed(out).get("server"))
    # A server is asked in messages: what it can do is not known before it is entered.
    card = replace(model.card, capabilities=frozenset({"chat"})) if name.startswith(REMOTE) else model.card
    asked = rendered(evenly(problems, args.limit), card=card, template=template)
    settings = {
        "task": args.task,
        "problems": rows_digest(asked),
        "model": {"name": name, "fingerprint": model.card.fingerprint},
        "with": verifier.name,
        "samples": args.samples,
        "max_tokens": args.max_tokens,
        "seed": args.seed,
    }
    sampling = Sampling(temperature=1.0 if args.samples > 1 else 0.0, max_tokens=args.max_tokens)
    with Run.open(out, kind="evaluate", settings=settings) as opened:
        items = opened.path("exam", "items.jsonl")
        with Progress().stage("evaluate", total=len(asked) * args.samples, unit="answers") as stage:
            sitting = sit(
                model, asked, verifier, store=opened.answers, sampling=sampling, samples=args.samples, seed=args.seed,
                stage=stage,
            )  # fmt: skip
            exam = asyncio.run(sitting)
        opened.probed("server", lambda: getattr(model, "known", None))
        write_items(items, exam)
    seconds = round(time.monotonic() - started, 3)
    return {"run": str(opened.folder), "task": args.task, **exam.to_dict(), "items": str(items), "seconds": seconds}


def say(result: dict[str, Any]) -> str:
    lines = [f"{result['task']}: {_numbers(result)}"]
    lines += [f"  {name}: {_numbers(group)}" for name, group in result["groups"].items()]
    if result["broken"]:
        lines.append(f"  {result['broken']} problems could not be judged and are not counted")
    return "\n".join([*lines, f"items: {result['items']}"])


def _numbers(exam: dict[str, Any]) -> str:
    if exam["accuracy"] is None:
        return "not measured (no problem could be judged)"
    low, high = exam["ci95"]
    return f"{100 * exam['accuracy']:.1f}% (95% interval {100 * low:.1f} to {100 * high:.1f}, n = {exam['n']})"


def _task(args: argparse.Namespace) -> tuple[list[Row], Verifier, str]:
    """The exam's problems, who judges them, and how they are put to a model without a chat template."""
    from homeschool.tasks.load import load_exam

    task = load_exam(args.task, seed=args.seed, verify=args.verifier, columns=apply({}, args.columns))
    return list(task.exam), task.verifier, task.template
