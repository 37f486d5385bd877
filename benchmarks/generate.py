"""Race: calls a second of a two-call recipe against a loopback server with latency, beside two peers and a bare loop.

Contestants, each a program of its own in benchmarks/peers, the peers in environments of their own: homeschool; a bare
asyncio loop over the same client library with the same bodies (what the machine can do at all); distilabel; and
bespokelabs-curator. All write their rows to disk with the cache that they have by default. A lap's time leaves imports
out; its CPU time is that of the client's processes, never of the server's. Two laps ask again for what homeschool has
just made, and must not send one request: `replay` is the finished run itself, `replay_answers` is the run with its rows
removed, so that every recipe runs again on stored answers. Their ratio is seconds of asking over seconds of replaying.

The laps are interleaved, each with a new server and a new folder. A contestant that cannot run is null, with the
reason. Prints one line of JSON; a ratio above 1 means that ours is better.

Usage: python benchmarks/generate.py [--rows 5000] [--concurrency 256] [--latency 0.05] [--repeat 1] [--only NAMES]
       python benchmarks/generate.py --setup      makes the peers' environments, which a race otherwise does itself
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import urllib.request
import venv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "benchmarks" / "peers"
ENVIRONMENTS = ROOT / "benchmarks" / ".peers"
PEERS = {"bare": "aiohttp", "distilabel": "distilabel", "curator": "curator"}
REPLAYS = {"replay": [], "replay_answers": ["--forget-rows"]}
"""Laps of ours in the folder of the lap before, with the arguments that they have of their own."""
PACKAGES = {
    "distilabel": ["distilabel[openai]==1.5.3", "requests"],  # it imports requests without saying that it needs it
    "curator": ["bespokelabs-curator==0.1.31"],
}
PATIENCE_S = 1800
CALLS = 2


def main() -> None:
    given = arguments()
    reasons = set_up([name for name in PACKAGES if given.only is None or name in given.only])
    if given.setup:
        print(json.dumps({"race": "generate", "ready": [name for name in PACKAGES if name not in reasons]} | reasons))
        return
    laps: dict[str, list[dict[str, float]]] = {name: [] for name in ("ours", *REPLAYS, *PEERS)}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(given.repeat):
            for name, lap in one_round(given, Path(folder) / str(number), reasons, number=number):
                laps[name].append(lap)
                say(f"{name}: {lap['calls_per_second']:.0f} calls/s, {lap['cpu_ms_per_call']:.2f} ms of CPU a call")
    print(json.dumps(result(given, laps, reasons)))


def one_round(
    given: argparse.Namespace, folder: Path, reasons: dict[str, str], *, number: int
) -> Iterator[tuple[str, dict[str, float]]]:
    """Every contestant once, beginning with another each round, with its lap; a new failure goes to `reasons`."""
    names = [name for name in ["ours", *PEERS] if given.only is None or name in given.only]
    turn = number % len(names)
    for name in names[turn:] + names[:turn]:
        if name in reasons:
            continue
        with server(given.latency) as url:
            lap = run_lap(name, given, reasons, url=url, out=folder / name)
            if lap is None:
                continue
            asked = requests_at(url)
            if asked < CALLS * given.rows:
                reasons[name] = f"asked only {asked} times for {given.rows} rows"
                continue
            yield name, lap
            for replay in REPLAYS if name == "ours" else ():
                again = run_lap(replay, given, reasons, url=url, out=folder / name)
                if again is not None and requests_at(url) != asked:
                    reasons[replay] = f"it asked {requests_at(url) - asked} times"
                elif again is not None:
                    yield replay, again


def run_lap(
    name: str, given: argparse.Namespace, reasons: dict[str, str], *, url: str, out: Path
) -> dict[str, float] | None:
    """Seconds, calls a second and milliseconds of CPU a call; or None, and the reason in `reasons`."""
    script = SCRIPTS / f"with_{PEERS.get(name, 'homeschool')}.py"
    command = [str(python_of(name)), str(script), "--url", url, "--rows", str(given.rows), "--out", str(out)]
    command += ["--concurrency", str(given.concurrency), *REPLAYS.get(name, [])]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        reasons[name] = f"not done after {PATIENCE_S} s"
        return None
    lines = ran.stdout.splitlines()
    if ran.returncode or not lines or not lines[-1].startswith("{"):
        reasons[name] = last_line(ran.stderr) or last_line(ran.stdout) or f"exit code {ran.returncode}"
        return None
    lap = json.loads(lines[-1])
    if lap["rows"] != given.rows:
        reasons[name] = f"made {lap['rows']} rows of {given.rows}"
        return None
    calls = CALLS * given.rows
    return {
        "seconds": lap["seconds"],
        "calls_per_second": calls / lap["seconds"],
        "cpu_ms_per_call": 1000 * lap["cpu_seconds"] / calls,
    }


def result(
    given: argparse.Namespace, laps: dict[str, list[dict[str, float]]], reasons: dict[str, str]
) -> dict[str, Any]:
    """The line that is printed: medians of every contestant, and ours against each, lap by lap."""
    seconds = {name: [lap["seconds"] for lap in some] for name, some in laps.items()}
    ratios = {name: [other / mine for mine, other in pairs(seconds["ours"], seconds[name])] for name in PEERS}
    ratios |= {name: [mine / again for mine, again in pairs(seconds["ours"], seconds[name])] for name in REPLAYS}
    setting = {"rows": given.rows, "concurrency": given.concurrency, "latency": given.latency, "rounds": given.repeat}
    medians = {name: median_lap(some) for name, some in laps.items()}
    return {
        "race": "generate",
        **setting,
        "ours": {**medians["ours"], **{name: medians[name] for name in REPLAYS}} if medians["ours"] else None,
        "peers": {name: medians[name] for name in PEERS},
        "ratio": {name: spread(found) for name, found in ratios.items()},
        "reasons": reasons,
    }


def pairs(first: Sequence[float], second: Sequence[float]) -> Iterator[tuple[float, float]]:
    """Laps of the same round; a contestant that failed in a later round has fewer."""
    return zip(first, second, strict=False)


def median_lap(laps: Sequence[dict[str, float]]) -> dict[str, float] | None:
    if not laps:
        return None
    return {key: round(statistics.median(lap[key] for lap in laps), 3) for key in laps[0]}


def spread(ratios: Sequence[float]) -> dict[str, float] | None:
    if not ratios:
        return None
    return {"min": min(ratios), "median": statistics.median(ratios), "max": max(ratios)}


@contextlib.contextmanager
def server(latency: float) -> Iterator[str]:
    """The tests' stand-in for an endpoint, as a process of its own; its base URL."""
    command = [sys.executable, str(ROOT / "tests" / "openai_server.py"), "--latency", str(latency)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().removeprefix("listening on ").strip()
    finally:
        process.kill()
        process.wait()


def requests_at(url: str) -> int:
    with urllib.request.urlopen(url.removesuffix("/v1") + "/stats", timeout=30) as reply:
        return json.load(reply)["requests"]


def set_up(names: Sequence[str]) -> dict[str, str]:
    """Makes the environments that are missing; why one could not be made, by name."""
    reasons: dict[str, str] = {}
    for name in names:
        folder = ENVIRONMENTS / name
        done = folder / "ready"
        if done.exists() and done.read_text("utf-8").split() == PACKAGES[name]:
            continue
        say(f"setting up {', '.join(PACKAGES[name])}")
        venv.create(folder, with_pip=True, clear=True)
        (ENVIRONMENTS / ".gitignore").write_text("*\n", encoding="utf-8")
        install = [str(python_of(name)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        ran = subprocess.run([*install, *PACKAGES[name]], capture_output=True, text=True)
        if ran.returncode:
            reasons[name] = f"pip could not install it: {last_line(ran.stderr)}"
        else:
            done.write_text("\n".join(PACKAGES[name]), encoding="utf-8")
    return reasons


def python_of(name: str) -> Path:
    return ENVIRONMENTS / name / "bin" / "python" if name in PACKAGES else Path(sys.executable)


def last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip(" │╰╯─╭╮")]
    return lines[-1] if lines else ""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Calls a second of a two-call recipe, beside the peers.")
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--concurrency", type=int, default=256)
    parser.add_argument("--latency", type=float, default=0.05, help="seconds that the server waits before an answer")
    parser.add_argument("--repeat", type=int, default=1, help="rounds")
    parser.add_argument("--only", type=lambda names: names.split(","), help="ours, bare, distilabel, curator")
    parser.add_argument("--setup", action="store_true", help="make the peers' environments and stop")
    return parser.parse_args()


if __name__ == "__main__":
    main()
