"""What a GPU makes of this version: opening a model, sampling from it, a short training run, serving it with vLLM.

Writes benchmarks/results/gpu.json. Without a GPU it says so, prints `{"measured": false}` and ends well, because what
was not measured is no failure. Usage: python benchmarks/gpu_check.py [MODEL ...] (default: nano)
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from homeschool.core.errors import HomeschoolError
from homeschool.core.records import Request, Row, Sampling
from homeschool.decode.open import open_checkpoint
from homeschool.decode.sample import Sampler
from homeschool.models import nano
from homeschool.models.vllm import Vllm
from homeschool.train.loop import train
from homeschool.train.objectives import load_objective
from homeschool.train.settings import TrainConfig

RESULTS = Path(__file__).parent / "results" / "gpu.json"
REQUESTS, LIMIT, STEPS = 256, 96, 20
SERVED = 200
"""Requests that vLLM is asked."""


def main() -> None:
    found: dict[str, Any] = {"measured": False}
    if torch.cuda.is_available():
        models = sys.argv[1:] or ["nano"]
        found = {
            "measured": True,
            "gpu": torch.cuda.get_device_name(),
            "torch": torch.__version__,
            "models": {name: measure(name) for name in models},
            "vllm": {name: served(name) for name in models},
        }
    else:
        print("There is no GPU here, so nothing was measured.", file=sys.stderr)
    if found["measured"] or not RESULTS.exists():  # a machine without a GPU must not erase what one with a GPU found
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        RESULTS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(found))


def measure(name: str) -> dict[str, Any]:
    """Seconds to open, tokens a second sampled on GPU and CPU, tokens a second in training, its peak memory in MB."""
    started = time.perf_counter()
    checkpoint = open_checkpoint(name, device="cuda")
    opened = time.perf_counter() - started
    gpu, cpu = (sampled(Sampler(one)) for one in (checkpoint, open_checkpoint(name, device="cpu")))
    rows = [Row.source({"prompt": f"{a}+{b}", "completion": f"={a + b}"}) for a in range(40) for b in range(40)]
    with tempfile.TemporaryDirectory() as folder:
        config = TrainConfig(steps=STEPS, batch_tokens=4096)
        learnt = train(load_objective("sft"), checkpoint, rows, config, out=Path(folder) / "sft")
    return {
        "seconds_to_open": round(opened, 3),
        "sampled_tokens_per_second": {"gpu": gpu, "cpu": cpu, "ratio": round(gpu / cpu, 2)},
        "train_tokens_per_second": round(learnt.tokens_per_second, 1),
        "train_loss": learnt.loss,
        "train_peak_memory_mb": round(learnt.peak_memory_mb, 1),
    }


def sampled(model: Sampler) -> float:
    """Tokens a second over 256 requests, after a first pass that warms up."""
    prompts = [f"{seed % 9 + 1}+{seed % 7 + 1}" for seed in range(REQUESTS)]
    asked = [Request(text, Sampling(max_tokens=LIMIT), seed=seed) for seed, text in enumerate(prompts)]
    asyncio.run(model.generate_batch(asked[:8]))
    started = time.perf_counter()
    answers = asyncio.run(model.generate_batch(asked))
    tokens = sum(len(one.token_ids) for group in answers for one in group)
    return round(tokens / (time.perf_counter() - started), 1)


def served(name: str) -> dict[str, Any]:
    """What a vLLM of our own does: seconds to start and to end, answers a second, and the GPU's memory around it."""
    folder = str(nano.folder()) if name == "nano" else name.removeprefix("hf:")
    try:
        return {"measured": True, **asyncio.run(serve(Vllm.open(folder)))}
    except HomeschoolError as error:  # no vLLM here, or one that cannot serve this model
        return {"measured": False, "why": str(error)}


async def serve(model: Vllm) -> dict[str, Any]:
    """Start the server, ask it, end it. Memory is what all processes on the GPU hold together, in MB."""
    torch.cuda.empty_cache()
    moments, memory = [time.perf_counter()], [held_mb()]
    async with model:
        moments.append(time.perf_counter())
        asked = [
            Request(f"{seed % 9 + 1}+{seed % 7 + 1}", Sampling(max_tokens=LIMIT), seed=seed) for seed in range(SERVED)
        ]
        answers = await asyncio.gather(*(model.generate(request) for request in asked))
        moments.append(time.perf_counter())
        memory.append(held_mb())
    moments.append(time.perf_counter())
    memory.append(held_mb())
    to_start, asking, to_end = (later - earlier for earlier, later in itertools.pairwise(moments))
    return {
        "seconds_to_start": round(to_start, 1),
        "answers": sum(len(group) for group in answers),
        "answers_per_second": round(SERVED / asking, 1),
        "seconds_to_end": round(to_end, 1),
        "memory_mb": dict(zip(("before", "serving", "after"), memory, strict=True)),
        "deaths": model.deaths,
    }


def held_mb() -> float:
    free, total = torch.cuda.mem_get_info()
    return round((total - free) / (1 << 20), 1)


if __name__ == "__main__":
    main()
