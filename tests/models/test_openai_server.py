"""The stand-in itself: what other tests rely on."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from typing import Any

import jsonschema
import pytest
from openai_server import Options, StandIn, fetch_stats, served, serving
from values_of_schema import value_of

from homeschool.core.records import Message, Request, Sampling
from homeschool.models.endpoint import Endpoint


def asked(url: str, **body: Any) -> dict[str, Any]:
    body = {"model": "stand-in", "messages": [{"role": "user", "content": "hello"}], "temperature": 1, **body}
    request = urllib.request.Request(url + "/chat/completions", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=5) as reply:
        return json.load(reply)


def texts(reply: dict[str, Any]) -> list[str]:
    return [choice["message"]["content"] for choice in reply["choices"]]


def test_answers_depend_on_what_is_asked_and_on_nothing_else() -> None:
    with served() as one, served("--seed", "5") as other:
        first = texts(asked(one, seed=1, n=2))
        assert first == texts(asked(other, seed=1, n=2)) and first[0] != first[1]
        assert first[:1] == texts(asked(one, seed=1)) != texts(asked(one, seed=2))
        cut = texts(asked(one, seed=1, max_tokens=2))[0]
        assert first[0].startswith(cut) and len(cut.split()) == 2
        assert texts(asked(one, seed=1, temperature=0)) == texts(asked(one, seed=2, temperature=0))
        stats = fetch_stats(one)
        assert (stats["answered"], stats["bodies"], stats["in_flight"]) == (6, 6, 0)
        asked(one, seed=2)
        stats = fetch_stats(one)
        assert stats["answered_again"] == 1 and stats["most_answers_to_one_body"] == 2


def test_a_transcript_is_played_by_the_last_words_of_the_user() -> None:
    transcript = [
        {"match": "form", "replies": ["no JSON", '{"a": 1}'], "times": 2},
        {"match": "secret", "reply": {"content": None, "refusal": "No."}},
        {"match": "", "reply": "as ever"},
    ]

    async def say(model: Endpoint, text: str) -> tuple[str, str]:
        (answer,) = await model.generate(Request((Message("user", text),), Sampling(max_tokens=9)))
        return answer.text, answer.refusal

    async def body() -> None:
        async with serving(transcript=transcript) as server, Endpoint.open(server.url) as model:
            said = [await say(model, text) for text in ("a form", "a form", "a form", "a secret")]
            assert said == [("no JSON", ""), ('{"a": 1}', ""), ("as ever", ""), ("", "No.")]

    asyncio.run(body())


def test_faults_are_drawn_anew_for_each_arrival_and_alike_for_a_seed() -> None:
    async def drawn(seed: int) -> list[str]:
        async with serving(faults={"500": 0.3}, seed=seed) as server:
            return [server._drawn() for _ in range(40)]

    assert asyncio.run(drawn(1)) == asyncio.run(drawn(1)) != asyncio.run(drawn(2))


def test_unknown_words_are_refused() -> None:
    with pytest.raises(ValueError, match="telepathy"):
        StandIn(Options(without=["telepathy"]))


@pytest.mark.parametrize("number", range(20))
def test_values_satisfy_the_schema(number: int) -> None:
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 3, "maxLength": 9},
            "kind": {"enum": ["a", "b"]},
            "many": {"type": "array", "items": {"$ref": "#/$defs/pair"}, "minItems": 1, "maxItems": 3},
            "maybe": {"anyOf": [{"type": "null"}, {"type": "number", "minimum": 2, "maximum": 3}]},
        },
        "required": ["name", "kind", "many", "maybe"],
        "$defs": {"pair": {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}},
    }
    jsonschema.validate(value_of(schema, b"%d" % number, schema), schema)
