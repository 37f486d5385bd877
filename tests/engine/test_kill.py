"""Kill -9 at random instants, run again: the rows of an undisturbed run, and no stored answer asked for twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from homeschool.engine.answers import AnswerStore

SCRIPT = Path(__file__).with_name("scripted.py")
KILLS = 6


def start(out: Path) -> subprocess.Popen[str]:
    out.mkdir(exist_ok=True)
    source = str(SCRIPT.parents[2] / "src")
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(out)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": source},
    )


def finish(out: Path) -> float:
    """Run to the end; seconds from the moment work began."""
    process = start(out)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    began = time.monotonic()
    assert process.wait(timeout=60) == 0
    return time.monotonic() - began


def test_a_killed_run_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    seconds = finish(tmp_path / "calm")
    rng, out, killed = random.Random(), tmp_path / "killed", 0
    for _ in range(KILLS):
        process = start(out)
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        time.sleep(rng.random() * seconds / KILLS)
        process.send_signal(signal.SIGKILL)
        killed += process.wait(timeout=60) == -signal.SIGKILL
    finish(out)
    assert killed >= KILLS // 2, "too few kills hit a run that was still at work"
    assert (out / "rows.parquet").read_bytes() == (tmp_path / "calm" / "rows.parquet").read_bytes()
    with AnswerStore(out / "answers.db") as store, AnswerStore(tmp_path / "calm" / "answers.db") as calm:
        assert store.max_asked() == 1
        assert store.times_asked() == calm.times_asked()
        keys = list(store.times_asked())
        assert store.lookup(keys, max_tokens=256) == calm.lookup(keys, max_tokens=256)
