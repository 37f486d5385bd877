"""A scripted model sits exams: what is asked, what is judged, what is counted, what is written, what changed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from homeschool.core.errors import HomeschoolError, UsageError
from homeschool.core.records import Completion, ModelCard, Request, Row, Sampling
from homeschool.core.verdict import Broken, Fail, Pass, Verdict
from homeschool.engine.answers import AnswerStore
from homeschool.evaluate import exam as exams
from homeschool.evaluate.exam import Exam, Item, compare, read_items, sit, write_items
from homeschool.evaluate.statistics import wilson

GREEDY = Sampling(temperature=0.0, max_tokens=8)


class Scripted:
    """Stands in for `ask_all`: answers by prompt, and remembers what it was asked."""

    def __init__(self, answers: dict[str, list[str]]) -> None:
        self.answers = answers
        self.requests: list[Request] = []
        self.given: dict[str, Any] = {}

    async def __call__(self, model: object, requests: Sequence[Request], **given: Any) -> list[list[Completion]]:
        self.requests, self.given = list(requests), given
        return [[self.completion(text) for text in self.answers[str(request.prompt)]] for request in requests]

    @staticmethod
    def completion(text: str) -> Completion:
        return Completion(text, "length" if text.endswith("...") else "stop", token_ids=(1,) * len(text))


class Equals:
    """Right if equal to the row's answer; `?` is the gold's fault. Counts how many groups it judges at once."""

    name = "equals"

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.now = self.most = 0

    async def __call__(self, row: Row, answers: Sequence[str], ctx: object = None) -> list[Verdict]:
        self.seen += answers
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        return [self.one(row["answer"], answer) for answer in answers]

    @staticmethod
    def one(gold: str, answer: str) -> Verdict:
        if gold == "?":
            return Broken(reason="no gold")
        return Pass() if gold == answer else Fail(reason="wrong answer")


def problem(prompt: str, answer: str, **columns: Any) -> Row:
    return Row.source({"prompt": prompt, "answer": answer, **columns})


Sit = Callable[..., tuple[Exam, Scripted, Equals]]


@pytest.fixture
def sitting(monkeypatch: pytest.MonkeyPatch) -> Sit:
    def run(rows: list[Row], answers: dict[str, list[str]], **options: Any) -> tuple[Exam, Scripted, Equals]:
        script, verifier = Scripted(answers), Equals()
        monkeypatch.setattr(exams, "ask_all", script)
        options = {"store": "the store", "sampling": GREEDY, **options}
        return asyncio.run(sit(None, rows, verifier, **options)), script, verifier  # pyright: ignore[reportArgumentType]

    return run


def test_every_problem_is_asked_in_order_and_judged(sitting: Sit) -> None:
    rows = [problem("1+1", "2", level=1, group="shown"), problem("2+2", "4", level=2, group="never shown")]
    exam, script, _ = sitting(rows, {"1+1": ["2"], "2+2": ["5"]}, stage="exam", tally="tally")
    assert [request.prompt for request in script.requests] == ["1+1", "2+2"]
    assert {request.n for request in script.requests} == {1}
    assert script.given == {"store": "the store", "stage": "exam", "tally": "tally"}
    assert [(item.correct, item.reasons, item.tokens) for item in exam.items] == [
        (True, ("",), (1,)),
        (False, ("wrong answer",), (1,)),
    ]
    assert exam.accuracy == 0.5
    assert exam.ci95 == wilson(1, 2)
    assert {name: part.accuracy for name, part in exam.by_group().items()} == {
        "shown": 1.0,
        "never shown": 0.0,
        "level 1": 1.0,
        "level 2": 0.0,
    }


def test_seeds_follow_the_run_and_the_problem_and_limits_may_be_the_problems_own(sitting: Sit) -> None:
    rows = [problem("a", "1", max_tokens=99), problem("b", "1")]
    answers = {"<a>": ["1"], "<b>": ["1"]}
    _, first, _ = sitting(rows, answers, seed=5, render=lambda row: f"<{row['prompt']}>")
    _, again, _ = sitting(list(reversed(rows)), answers, seed=5, render=lambda row: f"<{row['prompt']}>")
    _, other, _ = sitting(rows, answers, seed=6, render=lambda row: f"<{row['prompt']}>")
    seeds = [request.seed for request in first.requests]
    assert len(set(seeds)) == 2
    assert seeds == [request.seed for request in reversed(again.requests)]
    assert not set(seeds) & {request.seed for request in other.requests}
    assert [request.sampling.max_tokens for request in first.requests] == [99, 8]


def test_a_truncated_answer_fails_and_no_verifier_sees_it(sitting: Sit) -> None:
    rows = [problem("a", "1..."), problem("b", "1")]
    warm = Sampling(temperature=1.0)
    exam, _, verifier = sitting(rows, {"a": ["1...", "1..."], "b": ["0...", "1"]}, samples=2, sampling=warm)
    assert verifier.seen == ["1"]
    assert [item.statuses for item in exam.items] == [("fail", "fail"), ("fail", "pass")]
    assert [item.reasons for item in exam.items] == [("truncated", "truncated"), ("truncated", "")]


def test_broken_items_are_counted_apart_and_never_averaged_in(sitting: Sit) -> None:
    rows = [problem("a", "1"), problem("b", "?"), problem("c", "?")]
    exam, _, _ = sitting(rows, {"a": ["1"], "b": ["1"], "c": ["1"]})
    assert (exam.accuracy, exam.n, exam.broken) == (1.0, 1, 2)
    assert exam.to_dict() == {"accuracy": 1.0, "n": 1, "ci95": list(wilson(1, 1)), "broken": 2, "groups": {}}
    nothing = Exam(exam.items[1:])
    assert nothing.to_dict() == {"accuracy": None, "n": 0, "ci95": None, "broken": 2, "groups": {}}


def test_many_groups_are_judged_at_once_but_not_all(sitting: Sit) -> None:
    rows = [problem(str(number), "1") for number in range(200)]
    _, _, verifier = sitting(rows, {str(number): ["1"] for number in range(200)})
    assert verifier.most == 64


def test_a_verifier_that_loses_an_answer_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(row: Row, answers: Sequence[str], ctx: object = None) -> list[Verdict]:
        return []

    monkeypatch.setattr(exams, "ask_all", Scripted({"a": ["1"]}))
    with pytest.raises(ValueError, match="zip"):
        asyncio.run(sit(None, [problem("a", "1")], silent, store=None, sampling=GREEDY))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("rows", "options", "words"),
    [
        ([], {}, "no problems"),
        ([problem("a", "1"), problem("a", "1")], {}, "twice"),
        ([problem("a", "1")], {"samples": 4}, "4 samples at temperature 0"),
    ],
)
def test_exams_that_mean_nothing_are_refused(
    sitting: Sit, rows: list[Row], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        sitting(rows, {"a": ["1"]}, **options)


class Counting:
    """A model without batches that says `1` and counts how often it was asked."""

    card = ModelCard("counting", "fingerprint")

    def __init__(self) -> None:
        self.asked = 0

    async def generate(self, request: Request) -> list[Completion]:
        self.asked += 1
        names = [request.key(sample, card=self.card) for sample in range(request.n)]
        return [Completion("1", "stop", key=name) for name in names]

    async def score(self, prompt: str, continuations: Sequence[str]) -> list[tuple[float, ...]]:
        raise NotImplementedError


def test_an_exam_that_is_sat_again_asks_nothing_again(tmp_path: Path) -> None:
    model, rows = Counting(), [problem("a", "1"), problem("b", "2")]
    with AnswerStore(tmp_path / "answers.db") as store:
        first = asyncio.run(sit(model, rows, Equals(), store=store, sampling=GREEDY))
        again = asyncio.run(sit(model, rows, Equals(), store=store, sampling=GREEDY))
    assert model.asked == 2
    assert first == again
    assert first.accuracy == 0.5


def item(name: str, statuses: str, *, group: str = "", level: int | None = None) -> Item:
    """An item from one letter per answer: p, f, b."""
    words = {"p": "pass", "f": "fail", "b": "broken"}
    blank = ("",) * len(statuses)
    numbers = (1,) * len(statuses)
    return Item(
        name, group, level, f"prompt {name}", blank, tuple(words[letter] for letter in statuses), blank, numbers
    )


def marks(letters: str, *, group: str = "") -> Exam:
    return Exam(tuple(item(str(number), letter, group=group) for number, letter in enumerate(letters)))


def test_pass_at_k_is_averaged_over_items_by_group() -> None:
    items = (
        item("a", "pfff", group="x", level=1),
        item("b", "ffff", group="x", level=1),
        item("c", "bbpf", group="y", level=2),
    )
    exam = Exam(items)
    assert exam.pass_at(2) == pytest.approx(
        {"all": (0.5 + 0 + 1) / 3, "x": 0.25, "y": 1.0, "level 1": 0.25, "level 2": 1.0}
    )
    assert exam.pass_at(4)["y"] is None, "two judged answers cannot give pass@4"
    assert exam.to_dict()["pass_at"]["4"]["x"] == 0.5
    assert exam.to_dict()["groups"]["level 2"]["group"] == "y", "reports colour a level by its group"


def test_comparison_is_paired_on_the_items_that_both_exams_judged() -> None:
    before, after = marks("ffffffppbp"), marks("pppppffpp")
    change = compare(before, after)
    assert (change.n, change.improved, change.worsened) == (8, 5, 1)
    assert change.gain_points == pytest.approx(50.0)
    assert change.p_value == pytest.approx(2 * (1 + 6) / 2**6)
    assert change.ci95[0] < 50 < change.ci95[1]
    assert change.items_needed is not None
    assert change.items_needed > change.n
    record = change.to_dict()
    assert json.loads(json.dumps(record)) == record
    assert record["items_needed"] == {"points": 2, "n": change.items_needed, "half_gain_n": change.items_needed_half}


def test_no_change_at_all_still_says_how_many_items_it_would_take() -> None:
    change = compare(marks("pf"), marks("pf"))
    assert (change.gain_points, change.p_value, change.items_needed_half) == (0, 1.0, None)
    assert change.items_needed is not None
    assert change.items_needed > 300
    assert change.ci95[0] < 0 < change.ci95[1], "two items prove nothing"


def test_a_group_is_compared_on_its_own() -> None:
    before = Exam((*marks("ff", group="x").items, item("z", "p", group="y")))
    after = Exam((*marks("pp", group="x").items, item("z", "f", group="y")))
    assert [compare(before.only(name), after.only(name)).gain_points for name in ("x", "y")] == [100.0, -100.0]
    assert before.only("nobody").items == ()


@pytest.mark.parametrize("after", [Exam((item("elsewhere", "p"),)), marks("b"), Exam(())])
def test_exams_without_a_common_item_say_that_nothing_is_known(after: Exam) -> None:
    change = compare(marks("p"), after)
    assert (change.n, change.ci95, change.p_value, change.items_needed) == (0, (-100.0, 100.0), 1.0, None)


def test_pass_at_k_is_compared_with_an_interval() -> None:
    pytest.importorskip("numpy")
    before = Exam(tuple(item(str(number), "ffff", group="x") for number in range(40)))
    after = Exam(tuple(item(str(number), "pfff" if number < 20 else "ffff", group="x") for number in range(40)))
    gain = after.pass_at_change(before)["4"]["x"]
    assert (gain["gain_points"], gain["n"]) == (50.0, 40)
    assert 25 < gain["ci95"][0] < 50 < gain["ci95"][1] < 75
    assert marks("pf").pass_at_change(marks("ff")) == {}, "one sample is no pass@k"


def test_no_change_of_pass_at_k_is_not_certain_to_be_no_change() -> None:
    exam = Exam(tuple(item(str(number), "pf", group="x") for number in range(50)))
    gain = exam.pass_at_change(exam)["2"]["x"]
    low, high = gain["ci95"]
    assert gain["gain_points"] == 0 and low < -3 and high > 3


def test_written_items_come_back_and_bytes_do_not_change(tmp_path: Path) -> None:
    odd = Item("i", "", None, "line\none\u2028", ("\ud800",), ("fail",), ("",), (3,))
    exam = Exam((item("a", "pf", group="x", level=3), odd))
    write_items(tmp_path / "exam" / "final.jsonl", exam)
    first = (tmp_path / "exam" / "final.jsonl").read_bytes()
    assert read_items(tmp_path / "exam" / "final.jsonl") == exam
    write_items(tmp_path / "exam" / "final.jsonl", exam)
    assert (tmp_path / "exam" / "final.jsonl").read_bytes() == first
    assert first.count(b"\n") == 2
    assert [path.name for path in (tmp_path / "exam").iterdir()] == ["final.jsonl"]


@pytest.mark.parametrize("line", ["{", "[]", '{"id": "a"}', "3"])
def test_a_file_that_is_no_exam_names_its_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "items.jsonl"
    write_items(path, marks("p"))
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(HomeschoolError, match="line 2 of"):
        read_items(path)
