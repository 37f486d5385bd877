"""Code as rows, one per file: `path`, `text`, `language`, and `license` if known.

A git repository gives what is tracked at HEAD; `py:NAME` the Python files of an installed package, found through its
metadata and never imported. Passed over and counted: vendored, generated, minified, binary and very large files, links
and submodules. A file's own `SPDX-License-Identifier` wins, then the licence file of the nearest folder, then what the
package's metadata declares.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any

from homeschool.core.errors import UsageError
from homeschool.engine.sources import git, licence
from homeschool.engine.sources.documents import Files, Licences, Reader, chosen, documents_source, with_licence
from homeschool.engine.sources.files import MIB, PassedOver, decoded, read_plain
from homeschool.engine.sources.source import Source

_LARGEST = MIB
_LONGEST_LINE = 5000
_LANGUAGES = {
    ".c": "C",
    ".cc": "C++",
    ".cpp": "C++",
    ".cs": "C#",
    ".cu": "CUDA",
    ".dart": "Dart",
    ".ex": "Elixir",
    ".go": "Go",
    ".h": "C",
    ".hpp": "C++",
    ".hs": "Haskell",
    ".java": "Java",
    ".jl": "Julia",
    ".js": "JavaScript",
    ".jsx": "JavaScript",
    ".kt": "Kotlin",
    ".lua": "Lua",
    ".ml": "OCaml",
    ".php": "PHP",
    ".pl": "Perl",
    ".py": "Python",
    ".r": "R",
    ".rb": "Ruby",
    ".rs": "Rust",
    ".scala": "Scala",
    ".sh": "Shell",
    ".sql": "SQL",
    ".swift": "Swift",
    ".ts": "TypeScript",
    ".tsx": "TypeScript",
    ".zig": "Zig",
}
_VENDORED = re.compile(
    r"(^|/)(_?vendor(ed)?|third_?party|external|extern|node_modules|site-packages|venv|__pycache__)/", re.IGNORECASE
)
_GENERATED_NAME = re.compile(r"(_pb2(_grpc)?\.pyi?|\.pb\.(go|cc|h)|\.min\.js|\.bundle\.js|\.g\.dart|\.designer\.cs)$")
_GENERATED = re.compile(
    r"@generated\b|\b(auto-?|automatically |machine[ -])generated\b|\bdo not edit\b|\bdo not modify (this|by)\b"
    r"|\bthis file (is|was) generated\b|^\W*generated (by|from|with|using)\b",
    re.IGNORECASE,
)
_HEAD, _HEAD_LINES = 4096, 12
"""Characters and lines in which a file says that it is generated."""


def git_source(name: str, folder: Path) -> Source:
    """The code of a git repository at HEAD."""
    store = git.store_of(folder)
    blobs, notes = git.tracked(folder, store)
    files = Files(tuple(blobs), partial(git.reading, store, blobs, most=_LARGEST), notes)
    row = partial(_row, Licences(files))
    return documents_source(name, chosen(files, partial(_unwanted, _LANGUAGES)), row)


def package_source(name: str, package: str) -> Source:
    """The Python files of an installed package. Raises UsageError if there is no such package."""
    try:
        found = metadata.distribution(package)
    except (metadata.PackageNotFoundError, ValueError) as error:
        raise UsageError(f"there is no package {package!r} here", hint=_similar(package)) from error
    paths = sorted(str(path) for path in found.files or ())
    if not any(path.endswith(".py") for path in paths):
        raise UsageError(
            f"the package {package!r} has no Python files of its own here",
            hint="if it is installed in editable form, name its git repository",
        )
    files = Files(paths, partial(_reading, Path(str(found.locate_file("")))), Counter[str]())
    row = partial(_row, Licences(files, default=_declared(found)))
    return documents_source(name, chosen(files, partial(_unwanted, {".py": "Python"})), row)


def _unwanted(languages: Mapping[str, str], path: str) -> str:
    if path.startswith("/") or ".." in PurePosixPath(path).parts:
        return "outside the package"
    if PurePosixPath(path).suffix.lower() not in languages:
        return "not code"
    if _VENDORED.search(path):
        return "vendored"
    return "generated" if _GENERATED_NAME.search(path) else ""


def _row(licences: Licences, path: str, text: str) -> dict[str, Any]:
    head = text[:_HEAD].split("\n", _HEAD_LINES)[:_HEAD_LINES]
    if any(map(_GENERATED.search, head)):
        raise PassedOver("generated")
    if max(map(len, text.split("\n"))) > _LONGEST_LINE:
        raise PassedOver("minified")
    record = {"path": path, "text": text, "language": _LANGUAGES[PurePosixPath(path).suffix.lower()]}
    return with_licence(record, (licence.in_header(text), licences.of(path)))


@contextmanager
def _reading(root: Path) -> Iterator[Reader]:
    def read(path: str) -> bytes:
        if ".." in PurePosixPath(path).parts:
            raise PassedOver("outside the package")
        return read_plain(root / path, most=_LARGEST)

    yield read


def _declared(package: metadata.Distribution) -> str:
    """A package's licence: what its metadata declares, if SPDX knows it, else what its licence files are."""
    about = package.metadata
    classifiers = [each for each in about.get_all("Classifier") or () if each.startswith("License :: OSI Approved :: ")]
    spoken = licence.agreed(licence.declared(each.rpartition(" :: ")[2]) for each in classifiers)
    said = [value for field in ("License-Expression", "License") for value in about.get_all(field) or ()]
    return next(filter(None, (*map(licence.declared, said), spoken)), "") or licence.agreed(_licence_files(package))


def _licence_files(package: metadata.Distribution) -> Iterator[str]:
    for path in package.files or ():
        inside = re.fullmatch(r"[^/]+\.dist-info/(licenses/)?([^/]+)", str(path))
        if inside and licence.NAMES.fullmatch(inside[2]):
            try:
                yield licence.of_text(decoded(read_plain(Path(str(path.locate())), most=_LARGEST)))
            except PassedOver:
                yield ""


def _similar(name: str) -> str:
    """A module's name is not always its package's."""
    packages = metadata.packages_distributions()
    if name in packages:
        return f"the module comes with py:{packages[name][0]}"
    close = difflib.get_close_matches(name, {each for names in packages.values() for each in names}, n=1)
    return f"did you mean py:{close[0]}?" if close else "pip list shows the packages"
