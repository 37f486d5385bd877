"""Race: answers a second from a small model on two threads, against transformers' `generate`.

The same 256 requests, prompts and limits of mixed length, go to both at temperature 1: to ours as they are, to
`generate` as one batch padded on the left that runs to the largest limit. Only tokens up to a request's own end or
limit count, for both. Prints one line of JSON; a ratio above 1 means that ours is faster.

Usage: python benchmarks/local.py [MODEL] [REPETITIONS]
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import sys
import time
from typing import Any

import torch

from homeschool.core.records import Request, Sampling
from homeschool.decode.open import open_checkpoint
from homeschool.decode.sample import Sampler
from homeschool.models.local import Checkpoint

REQUESTS = 256
SHORTEST, LONGEST = 8, 96
PEER = "transformers:generate"


def requests() -> list[Request]:
    """Arithmetic of one to eight operations, each with its own limit on the answer."""
    rng = random.Random(0)
    made: list[Request] = []
    for seed in range(REQUESTS):
        terms = [str(rng.randint(2, 9))]
        for _ in range(rng.randint(1, 8)):
            terms += [rng.choice("+-*"), str(rng.randint(2, 9))]
        limit = rng.randint(SHORTEST, LONGEST)
        made.append(Request(f"Q: {''.join(terms)}\n", Sampling(temperature=1.0, max_tokens=limit), seed=seed))
    return made


def ours(checkpoint: Checkpoint, asked: list[Request]) -> int:
    """Tokens drawn."""
    groups = asyncio.run(Sampler(checkpoint).generate_batch(asked))
    return sum(len(answer.token_ids) for group in groups for answer in group)


def theirs(checkpoint: Checkpoint, asked: list[Request]) -> int:
    """Tokens drawn that a request asked for."""
    prompts = [checkpoint.encode(request.prompt) for request in asked]
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    generate: Any = checkpoint.module.generate
    with torch.inference_mode():
        drawn = generate(
            ids, attention_mask=mask, max_new_tokens=LONGEST, do_sample=True, temperature=1.0, top_k=0, top_p=1.0
        )
    return sum(
        real_length(answer[: request.sampling.max_tokens], checkpoint.end_ids)
        for answer, request in zip(drawn[:, width:].tolist(), asked, strict=True)
    )


def real_length(answer: list[int], end_ids: tuple[int, ...]) -> int:
    """Tokens up to and with the first end token."""
    ends = [place for place, token in enumerate(answer) if token in end_ids]
    return ends[0] + 1 if ends else len(answer)


def main() -> None:
    torch.set_num_threads(2)
    torch.manual_seed(0)
    checkpoint = open_checkpoint(sys.argv[1] if len(sys.argv) > 1 else "nano", device="cpu")
    repetitions = max(5, int(sys.argv[2]) if len(sys.argv) > 2 else 5)
    asked = requests()
    rates: dict[str, list[float]] = {"ours": [], PEER: []}
    for repetition in range(repetitions + 1):
        for name, race in (("ours", ours), (PEER, theirs)):
            start = time.perf_counter()
            tokens = race(checkpoint, asked)
            if repetition:  # the first lap warms up
                rates[name].append(tokens / (time.perf_counter() - start))
    ratios = [mine / other for mine, other in zip(rates["ours"], rates[PEER], strict=True)]
    medians = {name: {"tokens_per_second": round(statistics.median(rate))} for name, rate in rates.items()}
    result = {
        "race": "local",
        "ours": medians["ours"],
        "peers": {PEER: medians[PEER]},
        "ratio": {PEER: {"min": min(ratios), "median": statistics.median(ratios), "max": max(ratios)}},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
