"""Verifiers by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeschool.core.errors import UsageError
from homeschool.verify.load import list_verifiers, load_verifier


def test_ours_by_file_name() -> None:
    assert [load_verifier(name).name for name in ("exact", "math")] == ["exact@1", "math@1"]
    listed = {listing["name"]: listing["summary"] for listing in list_verifiers()}
    assert {"exact", "math"} <= set(listed)
    assert not {"load", "user", "answers", "math_pool", "math_worker"} & set(listed)
    assert all(listed.values())


def test_a_persons_own(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def judge(answer, row): return True", encoding="utf-8")
    assert load_verifier(f"{tmp_path / 'mine.py'}:judge").name.startswith("mine.py:judge@")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("exakt", "unknown verifier 'exakt': did you mean 'exact'"),
        ("answers", "unknown verifier 'answers'"),
        ("../math", "unknown verifier"),
        ("tests", "sandbox of a later version"),
        ("mine.py", "write `mine.py:judge`"),
        ("gone.py:judge", "no file 'gone.py'"),
        ("", "unknown verifier"),
    ],
)
def test_unknown_names(name: str, words: str) -> None:
    with pytest.raises(UsageError) as raised:
        load_verifier(name)
    assert words in str(raised.value)
