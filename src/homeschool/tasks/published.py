"""Problem sets in the form in which they were published: what the files `tasks/gsm8k.py`, `humaneval.py` ... share.

`task = Published(...)` in a file of this folder says which columns a published file has, how one of its records becomes
a problem's columns, who judges it, and how it is put to a model without a chat template. Called with the path of a
user's file it gives the task: `homeschool evaluate humaneval=HumanEval.jsonl.gz`, or in a config
`task: {name: humaneval, problems: HumanEval.jsonl.gz}`. Nothing is downloaded.

Files may be JSON lines, a list, one object that holds the problems (`{"examples": [...]}`, or problems by their ids),
any of these gzipped, CSV, Parquet or Arrow. Refused, naming the columns that are wanted and the format that a file is
in if it is another's: a record without those columns, and one whose content is not what the format says.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from homeschool.core.discover import implementations, load
from homeschool.core.errors import UsageError
from homeschool.core.task import Task
from homeschool.engine.rows import read_table
from homeschool.tasks.problems import TEMPLATE, from_file, whole_file

NEXT_QUESTION = ("\nQuestion:",)
"""Where a model that goes on by itself begins the next problem of the default template."""


@dataclass(frozen=True, slots=True)
class Published:
    """One format. `task(problems=PATH)` is the task of a file in it."""

    name: str
    forms: tuple[frozenset[str], ...]
    """The columns that tell the format; several sets where it was published in several forms."""
    read: Callable[[Mapping[str, Any]], dict[str, Any]]
    """A record as the columns of a problem; raises ValueError, saying what is wrong, for a record that is none."""
    verify: str
    template: str = TEMPLATE
    stop: tuple[str, ...] = ()
    """Texts that end the answer of a model without a chat template."""

    def __call__(
        self,
        *,
        seed: int = 0,
        problems: Path | None = None,
        exam: Path | None = None,
        recall: Path | None = None,
        verify: str | None = None,
        template: str | None = None,
    ) -> Task:
        """The task of a file, split as `problems.from_file` does, or as its authors did where they did.

        Raises UsageError without a file, and for one that is in another format.
        """
        del seed  # the split is the same for every seed
        if problems is None:
            raise UsageError(
                f"the task {self.name} needs a file of its problems",
                hint=f"name one with {self.wanted()}: {self.name}=FILE, or in a config problems: FILE",
            )
        return from_file(
            problems,
            exam=exam,
            recall=recall,
            verify=verify or self.verify,
            template=template or self.template,
            read=self.problems,
        )

    def examined(self, problems: Path, *, verify: str | None = None) -> Task:
        """The same, with the whole file (or the authors' test set, if it is in there) as the exam."""
        return whole_file(problems, verify=verify or self.verify, template=self.template, read=self.problems)

    def problems(self, path: Path) -> list[dict[str, Any]]:
        """The problems in a file. Raises UsageError, naming the row, for what is not in the format."""
        found: list[dict[str, Any]] = []
        for row, record in enumerate(records_in(path), start=1):
            if not self.fits(record):
                raise self._other(path, row, record)
            try:
                columns = self.read(record)
            except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
                why = error if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
                hint = f"mend that row, or leave it out; {self.name} has {self.wanted()}"
                raise UsageError(
                    f"row {row} of {path} is not in the format of {self.name} ({why})", hint=hint
                ) from error
            found.append(columns | ({"stop": list(self.stop)} if self.stop and "stop" not in columns else {}))
        return found

    def fits(self, record: Mapping[str, Any]) -> bool:
        """Whether a record has the columns of one of the forms."""
        return any(form <= record.keys() for form in self.forms)

    def wanted(self) -> str:
        """The columns of each form, in words."""
        return " or ".join(f"the columns {', '.join(sorted(form))}" for form in self.forms)

    def _other(self, path: Path, row: int, record: Mapping[str, Any]) -> UsageError:
        has = ", ".join(list(record)[:12]) or "no columns"
        others = [name for name in fitting(record) if name != self.name]
        other = f"it looks like {others[0]}'s: write {others[0]} for {self.name}" if others else ""
        hint = other or f"wanted: {self.wanted()}"
        return UsageError(f"row {row} of {path} is not in the format of {self.name}: it has {has}", hint=hint)


def fitting(record: Mapping[str, Any]) -> list[str]:
    """The published formats that a record may be in, the most particular first."""
    sizes: dict[str, int] = {}
    for listing in implementations("homeschool.tasks", "task"):
        task = load("homeschool.tasks", listing["name"], "task", kind="task")
        if isinstance(task, Published) and task.fits(record):
            sizes[task.name] = max(len(form) for form in task.forms if form <= record.keys())
    return sorted(sizes, key=lambda name: -sizes[name])


def records_in(path: Path) -> Iterable[Mapping[str, Any]]:
    """The records of a published file, at least one. Raises UsageError for what cannot be read."""
    name = path.name.removesuffix(".gz")
    if path.is_file() and name.endswith(".csv"):
        found = list(csv.DictReader(io.StringIO(_text(path), newline="")))
        if not found:
            raise UsageError(f"{path} has no rows under its header", hint="put at least one row in it")
        return found
    if path.is_file() and name.endswith(".json"):
        try:
            whole = json.loads(_text(path))
        except (ValueError, RecursionError):
            whole = None  # JSON lines under another name, or broken: `read_table` tells
        if isinstance(whole, dict):
            return _held(cast("dict[str, Any]", whole))
    return read_table(path)


def _held(whole: dict[str, Any]) -> list[Mapping[str, Any]]:
    """The records in one object: a list of examples, or records by their ids; else it is one record."""
    examples = whole.get("examples")
    if isinstance(examples, list):
        return [record for record in cast("list[Any]", examples) if isinstance(record, Mapping)]
    if whole and all(isinstance(record, Mapping) for record in whole.values()):
        return [{"id": name, **record} for name, record in whole.items()]
    return [whole]


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
        return (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read ({error})", hint="check that the file is whole and UTF-8") from error
