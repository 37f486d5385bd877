"""What can happen to a run between its first exam and its last: budgets, changed inputs, mended verifiers, LoRA."""

import json
from pathlib import Path
from typing import Any

import pytest

from homeschool.core.config import build
from homeschool.core.errors import StoppedError, UsageError
from homeschool.engine.progress import Progress
from homeschool.improve.loop import improve
from homeschool.improve.settings import ImproveConfig, normalise

SMALL: dict[str, Any] = {
    "model": "nano",
    "task": {"name": "arithmetic", "limit": 30},
    "rounds": 2,
    "samples": 2,
    "collect": {"problems": 24, "rationalise": False, "restart": False},
    "curriculum": {"start": 3, "top": 4},
    "train": {"lr": 1e-3, "tokens": 2000, "batch_tokens": 512, "schedule": {"warmup_steps": 1}},
}


def run(out: Path, *, controls: bool = False, **changes: Any) -> dict[str, Any]:
    config = build(ImproveConfig, normalise({**SMALL, **changes}))
    return improve(config, out=out, controls=controls, progress=Progress(quiet=True))


def sums(path: Path, *, wrong: int = 0) -> str:
    """A problem file that `nano` can answer: one operator, every answer checkable."""
    lines = [{"prompt": f"Q: {a}+{b}\n", "answer": a + b + wrong} for a in range(2, 10) for b in range(2, 10)]
    path.write_text("\n".join(map(json.dumps, lines)))
    return str(path)


def problem_file(tmp_path: Path, **more: Any) -> dict[str, Any]:
    return {"problems": sums(tmp_path / "sums.jsonl"), "verify": "exact", "template": "{prompt}", "limit": 8, **more}


def test_a_spent_budget_ends_the_run_after_its_round_and_controls_do_not_undo_it(tmp_path: Path) -> None:
    found = run(tmp_path / "run", budget={"hours": 1e-9})
    assert len(found["rounds"]) == 1 and "budget" in found["stopped"]
    again = run(tmp_path / "run", budget={"hours": 1e-9}, controls=True)
    assert again["rounds"] == found["rounds"] and again["final"] == found["final"]
    assert [len(control["rounds"]) for control in again["controls"]] == [1, 1]


def test_controls_train_on_as_many_tokens_as_the_verified_arm(tmp_path: Path) -> None:
    found = run(tmp_path / "run", train={"lr": 1e-4, "epochs": 1.0, "batch_tokens": 512}, rounds=1, controls=True)
    spent = found["rounds"][0]["train"]["tokens"]
    for control in found["controls"]:
        # A step is the smallest piece of a training, so the two may differ by one.
        assert abs(control["rounds"][0]["train"]["tokens"] - spent) <= 512


def test_a_problem_file_that_changed_is_not_mixed_into_the_run(tmp_path: Path) -> None:
    task = problem_file(tmp_path)
    run(tmp_path / "run", task=task, rounds=1)
    sums(tmp_path / "sums.jsonl", wrong=1)
    with pytest.raises(UsageError, match="changed since it began"):
        run(tmp_path / "run", task=task, rounds=1)


def test_a_mended_verifier_lets_the_same_command_go_on(tmp_path: Path) -> None:
    checks = tmp_path / "checks.py"
    checks.write_text("def judge(answer, row):\n    raise RuntimeError('not yet')\n")
    task = problem_file(tmp_path, verify=f"{checks}:judge")
    with pytest.raises(StoppedError):
        run(tmp_path / "run", task=task, rounds=1)
    checks.write_text("def judge(answer, row):\n    return answer.strip() == f\"= {row['answer']}\"\n")
    found = run(tmp_path / "run", task=task, rounds=1)
    assert found["base"]["broken"] == 0 and found["base"]["n"] == 8
    assert found["rounds"][0]["passed"] > 0


def test_lora_learns_in_the_loop_and_leaves_a_whole_model(tmp_path: Path) -> None:
    found = run(tmp_path / "run", rounds=1, train={**SMALL["train"], "lora": 4})
    (record,) = found["rounds"]
    folder = tmp_path / "run" / record["train"]["checkpoint"]
    assert (folder / "adapter" / "adapter_config.json").exists() and (folder / "model.safetensors").exists()
    assert record["train"]["steps"] > 0


def test_a_significantly_worse_round_is_rolled_back(tmp_path: Path) -> None:
    # A learning rate a hundred times too high leaves finite weights and a model that has forgotten everything.
    found = run(
        tmp_path / "run",
        rounds=1,
        task={"name": "arithmetic", "limit": 120},
        curriculum={"start": 4, "top": 4},
        train={**SMALL["train"], "lr": 0.1, "tokens": 8000},
    )
    (record,) = found["rounds"]
    assert record["decision"] == "rolled back" and "significantly worse" in record["why"]
    assert found["final"]["accuracy"] == found["base"]["accuracy"] and not found["promoted"]
