"""The dataset card: honest numbers, a head that the hub can read, and no text that can leave its place."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from generated_run import HOSTILE, make_run
from hypothesis import given
from hypothesis import strategies as st

from homeschool.core.errors import HomeschoolError, UsageError
from homeschool.engine.board import money
from homeschool.engine.card import plain, write_card
from homeschool.engine.export import write_trl
from homeschool.engine.summary import command, read_summary


def card_of(folder: Path) -> tuple[dict[str, Any], str]:
    """The YAML head, and the words below."""
    _, head, body = write_card(folder).read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(head), body


def changed(folder: Path, **values: Any) -> None:
    path = folder / "funnel.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_the_card_of_a_run_holds_every_part(tmp_path: Path) -> None:
    make_run(tmp_path)
    head, body = card_of(tmp_path)
    assert head == {
        "license": "mit",
        "task_categories": ["text-generation"],
        "size_categories": ["n<1K"],
        "tags": ["homeschool", "synthetic", "two_steps"],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "rows/*.parquet"}]}],
    }
    for words in (
        "16 rows that the recipe two_steps (Draft, then check) made from 20 source rows of problems.jsonl",
        "Self-Refine (arXiv:2303.17651)",
        "| source rows | 20 |",
        "| dropped: math: raised ValueError: boo | 2 |",
        "| dropped: math: wrong answer | 2 |",
        "| **rows kept** | **16** |",
        "| generator | 40 | 200 | 140 | $1.00 / $4.00 |",
        "Cost in US dollars: $0.00076.",
        "| judge | nano | eeeeeeeeeeeeeeeeeeeeeeee | t |",
        "two_steps, cccccccccccccccccccccccc",
        "| MIT | 20 |",
        "The verifier math@1 saw what it is made to see",
        "Passed over in the source: 2 symlink.",
        "known by its name alone",
        "    homeschool generate two_steps samples=2 style=short 'note=\"a b\"' --source problems.jsonl "
        "--model 'http://localhost:8000/v1#small' --role judge=nano --with math --seed 3\n",
    ):
        assert words in body, words
    assert "data.jsonl" not in body
    write_trl(tmp_path)
    assert "`data.jsonl` holds the rows once more" in card_of(tmp_path)[1]


def test_equal_runs_have_equal_cards_without_a_clock(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_run(tmp_path / name)
    one, two = (write_card(tmp_path / name).read_bytes() for name in ("a", "b"))
    assert one == two
    assert not re.search(rb"\d\d:\d\d|20\d\d-\d\d", one.replace(b"2303.17651", b""))


def test_a_run_that_has_not_ended_says_so_and_counts_what_is_there(tmp_path: Path) -> None:
    make_run(tmp_path, finished=False)
    summary = read_summary(tmp_path)
    assert (summary["rows_in"], summary["rows"], summary["finished"]) == (20, 16, False)
    head, body = card_of(tmp_path)
    assert head["license"] == "mit"
    for words in ("has not ended", "| source rows | 20 |", "| generator | 40 |", "Cost in US dollars: not measured."):
        assert words in body


def test_nothing_known_is_said_to_be_nothing_known(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"kind": "generate", "settings": {}, "seed": 0}))
    head, body = card_of(tmp_path)
    assert head["license"] == "other"
    assert "Answers and tokens: not measured" in body
    assert "| source rows | not measured |" in body
    assert "No verifier ran" in body


@pytest.mark.parametrize(
    ("licences", "expected"),
    [
        ({"Apache-2.0": 20}, {"license": "apache-2.0"}),
        ({"GPL-3.0-only": 20}, {"license": "gpl-3.0"}),
        ({"SSPL-1.0": 20}, {"license": "other", "license_name": "sspl-1.0"}),
        ({"MIT": 19}, {"license": "other"}),
        ({"MIT": 19, "": 1}, {"license": "other"}),
        ({"MIT": 10, "Apache-2.0": 10}, {"license": "other"}),
        ({"unknown": 20}, {"license": "other"}),
        ({}, {"license": "other"}),
    ],
)
def test_a_licence_is_given_only_if_all_sources_agree(
    licences: dict[str, int], expected: dict[str, str], tmp_path: Path
) -> None:
    make_run(tmp_path)
    changed(tmp_path, source={"name": "s", "licenses": licences})
    head, body = card_of(tmp_path)
    assert {name: value for name, value in head.items() if name.startswith("license")} == expected
    known = sum(number for name, number in licences.items() if name not in ("", "unknown"))
    assert (f"The licence of {20 - known} of 20 source rows is not known." in body) == (known < 20)


def test_what_is_left_undone_is_told(tmp_path: Path) -> None:
    make_run(tmp_path)
    reasons = {f"reason {number}": number for number in range(1, 51)} | {"typed: truncated": 77}
    changed(tmp_path, unfinished=5, dropped=reasons, rows=2_000_000, cost_usd=None)
    head, body = card_of(tmp_path)
    assert head["size_categories"] == ["1M<n<10M"]
    for words in (
        "5 source rows got no answer",
        "| no answer yet | 5 |",
        "77 rows were dropped because an answer was cut",
        "| dropped: 11 other reasons | 66 |",
        "Cost in US dollars: not measured.",
    ):
        assert words in body


def test_no_name_and_no_reason_can_leave_its_place(tmp_path: Path) -> None:
    make_run(tmp_path, hostile=True)
    _, body = card_of(tmp_path)
    prose = "\n".join(line for line in body.splitlines() if not line.startswith("    "))
    assert not re.search(r"<\w", prose), "no tag opens"
    assert not re.search(r"(?<!\\)\]\(", prose), "no link"
    assert [line for line in prose.splitlines() if line.startswith("#")][1:] == [
        "## From source to rows",
        "## What it cost",
        "## What made it",
        "## Licences of the source",
        "## Limits",
        "## Make it again",
    ]
    for line in prose.splitlines():
        if line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) in (3, 4, 5, 6)
    assert len([line for line in body.splitlines() if line.startswith("    ")]) == 1, "the command is one line"


def test_the_command_is_what_a_shell_reads_back() -> None:
    options = {"n": 2, "s": "2", "flag": True, "words": "a 'b' \"c\"", "list": [1, "x"], "none": None}
    settings = {"recipe": "r", "options": options, "source": "my file.jsonl", "roles": {"generator": {"name": "nano"}}}
    words = shlex.split(command({"settings": settings, "seed": 1}))
    assert words[:3] == ["homeschool", "generate", "r"]
    given = dict(word.split("=", 1) for word in words[3:9])
    assert {name: yaml.safe_load(value) for name, value in given.items()} == options
    assert words[9:] == ["--source", "my file.jsonl", "--model", "nano", "--seed", "1"]
    assert "\n" not in command({"settings": settings | {"source": HOSTILE}, "seed": 1})


@given(st.text())
def test_plain_words_are_one_line_and_open_nothing(words: str) -> None:
    shown = plain(words)
    assert shown.isprintable()
    assert "<" not in shown
    assert not re.search(r"(?<!\\)(\\\\)*[|`\[\]*]", shown)


def test_money_never_rounds_to_nothing() -> None:
    assert [money(value) for value in (None, 0.0, 0.00012, 0.5, 1234.5)] == [
        "not measured",
        "$0.00",
        "$0.00012",
        "$0.50",
        "$1,234.50",
    ]


def test_a_folder_that_is_no_run_and_a_damaged_record_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a run"):
        write_card(tmp_path)
    make_run(tmp_path / "run")
    (tmp_path / "run" / "funnel.json").write_text("{")
    with pytest.raises(HomeschoolError, match=r"funnel\.json is damaged"):
        write_card(tmp_path / "run")


def test_one_row_is_one_row_and_a_bare_number_is_arxivs(tmp_path: Path) -> None:
    make_run(tmp_path)
    changed(tmp_path, rows=1, recipe={"name": "rft", "paper": "2308.01825"})
    body = card_of(tmp_path)[1]
    assert "1 row that the recipe rft made from 20 source rows" in body
    assert "The recipe follows arXiv:2308.01825." in body
