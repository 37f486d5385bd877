"""The same rows with bespokelabs-curator: two LLM blocks one after the other, its cache on (as by default) and new.

It is offline by its documented settings alone: no telemetry, litellm's own list of prices, and the tokenizer file that
litellm ships (tiktoken would fetch the same file). Its limits per minute are set so high that none is ever met.
"""

# This runs in the peer's own environment, where homeschool's type checker does not look.
# pyright: reportMissingImports=false

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

import lap as race

os.environ |= {
    "TELEMETRY_ENABLED": "false",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "TIKTOKEN_CACHE_DIR": str(Path(sysconfig.get_path("purelib")) / "litellm/litellm_core_utils/tokenizers"),
}

from bespokelabs import curator
from datasets import Dataset

NO_LIMIT = 1_000_000_000


class Question(curator.LLM):
    def prompt(self, input: dict) -> str:
        return race.FIRST.format(topic=input["topic"])

    def parse(self, input: dict, response: str) -> dict:
        return {"topic": input["topic"], "question": response}


class Answer(curator.LLM):
    def prompt(self, input: dict) -> str:
        return race.SECOND.format(question=input["question"])

    def parse(self, input: dict, response: str) -> dict:
        return {**input, "answer": response}


def run(lap: race.Lap) -> None:
    settings = {
        "model_name": race.MODEL,
        "backend": "openai",
        "backend_params": {
            "base_url": lap.url,
            "api_key": "none",
            "max_concurrent_requests": lap.concurrency,
            "max_requests_per_minute": NO_LIMIT,
            "max_tokens_per_minute": NO_LIMIT,
        },
        "generation_params": {"temperature": race.TEMPERATURE, "max_tokens": race.MAX_TOKENS},
    }
    cache = str(lap.out / "cache")
    questions = Question(**settings)(Dataset.from_list(lap.source()), working_dir=cache)
    answers = Answer(**settings)(questions.dataset, working_dir=cache)
    answers.dataset.to_json(lap.out / "rows.jsonl")
    lap.rows = len(answers.dataset)


if __name__ == "__main__":
    asked = race.read_lap()
    asked.out.mkdir(parents=True, exist_ok=True)
    with asked.clock():
        run(asked)
