"""`homeschool improve`: examine, learn in rounds, examine again, promote or not, and say what happened.

    base exam -> [collect -> verify -> curate -> train -> examine -> gate] x rounds -> final exam -> promote or not

Run the same command again and it goes on where it was. The exam before and the exam after are the only two that look
at the exam problems; every decision on the way is made on the dev problems and the forgetting set.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from homeschool.core.config import plain
from homeschool.core.errors import RefusedError, UsageError
from homeschool.core.task import Task
from homeschool.decode.open import open_checkpoint
from homeschool.decode.sample import Sampler
from homeschool.engine.progress import Progress
from homeschool.engine.run import Run
from homeschool.improve import result
from homeschool.improve.controls import CONTROLS
from homeschool.improve.report import write_card, write_report
from homeschool.improve.result import Sitting
from homeschool.improve.rounds import Arm, Progression, learn
from homeschool.improve.settings import ImproveConfig, TaskConfig
from homeschool.improve.workbench import Weights, Workbench, evenly, rendered, spread
from homeschool.tasks.load import load_problems, load_task


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
    if config.rounds < 1 or config.samples < 1:
        raise UsageError(f"rounds={config.rounds} samples={config.samples} teach nothing", hint="use 1 or more of each")
    task = _task(config.task, seed)
    with Run.open(out, kind="improve", settings={**plain(config), "seed": seed}) as run:
        finished = run.load_json("result.json")
        if finished is not None and (finished["controls"] or not controls):
            return finished
        found = asyncio.run(_improve(config, run, task, seed=seed, controls=controls, progress=progress or Progress()))
        found |= {"command": command, "versions": run.record["versions"]}
        run.save_json("result.json", found)
        write_report(run.folder)
        write_card(run.folder)
        return found


def require_gain(found: dict[str, Any]) -> None:
    """Raise RefusedError unless the run's model was promoted."""
    if not found["promoted"]:
        raise RefusedError(str(found["why"]), hint=f"read {found['run']}/report.html")


async def _improve(
    config: ImproveConfig, run: Run, task: Task, *, seed: int, controls: bool, progress: Progress
) -> dict[str, Any]:
    bench = _workbench(config, run, task, seed, progress)
    base = await _sit(bench, "base")
    verified = await learn(bench, Arm("verified", task.verifier))
    final = base
    if verified.weights != bench.base:
        bench.restore(verified.weights)
        final = await _sit(bench, "final")
    found = result.assemble(bench, verified, base=base, final=final)
    if controls:
        found["controls"] = [await _control(bench, name, verified, base, final) for name in CONTROLS]
        found["seconds_with_controls"] = round(bench.clock(), 1)
    return found


def _workbench(config: ImproveConfig, run: Run, task: Task, seed: int, progress: Progress) -> Workbench:
    checkpoint = open_checkpoint(config.model)
    model = Sampler(checkpoint)
    held_out = {
        name: tuple(rendered(evenly(getattr(task, name), config.task.limit), card=model.card, template=task.template))
        for name in ("exam", "dev", "recall")
    }
    task = replace(task, **held_out)
    base = Weights(checkpoint.folder, checkpoint.fingerprint)
    run.probed("base", lambda: {"name": config.model, "fingerprint": checkpoint.fingerprint})
    run.probed("threads", os.cpu_count)
    return Workbench(run, config, task, checkpoint, model, base, seed, progress)


def _task(config: TaskConfig, seed: int) -> Task:
    if (config.name is None) == (config.problems is None):
        raise UsageError(
            f"task names {'both a task and problems' if config.name else 'neither a task nor problems'}",
            hint="write `task: arithmetic`, or `task: {problems: FILE.jsonl, verify: math}`",
        )
    if config.name is not None:
        return load_task(config.name, seed=seed)
    assert config.problems is not None
    return load_problems(
        config.problems,
        verify=config.verify,
        exam=config.exam,
        recall=config.recall,
        columns=config.columns,
        template=config.template,
    )


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
    levels = tuple(record["level"] for record in verified.records)
    arm = await learn(bench, Arm(name, CONTROLS[name], levels))
    bench.restore(arm.weights)
    exam = await bench.examine(f"{name}-greedy", bench.task.exam)
    assert exam is not None  # the base sat the same problems
    return result.control(
        name, base=base.greedy, verified=final.greedy, final=exam, arm=arm, headline=bench.task.headline
    )
