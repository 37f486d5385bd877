"""Methods are found by their file name: what lies in a package's folder, and what third parties add by entry point.

Listing reads the files and imports none, so that `homeschool list` is quick and a broken file cannot break it. Loading
imports one file. A name of ours wins over a third party's, so that installing a package never changes a method.
"""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypedDict

from homeschool.core.errors import UsageError, unknown

_ARXIV = re.compile(r"\b\d{4}\.\d{4,5}\b")
_NAME = r"[A-Z][\w'-]+"
_AUTHORS = re.compile(rf"{_NAME}(?: et al\.| and {_NAME}|, {_NAME} and {_NAME}),? \(?(?:19|20)\d\d")


class Listing(TypedDict):
    """One line of `homeschool list`."""

    name: str
    summary: str
    """First line of the file's docstring."""
    paper: str
    """arXiv id or `Author et al. YEAR`, the first in the docstring; empty if there is none."""


def implementations(package: str, attribute: str) -> list[Listing]:
    """Every method of `package` (as `homeschool.verify`) that offers `attribute` (as `verifier`), by name.

    A file counts if it defines or assigns `attribute` at its top level. Entry points of the group
    `homeschool.verifiers` (the plural of `attribute`) are added, with the name of their distribution for a summary.
    """
    found: dict[str, Listing] = {}
    for entry in importlib.metadata.entry_points(group=_group(attribute)):
        origin = f"from {entry.dist.name}" if entry.dist else "from a third party"
        found[entry.name] = Listing(name=entry.name, summary=origin, paper="")
    for file in _files(package):
        tree = _tree(file)
        if tree is not None and attribute in _names(tree):
            text = ast.get_docstring(tree) or ""
            found[file.stem] = Listing(name=file.stem, summary=text.partition("\n")[0], paper=_paper(text))
    return [found[name] for name in sorted(found)]


def load(package: str, name: str, attribute: str, *, kind: str) -> Any:
    """`attribute` of the method `name`; UsageError, naming the nearest, if there is none.

    `kind` is its name in words, for that error.
    """
    for file in _files(package):
        if file.stem == name:
            tree = _tree(file)
            if tree is not None and attribute in _names(tree):
                return getattr(importlib.import_module(f"{package}.{name}"), attribute)
    for entry in importlib.metadata.entry_points(group=_group(attribute), name=name):
        try:
            return entry.load()
        except (ImportError, AttributeError) as error:
            raise UsageError(
                f"the {kind} {name!r} ({entry.value}) cannot be loaded ({error})",
                hint="reinstall or remove the package that brings it",
            ) from error
    raise unknown(kind, name, [listing["name"] for listing in implementations(package, attribute)])


def _group(attribute: str) -> str:
    plural = attribute[:-1] + "ies" if attribute.endswith("y") else attribute + "s"
    return f"homeschool.{plural}"


def _files(package: str) -> Iterator[Path]:
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        yield from sorted(file for file in Path(folder).glob("*.py") if not file.stem.startswith("_"))


def _tree(file: Path) -> ast.Module | None:
    try:
        return ast.parse(file.read_text("utf-8"))
    except SyntaxError:
        return None


def _names(tree: ast.Module) -> set[str]:
    """What a file defines or assigns at its top level."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


def _paper(docstring: str) -> str:
    match = _ARXIV.search(docstring) or _AUTHORS.search(" ".join(docstring.split()))
    return match.group() if match else ""
