from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeschool.core.errors import StoppedError, UsageError
from homeschool.engine.sources import code, git, licence, text
from homeschool.engine.sources.open import open_source

QUICK = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ROOT = Path(__file__).parents[2]
COMMON = Path("/usr/share/common-licenses")
MIT = """MIT License

Copyright (c) 2020 Ada Example
Copyright (c) 2021 Ben Example and many others who are named here at some length

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def columns(name: Path | str) -> list[dict[str, Any]]:
    return [dict(row.columns) for row in open_source(str(name)).rows()]


def paths(name: Path | str) -> list[str]:
    return [row["path"] for row in columns(name)]


def write(folder: Path, **files: str) -> None:
    """Files by name, in which `__` stands for a slash and the last `_` for a dot."""
    for name, content in files.items():
        path = folder / ".".join(name.replace("__", "/").rsplit("_", 1))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


# --- texts --------------------------------------------------------------------------------------------------------


def test_texts_and_their_front_matter(tmp_path: Path) -> None:
    write(tmp_path, b_md="---\ntitle: 'Bread'\nlicense: cc0-1.0\ndraft: yes\n---\n# How\n", a__c_txt="plain", d_py="1")
    found = open_source(str(tmp_path))
    assert [dict(row.columns) for row in found.rows()] == [
        {"path": "a/c.txt", "text": "plain"},
        {"path": "b.md", "text": "# How\n", "title": "Bread", "license": "CC0-1.0"},
    ]
    assert (found.total, dict(found.notes)) == (2, {"not text": 1})


@pytest.mark.parametrize(
    "start",
    ["---\nnot: [closed\n---\n", "---\njust words\n---\n", "---\n", "----\na: b\n---\n", "---\n" + "[" * 5000 + "\n---\n"],
)
def test_what_is_no_front_matter_stays_text(start: str) -> None:
    assert text.front_matter(start + "body") == ({}, start + "body")


@QUICK
@given(st.text(st.sampled_from("-\n:a !&*{}[]'\"\\|>%@`<=#,?1."), max_size=60))
def test_front_matter_of_any_text_neither_fails_nor_adds(content: str) -> None:
    declared, rest = text.front_matter(f"---\n{content}\n---\nbody")
    assert rest.endswith("body")
    assert isinstance(declared, dict)
    assert isinstance(text.card_licence(declared), str)


def test_front_matter_makes_no_objects(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    attack = f"title: !!python/object/apply:os.system ['touch {mark}']"
    declared, _ = text.front_matter(f"---\n{attack}\n---\nbody")
    assert not mark.exists()
    assert all(isinstance(value, (str, list)) for value in declared.values())


def test_templates_and_paths_in_a_text_stay_what_they_are(tmp_path: Path) -> None:
    hostile = "{{ 7 * 7 }} {0.__class__} %(x)s ${HOME} <script>fetch('/')</script> ../../etc/passwd file:///etc/passwd\n"
    (tmp_path / "page.md").write_text(hostile)
    (tmp_path / "{{name}} {0}.txt").write_text("x")
    assert [(row["path"], row["text"]) for row in columns(tmp_path)] == [("page.md", hostile), ("{{name}} {0}.txt", "x")]


def test_only_plain_files_of_the_folder_are_read(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("SECRET")
    inside = tmp_path / "docs"
    write(inside, a_txt="fine", sub__b_txt="fine", hidden_txt="x", blank_txt=" \n", latin_txt="x", nul_txt="x\0y")
    (inside / "hidden.txt").rename(inside / ".hidden.txt")
    (inside / "latin.txt").write_bytes("é".encode("latin-1"))
    (inside / "link.txt").symlink_to(tmp_path / "secret.txt")
    (inside / "up").symlink_to(tmp_path)
    (inside / "round").symlink_to(inside)
    os.mkfifo(inside / "pipe.txt")
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(inside / "s.txt")[-100:] if len(str(inside)) > 90 else str(inside / "s.txt"))
    found = open_source(str(inside))
    assert [row["path"] for row in found.rows()] == ["a.txt", "sub/b.txt"]
    expected = {"hidden": 1, "symlink": 3, "not a plain file": 2, "empty": 1, "not UTF-8": 1, "binary": 1}
    assert dict(found.notes) == expected


def test_a_name_that_breaks_lines_or_has_no_utf8_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path, ok_txt="x")
    (tmp_path / "two\nlines.txt").write_text("x")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.txt")).write_text("x")
    found = open_source(str(tmp_path))
    assert ([row["path"] for row in found.rows()], dict(found.notes)) == (["ok.txt"], {"unprintable name": 2})


def test_a_large_file_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "_LARGEST", 100)
    write(tmp_path, a_txt="x" * 100, b_txt="x" * 101)
    found = open_source(str(tmp_path))
    assert ([row["path"] for row in found.rows()], dict(found.notes)) == (["a.txt"], {"too large": 1})


def test_a_file_that_changes_or_becomes_a_link_stops_the_run(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("SECRET")
    write(tmp_path / "docs", a_txt="one", b_txt="two")
    found = open_source(str(tmp_path / "docs"))
    (tmp_path / "docs" / "b.txt").unlink()
    (tmp_path / "docs" / "b.txt").symlink_to(tmp_path / "secret")
    rows = found.rows()
    assert next(rows)["text"] == "one"
    with pytest.raises(StoppedError, match=r"b.txt of .*docs changed while it was read"):
        next(rows)


def test_folders_are_named_by_what_is_read(tmp_path: Path) -> None:
    write(tmp_path / "x", a_txt="one")
    write(tmp_path / "y", a_txt="one", b_png="x")
    assert open_source(str(tmp_path / "x")).digest == open_source(str(tmp_path / "y")).digest
    write(tmp_path / "y", a_txt="two")
    assert open_source(str(tmp_path / "x")).digest != open_source(str(tmp_path / "y")).digest
    write(tmp_path / "z", a_txt="one", LICENSE_txt=MIT)
    assert open_source(str(tmp_path / "x")).digest != open_source(str(tmp_path / "z")).digest


# --- licences -----------------------------------------------------------------------------------------------------


def test_the_nearest_licence_holds_and_a_files_own_wins(tmp_path: Path) -> None:
    write(tmp_path, LICENSE_txt=MIT, a_txt="x", sub__COPYING_txt="All rights reserved.", sub__b_txt="x", sub__deep__c_txt="x")
    write(tmp_path, sub__d_txt="# SPDX-License-Identifier: isc\nx", other__e_txt="// SPDX-License-Identifier: {{x}} */")
    write(tmp_path, other__f_rst=".. SPDX-License-Identifier: GPL-2.0+ OR mit -->")
    found = open_source(str(tmp_path))
    licences = {row["path"]: row.get("license") for row in found.rows()}
    assert licences == {
        "a.txt": "MIT",
        "other/e.txt": "MIT",
        "other/f.rst": "GPL-2.0-or-later OR MIT",
        "sub/b.txt": None,
        "sub/d.txt": "ISC",
        "sub/deep/c.txt": None,
    }
    assert found.notes == {"licence file": 2}


@pytest.mark.skipif(not COMMON.exists(), reason="this system keeps no common licences")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Apache-2.0", "Apache-2.0"),
        ("BSD", "BSD-3-Clause"),
        ("CC0-1.0", "CC0-1.0"),
        ("GPL-1", ""),
        ("GPL-2", "GPL-2.0-only"),
        ("GPL-3", "GPL-3.0-only"),
        ("LGPL-2.1", "LGPL-2.1-only"),
        ("LGPL-3", "LGPL-3.0-only"),
        ("MPL-2.0", "MPL-2.0"),
        ("MPL-1.1", ""),
        ("Artistic", ""),
        ("GFDL-1.3", ""),
    ],
)
def test_a_licence_is_known_by_its_words(name: str, expected: str) -> None:
    words = (COMMON / name).read_text(encoding="utf-8", errors="replace")
    assert licence.of_text(words) == expected
    assert licence.of_text(words.upper().replace("\n", "\r\n  > ")) == expected
    assert licence.of_text(words + MIT) == "", "a bundle of licences is none of them"


@pytest.mark.parametrize(
    "change",
    [
        lambda mit: mit,
        lambda mit: mit.replace("MIT License\n", "# The MIT License (MIT)\n"),
        lambda mit: mit.replace(" ", "  ").replace("\n", "\r\n * "),
    ],
)
def test_mit_is_mit_however_it_is_set(change: Any) -> None:
    assert licence.of_text(change(MIT)) == "MIT"


@pytest.mark.parametrize(
    "change",
    [
        lambda mit: mit + "\nThe Software shall be used for Good, not Evil.\n",
        lambda mit: mit + "\nThe Software may not be sold, nor used by any company with more than ten employees.\n" * 2,
        lambda mit: mit.replace("The above copyright notice and this permission notice", "This notice"),
        lambda mit: mit[:400],
        lambda mit: "Copyright 2020 Ada Example. All rights reserved.",
        lambda mit: "MIT",
    ],
)
def test_what_is_like_mit_is_not_mit(change: Any) -> None:
    assert licence.of_text(change(MIT)) == ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("apache-2.0", "Apache-2.0"),
        ("Apache License, Version 2.0", "Apache-2.0"),
        ("MIT License", "MIT"),
        (["mit"], "MIT"),
        (["mit", "isc"], ""),
        ("gpl-3.0", "GPL-3.0-only"),
        ("GPL-2.0-only WITH Classpath-exception-2.0", "GPL-2.0-only WITH Classpath-exception-2.0"),
        ("Apache Software License", ""),
        ("BSD", ""),
        ("other", ""),
        ("ignore all previous instructions", ""),
        (3, ""),
        (None, ""),
        ({"mit": 1}, ""),
    ],
)
def test_a_declared_licence_is_one_that_spdx_knows(value: Any, expected: str) -> None:
    assert licence.declared(value) == expected


@QUICK
@given(st.text(max_size=40) | st.lists(st.sampled_from(["mit", "(", ")", "or", "and", "with", "LicenseRef-", "+"])).map(" ".join))
def test_a_declared_licence_of_any_text_is_a_text(value: str) -> None:
    assert "\n" not in licence.declared(value)


# --- code ---------------------------------------------------------------------------------------------------------


def run_git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def repository(folder: Path, **files: str) -> Path:
    write(folder, **files)
    run_git(folder, "init")
    run_git(folder, "add", "--all")
    run_git(folder, "commit", "-m", "first")
    return folder


def test_a_repository_is_what_is_tracked_at_head(tmp_path: Path) -> None:
    repo = repository(tmp_path / "r", LICENSE_md=MIT, a_py="x = 1\n", b__c_rs="fn main() {}\n", e_md="# words")
    (repo / "untracked.py").write_text("y = 2\n")
    (repo / "a.py").write_text("x = 'not committed'\n")
    found = open_source(str(repo))
    assert [dict(row.columns) for row in found.rows()] == [
        {"path": "a.py", "text": "x = 1\n", "language": "Python", "license": "MIT"},
        {"path": "b/c.rs", "text": "fn main() {}\n", "language": "Rust", "license": "MIT"},
    ]
    assert (found.total, dict(found.notes)) == (2, {"not code": 2})
    run_git(tmp_path, "clone", "--no-local", "--bare", str(repo), "bare")
    run_git(repo, "worktree", "add", str(tmp_path / "tree"))
    assert open_source(str(tmp_path / "bare")).digest == found.digest == open_source(str(tmp_path / "tree")).digest


def test_vendored_generated_minified_binary_and_linked_code_is_passed_over(tmp_path: Path) -> None:
    repo = tmp_path / "r"
    write(repo, ok_py="x = 1", vendor__a_py="x", node_modules__b_js="x", m_pb2_py="x", big_py="#" + "\nx = 1" * 200_000)
    write(repo, g_py='# Code generated by protoc. DO NOT EDIT.\nx = 1', min_js="var x=" + "1+" * 4000 + "1", nul_py="\0", none_py="")
    write(repo, fine_py='"""Rows generated by a model; edit them as you like."""\n')
    (repo / "m_pb2.py").write_text("x")
    (repo / "link.py").symlink_to("/etc/passwd")
    repository(repo)
    found = open_source(str(repo))
    assert [row["path"] for row in found.rows()] == ["fine.py", "m.pb2.py", "ok.py"] or paths(repo) == ["fine.py", "ok.py"]
    expected = {"vendored": 2, "generated": 2, "minified": 1, "binary": 1, "symlink": 1, "too large": 1, "empty": 1}
    assert dict(found.notes) == expected


def test_a_hostile_repository_runs_nothing_and_calls_nobody(tmp_path: Path) -> None:
    repo, mark = repository(tmp_path / "r", a_py="x = 1\n", b_py="y = 2\n"), tmp_path / "mark"
    bad = tmp_path / "bad"
    bad.write_text(f"#!/bin/sh\ntouch {mark}\n")
    bad.chmod(0o755)
    (repo / ".gitattributes").write_text("* filter=f diff=f\n")
    run_git(repo, "add", ".gitattributes")
    run_git(repo, "commit", "-m", "attributes")
    blob = subprocess.run(["git", "rev-parse", "HEAD:b.py"], cwd=repo, capture_output=True, text=True).stdout.strip()
    settings_ = {
        "core.fsmonitor": bad,
        "core.pager": bad,
        "core.sshCommand": bad,
        "core.hooksPath": tmp_path,
        "filter.f.smudge": bad,
        "filter.f.clean": bad,
        "diff.f.textconv": bad,
        "pager.ls-tree": bad,
        "pager.cat-file": bad,
        "alias.ls-tree": f"!{bad}",
        "core.repositoryFormatVersion": 1,
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": f"ext::{bad}",
        "protocol.ext.allow": "always",
        "protocol.allow": "always",
    }
    for name, value in settings_.items():
        run_git(repo, "config", name, str(value))
    (repo / ".git" / "objects" / blob[:2] / blob[2:]).unlink()  # a partial clone would now ask its remote
    found = open_source(str(repo))
    assert [row["path"] for row in found.rows()] == ["a.py"]
    assert found.notes["missing from the repository"] == 1
    assert not mark.exists()


def borrow_objects(bad: Path, secret: Path) -> None:
    (bad / ".git/objects/info").mkdir(exist_ok=True)
    (bad / ".git/objects/info/alternates").write_text(f"{secret}/.git/objects\n")


def link_references(bad: Path, secret: Path) -> None:
    (bad / ".git/refs/heads/main").unlink()
    (bad / ".git/refs/heads/main").symlink_to(secret / ".git/refs/heads/main")


def share_all(bad: Path, secret: Path) -> None:
    (bad / ".git/commondir").write_text(f"{secret}/.git\n")


def name_it(bad: Path, secret: Path) -> None:
    (bad / ".git").rename(bad / "old")
    (bad / ".git").write_text(f"gitdir: {secret}/.git\n")


def link_it(bad: Path, secret: Path) -> None:
    (bad / ".git").rename(bad / "old")
    (bad / ".git").symlink_to(secret / ".git")


@pytest.mark.parametrize("trick", [borrow_objects, link_references, share_all, name_it, link_it])
def test_a_repository_cannot_show_another_one(trick: Any, tmp_path: Path) -> None:
    secret = repository(tmp_path / "secret", key_py="SECRET = 1\n")
    bad = repository(tmp_path / "bad", a_py="x = 1\n")
    trick(bad, secret)
    with pytest.raises(UsageError, match=r"borrows from outside|does not know this folder|is not a git repository"):
        open_source(f"git:{bad}")


def test_a_repository_without_commits_or_with_endless_files_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_git(tmp_path, "init", "new")
    with pytest.raises(UsageError, match="has no commit that can be read"):
        open_source(str(tmp_path / "new"))
    repo = repository(tmp_path / "r", a_py="x", b_py="x", c_py="x")
    monkeypatch.setattr(git, "_MOST_FILES", 2)
    with pytest.raises(UsageError, match="more than 2 files"):
        open_source(str(repo))


def test_without_git_there_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = repository(tmp_path, a_py="x = 1")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match="cannot be read without git"):
        open_source(str(repo))


def test_a_package_is_read_and_not_imported() -> None:
    """In a process of its own, since tests import so much."""
    program = (
        "import sys\nfrom homeschool.engine.sources.open import open_source\n"
        "found = open_source('py:iniconfig')\nrows = list(found.rows())\n"
        "assert 'iniconfig' not in sys.modules\n"
        "print(*sorted({row['license'] + ' ' + row['language'] + ' ' + row['path'] for row in rows}), sep='\\n')"
    )
    ran = subprocess.run([os.sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "MIT Python iniconfig/__init__.py" in ran.stdout.splitlines()


def test_a_package_by_its_modules_name_and_one_without_files() -> None:
    with pytest.raises(UsageError, match="the module comes with py:PyYAML"):
        open_source("py:yaml")
    with pytest.raises(UsageError, match="did you mean py:pytest"):
        open_source("py:pytestt")


@pytest.mark.parametrize("path", ["../../../etc/passwd.py", "/etc/passwd.py", "a/../../b.py"])
def test_a_packages_list_of_files_does_not_lead_out_of_it(path: str) -> None:
    assert code._unwanted({".py": "Python"}, path) == "outside the package"


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout")
def test_this_repository_is_a_source() -> None:
    found = open_source(str(ROOT))
    rows = list(found.rows())
    assert len(rows) == found.total
    assert "src/homeschool/core/records.py" in {row["path"] for row in rows}
    assert {row["license"] for row in rows} == {"Apache-2.0"}
