"""Teach `nano` again from nothing and write it into the package: `make nano`.

The corpus is `homeschool.tasks.arithmetic_corpus` (careful authors, solutions of levels 1 to 3 only), the training is
the library's own loop with the library's own `sft`. What was spent and what came out is written beside the weights.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import shutil
import tempfile
import time
from pathlib import Path

import torch

from homeschool.core.records import Row, Sampling
from homeschool.decode.open import open_checkpoint
from homeschool.decode.sample import Sampler
from homeschool.engine.progress import Progress
from homeschool.evaluate.exam import sit
from homeschool.models import nano
from homeschool.tasks import arithmetic
from homeschool.tasks.arithmetic_corpus import Mix, documents
from homeschool.train.loop import train
from homeschool.train.objectives import load_objective
from homeschool.train.settings import AdamW, Schedule, TrainConfig

DOCUMENTS = 220_000
TOKENS = 8_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description="teach nano again from nothing")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tokens", type=int, default=TOKENS)
    parser.add_argument("--documents", type=int, default=DOCUMENTS)
    parser.add_argument("--out", type=Path, default=nano.folder())
    args = parser.parse_args()

    started = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        blank = Path(scratch, "blank")
        _blank(blank, seed=args.seed)
        mix = Mix()
        corpus = [Row.source(document) for document in itertools.islice(documents(mix, seed=args.seed), args.documents)]
        checkpoint = open_checkpoint(str(blank))
        config = TrainConfig(
            tokens=args.tokens,
            lr=2e-3,
            batch_tokens=2048,
            schedule=Schedule(warmup_steps=100, decay=0.5),
            adamw=AdamW(betas=(0.9, 0.98), weight_decay=0.05),
            checkpoint_every=500,
        )
        result = train(
            load_objective("sft"),
            checkpoint,
            corpus,
            config,
            out=Path(scratch, "made"),
            seed=args.seed,
            progress=Progress(),
        )
        made = {
            "corpus": "homeschool.tasks.arithmetic_corpus",
            "mix": {"copy": mix.copy, "step": mix.step, "solutions": list(mix.levels), "careless": mix.careless},
            "documents": len(corpus),
            "tokens": result.tokens,
            "seed": args.seed,
            "steps": result.steps,
            "loss": round(result.loss or 0.0, 5),
            "minutes": round((time.monotonic() - started) / 60, 1),
            "threads": torch.get_num_threads(),
            "greedy": asyncio.run(_greedy(Sampler(checkpoint))),
        }
        checkpoint.save(Path(scratch, "saved"))
        Path(scratch, "saved", "made.json").write_text(json.dumps(made, indent=2) + "\n")
        shutil.rmtree(args.out, ignore_errors=True)
        shutil.copytree(Path(scratch, "saved"), args.out)
    print(json.dumps(made))


def _blank(folder: Path, *, seed: int) -> None:
    from transformers import LlamaForCausalLM

    torch.manual_seed(seed)
    LlamaForCausalLM(nano.config()).save_pretrained(folder)
    nano.tokenizer().save_pretrained(folder)


async def _greedy(model: Sampler) -> dict[str, float]:
    """Share of held-out problems solved greedily, by level."""
    exam = await sit(
        model, arithmetic.task().exam, arithmetic.Calculator(), store=None, sampling=Sampling(temperature=0)
    )
    return {name: round(part.accuracy or 0.0, 3) for name, part in exam.by_group().items()}


if __name__ == "__main__":
    main()
