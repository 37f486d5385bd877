"""The same rows with distilabel: two TextGeneration steps in a pipeline, its cache on (as by default) and new.

A step of distilabel sends one batch at once and waits for all of it, so the batch is the concurrency. Each of the two
steps is a process of its own and sends its own batch: up to twice the concurrency that the others have. It logs no
line for every request (DISTILABEL_LOG_LEVEL).
"""

# This runs in the peer's own environment, where homeschool's type checker does not look.
# pyright: reportMissingImports=false

from __future__ import annotations

import os

import lap as race

os.environ |= {"DISTILABEL_LOG_LEVEL": "WARNING", "HF_HUB_OFFLINE": "1"}

from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import TextGeneration


def run(lap: race.Lap) -> None:
    with Pipeline(name="race", cache_dir=lap.out / "cache") as pipeline:
        load = LoadDataFromDicts(data=lap.source(), batch_size=lap.concurrency)
        first = step(lap, "question", race.FIRST.replace("{topic}", "{{ topic }}"), column="topic")
        second = step(lap, "answer", race.SECOND.replace("{question}", "{{ question }}"), column="question")
        load.connect(first)
        first.connect(second)
    made = pipeline.run()
    made.save_to_disk(lap.out / "rows", save_card=False, save_pipeline_config=False, save_pipeline_log=False)
    lap.rows = sum(row["answer"] is not None for row in made["default"]["train"])


def step(lap: race.Lap, makes: str, template: str, *, column: str) -> TextGeneration:
    settings = {"temperature": race.TEMPERATURE, "max_new_tokens": race.MAX_TOKENS}
    return TextGeneration(
        name=f"make_{makes}",
        llm=OpenAILLM(model=race.MODEL, base_url=lap.url, api_key="none", generation_kwargs=settings),
        template=template,
        columns=[column],
        output_mappings={"generation": makes, "model_name": f"{makes}_model"},
        input_batch_size=lap.concurrency,
        add_raw_input=False,
        add_raw_output=False,
    )


if __name__ == "__main__":  # its steps are processes that import this file again
    asked = race.read_lap()
    with asked.clock():
        run(asked)
