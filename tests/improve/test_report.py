"""The report says what the result says, in words and pictures that hold together, whatever a model wrote."""

from __future__ import annotations

import copy
import itertools
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeschool.core.errors import HomeschoolError
from homeschool.improve.report import plots
from homeschool.improve.report.plots import accuracy_plot, bars, columns, level_plots, plot_svg, trace_plot
from homeschool.improve.report.svg import Scale, apart, clean, ticks
from homeschool.improve.report.words import (
    between,
    caveats,
    chance,
    count,
    duration,
    making,
    outcome,
    percent,
    points,
    short,
)
from homeschool.improve.report.write import write_card, write_report

HERE = Path(__file__).parent
SVG = "{http://www.w3.org/2000/svg}"
VOID = {"meta", "br", "link", "img", "hr", "input"}


@pytest.fixture
def gained() -> dict[str, Any]:
    return json.loads((HERE / "fixture_result.json").read_text(encoding="utf-8"))


@pytest.fixture
def nothing() -> dict[str, Any]:
    return json.loads((HERE / "fixture_nothing.json").read_text(encoding="utf-8"))


def page_of(result: dict[str, Any], folder: Path) -> str:
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")
    return write_report(folder).read_text(encoding="utf-8")


class Page(HTMLParser):
    """Fails on unbalanced tags; collects text and attributes."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.links: list[str] = []
        self.feed(source)
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "action") or name[:2] == "on"]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.mark.parametrize("name", ["fixture_result.json", "fixture_nothing.json"])
def test_the_report_is_one_whole_file_that_asks_for_nothing(name: str, tmp_path: Path) -> None:
    source = page_of(json.loads((HERE / name).read_text(encoding="utf-8")), tmp_path)
    page = Page(source)
    assert page.links == [], "no script, no image, no handler"
    assert not re.search(r"<script|@import|url\(|https?://(?!www\.w3\.org/2000/svg)", source)
    assert "prefers-color-scheme: dark" in source and "@media print" in source and "max-width: 620px" in source
    for drawing in re.findall(r"<svg.*?</svg>", source, flags=re.DOTALL):
        ElementTree.fromstring(drawing)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "result.json"]
    again = write_report(tmp_path).read_text(encoding="utf-8")
    assert again == source


def test_the_report_of_a_gain_holds_every_part(gained: dict[str, Any], tmp_path: Path) -> None:
    text = Page(page_of(gained, tmp_path)).text
    for part in (
        "nano taught itself arithmetic:",
        "+54.9 points, 95% CI 50.4 to 59.2",
        "level 7",
        "unverified samples",
        "majority vote",
        "rolled back",
        "5,984",
        "wrong answer: line 1 is worth 19, the problem 11",
        "= 1+45-6",
        "homeschool quickstart --seed 0 --controls",
        "torch 2.13.0",
        "checkpoints/round-8",
        "62% of the unsolved problems got one and the same answer every time",
        "One seed (0).",
    ):
        assert part in text, part


def test_the_report_of_no_gain_says_so_and_why(nothing: dict[str, Any], tmp_path: Path) -> None:
    text = Page(page_of(nothing, tmp_path)).text
    assert (
        text.count("Nothing was gained, nothing was promoted: TinyStories-656K scored 1.3% before and 1.3% after") >= 2
    )
    assert "the verifier passed none of them" in text
    assert "not measured: run again with --controls." in text
    assert "No lesson was kept." in text
    assert "2 exam problems of the base model could not be judged" in text
    assert "The run stopped early: no answer passed the verifier in round 1." in text


def test_what_a_model_wrote_cannot_leave_its_place(gained: dict[str, Any], tmp_path: Path) -> None:
    evil = "</pre><script>alert(1)</script> & \" ' $title \x00\x1b\ud800"
    gained["examples"]["accepted"][0] = {"prompt": evil, "completion": evil}
    gained["examples"]["refused"][0]["reason"] = evil
    gained["examples"]["before_after"][0]["after"] = evil
    gained["controls"][0]["name"] = gained["model"] = gained["rounds"][0]["why"] = evil
    gained["rounds"][0]["failed"] = {evil: 5}
    source = page_of(gained, tmp_path)
    assert "<script" not in source and "\x00" not in source and "\x1b" not in source
    assert "</pre><script>alert(1)</script>" in Page(source).text
    write_card(tmp_path)
    assert "<script" not in (tmp_path / "card.md").read_text(encoding="utf-8").split("---", 2)[2]


def holes(value: Any) -> Any:
    """The same shape with every number gone."""
    if isinstance(value, dict):
        return {name: holes(item) if name not in ("round", "asked") else item for name, item in value.items()}
    if isinstance(value, list):
        return None if value and all(isinstance(item, (int, float)) for item in value) else [holes(v) for v in value]
    return None if isinstance(value, (int, float)) else value


@pytest.mark.parametrize("kind", ["empty", "holes", "no rounds", "no final"])
def test_what_was_not_measured_says_so_and_breaks_nothing(kind: str, gained: dict[str, Any], tmp_path: Path) -> None:
    result = {
        "empty": {},
        "holes": {**holes(gained), "loss": []},
        "no rounds": {**gained, "rounds": [], "controls": [], "loss": []},
        "no final": {**gained, "final": None, "gain_points": None, "ci95": None, "promoted": None},
    }[kind]
    text = Page(page_of(result, tmp_path)).text
    assert "not measured" in text
    assert "None" not in text and "nan" not in text.replace("nano", "")
    assert write_card(tmp_path).read_text(encoding="utf-8").count("not measured") >= 1
    ElementTree.fromstring(plot_svg(result))


@pytest.mark.parametrize(
    ("text", "words"), [(None, "has no result.json"), ("{", "cannot be read"), ("[1]", "holds list, not an object")]
)
def test_a_folder_without_a_result_is_an_error_in_one_sentence(text: str | None, words: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "result.json").write_text(text, encoding="utf-8")
    with pytest.raises(HomeschoolError, match=words) as caught:
        write_report(tmp_path)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("changes", "start"),
    [
        ({}, "nano taught itself arithmetic: 7.6%"),
        ({"promoted": False}, "nano gained but was not promoted at arithmetic: 7.6%"),
        ({"ci95": [-3.0, 4.0], "promoted": False}, "Nothing was gained, nothing was promoted: nano scored 7.6% before"),
        ({"ci95": [-3.0, 4.0]}, "nano was promoted at arithmetic though no gain could be shown"),
        ({"ci95": [-9.0, -4.0], "promoted": False}, "nano got worse at arithmetic and nothing was promoted: 7.6%"),
        ({"ci95": None}, "Whether nano improved at arithmetic was not measured"),
        ({"gain_points": None}, "Whether nano improved at arithmetic was not measured"),
    ],
)
def test_the_sentence_claims_what_was_shown_and_no_more(
    changes: dict[str, Any], start: str, gained: dict[str, Any]
) -> None:
    said = outcome({**gained, **changes}).sentence.replace("\N{NO-BREAK SPACE}", " ")
    assert said.startswith(start)
    assert ("(" in said) == ("not measured" not in said)


def test_a_gain_over_no_common_problem_is_not_measured(nothing: dict[str, Any]) -> None:
    assert "was not measured" in outcome({**nothing, "n": 0, "ci95": [-100.0, 100.0]}).statement


def test_the_headline_is_about_its_group_or_the_whole(gained: dict[str, Any]) -> None:
    assert outcome(gained).before == gained["base"]["groups"]["never shown"]["accuracy"]
    assert outcome(gained).where == "on problems it was never shown"
    whole = outcome({**gained, "headline": None})
    assert (whole.before, whole.where) == (gained["base"]["accuracy"], "on held-out problems")


def drawn(source: str) -> ElementTree.Element:
    return ElementTree.fromstring(source)


def labels(source: str) -> list[tuple[float, float, str]]:
    """x, y and words of the labels at the lines."""
    found = [e for e in drawn(source).iter(f"{SVG}text") if "label" in e.get("class", "").split()]
    return [(float(e.get("x", 0)), float(e.get("y", 0)), "".join(e.itertext())) for e in found]


@pytest.mark.parametrize("narrow", [False, True])
def test_lines_carry_their_own_labels_and_none_touch(narrow: bool, gained: dict[str, Any]) -> None:
    # All four lines end at the same height: the worst case.
    for exam in (gained["final"], *(control["final"] for control in gained["controls"])):
        exam["groups"]["never shown"]["accuracy"] = exam["groups"]["shown"]["accuracy"] = 0.02
    ends = [label for label in labels(accuracy_plot(gained, narrow=narrow)) if label[0] > 150]
    assert [words for *_, words in sorted(ends, key=lambda label: label[1])] != []
    assert {words.removeprefix("2.0%") for *_, words in ends} == {
        "never shown",
        "shown",
        "unverified samples",
        "majority vote",
    }
    heights = sorted(y for _, y, _ in ends)
    assert min(b - a for a, b in itertools.pairwise(heights)) >= (28 if narrow else 16)
    assert heights[0] > 0 and heights[-1] < 400


def test_the_headline_and_its_levels_share_a_colour(gained: dict[str, Any]) -> None:
    colours = {
        words: e.get("class", "") for e in drawn(accuracy_plot(gained)).iter(f"{SVG}text") for words in e.itertext()
    }
    assert colours["never shown"] == "label a" and colours["shown"] == "label b"
    small = level_plots(gained)
    assert len(small) == 5
    assert ["line b" in drawing for drawing in small] == [True, True, False, False, False]


def test_a_rolled_back_round_is_hollow_and_off_the_line(gained: dict[str, Any]) -> None:
    gained["controls"] = []
    root = drawn(accuracy_plot(gained))
    hollow = [e for e in root.iter() if e.get("class", "") == "hollow a"]
    line = next(e for e in root.iter(f"{SVG}path") if e.get("class") == "line a")
    assert len(hollow) == 1
    assert line.get("d", "").count("L") == 8, "ten places, one of them rolled back"
    undone = next(e for e in root.iter(f"{SVG}path") if e.get("class") == "undone")
    assert undone.get("d", "").startswith(f"M{hollow[0].get('cx')} ")


def test_equal_levels_become_one_bar_of_the_strip(gained: dict[str, Any]) -> None:
    root = drawn(accuracy_plot(gained))
    assert len([e for e in root.iter(f"{SVG}rect") if e.get("class") == "strip"]) == 3


def test_the_axis_starts_at_zero_and_grows_with_the_data(gained: dict[str, Any], nothing: dict[str, Any]) -> None:
    for result, top in ((gained, "100%"), (nothing, "10%")):
        words = ["".join(e.itertext()) for e in drawn(accuracy_plot(result)).iter(f"{SVG}text")]
        assert words[0] == "0%" and top in words


def test_the_funnel_adds_up(gained: dict[str, Any]) -> None:
    words = ["".join(e.itertext()) for e in drawn(plots.funnel_plot(gained)).iter(f"{SVG}text")]
    assert words[::2] == ["answers asked for", "passed the verifier", "after exact dedup", "kept as lessons"]
    shown = [int(line.split()[0].replace(",", "")) for line in words[1::2]]
    rounds = gained["rounds"]
    passed = sum(r["passed"] for r in rounds)
    doubled = sum(r["dropped"]["exact_dedup"] for r in rounds)
    assert shown == [sum(r["asked"] for r in rounds), passed, passed - doubled, sum(r["kept"] for r in rounds)]


def test_pictures_of_nothing_are_nothing() -> None:
    assert (columns([("1", None)], label=""), trace_plot([(1, 1)], label=""), accuracy_plot({})) == ("", "", "")
    assert plots.funnel_plot({"rounds": []}) == plots.yield_plot({}) == ""


@given(st.lists(st.tuples(st.text(), st.floats(0, 1e9), st.text()), min_size=1, max_size=5))
def test_bars_are_well_formed_whatever_they_are_called(rows: list[tuple[str, float, str]]) -> None:
    assert len(list(drawn(bars(rows, label="bars")).iter(f"{SVG}rect"))) == 2 * len(rows)


def test_the_picture_for_a_readme_stands_alone(gained: dict[str, Any]) -> None:
    root = drawn(plot_svg(gained))
    assert root.find(f"{SVG}style") is not None
    words = " ".join("".join(e.itertext()) for e in root.iter(f"{SVG}text")).replace("\N{NO-BREAK SPACE}", " ")
    assert "nano taught itself arithmetic: 7.6% \N{RIGHTWARDS ARROW} 62%" in words
    assert "+54.9 points, 95% CI 50.4 to 59.2, n = 512" in words


def test_the_card_opens_with_yaml_and_gives_the_numbers(gained: dict[str, Any], tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    gained["model"], gained["groups_gain"]["odd | <b>"] = "hf:Qwen/Qwen3-1.7B", None
    gained["final"]["groups"]["odd | <b>"] = {"accuracy": 0.5, "n": 2, "ci95": [0.1, 0.9]}
    (tmp_path / "result.json").write_text(json.dumps(gained), encoding="utf-8")
    card = write_card(tmp_path).read_text(encoding="utf-8")
    _, head, body = card.split("---\n", 2)
    assert yaml.safe_load(head)["base_model"] == "Qwen/Qwen3-1.7B"
    assert {"homeschool", "star"} < set(yaml.safe_load(head)["tags"])
    assert "| never shown | 512 | 7.6% (5.6 to 10.2) | 62.5% (58.2 to 66.6) | +54.9 (50.4 to 59.2) |" in body
    assert r"| odd \| &lt;b> | 2 | not measured | 50.0% (10.0 to 90.0) | not measured |" in body
    assert "One seed (0)." in body


@given(st.text())
def test_cleaned_text_is_xml_and_keeps_its_letters(words: str) -> None:
    back = ElementTree.fromstring(f'<a b="{clean(words)}">{clean(words)}</a>').text or ""
    assert len(back.replace("\r", "\n")) <= len(words)
    kept = [letter for letter in words if letter.isalnum()]
    assert [letter for letter in back if letter.isalnum()] == kept


@given(st.lists(st.floats(-50, 350), min_size=1, max_size=12))
def test_labels_are_apart_inside_and_in_order(wanted: list[float]) -> None:
    placed = apart(wanted, 20, low=0, high=300)
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    heights = [placed[index] for index in order]
    assert all(b - a >= 20 - 1e-6 for a, b in itertools.pairwise(heights))
    assert heights[0] >= -1e-6 and heights[-1] <= 300 + 1e-6


def test_labels_that_have_room_stay_where_they_want() -> None:
    assert apart([10, 60, 200], 20, low=0, high=300) == [10, 60, 200]
    assert apart([100, 100], 20, low=0, high=300) == [90, 110]


@given(st.floats(1e-6, 1e9))
def test_ticks_are_few_round_and_reach_the_top(top: float) -> None:
    marks = ticks(top)
    assert marks[0] == 0 and 2 <= len(marks) <= 6
    assert top * 0.99 <= marks[-1] <= top * 2.6


def test_scales_are_straight() -> None:
    scale = Scale((0, 10), (100, 0))
    assert [scale(0), scale(5), scale(10)] == [100, 50, 0]
    assert Scale((3, 3), (0, 10))(3) == 0


def test_numbers_as_people_read_them() -> None:
    assert [percent(share) for share in (0, 0.014, 0.0999, 0.68, 0.995, 1)] == [
        "0%",
        "1.4%",
        "10%",
        "68%",
        "99.5%",
        "100%",
    ]
    assert [points(value) for value in (56.12, -0.3, 0.01, -0.04)] == ["+56.1", "\N{MINUS SIGN}0.3", "0.0", "0.0"]
    assert between([-2.5, 2.5]) == "\N{MINUS SIGN}2.5 to 2.5"
    assert [chance(value) for value in (1e-9, 0.012, 0.5)] == ["p < 0.001", "p = 0.012", "p = 0.50"]
    assert [short(value) for value in (0.0158, 0.5, 12.345, 1240, 3.1e6)] == ["0.016", "0.5", "12.3", "1,240", "3.1 M"]
    times = [duration(value).replace("\N{NO-BREAK SPACE}", " ") for value in (3.2, 112.4, 700, 8000)]
    assert times == ["3.2 s", "112 s", "12 min", "2.2 h"]
    unknown = [percent(None), points(None), between(None), chance(None), short(None), duration(None), count(None)]
    assert set(unknown) == {"not measured"}


def test_caveats_are_only_those_of_this_run(gained: dict[str, Any], nothing: dict[str, Any]) -> None:
    assert not any("No control was run" in line for line in caveats(gained))
    assert any("No control was run" in line for line in caveats(nothing))
    small = copy.deepcopy(gained)
    small["items_needed"]["n"] = 10
    assert not any("would need" in line for line in caveats(small))


def test_what_was_made_is_told_in_full_sentences(gained: dict[str, Any]) -> None:
    assert making(gained).replace("\N{NO-BREAK SPACE}", " ") == (
        "In 8 rounds it wrote 32,768 answers; the verifier passed 14,577, and 5,984 were kept as lessons. "
        "The whole took 112 s and 1.2 GB of memory."
    )
    assert making({}) == "No round was finished."
