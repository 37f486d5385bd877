"""Hold a paper's claim against what we measure: one experiment by name, or all of them."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from homeschool.core.errors import UsageError

PACKAGE = "homeschool.reproduce"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", help="an experiment; `homeschool list reproductions` names them")
    parser.add_argument("--all", action="store_true", help="every experiment, one after the other")
    parser.add_argument("--seed", type=int, default=0, help="every random number starts from it (default 0)")
    parser.add_argument("--out", type=Path, help="where it works (default runs/reproduce-NAME-SEED)")


def run(args: argparse.Namespace) -> dict[str, Any]:
    if (args.name is None) == (not args.all):
        raise UsageError("name one experiment, or all of them", hint="type `homeschool reproduce NAME` or `--all`")

    from homeschool.core.discover import implementations, load
    from homeschool.engine.progress import Progress

    names = [entry["name"] for entry in implementations(PACKAGE, "reproduce")] if args.all else [args.name]
    started = time.monotonic()
    results: list[dict[str, Any]] = []
    for name in names:
        function = load(PACKAGE, name, "reproduce", kind="reproduction")
        out = args.out or Path("runs") / f"reproduce-{name}-{args.seed}"
        results.append(function(out=out / name if args.all and args.out else out, seed=args.seed, progress=Progress()))
    if not args.all:
        return results[0]
    claims = [claim for result in results for claim in result["claims"]]
    seconds = round(time.monotonic() - started, 1)
    return {"name": "all", "claims": claims, "results": results, "seconds": seconds}


def say(result: dict[str, Any]) -> str:
    lines = [f"{result['name']} ({result['seconds']:.0f} s)"]
    for claim in result["claims"]:
        low, high = claim["ci95"] or (None, None)
        interval = "" if low is None else f" (95% interval {low:+.1f} to {high:+.1f}, n = {claim['n']})"
        measured = "not measured" if claim["measured"] is None else f"{claim['measured']:.1f}{interval}"
        paper = "" if claim["paper"] is None else f", paper {claim['paper']}"
        holds = "holds" if claim["holds"] else "does not hold"
        lines.append(f"  {holds}: {claim['what']}: {measured}, target {claim['target']}{paper}")
    return "\n".join(lines)
