"""The commands in README.md and docs/ are run as they stand, so that what a reader types works."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LIMIT_SECONDS = 60
LEFT_OUT = ("make quickstart", "make test", "make setup")
"""A block that begins with one of these is what this test is part of, or takes minutes."""


def blocks(path: Path) -> list[str]:
    """The text of every ```bash block that is run."""
    found = re.findall(r"^```bash\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [block for block in found if not block.lstrip().startswith(LEFT_OUT)]


def names() -> list[str]:
    return [path.relative_to(ROOT).as_posix() for path in DOCUMENTS if blocks(path)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a reader stands: a copy of the repository, in which one block may use what an earlier one wrote."""
    copy = tmp_path / "homeschool"
    ignored = shutil.ignore_patterns(".venv", ".git", "runs", "__pycache__", ".*_cache", "*.egg-info", ".peers")
    shutil.copytree(ROOT, copy, ignore=ignored)
    return copy


@pytest.mark.parametrize("document", names())
def test_the_blocks_of_a_page_run_one_after_the_other(document: str, folder: Path) -> None:
    binaries = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": binaries, "PYTHONPATH": str(folder / "src")}
    for number, block in enumerate(blocks(ROOT / document), start=1):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{document}, block {number}:\n{block}\n{done.stderr[-2000:]}"


def test_there_are_blocks_to_run() -> None:
    assert "README.md" in names()
