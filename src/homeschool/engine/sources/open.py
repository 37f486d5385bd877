"""A source by its name: what `--source` accepts.

- a file: JSON lines or a JSON list (also gzipped), Parquet, Arrow
- a run's folder: the rows it made, with their ids and history
- a dataset's folder, `FOLDER#SPLIT`: what `datasets` saved, or tables beside a card
- a git repository: the code at HEAD; `git:FOLDER` where a folder could be taken for something else
- any other folder: its texts and Markdown; `text:FOLDER` likewise
- `py:PACKAGE`: the code of an installed package
- `-`: standard input, a table in JSON or Parquet

A source is data: nothing in it is run, imported, formatted as a template, or opened because it says so. What is passed
over is counted, and what is ambiguous is refused.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from homeschool.core.errors import UsageError
from homeschool.engine.files import replacing
from homeschool.engine.sources import code, git, tables, text
from homeschool.engine.sources.files import listed
from homeschool.engine.sources.source import KINDS, Source


def open_source(name: str, *, spool: Path | None = None) -> Source:
    """The source called `name`. Standard input is kept in the file `spool`, so that it can be read again.

    Opening reads all content once, to name it and to count what can be counted. Raises UsageError if there is no such
    source, if it cannot be read, or if it is known to have no rows.
    """
    if name == "-":
        return _standard_input(spool)
    if name.startswith("py:"):
        return code.package_source(name, name.removeprefix("py:"))
    if name.startswith("git:"):
        return code.git_source(name, _folder(name.removeprefix("git:")))
    if name.startswith("text:"):
        return text.text_source(name, listed(_folder(name.removeprefix("text:"))))
    where, split = _located(name)
    if where.is_dir():
        return _of_folder(name, where, split)
    if split:
        raise UsageError(f"{where} has no splits", hint=f"name it without #{split}")
    if not where.exists():
        raise UsageError(f"{name} does not exist", hint=f"name {KINDS}")
    return tables.table_source(name, where)


def _of_folder(name: str, where: Path, split: str) -> Source:
    folder = listed(where)
    shown = str(where)
    data, texts = tables.data_files(folder), [path for path in folder.files if text.is_text(path)]
    if tables.run_files(folder) and not split:
        return tables.run_source(shown, folder)
    if tables.is_saved(folder) or (data and text.card_of(folder)):
        return tables.dataset_source(shown, folder, split=split)
    repository = git.is_repository(where)
    if data and not repository:
        if len(texts) > texts.count("README.md"):
            raise UsageError(
                f"{name} holds both {len(data)} tables and {len(texts)} texts",
                hint=f"name one of the tables, or text:{where}",
            )
        return tables.dataset_source(shown, folder, split=split)
    if split:
        raise UsageError(f"{where} has no splits", hint=f"name it without #{split}")
    return code.git_source(name, where) if repository else text.text_source(name, folder)


def _located(name: str) -> tuple[Path, str]:
    """A path and the split after `#`; a `#` that is part of the path is no split's."""
    if not name:
        raise UsageError("the source has no name", hint=f"name {KINDS}")
    if Path(name).exists():
        return Path(name), ""
    where, _, split = name.rpartition("#")
    return (Path(where), split) if split and Path(where or "#").exists() else (Path(name), "")


def _folder(name: str) -> Path:
    if not name or not Path(name).is_dir():
        raise UsageError(f"{name or 'nothing'} is not a folder", hint="name a folder after the colon")
    return Path(name)


def _standard_input(spool: Path | None) -> Source:
    if spool is None:
        raise UsageError("standard input can be read only once and there is nowhere to keep it", hint="name a file")
    if sys.stdin.isatty():
        raise UsageError("- is standard input, which is a terminal", hint="pipe rows into it, or name a file")
    with replacing(spool) as aside, aside.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file, 2**20)
    with spool.open("rb") as file:
        kind = ".parquet" if file.read(4) == b"PAR1" else ".jsonl"
    return tables.table_source("standard input", spool, kind=kind)
