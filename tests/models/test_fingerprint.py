from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from homeschool.models import fingerprint as module
from homeschool.models.fingerprint import fingerprint


def big(path: Path, content: bytes, *, old: bool = True) -> None:
    path.write_bytes(content * (module.SMALL // len(content) + 1))
    if old:
        os.utime(path, ns=(0, time.time_ns() - 10 * module.FRESH_NS))


def test_it_names_contents_and_names_but_not_the_folder(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_text("weights")
        (tmp_path / name / "notes.md").write_text(name)
    patterns = ["model*", "config.json"]
    first = fingerprint(tmp_path / "a", patterns=patterns)
    assert first == fingerprint(tmp_path / "b", patterns=patterns)
    (tmp_path / "b" / "config.json").write_text("{}")
    second = fingerprint(tmp_path / "b", patterns=patterns)
    (tmp_path / "b" / "config.json").write_text("{ }")
    assert len({first, second, fingerprint(tmp_path / "b", patterns=patterns)}) == 3


def test_big_settled_files_are_read_once(tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    big(tmp_path / "model.safetensors", b"one")
    read: list[Path] = []
    digest = module.file_digest
    monkeypatch.setattr(module, "file_digest", lambda path: (read.append(path), digest(path))[1])
    first = fingerprint(tmp_path, patterns=["model*"])
    assert fingerprint(tmp_path, patterns=["model*"]) == first
    assert len(read) == 1
    assert (own_cache / "homeschool" / "digests.json").is_file()
    big(tmp_path / "model.safetensors", b"two", old=False)
    second = fingerprint(tmp_path, patterns=["model*"])
    big(tmp_path / "model.safetensors", b"six", old=False)
    assert len({first, second, fingerprint(tmp_path, patterns=["model*"])}) == 3


@pytest.mark.parametrize("content", ["{", "[]", None])
def test_a_useless_memory_does_no_harm(tmp_path: Path, own_cache: Path, content: str | None) -> None:
    big(tmp_path / "model.safetensors", b"one")
    want = fingerprint(tmp_path, patterns=["model*"])
    memory = own_cache / "homeschool" / "digests.json"
    memory.unlink()
    if content is None:
        memory.mkdir()  # cannot be read as a file, nor replaced by one
    else:
        memory.write_text(content)
    assert fingerprint(tmp_path, patterns=["model*"]) == want
