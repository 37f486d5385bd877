"""Folders of text and Markdown: a row per file with `path`, `text`, and `title` and `license` if known.

A Markdown file's front matter is read for these two, as text and nothing else, and left out of `text`. Its licence
wins, then a file's own `SPDX-License-Identifier`, then the licence file of the nearest folder.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from homeschool.engine.sources import licence
from homeschool.engine.sources.documents import Files, Licences, Reader, chosen, documents_source, with_licence
from homeschool.engine.sources.files import MIB, Folder, PassedOver, decoded
from homeschool.engine.sources.source import Source

MARKDOWN = (".md", ".markdown")
TEXT = (".txt", ".text", ".rst", *MARKDOWN)
_LARGEST = 64 * MIB
_FRONT = re.compile(r"---[ \t]*\r?\n(.{0,65536}?)^(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)


def text_source(name: str, folder: Folder) -> Source:
    """The texts of a folder."""
    files = Files(folder.files, partial(_reading, folder), folder.notes)
    return documents_source(name, chosen(files, _unwanted), partial(_row, Licences(files)))


def is_text(path: str) -> bool:
    """Whether the name is that of a text, which a licence's is not."""
    own = PurePosixPath(path).name
    return own.lower().endswith(TEXT) and not licence.NAMES.fullmatch(own)


def front_matter(text: str) -> tuple[dict[str, Any], str]:
    """What a Markdown file declares before its text, and the text. `{}` and all of it where it declares nothing."""
    import yaml

    found = _FRONT.match(text)
    if not found:
        return {}, text
    try:
        # This loader makes text, lists and dictionaries only: no tag, date or number of a stranger is resolved.
        declared = yaml.load(found[1], Loader=yaml.BaseLoader)
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}, text
    if not isinstance(declared, dict):
        return {}, text
    return declared, text[found.end() :]


def card_of(folder: Folder) -> dict[str, Any]:
    """What a dataset's README.md declares before its text; `{}` if nothing."""
    try:
        return front_matter(decoded(folder.read("README.md", most=MIB)))[0] if "README.md" in folder.files else {}
    except PassedOver:
        return {}


def _unwanted(path: str) -> str:
    if is_text(path):
        return ""
    return "licence file" if licence.NAMES.fullmatch(PurePosixPath(path).name) else "not text"


def _row(licences: Licences, path: str, text: str) -> dict[str, Any]:
    declared: dict[str, Any] = {}
    if path.lower().endswith(MARKDOWN):
        declared, text = front_matter(text)
        if not text.strip():
            raise PassedOver("empty")
    title = declared.get("title")
    record = {"path": path, "text": text, **({"title": title} if isinstance(title, str) and title else {})}
    return with_licence(record, (card_licence(declared), licence.in_header(text), licences.of(path)))


def card_licence(declared: dict[str, Any]) -> str:
    """The licence of front matter, as an SPDX id, or ""."""
    return licence.declared(declared.get("license") or declared.get("licence"))


@contextmanager
def _reading(folder: Folder) -> Iterator[Reader]:
    read: Callable[[str], bytes] = partial(folder.read, most=_LARGEST)
    yield read
