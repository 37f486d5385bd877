"""Files that other people wrote, found and read without trusting them.

A folder is listed without following any symbolic link; links, pipes, devices and sockets, hidden names and names that
are not UTF-8 are passed over and counted. A file is opened only as the plain file that it was listed as, and no more of
it is read than was allowed. Nothing is ever opened because a file's content names it.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

MIB = 2**20


class PassedOver(Exception):
    """A file gives no row; the text is the reason, which is counted, and the next file is read."""


@dataclass(frozen=True)
class Folder:
    """A folder's plain files, as paths relative to it, in order; and what was passed over, by reason."""

    root: Path
    files: tuple[str, ...]
    notes: Counter[str] = field(default_factory=Counter[str])

    def read(self, path: str, *, most: int) -> bytes:
        """A listed file. Raises PassedOver if it is larger than `most` bytes or no plain file any more."""
        return read_plain(self.root / path, most=most)


def listed(root: Path) -> Folder:
    """The folder with all that is below it. What the person named may itself be a link; nothing below is followed."""
    notes = Counter[str]()
    files = sorted(_below(root, notes))
    return Folder(root, tuple(files), notes)


def read_plain(path: Path, *, most: int) -> bytes:
    """The bytes of a plain file. Raises PassedOver for a link, for anything that is no file, for more than `most`."""
    try:
        # Not blocking, since opening a pipe would wait for a writer; not following, since a link may lead anywhere.
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise PassedOver("unreadable") from error
    with os.fdopen(number, "rb") as file:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise PassedOver("not a plain file")
        data = file.read(most + 1)
    if len(data) > most:
        raise PassedOver("too large")
    return data


def decoded(data: bytes) -> str:
    """The text of a file. Raises PassedOver if it has none that can be read."""
    if b"\0" in data[:8192]:
        raise PassedOver("binary")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PassedOver("not UTF-8") from error
    if not text.strip():
        raise PassedOver("empty")
    return text


def _below(root: Path, notes: Counter[str]) -> Iterator[str]:
    """Relative paths of the plain files, in no order. A list of what is still to be seen, since trees may be deep."""
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            entries = list(os.scandir(root / folder))
        except OSError:
            notes["unreadable"] += 1
            continue
        for entry in entries:
            path = f"{folder}{entry.name}"
            if reason := _unwanted(entry):
                notes[reason] += 1
            elif entry.is_dir(follow_symlinks=False):
                waiting.append(f"{path}/")
            else:
                yield path


def _unwanted(entry: os.DirEntry[str]) -> str:
    if entry.name.startswith("."):
        return "hidden"
    if entry.is_symlink():
        return "symlink"
    if not (entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False)):
        return "not a plain file"
    return "" if entry.name.isprintable() else "unprintable name"
