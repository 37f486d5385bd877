from __future__ import annotations

from typing import Any

import pytest
from tiny_checkpoint import BOS, EOS, FakeCheckpoint

from homeschool.core.errors import UsageError
from homeschool.core.records import Dropped, Row
from homeschool.train.packing import Example
from homeschool.train.sft import Sft


def encode(**columns: Any) -> tuple[FakeCheckpoint, Example]:
    checkpoint = FakeCheckpoint()
    objective = Sft()
    objective.prepare(checkpoint)
    (example,) = objective.collate([Row.source(columns)])
    assert isinstance(example, Example)
    return checkpoint, example


def test_only_the_completion_and_the_end_are_counted() -> None:
    checkpoint, example = encode(prompt="2+2", completion="=4")
    prompt = checkpoint.encode("2+2")
    answer = checkpoint.tokenizer(["=4"], add_special_tokens=False)["input_ids"][0]
    assert example.tokens.tolist() == [*prompt, *answer, EOS]
    assert example.counted.tolist() == [False] * len(prompt) + [True] * 3


def test_a_text_is_counted_whole() -> None:
    checkpoint, example = encode(text="hello")
    assert example.tokens.tolist() == [*checkpoint.encode("hello"), EOS]
    assert example.tokens[0] == BOS and example.counted.tolist() == [False] + [True] * 6


def test_messages_are_rendered_by_the_checkpoint() -> None:
    checkpoint, example = encode(prompt=[{"role": "user", "content": "hi"}], completion="ho")
    assert example.tokens.tolist()[:-3] == checkpoint.encode("user:hi ")


def test_an_empty_completion_teaches_the_end() -> None:
    assert int(encode(prompt="stop", completion="")[1].counted.sum()) == 1


def test_a_text_without_tokens_is_dropped() -> None:
    checkpoint = FakeCheckpoint()
    checkpoint.end_ids = ()
    objective = Sft()
    objective.prepare(checkpoint)
    (dropped,) = objective.collate([Row.source({"text": ""})])
    assert isinstance(dropped, Dropped) and dropped.reason == "no token to learn from"


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"prompt": "a"}, "row 1 has no column 'completion' .it has prompt."),
        ({"completion": "a"}, "row 1 has no column 'prompt'"),
        ({"prompt": 3, "completion": "a"}, "the prompt 3 is neither text nor messages"),
        ({"prompt": [{"role": "user"}], "completion": "a"}, "neither text nor messages"),
        ({"prompt": "a", "completion": None}, "completion of training row 1 is None, not text"),
    ],
)
def test_wrong_columns_are_usage_errors(columns: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        encode(**columns)
