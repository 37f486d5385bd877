"""Generate rows while the server fails in every way and the client is killed; hold the rows against undisturbed ones.

    python tools/fault_test.py --rows 2000 --kills 20

A stand-in server (tests/openai_server.py) refuses 10% of the requests (429, half with Retry-After), answers 5% with
500, lets 2% hang, cuts 2% off, garbles 3% and empties 1%. `homeschool generate` runs a recipe of two calls against it
and is ended by SIGKILL at random instants, then started again with the same command until it is done. Compared with a
run that nothing disturbed: every file of rows and dropped rows, byte for byte. Counted: rows in, out and dropped, and
answers that the server had to give twice, which must be no more than what was in flight at each kill.

Prints one line of JSON; exit 1 if anything differs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from openai_server import fetch_stats, served  # noqa: E402 (a file of the tests, found through the path above)

FAULTS = ("429=0.05", "429_after=0.05", "500=0.05", "hang=0.02", "cut=0.02", "malformed=0.03", "empty=0.01")
CONCURRENCY = 64
PATIENCE_S = 600

RECIPE = '''"""A recipe of two calls, the second about the answer to the first."""


async def recipe(row, ctx):
    """Ask, and ask again about the answer."""
    [first] = await ctx.ask([{"role": "user", "content": f"Write a question about {row['topic']}."}], max_tokens=48)
    [second] = await ctx.ask([{"role": "user", "content": f"Answer it: {first.text}"}], max_tokens=48)
    if len(second.text) % 7 == 0:
        return None
    return row.derive(step="two_calls", prompt=first.text, completion=second.text)
'''


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as aside:
        found = trial(Path(aside), rows=given.rows, kills=given.kills, seed=given.seed)
    print(json.dumps(found))
    return 0 if found["identical"] and found["accounted"] and found["within_flight"] else 1


def trial(folder: Path, *, rows: int, kills: int, seed: int) -> dict[str, Any]:
    """One undisturbed run and one that is not, in `folder`; what came of them."""
    (folder / "two_calls.py").write_text(RECIPE)
    lines = [json.dumps({"topic": f"the number {number}"}) for number in range(rows)]
    (folder / "topics.jsonl").write_text("\n".join(lines) + "\n")
    port = free_port()  # the same for both: a model behind another address is another model
    with served("--port", str(port), "--latency", "0.02") as url:
        began = time.monotonic()
        calm = finish(folder, url, "calm")
        calm_s = time.monotonic() - began
    chance = random.Random(seed)
    faults = [word for fault in FAULTS for word in ("--fault", fault)]
    flying: list[int] = []
    with served("--port", str(port), "--latency", "0.02", "--seed", str(seed), *faults) as url:
        began = time.monotonic()
        for _ in range(kills):
            # Spread over the working part: most of an early kill's life is spent importing.
            flying += kill_after(folder, url, chance.uniform(0.0, 2 * calm_s / max(1, kills)))
        disturbed = finish(folder, url, "disturbed")
        disturbed_s = time.monotonic() - began
        stats = fetch_stats(url)
    again = stats["answered_again"]
    return {
        "rows_in": disturbed["rows_in"],
        "rows": disturbed["rows"],
        "dropped": sum(disturbed["dropped"].values()),
        "accounted": disturbed["rows_in"] == rows == disturbed["rows"] + sum(disturbed["dropped"].values()),
        "identical": files(folder / "calm") == files(folder / "disturbed") and calm["rows"] == disturbed["rows"],
        "kills": len(flying),
        "in_flight_at_kills": sum(flying),
        "answered_again": again,
        "within_flight": again <= CONCURRENCY * len(flying),
        "faults": stats["faults"],
        "seconds": {"calm": round(calm_s, 1), "disturbed": round(disturbed_s, 1)},
    }


def command(folder: Path, url: str, out: str) -> list[str]:
    recipe, source = str(folder / "two_calls.py:recipe"), str(folder / "topics.jsonl")
    words = [sys.executable, "-m", "homeschool", "generate", recipe, "--source", source, "--model", f"{url}#stand-in"]
    return [*words, "--concurrency", str(CONCURRENCY), "--out", str(folder / out), "--json"]


def finish(folder: Path, url: str, out: str) -> dict[str, Any]:
    """Run the command to its end; its JSON."""
    done = subprocess.run(command(folder, url, out), capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    if done.returncode != 0:
        raise SystemExit(f"the run ended with {done.returncode}: {done.stderr[-2000:]}")
    return json.loads(done.stdout)


def kill_after(folder: Path, url: str, seconds: float) -> list[int]:
    """Start the command, end it that long after it began to ask; what was in flight, unless it was done before."""
    before = fetch_stats(url)["requests"]
    run = subprocess.Popen(
        command(folder, url, "disturbed"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    while run.poll() is None and fetch_stats(url)["requests"] == before:
        time.sleep(0.01)
    time.sleep(seconds)
    if run.poll() is not None:
        return []
    flying = fetch_stats(url)["in_flight"]
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    return [flying]


def files(run: Path) -> dict[str, str]:
    """What a run made, by digest."""
    kinds = ("rows", "dropped", "shards")
    return {
        str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest()
        for kind in kinds
        for path in sorted((run / kind).glob("*"))
    } | {"data.jsonl": hashlib.sha256((run / "data.jsonl").read_bytes()).hexdigest()}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    sys.exit(main())
