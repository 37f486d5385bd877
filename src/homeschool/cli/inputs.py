"""What verbs are given: rows in files and run folders, options as `key=value`, and where a run goes by default."""

from __future__ import annotations

import argparse
import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, field, fields, make_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from homeschool.cli.settings import apply
from homeschool.core.config import build
from homeschool.core.errors import UsageError

if TYPE_CHECKING:
    from homeschool.core.records import Row


def add_run(parser: argparse.ArgumentParser, *, name: str) -> None:
    """`--seed` and `--out`, for a verb that writes a run; `name` is the default folder, in words."""
    parser.add_argument("--seed", type=int, default=0, help="every random number starts from it (default 0)")
    parser.add_argument("--out", type=Path, help=f"the run's folder (default runs/{name})")


def folder_of(args: argparse.Namespace, *names: str) -> Path:
    """`--out`, or a folder named after what is done, so that the same command finds it again."""
    return args.out or Path("runs") / "-".join([*map(_short, names), str(args.seed)])


def _short(name: str) -> str:
    """What a name is called in a folder's: `mine.py:recipe` is mine-recipe, `http://host/v1#org/Big-7B` Big-7B."""
    parts = re.split(r"[/#]", name)[-1].split(":")
    return "-".join(re.sub(r"\.(py|jsonl|json|parquet|arrow|gz)\b", "", part) for part in parts if part) or "source"


def rows_in(path: Path) -> list[Row]:
    """The rows of a JSONL or Parquet file, or of all files in the `rows/` of a run folder, in order.

    Raises UsageError for what is not there, cannot be read or has no rows.
    """
    from homeschool.core.identity import canonical
    from homeschool.core.records import PROVENANCE, Row
    from homeschool.engine.rows import read_rows, read_table

    if path.is_dir():
        files = sorted((path / "rows").glob("*.parquet"))
        if not files:
            raise UsageError(f"{path} is a folder without rows/*.parquet", hint="name a run that makes rows, or a file")
        return _some([row for file in files for row in read_rows(file)], path)
    rows, seen = [], Counter[str]()
    for record in read_table(path):
        name = "" if PROVENANCE in record else canonical(record)
        rows.append(Row.from_dict(record) if not name else Row.source(record, occurrence=seen[name]))
        seen[name] += 1
    return _some(rows, path)


def rows_digest(rows: Iterable[Row]) -> str:
    """What names these rows in a run's settings: a run goes on only with the rows it began with."""
    from homeschool.core.identity import digest

    return digest("rows", [row.id for row in rows])


def options(function: Callable[..., Any], given: Sequence[str], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments that `key=value ...` make for `function`, checked against its signature.

    `defaults` are used where the function has such an argument and nobody gave it. Raises UsageError for an unknown
    key, naming the nearest, and for a value of the wrong type.
    """
    hints = get_type_hints(function)
    parameters = inspect.signature(function).parameters
    for parameter in parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise UsageError(f"{function.__name__} takes {parameter}", hint="give its options names of their own")
    known = [
        (
            name,
            _buildable(hints.get(name, Any)),
            field(default=MISSING if given.default is given.empty else given.default),
        )
        for name, given in parameters.items()
    ]
    kind = make_dataclass("Options", known, kw_only=True)
    values = apply({name: value for name, value in defaults.items() if name in parameters}, given)
    built = build(kind, values)
    return {each.name: getattr(built, each.name) for each in fields(kind)}


def _some(rows: list[Row], path: Path) -> list[Row]:
    if not rows:
        raise UsageError(f"{path} has no rows", hint="name a file or a run that has at least one")
    return rows


def _buildable(hint: Any) -> Any:
    """A sequence as the config reader knows it."""
    return tuple[get_args(hint)[0], ...] if get_origin(hint) in (Sequence, list) else hint
