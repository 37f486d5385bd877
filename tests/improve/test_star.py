import asyncio
from collections.abc import Sequence
from typing import Any

from homeschool.core.records import Completion, Dropped, Row
from homeschool.core.verdict import Fail, Pass, Verdict
from homeschool.improve import star
from homeschool.improve.settings import CollectConfig


class Scripted:
    """A context whose model knows the answer only when it is hinted, and whose verifier compares texts."""

    def __init__(self, *, plain: list[str], hinted: list[str]) -> None:
        self.plain, self.hinted = plain, hinted
        self.prompts: list[Any] = []

    async def ask(self, prompt: Any, *, n: int = 1, **_: Any) -> list[Completion]:
        self.prompts.append(prompt)
        text = prompt if isinstance(prompt, str) else prompt[0]["content"]
        answers = self.hinted if text.startswith("Hint:") else self.plain
        return [
            Completion(answers[index % len(answers)], "stop", key=f"{len(self.prompts)}-{index}") for index in range(n)
        ]

    async def verify(self, row: Row, answers: Sequence[str]) -> list[Verdict]:
        return [Pass() if answer == row["answer"] else Fail(reason="wrong answer") for answer in answers]


def run(row: Row, ctx: Scripted, **config: Any) -> list[Row | Dropped]:
    recipe = star.recipe(CollectConfig(**config), samples=3)
    return list(asyncio.run(recipe(row, ctx)))  # type: ignore[arg-type]


ROW = Row.source({"prompt": "2+2?", "answer": "4"})


def test_a_solved_problem_is_not_rationalised() -> None:
    ctx = Scripted(plain=["4", "5"], hinted=["4"])
    lessons = [outcome for outcome in run(ROW, ctx) if isinstance(outcome, Row)]
    assert ctx.prompts == ["2+2?"]
    assert [lesson["completion"] for lesson in lessons] == ["4", "4"]


def test_an_unsolved_problem_is_asked_again_with_a_hint_that_is_not_learnt() -> None:
    ctx = Scripted(plain=["5"], hinted=["4"])
    outcomes = run(ROW, ctx, cap=2)
    lessons = [outcome for outcome in outcomes if isinstance(outcome, Row)]
    assert ctx.prompts[1].startswith("Hint: the final answer is 4.")
    assert [lesson["prompt"] for lesson in lessons] == ["2+2?", "2+2?"]
    assert {lesson.provenance.step for lesson in lessons} == {"rationalise"}
    assert all(lesson.verdicts[-1].status == "pass" for lesson in lessons)
    assert sum(isinstance(outcome, Dropped) for outcome in outcomes) == 3


def test_a_rationalisation_is_judged_like_any_other_answer() -> None:
    ctx = Scripted(plain=["5"], hinted=["6"])
    assert not [outcome for outcome in run(ROW, ctx) if isinstance(outcome, Row)]


def test_no_hint_without_an_answer_or_when_it_is_not_wanted() -> None:
    ctx = Scripted(plain=["5"], hinted=["4"])
    run(ROW, ctx, rationalise=False)
    assert ctx.prompts == ["2+2?"]


def test_a_chat_prompt_is_hinted_in_its_first_message() -> None:
    row = Row.source({"prompt": [{"role": "user", "content": "2+2?"}], "answer": "4"})
    ctx = Scripted(plain=["5"], hinted=["4"])
    lessons = [outcome for outcome in run(row, ctx) if isinstance(outcome, Row)]
    assert ctx.prompts[1][0]["content"].startswith("Hint:")
    assert lessons[0]["prompt"] == row["prompt"]
