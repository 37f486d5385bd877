from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeschool.core.errors import StoppedError
from homeschool.engine.sources import licence, text
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
    [
        "---\nnot: [closed\n---\n",
        "---\njust words\n---\n",
        "---\n",
        "----\na: b\n---\n",
        "---\n" + "[" * 2000 + "\n---\n",
    ],
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
    hostile = (
        "{{ 7 * 7 }} {0.__class__} %(x)s ${HOME} <script>fetch('/')</script> ../../etc/passwd file:///etc/passwd\n"
    )
    (tmp_path / "page.md").write_text(hostile)
    (tmp_path / "{{name}} {0}.txt").write_text("x")
    assert [(row["path"], row["text"]) for row in columns(tmp_path)] == [
        ("page.md", hostile),
        ("{{name}} {0}.txt", "x"),
    ]


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
    write(
        tmp_path,
        LICENSE_txt=MIT,
        a_txt="x",
        sub__COPYING_txt="All rights reserved.",
        sub__b_txt="x",
        sub__deep__c_txt="x",
    )
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
@given(
    st.text(max_size=40)
    | st.lists(st.sampled_from(["mit", "(", ")", "or", "and", "with", "LicenseRef-", "+"])).map(" ".join)
)
def test_a_declared_licence_of_any_text_is_a_text(value: str) -> None:
    assert "\n" not in licence.declared(value)


def test_code_about_licences_is_no_licence_file() -> None:
    names = ["LICENSE", "LICENCE.md", "COPYING", "COPYING.LESSER", "LICENSE-MIT", "LICENSE-APACHE-2.0.txt", "UNLICENSE"]
    assert all(map(licence.NAMES.fullmatch, names))
    others = ["licence.py", "license_check.py", "license-check.sh", "licensing.md", "COPYING.html.j2", "my-license.txt"]
    assert not any(map(licence.NAMES.fullmatch, others))
