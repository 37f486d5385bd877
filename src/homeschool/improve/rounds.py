"""Rounds: collect, verify, curate, train, examine, gate; then keep the new weights or roll back.

Every round ends with one file, `rounds/ARM-NN.json`, written last. A killed run replays: a round with that file is
skipped; in one without it, stored answers are served again, a finished or begun training goes on where it stood, and
the round ends as it would have.
"""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from homeschool.core.errors import StoppedError
from homeschool.core.identity import seed_of
from homeschool.core.protocols import Verifier
from homeschool.core.records import Dropped, Row
from homeschool.curate import exact_dedup, problem_cap
from homeschool.curate.load import run_curators
from homeschool.engine.local import World, run_recipe
from homeschool.engine.outcome import Outcome
from homeschool.engine.rows import read_rows, write_rows
from homeschool.evaluate.exam import Exam
from homeschool.improve import curriculum, gate, star
from homeschool.improve.gate import Decision
from homeschool.improve.health import Group, Sample, Vitals, stop, untrustworthy, vitals
from homeschool.improve.workbench import Weights, Workbench, rendered
from homeschool.sandbox.pool import execute
from homeschool.train.loop import TrainResult, train
from homeschool.train.objectives import load_objective


@dataclass(frozen=True, slots=True)
class Arm:
    """One way through the rounds: the verified one, or a control that is told right from wrong by another verifier."""

    name: str
    verifier: Verifier
    repeats: tuple[dict[str, Any], ...] | None = None
    """A control: the records of the verified arm's rounds, whose problems and training tokens it repeats."""

    @property
    def gated(self) -> bool:
        return self.repeats is None


@dataclass
class Progression:
    """Where an arm stands between two rounds."""

    weights: Weights
    frontier: int | None
    dev: Exam | None
    recall: Exam | None
    """The base model's, against which forgetting is measured."""
    pool: list[list[Row]] = field(default_factory=list[list[Row]])
    records: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


async def learn(bench: Workbench, arm: Arm) -> Progression:
    """Run all rounds of an arm from the base model. What is already on disk is not done again."""
    bench.restore(bench.base)
    dev = await bench.examine("base-dev", bench.task.dev)
    recall = await bench.examine("base-recall", bench.task.recall) if arm.gated else None
    at = Progression(bench.base, curriculum.first(bench.task, bench.config.curriculum), dev, recall)
    rounds = bench.config.rounds if arm.repeats is None else len(arm.repeats)
    for number in range(1, rounds + 1):
        if arm.repeats is not None:
            at.frontier = arm.repeats[number - 1]["level"]
        name = f"{arm.name}-{number:02}"
        record = bench.run.load_json(f"rounds/{name}.json")
        if record is None:
            bench.restore(at.weights)
            record = await _round(bench, arm, at, number)
            if arm.gated and number < rounds:
                record["stopped"] = record["stopped"] or _over_budget(bench)
            bench.run.save_json(f"rounds/{name}.json", record)
            bench.clock()
        at.records.append(record)
        at.pool.append(read_rows(_rows(bench, "rows", name)))
        if record["decision"] == "accepted":
            at.weights = Weights(bench.run.path("checkpoints", name), record["train"]["fingerprint"])
            at.dev = await bench.examine(f"{name}-dev", bench.task.dev)
        at.frontier = record["next_level"]
        if record["stopped"]:
            break
    return at


async def _round(bench: Workbench, arm: Arm, at: Progression, number: int) -> dict[str, Any]:
    name = f"{arm.name}-{number:02}"
    started = time.monotonic()
    problems, outcomes = await _collect(bench, arm, at.frontier, number)
    groups = [_group(outcome) for outcome in outcomes]
    seen = vitals(groups)
    if why := untrustworthy(seen, bench.config.health):
        evidence = next(s.evidence for group in groups for s in group.samples if s.status == "broken")
        raise StoppedError(f"{why}, the first: {evidence[:200]}", hint="mend the verifier and run the same command")
    kept, dropped = _curate(bench, outcomes)
    write_rows(_rows(bench, "dropped", name), [_refused(drop) for drop in dropped])
    write_rows(_rows(bench, "rows", name), kept)
    config = bench.config.curriculum
    rates = [group.rate for group in groups if group.level == at.frontier]
    following = curriculum.advance(bench.task, config, frontier=at.frontier, rates=rates)
    at_top = at.frontier is None or at.frontier == following
    why = stop(seen, groups, bench.config.health, at_top=at_top) if arm.gated else None
    record = _yield(number, at.frontier, len(problems), seen, kept, dropped)
    record |= {
        "seconds": time.monotonic() - started,
        "next_level": following,
        "stopped": why,
        "frontier_rate": sum(rates) / len(rates) if rates else None,
    }
    lessons = [row for rows in [*at.pool, kept][-bench.config.collect.pool :] for row in rows]
    repeated = arm.repeats[number - 1] if arm.repeats is not None else None
    if why or not lessons or (repeated is not None and repeated["train"] is None):
        why = why or ("no lesson was kept" if not lessons else "the verified arm did not train in this round")
        return record | {"decision": "stopped", "why": why, "train": None, "dev": None, "recall": None}
    bench.restore(bench.base if bench.config.collect.restart else at.weights)
    tokens = repeated["train"]["tokens"] if repeated is not None else None
    learnt = _train(bench, lessons, name, tokens=tokens)
    record |= await _gated(bench, arm, at, learnt, name)
    if learnt.diverged:
        record["stopped"] = record["why"]
    return record


