"""A task by name (a file of this folder), or from a file of the user's problems."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from homeschool.core.discover import load
from homeschool.core.task import Task
from homeschool.tasks import problems as problem_files


def load_task(name: str, *, seed: int = 0) -> Task:
    """The task of ours called `name`. Raises UsageError, naming the nearest, if there is none."""
    return load("homeschool.tasks", name, "task", kind="task")(seed=seed)


def load_problems(path: str, **options: Any) -> Task:
    """A task from the problems in `path`; the options are those of `problems.from_file`, paths as text."""
    held_out = {name: Path(options.pop(name)) for name in ("exam", "recall") if options.get(name) is not None}
    return problem_files.from_file(Path(path), **held_out, **{k: v for k, v in options.items() if v is not None})
