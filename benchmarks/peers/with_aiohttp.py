"""The bare loop: as many workers as the concurrency, each asks and writes, and nothing else. Nothing can be leaner."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any, TextIO

import aiohttp
import lap as race


async def run(lap: race.Lap) -> None:
    lap.out.mkdir(parents=True, exist_ok=True)
    topics = iter(lap.topics)
    connector = aiohttp.TCPConnector(limit=lap.concurrency)
    with (lap.out / "rows.jsonl").open("w", encoding="utf-8") as file:
        async with aiohttp.ClientSession(connector=connector) as session:
            await asyncio.gather(*(worker(lap, session, topics, file) for _ in range(lap.concurrency)))


async def worker(lap: race.Lap, session: aiohttp.ClientSession, topics: Iterator[int], file: TextIO) -> None:
    for topic in topics:
        question = await ask(lap, session, race.FIRST.format(topic=topic), seed=topic)
        answer = await ask(lap, session, race.SECOND.format(question=question), seed=topic)
        file.write(json.dumps({"topic": topic, "question": question, "answer": answer}) + "\n")
        lap.rows += 1


async def ask(lap: race.Lap, session: aiohttp.ClientSession, prompt: str, *, seed: int) -> str:
    body: dict[str, Any] = {
        "model": race.MODEL,
        "messages": [{"role": "user", "content": prompt}],
        "temperature": race.TEMPERATURE,
        "max_tokens": race.MAX_TOKENS,
        "seed": seed,
    }
    async with session.post(f"{lap.url}/chat/completions", json=body) as reply:
        return (await reply.json())["choices"][0]["message"]["content"]


if __name__ == "__main__":
    asked = race.read_lap()
    with asked.clock():
        asyncio.run(run(asked))
