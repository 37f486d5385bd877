"""Kill a run at random instants, run the same command again, and hold what it ends with against an undisturbed run.

    python tools/kill_test.py --kills 20

For each of N instants, spread over an undisturbed run from the moment that its folder appears: a fresh run is ended
by SIGKILL at that instant and started again with the same command. Compared are every file of rows, dropped rows and
exam items, byte for byte, the hash of every checkpoint's weights, and the answer store, in which no answer may have
been asked for twice.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CONFIG = """
model: nano
task: {name: arithmetic, limit: 48}
rounds: 2
samples: 4
collect: {problems: 40, cap: 2, rationalise: false, restart: false}
curriculum: {start: 3, threshold: 0.2, top: 5}
train:
  lr: 1.0e-3
  tokens: 9_000
  batch_tokens: 512
  checkpoint_every: 4
exam: {samples: 4, problems: 24}
"""


def command(config: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "homeschool", "improve", str(config), "--out", str(out), "--json"]


def start(config: Path, out: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command(config, out),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=environment,
    )


def until_folder(out: Path) -> float:
    """Seconds until a run that was just started has a folder: what comes before is Python importing packages."""
    began = time.monotonic()
    while not (out / "run.json").exists() and time.monotonic() - began < 60:
        time.sleep(0.02)
    return time.monotonic() - began


def finish(config: Path, out: Path) -> dict[str, object]:
    process = start(config, out)
    stdout, _ = process.communicate()
    if process.returncode != 0:
        raise SystemExit(f"the run ended with {process.returncode}: {stdout.decode()[-500:]}")
    return json.loads(stdout)


def traces(out: Path) -> dict[str, str]:
    """Everything that must not depend on a kill, by file name."""
    kept: dict[str, str] = {}
    for pattern in ("rows/*.parquet", "dropped/*.parquet", "exam/*.jsonl", "checkpoints/*/*.safetensors"):
        for path in sorted(out.glob(pattern)):
            kept[str(path.relative_to(out))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return kept


def asked_twice(out: Path) -> int:
    with sqlite3.connect(out / "answers.db") as store:
        return store.execute("SELECT count(*) FROM answers WHERE asked > 1").fetchone()[0]


def main() -> None:
    parser = argparse.ArgumentParser(description="kill runs at random instants and compare how they end")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as scratch:
        config = Path(scratch, "kill.yaml")
        config.write_text(CONFIG)
        calm = Path(scratch, "calm")
        process = start(config, calm)
        until_folder(calm)
        began = time.monotonic()
        process.communicate()
        seconds = time.monotonic() - began
        wanted = traces(calm)
        failures = 0
        for number in range(args.kills):
            out = Path(scratch, f"killed-{number}")
            # One instant in each of `kills` equal parts of the run, so that no stage is missed.
            instant = seconds * (number + rng.random()) / args.kills
            process = start(config, out)
            until_folder(out)
            time.sleep(instant)
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            reached = len(list(out.glob("rounds/*.json"))), len(traces(out))
            finish(config, out)
            same, twice = traces(out) == wanted, asked_twice(out)
            failures += not same or twice > 0
            differing = sorted(name for name in wanted if traces(out).get(name) != wanted[name])
            print(
                f"killed at {instant:5.1f} s of {seconds:.1f} (rounds, files done: {reached}): "
                f"{'equal' if same else f'DIFFERENT {differing}'}, asked twice: {twice}",
                flush=True,
            )
    print(f"{args.kills - failures} passed, {failures} failed")
    raise SystemExit(failures > 0)


if __name__ == "__main__":
    main()
