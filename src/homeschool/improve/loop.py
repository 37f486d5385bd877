"""`homeschool improve`: examine, learn in rounds, examine again, promote or not, and say what happened.

    base exam -> [collect -> verify -> curate -> train -> examine -> gate] x rounds -> final exam -> promote or not

Run the same command again and it goes on where it was. The exam before and the exam after are the only two that look
at the exam problems; every decision on the way is made on the dev problems and the forgetting set.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeschool.core.config import plain
from homeschool.core.errors import RefusedError, UsageError
from homeschool.core.identity import digest, file_digest
from homeschool.core.task import Task
from homeschool.decode.open import open_checkpoint
from homeschool.decode.sample import Sampler
from homeschool.engine.progress import Progress
from homeschool.engine.run import Run
from homeschool.improve import result
from homeschool.improve.controls import CONTROLS
from homeschool.improve.report.write import write_card, write_report
from homeschool.improve.result import Sitting
from homeschool.improve.rounds import Arm, Progression, learn
from homeschool.improve.settings import ImproveConfig, TaskConfig
from homeschool.improve.workbench import Weights, Workbench, evenly, rendered, spread
from homeschool.tasks.load import load_problems, load_task
from homeschool.train.objectives import load_objective

if TYPE_CHECKING:
    from homeschool.models.local import Checkpoint


def improve(
    config: ImproveConfig,
    *,
    out: Path,
    seed: int = 0,
    controls: bool = False,
    progress: Progress | None = None,
    command: str = "",
) -> dict[str, Any]:
    """Run the loop in the folder `out`, or go on with it; returns the result that is also in `out/result.json`.

    `controls` adds the unverified and the majority arm, at the verified arm's compute and on its problems. `command` is
    what a person types to get this run; the report quotes it.
    Raises UsageError for a config that cannot work, StoppedError where the run stopped itself at a safe point.
    """
    task = _task(config.task, seed)
    checkpoint = open_checkpoint(config.model)
    load_objective(config.train.objective)
    with Run.open(out, kind="improve", settings={**plain(config), "seed": seed}) as run:
        finished = run.load_json("result.json")
        _check_inputs(run, task, config, checkpoint)
        if finished is None or (controls and not finished["controls"]):
            bench = _workbench(config, run, task, checkpoint, seed=seed, progress=progress or Progress())
            finished = asyncio.run(_improve(bench, controls=controls))
            finished |= {"command": command, "versions": run.record["versions"]}
            run.save_json("result.json", finished)
        write_report(run.folder)
        write_card(run.folder)
        return finished


def require_gain(found: dict[str, Any]) -> None:
    """Raise RefusedError unless the run's model was promoted."""
    if not found["promoted"]:
        raise RefusedError(str(found["why"]), hint=f"read {found['run']}/report.html")


async def _improve(bench: Workbench, *, controls: bool) -> dict[str, Any]:
    base = await _sit(bench, "base")
    verified = await learn(bench, Arm("verified", bench.task.verifier))
    final = base
    if verified.weights != bench.base:
        bench.restore(verified.weights)
        final = await _sit(bench, "final")
    # Written once: what the loop took must not grow by what its controls take.
    seconds = bench.run.probed("loop_seconds", lambda: round(bench.clock(), 1))
    found = result.assemble(bench, verified, base=base, final=final) | {"seconds": seconds}
    if controls:
        found["controls"] = [await _control(bench, name, verified, base, final) for name in CONTROLS]
        found["seconds_with_controls"] = round(bench.clock(), 1)
    return found


def _check_inputs(run: Run, task: Task, config: ImproveConfig, checkpoint: Checkpoint) -> None:
    """Refuse to go on with a run whose model or problems are no longer those that it began with."""
    files = [path for path in (config.task.problems, config.task.exam, config.task.recall) if path]
    now = {
        "model": checkpoint.fingerprint,
        "problems": digest([file_digest(Path(path)) for path in files]),
        "exam": digest([[row.id for row in rows] for rows in (task.exam, task.dev, task.recall)]),
    }
    began = run.probed("inputs", lambda: now)
    changed = [name for name, value in now.items() if began[name] != value]
    if changed:
        raise UsageError(
            f"the {' and '.join(changed)} of the run in {run.folder} changed since it began",
            hint="choose another --out, or put back what was there",
        )


def _workbench(
    config: ImproveConfig, run: Run, task: Task, checkpoint: Checkpoint, *, seed: int, progress: Progress
) -> Workbench:
    model = Sampler(checkpoint)
    held_out = {
        name: tuple(rendered(evenly(getattr(task, name), config.task.limit), card=model.card, template=task.template))
        for name in ("exam", "dev", "recall")
    }
    base = Weights(checkpoint.folder, checkpoint.fingerprint)
    return Workbench(run, config, replace(task, **held_out), checkpoint, model, base, seed, progress)


def _task(config: TaskConfig, seed: int) -> Task:
    options = {name: getattr(config, name) for name in ("verify", "exam", "recall", "template")}
    if config.name is not None:
        return load_task(config.name, seed=seed, problems=config.problems, **options)
    assert config.problems is not None
    return load_problems(config.problems, columns=config.columns, **options)


async def _sit(bench: Workbench, name: str) -> Sitting:
    """The exam of the current weights: greedy, with samples if the config asks for pass@k, and the forgetting set."""
    greedy = await bench.examine(f"{name}-greedy", bench.task.exam)
    if greedy is None:
        raise UsageError(
            f"the task {bench.task.name!r} has no exam problems", hint="name a file of them: task.exam=FILE"
        )
    samples, problems = bench.config.exam.samples, spread(bench.task.exam, bench.config.exam.problems)
    sampled = await bench.examine(f"{name}-sampled", problems, samples=samples) if samples else None
    recall = await bench.examine(f"{name}-recall", bench.task.recall)
    return Sitting(greedy, sampled, recall)


async def _control(bench: Workbench, name: str, verified: Progression, base: Sitting, final: Sitting) -> dict[str, Any]:
    arm = await learn(bench, Arm(name, CONTROLS[name], tuple(verified.records)))
    bench.restore(arm.weights)
    exam = await bench.examine(f"{name}-greedy", bench.task.exam)
    assert exam is not None  # the base sat the same problems
    return result.control(
        name, base=base.greedy, verified=final.greedy, final=exam, arm=arm, headline=bench.task.headline
    )
