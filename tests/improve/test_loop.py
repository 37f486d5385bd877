"""The whole loop, small, on the shipped model."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from homeschool.core.config import build
from homeschool.core.errors import RefusedError, StoppedError, UsageError
from homeschool.engine.progress import Progress
from homeschool.engine.rows import read_rows
from homeschool.improve.loop import improve, require_gain
from homeschool.improve.settings import ImproveConfig, normalise

REPOSITORY = Path(__file__).parents[2]
TRAIN = {"lr": 1e-3, "tokens": 6000, "batch_tokens": 1024, "schedule": {"warmup_steps": 2}}
SMALL: dict[str, Any] = {
    "model": "nano",
    "task": {"name": "arithmetic", "limit": 60},
    "rounds": 2,
    "samples": 3,
    "collect": {"problems": 40, "rationalise": False, "restart": False},
    "curriculum": {"start": 4, "top": 5},
    "train": TRAIN,
    "exam": {"samples": 2, "problems": 12},
}


def run(out: Path, *, controls: bool = False, **changes: Any) -> dict[str, Any]:
    config = build(ImproveConfig, normalise({**SMALL, **changes}))
    return improve(config, out=out, controls=controls, progress=Progress(quiet=True))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("run") / "small"
    return out, run(out)


def test_a_run_says_what_it_did(finished: tuple[Path, dict[str, Any]]) -> None:
    out, found = finished
    assert found["headline"] == "never shown"
    assert found["base"]["n"] == found["final"]["n"] > 20
    gain = 100 * (found["final"]["accuracy"] - found["base"]["accuracy"])
    assert found["gain_points"] == pytest.approx(gain)
    assert found["ci95"][0] <= found["gain_points"] <= found["ci95"][1]
    assert [record["round"] for record in found["rounds"]] == [1, 2]
    for record in found["rounds"]:
        assert record["asked"] == record["problems"] * 3
        assert record["passed"] + sum(record["failed"].values()) == record["asked"]
        assert record["kept"] + sum(record["dropped"].values()) == record["passed"]
        assert record["entropy"] > 0
    assert found["promoted"] == (found["checkpoint"] is not None)
    assert json.loads((out / "result.json").read_text()) == found
    report = (out / "report.html").read_text()
    assert "http://" not in report.replace("http://www.w3.org", "") and "<svg" in report
    assert (out / "card.md").read_text().startswith("---")


def test_every_lesson_passed_and_can_be_traced_to_its_answer(finished: tuple[Path, dict[str, Any]]) -> None:
    out, found = finished
    lessons = [
        row for record in found["rounds"] for row in read_rows(out / f"rows/verified-{record['round']:02}.parquet")
    ]
    assert len(lessons) == sum(record["kept"] for record in found["rounds"])
    assert all(lesson.verdicts[-1].status == "pass" and lesson.provenance.calls for lesson in lessons)


def test_the_same_command_again_only_reads(finished: tuple[Path, dict[str, Any]]) -> None:
    out, found = finished
    before = (out / "answers.db").stat().st_mtime_ns
    assert run(out) == found
    assert (out / "answers.db").stat().st_mtime_ns == before


def test_another_config_is_not_written_over_a_run(finished: tuple[Path, dict[str, Any]]) -> None:
    with pytest.raises(UsageError, match="rounds"):
        run(finished[0], rounds=3)


def test_controls_are_added_on_the_verified_arm_s_problems(finished: tuple[Path, dict[str, Any]]) -> None:
    out, found = finished
    with_controls = run(out, controls=True)
    assert [control["name"] for control in with_controls["controls"]] == ["unverified", "majority"]
    assert with_controls["final"] == found["final"]
    for control in with_controls["controls"]:
        assert [r["level"] for r in control["rounds"]] == [r["level"] for r in found["rounds"]]
        assert [r["problems"] for r in control["rounds"]] == [r["problems"] for r in found["rounds"]]
    unverified = with_controls["controls"][0]["rounds"][0]
    assert unverified["passed"] > found["rounds"][0]["passed"]


def test_nothing_to_learn_from_is_an_honest_end(tmp_path: Path) -> None:
    problems = tmp_path / "hard.jsonl"
    lines = [
        {"question": f"Who wrote book number {n}?", "answer": f"It was author\n#### {n + 1000}"} for n in range(60)
    ]
    problems.write_text("\n".join(map(json.dumps, lines)))
    found = run(tmp_path / "run", task={"problems": str(problems)}, exam={})
    assert found["promoted"] is False and found["checkpoint"] is None
    assert found["gain_points"] == 0
    assert "none of" in found["stopped"] and len(found["rounds"]) == 1
    with pytest.raises(RefusedError, match="not promoted"):
        require_gain(found)


def test_a_verifier_that_raises_stops_the_run(tmp_path: Path) -> None:
    problems = tmp_path / "p.jsonl"
    problems.write_text("\n".join(json.dumps({"prompt": f"Q: {n}+1\n", "answer": n + 1}) for n in range(60)))
    (tmp_path / "checks.py").write_text("def judge(answer, row):\n    raise ValueError('no idea')\n")
    task = {"problems": str(problems), "verify": f"{tmp_path / 'checks.py'}:judge"}
    with pytest.raises(StoppedError, match=r"broke on .* raised ValueError"):
        run(tmp_path / "run", task=task, exam={})


def test_a_loss_that_is_not_a_number_rolls_back(tmp_path: Path) -> None:
    found = run(tmp_path / "run", rounds=1, train={**TRAIN, "lr": 1e38, "adamw": {"clip": 1e38}}, exam={})
    (record,) = found["rounds"]
    assert record["decision"] == "rolled back" and "not finite" in record["why"]
    assert found["promoted"] is False and found["final"]["accuracy"] == found["base"]["accuracy"]


@pytest.mark.timing  # it runs alone: how long a run takes decides where it is killed
def test_a_killed_run_ends_like_an_undisturbed_one() -> None:
    command = [sys.executable, str(REPOSITORY / "tools" / "kill_test.py"), "--kills", "3", "--seed", "7"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "3 passed, 0 failed" in ended.stdout
