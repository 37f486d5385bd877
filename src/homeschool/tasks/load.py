"""A task by name (a file of this folder), from a file of the user's problems, or both: `gsm8k=test.jsonl`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from homeschool.core.discover import load
from homeschool.core.errors import UsageError
from homeschool.core.task import Task
from homeschool.tasks import problems as problem_files
from homeschool.tasks.published import Published


def load_task(name: str, *, seed: int = 0, **options: Any) -> Task:
    """The task of ours called `name`; `NAME=FILE` is that of a file in a published format.

    `options` are those of `published.Published` (`problems`, `exam`, `recall`, `verify`, `template`), paths as text.
    Raises UsageError, naming the nearest, if there is none, and for options that it has no use for.
    """
    name, equals, file = name.partition("=")
    given = _given(options | ({"problems": file} if equals else {}))
    task = load("homeschool.tasks", name, "task", kind="task")
    if given and not isinstance(task, Published):
        raise UsageError(f"the task {name} has its own {min(given)}", hint=f"leave {min(given)} out")
    return task(seed=seed, **given)


def load_problems(path: str, **options: Any) -> Task:
    """A task from the problems in `path`; the options are those of `problems.from_file`, paths as text."""
    return problem_files.from_file(Path(path), **_given(options))


def load_exam(task: str, *, seed: int = 0, verify: str | None = None, columns: dict[str, str] | None = None) -> Task:
    """The task that `task` names, to be examined on: a task of ours, `NAME=FILE`, or a file, which is all exam.

    Raises UsageError as `load_task` and `load_problems`.
    """
    name, equals, file = task.partition("=")
    if Path(task).exists() or not (equals or name.isidentifier()):
        return problem_files.whole_file(Path(task), verify=verify, columns=columns)
    if columns:
        raise UsageError(f"the task {name} has its own columns", hint="leave --columns out")
    made = load("homeschool.tasks", name, "task", kind="task")
    if equals and isinstance(made, Published):
        return made.examined(Path(file), verify=verify)
    return load_task(task, seed=seed, verify=verify)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """The options that were given, paths as paths."""
    paths = ("problems", "exam", "recall")
    return {name: Path(value) if name in paths else value for name, value in options.items() if value is not None}
