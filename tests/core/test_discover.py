"""Methods are found by reading, and loaded one at a time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from homeschool.core import discover
from homeschool.core.errors import UsageError

FILES = {
    "star.py": '"""STaR: reason, check.\n\nZelikman et al. 2022, arXiv:2203.14465.\n"""\ndef method():\n    return 1\n',
    "other.py": '"""No id here (Smith and Jones 2019)."""\nmethod = len\n',
    "typed.py": "method: int = 5\n",
    "asynchronous.py": "async def method(row, ctx): ...\n",
    "helper.py": '"""method: not one."""\nmethods = 1\ndef inner():\n    method = 1\n',
    "bad.py": "def method(:\n",
    "_private.py": "method = 1\n",
    "boom.py": "method = 1\nraise RuntimeError\n",
}


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    name = "shelf_of_a_test"
    (tmp_path / name).mkdir()
    for file, text in {"__init__.py": "", **FILES}.items():
        (tmp_path / name / file).write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    for module in [module for module in sys.modules if module.partition(".")[0] == name]:
        del sys.modules[module]


def test_listing_reads_and_does_not_import(shelf: str) -> None:
    found = {listing["name"]: listing for listing in discover.implementations(shelf, "method")}
    assert list(found) == ["asynchronous", "boom", "other", "star", "typed"]
    assert found["star"] == {"name": "star", "summary": "STaR: reason, check.", "paper": "2203.14465"}
    assert found["other"]["paper"] == "Smith and Jones 2019"
    assert found["typed"] == {"name": "typed", "summary": "", "paper": ""}
    assert f"{shelf}.star" not in sys.modules


def test_loading(shelf: str) -> None:
    assert discover.load(shelf, "star", "method", kind="method")() == 1
    assert f"{shelf}.other" not in sys.modules
    with pytest.raises(UsageError, match="unknown loop method 'sta': did you mean 'star'"):
        discover.load(shelf, "sta", "method", kind="loop method")
    with pytest.raises(UsageError, match="unknown"):
        discover.load(shelf, "helper", "method", kind="method")


def test_third_parties_add_and_never_replace(shelf: str, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = EntryPoints(
        EntryPoint(name, target, "homeschool.methods")
        for name, target in (("star", "json:loads"), ("theirs", "json:dumps"), ("gone", "no_such_module:x"))
    )
    monkeypatch.setattr(discover.importlib.metadata, "entry_points", lambda **wanted: entries.select(**wanted))
    assert discover.load(shelf, "theirs", "method", kind="method")([1]) == "[1]"
    assert discover.load(shelf, "star", "method", kind="method")() == 1
    names = [listing["name"] for listing in discover.implementations(shelf, "method")]
    assert names == ["asynchronous", "boom", "gone", "other", "star", "theirs", "typed"]
    with pytest.raises(UsageError, match=r"'gone'.*cannot be loaded"):
        discover.load(shelf, "gone", "method", kind="method")
