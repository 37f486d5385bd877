"""Judge answers: the column `completion` of a file, by a verifier, every row with its verdict.

Rows come out in order, with their columns, in `OUT/rows/*.parquet`, plus `verdict {status, scores, reason, evidence}`.
`--with` is a verifier's name, a composed one as `first_of(exact, judge(votes=3))`, or `checks.py:judge`; a column
`verifier` names one row by row. A verifier that asks a model gets it by `--role judge=MODEL`; its answers are stored,
and the same command goes on where it was. A verifier that compares answers sees all rows of one `prompt` at once
(`--group` names another column). `--audit` measures a verifier itself, by errors planted in right answers.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeschool.cli.inputs import add_run, folder_of
from homeschool.cli.job import Job, roles_of, with_names
from homeschool.core.errors import StoppedError, UsageError, nearest
from homeschool.core.identity import digest
from homeschool.core.records import Row

if TYPE_CHECKING:
    from homeschool.core.protocols import Verifier
    from homeschool.engine.progress import Stage
    from homeschool.engine.run import Run
    from homeschool.engine.sources.source import Source
    from homeschool.engine.verdicts import Plan

GOLD_COLUMNS = (
    "answer",
    "choices",
    "labels",
    "nums",
    "target",
    "expression",
    "tests",
    "sampled_tests",
    "setup",
    "prefix",
    "entry_point",
    "reference",
    "program",
    "schema",
    "constraints",
    "instruction_id_list",
    "kwargs",
    "length",
    "language",
    "documents",
    "source",
    "context",
    "rubric",
)
"""What verifiers hold an answer against. A group is judged by those of its first row, so all its rows must agree."""


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", type=Path, nargs="?", help="JSONL or Parquet with a column `completion`, or a run's folder"
    )
    parser.add_argument("--with", dest="verifier", help="a verifier, as math or all_of(length(most=400), math)")
    parser.add_argument(
        "--role", action="append", default=[], metavar="ROLE=MODEL", help="a model for the verifier, as judge=nano"
    )
    parser.add_argument("--group", metavar="COLUMN", help="rows that share it are one group (default prompt)")
    parser.add_argument(
        "--concurrency", type=int, default=256, help="most requests at once with one model (default 256)"
    )
    parser.add_argument("--audit", action="store_true", help="measure the verifier by planted errors; needs no FILE")
    add_run(parser, name="verify-FILE-SEED")


def run(args: argparse.Namespace) -> dict[str, Any]:
    if args.audit:
        from homeschool.cli.audit import run_audit

        return run_audit(args)
    if args.file is None:
        raise UsageError("no file is named", hint="write `homeschool verify answers.jsonl --with math`")
    if args.concurrency < 1:
        raise UsageError(f"--concurrency {args.concurrency} is too few", hint="give at least 1")
    started = time.monotonic()

    from homeschool.engine.progress import Progress
    from homeschool.engine.run import Run, probed

    source = _source(args.file)
    found = _Survey(args.file, args.verifier, args.group or "prompt")
    for row in source.rows():
        found.look(row)
    out = folder_of(args, "verify", str(args.file))
    roles = with_names(roles_of(None, args.role)) if args.role else {}
    job = Job("verify", roles, seed=args.seed, concurrency=args.concurrency, logs=out / "logs", known=probed(out))
    settings = {
        "file": str(args.file),
        "rows": source.digest,
        "with": {name: verifier.name for name, verifier in found.verifiers.items()},
        "group": found.column if found.sizes else None,
        "roles": {
            role: {"name": roles[role], "fingerprint": model.card.fingerprint} for role, model in job.models.items()
        },
        "seed": args.seed,
    }
    with (
        Run.open(out, kind="verify", settings=settings) as opened,
        Progress().stage("verify", total=found.rows) as stage,
    ):
        statuses, unfinished = asyncio.run(_judge(source, found.plan(), job, opened, stage))
    if unfinished:
        why = ", ".join(f"{count} {reason}" for reason, count in unfinished.most_common(3))
        raise StoppedError(
            f"{unfinished.total()} rows got no answer from a judge ({why}); all shards without them are done",
            hint="the same command asks for them again, and for nothing else",
        )
    counts = {status: statuses[status] for status in ("pass", "fail", "abstain", "broken")}
    verifiers = [verifier.name for verifier in found.verifiers.values()]
    seconds = round(time.monotonic() - started, 3)
    return {"run": str(out), "rows": found.rows, "verifiers": verifiers, **counts, "seconds": seconds}


def say(result: dict[str, Any]) -> str:
    if "broken" not in result:
        from homeschool.cli.audit import say_audit

        return say_audit(result)
    counts = ", ".join(f"{result[status]} {status}" for status in ("pass", "fail", "abstain", "broken"))
    return f"{result['rows']} rows: {counts} ({result['seconds']:.1f} s)\nverdicts: {result['run']}/rows"


@dataclass
class _Survey:
    """What one look at every row tells before anything is judged: who judges it, and with whom it is judged."""

    file: Path
    default: str | None
    column: str
    rows: int = 0
    verifiers: dict[str, Verifier] = field(default_factory=dict)
    """By what `--with` or the column calls them."""
    sizes: Counter[str] = field(default_factory=Counter[str])
    """Rows by group, of those verifiers that compare answers."""
    _golds: dict[str, tuple[int, str]] = field(default_factory=dict[str, tuple[int, str]])

    def look(self, row: Row) -> None:
        """Raises UsageError for a row that has no verifier, nothing to judge, or no place in its group."""
        from homeschool.verify.load import load_verifier

        self.rows += 1
        if "completion" not in row:
            raise self._wrong("has no column 'completion'", nearest("completion", row.columns))
        if not _is_answer(row["completion"]):
            raise self._wrong(f"has the completion {row['completion']!r:.40}", "it must be text")
        name = row.get("verifier") or self.default
        if not isinstance(name, str):
            raise UsageError(f"no verifier is named for row {self.rows} of {self.file}", hint="add --with VERIFIER")
        if name not in self.verifiers:
            self.verifiers[name] = load_verifier(name)
        if group := self._group(row):
            self._join(row, group)

    def plan(self) -> Plan:
        from homeschool.engine.verdicts import Plan

        return Plan(lambda row: self.verifiers[self._name(row)], self._group, self.sizes)

    def _join(self, row: Row, group: str) -> None:
        if self.column not in row:
            why = f"has no column {self.column!r}, and its verifier compares the answers of a group"
            raise self._wrong(why, "name the column that makes a group: --group COLUMN")
        self.sizes[group] += 1
        gold = digest([row.get(column) for column in GOLD_COLUMNS])
        first, theirs = self._golds.setdefault(group, (self.rows, gold))
        if gold != theirs:
            differ = f"{', '.join(column for column in GOLD_COLUMNS if column in row) or 'their gold'}"
            why = f"is in one group with row {first} and differs from it in one of {differ}"
            raise self._wrong(why, "name the column that makes a group: --group COLUMN")

    def _group(self, row: Row) -> str:
        from homeschool.verify.load import is_grouped

        name = self._name(row)
        return digest(name, row.get(self.column)) if is_grouped(self.verifiers[name]) else ""

    def _name(self, row: Row) -> str:
        return row.get("verifier") or self.default or ""

    def _wrong(self, what: str, hint: str) -> UsageError:
        return UsageError(f"row {self.rows} of {self.file} {what}", hint=hint)


async def _judge(source: Source, plan: Plan, job: Job, run: Run, stage: Stage) -> tuple[Counter[str], Counter[str]]:
    """Judge with the models open, and what a server can do found out once."""
    from homeschool.engine.verdicts import SHARD, judge_rows

    async with AsyncExitStack() as stack:
        for role, model in job.models.items():
            if isinstance(model, AbstractAsyncContextManager):
                await stack.enter_async_context(model)
                run.probed(f"server.{role}", lambda model=model: getattr(model, "known", None))
        world = job.world(run.answers if job.models else None, window=SHARD)
        return await judge_rows(source.rows(), plan=plan, world=world, run=run, stage=stage)


def _source(path: Path) -> Source:
    """The rows of a file, or those that a run has made. Raises UsageError."""
    from homeschool.engine.sources.open import open_source
    from homeschool.engine.sources.tables import table_source

    if path.is_dir():
        if not list((path / "rows").glob("*.parquet")):
            raise UsageError(f"{path} is a folder without rows/*.parquet", hint="name a run that makes rows, or a file")
        return open_source(str(path))
    return table_source(str(path), path)


def _is_answer(value: Any) -> bool:
    if isinstance(value, list) and value and isinstance(value[-1], Mapping):
        return isinstance(value[-1].get("content"), str)
    return isinstance(value, str)
