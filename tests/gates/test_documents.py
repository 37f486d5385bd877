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


def blocks() -> list[tuple[str, int, str]]:
    """Document, number within it, and text, of every ```bash block."""
    found: list[tuple[str, int, str]] = []
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        for number, block in enumerate(re.findall(r"^```bash\n(.*?)^```", text, re.DOTALL | re.MULTILINE), start=1):
            if not block.lstrip().startswith(LEFT_OUT):
                found.append((path.relative_to(ROOT).as_posix(), number, block))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a reader stands: a copy of the repository, in which one block may use what an earlier one wrote."""
    copy = tmp_path_factory.mktemp("reader") / "homeschool"
    ignored = shutil.ignore_patterns(".venv", ".git", "runs", "__pycache__", ".*_cache", "*.egg-info")
    shutil.copytree(ROOT, copy, ignore=ignored)
    return copy


@pytest.mark.xdist_group("documents")
@pytest.mark.parametrize(("document", "number", "block"), blocks(), ids=lambda value: str(value).split("\n")[0][:60])
def test_the_block_runs(document: str, number: int, block: str, folder: Path) -> None:
    binaries = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": binaries, "PYTHONPATH": str(folder / "src")}
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
    assert any(document == "README.md" for document, _, _ in blocks())
