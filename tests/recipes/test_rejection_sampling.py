from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Sequence
from typing import Any

import pytest

from homeschool.core.errors import UsageError
from homeschool.core.records import Completion, Dropped, Row
from homeschool.core.verdict import Abstain, Broken, Fail, Pass, Verdict
from homeschool.recipes.rejection_sampling import recipe

VERDICTS: dict[str, Verdict] = {
    "4": Pass({"exact": 1.0}),
    "5": Fail(reason="wrong answer"),
    "?": Abstain(),
    "!": Broken(reason="no gold"),
}


class Scripted:
    """A context whose model says what it is told to, in order."""

    def __init__(self, answers: Sequence[tuple[str, str]]) -> None:
        self.rng = random.Random(0)
        self.answers = answers
        self.prompt: Any = None
        self.options: dict[str, Any] = {}
        self.judged: list[list[str]] = []

    @property
    def pool(self) -> Any:
        raise AssertionError("not used")

    async def ask(self, prompt: Any, **options: Any) -> Any:
        self.prompt, self.options = prompt, options
        return [
            Completion(text, finish, token_ids=(1, 2), logprobs=(-0.5, -0.25), key=f"k{i}", model="m", seed=9)
            for i, (text, finish) in enumerate(self.answers)
        ]

    async def gather(self, *branches: Awaitable[Any]) -> list[Any]:
        raise AssertionError("not used")

    def card(self, role: str = "generator") -> Any:
        raise AssertionError("not used")

    async def execute(self, program: Any) -> Any:
        raise AssertionError("not used")

    async def verify(self, row: Row, answers: Sequence[str]) -> list[Verdict]:
        self.judged.append(list(answers))
        return [VERDICTS[answer] for answer in answers]


def run(ctx: Scripted, columns: dict[str, Any], **options: Any) -> list[Row | Dropped]:
    results = asyncio.run(_call(ctx, columns, options))
    assert isinstance(results, list)
    return results


async def _call(ctx: Scripted, columns: dict[str, Any], options: dict[str, Any]) -> Any:
    return await recipe(**options)(Row.source(columns), ctx)


def test_only_what_passed_is_a_child_and_everything_else_says_why() -> None:
    ctx = Scripted([("4", "stop"), ("5", "stop"), ("4", "length"), ("?", "stop"), ("!", "stop"), ("4", "stop")])
    results = run(ctx, {"prompt": "2+2?", "answer": "4"}, samples=6)
    rows = [result for result in results if isinstance(result, Row)]
    drops = [result for result in results if isinstance(result, Dropped)]
    assert [row["completion"] for row in rows] == ["4", "4"]
    assert [drop.reason for drop in drops] == ["fail: wrong answer", "truncated", "abstain", "broken: no gold"]
    assert {drop.rule for drop in drops} == {"rejection_sampling"}
    assert len(results) == 6, "every answer is accounted for"
    for row in rows:
        assert [type(verdict) for verdict in row.verdicts] == [Pass]
        assert (row["prompt"], row["answer"], row.provenance.model, row.provenance.seed) == ("2+2?", "4", "m", 9)
        assert (row["tokens"], row["surprise"]) == (2, 0.75)
    assert drops[1].row.verdicts == (), "an unfinished answer was not judged"


def test_the_answers_are_judged_as_one_group_without_the_unfinished() -> None:
    ctx = Scripted([("4", "length"), ("5", "stop"), ("4", "stop")])
    run(ctx, {"prompt": "2+2?"})
    assert ctx.judged == [["5", "4"]]
    nothing = Scripted([("4", "length")] * 2)
    assert all(isinstance(result, Dropped) for result in run(nothing, {"prompt": "2+2?"}))
    assert nothing.judged == []


def test_equal_answers_are_rows_of_their_own() -> None:
    results = run(Scripted([("4", "stop"), ("4", "stop")]), {"prompt": "2+2?"})
    ids = [result.id for result in results if isinstance(result, Row)]
    assert len(set(ids)) == 2


@pytest.mark.parametrize(
    ("columns", "options", "asked"),
    [
        ({"prompt": "2+2?"}, {}, "2+2?"),
        ({"question": "2+2?"}, {"prompt_column": "question"}, "2+2?"),
        ({"prompt": "{x}+2?"}, {"template": "Q: {prompt}\nA:"}, "Q: {x}+2?\nA:"),
        ({"prompt": "2+2?"}, {"chat": True}, [{"role": "user", "content": "2+2?"}]),
        ({"prompt": [{"role": "user", "content": "hi"}]}, {"chat": True}, [{"role": "user", "content": "hi"}]),
    ],
)
def test_the_lesson_is_what_was_asked(columns: dict[str, Any], options: dict[str, Any], asked: Any) -> None:
    ctx = Scripted([("4", "stop")])
    [row] = run(ctx, columns, **options)
    assert ctx.prompt == asked
    assert isinstance(row, Row)
    assert row["prompt"] == asked


def test_the_options_reach_the_model_and_a_row_may_have_its_own_limit() -> None:
    ctx = Scripted([("4", "stop")])
    run(ctx, {"prompt": "2+2?"}, samples=3, temperature=0.7, top_p=0.9, max_tokens=32, stop=("\n",))
    assert ctx.options == {"n": 3, "temperature": 0.7, "top_p": 0.9, "max_tokens": 32, "stop": ("\n",)}
    for own, limit in ((7, 7), (None, 32)):
        run(ctx, {"prompt": "2+2?", "max_tokens": own}, max_tokens=32)
        assert ctx.options["max_tokens"] == limit


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"samples": 0}, "samples must be at least 1, not 0"),
        ({"temperature": 0}, "at temperature 0 all 8 samples are the same answer"),
        ({"template": "Q:"}, "the template 'Q:' has no place for the prompt"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        recipe(**options)


def test_a_missing_prompt_column_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'prompts'"):
        run(Scripted([]), {"prompts": "2+2?"})
