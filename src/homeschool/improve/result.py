"""The result of a run, assembled from what its stages left on disk: one dictionary, `result.json`.

`base.accuracy`, `final.accuracy`, `gain_points`, `ci95` and `p_value` are about the task's headline group (the whole
exam if it names none), the last three paired on its items; every group is under `groups`, the whole exam among them.
Nothing here is computed for show: each number has its n and interval, and what was not measured is null.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from homeschool.core.config import plain
from homeschool.core.records import Row
from homeschool.engine.rows import read_rows
from homeschool.evaluate.exam import Comparison, Exam, compare
from homeschool.improve import gate
from homeschool.improve.report.curves import WHOLE
from homeschool.improve.rounds import Progression
from homeschool.improve.workbench import Workbench

EXAMPLES = 12


@dataclass(frozen=True, slots=True)
class Sitting:
    """One model's exam: greedy, and with several samples for pass@k where asked for."""

    greedy: Exam
    sampled: Exam | None
    recall: Exam | None


def assemble(bench: Workbench, arm: Progression, *, base: Sitting, final: Sitting) -> dict[str, Any]:
    """Everything about the verified arm; `controls` is empty."""
    headline = bench.task.headline
    gain = compare(_about(base.greedy, headline), _about(final.greedy, headline))
    forgetting = compare(base.recall, final.recall) if base.recall and final.recall else None
    moved = arm.weights != bench.base
    decision = gate.after_run(gain, forgetting, about=f"{headline} problems" if headline else "the exam")
    promoted = moved and decision.accepted
    stopped = arm.records[-1]["stopped"] if arm.records else None
    why = decision.why if moved else f"not promoted: no round was accepted ({stopped or 'each was rolled back'})"
    return {
        "run": str(bench.run.folder),
        "model": bench.config.model,
        "task": bench.task.name,
        "method": bench.config.method,
        "seed": bench.seed,
        "headline": headline or None,
        "base": _summary(base, headline),
        "final": _summary(final, headline),
        **_change(gain),
        "groups_gain": {
            name: _change(compare(_about(base.greedy, name), _about(final.greedy, name)))
            for name in base.greedy.by_group()
        }
        | {WHOLE: _change(compare(base.greedy, final.greedy))},
        "pass_at_gain": _pass_at_gain(base, final),
        "forgetting": _change(forgetting) if forgetting else None,
        "rounds": arm.records,
        "controls": [],
        "promoted": promoted,
        "why": why,
        "checkpoint": str(arm.weights.folder) if promoted else None,
        "stopped": stopped,
        "examples": _examples(bench, arm, base.greedy, final.greedy),
        "loss": _loss(bench, arm),
        "items_needed": {"points": 2, "n": gain.items_needed},
        "config": plain(bench.config),
        "peak_rss_mb": round(bench.peak_rss_mb(), 1),
        "answers": len(bench.run.answers),
    }


def control(name: str, *, base: Exam, verified: Exam, final: Exam, arm: Progression, headline: str) -> dict[str, Any]:
    """A control's end: its gain over the base, and how far it ends from the verified arm, on the same items."""
    versus = compare(_about(verified, headline), _about(final, headline))
    return {
        "name": name,
        "final": _summary(Sitting(final, None, None), headline),
        **_change(compare(_about(base, headline), _about(final, headline))),
        "versus_verified": {"difference_points": versus.gain_points, "ci95": list(versus.ci95), "n": versus.n},
        "groups_versus_verified": {
            group: _change(compare(_about(verified, group), _about(final, group))) for group in base.by_group()
        },
        "rounds": arm.records,
    }


def _about(exam: Exam, group: str) -> Exam:
    """The items of one group (all of them for no group)."""
    return exam.only(group) if group else exam


def _summary(sitting: Sitting, headline: str) -> dict[str, Any]:
    """Accuracy on the headline group, and the whole exam among the groups."""
    summary = sitting.greedy.to_dict()
    whole = {name: summary[name] for name in ("accuracy", "n", "ci95", "broken")}
    summary |= {name: _about(sitting.greedy, headline).to_dict()[name] for name in whole}
    summary["groups"][WHOLE] = whole
    if sitting.sampled is not None:
        summary["pass_at"] = sitting.sampled.to_dict()["pass_at"]
    return summary


def _change(change: Comparison) -> dict[str, Any]:
    if change.n == 0:
        unmeasured = dict.fromkeys(("gain_points", "ci95", "p_value", "improved", "worsened"))
        return {**unmeasured, "n": 0}
    return {
        "gain_points": change.gain_points,
        "ci95": list(change.ci95),
        "p_value": change.p_value,
        "improved": change.improved,
        "worsened": change.worsened,
        "n": change.n,
    }


def _pass_at_gain(base: Sitting, final: Sitting) -> dict[str, Any]:
    """By k and group: the paired change of unbiased pass@k, with a bootstrap interval over items."""
    if base.sampled is None or final.sampled is None:
        return {}
    return final.sampled.pass_at_change(base.sampled)


def _examples(bench: Workbench, arm: Progression, base: Exam, final: Exam) -> dict[str, Any]:
    """Lessons that were accepted and refused, and exam problems that are right now and were not before."""
    accepted: list[Row] = [row for rows in reversed(arm.pool) for row in rows]
    refused: list[Row] = []
    for record in arm.records:
        path = bench.run.path("dropped", f"verified-{record['round']:02}.parquet")
        refused += [row for row in read_rows(path) if row["rule"] not in ("exact_dedup", "problem_cap")]
    answers = {item.id: item for item in base.items}
    turned = [item for item in final.items if item.correct and item.id in answers and not answers[item.id].correct]
    return {
        "accepted": [{"prompt": row["prompt"], "completion": row["completion"]} for row in _every(accepted, EXAMPLES)],
        "refused": [
            {"prompt": row["prompt"], "completion": row.get("completion", ""), "reason": row["reason"]}
            for row in _every(refused, EXAMPLES)
        ],
        "before_after": [
            {"prompt": item.prompt, "before": answers[item.id].answers[0], "after": item.answers[0]}
            for item in _every(turned, EXAMPLES)
        ],
    }


def _every(items: Sequence[Any], n: int) -> list[Any]:
    """`n` of the items, evenly spaced: early and late, easy and hard."""
    return [items[len(items) * k // n] for k in range(n)] if len(items) > n else list(items)


def _loss(bench: Workbench, arm: Progression) -> list[list[float]]:
    """(step over all rounds, loss), from the metrics that training left."""
    curve: list[list[float]] = []
    steps = 0
    for record in arm.records:
        if record["train"] is None:
            continue
        path = bench.run.path(record["train"]["checkpoint"], "metrics.jsonl")
        lines = path.read_text().splitlines() if path.exists() else []
        curve += [[steps + metrics["step"], metrics["loss"]] for metrics in map(json.loads, lines) if "loss" in metrics]
        steps += record["train"]["steps"]
    return curve
