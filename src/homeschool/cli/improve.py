"""Teach a model: rounds of collect, verify, curate, train and examine, from a config.

`homeschool improve CONFIG key=value ...`. The default folder is named after config and seed, so the same command
typed again goes on where the last one stopped. A run that gained nothing is a result (exit 0), unless
`--require-gain` says that it must not be (exit 3).
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

from homeschool.cli.settings import load_config
from homeschool.core.config import build
from homeschool.core.errors import RefusedError


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, help="a YAML file: model, task, method, rounds, ...")
    add_options(parser)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that `quickstart` shares."""
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="as rounds=5 or budget.hours=2")
    parser.add_argument("--controls", action="store_true", help="also the same loop without the verifier, to compare")
    parser.add_argument("--require-gain", action="store_true", help="exit 3 if nothing was promoted")
    parser.add_argument("--seed", type=int, default=0, help="every random number starts from it (default 0)")
    parser.add_argument("--out", type=Path, help="the run's folder (default runs/CONFIG-SEED)")


def run(args: argparse.Namespace) -> dict[str, Any]:
    return improve_from(args.config, args)


def improve_from(config: Path, args: argparse.Namespace) -> dict[str, Any]:
    """The run that `config` and the options of `args` describe."""
    values = load_config(config, args.overrides)

    from homeschool.engine.progress import Progress
    from homeschool.improve.loop import improve, require_gain
    from homeschool.improve.settings import ImproveConfig, normalise

    out = args.out or Path("runs") / f"{config.stem}-{args.seed}"
    result = improve(
        build(ImproveConfig, normalise(values)),
        out=out,
        seed=args.seed,
        controls=args.controls,
        progress=Progress(),
        command=shlex.join(["homeschool", *sys.argv[1:]]),
    )
    if args.require_gain:
        try:
            require_gain(result)
        except RefusedError as error:
            return {**result, "refused": str(error)}
    return result


def say(result: dict[str, Any]) -> str:
    about = f", {result['headline']} problems" if result["headline"] else ""
    lines = [
        f"{result['model']} on {result['task']}{about}: {_percent(result['base'])} -> {_percent(result['final'])}",
        _gain(result),
        f"{len(result['rounds'])} rounds, {result['seconds']:.0f} s, at most {result['peak_rss_mb']:.0f} MB",
        f"{result['why']}",
        f"report: {Path(result['run']) / 'report.html'}",
    ]
    return "\n".join(lines)


def _gain(result: dict[str, Any]) -> str:
    if result["gain_points"] is None:
        return "gain: not measured"
    low, high = result["ci95"]
    return f"gain {result['gain_points']:+.1f} points (95% interval {low:+.1f} to {high:+.1f})"


def _percent(exam: dict[str, Any]) -> str:
    return "not measured" if exam["accuracy"] is None else f"{100 * exam['accuracy']:.1f}% (n = {exam['n']})"
