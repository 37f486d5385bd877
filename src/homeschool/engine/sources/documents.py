"""Files as rows, one each: what folders of text, packages and repositories have in common.

Every file is read twice: once when the source is opened, to name the content and to count what is passed over and why,
and once for its row. A file that has changed in between stops the run, since its rows would not be those that were
promised.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from homeschool.core.errors import StoppedError
from homeschool.core.identity import digest
from homeschool.engine.sources import licence
from homeschool.engine.sources.files import PassedOver, decoded
from homeschool.engine.sources.source import Source, source_of

Reader = Callable[[str], bytes]
"""A file's bytes by its path; raises PassedOver."""


class Files(NamedTuple):
    """Files of one origin: their paths in order, how to read them, and what was passed over so far."""

    paths: Sequence[str]
    reading: Callable[[], AbstractContextManager[Reader]]
    notes: Counter[str]


def chosen(files: Files, unwanted: Callable[[str], str]) -> Files:
    """The files for which `unwanted` has no reason; the reasons of the others are counted."""
    reasons = [unwanted(path) for path in files.paths]
    files.notes.update(filter(None, reasons))
    return files._replace(paths=[path for path, reason in zip(files.paths, reasons, strict=True) if not reason])


class Licences:
    """The licence that holds for a path: that of the nearest folder above it with a licence file."""

    def __init__(self, files: Files, *, default: str = "") -> None:
        self._default = default
        found: dict[PurePosixPath, list[str]] = {}
        with files.reading() as read:
            for path in map(PurePosixPath, files.paths):
                if licence.NAMES.fullmatch(path.name):
                    found.setdefault(path.parent, []).append(_recognised(read, str(path)))
        self._by_folder = {folder: licence.agreed(names) for folder, names in found.items()}

    def of(self, path: str) -> str:
        """An SPDX id, or "" where it is unknown."""
        folders = (folder for folder in PurePosixPath(path).parents if folder in self._by_folder)
        nearest = next(folders, None)
        return self._default if nearest is None else self._by_folder[nearest]


def documents_source(name: str, files: Files, row: Callable[[str, str], Mapping[str, Any]]) -> Source:
    """A source with a row for each file. `row` makes it of path and text, or raises PassedOver."""
    kept: dict[str, bytes] = {}
    licences: list[str] = []
    with files.reading() as read:
        for path in files.paths:
            try:
                data = read(path)
                made = row(path, decoded(data))
            except PassedOver as reason:
                files.notes[str(reason)] += 1
                continue
            kept[path] = hashlib.sha256(data).digest()[:12]
            licences.append(made.get("license", ""))
    content = digest("documents", [[path, kept[path].hex()] for path in kept], licences)

    def records() -> Iterator[Mapping[str, Any]]:
        with files.reading() as read:
            for path, expected in kept.items():
                data = _again(read, path)
                if hashlib.sha256(data).digest()[:12] != expected:
                    raise StoppedError(
                        f"{path} of {name} changed while it was read", hint="leave it alone and type the command again"
                    )
                yield row(path, decoded(data))

    return source_of(name, records, content=content, total=len(kept), notes=files.notes)


def with_licence(record: Mapping[str, Any], known: Iterable[str]) -> dict[str, Any]:
    """The record with the first licence that is known, if any is."""
    first = next(filter(None, known), "")
    return {**record, "license": first} if first else dict(record)


def _again(read: Reader, path: str) -> bytes:
    try:
        return read(path)
    except PassedOver:
        return b""  # not what it was


def _recognised(read: Reader, path: str) -> str:
    try:
        return licence.of_text(decoded(read(path)))
    except PassedOver:
        return ""
