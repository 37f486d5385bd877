"""Train a model on rows by one objective, and write a checkpoint in Hugging Face's format.

`homeschool train OBJECTIVE key=value ... --model M --data D`, where the keys are those of `train:` in a config, as
`lora=16 epochs=2`. Rows are in TRL's formats: `prompt` and `completion`, or `messages`. The same command typed again
goes on from the last saved state.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from homeschool.cli.inputs import add_run, folder_of, rows_digest, rows_in
from homeschool.cli.settings import apply
from homeschool.core.config import build, plain


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("objective", help="`homeschool list objectives` names them")
    parser.add_argument("options", nargs="*", metavar="key=value", help="as lora=16, epochs=2, lr=1e-4")
    parser.add_argument("--model", required=True, help="nano, a folder, or hf:ORG/NAME")
    parser.add_argument("--data", type=Path, required=True, help="JSONL or Parquet, or a run's folder")
    add_run(parser, name="train-OBJECTIVE-MODEL-SEED")


def run(args: argparse.Namespace) -> dict[str, Any]:
    rows = rows_in(args.data)

    from homeschool.decode.open import open_checkpoint
    from homeschool.engine.progress import Progress
    from homeschool.engine.run import Run
    from homeschool.train.loop import train
    from homeschool.train.objectives import load_objective
    from homeschool.train.settings import TrainConfig

    objective = load_objective(args.objective)
    config = build(TrainConfig, {**apply({}, args.options), "objective": args.objective}, path="train")
    checkpoint = open_checkpoint(args.model)
    settings = {
        "model": {"name": args.model, "fingerprint": checkpoint.fingerprint},
        "data": str(args.data),
        "rows": rows_digest(rows),
        "train": plain(config),
        "seed": args.seed,
    }
    with Run.open(folder_of(args, "train", args.objective, args.model), kind="train", settings=settings) as opened:
        out = opened.path("checkpoints", "last")
        learnt = train(objective, checkpoint, rows, config, out=out, seed=args.seed, progress=Progress())
    return {
        "run": str(opened.folder),
        "checkpoint": str(learnt.checkpoint),
        "steps": learnt.steps,
        "loss": learnt.loss,
        "tokens": learnt.tokens,
        "tokens_per_second": learnt.tokens_per_second,
        "peak_memory_mb": learnt.peak_memory_mb,
        "dropped": len(learnt.dropped),
        "diverged": learnt.diverged,
        "warning": learnt.warning,
    }


def say(result: dict[str, Any]) -> str:
    loss = "not measured" if result["loss"] is None else f"{result['loss']:.4f}"
    lines = [
        f"{result['steps']} steps, loss {loss}, {result['tokens']} tokens"
        f" ({result['tokens_per_second']:.0f} a second), at most {result['peak_memory_mb']:.0f} MB",
        f"checkpoint: {result['checkpoint']}",
    ]
    return "\n".join([*lines, *([result["warning"]] if result["warning"] else [])])
