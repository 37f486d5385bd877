"""What `homeschool verify --audit` does: puts planted errors and gaming probes to a verifier, and counts its mistakes.

Writes `OUT/audit.json` (the result) and `OUT/audit.txt` (the same as a table). The result has `refused`, and the exit
code is 3, if more than 0.5% of the wrong answers pass, or a probe does.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeschool.cli.inputs import folder_of, rows_in
from homeschool.core.errors import UsageError

if TYPE_CHECKING:
    from homeschool.core.records import Row

PLANTED = 1000
"""Right answers, and wrong ones: with no error in 1000, the interval ends at 0.4%."""

MUTANTS = 20
"""Mutants of each program at most."""


def run_audit(args: argparse.Namespace) -> dict[str, Any]:
    """The audit of the verifier `args.verifier`, with the rows of `args.file` if one is named. Raises UsageError."""
    started = time.monotonic()
    if not args.verifier:
        raise UsageError("no verifier is named for --audit", hint="add --with VERIFIER")
    rows = _rows(args.file) if args.file else []

    from homeschool.engine.files import replacing
    from homeschool.evaluate.audit import Size, judge_planted, kind_of, plan, report
    from homeschool.verify.load import load_verifier

    verifier, kind = load_verifier(args.verifier), kind_of(args.verifier)

    async def audited() -> dict[str, Any]:
        size = Size(PLANTED, MUTANTS, args.seed)
        made = await plan(kind, rows, size=size, limits=getattr(verifier, "limits", None))
        judged = await judge_planted(verifier, made.planted)
        return report(verifier, made, judged, await judge_planted(verifier, made.probes))

    result = asyncio.run(audited())
    out = folder_of(args, "audit", args.verifier)
    out.mkdir(parents=True, exist_ok=True)
    result = {"run": str(out), **result, "seconds": round(time.monotonic() - started, 3)}
    for name, text in (
        ("audit.json", json.dumps(result, indent=1, ensure_ascii=False)),
        ("audit.txt", say_audit(result)),
    ):
        with replacing(out / name) as part:
            part.write_text(text + "\n", encoding="utf-8", errors="replace")
    return result


def _rows(file: Path) -> list[Row]:
    """The rows of a file or a run, or the problems of a file in a published format (HumanEval, MBPP, GSM8K, ...)."""
    from homeschool.core.discover import load
    from homeschool.core.records import Row
    from homeschool.tasks.published import Published, fitting, records_in

    formats = [] if file.is_dir() else fitting(next(iter(records_in(file)), {}))
    for name in formats:
        task: Published = load("homeschool.tasks", name, "task", kind="task")
        # Columns of the same names may hold something else: then it is not this format.
        with contextlib.suppress(UsageError):
            return [Row.source(columns) for columns in task.problems(file)]
    return rows_in(file)


def say_audit(result: dict[str, Any]) -> str:
    """The audit as a table for a person."""
    apart = result["not_counted"]
    lines = [
        f"audit of {result['verifier']} ({result['seconds']:.1f} s)",
        f"wrong answers passed: {_rate(result['false_accept'])}",
        f"right answers failed: {_rate(result['false_reject'])}",
        f"no opinion: {apart['abstain']}, broken: {apart['broken']}, rows not used: {result['rows_not_used']}",
    ]
    strength = result["tests_strength"]
    if strength and strength["mutants"]:
        low, high = strength["ci95"]
        lines.append(
            f"strength of the tests: they kill {strength['killed']} of {strength['mutants']} mutants "
            f"({100 * strength['mutation_score']:.1f}%, 95% interval {100 * low:.1f} to {100 * high:.1f}%)"
        )
    width = max([len(kind["how"]) for kind in result["kinds"]] + [10])
    lines += ["", f"{'planted':{width}}  should   n     errors"]
    for kind in result["kinds"]:
        should = "pass" if kind["right"] else "fail"
        lines.append(f"{kind['how']:{width}}  {should:6} {kind['n']:5} {kind['errors']:7}")
    probes = result["probes"]
    let = [f"{said}: {name}" for name, said in probes.items() if said != "refused"]
    lines += ["", f"gaming probes refused: {len(probes) - len(let)} of {len(probes)}", *let]
    lines += [f"wrong verdict ({w['status']} {w['reason']}): {w['how']}: {w['answer'][:80]!r}" for w in result["wrong"]]
    return "\n".join([*lines, f"all of it: {result['run']}/audit.json"])


def _rate(rate: dict[str, Any]) -> str:
    if not rate["n"]:
        return "not measured"
    low, high = rate["ci95"]
    interval = f"95% interval {100 * low:.2f} to {100 * high:.2f}%"
    return f"{100 * rate['rate']:.2f}% ({rate['errors']} of {rate['n']}, {interval})"
