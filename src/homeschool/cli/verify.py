"""Judge answers: the column `completion` of a file, by a verifier, every row with its verdict.

Rows come out in order, with their columns, in `OUT/rows/*.parquet`, plus `verdict {status, scores, reason, evidence}`.
`--with` is a verifier's name or `checks.py:judge`; a column `verifier` names one row by row.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeschool.cli.inputs import add_run, folder_of, rows_digest, rows_in
from homeschool.core.errors import UsageError, nearest

if TYPE_CHECKING:
    from homeschool.core.protocols import Verifier
    from homeschool.core.records import Row
    from homeschool.engine.progress import Stage

SHARD = 4096
"""Rows in one output file; a killed run goes on at the next one."""


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="JSONL or Parquet with a column `completion`, or a run's folder")
    parser.add_argument("--with", dest="verifier", help="a verifier's name, or checks.py:judge")
    add_run(parser, name="verify-FILE-SEED")


def run(args: argparse.Namespace) -> dict[str, Any]:
    started = time.monotonic()
    rows = rows_in(args.file)
    names = _named(args.file, rows, args.verifier)

    from homeschool.engine.progress import Progress
    from homeschool.engine.rows import read_rows, write_rows
    from homeschool.engine.run import Run
    from homeschool.verify.load import load_verifier

    verifiers = {name: load_verifier(name) for name in dict.fromkeys(names)}
    settings = {
        "file": str(args.file),
        "rows": rows_digest(rows),
        "with": {name: verifier.name for name, verifier in verifiers.items()},
        "seed": args.seed,
    }
    statuses: Counter[str] = Counter()
    out = folder_of(args, "verify", str(args.file))
    with (
        Run.open(out, kind="verify", settings=settings) as opened,
        Progress().stage("verify", total=len(rows)) as stage,
    ):
        for number, start in enumerate(range(0, len(rows), SHARD)):
            path = opened.path("rows", f"{number:05}.parquet")
            some = slice(start, start + SHARD)
            if not path.exists():
                judged = asyncio.run(judge(rows[some], names[some], verifiers, stage))
                write_rows(path, judged, show_verdict=True)
            statuses.update(row.verdicts[-1].status for row in read_rows(path))
    counts = {status: statuses[status] for status in ("pass", "fail", "abstain", "broken")}
    return {"run": str(out), "rows": len(rows), **counts, "seconds": round(time.monotonic() - started, 3)}


async def judge(
    rows: Sequence[Row], names: Sequence[str], verifiers: Mapping[str, Verifier], stage: Stage
) -> list[Row]:
    """Each row with one more verdict, by the verifier that is named for it, on its column `completion`."""

    async def one(row: Row, name: str) -> Row:
        verdict = (await verifiers[name](row, [answer_in(row)]))[0]
        stage.advance(1, **{verdict.status: 1})
        return row.judged(verdict)

    return await asyncio.gather(*(one(row, name) for row, name in zip(rows, names, strict=True)))


def answer_in(row: Row) -> str:
    """The text of `completion`: as it stands, or the last message of a conversation."""
    completion = row["completion"]
    return completion if isinstance(completion, str) else completion[-1]["content"]


def say(result: dict[str, Any]) -> str:
    counts = ", ".join(f"{result[status]} {status}" for status in ("pass", "fail", "abstain", "broken"))
    return f"{result['rows']} rows: {counts} ({result['seconds']:.1f} s)\nverdicts: {result['run']}/rows"


def _named(file: Path, rows: Sequence[Row], verifier: str | None) -> list[str]:
    """The verifier of each row. Raises UsageError for a row that has none, or nothing to judge."""
    names: list[str] = []
    for number, row in enumerate(rows, start=1):
        if "completion" not in row:
            raise UsageError(
                f"row {number} of {file} has no column 'completion'", hint=nearest("completion", row.columns)
            )
        if not _is_answer(row["completion"]):
            raise UsageError(
                f"the completion of row {number} of {file} is {row['completion']!r:.40}", hint="it must be text"
            )
        name = row.get("verifier") or verifier
        if not isinstance(name, str):
            raise UsageError(f"no verifier is named for row {number} of {file}", hint="add --with VERIFIER")
        names.append(name)
    return names


def _is_answer(value: Any) -> bool:
    if isinstance(value, list) and value and isinstance(value[-1], Mapping):
        return isinstance(value[-1].get("content"), str)
    return isinstance(value, str)
