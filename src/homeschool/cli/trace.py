"""Follow one row of a run: back to its source, forward to the training and the exams it led to.

`homeschool trace ROW --run DIR`, where ROW is a row's id or the start of it. Without `--run`, the newest folder in
`runs/` that holds a run is taken.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from homeschool.core.errors import UsageError

RUNS = Path("runs")


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("row", help="a row's id, or the start of it")
    parser.add_argument("--run", type=Path, help="the run's folder (default: the newest in runs/)")


def run(args: argparse.Namespace) -> dict[str, Any]:
    from homeschool.improve.trace import trace

    folder = args.run or newest(RUNS)
    return {"run": str(folder), **trace(folder, args.row)}


def newest(runs: Path) -> Path:
    """The run folder that was begun last."""
    found = sorted(runs.glob("*/run.json"), key=lambda path: path.stat().st_mtime_ns)
    if not found:
        raise UsageError(f"there is no run in {runs}/", hint="name one: --run DIR")
    return found[-1].parent


def say(result: dict[str, Any]) -> str:
    lines = [f"row {result['row']} of {result['run']}"]
    lines += [f"  {name}: {value!r}" for name, value in result["columns"].items()]
    lines.append("from")
    lines += [f"  {step['step']}  {step['id']}  {step['file'] or ''}".rstrip() for step in result["lineage"]]
    for place in result["places"]:
        fate = "kept" if place["kept"] else f"dropped by {place['rule']}: {place['reason']}"
        judged = ", ".join(f"{verdict['status']} ({verdict['verifier']})" for verdict in place["verdicts"])
        lines.append(f"in {place['file']}: {fate}" + (f"; {judged}" if judged else ""))
    for entry in result["trained"]:
        name = f"{entry['arm']} round {entry['round']}"
        lines.append(f"learnt in {name}: {entry['steps']} steps, {entry['checkpoint']}, {entry['decision']}")
    for exam in result["exams"]:
        if "statuses" in exam:
            lines.append(f"exam {exam['exam']}: {', '.join(exam['statuses'])}")
        else:
            about = "all problems" if exam["level"] is None else f"level {exam['level']}"
            lines.append(f"exam {exam['exam']}, {about}: {100 * exam['accuracy']:.1f}% (n = {exam['n']})")
    return "\n".join(lines)