async def _collect(bench: Workbench, arm: Arm, frontier: int | None, number: int) -> tuple[list[Row], list[Outcome]]:
    config = bench.config
    drawn = curriculum.draw(
        bench.task, config.curriculum, frontier=frontier, n=config.collect.problems, seed=seed_of(bench.seed, number)
    )
    problems = rendered(drawn, card=bench.model.card, template=bench.task.template)
    with bench.progress.stage(f"{arm.name} round {number}: collect", total=len(problems), unit="problems") as stage:
        collect = config.collect if arm.gated else replace(config.collect, rationalise=False)
        outcomes = await run_recipe(
            star.recipe(collect, samples=config.samples),
            problems,
            world=World(
                roles={"generator": bench.model},
                store=bench.run.answers,
                verifier=arm.verifier,
                seed=bench.seed,
                round=number,
                execute=execute,
            ),
            tally=bench.tally,
            stage=stage,
        )
    return problems, outcomes


def _curate(bench: Workbench, outcomes: Sequence[Outcome]) -> tuple[list[Row], list[Dropped]]:
    """What is kept of the passed answers, and everything that was not kept or did not pass."""
    refused = [drop for outcome in outcomes for drop in outcome.dropped]
    passed = [row for outcome in outcomes for row in outcome.children]
    curators = [exact_dedup.curator(), problem_cap.curator(cap=bench.config.collect.cap)]
    kept, dropped = run_curators(passed, curators)
    return kept, [*refused, *dropped]


def _train(bench: Workbench, lessons: Sequence[Row], name: str, *, tokens: int | None) -> TrainResult:
    """One training; `tokens` replaces the config's budget, for a control at the verified arm's compute."""
    config = bench.config.train
    if tokens is not None:
        config = replace(config, tokens=tokens, epochs=None, steps=None)
    with _interruptible():
        return train(
            load_objective(config.objective),
            bench.checkpoint,
            lessons,
            config,
            out=bench.run.path("checkpoints", name),
            seed=seed_of(bench.seed, "train", name),
            progress=bench.progress,
        )


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C end a training at once: asyncio would hold it back until the next await, which is after it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _over_budget(bench: Workbench) -> str | None:
    """Why the next round may not begin, or None."""
    budget = bench.config.budget
    if budget.hours is not None and bench.clock() > budget.hours * 3600:
        return f"the budget of {budget.hours:g} hours is spent"
    peak, limit = bench.peak_rss_mb(), budget.memory_mb
    if limit is not None and peak > limit:
        return f"the run held {peak:.0f} MB of memory, and its budget is {limit:.0f} MB"
    return None


async def _gated(bench: Workbench, arm: Arm, at: Progression, learnt: TrainResult, name: str) -> dict[str, Any]:
    """Examine the new weights and decide; the record says what was seen and why."""
    trained = {
        "steps": learnt.steps,
        "loss": learnt.loss,
        "tokens": learnt.tokens,
        "seconds": learnt.tokens / learnt.tokens_per_second if learnt.tokens_per_second else 0.0,
        "checkpoint": str(Path("checkpoints") / name),
        "fingerprint": bench.checkpoint.fingerprint,
    }
    if learnt.diverged:
        why = "the loss was not finite: training stopped and the last good weights were kept"
        return {"train": trained, "dev": None, "recall": None, "decision": "rolled back", "why": why}
    dev = await bench.examine(f"{name}-dev", bench.task.dev)
    recall = await bench.examine(f"{name}-recall", bench.task.recall) if arm.gated else None
    if arm.gated:
        decision = gate.after_round(
            dev=(at.dev, dev) if at.dev and dev else None,
            recall=(at.recall, recall) if at.recall and recall else None,
        )
    else:
        decision = Decision(True, "a control passes no gate")
    return {
        "train": trained,
        "dev": dev.to_dict() if dev else None,
        "recall": recall.to_dict() if recall else None,
        "decision": "accepted" if decision.accepted else "rolled back",
        "why": decision.why,
    }


def _yield(
    number: int, level: int | None, problems: int, seen: Vitals, kept: Sequence[Row], dropped: Sequence[Dropped]
) -> dict[str, Any]:
    rules = Counter(drop.rule for drop in dropped)
    return {
        "round": number,
        "level": level,
        "problems": problems,
        "asked": seen.asked,
        "passed": seen.passed,
        "kept": len(kept),
        "tokens": seen.tokens,
        "rationalised": sum(row.provenance.step == star.HINTED for row in kept),
        "dropped": {rule: rules[rule] for rule in ("exact_dedup", "problem_cap")},
        "failed": seen.failed,
        "broken": seen.broken,
        "entropy": seen.entropy,
        "health": {"uniform_groups": seen.uniform, "identical_unsolved": seen.identical},
    }


def _group(outcome: Outcome) -> Group:
    """All samples of one problem, passed and refused; what was written with the answer in sight solves nothing."""
    rows = [*outcome.children, *(drop.row for drop in outcome.dropped)]
    rows = [row for row in rows if row.provenance.step != star.HINTED]
    refused = {drop.row.id: drop for drop in outcome.dropped}
    return Group(outcome.row.get("level"), tuple(Sample.of(row, refused.get(row.id)) for row in rows))


def _refused(drop: Dropped) -> Row:
    """A dropped row as it is written: with the rule and the reason as columns."""
    return Row({**drop.row.columns, "rule": drop.rule, "reason": drop.reason}, drop.row.provenance)


def _rows(bench: Workbench, folder: str, name: str) -> Path:
    return bench.run.path(folder, f"{name}.parquet")
