"""Verifiers put before a judge behind the loopback server (tests/openai_server.py), through the engine's own `ctx`.

The judge's answers are transcripts written by hand in each test: good, malformed, cut off, refusing, talked round. The
server plays them; nothing here is a model, and nothing says how well a real judge judges.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from openai_server import serving

from homeschool.core.protocols import Context
from homeschool.core.records import Row
from homeschool.core.verdict import Verdict
from homeschool.engine.local import World, stream_recipe
from homeschool.models.endpoint import Endpoint
from homeschool.verify.load import load_verifier

MATERIAL = "Below is the material"
"""Stands in every question to the judge, and in none of the probes that find out what a server can do."""


def tried(
    spec: str,
    columns: Mapping[str, Any],
    answers: Sequence[str],
    transcript: Sequence[Mapping[str, Any]],
    **server: Any,
) -> tuple[list[Verdict], list[str]]:
    """The verdicts of the verifier `spec`, and every question (the last user message) that the judge was asked."""
    return asyncio.run(_tried(spec, columns, answers, transcript, server))


async def _tried(
    spec: str, columns: Mapping[str, Any], answers: Sequence[str], transcript: Sequence[Mapping[str, Any]], server: Any
) -> tuple[list[Verdict], list[str]]:
    verifier, row = load_verifier(spec), Row.source(columns)

    async def recipe(row: Row, ctx: Context) -> Row:
        return row.derive(step="judged", verdicts=await verifier(row, answers, ctx))

    async with serving(transcript=transcript, **server) as stand_in:
        world = World({"judge": Endpoint.open(f"{stand_in.url}#stand-in")}, None)
        [outcome] = [each async for each in stream_recipe(recipe, [row], world=world)]
        bodies = [json.loads(body) for body in stand_in.bodies]
    assert outcome.children, outcome
    said = [body["messages"][-1]["content"] for body in bodies if "messages" in body]
    return list(outcome.children[0].verdicts), [text for text in said if MATERIAL in text]


def says(reply: Any, *, to: str = MATERIAL) -> dict[str, Any]:
    """A transcript's entry: the reply to every question that holds `to`."""
    return {"match": to, "reply": reply}
