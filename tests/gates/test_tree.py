"""Gates over the whole tree: every module imports, and nothing is committed that should not be."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import homeschool

ROOT = Path(__file__).resolve().parents[2]

FORBIDDEN = tuple("/" + place for place in ("work/", "tmp/", "root/", "home/", "farm/"))
"""Paths of one machine. (Put together here so that this file passes its own gate.)"""

BOUNDARIES: dict[str, int] = {
    "cli/main.py": 1,  # what we failed to foresee is still one sentence and an exit code
    "engine/ask.py": 1,  # a model that fails as no model should ends the run, and is not taken for the recipe
    "engine/local.py": 1,  # a recipe that raises costs one row, on record
    "core/own.py": 1,  # what a person's own code raises is theirs: a record or a sentence
    # What runs inside the sandbox has untrusted code raise through it: there a failure of any kind is a result.
    "sandbox/pool.py": 1,  # whoever waits for a program is told what was raised
    "sandbox/inside/asserts.py": 2,  # a value, or an exception, of the program's may raise when it is shown
    "sandbox/inside/candidate.py": 3,  # what a program raises, when loaded or run or when its exception is shown
    "sandbox/inside/exchange.py": 3,  # bytes that make no sense; what cannot be handed over; a question given up
    "sandbox/inside/judge.py": 2,  # what a test raises is its outcome; our own fault is on record as such
    "sandbox/inside/keeper.py": 1,  # a process of the box that fails ends with a code, and not in its parent's life
    "sandbox/inside/objects.py": 1,  # an exception of the program's may raise when its text is asked for
    "sandbox/inside/serving.py": 2,  # what a call raises is handed to who called
    "verify/math_worker.py": 1,  # sympy fails in many ways on text it was not made for: one word on one job
}
"""Where a failure of any kind is turned into a record or a sentence: file -> how many `except Exception`."""

TEXT = {".py", ".md", ".toml", ".yaml", ".yml", ".lock", ".html", ".css", ".json", ".jsonl", ".cfg", ""}


def committed() -> list[Path]:
    """What git tracks or would track; in a copy without git, what lies in the source folders."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0 and listed.stdout:
        paths = [ROOT / line for line in listed.stdout.splitlines()]
    else:
        paths = [
            path for folder in ("src", "tests", "docs", "benchmarks", "tools") for path in (ROOT / folder).rglob("*")
        ]
    return [path for path in paths if path.is_file() and path.suffix in TEXT and "__pycache__" not in path.parts]


INSIDE = ROOT / "src" / "homeschool" / "sandbox" / "inside"
"""Files that run in the sandbox, where there is no package `homeschool`: they import each other by their bare names."""


def modules() -> list[str]:
    return [module.name for module in pkgutil.walk_packages(homeschool.__path__, "homeschool.")]


def importable() -> list[str]:
    return [name for name in modules() if not name.endswith("__main__") and ".sandbox.inside." not in name]


@pytest.mark.parametrize("name", importable())
def test_every_module_imports(name: str) -> None:
    assert importlib.import_module(name).__doc__ is not None or name.count(".") == 1


def test_what_runs_inside_the_sandbox_imports_there() -> None:
    """As in the sandbox: a Python without packages, and the files alone beside each other."""
    names = sorted(path.stem for path in INSIDE.glob("[!_]*.py"))
    probe = (
        f"import importlib, sys; sys.path.insert(0, {str(INSIDE)!r})\n"
        f"print([name for name in {names} if not importlib.import_module(name).__doc__])\n"
        "print([name for name in sys.modules if name.startswith('homeschool')])"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", probe], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[]\n[]\n"), done.stderr
    assert "keeper" in names


def test_no_path_of_one_machine_is_committed() -> None:
    files = committed()
    assert files
    found = [
        f"{path.relative_to(ROOT)}:{number}: {word}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1)
        for word in FORBIDDEN
        if word in line
    ]
    assert not found


def catches_everything(handler: ast.ExceptHandler) -> bool:
    names = (
        {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)} if handler.type else {"Exception"}
    )
    return bool(names & {"Exception", "BaseException"})


def test_only_boundaries_catch_everything() -> None:
    found: dict[str, int] = {}
    for path in sorted((ROOT / "src" / "homeschool").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        count = sum(isinstance(node, ast.ExceptHandler) and catches_everything(node) for node in ast.walk(tree))
        if count:
            found[path.relative_to(ROOT / "src" / "homeschool").as_posix()] = count
    assert found == BOUNDARIES


def test_folders_are_their_layers() -> None:
    """Nothing called utils, common or helpers: a helper lives with its one user, or in core if it is vocabulary."""
    banned = {"utils", "util", "common", "helpers", "misc", "registry"}
    assert not [name for name in modules() if banned & set(name.split("."))]
