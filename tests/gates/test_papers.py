"""docs/papers.md is what `make docs` writes: a new method that nobody listed fails here."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_papers", ROOT / "tools" / "make_papers.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_page_is_the_generated_one(tool: ModuleType) -> None:
    assert tool.PAGE.read_text(encoding="utf-8") == tool.page(), "type `make docs`"


def test_every_shelf_has_a_method_and_every_file_is_there(tool: ModuleType) -> None:
    page = tool.page()
    for heading, package, attribute, purpose in tool.SHELVES:
        rows = tool.section(heading, package, attribute, purpose).splitlines()[6:]
        assert rows, f"{heading} lists nothing"
        for row in rows:
            file = row.rpartition("](../")[2].partition(")")[0]
            assert (ROOT / file).is_file(), file
            assert row in page


def test_papers_are_links(tool: ModuleType) -> None:
    assert tool.paper("2203.14465") == "[arXiv:2203.14465](https://arxiv.org/abs/2203.14465)"
    assert tool.paper("Yuan et al. 2023") == "Yuan et al. 2023"
