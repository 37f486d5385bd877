"""Typed answers: a value of the schema, or a Dropped that says why there is none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeschool.core.errors import UsageError
from homeschool.core.protocols import Context
from homeschool.core.records import Completion, Dropped, ModelCard, Request, Row
from homeschool.engine.local import World, run_recipe
from homeschool.engine.outcome import Outcome
from homeschool.engine.typed import Unfit, schema_of


@dataclass
class Question:
    text: str
    level: int
    kind: Literal["open", "closed"] = "open"


GOOD = '{"text": "Why?", "level": 3}'
LIST: Mapping[str, Any] = {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3}


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"```json\n{GOOD}\n```",
        f"Sure! Here it is:\n{GOOD}\nAnything else?",
        f"<think>I could write {{}} or []</think>\n{GOOD}",
        f"[1] as in the book: {GOOD}",
        f'maybe {{"text": "No.", "level": 1}}? wrong.</think>\n{GOOD}',
        f'An example is {{"text": "Example", "level": 1}}. Mine: {GOOD}',
    ],
)
def test_the_last_value_that_fits_is_found_wherever_it_stands(text: str) -> None:
    assert schema_of(Question).read(text) == Question("Why?", 3)


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("I cannot say.", "not JSON", "line 1, column 1"),
        ("", "not JSON", "not JSON"),
        (f"<think>it could be {GOOD}", "not JSON", "no end"),
        ('{"text": "Why?"', "not JSON", "line 1"),
        ('{"text": "Why?"}', "does not fit the schema", "level"),
        ('{"text": "Why?", "level": "3"}', "does not fit the schema", "level"),
        ('{"text": "Why?", "level": 3, "kind": "shut"}', "does not fit the schema", "kind"),
        ('{"text": "Why?", "level": NaN}', "not JSON", "NaN"),
        ("[" * 100_000, "not JSON", "not JSON"),
    ],
)
def test_what_does_not_fit_is_told_in_words_to_mend_by(text: str, kind: str, words: str) -> None:
    with pytest.raises(Unfit, match=words) as caught:
        schema_of(Question).read(text)
    assert caught.value.kind == kind


def test_a_json_schema_is_as_good_as_a_type() -> None:
    schema = schema_of(LIST)
    assert schema.read("the numbers are [1, 2]") == [1, 2]
    with pytest.raises(Unfit, match=r"too long|expected at most"):
        schema.read("[1, 2, 3, 4]")
    assert schema_of(dict(LIST)) is schema


def test_a_type_is_asked_for_field_by_field_and_read_with_its_defaults() -> None:
    schema = schema_of(Question)
    assert schema.json["required"] == ["text", "level", "kind"]
    assert schema.json["additionalProperties"] is False
    assert schema.read(GOOD) == Question("Why?", 3, "open")


@pytest.mark.parametrize("given", [{"type": "strange"}, {"type": "object", "properties": 3}])
def test_what_is_no_schema_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="not a JSON Schema"):
        schema_of(given)
    with pytest.raises(UsageError, match="no JSON Schema"):
        schema_of(type("Odd", (), {}))


@given(st.text(max_size=60))
def test_any_text_is_read_or_unfit(text: str) -> None:
    try:
        assert isinstance(schema_of(LIST).read(text), list)
    except Unfit as error:
        assert error.kind


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda each: st.lists(each) | st.dictionaries(st.text(), each),
        max_leaves=8,
    )
)
def test_any_json_in_a_fence_is_found_by_a_schema_that_takes_anything(value: object) -> None:
    assert schema_of({}).read(f"```json\n{json.dumps(value)}\n```") == value


class Playing:
    """Plays answers written for the test, in order, and keeps what it was asked."""

    def __init__(self, *answers: str | Completion, held: bool = False) -> None:
        self.card = ModelCard("playing", "playing", frozenset({"chat", "schema"} if held else {"chat"}))
        self.asked: list[Request] = []
        self._answers = iter(answers)

    async def generate(self, request: Request) -> list[Completion]:
        self.asked.append(request)
        answer = next(self._answers)
        return [answer if isinstance(answer, Completion) else Completion(answer, "stop", completion_tokens=7)]

    async def score(self, prompt: str, continuations: Sequence[str]) -> list[tuple[float, ...]]:
        raise NotImplementedError


async def asking(row: Row, ctx: Context) -> Row | Dropped:
    question = await ctx.ask([{"role": "user", "content": row["prompt"]}], schema=Question)
    if isinstance(question, Dropped):
        return question
    return row.derive(step="asking", question=question.text, level=question.level)


def outcome(model: Playing) -> Outcome:
    rows = [Row.source({"prompt": "Ask me."})]
    [made] = asyncio.run(run_recipe(asking, rows, world=World({"generator": model}, None)))
    return made


def test_a_value_and_the_calls_that_made_it() -> None:
    model = Playing("What?", '{"text": "Why?"}', GOOD)
    [child] = outcome(model).children
    assert (child["question"], child["level"]) == ("Why?", 3)
    assert len(child.provenance.calls) == 3, "each attempt is on record, though the recipe named none"
    assert len(set(child.provenance.calls)) == 3
    first, second, third = ([message.content for message in request.prompt] for request in model.asked)  # type: ignore[union-attr]
    assert "Ask me." in first[0] and '"level"' in first[0], "a model that cannot be held to a schema is told of it"
    assert second[1] == "What?" and "not JSON" in second[2]
    assert third[3] == '{"text": "Why?"}' and "level" in third[4]


def test_a_model_that_can_be_held_to_a_schema_is_and_is_not_told() -> None:
    model = Playing(GOOD, held=True)
    assert outcome(model).children
    assert model.asked[0].schema == schema_of(Question).json
    assert model.asked[0].prompt[0].content == "Ask me."  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("answers", "reason", "calls"),
    [
        (["What?"] * 3, "unparsable: not JSON", 3),
        ([GOOD.replace("3", "null")] * 3, "unparsable: does not fit the schema", 3),
        ([Completion('{"text": "Wh', "length")], "truncated", 1),
        ([Completion("", "stop", refusal="I will not.")], "refused", 1),
        ([Completion("", "content_filter")], "refused", 1),
    ],
)
def test_each_way_to_fail_is_a_reason_of_its_own(answers: list[str | Completion], reason: str, calls: int) -> None:
    made = outcome(Playing(*answers))
    [dropped] = made.dropped
    assert (dropped.reason, dropped.rule, made.children) == (reason, "ask", ())
    assert len(dropped.row.provenance.calls) == calls
    assert made.usage["generator"].calls == calls
