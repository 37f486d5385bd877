"""The name of a checkpoint's files: a hash of their bytes, remembered so that gigabytes are not read at every start.

The memory is one small file in the user's cache folder, from (path, size, time of change) to digest. If it cannot be
read or written, files are hashed again. Small files always are, and so is a file that has only just changed: its
clock may not yet tell one writing from the next.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

from homeschool.core.identity import digest, file_digest

SMALL = 1 << 20
FRESH_NS = 2_000_000_000


def fingerprint(folder: Path, *, patterns: Sequence[str]) -> str:
    """24 hex digits that name the bytes of the files in `folder` that match any pattern."""
    paths = sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})
    known = _recall()
    before = dict(known)
    named = [(path.name, _digest(path.resolve(), known)) for path in paths]
    if known != before:
        _remember(known)
    return digest("checkpoint", named)


def _digest(path: Path, known: dict[str, str]) -> str:
    found = path.stat()
    key = f"{path}|{found.st_size}|{found.st_mtime_ns}"
    if found.st_size < SMALL or time.time_ns() - found.st_mtime_ns < FRESH_NS:
        return file_digest(path)
    if key not in known:
        known[key] = file_digest(path)
    return known[key]


def _memory() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "homeschool" / "digests.json"


def _recall() -> dict[str, str]:
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(_memory().read_text("utf-8"))
        if isinstance(known, dict):
            return {str(key): str(value) for key, value in known.items()}  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return {}


def _remember(known: dict[str, str]) -> None:
    memory = _memory()
    with contextlib.suppress(OSError):
        memory.parent.mkdir(parents=True, exist_ok=True)
        aside = memory.with_name(f"{memory.name}.{os.getpid()}")
        aside.write_text(json.dumps(known), "utf-8")
        aside.replace(memory)
