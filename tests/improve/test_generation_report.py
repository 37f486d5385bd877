"""The report of a generation run: every part, true counts, and nothing that a row says can run or leave its place."""

from __future__ import annotations

import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from generated_run import HOSTILE, make_run
from hypothesis import given
from hypothesis import strategies as st

from homeschool.core.errors import UsageError
from homeschool.core.records import Row
from homeschool.engine.rows import write_rows
from homeschool.improve.report import survey
from homeschool.improve.report.generation import _row, write_generation_report
from homeschool.improve.report.survey import answers, by_shard, dropped_examples, histogram, lengths, spread_rows

VOID = {"meta", "br"}
SVG = {"svg", "title", "rect", "path", "text", "g", "circle"}
PLAIN = {"html", "head", "title", "style", "body", "main", "header", "section", "div", "p", "pre", "span"}
LISTS = {"ul", "li", "dl", "dt", "dd", "figure", "figcaption", "table", "thead", "tbody", "tr", "th", "td"}
KNOWN = SVG | PLAIN | LISTS | {"h1", "h2", "h3", "small", "em", "details", "summary"} | VOID


class Page(HTMLParser):
    """Fails on tags that are unbalanced or none of ours, on handlers, and on anything that would be fetched."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(source)
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in KNOWN, tag
        if tag not in VOID:
            self.open.append(tag)
        for name, _ in attrs:
            assert name not in ("src", "href", "action", "style", "srcset")
            assert not name.startswith("on")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in KNOWN, tag

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def page_of(folder: Path) -> Page:
    return Page(write_generation_report(folder).read_text(encoding="utf-8"))


def test_the_report_holds_every_part(tmp_path: Path) -> None:
    make_run(tmp_path / "first-run", rows=60)
    page = page_of(tmp_path / "first-run")
    for words in (
        "48 rows from 60 source rows",
        "The recipe two_steps made them from problems.jsonl with small, nano; the verifier math@1 checked",
        "math: wrong answer 6 · 50%",
        "Here are 10 of them, at even distances from the first on. 0 of 48 rows (0%) are copies",
        "What is 1 + 1? 1 + 1 = 0 level: 1 · license: MIT · pass (math@1)",
        "math: raised ValueError: boo (6)",
        "What is 5 + 5?",
        "Traceback: line 1 boo",
        "Over 48 rows; the last bar holds all longer ones",
        "Over 120 answers behind 60 rows, kept and dropped",
        "length 15 · 12%",
        "generator small 120 2.5 600 420 $1.00 / $4.00",
        "Rows kept for each source row, by shard",
        "two_steps, cccccccccccccccccccccccc",
        "MIT (60)",
        "Near duplicates",
        "homeschool generate two_steps samples=2",
        "seed 3",
    ):
        assert words in page.text, words


def test_equal_runs_have_equal_reports(tmp_path: Path) -> None:
    pages: list[bytes] = []
    for name in ("a", "b"):
        make_run(tmp_path / name / "run")
        pages.append(write_generation_report(tmp_path / name / "run").read_bytes())
    assert pages[0] == pages[1]


def test_what_a_row_says_is_shown_and_does_nothing(tmp_path: Path) -> None:
    make_run(tmp_path, hostile=True)
    page = page_of(tmp_path)  # the parser refuses any tag or attribute that is not ours
    assert HOSTILE.splitlines()[0] in " ".join(page.words)
    source = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"<script|<img|onerror=alert\(2\)>(?!&quot;)", source.replace("&lt;", "\0"))


@given(st.text(max_size=30))
def test_any_text_leaves_a_whole_page(words: str) -> None:
    row = Row.source({"prompt": words, "completion": [{"role": words, "content": words}], words: words})
    Page(_row(row, kind="kept"))


def test_a_run_that_has_not_ended_and_one_without_rows(tmp_path: Path) -> None:
    make_run(tmp_path / "killed", finished=False)
    killed = page_of(tmp_path / "killed").text
    assert "16 rows from 20 source rows so far" in killed
    assert "The run has not ended" in killed
    assert "Cost in US dollars: not measured" in killed
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "run.json").write_text(json.dumps({"kind": "generate", "settings": {}}))
    begun = page_of(tmp_path / "begun").text
    assert "No row was kept" in begun
    assert begun.count("not measured") >= 5
    with pytest.raises(UsageError, match="is not a run"):
        write_generation_report(tmp_path)


def test_samples_are_spread_and_begin_with_the_first(tmp_path: Path) -> None:
    make_run(tmp_path, rows=100)
    rows = [int(row["prompt"].split()[2]) for row in spread_rows(tmp_path, "rows", 4)]
    assert rows == [1, 26, 51, 76]
    assert len(spread_rows(tmp_path, "rows", 1000)) == 80


def test_examples_are_the_first_of_their_reason(tmp_path: Path) -> None:
    make_run(tmp_path, rows=100)
    found = dropped_examples(tmp_path, ["math: wrong answer", "nobody: ever"])
    assert [row["prompt"] for row in found["math: wrong answer"]] == [f"What is {n} + {n}?" for n in (5, 15, 25)]
    assert found["nobody: ever"] == []


def test_copies_and_lengths_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chat = [{"role": "user", "content": "abc"}]
    records: list[dict[str, Any]] = [{"prompt": "ab", "completion": "x", "n": n} for n in range(3)]
    records += [{"prompt": "ab", "completion": "y", "n": 3}, {"prompt": chat, "completion": "x", "n": 4}]
    write_rows(tmp_path / "rows" / "00000.parquet", [Row.source(record) for record in records])
    write_rows(tmp_path / "rows" / "00001.parquet", [Row.source({"prompt": "ab", "completion": "x", "n": 5})])
    counted = lengths(tmp_path)
    assert (counted.rows, counted.copies) == (6, 3)
    assert counted.asked == {2: 5, len("user: abc"): 1}
    assert counted.answered == {1: 6}
    monkeypatch.setattr(survey, "MOST_COUNTED", 2)
    assert lengths(tmp_path).rows == 2


def test_answers_are_looked_up_in_the_store(tmp_path: Path) -> None:
    make_run(tmp_path, rows=20)
    told = answers(tmp_path)
    assert (told.rows, told.number) == (20, 40)
    assert told.endings == {"stop": 35, "length": 5}
    assert sum(told.tokens.values()) == 40


def test_a_histogram_counts_everything_once() -> None:
    counts = Counter({3: 10, 14: 5, 97: 80, 120: 4, 100_000: 1})
    bins = histogram(counts)
    assert bins == [
        *[("0", 10), ("10", 5), ("20", 0), ("30", 0), ("40", 0), ("50", 0), ("60", 0), ("70", 0), ("80", 0)],
        *[("90", 80), ("100", 0), ("110", 0), ("120", 5)],
    ]
    assert histogram({}) == []


@given(st.dictionaries(st.integers(0, 10**6), st.integers(1, 50), min_size=1))
def test_a_histogram_is_short_and_adds_up(counts: dict[int, int]) -> None:
    bins = histogram(counts)
    assert sum(number for _, number in bins) == sum(counts.values())
    assert 1 <= len(bins) <= 13


def test_many_shards_share_bars() -> None:
    shards = [{"shard": f"{number:05}", "rows_in": 10, "rows": 5 + (number >= 50)} for number in range(100)]
    bars = by_shard(shards, lambda shard: shard["rows"], lambda shard: shard["rows_in"])
    assert len(bars) == 34
    assert bars[0] == ("0", 0.5)
    assert bars[-1] == ("99", 0.6)
