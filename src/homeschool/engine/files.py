"""Files written aside and renamed, so that a reader (or the next run, after a kill) sees all of one or none of it.

A full disk is not a crash: it becomes one StoppedError that says what to do.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from homeschool.core.errors import StoppedError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a path beside `path` to write to; renames it to `path` if the block ends well, removes it if not.

    The name aside is always the same, so what a killed process left is overwritten and never piles up.
    Raises StoppedError if the disk is full.
    """
    aside = path.with_name(f"{path.name}.part")
    with full_disk_stops(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield aside
            with aside.open("rb+") as file:
                os.fsync(file.fileno())
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)


@contextmanager
def full_disk_stops(path: Path) -> Iterator[None]:
    """Turns "no space left" from the system or from SQLite into a StoppedError that names `path`."""
    try:
        yield
    except (OSError, sqlite3.OperationalError, RuntimeError) as error:  # torch says it with a RuntimeError
        if not (disk_is_full(error) or _nothing_free(path)):
            raise
        raise StoppedError(
            f"the disk is full, so {path} could not be written",
            hint="make room and type the same command: it goes on from here",
        ) from error


def disk_is_full(error: Exception) -> bool:
    """Whether the system, SQLite or Arrow means "no space left" (or no quota)."""
    numbered = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
    return numbered or any(words in str(error) for words in ("disk is full", "No space left"))


def _nothing_free(path: Path) -> bool:
    """Whether the disk that `path` lies on has no megabyte left; torch fails there without saying why."""
    return shutil.disk_usage(path.parent).free < 2**20


def write_json(path: Path, value: Any) -> None:
    """`value` as indented JSON, keys in their own order, written aside and renamed."""
    text = json.dumps(value, indent=2, ensure_ascii=True) + "\n"
    with replacing(path) as aside:
        aside.write_text(text, encoding="utf-8")
