"""The start-up guard: no heavy module after any `--help`, and `homeschool --help` in under 0.2 s."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from homeschool.cli.main import verbs

HEAVY = ("torch", "transformers", "numpy", "pydantic", "httpx", "rich", "pyarrow", "yaml")
LIMIT_SECONDS = 0.2
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2] / "src")}

PROBE = """
import json, sys
from homeschool.cli.main import command
code, text = command(sys.argv[1:])
print(json.dumps([code, text, sorted(sys.modules)]))
"""


def probe(*argv: str, first: str = "") -> tuple[int, str, set[str]]:
    """Exit code, stdout and the modules loaded, of one command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", first + PROBE, *argv], capture_output=True, text=True, check=True, env=ENVIRONMENT
    )
    code, text, modules = json.loads(done.stdout)
    return code, text, {name.split(".")[0] for name in modules}


@pytest.mark.parametrize("verb", ["", *verbs()])
def test_help_loads_nothing_heavy(verb: str) -> None:
    code, text, modules = probe(*([verb] if verb else []), "--help")
    assert code == 0
    assert "usage: homeschool" in text
    assert not modules & set(HEAVY)


def test_the_probe_would_see_a_heavy_module() -> None:
    _, _, modules = probe("--help", first="import yaml")
    assert "yaml" in modules


@pytest.mark.timing
def test_help_starts_fast() -> None:
    """Whole process, best of 5: the machine's noise only ever adds."""
    command = [sys.executable, "-m", "homeschool", "--help"]
    seconds: list[float] = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True, env=ENVIRONMENT)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < LIMIT_SECONDS
